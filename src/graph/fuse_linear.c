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
    hd_tensor_id inputs[4]; /* x, w, bias, residual */
    hd_activation activation;
    hd_plan_node *last; /* the node in whose place the product goes */
} linear_parts;

/* heddle.Conv as the layout pass made it: its bias stands already, nothing else has been taken in. */
static bool starts_convolution(const hd_plan_node *node, linear_parts *parts)
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
        .inputs = {node->inputs[0], node->inputs[1], node->inputs[2], HD_TENSOR_NONE},
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

/* Takes in the nodes behind parts->last as long as they fit. */
static void extend(const hd_planner *planner, linear_parts *parts, const hd_shape *shape)
{
    int64_t columns = shape->dims[shape->rank - 1];
    for (;;) {
        hd_tensor_id output = parts->last->outputs[0];
        hd_plan_node *user = hd_planner_only_user(planner, output);
        if (user == NULL || !hd_shape_equal(&planner->tensors[user->outputs[0]].shape, shape)) {
            return;
        }
        if (activation_of(planner, user, &parts->activation)) {
            parts->last = user;
            return;
        }
        parts->activation = (hd_activation){.kind = HD_ACTIVATION_NONE};
        if (!hd_plan_node_broadcasts(user, HD_OP_ADD) || user->inputs[0] == user->inputs[1]) {
            return;
        }
        hd_tensor_id other = hd_plan_node_other(user, output);
        if (parts->inputs[2] == HD_TENSOR_NONE && parts->inputs[3] == HD_TENSOR_NONE &&
            is_bias(planner, other, columns)) {
            parts->inputs[2] = other;
        } else if (parts->inputs[3] == HD_TENSOR_NONE &&
                   planner->tensors[other].dtype == HD_FLOAT32 &&
                   planner->tensors[other].packed == NULL &&
                   hd_shape_equal(&planner->tensors[other].shape, shape)) {
            parts->inputs[3] = other;
        } else {
            return;
        }
        parts->last = user;
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
        .inputs = {node->inputs[0], node->inputs[1], HD_TENSOR_NONE, HD_TENSOR_NONE}, .last = node};
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
        parts.last = node;
        const hd_shape shape = planner->tensors[node->outputs[0]].shape;
        extend(planner, &parts, &shape);
        if (parts.last == node) {
            continue;
        }
        hd_activation *activation = &parts.activation;
        if (activation->kind != HD_ACTIVATION_NONE &&
            take_constant(planner, &parts, &shape, HD_OP_MUL, &activation->scale)) {
            activation->scales = true;
            activation->shift = -0.0f; /* adds nothing */
            (void)take_constant(planner, &parts, &shape, HD_OP_ADD, &activation->shift);
        }
        hd_fused *fused = hd_region_copy(planner->region, node->operation.fused, sizeof *fused);
        if (fused == NULL || !hd_planner_replace(planner, parts.last, node->operation.id,
                                                 parts.inputs, 4, NULL, 0)) {
            return false;
        }
        fused->convolution.activation = parts.activation;
        parts.last->operation.fused = fused;
    }
    return true;
}

bool hd_fuse_linear(hd_planner *planner)
{
    for (size_t n = 0; n < planner->node_count; n++) {
        hd_plan_node *node = &planner->nodes[n];
        linear_parts parts;
        if (node->dead || !starts_linear(planner, node, &parts)) {
            continue;
        }
        extend(planner, &parts, &planner->tensors[node->outputs[0]].shape);
        hd_fused *fused = hd_planner_new_fused(planner, HD_OP_HEDDLE_LINEAR);
        if (fused == NULL) {
            return false;
        }
        fused->linear.activation = parts.activation;
        hd_attribute transposed = {.name = "transB",
                                   .kind = HD_ATTRIBUTE_INT,
                                   .i = hd_plan_node_is(node, HD_OP_GEMM)
                                            ? hd_operation_int(&node->operation, "transB", 0)
                                            : 0};
        if (!hd_planner_replace(planner, parts.last, HD_OP_HEDDLE_LINEAR, parts.inputs, 4,
                                &transposed, 1)) {
            return false;
        }
        parts.last->operation.fused = fused;
    }
    return true;
}
