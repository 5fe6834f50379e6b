/* Quantization rows: the functions of quantization_rows.h, which is included before, for the instruction set of the file
 * that includes this one and defines HD_QUANTIZATION_ROWS, the name of the set. */
#include "base/stop.h"
#include "hal/cpu/lanes.h"

typedef int32_t ints __attribute__((vector_size(4 * LANE_COUNT)));
/* Bytes of a vector; of those that are not `here` nothing is read, and they are 0. */
static inline __attribute__((always_inline)) ints load_bytes(const uint8_t *x, bool is_signed,
                                                             int64_t here)
{
    if (here == LANE_COUNT) {
        return (ints)lanes_from_bytes(x, is_signed);
    }
    uint8_t some[LANE_COUNT] = {0};
    memcpy(some, x, (size_t)here);
    return (ints)lanes_from_bytes(some, is_signed);
}

static inline __attribute__((always_inline)) void store_bytes(uint8_t *y, ints numbers,
                                                              int64_t here)
{
    if (here == LANE_COUNT) {
        lanes_to_bytes(y, (lanes_int)numbers);
        return;
    }
    uint8_t some[LANE_COUNT];
    lanes_to_bytes(some, (lanes_int)numbers);
    memcpy(y, some, (size_t)here);
}

/* How far a loop goes over elements from `at` on, whole vectors, before it looks whether it is to end: `at` where it is. */
static inline int64_t reach(int64_t at, int64_t whole)
{
    return hd_stop_reach_by(at, whole, HD_STOP_TURNS * LANE_COUNT);
}

/* What quotients are rounded by: a division, or a product with the reciprocal. That product is off by less than 2^-22 of itself,
 * 2^-13 between the bounds, so only where it is as near to a half as that need the quotient be known better. */
typedef struct divisor {
    lanes scale, reciprocal, least, most;
    int32_t zero;
    bool multiplies; /* the reciprocal is a normal number */
} divisor;

static inline divisor divisor_of(float scale, float low, float high, int32_t zero)
{
    const bool multiplies = fabsf(scale) > 0x1p-100f && fabsf(scale) < 0x1p100f &&
                            fabsf(low) < 512.0f && fabsf(high) < 512.0f;
    return (divisor){
        lanes_set(scale), lanes_set(1.0f / scale), lanes_set(low), lanes_set(high), zero,
        multiplies};
}

/* Adding and taking away 1.5 * 2^23 rounds half to even. */
static inline __attribute__((always_inline)) lanes rounded(lanes x)
{
    return (x + lanes_set(12582912.0f)) - lanes_set(12582912.0f);
}

static inline __attribute__((always_inline)) lanes bounded(lanes x, const divisor *by)
{
    return lanes_smaller(lanes_larger(x, by->least), by->most);
}

static inline __attribute__((always_inline)) ints quantized(lanes x, const divisor *by)
{
    if (by->multiplies) {
        const lanes near = bounded(x * by->reciprocal, by), whole = rounded(near);
        if (__builtin_expect(
                lanes_all(lanes_less(lanes_abs(near - whole), lanes_set(0.5f - 0x1p-12f))), 1)) {
            return (ints)lanes_to_int(whole) + by->zero;
        }
    }
    return (ints)lanes_nearest(bounded(x / by->scale, by)) + by->zero;
}

typedef float floats __attribute__((vector_size(4 * LANE_COUNT)));

/* Four vectors, which is one look at how near to a half they are; false, and nothing is stored, where one is too near. */
static inline __attribute__((always_inline)) bool quantize_four(const float *x, const divisor *by,
                                                                uint8_t *y)
{
    lanes far = lanes_set(0.0f);
    ints whole[4];
    LANES_UNROLL
    for (int i = 0; i < 4; i++) {
        const lanes near = bounded(lanes_load(x + i * LANE_COUNT) * by->reciprocal, by);
        whole[i] = (ints)lanes_nearest(near);
        far =
            lanes_larger(lanes_abs(near - (lanes) __builtin_convertvector(whole[i], floats)), far);
    }
    if (__builtin_expect(!lanes_all(lanes_less(far, lanes_set(0.5f - 0x1p-13f))), 0)) {
        return false;
    }
    LANES_UNROLL
    for (int i = 0; i < 4; i++) {
        store_bytes(y + i * LANE_COUNT, whole[i] + by->zero, LANE_COUNT);
    }
    return true;
}

static void quantize_rows(const float *x, int64_t count, float scale, float low, float high,
                          int32_t zero, uint8_t *y)
{
    const divisor by = divisor_of(scale, low, high, zero);
    const int64_t whole = count - count % LANE_COUNT;
    const int64_t fours = by.multiplies ? count - count % (4 * LANE_COUNT) : 0;
    for (int64_t i = 0; i < whole;) {
        const int64_t end = reach(i, i < fours ? fours : whole);
        if (end == i) {
            return;
        }
        while (i < end) {
            if (i < fours && quantize_four(x + i, &by, y + i)) {
                i += 4 * LANE_COUNT;
                continue;
            }
            for (const int64_t next = i + (i < fours ? 4 : 1) * LANE_COUNT; i < next;
                 i += LANE_COUNT) {
                store_bytes(y + i, quantized(lanes_load(x + i), &by), LANE_COUNT);
            }
        }
    }
    if (whole < count) {
        const lanes rest =
            lanes_load_part_or(x + whole, lanes_first(count - whole), lanes_set(0.0f));
        store_bytes(y + whole, quantized(rest, &by), count - whole);
    }
}

/* Of `here` elements, all of a vector's or fewer. */
static inline __attribute__((always_inline)) void
combine_some(const uint8_t *a, const uint8_t *b, const int64_t here,
             const hd_cpu_quantized_pair *pair, const bool a_signed, const bool b_signed,
             const divisor *by, uint8_t *y)
{
    const ints whole_a = load_bytes(a, a_signed, here) - pair->a_zero;
    const ints whole_b = load_bytes(b, b_signed, here) - pair->b_zero;
    const lanes left = (lanes)(__builtin_convertvector(whole_a, floats) * pair->a_scale);
    const lanes right = (lanes)(__builtin_convertvector(whole_b, floats) * pair->b_scale);
    lanes value = pair->multiplies ? left * right : left + right;
    value = pair->cuts ? lanes_larger(lanes_set(0.0f), value) : value;
    store_bytes(y, quantized(value, by), here);
}

#if LANES_COME_IN_FOURS
/* No value, divided, leaves int32 or is no number, and its reciprocal is one. */
static bool can_combine_four(const hd_cpu_quantized_pair *pair, const divisor *by)
{
    const float a = 384.0f * fabsf(pair->a_scale), b = 384.0f * fabsf(pair->b_scale);
    return by->multiplies && (pair->multiplies ? a * b : a + b) < 0x1p30f * fabsf(pair->y_scale);
}

/* Four vectors at once; false, and nothing is stored, where the quotient of one must be known better. */
static inline __attribute__((always_inline)) bool
combine_four(const uint8_t *a, const uint8_t *b, const hd_cpu_quantized_pair *pair,
             const bool a_signed, const bool b_signed, const bool multiplies, const bool cuts,
             lanes reciprocal, uint8_t *y)
{
    lanes left[4], right[4], far = lanes_set(0.0f);
    lanes_int whole[4];
    lanes_from_four(a, a_signed ? 128 : 0, (float)(pair->a_zero + (a_signed ? 128 : 0)), left);
    lanes_from_four(b, b_signed ? 128 : 0, (float)(pair->b_zero + (b_signed ? 128 : 0)), right);
    LANES_UNROLL
    for (int i = 0; i < 4; i++) {
        const lanes x = left[i] * lanes_set(pair->a_scale);
        const lanes z = right[i] * lanes_set(pair->b_scale);
        lanes value = multiplies ? x * z : x + z;
        value = (cuts ? lanes_larger(lanes_set(0.0f), value) : value) * reciprocal;
        whole[i] = lanes_nearest(value);
        const lanes back = (lanes) __builtin_convertvector((ints)whole[i], floats);
        far = lanes_larger(lanes_abs(value - back), far);
    }
    if (__builtin_expect(!lanes_all(lanes_less(far, lanes_set(0.5f - 0x1p-13f))), 0)) {
        return false;
    }
    lanes_to_four(y, whole, pair->zero, pair->low + (float)pair->zero < 0.0f);
    return true;
}

/* How many of the elements it has done, in whole fours of vectors. */
static inline __attribute__((always_inline)) int64_t
combine_fours(const uint8_t *a, const uint8_t *b, int64_t count, const hd_cpu_quantized_pair *pair,
              const bool a_signed, const bool b_signed, const bool multiplies, const bool cuts,
              const divisor *by, uint8_t *y)
{
    const int64_t whole = count - count % (4 * LANE_COUNT);
    for (int64_t i = 0; i < whole;) {
        const int64_t end = reach(i, whole);
        if (end == i) {
            return count;
        }
        for (; i < end; i += 4 * LANE_COUNT) {
            if (combine_four(a + i, b + i, pair, a_signed, b_signed, multiplies, cuts,
                             by->reciprocal, y + i)) {
                continue;
            }
            for (int64_t k = i; k < i + 4 * LANE_COUNT; k += LANE_COUNT) {
                combine_some(a + k, b + k, LANE_COUNT, pair, a_signed, b_signed, by, y + k);
            }
        }
    }
    return whole;
}
#endif

static inline __attribute__((always_inline)) void
combine_typed(const uint8_t *a, const uint8_t *b, int64_t count, const hd_cpu_quantized_pair *pair,
              const bool a_signed, const bool b_signed, uint8_t *y)
{
    const hd_cpu_quantized_pair fixed = *pair;
    const divisor by = divisor_of(pair->y_scale, pair->low, pair->high, pair->zero);
    const int64_t whole = count - count % LANE_COUNT;
    int64_t i = 0;
#if LANES_COME_IN_FOURS
    if (can_combine_four(&fixed, &by)) {
        i = fixed.multiplies
                ? combine_fours(a, b, count, &fixed, a_signed, b_signed, true, false, &by, y)
            : fixed.cuts
                ? combine_fours(a, b, count, &fixed, a_signed, b_signed, false, true, &by, y)
                : combine_fours(a, b, count, &fixed, a_signed, b_signed, false, false, &by, y);
    }
#endif
    while (i < whole) {
        const int64_t end = reach(i, whole);
        if (end == i) {
            return;
        }
        for (; i < end; i += LANE_COUNT) {
            combine_some(a + i, b + i, LANE_COUNT, &fixed, a_signed, b_signed, &by, y + i);
        }
    }
    if (whole < count) {
        combine_some(a + whole, b + whole, count - whole, &fixed, a_signed, b_signed, &by,
                     y + whole);
    }
}

static void combine_rows(const uint8_t *a, const uint8_t *b, int64_t count,
                         const hd_cpu_quantized_pair *pair, uint8_t *y)
{
    if (pair->a_signed && pair->b_signed) {
        combine_typed(a, b, count, pair, true, true, y);
    } else if (pair->a_signed) {
        combine_typed(a, b, count, pair, true, false, y);
    } else if (pair->b_signed) {
        combine_typed(a, b, count, pair, false, true, y);
    } else {
        combine_typed(a, b, count, pair, false, false, y);
    }
}

typedef uint32_t words __attribute__((vector_size(4 * LANE_COUNT)));

/* `here` columns of rows, all of a vector's or fewer. */
static inline __attribute__((always_inline)) void
requantize_some(const int32_t *sums, int64_t rows, const int32_t *added, const float *scales,
                const size_t here, lanes least, lanes most, int32_t zero, uint8_t *y,
                int64_t y_step)
{
    words more = {0};
    floats scale = {0};
    memcpy(&more, added, here * sizeof *added);
    memcpy(&scale, scales, here * sizeof *scales);
    for (int64_t r = 0; r < rows; r++) {
        words sum = {0};
        memcpy(&sum, sums + r * 32, here * sizeof *sums);
        const floats value = __builtin_convertvector((ints)(sum + more), floats) * scale;
        const lanes held = lanes_smaller(lanes_larger((lanes)value, least), most);
        store_bytes(y + r * y_step, (ints)lanes_nearest(held) + zero, (int64_t)here);
    }
}

static void requantize_rows(const int32_t *sums, int64_t rows, const int32_t *added,
                            const float *scales, int64_t count, float low, float high, int32_t zero,
                            uint8_t *y, int64_t y_step)
{
    const lanes least = lanes_set(low), most = lanes_set(high);
    int64_t i = 0;
    for (; i + LANE_COUNT <= count; i += LANE_COUNT) {
        requantize_some(sums + i, rows, added + i, scales + i, LANE_COUNT, least, most, zero, y + i,
                        y_step);
    }
    if (i < count) {
        requantize_some(sums + i, rows, added + i, scales + i, (size_t)(count - i), least, most,
                        zero, y + i, y_step);
    }
}

static void add_rows(const int32_t *sums, int64_t rows, const int32_t *added, int64_t count,
                     int32_t *y, int64_t y_step)
{
    for (int64_t r = 0; r < rows; r++, sums += 32, y += y_step) {
        int64_t i = 0;
        for (; i + LANE_COUNT <= count; i += LANE_COUNT) {
            words sum, more;
            memcpy(&sum, sums + i, sizeof sum);
            memcpy(&more, added + i, sizeof more);
            sum += more;
            memcpy(y + i, &sum, sizeof sum);
        }
        for (; i < count; i++) {
            y[i] = (int32_t)((uint32_t)sums[i] + (uint32_t)added[i]);
        }
    }
}

#define TAPS_OF_3X3 10 /* made even */

/* How the sums of a vector of channels become bytes. */
typedef struct requantization {
    words added;
    floats scale;
    lanes least, most;
    int32_t zero;
} requantization;

static inline __attribute__((always_inline)) words tap_pair(const uint8_t *x,
                                                            const int32_t *offsets,
                                                            const int16_t *weights,
                                                            const int64_t here)
{
    ints weight;
    memcpy(&weight, weights, sizeof weight);
    const ints pair =
        load_bytes(x + offsets[0], false, here) | load_bytes(x + offsets[1], false, here) << 16;
    return (words)lanes_pair_products((lanes_int)pair, (lanes_int)weight);
}

/* Of `here` channels, all of a vector's or fewer. */
static inline __attribute__((always_inline)) void
sum_some_taps(const uint8_t *x, int64_t step, const int32_t *offsets, int64_t taps, int64_t count,
              const int16_t *weights, const int64_t here, const requantization *to, uint8_t *y,
              int64_t y_step)
{
    for (int64_t i = 0; i < count; i++, x += step, y += y_step) {
        words sum = to->added;
        if (taps == TAPS_OF_3X3) {
            LANES_UNROLL
            for (int64_t tap = 0; tap < TAPS_OF_3X3; tap += 2) {
                sum += tap_pair(x, offsets + tap, weights + tap * 32, here);
            }
        } else {
            for (int64_t tap = 0; tap < taps; tap += 2) {
                sum += tap_pair(x, offsets + tap, weights + tap * 32, here);
            }
        }
        const floats value = __builtin_convertvector((ints)sum, floats) * to->scale;
        const lanes held = lanes_smaller(lanes_larger((lanes)value, to->least), to->most);
        store_bytes(y, (ints)lanes_nearest(held) + to->zero, here);
    }
}

#if LANES_COME_IN_FOURS
/* Two vectors of channels and the taps of 3x3, whose weights stay in registers. */
static void sum_3x3(const uint8_t *x, int64_t step, const int32_t *offsets, int64_t count,
                    const int16_t *weights, const int32_t *added, const float *scales,
                    const requantization *to, bool is_signed, uint8_t *y, int64_t y_step)
{
    lanes_int weight[TAPS_OF_3X3 / 2][2], more[2], scale[2];
    LANES_UNROLL
    for (int pair = 0; pair < TAPS_OF_3X3 / 2; pair++) {
        lanes_take_two(weights + pair * 64, weight[pair]);
    }
    lanes_take_two(added, more);
    lanes_take_two(scales, scale);
    for (int64_t i = 0; i < count; i++, x += step, y += y_step) {
        words sum[2] = {(words)more[0], (words)more[1]};
        LANES_UNROLL
        for (int pair = 0; pair < TAPS_OF_3X3 / 2; pair++) {
            lanes_int both[2];
            lanes_interleave(lanes_words(x + offsets[2 * pair]),
                             lanes_words(x + offsets[2 * pair + 1]), both);
            sum[0] += (words)lanes_pair_products(both[0], weight[pair][0]);
            sum[1] += (words)lanes_pair_products(both[1], weight[pair][1]);
        }
        lanes_int whole[2];
        LANES_UNROLL
        for (int k = 0; k < 2; k++) {
            const floats value = __builtin_convertvector((ints)sum[k], floats) * (floats)scale[k];
            const lanes held = lanes_smaller(lanes_larger((lanes)value, to->least), to->most);
            whole[k] = (lanes_int)((ints)lanes_nearest(held) + to->zero);
        }
        lanes_to_two(y, whole, is_signed);
    }
}
#endif

static void sum_taps(const uint8_t *x, int64_t step, const int32_t *offsets, int64_t taps,
                     int64_t count, const int16_t *weights, const int32_t *added,
                     const float *scales, int64_t channels, float low, float high, int32_t zero,
                     uint8_t *y, int64_t y_step)
{
    int64_t c = 0;
#if LANES_COME_IN_FOURS
    const requantization both = {.least = lanes_set(low), .most = lanes_set(high), .zero = zero};
    for (; taps == TAPS_OF_3X3 && c + 2 * LANE_COUNT <= channels; c += 2 * LANE_COUNT) {
        sum_3x3(x + c, step, offsets, count, weights + 2 * c, added + c, scales + c, &both,
                low + (float)zero < 0.0f, y + c, y_step);
    }
#endif
    for (; c < channels; c += LANE_COUNT) {
        const int64_t here = channels - c < LANE_COUNT ? channels - c : LANE_COUNT;
        requantization to = {.least = lanes_set(low), .most = lanes_set(high), .zero = zero};
        memcpy(&to.added, added + c, (size_t)here * sizeof *added);
        memcpy(&to.scale, scales + c, (size_t)here * sizeof *scales);
        if (here == LANE_COUNT) {
            sum_some_taps(x + c, step, offsets, taps, count, weights + 2 * c, LANE_COUNT, &to,
                          y + c, y_step);
        } else {
            sum_some_taps(x + c, step, offsets, taps, count, weights + 2 * c, here, &to, y + c,
                          y_step);
        }
    }
}

static inline __attribute__((always_inline)) void dequantize_typed(const uint8_t *x, int64_t count,
                                                                   const bool is_signed,
                                                                   int32_t zero, float scale,
                                                                   float *y)
{
    const int64_t whole = count - count % LANE_COUNT;
    for (int64_t i = 0; i < whole;) {
        const int64_t end = reach(i, whole);
        if (end == i) {
            return;
        }
        for (; i < end; i += LANE_COUNT) {
            const ints value = load_bytes(x + i, is_signed, LANE_COUNT) - zero;
            lanes_store(y + i, (lanes)(__builtin_convertvector(value, floats) * scale));
        }
    }
    if (whole < count) {
        const ints value = load_bytes(x + whole, is_signed, count - whole) - zero;
        const floats rest = __builtin_convertvector(value, floats) * scale;
        memcpy(y + whole, &rest, (size_t)(count - whole) * sizeof *y);
    }
}

static void dequantize_rows(const uint8_t *x, int64_t count, int is_signed, int32_t zero,
                            float scale, float *y)
{
    if (is_signed) {
        dequantize_typed(x, count, 1, zero, scale, y);
    } else {
        dequantize_typed(x, count, 0, zero, scale, y);
    }
}

static void find_range(const float *x, int64_t count, float *low, float *high)
{
    /* the second where one is no number */
    lanes least[4], most[4];
    for (int k = 0; k < 4; k++) {
        least[k] = lanes_set(*low);
        most[k] = lanes_set(*high);
    }
    const int64_t fours = count - count % (4 * LANE_COUNT);
    for (int64_t i = 0; i < fours;) {
        const int64_t end = reach(i, fours);
        if (end == i) {
            return;
        }
        for (; i < end; i += 4 * LANE_COUNT) {
            LANES_UNROLL
            for (int k = 0; k < 4; k++) {
                const lanes value = lanes_load(x + i + k * LANE_COUNT);
                least[k] = lanes_smaller(value, least[k]);
                most[k] = lanes_larger(value, most[k]);
            }
        }
    }
    for (int64_t i = fours; i < count; i += LANE_COUNT) {
        const int64_t here = count - i < LANE_COUNT ? count - i : LANE_COUNT;
        const lanes value = here == LANE_COUNT
                                ? lanes_load(x + i)
                                : lanes_load_part_or(x + i, lanes_first(here), lanes_set(x[i]));
        least[0] = lanes_smaller(value, least[0]);
        most[0] = lanes_larger(value, most[0]);
    }
    for (int k = 0; k < 4; k++) {
        for (int i = 0; i < LANE_COUNT; i++) {
            *low = least[k][i] < *low ? least[k][i] : *low;
            *high = most[k][i] > *high ? most[k][i] : *high;
        }
    }
}

const hd_cpu_quantization_rows HD_QUANTIZATION_ROWS = {
    quantize_rows, requantize_rows, add_rows, combine_rows, dequantize_rows, sum_taps, find_range};
