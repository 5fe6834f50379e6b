/* Launches the float16 and bfloat16 product kernels from Python (bench/cuda/product_half.py). */
#include "../../src/hal/cuda/kernels/product_half.cu"

#include <cstring>

#include <cuda.h>

namespace {

struct Kernel {
    void (*kernels[2])(hd_cuda_half_product); /* float16, bfloat16 */
    int groups, columns, shared;
};

#define HD_KERNEL(GROUPS, COLUMNS)                                                                                                         \
    {{hd_product_float16_##GROUPS##x##COLUMNS, hd_product_bfloat16_##GROUPS##x##COLUMNS}, GROUPS, COLUMNS,                                  \
     HD_HALF_SHARED(GROUPS, COLUMNS, HD_HALF_STAGES_##GROUPS##X##COLUMNS)}
const Kernel kernels[] = {HD_KERNEL(1, 16), HD_KERNEL(1, 32), HD_KERNEL(1, 64), HD_KERNEL(2, 64), HD_KERNEL(2, 128)};

bool encode(const void *x, int m, int k, int rows, bool is_bfloat, hd_cuda_tensor_map *map)
{
    static decltype(&cuTensorMapEncodeTiled) encode_tiled = nullptr;
    if (encode_tiled == nullptr) {
        void *found = nullptr;
        cudaDriverEntryPointQueryResult result;
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault, &result);
        encode_tiled = reinterpret_cast<decltype(encode_tiled)>(found);
    }
    const cuuint64_t sizes[2] = {static_cast<cuuint64_t>(k), static_cast<cuuint64_t>(m)}, strides[1] = {2ull * k};
    const cuuint32_t box[2] = {HD_HALF_PANEL, static_cast<cuuint32_t>(rows)}, steps[2] = {1, 1};
    CUtensorMap made;
    CUresult result = encode_tiled(&made, is_bfloat ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 2, const_cast<void *>(x), sizes,
                                   strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
                                   CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    std::memcpy(map, &made, sizeof made);
    return result == CUDA_SUCCESS;
}

} // namespace

extern "C" int product_kernels()
{
    return sizeof kernels / sizeof kernels[0];
}

extern "C" int product_tile(int index)
{
    return 64 * kernels[index].groups * 1000 + kernels[index].columns;
}

extern "C" int product_launch(int index, int is_bfloat, const void *x, const void *w, const float *bias, const void *residual, void *y, int m, int n, int k,
                              int residual_kind, int y_kind, int activation, cudaStream_t stream)
{
    const Kernel &kernel = kernels[index];
    hd_cuda_half_product p = {};
    if (!encode(x, m, k, 64 * kernel.groups, is_bfloat, &p.x)) return -1;
    p.w[0] = w, p.bias[0] = bias, p.residual = residual, p.y[0] = y, p.count = 1, p.m = m, p.n = n, p.k = k, p.residual_kind = residual_kind, p.y_kind = y_kind;
    p.activation.kind = activation;
    auto function = kernel.kernels[is_bfloat];
    cudaError_t error = cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, kernel.shared);
    if (error != cudaSuccess) return static_cast<int>(error);
    int rows = 64 * kernel.groups, blocks = (m + rows - 1) / rows * ((n + kernel.columns - 1) / kernel.columns);
    function<<<blocks < 264 ? blocks : 264, 128 * kernel.groups + 32, kernel.shared, stream>>>(p);
    return static_cast<int>(cudaGetLastError());
}
