/* y = activation(x . w + bias + residual) in float16 or bfloat16 with float32 sums, by the instructions that multiply matrices out of
 * shared memory (wgmma; compute capability 9.0 alone).
 *
 * BITS: an element's sum is one chain over K in steps of 16, as the instruction adds them, in every tile; so the tile may follow the
 * number of rows (bench/cuda/product_half.py compares all of them bit by bit).
 *
 * A block computes GROUPS * 64 rows and COLUMNS columns. Panels of 64 of K pass through STAGES buffers: one warp has them copied, of x by
 * the copying engine (which sets what lies outside to zeros), of w, which lies as it is read, in bulk; GROUPS groups of four warps
 * multiply. A buffer's two barriers say that it is full, and that it may be written again. A block computes
 * tiles, gridDim.x apart, until there are no more: copies for the next one are on their way while one is ended.
 *
 * Thread-safety: any number of launches at once; nothing is kept between them. */
#include "product_half.h"

#include "order.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace {

constexpr int ROW = 2 * HD_HALF_PANEL; /* bytes of a row, or column, of a panel */

__device__ __forceinline__ unsigned shared_address(const void *shared)
{
    return static_cast<unsigned>(__cvta_generic_to_shared(shared));
}

/* --- barriers and copies */

__device__ __forceinline__ void barrier_create(unsigned barrier, int arrivals)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

__device__ __forceinline__ void barrier_expect(unsigned barrier, int bytes)
{
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

/* What it tells of are the reads of wgmma, which are done, so that no fence is needed. */
__device__ __forceinline__ void barrier_arrive(unsigned barrier)
{
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

__device__ __forceinline__ void barrier_wait(unsigned barrier, unsigned phase)
{
    asm volatile("{\n"
                 ".reg .pred done;\n"
                 "again:\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
                 "@!done bra again;\n"
                 "}\n" ::"r"(barrier), "r"(phase) : "memory");
}

__device__ __forceinline__ void copy_x(unsigned shared, const hd_cuda_tensor_map &x, int k, int row, unsigned barrier)
{
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(shared), "l"(&x),
                 "r"(k), "r"(row), "r"(barrier) : "memory");
}

__device__ __forceinline__ void copy_w(unsigned shared, const void *w, unsigned bytes, unsigned barrier)
{
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(shared), "l"(w), "r"(bytes),
                 "r"(barrier) : "memory");
}

/* --- the products */

/* A matrix in shared memory for wgmma: rows of 128 bytes, in groups of 8 that are 1,024 bytes apart, 128-byte swizzle. */
__device__ __forceinline__ unsigned long long descriptor(unsigned shared)
{
    return (1ull << 62) | (64ull << 32) | (1ull << 16) | ((shared & 0x3ffff) >> 4);
}

struct Float16 {
    using Pair = __half2;
    static __device__ __forceinline__ unsigned pack(float a, float b)
    {
        Pair both = __floats2half2_rn(a, b);
        return *reinterpret_cast<unsigned *>(&both);
    }
    static __device__ __forceinline__ float2 unpack(unsigned both) { return __half22float2(*reinterpret_cast<Pair *>(&both)); }
};
struct Bfloat16 {
    using Pair = __nv_bfloat162;
    static __device__ __forceinline__ unsigned pack(float a, float b)
    {
        Pair both = __floats2bfloat162_rn(a, b);
        return *reinterpret_cast<unsigned *>(&both);
    }
    static __device__ __forceinline__ float2 unpack(unsigned both) { return __bfloat1622float2(*reinterpret_cast<Pair *>(&both)); }
};

/* c (64 x COLUMNS, a warp group's) += a (64 x 16) . b (16 x COLUMNS); c's elements as the instruction gives them to threads. */
template <class H, int COLUMNS> struct Multiply;

#define HD_REGISTERS_16 "{" \
    "%0, %1, %2, %3, %4, %5, %6, %7" "}"
#define HD_REGISTERS_32 "{" \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15" "}"
#define HD_REGISTERS_64 "{" \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
    "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31" "}"
#define HD_REGISTERS_128 "{" \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
    "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
    "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
    "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63" "}"
#define HD_C8(i)  "+f"(c[i]), "+f"(c[i + 1]), "+f"(c[i + 2]), "+f"(c[i + 3]), "+f"(c[i + 4]), "+f"(c[i + 5]), "+f"(c[i + 6]), "+f"(c[i + 7])
#define HD_C16(i) HD_C8(i), HD_C8(i + 8)
#define HD_C32(i) HD_C16(i), HD_C16(i + 16)
#define HD_C64(i) HD_C32(i), HD_C32(i + 32)
/* A, B: the numbers of the operands behind c. */
#define HD_MULTIPLY(H, TYPE, COLUMNS, A, B, ...)                                                                                             \
    template <> struct Multiply<H, COLUMNS> {                                                                                              \
        static __device__ __forceinline__ void add(float (&c)[COLUMNS / 2], unsigned long long a, unsigned long long b)                     \
        {                                                                                                                                  \
            asm volatile("wgmma.mma_async.sync.aligned.m64n" #COLUMNS "k16.f32." TYPE "." TYPE " " HD_REGISTERS_##COLUMNS ", %" #A ", %" #B ", 1, 1, 1, 0, 0;" \
                         : __VA_ARGS__ : "l"(a), "l"(b));                                                                                    \
        }                                                                                                                                  \
    };
#define HD_MULTIPLY_BOTH(...) HD_MULTIPLY(Float16, "f16", __VA_ARGS__) HD_MULTIPLY(Bfloat16, "bf16", __VA_ARGS__)
HD_MULTIPLY_BOTH(16, 8, 9, HD_C8(0))
HD_MULTIPLY_BOTH(32, 16, 17, HD_C16(0))
HD_MULTIPLY_BOTH(64, 32, 33, HD_C32(0))
HD_MULTIPLY_BOTH(128, 64, 65, HD_C64(0))

/* Keeps the compiler from moving c over the instructions that write it later. */
template <int COUNT> __device__ __forceinline__ void fence(float (&c)[COUNT])
{
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
        asm volatile("" : "+f"(c[i])::"memory");
    }
}

/* --- the ends of sums */

/* x/2 (1 + erf(x/sqrt 2)) = max(x, 0) - |x|/2 erfc(|x|/sqrt 2); the logarithm of erfc to base 2 is a polynomial within 5e-6 up to |x| = 6, and
 * below -28 beyond. Within 6e-7, and 1e-5 of the value where that is above 0.001; infinities give infinity and 0. */
__device__ __forceinline__ float gelu(float x)
{
    float t = fminf(fabsf(x), 16.0f), q = -1.8346733e-06f, power, above;
    q = __fmaf_rn(q, t, 6.15954414e-05f);
    q = __fmaf_rn(q, t, -9.30501381e-04f);
    q = __fmaf_rn(q, t, 8.50779191e-03f);
    q = __fmaf_rn(q, t, -5.39598465e-02f);
    q = __fmaf_rn(q, t, -4.58464652e-01f);
    q = __fmaf_rn(q, t, -1.15125096f);
    q = __fmaf_rn(q, t, 4.6850555e-06f - 1.0f);
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(q));
    asm("max.NaN.f32 %0, %1, 0f00000000;" : "=f"(above) : "f"(x));
    return __fmaf_rn(-t, power, above);
}

/* A thread's sums of a slab of 32 columns, or fewer: v[4 i] and v[4 i + 1] belong to columns column + 8 i and the next one of row, the two after them 8
 * rows below. */
template <int COUNT> struct Slab {
    float v[COUNT];
    int row, column;
};

template <int COUNT> __device__ __forceinline__ void activate(Slab<COUNT> &slab, const hd_cuda_activation &a)
{
    float(&v)[COUNT] = slab.v;
    if (a.kind == HD_CUDA_IDENTITY) {
        return;
    }
    if (a.kind == HD_CUDA_GELU && !a.scales) {
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            v[i] = gelu(v[i]);
        }
    } else if (a.kind == HD_CUDA_RELU && !a.scales) {
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            v[i] = v[i] > 0.0f || v[i] != v[i] ? v[i] : 0.0f;
        }
    } else { /* rare, and long: one piece of code, through local memory */
        float rest[COUNT];
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            rest[i] = v[i];
        }
#pragma unroll 1
        for (int i = 0; i < COUNT; i++) {
            rest[i] = hd_activate(rest[i], a);
        }
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            v[i] = rest[i];
        }
    }
}

template <int COUNT> __device__ __forceinline__ void add_bias(Slab<COUNT> &slab, const float *bias, int n)
{
#pragma unroll
    for (int i = 0; i < COUNT / 4; i++) {
        int column = slab.column + 8 * i;
        float2 more = column < n ? *reinterpret_cast<const float2 *>(bias + column) : make_float2(0.0f, 0.0f);
        slab.v[4 * i] = __fadd_rn(slab.v[4 * i], more.x);
        slab.v[4 * i + 1] = __fadd_rn(slab.v[4 * i + 1], more.y);
        slab.v[4 * i + 2] = __fadd_rn(slab.v[4 * i + 2], more.x);
        slab.v[4 * i + 3] = __fadd_rn(slab.v[4 * i + 3], more.y);
    }
}

template <class H, int COUNT> __device__ __forceinline__ void add_residual(Slab<COUNT> &slab, const hd_cuda_half_product &p)
{
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int row = slab.row + 8 * half;
        long long at = (long long)row * p.n + slab.column;
        const float *floats = static_cast<const float *>(p.residual) + at;
        const unsigned short *halves = static_cast<const unsigned short *>(p.residual) + at;
#pragma unroll
        for (int i = 0; i < COUNT / 4; i++) {
            float2 more = make_float2(0.0f, 0.0f);
            if (row < p.m && slab.column + 8 * i < p.n) {
                more = p.residual_kind == HD_CUDA_FLOAT_ELEMENTS ? *reinterpret_cast<const float2 *>(floats + 8 * i)
                                                                 : H::unpack(*reinterpret_cast<const unsigned *>(halves + 8 * i));
            }
            slab.v[4 * i + 2 * half] = __fadd_rn(slab.v[4 * i + 2 * half], more.x);
            slab.v[4 * i + 2 * half + 1] = __fadd_rn(slab.v[4 * i + 2 * half + 1], more.y);
        }
    }
}

template <int COUNT> __device__ __forceinline__ void store_floats(const Slab<COUNT> &slab, const hd_cuda_half_product &p, void *out)
{
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int row = slab.row + 8 * half;
        float *y = static_cast<float *>(out) + (long long)row * p.n + slab.column;
#pragma unroll
        for (int i = 0; i < COUNT / 4; i++) {
            if (row < p.m && slab.column + 8 * i < p.n) {
                *reinterpret_cast<float2 *>(y + 8 * i) = make_float2(slab.v[4 * i + 2 * half], slab.v[4 * i + 2 * half + 1]);
            }
        }
    }
}

/* A slab of a warp's 16 rows goes through shared memory, so that each thread has 8 neighbours to write. */
template <int COLUMNS> struct Passage {
    static constexpr int STRIDE = 2 * COLUMNS + 16, BYTES = 16 * STRIDE; /* of a row, of a warp */

    template <class H, int COUNT>
    static __device__ __forceinline__ void store(const Slab<COUNT> &slab, const hd_cuda_half_product &p, void *y, unsigned char *shared)
    {
        int lane = threadIdx.x & 31;
        unsigned to = shared_address(shared) + (lane & 15) * STRIDE + (lane >> 4) * 16;
#pragma unroll
        for (int i = 0; i < COUNT / 4; i += 2) {
            const float *v = slab.v + 4 * i;
            asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(to + 16 * i), "r"(H::pack(v[0], v[1])),
                         "r"(H::pack(v[2], v[3])), "r"(H::pack(v[4], v[5])), "r"(H::pack(v[6], v[7])) : "memory");
        }
        __syncwarp();
        constexpr int EIGHTS = COLUMNS / 8, AT_ONCE = 32 / EIGHTS;
        int own = lane % EIGHTS * 8, first = lane / EIGHTS, row = slab.row - (lane >> 2) + first, column = slab.column - (lane & 3) * 2 + own;
        unsigned short *out = static_cast<unsigned short *>(y) + (long long)row * p.n + column;
#pragma unroll
        for (int i = 0; i < 16; i += AT_ONCE) {
            if (first + i < 16 && column < p.n && row + i < p.m) {
                *reinterpret_cast<uint4 *>(out + (long long)i * p.n) = *reinterpret_cast<const uint4 *>(shared + (first + i) * STRIDE + 2 * own);
            }
        }
        __syncwarp();
    }
};

/* --- a tile */

template <int GROUPS, int COLUMNS, int STAGES> struct Tile {
    static constexpr int ROWS = 64 * GROUPS, SLAB = HD_HALF_SLAB(COLUMNS);
    static constexpr int X_BYTES = ROWS * ROW, STAGE = X_BYTES + COLUMNS * ROW;
    static constexpr int BUFFERS = STAGES * STAGE; /* bytes; the warps' passages stand behind them */
    static_assert(HD_HALF_SHARED(GROUPS, COLUMNS, STAGES) == BUFFERS + 4 * GROUPS * Passage<SLAB>::BYTES, "");
};

/* Which panel is in which buffer, for how many times. */
template <int STAGES> struct Turn {
    int stage = 0;
    unsigned phase = 0;
    __device__ __forceinline__ void next()
    {
        stage = stage + 1 == STAGES ? 0 : stage + 1;
        phase ^= stage == 0;
    }
};

/* Tile `tile` of all: the columns of one product first, then the products that share x, then the rows. */
struct TilePlace {
    int product, row, column;
};

template <class T, int COLUMNS> __device__ __forceinline__ TilePlace place_of(const hd_cuda_half_product &p, int tile)
{
    int across = (p.n + COLUMNS - 1) / COLUMNS, rest = tile / across, column = (tile - rest * across) * COLUMNS;
    int row = p.count == 1 ? rest : rest / p.count;
    return {rest - row * p.count, row * T::ROWS, column};
}

template <class H, int GROUPS, int COLUMNS, int STAGES> __device__ __forceinline__ void copy_panels(const hd_cuda_half_product &p, unsigned buffers, unsigned full, unsigned empty, int panels, int tiles)
{
    using T = Tile<GROUPS, COLUMNS, STAGES>;
    Turn<STAGES> turn;
    int ahead = min(STAGES, panels); /* of these panels w, which nobody writes, comes before those before have ended */
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        TilePlace place = place_of<T, COLUMNS>(p, tile);
        int columns = min(COLUMNS, p.n - place.column);
        const unsigned char *w = static_cast<const unsigned char *>(p.w[place.product]) + (long long)place.column * ROW;
        auto begin_w = [&](int panel, int stage) {
            barrier_expect(full + 8 * stage, T::X_BYTES + columns * ROW);
            copy_w(buffers + stage * T::STAGE + T::X_BYTES, w + (long long)panel * p.n * ROW, columns * ROW, full + 8 * stage);
        };
        for (int panel = 0; panel < ahead; panel++) {
            begin_w(panel, panel);
        }
        if (ahead > 0) {
            hd_wait_for_those_before();
        }
        for (int panel = 0; panel < panels; panel++) {
            if (panel >= ahead) {
                barrier_wait(empty + 8 * turn.stage, turn.phase ^ 1);
                begin_w(panel, turn.stage);
            }
            copy_x(buffers + turn.stage * T::STAGE, p.x, panel * HD_HALF_PANEL, place.row, full + 8 * turn.stage);
            turn.next();
        }
        ahead = 0;
    }
}

template <class H, int GROUPS, int COLUMNS, int STAGES> __device__ __forceinline__ void product(const hd_cuda_half_product &p)
{
    using T = Tile<GROUPS, COLUMNS, STAGES>;
    extern __shared__ __align__(1024) unsigned char shared[];
    __shared__ __align__(8) unsigned long long barriers[2][STAGES];
    const unsigned buffers = shared_address(shared), full = shared_address(barriers[0]), empty = shared_address(barriers[1]);
    int panels = (p.k + HD_HALF_PANEL - 1) / HD_HALF_PANEL;
    int tiles = (p.n + COLUMNS - 1) / COLUMNS * ((p.m + T::ROWS - 1) / T::ROWS) * p.count;
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, group = warp >> 2;
    if (threadIdx.x == 128 * GROUPS) {
        asm volatile("prefetch.tensormap [%0];" ::"l"(&p.x) : "memory");
    }
    if (threadIdx.x == 0) {
#pragma unroll
        for (int i = 0; i < STAGES; i++) {
            barrier_create(full + 8 * i, 1);
            barrier_create(empty + 8 * i, GROUPS);
        }
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncthreads();
    hd_let_the_next_begin();
    if (group == GROUPS) {
        if (lane == 0) {
            copy_panels<H, GROUPS, COLUMNS, STAGES>(p, buffers, full, empty, panels, tiles);
        }
        return;
    }
    hd_wait_for_those_before();
    Turn<STAGES> turn;
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        float c[COLUMNS / 2];
#pragma unroll
        for (int i = 0; i < COLUMNS / 2; i++) {
            c[i] = 0.0f;
        }
        fence(c);
        int before = 0; /* the buffer of the panel before */
#pragma unroll 1
        for (int panel = 0; panel < panels; panel++) {
            barrier_wait(full + 8 * turn.stage, turn.phase);
            unsigned buffer = buffers + turn.stage * T::STAGE;
            unsigned long long a = descriptor(buffer + group * 64 * ROW), b = descriptor(buffer + T::X_BYTES);
            asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
            for (int k = 0; k < HD_HALF_PANEL / 16; k++) {
                Multiply<H, COLUMNS>::add(c, a + 2 * k, b + 2 * k);
            }
            asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
            asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory");
            if (panel > 0 && (threadIdx.x & 127) == 0) {
                barrier_arrive(empty + 8 * before);
            }
            before = turn.stage;
            turn.next();
        }
        asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
        fence(c);
        if ((threadIdx.x & 127) == 0) {
            barrier_arrive(empty + 8 * before);
        }
        TilePlace place = place_of<T, COLUMNS>(p, tile);
        void *y = p.y[place.product];
        constexpr int COUNT = T::SLAB / 2;
#pragma unroll
        for (int i = 0; i < COLUMNS / 2; i += COUNT) {
            Slab<COUNT> slab = {{}, place.row + warp * 16 + (lane >> 2), place.column + 2 * i + (lane & 3) * 2};
#pragma unroll
            for (int j = 0; j < COUNT; j++) {
                slab.v[j] = c[i + j];
            }
            if (p.bias[place.product] != nullptr) {
                add_bias(slab, p.bias[place.product], p.n);
            }
            if (p.residual != nullptr) {
                add_residual<H>(slab, p);
            }
            activate(slab, p.activation);
            if (p.y_kind == HD_CUDA_FLOAT_ELEMENTS) {
                store_floats(slab, p, y);
            } else {
                Passage<T::SLAB>::template store<H>(slab, p, y, shared + T::BUFFERS + warp * Passage<T::SLAB>::BYTES);
            }
            asm volatile("" ::: "memory"); /* a slab after the other, for want of registers */
        }
    }
}

} // namespace

/* BLOCKS: of a multiprocessor. */
#define HD_PRODUCT(NAME, H, GROUPS, COLUMNS, STAGES, BLOCKS)                                                                               \
    extern "C" __global__ void __launch_bounds__(128 * GROUPS + 32, BLOCKS)                                                                \
        hd_product_##NAME##_##GROUPS##x##COLUMNS(const __grid_constant__ hd_cuda_half_product p)                                          \
    {                                                                                                                                      \
        product<H, GROUPS, COLUMNS, STAGES>(p);                                                                                             \
    }
#define HD_PRODUCTS(...) HD_PRODUCT(float16, Float16, __VA_ARGS__) HD_PRODUCT(bfloat16, Bfloat16, __VA_ARGS__)
HD_PRODUCTS(1, 16, HD_HALF_STAGES_1X16, 2)
HD_PRODUCTS(1, 32, HD_HALF_STAGES_1X32, 2)
HD_PRODUCTS(1, 64, HD_HALF_STAGES_1X64, 2)
HD_PRODUCTS(2, 64, HD_HALF_STAGES_2X64, 2)
HD_PRODUCTS(2, 128, HD_HALF_STAGES_2X128, 2)
