#include "operation/slicing.h"

enum { INPUT_STARTS = 1, INPUT_ENDS, INPUT_AXES, INPUT_STEPS };

size_t hd_slicing_needs(const hd_operation *operation)
{
    if (operation->opset < 10) {
        return 0;
    }
    for (size_t i = INPUT_STARTS; i <= INPUT_STEPS; i++) {
        if (hd_operation_has(operation, i) && operation->inputs[i].data == NULL) {
            return i;
        }
    }
    return 0;
}

/* One of the four lists, wherever the opset has it; count < 0: it is not there. */
typedef struct list {
    const int64_t *values;
    const hd_operand *operand;
    int64_t count;
} list;

static list list_of(const hd_operation *operation, const char *name, size_t input)
{
    list result = {.count = -1};
    if (operation->opset < 10) {
        size_t count;
        result.values = hd_operation_ints(operation, name, &count);
        if (result.values != NULL) {
            result.count = (int64_t)count;
        }
    } else if (hd_operation_has(operation, input)) {
        result.operand = &operation->inputs[input];
        result.count = hd_shape_count(&result.operand->shape);
    }
    return result;
}

static int64_t list_get(const list *from, int64_t index)
{
    return from->values != NULL ? from->values[index] : hd_operand_int(from->operand, index);
}

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

/* ONNX's rule: negative bounds count from the end; a start is clamped to an element (forwards, or to the axis' end),
 * an end to one before or behind. So a backward slice takes element 0 from a start far below, unlike Python's. */
static void slice_axis(hd_slicing *slicing, int64_t axis, int64_t dim, int64_t start, int64_t end,
                       int64_t step)
{
    start = start >= 0 ? start : start < -dim ? 0 : start + dim;
    end = end >= 0 ? end : end < -dim ? -1 : end + dim;
    int64_t count = 0;
    if (step > 0) {
        start = start > dim ? dim : start;
        end = clamp(end, 0, dim);
        count = end > start ? (end - start - 1) / step + 1 : 0;
    } else {
        start = start > dim - 1 ? dim - 1 : start;
        end = end > dim - 1 ? dim - 1 : end;
        /* -(step + 1) + 1 as unsigned, since the least int64_t has no opposite. */
        uint64_t stride = (uint64_t)(-(step + 1)) + 1;
        count = start > end ? (int64_t)(((uint64_t)(start - end) - 1) / stride) + 1 : 0;
    }
    slicing->start[axis] = count == 0 ? 0 : start;
    slicing->step[axis] = count <= 1 ? 1 : step;
    slicing->count[axis] = count;
}

hd_status hd_slicing_read(const hd_operation *operation, hd_slicing *out_slicing, hd_error *error)
{
    const hd_shape *shape = &operation->inputs[0].shape;
    list starts = list_of(operation, "starts", INPUT_STARTS);
    list ends = list_of(operation, "ends", INPUT_ENDS);
    list axes = list_of(operation, "axes", INPUT_AXES);
    list steps = list_of(operation, "", INPUT_STEPS);
    for (uint32_t i = 0; i < shape->rank; i++) {
        slice_axis(out_slicing, i, shape->dims[i], 0, shape->dims[i], 1);
    }
    if (starts.count < 0 || starts.count != ends.count ||
        (axes.count >= 0 && axes.count != starts.count) ||
        (steps.count >= 0 && steps.count != starts.count)) {
        return hd_operation_fail(operation, error, HD_BAD_MODEL,
                                 "starts, ends, axes and steps differ in length or are missing");
    }
    for (int64_t i = 0; i < starts.count; i++) {
        int64_t axis = axes.count >= 0 ? list_get(&axes, i) : i;
        int64_t step = steps.count >= 0 ? list_get(&steps, i) : 1;
        if (!hd_axis_normalize(&axis, shape->rank)) {
            return hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                                     "axis %lld is outside rank %u", (long long)axis, shape->rank);
        }
        if (step == 0) {
            return hd_operation_fail(operation, error, HD_INVALID_ARGUMENT, "a step is 0");
        }
        slice_axis(out_slicing, axis, shape->dims[axis], list_get(&starts, i), list_get(&ends, i),
                   step);
    }
    return HD_OK;
}
