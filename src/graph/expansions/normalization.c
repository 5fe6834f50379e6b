/* Normalizations of a transformer's last axis (github.com/microsoft/onnxruntime, docs/ContribOperators.md). */
#include "graph/expansions/expansions.h"
#include "graph/expansions/quantized_parts.h"

#define SKIP_EPSILON 1e-12f /* where the file says none */

static float epsilon_of(const hd_expansion *e, float otherwise)
{
    return hd_operation_float(&e->operation, "epsilon", otherwise);
}

/* Gives the norm of x, and its mean and 1 / deviation where they are wanted. */
static void give_layer_norm(hd_expansion *e, hd_value x, hd_value scale, hd_value bias)
{
    const bool all = hd_expand_wants(e, 1) || hd_expand_wants(e, 2);
    hd_attribute attributes[2] = {hd_expand_int("axis", -1),
                                  hd_expand_float("epsilon", epsilon_of(e, SKIP_EPSILON))};
    hd_value made[3];
    hd_expand_node(e, HD_OP_LAYER_NORMALIZATION, (hd_value[]){x, scale, bias},
                   bias == HD_VALUE_NONE ? 2 : 3, attributes, 2, made, all ? 3 : 1);
    for (size_t i = 0; i < (all ? 3 : 1); i++) {
        hd_expand_give(e, i, made[i]);
    }
}

/* input + skip + bias; a bias may be left out. It is added first to the one that is a product, with which it is fused. */
static hd_value skip_sum(hd_expansion *e, hd_value bias)
{
    hd_value a = e->inputs[0], b = e->inputs[1];
    if (bias == HD_VALUE_NONE) {
        return hd_expand_2(e, HD_OP_ADD, a, b);
    }
    const hd_node *product = hd_expand_producer(e, b);
    if (product != NULL && product->operator->id == HD_OP_MATMUL) {
        return hd_expand_2(e, HD_OP_ADD, a, hd_expand_2(e, HD_OP_ADD, b, bias));
    }
    return hd_expand_2(e, HD_OP_ADD, hd_expand_2(e, HD_OP_ADD, a, bias), b);
}

/* Inputs: input, skip, scale, bias of the norm, bias of the sum. Output 3: the sum. */
void hd_expand_skip_layer_norm(hd_expansion *e)
{
    hd_value sum = skip_sum(e, e->inputs[4]);
    give_layer_norm(e, sum, e->inputs[2], e->inputs[3]);
    hd_expand_give(e, 3, sum);
}

/* x / √(mean(x²) + epsilon) · scale over the last axes, from `axis` on; output 1: 1 / √(mean(x²) + epsilon). */
static void give_rms_norm(hd_expansion *e, hd_value x, hd_value scale, int64_t axis, float epsilon)
{
    if (hd_expand_wants(e, 1)) {
        hd_expand_fail(e, HD_UNSUPPORTED, "its output 1, for training, is not supported");
    }
    hd_attribute attributes[2] = {hd_expand_int("axis", axis), hd_expand_float("epsilon", epsilon)};
    hd_value made;
    hd_expand_node(e, HD_OP_RMS_NORMALIZATION, (hd_value[]){x, scale}, 2, attributes, 2, &made, 1);
    hd_expand_give(e, 0, made);
}

void hd_expand_simplified_layer_norm(hd_expansion *e)
{
    give_rms_norm(e, e->inputs[0], e->inputs[1], hd_operation_int(&e->operation, "axis", -1),
                  epsilon_of(e, 1e-5f));
}

/* Inputs: input, skip, scale, bias of the sum. Output 3: the sum. */
void hd_expand_skip_simplified_layer_norm(hd_expansion *e)
{
    hd_value sum = skip_sum(e, e->inputs[3]);
    if (hd_expand_wants(e, 2)) {
        hd_expand_fail(e, HD_UNSUPPORTED, "its output 2, for training, is not supported");
    }
    give_rms_norm(e, sum, e->inputs[2], -1, epsilon_of(e, SKIP_EPSILON));
    hd_expand_give(e, 3, sum);
}

/* How many ones each row of the mask has, as int32; without a mask 0. */
static hd_value count_ones(hd_expansion *e, hd_value ids, hd_value mask)
{
    if (mask == HD_VALUE_NONE) {
        hd_value zero = hd_expand_constant(e, HD_INT32, &(hd_shape){.rank = 0}, &(int32_t){0});
        return hd_expand_2(e, HD_OP_EXPAND, zero, hd_expand_dim(e, ids, 0));
    }
    hd_value one = hd_expand_constant(e, HD_INT32, &(hd_shape){.rank = 0}, &(int32_t){1});
    hd_value ones = hd_expand_cast(e, hd_expand_2(e, HD_OP_EQUAL, mask, one), HD_INT32);
    return hd_expand_2_with(e, HD_OP_REDUCE_SUM, ones, hd_expand_list(e, (int64_t[]){1}, 1),
                            hd_expand_int("keepdims", 0));
}

static void give_embedding(hd_expansion *e, hd_value sum, hd_value scale, hd_value bias)
{
    hd_attribute attributes[2] = {hd_expand_int("axis", -1),
                                  hd_expand_float("epsilon", epsilon_of(e, SKIP_EPSILON))};
    hd_value norm;
    hd_expand_node(e, HD_OP_LAYER_NORMALIZATION, (hd_value[]){sum, scale, bias}, 3, attributes, 2,
                   &norm, 1);
    hd_expand_give(e, 0, norm);
    if (hd_expand_wants(e, 1)) {
        hd_expand_give(e, 1, count_ones(e, e->inputs[0], e->inputs[7]));
    }
}

/* 0, 1, … as many as a row of ids has. */
static hd_value places_of(hd_expansion *e, hd_value ids)
{
    return hd_expand_range(e, hd_expand_list(e, (int64_t[]){0}, 1), hd_expand_dim(e, ids, 1));
}

/* Inputs: ids, segment ids, tables of words, positions and segments, scale, bias, mask, position ids. Outputs: the norm of
 * their sum, how many ones the mask has, the sum. */
void hd_expand_embed_layer_norm(hd_expansion *e)
{
    enum { IDS, SEGMENT_IDS, WORDS, POSITIONS, SEGMENTS, SCALE, BIAS, MASK, POSITION_IDS };
    const hd_value *in = e->inputs;
    hd_expand_need(e, 1u << WORDS | 1u << POSITIONS | 1u << SCALE | 1u << BIAS);
    if (hd_expand_has(e, SEGMENT_IDS) != hd_expand_has(e, SEGMENTS)) {
        hd_expand_fail(e, HD_BAD_MODEL, "it has either segment ids or their table, but not both");
    }
    hd_value places = hd_expand_has(e, POSITION_IDS) ? in[POSITION_IDS] : places_of(e, in[IDS]);
    hd_value sum = hd_expand_2(e, HD_OP_ADD, hd_expand_2(e, HD_OP_GATHER, in[WORDS], in[IDS]),
                               hd_expand_2(e, HD_OP_GATHER, in[POSITIONS], places));
    if (hd_expand_has(e, SEGMENTS)) {
        sum = hd_expand_2(e, HD_OP_ADD, sum,
                          hd_expand_2(e, HD_OP_GATHER, in[SEGMENTS], in[SEGMENT_IDS]));
    }
    give_embedding(e, sum, in[SCALE], in[BIAS]);
    hd_expand_give(e, 2, sum);
}

/* Inputs: as above up to the mask, quantized; the scales of the tables and of the norm's scale and bias; their zero points. */
void hd_expand_qembed_layer_norm(hd_expansion *e)
{
    enum {
        IDS,
        SEGMENT_IDS,
        WORDS,
        POSITIONS,
        SEGMENTS,
        SCALE,
        BIAS,
        MASK,
        SCALES, /* of words, positions, segments, scale, bias */
        ZEROS = SCALES + 5
    };
    const hd_value *in = e->inputs;
    hd_expand_need(e, 1u << WORDS | 1u << POSITIONS | 1u << SCALE | 1u << BIAS | 0x1bu << SCALES |
                          0x1bu << ZEROS);
    if (hd_expand_has(e, SEGMENT_IDS)) {
        hd_expand_need(e, 1u << SEGMENTS | 4u << SCALES | 4u << ZEROS);
    }
    const hd_value ids[3] = {in[IDS], places_of(e, in[IDS]), in[SEGMENT_IDS]};
    hd_value sum = HD_VALUE_NONE;
    for (size_t i = 0; i < (hd_expand_has(e, SEGMENT_IDS) ? 3 : 2); i++) {
        hd_value rows = hd_expand_2(e, HD_OP_GATHER, in[WORDS + i], ids[i]);
        rows = hd_expand_dequantize(e, rows, in[SCALES + i], in[ZEROS + i]);
        sum = i == 0 ? rows : hd_expand_2(e, HD_OP_ADD, sum, rows);
    }
    give_embedding(e, sum, hd_expand_dequantize(e, in[SCALE], in[SCALES + 3], in[ZEROS + 3]),
                   hd_expand_dequantize(e, in[BIAS], in[SCALES + 4], in[ZEROS + 4]));
}
