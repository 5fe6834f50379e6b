/* y = softmax(scale * q . k^T + mask) . v for each batch entry and head, in float32; no table of queries x keys is made. A block
 * has some queries and walks the keys in tiles of 64, keeping the largest score and the sum of powers so far.
 *
 * BITS: what is added in which order for a query follows from the number of keys and the head's size alone: a score is one chain
 * over the head's elements; within a tile a lane adds the powers of its four keys, then 16 lanes a butterfly; an element of y is one
 * chain over a tile's keys. How many queries a block has changes nothing, so it may follow the size of the work.
 *
 * A query whose scores are all -inf gives NaN, as softmax does.
 *
 * Source of the recurrence: Milakov and Gimelshein, "Online normalizer calculation for softmax" (2018); of its use here: Dao et al.,
 * "FlashAttention" (2022).
 *
 * Thread-safety: any number of launches at once; nothing is kept between them. */
#include "attention_float32.h"

namespace {

enum { KEYS = HD_ATTENTION_KEYS, LANES = 16 };

/* Copies `rows` rows of D elements to rows of D + 4 in shared memory; what is beyond `count` or `size` becomes zero. */
template <int D, int THREADS> __device__ __forceinline__ void fill(float *shared, const float *global, long long stride, int first, int rows, int count, int size)
{
    if (size % 4 == 0) { /* then rows begin at multiples of 16 bytes */
        for (int i = threadIdx.x; i < rows * (D / 4); i += THREADS) {
            int row = i / (D / 4), column = i % (D / 4) * 4;
            bool valid = first + row < count && column < size;
            *reinterpret_cast<float4 *>(shared + row * (D + 4) + column) =
                valid ? *reinterpret_cast<const float4 *>(global + (first + row) * stride + column) : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        }
    } else {
        for (int i = threadIdx.x; i < rows * D; i += THREADS) {
            int row = i / D, column = i % D;
            shared[row * (D + 4) + column] = first + row < count && column < size ? global[(first + row) * stride + column] : 0.0f;
        }
    }
}

__device__ __forceinline__ float butterfly_max(float v)
{
#pragma unroll
    for (int distance = LANES / 2; distance > 0; distance /= 2) {
        v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, distance));
    }
    return v;
}

__device__ __forceinline__ float butterfly_sum(float v)
{
#pragma unroll
    for (int distance = LANES / 2; distance > 0; distance /= 2) {
        v = __fadd_rn(v, __shfl_xor_sync(0xffffffffu, v, distance));
    }
    return v;
}

/* A warp has 2 * ROWS queries: 16 lanes share ROWS of them, each with four keys of a tile, 16 apart, and D / 16 columns of y in pairs. */
template <int D, int ROWS, int WARPS> __device__ __forceinline__ void attend(const hd_cuda_attention_float32 &p)
{
    constexpr int THREADS = 32 * WARPS, QUERIES = 2 * ROWS * WARPS, PAIRS = D / (2 * LANES), PER_LANE = KEYS / LANES, STRIDE = D + 4, SCORES = KEYS + 4;
    extern __shared__ __align__(16) float shared[];
    float *queries = shared, *keys = queries + QUERIES * STRIDE, *values = keys + KEYS * STRIDE, *powers = values + KEYS * STRIDE;
    int entry = blockIdx.z, head = blockIdx.y, first_query = blockIdx.x * QUERIES;
    int lane = threadIdx.x % LANES, first_row = threadIdx.x / LANES * ROWS;
    long long q_stride = (long long)p.heads * p.size, v_stride = (long long)p.heads * p.value_size;
    const float *q = p.q + (long long)entry * p.queries * q_stride + (long long)head * p.size;
    const float *k = p.k + (long long)entry * p.keys * q_stride + (long long)head * p.size;
    const float *v = p.v + (long long)entry * p.keys * v_stride + (long long)head * p.value_size;
    const float *mask = p.mask == nullptr ? nullptr : p.mask + entry * p.mask_strides[0] + head * p.mask_strides[1];
    fill<D, THREADS>(queries, q, q_stride, first_query, QUERIES, p.queries, p.size);
    float largest[ROWS], sum[ROWS], out[ROWS][PAIRS][2];
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        largest[r] = -__builtin_huge_valf();
        sum[r] = 0.0f;
#pragma unroll
        for (int c = 0; c < PAIRS; c++) {
            out[r][c][0] = out[r][c][1] = 0.0f;
        }
    }
#pragma unroll 1
    for (int first_key = 0; first_key < p.keys; first_key += KEYS) {
        __syncthreads();
        fill<D, THREADS>(keys, k, q_stride, first_key, KEYS, p.keys, p.size);
        fill<D, THREADS>(values, v, v_stride, first_key, KEYS, p.keys, p.value_size);
        __syncthreads();
        float score[ROWS][PER_LANE] = {};
#pragma unroll 4
        for (int d = 0; d < D; d += 4) {
            float4 a[ROWS], b[PER_LANE];
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                a[r] = *reinterpret_cast<const float4 *>(queries + (first_row + r) * STRIDE + d);
            }
#pragma unroll
            for (int j = 0; j < PER_LANE; j++) {
                b[j] = *reinterpret_cast<const float4 *>(keys + (j * LANES + lane) * STRIDE + d);
            }
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
#pragma unroll
                for (int j = 0; j < PER_LANE; j++) {
                    float s = __fmaf_rn(a[r].x, b[j].x, score[r][j]);
                    s = __fmaf_rn(a[r].y, b[j].y, s);
                    s = __fmaf_rn(a[r].z, b[j].z, s);
                    score[r][j] = __fmaf_rn(a[r].w, b[j].w, s);
                }
            }
        }
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            int query = min(first_query + first_row + r, p.queries - 1);
            float best = largest[r];
#pragma unroll
            for (int j = 0; j < PER_LANE; j++) {
                int key = first_key + j * LANES + lane;
                float s = __fmul_rn(score[r][j], p.scale);
                if (mask != nullptr && key < p.keys) {
                    s = __fadd_rn(s, mask[query * p.mask_strides[2] + key * p.mask_strides[3]]);
                }
                score[r][j] = key < p.keys ? s : -__builtin_huge_valf();
                best = fmaxf(best, score[r][j]);
            }
            best = butterfly_max(best);
            float origin = best == -__builtin_huge_valf() ? 0.0f : best; /* nothing but -inf yet: their powers are zeros */
            float factor = expf(__fsub_rn(largest[r], origin)), part = 0.0f;
            largest[r] = best;
#pragma unroll
            for (int j = 0; j < PER_LANE; j++) {
                float power = expf(__fsub_rn(score[r][j], origin));
                part = __fadd_rn(part, power);
                powers[(first_row + r) * SCORES + j * LANES + lane] = power;
            }
            sum[r] = __fmaf_rn(sum[r], factor, butterfly_sum(part));
#pragma unroll
            for (int c = 0; c < PAIRS; c++) {
                out[r][c][0] = __fmul_rn(out[r][c][0], factor);
                out[r][c][1] = __fmul_rn(out[r][c][1], factor);
            }
        }
        __syncwarp(); /* a row's powers come from the lanes of one warp */
#pragma unroll 2
        for (int key = 0; key < KEYS; key += 4) {
            float4 power[ROWS];
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                power[r] = *reinterpret_cast<const float4 *>(powers + (first_row + r) * SCORES + key);
            }
#pragma unroll
            for (int u = 0; u < 4; u++) {
#pragma unroll
                for (int c = 0; c < PAIRS; c++) {
                    float2 b = *reinterpret_cast<const float2 *>(values + (key + u) * STRIDE + c * 2 * LANES + 2 * lane);
#pragma unroll
                    for (int r = 0; r < ROWS; r++) {
                        float w = u == 0 ? power[r].x : u == 1 ? power[r].y : u == 2 ? power[r].z : power[r].w;
                        out[r][c][0] = __fmaf_rn(w, b.x, out[r][c][0]);
                        out[r][c][1] = __fmaf_rn(w, b.y, out[r][c][1]);
                    }
                }
            }
        }
        __syncwarp();
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        int query = first_query + first_row + r;
        float factor = __fdiv_rn(1.0f, sum[r]);
        float *y = p.y + ((long long)entry * p.queries + query) * v_stride + (long long)head * p.value_size;
#pragma unroll
        for (int c = 0; c < PAIRS; c++) {
            int column = c * 2 * LANES + 2 * lane;
#pragma unroll
            for (int i = 0; i < 2; i++) {
                if (query < p.queries && column + i < p.value_size) {
                    y[column + i] = __fmul_rn(out[r][c][i], factor);
                }
            }
        }
    }
}

} // namespace

#define ATTENTION(D, QUERIES, ROWS, WARPS) \
    extern "C" __global__ void __launch_bounds__(32 * WARPS) hd_attention_##D##x##QUERIES(const __grid_constant__ hd_cuda_attention_float32 p) { attend<D, ROWS, WARPS>(p); }
ATTENTION(32, 8, 1, 4)
ATTENTION(32, 16, 2, 4)
ATTENTION(32, 32, 4, 4)
ATTENTION(32, 64, 4, 8)
ATTENTION(64, 8, 1, 4)
ATTENTION(64, 16, 2, 4)
ATTENTION(64, 32, 4, 4)
ATTENTION(64, 64, 4, 8)
ATTENTION(128, 8, 1, 4)
ATTENTION(128, 16, 2, 4)
ATTENTION(128, 32, 4, 4)
ATTENTION(128, 64, 4, 8)
