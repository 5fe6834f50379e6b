/* Layer norm: LayerNormalization, RMSNormalization and heddle.LayerNorm: each row is normalized over
 * its own elements. */
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/ops/moments.h"
#include "hal/cpu/ops/normalization.h"
#include "hal/cpu/ops/reduction.h"
#include "hal/cpu/ops/rows.h"
#include "operation/fused.h"

/* Scale or bias: a row's elements in their order, or broadcast to x's shape. */
typedef struct broadcast {
    bool is_row;
    bool differs; /* from row to row */
    int64_t strides[HD_MAX_RANK];
} broadcast;

typedef struct layer_norm_parameters {
    int64_t rows;
    int64_t size;
    int64_t tiles;
    float epsilon;
    bool centered;
    bool fused;
    size_t input_count, output_count;
    hd_shape shape; /* of x */
    broadcast scale, bias;
} layer_norm_parameters;

/* The elements for one row: where they lie, or in `room`, which is filled for the first row of a tile and for
 * every row if they differ. */
static const float *row_of(const layer_norm_parameters *p, const broadcast *how,
                           const float *operand, int64_t row, bool is_first, float *room)
{
    if (operand == NULL || how->is_row) {
        return operand;
    }
    for (int64_t i = 0; i < p->size && (is_first || how->differs) && !hd_stop_ends(i); i++) {
        room[i] = operand[hd_cpu_reduce_offset(p->shape.rank, p->shape.dims, how->strides,
                                               row * p->size + i)];
    }
    return room;
}

static void run_layer_norm(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                           void *scratch)
{
    const layer_norm_parameters *p = parameters;
    const hd_cpu_rows *rows = hd_cpu_rows_get();
    const float *x = buffers[0];
    const float *residual = p->fused && p->input_count > 3 ? buffers[3] : NULL;
    void *const *outputs = buffers + p->input_count;
    float *y = outputs[0];
    float *sum = p->fused && p->output_count > 1 ? outputs[1] : NULL;
    float *means = !p->fused && p->output_count > 1 ? outputs[1] : NULL;
    float *inverses = !p->fused && p->output_count > 2 ? outputs[2] : NULL;
    const float *bias = p->input_count > 2 ? buffers[2] : NULL;
    int64_t first = hd_cpu_tile_begin(p->rows, p->tiles, begin),
            stop = hd_cpu_tile_begin(p->rows, p->tiles, end);
    for (int64_t i = first; i < stop; i++) {
        int64_t offset = i * p->size;
        float mean, inverse;
        hd_cpu_norm_row row = {.x = x + offset,
                               .residual = residual == NULL ? NULL : residual + offset,
                               .scale = row_of(p, &p->scale, buffers[1], i, i == first, scratch),
                               .bias = row_of(p, &p->bias, bias, i, i == first,
                                              scratch == NULL ? NULL : (float *)scratch + p->size),
                               .y = y + offset,
                               .sum = sum == NULL ? NULL : sum + offset,
                               .epsilon = p->epsilon,
                               .centered = p->centered};
        if (sum != NULL && residual == NULL) {
            hd_stop_copy(sum + offset, x + offset, (size_t)p->size * sizeof *x);
        }
        rows->norm(&row, p->size, &mean, &inverse);
        if (means != NULL) {
            means[i] = mean;
        }
        if (inverses != NULL) {
            inverses[i] = inverse;
        }
    }
}

/* As many elements as a row has are a row, unless broadcasting says otherwise. */
static broadcast broadcast_of(const hd_operation *operation, size_t input, uint32_t axis,
                              int64_t size)
{
    const hd_shape *shape = &operation->inputs[0].shape;
    broadcast how = {.is_row = true};
    if (!hd_operation_has(operation, input)) {
        return how;
    }
    bool fits = hd_cpu_broadcast_strides(&operation->inputs[input].shape, shape, how.strides);
    how.is_row = hd_shape_count(&operation->inputs[input].shape) == size;
    for (uint32_t i = 0; i < axis; i++) {
        how.strides[i] = fits ? how.strides[i] : 0;
        how.differs |= how.strides[i] != 0;
    }
    how.is_row = how.is_row && !how.differs;
    return how;
}

/* In double precision, for float64 or statistics of it. */
static hd_status compile_wide(hd_cpu_compilation *compilation, const layer_norm_parameters *p)
{
    hd_cpu_moments moments = {.rank = p->shape.rank,
                              .rows = p->rows,
                              .size = p->size,
                              .epsilon = (double)p->epsilon,
                              .centered = p->centered};
    memcpy(moments.dims, p->shape.dims, sizeof moments.dims);
    const broadcast *both[] = {&p->scale, &p->bias};
    int64_t *strides[] = {moments.scale, moments.bias};
    for (size_t k = 0; k < 2; k++) {
        memcpy(strides[k], both[k]->strides, sizeof both[k]->strides);
        int64_t stride = 1;
        for (uint32_t i = p->shape.rank; i-- > 0 && both[k]->is_row && stride < p->size;) {
            strides[k][i] = stride;
            stride *= p->shape.dims[i];
        }
    }
    return hd_cpu_moments_compile(compilation, &moments);
}

hd_status hd_cpu_layer_norm_compile(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    layer_norm_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->fused = operation->id == HD_OP_HEDDLE_LAYER_NORM;
    p->centered = operation->id != HD_OP_RMS_NORMALIZATION;
    int64_t axis = p->fused ? -1 : hd_operation_int(operation, "axis", -1);
    if (!hd_axis_normalize(&axis, shape->rank)) {
        axis = 0; /* a scalar */
    }
    p->rows = hd_shape_count_range(shape, 0, (uint32_t)axis);
    p->size = hd_shape_count_range(shape, (uint32_t)axis, shape->rank);
    p->epsilon = p->fused ? hd_fused_layer_norm_of(operation)->epsilon
                          : hd_operation_float(operation, "epsilon", 1e-5f);
    p->input_count = operation->input_count;
    p->output_count = operation->output_count;
    p->shape = *shape;
    p->scale = broadcast_of(operation, 1, (uint32_t)axis, p->size);
    p->bias = broadcast_of(operation, 2, (uint32_t)axis, p->size);
    if (!p->fused && (operation->inputs[0].dtype == HD_FLOAT64 ||
                      hd_operation_int(operation, "stash_type", 1) == HD_FLOAT64)) {
        return compile_wide(compilation, p);
    }
    hd_status status = hd_cpu_float_only(compilation);
    if (status != HD_OK) {
        return status;
    }
    p->tiles = hd_cpu_tile_count(p->rows, p->size * 4);
    if (!p->scale.is_row || !p->bias.is_row) {
        compilation->kernel.scratch_size = 2 * (size_t)p->size * sizeof(float);
    }
    compilation->kernel.run = run_layer_norm;
    compilation->kernel.tile_count = p->tiles;
    compilation->kernel.inplace_inputs = 1;
    return HD_OK;
}
