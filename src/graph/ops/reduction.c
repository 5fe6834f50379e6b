/* Reduction: types and shapes of operators that fold dimensions, and of softmax and its losses. */
#include <string.h>

#include "graph/ops/inference.h"
#include "operation/axes.h"

hd_infer_result hd_infer_reduce(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    const hd_shape *shape = &operation->inputs[0].shape;
    bool reduced[HD_MAX_RANK];
    switch (hd_axes_reduced(operation, 1, shape->rank, reduced, error)) {
    case HD_AXES_NEEDS_VALUE:
        *needed_input = 1;
        return HD_INFER_NEEDS_VALUE;
    case HD_AXES_FAILED:
        return HD_INFER_FAILED;
    case HD_AXES_DONE:
        break;
    }
    bool keep = hd_operation_int(operation, "keepdims", 1) != 0;
    hd_shape out = {0};
    for (uint32_t i = 0; i < shape->rank; i++) {
        if (!reduced[i]) {
            out.dims[out.rank++] = shape->dims[i];
        } else if (keep) {
            out.dims[out.rank++] = 1;
        }
    }
    operation->outputs[0].dtype = operation->inputs[0].dtype;
    operation->outputs[0].shape = out;
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_argument(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_shape *shape = &operation->inputs[0].shape;
    int64_t axis = hd_operation_int(operation, "axis", 0);
    if (!hd_axis_normalize(&axis, shape->rank) || shape->dims[axis] == 0) {
        hd_operation_fail(operation, error, HD_BAD_MODEL,
                          "axis %lld does not name a dimension with elements", (long long)axis);
        return HD_INFER_FAILED;
    }
    bool keep = hd_operation_int(operation, "keepdims", 1) != 0;
    hd_shape out = {0};
    for (uint32_t i = 0; i < shape->rank; i++) {
        if ((int64_t)i != axis) {
            out.dims[out.rank++] = shape->dims[i];
        } else if (keep) {
            out.dims[out.rank++] = 1;
        }
    }
    operation->outputs[0].dtype = HD_INT64;
    operation->outputs[0].shape = out;
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_softmax(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    hd_axis_split split;
    if (!hd_axis_split_softmax(operation, &split)) {
        hd_operation_fail(operation, error, HD_BAD_MODEL, "its axis is out of range for rank %u",
                          operation->inputs[0].shape.rank);
        return HD_INFER_FAILED;
    }
    return hd_infer_same(operation, needed_input, error);
}

/* Scores [N, C, d1, …], targets [N, d1, …], weights [C]. */
hd_infer_result hd_infer_loss(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_operand *scores = &operation->inputs[0], *targets = &operation->inputs[1];
    const char *reduction = hd_operation_string(operation, "reduction", "mean");
    bool fits = scores->shape.rank >= 2 && targets->shape.rank == scores->shape.rank - 1 &&
                (targets->dtype == HD_INT32 || targets->dtype == HD_INT64);
    for (uint32_t i = 0; fits && i < targets->shape.rank; i++) {
        fits = targets->shape.dims[i] == scores->shape.dims[i == 0 ? 0 : i + 1];
    }
    if (fits && hd_operation_has(operation, 2)) {
        const hd_operand *weights = &operation->inputs[2];
        fits = weights->dtype == scores->dtype && weights->shape.rank == 1 &&
               weights->shape.dims[0] == scores->shape.dims[1];
    }
    if (!fits) {
        hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                          "scores, targets and weights do not fit together");
        return HD_INFER_FAILED;
    }
    bool none = strcmp(reduction, "none") == 0;
    if (!none && strcmp(reduction, "sum") != 0 && strcmp(reduction, "mean") != 0) {
        hd_operation_fail(operation, error, HD_BAD_MODEL, "reduction '%s' is unknown", reduction);
        return HD_INFER_FAILED;
    }
    operation->outputs[0].dtype = scores->dtype;
    operation->outputs[0].shape = none ? targets->shape : (hd_shape){0};
    if (operation->output_count > 1) {
        operation->outputs[1].dtype = scores->dtype;
        operation->outputs[1].shape = scores->shape;
    }
    return HD_INFER_DONE;
}
