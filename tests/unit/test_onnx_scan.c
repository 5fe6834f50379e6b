/* ONNX import: Scans whose body, operands and attributes do not fit. Those that fit are in tests/opset. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "onnx_refusal.h"

static bytes make_int_attribute(const char *name, int64_t value)
{
    bytes attribute = make_attribute(name, 2);
    put_int(&attribute, 3, value);
    return attribute;
}

static bytes make_list_attribute(const char *name, size_t count, const int64_t *values)
{
    bytes attribute = make_attribute(name, 7);
    for (size_t i = 0; i < count; i++) {
        put_int(&attribute, 8, values[i]);
    }
    return attribute;
}

/* y = Scan(x, x): a state and what is scanned; its body gives `outputs` of its two inputs. */
static bytes make_scan(int64_t scanned, const char *list, size_t list_count, int64_t number,
                       int body_outputs, int64_t opset)
{
    bytes node = make_node("Scan", "sweep", "x,x", "y,z");
    put_message(&node, 5, make_int_attribute("num_scan_inputs", scanned));
    if (list != NULL) {
        const int64_t values[] = {number, number, number};
        put_message(&node, 5, make_list_attribute(list, list_count, values));
    }
    if (body_outputs >= 0) {
        bytes body = {0};
        add_input(&body, "state");
        add_input(&body, "slice");
        add_node(&body, make_node("Identity", "inside", "slice", "given"));
        if (body_outputs > 0) {
            add_output(&body, "state");
        }
        if (body_outputs > 1) {
            add_output(&body, "given");
        }
        bytes attribute = make_attribute("body", 5);
        put_message(&attribute, 6, body);
        put_message(&node, 5, attribute);
    }
    bytes graph = {0};
    add_input(&graph, "x");
    add_node(&graph, node);
    add_output(&graph, "y");
    add_output(&graph, "z");
    return make_model(graph, opset);
}

static void scans_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    refuses(make_scan(1, NULL, 0, 0, 2, 8), HD_BAD_MODEL, "sweep|Scan|opset 9|opset 8");
    refuses(make_scan(0, NULL, 0, 0, 2, 21), HD_BAD_MODEL, "sweep|Scan|do not fit");
    refuses(make_scan(3, NULL, 0, 0, 2, 21), HD_BAD_MODEL, "sweep|Scan|do not fit");
    refuses(make_scan(-1, NULL, 0, 0, 2, 21), HD_BAD_MODEL, "sweep|Scan|do not fit");
    refuses(make_scan(INT64_MIN, NULL, 0, 0, 2, 21), HD_BAD_MODEL, "sweep|Scan|do not fit");
    refuses(make_scan(1, NULL, 0, 0, -1, 21), HD_BAD_MODEL, "sweep|Scan|do not fit");
    refuses(make_scan(1, NULL, 0, 0, 1, 21), HD_BAD_MODEL, "sweep|Scan|do not fit");
    refuses(make_scan(1, "scan_input_axes", 2, 0, 2, 21), HD_BAD_MODEL, "sweep|Scan|do not fit");
    refuses(make_scan(1, "scan_output_axes", 0, 0, 2, 21), HD_BAD_MODEL, "sweep|Scan|do not fit");
    refuses(make_scan(1, "scan_output_directions", 3, 1, 2, 21), HD_BAD_MODEL, "sweep|do not fit");
    refuses(make_scan(1, "scan_input_axes", 1, 9, 2, 21), HD_BAD_MODEL, "sweep|Scan|axis");
    refuses(make_scan(1, "scan_input_axes", 1, INT64_MIN, 2, 21), HD_BAD_MODEL, "sweep|Scan|axis");
    refuses(make_scan(1, "scan_output_axes", 1, 77, 2, 21), HD_BAD_MODEL, "sweep|Scan|axis");
}

static void scans_that_fit_become_loops(void **state)
{
    (void)state;
    bytes model = make_scan(1, "scan_output_directions", 1, 1, 2, 21);
    hd_graph *graph = NULL;
    hd_error error = {0};
    if (hd_onnx_load_memory(model.data, model.size, NULL, &graph, &error) != HD_OK) {
        fail_msg("%s", error.message);
    }
    for (size_t b = 0; b < graph->block_count; b++) {
        for (size_t n = 0; n < graph->blocks[b]->node_count; n++) {
            assert_int_not_equal(graph->blocks[b]->nodes[n].operator->id, HD_OP_SCAN);
        }
    }
    hd_graph_destroy(&graph);
    free(model.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scans_that_do_not_fit_are_refused),
        cmocka_unit_test(scans_that_fit_become_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
