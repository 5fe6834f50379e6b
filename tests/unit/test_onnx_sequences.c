/* ONNX import: sequences whose parts are known when a file is read, and what is refused of others. ONNX's own models with
 * sequences are in the conformance test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "onnx_refusal.h"

/* A graph of x, the constant n, and the nodes that a text lists as "TYPE inputs outputs;"; it gives y. */
static bytes make_graph(const char *nodes, int64_t n)
{
    bytes graph = {0};
    bytes number = make_tensor("n", 7, 0, NULL);
    put_bytes(&number, 9, &n, sizeof n);
    put_message(&graph, 5, number);
    add_input(&graph, "x");
    char type[64], inputs[64], outputs[64];
    int length;
    for (; sscanf(nodes, "%63s %63s %63[^;];%n", type, inputs, outputs, &length) == 3;
         nodes += length) {
        bytes node = make_node(type, type, strcmp(inputs, "-") == 0 ? "" : inputs, outputs);
        if (strcmp(type, "ConcatFromSequence") == 0) {
            bytes axis = make_attribute("axis", 2);
            put_int(&axis, 3, 0);
            put_message(&node, 5, axis);
        }
        add_node(&graph, node);
    }
    add_output(&graph, "y");
    return make_model(graph, 21);
}

static void accepts(const char *nodes, int64_t n)
{
    bytes model = make_graph(nodes, n);
    hd_graph *graph = NULL;
    hd_error error = {0};
    if (hd_onnx_load_memory(model.data, model.size, NULL, &graph, &error) != HD_OK) {
        fail_msg("%s %d: %s", nodes, (int)n, error.message);
    }
    hd_graph_destroy(&graph);
    free(model.data);
}

static void sequences_are_lists_of_values(void **state)
{
    (void)state;
    for (int64_t n = -3; n < 3; n++) {
        accepts("SequenceConstruct x,x,x s; SequenceAt s,n y;", n);
        accepts("SequenceConstruct x,x,x s; SequenceErase s,n t; ConcatFromSequence t y;", n);
        accepts("SequenceConstruct x,x,x s; SequenceInsert s,x,n t; SequenceLength t y;", n);
    }
    accepts("SequenceConstruct x s; SequenceInsert s,x,n t; SequenceLength t y;", 1);
    accepts("SequenceConstruct x s; SequenceErase s t; SequenceLength t y;", 0);
    accepts("SequenceConstruct x,x s; Optional s o; OptionalGetElement o t; SequenceAt t,n y;", 1);
    accepts("OptionalHasElement x y;", 0);
}

static void sequences_that_are_not_known_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *nodes;
        int64_t n;
        hd_status status;
        const char *words;
    } cases[] = {
        {"SequenceConstruct x,x s; SequenceAt s,n y;", 2, HD_BAD_MODEL, "SequenceAt|position"},
        {"SequenceConstruct x,x s; SequenceAt s,n y;", -3, HD_BAD_MODEL, "SequenceAt|position"},
        {"SequenceConstruct x,x s; SequenceAt s,n y;", INT64_MIN, HD_BAD_MODEL, "position"},
        {"SequenceConstruct x,x s; SequenceInsert s,x,n t; SequenceLength t y;", 3, HD_BAD_MODEL,
         "SequenceInsert|position"},
        {"SequenceConstruct x,x s; SequenceErase s,n t; SequenceLength t y;", INT64_MAX,
         HD_BAD_MODEL, "SequenceErase|position"},
        {"SequenceConstruct x s; SequenceErase s t; SequenceErase t u; SequenceLength u y;", 0,
         HD_BAD_MODEL, "SequenceErase|position"},
        {"SequenceConstruct x s; SequenceErase s t; ConcatFromSequence t y;", 0, HD_BAD_MODEL,
         "ConcatFromSequence|nothing"},
        {"SequenceConstruct x s; SequenceAt s,x y;", 0, HD_UNSUPPORTED, "SequenceAt|input 1"},
        {"SequenceAt x,n y;", 0, HD_UNSUPPORTED, "SequenceAt|no sequence"},
        {"SequenceConstruct x s; Relu s y;", 0, HD_UNSUPPORTED, "Relu|is a sequence"},
        {"SequenceConstruct ,x s; SequenceAt s,n y;", 0, HD_BAD_MODEL,
         "SequenceConstruct|left out"},
        {"SplitToSequence x,x s; SequenceLength s y;", 0, HD_UNSUPPORTED,
         "SplitToSequence|input 1"},
        {"SplitToSequence x,n s; SequenceLength s y;", 0, HD_UNSUPPORTED, "SplitToSequence|parts"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        refuses(make_graph(cases[i].nodes, cases[i].n), cases[i].status, cases[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences_are_lists_of_values),
        cmocka_unit_test(sequences_that_are_not_known_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
