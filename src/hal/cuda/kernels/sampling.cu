/* GridSample, AffineGrid, RoiAlign, MaxRoiPool, step by step as the CPU's (hal/cpu/ops/grid.c, roi.c).
 *
 * BITS: a thread computes what it writes by itself; multiplications and additions are rounded each (-fmad=false).
 * Thread-safety: any number of launches at once. */
#include "sampling.h"

namespace {

constexpr float FAR = 1e8f; /* beyond any image; what is further away becomes this */
constexpr int MOST_SAMPLES = 1024;

__device__ __forceinline__ unsigned thread_number()
{
    return blockIdx.x * HD_CUDA_SAMPLE_BLOCK + threadIdx.x;
}

__device__ __forceinline__ float maximum(float x, float y)
{
    float r;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(x), "f"(y));
    return r;
}

/* --- GridSample */

__device__ float reflect(float x, float low, float high)
{
    const float range = high - low;
    if (range <= 0.0f) {
        return low;
    }
    if (x < low) {
        const float away = low - x, times = floorf(__fdiv_rn(away, range)), rest = away - times * range;
        return fmodf(times, 2.0f) == 0.0f ? low + rest : high - rest;
    }
    if (x > high) {
        const float away = x - high, times = floorf(__fdiv_rn(away, range)), rest = away - times * range;
        return fmodf(times, 2.0f) == 0.0f ? high - rest : low + rest;
    }
    return x;
}

/* From [-1, 1] to elements, then brought inside as the padding mode says. */
__device__ __forceinline__ float grid_place(const hd_cuda_grid_sample &p, float x, int size)
{
    const float last = static_cast<float>(size) - 1.0f;
    float place = p.aligns_corners ? (x + 1.0f) / 2.0f * last : ((x + 1.0f) * static_cast<float>(size) - 1.0f) / 2.0f;
    place = !(place > -FAR) ? -FAR : place > FAR ? FAR : place; /* also what is not a number */
    if (p.mode == HD_CUDA_GRID_NEAREST) {
        place = rintf(place);
    }
    const float low = p.aligns_corners ? 0.0f : -0.5f, high = p.aligns_corners ? last : last + 0.5f;
    if (p.mode == HD_CUDA_GRID_CUBIC) { /* each of its taps is brought inside by itself */
        return place;
    }
    if (p.padding == HD_CUDA_GRID_BORDER && (place < low || place > high)) {
        place = place < 0.0f ? 0.0f : place > last ? last : place;
    } else if (p.padding == HD_CUDA_GRID_REFLECTION) {
        place = reflect(place, low, high);
    }
    return place;
}

/* The place that is read for `at`, or -1: it counts as zero. */
__device__ __forceinline__ int grid_inside(const hd_cuda_grid_sample &p, int at, int size)
{
    if (at >= 0 && at < size) {
        return at;
    }
    if (p.padding == HD_CUDA_GRID_ZEROS) {
        return -1;
    }
    if (p.padding == HD_CUDA_GRID_REFLECTION) {
        const float low = p.aligns_corners ? 0.0f : -0.5f;
        const float high = p.aligns_corners ? static_cast<float>(size) - 1.0f : static_cast<float>(size) - 0.5f;
        at = static_cast<int>(reflect(static_cast<float>(at), low, high));
    }
    return at < 0 ? 0 : at >= size ? size - 1 : at;
}

__device__ __forceinline__ int grid_taps(const hd_cuda_grid_sample &p, float place, int *first, float weights[4])
{
    const float below = floorf(place), t = place - below, u = 1.0f - t, a = -0.75f;
    if (p.mode == HD_CUDA_GRID_NEAREST) {
        *first = static_cast<int>(rintf(place));
        weights[0] = 1.0f;
        return 1;
    }
    if (p.mode == HD_CUDA_GRID_LINEAR) {
        *first = static_cast<int>(below);
        weights[0] = u;
        weights[1] = t;
        return 2;
    }
    *first = static_cast<int>(below) - 1;
    weights[0] = ((a * (t + 1.0f) - 5.0f * a) * (t + 1.0f) + 8.0f * a) * (t + 1.0f) - 4.0f * a;
    weights[1] = ((a + 2.0f) * t - (a + 3.0f)) * t * t + 1.0f;
    weights[2] = ((a + 2.0f) * u - (a + 3.0f)) * u * u + 1.0f;
    weights[3] = ((a * (u + 1.0f) - 5.0f * a) * (u + 1.0f) + 8.0f * a) * (u + 1.0f) - 4.0f * a;
    return 4;
}

/* --- RoiAlign */

__device__ __forceinline__ int bounded(float value, int low, int high)
{
    return !(value > static_cast<float>(low)) ? low : value >= static_cast<float>(high) ? high : static_cast<int>(value);
}

/* The two places around a coordinate and the second one's weight; false: outside of the image. */
__device__ __forceinline__ bool around(float at, int size, int places[2], float *weight)
{
    if (!(at >= -1.0f && at <= static_cast<float>(size))) {
        return false;
    }
    at = at > 0.0f ? at : 0.0f;
    places[0] = static_cast<int>(at);
    if (places[0] >= size - 1) {
        places[0] = places[1] = size - 1;
        *weight = 0.0f;
        return true;
    }
    places[1] = places[0] + 1;
    *weight = at - static_cast<float>(places[0]);
    return true;
}

/* Sample `number` of a bin along one dimension. */
__device__ __forceinline__ float sample_place(float begin, float step, int samples, int number)
{
    return begin + __fdiv_rn((static_cast<float>(number) + 0.5f) * step, static_cast<float>(samples));
}

/* The samples [*low, *high) that may lie inside of the image. */
__device__ void inside_of(float begin, float step, int samples, int size, int *low, int *high)
{
    int first = 0, last = samples, end = samples;
    while (step >= 0.0f && first < last) {
        const int middle = first + (last - first) / 2;
        if (sample_place(begin, step, samples, middle) >= -1.0f) {
            last = middle;
        } else {
            first = middle + 1;
        }
    }
    *low = first;
    while (step >= 0.0f && first < end) {
        const int middle = first + (end - first) / 2;
        if (sample_place(begin, step, samples, middle) <= static_cast<float>(size)) {
            first = middle + 1;
        } else {
            end = middle;
        }
    }
    *high = end;
}

__device__ float align_bin(const hd_cuda_roi &p, const float *x, const float begin[2], const float step[2], const int samples[2])
{
    float sum = 0.0f, best = 0.0f;
    int low[2], high[2], walked = 0;
    const int count = samples[0] * samples[1];
    for (int k = 0; k < 2; k++) {
        inside_of(begin[k], step[k], samples[k], p.in[k], &low[k], &high[k]);
    }
    for (int row = low[0]; row < high[0]; row++) {
        for (int column = low[1]; column < high[1]; column++, walked++) {
            const int at[2] = {row, column};
            int places[2][2];
            float weight[2], parts[4] = {0.0f};
            bool is_inside = true;
            for (int k = 0; k < 2; k++) {
                is_inside = is_inside && around(sample_place(begin[k], step[k], samples[k], at[k]), p.in[k], places[k], &weight[k]);
            }
            for (int k = 0; k < 4 && is_inside; k++) {
                const float rows = k < 2 ? 1.0f - weight[0] : weight[0], columns = k % 2 == 0 ? 1.0f - weight[1] : weight[1];
                parts[k] = rows * columns * x[static_cast<long long>(places[0][k / 2]) * p.in[1] + places[1][k % 2]];
            }
            sum += parts[0] + parts[1] + parts[2] + parts[3];
            const float largest = maximum(maximum(parts[0], parts[1]), maximum(parts[2], parts[3]));
            best = walked == 0 ? largest : maximum(best, largest);
        }
    }
    if (walked > 0 && walked < count) {
        best = maximum(best, 0.0f); /* what lies outside counts as 0 */
    }
    return p.takes_maximum ? best : count > 0 ? __fdiv_rn(sum, static_cast<float>(count)) : 0.0f;
}

__device__ float align(const hd_cuda_roi &p, const float *region, const float *x, const int bin[2])
{
    const float shift = p.is_half_pixel ? 0.5f : 0.0f;
    const int out[2] = {static_cast<int>(p.rows.by), static_cast<int>(p.columns.by)};
    float begin[2], step[2];
    int samples[2];
    for (int i = 0; i < 2; i++) { /* rows, then columns */
        const float start = region[1 - i] * p.scale - shift;
        float size = region[3 - i] * p.scale - shift - start;
        size = p.is_half_pixel || size > 1.0f ? size : 1.0f;
        step[i] = __fdiv_rn(size, static_cast<float>(out[i]));
        samples[i] = p.samples > 0 ? p.samples : bounded(ceilf(step[i]), 0, MOST_SAMPLES);
        begin[i] = start + static_cast<float>(bin[i]) * step[i];
    }
    return align_bin(p, x, begin, step, samples);
}

/* --- MaxRoiPool */

__device__ float pool(const hd_cuda_roi &p, const float *region, const float *x, const int bin[2])
{
    const int out[2] = {static_cast<int>(p.rows.by), static_cast<int>(p.columns.by)};
    int begin[2], end[2];
    for (int i = 0; i < 2; i++) { /* rows, then columns */
        const int first = bounded(roundf(region[2 - i] * p.scale), -p.in[i], 2 * p.in[i]);
        const int last = bounded(roundf(region[4 - i] * p.scale), -p.in[i], 2 * p.in[i]);
        const int size = last - first + 1 < 1 ? 1 : last - first + 1;
        const float step = __fdiv_rn(static_cast<float>(size), static_cast<float>(out[i]));
        begin[i] = bounded(static_cast<float>(first) + floorf(static_cast<float>(bin[i]) * step), 0, p.in[i]);
        end[i] = bounded(static_cast<float>(first) + ceilf(static_cast<float>(bin[i] + 1) * step), 0, p.in[i]);
    }
    float best = begin[0] >= end[0] || begin[1] >= end[1] ? 0.0f : -__builtin_huge_valf();
    for (int row = begin[0]; row < end[0]; row++) {
        for (int column = begin[1]; column < end[1]; column++) {
            best = maximum(best, x[static_cast<long long>(row) * p.in[1] + column]);
        }
    }
    return best;
}

/* Element `at` of y: its region's image, if it exists, and its bin. */
template <class F> __device__ __forceinline__ void for_bin(const hd_cuda_roi &p, bool aligns, F compute)
{
    const unsigned at = thread_number();
    if (at >= p.count) {
        return;
    }
    const unsigned line = hd_divide(at, p.columns), plane = hd_divide(line, p.rows), region = hd_divide(plane, p.channels);
    const int bin[2] = {static_cast<int>(line - plane * p.rows.by), static_cast<int>(at - line * p.columns.by)};
    const float *numbers = p.regions + static_cast<long long>(region) * (aligns ? 4 : 5);
    const long long image = !aligns             ? bounded(numbers[0], -1, p.batch)
                            : p.images_are_wide ? static_cast<const long long *>(p.images)[region]
                                                : static_cast<const int *>(p.images)[region];
    const long long size = static_cast<long long>(p.in[0]) * p.in[1];
    if (image < 0 || image >= p.batch || size == 0) {
        p.y[at] = 0.0f;
        return;
    }
    const long long channel = plane - region * p.channels.by;
    p.y[at] = compute(numbers, p.x + (image * p.channels.by + channel) * size, bin);
}

} // namespace

#define SAMPLE_KERNEL(name) extern "C" __global__ void __launch_bounds__(HD_CUDA_SAMPLE_BLOCK) hd_##name

SAMPLE_KERNEL(grid_sample)(const __grid_constant__ hd_cuda_grid_sample p)
{
    const unsigned at = thread_number();
    if (at >= p.count) {
        return;
    }
    const unsigned n = hd_divide(at, p.points), point = at - n * p.points.by;
    const long long size = static_cast<long long>(p.in[0]) * p.in[1] * p.in[2];
    const float *grid = p.grid + static_cast<long long>(at) * p.spatial;
    int places[3][4] = {{0}}, taps[3] = {1, 1, 1};
    float weights[3][4] = {{1.0f}};
    for (int i = 3 - p.spatial; i < 3; i++) {
        int first;
        taps[i] = grid_taps(p, grid_place(p, grid[2 - i], p.in[i]), &first, weights[i]);
        for (int k = 0; k < taps[i]; k++) {
            places[i][k] = grid_inside(p, first + k, p.in[i]);
        }
    }
    for (int c = 0; c < p.channels; c++) {
        const float *plane = p.x + (static_cast<long long>(n) * p.channels + c) * size;
        float sum = 0.0f;
        for (int d = 0; d < taps[0]; d++) {
            for (int h = 0; h < taps[1]; h++) {
                for (int k = 0; k < taps[2]; k++) {
                    if (places[0][d] >= 0 && places[1][h] >= 0 && places[2][k] >= 0) {
                        const long long from = (static_cast<long long>(places[0][d]) * p.in[1] + places[1][h]) * p.in[2] + places[2][k];
                        sum += plane[from] * (weights[0][d] * weights[1][h] * weights[2][k]);
                    }
                }
            }
        }
        p.y[(static_cast<long long>(n) * p.channels + c) * p.points.by + point] = sum;
    }
}

SAMPLE_KERNEL(affine_grid)(const __grid_constant__ hd_cuda_affine_grid p)
{
    const unsigned at = thread_number();
    if (at >= p.count) {
        return;
    }
    const unsigned n = hd_divide(at, p.points);
    const float *theta = p.theta + static_cast<long long>(n) * p.spatial * (p.spatial + 1);
    unsigned rest = at - n * p.points.by;
    float place[3];
    for (int k = 0; k < p.spatial; k++) { /* the last dimension is the first coordinate */
        const hd_cuda_divisor &dim = p.size[p.spatial - 1 - k];
        const unsigned above = hd_divide(rest, dim);
        const int size = static_cast<int>(dim.by);
        const float index = static_cast<float>(rest - above * dim.by);
        rest = above;
        place[k] = !p.aligns_corners ? __fdiv_rn(2.0f * index + 1.0f, static_cast<float>(size)) - 1.0f
                   : size > 1        ? __fdiv_rn(2.0f * index, static_cast<float>(size - 1)) - 1.0f
                                     : -1.0f;
    }
    for (int row = 0; row < p.spatial; row++) {
        float sum = theta[row * (p.spatial + 1) + p.spatial];
        for (int k = 0; k < p.spatial; k++) {
            sum += theta[row * (p.spatial + 1) + k] * place[k];
        }
        p.y[static_cast<long long>(at) * p.spatial + row] = sum;
    }
}

SAMPLE_KERNEL(roi_align)(const __grid_constant__ hd_cuda_roi p)
{
    for_bin(p, true, [&](const float *region, const float *x, const int bin[2]) { return align(p, region, x, bin); });
}

SAMPLE_KERNEL(roi_pool)(const __grid_constant__ hd_cuda_roi p)
{
    for_bin(p, false, [&](const float *region, const float *x, const int bin[2]) { return pool(p, region, x, bin); });
}
