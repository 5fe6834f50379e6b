/* Parts that several expansions are made of.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_GRAPH_EXPANSIONS_PARTS_H
#define HD_GRAPH_EXPANSIONS_PARTS_H

#include "graph/expansion.h"

/* The activation of that name ("Relu", …; "": none) with up to two parameters, NAN where one is not given. Fails where
 * there is none of the name. */
hd_value hd_expand_activation(hd_expansion *e, hd_value x, const char *name, float alpha,
                              float beta);

/* A node of `id` with the operator's attributes but for those that `without` lists (ended by NULL). */
hd_value hd_expand_same(hd_expansion *e, hd_operator_id id, const hd_value *inputs,
                        size_t input_count, const char *const *without);

/* What has `rank` dimensions from channels last to channels first, or back; what was turned just before is taken as it was. */
hd_value hd_expand_turn_channels(hd_expansion *e, hd_value x, int rank, bool to_first);

#endif
