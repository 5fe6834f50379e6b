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

#include "operation/operation.h"

struct hd_model;

/* Proves that a run of `count` (>= 2) stacked rows is a run of each. row_shapes: one a model input, with
 * dims[0] = 1; wanted: one a model output. HD_OK: proven. HD_UNSUPPORTED: not; the sentence names the
 * node and the reason. HD_INVALID_ARGUMENT, HD_BAD_MODEL: no run of such shapes. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_model_prove_rows(const struct hd_model *model,
                                            const hd_shape *row_shapes, const bool *wanted,
                                            int64_t count, hd_error *error);

#endif
