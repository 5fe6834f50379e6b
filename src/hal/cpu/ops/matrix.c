/* Matrix: MatMul, Gemm and heddle.Linear in float32, over hal/cpu/gemm.h. */
#include "hal/cpu/ops/matrix.h"

#include "hal/cpu/gemm.h"
#include "hal/cpu/packed.h"

/* What follows a Gemm whose alpha, beta or C are not those of a bias or a residual:
 * y = alpha · y + beta · C. */
typedef struct product_scaling {
    bool wanted;
    float alpha;
    float beta;
    bool has_c;
    int64_t c_row; /* strides of C; 0 where it repeats */
    int64_t c_column;
} product_scaling;

typedef struct matrix_product {
    hd_cpu_gemm gemm; /* of one product of the batch */
    hd_cpu_matmul_sizes sizes;
    hd_cpu_gemm_operands operands; /* strides; and b, where it is packed */
    int64_t batch_tiles; /* tiles a batch is cut into, when one product is one tile; else 0 */
    int bias;            /* which input each is; -1: none */
    int residual;
    size_t output; /* which buffer */
    product_scaling scaling;
} matrix_product;

void hd_cpu_matmul_offsets(const hd_cpu_matmul_sizes *sizes, int64_t index, int64_t *out_a,
                           int64_t *out_b)
{
    int64_t a = 0, b = 0;
    for (uint32_t i = sizes->batch_rank; i-- > 0;) {
        int64_t position = index % sizes->batch_dims[i];
        index /= sizes->batch_dims[i];
        a += position * sizes->a_strides[i];
        b += position * sizes->b_strides[i];
    }
    *out_a = a;
    *out_b = b;
}

static void scale_tile(const matrix_product *product, const hd_cpu_gemm_operands *operands,
                       const float *c, int64_t tile)
{
    const product_scaling *scaling = &product->scaling;
    hd_cpu_gemm_extent extent = hd_cpu_gemm_tile_extent(&product->gemm, tile);
    for (int64_t row = extent.row; row < extent.row_end; row++) {
        float *y = operands->c + row * operands->c_row;
        const float *from = scaling->has_c ? c + row * scaling->c_row : NULL;
        for (int64_t column = extent.column; column < extent.column_end; column++) {
            float value = scaling->alpha * y[column];
            y[column] =
                from != NULL ? value + scaling->beta * from[column * scaling->c_column] : value;
        }
    }
}

static void run_tile(const matrix_product *product, void *const *buffers, int64_t index,
                     int64_t tile, float *scratch)
{
    hd_cpu_gemm_operands operands = product->operands;
    int64_t a, b;
    hd_cpu_matmul_offsets(&product->sizes, index, &a, &b);
    operands.a = (const float *)buffers[0] + a;
    if (!operands.packed) {
        operands.b = (const float *)buffers[1] + b;
    }
    operands.c =
        (float *)buffers[product->output] + index * product->sizes.rows * product->sizes.columns;
    operands.bias = product->bias >= 0 ? buffers[product->bias] : NULL;
    operands.residual = product->residual >= 0 ? buffers[product->residual] : NULL;
    hd_cpu_gemm_run(&product->gemm, &operands, tile, scratch);
    if (product->scaling.wanted) {
        scale_tile(product, &operands, product->scaling.has_c ? buffers[2] : NULL, tile);
    }
}

static void run_product(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                        void *scratch)
{
    const matrix_product *product = parameters;
    for (int64_t tile = begin; tile < end; tile++) {
        if (product->batch_tiles == 0) {
            int64_t tiles = product->gemm.tile_count;
            run_tile(product, buffers, tile / tiles, tile % tiles, scratch);
            continue;
        }
        int64_t last = hd_cpu_tile_begin(product->sizes.batch, product->batch_tiles, tile + 1);
        for (int64_t i = hd_cpu_tile_begin(product->sizes.batch, product->batch_tiles, tile);
             i < last; i++) {
            run_tile(product, buffers, i, 0, scratch);
        }
    }
}

/* Plans the product; sizes, strides and epilogue are set. */
static hd_status finish(hd_cpu_compilation *compilation, matrix_product *product)
{
    const hd_operation *operation = compilation->operation;
    const hd_cpu_matmul_sizes *sizes = &product->sizes;
    hd_activation activation = product->gemm.activation;
    hd_cpu_gemm_plan(&product->gemm, sizes->rows, sizes->columns, sizes->depth, sizes->batch);
    product->gemm.activation = activation;
    product->output = operation->input_count;
    product->operands.c_row = sizes->columns;
    product->operands.residual_row = sizes->columns;
    const hd_packed *packed = operation->inputs[1].packed;
    if (packed != NULL) {
        product->operands.packed = true;
        product->operands.b = packed->memory;
    } else {
        compilation->kernel.scratch_size = HD_GEMM_SCRATCH_SIZE;
    }
    if (product->gemm.tile_count == 1) {
        double work =
            (double)sizes->rows * (double)sizes->columns * (double)(sizes->depth + 16) / 8;
        product->batch_tiles =
            hd_cpu_tile_count(sizes->batch, work < 1e9 ? (int64_t)work : 1000000000);
        compilation->kernel.tile_count = product->batch_tiles;
    } else {
        compilation->kernel.tile_count = sizes->batch * product->gemm.tile_count;
    }
    if (compilation->kernel.tile_count < 1) {
        compilation->kernel.tile_count = 1; /* an empty batch: batch_tiles is 1, its range empty */
        product->batch_tiles = 1;
    }
    compilation->kernel.run = run_product;
    return HD_OK;
}

hd_cpu_matmul_sizes hd_cpu_matmul_sizes_of(const hd_operation *operation, bool joins)
{
    const hd_shape *a = &operation->inputs[0].shape, *b = &operation->inputs[1].shape;
    const hd_shape *y = &operation->outputs[0].shape;
    hd_cpu_matmul_sizes sizes = {
        .rows = a->rank > 1 ? a->dims[a->rank - 2] : 1,
        .columns = b->rank > 1 ? b->dims[b->rank - 1] : 1,
        .depth = a->dims[a->rank - 1],
        .batch = 1,
        .batch_rank = y->rank - (a->rank > 1) - (b->rank > 1),
    };
    int64_t a_stride = sizes.rows * sizes.depth, b_stride = sizes.depth * sizes.columns;
    bool left_only = joins;
    for (uint32_t i = sizes.batch_rank; i-- > 0;) {
        uint32_t from_end = sizes.batch_rank - i + 2; /* of a and b, counted from their last axis */
        int64_t a_dim = a->rank >= from_end ? a->dims[a->rank - from_end] : 1;
        int64_t b_dim = b->rank >= from_end ? b->dims[b->rank - from_end] : 1;
        sizes.batch_dims[i] = y->dims[i];
        sizes.a_strides[i] = a_dim == 1 ? 0 : a_stride;
        sizes.b_strides[i] = b_dim == 1 ? 0 : b_stride;
        a_stride *= a_dim;
        b_stride *= b_dim;
        sizes.batch *= y->dims[i];
        left_only = left_only && b_dim == 1 && a_dim == y->dims[i];
    }
    if (left_only && sizes.batch_rank > 0) {
        sizes.rows *= sizes.batch;
        sizes.batch = 1;
        sizes.batch_rank = 0;
    }
    return sizes;
}

static hd_status compile_matmul(hd_cpu_compilation *compilation)
{
    hd_cpu_matmul_sizes sizes = hd_cpu_matmul_sizes_of(compilation->operation, true);
    if (compilation->operation->inputs[0].dtype != HD_FLOAT32) {
        return hd_cpu_compile_matmul_plain(compilation, &sizes);
    }
    matrix_product *product = hd_cpu_parameters(compilation, sizeof *product);
    if (product == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    product->sizes = sizes;
    product->operands.a_row = sizes.depth;
    product->operands.a_depth = 1;
    product->operands.b_depth = sizes.columns;
    product->operands.b_column = 1;
    product->bias = -1;
    product->residual = -1;
    return finish(compilation, product);
}

/* C as a bias or a residual where it is one; else as what scale_tile adds. */
static void set_c(matrix_product *product, const hd_operation *operation)
{
    float alpha = hd_operation_float(operation, "alpha", 1.0f);
    float beta = hd_operation_float(operation, "beta", 1.0f);
    bool has_c = hd_operation_has(operation, 2) && beta != 0.0f;
    product->bias = -1;
    product->residual = -1;
    const hd_shape *c = has_c ? &operation->inputs[2].shape : NULL;
    int64_t columns = has_c && c->rank > 0 ? c->dims[c->rank - 1] : 1;
    int64_t rows = has_c && c->rank > 1 ? c->dims[c->rank - 2] : 1;
    bool whole_row = columns == product->sizes.columns;
    if (alpha != 0.0f && (!has_c || (beta == 1.0f && whole_row))) {
        product->operands.scale = alpha == 1.0f ? 0.0f : alpha;
        if (has_c && rows == product->sizes.rows) {
            product->residual = 2;
        } else if (has_c) {
            product->bias = 2;
        }
        return;
    }
    product->scaling = (product_scaling){
        .wanted = true,
        .alpha = alpha,
        .beta = beta,
        .has_c = has_c,
        .c_row = rows == 1 ? 0 : columns,
        .c_column = columns == 1 ? 0 : 1,
    };
}

static hd_status compile_gemm(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    if (operation->inputs[0].dtype != HD_FLOAT32) {
        return hd_cpu_compile_gemm_plain(compilation);
    }
    matrix_product *product = hd_cpu_parameters(compilation, sizeof *product);
    if (product == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    const hd_shape *a = &operation->inputs[0].shape, *y = &operation->outputs[0].shape;
    bool trans_a = hd_operation_int(operation, "transA", 0) != 0;
    bool trans_b = hd_operation_int(operation, "transB", 0) != 0;
    hd_cpu_matmul_sizes *sizes = &product->sizes;
    *sizes = (hd_cpu_matmul_sizes){
        .rows = y->dims[0], .columns = y->dims[1], .depth = a->dims[trans_a ? 0 : 1], .batch = 1};
    product->operands.a_row = trans_a ? 1 : sizes->depth;
    product->operands.a_depth = trans_a ? sizes->rows : 1;
    product->operands.b_depth = trans_b ? 1 : sizes->columns;
    product->operands.b_column = trans_b ? sizes->depth : 1;
    set_c(product, operation);
    return finish(compilation, product);
}

static hd_status compile_linear(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    if (operation->inputs[0].dtype != HD_FLOAT32) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED, "%s has no kernel",
                                 hd_dtype_name(operation->inputs[0].dtype));
    }
    matrix_product *product = hd_cpu_parameters(compilation, sizeof *product);
    if (product == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    const hd_shape *x = &operation->inputs[0].shape, *y = &operation->outputs[0].shape;
    bool transposed = hd_operation_int(operation, "transB", 0) != 0;
    hd_cpu_matmul_sizes *sizes = &product->sizes;
    *sizes = (hd_cpu_matmul_sizes){.rows = hd_shape_count_range(x, 0, x->rank - 1),
                                   .columns = y->dims[y->rank - 1],
                                   .depth = x->dims[x->rank - 1],
                                   .batch = 1};
    product->operands.a_row = sizes->depth;
    product->operands.a_depth = 1;
    product->operands.b_depth = transposed ? 1 : sizes->columns;
    product->operands.b_column = transposed ? sizes->depth : 1;
    product->bias = hd_operation_has(operation, 2) ? 2 : -1;
    product->residual = hd_operation_has(operation, 3) ? 3 : -1;
    product->gemm.activation = hd_fused_linear_of(operation)->activation;
    return finish(compilation, product);
}

const hd_cpu_operator hd_cpu_operators_matrix[] = {
    {HD_OP_MATMUL, compile_matmul},        {HD_OP_GEMM, compile_gemm},
    {HD_OP_EINSUM, hd_cpu_compile_einsum}, {HD_OP_DET, hd_cpu_compile_det},
    {HD_OP_HEDDLE_LINEAR, compile_linear}, {0},
};
