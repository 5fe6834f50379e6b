/* Lanes for AVX-512; included by lanes.h alone, which says what each does. */
#ifndef HD_HAL_CPU_LANES_AVX512_H
#define HD_HAL_CPU_LANES_AVX512_H

#define LANE_COUNT             16
#define LANES_TABLE_SIZE       16
#define LANES_ARE_FUSED        1
#define LANES_SLEEF(name, ...) Sleef_##name##f16_u10avx512f(__VA_ARGS__)
typedef __m512 lanes;
typedef __m512i lanes_int;
typedef __mmask16 lanes_mask;
typedef __mmask16 lanes_part;

static inline lanes lanes_load(const float *from)
{
    return _mm512_loadu_ps(from);
}

static inline void lanes_store(float *to, lanes x)
{
    _mm512_storeu_ps(to, x);
}

static inline lanes lanes_set(float x)
{
    return _mm512_set1_ps(x);
}

static inline lanes lanes_fma(lanes a, lanes b, lanes c)
{
    return _mm512_fmadd_ps(a, b, c);
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

static inline lanes_int lanes_to_int(lanes x)
{
    return _mm512_cvttps_epi32(x);
}

static inline lanes_int lanes_from_bytes(const uint8_t *from, bool is_signed)
{
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)from);
    return is_signed ? _mm512_cvtepi8_epi32(bytes) : _mm512_cvtepu8_epi32(bytes);
}

static inline void lanes_to_bytes(uint8_t *to, lanes_int n)
{
    _mm_storeu_si128((__m128i *)(void *)to, _mm512_cvtepi32_epi8(n));
}

static inline lanes_int lanes_nearest(lanes x)
{
    return _mm512_cvtps_epi32(x);
}

#define LANES_COME_IN_FOURS 1
static inline void lanes_from_four(const uint8_t *from, uint8_t flip, float zero, lanes to[4])
{
    /* 0x4B000000 + n is 2^23 + n */
    const __m512i high = _mm512_set1_epi16(0x4B00), none = _mm512_setzero_si512();
    const __m512i bytes = _mm512_xor_si512(_mm512_loadu_si512(from), _mm512_set1_epi8((char)flip));
    const __m512i low = _mm512_unpacklo_epi8(bytes, none), rest = _mm512_unpackhi_epi8(bytes, none);
    const lanes shift = lanes_set(8388608.0f + zero);
    to[0] = _mm512_castsi512_ps(_mm512_unpacklo_epi16(low, high)) - shift;
    to[1] = _mm512_castsi512_ps(_mm512_unpackhi_epi16(low, high)) - shift;
    to[2] = _mm512_castsi512_ps(_mm512_unpacklo_epi16(rest, high)) - shift;
    to[3] = _mm512_castsi512_ps(_mm512_unpackhi_epi16(rest, high)) - shift;
}

static inline void lanes_to_four(uint8_t *to, const lanes_int n[4], int32_t zero, bool is_signed)
{
    const __m512i more = _mm512_set1_epi16((short)zero);
    const __m512i low = _mm512_adds_epi16(_mm512_packs_epi32(n[0], n[1]), more),
                  rest = _mm512_adds_epi16(_mm512_packs_epi32(n[2], n[3]), more);
    const __m512i y = is_signed ? _mm512_packs_epi16(low, rest) : _mm512_packus_epi16(low, rest);
    _mm512_storeu_si512(to, y);
}

static inline lanes_int lanes_words(const uint8_t *from)
{
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)from));
}

static inline void lanes_interleave(lanes_int a, lanes_int b, lanes_int to[2])
{
    to[0] = _mm512_unpacklo_epi16(a, b);
    to[1] = _mm512_unpackhi_epi16(a, b);
}

static inline void lanes_take_two(const void *from, lanes_int to[2])
{
    const char *at = from;
    const __m512i first = _mm512_loadu_si512(at), second = _mm512_loadu_si512(at + 64);
    to[0] = _mm512_shuffle_i32x4(first, second, 0x88);
    to[1] = _mm512_shuffle_i32x4(first, second, 0xDD);
}

static inline void lanes_to_two(uint8_t *to, const lanes_int n[2], bool is_signed)
{
    (void)is_signed; /* they are within the type's ends */
    _mm256_storeu_si256((__m256i *)(void *)to,
                        _mm512_cvtepi16_epi8(_mm512_packs_epi32(n[0], n[1])));
}

static inline lanes_int lanes_pair_products(lanes_int a, lanes_int b)
{
    return _mm512_madd_epi16(a, b);
}

static inline lanes lanes_flip_odd(lanes x, lanes_int n)
{
    return _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(x), _mm512_slli_epi32(n, 31)));
}

static inline lanes lanes_lookup(const float *table, lanes_int index)
{
    return _mm512_permutexvar_ps(index, _mm512_loadu_ps(table));
}

static inline lanes_part lanes_first(int64_t n)
{
    return (lanes_part)((1U << n) - 1U);
}

static inline lanes lanes_load_part(const float *from, lanes_part part)
{
    return _mm512_maskz_loadu_ps(part, from);
}

static inline lanes lanes_load_part_or(const float *from, lanes_part part, lanes fill)
{
    return _mm512_mask_loadu_ps(fill, part, from);
}

static inline void lanes_store_part(float *to, lanes_part part, lanes x)
{
    _mm512_mask_storeu_ps(to, part, x);
}

static inline void lanes_stream(float *to, lanes x)
{
    _mm512_stream_ps(to, x);
}

static inline lanes lanes_larger(lanes a, lanes b)
{
    return _mm512_max_ps(a, b);
}

static inline lanes lanes_smaller(lanes a, lanes b)
{
    return _mm512_min_ps(a, b);
}

static inline lanes lanes_max(lanes a, lanes b)
{
    lanes number = _mm512_range_ps(a, b, 5); /* the maximum with its sign */
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q), number, lanes_set(NAN));
}

static inline lanes lanes_min(lanes a, lanes b)
{
    lanes number = _mm512_range_ps(a, b, 4);
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q), number, lanes_set(NAN));
}

static inline lanes lanes_scale(lanes x, lanes n)
{
    return _mm512_scalef_ps(x, n);
}

static inline lanes lanes_swap(lanes x, const int distance)
{
    return distance == 8   ? _mm512_shuffle_f32x4(x, x, 0x4E)
           : distance == 4 ? _mm512_shuffle_f32x4(x, x, 0xB1)
           : distance == 2 ? _mm512_permute_ps(x, 0x4E)
                           : _mm512_permute_ps(x, 0xB1);
}

#define LANES_ACROSS(name, step)                                                                   \
    static inline float lanes_across_##name(lanes x)                                               \
    {                                                                                              \
        __m256 half = _mm256_##step##_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1)); \
        __m128 v = _mm_##step##_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));  \
        v = _mm_##step##_ps(v, _mm_movehl_ps(v, v));                                               \
        v = _mm_##step##_ps(v, _mm_shuffle_ps(v, v, 1));                                           \
        return _mm_cvtss_f32(v);                                                                   \
    }
LANES_ACROSS(sum, add)
LANES_ACROSS(product, mul)
LANES_ACROSS(larger, max)
#undef LANES_ACROSS

#endif
