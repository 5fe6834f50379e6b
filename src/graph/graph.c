#include "graph/graph.h"

#include <string.h>

#include "base/memory.h"
#include "base/strings.h"
#include "operation/narrow.h"

hd_block *hd_graph_new_block(hd_graph *graph)
{
    if (!hd_array_reserve((void **)&graph->blocks, &graph->block_capacity, graph->block_count + 1,
                          sizeof *graph->blocks)) {
        return NULL;
    }
    hd_block *block = hd_region_alloc(&graph->region, sizeof *block);
    if (block != NULL) {
        graph->blocks[graph->block_count++] = block;
    }
    return block;
}

hd_status hd_graph_create(uint32_t opset, hd_graph **out_graph, hd_error *error)
{
    if (out_graph == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "out_graph is NULL");
    }
    *out_graph = NULL;
    if (opset != 0 && (opset < HD_OPSET_MIN || opset > HD_OPSET_MAX)) {
        return hd_fail(error, HD_UNSUPPORTED, "opset %u is not in %d to %d", opset, HD_OPSET_MIN,
                       HD_OPSET_MAX);
    }
    hd_graph *graph = hd_alloc_zero(1, sizeof *graph);
    if (graph == NULL) {
        goto fail;
    }
    graph->opset = opset == 0 ? 21 : opset;
    graph->root = hd_graph_new_block(graph);
    if (graph->root == NULL) {
        goto fail;
    }
    if (!hd_array_reserve((void **)&graph->values, &graph->value_capacity, 1,
                          sizeof *graph->values)) {
        goto fail;
    }
    graph->values[0] = (hd_graph_value){.name = ""};
    graph->value_count = 1;
    *out_graph = graph;
    return HD_OK;
fail:
    hd_graph_destroy(&graph);
    return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a graph");
}

void hd_graph_destroy(hd_graph **graph)
{
    if (graph == NULL || *graph == NULL) {
        return;
    }
    hd_graph *dead = *graph;
    *graph = NULL;
    for (size_t i = 0; i < dead->value_count; i++) {
        hd_free(dead->values[i].data);
        if (dead->values[i].initial != NULL) {
            hd_free(dead->values[i].initial->data);
        }
    }
    for (size_t i = 0; i < dead->block_count; i++) {
        hd_block *block = dead->blocks[i];
        hd_free(block->nodes);
        hd_free(block->inputs);
        hd_free(block->outputs);
        hd_free(block->output_names);
    }
    hd_free(dead->blocks);
    hd_free(dead->values);
    hd_region_clear(&dead->region);
    hd_free(dead);
}

hd_value hd_graph_new_value(hd_graph *graph, const char *name)
{
    if (graph->value_count >= UINT32_MAX ||
        !hd_array_reserve((void **)&graph->values, &graph->value_capacity, graph->value_count + 1,
                          sizeof *graph->values)) {
        return HD_VALUE_NONE;
    }
    const char *copy =
        name == NULL || name[0] == '\0' ? "" : hd_region_copy_text(&graph->region, name);
    if (copy == NULL) {
        return HD_VALUE_NONE;
    }
    graph->values[graph->value_count] = (hd_graph_value){.name = copy};
    return (hd_value)graph->value_count++;
}

hd_value hd_graph_new_constant(hd_graph *graph, const char *name, hd_dtype dtype,
                               const hd_shape *shape, void *data)
{
    hd_value value = hd_graph_new_value(graph, name);
    if (value != HD_VALUE_NONE) {
        hd_graph_value *entry = &graph->values[value];
        entry->dtype = dtype;
        entry->has_rank = true;
        entry->shape = *shape;
        entry->data = data;
    }
    return value;
}

bool hd_graph_set_initial(hd_graph *graph, hd_value value, const hd_tensor *tensor)
{
    hd_graph_value *entry = &graph->values[value];
    entry->initial = hd_region_copy(&graph->region, tensor, sizeof *tensor);
    if (entry->initial != NULL) {
        entry->initial->name = entry->name;
    }
    return entry->initial != NULL;
}

static bool copy_tensor(hd_region *region, const hd_tensor *tensor, const hd_tensor **out)
{
    hd_tensor *copy = hd_region_copy(region, tensor, sizeof *tensor);
    if (copy == NULL) {
        return false;
    }
    copy->name = NULL;
    *out = copy;
    if (tensor->dtype == HD_STRING) {
        hd_shape shape = {.rank = tensor->rank};
        memcpy(shape.dims, tensor->dims, sizeof shape.dims);
        const size_t count = (size_t)hd_shape_count(&shape);
        const size_t size = hd_strings_size(tensor->data, count);
        copy->data = size == SIZE_MAX ? NULL : hd_region_alloc(region, size);
        if (copy->data != NULL) {
            hd_strings_write(copy->data, tensor->data, count);
        }
    } else {
        copy->data = hd_region_copy(region, tensor->data, tensor->size);
    }
    return copy->data != NULL;
}

void *hd_graph_copy_elements(hd_dtype dtype, const hd_shape *shape, const void *data)
{
    const size_t count = (size_t)hd_shape_count(shape), size = count * hd_dtype_size(dtype);
    if (dtype == HD_STRING) {
        return hd_strings_copy(data, count);
    }
    void *copy = hd_alloc_aligned(size);
    if (copy != NULL && size > 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

/* Copies an attribute and what it points to into the region; false when out of memory. */
static bool copy_attribute(hd_region *region, const hd_attribute *from, hd_attribute *to)
{
    *to = *from;
    to->name = hd_region_copy_text(region, from->name);
    if (to->name == NULL) {
        return false;
    }
    switch (from->kind) {
    case HD_ATTRIBUTE_INT:
    case HD_ATTRIBUTE_FLOAT:
        return true;
    case HD_ATTRIBUTE_STRING:
        to->s = hd_region_copy_text(region, from->s);
        return to->s != NULL;
    case HD_ATTRIBUTE_INTS:
        to->ints = hd_region_copy(region, from->ints, from->count * sizeof *from->ints);
        return to->ints != NULL;
    case HD_ATTRIBUTE_FLOATS:
        to->floats = hd_region_copy(region, from->floats, from->count * sizeof *from->floats);
        return to->floats != NULL;
    case HD_ATTRIBUTE_TENSOR:
        return copy_tensor(region, from->tensor, &to->tensor);
    }
    return false;
}

static hd_status check_operands(const hd_graph *graph, const hd_operator *operator,
                                const char *name, const hd_value *inputs, size_t input_count,
                                size_t output_count, hd_error *error)
{
    if (input_count < operator->inputs.min ||
        (operator->inputs.max != HD_OPERATOR_ANY_NUMBER && input_count > operator->inputs.max) ||
        (operator->outputs != HD_OPERATOR_ANY_NUMBER && output_count > operator->outputs) ||
        (output_count == 0 && (operator->flags & HD_OPERATOR_CONTROL) == 0)) {
        return hd_fail(error, HD_BAD_MODEL,
                       "node '%s' (%s): %zu inputs and %zu outputs are not allowed", name,
                       operator->name, input_count, output_count);
    }
    for (size_t i = 0; i < input_count; i++) {
        if (inputs[i] >= graph->value_count) {
            return hd_fail(error, HD_INVALID_ARGUMENT,
                           "node '%s' (%s): input %zu is no value of this graph", name,
                           operator->name, i);
        }
        if (graph->values[inputs[i]].sequence != NULL && operator->expand == NULL) {
            return hd_fail(error, HD_UNSUPPORTED, "node '%s' (%s): input %zu is a sequence", name,
                           operator->name, i);
        }
        if (inputs[i] == HD_VALUE_NONE && i < operator->inputs.min) {
            return hd_fail(error, HD_BAD_MODEL, "node '%s' (%s): input %zu must not be left out",
                           name, operator->name, i);
        }
    }
    return HD_OK;
}

hd_status hd_graph_check_node(const hd_graph *graph, const hd_operator *operator, const char *name,
                              const hd_value *inputs, size_t input_count, size_t output_count,
                              const hd_attribute *attributes, size_t attribute_count,
                              hd_error *error)
{
    hd_status status =
        check_operands(graph, operator, name, inputs, input_count, output_count, error);
    hd_operation operation = {.id = operator->id,
                              .name = name,
                              .opset = graph->opset,
                              .attributes = attributes,
                              .attribute_count = attribute_count,
                              .input_count = input_count,
                              .output_count = output_count};
    if (status == HD_OK) {
        status = hd_operator_check_counts(&operation, error);
    }
    return status == HD_OK ? hd_operator_check_attributes(&operation, error) : status;
}

hd_status hd_graph_append_id(hd_graph *graph, hd_block *block, hd_operator_id id, const char *name,
                             const hd_value *inputs, size_t input_count, const hd_value *outputs,
                             size_t output_count, const hd_attribute *attributes,
                             size_t attribute_count, hd_node **out_node, hd_error *error)
{
    const hd_operator *operator = hd_operator_of(id);
    hd_status status = hd_graph_check_node(graph, operator, name, inputs, input_count, output_count,
                                           attributes, attribute_count, error);
    if (status != HD_OK) {
        return status;
    }
    if (!hd_array_reserve((void **)&block->nodes, &block->node_capacity, block->node_count + 1,
                          sizeof *block->nodes)) {
        goto fail;
    }
    hd_region *region = &graph->region;
    hd_node node = {.operator = operator,
                    .opset = graph->opset,
                    .name = hd_region_copy_text(region, name),
                    .inputs = hd_region_copy(region, inputs, input_count * sizeof *inputs),
                    .input_count = input_count,
                    .outputs = hd_region_copy(region, outputs, output_count * sizeof *outputs),
                    .output_count = output_count,
                    .attributes = hd_region_array(region, attribute_count, sizeof *attributes),
                    .attribute_count = attribute_count};
    if (node.name == NULL || node.inputs == NULL || node.outputs == NULL ||
        node.attributes == NULL) {
        goto fail;
    }
    for (size_t i = 0; i < attribute_count; i++) {
        if (!copy_attribute(region, &attributes[i], &node.attributes[i])) {
            goto fail;
        }
    }
    block->nodes[block->node_count] = node;
    if (out_node != NULL) {
        *out_node = &block->nodes[block->node_count];
    }
    block->node_count++;
    return HD_OK;
fail:
    return hd_fail(error, HD_OUT_OF_MEMORY, "node '%s' (%s): no memory", name, operator->name);
}

bool hd_block_add_input(hd_block *block, hd_value value)
{
    if (!hd_array_reserve((void **)&block->inputs, &block->input_capacity, block->input_count + 1,
                          sizeof *block->inputs)) {
        return false;
    }
    block->inputs[block->input_count++] = value;
    return true;
}

bool hd_block_add_output(hd_graph *graph, hd_block *block, const char *name, hd_value value)
{
    size_t capacity = block->output_capacity;
    if (!hd_array_reserve((void **)&block->outputs, &capacity, block->output_count + 1,
                          sizeof *block->outputs)) {
        return false;
    }
    if (!hd_array_reserve((void **)&block->output_names, &block->output_capacity,
                          block->output_count + 1, sizeof *block->output_names)) {
        return false;
    }
    const char *copy = hd_region_copy_text(&graph->region, name == NULL ? "" : name);
    if (copy == NULL) {
        return false;
    }
    block->outputs[block->output_count] = value;
    block->output_names[block->output_count++] = copy;
    return true;
}

static bool clone_initial(const hd_tensor *initial, hd_graph *to, hd_value value)
{
    hd_tensor copy = *initial;
    hd_shape shape = {.rank = copy.rank};
    memcpy(shape.dims, copy.dims, sizeof shape.dims);
    if (hd_narrow_is_packed(copy.dtype)) {
        copy.data = hd_alloc_aligned(initial->size);
        if (copy.data != NULL && initial->size > 0) {
            memcpy(copy.data, initial->data, initial->size);
        }
    } else {
        copy.data = hd_graph_copy_elements(copy.dtype, &shape, initial->data);
    }
    if (copy.data == NULL) {
        return false;
    }
    if (!hd_graph_set_initial(to, value, &copy)) {
        hd_free(copy.data);
        return false;
    }
    return true;
}

static bool clone_values(const hd_graph *from, hd_graph *to)
{
    for (size_t i = 1; i < from->value_count; i++) {
        const hd_graph_value *source = &from->values[i];
        hd_value value = hd_graph_new_value(to, source->name);
        if (value == HD_VALUE_NONE) {
            return false;
        }
        hd_graph_value *copy = &to->values[value];
        const char *name = copy->name;
        *copy = *source;
        copy->name = name;
        copy->data = NULL;
        copy->initial = NULL;
        for (uint32_t d = 0; d < HD_MAX_RANK; d++) {
            if (source->dim_names[d] != NULL) {
                copy->dim_names[d] = hd_region_copy_text(&to->region, source->dim_names[d]);
            }
        }
        if (source->data != NULL) {
            copy->data = hd_graph_copy_elements(source->dtype, &source->shape, source->data);
            if (copy->data == NULL) {
                return false;
            }
        }
        if (source->initial != NULL && !clone_initial(source->initial, to, value)) {
            return false;
        }
    }
    return true;
}

static bool clone_block(const hd_graph *from, const hd_block *source, hd_graph *to, hd_block *copy)
{
    for (size_t i = 0; i < source->node_count; i++) {
        const hd_node *node = &source->nodes[i];
        hd_node *made;
        to->opset = node->opset;
        if (hd_graph_append_id(to, copy, node->operator->id, node->name, node->inputs,
                               node->input_count, node->outputs, node->output_count,
                               node->attributes, node->attribute_count, &made, NULL) != HD_OK) {
            return false;
        }
        for (size_t b = 0; b < 2 && node->blocks[b] != NULL; b++) {
            hd_block *inner = hd_graph_new_block(to);
            if (inner == NULL || !clone_block(from, node->blocks[b], to, inner)) {
                return false;
            }
            copy->nodes[i].blocks[b] = inner;
        }
    }
    for (size_t i = 0; i < source->input_count; i++) {
        if (!hd_block_add_input(copy, source->inputs[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < source->output_count; i++) {
        if (!hd_block_add_output(to, copy, source->output_names[i], source->outputs[i])) {
            return false;
        }
    }
    return true;
}

hd_graph *hd_graph_clone(const hd_graph *graph)
{
    hd_graph *copy = NULL;
    if (hd_graph_create(graph->opset, &copy, NULL) != HD_OK) {
        return NULL;
    }
    if (!clone_values(graph, copy) || !clone_block(graph, graph->root, copy, copy->root)) {
        hd_graph_destroy(&copy);
        return NULL;
    }
    copy->opset = graph->opset;
    return copy;
}

void hd_graph_count_readers(const hd_graph *graph, uint32_t *readers)
{
    for (size_t b = 0; b < graph->block_count; b++) {
        const hd_block *block = graph->blocks[b];
        for (size_t n = 0; n < block->node_count; n++) {
            for (size_t i = 0; i < block->nodes[n].input_count; i++) {
                readers[block->nodes[n].inputs[i]]++;
            }
        }
        for (size_t i = 0; i < block->output_count; i++) {
            readers[block->outputs[i]]++;
        }
    }
}

uint64_t hd_graph_count_constants(const hd_graph *graph)
{
    uint64_t bytes = 0;
    for (size_t v = 1; v < graph->value_count; v++) {
        const hd_graph_value *value = &graph->values[v];
        bytes += value->data == NULL
                     ? 0
                     : (uint64_t)hd_shape_count(&value->shape) * hd_dtype_size(value->dtype);
    }
    return bytes;
}
