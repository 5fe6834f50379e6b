/* The parameters of the kernels that make elements of little: OneHot, EyeLike, Range, ConstantOfShape, Dropout's mask; see making.cu.
 * Counts are in elements; all fit 31 bits. */
#ifndef HD_HAL_CUDA_KERNELS_MAKING_H
#define HD_HAL_CUDA_KERNELS_MAKING_H

#include "divisor.h"

#define HD_CUDA_MAKE_BLOCK 256

/* y = value everywhere or, where there are rows, on the diagonal column = row + k of a matrix, and 0 elsewhere. */
typedef struct hd_cuda_fill {
    void *y;
    unsigned long long value; /* the element's bits */
    unsigned count;
    int has_rows, k;
    hd_cuda_divisor columns;
} hd_cuda_fill;

enum {
    HD_CUDA_HOT_FLOAT32,
    HD_CUDA_HOT_FLOAT64,
    HD_CUDA_HOT_UINT64,
    HD_CUDA_HOT_INT64,
    HD_CUDA_HOT_INT32,
    HD_CUDA_HOT_UINT32,
    HD_CUDA_HOT_INT16,
    HD_CUDA_HOT_UINT16,
    HD_CUDA_HOT_INT8,
    HD_CUDA_HOT_UINT8
};

/* y[o, d, i] = indices[o, i] is d, or d - depth ? values[1] : values[0] */
typedef struct hd_cuda_one_hot {
    const void *indices, *values;
    void *y;
    unsigned count;
    int index_type;
    hd_cuda_divisor depth, inner;
} hd_cuda_one_hot;

/* y[i] = start + i · delta */
typedef struct hd_cuda_range {
    const void *start, *delta;
    void *y;
    unsigned count;
} hd_cuda_range;

#endif
