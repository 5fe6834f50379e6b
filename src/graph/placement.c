#include "graph/placement.h"

#include <string.h>

#include "base/memory.h"
#include "graph/model.h"

/* Integers of up to this many elements are computed where their operands are. */
#define SMALL_COUNT 64

typedef struct placement {
    hd_planner *planner;
    /* in the new order; those of the planner are the old ones, then the copies */
    hd_plan_node *nodes;
    size_t count;
    size_t capacity;
} placement;

static hd_status out_of_memory(hd_planner *planner)
{
    return hd_fail(planner->error, HD_OUT_OF_MEMORY, "no memory for a plan");
}

/* Its elements are known: each place has them. */
static bool is_everywhere(const hd_planner *planner, hd_tensor_id id)
{
    return planner->tensors[id].data != NULL || planner->tensors[id].packed != NULL;
}

hd_tensor_id hd_planner_readable(const hd_planner *planner, hd_tensor_id tensor)
{
    hd_tensor_id root = hd_planner_root(planner, tensor);
    hd_tensor_id twin = planner->tensors[root].twin;
    return planner->tensors[root].place == hd_planner_part_place(planner) ||
                   is_everywhere(planner, tensor) || twin == HD_TENSOR_NONE
               ? tensor
               : twin;
}

static bool is_small_integer(const hd_operand *operand)
{
    return operand->dtype == HD_DTYPE_NONE ||
           ((operand->dtype == HD_INT32 || operand->dtype == HD_INT64 ||
             operand->dtype == HD_BOOL) &&
            hd_shape_count(&operand->shape) <= SMALL_COUNT);
}

/* Small integers from the host alone: copies would cost more than the host's arithmetic. */
static bool is_hosts_arithmetic(const hd_planner *planner, const hd_plan_node *node)
{
    bool reads_host = false;
    for (size_t i = 0; i < node->operation.input_count; i++) {
        if (node->inputs[i] == HD_TENSOR_NONE || is_everywhere(planner, node->inputs[i])) {
            continue;
        }
        if (planner->tensors[hd_planner_root(planner, node->inputs[i])].place != HD_PLACE_HOST ||
            !is_small_integer(&node->operation.inputs[i])) {
            return false;
        }
        reads_host = true;
    }
    for (size_t i = 0; i < node->operation.output_count; i++) {
        reads_host = reads_host && is_small_integer(&node->operation.outputs[i]);
    }
    return reads_host;
}

static hd_memory_place choose(const hd_planner *planner, const hd_plan_node *node)
{
    const hd_unit *unit = planner->model->device->unit;
    if (planner->is_for_host || node->control != NULL || hd_operation_has_texts(&node->operation) ||
        !unit->backend->compile->supports(unit, &node->operation) ||
        is_hosts_arithmetic(planner, node)) {
        return HD_PLACE_HOST;
    }
    return HD_PLACE_DEVICE;
}

/* What the host computes reads constants as they are, not in the device's form. */
static hd_status take_raw_constants(hd_planner *planner, hd_plan_node *node)
{
    for (size_t i = 0; i < node->operation.input_count; i++) {
        hd_operand *input = &node->operation.inputs[i];
        if (input->packed != NULL && input->data == NULL) {
            return hd_operation_fail(
                &node->operation, planner->error, HD_UNSUPPORTED,
                "the device does not compute it, and its constant is in the device's form");
        }
        input->packed = NULL;
    }
    return HD_OK;
}

static bool append(placement *self, const hd_plan_node *node)
{
    if (!hd_array_reserve((void **)&self->nodes, &self->capacity, self->count + 1,
                          sizeof *self->nodes)) {
        return false;
    }
    self->nodes[self->count++] = *node;
    return true;
}

/* The copy of a tensor that has memory of its own in the other place, made here unless it is there already. */
static hd_tensor_id copy_of(placement *self, hd_tensor_id root)
{
    hd_planner *planner = self->planner;
    hd_tensor_id twin = planner->tensors[root].twin;
    if (twin != HD_TENSOR_NONE) {
        return twin;
    }
    const hd_plan_tensor from = planner->tensors[root];
    bool to_host = from.place == HD_PLACE_DEVICE;
    twin = hd_planner_new_tensor(planner, from.dtype, &from.shape);
    hd_plan_node *made =
        twin == HD_TENSOR_NONE
            ? NULL
            : hd_planner_new_node(planner, to_host ? HD_OP_HEDDLE_TO_HOST : HD_OP_HEDDLE_TO_DEVICE,
                                  "", &root, 1, &twin, 1);
    if (made == NULL) {
        return HD_TENSOR_NONE;
    }
    planner->tensors[twin].place = to_host ? HD_PLACE_HOST : HD_PLACE_DEVICE;
    planner->tensors[root].twin = twin;
    made->place = HD_PLACE_DEVICE;
    return append(self, made) ? twin : HD_TENSOR_NONE;
}

/* Has a node read its operands in its own place. */
static bool bring_inputs(placement *self, hd_plan_node *node)
{
    hd_planner *planner = self->planner;
    for (size_t i = 0; i < node->operation.input_count; i++) {
        hd_tensor_id id = node->inputs[i];
        if (id == HD_TENSOR_NONE || is_everywhere(planner, id)) {
            continue;
        }
        hd_tensor_id root = hd_planner_root(planner, id);
        if (planner->tensors[root].place == node->place) {
            continue;
        }
        hd_tensor_id twin = copy_of(self, root);
        if (twin != HD_TENSOR_NONE && id != root) {
            hd_shape shape = planner->tensors[id].shape;
            twin = hd_planner_new_view(planner, twin, &shape);
        }
        if (twin == HD_TENSOR_NONE) {
            return false;
        }
        node->inputs[i] = twin;
    }
    return true;
}

static bool bring_to_reader(placement *self, hd_tensor_id id)
{
    hd_planner *planner = self->planner;
    if (id == HD_TENSOR_NONE || is_everywhere(planner, id)) {
        return true;
    }
    hd_tensor_id root = hd_planner_root(planner, id);
    if (planner->tensors[root].place == HD_PLACE_HOST) {
        return true;
    }
    hd_tensor_id twin = copy_of(self, root);
    if (twin != HD_TENSOR_NONE) {
        planner->tensors[twin].kept = true;
    }
    return twin != HD_TENSOR_NONE;
}

/* What the run reads when the steps are done: values that end the segment, outputs where it is the last. */
static bool bring_results(placement *self)
{
    hd_planner *planner = self->planner;
    bool fits = true;
    for (size_t i = 0; i < planner->results->output_count && fits && planner->cut_count == 0; i++) {
        bool is_brought = planner->wanted[i] && !hd_planner_is_on_device(planner, i);
        hd_tensor_id id =
            is_brought ? hd_planner_find(planner, planner->results->outputs[i]) : HD_TENSOR_NONE;
        fits = bring_to_reader(self, id);
    }
    for (size_t i = 0; i < planner->cut_count && fits; i++) {
        fits = bring_to_reader(self, planner->cut[i]);
    }
    return fits;
}

static hd_status place_node(placement *self, size_t number)
{
    hd_planner *planner = self->planner;
    hd_plan_node node = planner->nodes[number]; /* the array may grow */
    node.place = choose(planner, &node);
    if (node.place == HD_PLACE_HOST) {
        hd_status status = take_raw_constants(planner, &node);
        if (status != HD_OK) {
            return status;
        }
    }
    for (size_t i = 0; i < node.operation.output_count; i++) {
        hd_plan_tensor *output =
            node.outputs[i] == HD_TENSOR_NONE ? NULL : &planner->tensors[node.outputs[i]];
        if (output != NULL && node.operation.id != HD_OP_HEDDLE_INDEX_CHECK) {
            output->place = node.place;
        }
    }
    return bring_inputs(self, &node) && append(self, &node) ? HD_OK : out_of_memory(planner);
}

hd_status hd_planner_place(hd_planner *planner)
{
    if (planner->model->device->unit->is_host) {
        return HD_OK;
    }
    placement self = {.planner = planner};
    for (size_t t = 0; t < planner->tensor_count && planner->outer != NULL; t++) {
        if (planner->tensors[t].input_index >= 0) {
            planner->tensors[t].place = HD_PLACE_HOST; /* blocks are the host's */
        }
    }
    size_t count = planner->node_count;
    hd_status status = HD_OK;
    for (size_t n = 0; n < count && status == HD_OK; n++) {
        if (!planner->nodes[n].dead) {
            status = place_node(&self, n);
        }
    }
    if (status == HD_OK && !bring_results(&self)) {
        status = out_of_memory(planner);
    }
    if (status == HD_OK && !hd_array_reserve((void **)&planner->nodes, &planner->node_capacity,
                                             self.count, sizeof *planner->nodes)) {
        status = out_of_memory(planner);
    }
    if (status == HD_OK && self.count > 0) {
        memcpy(planner->nodes, self.nodes, self.count * sizeof *planner->nodes);
    }
    planner->node_count = status == HD_OK ? self.count : planner->node_count;
    hd_free(self.nodes);
    return status;
}
