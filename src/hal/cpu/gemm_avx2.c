/* Gemm with AVX2: tiles of 6 rows and 2 vectors or of 3 rows and 4 vectors, 12 of the 16 registers
 * for the sums. */
#include "hal/cpu/gemm.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define VECTOR                     __m256
#define LANES                      8
#define MASK                       __m256i
#define ROWS_MAX                   6
#define VECTORS_TALL               2
#define ROWS_WIDE                  3
#define VECTORS_MAX                4
#define TILE_LIST_ROWS(X, vectors) X(1, vectors) X(2, vectors) X(3, vectors)
#define TILE_LIST(X)                                                                               \
    TILE_LIST_ROWS(X, 1)                                                                           \
    TILE_LIST_ROWS(X, 2)                                                                           \
    TILE_LIST_ROWS(X, 3) TILE_LIST_ROWS(X, 4) X(4, 1) X(5, 1) X(6, 1) X(4, 2) X(5, 2) X(6, 2)

#define vector_zero()                      _mm256_setzero_ps()
#define vector_load(from)                  _mm256_loadu_ps(from)
#define vector_load_tail(from, mask)       _mm256_maskload_ps(from, mask)
#define vector_store(to, value)            _mm256_storeu_ps(to, value)
#define vector_store_tail(to, mask, value) _mm256_maskstore_ps(to, mask, value)
#define vector_broadcast(value)            _mm256_set1_ps(value)
#define vector_add(a, b)                   _mm256_add_ps(a, b)
#define vector_multiply(a, b)              _mm256_mul_ps(a, b)
#define vector_multiply_add(a, b, c)       _mm256_fmadd_ps(a, b, c)

static inline __m256i tail_mask(int64_t lanes)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)lanes),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

#include "hal/cpu/gemm_kernel.inc"

void hd_cpu_gemm_block_avx2(const hd_cpu_gemm_block *block)
{
    block_run(block);
}
#endif
