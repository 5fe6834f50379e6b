/* Launches the attention kernels from Python (bench/cuda/attention.py). */
#include "../../src/hal/cuda/kernels/attention_half.cu"
#define attention attention_of_groups
#undef ATTENTION
#undef ATTENTIONS
#include "../../src/hal/cuda/kernels/attention_wgmma.cu"
#undef attention

namespace {

#define HD_KERNELS(D, WARPS) {D, WARPS, {hd_attention_float16_##D##x##WARPS, hd_attention_bfloat16_##D##x##WARPS}}
#define HD_WGMMA(D) {D, WGMMA, {hd_attention_wgmma_float16_##D, hd_attention_wgmma_bfloat16_##D}}
enum { WGMMA = 104 }; /* as a number of warps: four, of attention_wgmma.cu */
const struct {
    int d, warps;
    void (*kernels[2])(hd_cuda_attention_half);
} kernels[] = {HD_KERNELS(32, 1), HD_KERNELS(32, 2), HD_KERNELS(32, 4), HD_WGMMA(64), HD_WGMMA(128)};

} // namespace

extern "C" int attention_launch(int d, int warps, int bfloat, const hd_cuda_attention_half *p, cudaStream_t stream)
{
    for (auto &known : kernels) {
        if (known.d != d || known.warps != warps) continue;
        int size = warps == WGMMA ? HD_ATTENTION_WGMMA_SHARED(d) : HD_ATTENTION_HALF_SHARED(d, warps);
        warps %= 100;
        cudaError_t error = cudaFuncSetAttribute(known.kernels[bfloat], cudaFuncAttributeMaxDynamicSharedMemorySize, size);
        if (error != cudaSuccess) return static_cast<int>(error);
        known.kernels[bfloat]<<<dim3((p->queries + 16 * warps - 1) / (16 * warps), p->heads, p->batch), 32 * warps, size, stream>>>(*p);
        return static_cast<int>(cudaGetLastError());
    }
    return -1;
}
