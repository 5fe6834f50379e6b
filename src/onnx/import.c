#include "onnx/import.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "graph/expansion.h"
#include "onnx/attribute.h"
#include "onnx/constant.h"
#include "onnx/declaration.h"
#include "onnx/missing.h"

typedef struct importer {
    const hd_onnx_origin *origin;
    const hd_onnx_listener *listener; /* NULL: the first failure ends it */
    hd_onnx_names
        declared; /* Onnx__ValueInfoProto of values of the root graph; made when first needed */
    hd_graph *graph;
    hd_onnx_names constants; /* hd_value of what calls share, by the address of the message */
    hd_region region; /* operands and attributes on their way into the graph, which copies them */
    hd_error *error;
} importer;

static hd_status import_nodes(importer *import, hd_onnx_scope *scope, hd_block *block);

static hd_status fail_memory(importer *import, const char *name)
{
    return hd_fail(import->error, HD_OUT_OF_MEMORY, "no memory for '%s'", name);
}

/* Makes a constant that takes over the tensor's data, or frees it. */
static hd_status make_constant(importer *import, const char *name, hd_tensor *tensor, hd_value *out)
{
    hd_shape shape = {.rank = tensor->rank};
    memcpy(shape.dims, tensor->dims, sizeof shape.dims);
    *out = hd_graph_new_constant(import->graph, name, tensor->dtype, &shape, tensor->data);
    if (*out == HD_VALUE_NONE) {
        hd_free(tensor->data);
        return fail_memory(import, name);
    }
    return HD_OK;
}

/* Where the constant that a tensor or an attribute of the file becomes is kept: calls of one
 * function share it, outside of them it is `own`. NULL when out of memory. */
static hd_value *shared_constant(importer *import, const hd_onnx_scope *scope, const void *message,
                                 hd_value *own)
{
    if (scope->part_of == NULL) {
        return own;
    }
    char address[24];
    snprintf(address, sizeof address, "%p", message);
    hd_onnx_name *entry = hd_onnx_names_find(&import->constants, address);
    if (entry == NULL) {
        const char *text = hd_region_copy_text(&import->region, address);
        entry = text == NULL ? NULL : hd_onnx_names_put(&import->constants, &import->region, text);
    }
    if (entry != NULL && entry->item == NULL) {
        entry->item = hd_region_alloc(&import->region, sizeof(hd_value));
    }
    return entry == NULL ? NULL : entry->item;
}

/* The value of a definition; HD_VALUE_NONE for one that is left out. An initializer is read when
 * its value is first asked for: what nobody uses costs nothing. */
static hd_status value_of(importer *import, hd_onnx_definition *definition, hd_value *out)
{
    while (definition != NULL && definition->kind == HD_ONNX_BY_ARGUMENT) {
        definition = definition->argument;
    }
    *out = HD_VALUE_NONE;
    if (definition == NULL) {
        return HD_OK;
    }
    if (definition->value == HD_VALUE_NONE && definition->kind == HD_ONNX_BY_TENSOR) {
        hd_value *made =
            shared_constant(import, definition->scope, definition->tensor, &definition->value);
        hd_status status = made == NULL ? fail_memory(import, definition->name) : HD_OK;
        if (status == HD_OK && *made == HD_VALUE_NONE) {
            hd_tensor tensor;
            status =
                hd_onnx_elements_read(import->origin, definition->tensor, &tensor, import->error);
            if (status == HD_OK) {
                status = make_constant(import, definition->name, &tensor, made);
            }
        }
        if (status != HD_OK) {
            return status;
        }
        definition->value = *made;
    }
    *out = definition->value;
    return HD_OK;
}

/* The values of `count` definitions as an array in the region; *out_used: without those left out at
 * the end. */
static hd_status values_of(importer *import, hd_onnx_definition **definitions, size_t count,
                           hd_value **out, size_t *out_used)
{
    hd_value *values = hd_region_array(&import->region, count, sizeof *values);
    *out = values;
    *out_used = 0;
    if (values == NULL) {
        return fail_memory(import, "inputs of a node");
    }
    for (size_t i = 0; i < count; i++) {
        hd_status status = value_of(import, definitions[i], &values[i]);
        if (status != HD_OK) {
            return status;
        }
        if (values[i] != HD_VALUE_NONE) {
            *out_used = i + 1;
        }
    }
    return HD_OK;
}

static hd_status fail_node(importer *import, const Onnx__NodeProto *node, hd_status status,
                           const char *reason)
{
    return hd_fail(import->error, status, "node '%s' (%s): %s", hd_onnx_node_name(node),
                   hd_onnx_node_type(node), reason);
}

static hd_status import_constant(importer *import, hd_onnx_scope *scope, hd_onnx_scope_node *entry)
{
    const Onnx__NodeProto *node = entry->node;
    const Onnx__AttributeProto *value;
    hd_status status = hd_onnx_constant_find(scope, node, &value, import->error);
    if (status != HD_OK) {
        return status;
    }
    hd_onnx_definition *output = entry->outputs[0]; /* the node is needed, and by this output */
    hd_value *made = shared_constant(import, scope, value, &output->value);
    if (made == NULL) {
        return fail_memory(import, output->name);
    }
    if (*made == HD_VALUE_NONE) {
        hd_tensor tensor;
        status = hd_onnx_constant_read(import->origin, node, value, &tensor, import->error);
        if (status == HD_OK) {
            status = make_constant(import, output->name, &tensor, made);
        }
    }
    output->value = *made;
    return status;
}

/* Reads the initializer of an input; it must be what the file declares the input to be. */
static hd_status import_initial(importer *import, hd_value value, hd_onnx_definition *definition)
{
    hd_tensor tensor;
    hd_status status =
        hd_onnx_elements_read(import->origin, definition->tensor, &tensor, import->error);
    if (status != HD_OK) {
        return status;
    }
    hd_onnx_elements_pack(&tensor); /* as the caller's, in whose place it is */
    const hd_graph_value *entry = &import->graph->values[value];
    bool fits =
        tensor.dtype == entry->dtype && (!entry->has_rank || entry->shape.rank == tensor.rank);
    for (uint32_t d = 0; fits && entry->has_rank && d < tensor.rank; d++) {
        fits = entry->shape.dims[d] < 0 || entry->shape.dims[d] == tensor.dims[d];
    }
    if (!fits) {
        status =
            hd_fail(import->error, HD_BAD_MODEL, "its initializer is of another type or shape");
    } else if (!hd_graph_set_initial(import->graph, value, &tensor)) {
        status = fail_memory(import, definition->name);
    }
    if (status != HD_OK) {
        hd_free(tensor.data);
    }
    return status;
}

/* What is wrong with a node, or (NULL) with an input or output of a graph, is told, and the rest goes on. */
static hd_status pass_over(importer *import, const Onnx__NodeProto *node, hd_status status)
{
    if (import->listener == NULL || status == HD_OK || status == HD_OUT_OF_MEMORY) {
        return status;
    }
    return import->listener->tell(import->listener->context, node, import->error)
               ? HD_OK
               : fail_memory(import, "what is not supported");
}

/* What the file says of a value of the root graph beside its inputs and outputs; *out NULL: nothing. */
static hd_status find_declared(importer *import, const hd_onnx_scope *scope, const char *name,
                               const Onnx__ValueInfoProto **out)
{
    const Onnx__GraphProto *graph = scope->outer == NULL ? scope->graph : NULL;
    for (size_t i = 0; graph != NULL && import->declared.first == NULL && i < graph->n_value_info;
         i++) {
        const char *text = graph->value_info[i]->name;
        hd_onnx_name *entry =
            hd_onnx_names_put(&import->declared, &import->region, text == NULL ? "" : text);
        if (entry == NULL) {
            return fail_memory(import, name);
        }
        entry->item = graph->value_info[i];
    }
    const hd_onnx_name *found = graph == NULL ? NULL : hd_onnx_names_find(&import->declared, name);
    *out = found == NULL ? NULL : found->item;
    return HD_OK;
}

/* Passes over a node: its outputs are values that nothing computes, of the types that the file declares. */
static hd_status pass_over_node(importer *import, const hd_onnx_scope *scope,
                                hd_onnx_scope_node *entry, hd_status status)
{
    if (status == HD_OK) {
        return HD_OK;
    }
    status = pass_over(import, entry->node, status);
    for (size_t i = 0; i < entry->node->n_output && status == HD_OK; i++) {
        hd_onnx_definition *output = entry->outputs[i];
        const Onnx__ValueInfoProto *declared = NULL;
        if (output == NULL || output->value != HD_VALUE_NONE) {
            continue;
        }
        output->value = hd_graph_new_value(import->graph, output->name);
        if (output->value == HD_VALUE_NONE) {
            return fail_memory(import, output->name);
        }
        status = find_declared(import, scope, output->name, &declared);
        if (status == HD_OK && hd_onnx_declare(import->graph, output->value, declared,
                                               HD_ONNX_TYPE_OPTIONAL, NULL) != HD_OK) {
            import->graph->values[output->value].dtype = HD_DTYPE_NONE;
        }
    }
    return status;
}

/* Adds an input that `definition` stands for to a block. */
static hd_status import_input(importer *import, hd_block *block, hd_onnx_definition *definition)
{
    hd_value value = hd_graph_new_value(import->graph, definition->name);
    if (value == HD_VALUE_NONE || !hd_block_add_input(block, value)) {
        return fail_memory(import, definition->name);
    }
    definition->value = value;
    bool is_root = block == import->graph->root;
    hd_status status =
        hd_onnx_declare(import->graph, value, definition->declaration,
                        is_root ? HD_ONNX_TYPE_NEEDED : HD_ONNX_TYPE_OPTIONAL, import->error);
    if (status == HD_OK && definition->tensor != NULL) {
        status = import_initial(import, value, definition);
    }
    return status == HD_OK ? status
                           : hd_fail_prefix(import->error, status, "input '%s'", definition->name);
}

/* What a file says of an output's shape must not replace what a constant or an input has. */
static bool is_undeclared(const hd_graph *graph, hd_value value)
{
    const hd_graph_value *entry = &graph->values[value];
    return entry->dtype == HD_DTYPE_NONE && entry->data == NULL && !entry->has_rank;
}

static hd_status import_scope(importer *import, hd_onnx_scope *scope, hd_block *block)
{
    hd_status status = HD_OK;
    for (size_t i = 0; i < scope->input_count && status == HD_OK; i++) {
        status = pass_over(import, NULL, import_input(import, block, scope->inputs[i]));
    }
    if (status == HD_OK) {
        status = import_nodes(import, scope, block);
    }
    for (size_t i = 0; i < scope->output_count && status == HD_OK; i++) {
        hd_value value;
        status = value_of(import, scope->outputs[i], &value);
        const char *name = scope->graph->output[i]->name;
        if (status == HD_OK && value == HD_VALUE_NONE) {
            status = hd_fail(import->error, HD_BAD_MODEL, "output '%s' has no value", name);
        }
        if (status == HD_OK && !hd_block_add_output(import->graph, block, name, value)) {
            status = fail_memory(import, name);
        }
        if (status == HD_OK && is_undeclared(import->graph, value)) {
            status = hd_onnx_declare(import->graph, value, scope->graph->output[i],
                                     HD_ONNX_TYPE_OPTIONAL, import->error);
            if (status != HD_OK) {
                hd_fail_prefix(import->error, status, "output '%s'", name);
            }
        }
        status = pass_over(import, NULL, status);
    }
    return status;
}

/* Whether the graphs inside a node have the operands that it needs (onnx.ai, "If", "Loop"). */
static hd_status check_inner(importer *import, const hd_onnx_scope_node *entry, size_t input_count,
                             size_t output_count)
{
    const hd_onnx_scope *first = entry->inner[0];
    const hd_onnx_scope *second = entry->inner[1];
    char type[HD_ONNX_OPERATOR_SIZE];
    hd_onnx_node_operator(entry->node, type);
    bool has_graphs =
        strcmp(type, "If") == 0 || strcmp(type, "Loop") == 0 || strcmp(type, "Scan") == 0;
    if (!has_graphs && first != NULL) {
        return fail_node(import, entry->node, HD_BAD_MODEL, "the operator has no inner graphs");
    }
    if (strcmp(type, "If") == 0) {
        if (first == NULL || second == NULL) {
            return fail_node(import, entry->node, HD_BAD_MODEL, "a branch is missing");
        }
        if (first->input_count > 0 || second->input_count > 0 ||
            first->output_count < output_count || second->output_count < output_count) {
            return fail_node(import, entry->node, HD_BAD_MODEL,
                             "a branch has inputs, or fewer outputs than the node");
        }
    }
    if (strcmp(type, "Loop") == 0) {
        if (first == NULL || second != NULL) {
            return fail_node(import, entry->node, HD_BAD_MODEL, "it needs one graph, its body");
        }
        if (first->input_count < 2 || first->input_count < input_count ||
            first->output_count < output_count + 1 ||
            first->output_count + 1 < first->input_count) {
            return fail_node(import, entry->node, HD_BAD_MODEL,
                             "the operands of its body do not fit its own");
        }
    }
    return HD_OK;
}

static hd_status import_inner(importer *import, const hd_onnx_scope_node *entry,
                              hd_block *blocks[2])
{
    for (size_t i = 0; i < 2; i++) {
        if (entry->inner[i] == NULL) {
            continue;
        }
        blocks[i] = hd_graph_new_block(import->graph);
        if (blocks[i] == NULL) {
            return fail_memory(import, hd_onnx_node_name(entry->node));
        }
        hd_status status = import_scope(import, entry->inner[i], blocks[i]);
        if (status != HD_OK) {
            bool is_outermost = entry->inner[i]->outer->outer == NULL;
            return is_outermost ? hd_fail_prefix(import->error, status, "in node '%s' (%s)",
                                                 hd_onnx_node_name(entry->node),
                                                 hd_onnx_node_type(entry->node))
                                : status;
        }
    }
    return HD_OK;
}

/* New values for a node's outputs; *out_used: without those left out at the end. */
static hd_status make_outputs(importer *import, hd_onnx_scope_node *entry, hd_value **out,
                              size_t *out_used)
{
    size_t count = entry->node->n_output;
    hd_value *values = hd_region_array(&import->region, count, sizeof *values);
    *out = values;
    *out_used = 0;
    if (values == NULL) {
        return fail_memory(import, hd_onnx_node_name(entry->node));
    }
    for (size_t i = 0; i < count; i++) {
        if (entry->outputs[i] == NULL) {
            continue;
        }
        values[i] = hd_graph_new_value(import->graph, entry->outputs[i]->name);
        if (values[i] == HD_VALUE_NONE) {
            return fail_memory(import, entry->outputs[i]->name);
        }
        entry->outputs[i]->value = values[i];
        *out_used = i + 1;
    }
    return HD_OK;
}

/* Appends the node, with the version of its own domain. */
static hd_status append(importer *import, const hd_onnx_scope *scope, hd_block *block,
                        const Onnx__NodeProto *node, const hd_value *inputs, size_t input_count,
                        const hd_value *outputs, size_t output_count,
                        const hd_onnx_attributes *attributes, hd_node **out_made)
{
    char name[HD_ONNX_OPERATOR_SIZE];
    const uint32_t opset = import->graph->opset;
    if (!hd_onnx_is_default_domain(node->domain)) {
        import->graph->opset =
            strcmp(node->domain, "ai.onnx.ml") == 0 ? (uint32_t)scope->ml_version : 1;
    }
    hd_status status =
        hd_graph_append(import->graph, block, hd_onnx_node_operator(node, name),
                        hd_onnx_node_name(node), inputs, input_count, outputs, output_count,
                        attributes->items, attributes->count, out_made, import->error);
    import->graph->opset = opset;
    return status;
}

static hd_status import_operator(importer *import, hd_onnx_scope *scope, hd_onnx_scope_node *entry,
                                 hd_block *block)
{
    const Onnx__NodeProto *node = entry->node;
    hd_value *inputs;
    hd_value *outputs;
    size_t input_count;
    size_t output_count;
    hd_block *blocks[2] = {NULL, NULL};
    hd_status status = values_of(import, entry->inputs, node->n_input, &inputs, &input_count);
    if (status == HD_OK) {
        status = make_outputs(import, entry, &outputs, &output_count);
    }
    if (status == HD_OK) {
        status = check_inner(import, entry, input_count, output_count);
    }
    if (status == HD_OK) {
        status = import_inner(import, entry, blocks);
    }
    if (status != HD_OK) {
        return status;
    }
    hd_onnx_attributes attributes;
    hd_node *made;
    status = hd_onnx_attributes_read(import->origin, &import->region, scope, node, &attributes,
                                     import->error);
    if (status == HD_OK) {
        status = append(import, scope, block, node, inputs, input_count, outputs, output_count,
                        &attributes, &made);
    }
    if (status == HD_OK && made != NULL) {
        made->blocks[0] = blocks[0];
        made->blocks[1] = blocks[1];
    }
    hd_onnx_attributes_clear(&attributes);
    return status;
}

/* A graph begins with opset HD_ONNX_OPSET_MIN. */
static uint32_t graph_opset(int64_t opset)
{
    return (uint32_t)(opset < HD_ONNX_OPSET_MIN ? HD_ONNX_OPSET_MIN : opset);
}

/* A call's nodes become nodes of the block that it stands in, and keep the meaning that their
 * opset gives them. */
static hd_status import_call(importer *import, hd_onnx_scope_node *entry, hd_block *block)
{
    hd_onnx_scope *call = entry->call;
    uint32_t opset = import->graph->opset;
    import->graph->opset = graph_opset(call->opset);
    hd_status status = import_nodes(import, call, block);
    import->graph->opset = opset;
    for (size_t i = 0; i < entry->node->n_output && status == HD_OK; i++) {
        if (entry->outputs[i] == NULL) {
            continue;
        }
        status = value_of(import, call->outputs[i], &entry->outputs[i]->value);
        if (status == HD_OK && entry->outputs[i]->value == HD_VALUE_NONE) {
            status = fail_node(import, entry->node, HD_BAD_MODEL,
                               "the function gives back an input that the call leaves out");
        }
    }
    return status;
}

/* Operators whose first version was good until opset 6 at least (onnx.ai, "Operator Changelog"). */
static bool is_unchanged_until_6(const char *type)
{
    /* clang-format off */
    static const char *const types[] = {
        "And", "ArgMax", "ArgMin", "AveragePool", "Constant", "Conv", "ConvTranspose",
        "DepthToSpace", "Equal", "Flatten", "Gather", "GlobalAveragePool", "GlobalMaxPool",
        "Greater", "Hardmax", "Identity", "LRN", "LSTM", "Less", "LogSoftmax", "LpNormalization",
        "MatMul", "MaxPool", "Not", "Or", "Pow", "RNN", "ReduceL1", "ReduceL2", "ReduceLogSum",
        "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
        "ReduceSumSquare", "Shape", "Size", "Softmax", "Softplus", "Softsign", "SpaceToDepth",
        "Squeeze", "TopK", "Transpose", "Unsqueeze", "Xor",
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(types[i], type) == 0) {
            return true;
        }
    }
    return false;
}

static hd_status import_nodes(importer *import, hd_onnx_scope *scope, hd_block *block)
{
    hd_status status = HD_OK;
    for (size_t i = 0; i < scope->order_count && status == HD_OK; i++) {
        hd_onnx_scope_node *entry = &scope->nodes[scope->order[i]];
        const Onnx__NodeProto *node = entry->node;
        const bool is_onnx = hd_onnx_is_default_domain(node->domain);
        if (import->listener != NULL && entry->call == NULL && !hd_onnx_has_operator(node)) {
            status = fail_node(import, node, HD_UNSUPPORTED, HD_ONNX_NO_OPERATOR);
        } else if (entry->call != NULL) {
            status = import_call(import, entry, block);
        } else if (is_onnx && scope->opset < HD_ONNX_OPSET_MIN &&
                   !is_unchanged_until_6(hd_onnx_node_type(node))) {
            status = hd_fail(import->error, HD_UNSUPPORTED,
                             "node '%s' (%s): the operator as of opset %lld is not supported; "
                             "%d to %d are",
                             hd_onnx_node_name(node), hd_onnx_node_type(node),
                             (long long)scope->opset, HD_ONNX_OPSET_MIN, HD_ONNX_OPSET_MAX);
        } else if (is_onnx && strcmp(hd_onnx_node_type(node), "Constant") == 0 &&
                   node->n_output == 1) {
            status = import_constant(import, scope, entry);
        } else {
            status = import_operator(import, scope, entry, block);
        }
        status = pass_over_node(import, scope, entry, status);
    }
    return status;
}

hd_status hd_onnx_import(const hd_onnx_origin *origin, hd_onnx_scope *root, hd_graph *graph,
                         const hd_onnx_listener *listener, hd_error *error)
{
    hd_error own_error;
    importer import = {.origin = origin,
                       .listener = listener,
                       .graph = graph,
                       .error = error != NULL ? error : &own_error};
    hd_status status = listener != NULL ? HD_OK : hd_onnx_check_operators(root, import.error);
    if (status == HD_OK) {
        status = import_scope(&import, root, graph->root);
    }
    hd_region_clear(&import.region);
    return status == HD_OK ? hd_graph_lower_scans(graph, import.error) : status;
}
