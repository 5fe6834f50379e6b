#include "graph/plan_parts.h"

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
        return hd_fail(planner->error, HD_OUT_OF_MEMORY, "no memory for a plan");
    }
    for (size_t n = 0; n <= planner->node_count; n++) {
        bool is_end = n == planner->node_count;
        if (!is_end && planner->nodes[n].dead) {
            continue;
        }
        hd_plan_control *control = is_end ? NULL : planner->nodes[n].control;
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
