/* An If within a block becomes a part of a plan where its condition is computed; see planner_blocks.h. */
#include "base/memory.h"
#include "graph/planner_blocks.h"

static hd_status out_of_memory(hd_planner *planner)
{
    return hd_fail(planner->error, HD_OUT_OF_MEMORY, "no memory for a plan");
}

typedef struct branch_draft {
    hd_planner inner[2];
    hd_plan *plans[2];
    hd_error error;
    hd_value *values; /* what a branch's plan gives */
    size_t count;
} branch_draft;

/* The outputs of branch `number` that the node has readers for. */
static void list_values(branch_draft *draft, const hd_node *node, size_t number)
{
    draft->count = 0;
    for (size_t i = 0; i < node->output_count; i++) {
        if (node->outputs[i] != HD_VALUE_NONE) {
            draft->values[draft->count++] = node->blocks[number]->outputs[i];
        }
    }
}

static bool plan_branches(hd_planner *planner, const hd_node *node, branch_draft *draft)
{
    draft->values = hd_region_array(planner->region, node->output_count, sizeof *draft->values);
    for (size_t b = 0; b < 2; b++) {
        if (draft->values == NULL ||
            !hd_block_start(planner, &draft->inner[b], node->blocks[b], &draft->error) ||
            !hd_block_walk(&draft->inner[b])) {
            return false;
        }
        planner->folding = draft->inner[b].folding;
    }
    for (size_t i = 0; i < node->output_count; i++) {
        if (node->outputs[i] == HD_VALUE_NONE) {
            continue;
        }
        hd_tensor_id first = hd_planner_find(&draft->inner[0], node->blocks[0]->outputs[i]);
        hd_tensor_id second = hd_planner_find(&draft->inner[1], node->blocks[1]->outputs[i]);
        if (first == HD_TENSOR_NONE || second == HD_TENSOR_NONE ||
            !hd_plan_tensor_equal(&draft->inner[0].tensors[first],
                                  &draft->inner[1].tensors[second])) {
            return false;
        }
    }
    for (size_t b = 0; b < 2; b++) {
        list_values(draft, node, b);
        draft->plans[b] = hd_block_plan(&draft->inner[b], draft->values, draft->count);
        if (draft->plans[b] == NULL) {
            return false;
        }
    }
    return true;
}

static hd_status place_branch(hd_planner *planner, const hd_node *node, hd_tensor_id condition,
                              const branch_draft *draft)
{
    const hd_planner *first = &draft->inner[0], *second = &draft->inner[1];
    hd_plan_control *control = hd_region_alloc(planner->region, sizeof *control);
    size_t *sizes = hd_region_array(planner->region, draft->count, sizeof *sizes);
    size_t input_count = 1 + first->captured_count + second->captured_count;
    hd_tensor_id *inputs = hd_region_array(planner->region, input_count, sizeof *inputs);
    hd_tensor_id *outputs = hd_region_array(planner->region, draft->count + 1, sizeof *outputs);
    if (control == NULL || sizes == NULL || inputs == NULL || outputs == NULL) {
        return out_of_memory(planner);
    }
    *control = (hd_plan_control){
        .name = node->name,
        .blocks = {draft->plans[0], draft->plans[1]},
        .captured = {first->captured_count, second->captured_count},
        .results = draft->count,
        .result_sizes = sizes,
        .plan_work = first->work + second->work,
        .turn_work = first->run_work > second->run_work ? first->run_work : second->run_work};
    inputs[0] = condition;
    for (size_t i = 0; i < first->captured_count; i++) {
        inputs[1 + i] = first->captured[i];
    }
    for (size_t i = 0; i < second->captured_count; i++) {
        inputs[1 + first->captured_count + i] = second->captured[i];
    }
    for (size_t i = 0; i < draft->count; i++) {
        const hd_plan_output *output = &draft->plans[0]->outputs[i];
        sizes[i] = output->size;
        outputs[i] = hd_planner_new_result(planner, output->dtype, &output->shape);
    }
    outputs[draft->count] = hd_planner_new_memory(planner, control);
    if (hd_planner_new_part(planner, control, inputs, input_count, outputs, draft->count + 1) ==
        NULL) {
        return out_of_memory(planner);
    }
    hd_status status = HD_OK;
    for (size_t i = 0, used = 0; i < node->output_count && status == HD_OK; i++) {
        if (node->outputs[i] != HD_VALUE_NONE) {
            hd_tensor_id id = outputs[used++];
            planner->map[node->outputs[i]] = id;
            status = hd_planner_check_declared(planner, node, "output", node->outputs[i],
                                               planner->tensors[id].dtype);
        }
    }
    return status;
}

hd_status hd_planner_make_branch(hd_planner *planner, const hd_node *node, hd_tensor_id condition,
                                 bool *made)
{
    *made = false;
    for (size_t b = 0; b < 2; b++) {
        if (node->blocks[b] == NULL || node->blocks[b]->output_count < node->output_count) {
            return HD_OK; /* the walk says so */
        }
    }
    if (planner->depth == HD_BLOCK_DEPTH_LIMIT) {
        return HD_OK;
    }
    branch_draft *draft = hd_alloc_zero(1, sizeof *draft);
    if (draft == NULL) {
        return out_of_memory(planner);
    }
    hd_status status = HD_OK;
    if (plan_branches(planner, node, draft)) {
        *made = true;
        status = place_branch(planner, node, condition, draft);
    }
    for (size_t b = 0; b < 2; b++) {
        if (draft->inner[b].outer != NULL) {
            hd_block_end(planner, &draft->inner[b]);
        }
    }
    hd_free(draft);
    return status;
}
