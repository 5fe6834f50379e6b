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
