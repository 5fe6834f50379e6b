/* Activations of domain com.microsoft (github.com/microsoft/onnxruntime, docs/ContribOperators.md). */
#include "graph/expansion.h"
#include "graph/expansions/expansions.h"

/* y = Gelu(a + b). */
void hd_expand_bias_gelu(hd_expansion *e)
{
    hd_value sum = hd_expand_2(e, HD_OP_ADD, e->inputs[0], e->inputs[1]);
    hd_expand_give(e, 0, hd_expand_1(e, HD_OP_GELU, sum));
}

/* y = Gelu(x). */
void hd_expand_gelu(hd_expansion *e)
{
    hd_expand_give(e, 0, hd_expand_1(e, HD_OP_GELU, e->inputs[0]));
}

/* y = Gelu(x + bias) by tanh; the bias may be left out. */
void hd_expand_fast_gelu(hd_expansion *e)
{
    hd_attribute tanh = {.name = "approximate", .kind = HD_ATTRIBUTE_STRING, .s = "tanh"};
    hd_value x =
        hd_expand_has(e, 1) ? hd_expand_2(e, HD_OP_ADD, e->inputs[0], e->inputs[1]) : e->inputs[0];
    hd_expand_give(e, 0, hd_expand_1_with(e, HD_OP_GELU, x, tanh));
}

/* y = x · sigmoid(alpha · x). */
void hd_expand_quick_gelu(hd_expansion *e)
{
    float alpha = hd_operation_float(&e->operation, "alpha", 1.702f);
    hd_attribute factor = hd_expand_float("alpha", alpha);
    hd_expand_give(e, 0, hd_expand_1_with(e, HD_OP_SWISH, e->inputs[0], factor));
}
