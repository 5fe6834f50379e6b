#include "graph/plan.h"

#include "base/memory.h"
#include "runtime/device.h"

void hd_plan_retain(hd_plan *plan)
{
    hd_add_relaxed(&plan->reference_count, 1);
}

static void destroy_list(hd_unit *unit, hd_command_list **list)
{
    if (*list != NULL) {
        unit->backend->lists->destroy(unit, list);
    }
}

void hd_plan_drop_lane(hd_plan *plan, uint32_t lane)
{
    destroy_list(plan->device->unit, &plan->lists[lane].list);
    for (size_t p = 0; plan->parts != NULL && p < plan->part_count; p++) {
        /* counted before they are there */
        hd_plan_control *control = plan->parts[p].control;
        destroy_list(hd_device_unit(plan->device, plan->parts[p].place),
                     &plan->parts[p].lists[lane].list);
        if (control != NULL) {
            hd_free(control->pointers[lane]);
            control->pointers[lane] = NULL;
        }
        for (size_t b = 0; control != NULL && b < 2 && control->blocks[b] != NULL; b++) {
            /* as deep as the planner lets blocks be parts of one another */
            hd_plan_drop_lane(control->blocks[b], lane);
        }
    }
}

static void drop_folds(const hd_plan *plan)
{
    for (const hd_plan_fold *fold = plan->folds; fold != NULL; fold = fold->next) {
        hd_free(fold->memory);
    }
}

static void drop_constants(const hd_plan *plan)
{
    if (plan->constants != NULL) {
        hd_unit_memory_destroy(plan->device->unit, HD_PLACE_DEVICE, plan->constants,
                               plan->constants_size);
        hd_memory_account_give(&plan->device->memory, HD_MEMORY_PLANS, plan->constants_size);
    }
}

void hd_plan_release(hd_plan *plan)
{
    /* acq_rel: the last holder sees what the others did with the plan before it is freed. */
    while (plan != NULL && hd_sub_acq_rel(&plan->reference_count, 1) == 1) {
        hd_plan *before = plan->before;
        for (uint32_t i = 0; i < HD_LANE_COUNT; i++) {
            hd_plan_drop_lane(plan, i);
        }
        drop_constants(plan);
        drop_folds(plan);
        hd_region_clear(&plan->region);
        hd_free(plan);
        plan = before;
    }
}
