/* Operators that make elements of little: OneHot, EyeLike, Range, ConstantOfShape, Dropout's mask. A thread makes an element.
 *
 * BITS: each element by itself, each step rounded. Thread-safety: any number of launches at once. */
#include "making.h"

namespace {

__device__ __forceinline__ unsigned thread_number()
{
    return blockIdx.x * HD_CUDA_MAKE_BLOCK + threadIdx.x;
}

template <class T> __device__ __forceinline__ void fill(const hd_cuda_fill &p)
{
    const unsigned at = thread_number();
    if (at >= p.count) {
        return;
    }
    bool is_there = true;
    if (p.has_rows) {
        const unsigned row = hd_divide(at, p.columns), column = at - row * p.columns.by;
        is_there = static_cast<long long>(column) - static_cast<long long>(row) == p.k;
    }
    static_cast<T *>(p.y)[at] = is_there ? static_cast<T>(p.value) : T(0);
}

/* A whole number; -2^63, which is out of every range, where it is none or far too large. */
__device__ __forceinline__ long long whole(double value)
{
    return value > -9e15 && value < 9e15 ? __double2ll_rz(value) : -9223372036854775807ll - 1;
}

__device__ __forceinline__ long long hot_index(const hd_cuda_one_hot &p, unsigned at)
{
    switch (p.index_type) {
    case HD_CUDA_HOT_FLOAT32:
        return whole(static_cast<const float *>(p.indices)[at]);
    case HD_CUDA_HOT_FLOAT64:
        return whole(static_cast<const double *>(p.indices)[at]);
    case HD_CUDA_HOT_UINT64:
        return whole(static_cast<double>(static_cast<const unsigned long long *>(p.indices)[at]));
    case HD_CUDA_HOT_INT64:
        return static_cast<const long long *>(p.indices)[at];
    case HD_CUDA_HOT_INT32:
        return static_cast<const int *>(p.indices)[at];
    case HD_CUDA_HOT_UINT32:
        return static_cast<const unsigned *>(p.indices)[at];
    case HD_CUDA_HOT_INT16:
        return static_cast<const short *>(p.indices)[at];
    case HD_CUDA_HOT_UINT16:
        return static_cast<const unsigned short *>(p.indices)[at];
    case HD_CUDA_HOT_INT8:
        return static_cast<const signed char *>(p.indices)[at];
    default:
        return static_cast<const unsigned char *>(p.indices)[at];
    }
}

template <class T> __device__ __forceinline__ void one_hot(const hd_cuda_one_hot &p)
{
    const unsigned at = thread_number();
    if (at >= p.count) {
        return;
    }
    const unsigned line = hd_divide(at, p.inner), outer = hd_divide(line, p.depth);
    const long long place = line - outer * p.depth.by, depth = p.depth.by;
    const long long index = hot_index(p, outer * p.inner.by + (at - line * p.inner.by));
    const bool is_hot = index == place || index == place - depth;
    static_cast<T *>(p.y)[at] = static_cast<const T *>(p.values)[is_hot ? 1 : 0];
}

__device__ __forceinline__ float step(float start, unsigned i, float delta)
{
    return __fadd_rn(start, __fmul_rn(static_cast<float>(i), delta));
}

__device__ __forceinline__ double step(double start, unsigned i, double delta)
{
    return __dadd_rn(start, __dmul_rn(static_cast<double>(i), delta));
}

__device__ __forceinline__ unsigned long long step(unsigned long long start, unsigned i, unsigned long long delta)
{
    return start + i * delta;
}

__device__ __forceinline__ unsigned step(unsigned start, unsigned i, unsigned delta)
{
    return start + i * delta;
}

template <class T, class V> __device__ __forceinline__ void range(const hd_cuda_range &p)
{
    const unsigned at = thread_number();
    if (at < p.count) {
        const V start = *static_cast<const T *>(p.start), delta = *static_cast<const T *>(p.delta);
        static_cast<T *>(p.y)[at] = static_cast<T>(step(start, at, delta));
    }
}

} // namespace

#define MAKE_KERNEL(name) extern "C" __global__ void __launch_bounds__(HD_CUDA_MAKE_BLOCK) hd_##name
#define MAKES(size, T)                                                                                                                     \
    MAKE_KERNEL(fill_##size)(const __grid_constant__ hd_cuda_fill p) { fill<T>(p); }                                                       \
    MAKE_KERNEL(one_hot_##size)(const __grid_constant__ hd_cuda_one_hot p) { one_hot<T>(p); }

MAKES(1, unsigned char)
MAKES(2, unsigned short)
MAKES(4, unsigned)
MAKES(8, unsigned long long)

MAKE_KERNEL(range_float32)(const __grid_constant__ hd_cuda_range p) { range<float, float>(p); }
MAKE_KERNEL(range_float64)(const __grid_constant__ hd_cuda_range p) { range<double, double>(p); }
MAKE_KERNEL(range_int16)(const __grid_constant__ hd_cuda_range p) { range<unsigned short, unsigned>(p); }
MAKE_KERNEL(range_int32)(const __grid_constant__ hd_cuda_range p) { range<unsigned, unsigned>(p); }
MAKE_KERNEL(range_int64)(const __grid_constant__ hd_cuda_range p) { range<unsigned long long, unsigned long long>(p); }
