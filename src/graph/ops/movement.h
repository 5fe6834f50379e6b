/* Movement: what the inference of operators that move elements shares. Views give the input's bytes
 * another shape; arrangers put elements elsewhere; makers take no elements from an input. */
#ifndef HD_GRAPH_OPS_MOVEMENT_H
#define HD_GRAPH_OPS_MOVEMENT_H

#include "graph/ops/inference.h"

/* Answers that the shape depends on input `index`. */
static inline hd_infer_result hd_infer_need(size_t index, size_t *needed_input)
{
    *needed_input = index;
    return HD_INFER_NEEDS_VALUE;
}

/* Rejects the operation with one sentence. */
static inline hd_infer_result hd_infer_reject(const hd_operation *operation, hd_error *error,
                                              const char *sentence)
{
    hd_operation_fail(operation, error, HD_INVALID_ARGUMENT, "%s", sentence);
    return HD_INFER_FAILED;
}

/* A list of integers that is an input or an attribute must be one of these. */
static inline bool hd_infer_is_index(const hd_operand *operand)
{
    return operand->dtype == HD_INT64 || operand->dtype == HD_INT32;
}

#endif
