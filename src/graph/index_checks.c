#include "graph/index_checks.h"

#include "graph/operator.h"

bool hd_index_check_bounds(const hd_operation *operation, hd_fused_index_check *out)
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

static hd_status fail(const char *name, const char *type, int64_t index, int64_t dim,
                      hd_error *error)
{
    return hd_fail(error, HD_INVALID_ARGUMENT, "node '%s' (%s): index %lld is not in %lld to %lld",
                   name, type, (long long)index, (long long)-dim, (long long)dim - 1);
}

hd_status hd_index_check_known(const hd_operation *operation, hd_error *error)
{
    hd_fused_index_check bounds;
    if (operation->input_count < 2 || operation->inputs[1].data == NULL ||
        !hd_index_check_bounds(operation, &bounds)) {
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
