#include "hal/cpu/ops/strided_copy.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

/* Eight rows of eight 4-byte elements, `from` apart, become eight columns, `to` apart. */
static inline void transpose_square(const unsigned char *source, int64_t from,
                                    unsigned char *target, int64_t to)
{
    __m256 a[8], b[8];
    for (int i = 0; i < 4; i++) {
        /* Lines i and i + 4 share a register from the start: no permutation across lanes later. */
        __m256 low = _mm256_castps128_ps256(_mm_loadu_ps((const void *)(source + i * from)));
        __m256 high = _mm256_castps128_ps256(_mm_loadu_ps((const void *)(source + i * from + 16)));
        a[i] = _mm256_insertf128_ps(low, _mm_loadu_ps((const void *)(source + (i + 4) * from)), 1);
        a[i + 4] = _mm256_insertf128_ps(
            high, _mm_loadu_ps((const void *)(source + (i + 4) * from + 16)), 1);
    }
    for (int half = 0; half < 8; half += 4) {
        b[half] = _mm256_unpacklo_ps(a[half], a[half + 1]);
        b[half + 1] = _mm256_unpackhi_ps(a[half], a[half + 1]);
        b[half + 2] = _mm256_unpacklo_ps(a[half + 2], a[half + 3]);
        b[half + 3] = _mm256_unpackhi_ps(a[half + 2], a[half + 3]);
        a[half] = _mm256_shuffle_ps(b[half], b[half + 2], 0x44);
        a[half + 1] = _mm256_shuffle_ps(b[half], b[half + 2], 0xEE);
        a[half + 2] = _mm256_shuffle_ps(b[half + 1], b[half + 3], 0x44);
        a[half + 3] = _mm256_shuffle_ps(b[half + 1], b[half + 3], 0xEE);
    }
    for (int i = 0; i < 8; i++) {
        _mm256_storeu_ps((void *)(target + i * to), a[i]);
    }
}

static void transpose_rest(const unsigned char *source, unsigned char *target, int64_t rows,
                           int64_t columns, int64_t from, int64_t to)
{
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t column = 0; column < columns; column++) {
            memcpy(target + row * to + column * 4, source + row * 4 + column * from, 4);
        }
    }
}

void hd_cpu_plane_transpose_4_avx2(const unsigned char *source, unsigned char *target, int64_t rows,
                                   int64_t columns, const int64_t source_strides[2],
                                   const int64_t target_strides[2])
{
    int64_t from = source_strides[1], to = target_strides[0], row = 0;
    for (; row + 8 <= rows; row += 8) {
        int64_t column = 0;
        for (; column + 8 <= columns; column += 8) {
            transpose_square(source + row * 4 + column * from, from, target + row * to + column * 4,
                             to);
        }
        transpose_rest(source + row * 4 + column * from, target + row * to + column * 4, 8,
                       columns - column, from, to);
    }
    transpose_rest(source + row * 4, target + row * to, rows - row, columns, from, to);
}
#endif
