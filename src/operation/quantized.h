/* Quantized operators: which input is what, and how scales and zero points lie beside the elements. Inference and every
 * backend's kernels read it from here.
 *
 * A quantized number q of scale s and zero point z stands for (q - z) * s.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_OPERATION_QUANTIZED_H
#define HD_OPERATION_QUANTIZED_H

#include "operation/convolution.h"

/* Number of the input, -1 where the operator has none. */
typedef struct hd_quantized_roles {
    int8_t a, a_scale, a_zero; /* the left factor, or the image */
    int8_t b, b_scale, b_zero; /* the right factor, or the weight */
    int8_t y_scale, y_zero;    /* -1: the output is the int32 sum */
    int8_t bias;
} hd_quantized_roles;

/* NULL for an operator that multiplies no quantized numbers. */
const hd_quantized_roles *hd_quantized_roles_of(hd_operator_id id);

static inline bool hd_quantized_is_convolution(hd_operator_id id)
{
    return id == HD_OP_CONV_INTEGER || id == HD_OP_QLINEAR_CONV || id == HD_OP_HEDDLE_QLINEAR_CONV;
}

/* The input is there. */
static inline bool hd_quantized_has(const hd_operation *operation, int8_t role)
{
    return role >= 0 && hd_operation_has(operation, (size_t)role);
}

/* The same product without scales and zero points: a MatMul or a Conv (of "heddle.QLinearConv" one of that name) of two
 * inputs of one type, which points into itself: it is not copied. */
typedef struct hd_quantized_view {
    hd_operation operation;
    hd_operand operands[3];
} hd_quantized_view;

void hd_quantized_view_make(const hd_operation *operation, hd_quantized_view *view);

/* How one scale belongs to many elements: the input as [outer, axis, inner], and element (o, i, n) has the scale
 *   o * outer_step + i / block * axis_step + n * inner_step. */
typedef struct hd_quantized_scales {
    int64_t outer, axis, inner;
    int64_t block;
    int64_t outer_step, axis_step, inner_step;
} hd_quantized_scales;

/* Of QuantizeLinear and DequantizeLinear, whose inputs 0 and 1 have shapes: one scale, one a position of the axis,
 * or one a block of it. HD_BAD_MODEL, HD_INVALID_ARGUMENT: they do not fit. */
HD_MUST_CHECK hd_status hd_quantized_scales_resolve(const hd_operation *operation,
                                                    hd_quantized_scales *scales, hd_error *error);

static inline bool hd_quantized_is_byte(hd_dtype dtype)
{
    return dtype == HD_UINT8 || dtype == HD_INT8;
}

#endif
