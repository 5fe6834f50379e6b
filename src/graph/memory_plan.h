/* Memory plan: from when to when each tensor of a plan is needed, and where it lies in the arena. Tensors that are
 * needed at the same time do not overlap, but for an output that its kernel writes in place of a dying input.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_GRAPH_MEMORY_PLAN_H
#define HD_GRAPH_MEMORY_PLAN_H

#include "graph/planner.h"

/* Whether it lies in the arena; of this segment, or alive when it begins. */
bool hd_plan_tensor_is_in_arena(const hd_plan_tensor *tensor);

/* Gives every tensor of `place` its offset in that place's arena, once the plan's kernels are compiled.
 * HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_planner_plan_memory(hd_planner *planner, hd_plan *plan,
                                               hd_memory_place place);

#endif
