/* Matrix products: Linear, MatMul and Gemm in float32. */
#include <math.h>

#include "hal/cuda/constants.h"
#include "hal/cuda/kernels/product_float32.h"
#include "hal/cuda/step.h"
#include "operation/fused.h"

/* The fast kernels. All give the same bits (product_float32.cu), so the one that promises to be done first may be taken for
 * each shape. Its time is a sum of four terms with factors that were fitted to measurements on an H200 (microseconds; 212
 * shapes; the choice is 1.6 % slower than the best one in the geometric mean, 28 % at worst). */
typedef struct product_kernel {
    hd_cuda_function function;
    bool is_narrow;
    int rows, columns; /* of a block's tile */
    int depth;         /* of a step; 0: narrow, where a warp has chunks whole */
    int shares;        /* blocks of a cluster that share a tile; 0: none */
    int block;         /* threads */
    int most;          /* blocks of a multiprocessor, by registers */
    double factors[4];
} product_kernel;

static const product_kernel kernels[] = {
    {HD_CUDA_product_narrow1x8, true, 1, 8, 0, 0, 0, 0, {0, 0.0175, 0.00107, 0.0504}},
    {HD_CUDA_product_narrow2x16, true, 2, 16, 0, 0, 0, 0, {0, 0.0177, 0.00149, 0}},
    {HD_CUDA_product_narrow4x16, true, 4, 16, 0, 0, 0, 0, {0, 0.0233, 0.00189, 0}},
    {HD_CUDA_product_narrow4x32, true, 4, 32, 0, 0, 0, 0, {1.22, 0.00592, 0.003, 0.451}},
    {HD_CUDA_product_narrow8x16, true, 8, 16, 0, 0, 0, 0, {0, 0.0299, 0.00212, 0.503}},
    {HD_CUDA_product_narrow8x32, true, 8, 32, 0, 0, 0, 0, {0.697, 0.0158, 0.00376, 1.18}},
    {HD_CUDA_product_narrow16x32, true, 16, 32, 0, 0, 0, 0, {0, 0.0239, 0.0049, 1.88}},
    {HD_CUDA_product_split32x64, false, 32, 64, 32, 2, 128, 3, {2.96, 0.00694, 0.016, 0}},
    {HD_CUDA_product_split32x64, false, 32, 64, 32, 3, 128, 3, {2.86, 0.00625, 0.0177, 0.027}},
    {HD_CUDA_product_split32x64, false, 32, 64, 32, 4, 128, 3, {2.39, 0.00934, 0.0173, 0}},
    {HD_CUDA_product_split32x64, false, 32, 64, 32, 6, 128, 3, {2.99, 0.0067, 0.0174, 0}},
    {HD_CUDA_product_split32x64, false, 32, 64, 32, 8, 128, 3, {3.5, 0.00428, 0.0189, 0}},
    {HD_CUDA_product_split64x64, false, 64, 64, 32, 8, 128, 3, {3.35, 0, 0.042, 0}},
    {HD_CUDA_product_split64x128, false, 64, 128, 16, 6, 128, 3, {0, 0.0254, 0.045, 5.29}},
    {HD_CUDA_product_wide32x64, false, 32, 64, 32, 0, 128, 4, {1.08, 0.00673, 0.0133, 1.5}},
    {HD_CUDA_product_wide64x64, false, 64, 64, 16, 0, 128, 4, {0.39, 0.0152, 0.0236, 3.23}},
    {HD_CUDA_product_wide64x128, false, 64, 128, 16, 0, 128, 3, {0, 0.0176, 0.0442, 6.41}},
    {HD_CUDA_product_wide128x128, false, 128, 128, 32, 0, 256, 1, {1.24, 0.0966, 0, 6.58}},
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
                         const hd_cuda_product *p, int64_t batch, product_shape *out)
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
                                      hd_cuda_blocks(p->m, kernel->rows), batch},
                           .threads = 32 * warps,
                           .shared = (warps * warp_floats + sums) * 4};
    if (p->m > NARROW_ROWS || out->shared > (int64_t)unit->shared_size) {
        return false;
    }
    double a_core = (double)hd_cuda_blocks(out->blocks[0] * out->blocks[1] * batch, unit->cores);
    double length = (double)(hd_cuda_blocks(chunks, per_warp * warps) * HD_CHUNK);
    out->time = kernel->factors[0] + kernel->factors[1] * length +
                kernel->factors[2] * p->k * a_core + kernel->factors[3] * a_core;
    return true;
}

static bool shape_tiles(const hd_cuda_unit *unit, const product_kernel *kernel,
                        const hd_cuda_product *p, int64_t batch, product_shape *out)
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
    out->shared = staged * 4;
    if (out->shared > (int64_t)unit->shared_size) {
        return false;
    }
    out->blocks[0] = hd_cuda_blocks(p->m, kernel->rows) * hd_cuda_blocks(p->n, kernel->columns);
    out->blocks[1] = out->shares;
    out->blocks[2] = batch;
    int64_t count = out->blocks[0] * out->shares * batch;
    int64_t once = at_once(unit, out->shared, out->threads, kernel->most);
    double length = (double)(kernel->shares > 0 ? smaller(out->per * HD_CHUNK, p->k) : p->k);
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

/* The kernel that is done first; NULL: none can. */
static const product_kernel *choose(const hd_cuda_unit *unit, const hd_cuda_product *p,
                                    int64_t batch, product_shape *out)
{
    const product_kernel *best = NULL;
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        product_shape shape = {.time = INFINITY};
        bool can = unit->functions[kernels[i].function] != NULL &&
                   (kernels[i].is_narrow ? shape_narrow(unit, &kernels[i], p, batch, &shape)
                                         : shape_tiles(unit, &kernels[i], p, batch, &shape));
        if (can && fits_grid(&shape) && (best == NULL || shape.time < out->time)) {
            best = &kernels[i];
            *out = shape;
        }
    }
    return best;
}

/* What is multiplied: operands by number, matrices of the last two dimensions, and how they repeat. */
typedef struct product {
    int64_t m, n, k;
    bool x_transposed, w_transposed;
    const hd_packed *packed; /* w; NULL: operand 1 */
    int bias, residual;      /* operands; -1: none */
    int64_t c_m, c_n; /* the residual's elements from row to row, and from column to column */
    float alpha, beta;
    hd_cuda_activation activation;
    uint32_t batch_rank;
    int64_t batch_dims[HD_MAX_RANK], x_batch[HD_MAX_RANK], w_batch[HD_MAX_RANK];
} product;

static hd_cuda_activation convert(const hd_activation *activation)
{
    _Static_assert((int)HD_CUDA_GELU == (int)HD_ACTIVATION_GELU &&
                       (int)HD_CUDA_SILU == (int)HD_ACTIVATION_SILU &&
                       (int)HD_CUDA_HARD_SWISH == (int)HD_ACTIVATION_HARD_SWISH,
                   "kernels number activations as operations do");
    return (hd_cuda_activation){.kind = (int)activation->kind,
                                .alpha = activation->alpha,
                                .beta = activation->beta,
                                .scales = activation->scales,
                                .scale = activation->scale,
                                .shift = activation->shift};
}

/* The dimensions before the last two, without those that are 1, and with neighbours taken together. */
static void set_batch(const hd_operation *operation, product *out)
{
    const hd_shape *x = &operation->inputs[0].shape, *w = &operation->inputs[1].shape;
    const hd_shape *y = &operation->outputs[0].shape;
    uint32_t vectors = (x->rank == 1) + (w->rank == 1);
    uint32_t rank = y->rank + vectors < 2 ? 0 : y->rank + vectors - 2;
    int64_t x_step = out->m * out->k, w_step = out->k * out->n;
    int64_t dims[HD_MAX_RANK], x_steps[HD_MAX_RANK], w_steps[HD_MAX_RANK];
    uint32_t count = 0;
    for (uint32_t d = rank; d-- > 0;) { /* from the last on */
        uint32_t behind = rank - d;     /* dimensions from here to the matrices */
        int64_t x_dim = x->rank >= 2 + behind ? x->dims[x->rank - 2 - behind] : 1;
        int64_t w_dim = w->rank >= 2 + behind ? w->dims[w->rank - 2 - behind] : 1;
        int64_t dim = x_dim > w_dim ? x_dim : w_dim;
        int64_t x_now = x_dim == 1 ? 0 : x_step, w_now = w_dim == 1 ? 0 : w_step;
        x_step *= x_dim;
        w_step *= w_dim;
        if (dim == 1) {
            continue;
        }
        if (count > 0 && x_now == x_steps[count - 1] * dims[count - 1] &&
            w_now == w_steps[count - 1] * dims[count - 1]) {
            dims[count - 1] *= dim;
            continue;
        }
        dims[count] = dim;
        x_steps[count] = x_now;
        w_steps[count++] = w_now;
    }
    out->batch_rank = count;
    for (uint32_t d = 0; d < count; d++) {
        out->batch_dims[d] = dims[count - 1 - d];
        out->x_batch[d] = x_steps[count - 1 - d];
        out->w_batch[d] = w_steps[count - 1 - d];
    }
}

static void read_linear(const hd_operation *operation, product *out)
{
    const hd_shape *x = &operation->inputs[0].shape, *y = &operation->outputs[0].shape;
    *out = (product){.k = x->dims[x->rank - 1],
                     .m = hd_shape_count_range(x, 0, x->rank - 1),
                     .n = y->dims[y->rank - 1],
                     .packed = operation->inputs[1].packed,
                     .bias = hd_operation_has(operation, 2) ? 2 : -1,
                     .residual = hd_operation_has(operation, 3) ? 3 : -1,
                     .alpha = 1,
                     .beta = 1,
                     .activation = convert(&hd_fused_linear_of(operation)->activation)};
    out->c_m = out->n;
    out->c_n = 1;
}

static void read_gemm(const hd_operation *operation, product *out)
{
    const hd_shape *x = &operation->inputs[0].shape, *y = &operation->outputs[0].shape;
    bool transposed = hd_operation_int(operation, "transA", 0) != 0;
    *out = (product){.m = y->dims[0],
                     .n = y->dims[1],
                     .k = x->dims[transposed ? 0 : 1],
                     .x_transposed = transposed,
                     .w_transposed = hd_operation_int(operation, "transB", 0) != 0,
                     .packed = operation->inputs[1].packed,
                     .bias = -1,
                     .residual = hd_operation_has(operation, 2) ? 2 : -1,
                     .alpha = hd_operation_float(operation, "alpha", 1.0f),
                     .beta = hd_operation_float(operation, "beta", 1.0f)};
    if (out->residual >= 0) {
        const hd_shape *c = &operation->inputs[2].shape;
        int64_t columns = c->rank > 0 ? c->dims[c->rank - 1] : 1;
        out->c_n = columns == 1 ? 0 : 1;
        out->c_m = c->rank < 2 || c->dims[c->rank - 2] == 1 ? 0 : columns;
    }
}

static void read_matmul(const hd_operation *operation, product *out)
{
    const hd_shape *x = &operation->inputs[0].shape, *w = &operation->inputs[1].shape;
    *out = (product){.m = x->rank > 1 ? x->dims[x->rank - 2] : 1,
                     .k = x->dims[x->rank - 1],
                     .n = w->rank > 1 ? w->dims[w->rank - 1] : 1,
                     .packed = operation->inputs[1].packed,
                     .bias = -1,
                     .residual = -1,
                     .alpha = 1,
                     .beta = 1};
    set_batch(operation, out);
    if (out->batch_rank == 1 && out->w_batch[0] == 0 && out->x_batch[0] == out->m * out->k) {
        out->m *= out->batch_dims[0]; /* one matrix for all: they are rows of one product */
        out->batch_rank = 0;
    }
}

static void read_operation(const hd_operation *operation, product *out)
{
    if (operation->id == HD_OP_HEDDLE_LINEAR) {
        read_linear(operation, out);
    } else if (operation->id == HD_OP_GEMM) {
        read_gemm(operation, out);
    } else {
        read_matmul(operation, out);
    }
}

static int64_t entries(const product *what)
{
    int64_t count = 1;
    for (uint32_t d = 0; d < what->batch_rank; d++) {
        count *= what->batch_dims[d];
    }
    return count;
}

static bool supports(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    for (size_t i = 0; i < operation->input_count; i++) {
        hd_dtype dtype = operation->inputs[i].dtype;
        if (dtype != HD_FLOAT32 && (dtype != HD_DTYPE_NONE || i < 2)) {
            return false;
        }
    }
    const hd_shape *x = &operation->inputs[0].shape, *w = &operation->inputs[1].shape;
    if (x->rank == 0 || w->rank == 0) {
        return false;
    }
    product what;
    read_operation(operation, &what);
    return what.m <= INT32_MAX && what.n <= INT32_MAX / 2 && what.k <= INT32_MAX / 2 &&
           hd_cuda_blocks(what.n, 32) <= GRID_SIDE && entries(&what) <= GRID_SIDE &&
           what.batch_rank <= HD_CUDA_PRODUCT_BATCH;
}

static hd_status add_plain(hd_cuda_compilation *compilation, const product *what)
{
    hd_cuda_plain_product p = {.m = (int)what->m,
                               .n = (int)what->n,
                               .k = (int)what->k,
                               .alpha = what->alpha,
                               .beta = what->beta,
                               .activation = what->activation,
                               .x_m = what->x_transposed ? 1 : what->k,
                               .x_k = what->x_transposed ? what->m : 1,
                               .w_k = what->w_transposed ? 1 : what->n,
                               .w_n = what->w_transposed ? what->k : 1,
                               .c_m = what->c_m,
                               .c_n = what->c_n,
                               .batch_rank = (int)what->batch_rank,
                               .y_batch = what->m * what->n};
    for (uint32_t d = 0; d < what->batch_rank; d++) {
        p.batch_dims[d] = (int)what->batch_dims[d];
        p.x_batch[d] = what->x_batch[d];
        p.w_batch[d] = what->w_batch[d];
    }
    hd_cuda_pointer pointers[5] = {
        {0, offsetof(hd_cuda_plain_product, x), 0},
        {(uint16_t)compilation->operation->input_count, offsetof(hd_cuda_plain_product, y), 0}};
    size_t used = 2;
    if (what->packed != NULL) {
        p.w = what->packed->memory;
        p.w_k = hd_cuda_row_stride(what->n);
        p.w_n = 1;
    } else {
        pointers[used++] = (hd_cuda_pointer){1, offsetof(hd_cuda_plain_product, w), 0};
    }
    if (what->bias >= 0) {
        pointers[used++] =
            (hd_cuda_pointer){(uint16_t)what->bias, offsetof(hd_cuda_plain_product, bias), 0};
    }
    if (what->residual >= 0) {
        pointers[used++] =
            (hd_cuda_pointer){(uint16_t)what->residual, offsetof(hd_cuda_plain_product, c), 0};
    }
    const uint32_t grid[3] = {(uint32_t)hd_cuda_blocks(what->m, 32),
                              (uint32_t)hd_cuda_blocks(what->n, 32), (uint32_t)entries(what)};
    return hd_cuda_add_launch(compilation, HD_CUDA_product_plain, grid, 256, &p, sizeof p, pointers,
                              used) == NULL
               ? hd_cuda_out_of_memory(compilation)
               : HD_OK;
}

/* The fast kernels read rows in groups of 4, and know one step from entry to entry. */
static bool is_fast(const product *what)
{
    return !what->x_transposed && (!what->w_transposed || what->packed != NULL) &&
           what->k % 4 == 0 && what->k > 0 && what->n % 4 == 0 && what->batch_rank <= 1 &&
           what->alpha == 1.0f && what->beta == 1.0f &&
           (what->residual < 0 || (what->c_n == 1 && what->c_m == what->n));
}

static hd_status add_fast(hd_cuda_compilation *compilation, const product *what,
                          const hd_cuda_product *fixed, const product_kernel *kernel,
                          const product_shape *shape)
{
    hd_cuda_product p = *fixed;
    p.per = (int)shape->per;
    hd_cuda_pointer pointers[5] = {
        {0, offsetof(hd_cuda_product, x), 0},
        {(uint16_t)compilation->operation->input_count, offsetof(hd_cuda_product, y), 0}};
    size_t used = 2;
    if (what->packed != NULL) {
        p.w = what->packed->memory;
    } else {
        pointers[used++] = (hd_cuda_pointer){1, offsetof(hd_cuda_product, w), 0};
    }
    if (what->bias >= 0) {
        pointers[used++] =
            (hd_cuda_pointer){(uint16_t)what->bias, offsetof(hd_cuda_product, bias), 0};
    }
    if (what->residual >= 0) {
        pointers[used++] =
            (hd_cuda_pointer){(uint16_t)what->residual, offsetof(hd_cuda_product, residual), 0};
    }
    const uint32_t grid[3] = {(uint32_t)shape->blocks[0], (uint32_t)shape->blocks[1],
                              (uint32_t)shape->blocks[2]};
    hd_cuda_launch *launch =
        hd_cuda_add_launch(compilation, kernel->function, grid, (uint32_t)shape->threads, &p,
                           sizeof p, pointers, used);
    if (launch == NULL) {
        return hd_cuda_out_of_memory(compilation);
    }
    launch->shared = (uint32_t)shape->shared;
    launch->cluster = kernel->shares > 0 ? (uint32_t)shape->shares : 0;
    return HD_OK;
}

static hd_status compile(hd_cuda_compilation *compilation)
{
    product what;
    read_operation(compilation->operation, &what);
    int64_t count = entries(&what);
    if (what.m == 0 || what.n == 0 || count == 0) {
        return HD_OK;
    }
    if (is_fast(&what)) {
        hd_cuda_product p = {.m = (int)what.m,
                             .n = (int)what.n,
                             .k = (int)what.k,
                             .activation = what.activation,
                             .x_stride = (int)what.k,
                             .w_stride = (int)hd_cuda_row_stride(what.n),
                             .residual_stride = (int)what.n,
                             .y_stride = (int)what.n,
                             .x_batch_stride = count > 1 ? what.x_batch[0] : 0,
                             .w_batch_stride = count > 1 ? what.w_batch[0] : 0,
                             .y_batch_stride = what.m * what.n};
        product_shape shape = {.time = INFINITY};
        const product_kernel *kernel = choose(compilation->unit, &p, count, &shape);
        if (kernel != NULL) {
            return add_fast(compilation, &what, &p, kernel, &shape);
        }
    }
    return add_plain(compilation, &what);
}

const hd_cuda_operator hd_cuda_operators_product[] = {{HD_OP_HEDDLE_LINEAR, supports, compile},
                                                      {HD_OP_MATMUL, supports, compile},
                                                      {HD_OP_GEMM, supports, compile},
                                                      {HD_OP_NONE, NULL, NULL}};
