#include "operation/scaling.h"

#include <math.h>
#include <string.h>

/* Far beyond any image; keeps products of sizes and scales inside of int64. */
#define LIMIT ((double)((int64_t)1 << 31))

static bool is_old(const hd_operation *operation)
{
    return operation->id == HD_OP_UPSAMPLE || operation->opset < 11;
}

static bool is_empty(const hd_operation *operation, size_t index)
{
    return !hd_operation_has(operation, index) ||
           hd_shape_count(&operation->inputs[index].shape) == 0;
}

static bool crops(const hd_operation *operation)
{
    return strcmp(hd_operation_string(operation, "coordinate_transformation_mode", ""),
                  "tf_crop_and_resize") == 0;
}

size_t hd_scaling_needs(const hd_operation *operation)
{
    for (size_t i = 1; i < operation->input_count; i++) {
        bool roi = !is_old(operation) && i == 1;
        if (!is_empty(operation, i) && operation->inputs[i].data == NULL &&
            (!roi || crops(operation))) {
            return i;
        }
    }
    return 0;
}

/* The axes that scales, sizes and roi speak of, in their order, as axes of the data; their number, or
 * -1 when one is out of range. */
static int64_t read_axes(const hd_operation *operation, uint32_t rank, uint32_t axes[HD_MAX_RANK])
{
    size_t count;
    const int64_t *values = hd_operation_ints(operation, "axes", &count);
    bool last = hd_operator_is_internal(operation->id);
    if (count > rank) {
        return -1;
    }
    uint32_t total = values == NULL ? rank : (uint32_t)count;
    for (uint32_t i = 0; i < total; i++) {
        int64_t axis = values == NULL ? (int64_t)i : values[i];
        if (!hd_axis_normalize(&axis, rank)) {
            return -1;
        }
        if (last && axis > 0) { /* from channels first to channels last */
            axis = axis == 1 ? (int64_t)rank - 1 : axis - 1;
        }
        axes[i] = (uint32_t)axis;
    }
    return total;
}

static double read_real(const hd_operand *operand, int64_t index)
{
    switch (operand->dtype) {
    case HD_FLOAT32:
        return (double)((const float *)operand->data)[index];
    case HD_FLOAT64:
        return ((const double *)operand->data)[index];
    default:
        return (double)hd_operand_int(operand, index);
    }
}

static hd_status bad(const hd_operation *operation, hd_error *error, const char *what)
{
    return hd_operation_fail(operation, error, HD_BAD_MODEL, "%s", what);
}

static void set_scale(hd_scaling *s, uint32_t axis, double to, double from)
{
    s->scale[axis] = to / from;
    s->scale_to[axis] = to;
    s->scale_from[axis] = from;
}

static hd_status apply_scales(const hd_operation *operation, hd_scaling *s, int64_t count,
                              const uint32_t *axes, hd_error *error)
{
    size_t index = is_old(operation) ? 1 : 2;
    bool listed = is_empty(operation, index); /* in an attribute */
    const hd_attribute *attribute = hd_operation_attribute(operation, "scales");
    if (listed && (attribute == NULL || attribute->kind != HD_ATTRIBUTE_FLOATS)) {
        return bad(operation, error, "there are neither scales nor sizes");
    }
    int64_t given =
        listed ? (int64_t)attribute->count : hd_shape_count(&operation->inputs[index].shape);
    if (given != count) {
        return bad(operation, error, "scales do not fit the axes");
    }
    for (int64_t i = 0; i < count; i++) {
        double scale =
            listed ? (double)attribute->floats[i] : read_real(&operation->inputs[index], i);
        if (!(scale > 0 && scale < LIMIT) || scale * (double)s->input.dims[axes[i]] >= LIMIT) {
            return bad(operation, error, "a scale is not positive, or far too large");
        }
        double begin = s->roi_begin[axes[i]], end = s->roi_end[axes[i]];
        double length = crops(operation) ? end - begin : 1;
        double size = floor((double)((float)s->input.dims[axes[i]] * (float)length * (float)scale));
        if (!(size < LIMIT)) {
            return bad(operation, error, "its region is no number, or far too large");
        }
        set_scale(s, axes[i], scale, 1);
        s->output.dims[axes[i]] = size < 0 ? 0 : (int64_t)size;
    }
    return HD_OK;
}

static hd_status apply_sizes(const hd_operation *operation, hd_scaling *s, int64_t count,
                             const uint32_t *axes, hd_error *error)
{
    const hd_operand *sizes = &operation->inputs[3];
    const char *policy = hd_operation_string(operation, "keep_aspect_ratio_policy", "stretch");
    bool larger = strcmp(policy, "not_smaller") == 0, smaller = strcmp(policy, "not_larger") == 0;
    if (hd_shape_count(&sizes->shape) != count) {
        return bad(operation, error, "sizes do not fit the axes");
    }
    double to = 1, from = 1; /* the common scale */
    for (int64_t i = 0; i < count; i++) {
        double in = (double)s->input.dims[axes[i]], size = read_real(sizes, i);
        if (!(size >= 0 && size < LIMIT)) {
            return bad(operation, error, "a size is negative, or far too large");
        }
        set_scale(s, axes[i], in > 0 ? size : 1, in > 0 ? in : 1);
        double own_to = s->scale_to[axes[i]], own_from = s->scale_from[axes[i]];
        if (i == 0 || (larger ? own_to * from > to * own_from : own_to * from < to * own_from)) {
            to = own_to;
            from = own_from;
        }
        s->output.dims[axes[i]] = (int64_t)size;
    }
    for (int64_t i = 0; i < count && (larger || smaller); i++) {
        double in = (double)s->input.dims[axes[i]], size = (2 * to * in + from) / (2 * from);
        if (!(size < LIMIT)) {
            return bad(operation, error, "a size is far too large for the others");
        }
        set_scale(s, axes[i], to, from);
        s->output.dims[axes[i]] = (int64_t)size;
    }
    return HD_OK;
}

static bool mode_of(const char *name, hd_scaling_mode *out_mode)
{
    *out_mode = name[0] == 'c'   ? HD_SCALING_CUBIC
                : name[0] == 'n' ? HD_SCALING_NEAREST
                                 : HD_SCALING_LINEAR;
    return strcmp(name, "nearest") == 0 || strcmp(name, "linear") == 0 ||
           strcmp(name, "cubic") == 0 || strcmp(name, "bilinear") == 0;
}

static bool is_transformation(const char *name)
{
    static const char *const names[] = {
        "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",  "align_corners",
        "asymmetric", "tf_crop_and_resize",   "tf_half_pixel_for_nn"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

hd_status hd_scaling_resolve(const hd_operation *operation, hd_scaling *s, hd_error *error)
{
    *s = (hd_scaling){.input = operation->inputs[0].shape, .output = operation->inputs[0].shape};
    bool old = is_old(operation);
    s->transformation =
        old ? "asymmetric"
            : hd_operation_string(operation, "coordinate_transformation_mode", "half_pixel");
    s->nearest =
        old ? "floor" : hd_operation_string(operation, "nearest_mode", "round_prefer_floor");
    s->cubic_a = (double)hd_operation_float(operation, "cubic_coeff_a", -0.75f);
    s->exclude_outside = hd_operation_int(operation, "exclude_outside", 0) != 0;
    s->antialias = hd_operation_int(operation, "antialias", 0) != 0;
    s->extrapolation = hd_operation_float(operation, "extrapolation_value", 0.0f);
    if (!mode_of(hd_operation_string(operation, "mode", "nearest"), &s->mode) ||
        !is_transformation(s->transformation)) {
        return bad(operation, error, "its mode is unknown");
    }
    uint32_t axes[HD_MAX_RANK];
    int64_t count = read_axes(operation, s->input.rank, axes);
    if (count < 0) {
        return bad(operation, error, "its axes are out of range");
    }
    for (uint32_t i = 0; i < s->input.rank; i++) {
        set_scale(s, i, 1, 1);
        s->roi_end[i] = 1;
    }
    if (!old && crops(operation)) {
        if (is_empty(operation, 1) || hd_shape_count(&operation->inputs[1].shape) != 2 * count) {
            return bad(operation, error, "its region does not fit the axes");
        }
        for (int64_t i = 0; i < count; i++) {
            s->roi_begin[axes[i]] = read_real(&operation->inputs[1], i);
            s->roi_end[axes[i]] = read_real(&operation->inputs[1], count + i);
        }
    }
    hd_status status = !old && !is_empty(operation, 3)
                           ? apply_sizes(operation, s, count, axes, error)
                           : apply_scales(operation, s, count, axes, error);
    for (uint32_t i = 0; status == HD_OK && i < s->input.rank; i++) {
        if (old && s->scale[i] < 1) {
            s->nearest = HD_SCALING_OLD_NEAREST;
        }
        if (s->output.dims[i] > 0 && s->input.dims[i] == 0) {
            status = bad(operation, error, "an empty dimension cannot grow");
        }
    }
    return status;
}

/* Where output position x of an axis lies in the input. Each way is one quotient of whole numbers, where the scale
 * comes from sizes: below 2^52, so that positions halfway between two elements are met exactly. */
static double source_of(const hd_scaling *s, uint32_t axis, int64_t position)
{
    double x = (double)position, to = s->scale_to[axis], from = s->scale_from[axis];
    double in = (double)s->input.dims[axis], out = (double)s->output.dims[axis];
    const char *name = s->transformation;
    if (strcmp(name, "align_corners") == 0) {
        return to * in == from || out == 1 ? 0 : x * (in - 1) * from / (to * in - from);
    }
    if (strcmp(name, "asymmetric") == 0) {
        return x * from / to;
    }
    if (strcmp(name, "tf_half_pixel_for_nn") == 0) {
        return (2 * x + 1) * from / (2 * to);
    }
    if (strcmp(name, "tf_crop_and_resize") == 0) {
        double begin = s->roi_begin[axis], end = s->roi_end[axis];
        return out == 1 ? 0.5 * (begin + end) * (in - 1)
                        : (in - 1) * (begin * (out - 1 - x) + end * x) / (out - 1);
    }
    if (strcmp(name, "pytorch_half_pixel") == 0 && out == 1) {
        return s->mode == HD_SCALING_NEAREST ? 0 : -0.5;
    }
    double offset = strcmp(name, "half_pixel_symmetric") == 0 ? in * to - out * from : 0;
    return (offset + (2 * x + 1) * from - to) / (2 * to);
}

static bool is_identity(const hd_scaling *s, uint32_t axis)
{
    return s->scale[axis] == 1 && s->input.dims[axis] == s->output.dims[axis] &&
           s->roi_begin[axis] == 0 && s->roi_end[axis] == 1;
}

/* How far the filter reaches, in input elements, and how much it is stretched. */
static double stretch_of(const hd_scaling *s, uint32_t axis)
{
    return s->antialias && s->scale[axis] < 1 ? s->scale[axis] : 1;
}

int64_t hd_scaling_taps(const hd_scaling *s, uint32_t axis)
{
    if (s->mode == HD_SCALING_NEAREST || is_identity(s, axis)) {
        return 1;
    }
    double reach = s->mode == HD_SCALING_LINEAR ? 1 : 2;
    bool stretches = stretch_of(s, axis) < 1;
    double taps = 2 * ceil(stretches ? reach * s->scale_from[axis] / s->scale_to[axis] : reach);
    /* More would read an element twice only. */
    double most = 2 * (double)s->input.dims[axis] + 4;
    return (int64_t)(taps < most ? taps : most);
}

static double weight_of(const hd_scaling *s, double distance)
{
    double x = fabs(distance), a = s->cubic_a;
    if (s->mode == HD_SCALING_LINEAR) {
        return x < 1 ? 1 - x : 0;
    }
    return x <= 1  ? ((a + 2) * x - (a + 3)) * x * x + 1
           : x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
                   : 0;
}

static double round_of(const hd_scaling *s, uint32_t axis, double x)
{
    if (strcmp(s->nearest, HD_SCALING_OLD_NEAREST) == 0) {
        return s->scale[axis] < 1 ? ceil((double)(float)x) : floor(x);
    }
    if (strcmp(s->nearest, "floor") == 0) {
        return floor(x);
    }
    if (strcmp(s->nearest, "ceil") == 0) {
        return ceil(x);
    }
    return strcmp(s->nearest, "round_prefer_ceil") == 0 ? floor(x + 0.5) : ceil(x - 0.5);
}

static int32_t inside(const hd_scaling *s, uint32_t axis, double x)
{
    double last = (double)s->input.dims[axis] - 1;
    return (int32_t)(x > last ? last : x > 0 ? x : 0);
}

bool hd_scaling_tap(const hd_scaling *s, uint32_t axis, int64_t position, int32_t *places,
                    float *weights)
{
    weights[0] = 1.0f;
    if (is_identity(s, axis)) {
        places[0] = (int32_t)position;
        return true;
    }
    double x = source_of(s, axis, position), last = (double)s->input.dims[axis] - 1;
    if (strcmp(s->transformation, "tf_crop_and_resize") == 0 && !(x >= 0 && x <= last)) {
        for (int64_t i = 0; i < hd_scaling_taps(s, axis); i++) {
            places[i] = 0;
            weights[i] = 0.0f;
        }
        return false;
    }
    if (s->mode == HD_SCALING_NEAREST) {
        places[0] = inside(s, axis, round_of(s, axis, x));
        return true;
    }
    int64_t taps = hd_scaling_taps(s, axis);
    double first = floor(x) - (double)(taps / 2) + 1, sum = 0, stretch = stretch_of(s, axis);
    for (int64_t i = 0; i < taps; i++) {
        double place = first + (double)i;
        bool counts = !s->exclude_outside || (place >= 0 && place <= last);
        sum += counts ? weight_of(s, (place - x) * stretch) : 0;
    }
    bool divide = (s->exclude_outside || stretch != 1) && sum != 0;
    for (int64_t i = 0; i < taps; i++) {
        double place = first + (double)i;
        bool counts = !s->exclude_outside || (place >= 0 && place <= last);
        double weight = counts ? weight_of(s, (place - x) * stretch) : 0;
        places[i] = inside(s, axis, place);
        weights[i] = (float)(divide ? weight / sum : weight);
    }
    return true;
}
