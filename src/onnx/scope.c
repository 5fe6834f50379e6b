#include "onnx/scope.h"

#include <string.h>

#include "base/memory.h"
#include "base/status.h"

/* What functions that call functions may grow to (BOUND). */
#define NODE_LIMIT ((size_t)2 << 20)
#define CALL_LIMIT 32u

const char *hd_onnx_node_name(const Onnx__NodeProto *node)
{
    if (node->name != NULL && node->name[0] != '\0') {
        return node->name;
    }
    for (size_t i = 0; i < node->n_output; i++) {
        if (node->output[i][0] != '\0') {
            return node->output[i];
        }
    }
    return "";
}

const char *hd_onnx_node_type(const Onnx__NodeProto *node)
{
    return node->op_type == NULL ? "" : node->op_type;
}

bool hd_onnx_is_default_domain(const char *domain)
{
    return domain == NULL || domain[0] == '\0' || strcmp(domain, "ai.onnx") == 0;
}

static hd_status fail_memory(hd_onnx_resolver *resolver)
{
    return hd_fail(resolver->error, HD_OUT_OF_MEMORY, "no memory for the names of the graph");
}

/* FNV-1a (isthe.com/chongo/tech/comp/fnv). */
static uint64_t hash_text(const char *text)
{
    uint64_t hash = 14695981039346656037u;
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    }
    return hash ^ (hash >> 29);
}

/* The place of `name` in the table: its definition's, or an empty one. */
static hd_onnx_definition **find_slot(const hd_onnx_scope *scope, const char *name)
{
    size_t at = (size_t)hash_text(name) & (scope->table_size - 1);
    while (scope->table[at] != NULL && strcmp(scope->table[at]->name, name) != 0) {
        at = (at + 1) & (scope->table_size - 1);
    }
    return &scope->table[at];
}

/* Makes a table for `count` names, at most half full. */
static bool make_table(hd_onnx_resolver *resolver, hd_onnx_scope *scope, size_t count)
{
    scope->table_size = 8;
    while (scope->table_size < 2 * count) {
        scope->table_size *= 2;
    }
    scope->table =
        hd_region_array(resolver->region, scope->table_size, sizeof(hd_onnx_definition *));
    return scope->table != NULL;
}

/* The definition of `name` in this scope: a new one, or the one that is there (*out_is_new false);
 * NULL when out of memory. */
static hd_onnx_definition *define(hd_onnx_resolver *resolver, hd_onnx_scope *scope,
                                  const char *name, hd_onnx_definition_kind kind, bool *out_is_new)
{
    hd_onnx_definition **slot = find_slot(scope, name);
    *out_is_new = *slot == NULL;
    if (*slot == NULL) {
        *slot = hd_region_alloc(resolver->region, sizeof **slot);
        if (*slot != NULL) {
            **slot = (hd_onnx_definition){.name = name, .kind = kind, .scope = scope};
        }
    }
    return *slot;
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
        made->tensor = tensor; /* of two with one name the later counts, as in other runtimes */
    }
    return HD_OK;
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
            continue; /* up to IR version 3 initializers stand among the inputs too */
        }
        if (!is_new) {
            return hd_fail(resolver->error, HD_BAD_MODEL, "input '%s' is there twice", name);
        }
        made->index = i;
        made->declaration = scope->graph != NULL ? scope->graph->input[i] : NULL;
        scope->inputs[scope->input_count++] = made;
    }
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
    size_t names = graph != NULL ? graph->n_initializer + graph->n_input : scope->function->n_input;
    scope->node_count = graph != NULL ? graph->n_node : scope->function->n_node;
    resolver->node_count += scope->node_count;
    if (resolver->node_count > NODE_LIMIT) {
        return hd_fail(resolver->error, HD_UNSUPPORTED, "the model has more than %zu nodes",
                       NODE_LIMIT);
    }
    scope->nodes = hd_region_array(resolver->region, scope->node_count, sizeof *scope->nodes);
    for (size_t i = 0; i < scope->node_count; i++) {
        names += nodes[i]->n_output;
    }
    if (scope->nodes == NULL || !make_table(resolver, scope, names)) {
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
        hd_onnx_definition *found = *find_slot(at, name);
        if (found == NULL) {
            continue;
        }
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
                             .caller = scope->caller,
                             .caller_scope = scope->caller_scope};
    entry->inner[place] = inner;
    hd_status status = resolve_scope(resolver, inner);
    return status == HD_OK || scope->outer != NULL /* one place is enough for a sentence */
               ? status
               : hd_fail_prefix(resolver->error, status, "in graph '%s' of node '%s'", name,
                                hd_onnx_node_name(entry->node));
}

static const Onnx__FunctionProto *find_function(const hd_onnx_resolver *resolver,
                                                const Onnx__NodeProto *node)
{
    const char *domain = node->domain == NULL ? "" : node->domain;
    for (size_t i = 0; i < resolver->model->n_functions; i++) {
        const Onnx__FunctionProto *function = resolver->model->functions[i];
        if (function->name != NULL && strcmp(function->name, hd_onnx_node_type(node)) == 0 &&
            strcmp(function->domain == NULL ? "" : function->domain, domain) == 0) {
            return function;
        }
    }
    return NULL;
}

/* A function's nodes are read by the model's version of the operators, so its own must be the
 * same. */
static hd_status check_function(hd_onnx_resolver *resolver, const Onnx__FunctionProto *function)
{
    for (size_t i = 0; i < function->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *set = function->opset_import[i];
        if (hd_onnx_is_default_domain(set->domain) && set->has_version &&
            set->version != resolver->opset) {
            return hd_fail(resolver->error, HD_UNSUPPORTED,
                           "function '%s' uses opset %lld, but the model %lld", function->name,
                           (long long)set->version, (long long)resolver->opset);
        }
    }
    return HD_OK;
}

static hd_status resolve_call(hd_onnx_resolver *resolver, hd_onnx_scope *scope,
                              hd_onnx_scope_node *entry, const Onnx__FunctionProto *function)
{
    const char *name = hd_onnx_node_name(entry->node);
    const char *type = hd_onnx_node_type(entry->node);
    if (resolver->call_depth >= CALL_LIMIT) {
        return hd_fail(resolver->error, HD_BAD_MODEL,
                       "node '%s' (%s): functions call one another more than %u deep", name, type,
                       CALL_LIMIT);
    }
    if (entry->node->n_input > function->n_input || entry->node->n_output > function->n_output) {
        return hd_fail(resolver->error, HD_BAD_MODEL,
                       "node '%s' (%s): it has more inputs or outputs than the function", name,
                       type);
    }
    hd_onnx_scope *call = hd_region_alloc(resolver->region, sizeof *call);
    if (call == NULL) {
        return fail_memory(resolver);
    }
    *call = (hd_onnx_scope){.function = function, .caller = entry->node, .caller_scope = scope};
    entry->call = call;
    resolver->call_depth++;
    hd_status status = check_function(resolver, function);
    if (status == HD_OK) {
        status = resolve_scope(resolver, call);
    }
    resolver->call_depth--;
    for (size_t i = 0; i < entry->node->n_input && status == HD_OK; i++) {
        call->inputs[i]->argument = entry->inputs[i];
    }
    return status == HD_OK || resolver->call_depth > 0 /* one place is enough for a sentence */
               ? status
               : hd_fail_prefix(resolver->error, status, "node '%s' (%s)", name, type);
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
    const Onnx__FunctionProto *function = find_function(resolver, node);
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
    hd_status status = define_all(resolver, scope);
    for (size_t i = 0; i < scope->node_count && status == HD_OK; i++) {
        status = resolve_node(resolver, scope, i);
    }
    if (status == HD_OK) {
        status = resolve_outputs(resolver, scope);
    }
    return status == HD_OK ? hd_onnx_order(resolver, scope) : status;
}

hd_status hd_onnx_resolve(hd_onnx_resolver *resolver, hd_onnx_scope **out_root)
{
    hd_onnx_scope *root = hd_region_alloc(resolver->region, sizeof *root);
    if (root == NULL) {
        return fail_memory(resolver);
    }
    *root = (hd_onnx_scope){.graph = resolver->model->graph};
    *out_root = root;
    return resolve_scope(resolver, root);
}
