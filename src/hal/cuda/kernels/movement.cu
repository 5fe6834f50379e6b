/* Operators that move elements: copies between boxes of strides, turned planes (through shared memory, so that both sides are read
 * and written in rows), padding, and gathering by indices. A kernel for each size of elements, whatever they are.
 *
 * BITS: elements are copied. Thread-safety: any number of launches at once; the output lies on no input. */
#include "movement.h"

#include "wide.h"

namespace {

/* The elements that a thread moves: HD_CUDA_MOVE_EACH, a block's width apart. */
template <class F> __device__ __forceinline__ void each(unsigned count, F move)
{
    unsigned first = blockIdx.x * (HD_CUDA_MOVE_BLOCK * HD_CUDA_MOVE_EACH) + threadIdx.x;
#pragma unroll
    for (int i = 0; i < HD_CUDA_MOVE_EACH; i++) {
        unsigned at = first + i * HD_CUDA_MOVE_BLOCK;
        if (at < count) {
            move(at);
        }
    }
}

template <class T> __device__ __forceinline__ void copy(const hd_cuda_copy &p)
{
    const bool is_aligned = hd_is_aligned(p.x, sizeof(T)) && hd_is_aligned(p.y, sizeof(T));
    each(p.count, [&](unsigned at) {
        int from = 0, to = 0;
        for (int d = p.rank - 1; d > 0; d--) {
            unsigned above = hd_divide(at, p.dims[d]);
            int index = static_cast<int>(at - above * p.dims[d].by);
            from += index * p.x_strides[d];
            to += index * p.y_strides[d];
            at = above;
        }
        from += static_cast<int>(at) * p.x_strides[0];
        to += static_cast<int>(at) * p.y_strides[0];
        hd_move<T>(p.y, to, p.x, from, is_aligned);
    });
}

template <class T> __device__ __forceinline__ void turn(const hd_cuda_turn &p)
{
    constexpr int TILE = HD_CUDA_TURN_TILE, LINES = HD_CUDA_MOVE_BLOCK / TILE;
    __shared__ T tile[TILE][TILE + 1];
    unsigned block = blockIdx.x, column_tile = block % p.column_tiles;
    block /= p.column_tiles;
    unsigned row_tile = block % p.row_tiles;
    block /= p.row_tiles;
    int from = 0, to = 0;
    for (int d = p.rank - 1; d >= 0; d--) {
        int index = static_cast<int>(block % p.dims[d]);
        block /= p.dims[d];
        from += index * p.x_strides[d];
        to += index * p.y_strides[d];
    }
    const T *x = static_cast<const T *>(p.x) + from;
    T *y = static_cast<T *>(p.y) + to;
    unsigned lane = threadIdx.x % TILE, line = threadIdx.x / TILE;
    unsigned row = row_tile * TILE + lane;
#pragma unroll
    for (int i = 0; i < TILE; i += LINES) {
        unsigned column = column_tile * TILE + line + i;
        if (row < p.rows && column < p.columns) {
            tile[line + i][lane] = x[static_cast<int>(column) * p.x_stride + static_cast<int>(row)];
        }
    }
    __syncthreads();
    unsigned column = column_tile * TILE + lane;
#pragma unroll
    for (int i = 0; i < TILE; i += LINES) {
        row = row_tile * TILE + line + i;
        if (row < p.rows && column < p.columns) {
            y[static_cast<int>(row) * p.y_stride + static_cast<int>(column)] = tile[lane][line + i];
        }
    }
}

/* As hd_padding_source. */
__device__ __forceinline__ int source_of(int mode, int dim, int position)
{
    if (position >= 0 && position < dim) {
        return position;
    }
    if (mode == HD_CUDA_PAD_CONSTANT) {
        return -1;
    }
    if (mode == HD_CUDA_PAD_EDGE) {
        return position < 0 ? 0 : dim - 1;
    }
    if (dim == 1) {
        return 0;
    }
    int period = mode == HD_CUDA_PAD_WRAP ? dim : 2 * (dim - 1);
    position %= period;
    position = position < 0 ? position + period : position;
    return position < dim ? position : period - position;
}

template <class T> __device__ __forceinline__ void pad(const hd_cuda_pad &p)
{
    const T *x = static_cast<const T *>(p.x);
    T *y = static_cast<T *>(p.y);
    const T around = p.value == nullptr ? static_cast<T>(p.value_bits) : *static_cast<const T *>(p.value);
    each(p.count, [&](unsigned at) {
        unsigned rest = at;
        int from = 0;
        bool is_outside = false;
        for (int d = p.rank - 1; d >= 0; d--) {
            unsigned above = hd_divide(rest, p.dims[d]);
            int source = source_of(p.mode, p.x_dims[d], static_cast<int>(rest - above * p.dims[d].by) - p.before[d]);
            rest = above;
            is_outside = is_outside || source < 0;
            from += source * p.x_strides[d];
        }
        y[at] = is_outside ? around : x[from];
    });
}

/* Index `at` of a list, made to lie in [0, dim). */
__device__ __forceinline__ int index_of(const void *indices, bool is_wide, unsigned at, int dim)
{
    long long index = is_wide ? static_cast<const long long *>(indices)[at] : static_cast<const int *>(indices)[at];
    if (index < 0) {
        index = index < -dim ? 0 : index + dim;
    }
    return static_cast<int>(index < dim ? index : dim - 1);
}

template <class T> __device__ __forceinline__ void gather(const hd_cuda_gather &p)
{
    const bool is_aligned = hd_is_aligned(p.x, sizeof(T)) && hd_is_aligned(p.y, sizeof(T));
    each(p.count, [&](unsigned at) {
        unsigned item = hd_divide(at, p.block), outer = hd_divide(item, p.index_count);
        int index = index_of(p.indices, p.is_wide, item - outer * p.index_count.by, p.dim);
        hd_move<T>(p.y, at, p.x, (outer * p.dim + index) * p.block.by + (at - item * p.block.by), is_aligned);
    });
}

template <class T> __device__ __forceinline__ void gather_elements(const hd_cuda_gather_elements &p)
{
    const T *x = static_cast<const T *>(p.x);
    T *y = static_cast<T *>(p.y);
    each(p.count, [&](unsigned at) {
        unsigned rest = at;
        int from = index_of(p.indices, p.is_wide, at, p.dim) * p.axis_stride;
        for (int d = p.rank - 1; d >= 0; d--) {
            unsigned above = hd_divide(rest, p.dims[d]);
            from += static_cast<int>(rest - above * p.dims[d].by) * p.x_strides[d];
            rest = above;
        }
        y[at] = x[from];
    });
}

template <class T> __device__ __forceinline__ void triangle(const hd_cuda_triangle &p)
{
    const T *x = static_cast<const T *>(p.x);
    T *y = static_cast<T *>(p.y);
    long long k = p.k == nullptr ? 0 : *p.k, rows = p.rows.by, columns = p.columns.by;
    k = k < -rows ? -rows : k > columns ? columns : k;
    each(p.count, [&](unsigned at) {
        unsigned line = hd_divide(at, p.columns), matrix = hd_divide(line, p.rows);
        long long row = line - matrix * p.rows.by, column = at - line * p.columns.by;
        bool is_kept = p.is_upper ? column >= row + k : column <= row + k;
        y[at] = is_kept ? x[at] : T(0);
    });
}

} // namespace

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_copy_1(const __grid_constant__ hd_cuda_copy p)
{
    copy<unsigned char>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_copy_2(const __grid_constant__ hd_cuda_copy p)
{
    copy<unsigned short>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_copy_4(const __grid_constant__ hd_cuda_copy p)
{
    copy<unsigned>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_copy_8(const __grid_constant__ hd_cuda_copy p)
{
    copy<unsigned long long>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_copy_16(const __grid_constant__ hd_cuda_copy p)
{
    copy<uint4>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_turn_1(const __grid_constant__ hd_cuda_turn p)
{
    turn<unsigned char>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_turn_2(const __grid_constant__ hd_cuda_turn p)
{
    turn<unsigned short>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_turn_4(const __grid_constant__ hd_cuda_turn p)
{
    turn<unsigned>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_turn_8(const __grid_constant__ hd_cuda_turn p)
{
    turn<unsigned long long>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_pad_1(const __grid_constant__ hd_cuda_pad p)
{
    pad<unsigned char>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_pad_2(const __grid_constant__ hd_cuda_pad p)
{
    pad<unsigned short>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_pad_4(const __grid_constant__ hd_cuda_pad p)
{
    pad<unsigned>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_pad_8(const __grid_constant__ hd_cuda_pad p)
{
    pad<unsigned long long>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_gather_1(const __grid_constant__ hd_cuda_gather p)
{
    gather<unsigned char>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_gather_2(const __grid_constant__ hd_cuda_gather p)
{
    gather<unsigned short>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_gather_4(const __grid_constant__ hd_cuda_gather p)
{
    gather<unsigned>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_gather_8(const __grid_constant__ hd_cuda_gather p)
{
    gather<unsigned long long>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_gather_16(const __grid_constant__ hd_cuda_gather p)
{
    gather<uint4>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_gather_elements_1(const __grid_constant__ hd_cuda_gather_elements p)
{
    gather_elements<unsigned char>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_gather_elements_2(const __grid_constant__ hd_cuda_gather_elements p)
{
    gather_elements<unsigned short>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_gather_elements_4(const __grid_constant__ hd_cuda_gather_elements p)
{
    gather_elements<unsigned>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_gather_elements_8(const __grid_constant__ hd_cuda_gather_elements p)
{
    gather_elements<unsigned long long>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_triangle_1(const __grid_constant__ hd_cuda_triangle p)
{
    triangle<unsigned char>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_triangle_2(const __grid_constant__ hd_cuda_triangle p)
{
    triangle<unsigned short>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_triangle_4(const __grid_constant__ hd_cuda_triangle p)
{
    triangle<unsigned>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_MOVE_BLOCK) hd_triangle_8(const __grid_constant__ hd_cuda_triangle p)
{
    triangle<unsigned long long>(p);
}
