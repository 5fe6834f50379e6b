/* Pooling and resizing. */
#include "hal/cuda/kernels/spatial.h"

#include <math.h>
#include <string.h>

#include "hal/cuda/movement.h"
#include "operation/scaling.h"
#include "operation/window.h"

/* So many elements of y, or groups of them, a thread each. */
static hd_status launch(hd_cuda_compilation *compilation, hd_cuda_function function, int64_t count,
                        const void *parameters, size_t size, size_t x, size_t y)
{
    const uint32_t grid[3] = {(uint32_t)hd_cuda_blocks(count, HD_CUDA_SPATIAL_BLOCK), 1, 1};
    const hd_cuda_pointer pointers[] = {
        {0, (uint16_t)x, 0}, {(uint16_t)compilation->operation->input_count, (uint16_t)y, 0}};
    return hd_cuda_add_launch(compilation, function, grid, HD_CUDA_SPATIAL_BLOCK, parameters, size,
                              pointers, 2) == NULL
               ? hd_cuda_out_of_memory(compilation)
               : HD_OK;
}

/* --- pooling */

static int kind_of(hd_operator_id id)
{
    switch (id) {
    case HD_OP_MAX_POOL:
    case HD_OP_HEDDLE_MAX_POOL:
        return HD_CUDA_POOL_MAX;
    case HD_OP_LP_POOL:
        return HD_CUDA_POOL_LP;
    default:
        return HD_CUDA_POOL_AVERAGE;
    }
}

/* Where the kernel's last tap may lie, in numbers that it computes with. */
static bool fits(const hd_window *window)
{
    bool small = true;
    for (int i = 0; i < HD_WINDOW_SPATIAL; i++) {
        int64_t reach = hd_multiply_bounded(window->kernel[i], window->dilation[i]);
        int64_t way = hd_multiply_bounded(window->output[i], window->stride[i]);
        small = small && reach < INT32_MAX / 4 && way < INT32_MAX / 4 &&
                window->pad_begin[i] < INT32_MAX / 4 && window->pad_end[i] < INT32_MAX / 4 &&
                window->input[i] < INT32_MAX / 4;
    }
    int64_t taps = hd_multiply_bounded(window->kernel[0],
                                       hd_multiply_bounded(window->kernel[1], window->kernel[2]));
    return small && taps <= INT32_MAX;
}

static bool supports_pool(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    hd_window window;
    bool has_indices = operation->output_count > 1 && operation->outputs[1].dtype != HD_DTYPE_NONE;
    return !has_indices && operation->inputs[0].dtype == HD_FLOAT32 && hd_cuda_moves(operation) &&
           hd_window_resolve(operation, &window, NULL) == HD_OK && fits(&window) &&
           (!window.channels_last || window.spatial <= 2);
}

static hd_status compile_pool(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    hd_window w;
    hd_status status = hd_window_resolve(operation, &w, compilation->error);
    int64_t count = hd_shape_count(&operation->outputs[0].shape);
    if (status != HD_OK || count == 0) {
        return status;
    }
    const int64_t together = w.channels_last && w.channels % 4 == 0 ? 4 : 1;
    const int64_t pixel = w.channels_last ? w.channels : 1;
    hd_cuda_pool p = {
        .count = (unsigned)(count / together),
        .kind = kind_of(operation->id),
        .power = (int)hd_operation_int(operation, "p", 2),
        .counts_padding = hd_operation_int(operation, "count_include_pad", 0) != 0,
        .channels = (int)w.channels,
        .channel_groups = hd_cuda_divisor_of((unsigned)(w.channels / together)),
        .x_stride = {(int)(w.input[1] * w.input[2] * pixel), (int)(w.input[2] * pixel), (int)pixel},
        .x_plane = (int)(w.input[0] * w.input[1] * w.input[2] * pixel)};
    for (int i = 0; i < HD_WINDOW_SPATIAL; i++) {
        p.output[i] = hd_cuda_divisor_of((unsigned)w.output[i]);
        p.input[i] = (int)w.input[i];
        p.kernel[i] = (int)w.kernel[i];
        p.stride[i] = (int)w.stride[i];
        p.dilation[i] = (int)w.dilation[i];
        p.pad_begin[i] = (int)w.pad_begin[i];
        p.pad_end[i] = (int)w.pad_end[i];
    }
    return launch(compilation,
                  !w.channels_last ? HD_CUDA_pool_first
                  : together == 4  ? HD_CUDA_pool_last_by_four
                                   : HD_CUDA_pool_last,
                  p.count, &p, sizeof p, offsetof(hd_cuda_pool, x), offsetof(hd_cuda_pool, y));
}

/* --- resizing */

static bool is_same(const hd_scaling *s, uint32_t axis)
{
    return s->scale[axis] == 1 && s->input.dims[axis] == s->output.dims[axis] &&
           s->roi_begin[axis] == 0 && s->roi_end[axis] == 1;
}

static bool crops(const hd_scaling *s)
{
    return strcmp(s->transformation, "tf_crop_and_resize") == 0;
}

static bool supports_resize(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    hd_scaling s;
    if (!hd_cuda_moves(operation) || operation->inputs[0].shape.rank == 0 ||
        hd_scaling_needs(operation) != 0 || hd_scaling_resolve(operation, &s, NULL) != HD_OK) {
        return false;
    }
    bool is_number = operation->inputs[0].dtype == HD_FLOAT32;
    bool is_nearest = s.mode == HD_SCALING_NEAREST;
    if (is_nearest && strcmp(s.nearest, HD_SCALING_OLD_NEAREST) == 0) {
        return false;
    }
    uint32_t changing = 0;
    for (uint32_t i = 0; i < s.input.rank; i++) {
        if (!is_same(&s, i)) {
            changing++;
            /* A stretched filter has any number of taps. */
            if (!is_nearest && s.antialias && s.scale[i] < 1) {
                return false;
            }
        }
    }
    return is_nearest ? is_number || s.extrapolation == 0
                      : is_number && changing <= HD_CUDA_RESIZE_MOST;
}

/* As scaling.c finds a position. */
static void set_position(const hd_scaling *s, uint32_t axis, hd_cuda_resize_axis *a)
{
    const char *name = s->transformation;
    double in = (double)s->input.dims[axis], out = (double)s->output.dims[axis];
    a->to = s->scale_to[axis];
    a->from = s->scale_from[axis];
    a->begin = s->roi_begin[axis];
    a->end = s->roi_end[axis];
    a->position = HD_CUDA_RESIZE_CONSTANT;
    if (strcmp(name, "align_corners") == 0) {
        a->begin = 0; /* of a constant: says that it is cut out */
        a->position =
            a->to * in == a->from || out == 1 ? HD_CUDA_RESIZE_CONSTANT : HD_CUDA_RESIZE_CORNERS;
    } else if (strcmp(name, "asymmetric") == 0) {
        a->position = HD_CUDA_RESIZE_ASYMMETRIC;
    } else if (strcmp(name, "tf_half_pixel_for_nn") == 0) {
        a->position = HD_CUDA_RESIZE_HALF_NEAREST;
    } else if (crops(s)) {
        a->position = out == 1 ? HD_CUDA_RESIZE_CONSTANT : HD_CUDA_RESIZE_CROP;
        a->offset = 0.5 * (a->begin + a->end) * (in - 1);
        a->begin = out == 1 ? 1 : a->begin;
    } else if (strcmp(name, "pytorch_half_pixel") == 0 && out == 1) {
        a->begin = 0;
        a->offset = s->mode == HD_SCALING_NEAREST ? 0 : -0.5;
    } else {
        a->position = HD_CUDA_RESIZE_HALF;
        a->offset = strcmp(name, "half_pixel_symmetric") == 0 ? in * a->to - out * a->from : 0;
    }
}

/* The axes, those that stay as they are joined with their neighbours. */
static void set_axes(const hd_scaling *s, hd_cuda_resize *p)
{
    int64_t strides[HD_MAX_RANK];
    hd_shape_strides(&s->input, strides);
    for (uint32_t i = 0; i < s->input.rank; i++) {
        hd_cuda_resize_axis *a = &p->axes[p->rank];
        if (is_same(s, i) && p->rank > 0 && a[-1].position == HD_CUDA_RESIZE_SAME) {
            a--;
            a->out = hd_cuda_divisor_of(a->out.by * (unsigned)s->output.dims[i]);
            a->stride = (int)strides[i];
            continue;
        }
        *a = (hd_cuda_resize_axis){.out = hd_cuda_divisor_of((unsigned)s->output.dims[i]),
                                   .in = (int)s->input.dims[i],
                                   .stride = (int)strides[i],
                                   .position = HD_CUDA_RESIZE_SAME};
        if (!is_same(s, i)) {
            set_position(s, i, a);
        }
        p->rank++;
    }
}

/* Takes `factor` neighbours of a last axis that stays as it is as one element. */
static bool take_together(hd_cuda_resize *p, unsigned factor)
{
    hd_cuda_resize_axis *last = &p->axes[p->rank - 1];
    if (last->position != HD_CUDA_RESIZE_SAME || last->out.by % factor != 0) {
        return false;
    }
    last->out = hd_cuda_divisor_of(last->out.by / factor);
    p->count /= factor;
    return true;
}

static int rounding_of(const char *name)
{
    return strcmp(name, "floor") == 0               ? HD_CUDA_RESIZE_FLOOR
           : strcmp(name, "ceil") == 0              ? HD_CUDA_RESIZE_CEIL
           : strcmp(name, "round_prefer_ceil") == 0 ? HD_CUDA_RESIZE_PREFER_CEIL
                                                    : HD_CUDA_RESIZE_PREFER_FLOOR;
}

static hd_status compile_resize(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    hd_scaling s;
    hd_status status = hd_scaling_resolve(operation, &s, compilation->error);
    int64_t count = hd_shape_count(&operation->outputs[0].shape);
    if (status != HD_OK || count == 0) {
        return status;
    }
    bool is_nearest = s.mode == HD_SCALING_NEAREST;
    hd_cuda_resize p = {.count = (unsigned)count,
                        .mode = is_nearest                    ? HD_CUDA_RESIZE_NEAREST
                                : s.mode == HD_SCALING_LINEAR ? HD_CUDA_RESIZE_LINEAR
                                                              : HD_CUDA_RESIZE_CUBIC,
                        .rounding = rounding_of(s.nearest),
                        .excludes_outside = s.exclude_outside,
                        .cubic_a = s.cubic_a};
    memcpy(&p.extrapolation, &s.extrapolation, sizeof p.extrapolation);
    set_axes(&s, &p);
    hd_cuda_function function = HD_CUDA_blend;
    if (is_nearest) {
        size_t element = hd_dtype_size(operation->inputs[0].dtype);
        for (; element < 16 && !crops(&s) && take_together(&p, 2); element *= 2) {
            for (int i = 0; i + 1 < p.rank; i++) {
                p.axes[i].stride /= 2;
            }
        }
        function = hd_cuda_by_size(HD_CUDA_nearest_1, element);
    } else if (take_together(&p, 4)) {
        p.axes[p.rank - 1].stride = 4;
        function = HD_CUDA_blend_by_four;
    }
    return launch(compilation, function, p.count, &p, sizeof p, offsetof(hd_cuda_resize, x),
                  offsetof(hd_cuda_resize, y));
}

const hd_cuda_operator hd_cuda_operators_spatial[] = {
    {HD_OP_MAX_POOL, supports_pool, compile_pool},
    {HD_OP_AVERAGE_POOL, supports_pool, compile_pool},
    {HD_OP_LP_POOL, supports_pool, compile_pool},
    {HD_OP_HEDDLE_MAX_POOL, supports_pool, compile_pool},
    {HD_OP_HEDDLE_AVERAGE_POOL, supports_pool, compile_pool},
    {HD_OP_RESIZE, supports_resize, compile_resize},
    {HD_OP_UPSAMPLE, supports_resize, compile_resize},
    {HD_OP_HEDDLE_RESIZE, supports_resize, compile_resize},
    {HD_OP_NONE, NULL, NULL}};
