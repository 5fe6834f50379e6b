/* Strided copy: elements from one box of strides to another of the same dimensions. Transpose, Slice,
 * Expand, Tile, Concat and others are one or several of these.
 *
 * Prepared once: adjacent dimensions that are contiguous on both sides are merged, short contiguous
 * runs become wider elements, and one of four inner loops is chosen. Cut into tiles as a kernel is.
 *
 * Thread-safety: immutable once prepared. */
#ifndef HD_HAL_CPU_OPS_STRIDED_COPY_H
#define HD_HAL_CPU_OPS_STRIDED_COPY_H

#include <stddef.h>
#include <stdint.h>

#define HD_STRIDED_COPY_RANK 16

/* Copies a plane of `rows` x `columns` elements; strides in bytes: of a row, of a column. */
typedef void hd_cpu_plane_copy(const unsigned char *source, unsigned char *target, int64_t rows,
                               int64_t columns, const int64_t source_strides[2],
                               const int64_t target_strides[2]);

typedef struct hd_cpu_strided_copy {
    hd_cpu_plane_copy *plane;
    uint32_t outer_rank; /* dimensions outside the plane */
    int64_t outer_dims[HD_STRIDED_COPY_RANK];
    int64_t outer_source[HD_STRIDED_COPY_RANK]; /* strides in bytes */
    int64_t outer_target[HD_STRIDED_COPY_RANK];
    int64_t rows, columns; /* of the plane */
    int64_t source_strides[2];
    int64_t target_strides[2];
    int64_t row_block, column_block; /* of the piece of a plane that one item copies */
    int64_t row_blocks, column_blocks;
    int64_t items;
    int64_t tile_count; /* at least 1 */
} hd_cpu_strided_copy;

/* dims, and strides in elements, of rank <= HD_STRIDED_COPY_RANK dimensions, the target's outermost
 * first; element: 1, 2, 4 or 8 bytes, or 16 (texts). No two positions of the target are the same. */
void hd_cpu_strided_copy_prepare(hd_cpu_strided_copy *copy, uint32_t rank, const int64_t *dims,
                                 const int64_t *source_strides, const int64_t *target_strides,
                                 size_t element);

/* Copies tiles [begin, end). `source` and `target` are where position 0, 0, … lies. */
void hd_cpu_strided_copy_run(const hd_cpu_strided_copy *copy, const void *source, void *target,
                             int64_t begin, int64_t end);

/* The transposing plane copy with AVX2 for 4-byte elements: source columns and target rows have stride
 * 4 between neighbours of the other dimension (source_strides[0] == target_strides[1] == 4). */
hd_cpu_plane_copy hd_cpu_plane_transpose_4_avx2;

#endif
