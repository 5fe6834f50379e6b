/* QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear.
 *
 * BITS: an element follows from itself, its scale and its zero point; the range of a dynamic quantization is a least and a greatest
 * number, which come out alike in any order. Thread-safety: any number of launches at once. */
#include "quantization.h"

namespace {

__device__ __forceinline__ unsigned thread_number()
{
    return blockIdx.x * HD_CUDA_QUANTIZE_BLOCK + threadIdx.x;
}

__device__ __forceinline__ int get(int type, const void *data, unsigned at)
{
    switch (type) {
    case HD_CUDA_QUANTIZED_UINT8:
        return static_cast<const unsigned char *>(data)[at];
    case HD_CUDA_QUANTIZED_INT8:
        return static_cast<const signed char *>(data)[at];
    case HD_CUDA_QUANTIZED_UINT16:
        return static_cast<const unsigned short *>(data)[at];
    case HD_CUDA_QUANTIZED_INT16:
        return static_cast<const short *>(data)[at];
    default:
        return static_cast<const int *>(data)[at];
    }
}

__device__ __forceinline__ unsigned scale_of(const hd_cuda_scales &p, unsigned at)
{
    const unsigned line = hd_divide(at, p.inner), outer = hd_divide(line, p.axis);
    const unsigned i = line - outer * p.axis.by, n = at - line * p.inner.by;
    return outer * p.outer_step + hd_divide(i, p.block) * p.axis_step + n * p.inner_step;
}

/* What is no number becomes the least. */
__device__ __forceinline__ int round_within(float value, float low, float high, int zero)
{
    value = value > low ? value : low;
    value = value < high ? value : high;
    return __float2int_rn(value) + zero;
}

/* Widens a block's [least, greatest] by all its threads'. Numbers alone count. */
__device__ __forceinline__ void join_ranges(float &least, float &greatest)
{
    __shared__ float lows[HD_CUDA_QUANTIZE_BLOCK], highs[HD_CUDA_QUANTIZE_BLOCK];
    lows[threadIdx.x] = least;
    highs[threadIdx.x] = greatest;
    for (int step = HD_CUDA_QUANTIZE_BLOCK / 2; step > 0; step /= 2) {
        __syncthreads();
        if (threadIdx.x < step) {
            const float low = lows[threadIdx.x + step], high = highs[threadIdx.x + step];
            lows[threadIdx.x] = low < lows[threadIdx.x] ? low : lows[threadIdx.x];
            highs[threadIdx.x] = high > highs[threadIdx.x] ? high : highs[threadIdx.x];
        }
    }
    __syncthreads();
    least = lows[0];
    greatest = highs[0];
}

} // namespace

extern "C" __global__ void __launch_bounds__(HD_CUDA_QUANTIZE_BLOCK) hd_quantize(const __grid_constant__ hd_cuda_quantize p)
{
    const unsigned at = thread_number();
    if (at >= p.count) {
        return;
    }
    const unsigned index = scale_of(p.scales, at);
    const int zero = p.zero == nullptr ? 0 : get(p.type, p.zero, index);
    const float x = p.x_is_integer ? __int2float_rn(static_cast<const int *>(p.x)[at]) : static_cast<const float *>(p.x)[at];
    const float low = static_cast<float>(p.low - zero), high = static_cast<float>(p.high - zero);
    const int y = round_within(__fdiv_rn(x, p.scale[index]), low, high, zero);
    if (p.type == HD_CUDA_QUANTIZED_UINT8 || p.type == HD_CUDA_QUANTIZED_INT8) {
        static_cast<unsigned char *>(p.y)[at] = static_cast<unsigned char>(y);
    } else {
        static_cast<unsigned short *>(p.y)[at] = static_cast<unsigned short>(y);
    }
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_QUANTIZE_BLOCK) hd_dequantize(const __grid_constant__ hd_cuda_dequantize p)
{
    const unsigned at = thread_number();
    if (at >= p.count) {
        return;
    }
    const unsigned index = scale_of(p.scales, at);
    const long long zero = p.zero == nullptr ? 0 : get(p.type, p.zero, index);
    p.y[at] = __fmul_rn(__ll2float_rn(get(p.type, p.x, at) - zero), p.scale[index]);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_QUANTIZE_BLOCK) hd_dynamic_range(const __grid_constant__ hd_cuda_dynamic p)
{
    float least = 0.0f, greatest = 0.0f;
    for (unsigned at = thread_number(); at < p.count; at += p.range_count * HD_CUDA_QUANTIZE_BLOCK) {
        const float x = p.x[at];
        least = x < least ? x : least;
        greatest = x > greatest ? x : greatest;
    }
    join_ranges(least, greatest);
    if (threadIdx.x == 0) {
        p.ranges[2 * blockIdx.x] = least;
        p.ranges[2 * blockIdx.x + 1] = greatest;
    }
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_QUANTIZE_BLOCK) hd_dynamic_quantize(const __grid_constant__ hd_cuda_dynamic p)
{
    const bool has_range = threadIdx.x < p.range_count;
    float least = has_range ? p.ranges[2 * threadIdx.x] : 0.0f, greatest = has_range ? p.ranges[2 * threadIdx.x + 1] : 0.0f;
    join_ranges(least, greatest);
    const float scale = least == greatest ? 1.0f : __fdiv_rn(__fsub_rn(greatest, least), 255.0f);
    float zero = rintf(__fdiv_rn(-least, scale));
    zero = zero > 0.0f ? zero : 0.0f; /* an infinite range gives no number */
    zero = zero < 255.0f ? zero : 255.0f;
    const unsigned at = thread_number();
    if (p.y != nullptr && at < p.count) {
        p.y[at] = static_cast<unsigned char>(round_within(__fdiv_rn(p.x[at], scale), -zero, __fsub_rn(255.0f, zero), __float2int_rn(zero)));
    }
    if (at == 0 && p.scale != nullptr) {
        *p.scale = scale;
    }
    if (at == 0 && p.zero != nullptr) {
        *p.zero = static_cast<unsigned char>(__float2int_rn(zero));
    }
}
