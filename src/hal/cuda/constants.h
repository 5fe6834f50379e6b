/* Constants: the forms in which a CUDA device keeps weights.
 *
 * Thread-safety: any thread. */
#ifndef HD_HAL_CUDA_CONSTANTS_H
#define HD_HAL_CUDA_CONSTANTS_H

#include "hal/backend.h"

typedef enum hd_cuda_form {
    HD_CUDA_FORM_NONE,
    /* a matrix [K, N]: K rows, hd_cuda_row_stride(N) elements apart, the rest zeros */
    HD_CUDA_FORM_MATRIX,
    HD_CUDA_FORM_MATRIX_TRANSPOSED, /* the same of one that the model has as [N, K] */
    /* a convolution's weight: [group][kernel row][kernel column][channel], rows as of a matrix */
    HD_CUDA_FORM_CONVOLUTION,
    HD_CUDA_FORM_DEPTHWISE, /* [kernel row][kernel column][channel], dense */
    /* a matrix [K, N] in the unit's halves: panels of its K rows (kernels/product_half.h) */
    HD_CUDA_FORM_HALF,
    HD_CUDA_FORM_HALF_TRANSPOSED /* the same of one that the model has as [N, K] */
} hd_cuda_form;

static inline bool hd_cuda_form_is_half(uint32_t kind)
{
    return kind == HD_CUDA_FORM_HALF || kind == HD_CUDA_FORM_HALF_TRANSPOSED;
}

/* Elements from row to row of a matrix of `columns` columns: a multiple of 4. */
static inline int64_t hd_cuda_row_stride(int64_t columns)
{
    return (columns + 3) / 4 * 4;
}

/* See hd_compile_table. */
hd_constant_form hd_cuda_constant_form(const hd_unit *unit, const hd_operation *operation,
                                       size_t index);
hd_status hd_cuda_constant_create(hd_unit *unit, hd_constant_form form, const hd_operand *constant,
                                  hd_packed **out_packed, hd_error *error);
void hd_cuda_constant_destroy(hd_unit *unit, hd_packed **packed);

#endif
