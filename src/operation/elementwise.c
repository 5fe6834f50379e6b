#include "operation/elementwise.h"

bool hd_elementwise_shape(const hd_operation *operation, size_t index, hd_shape *out_shape)
{
    const hd_shape *shape = &operation->inputs[index].shape;
    *out_shape = *shape;
    if (operation->opset >= 7 || index != 1) {
        return true;
    }
    uint32_t rank = operation->inputs[0].shape.rank;
    int64_t axis;
    if (operation->id == HD_OP_PRELU) {
        if (shape->rank != 1 || rank < 2) {
            return true;
        }
        axis = 1;
    } else {
        const hd_attribute *attribute = hd_operation_attribute(operation, "axis");
        if (hd_operation_int(operation, "broadcast", 0) == 0 || attribute == NULL) {
            return true;
        }
        axis = attribute->i;
    }
    if (!hd_axis_normalize(&axis, rank == 0 ? 1 : rank) || (uint32_t)axis + shape->rank > rank) {
        return false;
    }
    for (uint32_t i = 0; i < rank; i++) {
        bool is_inside = i >= (uint32_t)axis && i - (uint32_t)axis < shape->rank;
        out_shape->dims[i] = is_inside ? shape->dims[i - (uint32_t)axis] : 1;
    }
    out_shape->rank = rank;
    return true;
}
