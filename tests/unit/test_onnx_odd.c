/* ONNX files that are legal and rarely met: other engines' readers have stumbled over each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

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
        fail_msg("%s", error.message);
    }
    return graph;
}

/* y = Identity(w) */
static hd_graph *load_weight(bytes tensor, int dtype)
{
    bytes graph = {0};
    add_tensor(&graph, tensor);
    add_node(&graph, make_node("Identity", "n", "w", "y"));
    put_message(&graph, 12, make_value("y", dtype, 0, NULL));
    return load(make_model(graph, 17));
}

static const hd_graph_value *weight_of(const hd_graph *graph)
{
    return &graph->values[graph->root->nodes[0].inputs[0]];
}

/* Negative numbers stand there with 64 bits, as protobuf writes them. */
static void small_integers_are_read_from_int32_data(void **state)
{
    (void)state;
    const struct {
        int dtype;
        int64_t values[2];
        const char *bytes;
    } cases[] = {
        {HD_INT8, {-3, 5}, "\xfd\x05"},
        {HD_UINT8, {250, 5}, "\xfa\x05"},
        {HD_INT16, {-300, 5}, "\xd4\xfe\x05\x00"},
        {HD_UINT16, {65000, 5}, "\xe8\xfd\x05\x00"},
        {HD_BFLOAT16, {0x3f80, 0xc000}, "\x80\x3f\x00\xc0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bytes tensor = make_tensor("w", cases[i].dtype, 1, (const int64_t[]){2});
        put_int(&tensor, 5, cases[i].values[0]);
        put_int(&tensor, 5, cases[i].values[1]);
        hd_graph *made = load_weight(tensor, cases[i].dtype);
        size_t size = 2 * hd_dtype_size((hd_dtype)cases[i].dtype);
        assert_memory_equal(weight_of(made)->data, cases[i].bytes, size);
        hd_graph_destroy(&made);
    }
}

static void unsigned_integers_are_read_from_uint64_data(void **state)
{
    (void)state;
    for (int wide = 0; wide < 2; wide++) {
        bytes tensor = make_tensor("w", wide == 1 ? HD_UINT64 : HD_UINT32, 0, NULL);
        put_int(&tensor, 11, wide == 1 ? INT64_MIN : 0xfffffffe);
        hd_graph *made = load_weight(tensor, wide == 1 ? HD_UINT64 : HD_UINT32);
        const uint64_t wanted = wide == 1 ? UINT64_C(1) << 63 : 0xfffffffe;
        assert_int_equal(weight_of(made)->shape.rank, 0);
        assert_memory_equal(weight_of(made)->data, &wanted, wide == 1 ? 8 : 4);
        hd_graph_destroy(&made);
    }
}

static void raw_data_counts_where_there_are_both(void **state)
{
    (void)state;
    for (int before = 0; before < 2; before++) {
        const float raw[] = {7, 8}, typed[] = {1, 2};
        bytes tensor = make_tensor("w", HD_FLOAT32, 1, (const int64_t[]){2});
        for (int i = 0; i < 2; i++) {
            if (i == before) {
                put_bytes(&tensor, 4, typed, sizeof typed);
            } else {
                put_bytes(&tensor, 9, raw, sizeof raw);
            }
        }
        hd_graph *made = load_weight(tensor, HD_FLOAT32);
        assert_memory_equal(weight_of(made)->data, raw, sizeof raw);
        hd_graph_destroy(&made);
    }
}

static void a_tensor_of_no_elements_needs_no_data(void **state)
{
    (void)state;
    for (int raw = 0; raw < 2; raw++) {
        bytes tensor = make_tensor("w", HD_FLOAT32, 2, (const int64_t[]){3, 0});
        if (raw == 1) {
            put_bytes(&tensor, 9, "", 0);
        }
        hd_graph *made = load_weight(tensor, HD_FLOAT32);
        assert_int_equal(weight_of(made)->shape.dims[0], 3);
        assert_int_equal(weight_of(made)->shape.dims[1], 0);
        hd_graph_destroy(&made);
    }
}

static void inputs_and_initializers_may_be_outputs(void **state)
{
    (void)state;
    bytes graph = {0};
    add_input(&graph, "x");
    add_input(&graph, "unused");
    add_tensor(&graph, make_floats("w", 2, (const float[]){3, 4}));
    for (int i = 0; i < 2; i++) {
        add_output(&graph, "x");
        add_output(&graph, "w");
    }
    hd_graph *made = load(make_model(graph, 17));
    assert_int_equal(made->root->input_count, 2);
    assert_int_equal(made->root->node_count, 0);
    assert_int_equal(made->root->output_count, 4);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(made->root->outputs[2 * i], made->root->inputs[0]);
        assert_memory_equal(made->values[made->root->outputs[2 * i + 1]].data,
                            ((const float[]){3, 4}), 8);
    }
    hd_graph_destroy(&made);
}

static void outputs_without_a_name_are_left_out(void **state)
{
    (void)state;
    bytes graph = {0};
    add_input(&graph, "x");
    put_message(&graph, 11, make_value("k", HD_INT64, 1, (const int64_t[]){1}));
    bytes top = make_node("TopK", "same", "x,k", "");
    put_text(&top, 2, "");
    put_text(&top, 2, "i");
    add_node(&graph, top);
    add_node(&graph, make_node("Abs", "same", "x", "y")); /* nor do nodes' names matter */
    put_message(&graph, 12, make_value("i", HD_INT64, 1, (const int64_t[]){1}));
    add_output(&graph, "y");
    hd_graph *made = load(make_model(graph, 17));
    assert_int_equal(made->root->node_count, 2);
    assert_int_equal(made->root->nodes[0].output_count, 2);
    assert_int_equal(made->root->nodes[0].outputs[0], HD_VALUE_NONE);
    hd_graph_destroy(&made);
}

static bytes make_if(bytes then_graph, bytes else_graph)
{
    bytes node = make_node("If", "choose", "c", "y");
    for (int i = 0; i < 2; i++) {
        bytes attribute = make_attribute(i == 0 ? "then_branch" : "else_branch", 5);
        put_message(&attribute, 6, i == 0 ? then_graph : else_graph);
        put_message(&node, 5, attribute);
    }
    return node;
}

/* One branch gives an outer value as it is, the other an initializer of its own, whose name is that of
 * an outer one. */
static void branches_without_nodes_give_what_they_name(void **state)
{
    (void)state;
    bytes graph = {0}, then_graph = {0}, else_graph = {0};
    put_message(&then_graph, 12, make_value("x", 1, 1, (const int64_t[]){2}));
    add_tensor(&else_graph, make_floats("w", 2, (const float[]){8, 9}));
    put_message(&else_graph, 12, make_value("w", 1, 1, (const int64_t[]){2}));
    add_input(&graph, "x");
    put_message(&graph, 11, make_value("c", 9, 0, NULL));
    add_tensor(&graph, make_floats("w", 2, (const float[]){3, 4}));
    add_node(&graph, make_if(then_graph, else_graph));
    add_node(&graph, make_node("Add", "sum", "y,w", "z"));
    add_output(&graph, "z");
    hd_graph *made = load(make_model(graph, 17));
    const hd_node *choose = &made->root->nodes[0];
    assert_int_equal(choose->blocks[0]->outputs[0], made->root->inputs[0]);
    assert_memory_equal(made->values[choose->blocks[1]->outputs[0]].data, ((const float[]){8, 9}),
                        8);
    assert_memory_equal(made->values[made->root->nodes[1].inputs[1]].data, ((const float[]){3, 4}),
                        8);
    hd_graph_destroy(&made);
}

/* A Loop in a branch reads what the branch and the root make. */
static void inner_graphs_read_through_several_levels(void **state)
{
    (void)state;
    bytes body = {0}, then_graph = {0}, else_graph = {0}, graph = {0};
    put_message(&body, 11, make_value("i", HD_INT64, 0, NULL));
    put_message(&body, 11, make_value("go", HD_BOOL, 0, NULL));
    put_message(&body, 11, make_value("s", 1, 1, (const int64_t[]){2}));
    add_node(&body, make_node("Identity", "", "go", "go_on"));
    add_node(&body, make_node("Sum", "sum", "s,inner,outer,w", "t"));
    put_message(&body, 12, make_value("go_on", HD_BOOL, 0, NULL));
    put_message(&body, 12, make_value("t", 1, 1, (const int64_t[]){2}));
    bytes attribute = make_attribute("body", 5);
    put_message(&attribute, 6, body);
    bytes loop = make_node("Loop", "loop", "m,,x", "r");
    put_message(&loop, 5, attribute);
    add_node(&then_graph, loop); /* before what it reads */
    add_node(&then_graph, make_node("Neg", "inner", "x", "inner"));
    put_message(&then_graph, 12, make_value("r", 1, 1, (const int64_t[]){2}));
    put_message(&else_graph, 12, make_value("x", 1, 1, (const int64_t[]){2}));
    add_input(&graph, "x");
    put_message(&graph, 11, make_value("c", HD_BOOL, 0, NULL));
    put_message(&graph, 11, make_value("m", HD_INT64, 0, NULL));
    add_tensor(&graph, make_floats("w", 2, (const float[]){3, 4}));
    add_node(&graph, make_if(then_graph, else_graph)); /* before what it reads */
    add_node(&graph, make_node("Abs", "outer", "x", "outer"));
    add_output(&graph, "y");
    hd_graph *made = load(make_model(graph, 17));
    assert_string_equal(made->root->nodes[0].name, "outer");
    const hd_block *branch = made->root->nodes[1].blocks[0];
    assert_string_equal(branch->nodes[0].name, "inner");
    const hd_block *turn = branch->nodes[1].blocks[0];
    const hd_node *sum = &turn->nodes[turn->node_count - 1];
    assert_string_equal(sum->name, "sum");
    assert_int_equal(sum->inputs[0], turn->inputs[2]);
    assert_int_equal(sum->inputs[1], branch->nodes[0].outputs[0]);
    assert_int_equal(sum->inputs[2], made->root->nodes[0].outputs[0]);
    assert_memory_equal(made->values[sum->inputs[3]].data, ((const float[]){3, 4}), 8);
    hd_graph_destroy(&made);
}

static void texts_for_readers_are_passed_over(void **state)
{
    (void)state;
    bytes graph = {0};
    bytes node = make_node("Abs", "n", "x", "y");
    put_text(&node, 6, "what it does");
    put_text(&node, 7, "ai.onnx"); /* ONNX's own domain, by its other name */
    add_input(&graph, "x");
    add_node(&graph, node);
    put_text(&graph, 10, "what it is");
    add_output(&graph, "y");
    bytes model = make_model(graph, 17);
    put_text(&model, 2, "a producer");
    put_text(&model, 6, "more");
    hd_graph *made = load(model);
    assert_int_equal(made->root->node_count, 1);
    hd_graph_destroy(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_integers_are_read_from_int32_data),
        cmocka_unit_test(unsigned_integers_are_read_from_uint64_data),
        cmocka_unit_test(raw_data_counts_where_there_are_both),
        cmocka_unit_test(a_tensor_of_no_elements_needs_no_data),
        cmocka_unit_test(inputs_and_initializers_may_be_outputs),
        cmocka_unit_test(outputs_without_a_name_are_left_out),
        cmocka_unit_test(branches_without_nodes_give_what_they_name),
        cmocka_unit_test(inner_graphs_read_through_several_levels),
        cmocka_unit_test(texts_for_readers_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
