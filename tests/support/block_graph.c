#include "block_graph.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "graph/expansion.h"
#include "graph/model.h"
#include "graph/plan.h"

hd_value block_node(hd_graph *graph, hd_block *block, const char *type,
                    const hd_attribute *attributes, size_t attribute_count, ...)
{
    hd_value inputs[16];
    size_t count = 0;
    va_list list;
    va_start(list, attribute_count);
    for (hd_value value; (value = va_arg(list, hd_value)) != BLOCK_END;) {
        assert_true(count < 16);
        inputs[count++] = value;
    }
    va_end(list);
    hd_value output = hd_graph_new_value(graph, "");
    hd_error error;
    if (hd_graph_append(graph, block, type, type, inputs, count, &output, 1, attributes,
                        attribute_count, NULL, &error) != HD_OK) {
        fail_msg("%s", error.message);
    }
    return output;
}

void block_control(hd_graph *graph, hd_block *block, const char *type, const hd_value *inputs,
                   size_t input_count, hd_block *first, hd_block *second, hd_value *out_values,
                   size_t output_count)
{
    hd_node *node;
    for (size_t i = 0; i < output_count; i++) {
        out_values[i] = hd_graph_new_value(graph, "");
    }
    hd_error error;
    if (hd_graph_append(graph, block, type, type, inputs, input_count, out_values, output_count,
                        NULL, 0, &node, &error) != HD_OK) {
        fail_msg("%s", error.message);
    }
    node->blocks[0] = first;
    node->blocks[1] = second;
}

hd_value block_input(hd_graph *graph, hd_block *block, const char *name, hd_dtype dtype)
{
    hd_value value = hd_graph_new_value(graph, name);
    assert_int_not_equal(value, HD_VALUE_NONE);
    graph->values[value].dtype = dtype;
    assert_true(hd_block_add_input(block, value));
    return value;
}

void block_output(hd_graph *graph, hd_block *block, const char *name, hd_value value)
{
    assert_true(hd_block_add_output(graph, block, name, value));
}

static hd_value constant(hd_graph *graph, hd_dtype dtype, size_t count, const void *values)
{
    hd_tensor tensor =
        count == 0 ? block_scalar(dtype, values) : block_tensor(dtype, count, values);
    hd_value value;
    assert_int_equal(hd_graph_add_constant(graph, &tensor, &value, NULL), HD_OK);
    return value;
}

hd_value block_floats(hd_graph *graph, size_t count, const float *values)
{
    return constant(graph, HD_FLOAT32, count, values);
}

hd_value block_ints(hd_graph *graph, size_t count, const int64_t *values)
{
    return constant(graph, HD_INT64, count, values);
}

hd_value block_bool(hd_graph *graph, bool value)
{
    return constant(graph, HD_BOOL, 0, &value);
}

hd_model *block_model(hd_device *device, hd_graph *graph, uint32_t capacity)
{
    hd_model_options options = {.struct_size = sizeof options, .plan_cache_capacity = capacity};
    hd_model *model;
    hd_error error;
    if (hd_model_create(device, graph, &options, &model, &error) != HD_OK) {
        fail_msg("%s", error.message);
    }
    hd_graph_destroy(&graph);
    return model;
}

hd_tensor block_tensor(hd_dtype dtype, size_t count, const void *data)
{
    return (hd_tensor){.dtype = dtype,
                       .rank = 1,
                       .dims = {(int64_t)count},
                       .data = (void *)(uintptr_t)data,
                       .size = count * hd_dtype_size(dtype)};
}

hd_tensor block_scalar(hd_dtype dtype, const void *data)
{
    return (hd_tensor){
        .dtype = dtype, .data = (void *)(uintptr_t)data, .size = hd_dtype_size(dtype)};
}

size_t block_count_steps(const hd_model *model, const char *type)
{
    size_t count = 0;
    for (uint32_t lane = 0; lane < HD_LANE_COUNT; lane++) {
        const hd_plan *plan = model->memos[lane].plans[0];
        for (size_t i = 0; plan != NULL && i < plan->recipe.step_count; i++) {
            count += strcmp(plan->recipe.steps[i].type, type) == 0;
        }
    }
    return count;
}

void block_run(hd_model *model, const hd_tensor *inputs, size_t input_count, hd_tensor *outputs,
               size_t output_count)
{
    memset(outputs, 0, output_count * sizeof *outputs);
    hd_error error;
    if (hd_model_run(model, inputs, input_count, outputs, output_count, &error) != HD_OK) {
        fail_msg("%s", error.message);
    }
}

void block_expect_floats(const hd_tensor *output, size_t count, const float *values)
{
    assert_int_equal(output->dtype, HD_FLOAT32);
    assert_int_equal(output->size, count * sizeof *values);
    for (size_t i = 0; i < count; i++) {
        float element = ((const float *)output->data)[i];
        if (!(fabsf(element - values[i]) <= 1e-5f * (1 + fabsf(values[i])))) {
            fail_msg("element %zu is %g, not %g", i, (double)element, (double)values[i]);
        }
    }
}

void block_expect_ints(const hd_tensor *output, size_t count, const int64_t *values)
{
    assert_int_equal(output->dtype, HD_INT64);
    assert_int_equal(output->size, count * sizeof *values);
    if (count > 0) {
        assert_memory_equal(output->data, values, output->size);
    }
}
