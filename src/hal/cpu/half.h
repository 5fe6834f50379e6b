/* Half: float16 (IEEE 754 binary16) and bfloat16 (the upper half of a float32) to float32 and back.
 * Rounding is to the nearest, halves to even; too large becomes infinity; a NaN stays one, quiet.
 *
 * Thread-safety: any thread. */
#ifndef HD_HAL_CPU_HALF_H
#define HD_HAL_CPU_HALF_H

#include <stddef.h>
#include <stdint.h>

float hd_cpu_float_of_half(uint16_t half);
uint16_t hd_cpu_half_of_float(float value);
float hd_cpu_float_of_bfloat(uint16_t bfloat);
uint16_t hd_cpu_bfloat_of_float(float value);

/* Arrays, the same bits as the functions above, in the processor's own instructions where it has
 * them. `out` and `in` do not overlap. */
void hd_cpu_vector_float_of_half(float *out, const uint16_t *in, size_t n);
void hd_cpu_vector_half_of_float(uint16_t *out, const float *in, size_t n);
void hd_cpu_vector_float_of_bfloat(float *out, const uint16_t *in, size_t n);
void hd_cpu_vector_bfloat_of_float(uint16_t *out, const float *in, size_t n);

/* For half.c alone: F16C's instructions. */
void hd_cpu_vector_float_of_half_avx2(float *out, const uint16_t *in, size_t n);
void hd_cpu_vector_half_of_float_avx2(uint16_t *out, const float *in, size_t n);

#endif
