/* Memory plan: the end of planning: kernels, the place of each tensor in the arena, steps and their references.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_GRAPH_MEMORY_PLAN_H
#define HD_GRAPH_MEMORY_PLAN_H

#include "graph/planner.h"

/* Compiles the nodes' kernels, gives every tensor its place and lists the plan's steps. HD_UNSUPPORTED: a node without
 * a kernel, or a run would pass its budget. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_planner_finish(hd_planner *planner, hd_plan *plan);

#endif
