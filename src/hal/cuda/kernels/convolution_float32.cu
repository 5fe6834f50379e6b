/* float32 convolutions as products: rows are output positions, K is (kernel row, kernel column, channel), columns are outputs. No
 * matrix of patches is made: what a step of K reads is found through a table in shared memory. Input and output lie channels last
 * or channels first, by strides.
 *
 * BITS: as product_tile.cuh says; depthwise convolutions add one chain over the kernel's positions. Positions outside the image are
 * zeros, which change no sum. So an output's bits follow from its own inputs alone.
 *
 * Thread-safety: any number of launches at once; nothing is kept between them. */
#include "convolution_float32.h"

#include "product_tile.cuh"

namespace {

__device__ __forceinline__ void copy_async_one(float *shared, const float *global, bool valid)
{
    unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(shared));
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(address), "l"(global), "r"(valid ? 4 : 0) : "memory");
}

/* Where a step of K lies, from an output position's first element on. */
struct Tap {
    int offset;      /* elements */
    short row, column; /* kernel position times dilation */
};

/* An output position: its image, and where its kernel begins. */
struct Position {
    const float *x;
    int row, column;

    __device__ __forceinline__ Position(const hd_cuda_convolution &p, const float *input, int m)
    {
        int area = p.output_height * p.output_width, image = m / area, rest = m % area;
        row = rest / p.output_width * p.stride[0] - p.pad[0];
        column = rest % p.output_width * p.stride[1] - p.pad[1];
        x = input + image * p.x_image + (long long)row * p.x_row + (long long)column * p.x_column;
        if (m >= p.m) { /* nothing lies inside */
            row = -0x40000000;
        }
    }
    __device__ __forceinline__ bool has(const hd_cuda_convolution &p, const Tap &tap) const
    {
        return static_cast<unsigned>(row + tap.row) < static_cast<unsigned>(p.height) &&
               static_cast<unsigned>(column + tap.column) < static_cast<unsigned>(p.width);
    }
};

/* VECTOR: four channels lie side by side, and are copied at once. */
template <bool VECTOR> struct Convolution : hd_cuda_convolution {
    __device__ __forceinline__ explicit Convolution(const hd_cuda_convolution &all) : hd_cuda_convolution(all)
    {
        x += blockIdx.z * x_group;
        w += blockIdx.z * w_group;
        y += blockIdx.z * y_group;
        bias = bias == nullptr ? nullptr : bias + (long long)blockIdx.z * bias_group;
        residual = residual == nullptr ? nullptr : residual + blockIdx.z * y_group;
    }

    /* The taps of [k_begin, k_end), up to a whole step. */
    template <class T> __device__ __forceinline__ void prepare(float *table, int k_begin, int k_end) const
    {
        constexpr int EACH = VECTOR ? 4 : 1;
        Tap *taps = reinterpret_cast<Tap *>(table);
        int count = (k_end - k_begin + T::BK - 1) / T::BK * T::BK / EACH;
        for (int i = threadIdx.x; i < count; i += T::THREADS) {
            int at = k_begin + i * EACH, channel = at % channels, position = at / channels;
            int down = position / kernel_width * dilation[0], right = position % kernel_width * dilation[1];
            Tap tap = {down * x_row + right * x_column + channel * x_channel, static_cast<short>(down), static_cast<short>(right)};
            if (at >= k) { /* outside of every image */
                tap = {0, 0x7fff, 0};
            }
            taps[i] = tap;
        }
        __syncthreads();
    }

    template <class T> struct Loader {
        static constexpr int ELEMENTS = VECTOR ? T::BM * T::BK / 4 : T::BM * T::BK, COPIES = ELEMENTS / T::THREADS;
        static_assert(COPIES * T::THREADS == ELEMENTS && T::THREADS % T::BM == 0, "threads share a step evenly, a thread has one position");
        const Convolution &p;
        Position position;
        const Tap *taps;
        int row;
        bool whole;
        typename T::Weights weights;

        __device__ __forceinline__ Loader(const Convolution &p_, int m0, int n0, int k0, const float *table)
            : p(p_), position(p_, p_.x, m0 + threadIdx.x % T::BM), taps(reinterpret_cast<const Tap *>(table)), row(threadIdx.x % T::BM),
              whole(n0 + T::BN <= p_.n), weights(p_.w, p_.w_stride, p_.n, n0, k0)
        {
        }
        __device__ __forceinline__ void copy(float *stage, int k_end)
        {
#pragma unroll
            for (int i = 0; i < COPIES; i++) {
                int at = threadIdx.x / T::BM + i * (T::THREADS / T::BM);
                Tap tap = taps[at];
                bool valid = position.has(p, tap);
                const float *from = valid ? position.x + tap.offset : p.x;
                if constexpr (VECTOR) {
                    copy_async(stage + T::x_place(row, at), from, valid ? 4 : 0);
                } else {
                    copy_async_one(stage + T::x_place(row, at / 4) + at % 4, from, valid);
                }
            }
            weights.copy(stage, k_end, whole && weights.k - (int)(threadIdx.x / (T::BN / 4)) + T::BK <= k_end);
            taps += VECTOR ? T::BK / 4 : T::BK;
        }
    };

    __device__ __forceinline__ void store(int m_, int n_, float4 sum) const
    {
        if (m_ >= m || n_ >= n) {
            return;
        }
        int area = output_height * output_width, image = m_ / area;
        long long at = image * y_image + (long long)(m_ - image * area) * y_position + (long long)n_ * y_output;
        float v[4] = {sum.x, sum.y, sum.z, sum.w};
        Epilogue e = {bias, residual, activation};
        if (y_output == 1 && n_ + 4 <= n && y_position % 4 == 0 && n % 4 == 0) {
            float4 b = bias != nullptr ? *reinterpret_cast<const float4 *>(bias + n_) : float4{};
            float4 r = residual != nullptr ? *reinterpret_cast<const float4 *>(residual + at) : float4{};
            *reinterpret_cast<float4 *>(y + at) = make_float4(finish(v[0], b.x, r.x, e), finish(v[1], b.y, r.y, e), finish(v[2], b.z, r.z, e),
                                                              finish(v[3], b.w, r.w, e));
            return;
        }
#pragma unroll
        for (int j = 0; j < 4; j++) {
            if (n_ + j < n) {
                y[at] = finish(v[j], bias != nullptr ? bias[n_ + j] : 0.0f, residual != nullptr ? residual[at] : 0.0f, e);
                at += y_output;
            }
        }
    }
};

/* A thread has one output at one position, wherever its operands lie. */
__device__ __forceinline__ void plain(const hd_cuda_convolution &p)
{
    int at_m = blockIdx.x * blockDim.x + threadIdx.x, at_n = blockIdx.y;
    if (at_m >= p.m) {
        return;
    }
    long long group = blockIdx.z;
    Position position(p, p.x + group * p.x_group, at_m);
    const float *w = p.w + group * p.w_group + at_n;
    float total = 0.0f, sum = 0.0f;
    for (int k = 0; k < p.k; k++) {
        int channel = k % p.channels, tap = k / p.channels;
        int down = tap / p.kernel_width * p.dilation[0], right = tap % p.kernel_width * p.dilation[1];
        int row = position.row + down, column = position.column + right;
        if (static_cast<unsigned>(row) < static_cast<unsigned>(p.height) && static_cast<unsigned>(column) < static_cast<unsigned>(p.width)) {
            float x = position.x[(long long)down * p.x_row + (long long)right * p.x_column + (long long)channel * p.x_channel];
            sum = __fmaf_rn(x, w[(long long)k * p.w_stride], sum);
        }
        if ((k + 1) % HD_CHUNK == 0 || k + 1 == p.k) {
            total = k < HD_CHUNK ? sum : __fadd_rn(total, sum);
            sum = 0.0f;
        }
    }
    int area = p.output_height * p.output_width, image = at_m / area;
    long long at = group * p.y_group + image * p.y_image + (long long)(at_m - image * area) * p.y_position + (long long)at_n * p.y_output;
    Epilogue e = {p.bias, p.residual, p.activation};
    p.y[at] = finish(total, p.bias != nullptr ? p.bias[group * p.bias_group + at_n] : 0.0f, p.residual != nullptr ? p.residual[at] : 0.0f, e);
}

/* A thread has WIDE channels of one output position. */
template <int WIDE> __device__ __forceinline__ void depthwise(const hd_cuda_depthwise &p)
{
    int groups = p.channels / WIDE;
    long long index = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    long long total = (long long)p.images * p.output_height * p.output_width * groups;
    if (index >= total) {
        return;
    }
    int channel = static_cast<int>(index % groups) * WIDE;
    long long position = index / groups;
    int column = static_cast<int>(position % p.output_width), row = static_cast<int>(position / p.output_width % p.output_height);
    long long image = position / p.output_width / p.output_height;
    int top = row * p.stride[0] - p.pad[0], left = column * p.stride[1] - p.pad[1];
    const float *x = p.x + image * p.height * p.width * p.channels + channel, *w = p.w + channel;
    float sum[WIDE] = {};
    for (int i = 0; i < p.kernel[0]; i++) {
        int at_row = top + i * p.dilation[0];
        for (int j = 0; j < p.kernel[1]; j++) {
            int at_column = left + j * p.dilation[1];
            if (static_cast<unsigned>(at_row) >= static_cast<unsigned>(p.height) || static_cast<unsigned>(at_column) >= static_cast<unsigned>(p.width)) {
                continue;
            }
            const float *from = x + ((long long)at_row * p.width + at_column) * p.channels, *by = w + (i * p.kernel[1] + j) * p.channels;
            if constexpr (WIDE == 4) {
                float4 a = *reinterpret_cast<const float4 *>(from), b = *reinterpret_cast<const float4 *>(by);
                sum[0] = __fmaf_rn(a.x, b.x, sum[0]);
                sum[1] = __fmaf_rn(a.y, b.y, sum[1]);
                sum[2] = __fmaf_rn(a.z, b.z, sum[2]);
                sum[3] = __fmaf_rn(a.w, b.w, sum[3]);
            } else {
                sum[0] = __fmaf_rn(*from, *by, sum[0]);
            }
        }
    }
    long long at = position * p.channels + channel;
    Epilogue e = {p.bias, p.residual, p.activation};
#pragma unroll
    for (int c = 0; c < WIDE; c++) {
        sum[c] = finish(sum[c], p.bias != nullptr ? p.bias[channel + c] : 0.0f, p.residual != nullptr ? p.residual[at + c] : 0.0f, e);
    }
    if constexpr (WIDE == 4) {
        *reinterpret_cast<float4 *>(p.y + at) = make_float4(sum[0], sum[1], sum[2], sum[3]);
    } else {
        p.y[at] = sum[0];
    }
}

} // namespace

#define WIDE(NAME, T, BLOCKS) \
    extern "C" __global__ void __launch_bounds__(T::THREADS, BLOCKS) hd_convolution_wide##NAME(const __grid_constant__ hd_cuda_convolution p) { wide<T>(Convolution<true>(p)); }
#define SPLIT(NAME, T) \
    extern "C" __global__ void __launch_bounds__(T::THREADS, 3) hd_convolution_split##NAME(const __grid_constant__ hd_cuda_convolution p) { split<T>(Convolution<true>(p)); }
#define SINGLE(NAME, T, BLOCKS) \
    extern "C" __global__ void __launch_bounds__(T::THREADS, BLOCKS) hd_convolution_single##NAME(const __grid_constant__ hd_cuda_convolution p) { wide<T>(Convolution<false>(p)); }
WIDE(32x64, Small, 4)
WIDE(64x64, Square, 4)
WIDE(64x128, Oblong, 3)
WIDE(128x128, Large, 1)
SINGLE(32x64, Small, 4)
SINGLE(64x64, Square, 4)
SINGLE(64x128, Oblong, 3)

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900 /* clusters */
SPLIT(32x64, Small)
SPLIT(64x64, SquareDeep)
SPLIT(64x128, Oblong)
#endif

extern "C" __global__ void __launch_bounds__(128) hd_convolution_depthwise1(const __grid_constant__ hd_cuda_depthwise p) { depthwise<1>(p); }
extern "C" __global__ void __launch_bounds__(128) hd_convolution_depthwise4(const __grid_constant__ hd_cuda_depthwise p) { depthwise<4>(p); }
extern "C" __global__ void __launch_bounds__(128) hd_convolution_plain(const __grid_constant__ hd_cuda_convolution p) { plain(p); }
