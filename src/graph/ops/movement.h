/* Movement: inference functions of the operators that move elements, for the family's table.
 * Views give the input's bytes another shape; arrangers put elements elsewhere; makers take no
 * elements from an input. */
#ifndef HD_GRAPH_OPS_MOVEMENT_H
#define HD_GRAPH_OPS_MOVEMENT_H

#include "graph/operator.h"

/* graph/ops/movement_view.c */
hd_infer hd_infer_reshape;
hd_infer hd_infer_flatten;
hd_infer hd_infer_squeeze;
hd_infer hd_infer_unsqueeze;
hd_infer hd_infer_dropout;

/* graph/ops/movement_make.c */
hd_infer hd_infer_shape_of;
hd_infer hd_infer_size;
hd_infer hd_infer_constant_of_shape;
hd_infer hd_infer_eye_like;
hd_infer hd_infer_range;

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
