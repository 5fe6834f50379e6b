#include "graph_rows.h"

#include <stdio.h>

#include "graph_blocks.h"

#define INPUT_LIMIT    12 /* of the graph; above, operands are constants */
#define OUTPUT_LIMIT   12
#define CONSTANT_LIMIT 64 /* elements of a constant that is made up; larger operands are inputs */

#define KIND(name) ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##name

char *row_input_name(mutation *m, const double *elements, size_t count)
{
    char text[512];
    int used =
        snprintf(text, sizeof text, "i%05llx%s",
                 (unsigned long long)fuzz_draw(&m->tree.random) & 0xFFFFF, count > 0 ? "=" : "");
    for (size_t i = 0; i < count && used < (int)sizeof text - 32; i++) {
        used += snprintf(text + used, sizeof text - (size_t)used, "%s%.9g", i == 0 ? "" : ",",
                         elements[i]);
    }
    return text_copy(m, text);
}

size_t row_input_elements(const char *name, double *elements, size_t capacity)
{
    const char *at = strchr(name, '=');
    size_t count = 0;
    while (at != NULL && *at != '\0' && count < capacity) {
        char *end;
        double element = strtod(at + 1, &end);
        if (end == at + 1) {
            break;
        }
        elements[count++] = element;
        at = *end == ',' ? end : NULL;
    }
    return count;
}

bool row_input_shape(const Onnx__ValueInfoProto *input, hd_dtype *out_dtype, hd_shape *out_shape)
{
    const Onnx__TypeProto *type = input->type;
    if (type == NULL || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ||
        type->tensor_type->shape == NULL) {
        return false;
    }
    const Onnx__TensorShapeProto *shape = type->tensor_type->shape;
    *out_dtype = (hd_dtype)type->tensor_type->elem_type;
    *out_shape = (hd_shape){.rank = (uint32_t)shape->n_dim};
    if (shape->n_dim > HD_MAX_RANK) {
        return false;
    }
    for (size_t i = 0; i < shape->n_dim; i++) {
        if (shape->dim[i]->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE) {
            return false;
        }
        out_shape->dims[i] = shape->dim[i]->dim_value;
    }
    return true;
}

static bool shape_is(const hd_shape *shape, const int64_t *dims, size_t rank)
{
    return shape->rank == rank &&
           (rank == 0 || memcmp(shape->dims, dims, rank * sizeof *dims) == 0);
}

/* The name of an input or a constant of the root graph that is like the operand; NULL: there is none. */
static char *find_alike(mutation *m, const row_operand *operand)
{
    const Onnx__GraphProto *graph = m->model->graph;
    char *found = NULL;
    size_t seen = 0;
    for (size_t i = 0; i < graph->n_input; i++) {
        hd_dtype dtype;
        hd_shape shape;
        bool fits = row_input_shape(graph->input[i], &dtype, &shape) && dtype == operand->dtype &&
                    shape_is(&operand->shape, shape.dims, shape.rank);
        found = fits && once_in(m, ++seen) ? graph->input[i]->name : found;
    }
    for (size_t i = 0; i < graph->n_initializer; i++) {
        const Onnx__TensorProto *tensor = graph->initializer[i];
        bool fits = tensor->data_type == (int32_t)operand->dtype &&
                    shape_is(&operand->shape, tensor->dims, tensor->n_dims);
        found = fits && once_in(m, ++seen) ? tensor->name : found;
    }
    return found;
}

/* Any value of the body that does not depend on the reader, made to have the operand's type and shape; NULL: the body
 * has none. */
static char *adapt(mutation *m, const body *b, const row_operand *operand,
                   const Onnx__NodeProto *reader)
{
    double dims[HD_MAX_RANK];
    char *name = body_pick_name_for(m, b, reader);
    if (name == NULL || block_opset(m, b) < 8) { /* without Expand */
        return NULL;
    }
    for (uint32_t i = 0; i < operand->shape.rank; i++) {
        dims[i] = (double)operand->shape.dims[i];
    }
    const char *const types[] = {"Cast", "ReduceMax", "Cast"};
    for (size_t i = 0; i < 3; i++) {
        Onnx__NodeProto *node = node_make(m, types[i]);
        node_add_input(m, node, name);
        node_add_int(m, node, i == 1 ? "keepdims" : "to",
                     i == 0   ? HD_FLOAT32
                     : i == 1 ? 0
                              : (int64_t)operand->dtype);
        body_add_node(m, b, node);
        name = node_add_output(m, node);
    }
    hd_shape list = {.rank = 1, .dims = {operand->shape.rank}};
    Onnx__NodeProto *expand = node_make(m, "Expand");
    node_add_input(m, expand, name);
    node_add_input(m, expand, constant_add(m, b, tensor_make(m, HD_INT64, &list, dims)));
    body_add_node(m, b, expand);
    return node_add_output(m, expand);
}

static char *add_input(mutation *m, const row_operand *operand)
{
    size_t count = operand->has_elements ? (size_t)hd_shape_count(&operand->shape) : 0;
    char *name = row_input_name(m, operand->elements, count);
    graph_add_input(m, m->model->graph, name, (int32_t)operand->dtype, &operand->shape);
    return name;
}

static char *add_constant(mutation *m, const body *b, const row_operand *operand)
{
    const double *elements = operand->has_elements ? operand->elements : NULL;
    return constant_add(m, b, tensor_make(m, operand->dtype, &operand->shape, elements));
}

/* The name of a value for an operand of what `reader` (NULL: nothing yet) is to read. */
static char *make_operand(mutation *m, const body *b, const row_operand *operand,
                          const Onnx__NodeProto *reader)
{
    bool may_be_input = b->graph != NULL && m->model->graph->n_input < INPUT_LIMIT;
    char *name = NULL;
    if (operand->dtype == HD_DTYPE_NONE) {
        return text_copy(m, "");
    }
    if (operand->has_elements) {
        return may_be_input && once_in(m, 6) ? add_input(m, operand) : add_constant(m, b, operand);
    }
    switch (below(m, 8)) {
    case 0:
    case 1:
        name = adapt(m, b, operand, reader);
        break;
    case 2:
        name = body_pick_name_for(m, b, reader);
        break;
    case 3:
        return hd_shape_count(&operand->shape) > CONSTANT_LIMIT && may_be_input
                   ? add_input(m, operand)
                   : add_constant(m, b, operand);
    default:
        name = b->graph != NULL ? find_alike(m, operand) : NULL;
        break;
    }
    return name != NULL ? name : may_be_input ? add_input(m, operand) : add_constant(m, b, operand);
}

static void copy_attribute(mutation *m, Onnx__NodeProto *node, const hd_attribute *from)
{
    Onnx__AttributeProto *to = node_add_attribute(m, node, from->name, KIND(UNDEFINED));
    switch (from->kind) {
    case HD_ATTRIBUTE_INT:
        to->type = KIND(INT);
        to->has_i = true;
        to->i = from->i;
        break;
    case HD_ATTRIBUTE_FLOAT:
        to->type = KIND(FLOAT);
        to->has_f = true;
        to->f = from->f;
        break;
    case HD_ATTRIBUTE_STRING:
        to->type = KIND(STRING);
        to->has_s = true;
        to->s = (ProtobufCBinaryData){strlen(from->s), (uint8_t *)text_copy(m, from->s)};
        break;
    case HD_ATTRIBUTE_INTS:
        to->type = KIND(INTS);
        to->n_ints = from->count;
        to->ints = message_bytes(&m->tree, from->ints, from->count * sizeof *to->ints);
        break;
    default:
        to->type = KIND(FLOATS);
        to->n_floats = from->count;
        to->floats = message_bytes(&m->tree, from->floats, from->count * sizeof *to->floats);
        break;
    }
}

/* Any row, read for any of its operators. */
static void pick_case(mutation *m, row_case *c)
{
    const operator_row *row = &operator_rows[below(m, operator_row_count)];
    size_t count = 0;
    for (const char *types = row->types; row_case_next(row, &types, c);) {
        count++;
    }
    const char *types = row->types;
    for (size_t chosen = below(m, count) + 1; chosen > 0 && row_case_next(row, &types, c);
         chosen--) {
    }
}

/* The case as a node of the body, to be read by `reader` (NULL: by nothing yet). first: the value that its first
 * operand is; NULL: as any other. */
static Onnx__NodeProto *add_case(mutation *m, const body *b, const row_case *c, char *first,
                                 const Onnx__NodeProto *reader)
{
    Onnx__NodeProto *node = node_make(m, c->type);
    for (size_t i = 0; i < c->input_count; i++) {
        node_add_input(m, node,
                       i == 0 && first != NULL ? first : make_operand(m, b, &c->inputs[i], reader));
    }
    for (size_t i = 0; i < c->attribute_count; i++) {
        if (!once_in(m, 16)) {
            copy_attribute(m, node, &c->attributes[i]);
        }
    }
    for (size_t i = 0; i < c->output_count; i++) {
        node_add_output(m, node);
    }
    body_add_node(m, b, node);
    if (block_opset(m, b) != (int64_t)c->opset && !once_in(m, 16)) {
        block_make_function(m, node, (int64_t)c->opset);
    }
    return node;
}

void row_insert(mutation *m)
{
    row_case c;
    body b = once_in(m, 4) ? body_pick(m) : body_root(m);
    pick_case(m, &c);
    Onnx__NodeProto *node = add_case(m, &b, &c, NULL, NULL);
    Onnx__GraphProto *graph = b.graph;
    if (graph == NULL || graph != m->model->graph || node->n_output == 0) {
        return;
    }
    for (size_t i = 0; i < node->n_output && (i == 0 || once_in(m, 2)); i++) {
        if (graph->n_output < OUTPUT_LIMIT) {
            graph_add_output(m, graph, node->output[i]);
        } else {
            graph->output[below(m, graph->n_output)]->name = node->output[i];
        }
    }
}

void row_splice(mutation *m)
{
    row_case c;
    body b = body_pick(m);
    size_t count;
    Onnx__NodeProto **nodes = body_nodes(&b, &count);
    if (count == 0) {
        return;
    }
    Onnx__NodeProto *reader = nodes[below(m, count)];
    for (int tries = 0; tries < 8; tries++) { /* operators of one float operand, mostly */
        pick_case(m, &c);
        if (c.inputs[0].dtype == HD_FLOAT32 && c.inputs[0].shape.rank <= 3 && c.input_count <= 2) {
            break;
        }
    }
    if (c.input_count == 0) {
        return;
    }
    if (reader->n_input == 0) {
        add_case(m, &b, &c, NULL, reader);
        return;
    }
    size_t at = below(m, reader->n_input);
    Onnx__NodeProto *node = add_case(m, &b, &c, reader->input[at], reader);
    reader->input[at] = node->output[0];
}

char *row_operator_name(mutation *m, const char *now)
{
    char chosen[sizeof((row_case *)0)->type] = "";
    size_t seen = 0;
    for (size_t r = 0; r < operator_row_count; r++) {
        row_case c;
        bool is_alike = false;
        for (const char *types = operator_rows[r].types;
             row_case_next(&operator_rows[r], &types, &c);) {
            is_alike = is_alike || text_is(now, c.type);
        }
        for (const char *types = operator_rows[r].types;
             is_alike && row_case_next(&operator_rows[r], &types, &c);) {
            if (once_in(m, ++seen)) {
                memcpy(chosen, c.type, sizeof chosen);
            }
        }
    }
    return text_copy(m, seen > 0 || now == NULL ? chosen : now);
}
