/* Rotary: positions as rotations of pairs of elements (arxiv.org/abs/2104.09864), as the operators of domain com.microsoft
 * have them.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_GRAPH_EXPANSIONS_ROTARY_H
#define HD_GRAPH_EXPANSIONS_ROTARY_H

#include "graph/expansions/parts.h"

typedef struct hd_expand_rotation {
    hd_value cos, sin;  /* [M, R / 2]: a row a position */
    hd_value positions; /* int64, [1 or B, S] */
    int64_t axis;       /* behind which x has its heads: 1 of [B, N, S, D], 2 of [B, S, N, D] */
    bool interleaved;   /* pairs are neighbours, not half of R apart */
    bool partial;       /* R may be less than D: what is behind R stays */
} hd_expand_rotation;

/* x, of four dimensions, rotated. */
hd_value hd_expand_rotate(hd_expansion *e, hd_value x, const hd_expand_rotation *rotation);

#endif
