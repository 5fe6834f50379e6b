/* Quantized convolutions of channels that lie last ("heddle.QLinearConv"): rows of a product are gathered by runs of
 * channels; depthwise ones are summed vector by vector of channels. */
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/ops/quantization.h"
#include "hal/cpu/ops/quantization_rows.h"
#include "hal/cpu/ops/quantized_convolution.h"

#define WIDTH         2     /* the innermost dimension */
#define LONG_ROW      16384 /* elements from which on each is asked whether to end */
#define TABLE_OF_TAPS 65536 /* of a tile's positions, at most, where one position has fewer */

static int64_t between(int64_t x, int64_t least, int64_t most)
{
    return x < least ? least : x > most ? most : x;
}

/* Output positions in their order. */
typedef struct cursor {
    int64_t at[HD_CONVOLUTION_MAX_SPATIAL];
} cursor;

static cursor cursor_at(const hd_convolution *sizes, int64_t pixel)
{
    cursor result;
    for (int d = WIDTH; d >= 0; d--) {
        result.at[d] = pixel % sizes->output[d];
        pixel /= sizes->output[d];
    }
    return result;
}

static void move_on(const hd_convolution *sizes, cursor *position)
{
    for (int d = WIDTH; d >= 0 && ++position->at[d] == sizes->output[d]; d--) {
        position->at[d] = 0;
    }
}

static int64_t input_at(const hd_convolution *sizes, const cursor *position, int d, int64_t tap)
{
    return position->at[d] * sizes->stride[d] - sizes->pad_begin[d] + tap * sizes->dilation[d];
}

/* The input position, below 0 beyond the image, of the line of kernel positions (z, y), counted from the line's beginning. */
static int64_t line_of(const hd_convolution *sizes, const cursor *position, int64_t z, int64_t y)
{
    const int64_t plane = input_at(sizes, position, 0, z), row = input_at(sizes, position, 1, y);
    return plane < 0 || plane >= sizes->input[0] || row < 0 || row >= sizes->input[1]
               ? -1
               : (plane * sizes->input[1] + row) * sizes->input[WIDTH];
}

/* A packed row as it grows. */
typedef struct row_writer {
    const hd_cpu_integer_kernel *kernel;
    char *to;
    uint32_t sum;
    int32_t zero; /* as packed */
    bool is_signed;
} row_writer;

static void write_zeros(row_writer *row, int64_t count, int32_t zero)
{
    if (count == 0) {
        return;
    }
    if (row->kernel->wide) {
        int16_t *to = (int16_t *)(void *)row->to;
        for (int64_t i = 0; i < count; i++) {
            to[i] = (int16_t)zero;
        }
    } else {
        memset(row->to, zero, (size_t)count);
    }
    row->to += count * (row->kernel->wide ? 2 : 1);
    row->sum += (uint32_t)zero * (uint32_t)count;
}

/* Behind these the packing may write up to three zeros, over which the next ones go. */
static void write_inputs(row_writer *row, const uint8_t *from, int64_t count)
{
    if (count > 0) {
        row->sum += (uint32_t)row->kernel->pack_row(row->to, from, row->is_signed, count);
        row->to += count * (row->kernel->wide ? 2 : 1);
    }
}

/* The inputs that a line of kernel positions meets. line: where it begins in the image; NULL: beyond it. */
static void gather_line(const hd_cpu_quantized_convolution *q, const uint8_t *line, int64_t across,
                        row_writer *row)
{
    const hd_convolution *sizes = &q->sizes;
    const int64_t width = sizes->kernel[WIDTH], step = sizes->dilation[WIDTH];
    if (line == NULL) {
        write_zeros(row, width * q->channels, row->zero);
    } else if (sizes->group == 1 && step == 1) { /* a run */
        const int64_t begin = between(-across, 0, width);
        const int64_t end = between(sizes->input[WIDTH] - across, begin, width);
        write_zeros(row, begin * q->channels, row->zero);
        write_inputs(row, line + (across + begin) * q->channels, (end - begin) * q->channels);
        write_zeros(row, (width - end) * q->channels, row->zero);
    } else {
        for (int64_t x = 0; x < width; x++, across += step) {
            if (across < 0 || across >= sizes->input[WIDTH]) {
                write_zeros(row, q->channels, row->zero);
            } else {
                write_inputs(row, line + across * sizes->channels, q->channels);
            }
        }
    }
}

static void gather_row(const hd_cpu_quantized_convolution *q, const uint8_t *image,
                       const cursor *position, row_writer *row)
{
    const hd_convolution *sizes = &q->sizes;
    const int64_t across = input_at(sizes, position, WIDTH, 0);
    for (int64_t z = 0; z < sizes->kernel[0]; z++) {
        for (int64_t y = 0; y < sizes->kernel[1]; y++) {
            const int64_t line = line_of(sizes, position, z, y);
            gather_line(q, line < 0 ? NULL : image + line * sizes->channels, across, row);
        }
    }
}

void hd_cpu_quantized_gather_last(const hd_cpu_quantized_convolution *q, const uint8_t *image,
                                  int64_t first, int64_t rows, hd_cpu_quantized_scratch *scratch)
{
    const hd_cpu_quantized_product *product = &q->product;
    const int64_t padding =
        hd_cpu_integer_quads(product->depth) * HD_INTEGER_STEPS - product->depth;
    cursor position = cursor_at(&q->sizes, first);
    const int64_t every = product->depth > LONG_ROW ? 1 : 16;
    for (int64_t r = 0; r < rows && !hd_stop_ends_every(r, every);
         r++, move_on(&q->sizes, &position)) {
        row_writer row = {.kernel = product->kernel,
                          .to = (char *)hd_cpu_quantized_row(product, scratch, r),
                          .zero = scratch->a_zeros[r],
                          .is_signed = product->a == HD_INT8};
        gather_row(q, image, &position, &row);
        write_zeros(&row, padding, 0);
        scratch->row_sums[r] = (int32_t)row.sum;
    }
}

/* --- depthwise */

/* A thread's scratch. */
typedef struct depthwise_scratch {
    int32_t *sums;        /* [block][32] */
    int32_t *weights;     /* [taps][32], less their zero points */
    const uint8_t **taps; /* of one position */
    int64_t *places;      /* [block][taps], in the image; -1: beyond it */
} depthwise_scratch;

static depthwise_scratch scratch_of(const hd_cpu_quantized_convolution *q, void *memory)
{
    depthwise_scratch scratch = {.sums = memory};
    scratch.weights = scratch.sums + q->product.block * HD_INTEGER_COLUMNS;
    scratch.taps = (const uint8_t **)(void *)(scratch.weights + q->taps * HD_INTEGER_COLUMNS);
    scratch.places = (int64_t *)(void *)(scratch.taps + q->taps);
    return scratch;
}

static void find_places(const hd_cpu_quantized_convolution *q, int64_t first, int64_t rows,
                        int64_t *places)
{
    const hd_convolution *sizes = &q->sizes;
    cursor position = cursor_at(sizes, first);
    const int64_t every = q->taps > LONG_ROW / HD_INTEGER_COLUMNS ? 1 : 16;
    for (int64_t r = 0; r < rows && !hd_stop_ends_every(r, every); r++, move_on(sizes, &position)) {
        for (int64_t line = 0; line < sizes->kernel[0] * sizes->kernel[1]; line++) {
            const int64_t begin =
                line_of(sizes, &position, line / sizes->kernel[1], line % sizes->kernel[1]);
            for (int64_t x = 0; x < sizes->kernel[WIDTH]; x++) {
                const int64_t across = input_at(sizes, &position, WIDTH, x);
                const bool inside = begin >= 0 && across >= 0 && across < sizes->input[WIDTH];
                *places++ = inside ? (begin + across) * sizes->channels : -1;
            }
        }
    }
}

static void take_weights(const hd_cpu_quantized_convolution *q, void *const *buffers,
                         int64_t channel, int64_t channels, int32_t *weights)
{
    const hd_cpu_quantized_product *product = &q->product;
    for (int64_t c = 0; c < channels; c++) {
        const int64_t zero = product->b_zero.buffer < 0
                                 ? 0
                                 : hd_cpu_quantized_get(product->b, buffers[product->b_zero.buffer],
                                                        product->b_zero.is_each ? channel + c : 0);
        for (int64_t tap = 0; tap < q->taps && !hd_stop_ends(tap); tap++) {
            weights[tap * HD_INTEGER_COLUMNS + c] =
                (int32_t)(hd_cpu_quantized_get(product->b, buffers[q->right],
                                               (channel + c) * q->taps + tap) -
                          zero);
        }
    }
}

/* A tile is `block` output positions of all channels. */
static void run_depthwise(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                          void *memory)
{
    const hd_cpu_quantized_convolution *q = parameters;
    const hd_cpu_quantized_product *product = &q->product;
    const hd_cpu_quantization_rows *kernels = hd_cpu_quantization_rows_get();
    const depthwise_scratch scratch = scratch_of(q, memory);
    const int64_t channels = q->sizes.channels;
    const int64_t every = q->taps > LONG_ROW / HD_INTEGER_COLUMNS ? 1 : 16;
    const int32_t zero =
        product->a_zero.buffer < 0
            ? 0
            : (int32_t)hd_cpu_quantized_get(product->a, buffers[product->a_zero.buffer], 0);
    uint8_t beyond[HD_INTEGER_COLUMNS];
    memset(beyond, hd_cpu_quantized_image_zero(q, buffers), sizeof beyond);
    for (int64_t tile = begin; tile < end && q->row_blocks > 0 && q->sizes.batch > 0; tile++) {
        const int64_t batch = tile / q->row_blocks, first = tile % q->row_blocks * product->block;
        const int64_t left = q->pixels - first;
        const int64_t rows = left < product->block ? left : product->block;
        const uint8_t *image = (const uint8_t *)buffers[0] + batch * channels * q->plane;
        find_places(q, first, rows, scratch.places);
        for (int64_t channel = 0; channel < channels; channel += HD_INTEGER_COLUMNS) {
            const int64_t rest = channels - channel;
            const int64_t here = rest < HD_INTEGER_COLUMNS ? rest : HD_INTEGER_COLUMNS;
            take_weights(q, buffers, channel, here, scratch.weights);
            for (int64_t r = 0; r < rows && !hd_stop_ends_every(r, every); r++) {
                for (int64_t tap = 0; tap < q->taps; tap++) {
                    const int64_t place = scratch.places[r * q->taps + tap];
                    scratch.taps[tap] = place < 0 ? beyond : image + place + channel;
                }
                kernels->sum_taps(scratch.taps, scratch.weights, q->taps, here,
                                  product->a == HD_INT8, zero,
                                  scratch.sums + r * HD_INTEGER_COLUMNS);
            }
            hd_cpu_quantized_store(product, buffers, 0, rows, channel, here, scratch.sums,
                                   buffers[q->output],
                                   (batch * q->pixels + first) * channels + channel, channels, 1);
        }
    }
}

hd_status hd_cpu_quantized_finish_depthwise(hd_cpu_compilation *compilation,
                                            hd_cpu_quantized_convolution *q)
{
    hd_cpu_quantized_product *product = &q->product;
    const int64_t most = TABLE_OF_TAPS / q->taps;
    product->block = most < 1 ? 1 : most < HD_QUANTIZED_ROWS ? most : HD_QUANTIZED_ROWS;
    const int64_t positions = hd_multiply_bounded(product->block, q->taps);
    const int64_t size = hd_multiply_bounded(positions + 18 * q->taps + product->block * 16, 8);
    if (size > INT64_MAX / 4) {
        return hd_cpu_out_of_memory(compilation);
    }
    q->row_blocks = q->pixels / product->block + (q->pixels % product->block != 0);
    const int64_t tiles = hd_multiply_bounded(q->row_blocks, q->sizes.batch);
    compilation->kernel.tile_count = tiles < 1 ? 1 : tiles;
    compilation->kernel.scratch_size = (size_t)size;
    compilation->kernel.run = run_depthwise;
    return HD_OK;
}
