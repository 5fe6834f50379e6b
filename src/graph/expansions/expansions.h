/* Expansions: what operators are written out in (graph/expansion.h), a function each for the table of operators; the
 * files of this folder have one family each.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_GRAPH_EXPANSIONS_EXPANSIONS_H
#define HD_GRAPH_EXPANSIONS_EXPANSIONS_H

#include "graph/operator.h"

hd_expand hd_expand_attention, hd_expand_bias_gelu, hd_expand_embed_layer_norm, hd_expand_fast_gelu;
hd_expand hd_expand_causal_conv, hd_expand_rotary_embedding;
hd_expand hd_expand_fused_conv, hd_expand_fused_gemm, hd_expand_fused_matmul, hd_expand_gelu;
hd_expand hd_expand_gemm_fast_gelu, hd_expand_multi_head_attention, hd_expand_quick_gelu;
hd_expand hd_expand_simplified_layer_norm, hd_expand_skip_layer_norm;
hd_expand hd_expand_skip_simplified_layer_norm;

#endif
