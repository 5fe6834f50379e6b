/* Plan parts: the steps of a plan among which parts stand that run blocks (hd_plan_control), as a list of parts.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_GRAPH_PLAN_PARTS_H
#define HD_GRAPH_PLAN_PARTS_H

#include "graph/planner.h"

/* Takes a plan's steps apart where parts stand among them, as steps without a kernel: sets plan->parts. */
HD_MUST_CHECK hd_status hd_planner_list_parts(hd_planner *planner, hd_plan *plan);

#endif
