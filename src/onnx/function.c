#include "onnx/function.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"

/* Calls that are deeper in one another are taken for functions that call themselves. */
#define CALL_LIMIT 32u
/* What a node, an operand, a name and an attribute of a call take, in bytes, until the graph is
 * made: here, in the graph and its arrays that grow by doubling. */
#define NODE_SIZE      ((size_t)512)
#define OPERAND_SIZE   ((size_t)64)
#define NAME_SIZE      ((size_t)512)
#define ATTRIBUTE_SIZE ((size_t)128)

static hd_status fail_memory(hd_onnx_resolver *resolver)
{
    return hd_fail(resolver->error, HD_OUT_OF_MEMORY, "no memory for the functions of the model");
}

static size_t size_of_text(const char *text)
{
    return text == NULL ? 0 : strlen(text);
}

static size_t size_of_graph(const Onnx__GraphProto *graph);

static size_t size_of_attribute(const Onnx__AttributeProto *attribute)
{
    size_t size = ATTRIBUTE_SIZE + size_of_text(attribute->name) + attribute->s.len +
                  attribute->n_ints * sizeof(int64_t) + attribute->n_floats * sizeof(float);
    for (size_t i = 0; i < attribute->n_strings; i++) {
        size += attribute->strings[i].len + 1;
    }
    return size + (attribute->g == NULL ? 0 : size_of_graph(attribute->g));
}

static size_t size_of_nodes(Onnx__NodeProto **nodes, size_t count)
{
    size_t size = 0;
    for (size_t n = 0; n < count; n++) {
        const Onnx__NodeProto *node = nodes[n];
        size +=
            NODE_SIZE + OPERAND_SIZE * (node->n_input + node->n_output) + size_of_text(node->name);
        for (size_t i = 0; i < node->n_output; i++) {
            size += NAME_SIZE + size_of_text(node->output[i]);
        }
        for (size_t i = 0; i < node->n_attribute; i++) {
            size += size_of_attribute(node->attribute[i]);
        }
    }
    return size;
}

static size_t size_of_graph(const Onnx__GraphProto *graph)
{
    size_t size =
        NODE_SIZE + OPERAND_SIZE * graph->n_output + size_of_nodes(graph->node, graph->n_node);
    size += NAME_SIZE * (graph->n_input + graph->n_initializer);
    for (size_t i = 0; i < graph->n_input; i++) {
        size += size_of_text(graph->input[i]->name);
    }
    return size;
}

static size_t size_of_function(const Onnx__FunctionProto *function)
{
    size_t size = NODE_SIZE + size_of_nodes(function->node, function->n_node);
    return size + NAME_SIZE * function->n_input + OPERAND_SIZE * function->n_output;
}

/* A text of its own for each domain, name and overload; `to` has room for it. */
static void write_key(char *to, size_t size, const char *domain, const char *name,
                      const char *overload)
{
    const char *where = hd_onnx_is_default_domain(domain) ? "" : domain;
    snprintf(to, size, "%zu %zu %s%s%s", strlen(where), strlen(name), where, name,
             overload == NULL ? "" : overload);
}

static size_t key_size(const char *domain, const char *name, const char *overload)
{
    return size_of_text(domain) + size_of_text(name) + size_of_text(overload) + 48;
}

static hd_status read_opset(hd_onnx_resolver *resolver, hd_onnx_function *function)
{
    for (size_t i = 0; i < function->proto->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *set = function->proto->opset_import[i];
        if (!hd_onnx_is_default_domain(set->domain) || !set->has_version) {
            continue;
        }
        if (function->opset != 0 && function->opset != set->version) {
            return hd_fail(resolver->error, HD_BAD_MODEL,
                           "function '%s' uses opset %lld and opset %lld", function->proto->name,
                           (long long)function->opset, (long long)set->version);
        }
        function->opset = set->version;
    }
    function->ml_version =
        hd_onnx_find_ml_version(function->proto->opset_import, function->proto->n_opset_import, 0);
    return HD_OK;
}

static hd_status read_defaults(hd_onnx_resolver *resolver, hd_onnx_function *function)
{
    for (size_t i = 0; i < function->proto->n_attribute_proto; i++) {
        Onnx__AttributeProto *attribute = function->proto->attribute_proto[i];
        const char *name = attribute->name == NULL ? "" : attribute->name;
        hd_onnx_name *entry = hd_onnx_names_put(&function->defaults, resolver->region, name);
        if (entry == NULL) {
            return fail_memory(resolver);
        }
        if (entry->item != NULL || size_of_text(attribute->ref_attr_name) > 0) {
            return hd_fail(resolver->error, HD_BAD_MODEL,
                           "function '%s': attribute '%s' is there twice, or refers to another",
                           function->proto->name, name);
        }
        entry->item = attribute;
    }
    return HD_OK;
}

static hd_status add_function(hd_onnx_resolver *resolver, const Onnx__FunctionProto *proto)
{
    const char *name = proto->name == NULL ? "" : proto->name;
    size_t size = key_size(proto->domain, name, proto->overload);
    char *key = hd_region_alloc(resolver->region, size);
    hd_onnx_function *function = hd_region_alloc(resolver->region, sizeof *function);
    if (key == NULL || function == NULL) {
        return fail_memory(resolver);
    }
    write_key(key, size, proto->domain, name, proto->overload);
    resolver->key_size = size > resolver->key_size ? size : resolver->key_size;
    hd_onnx_name *entry = hd_onnx_names_put(&resolver->functions, resolver->region, key);
    if (entry == NULL) {
        return fail_memory(resolver);
    }
    if (entry->item != NULL) {
        return hd_fail(resolver->error, HD_BAD_MODEL, "function '%s' of domain '%s' is there twice",
                       name, proto->domain == NULL ? "" : proto->domain);
    }
    *function = (hd_onnx_function){.proto = proto, .size = size_of_function(proto)};
    entry->item = function;
    hd_status status = read_opset(resolver, function);
    return status == HD_OK ? read_defaults(resolver, function) : status;
}

hd_status hd_onnx_functions_find(hd_onnx_resolver *resolver)
{
    for (size_t i = 0; i < resolver->model->n_functions; i++) {
        hd_status status = add_function(resolver, resolver->model->functions[i]);
        if (status != HD_OK) {
            return status;
        }
    }
    resolver->key = hd_region_alloc(resolver->region, resolver->key_size);
    return resolver->key != NULL ? HD_OK : fail_memory(resolver);
}

const hd_onnx_function *hd_onnx_function_of(const hd_onnx_resolver *resolver,
                                            const Onnx__NodeProto *node)
{
    const char *type = hd_onnx_node_type(node);
    if (key_size(node->domain, type, node->overload) > resolver->key_size) {
        return NULL; /* longer than any function's */
    }
    write_key(resolver->key, resolver->key_size, node->domain, type, node->overload);
    const hd_onnx_name *entry = hd_onnx_names_find(&resolver->functions, resolver->key);
    return entry == NULL ? NULL : entry->item;
}

static hd_status check_call(hd_onnx_resolver *resolver, const hd_onnx_function *function,
                            const Onnx__NodeProto *caller)
{
    const Onnx__FunctionProto *proto = function->proto;
    if (resolver->call_depth >= CALL_LIMIT) {
        return hd_fail(resolver->error, HD_BAD_MODEL,
                       "function '%s': functions call one another more than %u deep", proto->name,
                       CALL_LIMIT);
    }
    if (caller->n_input > proto->n_input || caller->n_output > proto->n_output) {
        return hd_fail(resolver->error, HD_BAD_MODEL,
                       "function '%s': the call has more inputs or outputs than the function",
                       proto->name);
    }
    if (function->opset != 0 &&
        (function->opset < HD_ONNX_OPSET_OLDEST || function->opset > HD_ONNX_OPSET_MAX)) {
        return hd_fail(resolver->error, HD_UNSUPPORTED,
                       "function '%s' uses opset %lld; %d to %d are supported", proto->name,
                       (long long)function->opset, HD_ONNX_OPSET_MIN, HD_ONNX_OPSET_MAX);
    }
    resolver->expanded += function->size;
    return resolver->expanded <= HD_ONNX_EXPANSION_LIMIT
               ? HD_OK
               : hd_fail(resolver->error, HD_UNSUPPORTED,
                         "function '%s': the calls of functions make a graph of more than %zu MB",
                         proto->name, HD_ONNX_EXPANSION_LIMIT >> 20);
}

hd_status hd_onnx_call_make(hd_onnx_resolver *resolver, const hd_onnx_function *function,
                            const hd_onnx_scope *scope, const Onnx__NodeProto *caller,
                            hd_onnx_call **out_call)
{
    hd_status status = check_call(resolver, function, caller);
    if (status != HD_OK) {
        return status;
    }
    hd_onnx_call *call = hd_region_alloc(resolver->region, sizeof *call);
    if (call == NULL) {
        return fail_memory(resolver);
    }
    *call = (hd_onnx_call){.function = function, .scope = scope};
    for (size_t i = 0; i < caller->n_attribute; i++) {
        const char *name = caller->attribute[i]->name == NULL ? "" : caller->attribute[i]->name;
        hd_onnx_name *entry = hd_onnx_names_put(&call->attributes, resolver->region, name);
        if (entry == NULL) {
            return fail_memory(resolver);
        }
        entry->item = entry->item == NULL ? caller->attribute[i] : entry->item;
    }
    *out_call = call;
    return HD_OK;
}
