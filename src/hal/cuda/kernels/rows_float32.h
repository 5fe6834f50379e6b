/* The parameters of the float32 row kernels; see rows_float32.cu. */
#ifndef HD_HAL_CUDA_KERNELS_ROWS_FLOAT32_H
#define HD_HAL_CUDA_KERNELS_ROWS_FLOAT32_H

enum { HD_CUDA_SOFTMAX, HD_CUDA_LOG_SOFTMAX };

/* Rows lie one behind the other. Lengths are a multiple of 4 and pointers of 16 bytes, except where ALIGNED is false. */
typedef struct hd_cuda_rows {
    const float *x;        /* [rows, length] */
    const float *residual; /* layer norm: added to x; or NULL */
    const float *scale;    /* layer norm: [length] */
    const float *bias;     /* layer norm: [length], or NULL */
    float *y;              /* [rows, length] */
    float *sum;            /* layer norm: x + residual, where wanted; or NULL */
    int rows, length;
    float epsilon;
    int kind; /* softmax: HD_CUDA_SOFTMAX or HD_CUDA_LOG_SOFTMAX */
} hd_cuda_rows;

#endif
