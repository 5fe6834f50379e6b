/* Declaration: what a file says of an input's or output's type and shape.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_ONNX_DECLARATION_H
#define HD_ONNX_DECLARATION_H

#include "graph/graph.h"
#include "onnx.pb-c.h"

typedef enum hd_onnx_type_need { HD_ONNX_TYPE_OPTIONAL, HD_ONNX_TYPE_NEEDED } hd_onnx_type_need;

/* Sets dtype, shape and dimension names of a value. A dimension of -1, 0 or "?", or left out, is
 * unknown, each its own. `declaration` may be NULL unless the type is needed. The message does
 * not name the value. HD_UNSUPPORTED: it is no tensor, or of a type or rank that is none of
 * ours.
 * HD_BAD_MODEL: no type, or the size overflows. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_onnx_declare(hd_graph *graph, hd_value value,
                                        const Onnx__ValueInfoProto *declaration,
                                        hd_onnx_type_need need, hd_error *error);

#endif
