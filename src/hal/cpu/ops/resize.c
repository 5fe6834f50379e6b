/* Resize: Resize, Upsample and heddle.Resize. An output row is blended from a few input rows (all
 * elements side by side), then its pixels from a few places of that row; both from tables that are
 * made when the operation is compiled. */
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/ops/rows.h"
#include "hal/cpu/ops/spatial.h"
#include "operation/scaling.h"

/* The taps of one axis: those of output position i begin at i · taps. */
typedef struct resize_axis {
    int64_t taps;
    const int32_t *places;
    const float *weights;
    const bool *outside;
} resize_axis;

/* Shapes are seen as [outer dimensions…, width, inner]: the last axis that changes is `width`, what
 * follows it (the channels, when they are last) is `inner`. */
typedef struct resize_parameters {
    hd_scaling scaling;
    uint32_t rank; /* of the outer dimensions */
    resize_axis axes[HD_MAX_RANK];
    int64_t strides[HD_MAX_RANK]; /* of the input's outer dimensions, in elements */
    resize_axis width;
    int64_t in_width, out_width, inner;
    int64_t combinations; /* input rows that one output row is made of */
    int64_t tiles, rows;
    size_t output, element_size;
    uint32_t extrapolated_bits; /* of a float32 */
} resize_parameters;

static void fill(float *to, int64_t count, float value)
{
    for (int64_t i = 0, next; (next = hd_stop_reach(i, count)) > i;) {
        for (; i < next; i++) {
            to[i] = value;
        }
    }
}

/* y = x · factor and y += x · factor, however long. */
static void scale(const hd_cpu_rows *rows, float *y, const float *x, float factor, int64_t count)
{
    for (int64_t i = 0, next; (next = hd_stop_reach(i, count)) > i; i = next) {
        rows->affine(y + i, x + i, 0.0f, factor, 0.0f, next - i);
    }
}

static void add_scaled(const hd_cpu_rows *rows, float *y, const float *x, float factor,
                       int64_t count)
{
    for (int64_t i = 0, next; (next = hd_stop_reach(i, count)) > i; i = next) {
        rows->add_scaled(y + i, x + i, factor, next - i);
    }
}

/* The offset and the weight of tap combination `number` for an output row. */
static int64_t combination_of(const resize_parameters *p, const int64_t *position, int64_t number,
                              float *out_weight)
{
    int64_t offset = 0;
    float weight = 1.0f;
    for (uint32_t i = p->rank; i-- > 0;) {
        const resize_axis *axis = &p->axes[i];
        int64_t at = position[i] * axis->taps + number % axis->taps;
        number /= axis->taps;
        offset += axis->places[at] * p->strides[i];
        weight *= axis->weights[at];
    }
    *out_weight = weight;
    return offset;
}

static bool position_of(const resize_parameters *p, int64_t row, int64_t position[HD_MAX_RANK])
{
    bool outside = false;
    for (uint32_t i = p->rank; i-- > 0;) {
        position[i] = row % p->scaling.output.dims[i];
        row /= p->scaling.output.dims[i];
        outside = outside || p->axes[i].outside[position[i]];
    }
    return outside;
}

/* Pixels [begin, end) of a row. */
static void resample_pixels(const resize_parameters *p, const hd_cpu_rows *rows, const float *x,
                            float *y, int64_t begin, int64_t end)
{
    const resize_axis *axis = &p->width;
    int64_t inner = p->inner, taps = axis->taps;
    for (int64_t i = begin; i < end; i++) {
        const int32_t *places = axis->places + i * taps;
        const float *weights = axis->weights + i * taps;
        if (axis->outside[i]) {
            fill(y + i * inner, inner, p->scaling.extrapolation);
        } else if (inner == 1 && taps == 2) {
            y[i] = x[places[0]] * weights[0] + x[places[1]] * weights[1];
        } else if (inner == 1) {
            float sum = x[places[0]] * weights[0];
            for (int64_t k = 1, next; (next = hd_stop_reach(k, taps)) > k;) {
                for (; k < next; k++) {
                    sum += x[places[k]] * weights[k];
                }
            }
            y[i] = sum;
        } else {
            scale(rows, y + i * inner, x + places[0] * inner, weights[0], inner);
            for (int64_t k = 1; k < taps && !hd_stop_ends_every(k, 64); k++) {
                add_scaled(rows, y + i * inner, x + places[k] * inner, weights[k], inner);
            }
        }
    }
}

static void resample_row(const resize_parameters *p, const hd_cpu_rows *rows, const float *x,
                         float *y)
{
    int64_t turns = hd_stop_turns(p->inner * p->width.taps);
    for (int64_t i = 0, next; (next = hd_stop_reach_by(i, p->out_width, turns)) > i; i = next) {
        resample_pixels(p, rows, x, y, i, next);
    }
}

static void run_blend(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                      void *scratch)
{
    const resize_parameters *p = parameters;
    const hd_cpu_rows *rows = hd_cpu_rows_get();
    int64_t in_size = p->in_width * p->inner, out_size = p->out_width * p->inner;
    int64_t stop = hd_cpu_tile_begin(p->rows, p->tiles, end);
    for (int64_t row = hd_cpu_tile_begin(p->rows, p->tiles, begin); row < stop; row++) {
        float *y = (float *)buffers[p->output] + row * out_size;
        int64_t position[HD_MAX_RANK];
        if (position_of(p, row, position)) {
            fill(y, out_size, p->scaling.extrapolation);
            continue;
        }
        float weight;
        const float *x = (const float *)buffers[0] + combination_of(p, position, 0, &weight);
        if (p->combinations > 1) {
            float *blend = scratch;
            scale(rows, blend, x, weight, in_size);
            for (int64_t i = 1; i < p->combinations && !hd_stop_ends_every(i, 64); i++) {
                int64_t offset = combination_of(p, position, i, &weight);
                add_scaled(rows, blend, (const float *)buffers[0] + offset, weight, in_size);
            }
            x = blend;
        }
        resample_row(p, rows, x, y);
    }
}

/* One element type of a size, for the nearest mode, which only moves elements. */
#define NEAREST_ROW(type, extrapolated)                                                            \
    static void nearest_##type(const resize_parameters *p, const void *from, void *to,             \
                               bool outside, int64_t begin, int64_t end)                           \
    {                                                                                              \
        const type *x = from;                                                                      \
        type *y = to;                                                                              \
        for (int64_t i = begin; i < end; i++) {                                                    \
            const type *source = x + p->width.places[i] * p->inner;                                \
            bool fill_in = outside || p->width.outside[i];                                         \
            if (fill_in || p->inner == 1) {                                                        \
                for (int64_t k = 0; k < p->inner && !hd_stop_ends(k); k++) {                       \
                    y[i * p->inner + k] = fill_in ? (extrapolated) : source[k];                    \
                }                                                                                  \
            } else {                                                                               \
                hd_stop_copy(y + i * p->inner, source, (size_t)p->inner * sizeof *y);              \
            }                                                                                      \
        }                                                                                          \
    }
NEAREST_ROW(uint8_t, 0)
NEAREST_ROW(uint16_t, 0)
NEAREST_ROW(uint32_t, p->extrapolated_bits)
NEAREST_ROW(uint64_t, 0)

/* Pixels [begin, end) of a row. */
static void nearest(const resize_parameters *p, const void *x, void *y, bool outside, int64_t begin,
                    int64_t end)
{
    switch (p->element_size) {
    case 1:
        nearest_uint8_t(p, x, y, outside, begin, end);
        break;
    case 2:
        nearest_uint16_t(p, x, y, outside, begin, end);
        break;
    case 4:
        nearest_uint32_t(p, x, y, outside, begin, end);
        break;
    default:
        nearest_uint64_t(p, x, y, outside, begin, end);
        break;
    }
}

static void run_nearest(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                        void *scratch)
{
    (void)scratch;
    const resize_parameters *p = parameters;
    int64_t stop = hd_cpu_tile_begin(p->rows, p->tiles, end), turns = hd_stop_turns(p->inner);
    for (int64_t row = hd_cpu_tile_begin(p->rows, p->tiles, begin); row < stop; row++) {
        int64_t position[HD_MAX_RANK];
        bool outside = position_of(p, row, position);
        float weight;
        size_t size = p->element_size;
        const char *x =
            (const char *)buffers[0] + (size_t)combination_of(p, position, 0, &weight) * size;
        char *y = (char *)buffers[p->output] + (size_t)(row * p->out_width * p->inner) * size;
        for (int64_t i = 0, next; (next = hd_stop_reach_by(i, p->out_width, turns)) > i; i = next) {
            nearest(p, x, y, outside, i, next);
        }
    }
}

static bool make_axis(hd_cpu_compilation *compilation, const hd_scaling *scaling, uint32_t at,
                      resize_axis *axis)
{
    int64_t size = scaling->output.dims[at], taps = hd_scaling_taps(scaling, at);
    size_t count = (size_t)size * (size_t)taps;
    int32_t *places = hd_region_array(compilation->region, count, sizeof *places);
    float *weights = hd_region_array(compilation->region, count, sizeof *weights);
    bool *outside = hd_region_array(compilation->region, (size_t)size, sizeof *outside);
    if (places == NULL || weights == NULL || outside == NULL) {
        return false;
    }
    for (int64_t i = 0; i < size && !hd_stop_ends_every(i, 16); i++) {
        outside[i] = !hd_scaling_tap(scaling, at, i, places + i * taps, weights + i * taps);
    }
    *axis = (resize_axis){taps, places, weights, outside};
    return true;
}

static bool make_axes(hd_cpu_compilation *compilation, resize_parameters *p)
{
    const hd_scaling *s = &p->scaling;
    uint32_t width = s->input.rank - 1;
    while (width > 0 && s->input.dims[width] == s->output.dims[width] && s->scale[width] == 1 &&
           s->roi_begin[width] == 0 && s->roi_end[width] == 1) {
        width--;
    }
    p->rank = width;
    p->inner = hd_shape_count_range(&s->input, width + 1, s->input.rank);
    p->in_width = s->input.dims[width];
    p->out_width = s->output.dims[width];
    p->rows = hd_shape_count_range(&s->output, 0, width);
    p->combinations = 1;
    int64_t strides[HD_MAX_RANK];
    hd_shape_strides(&s->input, strides);
    for (uint32_t i = 0; i < width; i++) {
        p->strides[i] = strides[i];
        if (!make_axis(compilation, s, i, &p->axes[i])) {
            return false;
        }
        p->combinations *= p->axes[i].taps;
    }
    return make_axis(compilation, s, width, &p->width);
}

hd_status hd_cpu_resize_compile(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    hd_dtype dtype = operation->inputs[0].dtype;
    resize_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    if (hd_scaling_needs(operation) != 0) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                                 "its scales, sizes or region are not constant");
    }
    hd_status status = hd_scaling_resolve(operation, &p->scaling, compilation->error);
    if (status != HD_OK) {
        return status;
    }
    bool nearest = p->scaling.mode == HD_SCALING_NEAREST;
    if (dtype != HD_FLOAT32 && (!nearest || p->scaling.extrapolation != 0.0f)) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                                 "there is no kernel for %s", hd_dtype_name(dtype));
    }
    p->element_size = hd_dtype_size(dtype);
    p->output = operation->input_count;
    memcpy(&p->extrapolated_bits, &p->scaling.extrapolation, sizeof p->extrapolated_bits);
    if (p->scaling.input.rank == 0) { /* a scalar is a row of one */
        p->scaling.input = p->scaling.output = (hd_shape){.rank = 1, .dims = {1}};
        p->scaling.scale[0] = p->scaling.roi_end[0] = 1;
    }
    if (!make_axes(compilation, p)) {
        return hd_cpu_out_of_memory(compilation);
    }
    int64_t work = p->combinations * p->in_width * p->inner / 4 +
                   p->out_width * p->width.taps * (p->inner / 4 + 1);
    p->tiles = hd_cpu_tile_count(p->rows, nearest ? p->out_width * p->inner / 2 : work);
    compilation->kernel.run = nearest ? run_nearest : run_blend;
    compilation->kernel.tile_count = p->tiles;
    compilation->kernel.scratch_size = (size_t)(p->in_width * p->inner) * sizeof(float);
    return HD_OK;
}
