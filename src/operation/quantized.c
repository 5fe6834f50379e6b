#include "operation/quantized.h"

static const struct {
    hd_operator_id id;
    hd_quantized_roles roles;
} all_roles[] = {
    {HD_OP_CONV_INTEGER,
     {.a = 0, .a_scale = -1, .a_zero = 2, .b = 1, .b_scale = -1, .b_zero = 3, -1, -1, -1}},
    {HD_OP_MATMUL_INTEGER,
     {.a = 0, .a_scale = -1, .a_zero = 2, .b = 1, .b_scale = -1, .b_zero = 3, -1, -1, -1}},
    {HD_OP_QLINEAR_CONV,
     {.a = 0, .a_scale = 1, .a_zero = 2, .b = 3, .b_scale = 4, .b_zero = 5, 6, 7, 8}},
    {HD_OP_HEDDLE_QLINEAR_CONV,
     {.a = 0, .a_scale = 1, .a_zero = 2, .b = 3, .b_scale = 4, .b_zero = 5, 6, 7, 8}},
    {HD_OP_QLINEAR_MATMUL,
     {.a = 0, .a_scale = 1, .a_zero = 2, .b = 3, .b_scale = 4, .b_zero = 5, 6, 7, -1}},
};

const hd_quantized_roles *hd_quantized_roles_of(hd_operator_id id)
{
    for (size_t i = 0; i < sizeof all_roles / sizeof all_roles[0]; i++) {
        if (all_roles[i].id == id) {
            return &all_roles[i].roles;
        }
    }
    return NULL;
}

void hd_quantized_view_make(const hd_operation *operation, hd_quantized_view *view)
{
    const hd_quantized_roles *roles = hd_quantized_roles_of(operation->id);
    view->operands[0] = operation->inputs[roles->a];
    view->operands[1] = operation->inputs[roles->b];
    view->operands[1].dtype = view->operands[0].dtype;
    view->operands[2] = (hd_operand){.dtype = HD_INT32};
    if (operation->output_count > 0) {
        view->operands[2].shape = operation->outputs[0].shape;
    }
    view->operation = *operation;
    if (operation->id !=
        HD_OP_HEDDLE_QLINEAR_CONV) { /* that one's sizes are those of its parameters */
        view->operation.id = hd_quantized_is_convolution(operation->id) ? HD_OP_CONV : HD_OP_MATMUL;
    }
    view->operation.inputs = view->operands;
    view->operation.input_count = 2;
    view->operation.outputs = &view->operands[2];
    view->operation.output_count = 1;
}

static hd_status refuse(const hd_operation *operation, hd_error *error)
{
    char x[96], scale[96];
    return hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                             "scales of shape %s do not fit an input of shape %s",
                             hd_shape_text(&operation->inputs[1].shape, scale, sizeof scale),
                             hd_shape_text(&operation->inputs[0].shape, x, sizeof x));
}

hd_status hd_quantized_scales_resolve(const hd_operation *operation, hd_quantized_scales *scales,
                                      hd_error *error)
{
    const hd_shape *x = &operation->inputs[0].shape, *scale = &operation->inputs[1].shape;
    int64_t block = hd_operation_int(operation, "block_size", 0);
    int64_t axis = hd_operation_int(operation, "axis", 1);
    if (block < 0) {
        return hd_operation_fail(operation, error, HD_BAD_MODEL, "attribute 'block_size' is %lld",
                                 (long long)block);
    }
    /* Before opset 13 there is one scale; a tensor of one element is one at any opset. */
    if (block == 0 && (scale->rank == 0 || (scale->rank == 1 && scale->dims[0] == 1))) {
        *scales =
            (hd_quantized_scales){.outer = 1, .axis = 1, .inner = hd_shape_count(x), .block = 1};
        return HD_OK;
    }
    if (!hd_axis_normalize(&axis, x->rank)) {
        return hd_operation_fail(operation, error, HD_BAD_MODEL,
                                 "attribute 'axis' does not fit rank %u", x->rank);
    }
    const uint32_t at = (uint32_t)axis;
    *scales = (hd_quantized_scales){.outer = hd_shape_count_range(x, 0, at),
                                    .axis = x->dims[at],
                                    .inner = hd_shape_count_range(x, at + 1, x->rank),
                                    .block = 1,
                                    .axis_step = 1};
    if (block == 0) {
        return scale->rank == 1 && scale->dims[0] == x->dims[at] ? HD_OK : refuse(operation, error);
    }
    if (scale->rank != x->rank) {
        return refuse(operation, error);
    }
    for (uint32_t i = 0; i < x->rank; i++) {
        int64_t expected = i == at ? x->dims[i] / block + (x->dims[i] % block != 0) : x->dims[i];
        if (scale->dims[i] != expected) {
            return refuse(operation, error);
        }
    }
    scales->block = block;
    scales->inner_step = 1;
    scales->axis_step = scales->inner;
    scales->outer_step = scale->dims[at] * scales->inner;
    return HD_OK;
}
