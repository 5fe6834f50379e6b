/* Quantized operators out of float32 ones between DequantizeLinear and QuantizeLinear. Thread-safety: works on its arguments
 * only. */
#ifndef HD_GRAPH_GRAPH_QUANTIZED_H
#define HD_GRAPH_GRAPH_QUANTIZED_H

#include "graph/graph.h"
#include "hal/backend.h"

/* Fuses those that the unit computes faster so; before constants are folded. Sums are exact then, and rounded once: results may differ by
 * a step of the output's scale from those of the nodes as they are written. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_graph_fuse_quantized(hd_graph *graph, const hd_unit *unit);

#endif
