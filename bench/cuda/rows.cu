/* Launches the row kernels from Python (bench/cuda/rows.py): each with the shapes of thread groups that it may have. */
#include "../../src/hal/cuda/kernels/rows_float32.cu"

namespace {

template <class R, bool ALIGNED> __global__ void __launch_bounds__(R::THREADS) softmax_kernel(const __grid_constant__ hd_cuda_rows p) { softmax<Floats, R, ALIGNED>(p); }
template <class R, bool ALIGNED> __global__ void __launch_bounds__(R::THREADS) layer_norm_kernel(const __grid_constant__ hd_cuda_rows p) { layer_norm<Floats, R, ALIGNED>(p); }

template <class R, bool ALIGNED> int launch(bool norm, const hd_cuda_rows &p, cudaStream_t stream)
{
    if (p.length > 4 * R::PARTS * 32 * R::WARPS * R::BLOCKS || (ALIGNED && p.length % 4 != 0)) return -1;
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(R::PACKED > 1 ? (p.rows + R::PACKED - 1) / R::PACKED : p.rows * R::BLOCKS);
    config.blockDim = dim3(R::THREADS);
    config.stream = stream;
    cudaLaunchAttribute attribute;
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = R::BLOCKS;
    attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
    config.attrs = &attribute;
    config.numAttrs = R::BLOCKS > 1 ? 1 : 0;
    return static_cast<int>(norm ? cudaLaunchKernelEx(&config, layer_norm_kernel<R, ALIGNED>, p) : cudaLaunchKernelEx(&config, softmax_kernel<R, ALIGNED>, p));
}

template <bool ALIGNED> int choose(int group, bool norm, const hd_cuda_rows &p, cudaStream_t stream)
{
    switch (group) {
    case 0: return launch<Row<1, 1, 2, 4>, ALIGNED>(norm, p, stream);   /* 256 */
    case 1: return launch<Row<1, 1, 6, 4>, ALIGNED>(norm, p, stream);   /* 768 */
    case 2: return launch<Row<1, 1, 8, 4>, ALIGNED>(norm, p, stream);   /* 1,024 */
    case 3: return launch<Row<2, 1, 3, 1>, ALIGNED>(norm, p, stream);   /* 768 */
    case 4: return launch<Row<6, 1, 1, 1>, ALIGNED>(norm, p, stream);   /* 768 */
    case 5: return launch<Row<8, 1, 4, 1>, ALIGNED>(norm, p, stream);   /* 4,096 */
    case 6: return launch<Row<32, 1, 8, 1>, ALIGNED>(norm, p, stream);  /* 32,768 */
    case 7: return launch<Row<16, 2, 8, 1>, ALIGNED>(norm, p, stream);  /* 32,768 */
    case 8: return launch<Row<8, 4, 8, 1>, ALIGNED>(norm, p, stream);   /* 32,768 */
    case 9: return launch<Row<16, 4, 4, 1>, ALIGNED>(norm, p, stream);  /* 32,768 */
    case 10: return launch<Row<8, 8, 4, 1>, ALIGNED>(norm, p, stream);  /* 32,768 */
    case 11: return launch<Row<4, 8, 8, 1>, ALIGNED>(norm, p, stream);  /* 32,768 */
    case 12: return launch<Row<32, 2, 4, 1>, ALIGNED>(norm, p, stream); /* 32,768 */
    default: return -2;
    }
}

} // namespace

extern "C" int rows_launch(int group, int norm, int aligned, const hd_cuda_rows *p, cudaStream_t stream)
{
    return aligned ? choose<true>(group, norm != 0, *p, stream) : choose<false>(group, norm != 0, *p, stream);
}
