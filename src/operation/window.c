#include "operation/window.h"

#include <string.h>

/* No attribute of a pooling operation is sensibly larger; smaller ones cannot overflow products. */
#define LIMIT ((int64_t)1 << 30)
/* the same for a dimension, which may be any beside one of 0 */
#define INPUT_LIMIT ((int64_t)1 << 61)

/* An attribute of one value a spatial dimension, aligned to the last one. False when it does not fit. */
static bool read_ints(const hd_operation *operation, const char *name, uint32_t spatial,
                      int64_t low, int64_t otherwise, int64_t *out)
{
    size_t count;
    const int64_t *values = hd_operation_ints(operation, name, &count);
    for (int i = 0; i < HD_WINDOW_SPATIAL; i++) {
        out[i] = otherwise;
    }
    if (values == NULL) {
        return true;
    }
    if (count > spatial) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (values[i] < low || values[i] > LIMIT) {
            return false;
        }
        out[HD_WINDOW_SPATIAL - count + i] = values[i];
    }
    return true;
}

static bool read_pads(const hd_operation *operation, uint32_t spatial, hd_window *window)
{
    size_t count;
    const int64_t *pads = hd_operation_ints(operation, "pads", &count);
    if (pads == NULL) {
        return true;
    }
    if (count % 2 != 0 || count / 2 > spatial) {
        return false;
    }
    for (size_t i = 0; i < count / 2; i++) {
        size_t at = HD_WINDOW_SPATIAL - count / 2 + i;
        if (pads[i] < 0 || pads[i] > LIMIT || pads[i + count / 2] < 0 ||
            pads[i + count / 2] > LIMIT) {
            return false;
        }
        window->pad_begin[at] = pads[i];
        window->pad_end[at] = pads[i + count / 2];
    }
    return true;
}

/* False when the window does not fit into the padded input. */
static bool resolve_axis(hd_window *window, int i, const char *auto_pad, bool ceil_mode)
{
    int64_t extent = (window->kernel[i] - 1) * window->dilation[i] + 1;
    int64_t in = window->input[i], stride = window->stride[i];
    if (in > INPUT_LIMIT) {
        return false;
    }
    if (strncmp(auto_pad, "SAME_", 5) == 0) {
        window->output[i] = (in + stride - 1) / stride;
        int64_t total = (window->output[i] - 1) * stride + extent - in;
        total = total < 0 ? 0 : total;
        int64_t small = total / 2;
        bool upper = strcmp(auto_pad, "SAME_UPPER") == 0;
        window->pad_begin[i] = upper ? small : total - small;
        window->pad_end[i] = upper ? total - small : small;
        return true;
    }
    int64_t room = in + window->pad_begin[i] + window->pad_end[i] - extent;
    if (room < 0) {
        return false;
    }
    window->output[i] = (ceil_mode ? room + stride - 1 : room) / stride + 1;
    /* A window that would begin behind the input, in its padding, is left out. */
    if (ceil_mode && (window->output[i] - 1) * stride >= in + window->pad_begin[i]) {
        window->output[i]--;
    }
    return true;
}

hd_status hd_window_resolve(const hd_operation *operation, hd_window *window, hd_error *error)
{
    *window = (hd_window){0};
    const hd_shape *shape = &operation->inputs[0].shape;
    window->channels_last = hd_operator_is_internal(operation->id);
    if (shape->rank < 3 || shape->rank > 2 + HD_WINDOW_SPATIAL) {
        return hd_operation_fail(operation, error, HD_UNSUPPORTED,
                                 "there is pooling over one to three dimensions, not for rank %u",
                                 shape->rank);
    }
    window->spatial = shape->rank - 2;
    window->batch = shape->dims[0];
    window->channels = shape->dims[window->channels_last ? shape->rank - 1 : 1];
    for (int i = 0; i < HD_WINDOW_SPATIAL; i++) {
        int missing = HD_WINDOW_SPATIAL - (int)window->spatial;
        int first = window->channels_last ? 1 : 2;
        window->input[i] = i < missing ? 1 : shape->dims[first + i - missing];
    }
    const char *auto_pad = hd_operation_string(operation, "auto_pad", "NOTSET");
    bool explicit_pads = strcmp(auto_pad, "NOTSET") == 0;
    if (hd_operation_attribute(operation, "kernel_shape") == NULL ||
        !read_ints(operation, "kernel_shape", window->spatial, 1, 1, window->kernel) ||
        !read_ints(operation, "strides", window->spatial, 1, 1, window->stride) ||
        !read_ints(operation, "dilations", window->spatial, 1, 1, window->dilation) ||
        (explicit_pads && !read_pads(operation, window->spatial, window))) {
        return hd_operation_fail(operation, error, HD_BAD_MODEL,
                                 "kernel_shape, strides, dilations or pads do not fit its input");
    }
    bool ceil_mode = hd_operation_int(operation, "ceil_mode", 0) != 0;
    for (int i = 0; i < HD_WINDOW_SPATIAL; i++) {
        if (!resolve_axis(window, i, auto_pad, ceil_mode)) {
            return hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                                     "its window of %lld is larger than the padded input of %lld",
                                     (long long)window->kernel[i], (long long)window->input[i]);
        }
    }
    return HD_OK;
}

hd_shape hd_window_shape(const hd_window *window)
{
    hd_shape shape = {.rank = window->spatial + 2};
    uint32_t first = window->channels_last ? 1 : 2;
    shape.dims[0] = window->batch;
    shape.dims[window->channels_last ? shape.rank - 1 : 1] = window->channels;
    for (uint32_t i = 0; i < window->spatial; i++) {
        shape.dims[first + i] = window->output[HD_WINDOW_SPATIAL - window->spatial + i];
    }
    return shape;
}

void hd_window_taps(const hd_window *window, int axis, int64_t position, int64_t *begin,
                    int64_t *end)
{
    int64_t start = position * window->stride[axis] - window->pad_begin[axis];
    int64_t step = window->dilation[axis], kernel = window->kernel[axis];
    *begin = start >= 0 ? 0 : (-start + step - 1) / step;
    int64_t room = window->input[axis] - start;
    *end = room <= 0 ? 0 : (room + step - 1) / step;
    *end = *end > kernel ? kernel : *end;
    *begin = *begin > *end ? *end : *begin;
}

int64_t hd_window_padded_taps(const hd_window *window, int axis, int64_t position)
{
    int64_t start = position * window->stride[axis] - window->pad_begin[axis];
    int64_t step = window->dilation[axis];
    int64_t room = window->input[axis] + window->pad_end[axis] - start;
    int64_t count = (room + step - 1) / step;
    return count < window->kernel[axis] ? count : window->kernel[axis];
}

bool hd_window_unpooled(const hd_operation *operation, hd_shape *out_shape)
{
    hd_shape shape = operation->inputs[0].shape;
    uint32_t spatial = shape.rank - 2;
    size_t kernel_count, stride_count, pad_count;
    const int64_t *kernel = hd_operation_ints(operation, "kernel_shape", &kernel_count);
    const int64_t *strides = hd_operation_ints(operation, "strides", &stride_count);
    const int64_t *pads = hd_operation_ints(operation, "pads", &pad_count);
    if (kernel_count != spatial || (strides != NULL && stride_count != spatial) ||
        (pads != NULL && pad_count != 2 * (size_t)spatial)) {
        return false;
    }
    for (uint32_t i = 0; i < spatial; i++) {
        int64_t stride = strides == NULL ? 1 : strides[i], size;
        int64_t begin = pads == NULL ? 0 : pads[i], end = pads == NULL ? 0 : pads[spatial + i];
        if (stride < 1 || __builtin_mul_overflow(shape.dims[i + 2] - 1, stride, &size) ||
            size < -LIMIT || kernel[i] < 1 || kernel[i] > LIMIT || begin < 0 || begin > LIMIT ||
            end < 0 || end > LIMIT || size > LIMIT) {
            return false;
        }
        shape.dims[i + 2] = size + kernel[i] - begin - end;
    }
    *out_shape = shape;
    return hd_shape_is_valid(&shape, operation->inputs[0].dtype);
}
