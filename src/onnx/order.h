/* Order: the nodes of a scope in an order in which each stands behind what it reads.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_ONNX_ORDER_H
#define HD_ONNX_ORDER_H

#include "onnx/scope.h"

/* Fills `order` of a scope whose names are resolved. HD_BAD_MODEL: a circle. */
HD_MUST_CHECK hd_status hd_onnx_order(hd_onnx_resolver *resolver, hd_onnx_scope *scope);

#endif
