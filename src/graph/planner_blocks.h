/* Blocks that become parts of a plan (hd_plan_control): the body of a Loop that has one shape for all turns, and
 * the branches of an If within one. Each is planned by a planner of its own, with its inputs' elements not
 * known; where a shape depends on them, or what is carried changes its shape, the block does not become a
 * part, and the Loop is taken apart.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_GRAPH_PLANNER_BLOCKS_H
#define HD_GRAPH_PLANNER_BLOCKS_H

#include "graph/planner.h"

/* Blocks within blocks; deeper ones are taken apart. Planning and running them takes the thread's stack. */
#define HD_BLOCK_DEPTH_LIMIT 16

/* Starts a planner for a block that stands in what `outer` plans; false when out of memory. hd_block_end ends it
 * in any case. error: why the block cannot become a part, for whoever looks at it in a debugger. */
bool hd_block_start(hd_planner *outer, hd_planner *inner, const hd_block *block, hd_error *error);
void hd_block_end(hd_planner *outer, hd_planner *inner);

/* Walks a block to its end. false: it cannot become a part, or further inputs steer it. */
bool hd_block_walk(hd_planner *inner);

/* Makes the plan of a block that has been walked, whose outputs are `count` values; NULL when that fails. */
hd_plan *hd_block_plan(hd_planner *inner, const hd_value *values, size_t count);

/* A new tensor that only a part writes; HD_TENSOR_NONE when out of memory. */
hd_tensor_id hd_planner_new_result(hd_planner *planner, hd_dtype dtype, const hd_shape *shape);
/* The memory that a part's blocks take, one at a time; HD_TENSOR_NONE when out of memory. */
hd_tensor_id hd_planner_new_memory(hd_planner *planner, const hd_plan_control *control);

/* Appends the node that stands for a part. NULL when out of memory, also when one of the outputs is
 * HD_TENSOR_NONE. */
hd_plan_node *hd_planner_new_part(hd_planner *planner, hd_plan_control *control,
                                  const hd_tensor_id *inputs, size_t input_count,
                                  const hd_tensor_id *outputs, size_t output_count);

#endif
