/* Launches the attention kernels from Python (bench/cuda/attention.py). */
#include "../../src/hal/cuda/kernels/attention.cu"

namespace {

template <class H, int D, int WARPS> int launch(const hd_cuda_attention &p, cudaStream_t stream)
{
    int size = static_cast<int>((16 * WARPS + 4 * KEYS) * Matrix<D>::STRIDE * sizeof(H));
    auto kernel = attention<H, D, WARPS>;
    cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, size);
    if (error != cudaSuccess) return static_cast<int>(error);
    kernel<<<dim3((p.queries + 16 * WARPS - 1) / (16 * WARPS), p.heads, p.batch), 32 * WARPS, size, stream>>>(p);
    return static_cast<int>(cudaGetLastError());
}

template <class H, int WARPS> int choose(int d, const hd_cuda_attention &p, cudaStream_t stream)
{
    switch (d) {
    case 32: return launch<H, 32, WARPS>(p, stream);
    case 64: return launch<H, 64, WARPS>(p, stream);
    case 128: return launch<H, 128, WARPS>(p, stream);
    default: return -1;
    }
}

template <class H> int choose_warps(int d, int warps, const hd_cuda_attention &p, cudaStream_t stream)
{
    switch (warps) {
    case 1: return choose<H, 1>(d, p, stream);
    case 2: return choose<H, 2>(d, p, stream);
    case 4: return choose<H, 4>(d, p, stream);
    case 8: return choose<H, 8>(d, p, stream);
    default: return -1;
    }
}

} // namespace

extern "C" int attention_launch(int d, int warps, int bfloat, const hd_cuda_attention *p, cudaStream_t stream)
{
    return bfloat ? choose_warps<__nv_bfloat16>(d, warps, *p, stream) : choose_warps<__half>(d, warps, *p, stream);
}
