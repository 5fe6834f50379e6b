/* Products of quantized numbers: MatMulInteger, QLinearMatMul, ConvInteger, QLinearConv. */
#include "hal/cuda/kernels/integer_product.h"

#include "hal/cuda/movement.h"
#include "operation/quantized.h"

/* The tiles of all planes; false: more than a launch has. */
static bool count_tiles(int64_t planes, int64_t rows, int64_t columns, int64_t *out_tiles)
{
    int64_t row_tiles = hd_cuda_blocks(rows, HD_CUDA_INTEGER_TILE);
    int64_t column_tiles = hd_cuda_blocks(columns, HD_CUDA_INTEGER_TILE);
    return !__builtin_mul_overflow(planes, row_tiles, out_tiles) &&
           !__builtin_mul_overflow(*out_tiles, column_tiles, out_tiles) && *out_tiles <= INT32_MAX;
}

static void set_sizes(hd_cuda_integer_product *p, int64_t rows, int64_t columns, int64_t depth)
{
    p->rows = (int)rows;
    p->columns = (int)columns;
    p->depth = (int)depth;
    p->row_tiles = hd_cuda_divisor_of((unsigned)hd_cuda_blocks(rows, HD_CUDA_INTEGER_TILE));
    p->column_tiles = hd_cuda_divisor_of((unsigned)hd_cuda_blocks(columns, HD_CUDA_INTEGER_TILE));
}

/* --- matrices */

/* How far a step along dimension `axis` of the batch goes in a factor whose last `own` dimensions are its matrix's. */
static int64_t batch_stride(const hd_shape *shape, uint32_t own, uint32_t batch_rank, uint32_t axis)
{
    uint32_t rank = shape->rank > own ? shape->rank - own : 0;
    if (axis + rank < batch_rank) {
        return 0;
    }
    uint32_t at = axis + rank - batch_rank;
    return shape->dims[at] == 1 ? 0 : hd_shape_count_range(shape, at + 1, shape->rank);
}

/* Returns the planes. */
static int64_t read_matrices(const hd_operation *operation, hd_cuda_integer_product *p)
{
    const hd_quantized_roles *roles = hd_quantized_roles_of(operation->id);
    const hd_shape *a = &operation->inputs[roles->a].shape, *b = &operation->inputs[roles->b].shape;
    const hd_shape *y = &operation->outputs[0].shape;
    const uint32_t own = (a->rank > 1 ? 1 : 0) + (b->rank > 1 ? 1 : 0); /* of y */
    set_sizes(p, a->rank > 1 ? a->dims[a->rank - 2] : 1, b->rank > 1 ? b->dims[b->rank - 1] : 1,
              a->dims[a->rank - 1]);
    p->batch_rank = (int)(y->rank - own);
    for (uint32_t i = 0; i < y->rank - own; i++) {
        p->batch_dims[i] = hd_cuda_divisor_of((unsigned)y->dims[i]);
        p->a_strides[i] = (int)batch_stride(a, 2, y->rank - own, i);
        p->b_strides[i] = (int)batch_stride(b, 2, y->rank - own, i);
    }
    return hd_shape_count_range(y, 0, y->rank - own);
}

/* --- convolutions */

/* Returns the planes; 0: the kernel does not count so far. */
static int64_t read_convolution(const hd_operation *operation, hd_cuda_integer_product *p)
{
    hd_quantized_view view;
    hd_convolution c;
    hd_quantized_view_make(operation, &view);
    if (hd_convolution_resolve(&view.operation, &c, NULL) != HD_OK) {
        return 0;
    }
    hd_convolution_make_spatial(&c);
    int64_t taps = 1, pixels = 1, image = 1;
    for (int i = 0; i < HD_CONVOLUTION_MAX_SPATIAL; i++) {
        int64_t way, reach;
        if (__builtin_mul_overflow(c.output[i], c.stride[i], &way) || way > INT32_MAX / 4 ||
            __builtin_mul_overflow(c.kernel[i], c.dilation[i], &reach) || reach > INT32_MAX / 4 ||
            c.pad_begin[i] > INT32_MAX / 4 || c.pad_begin[i] < -INT32_MAX / 4) {
            return 0;
        }
        p->kernel[i] = hd_cuda_divisor_of((unsigned)c.kernel[i]);
        p->output[i] = hd_cuda_divisor_of((unsigned)c.output[i]);
        p->input[i] = (int)c.input[i];
        p->stride[i] = (int)c.stride[i];
        p->dilation[i] = (int)c.dilation[i];
        p->pad[i] = (int)c.pad_begin[i];
        taps *= c.kernel[i];
        pixels *= c.output[i];
        image *= c.input[i];
    }
    set_sizes(p, c.output_channels / c.group, pixels, c.channels / c.group * taps);
    p->groups = hd_cuda_divisor_of((unsigned)c.group);
    p->taps = hd_cuda_divisor_of((unsigned)taps);
    p->image = (int)image;
    return c.batch * c.group;
}

static bool is_convolution(const hd_operation *operation)
{
    return operation->id == HD_OP_CONV_INTEGER || operation->id == HD_OP_QLINEAR_CONV;
}

static int64_t read_product(const hd_operation *operation, hd_cuda_integer_product *p)
{
    *p = (hd_cuda_integer_product){.depth = 0};
    return is_convolution(operation) ? read_convolution(operation, p) : read_matrices(operation, p);
}

/* Of empty tensors there is nothing to run, or zeros of no sums: the host's. */
static bool supports(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    hd_cuda_integer_product p;
    int64_t tiles;
    bool is_filled = hd_shape_count(&operation->outputs[0].shape) > 0;
    for (size_t i = 0; i < operation->input_count && is_filled; i++) {
        is_filled =
            !hd_operation_has(operation, i) || hd_shape_count(&operation->inputs[i].shape) > 0;
    }
    if (!is_filled || !hd_cuda_moves(operation)) {
        return false;
    }
    const int64_t planes = read_product(operation, &p);
    return planes > 0 && count_tiles(planes, p.rows, p.columns, &tiles);
}

/* --- both */

/* Sets what a factor's elements, zero points and scales are, and where. */
static size_t set_factor(const hd_operation *operation, hd_cuda_integer_factor *factor, size_t at,
                         int8_t role, int8_t zero, int8_t scale, hd_cuda_pointer *pointers)
{
    size_t used = 0;
    factor->is_signed = operation->inputs[role].dtype == HD_INT8;
    pointers[used++] = (hd_cuda_pointer){
        (uint16_t)role, (uint16_t)(at + offsetof(hd_cuda_integer_factor, data)), 0};
    if (hd_quantized_has(operation, zero)) {
        factor->zero_is_each = hd_shape_count(&operation->inputs[zero].shape) != 1;
        pointers[used++] = (hd_cuda_pointer){
            (uint16_t)zero, (uint16_t)(at + offsetof(hd_cuda_integer_factor, zero)), 0};
    }
    if (hd_quantized_has(operation, scale)) {
        factor->scale_is_each = hd_shape_count(&operation->inputs[scale].shape) != 1;
        pointers[used++] = (hd_cuda_pointer){
            (uint16_t)scale, (uint16_t)(at + offsetof(hd_cuda_integer_factor, scale)), 0};
    }
    return used;
}

static hd_status compile(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_quantized_roles *roles = hd_quantized_roles_of(operation->id);
    const bool turns = is_convolution(operation); /* its weight gives rows */
    const size_t a = offsetof(hd_cuda_integer_product, a), b = offsetof(hd_cuda_integer_product, b);
    hd_cuda_integer_product p;
    const int64_t planes = read_product(operation, &p);
    int64_t tiles = 0;
    (void)count_tiles(planes, p.rows, p.columns, &tiles);
    hd_cuda_pointer pointers[10];
    size_t used = set_factor(operation, turns ? &p.b : &p.a, turns ? b : a, roles->a, roles->a_zero,
                             roles->a_scale, pointers);
    used += set_factor(operation, turns ? &p.a : &p.b, turns ? a : b, roles->b, roles->b_zero,
                       roles->b_scale, pointers + used);
    if (roles->y_scale >= 0) {
        p.y_is_signed = operation->outputs[0].dtype == HD_INT8;
        pointers[used++] = (hd_cuda_pointer){(uint16_t)roles->y_scale,
                                             offsetof(hd_cuda_integer_product, y_scale), 0};
        pointers[used++] = (hd_cuda_pointer){(uint16_t)roles->y_zero,
                                             offsetof(hd_cuda_integer_product, y_zero), 0};
    }
    if (hd_quantized_has(operation, roles->bias)) {
        pointers[used++] =
            (hd_cuda_pointer){(uint16_t)roles->bias, offsetof(hd_cuda_integer_product, bias), 0};
    }
    pointers[used++] = (hd_cuda_pointer){(uint16_t)operation->input_count,
                                         offsetof(hd_cuda_integer_product, y), 0};
    const uint32_t grid[3] = {(uint32_t)tiles, 1, 1};
    return hd_cuda_add_launch(compilation,
                              turns ? HD_CUDA_integer_convolution : HD_CUDA_integer_matmul, grid,
                              HD_CUDA_INTEGER_BLOCK, &p, sizeof p, pointers, used) == NULL
               ? hd_cuda_out_of_memory(compilation)
               : HD_OK;
}

const hd_cuda_operator hd_cuda_operators_integer_product[] = {
    {HD_OP_MATMUL_INTEGER, supports, compile},
    {HD_OP_QLINEAR_MATMUL, supports, compile},
    {HD_OP_CONV_INTEGER, supports, compile},
    {HD_OP_QLINEAR_CONV, supports, compile},
    {HD_OP_NONE, NULL, NULL}};
