/* Normalization: the compile functions that the family's table names. */
#ifndef HD_HAL_CPU_OPS_NORMALIZATION_H
#define HD_HAL_CPU_OPS_NORMALIZATION_H

#include "hal/cpu/kernel.h"

hd_cpu_compile
    hd_cpu_layer_norm_compile; /* LayerNormalization, RMSNormalization, heddle.LayerNorm */
hd_cpu_compile hd_cpu_batch_norm_compile;    /* BatchNormalization */
hd_cpu_compile hd_cpu_group_norm_compile;    /* InstanceNormalization, GroupNormalization */
hd_cpu_compile hd_cpu_lrn_compile;           /* LRN */
hd_cpu_compile hd_cpu_lp_norm_compile;       /* LpNormalization */
hd_cpu_compile hd_cpu_mean_variance_compile; /* MeanVarianceNormalization */

/* For operators that exist in float32 only. */
hd_status hd_cpu_float_only(const hd_cpu_compilation *compilation);

#endif
