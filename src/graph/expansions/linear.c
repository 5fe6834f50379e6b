/* Products and convolutions of domain com.microsoft with what onnxruntime's optimizer joined to them
 * (github.com/microsoft/onnxruntime, docs/ContribOperators.md). */
#include <math.h>

#include "graph/expansions/expansions.h"
#include "graph/expansions/parts.h"

/* y = alpha · A · B, either transposed before. */
void hd_expand_fused_matmul(hd_expansion *e)
{
    const hd_operation *o = &e->operation;
    hd_value a = hd_expand_transpose_matrix(e, e->inputs[0], hd_operation_int(o, "transA", 0) != 0,
                                            hd_operation_int(o, "transBatchA", 0) != 0);
    hd_value b = hd_expand_transpose_matrix(e, e->inputs[1], hd_operation_int(o, "transB", 0) != 0,
                                            hd_operation_int(o, "transBatchB", 0) != 0);
    hd_value product = hd_expand_2(e, HD_OP_MATMUL, a, b);
    hd_expand_give(e, 0, hd_expand_scale(e, product, hd_operation_float(o, "alpha", 1)));
}

/* y = activation(alpha · A · B + beta · C). */
void hd_expand_fused_gemm(hd_expansion *e)
{
    static const char *const activation[] = {"activation", "activation_alpha", "activation_beta",
                                             "activation_gamma", NULL};
    hd_value product = hd_expand_same(e, HD_OP_GEMM, e->inputs, 3, activation);
    hd_expand_give(e, 0,
                   hd_expand_activation(e, product,
                                        hd_operation_string(&e->operation, "activation", ""),
                                        hd_operation_float(&e->operation, "activation_alpha", NAN),
                                        hd_operation_float(&e->operation, "activation_beta", NAN)));
}

/* y = Gelu(A · B + bias) by tanh. */
void hd_expand_gemm_fast_gelu(hd_expansion *e)
{
    hd_attribute tanh = {.name = "approximate", .kind = HD_ATTRIBUTE_STRING, .s = "tanh"};
    hd_value product = hd_expand_2(e, HD_OP_MATMUL, e->inputs[0], e->inputs[1]);
    if (hd_expand_has(e, 2)) {
        product = hd_expand_2(e, HD_OP_ADD, product, e->inputs[2]);
    }
    hd_expand_give(e, 0, hd_expand_1_with(e, HD_OP_GELU, product, tanh));
}

/* y = activation(Conv(x, w) + b + z). */
void hd_expand_fused_conv(hd_expansion *e)
{
    static const char *const activation[] = {"activation", "activation_params", NULL};
    hd_value y = hd_expand_same(e, HD_OP_CONV, e->inputs, 3, activation);
    if (hd_expand_has(e, 3)) {
        y = hd_expand_2(e, HD_OP_ADD, y, e->inputs[3]);
    }
    const hd_attribute *given = hd_operation_attribute(&e->operation, "activation_params");
    const size_t count = given == NULL ? 0 : given->count;
    hd_expand_give(e, 0,
                   hd_expand_activation(e, y, hd_operation_string(&e->operation, "activation", ""),
                                        count > 0 ? given->floats[0] : NAN,
                                        count > 1 ? given->floats[1] : NAN));
}
