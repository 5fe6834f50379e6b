/* The parameters of the float16 and bfloat16 product kernels; see product_half.cu. */
#ifndef HD_HAL_CUDA_KERNELS_PRODUCT_HALF_H
#define HD_HAL_CUDA_KERNELS_PRODUCT_HALF_H

#include "activation.h"

/* Of K, a panel of the weight: 128 bytes a column. */
#define HD_HALF_PANEL 64

/* Kernels: hd_product_<type>_<groups>x<columns>, of (128 groups + 32) threads, for tiles of 64 groups rows, with so many buffers. */
#define HD_HALF_STAGES_1X16   8
#define HD_HALF_STAGES_1X32   8
#define HD_HALF_STAGES_1X64   6
#define HD_HALF_STAGES_2X64   4
#define HD_HALF_STAGES_2X128  3
#define HD_HALF_SLAB(columns) ((columns) < 32 ? (columns) : 32) /* columns that are ended at once */
/* Bytes. */
#define HD_HALF_SHARED(groups, columns, stages)                                                    \
    ((stages) * (64 * (groups) + (columns)) * 2 * HD_HALF_PANEL +                                  \
     4 * (groups) * 16 * (2 * HD_HALF_SLAB(columns) + 16))
#define HD_HALF_PRODUCTS 4 /* of one x, at most */

/* A matrix for the device's copying engine (the driver's CUtensorMap). */
typedef struct hd_cuda_tensor_map {
#ifdef __cplusplus
    alignas(64)
#else
    _Alignas(64)
#endif
        unsigned char bytes[128];
} hd_cuda_tensor_map;

/* How elements lie: halves are of the kernel's own type. */
enum { HD_CUDA_HALF_ELEMENTS, HD_CUDA_FLOAT_ELEMENTS };

/* y = activation(x . w + bias + residual). Rows are dense; k is a multiple of 8, n of 8, and pointers of 16 bytes.
 *
 * w lies in panels of 64 of its K rows, the last one filled up with zeros: of a panel, each of the n columns has its 64 elements one
 * behind the other, as 8 groups of 16 bytes, group g in the place g ^ (column % 8). That is the order in which the multiplying
 * instruction reads shared memory (128-byte swizzle), so that any columns of a panel are copied as they lie. */
typedef struct hd_cuda_half_product {
    hd_cuda_tensor_map x; /* [m, k], halves; its box is a panel of the tile's rows */
    /* of each of `count` products that have all else in common */
    const void *w[HD_HALF_PRODUCTS];     /* [panels, n, 64], halves */
    const float *bias[HD_HALF_PRODUCTS]; /* [n], or NULL */
    void *y[HD_HALF_PRODUCTS];           /* [m, n], of y_kind */
    const void *residual; /* [m, n], of residual_kind, or NULL; of one product alone */
    int count;
    int m, n, k;
    int residual_kind, y_kind;
    hd_cuda_activation activation;
} hd_cuda_half_product;

#endif
