/* Promotes a graph of half precision to float32, once, when its model is made. float16 and bfloat16
 * are for storage and conversion: kernels compute in float32, over weights packed as float32. */
#include <string.h>

#include "base/memory.h"
#include "graph/evaluate.h"
#include "graph/graph.h"

typedef struct half_state {
    hd_graph *graph;
    hd_dtype *halves;    /* of each value: the half type that the file gives it, or HD_DTYPE_NONE */
    uint32_t *use_count; /* of each value, before the rewriting */
    size_t value_count;  /* entries of both; values made later have none */
    bool computes;       /* some operator computes with halves */
    bool converts_weight; /* a constant of a half type is cast */
    hd_error *error;
} half_state;

static bool is_half(int64_t dtype)
{
    return dtype == HD_FLOAT16 || dtype == HD_BFLOAT16;
}

static hd_dtype half_or_none(int64_t dtype)
{
    return is_half(dtype) ? (hd_dtype)dtype : HD_DTYPE_NONE;
}

static hd_status out_of_memory(half_state *state)
{
    return hd_fail(state->error, HD_OUT_OF_MEMORY, "no memory for a model");
}

static bool node_is(const hd_node *node, hd_operator_id id)
{
    return node->operator->id == id;
}

static hd_attribute *find_attribute(const hd_node *node, const char *name)
{
    for (size_t i = 0; i < node->attribute_count; i++) {
        if (strcmp(node->attributes[i].name, name) == 0) {
            return &node->attributes[i];
        }
    }
    return NULL;
}

/* ---- which values the file gives a half type ------------------------------------------------- */

static hd_dtype half_of_input(const half_state *state, const hd_node *node, size_t index)
{
    return index < node->input_count ? state->halves[node->inputs[index]] : HD_DTYPE_NONE;
}

/* The half type named by an attribute; `otherwise` when the attribute is not there. */
static hd_dtype half_of_attribute(const hd_node *node, const char *name, hd_dtype otherwise)
{
    const hd_attribute *attribute = find_attribute(node, name);
    if (attribute == NULL) {
        return otherwise;
    }
    if (attribute->kind == HD_ATTRIBUTE_TENSOR) {
        return attribute->tensor == NULL ? otherwise : half_or_none(attribute->tensor->dtype);
    }
    return half_or_none(attribute->i);
}

/* What an output is where nothing declares it. */
static hd_dtype half_of_output(const half_state *state, const hd_node *node, size_t index)
{
    const hd_half_rule *rule = &node->operator->half;
    if (rule->first_only && index > 0) {
        return HD_DTYPE_NONE;
    }
    hd_dtype from_input = rule->never ? HD_DTYPE_NONE : half_of_input(state, node, rule->input);
    return rule->attribute == NULL ? from_input
                                   : half_of_attribute(node, rule->attribute, from_input);
}

/* A declared type is the type; else it is what is found out here. */
static void note_half(half_state *state, hd_value value, hd_dtype found)
{
    hd_dtype declared = state->graph->values[value].dtype;
    if (value != HD_VALUE_NONE) {
        state->halves[value] = declared == HD_DTYPE_NONE ? found : half_or_none(declared);
    }
}

static void note_block(half_state *state, const hd_block *block);

/* Others only move elements; a reduction makes Scatter compute. */
static bool computes(const hd_node *node)
{
    const hd_attribute *reduction = find_attribute(node, "reduction");
    return (node->operator->flags & HD_OPERATOR_ANY_DTYPE) == 0 ||
           (reduction != NULL && reduction->kind == HD_ATTRIBUTE_STRING &&
            strcmp(reduction->s, "none") != 0);
}

static void note_control(half_state *state, const hd_node *node)
{
    bool loops = node_is(node, HD_OP_LOOP);
    /* A Loop's carried values are its inputs and its body's behind trip count and condition. */
    for (size_t i = 0; loops && i < node->blocks[0]->input_count; i++) {
        note_half(state, node->blocks[0]->inputs[i], half_of_input(state, node, i));
    }
    for (size_t b = 0; b < 2 && node->blocks[b] != NULL; b++) {
        note_block(state, node->blocks[b]);
    }
    const hd_block *block = node->blocks[0];
    size_t skipped = loops ? 1 : 0;
    for (size_t i = 0; i < node->output_count && i + skipped < block->output_count; i++) {
        note_half(state, node->outputs[i], state->halves[block->outputs[i + skipped]]);
    }
}

/* Fills state->halves for what a block computes, and sees whether it computes with halves. */
static void note_block(half_state *state, const hd_block *block)
{
    for (size_t n = 0; n < block->node_count; n++) {
        const hd_node *node = &block->nodes[n];
        if (node->blocks[0] != NULL) {
            for (size_t i = 0; i < node->input_count; i++) {
                state->use_count[node->inputs[i]]++;
            }
            note_control(state, node);
            continue;
        }
        bool touches = false;
        for (size_t i = 0; i < node->input_count; i++) {
            touches |= half_of_input(state, node, i) != HD_DTYPE_NONE;
            state->use_count[node->inputs[i]]++;
        }
        for (size_t i = 0; i < node->output_count; i++) {
            note_half(state, node->outputs[i], half_of_output(state, node, i));
            touches |= state->halves[node->outputs[i]] != HD_DTYPE_NONE;
        }
        state->computes |= touches && computes(node);
        state->converts_weight |= touches && node_is(node, HD_OP_CAST) &&
                                  is_half(state->graph->values[node->inputs[0]].dtype) &&
                                  state->graph->values[node->inputs[0]].data != NULL;
    }
    for (size_t i = 0; i < block->output_count; i++) {
        state->use_count[block->outputs[i]]++;
    }
}

/* ---- the rewriting --------------------------------------------------------------------------- */

/* *out_data = the elements as float32, from hd_alloc_aligned. */
static hd_status to_float32(half_state *state, hd_dtype dtype, const hd_shape *shape,
                            const void *data, void **out_data)
{
    hd_attribute to = {.name = "to", .kind = HD_ATTRIBUTE_INT, .i = HD_FLOAT32};
    hd_operand input = {.dtype = dtype, .shape = *shape, .data = data};
    hd_operand output = {.dtype = HD_FLOAT32, .shape = *shape};
    hd_operation cast = {.id = HD_OP_CAST,
                         .name = "",
                         .opset = state->graph->opset,
                         .attributes = &to,
                         .attribute_count = 1,
                         .inputs = &input,
                         .input_count = 1,
                         .outputs = &output,
                         .output_count = 1};
    hd_status status = hd_evaluate(&cast, state->error);
    *out_data = (void *)(uintptr_t)output.data;
    return status;
}

/* FLAT: each constant's halves go before the next one grows. */
static hd_status promote_values(half_state *state)
{
    for (size_t v = 1; v < state->value_count; v++) {
        hd_graph_value *value = &state->graph->values[v];
        if (!is_half(value->dtype)) {
            continue;
        }
        if (value->data != NULL) {
            void *promoted = NULL;
            hd_status status =
                to_float32(state, value->dtype, &value->shape, value->data, &promoted);
            if (status != HD_OK) {
                return status;
            }
            hd_free(value->data);
            value->data = promoted;
        }
        value->dtype = HD_FLOAT32;
    }
    return HD_OK;
}

static hd_status promote_tensor(half_state *state, const hd_tensor **tensor)
{
    hd_tensor *copy = hd_region_copy(&state->graph->region, *tensor, sizeof *copy);
    if (copy == NULL) {
        return out_of_memory(state);
    }
    hd_shape shape = {.rank = copy->rank};
    memcpy(shape.dims, copy->dims, sizeof shape.dims);
    if (copy->rank > HD_MAX_RANK || !hd_shape_is_valid(&shape, HD_FLOAT32) ||
        copy->size < (size_t)hd_shape_count(&shape) * hd_dtype_size(copy->dtype)) {
        return HD_OK; /* no tensor; whoever reads it says so */
    }
    void *promoted = NULL;
    hd_status status = to_float32(state, copy->dtype, &shape, copy->data, &promoted);
    if (status != HD_OK) {
        return status;
    }
    copy->dtype = HD_FLOAT32;
    copy->size = (size_t)hd_shape_count(&shape) * sizeof(float);
    copy->data = hd_region_copy(&state->graph->region, promoted, copy->size);
    hd_free(promoted);
    *tensor = copy;
    return copy->data == NULL ? out_of_memory(state) : HD_OK;
}

static hd_status promote_attributes(half_state *state, const hd_node *node)
{
    static const char *const naming[] = {"dtype", "output_datatype", "stash_type"};
    for (size_t a = 0; a < node->attribute_count; a++) {
        hd_attribute *attribute = &node->attributes[a];
        if (attribute->kind == HD_ATTRIBUTE_TENSOR && attribute->tensor != NULL &&
            is_half(attribute->tensor->dtype)) {
            hd_status status = promote_tensor(state, &attribute->tensor);
            if (status != HD_OK) {
                return status;
            }
        }
        for (size_t i = 0; i < sizeof naming / sizeof naming[0]; i++) {
            if (attribute->kind == HD_ATTRIBUTE_INT && strcmp(attribute->name, naming[i]) == 0 &&
                is_half(attribute->i)) {
                attribute->i = HD_FLOAT32;
            }
        }
    }
    return HD_OK;
}

static hd_status append_cast(half_state *state, hd_block *block, const char *name, hd_value from,
                             hd_value to, hd_dtype dtype)
{
    hd_attribute attribute = {.name = "to", .kind = HD_ATTRIBUTE_INT, .i = dtype};
    return hd_graph_append_id(state->graph, block, HD_OP_CAST, name, &from, 1, &to, 1, &attribute,
                              1, NULL, state->error);
}

/* A Cast or CastLike to a half type, that rounds what is no half of this kind yet. */
static hd_status append_rounding(half_state *state, hd_block *block, const hd_node *node,
                                 hd_dtype half)
{
    if (half_of_input(state, node, 0) == half) {
        return append_cast(state, block, node->name, node->inputs[0], node->outputs[0], HD_FLOAT32);
    }
    hd_value rounded = hd_graph_new_value(state->graph, "");
    if (rounded == HD_VALUE_NONE) {
        return out_of_memory(state);
    }
    hd_status status = append_cast(state, block, node->name, node->inputs[0], rounded, half);
    return status != HD_OK
               ? status
               : append_cast(state, block, node->name, rounded, node->outputs[0], HD_FLOAT32);
}

/* FLAT: a Cast to float32 is all that reads a promoted constant, which is float32 now: its elements
 * become the Cast's output, without a copy of the weights. */
static bool take_constant(half_state *state, const hd_node *node)
{
    const hd_attribute *to = find_attribute(node, "to");
    if (!node_is(node, HD_OP_CAST) || to == NULL || to->i != HD_FLOAT32 ||
        half_of_input(state, node, 0) == HD_DTYPE_NONE || state->use_count[node->inputs[0]] != 1) {
        return false;
    }
    hd_graph_value *from = &state->graph->values[node->inputs[0]];
    hd_graph_value *into = &state->graph->values[node->outputs[0]];
    if (from->data == NULL || into == state->graph->values) {
        return false;
    }
    into->dtype = HD_FLOAT32;
    into->has_rank = true;
    into->shape = from->shape;
    into->data = from->data;
    from->data = NULL;
    return true;
}

/* BitCast takes the bits that the file's types have: halves are made for it, and what it makes of halves is promoted. */
static hd_status append_bit_cast(half_state *state, hd_block *block, const hd_node *node)
{
    const hd_dtype from = half_of_input(state, node, 0), to = half_of_output(state, node, 0);
    hd_value input = node->inputs[0], output = node->outputs[0];
    hd_status status = HD_OK;
    if (from != HD_DTYPE_NONE) {
        input = hd_graph_new_value(state->graph, "");
        status = input == HD_VALUE_NONE
                     ? out_of_memory(state)
                     : append_cast(state, block, node->name, node->inputs[0], input, from);
    }
    if (status == HD_OK && to != HD_DTYPE_NONE) {
        output = hd_graph_new_value(state->graph, "");
        status = output == HD_VALUE_NONE ? out_of_memory(state) : HD_OK;
    }
    if (status == HD_OK) {
        status =
            hd_graph_append_id(state->graph, block, HD_OP_BIT_CAST, node->name, &input, 1, &output,
                               1, node->attributes, node->attribute_count, NULL, state->error);
    }
    return status == HD_OK && to != HD_DTYPE_NONE
               ? append_cast(state, block, node->name, output, node->outputs[0], HD_FLOAT32)
               : status;
}

static hd_status promote_block(half_state *state, hd_block *block);

static hd_status promote_node(half_state *state, hd_block *block, const hd_node *node)
{
    for (size_t b = 0; b < 2 && node->blocks[b] != NULL; b++) {
        hd_status status = promote_block(state, node->blocks[b]);
        if (status != HD_OK) {
            return status;
        }
    }
    if (take_constant(state, node)) {
        return HD_OK;
    }
    hd_dtype half = half_of_output(state, node, 0);
    if (half != HD_DTYPE_NONE && (node_is(node, HD_OP_CAST) || node_is(node, HD_OP_CAST_LIKE))) {
        return append_rounding(state, block, node, half);
    }
    if (node_is(node, HD_OP_BIT_CAST) &&
        (half != HD_DTYPE_NONE || half_of_input(state, node, 0) != HD_DTYPE_NONE)) {
        return append_bit_cast(state, block, node);
    }
    hd_status status = promote_attributes(state, node);
    if (status != HD_OK) {
        return status;
    }
    if (!hd_array_reserve((void **)&block->nodes, &block->node_capacity, block->node_count + 1,
                          sizeof *block->nodes)) {
        return out_of_memory(state);
    }
    block->nodes[block->node_count++] = *node;
    return HD_OK;
}

/* Puts a value of the declared half type in the place of one that is float32 now. */
static hd_status declare_half(half_state *state, hd_value *place, hd_dtype half,
                              hd_value *out_declared)
{
    hd_value declared = hd_graph_new_value(state->graph, "");
    if (declared == HD_VALUE_NONE) {
        return out_of_memory(state);
    }
    hd_graph_value *entry = &state->graph->values[declared];
    *entry = state->graph->values[*place];
    entry->dtype = half;
    entry->data = NULL; /* an output may be a constant: its elements have one owner */
    entry->initial = NULL;
    *place = declared;
    *out_declared = declared;
    return HD_OK;
}

static hd_status promote_inputs(half_state *state, hd_block *root)
{
    for (size_t i = 0; i < root->input_count; i++) {
        hd_value inner = root->inputs[i], declared = HD_VALUE_NONE;
        hd_dtype half = state->halves[inner];
        if (half == HD_DTYPE_NONE) {
            continue;
        }
        hd_status status = declare_half(state, &root->inputs[i], half, &declared);
        if (status == HD_OK) {
            state->graph->values[declared].initial = state->graph->values[inner].initial;
            state->graph->values[inner].initial = NULL;
            status = append_cast(state, root, "", declared, inner, HD_FLOAT32);
        }
        if (status != HD_OK) {
            return status;
        }
    }
    return HD_OK;
}

static hd_status promote_outputs(half_state *state, hd_block *root)
{
    for (size_t i = 0; i < root->output_count; i++) {
        hd_value inner = root->outputs[i], declared = HD_VALUE_NONE;
        hd_dtype half = state->halves[inner];
        if (half == HD_DTYPE_NONE) {
            continue;
        }
        hd_status status = declare_half(state, &root->outputs[i], half, &declared);
        if (status == HD_OK) {
            status = append_cast(state, root, "", inner, declared, half);
        }
        if (status != HD_OK) {
            return status;
        }
    }
    return HD_OK;
}

static hd_status promote_block(half_state *state, hd_block *block)
{
    hd_node *nodes = block->nodes;
    size_t count = block->node_count;
    bool is_root = block == state->graph->root;
    block->nodes = NULL;
    block->node_count = block->node_capacity = 0;
    hd_status status = is_root ? promote_inputs(state, block) : HD_OK;
    for (size_t n = 0; n < count && status == HD_OK; n++) {
        status = promote_node(state, block, &nodes[n]);
    }
    hd_free(nodes);
    return status == HD_OK && is_root ? promote_outputs(state, block) : status;
}

hd_status hd_graph_promote_halves(hd_graph *graph, hd_error *error)
{
    half_state state = {.graph = graph, .value_count = graph->value_count, .error = error};
    hd_status status = HD_OK;
    state.halves = hd_alloc_zero(state.value_count, sizeof *state.halves);
    state.use_count = hd_alloc_zero(state.value_count, sizeof *state.use_count);
    if (state.halves == NULL || state.use_count == NULL) {
        status = out_of_memory(&state);
        goto done;
    }
    for (hd_value v = 1; v < state.value_count; v++) {
        state.halves[v] = half_or_none(graph->values[v].dtype);
    }
    note_block(&state, graph->root);
    if (state.computes || state.converts_weight) {
        for (hd_value v = 1; v < state.value_count; v++) {
            graph->from_float16 |= state.halves[v] == HD_FLOAT16;
            graph->from_bfloat16 |= state.halves[v] == HD_BFLOAT16;
        }
        status = promote_values(&state);
        if (status == HD_OK) {
            status = promote_block(&state, graph->root);
        }
    }
done:
    hd_free(state.use_count);
    hd_free(state.halves);
    return status;
}
