/* Spatial: types and shapes of the operators on regions and grids. */
#include <string.h>

#include "graph/ops/inference.h"
#include "operation/column.h"
#include "operation/window.h"

static hd_infer_result fail(const hd_operation *operation, hd_error *error, const char *what)
{
    hd_operation_fail(operation, error, HD_INVALID_ARGUMENT, "%s", what);
    return HD_INFER_FAILED;
}

static hd_infer_result done(hd_operation *operation, const hd_shape *shape)
{
    operation->outputs[0].dtype = operation->inputs[0].dtype;
    operation->outputs[0].shape = *shape;
    return HD_INFER_DONE;
}

/* False for shapes that no tensor of this type can have. */
static bool is_possible(const hd_operation *operation, const hd_shape *shape)
{
    return hd_shape_is_valid(shape, operation->inputs[0].dtype);
}

hd_infer_result hd_infer_unpool(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    const hd_shape *x = &operation->inputs[0].shape;
    if (!hd_shape_equal(x, &operation->inputs[1].shape) || operation->inputs[1].dtype != HD_INT64 ||
        x->rank < 3) {
        return fail(operation, error, "its indices do not fit its input");
    }
    hd_shape out;
    if (!hd_window_unpooled(operation, &out)) {
        return fail(operation, error, "kernel_shape, strides or pads do not fit its input");
    }
    if (hd_operation_has(operation, 2)) {
        const hd_operand *given = &operation->inputs[2];
        if (hd_shape_count(&given->shape) != x->rank || given->dtype != HD_INT64) {
            return fail(operation, error, "output_shape does not fit its input");
        }
        if (given->data == NULL) {
            *needed_input = 2;
            return HD_INFER_NEEDS_VALUE;
        }
        for (uint32_t i = 0; i < x->rank; i++) {
            out.dims[i] = hd_operand_int(given, i);
        }
    }
    return is_possible(operation, &out) ? done(operation, &out)
                                        : fail(operation, error, "its output cannot exist");
}

hd_infer_result hd_infer_roi_pool(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_shape *x = &operation->inputs[0].shape, *rois = &operation->inputs[1].shape;
    size_t count;
    const int64_t *size = hd_operation_ints(operation, "pooled_shape", &count);
    if (x->rank != 4 || rois->rank != 2 || rois->dims[1] != 5 || count != 2 || size[0] < 1 ||
        size[1] < 1 || operation->inputs[1].dtype != operation->inputs[0].dtype) {
        return fail(operation, error, "its input, regions and pooled_shape do not fit");
    }
    hd_shape out = {.rank = 4, .dims = {rois->dims[0], x->dims[1], size[0], size[1]}};
    return is_possible(operation, &out) ? done(operation, &out)
                                        : fail(operation, error, "its output cannot exist");
}

hd_infer_result hd_infer_roi_align(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_shape *x = &operation->inputs[0].shape, *rois = &operation->inputs[1].shape;
    const hd_operand *batches = &operation->inputs[2];
    int64_t height = hd_operation_int(operation, "output_height", 1);
    int64_t width = hd_operation_int(operation, "output_width", 1);
    if (x->rank != 4 || rois->rank != 2 || rois->dims[1] != 4 || batches->shape.rank != 1 ||
        batches->shape.dims[0] != rois->dims[0] || height < 1 || width < 1 ||
        (batches->dtype != HD_INT64 && batches->dtype != HD_INT32) ||
        operation->inputs[1].dtype != operation->inputs[0].dtype) {
        return fail(operation, error, "its input, regions and batch indices do not fit");
    }
    hd_shape out = {.rank = 4, .dims = {rois->dims[0], x->dims[1], height, width}};
    return is_possible(operation, &out) ? done(operation, &out)
                                        : fail(operation, error, "its output cannot exist");
}

hd_infer_result hd_infer_grid_sample(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_shape *x = &operation->inputs[0].shape, *grid = &operation->inputs[1].shape;
    if ((x->rank != 4 && x->rank != 5) || grid->rank != x->rank || grid->dims[0] != x->dims[0] ||
        grid->dims[grid->rank - 1] != (int64_t)x->rank - 2 ||
        operation->inputs[1].dtype != operation->inputs[0].dtype) {
        return fail(operation, error, "its grid does not fit its input");
    }
    hd_shape out = {.rank = x->rank, .dims = {x->dims[0], x->dims[1]}};
    for (uint32_t i = 2; i < x->rank; i++) {
        out.dims[i] = grid->dims[i - 1];
    }
    return is_possible(operation, &out) ? done(operation, &out)
                                        : fail(operation, error, "its output cannot exist");
}

hd_infer_result hd_infer_affine_grid(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    const hd_shape *theta = &operation->inputs[0].shape;
    const hd_operand *size = &operation->inputs[1];
    int64_t count = hd_shape_count(&size->shape);
    if ((count != 4 && count != 5) || size->dtype != HD_INT64 || theta->rank != 3 ||
        theta->dims[1] != count - 2 || theta->dims[2] != count - 1) {
        return fail(operation, error, "its matrices do not fit its size");
    }
    if (size->data == NULL) {
        *needed_input = 1;
        return HD_INFER_NEEDS_VALUE;
    }
    hd_shape out = {.rank = (uint32_t)count, .dims = {theta->dims[0]}};
    for (uint32_t i = 2; i < (uint32_t)count; i++) {
        out.dims[i - 1] = hd_operand_int(size, i);
    }
    out.dims[count - 1] = count - 2;
    return is_possible(operation, &out) ? done(operation, &out)
                                        : fail(operation, error, "its output cannot exist");
}

hd_infer_result hd_infer_col2im(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    for (size_t i = 1; i < 3; i++) {
        if (operation->inputs[i].data == NULL) {
            *needed_input = i;
            return HD_INFER_NEEDS_VALUE;
        }
    }
    hd_column column;
    if (hd_column_resolve(operation, &column, error) != HD_OK) {
        return HD_INFER_FAILED;
    }
    hd_shape out = {.rank = column.spatial + 2, .dims = {column.batch, column.channels}};
    memcpy(out.dims + 2, column.image, column.spatial * sizeof out.dims[0]);
    return is_possible(operation, &out) ? done(operation, &out)
                                        : fail(operation, error, "its output cannot exist");
}

/* At most max_output_boxes_per_class boxes of each class and batch entry. */
hd_infer_result hd_infer_nms(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_shape *boxes = &operation->inputs[0].shape, *scores = &operation->inputs[1].shape;
    if (boxes->rank != 3 || boxes->dims[2] != 4 || scores->rank != 3 ||
        scores->dims[0] != boxes->dims[0] || scores->dims[2] != boxes->dims[1]) {
        return fail(operation, error, "its boxes and scores do not fit");
    }
    for (size_t i = 2; i < 5; i++) {
        hd_dtype wanted = i == 2 ? HD_INT64 : HD_FLOAT32;
        if (hd_operation_has(operation, i) && (hd_shape_count(&operation->inputs[i].shape) != 1 ||
                                               operation->inputs[i].dtype != wanted)) {
            return fail(operation, error, "its limit or a threshold is not one number");
        }
    }
    int64_t each = boxes->dims[1];
    if (!hd_operation_has(operation, 2)) {
        each = 0;
    } else if (operation->inputs[2].data != NULL) {
        int64_t limit = hd_operand_int(&operation->inputs[2], 0);
        each = limit < 0 ? 0 : limit < each ? limit : each;
    }
    int64_t count;
    if (__builtin_mul_overflow(scores->dims[0] * scores->dims[1], each, &count)) {
        return fail(operation, error, "its output cannot exist");
    }
    operation->outputs[0].dtype = HD_INT64;
    operation->outputs[0].shape = (hd_shape){.rank = 2, .dims = {count, 3}};
    return HD_INFER_DONE;
}
