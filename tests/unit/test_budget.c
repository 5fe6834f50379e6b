/* Budget: what small graphs may make a load or a plan compute and keep (BOUND). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/model.h"
#include "support/block_graph.h"
#include "support/operation_runner.h"
#include "support/test_device.h"

#define MEMORY_LIMIT ((uint64_t)100 << 20)

static hd_device *device;

static int open_device(void **state)
{
    (void)state;
    hd_device_options options = {
        .struct_size = sizeof options, .thread_count = 1, .memory_limit = MEMORY_LIMIT};
    return hd_device_open(test_device_name(), &options, &device, NULL) == HD_OK ? 0 : -1;
}

static int close_device(void **state)
{
    (void)state;
    hd_device_destroy(&device);
    return 0;
}

static hd_graph *new_graph(void)
{
    hd_graph *graph;
    assert_int_equal(hd_graph_create(0, &graph, NULL), HD_OK);
    return graph;
}

static void refuses_run(hd_model *model, const hd_tensor *input, hd_status wanted, const char *word)
{
    hd_error error = {0};
    hd_tensor output = {0};
    hd_status status = hd_model_run(model, input, 1, &output, 1, &error);
    if (status != wanted || strstr(error.message, word) == NULL) {
        print_error("%s: %s\n", hd_status_name(status), error.message);
    }
    assert_int_equal(status, wanted);
    assert_non_null(strstr(error.message, word));
    assert_null(output.data);
}

static void constants_that_double_are_left_to_the_run(void **state)
{
    (void)state;
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    hd_value doubled = block_floats(graph, 1, (float[]){1});
    hd_attribute axis = operation_int("axis", 0);
    for (int i = 0; i < 40; i++) {
        doubled = block_node(graph, graph->root, "Concat", &axis, 1, doubled, doubled, BLOCK_END);
    }
    /* the output is small, the run's arena is not */
    hd_attribute keep = operation_int("keepdims", 0);
    hd_value greatest = block_node(graph, graph->root, "ReduceMax", &keep, 1, doubled, BLOCK_END);
    block_output(graph, graph->root, "y", NODE(graph, graph->root, "Add", x, greatest));
    hd_model *model = block_model(device, graph, 0);
    assert_in_range(model->weight_size, 1, (size_t)16 << 20);
    hd_tensor input = block_tensor(HD_FLOAT32, 1, (float[]){1});
    refuses_run(model, &input, HD_UNSUPPORTED, "arena");
    hd_model_destroy(&model);
}

static void large_products_of_constants_are_left_to_the_run(void **state)
{
    (void)state;
    enum { SIZE = 1800 };
    hd_graph *graph = new_graph();
    hd_tensor square = {
        .dtype = HD_FLOAT32, .rank = 2, .dims = {SIZE, SIZE}, .size = SIZE * SIZE * sizeof(float)};
    square.data = calloc(SIZE * SIZE, sizeof(float));
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32), weight;
    assert_non_null(square.data);
    assert_int_equal(hd_graph_add_constant(graph, &square, &weight, NULL), HD_OK);
    free(square.data);
    hd_value product = NODE(graph, graph->root, "MatMul", weight, weight);
    block_output(graph, graph->root, "y", NODE(graph, graph->root, "Add", x, product));
    hd_model *model = block_model(device, graph, 0);
    assert_int_equal(model->graph->root->node_count, 2);
    hd_model_destroy(&model);
}

static void small_products_of_constants_are_folded(void **state)
{
    (void)state;
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    hd_value three = block_floats(graph, 1, (float[]){3}),
             two = block_floats(graph, 1, (float[]){2});
    hd_value product = NODE(graph, graph->root, "MatMul", three, two);
    block_output(graph, graph->root, "y", NODE(graph, graph->root, "Add", x, product));
    hd_model *model = block_model(device, graph, 0);
    assert_int_equal(model->graph->root->node_count, 1);
    /* FLAT: what only the product read is gone */
    assert_int_equal(model->weight_size, sizeof(float));
    hd_tensor output, input = block_tensor(HD_FLOAT32, 1, (float[]){1});
    block_run(model, &input, 1, &output, 1);
    block_expect_floats(&output, 1, (float[]){7});
    hd_tensor_release(&output);
    hd_model_destroy(&model);
}

/* v = v + 1 for ever. */
static hd_model *make_endless_model(void)
{
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32), y;
    hd_block *body = hd_graph_new_block(graph);
    block_input(graph, body, "", HD_INT64);
    block_input(graph, body, "", HD_BOOL);
    hd_value v = block_input(graph, body, "", HD_FLOAT32);
    hd_value sum = NODE(graph, body, "Add", v, block_floats(graph, 0, (float[]){1}));
    hd_attribute keep = operation_int("keepdims", 0);
    hd_value greatest = block_node(graph, body, "ReduceMax", &keep, 1, sum, BLOCK_END);
    block_output(graph, body, "",
                 NODE(graph, body, "Greater", greatest, block_floats(graph, 0, (float[]){0})));
    block_output(graph, body, "", sum);
    hd_value inputs[] = {block_ints(graph, 0, (int64_t[]){INT64_C(1) << 40}), HD_VALUE_NONE, x};
    block_control(graph, graph->root, "Loop", inputs, 3, body, NULL, &y, 1);
    block_output(graph, graph->root, "y", y);
    return block_model(device, graph, 0);
}

static void endless_loops_end_in_a_status(void **state)
{
    (void)state;
    hd_model *model = make_endless_model();
    static float many[100];
    /* It runs as a loop, on few elements as on many, until it has done what a run may do. */
    hd_tensor input = block_tensor(HD_FLOAT32, 4, many);
    refuses_run(model, &input, HD_UNSUPPORTED, "work_limit");
    input = block_tensor(HD_FLOAT32, 100, many);
    refuses_run(model, &input, HD_UNSUPPORTED, "work_limit");
    hd_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constants_that_double_are_left_to_the_run),
        cmocka_unit_test(large_products_of_constants_are_left_to_the_run),
        cmocka_unit_test(small_products_of_constants_are_folded),
        cmocka_unit_test(endless_loops_end_in_a_status),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
