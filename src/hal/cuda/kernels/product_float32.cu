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

#include "product_tile.cuh"

namespace {

/* Writes four sums; columns beyond N lie in a row's rest and are not written. */
__device__ __forceinline__ void store_four(const hd_cuda_product &p, const Epilogue &e, int m, int n, float4 sum)
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

/* What the tiles see of a product: one of the batch. */
struct Product : hd_cuda_product {
    __device__ __forceinline__ explicit Product(const hd_cuda_product &batch) : hd_cuda_product(of_batch(batch, blockIdx.z)) {}

    template <class T> struct Loader {
        static constexpr int COPIES = T::BM * T::BK / 4 / T::THREADS, ROWS = T::THREADS / (T::BK / 4); /* apart, from copy to copy */
        static_assert(COPIES * T::THREADS * 4 == T::BM * T::BK && ROWS % 8 == 0, "threads share a step evenly, a thread's copies at one column");
        const float *x;
        long long step; /* from copy to copy, elements */
        int place, rows, k;
        bool whole; /* the tile lies inside the product */
        typename T::Weights weights;

        __device__ __forceinline__ Loader(const Product &p, int m0, int n0, int k0, const float *) : weights(p.w, p.w_stride, p.n, n0, k0)
        {
            int row = threadIdx.x / (T::BK / 4), group = threadIdx.x % (T::BK / 4);
            place = T::x_place(row, group);
            rows = p.m - m0 - row; /* copies beyond it are empty */
            k = k0;
            x = p.x + (long long)(m0 + row) * p.x_stride + k0 + group * 4;
            step = (long long)ROWS * p.x_stride;
            whole = m0 + T::BM <= p.m && n0 + T::BN <= p.n;
        }
        __device__ __forceinline__ void copy(float *stage, int k_end)
        {
            bool inside = whole && k + T::BK <= k_end;
            int left = k_end - k - (int)(threadIdx.x % (T::BK / 4)) * 4;
#pragma unroll
            for (int i = 0; i < COPIES; i++) {
                float *to = stage + place + i * ROWS * T::BK;
                if (inside) {
                    copy_async_whole(to, x + i * step);
                } else {
                    copy_async(to, x + i * step, rows > i * ROWS ? left : 0);
                }
            }
            weights.copy(stage, k_end, inside);
            x += T::BK;
            k += T::BK;
        }
    };
    template <class T> __device__ __forceinline__ void prepare(float *, int, int) const {}
    __device__ __forceinline__ void store(int row, int column, float4 sum) const
    {
        store_four(*this, {bias, residual, activation}, row, column, sum);
    }
};

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
    extern "C" __global__ void __launch_bounds__(T::THREADS, BLOCKS) hd_product_wide##NAME(PARAMETERS) { wide<T>(Product(p)); }
WIDE(32x64, Small, 4)
WIDE(64x64, Square, 4)
WIDE(64x128, Oblong, 3)
WIDE(128x128, Large, 1)

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900 /* clusters */
#define SPLIT(NAME, T) \
    extern "C" __global__ void __launch_bounds__(T::THREADS, 3) hd_product_split##NAME(PARAMETERS) { split<T>(Product(p)); }
SPLIT(32x64, Small)
SPLIT(64x64, SquareDeep)
SPLIT(64x128, Oblong)
#endif
