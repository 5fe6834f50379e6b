/* Products: what is multiplied, whatever the operator is called.
 *
 * Thread-safety: one thread at a time a compilation. */
#ifndef HD_HAL_CUDA_PRODUCT_H
#define HD_HAL_CUDA_PRODUCT_H

#include "hal/cuda/kernels/activation.h"
#include "hal/cuda/step.h"
#include "operation/fused.h"

/* y = activation(alpha * x . w + bias + beta * residual). Operands by number, x being 0 and y the first output; matrices of
 * the last two dimensions, and how they repeat. */
typedef struct hd_cuda_multiplication {
    int64_t m, n, k;
    bool x_transposed, w_transposed;
    const hd_packed *packed; /* w, in the form of a matrix; NULL: operand 1 */
    int bias, residual;      /* operands; -1: none */
    int64_t c_m, c_n; /* the residual's elements from row to row, and from column to column */
    float alpha, beta;
    hd_cuda_activation activation;
    uint32_t batch_rank;
    int64_t batch_dims[HD_MAX_RANK], x_batch[HD_MAX_RANK], w_batch[HD_MAX_RANK];
} hd_cuda_multiplication;

/* Reads MatMul, Gemm or heddle.Linear. */
void hd_cuda_read_multiplication(const hd_operation *operation, hd_cuda_multiplication *out);

/* Appends what computes it. HD_OUT_OF_MEMORY, HD_LOST. */
HD_MUST_CHECK hd_status hd_cuda_add_half_product(hd_cuda_compilation *compilation,
                                                 const hd_cuda_multiplication *what);

hd_cuda_activation hd_cuda_convert_activation(const hd_activation *activation);

/* The fast kernels compute it. */
bool hd_cuda_multiplication_is_fast(const hd_cuda_multiplication *what);

/* Appends what computes it. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_cuda_add_multiplication(hd_cuda_compilation *compilation,
                                                   const hd_cuda_multiplication *what);

#endif
