/* Integer GEMM for AVX2: pairs of 16-bit products by vpmaddwd, which do not saturate, unlike vpmaddubsw's of 8 bits. */
#include "hal/cpu/integer_gemm.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "hal/cpu/lanes.h"

#define ROWS 6
#define VECTORS                                                                                    \
    2 /* of four columns: with so many of both, sums and factors fill the registers and none spills */
#define COLUMNS   (4 * VECTORS)
#define QUAD_SIZE (HD_INTEGER_COLUMNS * HD_INTEGER_STEPS)

/* Eight columns: a vector has four of them, each as two halves of its sum. */
static inline __attribute__((always_inline)) void block_part(const char *a, const int64_t rows,
                                                             const uint8_t *panel, int64_t quads,
                                                             int64_t row_bytes, int32_t *sums)
{
    __m256i totals[ROWS][VECTORS];
    LANES_UNROLL
    for (int64_t r = 0; r < rows; r++) {
        totals[r][0] = totals[r][1] = _mm256_setzero_si256();
    }
    for (int64_t q = 0; q < quads; q++, panel += QUAD_SIZE, a += sizeof(int64_t)) {
        const __m256i first =
            _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)panel));
        const __m256i second =
            _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(panel + 16)));
        LANES_UNROLL
        for (int64_t r = 0; r < rows; r++) {
            int64_t quad;
            memcpy(&quad, a + r * row_bytes, sizeof quad);
            const __m256i left = _mm256_set1_epi64x(quad);
            totals[r][0] = _mm256_add_epi32(totals[r][0], _mm256_madd_epi16(left, first));
            totals[r][1] = _mm256_add_epi32(totals[r][1], _mm256_madd_epi16(left, second));
            /* Says that both are needed here: else gcc takes all products first, and spills the sums. */
            __asm__ volatile("" : "+x"(totals[r][0]), "+x"(totals[r][1]));
        }
    }
    LANES_UNROLL
    for (int64_t r = 0; r < rows; r++) {
        const __m256i both = _mm256_hadd_epi32(totals[r][0], totals[r][1]);
        _mm256_storeu_si256((__m256i *)(void *)(sums + r * HD_INTEGER_COLUMNS),
                            _mm256_permute4x64_epi64(both, 0xD8));
    }
}

#define BLOCK(n)                                                                                   \
    case n:                                                                                        \
        block_part(a, n, panel, quads, row_bytes, sums);                                           \
        break;

static void block_avx2(const void *a, int64_t rows, const uint8_t *panel, int64_t quads,
                       int64_t row_bytes, int32_t *sums)
{
    for (int c = 0; c < HD_INTEGER_COLUMNS;
         c += COLUMNS, panel += COLUMNS * HD_INTEGER_STEPS, sums += COLUMNS) {
        switch (rows) {
            BLOCK(1)
            BLOCK(2)
            BLOCK(3)
            BLOCK(4)
            BLOCK(5)
        default:
            block_part(a, ROWS, panel, quads, row_bytes, sums);
        }
    }
}

int32_t hd_cpu_integer_pack_row_wide_avx2(void *row, const uint8_t *a, bool is_signed,
                                          int64_t depth)
{
    const __m128i flip = _mm_set1_epi8(is_signed ? 0 : (char)HD_INTEGER_SHIFT);
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i sums = _mm256_setzero_si256();
    int16_t *to = row;
    int64_t k = 0;
    for (; k + 16 <= depth; k += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(a + k));
        const __m256i left = _mm256_cvtepi8_epi16(_mm_xor_si128(bytes, flip));
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

const hd_cpu_integer_kernel hd_cpu_integer_kernel_avx2 = {
    "avx2", block_avx2, hd_cpu_integer_pack_row_wide_avx2, hd_cpu_integer_correct_avx2, ROWS, true};
#endif
