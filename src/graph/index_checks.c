#include "graph/index_checks.h"

#include <string.h>

#include "base/memory.h"

/* Where the indices of an operation are, input 1 for all, and what bounds them. */
static bool find_bounds(const hd_operation *operation, hd_fused_index_check *out)
{
    const hd_index_rule rule = hd_operator_of(operation->id)->indices;
    if (rule == HD_INDICES_NONE) {
        return false;
    }
    const hd_shape *data = &operation->inputs[0].shape;
    if (rule == HD_INDICES_OF_POINTS) {
        const hd_shape *indices = &operation->inputs[1].shape;
        int64_t batch = hd_operation_int(operation, "batch_dims", 0);
        out->depth = (uint32_t)indices->dims[indices->rank - 1];
        for (uint32_t i = 0; i < out->depth; i++) {
            out->dims[i] = data->dims[(uint32_t)batch + i];
        }
        return out->depth > 0;
    }
    int64_t axis = hd_operation_int(operation, "axis", 0);
    hd_axis_normalize(&axis, data->rank); /* inference has accepted it */
    *out = (hd_fused_index_check){.depth = 1, .dims = {data->dims[axis]}};
    return true;
}

static hd_status fail(const char *name, const char *type, int64_t index, int64_t dim, hd_error *error)
{
    return hd_fail(error, HD_INVALID_ARGUMENT, "node '%s' (%s): index %lld is not in %lld to %lld", name,
                   type, (long long)index, (long long)-dim, (long long)dim - 1);
}

hd_status hd_index_check_known(const hd_operation *operation, hd_error *error)
{
    hd_fused_index_check bounds;
    if (operation->input_count < 2 || operation->inputs[1].data == NULL || !find_bounds(operation, &bounds)) {
        return HD_OK;
    }
    const hd_operand *indices = &operation->inputs[1];
    int64_t count = hd_shape_count(&indices->shape);
    for (int64_t i = 0; i < count; i++) {
        int64_t dim = bounds.dims[i % bounds.depth], index = hd_operand_int(indices, i);
        if (index < -dim || index >= dim) {
            return fail(operation->name, hd_operator_name(operation->id), index, dim, error);
        }
    }
    return HD_OK;
}

/* Appends the step for node `number`. */
static hd_status append_check(hd_planner *planner, size_t number, hd_plan_check *check)
{
    hd_plan_node *node = &planner->nodes[number];
    hd_fused *fused = hd_planner_new_fused(planner, HD_OP_HEDDLE_INDEX_CHECK);
    hd_shape shape = {.rank = 1, .dims = {HD_INDEX_CHECK_COUNT}};
    hd_tensor_id indices = node->inputs[1], found = hd_planner_new_tensor(planner, HD_INT64, &shape);
    if (fused == NULL || found == HD_TENSOR_NONE) {
        return hd_fail(planner->error, HD_OUT_OF_MEMORY, "no memory for a plan");
    }
    find_bounds(&node->operation, &fused->index_check);
    planner->tensors[found].kept = true;
    *check = (hd_plan_check){.name = node->operation.name, .type = hd_operator_name(node->operation.id),
                             .tensor = found};
    hd_plan_node *made = hd_planner_new_node(planner, HD_OP_HEDDLE_INDEX_CHECK, node->operation.name, &indices, 1,
                                             &found, 1);
    if (made == NULL) {
        return hd_fail(planner->error, HD_OUT_OF_MEMORY, "no memory for a plan");
    }
    made->operation.fused = fused;
    return HD_OK;
}

static bool needs_check(const hd_planner *planner, const hd_plan_node *node)
{
    hd_fused_index_check bounds;
    return !node->dead && node->operation.input_count >= 2 && find_bounds(&node->operation, &bounds) &&
           planner->tensors[node->inputs[1]].data == NULL &&
           hd_shape_count(&node->operation.inputs[1].shape) > 0;
}

hd_status hd_planner_add_index_checks(hd_planner *planner, hd_plan *plan)
{
    size_t nodes = planner->node_count, count = 0;
    for (size_t n = 0; n < nodes; n++) {
        count += needs_check(planner, &planner->nodes[n]);
    }
    if (count == 0) {
        return HD_OK;
    }
    plan->checks = hd_region_array(planner->region, count, sizeof *plan->checks);
    hd_plan_node *ordered = hd_alloc_zero(nodes + count, sizeof *ordered);
    hd_status status = HD_OK;
    if (plan->checks == NULL || ordered == NULL) {
        status = hd_fail(planner->error, HD_OUT_OF_MEMORY, "no memory for a plan");
    }
    size_t used = 0;
    for (size_t n = 0; n < nodes && status == HD_OK; n++) {
        if (needs_check(planner, &planner->nodes[n])) {
            status = append_check(planner, n, &plan->checks[plan->check_count++]);
            ordered[used++] = planner->nodes[planner->node_count - 1];
        }
        ordered[used++] = planner->nodes[n];
    }
    if (status == HD_OK) {
        memcpy(planner->nodes, ordered, used * sizeof *ordered);
    }
    hd_free(ordered);
    return status;
}

hd_status hd_plan_read_checks(const hd_plan *plan, unsigned char *arena, hd_error *error)
{
    for (size_t i = 0; i < plan->check_count; i++) {
        const hd_plan_check *check = &plan->checks[i];
        const int64_t *found = hd_reference_resolve(&check->source, arena, NULL, NULL);
        if (found[HD_INDEX_CHECK_OUTSIDE] != 0) {
            return fail(check->name, check->type, found[HD_INDEX_CHECK_INDEX], found[HD_INDEX_CHECK_DIM],
                        error);
        }
    }
    return HD_OK;
}
