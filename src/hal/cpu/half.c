#include "hal/cpu/half.h"

#include <string.h>

#include "hal/cpu/isa.h"

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

float hd_cpu_float_of_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = (half >> 10) & 31, fraction = half & 0x3FF;
    if (exponent == 31) {
        return float_of_bits(sign | 0x7F800000 | fraction << 13 | (fraction != 0 ? 0x400000 : 0));
    }
    if (exponent == 0) { /* zero or subnormal: a whole number of 2^-24, exact in float32 */
        float magnitude = (float)fraction * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t hd_cpu_half_of_float(float value)
{
    uint32_t bits = bits_of_float(value);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    uint32_t magnitude = bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) {
        return (uint16_t)(sign | 0x7E00 | (magnitude >> 13 & 0x3FF));
    }
    if (magnitude >= 0x477FF000) { /* 65520 and more round to infinity */
        return (uint16_t)(sign | 0x7C00);
    }
    if (magnitude < 0x38800000) { /* below 2^-14: a multiple of 2^-24 */
        /* Adding 1/2 puts the last place of the sum at 2^-24, so the addition rounds. */
        uint32_t sum = bits_of_float(float_of_bits(magnitude) + 0.5f);
        return (uint16_t)(sign | (sum - 0x3F000000));
    }
    uint32_t rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
    return (uint16_t)(sign | ((rounded >> 13) - (112u << 10)));
}

float hd_cpu_float_of_bfloat(uint16_t bfloat)
{
    return float_of_bits((uint32_t)bfloat << 16);
}

uint16_t hd_cpu_bfloat_of_float(float value)
{
    uint32_t bits = bits_of_float(value);
    if ((bits & 0x7FFFFFFF) > 0x7F800000) {
        return (uint16_t)(bits >> 16 | 0x40);
    }
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

void hd_cpu_vector_float_of_half(float *out, const uint16_t *in, size_t n)
{
#if defined(__x86_64__)
    if (hd_cpu_isa() != HD_ISA_BASELINE) {
        hd_cpu_vector_float_of_half_avx2(out, in, n);
        return;
    }
#endif
    for (size_t i = 0; i < n; i++) {
        out[i] = hd_cpu_float_of_half(in[i]);
    }
}

void hd_cpu_vector_half_of_float(uint16_t *out, const float *in, size_t n)
{
#if defined(__x86_64__)
    if (hd_cpu_isa() != HD_ISA_BASELINE) {
        hd_cpu_vector_half_of_float_avx2(out, in, n);
        return;
    }
#endif
    for (size_t i = 0; i < n; i++) {
        out[i] = hd_cpu_half_of_float(in[i]);
    }
}

void hd_cpu_vector_float_of_bfloat(float *out, const uint16_t *in, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = hd_cpu_float_of_bfloat(in[i]);
    }
}

void hd_cpu_vector_bfloat_of_float(uint16_t *out, const float *in, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = hd_cpu_bfloat_of_float(in[i]);
    }
}
