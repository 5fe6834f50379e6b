/* Matrix: types and shapes of the operators of this family. */
#include <math.h>

#include "graph/ops/inference.h"
#include "operation/einsum.h"
#include "operation/fused.h"

static hd_infer_result fail_shapes(hd_operation *operation, hd_error *error, const hd_shape *a,
                                   const hd_shape *b)
{
    char first[96], second[96];
    hd_operation_fail(operation, error, HD_INVALID_ARGUMENT, "shapes %s and %s do not multiply",
                      hd_shape_text(a, first, sizeof first),
                      hd_shape_text(b, second, sizeof second));
    return HD_INFER_FAILED;
}

static bool same_types(hd_operation *operation, hd_error *error)
{
    for (size_t i = 1; i < operation->input_count; i++) {
        if (hd_operation_has(operation, i) &&
            operation->inputs[i].dtype != operation->inputs[0].dtype) {
            hd_operation_fail(operation, error, HD_BAD_MODEL, "inputs 0 and %zu are %s and %s", i,
                              hd_dtype_name(operation->inputs[0].dtype),
                              hd_dtype_name(operation->inputs[i].dtype));
            return false;
        }
    }
    return true;
}

/* numpy.matmul: a vector on the left is a row, on the right a column, and its 1 is dropped
 * again. */
hd_infer_result hd_infer_matmul(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_shape *a = &operation->inputs[0].shape;
    const hd_shape *b = &operation->inputs[1].shape;
    if (!same_types(operation, error)) {
        return HD_INFER_FAILED;
    }
    if (a->rank == 0 || b->rank == 0 ||
        a->dims[a->rank - 1] != b->dims[b->rank == 1 ? 0 : b->rank - 2]) {
        return fail_shapes(operation, error, a, b);
    }
    hd_shape batch_a = {.rank = a->rank > 2 ? a->rank - 2 : 0};
    hd_shape batch_b = {.rank = b->rank > 2 ? b->rank - 2 : 0};
    for (uint32_t i = 0; i < batch_a.rank; i++) {
        batch_a.dims[i] = a->dims[i];
    }
    for (uint32_t i = 0; i < batch_b.rank; i++) {
        batch_b.dims[i] = b->dims[i];
    }
    hd_shape shape;
    if (!hd_shape_broadcast(&batch_a, &batch_b, &shape)) {
        return fail_shapes(operation, error, a, b);
    }
    if (a->rank > 1) {
        shape.dims[shape.rank++] = a->dims[a->rank - 2];
    }
    if (b->rank > 1) {
        shape.dims[shape.rank++] = b->dims[b->rank - 1];
    }
    operation->outputs[0].dtype = operation->inputs[0].dtype;
    operation->outputs[0].shape = shape;
    return HD_INFER_DONE;
}

/* Before opset 7 C is broadcast only where the attribute `broadcast` says so; it is read as
 * later. */
hd_infer_result hd_infer_gemm(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_shape *a = &operation->inputs[0].shape;
    const hd_shape *b = &operation->inputs[1].shape;
    if (!same_types(operation, error)) {
        return HD_INFER_FAILED;
    }
    bool trans_a = hd_operation_int(operation, "transA", 0) != 0;
    bool trans_b = hd_operation_int(operation, "transB", 0) != 0;
    if (a->rank != 2 || b->rank != 2 || a->dims[trans_a ? 0 : 1] != b->dims[trans_b ? 1 : 0]) {
        return fail_shapes(operation, error, a, b);
    }
    hd_shape shape = {.rank = 2, .dims = {a->dims[trans_a ? 1 : 0], b->dims[trans_b ? 0 : 1]}};
    if (hd_operation_has(operation, 2)) {
        hd_shape both;
        if (!hd_shape_broadcast(&operation->inputs[2].shape, &shape, &both) ||
            !hd_shape_equal(&both, &shape)) {
            char first[96], second[96];
            hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                              "C of shape %s does not broadcast to %s",
                              hd_shape_text(&operation->inputs[2].shape, first, sizeof first),
                              hd_shape_text(&shape, second, sizeof second));
            return HD_INFER_FAILED;
        }
    }
    operation->outputs[0].dtype = operation->inputs[0].dtype;
    operation->outputs[0].shape = shape;
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_linear(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_shape *x = &operation->inputs[0].shape;
    const hd_shape *w = &operation->inputs[1].shape;
    if (!same_types(operation, error)) {
        return HD_INFER_FAILED;
    }
    if (!hd_operation_is_fused(operation, HD_OP_HEDDLE_LINEAR)) {
        hd_operation_fail(operation, error, HD_INTERNAL, "it has no parameters");
        return HD_INFER_FAILED;
    }
    bool transposed = hd_operation_int(operation, "transB", 0) != 0;
    if (x->rank == 0 || w->rank != 2 || x->dims[x->rank - 1] != w->dims[transposed ? 1 : 0]) {
        return fail_shapes(operation, error, x, w);
    }
    hd_shape shape = *x;
    shape.dims[shape.rank - 1] = w->dims[transposed ? 0 : 1];
    const int64_t columns = shape.dims[shape.rank - 1];
    if ((hd_operation_has(operation, 2) &&
         hd_shape_count(&operation->inputs[2].shape) != columns) ||
        (hd_operation_has(operation, 3) && !hd_shape_equal(&operation->inputs[3].shape, &shape))) {
        hd_operation_fail(operation, error, HD_INVALID_ARGUMENT, "bias or residual does not fit");
        return HD_INFER_FAILED;
    }
    operation->outputs[0].dtype = operation->inputs[0].dtype;
    operation->outputs[0].shape = shape;
    return HD_INFER_DONE;
}

static bool attention_fits(const hd_operation *operation)
{
    const hd_shape *q = &operation->inputs[0].shape;
    const hd_shape *k = &operation->inputs[1].shape;
    const hd_shape *v = &operation->inputs[2].shape;
    if (!hd_operation_is_fused(operation, HD_OP_HEDDLE_ATTENTION)) {
        return false;
    }
    const hd_fused_attention *fused = &operation->fused->attention;
    if (fused->heads < 1 || !isfinite(fused->scale) || fused->scale == 0.0f || q->rank != 3 ||
        k->rank != 3 || v->rank != 3 || q->dims[0] != k->dims[0] || q->dims[0] != v->dims[0] ||
        k->dims[1] != v->dims[1] || q->dims[2] != k->dims[2] || q->dims[2] % fused->heads != 0 ||
        v->dims[2] % fused->heads != 0) {
        return false;
    }
    if (!hd_operation_has(operation, 3)) {
        return true;
    }
    hd_shape scores = {.rank = 4, .dims = {q->dims[0], fused->heads, q->dims[1], k->dims[1]}}, both;
    const hd_shape *mask = &operation->inputs[3].shape;
    return mask->rank == 4 && hd_shape_broadcast(mask, &scores, &both) &&
           hd_shape_equal(&both, &scores);
}

hd_infer_result hd_infer_attention(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    if (!same_types(operation, error)) {
        return HD_INFER_FAILED;
    }
    if (!attention_fits(operation)) {
        hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                          "queries, keys, values, mask and number of heads do not fit");
        return HD_INFER_FAILED;
    }
    operation->outputs[0].dtype = operation->inputs[0].dtype;
    operation->outputs[0].shape = operation->inputs[0].shape;
    operation->outputs[0].shape.dims[2] = operation->inputs[2].shape.dims[2];
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_einsum(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    hd_einsum einsum;
    hd_region region = {0};
    bool is_read = same_types(operation, error) &&
                   hd_einsum_resolve(operation, &region, &einsum, error) == HD_OK;
    hd_region_clear(&region);
    if (!is_read) {
        return HD_INFER_FAILED;
    }
    hd_shape *shape = &operation->outputs[0].shape;
    shape->rank = einsum.output_rank;
    for (uint32_t i = 0; i < shape->rank; i++) {
        shape->dims[i] = einsum.sizes[i];
    }
    operation->outputs[0].dtype = operation->inputs[0].dtype;
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_det(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_shape *shape = &operation->inputs[0].shape;
    if (shape->rank < 2 || shape->dims[shape->rank - 1] != shape->dims[shape->rank - 2]) {
        char text[96];
        hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                          "shape %s is not one of square matrices",
                          hd_shape_text(shape, text, sizeof text));
        return HD_INFER_FAILED;
    }
    operation->outputs[0].dtype = operation->inputs[0].dtype;
    operation->outputs[0].shape = *shape;
    operation->outputs[0].shape.rank -= 2;
    return HD_INFER_DONE;
}
