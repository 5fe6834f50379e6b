/* Inference: how types and shapes of outputs follow from inputs, a function each for the table of operators; the files
 * of this folder have one family each.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_GRAPH_OPS_INFERENCE_H
#define HD_GRAPH_OPS_INFERENCE_H

#include "graph/operator.h"

hd_infer hd_infer_affine_grid, hd_infer_argument, hd_infer_arithmetic, hd_infer_attention;
hd_infer hd_infer_bit_cast, hd_infer_gated, hd_infer_scaled_attention;
hd_infer hd_infer_deformable, hd_infer_multinomial, hd_infer_random, hd_infer_random_like;
hd_infer hd_infer_linear_attention, hd_infer_tensor_scatter;
hd_infer hd_infer_batch_norm, hd_infer_cast, hd_infer_cast_like;
hd_infer hd_infer_chain, hd_infer_channel_norm, hd_infer_clip, hd_infer_col2im;
hd_infer hd_infer_comparison, hd_infer_compress, hd_infer_concat, hd_infer_concat_repeated;
hd_infer hd_infer_constant_of_shape, hd_infer_convolution, hd_infer_cum_sum, hd_infer_depth;
hd_infer hd_infer_dequantize, hd_infer_det, hd_infer_dft, hd_infer_dropout,
    hd_infer_dynamic_quantize, hd_infer_einsum, hd_infer_expand;
hd_infer hd_infer_eye_like, hd_infer_flatten, hd_infer_fused_layer_norm, hd_infer_gather;
hd_infer hd_infer_gather_elements, hd_infer_gather_nd, hd_infer_gemm, hd_infer_grid_sample;
hd_infer hd_infer_group_norm, hd_infer_index_check, hd_infer_instance_norm, hd_infer_layer_norm;
hd_infer hd_infer_linear, hd_infer_loss, hd_infer_lp_norm, hd_infer_matmul, hd_infer_mel;
hd_infer hd_infer_nms, hd_infer_non_zero, hd_infer_one_hot, hd_infer_padding, hd_infer_pool;
hd_infer hd_infer_quantize, hd_infer_quantized_product;
hd_infer hd_infer_pool_global, hd_infer_pool_last, hd_infer_power, hd_infer_prelu, hd_infer_range;
hd_infer hd_infer_recurrent, hd_infer_reduce, hd_infer_reshape, hd_infer_reverse_sequence;
hd_infer hd_infer_roi_align, hd_infer_roi_pool, hd_infer_same, hd_infer_scaling;
hd_infer hd_infer_scaling_last, hd_infer_scatter_elements, hd_infer_scatter_nd, hd_infer_shape_of;
hd_infer hd_infer_signal_window, hd_infer_size, hd_infer_slice, hd_infer_softmax, hd_infer_split;
hd_infer hd_infer_squeeze, hd_infer_stft, hd_infer_test, hd_infer_tile, hd_infer_top_k;
hd_infer hd_infer_transpose, hd_infer_transpose_matrix, hd_infer_trilu, hd_infer_turn,
    hd_infer_unique, hd_infer_unpool;
hd_infer hd_infer_lookup, hd_infer_scores, hd_infer_trees, hd_infer_votes;
hd_infer hd_infer_unsqueeze, hd_infer_variance_norm, hd_infer_where;

#endif
