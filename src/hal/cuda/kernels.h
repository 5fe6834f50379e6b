/* The compiled kernels (kernels/<name>.cu), as the driver loads them. Thread-safety: immutable. */
#ifndef HD_HAL_CUDA_KERNELS_H
#define HD_HAL_CUDA_KERNELS_H

extern const unsigned char hd_cuda_kernels_elementwise_float32[];

#endif
