/* Elementwise function: one operator over contiguous arrays of one type, the step that elementwise
 * programs are made of.
 *
 * Thread-safety: any thread. */
#ifndef HD_HAL_CPU_OPS_ELEMENTWISE_FUNCTION_H
#define HD_HAL_CPU_OPS_ELEMENTWISE_FUNCTION_H

#include <stdbool.h>
#include <stdint.h>

#include "hal/cpu/vector_math.h"
#include "heddle/tensor.h"

/* What an instruction brings along; each function reads its own member. */
typedef struct hd_cpu_elementwise_parameters {
    hd_cpu_vector_unary *unary;           /* float32 */
    hd_cpu_vector_parametric *parametric; /* float32, with alpha and beta */
    double (*of_double)(double);          /* float64 */
    float alpha;
    float beta;
    /* conversions of narrow numbers (operation/narrow.h) */
    hd_dtype from, to;
    bool saturates;
    uint8_t rounding;         /* hd_narrow_rounding */
    bool has_zero;            /* quantized numbers: there is a zero point */
    hd_dtype other;           /* of a pair: the second one's type */
    uint8_t pair_zeros;       /* bits 0, 1, 2: the first, the second, the result has a zero point */
    bool multiplies, is_relu; /* of a pair */
} hd_cpu_elementwise_parameters;

/* out[i] = f(in[0][i], in[1][i], in[2][i]), i < n. Bit k of `scalars`: in[k] is one element, for all i.
 * An operand that is not a scalar may lie exactly on out, if its elements have out's type. */
typedef void hd_cpu_elementwise_function(const hd_cpu_elementwise_parameters *parameters, void *out,
                                         const void *const *in, unsigned scalars, size_t n);

/* Of one element type; NULL where the type has no such function. All of them accept scalars, but not
 * for all operands at once. Integers wrap around; division by zero gives 0. */
typedef struct hd_cpu_elementwise_functions {
    hd_cpu_elementwise_function *add;
    hd_cpu_elementwise_function *subtract;
    hd_cpu_elementwise_function *multiply;
    hd_cpu_elementwise_function *divide;
    hd_cpu_elementwise_function *maximum;       /* NaN if either is */
    hd_cpu_elementwise_function *minimum;       /* NaN if either is */
    hd_cpu_elementwise_function *at_least;      /* in[0] raised to in[1]; NaN where in[0] is */
    hd_cpu_elementwise_function *at_most;       /* in[0] lowered to in[1]; NaN where in[0] is */
    hd_cpu_elementwise_function *modulo;        /* the divisor's sign, as Python's % */
    hd_cpu_elementwise_function *remainder;     /* the dividend's sign, as C's fmod */
    hd_cpu_elementwise_function *equal;         /* -> bool */
    hd_cpu_elementwise_function *less;          /* -> bool */
    hd_cpu_elementwise_function *less_or_equal; /* -> bool */
    hd_cpu_elementwise_function *prelu;         /* in[1] · in[0] where in[0] < 0 */
    hd_cpu_elementwise_function *absolute;
    hd_cpu_elementwise_function *negate;
    hd_cpu_elementwise_function *sign;
    hd_cpu_elementwise_function *is_nan;               /* -> bool */
    hd_cpu_elementwise_function *is_positive_infinity; /* -> bool */
    hd_cpu_elementwise_function *is_negative_infinity; /* -> bool */
    hd_cpu_elementwise_function *bitwise_and; /* for bool, these are the logical functions */
    hd_cpu_elementwise_function *bitwise_or;
    hd_cpu_elementwise_function *bitwise_xor;
    hd_cpu_elementwise_function *bitwise_not;
    hd_cpu_elementwise_function
        *shift_left; /* outside of the type's width: 0, and copies of a signed x's sign */
    hd_cpu_elementwise_function *shift_right;
    hd_cpu_elementwise_function *power; /* float64 and int64 */
} hd_cpu_elementwise_functions;

/* NULL for a type without arithmetic (float16 and bfloat16 are converted first). */
const hd_cpu_elementwise_functions *hd_cpu_elementwise_functions_of(hd_dtype dtype);

/* in[0] is bool; in[1] where it holds, else in[2]. For elements of 1, 2, 4 or 8 bytes. */
hd_cpu_elementwise_function *hd_cpu_elementwise_where(size_t element_size);

/* Conversion as C does it, to floats with one rounding to the nearest (even); out-of-range values: a
 * float goes to the nearest int64 or uint64, then to the lowest bits of a smaller type; NaN is 0. To
 * bool: is not 0. NULL when one is no dtype. Accepts no scalars. */
hd_cpu_elementwise_function *hd_cpu_elementwise_cast(hd_dtype from, hd_dtype to);

/* To float32, rounded to odd (elementwise_cast.c). `from` is no narrow type. */
hd_cpu_elementwise_function *hd_cpu_elementwise_cast_to_odd(hd_dtype from);

/* Where one of the types that the parameters name is narrow. Accepts no scalars. */
hd_cpu_elementwise_function hd_cpu_elementwise_cast_narrow;

/* Of bytes, by one scale, in[1], and one zero point, in[2] or none; which kind of bytes the parameters name. Accept these two as
 * scalars. */
hd_cpu_elementwise_function hd_cpu_elementwise_quantize, hd_cpu_elementwise_dequantize;

/* Two dequantized, added or multiplied, and quantized: in[0] to in[7] are the first one's bytes, scale and zero point (any
 * pointer, where it has none), the second one's, and the result's scale and zero point. All but the bytes are scalars. */
hd_cpu_elementwise_function hd_cpu_elementwise_quantized_pair;

/* in[0] as it is. Accepts no scalars. */
hd_cpu_elementwise_function *hd_cpu_elementwise_copy(size_t element_size);

/* These call what the parameters name. Accept no scalars. */
hd_cpu_elementwise_function hd_cpu_elementwise_apply_unary;
hd_cpu_elementwise_function hd_cpu_elementwise_apply_parametric;
hd_cpu_elementwise_function hd_cpu_elementwise_apply_double;
hd_cpu_elementwise_function hd_cpu_elementwise_apply_pow; /* float32 */

extern const hd_cpu_elementwise_functions hd_cpu_elementwise_float32_baseline;
extern const hd_cpu_elementwise_functions hd_cpu_elementwise_float32_avx2;
extern const hd_cpu_elementwise_functions hd_cpu_elementwise_float32_avx512;

/* C leaves floats beyond the integer's range undefined; here they go to its nearest end, NaN to 0. */
static inline int64_t hd_cpu_integer_of_double(double x)
{
    return x >= 0x1p63 ? INT64_MAX : x > -0x1p63 ? (int64_t)x : x <= -0x1p63 ? INT64_MIN : 0;
}

#endif
