/* Lanes, transposed: LANE_COUNT rows of as many floats become columns. input_stride, output_stride: floats from row to row;
 * streams: past the caches, to rows that lie at multiples of the vector (lanes.h). */
#ifndef HD_HAL_CPU_LANES_TRANSPOSE_H
#define HD_HAL_CPU_LANES_TRANSPOSE_H

#include "hal/cpu/lanes.h"

#if defined(__AVX512F__)
/* 16 rows of 16: four rounds of exchanging halves, each of twice the width of the one before. */
static inline __attribute__((always_inline)) void
lanes_transpose(const float *input, int64_t input_stride, float *output, int64_t output_stride,
                const bool streams)
{
    __m512 a[16], b[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        a[i] = _mm512_loadu_ps(input + i * input_stride);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; i += 2) {
        b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; i += 4) {
#define PAIR(low, x, y)                                                                            \
    _mm512_castpd_ps(_mm512_unpack##low##_pd(_mm512_castps_pd(x), _mm512_castps_pd(y)))
        a[i] = PAIR(lo, b[i], b[i + 2]);
        a[i + 1] = PAIR(hi, b[i], b[i + 2]);
        a[i + 2] = PAIR(lo, b[i + 1], b[i + 3]);
        a[i + 3] = PAIR(hi, b[i + 1], b[i + 3]);
#undef PAIR
    }
    /* Now lane group g of a[4·i + j] holds column 4·g + j of rows 4·i to 4·i + 3. */
#pragma GCC unroll 16
    for (int j = 0; j < 4; j++) {
        __m512 low01 = _mm512_shuffle_f32x4(a[j], a[4 + j], 0x88);
        __m512 high01 = _mm512_shuffle_f32x4(a[j], a[4 + j], 0xDD);
        __m512 low23 = _mm512_shuffle_f32x4(a[8 + j], a[12 + j], 0x88);
        __m512 high23 = _mm512_shuffle_f32x4(a[8 + j], a[12 + j], 0xDD);
        lanes_put(streams, output + j * output_stride, _mm512_shuffle_f32x4(low01, low23, 0x88));
        lanes_put(streams, output + (4 + j) * output_stride,
                  _mm512_shuffle_f32x4(high01, high23, 0x88));
        lanes_put(streams, output + (8 + j) * output_stride,
                  _mm512_shuffle_f32x4(low01, low23, 0xDD));
        lanes_put(streams, output + (12 + j) * output_stride,
                  _mm512_shuffle_f32x4(high01, high23, 0xDD));
    }
}

#elif defined(__AVX2__)
static inline __attribute__((always_inline)) void
lanes_transpose(const float *input, int64_t input_stride, float *output, int64_t output_stride,
                const bool streams)
{
    __m256 a[8], b[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        a[i] = _mm256_loadu_ps(input + i * input_stride);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i += 2) {
        b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i += 4) {
        a[i] = _mm256_shuffle_ps(b[i], b[i + 2], 0x44);
        a[i + 1] = _mm256_shuffle_ps(b[i], b[i + 2], 0xEE);
        a[i + 2] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0x44);
        a[i + 3] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0xEE);
    }
#pragma GCC unroll 8
    for (int j = 0; j < 4; j++) {
        lanes_put(streams, output + j * output_stride,
                  _mm256_permute2f128_ps(a[j], a[4 + j], 0x20));
        lanes_put(streams, output + (4 + j) * output_stride,
                  _mm256_permute2f128_ps(a[j], a[4 + j], 0x31));
    }
}

#else
static inline void lanes_transpose(const float *input, int64_t input_stride, float *output,
                                   int64_t output_stride, const bool streams)
{
    lanes a[LANE_COUNT];
    for (int i = 0; i < LANE_COUNT; i++) {
        a[i] = lanes_load(input + i * input_stride);
    }
    for (int j = 0; j < LANE_COUNT; j++) {
        lanes_put(streams, output + j * output_stride, (lanes){a[0][j], a[1][j], a[2][j], a[3][j]});
    }
}

#endif
#endif
