/* A device and the model y = x + 1 on it, for tests of how both begin and end. */
#ifndef HD_TEST_LIFECYCLE_FIXTURE_H
#define HD_TEST_LIFECYCLE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "heddle/heddle.h"
#include "support/test_device.h"

#define SIZE    256
#define FOREVER HD_WAIT_FOREVER

static hd_error error;

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != HD_OK) {                                                                     \
            fail_msg("%s: %s", #call, error.message);                                              \
        }                                                                                          \
    } while (0)

static inline hd_device *open_device(void)
{
    hd_device *device;
    assert_ok(hd_device_open(test_device_name(), NULL, &device, &error));
    return device;
}

/* y = x + 1 over floats [-1]. */
static inline hd_model *make_model(hd_device *device)
{
    static const int64_t dims[] = {-1};
    float one = 1;
    hd_tensor constant = {.dtype = HD_FLOAT32, .data = &one, .size = sizeof one};
    hd_graph *graph;
    hd_value values[2], sum;
    hd_model *model;
    assert_ok(hd_graph_create(0, &graph, &error));
    assert_ok(hd_graph_add_input(graph, "x", HD_FLOAT32, 1, dims, &values[0], &error));
    assert_ok(hd_graph_add_constant(graph, &constant, &values[1], &error));
    assert_ok(hd_graph_add_node(graph, "Add", values, 2, NULL, 0, &sum, 1, &error));
    assert_ok(hd_graph_add_output(graph, "y", sum, &error));
    assert_ok(hd_model_create(device, graph, NULL, &model, &error));
    hd_graph_destroy(&graph);
    return model;
}

static inline hd_tensor tensor_of(float *data)
{
    return (hd_tensor){
        .dtype = HD_FLOAT32, .rank = 1, .dims = {SIZE}, .data = data, .size = SIZE * sizeof *data};
}

static inline hd_status run(hd_model *model)
{
    float x[SIZE], y[SIZE];
    for (size_t i = 0; i < SIZE; i++) {
        x[i] = (float)i;
    }
    hd_tensor input = tensor_of(x), output = tensor_of(y);
    hd_status status = hd_model_run(model, &input, 1, &output, 1, NULL);
    if (status == HD_OK && (y[0] != 1 || y[SIZE - 1] != SIZE)) {
        return HD_INTERNAL;
    }
    return status;
}

#endif
