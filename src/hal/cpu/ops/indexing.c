#include "hal/cpu/kernel.h"

const hd_cpu_operator hd_cpu_operators_indexing[] = {
    {0},
};
