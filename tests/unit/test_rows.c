/* Rows: which graphs are proven to keep the entries of a batch apart, which are not, and that what is
 * proven is true: a stacked run has the bits of the runs of its rows.
 * Run with a seed and a number of graphs to check those random graphs again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/model.h"
#include "graph/rows.h"
#include "random_graph.h"

static hd_device *device;
static hd_error error;
static uint64_t first_seed = 1;
static unsigned long graph_count = 300;

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != HD_OK) {                                                                     \
            fail_msg("%s: %s", #call, error.message);                                              \
        }                                                                                          \
    } while (0)

/* A graph with one float input x [-1, 4, 6] and what is built on it. */
typedef struct builder {
    hd_graph *graph;
    hd_value x;
} builder;

static builder begin_with(uint32_t opset)
{
    static const int64_t dims[] = {-1, 4, 6};
    builder builder;
    assert_ok(hd_graph_create(opset, &builder.graph, &error));
    assert_ok(hd_graph_add_input(builder.graph, "x", HD_FLOAT32, 3, dims, &builder.x, &error));
    return builder;
}

static builder begin(void)
{
    return begin_with(0);
}

static hd_value node(const builder *builder, const char *type, hd_value a, hd_value b,
                     const hd_attribute *attributes, size_t count)
{
    hd_value inputs[] = {a, b}, output;
    size_t input_count = b == HD_VALUE_NONE ? 1 : 2;
    assert_ok(hd_graph_add_node(builder->graph, type, inputs, input_count, attributes, count, &output,
                                1, &error));
    return output;
}

static hd_value ints(const builder *builder, const int64_t *values, int64_t count)
{
    int64_t copy[8];
    memcpy(copy, values, (size_t)count * sizeof *copy);
    hd_tensor tensor = {.dtype = HD_INT64, .rank = 1, .dims = {count}, .data = copy,
                        .size = (size_t)count * sizeof *copy};
    hd_value value;
    assert_ok(hd_graph_add_constant(builder->graph, &tensor, &value, &error));
    return value;
}
#define INTS(builder, ...)                                                                         \
    ints((builder), (const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / 8)

static hd_value floats(const builder *builder, uint32_t rank, const int64_t *dims)
{
    float data[256];
    hd_tensor tensor = {.dtype = HD_FLOAT32, .rank = rank, .data = data, .size = 4};
    for (uint32_t i = 0; i < rank; i++) {
        tensor.dims[i] = dims[i];
        tensor.size *= (size_t)dims[i];
    }
    for (size_t i = 0; i < 256; i++) {
        data[i] = (float)(i % 17) * 0.25f - 1;
    }
    hd_value value;
    assert_ok(hd_graph_add_constant(builder->graph, &tensor, &value, &error));
    return value;
}
#define FLOATS(builder, ...)                                                                       \
    floats((builder), sizeof((const int64_t[]){__VA_ARGS__}) / 8, (const int64_t[]){__VA_ARGS__})

static hd_attribute int_attribute(const char *name, int64_t value)
{
    return (hd_attribute){.name = name, .kind = HD_ATTRIBUTE_INT, .i = value};
}
#define INTS_ATTRIBUTE(its_name, ...)                                                              \
    (hd_attribute){.name = (its_name), .kind = HD_ATTRIBUTE_INTS,                                  \
                   .ints = (const int64_t[]){__VA_ARGS__},                                         \
                   .count = sizeof((const int64_t[]){__VA_ARGS__}) / 8}

/* Output `index` of a node with up to four inputs and three outputs. */
static hd_value node_output(const builder *builder, const char *type, const hd_value *inputs,
                            size_t input_count, const hd_attribute *attributes, size_t count,
                            size_t index)
{
    hd_value outputs[3];
    assert_ok(hd_graph_add_node(builder->graph, type, inputs, input_count, attributes, count,
                                outputs, index + 1, &error));
    return outputs[index];
}
#define NODE(builder, type, attributes, count, index, ...)                                         \
    node_output((builder), (type), (const hd_value[]){__VA_ARGS__},                                \
                sizeof((const hd_value[]){__VA_ARGS__}) / sizeof(hd_value), (attributes), (count), \
                (index))

static hd_value reshaped(const builder *builder, hd_value value, const int64_t *dims, int64_t rank)
{
    return node(builder, "Reshape", value, ints(builder, dims, rank), NULL, 0);
}
#define RESHAPED(builder, value, ...)                                                              \
    reshaped((builder), (value), (const int64_t[]){__VA_ARGS__},                                   \
             sizeof((const int64_t[]){__VA_ARGS__}) / 8)

static hd_value transposed(const builder *builder, hd_value value) /* first two axes exchanged */
{
    hd_attribute turn = INTS_ATTRIBUTE("perm", 1, 0, 2);
    return node(builder, "Transpose", value, HD_VALUE_NONE, &turn, 1);
}

/* The largest places of x along its last axis, [B, 4, 1] or [B, 4]. */
static hd_value places(const builder *builder, int64_t keepdims)
{
    hd_attribute attributes[] = {int_attribute("axis", 2), int_attribute("keepdims", keepdims)};
    return node(builder, "ArgMax", builder->x, HD_VALUE_NONE, attributes, 2);
}

static void fill(float *values, size_t count)
{
    uint32_t state = 12345;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525 + 1013904223;
        values[i] = (float)(state >> 8) / (1 << 23) - 1;
    }
}

/* Runs three rows stacked and one by one. */
static void compare_runs(hd_model *model)
{
    enum { ROW = 4 * 6, ROWS = 3 };
    float data[ROWS * ROW];
    fill(data, ROWS * ROW);
    hd_tensor input = {.dtype = HD_FLOAT32, .rank = 3, .dims = {ROWS, 4, 6}, .data = data,
                       .size = sizeof data};
    hd_tensor stacked = {.data = NULL}, alone = {.data = NULL};
    assert_ok(hd_model_run(model, &input, 1, &stacked, 1, &error));
    for (size_t row = 0; row < ROWS; row++) {
        input.dims[0] = 1;
        input.data = data + row * ROW;
        assert_ok(hd_model_run(model, &input, 1, &alone, 1, &error));
        assert_int_equal(alone.size * ROWS, stacked.size);
        assert_memory_equal(alone.data, (char *)stacked.data + row * alone.size, alone.size);
        hd_tensor_release(&alone);
        alone = (hd_tensor){.data = NULL};
    }
    hd_tensor_release(&stacked);
}

/* Ends the graph with `result`; proven: the proof must succeed (then runs are compared), or fail. */
static void check(builder *builder, hd_value result, bool proven)
{
    hd_model *model;
    hd_shape row = {.rank = 3, .dims = {1, 4, 6}};
    bool wanted = true;
    assert_ok(hd_graph_add_output(builder->graph, "y", result, &error));
    assert_ok(hd_model_create(device, builder->graph, NULL, &model, &error));
    for (int64_t count = 2; count <= 3; count++) {
        hd_status status = hd_model_prove_rows(model, &row, &wanted, count, &error);
        if (proven) {
            assert_ok(status);
        } else {
            if (status != HD_UNSUPPORTED) {
                fail_msg("status %d: %s", (int)status, status == HD_OK ? "proven" : error.message);
            }
        }
    }
    if (proven) {
        compare_runs(model);
    }
    hd_model_destroy(&model);
    hd_graph_destroy(&builder->graph);
}

static void elementwise_operators_keep_rows(void **state)
{
    (void)state;
    builder b = begin();
    hd_value y = node(&b, "Add", b.x, FLOATS(&b, 6), NULL, 0);
    y = node(&b, "Mul", y, FLOATS(&b, 1, 4, 1), NULL, 0);
    check(&b, node(&b, "Sub", node(&b, "Tanh", y, HD_VALUE_NONE, NULL, 0), b.x, NULL, 0), true);
    b = begin(); /* rows meet columns */
    hd_attribute turn = INTS_ATTRIBUTE("perm", 1, 0, 2);
    hd_value sums = node(&b, "ReduceSum", b.x, INTS(&b, 1, 2), NULL, 0); /* [B, 1, 1] */
    hd_value turned = node(&b, "Transpose", sums, HD_VALUE_NONE, &turn, 1);
    check(&b, node(&b, "Add", turned, sums, NULL, 0), false); /* [1, B, 1] + [B, 1, 1] */
}

static void products_keep_rows_that_are_not_summed_over(void **state)
{
    (void)state;
    builder b = begin();
    check(&b, node(&b, "MatMul", b.x, FLOATS(&b, 6, 5), NULL, 0), true);
    b = begin();
    hd_attribute turn = INTS_ATTRIBUTE("perm", 0, 2, 1);
    check(&b, node(&b, "MatMul", b.x, node(&b, "Transpose", b.x, HD_VALUE_NONE, &turn, 1), NULL, 0),
          true);
    b = begin();
    turn = INTS_ATTRIBUTE("perm", 1, 2, 0); /* [4, 6, B] times [4, B, 6] */
    hd_attribute back = INTS_ATTRIBUTE("perm", 1, 0, 2);
    hd_value left = node(&b, "Transpose", b.x, HD_VALUE_NONE, &turn, 1);
    hd_value right = node(&b, "Transpose", b.x, HD_VALUE_NONE, &back, 1);
    hd_value product = node(&b, "MatMul", left, right, NULL, 0);
    check(&b, node(&b, "Add", b.x, node(&b, "ReduceSum", product, INTS(&b, 0, 1), NULL, 0), NULL, 0),
          false);
}

static void views_keep_rows_where_as_much_lies_before(void **state)
{
    (void)state;
    builder b = begin();
    hd_value flat = node(&b, "Reshape", b.x, INTS(&b, -1, 6), NULL, 0); /* [B * 4, 6] */
    flat = node(&b, "MatMul", flat, FLOATS(&b, 6, 2), NULL, 0);
    check(&b, node(&b, "Reshape", flat, INTS(&b, -1, 8), NULL, 0), true);
    b = begin();
    hd_attribute turn = INTS_ATTRIBUTE("perm", 1, 0, 2);
    hd_value turned = node(&b, "Transpose", b.x, HD_VALUE_NONE, &turn, 1); /* [4, B, 6] */
    check(&b, node(&b, "Reshape", turned, INTS(&b, -1, 4, 6), NULL, 0), false);
    b = begin();
    turned = node(&b, "Transpose", b.x, HD_VALUE_NONE, &turn, 1);
    turned = node(&b, "Relu", turned, HD_VALUE_NONE, NULL, 0);
    check(&b, node(&b, "Transpose", turned, HD_VALUE_NONE, &turn, 1), true);
    b = begin(); /* rows end in dimension 1 */
    check(&b, node(&b, "Transpose", b.x, HD_VALUE_NONE, &turn, 1), false);
}

static void reductions_keep_rows_on_other_axes(void **state)
{
    (void)state;
    hd_attribute kept = int_attribute("keepdims", 0), first = int_attribute("axis", 0);
    builder b = begin();
    check(&b, node(&b, "ReduceMean", b.x, INTS(&b, 1, -1), &kept, 1), true);
    b = begin();
    hd_value mean = node(&b, "ReduceMean", b.x, INTS(&b, 0), NULL, 0);
    check(&b, node(&b, "Sub", b.x, mean, NULL, 0), false);
    b = begin();
    check(&b, node(&b, "Softmax", b.x, HD_VALUE_NONE, NULL, 0), true);
    b = begin();
    check(&b, node(&b, "Softmax", b.x, HD_VALUE_NONE, &first, 1), false);
    b = begin();
    check(&b, node(&b, "LayerNormalization", b.x, FLOATS(&b, 6), NULL, 0), true);
    b = begin();
    check(&b, node(&b, "CumSum", b.x, INTS(&b, 1), NULL, 0), true);
    b = begin();
    check(&b, node(&b, "CumSum", b.x, INTS(&b, 0), NULL, 0), false);
}

static void values_that_tell_the_number_of_rows_are_found(void **state)
{
    (void)state;
    hd_attribute to_float = int_attribute("to", HD_FLOAT32);
    builder b = begin(); /* x / B */
    hd_value shape = node(&b, "Shape", b.x, HD_VALUE_NONE, NULL, 0);
    hd_value rows = node(&b, "Gather", shape, INTS(&b, 0), NULL, 0);
    check(&b, node(&b, "Div", b.x, node(&b, "Cast", rows, HD_VALUE_NONE, &to_float, 1), NULL, 0), false);
    b = begin(); /* x + its row's number */
    shape = node(&b, "Shape", b.x, HD_VALUE_NONE, NULL, 0);
    rows = node(&b, "Reshape", node(&b, "Gather", shape, INTS(&b, 0), NULL, 0),
                ints(&b, (const int64_t[]){0}, 0), NULL, 0);
    int64_t bounds[] = {0, 1};
    hd_value limits[3], numbers;
    hd_tensor scalar = {.dtype = HD_INT64, .data = &bounds[0], .size = 8};
    assert_ok(hd_graph_add_constant(b.graph, &scalar, &limits[0], &error));
    scalar.data = &bounds[1];
    assert_ok(hd_graph_add_constant(b.graph, &scalar, &limits[2], &error));
    limits[1] = rows;
    assert_ok(hd_graph_add_node(b.graph, "Range", limits, 3, NULL, 0, &numbers, 1, &error));
    numbers = node(&b, "Cast", numbers, HD_VALUE_NONE, &to_float, 1);
    check(&b, node(&b, "Add", b.x, node(&b, "Reshape", numbers, INTS(&b, -1, 1, 1), NULL, 0), NULL, 0),
          false);
    b = begin(); /* a target shape that names the rows says nothing of the elements */
    shape = node(&b, "Shape", b.x, HD_VALUE_NONE, NULL, 0);
    rows = node(&b, "Gather", shape, INTS(&b, 0), NULL, 0);
    hd_attribute along = int_attribute("axis", 0);
    hd_value target = node(&b, "Concat", rows, INTS(&b, 24), &along, 1);
    check(&b, node(&b, "Reshape", b.x, target, NULL, 0), true);
}

static void slices_and_joins_leave_rows_in_place(void **state)
{
    (void)state;
    hd_attribute one = int_attribute("axis", 1), zero = int_attribute("axis", 0);
    builder b = begin();
    check(&b, node(&b, "Concat", b.x, b.x, &one, 1), true);
    b = begin();
    check(&b, node(&b, "Concat", b.x, b.x, &zero, 1), false);
    for (int reversed = 0; reversed < 2; reversed++) {
        b = begin();
        hd_value inputs[] = {b.x, INTS(&b, reversed ? -1 : 0), INTS(&b, reversed ? INT64_MIN : INT64_MAX),
                             INTS(&b, 0), INTS(&b, reversed ? -1 : 1)};
        hd_value y;
        assert_ok(hd_graph_add_node(b.graph, "Slice", inputs, 5, NULL, 0, &y, 1, &error));
        check(&b, node(&b, "Relu", y, HD_VALUE_NONE, NULL, 0), !reversed);
    }
    b = begin();
    check(&b, node(&b, "Gather", b.x, INTS(&b, 2, 0), &one, 1), true);
    b = begin();
    check(&b, node(&b, "Gather", b.x, INTS(&b, 0, 0), &zero, 1), false);
    b = begin();
    check(&b, node(&b, "Tile", b.x, INTS(&b, 1, 2, 1), NULL, 0), true);
    b = begin();
    check(&b, node(&b, "Tile", b.x, INTS(&b, 2, 1, 1), NULL, 0), false);
}

static void matrices_take_rows_at_the_left(void **state)
{
    (void)state;
    hd_attribute other = int_attribute("transB", 1);
    builder b = begin();
    hd_value flat = RESHAPED(&b, b.x, -1, 24);
    check(&b, NODE(&b, "Gemm", NULL, 0, 0, flat, FLOATS(&b, 24, 5), FLOATS(&b, 5)), true);
    b = begin();
    flat = RESHAPED(&b, b.x, -1, 24);
    hd_value sums = node(&b, "ReduceSum", flat, INTS(&b, 1), NULL, 0);
    check(&b, NODE(&b, "Gemm", NULL, 0, 0, flat, FLOATS(&b, 24, 5), sums), true);
    b = begin(); /* every row times every row */
    flat = RESHAPED(&b, b.x, -1, 24);
    check(&b, NODE(&b, "Gemm", &other, 1, 0, flat, flat), false);
    b = begin();
    flat = RESHAPED(&b, b.x, -1, 24);
    check(&b, NODE(&b, "Gemm", &other, 1, 0, FLOATS(&b, 3, 24), flat), false);
    b = begin(); /* weights times the number of rows */
    flat = RESHAPED(&b, b.x, -1, 24);
    hd_attribute to_float = int_attribute("to", HD_FLOAT32);
    hd_value shape = node(&b, "Shape", b.x, HD_VALUE_NONE, NULL, 0);
    hd_value rows = node(&b, "Gather", shape, INTS(&b, 0), NULL, 0);
    rows = node(&b, "Cast", rows, HD_VALUE_NONE, &to_float, 1);
    hd_value weights = node(&b, "Mul", FLOATS(&b, 24, 5), rows, NULL, 0);
    check(&b, NODE(&b, "Gemm", NULL, 0, 0, flat, weights), false);
}

static void views_end_with_rows_in_dimension_0(void **state)
{
    (void)state;
    for (int64_t axis = 0; axis < 3; axis++) {
        hd_attribute from = int_attribute("axis", axis);
        builder b = begin();
        hd_value flat = node(&b, "Flatten", b.x, HD_VALUE_NONE, &from, 1);
        check(&b, node(&b, "Relu", flat, HD_VALUE_NONE, NULL, 0), axis != 0);
        b = begin();
        hd_value more = node(&b, "Unsqueeze", b.x, INTS(&b, axis), NULL, 0);
        more = node(&b, "Relu", more, HD_VALUE_NONE, NULL, 0);
        check(&b, axis == 1 ? node(&b, "Squeeze", more, INTS(&b, 1), NULL, 0) : more, axis != 0);
    }
}

static void norms_and_searches_keep_rows_on_other_axes(void **state)
{
    (void)state;
    for (int64_t axis = 0; axis < 3; axis++) {
        static const char *const types[] = {"LogSoftmax", "Hardmax", "LpNormalization"};
        hd_attribute along = int_attribute("axis", axis);
        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
            builder b = begin();
            check(&b, node(&b, types[i], b.x, HD_VALUE_NONE, &along, 1), axis != 0);
        }
        builder b = begin_with(11); /* all axes from this one on are one */
        check(&b, node(&b, "Softmax", b.x, HD_VALUE_NONE, &along, 1), axis != 0);
        b = begin();
        hd_value first = node(&b, "ArgMin", b.x, HD_VALUE_NONE, &along, 1);
        check(&b, first, axis != 0);
        b = begin();
        check(&b, NODE(&b, "TopK", &along, 1, 1, b.x, INTS(&b, 1)), axis != 0);
    }
    builder b = begin_with(11); /* rows in dimension 1 are among those from 0 on */
    hd_attribute from = int_attribute("axis", 0);
    check(&b, transposed(&b, node(&b, "Softmax", transposed(&b, b.x), HD_VALUE_NONE, &from, 1)),
          false);
    b = begin(); /* sorts the rows */
    hd_attribute zero = int_attribute("axis", 0);
    hd_value shape = node(&b, "Shape", b.x, HD_VALUE_NONE, NULL, 0);
    hd_value rows = node(&b, "Gather", shape, INTS(&b, 0), NULL, 0);
    check(&b, NODE(&b, "TopK", &zero, 1, 0, b.x, rows), false);
    b = begin();
    check(&b, node(&b, "Trilu", b.x, HD_VALUE_NONE, NULL, 0), true);
    b = begin();
    check(&b, node(&b, "Trilu", RESHAPED(&b, b.x, -1, 24), HD_VALUE_NONE, NULL, 0), false);
}

static void images_keep_rows_in_dimension_0(void **state)
{
    (void)state;
    hd_attribute kernel = INTS_ATTRIBUTE("kernel_shape", 3),
                 group = int_attribute("training_mode", 1);
    hd_attribute pads = INTS_ATTRIBUTE("pads", 1, 1), block = int_attribute("blocksize", 2);
    hd_attribute size = int_attribute("size", 3);
    builder b = begin();
    check(&b, NODE(&b, "Conv", &pads, 1, 0, b.x, FLOATS(&b, 5, 4, 3), FLOATS(&b, 5)), true);
    b = begin(); /* rows lie along the image */
    hd_value line = NODE(&b, "Conv", &pads, 1, 0, RESHAPED(&b, b.x, 1, 1, -1), FLOATS(&b, 1, 1, 3));
    check(&b, RESHAPED(&b, line, -1, 24), false);
    b = begin();
    check(&b, NODE(&b, "ConvTranspose", NULL, 0, 0, b.x, FLOATS(&b, 4, 5, 2)), true);
    b = begin();
    check(&b, NODE(&b, "MaxPool", &kernel, 1, 0, b.x), true);
    b = begin(); /* its indices count through the batch */
    check(&b, NODE(&b, "MaxPool", &kernel, 1, 1, b.x), false);
    b = begin();
    check(&b, NODE(&b, "AveragePool", &kernel, 1, 0, b.x), true);
    b = begin();
    check(&b, NODE(&b, "GlobalAveragePool", NULL, 0, 0, b.x), true);
    b = begin();
    check(&b, NODE(&b, "InstanceNormalization", NULL, 0, 0, b.x, FLOATS(&b, 4), FLOATS(&b, 4)),
          true);
    for (size_t training = 0; training < 2; training++) {
        b = begin();
        hd_value variance = node(&b, "Abs", FLOATS(&b, 4), HD_VALUE_NONE, NULL, 0);
        hd_value inputs[] = {b.x, FLOATS(&b, 4), FLOATS(&b, 4), FLOATS(&b, 4), variance};
        check(&b, node_output(&b, "BatchNormalization", inputs, 5, &group, training, 0),
              training == 0);
    }
    b = begin();
    hd_value image = RESHAPED(&b, b.x, -1, 4, 2, 3);
    check(&b, NODE(&b, "DepthToSpace", &block, 1, 0, image), true);
    b = begin();
    check(&b, NODE(&b, "LRN", &size, 1, 0, RESHAPED(&b, b.x, -1, 4, 2, 3)), true);
    b = begin();
    hd_attribute first = int_attribute("axis", 1);
    hd_value flat = RESHAPED(&b, b.x, -1, 24);
    hd_value grid = NODE(&b, "Gather", &first, 1, 0, flat, INTS(&b, 0, 5, 9, 3, 4, 1, 2, 8));
    check(&b,
          NODE(&b, "GridSample", NULL, 0, 0, RESHAPED(&b, b.x, -1, 4, 2, 3),
               RESHAPED(&b, grid, -1, 2, 2, 2)),
          true);
}

static void resizing_leaves_rows_alone_or_mixes_them(void **state)
{
    (void)state;
    hd_attribute linear = {.name = "mode", .kind = HD_ATTRIBUTE_STRING, .s = "linear"};
    for (int blends = 0; blends < 2; blends++) { /* 1.2 leaves two and three rows as many */
        float scales[] = {blends ? 1.2f : 1, 1, 2};
        hd_tensor tensor = {
            .dtype = HD_FLOAT32, .rank = 1, .dims = {3}, .data = scales, .size = sizeof scales};
        hd_value constant;
        builder b = begin();
        assert_ok(hd_graph_add_constant(b.graph, &tensor, &constant, &error));
        check(&b, NODE(&b, "Resize", &linear, 1, 0, b.x, HD_VALUE_NONE, constant), !blends);
    }
    builder b = begin(); /* sizes that name the number of rows */
    hd_attribute zero = int_attribute("axis", 0);
    hd_value shape = node(&b, "Shape", b.x, HD_VALUE_NONE, NULL, 0);
    hd_value rows = node(&b, "Gather", shape, INTS(&b, 0), NULL, 0);
    hd_value sizes = node(&b, "Concat", rows, INTS(&b, 4, 9), &zero, 1);
    check(&b, NODE(&b, "Resize", &linear, 1, 0, b.x, HD_VALUE_NONE, HD_VALUE_NONE, sizes), true);
}

static void gathering_stays_in_the_row(void **state)
{
    (void)state;
    hd_attribute last = int_attribute("axis", 2), one = int_attribute("axis", 1);
    builder b = begin();
    check(&b, node(&b, "Gather", FLOATS(&b, 6, 3), places(&b, 0), NULL, 0), true);
    b = begin();
    check(&b, node(&b, "GatherElements", b.x, places(&b, 1), &last, 1), true);
    b = begin();
    hd_value indices = RESHAPED(&b, places(&b, 1), -1, 1);
    check(&b, node(&b, "GatherElements", RESHAPED(&b, b.x, -1, 6), indices, &one, 1), true);
    b = begin(); /* two indices a row beside the four lines of its data */
    indices = node(&b, "Gather", places(&b, 0), INTS(&b, 1, 3), &one, 1); /* [B, 2] */
    check(
        &b,
        node(&b, "GatherElements", RESHAPED(&b, b.x, -1, 6), RESHAPED(&b, indices, -1, 1), &one, 1),
        false);
    b = begin();
    hd_value values = FLOATS(&b, 2);
    check(&b, NODE(&b, "OneHot", NULL, 0, 0, places(&b, 0), INTS(&b, 6), values), true);
}

static void moves_leave_rows_in_place(void **state)
{
    (void)state;
    hd_attribute parts[] = {int_attribute("axis", 2), int_attribute("num_outputs", 2)};
    builder b = begin();
    check(&b, NODE(&b, "Split", parts, 2, 1, b.x), true);
    b = begin();
    check(&b, NODE(&b, "Pad", NULL, 0, 0, b.x, INTS(&b, 0, 0, 1, 0, 0, 2)), true);
    b = begin(); /* each row takes the place of the next */
    check(&b, NODE(&b, "Pad", NULL, 0, 0, b.x, INTS(&b, 1, 0, 0, -1, 0, 0)), false);
    b = begin_with(10);
    hd_attribute pads = INTS_ATTRIBUTE("pads", 1, 0, 0, -1, 0, 0);
    check(&b, NODE(&b, "Pad", &pads, 1, 0, b.x), false);
    b = begin();
    hd_attribute back = INTS_ATTRIBUTE("perm", 1, 0, 2, 3);
    hd_value wide = NODE(&b, "Expand", NULL, 0, 0, b.x, INTS(&b, 2, 1, 4, 6));
    check(&b, node(&b, "Transpose", wide, HD_VALUE_NONE, &back, 1), true);
    b = begin();
    wide = NODE(&b, "Expand", NULL, 0, 0, b.x, INTS(&b, 2, 1, 4, 6)); /* all rows, and all again */
    check(&b, RESHAPED(&b, wide, -1, 2, 4, 6), false);
    b = begin();
    hd_value chosen = node(&b, "Greater", b.x, FLOATS(&b, 6), NULL, 0);
    check(&b, NODE(&b, "Where", NULL, 0, 0, chosen, b.x, FLOATS(&b, 4, 1)), true);
    b = begin(); /* no rule */
    hd_attribute product = {.name = "equation", .kind = HD_ATTRIBUTE_STRING, .s = "bij->bji"};
    check(&b, NODE(&b, "Einsum", &product, 1, 0, b.x), false);
}

static void recurrent_layers_keep_the_batch_apart_and_not_time(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        int64_t gates;
    } cells[] = {{"LSTM", 4}, {"GRU", 3}, {"RNN", 1}};
    hd_attribute size = int_attribute("hidden_size", 2);
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        for (size_t last = 0; last < 2; last++) {
            builder b = begin();
            hd_value y =
                NODE(&b, cells[i].type, &size, 1, last, transposed(&b, b.x),
                     FLOATS(&b, 1, 2 * cells[i].gates, 6), FLOATS(&b, 1, 2 * cells[i].gates, 2));
            hd_attribute back = INTS_ATTRIBUTE("perm", 2, 0, 1, 3);
            check(&b, last ? transposed(&b, y) : node(&b, "Transpose", y, HD_VALUE_NONE, &back, 1),
                  true);
        }
        builder b = begin(); /* a row after the other in time */
        check(&b,
              NODE(&b, cells[i].type, &size, 1, 0, b.x, FLOATS(&b, 1, 2 * cells[i].gates, 6),
                   FLOATS(&b, 1, 2 * cells[i].gates, 2)),
              false);
    }
}

/* A random graph's output, for three rows made from the graph's own inputs. */
typedef struct random_case {
    const graph_oracle *oracle;
    hd_model *model;
    hd_tensor inputs[ORACLE_INPUT_LIMIT];
    size_t row_sizes[ORACLE_INPUT_LIMIT];
} random_case;

enum { CASE_ROWS = 3 };

/* False: the inputs have no common dimension of rows. */
static bool stack_inputs(random_case *random)
{
    const graph_oracle *oracle = random->oracle;
    for (size_t i = 0; i < oracle->input_count; i++) {
        const oracle_value *value = &oracle->values[oracle->inputs[i]];
        if (value->shape.rank == 0 || value->shape.dims[0] == 0) {
            return false;
        }
        size_t count = (size_t)hd_shape_count_range(&value->shape, 1, value->shape.rank);
        size_t size = count * hd_dtype_size(value->dtype);
        char *data = malloc(size * CASE_ROWS + 1);
        for (size_t row = 0; row < CASE_ROWS; row++) {
            size_t from = row % (size_t)value->shape.dims[0];
            memcpy(data + row * size, (const char *)value->data + from * size, size);
            for (size_t e = 0; value->dtype == HD_FLOAT32 && e < count; e++) {
                float *element = (float *)(data + row * size) + e;
                *element = *element * (1.0f + 0.125f * (float)row);
            }
        }
        random->row_sizes[i] = size;
        random->inputs[i] = (hd_tensor){.dtype = value->dtype, .rank = value->shape.rank, .data = data};
        memcpy(random->inputs[i].dims, value->shape.dims, sizeof value->shape.dims);
    }
    return true;
}

static bool compare_case(random_case *random, uint64_t seed)
{
    size_t inputs = random->oracle->input_count;
    hd_tensor given[ORACLE_INPUT_LIMIT], stacked = {.data = NULL}, alone = {.data = NULL};
    for (size_t i = 0; i < inputs; i++) {
        given[i] = random->inputs[i];
        given[i].dims[0] = CASE_ROWS;
        given[i].size = random->row_sizes[i] * CASE_ROWS;
    }
    if (hd_model_run(random->model, given, inputs, &stacked, 1, &error) != HD_OK) {
        return false; /* an index that is out of range for these rows, for instance */
    }
    for (size_t row = 0; row < CASE_ROWS; row++) {
        for (size_t i = 0; i < inputs; i++) {
            given[i].dims[0] = 1;
            given[i].size = random->row_sizes[i];
            given[i].data = (char *)random->inputs[i].data + row * random->row_sizes[i];
        }
        assert_ok(hd_model_run(random->model, given, inputs, &alone, 1, &error));
        if (alone.size * CASE_ROWS != stacked.size ||
            memcmp(alone.data, (char *)stacked.data + row * alone.size, alone.size) != 0) {
            fail_msg("seed %llu: row %zu differs\n%s", (unsigned long long)seed, row,
                     random->oracle->trace);
        }
        hd_tensor_release(&alone);
        alone = (hd_tensor){.data = NULL};
    }
    hd_tensor_release(&stacked);
    return true;
}

/* How many outputs of the graph were proven and compared. */
static size_t check_graph(uint64_t seed, random_graph_kind kind)
{
    static graph_oracle oracle;
    size_t proven = 0;
    oracle_create(&oracle);
    random_graph_make(&oracle, seed, kind);
    random_case random = {.oracle = &oracle};
    bool stacks = stack_inputs(&random);
    for (size_t v = 0; v < oracle.value_count && stacks; v++) {
        hd_shape rows[ORACLE_INPUT_LIMIT];
        bool wanted = true;
        if (oracle.values[v].constant || oracle.values[v].readers != 0) {
            continue;
        }
        for (size_t i = 0; i < oracle.input_count; i++) {
            rows[i] = oracle.values[oracle.inputs[i]].shape;
            rows[i].dims[0] = 1;
        }
        assert_ok(hd_graph_add_output(oracle.graph, "y", oracle.values[v].value, &error));
        assert_ok(hd_model_create(device, oracle.graph, NULL, &random.model, &error));
        if (hd_model_prove_rows(random.model, rows, &wanted, CASE_ROWS, &error) == HD_OK) {
            proven += compare_case(&random, seed);
        }
        hd_model_destroy(&random.model);
        break; /* a graph's outputs cannot be taken back: one a graph */
    }
    for (size_t i = 0; i < oracle.input_count; i++) {
        free(random.inputs[i].data);
    }
    oracle_destroy(&oracle);
    return proven;
}

static void what_is_proven_of_random_graphs_is_true(void **state)
{
    (void)state;
    size_t proven = 0;
    for (unsigned long i = 0; i < graph_count; i++) {
        proven += check_graph(first_seed + i, RANDOM_GRAPH_SEQUENCES);
        proven += check_graph(first_seed + i, RANDOM_GRAPH_IMAGES);
    }
    print_message("%zu of %lu graphs were proven\n", proven, 2 * graph_count);
    assert_true(graph_count < 100 || proven >= graph_count / 10);
}

static void minilm_keeps_rows(void **state)
{
    (void)state;
    const char *path = getenv("HEDDLE_MINILM");
    if (path == NULL) {
        print_message("SKIPPED: HEDDLE_MINILM=$(tools/fetch-model) names the model\n");
        return;
    }
    hd_model *model;
    assert_ok(hd_model_load(device, path, NULL, &model, &error));
    size_t inputs = hd_model_input_count(model), outputs = hd_model_output_count(model);
    hd_shape rows[8];
    bool wanted[8] = {false};
    assert_true(inputs <= 8 && outputs <= 8);
    for (size_t o = 0; o < outputs; o++) {
        wanted[o] = true;
    }
    for (int64_t tokens = 1; tokens <= 64; tokens *= 4) {
        for (size_t i = 0; i < inputs; i++) {
            rows[i] = (hd_shape){.rank = 2, .dims = {1, tokens}};
        }
        assert_ok(hd_model_prove_rows(model, rows, wanted, 2, &error));
        assert_ok(hd_model_prove_rows(model, rows, wanted, 8, &error));
    }
    hd_model_destroy(&model);
}

enum { LONG_ROWS = 8, LONG_TOKENS = 512, LONG_WIDTH = 1024 };

/* y = softmax(x · w) over the given axis, over x [-1, 512, 1024]: over 40 ms for eight rows on a core. */
static hd_model *make_long_model(hd_device *on, int64_t axis)
{
    static const int64_t dims[] = {-1, LONG_TOKENS, LONG_WIDTH};
    size_t count = (size_t)LONG_WIDTH * LONG_WIDTH;
    float *weights = malloc(count * sizeof *weights);
    fill(weights, count);
    hd_tensor tensor = {.dtype = HD_FLOAT32, .rank = 2, .dims = {LONG_WIDTH, LONG_WIDTH},
                        .data = weights, .size = count * sizeof *weights};
    hd_attribute attribute = int_attribute("axis", axis);
    hd_graph *graph;
    hd_value values[2], product, y;
    hd_model *model;
    assert_ok(hd_graph_create(0, &graph, &error));
    assert_ok(hd_graph_add_input(graph, "x", HD_FLOAT32, 3, dims, &values[0], &error));
    assert_ok(hd_graph_add_constant(graph, &tensor, &values[1], &error));
    assert_ok(hd_graph_add_node(graph, "MatMul", values, 2, NULL, 0, &product, 1, &error));
    assert_ok(hd_graph_add_node(graph, "Softmax", &product, 1, &attribute, 1, &y, 1, &error));
    assert_ok(hd_graph_add_output(graph, "y", y, &error));
    assert_ok(hd_model_create(on, graph, NULL, &model, &error));
    hd_graph_destroy(&graph);
    free(weights);
    return model;
}

/* A device of one thread is crowded by one caller, so the second run, known to be long, may be split. */
static void check_split(int64_t axis, size_t plans, bool allocates, bool steered)
{
    hd_device_options options = {.struct_size = sizeof options, .thread_count = 1};
    hd_device *single;
    assert_ok(hd_device_open("cpu", &options, &single, &error));
    hd_model *model = make_long_model(single, axis);
    size_t size = (size_t)LONG_ROWS * LONG_TOKENS * LONG_WIDTH * sizeof(float);
    float *x = malloc(size), *memory = malloc(size);
    fill(x, size / sizeof *x);
    hd_tensor input = {.dtype = HD_FLOAT32, .rank = 3, .dims = {LONG_ROWS, LONG_TOKENS, LONG_WIDTH},
                       .data = x, .size = size};
    hd_tensor first = {.data = NULL}, second = {.data = allocates ? NULL : memory, .size = size};
    assert_ok(hd_model_run(model, &input, 1, &first, 1, &error));
    assert_int_equal(hd_plan_cache_count(model->plans), 1);
    if (steered) { /* as by a run of other shapes */
        atomic_fetch_or_explicit(&model->steering, 1, memory_order_relaxed);
    }
    assert_ok(hd_model_run(model, &input, 1, &second, 1, &error));
    assert_int_equal(hd_plan_cache_count(model->plans), plans);
    assert_int_equal(second.size, size);
    assert_int_equal(second.dims[0], LONG_ROWS);
    assert_memory_equal(first.data, second.data, size);
    second.size = size - 4; /* too small, also row by row */
    if (!allocates) {
        assert_int_equal(hd_model_run(model, &input, 1, &second, 1, &error), HD_INVALID_ARGUMENT);
    }
    hd_tensor_release(&first);
    if (allocates) {
        hd_tensor_release(&second);
    }
    free(x);
    free(memory);
    hd_model_destroy(&model);
    hd_device_destroy(&single);
}

static void a_long_batch_runs_row_by_row_with_equal_bits(void **state)
{
    (void)state;
    check_split(-1, 2, false, false);
    check_split(-1, 2, true, false);
    check_split(0, 1, false, false); /* its rows depend on one another */
    check_split(-1, 3, false, true); /* no row is planned with the values of the first */
}

static int open_device(void **state)
{
    (void)state;
    return hd_device_open("cpu", NULL, &device, NULL) == HD_OK ? 0 : -1;
}

static int close_device(void **state)
{
    (void)state;
    hd_device_destroy(&device);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        first_seed = strtoull(argv[1], NULL, 10);
        graph_count = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elementwise_operators_keep_rows),
        cmocka_unit_test(products_keep_rows_that_are_not_summed_over),
        cmocka_unit_test(views_keep_rows_where_as_much_lies_before),
        cmocka_unit_test(reductions_keep_rows_on_other_axes),
        cmocka_unit_test(values_that_tell_the_number_of_rows_are_found),
        cmocka_unit_test(slices_and_joins_leave_rows_in_place),
        cmocka_unit_test(matrices_take_rows_at_the_left),
        cmocka_unit_test(views_end_with_rows_in_dimension_0),
        cmocka_unit_test(norms_and_searches_keep_rows_on_other_axes),
        cmocka_unit_test(images_keep_rows_in_dimension_0),
        cmocka_unit_test(resizing_leaves_rows_alone_or_mixes_them),
        cmocka_unit_test(gathering_stays_in_the_row),
        cmocka_unit_test(moves_leave_rows_in_place),
        cmocka_unit_test(recurrent_layers_keep_the_batch_apart_and_not_time),
        cmocka_unit_test(what_is_proven_of_random_graphs_is_true),
        cmocka_unit_test(minilm_keeps_rows),
        cmocka_unit_test(a_long_batch_runs_row_by_row_with_equal_bits),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
