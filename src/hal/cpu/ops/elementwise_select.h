/* Elementwise selection: which functions make up an operator on given types. */
#ifndef HD_HAL_CPU_OPS_ELEMENTWISE_SELECT_H
#define HD_HAL_CPU_OPS_ELEMENTWISE_SELECT_H

#include "hal/cpu/ops/elementwise_program.h"

/* Instructions that one operation with so many operands needs at most; constants likewise. */
#define HD_ELEMENTWISE_INSTRUCTIONS(operand_count) ((operand_count) + 8)

/* Appends the operation's instructions to the program; values: its operands (HD_ELEMENTWISE_NO_VALUE
 * for one that is left out). Gives the result, which may be an operand itself, or
 * HD_ELEMENTWISE_NO_VALUE when there are no functions for these types or attributes. */
hd_cpu_elementwise_value hd_cpu_elementwise_select(hd_cpu_elementwise_program *program,
                                                   const hd_operation *operation,
                                                   size_t operand_count,
                                                   const hd_cpu_elementwise_value *values);

#endif
