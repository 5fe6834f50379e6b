/* Operator id: which operator an operation is, as a number, so that nobody compares names once a graph is built.
 *
 * Thread-safety: immutable. */
#ifndef HD_OPERATION_OPERATOR_ID_H
#define HD_OPERATION_OPERATOR_ID_H

#include <stdbool.h>

/* In the order of their names; those that only passes make, "heddle.…", are the last. */
typedef enum hd_operator_id {
    HD_OP_NONE,
#define HD_OPERATOR(id, name, ...) HD_OP_##id,
#include "operation/operators.inc"
    HD_OP_COUNT,
    HD_OP_FIRST_INTERNAL = HD_OP_HEDDLE_ATTENTION
} hd_operator_id;

/* ONNX's name of the operator, or "heddle.…": a constant. */
const char *hd_operator_name(hd_operator_id id);

/* HD_OP_NONE: there is no operator of this name. */
hd_operator_id hd_operator_lookup(const char *name);

/* A "heddle.…" operation, which passes make and no graph may have. */
static inline bool hd_operator_is_internal(hd_operator_id id)
{
    return id >= HD_OP_FIRST_INTERNAL;
}

#endif
