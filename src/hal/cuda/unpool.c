/* MaxUnpool and Col2Im, in float32. */
#include "hal/cuda/kernels/unpool.h"

#include "hal/cuda/movement.h"
#include "operation/column.h"
#include "operation/window.h"

static hd_status launch(hd_cuda_compilation *compilation, hd_cuda_function function, int64_t count,
                        const void *parameters, size_t size, const hd_cuda_pointer *pointers,
                        size_t pointer_count)
{
    const uint32_t grid[3] = {(uint32_t)hd_cuda_blocks(count, HD_CUDA_UNPOOL_BLOCK), 1, 1};
    return count == 0 || hd_cuda_add_launch(compilation, function, grid, HD_CUDA_UNPOOL_BLOCK,
                                            parameters, size, pointers, pointer_count) != NULL
               ? HD_OK
               : hd_cuda_out_of_memory(compilation);
}

/* --- MaxUnpool */

static bool supports_unpool(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    hd_shape unpooled;
    return operation->inputs[0].dtype == HD_FLOAT32 && operation->inputs[1].dtype == HD_INT64 &&
           hd_cuda_moves(operation) && hd_window_unpooled(operation, &unpooled) &&
           hd_shape_is_valid(&unpooled, HD_FLOAT32) && hd_shape_count(&unpooled) <= INT32_MAX &&
           unpooled.rank == operation->outputs[0].shape.rank;
}

static hd_status compile_unpool(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *y = &operation->outputs[0].shape;
    hd_shape unpooled;
    (void)hd_window_unpooled(operation, &unpooled);
    hd_cuda_unpool p = {.count = (unsigned)hd_shape_count(&operation->inputs[0].shape),
                        .y_count = (unsigned)hd_shape_count(y),
                        .unpooled_count = hd_shape_count(&unpooled),
                        .rank = (int)y->rank,
                        .is_same = hd_shape_equal(y, &unpooled)};
    for (uint32_t i = 0; i < y->rank; i++) {
        p.unpooled[i] = hd_cuda_divisor_of((unsigned)unpooled.dims[i]);
        p.dims[i] = (int)y->dims[i];
    }
    const hd_cuda_pointer pointers[] = {
        {HD_CUDA_SCRATCH, offsetof(hd_cuda_unpool, elected), 0},
        {1, offsetof(hd_cuda_unpool, places), 0},
        {0, offsetof(hd_cuda_unpool, x), 0},
        {(uint16_t)operation->input_count, offsetof(hd_cuda_unpool, y), 0}};
    compilation->kernel->scratch_size = p.y_count * sizeof(int);
    hd_status status =
        launch(compilation, HD_CUDA_unpool_clear, p.y_count, &p, sizeof p, pointers, 1);
    if (status == HD_OK && p.y_count > 0) {
        status = launch(compilation, HD_CUDA_unpool_places, p.count, &p, sizeof p, pointers, 2);
    }
    return status != HD_OK
               ? status
               : launch(compilation, HD_CUDA_unpool, p.y_count, &p, sizeof p, pointers, 4);
}

/* --- Col2Im */

static bool supports_col2im(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    hd_column c;
    if (operation->inputs[0].dtype != HD_FLOAT32 || operation->inputs[1].data == NULL ||
        operation->inputs[2].data == NULL || !hd_cuda_moves(operation) ||
        hd_column_resolve(operation, &c, NULL) != HD_OK) {
        return false;
    }
    bool fits = c.block_size <= INT32_MAX && c.block_count <= INT32_MAX;
    for (uint32_t i = 0; i < c.spatial; i++) {
        int64_t reach;
        fits = fits && !__builtin_mul_overflow(c.block[i], c.dilation[i], &reach) &&
               reach <= INT32_MAX / 4 && c.stride[i] <= INT32_MAX &&
               c.pad_begin[i] <= INT32_MAX / 4 && c.image[i] <= INT32_MAX / 4;
    }
    return fits;
}

static hd_status compile_col2im(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    hd_column c;
    hd_status status = hd_column_resolve(operation, &c, compilation->error);
    const int64_t count = hd_shape_count(&operation->outputs[0].shape);
    if (status != HD_OK || count == 0) {
        return status;
    }
    hd_cuda_col2im p = {.count = (unsigned)count,
                        .spatial = (int)c.spatial,
                        .block_size = (int)c.block_size,
                        .block_count = (int)c.block_count};
    for (uint32_t i = 0; i < c.spatial; i++) {
        p.image[i] = hd_cuda_divisor_of((unsigned)c.image[i]);
        p.block[i] = hd_cuda_divisor_of((unsigned)c.block[i]);
        p.blocks[i] = (int)c.blocks[i];
        p.dilation[i] = (int)c.dilation[i];
        p.stride[i] = (int)c.stride[i];
        p.pad[i] = (int)c.pad_begin[i];
    }
    const hd_cuda_pointer pointers[] = {{0, offsetof(hd_cuda_col2im, x), 0},
                                        {3, offsetof(hd_cuda_col2im, y), 0}};
    return launch(compilation, HD_CUDA_col2im, count, &p, sizeof p, pointers, 2);
}

const hd_cuda_operator hd_cuda_operators_unpool[] = {
    {HD_OP_MAX_UNPOOL, supports_unpool, compile_unpool},
    {HD_OP_COL2IM, supports_col2im, compile_col2im},
    {HD_OP_NONE, NULL, NULL}};
