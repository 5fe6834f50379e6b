/* The parameters of the plain convolution; see convolution_plain.cu. Counts and strides are in elements; all fit 31 bits. */
#ifndef HD_HAL_CUDA_KERNELS_CONVOLUTION_PLAIN_H
#define HD_HAL_CUDA_KERNELS_CONVOLUTION_PLAIN_H

#include "divisor.h"

#define HD_CUDA_CONVOLUTION_PLAIN_BLOCK 256

/* [N, C, spatial…] of three spatial dimensions. Output position o meets the input position o·stride - pad + k·dilation; transposed: the
 * input position i meets the output position i·stride - pad + k·dilation. */
typedef struct hd_cuda_convolution_any {
    const float *x, *w;
    const float *bias; /* or NULL */
    float *y;
    unsigned count; /* of y */
    int is_transposed;
    hd_cuda_divisor output[3], channels, outputs; /* channels: of y; outputs: of y and a group */
    int input[3], kernel[3], stride[3], dilation[3], pad[3];
    int inputs, groups;               /* inputs: channels of x and a group */
    int image;                        /* of a channel of x */
    int w_group, w_output, w_channel; /* strides of w */
} hd_cuda_convolution_any;

#endif
