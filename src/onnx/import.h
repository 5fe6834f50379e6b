/* Import: the scopes of a file, with all names resolved, become a graph.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_ONNX_IMPORT_H
#define HD_ONNX_IMPORT_H

#include "graph/graph.h"
#include "onnx/elements.h"
#include "onnx/scope.h"

/* Adds the root scope's inputs, needed nodes and outputs to an empty graph, reading each tensor
 * once where a node first uses it. On failure the graph is half filled, to be destroyed.
 * HD_UNSUPPORTED names node and operator, or all operators that are missing; HD_BAD_MODEL,
 * HD_OUT_OF_MEMORY, HD_IO. */
HD_MUST_CHECK hd_status hd_onnx_import(const hd_onnx_origin *origin, hd_onnx_scope *root,
                                       hd_graph *graph, hd_error *error);

#endif
