/* Operators that make elements of little, OneHot, EyeLike, Range, ConstantOfShape, and those that leave them as they are: BitCast,
 * Dropout of inference. */
#include "hal/cuda/kernels/making.h"

#include <string.h>

#include "hal/cuda/movement.h"
#include "operation/narrow.h"

/* --- OneHot */

/* As HD_CUDA_HOT_… numbers them. */
static const hd_dtype hot_types[] = {HD_FLOAT32, HD_FLOAT64, HD_UINT64, HD_INT64, HD_INT32,
                                     HD_UINT32,  HD_INT16,   HD_UINT16, HD_INT8,  HD_UINT8};

enum { HOT_TYPE_COUNT = sizeof hot_types / sizeof hot_types[0] };

static int hot_type_of(hd_dtype dtype)
{
    int type = 0;
    while (type < HOT_TYPE_COUNT && hot_types[type] != dtype) {
        type++;
    }
    return type;
}

static bool supports_one_hot(const hd_cuda_unit *unit, const hd_operation *operation)
{
    return hd_cuda_can_move(unit, operation) &&
           hot_type_of(operation->inputs[0].dtype) < HOT_TYPE_COUNT &&
           hd_dtype_size(operation->inputs[2].dtype) != 0;
}

static hd_status compile_one_hot(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->outputs[0].shape;
    int64_t axis = hd_operation_int(operation, "axis", -1), count = hd_shape_count(shape);
    hd_axis_normalize(&axis, shape->rank);
    if (count == 0) {
        return HD_OK;
    }
    const hd_cuda_one_hot p = {.count = (unsigned)count,
                               .index_type = hot_type_of(operation->inputs[0].dtype),
                               .depth = hd_cuda_divisor_of((unsigned)shape->dims[axis]),
                               .inner = hd_cuda_divisor_of((unsigned)hd_shape_count_range(
                                   shape, (uint32_t)axis + 1, shape->rank))};
    const hd_cuda_pointer pointers[] = {{0, offsetof(hd_cuda_one_hot, indices), 0},
                                        {2, offsetof(hd_cuda_one_hot, values), 0},
                                        {3, offsetof(hd_cuda_one_hot, y), 0}};
    size_t element = hd_dtype_size(operation->inputs[2].dtype);
    return hd_cuda_add_threads(compilation, HD_CUDA_MAKE_BLOCK,
                               hd_cuda_by_size(HD_CUDA_one_hot_1, element), count, &p, sizeof p,
                               pointers, 3);
}

/* --- one value everywhere, or on a diagonal */

/* The bits of 1. */
static unsigned long long one_of(hd_dtype dtype)
{
    switch (dtype) {
    case HD_FLOAT32:
        return 0x3F800000;
    case HD_FLOAT64:
        return 0x3FF0000000000000;
    case HD_FLOAT16:
        return 0x3C00;
    case HD_BFLOAT16:
        return 0x3F80;
    default:
        return 1;
    }
}

static hd_status fill(hd_cuda_compilation *compilation, size_t output, const hd_cuda_fill *p)
{
    const hd_operation *operation = compilation->operation;
    const hd_cuda_pointer pointer = {(uint16_t)(operation->input_count + output),
                                     offsetof(hd_cuda_fill, y), 0};
    size_t element = hd_dtype_size(operation->outputs[output].dtype);
    return hd_cuda_add_threads(compilation, HD_CUDA_MAKE_BLOCK,
                               hd_cuda_by_size(HD_CUDA_fill_1, element), p->count, p, sizeof *p,
                               &pointer, 1);
}

static bool supports_fill(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    return hd_shape_count(&operation->outputs[0].shape) <= INT32_MAX &&
           hd_dtype_size(operation->outputs[0].dtype) != 0;
}

static hd_status compile_constant(hd_cuda_compilation *compilation)
{
    const hd_operand *output = &compilation->operation->outputs[0];
    const hd_attribute *value = hd_operation_attribute(compilation->operation, "value");
    hd_cuda_fill p = {.count = (unsigned)hd_shape_count(&output->shape)};
    if (value != NULL) {
        if (hd_narrow_is_packed(output->dtype)) {
            hd_narrow_unpack(output->dtype, value->tensor->data, 1, (uint8_t *)&p.value);
        } else {
            memcpy(&p.value, value->tensor->data, hd_dtype_size(output->dtype));
        }
    }
    return fill(compilation, 0, &p);
}

static hd_status compile_eye(hd_cuda_compilation *compilation)
{
    const hd_operand *output = &compilation->operation->outputs[0];
    int64_t k = hd_operation_int(compilation->operation, "k", 0);
    k = k > INT32_MAX ? INT32_MAX : k < -INT32_MAX ? -INT32_MAX : k; /* no diagonal is there */
    const hd_cuda_fill p = {.value = one_of(output->dtype),
                            .count = (unsigned)hd_shape_count(&output->shape),
                            .has_rows = 1,
                            .k = (int)k,
                            .columns = hd_cuda_divisor_of((unsigned)output->shape.dims[1])};
    return fill(compilation, 0, &p);
}

/* --- Range */

static bool find_range(hd_dtype dtype, hd_cuda_function *out_function)
{
    static const struct {
        hd_dtype dtype;
        hd_cuda_function function;
    } rows[] = {{HD_FLOAT32, HD_CUDA_range_float32},
                {HD_FLOAT64, HD_CUDA_range_float64},
                {HD_INT16, HD_CUDA_range_int16},
                {HD_INT32, HD_CUDA_range_int32},
                {HD_INT64, HD_CUDA_range_int64}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].dtype == dtype) {
            *out_function = rows[i].function;
            return true;
        }
    }
    return false;
}

static bool supports_range(const hd_cuda_unit *unit, const hd_operation *operation)
{
    hd_cuda_function function;
    return supports_fill(unit, operation) &&
           operation->inputs[0].dtype == operation->outputs[0].dtype &&
           find_range(operation->outputs[0].dtype, &function);
}

static hd_status compile_range(hd_cuda_compilation *compilation)
{
    const hd_operand *output = &compilation->operation->outputs[0];
    hd_cuda_function function = HD_CUDA_range_float32;
    (void)find_range(output->dtype, &function);
    const hd_cuda_range p = {.count = (unsigned)hd_shape_count(&output->shape)};
    const hd_cuda_pointer pointers[] = {{0, offsetof(hd_cuda_range, start), 0},
                                        {2, offsetof(hd_cuda_range, delta), 0},
                                        {3, offsetof(hd_cuda_range, y), 0}};
    return hd_cuda_add_threads(compilation, HD_CUDA_MAKE_BLOCK, function, p.count, &p, sizeof p,
                               pointers, 3);
}

/* --- the same bits */

static bool supports_same(const hd_cuda_unit *unit, const hd_operation *operation)
{
    return hd_cuda_can_move(unit, operation) && operation->outputs[0].dtype != HD_DTYPE_NONE;
}

static hd_status compile_same(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    hd_cuda_box box = {.source = 0,
                       .target = (uint16_t)operation->input_count,
                       .rank = 1,
                       .dims = {hd_shape_count(&operation->inputs[0].shape)},
                       .source_strides = {1},
                       .target_strides = {1},
                       .element = hd_dtype_size(operation->inputs[0].dtype)};
    return hd_cuda_add_copy(compilation, &box);
}

static hd_status compile_dropout(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    hd_status status = compile_same(compilation);
    if (status != HD_OK || operation->output_count < 2 ||
        operation->outputs[1].dtype == HD_DTYPE_NONE) {
        return status;
    }
    const hd_cuda_fill p = {.value = one_of(operation->outputs[1].dtype),
                            .count = (unsigned)hd_shape_count(&operation->outputs[1].shape)};
    return fill(compilation, 1, &p);
}

const hd_cuda_operator hd_cuda_operators_making[] = {
    {HD_OP_ONE_HOT, supports_one_hot, compile_one_hot},
    {HD_OP_CONSTANT_OF_SHAPE, supports_fill, compile_constant},
    {HD_OP_EYE_LIKE, supports_fill, compile_eye},
    {HD_OP_RANGE, supports_range, compile_range},
    {HD_OP_BIT_CAST, supports_same, compile_same},
    {HD_OP_DROPOUT, supports_same, compile_dropout},
    {HD_OP_NONE, NULL, NULL}};
