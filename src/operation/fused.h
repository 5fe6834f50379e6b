/* Fused: the operations that passes make ("heddle.…"), beside ONNX's own, and their parameters. A backend has a kernel for
 * each, or its passes do not make it. [..., K]: any dimensions, the last of K elements. bias and residual: b and r, or
 * left out. All types are floating ones, and one for all operands of an operation, unless more is said.
 *
 * "heddle.Linear"       y = activation(x · w + b + r), a product with a constant matrix. Inputs: x [..., K]; w, constant
 *                       and packed, [K, N], or [N, K] with the attribute transB = 1, as Gemm has it; b, N values; r as
 *                       y. Output: y [..., N]. Parameters: hd_fused_linear.
 * "heddle.LayerNorm"    y = ONNX's LayerNormalization over the last axis of x + r. Inputs: x [..., N]; scale [N]; b [N];
 *                       r as x. Outputs: y as x; x + r, where wanted. Parameters: hd_fused_layer_norm.
 * "heddle.Attention"    y = softmax(scale · q·kᵀ + mask) · v, for each batch entry and head. Inputs: q [B, T, H·D];
 *                       k [B, S, H·D]; v [B, S, H·E]; mask, float32, of 4 dimensions that broadcast to [B, H, T, S], or
 *                       left out. Output: y [B, T, H·E]. Parameters: hd_fused_attention.
 *
 * Channels last. A signal is [N, W, C], an image [N, H, W, C]:
 * "heddle.Conv"         activation(ONNX's Conv of one or two spatial dimensions + b + r). Inputs: x, a signal or an image;
 *                       w, constant and packed, as ONNX has it; b, a value a channel; r as y. Output: y like x.
 *                       Parameters: hd_fused_convolution, in place of attributes.
 * "heddle.ConvTranspose" activation(ONNX's ConvTranspose + b + r), likewise.
 * "heddle.MaxPool", "heddle.AveragePool", "heddle.GlobalAveragePool"
 *                       ONNX's operators of these names on an image, with their attributes and the first output only.
 *                       Input: x. Output: y, an image. No parameters.
 * "heddle.QLinearConv"  ONNX's QLinearConv of an image or a signal, with its inputs in their order; the weight as the model
 *                       has it. Output: y, channels last. Parameters: hd_fused_convolution, without activation.
 * "heddle.Resize"       ONNX's Resize of an image; roi, scales and sizes (inputs 1 to 3), and axes, as of the image
 *                       channels first. No parameters.
 * "heddle.ToChannelsLast" [N, C, D…] becomes [N, D…, C]; any type. No parameters.
 * "heddle.FromChannelsLast" and back.
 *
 * "heddle.ConcatRepeated" y = the inputs one behind the other along the attribute `axis`, each element of input i repeated
 *                       in place repeats[i · rank + d] times along dimension d; once along `axis`. Inputs: of one type,
 *                       any, and rank. The attribute `repeats`: integers, `rank` an input. No parameters.
 * "heddle.Elementwise"  a chain of elementwise operators in one pass. Inputs: up to HD_ELEMENTWISE_MAX_INPUTS, of the
 *                       types that the steps have. Output: the last step's. Parameters: hd_fused_elementwise.
 * "heddle.IndexCheck"   finds out whether indices are within bounds. Input: int32 or int64, of any shape. Output: int64
 *                       [HD_INDEX_CHECK_COUNT]. Parameters: hd_fused_index_check.
 *
 * "heddle.ToDevice"      y = x, which lies in the host's memory, in the device's; any type. No parameters.
 * "heddle.ToHost"        and back, to memory of the host that the device reaches. Both are steps of the device; where the
 *                       device is the host nobody makes them.
 *
 * "heddle.Trees"         sums of the leaves that rows reach in decision trees. Inputs: rows, float32, float64, int32 or int64,
 *                       [N, columns] or [columns]; a forest (operation/forest.h), constant. Output: [N, targets].
 * "heddle.Lookup"        the place of each element among keys, the number of keys where it is none of them. Inputs: elements
 *                       of any shape; keys of the same type [count], sorted as operation/lookup.h has it. Output: int64, of the
 *                       elements' shape.
 * "heddle.Scores"        labels and probabilities of a classifier. Inputs: sums, float32 [N, columns]; hd_scores
 *                       (operation/scores.h), constant. Outputs: labels, int64 [N]; probabilities, float32 [N, columns].
 * "heddle.Votes"         the class with most votes, and probabilities, of a support vector classifier. Inputs: sums of pairs of
 *                       classes, float32 [N, pairs]; hd_votes (operation/votes.h), constant. Outputs: the class's number, int64
 *                       [N]; scores, float32 [N, classes], or [N, pairs] without probabilities.
 *                       These are made by expansions (graph/expansions), not by passes, and have no parameters.
 *
 * "heddle.If", "heddle.Loop" are no operations but parts of a plan (graph/plan.h), which have no kernel.
 *
 * What each relies on, no operand but an attention's mask being repeated along any dimension: the shapes above, and
 *   Linear, Conv, ConvTranspose  bias and residual are added in this order, and the activation comes last;
 *   Attention                    heads > 0; a finite scale that is not 0 (gemm.h takes 0 for none);
 *   LayerNorm                    the last dimension is normalized, whatever it is;
 *   MaxPool, AveragePool, Resize rank 4;
 *   ToChannelsLast, FromChannelsLast at least one spatial dimension;
 *   Elementwise                  each step's operands have the types that its own operation says, and all inputs
 *                                broadcast, as NumPy's do, to the output;
 *   IndexCheck                   the number of indices is a multiple of the depth.
 * Inference says so once more, in graph/ops; checked builds ask it about every operation that is compiled for a
 * plan (graph/plan_finish.c), so a pass that makes what its kernel cannot compute stops there.
 *
 * Thread-safety: immutable. */
#ifndef HD_OPERATION_FUSED_H
#define HD_OPERATION_FUSED_H

#include "base/check.h"
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
    int64_t output_padding[2]; /* ConvTranspose */
    hd_activation activation;
    /* Conv: x, or y, lies channels first, where the unit can (hd_compile_table.planar); without r then */
    bool planar_input, planar_output;
} hd_fused_convolution;

enum {
    HD_ELEMENTWISE_MAX_STEPS = 48, /* of a chain; more are HD_UNSUPPORTED */
    HD_ELEMENTWISE_MAX_INPUTS = 16 /* of a chain */
};

/* One step of an elementwise chain. Operands number the operation's inputs first (0 to input_count-1),
 * then the results of the steps before. The last step's result is the output. */
typedef struct hd_elementwise_step {
    const hd_operation *operation; /* id, attributes; its operands give the dtypes only */
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
enum { HD_INDEX_CHECK_OUTSIDE, HD_INDEX_CHECK_INDEX, HD_INDEX_CHECK_DIM, HD_INDEX_CHECK_COUNT };

/* The parameters of an operation. */
typedef struct hd_fused {
    hd_operator_id id; /* the operation's, which says which of these they are */
    union {
        hd_fused_linear linear;
        hd_fused_layer_norm layer_norm;
        hd_fused_attention attention;
        hd_fused_convolution convolution; /* Conv, ConvTranspose, QLinearConv */
        hd_fused_elementwise elementwise;
        hd_fused_index_check index_check;
    };
} hd_fused;

/* It is an operation of `id`, and has the parameters of one. */
static inline bool hd_operation_is_fused(const hd_operation *operation, hd_operator_id id)
{
    return operation->id == id && operation->fused != NULL && operation->fused->id == id;
}

/* The parameters of an operation that is one of these. */
static inline const hd_fused_linear *hd_fused_linear_of(const hd_operation *operation)
{
    HD_CHECK("SAFE.fused-linear", hd_operation_is_fused(operation, HD_OP_HEDDLE_LINEAR));
    return &operation->fused->linear;
}

static inline const hd_fused_layer_norm *hd_fused_layer_norm_of(const hd_operation *operation)
{
    HD_CHECK("SAFE.fused-layer-norm", hd_operation_is_fused(operation, HD_OP_HEDDLE_LAYER_NORM));
    return &operation->fused->layer_norm;
}

static inline const hd_fused_attention *hd_fused_attention_of(const hd_operation *operation)
{
    HD_CHECK("SAFE.fused-attention", hd_operation_is_fused(operation, HD_OP_HEDDLE_ATTENTION));
    return &operation->fused->attention;
}

static inline const hd_fused_convolution *hd_fused_convolution_of(const hd_operation *operation)
{
    HD_CHECK("SAFE.fused-convolution",
             hd_operation_is_fused(operation, HD_OP_HEDDLE_CONV) ||
                 hd_operation_is_fused(operation, HD_OP_HEDDLE_CONV_TRANSPOSE) ||
                 hd_operation_is_fused(operation, HD_OP_HEDDLE_QLINEAR_CONV));
    return &operation->fused->convolution;
}

static inline const hd_fused_elementwise *hd_fused_elementwise_of(const hd_operation *operation)
{
    HD_CHECK("SAFE.fused-elementwise", hd_operation_is_fused(operation, HD_OP_HEDDLE_ELEMENTWISE));
    return &operation->fused->elementwise;
}

static inline const hd_fused_index_check *hd_fused_index_check_of(const hd_operation *operation)
{
    HD_CHECK("SAFE.fused-index-check", hd_operation_is_fused(operation, HD_OP_HEDDLE_INDEX_CHECK));
    return &operation->fused->index_check;
}

#endif
