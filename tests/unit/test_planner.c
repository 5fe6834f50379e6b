/* Planner: control flow, outputs of every kind, empty tensors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/block_graph.h"
#include "support/device_fixture.h"
#include "support/operation_runner.h"

static const float one_to_four[] = {1, 2, 3, 4};

/* y = condition ? x + 10 : x * 10 as an If whose branches read the outer x. */
static hd_value add_if(hd_graph *graph, hd_block *block, hd_value condition, hd_value x,
                       float amount)
{
    hd_block *then_block = hd_graph_new_block(graph), *else_block = hd_graph_new_block(graph);
    hd_value number = block_floats(graph, 0, &amount), y;
    block_output(graph, then_block, "", NODE(graph, then_block, "Add", x, number));
    block_output(graph, else_block, "", NODE(graph, else_block, "Mul", x, number));
    block_control(graph, block, "If", &condition, 1, then_block, else_block, &y, 1);
    return y;
}

static void if_takes_the_branch_that_an_input_names(void **state)
{
    (void)state;
    hd_graph *graph = new_graph();
    hd_value condition = block_input(graph, graph->root, "condition", HD_BOOL);
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    block_output(graph, graph->root, "y", add_if(graph, graph->root, condition, x, 10));
    hd_model *model = block_model(device, graph, 0);
    for (int i = 0; i < 6; i++) {
        bool yes = i % 2 == 0;
        hd_tensor y,
            inputs[] = {block_scalar(HD_BOOL, &yes), block_tensor(HD_FLOAT32, 4, one_to_four)};
        block_run(model, inputs, 2, &y, 1);
        block_expect_floats(&y, 4, yes ? (float[]){11, 12, 13, 14} : (float[]){10, 20, 30, 40});
        hd_tensor_release(&y);
    }
    hd_model_destroy(&model);
}

static void if_takes_the_branch_that_computed_data_names(void **state)
{
    (void)state;
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    hd_attribute keep = operation_int("keepdims", 0);
    hd_value sum = block_node(graph, graph->root, "ReduceSum", &keep, 1, x, BLOCK_END);
    hd_value zero = block_floats(graph, 0, (float[]){0});
    hd_value condition = NODE(graph, graph->root, "Greater", sum, zero);
    block_output(graph, graph->root, "y", add_if(graph, graph->root, condition, x, 10));
    hd_model *model = block_model(device, graph, 0);
    static float many[100];
    for (int i = 0; i < 6; i++) {
        float value = i % 2 == 0 ? 1.0f : -1.0f, wanted = i % 2 == 0 ? 11.0f : -10.0f;
        for (size_t j = 0; j < 100; j++) {
            many[j] = value;
        }
        for (size_t count = 4; count <= 100; count += 96) {
            /* a steering input, and too many to be one */
            hd_tensor y, input = block_tensor(HD_FLOAT32, count, many);
            block_run(model, &input, 1, &y, 1);
            assert_int_equal(y.dims[0], count);
            y.size = sizeof wanted; /* all elements are alike */
            block_expect_floats(&y, 1, &wanted);
            hd_tensor_release(&y);
        }
    }
    hd_model_destroy(&model);
}

static void nested_ifs_follow_both_conditions(void **state)
{
    (void)state;
    hd_graph *graph = new_graph();
    hd_value outer = block_input(graph, graph->root, "outer", HD_BOOL);
    hd_value inner = block_input(graph, graph->root, "inner", HD_BOOL);
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    hd_block *blocks[2] = {hd_graph_new_block(graph), hd_graph_new_block(graph)};
    for (size_t i = 0; i < 2; i++) {
        block_output(graph, blocks[i], "", add_if(graph, blocks[i], inner, x, i == 0 ? 10 : 100));
    }
    hd_value y;
    block_control(graph, graph->root, "If", &outer, 1, blocks[0], blocks[1], &y, 1);
    hd_value z = NODE(graph, graph->root, "Neg", y);
    block_output(graph, graph->root, "z", z);
    hd_model *model = block_model(device, graph, 0);
    const float wanted[2][2] = {{-300, -103}, {-30, -13}}; /* of 3 */
    for (int i = 0; i < 8; i++) {
        bool a = (i & 1) != 0, b = (i & 2) != 0;
        float three = 3;
        hd_tensor output, inputs[] = {block_scalar(HD_BOOL, &a), block_scalar(HD_BOOL, &b),
                                      block_scalar(HD_FLOAT32, &three)};
        block_run(model, inputs, 3, &output, 1);
        block_expect_floats(&output, 1, &wanted[a][b]);
        hd_tensor_release(&output);
    }
    hd_model_destroy(&model);
}

/* Loop(trips, go): a, b = b, a + b; scans a. Stops when the next a is `limit` or more. */
static void add_fibonacci(hd_graph *graph, hd_value trips, hd_value a, hd_value b, hd_value limit,
                          hd_value outputs[3])
{
    hd_block *body = hd_graph_new_block(graph);
    block_input(graph, body, "", HD_INT64);
    block_input(graph, body, "", HD_BOOL);
    hd_value inner_a = block_input(graph, body, "", HD_FLOAT32),
             inner_b = block_input(graph, body, "", HD_FLOAT32);
    hd_value sum = NODE(graph, body, "Add", inner_a, inner_b);
    block_output(graph, body, "", NODE(graph, body, "Less", inner_b, limit));
    block_output(graph, body, "", inner_b);
    block_output(graph, body, "", sum);
    block_output(graph, body, "", inner_a);
    hd_value inputs[] = {trips, HD_VALUE_NONE, a, b};
    block_control(graph, graph->root, "Loop", inputs, 4, body, NULL, outputs, 3);
}

static void loop_runs_as_often_as_an_input_says_and_stacks_what_it_scans(void **state)
{
    (void)state;
    static const float numbers[] = {0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89};
    hd_graph *graph = new_graph();
    hd_value trips = block_input(graph, graph->root, "trips", HD_INT64), outputs[3];
    hd_value a = block_input(graph, graph->root, "a", HD_FLOAT32);
    add_fibonacci(graph, trips, a, block_floats(graph, 0, (float[]){1}),
                  block_floats(graph, 0, (float[]){1000}), outputs);
    for (size_t i = 0; i < 3; i++) {
        block_output(graph, graph->root, i == 0 ? "a" : i == 1 ? "b" : "all", outputs[i]);
    }
    hd_model *model = block_model(device, graph, 0);
    for (int64_t count = 1; count < 10; count++) {
        float zero = 0;
        hd_tensor results[3],
            inputs[] = {block_scalar(HD_INT64, &count), block_scalar(HD_FLOAT32, &zero)};
        block_run(model, inputs, 2, results, 3);
        block_expect_floats(&results[0], 1, &numbers[count]);
        block_expect_floats(&results[1], 1, &numbers[count + 1]);
        block_expect_floats(&results[2], (size_t)count, numbers);
        assert_int_equal(results[2].dims[0], count);
        for (size_t i = 0; i < 3; i++) {
            hd_tensor_release(&results[i]);
        }
    }
    hd_model_destroy(&model);
}

static void loop_ends_when_its_condition_turns_false(void **state)
{
    (void)state;
    hd_graph *graph = new_graph();
    hd_value limit = block_input(graph, graph->root, "limit", HD_FLOAT32), outputs[3];
    add_fibonacci(graph, HD_VALUE_NONE, block_floats(graph, 0, (float[]){0}),
                  block_floats(graph, 0, (float[]){1}), limit, outputs);
    block_output(graph, graph->root, "a", outputs[0]);
    block_output(graph, graph->root, "all", outputs[2]);
    hd_model *model = block_model(device, graph, 0);
    static const struct {
        float limit, last;
        int64_t count;
    } cases[] = {{10, 13, 7}, {1, 1, 1}, {30, 34, 9}, {10, 13, 7}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hd_tensor results[2], input = block_scalar(HD_FLOAT32, &cases[i].limit);
        block_run(model, &input, 1, results, 2);
        block_expect_floats(&results[0], 1, &cases[i].last);
        assert_int_equal(results[1].dims[0], cases[i].count);
        hd_tensor_release(&results[0]);
        hd_tensor_release(&results[1]);
    }
    hd_model_destroy(&model);
}

static void loop_of_no_iterations_gives_its_initial_values(void **state)
{
    (void)state;
    hd_graph *graph = new_graph();
    hd_value trips = block_input(graph, graph->root, "trips", HD_INT64), outputs[3];
    hd_value a = block_input(graph, graph->root, "a", HD_FLOAT32);
    add_fibonacci(graph, trips, a, block_floats(graph, 0, (float[]){7}),
                  block_floats(graph, 0, (float[]){1000}), outputs);
    hd_value one = block_floats(graph, 0, (float[]){1});
    block_output(graph, graph->root, "a", NODE(graph, graph->root, "Add", outputs[0], one));
    block_output(graph, graph->root, "b", outputs[1]);
    /* The third output of a loop that never ran has no shape, so nobody may ask for it. */
    graph->root->nodes[0].outputs[2] = HD_VALUE_NONE;
    hd_model *model = block_model(device, graph, 0);
    int64_t none = 0;
    float five = 5;
    hd_tensor results[2],
        inputs[] = {block_scalar(HD_INT64, &none), block_scalar(HD_FLOAT32, &five)};
    block_run(model, inputs, 2, results, 2);
    block_expect_floats(&results[0], 1, (float[]){6});
    block_expect_floats(&results[1], 1, (float[]){7});
    hd_tensor_release(&results[0]);
    hd_tensor_release(&results[1]);
    hd_model_destroy(&model);
}

static void one_value_may_be_an_output_twice_and_an_input_or_a_constant_may_be_one(void **state)
{
    (void)state;
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    hd_value three = block_floats(graph, 3, (float[]){7, 8, 9});
    hd_value y = NODE(graph, graph->root, "Neg", x);
    hd_value z = NODE(graph, graph->root, "Reshape", y, block_ints(graph, 2, (int64_t[]){2, -1}));
    block_output(graph, graph->root, "y", y);
    block_output(graph, graph->root, "again", y);
    block_output(graph, graph->root, "x_itself", x);
    block_output(graph, graph->root, "constant", three);
    block_output(graph, graph->root, "reshaped", z);
    block_output(graph, graph->root, "identity", NODE(graph, graph->root, "Identity", x));
    hd_model *model = block_model(device, graph, 0);
    const float negative[] = {-1, -2, -3, -4};
    const float *wanted[] = {negative,           negative, one_to_four,
                             (float[]){7, 8, 9}, negative, one_to_four};
    hd_tensor input = block_tensor(HD_FLOAT32, 4, one_to_four), all[6];
    for (unsigned subset = 1; subset < 64; subset++) {
        const char *const names[] = {"y", "again", "x_itself", "constant", "reshaped", "identity"};
        hd_tensor some[6];
        size_t count = 0, which[6];
        memset(some, 0, sizeof some);
        for (size_t i = 0; i < 6; i++) {
            if ((subset >> i & 1) != 0) {
                which[count] = i;
                some[count++].name = names[i];
            }
        }
        hd_error error;
        if (hd_model_run(model, &input, 1, some, count, &error) != HD_OK) {
            fail_msg("%s", error.message);
        }
        for (size_t i = 0; i < count; i++) {
            block_expect_floats(&some[i], which[i] == 3 ? 3 : 4, wanted[which[i]]);
            assert_int_equal(some[i].rank, which[i] == 4 ? 2 : 1);
            hd_tensor_release(&some[i]);
        }
    }
    block_run(model, &input, 1, all, 6);
    for (size_t i = 0; i < 6; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_ptr_not_equal(all[i].data, all[j].data);
        }
    }
    for (size_t i = 0; i < 6; i++) {
        hd_tensor_release(&all[i]);
    }
    hd_model_destroy(&model);
}

static void empty_tensors_flow_through(void **state)
{
    (void)state;
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    hd_attribute axis = operation_int("axis", 0), keep = operation_int("keepdims", 0);
    hd_value y = NODE(graph, graph->root, "Exp", x);
    hd_value full = block_floats(graph, 2, (float[]){5, 6});
    block_output(graph, graph->root, "same", y);
    block_output(graph, graph->root, "joined",
                 block_node(graph, graph->root, "Concat", &axis, 1, y, full, BLOCK_END));
    block_output(graph, graph->root, "sum",
                 block_node(graph, graph->root, "ReduceSum", &keep, 1, y, BLOCK_END));
    hd_model *model = block_model(device, graph, 0);
    hd_tensor results[3], input = block_tensor(HD_FLOAT32, 0, NULL);
    block_run(model, &input, 1, results, 3);
    assert_int_equal(results[0].size, 0);
    block_expect_floats(&results[1], 2, (float[]){5, 6});
    block_expect_floats(&results[2], 1, (float[]){0});
    for (size_t i = 0; i < 3; i++) {
        hd_tensor_release(&results[i]);
    }
    hd_model_destroy(&model);
}

/* [1, 4, 3, 0] padded to columns of zeros: each output is the bias. */
static void convolutions_over_no_columns_give_the_bias(void **state)
{
    (void)state;
    for (int64_t group = 1; group <= 4; group += 3) {
        hd_graph *graph = new_graph();
        hd_value x, w, bias, y, z;
        int64_t dims[] = {1, 4, 3, 0};
        assert_int_equal(hd_graph_add_input(graph, "x", HD_FLOAT32, 4, dims, &x, NULL), HD_OK);
        float ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
        hd_tensor weight = {.dtype = HD_FLOAT32,
                            .rank = 4,
                            .dims = {4, 4 / group, 1, 1},
                            .data = ones,
                            .size = sizeof ones};
        hd_tensor biases = block_tensor(HD_FLOAT32, 4, one_to_four);
        assert_int_equal(hd_graph_add_constant(graph, &weight, &w, NULL), HD_OK);
        assert_int_equal(hd_graph_add_constant(graph, &biases, &bias, NULL), HD_OK);
        hd_attribute attributes[] = {OPERATION_INTS("pads", 0, 1, 0, 1),
                                     operation_int("group", group)};
        hd_value operands[] = {x, w, bias};
        assert_int_equal(hd_graph_add_node(graph, "Conv", operands, 3, attributes, 2, &y, 1, NULL),
                         HD_OK);
        assert_int_equal(hd_graph_add_node(graph, "Relu", &y, 1, NULL, 0, &z, 1, NULL), HD_OK);
        assert_int_equal(hd_graph_add_output(graph, "y", z, NULL), HD_OK);
        hd_model *model = block_model(device, graph, 0);
        hd_tensor output, input = {.dtype = HD_FLOAT32, .rank = 4, .dims = {1, 4, 3, 0}};
        block_run(model, &input, 1, &output, 1);
        float wanted[24];
        for (size_t i = 0; i < 24; i++) {
            wanted[i] = one_to_four[i / 6];
        }
        block_expect_floats(&output, 24, wanted);
        hd_tensor_release(&output);
        hd_model_destroy(&model);
    }
}

static void refuses(hd_model *model, const hd_tensor *inputs, size_t input_count, hd_status wanted,
                    const char *words)
{
    hd_error error = {0};
    hd_tensor output = {0};
    assert_int_equal(hd_model_run(model, inputs, input_count, &output, 1, &error), wanted);
    assert_string_equal(error.message, words);
    assert_null(output.data);
}

static void outputs_have_the_types_that_are_declared(void **state)
{
    (void)state;
    for (int constant = 0; constant < 2; constant++) {
        hd_graph *graph = new_graph();
        hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
        hd_value from = constant == 0 ? x : block_floats(graph, 4, one_to_four);
        hd_value y = NODE(graph, graph->root, "Relu", from);
        graph->values[y].dtype = HD_INT64; /* as a file may say */
        block_output(graph, graph->root, "y", y);
        hd_model *model = block_model(device, graph, 0);
        hd_tensor input = block_tensor(HD_FLOAT32, 4, one_to_four);
        refuses(model, &input, 1, HD_BAD_MODEL,
                "node 'Relu' (Relu): its output '' is declared int64, but it gives float32");
        hd_model_destroy(&model);
    }
}

/* y = Gather(x, places), places an input or, if `computed`, the input plus zero. */
static hd_model *make_gather(const char *type, bool computed)
{
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    hd_value places = block_input(graph, graph->root, "places", HD_INT64);
    if (computed) {
        places = NODE(graph, graph->root, "Add", places, block_ints(graph, 0, (int64_t[]){0}));
    }
    block_output(graph, graph->root, "y", NODE(graph, graph->root, type, x, places));
    return block_model(device, graph, 0);
}

static void indices_outside_fail_the_run(void **state)
{
    (void)state;
    const char *const types[] = {"Gather", "GatherElements"};
    for (size_t i = 0; i < 4; i++) {
        hd_model *model = make_gather(types[i / 2], i % 2 != 0);
        for (int repeat = 0; repeat < 3; repeat++) {
            hd_tensor inputs[] = {block_tensor(HD_FLOAT32, 4, one_to_four),
                                  block_tensor(HD_INT64, 3, (int64_t[]){3, -4, 0})};
            hd_tensor y;
            block_run(model, inputs, 2, &y, 1);
            block_expect_floats(&y, 3, (float[]){4, 1, 1});
            hd_tensor_release(&y);
            inputs[1].data = (int64_t[]){0, 4, -9};
            refuses(model, inputs, 2, HD_INVALID_ARGUMENT,
                    i / 2 == 0
                        ? "node 'Gather' (Gather): index 4 is not in -4 to 3"
                        : "node 'GatherElements' (GatherElements): index 4 is not in -4 to 3");
            inputs[1].data = (int64_t[]){0, 3, INT64_MIN};
            refuses(model, inputs, 2, HD_INVALID_ARGUMENT,
                    i / 2 == 0
                        ? "node 'Gather' (Gather): index -9223372036854775808 is not in -4 to 3"
                        : "node 'GatherElements' (GatherElements): index -9223372036854775808 is "
                          "not in -4 to 3");
        }
        hd_model_destroy(&model);
    }
}

static void constant_indices_outside_fail_the_plan(void **state)
{
    (void)state;
    for (int constant = 0; constant < 2; constant++) {
        hd_graph *graph = new_graph();
        hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
        hd_value from = constant == 0 ? x : block_floats(graph, 4, one_to_four);
        hd_value places = block_ints(graph, 2, (int64_t[]){0, 99});
        block_output(graph, graph->root, "y", NODE(graph, graph->root, "Gather", from, places));
        hd_model *model = block_model(device, graph, 0);
        hd_tensor input = block_tensor(HD_FLOAT32, 4, one_to_four);
        refuses(model, &input, 1, HD_INVALID_ARGUMENT,
                "node 'Gather' (Gather): index 99 is not in -4 to 3");
        hd_model_destroy(&model);
    }
}

static void index_vectors_outside_fail_the_run(void **state)
{
    (void)state;
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    hd_value places = block_input(graph, graph->root, "places", HD_INT64);
    hd_value square =
        NODE(graph, graph->root, "Reshape", x, block_ints(graph, 2, (int64_t[]){2, 2}));
    hd_value pairs =
        NODE(graph, graph->root, "Reshape", places, block_ints(graph, 2, (int64_t[]){-1, 2}));
    block_output(graph, graph->root, "y", NODE(graph, graph->root, "GatherND", square, pairs));
    hd_model *model = block_model(device, graph, 0);
    hd_tensor y, inputs[] = {block_tensor(HD_FLOAT32, 4, one_to_four),
                             block_tensor(HD_INT64, 4, (int64_t[]){1, 1, -2, 1})};
    block_run(model, inputs, 2, &y, 1);
    block_expect_floats(&y, 2, (float[]){4, 2});
    hd_tensor_release(&y);
    inputs[1].data = (int64_t[]){1, 1, -2, 2};
    refuses(model, inputs, 2, HD_INVALID_ARGUMENT,
            "node 'GatherND' (GatherND): index 2 is not in -2 to 1");
    hd_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(if_takes_the_branch_that_an_input_names),
        cmocka_unit_test(if_takes_the_branch_that_computed_data_names),
        cmocka_unit_test(nested_ifs_follow_both_conditions),
        cmocka_unit_test(loop_runs_as_often_as_an_input_says_and_stacks_what_it_scans),
        cmocka_unit_test(loop_ends_when_its_condition_turns_false),
        cmocka_unit_test(loop_of_no_iterations_gives_its_initial_values),
        cmocka_unit_test(one_value_may_be_an_output_twice_and_an_input_or_a_constant_may_be_one),
        cmocka_unit_test(empty_tensors_flow_through),
        cmocka_unit_test(convolutions_over_no_columns_give_the_bias),
        cmocka_unit_test(outputs_have_the_types_that_are_declared),
        cmocka_unit_test(indices_outside_fail_the_run),
        cmocka_unit_test(constant_indices_outside_fail_the_plan),
        cmocka_unit_test(index_vectors_outside_fail_the_run),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
