#include "operation/scaled_attention.h"

#include <math.h>

static hd_status refuse(const hd_operation *operation, const char *why, hd_error *error)
{
    return hd_operation_fail(operation, error, HD_INVALID_ARGUMENT, "%s", why);
}

/* Attributes, which fit whatever the operands are. */
static hd_status read_attributes(const hd_operation *operation, hd_scaled_attention *a,
                                 hd_error *error)
{
    const int64_t scores = hd_operation_int(operation, "qk_matmul_output_mode", 0);
    const int64_t precision = hd_operation_int(operation, "softmax_precision", HD_FLOAT32);
    a->softcap = hd_operation_float(operation, "softcap", 0.0f);
    a->is_causal = hd_operation_int(operation, "is_causal", 0) != 0;
    a->left = hd_operation_int(operation, "left_window_size", -1);
    a->right = hd_operation_int(operation, "right_window_size", -1);
    if (scores < HD_ATTENTION_PRODUCTS || scores > HD_ATTENTION_PROBABILITIES || a->left < -1 ||
        a->right < -1 || !isfinite(a->softcap) || a->softcap < 0.0f) {
        return hd_operation_fail(operation, error, HD_BAD_MODEL,
                                 "its windows, softcap or qk_matmul_output_mode are out of range");
    }
    if (precision != HD_FLOAT32 && precision != HD_FLOAT16 && precision != HD_BFLOAT16 &&
        precision != HD_FLOAT64) {
        return hd_operation_fail(operation, error, HD_BAD_MODEL, "softmax_precision is %lld",
                                 (long long)precision);
    }
    a->scores = (hd_attention_scores)scores;
    return HD_OK;
}

/* Heads and sizes of q, k and v. */
static hd_status read_sizes(const hd_operation *operation, hd_scaled_attention *a, hd_error *error)
{
    const hd_shape *q = &operation->inputs[0].shape, *k = &operation->inputs[1].shape;
    const hd_shape *v = &operation->inputs[2].shape;
    const int64_t heads = hd_operation_int(operation, "q_num_heads", 0);
    const int64_t key_heads = hd_operation_int(operation, "kv_num_heads", 0);
    if ((q->rank != 3 && q->rank != 4) || k->rank != q->rank || v->rank != q->rank) {
        return refuse(operation, "queries, keys and values have not all 3 or 4 dimensions", error);
    }
    a->is_flat = q->rank == 3;
    const uint32_t sequence = a->is_flat ? 1 : 2;
    a->heads = a->is_flat ? heads : q->dims[1];
    a->key_heads = a->is_flat ? key_heads : k->dims[1];
    if (a->heads < 1 || a->key_heads < 1 || a->heads % a->key_heads != 0 ||
        (!a->is_flat &&
         ((heads != 0 && heads != a->heads) || (key_heads != 0 && key_heads != a->key_heads) ||
          v->dims[1] != a->key_heads))) {
        return refuse(operation, "the numbers of heads do not fit", error);
    }
    a->batch = q->dims[0];
    a->queries = q->dims[sequence];
    a->keys = k->dims[sequence];
    if (k->dims[0] != a->batch || v->dims[0] != a->batch || v->dims[sequence] != a->keys) {
        return refuse(operation, "batches or lengths of queries, keys and values differ", error);
    }
    const int64_t q_width = q->dims[sequence + 1], k_width = k->dims[sequence + 1];
    const int64_t v_width = v->dims[sequence + 1];
    if (a->is_flat &&
        (q_width % a->heads != 0 || k_width % a->key_heads != 0 || v_width % a->key_heads != 0)) {
        return refuse(operation, "the heads do not divide the widths", error);
    }
    a->query_width = a->is_flat ? q_width / a->heads : q_width;
    a->value_width = a->is_flat ? v_width / a->key_heads : v_width;
    if (a->query_width < 1 || a->value_width < 1 ||
        a->query_width != (a->is_flat ? k_width / a->key_heads : k_width)) {
        return refuse(operation, "the widths of queries and keys do not fit", error);
    }
    return HD_OK;
}

static bool is_cache(const hd_operand *operand, const hd_scaled_attention *a, int64_t width)
{
    const hd_shape *shape = &operand->shape;
    return shape->rank == 4 && shape->dims[0] == a->batch && shape->dims[1] == a->key_heads &&
           shape->dims[3] == width;
}

static hd_status read_cache(const hd_operation *operation, hd_scaled_attention *a, hd_error *error)
{
    const bool has_past = hd_operation_has(operation, 4),
               has_lengths = hd_operation_has(operation, 6);
    if (has_past != hd_operation_has(operation, 5) || (has_past && has_lengths)) {
        return refuse(operation, "past keys and values go together, and not with numbers of keys",
                      error);
    }
    if (has_past) {
        const hd_operand *key = &operation->inputs[4], *value = &operation->inputs[5];
        if (!is_cache(key, a, a->query_width) || !is_cache(value, a, a->value_width) ||
            key->shape.dims[2] != value->shape.dims[2]) {
            return refuse(operation, "the past keys and values do not fit", error);
        }
        a->past = key->shape.dims[2];
        if (__builtin_add_overflow(a->keys, a->past, &a->keys)) {
            return refuse(operation, "there are too many keys", error);
        }
    }
    if (has_lengths &&
        (operation->inputs[6].dtype != HD_INT64 || operation->inputs[6].shape.rank != 1 ||
         operation->inputs[6].shape.dims[0] != a->batch)) {
        return refuse(operation, "there is not one number of keys for each entry", error);
    }
    return HD_OK;
}

/* The mask broadcasts to the scores; along the keys it may be shorter, and hides those behind it. */
static hd_status check_mask(const hd_operation *operation, const hd_scaled_attention *a,
                            hd_error *error)
{
    if (!hd_operation_has(operation, 3)) {
        return HD_OK;
    }
    const hd_operand *mask = &operation->inputs[3];
    const int64_t scores[4] = {a->batch, a->heads, a->queries, a->keys};
    const hd_shape *shape = &mask->shape;
    bool fits = shape->rank >= 1 && shape->rank <= 4 && shape->dims[shape->rank - 1] <= a->keys;
    for (uint32_t i = 0; fits && i + 1 < shape->rank; i++) {
        fits = shape->dims[i] == 1 || shape->dims[i] == scores[4 - shape->rank + i];
    }
    if (!fits) {
        return refuse(operation, "the mask does not fit the scores", error);
    }
    return mask->dtype == HD_BOOL || mask->dtype == operation->inputs[0].dtype
               ? HD_OK
               : hd_operation_fail(operation, error, HD_UNSUPPORTED, "a mask of %s",
                                   hd_dtype_name(mask->dtype));
}

hd_status hd_scaled_attention_resolve(const hd_operation *operation, hd_scaled_attention *a,
                                      hd_error *error)
{
    *a = (hd_scaled_attention){0};
    hd_status status = read_attributes(operation, a, error);
    if (status == HD_OK) {
        status = read_sizes(operation, a, error);
    }
    if (status == HD_OK) {
        status = read_cache(operation, a, error);
    }
    if (status == HD_OK) {
        status = check_mask(operation, a, error);
    }
    if (status != HD_OK) {
        return status;
    }
    a->scale = hd_operation_float(operation, "scale", (float)(1.0 / sqrt((double)a->query_width)));
    return isfinite(a->scale) && a->scale >= 0.0f
               ? HD_OK
               : hd_operation_fail(operation, error, HD_BAD_MODEL, "its scale is no such number");
}
