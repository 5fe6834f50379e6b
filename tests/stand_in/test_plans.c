/* Plans for CUDA devices, made over a driver that stands in (libcuda.c): passes that only such devices ask for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "heddle/heddle.h"
#include "support/block_graph.h"

enum { CHANNELS = 12, SIZE = 6, KERNEL = 3 };

/* A convolution, and `turns` times a Transpose such as brings channels that stand last before the others. */
static hd_model *make_model(hd_device *device, int turns)
{
    static const float weight[CHANNELS * CHANNELS * KERNEL * KERNEL];
    static const int64_t perm[] = {0, 3, 1, 2}, dims[] = {1, CHANNELS, SIZE, SIZE};
    hd_graph *graph;
    hd_value operands[2], y;
    hd_tensor tensor = {.dtype = HD_FLOAT32,
                        .rank = 4,
                        .dims = {CHANNELS, CHANNELS, KERNEL, KERNEL},
                        .data = (void *)(uintptr_t)weight,
                        .size = sizeof weight};
    hd_attribute order = {.name = "perm", .kind = HD_ATTRIBUTE_INTS, .ints = perm, .count = 4};
    assert_int_equal(hd_graph_create(17, &graph, NULL), HD_OK);
    assert_int_equal(hd_graph_add_input(graph, "x", HD_FLOAT32, 4, dims, &operands[0], NULL),
                     HD_OK);
    assert_int_equal(hd_graph_add_constant(graph, &tensor, &operands[1], NULL), HD_OK);
    y = block_node(graph, graph->root, "Conv", NULL, 0, operands[0], operands[1], BLOCK_END);
    for (int i = 0; i < turns; i++) {
        y = block_node(graph, graph->root, "Transpose", &order, 1, y, BLOCK_END);
    }
    assert_int_equal(hd_graph_add_output(graph, "y", y, NULL), HD_OK);
    return block_model(device, graph, 0);
}

static void turns_behind_a_convolution_are_its_own_once(void **state)
{
    (void)state;
    static const float x[CHANNELS * SIZE * SIZE];
    hd_device *device;
    assert_int_equal(hd_device_open("cuda", NULL, &device, NULL), HD_OK);
    for (int turns = 0; turns < 3; turns++) {
        hd_model *model = make_model(device, turns);
        hd_tensor input = {.dtype = HD_FLOAT32,
                           .rank = 4,
                           .dims = {1, CHANNELS, SIZE, SIZE},
                           .data = (void *)(uintptr_t)x,
                           .size = sizeof x};
        hd_tensor output = {0};
        assert_int_equal(hd_model_run(model, &input, 1, &output, 1, NULL), HD_OK);
        size_t left = block_count_steps(model, "heddle.FromChannelsLast") +
                      block_count_steps(model, "Transpose");
        assert_int_equal(left > 0, turns > 0);
        hd_tensor_release(&output);
        hd_model_destroy(&model);
    }
    hd_device_destroy(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_behind_a_convolution_are_its_own_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
