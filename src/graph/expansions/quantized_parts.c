#include "graph/expansions/quantized_parts.h"

hd_value hd_expand_centered(hd_expansion *e, hd_value x, hd_value zero)
{
    hd_value number = hd_expand_cast(e, x, HD_FLOAT32);
    return zero == HD_VALUE_NONE
               ? number
               : hd_expand_2(e, HD_OP_SUB, number, hd_expand_cast(e, zero, HD_FLOAT32));
}

hd_value hd_expand_dequantize(hd_expansion *e, hd_value x, hd_value scale, hd_value zero)
{
    return hd_expand_3(e, HD_OP_DEQUANTIZE_LINEAR, x, scale, zero);
}

hd_value hd_expand_quantize(hd_expansion *e, hd_value x, hd_value scale, hd_value zero)
{
    return hd_expand_3(e, HD_OP_QUANTIZE_LINEAR, x, scale, zero);
}

hd_value hd_expand_integer_product(hd_expansion *e, hd_value a, hd_value b, hd_value a_scale,
                                   hd_value b_scale, hd_value a_zero, hd_value b_zero,
                                   hd_value bias)
{
    hd_value sum;
    hd_expand_node(e, HD_OP_MATMUL_INTEGER, (hd_value[]){a, b, a_zero, b_zero}, 4, NULL, 0, &sum,
                   1);
    hd_value scale = hd_expand_2(e, HD_OP_MUL, a_scale, b_scale);
    hd_value y = hd_expand_2(e, HD_OP_MUL, hd_expand_cast(e, sum, HD_FLOAT32), scale);
    return bias == HD_VALUE_NONE ? y : hd_expand_2(e, HD_OP_ADD, y, bias);
}
