/* float32 matrix products: y[M, N] = activation(x[M, K] · w[K, N] + bias[N] + residual[M, N]), without TF32.
 *
 * BITS: an element's bits follow from its row of x, its column of w and K alone. K is cut into chunks of
 * HD_CHUNK. A chunk's sum is a chain of fused multiply-adds, k ascending, from zero; the chunks' sums are added in
 * ascending order; then bias, residual and activation. How many rows there are, which tile an element lies in and
 * who computes which chunk never matter, so the fastest of the kernels below may be taken for each M:
 *
 *   narrow  few rows: a block has a strip of columns, each of its warps one or more chunks, summed in the block
 *   split   some hundred rows: a cluster of blocks shares a tile's chunks and sums them in distributed shared memory
 *   wide    many rows: a block computes a tile whole and keeps the sum of the chunks so far in shared memory
 *
 * Rows of x, w, residual and y are a multiple of 4 elements apart and begin at multiples of 16 bytes.
 * Thread-safety: any number of launches at once; nothing is kept between them. */
#include "product_float32.h"

#include <cooperative_groups.h>

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

    /* What one thread copies of each step: places and sources stay, and move on by one step each time. */
    struct Loader {
        static constexpr int XS = BM * BK / 4 / THREADS, WS = BK * BN / 4 / THREADS;
        static_assert(XS * THREADS * 4 == BM * BK && WS * THREADS * 4 == BK * BN, "threads share a step evenly");
        static constexpr int X_ROWS = THREADS / (BK / 4), W_ROWS = THREADS / (BN / 4); /* apart, from copy to copy */
        static_assert(X_ROWS % 8 == 0 && THREADS % (BN / 4) == 0, "a thread's copies lie at one column");
        const float *x, *w;
        long long x_step, w_step, w_advance; /* from copy to copy, and from step to step, elements */
        int x_place_, w_place, x_rows, n_count, k;
        bool whole; /* the tile lies inside the product */

        __device__ __forceinline__ Loader(const hd_cuda_product &p, int m0, int n0, int k0)
        {
            int row = threadIdx.x / (BK / 4), group = threadIdx.x % (BK / 4);
            x_place_ = x_place(row, group);
            x_rows = p.m - m0 - row; /* copies beyond it are empty */
            k = k0;
            x = p.x + (long long)(m0 + row) * p.x_stride + k0 + group * 4;
            x_step = (long long)X_ROWS * p.x_stride;
            int w_row = threadIdx.x / (BN / 4), column = threadIdx.x % (BN / 4) * 4;
            w_place = X_FLOATS + w_row * BN + column;
            n_count = p.n - n0 - column;
            w = p.w + (long long)(k0 + w_row) * p.w_stride + n0 + column;
            w_step = (long long)W_ROWS * p.w_stride;
            w_advance = (long long)BK * p.w_stride;
            whole = m0 + BM <= p.m && n0 + BN <= p.n;
        }
        __device__ __forceinline__ void copy(float *stage, int k_end)
        {
            if (whole && k + BK <= k_end) {
#pragma unroll
                for (int i = 0; i < XS; i++) {
                    copy_async_whole(stage + x_place_ + i * X_ROWS * BK, x + i * x_step);
                }
#pragma unroll
                for (int i = 0; i < WS; i++) {
                    copy_async_whole(stage + w_place + i * W_ROWS * BN, w + i * w_step);
                }
            } else {
                int k_x = k + (threadIdx.x % (BK / 4)) * 4, k_w = k + threadIdx.x / (BN / 4);
#pragma unroll
                for (int i = 0; i < XS; i++) {
                    copy_async(stage + x_place_ + i * X_ROWS * BK, x + i * x_step, x_rows > i * X_ROWS ? k_end - k_x : 0);
                }
#pragma unroll
                for (int i = 0; i < WS; i++) {
                    copy_async(stage + w_place + i * W_ROWS * BN, w + i * w_step, k_w + i * W_ROWS < k_end ? n_count : 0);
                }
            }
            x += BK;
            w += w_advance;
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

/* Writes four sums; columns beyond N lie in a row's rest and are not written. */
__device__ __forceinline__ void store(const hd_cuda_product &p, const Epilogue &e, int m, int n, float4 sum)
{
    if (m >= p.m || n >= p.n) {
        return;
    }
    float v[4] = {sum.x, sum.y, sum.z, sum.w};
    float *y = p.y + (long long)m * p.y_stride + n;
    const float *residual = e.residual + (long long)m * p.residual_stride + n;
    if (n + 4 <= p.n) {
        float4 bias = e.bias != nullptr ? *reinterpret_cast<const float4 *>(e.bias + n) : float4{};
        float4 rest = e.residual != nullptr ? *reinterpret_cast<const float4 *>(residual) : float4{};
        *reinterpret_cast<float4 *>(y) = make_float4(finish(v[0], bias.x, rest.x, e), finish(v[1], bias.y, rest.y, e),
                                                     finish(v[2], bias.z, rest.z, e), finish(v[3], bias.w, rest.w, e));
        return;
    }
#pragma unroll
    for (int j = 0; j < 4; j++) {
        if (n + j >= p.n) {
            break;
        }
        y[j] = finish(v[j], e.bias != nullptr ? e.bias[n + j] : 0.0f, e.residual != nullptr ? residual[j] : 0.0f, e);
    }
}

__device__ __forceinline__ hd_cuda_product of_batch(hd_cuda_product p, int entry)
{
    p.x += (long long)entry * p.x_batch_stride;
    p.w += (long long)entry * p.w_batch_stride;
    p.y += (long long)entry * p.y_batch_stride;
    if (p.residual != nullptr) {
        p.residual += (long long)entry * p.residual_batch_stride;
    }
    return p;
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

template <class T> __device__ __forceinline__ void wide(const hd_cuda_product &batch)
{
    extern __shared__ __align__(16) float shared[];
    float4 *totals = reinterpret_cast<float4 *>(shared + STAGES * T::STAGE_FLOATS);
    hd_cuda_product p = of_batch(batch, blockIdx.z);
    int tile_m, tile_n;
    place_tile((p.m + T::BM - 1) / T::BM, (p.n + T::BN - 1) / T::BN, blockIdx.x, &tile_m, &tile_n);
    int m0 = tile_m * T::BM, n0 = tile_n * T::BN;
    int steps = (p.k + T::BK - 1) / T::BK;
    typename T::Loader loader(p, m0, n0, 0);
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
    Epilogue e = {p.bias, p.residual, batch.activation};
#pragma unroll
    for (int g = 0; g < T::GROUPS; g++) {
        float4 sum = exchanged(&acc[g / (T::TN / 4)][g % (T::TN / 4) * 4]);
        if (p.k > HD_CHUNK) {
            sum = add(totals[g * T::THREADS + threadIdx.x], sum);
        }
        store(p, e, m0 + T::row_of(threadIdx.x, g), n0 + T::column_of(threadIdx.x, g), make_float4(sum.y, sum.x, sum.w, sum.z));
    }
}

/* A cluster of `gridDim.y` blocks shares a tile: block s computes chunks [s·per, (s+1)·per) and keeps each one's sums;
 * then every block adds its share of the tile's elements over all chunks. */
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900 /* clusters */
template <class T> __device__ __forceinline__ void split(const hd_cuda_product &batch)
{
    namespace cg = cooperative_groups;
    extern __shared__ __align__(16) float shared[];
    float4 *sums = reinterpret_cast<float4 *>(shared + STAGES * T::STAGE_FLOATS);
    hd_cuda_product p = of_batch(batch, blockIdx.z);
    int tile_m, tile_n;
    place_tile((p.m + T::BM - 1) / T::BM, (p.n + T::BN - 1) / T::BN, blockIdx.x, &tile_m, &tile_n);
    int m0 = tile_m * T::BM, n0 = tile_n * T::BN;
    int chunks = (p.k + HD_CHUNK - 1) / HD_CHUNK, share = blockIdx.y, shares = gridDim.y, per = p.per;
    int k_begin = share * per * HD_CHUNK, k_end = min(p.k, k_begin + per * HD_CHUNK);
    int steps = (k_end - k_begin + T::BK - 1) / T::BK;
    typename T::Loader loader(p, m0, n0, k_begin);
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
    Epilogue e = {p.bias, p.residual, batch.activation};
    for (int g = share; g < T::GROUPS; g += shares) {
        float4 total = {};
        for (int c = 0; c < chunks; c++) {
            const float4 *theirs = cluster.map_shared_rank(sums, c / per);
            float4 sum = theirs[((c % per) * T::GROUPS + g) * T::THREADS + threadIdx.x];
            total = c == 0 ? sum : add(total, sum);
        }
        store(p, e, m0 + T::row_of(threadIdx.x, g), n0 + T::column_of(threadIdx.x, g), make_float4(total.y, total.x, total.w, total.z));
    }
    cluster.sync(); /* nobody leaves while others read its sums */
}
#endif

/* COLUMNS columns of up to ROWS rows a block; a warp has 32 / COLUMNS chunks at a time, whose weights it brings to shared
 * memory whole: the more bytes are on their way at once, the sooner a product of few rows is done. */
template <int ROWS_, int COLUMNS_> struct Strip {
    static constexpr int ROWS = ROWS_, COLUMNS = COLUMNS_, PER_WARP = 32 / COLUMNS, PARTS = 4, PART = HD_CHUNK / PARTS;
    static constexpr int W_FLOATS = (HD_CHUNK + 1) * COLUMNS, X_FLOATS = ROWS * HD_CHUNK + 4; /* of a chunk; what is added parts the banks */
    static constexpr int WARP_FLOATS = PER_WARP * (W_FLOATS + X_FLOATS), SUM_FLOATS = ROWS * COLUMNS;
};

template <class S> __device__ __forceinline__ void narrow(const hd_cuda_product &batch)
{
    extern __shared__ __align__(16) float shared[]; /* the warps' chunks, then their sums: [chunk][row][column] */
    hd_cuda_product p = of_batch(batch, blockIdx.z);
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
    int sub = lane / S::COLUMNS, column = lane % S::COLUMNS, n0 = blockIdx.x * S::COLUMNS, m0 = blockIdx.y * S::ROWS;
    int chunks = (p.k + HD_CHUNK - 1) / HD_CHUNK;
    float *w = shared + warp * S::WARP_FLOATS, *x = w + S::PER_WARP * S::W_FLOATS;
    float *sums = shared + warps * S::WARP_FLOATS;
    for (int first = warp * S::PER_WARP; first < chunks; first += warps * S::PER_WARP) {
        __syncwarp();
#pragma unroll
        for (int part = 0; part < S::PARTS; part++) {
#pragma unroll
            for (int i = lane; i < S::PER_WARP * S::PART * S::COLUMNS / 4; i += 32) {
                int c = i / (S::PART * S::COLUMNS / 4), rest = i % (S::PART * S::COLUMNS / 4);
                int k = part * S::PART + rest / (S::COLUMNS / 4), group = rest % (S::COLUMNS / 4) * 4;
                int at = (first + c) * HD_CHUNK + k, count = at < p.k ? p.n - n0 - group : 0;
                copy_async(w + c * S::W_FLOATS + k * S::COLUMNS + group, p.w + (count > 0 ? (long long)at * p.w_stride + n0 + group : 0), count);
            }
            for (int i = lane; i < S::PER_WARP * S::ROWS * S::PART / 4; i += 32) {
                int c = i / (S::ROWS * S::PART / 4), rest = i % (S::ROWS * S::PART / 4), row = rest / (S::PART / 4);
                int k = part * S::PART + rest % (S::PART / 4) * 4, at = (first + c) * HD_CHUNK + k;
                int count = m0 + row < p.m ? p.k - at : 0;
                copy_async(x + c * S::X_FLOATS + row * HD_CHUNK + k, p.x + (count > 0 ? (long long)(m0 + row) * p.x_stride + at : 0), count);
            }
            commit_async();
        }
        float acc[S::ROWS];
#pragma unroll
        for (int i = 0; i < S::ROWS; i++) {
            acc[i] = 0.0f;
        }
        const float *my_w = w + sub * S::W_FLOATS + column, *my_x = x + sub * S::X_FLOATS;
#pragma unroll
        for (int part = 0; part < S::PARTS; part++) {
            switch (part) {
            case 0: wait_async<S::PARTS - 1>(); break;
            case 1: wait_async<S::PARTS - 2>(); break;
            case 2: wait_async<S::PARTS - 3>(); break;
            default: wait_async<0>(); break;
            }
            __syncwarp();
#pragma unroll 4
            for (int k = part * S::PART; k < (part + 1) * S::PART; k += 4) {
                float b[4];
#pragma unroll
                for (int u = 0; u < 4; u++) {
                    b[u] = my_w[(k + u) * S::COLUMNS];
                }
#pragma unroll
                for (int i = 0; i < S::ROWS; i++) {
                    float4 a = *reinterpret_cast<const float4 *>(my_x + i * HD_CHUNK + k);
                    acc[i] = __fmaf_rn(a.x, b[0], acc[i]);
                    acc[i] = __fmaf_rn(a.y, b[1], acc[i]);
                    acc[i] = __fmaf_rn(a.z, b[2], acc[i]);
                    acc[i] = __fmaf_rn(a.w, b[3], acc[i]);
                }
            }
        }
        if (first + sub < chunks) {
#pragma unroll
            for (int i = 0; i < S::ROWS; i++) {
                sums[(first + sub) * S::SUM_FLOATS + i * S::COLUMNS + column] = acc[i];
            }
        }
    }
    __syncthreads();
    Epilogue e = {p.bias, p.residual, batch.activation};
    for (int i = threadIdx.x; i < S::SUM_FLOATS; i += blockDim.x) {
        int m = m0 + i / S::COLUMNS, n = n0 + i % S::COLUMNS;
        if (m < p.m && n < p.n) {
            float total = sums[i];
            for (int c = 1; c < chunks; c++) {
                total = __fadd_rn(total, sums[c * S::SUM_FLOATS + i]);
            }
            float bias = e.bias != nullptr ? e.bias[n] : 0.0f;
            float residual = e.residual != nullptr ? e.residual[(long long)m * p.residual_stride + n] : 0.0f;
            p.y[(long long)m * p.y_stride + n] = finish(total, bias, residual, e);
        }
    }
}

/* Any strides, a thread two by two elements of a tile of 32 x 32. */
__device__ __forceinline__ void plain(const hd_cuda_plain_product &p)
{
    enum { TILE = 32, STEP = 32 };
    __shared__ float x_tile[TILE][STEP + 1], w_tile[STEP][TILE + 1];
    const float *x = p.x, *w = p.w, *c = p.c;
    float *y = p.y + blockIdx.z * p.y_batch;
    int rest = blockIdx.z;
    for (int d = p.batch_rank - 1; d >= 0; d--) {
        int index = rest % p.batch_dims[d];
        rest /= p.batch_dims[d];
        x += index * p.x_batch[d];
        w += index * p.w_batch[d];
    }
    int m0 = blockIdx.x * TILE, n0 = blockIdx.y * TILE, column = threadIdx.x & 15, row = threadIdx.x >> 4;
    float total[2][2] = {}, sum[2][2] = {};
    bool any = false;
    for (int k0 = 0; k0 < p.k; k0 += STEP) {
        __syncthreads();
        for (int i = threadIdx.x; i < TILE * STEP; i += 256) {
            /* neighbouring threads read along the dimension that lies densely */
            int a = p.x_k == 1 ? i / STEP : i % TILE, b = p.x_k == 1 ? i % STEP : i / TILE;
            x_tile[a][b] = m0 + a < p.m && k0 + b < p.k ? x[(m0 + a) * p.x_m + (k0 + b) * p.x_k] : 0.0f;
            int e = p.w_n == 1 ? i / TILE : i % STEP, f = p.w_n == 1 ? i % TILE : i / STEP;
            w_tile[e][f] = k0 + e < p.k && n0 + f < p.n ? w[(k0 + e) * p.w_k + (n0 + f) * p.w_n] : 0.0f;
        }
        __syncthreads();
#pragma unroll 8
        for (int k = 0; k < STEP; k++) {
#pragma unroll
            for (int i = 0; i < 2; i++) {
#pragma unroll
                for (int j = 0; j < 2; j++) {
                    sum[i][j] = __fmaf_rn(x_tile[row + 16 * i][k], w_tile[k][column + 16 * j], sum[i][j]);
                }
            }
        }
        if ((k0 + STEP) % HD_CHUNK == 0 || k0 + STEP >= p.k) {
#pragma unroll
            for (int i = 0; i < 2; i++) {
#pragma unroll
                for (int j = 0; j < 2; j++) {
                    total[i][j] = any ? __fadd_rn(total[i][j], sum[i][j]) : sum[i][j];
                    sum[i][j] = 0.0f;
                }
            }
            any = true;
        }
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
#pragma unroll
        for (int j = 0; j < 2; j++) {
            int m = m0 + row + 16 * i, n = n0 + column + 16 * j;
            if (m >= p.m || n >= p.n) {
                continue;
            }
            float v = __fadd_rn(total[i][j], 0.0f);
            v = p.alpha == 1.0f ? v : __fmul_rn(p.alpha, v);
            v = p.bias != nullptr ? __fadd_rn(v, p.bias[n]) : v;
            if (c != nullptr) {
                float added = c[m * p.c_m + n * p.c_n];
                v = __fadd_rn(v, p.beta == 1.0f ? added : __fmul_rn(p.beta, added));
            }
            y[(long long)m * p.n + n] = hd_activate(v, p.activation);
        }
    }
}

using Small = Tile<32, 64, 32, 4, 4>;   /* 128 threads */
using Square = Tile<64, 64, 16, 8, 4>;   /* 128 threads */
using SquareDeep = Tile<64, 64, 32, 8, 4>;  /* 128 threads */
using Oblong = Tile<64, 128, 16, 8, 8>; /* 128 threads */
using Large = Tile<128, 128, 32, 8, 8>;   /* 256 threads */

} // namespace

#define PARAMETERS const __grid_constant__ hd_cuda_product p

extern "C" __global__ void __launch_bounds__(256) hd_product_plain(const __grid_constant__ hd_cuda_plain_product p)
{
    plain(p);
}

#define NARROW(ROWS, COLUMNS) \
    extern "C" __global__ void __launch_bounds__(512) hd_product_narrow##ROWS##x##COLUMNS(PARAMETERS) { narrow<Strip<ROWS, COLUMNS>>(p); }
NARROW(1, 8)
NARROW(2, 16)
NARROW(4, 16)
NARROW(4, 32)
NARROW(8, 16)
NARROW(8, 32)
NARROW(16, 32)

#define WIDE(NAME, T, BLOCKS) \
    extern "C" __global__ void __launch_bounds__(T::THREADS, BLOCKS) hd_product_wide##NAME(PARAMETERS) { wide<T>(p); }
WIDE(32x64, Small, 4)
WIDE(64x64, Square, 4)
WIDE(64x128, Oblong, 3)
WIDE(128x128, Large, 1)

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900 /* clusters */
#define SPLIT(NAME, T) \
    extern "C" __global__ void __launch_bounds__(T::THREADS, 3) hd_product_split##NAME(PARAMETERS) { split<T>(p); }
SPLIT(32x64, Small)
SPLIT(64x64, SquareDeep)
SPLIT(64x128, Oblong)
#endif
