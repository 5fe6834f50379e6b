/* Pooling and resizing: a thread an output element, or four neighbouring channels.
 *
 * BITS: an element follows from its own window: taps are taken in ascending order, depth, height, width; resized elements blend the
 * outer axes first. Positions are computed in double precision, operation by operation as on the host, so that both choose alike.
 * Thread-safety: any number of launches at once; the output lies on no input. */
#include "spatial.h"

#include "wide.h"

namespace {

__device__ __forceinline__ float maximum(float x, float y)
{
    float r;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(x), "f"(y));
    return r;
}

/* N neighbours; is_aligned: their array is to all of them together. */
template <int N> struct Values {
    alignas(4 * N) float v[N];

    __device__ __forceinline__ void load(const float *x, bool is_aligned)
    {
        if (N == 4 && is_aligned) {
            *reinterpret_cast<float4 *>(v) = *reinterpret_cast<const float4 *>(x);
            return;
        }
#pragma unroll
        for (int i = 0; i < N; i++) {
            v[i] = x[i];
        }
    }
    __device__ __forceinline__ void store(float *y, bool is_aligned) const
    {
        if (N == 4 && is_aligned) {
            *reinterpret_cast<float4 *>(y) = *reinterpret_cast<const float4 *>(v);
            return;
        }
#pragma unroll
        for (int i = 0; i < N; i++) {
            y[i] = v[i];
        }
    }
};

__device__ __forceinline__ float step(const hd_cuda_pool &p, float sum, float x)
{
    switch (p.kind) {
    case HD_CUDA_POOL_MAX:
        return maximum(sum, x);
    case HD_CUDA_POOL_AVERAGE:
        return __fadd_rn(sum, x);
    default:
        return __fadd_rn(sum, p.power == 1 ? fabsf(x) : p.power == 2 ? __fmul_rn(x, x) : powf(fabsf(x), static_cast<float>(p.power)));
    }
}

__device__ __forceinline__ float finish(const hd_cuda_pool &p, float sum, int taps)
{
    switch (p.kind) {
    case HD_CUDA_POOL_MAX:
        return sum;
    case HD_CUDA_POOL_AVERAGE:
        return __fdiv_rn(sum, static_cast<float>(taps));
    default:
        return p.power == 1 ? sum : p.power == 2 ? __fsqrt_rn(sum) : powf(sum, __fdiv_rn(1.0f, static_cast<float>(p.power)));
    }
}

/* The taps of a dimension that a position finds inside the input, and how many count. */
struct Taps {
    int begin, end, counted, start;

    __device__ __forceinline__ Taps(const hd_cuda_pool &p, int axis, int position)
    {
        int by = p.dilation[axis];
        start = position * p.stride[axis] - p.pad_begin[axis];
        begin = start >= 0 ? 0 : (-start + by - 1) / by;
        int room = p.input[axis] - start;
        end = min(room <= 0 ? 0 : (room + by - 1) / by, p.kernel[axis]);
        begin = min(begin, end);
        counted = p.counts_padding ? min((room + p.pad_end[axis] + by - 1) / by, p.kernel[axis]) : end - begin;
    }
};

/* LAST: channels last, N of them a thread. */
template <bool LAST, int N> __device__ __forceinline__ void pool(const hd_cuda_pool &p)
{
    unsigned at = blockIdx.x * HD_CUDA_SPATIAL_BLOCK + threadIdx.x;
    if (at >= p.count) {
        return;
    }
    unsigned pixel = LAST ? hd_divide(at, p.channel_groups) : at;
    unsigned channel = LAST ? (at - pixel * p.channel_groups.by) * N : 0;
    unsigned row = hd_divide(pixel, p.output[2]), slice = hd_divide(row, p.output[1]), plane = hd_divide(slice, p.output[0]);
    const Taps d(p, 0, static_cast<int>(slice - plane * p.output[0].by));
    const Taps h(p, 1, static_cast<int>(row - slice * p.output[1].by));
    const Taps w(p, 2, static_cast<int>(pixel - row * p.output[2].by));
    const float *x = p.x + static_cast<int>(plane) * p.x_plane + static_cast<int>(channel);
    const bool is_aligned = hd_is_aligned(p.x, 4 * N);
    Values<N> sum;
#pragma unroll
    for (int c = 0; c < N; c++) {
        sum.v[c] = p.kind == HD_CUDA_POOL_MAX ? -__builtin_huge_valf() : 0.0f;
    }
    for (int i = d.begin; i < d.end; i++) {
        for (int j = h.begin; j < h.end; j++) {
            const float *line = x + (d.start + i * p.dilation[0]) * p.x_stride[0] + (h.start + j * p.dilation[1]) * p.x_stride[1];
            for (int k = w.begin; k < w.end; k++) {
                Values<N> next;
                next.load(line + (w.start + k * p.dilation[2]) * p.x_stride[2], is_aligned);
#pragma unroll
                for (int c = 0; c < N; c++) {
                    sum.v[c] = step(p, sum.v[c], next.v[c]);
                }
            }
        }
    }
    const int taps = d.counted * h.counted * w.counted;
#pragma unroll
    for (int c = 0; c < N; c++) {
        sum.v[c] = finish(p, sum.v[c], taps);
    }
    sum.store(p.y + static_cast<long long>(at) * N, hd_is_aligned(p.y, 4 * N));
}

/* --- resizing */

__device__ __forceinline__ double position_of(const hd_cuda_resize_axis &a, int position)
{
    double x = position, in = a.in, out = a.out.by;
    switch (a.position) {
    case HD_CUDA_RESIZE_CORNERS:
        return x * (in - 1) * a.from / (a.to * in - a.from);
    case HD_CUDA_RESIZE_ASYMMETRIC:
        return x * a.from / a.to;
    case HD_CUDA_RESIZE_HALF_NEAREST:
        return (2 * x + 1) * a.from / (2 * a.to);
    case HD_CUDA_RESIZE_CROP:
        return (in - 1) * (a.begin * (out - 1 - x) + a.end * x) / (out - 1);
    case HD_CUDA_RESIZE_HALF:
        return (a.offset + (2 * x + 1) * a.from - a.to) / (2 * a.to);
    default:
        return a.offset;
    }
}

__device__ __forceinline__ int inside(const hd_cuda_resize_axis &a, double x)
{
    double last = a.in - 1;
    return static_cast<int>(x > last ? last : x > 0 ? x : 0);
}

__device__ __forceinline__ double rounded(int rounding, double x)
{
    switch (rounding) {
    case HD_CUDA_RESIZE_FLOOR:
        return floor(x);
    case HD_CUDA_RESIZE_CEIL:
        return ceil(x);
    case HD_CUDA_RESIZE_PREFER_CEIL:
        return floor(x + 0.5);
    default:
        return ceil(x - 0.5);
    }
}

/* Whether the position lies outside a region that is cut out. */
__device__ __forceinline__ bool is_cut(const hd_cuda_resize_axis &a, double x)
{
    return (a.position == HD_CUDA_RESIZE_CROP || (a.position == HD_CUDA_RESIZE_CONSTANT && a.begin != 0)) && !(x >= 0 && x <= a.in - 1);
}

template <class T> __device__ __forceinline__ T extrapolated(const hd_cuda_resize &p)
{
    return static_cast<T>(sizeof(T) == 4 ? p.extrapolation : 0);
}

template <> __device__ __forceinline__ uint4 extrapolated<uint4>(const hd_cuda_resize &p)
{
    return make_uint4(p.extrapolation, p.extrapolation, p.extrapolation, p.extrapolation);
}

template <class T> __device__ __forceinline__ void nearest(const hd_cuda_resize &p)
{
    unsigned at = blockIdx.x * HD_CUDA_SPATIAL_BLOCK + threadIdx.x, rest = at;
    if (at >= p.count) {
        return;
    }
    int from = 0;
    bool outside = false;
    for (int d = p.rank - 1; d >= 0; d--) {
        const hd_cuda_resize_axis &a = p.axes[d];
        unsigned above = hd_divide(rest, a.out);
        int place = static_cast<int>(rest - above * a.out.by);
        rest = above;
        if (a.position != HD_CUDA_RESIZE_SAME) {
            double x = position_of(a, place);
            outside = outside || is_cut(a, x);
            place = inside(a, rounded(p.rounding, x));
        }
        from += place * a.stride;
    }
    if (outside) { /* of elements that are not moved together */
        static_cast<T *>(p.y)[at] = extrapolated<T>(p);
    } else {
        hd_move<T>(p.y, at, p.x, from, hd_is_aligned(p.x, sizeof(T)) && hd_is_aligned(p.y, sizeof(T)));
    }
}

__device__ __forceinline__ double weight_of(const hd_cuda_resize &p, double distance)
{
    double x = fabs(distance), a = p.cubic_a;
    if (p.mode == HD_CUDA_RESIZE_LINEAR) {
        return x < 1 ? 1 - x : 0;
    }
    return x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* The offsets and weights of the elements that an axis blends. */
struct Blend {
    int count, offset[4];
    float weight[4];

    __device__ __forceinline__ Blend()
    {
        count = 1, offset[0] = 0, weight[0] = 1.0f;
    }
    __device__ __forceinline__ void set(const hd_cuda_resize &p, const hd_cuda_resize_axis &a, double x)
    {
        count = p.mode == HD_CUDA_RESIZE_LINEAR ? 2 : 4;
        double first = floor(x) - count / 2 + 1, sum = 0, weights[4];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            double place = first + i;
            bool counts = i < count && (!p.excludes_outside || (place >= 0 && place <= a.in - 1));
            weights[i] = counts ? weight_of(p, place - x) : 0;
            sum += weights[i];
            offset[i] = inside(a, place) * a.stride;
        }
        bool divides = p.excludes_outside && sum != 0;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            weight[i] = static_cast<float>(divides ? weights[i] / sum : weights[i]);
        }
    }
};

template <int N> __device__ __forceinline__ void blend(const hd_cuda_resize &p)
{
    unsigned at = blockIdx.x * HD_CUDA_SPATIAL_BLOCK + threadIdx.x, rest = at;
    if (at >= p.count) {
        return;
    }
    Blend first, second, third; /* the axes that change, from the last one on */
    int from = 0, found = 0;
    bool outside = false;
    for (int d = p.rank - 1; d >= 0; d--) {
        const hd_cuda_resize_axis &a = p.axes[d];
        unsigned above = hd_divide(rest, a.out);
        int place = static_cast<int>(rest - above * a.out.by);
        rest = above;
        if (a.position == HD_CUDA_RESIZE_SAME) {
            from += place * a.stride;
            continue;
        }
        double x = position_of(a, place);
        outside = outside || is_cut(a, x);
        if (found == 0) {
            first.set(p, a, x);
        } else if (found == 1) {
            second.set(p, a, x);
        } else {
            third.set(p, a, x);
        }
        found++;
    }
    const float *x = static_cast<const float *>(p.x) + from;
    const bool is_aligned = hd_is_aligned(p.x, 4 * N);
    Values<N> sum = {};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        Values<N> line = {};
#pragma unroll
        for (int j = 0; j < 4; j++) {
#pragma unroll
            for (int k = 0; k < 4; k++) {
                if (i < first.count && j < second.count && k < third.count) {
                    Values<N> next;
                    next.load(x + first.offset[i] + second.offset[j] + third.offset[k], is_aligned);
                    float weight = __fmul_rn(second.weight[j], third.weight[k]);
#pragma unroll
                    for (int c = 0; c < N; c++) {
                        line.v[c] = j == 0 && k == 0 ? __fmul_rn(next.v[c], weight) : __fadd_rn(line.v[c], __fmul_rn(next.v[c], weight));
                    }
                }
            }
        }
        if (i < first.count) {
#pragma unroll
            for (int c = 0; c < N; c++) {
                sum.v[c] = i == 0 ? __fmul_rn(line.v[c], first.weight[0]) : __fadd_rn(sum.v[c], __fmul_rn(line.v[c], first.weight[i]));
            }
        }
    }
#pragma unroll
    for (int c = 0; c < N; c++) {
        sum.v[c] = outside ? __uint_as_float(p.extrapolation) : sum.v[c];
    }
    sum.store(static_cast<float *>(p.y) + static_cast<long long>(at) * N, hd_is_aligned(p.y, 4 * N));
}

} // namespace

extern "C" __global__ void __launch_bounds__(HD_CUDA_SPATIAL_BLOCK) hd_pool_first(const __grid_constant__ hd_cuda_pool p)
{
    pool<false, 1>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_SPATIAL_BLOCK) hd_pool_last(const __grid_constant__ hd_cuda_pool p)
{
    pool<true, 1>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_SPATIAL_BLOCK) hd_pool_last_by_four(const __grid_constant__ hd_cuda_pool p)
{
    pool<true, 4>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_SPATIAL_BLOCK) hd_nearest_1(const __grid_constant__ hd_cuda_resize p)
{
    nearest<unsigned char>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_SPATIAL_BLOCK) hd_nearest_2(const __grid_constant__ hd_cuda_resize p)
{
    nearest<unsigned short>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_SPATIAL_BLOCK) hd_nearest_4(const __grid_constant__ hd_cuda_resize p)
{
    nearest<unsigned>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_SPATIAL_BLOCK) hd_nearest_8(const __grid_constant__ hd_cuda_resize p)
{
    nearest<unsigned long long>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_SPATIAL_BLOCK) hd_nearest_16(const __grid_constant__ hd_cuda_resize p)
{
    nearest<uint4>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_SPATIAL_BLOCK) hd_blend(const __grid_constant__ hd_cuda_resize p)
{
    blend<1>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_SPATIAL_BLOCK) hd_blend_by_four(const __grid_constant__ hd_cuda_resize p)
{
    blend<4>(p);
}
