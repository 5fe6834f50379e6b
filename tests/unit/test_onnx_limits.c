/* Large and hostile files: what honest ones need is loaded, and no choice of names, lists or nesting
 * makes loading slow or large. */
#include <pthread.h>
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

#define SECOND UINT64_C(1000000000)

typedef struct attempt {
    bytes model;
    hd_graph *graph;
    hd_error error;
    hd_status status;
} attempt;

static void *run_attempt(void *context)
{
    attempt *load = context;
    load->status =
        hd_onnx_load_memory(load->model.data, load->model.size, NULL, &load->graph, &load->error);
    free(load->model.data);
    return NULL;
}

static attempt try_load(bytes model)
{
    attempt load = {.model = model};
    run_attempt(&load);
    return load;
}

static hd_graph *load(bytes model)
{
    attempt done = try_load(model);
    if (done.status != HD_OK) {
        fail_msg("%s", done.error.message);
    }
    return done.graph;
}

static bytes make_branch(bytes node, const char *output)
{
    bytes graph = {0};
    add_node(&graph, node);
    put_message(&graph, 12, make_value(output, 1, 1, (const int64_t[]){2}));
    return graph;
}

/* An If in an If and so on, `depth` of them. */
static bytes make_nested(int depth)
{
    char output[16] = "t";
    bytes node = make_node("Abs", "inmost", "x", output);
    for (int i = 0; i < depth; i++) {
        bytes inner = make_branch(node, output);
        bytes other = make_branch(make_node("Neg", "", "x", "o"), "o");
        snprintf(output, sizeof output, "r%d", i);
        node = make_node("If", output, "c", i == depth - 1 ? "y" : output);
        for (int b = 0; b < 2; b++) {
            bytes attribute = make_attribute(b == 0 ? "then_branch" : "else_branch", 5);
            put_message(&attribute, 6, b == 0 ? inner : other);
            put_message(&node, 5, attribute);
        }
    }
    bytes graph = {0};
    add_input(&graph, "x");
    put_message(&graph, 11, make_value("c", 9, 0, NULL));
    add_node(&graph, node);
    add_output(&graph, "y");
    return make_model(graph, 17);
}

/* On a stack of a megabyte, as threads of other systems have. */
static void inner_graphs_nest_deep_on_a_small_stack(void **state)
{
    (void)state;
    pthread_attr_t attributes;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, (size_t)1 << 20), 0);
    const int depths[] = {30, 80, 90, 5000};
    for (size_t i = 0; i < sizeof depths / sizeof depths[0]; i++) {
        attempt load = {.model = make_nested(depths[i])};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, &attributes, run_attempt, &load), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(load.status, depths[i] <= 80 ? HD_OK : HD_BAD_MODEL);
        if (load.status != HD_OK) {
            assert_non_null(strstr(load.error.message, "nesting"));
        }
        hd_graph_destroy(&load.graph);
    }
    pthread_attr_destroy(&attributes);
}

/* A list of numbers that is not packed, field by field, as ONNX's own writers leave it. */
static bytes make_numbers(const char *name, size_t count)
{
    bytes attribute = make_attribute(name, 7);
    for (size_t i = 0; i < count; i++) {
        put_int(&attribute, 8, (int64_t)(i % 100));
    }
    return attribute;
}

static void a_list_of_five_million_numbers_is_read(void **state)
{
    (void)state;
    enum { COUNT = 5000000 };
    bytes constant = make_node("Constant", "constant", "", "y");
    put_message(&constant, 5, make_numbers("value_ints", COUNT));
    bytes graph = {0};
    add_node(&graph, constant);
    put_message(&graph, 12, make_value("y", 7, 1, (const int64_t[]){COUNT}));
    hd_graph *made = load(make_model(graph, 17));
    const hd_graph_value *value = &made->values[made->root->outputs[0]];
    assert_int_equal(value->shape.dims[0], COUNT);
    for (int64_t i = 0; i < COUNT; i++) {
        assert_true(((const int64_t *)value->data)[i] == i % 100);
    }
    hd_graph_destroy(&made);
}

/* Lists of two kinds in turn, in an attribute and in the one after it, do not run together. */
static void lists_end_where_their_attribute_ends(void **state)
{
    (void)state;
    bytes graph = {0};
    put_message(&graph, 11, make_value("x", 1, 4, (const int64_t[]){1, 1, 8, 8}));
    bytes pool = make_node("MaxPool", "pool", "x", "y");
    const char *names[] = {"kernel_shape", "strides"};
    for (int i = 0; i < 2; i++) {
        bytes attribute = {0};
        put_text(&attribute, 1, names[i]);
        put_int(&attribute, 20, 7);
        put_int(&attribute, 8, i + 2);
        put_int(&attribute, 8, i + 4);
        put_message(&pool, 5, attribute);
    }
    add_node(&graph, pool);
    put_message(&graph, 12, make_value("y", 1, 4, (const int64_t[]){1, 1, 3, 2}));
    hd_graph *made = load(make_model(graph, 17));
    const hd_node *node = &made->root->nodes[0];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(node->attributes[i].count, 2);
        assert_int_equal(node->attributes[i].ints[0], i + 2);
        assert_int_equal(node->attributes[i].ints[1], i + 4);
    }
    hd_graph_destroy(&made);
}

/* A forest of decision trees: more fields than any network has, and none of our operators. */
static void a_forest_of_two_million_branches_names_its_operator(void **state)
{
    (void)state;
    enum { COUNT = 2000000 };
    bytes forest = make_node("TreesOfOthers", "forest", "x", "y");
    put_text(&forest, 7, "ai.onnx.ml");
    put_message(&forest, 5, make_numbers("nodes_featureids", COUNT));
    put_message(&forest, 5, make_numbers("nodes_nodeids", COUNT));
    bytes modes = make_attribute("nodes_modes", 8);
    for (int i = 0; i < COUNT; i++) {
        put_text(&modes, 9, "BRANCH_LEQ");
    }
    put_message(&forest, 5, modes);
    bytes graph = {0};
    add_input(&graph, "x");
    add_node(&graph, forest);
    add_output(&graph, "y");
    attempt load = try_load(make_model(graph, 17));
    assert_int_equal(load.status, HD_UNSUPPORTED);
    assert_non_null(strstr(load.error.message, "TreesOfOthers of domain ai.onnx.ml x 1"));
}

static void many_texts_of_an_attribute_are_taken(void **state)
{
    (void)state;
    for (int count = 64; count <= 100000; count *= 25) {
        bytes node = make_node("Abs", "odd", "x", "y");
        bytes attribute = make_attribute("__texts", 8);
        for (int i = 0; i < count; i++) {
            put_text(&attribute, 9, "t");
        }
        put_message(&node, 5, attribute);
        bytes graph = {0};
        add_input(&graph, "x");
        add_node(&graph, node);
        add_output(&graph, "y");
        attempt load = try_load(make_model(graph, 17));
        assert_int_equal(load.status, HD_OK);
        hd_graph_destroy(&load.graph);
    }
}

/* Names of `count` values whose 64-bit FNV-1a hashes are equal modulo a table's size, or which have
 * long common beginnings. */
static void names_that_are_chosen_to_be_slow_are_not(void **state)
{
    (void)state;
    enum { COUNT = 20000, LONG = 400 };
    char common[LONG + 1];
    memset(common, 'n', LONG);
    common[LONG] = '\0';
    for (int kind = 0; kind < 2; kind++) {
        bytes graph = {0};
        add_input(&graph, "x");
        char last[LONG + 32] = "x", name[LONG + 32];
        uint64_t found = 0;
        for (int i = 0; i < COUNT; i++) {
            if (kind == 0) {
                uint64_t hash;
                do { /* the low 7 bits equal, as far as trying takes no time */
                    snprintf(name, sizeof name, "%llx", (unsigned long long)found++);
                    hash = UINT64_C(14695981039346656037);
                    for (const char *at = name; *at != '\0'; at++) {
                        hash = (hash ^ (unsigned char)*at) * UINT64_C(1099511628211);
                    }
                } while (((hash ^ hash >> 29) & 127) != 0);
            } else {
                snprintf(name, sizeof name, "%s%d", common, i);
            }
            add_node(&graph, make_node("Abs", "", last, name));
            memcpy(last, name, sizeof last);
        }
        add_node(&graph, make_node("Abs", "", last, "y"));
        add_output(&graph, "y");
        bytes model = make_model(graph, 17);
        uint64_t start = thread_time();
        hd_graph *made = load(model);
        assert_int_equal(made->root->node_count, COUNT + 1);
        hd_graph_destroy(&made);
        assert_true(thread_time() - start < 5 * SECOND);
    }
}

/* Many inputs, outputs and initializers, of which each is looked for. */
static void very_many_names_take_no_more_than_their_share(void **state)
{
    (void)state;
    enum { COUNT = 50000 };
    bytes graph = {0};
    bytes sum = {0};
    for (int i = 0; i < COUNT; i++) {
        char input[16], weight[16], inputs[40], output[16];
        snprintf(input, sizeof input, "x%d", i);
        snprintf(weight, sizeof weight, "w%d", i);
        snprintf(inputs, sizeof inputs, "%s,%s", input, weight);
        snprintf(output, sizeof output, "y%d", i);
        add_input(&graph, input);
        add_input(&graph, weight);
        add_tensor(&graph, make_floats(weight, 2, (const float[]){1, 2}));
        put_message(&sum, 1, make_node("Add", "", inputs, output));
        add_output(&graph, output);
    }
    put(&graph, sum.data, sum.size);
    free(sum.data);
    bytes model = make_model(graph, 17);
    uint64_t start = thread_time();
    hd_graph *made = load(model);
    assert_int_equal(made->root->input_count, COUNT);
    hd_graph_destroy(&made);
    assert_true(thread_time() - start < 5 * SECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inner_graphs_nest_deep_on_a_small_stack),
        cmocka_unit_test(a_list_of_five_million_numbers_is_read),
        cmocka_unit_test(lists_end_where_their_attribute_ends),
        cmocka_unit_test(a_forest_of_two_million_branches_names_its_operator),
        cmocka_unit_test(many_texts_of_an_attribute_are_taken),
        cmocka_unit_test(names_that_are_chosen_to_be_slow_are_not),
        cmocka_unit_test(very_many_names_take_no_more_than_their_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
