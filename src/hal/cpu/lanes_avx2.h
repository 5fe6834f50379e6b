/* Lanes for AVX2 with FMA; included by lanes.h alone, which says what each does. */
#ifndef HD_HAL_CPU_LANES_AVX2_H
#define HD_HAL_CPU_LANES_AVX2_H

#define LANE_COUNT             8
#define LANES_TABLE_SIZE       8
#define LANES_ARE_FUSED        1
#define LANES_SLEEF(name, ...) Sleef_##name##f8_u10avx2(__VA_ARGS__)
typedef __m256 lanes;
typedef __m256i lanes_int;
typedef __m256 lanes_mask;
typedef __m256i lanes_part;

static inline lanes lanes_load(const float *from)
{
    return _mm256_loadu_ps(from);
}

static inline void lanes_store(float *to, lanes x)
{
    _mm256_storeu_ps(to, x);
}

static inline lanes lanes_set(float x)
{
    return _mm256_set1_ps(x);
}

static inline lanes lanes_fma(lanes a, lanes b, lanes c)
{
    return _mm256_fmadd_ps(a, b, c);
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

static inline lanes_int lanes_from_bytes(const uint8_t *from, bool is_signed)
{
    const __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)from);
    return is_signed ? _mm256_cvtepi8_epi32(bytes) : _mm256_cvtepu8_epi32(bytes);
}

static inline void lanes_to_bytes(uint8_t *to, lanes_int n)
{
    const __m256i low = _mm256_shuffle_epi8(n, _mm256_set1_epi32(0x0C080400));
    _mm_storel_epi64((__m128i *)(void *)to, _mm_unpacklo_epi32(_mm256_castsi256_si128(low),
                                                               _mm256_extracti128_si256(low, 1)));
}

static inline lanes_int lanes_nearest(lanes x)
{
    return _mm256_cvtps_epi32(x);
}

#define LANES_COME_IN_FOURS 1
static inline void lanes_from_four(const uint8_t *from, uint8_t flip, float zero, lanes to[4])
{
    /* 0x4B000000 + n is 2^23 + n */
    const __m256i high = _mm256_set1_epi16(0x4B00), none = _mm256_setzero_si256();
    const __m256i bytes = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(const void *)from),
                                           _mm256_set1_epi8((char)flip));
    const __m256i low = _mm256_unpacklo_epi8(bytes, none), rest = _mm256_unpackhi_epi8(bytes, none);
    const lanes shift = lanes_set(8388608.0f + zero);
    to[0] = _mm256_castsi256_ps(_mm256_unpacklo_epi16(low, high)) - shift;
    to[1] = _mm256_castsi256_ps(_mm256_unpackhi_epi16(low, high)) - shift;
    to[2] = _mm256_castsi256_ps(_mm256_unpacklo_epi16(rest, high)) - shift;
    to[3] = _mm256_castsi256_ps(_mm256_unpackhi_epi16(rest, high)) - shift;
}

static inline void lanes_to_four(uint8_t *to, const lanes_int n[4], int32_t zero, bool is_signed)
{
    const __m256i more = _mm256_set1_epi16((short)zero);
    const __m256i low = _mm256_adds_epi16(_mm256_packs_epi32(n[0], n[1]), more),
                  rest = _mm256_adds_epi16(_mm256_packs_epi32(n[2], n[3]), more);
    const __m256i y = is_signed ? _mm256_packs_epi16(low, rest) : _mm256_packus_epi16(low, rest);
    _mm256_storeu_si256((__m256i *)(void *)to, y);
}

static inline lanes_int lanes_words(const uint8_t *from)
{
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)from));
}

static inline void lanes_interleave(lanes_int a, lanes_int b, lanes_int to[2])
{
    to[0] = _mm256_unpacklo_epi16(a, b);
    to[1] = _mm256_unpackhi_epi16(a, b);
}

static inline void lanes_take_two(const void *from, lanes_int to[2])
{
    const __m256i *at = from;
    const __m256i first = _mm256_loadu_si256(at), second = _mm256_loadu_si256(at + 1);
    to[0] = _mm256_permute2x128_si256(first, second, 0x20);
    to[1] = _mm256_permute2x128_si256(first, second, 0x31);
}

static inline void lanes_to_two(uint8_t *to, const lanes_int n[2], bool is_signed)
{
    const __m256i words = _mm256_packs_epi32(n[0], n[1]);
    const __m256i bytes =
        is_signed ? _mm256_packs_epi16(words, words) : _mm256_packus_epi16(words, words);
    _mm_storeu_si128((__m128i *)(void *)to,
                     _mm256_castsi256_si128(_mm256_permute4x64_epi64(bytes, 0xD8)));
}

static inline lanes_int lanes_pair_products(lanes_int a, lanes_int b)
{
    return _mm256_madd_epi16(a, b);
}

static inline lanes lanes_flip_odd(lanes x, lanes_int n)
{
    return _mm256_xor_ps(x, _mm256_castsi256_ps(_mm256_slli_epi32(n, 31)));
}

static inline lanes lanes_lookup(const float *table, lanes_int index)
{
    return _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), index);
}

static inline lanes_part lanes_first(int64_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline size_t lanes_part_size(lanes_part part)
{
    unsigned bits = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(part));
    return (size_t)__builtin_popcount(bits) * sizeof(float);
}

static inline lanes lanes_load_part(const float *from, lanes_part part)
{
    if (LANES_ARE_WATCHED) {
        float copy[LANE_COUNT] = {0};
        memcpy(copy, from, lanes_part_size(part));
        return lanes_load(copy);
    }
    return _mm256_maskload_ps(from, part);
}

static inline lanes lanes_load_part_or(const float *from, lanes_part part, lanes fill)
{
    return lanes_select(_mm256_castsi256_ps(part), lanes_load_part(from, part), fill);
}

static inline void lanes_store_part(float *to, lanes_part part, lanes x)
{
    if (LANES_ARE_WATCHED) {
        float copy[LANE_COUNT];
        lanes_store(copy, x);
        memcpy(to, copy, lanes_part_size(part));
        return;
    }
    _mm256_maskstore_ps(to, part, x);
}

static inline void lanes_stream(float *to, lanes x)
{
    _mm256_stream_ps(to, x);
}

static inline lanes lanes_larger(lanes a, lanes b)
{
    return _mm256_max_ps(a, b);
}

static inline lanes lanes_smaller(lanes a, lanes b)
{
    return _mm256_min_ps(a, b);
}

static inline lanes lanes_max(lanes a, lanes b)
{
    lanes number = _mm256_and_ps(_mm256_max_ps(a, b), _mm256_max_ps(b, a));
    return lanes_select(_mm256_cmp_ps(a, b, _CMP_UNORD_Q), lanes_set(NAN), number);
}

static inline lanes lanes_min(lanes a, lanes b)
{
    lanes number = _mm256_or_ps(_mm256_min_ps(a, b), _mm256_min_ps(b, a));
    return lanes_select(_mm256_cmp_ps(a, b, _CMP_UNORD_Q), lanes_set(NAN), number);
}

static inline lanes lanes_scale(lanes x, lanes n)
{
    /* Twice, so that neither factor leaves the range of normal numbers; only the second product can round. */
    lanes_int whole = lanes_to_int(n), half = _mm256_srai_epi32(whole, 1);
    lanes_int bias = _mm256_set1_epi32(127), rest = _mm256_sub_epi32(whole, half);
    lanes first = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
    lanes second = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
    return x * first * second;
}

static inline lanes lanes_swap(lanes x, const int distance)
{
    return distance == 4   ? _mm256_permute2f128_ps(x, x, 1)
           : distance == 2 ? _mm256_permute_ps(x, 0x4E)
                           : _mm256_permute_ps(x, 0xB1);
}

#define LANES_ACROSS(name, step)                                                                   \
    static inline float lanes_across_##name(lanes x)                                               \
    {                                                                                              \
        __m128 v = _mm_##step##_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));        \
        v = _mm_##step##_ps(v, _mm_movehl_ps(v, v));                                               \
        v = _mm_##step##_ps(v, _mm_shuffle_ps(v, v, 1));                                           \
        return _mm_cvtss_f32(v);                                                                   \
    }
LANES_ACROSS(sum, add)
LANES_ACROSS(product, mul)
LANES_ACROSS(larger, max)
#undef LANES_ACROSS

#endif
