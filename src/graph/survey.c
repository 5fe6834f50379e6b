#include "graph/survey.h"

#include <string.h>

#include "base/memory.h"
#include "graph/evaluate.h"
#include "graph/index_checks.h"
#include "graph/settle.h"
#include "graph/work.h"

/* What is computed on the way is small (BOUND): elements of an operand, steps of an operation. */
#define VALUE_LIMIT 4096
#define WORK_LIMIT  1e6
/* All of it together. */
#define WORK_LIMIT_ALL 1e9

typedef struct survey {
    hd_device *device;
    const hd_graph *graph;
    const hd_survey_listener *listener;
    hd_region region;     /* of what is computed */
    hd_operand *operands; /* one a value; dtype HD_DTYPE_NONE: not known */
    double work;
    bool is_guessed;
} survey;

static hd_status survey_block(survey *self, const hd_block *block);

static bool is_small(const hd_operand *operand)
{
    return operand->dtype == HD_DTYPE_NONE || hd_shape_count(&operand->shape) <= VALUE_LIMIT;
}

/* Type and shape as declared, an open dimension as 1. */
static void take_declared(survey *self, hd_value value, const hd_shape *given)
{
    const hd_graph_value *entry = &self->graph->values[value];
    hd_operand *operand = &self->operands[value];
    if (entry->dtype == HD_DTYPE_NONE || (!entry->has_rank && given == NULL)) {
        return;
    }
    *operand = (hd_operand){.dtype = entry->dtype, .shape = given != NULL ? *given : entry->shape};
    for (uint32_t d = 0; d < operand->shape.rank; d++) {
        if (operand->shape.dims[d] < 0) {
            operand->shape.dims[d] = 1;
        }
    }
    if (!hd_shape_is_valid(&operand->shape, operand->dtype)) {
        operand->dtype = HD_DTYPE_NONE;
    }
}

/* The operands of a node in the temporary region; false when out of memory. */
static bool make_operation(const survey *self, const hd_node *node, hd_region *region,
                           hd_operation *operation, bool *out_is_known)
{
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
    *out_is_known = true;
    for (size_t i = 0; operation->inputs != NULL && i < node->input_count; i++) {
        if (node->inputs[i] != HD_VALUE_NONE) {
            operation->inputs[i] = self->operands[node->inputs[i]];
            *out_is_known = *out_is_known && operation->inputs[i].dtype != HD_DTYPE_NONE;
        }
    }
    return operation->inputs != NULL && operation->outputs != NULL;
}

/* Computes small outputs whose inputs are all known. What cannot be computed stays unknown. */
static hd_status compute(survey *self, const hd_node *node, hd_operation *operation)
{
    bool is_known = !hd_operation_has_texts(operation) && node->input_count > 0;
    for (size_t i = 0; i < operation->input_count; i++) {
        const hd_operand *input = &operation->inputs[i];
        is_known = is_known && is_small(input) &&
                   (input->dtype == HD_DTYPE_NONE || input->data != NULL ||
                    (node->operator->flags & HD_OPERATOR_SHAPE_ONLY) != 0);
    }
    for (size_t i = 0; i < operation->output_count; i++) {
        is_known = is_known && is_small(&operation->outputs[i]);
    }
    double work = is_known ? hd_work_of(operation) : 0;
    if (!is_known || work > WORK_LIMIT || self->work + work > WORK_LIMIT_ALL ||
        hd_index_check_known(operation, NULL) != HD_OK) {
        return HD_OK;
    }
    self->work += work;
    if ((node->operator->flags & HD_OPERATOR_VIEW) != 0) {
        operation->outputs[0].data = operation->inputs[0].data;
        return HD_OK;
    }
    if (hd_evaluate(operation, NULL) != HD_OK) {
        return HD_OK;
    }
    hd_status status = HD_OK;
    for (size_t i = 0; i < operation->output_count; i++) {
        hd_operand *output = &operation->outputs[i];
        if (output->dtype == HD_DTYPE_NONE) {
            continue;
        }
        void *made = (void *)(uintptr_t)output->data;
        output->data =
            hd_region_copy(&self->region, made,
                           (size_t)hd_shape_count(&output->shape) * hd_dtype_size(output->dtype));
        status = output->data == NULL ? HD_OUT_OF_MEMORY : status;
        hd_free(made);
    }
    return status;
}

/* Where an operation whose outputs are inferred is computed. */
static hd_survey_place find_place(const survey *self, const hd_operation *operation,
                                  hd_region *region, hd_error *error)
{
    const hd_unit *unit = self->device->unit;
    if ((hd_operator_of(operation->id)->flags & HD_OPERATOR_VIEW) != 0) {
        return HD_SURVEY_MOVES_NOTHING;
    }
    if (hd_operation_gives_nothing(operation)) {
        return HD_SURVEY_DEVICE;
    }
    if (!unit->is_host && !hd_operation_has_texts(operation) &&
        unit->backend->compile->supports(unit, operation)) {
        return HD_SURVEY_DEVICE;
    }
    hd_kernel kernel = {0};
    hd_unit *host = self->device->host;
    hd_status status = host->backend->compile->kernel(host, operation, region, &kernel, error);
    return status != HD_OK ? HD_SURVEY_NONE : unit->is_host ? HD_SURVEY_DEVICE : HD_SURVEY_HOST;
}

static bool sizes_fit(const hd_operation *operation)
{
    for (size_t i = 0; i < operation->output_count; i++) {
        if (!hd_shape_is_valid(&operation->outputs[i].shape, operation->outputs[i].dtype)) {
            return false;
        }
    }
    return true;
}

/* Outputs are set where they are known. */
static hd_status look_at(survey *self, const hd_node *node, hd_operation *operation,
                         hd_region *region, hd_survey_place *place, hd_error *error)
{
    size_t needed = 0;
    hd_infer_result result = HD_INFER_FAILED;
    *place = HD_SURVEY_NONE;
    if (hd_operator_check_types(operation, error) == HD_OK) {
        result = node->operator->infer(operation, &needed, error);
    }
    if (result != HD_INFER_DONE || !sizes_fit(operation)) {
        *place = result == HD_INFER_FAILED ? HD_SURVEY_NONE : HD_SURVEY_UNKNOWN;
        memset(operation->outputs, 0, operation->output_count * sizeof *operation->outputs);
        return HD_OK;
    }
    for (size_t i = 0; i < operation->output_count; i++) {
        if (node->outputs[i] == HD_VALUE_NONE) {
            operation->outputs[i].dtype = HD_DTYPE_NONE;
        }
    }
    if (hd_operator_check_outputs(operation, error) != HD_OK) {
        memset(operation->outputs, 0, operation->output_count * sizeof *operation->outputs);
        return HD_OK;
    }
    hd_operation_settle(operation);
    *place = find_place(self, operation, region, error);
    return *place == HD_SURVEY_NONE ? HD_OK : compute(self, node, operation);
}

static hd_status survey_operator(survey *self, const hd_node *node)
{
    hd_region region = {0};
    hd_operation operation;
    bool is_known;
    hd_survey_place place = HD_SURVEY_UNKNOWN;
    hd_error error = {.status = HD_OK};
    if (!make_operation(self, node, &region, &operation, &is_known)) {
        hd_region_clear(&region);
        return HD_OUT_OF_MEMORY;
    }
    hd_status status = HD_OK;
    if (is_known) {
        status = look_at(self, node, &operation, &region, &place, &error);
    }
    if (place == HD_SURVEY_NONE && self->is_guessed && error.status != HD_UNSUPPORTED) {
        place = HD_SURVEY_UNKNOWN;
    }
    for (size_t i = 0; i < node->output_count && status == HD_OK; i++) {
        /* else what the file declares, if it does */
        if (node->outputs[i] != HD_VALUE_NONE && operation.outputs[i].dtype != HD_DTYPE_NONE) {
            self->operands[node->outputs[i]] = operation.outputs[i];
        }
    }
    hd_region_clear(&region);
    if (status == HD_OK && !self->listener->tell(self->listener->context, node, place, &error)) {
        status = HD_OUT_OF_MEMORY;
    }
    return status;
}

/* Of what a branch, or a turn of a loop, gives: the node's outputs have its types; elements are another run's. */
static void take_results(survey *self, const hd_node *node, const hd_block *block, size_t from,
                         size_t carried)
{
    for (size_t i = 0; i < node->output_count && from + i < block->output_count; i++) {
        if (node->outputs[i] == HD_VALUE_NONE) {
            continue;
        }
        hd_operand result = self->operands[block->outputs[from + i]];
        result.data = NULL;
        hd_shape *shape = &result.shape;
        if (i >= carried && result.dtype != HD_DTYPE_NONE) { /* a scan: one turn of it */
            if (shape->rank == HD_MAX_RANK) {
                result.dtype = HD_DTYPE_NONE;
            } else {
                memmove(shape->dims + 1, shape->dims, shape->rank * sizeof *shape->dims);
                shape->dims[0] = 1;
                shape->rank++;
            }
        }
        self->operands[node->outputs[i]] = result;
    }
}

static hd_status survey_loop(survey *self, const hd_node *node)
{
    const hd_block *body = node->blocks[0];
    size_t carried = node->input_count > 2 ? node->input_count - 2 : 0;
    for (size_t i = 0; i < body->input_count; i++) {
        hd_operand operand = {.dtype = i == 0 ? HD_INT64 : HD_BOOL};
        if (i >= 2) {
            operand = i < node->input_count && node->inputs[i] != HD_VALUE_NONE
                          ? self->operands[node->inputs[i]]
                          : (hd_operand){.dtype = HD_DTYPE_NONE};
            operand.data = NULL;
        }
        self->operands[body->inputs[i]] = operand;
    }
    hd_status status = survey_block(self, body);
    take_results(self, node, body, 1, carried);
    return status;
}

static hd_status survey_control(survey *self, const hd_node *node)
{
    hd_status status = HD_OK;
    if (node->operator->id == HD_OP_LOOP && node->blocks[0] != NULL) {
        status = survey_loop(self, node);
    } else if (node->operator->id == HD_OP_IF) {
        for (size_t b = 0; b < 2 && node->blocks[b] != NULL && status == HD_OK; b++) {
            status = survey_block(self, node->blocks[b]);
            take_results(self, node, node->blocks[b], 0, SIZE_MAX);
        }
    }
    hd_error error = {.status = HD_OK};
    hd_survey_place place = self->device->unit->is_host ? HD_SURVEY_DEVICE : HD_SURVEY_HOST;
    return status != HD_OK                                                      ? status
           : self->listener->tell(self->listener->context, node, place, &error) ? HD_OK
                                                                                : HD_OUT_OF_MEMORY;
}

/* Blocks are at most HD_ONNX_DEPTH_LIMIT deep in one another, as the file's reader sees to. */
static hd_status survey_block(survey *self, const hd_block *block)
{
    hd_status status = HD_OK;
    for (size_t n = 0; n < block->node_count && status == HD_OK; n++) {
        const hd_node *node = &block->nodes[n];
        bool is_control = (node->operator->flags & HD_OPERATOR_CONTROL) != 0;
        status = is_control ? survey_control(self, node) : survey_operator(self, node);
    }
    return status;
}

hd_status hd_graph_survey(hd_device *device, const hd_graph *graph,
                          const hd_shape *const *input_shapes, bool is_guessed,
                          const hd_survey_listener *listener, hd_error *error)
{
    survey self = {
        .device = device, .graph = graph, .listener = listener, .is_guessed = is_guessed};
    hd_status status = HD_OUT_OF_MEMORY;
    self.operands = hd_alloc_zero(graph->value_count, sizeof *self.operands);
    if (self.operands != NULL) {
        for (hd_value v = 1; v < graph->value_count; v++) {
            const hd_graph_value *value = &graph->values[v];
            if (value->data != NULL) {
                self.operands[v] =
                    (hd_operand){.dtype = value->dtype, .shape = value->shape, .data = value->data};
            } else {
                take_declared(&self, v, NULL);
            }
        }
        for (size_t i = 0; i < graph->root->input_count; i++) {
            take_declared(&self, graph->root->inputs[i], input_shapes[i]);
        }
        status = survey_block(&self, graph->root);
    }
    hd_free(self.operands);
    hd_region_clear(&self.region);
    return status == HD_OK ? HD_OK : hd_fail(error, status, "no memory to go through the graph");
}
