/* Integer GEMM for AVX-512 VNNI: vpdpbusd takes four products of unsigned and signed bytes and adds them, without
 * saturation. */
#include "hal/cpu/integer_gemm.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "hal/cpu/lanes.h"

#define ROWS      12
#define VECTORS   2 /* of 16 columns */
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
        const char *a = first + (offsets != NULL ? offsets[q] : q * HD_INTEGER_STEPS);
        __m512i b[VECTORS];
        LANES_UNROLL
        for (int j = 0; j < VECTORS; j++) {
            b[j] = _mm512_loadu_si512(panel + q * QUAD_SIZE + j * 64);
        }
        LANES_UNROLL
        for (int64_t r = 0; r < rows; r++) {
            int32_t quad;
            memcpy(&quad, a + r * row_bytes, sizeof quad);
            const __m512i steps = _mm512_set1_epi32(quad);
            LANES_UNROLL
            for (int j = 0; j < VECTORS; j++) {
                totals[r][j] = _mm512_dpbusd_epi32(totals[r][j], steps, b[j]);
            }
        }
    }
    LANES_UNROLL
    for (int64_t r = 0; r < rows; r++) {
        LANES_UNROLL
        for (int j = 0; j < VECTORS; j++) {
            _mm512_storeu_si512(sums + r * HD_INTEGER_COLUMNS + j * 16, totals[r][j]);
        }
    }
}

#define BLOCK(n)                                                                                   \
    case n:                                                                                        \
        block_rows(a, n, panel, quads, sums);                                                      \
        break;

static void block_avx512vnni(const hd_cpu_integer_left *a, int64_t rows, const int8_t *panel,
                             const int32_t *order, int64_t quads, int32_t *sums)
{
    (void)order;
    switch (rows) {
        BLOCK(1)
        BLOCK(2)
        BLOCK(3)
        BLOCK(4)
        BLOCK(5)
        BLOCK(6)
        BLOCK(7)
        BLOCK(8)
        BLOCK(9)
        BLOCK(10)
        BLOCK(11)
    default:
        block_rows(a, ROWS, panel, quads, sums);
    }
}

static int32_t pack_row(void *row, const uint8_t *a, bool is_signed, int64_t depth)
{
    const __m512i flip = _mm512_set1_epi8(is_signed ? (char)HD_INTEGER_SHIFT : 0);
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i sums = _mm512_setzero_si512();
    uint8_t *to = row;
    int64_t k = 0;
    for (; k + 64 <= depth; k += 64) {
        const __m512i left = _mm512_xor_si512(_mm512_loadu_si512(a + k), flip);
        sums = _mm512_dpbusd_epi32(sums, left, ones);
        _mm512_storeu_si512(to + k, left);
    }
    return (int32_t)((uint32_t)_mm512_reduce_add_epi32(sums) +
                     (uint32_t)hd_cpu_integer_pack_row_narrow(to + k, a + k, is_signed, depth - k));
}

const hd_cpu_integer_kernel hd_cpu_integer_kernel_avx512vnni = {
    "avx512vnni", block_avx512vnni, pack_row, hd_cpu_integer_correct_avx2, ROWS, false, false};
#endif
