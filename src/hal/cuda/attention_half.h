/* Fused attention in halves.
 *
 * Thread-safety: any thread; one at a time a compilation. */
#ifndef HD_HAL_CUDA_ATTENTION_HALF_H
#define HD_HAL_CUDA_ATTENTION_HALF_H

#include "hal/cuda/step.h"

/* Of an operation whose q, k, v and y are halves. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_cuda_compile_attention_half(hd_cuda_compilation *compilation);

#endif
