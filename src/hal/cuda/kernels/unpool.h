/* The parameters of the kernels that put pieces into an image; see unpool.cu. Counts and strides are in elements; all fit 31 bits. */
#ifndef HD_HAL_CUDA_KERNELS_UNPOOL_H
#define HD_HAL_CUDA_KERNELS_UNPOOL_H

#include "divisor.h"

#define HD_CUDA_UNPOOL_BLOCK 256
#define HD_CUDA_UNPOOL_RANK  8

/* y[place of places[i]] = x[i], and 0 where none is. Places count in `unpooled`, of which y's shape may be a part or more. */
typedef struct hd_cuda_unpool {
    const float *x;
    const long long *places;
    float *y;
    int *elected; /* of each element of y, the last i that goes there; -1: none */
    unsigned count, y_count;
    long long unpooled_count;
    int rank;
    int is_same; /* y's shape is `unpooled` */
    hd_cuda_divisor unpooled[HD_CUDA_UNPOOL_RANK];
    int dims[HD_CUDA_UNPOOL_RANK]; /* of y */
} hd_cuda_unpool;

/* y[plane, place] = sum of the blocks' elements that lie there. x: [planes, block size, blocks]. */
typedef struct hd_cuda_col2im {
    const float *x;
    float *y;
    unsigned count; /* of y */
    int spatial, block_size, block_count;
    hd_cuda_divisor image[HD_CUDA_UNPOOL_RANK], block[HD_CUDA_UNPOOL_RANK];
    int blocks[HD_CUDA_UNPOOL_RANK], dilation[HD_CUDA_UNPOOL_RANK], stride[HD_CUDA_UNPOOL_RANK],
        pad[HD_CUDA_UNPOOL_RANK];
} hd_cuda_col2im;

#endif
