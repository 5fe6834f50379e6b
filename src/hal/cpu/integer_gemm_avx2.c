/* Integer GEMM for AVX2: pairs of 16-bit products by vpmaddwd, which do not saturate, unlike vpmaddubsw's of 8 bits. */
#include "hal/cpu/integer_gemm.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "hal/cpu/lanes.h"

#define ROWS      3
#define QUAD_SIZE (HD_INTEGER_COLUMNS * HD_INTEGER_STEPS)

/* 16 columns, from `half` on: four vectors of four columns, each of which holds two halves of its sum. */
static inline __attribute__((always_inline)) void block_half(const char *a, const int64_t rows,
                                                             const uint8_t *panel, int64_t quads,
                                                             int64_t row_bytes, int32_t *sums)
{
    __m256i totals[ROWS][4];
    LANES_UNROLL
    for (int64_t r = 0; r < rows; r++) {
        LANES_UNROLL
        for (int j = 0; j < 4; j++) {
            totals[r][j] = _mm256_setzero_si256();
        }
    }
    for (int64_t q = 0; q < quads; q++) {
        __m256i b[4];
        LANES_UNROLL
        for (int j = 0; j < 4; j++) {
            b[j] = _mm256_cvtepu8_epi16(
                _mm_loadu_si128((const __m128i *)(const void *)(panel + q * QUAD_SIZE + j * 16)));
        }
        LANES_UNROLL
        for (int64_t r = 0; r < rows; r++) {
            int64_t quad;
            memcpy(&quad, a + r * row_bytes + q * (int64_t)sizeof quad, sizeof quad);
            const __m256i left = _mm256_set1_epi64x(quad);
            LANES_UNROLL
            for (int j = 0; j < 4; j++) {
                totals[r][j] = _mm256_add_epi32(totals[r][j], _mm256_madd_epi16(left, b[j]));
            }
        }
    }
    LANES_UNROLL
    for (int64_t r = 0; r < rows; r++) {
        LANES_UNROLL
        for (int j = 0; j < 4; j += 2) {
            const __m256i both = _mm256_hadd_epi32(totals[r][j], totals[r][j + 1]);
            _mm256_storeu_si256((__m256i *)(void *)(sums + r * HD_INTEGER_COLUMNS + j * 4),
                                _mm256_permute4x64_epi64(both, 0xD8));
        }
    }
}

static void block_avx2(const void *a, int64_t rows, const uint8_t *panel, int64_t quads,
                       int64_t row_bytes, int32_t *sums)
{
    for (int half = 0; half < 2; half++, panel += QUAD_SIZE / 2, sums += HD_INTEGER_COLUMNS / 2) {
        switch (rows) {
        case 1:
            block_half(a, 1, panel, quads, row_bytes, sums);
            break;
        case 2:
            block_half(a, 2, panel, quads, row_bytes, sums);
            break;
        default:
            block_half(a, 3, panel, quads, row_bytes, sums);
        }
    }
}

const hd_cpu_integer_kernel hd_cpu_integer_kernel_avx2 = {"avx2", block_avx2, ROWS, true};
#endif
