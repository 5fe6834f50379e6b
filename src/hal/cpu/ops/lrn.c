/* LRN and its neighbours: LRN divides by the energy of the channels around, LpNormalization by the norm
 * along an axis, MeanVarianceNormalization subtracts and divides by the moments over some axes. */
#include <math.h>
#include <sleef.h>
#include <string.h>

#include "hal/axes.h"
#include "hal/cpu/ops/normalization.h"
#include "hal/cpu/ops/reduction.h"

typedef struct lrn_parameters {
    int64_t batch, channels, positions;
    int64_t size;
    float alpha, beta, bias;
    int64_t tiles;
} lrn_parameters;

static void run_lrn(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                    void *scratch)
{
    (void)scratch;
    const lrn_parameters *p = parameters;
    int64_t items = p->batch * p->channels;
    int64_t before = (p->size - 1) / 2, after = p->size - 1 - before;
    int64_t stop = hd_cpu_tile_begin(items, p->tiles, end);
    for (int64_t item = hd_cpu_tile_begin(items, p->tiles, begin); item < stop; item++) {
        int64_t c = item % p->channels;
        const float *image = (const float *)buffers[0] + (item - c) * p->positions;
        float *y = (float *)buffers[1] + item * p->positions;
        int64_t low = c - before < 0 ? 0 : c - before;
        int64_t high = c + after >= p->channels ? p->channels - 1 : c + after;
        for (int64_t i = 0; i < p->positions; i++) {
            y[i] = 0.0f;
        }
        for (int64_t k = low; k <= high; k++) {
            const float *x = image + k * p->positions;
            for (int64_t i = 0; i < p->positions; i++) {
                y[i] += x[i] * x[i];
            }
        }
        const float *x = image + c * p->positions;
        float factor = p->alpha / (float)p->size;
        for (int64_t i = 0; i < p->positions; i++) {
            y[i] = x[i] / Sleef_powf_u10(p->bias + factor * y[i], p->beta);
        }
    }
}

hd_status hd_lrn_compile(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    hd_status status = hd_float_only(compilation);
    if (status != HD_OK) {
        return status;
    }
    lrn_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->batch = shape->dims[0];
    p->channels = shape->dims[1];
    p->positions = hd_shape_count_range(shape, 2, shape->rank);
    p->size = hd_operation_int(operation, "size", 1);
    p->alpha = hd_operation_float(operation, "alpha", 1e-4f);
    p->beta = hd_operation_float(operation, "beta", 0.75f);
    p->bias = hd_operation_float(operation, "bias", 1.0f);
    p->tiles = hd_cpu_tile_count(p->batch * p->channels, p->positions * 20);
    compilation->kernel.run = run_lrn;
    compilation->kernel.tile_count = p->tiles;
    return HD_OK;
}

typedef struct lp_parameters {
    hd_axis_split split;
    bool squares;
    int64_t tiles;
} lp_parameters;

static void run_lp(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                   void *scratch)
{
    (void)scratch;
    const lp_parameters *p = parameters;
    int64_t step = p->split.inner, items = p->split.outer * step;
    int64_t stop = hd_cpu_tile_begin(items, p->tiles, end);
    for (int64_t item = hd_cpu_tile_begin(items, p->tiles, begin); item < stop; item++) {
        int64_t offset = item / step * p->split.size * step + item % step;
        const float *x = (const float *)buffers[0] + offset;
        float *y = (float *)buffers[1] + offset;
        double sum = 0;
        for (int64_t i = 0; i < p->split.size; i++) {
            double value = (double)x[i * step];
            sum += p->squares ? value * value : fabs(value);
        }
        float norm = (float)(p->squares ? sqrt(sum) : sum);
        for (int64_t i = 0; i < p->split.size; i++) {
            y[i * step] = norm == 0.0f ? 0.0f : x[i * step] / norm;
        }
    }
}

hd_status hd_lp_norm_compile(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    hd_status status = hd_float_only(compilation);
    if (status != HD_OK) {
        return status;
    }
    lp_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    int64_t axis = hd_operation_int(operation, "axis", -1);
    hd_axis_normalize(&axis, shape->rank);
    p->split.outer = hd_shape_count_range(shape, 0, (uint32_t)axis);
    p->split.size = shape->dims[axis];
    p->split.inner = hd_shape_count_range(shape, (uint32_t)axis + 1, shape->rank);
    p->squares = hd_operation_int(operation, "p", 2) == 2;
    p->tiles = hd_cpu_tile_count(p->split.outer * p->split.inner, p->split.size * 4);
    compilation->kernel.run = run_lp;
    compilation->kernel.tile_count = p->tiles;
    compilation->kernel.inplace_inputs = 1;
    return HD_OK;
}

typedef struct mean_variance_parameters {
    hd_reduce_walk walk;
    int64_t results;
    int64_t tiles;
} mean_variance_parameters;

static void normalize(const hd_reduce_walk *walk, const float *x, float *y)
{
    int64_t width = walk->fold_width ? walk->width : 1, count = walk->rows * width;
    double sum = 0, squares = 0;
    for (int64_t r = 0; r < walk->rows; r++) {
        int64_t at = hd_reduce_offset(walk->row_rank, walk->row_dims, walk->row_strides, r);
        for (int64_t i = at; i < at + width; i++) {
            sum += (double)x[i];
        }
    }
    double mean = sum / (double)count;
    for (int64_t r = 0; r < walk->rows; r++) {
        int64_t at = hd_reduce_offset(walk->row_rank, walk->row_dims, walk->row_strides, r);
        for (int64_t i = at; i < at + width; i++) {
            double value = (double)x[i] - mean;
            squares += value * value;
        }
    }
    double deviation = sqrt(squares / (double)count) + 1e-9; /* as in the operator's definition */
    for (int64_t r = 0; r < walk->rows; r++) {
        int64_t at = hd_reduce_offset(walk->row_rank, walk->row_dims, walk->row_strides, r);
        for (int64_t i = at; i < at + width; i++) {
            y[i] = (float)(((double)x[i] - mean) / deviation);
        }
    }
}

static void run_mean_variance(const void *parameters, void *const *buffers, int64_t begin,
                              int64_t end, void *scratch)
{
    (void)scratch;
    const mean_variance_parameters *p = parameters;
    const hd_reduce_walk *walk = &p->walk;
    int64_t columns = walk->fold_width ? 1 : walk->width;
    int64_t stop = hd_cpu_tile_begin(p->results, p->tiles, end);
    for (int64_t i = hd_cpu_tile_begin(p->results, p->tiles, begin); i < stop; i++) {
        int64_t at = hd_reduce_offset(walk->outer_rank, walk->outer_dims, walk->outer_strides,
                                      i / columns) +
                     i % columns;
        normalize(walk, (const float *)buffers[0] + at, (float *)buffers[1] + at);
    }
}

hd_status hd_mean_variance_compile(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    hd_status status = hd_float_only(compilation);
    if (status != HD_OK) {
        return status;
    }
    mean_variance_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    bool reduced[HD_MAX_RANK] = {true, false, true, true};
    size_t count;
    const int64_t *axes = hd_operation_ints(operation, "axes", &count);
    if (axes != NULL) {
        memset(reduced, 0, sizeof reduced);
        for (size_t i = 0; i < count; i++) {
            int64_t axis = axes[i];
            hd_axis_normalize(&axis, shape->rank);
            reduced[axis] = true;
        }
    }
    hd_reduce_walk_init(&p->walk, shape, reduced);
    int64_t columns = p->walk.fold_width ? 1 : p->walk.width;
    p->results = p->walk.outer * columns;
    int64_t folded = p->walk.rows * (p->walk.fold_width ? p->walk.width : 1);
    p->tiles = hd_cpu_tile_count(p->results, folded * 4);
    compilation->kernel.run = run_mean_variance;
    compilation->kernel.tile_count = p->tiles;
    compilation->kernel.inplace_inputs = 1;
    return HD_OK;
}
