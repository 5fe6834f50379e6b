/* Integer GEMM for AVX2: products of bytes by vpmaddubsw, in an order in which it does not saturate (integer_gemm.h). */
#include "hal/cpu/integer_gemm.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/lanes.h"

#define ROWS   4
#define BLOCKS 3 /* that a call computes, at most */
#define COLUMNS                                                                                    \
    16 /* of two vectors: with so many of both, sums and factors fill the registers and none spills */
#define QUAD_SIZE (HD_INTEGER_COLUMNS * HD_INTEGER_STEPS)

/* Says that a value is needed here: else gcc takes all products first, and spills the sums. */
#define NEEDED(value) __asm__ volatile("" : "+x"(value))

/* Adds pairs of 16-bit sums to a total. */
static inline __attribute__((always_inline)) __m256i add_pairs(__m256i total, __m256i pairs)
{
    total = _mm256_add_epi32(total, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    NEEDED(total);
    return total;
}

static inline __attribute__((always_inline)) __m256i load_columns(const int8_t *at)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

static inline __attribute__((always_inline)) __m256i load_steps(const char *at)
{
    int32_t quad;
    memcpy(&quad, at, sizeof quad);
    return _mm256_set1_epi32(quad);
}

/* Where a loop over quads that has come to `at` looks next whether it is to end, an even number of them further; `at` where it is. */
static inline const int32_t *look(const int32_t *at, const int32_t *end)
{
    return at + hd_stop_reach(0, end - at);
}

/* Rows of the left factor. */
typedef struct rows_of {
    const char *rows[ROWS];
    const int32_t *offsets;
} rows_of;

/* An entry of the order is four times a quad's number, and its pairing. */
static inline __attribute__((always_inline)) int64_t offset_of(const rows_of *a, int32_t place)
{
    return a->offsets != NULL ? a->offsets[place >> 2] : (place & ~3) / 4 * HD_INTEGER_STEPS;
}

static inline __attribute__((always_inline)) const int8_t *quad_of(const int8_t *panel,
                                                                   int32_t place)
{
    return panel + (int64_t)(place >> 2) * QUAD_SIZE;
}

/* 16 columns whose pairs cannot saturate. */
static inline __attribute__((always_inline)) void add_paired(__m256i totals[][2], const rows_of *a,
                                                             int32_t place, const int64_t rows,
                                                             const int8_t *panel)
{
    static const uint8_t steps[][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                        {0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15},
                                        {0, 3, 1, 2, 4, 7, 5, 6, 8, 11, 9, 10, 12, 15, 13, 14}};
    const __m256i pairing = _mm256_broadcastsi128_si256(
        _mm_loadu_si128((const __m128i *)(const void *)steps[place & 3]));
    const int64_t at = offset_of(a, place);
    const __m256i both[] = {load_columns(panel), load_columns(panel + 32)};
    LANES_UNROLL
    for (int64_t r = 0; r < rows; r++) {
        const __m256i left = _mm256_shuffle_epi8(load_steps(a->rows[r] + at), pairing);
        totals[r][0] = add_pairs(totals[r][0], _mm256_maddubs_epi16(left, both[0]));
        totals[r][1] = add_pairs(totals[r][1], _mm256_maddubs_epi16(left, both[1]));
    }
}

/* 16 columns that have no -128: |a' - 128| times b' with the sign of a' - 128. */
static inline __attribute__((always_inline)) void add_signed(__m256i totals[][2], const rows_of *a,
                                                             int32_t place, const int64_t rows,
                                                             const int8_t *panel)
{
    const int64_t at = offset_of(a, place);
    const __m256i both[] = {load_columns(panel), load_columns(panel + 32)};
    LANES_UNROLL
    for (int64_t r = 0; r < rows; r++) {
        const __m256i left =
            _mm256_xor_si256(load_steps(a->rows[r] + at), _mm256_set1_epi8((char)HD_INTEGER_SHIFT));
        const __m256i size = _mm256_abs_epi8(left);
        LANES_UNROLL
        for (int j = 0; j < 2; j++) {
            totals[r][j] = add_pairs(totals[r][j],
                                     _mm256_maddubs_epi16(size, _mm256_sign_epi8(both[j], left)));
        }
    }
}

/* 16 columns of any quads: b' as two numbers from -64 to 64. */
static inline __attribute__((always_inline)) void add_halves(__m256i totals[][2], const rows_of *a,
                                                             int32_t place, const int64_t rows,
                                                             const int8_t *right)
{
    const int64_t at = offset_of(a, place);
    LANES_UNROLL
    for (int j = 0; j < 2; j++) {
        const __m256i whole = load_columns(right + 32 * j);
        const __m256i unsigned_half =
            _mm256_avg_epu8(_mm256_xor_si256(whole, _mm256_set1_epi8((char)HD_INTEGER_SHIFT)),
                            _mm256_setzero_si256());
        const __m256i half = _mm256_sub_epi8(unsigned_half, _mm256_set1_epi8(64));
        const __m256i other = _mm256_sub_epi8(whole, half);
        LANES_UNROLL
        for (int64_t r = 0; r < rows; r++) {
            const __m256i left = load_steps(a->rows[r] + at);
            totals[r][j] = add_pairs(totals[r][j], _mm256_maddubs_epi16(left, half));
            totals[r][j] = add_pairs(totals[r][j], _mm256_maddubs_epi16(left, other));
        }
    }
}

/* 16 columns of two quads. */
static inline __attribute__((always_inline)) void add_couple(__m256i totals[][2], const rows_of *a,
                                                             const int32_t *places,
                                                             const int64_t rows,
                                                             const int8_t *right)
{
    const int64_t at = offset_of(a, places[0]), other = offset_of(a, places[1]);
    const __m256i first[] = {load_columns(right), load_columns(right + 32)};
    const __m256i second[] = {load_columns(right + QUAD_SIZE),
                              load_columns(right + QUAD_SIZE + 32)};
    LANES_UNROLL
    for (int64_t r = 0; r < rows; r++) {
        const __m256i left = load_steps(a->rows[r] + at), next = load_steps(a->rows[r] + other);
        LANES_UNROLL
        for (int j = 0; j < 2; j++) {
            totals[r][j] =
                add_pairs(totals[r][j], _mm256_add_epi16(_mm256_maddubs_epi16(left, first[j]),
                                                         _mm256_maddubs_epi16(next, second[j])));
        }
    }
}

/* 16 columns. */
static inline __attribute__((always_inline)) void
block_part(const hd_cpu_integer_left *factor, const int64_t rows, const int8_t *panel,
           const int32_t *order, int64_t quads, int32_t *sums)
{
    rows_of a = {.offsets = factor->offsets};
    __m256i totals[ROWS][2];
    LANES_UNROLL
    for (int64_t r = 0; r < rows; r++) {
        a.rows[r] = (const char *)factor->first + r * factor->row_bytes;
        LANES_UNROLL
        for (int j = 0; j < 2; j++) {
            totals[r][j] = _mm256_loadu_si256(
                (const __m256i *)(const void *)(order + HD_INTEGER_ORDER_BEGINS + 8 * j));
        }
    }
    const int32_t *at = order + HD_INTEGER_ORDER_HEAD;
    const int32_t *const coupled = at + order[HD_INTEGER_COUPLED],
                         *const paired = at + order[HD_INTEGER_PAIRED],
                         *const is_signed = at + order[HD_INTEGER_SIGNED], *const end = at + quads;
    for (const int32_t *until; at < coupled && (until = look(at, coupled)) > at;) {
        for (; at < until; at += 2) { /* the second quad is behind the first */
            add_couple(totals, &a, at, rows, quad_of(panel, at[0]));
        }
    }
    for (const int32_t *until; at < paired && (until = look(at, paired)) > at;) {
        for (; at < until; at++) {
            add_paired(totals, &a, *at, rows, quad_of(panel, *at));
        }
    }
    for (const int32_t *until; at < is_signed && (until = look(at, is_signed)) > at;) {
        for (; at < until; at++) {
            add_signed(totals, &a, *at, rows, quad_of(panel, *at));
        }
    }
    for (const int32_t *until; at < end && (until = look(at, end)) > at;) {
        for (; at < until; at++) {
            add_halves(totals, &a, *at, rows, quad_of(panel, *at));
        }
    }
    LANES_UNROLL
    for (int64_t r = 0; r < rows; r++) {
        LANES_UNROLL
        for (int j = 0; j < 2; j++) {
            _mm256_storeu_si256((__m256i *)(void *)(sums + r * HD_INTEGER_COLUMNS + 8 * j),
                                totals[r][j]);
        }
    }
}

#define BLOCK(n)                                                                                   \
    case n:                                                                                        \
        block_part(&rest, n, panel, order, quads, to);                                             \
        break;

/* Some blocks of rows by one half of the columns, and then by the other: the loops over kinds of quads are as long each time. */
static void block_avx2(const hd_cpu_integer_left *a, int64_t rows, const int8_t *panel,
                       const int32_t *order, int64_t quads, int32_t *sums)
{
    for (int half = 0; half < 2; half++, panel += COLUMNS * HD_INTEGER_STEPS,
             order += HD_INTEGER_ORDER_HEAD + quads, sums += COLUMNS) {
        hd_cpu_integer_left rest = *a;
        int32_t *to = sums;
        int64_t left = rows;
        for (; left >= ROWS; left -= ROWS, to += ROWS * HD_INTEGER_COLUMNS,
                             rest.first = (const char *)rest.first + ROWS * rest.row_bytes) {
            block_part(&rest, ROWS, panel, order, quads, to);
        }
        switch (left) {
            BLOCK(1)
            BLOCK(2)
            BLOCK(3)
        default:
            break;
        }
    }
}

int32_t hd_cpu_integer_pack_row_narrow_avx2(void *row, const uint8_t *a, bool is_signed,
                                            int64_t depth)
{
    const __m256i flip = _mm256_set1_epi8(is_signed ? (char)HD_INTEGER_SHIFT : 0);
    __m256i sums = _mm256_setzero_si256();
    uint8_t *to = row;
    int64_t k = 0;
    for (; k + 32 <= depth; k += 32) {
        const __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)(a + k));
        const __m256i left = _mm256_xor_si256(bytes, flip);
        sums = _mm256_add_epi64(sums, _mm256_sad_epu8(left, _mm256_setzero_si256()));
        _mm256_storeu_si256((__m256i *)(void *)(to + k), left);
    }
    const __m128i two =
        _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    const uint32_t sum = (uint32_t)_mm_cvtsi128_si32(two) + (uint32_t)_mm_extract_epi32(two, 2);
    return (int32_t)(sum +
                     (uint32_t)hd_cpu_integer_pack_row_narrow(to + k, a + k, is_signed, depth - k));
}

int32_t hd_cpu_integer_pack_row_wide_avx2(void *row, const uint8_t *a, bool is_signed,
                                          int64_t depth)
{
    const __m128i flip = _mm_set1_epi8(is_signed ? (char)HD_INTEGER_SHIFT : 0);
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i sums = _mm256_setzero_si256();
    int16_t *to = row;
    int64_t k = 0;
    for (; k + 16 <= depth; k += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(a + k));
        const __m256i left = _mm256_cvtepu8_epi16(_mm_xor_si128(bytes, flip));
        sums = _mm256_add_epi32(sums, _mm256_madd_epi16(left, ones));
        _mm256_storeu_si256((__m256i *)(void *)(to + k), left);
    }
    const __m128i four =
        _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    const __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
    const uint32_t sum = (uint32_t)_mm_cvtsi128_si32(two) + (uint32_t)_mm_extract_epi32(two, 1);
    return (int32_t)(sum +
                     (uint32_t)hd_cpu_integer_pack_row_wide(to + k, a + k, is_signed, depth - k));
}

void hd_cpu_integer_correct_avx2(int32_t *sums, int64_t rows, int64_t depth, const int32_t *a_zeros,
                                 const int32_t *row_sums, const int32_t *b_zeros,
                                 const int32_t *column_sums)
{
    for (int64_t row = 0; row < rows; row++) {
        int32_t *to = sums + row * HD_INTEGER_COLUMNS;
        const __m256i a_zero = _mm256_set1_epi32(a_zeros[row]);
        const __m256i both = _mm256_set1_epi32(
            (int32_t)((uint32_t)row_sums[row] - (uint32_t)depth * (uint32_t)a_zeros[row]));
        LANES_UNROLL
        for (int c = 0; c < HD_INTEGER_COLUMNS; c += 8) {
            __m256i *at = (__m256i *)(void *)(to + c);
            const __m256i of_columns = _mm256_mullo_epi32(
                a_zero, _mm256_loadu_si256((const __m256i *)(const void *)(column_sums + c)));
            const __m256i of_rows = _mm256_mullo_epi32(
                both, _mm256_loadu_si256((const __m256i *)(const void *)(b_zeros + c)));
            _mm256_storeu_si256(at, _mm256_sub_epi32(_mm256_loadu_si256(at),
                                                     _mm256_add_epi32(of_columns, of_rows)));
        }
    }
}

const hd_cpu_integer_kernel hd_cpu_integer_kernel_avx2 = {"avx2",
                                                          block_avx2,
                                                          hd_cpu_integer_pack_row_narrow_avx2,
                                                          hd_cpu_integer_correct_avx2,
                                                          BLOCKS *ROWS,
                                                          false,
                                                          true};
#endif
