/* Gemm: float32 matrix products C = activation(scale · A · B + bias + residual), cut into tiles.
 *
 * BITS: an element of C is the sum, k ascending, of fused multiply-adds that start from 0 (sum =
 * fma(a[k], b[k], sum)), then · scale, then + bias, then + residual, then the activation, each
 * rounded. No blocking, tile, instruction set or number of rows changes that order, so none
 * changes a bit. Every kernel here and the reference in the tests (fmaf in three loops) agree by
 * memcmp.
 *
 * B comes either packed or as it is. Packed: panels of hd_cpu_gemm_panel_width() columns, one after
 * the other, each depth x width, row-major, the columns behind the last one zero.
 *
 * The kernels are compiled ahead, for AVX-512, AVX2 and plain C; nothing is generated at run
 * time, so no executable memory is needed. Measured on AVX-512 against libxsmm 1.17's generated
 * kernels, products of 128 and 16 rows are 0 to 6 % slower when the weights are in the
 * second-level cache, and 5 to 17 % faster when they are not, since these prefetch.
 *
 * Thread-safety: plain values; hd_cpu_gemm_run by any number of threads, on different tiles. */
#ifndef HD_HAL_CPU_GEMM_H
#define HD_HAL_CPU_GEMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "operation/fused.h"

/* One block of C: any number of rows, at most hd_cpu_gemm_panel_width() columns, a range of the depth.
 * Strides are in elements. */
typedef struct hd_cpu_gemm_block {
    const float *a; /* element (row, k) at a[row * a_row + k * a_depth] */
    int64_t a_row;
    int64_t a_depth;
    const float *b; /* element (k, column) at b[k * b_depth + column]; only `columns` are read */
    int64_t b_depth;
    float *c; /* element (row, column) at c[row * c_row + column] */
    int64_t c_row;
    int64_t rows;
    int64_t columns;
    int64_t depth;
    bool accumulate;       /* go on from what is in C, rather than from 0 */
    float scale;           /* multiplies the sum in the end; 0: nothing does */
    const float *bias;     /* added after it, one a column; or NULL */
    const float *residual; /* added after it; or NULL */
    int64_t residual_row;
    const float *prefetch; /* what is read next, for the cache; any address, or NULL */
    int64_t prefetch_lines;
} hd_cpu_gemm_block;

/* Computes one block with the best instruction set (of this processor, hd_cpu_isa). */
void hd_cpu_gemm_block_run(const hd_cpu_gemm_block *block);

/* The same by one instruction set, which the processor must have. */
void hd_cpu_gemm_block_baseline(const hd_cpu_gemm_block *block);
void hd_cpu_gemm_block_avx2(const hd_cpu_gemm_block *block);
void hd_cpu_gemm_block_avx512(const hd_cpu_gemm_block *block);

/* Columns of a panel: 64 with AVX-512, else 32. */
int64_t hd_cpu_gemm_panel_width(void);

/* Elements of the packed form of a depth x columns matrix; false when the bytes do not fit. */
bool hd_cpu_gemm_packed_count(int64_t depth, int64_t columns, size_t *out_count);

/* Packs B; element (k, column) of the source lies at b[k * b_depth + column * b_column]. */
void hd_cpu_gemm_pack(float *packed, const float *b, int64_t b_depth, int64_t b_column,
                      int64_t depth, int64_t columns);

/* A product that is cut into tiles; its numbers follow from the arguments of hd_cpu_gemm_plan only. */
typedef struct hd_cpu_gemm {
    int64_t rows;
    int64_t columns;
    int64_t depth;
    int64_t panel_width;  /* columns of a panel */
    int64_t row_blocks;   /* rows are cut into this many nearly equal blocks */
    int64_t panel_groups; /* panels into this many nearly equal groups */
    bool panels_outside;  /* neighbouring tiles share panels rather than rows */
    int64_t tile_count;
    hd_activation activation;
} hd_cpu_gemm;

/* copies: how many products of these sizes are computed side by side (a batch), at least 1. */
void hd_cpu_gemm_plan(hd_cpu_gemm *gemm, int64_t rows, int64_t columns, int64_t depth,
                      int64_t copies);
/* The same as one tile. */
void hd_cpu_gemm_plan_whole(hd_cpu_gemm *gemm, int64_t rows, int64_t columns, int64_t depth);

/* Bytes of scratch memory that hd_cpu_gemm_run wants when B is not packed. */
#define HD_GEMM_SCRATCH_SIZE 32768

/* What one call multiplies. As in hd_cpu_gemm_block, for whole matrices. */
typedef struct hd_cpu_gemm_operands {
    const float *a;
    int64_t a_row;
    int64_t a_depth;
    const float *b;
    bool packed;     /* b is packed, and b_depth and b_column mean nothing */
    int64_t b_depth; /* element (k, column) at b[k * b_depth + column * b_column] */
    int64_t b_column;
    float *c;
    int64_t c_row;
    float scale; /* 0: none */
    const float *bias;
    const float *residual;
    int64_t residual_row;
} hd_cpu_gemm_operands;

/* Computes tile `tile` of [0, tile_count). C overlaps no other operand. scratch: this thread's,
 * at a cache line, HD_GEMM_SCRATCH_SIZE bytes; may be NULL when b is packed. */
void hd_cpu_gemm_run(const hd_cpu_gemm *gemm, const hd_cpu_gemm_operands *operands, int64_t tile,
                     float *scratch);

/* The rows and columns of C that a tile computes. */
typedef struct hd_cpu_gemm_extent {
    int64_t row;
    int64_t row_end;
    int64_t column;
    int64_t column_end;
} hd_cpu_gemm_extent;

hd_cpu_gemm_extent hd_cpu_gemm_tile_extent(const hd_cpu_gemm *gemm, int64_t tile);

#endif
