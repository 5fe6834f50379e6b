/* The CPU's row of the seam. Thread-safety: immutable. */
#ifndef HD_HAL_CPU_BACKEND_H
#define HD_HAL_CPU_BACKEND_H

#include "hal/backend.h"

extern const hd_backend hd_backend_cpu;

#endif
