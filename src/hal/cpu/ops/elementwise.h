/* Elementwise: which operations the CPU can evaluate as steps of a "heddle.Elementwise" chain. */
#ifndef HD_HAL_CPU_OPS_ELEMENTWISE_H
#define HD_HAL_CPU_OPS_ELEMENTWISE_H

#include "operation/fused.h"

/* The operation, of which the type, the attributes and the operands' dtypes are looked at, may be a
 * step. A chain gives the same bits as its operations one by one. */
bool hd_cpu_elementwise_fuses(const hd_operation *operation);

#endif
