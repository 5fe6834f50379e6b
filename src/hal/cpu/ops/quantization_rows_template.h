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

static inline __attribute__((always_inline)) ints quantized(lanes x, lanes divisor, lanes least,
                                                            lanes most, int32_t zero)
{
    const lanes bounded = lanes_smaller(lanes_larger(x / divisor, least), most);
    /* Adding and taking away 1.5 * 2^23 rounds half to even. */
    const lanes whole = (bounded + lanes_set(12582912.0f)) - lanes_set(12582912.0f);
    return (ints)lanes_to_int(whole) + zero;
}

static void quantize_rows(const float *x, int64_t count, float scale, float low, float high,
                          int32_t zero, uint8_t *y)
{
    const lanes divisor = lanes_set(scale), least = lanes_set(low), most = lanes_set(high);
    const int64_t whole = count - count % LANE_COUNT;
    for (int64_t i = 0; i < whole;) {
        const int64_t end = reach(i, whole);
        if (end == i) {
            return;
        }
        for (; i < end; i += LANE_COUNT) {
            store_bytes(y + i, quantized(lanes_load(x + i), divisor, least, most, zero),
                        LANE_COUNT);
        }
    }
    if (whole < count) {
        const lanes rest =
            lanes_load_part_or(x + whole, lanes_first(count - whole), lanes_set(0.0f));
        store_bytes(y + whole, quantized(rest, divisor, least, most, zero), count - whole);
    }
}

/* Of `here` elements, all of a vector's or fewer. */
static inline __attribute__((always_inline)) void
requantize_some(const int32_t *sums, const int32_t *bias, const float *scales, const size_t here,
                lanes least, lanes most, int32_t zero, uint8_t *y)
{
    typedef uint32_t words __attribute__((vector_size(4 * LANE_COUNT)));
    typedef float floats __attribute__((vector_size(4 * LANE_COUNT)));
    words sum = {0}, more = {0};
    floats scale = {0};
    memcpy(&sum, sums, here * sizeof *sums);
    memcpy(&more, bias, here * sizeof *bias);
    memcpy(&scale, scales, here * sizeof *scales);
    const floats value = __builtin_convertvector((ints)(sum + more), floats) * scale;
    lanes bounded = lanes_larger((lanes)value, least);
    bounded = lanes_smaller(bounded, most);
    const lanes whole = (bounded + lanes_set(12582912.0f)) - lanes_set(12582912.0f);
    const ints result = (ints)lanes_to_int(whole) + zero;
    store_bytes(y, result, (int64_t)here);
}

static void requantize_rows(const int32_t *sums, const int32_t *bias, const float *scales,
                            int64_t count, float low, float high, int32_t zero, uint8_t *y)
{
    const lanes least = lanes_set(low), most = lanes_set(high);
    int64_t i = 0;
    for (; i + LANE_COUNT <= count; i += LANE_COUNT) {
        requantize_some(sums + i, bias + i, scales + i, LANE_COUNT, least, most, zero, y + i);
    }
    if (i < count) {
        requantize_some(sums + i, bias + i, scales + i, (size_t)(count - i), least, most, zero,
                        y + i);
    }
}

static inline __attribute__((always_inline)) void
sum_taps_typed(const uint8_t *const *lines, const int32_t *weights, int64_t taps, int64_t channels,
               const int is_signed, int32_t zero, int32_t *sums)
{
    typedef uint32_t words __attribute__((vector_size(4 * LANE_COUNT)));
    for (int64_t c = 0; c < channels; c += LANE_COUNT) {
        const int64_t here = channels - c < LANE_COUNT ? channels - c : LANE_COUNT;
        words sum = {0};
        for (int64_t tap = 0; tap < taps; tap++) {
            words weight;
            memcpy(&weight, weights + tap * 32 + c, sizeof weight);
            sum += (words)(load_bytes(lines[tap] + c, is_signed, here) - zero) * weight;
        }
        memcpy(sums + c, &sum, sizeof sum);
    }
}

static void sum_taps(const uint8_t *const *lines, const int32_t *weights, int64_t taps,
                     int64_t channels, int is_signed, int32_t zero, int32_t *sums)
{
    if (is_signed) {
        sum_taps_typed(lines, weights, taps, channels, 1, zero, sums);
    } else {
        sum_taps_typed(lines, weights, taps, channels, 0, zero, sums);
    }
}

static inline __attribute__((always_inline)) void dequantize_typed(const uint8_t *x, int64_t count,
                                                                   const bool is_signed,
                                                                   int32_t zero, float scale,
                                                                   float *y)
{
    typedef float floats __attribute__((vector_size(4 * LANE_COUNT)));
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
    lanes least = lanes_set(*low), most = lanes_set(*high);
    for (int64_t i = 0; i < count && !hd_stop_ends(i / LANE_COUNT); i += LANE_COUNT) {
        const int64_t here = count - i < LANE_COUNT ? count - i : LANE_COUNT;
        const lanes value = here == LANE_COUNT
                                ? lanes_load(x + i)
                                : lanes_load_part_or(x + i, lanes_first(here), lanes_set(x[i]));
        /* the second where one is no number */
        least = lanes_smaller(value, least);
        most = lanes_larger(value, most);
    }
    for (int i = 0; i < LANE_COUNT; i++) {
        *low = least[i] < *low ? least[i] : *low;
        *high = most[i] > *high ? most[i] : *high;
    }
}

const hd_cpu_quantization_rows HD_QUANTIZATION_ROWS = {quantize_rows, requantize_rows,
                                                       dequantize_rows, sum_taps, find_range};
