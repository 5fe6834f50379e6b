/* Movement: what the families that move elements share: kernels by the size of an element, and strided copies.
 *
 * Thread-safety: any thread. */
#ifndef HD_HAL_CUDA_MOVEMENT_H
#define HD_HAL_CUDA_MOVEMENT_H

#include "hal/cuda/kernels/movement.h"
#include "hal/cuda/step.h"

/* Whether elements and offsets fit what the kernels count with. */
bool hd_cuda_moves(const hd_operation *operation);
/* The same, as a row of operators asks it. */
bool hd_cuda_can_move(const hd_cuda_unit *unit, const hd_operation *operation);

/* The kernel of a row of them, for elements of 1, 2, 4, 8 (and 16) bytes. */
static inline hd_cuda_function hd_cuda_by_size(hd_cuda_function first, size_t element)
{
    return (hd_cuda_function)((int)first + __builtin_ctzll(element));
}

/* A launch of a kernel that moves `count` elements. */
hd_status hd_cuda_add_move(hd_cuda_compilation *compilation, hd_cuda_function function,
                           int64_t count, const void *parameters, size_t size,
                           const hd_cuda_pointer *pointers, size_t pointer_count);

/* A box of elements, and where it lies on both sides. */
typedef struct hd_cuda_box {
    uint16_t source, target; /* operands */
    int64_t source_offset, target_offset;
    uint32_t rank; /* at most HD_CUDA_MOVE_RANK */
    int64_t dims[HD_CUDA_MOVE_RANK];
    int64_t source_strides[HD_CUDA_MOVE_RANK], target_strides[HD_CUDA_MOVE_RANK];
    size_t element; /* bytes */
} hd_cuda_box;

/* The box is made a simpler one on the way. */
hd_status hd_cuda_add_copy(hd_cuda_compilation *compilation, hd_cuda_box *box);

#endif
