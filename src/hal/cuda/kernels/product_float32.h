/* The parameters of the float32 product kernels; see product_float32.cu. */
#ifndef HD_HAL_CUDA_KERNELS_PRODUCT_FLOAT32_H
#define HD_HAL_CUDA_KERNELS_PRODUCT_FLOAT32_H

#include "activation.h"

#define HD_CHUNK 128 /* as in product_tile.cuh */

typedef struct hd_cuda_product {
    const float *x;        /* [m, k] */
    const float *w;        /* [k, n] */
    const float *bias;     /* [n], or NULL */
    const float *residual; /* [m, n], or NULL */
    float *y;              /* [m, n] */
    int m, n, k;
    int per; /* split: chunks a block */
    hd_cuda_activation activation;
    /* elements from row to row, multiples of 4 */
    int x_stride, w_stride, residual_stride, y_stride;
    long long x_batch_stride, w_batch_stride, residual_batch_stride, y_batch_stride;
} hd_cuda_product;

#define HD_CUDA_PRODUCT_BATCH 6

/* A product whose operands lie anyhow: alpha * x . w + bias + beta * c. */
typedef struct hd_cuda_plain_product {
    const float *x;
    const float *w;
    const float *bias; /* [n], or NULL */
    const float *c;    /* or NULL */
    float *y;          /* row-major, n elements from row to row */
    int m, n, k;
    float alpha, beta; /* 1: left out */
    hd_cuda_activation activation;
    long long x_m, x_k, w_k, w_n, c_m,
        c_n; /* elements from row to row, and from column to column */
    int batch_rank;
    int batch_dims[HD_CUDA_PRODUCT_BATCH];
    long long x_batch[HD_CUDA_PRODUCT_BATCH], w_batch[HD_CUDA_PRODUCT_BATCH];
    long long y_batch; /* elements from entry to entry */
} hd_cuda_plain_product;

#endif
