/* Elementwise float32 operators whose result IEEE 754 defines, so that they have the CPU's bits. One thread an element, in
 * steps of the grid.
 *
 * BITS: an element follows from its operands alone. Thread-safety: any number of launches at once. */
#include "elementwise_float32.h"

static __device__ __forceinline__ float compute(int operation, float a, float b)
{
    switch (operation) {
    case HD_CUDA_ADD:
        return __fadd_rn(a, b);
    case HD_CUDA_SUBTRACT:
        return __fsub_rn(a, b);
    case HD_CUDA_MULTIPLY:
        return __fmul_rn(a, b);
    case HD_CUDA_DIVIDE:
        return __fdiv_rn(a, b);
    case HD_CUDA_POSITIVE:
        return a > 0.0f || a != a ? a : 0.0f;
    case HD_CUDA_NEGATE:
        return __int_as_float(__float_as_int(a) ^ (int)0x80000000);
    case HD_CUDA_ABSOLUTE:
        return __int_as_float(__float_as_int(a) & 0x7fffffff);
    case HD_CUDA_ROOT:
        return __fsqrt_rn(a);
    case HD_CUDA_RECIPROCAL:
        return __fdiv_rn(1.0f, a);
    case HD_CUDA_FLOOR:
        return floorf(a);
    default:
        return ceilf(a);
    }
}

extern "C" __global__ void hd_elementwise_float32(const __grid_constant__ hd_cuda_elementwise p)
{
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < p.count; i += (long long)gridDim.x * blockDim.x) {
        long long a = p.rank == 0 ? i : 0, b = a, rest = i;
        for (int d = p.rank - 1; d >= 0; d--) {
            long long index = rest % p.dims[d];
            rest /= p.dims[d];
            a += index * p.a_strides[d];
            b += index * p.b_strides[d];
        }
        p.y[i] = compute(p.operation, p.a[a], p.b == nullptr ? 0.0f : p.b[b]);
    }
}
