/* Rows: the functions of rows.h, for the instruction set of the file that includes this one and
 * defines HD_ROWS_SET, the name of the set. */
#include "base/stop.h"
#include "hal/cpu/lanes.h"

/* from here on a block of rows and columns takes too long for one look */
#define LONG_PRODUCT ((int64_t)1 << 17)

/* Functions that see a whole row at once have two forms, of which the one for long rows looks at what may stop the run:
 * where their loops ask next, or, in the other form, their end. */
#define ROW_FORM static inline __attribute__((always_inline))

ROW_FORM int64_t reach(int64_t at, int64_t count, const bool looks)
{
    return looks ? hd_stop_reach(at, count) : count;
}

static inline lanes load_at(const float *x, int64_t i, int64_t count, float fill)
{
    return i + LANE_COUNT <= count
               ? lanes_load(x + i)
               : lanes_load_part_or(x + i, lanes_first(count - i), lanes_set(fill));
}

static inline void store_at(float *y, int64_t i, int64_t count, lanes value)
{
    if (i + LANE_COUNT <= count) {
        lanes_store(y + i, value);
    } else {
        lanes_store_part(y + i, lanes_first(count - i), value);
    }
}

/* e^x to about one unit in the last place; the polynomial of SLEEF's expf (sleef.org), without the
 * call. Infinity above 88.72, 0 below -104; not a number stays so. */
static inline lanes exp_of(lanes x)
{
    lanes high = lanes_set(89.0f), low = lanes_set(-105.0f);
    lanes bounded = lanes_larger(low, lanes_smaller(high, x));
    /* Adding and taking away 1.5 · 2^23 rounds to a whole number. */
    lanes magic = lanes_set(12582912.0f);
    lanes n = lanes_fma(bounded, lanes_set(1.442695040888963407f), magic) - magic;
    lanes r = lanes_fma(n, lanes_set(-0.693145751953125f), bounded);
    r = lanes_fma(n, lanes_set(-1.428606765330187045e-06f), r);
    lanes p = lanes_set(0.000198527617612853646278381f);
    p = lanes_fma(p, r, lanes_set(0.00139304355252534151077271f));
    p = lanes_fma(p, r, lanes_set(0.00833336077630519866943359f));
    p = lanes_fma(p, r, lanes_set(0.0416664853692054748535156f));
    p = lanes_fma(p, r, lanes_set(0.166666671633720397949219f));
    p = lanes_fma(p, r, lanes_set(0.5f));
    p = lanes_fma(r * r, p, r) + lanes_set(1.0f);
    return lanes_scale(p, n);
}

/* Folds of a row: four vectors at a time, then one, then the tail filled up with neutral values. */
#define FOLD_ROW(name, fill, step, join, across)                                                   \
    ROW_FORM float fold_##name##_row(const float *x, int64_t count, const bool looks)              \
    {                                                                                              \
        lanes v0 = lanes_set(fill), v1 = v0, v2 = v0, v3 = v0;                                     \
        int64_t i = 0;                                                                             \
        const int64_t fours = count & -(4 * LANE_COUNT);                                           \
        for (int64_t end; (end = reach(i, fours, looks)) > i;) {                                   \
            for (; i < end; i += 4 * LANE_COUNT) {                                                 \
                v0 = step(v0, lanes_load(x + i));                                                  \
                v1 = step(v1, lanes_load(x + i + LANE_COUNT));                                     \
                v2 = step(v2, lanes_load(x + i + 2 * LANE_COUNT));                                 \
                v3 = step(v3, lanes_load(x + i + 3 * LANE_COUNT));                                 \
            }                                                                                      \
            if (!looks) {                                                                          \
                break;                                                                             \
            }                                                                                      \
        }                                                                                          \
        i = fours;                                                                                 \
        for (; i + LANE_COUNT <= count; i += LANE_COUNT) {                                         \
            v0 = step(v0, lanes_load(x + i));                                                      \
        }                                                                                          \
        if (i < count) {                                                                           \
            v1 = step(v1, lanes_load_part_or(x + i, lanes_first(count - i), lanes_set(fill)));     \
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
        for (; i + LANE_COUNT <= count; i += LANE_COUNT) {                                         \
            lanes_store(into + i, step(lanes_load(into + i), lanes_load(x + i)));                  \
        }                                                                                          \
        if (i < count) {                                                                           \
            lanes old = lanes_load_part_or(into + i, lanes_first(count - i), lanes_set(fill));     \
            lanes_store_part(                                                                      \
                into + i, lanes_first(count - i),                                                  \
                step(old, lanes_load_part_or(x + i, lanes_first(count - i), lanes_set(fill))));    \
        }                                                                                          \
    }                                                                                              \
    static inline __attribute__((always_inline)) lanes fold_##name##_window(                       \
        const float *x, const hd_cpu_fold_windows *w, const int64_t count)                         \
    {                                                                                              \
        lanes v = lanes_set(fill);                                                                 \
        for (int64_t row = 0; row < w->rows; row++, x += w->row_step) {                            \
            for (int64_t tap = 0; tap < w->taps; tap++) {                                          \
                v = step(v, load_at(x + tap * w->tap_step, 0, count, fill));                       \
            }                                                                                      \
        }                                                                                          \
        return v;                                                                                  \
    }                                                                                              \
    static void fold_##name##_windows(float *restrict y, const float *restrict x,                  \
                                      const hd_cpu_fold_windows *w)                                \
    {                                                                                              \
        for (int64_t pixel = 0; pixel < w->pixels; pixel++, x += w->pixel_step) {                  \
            int64_t i = 0;                                                                         \
            for (; i + LANE_COUNT <= w->channels; i += LANE_COUNT) {                               \
                lanes_store(y + i, fold_##name##_window(x + i, w, LANE_COUNT));                    \
            }                                                                                      \
            const int64_t rest = w->channels - i;                                                  \
            if (rest > 0) {                                                                        \
                lanes_store_part(y + i, lanes_first(rest), fold_##name##_window(x + i, w, rest));  \
            }                                                                                      \
            y += w->channels;                                                                      \
        }                                                                                          \
    }

static inline lanes step_sum(lanes sum, lanes x)
{
    return sum + x;
}

static inline lanes step_squares(lanes sum, lanes x)
{
    return lanes_fma(x, x, sum);
}

static inline lanes step_absolute(lanes sum, lanes x)
{
    return sum + lanes_abs(x);
}

static inline lanes step_product(lanes product, lanes x)
{
    return product * x;
}

FOLD(sum, 0.0f, step_sum, step_sum, lanes_across_sum)
FOLD(squares, 0.0f, step_squares, step_sum, lanes_across_sum)
FOLD(absolute, 0.0f, step_absolute, step_sum, lanes_across_sum)
FOLD(product, 1.0f, step_product, step_product, lanes_across_product)
FOLD(max, -INFINITY, lanes_max, lanes_max, lanes_across_max)
FOLD(min, INFINITY, lanes_min, lanes_min, lanes_across_min)
/* For softmax: a NaN may be lost here, since it comes back by the sum. */
FOLD_ROW(largest, -INFINITY, lanes_larger, lanes_larger, lanes_across_larger)

ROW_FORM float sum_deviations_row(const float *x, int64_t count, float mean, const bool looks)
{
    lanes middle = lanes_set(mean), v0 = lanes_set(0.0f), v1 = v0;
    int64_t i = 0;
    const int64_t twos = count & -(2 * LANE_COUNT);
    for (int64_t end; (end = reach(i, twos, looks)) > i;) {
        for (; i < end; i += 2 * LANE_COUNT) {
            lanes a = lanes_load(x + i) - middle, b = lanes_load(x + i + LANE_COUNT) - middle;
            v0 = lanes_fma(a, a, v0);
            v1 = lanes_fma(b, b, v1);
        }
        if (!looks) {
            break;
        }
    }
    i = twos;
    for (; i < count; i += LANE_COUNT) {
        lanes a = load_at(x, i, count, mean) - middle;
        v0 = lanes_fma(a, a, v0);
    }
    return lanes_across_sum(v0 + v1);
}

ROW_FORM float sum_exp_row(const float *x, int64_t count, float shift, const bool looks)
{
    lanes middle = lanes_set(shift), v0 = lanes_set(0.0f), v1 = v0;
    int64_t i = 0;
    const int64_t twos = count & -(2 * LANE_COUNT);
    for (int64_t end; (end = reach(i, twos, looks)) > i;) {
        for (; i < end; i += 2 * LANE_COUNT) {
            v0 = v0 + exp_of(lanes_load(x + i) - middle);
            v1 = v1 + exp_of(lanes_load(x + i + LANE_COUNT) - middle);
        }
        if (!looks) {
            break;
        }
    }
    i = twos;
    for (; i < count; i += LANE_COUNT) {
        v0 = v0 + exp_of(load_at(x, i, count, -INFINITY) - middle);
    }
    return lanes_across_sum(v0 + v1);
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
    for (int64_t i = 0; i < count; i += LANE_COUNT) {
        lanes e = exp_of(load_at(x, i, count, 0.0f) - load_at(shift, i, count, 0.0f));
        store_at(into, i, count, load_at(into, i, count, 0.0f) + e);
    }
}

static void exp_shifted(float *y, const float *x, const float *shift, int64_t count)
{
    for (int64_t i = 0; i < count; i += LANE_COUNT) {
        lanes e = exp_of(load_at(x, i, count, 0.0f) - load_at(shift, i, count, 0.0f));
        store_at(y, i, count, e);
    }
}

static void multiply(float *y, const float *a, const float *b, int64_t count)
{
    for (int64_t i = 0; i < count; i += LANE_COUNT) {
        store_at(y, i, count, load_at(a, i, count, 0.0f) * load_at(b, i, count, 0.0f));
    }
}

static void subtract(float *y, const float *a, const float *b, int64_t count)
{
    for (int64_t i = 0; i < count; i += LANE_COUNT) {
        store_at(y, i, count, load_at(a, i, count, 0.0f) - load_at(b, i, count, 0.0f));
    }
}

static void affine(float *y, const float *x, float mean, float scale, float shift, int64_t count)
{
    lanes m = lanes_set(mean), a = lanes_set(scale), b = lanes_set(shift);
    for (int64_t i = 0; i < count; i += LANE_COUNT) {
        store_at(y, i, count, lanes_fma(load_at(x, i, count, 0.0f) - m, a, b));
    }
}

static void affine_each(float *restrict y, const float *restrict x, const float *restrict mean,
                        const float *restrict scale, const float *restrict shift, int64_t count)
{
    for (int64_t i = 0; i < count; i += LANE_COUNT) {
        lanes a = load_at(scale, i, count, 0.0f), b = load_at(shift, i, count, 0.0f);
        lanes centered = load_at(x, i, count, 0.0f) - load_at(mean, i, count, 0.0f);
        store_at(y, i, count, lanes_fma(centered, a, b));
    }
}

static void add_scaled(float *restrict into, const float *restrict x, float factor, int64_t count)
{
    lanes f = lanes_set(factor);
    for (int64_t i = 0; i < count; i += LANE_COUNT) {
        lanes sum = lanes_fma(load_at(x, i, count, 0.0f), f, load_at(into, i, count, 0.0f));
        store_at(into, i, count, sum);
    }
}

/* e^(x - shift) to `to`, which may be x; their sum. prefetch: the row behind x comes into the cache
 * meanwhile, since this pass has time to spare. */
ROW_FORM float exp_and_sum(float *to, const float *x, float shift, int64_t count,
                           const bool prefetch, const bool looks)
{
    lanes middle = lanes_set(shift), v0 = lanes_set(0.0f), v1 = v0;
    int64_t i = 0;
    const int64_t twos = count & -(2 * LANE_COUNT);
    for (int64_t end; (end = reach(i, twos, looks)) > i;) {
        for (; i < end; i += 2 * LANE_COUNT) {
            if (prefetch) {
                __builtin_prefetch(x + count + i);
                __builtin_prefetch(x + count + i + LANE_COUNT);
            }
            lanes a = exp_of(lanes_load(x + i) - middle);
            lanes b = exp_of(lanes_load(x + i + LANE_COUNT) - middle);
            lanes_store(to + i, a);
            lanes_store(to + i + LANE_COUNT, b);
            v0 = v0 + a;
            v1 = v1 + b;
        }
        if (!looks) {
            break;
        }
    }
    i = twos;
    for (; i < count; i += LANE_COUNT) {
        lanes a = exp_of(load_at(x, i, count, -INFINITY) - middle);
        store_at(to, i, count, a);
        v0 = v0 + a;
    }
    return lanes_across_sum(v0 + v1);
}

/* y = x · factor past the cache. The elements before y's first vector boundary are stored one by one:
 * a product has the same bits either way. */
ROW_FORM void scale_stream(float *y, const float *x, float factor, int64_t count, const bool looks)
{
    int64_t i = 0;
    for (; i < count && ((uintptr_t)(y + i) % sizeof(lanes)) != 0; i++) {
        y[i] = x[i] * factor;
    }
    lanes f = lanes_set(factor);
    const int64_t whole = i + ((count - i) & -LANE_COUNT);
    for (int64_t end; (end = reach(i, whole, looks)) > i;) {
        for (; i < end; i += LANE_COUNT) {
            lanes_stream(y + i, lanes_load(x + i) * f);
        }
        if (!looks) {
            break;
        }
    }
    for (i = whole; i < count; i++) {
        y[i] = x[i] * factor;
    }
    lanes_stream_end();
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
    lanes f = lanes_set(1.0f / exp_and_sum(to, x, shift, count, false, looks));
    for (int64_t i = 0, end; (end = reach(i, count, looks)) > i;) {
        for (; i < end; i += LANE_COUNT) {
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
    lanes a = lanes_set(shift), b = lanes_set(Sleef_logf_u10(sum_exp_row(x, count, shift, looks)));
    for (int64_t i = 0, end; (end = reach(i, count, looks)) > i;) {
        for (; i < end; i += LANE_COUNT) {
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
            for (; i < end; i += LANE_COUNT) {
                lanes a = load_at(x, i, count, 0.0f), b = load_at(row->residual, i, count, 0.0f);
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
    lanes m = lanes_set(middle), f = lanes_set(factor);
    for (int64_t i = 0, end; (end = reach(i, count, looks)) > i;) {
        for (; i < end; i += LANE_COUNT) {
            lanes value = (load_at(x, i, count, 0.0f) - m) * f;
            lanes scale = load_at(row->scale, i, count, 0.0f);
            lanes bias = lanes_set(0.0f);
            if (row->bias != NULL) {
                bias = load_at(row->bias, i, count, 0.0f);
            }
            value = lanes_fma(value, scale, bias);
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
    lanes sums[4][8];
    LANES_UNROLL
    for (int r = 0; r < rows; r++) {
        LANES_UNROLL
        for (int j = 0; j < columns; j++) {
            sums[r][j] = lanes_set(0.0f);
        }
    }
    for (int64_t i = 0; i < k; i += LANE_COUNT) {
        lanes values[4];
        LANES_UNROLL
        for (int r = 0; r < rows; r++) {
            values[r] = load_at(a + r * a_step, i, k, 0.0f);
        }
        LANES_UNROLL
        for (int j = 0; j < columns; j++) {
            lanes factor = load_at(b + j * k, i, k, 0.0f);
            LANES_UNROLL
            for (int r = 0; r < rows; r++) {
                sums[r][j] = lanes_fma(values[r], factor, sums[r][j]);
            }
        }
    }
    LANES_UNROLL
    for (int r = 0; r < rows; r++) {
        LANES_UNROLL
        for (int j = 0; j < columns; j++) {
            c[r * c_step + j] += lanes_across_sum(sums[r][j]);
        }
    }
}

/* The same for one row and column of any length. */
static void product_long(float *c, const float *a, const float *b, int64_t k)
{
    lanes sum = lanes_set(0.0f);
    for (int64_t i = 0, end; (end = hd_stop_reach(i, k)) > i;) {
        for (; i < end; i += LANE_COUNT) {
            sum = lanes_fma(load_at(a, i, k, 0.0f), load_at(b, i, k, 0.0f), sum);
        }
    }
    *c += lanes_across_sum(sum);
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
