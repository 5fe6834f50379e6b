/* The parameters of the products of quantized numbers; see integer_product.cu. Counts and strides are in elements; all fit 31 bits. */
#ifndef HD_HAL_CUDA_KERNELS_INTEGER_PRODUCT_H
#define HD_HAL_CUDA_KERNELS_INTEGER_PRODUCT_H

#include "divisor.h"

#define HD_CUDA_INTEGER_TILE  32 /* columns, and rows, of a block */
#define HD_CUDA_INTEGER_BLOCK 256
#define HD_CUDA_INTEGER_RANK  8

/* One factor, of bytes. Its zero point and scale: one, or one an item (a row or a column). */
typedef struct hd_cuda_integer_factor {
    const unsigned char *data;
    const unsigned char *zero; /* or NULL: 0 */
    const float *scale;        /* or NULL, where sums are wanted */
    int is_signed, zero_is_each, scale_is_each;
} hd_cuda_integer_factor;

/* A number of planes, each y[row, column] = sum over depth of (a - zero)(b - zero), of which neighbouring columns neighbour each
 * other. Matrices: a gives rows, b columns. Convolutions: the weight a gives rows, its channels, and the image b columns, positions. */
typedef struct hd_cuda_integer_product {
    hd_cuda_integer_factor a, b;
    const int *bias;      /* convolution: one a row; or NULL */
    const float *y_scale; /* or NULL: y is the int32 sum */
    const unsigned char *y_zero;
    void *y;
    int y_is_signed;
    int rows, columns, depth;
    hd_cuda_divisor row_tiles, column_tiles; /* of a plane */
    /* matrices: dimensions of the batch, strides of which a repeated one is 0 */
    int batch_rank;
    hd_cuda_divisor batch_dims[HD_CUDA_INTEGER_RANK];
    int a_strides[HD_CUDA_INTEGER_RANK], b_strides[HD_CUDA_INTEGER_RANK];
    /* convolutions: three spatial dimensions; a plane is a group of an image */
    hd_cuda_divisor groups, taps, kernel[3], output[3];
    int input[3], stride[3], dilation[3], pad[3];
    int image; /* elements of a channel */
} hd_cuda_integer_product;

#endif
