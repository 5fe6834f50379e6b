#include "graph_mutation.h"

#include <stdio.h>

#include "graph_blocks.h"
#include "graph_rows.h"

#define KIND(name) ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##name
#define NODE_LIMIT 200 /* above, nodes are only taken away */
#define RANK_LIMIT 8

/* --- edges */

static void remove_node(mutation *m)
{
    body b = body_pick(m);
    size_t count;
    Onnx__NodeProto **nodes = body_nodes(&b, &count);
    if (count == 0) {
        return;
    }
    size_t at = below(m, count);
    Onnx__NodeProto *gone = nodes[at];
    for (size_t n = 0; n < count && gone->n_output > 0; n++) { /* its reader reads what it read */
        for (size_t i = 0; i < nodes[n]->n_input && gone->n_input > 0; i++) {
            if (text_is(nodes[n]->input[i], gone->output[0])) {
                nodes[n]->input[i] = gone->input[0];
            }
        }
    }
    nodes[at] = nodes[count - 1];
    *(b.graph != NULL ? &b.graph->n_node : &b.function->n_node) = count - 1;
}

static void rewire(mutation *m)
{
    body b = body_pick(m);
    Onnx__NodeProto *node = body_pick_node(m, &b);
    if (node == NULL) {
        return;
    }
    char *name = once_in(m, 16) ? body_pick_name(m, &b) : body_pick_name_for(m, &b, node);
    if (name == NULL) {
        return;
    }
    if (node->n_input == 0 || once_in(m, 8)) {
        node_add_input(m, node, name);
    } else if (once_in(m, 8)) {
        node->n_input--;
    } else {
        node->input[below(m, node->n_input)] = once_in(m, 16) ? text_copy(m, "") : name;
    }
}

static void copy_node(mutation *m)
{
    body b = body_pick(m);
    Onnx__NodeProto *node = body_pick_node(m, &b);
    if (node == NULL) {
        return;
    }
    Onnx__NodeProto *copy = (Onnx__NodeProto *)message_copy(&m->tree, &node->base);
    for (size_t i = 0; i < copy->n_output; i++) {
        copy->output[i] = text_fresh(m, "v");
    }
    char *from = body_pick_name(m, &b);
    if (copy->n_input > 0 && from != NULL && once_in(m, 2)) {
        copy->input[below(m, copy->n_input)] = from;
    }
    body_add_node(m, &b, copy);
    if (copy->n_output > 0 && b.graph == m->model->graph) {
        graph_add_output(m, b.graph, copy->output[0]);
    }
}

static void add_output(mutation *m)
{
    body b = body_root(m);
    char *name = body_pick_name(m, &b);
    if (name != NULL) {
        graph_add_output(m, b.graph, name);
    }
}

/* --- shapes and types, everywhere at once, so that what fitted fits */

/* A size of an input or a constant; -1: there is none. */
static int64_t pick_size(mutation *m)
{
    Onnx__GraphProto *graph = m->model->graph;
    Onnx__TensorShapeProto__Dimension *dim = (Onnx__TensorShapeProto__Dimension *)message_pick(
        &m->tree, &graph->base, &onnx__tensor_shape_proto__dimension__descriptor);
    Onnx__TensorProto *tensor =
        (Onnx__TensorProto *)message_pick(&m->tree, &graph->base, &onnx__tensor_proto__descriptor);
    if (tensor != NULL && tensor->n_dims > 0 && (dim == NULL || once_in(m, 3))) {
        return tensor->dims[below(m, tensor->n_dims)];
    }
    bool is_number =
        dim != NULL && dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    return is_number ? dim->dim_value : -1;
}

static int64_t new_size(mutation *m)
{
    static const int64_t sizes[] = {1,  2,  3,  4,  5,  6,  7,   8, 9,   12,  15,  16,  17,
                                    31, 32, 33, 40, 64, 65, 100, 0, 127, 128, 129, 257, 1025};
    return once_in(m, 32) ? message_extreme(&m->tree)
                          : sizes[below(m, sizeof sizes / sizeof sizes[0])];
}

static void replace_numbers(int64_t *numbers, size_t count, int64_t from, int64_t to)
{
    for (size_t i = 0; i < count; i++) {
        numbers[i] = numbers[i] == from ? to : numbers[i];
    }
}

static void resize_tensor(mutation *m, Onnx__TensorProto *tensor, int64_t from, int64_t to,
                          bool elements_too)
{
    size_t size = hd_dtype_size((hd_dtype)tensor->data_type);
    bool is_integer = tensor->data_type == HD_INT64 || tensor->data_type == HD_INT32;
    replace_numbers(tensor->dims, tensor->n_dims, from, to);
    for (size_t i = 0; is_integer && elements_too && i < tensor->raw_data.len / size; i++) {
        if (fuzz_load((hd_dtype)tensor->data_type, tensor->raw_data.data, i) == (double)from) {
            fuzz_store((hd_dtype)tensor->data_type, tensor->raw_data.data, i, (double)to);
        }
    }
    tensor_fit(m, tensor);
}

static void resize(mutation *m)
{
    int64_t from = pick_size(m), to = new_size(m);
    bool elements_too = !once_in(m, 4);
    message_list dims =
        message_find(&m->tree, &m->model->base, &onnx__tensor_shape_proto__dimension__descriptor);
    for (size_t i = 0; i < dims.count; i++) {
        Onnx__TensorShapeProto__Dimension *dim = (Onnx__TensorShapeProto__Dimension *)dims.items[i];
        if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE &&
            dim->dim_value == from) {
            dim->dim_value = to;
        }
    }
    message_list tensors = message_find(&m->tree, &m->model->base, &onnx__tensor_proto__descriptor);
    for (size_t i = 0; i < tensors.count; i++) {
        resize_tensor(m, (Onnx__TensorProto *)tensors.items[i], from, to, elements_too);
    }
    message_list attributes =
        message_find(&m->tree, &m->model->base, &onnx__attribute_proto__descriptor);
    for (size_t i = 0; i < attributes.count && once_in(m, 4); i++) {
        Onnx__AttributeProto *attribute = (Onnx__AttributeProto *)attributes.items[i];
        replace_numbers(attribute->ints, attribute->n_ints, from, to);
        replace_numbers(&attribute->i, attribute->has_i, from, to);
    }
}

/* One size of one tensor alone: what broadcasts, and what no longer fits. */
static void resize_one(mutation *m)
{
    Onnx__TensorProto *tensor = (Onnx__TensorProto *)message_pick(&m->tree, &m->model->base,
                                                                  &onnx__tensor_proto__descriptor);
    Onnx__TensorShapeProto *shape = (Onnx__TensorShapeProto *)message_pick(
        &m->tree, &m->model->base, &onnx__tensor_shape_proto__descriptor);
    int64_t size = once_in(m, 2) ? 1 : new_size(m);
    if (shape != NULL && (tensor == NULL || once_in(m, 2))) {
        if (shape->n_dim > 0 && once_in(m, 3)) {
            shape->n_dim--;
            memmove(shape->dim, shape->dim + 1, shape->n_dim * sizeof *shape->dim);
        } else if (shape->n_dim > 0 && !once_in(m, 8)) {
            Onnx__TensorShapeProto__Dimension *dim = shape->dim[below(m, shape->n_dim)];
            dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            dim->dim_value = size;
        }
    } else if (tensor != NULL && tensor->n_dims > 0) {
        if (once_in(m, 3)) { /* without its first size */
            tensor->n_dims--;
            memmove(tensor->dims, tensor->dims + 1, tensor->n_dims * sizeof *tensor->dims);
        } else {
            tensor->dims[below(m, tensor->n_dims)] = size;
        }
        tensor_fit(m, tensor);
    }
}

static void loosen(mutation *m)
{
    Onnx__TensorShapeProto__Dimension *dim = (Onnx__TensorShapeProto__Dimension *)message_pick(
        &m->tree, &m->model->graph->base, &onnx__tensor_shape_proto__dimension__descriptor);
    if (dim == NULL || dim->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE) {
        return;
    }
    char text[32];
    snprintf(text, sizeof text, "n=%lld", (long long)dim->dim_value); /* what a run gives */
    dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
    dim->dim_param = text_copy(m, text);
    if (once_in(m, 8)) {
        dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE__NOT_SET;
    }
}

static hd_dtype pick_dtype(mutation *m)
{
    static const hd_dtype dtypes[] = {HD_FLOAT32, HD_UINT8,  HD_INT8,    HD_UINT16,  HD_INT16,
                                      HD_INT32,   HD_INT64,  HD_BOOL,    HD_FLOAT16, HD_FLOAT64,
                                      HD_UINT32,  HD_UINT64, HD_BFLOAT16};
    static const hd_dtype likely[] = {HD_FLOAT16, HD_FLOAT64, HD_BFLOAT16,
                                      HD_INT64,   HD_INT32,   HD_FLOAT32};
    return once_in(m, 2) ? likely[below(m, sizeof likely / sizeof likely[0])]
                         : dtypes[below(m, sizeof dtypes / sizeof dtypes[0])];
}

static void retype_tensor(mutation *m, Onnx__TensorProto *tensor, hd_dtype to)
{
    size_t from_size = hd_dtype_size((hd_dtype)tensor->data_type), size = hd_dtype_size(to);
    size_t count = from_size == 0 ? 0 : tensor->raw_data.len / from_size;
    uint8_t *data = message_alloc(&m->tree, count * size);
    for (size_t i = 0; i < count; i++) {
        fuzz_store(to, data, i, fuzz_load((hd_dtype)tensor->data_type, tensor->raw_data.data, i));
    }
    tensor->data_type = (int32_t)to;
    tensor->raw_data = (ProtobufCBinaryData){count * size, data};
    tensor_fit(m, tensor);
}

static void retype(mutation *m)
{
    Onnx__TypeProto__Tensor *any = (Onnx__TypeProto__Tensor *)message_pick(
        &m->tree, &m->model->base, &onnx__type_proto__tensor__descriptor);
    int32_t from = any == NULL || once_in(m, 2) ? (int32_t)HD_FLOAT32 : any->elem_type;
    hd_dtype to = pick_dtype(m);
    message_list types =
        message_find(&m->tree, &m->model->base, &onnx__type_proto__tensor__descriptor);
    for (size_t i = 0; i < types.count; i++) {
        Onnx__TypeProto__Tensor *type = (Onnx__TypeProto__Tensor *)types.items[i];
        type->elem_type = type->elem_type == from ? (int32_t)to : type->elem_type;
    }
    message_list tensors = message_find(&m->tree, &m->model->base, &onnx__tensor_proto__descriptor);
    for (size_t i = 0; i < tensors.count; i++) {
        Onnx__TensorProto *tensor = (Onnx__TensorProto *)tensors.items[i];
        if (tensor->data_type == from && tensor->has_raw_data) {
            retype_tensor(m, tensor, to);
        }
    }
    message_list attributes =
        message_find(&m->tree, &m->model->base, &onnx__attribute_proto__descriptor);
    for (size_t i = 0; i < attributes.count; i++) {
        Onnx__AttributeProto *attribute = (Onnx__AttributeProto *)attributes.items[i];
        if ((text_is(attribute->name, "to") || text_is(attribute->name, "dtype")) &&
            attribute->i == from) {
            attribute->i = (int64_t)to;
        }
    }
}

/* --- constants and inputs */

static Onnx__TensorProto *pick_small(mutation *m, size_t *out_index)
{
    Onnx__GraphProto *graph = m->model->graph;
    if (graph->n_initializer == 0) {
        return NULL;
    }
    *out_index = below(m, graph->n_initializer);
    Onnx__TensorProto *tensor = graph->initializer[*out_index];
    bool is_plain = tensor->n_dims <= RANK_LIMIT && tensor->name != NULL &&
                    tensor_count(tensor) >= 0 && hd_dtype_size((hd_dtype)tensor->data_type) > 0;
    return is_plain ? tensor : NULL;
}

static void constant_to_input(mutation *m)
{
    static const char *const overrides[GRAPH_OVERRIDE_COUNT] = GRAPH_OVERRIDE_NAMES;
    Onnx__GraphProto *graph = m->model->graph;
    size_t index;
    Onnx__TensorProto *tensor = pick_small(m, &index);
    if (tensor == NULL) {
        return;
    }
    hd_shape shape = {.rank = (uint32_t)tensor->n_dims};
    for (uint32_t i = 0; i < shape.rank; i++) {
        shape.dims[i] = tensor->dims[i];
    }
    if (once_in(m, 3)) { /* both */
        char *name = text_copy(m, overrides[below(m, GRAPH_OVERRIDE_COUNT)]);
        if (body_defines(&(body){.graph = graph}, name, 0)) {
            return;
        }
        value_rename(m, tensor->name, name);
        tensor->name = name;
        graph_add_input(m, graph, name, tensor->data_type, &shape);
        return;
    }
    double elements[ROW_ELEMENT_LIMIT];
    int64_t count = tensor_count(tensor);
    hd_dtype dtype = (hd_dtype)tensor->data_type;
    bool is_short =
        count <= ROW_ELEMENT_LIMIT && tensor->raw_data.len >= (size_t)count * hd_dtype_size(dtype);
    for (int64_t i = 0; is_short && i < count; i++) {
        elements[i] = fuzz_load(dtype, tensor->raw_data.data, (size_t)i);
    }
    char *name = row_input_name(m, is_short ? elements : NULL, is_short ? (size_t)count : 0);
    value_rename(m, tensor->name, name);
    graph_add_input(m, graph, name, tensor->data_type, &shape);
    graph->initializer[index] = graph->initializer[--graph->n_initializer];
}

static void input_to_constant(mutation *m)
{
    Onnx__GraphProto *graph = m->model->graph;
    if (graph->n_input == 0) {
        return;
    }
    size_t at = below(m, graph->n_input);
    Onnx__ValueInfoProto *input = graph->input[at];
    hd_dtype dtype;
    hd_shape shape;
    if (input->name == NULL || !row_input_shape(input, &dtype, &shape) ||
        hd_dtype_size(dtype) == 0) {
        return;
    }
    double elements[ROW_ELEMENT_LIMIT];
    size_t count = row_input_elements(input->name, elements, ROW_ELEMENT_LIMIT);
    Onnx__TensorProto *tensor = tensor_make(m, dtype, &shape, NULL);
    for (size_t i = 0; i < count && (i + 1) * hd_dtype_size(dtype) <= tensor->raw_data.len; i++) {
        fuzz_store(dtype, tensor->raw_data.data, i, elements[i]);
    }
    tensor->name = input->name;
    APPEND(m, graph->initializer, graph->n_initializer, tensor);
    if (!once_in(m, 4)) { /* else it stays an input, too */
        graph->input[at] = graph->input[--graph->n_input];
    }
}

/* One element of a short list of integers, which may be a shape, axes or indices. */
static void change_constant(mutation *m)
{
    size_t index;
    Onnx__TensorProto *tensor = pick_small(m, &index);
    if (tensor == NULL || !tensor->has_raw_data) {
        return;
    }
    hd_dtype dtype = (hd_dtype)tensor->data_type;
    size_t count = tensor->raw_data.len / hd_dtype_size(dtype),
           at = count == 0 ? 0 : below(m, count);
    if (count > 0) {
        double now = fuzz_load(dtype, tensor->raw_data.data, at);
        double then =
            once_in(m, 2) ? now + (double)below(m, 5) - 2 : (double)message_extreme(&m->tree);
        fuzz_store(dtype, tensor->raw_data.data, at, then);
    }
}

/* --- anything */

static void change_kind(mutation *m, const ProtobufCMessageDescriptor *kind)
{
    ProtobufCMessage *message = message_pick(&m->tree, &m->model->base, kind);
    if (message != NULL) {
        message_change(&m->tree, message);
    }
}

static void change_attribute(mutation *m)
{
    change_kind(m, &onnx__attribute_proto__descriptor);
}

static void change_any(mutation *m)
{
    static const ProtobufCMessageDescriptor *const kinds[] = {
        &onnx__attribute_proto__descriptor,
        &onnx__tensor_proto__descriptor,
        &onnx__value_info_proto__descriptor,
        &onnx__type_proto__descriptor,
        &onnx__type_proto__tensor__descriptor,
        &onnx__tensor_shape_proto__descriptor,
        &onnx__node_proto__descriptor,
        &onnx__graph_proto__descriptor,
        &onnx__function_proto__descriptor,
        &onnx__model_proto__descriptor,
        &onnx__operator_set_id_proto__descriptor,
        &onnx__tensor_shape_proto__dimension__descriptor};
    change_kind(m, kinds[below(m, sizeof kinds / sizeof kinds[0])]);
}

static void change_type(mutation *m)
{
    body b = body_pick(m);
    Onnx__NodeProto *node = body_pick_node(m, &b);
    if (node != NULL) {
        node->op_type = row_operator_name(m, node->op_type);
    }
}

static void change_opset(mutation *m)
{
    Onnx__OperatorSetIdProto *set = (Onnx__OperatorSetIdProto *)message_pick(
        &m->tree, &m->model->base, &onnx__operator_set_id_proto__descriptor);
    if (set != NULL) {
        set->version = 6 + (int64_t)below(m, 16);
    }
}

/* --- mending */

static bool is_empty(const char *name)
{
    return name == NULL || name[0] == '\0';
}

/* Each name once. */
static void mend_duplicates(mutation *m, const body *b)
{
    size_t count;
    Onnx__NodeProto **nodes = body_nodes(b, &count);
    for (size_t n = 1; n < count; n++) {
        for (size_t i = 0; i < nodes[n]->n_output; i++) {
            if (!is_empty(nodes[n]->output[i]) && body_defines(b, nodes[n]->output[i], n)) {
                nodes[n]->output[i] = text_fresh(m, "v");
            }
        }
    }
    Onnx__GraphProto *graph = b->graph;
    for (size_t i = 0; graph != NULL && i < graph->n_initializer; i++) {
        Onnx__TensorProto *tensor = graph->initializer[i];
        for (size_t k = 0; k < i; k++) {
            if (!is_empty(tensor->name) && text_is(graph->initializer[k]->name, tensor->name)) {
                tensor->name = text_fresh(m, "c");
            }
        }
    }
    for (size_t i = 0; graph != NULL && i < graph->n_input; i++) {
        for (size_t k = 0; k < i; k++) {
            if (!is_empty(graph->input[i]->name) &&
                text_is(graph->input[k]->name, graph->input[i]->name)) {
                graph->input[i]->name = text_fresh(m, "i");
            }
        }
    }
}

/* What a name that nothing defines may have meant is anything. outer: bodies in which this one may look, too. */
static void mend_names(mutation *m, const body *b, const message_list *outer)
{
    size_t count;
    Onnx__NodeProto **nodes = body_nodes(b, &count);
    for (size_t n = 0; n < count; n++) {
        for (size_t i = 0; i < nodes[n]->n_input; i++) {
            const char *name = nodes[n]->input[i];
            bool is_found = is_empty(name) || body_defines(b, name, count);
            for (size_t o = 0; !is_found && outer != NULL && o < outer->count; o++) {
                body around = {.graph = (Onnx__GraphProto *)outer->items[o]};
                is_found = body_defines(&around, name, around.graph->n_node);
            }
            char *other = is_found ? NULL : body_pick_name_for(m, b, nodes[n]);
            nodes[n]->input[i] = other == NULL ? nodes[n]->input[i] : other;
        }
    }
    for (size_t i = 0; b->graph != NULL && i < b->graph->n_output; i++) {
        const char *name = b->graph->output[i]->name;
        char *other = !is_empty(name) && body_defines(b, name, count) ? NULL : body_pick_name(m, b);
        b->graph->output[i]->name = other == NULL ? b->graph->output[i]->name : other;
    }
}

static void mend_opset(mutation *m)
{
    if (block_opset(m, &(body){.graph = m->model->graph}) == 0) {
        block_import_opset(m, &m->model->opset_import, &m->model->n_opset_import, "", 21);
    }
}

static void mend(mutation *m)
{
    Onnx__GraphProto *root = m->model->graph;
    mend_opset(m);
    message_list tensors = message_find(&m->tree, &m->model->base, &onnx__tensor_proto__descriptor);
    for (size_t i = 0; i < tensors.count; i++) {
        tensor_fit(m, (Onnx__TensorProto *)tensors.items[i]);
    }
    message_list graphs = message_find(&m->tree, &m->model->base, &onnx__graph_proto__descriptor);
    for (size_t i = 0; i < graphs.count; i++) {
        body b = {.graph = (Onnx__GraphProto *)graphs.items[i]};
        mend_duplicates(m, &b);
        mend_names(m, &b, b.graph == root ? NULL : &graphs);
    }
    for (size_t i = 0; i < m->model->n_functions; i++) {
        body b = {.function = m->model->functions[i]};
        mend_duplicates(m, &b);
        mend_names(m, &b, NULL);
    }
    for (size_t i = 0; i < root->n_output; i++) { /* declared types are seldom those of a mutant */
        root->output[i]->type = once_in(m, 32) ? root->output[i]->type : NULL;
    }
    if (root->n_output == 0) {
        add_output(m);
    }
}

/* --- the whole */

typedef struct change {
    unsigned weight;
    bool adds; /* nodes */
    void (*make)(mutation *m);
} change;

static const change changes[] = {
    {8, true, row_insert},
    {5, true, row_splice},
    {3, false, remove_node},
    {3, false, rewire},
    {2, true, copy_node},
    {1, false, add_output},
    {6, false, resize},
    {4, false, resize_one},
    {2, false, loosen},
    {3, false, retype},
    {3, false, constant_to_input},
    {2, false, input_to_constant},
    {3, false, change_constant},
    {2, true, block_wrap_if},
    {3, true, block_wrap_loop},
    {3, true, block_wrap_function},
    {1, true, block_overload},
    {5, false, change_attribute},
    {3, false, change_any},
    {2, false, change_type},
    {1, false, change_opset},
};
#define CHANGE_COUNT (sizeof changes / sizeof changes[0])

static void change_once(mutation *m)
{
    unsigned sum = 0;
    for (size_t i = 0; i < CHANGE_COUNT; i++) {
        sum += changes[i].weight;
    }
    size_t place = below(m, sum), chosen = 0;
    while (place >= changes[chosen].weight) {
        place -= changes[chosen++].weight;
    }
    bool is_large = m->model->graph->n_node > NODE_LIMIT;
    (changes[chosen].adds && is_large ? remove_node : changes[chosen].make)(m);
    m->model->graph = m->model->graph != NULL ? m->model->graph : MAKE(m, graph_proto);
}

/* A model that has at least what every change looks for. */
static Onnx__ModelProto *read_model(mutation *m, const uint8_t *data, size_t size)
{
    Onnx__ModelProto *model =
        (Onnx__ModelProto *)message_read(&m->tree, &onnx__model_proto__descriptor, data, size);
    if (model == NULL) {
        model = MAKE(m, model_proto);
    }
    if (!model->has_ir_version) {
        model->has_ir_version = true;
        model->ir_version = 10;
    }
    if (model->graph == NULL) {
        model->graph = MAKE(m, graph_proto);
    }
    return model;
}

size_t graph_mutate(uint8_t *data, size_t size, size_t capacity, const uint8_t *other,
                    size_t other_size, uint64_t seed)
{
    mutation m = {.tree = {.random = {seed}}};
    m.model = read_model(&m, data, size);
    m.tree.root = &m.model->base;
    if (m.model->n_opset_import == 0) {
        block_import_opset(&m, &m.model->opset_import, &m.model->n_opset_import, "", 21);
    }
    if (other != NULL) {
        block_graft(&m, read_model(&m, other, other_size));
    }
    for (size_t count = other != NULL ? 0 : 1 + below(&m, 1 + below(&m, 4)); count > 0; count--) {
        change_once(&m);
    }
    if (!once_in(&m, 16)) {
        mend(&m);
    }
    size_t packed = onnx__model_proto__get_packed_size(m.model);
    if (packed <= capacity) {
        onnx__model_proto__pack(m.model, data);
        size = packed;
    }
    hd_region_clear(&m.tree.region);
    return size;
}
