/* Index checks: that the indices of Gather and its like lie within the axes they go by. Kernels cannot fail,
 * and count an index outside as the nearest one (SAFE); so known indices are checked while a plan is made,
 * and for others the plan gets a step that looks at them and says what it found when the steps are done.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_GRAPH_INDEX_CHECKS_H
#define HD_GRAPH_INDEX_CHECKS_H

#include "graph/planner.h"

/* The indices of an operation are within bounds where they are known, or it has none.
 * HD_INVALID_ARGUMENT names the one that is not. The operation's inference has succeeded. */
HD_MUST_CHECK hd_status hd_index_check_known(const hd_operation *operation, hd_error *error);

/* Puts a step before each node of the segment whose indices are not known yet, and lists in plan->checks
 * where these steps write; after the passes, lest one take the step for a reader of what it fuses. */
HD_MUST_CHECK hd_status hd_planner_add_index_checks(hd_planner *planner, hd_plan *plan);

/* Fails as hd_index_check_known does if a step of the plan has found an index outside. */
HD_MUST_CHECK hd_status hd_plan_read_checks(const hd_plan *plan, unsigned char *arena, hd_error *error);

#endif
