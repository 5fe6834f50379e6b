/* Function: a model's functions: which one a node calls, what a call costs, what its attributes are.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_ONNX_FUNCTION_H
#define HD_ONNX_FUNCTION_H

#include "onnx/scope.h"

/* Finds a model's functions, before names are resolved. HD_BAD_MODEL: two with one
 * name. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_onnx_functions_find(hd_onnx_resolver *resolver);
/* The function that a node calls; NULL: its operator is none of the model's functions. */
const hd_onnx_function *hd_onnx_function_of(const hd_onnx_resolver *resolver,
                                            const Onnx__NodeProto *node);
/* A call of a function by a node of `scope`, counted towards the limit. HD_UNSUPPORTED: over it, or
 * the function's opset is none of ours. HD_BAD_MODEL: more operands than it has.
 * HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_onnx_call_make(hd_onnx_resolver *resolver,
                                          const hd_onnx_function *function,
                                          const hd_onnx_scope *scope, const Onnx__NodeProto *caller,
                                          hd_onnx_call **out_call);

#endif
