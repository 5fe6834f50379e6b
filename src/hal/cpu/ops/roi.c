/* Roi: MaxRoiPool and RoiAlign. A region of a batch entry that does not exist gives zeros. */
#include <math.h>
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/extremes.h"
#include "hal/cpu/ops/spatial.h"

/* Samples of one bin along one dimension are bounded, whatever a region's size claims. */
#define MOST_SAMPLES 1024

typedef struct roi_parameters {
    int64_t batch, channels, in[2], regions, out[2];
    float scale;
    bool maximum;
    bool half_pixel;
    int64_t samples; /* a bin and dimension; 0: by the region's size */
    hd_dtype batch_dtype;
    int64_t tiles;
} roi_parameters;

static int64_t bounded(float value, int64_t low, int64_t high)
{
    return !(value > (float)low) ? low : value >= (float)high ? high : (int64_t)value;
}

static void pool_region(const roi_parameters *p, const float *roi, const float *x, float *y)
{
    int64_t start[2], size[2];
    for (int i = 0; i < 2; i++) { /* rows, then columns */
        int64_t first = bounded(roundf(roi[2 - i] * p->scale), -p->in[i], 2 * p->in[i]);
        int64_t last = bounded(roundf(roi[4 - i] * p->scale), -p->in[i], 2 * p->in[i]);
        start[i] = first;
        size[i] = last - first + 1 < 1 ? 1 : last - first + 1;
    }
    for (int64_t bin = 0; bin < p->out[0] * p->out[1] && !hd_stop_ends_every(bin, 4); bin++) {
        int64_t at[2] = {bin / p->out[1], bin % p->out[1]}, begin[2], end[2];
        for (int i = 0; i < 2; i++) {
            float step = (float)size[i] / (float)p->out[i];
            begin[i] = bounded((float)start[i] + floorf((float)at[i] * step), 0, p->in[i]);
            end[i] = bounded((float)start[i] + ceilf((float)(at[i] + 1) * step), 0, p->in[i]);
        }
        bool empty = begin[0] >= end[0] || begin[1] >= end[1];
        float best = empty ? 0.0f : -INFINITY;
        for (int64_t r = begin[0]; r < end[0] && !hd_stop_ends_every(r, 64); r++) {
            for (int64_t c = begin[1]; c < end[1] && !hd_stop_ends(c); c++) {
                best = hd_cpu_maximum_float32(best, x[r * p->in[1] + c]);
            }
        }
        y[bin] = best;
    }
}

/* The two places around a coordinate and the second one's weight; false: outside of the image. */
static bool around(float at, int64_t size, int64_t places[2], float *out_weight)
{
    if (!(at >= -1.0f && at <= (float)size)) {
        return false;
    }
    at = at > 0.0f ? at : 0.0f;
    places[0] = (int64_t)at;
    if (places[0] >= size - 1) {
        places[0] = places[1] = size - 1;
        *out_weight = 0.0f;
        return true;
    }
    places[1] = places[0] + 1;
    *out_weight = at - (float)places[0];
    return true;
}

/* Sample `number` of a bin along one dimension. */
static float place_of(float begin, float step, int64_t samples, int64_t number)
{
    return begin + ((float)number + 0.5f) * step / (float)samples;
}

/* The samples [*low, *high) that may lie inside of the image: a region is as large as it claims, and what lies
 * outside is not walked through. Places grow with the sample's number, unless the region is upside down. */
static void inside_of(float begin, float step, int64_t samples, int64_t size, int64_t *low,
                      int64_t *high)
{
    int64_t first = 0, last = samples, end = samples;
    while (step >= 0.0f && first < last) {
        int64_t middle = first + (last - first) / 2;
        if (place_of(begin, step, samples, middle) >= -1.0f) {
            last = middle;
        } else {
            first = middle + 1;
        }
    }
    *low = first;
    while (step >= 0.0f && first < end) {
        int64_t middle = first + (end - first) / 2;
        if (place_of(begin, step, samples, middle) <= (float)size) {
            first = middle + 1;
        } else {
            end = middle;
        }
    }
    *high = end;
}

static float align_bin(const roi_parameters *p, const float *x, const float begin[2],
                       const float step[2], const int64_t samples[2])
{
    float sum = 0.0f, best = 0.0f;
    int64_t low[2], high[2], count = samples[0] * samples[1], walked = 0;
    for (int k = 0; k < 2; k++) {
        inside_of(begin[k], step[k], samples[k], p->in[k], &low[k], &high[k]);
    }
    for (int64_t row = low[0]; row < high[0] && !hd_stop_ends_every(row, 16); row++) {
        for (int64_t column = low[1]; column < high[1]; column++, walked++) {
            int64_t at[2] = {row, column}, places[2][2];
            float weight[2];
            bool inside = true;
            for (int k = 0; k < 2; k++) {
                float place = place_of(begin[k], step[k], samples[k], at[k]);
                inside = inside && around(place, p->in[k], places[k], &weight[k]);
            }
            float parts[4] = {0.0f};
            for (int k = 0; k < 4 && inside; k++) {
                float rows = k < 2 ? 1.0f - weight[0] : weight[0];
                float columns = k % 2 == 0 ? 1.0f - weight[1] : weight[1];
                parts[k] = rows * columns * x[places[0][k / 2] * p->in[1] + places[1][k % 2]];
            }
            sum += parts[0] + parts[1] + parts[2] + parts[3];
            /* The maximum is one of the weighted corners, as the operator's reference has it. */
            float largest = hd_cpu_maximum_float32(hd_cpu_maximum_float32(parts[0], parts[1]),
                                                   hd_cpu_maximum_float32(parts[2], parts[3]));
            best = walked == 0 ? largest : hd_cpu_maximum_float32(best, largest);
        }
    }
    if (walked > 0 && walked < count) {
        best = hd_cpu_maximum_float32(best, 0.0f); /* what lies outside counts as 0 */
    }
    return p->maximum ? best : count > 0 ? sum / (float)count : 0.0f;
}

static void align_region(const roi_parameters *p, const float *roi, const float *x, float *y)
{
    float start[2], step[2], shift = p->half_pixel ? 0.5f : 0.0f;
    int64_t samples[2];
    for (int i = 0; i < 2; i++) { /* rows, then columns */
        start[i] = roi[1 - i] * p->scale - shift;
        float size = roi[3 - i] * p->scale - shift - start[i];
        size = p->half_pixel || size > 1.0f ? size : 1.0f;
        step[i] = size / (float)p->out[i];
        samples[i] = p->samples > 0 ? p->samples : bounded(ceilf(step[i]), 0, MOST_SAMPLES);
    }
    for (int64_t bin = 0; bin < p->out[0] * p->out[1] && !hd_stop_ends_every(bin, 8); bin++) {
        float begin[2] = {start[0] + (float)(bin / p->out[1]) * step[0],
                          start[1] + (float)(bin % p->out[1]) * step[1]};
        y[bin] = align_bin(p, x, begin, step, samples);
    }
}

/* One item is one region and channel. */
static void run_roi(const roi_parameters *p, void *const *buffers, int64_t begin, int64_t end,
                    bool align)
{
    int64_t items = p->regions * p->channels, plane = p->in[0] * p->in[1];
    int64_t bins = p->out[0] * p->out[1], stop = hd_cpu_tile_begin(items, p->tiles, end);
    for (int64_t i = hd_cpu_tile_begin(items, p->tiles, begin);
         i < stop && !hd_stop_ends_every(i, 4); i++) {
        int64_t region = i / p->channels, channel = i % p->channels, image;
        const float *roi = (const float *)buffers[1] + region * (align ? 4 : 5);
        if (align) {
            image = p->batch_dtype == HD_INT64 ? ((const int64_t *)buffers[2])[region]
                                               : ((const int32_t *)buffers[2])[region];
        } else {
            image = bounded(roi[0], -1, p->batch);
        }
        float *y = (float *)buffers[align ? 3 : 2] + i * bins;
        if (image < 0 || image >= p->batch || plane == 0) {
            hd_stop_clear(y, (size_t)bins * sizeof *y);
            continue;
        }
        const float *x = (const float *)buffers[0] + (image * p->channels + channel) * plane;
        if (align) {
            align_region(p, roi, x, y);
        } else {
            pool_region(p, roi, x, y);
        }
    }
}

static void run_roi_pool(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                         void *scratch)
{
    (void)scratch;
    run_roi(parameters, buffers, begin, end, false);
}

static void run_roi_align(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                          void *scratch)
{
    (void)scratch;
    run_roi(parameters, buffers, begin, end, true);
}

static hd_status compile_roi(hd_cpu_compilation *compilation, hd_kernel_run *run)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *x = &operation->inputs[0].shape, *y = &operation->outputs[0].shape;
    hd_status status = hd_cpu_spatial_float_only(compilation);
    if (status != HD_OK) {
        return status;
    }
    roi_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->batch = x->dims[0];
    p->channels = x->dims[1];
    p->in[0] = x->dims[2];
    p->in[1] = x->dims[3];
    p->regions = y->dims[0];
    p->out[0] = y->dims[2];
    p->out[1] = y->dims[3];
    p->scale = hd_operation_float(operation, "spatial_scale", 1.0f);
    p->maximum = strcmp(hd_operation_string(operation, "mode", "avg"), "max") == 0;
    const char *transformation =
        hd_operation_string(operation, "coordinate_transformation_mode",
                            operation->opset >= 16 ? "half_pixel" : "output_half_pixel");
    p->half_pixel = strcmp(transformation, "half_pixel") == 0;
    p->samples = hd_operation_int(operation, "sampling_ratio", 0);
    if (p->samples > MOST_SAMPLES) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                                 "its sampling_ratio is over %d", MOST_SAMPLES);
    }
    p->batch_dtype = operation->input_count > 2 ? operation->inputs[2].dtype : HD_DTYPE_NONE;
    p->tiles = hd_cpu_tile_count(p->regions * p->channels, p->out[0] * p->out[1] * 64);
    compilation->kernel.run = run;
    compilation->kernel.tile_count = p->tiles;
    return HD_OK;
}

hd_status hd_cpu_roi_pool_compile(hd_cpu_compilation *compilation)
{
    return compile_roi(compilation, run_roi_pool);
}

hd_status hd_cpu_roi_align_compile(hd_cpu_compilation *compilation)
{
    return compile_roi(compilation, run_roi_align);
}
