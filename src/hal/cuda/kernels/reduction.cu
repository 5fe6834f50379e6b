/* Reductions over any axes, ArgMax and ArgMin, softmax and its like along any axis, normalizations over groups and channels, running
 * sums and products.
 *
 * BITS: a result is folded by `lanes` threads, which follow from the number of its elements and from whether its neighbours are
 * results, never from how many results there are. A thread folds each lanes-th element into four values in turn, in ascending
 * order, joins these in ascending order, and the threads are joined by halving. Group norms have HD_CUDA_NORM_BLOCK threads a
 * group, running sums and products one thread, which goes in the order of the axis.
 * Thread-safety: any number of launches at once. */
#include "reduction.h"

namespace {

__device__ __forceinline__ float maximum(float x, float y)
{
    float r;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(x), "f"(y));
    return r;
}

__device__ __forceinline__ float minimum(float x, float y)
{
    float r;
    asm("min.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(x), "f"(y));
    return r;
}

__device__ __forceinline__ long long maximum(long long x, long long y)
{
    return x > y ? x : y;
}

__device__ __forceinline__ long long minimum(long long x, long long y)
{
    return x < y ? x : y;
}

/* Sums and products: of floats rounded at each step, of integers wrapping around. */
__device__ __forceinline__ float add(float x, float y)
{
    return __fadd_rn(x, y);
}

__device__ __forceinline__ long long add(long long x, long long y)
{
    return static_cast<long long>(static_cast<unsigned long long>(x) + static_cast<unsigned long long>(y));
}

__device__ __forceinline__ float multiply(float x, float y)
{
    return __fmul_rn(x, y);
}

__device__ __forceinline__ long long multiply(long long x, long long y)
{
    return static_cast<long long>(static_cast<unsigned long long>(x) * static_cast<unsigned long long>(y));
}

__device__ __forceinline__ float absolute(float x)
{
    return fabsf(x);
}

__device__ __forceinline__ long long absolute(long long x)
{
    return x < 0 ? static_cast<long long>(0ull - static_cast<unsigned long long>(x)) : x;
}

/* What sums are kept in. */
template <class T> struct Wide {
    using type = long long;
};
template <> struct Wide<float> {
    using type = float;
};

/* A thread's part in a fold. */
struct Place {
    int lane, stride; /* stride: from lane to lane in shared memory */
    unsigned result;
    bool is_inside;
    int base;

    __device__ __forceinline__ Place(const hd_cuda_fold &p)
    {
        if (p.by_columns) {
            stride = HD_CUDA_REDUCE_COLUMNS;
            lane = threadIdx.x / HD_CUDA_REDUCE_COLUMNS;
            result = blockIdx.x * HD_CUDA_REDUCE_COLUMNS + threadIdx.x % HD_CUDA_REDUCE_COLUMNS;
        } else {
            stride = 1;
            lane = threadIdx.x % p.lanes;
            result = blockIdx.x * (blockDim.x / p.lanes) + threadIdx.x / p.lanes;
        }
        is_inside = result < p.results;
        base = 0;
        unsigned rest = is_inside ? result : 0;
        for (int d = p.kept_rank - 1; d >= 0; d--) {
            unsigned above = hd_divide(rest, p.kept_dims[d]);
            base += static_cast<int>(rest - above * p.kept_dims[d].by) * p.kept_strides[d];
            rest = above;
        }
    }
};

__device__ __forceinline__ int offset_of(const hd_cuda_fold &p, unsigned index)
{
    int offset = 0;
    for (int d = p.fold_rank - 1; d > 0; d--) {
        unsigned above = hd_divide(index, p.fold_dims[d]);
        offset += static_cast<int>(index - above * p.fold_dims[d].by) * p.fold_strides[d];
        index = above;
    }
    return offset + static_cast<int>(index) * p.fold_strides[0];
}

/* The join of all lanes' values, the same in each. */
template <class V, class F> __device__ __forceinline__ V join(int lane, int stride, int lanes, V v, V *shared, F f)
{
    shared[threadIdx.x] = v;
    for (int s = lanes / 2; s > 0; s /= 2) {
        __syncthreads();
        if (lane < s) {
            shared[threadIdx.x] = f(shared[threadIdx.x], shared[threadIdx.x + s * stride]);
        }
    }
    __syncthreads();
    v = shared[threadIdx.x - lane * stride];
    __syncthreads();
    return v;
}

/* A lane's part of `folded` elements: `step` takes one in, `both` joins two folds. */
template <class V, class S, class F> __device__ __forceinline__ V fold_lane(unsigned lane, unsigned lanes, unsigned folded, V start, S step, F both)
{
    V parts[4] = {start, start, start, start};
    for (unsigned i = lane; i < folded; i += 4 * lanes) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            if (i + j * lanes < folded) {
                parts[j] = step(parts[j], i + j * lanes);
            }
        }
    }
    return both(both(both(parts[0], parts[1]), parts[2]), parts[3]);
}

/* All of a result's elements, folded. */
template <class V, class S, class F> __device__ __forceinline__ V fold(const hd_cuda_fold &p, const Place &at, V start, V *shared, S step, F both)
{
    auto from_place = [&](V a, unsigned i) { return step(a, at.base + offset_of(p, i), i); };
    V own = at.is_inside ? fold_lane(at.lane, p.lanes, p.folded, start, from_place, both) : start;
    return join(at.lane, at.stride, p.lanes, own, shared, both);
}

template <class T> __device__ __forceinline__ typename Wide<T>::type lowest()
{
    return sizeof(T) == 8 ? static_cast<typename Wide<T>::type>(-9223372036854775807ll - 1) : static_cast<typename Wide<T>::type>(-2147483648ll);
}

template <> __device__ __forceinline__ float lowest<float>()
{
    return -__builtin_huge_valf();
}

template <class T> __device__ __forceinline__ typename Wide<T>::type highest()
{
    return sizeof(T) == 8 ? static_cast<typename Wide<T>::type>(9223372036854775807ll) : static_cast<typename Wide<T>::type>(2147483647ll);
}

template <> __device__ __forceinline__ float highest<float>()
{
    return __builtin_huge_valf();
}

__device__ __forceinline__ float finish(const hd_cuda_reduce &p, float v)
{
    switch (p.kind) {
    case HD_CUDA_REDUCE_MEAN:
        return __fdiv_rn(v, static_cast<float>(p.fold.folded));
    case HD_CUDA_REDUCE_LP:
        return powf(v, __fdiv_rn(1.0f, p.power));
    case HD_CUDA_REDUCE_L2:
        return __fsqrt_rn(v);
    case HD_CUDA_REDUCE_LOG_SUM:
        return logf(v);
    default:
        return v;
    }
}

__device__ __forceinline__ long long finish(const hd_cuda_reduce &p, long long v)
{
    return p.kind == HD_CUDA_REDUCE_MEAN ? v / static_cast<long long>(p.fold.folded) : v;
}

/* |x|^power: of floats only. */
__device__ __forceinline__ float raised(float x, float power)
{
    return powf(fabsf(x), power);
}

/* exp of the distance from the largest: of floats only. */
__device__ __forceinline__ float power_of(float x, float shift)
{
    return expf(__fsub_rn(x, shift));
}

template <class T> __device__ __forceinline__ void reduce(const hd_cuda_reduce &p)
{
    using V = typename Wide<T>::type;
    __shared__ V shared[1024];
    const T *x = static_cast<const T *>(p.x);
    Place at(p.fold);
    auto plus = [](V a, V b) { return add(a, b); };
    auto largest = [](V a, V b) { return maximum(a, b); };
    V v;
    switch (p.kind) {
    case HD_CUDA_REDUCE_MAX:
    case HD_CUDA_REDUCE_LOG_SUM_EXP:
        v = fold<V>(p.fold, at, lowest<T>(), shared, [&](V a, int i, unsigned) { return maximum(a, static_cast<V>(x[i])); }, largest);
        break;
    case HD_CUDA_REDUCE_MIN:
        v = fold<V>(p.fold, at, highest<T>(), shared, [&](V a, int i, unsigned) { return minimum(a, static_cast<V>(x[i])); }, [](V a, V b) { return minimum(a, b); });
        break;
    case HD_CUDA_REDUCE_PROD:
        v = fold<V>(p.fold, at, V(1), shared, [&](V a, int i, unsigned) { return multiply(a, static_cast<V>(x[i])); }, [](V a, V b) { return multiply(a, b); });
        break;
    case HD_CUDA_REDUCE_L1:
        v = fold<V>(p.fold, at, V(0), shared, [&](V a, int i, unsigned) { return add(a, absolute(static_cast<V>(x[i]))); }, plus);
        break;
    case HD_CUDA_REDUCE_L2:
    case HD_CUDA_REDUCE_SUM_SQUARE:
        v = fold<V>(p.fold, at, V(0), shared, [&](V a, int i, unsigned) { return add(a, multiply(static_cast<V>(x[i]), static_cast<V>(x[i]))); }, plus);
        break;
    case HD_CUDA_REDUCE_LP:
        v = fold<V>(p.fold, at, V(0), shared, [&](V a, int i, unsigned) { return add(a, static_cast<V>(raised(static_cast<float>(x[i]), p.power))); }, plus);
        break;
    default:
        v = fold<V>(p.fold, at, V(0), shared, [&](V a, int i, unsigned) { return add(a, static_cast<V>(x[i])); }, plus);
    }
    if constexpr (sizeof(V) == 4) {
        if (p.kind == HD_CUDA_REDUCE_LOG_SUM_EXP) {
            /* Infinite maxima would give the difference of infinities. */
            float shift = fabsf(v) < __builtin_huge_valf() ? v : 0.0f;
            float sum = fold<float>(p.fold, at, 0.0f, shared, [&](float a, int i, unsigned) { return __fadd_rn(a, power_of(x[i], shift)); }, plus);
            v = __fadd_rn(logf(sum), shift);
        }
    }
    if (at.is_inside && at.lane == 0) {
        static_cast<T *>(p.y)[at.result] = static_cast<T>(finish(p, v));
    }
}

template <class T> struct Best {
    T value;
    unsigned index;
};

/* What is not a number is the best. A total order, so that who joins whom does not matter. */
template <class T> __device__ __forceinline__ bool is_better(const hd_cuda_arg &p, const Best<T> &a, const Best<T> &b)
{
    bool a_odd = a.value != a.value, b_odd = b.value != b.value;
    if (a_odd != b_odd) {
        return a_odd;
    }
    if (a_odd || a.value == b.value) {
        return p.is_last ? a.index > b.index : a.index < b.index;
    }
    return p.is_smallest ? a.value < b.value : a.value > b.value;
}

template <class T> __device__ __forceinline__ void arg(const hd_cuda_arg &p)
{
    __shared__ Best<T> shared[1024];
    const T *x = static_cast<const T *>(p.x);
    Place at(p.fold);
    const Best<T> first = {x[at.base], 0};
    auto better = [&](const Best<T> &a, const Best<T> &b) { return is_better(p, b, a) ? b : a; };
    Best<T> best = fold<Best<T>>(p.fold, at, first, shared, [&](Best<T> a, int i, unsigned index) { return better(a, Best<T>{x[i], index}); }, better);
    if (at.is_inside && at.lane == 0) {
        p.y[at.result] = best.index;
    }
}

template <class T> __device__ __forceinline__ void cum_sum(const hd_cuda_cum_sum &p)
{
    using V = typename Wide<T>::type;
    unsigned lane = blockIdx.x * blockDim.x + threadIdx.x;
    if (lane >= p.lanes) {
        return;
    }
    unsigned outer = hd_divide(lane, p.inner), inner = p.inner.by;
    int base = static_cast<int>(outer * inner * p.dim + (lane - outer * inner));
    V sum = p.is_product ? 1 : 0;
    for (int i = 0; i < p.dim; i++) {
        int from = base + (p.is_reverse ? p.dim - 1 - i : i) * static_cast<int>(inner);
        const V v = static_cast<V>(static_cast<const T *>(p.x)[from]), next = p.is_product ? multiply(sum, v) : add(sum, v);
        static_cast<T *>(p.y)[from] = static_cast<T>(p.is_exclusive ? sum : next);
        sum = next;
    }
}

} // namespace

extern "C" __global__ void __launch_bounds__(1024) hd_reduce_float32(const __grid_constant__ hd_cuda_reduce p)
{
    reduce<float>(p);
}

extern "C" __global__ void __launch_bounds__(1024) hd_reduce_int32(const __grid_constant__ hd_cuda_reduce p)
{
    reduce<int>(p);
}

extern "C" __global__ void __launch_bounds__(1024) hd_reduce_int64(const __grid_constant__ hd_cuda_reduce p)
{
    reduce<long long>(p);
}

extern "C" __global__ void __launch_bounds__(1024) hd_arg_float32(const __grid_constant__ hd_cuda_arg p)
{
    arg<float>(p);
}

extern "C" __global__ void __launch_bounds__(1024) hd_arg_int32(const __grid_constant__ hd_cuda_arg p)
{
    arg<int>(p);
}

extern "C" __global__ void __launch_bounds__(1024) hd_arg_int64(const __grid_constant__ hd_cuda_arg p)
{
    arg<long long>(p);
}

extern "C" __global__ void __launch_bounds__(1024) hd_softmax_any_axis(const __grid_constant__ hd_cuda_softmax p)
{
    __shared__ float shared[1024];
    Place at(p.fold);
    float largest = fold<float>(p.fold, at, -__builtin_huge_valf(), shared, [&](float a, int i, unsigned) { return maximum(a, p.x[i]); }, [](float a, float b) { return maximum(a, b); });
    float sum = fold<float>(p.fold, at, 0.0f, shared, [&](float a, int i, unsigned) { return __fadd_rn(a, power_of(p.x[i], largest)); }, [](float a, float b) { return __fadd_rn(a, b); });
    float factor = p.is_log ? logf(sum) : __frcp_rn(sum);
    for (unsigned i = at.lane; at.is_inside && i < p.fold.folded; i += p.fold.lanes) {
        int place = at.base + offset_of(p.fold, i);
        p.y[place] = p.is_log ? __fsub_rn(__fsub_rn(p.x[place], largest), factor) : __fmul_rn(power_of(p.x[place], largest), factor);
    }
}

extern "C" __global__ void __launch_bounds__(1024) hd_hardmax(const __grid_constant__ hd_cuda_normalize p)
{
    __shared__ Best<float> shared[1024];
    Place at(p.fold);
    const hd_cuda_arg largest = {};
    const Best<float> first = {p.x[at.base], 0};
    auto better = [&](const Best<float> &a, const Best<float> &b) { return is_better(largest, b, a) ? b : a; };
    Best<float> best = fold<Best<float>>(p.fold, at, first, shared, [&](Best<float> a, int i, unsigned index) { return better(a, Best<float>{p.x[i], index}); }, better);
    for (unsigned i = at.lane; at.is_inside && i < p.fold.folded; i += p.fold.lanes) {
        p.y[at.base + offset_of(p.fold, i)] = i == best.index ? 1.0f : 0.0f;
    }
}

/* Sums in double precision: squares of floats pass neither end of it. */
extern "C" __global__ void __launch_bounds__(1024) hd_normalize(const __grid_constant__ hd_cuda_normalize p)
{
    __shared__ double shared[1024];
    Place at(p.fold);
    auto plus = [](double a, double b) { return __dadd_rn(a, b); };
    double mean = 0.0;
    if (p.kind == HD_CUDA_MEAN_VARIANCE) {
        mean = __ddiv_rn(fold<double>(p.fold, at, 0.0, shared, [&](double a, int i, unsigned) { return __dadd_rn(a, static_cast<double>(p.x[i])); }, plus), static_cast<double>(p.fold.folded));
    }
    double sum = fold<double>(p.fold, at, 0.0, shared, [&](double a, int i, unsigned) {
        double v = __dsub_rn(static_cast<double>(p.x[i]), mean);
        return __dadd_rn(a, p.kind == HD_CUDA_NORM_L1 ? fabs(v) : __dmul_rn(v, v));
    }, plus);
    /* as in MeanVarianceNormalization's definition */
    const double deviation = __dadd_rn(__dsqrt_rn(__ddiv_rn(sum, static_cast<double>(p.fold.folded))), 1e-9);
    const float norm = static_cast<float>(p.kind == HD_CUDA_NORM_L2 ? __dsqrt_rn(sum) : sum);
    for (unsigned i = at.lane; at.is_inside && i < p.fold.folded; i += p.fold.lanes) {
        const int place = at.base + offset_of(p.fold, i);
        const float x = p.x[place];
        if (p.kind == HD_CUDA_MEAN_VARIANCE) {
            p.y[place] = static_cast<float>(__ddiv_rn(__dsub_rn(static_cast<double>(x), mean), deviation));
        } else {
            p.y[place] = norm == 0.0f ? 0.0f : __fdiv_rn(x, norm);
        }
    }
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_NORM_BLOCK) hd_group_norm(const __grid_constant__ hd_cuda_group_norm p)
{
    __shared__ float shared[HD_CUDA_NORM_BLOCK];
    const int size = p.channels * p.positions, group = blockIdx.x % p.groups;
    const float *x = p.x + static_cast<long long>(blockIdx.x) * size;
    float *y = p.y + static_cast<long long>(blockIdx.x) * size;
    auto plus = [](float a, float b) { return __fadd_rn(a, b); };
    auto all = [&](auto step) { return join(threadIdx.x, 1, HD_CUDA_NORM_BLOCK, fold_lane(threadIdx.x, HD_CUDA_NORM_BLOCK, size, 0.0f, step, plus), shared, plus); };
    float mean = __fdiv_rn(all([&](float a, unsigned i) { return __fadd_rn(a, x[i]); }), static_cast<float>(size));
    float squares = all([&](float a, unsigned i) {
        float difference = __fsub_rn(x[i], mean);
        return __fmaf_rn(difference, difference, a);
    });
    float inverse = __fdiv_rn(1.0f, __fsqrt_rn(__fadd_rn(__fdiv_rn(squares, static_cast<float>(size)), p.epsilon)));
    for (int i = threadIdx.x; i < size; i += HD_CUDA_NORM_BLOCK) {
        int place = p.is_per_group ? group : group * p.channels + i / p.positions;
        float factor = __fmul_rn(p.scale[place], inverse);
        y[i] = __fmaf_rn(__fsub_rn(x[i], mean), factor, p.bias[place]);
    }
}

extern "C" __global__ void __launch_bounds__(256) hd_batch_norm(const __grid_constant__ hd_cuda_batch_norm p)
{
    unsigned at = blockIdx.x * 256 + threadIdx.x;
    if (at < p.count) {
        unsigned line = hd_divide(at, p.positions), channel = line - hd_divide(line, p.channels) * p.channels.by;
        float scale = __fdiv_rn(p.scale[channel], __fsqrt_rn(__fadd_rn(p.variance[channel], p.epsilon)));
        p.y[at] = __fmaf_rn(__fsub_rn(p.x[at], p.mean[channel]), scale, p.bias[channel]);
    }
}

extern "C" __global__ void __launch_bounds__(256) hd_lrn(const __grid_constant__ hd_cuda_lrn p)
{
    unsigned at = blockIdx.x * 256 + threadIdx.x;
    if (at < p.count) {
        unsigned line = hd_divide(at, p.positions);
        int channels = static_cast<int>(p.channels.by), channel = static_cast<int>(line - hd_divide(line, p.channels) * p.channels.by);
        int first = max(channel - p.before, 0), last = min(channel + p.after, channels - 1), positions = static_cast<int>(p.positions.by);
        float sum = 0.0f;
        for (int c = first; c <= last; c++) {
            float v = p.x[static_cast<int>(at) + (c - channel) * positions];
            sum = __fadd_rn(sum, __fmul_rn(v, v));
        }
        p.y[at] = __fdiv_rn(p.x[at], powf(__fadd_rn(p.bias, __fmul_rn(p.factor, sum)), p.beta));
    }
}

extern "C" __global__ void __launch_bounds__(256) hd_cum_sum_float32(const __grid_constant__ hd_cuda_cum_sum p)
{
    cum_sum<float>(p);
}

extern "C" __global__ void __launch_bounds__(256) hd_cum_sum_int32(const __grid_constant__ hd_cuda_cum_sum p)
{
    cum_sum<int>(p);
}

extern "C" __global__ void __launch_bounds__(256) hd_cum_sum_int64(const __grid_constant__ hd_cuda_cum_sum p)
{
    cum_sum<long long>(p);
}
