/* Blocks: constant matrices of a few bits an element, with a scale and perhaps a zero point a block of them.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_GRAPH_EXPANSIONS_BLOCKS_H
#define HD_GRAPH_EXPANSIONS_BLOCKS_H

#include "graph/expansion.h"

/* Rows of `size` elements in blocks of `block`, the last one padded; each row begins with a block. */
typedef struct hd_expand_blocks {
    int64_t rows, size, block;
    int64_t bits;      /* 2, 4 or 8; a byte's lowest bits are its first element */
    hd_value elements; /* uint8 [rows · blocks a row · bytes a block] */
    hd_value scales;   /* of a floating type, one a block */
    hd_value
        zero_points; /* uint8, packed as the elements are, each row in bytes of its own; or of the scales' type;
                           * HD_VALUE_NONE: half of what is possible */
} hd_expand_blocks;

/* The matrix as a constant, float32 [size, rows]: transposed. Fails where the parts are no constants of these sizes. */
hd_value hd_expand_blocks_transposed(hd_expansion *e, const hd_expand_blocks *blocks);

#endif
