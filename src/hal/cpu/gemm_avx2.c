/* Gemm with AVX2: tiles of 6 rows and 2 vectors or of 3 rows and 4 vectors, 12 of the 16 registers
 * for the sums. */
#include "hal/cpu/gemm.h"

#if defined(__x86_64__)
#define ROWS_MAX                   6
#define VECTORS_TALL               2
#define ROWS_WIDE                  3
#define VECTORS_MAX                4
#define TILE_LIST_ROWS(X, vectors) X(1, vectors) X(2, vectors) X(3, vectors)
#define TILE_LIST(X)                                                                               \
    TILE_LIST_ROWS(X, 1)                                                                           \
    TILE_LIST_ROWS(X, 2)                                                                           \
    TILE_LIST_ROWS(X, 3) TILE_LIST_ROWS(X, 4) X(4, 1) X(5, 1) X(6, 1) X(4, 2) X(5, 2) X(6, 2)

#include "hal/cpu/gemm_kernel.inc"

void hd_cpu_gemm_block_avx2(const hd_cpu_gemm_block *block)
{
    block_run(block);
}
#endif
