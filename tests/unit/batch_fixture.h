/* A device, a model whose inputs can be stacked, and requests with what a lone run gives. */
#ifndef HD_TEST_BATCH_FIXTURE_H
#define HD_TEST_BATCH_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "heddle/heddle.h"
#include "support/test_device.h"

#define WIDTH   24
#define HIDDEN  40
#define FOREVER HD_WAIT_FOREVER

static hd_device *device;
static hd_model *model; /* y = softmax(relu(x w) v), z = x + 1, over rows of x: [-1, WIDTH] */
static hd_error error;

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != HD_OK) {                                                                     \
            fail_msg("%s: %s", #call, error.message);                                              \
        }                                                                                          \
    } while (0)

static inline void fill(float *values, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525 + 1013904223;
        values[i] = (float)(int32_t)seed / (float)(UINT32_C(1) << 31);
    }
}

static inline hd_value add_matrix(hd_graph *graph, int64_t rows, int64_t columns, uint32_t seed)
{
    hd_tensor tensor = {.dtype = HD_FLOAT32, .rank = 2, .dims = {rows, columns}};
    hd_value value;
    tensor.size = (size_t)(rows * columns) * sizeof(float);
    tensor.data = malloc(tensor.size);
    fill(tensor.data, (size_t)(rows * columns), seed);
    assert_ok(hd_graph_add_constant(graph, &tensor, &value, &error));
    free(tensor.data);
    return value;
}

static inline hd_value add(hd_graph *graph, const char *type, hd_value a, hd_value b)
{
    hd_value inputs[] = {a, b}, out;
    assert_ok(hd_graph_add_node(graph, type, inputs, b == HD_VALUE_NONE ? 1 : 2, NULL, 0, &out, 1,
                                &error));
    return out;
}

static inline int open_model(void **state)
{
    (void)state;
    static const int64_t dims[] = {-1, WIDTH};
    float one = 1;
    hd_tensor constant = {.dtype = HD_FLOAT32, .data = &one, .size = sizeof one};
    hd_graph *graph;
    hd_value x, c;
    assert_ok(hd_device_open(test_device_name(), NULL, &device, &error));
    assert_ok(hd_graph_create(0, &graph, &error));
    assert_ok(hd_graph_add_input(graph, "x", HD_FLOAT32, 2, dims, &x, &error));
    hd_value hidden = add(
        graph, "Relu", add(graph, "MatMul", x, add_matrix(graph, WIDTH, HIDDEN, 1)), HD_VALUE_NONE);
    hd_value out = add(graph, "MatMul", hidden, add_matrix(graph, HIDDEN, WIDTH, 2));
    assert_ok(hd_graph_add_constant(graph, &constant, &c, &error));
    assert_ok(hd_graph_add_output(graph, "y", add(graph, "Softmax", out, HD_VALUE_NONE), &error));
    assert_ok(hd_graph_add_output(graph, "z", add(graph, "Add", x, c), &error));
    assert_ok(hd_model_create(device, graph, NULL, &model, &error));
    hd_graph_destroy(&graph);
    return 0;
}

static inline int close_model(void **state)
{
    (void)state;
    hd_model_destroy(&model);
    hd_device_destroy(&device);
    return 0;
}

/* One request: its rows, what a lone run gives, and what came. */
typedef struct item {
    uint32_t rows;
    float x[4 * WIDTH], wanted[4 * WIDTH], y[4 * WIDTH];
    hd_tensor input, outputs[2];
    hd_future *future;
} item;

static inline void make_item(item *item, uint32_t rows, uint32_t seed)
{
    *item = (struct item){.rows = rows};
    fill(item->x, rows * WIDTH, seed);
    item->input = (hd_tensor){.dtype = HD_FLOAT32,
                              .rank = 2,
                              .dims = {rows, WIDTH},
                              .data = item->x,
                              .size = rows * WIDTH * sizeof(float)};
    hd_tensor out = {.data = item->wanted, .size = sizeof item->wanted};
    assert_ok(hd_model_run(model, &item->input, 1, &out, 1, &error));
    item->outputs[0] = (hd_tensor){.data = item->y, .size = sizeof item->y};
}

static inline hd_status submit_item(hd_batch *batch, item *item, const hd_submit_options *options)
{
    return hd_batch_submit(batch, &item->input, 1, item->outputs, 1, options, &item->future,
                           &error);
}

static inline bool has_bits(const item *item)
{
    size_t size = item->rows * WIDTH * sizeof(float);
    return item->outputs[0].size == size && item->outputs[0].dims[0] == item->rows &&
           memcmp(item->y, item->wanted, size) == 0;
}

static inline hd_batch *open_batch(hd_batch_options options)
{
    hd_batch *batch;
    options.struct_size = sizeof options;
    assert_ok(hd_batch_create(model, &options, &batch, &error));
    return batch;
}

static inline hd_batch_statistics statistics_of(hd_batch *batch)
{
    hd_batch_statistics statistics = {.struct_size = sizeof statistics};
    assert_int_equal(hd_batch_get_statistics(batch, &statistics), HD_OK);
    assert_true(statistics.submitted == statistics.ended + statistics.pending);
    return statistics;
}

#endif
