#include "hal/cuda/elementwise_select.h"

#include <float.h>
#include <string.h>

#include "operation/narrow.h"

#define NO_VALUE HD_CUDA_NO_VALUE

typedef uint8_t value;

/* An operation on its way into a program. */
typedef struct selection {
    hd_cuda_program *program;
    const hd_operation *operation;
    size_t count;
    const value *values;
    hd_dtype dtype; /* of the first operand */
} selection;

hd_cuda_bits hd_cuda_bits_of(hd_dtype dtype)
{
    switch (dtype) {
    case HD_UINT8:
    case HD_BOOL:
        return HD_CUDA_BITS_U8;
    case HD_UINT16:
    case HD_FLOAT16:
    case HD_BFLOAT16:
        return HD_CUDA_BITS_U16;
    case HD_INT8:
        return HD_CUDA_BITS_S8;
    case HD_INT16:
        return HD_CUDA_BITS_S16;
    case HD_INT32:
        return HD_CUDA_BITS_S32;
    case HD_INT64:
    case HD_UINT64:
    case HD_FLOAT64:
        return HD_CUDA_BITS_64;
    default: /* a narrow type is a byte */
        return hd_narrow_is(dtype) ? HD_CUDA_BITS_U8 : HD_CUDA_BITS_U32;
    }
}

static bool is_integer(hd_dtype dtype)
{
    return dtype == HD_INT8 || dtype == HD_INT16 || dtype == HD_INT32 || dtype == HD_INT64 ||
           dtype == HD_UINT8 || dtype == HD_UINT16 || dtype == HD_UINT32 || dtype == HD_UINT64;
}

static bool is_signed(hd_dtype dtype)
{
    return dtype == HD_INT8 || dtype == HD_INT16 || dtype == HD_INT32 || dtype == HD_INT64;
}

static void note(hd_cuda_program *program, value v, hd_dtype dtype)
{
    program->dtypes[v] = dtype;
    program->is_wide = program->is_wide || hd_dtype_size(dtype) == 8 || dtype == HD_UINT32;
}

void hd_cuda_program_input(hd_cuda_program *program, size_t index, hd_dtype dtype)
{
    note(program, (value)index, dtype);
}

static hd_dtype dtype_of(const selection *s, value v)
{
    return v == NO_VALUE ? HD_DTYPE_NONE : s->program->dtypes[v];
}

static value operand(const selection *s, size_t index)
{
    return index < s->count ? s->values[index] : NO_VALUE;
}

static float attribute(const selection *s, const char *name, float otherwise)
{
    return hd_operation_float(s->operation, name, otherwise);
}

static value emit(const selection *s, hd_cuda_function_code code, hd_dtype result, value x, value y,
                  value z)
{
    hd_cuda_program *program = s->program;
    if (program->instruction_count == HD_CUDA_ELEMENTWISE_INSTRUCTIONS || x == NO_VALUE) {
        return NO_VALUE;
    }
    value made = (value)(HD_CUDA_FIRST_RESULT + program->instruction_count);
    program->instructions[program->instruction_count++] = (hd_cuda_instruction){
        .code = (uint8_t)code, .bits = (uint8_t)hd_cuda_bits_of(result), .x = x, .y = y, .z = z};
    note(program, made, result);
    return made;
}

static value emit_one(const selection *s, hd_cuda_function_code code, hd_dtype result, value x)
{
    return emit(s, code, result, x, NO_VALUE, NO_VALUE);
}

/* Both operands must have the same type. */
static value emit_two(const selection *s, hd_cuda_function_code code, hd_dtype result, value x,
                      value y)
{
    return y == NO_VALUE || dtype_of(s, x) != dtype_of(s, y)
               ? NO_VALUE
               : emit(s, code, result, x, y, NO_VALUE);
}

/* The word that a constant is. */
static value constant(const selection *s, hd_dtype dtype, double number)
{
    hd_cuda_program *program = s->program;
    int64_t word = (int64_t)number;
    if (dtype == HD_FLOAT32) {
        float as_float = (float)number;
        uint32_t bits;
        memcpy(&bits, &as_float, sizeof bits);
        word = bits;
    }
    for (size_t i = 0; i < program->constant_count; i++) {
        value known = (value)(HD_CUDA_FROM_CONSTANT + i);
        if (program->constants[i] == word && program->dtypes[known] == dtype) {
            return known;
        }
    }
    if (program->constant_count == HD_CUDA_ELEMENTWISE_CONSTANTS) {
        return NO_VALUE;
    }
    value made = (value)(HD_CUDA_FROM_CONSTANT + program->constant_count);
    program->constants[program->constant_count++] = word;
    note(program, made, dtype);
    return made;
}

static value number(const selection *s, double n)
{
    return constant(s, HD_FLOAT32, n);
}

static value emit_parametric(const selection *s, hd_cuda_function_code code, float alpha,
                             float beta)
{
    value a = number(s, (double)alpha), b = number(s, (double)beta);
    bool fits = s->dtype == HD_FLOAT32 && a != NO_VALUE && b != NO_VALUE;
    return fits ? emit(s, code, HD_FLOAT32, operand(s, 0), a, b) : NO_VALUE;
}

static value emit_where(const selection *s, value condition, value yes, value no)
{
    hd_dtype dtype = dtype_of(s, yes);
    if (dtype_of(s, condition) != HD_BOOL || hd_dtype_size(dtype) == 0 ||
        dtype_of(s, no) != dtype) {
        return NO_VALUE;
    }
    if (no < HD_CUDA_FROM_CONSTANT) { /* a third operand is no input */
        no = emit_one(s, HD_CUDA_COPY_VALUE, dtype, no);
    }
    return no == NO_VALUE ? NO_VALUE : emit(s, HD_CUDA_CHOOSE, dtype, condition, yes, no);
}

static value emit_cast(const selection *s, value x, hd_dtype to)
{
    hd_dtype from = dtype_of(s, x);
    if (from == to) {
        return x;
    }
    if (from == HD_FLOAT64 || to == HD_FLOAT64 || hd_narrow_is(from) || hd_narrow_is(to) ||
        hd_dtype_size(from) == 0 || hd_dtype_size(to) == 0) {
        return NO_VALUE;
    }
    bool is_unsigned = from == HD_UINT64;
    if (from == HD_FLOAT16 || from == HD_BFLOAT16) {
        x = emit_one(s, from == HD_FLOAT16 ? HD_CUDA_NUMBER_OF_HALF : HD_CUDA_NUMBER_OF_BFLOAT,
                     HD_FLOAT32, x);
        from = HD_FLOAT32;
    } else if ((to == HD_FLOAT16 || to == HD_BFLOAT16) && from != HD_FLOAT32) {
        x = emit_one(s, is_unsigned ? HD_CUDA_ODD_OF_UNSIGNED : HD_CUDA_ODD_OF_INTEGER, HD_FLOAT32,
                     x);
        from = HD_FLOAT32;
    }
    if (from == to) {
        return x;
    }
    bool is_number = from == HD_FLOAT32;
    switch (to) {
    case HD_FLOAT16:
        return emit_one(s, HD_CUDA_HALF_OF_NUMBER, to, x);
    case HD_BFLOAT16:
        return emit_one(s, HD_CUDA_BFLOAT_OF_NUMBER, to, x);
    case HD_FLOAT32:
        return emit_one(s, is_unsigned ? HD_CUDA_NUMBER_OF_UNSIGNED : HD_CUDA_NUMBER_OF_INTEGER, to,
                        x);
    case HD_BOOL:
        return emit_one(s, is_number ? HD_CUDA_NUMBER_IS_NOT_ZERO : HD_CUDA_INTEGER_IS_NOT_ZERO, to,
                        x);
    case HD_UINT64:
        return emit_one(s, is_number ? HD_CUDA_UNSIGNED_OF_NUMBER : HD_CUDA_COPY_VALUE, to, x);
    default:
        return emit_one(s, is_number ? HD_CUDA_INTEGER_OF_NUMBER : HD_CUDA_COPY_VALUE, to, x);
    }
}

/* --- operators that are one function: of numbers, of integers, or of either */

typedef enum group { ANY_TYPE, ONLY_BOOL, NOT_BOOL } group;

typedef struct simple {
    uint8_t of_numbers, of_integers; /* 0: none */
    uint8_t operands;
    bool gives_bool;
    bool is_swapped;
    bool is_signed;   /* of integers: signed ones only */
    bool needs_order; /* of integers: not of uint64, which words do not order */
    group types;      /* of integers */
} simple;

#define NUMBER(name) {.of_numbers = HD_CUDA_NUMBER_##name, .operands = 1}
#define CALLED(name) {.of_numbers = HD_CUDA_##name, .operands = 1}
#define BOTH(name, ...)                                                                            \
    {.of_numbers = HD_CUDA_NUMBER_##name, .of_integers = HD_CUDA_INTEGER_##name, __VA_ARGS__}
#define INTEGER(name, ...) {.of_integers = HD_CUDA_INTEGER_##name, __VA_ARGS__}
#define COMPARISON         .operands = 2, .gives_bool = true
static const simple simples[HD_OP_COUNT] = {
    [HD_OP_ADD] = BOTH(ADD, .operands = 2, .types = NOT_BOOL),
    [HD_OP_SUB] = BOTH(SUBTRACT, .operands = 2, .types = NOT_BOOL),
    [HD_OP_MUL] = BOTH(MULTIPLY, .operands = 2, .types = NOT_BOOL),
    [HD_OP_DIV] = BOTH(DIVIDE, .operands = 2, .types = NOT_BOOL, .needs_order = true),
    [HD_OP_PRELU] = BOTH(PRELU, .operands = 2, .types = NOT_BOOL, .is_signed = true),
    [HD_OP_EQUAL] = BOTH(EQUAL, COMPARISON),
    [HD_OP_LESS] = BOTH(LESS, COMPARISON, .types = NOT_BOOL, .needs_order = true),
    [HD_OP_LESS_OR_EQUAL] = BOTH(LESS_OR_EQUAL, COMPARISON, .types = NOT_BOOL, .needs_order = true),
    [HD_OP_GREATER] =
        BOTH(LESS, COMPARISON, .types = NOT_BOOL, .needs_order = true, .is_swapped = true),
    [HD_OP_GREATER_OR_EQUAL] =
        BOTH(LESS_OR_EQUAL, COMPARISON, .types = NOT_BOOL, .needs_order = true, .is_swapped = true),
    [HD_OP_AND] = INTEGER(AND, COMPARISON, .types = ONLY_BOOL),
    [HD_OP_OR] = INTEGER(OR, COMPARISON, .types = ONLY_BOOL),
    [HD_OP_XOR] = INTEGER(XOR, COMPARISON, .types = ONLY_BOOL),
    [HD_OP_NOT] = INTEGER(IS_ZERO, .operands = 1, .gives_bool = true, .types = ONLY_BOOL),
    [HD_OP_BITWISE_AND] = INTEGER(AND, .operands = 2, .types = NOT_BOOL),
    [HD_OP_BITWISE_OR] = INTEGER(OR, .operands = 2, .types = NOT_BOOL),
    [HD_OP_BITWISE_XOR] = INTEGER(XOR, .operands = 2, .types = NOT_BOOL),
    [HD_OP_BITWISE_NOT] = INTEGER(NOT, .operands = 1, .types = NOT_BOOL),
    [HD_OP_ABS] = BOTH(ABSOLUTE, .operands = 1, .types = NOT_BOOL, .needs_order = true),
    [HD_OP_NEG] = BOTH(NEGATE, .operands = 1, .types = NOT_BOOL, .is_signed = true),
    [HD_OP_SIGN] = BOTH(SIGN, .operands = 1, .types = NOT_BOOL, .needs_order = true),
    [HD_OP_IS_NAN] = {.of_numbers = HD_CUDA_NUMBER_IS_NAN, .operands = 1, .gives_bool = true},
    [HD_OP_EXP] = NUMBER(EXP),
    [HD_OP_LOG] = NUMBER(LOG),
    [HD_OP_SQRT] = NUMBER(SQRT),
    [HD_OP_RECIPROCAL] = NUMBER(RECIPROCAL),
    [HD_OP_ERF] = NUMBER(ERF),
    [HD_OP_TANH] = NUMBER(TANH),
    [HD_OP_SIGMOID] = NUMBER(SIGMOID),
    [HD_OP_FLOOR] = NUMBER(FLOOR),
    [HD_OP_CEIL] = NUMBER(CEIL),
    [HD_OP_ROUND] = NUMBER(ROUND),
    [HD_OP_SOFTPLUS] = CALLED(SOFTPLUS),
    [HD_OP_MISH] = CALLED(MISH),
    [HD_OP_SIN] = CALLED(SIN),
    [HD_OP_COS] = CALLED(COS),
    [HD_OP_TAN] = CALLED(TAN),
    [HD_OP_ASIN] = CALLED(ASIN),
    [HD_OP_ACOS] = CALLED(ACOS),
    [HD_OP_ATAN] = CALLED(ATAN),
    [HD_OP_SINH] = CALLED(SINH),
    [HD_OP_COSH] = CALLED(COSH),
    [HD_OP_ASINH] = CALLED(ASINH),
    [HD_OP_ACOSH] = CALLED(ACOSH),
    [HD_OP_ATANH] = CALLED(ATANH),
};
#undef NUMBER
#undef CALLED
#undef BOTH
#undef INTEGER
#undef COMPARISON

static value select_simple(const selection *s, const simple *row)
{
    uint8_t code = s->dtype == HD_FLOAT32 ? row->of_numbers : row->of_integers;
    if (s->dtype == HD_BOOL
            ? row->types == NOT_BOOL
            : s->dtype != HD_FLOAT32 && (!is_integer(s->dtype) || row->types == ONLY_BOOL)) {
        return NO_VALUE;
    }
    if (code == 0 || (s->dtype != HD_FLOAT32 && row->is_signed && !is_signed(s->dtype)) ||
        (s->dtype == HD_UINT64 && row->needs_order)) {
        return NO_VALUE;
    }
    hd_dtype result = row->gives_bool ? HD_BOOL : s->dtype;
    if (row->operands == 1) {
        return emit_one(s, code, result, operand(s, 0));
    }
    return emit_two(s, code, result, operand(s, row->is_swapped ? 1 : 0),
                    operand(s, row->is_swapped ? 0 : 1));
}

/* --- the others */

/* A function that numbers and integers have, but for uint64, which words do not order. */
static value emit_either(const selection *s, hd_cuda_function_code of_numbers,
                         hd_cuda_function_code of_integers, value x, value y)
{
    if (s->dtype == HD_FLOAT32) {
        return emit_two(s, of_numbers, s->dtype, x, y);
    }
    return is_integer(s->dtype) && s->dtype != HD_UINT64 ? emit_two(s, of_integers, s->dtype, x, y)
                                                         : NO_VALUE;
}

static value select_gelu(const selection *s)
{
    const char *approximate = hd_operation_string(s->operation, "approximate", "none");
    return s->dtype != HD_FLOAT32 ? NO_VALUE
                                  : emit_one(s,
                                             strcmp(approximate, "tanh") == 0 ? HD_CUDA_GELU_BY_TANH
                                                                              : HD_CUDA_NUMBER_GELU,
                                             s->dtype, operand(s, 0));
}

static value select_relu(const selection *s)
{
    return s->dtype == HD_FLOAT32 ? emit_one(s, HD_CUDA_NUMBER_RELU, s->dtype, operand(s, 0))
                                  : emit_either(s, HD_CUDA_NUMBER_MAXIMUM, HD_CUDA_INTEGER_MAXIMUM,
                                                operand(s, 0), constant(s, s->dtype, 0.0));
}

/* SwiGLU: the gate's swish, times what it lets through. */
static value select_activation(const selection *s)
{
    static const struct {
        hd_cuda_function_code code;
        float alpha, beta;
    } rows[HD_OP_COUNT] = {
        [HD_OP_LEAKY_RELU] = {HD_CUDA_LEAKY, 0.01f, 0.0f},
        [HD_OP_ELU] = {HD_CUDA_ELU, 1.0f, 0.0f},
        [HD_OP_CELU] = {HD_CUDA_CELU, 1.0f, 0.0f},
        [HD_OP_SELU] = {HD_CUDA_SELU, 1.67326319217681884765625f, 1.05070102214813232421875f},
        [HD_OP_HARD_SIGMOID] = {HD_CUDA_HARD_SIGMOID_OF, 0.2f, 0.5f},
        [HD_OP_HARD_SWISH] = {HD_CUDA_HARD_SWISH_OF, 1.0f / 6.0f, 0.5f},
        [HD_OP_SWISH] = {HD_CUDA_SWISH, 1.0f, 0.0f},
        [HD_OP_SWI_GLU] = {HD_CUDA_SWISH, 1.0f, 0.0f}};
    hd_operator_id id = s->operation->id;
    value v = emit_parametric(s, rows[id].code, attribute(s, "alpha", rows[id].alpha),
                              attribute(s, id == HD_OP_SELU ? "gamma" : "beta", rows[id].beta));
    return id == HD_OP_SWI_GLU ? emit_two(s, HD_CUDA_NUMBER_MULTIPLY, s->dtype, v, operand(s, 1))
                               : v;
}

static value select_thresholded_relu(const selection *s)
{
    if (s->dtype != HD_FLOAT32) {
        return NO_VALUE;
    }
    value alpha = number(s, (double)attribute(s, "alpha", 1.0f)), x = operand(s, 0);
    return emit_where(s, emit_two(s, HD_CUDA_NUMBER_LESS, HD_BOOL, alpha, x), x, number(s, 0.0));
}

static value select_softsign(const selection *s)
{
    if (s->dtype != HD_FLOAT32) {
        return NO_VALUE;
    }
    value magnitude = emit_one(s, HD_CUDA_NUMBER_ABSOLUTE, s->dtype, operand(s, 0));
    value divisor = emit_two(s, HD_CUDA_NUMBER_ADD, s->dtype, magnitude, number(s, 1.0));
    return emit_two(s, HD_CUDA_NUMBER_DIVIDE, s->dtype, operand(s, 0), divisor);
}

static value select_shrink(const selection *s)
{
    if (s->dtype != HD_FLOAT32) {
        return NO_VALUE;
    }
    value x = operand(s, 0);
    double lambda = (double)attribute(s, "lambd", 0.5f);
    value bias = number(s, (double)attribute(s, "bias", 0.0f));
    value is_above = emit_two(s, HD_CUDA_NUMBER_LESS, HD_BOOL, number(s, lambda), x);
    value lowered = emit_two(s, HD_CUDA_NUMBER_SUBTRACT, s->dtype, x, bias);
    value result = emit_where(s, is_above, lowered, number(s, 0.0));
    value is_below = emit_two(s, HD_CUDA_NUMBER_LESS, HD_BOOL, x, number(s, -lambda));
    value raised = emit_two(s, HD_CUDA_NUMBER_ADD, s->dtype, x, bias);
    return emit_where(s, is_below, raised, result);
}

static value select_clip(const selection *s)
{
    value low = operand(s, 1), high = operand(s, 2), x = operand(s, 0);
    if (s->operation->opset < 11) {
        if (s->dtype != HD_FLOAT32) {
            return NO_VALUE;
        }
        low = number(s, (double)attribute(s, "min", -FLT_MAX));
        high = number(s, (double)attribute(s, "max", FLT_MAX));
    }
    if (low != NO_VALUE) {
        x = emit_either(s, HD_CUDA_NUMBER_AT_LEAST, HD_CUDA_INTEGER_MAXIMUM, x, low);
    }
    if (high != NO_VALUE) {
        x = emit_either(s, HD_CUDA_NUMBER_AT_MOST, HD_CUDA_INTEGER_MINIMUM, x, high);
    }
    return x;
}

static value select_variadic(const selection *s)
{
    hd_operator_id id = s->operation->id;
    bool is_max = id == HD_OP_MAX, is_min = id == HD_OP_MIN;
    value result = operand(s, 0);
    for (size_t i = 1; i < s->count; i++) {
        result = emit_either(s,
                             is_max   ? HD_CUDA_NUMBER_MAXIMUM
                             : is_min ? HD_CUDA_NUMBER_MINIMUM
                                      : HD_CUDA_NUMBER_ADD,
                             is_max   ? HD_CUDA_INTEGER_MAXIMUM
                             : is_min ? HD_CUDA_INTEGER_MINIMUM
                                      : HD_CUDA_INTEGER_ADD,
                             result, operand(s, i));
    }
    if (id == HD_OP_MEAN && s->count > 1) {
        result = emit_either(s, HD_CUDA_NUMBER_DIVIDE, HD_CUDA_INTEGER_DIVIDE, result,
                             constant(s, s->dtype, (double)s->count));
    }
    return result;
}

static value select_power(const selection *s)
{
    value base = operand(s, 0), exponent = operand(s, 1);
    if (s->dtype == HD_FLOAT32) {
        return emit_two(s, HD_CUDA_NUMBER_POWER, HD_FLOAT32, base,
                        emit_cast(s, exponent, HD_FLOAT32));
    }
    if (!is_integer(s->dtype) || !is_integer(dtype_of(s, exponent))) {
        return NO_VALUE;
    }
    value result = emit_two(s, HD_CUDA_INTEGER_POWER, HD_INT64, emit_cast(s, base, HD_INT64),
                            emit_cast(s, exponent, HD_INT64));
    return result == NO_VALUE ? NO_VALUE : emit_cast(s, result, s->dtype);
}

static value select_modulo(const selection *s)
{
    bool is_remainder = hd_operation_int(s->operation, "fmod", 0) != 0;
    return emit_either(s, is_remainder ? HD_CUDA_NUMBER_REMAINDER : HD_CUDA_NUMBER_MODULO,
                       is_remainder ? HD_CUDA_INTEGER_REMAINDER : HD_CUDA_INTEGER_MODULO,
                       operand(s, 0), operand(s, 1));
}

static value select_shift(const selection *s)
{
    bool is_left = strcmp(hd_operation_string(s->operation, "direction", ""), "LEFT") == 0;
    return is_integer(s->dtype) && !is_signed(s->dtype)
               ? emit_two(s, is_left ? HD_CUDA_INTEGER_SHIFT_LEFT : HD_CUDA_INTEGER_SHIFT_RIGHT,
                          s->dtype, operand(s, 0), operand(s, 1))
               : NO_VALUE;
}

static value select_is_infinite(const selection *s)
{
    bool wants_above = hd_operation_int(s->operation, "detect_positive", 1) != 0;
    bool wants_below = hd_operation_int(s->operation, "detect_negative", 1) != 0;
    if (s->dtype != HD_FLOAT32) {
        return NO_VALUE;
    }
    if (!wants_above && !wants_below) {
        return emit_one(s, HD_CUDA_COPY_VALUE, HD_BOOL, constant(s, HD_BOOL, 0.0));
    }
    return emit_one(s,
                    wants_above && wants_below ? HD_CUDA_NUMBER_IS_INFINITE
                    : wants_above              ? HD_CUDA_NUMBER_IS_POSITIVE_INFINITY
                                               : HD_CUDA_NUMBER_IS_NEGATIVE_INFINITY,
                    HD_BOOL, operand(s, 0));
}

static value select_where(const selection *s)
{
    return emit_where(s, operand(s, 0), operand(s, 1), operand(s, 2));
}

static value select_cast(const selection *s)
{
    return emit_cast(s, operand(s, 0), s->operation->outputs[0].dtype);
}

static value (*const specials[HD_OP_COUNT])(const selection *s) = {
    [HD_OP_GELU] = select_gelu,
    [HD_OP_RELU] = select_relu,
    [HD_OP_LEAKY_RELU] = select_activation,
    [HD_OP_ELU] = select_activation,
    [HD_OP_CELU] = select_activation,
    [HD_OP_SELU] = select_activation,
    [HD_OP_HARD_SIGMOID] = select_activation,
    [HD_OP_HARD_SWISH] = select_activation,
    [HD_OP_SWISH] = select_activation,
    [HD_OP_SWI_GLU] = select_activation,
    [HD_OP_THRESHOLDED_RELU] = select_thresholded_relu,
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
    [HD_OP_CAST] = select_cast,
    [HD_OP_CAST_LIKE] = select_cast,
};

uint8_t hd_cuda_program_convert(hd_cuda_program *program, uint8_t v, hd_dtype dtype)
{
    selection s = {.program = program};
    return v == NO_VALUE || dtype_of(&s, v) == dtype ? v : emit_cast(&s, v, dtype);
}

uint8_t hd_cuda_program_add(hd_cuda_program *program, const hd_operation *operation,
                            size_t operand_count, const uint8_t *operands)
{
    selection s = {program, operation, operand_count, operands, HD_DTYPE_NONE};
    s.dtype = dtype_of(&s, operand(&s, 0));
    if (s.dtype == HD_DTYPE_NONE) {
        return NO_VALUE;
    }
    value made = simples[operation->id].operands != 0 ? select_simple(&s, &simples[operation->id])
                 : specials[operation->id] != NULL    ? specials[operation->id](&s)
                                                      : NO_VALUE;
    hd_dtype wanted = operation->outputs[0].dtype, found = dtype_of(&s, made);
    /* halves in place of float32 are rounded where the program ends */
    bool fits = wanted == HD_DTYPE_NONE || found == wanted ||
                (found == HD_FLOAT32 && (wanted == HD_FLOAT16 || wanted == HD_BFLOAT16));
    return made != NO_VALUE && fits ? made : NO_VALUE;
}

/* --- places */

/* What an instruction finds value `v` under. */
static uint8_t place_of(const uint8_t *slots, size_t instruction, value v)
{
    if (v == NO_VALUE) {
        return HD_CUDA_FROM_NOWHERE;
    }
    if (v < HD_CUDA_FIRST_RESULT) {
        return v;
    }
    size_t maker = v - HD_CUDA_FIRST_RESULT;
    return maker + 1 == instruction ? HD_CUDA_FROM_LAST
                                    : (uint8_t)(HD_CUDA_FROM_SLOT + slots[maker]);
}

bool hd_cuda_program_end(hd_cuda_program *program, uint8_t v)
{
    selection s = {.program = program};
    size_t count = program->instruction_count;
    if (v == NO_VALUE || v != HD_CUDA_FIRST_RESULT + count - 1 || count == 0) {
        v = emit_one(&s, HD_CUDA_COPY_VALUE, dtype_of(&s, v), v);
        count = program->instruction_count;
    }
    if (v == NO_VALUE) {
        return false;
    }
    uint8_t last_use[HD_CUDA_ELEMENTWISE_INSTRUCTIONS] = {0};
    uint8_t slots[HD_CUDA_ELEMENTWISE_INSTRUCTIONS];
    for (size_t i = 0; i < count; i++) {
        const hd_cuda_instruction *in = &program->instructions[i];
        const value read[] = {in->x, in->y, in->z};
        for (size_t k = 0; k < 3; k++) {
            if (read[k] != NO_VALUE && read[k] >= HD_CUDA_FIRST_RESULT) {
                last_use[read[k] - HD_CUDA_FIRST_RESULT] = (uint8_t)i;
            }
        }
    }
    uint8_t free_from[HD_CUDA_ELEMENTWISE_SLOTS] = {0}; /* the instruction that may write it */
    for (size_t i = 0; i < count; i++) {
        hd_cuda_instruction *in = &program->instructions[i];
        in->x = place_of(slots, i, in->x);
        in->y = place_of(slots, i, in->y);
        in->z = place_of(slots, i, in->z);
        in->keep = HD_CUDA_FROM_NOWHERE;
        if (last_use[i] > i + 1) {
            uint8_t slot = 0;
            while (slot < HD_CUDA_ELEMENTWISE_SLOTS && free_from[slot] > i) {
                slot++;
            }
            if (slot == HD_CUDA_ELEMENTWISE_SLOTS) {
                return false;
            }
            free_from[slot] = last_use[i];
            slots[i] = slot;
            in->keep = slot;
        }
    }
    return true;
}
