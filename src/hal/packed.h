/* Packed: a constant operand in the form that a backend's kernels read, made once a model (FLAT).
 *
 * Whether and how an operand is packed follows from the operation's type, its attributes and the
 * constant's own type and shape, so it is decided when the model is loaded, before any plan.
 *
 * Thread-safety: immutable once made. */
#ifndef HD_HAL_PACKED_H
#define HD_HAL_PACKED_H

#include "operation/operation.h"

typedef enum hd_packing {
    HD_PACKING_NONE,              /* kernels read the elements as they are */
    HD_PACKING_MATRIX,            /* [K, N]: panels of columns for x · w */
    HD_PACKING_MATRIX_TRANSPOSED, /* the same panels from a constant that is stored [N, K] */
    HD_PACKING_CONVOLUTION,       /* [M, C/1, kh, kw], group 1, for channels-last products */
    HD_PACKING_CONVOLUTION_WINOGRAD, /* [M, C, 3, 3], group 1, stride and dilation 1: transformed */
    HD_PACKING_DEPTHWISE,         /* [C·m, 1, kh, kw], group C */
    HD_PACKING_CONVOLUTION_GROUPS, /* the remaining groups */
    HD_PACKING_CONVOLUTION_TRANSPOSED, /* [C, M/group, kh, kw], of ConvTranspose */
    HD_PACKING_CONVOLUTION_FOLDED      /* the same, group 1, where the stride is the kernel's size:
                                          a matrix [C, kh·kw·M] */
} hd_packing;

typedef struct hd_packed {
    hd_packing packing;
    hd_shape shape; /* of the constant as the model has it */
    size_t size;    /* bytes of `memory` (hd_pages_alloc_charged) */
    void *memory;
    struct hd_memory_owner *owner; /* who was charged for it */
} hd_packed;

#endif
