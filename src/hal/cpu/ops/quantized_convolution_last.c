/* Quantized convolutions of channels that lie last ("heddle.QLinearConv"): rows of a product are gathered by runs of
 * channels. */
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/ops/quantization.h"
#include "hal/cpu/ops/quantized_convolution.h"

#define WIDTH    2     /* the innermost dimension */
#define LONG_ROW 16384 /* elements from which on each is asked whether to end */

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
    const int64_t run = hd_cpu_quantized_run(q), filling = hd_cpu_integer_filled(run) - run;
    for (int64_t z = 0; z < sizes->kernel[0]; z++) {
        for (int64_t y = 0; y < sizes->kernel[1]; y++) {
            const int64_t line = line_of(sizes, position, z, y);
            gather_line(q, line < 0 ? NULL : image + line * sizes->channels, across, row);
            write_zeros(row, filling, 0);
        }
    }
}

void hd_cpu_quantized_gather_last(const hd_cpu_quantized_convolution *q, void *const *buffers,
                                  const uint8_t *image, int64_t first, int64_t rows,
                                  hd_cpu_quantized_scratch *scratch)
{
    const hd_cpu_quantized_product *product = &q->product;
    const int32_t zero = hd_cpu_quantized_a_zero(product, buffers);
    cursor position = cursor_at(&q->sizes, first);
    const int64_t every = product->depth > LONG_ROW ? 1 : 16;
    for (int64_t r = 0; r < rows && !hd_stop_ends_every(r, every);
         r++, move_on(&q->sizes, &position)) {
        row_writer row = {.kernel = product->kernel,
                          .to = (char *)hd_cpu_quantized_row(product, scratch, r),
                          .zero = zero,
                          .is_signed = product->a == HD_INT8};
        gather_row(q, image, &position, &row);
        scratch->row_sums[r] = (int32_t)row.sum;
    }
}
