#include "onnx/order.h"

#include "base/status.h"

/* How far the walk through the graph is with a node. */
typedef enum node_state { UNSEEN, OPEN, PLACED } node_state;

/* One node on the path of the depth-first walk, and the next of its edges to follow. The path is an
 * array and not the call stack: a chain of a million nodes must not overflow it (STATUS). */
typedef struct step {
    size_t node;
    hd_onnx_edge *edge;
} step;

static hd_status fail_memory(hd_onnx_resolver *resolver)
{
    return hd_fail(resolver->error, HD_OUT_OF_MEMORY, "no memory to put the nodes in order");
}

/* Appends `start` to the order, after all that it reads. */
static hd_status place(hd_onnx_resolver *resolver, hd_onnx_scope *scope, size_t start,
                       unsigned char *states, step *path, size_t *order)
{
    size_t depth = 1;
    path[0] = (step){.node = start, .edge = scope->nodes[start].edges};
    states[start] = OPEN;
    while (depth > 0) {
        step *top = &path[depth - 1];
        if (top->edge == NULL) {
            states[top->node] = PLACED;
            order[scope->order_count++] = top->node;
            depth--;
            continue;
        }
        size_t producer = top->edge->producer;
        top->edge = top->edge->next;
        if (states[producer] == OPEN) {
            const Onnx__NodeProto *node = scope->nodes[producer].node;
            return hd_fail(resolver->error, HD_BAD_MODEL,
                           "node '%s' (%s) depends on its own output", hd_onnx_node_name(node),
                           hd_onnx_node_type(node));
        }
        if (states[producer] == UNSEEN) {
            states[producer] = OPEN;
            path[depth++] = (step){.node = producer, .edge = scope->nodes[producer].edges};
        }
    }
    return HD_OK;
}

/* Marks what the outputs need; producers stand before readers, so one pass from the end is
 * enough. */
static void mark_needed(hd_onnx_scope *scope)
{
    for (size_t i = 0; i < scope->output_count; i++) {
        hd_onnx_definition *output = scope->outputs[i];
        if (output->kind == HD_ONNX_BY_NODE && output->scope == scope) {
            scope->nodes[output->index].is_needed = true;
        }
    }
    for (size_t i = scope->order_count; i-- > 0;) {
        hd_onnx_scope_node *entry = &scope->nodes[scope->order[i]];
        for (hd_onnx_edge *edge = entry->edges; entry->is_needed && edge != NULL;
             edge = edge->next) {
            scope->nodes[edge->producer].is_needed = true;
        }
    }
}

hd_status hd_onnx_order(hd_onnx_resolver *resolver, hd_onnx_scope *scope)
{
    size_t count = scope->node_count;
    unsigned char *states = hd_region_array(resolver->region, count, sizeof *states);
    step *path = hd_region_array(resolver->region, count, sizeof *path);
    scope->order = hd_region_array(resolver->region, count, sizeof *scope->order);
    if (states == NULL || path == NULL || scope->order == NULL) {
        return fail_memory(resolver);
    }
    /* In the file's order wherever that is an order already. */
    for (size_t i = 0; i < count; i++) {
        hd_status status =
            states[i] == UNSEEN ? place(resolver, scope, i, states, path, scope->order) : HD_OK;
        if (status != HD_OK) {
            return status;
        }
    }
    mark_needed(scope);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (scope->nodes[scope->order[i]].is_needed) {
            scope->order[kept++] = scope->order[i];
        }
    }
    scope->order_count = kept;
    return HD_OK;
}
