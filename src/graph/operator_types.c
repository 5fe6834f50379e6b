/* Which types an operator's inputs may have beside one another. Inference and kernels look at the first
 * input's type and trust the others to fit, so what does not fit is refused here, before both. */
#include "graph/operator.h"

#include <string.h>

/* One letter an input, the last one for all that follow:
 * T the type of all other T · I int32 or int64 · L int64 · B bool · F float32 · * any */
typedef struct type_rule {
    const char *type;
    const char *inputs;
} type_rule;

/* Sorted by name, for the search. */
static const type_rule rules[] = {
    {"Add", "TT"},
    {"AffineGrid", "*L"},
    {"And", "BB"},
    {"BatchNormalization", "*"}, /* before opset 14 T, then up to three types */
    {"BitShift", "TT"},
    {"BitwiseAnd", "TT"},
    {"BitwiseOr", "TT"},
    {"BitwiseXor", "TT"},
    {"CenterCropPad", "*I"},
    {"Clip", "TTT"},
    {"Col2Im", "*LL"},
    {"Compress", "*B"},
    {"Concat", "T"},
    {"ConstantOfShape", "L"},
    {"Conv", "TTT"},
    {"ConvTranspose", "TTT"},
    {"CumSum", "TI"},
    {"DFT", "*II"},
    {"Div", "TT"},
    {"Einsum", "T"},
    {"Equal", "TT"},
    {"Expand", "*L"},
    {"GRU", "TTTTIT"},
    {"Gather", "*I"},
    {"GatherElements", "*I"},
    {"GatherND", "*L"},
    {"Gemm", "TTT"},
    {"Greater", "TT"},
    {"GreaterOrEqual", "TT"},
    {"GridSample", "TT"},
    {"GroupNormalization", "TTT"},
    {"InstanceNormalization", "TTT"},
    {"LSTM", "TTTTITTT"},
    {"LayerNormalization", "TTT"},
    {"Less", "TT"},
    {"LessOrEqual", "TT"},
    {"MatMul", "TT"},
    {"Max", "T"},
    {"MaxRoiPool", "TT"},
    {"MaxUnpool", "TLL"},
    {"Mean", "T"},
    {"Min", "T"},
    {"Mod", "TT"},
    {"Mul", "TT"},
    {"NegativeLogLikelihoodLoss", "TIT"},
    {"NonMaxSuppression", "FFLFF"},
    {"Or", "BB"},
    {"PRelu", "TT"},
    {"Pad", "TLTI"},
    {"RMSNormalization", "TT"},
    {"RNN", "TTTTIT"},
    {"Range", "TTT"},
    {"ReduceL1", "*L"},
    {"ReduceL2", "*L"},
    {"ReduceLogSum", "*L"},
    {"ReduceLogSumExp", "*L"},
    {"ReduceMax", "*L"},
    {"ReduceMean", "*L"},
    {"ReduceMin", "*L"},
    {"ReduceProd", "*L"},
    {"ReduceSum", "*L"},
    {"ReduceSumSquare", "*L"},
    {"Reshape", "*L"},
    {"ReverseSequence", "*L"},
    {"RoiAlign", "TTL"},
    {"STFT", "TITI"},
    {"Scatter", "TIT"},
    {"ScatterElements", "TIT"},
    {"ScatterND", "TLT"},
    {"Slice", "*IIII"},
    {"SoftmaxCrossEntropyLoss", "TIT"},
    {"Split", "*L"},
    {"Squeeze", "*L"},
    {"Sub", "TT"},
    {"Sum", "T"},
    {"Tile", "*L"},
    {"TopK", "*L"},
    {"Trilu", "*L"},
    {"Unsqueeze", "*L"},
    {"Upsample", "*F"},
    {"Where", "BTT"},
    {"Xor", "BB"},
};

static const char *find_rule(const char *type)
{
    size_t low = 0, high = sizeof rules / sizeof rules[0];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(type, rules[middle].type);
        if (order == 0) {
            return rules[middle].inputs;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

/* *shared: the type of the T inputs so far, HD_DTYPE_NONE before the first. */
static bool fits(char letter, hd_dtype dtype, hd_dtype *shared)
{
    switch (letter) {
    case 'T':
        if (*shared == HD_DTYPE_NONE) {
            *shared = dtype;
        }
        return dtype == *shared;
    case 'I':
        return dtype == HD_INT32 || dtype == HD_INT64;
    case 'L':
        return dtype == HD_INT64;
    case 'B':
        return dtype == HD_BOOL;
    case 'F':
        return dtype == HD_FLOAT32;
    default:
        return true;
    }
}

hd_status hd_operator_check_types(const hd_operation *operation, hd_error *error)
{
    const char *rule = find_rule(operation->type);
    hd_dtype shared = HD_DTYPE_NONE;
    for (size_t i = 0; rule != NULL && i < operation->input_count; i++) {
        hd_dtype dtype = operation->inputs[i].dtype;
        if (dtype != HD_DTYPE_NONE && !fits(*rule, dtype, &shared)) {
            return hd_operation_fail(operation, error, HD_BAD_MODEL,
                                     "input %zu is %s, which does not go with the others", i,
                                     hd_dtype_name(dtype));
        }
        rule += rule[1] != '\0';
    }
    return HD_OK;
}
