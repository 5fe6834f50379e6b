#include "graph/expansion.h"

#include <stdarg.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"

static hd_status expand(hd_graph *graph, hd_block *block, const hd_operator *operator,
                        const char *name, const hd_value *inputs, size_t input_count,
                        const hd_value *outputs, size_t output_count,
                        const hd_attribute *attributes, size_t attribute_count, hd_error *error)
{
    hd_expansion e = {.graph = graph,
                      .block = block,
                      .operation = {.id = operator->id,
                                    .name = name,
                                    .opset = graph->opset,
                                    .attributes = attributes,
                                    .attribute_count = attribute_count},
                      .all_inputs = inputs,
                      .input_count = input_count,
                      .first = block->node_count,
                      .status = HD_OK,
                      .error = error};
    HD_CHECK("SAFE.expansion-operands", output_count <= HD_EXPANSION_OUTPUT_LIMIT);
    memcpy(e.inputs, inputs,
           (input_count < HD_EXPANSION_INPUT_LIMIT ? input_count : HD_EXPANSION_INPUT_LIMIT) *
               sizeof *inputs);
    memcpy(e.outputs, outputs, output_count * sizeof *outputs);
    const uint32_t opset = graph->opset;
    graph->opset = HD_EXPANSION_OPSET;
    operator->expand(&e);
    graph->opset = opset;
    for (size_t i = 0; i < output_count && e.status == HD_OK; i++) {
        HD_CHECK("SAFE.expansion-gives-all",
                 outputs[i] == HD_VALUE_NONE || e.given[i] != HD_VALUE_NONE);
    }
    return e.status;
}

hd_status hd_graph_append(hd_graph *graph, hd_block *block, const char *op_type, const char *name,
                          const hd_value *inputs, size_t input_count, const hd_value *outputs,
                          size_t output_count, const hd_attribute *attributes,
                          size_t attribute_count, hd_node **out_node, hd_error *error)
{
    const hd_operator *operator = hd_operator_find(op_type);
    if (operator == NULL) {
        return hd_fail(error, HD_UNSUPPORTED, "node '%s': operator '%s' is not supported", name,
                       op_type);
    }
    if (operator->expand == NULL) {
        return hd_graph_append_id(graph, block, operator->id, name, inputs, input_count, outputs,
                                  output_count, attributes, attribute_count, out_node, error);
    }
    if (out_node != NULL) {
        *out_node = NULL;
    }
    hd_status status = hd_graph_check_node(graph, operator, name, inputs, input_count, output_count,
                                           attributes, attribute_count, error);
    return status == HD_OK ? expand(graph, block, operator, name, inputs, input_count, outputs,
                                    output_count, attributes, attribute_count, error)
                           : status;
}

void hd_expand_fail(hd_expansion *e, hd_status status, const char *format, ...)
{
    if (e->status != HD_OK) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    hd_fail_list(e->error, status, format, arguments);
    va_end(arguments);
    e->status = hd_fail_prefix(e->error, status, "node '%s' (%s)", e->operation.name,
                               hd_operator_name(e->operation.id));
}

void hd_expand_need(hd_expansion *e, uint32_t inputs)
{
    for (uint32_t i = 0; i < HD_EXPANSION_INPUT_LIMIT; i++) {
        if ((inputs >> i & 1) != 0 && !hd_expand_has(e, i)) {
            hd_expand_fail(e, HD_BAD_MODEL, "input %u must not be left out", i);
        }
    }
}

int64_t hd_expand_positive(hd_expansion *e, const char *name)
{
    int64_t value = hd_operation_int(&e->operation, name, 0);
    if (value >= 1 && value <= INT32_MAX) {
        return value;
    }
    hd_expand_fail(e, HD_BAD_MODEL, "its attribute '%s' is %lld, which must be positive", name,
                   (long long)value);
    return 1;
}

void hd_expand_node(hd_expansion *e, hd_operator_id id, const hd_value *inputs, size_t input_count,
                    const hd_attribute *attributes, size_t attribute_count, hd_value *out_values,
                    size_t output_count)
{
    memset(out_values, 0, output_count * sizeof *out_values);
    for (size_t i = 0; i < output_count && e->status == HD_OK; i++) {
        out_values[i] = hd_graph_new_value(e->graph, "");
        if (out_values[i] == HD_VALUE_NONE) {
            hd_expand_fail(e, HD_OUT_OF_MEMORY, "no memory for what it is written out in");
        }
    }
    if (e->status == HD_OK) {
        e->status = hd_graph_append_id(e->graph, e->block, id, e->operation.name, inputs,
                                       input_count, out_values, output_count, attributes,
                                       attribute_count, NULL, e->error);
    }
}

static hd_value make(hd_expansion *e, hd_operator_id id, const hd_value *inputs, size_t input_count,
                     const hd_attribute *attribute)
{
    hd_value made;
    hd_expand_node(e, id, inputs, input_count, attribute, attribute == NULL ? 0 : 1, &made, 1);
    return made;
}

hd_value hd_expand_1(hd_expansion *e, hd_operator_id id, hd_value a)
{
    return make(e, id, &a, 1, NULL);
}

hd_value hd_expand_2(hd_expansion *e, hd_operator_id id, hd_value a, hd_value b)
{
    return make(e, id, (hd_value[]){a, b}, 2, NULL);
}

hd_value hd_expand_3(hd_expansion *e, hd_operator_id id, hd_value a, hd_value b, hd_value c)
{
    return make(e, id, (hd_value[]){a, b, c}, 3, NULL);
}

hd_value hd_expand_1_with(hd_expansion *e, hd_operator_id id, hd_value a, hd_attribute attribute)
{
    return make(e, id, &a, 1, &attribute);
}

hd_value hd_expand_2_with(hd_expansion *e, hd_operator_id id, hd_value a, hd_value b,
                          hd_attribute attribute)
{
    return make(e, id, (hd_value[]){a, b}, 2, &attribute);
}

hd_value hd_expand_constant(hd_expansion *e, hd_dtype dtype, const hd_shape *shape,
                            const void *data)
{
    void *copy = e->status == HD_OK ? hd_graph_copy_elements(dtype, shape, data) : NULL;
    hd_value made = HD_VALUE_NONE;
    if (copy != NULL) {
        made = hd_graph_new_constant(e->graph, "", dtype, shape, copy);
    }
    if (made == HD_VALUE_NONE) {
        hd_free(copy);
        hd_expand_fail(e, HD_OUT_OF_MEMORY, "no memory for a constant that it is written out in");
    }
    return made;
}

hd_value hd_expand_number(hd_expansion *e, float value)
{
    return hd_expand_constant(e, HD_FLOAT32, &(hd_shape){.rank = 0}, &value);
}

hd_value hd_expand_list(hd_expansion *e, const int64_t *values, size_t count)
{
    return hd_expand_constant(e, HD_INT64, &(hd_shape){.rank = 1, .dims = {(int64_t)count}},
                              values);
}

hd_value hd_expand_dim(hd_expansion *e, hd_value value, int64_t dim)
{
    hd_attribute range[2] = {hd_expand_int("start", dim), hd_expand_int("end", dim + 1)};
    hd_value made;
    hd_expand_node(e, HD_OP_SHAPE, &value, 1, range, dim == -1 ? 1 : 2, &made, 1);
    return made;
}

hd_value hd_expand_reshape(hd_expansion *e, hd_value value, const int64_t *dims, size_t rank)
{
    return hd_expand_2(e, HD_OP_RESHAPE, value, hd_expand_list(e, dims, rank));
}

hd_value hd_expand_transpose(hd_expansion *e, hd_value value, const int64_t *order, size_t rank)
{
    return hd_expand_1_with(
        e, HD_OP_TRANSPOSE, value,
        (hd_attribute){.name = "perm", .kind = HD_ATTRIBUTE_INTS, .ints = order, .count = rank});
}

hd_value hd_expand_slice(hd_expansion *e, hd_value value, int64_t axis, hd_value begin,
                         hd_value end)
{
    return make(e, HD_OP_SLICE, (hd_value[]){value, begin, end, hd_expand_list(e, &axis, 1)}, 4,
                NULL);
}

hd_value hd_expand_cast(hd_expansion *e, hd_value value, hd_dtype dtype)
{
    return hd_expand_1_with(e, HD_OP_CAST, value, hd_expand_int("to", dtype));
}

hd_value hd_expand_transpose_matrix(hd_expansion *e, hd_value value, bool matrix, bool batch)
{
    hd_attribute how[2] = {hd_expand_int("matrix", matrix), hd_expand_int("batch", batch)};
    hd_value made = value;
    if (matrix || batch) {
        hd_expand_node(e, HD_OP_HEDDLE_TRANSPOSE_MATRIX, &value, 1, how, 2, &made, 1);
    }
    return made;
}

hd_value hd_expand_range(hd_expansion *e, hd_value begin, hd_value end)
{
    const int64_t one = 1;
    hd_shape scalar = {.rank = 0};
    return hd_expand_3(e, HD_OP_RANGE, hd_expand_1(e, HD_OP_SQUEEZE, begin),
                       hd_expand_1(e, HD_OP_SQUEEZE, end),
                       hd_expand_constant(e, HD_INT64, &scalar, &one));
}

hd_value hd_expand_scale(hd_expansion *e, hd_value value, float factor)
{
    return factor == 1.0f ? value : hd_expand_2(e, HD_OP_MUL, value, hd_expand_number(e, factor));
}

const hd_node *hd_expand_producer(const hd_expansion *e, hd_value value)
{
    const size_t count = e->block->node_count, last = count < 64 ? count : 64;
    for (size_t n = count; n > count - last; n--) {
        const hd_node *node = &e->block->nodes[n - 1];
        for (size_t i = 0; i < node->output_count; i++) {
            if (node->outputs[i] == value) {
                return node;
            }
        }
    }
    return NULL;
}

int hd_expand_rank(const hd_expansion *e, hd_value value)
{
    const hd_graph_value *entry = &e->graph->values[value];
    return entry->has_rank ? (int)entry->shape.rank : -1;
}

hd_value hd_expand_has_rank(hd_expansion *e, hd_value value, int64_t rank)
{
    hd_value actual = hd_expand_1(e, HD_OP_SIZE, hd_expand_1(e, HD_OP_SHAPE, value));
    return hd_expand_2(e, HD_OP_EQUAL, actual,
                       hd_expand_constant(e, HD_INT64, &(hd_shape){.rank = 0}, &rank));
}

/* Goes on in a new block. */
static void open_block(hd_expansion *e, hd_expand_branches *branches, size_t index)
{
    branches->blocks[index] = e->status == HD_OK ? hd_graph_new_block(e->graph) : NULL;
    if (branches->blocks[index] == NULL) {
        hd_expand_fail(e, HD_OUT_OF_MEMORY, "no memory for what it is written out in");
    } else {
        e->block = branches->blocks[index];
    }
}

static void close_block(hd_expansion *e, hd_expand_branches *branches, hd_value value)
{
    if (e->status == HD_OK) {
        value = hd_expand_1(e, HD_OP_IDENTITY, value);
    }
    if (e->status == HD_OK && !hd_block_add_output(e->graph, e->block, "", value)) {
        hd_expand_fail(e, HD_OUT_OF_MEMORY, "no memory for what it is written out in");
    }
    e->block = branches->outer;
}

void hd_expand_if(hd_expansion *e, hd_expand_branches *branches, hd_value condition)
{
    *branches = (hd_expand_branches){.condition = condition, .outer = e->block};
    open_block(e, branches, 0);
}

void hd_expand_else(hd_expansion *e, hd_expand_branches *branches, hd_value then_value)
{
    close_block(e, branches, then_value);
    open_block(e, branches, 1);
}

hd_value hd_expand_end(hd_expansion *e, hd_expand_branches *branches, hd_value else_value)
{
    close_block(e, branches, else_value);
    hd_value made = hd_expand_1(e, HD_OP_IF, branches->condition);
    if (e->status == HD_OK) {
        hd_node *node = &e->block->nodes[e->block->node_count - 1];
        node->blocks[0] = branches->blocks[0];
        node->blocks[1] = branches->blocks[1];
    }
    return made;
}

/* The nodes of the expansion write and read `to` in place of `from`; false: none writes `from`. */
static bool rename_value(hd_expansion *e, hd_value from, hd_value to)
{
    bool found = false;
    for (size_t n = e->first; n < e->block->node_count; n++) {
        hd_node *node = &e->block->nodes[n];
        for (size_t i = 0; i < node->input_count; i++) {
            node->inputs[i] = node->inputs[i] == from && found ? to : node->inputs[i];
        }
        for (size_t i = 0; i < node->output_count; i++) {
            if (node->outputs[i] == from) {
                node->outputs[i] = to;
                found = true;
            }
        }
    }
    return found;
}

void hd_expand_give(hd_expansion *e, size_t index, hd_value value)
{
    if (e->status != HD_OK || e->outputs[index] == HD_VALUE_NONE) {
        return;
    }
    e->given[index] = value;
    if (rename_value(e, value, e->outputs[index])) {
        return;
    }
    /* an input passed through, or a value that is given twice */
    for (size_t i = 0; i < HD_EXPANSION_OUTPUT_LIMIT; i++) {
        if (i != index && e->given[i] == value) {
            value = e->outputs[i];
        }
    }
    e->status = hd_graph_append_id(e->graph, e->block, HD_OP_IDENTITY, e->operation.name, &value, 1,
                                   &e->outputs[index], 1, NULL, 0, NULL, e->error);
}
