#include <math.h>

#include "graph/ops/movement.h"

hd_infer_result hd_infer_shape_of(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    (void)error;
    int64_t rank = operation->inputs[0].shape.rank;
    int64_t start = hd_operation_int(operation, "start", 0);
    int64_t end = hd_operation_int(operation, "end", rank);
    start += start < 0 ? rank : 0;
    end += end < 0 ? rank : 0;
    start = start < 0 ? 0 : start > rank ? rank : start;
    end = end < start ? start : end > rank ? rank : end;
    operation->outputs[0].dtype = HD_INT64;
    operation->outputs[0].shape = (hd_shape){.rank = 1, .dims = {end - start}};
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_size(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    (void)error;
    operation->outputs[0].dtype = HD_INT64;
    operation->outputs[0].shape = (hd_shape){.rank = 0};
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_constant_of_shape(hd_operation *operation, size_t *needed_input,
                                           hd_error *error)
{
    const hd_operand *target = &operation->inputs[0];
    const hd_attribute *value = hd_operation_attribute(operation, "value");
    int64_t rank = hd_shape_count(&target->shape);
    if (target->data == NULL && rank > 0) {
        return hd_infer_need(0, needed_input);
    }
    if (!hd_infer_is_index(target) || rank > HD_MAX_RANK) {
        return hd_infer_reject(operation, error, "the shape is no list of up to 8 integers");
    }
    if (value != NULL && (value->kind != HD_ATTRIBUTE_TENSOR || value->tensor == NULL ||
                          value->tensor->data == NULL ||
                          value->tensor->size < hd_dtype_size(value->tensor->dtype))) {
        return hd_infer_reject(operation, error, "the value is no tensor of one element");
    }
    hd_operand *output = &operation->outputs[0];
    output->dtype = value == NULL ? HD_FLOAT32 : value->tensor->dtype;
    output->shape.rank = (uint32_t)rank;
    for (int64_t i = 0; i < rank; i++) {
        output->shape.dims[i] = hd_operand_int(target, i);
    }
    if (!hd_shape_is_valid(&output->shape, output->dtype)) {
        return hd_infer_reject(operation, error, "the shape has a negative or too large number");
    }
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_eye_like(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_operand *like = &operation->inputs[0];
    if (like->shape.rank != 2) {
        return hd_infer_reject(operation, error, "the input is no matrix");
    }
    int64_t dtype = hd_operation_int(operation, "dtype", like->dtype);
    if (dtype < 0 || dtype > HD_BFLOAT16 || hd_dtype_size((hd_dtype)dtype) == 0) {
        hd_operation_fail(operation, error, HD_UNSUPPORTED, "dtype %lld", (long long)dtype);
        return HD_INFER_FAILED;
    }
    operation->outputs[0].dtype = (hd_dtype)dtype;
    operation->outputs[0].shape = like->shape;
    return HD_INFER_DONE;
}

/* Elements of start, start + delta, … before limit; -1: delta is 0 or not a number, or too many. */
static int64_t count_integers(int64_t start, int64_t limit, int64_t delta)
{
    if (delta == 0) {
        return -1;
    }
    if (delta > 0 ? limit <= start : limit >= start) {
        return 0;
    }
    uint64_t distance =
        delta > 0 ? (uint64_t)limit - (uint64_t)start : (uint64_t)start - (uint64_t)limit;
    uint64_t step = delta > 0 ? (uint64_t)delta : 0 - (uint64_t)delta;
    uint64_t count = (distance - 1) / step + 1;
    return count > (uint64_t)INT64_MAX ? -1 : (int64_t)count;
}

static int64_t count_floats(double start, double limit, double delta)
{
    double count = ceil((limit - start) / delta);
    if (isnan(count) || delta == 0 || count > 9e15) {
        return -1;
    }
    return count < 0 ? 0 : (int64_t)count;
}

static int64_t count_range(const hd_operand *inputs)
{
    switch (inputs[0].dtype) {
    case HD_FLOAT32:
        return count_floats(*(const float *)inputs[0].data, *(const float *)inputs[1].data,
                            *(const float *)inputs[2].data);
    case HD_FLOAT64:
        return count_floats(*(const double *)inputs[0].data, *(const double *)inputs[1].data,
                            *(const double *)inputs[2].data);
    case HD_INT16:
        return count_integers(*(const int16_t *)inputs[0].data, *(const int16_t *)inputs[1].data,
                              *(const int16_t *)inputs[2].data);
    default:
        return count_integers(hd_operand_int(&inputs[0], 0), hd_operand_int(&inputs[1], 0),
                              hd_operand_int(&inputs[2], 0));
    }
}

hd_infer_result hd_infer_range(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    hd_dtype dtype = operation->inputs[0].dtype;
    if (dtype != HD_FLOAT32 && dtype != HD_FLOAT64 && dtype != HD_INT16 && dtype != HD_INT32 &&
        dtype != HD_INT64) {
        hd_operation_fail(operation, error, HD_UNSUPPORTED, "dtype %s", hd_dtype_name(dtype));
        return HD_INFER_FAILED;
    }
    for (size_t i = 0; i < 3; i++) {
        if (operation->inputs[i].dtype != dtype ||
            hd_shape_count(&operation->inputs[i].shape) != 1) {
            return hd_infer_reject(operation, error, "the inputs are no scalars of one dtype");
        }
        if (operation->inputs[i].data == NULL) {
            return hd_infer_need(i, needed_input);
        }
    }
    int64_t count = count_range(operation->inputs);
    if (count < 0) {
        return hd_infer_reject(operation, error, "the range is not finite");
    }
    operation->outputs[0].dtype = dtype;
    operation->outputs[0].shape = (hd_shape){.rank = 1, .dims = {count}};
    return HD_INFER_DONE;
}
