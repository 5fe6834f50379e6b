/* Movement: compile functions of the operators that move elements, for the family's table. */
#ifndef HD_HAL_CPU_OPS_MOVEMENT_H
#define HD_HAL_CPU_OPS_MOVEMENT_H

#include "hal/cpu/kernel.h"

/* hal/cpu/ops/movement_pad.c */
hd_cpu_compile hd_cpu_compile_pad;

/* hal/cpu/ops/movement_make.c */
hd_cpu_compile hd_cpu_compile_dropout;
hd_cpu_compile hd_cpu_compile_shape_of;
hd_cpu_compile hd_cpu_compile_size;
hd_cpu_compile hd_cpu_compile_constant_of_shape;
hd_cpu_compile hd_cpu_compile_eye_like;
hd_cpu_compile hd_cpu_compile_range;
hd_cpu_compile hd_cpu_compile_trilu;
hd_cpu_compile hd_cpu_compile_reverse_sequence;

#endif
