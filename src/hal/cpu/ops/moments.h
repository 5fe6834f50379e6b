/* Moments: normalization of rows by their own mean and deviation in double precision, with scale and bias that
 * are broadcast: LayerNormalization and its kin of float64, and of statistics in float64. */
#ifndef HD_HAL_CPU_OPS_MOMENTS_H
#define HD_HAL_CPU_OPS_MOMENTS_H

#include "hal/cpu/kernel.h"

/* x in the dimensions to which scale and bias are broadcast: rows and, within a row, `size` elements. */
typedef struct hd_cpu_moments {
    uint32_t rank;
    int64_t dims[HD_MAX_RANK];
    int64_t scale[HD_MAX_RANK]; /* strides; 0 where it repeats */
    int64_t bias[HD_MAX_RANK];
    int64_t rows, size;
    double epsilon;
    bool centered;
} hd_cpu_moments;

/* The operation's inputs are x, scale and bias or none; its outputs y and, if there, mean and 1/deviation of each
 * row. All are float32 or float64. */
hd_status hd_cpu_moments_compile(hd_cpu_compilation *compilation, const hd_cpu_moments *moments);

/* Sets strides along `shape` of an operand that is broadcast to it; false when it is not. */
bool hd_cpu_broadcast_strides(const hd_shape *operand, const hd_shape *shape,
                              int64_t strides[HD_MAX_RANK]);

/* Float32 and float64 as double. */
double hd_cpu_float_read(const void *data, hd_dtype dtype, int64_t index);
void hd_cpu_float_write(void *data, hd_dtype dtype, int64_t index, double value);

#endif
