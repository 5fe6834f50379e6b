/* Index checks: that the indices of Gather and its like lie within the axes they go by. Kernels cannot fail,
 * and count an index outside as the nearest one (SAFE); so known indices are checked while a plan is made,
 * and for others the plan gets a step that looks at them and says what it found when the steps are done.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_GRAPH_INDEX_CHECKS_H
#define HD_GRAPH_INDEX_CHECKS_H

#include "graph/plan.h"
#include "operation/fused.h"

/* Which input of an operation is its indices, where it has any. */
size_t hd_index_check_input(const hd_operation *operation);

/* What bounds the indices of an operation; false: it has none, or nothing bounds them. */
bool hd_index_check_bounds(const hd_operation *operation, hd_fused_index_check *out);

/* The indices of an operation are within bounds where they are known, or it has none.
 * HD_INVALID_ARGUMENT names the one that is not. The operation's inference has succeeded. */
HD_MUST_CHECK hd_status hd_index_check_known(const hd_operation *operation, hd_error *error);

/* Fails as hd_index_check_known does if a step of the plan has found an index outside. */
HD_MUST_CHECK hd_status hd_plan_read_checks(const hd_plan *plan, const hd_list_memory *memory,
                                            hd_error *error);

#endif
