/* Plan time: how long it takes to plan grows with the number of nodes, not with its square. */
#define DEVICE_THREADS 1 /* support/device_fixture.h */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "graph/expansion.h"
#include "support/block_graph.h"
#include "support/device_fixture.h"
#include "support/operation_runner.h"

typedef hd_value add_nodes(hd_graph *graph, hd_value x, size_t count);

/* Each x·sigmoid(x) is fused, and none with its neighbour. */
static hd_value add_activations(hd_graph *graph, hd_value x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        x = NODE(graph, graph->root, "Mul", x, NODE(graph, graph->root, "Sigmoid", x));
        x = NODE(graph, graph->root, "Transpose",
                 NODE(graph, graph->root, "Unsqueeze", x, block_ints(graph, 1, (int64_t[]){0})));
        x = NODE(graph, graph->root, "Reshape", x, block_ints(graph, 1, (int64_t[]){-1}));
    }
    return x;
}

/* All are alive until the end, and read by one node. */
static hd_value add_fan(hd_graph *graph, hd_value x, size_t count)
{
    hd_value *parts = calloc(count, sizeof *parts), joined = hd_graph_new_value(graph, "");
    hd_attribute axis = operation_int("axis", 0);
    for (size_t i = 0; i < count; i++) {
        parts[i] = NODE(graph, graph->root, "Softmax", x);
    }
    assert_int_equal(hd_graph_append(graph, graph->root, "Concat", "", parts, count, &joined, 1,
                                     &axis, 1, NULL, NULL),
                     HD_OK);
    free(parts);
    return joined;
}

/* A view of a view of a view. */
static hd_value add_views(hd_graph *graph, hd_value x, size_t count)
{
    hd_value shapes[] = {block_ints(graph, 2, (int64_t[]){1, -1}),
                         block_ints(graph, 1, (int64_t[]){-1})};
    for (size_t i = 0; i < 2 * count; i++) {
        x = NODE(graph, graph->root, "Reshape", x, shapes[i % 2]);
    }
    return NODE(graph, graph->root, "Neg", x);
}

/* A Loop that is taken apart: what it carries grows by steps. */
static hd_value add_loop(hd_graph *graph, hd_value x, size_t count)
{
    hd_block *body = hd_graph_new_block(graph);
    hd_value number = block_input(graph, body, "", HD_INT64),
             go = block_input(graph, body, "", HD_BOOL);
    hd_value carried = block_input(graph, body, "", HD_FLOAT32),
             trips = block_ints(graph, 0, (int64_t[]){(int64_t)count});
    hd_value rest = NODE(graph, body, "Mod", number, block_ints(graph, 0, (int64_t[]){3}));
    hd_value size = NODE(graph, body, "Reshape", rest, block_ints(graph, 1, (int64_t[]){1}));
    hd_value zero = NODE(graph, body, "ReduceSum", NODE(graph, body, "ConstantOfShape", size));
    hd_value next = NODE(graph, body, "Tanh", NODE(graph, body, "Add", carried, zero)), outputs[2];
    block_output(graph, body, "", go);
    block_output(graph, body, "", next);
    block_output(graph, body, "", next);
    hd_value inputs[] = {trips, HD_VALUE_NONE, x};
    block_control(graph, graph->root, "Loop", inputs, 3, body, NULL, outputs, 2);
    return NODE(graph, graph->root, "Reshape", outputs[1], block_ints(graph, 1, (int64_t[]){-1}));
}

/* Seconds that the first run takes, loading apart. */
static double first_run(add_nodes *add, size_t count)
{
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    block_output(graph, graph->root, "y", add(graph, x, count));
    /* gaps of sanitizers count, too */
    hd_model_options options = {.struct_size = sizeof options, .run_memory_limit = 1 << 30};
    hd_model *model;
    assert_int_equal(hd_model_create(device, graph, &options, &model, NULL), HD_OK);
    hd_graph_destroy(&graph);
    hd_tensor y, input = block_tensor(HD_FLOAT32, 4, (float[]){0.1f, 0.2f, 0.3f, 0.4f});
    clock_t start = clock();
    block_run(model, &input, 1, &y, 1);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    hd_tensor_release(&y);
    hd_model_destroy(&model);
    return seconds;
}

static void time_grows_with_the_nodes(void **state)
{
    (void)state;
    static add_nodes *const kinds[] = {add_activations, add_fan, add_views, add_loop};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        double best = 1e9;
        for (int again = 0; again < 5 && best > 16; again++) {
            /* 8 times the nodes; their square: 64 times */
            double few = first_run(kinds[k], 1500), many = first_run(kinds[k], 12000);
            best = many / few < best ? many / few : best;
        }
        if (best > 24) {
            fail_msg("kind %zu: 8 times the nodes take %.1f times as long", k, best);
        }
    }
}

static void many_constants_are_joined_while_a_model_is_loaded(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32),
             joined = hd_graph_new_value(graph, "");
    hd_value *parts = calloc(COUNT, sizeof *parts);
    float *wanted = calloc(COUNT, sizeof *wanted);
    hd_attribute axis = operation_int("axis", 0);
    for (size_t i = 0; i < COUNT; i++) {
        float number = (float)i;
        parts[i] = block_floats(graph, 1, &number);
        wanted[i] = number + 1;
    }
    assert_int_equal(hd_graph_append(graph, graph->root, "Concat", "", parts, COUNT, &joined, 1,
                                     &axis, 1, NULL, NULL),
                     HD_OK);
    block_output(graph, graph->root, "y", NODE(graph, graph->root, "Add", joined, x));
    hd_model *model = block_model(device, graph, 0);
    hd_tensor y, input = block_tensor(HD_FLOAT32, 1, (float[]){1});
    block_run(model, &input, 1, &y, 1);
    block_expect_floats(&y, COUNT, wanted);
    hd_tensor_release(&y);
    hd_model_destroy(&model);
    free(parts);
    free(wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_grows_with_the_nodes),
        cmocka_unit_test(many_constants_are_joined_while_a_model_is_loaded),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
