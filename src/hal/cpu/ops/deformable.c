/* DeformConv: what a block of output pixels takes is gathered, a row a pixel, and multiplied with the weights (gemm.h). A
 * tile is a number of blocks, each of one image and group; a pixel's sum does not depend on its block (BITS). */
#include <math.h>

#include "base/stop.h"
#include "hal/cpu/gemm.h"
#include "hal/cpu/ops/spatial.h"
#include "operation/deformable.h"

#define BLOCK 64

typedef struct deformable {
    hd_deformable form;
    int64_t depth;   /* channels of a group, times the kernel's elements */
    int64_t columns; /* output channels of a group */
    int64_t pixels, blocks, items, tiles;
    bool has_bias, has_mask;
    size_t output;
} deformable;

/* Between the four pixels around (y, x); 0 outside, also for a place that is no number. */
static float sample(const float *plane, int64_t height, int64_t width, float y, float x)
{
    if (!(y > -1.0f && x > -1.0f && y < (float)height && x < (float)width)) {
        return 0.0f;
    }
    const float top = floorf(y), left = floorf(x);
    const float down = y - top, right = x - left;
    float sum = 0.0f;
    for (int corner = 0; corner < 4; corner++) {
        const int64_t row = (int64_t)top + corner / 2, column = (int64_t)left + corner % 2;
        const float weight =
            (corner / 2 != 0 ? down : 1.0f - down) * (corner % 2 != 0 ? right : 1.0f - right);
        if (row >= 0 && row < height && column >= 0 && column < width) {
            sum += weight * plane[row * width + column];
        }
    }
    return sum;
}

/* What pixel `pixel` takes of the channels of group g. */
static void gather(const deformable *p, void *const *buffers, int64_t n, int64_t g, int64_t pixel,
                   float *out)
{
    const hd_convolution *s = &p->form.sizes;
    const int64_t kernel = s->kernel[0] * s->kernel[1], channels = s->channels / s->group;
    const int64_t shared = s->channels / p->form.offset_groups;
    const int64_t row = pixel / s->output[1] * s->stride[0] - s->pad_begin[0];
    const int64_t column = pixel % s->output[1] * s->stride[1] - s->pad_begin[1];
    for (int64_t c = 0; c < channels; c++) {
        const int64_t channel = g * channels + c;
        const float *plane =
            (const float *)buffers[0] + (n * s->channels + channel) * s->input[0] * s->input[1];
        const int64_t first = (n * p->form.offset_groups + channel / shared) * kernel;
        for (int64_t k = 0; k < kernel; k++) {
            const float *offset = (const float *)buffers[2] + (first + k) * 2 * p->pixels + pixel;
            const float y = (float)(row + k / s->kernel[1] * s->dilation[0]) + offset[0];
            const float x = (float)(column + k % s->kernel[1] * s->dilation[1]) + offset[p->pixels];
            const float value = sample(plane, s->input[0], s->input[1], y, x);
            out[c * kernel + k] =
                p->has_mask ? value * ((const float *)buffers[4])[(first + k) * p->pixels + pixel]
                            : value;
        }
    }
}

static void run_block(const deformable *p, void *const *buffers, int64_t item, float *panel,
                      float *columns, float *sums)
{
    const hd_convolution *s = &p->form.sizes;
    const int64_t block = item % p->blocks, g = item / p->blocks % s->group;
    const int64_t n = item / p->blocks / s->group, first = block * BLOCK;
    const int64_t count = p->pixels - first < BLOCK ? p->pixels - first : BLOCK;
    for (int64_t i = 0; i < count && !hd_stop_ends_every(i, 16); i++) {
        gather(p, buffers, n, g, first + i, columns + i * p->depth);
    }
    hd_cpu_gemm gemm;
    hd_cpu_gemm_plan_whole(&gemm, count, p->columns, p->depth);
    hd_cpu_gemm_operands operands = {
        .a = columns,
        .a_row = p->depth,
        .a_depth = 1,
        .b = (const float *)buffers[1] + g * p->columns * p->depth,
        .b_depth = 1,
        .b_column = p->depth,
        .c = sums,
        .c_row = p->columns,
        .bias = p->has_bias ? (const float *)buffers[3] + g * p->columns : NULL,
    };
    hd_cpu_gemm_run(&gemm, &operands, 0, panel);
    for (int64_t o = 0; o < p->columns; o++) {
        float *to = (float *)buffers[p->output] +
                    (n * s->output_channels + g * p->columns + o) * p->pixels + first;
        for (int64_t i = 0; i < count; i++) {
            to[i] = sums[i * p->columns + o];
        }
    }
}

static void run_deformable(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                           void *scratch)
{
    const deformable *p = parameters;
    float *panel = scratch;
    float *columns = panel + HD_GEMM_SCRATCH_SIZE / sizeof *panel;
    float *sums = columns + BLOCK * p->depth;
    const int64_t last = hd_cpu_tile_begin(p->items, p->tiles, end);
    for (int64_t item = hd_cpu_tile_begin(p->items, p->tiles, begin); item < last; item++) {
        run_block(p, buffers, item, panel, columns, sums);
    }
}

hd_status hd_cpu_deformable_compile(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    deformable *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    hd_status status = hd_deformable_resolve(operation, &p->form, compilation->error);
    if (status != HD_OK) {
        return status;
    }
    if (operation->inputs[0].dtype != HD_FLOAT32) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED, "%s has no kernel",
                                 hd_dtype_name(operation->inputs[0].dtype));
    }
    const hd_convolution *s = &p->form.sizes;
    p->depth = s->channels / s->group * s->kernel[0] * s->kernel[1];
    p->columns = s->output_channels / s->group;
    p->pixels = s->output[0] * s->output[1];
    p->blocks = (p->pixels + BLOCK - 1) / BLOCK;
    p->items = s->batch * s->group * p->blocks;
    p->has_bias = hd_operation_has(operation, 3);
    p->has_mask = hd_operation_has(operation, 4);
    p->output = operation->input_count;
    p->tiles = hd_cpu_tile_count(p->items, hd_multiply_bounded(BLOCK * 8, p->depth));
    compilation->kernel.tile_count = p->tiles;
    compilation->kernel.scratch_size =
        HD_GEMM_SCRATCH_SIZE + (size_t)(BLOCK * (p->depth + p->columns)) * sizeof(float);
    compilation->kernel.run = run_deformable;
    return HD_OK;
}
