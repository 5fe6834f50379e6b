/* Scaled attention: the sizes and rules of ONNX's Attention, which inference, prices and kernels read from here
 * (onnx.ai, "Attention").
 *
 * Inputs: q, k, v, mask, past key, past value, and how many keys of each entry are none that pad. Outputs: y, present
 * key, present value, scores.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_OPERATION_SCALED_ATTENTION_H
#define HD_OPERATION_SCALED_ATTENTION_H

#include "operation/operation.h"

/* What the output of scores has. */
typedef enum hd_attention_scores {
    HD_ATTENTION_PRODUCTS,     /* scale · q·kᵀ */
    HD_ATTENTION_CAPPED,       /* behind the cap */
    HD_ATTENTION_MASKED,       /* and with the mask */
    HD_ATTENTION_PROBABILITIES /* behind the softmax */
} hd_attention_scores;

typedef struct hd_scaled_attention {
    int64_t batch;
    int64_t heads;       /* of the queries */
    int64_t key_heads;   /* heads / key_heads of the queries' share one */
    int64_t queries;     /* T */
    int64_t past;        /* keys of the cache */
    int64_t keys;        /* S, with those of the cache */
    int64_t query_width; /* of one head: D */
    int64_t value_width; /* of one head: E */
    bool
        is_flat; /* operands are [batch, sequence, heads · width], not [batch, heads, sequence, width] */
    float scale;
    float softcap; /* 0: none */
    bool is_causal;
    int64_t left, right; /* keys that a query sees on either side of its own; -1: all */
    hd_attention_scores scores;
} hd_scaled_attention;

/* HD_BAD_MODEL, HD_INVALID_ARGUMENT, HD_UNSUPPORTED: operands and attributes do not fit. */
HD_MUST_CHECK hd_status hd_scaled_attention_resolve(const hd_operation *operation,
                                                    hd_scaled_attention *attention,
                                                    hd_error *error);

#endif
