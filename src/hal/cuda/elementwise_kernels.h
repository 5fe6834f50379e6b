/* Elementwise kernels: those that the driver has compiled for a program (elementwise_text.h), kept until the unit closes.
 *
 * Thread-safety: any thread. */
#ifndef HD_HAL_CUDA_ELEMENTWISE_KERNELS_H
#define HD_HAL_CUDA_ELEMENTWISE_KERNELS_H

#include "hal/cuda/elementwise_text.h"
#include "hal/cuda/unit.h"

enum {
    HD_CUDA_ELEMENTWISE_KERNELS_MAX = 4096
}; /* a unit's at first; further programs are interpreted */

/* The caller owns it. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_cuda_elementwise_kernels_create(hd_cuda_elementwise_kernels **out);
/* How many there may be; for tests, which have all programs interpreted by none. */
void hd_cuda_elementwise_kernels_limit(hd_cuda_elementwise_kernels *kernels, size_t limit);
/* Nobody uses its kernels. *kernels may be NULL, and is afterwards. */
void hd_cuda_elementwise_kernels_destroy(const hd_cuda_unit *unit,
                                         hd_cuda_elementwise_kernels **kernels);

/* The kernel, compiled where it is new. NULL in *out_function: it has to be interpreted, since the driver cannot compile, or
 * there are too many. HD_OUT_OF_MEMORY, HD_LOST. */
HD_MUST_CHECK hd_status hd_cuda_elementwise_kernel(const hd_cuda_unit *unit,
                                                   const hd_cuda_pattern *pattern,
                                                   CUfunction *out_function);

#endif
