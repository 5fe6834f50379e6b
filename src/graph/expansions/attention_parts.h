/* What the attentions of domain com.microsoft are made of. B batch entries, S queries, T keys, N heads of D elements.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_GRAPH_EXPANSIONS_ATTENTION_PARTS_H
#define HD_GRAPH_EXPANSIONS_ATTENTION_PARTS_H

#include "graph/expansions/parts.h"

/* [B, S, N·D] becomes [B, N, S, D], and back. */
hd_value hd_expand_split_heads(hd_expansion *e, hd_value x, int64_t heads);
hd_value hd_expand_join_heads(hd_expansion *e, hd_value x);

/* a + b, where either may be left out. */
hd_value hd_expand_sum(hd_expansion *e, hd_value a, hd_value b);

/* The factor of scores for queries q [.., D]: the attribute `scale` or, without it, 1 / √D. */
hd_value hd_expand_attention_scale(hd_expansion *e, hd_value q);

/* softmax(scale · q · kᵀ + mask) · v: q [B, N, S, D], k [B, N, T, D], v [B, N, T, E], a mask that broadcasts to
 * [B, N, S, T] or HD_VALUE_NONE; [B, N, S, E]. */
hd_value hd_expand_attend(hd_expansion *e, hd_value q, hd_value k, hd_value v, hd_value mask);

/* What is added to scores for a mask of int32: [B], how many keys count; [2 · B], behind that where the first one lies;
 * or of two to four dimensions, positive where a key counts. `filter` is added where one does not. batch, keys: B and T,
 * int64 [1]. */
hd_value hd_expand_key_mask(hd_expansion *e, hd_value mask, hd_value batch, hd_value keys,
                            float filter);

/* [S, T]: the lowest number where a key stands behind its query, of which the first stands at `past`, else 0. All int64 [1]. */
hd_value hd_expand_causal_mask(hd_expansion *e, hd_value past, hd_value queries, hd_value keys);

#endif
