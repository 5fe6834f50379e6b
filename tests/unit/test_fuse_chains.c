/* Chains of elementwise operators: which of them are one step. What they compute is unit.fusions_random's. */

#include "rows_fixture.h"
#include "support/block_graph.h"

enum { SIZE = 8, ITERATIONS = 10 };

/* v = sin(v) · cos(v) + v, again and again: each v is read three times. `kept`: the first is an output, too. `beside`: something
 * that is no elementwise operator reads the first. */
static size_t count_chains(bool kept, bool beside)
{
    hd_graph *graph;
    hd_value v, first = HD_VALUE_NONE;
    const int64_t dims[] = {SIZE};
    assert_ok(hd_graph_create(17, &graph, &error));
    assert_ok(hd_graph_add_input(graph, "v", HD_FLOAT32, 1, dims, &v, &error));
    for (int i = 0; i < ITERATIONS; i++) {
        hd_value product = NODE(graph, graph->root, "Mul", NODE(graph, graph->root, "Sin", v),
                                NODE(graph, graph->root, "Cos", v));
        v = NODE(graph, graph->root, "Add", product, v);
        first = i == 0 ? v : first;
    }
    assert_ok(hd_graph_add_output(graph, "y", v, &error));
    if (kept) {
        assert_ok(hd_graph_add_output(graph, "first", first, &error));
    }
    if (beside) {
        assert_ok(
            hd_graph_add_output(graph, "order", NODE(graph, graph->root, "ArgMax", first), &error));
    }
    hd_model *model;
    assert_ok(hd_model_create(device, graph, NULL, &model, &error));
    hd_graph_destroy(&graph);
    float values[SIZE] = {0.5f};
    hd_tensor input = block_tensor(HD_FLOAT32, SIZE, values), outputs[2] = {{0}};
    size_t wanted = kept || beside ? 2 : 1;
    assert_ok(hd_model_run(model, &input, 1, outputs, wanted, &error));
    hd_tensor_release(&outputs[0]);
    hd_tensor_release(&outputs[1]);
    size_t count = block_count_steps(model, "heddle.Elementwise");
    hd_model_destroy(&model);
    return count;
}

static void values_that_are_read_again_stay_in_their_chain(void **state)
{
    (void)state;
    assert_int_equal(count_chains(false, false), 1);
}

static void values_that_others_read_end_a_chain(void **state)
{
    (void)state;
    assert_int_equal(count_chains(true, false), 2);
    assert_int_equal(count_chains(false, true), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_that_are_read_again_stay_in_their_chain),
        cmocka_unit_test(values_that_others_read_end_a_chain),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
