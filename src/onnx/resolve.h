/* Resolve: finds for each name of a file what it means (scope.h).
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_ONNX_RESOLVE_H
#define HD_ONNX_RESOLVE_H

#include "onnx/scope.h"

/* Resolves all names of the model's graph. HD_BAD_MODEL names node and tensor: a name that nothing
 * defines, one defined twice, nodes in a circle. HD_UNSUPPORTED, HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_onnx_resolve(hd_onnx_resolver *resolver, hd_onnx_scope **out_root);

#endif
