/* GridSample, AffineGrid, RoiAlign, MaxRoiPool, in float32. */
#include "hal/cuda/kernels/sampling.h"

#include <string.h>

#include "hal/cuda/movement.h"

#define MOST_SAMPLES 1024

static bool supports(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    return operation->inputs[0].dtype == HD_FLOAT32 && hd_cuda_moves(operation);
}

static hd_status launch(hd_cuda_compilation *compilation, hd_cuda_function function, int64_t count,
                        const void *parameters, size_t size, const hd_cuda_pointer *pointers,
                        size_t pointer_count)
{
    const uint32_t grid[3] = {(uint32_t)hd_cuda_blocks(count, HD_CUDA_SAMPLE_BLOCK), 1, 1};
    return hd_cuda_add_launch(compilation, function, grid, HD_CUDA_SAMPLE_BLOCK, parameters, size,
                              pointers, pointer_count) == NULL
               ? hd_cuda_out_of_memory(compilation)
               : HD_OK;
}

/* --- GridSample */

static bool supports_grid_sample(const hd_cuda_unit *unit, const hd_operation *operation)
{
    return supports(unit, operation) && operation->inputs[1].dtype == HD_FLOAT32;
}

static hd_status compile_grid_sample(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *x = &operation->inputs[0].shape, *y = &operation->outputs[0].shape;
    const char *mode = hd_operation_string(operation, "mode", "linear");
    const char *padding = hd_operation_string(operation, "padding_mode", "zeros");
    if (hd_shape_count(y) == 0) {
        return HD_OK;
    }
    const int64_t points = hd_shape_count_range(y, 2, y->rank);
    hd_cuda_grid_sample p = {
        .count = (unsigned)(x->dims[0] * points),
        .points = hd_cuda_divisor_of((unsigned)points),
        .spatial = (int)x->rank - 2,
        .channels = (int)x->dims[1],
        .in = {1, 1, 1},
        .mode = strstr(mode, "nearest") != NULL ? HD_CUDA_GRID_NEAREST
                : strstr(mode, "cubic") != NULL ? HD_CUDA_GRID_CUBIC
                                                : HD_CUDA_GRID_LINEAR,
        .padding = hd_shape_count(x) == 0               ? HD_CUDA_GRID_ZEROS /* nothing is inside */
                   : strcmp(padding, "border") == 0     ? HD_CUDA_GRID_BORDER
                   : strcmp(padding, "reflection") == 0 ? HD_CUDA_GRID_REFLECTION
                                                        : HD_CUDA_GRID_ZEROS,
        .aligns_corners = hd_operation_int(operation, "align_corners", 0) != 0};
    for (int i = 0; i < p.spatial; i++) {
        p.in[3 - p.spatial + i] = (int)x->dims[2 + i];
    }
    const hd_cuda_pointer pointers[] = {{0, offsetof(hd_cuda_grid_sample, x), 0},
                                        {1, offsetof(hd_cuda_grid_sample, grid), 0},
                                        {2, offsetof(hd_cuda_grid_sample, y), 0}};
    return launch(compilation, HD_CUDA_grid_sample, p.count, &p, sizeof p, pointers, 3);
}

/* --- AffineGrid */

static hd_status compile_affine_grid(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *y = &operation->outputs[0].shape;
    if (hd_shape_count(y) == 0) {
        return HD_OK;
    }
    const int64_t points = hd_shape_count_range(y, 1, y->rank - 1);
    hd_cuda_affine_grid p = {.count = (unsigned)(y->dims[0] * points),
                             .points = hd_cuda_divisor_of((unsigned)points),
                             .spatial = (int)y->rank - 2,
                             .aligns_corners =
                                 hd_operation_int(operation, "align_corners", 0) != 0};
    for (int i = 0; i < p.spatial; i++) {
        p.size[i] = hd_cuda_divisor_of((unsigned)y->dims[1 + i]);
    }
    const hd_cuda_pointer pointers[] = {{0, offsetof(hd_cuda_affine_grid, theta), 0},
                                        {2, offsetof(hd_cuda_affine_grid, y), 0}};
    return launch(compilation, HD_CUDA_affine_grid, p.count, &p, sizeof p, pointers, 2);
}

/* --- RoiAlign, MaxRoiPool */

static bool supports_roi(const hd_cuda_unit *unit, const hd_operation *operation)
{
    return supports(unit, operation) && operation->inputs[1].dtype == HD_FLOAT32 &&
           hd_operation_int(operation, "sampling_ratio", 0) <= MOST_SAMPLES &&
           operation->inputs[0].shape.dims[2] <= INT32_MAX / 4 &&
           operation->inputs[0].shape.dims[3] <= INT32_MAX / 4;
}

static hd_status compile_roi(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *x = &operation->inputs[0].shape, *y = &operation->outputs[0].shape;
    const bool aligns = operation->id == HD_OP_ROI_ALIGN;
    const char *transformation =
        hd_operation_string(operation, "coordinate_transformation_mode",
                            operation->opset >= 16 ? "half_pixel" : "output_half_pixel");
    const int64_t samples = hd_operation_int(operation, "sampling_ratio", 0);
    if (hd_shape_count(y) == 0) {
        return HD_OK;
    }
    const hd_cuda_roi p = {.count = (unsigned)hd_shape_count(y),
                           .channels = hd_cuda_divisor_of((unsigned)x->dims[1]),
                           .rows = hd_cuda_divisor_of((unsigned)y->dims[2]),
                           .columns = hd_cuda_divisor_of((unsigned)y->dims[3]),
                           .batch = (int)x->dims[0],
                           .in = {(int)x->dims[2], (int)x->dims[3]},
                           .images_are_wide = aligns && operation->inputs[2].dtype == HD_INT64,
                           .takes_maximum =
                               strcmp(hd_operation_string(operation, "mode", "avg"), "max") == 0,
                           .is_half_pixel = strcmp(transformation, "half_pixel") == 0,
                           .samples = samples > 0 ? (int)samples : 0,
                           .scale = hd_operation_float(operation, "spatial_scale", 1.0f)};
    hd_cuda_pointer pointers[4] = {{0, offsetof(hd_cuda_roi, x), 0},
                                   {1, offsetof(hd_cuda_roi, regions), 0},
                                   {(uint16_t)operation->input_count, offsetof(hd_cuda_roi, y), 0}};
    size_t used = 3;
    if (aligns) {
        pointers[used++] = (hd_cuda_pointer){2, offsetof(hd_cuda_roi, images), 0};
    }
    return launch(compilation, aligns ? HD_CUDA_roi_align : HD_CUDA_roi_pool, p.count, &p, sizeof p,
                  pointers, used);
}

const hd_cuda_operator hd_cuda_operators_sampling[] = {
    {HD_OP_GRID_SAMPLE, supports_grid_sample, compile_grid_sample},
    {HD_OP_AFFINE_GRID, supports, compile_affine_grid},
    {HD_OP_ROI_ALIGN, supports_roi, compile_roi},
    {HD_OP_MAX_ROI_POOL, supports_roi, compile_roi},
    {HD_OP_NONE, NULL, NULL}};
