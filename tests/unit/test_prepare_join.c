/* Joining of a scale to a convolution's weights: not where what is joined leaves float32, although the nodes as they
 * are written give numbers. */
#include <math.h>
#include <stdlib.h>

#include "rows_fixture.h"
#include "support/operation_runner.h"

/* y = Conv(x, [w0, w1]) · scale, where x is `value` everywhere. */
static void check(float w0, float w1, float scale, float value, float expected)
{
    float weights[] = {w0, w1}, data[] = {value, value, value, value};
    hd_graph *graph;
    hd_model *model;
    hd_tensor w = OPERATION_TENSOR(HD_FLOAT32, weights, 1, 1, 2),
              s = OPERATION_SCALAR(HD_FLOAT32, &scale);
    hd_tensor x = OPERATION_TENSOR(HD_FLOAT32, data, 1, 1, 4), y = {0};
    hd_value inputs[2], product[2], output;
    assert_ok(hd_graph_create(0, &graph, &error));
    assert_ok(hd_graph_add_input(graph, "x", HD_FLOAT32, 3, x.dims, &inputs[0], &error));
    assert_ok(hd_graph_add_constant(graph, &w, &inputs[1], &error));
    assert_ok(hd_graph_add_node(graph, "Conv", inputs, 2, NULL, 0, &product[0], 1, &error));
    assert_ok(hd_graph_add_constant(graph, &s, &product[1], &error));
    assert_ok(hd_graph_add_node(graph, "Mul", product, 2, NULL, 0, &output, 1, &error));
    assert_ok(hd_graph_add_output(graph, "y", output, &error));
    assert_ok(hd_model_create(device, graph, NULL, &model, &error));
    hd_graph_destroy(&graph);
    assert_ok(hd_model_run(model, &x, 1, &y, 1, &error));
    for (int64_t i = 0; i < 3; i++) {
        const float got = ((float *)y.data)[i];
        assert_true(got == expected || fabsf(got - expected) <= 1e-5f * fabsf(expected));
    }
    hd_tensor_release(&y);
    hd_model_destroy(&model);
}

static void an_infinite_scale_gives_infinities(void **state)
{
    (void)state;
    check(1, -0.5f, INFINITY, 2, INFINITY);
}

static void weights_that_would_overflow_stay_apart_from_their_scale(void **state)
{
    (void)state;
    check(1e30f, -0.5e30f, 1e30f, 2e-30f, 1e30f);
    check(1, -0.5f, 3, 2, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_infinite_scale_gives_infinities),
        cmocka_unit_test(weights_that_would_overflow_stay_apart_from_their_scale),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
