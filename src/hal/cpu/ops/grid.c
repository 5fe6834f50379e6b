/* Grid: GridSample and AffineGrid, of images and of volumes. */
#include <math.h>
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/ops/spatial.h"

typedef enum grid_mode { GRID_NEAREST, GRID_LINEAR, GRID_CUBIC } grid_mode;
typedef enum grid_padding { GRID_ZEROS, GRID_BORDER, GRID_REFLECTION } grid_padding;

#define FAR 1e8f /* beyond any image; what is further away becomes this */

typedef struct grid_parameters {
    uint32_t spatial; /* 2 or 3 */
    int64_t batch, channels;
    int64_t in[3], points; /* depth 1 for images; points of one batch entry */
    grid_mode mode;
    grid_padding padding;
    bool align_corners;
    int64_t tiles;
} grid_parameters;

static float reflect(float x, float low, float high)
{
    float range = high - low;
    if (range <= 0.0f) {
        return low;
    }
    if (x < low) {
        float away = low - x, times = floorf(away / range), rest = away - times * range;
        return fmodf(times, 2.0f) == 0.0f ? low + rest : high - rest;
    }
    if (x > high) {
        float away = x - high, times = floorf(away / range), rest = away - times * range;
        return fmodf(times, 2.0f) == 0.0f ? high - rest : low + rest;
    }
    return x;
}

/* From [-1, 1] to elements, then brought inside as the padding mode says. */
static float place_of(const grid_parameters *p, float x, int64_t size)
{
    float last = (float)size - 1.0f;
    float place =
        p->align_corners ? (x + 1.0f) / 2.0f * last : ((x + 1.0f) * (float)size - 1.0f) / 2.0f;
    place = !(place > -FAR) ? -FAR : place > FAR ? FAR : place; /* also what is not a number */
    if (p->mode == GRID_NEAREST) {
        place = rintf(place);
    }
    float low = p->align_corners ? 0.0f : -0.5f, high = p->align_corners ? last : last + 0.5f;
    if (p->mode == GRID_CUBIC) { /* each of its taps is brought inside by itself */
        return place;
    }
    if (p->padding == GRID_BORDER && (place < low || place > high)) {
        place = place < 0.0f ? 0.0f : place > last ? last : place;
    } else if (p->padding == GRID_REFLECTION) {
        place = reflect(place, low, high);
    }
    return place;
}

/* The place that is read for `at`, or -1: it counts as zero. */
static int64_t inside(const grid_parameters *p, int64_t at, int64_t size)
{
    if (at >= 0 && at < size) {
        return at;
    }
    if (p->padding == GRID_ZEROS) {
        return -1;
    }
    if (p->padding == GRID_REFLECTION) {
        float low = p->align_corners ? 0.0f : -0.5f;
        float high = p->align_corners ? (float)size - 1.0f : (float)size - 0.5f;
        at = (int64_t)reflect((float)at, low, high);
    }
    return at < 0 ? 0 : at >= size ? size - 1 : at;
}

static int taps_of(const grid_parameters *p, float place, int64_t *first, float weights[4])
{
    float below = floorf(place), t = place - below, a = -0.75f;
    switch (p->mode) {
    case GRID_NEAREST:
        *first = (int64_t)rintf(place);
        weights[0] = 1.0f;
        return 1;
    case GRID_LINEAR:
        *first = (int64_t)below;
        weights[0] = 1.0f - t;
        weights[1] = t;
        return 2;
    case GRID_CUBIC:
        break;
    }
    float u = 1.0f - t;
    *first = (int64_t)below - 1;
    weights[0] = ((a * (t + 1.0f) - 5.0f * a) * (t + 1.0f) + 8.0f * a) * (t + 1.0f) - 4.0f * a;
    weights[1] = ((a + 2.0f) * t - (a + 3.0f)) * t * t + 1.0f;
    weights[2] = ((a + 2.0f) * u - (a + 3.0f)) * u * u + 1.0f;
    weights[3] = ((a * (u + 1.0f) - 5.0f * a) * (u + 1.0f) + 8.0f * a) * (u + 1.0f) - 4.0f * a;
    return 4;
}

/* One item is one point: the same taps for all channels. */
static void sample_point(const grid_parameters *p, const float *grid, const float *x, float *y)
{
    int64_t places[3][4], size = p->in[0] * p->in[1] * p->in[2];
    float weights[3][4] = {{1.0f}};
    int taps[3] = {1, 1, 1};
    places[0][0] = 0;
    for (uint32_t i = 3 - p->spatial; i < 3; i++) {
        int64_t first;
        float place = place_of(p, grid[2 - i], p->in[i]);
        taps[i] = taps_of(p, place, &first, weights[i]);
        for (int k = 0; k < taps[i]; k++) {
            places[i][k] = inside(p, first + k, p->in[i]);
        }
    }
    for (int64_t c = 0; c < p->channels && !hd_stop_ends_every(c, 256); c++) {
        const float *plane = x + c * size;
        float sum = 0.0f;
        for (int number = 0; number < taps[0] * taps[1] * taps[2]; number++) {
            int k = number % taps[2], h = number / taps[2] % taps[1],
                d = number / (taps[2] * taps[1]);
            if (places[0][d] >= 0 && places[1][h] >= 0 && places[2][k] >= 0) {
                int64_t at = (places[0][d] * p->in[1] + places[1][h]) * p->in[2] + places[2][k];
                sum += plane[at] * (weights[0][d] * weights[1][h] * weights[2][k]);
            }
        }
        y[c * p->points] = sum;
    }
}

static void run_grid_sample(const void *parameters, void *const *buffers, int64_t begin,
                            int64_t end, void *scratch)
{
    (void)scratch;
    const grid_parameters *p = parameters;
    int64_t items = p->batch * p->points, image = p->channels * p->in[0] * p->in[1] * p->in[2];
    int64_t stop = hd_cpu_tile_begin(items, p->tiles, end);
    for (int64_t i = hd_cpu_tile_begin(items, p->tiles, begin); i < stop; i++) {
        int64_t n = i / p->points, point = i % p->points;
        sample_point(p, (const float *)buffers[1] + i * p->spatial,
                     (const float *)buffers[0] + n * image,
                     (float *)buffers[2] + n * p->channels * p->points + point);
    }
}

hd_status hd_cpu_grid_sample_compile(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *x = &operation->inputs[0].shape, *y = &operation->outputs[0].shape;
    hd_status status = hd_cpu_spatial_float_only(compilation);
    if (status != HD_OK) {
        return status;
    }
    grid_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    const char *mode = hd_operation_string(operation, "mode", "linear");
    const char *padding = hd_operation_string(operation, "padding_mode", "zeros");
    p->spatial = x->rank - 2;
    p->batch = x->dims[0];
    p->channels = x->dims[1];
    p->points = hd_shape_count_range(y, 2, y->rank);
    p->in[0] = 1;
    for (uint32_t i = 0; i < p->spatial; i++) {
        p->in[3 - p->spatial + i] = x->dims[2 + i];
    }
    p->mode = strstr(mode, "nearest") != NULL ? GRID_NEAREST
              : strstr(mode, "cubic") != NULL ? GRID_CUBIC
                                              : GRID_LINEAR;
    p->padding = strcmp(padding, "border") == 0       ? GRID_BORDER
                 : strcmp(padding, "reflection") == 0 ? GRID_REFLECTION
                                                      : GRID_ZEROS;
    p->align_corners = hd_operation_int(operation, "align_corners", 0) != 0;
    if (hd_shape_count(x) == 0) { /* nothing is inside */
        p->padding = GRID_ZEROS;
    }
    p->tiles = hd_cpu_tile_count(p->batch * p->points, p->channels * 16 + 32);
    compilation->kernel.run = run_grid_sample;
    compilation->kernel.tile_count = p->tiles;
    return HD_OK;
}

typedef struct affine_parameters {
    uint32_t spatial;
    int64_t batch, size[3], points;
    bool align_corners;
    int64_t tiles;
} affine_parameters;

static void run_affine_grid(const void *parameters, void *const *buffers, int64_t begin,
                            int64_t end, void *scratch)
{
    (void)scratch;
    const affine_parameters *p = parameters;
    uint32_t spatial = p->spatial;
    int64_t items = p->batch * p->points, stop = hd_cpu_tile_begin(items, p->tiles, end);
    for (int64_t i = hd_cpu_tile_begin(items, p->tiles, begin); i < stop; i++) {
        const float *theta = (const float *)buffers[0] + i / p->points * spatial * (spatial + 1);
        float *y = (float *)buffers[2] + i * spatial, place[3];
        int64_t rest = i % p->points;
        for (uint32_t k = 0; k < spatial; k++) { /* the last dimension is the first coordinate */
            int64_t size = p->size[spatial - 1 - k];
            float at = (float)(rest % size);
            rest /= size;
            place[k] = !p->align_corners ? (2.0f * at + 1.0f) / (float)size - 1.0f
                       : size > 1        ? 2.0f * at / (float)(size - 1) - 1.0f
                                         : -1.0f;
        }
        for (uint32_t row = 0; row < spatial; row++) {
            float sum = theta[row * (spatial + 1) + spatial];
            for (uint32_t k = 0; k < spatial; k++) {
                sum += theta[row * (spatial + 1) + k] * place[k];
            }
            y[row] = sum;
        }
    }
}

hd_status hd_cpu_affine_grid_compile(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *y = &operation->outputs[0].shape;
    hd_status status = hd_cpu_spatial_float_only(compilation);
    if (status != HD_OK) {
        return status;
    }
    affine_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->spatial = y->rank - 2;
    p->batch = y->dims[0];
    p->points = hd_shape_count_range(y, 1, y->rank - 1);
    memcpy(p->size, y->dims + 1, p->spatial * sizeof p->size[0]);
    p->align_corners = hd_operation_int(operation, "align_corners", 0) != 0;
    p->tiles = hd_cpu_tile_count(p->batch * p->points, 32);
    compilation->kernel.run = run_affine_grid;
    compilation->kernel.tile_count = p->tiles;
    return HD_OK;
}
