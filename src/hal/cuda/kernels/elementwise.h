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

/* X(name): the functions. x, y and z are the operands. NUMBER: of float32; INTEGER: of integers, which wrap around. From
 * GELU_BY_TANH on: of float32, and called; from LEAKY on y is alpha, z beta, as in vector_math.h. */
#define HD_CUDA_CODE_LIST(X)                                                                       \
    X(COPY_VALUE)                                                                                  \
    X(CHOOSE) /* x is not 0 ? y : z */                                                             \
    X(NUMBER_ADD)                                                                                  \
    X(NUMBER_SUBTRACT)                                                                             \
    X(NUMBER_MULTIPLY)                                                                             \
    X(NUMBER_DIVIDE)                                                                               \
    X(NUMBER_MAXIMUM) /* NaN if either is */                                                       \
    X(NUMBER_MINIMUM)                                                                              \
    X(NUMBER_AT_LEAST) /* NaN where x is */                                                        \
    X(NUMBER_AT_MOST)                                                                              \
    X(NUMBER_MODULO)    /* the divisor's sign */                                                   \
    X(NUMBER_REMAINDER) /* the dividend's sign */                                                  \
    X(NUMBER_EQUAL)                                                                                \
    X(NUMBER_LESS)                                                                                 \
    X(NUMBER_LESS_OR_EQUAL)                                                                        \
    X(NUMBER_PRELU)                                                                                \
    X(NUMBER_POWER)                                                                                \
    X(NUMBER_ABSOLUTE)                                                                             \
    X(NUMBER_NEGATE)                                                                               \
    X(NUMBER_SIGN)                                                                                 \
    X(NUMBER_IS_NAN)                                                                               \
    X(NUMBER_IS_POSITIVE_INFINITY)                                                                 \
    X(NUMBER_IS_NEGATIVE_INFINITY)                                                                 \
    X(NUMBER_IS_INFINITE)                                                                          \
    X(NUMBER_RELU)                                                                                 \
    X(NUMBER_SQRT)                                                                                 \
    X(NUMBER_RECIPROCAL)                                                                           \
    X(NUMBER_FLOOR)                                                                                \
    X(NUMBER_CEIL)                                                                                 \
    X(NUMBER_ROUND)                                                                                \
    X(NUMBER_EXP)                                                                                  \
    X(NUMBER_LOG)                                                                                  \
    X(NUMBER_ERF)                                                                                  \
    X(NUMBER_TANH)                                                                                 \
    X(NUMBER_SIGMOID)                                                                              \
    X(NUMBER_GELU)                                                                                 \
    X(INTEGER_ADD)                                                                                 \
    X(INTEGER_SUBTRACT)                                                                            \
    X(INTEGER_MULTIPLY)                                                                            \
    X(INTEGER_DIVIDE) /* 0 where y is */                                                           \
    X(INTEGER_MAXIMUM)                                                                             \
    X(INTEGER_MINIMUM)                                                                             \
    X(INTEGER_MODULO)                                                                              \
    X(INTEGER_REMAINDER)                                                                           \
    X(INTEGER_EQUAL)                                                                               \
    X(INTEGER_LESS)                                                                                \
    X(INTEGER_LESS_OR_EQUAL)                                                                       \
    X(INTEGER_PRELU)                                                                               \
    X(INTEGER_POWER)                                                                               \
    X(INTEGER_ABSOLUTE)                                                                            \
    X(INTEGER_NEGATE)                                                                              \
    X(INTEGER_SIGN)                                                                                \
    X(INTEGER_AND)                                                                                 \
    X(INTEGER_OR)                                                                                  \
    X(INTEGER_XOR)                                                                                 \
    X(INTEGER_NOT)                                                                                 \
    X(INTEGER_IS_ZERO)                                                                             \
    X(INTEGER_SHIFT_LEFT) /* 0 from the type's width on */                                         \
    X(INTEGER_SHIFT_RIGHT)                                                                         \
    X(INTEGER_OF_NUMBER) /* NaN: 0; beyond int64: its nearest end */                               \
    X(UNSIGNED_OF_NUMBER)                                                                          \
    X(NUMBER_OF_INTEGER)                                                                           \
    X(NUMBER_OF_UNSIGNED) /* uint64 */                                                             \
    X(ODD_OF_INTEGER)     /* cut to float32, the last bit set if anything was lost */              \
    X(ODD_OF_UNSIGNED)                                                                             \
    X(NUMBER_IS_NOT_ZERO)                                                                          \
    X(INTEGER_IS_NOT_ZERO)                                                                         \
    X(HALF_OF_NUMBER)                                                                              \
    X(NUMBER_OF_HALF)                                                                              \
    X(BFLOAT_OF_NUMBER)                                                                            \
    X(NUMBER_OF_BFLOAT)                                                                            \
    X(GELU_BY_TANH)                                                                                \
    X(SOFTPLUS)                                                                                    \
    X(MISH)                                                                                        \
    X(SIN)                                                                                         \
    X(COS)                                                                                         \
    X(TAN)                                                                                         \
    X(ASIN)                                                                                        \
    X(ACOS)                                                                                        \
    X(ATAN)                                                                                        \
    X(SINH)                                                                                        \
    X(COSH)                                                                                        \
    X(ASINH)                                                                                       \
    X(ACOSH)                                                                                       \
    X(ATANH)                                                                                       \
    X(LEAKY)                                                                                       \
    X(ELU)                                                                                         \
    X(CELU)                                                                                        \
    X(SELU)                                                                                        \
    X(HARD_SIGMOID_OF)                                                                             \
    X(HARD_SWISH_OF)                                                                               \
    X(SWISH)

typedef enum hd_cuda_function_code {
#define HD_CUDA_CODE_(name) HD_CUDA_##name,
    HD_CUDA_CODE_LIST(HD_CUDA_CODE_)
#undef HD_CUDA_CODE_
        HD_CUDA_CODE_COUNT,
    HD_CUDA_CALLED =
        HD_CUDA_GELU_BY_TANH /* from here on: functions of float32 that the interpreter calls */
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
