#include "operator_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "graph/operator.h"

#define DATA_LIMIT ((int64_t)1 << 20)

const operator_row operator_rows[] = {
    /* elementwise */
    {"Abs Acos Acosh Asin Asinh Atan Atanh Ceil Celu Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid "
     "HardSwish LeakyRelu "
     "Log Mish Neg Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt "
     "Swish Tan Tanh "
     "ThresholdedRelu Identity IsInf IsNaN Flatten Shape Size EyeLike NonZero",
     "f2x3", NULL, 0, 0},
    {"BitwiseNot Abs Neg Sign", "I2x3", NULL, 0, 0},
    {"Not", "B2x3", NULL, 0, 0},
    {"Add Sub Mul Div Pow PRelu Max Mean Min Sum Equal Greater GreaterOrEqual Less LessOrEqual",
     "f2x3 f2x3", NULL, 0, 0},
    {"Add Sub Mul Div Pow PRelu Max Mean Min Sum Equal Greater GreaterOrEqual Less LessOrEqual",
     "f5x2x3 f3", NULL, 0, 0},
    {"Add Mul Max Equal", "f2x1x7 f5x1", NULL, 0, 0},
    {"Add Sub Mul Div Pow", "f5x2x3 f2", "axis=1 broadcast=1", 0, 6},
    {"Add Sub Mul Div Mod Max Min Equal Less", "L2x3 L3", NULL, 0, 0},
    {"Mod", "f2x3 f3", "fmod=1", 0, 0},
    {"BitShift", "U2x3 U3", "direction='LEFT'", 0, 0},
    {"BitShift", "I2x3 I3", "direction='RIGHT'", 0, 28},
    {"BitCast", "f2x3", "to=6", 0, 0},
    {"SwiGLU", "f2x3 f2x3", "alpha=0.5", 0, 0},
    {"BitwiseAnd BitwiseOr BitwiseXor", "I2x3 I3", NULL, 0, 0},
    {"And Or Xor Equal", "B2x3 B3", NULL, 0, 0},
    {"Clip", "f2x3 f=0 f=1", NULL, 0, 0},
    {"Where", "B2x3 f2x3 f3", NULL, 0, 0},
    {"Cast", "f2x3", "to=7", 0, 0},
    {"CastLike", "f2x3 L4x5", NULL, 0, 0},
    {"Cast", "f2x3", "to=17 saturate=0", 0, 0},
    {"Cast", "f2x3", "to=22", 0, 0},
    {"Cast", "e2x3", "to=23", 0, 28},
    {"Cast", "q2x3", "to=1", 0, 0},
    {"Cast", "L2x3", "to=24 round_mode='nearest'", 0, 28},
    {"CastLike", "f2x3 e4x5", "saturate=0", 0, 0},
    {"QuantizeLinear", "f2x3x4 f3 q3", "axis=1", 0, 0},
    {"QuantizeLinear", "f2x3 f=0.5 e", "saturate=0", 0, 0},
    {"QuantizeLinear", "f2x3 f=0.5", "output_dtype=23 precision=1", 0, 25},
    {"DequantizeLinear", "q2x3x4 f2x3x2 q2x3x2", "axis=2 block_size=2", 0, 0},
    {"DequantizeLinear", "e2x3 f=0.5 e", "output_dtype=1", 0, 25},
    {"com.microsoft.BiasGelu com.microsoft.FastGelu", "f2x3 f3", NULL, 0, 0},
    {"com.microsoft.FastGelu com.microsoft.Gelu", "f2x3", NULL, 0, 0},
    {"com.microsoft.QuickGelu", "f2x3", "alpha=1.5", 0, 0},
    {"Attention", "f2x4x6 f2x5x6 f2x5x9", "q_num_heads=3 kv_num_heads=3 is_causal=1", 0, 0},
    {"Attention", "f2x4x3x8 f2x2x5x8 f2x2x5x7 f3x5", "softcap=2.5", 0, 0},
    {"Attention", "f2x4x3x8 f2x2x5x8 f2x2x5x7 B4x1x9 f2x2x4x8 f2x2x4x7",
     "qk_matmul_output_mode=2 left_window_size=2 right_window_size=1", 4, 25},
    {"Attention", "f2x4x3x8 f2x2x5x8 f2x2x5x7 - - - L[5,2]", "is_causal=1 scale=0.25", 0, 25},
    {"LinearAttention", "f2x4x6 f2x4x6 f2x4x15 f2x3x2x5 f2x4x6 f2x4x3",
     "q_num_heads=3 kv_num_heads=3", 2, 0},
    {"LinearAttention", "f2x4x8 f2x4x4 f2x4x10",
     "q_num_heads=4 kv_num_heads=2 update_rule='linear'", 2, 0},
    {"LinearAttention", "f2x4x8 f2x4x4 f2x4x10 - f2x4x2",
     "q_num_heads=4 kv_num_heads=2 update_rule='gated'", 1, 0},
    {"LinearAttention", "f2x4x8 f2x4x4 f2x4x10 - - f2x4x1",
     "q_num_heads=4 kv_num_heads=2 update_rule='delta' scale=0.5", 2, 0},
    {"RotaryEmbedding", "f2x3x5x8 f2x5x4 f2x5x4", "interleaved=1", 0, 0},
    {"RotaryEmbedding", "f2x5x24 f9x3 f9x3 L2x5", "num_heads=3 rotary_embedding_dim=6", 0, 0},
    {"CausalConvWithState", "f2x3x7 f3x1x4 f3 f2x3x3", "activation='silu'", 2, 0},
    {"CausalConvWithState", "f2x3x7 f3x1x4", NULL, 2, 0},
    {"TensorScatter", "f2x3x7x4 f2x3x2x4 L[1,5]", NULL, 0, 0},
    {"TensorScatter", "f2x7x4 f2x3x4 L[6,5]", "mode='circular' axis=1", 0, 0},
    {"RandomNormal", "", "shape=[2,3] mean=1.5 scale=0.5", 0, 0},
    {"RandomUniform", "", "shape=[2,3] seed=3.5 low=-1.5", 0, 0},
    {"RandomNormalLike RandomUniformLike Bernoulli", "f2x3", "dtype=11", 0, 0},
    {"RandomNormalLike RandomUniformLike Bernoulli", "f2x3", "seed=0.5", 0, 0},
    {"Multinomial", "f2x3", "sample_size=5 dtype=7", 0, 0},
    {"Optional OptionalGetElement OptionalHasElement", "f2x3", NULL, 0, 0},
    {"DeformConv", "f2x4x5x6 f6x2x3x2 f2x24x5x5 f6 f2x12x5x5",
     "group=2 offset_group=2 pads=[1,0,1,0]", 0, 0},
    {"DeformConv", "f1x2x6x7 f3x2x2x3 f1x12x3x3", "strides=[2,2] dilations=[1,1] pads=[0,0,1,1]", 0,
     0},
    /* movement */
    {"Reshape", "f2x3 L[3,2]", "allowzero=1", 0, 0},
    {"Reshape", "f2x3 L[-1,2]", NULL, 0, 0},
    {"Flatten", "f2x3x4", "axis=2", 0, 0},
    {"Squeeze", "f1x3x1 L[0]", NULL, 0, 0},
    {"Squeeze", "f1x3x1", "axes=[0,2]", 0, 11},
    {"Unsqueeze", "f2x3 L[0,3]", NULL, 0, 0},
    {"Unsqueeze", "f2x3", "axes=[0,2]", 0, 11},
    {"Dropout", "f2x3 f=0 B=0", NULL, 2, 0},
    {"Transpose", "f2x3x4", "perm=[1,0,2]", 0, 0},
    {"Concat", "f2x3 f2x4 f2x5", "axis=1", 0, 0},
    {"Concat", "f2x3x4 f5x3x4", "axis=0", 0, 0},
    {"Split", "f2x6 L[2,4]", "axis=1", 2, 0},
    {"Split", "f2x6", "axis=1 split=[2,4]", 2, 11},
    {"Split", "f2x6", "axis=1 num_outputs=3", 3, 0},
    {"Slice", "f5x6 L[1,0] L[4,6] L[0,1] L[1,2]", NULL, 0, 0},
    {"Slice", "f5x6 L[3,-1] L[0,-9] L[0,1] L[-1,-2]", NULL, 0, 0},
    {"Slice", "f5x6", "starts=[1,0] ends=[4,6] axes=[0,1]", 0, 9},
    {"Pad", "f4x5 L[1,0,0,2] f=1 L[0,1]", NULL, 0, 0},
    {"Pad", "f4x5 L[1,0,0,2]", "mode='reflect'", 0, 0},
    {"Pad", "f4x5 L[1,0,0,2]", "mode='edge'", 0, 0},
    {"Pad", "f4x5 L[1,0,0,2]", "mode='wrap'", 0, 0},
    {"Pad", "f4x5", "pads=[1,0,0,2] value=1.5", 0, 10},
    {"CenterCropPad", "f4x6 L[5,3]", "axes=[0,1]", 0, 0},
    {"Tile", "f2x3 L[2,3]", NULL, 0, 0},
    {"Expand", "f2x1 L[2,3]", NULL, 0, 0},
    {"DepthToSpace", "f1x8x2x3", "blocksize=2 mode='CRD'", 0, 0},
    {"SpaceToDepth", "f1x3x4x6", "blocksize=2", 0, 0},
    {"SpaceToDepth", "f1x3x4x6", "blocksize=2 mode='CRD'", 0, 28},
    {"Trilu", "f2x3x4 L=1", "upper=0", 0, 0},
    {"ReverseSequence", "f4x3x2 L[1,2,4]", "batch_axis=1 time_axis=0", 0, 0},
    {"Shape", "f2x3x4", "start=1 end=2", 0, 0},
    {"EyeLike", "f3x4", "k=1 dtype=1", 0, 0},
    {"ConstantOfShape", "L[2,3]", NULL, 0, 0},
    {"Range", "f=0 f=5 f=1", NULL, 0, 0},
    {"Range", "L=0 L=5 L=2", NULL, 0, 0},
    {"Range", "I=5 I=0 I=-1", NULL, 0, 0},
    /* indexing */
    {"Gather", "f5x3 L2x4", "axis=0", 0, 0},
    {"Gather", "f4x5x3 L[1,2]", "axis=1", 0, 0},
    {"GatherElements", "f5x3 L2x3", "axis=0", 0, 0},
    {"GatherND", "f4x5x3 L2x2", "batch_dims=0", 0, 0},
    {"GatherND", "f4x5x3 L4x1", "batch_dims=1", 0, 0},
    {"Scatter", "f5x3 L2x3 f2x3", "axis=0", 0, 10},
    {"ScatterElements", "f5x3 L2x3 f2x3", "axis=0 reduction='add'", 0, 0},
    {"ScatterElements", "f5x3 L5x2 f5x2", "axis=1 reduction='max'", 0, 0},
    {"ScatterND", "f5x3 L2x1 f2x3", "reduction='mul'", 0, 0},
    {"OneHot", "L2x3 L=4 f[0,1]", "axis=1", 0, 0},
    {"TopK", "f2x5 L[3]", "axis=1 largest=1 sorted=1", 2, 0},
    {"TopK", "f2x5", "axis=1 k=3", 2, 9},
    {"Unique", "f7", "sorted=1", 4, 0},
    {"Unique", "f4x3", "axis=0", 4, 0},
    {"Unique", "f4x3", "axis=1 sorted=0", 1, 0},
    {"Compress", "f4x3 B5", "axis=0", 0, 0},
    {"Compress", "f4x3 B5", NULL, 0, 0},
    {"CumSum CumProd", "f4x3 L=0", "exclusive=1 reverse=1", 0, 0},
    /* signal */
    {"DFT", "f2x5x1 L=6 L=1", "inverse=0 onesided=1", 0, 0},
    {"DFT", "f2x5x2", "axis=1 inverse=1", 0, 17},
    {"STFT", "f2x9x1 L=2 f4 L=4", "onesided=1", 0, 0},
    {"HannWindow HammingWindow BlackmanWindow", "L=5", "periodic=1 output_datatype=1", 0, 0},
    {"MelWeightMatrix", "L=4 L=8 L=16 f=0 f=8", "output_datatype=1", 0, 0},
    /* reduction */
    {"ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum "
     "ReduceLogSumExp ReduceSumSquare",
     "f2x3x4 L[1]", "keepdims=1 noop_with_empty_axes=0", 0, 0},
    {"ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum "
     "ReduceLogSumExp ReduceSumSquare",
     "f2x3x4 L[0,2]", "keepdims=0", 0, 0},
    {"ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum "
     "ReduceLogSumExp ReduceSumSquare",
     "f2x3x4", "axes=[1,2]", 0, 11},
    {"ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd", "L2x3 L[-1]", NULL, 0, 0},
    {"ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL2", "d2x3", NULL, 0, 0},
    {"ArgMax ArgMin", "f2x3x4", "axis=1 keepdims=1 select_last_index=1", 0, 0},
    {"Softmax LogSoftmax Hardmax", "f2x3x4", "axis=1", 0, 0},
    {"Softmax LogSoftmax Hardmax", "f2x3x4", "axis=1", 0, 11},
    {"NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss", "f3x4x5 L3x5 f4",
     "ignore_index=1 reduction='mean'", 0, 0},
    {"NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss", "f3x4 L3", "reduction='sum'", 0, 0},
    {"SoftmaxCrossEntropyLoss", "f3x4x5 L3x5", "reduction='none'", 2, 0},
    /* normalization */
    {"BatchNormalization", "f2x3x4 f3 f3 f3 f3", "epsilon=0.5 training_mode=0", 0, 0},
    {"BatchNormalization", "f2x3x4 f3 f3 f3 f3", "training_mode=1", 3, 0},
    {"InstanceNormalization", "f2x3x4 f3 f3", "epsilon=0.5", 0, 0},
    {"GroupNormalization", "f2x6x4 f6 f6", "num_groups=3", 0, 0},
    {"GroupNormalization", "f2x6x4 f3 f3", "num_groups=3", 0, 18},
    {"LayerNormalization", "f2x3x4 f4 f4", "axis=-1 epsilon=0.5", 3, 0},
    {"LayerNormalization", "f2x3x4 f3x4 f3x4", "axis=1", 0, 0},
    {"RMSNormalization", "f2x3x4 f4", "axis=-1", 0, 0},
    {"LRN", "f2x5x3", "size=3 alpha=0.5 beta=0.5 bias=1.0", 0, 0},
    {"LpNormalization", "f2x3x4", "axis=1 p=2", 0, 0},
    {"MeanVarianceNormalization", "f2x3x4x5", "axes=[0,2,3]", 0, 0},
    /* spatial */
    {"MaxPool", "f2x3x5x6",
     "kernel_shape=[2,3] strides=[2,1] pads=[1,1,0,1] dilations=[1,1] ceil_mode=1", 2, 0},
    {"AveragePool", "f2x3x5x6",
     "kernel_shape=[2,3] strides=[2,1] pads=[1,1,0,1] count_include_pad=1 ceil_mode=1", 0, 0},
    {"LpPool", "f2x3x5x6", "kernel_shape=[2,3] strides=[2,1] pads=[1,1,0,1] p=2", 0, 0},
    {"MaxPool AveragePool LpPool", "f2x3x5", "kernel_shape=[2] auto_pad='SAME_UPPER' strides=[3]",
     0, 0},
    {"GlobalAveragePool GlobalMaxPool", "f2x3x5x6", NULL, 0, 0},
    {"GlobalLpPool", "f2x3x5x6", "p=2", 0, 0},
    {"MaxUnpool", "f2x3x4x5 L2x3x4x5", "kernel_shape=[2,2] strides=[2,2] pads=[0,0,0,0]", 0, 0},
    {"MaxUnpool", "f2x3x4x5 L2x3x4x5 L[2,3,9,11]", "kernel_shape=[2,2] strides=[2,2]", 0, 0},
    {"MaxRoiPool", "f2x3x5x6 f4x5", "pooled_shape=[2,2] spatial_scale=0.5", 0, 0},
    {"RoiAlign", "f2x3x5x6 f7x4 L7",
     "output_height=2 output_width=3 sampling_ratio=2 spatial_scale=0.5", 0, 0},
    {"RoiAlign", "f2x3x5x6 f7x4 L7", "mode='max' sampling_ratio=0", 0, 0},
    {"Resize", "f2x3x4x5 - f[1,1,2,0.5]", "mode='linear'", 0, 0},
    {"Resize", "f2x3x4x5 - - L[2,3,6,7]", "mode='nearest'", 0, 0},
    {"Resize", "f2x3x4x5 - - L[6,7]", "mode='cubic' axes=[2,3] exclude_outside=1 antialias=1", 0,
     0},
    {"Resize", "f2x3x4x5 - f[0.5,0.7]", "mode='linear' axes=[2,3] antialias=1", 0, 0},
    {"Resize", "f4x5 f[0.1,0.2,0.7,0.8] f[2,3]",
     "mode='linear' coordinate_transformation_mode='tf_crop_and_resize' extrapolation_value=1.5", 0,
     0},
    {"Upsample", "f2x3x4x5 f[1,1,2,2]", "mode='nearest'", 0, 9},
    {"Upsample", "f2x3x4x5", "scales=[1.0,1.0,2.0,2.0]", 0, 8},
    {"GridSample", "f2x3x4x5 f2x6x7x2", "padding_mode='border' align_corners=1", 0, 0},
    {"GridSample", "f2x3x4x5 f2x6x7x2", "mode='cubic' padding_mode='reflection'", 0, 0},
    {"GridSample", "f2x3x4x5 f2x6x7x2", "mode='nearest'", 0, 0},
    {"AffineGrid", "f3x2x3 L[3,4,5,6]", "align_corners=1", 0, 0},
    {"Col2Im", "f2x12x9 L[4,4] L[2,2]", "strides=[1,1] dilations=[1,1] pads=[0,0,0,0]", 0, 0},
    {"NonMaxSuppression", "f2x6x4 f2x3x6 L=2 f=0.5 f=0.1", "center_point_box=1", 0, 0},
    /* convolution */
    {"Conv", "f2x3x5x6 f4x3x2x1 f4",
     "strides=[1,2] dilations=[2,1] pads=[1,0,0,1] group=1 kernel_shape=[2,1]", 0, 0},
    {"Conv", "f2x3x5x6 f3x1x3x3 f3", "group=3 auto_pad='SAME_UPPER' strides=[2,2]", 0, 0},
    {"Conv", "f2x32x5x6 f16x32x3x3 f16", "pads=[1,1,1,1]", 0, 0},
    {"Conv", "f2x3x7 f4x3x2 f4", "auto_pad='SAME_LOWER' dilations=[2]", 0, 0},
    {"Conv", "f2x3x5x6x7 f4x3x1x2x1 f4", "pads=[0,1,0,0,0,0]", 0, 0},
    {"ConvTranspose", "f2x3x5x6 f3x4x2x1 f4",
     "strides=[1,2] dilations=[2,1] pads=[1,0,0,1] output_padding=[0,1] group=1", 0, 0},
    {"ConvTranspose", "f2x3x5x6 f3x4x2x2", "output_shape=[11,13] strides=[2,2]", 0, 0},
    {"ConvTranspose", "f2x3x7 f3x4x2", "auto_pad='SAME_UPPER' strides=[3]", 0, 0},
    /* matrix */
    {"MatMul", "f2x3x4 f4x5", NULL, 0, 0},
    /* quantization */
    {"QuantizeLinear", "f2x3x4 f3 u3", "axis=1", 0, 0},
    {"QuantizeLinear", "f2x3 f=0.5 c=-3", NULL, 0, 0},
    {"QuantizeLinear", "I2x3 f=0.5 h=300", NULL, 0, 0},
    {"QuantizeLinear", "f5x6 f3x6 u3x6", "axis=0 block_size=2", 0, 0},
    {"DequantizeLinear", "c2x3x4 f3 c3", "axis=1", 0, 0},
    {"DequantizeLinear", "u2x3 f=0.5", NULL, 0, 0},
    {"DequantizeLinear", "I2x3 f=0.5", NULL, 0, 0},
    {"DequantizeLinear", "h5x6 f3x6 h3x6", "axis=0 block_size=2", 0, 0},
    {"DynamicQuantizeLinear", "f2x3", NULL, 3, 0},
    {"MatMulInteger", "u2x3x4 c4x5 u=3 c5", NULL, 0, 0},
    {"MatMulInteger", "c3x4 u4x5 c3", NULL, 0, 0},
    {"QLinearMatMul", "u2x3x4 f=0.5 u=3 c4x5 f5 c5 f=0.25 u=7", NULL, 0, 0},
    {"ConvInteger", "u2x3x5x6 c4x3x2x1 u=3", "strides=[1,2] dilations=[2,1] pads=[1,0,0,1]", 0, 0},
    {"ConvInteger", "u2x3x7 u6x1x2 u=3 u6", "group=3", 0, 0},
    {"QLinearConv", "u2x3x5x6 f=0.5 u=3 c4x3x2x1 f4 c4 f=0.25 c=7 I4", "pads=[1,1,1,1]", 0, 0},
    {"QLinearConv", "c2x4x5 f=0.5 c=3 c8x2x3 f=0.1 c=1 f=0.25 u=7", "group=2", 0, 0},
    {"MatMul", "f6x2x3x4 f2x4x5", NULL, 0, 0},
    {"MatMul", "f4 f4x5", NULL, 0, 0},
    {"MatMul", "d3x4 d4", NULL, 0, 0},
    {"Gemm", "f3x4 f4x5 f5", "alpha=0.5 beta=0.5", 0, 0},
    {"Gemm", "f4x3 f5x4 f3x1", "transA=1 transB=1", 0, 0},
    {"Einsum", "f2x3x4 f4x5", "equation='bij,jk->bik'", 0, 0},
    {"Einsum", "f2x3x4", "equation='bij->'", 0, 0},
    {"Einsum", "f3x3", "equation='ii->i'", 0, 0},
    {"Einsum", "f2x3 f3x4 f4x5", "equation='ij,jk,kl->li'", 0, 0},
    {"Det", "f2x3x3", NULL, 0, 0},
    /* recurrent */
    {"LSTM", "f5x2x3 f1x16x3 f1x16x4 f1x32 I2 f1x2x4 f1x2x4 f1x12",
     "hidden_size=4 clip=0.5 direction='reverse' input_forget=0 layout=0", 3, 0},
    {"LSTM", "f5x2x3 f2x16x3 f2x16x4", "direction='bidirectional'", 3, 0},
    {"GRU", "f5x2x3 f1x12x3 f1x12x4 f1x24 I2 f1x2x4", "hidden_size=4 linear_before_reset=1", 2, 0},
    {"GRU", "f2x5x3 f1x12x3 f1x12x4 f1x24 - f2x1x4", "layout=1", 2, 0},
    {"RNN", "f5x2x3 f1x4x3 f1x4x4 f1x8 I2 f1x2x4", "hidden_size=4 activations='Tanh'", 2, 0},
#include "operator_rows_learned.inc"
#include "operator_rows_microsoft.inc"
    /* domain ai.onnx.ml */
    {"ai.onnx.ml.TreeEnsembleRegressor", "f5x3",
     TREE "target_treeids=[0,0] target_nodeids=[1,2] target_ids=[0,1] target_weights=[1.5,2.5] "
          "n_targets=2 base_values=[0.5,1.5] aggregate_function='AVERAGE' post_transform='SOFTMAX'",
     0, 0},
    {"ai.onnx.ml.TreeEnsembleRegressor", "L5x3",
     TREE "target_treeids=[0,0] target_nodeids=[1,2] target_ids=[0,0] "
          "target_weights_as_tensor=f[1.5,2.5] aggregate_function='MIN'",
     0, 0},
    {"ai.onnx.ml.TreeEnsembleClassifier", "f5x3",
     TREE "class_treeids=[0,0] class_nodeids=[1,2] class_ids=[0,1] class_weights=[1.5,2.5] "
          "classlabels_int64s=[7,8,9] post_transform='LOGISTIC'",
     2, 0},
    {"ai.onnx.ml.TreeEnsemble", "f5x3",
     "tree_roots=[0] nodes_featureids=[1,2] nodes_modes=u[0,6] nodes_splits=f[0.5,0] "
     "nodes_truenodeids=[1,0] nodes_trueleafs=[0,1] nodes_falsenodeids=[1,2] "
     "nodes_falseleafs=[1,1] "
     "leaf_targetids=[0,1,0] leaf_weights=f[1.5,2.5,3.5] membership_values=f[0.25,0.5] n_targets=2 "
     "aggregate_function=1 post_transform=0",
     0, 0},
    {"com.microsoft.QAttention", "u2x5x8 c8x24 f24 f=0.5 f24 I2 u=3 c24 f2x2x2x3x4",
     "num_heads=2 unidirectional=1", 2, 0},
    {"com.microsoft.QAttention", "u2x5x8 u8x24 f24 f=0.5 f=0.25 - u=3 u=1", "num_heads=2", 2, 0},
    {"com.microsoft.QEmbedLayerNormalization",
     "I2x4 I2x4 u9x8 u6x8 u9x8 u8 u8 I2x4 f=0.5 f=0.5 f=0.5 f=0.5 f=0.5 u=1 u=1 u=1 u=1 u=1",
     "epsilon=0.5", 2, 0},
    {"com.microsoft.DynamicQuantizeLSTM", "f4x2x6 c2x6x20 c2x5x20 f2x40 - - - - f2 c2 f2x20 c2x20",
     "hidden_size=5 direction='bidirectional'", 3, 0},
    {"com.microsoft.QLinearConv", "u1x5x6x4 f=0.5 u=3 c6x2x3x3 f6 c6 f=0.5 u=1 I6",
     "channels_last=1 group=2 pads=[1,1,1,1]", 0, 0},
    {"com.microsoft.BiasAdd com.microsoft.BiasDropout", "f2x3x8 f8 f2x3x8", NULL, 1, 0},
    {"com.microsoft.BiasSplitGelu", "f2x3x8 f8", NULL, 0, 0},
    {"com.microsoft.ExpandDims", "f2x3 I=-1", NULL, 0, 0},
    {"com.microsoft.GatherND", "f2x3x4 I1x2", NULL, 0, 0},
    {"com.microsoft.Trilu", "f2x3x4 L=1", "upper=0", 0, 0},
    {"com.microsoft.Range", "f=2 f=7 f=1.5", NULL, 0, 0},
    {"com.microsoft.Range", "L=2 L=7", NULL, 0, 0},
    {"com.microsoft.Pad", "f3x4 L[1,0,2,1] f=0.5", NULL, 0, 0},
    {"com.microsoft.Unique", "f5", NULL, 3, 0},
    {"com.microsoft.NhwcMaxPool", "u1x6x7x4", "kernel_shape=[3,2] pads=[1,0,1,1] strides=[2,1]", 0,
     0},
    {"com.microsoft.NhwcConv", "f1x6x7x4 f8x2x3x3 f8", "group=2 pads=[1,1,0,0]", 0, 0},
    {"com.microsoft.GroupNorm", "f2x3x4x8 f8 f8", "groups=4 activation=1", 0, 0},
    {"com.microsoft.SkipGroupNorm", "f2x3x4x8 f8 f8 f2x8 f8", "groups=4 activation=0", 2, 0},
};
const size_t operator_row_count = sizeof operator_rows / sizeof operator_rows[0];

/* The word at *text, up to a space, into `word`; false at the end. */
static bool next_word(const char **text, char *word, size_t size)
{
    *text += strspn(*text, " ");
    size_t length = strcspn(*text, " ");
    if (length == 0 || length >= size) {
        return false;
    }
    memcpy(word, *text, length);
    word[length] = '\0';
    *text += length;
    return true;
}

static hd_dtype dtype_of(char letter)
{
    static const struct {
        char letter;
        hd_dtype dtype;
    } letters[] = {{'f', HD_FLOAT32}, {'d', HD_FLOAT64}, {'L', HD_INT64},        {'I', HD_INT32},
                   {'U', HD_UINT32},  {'B', HD_BOOL},    {'u', HD_UINT8},        {'c', HD_INT8},
                   {'h', HD_UINT16},  {'q', HD_INT4},    {'e', HD_FLOAT8E4M3FN}, {'s', HD_STRING}};
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++) {
        if (letters[i].letter == letter) {
            return letters[i].dtype;
        }
    }
    return HD_DTYPE_NONE;
}

static void read_operand(const char *word, row_operand *out)
{
    *out = (row_operand){.dtype = dtype_of(word[0])};
    char *at = (char *)(uintptr_t)word + 1;
    if (out->dtype == HD_DTYPE_NONE || *at == '\0') {
        return;
    }
    out->has_elements = *at == '[' || *at == '=';
    bool is_list = *at == '[';
    int64_t count = 0;
    at += out->has_elements;
    for (; *at != '\0' && *at != ']'; at += *at == 'x' || *at == ',') {
        if (out->has_elements) {
            out->elements[count] = strtod(at, &at);
            out->integers[count] = (int64_t)out->elements[count];
            count++;
        } else {
            out->shape.dims[out->shape.rank++] = strtoll(at, &at, 10);
        }
    }
    if (is_list) {
        out->shape = (hd_shape){.rank = 1, .dims = {count}};
    }
}

/* Points a tensor's attribute into the case. */
static void bind_tensor(row_case *c, size_t n)
{
    hd_tensor *tensor = &c->tensors[n];
    tensor->data = tensor->dtype == HD_UINT8 ? (void *)c->bytes[n] : (void *)c->floats[n];
    c->attributes[n].tensor = tensor;
    if (tensor->dtype == HD_STRING) { /* texts[n] has them, with commas between */
        const char *at = c->texts[n];
        for (int64_t i = 0; i < tensor->dims[0]; i++) {
            c->strings[n][i] = (hd_string){.data = at, .size = strcspn(at, ",")};
            at += c->strings[n][i].size + 1;
        }
        tensor->data = c->strings[n];
    }
}

/* "f[1,2]" or "u[1,2]" */
static void read_tensor(row_case *c, size_t n, const char *value)
{
    hd_tensor *tensor = &c->tensors[n];
    *tensor = (hd_tensor){.dtype = dtype_of(*value), .rank = 1};
    if (tensor->dtype == HD_STRING) {
        snprintf(c->texts[n], sizeof c->texts[n], "%.*s", (int)strcspn(value + 2, "]"), value + 2);
        tensor->dims[0] = 1;
        for (const char *comma = c->texts[n]; (comma = strchr(comma, ',')) != NULL; comma++) {
            tensor->dims[0]++;
        }
        value = "s[]";
    }
    char *at = (char *)(uintptr_t)value + 2;
    for (size_t i = 0; *at != ']' && *at != '\0'; at += *at == ',', i++) {
        c->floats[n][i] = strtof(at, &at);
        c->bytes[n][i] = (uint8_t)c->floats[n][i];
        tensor->dims[0]++;
    }
    tensor->size = (size_t)tensor->dims[0] * hd_dtype_size(tensor->dtype);
    c->attributes[n].kind = HD_ATTRIBUTE_TENSOR;
    bind_tensor(c, n);
}

static void read_attribute(row_case *c, const char *word)
{
    size_t n = c->attribute_count++, length = strcspn(word, "=");
    hd_attribute *attribute = &c->attributes[n];
    snprintf(c->names[n], sizeof c->names[n], "%.*s", (int)length, word);
    const char *value = word + length + 1;
    *attribute = (hd_attribute){.name = c->names[n]};
    if (*value == '\'') {
        snprintf(c->texts[n], sizeof c->texts[n], "%.*s", (int)strcspn(value + 1, "'"), value + 1);
        attribute->kind = HD_ATTRIBUTE_STRING;
        attribute->s = c->texts[n];
    } else if (value[0] != '[' && value[0] != '\0' && value[1] == '[') {
        read_tensor(c, n, value);
    } else if (*value != '[') {
        bool is_float = strchr(value, '.') != NULL;
        attribute->kind = is_float ? HD_ATTRIBUTE_FLOAT : HD_ATTRIBUTE_INT;
        attribute->f = strtof(value, NULL);
        attribute->i = strtoll(value, NULL, 10);
    } else {
        attribute->kind = strchr(value, '.') != NULL ? HD_ATTRIBUTE_FLOATS : HD_ATTRIBUTE_INTS;
        attribute->ints = c->ints[n];
        attribute->floats = c->floats[n];
        char *at = (char *)(uintptr_t)value + 1;
        for (; *at != ']' && *at != '\0'; at += *at == ',') {
            c->ints[n][attribute->count] = strtoll(at, NULL, 10);
            c->floats[n][attribute->count++] = strtof(at, &at);
        }
    }
}

bool row_case_next(const operator_row *row, const char **types, row_case *out)
{
    *out = (row_case){.opset = row->opset,
                      .output_count = row->output_count == 0 ? 1 : row->output_count};
    if (!next_word(types, out->type, sizeof out->type)) {
        return false;
    }
    if (row->opset == 0) {
        const hd_operator *operator = hd_operator_find(out->type);
        out->opset = operator != NULL && operator->since > 21 ? operator->since : 21;
    }
    char word[96];
    for (const char *text = row->inputs; next_word(&text, word, sizeof word);) {
        read_operand(word, &out->inputs[out->input_count++]);
    }
    for (const char *text = row->attributes == NULL ? "" : row->attributes;
         next_word(&text, word, sizeof word);) {
        read_attribute(out, word);
    }
    return true;
}

void row_case_copy(row_case *to, const row_case *from)
{
    *to = *from;
    for (size_t i = 0; i < to->attribute_count; i++) {
        to->attributes[i].name = to->names[i];
        if (to->attributes[i].tensor != NULL) {
            bind_tensor(to, i);
        }
        if (to->attributes[i].s != NULL) {
            to->attributes[i].s = to->texts[i];
        }
        if (to->attributes[i].ints != NULL) {
            to->attributes[i].ints = to->ints[i];
            to->attributes[i].floats = to->floats[i];
        }
    }
}

/* As bfloat16, cut: exact for what rows hold. */
static uint16_t upper_half(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)(bits >> 16);
}

void *row_operand_data(const row_operand *operand)
{
    if (operand->dtype == HD_DTYPE_NONE || !hd_shape_is_valid(&operand->shape, operand->dtype)) {
        return NULL;
    }
    int64_t count = hd_shape_count(&operand->shape);
    if (count == 0 || count > DATA_LIMIT) {
        return NULL;
    }
    void *data = hd_alloc((size_t)count * hd_dtype_size(operand->dtype));
    for (int64_t i = 0; data != NULL && i < count; i++) {
        bool given = operand->has_elements && i < ROW_ELEMENT_LIMIT;
        double real = given ? operand->elements[i] : 0.25 + 0.25 * (double)(i % 5);
        int64_t integer = given ? operand->integers[i] : i % 2;
        switch (operand->dtype) {
        case HD_FLOAT32:
            ((float *)data)[i] = (float)real;
            break;
        case HD_FLOAT64:
            ((double *)data)[i] = real;
            break;
        case HD_UINT8:
        case HD_INT8:
            ((uint8_t *)data)[i] = (uint8_t)integer;
            break;
        case HD_UINT16:
        case HD_INT16:
            ((uint16_t *)data)[i] = (uint16_t)integer;
            break;
        case HD_STRING:
            ((hd_string *)data)[i] = (hd_string){"babab", (size_t)(integer & 1) + 1};
            break;
        case HD_FLOAT16:
            ((_Float16 *)data)[i] = (_Float16)real;
            break;
        case HD_BFLOAT16:
            ((uint16_t *)data)[i] = upper_half((float)real);
            break;
        case HD_INT64:
        case HD_UINT64:
            ((int64_t *)data)[i] = integer;
            break;
        case HD_INT32:
        case HD_UINT32:
            ((int32_t *)data)[i] = (int32_t)integer;
            break;
        default:
            ((uint8_t *)data)[i] = integer != 0;
            break;
        }
    }
    return data;
}

const char *row_case_text(const row_case *c, char *text, size_t size)
{
    char shape[96];
    size_t used = (size_t)snprintf(text, size, "%s opset %u:", c->type, c->opset);
    for (size_t i = 0; i < c->input_count && used < size; i++) {
        const row_operand *input = &c->inputs[i];
        used += (size_t)snprintf(text + used, size - used, " %s %s", hd_dtype_name(input->dtype),
                                 hd_shape_text(&input->shape, shape, sizeof shape));
        bool listed = input->has_elements && hd_shape_is_valid(&input->shape, input->dtype);
        for (int64_t e = 0;
             listed && e < hd_shape_count(&input->shape) && e < ROW_ELEMENT_LIMIT && used < size;
             e++) {
            used += input->dtype == HD_FLOAT32
                        ? (size_t)snprintf(text + used, size - used, " %g", input->elements[e])
                        : (size_t)snprintf(text + used, size - used, " %lld",
                                           (long long)input->integers[e]);
        }
    }
    for (size_t i = 0; i < c->attribute_count && used < size; i++) {
        const hd_attribute *a = &c->attributes[i];
        used += (size_t)snprintf(text + used, size - used, " %s=", a->name);
        for (size_t e = 0; e < a->count && used < size; e++) {
            used += a->kind == HD_ATTRIBUTE_INTS
                        ? (size_t)snprintf(text + used, size - used, "%lld,", (long long)a->ints[e])
                        : (size_t)snprintf(text + used, size - used, "%g,", (double)a->floats[e]);
        }
        if (a->kind == HD_ATTRIBUTE_INT && used < size) {
            used += (size_t)snprintf(text + used, size - used, "%lld", (long long)a->i);
        } else if (a->kind == HD_ATTRIBUTE_FLOAT && used < size) {
            used += (size_t)snprintf(text + used, size - used, "%g", (double)a->f);
        } else if (a->kind == HD_ATTRIBUTE_STRING && used < size) {
            used += (size_t)snprintf(text + used, size - used, "%s", a->s);
        }
    }
    return text;
}
