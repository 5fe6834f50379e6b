/* What planning folds for a device with memory of its own is there once, not on both sides, and stays on the host where that
 * reads it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "heddle/heddle.h"
#include "support/block_graph.h"
#include "support/test_device.h"

enum { COUNT = 100000 };

static float x[COUNT];

/* y = x + [0, 1, 2, ...], where the numbers follow from x's size; and the numbers themselves, or how many of y are not zero. */
static hd_model *make_model(hd_device *device, bool gives_numbers, bool counts)
{
    static const int64_t zero, one = 1;
    hd_graph *graph;
    hd_value input, begin, step;
    const int64_t dims[] = {-1};
    hd_tensor scalar = {.dtype = HD_INT64, .data = (void *)(uintptr_t)&zero, .size = sizeof zero};
    assert_int_equal(hd_graph_create(17, &graph, NULL), HD_OK);
    assert_int_equal(hd_graph_add_input(graph, "x", HD_FLOAT32, 1, dims, &input, NULL), HD_OK);
    assert_int_equal(hd_graph_add_constant(graph, &scalar, &begin, NULL), HD_OK);
    scalar.data = (void *)(uintptr_t)&one;
    assert_int_equal(hd_graph_add_constant(graph, &scalar, &step, NULL), HD_OK);
    hd_value size = block_node(graph, graph->root, "Size", NULL, 0, input, BLOCK_END);
    hd_value range = block_node(graph, graph->root, "Range", NULL, 0, begin, size, step, BLOCK_END);
    hd_attribute type = {.name = "to", .kind = HD_ATTRIBUTE_INT, .i = 1 /* ONNX's float */};
    hd_value numbers = block_node(graph, graph->root, "Cast", &type, 1, range, BLOCK_END);
    hd_value y = block_node(graph, graph->root, "Add", NULL, 0, input, numbers, BLOCK_END);
    assert_int_equal(hd_graph_add_output(graph, "y", y, NULL), HD_OK);
    if (gives_numbers) {
        assert_int_equal(hd_graph_add_output(graph, "numbers", numbers, NULL), HD_OK);
    } else if (counts) { /* a segment that follows, in which the numbers are read again */
        hd_value found = block_node(graph, graph->root, "NonZero", NULL, 0, y, BLOCK_END);
        hd_value number = block_node(graph, graph->root, "Size", NULL, 0, found, BLOCK_END);
        assert_int_equal(hd_graph_add_output(graph, "number", number, NULL), HD_OK);
        hd_value z = block_node(graph, graph->root, "Mul", NULL, 0, y, numbers, BLOCK_END);
        assert_int_equal(hd_graph_add_output(graph, "z", z, NULL), HD_OK);
    }
    return block_model(device, graph, 0);
}

static uint64_t plan_bytes(hd_device *device)
{
    hd_memory_info info = {.struct_size = sizeof info};
    assert_int_equal(hd_device_get_memory(device, &info), HD_OK);
    return info.plan_bytes;
}

/* Runs twice, the second time warm. */
static void run(hd_model *model, size_t output_count, hd_tensor *outputs)
{
    hd_tensor input = {
        .dtype = HD_FLOAT32, .rank = 1, .dims = {COUNT}, .data = x, .size = sizeof x};
    for (int i = 0; i < 2; i++) {
        for (size_t k = 0; k < output_count; k++) {
            hd_tensor_release(&outputs[k]);
        }
        memset(outputs, 0, output_count * sizeof *outputs);
        hd_error error = {0};
        if (hd_model_run(model, &input, 1, outputs, output_count, &error) != HD_OK) {
            fail_msg("%s", error.message);
        }
        const float *y = outputs[0].data;
        for (size_t n = 0; n < COUNT; n += 111) {
            assert_true(y[n] == x[n] + (float)n);
        }
    }
}

static void what_only_the_device_reads_is_there_once(void **state)
{
    (void)state;
    hd_device *device;
    hd_tensor outputs[1] = {{0}};
    assert_int_equal(hd_device_open(test_device_name(), NULL, &device, NULL), HD_OK);
    hd_model *model = make_model(device, false, false);
    run(model, 1, outputs);
    hd_tensor_release(&outputs[0]);
    uint64_t bytes = plan_bytes(device);
    if (strcmp(test_device_name(), "cpu") != 0) {
        assert_true(bytes >= sizeof x); /* the device's */
        assert_true(bytes <
                    sizeof x + sizeof x / 4); /* and neither the host's, nor what it was made of */
    }
    hd_model_destroy(&model);
    assert_int_equal(plan_bytes(device), 0);
    hd_device_destroy(&device);
}

static void what_an_output_reads_stays(void **state)
{
    (void)state;
    hd_device *device;
    hd_tensor outputs[2] = {{0}};
    assert_int_equal(hd_device_open(test_device_name(), NULL, &device, NULL), HD_OK);
    hd_model *model = make_model(device, true, false);
    run(model, 2, outputs);
    for (size_t n = 0; n < COUNT; n++) {
        assert_true(((const float *)outputs[1].data)[n] == (float)n);
    }
    hd_tensor_release(&outputs[0]);
    hd_tensor_release(&outputs[1]);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
}

static void what_a_segment_that_follows_reads_stays(void **state)
{
    (void)state;
    hd_device *device;
    hd_tensor outputs[3] = {{0}};
    assert_int_equal(hd_device_open(test_device_name(), NULL, &device, NULL), HD_OK);
    hd_model *model = make_model(device, false, true);
    run(model, 3, outputs);
    size_t count = 0;
    for (size_t n = 0; n < COUNT; n++) {
        float y = x[n] + (float)n;
        count += y != 0;
        assert_true(((const float *)outputs[2].data)[n] == y * (float)n);
    }
    assert_int_equal(*(const int64_t *)outputs[1].data, count);
    for (int k = 0; k < 3; k++) {
        hd_tensor_release(&outputs[k]);
    }
    hd_model_destroy(&model);
    hd_device_destroy(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_only_the_device_reads_is_there_once),
        cmocka_unit_test(what_an_output_reads_stays),
        cmocka_unit_test(what_a_segment_that_follows_reads_stays),
    };
    for (size_t n = 0; n < COUNT; n++) {
        x[n] = (float)(n % 7) - 3;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
