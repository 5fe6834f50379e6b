/* Activation: what fused kernels apply to a block of results while it is in the cache. */
#ifndef HD_HAL_CPU_ACTIVATION_H
#define HD_HAL_CPU_ACTIVATION_H

#include <stddef.h>

#include "operation/fused.h"

/* x = activation(x), n elements. The same bits as the elementwise operator of that name.
 * Thread-safety: any thread, on its own x. */
void hd_cpu_activation_apply(const hd_activation *activation, float *x, size_t n);

#endif
