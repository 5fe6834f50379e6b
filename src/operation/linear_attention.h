/* Linear attention: the sizes of ONNX's LinearAttention, which inference, prices and kernels read from here (onnx.ai,
 * "LinearAttention").
 *
 * Inputs: queries, keys, values, past state, decay, beta. Outputs: y, present state.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_OPERATION_LINEAR_ATTENTION_H
#define HD_OPERATION_LINEAR_ATTENTION_H

#include "operation/operation.h"

typedef struct hd_linear_attention {
    int64_t batch, length;
    int64_t heads;       /* of the queries */
    int64_t state_heads; /* heads / state_heads of the queries' read one state */
    int64_t key_width, value_width;
    int64_t decay_width; /* of one head: 1 or key_width; 0: none */
    int64_t beta_heads;  /* 1 or state_heads; 0: none */
    float scale;
} hd_linear_attention;

/* HD_BAD_MODEL, HD_INVALID_ARGUMENT: operands and attributes do not fit. */
HD_MUST_CHECK hd_status hd_linear_attention_resolve(const hd_operation *operation,
                                                    hd_linear_attention *attention,
                                                    hd_error *error);

#endif
