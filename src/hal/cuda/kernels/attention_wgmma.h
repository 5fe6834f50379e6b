/* The kernels of attention_wgmma.cu, hd_attention_wgmma_<type>_<D>: of 128 threads, for 64 queries. */
#ifndef HD_HAL_CUDA_KERNELS_ATTENTION_WGMMA_H
#define HD_HAL_CUDA_KERNELS_ATTENTION_WGMMA_H

#include "attention_half.h"

#define HD_ATTENTION_WGMMA_QUERIES 64 /* of a block */
#define HD_ATTENTION_WGMMA_STAGES                                                                  \
    2 /* tiles of keys, and of values, that are there or on their way */
#define HD_ATTENTION_WGMMA_SHARED(d)                                                               \
    (1024 + (64 + 2 * HD_ATTENTION_WGMMA_STAGES * HD_ATTENTION_HALF_KEYS) * (d) * 2) /* bytes */

#endif
