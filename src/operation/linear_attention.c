#include "operation/linear_attention.h"

#include <math.h>
#include <string.h>

static hd_status refuse(const hd_operation *operation, const char *why, hd_error *error)
{
    return hd_operation_fail(operation, error, HD_INVALID_ARGUMENT, "%s", why);
}

/* Which of decay and beta the rule takes. */
static bool read_rule(const hd_operation *operation, bool *decays, bool *corrects)
{
    const char *rule = hd_operation_string(operation, "update_rule", "gated_delta");
    *decays = strcmp(rule, "gated") == 0 || strcmp(rule, "gated_delta") == 0;
    *corrects = strcmp(rule, "delta") == 0 || strcmp(rule, "gated_delta") == 0;
    return *decays || *corrects || strcmp(rule, "linear") == 0;
}

/* Input `index` is [batch, length, ..]. */
static bool is_sequence(const hd_operation *operation, size_t index, const hd_linear_attention *a)
{
    const hd_shape *shape = &operation->inputs[index].shape;
    return shape->rank == 3 && shape->dims[0] == a->batch && shape->dims[1] == a->length;
}

static hd_status read_gates(const hd_operation *operation, hd_linear_attention *a, hd_error *error)
{
    bool decays, corrects;
    if (!read_rule(operation, &decays, &corrects)) {
        return hd_operation_fail(operation, error, HD_BAD_MODEL, "there is no such update_rule");
    }
    if (decays != hd_operation_has(operation, 4) || corrects != hd_operation_has(operation, 5)) {
        return refuse(operation, "decay and beta are not those of its update_rule", error);
    }
    if (decays) {
        const int64_t width = operation->inputs[4].shape.dims[2];
        if (!is_sequence(operation, 4, a) ||
            (width != a->state_heads && width != a->state_heads * a->key_width)) {
            return refuse(operation, "the decay does not fit", error);
        }
        a->decay_width = width / a->state_heads;
    }
    if (corrects) {
        a->beta_heads = operation->inputs[5].shape.dims[2];
        if (!is_sequence(operation, 5, a) ||
            (a->beta_heads != 1 && a->beta_heads != a->state_heads)) {
            return refuse(operation, "beta does not fit", error);
        }
    }
    return HD_OK;
}

hd_status hd_linear_attention_resolve(const hd_operation *operation, hd_linear_attention *a,
                                      hd_error *error)
{
    const hd_shape *q = &operation->inputs[0].shape, *k = &operation->inputs[1].shape;
    const hd_shape *v = &operation->inputs[2].shape;
    *a = (hd_linear_attention){.heads = hd_operation_int(operation, "q_num_heads", 0),
                               .state_heads = hd_operation_int(operation, "kv_num_heads", 0),
                               .batch = q->dims[0],
                               .length = q->dims[1]};
    if (a->heads < 1 || a->state_heads < 1 || a->heads % a->state_heads != 0) {
        return hd_operation_fail(operation, error, HD_BAD_MODEL, "its numbers of heads do not fit");
    }
    if (q->rank != 3 || !is_sequence(operation, 1, a) || !is_sequence(operation, 2, a) ||
        q->dims[2] % a->heads != 0 || k->dims[2] % a->state_heads != 0 ||
        v->dims[2] % a->state_heads != 0) {
        return refuse(operation, "queries, keys and values do not fit the heads", error);
    }
    a->key_width = q->dims[2] / a->heads;
    a->value_width = v->dims[2] / a->state_heads;
    if (k->dims[2] / a->state_heads != a->key_width || a->key_width < 1 || a->value_width < 1) {
        return refuse(operation, "the widths of queries and keys do not fit", error);
    }
    if (hd_operation_has(operation, 3)) {
        const hd_shape wanted = {.rank = 4,
                                 .dims = {a->batch, a->state_heads, a->key_width, a->value_width}};
        if (!hd_shape_equal(&operation->inputs[3].shape, &wanted)) {
            return refuse(operation, "the past state does not fit", error);
        }
    }
    const float scale = hd_operation_float(operation, "scale", 0.0f);
    a->scale = scale == 0.0f ? (float)(1.0 / sqrt((double)a->key_width)) : scale;
    return read_gates(operation, a, error);
}
