/* The parameters of the discrete Fourier transforms; see fourier.cu. Counts and strides are in numbers; all fit 31 bits. */
#ifndef HD_HAL_CUDA_KERNELS_FOURIER_H
#define HD_HAL_CUDA_KERNELS_FOURIER_H

#include "divisor.h"

#define HD_CUDA_FOURIER_BLOCK 256

/* A transform of `length` points for each lane: a row along DFT's axis, or a frame of STFT. */
typedef struct hd_cuda_fourier {
    const float *x;
    const float *window; /* of a lane's points; or NULL */
    double *roots;       /* [length, 2]: exp(-+2 pi i k / length) */
    float *y;
    unsigned count; /* of y, in points */
    int length, given,
        components; /* given: points that x has; the others are 0; components: 1 or 2 numbers a point of x */
    int is_inverse;
    int mirrors;                 /* x is half a spectrum, whose other half mirrors it: y is real */
    hd_cuda_divisor bins, lanes; /* of y; lanes: side by side (DFT), or frames of a signal (STFT) */
    int are_frames;
    int outer_stride, lane_stride, point_stride; /* of x */
    double scale;
} hd_cuda_fourier;

#endif
