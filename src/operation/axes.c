#include "operation/axes.h"

static hd_axes_result axis_fail(const hd_operation *operation, hd_error *error, int64_t axis,
                                uint32_t rank)
{
    hd_operation_fail(operation, error, HD_BAD_MODEL, "axis %lld is out of range for rank %u",
                      (long long)axis, rank);
    return HD_AXES_FAILED;
}

hd_axes_result hd_axes_reduced(const hd_operation *operation, size_t input, uint32_t rank,
                               bool reduced[HD_MAX_RANK], hd_error *error)
{
    size_t attribute_count = 0;
    const int64_t *from_attribute = hd_operation_ints(operation, "axes", &attribute_count);
    const hd_operand *operand =
        hd_operation_has(operation, input) ? &operation->inputs[input] : NULL;
    int64_t count = (int64_t)attribute_count;
    if (from_attribute == NULL && operand != NULL) {
        count = hd_shape_count(&operand->shape);
        if (operand->dtype != HD_INT64 && operand->dtype != HD_INT32) {
            hd_operation_fail(operation, error, HD_BAD_MODEL, "axes are %s, not integers",
                              hd_dtype_name(operand->dtype));
            return HD_AXES_FAILED;
        }
        if (count > 0 && operand->data == NULL) {
            return HD_AXES_NEEDS_VALUE;
        }
    }
    bool all = count == 0 && hd_operation_int(operation, "noop_with_empty_axes", 0) == 0;
    for (uint32_t i = 0; i < HD_MAX_RANK; i++) {
        reduced[i] = all && i < rank;
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t axis = from_attribute != NULL ? from_attribute[i] : hd_operand_int(operand, i);
        if (!hd_axis_normalize(&axis, rank)) {
            return axis_fail(operation, error, axis, rank);
        }
        reduced[axis] = true;
    }
    return HD_AXES_DONE;
}

bool hd_axis_split_softmax(const hd_operation *operation, hd_axis_split *out_split)
{
    const hd_shape *shape = &operation->inputs[0].shape;
    bool flat = operation->opset < 13;
    int64_t axis = hd_operation_int(operation, "axis", flat ? 1 : -1);
    if (flat && axis == (int64_t)shape->rank) {
        *out_split = (hd_axis_split){hd_shape_count(shape), 1, 1};
        return true;
    }
    if (shape->rank == 0 && (axis == 0 || axis == -1)) {
        *out_split = (hd_axis_split){1, 1, 1};
        return true;
    }
    if (!hd_axis_normalize(&axis, shape->rank)) {
        return false;
    }
    uint32_t at = (uint32_t)axis;
    out_split->outer = hd_shape_count_range(shape, 0, at);
    out_split->size = flat ? hd_shape_count_range(shape, at, shape->rank) : shape->dims[at];
    out_split->inner = flat ? 1 : hd_shape_count_range(shape, at + 1, shape->rank);
    return true;
}
