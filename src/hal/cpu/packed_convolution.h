/* Packed convolution: the part of packed.h that knows convolutions' weights. packed.c calls both.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_HAL_CPU_PACKED_CONVOLUTION_H
#define HD_HAL_CPU_PACKED_CONVOLUTION_H

#include "hal/cpu/packing.h"

/* hd_cpu_packing of a convolution ("heddle.Conv"): one of HD_PACKING_CONVOLUTION,
 * _CONVOLUTION_WINOGRAD, _DEPTHWISE, _CONVOLUTION_GROUPS, _CONVOLUTION_TRANSPOSED,
 * _CONVOLUTION_FOLDED, or HD_PACKING_NONE; HD_PACKING_NONE for all other operations. */
hd_cpu_packing_kind hd_cpu_packing_convolution(const hd_operation *operation, size_t index);

/* hd_cpu_pack of these: fills `packed` (packing and shape are set; size is 0) with memory of
 * hd_pages_alloc and its size. HD_OUT_OF_MEMORY; then packed->memory is NULL. */
HD_MUST_CHECK hd_status hd_cpu_pack_convolution(const hd_operand *constant, int64_t group,
                                                hd_packed *packed, hd_error *error);

#endif
