/* Normalization operators, each against plain loops in double precision, over odd sizes, tiles in any
 * order. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "hal/fused.h"
#include "support/operation_runner.h"

#define MOST 200000

static float source[MOST], scale[2048], bias[2048], mean[64], variance[64];
static float expected[MOST], second[MOST];

static int setup(void **state)
{
    (void)state;
    operation_fill_floats(source, MOST, 11);
    operation_fill_floats(scale, 2048, 12);
    operation_fill_floats(bias, 2048, 13);
    operation_fill_floats(mean, 64, 14);
    for (int i = 0; i < 64; i++) {
        variance[i] = 0.5f + (float)i / 64.0f;
    }
    return 0;
}

static void check(const operation_case *test, size_t outputs, const hd_tensor *wanted)
{
    operation_result result;
    if (operation_run(test, &result) != HD_OK) {
        fail_msg("%s", result.error.message);
    }
    for (size_t i = 0; i < outputs; i++) {
        operation_check_close(&result.outputs[i], &wanted[i], 1e-4, 1e-4);
    }
    operation_result_clear(&result);
    operation_check_partitions(test);
}

/* y = (x - mean) / deviation of one row; gives both. */
static void normalize_row(const float *x, float *y, int64_t size, double epsilon, double *out_mean,
                          double *out_inverse)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < size; i++) {
        sum += (double)x[i];
    }
    double middle = sum / (double)size;
    for (int64_t i = 0; i < size; i++) {
        squares += ((double)x[i] - middle) * ((double)x[i] - middle);
    }
    double inverse = 1 / sqrt(squares / (double)size + epsilon);
    for (int64_t i = 0; i < size; i++) {
        y[i] = (float)(((double)x[i] - middle) * inverse);
    }
    *out_mean = middle;
    *out_inverse = inverse;
}

static void layer_norm_gives_all_three_outputs(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 5, 16, 33, 768, 1021};
    static float means[70], inverses[70];
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        int64_t rows = 70, size = sizes[s];
        for (int64_t r = 0; r < rows; r++) {
            double middle, inverse;
            normalize_row(source + r * size, expected + r * size, size, 1e-5, &middle, &inverse);
            means[r] = (float)middle;
            inverses[r] = (float)inverse;
            for (int64_t i = 0; i < size; i++) {
                expected[r * size + i] = expected[r * size + i] * scale[i] + bias[i];
            }
        }
        operation_case test = {.type = "LayerNormalization",
                               .opset = 17,
                               .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, rows, size),
                                          OPERATION_TENSOR(HD_FLOAT32, scale, size),
                                          OPERATION_TENSOR(HD_FLOAT32, bias, size)},
                               .input_count = 3,
                               .output_count = size == 1 ? 1 : 3};
        hd_tensor wanted[] = {OPERATION_TENSOR(HD_FLOAT32, expected, rows, size),
                              OPERATION_TENSOR(HD_FLOAT32, means, rows, 1),
                              OPERATION_TENSOR(HD_FLOAT32, inverses, rows, 1)};
        check(&test, test.output_count, wanted);
    }
}

static void fused_layer_norm_adds_the_residual(void **state)
{
    (void)state;
    int64_t rows = 37, size = 387;
    const float *residual = source + 50000;
    for (int64_t r = 0; r < rows; r++) {
        double middle, inverse;
        for (int64_t i = r * size; i < (r + 1) * size; i++) {
            second[i] = source[i] + residual[i];
        }
        normalize_row(second + r * size, expected + r * size, size, 1e-3, &middle, &inverse);
        for (int64_t i = 0; i < size; i++) {
            expected[r * size + i] *= scale[i];
        }
    }
    hd_fused_layer_norm fused = {.epsilon = 1e-3f};
    operation_case test = {.type = "heddle.LayerNorm",
                           .fused = &fused,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, rows, size),
                                      OPERATION_TENSOR(HD_FLOAT32, scale, size),
                                      {0},
                                      OPERATION_TENSOR(HD_FLOAT32, residual, rows, size)},
                           .input_count = 4,
                           .output_count = 2};
    hd_tensor wanted[] = {OPERATION_TENSOR(HD_FLOAT32, expected, rows, size),
                          OPERATION_TENSOR(HD_FLOAT32, second, rows, size)};
    check(&test, 2, wanted);
    test.unwanted_outputs = 2;
    check(&test, 1, wanted);
}

static void batch_norm_uses_the_given_statistics(void **state)
{
    (void)state;
    static const int64_t positions[] = {1, 7, 1000};
    for (int p = 0; p < 3; p++) {
        int64_t channels = 13, size = positions[p];
        for (int64_t i = 0; i < 3 * channels * size; i++) {
            int64_t c = i / size % channels;
            double deviation = sqrt((double)variance[c] + 1e-5);
            expected[i] = (float)(((double)source[i] - (double)mean[c]) / deviation *
                                      (double)scale[c] + (double)bias[c]);
        }
        operation_case test = {.type = "BatchNormalization",
                               .opset = 15,
                               .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 3, channels, size),
                                          OPERATION_TENSOR(HD_FLOAT32, scale, channels),
                                          OPERATION_TENSOR(HD_FLOAT32, bias, channels),
                                          OPERATION_TENSOR(HD_FLOAT32, mean, channels),
                                          OPERATION_TENSOR(HD_FLOAT32, variance, channels)},
                               .input_count = 5};
        hd_tensor wanted = OPERATION_TENSOR(HD_FLOAT32, expected, 3, channels, size);
        check(&test, 1, &wanted);
    }
}

/* groups of `each` channels; scale and bias a channel */
static void check_groups(const char *type, int64_t groups, int64_t each, int64_t positions)
{
    int64_t channels = groups * each, size = each * positions;
    for (int64_t g = 0; g < 2 * groups; g++) {
        double middle, inverse;
        normalize_row(source + g * size, expected + g * size, size, 1e-5, &middle, &inverse);
        for (int64_t i = 0; i < size; i++) {
            int64_t c = g % groups * each + i / positions;
            expected[g * size + i] = expected[g * size + i] * scale[c] + bias[c];
        }
    }
    hd_attribute attributes[] = {operation_int("num_groups", groups)};
    operation_case test = {.type = type,
                           .opset = 21,
                           .attributes = attributes,
                           .attribute_count = 1,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 2, channels, positions),
                                      OPERATION_TENSOR(HD_FLOAT32, scale, channels),
                                      OPERATION_TENSOR(HD_FLOAT32, bias, channels)},
                           .input_count = 3};
    hd_tensor wanted = OPERATION_TENSOR(HD_FLOAT32, expected, 2, channels, positions);
    check(&test, 1, &wanted);
}

static void groups_are_normalized_by_themselves(void **state)
{
    (void)state;
    check_groups("GroupNormalization", 4, 3, 131);
    check_groups("GroupNormalization", 1, 5, 7);
    check_groups("InstanceNormalization", 6, 1, 1023);
}

static void lrn_divides_by_the_energy_of_the_neighbours(void **state)
{
    (void)state;
    int64_t channels = 7, positions = 301, size = 4;
    for (int64_t i = 0; i < 2 * channels * positions; i++) {
        int64_t c = i / positions % channels;
        double energy = 0;
        for (int64_t k = c - 1; k <= c + 2; k++) { /* (4 - 1) / 2 before, the rest after */
            double x = k < 0 || k >= channels ? 0 : (double)source[i + (k - c) * positions];
            energy += x * x;
        }
        expected[i] = (float)((double)source[i] / pow(2.0 + 0.5 / 4 * energy, 0.75));
    }
    hd_attribute attributes[] = {operation_int("size", size), operation_float("alpha", 0.5f),
                                 operation_float("bias", 2.0f)};
    operation_case test = {.type = "LRN",
                           .attributes = attributes,
                           .attribute_count = 3,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 2, channels, positions)},
                           .input_count = 1};
    hd_tensor wanted = OPERATION_TENSOR(HD_FLOAT32, expected, 2, channels, positions);
    check(&test, 1, &wanted);
}

static void operands_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    operation_case test = {.type = "LayerNormalization",
                           .opset = 17,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 3, 8),
                                      OPERATION_TENSOR(HD_FLOAT32, scale, 7)},
                           .input_count = 2};
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_INVALID_ARGUMENT);
    operation_result_clear(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layer_norm_gives_all_three_outputs),
        cmocka_unit_test(fused_layer_norm_adds_the_residual),
        cmocka_unit_test(batch_norm_uses_the_given_statistics),
        cmocka_unit_test(groups_are_normalized_by_themselves),
        cmocka_unit_test(lrn_divides_by_the_energy_of_the_neighbours),
        cmocka_unit_test(operands_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
