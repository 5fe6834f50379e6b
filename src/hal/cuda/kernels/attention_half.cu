/* y = softmax(scale · q·kᵀ + mask) · v for each batch entry and head, float16 or bfloat16 with float32 sums and softmax; no table of
 * queries x keys is made. A warp has 16 queries and walks the keys in tiles of 64, keeping the largest score and the sum so far.
 *
 * BITS: what is added in which order for a query follows from the number of keys and D alone: neither how many queries, heads and
 * batch entries there are matters, nor how many warps a block has, which may therefore follow the size of the work.
 *
 * A query whose scores are all -inf gives NaN, as softmax does.
 *
 * Source of the recurrence: Milakov and Gimelshein, "Online normalizer calculation for softmax" (2018); of its use here: Dao et al.,
 * "FlashAttention" (2022).
 *
 * Thread-safety: any number of launches at once; nothing is kept between them. */
#include "attention_half.cuh"

namespace {

/* Four 8x8 matrices; lane l gives the address of row l % 8 of matrix l / 8. */
__device__ __forceinline__ void load_matrices(unsigned (&r)[4], const void *shared)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(shared)));
}
__device__ __forceinline__ void load_matrices_transposed(unsigned (&r)[4], const void *shared)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(shared)));
}

/* Rows of D elements in shared memory, 8 elements apart, so that 8 rows' groups of 16 bytes lie in different banks. */
template <int D> struct Matrix {
    static constexpr int STRIDE = D + 8;
    template <class H, int THREADS>
    static __device__ __forceinline__ void copy(H *shared, const H *global, int stride, int first, int rows, int count)
    {
#pragma unroll
        for (int n = 0; n < rows * (D / 8) / THREADS; n++) {
            int i = threadIdx.x + n * THREADS;
            int row = i / (D / 8), column = i % (D / 8) * 8;
            bool valid = first + row < count;
            copy_async(shared + row * STRIDE + column, global + (valid ? (long long)(first + row) * stride + column : 0), valid);
        }
    }
};

/* BY_QUERY: the mask has a row for each query. */
template <class H, int D, int WARPS, bool BY_QUERY> __device__ __forceinline__ void attention(const hd_cuda_attention_half &p)
{
    using M = Matrix<D>;
    constexpr int THREADS = 32 * WARPS, QUERIES = 16 * WARPS, STEPS = D / 16, TILES = KEYS / 8;
    extern __shared__ __align__(16) unsigned char shared[];
    __shared__ float added[2][KEYS];
    H *queries = reinterpret_cast<H *>(shared), *keys = queries + QUERIES * M::STRIDE, *values = keys + 2 * KEYS * M::STRIDE;
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, entry = blockIdx.z, head = blockIdx.y, first_query = blockIdx.x * QUERIES;
    const H *q = static_cast<const H *>(p.q) + entry * p.q_batch_stride + head * D;
    const H *k = static_cast<const H *>(p.k) + entry * p.k_batch_stride + head * D;
    const H *v = static_cast<const H *>(p.v) + entry * p.v_batch_stride + head * D;
    M::template copy<H, THREADS>(queries, q, p.q_stride, first_query, QUERIES, p.queries);
    /* Two tiles are on their way at first; then, as soon as one's keys or values were used by all warps, those of the next but one. */
    auto copy_keys = [&](int tile) {
        M::template copy<H, THREADS>(keys + (tile & 1) * KEYS * M::STRIDE, k, p.k_stride, tile * KEYS, KEYS, p.keys);
    };
    auto copy_values = [&](int tile) {
        M::template copy<H, THREADS>(values + (tile & 1) * KEYS * M::STRIDE, v, p.v_stride, tile * KEYS, KEYS, p.keys);
    };
    int tiles = (p.keys + KEYS - 1) / KEYS;
    for (int tile = 0; tile < 2; tile++) {
        if (tile < tiles) {
            copy_keys(tile);
        }
        commit_async();
        if (tile < tiles) {
            copy_values(tile);
        }
        commit_async();
    }

    int group = lane >> 2, pair = (lane & 3) * 2; /* of a tile of scores a lane has rows group and group + 8, columns pair and pair + 1 */
    int query[2] = {first_query + warp * 16 + group, first_query + warp * 16 + group + 8};
    const float *mask = p.mask == nullptr ? nullptr : p.mask + entry * p.mask_batch_stride + head * p.mask_head_stride;
    const float *query_mask[2];
    if constexpr (BY_QUERY) {
        for (int r = 0; r < 2; r++) {
            query_mask[r] = mask + min(query[r], p.queries - 1) * p.mask_query_stride;
        }
    }
    float scale = __fmul_rn(p.scale, LOG2_E);
    Progress progress[2] = {{-__builtin_huge_valf(), 0.0f}, {-__builtin_huge_valf(), 0.0f}};
    float out[D / 8][4] = {};
    unsigned a[STEPS][4];
    for (int tile = 0; tile < tiles; tile++) {
        const H *tile_keys = keys + (tile & 1) * KEYS * M::STRIDE, *tile_values = values + (tile & 1) * KEYS * M::STRIDE;
        for (int i = threadIdx.x; i < KEYS; i += THREADS) {
            added[tile & 1][i] = of_key(p, mask, tile * KEYS + i);
        }
        wait_async<2>(); /* the keys */
        __syncthreads();
        if (tile > 0 && tile + 1 < tiles) {
            copy_values(tile + 1);
        }
        commit_async();
        if (tile == 0) {
#pragma unroll
            for (int s = 0; s < STEPS; s++) {
                load_matrices(a[s], queries + (warp * 16 + (lane & 15)) * M::STRIDE + s * 16 + (lane >> 4) * 8);
            }
        }
        float score[TILES][4] = {};
#pragma unroll
        for (int s = 0; s < STEPS; s++) {
#pragma unroll
            for (int n = 0; n < TILES; n += 2) {
                unsigned b[4];
                load_matrices(b, tile_keys + (n * 8 + (lane >> 4) * 8 + (lane & 7)) * M::STRIDE + s * 16 + (lane >> 3 & 1) * 8);
                Half<H>::multiply(score[n], a[s], b[0], b[1]);
                Half<H>::multiply(score[n + 1], a[s], b[2], b[3]);
            }
        }
        float largest[2] = {progress[0].largest, progress[1].largest};
#pragma unroll
        for (int n = 0; n < TILES; n++) {
            float2 more = *reinterpret_cast<const float2 *>(&added[tile & 1][n * 8 + pair]);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                float s = __fmaf_rn(score[n][i], scale, i & 1 ? more.y : more.x);
                if constexpr (BY_QUERY) {
                    int key = tile * KEYS + n * 8 + pair + (i & 1);
                    s = key < p.keys ? __fmaf_rn(query_mask[i >> 1][key * p.mask_key_stride], LOG2_E, s) : s;
                }
                score[n][i] = s;
                largest[i >> 1] = fmaxf(largest[i >> 1], s);
            }
        }
        float origin[2];
#pragma unroll
        for (int r = 0; r < 2; r++) {
            largest[r] = largest_of_four(largest[r]);
            origin[r] = largest[r] == -__builtin_huge_valf() ? 0.0f : largest[r]; /* nothing but -inf yet: their powers are zeros */
            float factor = power_of_two(__fsub_rn(progress[r].largest, origin[r]));
            progress[r].largest = largest[r];
            progress[r].sum = __fmul_rn(progress[r].sum, factor);
#pragma unroll
            for (int n = 0; n < D / 8; n++) {
                out[n][2 * r] = __fmul_rn(out[n][2 * r], factor);
                out[n][2 * r + 1] = __fmul_rn(out[n][2 * r + 1], factor);
            }
        }
        unsigned power[TILES][2];
#pragma unroll
        for (int n = 0; n < TILES; n++) {
#pragma unroll
            for (int r = 0; r < 2; r++) {
                float x = power_of_two(__fsub_rn(score[n][2 * r], origin[r]));
                float y = power_of_two(__fsub_rn(score[n][2 * r + 1], origin[r]));
                progress[r].sum = __fadd_rn(progress[r].sum, __fadd_rn(x, y));
                power[n][r] = Half<H>::pack(x, y);
            }
        }
        wait_async<2>(); /* the values */
        __syncthreads();
        if (tile + 2 < tiles) {
            copy_keys(tile + 2);
        }
        commit_async();
#pragma unroll
        for (int s = 0; s < KEYS / 16; s++) {
            unsigned weights[4] = {power[2 * s][0], power[2 * s][1], power[2 * s + 1][0], power[2 * s + 1][1]};
#pragma unroll
            for (int n = 0; n < D / 8; n += 2) {
                unsigned b[4];
                load_matrices_transposed(b, tile_values + (s * 16 + (lane >> 3 & 1) * 8 + (lane & 7)) * M::STRIDE + n * 8 + (lane >> 4) * 8);
                Half<H>::multiply(out[n], weights, b[0], b[1]);
                Half<H>::multiply(out[n + 1], weights, b[2], b[3]);
            }
        }
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float sum = progress[r].sum; /* of the lane's own keys: the four lanes' are added now */
        sum = __fadd_rn(sum, __shfl_xor_sync(0xffffffffu, sum, 1));
        sum = __fadd_rn(sum, __shfl_xor_sync(0xffffffffu, sum, 2));
        float factor = __fdiv_rn(1.0f, sum);
        if (query[r] < p.queries) {
            H *y = static_cast<H *>(p.y) + entry * p.y_batch_stride + (long long)query[r] * p.y_stride + head * D + pair;
#pragma unroll
            for (int n = 0; n < D / 8; n++) {
                *reinterpret_cast<unsigned *>(y + 8 * n) = Half<H>::pack(__fmul_rn(out[n][2 * r], factor), __fmul_rn(out[n][2 * r + 1], factor));
            }
        }
    }
}

} // namespace

#define ATTENTION(NAME, H, D, WARPS)                                                                                                       \
    extern "C" __global__ void __launch_bounds__(32 * WARPS, D > 64 ? 1 : D > 32 ? 12 / WARPS : 16 / WARPS)                                \
        hd_attention_##NAME##_##D##x##WARPS(const __grid_constant__ hd_cuda_attention_half p)                                            \
    {                                                                                                                                      \
        hd_follow();                                                                                                                       \
        if (p.mask != nullptr && p.mask_query_stride != 0) {                                                                               \
            attention<H, D, WARPS, true>(p);                                                                                               \
        } else {                                                                                                                           \
            attention<H, D, WARPS, false>(p);                                                                                              \
        }                                                                                                                                  \
    }
#define ATTENTIONS(D, WARPS) ATTENTION(float16, __half, D, WARPS) ATTENTION(bfloat16, __nv_bfloat16, D, WARPS)
ATTENTIONS(32, 1) ATTENTIONS(32, 2) ATTENTIONS(32, 4)
