/* Gemm with AVX-512: tiles of 6 rows and 4 vectors, 24 of the 32 registers for the sums. */
#include "hal/cpu/gemm.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define VECTOR       __m512
#define LANES        16
#define MASK         __mmask16
#define ROWS_MAX     6
#define VECTORS_TALL 4
#define ROWS_WIDE    0
#define VECTORS_MAX  4
#define TILE_LIST_ROWS(X, vectors)                                                                 \
    X(1, vectors) X(2, vectors) X(3, vectors) X(4, vectors) X(5, vectors) X(6, vectors)
#define TILE_LIST(X)                                                                               \
    TILE_LIST_ROWS(X, 1) TILE_LIST_ROWS(X, 2) TILE_LIST_ROWS(X, 3) TILE_LIST_ROWS(X, 4)

#define vector_zero()                      _mm512_setzero_ps()
#define vector_load(from)                  _mm512_loadu_ps(from)
#define vector_load_tail(from, mask)       _mm512_maskz_loadu_ps(mask, from)
#define vector_store(to, value)            _mm512_storeu_ps(to, value)
#define vector_store_tail(to, mask, value) _mm512_mask_storeu_ps(to, mask, value)
#define vector_broadcast(value)            _mm512_set1_ps(value)
#define vector_add(a, b)                   _mm512_add_ps(a, b)
#define vector_multiply(a, b)              _mm512_mul_ps(a, b)
#define vector_multiply_add(a, b, c)       _mm512_fmadd_ps(a, b, c)

static inline __mmask16 tail_mask(int64_t lanes)
{
    return (__mmask16)((1u << lanes) - 1);
}

#include "hal/cpu/gemm_kernel.inc"

void hd_cpu_gemm_block_avx512(const hd_cpu_gemm_block *block)
{
    block_run(block);
}
#endif
