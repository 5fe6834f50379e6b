/* The parameters of the row kernels; see rows_tile.cuh. */
#ifndef HD_HAL_CUDA_KERNELS_ROWS_H
#define HD_HAL_CUDA_KERNELS_ROWS_H

enum { HD_CUDA_SOFTMAX, HD_CUDA_LOG_SOFTMAX };
enum { HD_CUDA_LAYER_NORM, HD_CUDA_RMS_NORM }; /* the latter takes no mean away */
enum { HD_CUDA_ROWS_FLOAT32, HD_CUDA_ROWS_FLOAT16, HD_CUDA_ROWS_BFLOAT16 };

/* Rows lie one behind the other. Lengths are a multiple of 4 and pointers of 16 bytes, except where ALIGNED is false. */
typedef struct hd_cuda_rows {
    const void *x;        /* [rows, length] */
    const void *residual; /* layer norm: added to x; or NULL */
    const float *scale;   /* layer norm: [length] */
    const float *bias;    /* layer norm: [length], or NULL */
    void *y;              /* [rows, length] */
    void *sum;            /* layer norm: x + residual, where wanted; or NULL */
    int rows, length;
    float epsilon;
    int kind; /* HD_CUDA_SOFTMAX or HD_CUDA_LOG_SOFTMAX; HD_CUDA_LAYER_NORM or HD_CUDA_RMS_NORM */
    /* of their elements; the float32 kernels take all for floats */
    int x_kind, residual_kind, y_kind, sum_kind;
} hd_cuda_rows;

#endif
