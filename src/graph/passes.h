/* Passes: what is done to the nodes that the planner has collected, before they are compiled. A pass replaces nodes by one
 * that computes the same, and keeps who reads and who writes each tensor true (hd_planner_replace), or appends nodes and
 * has that found out anew (hd_planner_count_uses).
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_GRAPH_PASSES_H
#define HD_GRAPH_PASSES_H

#include "graph/planner.h"

/* In the order in which hd_planner_optimize runs them; false when out of memory. The files say what each does. */
bool hd_fuse_activations(hd_planner *planner);
bool hd_fuse_norms(hd_planner *planner);
bool hd_fuse_attention(hd_planner *planner);
bool hd_fuse_linear(hd_planner *planner);
bool hd_choose_layouts(hd_planner *planner);
bool hd_fuse_convolution(hd_planner *planner);
bool hd_fuse_turns(hd_planner *planner);
bool hd_fuse_repeats(hd_planner *planner);
bool hd_fuse_elementwise(hd_planner *planner);

/* Puts a step before each node of the segment whose indices are not known yet (index_checks.h), and lists in
 * plan->checks where these steps write; after the others, lest one take the step for a reader of what it fuses. */
bool hd_add_index_checks(hd_planner *planner, hd_plan *plan);

#endif
