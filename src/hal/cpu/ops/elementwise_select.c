#include "hal/cpu/ops/elementwise_select.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "operation/narrow.h"
#include "operation/quantized.h"

#define NO_VALUE    HD_ELEMENTWISE_NO_VALUE
#define ALL_SCALARS 7u
#define SCALES      6u /* scalars: a scale and a zero point, behind what they are for */

typedef hd_cpu_elementwise_value value;

/* An operation on its way into a program. */
typedef struct selection {
    hd_cpu_elementwise_program *program;
    const hd_operation *operation;
    size_t count;
    const value *values;
    hd_dtype dtype; /* of the first operand */
    const hd_cpu_elementwise_functions *functions;
} selection;

static value operand(const selection *s, size_t index)
{
    return index < s->count ? s->values[index] : NO_VALUE;
}

static float attribute(const selection *s, const char *name, float otherwise)
{
    return hd_operation_float(s->operation, name, otherwise);
}

static value emit_one(const selection *s, hd_cpu_elementwise_function *function, hd_dtype result,
                      value a)
{
    return hd_cpu_elementwise_emit(s->program, function, 0, NULL, result, 1, (const value[]){a});
}

/* Both operands must have the same type. */
static value emit_two(const selection *s, hd_cpu_elementwise_function *function, hd_dtype result,
                      value a, value b)
{
    if (hd_cpu_elementwise_dtype(s->program, a) != hd_cpu_elementwise_dtype(s->program, b)) {
        return NO_VALUE;
    }
    return hd_cpu_elementwise_emit(s->program, function, ALL_SCALARS, NULL, result, 2,
                                   (const value[]){a, b});
}

/* Of Cast and CastLike, with what their attributes say of numbers that do not fit. */
static value emit_narrow_cast(const selection *s, value a, hd_dtype from, hd_dtype to)
{
    const char *rounding = hd_operation_string(s->operation, "round_mode", "up");
    hd_cpu_elementwise_parameters parameters = {
        .from = from,
        .to = to,
        .saturates = hd_operation_int(s->operation, "saturate", 1) != 0,
        .rounding = strcmp(rounding, "down") == 0      ? HD_NARROW_DOWN
                    : strcmp(rounding, "nearest") == 0 ? HD_NARROW_NEAREST
                                                       : HD_NARROW_UP};
    return hd_cpu_elementwise_emit(s->program, hd_cpu_elementwise_cast_narrow, 0, &parameters, to,
                                   1, (const value[]){a});
}

static value emit_cast(const selection *s, value a, hd_dtype to)
{
    hd_dtype from = hd_cpu_elementwise_dtype(s->program, a);
    if (from != to && (hd_narrow_is(from) || hd_narrow_is(to))) {
        return hd_dtype_size(from) == 0 ? NO_VALUE : emit_narrow_cast(s, a, from, to);
    }
    return from == to ? a : emit_one(s, hd_cpu_elementwise_cast(from, to), to, a);
}

static value emit_parametric(const selection *s, hd_cpu_vector_parametric *function, float alpha,
                             float beta)
{
    hd_cpu_elementwise_parameters parameters = {
        .parametric = function, .alpha = alpha, .beta = beta};
    return hd_cpu_elementwise_emit(s->program, hd_cpu_elementwise_apply_parametric, 0, &parameters,
                                   HD_FLOAT32, 1, s->values);
}

static value emit_where(const selection *s, value condition, value yes, value no)
{
    hd_dtype dtype = hd_cpu_elementwise_dtype(s->program, yes);
    size_t size = hd_dtype_size(dtype);
    if (hd_cpu_elementwise_dtype(s->program, condition) != HD_BOOL || size == 0 ||
        hd_cpu_elementwise_dtype(s->program, no) != dtype) {
        return NO_VALUE;
    }
    return hd_cpu_elementwise_emit(s->program, hd_cpu_elementwise_where(size), ALL_SCALARS, NULL,
                                   dtype, 3, (const value[]){condition, yes, no});
}

static value constant(const selection *s, double number)
{
    return hd_cpu_elementwise_constant(s->program, s->dtype, number);
}

static bool is_float(const selection *s)
{
    return s->dtype == HD_FLOAT32 || s->dtype == HD_FLOAT64;
}

/* --- functions of one float */

static double double_reciprocal(double x)
{
    return 1.0 / x;
}

static double double_sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static double double_gelu(double x)
{
    return 0.5 * x * (1.0 + erf(x * 0.70710678118654752440));
}

static double double_gelu_tanh(double x)
{
    return 0.5 * x * (1.0 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
}

static double double_softplus(double x)
{
    return (x > 0.0 ? x : x < 0.0 ? 0.0 : x) + log1p(exp(-fabs(x)));
}

static double double_mish(double x)
{
    return x * tanh(double_softplus(x));
}

typedef struct float_function {
    size_t member; /* of hd_cpu_vector_functions */
    double (*of_double)(double);
} float_function;

#define ROW(member, of_double) {offsetof(hd_cpu_vector_functions, member), of_double}
static const float_function float_functions[HD_OP_COUNT] = {
    [HD_OP_EXP] = ROW(exp, exp),
    [HD_OP_LOG] = ROW(log, log),
    [HD_OP_SQRT] = ROW(sqrt, sqrt),
    [HD_OP_RECIPROCAL] = ROW(reciprocal, double_reciprocal),
    [HD_OP_ERF] = ROW(erf, erf),
    [HD_OP_TANH] = ROW(tanh, tanh),
    [HD_OP_SIGMOID] = ROW(sigmoid, double_sigmoid),
    [HD_OP_SOFTPLUS] = ROW(softplus, double_softplus),
    [HD_OP_MISH] = ROW(mish, double_mish),
    [HD_OP_SIN] = ROW(sin, sin),
    [HD_OP_COS] = ROW(cos, cos),
    [HD_OP_TAN] = ROW(tan, tan),
    [HD_OP_ASIN] = ROW(asin, asin),
    [HD_OP_ACOS] = ROW(acos, acos),
    [HD_OP_ATAN] = ROW(atan, atan),
    [HD_OP_SINH] = ROW(sinh, sinh),
    [HD_OP_COSH] = ROW(cosh, cosh),
    [HD_OP_ASINH] = ROW(asinh, asinh),
    [HD_OP_ACOSH] = ROW(acosh, acosh),
    [HD_OP_ATANH] = ROW(atanh, atanh),
    [HD_OP_FLOOR] = ROW(floor, floor),
    [HD_OP_CEIL] = ROW(ceil, ceil),
    [HD_OP_ROUND] = ROW(round, rint),
};
static const float_function gelu_exact = ROW(gelu, double_gelu);
static const float_function gelu_tanh = ROW(gelu_tanh, double_gelu_tanh);
static const float_function expm1_function = ROW(expm1, expm1);
static const float_function relu_function = ROW(relu, NULL);
#undef ROW

static value emit_float_function(const selection *s, const float_function *function, value a)
{
    hd_cpu_elementwise_parameters parameters = {.of_double = function->of_double};
    if (s->dtype == HD_FLOAT32) {
        memcpy(&parameters.unary, (const char *)hd_cpu_vector_functions_get() + function->member,
               sizeof parameters.unary);
        return hd_cpu_elementwise_emit(s->program, hd_cpu_elementwise_apply_unary, 0, &parameters,
                                       s->dtype, 1, &a);
    }
    if (s->dtype == HD_FLOAT64) {
        return hd_cpu_elementwise_emit(s->program, hd_cpu_elementwise_apply_double, 0, &parameters,
                                       s->dtype, 1, &a);
    }
    return NO_VALUE;
}

static value select_gelu(const selection *s)
{
    const char *approximate = hd_operation_string(s->operation, "approximate", "none");
    return emit_float_function(s, strcmp(approximate, "tanh") == 0 ? &gelu_tanh : &gelu_exact,
                               operand(s, 0));
}

/* --- activations with parameters: in float32 by the vector math, in float64 from simple functions */

static value select_relu(const selection *s)
{
    if (s->dtype == HD_FLOAT32) {
        return emit_float_function(s, &relu_function, operand(s, 0));
    }
    return emit_two(s, s->functions->at_least, s->dtype, operand(s, 0), constant(s, 0.0));
}

static value below_zero(const selection *s, value yes)
{
    value x = operand(s, 0);
    value condition = emit_two(s, s->functions->less, HD_BOOL, x, constant(s, 0.0));
    return emit_where(s, condition, yes, x);
}

static value select_leaky_relu(const selection *s)
{
    float alpha = attribute(s, "alpha", 0.01f);
    if (s->dtype == HD_FLOAT32) {
        return emit_parametric(s, hd_cpu_vector_functions_get()->leaky_relu, alpha, 0.0f);
    }
    value scaled =
        emit_two(s, s->functions->multiply, s->dtype, constant(s, (double)alpha), operand(s, 0));
    return below_zero(s, scaled);
}

/* Elu, Celu and Selu: alpha · (exp(x/divisor) - 1) below zero. */
static value select_elu(const selection *s)
{
    const hd_cpu_vector_functions *vector = hd_cpu_vector_functions_get();
    bool is_selu = s->operation->id == HD_OP_SELU;
    bool is_celu = s->operation->id == HD_OP_CELU;
    float alpha = attribute(s, "alpha", is_selu ? 1.67326319217681884765625f : 1.0f);
    float gamma = attribute(s, "gamma", 1.05070102214813232421875f);
    if (s->dtype == HD_FLOAT32) {
        return emit_parametric(s,
                               is_selu   ? vector->selu
                               : is_celu ? vector->celu
                                         : vector->elu,
                               alpha, gamma);
    }
    value x = operand(s, 0), inner = x;
    if (is_celu) {
        inner = emit_two(s, s->functions->divide, s->dtype, x, constant(s, (double)alpha));
    }
    value grown = emit_float_function(s, &expm1_function, inner);
    grown = emit_two(s, s->functions->multiply, s->dtype, grown, constant(s, (double)alpha));
    value result = below_zero(s, grown);
    return is_selu
               ? emit_two(s, s->functions->multiply, s->dtype, result, constant(s, (double)gamma))
               : result;
}

static value select_hard_sigmoid(const selection *s)
{
    const hd_cpu_vector_functions *vector = hd_cpu_vector_functions_get();
    bool is_swish = s->operation->id == HD_OP_HARD_SWISH;
    float alpha = is_swish ? 1.0f / 6.0f : attribute(s, "alpha", 0.2f);
    float beta = is_swish ? 0.5f : attribute(s, "beta", 0.5f);
    if (s->dtype == HD_FLOAT32) {
        return emit_parametric(s, is_swish ? vector->hard_swish : vector->hard_sigmoid, alpha,
                               beta);
    }
    double slope = is_swish ? 1.0 / 6.0 : (double)alpha;
    value y = emit_two(s, s->functions->multiply, s->dtype, operand(s, 0), constant(s, slope));
    y = emit_two(s, s->functions->add, s->dtype, y, constant(s, (double)beta));
    y = emit_two(s, s->functions->at_least, s->dtype, y, constant(s, 0.0));
    y = emit_two(s, s->functions->at_most, s->dtype, y, constant(s, 1.0));
    return is_swish ? emit_two(s, s->functions->multiply, s->dtype, operand(s, 0), y) : y;
}

static value select_thresholded_relu(const selection *s)
{
    value x = operand(s, 0);
    value alpha = constant(s, (double)attribute(s, "alpha", 1.0f));
    value condition = emit_two(s, s->functions->less, HD_BOOL, alpha, x);
    return emit_where(s, condition, x, constant(s, 0.0));
}

static value select_swish(const selection *s)
{
    float alpha = attribute(s, "alpha", 1.0f);
    return s->dtype == HD_FLOAT32
               ? emit_parametric(s, hd_cpu_vector_functions_get()->swish, alpha, 0.0f)
               : NO_VALUE;
}

static value select_gated(const selection *s)
{
    return emit_two(s, s->functions->multiply, s->dtype, select_swish(s), operand(s, 1));
}

static value select_softsign(const selection *s)
{
    value x = operand(s, 0);
    value magnitude = emit_one(s, s->functions->absolute, s->dtype, x);
    value divisor = emit_two(s, s->functions->add, s->dtype, magnitude, constant(s, 1.0));
    return is_float(s) ? emit_two(s, s->functions->divide, s->dtype, x, divisor) : NO_VALUE;
}

/* Integers are computed with as doubles, since bias and lambd may be no integers, or beyond the type. */
static value select_shrink(const selection *s)
{
    if (s->functions->subtract == NULL) {
        return NO_VALUE; /* no numbers */
    }
    const hd_cpu_elementwise_functions *f =
        is_float(s) ? s->functions : hd_cpu_elementwise_functions_of(HD_FLOAT64);
    hd_dtype dtype = is_float(s) ? s->dtype : HD_FLOAT64;
    value x = emit_cast(s, operand(s, 0), dtype);
    double lambda = (double)attribute(s, "lambd", 0.5f);
    value above = hd_cpu_elementwise_constant(s->program, dtype, lambda);
    value below = hd_cpu_elementwise_constant(s->program, dtype, -lambda);
    value zero = hd_cpu_elementwise_constant(s->program, dtype, 0.0);
    value bias = hd_cpu_elementwise_constant(s->program, dtype, (double)attribute(s, "bias", 0.0f));
    value is_above = emit_two(s, f->less, HD_BOOL, above, x);
    value lowered = emit_two(s, f->subtract, dtype, x, bias);
    value result = emit_where(s, is_above, lowered, zero);
    value is_below = emit_two(s, f->less, HD_BOOL, x, below);
    value raised = emit_two(s, f->add, dtype, x, bias);
    return emit_cast(s, emit_where(s, is_below, raised, result), s->dtype);
}

static value select_clip(const selection *s)
{
    value low = operand(s, 1), high = operand(s, 2), x = operand(s, 0);
    if (s->operation->opset < 11) {
        low = constant(s, (double)attribute(s, "min", -FLT_MAX));
        high = constant(s, (double)attribute(s, "max", FLT_MAX));
        if (!is_float(s)) {
            return NO_VALUE;
        }
    }
    if (low != NO_VALUE) {
        x = emit_two(s, s->functions->at_least, s->dtype, x, low);
    }
    if (high != NO_VALUE) {
        x = emit_two(s, s->functions->at_most, s->dtype, x, high);
    }
    return x;
}

/* --- the other operators */

static value select_variadic(const selection *s)
{
    const hd_operator_id id = s->operation->id;
    bool is_mean = id == HD_OP_MEAN;
    hd_cpu_elementwise_function *function = id == HD_OP_MAX   ? s->functions->maximum
                                            : id == HD_OP_MIN ? s->functions->minimum
                                                              : s->functions->add;
    value result = operand(s, 0);
    for (size_t i = 1; i < s->count; i++) {
        result = emit_two(s, function, s->dtype, result, operand(s, i));
    }
    if (is_mean && s->count > 1) {
        result = emit_two(s, s->functions->divide, s->dtype, result, constant(s, (double)s->count));
    }
    return result;
}

static value select_power(const selection *s)
{
    value base = operand(s, 0), exponent = operand(s, 1);
    hd_dtype exponent_dtype = hd_cpu_elementwise_dtype(s->program, exponent);
    if (s->dtype == HD_FLOAT32) {
        /* Parameters, though empty, mark it as costly. */
        return hd_cpu_elementwise_emit(s->program, hd_cpu_elementwise_apply_pow, 0,
                                       &(hd_cpu_elementwise_parameters){0}, HD_FLOAT32, 2,
                                       (const value[]){base, emit_cast(s, exponent, HD_FLOAT32)});
    }
    if (s->functions->add == NULL) {
        return NO_VALUE;
    }
    bool is_real =
        s->dtype == HD_FLOAT64 || exponent_dtype == HD_FLOAT32 || exponent_dtype == HD_FLOAT64;
    hd_dtype common = is_real ? HD_FLOAT64 : HD_INT64;
    hd_cpu_elementwise_function *function = hd_cpu_elementwise_functions_of(common)->power;
    value result =
        emit_two(s, function, common, emit_cast(s, base, common), emit_cast(s, exponent, common));
    return emit_cast(s, result, s->dtype);
}

static value select_modulo(const selection *s)
{
    bool is_remainder = hd_operation_int(s->operation, "fmod", 0) != 0;
    return emit_two(s, is_remainder ? s->functions->remainder : s->functions->modulo, s->dtype,
                    operand(s, 0), operand(s, 1));
}

static value select_shift(const selection *s)
{
    bool is_left = strcmp(hd_operation_string(s->operation, "direction", ""), "LEFT") == 0;
    return emit_two(s, is_left ? s->functions->shift_left : s->functions->shift_right, s->dtype,
                    operand(s, 0), operand(s, 1));
}

static value select_is_infinite(const selection *s)
{
    value x = operand(s, 0);
    value above = emit_one(s, s->functions->is_positive_infinity, HD_BOOL, x);
    value below = emit_one(s, s->functions->is_negative_infinity, HD_BOOL, x);
    bool wants_above = hd_operation_int(s->operation, "detect_positive", 1) != 0;
    bool wants_below = hd_operation_int(s->operation, "detect_negative", 1) != 0;
    const hd_cpu_elementwise_functions *logical = hd_cpu_elementwise_functions_of(HD_BOOL);
    if (wants_above != wants_below) {
        return emit_one(s,
                        wants_above ? s->functions->is_positive_infinity
                                    : s->functions->is_negative_infinity,
                        HD_BOOL, x);
    }
    /* No number is both, so that "and" is false everywhere. */
    return emit_two(s, wants_above ? logical->bitwise_or : logical->bitwise_and, HD_BOOL, above,
                    below);
}

static value select_where(const selection *s)
{
    return emit_where(s, operand(s, 0), operand(s, 1), operand(s, 2));
}

static value select_cast(const selection *s)
{
    hd_dtype to = s->operation->outputs[0].dtype;
    if (hd_dtype_size(to) == 0) {
        return NO_VALUE;
    }
    return emit_cast(s, operand(s, 0), to);
}

/* Of one scale; a zero point of int8 or uint8. */
static value select_quantize(const selection *s)
{
    const hd_dtype to = s->operation->outputs[0].dtype;
    return s->dtype == HD_FLOAT32 && hd_quantized_is_byte(to)
               ? hd_cpu_elementwise_emit(
                     s->program, hd_cpu_elementwise_quantize, SCALES,
                     &(hd_cpu_elementwise_parameters){.to = to, .has_zero = s->count > 2}, to,
                     s->count, s->values)
               : NO_VALUE;
}

static value select_dequantize(const selection *s)
{
    return hd_quantized_is_byte(s->dtype)
               ? hd_cpu_elementwise_emit(
                     s->program, hd_cpu_elementwise_dequantize, SCALES,
                     &(hd_cpu_elementwise_parameters){.from = s->dtype, .has_zero = s->count > 2},
                     HD_FLOAT32, s->count, s->values)
               : NO_VALUE;
}

static value select_bit_cast(const selection *s)
{
    hd_dtype to = s->operation->outputs[0].dtype;
    return emit_one(s, hd_cpu_elementwise_copy(hd_dtype_size(to)), to, operand(s, 0));
}

typedef enum group { ANY_TYPE, ONLY_BOOL, NOT_BOOL } group;

/* Operators that are one function of one or two operands of one type. */
typedef struct simple {
    size_t member; /* of hd_cpu_elementwise_functions */
    uint8_t operands;
    bool gives_bool;
    bool is_swapped;
    group types;
} simple;

#define ROW(member, operands, gives_bool, is_swapped, types)                                       \
    {offsetof(hd_cpu_elementwise_functions, member), operands, gives_bool, is_swapped, types}
static const simple simples[HD_OP_COUNT] = {
    [HD_OP_ADD] = ROW(add, 2, false, false, ANY_TYPE),
    [HD_OP_SUB] = ROW(subtract, 2, false, false, ANY_TYPE),
    [HD_OP_MUL] = ROW(multiply, 2, false, false, ANY_TYPE),
    [HD_OP_DIV] = ROW(divide, 2, false, false, ANY_TYPE),
    [HD_OP_PRELU] = ROW(prelu, 2, false, false, ANY_TYPE),
    [HD_OP_EQUAL] = ROW(equal, 2, true, false, ANY_TYPE),
    [HD_OP_LESS] = ROW(less, 2, true, false, ANY_TYPE),
    [HD_OP_LESS_OR_EQUAL] = ROW(less_or_equal, 2, true, false, ANY_TYPE),
    [HD_OP_GREATER] = ROW(less, 2, true, true, ANY_TYPE),
    [HD_OP_GREATER_OR_EQUAL] = ROW(less_or_equal, 2, true, true, ANY_TYPE),
    [HD_OP_AND] = ROW(bitwise_and, 2, true, false, ONLY_BOOL),
    [HD_OP_OR] = ROW(bitwise_or, 2, true, false, ONLY_BOOL),
    [HD_OP_XOR] = ROW(bitwise_xor, 2, true, false, ONLY_BOOL),
    [HD_OP_NOT] = ROW(bitwise_not, 1, true, false, ONLY_BOOL),
    [HD_OP_BITWISE_AND] = ROW(bitwise_and, 2, false, false, NOT_BOOL),
    [HD_OP_BITWISE_OR] = ROW(bitwise_or, 2, false, false, NOT_BOOL),
    [HD_OP_BITWISE_XOR] = ROW(bitwise_xor, 2, false, false, NOT_BOOL),
    [HD_OP_BITWISE_NOT] = ROW(bitwise_not, 1, false, false, NOT_BOOL),
    [HD_OP_ABS] = ROW(absolute, 1, false, false, ANY_TYPE),
    [HD_OP_NEG] = ROW(negate, 1, false, false, ANY_TYPE),
    [HD_OP_SIGN] = ROW(sign, 1, false, false, ANY_TYPE),
    [HD_OP_IS_NAN] = ROW(is_nan, 1, true, false, ANY_TYPE),
};
#undef ROW

static value select_simple(const selection *s, const simple *row)
{
    hd_cpu_elementwise_function *function;
    memcpy(&function, (const char *)s->functions + row->member, sizeof function);
    hd_dtype result = row->gives_bool ? HD_BOOL : s->dtype;
    if ((row->types == ONLY_BOOL) != (s->dtype == HD_BOOL) && row->types != ANY_TYPE) {
        return NO_VALUE;
    }
    if (row->operands == 1) {
        return emit_one(s, function, result, operand(s, 0));
    }
    return emit_two(s, function, result, operand(s, row->is_swapped ? 1 : 0),
                    operand(s, row->is_swapped ? 0 : 1));
}

/* The others. */
static value (*const specials[HD_OP_COUNT])(const selection *s) = {
    [HD_OP_GELU] = select_gelu,
    [HD_OP_RELU] = select_relu,
    [HD_OP_LEAKY_RELU] = select_leaky_relu,
    [HD_OP_ELU] = select_elu,
    [HD_OP_CELU] = select_elu,
    [HD_OP_SELU] = select_elu,
    [HD_OP_HARD_SIGMOID] = select_hard_sigmoid,
    [HD_OP_HARD_SWISH] = select_hard_sigmoid,
    [HD_OP_THRESHOLDED_RELU] = select_thresholded_relu,
    [HD_OP_SWI_GLU] = select_gated,
    [HD_OP_SWISH] = select_swish,
    [HD_OP_SOFTSIGN] = select_softsign,
    [HD_OP_SHRINK] = select_shrink,
    [HD_OP_CLIP] = select_clip,
    [HD_OP_MAX] = select_variadic,
    [HD_OP_MIN] = select_variadic,
    [HD_OP_SUM] = select_variadic,
    [HD_OP_MEAN] = select_variadic,
    [HD_OP_POW] = select_power,
    [HD_OP_MOD] = select_modulo,
    [HD_OP_BIT_SHIFT] = select_shift,
    [HD_OP_IS_INF] = select_is_infinite,
    [HD_OP_WHERE] = select_where,
    [HD_OP_BIT_CAST] = select_bit_cast,
    [HD_OP_CAST] = select_cast,
    [HD_OP_CAST_LIKE] = select_cast,
    [HD_OP_QUANTIZE_LINEAR] = select_quantize,
    [HD_OP_DEQUANTIZE_LINEAR] = select_dequantize,
};

hd_cpu_elementwise_value hd_cpu_elementwise_select(hd_cpu_elementwise_program *program,
                                                   const hd_operation *operation,
                                                   size_t operand_count,
                                                   const hd_cpu_elementwise_value *values)
{
    static const hd_cpu_elementwise_functions no_functions = {0};
    selection s = {program, operation, operand_count, values, HD_DTYPE_NONE, &no_functions};
    s.dtype = hd_cpu_elementwise_dtype(program, operand(&s, 0));
    if (hd_cpu_elementwise_functions_of(s.dtype) != NULL) {
        s.functions = hd_cpu_elementwise_functions_of(s.dtype);
    }
    if (s.dtype == HD_DTYPE_NONE) {
        return NO_VALUE;
    }
    const hd_operator_id id = operation->id;
    if (float_functions[id].of_double != NULL) {
        return emit_float_function(&s, &float_functions[id], operand(&s, 0));
    }
    if (simples[id].operands != 0) {
        return select_simple(&s, &simples[id]);
    }
    return specials[id] != NULL ? specials[id](&s) : NO_VALUE;
}
