/* Small operators of domain com.microsoft (github.com/microsoft/onnxruntime, docs/ContribOperators.md): older forms of what
 * ONNX has by now, and what the optimizer of image generators joins. */
#include "graph/expansions/expansions.h"
#include "graph/expansions/parts.h"

static const char *const none[] = {NULL};

/* y = x + bias + skip. */
void hd_expand_bias_add(hd_expansion *e)
{
    hd_value sum = hd_expand_2(e, HD_OP_ADD, e->inputs[0], e->inputs[1]);
    hd_expand_give(e, 0, hd_expand_2(e, HD_OP_ADD, sum, e->inputs[2]));
}

/* y = x + bias + residual; nothing is dropped where nothing is trained. */
void hd_expand_bias_dropout(hd_expansion *e)
{
    if (hd_expand_wants(e, 1) || hd_expand_has(e, 4)) {
        hd_expand_fail(e, HD_UNSUPPORTED, "its mask and training_mode are not supported");
    }
    hd_value sum = hd_expand_2(e, HD_OP_ADD, e->inputs[0], e->inputs[1]);
    hd_expand_give(e, 0, hd_expand_has(e, 2) ? hd_expand_2(e, HD_OP_ADD, sum, e->inputs[2]) : sum);
}

/* y = a · Gelu(b), a and b the halves of x + bias. */
void hd_expand_bias_split_gelu(hd_expansion *e)
{
    hd_value sum = hd_expand_2(e, HD_OP_ADD, e->inputs[0], e->inputs[1]), halves[2];
    hd_attribute attributes[2] = {hd_expand_int("axis", -1), hd_expand_int("num_outputs", 2)};
    hd_expand_node(e, HD_OP_SPLIT, &sum, 1, attributes, 2, halves, 2);
    hd_expand_give(e, 0,
                   hd_expand_2(e, HD_OP_MUL, halves[0], hd_expand_1(e, HD_OP_GELU, halves[1])));
}

void hd_expand_expand_dims(hd_expansion *e)
{
    hd_value axis = hd_expand_cast(e, e->inputs[1], HD_INT64);
    axis = hd_expand_reshape(e, axis, (int64_t[]){-1}, 1);
    hd_expand_give(e, 0, hd_expand_2(e, HD_OP_UNSQUEEZE, e->inputs[0], axis));
}

void hd_expand_gather_nd(hd_expansion *e)
{
    hd_value places = hd_expand_cast(e, e->inputs[1], HD_INT64);
    hd_expand_give(e, 0, hd_expand_2(e, HD_OP_GATHER_ND, e->inputs[0], places));
}

void hd_expand_trilu(hd_expansion *e)
{
    hd_expand_give(e, 0, hd_expand_same(e, HD_OP_TRILU, e->inputs, 2, none));
}

/* Without a step it is 1. */
void hd_expand_range_of(hd_expansion *e)
{
    hd_value begin = hd_expand_reshape(e, e->inputs[0], NULL, 0);
    hd_value end = hd_expand_reshape(e, e->inputs[1], NULL, 0);
    hd_value step = hd_expand_has(e, 2)
                        ? hd_expand_reshape(e, e->inputs[2], NULL, 0)
                        : hd_expand_2(e, HD_OP_CAST_LIKE, hd_expand_number(e, 1), begin);
    hd_expand_give(e, 0, hd_expand_3(e, HD_OP_RANGE, begin, end, step));
}

void hd_expand_pad(hd_expansion *e)
{
    hd_value inputs[3] = {e->inputs[0], hd_expand_reshape(e, e->inputs[1], (int64_t[]){-1}, 1),
                          e->inputs[2]};
    if (hd_expand_has(e, 2)) {
        inputs[2] = hd_expand_reshape(e, e->inputs[2], NULL, 0);
    }
    hd_expand_give(e, 0, hd_expand_same(e, HD_OP_PAD, inputs, 3, none));
}

/* In the order in which elements first appear; outputs: elements, of each the place of its value, counts. */
void hd_expand_unique(hd_expansion *e)
{
    hd_attribute order = hd_expand_int("sorted", 0);
    hd_value made[4];
    hd_expand_node(e, HD_OP_UNIQUE, e->inputs, 1, &order, 1, made, 4);
    hd_expand_give(e, 0, made[0]);
    hd_expand_give(e, 1, made[2]);
    hd_expand_give(e, 2, made[3]);
}

/* The rank of a convolution by its weights, which are known; else of images. */
static int rank_of(const hd_expansion *e, size_t weight)
{
    int rank = hd_expand_rank(e, e->inputs[weight]);
    return rank >= 3 && rank <= HD_MAX_RANK ? rank : 4;
}

/* Conv of what has its channels last; the weights are ONNX's. */
void hd_expand_nhwc_conv(hd_expansion *e)
{
    const int rank = rank_of(e, 1);
    hd_value inputs[3] = {hd_expand_turn_channels(e, e->inputs[0], rank, true), e->inputs[1],
                          e->inputs[2]};
    hd_value y = hd_expand_same(e, HD_OP_CONV, inputs, 3, none);
    hd_expand_give(e, 0, hd_expand_turn_channels(e, y, rank, false));
}

void hd_expand_nhwc_max_pool(hd_expansion *e)
{
    size_t count;
    hd_operation_ints(&e->operation, "kernel_shape", &count);
    const int rank = count >= 1 && count + 2 <= HD_MAX_RANK ? (int)count + 2 : 4;
    hd_value x = hd_expand_turn_channels(e, e->inputs[0], rank, true);
    hd_value y = hd_expand_same(e, HD_OP_MAX_POOL, &x, 1, none);
    hd_expand_give(e, 0, hd_expand_turn_channels(e, y, rank, false));
}

/* ONNX's QLinearConv, also of what has its channels last. */
void hd_expand_microsoft_qlinear_conv(hd_expansion *e)
{
    static const char *const layout[] = {"channels_last", NULL};
    const bool is_last = hd_operation_int(&e->operation, "channels_last", 0) != 0;
    const int rank = rank_of(e, 3);
    hd_value inputs[9];
    for (size_t i = 0; i < 9; i++) {
        inputs[i] =
            i == 0 && is_last ? hd_expand_turn_channels(e, e->inputs[0], rank, true) : e->inputs[i];
    }
    hd_value y = hd_expand_same(e, HD_OP_QLINEAR_CONV, inputs, hd_expand_has(e, 8) ? 9 : 8, layout);
    hd_expand_give(e, 0, is_last ? hd_expand_turn_channels(e, y, rank, false) : y);
}

/* Norm of groups of an image's channels, then x · sigmoid(x) where activation is 1. */
static void give_group_norm(hd_expansion *e, hd_value x)
{
    const hd_operation *o = &e->operation;
    const bool is_last = hd_operation_int(o, "channels_last", 1) != 0;
    const int64_t activation = hd_operation_int(o, "activation", 0);
    hd_attribute attributes[2] = {
        hd_expand_int("num_groups", hd_expand_positive(e, "groups")),
        hd_expand_float("epsilon", hd_operation_float(o, "epsilon", 1e-5f))};
    if (activation != 0 && activation != 1) {
        hd_expand_fail(e, HD_BAD_MODEL, "its activation is %lld, not 0 or 1",
                       (long long)activation);
    }
    x = is_last ? hd_expand_turn_channels(e, x, 4, true) : x;
    hd_value y;
    hd_expand_node(e, HD_OP_GROUP_NORMALIZATION, (hd_value[]){x, e->inputs[1], e->inputs[2]}, 3,
                   attributes, 2, &y, 1);
    y = activation == 1 ? hd_expand_1(e, HD_OP_SWISH, y) : y;
    hd_expand_give(e, 0, is_last ? hd_expand_turn_channels(e, y, 4, false) : y);
}

void hd_expand_group_norm(hd_expansion *e)
{
    give_group_norm(e, e->inputs[0]);
}

/* Inputs: x, scale, bias, skip, bias of the sum (a number a channel, last). Output 1: the sum. */
void hd_expand_skip_group_norm(hd_expansion *e)
{
    if (hd_operation_int(&e->operation, "channels_last", 1) == 0) {
        hd_expand_fail(e, HD_UNSUPPORTED, "it is supported with its channels last only");
    }
    const hd_value skip = e->inputs[3];
    hd_expand_branches rank; /* [N, C] stands for [N, 1, 1, C] */
    hd_expand_if(e, &rank, hd_expand_has_rank(e, skip, 2));
    hd_expand_else(e, &rank,
                   hd_expand_2(e, HD_OP_UNSQUEEZE, skip, hd_expand_list(e, (int64_t[]){1, 2}, 2)));
    hd_value sum = hd_expand_2(e, HD_OP_ADD, e->inputs[0], hd_expand_end(e, &rank, skip));
    sum = hd_expand_has(e, 4) ? hd_expand_2(e, HD_OP_ADD, sum, e->inputs[4]) : sum;
    give_group_norm(e, sum);
    hd_expand_give(e, 1, sum);
}
