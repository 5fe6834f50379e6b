/* Kernels of classical models that the family's table lists. */
#ifndef HD_HAL_CPU_OPS_TREES_H
#define HD_HAL_CPU_OPS_TREES_H

#include "hal/cpu/kernel.h"
#include "operation/scores.h"

hd_cpu_compile hd_cpu_compile_lookup, hd_cpu_compile_scores, hd_cpu_compile_votes;

/* Transforms one row's scores in place. */
void hd_cpu_scores_transform(hd_scores_transform transform, float *scores, int64_t count);

#endif
