/* The family's kernels in files of their own. */
#ifndef HD_HAL_CPU_OPS_ATTENTION_H
#define HD_HAL_CPU_OPS_ATTENTION_H

#include "hal/cpu/kernel.h"

hd_cpu_compile hd_cpu_compile_linear_attention, hd_cpu_compile_scaled_attention;

#endif
