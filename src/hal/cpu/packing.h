/* Packing: the forms in which the CPU keeps constants (hal/packed.h).
 *
 * Thread-safety: immutable. */
#ifndef HD_HAL_CPU_PACKING_H
#define HD_HAL_CPU_PACKING_H

#include "hal/packed.h"

/* The CPU's forms of constants (hd_constant_form.kind). */
typedef enum hd_cpu_packing_kind {
    HD_PACKING_NONE,                 /* kernels read the elements as they are */
    HD_PACKING_MATRIX,               /* [K, N]: panels of columns for x · w */
    HD_PACKING_MATRIX_TRANSPOSED,    /* the same panels from a constant that is stored [N, K] */
    HD_PACKING_CONVOLUTION,          /* [M, C/1, kh, kw], group 1, for channels-last products */
    HD_PACKING_CONVOLUTION_WINOGRAD, /* [M, C, 3, 3], group 1, stride and dilation 1: transformed */
    HD_PACKING_DEPTHWISE,            /* [C·m, 1, kh, kw], group C */
    HD_PACKING_CONVOLUTION_GROUPS,   /* the remaining groups */
    HD_PACKING_CONVOLUTION_TRANSPOSED, /* [C, M/group, kh, kw], of ConvTranspose */
    /* the same, group 1, where the stride is the kernel's size: a matrix [C, kh·kw·M] */
    HD_PACKING_CONVOLUTION_FOLDED,
    /* panels for integer_gemm.h: of a matrix [K, N] of bytes, and of a convolution's [M, C/group, ...], a group after
     * the other */
    HD_PACKING_INTEGER_MATRIX,
    HD_PACKING_INTEGER_CONVOLUTION
} hd_cpu_packing_kind;

/* Groups of so few output channels of quantized numbers are summed without a product, which has panels of 32. */
static inline bool hd_cpu_quantized_is_narrow(int64_t outputs)
{
    return outputs < 4;
}

static inline hd_cpu_packing_kind hd_cpu_packed_packing(const hd_packed *packed)
{
    return (hd_cpu_packing_kind)packed->form.kind;
}

#endif
