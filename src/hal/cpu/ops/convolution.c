/* Convolution: the family's kernels on the CPU. */
#include "hal/cpu/kernel.h"

const hd_cpu_operator hd_cpu_operators_convolution[] = {
    {0},
};
