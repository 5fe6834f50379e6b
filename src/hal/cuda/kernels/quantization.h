/* The parameters of the kernels that quantize numbers, and make numbers of quantized ones; see quantization.cu. Counts and steps are in
 * elements; all fit 31 bits. */
#ifndef HD_HAL_CUDA_KERNELS_QUANTIZATION_H
#define HD_HAL_CUDA_KERNELS_QUANTIZATION_H

#include "divisor.h"

#define HD_CUDA_QUANTIZE_BLOCK  256
#define HD_CUDA_QUANTIZE_RANGES 256 /* blocks, at most, that look for a range */

/* Quantized elements in memory; narrower ones take a byte. */
enum {
    HD_CUDA_QUANTIZED_UINT8,
    HD_CUDA_QUANTIZED_INT8,
    HD_CUDA_QUANTIZED_UINT16,
    HD_CUDA_QUANTIZED_INT16,
    HD_CUDA_QUANTIZED_INT32
};

/* As hd_quantized_scales (operation/quantized.h) has them: element (o, i, n) of [outer, axis, inner] has the scale
 * o · outer_step + i / block · axis_step + n · inner_step. */
typedef struct hd_cuda_scales {
    hd_cuda_divisor axis, inner, block;
    int outer_step, axis_step, inner_step;
} hd_cuda_scales;

/* y = x / scale + zero, rounded to even and held within [low, high]. */
typedef struct hd_cuda_quantize {
    const void *x;
    const float *scale;
    const void *zero; /* of y's type; or NULL: 0 */
    void *y;
    unsigned count;
    int x_is_integer; /* int32, else float32 */
    int type, low, high;
    hd_cuda_scales scales;
} hd_cuda_quantize;

/* y = (x - zero) · scale */
typedef struct hd_cuda_dequantize {
    const void *x;
    const float *scale;
    const void *zero; /* of x's type; or NULL: 0 */
    float *y;
    unsigned count;
    int type;
    hd_cuda_scales scales;
} hd_cuda_dequantize;

/* The range of all elements, and of 0: ranges[block] holds the least and the greatest of those that a block looked at. */
typedef struct hd_cuda_dynamic {
    const float *x;
    float *ranges;    /* [range_count, 2] */
    unsigned char *y; /* or NULL: not wanted, as the others */
    float *scale;
    unsigned char *zero;
    unsigned count, range_count;
} hd_cuda_dynamic;

#endif
