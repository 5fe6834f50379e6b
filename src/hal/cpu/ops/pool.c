/* Pool: MaxPool, AveragePool and LpPool of float32, channels first or last, and over whole images. */
#include <math.h>
#include <sleef.h>

#include "base/stop.h"
#include "hal/cpu/ops/rows.h"
#include "hal/cpu/ops/spatial.h"
#include "operation/window.h"

/* Channels last: folded input columns, which should stay in the second-level cache. */
#define SEGMENT_FLOATS ((int64_t)16 << 10)

/* Channels last: windows of more taps are folded row by row, which looks at what may stop the run. */
#define WINDOW_TAPS 4096

typedef enum pool_kind { POOL_MAX, POOL_AVERAGE, POOL_LP } pool_kind;

typedef struct pool_parameters {
    hd_window window;
    pool_kind kind;
    bool include_pad;
    int64_t p;         /* of LpPool */
    int64_t positions; /* of a whole image */
    bool folds_rows;   /* channels last: the window's rows are joined first, for all columns */
    int64_t segment;   /* channels last: output pixels of a row that are computed together */
    int64_t items, tiles;
} pool_parameters;

static pool_kind kind_of(hd_operator_id id)
{
    switch (id) {
    case HD_OP_MAX_POOL:
    case HD_OP_GLOBAL_MAX_POOL:
    case HD_OP_HEDDLE_MAX_POOL:
        return POOL_MAX;
    case HD_OP_AVERAGE_POOL:
    case HD_OP_GLOBAL_AVERAGE_POOL:
    case HD_OP_HEDDLE_AVERAGE_POOL:
    case HD_OP_HEDDLE_GLOBAL_AVERAGE_POOL:
        return POOL_AVERAGE;
    default:
        return POOL_LP;
    }
}

/* How values go into a window's result, and how partial results are joined. */
static hd_cpu_fold fold_of(const pool_parameters *p)
{
    switch (p->kind) {
    case POOL_MAX:
        return HD_FOLD_MAX;
    case POOL_AVERAGE:
        return HD_FOLD_SUM;
    case POOL_LP:
        break;
    }
    return p->p == 1 ? HD_FOLD_ABSOLUTE : HD_FOLD_SQUARES;
}

static float finish_lp(const pool_parameters *p, float sum)
{
    return p->p == 1 ? sum : p->p == 2 ? sqrtf(sum) : Sleef_powf_u10(sum, 1.0f / (float)p->p);
}

static void fold_long(void (*fold_into)(float *restrict, const float *restrict, int64_t),
                      float *into, const float *x, int64_t count)
{
    for (int64_t i = 0, next; (next = hd_stop_reach(i, count)) > i; i = next) {
        fold_into(into + i, x + i, next - i);
    }
}

/* into[i] = fold(into[i], x[i]); other powers than 1 and 2 take the slow way. */
static void fold_row(const pool_parameters *p, const hd_cpu_rows *rows, float *into, const float *x,
                     int64_t count)
{
    if (p->kind != POOL_LP || p->p <= 2) {
        fold_long(rows->fold_into[fold_of(p)], into, x, count);
        return;
    }
    for (int64_t i = 0; i < count && !hd_stop_ends(i); i++) {
        into[i] += Sleef_powf_u10(fabsf(x[i]), (float)p->p);
    }
}

static void fill(float *to, int64_t count, float value)
{
    for (int64_t i = 0, next; (next = hd_stop_reach(i, count)) > i;) {
        for (; i < next; i++) {
            to[i] = value;
        }
    }
}

/* Joins the columns of one folded row into the results of one output row. taken: room for one output row. */
static void fold_columns(const hd_window *w, const hd_cpu_rows *rows, hd_cpu_fold join,
                         const float *folded, float *y, float *taken)
{
    int64_t count = w->output[2], stride = w->stride[2];
    fill(y, count, hd_cpu_fold_neutral(join));
    for (int64_t k = 0; k < w->kernel[2] && !hd_stop_ends_every(k, 64); k++) {
        int64_t offset = k * w->dilation[2] - w->pad_begin[2];
        int64_t low = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
        int64_t room = w->input[2] - offset;
        int64_t high = room <= 0 ? 0 : (room + stride - 1) / stride;
        high = high > count ? count : high;
        if (low >= high) {
            continue;
        }
        if (stride == 1) {
            fold_long(rows->fold_into[join], y + low, folded + low + offset, high - low);
        } else if (join == HD_FOLD_MAX) {
            for (int64_t i = low, next; (next = hd_stop_reach(i, high)) > i;) {
                for (; i < next; i++) {
                    taken[i] = folded[i * stride + offset];
                }
            }
            fold_long(rows->fold_into[join], y + low, taken + low, high - low);
        } else {
            for (int64_t i = low, next; (next = hd_stop_reach(i, high)) > i;) {
                for (; i < next; i++) {
                    y[i] += folded[i * stride + offset];
                }
            }
        }
    }
}

/* Divides (or takes roots of) one output row; outer: how many taps its other dimensions have. */
static void finish_row(const pool_parameters *p, float *y, int64_t outer)
{
    const hd_window *w = &p->window;
    for (int64_t i = 0; i < w->output[2] && p->kind != POOL_MAX && !hd_stop_ends(i); i++) {
        int64_t begin, end;
        hd_window_taps(w, 2, i, &begin, &end);
        int64_t taps = p->include_pad ? hd_window_padded_taps(w, 2, i) : end - begin;
        y[i] = p->kind == POOL_LP ? finish_lp(p, y[i]) : y[i] / (float)(outer * taps);
    }
}

/* One item is one output row: the window's rows are folded first, side by side, then its columns. */
static void run_first(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                      void *scratch)
{
    const pool_parameters *p = parameters;
    const hd_window *w = &p->window;
    const hd_cpu_rows *rows = hd_cpu_rows_get();
    hd_cpu_fold fold = fold_of(p), join = fold == HD_FOLD_MAX ? HD_FOLD_MAX : HD_FOLD_SUM;
    float *folded = scratch;
    int64_t width = w->input[2], plane = w->input[0] * w->input[1] * width;
    int64_t stop = hd_cpu_tile_begin(p->items, p->tiles, end);
    for (int64_t item = hd_cpu_tile_begin(p->items, p->tiles, begin); item < stop; item++) {
        int64_t row = item % w->output[1], slice = item / w->output[1] % w->output[0];
        const float *x = (const float *)buffers[0] + item / (w->output[1] * w->output[0]) * plane;
        float *y = (float *)buffers[1] + item * w->output[2];
        int64_t d0, d1, h0, h1;
        hd_window_taps(w, 0, slice, &d0, &d1);
        hd_window_taps(w, 1, row, &h0, &h1);
        fill(folded, width, hd_cpu_fold_neutral(fold));
        for (int64_t d = d0; d < d1 && hd_stop_asked() == HD_OK; d++) {
            int64_t z = slice * w->stride[0] - w->pad_begin[0] + d * w->dilation[0];
            for (int64_t h = h0; h < h1 && !hd_stop_ends_every(h, 16); h++) {
                int64_t at = row * w->stride[1] - w->pad_begin[1] + h * w->dilation[1];
                fold_row(p, rows, folded, x + (z * w->input[1] + at) * width, width);
            }
        }
        fold_columns(w, rows, join, folded, y, folded + width);
        int64_t outer = p->include_pad
                            ? hd_window_padded_taps(w, 0, slice) * hd_window_padded_taps(w, 1, row)
                            : (d1 - d0) * (h1 - h0);
        finish_row(p, y, outer);
    }
}

/* Output pixels [*low, *high) of `count` from `column` on have their kernel column k inside the input. */
static void pixels_inside(const hd_window *w, int64_t k, int64_t column, int64_t count,
                          int64_t *low, int64_t *high)
{
    const int64_t width = w->input[2], stride = w->stride[2];
    const int64_t from = column * stride - w->pad_begin[2] + k * w->dilation[2];
    *low = from >= 0 ? 0 : (-from + stride - 1) / stride;
    *high = from >= width ? 0 : (width - from + stride - 1) / stride;
    *high = *high < count ? *high : count;
}

/* Output pixels of a step of more than 1 whose windows lie between the input's first and last column: none, or
 * within the pixels asked about. */
typedef struct inner_pixels {
    int64_t begin;
    int64_t end;
} inner_pixels;

static inner_pixels find_inner(const hd_window *w, int64_t column, int64_t count)
{
    inner_pixels inner = {0};
    int64_t ignored;
    if (w->stride[2] > 1 && hd_multiply_bounded(w->kernel[1], w->kernel[2]) <= WINDOW_TAPS) {
        pixels_inside(w, 0, column, count, &inner.begin, &ignored);
        pixels_inside(w, w->kernel[2] - 1, column, count, &ignored, &inner.end);
    }
    return inner.begin < inner.end ? inner : (inner_pixels){0};
}

/* Folds whole windows, whose first row of input columns `line` is from `first` on, into the inner ones of the output
 * pixels from `column` on. */
static void fold_inner(const pool_parameters *p, inner_pixels inner, const float *line,
                       int64_t first, int64_t height, float *y, int64_t column)
{
    const hd_window *w = &p->window;
    const int64_t channels = w->channels, stride = w->stride[2];
    const hd_cpu_fold_windows windows = {.pixels = inner.end - inner.begin,
                                         .pixel_step = stride * channels,
                                         .rows = height,
                                         .row_step = w->dilation[1] * w->input[2] * channels,
                                         .taps = w->kernel[2],
                                         .tap_step = w->dilation[2] * channels,
                                         .channels = channels};
    if (windows.pixels > 0) {
        const int64_t from = (column + inner.begin) * stride - w->pad_begin[2] - first;
        hd_cpu_rows_get()->fold_windows[fold_of(p)](y + inner.begin * channels,
                                                    line + from * channels, &windows);
    }
}

/* Folds one row of input columns, from `first` on, into the other output pixels of `count` from `column` on. */
static void fold_outer(const pool_parameters *p, inner_pixels inner, const float *line,
                       int64_t first, float *y, int64_t column, int64_t count)
{
    const hd_window *w = &p->window;
    const hd_cpu_rows *rows = hd_cpu_rows_get();
    const hd_cpu_fold fold = fold_of(p);
    const int64_t channels = w->channels, stride = w->stride[2];
    for (int64_t k = 0; k < w->kernel[2] && !hd_stop_ends_every(k, 16); k++) {
        const int64_t from = column * stride - w->pad_begin[2] + k * w->dilation[2] - first;
        int64_t low, high;
        pixels_inside(w, k, column, count, &low, &high);
        if (stride == 1 && low < high) {
            fold_long(rows->fold_into[fold], y + low * channels, line + (from + low) * channels,
                      (high - low) * channels);
            continue;
        }
        for (int64_t i = low; i < high; i++) {
            if (i < inner.begin || i >= inner.end) {
                fold_long(rows->fold_into[fold], y + i * channels,
                          line + (from + i * stride) * channels, channels);
            }
        }
    }
}

/* `count` neighbouring output pixels of one row, all their channels. */
static void fold_pixels(const pool_parameters *p, const float *x, float *y, int64_t row,
                        int64_t column, int64_t count, float *folded)
{
    const hd_window *w = &p->window;
    const hd_cpu_rows *rows = hd_cpu_rows_get();
    const hd_cpu_fold fold = fold_of(p);
    const int64_t channels = w->channels, width = w->input[2], stride = w->stride[2];
    int64_t first = column * stride - w->pad_begin[2];
    int64_t last = first + (count - 1) * stride + (w->kernel[2] - 1) * w->dilation[2] + 1;
    first = first < 0 ? 0 : first;
    last = last > width ? width : last;
    int64_t h0, h1;
    hd_window_taps(w, 1, row, &h0, &h1);
    const inner_pixels inner = h0 < h1 ? find_inner(w, column, count) : (inner_pixels){0};
    fill(y, inner.begin * channels, hd_cpu_fold_neutral(fold));
    fill(y + inner.end * channels, (count - inner.end) * channels, hd_cpu_fold_neutral(fold));
    if (p->folds_rows) {
        fill(folded, (last - first) * channels, hd_cpu_fold_neutral(fold));
    }
    const int64_t top = row * w->stride[1] - w->pad_begin[1];
    for (int64_t h = h0; h < h1 && first < last && !hd_stop_ends_every(h, 16); h++) {
        const float *line = x + ((top + h * w->dilation[1]) * width + first) * channels;
        if (p->folds_rows) {
            fold_long(rows->fold_into[fold], folded, line, (last - first) * channels);
        } else {
            fold_outer(p, inner, line, first, y, column, count);
        }
    }
    if (p->folds_rows) {
        fold_outer(p, inner, folded, first, y, column, count);
    } else {
        fold_inner(p, inner, x + ((top + h0 * w->dilation[1]) * width + first) * channels, first,
                   h1 - h0, y, column);
    }
    for (int64_t i = 0; i < count && p->kind == POOL_AVERAGE; i++) {
        int64_t w0, w1;
        hd_window_taps(w, 2, column + i, &w0, &w1);
        int64_t taps = p->include_pad ? hd_window_padded_taps(w, 1, row) *
                                            hd_window_padded_taps(w, 2, column + i)
                                      : (h1 - h0) * (w1 - w0);
        for (int64_t c = 0; c < channels; c++) {
            y[i * channels + c] /= (float)taps;
        }
    }
}

/* One item is one output pixel; those of a row are computed together, `segment` at most. */
static void run_last(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                     void *scratch)
{
    const pool_parameters *p = parameters;
    const hd_window *w = &p->window;
    int64_t item = hd_cpu_tile_begin(p->items, p->tiles, begin);
    const int64_t stop = hd_cpu_tile_begin(p->items, p->tiles, end);
    while (item < stop) {
        int64_t column = item % w->output[2], row = item / w->output[2] % w->output[1];
        int64_t image = item / (w->output[2] * w->output[1]);
        int64_t count = w->output[2] - column;
        count = count < stop - item ? count : stop - item;
        count = count < p->segment ? count : p->segment;
        fold_pixels(p, (const float *)buffers[0] + image * w->input[1] * w->input[2] * w->channels,
                    (float *)buffers[1] + item * w->channels, row, column, count, scratch);
        item += count;
    }
}

/* Output pixels whose input columns fit SEGMENT_FLOATS, one at least; returns the floats. */
static size_t cut_segments(pool_parameters *p)
{
    const hd_window *w = &p->window;
    p->folds_rows = w->stride[2] == 1; /* neighbouring windows share columns */
    int64_t reach = (w->kernel[2] - 1) * w->dilation[2] + 1;
    int64_t columns = w->channels == 0 ? 0 : SEGMENT_FLOATS / w->channels;
    p->segment = columns <= reach ? 1 : (columns - reach) / w->stride[2] + 1;
    columns = (p->segment - 1) * w->stride[2] + reach;
    columns = columns < w->input[2] ? columns : w->input[2];
    return p->folds_rows ? (size_t)(columns * w->channels) : 0;
}

static hd_status compile_window(hd_cpu_compilation *compilation, hd_kernel_run *run)
{
    const hd_operation *operation = compilation->operation;
    hd_status status = hd_cpu_spatial_float_only(compilation);
    if (status != HD_OK) {
        return status;
    }
    pool_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    status = hd_window_resolve(operation, &p->window, compilation->error);
    if (status != HD_OK) {
        return status;
    }
    const hd_window *w = &p->window;
    p->kind = kind_of(operation->id);
    p->include_pad = hd_operation_int(operation, "count_include_pad", 0) != 0;
    p->p = hd_operation_int(operation, "p", 2);
    bool last = run == run_last;
    int64_t rows = w->kernel[0] * w->kernel[1];
    p->items = w->batch * w->output[1] * (last ? w->output[2] : w->channels * w->output[0]);
    int64_t work =
        last ? hd_multiply_bounded(hd_multiply_bounded(rows, w->kernel[2]), w->channels) / 4
             : hd_multiply_bounded(rows, w->input[2]) / 4;
    if (!last &&
        __builtin_add_overflow(work, hd_multiply_bounded(w->output[2], w->kernel[2] + 4), &work)) {
        work = INT64_MAX;
    }
    p->tiles = hd_cpu_tile_count(p->items, work);
    compilation->kernel.run = run;
    compilation->kernel.tile_count = p->tiles;
    compilation->kernel.scratch_size =
        (last ? cut_segments(p) : (size_t)(w->input[2] + w->output[2])) * sizeof(float);
    return HD_OK;
}

hd_status hd_cpu_pool_compile(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    bool max = operation->id == HD_OP_MAX_POOL;
    bool indices = operation->output_count > 1 && operation->outputs[1].dtype != HD_DTYPE_NONE;
    if (max && (indices || operation->inputs[0].dtype != HD_FLOAT32)) {
        return hd_cpu_pool_indexed_compile(compilation);
    }
    return compile_window(compilation, run_first);
}

hd_status hd_cpu_pool_last_compile(hd_cpu_compilation *compilation)
{
    return compile_window(compilation, run_last);
}

static void run_global(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                       void *scratch)
{
    (void)scratch;
    const pool_parameters *p = parameters;
    const hd_cpu_rows *rows = hd_cpu_rows_get();
    float *y = buffers[1];
    int64_t stop = hd_cpu_tile_begin(p->items, p->tiles, end);
    for (int64_t i = hd_cpu_tile_begin(p->items, p->tiles, begin); i < stop; i++) {
        const float *x = (const float *)buffers[0] + i * p->positions;
        if (p->kind == POOL_LP && p->p > 2) {
            float sum = 0.0f;
            for (int64_t k = 0; k < p->positions && !hd_stop_ends(k); k++) {
                sum += Sleef_powf_u10(fabsf(x[k]), (float)p->p);
            }
            y[i] = finish_lp(p, sum);
            continue;
        }
        float value = rows->fold[fold_of(p)](x, p->positions);
        y[i] = p->kind == POOL_AVERAGE ? value / (float)p->positions
               : p->kind == POOL_LP    ? finish_lp(p, value)
                                       : value;
    }
}

#define GLOBAL_CHANNELS 64 /* of one item, channels last */

static void run_global_last(const void *parameters, void *const *buffers, int64_t begin,
                            int64_t end, void *scratch)
{
    (void)scratch;
    const pool_parameters *p = parameters;
    const hd_cpu_rows *rows = hd_cpu_rows_get();
    int64_t channels = p->window.channels;
    int64_t pieces = (channels + GLOBAL_CHANNELS - 1) / GLOBAL_CHANNELS;
    int64_t stop = hd_cpu_tile_begin(p->items, p->tiles, end);
    for (int64_t i = hd_cpu_tile_begin(p->items, p->tiles, begin); i < stop; i++) {
        int64_t image = i / pieces, at = i % pieces * GLOBAL_CHANNELS;
        int64_t count = channels - at < GLOBAL_CHANNELS ? channels - at : GLOBAL_CHANNELS;
        const float *x = (const float *)buffers[0] + image * p->positions * channels + at;
        float *y = (float *)buffers[1] + image * channels + at;
        fill(y, count, 0.0f);
        for (int64_t k = 0; k < p->positions && !hd_stop_ends_every(k, 256); k++) {
            rows->fold_into[HD_FOLD_SUM](y, x + k * channels, count);
        }
        for (int64_t c = 0; c < count; c++) {
            y[c] /= (float)p->positions;
        }
    }
}

hd_status hd_cpu_pool_global_compile(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    hd_status status = hd_cpu_spatial_float_only(compilation);
    if (status != HD_OK) {
        return status;
    }
    pool_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    bool last = hd_operator_is_internal(operation->id);
    p->kind = kind_of(operation->id);
    p->p = hd_operation_int(operation, "p", 2);
    p->window.channels = shape->dims[last ? shape->rank - 1 : 1];
    p->positions = last ? hd_shape_count_range(shape, 1, shape->rank - 1)
                        : hd_shape_count_range(shape, 2, shape->rank);
    int64_t pieces = (p->window.channels + GLOBAL_CHANNELS - 1) / GLOBAL_CHANNELS;
    p->items = shape->dims[0] * (last ? pieces : p->window.channels);
    p->tiles = hd_cpu_tile_count(p->items, p->positions * (last ? GLOBAL_CHANNELS : 1) / 2);
    compilation->kernel.run = last ? run_global_last : run_global;
    compilation->kernel.tile_count = p->tiles;
    return HD_OK;
}
