/* Rows: the functions of rows.h, for the instruction set of the file that includes this one and
 * defines HD_ROWS_SET, the name of the set. */
#include "base/stop.h"
#include "hal/cpu/ops/lanes.h"

/* from here on a block of rows and columns takes too long for one look */
#define LONG_PRODUCT ((int64_t)1 << 17)

/* Functions that see a whole row at once have two forms, of which the one for long rows looks at what may stop the run:
 * where their loops ask next, or, in the other form, their end. */
#define ROW_FORM static inline __attribute__((always_inline))

ROW_FORM int64_t reach(int64_t at, int64_t count, const bool looks)
{
    return looks ? hd_stop_reach(at, count) : count;
}

static inline hd_lanes load_at(const float *x, int64_t i, int64_t count, float fill)
{
    return i + HD_LANES <= count ? hd_lanes_load(x + i)
                                 : hd_lanes_load_part(x + i, count - i, fill);
}

static inline void store_at(float *y, int64_t i, int64_t count, hd_lanes value)
{
    if (i + HD_LANES <= count) {
        hd_lanes_store(y + i, value);
    } else {
        hd_lanes_store_part(y + i, count - i, value);
    }
}

/* Folds of a row: four vectors at a time, then one, then the tail filled up with neutral values. */
#define FOLD_ROW(name, fill, step, join, across)                                                   \
    ROW_FORM float fold_##name##_row(const float *x, int64_t count, const bool looks)              \
    {                                                                                              \
        hd_lanes v0 = hd_lanes_set(fill), v1 = v0, v2 = v0, v3 = v0;                               \
        int64_t i = 0;                                                                             \
        const int64_t fours = count & -(4 * HD_LANES);                                             \
        for (int64_t end; (end = reach(i, fours, looks)) > i;) {                                   \
            for (; i < end; i += 4 * HD_LANES) {                                                   \
                v0 = step(v0, hd_lanes_load(x + i));                                               \
                v1 = step(v1, hd_lanes_load(x + i + HD_LANES));                                    \
                v2 = step(v2, hd_lanes_load(x + i + 2 * HD_LANES));                                \
                v3 = step(v3, hd_lanes_load(x + i + 3 * HD_LANES));                                \
            }                                                                                      \
            if (!looks) {                                                                          \
                break;                                                                             \
            }                                                                                      \
        }                                                                                          \
        i = fours;                                                                                 \
        for (; i + HD_LANES <= count; i += HD_LANES) {                                             \
            v0 = step(v0, hd_lanes_load(x + i));                                                   \
        }                                                                                          \
        if (i < count) {                                                                           \
            v1 = step(v1, hd_lanes_load_part(x + i, count - i, fill));                             \
        }                                                                                          \
        return across(join(join(v0, v1), join(v2, v3)));                                           \
    }

#define FOLD(name, fill, step, join, across)                                                       \
    FOLD_ROW(name, fill, step, join, across)                                                       \
    static float fold_##name(const float *x, int64_t count)                                        \
    {                                                                                              \
        return count > HD_STOP_TURNS ? fold_##name##_row(x, count, true)                           \
                                     : fold_##name##_row(x, count, false);                         \
    }                                                                                              \
    static void fold_##name##_into(float *restrict into, const float *restrict x, int64_t count)   \
    {                                                                                              \
        int64_t i = 0;                                                                             \
        for (; i + HD_LANES <= count; i += HD_LANES) {                                             \
            hd_lanes_store(into + i, step(hd_lanes_load(into + i), hd_lanes_load(x + i)));         \
        }                                                                                          \
        if (i < count) {                                                                           \
            hd_lanes old = hd_lanes_load_part(into + i, count - i, fill);                          \
            hd_lanes_store_part(into + i, count - i,                                               \
                                step(old, hd_lanes_load_part(x + i, count - i, fill)));            \
        }                                                                                          \
    }                                                                                              \
    static inline __attribute__((always_inline)) hd_lanes fold_##name##_window(                    \
        const float *x, const hd_cpu_fold_windows *w, const int64_t lanes)                         \
    {                                                                                              \
        hd_lanes v = hd_lanes_set(fill);                                                           \
        for (int64_t row = 0; row < w->rows; row++, x += w->row_step) {                            \
            for (int64_t tap = 0; tap < w->taps; tap++) {                                          \
                v = step(v, load_at(x + tap * w->tap_step, 0, lanes, fill));                       \
            }                                                                                      \
        }                                                                                          \
        return v;                                                                                  \
    }                                                                                              \
    static void fold_##name##_windows(float *restrict y, const float *restrict x,                  \
                                      const hd_cpu_fold_windows *w)                                \
    {                                                                                              \
        for (int64_t pixel = 0; pixel < w->pixels; pixel++, x += w->pixel_step) {                  \
            int64_t i = 0;                                                                         \
            for (; i + HD_LANES <= w->channels; i += HD_LANES) {                                   \
                hd_lanes_store(y + i, fold_##name##_window(x + i, w, HD_LANES));                   \
            }                                                                                      \
            const int64_t rest = w->channels - i;                                                  \
            if (rest > 0) {                                                                        \
                hd_lanes_store_part(y + i, rest, fold_##name##_window(x + i, w, rest));            \
            }                                                                                      \
            y += w->channels;                                                                      \
        }                                                                                          \
    }

static inline hd_lanes step_sum(hd_lanes sum, hd_lanes x)
{
    return sum + x;
}

static inline hd_lanes step_squares(hd_lanes sum, hd_lanes x)
{
    return hd_lanes_fma(x, x, sum);
}

static inline hd_lanes step_absolute(hd_lanes sum, hd_lanes x)
{
    return sum + hd_lanes_abs(x);
}

static inline hd_lanes step_product(hd_lanes product, hd_lanes x)
{
    return product * x;
}

FOLD(sum, 0.0f, step_sum, step_sum, hd_lanes_across_sum)
FOLD(squares, 0.0f, step_squares, step_sum, hd_lanes_across_sum)
FOLD(absolute, 0.0f, step_absolute, step_sum, hd_lanes_across_sum)
FOLD(product, 1.0f, step_product, step_product, hd_lanes_across_product)
FOLD(max, -INFINITY, hd_lanes_max, hd_lanes_max, hd_lanes_across_max)
FOLD(min, INFINITY, hd_lanes_min, hd_lanes_min, hd_lanes_across_min)
/* For softmax: a NaN may be lost here, since it comes back by the sum. */
FOLD_ROW(largest, -INFINITY, hd_lanes_larger, hd_lanes_larger, hd_lanes_across_larger)

ROW_FORM float sum_deviations_row(const float *x, int64_t count, float mean, const bool looks)
{
    hd_lanes middle = hd_lanes_set(mean), v0 = hd_lanes_set(0.0f), v1 = v0;
    int64_t i = 0;
    const int64_t twos = count & -(2 * HD_LANES);
    for (int64_t end; (end = reach(i, twos, looks)) > i;) {
        for (; i < end; i += 2 * HD_LANES) {
            hd_lanes a = hd_lanes_load(x + i) - middle,
                     b = hd_lanes_load(x + i + HD_LANES) - middle;
            v0 = hd_lanes_fma(a, a, v0);
            v1 = hd_lanes_fma(b, b, v1);
        }
        if (!looks) {
            break;
        }
    }
    i = twos;
    for (; i < count; i += HD_LANES) {
        hd_lanes a = load_at(x, i, count, mean) - middle;
        v0 = hd_lanes_fma(a, a, v0);
    }
    return hd_lanes_across_sum(v0 + v1);
}

ROW_FORM float sum_exp_row(const float *x, int64_t count, float shift, const bool looks)
{
    hd_lanes middle = hd_lanes_set(shift), v0 = hd_lanes_set(0.0f), v1 = v0;
    int64_t i = 0;
    const int64_t twos = count & -(2 * HD_LANES);
    for (int64_t end; (end = reach(i, twos, looks)) > i;) {
        for (; i < end; i += 2 * HD_LANES) {
            v0 = v0 + hd_lanes_exp(hd_lanes_load(x + i) - middle);
            v1 = v1 + hd_lanes_exp(hd_lanes_load(x + i + HD_LANES) - middle);
        }
        if (!looks) {
            break;
        }
    }
    i = twos;
    for (; i < count; i += HD_LANES) {
        v0 = v0 + hd_lanes_exp(load_at(x, i, count, -INFINITY) - middle);
    }
    return hd_lanes_across_sum(v0 + v1);
}

static float sum_deviations(const float *x, int64_t count, float mean)
{
    return count > HD_STOP_TURNS ? sum_deviations_row(x, count, mean, true)
                                 : sum_deviations_row(x, count, mean, false);
}

static float sum_exp(const float *x, int64_t count, float shift)
{
    return count > HD_STOP_TURNS ? sum_exp_row(x, count, shift, true)
                                 : sum_exp_row(x, count, shift, false);
}

static void sum_exp_into(float *restrict into, const float *restrict x, const float *restrict shift,
                         int64_t count)
{
    for (int64_t i = 0; i < count; i += HD_LANES) {
        hd_lanes e = hd_lanes_exp(load_at(x, i, count, 0.0f) - load_at(shift, i, count, 0.0f));
        store_at(into, i, count, load_at(into, i, count, 0.0f) + e);
    }
}

static void exp_shifted(float *y, const float *x, const float *shift, int64_t count)
{
    for (int64_t i = 0; i < count; i += HD_LANES) {
        hd_lanes e = hd_lanes_exp(load_at(x, i, count, 0.0f) - load_at(shift, i, count, 0.0f));
        store_at(y, i, count, e);
    }
}

static void multiply(float *y, const float *a, const float *b, int64_t count)
{
    for (int64_t i = 0; i < count; i += HD_LANES) {
        store_at(y, i, count, load_at(a, i, count, 0.0f) * load_at(b, i, count, 0.0f));
    }
}

static void subtract(float *y, const float *a, const float *b, int64_t count)
{
    for (int64_t i = 0; i < count; i += HD_LANES) {
        store_at(y, i, count, load_at(a, i, count, 0.0f) - load_at(b, i, count, 0.0f));
    }
}

static void affine(float *y, const float *x, float scale, float shift, int64_t count)
{
    hd_lanes a = hd_lanes_set(scale), b = hd_lanes_set(shift);
    for (int64_t i = 0; i < count; i += HD_LANES) {
        store_at(y, i, count, hd_lanes_fma(load_at(x, i, count, 0.0f), a, b));
    }
}

static void affine_each(float *restrict y, const float *restrict x, const float *restrict scale,
                        const float *restrict shift, int64_t count)
{
    for (int64_t i = 0; i < count; i += HD_LANES) {
        hd_lanes a = load_at(scale, i, count, 0.0f), b = load_at(shift, i, count, 0.0f);
        store_at(y, i, count, hd_lanes_fma(load_at(x, i, count, 0.0f), a, b));
    }
}

static void add_scaled(float *restrict into, const float *restrict x, float factor, int64_t count)
{
    hd_lanes f = hd_lanes_set(factor);
    for (int64_t i = 0; i < count; i += HD_LANES) {
        hd_lanes sum = hd_lanes_fma(load_at(x, i, count, 0.0f), f, load_at(into, i, count, 0.0f));
        store_at(into, i, count, sum);
    }
}

/* e^(x - shift) to `to`, which may be x; their sum. prefetch: the row behind x comes into the cache
 * meanwhile, since this pass has time to spare. */
ROW_FORM float exp_and_sum(float *to, const float *x, float shift, int64_t count,
                           const bool prefetch, const bool looks)
{
    hd_lanes middle = hd_lanes_set(shift), v0 = hd_lanes_set(0.0f), v1 = v0;
    int64_t i = 0;
    const int64_t twos = count & -(2 * HD_LANES);
    for (int64_t end; (end = reach(i, twos, looks)) > i;) {
        for (; i < end; i += 2 * HD_LANES) {
            if (prefetch) {
                __builtin_prefetch(x + count + i);
                __builtin_prefetch(x + count + i + HD_LANES);
            }
            hd_lanes a = hd_lanes_exp(hd_lanes_load(x + i) - middle);
            hd_lanes b = hd_lanes_exp(hd_lanes_load(x + i + HD_LANES) - middle);
            hd_lanes_store(to + i, a);
            hd_lanes_store(to + i + HD_LANES, b);
            v0 = v0 + a;
            v1 = v1 + b;
        }
        if (!looks) {
            break;
        }
    }
    i = twos;
    for (; i < count; i += HD_LANES) {
        hd_lanes a = hd_lanes_exp(load_at(x, i, count, -INFINITY) - middle);
        store_at(to, i, count, a);
        v0 = v0 + a;
    }
    return hd_lanes_across_sum(v0 + v1);
}

/* y = x · factor past the cache. The elements before y's first vector boundary are stored one by one:
 * a product has the same bits either way. */
ROW_FORM void scale_stream(float *y, const float *x, float factor, int64_t count, const bool looks)
{
    int64_t i = 0;
    for (; i < count && ((uintptr_t)(y + i) % sizeof(hd_lanes)) != 0; i++) {
        y[i] = x[i] * factor;
    }
    hd_lanes f = hd_lanes_set(factor);
    const int64_t whole = i + ((count - i) & -HD_LANES);
    for (int64_t end; (end = reach(i, whole, looks)) > i;) {
        for (; i < end; i += HD_LANES) {
            hd_lanes_stream(y + i, hd_lanes_load(x + i) * f);
        }
        if (!looks) {
            break;
        }
    }
    for (i = whole; i < count; i++) {
        y[i] = x[i] * factor;
    }
    hd_lanes_stream_end();
}

ROW_FORM void softmax_row(const float *x, float *y, int64_t count, float *keep, const bool looks)
{
    float *to = keep != NULL ? keep : y;
    float shift = fold_largest_row(x, count, looks);
    if (keep != NULL) {
        float sum = exp_and_sum(to, x, shift, count, true, looks);
        scale_stream(y, keep, 1.0f / sum, count, looks);
        return;
    }
    hd_lanes f = hd_lanes_set(1.0f / exp_and_sum(to, x, shift, count, false, looks));
    for (int64_t i = 0, end; (end = reach(i, count, looks)) > i;) {
        for (; i < end; i += HD_LANES) {
            store_at(y, i, count, load_at(y, i, count, 0.0f) * f);
        }
        if (!looks) {
            break;
        }
    }
}

static void softmax(const float *x, float *y, int64_t count, float *keep)
{
    if (count > HD_STOP_TURNS) {
        softmax_row(x, y, count, keep, true);
    } else {
        softmax_row(x, y, count, keep, false);
    }
}

ROW_FORM void log_softmax_row(const float *x, float *y, int64_t count, const bool looks)
{
    float shift = fold_largest_row(x, count, looks);
    hd_lanes a = hd_lanes_set(shift),
             b = hd_lanes_set(Sleef_logf_u10(sum_exp_row(x, count, shift, looks)));
    for (int64_t i = 0, end; (end = reach(i, count, looks)) > i;) {
        for (; i < end; i += HD_LANES) {
            store_at(y, i, count, load_at(x, i, count, 0.0f) - a - b);
        }
        if (!looks) {
            break;
        }
    }
}

static void log_softmax(const float *x, float *y, int64_t count)
{
    if (count > HD_STOP_TURNS) {
        log_softmax_row(x, y, count, true);
    } else {
        log_softmax_row(x, y, count, false);
    }
}

ROW_FORM void norm_row(const hd_cpu_norm_row *row, int64_t count, float *mean, float *inverse,
                       const bool looks)
{
    const float *x = row->x;
    if (row->residual != NULL) {
        float *sum = row->sum != NULL ? row->sum : row->y;
        for (int64_t i = 0, end; (end = reach(i, count, looks)) > i;) {
            for (; i < end; i += HD_LANES) {
                hd_lanes a = load_at(x, i, count, 0.0f), b = load_at(row->residual, i, count, 0.0f);
                store_at(sum, i, count, a + b);
            }
            if (!looks) {
                break;
            }
        }
        x = sum;
    }
    float middle = row->centered ? fold_sum_row(x, count, looks) / (float)count : 0.0f;
    float variance = sum_deviations_row(x, count, middle, looks) / (float)count;
    float factor = 1.0f / sqrtf(variance + row->epsilon);
    hd_lanes m = hd_lanes_set(middle), f = hd_lanes_set(factor);
    for (int64_t i = 0, end; (end = reach(i, count, looks)) > i;) {
        for (; i < end; i += HD_LANES) {
            hd_lanes value = (load_at(x, i, count, 0.0f) - m) * f;
            hd_lanes scale = load_at(row->scale, i, count, 0.0f);
            hd_lanes bias = hd_lanes_set(0.0f);
            if (row->bias != NULL) {
                bias = load_at(row->bias, i, count, 0.0f);
            }
            value = hd_lanes_fma(value, scale, bias);
            store_at(row->y, i, count, value);
        }
        if (!looks) {
            break;
        }
    }
    *mean = middle;
    *inverse = factor;
}

static void norm(const hd_cpu_norm_row *row, int64_t count, float *mean, float *inverse)
{
    if (count > HD_STOP_TURNS) {
        norm_row(row, count, mean, inverse, true);
    } else {
        norm_row(row, count, mean, inverse, false);
    }
}

/* c[r][j] += a[r] · b[j] for `rows` rows of a and `columns` rows of b. Each result has one vector of
 * partial sums, whatever the size of the block that it is part of (BITS). */
static inline __attribute__((always_inline)) void product_block(float *c, int64_t c_step,
                                                                const float *a, int64_t a_step,
                                                                const float *b, int64_t k,
                                                                const int rows, const int columns)
{
    hd_lanes sums[4][8];
    HD_LANES_UNROLL
    for (int r = 0; r < rows; r++) {
        HD_LANES_UNROLL
        for (int j = 0; j < columns; j++) {
            sums[r][j] = hd_lanes_set(0.0f);
        }
    }
    for (int64_t i = 0; i < k; i += HD_LANES) {
        hd_lanes values[4];
        HD_LANES_UNROLL
        for (int r = 0; r < rows; r++) {
            values[r] = load_at(a + r * a_step, i, k, 0.0f);
        }
        HD_LANES_UNROLL
        for (int j = 0; j < columns; j++) {
            hd_lanes factor = load_at(b + j * k, i, k, 0.0f);
            HD_LANES_UNROLL
            for (int r = 0; r < rows; r++) {
                sums[r][j] = hd_lanes_fma(values[r], factor, sums[r][j]);
            }
        }
    }
    HD_LANES_UNROLL
    for (int r = 0; r < rows; r++) {
        HD_LANES_UNROLL
        for (int j = 0; j < columns; j++) {
            c[r * c_step + j] += hd_lanes_across_sum(sums[r][j]);
        }
    }
}

/* The same for one row and column of any length. */
static void product_long(float *c, const float *a, const float *b, int64_t k)
{
    hd_lanes sum = hd_lanes_set(0.0f);
    for (int64_t i = 0, end; (end = hd_stop_reach(i, k)) > i;) {
        for (; i < end; i += HD_LANES) {
            sum = hd_lanes_fma(load_at(a, i, k, 0.0f), load_at(b, i, k, 0.0f), sum);
        }
    }
    *c += hd_lanes_across_sum(sum);
}

static void product(float *c, int64_t c_step, const float *a, int64_t a_step, const float *b,
                    int64_t m, int64_t k, int64_t n)
{
    int64_t row = 0;
    for (int64_t i = 0; k > LONG_PRODUCT && i < m * n && hd_stop_asked() == HD_OK; i++) {
        product_long(c + i / n * c_step + i % n, a + i / n * a_step, b + i % n * k, k);
    }
    if (k > LONG_PRODUCT) {
        return;
    }
    for (; row + 4 <= m; row += 4) {
        int64_t j = 0;
        for (; j + 4 <= n; j += 4) {
            product_block(c + row * c_step + j, c_step, a + row * a_step, a_step, b + j * k, k, 4,
                          4);
        }
        for (; j < n; j++) {
            product_block(c + row * c_step + j, c_step, a + row * a_step, a_step, b + j * k, k, 4,
                          1);
        }
    }
    for (; row < m; row++) {
        int64_t j = 0;
        for (; j + 8 <= n; j += 8) {
            product_block(c + row * c_step + j, c_step, a + row * a_step, a_step, b + j * k, k, 1,
                          8);
        }
        for (; j < n; j++) {
            product_block(c + row * c_step + j, c_step, a + row * a_step, a_step, b + j * k, k, 1,
                          1);
        }
    }
}

const hd_cpu_rows HD_ROWS_SET = {
    .fold = {fold_sum, fold_squares, fold_absolute, fold_product, fold_max, fold_min},
    .fold_into = {fold_sum_into, fold_squares_into, fold_absolute_into, fold_product_into,
                  fold_max_into, fold_min_into},
    .fold_windows = {fold_sum_windows, fold_squares_windows, fold_absolute_windows,
                     fold_product_windows, fold_max_windows, fold_min_windows},
    .sum_exp = sum_exp,
    .sum_exp_into = sum_exp_into,
    .sum_deviations = sum_deviations,
    .softmax = softmax,
    .log_softmax = log_softmax,
    .exp_shifted = exp_shifted,
    .multiply = multiply,
    .subtract = subtract,
    .affine = affine,
    .affine_each = affine_each,
    .add_scaled = add_scaled,
    .norm = norm,
    .product = product,
};
