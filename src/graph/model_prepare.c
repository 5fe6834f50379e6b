/* What is done to a model once, before any shape is known: constants are folded, weights packed. */
#include <string.h>

#include "base/memory.h"
#include "graph/evaluate.h"
#include "graph/folding.h"
#include "graph/graph_narrow.h"
#include "graph/graph_quantized.h"
#include "graph/index_checks.h"
#include "graph/model.h"
#include "graph/settle.h"

/* A folded constant may have this many bytes more than what it is made of. */
#define FOLD_GROWTH_LIMIT ((int64_t)4 << 20)

/* Folding a model's constants. */
typedef struct fold_state {
    hd_graph *graph;
    hd_folding folding;
    uint32_t *readers; /* of each value: the nodes and outputs that still read it */
} fold_state;

static size_t value_size(const hd_graph_value *value)
{
    return (size_t)hd_shape_count(&value->shape) * hd_dtype_size(value->dtype);
}

/* The operation of a node all of whose inputs are constants; false for any other node. */
static bool constant_operation(const hd_graph *graph, const hd_node *node, hd_region *region,
                               hd_operation *operation)
{
    if ((node->operator->flags & HD_OPERATOR_CONTROL) != 0 || node->input_count == 0) {
        return false;
    }
    for (size_t i = 0; i < node->input_count; i++) {
        if (node->inputs[i] != HD_VALUE_NONE && graph->values[node->inputs[i]].data == NULL) {
            return false;
        }
    }
    *operation =
        (hd_operation){.id = node->operator->id,
                       .name = node->name,
                       .opset = node->opset,
                       .attributes = node->attributes,
                       .attribute_count = node->attribute_count,
                       .inputs = hd_region_array(region, node->input_count, sizeof(hd_operand)),
                       .input_count = node->input_count,
                       .outputs = hd_region_array(region, node->output_count, sizeof(hd_operand)),
                       .output_count = node->output_count};
    if (operation->inputs == NULL || operation->outputs == NULL) {
        return false;
    }
    for (size_t i = 0; i < node->input_count; i++) {
        const hd_graph_value *value = &graph->values[node->inputs[i]];
        operation->inputs[i] =
            (hd_operand){.dtype = value->dtype, .shape = value->shape, .data = value->data};
    }
    return true;
}

/* FLAT: a constant that only folded nodes have read goes at once. */
static void drop_inputs(fold_state *state, const hd_node *node)
{
    for (size_t i = 0; i < node->input_count; i++) {
        hd_graph_value *value = &state->graph->values[node->inputs[i]];
        if (--state->readers[node->inputs[i]] == 0 && value->data != NULL) {
            hd_folding_give(&state->folding, value_size(value));
            hd_free(value->data);
            value->data = NULL;
        }
    }
}

/* Whether an output has the type that the file declares; the plan says so where it has not. */
static bool is_as_declared(const hd_graph *graph, const hd_node *node,
                           const hd_operation *operation)
{
    for (size_t i = 0; i < node->output_count; i++) {
        hd_dtype declared = graph->values[node->outputs[i]].dtype;
        if (declared != HD_DTYPE_NONE && operation->outputs[i].dtype != declared) {
            return false;
        }
    }
    return true;
}

static hd_status compute_node(const hd_node *node, hd_operation *operation)
{
    if ((node->operator->flags & HD_OPERATOR_VIEW) == 0 || node->output_count != 1) {
        return hd_evaluate(operation, NULL);
    }
    size_t size = (size_t)hd_shape_count(&operation->outputs[0].shape) *
                  hd_dtype_size(operation->outputs[0].dtype);
    void *copy = hd_alloc_aligned(size);
    if (copy == NULL) {
        return HD_OUT_OF_MEMORY;
    }
    if (size > 0) {
        memcpy(copy, operation->inputs[0].data, size);
    }
    operation->outputs[0].data = copy;
    return HD_OK;
}

/* Folds one node; *folded says whether its outputs are constants now. What cannot be folded here stays
 * for the plan, which says why it fails, if it does. */
static hd_status fold_one(fold_state *state, const hd_node *node, hd_region *region, bool *folded)
{
    hd_graph *graph = state->graph;
    hd_operation operation;
    size_t needed;
    *folded = false;
    if (!constant_operation(graph, node, region, &operation) ||
        hd_operator_check_types(&operation, NULL) != HD_OK ||
        node->operator->infer(&operation, &needed, NULL) != HD_INFER_DONE) {
        return HD_OK;
    }
    for (size_t i = 0; i < node->output_count; i++) {
        if (node->outputs[i] == HD_VALUE_NONE) {
            operation.outputs[i].dtype = HD_DTYPE_NONE;
        }
    }
    hd_operation_settle(&operation);
    if (hd_operation_has_texts(&operation) || !is_as_declared(graph, node, &operation) ||
        hd_index_check_known(&operation, NULL) != HD_OK ||
        !hd_folding_take(&state->folding, &operation, FOLD_GROWTH_LIMIT)) {
        return HD_OK;
    }
    hd_status status = compute_node(node, &operation);
    if (status != HD_OK) {
        return status == HD_OUT_OF_MEMORY ? status : HD_OK;
    }
    for (size_t i = 0; i < node->output_count; i++) {
        if (node->outputs[i] != HD_VALUE_NONE) {
            hd_graph_value *value = &graph->values[node->outputs[i]];
            value->dtype = operation.outputs[i].dtype;
            value->has_rank = true;
            value->shape = operation.outputs[i].shape;
            value->data = (void *)(uintptr_t)operation.outputs[i].data;
        }
    }
    drop_inputs(state, node);
    *folded = true;
    return HD_OK;
}

static hd_status fold_block(fold_state *state, hd_block *block)
{
    size_t kept = 0;
    for (size_t n = 0; n < block->node_count; n++) {
        hd_region region = {0};
        bool folded;
        hd_status status = fold_one(state, &block->nodes[n], &region, &folded);
        hd_region_clear(&region);
        if (status != HD_OK) {
            return status;
        }
        for (size_t b = 0; b < 2 && block->nodes[n].blocks[b] != NULL; b++) {
            status = fold_block(state, block->nodes[n].blocks[b]);
            if (status != HD_OK) {
                return status;
            }
        }
        if (!folded) {
            block->nodes[kept++] = block->nodes[n];
        }
    }
    block->node_count = kept;
    return HD_OK;
}

static hd_status fold_constants(hd_model *model)
{
    hd_graph *graph = model->graph;
    fold_state state = {.graph = graph,
                        .readers = hd_alloc_zero(graph->value_count, sizeof *state.readers)};
    if (state.readers == NULL) {
        return HD_OUT_OF_MEMORY;
    }
    size_t constant_bytes = (size_t)hd_graph_count_constants(graph);
    hd_graph_count_readers(graph, state.readers);
    hd_folding_start(&state.folding, constant_bytes, &model->device->memory);
    hd_status status = fold_block(&state, graph->root);
    hd_free(state.readers);
    return status;
}

/* How the readers of a constant want it. */
typedef struct constant_use {
    bool raw;              /* somebody reads the elements */
    hd_constant_form form; /* what the others want; kind 0: there are no others */
} constant_use;

static void note_reader(const hd_unit *unit, const hd_graph *graph, const hd_node *node,
                        size_t index, constant_use *use)
{
    const hd_graph_value *value = &graph->values[node->inputs[index]];
    enum {
        OPERANDS = 16
    }; /* of operators that have constants in forms of their own; QLinearConv has 9 */
    hd_operand operands[OPERANDS] = {{0}};
    hd_constant_form form = {0};
    hd_operation operation = {.id = node->operator->id,
                              .name = node->name,
                              .opset = node->opset,
                              .attributes = node->attributes,
                              .attribute_count = node->attribute_count,
                              .inputs = operands,
                              .input_count = node->input_count,
                              .output_count = node->output_count};
    if (node->input_count <= OPERANDS) {
        for (size_t i = 0; i < node->input_count; i++) { /* of the others what is constant, too */
            const hd_graph_value *other = &graph->values[node->inputs[i]];
            if (node->inputs[i] != HD_VALUE_NONE && (i == index || other->data != NULL)) {
                operands[i] =
                    (hd_operand){.dtype = other->dtype, .shape = other->shape, .data = other->data};
            }
        }
        form = unit->backend->compile->constant_form(unit, &operation, index);
    }
    if (form.kind == 0 || hd_shape_count(&value->shape) == 0 ||
        (use->form.kind != 0 && !hd_constant_form_equal(use->form, form))) {
        use->raw = true;
        return;
    }
    use->form = form;
}

static void note_readers(const hd_unit *unit, const hd_graph *graph, const hd_block *block,
                         constant_use *uses)
{
    /* What runs as a part of a plan, the host computes for the device (placement.h). */
    bool is_part = block != graph->root && !unit->is_host;
    for (size_t n = 0; n < block->node_count; n++) {
        const hd_node *node = &block->nodes[n];
        for (size_t i = 0; i < node->input_count; i++) {
            if (node->inputs[i] != HD_VALUE_NONE && graph->values[node->inputs[i]].data != NULL) {
                note_reader(unit, graph, node, i, &uses[node->inputs[i]]);
                uses[node->inputs[i]].raw = uses[node->inputs[i]].raw || is_part;
            }
        }
        for (size_t b = 0; b < 2 && node->blocks[b] != NULL; b++) {
            note_readers(unit, graph, node->blocks[b], uses);
        }
    }
    for (size_t i = 0; i < block->output_count; i++) {
        uses[block->outputs[i]].raw = true;
    }
}

/* *size counts the bytes of what stays. */
static hd_status pack_weights(hd_model *model, size_t *size, hd_error *error)
{
    hd_graph *graph = model->graph;
    hd_status status = HD_OK;
    constant_use *uses = hd_alloc_zero(graph->value_count, sizeof *uses);
    model->packed = hd_alloc_zero(graph->value_count, sizeof *model->packed);
    if (uses == NULL || model->packed == NULL) {
        hd_free(uses);
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a model");
    }
    hd_unit *unit = model->device->unit;
    note_readers(unit, graph, graph->root, uses);
    for (size_t v = 1; v < graph->value_count && status == HD_OK; v++) {
        hd_graph_value *value = &graph->values[v];
        *size += value->initial == NULL ? 0 : value->initial->size;
        if (value->data == NULL) {
            continue;
        }
        const hd_constant_form form = uses[v].form;
        const bool is_plain = form.kind == HD_CONSTANT_PLAIN;
        /* where somebody reads the host's, the device gets its copy with the others */
        if (form.kind != 0 && !(is_plain && uses[v].raw)) {
            hd_operand constant = {
                .dtype = value->dtype, .shape = value->shape, .data = value->data};
            hd_packed *packed = NULL;
            status = is_plain ? hd_device_constants_pack(model->device, &constant, &packed, error)
                              : unit->backend->compile->constant_create(unit, form, &constant,
                                                                        &packed, error);
            if (status == HD_OK && packed != NULL) {
                model->packed[v] = packed;
                *size += packed->size;
            } else {
                uses[v].raw = true;
            }
        }
        if (!uses[v].raw) {
            hd_free(value->data); /* FLAT: packed weights stay, raw copies go */
            value->data = NULL;
        } else {
            *size += value_size(value);
        }
    }
    hd_free(uses);
    return status;
}

hd_status hd_model_prepare(hd_model *model, hd_error *error)
{
    model->brought = hd_graph_count_constants(model->graph);
    hd_status status = hd_graph_unpack_inputs(model->graph, error);
    status = status == HD_OK ? hd_graph_promote_halves(model->graph, error) : status;
    if (status != HD_OK) {
        return status;
    }
    if (hd_graph_fuse_quantized(model->graph, model->device->unit) != HD_OK ||
        fold_constants(model) != HD_OK || hd_graph_join_affine(model->graph) != HD_OK) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a model");
    }
    size_t size = 0;
    status = pack_weights(model, &size, error);
    if (status != HD_OK) {
        return status;
    }
    status = hd_device_constants_copy(&model->constants, model->device, model->graph, &size, error);
    if (status != HD_OK) {
        return status;
    }
    model->weight_size = size;
    return HD_OK;
}
