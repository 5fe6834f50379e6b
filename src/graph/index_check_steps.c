/* Index check steps: the pass that gives nodes whose indices are not known a step that looks at them. */
#include <string.h>

#include "base/memory.h"
#include "graph/index_checks.h"
#include "graph/passes.h"

/* Appends the step for node `number`. */
static bool append_check(hd_planner *planner, size_t number, hd_plan_check *check)
{
    hd_plan_node *node = &planner->nodes[number];
    hd_fused *fused = hd_planner_new_fused(planner, HD_OP_HEDDLE_INDEX_CHECK);
    hd_shape shape = {.rank = 1, .dims = {HD_INDEX_CHECK_COUNT}};
    hd_tensor_id indices = node->inputs[hd_index_check_input(&node->operation)],
                 found = hd_planner_new_tensor(planner, HD_INT64, &shape);
    if (fused == NULL || found == HD_TENSOR_NONE) {
        return false;
    }
    hd_index_check_bounds(&node->operation, &fused->index_check);
    planner->tensors[found].kept = true;
    /* the run reads it, whoever writes it */
    planner->tensors[found].place = hd_planner_part_place(planner);
    *check = (hd_plan_check){.name = node->operation.name,
                             .type = hd_operator_name(node->operation.id),
                             .tensor = found};
    hd_plan_node *made = hd_planner_new_node(planner, HD_OP_HEDDLE_INDEX_CHECK,
                                             node->operation.name, &indices, 1, &found, 1);
    if (made != NULL) {
        made->operation.fused = fused;
    }
    return made != NULL;
}

static bool needs_check(const hd_planner *planner, const hd_plan_node *node)
{
    hd_fused_index_check bounds;
    const size_t input = hd_index_check_input(&node->operation);
    return !node->dead && hd_operation_has(&node->operation, input) &&
           hd_index_check_bounds(&node->operation, &bounds) &&
           planner->tensors[node->inputs[input]].data == NULL &&
           hd_shape_count(&node->operation.inputs[input].shape) > 0;
}

bool hd_add_index_checks(hd_planner *planner, hd_plan *plan)
{
    size_t nodes = planner->node_count, count = 0;
    for (size_t n = 0; n < nodes; n++) {
        count += needs_check(planner, &planner->nodes[n]);
    }
    if (count == 0) {
        return true;
    }
    plan->checks = hd_region_array(planner->region, count, sizeof *plan->checks);
    hd_plan_node *ordered = hd_alloc_zero(nodes + count, sizeof *ordered);
    bool fits = plan->checks != NULL && ordered != NULL;
    size_t used = 0;
    for (size_t n = 0; n < nodes && fits; n++) {
        if (needs_check(planner, &planner->nodes[n])) {
            fits = append_check(planner, n, &plan->checks[plan->check_count++]);
            ordered[used++] = planner->nodes[planner->node_count - 1];
        }
        ordered[used++] = planner->nodes[n];
    }
    if (fits) {
        memcpy(planner->nodes, ordered, used * sizeof *ordered);
    }
    hd_free(ordered);
    return fits;
}
