/* Rows: whether the entries of a batch are independent, so that requests may be stacked along dimension 0
 * and every caller still gets the bits of a run alone (BITS).
 *
 * The proof compares two walks of one graph, for one row and for `count` rows. They must have the same
 * nodes over the same operands, and each tensor is either uniform (the same elements in both) or stacked:
 * in one dimension `count` times as large, row r being the r-th of `count` equal blocks along it. Inputs are
 * stacked along dimension 0; what was folded is compared element by element, so that a value which
 * depends on the batch's size is found; and row_rules.c says of each operator whether it maps rows to
 * rows. Together with BITS (an element's bits depend on neither the number of rows nor its place) the
 * r-th row of every wanted output is what a run of row r alone gives.
 *
 * Thread-safety: any thread. */
#ifndef HD_GRAPH_ROWS_H
#define HD_GRAPH_ROWS_H

#include "graph/planner.h"

/* How a tensor of the walk over `count` rows relates to that over one. */
typedef enum hd_row_kind {
    HD_ROWS_UNIFORM,
    HD_ROWS_STACKED,
    HD_ROWS_DIFFERENT /* known, and neither: a target shape, for instance */
} hd_row_kind;

typedef struct hd_row_state {
    hd_row_kind kind;
    uint32_t axis; /* STACKED: the dimension that holds the rows */
} hd_row_state;

/* One node in both walks. Left out operands are uniform. */
typedef struct hd_row_node {
    const hd_operation *one;
    const hd_operation *many;
    int64_t count;
    const hd_row_state *inputs;
} hd_row_node;

/* Proves that a run of `count` (>= 2) stacked rows is a run of each. row_shapes: one a model input, with
 * dims[0] = 1; wanted: one a model output. HD_OK: proven. HD_UNSUPPORTED: not; the sentence names the
 * node and the reason. HD_INVALID_ARGUMENT, HD_BAD_MODEL: no run of such shapes. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_model_prove_rows(const struct hd_model *model, const hd_shape *row_shapes,
                                            const bool *wanted, int64_t count, hd_error *error);

/* The dimension in which `many` is `count` times `one`, all others being equal; HD_MAX_RANK when they
 * are equal, HD_MAX_RANK + 1 when it is neither. */
uint32_t hd_rows_axis(const hd_shape *one, const hd_shape *many, int64_t count);

/* NULL when output `index` of a node with a stacked or different input is stacked along `axis`, given
 * that its shape is; else the reason why that is not known. */
const char *hd_row_rule(const hd_row_node *node, size_t index, uint32_t axis);

#endif
