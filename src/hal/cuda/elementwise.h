/* Elementwise: whether an operator may be a step of a chain on a CUDA device.
 *
 * Thread-safety: any thread. */
#ifndef HD_HAL_CUDA_ELEMENTWISE_H
#define HD_HAL_CUDA_ELEMENTWISE_H

#include "operation/operation.h"

bool hd_cuda_elementwise_fuses(const hd_operation *operation);

#endif
