/* The parameters of the kernels that move elements, whatever these are; see movement.cu. Counts, offsets and strides are in elements;
 * all fit 31 bits. */
#ifndef HD_HAL_CUDA_KERNELS_MOVEMENT_H
#define HD_HAL_CUDA_KERNELS_MOVEMENT_H

#include "divisor.h"

#define HD_CUDA_MOVE_RANK  16
#define HD_CUDA_MOVE_BLOCK 256
#define HD_CUDA_MOVE_EACH  4 /* elements a thread */
#define HD_CUDA_TURN_TILE  32

/* y[sum index·y_strides] = x[sum index·x_strides] for all indices below dims. */
typedef struct hd_cuda_copy {
    const void *x;
    void *y;
    unsigned count;
    int rank;
    hd_cuda_divisor dims[HD_CUDA_MOVE_RANK];
    int x_strides[HD_CUDA_MOVE_RANK], y_strides[HD_CUDA_MOVE_RANK];
} hd_cuda_copy;

/* The same where rows neighbour each other in x, and columns in y. */
typedef struct hd_cuda_turn {
    const void *x;
    void *y;
    unsigned rows, columns;
    int x_stride; /* from column to column */
    int y_stride; /* from row to row */
    unsigned row_tiles, column_tiles;
    int rank; /* the other dimensions */
    unsigned dims[HD_CUDA_MOVE_RANK];
    int x_strides[HD_CUDA_MOVE_RANK], y_strides[HD_CUDA_MOVE_RANK];
} hd_cuda_turn;

/* As hd_padding_mode (operation/padding.h) numbers them. */
enum { HD_CUDA_PAD_CONSTANT, HD_CUDA_PAD_REFLECT, HD_CUDA_PAD_EDGE, HD_CUDA_PAD_WRAP };

typedef struct hd_cuda_pad {
    const void *x;
    void *y;
    const void *value; /* the element around, or NULL: value_bits */
    unsigned long long value_bits;
    unsigned count; /* of y, row-major */
    int rank, mode;
    hd_cuda_divisor dims[HD_CUDA_MOVE_RANK]; /* of y */
    int x_dims[HD_CUDA_MOVE_RANK], before[HD_CUDA_MOVE_RANK], x_strides[HD_CUDA_MOVE_RANK];
} hd_cuda_pad;

/* y[o, i, b] = x[o, indices[i], b]. Indices below -dim count as 0, above dim - 1 as dim - 1. */
typedef struct hd_cuda_gather {
    const void *x;
    const void *indices;
    void *y;
    unsigned count;
    hd_cuda_divisor index_count, block;
    int dim;
    int is_wide; /* indices are int64, else int32 */
} hd_cuda_gather;

/* y[...] = x[..., indices[...], ...]; strides are x's, that of the axis is axis_stride. */
typedef struct hd_cuda_gather_elements {
    const void *x;
    const void *indices;
    void *y;
    unsigned count;
    int rank;
    hd_cuda_divisor dims[HD_CUDA_MOVE_RANK]; /* of the indices */
    int x_strides[HD_CUDA_MOVE_RANK];        /* 0 for the axis */
    int axis_stride, dim;
    int is_wide;
} hd_cuda_gather_elements;

/* y = x above (upper) or below a diagonal, 0 elsewhere. */
typedef struct hd_cuda_triangle {
    const void *x;
    const long long *k; /* or NULL: 0 */
    void *y;
    unsigned count;
    hd_cuda_divisor rows, columns;
    int is_upper;
} hd_cuda_triangle;

#endif
