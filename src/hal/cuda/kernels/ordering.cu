/* TopK: a block a lane. Short lanes are sorted whole in shared memory, by a bitonic network (Batcher, "Sorting networks and their
 * applications"); of long ones the best is taken, again and again, of what each thread has left.
 *
 * BITS: the order is total: NaN above all, -0 as 0, and of equals the one with the smaller index; so the result is unique.
 * Thread-safety: any number of launches at once. */
#include "ordering.h"

namespace {

/* Numbers whose order is the elements'. */
__device__ __forceinline__ unsigned long long key_of(float x)
{
    const unsigned bits = x == 0.0f ? 0u : __float_as_uint(x);
    return x != x ? ~0ull : bits >> 31 != 0 ? ~bits : bits | 0x80000000u;
}

__device__ __forceinline__ unsigned long long key_of(double x)
{
    const unsigned long long sign = 1ull << 63, bits = x == 0.0 ? 0ull : static_cast<unsigned long long>(__double_as_longlong(x));
    return x != x ? ~0ull : (bits & sign) != 0 ? ~bits : bits | sign;
}

__device__ __forceinline__ unsigned long long key_of(long long x)
{
    return static_cast<unsigned long long>(x) ^ 1ull << 63;
}

__device__ __forceinline__ unsigned long long key_of(unsigned long long x)
{
    return x;
}

/* What an element is widened to. */
template <class T> struct Number {
    using type = long long;
};
template <> struct Number<float> {
    using type = float;
};
template <> struct Number<double> {
    using type = double;
};
template <> struct Number<unsigned long long> {
    using type = unsigned long long;
};

/* An index of -1 is behind all others: nothing. */
struct Candidate {
    unsigned long long key;
    int index;
};

__device__ __forceinline__ bool is_better(const Candidate &a, const Candidate &b)
{
    if (a.index < 0 || b.index < 0) {
        return a.index >= 0 && b.index < 0;
    }
    return a.key != b.key ? a.key > b.key : a.index < b.index;
}

/* A lane of x. */
template <class T> struct Lane {
    const T *x;
    long long first; /* of what is written */
    int step, dim;
    bool is_largest;

    __device__ __forceinline__ Lane(const hd_cuda_top &p)
    {
        const unsigned outer = hd_divide(blockIdx.x, p.inner), inside = blockIdx.x - outer * p.inner.by;
        step = static_cast<int>(p.inner.by);
        dim = p.dim;
        is_largest = p.is_largest != 0;
        x = static_cast<const T *>(p.x) + static_cast<long long>(outer) * dim * step + inside;
        first = static_cast<long long>(outer) * p.count * step + inside;
    }

    __device__ __forceinline__ Candidate at(int i) const
    {
        if (i >= dim) {
            return {0, -1};
        }
        const unsigned long long key = key_of(static_cast<typename Number<T>::type>(x[static_cast<long long>(i) * step]));
        return {is_largest ? key : ~key, i};
    }

    __device__ __forceinline__ void write(const hd_cuda_top &p, int place, int index) const
    {
        const long long to = first + static_cast<long long>(place) * step;
        if (p.values != nullptr) {
            static_cast<T *>(p.values)[to] = x[static_cast<long long>(index) * step];
        }
        if (p.indices != nullptr) {
            p.indices[to] = index;
        }
    }
};

template <class T> __device__ __forceinline__ void sort(const hd_cuda_top &p)
{
    __shared__ unsigned long long keys[HD_CUDA_TOP_SORTED];
    __shared__ int indices[HD_CUDA_TOP_SORTED];
    const Lane<T> lane(p);
    int size = 1;
    while (size < p.dim) {
        size *= 2;
    }
    for (int i = threadIdx.x; i < size; i += HD_CUDA_TOP_BLOCK) {
        const Candidate c = lane.at(i);
        keys[i] = c.key;
        indices[i] = c.index;
    }
    for (int width = 2; width <= size; width *= 2) {
        for (int apart = width / 2; apart > 0; apart /= 2) {
            __syncthreads();
            for (int i = threadIdx.x; i < size; i += HD_CUDA_TOP_BLOCK) {
                const int other = i ^ apart;
                if (other <= i) {
                    continue;
                }
                const Candidate a = {keys[i], indices[i]}, b = {keys[other], indices[other]};
                const bool is_descending = (i & width) == 0; /* best first */
                if (is_descending ? is_better(b, a) : is_better(a, b)) {
                    keys[i] = b.key, indices[i] = b.index;
                    keys[other] = a.key, indices[other] = a.index;
                }
            }
        }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < p.count; i += HD_CUDA_TOP_BLOCK) {
        lane.write(p, i, indices[i]);
    }
}

/* The thread's best of those that are behind `last`. */
template <class T> __device__ __forceinline__ Candidate best_behind(const Lane<T> &lane, const Candidate &last)
{
    Candidate best = {0, -1};
    for (int i = threadIdx.x; i < lane.dim; i += HD_CUDA_TOP_BLOCK) {
        const Candidate c = lane.at(i);
        if ((last.index < 0 || is_better(last, c)) && is_better(c, best)) {
            best = c;
        }
    }
    return best;
}

template <class T> __device__ __forceinline__ void select(const hd_cuda_top &p)
{
    __shared__ unsigned long long keys[HD_CUDA_TOP_BLOCK];
    __shared__ int indices[HD_CUDA_TOP_BLOCK];
    const Lane<T> lane(p);
    Candidate own = best_behind(lane, {0, -1});
    for (int place = 0; place < p.count; place++) {
        keys[threadIdx.x] = own.key;
        indices[threadIdx.x] = own.index;
        for (int apart = HD_CUDA_TOP_BLOCK / 2; apart > 0; apart /= 2) {
            __syncthreads();
            if (static_cast<int>(threadIdx.x) < apart) {
                const Candidate a = {keys[threadIdx.x], indices[threadIdx.x]}, b = {keys[threadIdx.x + apart], indices[threadIdx.x + apart]};
                if (is_better(b, a)) {
                    keys[threadIdx.x] = b.key;
                    indices[threadIdx.x] = b.index;
                }
            }
        }
        __syncthreads();
        const Candidate best = {keys[0], indices[0]};
        __syncthreads(); /* all have read it */
        if (own.index == best.index) {
            lane.write(p, place, best.index);
            own = best_behind(lane, best);
        }
    }
}

} // namespace

#define TOP_KERNEL(name) extern "C" __global__ void __launch_bounds__(HD_CUDA_TOP_BLOCK) hd_##name
#define TOPS(type, T)                                                                                                                      \
    TOP_KERNEL(sort_##type)(const __grid_constant__ hd_cuda_top p) { sort<T>(p); }                                                         \
    TOP_KERNEL(select_##type)(const __grid_constant__ hd_cuda_top p) { select<T>(p); }

TOPS(float32, float)
TOPS(float64, double)
TOPS(int8, signed char)
TOPS(int16, short)
TOPS(int32, int)
TOPS(int64, long long)
TOPS(uint8, unsigned char)
TOPS(uint16, unsigned short)
TOPS(uint32, unsigned)
TOPS(uint64, unsigned long long)
