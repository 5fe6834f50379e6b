#include "graph_blocks.h"

#include "graph_rows.h"

#define DOMAIN       "local"
#define OUTPUT_LIMIT 12

#define KIND(name) ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##name

static int64_t opset_of(Onnx__OperatorSetIdProto *const *sets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (sets[i]->domain == NULL || sets[i]->domain[0] == '\0') {
            return sets[i]->version;
        }
    }
    return 0;
}

int64_t block_opset(const mutation *m, const body *b)
{
    int64_t own =
        b->function == NULL ? 0 : opset_of(b->function->opset_import, b->function->n_opset_import);
    return own != 0 ? own : opset_of(m->model->opset_import, m->model->n_opset_import);
}

void block_import_opset(mutation *m, Onnx__OperatorSetIdProto ***sets, size_t *count,
                        const char *domain, int64_t version)
{
    Onnx__OperatorSetIdProto *set = MAKE(m, operator_set_id_proto);
    set->domain = text_copy(m, domain);
    set->has_version = true;
    set->version = version;
    APPEND(m, *sets, *count, set);
}

/* A function that nothing is in, and the model's. */
static Onnx__FunctionProto *add_function(mutation *m, int64_t opset)
{
    Onnx__FunctionProto *function = MAKE(m, function_proto);
    function->name = text_fresh(m, "F");
    function->domain = text_copy(m, DOMAIN);
    block_import_opset(m, &function->opset_import, &function->n_opset_import, "", opset);
    APPEND(m, m->model->functions, m->model->n_functions, function);
    return function;
}

static void add_parameter(mutation *m, Onnx__FunctionProto *function, char *name)
{
    for (size_t i = 0; i < function->n_input; i++) {
        if (text_is(function->input[i], name)) {
            return;
        }
    }
    if (name != NULL && name[0] != '\0') {
        APPEND(m, function->input, function->n_input, name);
    }
}

/* Of the attributes of a function's node, some are the call's to give, some of these have a default, and some calls
 * give none. */
static void lift_attributes(mutation *m, Onnx__FunctionProto *function, Onnx__NodeProto *inner,
                            Onnx__NodeProto *call)
{
    for (size_t i = 0; i < inner->n_attribute; i++) {
        Onnx__AttributeProto *attribute = inner->attribute[i];
        if (attribute->name == NULL || attribute->g != NULL || !once_in(m, 2)) {
            continue;
        }
        Onnx__AttributeProto *reference = MAKE(m, attribute_proto);
        reference->name = attribute->name;
        reference->ref_attr_name = attribute->name;
        reference->has_type = attribute->has_type;
        reference->type = attribute->type;
        inner->attribute[i] = reference;
        bool has_default = once_in(m, 2);
        if (has_default) {
            APPEND(m, function->attribute_proto, function->n_attribute_proto, attribute);
        } else {
            APPEND(m, function->attribute, function->n_attribute, attribute->name);
        }
        if (!has_default || once_in(m, 2)) {
            APPEND(m, call->attribute, call->n_attribute, attribute);
        }
    }
}

/* A copy of a node, which has attributes of its own; the node itself is to become another. */
static Onnx__NodeProto *move_inside(mutation *m, Onnx__NodeProto *node)
{
    Onnx__NodeProto *inner = (Onnx__NodeProto *)message_copy(&m->tree, &node->base);
    node->n_attribute = 0;
    node->overload = NULL;
    node->domain = NULL;
    return inner;
}

static bool has_blocks(const Onnx__NodeProto *node)
{
    for (size_t i = 0; i < node->n_attribute; i++) {
        if (node->attribute[i]->g != NULL) {
            return true;
        }
    }
    return false;
}

void block_make_function(mutation *m, Onnx__NodeProto *node, int64_t opset)
{
    Onnx__FunctionProto *function = add_function(m, opset);
    Onnx__NodeProto *inner = move_inside(m, node);
    node->op_type = function->name;
    node->domain = function->domain;
    node->n_input = 0;
    for (size_t i = 0; i < inner->n_input; i++) {
        add_parameter(m, function, inner->input[i]);
    }
    for (size_t i = 0; i < function->n_input; i++) {
        node_add_input(m, node, function->input[i]);
    }
    function->output = inner->output;
    function->n_output = inner->n_output;
    lift_attributes(m, function, inner, node);
    APPEND(m, function->node, function->n_node, inner);
}

void block_wrap_function(mutation *m)
{
    body b = body_pick(m);
    Onnx__NodeProto *node = body_pick_node(m, &b);
    if (node != NULL && (!has_blocks(node) || once_in(m, 8))) {
        block_make_function(m, node, block_opset(m, &b));
    }
}

/* --- control */

/* A graph of one node, whose outputs get names of their own. */
static Onnx__GraphProto *graph_of(mutation *m, Onnx__NodeProto *node)
{
    Onnx__GraphProto *graph = MAKE(m, graph_proto);
    graph->name = text_copy(m, "g");
    APPEND(m, graph->node, graph->n_node, node);
    char **outputs = message_alloc(&m->tree, (node->n_output + 1) * sizeof *outputs);
    for (size_t i = 0; i < node->n_output; i++) {
        outputs[i] = text_fresh(m, "b");
        graph_add_output(m, graph, outputs[i]);
    }
    node->output = outputs;
    return graph;
}

/* A condition: a constant, an input, or computed from anything. */
static char *make_condition(mutation *m, const body *b, const Onnx__NodeProto *node)
{
    char *name = body_pick_name_for(m, b, node);
    if (once_in(m, 3) || name == NULL) {
        return constant_bool(m, b, once_in(m, 2));
    }
    if (b->graph != NULL && once_in(m, 2)) {
        char *input = row_input_name(m, (double[]){(double)below(m, 2)}, 1);
        graph_add_input(m, m->model->graph, input, HD_BOOL, &(hd_shape){0});
        return input;
    }
    char *number = node_over(m, b, "Size", name);
    Onnx__NodeProto *less = node_make(m, "Less");
    node_add_input(m, less, number);
    node_add_input(m, less, constant_int(m, b, (int64_t)below(m, 16)));
    body_add_node(m, b, less);
    return node_add_output(m, less);
}

void block_wrap_if(mutation *m)
{
    body b = body_pick(m);
    Onnx__NodeProto *node = body_pick_node(m, &b);
    if (node == NULL || node->n_output == 0) {
        return;
    }
    char *condition = make_condition(m, &b, node);
    Onnx__NodeProto *inner = move_inside(m, node);
    Onnx__NodeProto *other = (Onnx__NodeProto *)message_copy(&m->tree, &inner->base);
    if (other->n_attribute > 0 && once_in(m, 2)) {
        message_change(&m->tree, &other->attribute[below(m, other->n_attribute)]->base);
    } else if (other->domain == NULL) {
        other->op_type = row_operator_name(m, other->op_type);
    }
    node->op_type = text_copy(m, "If");
    node->n_input = 0;
    node_add_input(m, node, condition);
    node_add_graph(m, node, "then_branch", graph_of(m, inner));
    node_add_graph(m, node, "else_branch", graph_of(m, other));
}

/* How often, known or not before the run; it may be left out. */
static char *make_trip_count(mutation *m, const body *b)
{
    static const int64_t counts[] = {0, 1, 2, 3, 5, 9, 20};
    int64_t count = counts[below(m, sizeof counts / sizeof counts[0])];
    if (once_in(m, 32)) {
        return text_copy(m, "");
    }
    if (b->graph != NULL && once_in(m, 3)) {
        char *input = row_input_name(m, (double[]){(double)count}, 1);
        graph_add_input(m, m->model->graph, input, HD_INT64, &(hd_shape){0});
        return input;
    }
    return constant_int(m, b, once_in(m, 32) ? message_extreme(&m->tree) : count);
}

/* The condition of the next turn, computed in the body: what it was, true, or less than so many turns. */
static char *make_next(mutation *m, const body *inside, char *turn, char *condition)
{
    if (once_in(m, 3)) {
        Onnx__NodeProto *less = node_make(m, "Less");
        node_add_input(m, less, turn);
        node_add_input(m, less, constant_int(m, inside, (int64_t)below(m, 12)));
        body_add_node(m, inside, less);
        return node_add_output(m, less);
    }
    return node_over(m, inside, "Identity", condition);
}

/* The node becomes a loop over itself, with its first operand carried from turn to turn, or its results collected. */
void block_wrap_loop(mutation *m)
{
    body b = body_pick(m);
    Onnx__NodeProto *node = body_pick_node(m, &b);
    if (node == NULL || node->n_output == 0) {
        return;
    }
    char *count = make_trip_count(m, &b);
    char *condition = once_in(m, 3) ? make_condition(m, &b, node) : text_copy(m, "");
    Onnx__NodeProto *inner = move_inside(m, node);
    Onnx__GraphProto *graph = graph_of(m, inner);
    body inside = {.graph = graph};
    char *turn = text_fresh(m, "t"), *going = text_fresh(m, "g");
    graph_add_input(m, graph, turn, HD_INT64, &(hd_shape){0});
    graph_add_input(m, graph, going, HD_BOOL, &(hd_shape){0});
    node->op_type = text_copy(m, "Loop");
    node->n_input = 0;
    node_add_input(m, node, count);
    node_add_input(m, node, condition);
    bool is_carried = inner->n_input > 0 && !once_in(m, 3);
    if (is_carried) {
        char *carried = text_fresh(m, "w");
        graph_add_input(m, graph, carried, HD_DTYPE_NONE, NULL);
        node_add_input(m, node, inner->input[0]);
        inner->input[0] = carried;
    }
    if (once_in(m, 3)) { /* collects one more: the turn, what is carried, or anything */
        graph_add_output(m, graph, once_in(m, 2) ? turn : body_pick_name(m, &inside));
        node_add_output(m, node);
    }
    char *next = make_next(m, &inside, turn, going);
    graph_add_output(m, graph, next);
    Onnx__ValueInfoProto *last = graph->output[graph->n_output - 1]; /* the condition goes first */
    memmove(graph->output + 1, graph->output, (graph->n_output - 1) * sizeof *graph->output);
    graph->output[0] = last;
    node_add_graph(m, node, "body", graph);
    if (!is_carried) { /* readers get one turn's */
        char *collected = node->output[0];
        Onnx__NodeProto *gather = node_make(m, "Gather");
        node->output = message_grown(&m->tree, node->output, node->n_output);
        node->output[0] = text_fresh(m, "v");
        node_add_input(m, gather, node->output[0]);
        node_add_input(m, gather, constant_int(m, &b, once_in(m, 2) ? 0 : -1));
        APPEND(m, gather->output, gather->n_output, collected);
        body_add_node(m, &b, gather);
    }
}

/* --- functions */

void block_overload(mutation *m)
{
    if (m->model->n_functions == 0) {
        return;
    }
    const Onnx__FunctionProto *function = m->model->functions[below(m, m->model->n_functions)];
    Onnx__FunctionProto *copy = (Onnx__FunctionProto *)message_copy(&m->tree, &function->base);
    copy->overload = text_fresh(m, "O");
    message_change(&m->tree, message_pick(&m->tree, &copy->base, NULL));
    APPEND(m, m->model->functions, m->model->n_functions, copy);
    message_list nodes = message_find(&m->tree, &m->model->base, &onnx__node_proto__descriptor);
    for (size_t i = 0; i < nodes.count; i++) {
        Onnx__NodeProto *node = (Onnx__NodeProto *)nodes.items[i];
        if (text_is(node->op_type, function->name == NULL ? "" : function->name) && once_in(m, 2)) {
            node->overload = copy->overload;
        }
    }
}

static void add_constants(mutation *m, Onnx__FunctionProto *function, const Onnx__GraphProto *graph)
{
    for (size_t i = 0; i < graph->n_initializer; i++) {
        Onnx__NodeProto *node = node_make(m, "Constant");
        node_add_attribute(m, node, "value", KIND(TENSOR))->t = graph->initializer[i];
        APPEND(m, node->output, node->n_output, graph->initializer[i]->name);
        APPEND(m, function->node, function->n_node, node);
    }
}

static bool is_initial(const Onnx__GraphProto *graph, const char *name)
{
    for (size_t i = 0; i < graph->n_initializer; i++) {
        if (text_is(graph->initializer[i]->name, name)) {
            return true;
        }
    }
    return false;
}

/* An operand of the call: an input as the other graph has one, or any value of this graph. */
static char *make_argument(mutation *m, const Onnx__ValueInfoProto *input)
{
    body root = body_root(m);
    char *any = body_pick_name(m, &root);
    if (any != NULL && once_in(m, 3)) {
        return any;
    }
    Onnx__ValueInfoProto *copy = (Onnx__ValueInfoProto *)message_copy(&m->tree, &input->base);
    double elements[ROW_ELEMENT_LIMIT];
    size_t count = row_input_elements(input->name, elements, ROW_ELEMENT_LIMIT);
    copy->name = row_input_name(m, elements, count);
    APPEND(m, m->model->graph->input, m->model->graph->n_input, copy);
    return copy->name;
}

void block_graft(mutation *m, const Onnx__ModelProto *other)
{
    const Onnx__GraphProto *graph = other->graph;
    Onnx__FunctionProto *function =
        add_function(m, opset_of(other->opset_import, other->n_opset_import));
    Onnx__NodeProto *call = node_make(m, function->name);
    call->domain = function->domain;
    for (size_t i = 0; i < graph->n_input; i++) {
        char *name = graph->input[i]->name;
        if (name != NULL && !is_initial(graph, name)) {
            APPEND(m, function->input, function->n_input, name);
            node_add_input(m, call, make_argument(m, graph->input[i]));
        }
    }
    add_constants(m, function, graph);
    for (size_t i = 0; i < graph->n_node; i++) {
        APPEND(m, function->node, function->n_node, graph->node[i]);
    }
    for (size_t i = 0; i < graph->n_output && i < OUTPUT_LIMIT; i++) {
        APPEND(m, function->output, function->n_output, graph->output[i]->name);
        char *name = node_add_output(m, call);
        if (m->model->graph->n_output < OUTPUT_LIMIT) {
            graph_add_output(m, m->model->graph, name);
        }
    }
    for (size_t i = 0; i < other->n_functions; i++) { /* of the same names, one is enough */
        bool is_there = false;
        for (size_t k = 0; k < m->model->n_functions && other->functions[i]->name != NULL; k++) {
            is_there = is_there || text_is(m->model->functions[k]->name, other->functions[i]->name);
        }
        if (!is_there) {
            APPEND(m, m->model->functions, m->model->n_functions, other->functions[i]);
        }
    }
    body root = body_root(m);
    body_add_node(m, &root, call);
}
