#include "hal/cuda/product_choice.h"

#include <math.h>

#include "hal/cuda/kernels/product_float32.h"

/* The fast kernels. All give the same bits (product_float32.cu), so the one that promises to be done first may be taken for
 * each shape. Its time is a sum of four terms with factors that were fitted to measurements on an H200 (microseconds; 212
 * shapes; the choice is 1.6 % slower than the best one in the geometric mean, 28 % at worst). */
typedef struct product_kernel {
    hd_cuda_product_kind kind;
    bool is_narrow;
    int rows, columns; /* of a block's tile */
    int depth;         /* of a step; 0: narrow, where a warp has chunks whole */
    int shares;        /* blocks of a cluster that share a tile; 0: none */
    int block;         /* threads */
    int most;          /* blocks of a multiprocessor, by registers */
    double factors[4];
} product_kernel;

static const product_kernel kernels[] = {
    {HD_CUDA_NARROW_1X8, true, 1, 8, 0, 0, 0, 0, {0, 0.0175, 0.00107, 0.0504}},
    {HD_CUDA_NARROW_2X16, true, 2, 16, 0, 0, 0, 0, {0, 0.0177, 0.00149, 0}},
    {HD_CUDA_NARROW_4X16, true, 4, 16, 0, 0, 0, 0, {0, 0.0233, 0.00189, 0}},
    {HD_CUDA_NARROW_4X32, true, 4, 32, 0, 0, 0, 0, {1.22, 0.00592, 0.003, 0.451}},
    {HD_CUDA_NARROW_8X16, true, 8, 16, 0, 0, 0, 0, {0, 0.0299, 0.00212, 0.503}},
    {HD_CUDA_NARROW_8X32, true, 8, 32, 0, 0, 0, 0, {0.697, 0.0158, 0.00376, 1.18}},
    {HD_CUDA_NARROW_16X32, true, 16, 32, 0, 0, 0, 0, {0, 0.0239, 0.0049, 1.88}},
    {HD_CUDA_SPLIT_32X64, false, 32, 64, 32, 2, 128, 3, {2.96, 0.00694, 0.016, 0}},
    {HD_CUDA_SPLIT_32X64, false, 32, 64, 32, 3, 128, 3, {2.86, 0.00625, 0.0177, 0.027}},
    {HD_CUDA_SPLIT_32X64, false, 32, 64, 32, 4, 128, 3, {2.39, 0.00934, 0.0173, 0}},
    {HD_CUDA_SPLIT_32X64, false, 32, 64, 32, 6, 128, 3, {2.99, 0.0067, 0.0174, 0}},
    {HD_CUDA_SPLIT_32X64, false, 32, 64, 32, 8, 128, 3, {3.5, 0.00428, 0.0189, 0}},
    {HD_CUDA_SPLIT_64X64, false, 64, 64, 32, 8, 128, 3, {3.35, 0, 0.042, 0}},
    {HD_CUDA_SPLIT_64X128, false, 64, 128, 16, 6, 128, 3, {0, 0.0254, 0.045, 5.29}},
    {HD_CUDA_WIDE_32X64, false, 32, 64, 32, 0, 128, 4, {1.08, 0.00673, 0.0133, 1.5}},
    {HD_CUDA_WIDE_64X64, false, 64, 64, 16, 0, 128, 4, {0.39, 0.0152, 0.0236, 3.23}},
    {HD_CUDA_WIDE_64X128, false, 64, 128, 16, 0, 128, 3, {0, 0.0176, 0.0442, 6.41}},
    {HD_CUDA_WIDE_128X128, false, 128, 128, 32, 0, 256, 1, {1.24, 0.0966, 0, 6.58}},
};

enum {
    STAGES = 3,        /* of the kernels' pipelines */
    RESERVED = 1024,   /* bytes of shared memory that the driver takes a block */
    NARROW_WARPS = 16, /* of a block, at most */
    NARROW_ROWS = 64,  /* of a product, at most */
    THREADS = 2048,    /* of a multiprocessor */
    GRID_SIDE = 65535  /* blocks along y and z, at most */
};

/* How a kernel would be launched. */
typedef struct product_shape {
    int64_t blocks[3];
    int64_t threads;
    int64_t shared;
    int64_t shares; /* split: blocks of a cluster */
    int64_t per;    /* split: chunks a block */
    double time;
} product_shape;

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Blocks that a multiprocessor has at once. */
static int64_t at_once(const hd_cuda_unit *unit, int64_t shared, int64_t threads, int64_t most)
{
    int64_t fit = (int64_t)unit->shared_size / (shared + RESERVED);
    fit = smaller(smaller(fit, most), THREADS / threads);
    return fit < 1 ? 1 : fit;
}

static bool shape_narrow(const hd_cuda_unit *unit, const product_kernel *kernel,
                         const hd_cuda_product_work *p, product_shape *out)
{
    int64_t chunks = hd_cuda_blocks(p->k, HD_CHUNK), per_warp = 32 / kernel->columns;
    int64_t warps = smaller(NARROW_WARPS, hd_cuda_blocks(chunks, per_warp));
    int64_t warp_floats =
        per_warp * ((HD_CHUNK + 1) * kernel->columns + kernel->rows * HD_CHUNK + 4);
    int64_t sums = chunks * kernel->rows * kernel->columns;
    while (warps > 1 && (warps * warp_floats + sums) * 4 > (int64_t)unit->shared_size) {
        warps--;
    }
    *out = (product_shape){.blocks = {hd_cuda_blocks(p->n, kernel->columns),
                                      hd_cuda_blocks(p->m, kernel->rows), p->batch},
                           .threads = 32 * warps,
                           .shared = (warps * warp_floats + sums) * 4};
    if (p->m > NARROW_ROWS || out->shared > (int64_t)unit->shared_size) {
        return false;
    }
    double a_core = (double)hd_cuda_blocks(out->blocks[0] * out->blocks[1] * p->batch, unit->cores);
    double length = (double)(hd_cuda_blocks(chunks, per_warp * warps) * HD_CHUNK);
    out->time = kernel->factors[0] + kernel->factors[1] * length +
                kernel->factors[2] * (double)p->k * a_core + kernel->factors[3] * a_core;
    return true;
}

static bool shape_tiles(const hd_cuda_unit *unit, const product_kernel *kernel,
                        const hd_cuda_product_work *p, product_shape *out)
{
    int64_t chunks = hd_cuda_blocks(p->k, HD_CHUNK);
    int64_t tile = (int64_t)kernel->rows * kernel->columns;
    int64_t staged = STAGES * (int64_t)(kernel->rows + kernel->columns) * kernel->depth;
    *out = (product_shape){.threads = kernel->block, .shares = 1, .per = chunks};
    if (kernel->shares > 0) {
        if (kernel->shares > chunks) {
            return false;
        }
        out->per = hd_cuda_blocks(chunks, kernel->shares);
        out->shares = hd_cuda_blocks(chunks, out->per);
        staged += out->per * tile;
    } else if (chunks > 1) {
        staged += tile;
    }
    int64_t reach = kernel->shares > 0 ? smaller(out->per * HD_CHUNK, p->k) : p->k;
    out->shared = staged * 4 + (reach + kernel->depth) * p->table_each;
    if (out->shared > (int64_t)unit->shared_size) {
        return false;
    }
    out->blocks[0] = hd_cuda_blocks(p->m, kernel->rows) * hd_cuda_blocks(p->n, kernel->columns);
    out->blocks[1] = out->shares;
    out->blocks[2] = p->batch;
    int64_t count = out->blocks[0] * out->shares * p->batch;
    int64_t once = at_once(unit, out->shared, out->threads, kernel->most);
    double length = (double)reach;
    double waves = (double)hd_cuda_blocks(count, unit->cores * once);
    double a_core = (double)hd_cuda_blocks(count, unit->cores);
    out->time = kernel->factors[0] + kernel->factors[1] * waves * length +
                kernel->factors[2] * length * a_core + kernel->factors[3] * waves;
    return true;
}

static bool fits_grid(const product_shape *shape)
{
    return shape->blocks[0] <= INT32_MAX && shape->blocks[1] <= GRID_SIDE &&
           shape->blocks[2] <= GRID_SIDE;
}

bool hd_cuda_product_choose(const hd_cuda_unit *unit, const hd_cuda_product_work *work,
                            hd_cuda_product_shape *out)
{
    product_shape best = {.time = INFINITY};
    hd_cuda_function function = HD_CUDA_COPY;
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        hd_cuda_function candidate = work->functions[kernels[i].kind];
        product_shape shape = {.time = INFINITY};
        bool can = candidate != HD_CUDA_COPY && unit->functions[candidate] != NULL &&
                   (kernels[i].is_narrow ? shape_narrow(unit, &kernels[i], work, &shape)
                                         : shape_tiles(unit, &kernels[i], work, &shape));
        if (can && fits_grid(&shape) && shape.time < best.time) {
            best = shape;
            function = candidate;
        }
    }
    *out = (hd_cuda_product_shape){
        .function = function,
        .grid = {(uint32_t)best.blocks[0], (uint32_t)best.blocks[1], (uint32_t)best.blocks[2]},
        .threads = (uint32_t)best.threads,
        .shared = (uint32_t)best.shared,
        .shares = best.shares > 1 ? (uint32_t)best.shares : 0,
        .per = (int)best.per};
    return function != HD_CUDA_COPY;
}
