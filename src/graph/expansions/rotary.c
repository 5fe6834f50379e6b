#include "graph/expansions/rotary.h"

#include "graph/expansions/expansions.h"

static hd_value integer(hd_expansion *e, int64_t value)
{
    return hd_expand_list(e, &value, 1);
}

static hd_value concat(hd_expansion *e, hd_value a, hd_value b)
{
    return hd_expand_2_with(e, HD_OP_CONCAT, a, b, hd_expand_int("axis", -1));
}

/* The rows of a table that positions name, [B, 1, S, R / 2] or [B, S, 1, R / 2]. */
static hd_value rows_of(hd_expansion *e, hd_value table, const hd_expand_rotation *rotation)
{
    hd_value rows = hd_expand_2(e, HD_OP_GATHER, table, rotation->positions);
    return hd_expand_2(e, HD_OP_UNSQUEEZE, rows, integer(e, rotation->axis));
}

/* Every second element of the last axis, from `begin` on. */
static hd_value every_second(hd_expansion *e, hd_value x, int64_t begin)
{
    hd_value made;
    hd_expand_node(
        e, HD_OP_SLICE,
        (hd_value[]){x, integer(e, begin), integer(e, INT64_MAX), integer(e, -1), integer(e, 2)}, 5,
        NULL, 0, &made, 1);
    return made;
}

/* Elements a and b of each pair side by side again. */
static hd_value interleave(hd_expansion *e, hd_value a, hd_value b)
{
    hd_value last = integer(e, -1);
    hd_value pairs = concat(e, hd_expand_2(e, HD_OP_UNSQUEEZE, a, last),
                            hd_expand_2(e, HD_OP_UNSQUEEZE, b, last));
    return hd_expand_reshape(e, pairs, (int64_t[]){0, 0, 0, -1}, 4);
}

hd_value hd_expand_rotate(hd_expansion *e, hd_value x, const hd_expand_rotation *rotation)
{
    hd_value cos = rows_of(e, rotation->cos, rotation), sin = rows_of(e, rotation->sin, rotation);
    hd_value zero = integer(e, 0), half = hd_expand_dim(e, rotation->cos, -1);
    hd_value whole = hd_expand_2(e, HD_OP_ADD, half, half);
    hd_value end = hd_expand_dim(e, x, -1);
    hd_value rotated = rotation->partial ? hd_expand_slice(e, x, -1, zero, whole) : x;
    hd_value a = rotation->interleaved ? every_second(e, rotated, 0)
                                       : hd_expand_slice(e, rotated, -1, zero, half);
    hd_value b = rotation->interleaved ? every_second(e, rotated, 1)
                                       : hd_expand_slice(e, rotated, -1, half, whole);
    hd_value real = hd_expand_2(e, HD_OP_SUB, hd_expand_2(e, HD_OP_MUL, a, cos),
                                hd_expand_2(e, HD_OP_MUL, b, sin));
    hd_value imaginary = hd_expand_2(e, HD_OP_ADD, hd_expand_2(e, HD_OP_MUL, a, sin),
                                     hd_expand_2(e, HD_OP_MUL, b, cos));
    hd_value y =
        rotation->interleaved ? interleave(e, real, imaginary) : concat(e, real, imaginary);
    return rotation->partial ? concat(e, y, hd_expand_slice(e, x, -1, whole, end)) : y;
}

/* Positions [B, S], or one at which every entry begins, of x whose axis 1 has S: [1 or B, S]. */
static hd_value positions_of(hd_expansion *e, hd_value ids, hd_value count)
{
    hd_expand_branches rank;
    hd_expand_if(e, &rank, hd_expand_has_rank(e, ids, 1));
    hd_value places = hd_expand_range(e, integer(e, 0), count);
    hd_value moved =
        hd_expand_2(e, HD_OP_ADD, hd_expand_reshape(e, ids, (int64_t[]){1, 1}, 2), places);
    hd_expand_else(e, &rank, moved);
    return hd_expand_end(e, &rank, ids);
}

/* Inputs: x [B, S, N·D] or [B, N, S, D], positions, tables of cosines and sines. */
void hd_expand_microsoft_rotary_embedding(hd_expansion *e)
{
    const hd_operation *o = &e->operation;
    const int64_t heads = hd_operation_int(o, "num_heads", 0);
    const int64_t size = hd_operation_int(o, "rotary_embedding_dim", 0);
    if (hd_operation_int(o, "is_packed_batching", 0) != 0 ||
        hd_operation_float(o, "scale", 1) != 1) {
        hd_expand_fail(e, HD_UNSUPPORTED,
                       "its attributes is_packed_batching and scale are not supported");
    }
    if (heads < 0 || heads > INT32_MAX || size < 0 || (size > 0 && heads == 0)) {
        hd_expand_fail(e, HD_BAD_MODEL,
                       "its attributes num_heads %lld and rotary_embedding_dim %lld do not fit",
                       (long long)heads, (long long)size);
    }
    hd_expand_rotation rotation = {.cos = e->inputs[2],
                                   .sin = e->inputs[3],
                                   .interleaved = hd_operation_int(o, "interleaved", 0) != 0,
                                   .partial = size > 0};
    const hd_value x = e->inputs[0];
    hd_expand_branches rank;
    hd_expand_if(e, &rank, hd_expand_has_rank(e, x, 3));
    rotation.axis = 2;
    rotation.positions = positions_of(e, e->inputs[1], hd_expand_dim(e, x, 1));
    hd_value split;
    if (heads > 0) {
        split = hd_expand_reshape(e, x, (int64_t[]){0, 0, heads, -1}, 4);
    } else {
        hd_value half = hd_expand_dim(e, rotation.cos, -1), shape;
        hd_attribute axis = hd_expand_int("axis", 0);
        hd_expand_node(e, HD_OP_CONCAT,
                       (hd_value[]){hd_expand_list(e, (int64_t[]){0, 0, -1}, 3),
                                    hd_expand_2(e, HD_OP_ADD, half, half)},
                       2, &axis, 1, &shape, 1);
        split = hd_expand_2(e, HD_OP_RESHAPE, x, shape);
    }
    hd_value y =
        hd_expand_reshape(e, hd_expand_rotate(e, split, &rotation), (int64_t[]){0, 0, -1}, 3);
    hd_expand_else(e, &rank, y);
    rotation.axis = 1;
    rotation.positions = positions_of(e, e->inputs[1], hd_expand_dim(e, x, 2));
    hd_expand_give(e, 0, hd_expand_end(e, &rank, hd_expand_rotate(e, x, &rotation)));
}
