/* Operators that go by indices or positions: Gather, GatherElements, Pad, Trilu. */
#include <string.h>

#include "hal/cuda/movement.h"
#include "operation/padding.h"

static bool supports(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    return hd_cuda_moves(operation);
}

/* --- Gather: blocks along one axis */

static hd_status compile_gather(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    int64_t axis = hd_operation_int(operation, "axis", 0);
    hd_axis_normalize(&axis, shape->rank);
    int64_t block = hd_shape_count_range(shape, (uint32_t)axis + 1, shape->rank);
    int64_t count = hd_shape_count(&operation->outputs[0].shape);
    size_t element = hd_dtype_size(operation->inputs[0].dtype);
    if (count == 0) { /* the axis may then be empty, too */
        return HD_OK;
    }
    for (; element < 16 && block % 2 == 0; element *= 2) {
        block /= 2;
        count /= 2;
    }
    hd_cuda_gather p = {
        .count = (unsigned)count,
        .index_count = hd_cuda_divisor_of((unsigned)hd_shape_count(&operation->inputs[1].shape)),
        .block = hd_cuda_divisor_of((unsigned)block),
        .dim = (int)shape->dims[axis],
        .is_wide = operation->inputs[1].dtype == HD_INT64};
    const hd_cuda_pointer pointers[] = {{0, offsetof(hd_cuda_gather, x), 0},
                                        {1, offsetof(hd_cuda_gather, indices), 0},
                                        {2, offsetof(hd_cuda_gather, y), 0}};
    return hd_cuda_add_move(compilation, hd_cuda_by_size(HD_CUDA_gather_1, element), count, &p,
                            sizeof p, pointers, 3);
}

static hd_status compile_gather_elements(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape, *places = &operation->inputs[1].shape;
    int64_t axis = hd_operation_int(operation, "axis", 0), strides[HD_MAX_RANK];
    hd_axis_normalize(&axis, shape->rank);
    hd_shape_strides(shape, strides);
    int64_t count = hd_shape_count(places);
    if (count == 0) {
        return HD_OK;
    }
    hd_cuda_gather_elements p = {.count = (unsigned)count,
                                 .rank = (int)places->rank,
                                 .axis_stride = (int)strides[axis],
                                 .dim = (int)shape->dims[axis],
                                 .is_wide = operation->inputs[1].dtype == HD_INT64};
    for (uint32_t i = 0; i < places->rank; i++) {
        p.dims[i] = hd_cuda_divisor_of((unsigned)places->dims[i]);
        p.x_strides[i] = i == (uint32_t)axis ? 0 : (int)strides[i];
    }
    const hd_cuda_pointer pointers[] = {{0, offsetof(hd_cuda_gather_elements, x), 0},
                                        {1, offsetof(hd_cuda_gather_elements, indices), 0},
                                        {2, offsetof(hd_cuda_gather_elements, y), 0}};
    size_t element = hd_dtype_size(operation->inputs[0].dtype);
    return hd_cuda_add_move(compilation, hd_cuda_by_size(HD_CUDA_gather_elements_1, element), count,
                            &p, sizeof p, pointers, 3);
}

/* --- Pad */

/* Pads of before opset 11 are of floats, the constant an attribute. */
static bool read_value(const hd_operation *operation, unsigned long long *out_bits)
{
    float value = operation->opset < 11 ? hd_operation_float(operation, "value", 0) : 0;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    *out_bits = bits;
    return bits == 0 || operation->inputs[0].dtype == HD_FLOAT32;
}

static bool supports_pad(const hd_cuda_unit *unit, const hd_operation *operation)
{
    hd_padding padding;
    unsigned long long bits;
    if (!supports(unit, operation) || hd_padding_needs(operation) != 0 ||
        hd_padding_read(operation, &padding, NULL) != HD_OK || !read_value(operation, &bits)) {
        return false;
    }
    bool fits = true;
    for (uint32_t i = 0; i < operation->inputs[0].shape.rank; i++) {
        fits = fits && padding.before[i] <= INT32_MAX && padding.before[i] >= -INT32_MAX;
    }
    return fits;
}

static hd_status compile_pad(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *from = &operation->inputs[0].shape, *to = &operation->outputs[0].shape;
    hd_padding padding;
    hd_status status = hd_padding_read(operation, &padding, compilation->error);
    int64_t count = hd_shape_count(to), strides[HD_MAX_RANK];
    if (status != HD_OK || count == 0) {
        return status;
    }
    hd_cuda_pad p = {.count = (unsigned)count, .mode = (int)padding.mode};
    (void)read_value(operation, &p.value_bits);
    hd_shape_strides(from, strides);
    for (uint32_t i = 0; i < from->rank; i++) {
        bool joins = p.rank > 0 && padding.before[i] == 0 && padding.after[i] == 0;
        if (joins) { /* what is not padded is a part of the dimension before it, where that is not, too */
            joins = p.before[p.rank - 1] == 0 &&
                    (int64_t)p.dims[p.rank - 1].by == (int64_t)p.x_dims[p.rank - 1];
        }
        if (joins) {
            p.dims[p.rank - 1] = hd_cuda_divisor_of(p.dims[p.rank - 1].by * (unsigned)to->dims[i]);
            p.x_dims[p.rank - 1] *= (int)from->dims[i];
            p.x_strides[p.rank - 1] = (int)strides[i];
            continue;
        }
        p.dims[p.rank] = hd_cuda_divisor_of((unsigned)to->dims[i]);
        p.x_dims[p.rank] = (int)from->dims[i];
        p.before[p.rank] = (int)padding.before[i];
        p.x_strides[p.rank++] = (int)strides[i];
    }
    hd_cuda_pointer pointers[3] = {{0, offsetof(hd_cuda_pad, x), 0},
                                   {(uint16_t)operation->input_count, offsetof(hd_cuda_pad, y), 0}};
    size_t used = 2;
    if (operation->opset >= 11 && operation->id == HD_OP_PAD && hd_operation_has(operation, 2)) {
        pointers[used++] = (hd_cuda_pointer){2, offsetof(hd_cuda_pad, value), 0};
    }
    size_t element = hd_dtype_size(operation->inputs[0].dtype);
    return hd_cuda_add_move(compilation, hd_cuda_by_size(HD_CUDA_pad_1, element), count, &p,
                            sizeof p, pointers, used);
}

/* --- Trilu */

static hd_status compile_triangle(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    int64_t count = hd_shape_count(shape);
    if (count == 0) {
        return HD_OK;
    }
    hd_cuda_triangle p = {.count = (unsigned)count,
                          .rows = hd_cuda_divisor_of((unsigned)shape->dims[shape->rank - 2]),
                          .columns = hd_cuda_divisor_of((unsigned)shape->dims[shape->rank - 1]),
                          .is_upper = hd_operation_int(operation, "upper", 1) != 0};
    hd_cuda_pointer pointers[3] = {
        {0, offsetof(hd_cuda_triangle, x), 0},
        {(uint16_t)operation->input_count, offsetof(hd_cuda_triangle, y), 0}};
    size_t used = 2;
    if (hd_operation_has(operation, 1)) {
        pointers[used++] = (hd_cuda_pointer){1, offsetof(hd_cuda_triangle, k), 0};
    }
    size_t element = hd_dtype_size(operation->inputs[0].dtype);
    return hd_cuda_add_move(compilation, hd_cuda_by_size(HD_CUDA_triangle_1, element), count, &p,
                            sizeof p, pointers, used);
}

const hd_cuda_operator hd_cuda_operators_indexing[] = {
    {HD_OP_GATHER, supports, compile_gather},
    {HD_OP_GATHER_ELEMENTS, supports, compile_gather_elements},
    {HD_OP_PAD, supports_pad, compile_pad},
    {HD_OP_CENTER_CROP_PAD, supports_pad, compile_pad},
    {HD_OP_TRILU, supports, compile_triangle},
    {HD_OP_NONE, NULL, NULL}};
