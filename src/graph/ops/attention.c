/* ONNX's attention: types and shapes. */
#include "graph/ops/inference.h"
#include "operation/linear_attention.h"
#include "operation/scaled_attention.h"

hd_infer_result hd_infer_linear_attention(hd_operation *operation, size_t *needed_input,
                                          hd_error *error)
{
    (void)needed_input;
    hd_linear_attention a;
    if (hd_linear_attention_resolve(operation, &a, error) != HD_OK) {
        return HD_INFER_FAILED;
    }
    const hd_shape shapes[2] = {
        {.rank = 3, .dims = {a.batch, a.length}},
        {.rank = 4, .dims = {a.batch, a.state_heads, a.key_width, a.value_width}},
    };
    for (size_t i = 0; i < operation->output_count && i < 2; i++) {
        operation->outputs[i].dtype = operation->inputs[0].dtype;
        operation->outputs[i].shape = shapes[i];
    }
    if (__builtin_mul_overflow(a.heads, a.value_width, &operation->outputs[0].shape.dims[2])) {
        hd_operation_fail(operation, error, HD_INVALID_ARGUMENT, "its output is too large");
        return HD_INFER_FAILED;
    }
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_scaled_attention(hd_operation *operation, size_t *needed_input,
                                          hd_error *error)
{
    (void)needed_input;
    hd_scaled_attention a;
    if (hd_scaled_attention_resolve(operation, &a, error) != HD_OK) {
        return HD_INFER_FAILED;
    }
    const hd_dtype dtype = operation->inputs[0].dtype, value_dtype = operation->inputs[2].dtype;
    if (operation->inputs[1].dtype != dtype ||
        (hd_operation_has(operation, 4) &&
         (operation->inputs[4].dtype != dtype || operation->inputs[5].dtype != value_dtype))) {
        hd_operation_fail(operation, error, HD_BAD_MODEL,
                          "the types of queries, keys, values and their past do not fit");
        return HD_INFER_FAILED;
    }
    const hd_shape shapes[4] = {
        a.is_flat ? (hd_shape){.rank = 3}
                  : (hd_shape){.rank = 4, .dims = {a.batch, a.heads, a.queries, a.value_width}},
        {.rank = 4, .dims = {a.batch, a.key_heads, a.keys, a.query_width}},
        {.rank = 4, .dims = {a.batch, a.key_heads, a.keys, a.value_width}},
        {.rank = 4, .dims = {a.batch, a.heads, a.queries, a.keys}},
    };
    for (size_t i = 0; i < operation->output_count && i < 4; i++) {
        operation->outputs[i].dtype = i == 2 ? value_dtype : dtype;
        operation->outputs[i].shape = shapes[i];
    }
    if (a.is_flat) {
        hd_shape *y = &operation->outputs[0].shape;
        y->dims[0] = a.batch;
        y->dims[1] = a.queries;
        if (__builtin_mul_overflow(a.heads, a.value_width, &y->dims[2])) {
            hd_operation_fail(operation, error, HD_INVALID_ARGUMENT, "its output is too large");
            return HD_INFER_FAILED;
        }
    }
    return HD_INFER_DONE;
}
