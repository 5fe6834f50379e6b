/* The parameters of the kernels that write to places that indices name, and gather from such; see scatter.cu. Counts, offsets and
 * strides are in elements; all fit 31 bits. */
#ifndef HD_HAL_CUDA_KERNELS_SCATTER_H
#define HD_HAL_CUDA_KERNELS_SCATTER_H

#include "divisor.h"

#define HD_CUDA_SCATTER_RANK  8
#define HD_CUDA_SCATTER_BLOCK 256

/* y[i, b] = x[batch of i, indices[i], b]: each index lists `depth` coordinates, int64. */
typedef struct hd_cuda_gather_points {
    const void *x;
    const long long *indices;
    void *y;
    unsigned count;
    hd_cuda_divisor block, per_batch; /* elements of a slice; slices a batch */
    int batch_stride, depth;
    int dims[HD_CUDA_SCATTER_RANK], strides[HD_CUDA_SCATTER_RANK];
} hd_cuda_gather_points;

/* elected[i] = value: before any update is there. */
typedef struct hd_cuda_scatter_clear {
    int *elected;
    unsigned count;
    int value;
} hd_cuda_scatter_clear;

/* Finds the slice of the output that each update goes to, and elects one update of each slice: the last, or the first. */
typedef struct hd_cuda_scatter_places {
    const void *indices;
    int *places;  /* of each update */
    int *elected; /* of each slice */
    unsigned count;
    int is_wide; /* indices are int64, else int32 */
    int elects_first;
    int is_of_points;
    /* of points: coordinates, the dimensions that they go by, strides in slices */
    int rank;
    int dims[HD_CUDA_SCATTER_RANK];
    int strides[HD_CUDA_SCATTER_RANK]; /* else: of the output; 0 for the axis */
    /* else: of the indices */
    hd_cuda_divisor sizes[HD_CUDA_SCATTER_RANK];
    int axis_stride, dim;
} hd_cuda_scatter_places;

enum { HD_CUDA_SCATTER_ADD, HD_CUDA_SCATTER_MULTIPLY, HD_CUDA_SCATTER_MAX, HD_CUDA_SCATTER_MIN };

/* y holds the data already. Replaced: the elected update, which is the last, is what stays. Folded: the elected update, which is the
 * first, and all behind it that go to its slice meet the element in their order. */
typedef struct hd_cuda_scatter {
    const void *updates;
    const int *places, *elected;
    void *y;
    unsigned count, update_count; /* count: elements of all updates */
    hd_cuda_divisor block;        /* elements of an update */
    int kind;
} hd_cuda_scatter;

/* y = cache, whose rows from starts[entry] on are those of `fresh`; around the end where it is circular. */
typedef struct hd_cuda_cache {
    const void *cache, *fresh;
    const long long *starts; /* or NULL: 0 */
    void *y;
    unsigned count;
    hd_cuda_divisor inner, rows, per_entry; /* items an entry */
    int fresh_rows, is_circular;
} hd_cuda_cache;

/* The first lengths[batch] times of each batch are turned around; y as [first, second, block]. */
typedef struct hd_cuda_reverse {
    const void *x;
    const long long *lengths;
    void *y;
    unsigned count;
    hd_cuda_divisor block, second;
    int first, is_time_first;
} hd_cuda_reverse;

#endif
