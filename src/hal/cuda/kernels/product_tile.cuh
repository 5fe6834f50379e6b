/* Tiles of float32 products, for kernels whose operands lie in different ways: each gives the same bits.
 *
 * BITS: K is cut into chunks of HD_CHUNK. A chunk's sum is a chain of fused multiply-adds, k ascending, from zero; the chunks'
 * sums are added in ascending order. How large a tile is and who computes which chunk never matter. */
#ifndef HD_HAL_CUDA_KERNELS_PRODUCT_TILE_CUH
#define HD_HAL_CUDA_KERNELS_PRODUCT_TILE_CUH

#include "activation.h"

#include <cooperative_groups.h>

/* The length of a chunk of K: its sum is one chain. */
#define HD_CHUNK 128

namespace {


enum { STAGES = 3 };

struct Epilogue {
    const float *bias;
    const float *residual;
    const hd_cuda_activation &activation;
};

/* Steps beyond K add zeros, which make +0 of a sum that is -0; a kernel without such steps must do so, too. */
__device__ __forceinline__ float finish(float v, float bias, float residual, const Epilogue &e)
{
    v = __fadd_rn(v, 0.0f);
    if (e.bias != nullptr) {
        v = __fadd_rn(v, bias);
    }
    if (e.residual != nullptr) {
        v = __fadd_rn(v, residual);
    }
    return hd_activate(v, e.activation);
}

/* Copies the first `count` of 4 floats (none where it is negative); the others become zero. */
__device__ __forceinline__ void copy_async(float *shared, const float *global, int count)
{
    unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(shared));
    int size = 4 * max(0, min(4, count)); /* of a size of 0, nothing is read */
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(global), "r"(size) : "memory");
}
__device__ __forceinline__ void copy_async_whole(float *shared, const float *global)
{
    unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(shared));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(global) : "memory");
}
__device__ __forceinline__ void commit_async()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int LEFT> __device__ __forceinline__ void wait_async()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}

/* A block's tile of BM x BN in steps of BK. A warp has 8 x 4 lanes; a lane has TM rows, 8 apart, and TN columns in groups of four,
 * 16 apart: so the lanes' loads of x and of w meet no bank twice. */
template <int BM_, int BN_, int BK_, int TM_, int TN_> struct Tile {
    static constexpr int BM = BM_, BN = BN_, BK = BK_, TM = TM_, TN = TN_;
    static constexpr int WARPS_M = BM / (8 * TM), WARPS_N = BN / (4 * TN), THREADS = 32 * WARPS_M * WARPS_N;
    static constexpr int GROUPS = TM * TN / 4; /* float4s of a lane */
    static constexpr int X_FLOATS = BM * BK, W_FLOATS = BK * BN, STAGE_FLOATS = X_FLOATS + W_FLOATS;
    static constexpr int STEPS = HD_CHUNK / BK; /* of a chunk */

    /* Rows of x lie at BK floats; groups of four within a row are exchanged so that 8 rows' groups lie in 8 banks. */
    static __device__ __forceinline__ int x_place(int row, int group)
    {
        constexpr int per_row = BK / 4;
        int mask = per_row >= 8 ? row & 7 : (row >> 1) & (per_row - 1);
        return row * BK + ((group ^ mask) << 2);
    }
    /* Where group p of thread `thread` lies in the tile. */
    static __device__ __forceinline__ int row_of(int thread, int p)
    {
        int warp = thread >> 5, lane = thread & 31;
        return (warp / WARPS_N) * 8 * TM + (p / (TN / 4)) * 8 + (lane & 7);
    }
    static __device__ __forceinline__ int column_of(int thread, int p)
    {
        int warp = thread >> 5, lane = thread & 31;
        return (warp % WARPS_N) * 4 * TN + (p % (TN / 4)) * 16 + (lane >> 3) * 4;
    }

    /* What one thread copies of each step of w: places and sources stay, and move on by one step each time. */
    struct Weights {
        static constexpr int COPIES = BK * BN / 4 / THREADS, ROWS = THREADS / (BN / 4); /* apart, from copy to copy */
        static_assert(COPIES * THREADS * 4 == BK * BN && THREADS % (BN / 4) == 0, "threads share a step evenly, a thread's copies at one column");
        const float *w;
        long long step, advance; /* from copy to copy, and from step to step, elements */
        int place, count, k;

        __device__ __forceinline__ Weights(const float *matrix, int stride, int n, int n0, int k0)
        {
            int row = threadIdx.x / (BN / 4), column = threadIdx.x % (BN / 4) * 4;
            place = X_FLOATS + row * BN + column;
            count = n - n0 - column;
            k = k0 + row;
            w = matrix + (long long)k * stride + n0 + column;
            step = (long long)ROWS * stride;
            advance = (long long)BK * stride;
        }
        __device__ __forceinline__ void copy(float *stage, int k_end, bool whole)
        {
#pragma unroll
            for (int i = 0; i < COPIES; i++) {
                float *to = stage + place + i * ROWS * BN;
                if (whole) {
                    copy_async_whole(to, w + i * step);
                } else {
                    copy_async(to, w + i * step, k + i * ROWS < k_end ? count : 0);
                }
            }
            w += advance;
            k += BK;
        }
    };

    /* acc += the products of one step, k ascending. Beyond K both sides are zeros, which change no sum. */
    static __device__ __forceinline__ void multiply(const float *stage, float (&acc)[TM][TN])
    {
        int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
        int row = (warp / WARPS_N) * 8 * TM + (lane & 7);
        const float *w = stage + X_FLOATS + (warp % WARPS_N) * 4 * TN + (lane >> 3) * 4;
#pragma unroll
        for (int group = 0; group < BK / 4; group++) {
            float x[TM][4];
#pragma unroll
            for (int i = 0; i < TM; i++) {
                *reinterpret_cast<float4 *>(x[i]) = *reinterpret_cast<const float4 *>(stage + x_place(row + 8 * i, group));
            }
#pragma unroll
            for (int k = 0; k < 4; k++) {
                float b[TN];
#pragma unroll
                for (int j = 0; j < TN / 4; j++) {
                    *reinterpret_cast<float4 *>(b + 4 * j) = *reinterpret_cast<const float4 *>(w + (group * 4 + k) * BN + 16 * j);
                }
#pragma unroll
                for (int i = 0; i < TM; i++) {
#pragma unroll
                    for (int j = 0; j < TN; j++) {
                        acc[i][j] = __fmaf_rn(x[i][k], b[j], acc[i][j]);
                    }
                }
            }
        }
    }

    static __device__ __forceinline__ void clear(float (&acc)[TM][TN])
    {
#pragma unroll
        for (int i = 0; i < TM; i++) {
#pragma unroll
            for (int j = 0; j < TN; j++) {
                acc[i][j] = 0.0f;
            }
        }
    }
};

/* The stages of a pipeline, in turn. */
template <class T> struct Ring {
    float *shared;
    int offset; /* of the current stage, in floats */
    __device__ __forceinline__ float *current() const { return shared + offset; }
    __device__ __forceinline__ float *next() const /* the stage that was the current one in the last step */
    {
        return shared + (offset == 0 ? (STAGES - 1) * T::STAGE_FLOATS : offset - T::STAGE_FLOATS);
    }
    __device__ __forceinline__ void advance() { offset = offset == (STAGES - 1) * T::STAGE_FLOATS ? 0 : offset + T::STAGE_FLOATS; }
};

__device__ __forceinline__ float4 add(float4 a, float4 b)
{
    return make_float4(__fadd_rn(a.x, b.x), __fadd_rn(a.y, b.y), __fadd_rn(a.z, b.z), __fadd_rn(a.w, b.w));
}

/* Sums lie in shared memory with neighbours exchanged: so an accumulator gets a register of the other bank than its column of w
 * has, and a multiply-add reads both in one cycle. */
__device__ __forceinline__ float4 exchanged(const float *a)
{
    return make_float4(a[1], a[0], a[3], a[2]);
}

/* Neighbouring blocks take tiles of a few rows of tiles, so that what they read is in the second-level cache. */
__device__ __forceinline__ void place_tile(int tiles_m, int tiles_n, int index, int *tile_m, int *tile_n)
{
    constexpr int BAND = 8;
    int per_band = BAND * tiles_n, band = index / per_band, rest = index % per_band;
    int height = min(BAND, tiles_m - band * BAND);
    *tile_m = band * BAND + rest % height;
    *tile_n = rest / height;
}

/* A problem P has the sizes m, n and k, `Loader<T>`, which copies steps of a tile, `prepare<T>`, which may fill shared memory
 * behind the sums for the loaders, and `store`. A block computes a tile whole and keeps the sum of the chunks so far in shared
 * memory. */
template <class T, class P> __device__ __forceinline__ void wide(const P &p)
{
    extern __shared__ __align__(16) float shared[];
    float4 *totals = reinterpret_cast<float4 *>(shared + STAGES * T::STAGE_FLOATS);
    int tile_m, tile_n;
    place_tile((p.m + T::BM - 1) / T::BM, (p.n + T::BN - 1) / T::BN, blockIdx.x, &tile_m, &tile_n);
    int m0 = tile_m * T::BM, n0 = tile_n * T::BN;
    int steps = (p.k + T::BK - 1) / T::BK;
    float *rest = shared + STAGES * T::STAGE_FLOATS + (p.k > HD_CHUNK ? T::BM * T::BN : 0);
    p.template prepare<T>(rest, 0, p.k);
    typename P::template Loader<T> loader(p, m0, n0, 0, rest);
    float acc[T::TM][T::TN];
    T::clear(acc);
#pragma unroll
    for (int s = 0; s < STAGES - 1; s++) {
        if (s < steps) {
            loader.copy(shared + s * T::STAGE_FLOATS, p.k);
        }
        commit_async();
    }
    Ring<T> ring = {shared, 0};
#pragma unroll 1
    for (int step = 0; step < steps; step++) {
        wait_async<STAGES - 2>();
        __syncthreads();
        if (step + STAGES - 1 < steps) {
            loader.copy(ring.next(), p.k);
        }
        commit_async();
        T::multiply(ring.current(), acc);
        ring.advance();
        if ((step + 1) % T::STEPS == 0 && step + 1 < steps) { /* a chunk ends, and another follows */
            bool first = step + 1 == T::STEPS;
#pragma unroll
            for (int g = 0; g < T::GROUPS; g++) {
                float4 sum = exchanged(&acc[g / (T::TN / 4)][g % (T::TN / 4) * 4]);
                float4 *total = &totals[g * T::THREADS + threadIdx.x];
                *total = first ? sum : add(*total, sum);
            }
            T::clear(acc);
        }
    }
#pragma unroll
    for (int g = 0; g < T::GROUPS; g++) {
        float4 sum = exchanged(&acc[g / (T::TN / 4)][g % (T::TN / 4) * 4]);
        if (p.k > HD_CHUNK) {
            sum = add(totals[g * T::THREADS + threadIdx.x], sum);
        }
        p.store(m0 + T::row_of(threadIdx.x, g), n0 + T::column_of(threadIdx.x, g), make_float4(sum.y, sum.x, sum.w, sum.z));
    }
}

/* A cluster of `gridDim.y` blocks shares a tile: block s computes chunks [s·per, (s+1)·per) and keeps each one's sums;
 * then every block adds its share of the tile's elements over all chunks. */
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900 /* clusters */
template <class T, class P> __device__ __forceinline__ void split(const P &p)
{
    namespace cg = cooperative_groups;
    extern __shared__ __align__(16) float shared[];
    float4 *sums = reinterpret_cast<float4 *>(shared + STAGES * T::STAGE_FLOATS);
    int tile_m, tile_n, per = p.per;
    place_tile((p.m + T::BM - 1) / T::BM, (p.n + T::BN - 1) / T::BN, blockIdx.x, &tile_m, &tile_n);
    int m0 = tile_m * T::BM, n0 = tile_n * T::BN;
    int chunks = (p.k + HD_CHUNK - 1) / HD_CHUNK, share = blockIdx.y, shares = gridDim.y;
    int k_begin = share * per * HD_CHUNK, k_end = min(p.k, k_begin + per * HD_CHUNK);
    int steps = (k_end - k_begin + T::BK - 1) / T::BK;
    float *rest = shared + STAGES * T::STAGE_FLOATS + per * T::BM * T::BN;
    p.template prepare<T>(rest, k_begin, k_end);
    typename P::template Loader<T> loader(p, m0, n0, k_begin, rest);
    float acc[T::TM][T::TN];
    T::clear(acc);
#pragma unroll
    for (int s = 0; s < STAGES - 1; s++) {
        if (s < steps) {
            loader.copy(shared + s * T::STAGE_FLOATS, k_end);
        }
        commit_async();
    }
    int chunk = 0;
    Ring<T> ring = {shared, 0};
#pragma unroll 1
    for (int step = 0; step < steps; step++) {
        wait_async<STAGES - 2>();
        __syncthreads();
        if (step + STAGES - 1 < steps) {
            loader.copy(ring.next(), k_end);
        }
        commit_async();
        T::multiply(ring.current(), acc);
        ring.advance();
        if ((step + 1) % T::STEPS == 0 || step + 1 == steps) {
#pragma unroll
            for (int g = 0; g < T::GROUPS; g++) {
                sums[(chunk * T::GROUPS + g) * T::THREADS + threadIdx.x] = exchanged(&acc[g / (T::TN / 4)][g % (T::TN / 4) * 4]);
            }
            chunk++;
            T::clear(acc);
        }
    }
    cg::cluster_group cluster = cg::this_cluster();
    cluster.sync();
    for (int g = share; g < T::GROUPS; g += shares) {
        float4 total = {};
        for (int c = 0; c < chunks; c++) {
            const float4 *theirs = cluster.map_shared_rank(sums, c / per);
            float4 sum = theirs[((c % per) * T::GROUPS + g) * T::THREADS + threadIdx.x];
            total = c == 0 ? sum : add(total, sum);
        }
        p.store(m0 + T::row_of(threadIdx.x, g), n0 + T::column_of(threadIdx.x, g), make_float4(total.y, total.x, total.w, total.z));
    }
    cluster.sync(); /* nobody leaves while others read its sums */
}
#endif

using Small = Tile<32, 64, 32, 4, 4>;       /* 128 threads */
using Square = Tile<64, 64, 16, 8, 4>;      /* 128 threads */
using SquareDeep = Tile<64, 64, 32, 8, 4>;  /* 128 threads */
using Oblong = Tile<64, 128, 16, 8, 8>;     /* 128 threads */
using Large = Tile<128, 128, 32, 8, 8>;     /* 256 threads */

} // namespace

#endif
