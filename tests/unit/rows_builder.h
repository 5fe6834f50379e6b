/* Graphs of one input whose rows are to be proven, and the runs that a proof is held to. */
#ifndef HD_TEST_ROWS_BUILDER_H
#define HD_TEST_ROWS_BUILDER_H

#include <stdlib.h>
#include <string.h>

#include "graph/rows.h"
#include "rows_fixture.h"

/* A graph with one float input x [-1, 4, 6] and what is built on it. */
typedef struct builder {
    hd_graph *graph;
    hd_value x;
} builder;

static inline builder begin_with(uint32_t opset)
{
    static const int64_t dims[] = {-1, 4, 6};
    builder builder;
    assert_ok(hd_graph_create(opset, &builder.graph, &error));
    assert_ok(hd_graph_add_input(builder.graph, "x", HD_FLOAT32, 3, dims, &builder.x, &error));
    return builder;
}

static inline builder begin(void)
{
    return begin_with(0);
}

static inline hd_value node(const builder *builder, const char *type, hd_value a, hd_value b,
                            const hd_attribute *attributes, size_t count)
{
    hd_value inputs[] = {a, b}, output;
    size_t input_count = b == HD_VALUE_NONE ? 1 : 2;
    assert_ok(hd_graph_add_node(builder->graph, type, inputs, input_count, attributes, count,
                                &output, 1, &error));
    return output;
}

static inline hd_value ints(const builder *builder, const int64_t *values, int64_t count)
{
    int64_t copy[8];
    memcpy(copy, values, (size_t)count * sizeof *copy);
    hd_tensor tensor = {.dtype = HD_INT64,
                        .rank = 1,
                        .dims = {count},
                        .data = copy,
                        .size = (size_t)count * sizeof *copy};
    hd_value value;
    assert_ok(hd_graph_add_constant(builder->graph, &tensor, &value, &error));
    return value;
}
#define INTS(builder, ...)                                                                         \
    ints((builder), (const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / 8)

static inline hd_value floats(const builder *builder, uint32_t rank, const int64_t *dims)
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

static inline hd_attribute int_attribute(const char *name, int64_t value)
{
    return (hd_attribute){.name = name, .kind = HD_ATTRIBUTE_INT, .i = value};
}
#define INTS_ATTRIBUTE(its_name, ...)                                                              \
    (hd_attribute){.name = (its_name),                                                             \
                   .kind = HD_ATTRIBUTE_INTS,                                                      \
                   .ints = (const int64_t[]){__VA_ARGS__},                                         \
                   .count = sizeof((const int64_t[]){__VA_ARGS__}) / 8}

/* Output `index` of a node with up to four inputs and three outputs. */
static inline hd_value node_output(const builder *builder, const char *type, const hd_value *inputs,
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

static inline hd_value reshaped(const builder *builder, hd_value value, const int64_t *dims,
                                int64_t rank)
{
    return node(builder, "Reshape", value, ints(builder, dims, rank), NULL, 0);
}
#define RESHAPED(builder, value, ...)                                                              \
    reshaped((builder), (value), (const int64_t[]){__VA_ARGS__},                                   \
             sizeof((const int64_t[]){__VA_ARGS__}) / 8)

/* first two axes exchanged */
static inline hd_value transposed(const builder *builder, hd_value value)
{
    hd_attribute turn = INTS_ATTRIBUTE("perm", 1, 0, 2);
    return node(builder, "Transpose", value, HD_VALUE_NONE, &turn, 1);
}

/* The largest places of x along its last axis, [B, 4, 1] or [B, 4]. */
static inline hd_value places(const builder *builder, int64_t keepdims)
{
    hd_attribute attributes[] = {int_attribute("axis", 2), int_attribute("keepdims", keepdims)};
    return node(builder, "ArgMax", builder->x, HD_VALUE_NONE, attributes, 2);
}

/* Runs three rows stacked and one by one. */
static inline void compare_runs(hd_model *model)
{
    enum { ROW = 4 * 6, ROWS = 3 };
    float data[ROWS * ROW];
    fill(data, ROWS * ROW);
    hd_tensor input = {
        .dtype = HD_FLOAT32, .rank = 3, .dims = {ROWS, 4, 6}, .data = data, .size = sizeof data};
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

/* Ends the graph with `result`; proven: the proof must succeed for `least` to three rows (then runs
 * are compared), or fail. */
static inline void check_from(builder *builder, hd_value result, bool proven, int64_t least)
{
    hd_model *model;
    hd_shape row = {.rank = 3, .dims = {1, 4, 6}};
    bool wanted = true;
    assert_ok(hd_graph_add_output(builder->graph, "y", result, &error));
    assert_ok(hd_model_create(device, builder->graph, NULL, &model, &error));
    for (int64_t count = least; count <= 3; count++) {
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

static inline void check(builder *builder, hd_value result, bool proven)
{
    check_from(builder, result, proven, 2);
}

#endif
