/* DFT and STFT, by definition, in double precision: a thread computes a point.
 *
 * BITS: a point adds in the order of its lane's. Thread-safety: any number of launches at once. */
#include "fourier.h"

namespace {

/* Point `t` of a lane of x that begins at `from`; t < given. */
__device__ __forceinline__ double2 point_of(const hd_cuda_fourier &p, const float *from, int t)
{
    const float *at = from + static_cast<long long>(t) * p.point_stride;
    const double factor = p.window == nullptr ? 1.0 : static_cast<double>(p.window[t]);
    return make_double2(factor * static_cast<double>(at[0]), p.components == 2 ? factor * static_cast<double>(at[1]) : 0.0);
}

/* Adds point * root number `angle`. */
__device__ __forceinline__ void add(const hd_cuda_fourier &p, double2 &sum, double2 x, int angle)
{
    const double re = p.roots[2 * angle], im = p.roots[2 * angle + 1];
    sum.x += x.x * re - x.y * im;
    sum.y += x.x * im + x.y * re;
}

} // namespace

extern "C" __global__ void __launch_bounds__(HD_CUDA_FOURIER_BLOCK) hd_fourier_roots(const __grid_constant__ hd_cuda_fourier p)
{
    const int k = static_cast<int>(blockIdx.x * HD_CUDA_FOURIER_BLOCK + threadIdx.x);
    if (k < p.length) {
        double sine, cosine;
        sincospi(2.0 * static_cast<double>(k) / static_cast<double>(p.length), &sine, &cosine);
        p.roots[2 * k] = cosine;
        p.roots[2 * k + 1] = p.is_inverse ? sine : -sine;
    }
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_FOURIER_BLOCK) hd_fourier(const __grid_constant__ hd_cuda_fourier p)
{
    const unsigned at = blockIdx.x * HD_CUDA_FOURIER_BLOCK + threadIdx.x;
    if (at >= p.count) {
        return;
    }
    /* y: [outer, frames, bins], or [outer, bins, lanes] */
    const hd_cuda_divisor &last = p.are_frames ? p.bins : p.lanes, &middle = p.are_frames ? p.lanes : p.bins;
    const unsigned line = hd_divide(at, last), outer = hd_divide(line, middle);
    const unsigned second = line - outer * middle.by, third = at - line * last.by;
    const int bin = static_cast<int>(p.are_frames ? third : second), lane = static_cast<int>(p.are_frames ? second : third);
    const float *from = p.x + static_cast<long long>(outer) * p.outer_stride + static_cast<long long>(lane) * p.lane_stride;
    double2 sum = make_double2(0.0, 0.0);
    int angle = 0; /* t * bin, modulo the length */
    for (int t = 0; t < p.given; t++) {
        double2 x = point_of(p, from, t);
        if (p.mirrors && (t == 0 || 2 * t == p.length)) {
            x.y = 0.0;
        }
        add(p, sum, x, angle);
        if (p.mirrors && t > 0 && 2 * t < p.length) {
            add(p, sum, make_double2(x.x, -x.y), angle == 0 ? 0 : p.length - angle); /* point length - t */
        }
        angle += bin;
        angle -= angle >= p.length ? p.length : 0;
    }
    if (p.mirrors) {
        p.y[at] = static_cast<float>(sum.x * p.scale);
    } else {
        p.y[2ll * at] = static_cast<float>(sum.x * p.scale);
        p.y[2ll * at + 1] = static_cast<float>(sum.y * p.scale);
    }
}
