/* MaxUnpool and Col2Im.
 *
 * BITS: of several values for a place the last is taken, by the maximum of their numbers, which comes out alike in any order; an
 * element of Col2Im adds its blocks' in the order of the places in a block.
 * Thread-safety: any number of launches at once. */
#include "unpool.h"

namespace {

__device__ __forceinline__ unsigned thread_number()
{
    return blockIdx.x * HD_CUDA_UNPOOL_BLOCK + threadIdx.x;
}

/* Where a place of the unpooled shape lies in y; -1: nowhere. */
__device__ __forceinline__ int place_in_y(const hd_cuda_unpool &p, long long place)
{
    if (place < 0 || place >= p.unpooled_count) {
        return -1;
    }
    if (p.is_same) {
        return static_cast<int>(place);
    }
    unsigned rest = static_cast<unsigned>(place);
    int result = 0, step = 1;
    for (int d = p.rank - 1; d >= 0; d--) {
        const unsigned above = hd_divide(rest, p.unpooled[d]);
        const int at = static_cast<int>(rest - above * p.unpooled[d].by);
        if (at >= p.dims[d]) {
            return -1;
        }
        result += at * step;
        step *= p.dims[d];
        rest = above;
    }
    return result;
}

} // namespace

extern "C" __global__ void __launch_bounds__(HD_CUDA_UNPOOL_BLOCK) hd_unpool_clear(const __grid_constant__ hd_cuda_unpool p)
{
    const unsigned at = thread_number();
    if (at < p.y_count) {
        p.elected[at] = -1;
    }
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_UNPOOL_BLOCK) hd_unpool_places(const __grid_constant__ hd_cuda_unpool p)
{
    const unsigned at = thread_number();
    if (at < p.count) {
        const int place = place_in_y(p, p.places[at]);
        if (place >= 0) {
            atomicMax(&p.elected[place], static_cast<int>(at));
        }
    }
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_UNPOOL_BLOCK) hd_unpool(const __grid_constant__ hd_cuda_unpool p)
{
    const unsigned at = thread_number();
    if (at < p.y_count) {
        const int from = p.elected[at];
        p.y[at] = from < 0 ? 0.0f : p.x[from];
    }
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_UNPOOL_BLOCK) hd_col2im(const __grid_constant__ hd_cuda_col2im p)
{
    const unsigned at = thread_number();
    if (at >= p.count) {
        return;
    }
    int place[HD_CUDA_UNPOOL_RANK];
    unsigned plane = at;
    for (int d = p.spatial - 1; d >= 0; d--) {
        const unsigned above = hd_divide(plane, p.image[d]);
        place[d] = static_cast<int>(plane - above * p.image[d].by);
        plane = above;
    }
    const float *x = p.x + static_cast<long long>(plane) * p.block_size * p.block_count;
    float sum = 0.0f;
    for (int offset = 0; offset < p.block_size; offset++) {
        unsigned rest = static_cast<unsigned>(offset);
        int block = 0, step = 1;
        bool is_there = true;
        for (int d = p.spatial - 1; d >= 0; d--) {
            const unsigned above = hd_divide(rest, p.block[d]);
            const int begin = place[d] + p.pad[d] - static_cast<int>(rest - above * p.block[d].by) * p.dilation[d];
            const int number = begin / p.stride[d];
            is_there = is_there && begin >= 0 && number * p.stride[d] == begin && number < p.blocks[d];
            block += number * step;
            step *= p.blocks[d];
            rest = above;
        }
        if (is_there) {
            sum = __fadd_rn(sum, x[static_cast<long long>(offset) * p.block_count + block]);
        }
    }
    p.y[at] = sum;
}
