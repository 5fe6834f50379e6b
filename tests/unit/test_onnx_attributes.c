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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_that_the_operator_does_not_have_are_refused),
        cmocka_unit_test(attributes_of_their_opset_are_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
