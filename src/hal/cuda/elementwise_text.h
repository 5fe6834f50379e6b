/* Elementwise text: the PTX of a kernel for one elementwise program, which needs no interpreter. It is put together of the
 * functions of kernels/elementwise_functions.cu and has the interpreter's bits.
 *
 * Thread-safety: any thread. */
#ifndef HD_HAL_CUDA_ELEMENTWISE_TEXT_H
#define HD_HAL_CUDA_ELEMENTWISE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "hal/cuda/kernels/elementwise.h"

enum {
    HD_CUDA_ABSENT = HD_CUDA_REPEATED + 1, /* as an access: the input is not there */
    HD_CUDA_SCALAR,                        /* all elements find the first */
    HD_CUDA_FOURS = 4                      /* neighbours a thread, where it has not one */
};

/* All that the text follows from; shapes are parameters. Unused bytes are zeros, so that bytes tell whether two are equal. */
typedef struct hd_cuda_pattern {
    unsigned char elements; /* a thread: 1 or HD_CUDA_FOURS */
    unsigned char
        rank; /* of the dimensions that the inputs that are not flat are found by; 0: there are none */
    unsigned char y_bits;
    unsigned char input_count;
    unsigned char instruction_count;
    unsigned char constant_count;
    unsigned char access[HD_CUDA_ELEMENTWISE_INPUTS]; /* hd_cuda_access, or the above */
    unsigned char bits[HD_CUDA_ELEMENTWISE_INPUTS];
    hd_cuda_instruction instructions[HD_CUDA_ELEMENTWISE_INSTRUCTIONS];
    unsigned constants[HD_CUDA_ELEMENTWISE_CONSTANTS];
} hd_cuda_pattern;

/* The kernel's parameters: pointers to y and to the inputs, present or not; count; for each dimension its size and the factor
 * and shift that divide by it (kernels/divisor.h); for each input and dimension the stride. Words of 4 bytes behind the pointers. */
size_t hd_cuda_pattern_count_at(const hd_cuda_pattern *pattern);
size_t hd_cuda_pattern_dimension_at(const hd_cuda_pattern *pattern, size_t dimension);
size_t hd_cuda_pattern_stride_at(const hd_cuda_pattern *pattern, size_t input, size_t dimension);
/* Bytes of all of them. */
size_t hd_cuda_pattern_size(const hd_cuda_pattern *pattern);

#define HD_CUDA_TEXT_KERNEL "hd_elementwise" /* the kernel's name */

/* How long the functions of the program are, for one element. */
size_t hd_cuda_pattern_weight(const hd_cuda_pattern *pattern);

/* A text, which the caller frees with hd_free, for devices of this compute capability (times ten); NULL: no memory. */
char *hd_cuda_elementwise_text(const hd_cuda_pattern *pattern, int capability);

#endif
