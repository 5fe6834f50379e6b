/* Choice: which of the kernels of products, all of which give the same bits, is done first.
 *
 * Thread-safety: any thread. */
#ifndef HD_HAL_CUDA_PRODUCT_CHOICE_H
#define HD_HAL_CUDA_PRODUCT_CHOICE_H

#include "hal/cuda/step.h"

/* Kinds of kernels; what each computes in which tiles: kernels/product_float32.cu, product_tile.cuh. */
typedef enum hd_cuda_product_kind {
    HD_CUDA_NARROW_1X8,
    HD_CUDA_NARROW_2X16,
    HD_CUDA_NARROW_4X16,
    HD_CUDA_NARROW_4X32,
    HD_CUDA_NARROW_8X16,
    HD_CUDA_NARROW_8X32,
    HD_CUDA_NARROW_16X32,
    HD_CUDA_SPLIT_32X64,
    HD_CUDA_SPLIT_64X64,
    HD_CUDA_SPLIT_64X128,
    HD_CUDA_WIDE_32X64,
    HD_CUDA_WIDE_64X64,
    HD_CUDA_WIDE_64X128,
    HD_CUDA_WIDE_128X128,
    HD_CUDA_PRODUCT_KIND_COUNT
} hd_cuda_product_kind;

/* What is to be computed. */
typedef struct hd_cuda_product_work {
    int64_t m, n, k, batch;
    const hd_cuda_function *functions; /* of each kind; HD_CUDA_COPY: there is none */
    int64_t table_each; /* bytes of shared memory that a step of K takes, beside the tiles */
} hd_cuda_product_work;

/* How the chosen kernel is launched. */
typedef struct hd_cuda_product_shape {
    hd_cuda_function function;
    uint32_t grid[3];
    uint32_t threads;
    uint32_t shared; /* bytes */
    uint32_t shares; /* split: blocks of a cluster; 0: there is none */
    int per;         /* split: chunks a block */
} hd_cuda_product_shape;

/* false: none can. */
bool hd_cuda_product_choose(const hd_cuda_unit *unit, const hd_cuda_product_work *work,
                            hd_cuda_product_shape *out);

#endif
