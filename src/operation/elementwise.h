/* Elementwise: what inference and backends agree on beyond ONNX's newer broadcasting. */
#ifndef HD_OPERATION_ELEMENTWISE_H
#define HD_OPERATION_ELEMENTWISE_H

#include "operation/operation.h"

/* The shape in which input `index` of an elementwise operation broadcasts (as NumPy does): its own,
 * but before opset 7 the second input of Add, Div, Mul, Pow, Sub, And, Or, Xor, Equal, Greater and
 * Less lies at the attribute `axis` of the first, and PRelu's slope at axis 1.
 * False when there is no room for it. */
bool hd_elementwise_shape(const hd_operation *operation, size_t index, hd_shape *out_shape);

#endif
