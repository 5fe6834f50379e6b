/* Constant: what a node `Constant` holds.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_ONNX_CONSTANT_H
#define HD_ONNX_CONSTANT_H

#include "onnx/elements.h"
#include "onnx/scope.h"

/* The attribute that is its value, of the kind that its name says. HD_BAD_MODEL, HD_UNSUPPORTED. */
HD_MUST_CHECK hd_status hd_onnx_constant_find(const hd_onnx_scope *scope,
                                              const Onnx__NodeProto *node,
                                              const Onnx__AttributeProto **out, hd_error *error);

/* Its elements: a tensor, a number, a text, or a list of these. As hd_onnx_elements_read. */
HD_MUST_CHECK hd_status hd_onnx_constant_read(const hd_onnx_origin *origin,
                                              const Onnx__NodeProto *node,
                                              const Onnx__AttributeProto *value, hd_tensor *out,
                                              hd_error *error);

#endif
