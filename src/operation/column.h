/* Column: the sizes of one Col2Im. Thread-safety: works on its arguments only. */
#ifndef HD_OPERATION_COLUMN_H
#define HD_OPERATION_COLUMN_H

#include "operation/operation.h"

typedef struct hd_column {
    uint32_t spatial; /* 1 to 6 */
    int64_t batch, channels;
    int64_t image[HD_MAX_RANK];
    int64_t block[HD_MAX_RANK];
    int64_t blocks[HD_MAX_RANK]; /* how many along each dimension */
    int64_t dilation[HD_MAX_RANK];
    int64_t stride[HD_MAX_RANK];
    int64_t pad_begin[HD_MAX_RANK];
    int64_t block_size;  /* elements of a block */
    int64_t block_count; /* blocks of an image */
} hd_column;

/* Reads Col2Im, whose inputs 1 and 2 are known. HD_BAD_MODEL, HD_INVALID_ARGUMENT. */
HD_MUST_CHECK hd_status hd_column_resolve(const hd_operation *operation, hd_column *column,
                                          hd_error *error);

#endif
