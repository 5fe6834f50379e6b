/* Spatial: types and shapes of pooling, resizing and sampling. */
#include "graph/ops/spatial.h"

#include <string.h>

#include "operation/scaling.h"
#include "operation/window.h"

static hd_infer_result fail(const hd_operation *operation, hd_error *error, const char *what)
{
    hd_operation_fail(operation, error, HD_INVALID_ARGUMENT, "%s", what);
    return HD_INFER_FAILED;
}

static hd_infer_result infer_window(hd_operation *operation, size_t *needed_input, hd_error *error)
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

static hd_infer_result infer_window_last(hd_operation *operation, size_t *needed_input,
                                         hd_error *error)
{
    if (operation->inputs[0].shape.rank != 4) {
        return fail(operation, error, "its input is not [N, H, W, C]");
    }
    return infer_window(operation, needed_input, error);
}

static hd_infer_result infer_global(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_shape *shape = &operation->inputs[0].shape;
    bool last = strncmp(operation->type, "heddle.", 7) == 0;
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

static hd_infer_result infer_scaling(hd_operation *operation, size_t *needed_input, hd_error *error)
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

static hd_infer_result infer_scaling_last(hd_operation *operation, size_t *needed_input,
                                          hd_error *error)
{
    if (operation->inputs[0].shape.rank != 4) {
        return fail(operation, error, "its input is not [N, H, W, C]");
    }
    return infer_scaling(operation, needed_input, error);
}

const hd_operator hd_operators_spatial[] = {
    {"MaxPool", 1, 1, 2, 0, infer_window},
    {"AveragePool", 1, 1, 1, 0, infer_window},
    {"LpPool", 1, 1, 1, 0, infer_window},
    {"heddle.MaxPool", 1, 1, 1, 0, infer_window_last},
    {"heddle.AveragePool", 1, 1, 1, 0, infer_window_last},
    {"GlobalAveragePool", 1, 1, 1, 0, infer_global},
    {"GlobalMaxPool", 1, 1, 1, 0, infer_global},
    {"GlobalLpPool", 1, 1, 1, 0, infer_global},
    {"heddle.GlobalAveragePool", 1, 1, 1, 0, infer_global},
    {"MaxUnpool", 2, 3, 1, 0, hd_infer_unpool},
    {"MaxRoiPool", 2, 2, 1, 0, hd_infer_roi_pool},
    {"RoiAlign", 3, 3, 1, 0, hd_infer_roi_align},
    {"Resize", 1, 4, 1, 0, infer_scaling},
    {"Upsample", 1, 2, 1, 0, infer_scaling},
    {"heddle.Resize", 1, 4, 1, 0, infer_scaling_last},
    {"GridSample", 2, 2, 1, 0, hd_infer_grid_sample},
    {"AffineGrid", 2, 2, 1, 0, hd_infer_affine_grid},
    {"Col2Im", 3, 3, 1, 0, hd_infer_col2im},
    {"NonMaxSuppression", 2, 5, 1, HD_OPERATOR_DYNAMIC, hd_infer_nms},
    {0},
};
