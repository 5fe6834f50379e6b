/* Attention as exporters spell it becomes one operation: two products, a softmax between them, and the
 * transposes that split and join the heads. */
#include <math.h>

#include "graph/passes.h"
#include "operation/fused.h"

/* What was found, from the softmax outwards. */
typedef struct attention_parts {
    hd_tensor_id inputs[4]; /* q, k, v as [B, T, H, D]; mask or HD_TENSOR_NONE */
    float scale;
    hd_plan_node *last; /* the transpose that joins the heads */
} attention_parts;

static bool has_permutation(const hd_plan_node *node, int64_t a, int64_t b, int64_t c, int64_t d)
{
    size_t count;
    const int64_t *p = hd_operation_ints(&node->operation, "perm", &count);
    return hd_plan_node_is(node, HD_OP_TRANSPOSE) && count == 4 && p[0] == a && p[1] == b &&
           p[2] == c && p[3] == d;
}

/* Steps over a multiplication with or division by a constant that only this path reads. */
static hd_tensor_id skip_scale(const hd_planner *planner, hd_tensor_id tensor, float *scale)
{
    hd_plan_node *node = hd_planner_producer(planner, tensor);
    float value;
    if (node == NULL || planner->tensors[tensor].use_count != 1) {
        return tensor;
    }
    if (hd_plan_node_is(node, HD_OP_DIV) && hd_planner_scalar(planner, node->inputs[1], &value) &&
        value != 0) {
        *scale /= value;
        return node->inputs[0];
    }
    for (size_t i = 0; hd_plan_node_is(node, HD_OP_MUL) && i < 2; i++) {
        if (hd_planner_scalar(planner, node->inputs[i], &value)) {
            *scale *= value;
            return node->inputs[1 - i];
        }
    }
    return tensor;
}

/* Behind [B, H, T, D]: what it was before its heads were split off, as [B, T, H, D]. */
static hd_tensor_id before_split(const hd_planner *planner, hd_tensor_id tensor)
{
    hd_plan_node *node = hd_planner_producer(planner, tensor);
    return node != NULL && has_permutation(node, 0, 2, 1, 3) ? node->inputs[0] : HD_TENSOR_NONE;
}

/* Behind the transposed keys [B, H, D, S]: the keys as [B, S, H, D]. */
static hd_tensor_id before_transposed_split(const hd_planner *planner, hd_tensor_id tensor,
                                            float *scale)
{
    tensor = skip_scale(planner, tensor, scale);
    hd_plan_node *node = hd_planner_producer(planner, tensor);
    if (node == NULL) {
        return HD_TENSOR_NONE;
    }
    if (has_permutation(node, 0, 2, 3, 1)) {
        return node->inputs[0];
    }
    if (has_permutation(node, 0, 1, 3, 2)) {
        return before_split(planner, skip_scale(planner, node->inputs[0], scale));
    }
    return HD_TENSOR_NONE;
}

/* A mask that broadcasts to the scores in every dimension, and leaves them as they are. */
static bool is_mask(const hd_planner *planner, hd_tensor_id id, const hd_shape *scores)
{
    const hd_plan_tensor *tensor = &planner->tensors[id];
    hd_shape both;
    return tensor->dtype == HD_FLOAT32 && tensor->packed == NULL &&
           hd_shape_broadcast(&tensor->shape, scores, &both) && hd_shape_equal(&both, scores);
}

static bool match_scores(const hd_planner *planner, hd_tensor_id scores, attention_parts *parts)
{
    hd_plan_node *add = hd_planner_producer_of(planner, scores, HD_OP_ADD);
    parts->inputs[3] = HD_TENSOR_NONE;
    if (hd_plan_node_broadcasts(add, HD_OP_ADD) && planner->tensors[scores].use_count == 1) {
        /* The mask is the operand that no product stands behind. */
        for (size_t i = 0; i < 2 && parts->inputs[3] == HD_TENSOR_NONE; i++) {
            float ignored = 1;
            hd_tensor_id product = skip_scale(planner, add->inputs[i], &ignored);
            if (hd_planner_producer_of(planner, product, HD_OP_MATMUL) != NULL &&
                is_mask(planner, add->inputs[1 - i], &planner->tensors[product].shape)) {
                parts->inputs[3] = add->inputs[1 - i];
                scores = add->inputs[i];
            }
        }
        if (parts->inputs[3] == HD_TENSOR_NONE) {
            return false;
        }
    }
    scores = skip_scale(planner, scores, &parts->scale);
    hd_plan_node *product = hd_planner_producer_of(planner, scores, HD_OP_MATMUL);
    if (product == NULL || planner->tensors[scores].use_count != 1 ||
        planner->tensors[scores].kept) {
        return false;
    }
    parts->inputs[0] =
        before_split(planner, skip_scale(planner, product->inputs[0], &parts->scale));
    parts->inputs[1] = before_transposed_split(planner, product->inputs[1], &parts->scale);
    return parts->inputs[0] != HD_TENSOR_NONE && parts->inputs[1] != HD_TENSOR_NONE;
}

/* The operation repeats no batch and no head, and knows no scale of 0 (fused.h): what MatMul broadcasts, and
 * what is empty, stays as it is written. */
static bool parts_fit(const hd_planner *planner, const attention_parts *parts)
{
    const hd_shape *q = &planner->tensors[parts->inputs[0]].shape;
    const hd_shape *k = &planner->tensors[parts->inputs[1]].shape;
    const hd_shape *v = &planner->tensors[parts->inputs[2]].shape;
    return q->dims[0] == k->dims[0] && q->dims[2] == k->dims[2] && k->dims[0] == v->dims[0] &&
           k->dims[1] == v->dims[1] && k->dims[2] == v->dims[2] && hd_shape_count(q) > 0 &&
           hd_shape_count(k) > 0 && hd_shape_count(v) > 0 && isfinite(parts->scale) &&
           parts->scale != 0;
}

static bool match_attention(const hd_planner *planner, const hd_plan_node *softmax,
                            attention_parts *parts)
{
    const hd_plan_tensor *scores = &planner->tensors[softmax->inputs[0]];
    /* Before opset 13 the default axis is 1, and the axes behind it are taken together. */
    int64_t axis =
        hd_operation_int(&softmax->operation, "axis", softmax->operation.opset < 13 ? 1 : -1);
    if (scores->dtype != HD_FLOAT32 || scores->shape.rank != 4 || (axis != -1 && axis != 3)) {
        return false;
    }
    *parts = (attention_parts){.scale = 1.0f};
    hd_plan_node *product = hd_planner_only_user(planner, softmax->outputs[0]);
    if (!hd_plan_node_is(product, HD_OP_MATMUL) || product->inputs[0] != softmax->outputs[0] ||
        !match_scores(planner, softmax->inputs[0], parts)) {
        return false;
    }
    parts->inputs[2] = before_split(planner, product->inputs[1]);
    parts->last = hd_planner_only_user(planner, product->outputs[0]);
    return parts->inputs[2] != HD_TENSOR_NONE && parts->last != NULL &&
           has_permutation(parts->last, 0, 2, 1, 3) && parts_fit(planner, parts);
}

/* [B, T, H, D] as [B, T, H·D]. */
static hd_shape join_heads(const hd_shape *shape)
{
    return (hd_shape){.rank = 3,
                      .dims = {shape->dims[0], shape->dims[1], shape->dims[2] * shape->dims[3]}};
}

static bool fuse_one(hd_planner *planner, attention_parts *parts)
{
    hd_fused *fused = hd_planner_new_fused(planner, HD_OP_HEDDLE_ATTENTION);
    if (fused == NULL) {
        return false;
    }
    fused->attention = (hd_fused_attention){
        .heads = planner->tensors[parts->inputs[0]].shape.dims[2], .scale = parts->scale};
    for (size_t i = 0; i < 3; i++) {
        hd_shape joined = join_heads(&planner->tensors[parts->inputs[i]].shape);
        parts->inputs[i] = hd_planner_new_view(planner, parts->inputs[i], &joined);
        if (parts->inputs[i] == HD_TENSOR_NONE) {
            return false;
        }
    }
    if (parts->inputs[3] != HD_TENSOR_NONE) {
        const hd_shape *mask = &planner->tensors[parts->inputs[3]].shape;
        hd_shape padded = {.rank = 4, .dims = {1, 1, 1, 1}};
        for (uint32_t i = 0; i < mask->rank; i++) {
            padded.dims[4 - mask->rank + i] = mask->dims[i];
        }
        parts->inputs[3] = hd_planner_new_view(planner, parts->inputs[3], &padded);
        if (parts->inputs[3] == HD_TENSOR_NONE) {
            return false;
        }
    }
    const hd_shape joined = join_heads(&parts->last->operation.outputs[0].shape);
    hd_replacement made = {.id = HD_OP_HEDDLE_ATTENTION,
                           .inputs = parts->inputs,
                           .input_count = 4,
                           .fused = fused,
                           .shape = &joined};
    return !hd_planner_allows(planner, parts->last, &made) ||
           hd_planner_replace(planner, parts->last, &made);
}

bool hd_fuse_attention(hd_planner *planner)
{
    for (size_t n = 0; n < planner->node_count; n++) {
        attention_parts parts;
        if (!planner->nodes[n].dead && hd_plan_node_is(&planner->nodes[n], HD_OP_SOFTMAX) &&
            match_attention(planner, &planner->nodes[n], &parts) && !fuse_one(planner, &parts)) {
            return false;
        }
    }
    return true;
}
