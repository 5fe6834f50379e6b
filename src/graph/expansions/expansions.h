/* Expansions: what operators are written out in (graph/expansion.h), a function each for the table of operators; the
 * files of this folder have one family each.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_GRAPH_EXPANSIONS_EXPANSIONS_H
#define HD_GRAPH_EXPANSIONS_EXPANSIONS_H

#include "graph/operator.h"

hd_expand hd_expand_attention, hd_expand_bias_gelu, hd_expand_causal_conv;
hd_expand hd_expand_dequantize_linear, hd_expand_dynamic_quantize_matmul;
hd_expand hd_expand_embed_layer_norm, hd_expand_fast_gelu, hd_expand_fused_conv;
hd_expand hd_expand_fused_gemm, hd_expand_fused_matmul, hd_expand_gelu, hd_expand_gemm_fast_gelu;
hd_expand hd_expand_group_query_attention, hd_expand_matmul_integer_to_float;
hd_expand hd_expand_matmul_nbits, hd_expand_microsoft_rotary_embedding;
hd_expand hd_expand_multi_head_attention, hd_expand_qgemm, hd_expand_qlinear_add;
hd_expand hd_expand_qlinear_average_pool, hd_expand_qlinear_concat;
hd_expand hd_expand_qlinear_global_average_pool, hd_expand_qlinear_leaky_relu;
hd_expand hd_expand_qlinear_mul, hd_expand_qlinear_reduce_mean, hd_expand_qlinear_sigmoid;
hd_expand hd_expand_qlinear_softmax, hd_expand_qlinear_where, hd_expand_quantize_linear;
hd_expand hd_expand_quick_gelu, hd_expand_rotary_embedding, hd_expand_simplified_layer_norm;
hd_expand hd_expand_skip_layer_norm, hd_expand_skip_simplified_layer_norm;
hd_expand hd_expand_array_feature_extractor, hd_expand_binarizer, hd_expand_feature_vectorizer;
hd_expand hd_expand_imputer, hd_expand_label_encoder, hd_expand_linear_classifier;
hd_expand hd_expand_linear_regressor, hd_expand_normalizer, hd_expand_one_hot_encoder;
hd_expand hd_expand_scaler, hd_expand_zip_map;
hd_expand hd_expand_tree_ensemble, hd_expand_tree_ensemble_classifier,
    hd_expand_tree_ensemble_regressor;

#endif
