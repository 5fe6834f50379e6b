/* Quantization rows: from float32 to bytes and back, for contiguous elements of one scale; a set for each instruction
 * set, all with the same bits.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_HAL_CPU_OPS_QUANTIZATION_ROWS_H
#define HD_HAL_CPU_OPS_QUANTIZATION_ROWS_H

#include <stdint.h>

typedef struct hd_cpu_quantization_rows {
    /* y[i] = the low byte of zero + x[i] / scale, rounded half to even, that held between low and high (whole numbers
     * of less than 2^21). No number gives zero + low. */
    void (*quantize)(const float *x, int64_t count, float scale, float low, float high,
                     int32_t zero, uint8_t *y);
    /* The same of the products (sums[i] + bias[i]) * scales[i], the sum modulo 2^32, the product in float32. */
    void (*requantize)(const int32_t *sums, const int32_t *bias, const float *scales, int64_t count,
                       float low, float high, int32_t zero, uint8_t *y);
    /* y[i] = (x[i] - zero) * scale; the bytes are signed or not. */
    void (*dequantize)(const uint8_t *x, int64_t count, int is_signed, int32_t zero, float scale,
                       float *y);
    /* sums[c] = the sum over taps of (lines[tap][c] - zero) * weights[tap * 32 + c], modulo 2^32, of at most 32 channels;
     * the bytes are signed or not. Writes whole vectors, of 32 places at most. */
    void (*sum_taps)(const uint8_t *const *lines, const int32_t *weights, int64_t taps,
                     int64_t channels, int is_signed, int32_t zero, int32_t *sums);
    /* The smallest and the largest of x and of what is in them already; those that are no numbers are left out. */
    void (*range)(const float *x, int64_t count, float *low, float *high);
} hd_cpu_quantization_rows;

const hd_cpu_quantization_rows *hd_cpu_quantization_rows_get(void);

#endif
