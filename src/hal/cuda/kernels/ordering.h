/* The parameters of the kernels that put elements in order; see ordering.cu. Counts are in elements; all fit 31 bits. */
#ifndef HD_HAL_CUDA_KERNELS_ORDERING_H
#define HD_HAL_CUDA_KERNELS_ORDERING_H

#include "divisor.h"

#define HD_CUDA_TOP_BLOCK  512
#define HD_CUDA_TOP_SORTED 2048 /* elements that a block sorts whole */

/* The best `count` of each lane of x as [outer, dim, inner], best first, to [outer, count, inner]. */
typedef struct hd_cuda_top {
    const void *x;
    void *values; /* or NULL: not wanted, as indices */
    long long *indices;
    hd_cuda_divisor inner;
    int dim, count;
    int is_largest;
} hd_cuda_top;

#endif
