/* Convolution blocks for AVX2 with FMA: 6 pixels by 2 vectors fill 12 of 16 registers. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "hal/cpu/ops/convolution_block.h"

typedef __m256 vector;

#define LANES                   8
#define PIXELS                  6
#define DEPTHWISE_PIXELS        6
#define DEPTHWISE_VECTORS       1
#define KERNELS                 hd_cpu_convolution_kernels_avx2
#define PIXEL_LIST(X)           X(1) X(2) X(3) X(4) X(5) X(6)
#define DEPTHWISE_PIXEL_LIST(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define PLANE_OUTPUTS           6
#define PLANE_LIST(X)           X(1) X(2) X(3) X(4) X(5) X(6)
#define PLANE_LIST_WIDE(X)      X(1) X(2) X(3)
/* Keeps the compiler from making one pointer a pixel of the few that address them all. */
#define HIDE(pointer) __asm__("" : "+r"(pointer))

#define vector_set(x)         _mm256_set1_ps(x)
#define vector_load(from)     _mm256_loadu_ps(from)
#define vector_store(to, x)   _mm256_storeu_ps((to), (x))
#define vector_stream(to, x)  _mm256_stream_ps((to), (x))
#define vector_fma(a, b, c)   _mm256_fmadd_ps((a), (b), (c))
#define vector_add(a, b)      _mm256_add_ps((a), (b))
#define vector_subtract(a, b) _mm256_sub_ps((a), (b))
#define vector_multiply(a, b) _mm256_mul_ps((a), (b))
#define vector_max(a, b)      _mm256_max_ps((a), (b))
#define vector_min(a, b)      _mm256_min_ps((a), (b))

static inline __m256i first_lanes(int64_t some)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)some), lane);
}

static inline vector vector_load_some(const float *from, int64_t some)
{
    return _mm256_maskload_ps(from, first_lanes(some));
}

static inline void vector_store_some(float *to, vector x, int64_t some)
{
    _mm256_maskstore_ps(to, first_lanes(some), x);
}

static inline vector vector_select_negative(vector x, vector a, vector b)
{
    return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_LT_OQ));
}

static inline void put(const bool streams, float *to, vector x)
{
    if (streams) {
        vector_stream(to, x);
    } else {
        vector_store(to, x);
    }
}

static inline __attribute__((always_inline)) void
transpose_block(const float *input, int64_t input_stride, float *output, int64_t output_stride,
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
        put(streams, output + j * output_stride, _mm256_permute2f128_ps(a[j], a[4 + j], 0x20));
        put(streams, output + (4 + j) * output_stride,
            _mm256_permute2f128_ps(a[j], a[4 + j], 0x31));
    }
}

#include "hal/cpu/ops/convolution_block_template.h"
#else
typedef int hd_cpu_convolution_avx2_is_for_x86;
#endif
