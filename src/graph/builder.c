/* The public builder: what a user makes a graph of, operator by operator (heddle/graph.h). */
#include <string.h>

#include "base/memory.h"
#include "graph/expansion.h"
#include "operation/narrow.h"

/* What the public builder asks of every name and shape. */
static hd_status check_declaration(const char *name, hd_dtype dtype, uint32_t rank,
                                   const int64_t *dims, int64_t smallest, hd_error *error)
{
    if (hd_dtype_size(dtype) == 0) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "'%s': %d is no dtype", name, (int)dtype);
    }
    if (rank > HD_MAX_RANK || (rank > 0 && dims == NULL)) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "'%s': rank %u is over %d, or dims is NULL",
                       name, rank, HD_MAX_RANK);
    }
    for (uint32_t i = 0; i < rank; i++) {
        if (dims[i] < smallest) {
            return hd_fail(error, HD_INVALID_ARGUMENT, "'%s': dimension %u is %lld", name, i,
                           (long long)dims[i]);
        }
    }
    return HD_OK;
}

hd_status hd_graph_add_input(hd_graph *graph, const char *name, hd_dtype dtype, uint32_t rank,
                             const int64_t *dims, hd_value *out_value, hd_error *error)
{
    if (graph == NULL || name == NULL || out_value == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "graph, name or out_value is NULL");
    }
    hd_status status = check_declaration(name, dtype, rank, dims, -1, error);
    if (status != HD_OK) {
        return status;
    }
    hd_value value = hd_graph_new_value(graph, name);
    if (value == HD_VALUE_NONE || !hd_block_add_input(graph->root, value)) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for input '%s'", name);
    }
    hd_graph_value *entry = &graph->values[value];
    entry->dtype = dtype;
    entry->has_rank = true;
    entry->shape.rank = rank;
    for (uint32_t i = 0; i < rank; i++) {
        entry->shape.dims[i] = dims[i];
    }
    *out_value = value;
    return HD_OK;
}

hd_status hd_graph_add_constant(hd_graph *graph, const hd_tensor *tensor, hd_value *out_value,
                                hd_error *error)
{
    if (graph == NULL || tensor == NULL || out_value == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "graph, tensor or out_value is NULL");
    }
    const char *name = tensor->name == NULL ? "" : tensor->name;
    if (tensor->place != HD_TENSOR_HOST) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "constant '%s': it is not in the host's memory",
                       name);
    }
    hd_status status = check_declaration(name, tensor->dtype, tensor->rank, tensor->dims, 0, error);
    if (status != HD_OK) {
        return status;
    }
    hd_shape shape = {.rank = tensor->rank};
    memcpy(shape.dims, tensor->dims, tensor->rank * sizeof *tensor->dims);
    if (!hd_shape_is_valid(&shape, tensor->dtype)) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "constant '%s': its size overflows", name);
    }
    const size_t count = (size_t)hd_shape_count(&shape);
    const size_t size = hd_tensor_bytes(tensor->dtype, count);
    if (tensor->size < size || (size > 0 && tensor->data == NULL)) {
        return hd_fail(error, HD_INVALID_ARGUMENT,
                       "constant '%s': %zu bytes are given, %zu are needed", name, tensor->size,
                       size);
    }
    void *data;
    if (hd_narrow_is_packed(tensor->dtype)) {
        data = hd_alloc_aligned(count);
        if (data != NULL) {
            hd_narrow_unpack(tensor->dtype, tensor->data, count, data);
        }
    } else {
        data = hd_graph_copy_elements(tensor->dtype, &shape, tensor->data);
    }
    if (data == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for constant '%s' of %zu bytes", name,
                       size);
    }
    hd_value value = hd_graph_new_constant(graph, name, tensor->dtype, &shape, data);
    if (value == HD_VALUE_NONE) {
        hd_free(data);
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for constant '%s'", name);
    }
    *out_value = value;
    return HD_OK;
}

static bool is_whole(const hd_attribute *attribute)
{
    if (attribute->name == NULL) {
        return false;
    }
    switch (attribute->kind) {
    case HD_ATTRIBUTE_INT:
    case HD_ATTRIBUTE_FLOAT:
        return true;
    case HD_ATTRIBUTE_STRING:
        return attribute->s != NULL;
    case HD_ATTRIBUTE_INTS:
        return attribute->ints != NULL || attribute->count == 0;
    case HD_ATTRIBUTE_FLOATS:
        return attribute->floats != NULL || attribute->count == 0;
    case HD_ATTRIBUTE_TENSOR:
        return attribute->tensor != NULL && attribute->tensor->place == HD_TENSOR_HOST &&
               (attribute->tensor->data != NULL || attribute->tensor->size == 0);
    }
    return false;
}

hd_status hd_graph_add_node(hd_graph *graph, const char *op_type, const hd_value *inputs,
                            size_t input_count, const hd_attribute *attributes,
                            size_t attribute_count, hd_value *out_values, size_t output_count,
                            hd_error *error)
{
    if (graph == NULL || op_type == NULL || out_values == NULL ||
        (inputs == NULL && input_count > 0) || (attributes == NULL && attribute_count > 0)) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "an argument of hd_graph_add_node is NULL");
    }
    for (size_t i = 0; i < attribute_count; i++) {
        if (!is_whole(&attributes[i])) {
            return hd_fail(
                error, HD_INVALID_ARGUMENT,
                "attribute %zu of '%s' has no name, an unknown kind, or a value that is NULL", i,
                op_type);
        }
    }
    const hd_operator *operator = hd_operator_find(op_type);
    if (operator != NULL && (operator->flags & HD_OPERATOR_CONTROL) != 0) {
        return hd_fail(error, HD_UNSUPPORTED, "'%s' has inner graphs; only files can bring it",
                       op_type);
    }
    /* Not in place: the caller may write the outputs over the inputs, as in value = relu(value). */
    hd_value *values = hd_region_array(&graph->region, output_count, sizeof *values);
    for (size_t i = 0; i < output_count; i++) {
        if (values == NULL || (values[i] = hd_graph_new_value(graph, "")) == HD_VALUE_NONE) {
            return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for the outputs of '%s'", op_type);
        }
    }
    hd_status status = hd_graph_append(graph, graph->root, op_type, "", inputs, input_count, values,
                                       output_count, attributes, attribute_count, NULL, error);
    if (status == HD_OK && output_count > 0) {
        memcpy(out_values, values, output_count * sizeof *values);
    }
    return status;
}

hd_status hd_graph_add_output(hd_graph *graph, const char *name, hd_value value, hd_error *error)
{
    if (graph == NULL || name == NULL || value == HD_VALUE_NONE || value >= graph->value_count) {
        return hd_fail(error, HD_INVALID_ARGUMENT,
                       "graph or name is NULL, or the value is none of its own");
    }
    if (!hd_block_add_output(graph, graph->root, name, value)) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for output '%s'", name);
    }
    return HD_OK;
}
