/* Packed weights: which constants a model keeps in the backend's form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "graph/model.h"
#include "support/operation_runner.h"

static hd_value add_constant(hd_graph *graph, const hd_tensor *tensor)
{
    hd_value value;
    assert_int_equal(hd_graph_add_constant(graph, tensor, &value, NULL), HD_OK);
    return value;
}

/* Once a model, although it is one of nine operands. */
static void the_weight_of_a_convolution_with_a_bias_is_packed(void **state)
{
    (void)state;
    static uint8_t weight[8 * 4 * 9], zero;
    static float scale = 0.1f;
    static int32_t bias[8];
    const hd_tensor scalar = OPERATION_SCALAR(HD_FLOAT32, &scale);
    const hd_tensor point = OPERATION_SCALAR(HD_UINT8, &zero);
    const hd_tensor kernel = OPERATION_TENSOR(HD_UINT8, weight, 8, 4, 3, 3);
    const hd_tensor offsets = OPERATION_TENSOR(HD_INT32, bias, 8);
    hd_device *device;
    hd_graph *graph;
    hd_model *model;
    hd_value inputs[9], y;
    assert_int_equal(hd_device_open("cpu", NULL, &device, NULL), HD_OK);
    assert_int_equal(hd_graph_create(0, &graph, NULL), HD_OK);
    assert_int_equal(hd_graph_add_input(graph, "x", HD_UINT8, 4, (const int64_t[]){1, 4, 8, 8},
                                        &inputs[0], NULL),
                     HD_OK);
    const hd_tensor *constants[] = {&scalar, &point,  &kernel, &scalar,
                                    &point,  &scalar, &point,  &offsets};
    for (size_t i = 0; i < 8; i++) {
        inputs[i + 1] = add_constant(graph, constants[i]);
    }
    assert_int_equal(hd_graph_add_node(graph, "QLinearConv", inputs, 9, NULL, 0, &y, 1, NULL),
                     HD_OK);
    assert_int_equal(hd_graph_add_output(graph, "y", y, NULL), HD_OK);
    assert_int_equal(hd_model_create(device, graph, NULL, &model, NULL), HD_OK);
    assert_non_null(model->packed[inputs[3]]);
    hd_model_destroy(&model);
    hd_graph_destroy(&graph);
    hd_device_destroy(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_weight_of_a_convolution_with_a_bias_is_packed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
