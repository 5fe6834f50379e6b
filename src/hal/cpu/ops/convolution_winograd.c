/* Convolution, Winograd: 3x3 kernels that neither step nor dilate, over enough channels. A tile of 2x2 outputs
 * takes 16 products of channels where the plain way takes 36 (F(2x2, 3x3), see
 * convolution_winograd_template.h).
 *
 * BITS: an output element is a fixed sum of its tile's 16 products, each of which is the sum over the channels,
 * ascending, of fused multiply-adds that start from zero; then + bias, + residual, activation. Tiles begin
 * at even rows and columns of an image, whatever is computed together.
 *
 * Errors are smaller than the plain way's, whose chains are nine times as long; an infinite input makes
 * the whole tile NaN. */
#include <math.h>
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/ops/convolution_work.h"

/* Transformed inputs of the tiles that are multiplied together; they and a panel of the weights should stay in
 * the second-level cache. */
#define BLOCK_BYTES (384 << 10)
#define POSITIONS   HD_WINOGRAD_POSITIONS

/* Floats of a transformed position of all tiles of a block; the line more keeps the 16 out of one set of a
 * cache. */
static int64_t input_step(const hd_cpu_convolution_work *work)
{
    return work->winograd_tiles * work->winograd_channels + 16;
}

static int64_t product_step(const hd_cpu_convolution_work *work)
{
    return work->winograd_tiles * 2 * work->kernels->lanes + 16;
}

int64_t hd_cpu_convolution_winograd_columns(const hd_convolution *sizes)
{
    return (sizes->output[1] + 1) / 2;
}

int64_t hd_cpu_convolution_winograd_count(const hd_convolution *sizes)
{
    return (sizes->output[0] + 1) / 2 * hd_cpu_convolution_winograd_columns(sizes);
}

void hd_cpu_convolution_winograd_cut(hd_cpu_convolution_work *work)
{
    const int64_t most = work->kernels->pixels;
    work->winograd_channels = hd_cpu_convolution_padded(work->sizes.channels, 16);
    int64_t blocks =
        BLOCK_BYTES / (POSITIONS * work->winograd_channels * (int64_t)sizeof(float)) / most;
    blocks = blocks < 1 ? 1 : blocks;
    work->winograd_tiles = blocks * most;
    work->winograd_floats =
        (size_t)(work->winograd_channels + POSITIONS * (input_step(work) + product_step(work)));
}

/* Transforms the inputs of tiles [begin, begin + count); zeros: what lies outside the image, and the last row
 * of a tile with one row of outputs. */
static void transform_inputs(const hd_cpu_convolution_work *work,
                             const hd_cpu_convolution_image *image, int64_t begin, int64_t count,
                             const float *zeros, float *inputs)
{
    const hd_convolution *sizes = &work->sizes;
    const int64_t across = hd_cpu_convolution_winograd_columns(sizes);
    for (int64_t i = 0; i < count; i++) {
        const int64_t row = (begin + i) / across * 2 - sizes->pad_begin[0];
        const int64_t column = (begin + i) % across * 2 - sizes->pad_begin[1];
        const float *pixels[POSITIONS];
        for (int64_t p = 0; p < POSITIONS; p++) {
            const int64_t y = row + p / 4, x = column + p % 4;
            const bool inside = y >= 0 && y < sizes->input[0] && x >= 0 && x < sizes->input[1] &&
                                (p < 12 || row + sizes->pad_begin[0] + 1 < sizes->output[0]);
            pixels[p] = !inside
                            ? zeros
                            : image->input + ((y - image->input_first_row) * sizes->input[1] + x) *
                                                 sizes->channels;
        }
        work->kernels->winograd_input(pixels, sizes->channels, inputs + i * work->winograd_channels,
                                      input_step(work));
    }
}

/* The products of `count` tiles with one panel of weights of `width` columns. */
static void multiply(const hd_cpu_convolution_work *work, const float *inputs, int64_t count,
                     const float *weights, int64_t width, float *products)
{
    const int64_t most = work->kernels->pixels, blocks = (count + most - 1) / most;
    hd_cpu_convolution_block block = {
        .rows = 1,
        .taps = 1,
        .run = work->sizes.channels,
        .input_pixel = work->winograd_channels,
        .output_pixel = width,
        .columns = width,
        .clips = true,
        .low = -INFINITY,
        .high = INFINITY,
        .prefetch_lines = (HD_CONVOLUTION_STEPS * width / 16 + blocks - 1) / blocks};
    for (int64_t position = 0; position < POSITIONS; position++) {
        block.weights = weights + position * block.run * width;
        const float *next = block.weights + block.run * width;
        for (int64_t i = 0; i < blocks; i++) {
            block.prefetch = next + block.run * width / 16 * i / blocks * 16; /* its share */
            const int64_t first = hd_cpu_tile_begin(count, blocks, i);
            block.pixels = hd_cpu_tile_begin(count, blocks, i + 1) - first;
            block.input = inputs + position * input_step(work) + first * work->winograd_channels;
            block.output = products + position * product_step(work) + first * width;
            work->kernels->product(&block);
        }
    }
}

/* The outputs of tiles [begin, begin + count), of `columns` channels from `channel` on. */
static void transform_products(const hd_cpu_convolution_work *work,
                               const hd_cpu_convolution_image *image, int64_t begin, int64_t count,
                               int64_t channel, int64_t columns, int64_t width,
                               const float *products)
{
    const hd_convolution *sizes = &work->sizes;
    const int64_t across = hd_cpu_convolution_winograd_columns(sizes),
                  outputs = sizes->output_channels;
    const int64_t most = work->kernels->pixels / 2;
    hd_cpu_convolution_winograd tiles = {.step = product_step(work),
                                         .output_row = sizes->output[1] * outputs,
                                         .block = hd_cpu_convolution_block_begin(work)};
    tiles.block.columns = columns;
    tiles.block.bias = image->bias == NULL ? NULL : image->bias + channel;
    for (int64_t i = 0, some; i < count; i += some) {
        const int64_t row = (begin + i) / across * 2, left = (begin + i) % across;
        some = across - left < count - i ? across - left : count - i;
        some = some < most ? some : most;
        const int64_t at =
            ((row - image->output_first_row) * sizes->output[1] + left * 2) * outputs;
        const int64_t rest = sizes->output[1] - left * 2;
        tiles.products = products + i * width;
        tiles.rows = sizes->output[0] - row < 2 ? 1 : 2;
        tiles.block.pixels = rest < 2 * some ? rest : 2 * some;
        tiles.block.output = image->output + at + channel;
        tiles.block.residual = image->residual == NULL ? NULL : image->residual + at + channel;
        work->kernels->winograd_output(&tiles);
        if (!hd_cpu_convolution_activates(work->activation.kind)) {
            for (int64_t r = 0; r < tiles.rows; r++) {
                hd_cpu_convolution_activate_late(work, tiles.block.output + r * tiles.output_row,
                                                 tiles.block.pixels, outputs, columns);
            }
        }
    }
}

void hd_cpu_convolution_winograd_tiles(const hd_cpu_convolution_work *work,
                                       const hd_cpu_convolution_image *image, int64_t begin,
                                       int64_t end, int64_t first_panel, int64_t last_panel)
{
    const hd_convolution *sizes = &work->sizes;
    const int64_t lanes = work->kernels->lanes, panel = 2 * lanes;
    float *zeros = image->winograd, *inputs = zeros + work->winograd_channels;
    float *products = inputs + POSITIONS * input_step(work);
    memset(zeros, 0, (size_t)work->winograd_channels * sizeof *zeros);
    const int64_t blocks = (end - begin + work->winograd_tiles - 1) / work->winograd_tiles;
    for (int64_t i = 0; i < blocks; i++) {
        const int64_t first = begin + hd_cpu_tile_begin(end - begin, blocks, i);
        const int64_t count = begin + hd_cpu_tile_begin(end - begin, blocks, i + 1) - first;
        transform_inputs(work, image, first, count, zeros, inputs);
        for (int64_t p = first_panel; p < last_panel && hd_stop_asked() == HD_OK; p++) {
            const int64_t rest = sizes->output_channels - p * panel;
            const int64_t columns = rest < panel ? rest : panel,
                          width = columns > lanes ? panel : lanes;
            const float *weights = image->weights + p * panel * POSITIONS * sizes->channels;
            multiply(work, inputs, count, weights, width, products);
            transform_products(work, image, first, count, p * panel, columns, width, products);
        }
    }
}
