/* Products with a constant matrix in float16 or bfloat16. */
#include "hal/cuda/product_half.h"

#include <string.h>

#include "hal/cuda/constants.h"
#include "hal/cuda/kernels/product_half.h"
#include "hal/cuda/product.h"

/* Tiles, the largest first. */
typedef struct half_tile {
    int64_t rows, columns;
    uint32_t shared;
    hd_cuda_function functions[2]; /* float16, bfloat16 */
} half_tile;

#define TILE(groups, columns)                                                                      \
    {                                                                                              \
        64 * groups, columns,                                                                      \
            HD_HALF_SHARED(groups, columns, HD_HALF_STAGES_##groups##X##columns),                  \
        {                                                                                          \
            HD_CUDA_product_float16_##groups##x##columns,                                          \
                HD_CUDA_product_bfloat16_##groups##x##columns                                      \
        }                                                                                          \
    }
static const half_tile tiles[] = {TILE(2, 128), TILE(2, 64), TILE(1, 64), TILE(1, 32), TILE(1, 16)};

enum { TILE_COUNT = sizeof tiles / sizeof tiles[0], BUSY_PERCENT = 75 };

static int64_t blocks_of(const half_tile *tile, int64_t m, int64_t n)
{
    return hd_cuda_blocks(m, tile->rows) * hd_cuda_blocks(n, tile->columns);
}

/* Blocks that have this many tiles: two a multiprocessor at most, which take tiles in turns. */
static int64_t grid_of(const hd_cuda_unit *unit, int64_t count)
{
    return count < 2 * unit->cores ? count : 2 * unit->cores;
}

/* All tiles give the same bits: the largest that gives most multiprocessors a block. Of 48 shapes of two encoders on an H200 that
 * is 3.4 % slower than the fastest of these in the geometric mean, and 25 and 34 % at worst, for single rows of wide products. */
static const half_tile *choose(const hd_cuda_unit *unit, int64_t m, int64_t n)
{
    size_t tile = 0;
    while (tile + 1 < TILE_COUNT &&
           100 * blocks_of(&tiles[tile], m, n) < BUSY_PERCENT * (int64_t)unit->cores) {
        tile++;
    }
    return &tiles[tile];
}

hd_half_use hd_cuda_product_half_use(const hd_operation *operation)
{
    const hd_packed *packed = operation->inputs[1].packed;
    if (packed == NULL || !hd_cuda_form_is_half(packed->form.kind)) {
        return (hd_half_use){0, 0, false};
    }
    hd_half_use use = {.must = 1};
    use.may = 1 | UINT64_C(1) << operation->input_count;
    if (operation->id == HD_OP_HEDDLE_LINEAR && hd_operation_has(operation, 3)) {
        use.may |= UINT64_C(1) << 3;
    }
    return use;
}

/* x as panels of a tile's rows; list.c says where it lies. */
static hd_status make_map(const hd_cuda_unit *unit, const hd_cuda_half_product *p, int64_t rows,
                          hd_cuda_tensor_map *out)
{
    _Static_assert(sizeof(CUtensorMap) == sizeof(hd_cuda_tensor_map), "one for the other");
    const cuuint64_t sizes[2] = {(cuuint64_t)p->k, (cuuint64_t)p->m};
    const cuuint64_t strides[1] = {(cuuint64_t)p->k * 2};
    const cuuint32_t box[2] = {HD_HALF_PANEL, (cuuint32_t)rows}, steps[2] = {1, 1};
    void *anywhere = (void *)(uintptr_t)4096;
    hd_status status = hd_cuda_enter(unit);
    if (status != HD_OK) {
        return status;
    }
    CUresult result = unit->driver->cuTensorMapEncodeTiled(
        (CUtensorMap *)out,
        unit->unit.half == HD_BFLOAT16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
                                       : CU_TENSOR_MAP_DATA_TYPE_FLOAT16,
        2, anywhere, sizes, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
        CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
        CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    return hd_cuda_status(result);
}

hd_status hd_cuda_add_half_product(hd_cuda_compilation *compilation,
                                   const hd_cuda_multiplication *what)
{
    const hd_operation *operation = compilation->operation;
    const hd_cuda_unit *unit = compilation->unit;
    int64_t m = hd_shape_count(&operation->outputs[0].shape) / what->n;
    if (m == 0) {
        return HD_OK;
    }
    const half_tile *tile = choose(unit, m, what->n);
    /* A Gemm's C is a row; a Linear's residual is as y. */
    int bias = operation->id == HD_OP_GEMM ? what->residual : what->bias;
    int residual = operation->id == HD_OP_GEMM ? -1 : what->residual;
    hd_cuda_half_product p = {.w = {what->packed->memory},
                              .count = 1,
                              .m = (int)m,
                              .n = (int)what->n,
                              .k = (int)what->k,
                              .y_kind = operation->outputs[0].dtype == HD_FLOAT32
                                            ? HD_CUDA_FLOAT_ELEMENTS
                                            : HD_CUDA_HALF_ELEMENTS,
                              .activation = what->activation};
    hd_status status = make_map(unit, &p, tile->rows, &p.x);
    if (status != HD_OK) {
        return hd_operation_fail(operation, compilation->error, status,
                                 "the driver makes no tensor map of its input");
    }
    hd_cuda_pointer pointers[4] = {
        {.operand = 0, .at = offsetof(hd_cuda_half_product, x)},
        {.operand = (uint16_t)operation->input_count, .at = offsetof(hd_cuda_half_product, y)}};
    size_t used = 2;
    if (bias >= 0) {
        pointers[used++] = (hd_cuda_pointer){.operand = (uint16_t)bias,
                                             .at = offsetof(hd_cuda_half_product, bias)};
    }
    if (residual >= 0) {
        p.residual_kind = operation->inputs[residual].dtype == HD_FLOAT32 ? HD_CUDA_FLOAT_ELEMENTS
                                                                          : HD_CUDA_HALF_ELEMENTS;
        pointers[used++] = (hd_cuda_pointer){.operand = (uint16_t)residual,
                                             .at = offsetof(hd_cuda_half_product, residual)};
    }
    const uint32_t grid[3] = {(uint32_t)grid_of(unit, blocks_of(tile, m, what->n)), 1, 1};
    hd_cuda_launch *launch =
        hd_cuda_add_launch(compilation, tile->functions[unit->unit.half == HD_BFLOAT16], grid,
                           (uint32_t)(2 * tile->rows + 32), &p, sizeof p, pointers, used);
    if (launch == NULL) {
        return hd_cuda_out_of_memory(compilation);
    }
    launch->shared = tile->shared;
    launch->map_count = 1;
    launch->joins = residual < 0;
    return HD_OK;
}

static bool is_alike(const hd_cuda_half_product *a, const hd_cuda_half_product *b)
{
    return a->m == b->m && a->n == b->n && a->k == b->k && a->y_kind == b->y_kind &&
           a->activation.kind == b->activation.kind && a->activation.alpha == b->activation.alpha &&
           a->activation.beta == b->activation.beta &&
           a->activation.scales == b->activation.scales &&
           a->activation.scale == b->activation.scale && a->activation.shift == b->activation.shift;
}

bool hd_cuda_half_product_join(const hd_cuda_unit *unit, hd_cuda_command *into,
                               const hd_cuda_launch *launch, size_t *shift)
{
    hd_cuda_half_product *p = (hd_cuda_half_product *)(void *)into->parameters, other;
    memcpy(&other, launch->parameters, sizeof other);
    if (p->count == HD_HALF_PRODUCTS || into->function != unit->functions[launch->function] ||
        !is_alike(p, &other)) {
        return false;
    }
    size_t tile = 0;
    while (tiles[tile].functions[0] != launch->function &&
           tiles[tile].functions[1] != launch->function) {
        tile++;
    }
    p->w[p->count] = other.w[0];
    *shift = (size_t)p->count++ * sizeof(void *);
    into->config.gridDimX = (unsigned)grid_of(unit, p->count * blocks_of(&tiles[tile], p->m, p->n));
    return true;
}
