#include "graph/plan_parts.h"

/* The stretch of a plan's steps from `first` up to `end`, as a recipe of its own. */
static hd_plan_part make_stretch(const hd_plan *plan, size_t first, size_t end,
                                 hd_memory_place place)
{
    hd_recipe recipe = plan->recipe;
    hd_step *steps = plan->recipe.steps + first;
    recipe.steps = steps;
    recipe.step_count = end - first;
    recipe.parallel = false;
    recipe.scratch_size = plan->scratch_sizes[place];
    uint32_t base = steps[0].first_reference;
    recipe.references += base;
    recipe.reference_total = 0;
    for (size_t i = 0; i < end - first; i++) {
        steps[i].first_reference -= base;
        recipe.reference_total += steps[i].reference_count;
        recipe.parallel = recipe.parallel || steps[i].kernel.tile_count > 1;
    }
    return (hd_plan_part){.recipe = recipe, .place = place};
}

/* At least as many as there will be. */
static size_t count_parts(const hd_planner *planner)
{
    size_t count = 1;
    hd_memory_place place = HD_PLACE_DEVICE;
    for (size_t n = 0; n < planner->node_count; n++) {
        const hd_plan_node *node = &planner->nodes[n];
        if (!node->dead) {
            count += (node->control != NULL ? 2 : 0) + (node->place != place ? 1 : 0);
            place = node->place;
        }
    }
    return count;
}

hd_status hd_planner_list_parts(hd_planner *planner, hd_plan *plan)
{
    size_t count = count_parts(planner), first = 0, step = 0;
    hd_memory_place place = HD_PLACE_DEVICE; /* of the stretch that begins at `first` */
    plan->part_count = 0;
    plan->parts = hd_region_array(planner->region, count, sizeof *plan->parts);
    if (plan->parts == NULL) {
        return hd_fail(planner->error, HD_OUT_OF_MEMORY, "no memory for a plan");
    }
    for (size_t n = 0; n <= planner->node_count; n++) {
        bool is_end = n == planner->node_count;
        if (!is_end && planner->nodes[n].dead) {
            continue;
        }
        const hd_plan_node *node = is_end ? NULL : &planner->nodes[n];
        hd_plan_control *control = is_end ? NULL : node->control;
        if ((is_end || control != NULL || node->place != place) && step > first) {
            plan->parts[plan->part_count++] = make_stretch(plan, first, step, place);
            first = step;
        }
        if (control != NULL) {
            control->operands = plan->recipe.references + plan->recipe.steps[step].first_reference;
            plan->parts[plan->part_count++] =
                (hd_plan_part){.control = control, .place = node->place};
            first = step + 1;
        }
        place = is_end ? place : node->place;
        step++;
    }
    return HD_OK;
}
