/* Convolutions and transposed ones of any kind, float32: what no other kernel takes. A thread computes an element of the output; those
 * of a row lie side by side.
 *
 * BITS: an element is one chain of fused multiply-adds over kernel positions, then channels, both ascending, and then its bias.
 * Thread-safety: any number of launches at once. */
#include "convolution_plain.h"

namespace {

/* The input position that an output position meets at a kernel position; -1: none. */
__device__ __forceinline__ int meet(const hd_cuda_convolution_any &p, int d, int at, int k)
{
    int position = at * p.stride[d] - p.pad[d] + k * p.dilation[d];
    if (p.is_transposed) {
        const int scaled = at + p.pad[d] - k * p.dilation[d];
        position = scaled < 0 || scaled % p.stride[d] != 0 ? -1 : scaled / p.stride[d];
    }
    return position >= 0 && position < p.input[d] ? position : -1;
}

} // namespace

extern "C" __global__ void __launch_bounds__(HD_CUDA_CONVOLUTION_PLAIN_BLOCK) hd_convolution_any(const __grid_constant__ hd_cuda_convolution_any p)
{
    const unsigned at = blockIdx.x * HD_CUDA_CONVOLUTION_PLAIN_BLOCK + threadIdx.x;
    if (at >= p.count) {
        return;
    }
    const unsigned row = hd_divide(at, p.output[2]), slice = hd_divide(row, p.output[1]), plane = hd_divide(slice, p.output[0]);
    const unsigned batch = hd_divide(plane, p.channels), channel = plane - batch * p.channels.by, group = hd_divide(channel, p.outputs);
    const int position[3] = {static_cast<int>(slice - plane * p.output[0].by), static_cast<int>(row - slice * p.output[1].by),
                             static_cast<int>(at - row * p.output[2].by)};
    const float *x = p.x + static_cast<long long>(batch * p.groups + group) * p.inputs * p.image;
    const float *w = p.w + static_cast<long long>(group) * p.w_group + static_cast<long long>(channel - group * p.outputs.by) * p.w_output;
    float sum = 0.0f;
    int tap = 0;
    for (int i = 0; i < p.kernel[0]; i++) {
        const int depth = meet(p, 0, position[0], i);
        for (int j = 0; j < p.kernel[1]; j++) {
            const int height = meet(p, 1, position[1], j);
            for (int k = 0; k < p.kernel[2]; k++, tap++) {
                const int width = meet(p, 2, position[2], k);
                if (depth < 0 || height < 0 || width < 0) {
                    continue;
                }
                const int from = (depth * p.input[1] + height) * p.input[2] + width;
                for (int c = 0; c < p.inputs; c++) {
                    sum = __fmaf_rn(x[static_cast<long long>(c) * p.image + from], w[static_cast<long long>(c) * p.w_channel + tap], sum);
                }
            }
        }
    }
    p.y[at] = p.bias == nullptr ? sum : __fadd_rn(sum, p.bias[channel]);
}
