/* Convolution rows: output rows cut into register blocks, and for each block which taps lie in the
 * input and where.
 *
 * BITS: taps above or below the input are skipped; products count those left or right of it as zeros,
 * depthwise sums skip them. Both follow from the output's position alone. */
#include <math.h>
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/activation.h"
#include "hal/cpu/ops/convolution_work.h"

/* Terms of a sum from which on a block of them is computed in pieces. */
#define DEEP 65536

/* Kernel positions along one dimension that an output position meets, and the inputs they read:
 * tap i is kernel position `kernel + i·kernel_step` and reads input `input + i·input_step`. */
typedef struct taps {
    int64_t count;
    int64_t kernel;
    int64_t kernel_step;
    int64_t input;
    int64_t input_step;
} taps;

static taps taps_of(const hd_convolution *sizes, int dimension, int64_t output)
{
    const int64_t stride = sizes->stride[dimension], pad = sizes->pad_begin[dimension];
    if (!sizes->transposed) {
        return (taps){.count = sizes->kernel[dimension],
                      .kernel_step = 1,
                      .input = output * stride - pad,
                      .input_step = sizes->dilation[dimension]};
    }
    /* output + pad = input·stride + kernel; dilation is 1 here. */
    int64_t first = (output + pad) % stride;
    if (first < 0) {
        first += stride;
    }
    int64_t count = (sizes->kernel[dimension] - first + stride - 1) / stride;
    return (taps){.count = count < 0 ? 0 : count,
                  .kernel = first,
                  .kernel_step = stride,
                  .input = (output + pad - first) / stride,
                  .input_step = -1};
}

/* Leaves out the taps before and behind an input of `size`. */
static taps taps_inside(taps all, int64_t size)
{
    taps inside = all;
    while (inside.count > 0 && (inside.input < 0 || inside.input >= size)) {
        inside.input += inside.input_step;
        inside.kernel += inside.kernel_step;
        inside.count--;
    }
    while (inside.count > 0) {
        int64_t last = inside.input + (inside.count - 1) * inside.input_step;
        if (last >= 0 && last < size) {
            break;
        }
        inside.count--;
    }
    return inside;
}

/* Some neighbouring output pixels of one phase in one row. */
typedef struct pixel_block {
    int64_t output; /* column of the first pixel */
    int64_t pixels;
    taps rows;    /* inside the input */
    taps columns; /* of the first pixel, also outside */
    int64_t left; /* first and last input column that any tap reads */
    int64_t right;
} pixel_block;

/* False when the block holds no pixel. */
static bool pixel_block_make(const hd_cpu_convolution_work *work, int64_t row, int64_t index,
                             pixel_block *block)
{
    const hd_convolution *sizes = &work->sizes;
    const int64_t width = sizes->output[1], phases = work->phases;
    const int64_t phase = phases == 1 ? 0 : index / work->phase_blocks;
    const int64_t part = index - phase * work->phase_blocks;
    const int64_t pixels = phases == 1     ? width
                           : phase < width ? (width - phase + phases - 1) / phases
                                           : 0;
    int64_t begin =
        part * work->block_pixels + (part < work->longer_blocks ? part : work->longer_blocks);
    int64_t end = begin + work->block_pixels + (part < work->longer_blocks ? 1 : 0);
    end = end < pixels ? end : pixels;
    if (begin >= end) {
        return false;
    }
    block->output = phase + begin * phases;
    block->pixels = end - begin;
    block->rows = taps_inside(taps_of(sizes, 0, row), sizes->input[0]);
    block->columns = taps_of(sizes, 1, block->output);
    const int64_t step = sizes->transposed ? 1 : sizes->stride[1];
    const int64_t reach = (block->columns.count - 1) * block->columns.input_step;
    block->left = block->columns.input + (reach < 0 ? reach : 0);
    block->right = block->columns.input + (reach > 0 ? reach : 0) + (block->pixels - 1) * step;
    return true;
}

/* Copies the block's input columns to scratch, zeros where they lie outside, channels [0, all). */
static void copy_edge(const hd_cpu_convolution_work *work, const hd_cpu_convolution_image *image,
                      const pixel_block *block, float *edge)
{
    const hd_convolution *sizes = &work->sizes;
    const int64_t channels = sizes->channels, width = sizes->input[1];
    const int64_t columns = block->right - block->left + 1;
    int64_t first = block->left < 0 ? 0 : block->left;
    int64_t last = block->right >= width ? width - 1 : block->right;
    if (first > last) {
        first = block->left;
        last = first - 1;
    }
    const size_t before = (size_t)((first - block->left) * channels);
    const size_t middle = (size_t)((last - first + 1) * channels);
    const size_t after = (size_t)((block->right - last) * channels);
    for (int64_t i = 0; i < block->rows.count && !hd_stop_ends_every(i, 16); i++) {
        int64_t row = block->rows.input + i * block->rows.input_step - image->input_first_row;
        float *to = edge + i * columns * channels;
        memset(to, 0, before * sizeof *to);
        if (middle > 0) {
            memcpy(to + before, image->input + (row * width + first) * channels,
                   middle * sizeof *to);
        }
        memset(to + before + middle, 0, after * sizeof *to);
    }
}

void hd_cpu_convolution_activate_late(const hd_cpu_convolution_work *work, float *output,
                                      int64_t pixels, int64_t pixel_step, int64_t columns)
{
    if (columns == pixel_step) {
        hd_cpu_activation_apply(&work->activation, output, (size_t)(pixels * columns));
        return;
    }
    for (int64_t p = 0; p < pixels; p++) {
        hd_cpu_activation_apply(&work->activation, output + p * pixel_step, (size_t)columns);
    }
}

hd_cpu_convolution_block hd_cpu_convolution_block_begin(const hd_cpu_convolution_work *work)
{
    hd_cpu_convolution_block block = {.output_pixel = work->phases * work->sizes.output_channels,
                                      .activation = work->activation,
                                      .low = -INFINITY,
                                      .high = INFINITY};
    switch (work->activation.kind) {
    case HD_ACTIVATION_RELU:
        block.low = 0.0F;
        block.clips = !work->activation.scales;
        break;
    case HD_ACTIVATION_CLIP:
        block.low = work->activation.alpha;
        block.high = work->activation.beta;
        block.clips = !work->activation.scales;
        break;
    default:
        if (!hd_cpu_convolution_activates(work->activation.kind)) {
            block.activation = (hd_activation){.kind = HD_ACTIVATION_NONE};
        }
        block.clips = block.activation.kind == HD_ACTIVATION_NONE;
        break;
    }
    return block;
}

/* Where the block's first tap of its first pixel lies, from the image or from the copy of its edge. */
static void locate_input(const hd_cpu_convolution_work *work, const hd_cpu_convolution_image *image,
                         const pixel_block *pixels, hd_cpu_convolution_block *block)
{
    const hd_convolution *sizes = &work->sizes;
    const int64_t channels = sizes->channels, width = sizes->input[1];
    block->input_pixel = (sizes->transposed ? 1 : sizes->stride[1]) * channels;
    block->input_tap = pixels->columns.input_step * channels;
    if (pixels->rows.count == 0 || pixels->columns.count == 0) {
        block->rows = 0;
        return;
    }
    block->rows = pixels->rows.count;
    if (pixels->left < 0 || pixels->right >= width) {
        copy_edge(work, image, pixels, image->edge);
        block->input = image->edge + (pixels->columns.input - pixels->left) * channels;
        block->input_row = (pixels->right - pixels->left + 1) * channels;
        return;
    }
    int64_t row = pixels->rows.input - image->input_first_row;
    block->input = image->input + (row * width + pixels->columns.input) * channels;
    block->input_row = pixels->rows.input_step * width * channels;
}

/* A product of so many terms that it takes milliseconds: piece by piece, with a look at what may stop the run between
 * them. The chain of each sum stays the same (BITS). */
static void product_deep(const hd_cpu_convolution_work *work, const hd_cpu_convolution_block *block)
{
    _Alignas(64) float partial[HD_CONVOLUTION_PARTIAL];
    const int64_t lanes = work->kernels->lanes, width = block->columns > lanes ? 2 * lanes : lanes;
    hd_cpu_convolution_block piece = *block;
    piece.partial = partial;
    piece.rows = piece.taps = 1;
    piece.prefetch_lines = 0;
    for (int64_t row = 0; row < block->rows; row++) {
        for (int64_t tap = 0; tap < block->taps; tap++) {
            for (int64_t k = 0, next; (next = hd_stop_reach(k, block->run)) > k; k = next) {
                piece.input = block->input + row * block->input_row + tap * block->input_tap + k;
                piece.weights =
                    block->weights + row * block->weight_row + tap * block->weight_tap + k * width;
                piece.run = next - k;
                piece.ends = row + 1 == block->rows && tap + 1 == block->taps && next == block->run;
                work->kernels->product(&piece);
                piece.goes_on = true;
            }
        }
        if (hd_stop_asked() != HD_OK) {
            return;
        }
    }
    if (!piece.goes_on) { /* no terms */
        work->kernels->product(block);
    }
}

/* The panels of one block; `block` knows where the input lies. */
static void product_panels(const hd_cpu_convolution_work *work,
                           const hd_cpu_convolution_image *image, const pixel_block *pixels,
                           hd_cpu_convolution_block *block, int64_t at, int64_t first_panel,
                           int64_t last_panel)
{
    const hd_convolution *sizes = &work->sizes;
    const int64_t lanes = work->kernels->lanes;
    const int64_t channels = sizes->channels / sizes->group;
    const int64_t outputs = sizes->output_channels / sizes->group;
    const int64_t depth = sizes->kernel[0] * sizes->kernel[1] * channels;
    const int64_t padded_outputs = hd_cpu_convolution_padded(outputs, lanes);
    const float *input = block->input;
    const bool deep = depth > DEEP;
    int64_t group = sizes->group == 1 ? 0 : first_panel / work->group_panels;
    int64_t column = (first_panel - group * work->group_panels) * 2 * lanes;
    for (int64_t panel = first_panel; panel < last_panel; panel++, column += 2 * lanes) {
        if (column >= outputs) {
            column = 0;
            group++;
        }
        int64_t columns = outputs - column < 2 * lanes ? outputs - column : 2 * lanes;
        int64_t width = columns > lanes ? 2 * lanes : lanes;
        int64_t output = group * outputs + column;
        int64_t first_tap = pixels->rows.kernel * sizes->kernel[1] + pixels->columns.kernel;
        const float *weights = image->weights + (group * padded_outputs + column) * depth;
        block->weights = weights + first_tap * channels * width;
        block->weight_tap = pixels->columns.kernel_step * channels * width;
        block->weight_row = pixels->rows.kernel_step * sizes->kernel[1] * channels * width;
        block->prefetch = weights + depth * width; /* the next panel */
        block->prefetch_lines = image->fetches ? HD_CONVOLUTION_STEPS * width / 16 : 0;
        block->columns = columns;
        if (block->rows > 0) {
            block->input = input + group * channels;
        }
        block->bias = image->bias == NULL ? NULL : image->bias + output;
        block->residual = image->residual == NULL ? NULL : image->residual + at + output;
        block->output = image->output + at + output;
        if (deep) {
            product_deep(work, block);
        } else {
            work->kernels->product(block);
        }
    }
}

static int64_t panel_output(const hd_cpu_convolution_work *work, int64_t panel)
{
    int64_t outputs = work->sizes.output_channels / work->sizes.group;
    int64_t column = panel % work->group_panels * 2 * work->kernels->lanes;
    return panel / work->group_panels * outputs + column;
}

/* A block's results to the output rows that they belong to; then residual and activation. */
static void unfold(const hd_cpu_convolution_work *work, const hd_cpu_convolution_image *image,
                   int64_t row, const pixel_block *pixels, int64_t first, int64_t last)
{
    const int64_t columns = work->sizes.output_channels, each = columns / work->fold[0];
    for (int64_t part = first / each; part * each < last; part++) {
        const int64_t begin = part * each > first ? part * each : first;
        const int64_t end = (part + 1) * each < last ? (part + 1) * each : last;
        const size_t bytes = (size_t)(end - begin) * sizeof(float);
        const int64_t at =
            ((row * work->fold[0] + part - image->output_first_row) * work->sizes.output[1] +
             pixels->output) *
                each +
            begin - part * each;
        for (int64_t p = 0; p < pixels->pixels; p++) {
            const float *from = image->folded + p * columns + begin;
            float *to = image->output + at + p * each;
            if (image->residual == NULL && end - begin == 2) {
                to[0] = from[0]; /* two columns of one channel */
                to[1] = from[1];
                continue;
            }
            memcpy(to, from, bytes);
            if (image->residual != NULL) {
                const float *residual = image->residual + at + p * each;
                for (int64_t i = 0; i < end - begin; i++) {
                    to[i] += residual[i];
                }
                hd_cpu_activation_apply(&work->activation, to, (size_t)(end - begin));
            }
        }
    }
}

/* One block of a row, whose sizes and input `block` has. */
typedef void product_block(const hd_cpu_convolution_work *work,
                           const hd_cpu_convolution_image *image, int64_t row,
                           const pixel_block *pixels, hd_cpu_convolution_block *block,
                           int64_t first_panel, int64_t last_panel);

/* The block kernels write to scratch instead; what they do not apply is left to unfold. */
static void product_folded(const hd_cpu_convolution_work *work,
                           const hd_cpu_convolution_image *image, int64_t row,
                           const pixel_block *pixels, hd_cpu_convolution_block *block,
                           int64_t first_panel, int64_t last_panel)
{
    const int64_t columns = work->sizes.output_channels, panel = 2 * work->kernels->lanes;
    const int64_t first = first_panel * panel;
    const int64_t last = last_panel == work->panels ? columns : last_panel * panel;
    hd_cpu_convolution_image scratch = *image;
    scratch.output = image->folded;
    scratch.residual = NULL;
    if (image->residual != NULL) {
        block->activation = (hd_activation){.kind = HD_ACTIVATION_NONE};
        block->clips = true;
        block->low = -INFINITY;
        block->high = INFINITY;
    }
    product_panels(work, &scratch, pixels, block, 0, first_panel, last_panel);
    if (image->residual == NULL && !hd_cpu_convolution_activates(work->activation.kind)) {
        hd_cpu_convolution_activate_late(work, image->folded + first, pixels->pixels, columns,
                                         last - first);
    }
    unfold(work, image, row, pixels, first, last);
}

static void product_straight(const hd_cpu_convolution_work *work,
                             const hd_cpu_convolution_image *image, int64_t row,
                             const pixel_block *pixels, hd_cpu_convolution_block *block,
                             int64_t first_panel, int64_t last_panel)
{
    const int64_t outputs = work->sizes.output_channels, first = panel_output(work, first_panel);
    const int64_t last = last_panel == work->panels ? outputs : panel_output(work, last_panel);
    int64_t at =
        ((row - image->output_first_row) * work->sizes.output[1] + pixels->output) * outputs;
    product_panels(work, image, pixels, block, at, first_panel, last_panel);
    if (!hd_cpu_convolution_activates(work->activation.kind)) {
        hd_cpu_convolution_activate_late(work, image->output + at + first, pixels->pixels,
                                         block->output_pixel, last - first);
    }
}

static inline void product_row(const hd_cpu_convolution_work *work,
                               const hd_cpu_convolution_image *image, int64_t row, int64_t begin,
                               int64_t end, int64_t first_panel, int64_t last_panel,
                               product_block *compute)
{
    const hd_convolution *sizes = &work->sizes;
    hd_cpu_convolution_block block = hd_cpu_convolution_block_begin(work);
    for (int64_t index = begin; index < end && !hd_stop_ends_every(index, 8); index++) {
        pixel_block pixels;
        if (!pixel_block_make(work, row, index, &pixels)) {
            continue;
        }
        locate_input(work, image, &pixels, &block);
        block.pixels = pixels.pixels;
        block.streams = image->streams && block.clips;
        block.taps = pixels.columns.count;
        block.run = sizes->channels / sizes->group;
        if (sizes->group == 1 && pixels.columns.input_step == 1 &&
            pixels.columns.kernel_step == 1) {
            block.run *= block.taps; /* a kernel row is contiguous in input and panel */
            block.taps = 1;
        }
        compute(work, image, row, &pixels, &block, first_panel, last_panel);
    }
}

void hd_cpu_convolution_product_row(const hd_cpu_convolution_work *work,
                                    const hd_cpu_convolution_image *image, int64_t row,
                                    int64_t begin, int64_t end, int64_t first_panel,
                                    int64_t last_panel)
{
    product_row(work, image, row, begin, end, first_panel, last_panel, product_straight);
}

void hd_cpu_convolution_folded_row(const hd_cpu_convolution_work *work,
                                   const hd_cpu_convolution_image *image, int64_t row,
                                   int64_t begin, int64_t end, int64_t first_panel,
                                   int64_t last_panel)
{
    product_row(work, image, row, begin, end, first_panel, last_panel, product_folded);
}

/* Pixels of the next depthwise block when `rest` are left: whole blocks, and the last two even. */
static int64_t depthwise_pixels(int64_t rest, int64_t most)
{
    return rest == most || rest >= 2 * most ? most : rest > most ? (rest + 1) / 2 : rest;
}

void hd_cpu_convolution_depthwise_rows(const hd_cpu_convolution_work *work,
                                       const hd_cpu_convolution_image *image, int64_t begin,
                                       int64_t end, int64_t channel, int64_t some)
{
    const hd_convolution *sizes = &work->sizes;
    const int64_t channels = sizes->channels, width = sizes->input[1], pixels = sizes->output[1];
    const int64_t most = work->kernels->depthwise_pixels, stride = sizes->stride[1];
    const int64_t padded = hd_cpu_convolution_padded(channels, work->kernels->lanes);
    const int64_t reach = (sizes->kernel[1] - 1) * sizes->dilation[1];
    const int64_t most_blocks = hd_stop_turns(sizes->kernel[0] * sizes->kernel[1]);
    hd_cpu_convolution_block line = hd_cpu_convolution_block_begin(work);
    line.columns = some;
    line.bias = image->bias == NULL ? NULL : image->bias + channel;
    line.taps = sizes->kernel[1];
    line.width = width;
    line.tap_columns = sizes->dilation[1];
    line.pixel_columns = stride;
    line.input_pixel = stride * channels;
    line.input_tap = sizes->dilation[1] * channels;
    line.input_row = sizes->dilation[0] * width * channels;
    line.weight_tap = padded;
    line.weight_row = sizes->kernel[1] * padded;
    for (int64_t row = begin; row < end; row++) {
        const taps rows = taps_inside(taps_of(sizes, 0, row), sizes->input[0]);
        line.rows = rows.count;
        line.weights = image->weights + rows.kernel * line.weight_row + channel;
        const float *input =
            image->input + channel +
            (rows.count == 0 ? 0 : rows.input - image->input_first_row) * width * channels;
        const int64_t at = (row - image->output_first_row) * pixels * channels + channel;
        for (int64_t pixel = 0; pixel < pixels;) {
            line.pixels = depthwise_pixels(pixels - pixel, most);
            line.column = pixel * stride - sizes->pad_begin[1];
            line.blocks = 1;
            if (line.column >= 0) {
                /* All following whole blocks that lie inside go in one call. */
                while (pixels - pixel - line.blocks * line.pixels >= 2 * most &&
                       line.blocks < most_blocks &&
                       line.column + ((line.blocks + 1) * line.pixels - 1) * stride + reach <
                           width) {
                    line.blocks++;
                }
            }
            line.input = input + line.column * channels;
            line.output = image->output + at + pixel * channels;
            line.residual =
                image->residual == NULL ? NULL : image->residual + at + pixel * channels;
            work->kernels->depthwise(&line);
            pixel += line.blocks * line.pixels;
            if (pixels > most_blocks && hd_stop_asked() != HD_OK) {
                return;
            }
        }
        if (!hd_cpu_convolution_activates(work->activation.kind)) {
            hd_cpu_convolution_activate_late(work, image->output + at, pixels, channels, some);
        }
    }
}

/* The parts of scratch, in this order; weights that are no constant are packed into the first. */
void hd_cpu_convolution_begin(const hd_cpu_convolution_work *work, void *const *buffers,
                              void *scratch, hd_cpu_convolution_image *image, float **input,
                              float **output)
{
    float *weights = scratch;
    *input = weights + work->weight_floats;
    *output = *input + work->input_floats;
    *image = (hd_cpu_convolution_image){.weights = work->weights,
                                        .bias = work->has_bias ? buffers[2] : NULL,
                                        .edge = *output + work->output_floats};
    float *bias = image->edge + work->edge_floats;
    image->folded = bias + work->bias_floats;
    image->winograd = image->folded + work->folded_floats;
    if (work->bias_floats != 0) {
        const int64_t taps = work->fold[0] * work->fold[1];
        const int64_t channels = work->sizes.output_channels / taps;
        for (int64_t tap = 0; tap < taps; tap++) {
            memcpy(bias + tap * channels, image->bias, (size_t)channels * sizeof *bias);
        }
        image->bias = bias;
    }
    if (work->weights == NULL) {
        hd_cpu_convolution_pack(work->packing, &work->weight_shape, work->sizes.group, buffers[1],
                                weights);
        image->weights = weights;
    }
}
