/* As attention_half.cu, for heads of 64 and 128 elements, by the instructions that multiply matrices out of shared memory (wgmma;
 * compute capability 9.0 alone). The four warps of a block have 64 queries and walk the keys in tiles of 64; the scores of a tile are made
 * while the values of the one before are added, and both while the tile after is copied.
 *
 * BITS: what is added in which order for a query follows from the number of keys and D alone: neither how many queries, heads and
 * batch entries there are matters.
 *
 * A query whose scores are all -inf gives NaN, as softmax does.
 *
 * Thread-safety: any number of launches at once; nothing is kept between them. */
#include "attention_half.cuh"
#include "attention_wgmma.h"

namespace {

enum { QUERIES = 64, THREADS = 128, STAGES = HD_ATTENTION_WGMMA_STAGES };
constexpr unsigned PANEL_BYTES = KEYS * 128; /* 64 rows of 64 elements */

/* 64 rows of 128 bytes, in groups of 8 that are 1,024 bytes apart, 128-byte swizzle. Read along rows, or, transposed, across them, where
 * panels lie one behind the other. */
__device__ __forceinline__ unsigned long long descriptor(unsigned shared)
{
    return (1ull << 62) | (64ull << 32) | (static_cast<unsigned long long>(PANEL_BYTES >> 4) << 16) | ((shared & 0x3ffff) >> 4);
}

#define HD_REGISTERS_64                                                                                                                    \
    "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                                                              \
    "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}"
#define HD_REGISTERS_128                                                                                                                   \
    "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                                                              \
    "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "                                                     \
    "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "                                                     \
    "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}"
#define HD_C8(i)  "+f"(c[i]), "+f"(c[i + 1]), "+f"(c[i + 2]), "+f"(c[i + 3]), "+f"(c[i + 4]), "+f"(c[i + 5]), "+f"(c[i + 6]), "+f"(c[i + 7])
#define HD_C32(i) HD_C8(i), HD_C8(i + 8), HD_C8(i + 16), HD_C8(i + 24)

template <class H> struct Multiply;
#define HD_MULTIPLY(H, TYPE)                                                                                                               \
    template <> struct Multiply<H> {                                                                                                       \
        /* c (64 x 64) = a (64 x 16) . b (16 x 64), or is added to where `adds` is not 0 */                                                \
        static __device__ __forceinline__ void scores(float (&c)[32], unsigned long long a, unsigned long long b, int adds)               \
        {                                                                                                                                  \
            asm volatile("{\n.reg .pred adds;\nsetp.ne.b32 adds, %34, 0;\n"                                                                \
                         "wgmma.mma_async.sync.aligned.m64n64k16.f32." TYPE "." TYPE " " HD_REGISTERS_64 ", %32, %33, adds, 1, 1, 0, 0;\n}"  \
                         : HD_C32(0) : "l"(a), "l"(b), "r"(adds));                                                                          \
        }                                                                                                                                  \
        /* c += a (64 x 16, in registers) . b (16 x D, its rows in memory) */                                                              \
        static __device__ __forceinline__ void values(float (&c)[32], const unsigned (&a)[4], unsigned long long b)                       \
        {                                                                                                                                  \
            asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32." TYPE "." TYPE " " HD_REGISTERS_64                                   \
                         ", {%32, %33, %34, %35}, %36, 1, 1, 1, 1;"                                                                        \
                         : HD_C32(0) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));                                                 \
        }                                                                                                                                  \
        static __device__ __forceinline__ void values(float (&c)[64], const unsigned (&a)[4], unsigned long long b)                       \
        {                                                                                                                                  \
            asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32." TYPE "." TYPE " " HD_REGISTERS_128                                 \
                         ", {%64, %65, %66, %67}, %68, 1, 1, 1, 1;"                                                                        \
                         : HD_C32(0), HD_C32(32) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));                                     \
        }                                                                                                                                  \
    };
HD_MULTIPLY(__half, "f16")
HD_MULTIPLY(__nv_bfloat16, "bf16")

/* Keeps the compiler from moving c over the instructions that write it. */
template <int COUNT> __device__ __forceinline__ void fence(float (&c)[COUNT])
{
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
        asm volatile("" : "+f"(c[i])::"memory");
    }
}
__device__ __forceinline__ void begin_products()
{
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void commit_products()
{
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
/* All but the last LEFT that were committed. */
template <int LEFT> __device__ __forceinline__ void wait_for_products()
{
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(LEFT) : "memory");
}
/* What the thread's copies have brought is there for products; before a barrier of the block. */
template <int LEFT> __device__ __forceinline__ void wait_for_copies()
{
    wait_async<LEFT>();
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

/* A thread's part of 64 rows of D elements, which become D / 64 panels: 16 bytes of a column, of several rows. */
template <class H, int D> struct Copier {
    static constexpr int CHUNKS = D / 8, ROWS = THREADS / CHUNKS, COUNT = 64 / ROWS;
    static_assert(ROWS % 8 == 0, "a thread's rows are swizzled alike");
    const H *from;
    int stride, row;
    unsigned to;

    __device__ __forceinline__ Copier(const H *global, int rows_stride, unsigned shared, int thread)
    {
        int chunk = thread % CHUNKS;
        row = thread / CHUNKS;
        stride = rows_stride;
        from = global + static_cast<long long>(row) * stride + chunk * 8;
        to = shared + (chunk >> 3) * PANEL_BYTES + row * 128 + (((chunk ^ row) & 7) << 4);
    }
    /* Rows from `first` on, those from `count` on as zeros. */
    __device__ __forceinline__ void copy(int first, int count, unsigned offset) const
    {
        const H *place = from + static_cast<long long>(first) * stride;
        if (first + 64 <= count) {
#pragma unroll
            for (int i = 0; i < COUNT; i++) {
                asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to + offset + i * ROWS * 128), "l"(place) : "memory");
                place += ROWS * stride;
            }
            return;
        }
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            bool valid = first + row + i * ROWS < count;
            asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to + offset + i * ROWS * 128),
                         "l"(valid ? place + static_cast<long long>(i * ROWS) * stride : from), "r"(valid ? 16 : 0) : "memory");
        }
    }
};

/* What is added to scores: nothing, where they are scaled by more than 0; what all queries share; what each query has of its own. */
enum { NOTHING, BY_KEY, BY_QUERY };

template <class H, int D, int ADDED> __device__ __forceinline__ void attention(const hd_cuda_attention_half &p)
{
    constexpr unsigned ROWS_BYTES = D / 64 * PANEL_BYTES;
    extern __shared__ unsigned char shared[];
    __shared__ float added[2][KEYS];
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, entry = blockIdx.z, head = blockIdx.y, first_query = blockIdx.x * QUERIES;
    unsigned base = (shared_address(shared) + 1023) & ~1023u;
    unsigned queries = base, keys = base + ROWS_BYTES, values = keys + STAGES * ROWS_BYTES;
    const H *q = static_cast<const H *>(p.q) + entry * p.q_batch_stride + head * D;
    const H *k = static_cast<const H *>(p.k) + entry * p.k_batch_stride + head * D;
    const H *v = static_cast<const H *>(p.v) + entry * p.v_batch_stride + head * D;
    int tiles = (p.keys + KEYS - 1) / KEYS;
    const Copier<H, D> of_keys(k, p.k_stride, keys, threadIdx.x), of_values(v, p.v_stride, values, threadIdx.x);
    auto copy_keys = [&](int tile) {
        if (tile < tiles) {
            of_keys.copy(tile * KEYS, p.keys, tile % STAGES * ROWS_BYTES);
        }
    };
    auto copy_values = [&](int tile) {
        if (tile < tiles) {
            of_values.copy(tile * KEYS, p.keys, tile % STAGES * ROWS_BYTES);
        }
    };
    /* The keys of tile t + 1 are copied with the values of tile t. */
    Copier<H, D>(q, p.q_stride, queries, threadIdx.x).copy(first_query, p.queries, 0);
    copy_keys(0);
    commit_async();
    for (int tile = 0; tile + 1 < STAGES; tile++) {
        copy_keys(tile + 1);
        copy_values(tile);
        commit_async();
    }

    int pair = (lane & 3) * 2; /* a lane has of 8 columns pair and pair + 1, of rows its query and the one 8 below */
    int query[2] = {first_query + warp * 16 + (lane >> 2), first_query + warp * 16 + (lane >> 2) + 8};
    const float *mask = p.mask == nullptr ? nullptr : p.mask + entry * p.mask_batch_stride + head * p.mask_head_stride;
    const float *query_mask[2];
    if constexpr (ADDED == BY_QUERY) {
        for (int r = 0; r < 2; r++) {
            query_mask[r] = mask + min(query[r], p.queries - 1) * p.mask_query_stride;
        }
    }
    float scale = __fmul_rn(p.scale, LOG2_E);
    /* The largest score so far, not scaled where nothing is added; what powers are taken relative to; their sum. */
    float largest[2] = {-__builtin_huge_valf(), -__builtin_huge_valf()}, origin[2] = {-__builtin_huge_valf(), -__builtin_huge_valf()}, sum[2] = {};
    float out[D / 2] = {};
    float score[32];
    auto begin_scores = [&](int tile) {
        unsigned long long query_rows = descriptor(queries), key_rows = descriptor(keys + tile % STAGES * ROWS_BYTES);
#pragma unroll
        for (int s = 0; s < D / 16; s++) {
            unsigned long long step = s / 4 * (PANEL_BYTES >> 4) + s % 4 * 2;
            Multiply<H>::scores(score, query_rows + step, key_rows + step, s);
        }
    };
    auto set_added = [&](int tile) {
        if (ADDED != NOTHING && threadIdx.x < KEYS) {
            added[tile & 1][threadIdx.x] = of_key(p, mask, tile * KEYS + threadIdx.x);
        }
    };
    auto begin_values = [&](int tile, const unsigned (&power)[KEYS / 16][4]) {
        unsigned long long value_rows = descriptor(values + tile % STAGES * ROWS_BYTES);
#pragma unroll
        for (int s = 0; s < KEYS / 16; s++) {
            Multiply<H>::values(out, power[s], value_rows + s * (16 * 128 >> 4));
        }
    };
    auto scale_scores = [&](int tile) {
        if (ADDED == NOTHING && (tile + 1) * KEYS > p.keys) {
#pragma unroll
            for (int i = 0; i < KEYS / 2; i++) {
                score[i] = tile * KEYS + i / 4 * 8 + pair + (i & 1) < p.keys ? score[i] : -__builtin_huge_valf();
            }
        }
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) {
            float2 more = ADDED == NOTHING ? float2{} : *reinterpret_cast<const float2 *>(&added[tile & 1][n * 8 + pair]);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                float s = score[4 * n + i];
                if constexpr (ADDED != NOTHING) {
                    s = __fmaf_rn(s, scale, i & 1 ? more.y : more.x);
                }
                if constexpr (ADDED == BY_QUERY) {
                    int key = tile * KEYS + n * 8 + pair + (i & 1);
                    s = key < p.keys ? __fmaf_rn(query_mask[i >> 1][key * p.mask_key_stride], LOG2_E, s) : s;
                }
                score[4 * n + i] = s;
                largest[i >> 1] = fmaxf(largest[i >> 1], s);
            }
        }
    };
    unsigned power[KEYS / 16][4];
    auto take_powers = [&]() {
        float factor[2];
#pragma unroll
        for (int r = 0; r < 2; r++) {
            largest[r] = largest_of_four(largest[r]);
            float scaled = ADDED == NOTHING ? __fmul_rn(largest[r], scale) : largest[r];
            scaled = scaled == -__builtin_huge_valf() ? 0.0f : scaled; /* nothing but -inf yet: their powers are zeros */
            factor[r] = power_of_two(__fsub_rn(origin[r], scaled));
            origin[r] = scaled;
            sum[r] = __fmul_rn(sum[r], factor[r]);
        }
        if (__any_sync(0xffffffffu, factor[0] != 1.0f || factor[1] != 1.0f)) {
#pragma unroll
            for (int n = 0; n < D / 2; n++) {
                out[n] = __fmul_rn(out[n], factor[n >> 1 & 1]);
            }
        }
        auto power_of = [&](float s, int r) {
            return power_of_two(ADDED == NOTHING ? __fmaf_rn(s, scale, -origin[r]) : __fsub_rn(s, origin[r]));
        };
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll
            for (int r = 0; r < 2; r++) {
                float x = power_of(score[4 * n + 2 * r], r), y = power_of(score[4 * n + 2 * r + 1], r);
                sum[r] = __fadd_rn(sum[r], __fadd_rn(x, y));
                power[n / 2][n % 2 * 2 + r] = Half<H>::pack(x, y);
            }
        }
    };

    set_added(0);
    wait_for_copies<STAGES - 1>();
    __syncthreads();
    begin_products();
    begin_scores(0);
    commit_products();
    wait_for_products<0>();
    fence(score);
    scale_scores(0);
    take_powers();
    for (int tile = 0; tile + 1 < tiles; tile++) {
        set_added(tile + 1);
        wait_for_copies<STAGES - 2>();
        __syncthreads(); /* all are done with the scores of this tile and the values of the one before */
        copy_keys(tile + STAGES);
        copy_values(tile + STAGES - 1);
        commit_async();
        fence(out);
        begin_products();
        begin_scores(tile + 1);
        commit_products();
        begin_values(tile, power);
        commit_products();
        wait_for_products<1>(); /* the scores, while those of the values go on */
        fence(score);
        scale_scores(tile + 1);
        wait_for_products<0>();
        fence(out);
        take_powers();
    }
    wait_for_copies<0>();
    __syncthreads();
    fence(out);
    begin_products();
    begin_values(tiles - 1, power);
    commit_products();
    wait_for_products<0>();
    fence(out);
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float whole = sum[r]; /* of the lane's own keys: the four lanes' are added now */
        whole = __fadd_rn(whole, __shfl_xor_sync(0xffffffffu, whole, 1));
        whole = __fadd_rn(whole, __shfl_xor_sync(0xffffffffu, whole, 2));
        float factor = __fdiv_rn(1.0f, whole);
        if (query[r] < p.queries) {
            H *y = static_cast<H *>(p.y) + entry * p.y_batch_stride + static_cast<long long>(query[r]) * p.y_stride + head * D + pair;
#pragma unroll
            for (int n = 0; n < D / 8; n++) {
                *reinterpret_cast<unsigned *>(y + 8 * n) = Half<H>::pack(__fmul_rn(out[4 * n + 2 * r], factor), __fmul_rn(out[4 * n + 2 * r + 1], factor));
            }
        }
    }
}

} // namespace

#define ATTENTION(NAME, H, D)                                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS, D > 64 ? 2 : 4) hd_attention_wgmma_##NAME##_##D(const __grid_constant__ hd_cuda_attention_half p)\
    {                                                                                                                                      \
        hd_follow();                                                                                                                       \
        if (p.mask == nullptr && p.scale > 0.0f) {                                                                                         \
            attention<H, D, NOTHING>(p);                                                                                                   \
        } else if (p.mask == nullptr || p.mask_query_stride == 0) {                                                                        \
            attention<H, D, BY_KEY>(p);                                                                                                    \
        } else {                                                                                                                           \
            attention<H, D, BY_QUERY>(p);                                                                                                  \
        }                                                                                                                                  \
    }
ATTENTION(float16, __half, 64)
ATTENTION(float16, __half, 128)
ATTENTION(bfloat16, __nv_bfloat16, 64)
ATTENTION(bfloat16, __nv_bfloat16, 128)
