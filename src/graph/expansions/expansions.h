/* Expansions: what operators are written out in (graph/expansion.h), a function each for the table of operators; the
 * files of this folder have one family each.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_GRAPH_EXPANSIONS_EXPANSIONS_H
#define HD_GRAPH_EXPANSIONS_EXPANSIONS_H

#include "graph/operator.h"

hd_expand hd_expand_bias_gelu, hd_expand_fast_gelu, hd_expand_gelu, hd_expand_quick_gelu;

#endif
