/* Divisor: division of unsigned numbers below 2^31 by one that is known before (Granlund and Montgomery, "Division by invariant
 * integers using multiplication"). */
#ifndef HD_HAL_CUDA_KERNELS_DIVISOR_H
#define HD_HAL_CUDA_KERNELS_DIVISOR_H

typedef struct hd_cuda_divisor {
    unsigned by; /* at least 1 */
    unsigned factor, shift;
} hd_cuda_divisor;

#ifdef __CUDACC__
static __device__ __forceinline__ unsigned hd_divide(unsigned x, const hd_cuda_divisor &d)
{
    return d.by == 1 ? x : __umulhi(x, d.factor) >> d.shift;
}
#else
/* 0 < by < 2^31 */
static inline hd_cuda_divisor hd_cuda_divisor_of(unsigned by)
{
    hd_cuda_divisor d = {.by = by};
    if (by > 1) {
        unsigned bits = 32 - (unsigned)__builtin_clz(by - 1);
        d.factor = (unsigned)((1ull << (31 + bits)) / by + 1);
        d.shift = bits - 1;
    }
    return d;
}
#endif

#endif
