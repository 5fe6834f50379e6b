#include "graph/planner_blocks.h"

#include <string.h>

#include "base/memory.h"
#include "graph/index_checks.h"
#include "graph/model.h"

static hd_status out_of_memory(hd_planner *planner)
{
    return hd_fail(planner->error, HD_OUT_OF_MEMORY, "no memory for a plan");
}

hd_tensor_id hd_planner_find(hd_planner *planner, hd_value value)
{
    if (planner->map[value] != HD_TENSOR_NONE || planner->outer == NULL) {
        return planner->map[value];
    }
    hd_tensor_id outer = hd_planner_find(planner->outer, value); /* as deep as HD_BLOCK_DEPTH_LIMIT */
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
    tensor->packed = from.packed;
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
                          .budget = outer->budget,
                          .size_before = outer->size_before + outer->tensor_capacity * sizeof *outer->tensors +
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
    plan->unit = inner->model->device->unit;
    return hd_planner_optimize(inner) == HD_OK && hd_planner_add_index_checks(inner, plan) == HD_OK &&
                   hd_planner_finish(inner, plan) == HD_OK
               ? plan
               : NULL;
}

size_t hd_plan_tensor_size(const hd_plan_tensor *tensor)
{
    return (size_t)hd_shape_count(&tensor->shape) * hd_dtype_size(tensor->dtype);
}

bool hd_plan_tensor_equal(const hd_plan_tensor *a, const hd_plan_tensor *b)
{
    return a->dtype == b->dtype && hd_shape_equal(&a->shape, &b->shape);
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
    size_t size = control->blocks[0]->recipe.arena_size;
    if (control->blocks[1] != NULL && control->blocks[1]->recipe.arena_size > size) {
        size = control->blocks[1]->recipe.arena_size;
    }
    hd_shape shape = {.rank = 1, .dims = {(int64_t)size + HD_CONTROL_HEADER}};
    return hd_planner_new_result(planner, HD_UINT8, &shape);
}

hd_plan_node *hd_planner_new_part(hd_planner *planner, hd_plan_control *control, const hd_tensor_id *inputs,
                              size_t input_count, const hd_tensor_id *outputs, size_t output_count)
{
    for (size_t i = 0; i < output_count; i++) {
        if (outputs[i] == HD_TENSOR_NONE) {
            return NULL;
        }
    }
    hd_plan_node *node =
        hd_planner_new_node(planner, control->is_loop ? HD_OP_HEDDLE_LOOP : HD_OP_HEDDLE_IF, control->name, inputs,
                            input_count, outputs, output_count);
    if (node != NULL) {
        node->control = control;
        node->flags = (uint8_t)(HD_OPERATOR_CONTROL | (control->notes_turns ? HD_OPERATOR_DYNAMIC : 0));
    }
    return node;
}

/* The stretch of a plan's steps from `first` up to `end`, as a recipe of its own. */
static hd_recipe make_stretch(const hd_plan *plan, size_t first, size_t end)
{
    hd_recipe recipe = plan->recipe;
    hd_step *steps = plan->recipe.steps + first;
    recipe.steps = steps;
    recipe.step_count = end - first;
    recipe.parallel = false;
    uint32_t base = steps[0].first_reference;
    recipe.references += base;
    recipe.reference_total = 0;
    for (size_t i = 0; i < end - first; i++) {
        steps[i].first_reference -= base;
        recipe.reference_total += steps[i].reference_count;
        recipe.parallel = recipe.parallel || steps[i].kernel.tile_count > 1;
    }
    return recipe;
}

hd_status hd_planner_list_parts(hd_planner *planner, hd_plan *plan)
{
    size_t count = 2 * plan->part_count + 1, first = 0, step = 0;
    plan->part_count = 0;
    plan->parts = hd_region_array(planner->region, count, sizeof *plan->parts);
    if (plan->parts == NULL) {
        return out_of_memory(planner);
    }
    for (size_t n = 0; n <= planner->node_count; n++) {
        bool is_end = n == planner->node_count;
        if (!is_end && planner->nodes[n].dead) {
            continue;
        }
        hd_plan_control *control = is_end ? NULL : hd_plan_node_control(&planner->nodes[n]);
        if ((control != NULL || is_end) && step > first) {
            plan->parts[plan->part_count++].recipe = make_stretch(plan, first, step);
        }
        if (control != NULL) {
            control->operands = plan->recipe.references + plan->recipe.steps[step].first_reference;
            plan->parts[plan->part_count++].control = control;
            first = step + 1;
        }
        step++;
    }
    return HD_OK;
}
