/* Functions of a model: what a call means, and what it may cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "graph/graph.h"
#include "heddle/heddle.h"
#include "onnx/onnx.h"
#include "onnx_bytes.h"
#include "support/test_device.h"

static hd_status try_load(bytes model, hd_graph **out, hd_error *error)
{
    *error = (hd_error){0};
    hd_status status = hd_onnx_load_memory(model.data, model.size, NULL, out, error);
    free(model.data);
    return status;
}

static hd_graph *load(bytes model)
{
    hd_graph *graph = NULL;
    hd_error error;
    hd_status status = try_load(model, &graph, &error);
    if (status != HD_OK) {
        print_error("%s: %s\n", hd_status_name(status), error.message);
    }
    assert_int_equal(status, HD_OK);
    return graph;
}

static void refuses(bytes model, hd_status expected, const char *word)
{
    hd_graph *graph = NULL;
    hd_error error;
    assert_int_equal(try_load(model, &graph, &error), expected);
    if (strstr(error.message, word) == NULL) {
        print_error("'%s' is not in: %s\n", word, error.message);
    }
    assert_non_null(strstr(error.message, word));
}

static bytes make_function(const char *name, const char *inputs, const char *outputs, int64_t opset)
{
    bytes function = {0};
    put_text(&function, 1, name);
    put_text(&function, 10, "local");
    put_list(&function, 4, inputs);
    put_list(&function, 5, outputs);
    put_message(&function, 9, make_operator_set("", opset));
    return function;
}

static bytes make_call(const char *function, const char *name, const char *inputs,
                       const char *outputs)
{
    bytes call = make_node(function, name, inputs, outputs);
    put_text(&call, 7, "local");
    return call;
}

static bytes make_reference(const char *name, int type, const char *to)
{
    bytes attribute = make_attribute(name, type);
    put_text(&attribute, 21, to);
    return attribute;
}

static bytes make_float(const char *name, float value)
{
    bytes attribute = make_attribute(name, 1);
    put_varint(&attribute, 2 << 3 | 5);
    put(&attribute, &value, sizeof value);
    return attribute;
}

/* y = function(x) */
static bytes calling(bytes call, int64_t opset)
{
    bytes graph = {0};
    add_input(&graph, "x");
    add_node(&graph, call);
    add_output(&graph, "y");
    return make_model(graph, opset);
}

/* "Leak": y = LeakyRelu(x) whose alpha is the function's "slope", 0.25 unless the call gives it. */
static bytes make_leak(void)
{
    bytes node = make_node("LeakyRelu", "leak", "x", "y");
    put_message(&node, 5, make_reference("alpha", 1, "slope"));
    bytes function = make_function("Leak", "x", "y", 17);
    put_message(&function, 7, node);
    put_message(&function, 11, make_float("slope", 0.25f));
    return function;
}

static float alpha_of(const hd_graph *graph)
{
    const hd_node *node = &graph->root->nodes[0];
    assert_string_equal(node->operator->name, "LeakyRelu");
    assert_int_equal(node->attribute_count, 1);
    return node->attributes[0].f;
}

static void an_attribute_has_the_functions_value_unless_the_call_gives_one(void **state)
{
    (void)state;
    for (int given = 0; given < 2; given++) {
        bytes call = make_call("Leak", "call", "x", "y");
        if (given == 1) {
            put_message(&call, 5, make_float("slope", 0.5f));
        }
        bytes model = calling(call, 17);
        put_message(&model, 25, make_leak());
        hd_graph *made = load(model);
        assert_true(alpha_of(made) == (given == 1 ? 0.5f : 0.25f));
        hd_graph_destroy(&made);
    }
}

/* "Outer" calls "Leak" with its own attribute "steep", 0.125 unless its call gives it. */
static void values_go_through_functions_that_call_functions(void **state)
{
    (void)state;
    for (int given = 0; given < 2; given++) {
        bytes inner = make_call("Leak", "inner", "a", "b");
        put_message(&inner, 5, make_reference("slope", 1, "steep"));
        bytes outer = make_function("Outer", "a", "b", 17);
        put_message(&outer, 7, inner);
        put_message(&outer, 11, make_float("steep", 0.125f));
        bytes call = make_call("Outer", "call", "x", "y");
        if (given == 1) {
            put_message(&call, 5, make_float("steep", 0.5f));
        }
        bytes model = calling(call, 17);
        put_message(&model, 25, outer);
        put_message(&model, 25, make_leak());
        hd_graph *made = load(model);
        assert_true(alpha_of(made) == (given == 1 ? 0.5f : 0.125f));
        hd_graph_destroy(&made);
    }
}

/* A call that gives nothing, of a function that only names the attribute, leaves it out. */
static void an_attribute_that_nobody_gives_has_the_operators_value(void **state)
{
    (void)state;
    bytes node = make_node("LeakyRelu", "leak", "x", "y");
    put_message(&node, 5, make_reference("alpha", 1, "slope"));
    bytes function = make_function("Leak", "x", "y", 17);
    put_text(&function, 6, "slope");
    put_message(&function, 7, node);
    bytes model = calling(make_call("Leak", "call", "x", "y"), 17);
    put_message(&model, 25, function);
    hd_graph *made = load(model);
    assert_int_equal(made->root->nodes[0].attribute_count, 0);
    hd_graph_destroy(&made);
}

static void a_branch_inside_a_function_sees_its_attributes(void **state)
{
    (void)state;
    bytes leak = make_node("LeakyRelu", "leak", "x", "t");
    put_message(&leak, 5, make_reference("alpha", 1, "slope"));
    bytes branch = {0};
    add_node(&branch, leak);
    put_message(&branch, 12, make_value("t", 1, 1, (const int64_t[]){2}));
    bytes choose = make_node("If", "choose", "c", "y");
    for (int i = 0; i < 2; i++) {
        bytes attribute = make_attribute(i == 0 ? "then_branch" : "else_branch", 5);
        put_bytes(&attribute, 6, branch.data, branch.size);
        put_message(&choose, 5, attribute);
    }
    free(branch.data);
    bytes function = make_function("Choose", "c,x", "y", 17);
    put_message(&function, 7, choose);
    put_message(&function, 11, make_float("slope", 0.25f));
    bytes graph = {0};
    add_input(&graph, "x");
    put_message(&graph, 11, make_value("c", 9, 0, NULL));
    add_node(&graph, make_call("Choose", "call", "c,x", "y"));
    add_output(&graph, "y");
    bytes model = make_model(graph, 17);
    put_message(&model, 25, function);
    hd_graph *made = load(model);
    for (int i = 0; i < 2; i++) {
        const hd_node *inside = &made->root->nodes[0].blocks[i]->nodes[0];
        assert_int_equal(inside->attribute_count, 1);
        assert_true(inside->attributes[0].f == 0.25f);
        assert_int_equal(inside->inputs[0], made->root->inputs[0]);
    }
    hd_graph_destroy(&made);
}

static void overloads_of_a_name_are_told_apart(void **state)
{
    (void)state;
    for (int which = 0; which < 3; which++) {
        bytes call = make_call("Either", "call", "x", "y");
        const char *overloads[] = {"", "abs", "neg"};
        put_text(&call, 8, overloads[which]);
        bytes model = calling(call, 17);
        const char *types[] = {"Identity", "Abs", "Neg"};
        for (int i = 0; i < 3; i++) {
            bytes function = make_function("Either", "x", "y", 17);
            put_message(&function, 7, make_node(types[i], "inside", "x", "y"));
            put_text(&function, 13, overloads[i]);
            put_message(&model, 25, function);
        }
        hd_graph *made = load(model);
        assert_string_equal(made->root->nodes[0].operator->name, types[which]);
        hd_graph_destroy(&made);
    }
}

static void two_functions_of_one_name_are_refused(void **state)
{
    (void)state;
    bytes model = calling(make_call("Twin", "call", "x", "y"), 17);
    for (int i = 0; i < 2; i++) {
        bytes function = make_function("Twin", "x", "y", 17);
        put_message(&function, 7, make_node("Abs", "inside", "x", "y"));
        put_message(&model, 25, function);
    }
    refuses(model, HD_BAD_MODEL, "Twin");
}

/* Softmax of a 1x2x2 tensor: over the last axis from opset 13 on, before it over all from axis 1. The
 * model has the other opset, and a Softmax of its own. */
static void nodes_of_a_function_mean_what_its_opset_says(void **state)
{
    (void)state;
    const int64_t dims[] = {1, 2, 2};
    for (int old = 0; old < 2; old++) {
        bytes function = make_function("Soft", "a", "b", old == 1 ? 11 : 13);
        put_message(&function, 7, make_node("Softmax", "inside", "a", "b"));
        bytes graph = {0};
        put_message(&graph, 11, make_value("x", 1, 3, dims));
        add_node(&graph, make_call("Soft", "call", "x", "y"));
        add_node(&graph, make_node("Softmax", "own", "x", "z"));
        put_message(&graph, 12, make_value("y", 1, 3, dims));
        put_message(&graph, 12, make_value("z", 1, 3, dims));
        bytes bytes_of_model = make_model(graph, old == 1 ? 13 : 11);
        put_message(&bytes_of_model, 25, function);
        hd_device *device;
        hd_model *model;
        hd_error error = {0};
        assert_int_equal(hd_device_open(test_device_name(), NULL, &device, &error), HD_OK);
        assert_int_equal(hd_model_load_memory(device, bytes_of_model.data, bytes_of_model.size,
                                              NULL, &model, &error),
                         HD_OK);
        free(bytes_of_model.data);
        float x[4] = {0}, y[4], z[4];
        hd_tensor input = {
            .dtype = HD_FLOAT32, .rank = 3, .dims = {1, 2, 2}, .data = x, .size = 16};
        hd_tensor outputs[2] = {{.data = y, .size = 16}, {.data = z, .size = 16}};
        assert_int_equal(hd_model_run(model, &input, 1, outputs, 2, &error), HD_OK);
        for (int i = 0; i < 4; i++) {
            assert_true(y[i] == (old == 1 ? 0.25f : 0.5f));
            assert_true(z[i] == (old == 1 ? 0.5f : 0.25f));
        }
        hd_model_destroy(&model);
        hd_device_destroy(&device);
    }
}

/* Add with `axis`: an attribute that only opsets up to 6 know. */
static void attributes_of_a_functions_opset_are_its_own(void **state)
{
    (void)state;
    for (int64_t opset = 6; opset <= 7; opset++) {
        bytes node = make_node("Add", "inside", "x,x", "y");
        bytes broadcast = make_attribute("broadcast", 2);
        put_int(&broadcast, 3, 1);
        put_message(&node, 5, broadcast);
        bytes function = make_function("Old", "x", "y", opset);
        put_message(&function, 7, node);
        bytes model = calling(make_call("Old", "call", "x", "y"), 17);
        put_message(&model, 25, function);
        if (opset == 6) {
            hd_graph *made = load(model);
            assert_int_equal(made->root->nodes[0].opset, 6);
            assert_int_equal(made->opset, 17);
            hd_graph *copy = hd_graph_clone(made);
            assert_int_equal(copy->root->nodes[0].opset, 6);
            assert_int_equal(copy->opset, 17);
            hd_graph_destroy(&copy);
            hd_graph_destroy(&made);
        } else {
            refuses(model, HD_BAD_MODEL, "broadcast");
        }
    }
}

static void a_functions_opset_of_the_future_is_refused_where_it_is_called(void **state)
{
    (void)state;
    for (int called = 0; called < 2; called++) {
        bytes function = make_function("New", "x", "y", 99);
        put_message(&function, 7, make_node("Abs", "inside", "x", "y"));
        bytes model = calling(
            called == 1 ? make_call("New", "call", "x", "y") : make_node("Neg", "n", "x", "y"), 17);
        put_message(&model, 25, function);
        if (called == 1) {
            refuses(model, HD_UNSUPPORTED, "opset 99");
        } else {
            hd_graph *made = load(model);
            hd_graph_destroy(&made);
        }
    }
}

/* Clip(x, low, high) whose call leaves `low` out, and one that stops before `high`. */
static void inputs_that_a_call_leaves_out_are_left_out_inside(void **state)
{
    (void)state;
    for (int shorter = 0; shorter < 2; shorter++) {
        bytes function = make_function("Between", "x,low,high", "y", 17);
        put_message(&function, 7, make_node("Clip", "inside", "x,low,high", "y"));
        bytes graph = {0};
        add_input(&graph, "x");
        put_message(&graph, 11, make_value("top", 1, 0, NULL));
        add_node(&graph, make_call("Between", "call", shorter == 1 ? "x,top" : "x,,top", "y"));
        add_output(&graph, "y");
        bytes model = make_model(graph, 17);
        put_message(&model, 25, function);
        hd_graph *made = load(model);
        const hd_node *clip = &made->root->nodes[0];
        assert_int_equal(clip->input_count, shorter == 1 ? 2 : 3);
        assert_int_equal(clip->inputs[shorter == 1 ? 1 : 2], made->root->inputs[1]);
        if (shorter == 0) {
            assert_int_equal(clip->inputs[1], HD_VALUE_NONE);
        }
        hd_graph_destroy(&made);
    }
}

/* A constant inside a function, called twice, is in memory once. */
static void calls_share_the_constants_of_their_function(void **state)
{
    (void)state;
    bytes value = make_attribute("value", 4);
    put_message(&value, 5, make_floats("", 2, (const float[]){3, 4}));
    bytes constant = make_node("Constant", "constant", "", "k");
    put_message(&constant, 5, value);
    bytes function = make_function("Plus", "x", "y", 17);
    put_message(&function, 7, constant);
    put_message(&function, 7, make_node("Add", "add", "x,k", "y"));
    bytes graph = {0};
    add_input(&graph, "x");
    add_node(&graph, make_call("Plus", "one", "x", "t"));
    add_node(&graph, make_call("Plus", "two", "t", "y"));
    add_output(&graph, "y");
    bytes model = make_model(graph, 17);
    put_message(&model, 25, function);
    hd_graph *made = load(model);
    assert_int_equal(made->root->node_count, 2);
    assert_int_equal(made->root->nodes[0].inputs[1], made->root->nodes[1].inputs[1]);
    hd_graph_destroy(&made);
}

/* A constant that the call gives is not shared with other calls. */
static void constants_that_the_calls_give_are_their_own(void **state)
{
    (void)state;
    bytes constant = make_node("Constant", "constant", "", "k");
    put_message(&constant, 5, make_reference("value_float", 1, "v"));
    bytes function = make_function("Plus", "x", "y", 17);
    put_message(&function, 7, constant);
    put_message(&function, 7, make_node("Add", "add", "x,k", "y"));
    bytes graph = {0};
    add_input(&graph, "x");
    for (int i = 0; i < 2; i++) {
        bytes call = make_call("Plus", "call", i == 0 ? "x" : "t", i == 0 ? "t" : "y");
        put_message(&call, 5, make_float("v", (float)i + 1));
        add_node(&graph, call);
    }
    add_output(&graph, "y");
    bytes model = make_model(graph, 17);
    put_message(&model, 25, function);
    hd_graph *made = load(model);
    for (int i = 0; i < 2; i++) {
        const float *k = made->values[made->root->nodes[i].inputs[1]].data;
        assert_true(*k == (float)i + 1);
    }
    hd_graph_destroy(&made);
}

/* "f0" calls "f1" twice, and so on; the last one has `width` of something that no output needs. */
static bytes doubling_functions(int depth, int width, int what)
{
    bytes model = calling(make_call("f0", "call", "x", "y"), 17);
    for (int level = 0; level < depth; level++) {
        char name[16], next[16];
        snprintf(name, sizeof name, "f%d", level);
        snprintf(next, sizeof next, "f%d", level + 1);
        bytes function = make_function(name, "x", "y", 17);
        put_message(&function, 7, make_call(next, "one", "x", "t"));
        put_message(&function, 7, make_call(next, "two", "t", "y"));
        put_message(&model, 25, function);
    }
    char last[16];
    snprintf(last, sizeof last, "f%d", depth);
    bytes function = make_function(last, "x", "y", 17);
    bytes node = make_node("Identity", "n", "x", "y");
    for (int i = 0; i < width; i++) {
        char name[16];
        snprintf(name, sizeof name, "u%d", i);
        if (what == 0) {
            put_text(&function, 4, name);
        } else if (what == 1) {
            put_message(&function, 7, make_node("Identity", "", "x", name));
        } else {
            bytes attribute = make_attribute(name, 7);
            put_int(&attribute, 8, 1);
            put_message(&node, 5, attribute);
        }
    }
    put_message(&function, 7, node);
    put_message(&model, 25, function);
    return model;
}

static void calls_that_multiply_are_refused_at_once(void **state)
{
    (void)state;
    for (int what = 0; what < 3; what++) {
        uint64_t start = thread_time();
        refuses(doubling_functions(20, 200, what), HD_UNSUPPORTED, "MB");
        refuses(doubling_functions(30, 0, what), HD_UNSUPPORTED, "MB");
        assert_true(thread_time() - start < 4 * UINT64_C(1000000000));
    }
    hd_graph *made = load(doubling_functions(10, 0, 0));
    assert_int_equal(made->root->node_count, 1024);
    hd_graph_destroy(&made);
}

/* A model of many functions, with as many calls, attributes and references to them. */
static void many_functions_and_references_take_linear_time(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    uint64_t start = thread_time();
    bytes graph = {0};
    bytes all = {0};
    bytes wide = make_call("wide", "wide", "x", "y");
    bytes body = make_function("wide", "x", "y", 17);
    add_input(&graph, "x");
    for (int i = 0; i < COUNT; i++) {
        char name[16], from[16], to[16], attribute[16];
        snprintf(name, sizeof name, "f%d", i);
        snprintf(from, sizeof from, "t%d", i);
        snprintf(to, sizeof to, "t%d", i + 1);
        snprintf(attribute, sizeof attribute, "a%d", i);
        bytes function = make_function(name, "x", "y", 17);
        put_message(&function, 7, make_node("Abs", "", "x", "y"));
        put_message(&all, 25, function);
        add_node(&graph, make_call(name, "", i == 0 ? "x" : from, to));
        put_message(&wide, 5, make_float(attribute, (float)i));
        bytes leak = make_node("LeakyRelu", "", i == 0 ? "x" : from, i == COUNT - 1 ? "y" : to);
        put_message(&leak, 5, make_reference("alpha", 1, attribute));
        put_message(&body, 7, leak);
    }
    add_node(&graph, wide);
    add_output(&graph, "y");
    bytes model = make_model(graph, 17);
    put(&model, all.data, all.size);
    free(all.data);
    put_message(&model, 25, body);
    hd_graph *made = load(model);
    assert_int_equal(made->root->node_count, COUNT);
    assert_true(made->root->nodes[COUNT - 1].attributes[0].f == (float)(COUNT - 1));
    hd_graph_destroy(&made);
    assert_true(thread_time() - start < 5 * UINT64_C(1000000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_attribute_has_the_functions_value_unless_the_call_gives_one),
        cmocka_unit_test(values_go_through_functions_that_call_functions),
        cmocka_unit_test(an_attribute_that_nobody_gives_has_the_operators_value),
        cmocka_unit_test(a_branch_inside_a_function_sees_its_attributes),
        cmocka_unit_test(overloads_of_a_name_are_told_apart),
        cmocka_unit_test(two_functions_of_one_name_are_refused),
        cmocka_unit_test(nodes_of_a_function_mean_what_its_opset_says),
        cmocka_unit_test(attributes_of_a_functions_opset_are_its_own),
        cmocka_unit_test(a_functions_opset_of_the_future_is_refused_where_it_is_called),
        cmocka_unit_test(inputs_that_a_call_leaves_out_are_left_out_inside),
        cmocka_unit_test(calls_share_the_constants_of_their_function),
        cmocka_unit_test(constants_that_the_calls_give_are_their_own),
        cmocka_unit_test(calls_that_multiply_are_refused_at_once),
        cmocka_unit_test(many_functions_and_references_take_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
