/* Spatial: types and shapes of pooling, resizing and sampling. */
#include "graph/ops/inference.h"

#include "operation/scaling.h"
#include "operation/window.h"

static hd_infer_result fail(const hd_operation *operation, hd_error *error, const char *what)
{
    hd_operation_fail(operation, error, HD_INVALID_ARGUMENT, "%s", what);
    return HD_INFER_FAILED;
}

hd_infer_result hd_infer_pool(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    hd_window window;
    if (hd_window_resolve(operation, &window, error) != HD_OK) {
        return HD_INFER_FAILED;
    }
    int64_t p = hd_operation_int(operation, "p", 2);
    if (p < 1 || p > 1000) {
        return fail(operation, error, "its p is out of range");
    }
    for (size_t i = 0; i < operation->output_count; i++) {
        operation->outputs[i].dtype = i == 0 ? operation->inputs[0].dtype : HD_INT64;
        operation->outputs[i].shape = hd_window_shape(&window);
    }
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_pool_last(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    if (operation->inputs[0].shape.rank != 4) {
        return fail(operation, error, "its input is not [N, H, W, C]");
    }
    return hd_infer_pool(operation, needed_input, error);
}

hd_infer_result hd_infer_pool_global(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_shape *shape = &operation->inputs[0].shape;
    bool last = hd_operator_is_internal(operation->id);
    int64_t p = hd_operation_int(operation, "p", 2);
    if (shape->rank < 2 || p < 1 || p > 1000) {
        return fail(operation, error, "its input has no channels, or its p is out of range");
    }
    operation->outputs[0].dtype = operation->inputs[0].dtype;
    operation->outputs[0].shape = *shape;
    for (uint32_t i = last ? 1 : 2; i < shape->rank - (last ? 1 : 0); i++) {
        operation->outputs[0].shape.dims[i] = 1;
    }
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_scaling(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    size_t needed = hd_scaling_needs(operation);
    if (needed != 0) {
        *needed_input = needed;
        return HD_INFER_NEEDS_VALUE;
    }
    hd_scaling scaling;
    if (hd_scaling_resolve(operation, &scaling, error) != HD_OK) {
        return HD_INFER_FAILED;
    }
    operation->outputs[0].dtype = operation->inputs[0].dtype;
    operation->outputs[0].shape = scaling.output;
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_scaling_last(hd_operation *operation, size_t *needed_input,
                                      hd_error *error)
{
    if (operation->inputs[0].shape.rank != 4) {
        return fail(operation, error, "its input is not [N, H, W, C]");
    }
    return hd_infer_scaling(operation, needed_input, error);
}
