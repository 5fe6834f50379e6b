/* Padding: what a Pad or CenterCropPad operation adds to, or cuts from, each axis.
 * Thread-safety: a plain value. */
#ifndef HD_OPERATION_PADDING_H
#define HD_OPERATION_PADDING_H

#include "operation/operation.h"

typedef enum hd_padding_mode {
    HD_PADDING_CONSTANT,
    HD_PADDING_REFLECT, /* without repeating the edge */
    HD_PADDING_EDGE,
    HD_PADDING_WRAP
} hd_padding_mode;

typedef struct hd_padding {
    hd_padding_mode mode;
    int64_t before[HD_MAX_RANK]; /* negative: so many are cut */
    int64_t after[HD_MAX_RANK];
} hd_padding;

/* The first input whose value is needed and unknown, or 0 when all are there (input 0 is the data). */
size_t hd_padding_needs(const hd_operation *operation);

/* HD_INVALID_ARGUMENT, HD_BAD_MODEL, HD_UNSUPPORTED. Only once hd_padding_needs gives 0.
 * Sizes afterwards are at least 0, and axes without elements get none from a mode other than constant. */
HD_MUST_CHECK hd_status hd_padding_read(const hd_operation *operation, hd_padding *out_padding,
                                        hd_error *error);

/* Index into an axis of `dim` elements for position `position` of the padded axis, counted from the
 * first element that was there before; -1: the constant. dim > 0 unless the mode is constant. */
int64_t hd_padding_source(hd_padding_mode mode, int64_t dim, int64_t position);

#endif
