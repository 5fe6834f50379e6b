/* From which opset on an operator exists, and which attributes it has (onnx.ai, "Operator Schemas"; as
 * version 1.23 of the Python package onnx lists them, onnx.defs.get_schema). Inference and kernels look only at
 * attributes that are there and of the right kind, so what they would pass over is refused here. */
#include <stdlib.h>
#include <string.h>

#include "graph/operator.h"

/* Attributes are words NAME:KIND, then ! where the operator must have it, @N and -N where only opsets
 * from N on and up to N know it. KIND: i integer, f number, s text or texts, I integers, F numbers,
 * t tensor. */
typedef struct attribute_rule {
    const char *type;
    uint32_t since; /* opset; 0: 6 or before, or after 21, the last that a file may ask for */
    const char *attributes;
} attribute_rule;

/* Sorted by name, for the search. */
/* clang-format off */
static const attribute_rule rules[] = {
    {"Abs", 0, ""},
    {"Acos", 7, ""},
    {"Acosh", 9, ""},
    {"Add", 0, "axis:i-6 broadcast:i-6"},
    {"AffineGrid", 20, "align_corners:i"},
    {"And", 0, "axis:i-6 broadcast:i-6"},
    {"ArgMax", 0, "axis:i keepdims:i select_last_index:i@12"},
    {"ArgMin", 0, "axis:i keepdims:i select_last_index:i@12"},
    {"Asin", 7, ""},
    {"Asinh", 9, ""},
    {"Atan", 7, ""},
    {"Atanh", 9, ""},
    {"AveragePool", 0, "auto_pad:s ceil_mode:i@10 count_include_pad:i@7 dilations:I@19 "
        "kernel_shape:I! pads:I strides:I"},
    {"BatchNormalization", 0, "epsilon:f is_test:i-6 momentum:f spatial:i-8 training_mode:i@14"},
    {"BitShift", 11, "direction:s!"},
    {"BitwiseAnd", 18, ""},
    {"BitwiseNot", 18, ""},
    {"BitwiseOr", 18, ""},
    {"BitwiseXor", 18, ""},
    {"BlackmanWindow", 17, "output_datatype:i periodic:i"},
    {"Cast", 0, "saturate:i@19 to:i!"},
    {"CastLike", 15, "saturate:i@19"},
    {"Ceil", 0, ""},
    {"Celu", 12, "alpha:f"},
    {"CenterCropPad", 18, "axes:I"},
    {"Clip", 0, "max:f-10 min:f-10"},
    {"Col2Im", 18, "dilations:I pads:I strides:I"},
    {"Compress", 9, "axis:i"},
    {"Concat", 0, "axis:i!"},
    {"ConstantOfShape", 9, "value:t"},
    {"Conv", 0, "auto_pad:s dilations:I group:i kernel_shape:I pads:I strides:I"},
    {"ConvTranspose", 0, "auto_pad:s dilations:I group:i kernel_shape:I output_padding:I "
        "output_shape:I pads:I strides:I"},
    {"Cos", 7, ""},
    {"Cosh", 9, ""},
    {"CumSum", 11, "exclusive:i reverse:i"},
    {"DFT", 17, "axis:i-19 inverse:i onesided:i"},
    {"DepthToSpace", 0, "blocksize:i! mode:s@11"},
    {"Det", 11, ""},
    {"Div", 0, "axis:i-6 broadcast:i-6"},
    {"Dropout", 0, "is_test:i-6 ratio:f-11 seed:i@12"},
    {"Einsum", 12, "equation:s!"},
    {"Elu", 0, "alpha:f"},
    {"Equal", 0, "axis:i-6 broadcast:i-6"},
    {"Erf", 9, ""},
    {"Exp", 0, ""},
    {"Expand", 8, ""},
    {"EyeLike", 9, "dtype:i k:i"},
    {"Flatten", 0, "axis:i"},
    {"Floor", 0, ""},
    {"GRU", 0, "activation_alpha:F activation_beta:F activations:s clip:f direction:s "
        "hidden_size:i layout:i@14 linear_before_reset:i output_sequence:i-6"},
    {"Gather", 0, "axis:i"},
    {"GatherElements", 11, "axis:i"},
    {"GatherND", 11, "batch_dims:i@12"},
    {"Gelu", 20, "approximate:s"},
    {"Gemm", 0, "alpha:f beta:f broadcast:i-6 transA:i transB:i"},
    {"GlobalAveragePool", 0, ""},
    {"GlobalLpPool", 0, "p:i"},
    {"GlobalMaxPool", 0, ""},
    {"Greater", 0, "axis:i-6 broadcast:i-6"},
    {"GreaterOrEqual", 12, ""},
    {"GridSample", 16, "align_corners:i mode:s padding_mode:s"},
    {"GroupNormalization", 18, "epsilon:f num_groups:i! stash_type:i@21"},
    {"HammingWindow", 17, "output_datatype:i periodic:i"},
    {"HannWindow", 17, "output_datatype:i periodic:i"},
    {"HardSigmoid", 0, "alpha:f beta:f"},
    {"HardSwish", 14, ""},
    {"Hardmax", 0, "axis:i"},
    {"Identity", 0, ""},
    {"If", 0, ""},
    {"InstanceNormalization", 0, "epsilon:f"},
    {"IsInf", 10, "detect_negative:i detect_positive:i"},
    {"IsNaN", 9, ""},
    {"LRN", 0, "alpha:f beta:f bias:f size:i!"},
    {"LSTM", 0, "activation_alpha:F activation_beta:F activations:s clip:f direction:s "
        "hidden_size:i input_forget:i layout:i@14 output_sequence:i-6"},
    {"LayerNormalization", 17, "axis:i epsilon:f stash_type:i"},
    {"LeakyRelu", 0, "alpha:f"},
    {"Less", 0, "axis:i-6 broadcast:i-6"},
    {"LessOrEqual", 12, ""},
    {"Log", 0, ""},
    {"LogSoftmax", 0, "axis:i"},
    {"Loop", 0, ""},
    {"LpNormalization", 0, "axis:i p:i"},
    {"LpPool", 0, "auto_pad:s ceil_mode:i@18 dilations:I@18 kernel_shape:I! p:i pads:I strides:I"},
    {"MatMul", 0, ""},
    {"Max", 0, ""},
    {"MaxPool", 0, "auto_pad:s ceil_mode:i@10 dilations:I@10 kernel_shape:I! pads:I "
        "storage_order:i@8 strides:I"},
    {"MaxRoiPool", 0, "pooled_shape:I! spatial_scale:f"},
    {"MaxUnpool", 9, "kernel_shape:I! pads:I strides:I"},
    {"Mean", 0, ""},
    {"MeanVarianceNormalization", 9, "axes:I"},
    {"MelWeightMatrix", 17, "output_datatype:i"},
    {"Min", 0, ""},
    {"Mish", 18, ""},
    {"Mod", 10, "fmod:i"},
    {"Mul", 0, "axis:i-6 broadcast:i-6"},
    {"Neg", 0, ""},
    {"NegativeLogLikelihoodLoss", 12, "ignore_index:i reduction:s"},
    {"NonMaxSuppression", 10, "center_point_box:i"},
    {"NonZero", 9, ""},
    {"Not", 0, ""},
    {"OneHot", 9, "axis:i"},
    {"Or", 0, "axis:i-6 broadcast:i-6"},
    {"PRelu", 0, ""},
    {"Pad", 0, "mode:s pads:I!-10 value:f-10"},
    {"Pow", 0, "axis:i-6 broadcast:i-6"},
    {"RMSNormalization", 0, "axis:i epsilon:f stash_type:i"},
    {"RNN", 0, "activation_alpha:F activation_beta:F activations:s clip:f direction:s "
        "hidden_size:i layout:i@14 output_sequence:i-6"},
    {"Range", 11, ""},
    {"Reciprocal", 0, ""},
    {"ReduceL1", 0, "axes:I-17 keepdims:i noop_with_empty_axes:i@18"},
    {"ReduceL2", 0, "axes:I-17 keepdims:i noop_with_empty_axes:i@18"},
    {"ReduceLogSum", 0, "axes:I-17 keepdims:i noop_with_empty_axes:i@18"},
    {"ReduceLogSumExp", 0, "axes:I-17 keepdims:i noop_with_empty_axes:i@18"},
    {"ReduceMax", 0, "axes:I-17 keepdims:i noop_with_empty_axes:i@18"},
    {"ReduceMean", 0, "axes:I-17 keepdims:i noop_with_empty_axes:i@18"},
    {"ReduceMin", 0, "axes:I-17 keepdims:i noop_with_empty_axes:i@18"},
    {"ReduceProd", 0, "axes:I-17 keepdims:i noop_with_empty_axes:i@18"},
    {"ReduceSum", 0, "axes:I-12 keepdims:i noop_with_empty_axes:i@13"},
    {"ReduceSumSquare", 0, "axes:I-17 keepdims:i noop_with_empty_axes:i@18"},
    {"Relu", 0, ""},
    {"Reshape", 0, "allowzero:i@14"},
    {"Resize", 10, "antialias:i@18 axes:I@18 coordinate_transformation_mode:s@11 "
        "cubic_coeff_a:f@11 exclude_outside:i@11 extrapolation_value:f@11 "
        "keep_aspect_ratio_policy:s@18 mode:s nearest_mode:s@11"},
    {"ReverseSequence", 10, "batch_axis:i time_axis:i"},
    {"RoiAlign", 10, "coordinate_transformation_mode:s@16 mode:s output_height:i output_width:i "
        "sampling_ratio:i spatial_scale:f"},
    {"Round", 11, ""},
    {"STFT", 17, "onesided:i"},
    {"Scatter", 9, "axis:i"},
    {"ScatterElements", 11, "axis:i reduction:s@16"},
    {"ScatterND", 11, "reduction:s@16"},
    {"Selu", 0, "alpha:f gamma:f"},
    {"Shape", 0, "end:i@15 start:i@15"},
    {"Shrink", 9, "bias:f lambd:f"},
    {"Sigmoid", 0, ""},
    {"Sign", 9, ""},
    {"Sin", 7, ""},
    {"Sinh", 9, ""},
    {"Size", 0, ""},
    {"Slice", 0, "axes:I-9 ends:I!-9 starts:I!-9"},
    {"Softmax", 0, "axis:i"},
    {"SoftmaxCrossEntropyLoss", 12, "ignore_index:i reduction:s"},
    {"Softplus", 0, ""},
    {"Softsign", 0, ""},
    {"SpaceToDepth", 0, "blocksize:i!"},
    {"Split", 0, "axis:i num_outputs:i@18 split:I-12"},
    {"Sqrt", 0, ""},
    {"Squeeze", 0, "axes:I-12"},
    {"Sub", 0, "axis:i-6 broadcast:i-6"},
    {"Sum", 0, ""},
    {"Swish", 0, "alpha:f"},
    {"Tan", 7, ""},
    {"Tanh", 0, ""},
    {"ThresholdedRelu", 10, "alpha:f"},
    {"Tile", 0, ""},
    {"TopK", 0, "axis:i k:i!-9 largest:i@11 sorted:i@11"},
    {"Transpose", 0, "perm:I"},
    {"Trilu", 14, "upper:i"},
    {"Unique", 11, "axis:i sorted:i"},
    {"Unsqueeze", 0, "axes:I!-12"},
    {"Upsample", 0, "height_scale:f!-6 mode:s scales:F!@7-8 width_scale:f!-6"},
    {"Where", 9, ""},
    {"Xor", 0, "axis:i-6 broadcast:i-6"},
};
/* clang-format on */

static const attribute_rule *find_rule(const char *type)
{
    size_t low = 0, high = sizeof rules / sizeof rules[0];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(type, rules[middle].type);
        if (order == 0) {
            return &rules[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

/* A word of a rule, read. */
typedef struct attribute_word {
    const char *name;
    size_t length;
    char kind;
    bool required;
    uint32_t first;
    uint32_t last;
} attribute_word;

/* The word at `text`, which moves behind it; false at the end. */
static bool next_word(const char **text, attribute_word *out)
{
    const char *at = *text;
    if (*at == '\0') {
        return false;
    }
    *out = (attribute_word){.name = at, .length = strcspn(at, ":"), .last = UINT32_MAX};
    at += out->length + 1;
    out->kind = *at++;
    for (; *at != ' ' && *at != '\0';) {
        char mark = *at++;
        if (mark == '!') {
            out->required = true;
            continue;
        }
        char *end;
        unsigned long number = strtoul(at, &end, 10);
        *(mark == '@' ? &out->first : &out->last) = (uint32_t)number;
        at = end;
    }
    *text = *at == ' ' ? at + 1 : at;
    return true;
}

static char letter_of(hd_attribute_kind kind)
{
    switch (kind) {
    case HD_ATTRIBUTE_INT:
        return 'i';
    case HD_ATTRIBUTE_FLOAT:
        return 'f';
    case HD_ATTRIBUTE_STRING:
        return 's';
    case HD_ATTRIBUTE_INTS:
        return 'I';
    case HD_ATTRIBUTE_FLOATS:
        return 'F';
    case HD_ATTRIBUTE_TENSOR:
        return 't';
    }
    return '?';
}

static const char *kind_name(char letter)
{
    switch (letter) {
    case 'i':
        return "an integer";
    case 'f':
        return "a number";
    case 's':
        return "a text";
    case 'I':
        return "a list of integers";
    case 'F':
        return "a list of numbers";
    default:
        return "a tensor";
    }
}

static hd_status check_attribute(const hd_operation *operation, const attribute_rule *rule,
                                 const hd_attribute *attribute, hd_error *error)
{
    const char *text = rule->attributes;
    attribute_word word;
    while (next_word(&text, &word)) {
        if (operation->opset < word.first || operation->opset > word.last ||
            strlen(attribute->name) != word.length ||
            memcmp(attribute->name, word.name, word.length) != 0) {
            continue;
        }
        char letter = letter_of(attribute->kind);
        return letter == word.kind
                   ? HD_OK
                   : hd_operation_fail(operation, error, HD_BAD_MODEL,
                                       "its attribute '%s' is %s, but must be %s", attribute->name,
                                       kind_name(letter), kind_name(word.kind));
    }
    /* ONNX leaves names that begin so to whoever writes or reads a file. */
    return strncmp(attribute->name, "__", 2) == 0
               ? HD_OK
               : hd_operation_fail(operation, error, HD_BAD_MODEL,
                                   "it has no attribute '%s' at opset %u", attribute->name,
                                   operation->opset);
}

hd_status hd_operator_check_attributes(const hd_operation *operation, hd_error *error)
{
    const attribute_rule *rule = find_rule(operation->type);
    if (rule == NULL) { /* what fusion makes is no operator that a graph may have */
        return hd_operation_fail(operation, error, HD_UNSUPPORTED, "the operator is not supported");
    }
    if (operation->opset < rule->since) {
        return hd_operation_fail(operation, error, HD_BAD_MODEL,
                                 "the operator exists since opset %u; this is opset %u", rule->since,
                                 operation->opset);
    }
    for (size_t i = 0; i < operation->attribute_count; i++) {
        hd_status status = check_attribute(operation, rule, &operation->attributes[i], error);
        if (status != HD_OK) {
            return status;
        }
    }
    const char *text = rule->attributes;
    attribute_word word;
    while (next_word(&text, &word)) {
        bool found = !word.required || operation->opset < word.first || operation->opset > word.last;
        for (size_t i = 0; i < operation->attribute_count && !found; i++) {
            const char *name = operation->attributes[i].name;
            found = strlen(name) == word.length && memcmp(name, word.name, word.length) == 0;
        }
        if (!found) {
            return hd_operation_fail(operation, error, HD_BAD_MODEL, "its attribute '%.*s' is missing",
                                     (int)word.length, word.name);
        }
    }
    return HD_OK;
}
