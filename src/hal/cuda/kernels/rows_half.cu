/* Softmax, LogSoftmax and LayerNormalization over the last axis, of rows each of which may be float32, float16 or bfloat16; computed in
 * float32 (rows_tile.cuh).
 *
 * Thread-safety: any number of launches at once; nothing is kept between them. */
#include "rows_tile.cuh"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace {

/* By kind, which is the same for all threads. */
struct Mixed {
    static __device__ __forceinline__ float get(const void *data, int kind, long long at)
    {
        return kind == HD_CUDA_ROWS_FLOAT32   ? static_cast<const float *>(data)[at]
               : kind == HD_CUDA_ROWS_FLOAT16 ? __half2float(static_cast<const __half *>(data)[at])
                                              : __bfloat162float(static_cast<const __nv_bfloat16 *>(data)[at]);
    }
    static __device__ __forceinline__ void put(void *data, int kind, long long at, float v)
    {
        if (kind == HD_CUDA_ROWS_FLOAT32) {
            static_cast<float *>(data)[at] = v;
        } else if (kind == HD_CUDA_ROWS_FLOAT16) {
            static_cast<__half *>(data)[at] = __float2half_rn(v);
        } else {
            static_cast<__nv_bfloat16 *>(data)[at] = __float2bfloat16_rn(v);
        }
    }
    static __device__ __forceinline__ void get_four(const void *data, int kind, long long at, float (&v)[4])
    {
        if (kind == HD_CUDA_ROWS_FLOAT32) {
            return Floats::get_four(data, kind, at, v);
        }
        uint2 four = *reinterpret_cast<const uint2 *>(static_cast<const unsigned short *>(data) + at);
        float2 low, high;
        if (kind == HD_CUDA_ROWS_FLOAT16) {
            low = __half22float2(*reinterpret_cast<__half2 *>(&four.x)), high = __half22float2(*reinterpret_cast<__half2 *>(&four.y));
        } else {
            low = __bfloat1622float2(*reinterpret_cast<__nv_bfloat162 *>(&four.x));
            high = __bfloat1622float2(*reinterpret_cast<__nv_bfloat162 *>(&four.y));
        }
        v[0] = low.x, v[1] = low.y, v[2] = high.x, v[3] = high.y;
    }
    static __device__ __forceinline__ void put_four(void *data, int kind, long long at, const float (&v)[4])
    {
        if (kind == HD_CUDA_ROWS_FLOAT32) {
            return Floats::put_four(data, kind, at, v);
        }
        uint2 four;
        if (kind == HD_CUDA_ROWS_FLOAT16) {
            __half2 low = __floats2half2_rn(v[0], v[1]), high = __floats2half2_rn(v[2], v[3]);
            four = make_uint2(*reinterpret_cast<unsigned *>(&low), *reinterpret_cast<unsigned *>(&high));
        } else {
            __nv_bfloat162 low = __floats2bfloat162_rn(v[0], v[1]), high = __floats2bfloat162_rn(v[2], v[3]);
            four = make_uint2(*reinterpret_cast<unsigned *>(&low), *reinterpret_cast<unsigned *>(&high));
        }
        *reinterpret_cast<uint2 *>(static_cast<unsigned short *>(data) + at) = four;
    }
};

} // namespace

ROWS(Mixed, half_256, 1, 1, 2, 4)
ROWS(Mixed, half_384, 1, 1, 3, 4)
ROWS(Mixed, half_768, 1, 1, 6, 4)
ROWS(Mixed, half_1024, 1, 1, 8, 4)
ROWS(Mixed, half_4096, 8, 1, 4, 1)
ROWS(Mixed, half_32768, 32, 1, 8, 1)
ROWS_ANY(Mixed, half_any)
