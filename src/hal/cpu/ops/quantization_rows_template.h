/* Quantization rows: the functions of quantization_rows.h, which is included before, for the instruction set of the file
 * that includes this one and defines HD_QUANTIZATION_ROWS, the name of the set. */
#include "base/stop.h"
#include "hal/cpu/lanes.h"

typedef int32_t ints __attribute__((vector_size(4 * LANE_COUNT)));
typedef uint8_t unsigned_bytes __attribute__((vector_size(LANE_COUNT)));
typedef int8_t signed_bytes __attribute__((vector_size(LANE_COUNT)));

static void quantize_rows(const float *x, int64_t count, float scale, float low, float high,
                          int32_t zero, uint8_t *y)
{
    const lanes divisor = lanes_set(scale), least = lanes_set(low), most = lanes_set(high);
    for (int64_t i = 0; i < count && !hd_stop_ends(i / LANE_COUNT); i += LANE_COUNT) {
        const int64_t here = count - i < LANE_COUNT ? count - i : LANE_COUNT;
        const lanes value = here == LANE_COUNT
                                ? lanes_load(x + i)
                                : lanes_load_part_or(x + i, lanes_first(here), lanes_set(0.0f));
        lanes bounded = lanes_larger(value / divisor, least);
        bounded = lanes_smaller(bounded, most);
        /* Adding and taking away 1.5 * 2^23 rounds half to even. */
        const lanes whole = (bounded + lanes_set(12582912.0f)) - lanes_set(12582912.0f);
        const ints sum = (ints)lanes_to_int(whole) + zero;
        const unsigned_bytes bytes = __builtin_convertvector(sum, unsigned_bytes);
        memcpy(y + i, &bytes, (size_t)here);
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
    const unsigned_bytes bytes = __builtin_convertvector(result, unsigned_bytes);
    memcpy(y, &bytes, here);
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

/* The next vector's bytes as numbers; those that are not `here` are 0. */
static inline __attribute__((always_inline)) ints load_bytes(const uint8_t *x, const int is_signed,
                                                             int64_t here)
{
    unsigned_bytes bytes = {0};
    if (here == LANE_COUNT) {
        memcpy(&bytes, x, LANE_COUNT);
    } else {
        memcpy(&bytes, x, (size_t)here);
    }
    return is_signed ? __builtin_convertvector((signed_bytes)bytes, ints)
                     : __builtin_convertvector(bytes, ints);
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

static inline void dequantize_typed(const uint8_t *x, int64_t count, const int is_signed,
                                    int32_t zero, float scale, float *y)
{
    typedef float floats __attribute__((vector_size(4 * LANE_COUNT)));
    for (int64_t i = 0; i < count && !hd_stop_ends(i / LANE_COUNT); i += LANE_COUNT) {
        const int64_t here = count - i < LANE_COUNT ? count - i : LANE_COUNT;
        const ints value = load_bytes(x + i, is_signed, here);
        const floats result = __builtin_convertvector(value - zero, floats) * scale;
        memcpy(y + i, &result, (size_t)here * sizeof *y);
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
