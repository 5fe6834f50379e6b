/* Inference of what classical models are written out in: "heddle.Trees", "heddle.Scores" (operation/fused.h). */
#include "graph/ops/inference.h"
#include "operation/forest.h"
#include "operation/lookup.h"
#include "operation/scores.h"
#include "operation/votes.h"

hd_infer_result hd_infer_trees(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    const hd_operand *rows = &operation->inputs[0], *block = &operation->inputs[1];
    if (block->data == NULL) {
        *needed_input = 1;
        return HD_INFER_NEEDS_VALUE;
    }
    const hd_forest *forest = block->data;
    const uint32_t rank = rows->shape.rank;
    if (rows->dtype != HD_FLOAT32 && rows->dtype != HD_FLOAT64 && rows->dtype != HD_INT32 &&
        rows->dtype != HD_INT64) {
        hd_operation_fail(operation, error, HD_UNSUPPORTED, "rows are %s",
                          hd_dtype_name(rows->dtype));
        return HD_INFER_FAILED;
    }
    if (rank < 1 || rank > 2 || rows->shape.dims[rank - 1] < 1 ||
        rows->shape.dims[rank - 1] < (int64_t)forest->feature_count) {
        hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                          "rows of shape %s; its trees read %u columns",
                          hd_shape_text(&rows->shape, (char[128]){0}, 128), forest->feature_count);
        return HD_INFER_FAILED;
    }
    operation->outputs[0].dtype =
        forest->keeps_type && rows->dtype == HD_FLOAT64 ? HD_FLOAT64 : HD_FLOAT32;
    operation->outputs[0].shape =
        (hd_shape){.rank = 2, .dims = {rank == 1 ? 1 : rows->shape.dims[0], forest->target_count}};
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_lookup(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_operand *elements = &operation->inputs[0], *keys = &operation->inputs[1];
    if (elements->dtype != keys->dtype || !hd_lookup_takes(keys->dtype) || keys->shape.rank != 1) {
        hd_operation_fail(operation, error, HD_BAD_MODEL, "it looks for %s among keys of %s",
                          hd_dtype_name(elements->dtype), hd_dtype_name(keys->dtype));
        return HD_INFER_FAILED;
    }
    operation->outputs[0].dtype = HD_INT64;
    operation->outputs[0].shape = elements->shape;
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_scores(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    const hd_operand *raw = &operation->inputs[0], *block = &operation->inputs[1];
    if (block->data == NULL) {
        *needed_input = 1;
        return HD_INFER_NEEDS_VALUE;
    }
    const hd_scores *rule = block->data;
    if (raw->dtype != HD_FLOAT32 || raw->shape.rank != 2 ||
        raw->shape.dims[1] != rule->column_count) {
        hd_operation_fail(
            operation, error, HD_INVALID_ARGUMENT, "scores of shape %s, not of %lld columns",
            hd_shape_text(&raw->shape, (char[128]){0}, 128), (long long)rule->column_count);
        return HD_INFER_FAILED;
    }
    const int64_t columns = rule->form == HD_SCORES_AS_THEY_ARE ? rule->column_count : 2;
    operation->outputs[0].dtype = HD_INT64;
    operation->outputs[0].shape = (hd_shape){.rank = 1, .dims = {raw->shape.dims[0]}};
    operation->outputs[1].dtype = HD_FLOAT32;
    operation->outputs[1].shape = (hd_shape){.rank = 2, .dims = {raw->shape.dims[0], columns}};
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_votes(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    const hd_operand *sums = &operation->inputs[0], *block = &operation->inputs[1];
    if (block->data == NULL) {
        *needed_input = 1;
        return HD_INFER_NEEDS_VALUE;
    }
    const hd_votes *rule = block->data;
    const int64_t pairs = hd_votes_pairs(rule->class_count);
    if (sums->dtype != HD_FLOAT32 || sums->shape.rank != 2 || sums->shape.dims[1] != pairs) {
        hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                          "sums of shape %s, not of %lld pairs",
                          hd_shape_text(&sums->shape, (char[128]){0}, 128), (long long)pairs);
        return HD_INFER_FAILED;
    }
    const bool is_by_class = rule->has_probabilities != 0 || rule->class_count == 2;
    operation->outputs[0].dtype = HD_INT64;
    operation->outputs[0].shape = (hd_shape){.rank = 1, .dims = {sums->shape.dims[0]}};
    operation->outputs[1].dtype = HD_FLOAT32;
    operation->outputs[1].shape = (hd_shape){
        .rank = 2, .dims = {sums->shape.dims[0], is_by_class ? rule->class_count : pairs}};
    return HD_INFER_DONE;
}
