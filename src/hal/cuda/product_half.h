/* Products of halves in a list: those of one x, one behind the other, are one launch.
 *
 * Thread-safety: any thread. */
#ifndef HD_HAL_CUDA_PRODUCT_HALF_H
#define HD_HAL_CUDA_PRODUCT_HALF_H

#include "hal/cuda/graph.h"
#include "hal/cuda/step.h"

/* Has a command, made of launches that join, do what another such launch does, too, if both have all but weight, bias and y in common;
 * that they read the same x is the caller's to know. *shift: bytes from where the launch's pointers (but that of x) are said to stand
 * to where they stand in the command. false: it is not possible. */
bool hd_cuda_half_product_join(const hd_cuda_unit *unit, hd_cuda_command *into,
                               const hd_cuda_launch *launch, size_t *shift);

#endif
