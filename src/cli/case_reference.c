#include "cli/case_reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* y [rows, columns] += x [rows, depth] · w [depth, columns] */
static void multiply_add(const double *x, const float *w, double *y, int64_t rows, int64_t columns,
                         int64_t depth)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t k = 0; k < depth; k++) {
            double factor = x[i * depth + k];
            for (int64_t j = 0; j < columns; j++) {
                y[i * columns + j] += factor * (double)w[k * columns + j];
            }
        }
    }
}

/* y = x · wᵀ + bias, w [columns, depth] */
static void linear(const float *x, const float *w, const float *bias, double *y, int64_t rows,
                   int64_t columns, int64_t depth)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) {
            double sum = (double)bias[j];
            for (int64_t k = 0; k < depth; k++) {
                sum += (double)x[i * depth + k] * (double)w[j * depth + k];
            }
            y[i * columns + j] = sum;
        }
    }
}

static void matmul(const float *a, const float *b, double *y, int64_t rows, int64_t columns,
                   int64_t depth)
{
    memset(y, 0, (size_t)(rows * columns) * sizeof *y);
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t k = 0; k < depth; k++) {
            double factor = (double)a[i * depth + k];
            for (int64_t j = 0; j < columns; j++) {
                y[i * columns + j] += factor * (double)b[k * columns + j];
            }
        }
    }
}

static void softmax_row(double *row, int64_t count)
{
    double largest = row[0], sum = 0;
    for (int64_t i = 1; i < count; i++) {
        largest = row[i] > largest ? row[i] : largest;
    }
    for (int64_t i = 0; i < count; i++) {
        row[i] = exp(row[i] - largest);
        sum += row[i];
    }
    for (int64_t i = 0; i < count; i++) {
        row[i] /= sum;
    }
}

static void normalize_row(double *row, int64_t count, const float *scale, const float *bias)
{
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < count; i++) {
        mean += row[i] / (double)count;
    }
    for (int64_t i = 0; i < count; i++) {
        variance += (row[i] - mean) * (row[i] - mean) / (double)count;
    }
    double factor = 1 / sqrt(variance + NORM_EPSILON);
    for (int64_t i = 0; i < count; i++) {
        row[i] = (row[i] - mean) * factor * (double)scale[i] + (double)bias[i];
    }
}

static double gelu(double x)
{
    return 0.5 * x * (1 + erf(x * 0.7071067811865476));
}

void hd_case_reference_linear_16x512x256(const float *const *inputs, const float *const *weights,
                                         double *output)
{
    linear(inputs[0], weights[0], weights[1], output, 16, 256, 512);
}

void hd_case_reference_linear_64x2048x2048(const float *const *inputs, const float *const *weights,
                                           double *output)
{
    linear(inputs[0], weights[0], weights[1], output, 64, 2048, 2048);
}

void hd_case_reference_matmul_256x512x256(const float *const *inputs, const float *const *weights,
                                          double *output)
{
    (void)weights;
    matmul(inputs[0], inputs[1], output, 256, 256, 512);
}

void hd_case_reference_matmul_1024(const float *const *inputs, const float *const *weights,
                                   double *output)
{
    (void)weights;
    matmul(inputs[0], inputs[1], output, 1024, 1024, 1024);
}

void hd_case_reference_bmm(const float *const *inputs, const float *const *weights, double *output)
{
    (void)weights;
    for (int64_t i = 0; i < 8; i++) {
        int64_t offset = i * 64 * 64;
        matmul(inputs[0] + offset, inputs[1] + offset, output + offset, 64, 64, 64);
    }
}

void hd_case_reference_layernorm(const float *const *inputs, const float *const *weights,
                                 double *output)
{
    for (int64_t i = 0; i < 16 * 512; i++) {
        for (int64_t j = 0; j < 768; j++) {
            output[i * 768 + j] = (double)inputs[0][i * 768 + j];
        }
        normalize_row(output + i * 768, 768, weights[0], weights[1]);
    }
}

void hd_case_reference_softmax(const float *const *inputs, const float *const *weights,
                               double *output)
{
    (void)weights;
    for (int64_t i = 0; i < 4 * 128; i++) {
        for (int64_t j = 0; j < 32000; j++) {
            output[i * 32000 + j] = (double)inputs[0][i * 32000 + j];
        }
        softmax_row(output + i * 32000, 32000);
    }
}

/* One output channel's plane gets what input plane x weighs with one kernel element, shifted. */
static void add_shifted(const float *x, double weight, int64_t shift_y, int64_t shift_x, double *y)
{
    for (int64_t row = 0; row < 224; row++) {
        int64_t from_row = row + shift_y;
        if (from_row < 0 || from_row >= 224) {
            continue;
        }
        for (int64_t column = 0; column < 224; column++) {
            int64_t from = column + shift_x;
            if (from >= 0 && from < 224) {
                y[row * 224 + column] += weight * (double)x[from_row * 224 + from];
            }
        }
    }
}

void hd_case_reference_conv2d(const float *const *inputs, const float *const *weights,
                              double *output)
{
    const int64_t plane = 224 * 224;
    for (int64_t image = 0; image < 4; image++) {
        for (int64_t channel = 0; channel < 64; channel++) {
            double *y = output + (image * 64 + channel) * plane;
            for (int64_t i = 0; i < plane; i++) {
                y[i] = (double)weights[1][channel];
            }
            for (int64_t tap = 0; tap < 27; tap++) {
                add_shifted(inputs[0] + (image * 3 + tap / 9) * plane,
                            (double)weights[0][channel * 27 + tap], tap / 3 % 3 - 1, tap % 3 - 1,
                            y);
            }
        }
    }
}

void hd_case_reference_gelu(const float *const *inputs, const float *const *weights, double *output)
{
    (void)weights;
    for (int64_t i = 0; i < 16 * 512 * 768; i++) {
        output[i] = gelu((double)inputs[0][i]);
    }
}

/* y = x · w + bias over all tokens of one sequence. */
static void project(const double *x, const float *w, const float *bias, double *y, int64_t columns,
                    int64_t depth)
{
    for (int64_t i = 0; i < BLOCK_TOKENS * columns; i++) {
        y[i] = (double)bias[i % columns];
    }
    multiply_add(x, w, y, BLOCK_TOKENS, columns, depth);
}

/* One token's part of one head: softmax(q · kᵀ / sqrt(head width)) · v. */
static void attend(const double *query, const double *keys, const double *values, double *context)
{
    double scores[BLOCK_TOKENS];
    for (int64_t j = 0; j < BLOCK_TOKENS; j++) {
        scores[j] = 0;
        for (int64_t k = 0; k < BLOCK_HEAD_WIDTH; k++) {
            scores[j] += query[k] * keys[j * BLOCK_WIDTH + k];
        }
        scores[j] /= sqrt((double)BLOCK_HEAD_WIDTH);
    }
    softmax_row(scores, BLOCK_TOKENS);
    for (int64_t k = 0; k < BLOCK_HEAD_WIDTH; k++) {
        context[k] = 0;
        for (int64_t j = 0; j < BLOCK_TOKENS; j++) {
            context[k] += scores[j] * values[j * BLOCK_WIDTH + k];
        }
    }
}

/* What one sequence needs in between. */
typedef struct hd_block_work {
    double x[BLOCK_TOKENS * BLOCK_WIDTH];
    double query[BLOCK_TOKENS * BLOCK_WIDTH];
    double key[BLOCK_TOKENS * BLOCK_WIDTH];
    double value[BLOCK_TOKENS * BLOCK_WIDTH];
    double context[BLOCK_TOKENS * BLOCK_WIDTH];
    double wide[BLOCK_TOKENS * BLOCK_FEED_FORWARD];
} hd_block_work;

/* x = norm(x + y) */
static void add_and_normalize(double *x, const double *y, const float *scale, const float *bias)
{
    for (int64_t i = 0; i < BLOCK_TOKENS * BLOCK_WIDTH; i++) {
        x[i] += y[i];
    }
    for (int64_t i = 0; i < BLOCK_TOKENS; i++) {
        normalize_row(x + i * BLOCK_WIDTH, BLOCK_WIDTH, scale, bias);
    }
}

static void run_block(const float *input, const float *const *w, double *output,
                      hd_block_work *work)
{
    for (int64_t i = 0; i < BLOCK_TOKENS * BLOCK_WIDTH; i++) {
        work->x[i] = (double)input[i];
    }
    project(work->x, w[BLOCK_QUERY_WEIGHT], w[BLOCK_QUERY_BIAS], work->query, BLOCK_WIDTH,
            BLOCK_WIDTH);
    project(work->x, w[BLOCK_KEY_WEIGHT], w[BLOCK_KEY_BIAS], work->key, BLOCK_WIDTH, BLOCK_WIDTH);
    project(work->x, w[BLOCK_VALUE_WEIGHT], w[BLOCK_VALUE_BIAS], work->value, BLOCK_WIDTH,
            BLOCK_WIDTH);
    for (int64_t head = 0; head < BLOCK_HEADS; head++) {
        int64_t offset = head * BLOCK_HEAD_WIDTH;
        for (int64_t i = 0; i < BLOCK_TOKENS; i++) {
            attend(work->query + i * BLOCK_WIDTH + offset, work->key + offset, work->value + offset,
                   work->context + i * BLOCK_WIDTH + offset);
        }
    }
    project(work->context, w[BLOCK_OUT_WEIGHT], w[BLOCK_OUT_BIAS], work->query, BLOCK_WIDTH,
            BLOCK_WIDTH);
    add_and_normalize(work->x, work->query, w[BLOCK_NORM1_SCALE], w[BLOCK_NORM1_BIAS]);
    project(work->x, w[BLOCK_UP_WEIGHT], w[BLOCK_UP_BIAS], work->wide, BLOCK_FEED_FORWARD,
            BLOCK_WIDTH);
    for (int64_t i = 0; i < BLOCK_TOKENS * BLOCK_FEED_FORWARD; i++) {
        work->wide[i] = gelu(work->wide[i]);
    }
    project(work->wide, w[BLOCK_DOWN_WEIGHT], w[BLOCK_DOWN_BIAS], work->query, BLOCK_WIDTH,
            BLOCK_FEED_FORWARD);
    add_and_normalize(work->x, work->query, w[BLOCK_NORM2_SCALE], w[BLOCK_NORM2_BIAS]);
    memcpy(output, work->x, sizeof work->x);
}

void hd_case_reference_transformer(const float *const *inputs, const float *const *weights,
                                   double *output)
{
    static const int64_t size = BLOCK_TOKENS * BLOCK_WIDTH;
    hd_block_work *work = malloc(sizeof *work);
    for (int64_t i = 0; i < BLOCK_BATCH; i++) {
        if (work == NULL) {
            /* No reference is no agreement: not-a-number fails every comparison. */
            for (int64_t k = 0; k < size; k++) {
                output[i * size + k] = NAN;
            }
        } else {
            run_block(inputs[0] + i * size, weights, output + i * size, work);
        }
    }
    free(work);
}
