/* ONNX import: attributes that the operator does not have at its opset. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "onnx_refusal.h"

/* y = op(x) with one attribute more, which is freed. */
static bytes with_attribute(const char *type, const char *name, bytes attribute, int64_t opset)
{
    bytes node = make_node(type, name, "x", "y");
    put_message(&node, 5, attribute);
    bytes graph = {0};
    add_input(&graph, "x");
    add_node(&graph, node);
    add_output(&graph, "y");
    return make_model(graph, opset);
}

static bytes make_text_attribute(const char *name)
{
    bytes attribute = make_attribute(name, 3);
    put_text(&attribute, 4, "hello");
    return attribute;
}

static bytes make_int_attribute(const char *name, int64_t value)
{
    bytes attribute = make_attribute(name, 2);
    put_int(&attribute, 3, value);
    return attribute;
}

static bytes make_float_attribute(const char *name)
{
    bytes attribute = make_attribute(name, 1);
    put_varint(&attribute, 2 << 3 | 5);
    put(&attribute, (const float[]){1}, sizeof(float));
    return attribute;
}

static void attributes_that_the_operator_does_not_have_are_refused(void **state)
{
    (void)state;
    refuses(with_attribute("Softmax", "soft", make_text_attribute("axis"), 13), HD_BAD_MODEL,
            "soft|Softmax|'axis'|a text|an integer");
    refuses(with_attribute("Clip", "clip", make_float_attribute("min"), 13), HD_BAD_MODEL,
            "clip|Clip|'min'|opset 13");
    refuses(with_attribute("Relu", "rectify", make_int_attribute("frob", 1), 13), HD_BAD_MODEL,
            "rectify|Relu|'frob'");
    bytes graph = {0};
    add_input(&graph, "x");
    add_node(&graph, make_node("Concat", "join", "x,x", "y"));
    add_output(&graph, "y");
    refuses(make_model(graph, 13), HD_BAD_MODEL, "join|Concat|'axis'|missing");
    bytes inner = make_attribute("body", 5);
    put_message(&inner, 6, (bytes){0});
    refuses(with_attribute("Relu", "rectify", inner, 13), HD_BAD_MODEL,
            "rectify|Relu|inner graphs");
}

static void attributes_of_their_opset_are_accepted(void **state)
{
    (void)state;
    bytes models[] = {with_attribute("Clip", "clip", make_float_attribute("min"), 10),
                      with_attribute("Softmax", "soft", make_int_attribute("axis", 0), 13),
                      with_attribute("Relu", "rectify", make_int_attribute("__private", 1), 13)};
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        hd_graph *graph = NULL;
        assert_int_equal(hd_onnx_load_memory(models[i].data, models[i].size, NULL, &graph, NULL),
                         HD_OK);
        hd_graph_destroy(&graph);
        free(models[i].data);
    }
}

/* A model of one node, whose operands are x and y as often as the lists name them. */
static bytes with_operands(const char *type, const char *inputs, const char *outputs, int64_t opset)
{
    bytes graph = {0};
    add_input(&graph, "x");
    add_node(&graph, make_node(type, "node", inputs, outputs));
    add_output(&graph, "y");
    return make_model(graph, opset);
}

static void operands_that_another_opset_has_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *type, *inputs, *outputs;
        int64_t opset;
        const char *words;
    } cases[] = {
        {"Clip", "x,x", "y", 10, "node|Clip|2 inputs|opset 10|1 to 1"},
        {"Clip", "x,,x", "y", 6, "3 inputs|opset 6"},
        {"DFT", "x,x,x", "y", 19, "3 inputs|1 to 2"},
        {"Dropout", "x,x", "y", 11, "2 inputs|opset 11"},
        {"Gemm", "x,x", "y", 10, "2 inputs|3 to 3"},
        {"Pad", "x,x", "y", 10, "2 inputs|1 to 1"},
        {"Pad", "x,x,,x", "y", 17, "4 inputs|2 to 3"},
        {"Pad", "x", "y", 11, "1 inputs|2 to 3"},
        {"ReduceMean", "x,x", "y", 17, "2 inputs|opset 17"},
        {"ReduceSum", "x,x", "y", 12, "2 inputs|opset 12"},
        {"Resize", "x,x,x", "y", 10, "3 inputs|2 to 2"},
        {"Resize", "x", "y", 11, "1 inputs|3 to 4"},
        {"Slice", "x,x,x", "y", 9, "3 inputs|1 to 1"},
        {"Slice", "x,x", "y", 10, "2 inputs|3 to 5"},
        {"Split", "x,x", "y,z", 12, "2 inputs|opset 12"},
        {"Squeeze", "x,x", "y", 12, "2 inputs|opset 12"},
        {"TopK", "x", "y,z", 10, "1 inputs|2 to 2"},
        {"Unsqueeze", "x", "y", 13, "1 inputs|2 to 2"},
        {"BatchNormalization", "x,x,x,x,x", "y,a,b,c", 14, "4 outputs|1 to 3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        refuses(with_operands(cases[i].type, cases[i].inputs, cases[i].outputs, cases[i].opset),
                HD_BAD_MODEL, cases[i].words);
    }
    bytes pool = make_node("MaxPool", "node", "x", "y,z");
    bytes kernel = make_attribute("kernel_shape", 7);
    put_int(&kernel, 8, 1);
    put_message(&pool, 5, kernel);
    bytes graph = {0};
    add_input(&graph, "x");
    add_node(&graph, pool);
    add_output(&graph, "y");
    refuses(make_model(graph, 7), HD_BAD_MODEL, "node|MaxPool|2 outputs|opset 7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_that_the_operator_does_not_have_are_refused),
        cmocka_unit_test(attributes_of_their_opset_are_accepted),
        cmocka_unit_test(operands_that_another_opset_has_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
