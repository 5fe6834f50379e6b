/* Graph narrow: at a model's border elements of less than 8 bits are packed, as an hd_tensor has them; values of the graph take a byte
 * an element.
 *
 * Thread-safety: works on a graph that no other thread uses. */
#ifndef HD_GRAPH_GRAPH_NARROW_H
#define HD_GRAPH_GRAPH_NARROW_H

#include "graph/graph.h"

/* Puts "heddle.UnpackNarrow" behind each such input; outputs are packed when a run delivers them (plan_replay.h). Done once, when a
 * model is loaded, before anything else. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_graph_unpack_inputs(hd_graph *graph, hd_error *error);

#endif
