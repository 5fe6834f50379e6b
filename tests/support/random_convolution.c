#include "random_convolution.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "operation_runner.h"

static size_t make_convolution_on(maker *m, size_t x)
{
    if (below(m, 4) == 0) { /* as an image of channels last */
        hd_attribute attribute = OPERATION_INTS("perm", 0, 3, 1, 2);
        size_t turned = node_with(m, "Transpose", &x, 1, &attribute, 1);
        x = turned == ORACLE_NONE ? x : turned;
    }
    int64_t c = shape_of(m, x)->dims[1], kind = between(m, 0, 3);
    if (c == 0) {
        return ORACLE_NONE;
    }
    int64_t group = kind == 0 ? c : kind == 1 && c % 2 == 0 ? 2 : 1;
    int64_t out = kind == 0 ? c * between(m, 1, 2) : group * between(m, 1, 18);
    int64_t kh = between(m, 1, 3), kw = between(m, 1, 3), stride = between(m, 1, 2),
            dilation = between(m, 1, 2);
    float scale = 1.5f / (float)(c / group * kh * kw < 4 ? 2 : c / group * kh * kw / 2);
    bool flipped = below(m, 6) == 0;
    size_t operands[] = {x,
                         flipped ? FLOATS(m, 0, scale, c, out / group, kh, kw)
                                 : FLOATS(m, 0, scale, out, c / group, kh, kw),
                         FLOATS(m, 0, 0.5f, out)};
    int64_t pads[] = {between(m, 0, 1), between(m, 0, 1), between(m, 0, 2), between(m, 0, 1)};
    hd_attribute attributes[] = {OPERATION_INTS("kernel_shape", kh, kw),
                                 OPERATION_INTS("strides", stride, stride),
                                 OPERATION_INTS("dilations", dilation, dilation),
                                 operation_ints("pads", pads, 4), operation_int("group", group)};
    return node_with(m, flipped ? "ConvTranspose" : "Conv", operands, 2 + below(m, 2), attributes,
                     5);
}

static size_t make_line_convolution_on(maker *m, size_t x)
{
    if (below(m, 4) == 0) { /* as a signal of channels last */
        x = transposed(m, x, true);
    }
    int64_t c = shape_of(m, x)->dims[1], kind = between(m, 0, 3);
    if (c == 0) {
        return ORACLE_NONE;
    }
    int64_t group = kind == 0 ? c : kind == 1 && c % 2 == 0 ? 2 : 1;
    int64_t out = kind == 0 ? c * between(m, 1, 2) : group * between(m, 1, 18),
            kw = between(m, 1, 4);
    float scale = 1.5f / (float)(c / group * kw < 4 ? 2 : c / group * kw / 2);
    bool flipped = below(m, 6) == 0;
    size_t operands[] = {x,
                         flipped ? FLOATS(m, 0, scale, c, out / group, kw)
                                 : FLOATS(m, 0, scale, out, c / group, kw),
                         FLOATS(m, 0, 0.5f, out)};
    int64_t pads[] = {between(m, 0, 2), between(m, 0, 1)};
    hd_attribute attributes[] = {OPERATION_INTS("strides", between(m, 1, 2)),
                                 OPERATION_INTS("dilations", between(m, 1, 3)),
                                 operation_ints("pads", pads, 2), operation_int("group", group)};
    return node_with(m, flipped ? "ConvTranspose" : "Conv", operands, 2 + below(m, 2), attributes,
                     4);
}

static size_t batch_norm(maker *m, size_t x)
{
    int64_t c = shape_of(m, x)->dims[1];
    size_t operands[] = {x, FLOATS(m, 1, 0.5f, c), FLOATS(m, 0, 0.5f, c), FLOATS(m, 0, 0.5f, c),
                         FLOATS(m, 1, 0.5f, c)};
    return node_with(m, "BatchNormalization", operands, 5, NULL, 0);
}

void make_convolution(maker *m)
{
    size_t x = pick_of_rank(m, 4);
    size_t y = x == ORACLE_NONE ? x : make_convolution_on(m, x);
    if (y != ORACLE_NONE && below(m, 3) == 0) {
        size_t z = batch_norm(m, y);
        y = z == ORACLE_NONE ? y : z;
    }
    if (y != ORACLE_NONE && below(m, 3) == 0) {
        int64_t c = shape_of(m, y)->dims[1];
        both(m, below(m, 2) != 0 ? "Mul" : "Add", y, FLOATS(m, 1, 0.5f, 1, c, 1, 1));
    }
    if (y != ORACLE_NONE && below(m, 3) == 0) {
        size_t z = below(m, 2) != 0 ? NODE(m, "Relu", y) : NODE(m, "HardSwish", y);
        if (below(m, 2) != 0) { /* a learnt scale and shift */
            z = both(m, "Mul", z, scalar(m, 0.75f));
            z = below(m, 2) != 0 ? both(m, "Add", FLOATS(m, 0.5f, 0, 1), z) : z;
        }
        y = z == ORACLE_NONE ? y : z;
    }
    if (y != ORACLE_NONE && below(m, 3) == 0) {
        both(m, "Add", y, below(m, 2) != 0 ? x : floats_around(m, shape_of(m, y), 0, 1));
    }
}

/* What follows is what makes twins worth while: padding by pieces of itself, a gate, a sum. */
void make_line_convolution(maker *m)
{
    size_t x = pick_of_rank(m, 3);
    size_t y = x == ORACLE_NONE ? x : make_line_convolution_on(m, x);
    if (y == ORACLE_NONE) {
        return;
    }
    if (below(m, 3) == 0) {
        size_t z = both(m, below(m, 2) != 0 ? "Mul" : "Add", y,
                        FLOATS(m, 1, 0.5f, shape_of(m, y)->dims[1], 1));
        y = z == ORACLE_NONE ? y : z;
    }
    int64_t axis = between(m, 0, 2), size = shape_of(m, y)->dims[axis];
    if (size > 0 && below(m, 2) == 0) {
        size_t parts[] = {
            NODE(m, "Slice", y, INTS(m, -1), INTS(m, INT64_MAX), INTS(m, axis)), y,
            NODE(m, "Slice", y, INTS(m, 0), INTS(m, between(m, 0, size)), INTS(m, axis))};
        hd_attribute attribute = operation_int("axis", below(m, 2) != 0 ? axis : axis - 3);
        size_t z =
            parts[2] == ORACLE_NONE ? parts[2] : node_with(m, "Concat", parts, 3, &attribute, 1);
        y = z == ORACLE_NONE ? y : z;
    }
    size_t z = below(m, 2) != 0 ? NODE(m, "Gelu", y) : NODE(m, "Relu", y);
    if (z != ORACLE_NONE && below(m, 2) == 0) {
        both(m, "Add", z, below(m, 2) != 0 ? x : y);
    }
    if (below(m, 3) == 0) {
        transposed(m, y, true);
    }
}

void make_pool(maker *m)
{
    size_t x = pick_of_rank(m, 4);
    if (x == ORACLE_NONE) {
        return;
    }
    int64_t stride = between(m, 1, 2), kernel = between(m, 1, 3);
    hd_attribute attributes[] = {OPERATION_INTS("kernel_shape", kernel, kernel),
                                 OPERATION_INTS("strides", stride, stride),
                                 operation_int("ceil_mode", between(m, 0, 1))};
    switch (below(m, 5)) {
    case 0:
        node_with(m, "MaxPool", &x, 1, attributes, 3);
        break;
    case 1:
        node_with(m, "AveragePool", &x, 1, attributes, 3);
        break;
    case 2:
        NODE(m, "GlobalAveragePool", x);
        break;
    case 3:
        batch_norm(m, x);
        break;
    default: {
        float twice[] = {1, 1, 2, 2};
        hd_shape four = {.rank = 1, .dims = {4}};
        size_t scales = oracle_constant(m->oracle, HD_FLOAT32, &four, twice);
        hd_attribute modes[] = {operation_string("mode", below(m, 2) != 0 ? "nearest" : "linear")};
        size_t operands[] = {x, ORACLE_NONE, scales};
        node_with(m, "Resize", operands, 3, modes, 1);
    }
    }
}
