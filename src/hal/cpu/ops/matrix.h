/* Matrix: what the files of the matrix family share. Thread-safety: see hal/cpu/kernel.h. */
#ifndef HD_HAL_CPU_OPS_MATRIX_H
#define HD_HAL_CPU_OPS_MATRIX_H

#include "hal/cpu/kernel.h"

/* MatMul of numpy as equal products [rows, depth] x [depth, columns], one for each index of a
 * batch; operands repeat along dimensions of stride 0. */
typedef struct hd_cpu_matmul_sizes {
    int64_t rows;
    int64_t columns;
    int64_t depth;
    int64_t batch; /* product of batch_dims */
    uint32_t batch_rank;
    int64_t batch_dims[HD_MAX_RANK];
    int64_t a_strides[HD_MAX_RANK]; /* elements */
    int64_t b_strides[HD_MAX_RANK];
} hd_cpu_matmul_sizes;

/* Shapes of numpy.matmul, of MatMul's inputs. joins: a batch that only the left operand has is more rows of one
 * product. */
hd_cpu_matmul_sizes hd_cpu_matmul_sizes_of(const hd_operation *operation, bool joins);
/* Where product `index` of the batch begins. */
void hd_cpu_matmul_offsets(const hd_cpu_matmul_sizes *sizes, int64_t index, int64_t *out_a,
                           int64_t *out_b);

/* The element types other than float32 (matrix_plain.c). */
hd_status hd_cpu_compile_matmul_plain(hd_cpu_compilation *compilation,
                                      const hd_cpu_matmul_sizes *sizes);
hd_cpu_compile hd_cpu_compile_gemm_plain;

hd_cpu_compile hd_cpu_compile_einsum; /* matrix_einsum.c */
hd_cpu_compile hd_cpu_compile_det;    /* matrix_det.c */

#endif
