/* Convolution blocks for AVX-512: 14 pixels by 2 vectors fill 28 of 32 registers. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "hal/cpu/ops/convolution_block.h"

typedef __m512 vector;

#define LANES             16
#define PIXELS            14
#define DEPTHWISE_PIXELS  8
#define DEPTHWISE_VECTORS 2
#define KERNELS           hd_cpu_convolution_kernels_avx512
#define PIXEL_LIST(X)     X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#define DEPTHWISE_PIXEL_LIST(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#define PLANE_OUTPUTS           12
#define PLANE_LIST(X)           X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#define PLANE_LIST_WIDE(X)      X(1) X(2) X(3) X(4) X(5) X(6)
/* Keeps the compiler from making one pointer a pixel of the few that address them all. */
#define HIDE(pointer) __asm__("" : "+r"(pointer))

#define vector_set(x)         _mm512_set1_ps(x)
#define vector_load(from)     _mm512_loadu_ps(from)
#define vector_store(to, x)   _mm512_storeu_ps((to), (x))
#define vector_stream(to, x)  _mm512_stream_ps((to), (x))
#define vector_fma(a, b, c)   _mm512_fmadd_ps((a), (b), (c))
#define vector_add(a, b)      _mm512_add_ps((a), (b))
#define vector_subtract(a, b) _mm512_sub_ps((a), (b))
#define vector_multiply(a, b) _mm512_mul_ps((a), (b))
#define vector_max(a, b)      _mm512_max_ps((a), (b))
#define vector_min(a, b)      _mm512_min_ps((a), (b))

static inline __mmask16 first_lanes(int64_t some)
{
    return some >= LANES ? (__mmask16)0xFFFF : (__mmask16)((1U << some) - 1U);
}

static inline vector vector_load_some(const float *from, int64_t some)
{
    return _mm512_maskz_loadu_ps(first_lanes(some), from);
}

static inline void vector_store_some(float *to, vector x, int64_t some)
{
    _mm512_mask_storeu_ps(to, first_lanes(some), x);
}

static inline vector vector_select_negative(vector x, vector a, vector b)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ), b, a);
}

static inline void put(const bool streams, float *to, vector x)
{
    if (streams) {
        vector_stream(to, x);
    } else {
        vector_store(to, x);
    }
}

/* 16 rows of 16: four rounds of exchanging halves, each of twice the width of the one before. */
static inline __attribute__((always_inline)) void
transpose_block(const float *input, int64_t input_stride, float *output, int64_t output_stride,
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
        put(streams, output + j * output_stride, _mm512_shuffle_f32x4(low01, low23, 0x88));
        put(streams, output + (4 + j) * output_stride, _mm512_shuffle_f32x4(high01, high23, 0x88));
        put(streams, output + (8 + j) * output_stride, _mm512_shuffle_f32x4(low01, low23, 0xDD));
        put(streams, output + (12 + j) * output_stride, _mm512_shuffle_f32x4(high01, high23, 0xDD));
    }
}

#include "hal/cpu/ops/convolution_block_template.h"
#else
typedef int hd_cpu_convolution_avx512_is_for_x86;
#endif
