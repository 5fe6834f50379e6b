/* Spatial: the compile functions that the family's table names. */
#ifndef HD_HAL_CPU_OPS_SPATIAL_H
#define HD_HAL_CPU_OPS_SPATIAL_H

#include "hal/cpu/kernel.h"

hd_cpu_compile hd_cpu_pool_compile;        /* MaxPool, AveragePool, LpPool */
hd_cpu_compile hd_cpu_pool_last_compile;   /* heddle.MaxPool, heddle.AveragePool: channels last */
hd_cpu_compile hd_cpu_pool_global_compile; /* Global…Pool, heddle.GlobalAveragePool */
hd_cpu_compile hd_cpu_unpool_compile;      /* MaxUnpool */
hd_cpu_compile hd_cpu_roi_pool_compile;    /* MaxRoiPool */
hd_cpu_compile hd_cpu_roi_align_compile;   /* RoiAlign */
hd_cpu_compile hd_cpu_resize_compile;      /* Resize, Upsample, heddle.Resize */
hd_cpu_compile hd_cpu_grid_sample_compile; /* GridSample */
hd_cpu_compile hd_cpu_deformable_compile;  /* DeformConv */
hd_cpu_compile hd_cpu_affine_grid_compile; /* AffineGrid */
hd_cpu_compile hd_cpu_col2im_compile;      /* Col2Im */
hd_cpu_compile hd_cpu_nms_compile;         /* NonMaxSuppression */

/* HD_UNSUPPORTED unless input 0 is float32. */
hd_status hd_cpu_spatial_float_only(const hd_cpu_compilation *compilation);

/* MaxPool with indices, or of another dtype than float32; from pool_template.h. */
hd_status hd_cpu_pool_indexed_compile(hd_cpu_compilation *compilation);

#endif
