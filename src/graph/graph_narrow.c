#include "graph/graph_narrow.h"

#include "base/memory.h"
#include "operation/narrow.h"

static bool is_packed(const hd_graph *graph, hd_value value)
{
    return hd_narrow_is_packed(graph->values[value].dtype);
}

static hd_status out_of_memory(hd_error *error)
{
    return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a model's packed inputs");
}

/* A value of the same type and shape in its place; what was there is the graph's own from here on. */
static hd_status unpack_input(hd_graph *graph, hd_block *root, hd_value *input, hd_error *error)
{
    const hd_value inner = *input, declared = hd_graph_new_value(graph, "");
    if (declared == HD_VALUE_NONE) {
        return out_of_memory(error);
    }
    graph->values[declared] = graph->values[inner]; /* with the initializer that it may have */
    graph->values[inner].initial = NULL;
    *input = declared;
    return hd_graph_append_id(graph, root, HD_OP_HEDDLE_UNPACK_NARROW, "", &declared, 1, &inner, 1,
                              NULL, 0, NULL, error);
}

hd_status hd_graph_unpack_inputs(hd_graph *graph, hd_error *error)
{
    hd_block *root = graph->root;
    hd_node *nodes = root->nodes;
    const size_t count = root->node_count;
    bool has_inputs = false;
    for (size_t i = 0; i < root->input_count; i++) {
        has_inputs = has_inputs || is_packed(graph, root->inputs[i]);
    }
    if (!has_inputs) {
        return HD_OK;
    }
    hd_status status = HD_OK;
    root->nodes = NULL; /* the new ones come first */
    root->node_count = root->node_capacity = 0;
    for (size_t i = 0; i < root->input_count && status == HD_OK; i++) {
        if (is_packed(graph, root->inputs[i])) {
            status = unpack_input(graph, root, &root->inputs[i], error);
        }
    }
    for (size_t n = 0; n < count && status == HD_OK; n++) {
        if (!hd_array_reserve((void **)&root->nodes, &root->node_capacity, root->node_count + 1,
                              sizeof *root->nodes)) {
            status = out_of_memory(error);
            break;
        }
        root->nodes[root->node_count++] = nodes[n];
    }
    hd_free(nodes);
    return status;
}
