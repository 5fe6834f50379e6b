/* CUDA's row of the seam, as far as it goes: elementwise float32 operators whose bits IEEE 754 defines are the device's, the
 * host computes the rest (graph/placement.h).
 *
 * Thread-safety: immutable. */
#ifndef HD_HAL_CUDA_BACKEND_H
#define HD_HAL_CUDA_BACKEND_H

#include "hal/backend.h"

extern const hd_backend hd_backend_cuda;

#endif
