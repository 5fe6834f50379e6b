/* Operators that read and write places that indices name: GatherND, the Scatter operators, TensorScatter, ReverseSequence.
 *
 * Scattering takes three launches: `elected` is cleared; each update finds its place, and the last (first) of each place is elected,
 * by integer maxima (minima), which come out alike in any order; then elected updates are written.
 *
 * BITS: elements are copied, or updates meet an element one by one in the order of their indices.
 * Thread-safety: any number of launches at once; the output lies on no input. */
#include "scatter.h"

#include "wide.h"

namespace {

__device__ __forceinline__ unsigned thread_number()
{
    return blockIdx.x * HD_CUDA_SCATTER_BLOCK + threadIdx.x;
}

/* An index made to lie in [0, dim). */
__device__ __forceinline__ int clamp_index(long long index, int dim)
{
    if (index < 0) {
        index = index < -dim ? 0 : index + dim;
    }
    return static_cast<int>(index < dim ? index : dim - 1);
}

template <class T> __device__ __forceinline__ void gather_points(const hd_cuda_gather_points &p)
{
    const unsigned at = thread_number();
    if (at >= p.count) {
        return;
    }
    const bool is_aligned = hd_is_aligned(p.x, sizeof(T)) && hd_is_aligned(p.y, sizeof(T));
    const unsigned slice = hd_divide(at, p.block);
    long long from = static_cast<long long>(hd_divide(slice, p.per_batch)) * p.batch_stride + (at - slice * p.block.by);
    const long long *index = p.indices + static_cast<long long>(slice) * p.depth;
    for (int i = 0; i < p.depth; i++) {
        from += static_cast<long long>(clamp_index(index[i], p.dims[i])) * p.strides[i];
    }
    hd_move<T>(p.y, at, p.x, from, is_aligned);
}

__device__ __forceinline__ int place_of(const hd_cuda_scatter_places &p, unsigned at)
{
    int place = 0;
    if (p.is_of_points) {
        const long long *index = static_cast<const long long *>(p.indices) + static_cast<long long>(at) * p.rank;
        for (int i = 0; i < p.rank; i++) {
            place += clamp_index(index[i], p.dims[i]) * p.strides[i];
        }
        return place;
    }
    const long long index = p.is_wide ? static_cast<const long long *>(p.indices)[at] : static_cast<const int *>(p.indices)[at];
    place = clamp_index(index, p.dim) * p.axis_stride;
    for (int d = p.rank - 1; d >= 0; d--) {
        const unsigned above = hd_divide(at, p.sizes[d]);
        place += static_cast<int>(at - above * p.sizes[d].by) * p.strides[d];
        at = above;
    }
    return place;
}

template <class T> __device__ __forceinline__ void replace(const hd_cuda_scatter &p)
{
    const unsigned at = thread_number();
    if (at >= p.count) {
        return;
    }
    const unsigned update = hd_divide(at, p.block);
    const int place = p.places[update];
    if (p.elected[place] == static_cast<int>(update)) {
        const bool is_aligned = hd_is_aligned(p.updates, sizeof(T)) && hd_is_aligned(p.y, sizeof(T));
        hd_move<T>(p.y, static_cast<long long>(place) * p.block.by + (at - update * p.block.by), p.updates, at, is_aligned);
    }
}

__device__ __forceinline__ float meet(int kind, float a, float b)
{
    float r;
    switch (kind) {
    case HD_CUDA_SCATTER_ADD:
        return __fadd_rn(a, b);
    case HD_CUDA_SCATTER_MULTIPLY:
        return __fmul_rn(a, b);
    case HD_CUDA_SCATTER_MAX:
        asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
        return r;
    default:
        asm("min.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
        return r;
    }
}

__device__ __forceinline__ long long meet(int kind, long long a, long long b)
{
    const unsigned long long x = static_cast<unsigned long long>(a), y = static_cast<unsigned long long>(b);
    switch (kind) {
    case HD_CUDA_SCATTER_ADD:
        return static_cast<long long>(x + y);
    case HD_CUDA_SCATTER_MULTIPLY:
        return static_cast<long long>(x * y);
    case HD_CUDA_SCATTER_MAX:
        return a > b ? a : b;
    default:
        return a < b ? a : b;
    }
}

/* What a T is folded in: integers wrap around. */
template <class T> struct Wide {
    using type = long long;
};
template <> struct Wide<float> {
    using type = float;
};

template <class T> __device__ __forceinline__ void fold(const hd_cuda_scatter &p)
{
    using V = typename Wide<T>::type;
    const unsigned at = thread_number();
    if (at >= p.count) {
        return;
    }
    const unsigned update = hd_divide(at, p.block), inside = at - update * p.block.by;
    const int place = p.places[update];
    if (p.elected[place] != static_cast<int>(update)) {
        return;
    }
    T *y = static_cast<T *>(p.y) + static_cast<long long>(place) * p.block.by + inside;
    T v = *y;
    for (unsigned next = update; next < p.update_count; next++) {
        if (p.places[next] == place) {
            const T other = static_cast<const T *>(p.updates)[static_cast<long long>(next) * p.block.by + inside];
            v = static_cast<T>(meet(p.kind, static_cast<V>(v), static_cast<V>(other)));
        }
    }
    *y = v;
}

template <class T> __device__ __forceinline__ void cache_update(const hd_cuda_cache &p)
{
    const unsigned at = thread_number();
    if (at >= p.count) {
        return;
    }
    const bool is_aligned = hd_is_aligned(p.cache, sizeof(T)) && hd_is_aligned(p.fresh, sizeof(T)) && hd_is_aligned(p.y, sizeof(T));
    const unsigned row = hd_divide(at, p.inner), item = hd_divide(row, p.rows);
    const int rows = static_cast<int>(p.rows.by);
    long long start = p.starts == nullptr ? 0 : p.starts[hd_divide(item, p.per_entry)];
    if (p.is_circular) {
        start %= rows;
        start = start < 0 ? start + rows : start;
    } else {
        const long long most = rows - p.fresh_rows;
        start = start < 0 ? 0 : start < most ? start : most;
    }
    int offset = static_cast<int>(row - item * p.rows.by) - static_cast<int>(start);
    offset = p.is_circular && offset < 0 ? offset + rows : offset;
    if (offset >= 0 && offset < p.fresh_rows) {
        const long long from = (static_cast<long long>(item) * p.fresh_rows + offset) * p.inner.by + (at - row * p.inner.by);
        hd_move<T>(p.y, at, p.fresh, from, is_aligned);
    } else {
        hd_move<T>(p.y, at, p.cache, at, is_aligned);
    }
}

template <class T> __device__ __forceinline__ void reverse(const hd_cuda_reverse &p)
{
    const unsigned at = thread_number();
    if (at >= p.count) {
        return;
    }
    const bool is_aligned = hd_is_aligned(p.x, sizeof(T)) && hd_is_aligned(p.y, sizeof(T));
    const unsigned item = hd_divide(at, p.block), first = hd_divide(item, p.second), second = item - first * p.second.by;
    const unsigned time = p.is_time_first ? first : second, batch = p.is_time_first ? second : first;
    const long long times = p.is_time_first ? p.first : p.second.by;
    long long length = p.lengths[batch];
    length = length < 0 ? 0 : length > times ? times : length;
    const long long from_time = time < length ? length - 1 - time : time;
    const long long from = p.is_time_first ? from_time * p.second.by + batch : static_cast<long long>(batch) * p.second.by + from_time;
    hd_move<T>(p.y, at, p.x, from * p.block.by + (at - item * p.block.by), is_aligned);
}

} // namespace

#define SCATTER_KERNEL(name) extern "C" __global__ void __launch_bounds__(HD_CUDA_SCATTER_BLOCK) hd_##name
#define MOVES(size, T)                                                                                                               \
    SCATTER_KERNEL(gather_points_##size)(const __grid_constant__ hd_cuda_gather_points p) { gather_points<T>(p); }                         \
    SCATTER_KERNEL(scatter_##size)(const __grid_constant__ hd_cuda_scatter p) { replace<T>(p); }                                           \
    SCATTER_KERNEL(cache_update_##size)(const __grid_constant__ hd_cuda_cache p) { cache_update<T>(p); }                                   \
    SCATTER_KERNEL(reverse_##size)(const __grid_constant__ hd_cuda_reverse p) { reverse<T>(p); }

MOVES(1, unsigned char)
MOVES(2, unsigned short)
MOVES(4, unsigned)
MOVES(8, unsigned long long)
MOVES(16, uint4)

SCATTER_KERNEL(scatter_clear)(const __grid_constant__ hd_cuda_scatter_clear p)
{
    const unsigned at = thread_number();
    if (at < p.count) {
        p.elected[at] = p.value;
    }
}

SCATTER_KERNEL(scatter_places)(const __grid_constant__ hd_cuda_scatter_places p)
{
    const unsigned at = thread_number();
    if (at < p.count) {
        const int place = place_of(p, at);
        p.places[at] = place;
        if (p.elects_first) {
            atomicMin(&p.elected[place], static_cast<int>(at));
        } else {
            atomicMax(&p.elected[place], static_cast<int>(at));
        }
    }
}

SCATTER_KERNEL(scatter_float32)(const __grid_constant__ hd_cuda_scatter p) { fold<float>(p); }
SCATTER_KERNEL(scatter_int32)(const __grid_constant__ hd_cuda_scatter p) { fold<int>(p); }
SCATTER_KERNEL(scatter_int64)(const __grid_constant__ hd_cuda_scatter p) { fold<long long>(p); }
