/* Axes: which dimensions an operator reduces over, from its attribute or, in newer operator sets, from
 * an input; asked by shape inference and by the backends.
 *
 * Thread-safety: any thread. */
#ifndef HD_OPERATION_AXES_H
#define HD_OPERATION_AXES_H

#include "operation/operation.h"

typedef enum hd_axes_result {
    HD_AXES_DONE,
    HD_AXES_NEEDS_VALUE, /* input `input` is not known yet */
    HD_AXES_FAILED       /* error is filled */
} hd_axes_result;

/* Sets reduced[axis] for each of the rank dimensions. Without axes all are reduced, or none where the
 * attribute noop_with_empty_axes is set. */
hd_axes_result hd_axes_reduced(const hd_operation *operation, size_t input, uint32_t rank,
                               bool reduced[HD_MAX_RANK], hd_error *error);

/* The elements before `axis`, along it, and after it. */
typedef struct hd_axis_split {
    int64_t outer;
    int64_t size;
    int64_t inner;
} hd_axis_split;

/* How Softmax, LogSoftmax and Hardmax see a shape: from opset 13 along one axis, before it all that
 * follows the axis as one. False when the axis is out of range. */
bool hd_axis_split_softmax(const hd_operation *operation, hd_axis_split *out_split);

#endif
