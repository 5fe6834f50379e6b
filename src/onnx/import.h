/* Import: the scopes of a file, with all names resolved, become a graph.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_ONNX_IMPORT_H
#define HD_ONNX_IMPORT_H

#include "graph/graph.h"
#include "onnx/elements.h"
#include "onnx/scope.h"

/* Who is told of each node that cannot be imported, each input and output (node NULL); what reads its outputs goes on.
 * False: no more of it, there is no memory. */
typedef struct hd_onnx_listener {
    bool (*tell)(void *context, const Onnx__NodeProto *node, const hd_error *error);
    void *context;
} hd_onnx_listener;

/* What is told of a node without an operator. */
#define HD_ONNX_NO_OPERATOR "there is no such operator"

/* Adds the root scope's inputs, needed nodes and outputs to an empty graph, reading each tensor
 * once where a node first uses it. listener: NULL, or who is told of what fails, but for memory. On failure the graph is half filled, to be destroyed.
 * HD_UNSUPPORTED names node and operator, or all operators that are missing; HD_BAD_MODEL,
 * HD_OUT_OF_MEMORY, HD_IO. */
HD_MUST_CHECK hd_status hd_onnx_import(const hd_onnx_origin *origin, hd_onnx_scope *root,
                                       hd_graph *graph, const hd_onnx_listener *listener,
                                       hd_error *error);

#endif
