#include "hal/cpu/half.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

void hd_cpu_vector_float_of_half_avx2(float *out, const uint16_t *in, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(in + i))));
    }
    if (i < n) {
        uint16_t from[8] = {0};
        float to[8];
        memcpy(from, in + i, (n - i) * sizeof *in);
        _mm256_storeu_ps(to, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)from)));
        memcpy(out + i, to, (n - i) * sizeof *out);
    }
}

void hd_cpu_vector_half_of_float_avx2(uint16_t *out, const float *in, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT);
        _mm_storeu_si128((__m128i *)(out + i), halves);
    }
    if (i < n) {
        float from[8] = {0};
        uint16_t to[8];
        memcpy(from, in + i, (n - i) * sizeof *in);
        __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(from), _MM_FROUND_TO_NEAREST_INT);
        _mm_storeu_si128((__m128i *)to, halves);
        memcpy(out + i, to, (n - i) * sizeof *out);
    }
}
#endif
