/* Group norm: InstanceNormalization and GroupNormalization: each group of channels of one batch entry
 * is normalized over its own elements, which lie together. */
#include <math.h>

#include "base/stop.h"
#include "hal/cpu/ops/moments.h"
#include "hal/cpu/ops/normalization.h"
#include "hal/cpu/ops/rows.h"

typedef struct group_norm_parameters {
    int64_t batch, groups, channels, positions; /* channels of a group */
    int64_t tiles;
    float epsilon;
    bool per_group; /* scale and bias hold one value a group */
} group_norm_parameters;

static void run_group_norm(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                           void *scratch)
{
    (void)scratch;
    const group_norm_parameters *p = parameters;
    const hd_cpu_rows *rows = hd_cpu_rows_get();
    const float *scale = buffers[1], *bias = buffers[2];
    int64_t size = p->channels * p->positions, items = p->batch * p->groups;
    int64_t stop = hd_cpu_tile_begin(items, p->tiles, end);
    for (int64_t i = hd_cpu_tile_begin(items, p->tiles, begin); i < stop; i++) {
        const float *x = (const float *)buffers[0] + i * size;
        float *y = (float *)buffers[3] + i * size;
        float mean = rows->fold[HD_FOLD_SUM](x, size) / (float)size;
        float variance = rows->sum_deviations(x, size, mean) / (float)size;
        float inverse = 1.0f / sqrtf(variance + p->epsilon);
        int64_t group = i % p->groups;
        for (int64_t c = 0; c < p->channels && !hd_stop_ends(c); c++) {
            int64_t at = p->per_group ? group : group * p->channels + c;
            float factor = scale[at] * inverse;
            for (int64_t k = 0, next; (next = hd_stop_reach(k, p->positions)) > k; k = next) {
                int64_t from = c * p->positions + k;
                rows->affine(y + from, x + from, mean, factor, bias[at], next - k);
            }
        }
    }
}

static hd_status compile_wide(hd_cpu_compilation *compilation, const group_norm_parameters *p)
{
    int64_t group = p->per_group ? 1 : p->channels, channel = p->per_group ? 0 : 1;
    hd_cpu_moments moments = {.rank = 4,
                              .dims = {p->batch, p->groups, p->channels, p->positions},
                              .scale = {0, group, channel, 0},
                              .bias = {0, group, channel, 0},
                              .rows = p->batch * p->groups,
                              .size = p->channels * p->positions,
                              .epsilon = (double)p->epsilon,
                              .centered = true};
    return hd_cpu_moments_compile(compilation, &moments);
}

hd_status hd_cpu_group_norm_compile(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    group_norm_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    bool instance = operation->id == HD_OP_INSTANCE_NORMALIZATION;
    p->batch = shape->dims[0];
    p->groups = instance ? shape->dims[1] : hd_operation_int(operation, "num_groups", 1);
    p->channels = p->groups == 0 ? 0 : shape->dims[1] / p->groups;
    p->positions = hd_shape_count_range(shape, 2, shape->rank);
    p->epsilon = hd_operation_float(operation, "epsilon", 1e-5f);
    p->per_group = hd_shape_count(&operation->inputs[1].shape) == p->groups;
    if (operation->inputs[0].dtype == HD_FLOAT64) {
        return compile_wide(compilation, p);
    }
    hd_status status = hd_cpu_float_only(compilation);
    if (status != HD_OK) {
        return status;
    }
    p->tiles = hd_cpu_tile_count(p->batch * p->groups, p->channels * p->positions * 3);
    compilation->kernel.run = run_group_norm;
    compilation->kernel.tile_count = p->tiles;
    compilation->kernel.inplace_inputs = 1;
    return HD_OK;
}
