/* The parameters of the kernels for pooling and resizing; see spatial.cu. Counts and strides are in elements; all fit 31 bits. */
#ifndef HD_HAL_CUDA_KERNELS_SPATIAL_H
#define HD_HAL_CUDA_KERNELS_SPATIAL_H

#include "divisor.h"

#define HD_CUDA_SPATIAL_BLOCK 256

enum { HD_CUDA_POOL_MAX, HD_CUDA_POOL_AVERAGE, HD_CUDA_POOL_LP };

/* A window over three spatial dimensions, as hd_window (operation/window.h) has them; those that are missing are 1. */
typedef struct hd_cuda_pool {
    const float *x;
    float *y;
    unsigned count; /* of y, or of its groups of four channels */
    int kind, power;
    int counts_padding;
    int channels;
    hd_cuda_divisor channel_groups; /* channels last: of those that a thread computes together */
    int x_stride[3]; /* from one input position to the next; channels first: of a channel's plane */
    int x_plane;     /* channels first: of a channel; last: of an image */
    hd_cuda_divisor output[3];
    int input[3], kernel[3], stride[3], dilation[3], pad_begin[3], pad_end[3];
} hd_cuda_pool;

/* Where an output position lies in the input, as scaling.c has it; t and f: the scale is t / f. */
enum {
    HD_CUDA_RESIZE_SAME,
    HD_CUDA_RESIZE_CONSTANT,     /* at `offset` */
    HD_CUDA_RESIZE_CORNERS,      /* x · (in - 1) · f / (t · in - f) */
    HD_CUDA_RESIZE_ASYMMETRIC,   /* x · f / t */
    HD_CUDA_RESIZE_HALF_NEAREST, /* (2x + 1) · f / 2t */
    HD_CUDA_RESIZE_CROP,         /* (in - 1) · (begin · (out - 1 - x) + end · x) / (out - 1) */
    HD_CUDA_RESIZE_HALF          /* (offset + (2x + 1) · f - t) / 2t */
};

enum {
    HD_CUDA_RESIZE_FLOOR,
    HD_CUDA_RESIZE_CEIL,
    HD_CUDA_RESIZE_PREFER_CEIL,
    HD_CUDA_RESIZE_PREFER_FLOOR
};

enum { HD_CUDA_RESIZE_NEAREST, HD_CUDA_RESIZE_LINEAR, HD_CUDA_RESIZE_CUBIC };

#define HD_CUDA_RESIZE_AXES 8
#define HD_CUDA_RESIZE_MOST 3 /* axes that change */

typedef struct hd_cuda_resize_axis {
    hd_cuda_divisor out;
    int in, stride, position;
    double to, from, begin, end, offset;
} hd_cuda_resize_axis;

typedef struct hd_cuda_resize {
    const void *x;
    void *y;
    unsigned count;
    int rank, mode, rounding;
    int excludes_outside;
    unsigned extrapolation; /* the bits of a float32 */
    double cubic_a;
    hd_cuda_resize_axis axes[HD_CUDA_RESIZE_AXES];
} hd_cuda_resize;

#endif
