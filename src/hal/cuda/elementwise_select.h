/* From elementwise operators to the instructions of the elementwise kernels.
 *
 * Thread-safety: a plain value. */
#ifndef HD_HAL_CUDA_ELEMENTWISE_SELECT_H
#define HD_HAL_CUDA_ELEMENTWISE_SELECT_H

#include "hal/cuda/kernels/elementwise.h"
#include "operation/operation.h"

enum {
    HD_CUDA_NO_VALUE = 255,
    HD_CUDA_FIRST_RESULT = 64, /* values: inputs, constants (as instructions name them), results */
    HD_CUDA_VALUE_COUNT = HD_CUDA_FIRST_RESULT + HD_CUDA_ELEMENTWISE_INSTRUCTIONS
};

/* A program in the making: operands of its instructions are values. */
typedef struct hd_cuda_program {
    hd_dtype dtypes[HD_CUDA_VALUE_COUNT];
    hd_cuda_instruction instructions[HD_CUDA_ELEMENTWISE_INSTRUCTIONS];
    int64_t constants[HD_CUDA_ELEMENTWISE_CONSTANTS];
    uint8_t instruction_count;
    uint8_t constant_count;
    bool is_wide; /* a value does not fit a word of 4 bytes */
} hd_cuda_program;

/* Has input `index` be of this type; HD_DTYPE_NONE: it is not there. */
void hd_cuda_program_input(hd_cuda_program *program, size_t index, hd_dtype dtype);
/* The value as one of another type; HD_CUDA_NO_VALUE likewise. */
uint8_t hd_cuda_program_convert(hd_cuda_program *program, uint8_t value, hd_dtype dtype);
/* The operation's result from the values of its operands; HD_CUDA_NO_VALUE: there are no such instructions, or no room. */
uint8_t hd_cuda_program_add(hd_cuda_program *program, const hd_operation *operation,
                            size_t operand_count, const uint8_t *operands);
/* Has the program end with the value, and puts what its instructions read in places. False: there is no room. */
bool hd_cuda_program_end(hd_cuda_program *program, uint8_t value);
hd_cuda_bits hd_cuda_bits_of(hd_dtype dtype);

#endif
