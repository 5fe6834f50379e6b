/* Products with constant weights take the bias, the residual and the activation that follow them. The
 * arithmetic stays what the separate operators do, in their order (BITS). */
#include <string.h>

#include "graph/passes.h"
#include "operation/fused.h"

/* An operator that is an activation with constant parameters. */
static bool activation_of(const hd_planner *planner, const hd_plan_node *node, hd_activation *out)
{
    const hd_operation *operation = &node->operation;
    *out = (hd_activation){.kind = HD_ACTIVATION_NONE};
    if (hd_plan_node_is(node, HD_OP_RELU)) {
        out->kind = HD_ACTIVATION_RELU;
    } else if (hd_plan_node_is(node, HD_OP_GELU)) {
        const char *approximate = hd_operation_string(operation, "approximate", "none");
        out->kind = strcmp(approximate, "tanh") == 0 ? HD_ACTIVATION_GELU_TANH : HD_ACTIVATION_GELU;
    } else if (hd_plan_node_is(node, HD_OP_TANH)) {
        out->kind = HD_ACTIVATION_TANH;
    } else if (hd_plan_node_is(node, HD_OP_SIGMOID)) {
        out->kind = HD_ACTIVATION_SIGMOID;
    } else if (hd_plan_node_is(node, HD_OP_SWISH) &&
               hd_operation_float(operation, "alpha", 1.0f) == 1.0f) {
        out->kind = HD_ACTIVATION_SILU;
    } else if (hd_plan_node_is(node, HD_OP_LEAKY_RELU)) {
        out->kind = HD_ACTIVATION_LEAKY_RELU;
        out->alpha = hd_operation_float(operation, "alpha", 0.01f);
    } else if (hd_plan_node_is(node, HD_OP_HARD_SWISH)) {
        out->kind = HD_ACTIVATION_HARD_SWISH;
        out->alpha = 1.0f / 6.0f;
        out->beta = 0.5f;
    } else if (hd_plan_node_is(node, HD_OP_HARD_SIGMOID)) {
        out->kind = HD_ACTIVATION_HARD_SIGMOID;
        out->alpha = hd_operation_float(operation, "alpha", 0.2f);
        out->beta = hd_operation_float(operation, "beta", 0.5f);
    } else if (hd_plan_node_is(node, HD_OP_CLIP) && operation->input_count == 3) {
        if (hd_planner_scalar(planner, node->inputs[1], &out->alpha) &&
            hd_planner_scalar(planner, node->inputs[2], &out->beta)) {
            out->kind = HD_ACTIVATION_CLIP;
        }
    }
    return out->kind != HD_ACTIVATION_NONE;
}

static bool is_bias(const hd_planner *planner, hd_tensor_id id, int64_t columns)
{
    const hd_plan_tensor *tensor = &planner->tensors[id];
    return tensor->data != NULL && tensor->dtype == HD_FLOAT32 && tensor->shape.rank >= 1 &&
           tensor->shape.dims[tensor->shape.rank - 1] == columns &&
           hd_shape_count(&tensor->shape) == columns;
}

typedef struct linear_parts {
    hd_operator_id id;
    hd_tensor_id inputs[4]; /* x, w, bias, residual */
    hd_attribute transposed;
    hd_fused fused; /* but for the activation */
    hd_activation activation;
    hd_plan_node *last; /* the node in whose place the product goes */
} linear_parts;

static hd_replacement replacement_of(linear_parts *parts)
{
    const bool is_linear = parts->id == HD_OP_HEDDLE_LINEAR;
    *(is_linear ? &parts->fused.linear.activation : &parts->fused.convolution.activation) =
        parts->activation;
    return (hd_replacement){.id = parts->id,
                            .inputs = parts->inputs,
                            .input_count = 4,
                            .attributes = &parts->transposed,
                            .attribute_count = is_linear ? 1 : 0,
                            .fused = &parts->fused};
}

static bool allows(const hd_planner *planner, linear_parts *parts)
{
    const hd_replacement made = replacement_of(parts);
    return hd_planner_allows(planner, parts->last, &made);
}

static bool replace(hd_planner *planner, linear_parts *parts)
{
    hd_replacement made = replacement_of(parts);
    made.fused = hd_region_copy(planner->region, &parts->fused, sizeof parts->fused);
    return made.fused != NULL && hd_planner_replace(planner, parts->last, &made);
}

/* heddle.Conv as the layout pass made it: its bias stands already, nothing else has been taken in. */
static bool starts_convolution(hd_plan_node *node, linear_parts *parts)
{
    if (!hd_plan_node_is(node, HD_OP_HEDDLE_CONV) &&
        !hd_plan_node_is(node, HD_OP_HEDDLE_CONV_TRANSPOSE)) {
        return false;
    }
    const hd_fused_convolution *fused = hd_fused_convolution_of(&node->operation);
    if (node->inputs[3] != HD_TENSOR_NONE || fused->activation.kind != HD_ACTIVATION_NONE) {
        return false;
    }
    *parts = (linear_parts){
        .id = node->operation.id,
        .inputs = {node->inputs[0], node->inputs[1], node->inputs[2], HD_TENSOR_NONE},
        .fused = *node->operation.fused,
        .last = node,
    };
    return true;
}

/* Takes in Mul or Add of one constant behind the activation. */
static bool take_constant(const hd_planner *planner, linear_parts *parts, const hd_shape *shape,
                          hd_operator_id id, float *out)
{
    hd_tensor_id output = parts->last->outputs[0];
    hd_plan_node *user = hd_planner_only_user(planner, output);
    if (!hd_plan_node_is(user, id) || user->inputs[0] == user->inputs[1] ||
        !hd_shape_equal(&planner->tensors[user->outputs[0]].shape, shape) ||
        !hd_planner_scalar(planner, hd_plan_node_other(user, output), out)) {
        return false;
    }
    parts->last = user;
    return true;
}

/* Takes in the node behind parts->last, if it fits and the device computes what comes out. */
static bool extend_once(const hd_planner *planner, linear_parts *parts, const hd_shape *shape)
{
    hd_tensor_id output = parts->last->outputs[0];
    hd_plan_node *user = hd_planner_only_user(planner, output);
    if (parts->activation.kind != HD_ACTIVATION_NONE || user == NULL ||
        !hd_shape_equal(&planner->tensors[user->outputs[0]].shape, shape)) {
        return false;
    }
    linear_parts next = *parts;
    next.last = user;
    if (!activation_of(planner, user, &next.activation)) {
        next.activation = parts->activation;
        if (!hd_plan_node_broadcasts(user, HD_OP_ADD) || user->inputs[0] == user->inputs[1]) {
            return false;
        }
        hd_tensor_id other = hd_plan_node_other(user, output);
        if (parts->inputs[2] == HD_TENSOR_NONE && parts->inputs[3] == HD_TENSOR_NONE &&
            is_bias(planner, other, shape->dims[shape->rank - 1])) {
            next.inputs[2] = other;
        } else if (parts->inputs[3] == HD_TENSOR_NONE &&
                   planner->tensors[other].dtype == HD_FLOAT32 &&
                   planner->tensors[other].packed == NULL &&
                   hd_shape_equal(&planner->tensors[other].shape, shape)) {
            next.inputs[3] = other;
        } else {
            return false;
        }
    }
    if (!allows(planner, &next)) {
        return false;
    }
    *parts = next;
    return true;
}

static void extend(const hd_planner *planner, linear_parts *parts, const hd_shape *shape)
{
    while (extend_once(planner, parts, shape)) {
    }
}

/* Mul, then Add, of one constant each behind a convolution's activation. */
static void take_scaling(const hd_planner *planner, linear_parts *parts, const hd_shape *shape)
{
    linear_parts next = *parts;
    hd_activation *activation = &next.activation;
    if (activation->kind == HD_ACTIVATION_NONE ||
        !take_constant(planner, &next, shape, HD_OP_MUL, &activation->scale)) {
        return;
    }
    activation->scales = true;
    activation->shift = -0.0f; /* adds nothing */
    if (!allows(planner, &next)) {
        return;
    }
    *parts = next;
    if (take_constant(planner, &next, shape, HD_OP_ADD, &activation->shift) &&
        allows(planner, &next)) {
        *parts = next;
    }
}

static bool starts_linear(const hd_planner *planner, hd_plan_node *node, linear_parts *parts)
{
    bool gemm = hd_plan_node_is(node, HD_OP_GEMM);
    if (!gemm && !hd_plan_node_is(node, HD_OP_MATMUL)) {
        return false;
    }
    const hd_operand *x = &node->operation.inputs[0], *w = &node->operation.inputs[1];
    if (w->packed == NULL || w->shape.rank != 2 || x->dtype != HD_FLOAT32 || x->shape.rank < 2) {
        return false;
    }
    *parts = (linear_parts){
        .id = HD_OP_HEDDLE_LINEAR,
        .inputs = {node->inputs[0], node->inputs[1], HD_TENSOR_NONE, HD_TENSOR_NONE},
        .transposed = {.name = "transB",
                       .kind = HD_ATTRIBUTE_INT,
                       .i = gemm ? hd_operation_int(&node->operation, "transB", 0) : 0},
        .fused = {.id = HD_OP_HEDDLE_LINEAR},
        .last = node};
    if (!gemm) {
        return true;
    }
    bool has_bias = node->operation.input_count > 2 && node->inputs[2] != HD_TENSOR_NONE;
    if (hd_operation_int(&node->operation, "transA", 0) != 0 ||
        hd_operation_float(&node->operation, "alpha", 1.0f) != 1.0f ||
        (has_bias &&
         (hd_operation_float(&node->operation, "beta", 1.0f) != 1.0f ||
          !is_bias(planner, node->inputs[2], planner->tensors[node->outputs[0]].shape.dims[1])))) {
        return false;
    }
    parts->inputs[2] = has_bias ? node->inputs[2] : HD_TENSOR_NONE;
    return true;
}

bool hd_fuse_convolution(hd_planner *planner)
{
    for (size_t n = 0; n < planner->node_count; n++) {
        hd_plan_node *node = &planner->nodes[n];
        linear_parts parts;
        if (node->dead || !starts_convolution(node, &parts)) {
            continue;
        }
        const hd_shape shape = planner->tensors[node->outputs[0]].shape;
        extend(planner, &parts, &shape);
        take_scaling(planner, &parts, &shape);
        if (parts.last != node && !replace(planner, &parts)) {
            return false;
        }
    }
    return true;
}

bool hd_fuse_linear(hd_planner *planner)
{
    for (size_t n = 0; n < planner->node_count; n++) {
        hd_plan_node *node = &planner->nodes[n];
        linear_parts parts;
        if (node->dead || !starts_linear(planner, node, &parts) || !allows(planner, &parts)) {
            continue;
        }
        extend(planner, &parts, &planner->tensors[node->outputs[0]].shape);
        if (!replace(planner, &parts)) {
            return false;
        }
    }
    return true;
}
