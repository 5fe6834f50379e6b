/* GroupQueryAttention of domain com.microsoft (github.com/microsoft/onnxruntime, docs/ContribOperators.md): causal
 * attention whose keys and values have fewer heads, with a cache that is read and written. */
#include <float.h>

#include "graph/expansions/attention_parts.h"
#include "graph/expansions/expansions.h"
#include "graph/expansions/rotary.h"

enum {
    QUERY,
    KEY,
    VALUE,
    PAST_KEY,
    PAST_VALUE,
    LENGTHS,
    TOTAL,
    COS,
    SIN,
    POSITIONS,
    ATTENTION_BIAS,
    SINK,
    OPERANDS /* the others are not supported */
};

/* What all of it is made of. B entries, S queries, N heads, of which K have keys and values, D elements. */
typedef struct group_query {
    int64_t heads, key_heads;
    hd_value count;     /* S, int64 [1] */
    hd_value total;     /* tokens with those of the cache, int64 [1] */
    hd_value positions; /* of the queries, int64 [B, S] */
    hd_value
        lasts; /* the last key that a query may see: its own, or the entry's last, int64 [B, S] */
} group_query;

static hd_value integer(hd_expansion *e, int64_t value)
{
    return hd_expand_list(e, &value, 1);
}

static hd_value unsqueeze(hd_expansion *e, hd_value x, int64_t axis)
{
    return hd_expand_2(e, HD_OP_UNSQUEEZE, x, integer(e, axis));
}

static void check(hd_expansion *e, group_query *g)
{
    const hd_operation *o = &e->operation;
    g->heads = hd_expand_positive(e, "num_heads");
    g->key_heads = hd_expand_positive(e, "kv_num_heads");
    if (g->heads % g->key_heads != 0) {
        hd_expand_fail(e, HD_BAD_MODEL, "num_heads %lld is no multiple of kv_num_heads %lld",
                       (long long)g->heads, (long long)g->key_heads);
    }
    hd_expand_need(e, 1u << LENGTHS | 1u << TOTAL);
    if (hd_expand_has(e, KEY) != hd_expand_has(e, VALUE) ||
        hd_expand_has(e, PAST_KEY) != hd_expand_has(e, PAST_VALUE)) {
        hd_expand_fail(e, HD_BAD_MODEL, "it has either keys or values, but not both");
    }
    for (size_t i = OPERANDS; i < HD_EXPANSION_INPUT_LIMIT; i++) {
        if (hd_expand_has(e, i)) {
            hd_expand_fail(e, HD_UNSUPPORTED, "its input %zu is not supported", i);
        }
    }
    if (hd_operation_int(o, "qk_output", 0) != 0 ||
        hd_operation_int(o, "kv_cache_bit_width", 0) != 0 ||
        hd_operation_int(o, "sliding_window_cache", 0) != 0 ||
        hd_operation_int(o, "causal", 1) == 0 || hd_expand_wants(e, 3)) {
        hd_expand_fail(e, HD_UNSUPPORTED,
                       "qk_output, a quantized or sliding cache and what is not "
                       "causal are not supported");
    }
}

/* Where each query stands: behind what the cache has of its entry or, where no token is in it, from 0 on. */
static void find_positions(hd_expansion *e, group_query *g)
{
    g->count = hd_expand_dim(e, e->inputs[QUERY], 1);
    g->total =
        hd_expand_reshape(e, hd_expand_cast(e, e->inputs[TOTAL], HD_INT64), (int64_t[]){1}, 1);
    hd_value lengths = hd_expand_reshape(e, hd_expand_cast(e, e->inputs[LENGTHS], HD_INT64),
                                         (int64_t[]){-1, 1}, 2);
    hd_value past =
        hd_expand_2(e, HD_OP_SUB, hd_expand_2(e, HD_OP_ADD, lengths, integer(e, 1)), g->count);
    hd_value is_first = hd_expand_2(e, HD_OP_EQUAL, g->total, g->count);
    past = hd_expand_3(e, HD_OP_WHERE, is_first, integer(e, 0), past);
    g->positions = hd_expand_2(e, HD_OP_ADD, past, hd_expand_range(e, integer(e, 0), g->count));
    g->lasts = hd_expand_2(e, HD_OP_MIN, g->positions, lengths);
}

/* q, k and v as [B, S, heads, D]. */
static void find_operands(hd_expansion *e, const group_query *g, hd_value qkv[3])
{
    if (hd_expand_has(e, KEY)) {
        for (size_t i = 0; i < 3; i++) {
            int64_t heads = i == 0 ? g->heads : g->key_heads;
            qkv[i] = hd_expand_reshape(e, e->inputs[i], (int64_t[]){0, 0, heads, -1}, 4);
        }
        return;
    }
    hd_value all = hd_expand_reshape(e, e->inputs[QUERY],
                                     (int64_t[]){0, 0, g->heads + 2 * g->key_heads, -1}, 4);
    hd_value sizes = hd_expand_list(e, (int64_t[]){g->heads, g->key_heads, g->key_heads}, 3);
    hd_attribute axis = hd_expand_int("axis", 2);
    hd_expand_node(e, HD_OP_SPLIT, (hd_value[]){all, sizes}, 2, &axis, 1, qkv, 3);
}

static void rotate(hd_expansion *e, const group_query *g, hd_value qkv[3])
{
    if (hd_operation_int(&e->operation, "do_rotary", 0) == 0) {
        return;
    }
    hd_expand_need(e, 1u << COS | 1u << SIN);
    hd_expand_rotation rotation = {
        .cos = e->inputs[COS],
        .sin = e->inputs[SIN],
        .positions = hd_expand_has(e, POSITIONS) ? e->inputs[POSITIONS] : g->positions,
        .axis = 2,
        .interleaved = hd_operation_int(&e->operation, "rotary_interleaved", 0) != 0,
        .partial = true};
    for (size_t i = 0; i < 2; i++) {
        qkv[i] = hd_expand_rotate(e, qkv[i], &rotation);
    }
}

/* x [B, K, S, D] behind what the cache has, [B, K, max(P, total), D]. */
static hd_value write_cache(hd_expansion *e, const group_query *g, hd_value past, hd_value x)
{
    if (past == HD_VALUE_NONE) {
        return x;
    }
    hd_value size = hd_expand_dim(e, past, 2), shape, base;
    hd_value missing = hd_expand_2(e, HD_OP_SUB, hd_expand_2(e, HD_OP_MAX, size, g->total), size);
    hd_attribute axis = hd_expand_int("axis", 0);
    hd_expand_node(e, HD_OP_CONCAT,
                   (hd_value[]){hd_expand_dim(e, x, 0), hd_expand_dim(e, x, 1), missing,
                                hd_expand_dim(e, x, 3)},
                   4, &axis, 1, &shape, 1);
    base = hd_expand_2_with(
        e, HD_OP_CONCAT, past,
        hd_expand_2(e, HD_OP_EXPAND, hd_expand_2(e, HD_OP_CAST_LIKE, hd_expand_number(e, 0), past),
                    shape),
        hd_expand_int("axis", 2));
    hd_value places =
        hd_expand_2(e, HD_OP_UNSQUEEZE, g->positions, hd_expand_list(e, (int64_t[]){1, 3}, 2));
    places = hd_expand_2(e, HD_OP_EXPAND, places, hd_expand_1(e, HD_OP_SHAPE, x));
    hd_value inputs[3] = {base, places, x};
    axis = hd_expand_int("axis", 2);
    hd_value made;
    hd_expand_node(e, HD_OP_SCATTER_ELEMENTS, inputs, 3, &axis, 1, &made, 1);
    return made;
}

/* [B, 1, 1, S, T]: the lowest number where a key stands behind the query, or too far before it; plus the bias. */
static hd_value mask_of(hd_expansion *e, const group_query *g)
{
    const int64_t window = hd_operation_int(&e->operation, "local_window_size", -1);
    hd_value rows = unsqueeze(e, g->lasts, 2);
    hd_value columns = hd_expand_range(e, integer(e, 0), g->total);
    hd_value counts = hd_expand_2(e, HD_OP_LESS_OR_EQUAL, columns, rows);
    if (window > 0) {
        hd_value first = hd_expand_2(e, HD_OP_SUB, rows, integer(e, window));
        counts = hd_expand_2(e, HD_OP_AND, counts, hd_expand_2(e, HD_OP_GREATER, columns, first));
    }
    return hd_expand_2(
        e, HD_OP_UNSQUEEZE,
        hd_expand_3(e, HD_OP_WHERE, counts, hd_expand_number(e, 0), hd_expand_number(e, -FLT_MAX)),
        hd_expand_list(e, (int64_t[]){1, 2}, 2));
}

/* The bias [1 or B, 1 or N, S, T] as it is added to scores [B, K, N / K, S, T]. */
static hd_value split_bias(hd_expansion *e, const group_query *g)
{
    hd_expand_branches one;
    const int64_t zero = 0;
    hd_value heads =
        hd_expand_2(e, HD_OP_EQUAL, hd_expand_dim(e, e->inputs[ATTENTION_BIAS], 1), integer(e, 1));
    hd_expand_if(e, &one,
                 hd_expand_2(e, HD_OP_GATHER, heads,
                             hd_expand_constant(e, HD_INT64, &(hd_shape){.rank = 0}, &zero)));
    hd_expand_else(e, &one, unsqueeze(e, e->inputs[ATTENTION_BIAS], 1));
    hd_value shape, rest;
    hd_expand_node(e, HD_OP_SHAPE, &e->inputs[ATTENTION_BIAS], 1,
                   (hd_attribute[]){hd_expand_int("start", 2)}, 1, &rest, 1);
    hd_attribute axis = hd_expand_int("axis", 0);
    hd_expand_node(
        e, HD_OP_CONCAT,
        (hd_value[]){hd_expand_dim(e, e->inputs[ATTENTION_BIAS], 0),
                     hd_expand_list(e, (int64_t[]){g->key_heads, g->heads / g->key_heads}, 2),
                     rest},
        3, &axis, 1, &shape, 1);
    return hd_expand_end(e, &one, hd_expand_2(e, HD_OP_RESHAPE, e->inputs[ATTENTION_BIAS], shape));
}

/* Over the last axis of scores [B, K, N / K, S, T]. With a sink, a number a head or 0, the sum of exponentials has that of
 * one more score, which is left out afterwards. */
static hd_value softmax(hd_expansion *e, const group_query *g, hd_value scores)
{
    hd_attribute last = hd_expand_int("axis", -1);
    if (!hd_expand_has(e, SINK) && hd_operation_int(&e->operation, "smooth_softmax", 0) <= 0) {
        return hd_expand_1_with(e, HD_OP_SOFTMAX, scores, last);
    }
    hd_value sink = hd_expand_number(e, 0), shape, more;
    if (hd_expand_has(e, SINK)) {
        sink = hd_expand_reshape(e, e->inputs[SINK],
                                 (int64_t[]){1, g->key_heads, g->heads / g->key_heads, 1, 1}, 5);
    }
    hd_expand_node(e, HD_OP_SHAPE, &scores, 1, (hd_attribute[]){hd_expand_int("end", 4)}, 1, &shape,
                   1);
    shape = hd_expand_2_with(e, HD_OP_CONCAT, shape, integer(e, 1), hd_expand_int("axis", 0));
    more = hd_expand_2(e, HD_OP_EXPAND, sink, shape);
    more = hd_expand_2_with(e, HD_OP_CONCAT, scores, more, last);
    more = hd_expand_1_with(e, HD_OP_SOFTMAX, more, last);
    return hd_expand_slice(e, more, -1, integer(e, 0), g->total);
}

/* q [B, S, N, D]; k and v [B, K, T, D]; [B, S, N·D]. The queries of a group are rows of one product. */
static hd_value attend(hd_expansion *e, const group_query *g, hd_value q, hd_value k, hd_value v)
{
    const float cap = hd_operation_float(&e->operation, "softcap", 0);
    const int64_t group = g->heads / g->key_heads;
    q = hd_expand_transpose(e, q, (int64_t[]){0, 2, 1, 3}, 4); /* [B, N, S, D] */
    hd_value size = hd_expand_dim(e, q, -1), rows;
    hd_attribute axis = hd_expand_int("axis", 0);
    hd_expand_node(e, HD_OP_CONCAT,
                   (hd_value[]){hd_expand_list(e, (int64_t[]){0, g->key_heads, -1}, 3), size}, 2,
                   &axis, 1, &rows, 1);
    hd_value scale = hd_expand_attention_scale(e, q);
    q = hd_expand_2(e, HD_OP_RESHAPE, q, rows); /* [B, K, N / K · S, D] */
    hd_value scores =
        hd_expand_2(e, HD_OP_MATMUL, q, hd_expand_transpose(e, k, (int64_t[]){0, 1, 3, 2}, 4));
    scores = hd_expand_2(e, HD_OP_MUL, scores, scale);
    if (cap > 0) {
        scores = hd_expand_scale(e, hd_expand_1(e, HD_OP_TANH, hd_expand_scale(e, scores, 1 / cap)),
                                 cap);
    }
    hd_value split;
    hd_expand_node(e, HD_OP_CONCAT,
                   (hd_value[]){hd_expand_list(e, (int64_t[]){0, 0, group}, 3), g->count, g->total},
                   3, &axis, 1, &split, 1);
    hd_value flat = hd_expand_1(e, HD_OP_SHAPE, scores);
    scores = hd_expand_2(e, HD_OP_RESHAPE, scores, split); /* [B, K, N / K, S, T] */
    if (hd_expand_has(e, ATTENTION_BIAS)) {
        scores = hd_expand_2(e, HD_OP_ADD, scores, split_bias(e, g));
    }
    scores = hd_expand_2(e, HD_OP_ADD, scores, mask_of(e, g));
    scores = softmax(e, g, scores);
    hd_value y = hd_expand_2(e, HD_OP_MATMUL, hd_expand_2(e, HD_OP_RESHAPE, scores, flat), v);
    hd_value apart;
    hd_expand_node(e, HD_OP_CONCAT,
                   (hd_value[]){hd_expand_list(e, (int64_t[]){0, g->heads}, 2), g->count, size}, 3,
                   &axis, 1, &apart, 1);
    return hd_expand_join_heads(e, hd_expand_2(e, HD_OP_RESHAPE, y, apart));
}

void hd_expand_group_query_attention(hd_expansion *e)
{
    group_query g = {0};
    hd_value qkv[3] = {HD_VALUE_NONE}, present[2];
    check(e, &g);
    find_positions(e, &g);
    find_operands(e, &g, qkv);
    rotate(e, &g, qkv);
    hd_value kept[2];
    for (size_t i = 0; i < 2; i++) {
        hd_value turned = hd_expand_transpose(e, qkv[1 + i], (int64_t[]){0, 2, 1, 3}, 4);
        present[i] = write_cache(e, &g, e->inputs[PAST_KEY + i], turned);
        kept[i] = hd_expand_slice(e, present[i], 2, integer(e, 0), g.total);
    }
    hd_expand_give(e, 0, attend(e, &g, qkv[0], kept[0], kept[1]));
    hd_expand_give(e, 1, present[0]);
    hd_expand_give(e, 2, present[1]);
}
