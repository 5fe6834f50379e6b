/* Activations that exporters spell out become one operator again: GELU, HardSwish and x·sigmoid(x). Their
 * constants must be the exact ones, rounded to the model's precision; a number merely near is another
 * function, which is computed as it is written. */
#include <math.h>

#include "graph/passes.h"

#define ROOT_OF_2 1.4142135623730950488

/* `value` is `exact` rounded to the nearest number of `digits` binary digits. */
static bool is_rounding(float value, double exact, int digits)
{
    int exponent;
    (void)frexp(exact, &exponent);
    return (double)value == ldexp(rint(ldexp(exact, digits - exponent)), exponent - digits);
}

/* The constant is `exact` as float32 or, in a model that was of half precision, as that. */
static bool is_value(const hd_planner *planner, float value, double exact)
{
    return is_rounding(value, exact, 24) ||
           (planner->graph->from_float16 && is_rounding(value, exact, 11)) ||
           (planner->graph->from_bfloat16 && is_rounding(value, exact, 8));
}

static bool is_constant(const hd_planner *planner, hd_tensor_id id, double exact)
{
    float value;
    return hd_planner_scalar(planner, id, &value) && is_value(planner, value, exact);
}

/* `node` divides by the constant `divisor`, or multiplies with 1 / divisor: *out is what. */
static bool divides_by(const hd_planner *planner, const hd_plan_node *node, double divisor,
                       hd_tensor_id *out)
{
    if (hd_plan_node_is(node, HD_OP_DIV) && is_constant(planner, node->inputs[1], divisor)) {
        *out = node->inputs[0];
        return true;
    }
    if (!hd_plan_node_is(node, HD_OP_MUL)) {
        return false;
    }
    for (size_t i = 0; i < 2; i++) {
        if (is_constant(planner, node->inputs[i], 1 / divisor)) {
            *out = node->inputs[1 - i];
            return true;
        }
    }
    return false;
}

/* The node, of the given type, that alone reads the first output of `node`. */
static hd_plan_node *next_of(const hd_planner *planner, const hd_plan_node *node, hd_operator_id id)
{
    hd_plan_node *user = hd_planner_only_user(planner, node->outputs[0]);
    return hd_plan_node_is(user, id) ? user : NULL;
}

static bool same_shape(const hd_planner *planner, hd_tensor_id a, hd_tensor_id b)
{
    return hd_shape_equal(&planner->tensors[a].shape, &planner->tensors[b].shape);
}

/* From Erf outwards: x/2·(1 + erf(x/√2)), the factor 1/2 at any of the three places. */
static hd_plan_node *match_gelu(const hd_planner *planner, const hd_plan_node *erf, hd_tensor_id *x)
{
    hd_plan_node *scaled = hd_planner_producer(planner, erf->inputs[0]);
    if (scaled == NULL || !divides_by(planner, scaled, ROOT_OF_2, x)) {
        return NULL;
    }
    hd_plan_node *plus = next_of(planner, erf, HD_OP_ADD);
    if (plus == NULL || !is_constant(planner, hd_plan_node_other(plus, erf->outputs[0]), 1)) {
        return NULL;
    }
    hd_plan_node *product = next_of(planner, plus, HD_OP_MUL);
    if (product == NULL) {
        return NULL;
    }
    hd_tensor_id other = hd_plan_node_other(product, plus->outputs[0]), unused;
    if (other == *x) { /* x·(1 + erf), then ·1/2 */
        hd_plan_node *half = hd_planner_only_user(planner, product->outputs[0]);
        return half != NULL && divides_by(planner, half, 2, &unused) ? half : NULL;
    }
    hd_plan_node *halved = hd_planner_producer(planner, other);
    hd_tensor_id source;
    if (halved != NULL && divides_by(planner, halved, 2, &source) && source == *x) {
        return product; /* (x/2)·(1 + erf) */
    }
    if (is_constant(planner, other, 0.5)) { /* 1/2·(1 + erf), then ·x */
        hd_plan_node *last = next_of(planner, product, HD_OP_MUL);
        return last != NULL && hd_plan_node_other(last, product->outputs[0]) == *x ? last : NULL;
    }
    return NULL;
}

/* From Clip(x + 3, 0, 6) outwards: x·clip/6 or x·(clip/6). */
static hd_plan_node *match_hard_swish(const hd_planner *planner, const hd_plan_node *clip,
                                      hd_tensor_id *x)
{
    hd_plan_node *plus = hd_planner_producer_of(planner, clip->inputs[0], HD_OP_ADD);
    if (plus == NULL || clip->operation.input_count < 3 || clip->inputs[1] == HD_TENSOR_NONE ||
        clip->inputs[2] == HD_TENSOR_NONE || !is_constant(planner, clip->inputs[1], 0) ||
        !is_constant(planner, clip->inputs[2], 6)) {
        return NULL;
    }
    *x = HD_TENSOR_NONE;
    for (size_t i = 0; i < 2; i++) {
        if (is_constant(planner, plus->inputs[i], 3)) {
            *x = plus->inputs[1 - i];
        }
    }
    hd_plan_node *user = hd_planner_only_user(planner, clip->outputs[0]);
    hd_tensor_id source;
    if (*x == HD_TENSOR_NONE || user == NULL) {
        return NULL;
    }
    if (divides_by(planner, user, 6, &source)) {
        hd_plan_node *product = next_of(planner, user, HD_OP_MUL);
        return product != NULL && hd_plan_node_other(product, user->outputs[0]) == *x ? product
                                                                                      : NULL;
    }
    if (!hd_plan_node_is(user, HD_OP_MUL) || hd_plan_node_other(user, clip->outputs[0]) != *x) {
        return NULL;
    }
    hd_plan_node *sixth = hd_planner_only_user(planner, user->outputs[0]);
    return sixth != NULL && divides_by(planner, sixth, 6, &source) ? sixth : NULL;
}

/* x·hardsigmoid(x) with alpha 1/6, beta 1/2. */
static hd_plan_node *match_hard_sigmoid(const hd_planner *planner, const hd_plan_node *gate,
                                        hd_tensor_id *x)
{
    *x = gate->inputs[0];
    float alpha = hd_operation_float(&gate->operation, "alpha", 0.2f);
    float beta = hd_operation_float(&gate->operation, "beta", 0.5f);
    hd_plan_node *product = next_of(planner, gate, HD_OP_MUL);
    return is_value(planner, alpha, 1.0 / 6) && beta == 0.5f && product != NULL &&
                   hd_plan_node_other(product, gate->outputs[0]) == *x
               ? product
               : NULL;
}

/* x·sigmoid(x), also sigmoid(1·x) as paddle writes it. */
static hd_plan_node *match_silu(const hd_planner *planner, const hd_plan_node *gate,
                                hd_tensor_id *x)
{
    *x = gate->inputs[0];
    hd_plan_node *product = next_of(planner, gate, HD_OP_MUL);
    if (product == NULL) {
        return NULL;
    }
    hd_tensor_id other = hd_plan_node_other(product, gate->outputs[0]), source;
    if (other == *x) {
        return product;
    }
    hd_plan_node *scaled = hd_planner_producer(planner, *x);
    if (scaled != NULL && divides_by(planner, scaled, 1, &source) && source == other) {
        *x = other;
        return product;
    }
    return NULL;
}

static bool fuse_one(hd_planner *planner, const hd_plan_node *node)
{
    hd_tensor_id x = HD_TENSOR_NONE;
    hd_plan_node *last = NULL;
    hd_operator_id id = HD_OP_NONE;
    if (hd_plan_node_is(node, HD_OP_ERF)) {
        last = match_gelu(planner, node, &x);
        id = HD_OP_GELU;
    } else if (hd_plan_node_is(node, HD_OP_CLIP)) {
        last = match_hard_swish(planner, node, &x);
        id = HD_OP_HARD_SWISH;
    } else if (hd_plan_node_is(node, HD_OP_HARD_SIGMOID)) {
        last = match_hard_sigmoid(planner, node, &x);
        id = HD_OP_HARD_SWISH;
    } else if (hd_plan_node_is(node, HD_OP_SIGMOID)) {
        last = match_silu(planner, node, &x);
        id = HD_OP_SWISH;
    }
    if (last == NULL || planner->tensors[x].dtype != HD_FLOAT32 ||
        !same_shape(planner, x, last->outputs[0])) {
        return true;
    }
    hd_replacement made = {.id = id, .inputs = &x, .input_count = 1};
    return !hd_planner_allows(planner, last, &made) || hd_planner_replace(planner, last, &made);
}

bool hd_fuse_activations(hd_planner *planner)
{
    for (size_t n = 0; n < planner->node_count; n++) {
        if (!planner->nodes[n].dead && !fuse_one(planner, &planner->nodes[n])) {
            return false;
        }
    }
    return true;
}
