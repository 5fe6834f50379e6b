#include "random_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph_maker.h"
#include "operation_runner.h"
#include "random_convolution.h"

size_t pick(maker *m)
{
    for (size_t tries = 0; tries < 100; tries++) {
        size_t count = m->oracle->value_count, back = below(m, count);
        back = below(m, 2) != 0 ? below(m, back + 1) : back;
        const oracle_value *value = &m->oracle->values[count - 1 - back];
        bool fits = value->dtype == HD_FLOAT32 && value->shape.rank <= 6 &&
                    hd_shape_count(&value->shape) < 20000 && (value->shape.rank > 0 || tries > 50);
        bool wanted =
            (!value->constant || below(m, 30) == 0) && (value->readers == 0 || below(m, 3) != 0);
        if (fits && wanted) {
            return count - 1 - back;
        }
    }
    return m->oracle->inputs[0];
}

size_t pick_of_rank(maker *m, uint32_t rank)
{
    for (size_t tries = 0; tries < 30; tries++) {
        size_t x = pick(m);
        if (shape_of(m, x)->rank == rank) {
            return x;
        }
    }
    return ORACLE_NONE;
}

static void make_unary(maker *m)
{
    static const char *const types[] = {
        "Relu",     "LeakyRelu",   "Sigmoid",   "Tanh", "Erf",  "Neg", "Abs",
        "Softplus", "HardSigmoid", "HardSwish", "Elu",  "Sin",  "Cos", "Identity",
        "Gelu",     "Softsign",    "Selu",      "Mish", "Celu", "Exp"};
    NODE(m, types[below(m, sizeof types / sizeof types[0])], pick(m));
}

static void make_clip(maker *m)
{
    size_t low = scalar(m, -0.4f), high = scalar(m, 0.6f);
    switch (below(m, 3)) {
    case 0:
        NODE(m, "Clip", pick(m), low, high);
        break;
    case 1:
        NODE(m, "Clip", pick(m), low);
        break;
    default:
        NODE(m, "Clip", pick(m), ORACLE_NONE, high);
    }
}

/* A constant that can be broadcast to x: some dimensions become 1 or are left out in front. */
static size_t constant_beside(maker *m, size_t x, float center)
{
    hd_shape shape = *shape_of(m, x);
    uint32_t cut = shape.rank == 0 ? 0 : (uint32_t)below(m, shape.rank + 1);
    shape.rank -= cut;
    memmove(shape.dims, shape.dims + cut, shape.rank * sizeof *shape.dims);
    for (uint32_t d = 0; d < shape.rank; d++) {
        shape.dims[d] = below(m, 2) != 0 ? 1 : shape.dims[d];
    }
    return floats_around(m, &shape, center, 0.5f);
}

static void make_binary(maker *m)
{
    static const char *const types[] = {"Add", "Mul", "Sub",  "Max", "Min",
                                        "Add", "Mul", "Mean", "Sum"};
    const char *type = types[below(m, sizeof types / sizeof types[0])];
    size_t a = pick(m);
    switch (below(m, 4)) {
    case 0:
        NODE(m, type, a, constant_beside(m, a, 0));
        return;
    case 1:
        NODE(m, "Div", a, constant_beside(m, a, 2));
        return;
    case 2:
        NODE(m, "PRelu", a, constant_beside(m, a, 0));
        return;
    default:
        break;
    }
    for (size_t tries = 0; tries < 20; tries++) {
        size_t b = pick(m);
        if ((a != b || tries == 19) &&
            both(m, type, below(m, 2) != 0 ? a : b, below(m, 4) != 0 ? b : a) != ORACLE_NONE) {
            return;
        }
    }
}

static size_t make_linear_on(maker *m, size_t x)
{
    const hd_shape *shape = shape_of(m, x);
    if (shape->rank < 2) {
        return ORACLE_NONE;
    }
    int64_t k = shape->dims[shape->rank - 1], n = between(m, 1, 40);
    float scale = 1.5f / (float)(k < 4 ? 2 : k / 2);
    if (shape->rank == 2 && below(m, 2) != 0) {
        int64_t transposed = between(m, 0, 1);
        size_t w = transposed != 0 ? FLOATS(m, 0, scale, n, k) : FLOATS(m, 0, scale, k, n);
        hd_attribute attributes[] = {operation_int("transB", transposed),
                                     operation_float("alpha", below(m, 2) != 0 ? 1 : 0.75f),
                                     operation_float("beta", below(m, 2) != 0 ? 1 : 1.25f)};
        size_t operands[] = {x, w, ORACLE_NONE};
        size_t count = 2;
        if (below(m, 3) != 0) {
            operands[count++] = below(m, 3) != 0 ? FLOATS(m, 0, 1, n) : FLOATS(m, 0, 1, 1);
        }
        return node_with(m, "Gemm", operands, count, attributes, 3);
    }
    size_t y = NODE(m, "MatMul", x, FLOATS(m, 0, scale, k, n));
    return y == ORACLE_NONE || below(m, 3) == 0 ? y : NODE(m, "Add", y, FLOATS(m, 0, 1, n));
}

static void make_linear(maker *m)
{
    size_t y = make_linear_on(m, pick(m));
    if (y != ORACLE_NONE && below(m, 2) != 0) {
        static const char *const types[] = {"Relu", "Gelu", "Tanh", "Sigmoid", "HardSwish"};
        NODE(m, types[below(m, 5)], y);
    }
}

size_t transposed(maker *m, size_t x, bool last_two)
{
    const hd_shape *shape = shape_of(m, x);
    int64_t order[HD_MAX_RANK] = {0};
    uint32_t rank = shape->rank;
    for (uint32_t d = 0; d < rank; d++) {
        order[d] = d;
    }
    if (last_two && rank >= 2) {
        order[rank - 1] = rank - 2;
        order[rank - 2] = rank - 1;
    } else {
        for (uint32_t d = rank; d-- > 1;) {
            size_t other = below(m, d + 1);
            int64_t swapped = order[d];
            order[d] = order[other];
            order[other] = swapped;
        }
    }
    hd_attribute attribute = operation_ints("perm", order, rank);
    return rank == 0 ? ORACLE_NONE : node_with(m, "Transpose", &x, 1, &attribute, 1);
}

static void make_product(maker *m)
{
    size_t x = pick(m);
    const hd_shape *shape = shape_of(m, x);
    if (shape->rank < 2 || shape->dims[shape->rank - 1] > 64) {
        return;
    }
    size_t y = transposed(m, x, true);
    size_t z = both(m, "MatMul", below(m, 2) != 0 ? x : y, y);
    z = z == ORACLE_NONE ? both(m, "MatMul", x, y) : z;
    if (z != ORACLE_NONE) {
        both(m, "Mul", z, scalar(m, 0.1f));
    }
}

/* softmax(q k^T * scale + mask) v over heads made by Reshape and Transpose. */
static void make_attention(maker *m)
{
    size_t x = pick_of_rank(m, 3);
    if (x == ORACLE_NONE) {
        return;
    }
    int64_t b = shape_of(m, x)->dims[0], t = shape_of(m, x)->dims[1], c = shape_of(m, x)->dims[2];
    int64_t heads = between(m, 1, 3), width = between(m, 1, 5) * 2, kv = t;
    if (b * t * heads * width == 0) {
        return;
    }
    size_t parts[3];
    for (size_t i = 0; i < 3; i++) {
        size_t y =
            NODE(m, "MatMul", x, FLOATS(m, 0, 1.0f / (float)(c < 2 ? 1 : c / 2), c, heads * width));
        y = y == ORACLE_NONE || below(m, 4) == 0
                ? y
                : NODE(m, "Add", y, FLOATS(m, 0, 0.5f, heads * width));
        y = y == ORACLE_NONE ? y : NODE(m, "Reshape", y, INTS(m, b, -1, heads, width));
        hd_attribute order =
            i == 1 ? OPERATION_INTS("perm", 0, 2, 3, 1) : OPERATION_INTS("perm", 0, 2, 1, 3);
        parts[i] = y == ORACLE_NONE ? y : node_with(m, "Transpose", &y, 1, &order, 1);
    }
    size_t scores = both(m, "MatMul", parts[0], parts[1]);
    if (below(m, 3) != 0) {
        scores = both(m, below(m, 2) != 0 ? "Mul" : "Div", scores,
                      scalar(m, below(m, 2) != 0 ? 0.35f : 2.5f));
    }
    if (below(m, 2) != 0) {
        size_t mask =
            below(m, 2) != 0 ? FLOATS(m, -1, 1, b, 1, 1, kv) : FLOATS(m, -1, 1, 1, 1, t, kv);
        scores = both(m, "Add", scores, mask);
    }
    size_t weights = node_int(m, "Softmax", scores, "axis", below(m, 2) != 0 ? -1 : 3);
    size_t mixed = both(m, "MatMul", weights, parts[2]);
    if (mixed == ORACLE_NONE) {
        return;
    }
    hd_attribute back = OPERATION_INTS("perm", 0, 2, 1, 3);
    size_t y = node_with(m, "Transpose", &mixed, 1, &back, 1);
    y = y == ORACLE_NONE ? y : NODE(m, "Reshape", y, INTS(m, b, t, heads * width));
    if (y != ORACLE_NONE && below(m, 2) != 0) {
        y = NODE(m, "MatMul", y, FLOATS(m, 0, 0.2f, heads * width, c));
        both(m, "Add", y, x);
    }
}

/* Layer norm, as one operator or as exporters spell it out. */
static void make_layer_norm(maker *m)
{
    size_t x = pick(m);
    const hd_shape *shape = shape_of(m, x);
    if (shape->rank < 2 || shape->dims[shape->rank - 1] < 2) {
        return;
    }
    int64_t c = shape->dims[shape->rank - 1];
    if (below(m, 3) == 0) {
        size_t other = both(m, "Add", x, constant_beside(m, x, 0));
        x = other == ORACLE_NONE ? x : other;
    }
    if (below(m, 2) != 0) {
        size_t operands[] = {x, FLOATS(m, 1, 0.5f, c), FLOATS(m, 0, 0.5f, c)};
        hd_attribute attributes[] = {operation_int("axis", -1), operation_float("epsilon", 1e-3f)};
        node_with(m, "LayerNormalization", operands, 2 + below(m, 2), attributes, 2);
        return;
    }
    size_t axes = INTS(m, -1);
    size_t mean = NODE(m, "ReduceMean", x, axes);
    size_t centered = both(m, "Sub", x, mean);
    size_t squared = below(m, 2) != 0 ? both(m, "Mul", centered, centered)
                                      : both(m, "Pow", centered, scalar(m, 2));
    size_t variance = both(m, "ReduceMean", squared, axes);
    size_t root = both(m, "Add", variance, scalar(m, 1e-3f));
    root = root == ORACLE_NONE ? root : NODE(m, "Sqrt", root);
    size_t y = both(m, "Div", centered, root);
    y = both(m, "Mul", y, FLOATS(m, 1, 0.5f, c));
    if (below(m, 4) != 0) {
        both(m, "Add", y, FLOATS(m, 0, 0.5f, c));
    }
}

/* GELU by erf, SiLU and their like spelled out. */
static void make_gate(maker *m)
{
    size_t x = pick(m);
    switch (below(m, 3)) {
    case 0: {
        size_t y = both(m, "Div", x, scalar(m, 1.41421356f));
        y = y == ORACLE_NONE ? y : NODE(m, "Erf", y);
        y = both(m, "Add", y, scalar(m, 1));
        y = below(m, 2) != 0 ? both(m, "Mul", x, y) : both(m, "Mul", y, x);
        both(m, "Mul", y, scalar(m, 0.5f));
        return;
    }
    case 1: {
        size_t y = NODE(m, "Sigmoid", x);
        both(m, "Mul", below(m, 2) != 0 ? x : y, below(m, 2) != 0 ? y : x);
        return;
    }
    default: {
        size_t y = both(m, "Add", x, scalar(m, 3));
        y = y == ORACLE_NONE ? y : NODE(m, "Clip", y, scalar(m, 0), scalar(m, 6));
        y = both(m, "Mul", x, y);
        both(m, "Div", y, scalar(m, 6));
        return;
    }
    }
}

static void make_reshape(maker *m)
{
    size_t x = pick(m);
    const hd_shape *shape = shape_of(m, x);
    int64_t target[HD_MAX_RANK];
    uint32_t rank = shape->rank;
    memcpy(target, shape->dims, sizeof target);
    switch (below(m, 5)) {
    case 0: /* merge two */
        if (rank >= 2) {
            size_t at = below(m, rank - 1);
            target[at] *= target[at + 1];
            memmove(target + at + 1, target + at + 2, (rank - at - 2) * sizeof *target);
            NODE(m, "Reshape", x, ints(m, rank - 1, target));
        }
        break;
    case 1: /* split one */
        if (rank >= 1 && rank < 5) {
            size_t at = below(m, rank);
            int64_t part = target[at] % 3 == 0 ? 3 : target[at] % 2 == 0 ? 2 : 1;
            memmove(target + at + 1, target + at, (rank - at) * sizeof *target);
            target[at] = part;
            target[at + 1] /= part;
            NODE(m, "Reshape", x, ints(m, rank + 1, target));
        }
        break;
    case 2:
        NODE(m, "Unsqueeze", x, INTS(m, between(m, 0, rank)));
        break;
    case 3:
        node_int(m, "Flatten", x, "axis", between(m, 0, rank));
        break;
    default: /* through shape arithmetic */
        if (rank >= 2) {
            size_t whole = NODE(m, "Shape", x);
            hd_attribute axis = operation_int("axis", 0);
            size_t gather[] = {whole, INTS(m, 0)};
            size_t first = node_with(m, "Gather", gather, 2, &axis, 1);
            size_t concat[] = {first, INTS(m, -1)};
            size_t wanted = node_with(m, "Concat", concat, 2, &axis, 1);
            both(m, "Reshape", x, wanted);
        }
    }
}

static void make_slice(maker *m)
{
    size_t x = pick(m);
    const hd_shape *shape = shape_of(m, x);
    if (shape->rank == 0) {
        return;
    }
    int64_t axis = (int64_t)below(m, shape->rank), size = shape->dims[axis];
    if (size < 1) {
        return;
    }
    switch (below(m, 4)) {
    case 0: {
        int64_t begin = between(m, 0, size - 1), end = between(m, begin + 1, size);
        NODE(m, "Slice", x, INTS(m, begin), INTS(m, end), INTS(m, axis), INTS(m, between(m, 1, 2)));
        break;
    }
    case 1:
        NODE(m, "Slice", x, INTS(m, -1), INTS(m, INT64_MIN), INTS(m, axis), INTS(m, -1));
        break;
    case 2: {
        int64_t part = between(m, 0, size);
        size_t operands[] = {x, INTS(m, part, size - part)}, out[2];
        hd_attribute attribute = operation_int("axis", axis);
        oracle_node(m->oracle, "Split", operands, 2, &attribute, 1, out, 2);
        break;
    }
    default: {
        size_t operands[] = {x, INTS(m, between(m, 0, size - 1), between(m, -size, -1), 0)};
        hd_attribute attribute = operation_int("axis", axis);
        node_with(m, "Gather", operands, 2, &attribute, 1);
    }
    }
}

static void make_concat(maker *m)
{
    size_t x = pick(m);
    const hd_shape *shape = shape_of(m, x);
    if (shape->rank == 0) {
        return;
    }
    int64_t axis = (int64_t)below(m, shape->rank);
    size_t operands[4] = {x}, count = 1;
    for (size_t tries = 0; tries < 20 && count < 4; tries++) {
        size_t y = pick(m);
        hd_shape joined = *shape_of(m, y);
        joined.dims[axis] = shape->dims[axis];
        if (hd_shape_equal(&joined, shape)) {
            operands[count++] = y;
        }
    }
    if (count == 1 || below(m, 4) == 0) {
        operands[count < 4 ? count++ : 3] = floats_around(m, shape, 0, 1);
    }
    hd_attribute attribute = operation_int("axis", axis);
    node_with(m, "Concat", operands, count, &attribute, 1);
}

static void make_movement(maker *m)
{
    size_t x = pick(m);
    const hd_shape *shape = shape_of(m, x);
    switch (below(m, 5)) {
    case 0:
        if (shape->rank > 0 && hd_shape_count(shape) < 2000) {
            int64_t repeats[HD_MAX_RANK];
            for (uint32_t d = 0; d < shape->rank; d++) {
                repeats[d] = between(m, 1, 2);
            }
            NODE(m, "Tile", x, ints(m, shape->rank, repeats));
        }
        break;
    case 1:
        if (shape->rank > 0 && shape->rank < 5) {
            int64_t pads[2 * HD_MAX_RANK];
            for (uint32_t d = 0; d < 2 * shape->rank; d++) {
                pads[d] = between(m, 0, 1);
            }
            NODE(m, "Pad", x, ints(m, 2 * shape->rank, pads));
        }
        break;
    case 2:
        if (shape->rank > 0 && shape->rank < 5 && hd_shape_count(shape) < 4000) {
            int64_t target[HD_MAX_RANK + 1] = {between(m, 1, 3)};
            memcpy(target + 1, shape->dims, shape->rank * sizeof *target);
            NODE(m, "Expand", x, ints(m, shape->rank + 1, target));
        }
        break;
    default:
        transposed(m, x, false);
    }
}

static void make_reduction(maker *m)
{
    static const char *const types[] = {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin",
                                        "ReduceL1"};
    size_t x = pick(m);
    uint32_t rank = shape_of(m, x)->rank;
    if (rank == 0) {
        return;
    }
    int64_t axis = between(m, 0, rank - 1);
    switch (below(m, 4)) {
    case 0:
        node_int(m, below(m, 3) != 0 ? "Softmax" : "LogSoftmax", x, "axis", axis);
        break;
    default: {
        size_t operands[] = {x, below(m, 2) != 0 || rank == 1 ? INTS(m, axis)
                                                              : INTS(m, axis, (axis + 1) % rank)};
        hd_attribute keep = operation_int("keepdims", between(m, 0, 1));
        node_with(m, types[below(m, 5)], operands, 2, &keep, 1);
    }
    }
}

static void make_choice(maker *m)
{
    size_t x = pick(m), y = pick(m);
    const hd_shape *shape = shape_of(m, x);
    int64_t count = hd_shape_count(shape);
    unsigned char *mask = malloc((size_t)count + 1);
    assert_non_null(mask);
    for (int64_t i = 0; i < count; i++) {
        mask[i] = (unsigned char)below(m, 2);
    }
    size_t condition = oracle_constant(m->oracle, HD_BOOL, shape, mask);
    free(mask);
    if (NODE(m, "Where", condition, x, y) == ORACLE_NONE) {
        NODE(m, "Where", condition, x, constant_beside(m, x, 0));
    }
}

/* Shapes that are known only when the data is: the plan is cut here. Every element is taken. */
static void make_cut(maker *m)
{
    size_t x = pick(m);
    hd_shape shape = *shape_of(m, x);
    if (below(m, 2) == 0 || hd_shape_count(&shape) == 0) {
        return;
    }
    size_t size = NODE(m, "Abs", x);
    size_t flat = NODE(m, "Reshape", both(m, "Add", size, scalar(m, 1)), INTS(m, -1));
    size_t places = flat == ORACLE_NONE ? flat : NODE(m, "NonZero", flat);
    places = places == ORACLE_NONE ? places : NODE(m, "Reshape", places, INTS(m, -1));
    hd_attribute axis = operation_int("axis", 0);
    size_t operands[] = {NODE(m, "Reshape", x, INTS(m, -1)), places};
    size_t taken = places == ORACLE_NONE ? places : node_with(m, "Gather", operands, 2, &axis, 1);
    if (taken != ORACLE_NONE) {
        NODE(m, "Reshape", taken, ints(m, shape.rank, shape.dims));
    }
}

typedef void make_function(maker *m);

static void make_inputs(maker *m, random_graph_kind kind)
{
    static const int64_t channels[] = {1, 2, 3, 4, 8, 12, 16, 17};
    hd_shape shape = {.rank = 3, .dims = {between(m, 1, 3), between(m, 1, 12), between(m, 1, 40)}};
    if (kind == RANDOM_GRAPH_IMAGES) {
        shape = (hd_shape){
            .rank = 4,
            .dims = {between(m, 1, 3), channels[below(m, 8)], between(m, 1, 9), between(m, 1, 9)}};
    }
    bool unknown = below(m, 2) != 0;
    for (size_t count = 1 + below(m, 2); count-- > 0;) {
        float *data = make_floats(m, hd_shape_count(&shape));
        oracle_input(m->oracle, HD_FLOAT32, &shape, data, unknown);
        free(data);
    }
}

void random_graph_make(graph_oracle *oracle, uint64_t seed, random_graph_kind kind)
{
    static make_function *const images[] = {
        make_convolution, make_convolution, make_convolution, make_pool,    make_pool,
        make_unary,       make_unary,       make_binary,      make_binary,  make_clip,
        make_gate,        make_concat,      make_slice,       make_reshape, make_movement,
        make_linear,      make_reduction,   make_choice,      make_cut};
    static make_function *const sequences[] = {
        make_linear,  make_linear,   make_attention, make_layer_norm, make_layer_norm, make_gate,
        make_unary,   make_binary,   make_binary,    make_product,    make_concat,     make_slice,
        make_reshape, make_movement, make_reduction, make_choice,     make_clip,       make_cut};
    static make_function *const signals[] = {make_line_convolution,
                                             make_line_convolution,
                                             make_line_convolution,
                                             make_unary,
                                             make_binary,
                                             make_binary,
                                             make_clip,
                                             make_gate,
                                             make_concat,
                                             make_slice,
                                             make_reshape,
                                             make_movement,
                                             make_linear,
                                             make_layer_norm,
                                             make_reduction,
                                             make_choice,
                                             make_cut};
    maker m = {oracle, seed * 3 + (uint64_t)kind};
    make_inputs(&m, kind);
    size_t steps = 5 + below(&m, 16);
    for (size_t i = 0; i < steps && oracle->value_count + 40 < ORACLE_VALUE_LIMIT; i++) {
        if (kind == RANDOM_GRAPH_IMAGES) {
            images[below(&m, sizeof images / sizeof images[0])](&m);
        } else if (kind == RANDOM_GRAPH_SEQUENCES) {
            sequences[below(&m, sizeof sequences / sizeof sequences[0])](&m);
        } else {
            signals[below(&m, sizeof signals / sizeof signals[0])](&m);
        }
    }
}
