/* What passes ask of a planner: who writes a tensor, who reads it. */
#include <string.h>

#include "graph/planner.h"

static void count_once(hd_planner *planner)
{
    for (size_t t = 0; t < planner->tensor_count; t++) {
        planner->tensors[t].use_count = 0;
        planner->tensors[t].producer = UINT32_MAX;
    }
    for (size_t n = 0; n < planner->node_count; n++) {
        const hd_plan_node *node = &planner->nodes[n];
        if (node->dead) {
            continue;
        }
        for (size_t i = 0; i < node->operation.input_count; i++) {
            if (node->inputs[i] != HD_TENSOR_NONE) {
                planner->tensors[node->inputs[i]].use_count++;
            }
        }
        for (size_t i = 0; i < node->operation.output_count; i++) {
            if (node->outputs[i] != HD_TENSOR_NONE) {
                planner->tensors[node->outputs[i]].producer = (uint32_t)n;
            }
        }
    }
    /* A view that somebody reads, or that is kept, is a use of what it views. Views come after. */
    for (size_t t = planner->tensor_count; t-- > 0;) {
        const hd_plan_tensor *tensor = &planner->tensors[t];
        if (tensor->view_of != HD_TENSOR_NONE && (tensor->use_count > 0 || tensor->kept)) {
            planner->tensors[tensor->view_of].use_count++;
        }
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

void hd_planner_count_uses(hd_planner *planner)
{
    bool changed = true;
    while (changed) {
        changed = false;
        count_once(planner);
        /* Backwards, so that a chain of dead nodes falls in few rounds. */
        for (size_t n = planner->node_count; n-- > 0;) {
            hd_plan_node *node = &planner->nodes[n];
            if (!node->dead && !is_needed(planner, node)) {
                node->dead = true;
                changed = true;
                for (size_t i = 0; i < node->operation.input_count; i++) {
                    hd_tensor_id id = node->inputs[i];
                    if (id != HD_TENSOR_NONE && planner->tensors[id].use_count > 0) {
                        planner->tensors[id].use_count--;
                    }
                }
            }
        }
    }
}

hd_plan_node *hd_planner_producer(const hd_planner *planner, hd_tensor_id tensor)
{
    if (tensor == HD_TENSOR_NONE || planner->tensors[tensor].producer == UINT32_MAX) {
        return NULL;
    }
    return &planner->nodes[planner->tensors[tensor].producer];
}

hd_plan_node *hd_planner_producer_of(const hd_planner *planner, hd_tensor_id tensor, const char *type)
{
    hd_plan_node *node = hd_planner_producer(planner, tensor);
    return node != NULL && strcmp(node->operation.type, type) == 0 ? node : NULL;
}

hd_plan_node *hd_planner_only_user(const hd_planner *planner, hd_tensor_id tensor)
{
    const hd_plan_tensor *entry = &planner->tensors[tensor];
    if (entry->use_count != 1 || entry->kept) {
        return NULL;
    }
    size_t first = entry->producer == UINT32_MAX ? 0 : entry->producer;
    for (size_t n = first; n < planner->node_count; n++) {
        hd_plan_node *node = &planner->nodes[n];
        if (node->dead) {
            continue;
        }
        for (size_t i = 0; i < node->operation.input_count; i++) {
            if (node->inputs[i] == tensor) {
                return node;
            }
        }
    }
    return NULL;
}

size_t hd_planner_users(const hd_planner *planner, hd_tensor_id tensor, hd_plan_node **users,
                        size_t capacity)
{
    const hd_plan_tensor *entry = &planner->tensors[tensor];
    size_t reads = 0, count = 0;
    if (entry->kept) {
        return SIZE_MAX;
    }
    for (size_t n = entry->producer == UINT32_MAX ? 0 : entry->producer;
         n < planner->node_count && reads < entry->use_count; n++) {
        hd_plan_node *node = &planner->nodes[n];
        if (node->dead) {
            continue;
        }
        bool counted = false;
        for (size_t i = 0; i < node->operation.input_count; i++) {
            if (node->inputs[i] != tensor) {
                continue;
            }
            reads++;
            if (!counted && count < capacity) {
                users[count] = node;
            }
            count += !counted;
            counted = true;
        }
    }
    return reads == entry->use_count ? count : SIZE_MAX;
}

hd_tensor_id hd_planner_new_view(hd_planner *planner, hd_tensor_id tensor, const hd_shape *shape)
{
    hd_tensor_id view = hd_planner_new_tensor(planner, planner->tensors[tensor].dtype, shape);
    if (view != HD_TENSOR_NONE) {
        planner->tensors[view].view_of = tensor;
        planner->tensors[view].data = planner->tensors[tensor].data;
        planner->tensors[view].origin = planner->tensors[tensor].origin;
    }
    return view;
}

bool hd_planner_replace(hd_planner *planner, hd_plan_node *node, const char *type,
                        const hd_tensor_id *inputs, size_t input_count, const hd_attribute *attributes,
                        size_t attribute_count)
{
    hd_operand *operands = hd_region_array(planner->region, input_count, sizeof *operands);
    hd_tensor_id *ids = hd_region_copy(planner->region, inputs, input_count * sizeof *inputs);
    hd_attribute *copies =
        hd_region_copy(planner->region, attributes, attribute_count * sizeof *attributes);
    if (operands == NULL || ids == NULL || copies == NULL) {
        return false;
    }
    for (size_t i = 0; i < input_count; i++) {
        operands[i] = hd_planner_operand(planner, inputs[i]);
    }
    node->operation.type = type;
    node->operation.opset = 21;
    node->operation.attributes = copies;
    node->operation.attribute_count = attribute_count;
    node->operation.inputs = operands;
    node->operation.input_count = input_count;
    node->operation.fused = NULL;
    node->inputs = ids;
    node->flags = 0;
    return true;
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
