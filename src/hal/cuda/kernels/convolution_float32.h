/* The parameters of the float32 convolution kernels; see convolution_float32.cu. */
#ifndef HD_HAL_CUDA_KERNELS_CONVOLUTION_FLOAT32_H
#define HD_HAL_CUDA_KERNELS_CONVOLUTION_FLOAT32_H

#include "activation.h"

/* Strides are in elements. Channels are those of a group, whose number is blockIdx.z. */
typedef struct hd_cuda_convolution {
    const float *x;
    const float
        *w; /* [group][kernel row][kernel column][channel][outputs, w_stride elements apart] */
    const float *bias;     /* [group][outputs], or NULL */
    const float *residual; /* as y, or NULL */
    float *y;
    int m, n, k; /* output positions of all images, outputs, kernel positions times channels */
    int per;     /* split: chunks a block */
    hd_cuda_activation activation;
    int channels;
    int height, width; /* of the input */
    int output_height, output_width;
    int kernel_width;
    int stride[2], dilation[2], pad[2]; /* along height and width */
    long long x_image;
    int x_row, x_column, x_channel;
    long long y_image;
    int y_position,
        y_output; /* from output position to output position, and from output to output */
    int w_stride;
    long long x_group, w_group, y_group;
    int bias_group;
} hd_cuda_convolution;

/* A convolution of as many groups as channels, channels last, an output a channel; x and y are dense. */
typedef struct hd_cuda_depthwise {
    const float *x;
    const float *w;        /* [kernel row][kernel column][channel] */
    const float *bias;     /* or NULL */
    const float *residual; /* as y, or NULL */
    float *y;
    hd_cuda_activation activation;
    int images, channels;
    int height, width, output_height, output_width;
    int kernel[2], stride[2], dilation[2], pad[2];
} hd_cuda_depthwise;

#endif
