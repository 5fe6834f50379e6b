/* Precision: which tensors of a plan a device keeps as halves.
 *
 * Thread-safety: one thread at a time a planner. */
#ifndef HD_GRAPH_PRECISION_H
#define HD_GRAPH_PRECISION_H

#include "graph/planner.h"

/* Behind placement, uses counted; they are afterwards. false: out of memory. */
bool hd_choose_precision(hd_planner *planner);

#endif
