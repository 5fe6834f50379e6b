/* Scan becomes Loop (onnx.ai, "Scan", "Loop"): each turn's body takes its slices of what is scanned, and what the
 * turns give is turned round and moved to its axis behind the Loop. So nothing behind this knows of Scan. */
#include <string.h>

#include "base/memory.h"
#include "graph/expansion.h"

/* A Scan on its way into a Loop. */
typedef struct scan {
    hd_graph *graph;
    const hd_node *node;
    hd_operation operation; /* its attributes */
    hd_block *outer, *body;
    size_t states, inputs, outputs; /* of the body, states and what is scanned apart */
    hd_value turns, last;           /* scalars: how many, and the last one's number */
    hd_expansion e;
} scan;

/* Number `index` of a list of axes or directions, 0 without one; false where the list has another length. */
static bool number_of(const scan *s, const char *name, size_t count, size_t index, int64_t *out)
{
    const hd_attribute *attribute = hd_operation_attribute(&s->operation, name);
    *out = attribute == NULL ? 0 : index < attribute->count ? attribute->ints[index] : 0;
    return attribute == NULL || attribute->count == count;
}

static bool fits(scan *s)
{
    const hd_node *node = s->node;
    const int64_t scanned = hd_operation_int(&s->operation, "num_scan_inputs", 0);
    s->body = node->blocks[0];
    if (s->body == NULL || node->blocks[1] != NULL || scanned < 1 ||
        (uint64_t)scanned > node->input_count || s->body->input_count != node->input_count) {
        return false;
    }
    s->inputs = (size_t)scanned;
    s->states = node->input_count - s->inputs;
    if (s->body->output_count < s->states || node->output_count > s->body->output_count) {
        return false;
    }
    s->outputs = s->body->output_count - s->states;
    for (size_t i = 0; i < node->input_count; i++) {
        if (node->inputs[i] == HD_VALUE_NONE) {
            return false;
        }
    }
    int64_t ignored;
    return number_of(s, "scan_input_axes", s->inputs, 0, &ignored) &&
           number_of(s, "scan_input_directions", s->inputs, 0, &ignored) &&
           number_of(s, "scan_output_axes", s->outputs, 0, &ignored) &&
           number_of(s, "scan_output_directions", s->outputs, 0, &ignored);
}

/* Before the Loop: how many turns the first of what is scanned has. */
static void count_turns(scan *s)
{
    const int64_t one = 1;
    int64_t axis;
    s->e.block = s->outer;
    number_of(s, "scan_input_axes", s->inputs, 0, &axis);
    if (axis < -HD_MAX_RANK || axis >= HD_MAX_RANK) {
        hd_expand_fail(&s->e, HD_BAD_MODEL, "an axis is out of range");
        return;
    }
    hd_value length = hd_expand_dim(&s->e, s->node->inputs[s->states], axis);
    s->turns = hd_expand_1(&s->e, HD_OP_SQUEEZE, length);
    s->last = hd_expand_2(&s->e, HD_OP_SUB, s->turns,
                          hd_expand_constant(&s->e, HD_INT64, &(hd_shape){.rank = 0}, &one));
}

static hd_value new_scalar(scan *s, hd_dtype dtype)
{
    hd_value made = hd_graph_new_value(s->graph, "");
    if (made == HD_VALUE_NONE) {
        hd_expand_fail(&s->e, HD_OUT_OF_MEMORY, "no memory for its body");
        return made;
    }
    s->graph->values[made].dtype = dtype;
    s->graph->values[made].has_rank = true;
    return made;
}

/* At the body's begin: slice `index`, which was an input, is taken at the turn's place. */
static void take_slice(scan *s, size_t index, hd_value turn)
{
    int64_t axis, backward;
    number_of(s, "scan_input_axes", s->inputs, index, &axis);
    number_of(s, "scan_input_directions", s->inputs, index, &backward);
    hd_value place = backward != 0 ? hd_expand_2(&s->e, HD_OP_SUB, s->last, turn) : turn;
    const hd_value slice = s->body->inputs[s->states + index];
    const hd_attribute attribute = hd_expand_int("axis", axis);
    if (s->e.status == HD_OK) {
        s->e.status = hd_graph_append_id(s->graph, s->body, HD_OP_GATHER, s->node->name,
                                         (hd_value[]){s->node->inputs[s->states + index], place}, 2,
                                         &slice, 1, &attribute, 1, NULL, s->e.error);
    }
}

/* The body takes number and condition, which is always true, before the states. */
static void rewrite_body(scan *s)
{
    hd_block *body = s->body;
    hd_node *nodes = body->nodes;
    const size_t count = body->node_count;
    body->nodes = NULL;
    body->node_count = body->node_capacity = 0;
    s->e.block = body;
    hd_value turn = new_scalar(s, HD_INT64), condition = new_scalar(s, HD_BOOL);
    for (size_t i = 0; i < s->inputs; i++) {
        take_slice(s, i, turn);
    }
    const bool yes = true;
    hd_value always = hd_expand_constant(&s->e, HD_BOOL, &(hd_shape){.rank = 0}, &yes);
    const bool fits = hd_array_reserve((void **)&body->nodes, &body->node_capacity,
                                       body->node_count + count, sizeof *nodes) &&
                      hd_block_add_input(body, turn) && hd_block_add_input(body, condition) &&
                      hd_block_add_output(s->graph, body, "", always);
    if (!fits) {
        hd_expand_fail(&s->e, HD_OUT_OF_MEMORY, "no memory for its body");
        hd_free(nodes);
        return;
    }
    if (count > 0) {
        memcpy(body->nodes + body->node_count, nodes, count * sizeof *nodes);
    }
    body->node_count += count;
    hd_free(nodes);
    memmove(body->inputs + 2, body->inputs, s->states * sizeof *body->inputs);
    body->inputs[0] = turn;
    body->inputs[1] = condition;
    body->input_count = 2 + s->states;
    const char *name = body->output_names[body->output_count - 1];
    memmove(body->outputs + 1, body->outputs, (body->output_count - 1) * sizeof *body->outputs);
    memmove(body->output_names + 1, body->output_names,
            (body->output_count - 1) * sizeof *body->output_names);
    body->outputs[0] = always;
    body->output_names[0] = name;
}

/* What output `index` of the scans needs behind the Loop. */
static void place_of(scan *s, size_t index, int64_t *axis, bool *backward)
{
    int64_t direction;
    number_of(s, "scan_output_axes", s->outputs, index, axis);
    number_of(s, "scan_output_directions", s->outputs, index, &direction);
    *backward = direction != 0;
    if (*axis == 0) {
        return;
    }
    const hd_graph_value *element = &s->graph->values[s->body->outputs[1 + s->states + index]];
    if (!element->has_rank) {
        hd_expand_fail(&s->e, HD_UNSUPPORTED,
                       "output %zu is to go along axis %lld of a rank that the file does not say",
                       s->states + index, (long long)*axis);
    } else if (element->shape.rank >= HD_MAX_RANK ||
               !hd_axis_normalize(axis, element->shape.rank + 1)) {
        hd_expand_fail(&s->e, HD_BAD_MODEL, "the axis of output %zu is out of range",
                       s->states + index);
    }
}

/* Behind the Loop: `stacked`, along axis 0 from the first turn on, becomes output `index` of the scans. */
static void finish_output(scan *s, size_t index, hd_value stacked, int64_t axis, bool backward)
{
    const hd_value result = s->node->outputs[s->states + index];
    const int64_t from = -1, to = INT64_MIN + 1, along = 0, step = -1;
    int64_t order[HD_MAX_RANK];
    const uint32_t rank = s->graph->values[s->body->outputs[1 + s->states + index]].shape.rank + 1;
    hd_value inputs[5] = {stacked};
    if (backward) {
        inputs[1] = hd_expand_list(&s->e, &from, 1);
        inputs[2] = hd_expand_list(&s->e, &to, 1);
        inputs[3] = hd_expand_list(&s->e, &along, 1);
        inputs[4] = hd_expand_list(&s->e, &step, 1);
        if (axis != 0) {
            hd_expand_node(&s->e, HD_OP_SLICE, inputs, 5, NULL, 0, inputs, 1);
        }
    }
    for (uint32_t i = 0; axis != 0 && i < rank; i++) {
        order[i] = i < axis ? i + 1 : i == axis ? 0 : i;
    }
    const hd_attribute permutation = {
        .name = "perm", .kind = HD_ATTRIBUTE_INTS, .ints = order, .count = rank};
    if (s->e.status == HD_OK) {
        s->e.status =
            axis != 0 ? hd_graph_append_id(s->graph, s->outer, HD_OP_TRANSPOSE, s->node->name,
                                           inputs, 1, &result, 1, &permutation, 1, NULL, s->e.error)
                      : hd_graph_append_id(s->graph, s->outer, HD_OP_SLICE, s->node->name, inputs,
                                           5, &result, 1, NULL, 0, NULL, s->e.error);
    }
}

/* The Loop, and what its outputs need. */
static void append_loop(scan *s)
{
    const hd_node *node = s->node;
    const size_t count = node->output_count;
    hd_value *inputs = hd_region_array(&s->graph->region, s->states + 2, sizeof *inputs);
    hd_value *outputs = hd_region_array(&s->graph->region, count + 1, sizeof *outputs);
    if (inputs == NULL || outputs == NULL) {
        hd_expand_fail(&s->e, HD_OUT_OF_MEMORY, "no memory for a loop");
        return;
    }
    inputs[0] = s->turns;
    inputs[1] = HD_VALUE_NONE;
    if (s->states > 0) {
        memcpy(inputs + 2, node->inputs, s->states * sizeof *inputs);
    }
    s->e.block = s->outer;
    for (size_t i = 0; i < count; i++) {
        int64_t axis = 0;
        bool backward = false;
        if (i >= s->states) {
            place_of(s, i - s->states, &axis, &backward);
        }
        outputs[i] = node->outputs[i];
        if (outputs[i] != HD_VALUE_NONE && (axis != 0 || backward)) {
            outputs[i] = hd_graph_new_value(s->graph, "");
        }
    }
    hd_node *made;
    if (s->e.status == HD_OK) {
        s->e.status = hd_graph_append_id(s->graph, s->outer, HD_OP_LOOP, node->name, inputs,
                                         s->states + 2, outputs, count, NULL, 0, &made, s->e.error);
    }
    if (s->e.status != HD_OK) {
        return;
    }
    made->blocks[0] = s->body;
    for (size_t i = s->states; i < count; i++) {
        if (outputs[i] != node->outputs[i]) {
            int64_t axis;
            bool backward;
            place_of(s, i - s->states, &axis, &backward);
            finish_output(s, i - s->states, outputs[i], axis, backward);
        }
    }
}

static hd_status lower(hd_graph *graph, hd_block *block, const hd_node *node, hd_error *error)
{
    scan s = {.graph = graph,
              .node = node,
              .operation = {.id = HD_OP_SCAN,
                            .name = node->name,
                            .opset = node->opset,
                            .attributes = node->attributes,
                            .attribute_count = node->attribute_count},
              .outer = block,
              .e = {.graph = graph, .block = block, .status = HD_OK, .error = error}};
    s.e.operation = s.operation;
    if (!fits(&s)) {
        return hd_operation_fail(&s.operation, error, HD_BAD_MODEL,
                                 "its body, operands and attributes do not fit");
    }
    count_turns(&s);
    if (s.e.status == HD_OK) {
        rewrite_body(&s);
    }
    if (s.e.status == HD_OK) {
        append_loop(&s);
    }
    return s.e.status;
}

static hd_status lower_block(hd_graph *graph, hd_block *block, hd_error *error)
{
    hd_node *nodes = block->nodes;
    const size_t count = block->node_count;
    hd_status status = HD_OK;
    block->nodes = NULL;
    block->node_count = block->node_capacity = 0;
    for (size_t i = 0; i < count && status == HD_OK; i++) {
        if (nodes[i].operator->id == HD_OP_SCAN) {
            status = lower(graph, block, &nodes[i], error);
        } else if (hd_array_reserve((void **)&block->nodes, &block->node_capacity,
                                    block->node_count + 1, sizeof *nodes)) {
            block->nodes[block->node_count++] = nodes[i];
        } else {
            status = hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a graph with Scan");
        }
    }
    hd_free(nodes);
    return status;
}

hd_status hd_graph_lower_scans(hd_graph *graph, hd_error *error)
{
    const uint32_t opset = graph->opset;
    hd_status status = HD_OK;
    graph->opset = HD_EXPANSION_OPSET;
    for (size_t b = 0; b < graph->block_count && status == HD_OK; b++) {
        bool found = false;
        for (size_t n = 0; n < graph->blocks[b]->node_count; n++) {
            found = found || graph->blocks[b]->nodes[n].operator->id == HD_OP_SCAN;
        }
        status = found ? lower_block(graph, graph->blocks[b], error) : HD_OK;
    }
    graph->opset = opset;
    return status;
}
