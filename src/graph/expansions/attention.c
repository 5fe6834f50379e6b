/* Attention, QAttention and MultiHeadAttention of domain com.microsoft (github.com/microsoft/onnxruntime, docs/ContribOperators.md). */
#include "graph/expansions/attention_parts.h"
#include "graph/expansions/expansions.h"
#include "graph/expansions/quantized_parts.h"

static float filter_of(const hd_expansion *e)
{
    return hd_operation_float(&e->operation, "mask_filter_value", -10000.0f);
}

static bool is_set(const hd_expansion *e, const char *attribute)
{
    return hd_operation_int(&e->operation, attribute, 0) != 0;
}

static hd_value concat(hd_expansion *e, hd_value a, hd_value b, int64_t axis)
{
    return hd_expand_2_with(e, HD_OP_CONCAT, a, b, hd_expand_int("axis", axis));
}

/* One of two, or three, parts along the first dimension, which is taken away. */
static hd_value part(hd_expansion *e, hd_value x, int64_t index)
{
    return hd_expand_2(e, HD_OP_GATHER, x,
                       hd_expand_constant(e, HD_INT64, &(hd_shape){.rank = 0}, &index));
}

/* Where the columns of q, k and v end in constant weights [.., columns]; sizes: NULL for thirds. */
static bool find_columns(hd_expansion *e, int64_t columns, const int64_t *sizes, int64_t ends[3])
{
    int64_t end = 0;
    for (size_t i = 0; i < 3; i++) {
        int64_t size = sizes == NULL ? columns / 3 : sizes[i];
        if (size < 1 || size > columns - end) {
            break;
        }
        ends[i] = end += size;
    }
    if (end != columns || (sizes == NULL && columns % 3 != 0)) {
        hd_expand_fail(e, HD_BAD_MODEL,
                       "its weights have %lld columns, which are not those of q, k and v",
                       (long long)columns);
        return false;
    }
    return true;
}

/* Columns [begin, end) of a constant. */
static hd_value columns_of(hd_expansion *e, hd_value x, int64_t begin, int64_t end)
{
    return hd_expand_slice(e, x, -1, hd_expand_list(e, &begin, 1), hd_expand_list(e, &end, 1));
}

/* A matrix and what belongs to its columns. */
typedef struct projection {
    hd_value weights, bias;
    hd_value input_scale,
        input_zero;       /* of quantized operands; HD_VALUE_NONE: these are not quantized */
    hd_value scale, zero; /* of the weights, each one number or one a column */
} projection;

static hd_value multiply(hd_expansion *e, const projection *p)
{
    const hd_value input = e->inputs[0];
    return p->input_scale == HD_VALUE_NONE
               ? hd_expand_sum(e, hd_expand_2(e, HD_OP_MATMUL, input, p->weights), p->bias)
               : hd_expand_integer_product(e, input, p->weights, p->input_scale, p->scale,
                                           p->input_zero, p->zero, p->bias);
}

/* What belongs to columns [begin, end): all of it where it is one number for all. */
static hd_value columns_if_many(hd_expansion *e, hd_value x, int64_t begin, int64_t end)
{
    const hd_graph_value *known = &e->graph->values[x];
    const bool is_one =
        x == HD_VALUE_NONE || (known->has_rank && hd_shape_count(&known->shape) == 1);
    return is_one ? x : columns_of(e, x, begin, end);
}

static projection columns_of_projection(hd_expansion *e, const projection *p, int64_t begin,
                                        int64_t end)
{
    projection part = *p;
    part.weights = columns_of(e, p->weights, begin, end);
    part.bias = p->bias == HD_VALUE_NONE ? p->bias : columns_of(e, p->bias, begin, end);
    part.scale = columns_if_many(e, p->scale, begin, end);
    part.zero = columns_if_many(e, p->zero, begin, end);
    return part;
}

/* input · weights + bias, taken apart into q, k and v [B, S, ..]. Constant weights are taken apart themselves, so that
 * nothing is to be moved when the model runs. */
static void project(hd_expansion *e, const projection *p, hd_value out[3])
{
    size_t size_count;
    const int64_t *sizes = hd_operation_ints(&e->operation, "qkv_hidden_sizes", &size_count);
    const hd_graph_value *known = &e->graph->values[p->weights];
    if (size_count != 0 && size_count != 3) {
        hd_expand_fail(e, HD_BAD_MODEL, "its attribute 'qkv_hidden_sizes' has %zu numbers, not 3",
                       size_count);
    }
    if (known->data != NULL && known->shape.rank == 2) {
        int64_t ends[3] = {0};
        bool fits = find_columns(e, known->shape.dims[1], size_count == 3 ? sizes : NULL, ends);
        for (size_t i = 0; i < 3 && fits; i++) {
            int64_t begin = i == 0 ? 0 : ends[i - 1];
            projection part = columns_of_projection(e, p, begin, ends[i]);
            out[i] = multiply(e, &part);
        }
        return;
    }
    hd_value all = multiply(e, p);
    hd_attribute attributes[2] = {hd_expand_int("axis", -1), hd_expand_int("num_outputs", 3)};
    hd_value split[2] = {all, HD_VALUE_NONE};
    if (size_count == 3) {
        split[1] = hd_expand_list(e, sizes, 3);
    }
    hd_expand_node(e, HD_OP_SPLIT, split, size_count == 3 ? 2 : 1, attributes,
                   size_count == 3 ? 1 : 2, out, 3);
}

/* The masks of keys, of what stands behind a query, and what the file adds to scores; HD_VALUE_NONE: none of them. */
static hd_value all_masks(hd_expansion *e, hd_value key_mask, hd_value bias, hd_value q, hd_value k,
                          hd_value past)
{
    hd_value mask = HD_VALUE_NONE;
    hd_value keys = hd_expand_dim(e, k, 2);
    if (key_mask != HD_VALUE_NONE) {
        mask = hd_expand_key_mask(e, key_mask, hd_expand_dim(e, q, 0), keys, filter_of(e));
    }
    if (is_set(e, "unidirectional")) {
        if (past == HD_VALUE_NONE) {
            past = hd_expand_list(e, (int64_t[]){0}, 1);
        }
        hd_value causal = hd_expand_causal_mask(e, past, hd_expand_dim(e, q, 2), keys);
        mask = hd_expand_sum(e, mask, causal);
    }
    return hd_expand_sum(e, mask, bias);
}

static void refuse_what_decoders_share(hd_expansion *e)
{
    if (is_set(e, "do_rotary") || is_set(e, "past_present_share_buffer")) {
        hd_expand_fail(e, HD_UNSUPPORTED,
                       "its attributes do_rotary and past_present_share_buffer are not supported");
    }
}

/* past: [2, B, N, P, D], keys and values, or HD_VALUE_NONE. Gives output and present. */
static void attend_with_past(hd_expansion *e, const hd_value qkv[3], hd_value key_mask,
                             hd_value past, hd_value bias)
{
    const int64_t heads = hd_expand_positive(e, "num_heads");
    hd_value q = hd_expand_split_heads(e, qkv[0], heads);
    hd_value k = hd_expand_split_heads(e, qkv[1], heads);
    hd_value v = hd_expand_split_heads(e, qkv[2], heads);
    hd_value past_count = HD_VALUE_NONE;
    if (past != HD_VALUE_NONE) {
        past_count = hd_expand_dim(e, past, 3);
        k = concat(e, part(e, past, 0), k, 2);
        v = concat(e, part(e, past, 1), v, 2);
    }
    hd_value mask = all_masks(e, key_mask, bias, q, k, past_count);
    hd_value y = hd_expand_join_heads(e, hd_expand_attend(e, q, k, v, mask));
    if (hd_expand_wants(e, 1)) {
        hd_value first = hd_expand_list(e, (int64_t[]){0}, 1);
        hd_value present = concat(e, hd_expand_2(e, HD_OP_UNSQUEEZE, k, first),
                                  hd_expand_2(e, HD_OP_UNSQUEEZE, v, first), 0);
        hd_expand_give(e, 1, present);
    }
    hd_expand_give(e, 0, y);
}

void hd_expand_attention(hd_expansion *e)
{
    enum { INPUT, WEIGHTS, BIAS, MASK, PAST, ATTENTION_BIAS, PAST_LENGTH };
    hd_value qkv[3] = {HD_VALUE_NONE};
    refuse_what_decoders_share(e);
    if (hd_expand_has(e, PAST_LENGTH)) {
        hd_expand_fail(e, HD_UNSUPPORTED, "its input past_sequence_length is not supported");
    }
    projection p = {.weights = e->inputs[WEIGHTS], .bias = e->inputs[BIAS]};
    project(e, &p, qkv);
    attend_with_past(e, qkv, e->inputs[MASK], e->inputs[PAST], e->inputs[ATTENTION_BIAS]);
}

void hd_expand_qattention(hd_expansion *e)
{
    enum { INPUT, WEIGHTS, BIAS, SCALE, WEIGHT_SCALE, MASK, ZERO, WEIGHT_ZERO, PAST };
    hd_value qkv[3] = {HD_VALUE_NONE};
    projection p = {.weights = e->inputs[WEIGHTS],
                    .bias = e->inputs[BIAS],
                    .input_scale = e->inputs[SCALE],
                    .input_zero = e->inputs[ZERO],
                    .scale = e->inputs[WEIGHT_SCALE],
                    .zero = e->inputs[WEIGHT_ZERO]};
    refuse_what_decoders_share(e);
    project(e, &p, qkv);
    attend_with_past(e, qkv, e->inputs[MASK], e->inputs[PAST], HD_VALUE_NONE);
}

/* Keys or values of [B, T, N·D], or [B, N, T, D] as they are. */
static hd_value heads_of(hd_expansion *e, hd_value x, int64_t heads)
{
    hd_expand_branches rank;
    hd_expand_if(e, &rank, hd_expand_has_rank(e, x, 3));
    hd_expand_else(e, &rank, hd_expand_split_heads(e, x, heads));
    return hd_expand_end(e, &rank, x);
}

/* Part `index` of x [B, T, N, parts, D], as [B, T, N·D]. */
static hd_value unpack(hd_expansion *e, hd_value x, int64_t index)
{
    hd_value one = hd_expand_2_with(e, HD_OP_GATHER, x,
                                    hd_expand_constant(e, HD_INT64, &(hd_shape){.rank = 0}, &index),
                                    hd_expand_int("axis", 3));
    return hd_expand_reshape(e, one, (int64_t[]){0, 0, -1}, 3);
}

/* The bias has the elements of q, then k, then v: adds part `index` of it to x [B, S, H]. */
static hd_value add_bias(hd_expansion *e, hd_value x, hd_value bias, hd_value begin, hd_value *end)
{
    if (bias == HD_VALUE_NONE) {
        return x;
    }
    *end = hd_expand_2(e, HD_OP_ADD, begin, hd_expand_dim(e, x, -1));
    return hd_expand_2(e, HD_OP_ADD, x, hd_expand_slice(e, bias, 0, begin, *end));
}

enum {
    QUERY,
    KEY,
    VALUE,
    BIAS,
    KEY_MASK,
    ATTENTION_BIAS,
    PAST_KEY,
    PAST_VALUE,
    PAST_LENGTH,
    CACHE
};

/* q, k and v as the operator has them; true: k and v may have their heads split already. */
static bool find_operands(hd_expansion *e, hd_value qkv[3])
{
    bool is_whole = hd_expand_has(e, KEY) && hd_expand_has(e, VALUE);
    hd_value packed = hd_expand_has(e, KEY) ? e->inputs[KEY] : e->inputs[QUERY];
    if (hd_expand_has(e, VALUE) && !hd_expand_has(e, KEY)) {
        hd_expand_fail(e, HD_BAD_MODEL, "it has values, but no keys");
    }
    qkv[0] = hd_expand_has(e, KEY) ? e->inputs[QUERY] : unpack(e, packed, 0);
    for (int64_t i = 1; i < 3; i++) {
        qkv[i] = is_whole                ? e->inputs[i]
                 : hd_expand_has(e, KEY) ? unpack(e, packed, i - 1)
                                         : unpack(e, packed, i);
    }
    return is_whole && !hd_expand_has(e, BIAS);
}

void hd_expand_multi_head_attention(hd_expansion *e)
{
    const int64_t heads = hd_expand_positive(e, "num_heads");
    if (hd_expand_has(e, PAST_LENGTH) || hd_expand_has(e, CACHE) || hd_expand_wants(e, 3)) {
        hd_expand_fail(e, HD_UNSUPPORTED,
                       "past_sequence_length, cache_indirection and output qk are not supported");
    }
    if (hd_expand_has(e, PAST_KEY) != hd_expand_has(e, PAST_VALUE)) {
        hd_expand_fail(e, HD_BAD_MODEL, "it has either past keys or past values, but not both");
    }
    hd_value qkv[3], end = hd_expand_list(e, (int64_t[]){0}, 1), past = HD_VALUE_NONE;
    bool may_be_split = find_operands(e, qkv);
    for (size_t i = 0; i < 3; i++) {
        qkv[i] = add_bias(e, qkv[i], e->inputs[BIAS], end, &end);
        qkv[i] = may_be_split && i > 0 ? heads_of(e, qkv[i], heads)
                                       : hd_expand_split_heads(e, qkv[i], heads);
    }
    if (hd_expand_has(e, PAST_KEY)) {
        past = hd_expand_dim(e, e->inputs[PAST_KEY], 2);
        qkv[1] = concat(e, e->inputs[PAST_KEY], qkv[1], 2);
        qkv[2] = concat(e, e->inputs[PAST_VALUE], qkv[2], 2);
    }
    hd_value mask =
        all_masks(e, e->inputs[KEY_MASK], e->inputs[ATTENTION_BIAS], qkv[0], qkv[1], past);
    hd_value y = hd_expand_join_heads(e, hd_expand_attend(e, qkv[0], qkv[1], qkv[2], mask));
    hd_expand_give(e, 0, y);
    hd_expand_give(e, 1, qkv[1]);
    hd_expand_give(e, 2, qkv[2]);
}
