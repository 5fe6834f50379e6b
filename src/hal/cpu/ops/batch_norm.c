/* Batch norm: BatchNormalization with given mean and variance, or, in training mode, those of the
 * batch. */
#include <math.h>

#include "base/stop.h"
#include "hal/cpu/ops/moments.h"
#include "hal/cpu/ops/normalization.h"
#include "hal/cpu/ops/rows.h"

typedef struct batch_norm_parameters {
    int64_t batch, channels, positions;
    int64_t tiles;
    float epsilon, momentum;
    bool training;
    size_t input_count, output_count;
    hd_dtype dtypes[5]; /* of the inputs */
} batch_norm_parameters;

static float factor_of(const batch_norm_parameters *p, void *const *buffers, int64_t channel)
{
    float variance = ((const float *)buffers[4])[channel];
    return ((const float *)buffers[1])[channel] / sqrtf(variance + p->epsilon);
}

/* y = (x - mean) · scale + shift, however long. */
static void affine(float *y, const float *x, float mean, float scale, float shift, int64_t count)
{
    for (int64_t i = 0, next; (next = hd_stop_reach(i, count)) > i; i = next) {
        hd_cpu_rows_get()->affine(y + i, x + i, mean, scale, shift, next - i);
    }
}

static void run_inference(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                          void *scratch)
{
    const batch_norm_parameters *p = parameters;
    const hd_cpu_rows *rows = hd_cpu_rows_get();
    const float *x = buffers[0], *biases = buffers[2], *means = buffers[3];
    float *y = buffers[p->input_count];
    bool flat = p->positions == 1;
    int64_t items = flat ? p->batch : p->batch * p->channels;
    int64_t first = hd_cpu_tile_begin(items, p->tiles, begin);
    int64_t stop = hd_cpu_tile_begin(items, p->tiles, end);
    if (!flat) {
        for (int64_t i = first; i < stop; i++) {
            int64_t c = i % p->channels;
            affine(y + i * p->positions, x + i * p->positions, means[c], factor_of(p, buffers, c),
                   biases[c], p->positions);
        }
        return;
    }
    float *scales = scratch;
    for (int64_t c = 0; c < p->channels && !hd_stop_ends(c); c++) {
        scales[c] = factor_of(p, buffers, c);
    }
    for (int64_t i = first; i < stop; i++) {
        for (int64_t c = 0, next; (next = hd_stop_reach(c, p->channels)) > c; c = next) {
            int64_t at = i * p->channels + c;
            rows->affine_each(y + at, x + at, means + c, scales + c, biases + c, next - c);
        }
    }
}

static void train_channel(const batch_norm_parameters *p, const hd_cpu_rows *rows,
                          void *const *buffers, int64_t c)
{
    const float *x = buffers[0];
    void *const *outputs = buffers + p->input_count;
    float *y = outputs[0];
    float count = (float)(p->batch * p->positions), sum = 0.0f, squares = 0.0f;
    for (int64_t n = 0; n < p->batch && !hd_stop_ends_every(n, 64); n++) {
        sum += rows->fold[HD_FOLD_SUM](x + (n * p->channels + c) * p->positions, p->positions);
    }
    float mean = sum / count;
    for (int64_t n = 0; n < p->batch && !hd_stop_ends_every(n, 64); n++) {
        squares +=
            rows->sum_deviations(x + (n * p->channels + c) * p->positions, p->positions, mean);
    }
    float variance = squares / count;
    float scale = ((const float *)buffers[1])[c] / sqrtf(variance + p->epsilon);
    float shift = ((const float *)buffers[2])[c];
    for (int64_t n = 0; n < p->batch && !hd_stop_ends_every(n, 64); n++) {
        int64_t offset = (n * p->channels + c) * p->positions;
        affine(y + offset, x + offset, mean, scale, shift, p->positions);
    }
    if (p->output_count > 1 && outputs[1] != NULL) {
        float old = ((const float *)buffers[3])[c];
        ((float *)outputs[1])[c] = old * p->momentum + mean * (1.0f - p->momentum);
    }
    if (p->output_count > 2 && outputs[2] != NULL) {
        float old = ((const float *)buffers[4])[c];
        ((float *)outputs[2])[c] = old * p->momentum + variance * (1.0f - p->momentum);
    }
    for (size_t i = 3; i < p->output_count; i++) {
        if (outputs[i] != NULL) { /* the batch's own, before opset 14 */
            ((float *)outputs[i])[c] = i == 3 ? mean : variance;
        }
    }
}

static void run_training(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                         void *scratch)
{
    (void)scratch;
    const batch_norm_parameters *p = parameters;
    int64_t stop = hd_cpu_tile_begin(p->channels, p->tiles, end);
    for (int64_t c = hd_cpu_tile_begin(p->channels, p->tiles, begin); c < stop; c++) {
        train_channel(p, hd_cpu_rows_get(), buffers, c);
    }
}

/* Mean and variance of a channel of the batch. */
static void find_moments(const batch_norm_parameters *p, const void *x, int64_t c, double *out_mean,
                         double *out_variance)
{
    double count = (double)(p->batch * p->positions), sum = 0, squares = 0;
    for (int64_t i = 0; i < p->batch * p->positions && !hd_stop_ends(i); i++) {
        sum += hd_cpu_float_read(x, p->dtypes[0],
                                 (i / p->positions * p->channels + c) * p->positions +
                                     i % p->positions);
    }
    *out_mean = sum / count;
    for (int64_t i = 0; i < p->batch * p->positions && !hd_stop_ends(i); i++) {
        double difference = hd_cpu_float_read(x, p->dtypes[0],
                                              (i / p->positions * p->channels + c) * p->positions +
                                                  i % p->positions) -
                            *out_mean;
        squares += difference * difference;
    }
    *out_variance = squares / count;
}

/* Both modes in double precision: for float64, and for statistics or scales of another type than x. */
static void run_wide(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                     void *scratch)
{
    (void)scratch;
    const batch_norm_parameters *p = parameters;
    void *const *outputs = buffers + p->input_count;
    int64_t stop = hd_cpu_tile_begin(p->channels, p->tiles, end);
    for (int64_t c = hd_cpu_tile_begin(p->channels, p->tiles, begin); c < stop; c++) {
        double given[5];
        for (size_t i = 1; i < 5; i++) {
            given[i] = hd_cpu_float_read(buffers[i], p->dtypes[i], c);
        }
        double mean = given[3], variance = given[4];
        if (p->training) {
            find_moments(p, buffers[0], c, &mean, &variance);
        }
        double factor = given[1] / sqrt(variance + (double)p->epsilon);
        for (int64_t i = 0; i < p->batch * p->positions && !hd_stop_ends(i); i++) {
            int64_t at = (i / p->positions * p->channels + c) * p->positions + i % p->positions;
            double x = hd_cpu_float_read(buffers[0], p->dtypes[0], at);
            hd_cpu_float_write(outputs[0], p->dtypes[0], at, (x - mean) * factor + given[2]);
        }
        for (size_t i = 1; i < p->output_count; i++) {
            size_t of = i % 2 == 1 ? 3 : 4; /* running mean and variance, then the batch's own */
            double now = of == 3 ? mean : variance, kept = i < 3 ? (double)p->momentum : 0;
            if (outputs[i] != NULL) {
                hd_cpu_float_write(outputs[i], p->dtypes[of], c,
                                   given[of] * kept + now * (1 - kept));
            }
        }
    }
}

static void compile_wide(hd_cpu_compilation *compilation, batch_norm_parameters *p)
{
    p->tiles = hd_cpu_tile_count(p->channels, p->batch * p->positions * 16);
    compilation->kernel.run = run_wide;
    compilation->kernel.tile_count = p->tiles;
    compilation->kernel.inplace_inputs = 1;
}

hd_status hd_cpu_batch_norm_compile(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    bool is_wide = false;
    for (size_t i = 0; i < 5; i++) {
        hd_dtype dtype = operation->inputs[i].dtype;
        is_wide |= dtype == HD_FLOAT64;
        if (dtype != HD_FLOAT32 && dtype != HD_FLOAT64) {
            return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                                     "there is no kernel for %s", hd_dtype_name(dtype));
        }
    }
    batch_norm_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    bool spatial = operation->opset >= 9 || hd_operation_int(operation, "spatial", 1) != 0;
    uint32_t from = !spatial ? shape->rank : shape->rank < 2 ? shape->rank : 2;
    p->batch = shape->dims[0];
    p->channels = hd_shape_count_range(shape, 1, from);
    p->positions = hd_shape_count_range(shape, from, shape->rank);
    p->batch = p->positions == 0 ? 0 : p->batch;
    p->epsilon = hd_operation_float(operation, "epsilon", 1e-5f);
    p->momentum = hd_operation_float(operation, "momentum", 0.9f);
    p->input_count = operation->input_count;
    p->output_count = operation->output_count;
    p->training = operation->opset >= 14 && hd_operation_int(operation, "training_mode", 0) != 0;
    if (!p->training) {
        for (size_t i = 1; i < operation->output_count; i++) {
            if (operation->outputs[i].dtype != HD_DTYPE_NONE) {
                return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                                         "statistics are given in training mode only");
            }
        }
    }
    if (is_wide) {
        for (size_t i = 0; i < 5; i++) {
            p->dtypes[i] = operation->inputs[i].dtype;
        }
        compile_wide(compilation, p);
        return HD_OK;
    }
    bool flat = p->positions == 1 && !p->training;
    int64_t items = p->training ? p->channels : flat ? p->batch : p->batch * p->channels;
    int64_t work = p->training ? p->batch * p->positions * 3 : flat ? p->channels : p->positions;
    p->tiles = hd_cpu_tile_count(items, work);
    compilation->kernel.run = p->training ? run_training : run_inference;
    compilation->kernel.tile_count = p->tiles;
    compilation->kernel.scratch_size = flat ? (size_t)p->channels * sizeof(float) : 0;
    compilation->kernel.inplace_inputs = 1;
    return HD_OK;
}
