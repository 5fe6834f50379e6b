/* What the row kernels share: a row is read once, stays in registers, and is written once. Rows of up to 1,024 elements are a warp's,
 * longer ones a block's or a cluster's of blocks.
 *
 * BITS: which thread has which elements, and so the order of every sum, follows from the row's length alone, never from the number of
 * rows: a thread adds its elements in ascending order, a warp by a butterfly, a block its warps and a cluster its blocks in ascending
 * order. */
#ifndef HD_HAL_CUDA_KERNELS_ROWS_TILE_CUH
#define HD_HAL_CUDA_KERNELS_ROWS_TILE_CUH

#include "order.h"
#include "rows.h"

#include <cooperative_groups.h>

namespace {

struct Sum {
    static constexpr float start = 0.0f;
    static __device__ __forceinline__ float join(float a, float b) { return __fadd_rn(a, b); }
};
/* A NaN stays: softmax of a row with a NaN is NaN everywhere. */
struct Maximum {
    static constexpr float start = -__builtin_huge_valf();
    static __device__ __forceinline__ float join(float a, float b)
    {
        float r;
        asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
        return r;
    }
};

/* Who has a row: WARPS warps of BLOCKS blocks of a cluster; each thread PARTS groups of 4 elements, WARPS * 32 * BLOCKS groups apart.
 * Of one warp, a block has PACKED rows. */
template <int WARPS_, int BLOCKS_, int PARTS_, int PACKED_> struct Row {
    static constexpr int WARPS = WARPS_, BLOCKS = BLOCKS_, PARTS = PARTS_, PACKED = PACKED_, THREADS = 32 * WARPS * PACKED;
    static_assert(PACKED == 1 || (WARPS == 1 && BLOCKS == 1), "several rows a block: a warp each");

    static __device__ __forceinline__ int row()
    {
        return PACKED > 1 ? blockIdx.x * PACKED + (threadIdx.x >> 5) : blockIdx.x / BLOCKS;
    }
    static __device__ __forceinline__ int element(int part)
    {
        int thread = PACKED > 1 ? threadIdx.x & 31 : (blockIdx.x % BLOCKS) * THREADS + threadIdx.x;
        return 4 * (part * 32 * WARPS * BLOCKS + thread);
    }

    /* The join of all threads' values, the same in each. `shared` has WARPS + 1 floats and is used once a kernel for each `round`. */
    template <class Fold> static __device__ float reduce(float v, float *shared)
    {
#pragma unroll
        for (int distance = 16; distance > 0; distance /= 2) {
            v = Fold::join(v, __shfl_xor_sync(0xffffffffu, v, distance));
        }
        if (WARPS == 1 && BLOCKS == 1) {
            return v;
        }
        if ((threadIdx.x & 31) == 0) {
            shared[threadIdx.x >> 5] = v;
        }
        __syncthreads();
        v = shared[0];
#pragma unroll
        for (int i = 1; i < WARPS; i++) {
            v = Fold::join(v, shared[i]);
        }
        if (BLOCKS == 1) {
            return v;
        }
        namespace cg = cooperative_groups;
        cg::cluster_group cluster = cg::this_cluster();
        if (threadIdx.x == 0) {
            shared[WARPS] = v;
        }
        cluster.sync();
        v = *cluster.map_shared_rank(&shared[WARPS], 0);
#pragma unroll
        for (int i = 1; i < BLOCKS; i++) {
            v = Fold::join(v, *cluster.map_shared_rank(&shared[WARPS], i));
        }
        return v;
    }
    /* No block leaves while others read its part of a reduction. */
    static __device__ __forceinline__ void leave()
    {
        if (BLOCKS > 1) {
            cooperative_groups::this_cluster().sync();
        }
    }
};

/* Memory: how the elements of rows lie. */
struct Floats {
    static __device__ __forceinline__ float get(const void *data, int, long long at) { return static_cast<const float *>(data)[at]; }
    static __device__ __forceinline__ void put(void *data, int, long long at, float v) { static_cast<float *>(data)[at] = v; }
    static __device__ __forceinline__ void get_four(const void *data, int, long long at, float (&v)[4])
    {
        *reinterpret_cast<float4 *>(v) = *reinterpret_cast<const float4 *>(static_cast<const float *>(data) + at);
    }
    static __device__ __forceinline__ void put_four(void *data, int, long long at, const float (&v)[4])
    {
        *reinterpret_cast<float4 *>(static_cast<float *>(data) + at) = *reinterpret_cast<const float4 *>(v);
    }
};

/* Four elements of the row that begins at `row`; `outside` beyond its end. */
template <class M, bool ALIGNED>
__device__ __forceinline__ void load(const void *data, int kind, long long row, int at, int length, float outside, float (&v)[4])
{
    if constexpr (ALIGNED) {
        v[0] = v[1] = v[2] = v[3] = outside;
        if (at < length) {
            M::get_four(data, kind, row + at, v);
        }
    } else {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            v[i] = at + i < length ? M::get(data, kind, row + at + i) : outside;
        }
    }
}

template <class M, bool ALIGNED>
__device__ __forceinline__ void store(void *data, int kind, long long row, int at, int length, const float (&v)[4])
{
    if constexpr (ALIGNED) {
        if (at < length) {
            M::put_four(data, kind, row + at, v);
        }
    } else {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            if (at + i < length) {
                M::put(data, kind, row + at + i, v[i]);
            }
        }
    }
}

template <class M, class R, bool ALIGNED> __device__ __forceinline__ void softmax(const hd_cuda_rows &p)
{
    __shared__ float shared[2][R::WARPS + 1];
    int row = R::row();
    if (R::PACKED > 1 && row >= p.rows) {
        return;
    }
    long long offset = (long long)row * p.length;
    float v[R::PARTS][4], largest = Maximum::start, sum = 0.0f;
#pragma unroll
    for (int i = 0; i < R::PARTS; i++) {
        load<M, ALIGNED>(p.x, p.x_kind, offset, R::element(i), p.length, Maximum::start, v[i]);
    }
#pragma unroll
    for (int i = 0; i < R::PARTS; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            largest = Maximum::join(largest, v[i][j]);
        }
    }
    largest = R::template reduce<Maximum>(largest, shared[0]);
#pragma unroll
    for (int i = 0; i < R::PARTS; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            float shifted = __fsub_rn(v[i][j], largest), power = expf(shifted);
            v[i][j] = p.kind == HD_CUDA_SOFTMAX ? power : shifted;
            if (R::element(i) + j < p.length) { /* a row of -inf alone has a NaN outside, too */
                sum = __fadd_rn(sum, power);
            }
        }
    }
    sum = R::template reduce<Sum>(sum, shared[1]);
    float factor = p.kind == HD_CUDA_SOFTMAX ? __frcp_rn(sum) : logf(sum);
#pragma unroll
    for (int i = 0; i < R::PARTS; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            v[i][j] = p.kind == HD_CUDA_SOFTMAX ? __fmul_rn(v[i][j], factor) : __fsub_rn(v[i][j], factor);
        }
        store<M, ALIGNED>(p.y, p.y_kind, offset, R::element(i), p.length, v[i]);
    }
    R::leave();
}

template <class M, class R, bool ALIGNED> __device__ __forceinline__ void layer_norm(const hd_cuda_rows &p)
{
    __shared__ float shared[2][R::WARPS + 1];
    int row = R::row();
    if (R::PACKED > 1 && row >= p.rows) {
        return;
    }
    long long offset = (long long)row * p.length;
    float v[R::PARTS][4], sum = 0.0f, square = 0.0f;
#pragma unroll
    for (int i = 0; i < R::PARTS; i++) {
        load<M, ALIGNED>(p.x, p.x_kind, offset, R::element(i), p.length, 0.0f, v[i]);
    }
    if (p.residual != nullptr) {
#pragma unroll
        for (int i = 0; i < R::PARTS; i++) {
            float r[4];
            load<M, ALIGNED>(p.residual, p.residual_kind, offset, R::element(i), p.length, 0.0f, r);
#pragma unroll
            for (int j = 0; j < 4; j++) {
                v[i][j] = __fadd_rn(v[i][j], r[j]);
            }
            if (p.sum != nullptr) {
                store<M, ALIGNED>(p.sum, p.sum_kind, offset, R::element(i), p.length, v[i]);
            }
        }
    }
#pragma unroll
    for (int i = 0; i < R::PARTS; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            sum = __fadd_rn(sum, v[i][j]);
        }
    }
    float length = static_cast<float>(p.length);
    float mean = __fdiv_rn(R::template reduce<Sum>(sum, shared[0]), length);
    mean = p.kind == HD_CUDA_RMS_NORM ? 0.0f : mean;
#pragma unroll
    for (int i = 0; i < R::PARTS; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            v[i][j] = __fsub_rn(v[i][j], mean);
            if (R::element(i) + j < p.length) {
                square = __fmaf_rn(v[i][j], v[i][j], square);
            }
        }
    }
    float variance = __fdiv_rn(R::template reduce<Sum>(square, shared[1]), length);
    float factor = __fdiv_rn(1.0f, __fsqrt_rn(__fadd_rn(variance, p.epsilon)));
#pragma unroll
    for (int i = 0; i < R::PARTS; i++) {
        float s[4], b[4];
        load<Floats, ALIGNED>(p.scale, 0, 0, R::element(i), p.length, 0.0f, s);
        if (p.bias != nullptr) {
            load<Floats, ALIGNED>(p.bias, 0, 0, R::element(i), p.length, 0.0f, b);
        }
#pragma unroll
        for (int j = 0; j < 4; j++) {
            v[i][j] = __fmul_rn(__fmul_rn(v[i][j], factor), s[j]);
            v[i][j] = p.bias != nullptr ? __fadd_rn(v[i][j], b[j]) : v[i][j];
        }
        store<M, ALIGNED>(p.y, p.y_kind, offset, R::element(i), p.length, v[i]);
    }
    R::leave();
}

/* Rows of any length that begin anywhere: a block of 256 threads a row, which reads it once a pass. */
using Any = Row<8, 1, 1, 1>;

template <class M> __device__ __forceinline__ void softmax_any(const hd_cuda_rows &p)
{
    __shared__ float shared[2][Any::WARPS + 1];
    long long offset = (long long)blockIdx.x * p.length;
    auto value = [&](int i) { return M::get(p.x, p.x_kind, offset + i); };
    float largest = Maximum::start, sum = 0.0f;
    for (int i = threadIdx.x; i < p.length; i += Any::THREADS) {
        largest = Maximum::join(largest, value(i));
    }
    largest = Any::reduce<Maximum>(largest, shared[0]);
    for (int i = threadIdx.x; i < p.length; i += Any::THREADS) {
        sum = __fadd_rn(sum, expf(__fsub_rn(value(i), largest)));
    }
    sum = Any::reduce<Sum>(sum, shared[1]);
    float factor = p.kind == HD_CUDA_SOFTMAX ? __frcp_rn(sum) : logf(sum);
    for (int i = threadIdx.x; i < p.length; i += Any::THREADS) {
        float shifted = __fsub_rn(value(i), largest);
        M::put(p.y, p.y_kind, offset + i, p.kind == HD_CUDA_SOFTMAX ? __fmul_rn(expf(shifted), factor) : __fsub_rn(shifted, factor));
    }
}

template <class M> __device__ __forceinline__ void layer_norm_any(const hd_cuda_rows &p)
{
    __shared__ float shared[2][Any::WARPS + 1];
    long long offset = (long long)blockIdx.x * p.length;
    auto value = [&](int i) {
        float v = M::get(p.x, p.x_kind, offset + i);
        return p.residual == nullptr ? v : __fadd_rn(v, M::get(p.residual, p.residual_kind, offset + i));
    };
    float sum = 0.0f, square = 0.0f, length = static_cast<float>(p.length);
    for (int i = threadIdx.x; i < p.length; i += Any::THREADS) {
        sum = __fadd_rn(sum, value(i));
    }
    float mean = __fdiv_rn(Any::reduce<Sum>(sum, shared[0]), length);
    mean = p.kind == HD_CUDA_RMS_NORM ? 0.0f : mean;
    for (int i = threadIdx.x; i < p.length; i += Any::THREADS) {
        float v = __fsub_rn(value(i), mean);
        square = __fmaf_rn(v, v, square);
    }
    float variance = __fdiv_rn(Any::reduce<Sum>(square, shared[1]), length);
    float factor = __fdiv_rn(1.0f, __fsqrt_rn(__fadd_rn(variance, p.epsilon)));
    for (int i = threadIdx.x; i < p.length; i += Any::THREADS) {
        float v = value(i);
        if (p.sum != nullptr) {
            M::put(p.sum, p.sum_kind, offset + i, v);
        }
        v = __fmul_rn(__fmul_rn(__fsub_rn(v, mean), factor), p.scale[i]);
        M::put(p.y, p.y_kind, offset + i, p.bias != nullptr ? __fadd_rn(v, p.bias[i]) : v);
    }
}

} // namespace

#define PARAMETERS const __grid_constant__ hd_cuda_rows p
/* Kernels hd_softmax_<NAME>LENGTH and hd_layer_norm_<NAME>LENGTH. */
#define ROWS(MEMORY, NAME, ...)                                                                                                            \
    extern "C" __global__ void __launch_bounds__(Row<__VA_ARGS__>::THREADS) hd_softmax_##NAME(PARAMETERS)                                  \
    {                                                                                                                                      \
        hd_follow();                                                                                                                       \
        softmax<MEMORY, Row<__VA_ARGS__>, true>(p);                                                                                        \
    }                                                                                                                                      \
    extern "C" __global__ void __launch_bounds__(Row<__VA_ARGS__>::THREADS) hd_layer_norm_##NAME(PARAMETERS)                               \
    {                                                                                                                                      \
        hd_follow();                                                                                                                       \
        layer_norm<MEMORY, Row<__VA_ARGS__>, true>(p);                                                                                     \
    }
#define ROWS_ANY(MEMORY, NAME)                                                                                                             \
    extern "C" __global__ void __launch_bounds__(256) hd_softmax_##NAME(PARAMETERS) { hd_follow(); softmax_any<MEMORY>(p); }                          \
    extern "C" __global__ void __launch_bounds__(256) hd_layer_norm_##NAME(PARAMETERS) { hd_follow(); layer_norm_any<MEMORY>(p); }

#endif
