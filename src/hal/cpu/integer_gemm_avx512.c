/* Integer GEMM for AVX-512 without VNNI: pairs of 16-bit products by vpmaddwd, which do not saturate. */
#include "hal/cpu/integer_gemm.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "hal/cpu/lanes.h"

#define ROWS      5
#define VECTORS   4 /* of eight columns, each of which holds two halves of its sum */
#define QUAD_SIZE (HD_INTEGER_COLUMNS * HD_INTEGER_STEPS)

static inline __attribute__((always_inline)) void block_rows(const hd_cpu_integer_left *left,
                                                             const int64_t rows,
                                                             const int8_t *panel, int64_t quads,
                                                             int32_t *sums)
{
    const char *const first = left->first;
    const int32_t *const offsets = left->offsets;
    const int64_t row_bytes = left->row_bytes;
    __m512i totals[ROWS][VECTORS];
    LANES_UNROLL
    for (int64_t r = 0; r < rows; r++) {
        LANES_UNROLL
        for (int j = 0; j < VECTORS; j++) {
            totals[r][j] = _mm512_setzero_si512();
        }
    }
    for (int64_t q = 0; q < quads; q++) {
        const char *a = first + (offsets != NULL ? offsets[q] : q * (int64_t)sizeof(int64_t));
        __m512i b[VECTORS];
        LANES_UNROLL
        for (int j = 0; j < VECTORS; j++) {
            b[j] = _mm512_cvtepi8_epi16(_mm256_loadu_si256(
                (const __m256i *)(const void *)(panel + q * QUAD_SIZE + j * 32)));
        }
        LANES_UNROLL
        for (int64_t r = 0; r < rows; r++) {
            int64_t quad;
            memcpy(&quad, a + r * row_bytes, sizeof quad);
            const __m512i steps = _mm512_set1_epi64(quad);
            LANES_UNROLL
            for (int j = 0; j < VECTORS; j++) {
                totals[r][j] = _mm512_add_epi32(totals[r][j], _mm512_madd_epi16(steps, b[j]));
            }
        }
    }
    LANES_UNROLL
    for (int64_t r = 0; r < rows; r++) {
        LANES_UNROLL
        for (int j = 0; j < VECTORS; j++) {
            const __m512i both =
                _mm512_add_epi32(totals[r][j], _mm512_srli_epi64(totals[r][j], 32));
            _mm256_storeu_si256((__m256i *)(void *)(sums + r * HD_INTEGER_COLUMNS + j * 8),
                                _mm512_cvtepi64_epi32(both));
        }
    }
}

static void block_avx512(const hd_cpu_integer_left *a, int64_t rows, const int8_t *panel,
                         const int32_t *order, int64_t quads, int32_t *sums)
{
    (void)order;
    switch (rows) {
    case 1:
        block_rows(a, 1, panel, quads, sums);
        break;
    case 2:
        block_rows(a, 2, panel, quads, sums);
        break;
    case 3:
        block_rows(a, 3, panel, quads, sums);
        break;
    case 4:
        block_rows(a, 4, panel, quads, sums);
        break;
    default:
        block_rows(a, 5, panel, quads, sums);
    }
}

const hd_cpu_integer_kernel hd_cpu_integer_kernel_avx512 = {
    "avx512", block_avx512, hd_cpu_integer_pack_row_wide_avx2, hd_cpu_integer_correct_avx2, ROWS,
    true,     false};
#endif
