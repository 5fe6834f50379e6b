/* The parameters of the float32 elementwise kernels; see elementwise_float32.cu. */
#ifndef HD_HAL_CUDA_KERNELS_ELEMENTWISE_FLOAT32_H
#define HD_HAL_CUDA_KERNELS_ELEMENTWISE_FLOAT32_H

#define HD_CUDA_RANK 8

enum {
    HD_CUDA_ADD,
    HD_CUDA_SUBTRACT,
    HD_CUDA_MULTIPLY,
    HD_CUDA_DIVIDE, /* of two operands */
    HD_CUDA_POSITIVE,
    HD_CUDA_NEGATE,
    HD_CUDA_ABSOLUTE,
    HD_CUDA_ROOT,
    HD_CUDA_RECIPROCAL,
    HD_CUDA_FLOOR,
    HD_CUDA_CEILING
};

typedef struct hd_cuda_elementwise {
    const float *a;
    const float *b; /* NULL: of one operand */
    float *y;
    long long count; /* elements of y, row-major */
    int operation;
    int rank; /* 0: operands lie as y does */
    long long dims[HD_CUDA_RANK];
    long long a_strides[HD_CUDA_RANK]; /* elements; 0 where it repeats */
    long long b_strides[HD_CUDA_RANK];
} hd_cuda_elementwise;

#endif
