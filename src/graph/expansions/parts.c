#include "graph/expansions/parts.h"

#include <math.h>
#include <string.h>

#define ATTRIBUTE_LIMIT 16u

hd_value hd_expand_activation(hd_expansion *e, hd_value x, const char *name, float alpha,
                              float beta)
{
    static const struct {
        const char *name;
        hd_operator_id id;
        const char *parameters[2]; /* attributes */
    } activations[] = {
        {"Relu", HD_OP_RELU, {NULL}},
        {"Tanh", HD_OP_TANH, {NULL}},
        {"Sigmoid", HD_OP_SIGMOID, {NULL}},
        {"Softplus", HD_OP_SOFTPLUS, {NULL}},
        {"Softsign", HD_OP_SOFTSIGN, {NULL}},
        {"HardSwish", HD_OP_HARD_SWISH, {NULL}},
        {"Elu", HD_OP_ELU, {"alpha"}},
        {"LeakyRelu", HD_OP_LEAKY_RELU, {"alpha"}},
        {"ThresholdedRelu", HD_OP_THRESHOLDED_RELU, {"alpha"}},
        {"HardSigmoid", HD_OP_HARD_SIGMOID, {"alpha", "beta"}},
    };
    if (name[0] == '\0') {
        return x;
    }
    if (strcmp(name, "Clip") == 0) {
        hd_value low = isnan(alpha) ? HD_VALUE_NONE : hd_expand_number(e, alpha);
        hd_value high = isnan(beta) ? HD_VALUE_NONE : hd_expand_number(e, beta);
        return hd_expand_3(e, HD_OP_CLIP, x, low, high);
    }
    const float values[2] = {alpha, beta};
    for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++) {
        if (strcmp(activations[i].name, name) != 0) {
            continue;
        }
        hd_attribute attributes[2];
        size_t count = 0;
        for (size_t a = 0; a < 2; a++) {
            if (activations[i].parameters[a] != NULL && !isnan(values[a])) {
                attributes[count++] = hd_expand_float(activations[i].parameters[a], values[a]);
            }
        }
        hd_value made;
        hd_expand_node(e, activations[i].id, &x, 1, attributes, count, &made, 1);
        return made;
    }
    hd_expand_fail(e, HD_UNSUPPORTED, "its activation '%.64s' is not supported", name);
    return HD_VALUE_NONE;
}

hd_value hd_expand_same(hd_expansion *e, hd_operator_id id, const hd_value *inputs,
                        size_t input_count, const char *const *without)
{
    hd_attribute attributes[ATTRIBUTE_LIMIT];
    size_t count = 0;
    for (size_t i = 0; i < e->operation.attribute_count; i++) {
        const char *const *at = without;
        while (*at != NULL && strcmp(*at, e->operation.attributes[i].name) != 0) {
            at++;
        }
        if (*at == NULL && count == ATTRIBUTE_LIMIT) {
            hd_expand_fail(e, HD_UNSUPPORTED, "it has more than %u attributes", ATTRIBUTE_LIMIT);
        } else if (*at == NULL) {
            attributes[count++] = e->operation.attributes[i];
        }
    }
    hd_value made;
    hd_expand_node(e, id, inputs, input_count, attributes, count, &made, 1);
    return made;
}

static void channels_order(int rank, bool to_first, int64_t order[HD_MAX_RANK])
{
    memset(order, 0, HD_MAX_RANK * sizeof *order);
    for (int i = 1; i < rank; i++) {
        order[i] = to_first ? (i == 1 ? rank - 1 : i - 1) : (i == rank - 1 ? 1 : i + 1);
    }
}

hd_value hd_expand_turn_channels(hd_expansion *e, hd_value x, int rank, bool to_first)
{
    int64_t order[HD_MAX_RANK], back[HD_MAX_RANK];
    channels_order(rank, to_first, order);
    channels_order(rank, !to_first, back);
    const hd_node *turn = hd_expand_producer(e, x);
    if (turn != NULL && turn->operator->id == HD_OP_TRANSPOSE && turn->attribute_count == 1 &&
        turn->attributes[0].count == (size_t)rank &&
        memcmp(turn->attributes[0].ints, back, (size_t)rank * sizeof *back) == 0) {
        return turn->inputs[0];
    }
    return hd_expand_transpose(e, x, order, (size_t)rank);
}
