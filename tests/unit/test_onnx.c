/* ONNX import: what a file says becomes the graph that it means. Bad files: test_onnx_bad.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"
#include "graph/graph.h"
#include "onnx/onnx.h"
#include "onnx_bytes.h"

static hd_graph *load(bytes model)
{
    hd_graph *graph = NULL;
    hd_error error = {0};
    hd_status status = hd_onnx_load_memory(model.data, model.size, NULL, &graph, &error);
    free(model.data);
    if (status != HD_OK) {
        print_error("%s: %s\n", hd_status_name(status), error.message);
    }
    assert_int_equal(status, HD_OK);
    return graph;
}

static const hd_graph_value *value_at(const hd_graph *graph, hd_value value)
{
    assert_true(value != HD_VALUE_NONE && value < graph->value_count);
    return &graph->values[value];
}

static const hd_node *node_at(const hd_block *block, size_t index, const char *name)
{
    assert_true(index < block->node_count);
    assert_string_equal(block->nodes[index].name, name);
    return &block->nodes[index];
}

static void loads_inputs_nodes_weights_and_outputs(void **state)
{
    (void)state;
    bytes graph = {0};
    add_input(&graph, "x");
    add_tensor(&graph, make_floats("w", 2, (const float[]){3, 4}));
    add_node(&graph, make_node("Sum", "join", "x,w", "y"));
    add_output(&graph, "y");
    hd_graph *made = load(make_model(graph, 13));
    assert_int_equal(made->opset, 13);
    assert_int_equal(made->root->input_count, 1);
    assert_string_equal(value_at(made, made->root->inputs[0])->name, "x");
    assert_int_equal(made->root->output_count, 1);
    assert_string_equal(made->root->output_names[0], "y");
    const hd_node *node = node_at(made->root, 0, "join");
    assert_string_equal(node->operator->name, "Sum");
    assert_int_equal(node->input_count, 2);
    assert_int_equal(node->inputs[0], made->root->inputs[0]);
    assert_int_equal(node->outputs[0], made->root->outputs[0]);
    const hd_graph_value *weight = value_at(made, node->inputs[1]);
    assert_int_equal(weight->shape.dims[0], 2);
    assert_memory_equal(weight->data, ((const float[]){3, 4}), 8);
    hd_graph_destroy(&made);
}

static void sorts_nodes_that_stand_before_what_they_read(void **state)
{
    (void)state;
    bytes graph = {0};
    add_input(&graph, "x");
    add_node(&graph, make_node("Identity", "third", "b", "y"));
    add_node(&graph, make_node("Identity", "second", "a", "b"));
    add_node(&graph, make_node("Identity", "first", "x", "a"));
    add_output(&graph, "y");
    hd_graph *made = load(make_model(graph, 13));
    node_at(made->root, 0, "first");
    node_at(made->root, 1, "second");
    node_at(made->root, 2, "third");
    hd_graph_destroy(&made);
}

static void sorts_a_chain_of_100000_nodes_without_deep_recursion(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    bytes graph = {0};
    char from[16];
    char to[16];
    for (int i = COUNT; i-- > 0;) {
        snprintf(from, sizeof from, "v%d", i);
        snprintf(to, sizeof to, "v%d", i + 1);
        add_node(&graph, make_node("Identity", to, from, to));
    }
    add_input(&graph, "v0");
    add_output(&graph, "v100000");
    hd_graph *made = load(make_model(graph, 13));
    assert_int_equal(made->root->node_count, COUNT);
    node_at(made->root, 0, "v1");
    hd_graph_destroy(&made);
}

static void drops_what_no_output_needs(void **state)
{
    (void)state;
    bytes graph = {0};
    bytes unused = make_node("Frobnicate", "unused", "w", "z");
    put_text(&unused, 7, "com.example");
    add_input(&graph, "x");
    add_tensor(&graph, make_floats("w", 2, (const float[]){3, 4}));
    add_node(&graph, make_node("Identity", "used", "x", "y"));
    add_node(&graph, unused);
    add_output(&graph, "y");
    hd_graph *made = load(make_model(graph, 13));
    assert_int_equal(made->root->node_count, 1);
    for (size_t i = 1; i < made->value_count; i++) {
        assert_null(made->values[i].data);
    }
    hd_graph_destroy(&made);
}

static void an_initializer_among_the_inputs_is_a_constant(void **state)
{
    (void)state;
    bytes graph = {0};
    add_input(&graph, "w");
    add_input(&graph, "x");
    add_tensor(&graph, make_floats("w", 2, (const float[]){3, 4}));
    add_node(&graph, make_node("Sum", "n", "x,w", "y"));
    add_output(&graph, "y");
    hd_graph *made = load(make_model(graph, 6));
    assert_int_equal(made->root->input_count, 1);
    assert_string_equal(value_at(made, made->root->inputs[0])->name, "x");
    assert_non_null(value_at(made, made->root->nodes[0].inputs[1])->data);
    hd_graph_destroy(&made);
}

/* An input of rank 5: 2, -1, 0, "?", and "batch". */
static bytes make_odd_input(void)
{
    bytes shape = {0};
    for (int i = 0; i < 5; i++) {
        bytes dim = {0};
        if (i < 3) {
            put_int(&dim, 1, ((const int64_t[]){2, -1, 0})[i]);
        } else {
            put_text(&dim, 2, i == 3 ? "?" : "batch");
        }
        put_message(&shape, 1, dim);
    }
    bytes left_out = {0};
    put_message(&shape, 1, left_out);
    bytes tensor_type = {0};
    put_int(&tensor_type, 1, HD_INT64);
    put_message(&tensor_type, 2, shape);
    bytes type = {0};
    put_message(&type, 1, tensor_type);
    bytes value = {0};
    put_text(&value, 1, "x");
    put_message(&value, 2, type);
    return value;
}

static void dimensions_of_minus_1_0_question_mark_or_left_out_are_unknown(void **state)
{
    (void)state;
    bytes graph = {0};
    put_message(&graph, 11, make_odd_input());
    add_node(&graph, make_node("Identity", "n", "x", "y"));
    add_output(&graph, "y");
    hd_graph *made = load(make_model(graph, 13));
    const hd_graph_value *input = value_at(made, made->root->inputs[0]);
    assert_int_equal(input->dtype, HD_INT64);
    assert_int_equal(input->shape.rank, 6);
    assert_int_equal(input->shape.dims[0], 2);
    for (int i = 1; i < 6; i++) {
        assert_int_equal(input->shape.dims[i], -1);
    }
    assert_null(input->dim_names[3]);
    assert_string_equal(input->dim_names[4], "batch");
    hd_graph_destroy(&made);
}

/* A constant of 2 x 1 elements in int32_data; packed or one field an element. */
static hd_graph *load_int32_data(int dtype, bool is_packed, const int64_t values[2])
{
    bytes tensor = make_tensor("w", dtype, 2, (const int64_t[]){2, 1});
    bytes packed = {0};
    for (int i = 0; i < 2; i++) {
        if (is_packed) {
            put_varint(&packed, (uint64_t)values[i]);
        } else {
            put_int(&tensor, 5, values[i]);
        }
    }
    if (is_packed) {
        put_bytes(&tensor, 5, packed.data, packed.size);
    }
    free(packed.data);
    bytes graph = {0};
    add_tensor(&graph, tensor);
    add_node(&graph, make_node("Identity", "n", "w", "y"));
    put_message(&graph, 12, make_value("y", dtype, 0, NULL));
    return load(make_model(graph, 13));
}

static void elements_in_typed_fields_are_read_packed_or_not(void **state)
{
    (void)state;
    for (int packed = 0; packed < 2; packed++) {
        hd_graph *made = load_int32_data(HD_INT32, packed == 1, (const int64_t[]){-5, 1 << 20});
        const hd_graph_value *value = value_at(made, made->root->nodes[0].inputs[0]);
        assert_memory_equal(value->data, ((const int32_t[]){-5, 1 << 20}), 8);
        assert_int_equal(value->shape.rank, 2);
        hd_graph_destroy(&made);
        made = load_int32_data(HD_FLOAT16, packed == 1, (const int64_t[]){0x3C00, 0xC000});
        value = value_at(made, made->root->nodes[0].inputs[0]);
        assert_memory_equal(value->data, ((const uint16_t[]){0x3C00, 0xC000}), 4);
        hd_graph_destroy(&made);
        made = load_int32_data(HD_BOOL, packed == 1, (const int64_t[]){0, 7});
        value = value_at(made, made->root->nodes[0].inputs[0]);
        assert_memory_equal(value->data, "\0\1", 2);
        hd_graph_destroy(&made);
    }
}

static bytes make_constant_node(const char *output, bytes attribute)
{
    bytes node = make_node("Constant", output, "", output);
    put_message(&node, 5, attribute);
    return node;
}

static void constant_nodes_become_constants(void **state)
{
    (void)state;
    bytes graph = {0};
    bytes a = make_attribute("value", 4);
    put_message(&a, 5, make_floats("", 2, (const float[]){1, 2}));
    bytes b = make_attribute("value_int", 2);
    put_int(&b, 3, -7);
    bytes c = make_attribute("value_ints", 7);
    put_int(&c, 8, 8);
    put_int(&c, 8, 9);
    bytes d = make_attribute("value_float", 1);
    put_varint(&d, 2 << 3 | 5);
    put(&d, (const float[]){0.5f}, 4);
    add_node(&graph, make_constant_node("a", a));
    add_node(&graph, make_constant_node("b", b));
    add_node(&graph, make_constant_node("c", c));
    add_node(&graph, make_constant_node("d", d));
    add_output(&graph, "a");
    add_output(&graph, "b");
    add_output(&graph, "c");
    add_output(&graph, "d");
    hd_graph *made = load(make_model(graph, 13));
    assert_int_equal(made->root->node_count, 0);
    const hd_graph_value *values[4];
    for (int i = 0; i < 4; i++) {
        values[i] = value_at(made, made->root->outputs[i]);
    }
    assert_memory_equal(values[0]->data, ((const float[]){1, 2}), 8);
    assert_int_equal(values[0]->shape.dims[0], 2);
    assert_int_equal(values[1]->dtype, HD_INT64);
    assert_int_equal(values[1]->shape.rank, 0);
    assert_memory_equal(values[1]->data, ((const int64_t[]){-7}), 8);
    assert_memory_equal(values[2]->data, ((const int64_t[]){8, 9}), 16);
    assert_memory_equal(values[3]->data, ((const float[]){0.5f}), 4);
    hd_graph_destroy(&made);
}

static bytes make_graph_attribute(const char *name, bytes graph)
{
    bytes attribute = make_attribute(name, 5);
    put_message(&attribute, 6, graph);
    return attribute;
}

static void branches_of_if_see_outer_names_and_hide_them_with_their_own(void **state)
{
    (void)state;
    bytes then_graph = {0}; /* reads `late`, which the outer graph defines further down */
    add_node(&then_graph, make_node("Identity", "in_then", "late", "t"));
    add_output(&then_graph, "t");
    bytes else_graph = {0}; /* has a `w` of its own */
    add_tensor(&else_graph, make_floats("w", 2, (const float[]){8, 9}));
    add_node(&else_graph, make_node("Identity", "in_else", "w", "e"));
    add_output(&else_graph, "e");
    bytes node = make_node("If", "choose", "condition", "y");
    put_message(&node, 5, make_graph_attribute("else_branch", else_graph));
    put_message(&node, 5, make_graph_attribute("then_branch", then_graph));
    bytes graph = {0};
    put_message(&graph, 11, make_value("condition", HD_BOOL, 0, NULL));
    add_input(&graph, "x");
    add_tensor(&graph, make_floats("w", 2, (const float[]){1, 2}));
    add_node(&graph, node);
    add_node(&graph, make_node("Sum", "maker", "x,w", "late"));
    add_output(&graph, "y");
    hd_graph *made = load(make_model(graph, 13));
    const hd_node *maker = node_at(made->root, 0, "maker");
    const hd_node *choose = node_at(made->root, 1, "choose");
    assert_int_equal(choose->attribute_count, 0);
    const hd_node *in_then = node_at(choose->blocks[0], 0, "in_then");
    const hd_node *in_else = node_at(choose->blocks[1], 0, "in_else");
    assert_int_equal(in_then->inputs[0], maker->outputs[0]);
    assert_memory_equal(value_at(made, in_else->inputs[0])->data, ((const float[]){8, 9}), 8);
    assert_memory_equal(value_at(made, maker->inputs[1])->data, ((const float[]){1, 2}), 8);
    hd_graph_destroy(&made);
}

/* Function "Twice" of domain "local": y = Concat(x, x) along the axis that the call gives. */
static bytes make_function(void)
{
    bytes axis = make_attribute("axis", 2);
    put_text(&axis, 21, "along");
    bytes concat = make_node("Concat", "inside", "x,x", "t");
    put_message(&concat, 5, axis);
    bytes function = {0};
    put_text(&function, 1, "Twice");
    put_text(&function, 10, "local");
    put_text(&function, 4, "x");
    put_text(&function, 5, "y");
    put_text(&function, 6, "along");
    put_message(&function, 7, concat);
    put_message(&function, 7, make_node("Identity", "last", "t", "y"));
    put_message(&function, 9, make_operator_set("", 15));
    return function;
}

static void functions_are_expanded_where_they_are_called(void **state)
{
    (void)state;
    bytes graph = {0};
    add_input(&graph, "t");
    for (int i = 0; i < 2; i++) {
        bytes along = make_attribute("along", 2);
        put_int(&along, 3, i);
        bytes call =
            make_node("Twice", i == 0 ? "call0" : "call1", i == 0 ? "t" : "u", i == 0 ? "u" : "y");
        put_text(&call, 7, "local");
        put_message(&call, 5, along);
        add_node(&graph, call);
    }
    add_output(&graph, "y");
    bytes model = make_model(graph, 15);
    put_message(&model, 25, make_function());
    hd_graph *made = load(model);
    assert_int_equal(made->root->node_count, 4);
    for (size_t i = 0; i < 2; i++) {
        const hd_node *concat = node_at(made->root, 2 * i, "inside");
        assert_int_equal(concat->attribute_count, 1);
        assert_string_equal(concat->attributes[0].name, "axis");
        assert_int_equal(concat->attributes[0].i, (int64_t)i);
    }
    assert_int_equal(made->root->nodes[2].inputs[0], made->root->nodes[1].outputs[0]);
    assert_int_equal(made->root->outputs[0], made->root->nodes[3].outputs[0]);
    hd_graph_destroy(&made);
}

static void operators_that_did_not_change_load_from_opset_1(void **state)
{
    (void)state;
    bytes graph = {0};
    add_input(&graph, "x");
    add_node(&graph, make_node("Softmax", "n", "x", "y"));
    add_output(&graph, "y");
    hd_graph *made = load(make_model(graph, 1));
    assert_int_equal(made->opset, 6);
    hd_graph_destroy(&made);
}

#if defined(HD_FAULT)
static void every_allocation_that_fails_is_a_status(void **state)
{
    (void)state;
    uint64_t nth = 1;
    hd_status status;
    do {
        bytes graph = {0};
        bytes along = make_attribute("along", 2);
        put_int(&along, 3, 0);
        bytes call = make_node("Twice", "call", "x", "t");
        put_text(&call, 7, "local");
        put_message(&call, 5, along);
        add_input(&graph, "x");
        add_tensor(&graph, make_floats("w", 2, (const float[]){3, 4}));
        add_node(&graph, call);
        add_node(&graph, make_node("Sum", "n", "t,w", "y"));
        add_output(&graph, "y");
        bytes model = make_model(graph, 15);
        put_message(&model, 25, make_function());
        hd_graph *made = NULL;
        hd_error error = {0};
        hd_fault_arm(nth, 0, 0);
        status = hd_onnx_load_memory(model.data, model.size, NULL, &made, &error);
        hd_fault_disarm();
        free(model.data);
        if (status != HD_OK) {
            assert_int_equal(status, HD_OUT_OF_MEMORY);
            assert_null(made);
            assert_true(strlen(error.message) > 0);
        }
        hd_graph_destroy(&made);
        nth++;
    } while (status != HD_OK && nth < 10000);
    assert_true(nth > 20 && nth < 10000);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads_inputs_nodes_weights_and_outputs),
        cmocka_unit_test(sorts_nodes_that_stand_before_what_they_read),
        cmocka_unit_test(sorts_a_chain_of_100000_nodes_without_deep_recursion),
        cmocka_unit_test(drops_what_no_output_needs),
        cmocka_unit_test(an_initializer_among_the_inputs_is_a_constant),
        cmocka_unit_test(dimensions_of_minus_1_0_question_mark_or_left_out_are_unknown),
        cmocka_unit_test(elements_in_typed_fields_are_read_packed_or_not),
        cmocka_unit_test(constant_nodes_become_constants),
        cmocka_unit_test(branches_of_if_see_outer_names_and_hide_them_with_their_own),
        cmocka_unit_test(functions_are_expanded_where_they_are_called),
        cmocka_unit_test(operators_that_did_not_change_load_from_opset_1),
#if defined(HD_FAULT)
        cmocka_unit_test(every_allocation_that_fails_is_a_status),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
