#include "hal/cuda/attention_half.h"

#include "hal/cuda/kernels/attention_wgmma.h"
#include "operation/fused.h"

/* Heads of 32 elements have kernels by warps: fewer of them make more blocks. */
enum { SIZES = 3, WARPS = 3, MOST_WARPS = 4 };
static const int64_t sizes[SIZES] = {32, 64, 128};
#define BY_WARPS(type)                                                                             \
    {HD_CUDA_attention_##type##_32x4, HD_CUDA_attention_##type##_32x2,                             \
     HD_CUDA_attention_##type##_32x1}
static const hd_cuda_function by_warps[2][WARPS] = {BY_WARPS(float16), BY_WARPS(bfloat16)};
static const hd_cuda_function others[2][SIZES] = {
    {0, HD_CUDA_attention_wgmma_float16_64, HD_CUDA_attention_wgmma_float16_128},
    {0, HD_CUDA_attention_wgmma_bfloat16_64, HD_CUDA_attention_wgmma_bfloat16_128}};

/* The row of kernels for a head; SIZES: there is none. */
static size_t size_index(const hd_operation *operation)
{
    int64_t heads = hd_fused_attention_of(operation)->heads;
    int64_t size = operation->inputs[0].shape.dims[2] / heads, found = 0;
    bool alike = operation->inputs[2].shape.dims[2] / heads == size;
    while (found < SIZES && (sizes[found] != size || !alike)) {
        found++;
    }
    return (size_t)found;
}

hd_half_use hd_cuda_attention_half_use(const hd_operation *operation)
{
    uint64_t all = 7 | UINT64_C(1) << operation->input_count;
    return size_index(operation) == SIZES ? (hd_half_use){0, 0, false}
                                          : (hd_half_use){all, all, false};
}

typedef struct way {
    hd_cuda_function function;
    uint32_t threads, queries; /* of a block */
    uint32_t shared;           /* bytes */
} way;

static way choose(const hd_cuda_unit *unit, const hd_cuda_attention_half *p, size_t size)
{
    bool is_bfloat = unit->unit.half == HD_BFLOAT16;
    if (sizes[size] > 32) {
        return (way){others[is_bfloat][size], 128, HD_ATTENTION_WGMMA_QUERIES,
                     (uint32_t)HD_ATTENTION_WGMMA_SHARED(sizes[size])};
    }
    uint32_t warps = MOST_WARPS, choice = 0;
    while (warps > 1 && hd_cuda_blocks(p->queries, 16 * warps) * p->batch * p->heads <
                            2 * (int64_t)unit->cores) {
        warps /= 2;
        choice++;
    }
    return (way){by_warps[is_bfloat][choice], 32 * warps, 16 * warps,
                 (uint32_t)HD_ATTENTION_HALF_SHARED(sizes[size], warps)};
}

hd_status hd_cuda_compile_attention_half(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *q = &operation->inputs[0].shape, *k = &operation->inputs[1].shape;
    const hd_fused_attention *fused = hd_fused_attention_of(operation);
    int64_t width = q->dims[2];
    if (hd_shape_count(&operation->outputs[0].shape) == 0) {
        return HD_OK;
    }
    hd_cuda_attention_half p = {.batch = (int)q->dims[0],
                                .heads = (int)fused->heads,
                                .queries = (int)q->dims[1],
                                .keys = (int)k->dims[1],
                                .scale = fused->scale,
                                .q_stride = (int)width,
                                .k_stride = (int)width,
                                .v_stride = (int)width,
                                .y_stride = (int)width,
                                .q_batch_stride = q->dims[1] * width,
                                .k_batch_stride = k->dims[1] * width,
                                .v_batch_stride = k->dims[1] * width,
                                .y_batch_stride = q->dims[1] * width};
    hd_cuda_pointer pointers[5] = {
        {.operand = 0, .at = offsetof(hd_cuda_attention_half, q)},
        {.operand = 1, .at = offsetof(hd_cuda_attention_half, k)},
        {.operand = 2, .at = offsetof(hd_cuda_attention_half, v)},
        {.operand = (uint16_t)operation->input_count, .at = offsetof(hd_cuda_attention_half, y)}};
    size_t used = 4;
    if (hd_operation_has(operation, 3)) {
        const hd_shape *mask = &operation->inputs[3].shape;
        int64_t own[HD_MAX_RANK];
        hd_shape_strides(mask, own);
        p.mask_batch_stride = mask->dims[0] == 1 ? 0 : own[0];
        p.mask_head_stride = mask->dims[1] == 1 ? 0 : own[1];
        p.mask_query_stride = mask->dims[2] == 1 ? 0 : own[2];
        p.mask_key_stride = mask->dims[3] == 1 ? 0 : own[3];
        pointers[used++] =
            (hd_cuda_pointer){.operand = 3, .at = offsetof(hd_cuda_attention_half, mask)};
    }
    const way chosen = choose(compilation->unit, &p, size_index(operation));
    const uint32_t grid[3] = {(uint32_t)hd_cuda_blocks(p.queries, chosen.queries),
                              (uint32_t)p.heads, (uint32_t)p.batch};
    hd_cuda_launch *launch = hd_cuda_add_launch(compilation, chosen.function, grid, chosen.threads,
                                                &p, sizeof p, pointers, used);
    if (launch == NULL) {
        return hd_cuda_out_of_memory(compilation);
    }
    launch->shared = chosen.shared;
    return HD_OK;
}
