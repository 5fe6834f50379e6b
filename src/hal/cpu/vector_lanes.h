/* Vector lanes: one register of float32 values, under one set of names for each instruction set that
 * a file is compiled for. Included by vector_math_*.c alone.
 *
 * Where an operand is NaN, lanes_min and lanes_max give the second operand. */
#ifndef HD_HAL_CPU_VECTOR_LANES_H
#define HD_HAL_CPU_VECTOR_LANES_H

#include <math.h>
#include <sleef.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>

#define LANE_COUNT        16
#define LANES_TABLE_SIZE  16 /* entries of a table for lanes_lookup */
#define LANES_SLEEF(name) Sleef_##name##f16_u10avx512f
typedef __m512 lanes;
typedef __m512i lanes_int;
typedef __mmask16 lanes_mask;

static inline lanes lanes_load(const float *from)
{
    return _mm512_loadu_ps(from);
}

static inline void lanes_store(float *to, lanes x)
{
    _mm512_storeu_ps(to, x);
}

static inline lanes_mask lanes_first(size_t n)
{
    return (lanes_mask)((1u << n) - 1u);
}

static inline lanes lanes_load_part(const float *from, size_t n)
{
    return _mm512_maskz_loadu_ps(lanes_first(n), from);
}

static inline void lanes_store_part(float *to, lanes x, size_t n)
{
    _mm512_mask_storeu_ps(to, lanes_first(n), x);
}

static inline lanes lanes_set(float x)
{
    return _mm512_set1_ps(x);
}

static inline lanes lanes_add(lanes a, lanes b)
{
    return _mm512_add_ps(a, b);
}

static inline lanes lanes_sub(lanes a, lanes b)
{
    return _mm512_sub_ps(a, b);
}

static inline lanes lanes_mul(lanes a, lanes b)
{
    return _mm512_mul_ps(a, b);
}

static inline lanes lanes_div(lanes a, lanes b)
{
    return _mm512_div_ps(a, b);
}

static inline lanes lanes_fma(lanes a, lanes b, lanes c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline lanes lanes_min(lanes a, lanes b)
{
    return _mm512_min_ps(a, b);
}

static inline lanes lanes_max(lanes a, lanes b)
{
    return _mm512_max_ps(a, b);
}

static inline lanes lanes_abs(lanes x)
{
    return _mm512_abs_ps(x);
}

static inline lanes lanes_copysign(lanes magnitude, lanes sign)
{
    return _mm512_or_ps(_mm512_andnot_ps(lanes_set(-0.0f), magnitude),
                        _mm512_and_ps(lanes_set(-0.0f), sign));
}

static inline lanes lanes_sqrt(lanes x)
{
    return _mm512_sqrt_ps(x);
}

static inline lanes lanes_round(lanes x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline lanes lanes_floor(lanes x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}

static inline lanes lanes_ceil(lanes x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
}

static inline lanes_mask lanes_less(lanes a, lanes b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}

static inline lanes_mask lanes_equal(lanes a, lanes b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
}

static inline bool lanes_all(lanes_mask mask)
{
    return mask == 0xFFFF;
}

static inline lanes lanes_select(lanes_mask mask, lanes yes, lanes no)
{
    return _mm512_mask_blend_ps(mask, no, yes);
}

/* Of a whole number; anything for one beyond int32 and for NaN. */
static inline lanes_int lanes_to_int(lanes x)
{
    return _mm512_cvttps_epi32(x);
}

/* Flips the sign where the lowest bit of n is set. */
static inline lanes lanes_flip_odd(lanes x, lanes_int n)
{
    return _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(x), _mm512_slli_epi32(n, 31)));
}

/* x · 2^n for whole n in [-160, 160], rounded once. */
static inline lanes lanes_scale(lanes x, lanes n)
{
    return _mm512_scalef_ps(x, n);
}

/* table[index mod LANES_TABLE_SIZE]. */
static inline lanes lanes_lookup(const float *table, lanes_int index)
{
    return _mm512_permutexvar_ps(index, _mm512_loadu_ps(table));
}

#elif defined(__AVX2__)
#include <immintrin.h>

#define LANE_COUNT        8
#define LANES_TABLE_SIZE  8
#define LANES_SLEEF(name) Sleef_##name##f8_u10avx2
typedef __m256 lanes;
typedef __m256i lanes_int;
typedef __m256 lanes_mask;

static inline lanes lanes_load(const float *from)
{
    return _mm256_loadu_ps(from);
}

static inline void lanes_store(float *to, lanes x)
{
    _mm256_storeu_ps(to, x);
}

static inline __m256i lanes_first(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline lanes lanes_load_part(const float *from, size_t n)
{
    return _mm256_maskload_ps(from, lanes_first(n));
}

static inline void lanes_store_part(float *to, lanes x, size_t n)
{
    _mm256_maskstore_ps(to, lanes_first(n), x);
}

static inline lanes lanes_set(float x)
{
    return _mm256_set1_ps(x);
}

static inline lanes lanes_add(lanes a, lanes b)
{
    return _mm256_add_ps(a, b);
}

static inline lanes lanes_sub(lanes a, lanes b)
{
    return _mm256_sub_ps(a, b);
}

static inline lanes lanes_mul(lanes a, lanes b)
{
    return _mm256_mul_ps(a, b);
}

static inline lanes lanes_div(lanes a, lanes b)
{
    return _mm256_div_ps(a, b);
}

static inline lanes lanes_fma(lanes a, lanes b, lanes c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline lanes lanes_min(lanes a, lanes b)
{
    return _mm256_min_ps(a, b);
}

static inline lanes lanes_max(lanes a, lanes b)
{
    return _mm256_max_ps(a, b);
}

static inline lanes lanes_abs(lanes x)
{
    return _mm256_andnot_ps(lanes_set(-0.0f), x);
}

static inline lanes lanes_copysign(lanes magnitude, lanes sign)
{
    return _mm256_or_ps(_mm256_andnot_ps(lanes_set(-0.0f), magnitude),
                        _mm256_and_ps(lanes_set(-0.0f), sign));
}

static inline lanes lanes_sqrt(lanes x)
{
    return _mm256_sqrt_ps(x);
}

static inline lanes lanes_round(lanes x)
{
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline lanes lanes_floor(lanes x)
{
    return _mm256_floor_ps(x);
}

static inline lanes lanes_ceil(lanes x)
{
    return _mm256_ceil_ps(x);
}

static inline lanes_mask lanes_less(lanes a, lanes b)
{
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}

static inline lanes_mask lanes_equal(lanes a, lanes b)
{
    return _mm256_cmp_ps(a, b, _CMP_EQ_OQ);
}

static inline bool lanes_all(lanes_mask mask)
{
    return _mm256_movemask_ps(mask) == 0xFF;
}

static inline lanes lanes_select(lanes_mask mask, lanes yes, lanes no)
{
    return _mm256_blendv_ps(no, yes, mask);
}

static inline lanes_int lanes_to_int(lanes x)
{
    return _mm256_cvttps_epi32(x);
}

static inline lanes lanes_flip_odd(lanes x, lanes_int n)
{
    return _mm256_xor_ps(x, _mm256_castsi256_ps(_mm256_slli_epi32(n, 31)));
}

static inline lanes lanes_power_of_two(lanes_int n)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}

static inline lanes lanes_scale(lanes x, lanes n)
{
    /* In two halves, of which only the second can round. */
    lanes_int whole = lanes_to_int(n);
    lanes_int half = _mm256_srai_epi32(whole, 1);
    x = _mm256_mul_ps(x, lanes_power_of_two(half));
    return _mm256_mul_ps(x, lanes_power_of_two(_mm256_sub_epi32(whole, half)));
}

static inline lanes lanes_lookup(const float *table, lanes_int index)
{
    return _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), index);
}

#else

#define LANE_COUNT        1
#define LANES_TABLE_SIZE  8
#define LANES_SLEEF(name) Sleef_##name##f1_u10purec
typedef float lanes;
typedef int32_t lanes_int;
typedef bool lanes_mask;

static inline lanes lanes_load(const float *from)
{
    return *from;
}

static inline void lanes_store(float *to, lanes x)
{
    *to = x;
}

static inline lanes lanes_load_part(const float *from, size_t n)
{
    return n != 0 ? *from : 0.0f;
}

static inline void lanes_store_part(float *to, lanes x, size_t n)
{
    if (n != 0) {
        *to = x;
    }
}

static inline lanes lanes_set(float x)
{
    return x;
}

static inline lanes lanes_add(lanes a, lanes b)
{
    return a + b;
}

static inline lanes lanes_sub(lanes a, lanes b)
{
    return a - b;
}

static inline lanes lanes_mul(lanes a, lanes b)
{
    return a * b;
}

static inline lanes lanes_div(lanes a, lanes b)
{
    return a / b;
}

/* Fused where the processor has it in hardware, else rounded twice. */
static inline lanes lanes_fma(lanes a, lanes b, lanes c)
{
#if defined(__FP_FAST_FMAF)
    return fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

static inline lanes lanes_min(lanes a, lanes b)
{
    return a < b ? a : b;
}

static inline lanes lanes_max(lanes a, lanes b)
{
    return a > b ? a : b;
}

static inline lanes lanes_abs(lanes x)
{
    return fabsf(x);
}

static inline lanes lanes_copysign(lanes magnitude, lanes sign)
{
    return copysignf(magnitude, sign);
}

static inline lanes lanes_sqrt(lanes x)
{
    return sqrtf(x);
}

static inline lanes lanes_round(lanes x)
{
    return rintf(x);
}

static inline lanes lanes_floor(lanes x)
{
    return floorf(x);
}

static inline lanes lanes_ceil(lanes x)
{
    return ceilf(x);
}

static inline lanes_mask lanes_less(lanes a, lanes b)
{
    return a < b;
}

static inline lanes_mask lanes_equal(lanes a, lanes b)
{
    return a == b;
}

static inline bool lanes_all(lanes_mask mask)
{
    return mask;
}

static inline lanes lanes_select(lanes_mask mask, lanes yes, lanes no)
{
    return mask ? yes : no;
}

static inline lanes_int lanes_to_int(lanes x)
{
    return x >= -1e9f && x <= 1e9f ? (int32_t)x : 0;
}

static inline lanes lanes_flip_odd(lanes x, lanes_int n)
{
    return n & 1 ? -x : x;
}

static inline lanes lanes_scale(lanes x, lanes n)
{
    return ldexpf(x, lanes_to_int(n)); /* NaN: 0, and x is NaN then */
}

static inline lanes lanes_lookup(const float *table, lanes_int index)
{
    return table[(uint32_t)index % LANES_TABLE_SIZE];
}

#endif
#endif
