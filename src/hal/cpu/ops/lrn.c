/* LRN and its neighbours: LRN divides by the energy of the channels around, LpNormalization by the norm
 * along an axis, MeanVarianceNormalization subtracts and divides by the moments over some axes. */
#include <math.h>
#include <sleef.h>
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/ops/normalization.h"
#include "hal/cpu/ops/reduction.h"
#include "operation/axes.h"

#define LINES_A_LOOK 256 /* short ones; long ones have looks of their own */

typedef struct lrn_parameters {
    int64_t batch, channels, positions;
    int64_t size;
    float alpha, beta, bias;
    int64_t tiles;
} lrn_parameters;

typedef struct lp_parameters {
    hd_axis_split split;
    bool squares;
    int64_t tiles;
} lp_parameters;

typedef struct mean_variance_parameters {
    hd_cpu_reduce_walk walk;
    int64_t results;
    int64_t tiles;
} mean_variance_parameters;

#define T     float
#define NAME  float32
#define POWER Sleef_powf_u10
#include "hal/cpu/ops/lrn_template.h"
#define T     double
#define NAME  float64
#define POWER Sleef_pow_u10
#include "hal/cpu/ops/lrn_template.h"

hd_status hd_cpu_lrn_compile(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    bool is_wide = operation->inputs[0].dtype == HD_FLOAT64;
    hd_status status = is_wide ? HD_OK : hd_cpu_float_only(compilation);
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
    compilation->kernel.run = is_wide ? run_lrn_float64 : run_lrn_float32;
    compilation->kernel.tile_count = p->tiles;
    return HD_OK;
}

hd_status hd_cpu_lp_norm_compile(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    bool is_wide = operation->inputs[0].dtype == HD_FLOAT64;
    hd_status status = is_wide ? HD_OK : hd_cpu_float_only(compilation);
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
    compilation->kernel.run = is_wide ? run_lp_float64 : run_lp_float32;
    compilation->kernel.tile_count = p->tiles;
    compilation->kernel.inplace_inputs = 1;
    return HD_OK;
}

hd_status hd_cpu_mean_variance_compile(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    bool is_wide = operation->inputs[0].dtype == HD_FLOAT64;
    hd_status status = is_wide ? HD_OK : hd_cpu_float_only(compilation);
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
    hd_cpu_reduce_walk_init(&p->walk, shape, reduced);
    int64_t columns = p->walk.fold_width ? 1 : p->walk.width;
    p->results = p->walk.outer * columns;
    int64_t folded = p->walk.rows * (p->walk.fold_width ? p->walk.width : 1);
    p->tiles = hd_cpu_tile_count(p->results, folded * 4);
    compilation->kernel.run = is_wide ? run_mean_variance_float64 : run_mean_variance_float32;
    compilation->kernel.tile_count = p->tiles;
    compilation->kernel.inplace_inputs = 1;
    return HD_OK;
}
