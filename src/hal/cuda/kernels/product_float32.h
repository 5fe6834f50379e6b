/* The parameters of the float32 product kernels; see product_float32.cu. */
#ifndef HD_HAL_CUDA_KERNELS_PRODUCT_FLOAT32_H
#define HD_HAL_CUDA_KERNELS_PRODUCT_FLOAT32_H

/* The length of a chunk of K: its sum is one chain. */
#define HD_CHUNK 128

enum { HD_CUDA_IDENTITY, HD_CUDA_RELU, HD_CUDA_GELU };

typedef struct hd_cuda_product {
    const float *x;        /* [m, k] */
    const float *w;        /* [k, n] */
    const float *bias;     /* [n], or NULL */
    const float *residual; /* [m, n], or NULL */
    float *y;              /* [m, n] */
    int m, n, k;
    int activation;
    /* elements from row to row, multiples of 4 */
    int x_stride, w_stride, residual_stride, y_stride;
    long long x_batch_stride, w_batch_stride, residual_batch_stride, y_batch_stride;
} hd_cuda_product;

#endif
