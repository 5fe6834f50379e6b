/* Launches the attention kernels from Python (bench/cuda/attention.py). */
#include "../../src/hal/cuda/kernels/attention_half.cu"

namespace {

#define HD_KERNELS(D, WARPS) {D, WARPS, {hd_attention_float16_##D##x##WARPS, hd_attention_bfloat16_##D##x##WARPS}}
const struct {
    int d, warps;
    void (*kernels[2])(hd_cuda_attention_half);
} kernels[] = {HD_KERNELS(32, 1), HD_KERNELS(32, 2), HD_KERNELS(32, 4), HD_KERNELS(64, 1), HD_KERNELS(64, 2),
               HD_KERNELS(64, 4), HD_KERNELS(128, 1), HD_KERNELS(128, 2), HD_KERNELS(128, 4)};

} // namespace

extern "C" int attention_launch(int d, int warps, int bfloat, const hd_cuda_attention_half *p, cudaStream_t stream)
{
    for (auto &known : kernels) {
        if (known.d != d || known.warps != warps) continue;
        int size = HD_ATTENTION_HALF_SHARED(d, warps);
        cudaError_t error = cudaFuncSetAttribute(known.kernels[bfloat], cudaFuncAttributeMaxDynamicSharedMemorySize, size);
        if (error != cudaSuccess) return static_cast<int>(error);
        known.kernels[bfloat]<<<dim3((p->queries + 16 * warps - 1) / (16 * warps), p->heads, p->batch), 32 * warps, size, stream>>>(*p);
        return static_cast<int>(cudaGetLastError());
    }
    return -1;
}
