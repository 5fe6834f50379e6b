/* Placement: which nodes of a segment the device computes, and which the host does for it: those that the device does
 * not support, the parts that run blocks, and small integers that come from the host. Where a tensor crosses, a copy
 * stands ("heddle.ToDevice", "heddle.ToHost"), once a segment. What the run itself reads (outputs, values at the end of
 * a segment, extents, what index checks have found) lies with the host.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_GRAPH_PLACEMENT_H
#define HD_GRAPH_PLACEMENT_H

#include "graph/planner.h"

/* Places the nodes, after the passes, and puts the copies between them. */
HD_MUST_CHECK hd_status hd_planner_place(hd_planner *planner);

/* The tensor, or its copy, that lies where the run can read it. */
hd_tensor_id hd_planner_readable(const hd_planner *planner, hd_tensor_id tensor);

#endif
