/* The parameters of the elementwise kernels: a small program over the elements of broadcast operands; see elementwise.cu. */
#ifndef HD_HAL_CUDA_KERNELS_ELEMENTWISE_H
#define HD_HAL_CUDA_KERNELS_ELEMENTWISE_H

#include "divisor.h"

#define HD_CUDA_RANK                     8
#define HD_CUDA_ELEMENTWISE_INPUTS       16
#define HD_CUDA_ELEMENTWISE_CONSTANTS    24
#define HD_CUDA_ELEMENTWISE_SLOTS        16
#define HD_CUDA_ELEMENTWISE_INSTRUCTIONS 96

/* Where an instruction finds an operand: these and what follows them. */
enum {
    HD_CUDA_FROM_INPUT = 0,
    HD_CUDA_FROM_CONSTANT = 16,
    HD_CUDA_FROM_SLOT = 48,
    HD_CUDA_FROM_LAST = 64, /* the result of the instruction before */
    HD_CUDA_FROM_NOWHERE = 65
};

/* How a value lies in memory, and fits a word, of 4 or 8 bytes: integers are extended, other bits have zeros before them. */
typedef enum hd_cuda_bits {
    HD_CUDA_BITS_U8,
    HD_CUDA_BITS_U16,
    HD_CUDA_BITS_U32,
    HD_CUDA_BITS_64,
    HD_CUDA_BITS_S8,
    HD_CUDA_BITS_S16,
    HD_CUDA_BITS_S32
} hd_cuda_bits;

/* x, y and z are the operands. NUMBER: of float32; INTEGER: of integers, which wrap around. */
typedef enum hd_cuda_function_code {
    HD_CUDA_COPY_VALUE,
    HD_CUDA_CHOOSE, /* x is not 0 ? y : z */
    HD_CUDA_NUMBER_ADD,
    HD_CUDA_NUMBER_SUBTRACT,
    HD_CUDA_NUMBER_MULTIPLY,
    HD_CUDA_NUMBER_DIVIDE,
    HD_CUDA_NUMBER_MAXIMUM, /* NaN if either is */
    HD_CUDA_NUMBER_MINIMUM,
    HD_CUDA_NUMBER_AT_LEAST, /* NaN where x is */
    HD_CUDA_NUMBER_AT_MOST,
    HD_CUDA_NUMBER_MODULO,    /* the divisor's sign */
    HD_CUDA_NUMBER_REMAINDER, /* the dividend's sign */
    HD_CUDA_NUMBER_EQUAL,
    HD_CUDA_NUMBER_LESS,
    HD_CUDA_NUMBER_LESS_OR_EQUAL,
    HD_CUDA_NUMBER_PRELU,
    HD_CUDA_NUMBER_POWER,
    HD_CUDA_NUMBER_ABSOLUTE,
    HD_CUDA_NUMBER_NEGATE,
    HD_CUDA_NUMBER_SIGN,
    HD_CUDA_NUMBER_IS_NAN,
    HD_CUDA_NUMBER_IS_POSITIVE_INFINITY,
    HD_CUDA_NUMBER_IS_NEGATIVE_INFINITY,
    HD_CUDA_NUMBER_IS_INFINITE,
    HD_CUDA_NUMBER_RELU,
    HD_CUDA_NUMBER_SQRT,
    HD_CUDA_NUMBER_RECIPROCAL,
    HD_CUDA_NUMBER_FLOOR,
    HD_CUDA_NUMBER_CEIL,
    HD_CUDA_NUMBER_ROUND,
    HD_CUDA_NUMBER_EXP,
    HD_CUDA_NUMBER_LOG,
    HD_CUDA_NUMBER_ERF,
    HD_CUDA_NUMBER_TANH,
    HD_CUDA_NUMBER_SIGMOID,
    HD_CUDA_NUMBER_GELU,
    HD_CUDA_INTEGER_ADD,
    HD_CUDA_INTEGER_SUBTRACT,
    HD_CUDA_INTEGER_MULTIPLY,
    HD_CUDA_INTEGER_DIVIDE, /* 0 where y is */
    HD_CUDA_INTEGER_MAXIMUM,
    HD_CUDA_INTEGER_MINIMUM,
    HD_CUDA_INTEGER_MODULO,
    HD_CUDA_INTEGER_REMAINDER,
    HD_CUDA_INTEGER_EQUAL,
    HD_CUDA_INTEGER_LESS,
    HD_CUDA_INTEGER_LESS_OR_EQUAL,
    HD_CUDA_INTEGER_PRELU,
    HD_CUDA_INTEGER_POWER,
    HD_CUDA_INTEGER_ABSOLUTE,
    HD_CUDA_INTEGER_NEGATE,
    HD_CUDA_INTEGER_SIGN,
    HD_CUDA_INTEGER_AND,
    HD_CUDA_INTEGER_OR,
    HD_CUDA_INTEGER_XOR,
    HD_CUDA_INTEGER_NOT,
    HD_CUDA_INTEGER_IS_ZERO,
    HD_CUDA_INTEGER_SHIFT_LEFT, /* 0 from the type's width on */
    HD_CUDA_INTEGER_SHIFT_RIGHT,
    HD_CUDA_INTEGER_OF_NUMBER, /* NaN: 0; beyond int64: its nearest end */
    HD_CUDA_UNSIGNED_OF_NUMBER,
    HD_CUDA_NUMBER_OF_INTEGER,
    HD_CUDA_NUMBER_OF_UNSIGNED, /* uint64 */
    HD_CUDA_ODD_OF_INTEGER,     /* cut to float32, the last bit set if anything was lost */
    HD_CUDA_ODD_OF_UNSIGNED,
    HD_CUDA_NUMBER_IS_NOT_ZERO,
    HD_CUDA_INTEGER_IS_NOT_ZERO,
    HD_CUDA_HALF_OF_NUMBER,
    HD_CUDA_NUMBER_OF_HALF,
    HD_CUDA_BFLOAT_OF_NUMBER,
    HD_CUDA_NUMBER_OF_BFLOAT,
    HD_CUDA_RARE, /* from here on: functions of float32 that are called */
    HD_CUDA_GELU_BY_TANH = HD_CUDA_RARE,
    HD_CUDA_SOFTPLUS,
    HD_CUDA_MISH,
    HD_CUDA_SIN,
    HD_CUDA_COS,
    HD_CUDA_TAN,
    HD_CUDA_ASIN,
    HD_CUDA_ACOS,
    HD_CUDA_ATAN,
    HD_CUDA_SINH,
    HD_CUDA_COSH,
    HD_CUDA_ASINH,
    HD_CUDA_ACOSH,
    HD_CUDA_ATANH,
    HD_CUDA_LEAKY, /* y is alpha, z beta, as in vector_math.h */
    HD_CUDA_ELU,
    HD_CUDA_CELU,
    HD_CUDA_SELU,
    HD_CUDA_HARD_SIGMOID_OF,
    HD_CUDA_HARD_SWISH_OF,
    HD_CUDA_SWISH
} hd_cuda_function_code;

typedef struct hd_cuda_instruction {
    unsigned char code;
    unsigned char bits;    /* what the result is cut to */
    unsigned char x, y, z; /* z comes from no input */
    unsigned char keep;    /* the slot that takes the result, too, or HD_CUDA_FROM_NOWHERE */
} hd_cuda_instruction;

/* How four neighbours of the output, from a multiple of 4 on, find an input's elements. */
typedef enum hd_cuda_access {
    HD_CUDA_ONE_BY_ONE,
    HD_CUDA_FLAT,       /* as the output's lie */
    HD_CUDA_NEIGHBOURS, /* four neighbours, from a multiple of 4 on */
    HD_CUDA_REPEATED    /* all four find one */
} hd_cuda_access;

typedef struct hd_cuda_elementwise {
    const void *inputs[HD_CUDA_ELEMENTWISE_INPUTS];
    void *y;
    unsigned count; /* elements of y, row-major; less than 2^31 */
    int rank;
    hd_cuda_divisor dims[HD_CUDA_RANK];
    int strides[HD_CUDA_ELEMENTWISE_INPUTS][HD_CUDA_RANK]; /* elements; 0 where it repeats */
    unsigned char access[HD_CUDA_ELEMENTWISE_INPUTS];
    unsigned char bits[HD_CUDA_ELEMENTWISE_INPUTS];
    unsigned char y_bits;
    unsigned char instruction_count;
    hd_cuda_instruction instructions[HD_CUDA_ELEMENTWISE_INSTRUCTIONS];
    long long constants[HD_CUDA_ELEMENTWISE_CONSTANTS];
} hd_cuda_elementwise;

/* Elements a block. */
#define HD_CUDA_ELEMENTWISE_BLOCK  128
#define HD_CUDA_ELEMENTWISE_NARROW (8 * HD_CUDA_ELEMENTWISE_BLOCK)
#define HD_CUDA_ELEMENTWISE_WIDE   (4 * HD_CUDA_ELEMENTWISE_BLOCK)

#endif
