/* Fused: the parameters of the operations that fusion makes ("heddle.…"), beside ONNX's own.
 *
 * "heddle.Linear"       y = activation(x · w + bias + residual). Inputs: x [..., K]; w, constant and
 *                       packed, [K, N] ([N, K] with the attribute transB = 1, as Gemm has it);
 *                       bias, N values, or left out; residual [..., N], as y, or left out.
 *                       Parameters: hd_fused_linear.
 * "heddle.LayerNorm"    y = ONNX's LayerNormalization over the last axis of (x + residual). Inputs:
 *                       x [..., N]; scale [N]; bias [N] or left out; residual as x or left out.
 *                       Output 1, where wanted: x + residual. Parameters: hd_fused_layer_norm.
 * "heddle.Attention"    y = softmax(scale · q·kᵀ + mask) · v, for each batch entry and head. Inputs:
 *                       q [B, T, H·D]; k [B, S, H·D]; v [B, S, H·E]; mask, float32, of 4 dimensions
 *                       that broadcast to [B, H, T, S], or left out. Output [B, T, H·E].
 *                       Parameters: hd_fused_attention.
 * "heddle.Conv"         ONNX's Conv of one or two spatial dimensions, but x and y are [N, W, C] or
 *                       [N, H, W, C] (channels last), then bias, residual (as y) and activation as
 *                       for Linear. w constant and packed. Parameters: hd_fused_convolution.
 * "heddle.ConvTranspose" ONNX's ConvTranspose in the same way. Parameters:
 *                       hd_fused_convolution_transposed.
 * "heddle.Elementwise"  a chain of elementwise operators in one pass. Parameters:
 *                       hd_fused_elementwise.
 * "heddle.IndexCheck"   finds out whether indices, int32 or int64, are within bounds. Output: int64
 *                       [HD_INDEX_CHECK_COUNT]. Parameters: hd_fused_index_check.
 *
 * What each relies on, no operand but an attention's mask being repeated along any dimension: the shapes above,
 * one floating type for all operands of one operation, and
 *   Linear, Conv, ConvTranspose  bias and residual are added in this order, and the activation comes last;
 *   Attention                    heads > 0; a finite scale that is not 0 (gemm.h takes 0 for none);
 *   Elementwise                  each step's operands have the types that its own operation says, and all inputs
 *                                broadcast, as NumPy's do, to the output.
 * Inference says so once more, in graph/ops; checked builds ask it about every operation that is compiled for a
 * plan (graph/memory_plan.c), so a pass that makes what its kernel cannot compute stops there.
 *
 * Thread-safety: immutable. */
#ifndef HD_OPERATION_FUSED_H
#define HD_OPERATION_FUSED_H

#include "operation/operation.h"

typedef enum hd_activation_kind {
    HD_ACTIVATION_NONE,
    HD_ACTIVATION_RELU,
    HD_ACTIVATION_GELU,      /* x/2 · (1 + erf(x/√2)) */
    HD_ACTIVATION_GELU_TANH, /* x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))) */
    HD_ACTIVATION_TANH,
    HD_ACTIVATION_SIGMOID,
    HD_ACTIVATION_SILU,         /* x · sigmoid(x) */
    HD_ACTIVATION_CLIP,         /* min(max(x, alpha), beta) */
    HD_ACTIVATION_LEAKY_RELU,   /* alpha · x below 0 */
    HD_ACTIVATION_HARD_SIGMOID, /* min(max(alpha·x + beta, 0), 1) */
    HD_ACTIVATION_HARD_SWISH    /* x · min(max(alpha·x + beta, 0), 1); ONNX: alpha 1/6, beta 1/2 */
} hd_activation_kind;

typedef struct hd_activation {
    hd_activation_kind kind;
    float alpha;
    float beta;
    bool scales; /* then y = activation · scale + shift, each step rounded; not with NONE */
    float scale;
    float shift;
} hd_activation;

typedef struct hd_fused_linear {
    hd_activation activation;
} hd_fused_linear;

typedef struct hd_fused_layer_norm {
    float epsilon;
} hd_fused_layer_norm;

typedef struct hd_fused_attention {
    int64_t heads;
    float scale;
} hd_fused_attention;

typedef struct hd_fused_convolution {
    int64_t group;
    int64_t kernel[2]; /* height, width; or width alone, in the first place */
    int64_t stride[2];
    int64_t dilation[2];
    int64_t pad_begin[2];
    int64_t pad_end[2];
    hd_activation activation;
} hd_fused_convolution;

typedef struct hd_fused_convolution_transposed {
    hd_fused_convolution convolution;
    int64_t output_padding[2];
} hd_fused_convolution_transposed;

enum {
    HD_ELEMENTWISE_MAX_STEPS = 32, /* of a chain; more are HD_UNSUPPORTED */
    HD_ELEMENTWISE_MAX_INPUTS = 16 /* of a chain */
};

/* One step of an elementwise chain. Operands number the operation's inputs first (0 to input_count-1),
 * then the results of the steps before. The last step's result is the output. */
typedef struct hd_elementwise_step {
    const hd_operation *operation; /* type, attributes; its operands give the dtypes only */
    uint16_t operands[3];
    uint16_t operand_count;
} hd_elementwise_step;

typedef struct hd_fused_elementwise {
    const hd_elementwise_step *steps;
    size_t step_count;
} hd_fused_elementwise;

/* Index i of the list goes by an axis of dims[i % depth] elements: it is in [-dim, dim). */
typedef struct hd_fused_index_check {
    uint32_t depth;
    int64_t dims[HD_MAX_RANK];
} hd_fused_index_check;

/* What a check writes: whether an index is outside and, then, the first such index and its bound. */
enum {
    HD_INDEX_CHECK_OUTSIDE,
    HD_INDEX_CHECK_INDEX,
    HD_INDEX_CHECK_DIM,
    HD_INDEX_CHECK_COUNT
};

#endif
