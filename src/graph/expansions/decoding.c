/* What ONNX's opsets 23 and 27 brought for decoders, as the functions that ONNX defines it by (onnx.ai,
 * "RotaryEmbedding", "CausalConvWithState"). */
#include <string.h>

#include "graph/expansion.h"
#include "graph/expansions/expansions.h"

static hd_attribute axis_of(int64_t axis)
{
    return hd_expand_int("axis", axis);
}

static hd_value concat(hd_expansion *e, const hd_value *parts, size_t count, int64_t axis)
{
    hd_value made;
    hd_attribute attribute = axis_of(axis);
    hd_expand_node(e, HD_OP_CONCAT, parts, count, &attribute, 1, &made, 1);
    return made;
}

/* Every other element of the last axis from `first` on, up to `end`. */
static hd_value every_other(hd_expansion *e, hd_value x, int64_t first, hd_value end)
{
    const int64_t axis = -1, step = 2;
    hd_value made, inputs[5] = {x, hd_expand_list(e, &first, 1), end, hd_expand_list(e, &axis, 1),
                                hd_expand_list(e, &step, 1)};
    hd_expand_node(e, HD_OP_SLICE, inputs, 5, NULL, 0, &made, 1);
    return made;
}

/* a · b ± c · d */
static hd_value turned(hd_expansion *e, hd_operator_id sign, hd_value a, hd_value b, hd_value c,
                       hd_value d)
{
    return hd_expand_2(e, sign, hd_expand_2(e, HD_OP_MUL, a, b), hd_expand_2(e, HD_OP_MUL, c, d));
}

/* Pairs of elements of a head turn by the angle of their place in the sequence. */
void hd_expand_rotary_embedding(hd_expansion *e)
{
    const int64_t heads = hd_operation_int(&e->operation, "num_heads", 0);
    const int64_t width = hd_operation_int(&e->operation, "rotary_embedding_dim", 0);
    const bool interleaved = hd_operation_int(&e->operation, "interleaved", 0) != 0;
    const int rank = hd_expand_rank(e, e->inputs[0]);
    const bool is_flat = rank == 3 || (rank < 0 && heads > 0);
    if (heads < 0 || (is_flat && heads == 0) || width < 0 || width % 2 != 0 ||
        (rank >= 0 && rank != 3 && rank != 4)) {
        hd_expand_fail(e, HD_BAD_MODEL, "its input, num_heads and rotary_embedding_dim do not fit");
        return;
    }
    hd_value x = e->inputs[0], angles[2], halves[2];
    if (is_flat) {
        x = hd_expand_reshape(e, x, (int64_t[]){0, 0, heads, -1}, 4);
    }
    const int64_t head_axis = is_flat ? 2 : 1;
    for (size_t i = 0; i < 2; i++) { /* [batch, sequence, width / 2], the same for each head */
        hd_value cache = e->inputs[1 + i];
        cache = hd_expand_has(e, 3)
                    ? hd_expand_2_with(e, HD_OP_GATHER, cache, e->inputs[3], axis_of(0))
                    : cache;
        angles[i] = hd_expand_2(e, HD_OP_UNSQUEEZE, cache, hd_expand_list(e, &head_axis, 1));
    }
    const int64_t zero = 0, most = INT64_MAX, half = width / 2;
    hd_value begin = hd_expand_list(e, &zero, 1), end = hd_expand_list(e, &most, 1);
    hd_value turning = width > 0 ? hd_expand_list(e, &width, 1) : end;
    if (interleaved) {
        halves[0] = every_other(e, x, 0, turning);
        halves[1] = every_other(e, x, 1, turning);
    } else {
        hd_value middle = width > 0 ? hd_expand_list(e, &half, 1) : hd_expand_dim(e, angles[0], -1);
        halves[0] = hd_expand_slice(e, x, -1, begin, middle);
        halves[1] = hd_expand_slice(e, x, -1, middle, turning);
    }
    hd_value parts[3] = {turned(e, HD_OP_SUB, angles[0], halves[0], angles[1], halves[1]),
                         turned(e, HD_OP_ADD, angles[1], halves[0], angles[0], halves[1])};
    if (interleaved) {
        const int64_t last = -1;
        for (size_t i = 0; i < 2; i++) {
            parts[i] = hd_expand_2(e, HD_OP_UNSQUEEZE, parts[i], hd_expand_list(e, &last, 1));
        }
        parts[0] = hd_expand_reshape(e, concat(e, parts, 2, -1), (int64_t[]){0, 0, 0, -1}, 4);
    }
    const size_t count = interleaved ? 1 : 2;
    parts[count] = width > 0 ? hd_expand_slice(e, x, -1, turning, end) : HD_VALUE_NONE;
    hd_value y = count == 1 && width == 0 ? parts[0] : concat(e, parts, count + (width > 0), -1);
    hd_expand_give(e, 0, is_flat ? hd_expand_reshape(e, y, (int64_t[]){0, 0, -1}, 3) : y);
}

/* The past of a sequence that has none: zeros of the input's type, [batch, channels, kernel - 1]. */
static hd_value no_past(hd_expansion *e, hd_value x, hd_value fewer)
{
    hd_attribute range[1] = {hd_expand_int("end", 2)};
    hd_value rows;
    hd_expand_node(e, HD_OP_SHAPE, &x, 1, range, 1, &rows, 1);
    hd_value shape = concat(e, (hd_value[]){rows, fewer}, 2, 0);
    return hd_expand_2(e, HD_OP_CAST_LIKE, hd_expand_1(e, HD_OP_CONSTANT_OF_SHAPE, shape), x);
}

/* A convolution of each channel over what came before, which the next call gets. */
void hd_expand_causal_conv(hd_expansion *e)
{
    const char *activation = hd_operation_string(&e->operation, "activation", "none");
    const bool is_gated = strcmp(activation, "silu") == 0 || strcmp(activation, "swish") == 0;
    const hd_graph_value weight =
        e->graph->values[e->inputs[1]]; /* a copy: new nodes move the table */
    if (!is_gated && strcmp(activation, "none") != 0) {
        hd_expand_fail(e, HD_BAD_MODEL, "its activation is '%.40s'", activation);
        return;
    }
    if (!weight.has_rank || weight.shape.rank != 3 || weight.shape.dims[0] < 1) {
        hd_expand_fail(e, HD_UNSUPPORTED,
                       "its weight is not known to have 3 dimensions and some number of channels");
        return;
    }
    const int64_t one = 1;
    hd_value x = e->inputs[0];
    hd_value fewer =
        hd_expand_2(e, HD_OP_SUB, hd_expand_dim(e, e->inputs[1], 2), hd_expand_list(e, &one, 1));
    hd_value past = hd_expand_has(e, 3) ? e->inputs[3] : no_past(e, x, fewer);
    hd_value whole = concat(e, (hd_value[]){past, x}, 2, 2);
    hd_attribute group = hd_expand_int("group", weight.shape.dims[0]);
    hd_value y, operands[3] = {whole, e->inputs[1], e->inputs[2]};
    hd_expand_node(e, HD_OP_CONV, operands, hd_expand_has(e, 2) ? 3 : 2, &group, 1, &y, 1);
    if (hd_expand_wants(e, 1)) {
        const int64_t most = INT64_MAX;
        hd_expand_give(
            e, 1,
            hd_expand_slice(e, whole, 2, hd_expand_dim(e, x, 2), hd_expand_list(e, &most, 1)));
    }
    if (hd_expand_wants(e, 0)) {
        hd_expand_give(e, 0, is_gated ? hd_expand_1(e, HD_OP_SWISH, y) : y);
    }
}
