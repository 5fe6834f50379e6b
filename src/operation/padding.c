#include "operation/padding.h"

#include <string.h>

/* Pads beyond this make no tensor that fits in memory, and sums of them do not overflow. */
#define PAD_LIMIT ((int64_t)1 << 60)

static bool is_crop(const hd_operation *operation)
{
    return operation->id == HD_OP_CENTER_CROP_PAD;
}

size_t hd_padding_needs(const hd_operation *operation)
{
    if (is_crop(operation)) {
        return operation->inputs[1].data == NULL ? 1 : 0;
    }
    if (operation->opset < 11) {
        return 0;
    }
    if (!hd_operation_has(operation, 1) || operation->inputs[1].data == NULL) {
        return 1;
    }
    return hd_operation_has(operation, 3) && operation->inputs[3].data == NULL ? 3 : 0;
}

static hd_status read_mode(const hd_operation *operation, hd_padding_mode *out_mode,
                           hd_error *error)
{
    static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
    const char *mode = hd_operation_string(operation, "mode", "constant");
    for (int i = 0; i < 4; i++) {
        if (strcmp(mode, names[i]) == 0) {
            *out_mode = (hd_padding_mode)i;
            return HD_OK;
        }
    }
    return hd_operation_fail(operation, error, HD_BAD_MODEL, "no such mode: '%s'", mode);
}

static hd_status fail_axis(const hd_operation *operation, hd_error *error)
{
    return hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                             "an axis is outside the tensor's rank, or given twice");
}

/* Adds one axis' pads; *seen: axes that were given before. */
static hd_status set_axis(const hd_operation *operation, hd_padding *padding, int64_t axis,
                          int64_t before, int64_t after, uint32_t *seen, hd_error *error)
{
    const hd_shape *shape = &operation->inputs[0].shape;
    if (!hd_axis_normalize(&axis, shape->rank) || (*seen >> axis & 1) != 0) {
        return fail_axis(operation, error);
    }
    *seen |= 1U << axis;
    int64_t dim = shape->dims[axis];
    if (before > PAD_LIMIT || after > PAD_LIMIT || before < -PAD_LIMIT || after < -PAD_LIMIT ||
        dim > PAD_LIMIT || dim + before + after < 0) {
        return hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                                 "pads %lld and %lld do not fit axis %lld of %lld",
                                 (long long)before, (long long)after, (long long)axis,
                                 (long long)dim);
    }
    if (padding->mode != HD_PADDING_CONSTANT && dim == 0 && dim + before + after > 0) {
        return hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                                 "axis %lld has no element to pad with", (long long)axis);
    }
    padding->before[axis] = before;
    padding->after[axis] = after;
    return HD_OK;
}

/* CenterCropPad: onnx.ai, "CenterCropPad"; the odd element goes to the end. */
static hd_status read_crop(const hd_operation *operation, hd_padding *padding, hd_error *error)
{
    const hd_shape *shape = &operation->inputs[0].shape;
    size_t axis_count;
    const int64_t *axes = hd_operation_ints(operation, "axes", &axis_count);
    int64_t count = axes != NULL ? (int64_t)axis_count : shape->rank;
    uint32_t seen = 0;
    if (hd_shape_count(&operation->inputs[1].shape) != count) {
        return hd_operation_fail(operation, error, HD_BAD_MODEL, "shape and axes differ in length");
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t axis = axes != NULL ? axes[i] : i;
        int64_t wanted = hd_operand_int(&operation->inputs[1], i);
        if (!hd_axis_normalize(&axis, shape->rank) || wanted < 0 || wanted > PAD_LIMIT) {
            return fail_axis(operation, error);
        }
        int64_t more = wanted - shape->dims[axis];
        int64_t before = more >= 0 ? more / 2 : -(-more / 2);
        hd_status status = set_axis(operation, padding, axis, before, more - before, &seen, error);
        if (status != HD_OK) {
            return status;
        }
    }
    return HD_OK;
}

hd_status hd_padding_read(const hd_operation *operation, hd_padding *out_padding, hd_error *error)
{
    *out_padding = (hd_padding){0};
    if (is_crop(operation)) {
        return read_crop(operation, out_padding, error);
    }
    hd_status status = read_mode(operation, &out_padding->mode, error);
    if (status != HD_OK) {
        return status;
    }
    size_t attribute_count = 0;
    const int64_t *values = NULL;
    const hd_operand *axes = NULL;
    int64_t pad_count, count = operation->inputs[0].shape.rank;
    uint32_t seen = 0;
    if (operation->opset < 11) {
        values = hd_operation_ints(operation, "pads", &attribute_count);
        pad_count = (int64_t)attribute_count;
    } else {
        pad_count = hd_shape_count(&operation->inputs[1].shape);
        if (hd_operation_has(operation, 3)) {
            axes = &operation->inputs[3];
            count = hd_shape_count(&axes->shape);
        }
    }
    if (pad_count != 2 * count) {
        return hd_operation_fail(operation, error, HD_BAD_MODEL, "%lld pads for %lld axes",
                                 (long long)pad_count, (long long)count);
    }
    for (int64_t i = 0; i < count && status == HD_OK; i++) {
        const hd_operand *pads = &operation->inputs[operation->opset < 11 ? 0 : 1];
        status = set_axis(operation, out_padding, axes != NULL ? hd_operand_int(axes, i) : i,
                          values != NULL ? values[i] : hd_operand_int(pads, i),
                          values != NULL ? values[i + count] : hd_operand_int(pads, i + count),
                          &seen, error);
    }
    return status;
}

int64_t hd_padding_source(hd_padding_mode mode, int64_t dim, int64_t position)
{
    if (position >= 0 && position < dim) {
        return position;
    }
    switch (mode) {
    case HD_PADDING_CONSTANT:
        return -1;
    case HD_PADDING_EDGE:
        return position < 0 ? 0 : dim - 1;
    case HD_PADDING_WRAP:
        position %= dim;
        return position < 0 ? position + dim : position;
    case HD_PADDING_REFLECT:
        break;
    }
    if (dim == 1) {
        return 0;
    }
    int64_t period = 2 * (dim - 1);
    position %= period;
    position = position < 0 ? position + period : position;
    return position < dim ? position : period - position;
}
