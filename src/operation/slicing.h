/* Slicing: what a Slice operation takes of each axis, from attributes (before opset 10) or inputs.
 * Thread-safety: a plain value. */
#ifndef HD_OPERATION_SLICING_H
#define HD_OPERATION_SLICING_H

#include "operation/operation.h"

/* Along axis i the elements start[i], start[i] + step[i], …: count[i] of them, all inside. */
typedef struct hd_slicing {
    int64_t start[HD_MAX_RANK];
    int64_t step[HD_MAX_RANK];
    int64_t count[HD_MAX_RANK];
} hd_slicing;

/* The first input whose value is needed and unknown, or 0 when all are there (input 0 is the data). */
size_t hd_slicing_needs(const hd_operation *operation);

/* HD_INVALID_ARGUMENT, HD_BAD_MODEL. Only once hd_slicing_needs gives 0. */
HD_MUST_CHECK hd_status hd_slicing_read(const hd_operation *operation, hd_slicing *out_slicing,
                                        hd_error *error);

#endif
