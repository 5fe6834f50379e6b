#include "graph_parts.h"

#include <stdio.h>

#define DATA_LIMIT ((int64_t)4096) /* elements of a constant that is made up */

#define KIND(name) ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##name

body body_root(mutation *m)
{
    return (body){.graph = m->model->graph};
}

body body_pick(mutation *m)
{
    if (once_in(m, 2)) {
        return body_root(m);
    }
    message_list graphs = message_find(&m->tree, &m->model->base, &onnx__graph_proto__descriptor);
    size_t chosen = below(m, graphs.count + m->model->n_functions);
    return chosen < graphs.count ? (body){.graph = (Onnx__GraphProto *)graphs.items[chosen]}
                                 : (body){.function = m->model->functions[chosen - graphs.count]};
}

Onnx__NodeProto **body_nodes(const body *b, size_t *count)
{
    *count = b->graph != NULL ? b->graph->n_node : b->function->n_node;
    return b->graph != NULL ? b->graph->node : b->function->node;
}

void body_add_node(mutation *m, const body *b, Onnx__NodeProto *node)
{
    if (b->graph != NULL) {
        APPEND(m, b->graph->node, b->graph->n_node, node);
    } else {
        APPEND(m, b->function->node, b->function->n_node, node);
    }
}

Onnx__NodeProto *body_pick_node(mutation *m, const body *b)
{
    size_t count;
    Onnx__NodeProto **nodes = body_nodes(b, &count);
    return count == 0 ? NULL : nodes[below(m, count)];
}

/* Each of the names is chosen as likely as any other. */
static void consider(mutation *m, char *name, size_t *seen, char **chosen)
{
    if (name != NULL && name[0] != '\0' && once_in(m, ++*seen)) {
        *chosen = name;
    }
}

static void consider_graph(mutation *m, const Onnx__GraphProto *graph, size_t *seen, char **chosen)
{
    for (size_t i = 0; i < graph->n_input; i++) {
        consider(m, graph->input[i]->name, seen, chosen);
    }
    for (size_t i = 0; i < graph->n_initializer; i++) {
        consider(m, graph->initializer[i]->name, seen, chosen);
    }
}

static bool is_among(char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (text_is(names[i], name)) {
            return true;
        }
    }
    return false;
}

/* Whether the node, or one in its blocks, reads an output of `other`. */
static bool node_reads(mutation *m, Onnx__NodeProto *node, const Onnx__NodeProto *other)
{
    message_list inner = message_find(&m->tree, &node->base, &onnx__node_proto__descriptor);
    for (size_t n = 0; n < inner.count; n++) {
        const Onnx__NodeProto *reader = (const Onnx__NodeProto *)inner.items[n];
        for (size_t i = 0; i < reader->n_input; i++) {
            if (reader->input[i] != NULL &&
                is_among(other->output, other->n_output, reader->input[i])) {
                return true;
            }
        }
    }
    return false;
}

/* Of each node of the body, whether it depends on `node`, or is it. */
static bool *find_dependent(mutation *m, const body *b, const Onnx__NodeProto *node)
{
    size_t count;
    Onnx__NodeProto **nodes = body_nodes(b, &count);
    bool *depends = message_alloc(&m->tree, count);
    const Onnx__NodeProto **reached = message_alloc(&m->tree, (count + 1) * sizeof *reached);
    size_t reached_count = 0;
    reached[reached_count++] = node;
    for (size_t r = 0; r < reached_count; r++) {
        for (size_t n = 0; n < count; n++) {
            if (!depends[n] && (nodes[n] == node || node_reads(m, nodes[n], reached[r]))) {
                depends[n] = true;
                if (nodes[n] != node) {
                    reached[reached_count++] = nodes[n];
                }
            }
        }
    }
    return depends;
}

char *body_pick_name(mutation *m, const body *b)
{
    return body_pick_name_for(m, b, NULL);
}

char *body_pick_name_for(mutation *m, const body *b, const Onnx__NodeProto *node)
{
    size_t seen = 0, count;
    char *chosen = NULL;
    Onnx__NodeProto **nodes = body_nodes(b, &count);
    const bool *depends = node == NULL ? NULL : find_dependent(m, b, node);
    for (size_t n = 0; n < count; n++) {
        for (size_t i = 0; (depends == NULL || !depends[n]) && i < nodes[n]->n_output; i++) {
            consider(m, nodes[n]->output[i], &seen, &chosen);
        }
    }
    for (size_t i = 0; b->function != NULL && i < b->function->n_input; i++) {
        consider(m, b->function->input[i], &seen, &chosen);
    }
    if (b->graph != NULL) {
        consider_graph(m, b->graph, &seen, &chosen);
        if (b->graph != m->model->graph) {
            consider_graph(m, m->model->graph, &seen, &chosen);
        }
    }
    return chosen;
}

bool body_defines(const body *b, const char *name, size_t nodes)
{
    Onnx__NodeProto **all = b->graph != NULL ? b->graph->node : b->function->node;
    for (size_t n = 0; n < nodes; n++) {
        if (is_among(all[n]->output, all[n]->n_output, name)) {
            return true;
        }
    }
    if (b->function != NULL) {
        return is_among(b->function->input, b->function->n_input, name);
    }
    for (size_t i = 0; i < b->graph->n_input; i++) {
        if (text_is(b->graph->input[i]->name, name)) {
            return true;
        }
    }
    for (size_t i = 0; i < b->graph->n_initializer; i++) {
        if (text_is(b->graph->initializer[i]->name, name)) {
            return true;
        }
    }
    return false;
}

char *text_copy(mutation *m, const char *text)
{
    return message_bytes(&m->tree, text, strlen(text) + 1);
}

char *text_fresh(mutation *m, const char *prefix)
{
    char text[64];
    snprintf(text, sizeof text, "%s%05llx", prefix,
             (unsigned long long)fuzz_draw(&m->tree.random) & 0xFFFFF);
    return text_copy(m, text);
}

bool text_is(const char *text, const char *other)
{
    return text != NULL && strcmp(text, other) == 0;
}

Onnx__NodeProto *node_make(mutation *m, const char *type)
{
    Onnx__NodeProto *node = MAKE(m, node_proto);
    node->op_type = text_copy(m, type);
    return node;
}

void node_add_input(mutation *m, Onnx__NodeProto *node, char *name)
{
    APPEND(m, node->input, node->n_input, name);
}

char *node_add_output(mutation *m, Onnx__NodeProto *node)
{
    char *name = text_fresh(m, "v");
    APPEND(m, node->output, node->n_output, name);
    return name;
}

Onnx__AttributeProto *node_add_attribute(mutation *m, Onnx__NodeProto *node, const char *name,
                                         int type)
{
    Onnx__AttributeProto *attribute = MAKE(m, attribute_proto);
    attribute->name = text_copy(m, name);
    attribute->has_type = true;
    attribute->type = type;
    APPEND(m, node->attribute, node->n_attribute, attribute);
    return attribute;
}

void node_add_int(mutation *m, Onnx__NodeProto *node, const char *name, int64_t value)
{
    Onnx__AttributeProto *attribute = node_add_attribute(m, node, name, KIND(INT));
    attribute->has_i = true;
    attribute->i = value;
}

void node_add_graph(mutation *m, Onnx__NodeProto *node, const char *name, Onnx__GraphProto *graph)
{
    node_add_attribute(m, node, name, KIND(GRAPH))->g = graph;
}

char *node_over(mutation *m, const body *b, const char *type, char *input)
{
    Onnx__NodeProto *node = node_make(m, type);
    node_add_input(m, node, input);
    body_add_node(m, b, node);
    return node_add_output(m, node);
}

Onnx__ValueInfoProto *value_make(mutation *m, char *name, int32_t dtype, const hd_shape *shape)
{
    Onnx__ValueInfoProto *value = MAKE(m, value_info_proto);
    value->name = name;
    if (dtype == HD_DTYPE_NONE) {
        return value;
    }
    value->type = MAKE(m, type_proto);
    Onnx__TypeProto__Tensor *tensor = MAKE(m, type_proto__tensor);
    value->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    value->type->tensor_type = tensor;
    tensor->has_elem_type = true;
    tensor->elem_type = dtype;
    if (shape == NULL) {
        return value;
    }
    tensor->shape = MAKE(m, tensor_shape_proto);
    for (uint32_t i = 0; i < shape->rank; i++) {
        Onnx__TensorShapeProto__Dimension *dim = MAKE(m, tensor_shape_proto__dimension);
        dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        dim->dim_value = shape->dims[i];
        APPEND(m, tensor->shape->dim, tensor->shape->n_dim, dim);
    }
    return value;
}

void graph_add_input(mutation *m, Onnx__GraphProto *graph, char *name, int32_t dtype,
                     const hd_shape *shape)
{
    APPEND(m, graph->input, graph->n_input, value_make(m, name, dtype, shape));
}

void graph_add_output(mutation *m, Onnx__GraphProto *graph, char *name)
{
    APPEND(m, graph->output, graph->n_output, value_make(m, name, HD_DTYPE_NONE, NULL));
}

int64_t tensor_count(const Onnx__TensorProto *tensor)
{
    int64_t count = 1;
    for (size_t i = 0; i < tensor->n_dims; i++) {
        if (tensor->dims[i] < 0 || tensor->dims[i] > DATA_LIMIT) {
            return -1;
        }
        count *= tensor->dims[i];
        if (count > DATA_LIMIT) {
            return -1;
        }
    }
    return count;
}

/* Elements from `given`; behind them those that the tensor has as raw data; the rest is made up. */
static void tensor_fill(mutation *m, Onnx__TensorProto *tensor, const double *given,
                        size_t given_count)
{
    size_t size = hd_dtype_size((hd_dtype)tensor->data_type);
    int64_t count = tensor_count(tensor);
    if (size == 0 || count < 0) {
        return;
    }
    size_t has = tensor->has_raw_data ? tensor->raw_data.len / size : 0;
    uint8_t *data = message_alloc(&m->tree, (size_t)count * size);
    for (size_t i = 0; i < (size_t)count; i++) {
        if (i < given_count) {
            fuzz_store((hd_dtype)tensor->data_type, data, i, given[i]);
        } else if (i < has) {
            memcpy(data + i * size, tensor->raw_data.data + i * size, size);
        } else {
            fuzz_store((hd_dtype)tensor->data_type, data, i, 0.25 + 0.25 * (double)(i % 7));
        }
    }
    tensor->has_raw_data = true;
    tensor->raw_data = (ProtobufCBinaryData){(size_t)count * size, data};
}

Onnx__TensorProto *tensor_make(mutation *m, hd_dtype dtype, const hd_shape *shape,
                               const double *elements)
{
    Onnx__TensorProto *tensor = MAKE(m, tensor_proto);
    tensor->has_data_type = true;
    tensor->data_type = (int32_t)dtype;
    tensor->dims = message_bytes(&m->tree, shape->dims, shape->rank * sizeof *tensor->dims);
    tensor->n_dims = shape->rank;
    int64_t count = tensor_count(tensor);
    tensor_fill(m, tensor, elements, elements == NULL || count < 0 ? 0 : (size_t)count);
    return tensor;
}

void tensor_fit(mutation *m, Onnx__TensorProto *tensor)
{
    size_t size = hd_dtype_size((hd_dtype)tensor->data_type);
    size_t typed =
        tensor->n_float_data + tensor->n_int32_data + tensor->n_int64_data + tensor->n_double_data;
    int64_t count = tensor_count(tensor);
    bool is_whole = typed > 0
                        ? typed == (size_t)count
                        : tensor->has_raw_data && tensor->raw_data.len == (size_t)count * size;
    if (count < 0 || size == 0 || is_whole || tensor->n_string_data + tensor->n_external_data > 0) {
        return;
    }
    double *given = message_alloc(&m->tree, (typed + 1) * sizeof *given);
    for (size_t i = 0; i < typed; i++) { /* one kind of the four is there */
        given[i] = i < tensor->n_float_data    ? (double)tensor->float_data[i]
                   : i < tensor->n_int32_data  ? (double)tensor->int32_data[i]
                   : i < tensor->n_int64_data  ? (double)tensor->int64_data[i]
                   : i < tensor->n_double_data ? tensor->double_data[i]
                                               : 0;
    }
    tensor->n_float_data = tensor->n_int32_data = tensor->n_int64_data = tensor->n_double_data = 0;
    tensor->has_data_location = false;
    tensor_fill(m, tensor, given, typed);
}

char *constant_add(mutation *m, const body *b, Onnx__TensorProto *tensor)
{
    if (b->graph == NULL || once_in(m, 8)) {
        Onnx__NodeProto *node = node_make(m, "Constant");
        node_add_attribute(m, node, "value", KIND(TENSOR))->t = tensor;
        body_add_node(m, b, node);
        return node_add_output(m, node);
    }
    Onnx__GraphProto *graph = once_in(m, 4) ? b->graph : m->model->graph;
    tensor->name = text_fresh(m, "c");
    APPEND(m, graph->initializer, graph->n_initializer, tensor);
    return tensor->name;
}

char *constant_int(mutation *m, const body *b, int64_t value)
{
    return constant_add(m, b, tensor_make(m, HD_INT64, &(hd_shape){0}, (double[]){(double)value}));
}

char *constant_bool(mutation *m, const body *b, bool value)
{
    return constant_add(m, b, tensor_make(m, HD_BOOL, &(hd_shape){0}, (double[]){value}));
}

void value_rename(mutation *m, const char *from, char *to)
{
    message_list nodes = message_find(&m->tree, &m->model->base, &onnx__node_proto__descriptor);
    for (size_t n = 0; n < nodes.count; n++) {
        Onnx__NodeProto *node = (Onnx__NodeProto *)nodes.items[n];
        for (size_t i = 0; i < node->n_input; i++) {
            node->input[i] = text_is(node->input[i], from) ? to : node->input[i];
        }
        for (size_t i = 0; i < node->n_output; i++) {
            node->output[i] = text_is(node->output[i], from) ? to : node->output[i];
        }
    }
    message_list values =
        message_find(&m->tree, &m->model->base, &onnx__value_info_proto__descriptor);
    for (size_t i = 0; i < values.count; i++) {
        Onnx__ValueInfoProto *value = (Onnx__ValueInfoProto *)values.items[i];
        value->name = text_is(value->name, from) ? to : value->name;
    }
}
