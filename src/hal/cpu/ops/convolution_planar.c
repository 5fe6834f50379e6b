/* Convolution, planar ([N, C, H, W]): a tile is some output rows of one image. It takes the input rows that it needs to
 * channels-last in scratch, computes there, and takes the result back. */
#include "base/memory.h"
#include "base/stop.h"
#include "hal/cpu/ops/convolution_work.h"

/* Input and output rows that a tile keeps channels-last in scratch. */
#define CHUNK_BYTES (512 << 10)

/* Input rows that output rows [begin, end) read. */
static void input_range(const hd_convolution *sizes, int64_t begin, int64_t end, int64_t *first,
                        int64_t *last)
{
    const int64_t stride = sizes->stride[0], pad = sizes->pad_begin[0];
    if (sizes->transposed) {
        *first = (begin + pad - sizes->kernel[0] + 1) / stride;
        *last = (end - 1 + pad) / stride + 1;
    } else {
        *first = begin * stride - pad;
        *last = (end - 1) * stride - pad + (sizes->kernel[0] - 1) * sizes->dilation[0] + 1;
    }
    *first = *first < 0 ? 0 : *first > sizes->input[0] ? sizes->input[0] : *first;
    *last = *last > sizes->input[0] ? sizes->input[0] : *last < *first ? *first : *last;
}

/* Pixels that are turned around from one look to the next, whole cache lines of them. */
static int64_t turned_pixels(int64_t channels)
{
    int64_t pixels = hd_stop_turns(channels / 4) & -16;
    return pixels < 16 ? 16 : pixels;
}

/* Planes of pixels to channels last. */
static void turn_around(const hd_cpu_convolution_work *work, const float *planes, int64_t plane,
                        int64_t channels, int64_t pixels, float *to)
{
    for (int64_t i = 0, next; (next = hd_stop_reach_by(i, pixels, turned_pixels(channels))) > i;
         i = next) {
        work->kernels->transpose(planes + i, plane, channels, next - i, to + i * channels, channels,
                                 false);
    }
}

static void turn_back(const hd_cpu_convolution_work *work, const float *from, int64_t channels,
                      int64_t pixels, float *planes, int64_t plane, bool streams)
{
    for (int64_t i = 0, next; (next = hd_stop_reach_by(i, pixels, turned_pixels(channels))) > i;
         i = next) {
        work->kernels->transpose(from + i * channels, channels, next - i, channels, planes + i,
                                 plane, streams);
    }
}

void hd_cpu_convolution_run_planar(const void *parameters, void *const *buffers, int64_t begin,
                                   int64_t end, void *scratch)
{
    const hd_cpu_convolution_work *work = parameters;
    const hd_convolution *sizes = &work->sizes;
    hd_cpu_convolution_image image;
    float *input_rows, *output_rows;
    hd_cpu_convolution_begin(work, buffers, scratch, &image, &input_rows, &output_rows);
    const int64_t width = sizes->output[1] * work->fold[1], height = sizes->output[0];
    const int64_t output_channels = sizes->output_channels / (work->fold[0] * work->fold[1]);
    const int64_t plane = sizes->input[0] * sizes->input[1];
    const int64_t output_plane = height * work->fold[0] * width;
    const bool streams = work->large && output_plane % work->kernels->lanes == 0;
    const int64_t chunks = (height + work->chunk_rows - 1) / work->chunk_rows;
    for (int64_t tile = begin; tile < end; tile++) {
        int64_t picture = tile / chunks, first = tile % chunks * work->chunk_rows;
        int64_t last = first + work->chunk_rows < height ? first + work->chunk_rows : height;
        int64_t first_input, last_input;
        input_range(sizes, first, last, &first_input, &last_input);
        const float *input = (const float *)buffers[0] + picture * sizes->channels * plane +
                             first_input * sizes->input[1];
        turn_around(work, input, plane, sizes->channels,
                    (last_input - first_input) * sizes->input[1], input_rows);
        image.input = input_rows;
        image.input_first_row = first_input;
        image.output = output_rows;
        image.output_first_row = first * work->fold[0];
        work->rows(work, &image, first, last);
        float *output = (float *)buffers[work->output] + picture * output_channels * output_plane +
                        first * work->fold[0] * width;
        turn_back(work, output_rows, output_channels, (last - first) * work->fold[0] * width,
                  output, output_plane, streams && hd_cpu_convolution_is_aligned(output));
    }
    hd_cpu_convolution_fence();
}

void hd_cpu_convolution_cut_planar(hd_cpu_convolution_work *work, int64_t step, hd_kernel *kernel)
{
    const hd_convolution *sizes = &work->sizes;
    const int64_t height = sizes->output[0], width = sizes->output[1];
    int64_t row_bytes =
        (sizes->input[1] * sizes->channels * sizes->stride[0] + width * sizes->output_channels) *
        (int64_t)sizeof(float);
    int64_t rows = CHUNK_BYTES / row_bytes;
    rows = rows < 1 ? 1 : rows > height ? height : rows;
    work->chunk_rows = hd_cpu_convolution_padded(rows, step);
    kernel->tile_count = sizes->batch * ((height + work->chunk_rows - 1) / work->chunk_rows);
    int64_t most = 0;
    for (int64_t first = 0; first < height; first += work->chunk_rows) {
        int64_t last = first + work->chunk_rows, from, to;
        input_range(sizes, first, last < height ? last : height, &from, &to);
        most = to - from > most ? to - from : most;
    }
    /* Rounded up, so that every part of scratch begins at a cache line. */
    work->input_floats =
        (size_t)hd_cpu_convolution_padded(most * sizes->input[1] * sizes->channels, 16);
    work->output_floats =
        (size_t)hd_cpu_convolution_padded(work->chunk_rows * width * sizes->output_channels, 16);
}
