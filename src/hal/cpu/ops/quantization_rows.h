/* Quantization rows: from float32 to bytes and back, for contiguous elements of one scale; a set for each instruction
 * set, all with the same bits.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_HAL_CPU_OPS_QUANTIZATION_ROWS_H
#define HD_HAL_CPU_OPS_QUANTIZATION_ROWS_H

#include <stdbool.h>
#include <stdint.h>

/* How two lines of bytes become one. */
typedef struct hd_cpu_quantized_pair {
    int32_t a_zero, b_zero;
    float a_scale, b_scale;
    bool a_signed, b_signed;
    bool multiplies; /* else adds */
    bool cuts;       /* what is below 0 becomes 0 */
    float y_scale, low, high;
    int32_t zero; /* of y, as in quantize */
} hd_cpu_quantized_pair;

typedef struct hd_cpu_quantization_rows {
    /* y[i] = the low byte of zero + x[i] / scale, rounded half to even, that held between low and high (whole numbers
     * of less than 2^21). No number gives zero + low. */
    void (*quantize)(const float *x, int64_t count, float scale, float low, float high,
                     int32_t zero, uint8_t *y);
    /* The same of the products (sums[r * 32 + i] + added[i]) * scales[i], the sum modulo 2^32, the product in float32, to
     * y[r * y_step + i]. */
    void (*requantize)(const int32_t *sums, int64_t rows, const int32_t *added, const float *scales,
                       int64_t count, float low, float high, int32_t zero, uint8_t *y,
                       int64_t y_step);
    /* y[r * y_step + i] = sums[r * 32 + i] + added[i], modulo 2^32. */
    void (*add)(const int32_t *sums, int64_t rows, const int32_t *added, int64_t count, int32_t *y,
                int64_t y_step);
    /* The same of (a[i] - a_zero) * a_scale and (b[i] - b_zero) * b_scale, each product in float32, added or multiplied. */
    void (*combine)(const uint8_t *a, const uint8_t *b, int64_t count,
                    const hd_cpu_quantized_pair *pair, uint8_t *y);
    /* y[i] = (x[i] - zero) * scale; the bytes are signed or not. */
    void (*dequantize)(const uint8_t *x, int64_t count, int is_signed, int32_t zero, float scale,
                       float *y);
    /* The sums of a line of outputs, requantized as above: of output i and channel c the sum over taps of
     * x[i * step + offsets[tap] + c] * weights[tap / 2][c][tap % 2], where the weights are [][32][2] and taps an even number; of at
     * most 32 channels. */
    void (*sum_taps)(const uint8_t *x, int64_t step, const int32_t *offsets, int64_t taps,
                     int64_t count, const int16_t *weights, const int32_t *added,
                     const float *scales, int64_t channels, float low, float high, int32_t zero,
                     uint8_t *y, int64_t y_step);
    /* The smallest and the largest of x and of what is in them already; those that are no numbers are left out. */
    void (*range)(const float *x, int64_t count, float *low, float *high);
} hd_cpu_quantization_rows;

const hd_cpu_quantization_rows *hd_cpu_quantization_rows_get(void);

#endif
