/* Compile: from an operation to its CPU kernel. */
#ifndef HD_HAL_CPU_COMPILE_H
#define HD_HAL_CPU_COMPILE_H

#include "hal/cpu/kernel.h"

/* Fills *kernel; its parameters lie in `region`. HD_UNSUPPORTED names node and reason;
 * HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_cpu_compile_operation(const hd_operation *operation, hd_region *region,
                                                 hd_kernel *kernel, hd_error *error);

#endif
