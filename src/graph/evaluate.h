/* Evaluate: runs one operation at once on the calling thread, for folding constants. */
#ifndef HD_GRAPH_EVALUATE_H
#define HD_GRAPH_EVALUATE_H

#include "operation/operation.h"

/* Computes an operation all of whose inputs' data is known (or not read). Outputs' dtypes and shapes
 * are inferred; where they depend on the elements, the true shapes take the place of the largest ones.
 * Each wanted output gets its elements in outputs[i].data, from hd_alloc_aligned, the caller's on
 * success. HD_UNSUPPORTED without a kernel; HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_evaluate(hd_operation *operation, hd_error *error);

#endif
