/* Lanes: a few float32 at once, as wide as the instruction set for which the including file is
 * compiled. Each function does the same for every lane, so a tail that is loaded with fill values
 * and cut when stored has the bits of a full vector (BITS).
 *
 * Only for template files that are compiled once per instruction set. */
#ifndef HD_HAL_CPU_OPS_LANES_H
#define HD_HAL_CPU_OPS_LANES_H

#include <math.h>
#include <sleef.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define HD_LANES 16
typedef __m512 hd_lanes;
typedef __m512i hd_lane_ints;
#elif defined(__AVX2__)
#define HD_LANES 8
typedef __m256 hd_lanes;
typedef __m256i hd_lane_ints;
#else
#define HD_LANES 4
typedef float hd_lanes __attribute__((vector_size(16)));
typedef int32_t hd_lane_ints __attribute__((vector_size(16)));
#endif

static inline hd_lanes hd_lanes_set(float value)
{
#if defined(__AVX512F__)
    return _mm512_set1_ps(value);
#elif defined(__AVX2__)
    return _mm256_set1_ps(value);
#else
    return (hd_lanes){value, value, value, value};
#endif
}

static inline hd_lanes hd_lanes_load(const float *from)
{
    hd_lanes value;
    memcpy(&value, from, sizeof value);
    return value;
}

static inline void hd_lanes_store(float *to, hd_lanes value)
{
    memcpy(to, &value, sizeof value);
}

/* The first `count` (less than HD_LANES) elements, `fill` in the other lanes. */
static inline hd_lanes hd_lanes_load_part(const float *from, int64_t count, float fill)
{
#if defined(__AVX512F__)
    return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), (__mmask16)((1u << count) - 1), from);
#else
    float copy[HD_LANES];
    for (int i = 0; i < HD_LANES; i++) {
        copy[i] = fill;
    }
    memcpy(copy, from, (size_t)count * sizeof copy[0]);
    return hd_lanes_load(copy);
#endif
}

static inline void hd_lanes_store_part(float *to, int64_t count, hd_lanes value)
{
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(to, (__mmask16)((1u << count) - 1), value);
#else
    float copy[HD_LANES];
    hd_lanes_store(copy, value);
    memcpy(to, copy, (size_t)count * sizeof copy[0]);
#endif
}

/* Past the cache, for results that are larger than it; `to` lies at a multiple of the vector. */
static inline void hd_lanes_stream(float *to, hd_lanes value)
{
#if defined(__AVX512F__)
    _mm512_stream_ps(to, value);
#elif defined(__AVX2__)
    _mm256_stream_ps(to, value);
#elif defined(__x86_64__)
    _mm_stream_ps(to, (__m128)value);
#else
    hd_lanes_store(to, value);
#endif
}

/* Streamed stores become visible to the other threads in order with what follows. */
static inline void hd_lanes_stream_end(void)
{
#if defined(__x86_64__)
    _mm_sfence();
#endif
}

/* a · b + c, rounded once where the instruction set has it. */
static inline hd_lanes hd_lanes_fma(hd_lanes a, hd_lanes b, hd_lanes c)
{
#if defined(__AVX512F__)
    return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__)
    return _mm256_fmadd_ps(a, b, c);
#else
    return a * b + c;
#endif
}

#if !defined(__AVX2__)
static inline hd_lanes hd_lanes_select(hd_lane_ints mask, hd_lanes a, hd_lanes b)
{
    return (hd_lanes)((mask & (hd_lane_ints)a) | (~mask & (hd_lane_ints)b));
}
#endif

/* The larger (smaller) of each pair; b where one is not a number or both are zeros. */
static inline hd_lanes hd_lanes_larger(hd_lanes a, hd_lanes b)
{
#if defined(__AVX512F__)
    return _mm512_max_ps(a, b);
#elif defined(__AVX2__)
    return _mm256_max_ps(a, b);
#else
    return hd_lanes_select(a > b, a, b);
#endif
}

static inline hd_lanes hd_lanes_smaller(hd_lanes a, hd_lanes b)
{
#if defined(__AVX512F__)
    return _mm512_min_ps(a, b);
#elif defined(__AVX2__)
    return _mm256_min_ps(a, b);
#else
    return hd_lanes_select(a < b, a, b);
#endif
}

/* The maximum (minimum) of each pair, as extremes.h has them. */
static inline hd_lanes hd_lanes_max(hd_lanes a, hd_lanes b)
{
    hd_lanes nan = hd_lanes_set(NAN);
#if defined(__AVX512F__)
    hd_lanes number = _mm512_range_ps(a, b, 5); /* the maximum with its sign */
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q), number, nan);
#elif defined(__AVX2__)
    hd_lanes number = _mm256_and_ps(_mm256_max_ps(a, b), _mm256_max_ps(b, a));
    return _mm256_blendv_ps(number, nan, _mm256_cmp_ps(a, b, _CMP_UNORD_Q));
#else
    hd_lanes number =
        (hd_lanes)((hd_lane_ints)hd_lanes_larger(a, b) & (hd_lane_ints)hd_lanes_larger(b, a));
    return hd_lanes_select((a != a) | (b != b), nan, number);
#endif
}

static inline hd_lanes hd_lanes_min(hd_lanes a, hd_lanes b)
{
    hd_lanes nan = hd_lanes_set(NAN);
#if defined(__AVX512F__)
    hd_lanes number = _mm512_range_ps(a, b, 4);
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q), number, nan);
#elif defined(__AVX2__)
    hd_lanes number = _mm256_or_ps(_mm256_min_ps(a, b), _mm256_min_ps(b, a));
    return _mm256_blendv_ps(number, nan, _mm256_cmp_ps(a, b, _CMP_UNORD_Q));
#else
    hd_lanes number =
        (hd_lanes)((hd_lane_ints)hd_lanes_smaller(a, b) | (hd_lane_ints)hd_lanes_smaller(b, a));
    return hd_lanes_select((a != a) | (b != b), nan, number);
#endif
}

static inline hd_lanes hd_lanes_abs(hd_lanes a)
{
#if defined(__AVX512F__)
    return _mm512_abs_ps(a);
#elif defined(__AVX2__)
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
#else
    return (hd_lanes)((hd_lane_ints)a & (hd_lane_ints){INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX});
#endif
}

/* value · 2^n for whole n from -252 to 254. */
static inline hd_lanes hd_lanes_scale(hd_lanes value, hd_lanes n)
{
#if defined(__AVX512F__)
    return _mm512_scalef_ps(value, n);
#else
    /* Twice, so that neither factor leaves the range of normal numbers. */
#if defined(__AVX2__)
    __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    __m256i bias = _mm256_set1_epi32(127), rest = _mm256_sub_epi32(whole, half);
    __m256 first = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
    __m256 second = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
#else
    hd_lane_ints whole = {(int32_t)n[0], (int32_t)n[1], (int32_t)n[2], (int32_t)n[3]};
    hd_lane_ints half = whole >> 1;
    hd_lanes first = (hd_lanes)((half + 127) << 23);
    hd_lanes second = (hd_lanes)((whole - half + 127) << 23);
#endif
    return value * first * second;
#endif
}

/* e^x to about one unit in the last place; the polynomial of SLEEF's expf (sleef.org), without the
 * call. Infinity above 88.72, 0 below -104; not a number stays so. */
static inline hd_lanes hd_lanes_exp(hd_lanes x)
{
    hd_lanes high = hd_lanes_set(89.0f), low = hd_lanes_set(-105.0f);
    hd_lanes bounded = hd_lanes_larger(low, hd_lanes_smaller(high, x));
    /* Adding and taking away 1.5 · 2^23 rounds to a whole number. */
    hd_lanes magic = hd_lanes_set(12582912.0f);
    hd_lanes n = hd_lanes_fma(bounded, hd_lanes_set(1.442695040888963407f), magic) - magic;
    hd_lanes r = hd_lanes_fma(n, hd_lanes_set(-0.693145751953125f), bounded);
    r = hd_lanes_fma(n, hd_lanes_set(-1.428606765330187045e-06f), r);
    hd_lanes p = hd_lanes_set(0.000198527617612853646278381f);
    p = hd_lanes_fma(p, r, hd_lanes_set(0.00139304355252534151077271f));
    p = hd_lanes_fma(p, r, hd_lanes_set(0.00833336077630519866943359f));
    p = hd_lanes_fma(p, r, hd_lanes_set(0.0416664853692054748535156f));
    p = hd_lanes_fma(p, r, hd_lanes_set(0.166666671633720397949219f));
    p = hd_lanes_fma(p, r, hd_lanes_set(0.5f));
    p = hd_lanes_fma(r * r, p, r) + hd_lanes_set(1.0f);
    return hd_lanes_scale(p, n);
}

/* All lanes folded into one, halves first, always in the same order. */
#if defined(__AVX512F__)
#define HD_LANES_HALVE_(value, step)                                                               \
    __m256 half = step(256, _mm512_castps512_ps256(value), _mm512_extractf32x8_ps(value, 1));
#else
#define HD_LANES_HALVE_(value, step) __m256 half = value;
#endif
#if defined(__AVX2__)
#define HD_LANES_ACROSS(name, step, scalar)                                                        \
    static inline float hd_lanes_##name(hd_lanes value)                                            \
    {                                                                                              \
        HD_LANES_HALVE_(value, step)                                                               \
        __m128 v = step(, _mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));           \
        v = step(, v, _mm_movehl_ps(v, v));                                                        \
        v = step(, v, _mm_shuffle_ps(v, v, 1));                                                    \
        return _mm_cvtss_f32(v);                                                                   \
    }
#else
#define HD_LANES_ACROSS(name, step, scalar)                                                        \
    static inline float hd_lanes_##name(hd_lanes value)                                            \
    {                                                                                              \
        return scalar(scalar(value[0], value[2]), scalar(value[1], value[3]));                     \
    }
#endif
#define HD_LANES_ADD_(width, a, b) _mm##width##_add_ps(a, b)
#define HD_LANES_MUL_(width, a, b) _mm##width##_mul_ps(a, b)
#define HD_LANES_MAX_(width, a, b) _mm##width##_max_ps(a, b)

static inline float hd_lane_sum(float a, float b)
{
    return a + b;
}

static inline float hd_lane_product(float a, float b)
{
    return a * b;
}

/* b where one is not a number or both are zeros. */
static inline float hd_lane_larger(float a, float b)
{
    return a > b ? a : b;
}

HD_LANES_ACROSS(across_sum, HD_LANES_ADD_, hd_lane_sum)
HD_LANES_ACROSS(across_product, HD_LANES_MUL_, hd_lane_product)
HD_LANES_ACROSS(across_larger, HD_LANES_MAX_, hd_lane_larger)

/* Each lane with the one that lies `distance`, a power of two, from it. */
static inline hd_lanes hd_lanes_swap(hd_lanes value, const int distance)
{
#if defined(__AVX512F__)
    return distance == 8   ? _mm512_shuffle_f32x4(value, value, 0x4E)
           : distance == 4 ? _mm512_shuffle_f32x4(value, value, 0xB1)
           : distance == 2 ? _mm512_permute_ps(value, 0x4E)
                           : _mm512_permute_ps(value, 0xB1);
#elif defined(__AVX2__)
    return distance == 4   ? _mm256_permute2f128_ps(value, value, 1)
           : distance == 2 ? _mm256_permute_ps(value, 0x4E)
                           : _mm256_permute_ps(value, 0xB1);
#else
    return distance == 2 ? (hd_lanes){value[2], value[3], value[0], value[1]}
                         : (hd_lanes){value[1], value[0], value[3], value[2]};
#endif
}

static inline float hd_lanes_across_max(hd_lanes value)
{
    for (int distance = HD_LANES / 2; distance > 0; distance /= 2) {
        value = hd_lanes_max(value, hd_lanes_swap(value, distance));
    }
    return value[0];
}

static inline float hd_lanes_across_min(hd_lanes value)
{
    for (int distance = HD_LANES / 2; distance > 0; distance /= 2) {
        value = hd_lanes_min(value, hd_lanes_swap(value, distance));
    }
    return value[0];
}

/* Before a loop of few and constant steps, whose arrays shall lie in registers. */
#if defined(__clang__)
#define HD_LANES_UNROLL _Pragma("unroll")
#else
#define HD_LANES_UNROLL _Pragma("GCC unroll 8")
#endif

#endif
