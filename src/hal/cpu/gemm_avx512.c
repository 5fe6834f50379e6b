/* Gemm with AVX-512: tiles of 6 rows and 4 vectors, 24 of the 32 registers for the sums. */
#include "hal/cpu/gemm.h"

#if defined(__x86_64__)
#define ROWS_MAX     6
#define VECTORS_TALL 4
#define ROWS_WIDE    0
#define VECTORS_MAX  4
#define TILE_LIST_ROWS(X, vectors)                                                                 \
    X(1, vectors) X(2, vectors) X(3, vectors) X(4, vectors) X(5, vectors) X(6, vectors)
#define TILE_LIST(X)                                                                               \
    TILE_LIST_ROWS(X, 1) TILE_LIST_ROWS(X, 2) TILE_LIST_ROWS(X, 3) TILE_LIST_ROWS(X, 4)

#include "hal/cpu/gemm_kernel.inc"

void hd_cpu_gemm_block_avx512(const hd_cpu_gemm_block *block)
{
    block_run(block);
}
#endif
