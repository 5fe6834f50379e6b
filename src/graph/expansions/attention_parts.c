#include "graph/expansions/attention_parts.h"

#include <float.h>

hd_value hd_expand_split_heads(hd_expansion *e, hd_value x, int64_t heads)
{
    hd_value split = hd_expand_reshape(e, x, (int64_t[]){0, 0, heads, -1}, 4);
    return hd_expand_transpose(e, split, (int64_t[]){0, 2, 1, 3}, 4);
}

hd_value hd_expand_join_heads(hd_expansion *e, hd_value x)
{
    hd_value turned = hd_expand_transpose(e, x, (int64_t[]){0, 2, 1, 3}, 4);
    return hd_expand_reshape(e, turned, (int64_t[]){0, 0, -1}, 3);
}

hd_value hd_expand_sum(hd_expansion *e, hd_value a, hd_value b)
{
    return a == HD_VALUE_NONE ? b : b == HD_VALUE_NONE ? a : hd_expand_2(e, HD_OP_ADD, a, b);
}

hd_value hd_expand_attention_scale(hd_expansion *e, hd_value q)
{
    float scale = hd_operation_float(&e->operation, "scale", 0);
    if (scale != 0) {
        return hd_expand_number(e, scale);
    }
    hd_value size = hd_expand_cast(e, hd_expand_dim(e, q, -1), HD_FLOAT32);
    return hd_expand_1(e, HD_OP_RECIPROCAL, hd_expand_1(e, HD_OP_SQRT, size));
}

hd_value hd_expand_attend(hd_expansion *e, hd_value q, hd_value k, hd_value v, hd_value mask)
{
    hd_value turned = hd_expand_transpose(e, k, (int64_t[]){0, 1, 3, 2}, 4);
    hd_value scores = hd_expand_2(e, HD_OP_MUL, hd_expand_2(e, HD_OP_MATMUL, q, turned),
                                  hd_expand_attention_scale(e, q));
    scores = hd_expand_sum(e, scores, mask);
    scores = hd_expand_1_with(e, HD_OP_SOFTMAX, scores, hd_expand_int("axis", -1));
    return hd_expand_2(e, HD_OP_MATMUL, scores, v);
}

static hd_value integer(hd_expansion *e, int64_t value)
{
    return hd_expand_list(e, &value, 1);
}

/* 0 where `counts` is true, else `filter`. */
static hd_value filter_where_not(hd_expansion *e, hd_value counts, float filter)
{
    return hd_expand_3(e, HD_OP_WHERE, counts, hd_expand_number(e, 0), hd_expand_number(e, filter));
}

/* The mask gives the end of each entry's keys and, perhaps, behind all ends their beginnings: [B, 1, 1, T]. */
static hd_value mask_of_ends(hd_expansion *e, hd_value mask, hd_value batch, hd_value keys,
                             float filter)
{
    hd_value places = hd_expand_cast(e, hd_expand_range(e, integer(e, 0), keys), HD_INT32);
    hd_value shape =
        hd_expand_2_with(e, HD_OP_CONCAT, integer(e, -1), batch, hd_expand_int("axis", 0));
    hd_value rows = hd_expand_2(e, HD_OP_RESHAPE, mask, shape);
    hd_value one = hd_expand_2(e, HD_OP_EQUAL, hd_expand_dim(e, rows, 0), integer(e, 1)), parts[2];
    hd_expand_branches number;
    hd_expand_if(e, &number, one);
    hd_value ends = hd_expand_reshape(e, rows, (int64_t[]){-1, 1}, 2);
    hd_expand_else(e, &number, hd_expand_2(e, HD_OP_LESS, places, ends));
    hd_attribute axis = hd_expand_int("axis", 0);
    hd_value sizes = hd_expand_list(e, (int64_t[]){1, 1}, 2);
    hd_expand_node(e, HD_OP_SPLIT, (hd_value[]){rows, sizes}, 2, &axis, 1, parts, 2);
    for (size_t i = 0; i < 2; i++) {
        parts[i] = hd_expand_reshape(e, parts[i], (int64_t[]){-1, 1}, 2);
    }
    hd_value both = hd_expand_2(e, HD_OP_AND, hd_expand_2(e, HD_OP_LESS, places, parts[0]),
                                hd_expand_2(e, HD_OP_GREATER_OR_EQUAL, places, parts[1]));
    hd_value counts = hd_expand_end(e, &number, both);
    return hd_expand_2(e, HD_OP_UNSQUEEZE, filter_where_not(e, counts, filter),
                       hd_expand_list(e, (int64_t[]){1, 2}, 2));
}

/* The mask has a number a key: [B, T], [B, S, T] or [B, N, S, T] becomes one of four dimensions. */
static hd_value mask_of_keys(hd_expansion *e, hd_value mask, float filter)
{
    hd_value shape = hd_expand_1(e, HD_OP_SHAPE, mask);
    hd_value missing = hd_expand_2(e, HD_OP_SUB, integer(e, 4), hd_expand_1(e, HD_OP_SHAPE, shape));
    hd_value ones = hd_expand_2(e, HD_OP_EXPAND, integer(e, 1), missing);
    hd_value rest;
    hd_expand_node(e, HD_OP_SHAPE, &mask, 1, (hd_attribute[]){hd_expand_int("start", 1)}, 1, &rest,
                   1);
    hd_value target;
    hd_attribute axis = hd_expand_int("axis", 0);
    hd_expand_node(e, HD_OP_CONCAT, (hd_value[]){hd_expand_dim(e, mask, 0), ones, rest}, 3, &axis,
                   1, &target, 1);
    hd_value zero = hd_expand_constant(e, HD_INT32, &(hd_shape){.rank = 0}, &(int32_t){0});
    hd_value counts = hd_expand_2(e, HD_OP_GREATER, mask, zero);
    return hd_expand_2(e, HD_OP_RESHAPE, filter_where_not(e, counts, filter), target);
}

hd_value hd_expand_key_mask(hd_expansion *e, hd_value mask, hd_value batch, hd_value keys,
                            float filter)
{
    hd_expand_branches rank;
    hd_expand_if(e, &rank, hd_expand_has_rank(e, mask, 1));
    hd_expand_else(e, &rank, mask_of_ends(e, mask, batch, keys, filter));
    return hd_expand_end(e, &rank, mask_of_keys(e, mask, filter));
}

hd_value hd_expand_causal_mask(hd_expansion *e, hd_value past, hd_value queries, hd_value keys)
{
    hd_value end = hd_expand_2(e, HD_OP_ADD, past, queries);
    hd_value rows = hd_expand_2(e, HD_OP_UNSQUEEZE, hd_expand_range(e, past, end), integer(e, 1));
    hd_value columns = hd_expand_range(e, integer(e, 0), keys);
    return filter_where_not(e, hd_expand_2(e, HD_OP_LESS_OR_EQUAL, columns, rows), -FLT_MAX);
}
