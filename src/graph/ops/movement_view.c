#include "graph/ops/movement.h"

static hd_infer_result set_view(hd_operation *operation, const hd_shape *shape)
{
    operation->outputs[0].dtype = operation->inputs[0].dtype;
    operation->outputs[0].shape = *shape;
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_reshape(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    const hd_shape *from = &operation->inputs[0].shape;
    const hd_operand *target = &operation->inputs[1];
    if (target->data == NULL) {
        return hd_infer_need(1, needed_input);
    }
    int64_t rank = hd_shape_count(&target->shape);
    if (!hd_infer_is_index(target) || rank > HD_MAX_RANK) {
        return hd_infer_reject(operation, error, "the shape is no list of up to 8 integers");
    }
    bool allow_zero = hd_operation_int(operation, "allowzero", 0) != 0;
    hd_shape shape = {.rank = (uint32_t)rank};
    int64_t unknown = -1, known = 1;
    for (int64_t i = 0; i < rank; i++) {
        int64_t dim = hd_operand_int(target, i);
        if (dim == 0 && !allow_zero) {
            if (i >= (int64_t)from->rank) {
                return hd_infer_reject(operation, error, "a 0 in the shape stands for no axis");
            }
            dim = from->dims[i];
        }
        if (dim == -1 && unknown < 0) {
            unknown = i;
            dim = 1;
        }
        if (dim < 0 || __builtin_mul_overflow(known, dim, &known)) {
            return hd_infer_reject(operation, error,
                                   "the shape has a negative or too large number");
        }
        shape.dims[i] = dim;
    }
    int64_t count = hd_shape_count(from);
    if (unknown >= 0) {
        if (known == 0 || count % known != 0) {
            /* beside a 0 any value of the -1 would do: ONNX has none */
            return hd_infer_reject(operation, error,
                                   "no single value of the -1 keeps the element count");
        }
        shape.dims[unknown] = count / known;
    } else if (known != count) {
        char text[2][96];
        hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                          "%s has another number of elements than %s",
                          hd_shape_text(&shape, text[0], sizeof text[0]),
                          hd_shape_text(from, text[1], sizeof text[1]));
        return HD_INFER_FAILED;
    }
    return set_view(operation, &shape);
}

hd_infer_result hd_infer_flatten(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_shape *from = &operation->inputs[0].shape;
    int64_t axis = hd_operation_int(operation, "axis", 1);
    axis += axis < 0 ? from->rank : 0;
    if (axis < 0 || axis > (int64_t)from->rank) {
        return hd_infer_reject(operation, error, "axis is outside the rank");
    }
    hd_shape shape = {.rank = 2};
    shape.dims[0] = hd_shape_count_range(from, 0, (uint32_t)axis);
    shape.dims[1] = hd_shape_count_range(from, (uint32_t)axis, from->rank);
    return set_view(operation, &shape);
}

/* The axes of Squeeze and Unsqueeze as a set of bits below `rank`; an attribute before opset 13, an
 * input since. *given: they are there. */
static hd_infer_result read_axes(hd_operation *operation, uint32_t rank, bool *given, uint32_t *set,
                                 size_t *needed_input, hd_error *error)
{
    size_t count = 0;
    const int64_t *values = NULL;
    const hd_operand *operand = NULL;
    if (operation->opset < 13) {
        values = hd_operation_ints(operation, "axes", &count);
        *given = values != NULL;
    } else if (hd_operation_has(operation, 1)) {
        operand = &operation->inputs[1];
        if (operand->data == NULL) {
            return hd_infer_need(1, needed_input);
        }
        count = (size_t)hd_shape_count(&operand->shape);
        *given = true;
        if (!hd_infer_is_index(operand)) {
            return hd_infer_reject(operation, error, "the axes are no integers");
        }
    }
    for (size_t i = 0; i < count; i++) {
        int64_t axis = values != NULL ? values[i] : hd_operand_int(operand, (int64_t)i);
        if (!hd_axis_normalize(&axis, rank) || (*set >> axis & 1) != 0) {
            return hd_infer_reject(operation, error, "an axis is outside the rank, or given twice");
        }
        *set |= 1U << axis;
    }
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_squeeze(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    const hd_shape *from = &operation->inputs[0].shape;
    bool given = false;
    uint32_t set = 0;
    hd_infer_result result = read_axes(operation, from->rank, &given, &set, needed_input, error);
    if (result != HD_INFER_DONE) {
        return result;
    }
    hd_shape shape = {0};
    for (uint32_t i = 0; i < from->rank; i++) {
        bool drop = given ? (set >> i & 1) != 0 : from->dims[i] == 1;
        if (!drop) {
            shape.dims[shape.rank++] = from->dims[i];
        } else if (from->dims[i] != 1) {
            return hd_infer_reject(operation, error, "an axis to be dropped has not size 1");
        }
    }
    return set_view(operation, &shape);
}

hd_infer_result hd_infer_unsqueeze(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    const hd_shape *from = &operation->inputs[0].shape;
    size_t count = 0;
    if (operation->opset < 13) {
        hd_operation_ints(operation, "axes", &count);
    } else if (!hd_operation_has(operation, 1)) {
        return hd_infer_reject(operation, error, "the axes are missing");
    } else {
        count = (size_t)hd_shape_count(&operation->inputs[1].shape);
    }
    if (count > HD_MAX_RANK - from->rank) {
        return hd_infer_reject(operation, error, "the result has more than 8 axes");
    }
    hd_shape shape = {.rank = from->rank + (uint32_t)count};
    bool given = false;
    uint32_t set = 0, next = 0;
    hd_infer_result result = read_axes(operation, shape.rank, &given, &set, needed_input, error);
    if (result != HD_INFER_DONE) {
        return result;
    }
    for (uint32_t i = 0; i < shape.rank; i++) {
        shape.dims[i] = (set >> i & 1) != 0 ? 1 : from->dims[next++];
    }
    return set_view(operation, &shape);
}

/* Every byte is 0, or only the sign of a floating-point 0 is set. */
static bool is_zero(const hd_operand *operand)
{
    size_t size = hd_dtype_size(operand->dtype);
    const unsigned char *bytes = operand->data;
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = bytes[i];
        if ((i + 1 == size ? byte & 0x7F : byte) != 0) {
            return false;
        }
    }
    return true;
}

/* Inference: y = x. Training is the same when nothing is dropped. */
hd_infer_result hd_infer_dropout(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    if (operation->opset >= 12 && hd_operation_has(operation, 2)) {
        const hd_operand *training = &operation->inputs[2];
        if (training->data == NULL) {
            return hd_infer_need(2, needed_input);
        }
        if (hd_shape_count(&training->shape) != 1 ||
            (hd_operation_has(operation, 1) && hd_shape_count(&operation->inputs[1].shape) != 1)) {
            return hd_infer_reject(operation, error, "ratio or training_mode is no scalar");
        }
        if (hd_operand_int(training, 0) != 0) {
            if (hd_operation_has(operation, 1) && operation->inputs[1].data == NULL) {
                return hd_infer_need(1, needed_input);
            }
            if (!hd_operation_has(operation, 1) || !is_zero(&operation->inputs[1])) {
                hd_operation_fail(operation, error, HD_UNSUPPORTED,
                                  "training_mode with a ratio other than 0");
                return HD_INFER_FAILED;
            }
        }
    }
    if (operation->output_count > 1) {
        operation->outputs[1].dtype = operation->opset >= 10 ? HD_BOOL : operation->inputs[0].dtype;
        operation->outputs[1].shape = operation->inputs[0].shape;
    }
    return set_view(operation, &operation->inputs[0].shape);
}
