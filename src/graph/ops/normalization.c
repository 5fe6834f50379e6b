/* Normalization: types and shapes of the operators of this family. */
#include "graph/ops/inference.h"
#include "operation/fused.h"

static hd_infer_result fail(const hd_operation *operation, hd_error *error, const char *what)
{
    hd_operation_fail(operation, error, HD_INVALID_ARGUMENT, "%s", what);
    return HD_INFER_FAILED;
}

static bool holds(const hd_operation *operation, size_t index, int64_t count)
{
    return !hd_operation_has(operation, index) ||
           hd_shape_count(&operation->inputs[index].shape) == count;
}

static bool same_dtype(const hd_operation *operation, size_t begin, size_t end)
{
    for (size_t i = begin; i < end && i < operation->input_count; i++) {
        if (hd_operation_has(operation, i) &&
            operation->inputs[i].dtype != operation->inputs[0].dtype) {
            return false;
        }
    }
    return true;
}

/* Scale, bias, mean and variance hold one value a channel, or one an element where the old attribute
 * `spatial` is 0. */
hd_infer_result hd_infer_batch_norm(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    const hd_shape *shape = &operation->inputs[0].shape;
    if (shape->rank < 1) {
        return fail(operation, error, "its input is a scalar");
    }
    bool spatial = operation->opset >= 9 || hd_operation_int(operation, "spatial", 1) != 0;
    int64_t channels = shape->rank == 1 ? 1 : shape->dims[1];
    int64_t count = spatial ? channels : hd_shape_count_range(shape, 1, shape->rank);
    for (size_t i = 1; i < 5; i++) {
        if (!hd_operation_has(operation, i) || !holds(operation, i, count)) {
            return fail(operation, error, "scale, bias, mean and variance do not fit the channels");
        }
    }
    if (operation->opset < 14 && !same_dtype(operation, 1, 5)) {
        return fail(operation, error,
                    "scale, bias, mean and variance are of another type than its input");
    }
    for (size_t i = 1; i < operation->output_count; i++) {
        operation->outputs[i].dtype = operation->inputs[i < 5 ? (i - 1) % 2 + 3 : 3].dtype;
        operation->outputs[i].shape = operation->inputs[3].shape;
    }
    return hd_infer_same(operation, needed_input, error);
}

hd_infer_result hd_infer_instance_norm(hd_operation *operation, size_t *needed_input,
                                       hd_error *error)
{
    const hd_shape *shape = &operation->inputs[0].shape;
    if (shape->rank < 2 || !holds(operation, 1, shape->dims[1]) ||
        !holds(operation, 2, shape->dims[1]) || !same_dtype(operation, 1, 3)) {
        return fail(operation, error, "scale and bias do not fit the channels");
    }
    return hd_infer_same(operation, needed_input, error);
}

/* Before opset 21 scale and bias hold one value a group, then one a channel. */
hd_infer_result hd_infer_group_norm(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    const hd_shape *shape = &operation->inputs[0].shape;
    int64_t groups = hd_operation_int(operation, "num_groups", 0);
    if (shape->rank < 2 || groups < 1 || shape->dims[1] % groups != 0) {
        return fail(operation, error, "num_groups does not divide the channels");
    }
    bool channels = holds(operation, 1, shape->dims[1]) && holds(operation, 2, shape->dims[1]);
    bool fits = channels || (operation->opset < 21 && holds(operation, 1, groups) &&
                             holds(operation, 2, groups));
    if (!fits || !same_dtype(operation, 1, 3)) {
        return fail(operation, error, "scale and bias fit neither channels nor groups");
    }
    return hd_infer_same(operation, needed_input, error);
}

/* Whether an operand is broadcast to `shape` as ONNX says, or has as many elements as are normalized together. */
static bool scales(const hd_operation *operation, size_t index, const hd_shape *shape,
                   int64_t count)
{
    hd_shape result;
    return holds(operation, index, count) ||
           (hd_shape_broadcast(&operation->inputs[index].shape, shape, &result) &&
            hd_shape_equal(&result, shape));
}

/* Normalizes over the dimensions from `axis` on. */
hd_infer_result hd_infer_layer_norm(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    const hd_shape *shape = &operation->inputs[0].shape;
    int64_t axis = hd_operation_int(operation, "axis", -1);
    if (!hd_axis_normalize(&axis, shape->rank)) {
        return fail(operation, error, "its axis is out of range");
    }
    int64_t count = hd_shape_count_range(shape, (uint32_t)axis, shape->rank);
    if (!scales(operation, 1, shape, count) || !scales(operation, 2, shape, count) ||
        !same_dtype(operation, 1, 3)) {
        return fail(operation, error, "scale and bias do not fit the normalized dimensions");
    }
    hd_shape statistics = *shape;
    for (uint32_t i = (uint32_t)axis; i < shape->rank; i++) {
        statistics.dims[i] = 1;
    }
    for (size_t i = 1; i < operation->output_count; i++) {
        bool is_wide = hd_operation_int(operation, "stash_type", HD_FLOAT32) == HD_FLOAT64;
        operation->outputs[i].dtype = is_wide ? HD_FLOAT64 : HD_FLOAT32;
        operation->outputs[i].shape = statistics;
    }
    return hd_infer_same(operation, needed_input, error);
}

hd_infer_result hd_infer_fused_layer_norm(hd_operation *operation, size_t *needed_input,
                                          hd_error *error)
{
    const hd_shape *shape = &operation->inputs[0].shape;
    int64_t count = shape->rank == 0 ? 1 : shape->dims[shape->rank - 1];
    if (!hd_operation_is_fused(operation, HD_OP_HEDDLE_LAYER_NORM) || !holds(operation, 1, count) ||
        !holds(operation, 2, count) || !same_dtype(operation, 1, 4) ||
        (hd_operation_has(operation, 3) && !hd_shape_equal(shape, &operation->inputs[3].shape))) {
        return fail(operation, error, "parameters, scale, bias and residual do not fit");
    }
    if (operation->output_count > 1) {
        operation->outputs[1].dtype = operation->inputs[0].dtype;
        operation->outputs[1].shape = *shape;
    }
    return hd_infer_same(operation, needed_input, error);
}

hd_infer_result hd_infer_channel_norm(hd_operation *operation, size_t *needed_input,
                                      hd_error *error)
{
    if (operation->inputs[0].shape.rank < 2 || hd_operation_int(operation, "size", 1) < 1) {
        return fail(operation, error, "its input has no channels, or its size is not positive");
    }
    return hd_infer_same(operation, needed_input, error);
}

hd_infer_result hd_infer_lp_norm(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    int64_t axis = hd_operation_int(operation, "axis", -1), p = hd_operation_int(operation, "p", 2);
    if (!hd_axis_normalize(&axis, operation->inputs[0].shape.rank) || (p != 1 && p != 2)) {
        return fail(operation, error, "its axis or p is out of range");
    }
    return hd_infer_same(operation, needed_input, error);
}

hd_infer_result hd_infer_variance_norm(hd_operation *operation, size_t *needed_input,
                                       hd_error *error)
{
    size_t count;
    const int64_t *axes = hd_operation_ints(operation, "axes", &count);
    int64_t defaults[] = {0, 2, 3};
    for (size_t i = 0; i < (axes == NULL ? 3 : count); i++) {
        int64_t axis = axes == NULL ? defaults[i] : axes[i];
        if (!hd_axis_normalize(&axis, operation->inputs[0].shape.rank)) {
            return fail(operation, error, "its axes are out of range");
        }
    }
    return hd_infer_same(operation, needed_input, error);
}
