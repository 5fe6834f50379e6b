/* Plan constants: has the device's steps of a plan read constants from the device's own memory: the model's copies, and
 * what the plan folded, which goes there in one block. Where the device is the host this does nothing.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_GRAPH_PLAN_CONSTANTS_H
#define HD_GRAPH_PLAN_CONSTANTS_H

#include "graph/planner.h"

/* After the plan's references are listed. The block is the plan's. HD_OUT_OF_MEMORY, HD_LOST. */
HD_MUST_CHECK hd_status hd_plan_copy_constants(const hd_planner *planner, hd_plan *plan);

/* Behind that, when all of the plan's references are made: drops what only the device reads. Of a plan that another one may
 * follow, or that has blocks, nothing is dropped: planning goes on with the elements, and blocks read them. */
void hd_plan_drop_folds(hd_planner *planner, hd_plan *plan);

#endif
