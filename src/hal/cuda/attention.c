/* Fused attention in float32. */
#include "hal/cuda/attention_half.h"
#include "hal/cuda/kernels/attention_float32.h"
#include "hal/cuda/step.h"
#include "operation/fused.h"

/* Kernels by the largest size of a head, and by the queries of a block: fewer of them make more blocks. */
enum { SIZES = 3, TILES = 4, SIDE = 65535 };
static const int64_t sizes[SIZES] = {32, 64, 128}, tiles[TILES] = {64, 32, 16, 8};
static const uint32_t threads[TILES] = {256, 128, 128, 128};
static const hd_cuda_function functions[SIZES][TILES] = {
    {HD_CUDA_attention_32x64, HD_CUDA_attention_32x32, HD_CUDA_attention_32x16,
     HD_CUDA_attention_32x8},
    {HD_CUDA_attention_64x64, HD_CUDA_attention_64x32, HD_CUDA_attention_64x16,
     HD_CUDA_attention_64x8},
    {HD_CUDA_attention_128x64, HD_CUDA_attention_128x32, HD_CUDA_attention_128x16,
     HD_CUDA_attention_128x8}};

static void read_sizes(const hd_operation *operation, hd_cuda_attention_float32 *p)
{
    const hd_shape *q = &operation->inputs[0].shape, *k = &operation->inputs[1].shape;
    const hd_fused_attention *fused = hd_fused_attention_of(operation);
    int64_t values = operation->inputs[2].shape.dims[2];
    *p = (hd_cuda_attention_float32){.heads = (int)fused->heads,
                                     .queries = (int)q->dims[1],
                                     .keys = (int)k->dims[1],
                                     .size = (int)(q->dims[2] / fused->heads),
                                     .value_size = (int)(values / fused->heads),
                                     .scale = fused->scale};
}

static bool supports(const hd_cuda_unit *unit, const hd_operation *operation)
{
    bool fits = true;
    for (size_t i = 0; i < operation->input_count; i++) {
        hd_dtype dtype = operation->inputs[i].dtype;
        fits = fits &&
               (dtype == HD_FLOAT32 || (dtype == HD_DTYPE_NONE && i == 3) ||
                (dtype == unit->unit.half && i < 3)) &&
               hd_shape_count(&operation->inputs[i].shape) <= INT32_MAX;
    }
    hd_cuda_attention_float32 p;
    read_sizes(operation, &p);
    return fits && p.size <= sizes[SIZES - 1] && p.value_size <= sizes[SIZES - 1] &&
           p.heads <= SIDE && operation->inputs[0].shape.dims[0] <= SIDE;
}

static hd_status compile(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *y = &operation->outputs[0].shape;
    hd_cuda_attention_float32 p;
    if (operation->inputs[0].dtype != HD_FLOAT32) {
        return hd_cuda_compile_attention_half(compilation);
    }
    read_sizes(operation, &p);
    if (hd_shape_count(y) == 0) {
        return HD_OK;
    }
    hd_cuda_pointer pointers[5] = {
        {0, offsetof(hd_cuda_attention_float32, q), 0},
        {1, offsetof(hd_cuda_attention_float32, k), 0},
        {2, offsetof(hd_cuda_attention_float32, v), 0},
        {(uint16_t)operation->input_count, offsetof(hd_cuda_attention_float32, y), 0}};
    size_t used = 4;
    if (hd_operation_has(operation, 3)) {
        const hd_shape *mask = &operation->inputs[3].shape;
        int64_t own[HD_MAX_RANK];
        hd_shape_strides(mask, own);
        for (uint32_t d = 0; d < 4; d++) {
            p.mask_strides[d] = mask->dims[d] == 1 ? 0 : own[d];
        }
        pointers[used++] = (hd_cuda_pointer){3, offsetof(hd_cuda_attention_float32, mask), 0};
    }
    size_t size = 0, tile = 0;
    while (sizes[size] < p.size || sizes[size] < p.value_size) {
        size++;
    }
    int64_t others = y->dims[0] * p.heads;
    while (tile + 1 < TILES && hd_cuda_blocks(p.queries, tiles[tile]) * others <
                                   2 * (int64_t)compilation->unit->cores) {
        tile++;
    }
    const uint32_t grid[3] = {(uint32_t)hd_cuda_blocks(p.queries, tiles[tile]), (uint32_t)p.heads,
                              (uint32_t)y->dims[0]};
    hd_cuda_launch *launch = hd_cuda_add_launch(compilation, functions[size][tile], grid,
                                                threads[tile], &p, sizeof p, pointers, used);
    if (launch == NULL) {
        return hd_cuda_out_of_memory(compilation);
    }
    int64_t rows = tiles[tile] + 2 * HD_ATTENTION_KEYS;
    launch->shared = (uint32_t)((rows * (sizes[size] + 4) + tiles[tile] * (HD_ATTENTION_KEYS + 4)) *
                                (int64_t)sizeof(float));
    return HD_OK;
}

const hd_cuda_operator hd_cuda_operators_attention[] = {{HD_OP_HEDDLE_ATTENTION, supports, compile},
                                                        {HD_OP_NONE, NULL, NULL}};
