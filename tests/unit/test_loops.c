/* Loops: what ONNX lets them be, what is refused, and how deep blocks may nest. */
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

/* A body with its first two inputs. */
static hd_block *new_body(hd_graph *graph, hd_value *number, hd_value *condition)
{
    hd_block *body = hd_graph_new_block(graph);
    *number = block_input(graph, body, "i", HD_INT64);
    *condition = block_input(graph, body, "go", HD_BOOL);
    return body;
}

static hd_value one_loop(hd_graph *graph, const hd_value *inputs, size_t input_count,
                         hd_block *body)
{
    hd_value output;
    block_control(graph, graph->root, "Loop", inputs, input_count, body, NULL, &output, 1);
    return output;
}

static hd_value ints(hd_graph *graph, int64_t value)
{
    return block_ints(graph, 0, &value);
}

/* Runs a model of one output and `input_count` inputs; it must be refused so. */
static void refuses(hd_graph *graph, hd_value output, const hd_tensor *inputs, size_t input_count,
                    const char *words)
{
    block_output(graph, graph->root, "y", output);
    hd_model *model = block_model(device, graph, 0);
    hd_tensor y = {0};
    hd_error error = {0};
    hd_status status = hd_model_run(model, inputs, input_count, &y, 1, &error);
    if (status != HD_BAD_MODEL || strstr(error.message, words) == NULL) {
        fail_msg("%s: %s", hd_status_name(status), error.message);
    }
    hd_model_destroy(&model);
}

static void scans_that_change_their_shape_are_refused(void **state)
{
    (void)state;
    for (int64_t step = -100; step <= 100; step += 200) {
        hd_graph *graph = new_graph();
        hd_value number, go;
        hd_block *body = new_body(graph, &number, &go);
        hd_value size = NODE(graph, body, "Add",
                             NODE(graph, body, "Mul", number, ints(graph, step)), ints(graph, 300));
        hd_value shape = NODE(graph, body, "Reshape", size, block_ints(graph, 1, (int64_t[]){-1}));
        block_output(graph, body, "", go);
        block_output(graph, body, "", NODE(graph, body, "ConstantOfShape", shape));
        hd_value inputs[] = {ints(graph, 3)};
        refuses(graph, one_loop(graph, inputs, 1, body), NULL, 0, "float32 300 at first");
    }
}

/* Writes then float32, else int64 numbers, by a condition. */
static hd_value add_choice(hd_graph *graph, hd_block *block, hd_value condition, hd_value x)
{
    hd_block *first = hd_graph_new_block(graph), *second = hd_graph_new_block(graph);
    hd_attribute to = operation_int("to", HD_INT64);
    hd_value y;
    block_output(graph, first, "", NODE(graph, first, "Neg", x));
    block_output(graph, second, "", block_node(graph, second, "Cast", &to, 1, x, BLOCK_END));
    block_control(graph, block, "If", &condition, 1, first, second, &y, 1);
    return y;
}

static void scans_and_carried_values_that_change_their_type_are_refused(void **state)
{
    (void)state;
    float numbers[4] = {1, 2, 3, 4};
    hd_tensor input = block_tensor(HD_FLOAT32, 4, numbers);
    for (int carries = 0; carries < 2; carries++) {
        hd_graph *graph = new_graph();
        hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32), number, go;
        hd_block *body = new_body(graph, &number, &go);
        if (carries == 1) {
            block_input(graph, body, "", HD_DTYPE_NONE);
        }
        hd_value first = NODE(graph, body, "Equal", number, ints(graph, 0));
        block_output(graph, body, "", go);
        block_output(graph, body, "", add_choice(graph, body, first, x));
        hd_value inputs[] = {ints(graph, 3), HD_VALUE_NONE, x};
        refuses(graph, one_loop(graph, inputs, carries == 1 ? 3 : 2, body), &input, 1,
                carries == 1 ? "changes its type" : "int64 4 in iteration 1");
    }
}

static void what_a_loop_declares_is_held(void **state)
{
    (void)state;
    for (int64_t trips = 0; trips < 3; trips++) {
        for (int scans = 0; scans < 2; scans++) {
            hd_graph *graph = new_graph();
            hd_value number, go;
            hd_block *body = new_body(graph, &number, &go);
            hd_value carried = block_input(graph, body, "", HD_INT64);
            block_output(graph, body, "", go);
            block_output(graph, body, "", carried);
            block_output(graph, body, "", carried);
            hd_value inputs[] = {ints(graph, trips), HD_VALUE_NONE, ints(graph, 5)}, outputs[2];
            block_control(graph, graph->root, "Loop", inputs, 3, body, NULL, outputs, 2);
            graph->values[outputs[scans]].dtype = HD_FLOAT32;
            refuses(graph, outputs[scans], NULL, 0, "declared float32, but it gives int64");
        }
    }
}

static void what_a_body_declares_of_its_carried_values_is_held(void **state)
{
    (void)state;
    hd_graph *graph = new_graph();
    hd_value number, go;
    hd_block *body = new_body(graph, &number, &go);
    hd_value carried = block_input(graph, body, "", HD_FLOAT32);
    block_output(graph, body, "", go);
    block_output(graph, body, "", carried);
    hd_value inputs[] = {ints(graph, 2), HD_VALUE_NONE, ints(graph, 5)};
    refuses(graph, one_loop(graph, inputs, 3, body), NULL, 0, "declared float32");
}

static void what_is_never_computed_is_refused(void **state)
{
    (void)state;
    for (int which = 0; which < 4; which++) {
        hd_graph *graph = new_graph();
        hd_value number, go, nothing = hd_graph_new_value(graph, "nothing");
        hd_block *body = new_body(graph, &number, &go);
        hd_value carried = block_input(graph, body, "", HD_INT64);
        block_output(graph, body, "", which == 0 ? nothing : go);
        block_output(graph, body, "", which == 1 ? nothing : carried);
        block_output(graph, body, "", which == 2 ? nothing : carried);
        hd_value inputs[] = {ints(graph, 2), HD_VALUE_NONE, which == 3 ? nothing : ints(graph, 5)},
                 outputs[2];
        block_control(graph, graph->root, "Loop", inputs, 3, body, NULL, outputs, 2);
        refuses(graph, outputs[0], NULL, 0, "never computed");
    }
}

static void counts_and_conditions_of_other_types_are_refused(void **state)
{
    (void)state;
    for (int which = 0; which < 3; which++) {
        hd_graph *graph = new_graph();
        hd_value number, go;
        hd_block *body = new_body(graph, &number, &go);
        block_output(graph, body, "", which == 2 ? number : go);
        block_output(graph, body, "", number);
        float half = 0.5f;
        hd_value wrong = block_floats(graph, 0, &half);
        hd_value inputs[] = {which == 0 ? wrong : ints(graph, 2),
                             which == 1 ? wrong : HD_VALUE_NONE};
        refuses(graph, one_loop(graph, inputs, 2, body), NULL, 0,
                which == 0 ? "no single int64" : "no single bool");
    }
}

static void a_loop_may_carry_nothing(void **state)
{
    (void)state;
    for (size_t input_count = 1; input_count <= 2; input_count++) {
        hd_graph *graph = new_graph();
        hd_value number, go;
        hd_block *body = new_body(graph, &number, &go);
        block_output(graph, body, "", go);
        block_output(graph, body, "", number);
        hd_value inputs[] = {ints(graph, 3), HD_VALUE_NONE};
        block_output(graph, graph->root, "y", one_loop(graph, inputs, input_count, body));
        hd_model *model = block_model(device, graph, 0);
        hd_tensor y;
        block_run(model, NULL, 0, &y, 1);
        block_expect_ints(&y, 3, (int64_t[]){0, 1, 2});
        hd_tensor_release(&y);
        hd_model_destroy(&model);
    }
}

/* Without M, condition, carried values: until the body says so. */
static void a_loop_may_have_no_inputs_and_no_outputs(void **state)
{
    (void)state;
    for (size_t output_count = 0; output_count < 2; output_count++) {
        hd_graph *graph = new_graph();
        hd_value number, go, outputs[1] = {ints(graph, 7)};
        hd_block *body = new_body(graph, &number, &go);
        block_output(graph, body, "", NODE(graph, body, "Less", number, ints(graph, 4)));
        block_output(graph, body, "", number);
        block_control(graph, graph->root, "Loop", NULL, 0, body, NULL, outputs, output_count);
        block_output(graph, graph->root, "y", outputs[0]);
        hd_model *model = block_model(device, graph, 0);
        hd_tensor y;
        block_run(model, NULL, 0, &y, 1);
        block_expect_ints(&y, output_count == 0 ? 1 : 5,
                          output_count == 0 ? (int64_t[]){7} : (int64_t[]){0, 1, 2, 3, 4});
        hd_tensor_release(&y);
        hd_model_destroy(&model);
    }
}

static void a_loop_that_never_runs_gives_empty_scans_of_the_declared_shape(void **state)
{
    (void)state;
    static const struct {
        int64_t trips;
        bool condition;
        uint32_t rank, wanted_rank;
        int64_t dims[2], wanted[3];
    } cases[] = {{0, true, 2, 3, {3, 4}, {0, 3, 4}},
                 {-5, true, 1, 2, {3}, {0, 3}},
                 {INT64_MAX, false, 2, 3, {-1, 4}, {0, 0, 4}},
                 {INT64_MIN, true, 0, 1, {0}, {0}},
                 {3, false, 9, 2, {0}, {0, 2}}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        hd_graph *graph = new_graph();
        hd_value number, go;
        hd_block *body = new_body(graph, &number, &go);
        hd_value carried = block_input(graph, body, "", HD_FLOAT32);
        hd_value scanned = NODE(graph, body, "Neg", carried);
        graph->values[scanned].dtype = HD_FLOAT32;
        graph->values[scanned].has_rank = cases[c].rank < 9;
        graph->values[scanned].shape.rank = cases[c].rank % 9;
        memcpy(graph->values[scanned].shape.dims, cases[c].dims, sizeof cases[c].dims);
        block_output(graph, body, "", go);
        block_output(graph, body, "", scanned);
        block_output(graph, body, "", scanned);
        float start[2] = {8, 9};
        hd_value inputs[] = {ints(graph, cases[c].trips), block_bool(graph, cases[c].condition),
                             block_floats(graph, 2, start)};
        hd_value outputs[2];
        block_control(graph, graph->root, "Loop", inputs, 3, body, NULL, outputs, 2);
        block_output(graph, graph->root, "carried", outputs[0]);
        block_output(graph, graph->root, "scans", outputs[1]);
        hd_model *model = block_model(device, graph, 0);
        hd_tensor results[2];
        block_run(model, NULL, 0, results, 2);
        block_expect_floats(&results[0], 2, start);
        block_expect_floats(&results[1], 0, start);
        assert_int_equal(results[1].rank, cases[c].wanted_rank);
        assert_memory_equal(results[1].dims, cases[c].wanted,
                            cases[c].wanted_rank * sizeof(int64_t));
        hd_tensor_release(&results[0]);
        hd_tensor_release(&results[1]);
        hd_model_destroy(&model);
    }
}

static void carried_values_may_grow_each_turn_and_end_by_a_condition(void **state)
{
    (void)state;
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32), number, go;
    hd_block *body = new_body(graph, &number, &go);
    hd_value carried = block_input(graph, body, "", HD_FLOAT32);
    hd_attribute axis = operation_int("axis", 0);
    hd_value size = NODE(graph, body, "Size", carried);
    block_output(graph, body, "", NODE(graph, body, "Less", size, ints(graph, 5)));
    block_output(graph, body, "",
                 block_node(graph, body, "Concat", &axis, 1, carried, x, BLOCK_END));
    hd_value inputs[] = {ints(graph, INT64_MAX), HD_VALUE_NONE, x};
    block_output(graph, graph->root, "y", one_loop(graph, inputs, 3, body));
    hd_model *model = block_model(device, graph, 0);
    hd_tensor y, input = block_tensor(HD_FLOAT32, 2, (float[]){3, 4});
    block_run(model, &input, 1, &y, 1);
    block_expect_floats(&y, 8, (float[]){3, 4, 3, 4, 3, 4, 3, 4});
    hd_tensor_release(&y);
    hd_model_destroy(&model);
}

/* What a body gives may be what it got, an outer value, or the same value twice. */
static void bodies_may_give_what_they_got(void **state)
{
    (void)state;
    enum { TRIPS = 40 };
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32), number, go;
    hd_block *body = new_body(graph, &number, &go);
    hd_value a = block_input(graph, body, "", HD_FLOAT32),
             b = block_input(graph, body, "", HD_FLOAT32);
    hd_value c = block_input(graph, body, "", HD_FLOAT32);
    hd_value sum = NODE(graph, body, "Add", a, x);
    hd_value given[] = {go, b, sum, x, a, x, sum, sum, number, c};
    for (size_t i = 0; i < 10; i++) {
        block_output(graph, body, "", given[i]);
    }
    hd_value inputs[] = {ints(graph, TRIPS), HD_VALUE_NONE, x,
                         block_floats(graph, 1, (float[]){100}),
                         block_floats(graph, 1, (float[]){7})};
    hd_value outputs[9];
    block_control(graph, graph->root, "Loop", inputs, 5, body, NULL, outputs, 9);
    for (size_t i = 0; i < 9; i++) {
        block_output(graph, graph->root, "", outputs[i]);
    }
    hd_model *model = block_model(device, graph, 0);
    float first = 3, values[3] = {3, 100, 7}, scans[6][TRIPS];
    int64_t numbers[TRIPS];
    for (int64_t i = 0; i < TRIPS; i++) {
        float sum_now = values[0] + first,
              now[] = {values[0], first, sum_now, sum_now, 0, values[2]};
        for (size_t s = 0; s < 6; s++) {
            scans[s][i] = now[s];
        }
        numbers[i] = i;
        values[0] = values[1];
        values[1] = sum_now;
        values[2] = first;
    }
    hd_tensor results[9], input = block_tensor(HD_FLOAT32, 1, &first);
    block_run(model, &input, 1, results, 9);
    for (size_t i = 0; i < 3; i++) {
        block_expect_floats(&results[i], 1, &values[i]);
    }
    for (size_t s = 0; s < 6; s++) {
        if (s == 4) {
            block_expect_ints(&results[3 + s], TRIPS, numbers);
        } else {
            block_expect_floats(&results[3 + s], TRIPS, scans[s]);
        }
    }
    for (size_t i = 0; i < 9; i++) {
        hd_tensor_release(&results[i]);
    }
    hd_model_destroy(&model);
}

static void blocks_may_nest_hundreds_deep(void **state)
{
    (void)state;
    enum { DEPTH = 400 };
    for (int loops = 0; loops < 2; loops++) {
        hd_graph *graph = new_graph();
        hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
        hd_value yes = block_input(graph, graph->root, "yes", HD_BOOL);
        hd_block *inner = hd_graph_new_block(graph);
        if (loops == 1) {
            block_input(graph, inner, "", HD_INT64);
            block_output(graph, inner, "", block_input(graph, inner, "", HD_BOOL));
        }
        block_output(graph, inner, "", NODE(graph, inner, "Neg", x));
        hd_value y = HD_VALUE_NONE;
        for (int depth = 0; depth < DEPTH; depth++) {
            hd_block *outer = depth + 1 == DEPTH ? graph->root : hd_graph_new_block(graph);
            hd_value inputs[] = {loops == 1 ? ints(graph, 1) : yes, yes};
            hd_block *other = hd_graph_new_block(graph);
            block_output(graph, other, "", x);
            if (loops == 1 && outer != graph->root) {
                block_input(graph, outer, "", HD_INT64);
                block_output(graph, outer, "", block_input(graph, outer, "", HD_BOOL));
            }
            block_control(graph, outer, loops == 1 ? "Loop" : "If", inputs, loops == 1 ? 2 : 1,
                          inner, loops == 1 ? NULL : other, &y, 1);
            if (loops == 1) { /* [1, n] as [n] again, lest the rank grow */
                y = NODE(graph, outer, "Reshape", y, block_ints(graph, 1, (int64_t[]){-1}));
            }
            block_output(graph, outer, "", y);
            inner = outer;
        }
        hd_model *model = block_model(device, graph, 0);
        bool true_value = true;
        hd_tensor result, inputs[] = {block_tensor(HD_FLOAT32, 2, (float[]){1, 2}),
                                      block_scalar(HD_BOOL, &true_value)};
        block_run(model, inputs, 2, &result, 1);
        block_expect_floats(&result, 2, (float[]){-1, -2});
        hd_tensor_release(&result);
        hd_model_destroy(&model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scans_that_change_their_shape_are_refused),
        cmocka_unit_test(scans_and_carried_values_that_change_their_type_are_refused),
        cmocka_unit_test(what_a_loop_declares_is_held),
        cmocka_unit_test(what_a_body_declares_of_its_carried_values_is_held),
        cmocka_unit_test(what_is_never_computed_is_refused),
        cmocka_unit_test(counts_and_conditions_of_other_types_are_refused),
        cmocka_unit_test(a_loop_may_carry_nothing),
        cmocka_unit_test(a_loop_may_have_no_inputs_and_no_outputs),
        cmocka_unit_test(a_loop_that_never_runs_gives_empty_scans_of_the_declared_shape),
        cmocka_unit_test(carried_values_may_grow_each_turn_and_end_by_a_condition),
        cmocka_unit_test(bodies_may_give_what_they_got),
        cmocka_unit_test(blocks_may_nest_hundreds_deep),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
