#include "graph/planner_blocks.h"

#include <string.h>

#include "base/memory.h"
#include "graph/model.h"
#include "graph/plan_finish.h"
#include "graph/planning.h"

hd_tensor_id hd_planner_find(hd_planner *planner, hd_value value)
{
    if (planner->map[value] != HD_TENSOR_NONE || planner->outer == NULL) {
        return planner->map[value];
    }
    /* as deep as HD_BLOCK_DEPTH_LIMIT */
    hd_tensor_id outer = hd_planner_find(planner->outer, value);
    if (outer == HD_TENSOR_NONE) {
        return HD_TENSOR_NONE;
    }
    const hd_plan_tensor from = planner->outer->tensors[outer];
    hd_tensor_id id = hd_planner_new_tensor(planner, from.dtype, &from.shape);
    if (id == HD_TENSOR_NONE) {
        return HD_TENSOR_NONE;
    }
    hd_plan_tensor *tensor = &planner->tensors[id];
    tensor->data = from.data;
    /* it is the device's form */
    tensor->packed = planner->is_for_host && from.data != NULL ? NULL : from.packed;
    tensor->origin = from.origin;
    if (from.data == NULL && from.packed == NULL) {
        if (!hd_array_reserve((void **)&planner->captured, &planner->captured_capacity,
                              planner->captured_count + 1, sizeof *planner->captured)) {
            return HD_TENSOR_NONE;
        }
        tensor->input_index = planner->first_captured + (int32_t)planner->captured_count;
        planner->captured[planner->captured_count++] = outer;
    }
    planner->map[value] = id;
    return id;
}

bool hd_block_start(hd_planner *outer, hd_planner *inner, const hd_block *block, hd_error *error)
{
    *inner = (hd_planner){.model = outer->model,
                          .graph = outer->graph,
                          .outer = outer,
                          .depth = outer->depth + 1,
                          .region = outer->region,
                          .error = error,
                          .folding = outer->folding,
                          .follows = outer->follows,
                          .is_for_host = hd_planner_part_place(outer) == HD_PLACE_HOST,
                          .budget = outer->budget,
                          .size_before = outer->size_before +
                                         outer->tensor_capacity * sizeof *outer->tensors +
                                         outer->node_capacity * sizeof *outer->nodes};
    size_t size = outer->graph->value_count * sizeof *inner->map;
    inner->map = hd_alloc(size);
    if (inner->map == NULL) {
        return false;
    }
    memset(inner->map, 0xFF, size);
    return hd_planner_push_frame(inner, block, NULL);
}

void hd_block_end(hd_planner *outer, hd_planner *inner)
{
    outer->folding = inner->folding;
    outer->steering |= inner->steering;
    hd_planner_clear(inner);
}

bool hd_block_walk(hd_planner *inner)
{
    return hd_planner_walk(inner) == HD_OK && inner->steering == 0 && inner->cut_count == 0;
}

hd_plan *hd_block_plan(hd_planner *inner, const hd_value *values, size_t count)
{
    hd_block *results = hd_region_alloc(inner->region, sizeof *results);
    hd_plan *plan = hd_region_alloc(inner->region, sizeof *plan);
    const char **names = hd_region_array(inner->region, count, sizeof *names);
    bool *wanted = hd_region_array(inner->region, count, sizeof *wanted);
    if (results == NULL || plan == NULL || names == NULL || wanted == NULL) {
        return NULL;
    }
    *results = (hd_block){.output_names = names, .output_count = count};
    results->outputs = hd_region_copy(inner->region, values, count * sizeof *values);
    if (results->outputs == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        hd_tensor_id id = hd_planner_find(inner, values[i]);
        if (id == HD_TENSOR_NONE) {
            return NULL;
        }
        inner->tensors[id].kept = true;
        inner->tensors[hd_planner_root(inner, id)].kept = true;
        names[i] = "";
        wanted[i] = true;
    }
    inner->results = results;
    inner->wanted = wanted;
    plan->is_last = true;
    plan->device = inner->model->device;
    return hd_planner_optimize(inner, plan) == HD_OK && hd_planner_finish(inner, plan) == HD_OK
               ? plan
               : NULL;
}

hd_tensor_id hd_planner_new_result(hd_planner *planner, hd_dtype dtype, const hd_shape *shape)
{
    hd_tensor_id id = hd_planner_new_tensor(planner, dtype, shape);
    if (id != HD_TENSOR_NONE) {
        planner->tensors[id].origin = UINT64_MAX;
    }
    return id;
}

hd_tensor_id hd_planner_new_memory(hd_planner *planner, const hd_plan_control *control)
{
    hd_memory_place place = hd_planner_part_place(planner);
    size_t size = control->blocks[0]->arena_sizes[place];
    if (control->blocks[1] != NULL && control->blocks[1]->arena_sizes[place] > size) {
        size = control->blocks[1]->arena_sizes[place];
    }
    hd_shape shape = {.rank = 1, .dims = {(int64_t)size + HD_CONTROL_HEADER}};
    return hd_planner_new_result(planner, HD_UINT8, &shape);
}

hd_plan_node *hd_planner_new_part(hd_planner *planner, hd_plan_control *control,
                                  const hd_tensor_id *inputs, size_t input_count,
                                  const hd_tensor_id *outputs, size_t output_count)
{
    for (size_t i = 0; i < output_count; i++) {
        if (outputs[i] == HD_TENSOR_NONE) {
            return NULL;
        }
    }
    hd_plan_node *node =
        hd_planner_new_node(planner, control->is_loop ? HD_OP_HEDDLE_LOOP : HD_OP_HEDDLE_IF,
                            control->name, inputs, input_count, outputs, output_count);
    if (node != NULL) {
        node->control = control;
    }
    return node;
}
