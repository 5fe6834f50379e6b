/* What the attention kernels of halves share: copies, rounding, the softmax's progress. */
#ifndef HD_HAL_CUDA_KERNELS_ATTENTION_HALF_CUH
#define HD_HAL_CUDA_KERNELS_ATTENTION_HALF_CUH

#include "attention_half.h"

#include "order.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace {

enum { KEYS = HD_ATTENTION_HALF_KEYS };
constexpr float LOG2_E = 1.4426950408889634f;

__device__ __forceinline__ unsigned shared_address(const void *shared)
{
    return static_cast<unsigned>(__cvta_generic_to_shared(shared));
}
__device__ __forceinline__ void copy_async(void *shared, const void *global, bool valid)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global), "r"(valid ? 16 : 0) : "memory");
}
__device__ __forceinline__ void commit_async()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int LEFT> __device__ __forceinline__ void wait_async()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}

template <class H> struct Half;
template <> struct Half<__half> {
    static __device__ __forceinline__ unsigned pack(float a, float b)
    {
        __half2 both = __floats2half2_rn(a, b);
        return *reinterpret_cast<unsigned *>(&both);
    }
    /* c += a (16 x 16) · b (16 x 8) */
    static __device__ __forceinline__ void multiply(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1)
    {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }
};
template <> struct Half<__nv_bfloat16> {
    static __device__ __forceinline__ unsigned pack(float a, float b)
    {
        __nv_bfloat162 both = __floats2bfloat162_rn(a, b);
        return *reinterpret_cast<unsigned *>(&both);
    }
    static __device__ __forceinline__ void multiply(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1)
    {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }
};

/* One query of a lane (it has two, 8 apart): the largest score so far, and the sum of its powers. */
struct Progress {
    float largest, sum;
};

__device__ __forceinline__ float largest_of_four(float v) /* of the four lanes that share a query */
{
    v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 1));
    return fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 2));
}

/* 2^x within 2 units in the last place; results below the normal numbers are zeros. */
__device__ __forceinline__ float power_of_two(float x)
{
    float r;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
}

/* What is added to the scores of a tile's keys, times log2(e): a mask that all queries share, and -inf beyond the last key. */
__device__ __forceinline__ float of_key(const hd_cuda_attention_half &p, const float *mask, int key)
{
    if (key >= p.keys) {
        return -__builtin_huge_valf();
    }
    return mask != nullptr && p.mask_query_stride == 0 ? __fmul_rn(mask[key * p.mask_key_stride], LOG2_E) : 0.0f;
}

} // namespace

#endif
