/* Quantization: what the files of the quantization family share. Thread-safety: see hal/cpu/kernel.h. */
#ifndef HD_HAL_CPU_OPS_QUANTIZATION_H
#define HD_HAL_CPU_OPS_QUANTIZATION_H

#include "hal/cpu/kernel.h"

/* Element `index` of a quantized tensor: uint8, int8, uint16, int16 or int32. */
int64_t hd_cpu_quantized_get(hd_dtype dtype, const void *data, int64_t index);

typedef struct hd_cpu_quantized_bounds {
    int32_t low, high;
} hd_cpu_quantized_bounds;

/* Of the types of 8 and 16 bits. */
hd_cpu_quantized_bounds hd_cpu_quantized_bounds_of(hd_dtype dtype);

/* quantized_product.c */
hd_cpu_compile hd_cpu_compile_quantized_matmul, hd_cpu_compile_quantized_convolution;

#endif
