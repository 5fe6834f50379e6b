/* Step: what the device does for one operation: launches of kernels, or copies, one behind the other. Made when a plan is
 * compiled, immutable then; a list copies the parameters and puts addresses in (queue.c). */
#ifndef HD_HAL_CUDA_STEP_H
#define HD_HAL_CUDA_STEP_H

#include "hal/cuda/unit.h"

enum {
    HD_CUDA_PARAMETERS_MAX = 2048, /* bytes of a kernel's parameters, which are one structure */
    HD_CUDA_SCRATCH = UINT16_MAX   /* as an operand: the launch's scratch memory */
};

/* Where an operand's address stands in the parameters. */
typedef struct hd_cuda_pointer {
    uint16_t operand; /* inputs, then outputs, then extents, as hd_kernel_run takes them */
    uint16_t at;      /* bytes from the start of the parameters */
    size_t offset;    /* bytes that are added to the address, unless it is NULL */
} hd_cuda_pointer;

typedef struct hd_cuda_launch {
    hd_cuda_function function; /* HD_CUDA_COPY: from pointers[0] to pointers[1] */
    CUfunction
        compiled; /* the kernel, where it is not `function`, but made for the step; NULL: it is */
    uint32_t grid[3];
    uint32_t block;   /* threads */
    uint32_t cluster; /* blocks of a cluster, along grid[1]; 0: there are none */
    uint32_t shared;  /* bytes of dynamic shared memory */
    uint32_t pointer_count;
    uint32_t
        map_count; /* where the first of these point, tensor maps stand (kernels/product_half.h), which are told the address */
    const hd_cuda_pointer *pointers;
    bool joins;             /* several may be one (product_half.h) */
    const void *parameters; /* without its pointers */
    size_t size;            /* bytes of parameters, or of the copy */
} hd_cuda_launch;

typedef struct hd_cuda_step {
    hd_cuda_launch *launches;
    size_t launch_count;
} hd_cuda_step;

/* An operation on its way to a step. */
typedef struct hd_cuda_compilation {
    const hd_cuda_unit *unit;
    const hd_operation *operation;
    hd_region *region;
    hd_kernel *kernel; /* scratch_size and inplace_inputs are the family's to set */
    hd_cuda_step *step;
    size_t capacity; /* launches that step has room for */
    hd_error *error;
} hd_cuda_compilation;

/* An operator that the device has kernels for. `supports`: these kernels compute the operation, whose types and shapes are
 * known; what it says yes to, `compile` makes a step of, but for HD_OUT_OF_MEMORY. */
typedef struct hd_cuda_operator {
    hd_operator_id id;
    bool (*supports)(const hd_cuda_unit *unit, const hd_operation *operation);
    hd_status (*compile)(hd_cuda_compilation *compilation);
} hd_cuda_operator;

/* Families of operators, each a table that ends with HD_OP_NONE; hd_cuda_operators_<family>. Of several rows for an operator
 * the first that supports an operation computes it. Beside each, what its operations may have as halves
 * (hd_compile_table.half_use). */
#define HD_CUDA_FAMILY_LIST(X)                                                                     \
    X(attention, hd_cuda_attention_half_use)                                                       \
    X(convolution, hd_cuda_no_half_use)                                                            \
    X(convolution_plain, hd_cuda_no_half_use)                                                      \
    X(copy, hd_cuda_no_half_use)                                                                   \
    X(elementwise, hd_cuda_elementwise_half_use)                                                   \
    X(fourier, hd_cuda_no_half_use)                                                                \
    X(indexing, hd_cuda_move_half_use)                                                             \
    X(integer_product, hd_cuda_no_half_use)                                                        \
    X(making, hd_cuda_no_half_use)                                                                 \
    X(movement, hd_cuda_move_half_use)                                                             \
    X(normalization, hd_cuda_no_half_use)                                                          \
    X(ordering, hd_cuda_no_half_use)                                                               \
    X(product, hd_cuda_product_half_use)                                                           \
    X(quantization, hd_cuda_no_half_use)                                                           \
    X(recurrent, hd_cuda_no_half_use)                                                              \
    X(reduction, hd_cuda_no_half_use)                                                              \
    X(rows, hd_cuda_rows_half_use)                                                                 \
    X(sampling, hd_cuda_no_half_use)                                                               \
    X(scatter, hd_cuda_scatter_half_use)                                                           \
    X(spatial, hd_cuda_no_half_use)                                                                \
    X(unpool, hd_cuda_no_half_use)

#define HD_CUDA_FAMILY_DECLARE_(family, use)                                                       \
    extern const hd_cuda_operator hd_cuda_operators_##family[];
HD_CUDA_FAMILY_LIST(HD_CUDA_FAMILY_DECLARE_)
#undef HD_CUDA_FAMILY_DECLARE_

hd_half_use hd_cuda_no_half_use(const hd_operation *operation);
/* None where the heads have a size without kernels. */
hd_half_use hd_cuda_attention_half_use(const hd_operation *operation);
/* Any operand but those of a conversion that has halves already. */
hd_half_use hd_cuda_elementwise_half_use(const hd_operation *operation);
/* All that is moved, or nothing. */
hd_half_use hd_cuda_move_half_use(const hd_operation *operation);
/* Where the weight is in a form of halves. */
hd_half_use hd_cuda_product_half_use(const hd_operation *operation);
/* Rows and what is made of them, scale and bias not. */
hd_half_use hd_cuda_rows_half_use(const hd_operation *operation);
/* As what is moved, unless updates are folded. */
hd_half_use hd_cuda_scatter_half_use(const hd_operation *operation);

/* Appends a launch whose parameters and pointers are copied; the caller may still set its cluster. NULL: no memory. */
hd_cuda_launch *hd_cuda_add_launch(hd_cuda_compilation *compilation, hd_cuda_function function,
                                   const uint32_t grid[3], uint32_t block, const void *parameters,
                                   size_t size, const hd_cuda_pointer *pointers,
                                   size_t pointer_count);
/* The same of `count` threads, `block` to a block; nothing where there are none. HD_OUT_OF_MEMORY. */
hd_status hd_cuda_add_threads(hd_cuda_compilation *compilation, uint32_t block,
                              hd_cuda_function function, int64_t count, const void *parameters,
                              size_t size, const hd_cuda_pointer *pointers, size_t pointer_count);
/* HD_OUT_OF_MEMORY, told of the operation. */
hd_status hd_cuda_out_of_memory(const hd_cuda_compilation *compilation);

/* ceil(a / b) */
static inline int64_t hd_cuda_blocks(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

#endif
