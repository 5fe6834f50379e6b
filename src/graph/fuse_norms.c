/* Layer normalization that exporters spell out becomes LayerNormalization again:
 * (x - mean(x)) / sqrt(mean((x - mean(x))²) + epsilon) · scale + bias, over the last axis. */
#include "graph/passes.h"

/* ReduceMean over the last axis that keeps it. */
static bool is_last_mean(const hd_planner *planner, const hd_plan_node *node)
{
    if (!hd_plan_node_is(node, HD_OP_REDUCE_MEAN) ||
        hd_operation_int(&node->operation, "keepdims", 1) != 1) {
        return false;
    }
    int64_t rank = planner->tensors[node->inputs[0]].shape.rank, axis;
    if (node->operation.input_count > 1 && node->inputs[1] != HD_TENSOR_NONE) {
        const hd_operand *axes = &node->operation.inputs[1];
        if (axes->data == NULL || hd_shape_count(&axes->shape) != 1) {
            return false;
        }
        axis = hd_operand_int(axes, 0);
    } else {
        size_t count;
        const int64_t *axes = hd_operation_ints(&node->operation, "axes", &count);
        if (count != 1) {
            return false;
        }
        axis = axes[0];
    }
    return axis == -1 || axis == rank - 1;
}

/* d² as Pow(d, 2) or Mul(d, d). */
static bool is_square_of(const hd_planner *planner, const hd_plan_node *node, hd_tensor_id d)
{
    float exponent;
    if (hd_plan_node_is(node, HD_OP_POW) && node->inputs[0] == d) {
        return hd_planner_scalar(planner, node->inputs[1], &exponent) && exponent == 2.0f;
    }
    return hd_plan_node_is(node, HD_OP_MUL) && node->inputs[0] == d && node->inputs[1] == d;
}

/* A known vector along the last axis of `shape`. */
static bool is_last_vector(const hd_planner *planner, hd_tensor_id id, const hd_shape *shape)
{
    const hd_plan_tensor *tensor = &planner->tensors[id];
    int64_t last = shape->dims[shape->rank - 1];
    return tensor->data != NULL && tensor->dtype == HD_FLOAT32 && tensor->shape.rank >= 1 &&
           hd_shape_count(&tensor->shape) == last &&
           tensor->shape.dims[tensor->shape.rank - 1] == last;
}

/* The node of operator `id` that alone reads the output of `node` together with a vector. */
static hd_plan_node *next_with_vector(const hd_planner *planner, const hd_plan_node *node,
                                      hd_operator_id id, const hd_shape *shape,
                                      hd_tensor_id *vector)
{
    hd_plan_node *user = hd_planner_only_user(planner, node->outputs[0]);
    if (!hd_plan_node_broadcasts(user, id)) {
        return NULL;
    }
    *vector = hd_plan_node_other(user, node->outputs[0]);
    return is_last_vector(planner, *vector, shape) ? user : NULL;
}

/* From the Div outwards. */
static hd_plan_node *match_norm(const hd_planner *planner, const hd_plan_node *div,
                                hd_tensor_id inputs[3], float *epsilon)
{
    hd_tensor_id d = div->inputs[0];
    hd_plan_node *centered = hd_planner_producer_of(planner, d, HD_OP_SUB);
    hd_plan_node *root = hd_planner_producer_of(planner, div->inputs[1], HD_OP_SQRT);
    hd_plan_node *sum =
        root == NULL ? NULL : hd_planner_producer_of(planner, root->inputs[0], HD_OP_ADD);
    if (centered == NULL || sum == NULL) {
        return NULL;
    }
    size_t constant = hd_planner_scalar(planner, sum->inputs[1], epsilon) ? 1 : 0;
    if (!hd_planner_scalar(planner, sum->inputs[constant], epsilon)) {
        return NULL;
    }
    hd_plan_node *variance = hd_planner_producer(planner, sum->inputs[1 - constant]);
    hd_plan_node *mean = hd_planner_producer(planner, centered->inputs[1]);
    if (variance == NULL || mean == NULL || !is_last_mean(planner, variance) ||
        !is_last_mean(planner, mean) || mean->inputs[0] != centered->inputs[0]) {
        return NULL;
    }
    hd_plan_node *square = hd_planner_producer(planner, variance->inputs[0]);
    if (square == NULL || !is_square_of(planner, square, d)) {
        return NULL;
    }
    inputs[0] = centered->inputs[0];
    const hd_shape *shape = &planner->tensors[inputs[0]].shape;
    hd_plan_node *scaled = next_with_vector(planner, div, HD_OP_MUL, shape, &inputs[1]);
    return scaled == NULL ? NULL : next_with_vector(planner, scaled, HD_OP_ADD, shape, &inputs[2]);
}

bool hd_fuse_norms(hd_planner *planner)
{
    for (size_t n = 0; n < planner->node_count; n++) {
        hd_plan_node *div = &planner->nodes[n];
        if (div->dead || !hd_plan_node_is(div, HD_OP_DIV)) {
            continue;
        }
        hd_tensor_id inputs[3];
        float epsilon;
        hd_plan_node *last = match_norm(planner, div, inputs, &epsilon);
        if (last == NULL || planner->tensors[inputs[0]].dtype != HD_FLOAT32 ||
            !hd_shape_equal(&planner->tensors[inputs[0]].shape,
                            &planner->tensors[last->outputs[0]].shape)) {
            continue;
        }
        hd_shape vector = {.rank = 1};
        const hd_shape *shape = &planner->tensors[inputs[0]].shape;
        vector.dims[0] = shape->dims[shape->rank - 1];
        for (size_t i = 1; i < 3; i++) {
            inputs[i] = hd_planner_new_view(planner, inputs[i], &vector);
            if (inputs[i] == HD_TENSOR_NONE) {
                return false;
            }
        }
        hd_attribute attributes[2] = {
            {.name = "axis", .kind = HD_ATTRIBUTE_INT, .i = -1},
            {.name = "epsilon", .kind = HD_ATTRIBUTE_FLOAT, .f = epsilon}};
        hd_replacement made = {.id = HD_OP_LAYER_NORMALIZATION,
                               .inputs = inputs,
                               .input_count = 3,
                               .attributes = attributes,
                               .attribute_count = 2};
        if (hd_planner_allows(planner, last, &made) && !hd_planner_replace(planner, last, &made)) {
            return false;
        }
    }
    return true;
}
