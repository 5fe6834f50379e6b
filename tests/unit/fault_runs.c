#include "fault_runs.h"

#if defined(HD_FAULT)
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "support/block_graph.h"
#include "support/test_device.h"

hd_device *device;
hd_graph *shared_graph;
hd_model *shared_model;
uint32_t run_rows;
bool run_owned;

int fault_runs_open(void **state)
{
    (void)state;
    hd_device_options options = {.struct_size = sizeof options, .thread_count = 2};
    return hd_device_open(test_device_name(), &options, &device, NULL) == HD_OK ? 0 : -1;
}

void fault_runs_check_nothing_is_held(void)
{
    hd_memory_info info = {.struct_size = sizeof info};
    assert_int_equal(hd_device_get_memory(device, &info), HD_OK);
    assert_int_equal(info.weight_bytes, 0);
    assert_int_equal(info.plan_bytes, 0);
}

int fault_runs_close(void **state)
{
    (void)state;
    fault_runs_check_nothing_is_held();
    hd_device_destroy(&device);
    return 0;
}

hd_status build_graph(hd_graph **out_graph, hd_error *error)
{
    static float weights[8 * 16], bias[16];
    hd_graph *graph = NULL;
    hd_value x, w, b, product, sum, y, values[1];
    int64_t dims[] = {-1, 8};
    hd_tensor weight = {
        .dtype = HD_FLOAT32, .rank = 2, .dims = {8, 16}, .data = weights, .size = sizeof weights};
    hd_tensor biases = block_tensor(HD_FLOAT32, 16, bias),
              value = block_tensor(HD_FLOAT32, 1, (float[]){0});
    for (size_t i = 0; i < 8 * 16; i++) {
        weights[i] = i % 17 == 0 ? 1 : 0;
    }
    hd_attribute tensor = {.name = "value", .kind = HD_ATTRIBUTE_TENSOR, .tensor = &value};
    hd_status status = hd_graph_create(0, &graph, error);
    if (status == HD_OK) {
        status = hd_graph_add_input(graph, "x", HD_FLOAT32, 2, dims, &x, error);
    }
    if (status == HD_OK) {
        status = hd_graph_add_constant(graph, &weight, &w, error);
    }
    if (status == HD_OK) {
        status = hd_graph_add_constant(graph, &biases, &b, error);
    }
    if (status == HD_OK) {
        status =
            hd_graph_add_node(graph, "MatMul", (hd_value[]){x, w}, 2, NULL, 0, &product, 1, error);
    }
    if (status == HD_OK) {
        status = hd_graph_add_node(graph, "Shape", (hd_value[]){b}, 1, NULL, 0, values, 1, error);
    }
    if (status == HD_OK) {
        status = hd_graph_add_node(graph, "ConstantOfShape", values, 1, &tensor, 1, &b, 1, error);
    }
    if (status == HD_OK) {
        status =
            hd_graph_add_node(graph, "Add", (hd_value[]){product, b}, 2, NULL, 0, &sum, 1, error);
    }
    if (status == HD_OK) {
        status = hd_graph_add_node(graph, "Relu", &sum, 1, NULL, 0, &y, 1, error);
    }
    if (status == HD_OK) {
        status = hd_graph_add_output(graph, "y", y, error);
    }
    if (status != HD_OK) {
        hd_graph_destroy(&graph);
    }
    *out_graph = graph;
    return status;
}

hd_status run_shared(hd_error *error)
{
    float x[6 * 8], y[6 * 16];
    for (size_t i = 0; i < 6 * 8; i++) {
        x[i] = (float)i - 20;
    }
    hd_tensor input = {
        .dtype = HD_FLOAT32, .rank = 2, .dims = {run_rows, 8}, .data = x, .size = sizeof x};
    hd_tensor output = {.data = run_owned ? y : NULL, .size = run_owned ? sizeof y : 0},
              before = output;
    hd_status status = hd_model_run(shared_model, &input, 1, &output, 1, error);
    if (status != HD_OK) {
        assert_memory_equal(&output, &before, sizeof output);
        return status;
    }
    assert_int_equal(output.size, run_rows * 16 * sizeof(float));
    for (size_t r = 0; r < run_rows; r++) {
        for (size_t c = 0; c < 16; c++) {
            float wanted = c < 8 && x[r * 8 + c] > 0 ? x[r * 8 + c] : 0;
            assert_true(((float *)output.data)[r * 16 + c] == wanted);
        }
    }
    if (!run_owned) {
        hd_tensor_release(&output);
    }
    return HD_OK;
}
#endif
