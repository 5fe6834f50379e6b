/* Elementwise program: a sequence of elementwise functions over broadcast inputs, evaluated block by
 * block, so that what lies between two functions stays in the first cache.
 *
 * Thread-safety: one thread at a time while it is built, immutable afterwards. */
#ifndef HD_HAL_CPU_OPS_ELEMENTWISE_PROGRAM_H
#define HD_HAL_CPU_OPS_ELEMENTWISE_PROGRAM_H

#include "hal/cpu/kernel.h"
#include "hal/cpu/ops/elementwise_function.h"

/* Names an input, a constant or an instruction's result. */
typedef uint32_t hd_cpu_elementwise_value;
#define HD_ELEMENTWISE_NO_VALUE UINT32_MAX

typedef enum hd_cpu_elementwise_access {
    HD_ELEMENTWISE_FLAT,     /* an input whose elements lie as the output's */
    HD_ELEMENTWISE_SCALAR,   /* an input of one element, or a constant */
    HD_ELEMENTWISE_STRIDED,  /* an input that is repeated along some dimension */
    HD_ELEMENTWISE_PERIODIC, /* an input of one short row, the same for all rows */
    HD_ELEMENTWISE_COMPUTED, /* an instruction's result */
    HD_ELEMENTWISE_ABSENT    /* an input that is left out */
} hd_cpu_elementwise_access;

typedef struct hd_cpu_elementwise_variable {
    hd_dtype dtype;
    hd_cpu_elementwise_access access;
    bool is_constant;
    bool is_scalar;   /* one element for a whole block */
    bool is_expanded; /* a block of copies of it is needed */
    size_t element_size;
    /* of the block: a result's, or an input's that is expanded or gathered */
    size_t scratch_offset;
    size_t last_reader;           /* a result's: the last instruction that reads it */
    bool holds_block;             /* a result's: no later one has its block */
    uint64_t constant;            /* the element's bytes */
    int64_t strides[HD_MAX_RANK]; /* elements, over the program's dimensions */
} hd_cpu_elementwise_variable;

enum { HD_ELEMENTWISE_OPERANDS = 8 }; /* of an instruction, at most */

typedef struct hd_cpu_elementwise_instruction {
    hd_cpu_elementwise_function *function;
    hd_cpu_elementwise_parameters parameters;
    hd_cpu_elementwise_value operands[HD_ELEMENTWISE_OPERANDS];
    uint8_t operand_count;
    uint8_t accepted; /* bit k: operand k may be a scalar */
    uint8_t scalars;  /* bit k: operand k is given as a scalar */
    uint8_t cost;     /* of an element, about, in additions */
    hd_cpu_elementwise_value result;
} hd_cpu_elementwise_instruction;

/* Inputs are variables 0 to input_count-1. */
typedef struct hd_cpu_elementwise_program {
    hd_cpu_elementwise_variable *variables;
    hd_cpu_elementwise_instruction *instructions;
    size_t input_count;
    size_t variable_count;
    size_t variable_capacity;
    size_t instruction_count;
    size_t instruction_capacity;
    uint32_t rank; /* dimensions are merged as far as all inputs allow */
    int64_t dims[HD_MAX_RANK];
    int64_t count;
    int64_t units; /* 64 elements each, of which tiles are made */
    int64_t tile_count;
    int64_t block; /* elements; whole rows where an input is periodic */
    /* 1 + the input of bytes that alone decides what the output's bytes are, so that a tile makes a table of the 256 results;
     * 0: there is none, or too few elements */
    size_t table_input;
    bool by_rows; /* blocks end where the last dimension ends, else repeated inputs are gathered */
} hd_cpu_elementwise_program;

/* What is emitted beyond the capacity, or with HD_ELEMENTWISE_NO_VALUE or NULL for a function, is
 * HD_ELEMENTWISE_NO_VALUE. */
hd_cpu_elementwise_value hd_cpu_elementwise_emit(hd_cpu_elementwise_program *program,
                                                 hd_cpu_elementwise_function *function,
                                                 unsigned accepted,
                                                 const hd_cpu_elementwise_parameters *parameters,
                                                 hd_dtype result_dtype, size_t operand_count,
                                                 const hd_cpu_elementwise_value *operands);
/* A constant of a type that can hold the value. */
hd_cpu_elementwise_value hd_cpu_elementwise_constant(hd_cpu_elementwise_program *program,
                                                     hd_dtype dtype, double value);
hd_dtype hd_cpu_elementwise_dtype(const hd_cpu_elementwise_program *program,
                                  hd_cpu_elementwise_value value);

/* A program that dequantizes two, adds or multiplies them, and quantizes becomes one instruction (elementwise_quantize.c). Inputs
 * have their `access`. */
void hd_cpu_elementwise_join_pair(hd_cpu_elementwise_program *program);

/* Makes the kernel: `shapes` are the inputs' (rank and dimensions that broadcast to `output`). The
 * last instruction's result is the output. */
void hd_cpu_elementwise_finish(hd_cpu_elementwise_program *program, const hd_shape *shapes,
                               const hd_shape *output, hd_kernel *kernel);

#endif
