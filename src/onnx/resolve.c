#include "onnx/resolve.h"

#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "onnx/function.h"
#include "onnx/order.h"

static hd_status fail_memory(hd_onnx_resolver *resolver)
{
    return hd_fail(resolver->error, HD_OUT_OF_MEMORY, "no memory for the names of the graph");
}

/* The definition of `name` in this scope: a new one, or the one that is there (*out_is_new false);
 * NULL when out of memory. */
static hd_onnx_definition *define(hd_onnx_resolver *resolver, hd_onnx_scope *scope,
                                  const char *name, hd_onnx_definition_kind kind, bool *out_is_new)
{
    hd_onnx_name *entry = hd_onnx_names_put(&scope->names, resolver->region, name);
    if (entry == NULL) {
        return NULL;
    }
    *out_is_new = entry->item == NULL;
    if (entry->item == NULL) {
        hd_onnx_definition *made = hd_region_alloc(resolver->region, sizeof *made);
        if (made != NULL) {
            *made = (hd_onnx_definition){.name = name, .kind = kind, .scope = scope};
        }
        entry->item = made;
    }
    return entry->item;
}

static hd_status define_tensors(hd_onnx_resolver *resolver, hd_onnx_scope *scope)
{
    const Onnx__GraphProto *graph = scope->graph;
    if (graph->n_sparse_initializer > 0) {
        return hd_fail(resolver->error, HD_UNSUPPORTED,
                       "graph '%s' has sparse initializers, which are not supported",
                       graph->name == NULL ? "" : graph->name);
    }
    for (size_t i = 0; i < graph->n_initializer; i++) {
        const Onnx__TensorProto *tensor = graph->initializer[i];
        if (tensor->name == NULL || tensor->name[0] == '\0') {
            return hd_fail(resolver->error, HD_BAD_MODEL, "initializer %zu has no name", i);
        }
        bool is_new;
        hd_onnx_definition *made =
            define(resolver, scope, tensor->name, HD_ONNX_BY_TENSOR, &is_new);
        if (made == NULL) {
            return fail_memory(resolver);
        }
        if (!is_new) {
            return hd_fail(resolver->error, HD_BAD_MODEL, "initializer '%s' is there twice",
                           tensor->name);
        }
        made->tensor = tensor;
    }
    return HD_OK;
}

/* Initializers among the root's `count` inputs that runs may give other values for. */
static void define_overrides(hd_onnx_resolver *resolver, hd_onnx_scope *scope, size_t count)
{
    bool is_root = scope->outer == NULL && scope->graph != NULL;
    for (size_t i = 0; is_root && resolver->overrides.first != NULL && i < count; i++) {
        const char *name = scope->graph->input[i]->name;
        hd_onnx_definition *made = hd_onnx_names_find(&scope->names, name)->item;
        if (made->kind == HD_ONNX_BY_TENSOR &&
            hd_onnx_names_find(&resolver->overrides, name) != NULL) {
            made->kind = HD_ONNX_BY_INPUT;
            scope->inputs[scope->input_count++] = made;
        }
    }
}

static hd_status define_inputs(hd_onnx_resolver *resolver, hd_onnx_scope *scope)
{
    size_t count = scope->graph != NULL ? scope->graph->n_input : scope->function->n_input;
    scope->inputs = hd_region_array(resolver->region, count, sizeof *scope->inputs);
    if (scope->inputs == NULL) {
        return fail_memory(resolver);
    }
    for (size_t i = 0; i < count; i++) {
        const char *name =
            scope->graph != NULL ? scope->graph->input[i]->name : scope->function->input[i];
        if (name == NULL || name[0] == '\0') {
            return hd_fail(resolver->error, HD_BAD_MODEL, "input %zu has no name", i);
        }
        bool is_new;
        hd_onnx_definition *made =
            define(resolver, scope, name,
                   scope->graph != NULL ? HD_ONNX_BY_INPUT : HD_ONNX_BY_ARGUMENT, &is_new);
        if (made == NULL) {
            return fail_memory(resolver);
        }
        if (!is_new && made->kind == HD_ONNX_BY_TENSOR) {
            /* An initializer, as up to IR version 3 all stand among the inputs, too. */
            made->declaration = scope->graph->input[i];
            made->index = i;
            continue;
        }
        if (!is_new) {
            return hd_fail(resolver->error, HD_BAD_MODEL, "input '%s' is there twice", name);
        }
        made->index = i;
        made->declaration = scope->graph != NULL ? scope->graph->input[i] : NULL;
        scope->inputs[scope->input_count++] = made;
    }
    define_overrides(resolver, scope, count);
    return HD_OK;
}

static hd_status define_outputs_of(hd_onnx_resolver *resolver, hd_onnx_scope *scope, size_t index)
{
    hd_onnx_scope_node *entry = &scope->nodes[index];
    const Onnx__NodeProto *node = entry->node;
    entry->outputs = hd_region_array(resolver->region, node->n_output, sizeof *entry->outputs);
    if (entry->outputs == NULL) {
        return fail_memory(resolver);
    }
    for (size_t i = 0; i < node->n_output; i++) {
        if (node->output[i][0] == '\0') {
            continue;
        }
        bool is_new;
        hd_onnx_definition *made =
            define(resolver, scope, node->output[i], HD_ONNX_BY_NODE, &is_new);
        if (made == NULL) {
            return fail_memory(resolver);
        }
        if (!is_new) {
            return hd_fail(resolver->error, HD_BAD_MODEL,
                           "node '%s' (%s): its output '%s' is defined elsewhere too",
                           hd_onnx_node_name(node), hd_onnx_node_type(node), node->output[i]);
        }
        made->index = index;
        entry->outputs[i] = made;
    }
    return HD_OK;
}

/* Takes over the nodes of the graph or function and defines every name of the scope, so that a node
 * may stand before those that it reads. */
static hd_status define_all(hd_onnx_resolver *resolver, hd_onnx_scope *scope)
{
    const Onnx__GraphProto *graph = scope->graph;
    Onnx__NodeProto **nodes = graph != NULL ? graph->node : scope->function->node;
    scope->node_count = graph != NULL ? graph->n_node : scope->function->n_node;
    scope->nodes = hd_region_array(resolver->region, scope->node_count, sizeof *scope->nodes);
    if (scope->nodes == NULL) {
        return fail_memory(resolver);
    }
    hd_status status = graph != NULL ? define_tensors(resolver, scope) : HD_OK;
    if (status == HD_OK) {
        status = define_inputs(resolver, scope);
    }
    for (size_t i = 0; i < scope->node_count && status == HD_OK; i++) {
        scope->nodes[i].node = nodes[i];
        status = define_outputs_of(resolver, scope, i);
    }
    return status;
}

static bool add_edge(hd_onnx_resolver *resolver, hd_onnx_scope *scope, size_t reader,
                     size_t producer)
{
    hd_onnx_scope_node *entry = &scope->nodes[reader];
    if (entry->edges != NULL && entry->edges->producer == producer) {
        return true;
    }
    hd_onnx_edge *edge = hd_region_alloc(resolver->region, sizeof *edge);
    if (edge != NULL) {
        *edge = (hd_onnx_edge){.next = entry->edges, .producer = producer};
        entry->edges = edge;
    }
    return edge != NULL;
}

#define NO_NODE SIZE_MAX

/* Finds what `name` means to node `reader` of the scope (NO_NODE: to the scope's outputs). *out
 * stays NULL when nothing defines it. */
static hd_status look_up(hd_onnx_resolver *resolver, hd_onnx_scope *scope, size_t reader,
                         const char *name, hd_onnx_definition **out)
{
    for (hd_onnx_scope *at = scope; at != NULL; reader = at->outer_node, at = at->outer) {
        const hd_onnx_name *entry = hd_onnx_names_find(&at->names, name);
        if (entry == NULL) {
            continue;
        }
        hd_onnx_definition *found = entry->item;
        *out = found;
        if (found->kind == HD_ONNX_BY_NODE && reader != NO_NODE &&
            !add_edge(resolver, at, reader, found->index)) {
            return fail_memory(resolver);
        }
        return HD_OK;
    }
    return HD_OK;
}

static hd_status resolve_scope(hd_onnx_resolver *resolver, hd_onnx_scope *scope);

/* The graph of an attribute becomes a scope within `scope`. */
static hd_status resolve_inner(hd_onnx_resolver *resolver, hd_onnx_scope *scope, size_t index,
                               const Onnx__AttributeProto *attribute)
{
    hd_onnx_scope_node *entry = &scope->nodes[index];
    const char *name = attribute->name == NULL ? "" : attribute->name;
    size_t place = strcmp(name, "else_branch") == 0 ? 1 : 0;
    if (entry->inner[place] != NULL) {
        return hd_fail(resolver->error, HD_BAD_MODEL, "node '%s' (%s): graph '%s' is one too many",
                       hd_onnx_node_name(entry->node), hd_onnx_node_type(entry->node), name);
    }
    hd_onnx_scope *inner = hd_region_alloc(resolver->region, sizeof *inner);
    if (inner == NULL) {
        return fail_memory(resolver);
    }
    *inner = (hd_onnx_scope){.outer = scope,
                             .outer_node = index,
                             .graph = attribute->g,
                             .part_of = scope->part_of,
                             .opset = scope->opset,
                             .ml_version = scope->ml_version};
    entry->inner[place] = inner;
    hd_status status = resolve_scope(resolver, inner);
    return status == HD_OK || scope->outer != NULL /* one place is enough for a sentence */
               ? status
               : hd_fail_prefix(resolver->error, status, "in graph '%s' of node '%s'", name,
                                hd_onnx_node_name(entry->node));
}

static hd_status resolve_call(hd_onnx_resolver *resolver, hd_onnx_scope *scope,
                              hd_onnx_scope_node *entry, const hd_onnx_function *function)
{
    hd_onnx_call *call;
    hd_onnx_scope *body = hd_region_alloc(resolver->region, sizeof *body);
    if (body == NULL) {
        return fail_memory(resolver);
    }
    hd_status status = hd_onnx_call_make(resolver, function, scope, entry->node, &call);
    if (status == HD_OK) {
        *body = (hd_onnx_scope){.function = function->proto,
                                .part_of = call,
                                .opset = function->opset != 0 ? function->opset : resolver->opset,
                                .ml_version = function->ml_version != 0 ? function->ml_version
                                                                        : resolver->ml_version};
        entry->call = body;
        resolver->call_depth++;
        status = resolve_scope(resolver, body);
        resolver->call_depth--;
    }
    for (size_t i = 0; i < entry->node->n_input && status == HD_OK; i++) {
        body->inputs[i]->argument = entry->inputs[i];
    }
    return status == HD_OK || resolver->call_depth > 0 /* one place is enough for a sentence */
               ? status
               : hd_fail_prefix(resolver->error, status, "node '%s' (%s)",
                                hd_onnx_node_name(entry->node), hd_onnx_node_type(entry->node));
}

static hd_status resolve_node(hd_onnx_resolver *resolver, hd_onnx_scope *scope, size_t index)
{
    hd_onnx_scope_node *entry = &scope->nodes[index];
    const Onnx__NodeProto *node = entry->node;
    entry->inputs = hd_region_array(resolver->region, node->n_input, sizeof *entry->inputs);
    if (entry->inputs == NULL) {
        return fail_memory(resolver);
    }
    for (size_t i = 0; i < node->n_input; i++) {
        if (node->input[i][0] == '\0') {
            continue;
        }
        hd_status status = look_up(resolver, scope, index, node->input[i], &entry->inputs[i]);
        if (status != HD_OK) {
            return status;
        }
        if (entry->inputs[i] == NULL) {
            return hd_fail(
                resolver->error, HD_BAD_MODEL,
                "node '%s' (%s): its input '%s' is no input, initializer or output of a node",
                hd_onnx_node_name(node), hd_onnx_node_type(node), node->input[i]);
        }
    }
    for (size_t i = 0; i < node->n_attribute; i++) {
        if (node->attribute[i]->g != NULL) {
            hd_status status = resolve_inner(resolver, scope, index, node->attribute[i]);
            if (status != HD_OK) {
                return status;
            }
        }
    }
    const hd_onnx_function *function = hd_onnx_function_of(resolver, node);
    return function == NULL ? HD_OK : resolve_call(resolver, scope, entry, function);
}

static hd_status resolve_outputs(hd_onnx_resolver *resolver, hd_onnx_scope *scope)
{
    const Onnx__GraphProto *graph = scope->graph;
    scope->output_count = graph != NULL ? graph->n_output : scope->function->n_output;
    scope->outputs = hd_region_array(resolver->region, scope->output_count, sizeof *scope->outputs);
    if (scope->outputs == NULL) {
        return fail_memory(resolver);
    }
    for (size_t i = 0; i < scope->output_count; i++) {
        const char *name = graph != NULL ? graph->output[i]->name : scope->function->output[i];
        hd_status status =
            name == NULL ? HD_OK : look_up(resolver, scope, NO_NODE, name, &scope->outputs[i]);
        if (status != HD_OK) {
            return status;
        }
        if (scope->outputs[i] == NULL) {
            return hd_fail(resolver->error, HD_BAD_MODEL,
                           "output %zu '%s' is no input, initializer or output of a node", i,
                           name == NULL ? "" : name);
        }
    }
    return HD_OK;
}

static hd_status resolve_scope(hd_onnx_resolver *resolver, hd_onnx_scope *scope)
{
    if (resolver->depth >= HD_ONNX_DEPTH_LIMIT) {
        return hd_fail(resolver->error, HD_BAD_MODEL,
                       "inner graphs and functions are more than %u deep in one another",
                       HD_ONNX_DEPTH_LIMIT);
    }
    resolver->depth++;
    hd_status status = define_all(resolver, scope);
    for (size_t i = 0; i < scope->node_count && status == HD_OK; i++) {
        status = resolve_node(resolver, scope, i);
    }
    if (status == HD_OK) {
        status = resolve_outputs(resolver, scope);
    }
    resolver->depth--;
    return status == HD_OK ? hd_onnx_order(resolver, scope) : status;
}

hd_status hd_onnx_resolve(hd_onnx_resolver *resolver, hd_onnx_scope **out_root)
{
    hd_onnx_scope *root = hd_region_alloc(resolver->region, sizeof *root);
    if (root == NULL) {
        return fail_memory(resolver);
    }
    *root = (hd_onnx_scope){.graph = resolver->model->graph,
                            .opset = resolver->opset,
                            .ml_version = resolver->ml_version};
    *out_root = root;
    hd_status status = hd_onnx_functions_find(resolver);
    return status == HD_OK ? resolve_scope(resolver, root) : status;
}
