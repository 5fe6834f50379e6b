/* Quantized depthwise convolutions of channels that lie last: copied lines, summed vector by vector of channels, two taps at
 * once. */
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/byte_transpose.h"
#include "hal/cpu/ops/quantization.h"
#include "hal/cpu/ops/quantization_rows.h"
#include "hal/cpu/ops/quantized_convolution.h"

#define WIDTH 2 /* the innermost dimension */
#define BLOCK HD_INTEGER_COLUMNS
#define SLACK 64 /* bytes behind the copied lines */

/* A thread's scratch. */
typedef struct depthwise_scratch {
    int16_t *weights; /* [taps / 2][32][2], less their zero points */
    uint8_t *bytes;   /* [taps][32], as they are */
    uint8_t *lines;
} depthwise_scratch;

/* Taps come in pairs; what fills the last one up has a weight of 0. */
static int64_t even_taps(const hd_cpu_quantized_convolution *q)
{
    return q->taps + (q->taps & 1);
}

static size_t aligned(size_t size)
{
    return (size + 63) / 64 * 64;
}

/* memory: NULL where only the size is asked for. */
static size_t lay_out(const hd_cpu_quantized_convolution *q, void *memory,
                      depthwise_scratch *scratch)
{
    const size_t taps = (size_t)even_taps(q), weights = aligned(taps * BLOCK * sizeof(int16_t));
    const size_t bytes = aligned(taps * BLOCK);
    if (memory != NULL) {
        uint8_t *at = memory;
        *scratch = (depthwise_scratch){memory, at + weights, at + weights + bytes};
    }
    return weights + bytes + (size_t)hd_cpu_quantized_lines_bytes(q) + SLACK;
}

/* The weights of a block's channels; from what is added to their sums goes what the image's zero point adds. */
static void take_weights(const hd_cpu_quantized_convolution *q, void *const *buffers,
                         const depthwise_scratch *scratch, hd_cpu_quantized_columns *columns)
{
    const hd_cpu_quantized_product *product = &q->product;
    const bool is_signed = product->b == HD_INT8;
    const uint32_t a_zero = (uint32_t)hd_cpu_quantized_a_zero(product, buffers);
    const int64_t channel = columns->first, channels = columns->count;
    int32_t zeros[BLOCK] = {0}, sums[BLOCK] = {0};
    for (int64_t c = 0; c < channels && product->b_zero.buffer >= 0; c++) {
        zeros[c] = (int32_t)hd_cpu_quantized_get(product->b, buffers[product->b_zero.buffer],
                                                 product->b_zero.is_each ? channel + c : 0);
    }
    hd_cpu_transpose_bytes(scratch->bytes, BLOCK,
                           (const uint8_t *)buffers[q->right] + channel * q->taps, q->taps,
                           channels, q->taps);
    for (int64_t tap = 0; tap < even_taps(q) && !hd_stop_ends_every(tap, 256); tap++) {
        const uint8_t *bytes = scratch->bytes + tap * BLOCK;
        int16_t *weights = scratch->weights + tap / 2 * 2 * BLOCK + tap % 2;
        const uint8_t flip =
            is_signed ? HD_INTEGER_SHIFT : 0; /* (x ^ 128) - 128 is the signed one */
        for (int c = 0; c < BLOCK; c++) {     /* all, so that it is vectors' */
            const int32_t weight =
                tap == q->taps ? 0 : (int32_t)(bytes[c] ^ flip) - flip - zeros[c];
            weights[2 * c] = (int16_t)weight;
            sums[c] = (int32_t)((uint32_t)sums[c] + (uint32_t)weight);
        }
    }
    for (int64_t c = 0; c < channels; c++) {
        columns->added[c] = (int32_t)((uint32_t)columns->added[c] - a_zero * (uint32_t)sums[c]);
    }
}

/* The tile's outputs of one block of channels. */
static void run_block(const hd_cpu_quantized_convolution *q, void *const *buffers,
                      const hd_cpu_quantized_lines_tile *tile, const depthwise_scratch *scratch,
                      const hd_cpu_quantized_columns *columns)
{
    const hd_cpu_quantized_product *product = &q->product;
    const hd_convolution *sizes = &q->sizes;
    const hd_cpu_quantization_rows *kernels = hd_cpu_quantization_rows_get();
    const hd_cpu_quantized_bounds bounds = hd_cpu_quantized_bounds_of(product->y);
    const int64_t zero = hd_cpu_quantized_get(product->y, buffers[product->y_zero.buffer], 0);
    const int64_t channels = sizes->channels, step = sizes->stride[WIDTH] * channels;
    const int64_t most = hd_stop_turns(even_taps(q) * 4); /* outputs of a call */
    for (int64_t i = 0; i < tile->count; i++) {
        const uint8_t *x = scratch->lines + i * sizes->stride[1] * q->lines.pitch + columns->first;
        const int64_t line = (tile->plane * sizes->output[0] + tile->output[0]) * sizes->output[1] +
                             tile->output[1] + i;
        uint8_t *y = (uint8_t *)buffers[q->output] +
                     (line * sizes->output[WIDTH] + tile->output[WIDTH]) * channels +
                     columns->first;
        for (int64_t r = 0; r < tile->rows && hd_stop_asked() == HD_OK; r += most) {
            const int64_t left = tile->rows - r;
            kernels->sum_taps(x + r * step, step, q->lines.offsets, even_taps(q),
                              left < most ? left : most, scratch->weights, columns->added,
                              columns->scales, columns->count, (float)(bounds.low - zero),
                              (float)(bounds.high - zero), (int32_t)zero, y + r * channels,
                              channels);
        }
    }
}

static void run_depthwise(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                          void *memory)
{
    const hd_cpu_quantized_convolution *q = parameters;
    const int64_t channels = q->sizes.channels;
    depthwise_scratch scratch = {0};
    (void)lay_out(q, memory, &scratch);
    for (int64_t i = begin; i < end && q->sizes.batch > 0; i++) {
        const hd_cpu_quantized_lines_tile tile = hd_cpu_quantized_lines_tile_of(q, i);
        hd_cpu_quantized_lines_copy(
            q, (const uint8_t *)buffers[0] + tile.plane * channels * q->plane,
            hd_cpu_quantized_a_zero(&q->product, buffers), tile.output, scratch.lines);
        for (int64_t channel = 0; channel < channels; channel += BLOCK) {
            const int64_t rest = channels - channel;
            hd_cpu_quantized_columns columns;
            hd_cpu_quantized_take_plain_columns(&q->product, buffers, channel,
                                                rest < BLOCK ? rest : BLOCK, &columns);
            take_weights(q, buffers, &scratch, &columns);
            run_block(q, buffers, &tile, &scratch, &columns);
        }
    }
}

/* From an output's first input to that of each tap. */
static void set_offsets(const hd_cpu_quantized_convolution *q, int32_t *offsets)
{
    const hd_convolution *sizes = &q->sizes;
    for (int64_t tap = 0; tap < q->taps; tap++) {
        const int64_t x = tap % sizes->kernel[WIDTH], line = tap / sizes->kernel[WIDTH];
        const int64_t y = line % sizes->kernel[1], z = line / sizes->kernel[1];
        offsets[tap] = (int32_t)((z * q->lines.height + y * sizes->dilation[1]) * q->lines.pitch +
                                 x * sizes->dilation[WIDTH] * sizes->channels);
    }
}

bool hd_cpu_quantized_finish_depthwise(hd_cpu_compilation *compilation,
                                       hd_cpu_quantized_convolution *q, hd_status *out_status)
{
    const hd_cpu_quantized_product *product = &q->product;
    if (product->columns != 1 || q->channels != 1 || product->y_scale.buffer < 0 ||
        q->pixels == 0 || q->sizes.channels == 0 || q->taps > INT32_MAX / 256) {
        return false;
    }
    hd_cpu_quantized_convolution whole = *q;
    whole.sizes.group = 1; /* lines are copied with all channels */
    whole.channels = q->sizes.channels;
    whole.lines.pack = hd_cpu_integer_pack_row_narrow;
    whole.lines.size = 1;
    whole.panel_groups = 1;
    if (!hd_cpu_quantized_lines_cut(&whole, false)) {
        return false;
    }
    *q = whole;
    int32_t *offsets = hd_region_array(compilation->region, (size_t)even_taps(q), sizeof *offsets);
    if (offsets == NULL) {
        *out_status = hd_cpu_out_of_memory(compilation);
        return true;
    }
    set_offsets(q, offsets);
    q->lines.offsets = offsets;
    const int64_t tiles = hd_cpu_quantized_lines_tiles(q);
    compilation->kernel.tile_count = tiles < 1 ? 1 : tiles;
    compilation->kernel.scratch_size = lay_out(q, NULL, NULL);
    compilation->kernel.run = run_depthwise;
    *out_status = HD_OK;
    return true;
}
