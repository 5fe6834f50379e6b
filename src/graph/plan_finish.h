/* The end of planning: kernels of the nodes, steps and what they refer to, outputs, boundaries.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_GRAPH_PLAN_FINISH_H
#define HD_GRAPH_PLAN_FINISH_H

#include "graph/planner.h"

/* Compiles the nodes' kernels, gives every tensor its place (memory_plan.h) and lists the plan's steps.
 * HD_UNSUPPORTED: a node without a kernel, or a run would pass its budget. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_planner_finish(hd_planner *planner, hd_plan *plan);

#endif
