/* Deformable convolution: the sizes of ONNX's DeformConv over images, which inference, prices and kernels read from here
 * (onnx.ai, "DeformConv").
 *
 * Inputs: x, weight, offsets, bias, mask. Output position o takes element k of the kernel from where Conv would, moved by
 * the offset that belongs to o, k and the channel's group; between pixels it is interpolated, outside it is 0.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_OPERATION_DEFORMABLE_H
#define HD_OPERATION_DEFORMABLE_H

#include "operation/convolution.h"

typedef struct hd_deformable {
    hd_convolution
        sizes; /* of the convolution that it would be without offsets; 2 spatial dimensions */
    int64_t offset_groups; /* of the channels, each with offsets of its own */
} hd_deformable;

/* HD_BAD_MODEL, HD_INVALID_ARGUMENT, HD_UNSUPPORTED: operands or attributes do not fit. */
HD_MUST_CHECK hd_status hd_deformable_resolve(const hd_operation *operation,
                                              hd_deformable *deformable, hd_error *error);

#endif
