/* Convolution planes: the way for few output channels. A tile is some output rows of one image. It takes
 * the input rows that it needs to a plane a channel in scratch, with the padding around them, computes
 * vectors of pixels there, and takes the result back to channels last.
 *
 * A plane's rows follow one another without a gap, so that the pixels of a chunk are one long row: those
 * between the last pixel of a row and the first of the next are computed and dropped. */
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/activation.h"
#include "hal/cpu/ops/convolution_work.h"

/* Planes of a tile's input rows; they should stay in the second-level cache. */
#define PLANES_BYTES (512 << 10)
/* Turning an element around takes about as long as a third of a vector's multiply-add. */
#define TURN_COST 3

static int64_t block_pixels(const hd_cpu_convolution_work *work, bool *out_wide)
{
    const int64_t most = work->kernels->plane_outputs, outputs = work->sizes.output_channels;
    const int64_t groups = (outputs + most - 1) / most;
    *out_wide = (outputs + groups - 1) / groups <= most / 2;
    return (*out_wide ? 4 : 2) * work->kernels->lanes;
}

/* One input row, or zeros where it is outside, to row `row` of the planes. */
static void fill_row(const hd_cpu_convolution_work *work, const float *input, int64_t from,
                     int64_t row, float *planes)
{
    const hd_convolution *sizes = &work->sizes;
    const int64_t width = sizes->input[1], channels = sizes->channels, pad = sizes->pad_begin[1];
    int64_t begin = pad < 0 ? 0 : pad, end = width + pad;
    end = end < work->plane_row ? end : work->plane_row;
    if (from < 0 || from >= sizes->input[0] || begin >= end) {
        begin = end = 0;
    }
    float *to = planes + row * work->plane_row;
    for (int64_t c = 0; c < channels; c++) {
        float *plane = to + c * work->plane;
        for (int64_t i = 0; i < begin; i++) {
            plane[i] = 0.0F;
        }
        for (int64_t i = end; i < work->plane_row; i++) {
            plane[i] = 0.0F;
        }
    }
    if (begin < end) {
        work->kernels->transpose(input + (from * width + begin - pad) * channels, channels,
                                 end - begin, channels, to + begin, work->plane, false);
    }
}

/* What lies behind the rows is read for pixels that are dropped. */
static void fill_planes(const hd_cpu_convolution_work *work, const float *input, int64_t first,
                        int64_t rows, float *planes)
{
    for (int64_t row = 0; row < rows; row++) {
        fill_row(work, input, first + row, row, planes);
    }
    const int64_t used = rows * work->plane_row;
    for (int64_t c = 0; c < work->sizes.channels; c++) {
        memset(planes + c * work->plane + used, 0, (size_t)(work->plane - used) * sizeof *planes);
    }
}

static void compute_planes(const hd_cpu_convolution_work *work, const float *bias,
                           const float *planes, int64_t pixels, float *output)
{
    const hd_convolution *sizes = &work->sizes;
    const int64_t outputs = sizes->output_channels, most = work->kernels->plane_outputs;
    const int64_t panel = 2 * work->kernels->lanes;
    const int64_t depth = sizes->kernel[0] * sizes->kernel[1] * sizes->channels;
    hd_cpu_convolution_planes block = {.rows = sizes->kernel[0],
                                       .taps = sizes->kernel[1],
                                       .channels = sizes->channels,
                                       .input_plane = work->plane,
                                       .input_row = sizes->dilation[0] * work->plane_row,
                                       .input_tap = sizes->dilation[1],
                                       .output_plane = work->plane_pixels};
    const int64_t step = block_pixels(work, &block.wide);
    const int64_t groups = (outputs + most - 1) / most, each = (outputs + groups - 1) / groups;
    for (int64_t pixel = 0, turn = 0; pixel < pixels && !hd_stop_ends_every(turn, 4);
         pixel += step, turn++) {
        block.input = planes + pixel;
        for (int64_t first = 0; first < outputs; first += block.outputs) {
            /* A block's outputs lie in one panel. */
            const int64_t column = first % panel, rest = outputs - first;
            block.outputs = rest < each ? rest : each;
            block.outputs = block.outputs < panel - column ? block.outputs : panel - column;
            const int64_t width =
                rest + column > work->kernels->lanes ? panel : work->kernels->lanes;
            block.weights = work->weights + (first - column) * depth + column;
            block.weight_step = width;
            block.bias = bias == NULL ? NULL : bias + first;
            block.output = output + first * work->plane_pixels + pixel;
            work->kernels->planes(&block);
        }
    }
}

void hd_cpu_convolution_run_planes(const void *parameters, void *const *buffers, int64_t begin,
                                   int64_t end, void *scratch)
{
    const hd_cpu_convolution_work *work = parameters;
    const hd_convolution *sizes = &work->sizes;
    const int64_t height = sizes->output[0], width = sizes->output[1];
    const int64_t outputs = sizes->output_channels;
    const int64_t input_size = sizes->input[0] * sizes->input[1] * sizes->channels;
    const int64_t chunks = (height + work->chunk_rows - 1) / work->chunk_rows;
    const float *bias = work->has_bias ? buffers[2] : NULL;
    const float *residual = work->residual == 0 ? NULL : buffers[work->residual];
    float *planes = scratch, *results = planes + work->input_floats;
    for (int64_t tile = begin; tile < end; tile++) {
        const int64_t picture = tile / chunks, first = tile % chunks * work->chunk_rows;
        const int64_t rows = first + work->chunk_rows < height ? work->chunk_rows : height - first;
        fill_planes(work, (const float *)buffers[0] + picture * input_size,
                    first - sizes->pad_begin[0], rows + (sizes->kernel[0] - 1) * sizes->dilation[0],
                    planes);
        compute_planes(work, bias, planes, (rows - 1) * work->plane_row + width, results);
        for (int64_t row = 0; row < rows; row++) {
            const int64_t at = ((picture * height + first + row) * width) * outputs;
            float *output = (float *)buffers[work->output] + at;
            work->kernels->transpose(results + row * work->plane_row, work->plane_pixels, outputs,
                                     width, output, outputs, false);
            for (int64_t i = 0; residual != NULL && i < width * outputs; i++) {
                output[i] += residual[at + i];
            }
            hd_cpu_activation_apply(&work->activation, output, (size_t)(width * outputs));
        }
    }
}

/* The sizes of chunks and planes; no rows where a plane's row leaves no room for one. */
static void measure(hd_cpu_convolution_work *work)
{
    const hd_convolution *sizes = &work->sizes;
    const int64_t height = sizes->output[0];
    bool wide;
    const int64_t block = block_pixels(work, &wide);
    const int64_t halo = (sizes->kernel[0] - 1) * sizes->dilation[0];
    work->plane_row = sizes->output[1] + (sizes->kernel[1] - 1) * sizes->dilation[1];
    const int64_t row_bytes = work->plane_row * sizes->channels * (int64_t)sizeof(float);
    /* Few rows, for many threads, but not so few that neighbours turn most of them twice. */
    int64_t rows = 2 * halo > height / 16 ? 2 * halo : height / 16;
    rows = rows < PLANES_BYTES / row_bytes - halo ? rows : PLANES_BYTES / row_bytes - halo;
    rows = rows < height ? rows : height;
    work->chunk_rows = rows;
    work->plane_pixels =
        hd_cpu_convolution_padded((rows - 1) * work->plane_row + sizes->output[1], block);
    /* An odd number of cache lines, so that the planes do not meet in one set of a cache. */
    work->plane = hd_cpu_convolution_padded((rows + halo) * work->plane_row + block, 32) + 16;
}

bool hd_cpu_convolution_fits_planes(const hd_cpu_convolution_work *work)
{
    const hd_convolution *sizes = &work->sizes;
    hd_cpu_convolution_work cut = *work;
    if (!sizes->channels_last || work->weights == NULL || sizes->stride[0] != 1 ||
        sizes->stride[1] != 1) {
        return false;
    }
    measure(&cut);
    if (cut.chunk_rows < 1) {
        return false;
    }
    /* Multiply-adds of vectors per output row, of products and of planes. */
    const int64_t lanes = work->kernels->lanes, outputs = sizes->output_channels;
    const int64_t depth = sizes->kernel[0] * sizes->kernel[1] * sizes->channels;
    const int64_t input_rows = cut.chunk_rows + (sizes->kernel[0] - 1) * sizes->dilation[0];
    const int64_t turned =
        input_rows * cut.plane_row * sizes->channels / cut.chunk_rows + sizes->output[1] * outputs;
    const int64_t products =
        depth * sizes->output[1] * hd_cpu_convolution_padded(outputs, lanes) / lanes;
    const int64_t all =
        depth * cut.plane_pixels / cut.chunk_rows * outputs / lanes + turned / TURN_COST;
    return all + all / 8 < products;
}

void hd_cpu_convolution_cut_planes(hd_cpu_convolution_work *work, hd_kernel *kernel)
{
    const hd_convolution *sizes = &work->sizes;
    measure(work);
    work->input_floats = (size_t)(work->plane * sizes->channels);
    work->output_floats = (size_t)(work->plane_pixels * sizes->output_channels);
    kernel->tile_count =
        sizes->batch * ((sizes->output[0] + work->chunk_rows - 1) / work->chunk_rows);
}
