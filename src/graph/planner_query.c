/* What passes ask of a planner: who writes a tensor, who reads it. */
#include <string.h>

#include "base/memory.h"
#include "graph/model.h"
#include "graph/planner.h"

/* That what passes make is read by. */
#define MADE_OPSET 21

#define NO_USE UINT32_MAX

/* Counts a use of a tensor; the first one of a view is a use of what it views. */
static void add_count(hd_planner *planner, hd_tensor_id id)
{
    hd_plan_tensor *tensor = &planner->tensors[id];
    if (tensor->use_count++ == 0 && !tensor->kept && tensor->view_of != HD_TENSOR_NONE) {
        planner->tensors[tensor->view_of].use_count++;
    }
}

/* Takes a use back; returns the tensor with memory of its own that nobody uses any more, HD_TENSOR_NONE. */
static hd_tensor_id drop_count(hd_planner *planner, hd_tensor_id id)
{
    hd_plan_tensor *tensor = &planner->tensors[id];
    if (--tensor->use_count > 0 || tensor->kept) {
        return HD_TENSOR_NONE;
    }
    if (tensor->view_of == HD_TENSOR_NONE) {
        return id;
    }
    hd_plan_tensor *viewed = &planner->tensors[tensor->view_of];
    return --viewed->use_count == 0 && !viewed->kept ? tensor->view_of : HD_TENSOR_NONE;
}

/* Enters entry `index` into the list of a tensor, in front. */
static void link_use(hd_planner *planner, uint32_t index, uint32_t node, hd_tensor_id id)
{
    hd_plan_tensor *tensor = &planner->tensors[id];
    planner->uses[index] =
        (hd_plan_use){.node = node, .next = tensor->first_use, .previous = NO_USE};
    if (tensor->first_use != NO_USE) {
        planner->uses[tensor->first_use].previous = index;
    }
    tensor->first_use = index;
}

static void unlink_use(hd_planner *planner, uint32_t index, hd_tensor_id id)
{
    const hd_plan_use *use = &planner->uses[index];
    if (use->next != NO_USE) {
        planner->uses[use->next].previous = use->previous;
    }
    if (use->previous != NO_USE) {
        planner->uses[use->previous].next = use->next;
    } else {
        planner->tensors[id].first_use = use->next;
    }
}

static bool is_needed(const hd_planner *planner, const hd_plan_node *node)
{
    for (size_t i = 0; i < node->operation.output_count; i++) {
        if (node->outputs[i] != HD_TENSOR_NONE) {
            const hd_plan_tensor *output = &planner->tensors[node->outputs[i]];
            if (output->use_count > 0 || output->kept || output->extent != HD_TENSOR_NONE) {
                return true;
            }
        }
    }
    return false;
}

static void take_uses(hd_planner *planner, uint32_t number, uint32_t first_use,
                      const hd_tensor_id *inputs, size_t input_count)
{
    planner->nodes[number].first_use = first_use;
    /* Backwards, so that a list that is made from the last node to the first is in their order. */
    for (size_t i = input_count; i-- > 0;) {
        if (inputs[i] != HD_TENSOR_NONE) {
            link_use(planner, first_use + (uint32_t)i, number, inputs[i]);
            add_count(planner, inputs[i]);
        }
    }
}

/* Takes back the uses of a node's inputs, and those of all nodes that die thereby. */
static void give_uses(hd_planner *planner, uint32_t first_use, const hd_tensor_id *inputs,
                      size_t input_count)
{
    uint32_t dead = NO_USE;
    for (;;) {
        for (size_t i = 0; i < input_count; i++) {
            if (inputs[i] == HD_TENSOR_NONE) {
                continue;
            }
            unlink_use(planner, first_use + (uint32_t)i, inputs[i]);
            hd_tensor_id unused = drop_count(planner, inputs[i]);
            uint32_t producer =
                unused == HD_TENSOR_NONE ? UINT32_MAX : planner->tensors[unused].producer;
            if (producer != UINT32_MAX && !planner->nodes[producer].dead &&
                !is_needed(planner, &planner->nodes[producer])) {
                planner->nodes[producer].dead = true;
                planner->nodes[producer].next_dead = dead;
                dead = producer;
            }
        }
        if (dead == NO_USE) {
            return;
        }
        const hd_plan_node *node = &planner->nodes[dead];
        for (size_t i = 0; i < node->operation.output_count; i++) {
            if (node->outputs[i] != HD_TENSOR_NONE) {
                planner->tensors[node->outputs[i]].producer = UINT32_MAX;
            }
        }
        dead = node->next_dead;
        first_use = node->first_use;
        inputs = node->inputs;
        input_count = node->operation.input_count;
    }
}

void hd_planner_count_uses(hd_planner *planner)
{
    for (size_t t = 0; t < planner->tensor_count; t++) {
        hd_plan_tensor *tensor = &planner->tensors[t];
        tensor->use_count = 0;
        tensor->first_use = NO_USE;
        tensor->producer = UINT32_MAX;
    }
    for (size_t t = 0; t < planner->tensor_count; t++) {
        const hd_plan_tensor *tensor = &planner->tensors[t];
        if (tensor->view_of != HD_TENSOR_NONE && tensor->kept) {
            planner->tensors[tensor->view_of].use_count++;
        }
    }
    planner->use_total = 0;
    /* Backwards: whether a node is needed is known when all that stand behind it have been counted. */
    for (size_t n = planner->node_count; n-- > 0;) {
        hd_plan_node *node = &planner->nodes[n];
        node->dead = node->dead || !is_needed(planner, node);
        if (node->dead) {
            continue;
        }
        take_uses(planner, (uint32_t)n, (uint32_t)planner->use_total, node->inputs,
                  node->operation.input_count);
        planner->use_total += node->operation.input_count;
        for (size_t i = 0; i < node->operation.output_count; i++) {
            if (node->outputs[i] != HD_TENSOR_NONE) {
                planner->tensors[node->outputs[i]].producer = (uint32_t)n;
            }
        }
    }
}

bool hd_planner_reserve_uses(hd_planner *planner, size_t count)
{
    return hd_array_reserve((void **)&planner->uses, &planner->use_capacity,
                            planner->use_total + count, sizeof *planner->uses) &&
           planner->use_total + count < NO_USE;
}

hd_plan_node *hd_planner_producer(const hd_planner *planner, hd_tensor_id tensor)
{
    if (tensor == HD_TENSOR_NONE || planner->tensors[tensor].producer == UINT32_MAX) {
        return NULL;
    }
    return &planner->nodes[planner->tensors[tensor].producer];
}

hd_plan_node *hd_planner_producer_of(const hd_planner *planner, hd_tensor_id tensor,
                                     hd_operator_id id)
{
    hd_plan_node *node = hd_planner_producer(planner, tensor);
    return hd_plan_node_is(node, id) ? node : NULL;
}

hd_plan_node *hd_planner_only_user(const hd_planner *planner, hd_tensor_id tensor)
{
    const hd_plan_tensor *entry = &planner->tensors[tensor];
    return entry->use_count == 1 && !entry->kept && entry->first_use != NO_USE
               ? &planner->nodes[planner->uses[entry->first_use].node]
               : NULL;
}

size_t hd_planner_users(const hd_planner *planner, hd_tensor_id tensor, hd_plan_node **users,
                        size_t capacity)
{
    const hd_plan_tensor *entry = &planner->tensors[tensor];
    size_t reads = 0, count = 0;
    uint32_t last = UINT32_MAX;
    if (entry->kept) {
        return SIZE_MAX;
    }
    for (uint32_t use = entry->first_use; use != NO_USE && count <= capacity;
         use = planner->uses[use].next) {
        reads++;
        if (planner->uses[use].node == last) {
            continue; /* the reads of one node stand together */
        }
        last = planner->uses[use].node;
        if (count < capacity) {
            users[count] = &planner->nodes[last];
        }
        count++;
    }
    return count > capacity || reads == entry->use_count ? count : SIZE_MAX;
}

size_t hd_plan_tensor_size(const hd_plan_tensor *tensor)
{
    return (size_t)hd_shape_count(&tensor->shape) * hd_dtype_size(tensor->dtype);
}

bool hd_plan_tensor_equal(const hd_plan_tensor *a, const hd_plan_tensor *b)
{
    return a->dtype == b->dtype && hd_shape_equal(&a->shape, &b->shape);
}

hd_tensor_id hd_planner_new_view(hd_planner *planner, hd_tensor_id tensor, const hd_shape *shape)
{
    hd_tensor_id view = hd_planner_new_tensor(planner, planner->tensors[tensor].dtype, shape);
    if (view != HD_TENSOR_NONE) {
        hd_tensor_id root = hd_planner_root(planner, tensor);
        planner->tensors[view].view_of = root;
        planner->tensors[root].viewed = true;
        planner->tensors[view].data = planner->tensors[tensor].data;
        planner->tensors[view].origin = planner->tensors[tensor].origin;
    }
    return view;
}

bool hd_planner_allows(const hd_planner *planner, const hd_plan_node *node,
                       const hd_replacement *replacement)
{
    const hd_unit *unit = planner->model->device->unit;
    if (unit->is_host || planner->is_for_host) {
        return true;
    }
    const size_t inputs = replacement->input_count, outputs = node->operation.output_count;
    hd_operand *operands = hd_alloc_zero(inputs + outputs, sizeof *operands);
    if (operands == NULL) {
        return false;
    }
    for (size_t i = 0; i < inputs; i++) {
        operands[i] = hd_planner_operand(planner, replacement->inputs[i]);
    }
    memcpy(operands + inputs, node->operation.outputs, outputs * sizeof *operands);
    if (replacement->shape != NULL) {
        operands[inputs].shape = *replacement->shape;
    }
    hd_operation operation = {.name = node->operation.name,
                              .id = replacement->id,
                              .opset = MADE_OPSET,
                              .attributes = replacement->attributes,
                              .attribute_count = replacement->attribute_count,
                              .inputs = operands,
                              .input_count = inputs,
                              .outputs = operands + inputs,
                              .output_count = outputs,
                              .fused = replacement->fused};
    bool allows = unit->backend->compile->supports(unit, &operation);
    hd_free(operands);
    return allows;
}

bool hd_planner_replace(hd_planner *planner, hd_plan_node *node, const hd_replacement *replacement)
{
    const size_t count = replacement->input_count;
    hd_operand *operands = hd_region_array(planner->region, count, sizeof *operands);
    hd_tensor_id *ids =
        hd_region_copy(planner->region, replacement->inputs, count * sizeof *replacement->inputs);
    hd_attribute *attributes =
        hd_region_copy(planner->region, replacement->attributes,
                       replacement->attribute_count * sizeof *replacement->attributes);
    if (operands == NULL || ids == NULL || attributes == NULL ||
        !hd_planner_reserve_uses(planner, count)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        operands[i] = hd_planner_operand(planner, ids[i]);
    }
    uint32_t old_first = node->first_use;
    take_uses(planner, (uint32_t)(node - planner->nodes), (uint32_t)planner->use_total, ids, count);
    give_uses(planner, old_first, node->inputs, node->operation.input_count);
    planner->use_total += count;
    node->operation.id = replacement->id;
    node->operation.opset = MADE_OPSET;
    node->operation.attributes = attributes;
    node->operation.attribute_count = replacement->attribute_count;
    node->operation.inputs = operands;
    node->operation.input_count = count;
    node->operation.fused = replacement->fused;
    node->inputs = ids;
    if (replacement->shape != NULL) {
        node->operation.outputs[0].shape = *replacement->shape;
    }
    return true;
}

hd_fused *hd_planner_new_fused(hd_planner *planner, hd_operator_id id)
{
    hd_fused *fused = hd_region_alloc(planner->region, sizeof *fused);
    if (fused != NULL) {
        fused->id = id;
    }
    return fused;
}

hd_tensor_id hd_plan_node_other(const hd_plan_node *node, hd_tensor_id tensor)
{
    return node->inputs[0] == tensor ? node->inputs[1] : node->inputs[0];
}

bool hd_planner_scalar(const hd_planner *planner, hd_tensor_id tensor, float *out)
{
    if (tensor == HD_TENSOR_NONE) {
        return false;
    }
    const hd_plan_tensor *entry = &planner->tensors[tensor];
    if (entry->data == NULL || entry->dtype != HD_FLOAT32 || hd_shape_count(&entry->shape) != 1) {
        return false;
    }
    memcpy(out, entry->data, sizeof *out);
    return true;
}
