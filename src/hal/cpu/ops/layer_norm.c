/* Layer norm: LayerNormalization, RMSNormalization and heddle.LayerNorm: each row is normalized over
 * its own elements. */
#include <string.h>

#include "hal/cpu/ops/normalization.h"
#include "hal/cpu/ops/rows.h"
#include "hal/fused.h"

typedef struct layer_norm_parameters {
    int64_t rows;
    int64_t size;
    int64_t tiles;
    float epsilon;
    bool centered;
    bool fused;
    size_t input_count, output_count;
} layer_norm_parameters;

static void run_layer_norm(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                           void *scratch)
{
    (void)scratch;
    const layer_norm_parameters *p = parameters;
    const hd_rows *rows = hd_rows_get();
    const float *x = buffers[0];
    const float *residual = p->fused && p->input_count > 3 ? buffers[3] : NULL;
    void *const *outputs = buffers + p->input_count;
    float *y = outputs[0];
    float *sum = p->fused && p->output_count > 1 ? outputs[1] : NULL;
    float *means = !p->fused && p->output_count > 1 ? outputs[1] : NULL;
    float *inverses = !p->fused && p->output_count > 2 ? outputs[2] : NULL;
    int64_t stop = hd_cpu_tile_begin(p->rows, p->tiles, end);
    for (int64_t i = hd_cpu_tile_begin(p->rows, p->tiles, begin); i < stop; i++) {
        int64_t offset = i * p->size;
        float mean, inverse;
        hd_norm_row row = {.x = x + offset,
                           .residual = residual == NULL ? NULL : residual + offset,
                           .scale = buffers[1],
                           .bias = p->input_count > 2 ? buffers[2] : NULL,
                           .y = y + offset,
                           .sum = sum == NULL ? NULL : sum + offset,
                           .epsilon = p->epsilon,
                           .centered = p->centered};
        if (sum != NULL && residual == NULL) {
            memcpy(sum + offset, x + offset, (size_t)p->size * sizeof *x);
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

hd_status hd_layer_norm_compile(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    hd_status status = hd_float_only(compilation);
    if (status != HD_OK) {
        return status;
    }
    layer_norm_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->fused = strcmp(operation->type, "heddle.LayerNorm") == 0;
    p->centered = strcmp(operation->type, "RMSNormalization") != 0;
    int64_t axis = p->fused ? -1 : hd_operation_int(operation, "axis", -1);
    if (!hd_axis_normalize(&axis, shape->rank)) {
        axis = 0; /* a scalar */
    }
    p->rows = hd_shape_count_range(shape, 0, (uint32_t)axis);
    p->size = hd_shape_count_range(shape, (uint32_t)axis, shape->rank);
    const hd_fused_layer_norm *fused = operation->fused;
    p->epsilon = p->fused ? fused->epsilon : hd_operation_float(operation, "epsilon", 1e-5f);
    p->input_count = operation->input_count;
    p->output_count = operation->output_count;
    p->tiles = hd_cpu_tile_count(p->rows, p->size * 4);
    compilation->kernel.run = run_layer_norm;
    compilation->kernel.tile_count = p->tiles;
    compilation->kernel.inplace_inputs = 1;
    return HD_OK;
}
