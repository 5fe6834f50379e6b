/* What quantized operators are made of: a number q of scale s and zero point z stands for (q - z) · s. Both ways are
 * elementwise, so that a chain of them is one pass.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_GRAPH_EXPANSIONS_QUANTIZED_PARTS_H
#define HD_GRAPH_EXPANSIONS_QUANTIZED_PARTS_H

#include "graph/expansions/parts.h"

/* (x - zero) as float32; zero: HD_VALUE_NONE for 0. */
hd_value hd_expand_centered(hd_expansion *e, hd_value x, hd_value zero);
/* (x - zero) · scale, of one scale and zero point, which may be HD_VALUE_NONE. */
hd_value hd_expand_dequantize(hd_expansion *e, hd_value x, hd_value scale, hd_value zero);
/* ONNX's QuantizeLinear with one scale, to the zero point's type; HD_VALUE_NONE: to uint8. */
hd_value hd_expand_quantize(hd_expansion *e, hd_value x, hd_value scale, hd_value zero);

/* a · b as float32 with the scales a_scale (a number) and b_scale (a number or one a column); zero points and the bias
 * HD_VALUE_NONE where there are none. */
hd_value hd_expand_integer_product(hd_expansion *e, hd_value a, hd_value b, hd_value a_scale,
                                   hd_value b_scale, hd_value a_zero, hd_value b_zero,
                                   hd_value bias);

#endif
