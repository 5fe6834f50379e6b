/* Softmax: Softmax, LogSoftmax and Hardmax along one axis; contiguous rows, or columns side by side. */
#include <math.h>
#include <sleef.h>

#include "base/stop.h"
#include "hal/cpu/ops/reduction.h"
#include "hal/cpu/ops/rows.h"
#include "operation/axes.h"

#define COLUMNS     256 /* that are computed side by side where the axis is not the last */
#define ROWS_A_LOOK 64  /* of so many columns */
#define SHORT_ROW   16  /* rows up to here are turned to columns, which fill vectors */

/* A kept row must stay in a core's own cache, or writing past it gains nothing. */
#define KEEP_BYTES ((int64_t)512 << 10)

typedef enum softmax_kind { SOFTMAX_PLAIN, SOFTMAX_LOG, SOFTMAX_HARD } softmax_kind;

typedef struct softmax_parameters {
    hd_axis_split split;
    softmax_kind kind;
    bool keep;
    bool turns;     /* short rows */
    int64_t chunks; /* groups of columns, 1 for rows */
    int64_t tiles;
} softmax_parameters;

/* The first of the largest; NaN is the largest, as NumPy's argmax has it. */
static void hardmax_row(const float *x, float *y, int64_t size, int64_t step)
{
    int64_t best = 0;
    for (int64_t i = 1; i < size && !hd_stop_ends(i); i++) {
        float now = x[best * step], next = x[i * step];
        if (next > now || (next != next && now == now)) {
            best = i;
        }
    }
    for (int64_t i = 0; i < size && !hd_stop_ends(i); i++) {
        y[i * step] = i == best ? 1.0f : 0.0f;
    }
}

static void softmax_columns(const hd_cpu_rows *rows, const softmax_parameters *p, const float *x,
                            float *y, int64_t step, int64_t count, float *scratch)
{
    int64_t size = p->split.size;
    float *shift = scratch, *sum = scratch + COLUMNS;
    for (int64_t i = 0; i < count; i++) {
        shift[i] = -INFINITY;
        sum[i] = 0.0f;
    }
    for (int64_t r = 0; r < size && !hd_stop_ends_every(r, ROWS_A_LOOK); r++) {
        rows->fold_into[HD_FOLD_MAX](shift, x + r * step, count);
    }
    if (p->kind == SOFTMAX_LOG) {
        for (int64_t r = 0; r < size && !hd_stop_ends_every(r, ROWS_A_LOOK); r++) {
            rows->sum_exp_into(sum, x + r * step, shift, count);
        }
        for (int64_t i = 0; i < count; i++) {
            sum[i] = Sleef_logf_u10(sum[i]);
        }
        for (int64_t r = 0; r < size && !hd_stop_ends_every(r, ROWS_A_LOOK); r++) {
            rows->subtract(y + r * step, x + r * step, shift, count);
            rows->subtract(y + r * step, y + r * step, sum, count);
        }
        return;
    }
    for (int64_t r = 0; r < size && !hd_stop_ends_every(r, ROWS_A_LOOK); r++) {
        rows->exp_shifted(y + r * step, x + r * step, shift, count);
        rows->fold_into[HD_FOLD_SUM](sum, y + r * step, count);
    }
    for (int64_t i = 0; i < count; i++) {
        sum[i] = 1.0f / sum[i];
    }
    for (int64_t r = 0; r < size && !hd_stop_ends_every(r, ROWS_A_LOOK); r++) {
        rows->multiply(y + r * step, y + r * step, sum, count);
    }
}

/* COLUMNS short rows after the others, side by side in scratch. */
static void softmax_short_rows(const hd_cpu_rows *rows, const softmax_parameters *p, const float *x,
                               float *y, int64_t count, float *scratch)
{
    int64_t size = p->split.size;
    float *columns = scratch + 2 * COLUMNS;
    for (int64_t at = 0; at < count; at += COLUMNS) {
        int64_t some = count - at < COLUMNS ? count - at : COLUMNS;
        for (int64_t i = 0; i < some; i++) {
            for (int64_t r = 0; r < size; r++) {
                columns[r * COLUMNS + i] = x[(at + i) * size + r];
            }
        }
        softmax_columns(rows, p, columns, columns, COLUMNS, some, scratch);
        for (int64_t i = 0; i < some; i++) {
            for (int64_t r = 0; r < size; r++) {
                y[(at + i) * size + r] = columns[r * COLUMNS + i];
            }
        }
    }
}

static void run_float(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                      void *scratch)
{
    const softmax_parameters *p = parameters;
    const hd_cpu_rows *rows = hd_cpu_rows_get();
    int64_t size = p->split.size, inner = p->split.inner, items = p->split.outer * p->chunks;
    int64_t stop = hd_cpu_tile_begin(items, p->tiles, end);
    int64_t start = hd_cpu_tile_begin(items, p->tiles, begin);
    if (p->turns) {
        softmax_short_rows(rows, p, (const float *)buffers[0] + start * size,
                           (float *)buffers[1] + start * size, stop - start, scratch);
        return;
    }
    for (int64_t item = start; item < stop; item++) {
        int64_t at = item % p->chunks * COLUMNS;
        int64_t offset = item / p->chunks * size * inner + at;
        const float *x = (const float *)buffers[0] + offset;
        float *y = (float *)buffers[1] + offset;
        int64_t count = inner - at < COLUMNS ? inner - at : COLUMNS;
        if (p->kind == SOFTMAX_HARD) {
            for (int64_t i = 0; i < count; i++) {
                hardmax_row(x + i, y + i, size, inner);
            }
        } else if (inner > 1) {
            softmax_columns(rows, p, x, y, inner, count, scratch);
        } else if (p->kind == SOFTMAX_LOG) {
            rows->log_softmax(x, y, size);
        } else {
            rows->softmax(x, y, size, p->keep ? scratch : NULL);
        }
    }
}

static void run_double(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                       void *scratch)
{
    (void)scratch;
    const softmax_parameters *p = parameters;
    int64_t size = p->split.size, step = p->split.inner, items = p->split.outer * step;
    int64_t stop = hd_cpu_tile_begin(items, p->tiles, end);
    for (int64_t item = hd_cpu_tile_begin(items, p->tiles, begin); item < stop; item++) {
        int64_t offset = item / step * size * step + item % step;
        const double *x = (const double *)buffers[0] + offset;
        double *y = (double *)buffers[1] + offset;
        double shift = -INFINITY, sum = 0;
        int64_t best = 0;
        for (int64_t i = 0; i < size && !hd_stop_ends(i); i++) {
            double value = x[i * step];
            best = value > x[best * step] || (value != value && x[best * step] == x[best * step])
                       ? i
                       : best;
            shift = value > shift ? value : shift;
        }
        for (int64_t i = 0; i < size && !hd_stop_ends(i); i++) {
            sum += Sleef_exp_u10(x[i * step] - shift);
        }
        double logarithm = Sleef_log_u10(sum);
        for (int64_t i = 0; i < size && !hd_stop_ends(i); i++) {
            double value = x[i * step] - shift;
            y[i * step] = p->kind == SOFTMAX_LOG     ? value - logarithm
                          : p->kind == SOFTMAX_PLAIN ? Sleef_exp_u10(value) / sum
                          : i == best                ? 1.0
                                                     : 0.0;
        }
    }
}

hd_status hd_cpu_softmax_compile(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_operand *x = &operation->inputs[0];
    if (x->dtype != HD_FLOAT32 && x->dtype != HD_FLOAT64) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                                 "there is no kernel for %s", hd_dtype_name(x->dtype));
    }
    softmax_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    bool single = x->dtype == HD_FLOAT32;
    hd_axis_split_softmax(operation, &p->split);
    p->kind = operation->id == HD_OP_SOFTMAX       ? SOFTMAX_PLAIN
              : operation->id == HD_OP_LOG_SOFTMAX ? SOFTMAX_LOG
                                                   : SOFTMAX_HARD;
    p->chunks = single ? (p->split.inner + COLUMNS - 1) / COLUMNS : p->split.inner;
    int64_t columns = single && p->split.inner > 1 ? COLUMNS : 1;
    p->tiles = hd_cpu_tile_count(p->split.outer * p->chunks, p->split.size * columns * 4);
    int64_t row_bytes = p->split.size * (int64_t)sizeof(float);
    p->keep = single && p->kind == SOFTMAX_PLAIN && p->split.inner == 1 &&
              row_bytes <= KEEP_BYTES && p->split.outer * row_bytes >= HD_ROWS_STREAM_BYTES;
    compilation->kernel.run = single ? run_float : run_double;
    compilation->kernel.tile_count = p->tiles;
    p->turns =
        single && p->kind != SOFTMAX_HARD && p->split.inner == 1 && p->split.size <= SHORT_ROW;
    p->keep = p->keep && !p->turns;
    size_t columns_size = (size_t)(2 + (p->turns ? p->split.size : 0)) * COLUMNS * sizeof(float);
    compilation->kernel.scratch_size = p->keep ? (size_t)row_bytes : columns_size;
    compilation->kernel.inplace_inputs = 1;
    return HD_OK;
}
