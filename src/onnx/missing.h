/* Missing: the operators of a file that Heddle does not have, all of them at once.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_ONNX_MISSING_H
#define HD_ONNX_MISSING_H

#include "onnx/scope.h"

/* HD_UNSUPPORTED where nodes that an output needs, in the root, inner graphs and calls, have operators
 * that there are none of: the sentence names domain and type of each, how many nodes have it, and
 * the first of these. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_onnx_check_operators(const hd_onnx_scope *root, hd_error *error);

/* Whether there is an operator of the node's domain and type. */
bool hd_onnx_has_operator(const Onnx__NodeProto *node);

#endif
