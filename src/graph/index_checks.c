#include "graph/index_checks.h"

#include <string.h>

#include "graph/operator.h"

size_t hd_index_check_input(const hd_operation *operation)
{
    return hd_operator_of(operation->id)->indices == HD_INDICES_OF_STARTS ? 2 : 1;
}

/* From 0 on, so that what is written ends within the cache. */
static bool bound_starts(const hd_operation *operation, hd_fused_index_check *out)
{
    const hd_shape *cache = &operation->inputs[0].shape;
    int64_t axis = hd_operation_int(operation, "axis", -2);
    hd_axis_normalize(&axis, cache->rank); /* inference has accepted it */
    *out = (hd_fused_index_check){
        .depth = 1, .dims = {cache->dims[axis] - operation->inputs[1].shape.dims[axis] + 1}};
    return strcmp(hd_operation_string(operation, "mode", "linear"), "circular") != 0;
}

bool hd_index_check_bounds(const hd_operation *operation, hd_fused_index_check *out)
{
    const hd_index_rule rule = hd_operator_of(operation->id)->indices;
    if (rule == HD_INDICES_NONE) {
        return false;
    }
    if (rule == HD_INDICES_OF_STARTS) {
        return bound_starts(operation, out);
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

static hd_status fail(const char *name, const char *type, int64_t index, int64_t dim,
                      hd_error *error)
{
    return hd_fail(error, HD_INVALID_ARGUMENT, "node '%s' (%s): index %lld is not in %lld to %lld",
                   name, type, (long long)index, (long long)-dim, (long long)dim - 1);
}

hd_status hd_index_check_known(const hd_operation *operation, hd_error *error)
{
    hd_fused_index_check bounds;
    const size_t input = hd_index_check_input(operation);
    if (!hd_operation_has(operation, input) || operation->inputs[input].data == NULL ||
        !hd_index_check_bounds(operation, &bounds)) {
        return HD_OK;
    }
    const hd_operand *indices = &operation->inputs[input];
    int64_t count = hd_shape_count(&indices->shape);
    for (int64_t i = 0; i < count; i++) {
        int64_t dim = bounds.dims[i % bounds.depth], index = hd_operand_int(indices, i);
        if (index < -dim || index >= dim) {
            return fail(operation->name, hd_operator_name(operation->id), index, dim, error);
        }
    }
    return HD_OK;
}

hd_status hd_plan_read_checks(const hd_plan *plan, const hd_list_memory *memory, hd_error *error)
{
    for (size_t i = 0; i < plan->check_count; i++) {
        const hd_plan_check *check = &plan->checks[i];
        const int64_t *found = hd_reference_resolve(&check->source, memory, NULL, NULL);
        if (found[HD_INDEX_CHECK_OUTSIDE] != 0) {
            return fail(check->name, check->type, found[HD_INDEX_CHECK_INDEX],
                        found[HD_INDEX_CHECK_DIM], error);
        }
    }
    return HD_OK;
}
