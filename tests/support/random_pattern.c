#include "random_pattern.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph_maker.h"
#include "operation_runner.h"

#define SHAPE(...)                                                                                 \
    (hd_shape)                                                                                     \
    {                                                                                              \
        .rank = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .dims = { __VA_ARGS__ }        \
    }

static bool rarely(maker *m)
{
    return below(m, 6) == 0;
}

/* The shape, or one beside it; two bends in three leave what broadcasts to it, or to which it broadcasts. */
static hd_shape bent(maker *m, hd_shape shape)
{
    while (below(m, 8) == 0) {
        const size_t at = shape.rank == 0 ? 0 : below(m, shape.rank);
        switch (below(m, 6)) {
        case 0:
        case 1:
            shape.dims[at] = shape.rank == 0 ? 0 : 1;
            break;
        case 2:
            shape.dims[at] =
                shape.rank > 0 && shape.dims[at] == 1 ? between(m, 1, 3) : shape.dims[at];
            break;
        case 3: /* the first ones left out */
            if (at < shape.rank) {
                memmove(shape.dims, shape.dims + at + 1,
                        (shape.rank - at - 1) * sizeof *shape.dims);
                shape.rank -= (uint32_t)at + 1;
            }
            break;
        default:
            if (shape.rank < 6) {
                memmove(shape.dims + 1, shape.dims, shape.rank * sizeof *shape.dims);
                shape.dims[0] = below(m, 2) != 0 ? 1 : between(m, 1, 3);
                shape.rank++;
            }
        }
    }
    return shape;
}

/* An input, or a constant, around `center`. */
static size_t operand_of(maker *m, hd_shape shape, float center, bool constant)
{
    if (constant || m->oracle->input_count == ORACLE_INPUT_LIMIT) {
        return floats_around(m, &shape, center, 0.5f);
    }
    float *data = make_floats(m, hd_shape_count(&shape));
    for (int64_t i = 0; i < hd_shape_count(&shape); i++) {
        data[i] = center + data[i];
    }
    size_t place = oracle_input(m->oracle, HD_FLOAT32, &shape, data, below(m, 2) != 0);
    free(data);
    return place;
}

static size_t operand(maker *m, hd_shape shape, float center)
{
    return operand_of(m, bent(m, shape), center, below(m, 2) != 0);
}

/* One value, of any rank; seldom another value, or several, or none that is known. */
static size_t single(maker *m, float value)
{
    hd_shape shape = {.rank = (uint32_t)(rarely(m) ? below(m, 6) : below(m, 2)),
                      .dims = {1, 1, 1, 1, 1, 1}};
    if (rarely(m)) {
        return operand_of(m, bent(m, shape), value, below(m, 2) != 0);
    }
    return floats_around(m, &shape, rarely(m) ? value * 1.125f : value, 0);
}

/* A node over operands in either order, where all were made. */
static size_t two(maker *m, const char *type, size_t a, size_t b)
{
    return below(m, 3) == 0 ? both(m, type, b, a) : both(m, type, a, b);
}

static size_t one(maker *m, const char *type, size_t x)
{
    return node_with(m, type, &x, 1, NULL, 0);
}

static size_t times(maker *m, size_t x, float factor)
{
    return below(m, 2) != 0 ? two(m, "Mul", x, single(m, factor))
                            : both(m, "Div", x, single(m, 1 / factor));
}

static size_t turned(maker *m, size_t x, int64_t a, int64_t b, int64_t c, int64_t d)
{
    const int64_t order[2][4] = {{a, b, c, d}, {0, 2, 1, 3}};
    hd_attribute attribute = operation_ints("perm", order[rarely(m) && rarely(m)], 4);
    return node_with(m, "Transpose", &x, 1, &attribute, 1);
}

/* A value that was made, as it was or through something that gives it back. */
static size_t perhaps_other(maker *m, size_t x)
{
    return rarely(m) && x != ORACLE_NONE ? operand(m, *shape_of(m, x), 0) : x;
}

static size_t activated(maker *m, size_t x)
{
    static const char *const types[] = {"Relu",  "Gelu", "Tanh",      "Sigmoid",    "HardSwish",
                                        "Swish", "Neg",  "LeakyRelu", "HardSigmoid"};
    if (x == ORACLE_NONE || rarely(m)) {
        return x;
    }
    if (below(m, 4) == 0) {
        size_t low = single(m, -0.4f), high = single(m, 0.6f);
        size_t clipped =
            low == ORACLE_NONE || high == ORACLE_NONE ? ORACLE_NONE : NODE(m, "Clip", x, low, high);
        return clipped == ORACLE_NONE ? x : clipped;
    }
    size_t type = below(m, sizeof types / sizeof types[0]);
    if (strcmp(types[type], "Gelu") == 0 && below(m, 2) != 0) {
        hd_attribute attribute = operation_string("approximate", "tanh");
        return node_with(m, "Gelu", &x, 1, &attribute, 1);
    }
    return one(m, types[type], x);
}

/* n, or 1, which broadcasts to it. */
static int64_t either(maker *m, int64_t n)
{
    return below(m, 4) == 0 ? 1 : n;
}

static void make_attention(maker *m)
{
    const int64_t b = between(m, 1, 3), h = between(m, 1, 3), t = between(m, 1, 5),
                  s = between(m, 1, 5);
    const int64_t d = between(m, 1, 9), e = between(m, 1, 9);
    size_t q =
        turned(m, operand_of(m, bent(m, SHAPE(either(m, b), t, either(m, h), d)), 0, rarely(m)), 0,
               2, 1, 3);
    size_t k = operand_of(m, bent(m, SHAPE(either(m, b), s, either(m, h), d)), 0, rarely(m));
    if (below(m, 2) != 0) {
        k = turned(m, k, 0, 2, 3, 1);
    } else {
        k = turned(m, k, 0, 2, 1, 3);
        k = below(m, 2) != 0 ? times(m, k, 0.5f) : k;
        k = turned(m, k, 0, 1, 3, 2);
    }
    size_t v =
        turned(m, operand_of(m, bent(m, SHAPE(either(m, b), s, either(m, h), e)), 0, rarely(m)), 0,
               2, 1, 3);
    q = below(m, 3) == 0 ? times(m, q, 0.7f) : q;
    k = below(m, 3) == 0 ? times(m, k, 0.7f) : k;
    size_t scores = both(m, "MatMul", q, k);
    scores = below(m, 2) != 0 ? times(m, scores, 0.35f) : scores;
    if (below(m, 3) != 0) {
        hd_shape mask = SHAPE(either(m, b), either(m, h), either(m, t), either(m, s));
        scores = two(m, "Add", scores, operand(m, mask, -1));
    }
    static const int64_t axes[] = {-1, -1, 3, 3, 2, 1};
    size_t weights = node_int(m, "Softmax", scores, "axis", axes[below(m, 6)]);
    size_t mixed = two(m, "MatMul", weights, v);
    size_t y = turned(m, mixed, 0, 2, 1, 3);
    if (y != ORACLE_NONE && shape_of(m, y)->rank == 4) {
        const int64_t *dims = shape_of(m, y)->dims;
        NODE(m, "Reshape", y, INTS(m, dims[0], dims[1], -1));
    }
}

static void make_gate(maker *m)
{
    hd_shape shape = SHAPE(between(m, 1, 3), between(m, 1, 4), between(m, 1, 20));
    size_t x = operand(m, shape, 0);
    switch (below(m, 4)) {
    case 0: {
        size_t gate = two(m, "Add", one(m, "Erf", times(m, x, 0.70710678f)), single(m, 1));
        const size_t place = below(m, 3);
        size_t other = perhaps_other(m, x);
        other = place == 0 ? times(m, other, 0.5f) : other;
        gate = place == 1 ? times(m, gate, 0.5f) : gate;
        size_t y = two(m, "Mul", other, gate);
        y = place == 2 ? times(m, y, 0.5f) : y;
        (void)y;
        return;
    }
    case 1: {
        size_t scaled = below(m, 2) != 0 ? x : times(m, x, 1);
        size_t gate = scaled == ORACLE_NONE ? scaled : one(m, "Sigmoid", scaled);
        two(m, "Mul", perhaps_other(m, x), gate);
        return;
    }
    case 2: {
        hd_attribute attributes[] = {operation_float("alpha", rarely(m) ? 0.2f : 1.0f / 6),
                                     operation_float("beta", rarely(m) ? 0.4f : 0.5f)};
        two(m, "Mul", perhaps_other(m, x), node_with(m, "HardSigmoid", &x, 1, attributes, 2));
        return;
    }
    default: {
        size_t sum = two(m, "Add", x, single(m, 3)), low = single(m, 0), high = single(m, 6);
        if (sum == ORACLE_NONE || low == ORACLE_NONE || high == ORACLE_NONE) {
            return;
        }
        size_t clipped = NODE(m, "Clip", sum, low, high);
        const bool early = below(m, 2) != 0;
        clipped = early ? times(m, clipped, 1.0f / 6) : clipped;
        size_t y = two(m, "Mul", clipped, perhaps_other(m, x));
        y = early ? y : times(m, y, 1.0f / 6);
        (void)y;
    }
    }
}

static size_t mean_of(maker *m, size_t x)
{
    if (x == ORACLE_NONE) {
        return x;
    }
    const int64_t rank = shape_of(m, x)->rank;
    hd_attribute keep = operation_int("keepdims", !rarely(m) || !rarely(m));
    size_t axes = rarely(m)   ? INTS(m, 0)
                  : rarely(m) ? INTS(m, -1, 0)
                              : INTS(m, below(m, 2) != 0 ? -1 : rank - 1);
    size_t operands[] = {x, axes};
    return node_with(m, "ReduceMean", operands, 2, &keep, 1);
}

static void make_norm(maker *m)
{
    const int64_t c = between(m, 1, 20);
    hd_shape shape = SHAPE(between(m, 1, 3), between(m, 1, 4), c);
    shape = below(m, 3) == 0 ? SHAPE(between(m, 1, 4), c) : shape;
    size_t x = operand(m, shape, 0);
    size_t mean = mean_of(m, perhaps_other(m, x));
    size_t centered = rarely(m) ? both(m, "Sub", mean, x) : both(m, "Sub", x, mean);
    size_t other = perhaps_other(m, centered);
    size_t squared =
        below(m, 2) != 0 ? both(m, "Mul", centered, other) : both(m, "Pow", centered, single(m, 2));
    size_t variance = mean_of(m, squared);
    size_t root = two(m, "Add", variance, single(m, rarely(m) ? 1 : 1e-3f));
    root = root == ORACLE_NONE ? root : one(m, "Sqrt", root);
    size_t y = rarely(m) ? both(m, "Div", root, centered)
                         : both(m, "Div", perhaps_other(m, centered), root);
    y = two(m, "Mul", y, operand(m, SHAPE(c), 1));
    y = two(m, "Add", y, operand(m, SHAPE(c), 0));
    activated(m, y);
}

/* x · w, with what Gemm may be told besides. */
static size_t product(maker *m, int64_t rows, int64_t k, int64_t n)
{
    if (below(m, 2) != 0) {
        static const hd_shape shapes[] = {{.rank = 1}, {.rank = 2}, {.rank = 3}, {.rank = 4}};
        hd_shape x = shapes[below(m, 4)];
        for (uint32_t i = 0; i < x.rank; i++) {
            x.dims[i] = i + 1 == x.rank ? k : i + 2 == x.rank ? rows : between(m, 1, 3);
        }
        return both(m, "MatMul", operand(m, x, 0),
                    operand_of(m, bent(m, SHAPE(k, n)), 0, !rarely(m)));
    }
    const bool a = rarely(m), b = below(m, 2) != 0;
    hd_attribute attributes[] = {operation_int("transA", a), operation_int("transB", b),
                                 operation_float("alpha", rarely(m) ? 0.75f : 1),
                                 operation_float("beta", rarely(m) ? 1.25f : 1)};
    size_t operands[] = {operand_of(m, a ? SHAPE(k, rows) : SHAPE(rows, k), 0, rarely(m)),
                         operand_of(m, b ? SHAPE(n, k) : SHAPE(k, n), 0, !rarely(m)), ORACLE_NONE};
    if (below(m, 2) != 0) {
        operands[2] = operand(m, below(m, 3) == 0 ? SHAPE(rows, n) : SHAPE(n), 0);
    }
    return node_with(m, "Gemm", operands, 2 + (operands[2] != ORACLE_NONE), attributes, 4);
}

static void make_linear(maker *m)
{
    const int64_t rows = between(m, 1, 9), k = between(m, 1, 20), n = between(m, 1, 24);
    size_t y = product(m, rows, k, n);
    for (size_t i = below(m, 4); i > 0 && y != ORACLE_NONE; i--) {
        size_t z = below(m, 2) != 0 ? two(m, "Add", y, operand(m, SHAPE(n), 0))
                                    : two(m, "Add", y, operand(m, *shape_of(m, y), 0));
        y = z == ORACLE_NONE ? y : z;
    }
    y = activated(m, y);
    if (y != ORACLE_NONE && rarely(m)) {
        two(m, "Add", y, y);
    }
}

/* A convolution of any attributes, negative pads among them, over one or two dimensions. */
static size_t convolution_on(maker *m, size_t x)
{
    const hd_shape *shape = shape_of(m, x);
    const uint32_t spatial = shape->rank - 2;
    const bool flipped = below(m, 4) == 0;
    const int64_t c = shape->dims[1];
    const int64_t group = rarely(m) ? c : c % 2 == 0 && rarely(m) ? 2 : 1, each = between(m, 1, 9);
    const int64_t out = group * each;
    hd_shape w = flipped ? SHAPE(c, each) : SHAPE(out, c / group);
    int64_t pads[4], strides[2], dilations[2];
    const bool plain = below(m, 3) == 0; /* what is multiplied in 2x2 tiles */
    w.rank = shape->rank;
    for (uint32_t i = 0; i < spatial; i++) {
        w.dims[2 + i] = plain ? 3 : between(m, 1, 4);
        strides[i] = plain ? 1 : between(m, 1, 3);
        dilations[i] = plain ? 1 : between(m, 1, 2);
        for (uint32_t side = 0; side < 2; side++) {
            pads[side * spatial + i] = below(m, 3) == 0 ? between(m, -4, 4) : between(m, 0, 1);
        }
    }
    size_t operands[] = {x, operand_of(m, w, 0, !rarely(m)), ORACLE_NONE};
    if (below(m, 2) != 0) {
        operands[2] = operand_of(m, SHAPE(out), 0, !rarely(m));
    }
    static const char *const automatic[] = {"SAME_UPPER", "SAME_LOWER", "VALID"};
    hd_attribute attributes[] = {operation_ints("strides", strides, spatial),
                                 operation_ints("dilations", dilations, spatial),
                                 operation_int("group", group),
                                 operation_ints("pads", pads, 2 * (size_t)spatial)};
    if (rarely(m)) {
        attributes[3] = operation_string("auto_pad", automatic[below(m, 3)]);
    }
    return node_with(m, flipped ? "ConvTranspose" : "Conv", operands,
                     operands[2] == ORACLE_NONE ? 2 : 3, attributes, 4);
}

static size_t normalized(maker *m, size_t x)
{
    hd_shape vector = SHAPE(shape_of(m, x)->dims[1]);
    size_t operands[5] = {x};
    for (size_t i = 1; i < 5; i++) {
        operands[i] = operand_of(m, vector, i == 1 || i == 4 ? 1.5f : 0, !rarely(m));
    }
    return node_with(m, "BatchNormalization", operands, 5, NULL, 0);
}

/* One step behind a convolution, on an operand of any shape that broadcasts. */
static size_t step_behind(maker *m, size_t y)
{
    static const char *const types[] = {"Mul", "Add", "Sub", "Div", "PRelu", "Max"};
    const hd_shape *shape = shape_of(m, y);
    hd_shape vector = SHAPE(1, shape->dims[1], 1, 1);
    vector.rank = shape->rank;
    switch (below(m, 9)) {
    case 0:
        return normalized(m, y);
    case 1:
    case 2: {
        const char *type = types[below(m, 6)];
        return two(m, type, y, operand(m, vector, type[0] == 'D' ? 2 : 1));
    }
    case 3:
        return two(m, types[below(m, 2)], y, operand(m, *shape, 0));
    case 4: /* one axis has its dimension, the rest 1 or nothing */
        vector.dims[1] = 1;
        vector.dims[shape->rank - 1] = shape->dims[shape->rank - 1];
        return two(m, "Add", y, operand(m, vector, 0));
    case 5: {
        hd_attribute attributes[] = {
            OPERATION_INTS("kernel_shape", 2, 2), OPERATION_INTS("strides", 2, 1),
            OPERATION_INTS("pads", 0, 1, 1, 0), operation_int("ceil_mode", (int64_t)below(m, 2))};
        return shape->rank != 4 ? y
                                : node_with(m, below(m, 2) != 0 ? "MaxPool" : "AveragePool", &y, 1,
                                            attributes, 4);
    }
    case 6: {
        size_t z = activated(m, y);
        z = z != ORACLE_NONE && below(m, 2) != 0 ? two(m, "Mul", z, single(m, 0.75f)) : z;
        return z != ORACLE_NONE && below(m, 2) != 0 ? two(m, "Add", single(m, 0.5f), z) : z;
    }
    case 7:
        return shape->rank == 3 || shape->rank == 4 ? convolution_on(m, y) : y;
    default: {
        int64_t order[] = {0, 2, 3, 1}, back[] = {0, 3, 1, 2}, line[] = {0, 2, 1};
        hd_attribute attribute = operation_ints("perm",
                                                shape->rank == 3   ? line
                                                : below(m, 2) != 0 ? order
                                                                   : back,
                                                shape->rank);
        return shape->rank == 3 || shape->rank == 4
                   ? node_with(m, "Transpose", &y, 1, &attribute, 1)
                   : y;
    }
    }
}

static void make_convolution(maker *m)
{
    hd_shape shape = SHAPE(between(m, 1, 2), between(m, 1, 12), between(m, 1, 9), between(m, 1, 9));
    shape.rank = below(m, 3) == 0 ? 3 : 4;
    size_t y = convolution_on(m, operand_of(m, shape, 0, false));
    for (size_t i = below(m, 7); i > 0 && y != ORACLE_NONE; i--) {
        size_t z =
            shape_of(m, y)->rank < 3 || shape_of(m, y)->rank > 4 ? ORACLE_NONE : step_behind(m, y);
        y = z == ORACLE_NONE || hd_shape_count(shape_of(m, z)) > 20000 ? y : z;
    }
}

static void make_repeats(maker *m)
{
    hd_shape shape = SHAPE(between(m, 1, 2), between(m, 1, 9), between(m, 1, 4), between(m, 1, 4));
    size_t x = operand_of(m, shape, 0, false), parts[3];
    static const char *const modes[] = {"nearest", "nearest", "nearest", "linear"};
    static const char *const places[] = {"asymmetric", "half_pixel", "align_corners",
                                         "pytorch_half_pixel"};
    static const char *const roundings[] = {"floor", "round_prefer_floor", "ceil",
                                            "round_prefer_ceil"};
    size_t count = 1 + below(m, 3);
    hd_shape joined = shape;
    for (size_t i = 0; i < count; i++) {
        float scales[] = {1, 1, (float)(rarely(m) ? 3 : 2), rarely(m) ? 1.5f : 2};
        scales[below(m, 2)] = rarely(m) ? 2 : 1;
        hd_shape four = SHAPE(4);
        hd_attribute attributes[] = {
            operation_string("mode", modes[below(m, 4)]),
            operation_string("coordinate_transformation_mode", places[below(m, 4)]),
            operation_string("nearest_mode", roundings[below(m, 4)])};
        size_t operands[] = {below(m, 2) != 0 ? convolution_on(m, x) : x, ORACLE_NONE,
                             oracle_constant(m->oracle, HD_FLOAT32, &four, scales)};
        parts[i] = node_with(m, "Resize", operands, 3, attributes, 3);
        if (parts[i] == ORACLE_NONE) {
            return;
        }
        joined = *shape_of(m, parts[i]);
    }
    if (count < 3 && below(m, 2) != 0) {
        parts[count++] = operand(m, joined, 0);
    }
    if (rarely(m)) {
        parts[count - 1] = parts[0];
    }
    hd_attribute axis = operation_int("axis", rarely(m) ? between(m, -4, 3) : 1);
    node_with(m, "Concat", parts, count, &axis, 1);
}

static void make_chain(maker *m)
{
    static const char *const types[] = {"Add", "Mul", "Sub", "Max", "Min", "Div", "PRelu", "Sum"};
    hd_shape shape = SHAPE(between(m, 1, 3), between(m, 1, 4), between(m, 1, 5), between(m, 1, 20));
    shape.rank = (uint32_t)between(m, 1, 4);
    size_t x = operand_of(m, shape, 0, false), earlier[16] = {x}, known = 1;
    for (size_t i = 2 + below(m, 12); i > 0; i--) {
        size_t y = below(m, 3) == 0 ? activated(m, x) : ORACLE_NONE;
        if (y == ORACLE_NONE && rarely(m)) {
            size_t limit = operand(m, shape, 0), other = operand(m, shape, 0);
            size_t below_it = both(m, "Less", x, limit);
            y = below_it == ORACLE_NONE ? below_it : NODE(m, "Where", below_it, other, x);
        } else if (y == ORACLE_NONE) {
            size_t type = below(m, 8);
            size_t other = below(m, 4) == 0 ? earlier[below(m, known)] /* read again */
                                            : operand(m, shape, type == 5 ? 2 : 0.5f);
            y = two(m, types[type], x, rarely(m) ? x : other);
        }
        x = y == ORACLE_NONE || hd_shape_count(shape_of(m, y)) > 5000 ? x : y;
        earlier[known++] = x;
    }
}

void random_pattern_make(graph_oracle *oracle, uint64_t seed, random_pattern_kind kind)
{
    static void (*const makers[])(maker *m) = {make_attention, make_gate,        make_norm,
                                               make_linear,    make_convolution, make_repeats,
                                               make_chain};
    maker m = {oracle, seed * RANDOM_PATTERN_KIND_COUNT + (uint64_t)kind};
    makers[kind](&m);
}
