/* Matrix products: Linear, MatMul and Gemm in float32. */
#include "hal/cuda/product.h"

#include "hal/cuda/constants.h"
#include "hal/cuda/kernels/product_float32.h"
#include "hal/cuda/product_choice.h"

#define GRID_SIDE 65535 /* blocks along y and z, at most */

hd_cuda_activation hd_cuda_convert_activation(const hd_activation *activation)
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
static void set_batch(const hd_operation *operation, hd_cuda_multiplication *out)
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

static void read_linear(const hd_operation *operation, hd_cuda_multiplication *out)
{
    const hd_shape *x = &operation->inputs[0].shape, *y = &operation->outputs[0].shape;
    *out = (hd_cuda_multiplication){
        .k = x->dims[x->rank - 1],
        .m = hd_shape_count_range(x, 0, x->rank - 1),
        .n = y->dims[y->rank - 1],
        .packed = operation->inputs[1].packed,
        .bias = hd_operation_has(operation, 2) ? 2 : -1,
        .residual = hd_operation_has(operation, 3) ? 3 : -1,
        .alpha = 1,
        .beta = 1,
        .activation = hd_cuda_convert_activation(&hd_fused_linear_of(operation)->activation)};
    out->c_m = out->n;
    out->c_n = 1;
}

static void read_gemm(const hd_operation *operation, hd_cuda_multiplication *out)
{
    const hd_shape *x = &operation->inputs[0].shape, *y = &operation->outputs[0].shape;
    bool transposed = hd_operation_int(operation, "transA", 0) != 0;
    *out = (hd_cuda_multiplication){.m = y->dims[0],
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

static void read_matmul(const hd_operation *operation, hd_cuda_multiplication *out)
{
    const hd_shape *x = &operation->inputs[0].shape, *w = &operation->inputs[1].shape;
    *out = (hd_cuda_multiplication){.m = x->rank > 1 ? x->dims[x->rank - 2] : 1,
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

void hd_cuda_read_multiplication(const hd_operation *operation, hd_cuda_multiplication *out)
{
    if (operation->id == HD_OP_HEDDLE_LINEAR) {
        read_linear(operation, out);
    } else if (operation->id == HD_OP_GEMM) {
        read_gemm(operation, out);
    } else {
        read_matmul(operation, out);
    }
}

static int64_t entries(const hd_cuda_multiplication *what)
{
    int64_t count = 1;
    for (uint32_t d = 0; d < what->batch_rank; d++) {
        count *= what->batch_dims[d];
    }
    return count;
}

static bool supports(const hd_cuda_unit *unit, const hd_operation *operation)
{
    for (size_t i = 0; i < operation->input_count; i++) {
        hd_dtype dtype = operation->inputs[i].dtype;
        if (dtype != HD_FLOAT32 && (dtype != unit->unit.half || dtype == HD_DTYPE_NONE) &&
            (dtype != HD_DTYPE_NONE || i < 2)) {
            return false;
        }
    }
    const hd_shape *x = &operation->inputs[0].shape, *w = &operation->inputs[1].shape;
    if (x->rank == 0 || w->rank == 0) {
        return false;
    }
    hd_cuda_multiplication what;
    hd_cuda_read_multiplication(operation, &what);
    return what.m <= INT32_MAX && what.n <= INT32_MAX / 2 && what.k <= INT32_MAX / 2 &&
           hd_cuda_blocks(what.n, 32) <= GRID_SIDE && entries(&what) <= GRID_SIDE &&
           what.batch_rank <= HD_CUDA_PRODUCT_BATCH;
}

static hd_status add_plain(hd_cuda_compilation *compilation, const hd_cuda_multiplication *what)
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
bool hd_cuda_multiplication_is_fast(const hd_cuda_multiplication *what)
{
    return !what->x_transposed && (!what->w_transposed || what->packed != NULL) &&
           what->k % 4 == 0 && what->k > 0 && what->n % 4 == 0 && what->batch_rank <= 1 &&
           what->alpha == 1.0f && what->beta == 1.0f &&
           (what->residual < 0 || (what->c_n == 1 && what->c_m == what->n));
}

static hd_status add_fast(hd_cuda_compilation *compilation, const hd_cuda_multiplication *what,
                          const hd_cuda_product *fixed, const hd_cuda_product_shape *shape)
{
    hd_cuda_product p = *fixed;
    p.per = shape->per;
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
    hd_cuda_launch *launch = hd_cuda_add_launch(compilation, shape->function, shape->grid,
                                                shape->threads, &p, sizeof p, pointers, used);
    if (launch == NULL) {
        return hd_cuda_out_of_memory(compilation);
    }
    launch->shared = shape->shared;
    launch->cluster = shape->shares;
    return HD_OK;
}

hd_status hd_cuda_add_multiplication(hd_cuda_compilation *compilation,
                                     const hd_cuda_multiplication *what)
{
    static const hd_cuda_function functions[HD_CUDA_PRODUCT_KIND_COUNT] = {
        HD_CUDA_product_narrow1x8,   HD_CUDA_product_narrow2x16, HD_CUDA_product_narrow4x16,
        HD_CUDA_product_narrow4x32,  HD_CUDA_product_narrow8x16, HD_CUDA_product_narrow8x32,
        HD_CUDA_product_narrow16x32, HD_CUDA_product_split32x64, HD_CUDA_product_split64x64,
        HD_CUDA_product_split64x128, HD_CUDA_product_wide32x64,  HD_CUDA_product_wide64x64,
        HD_CUDA_product_wide64x128,  HD_CUDA_product_wide128x128};
    int64_t count = entries(what);
    if (what->m == 0 || what->n == 0 || count == 0) {
        return HD_OK;
    }
    if (hd_cuda_multiplication_is_fast(what)) {
        hd_cuda_product p = {.m = (int)what->m,
                             .n = (int)what->n,
                             .k = (int)what->k,
                             .activation = what->activation,
                             .x_stride = (int)what->k,
                             .w_stride = (int)hd_cuda_row_stride(what->n),
                             .residual_stride = (int)what->n,
                             .y_stride = (int)what->n,
                             .x_batch_stride = count > 1 ? what->x_batch[0] : 0,
                             .w_batch_stride = count > 1 ? what->w_batch[0] : 0,
                             .y_batch_stride = what->m * what->n};
        const hd_cuda_product_work work = {what->m, what->n, what->k, count, functions, 0};
        hd_cuda_product_shape shape;
        if (hd_cuda_product_choose(compilation->unit, &work, &shape)) {
            return add_fast(compilation, what, &p, &shape);
        }
    }
    return add_plain(compilation, what);
}

static hd_status compile(hd_cuda_compilation *compilation)
{
    hd_cuda_multiplication what;
    hd_cuda_read_multiplication(compilation->operation, &what);
    return what.packed != NULL && hd_cuda_form_is_half(what.packed->form.kind)
               ? hd_cuda_add_half_product(compilation, &what)
               : hd_cuda_add_multiplication(compilation, &what);
}

const hd_cuda_operator hd_cuda_operators_product[] = {{HD_OP_HEDDLE_LINEAR, supports, compile},
                                                      {HD_OP_MATMUL, supports, compile},
                                                      {HD_OP_GEMM, supports, compile},
                                                      {HD_OP_NONE, NULL, NULL}};
