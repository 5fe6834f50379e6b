/* Packing for the CPU: see hal/packed.h.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_HAL_CPU_PACKED_H
#define HD_HAL_CPU_PACKED_H

#include "hal/cpu/packing.h"

/* How input `index` of the operation is packed. The input's dtype and shape are set, its data is a
 * constant; other operands' shapes may be unknown. */
hd_cpu_packing_kind hd_cpu_packing(const hd_operation *operation, size_t index);

/* Packs a constant (dtype, shape, data set). On success the caller owns *out_packed.
 * HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_cpu_pack(hd_cpu_packing_kind packing, const hd_operand *constant,
                                    int64_t group, hd_packed **out_packed, hd_error *error);
void hd_cpu_packed_destroy(hd_packed **packed);

#endif
