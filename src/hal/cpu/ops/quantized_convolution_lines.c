/* Quantized convolutions of channels that lie last, whose rows are read where the image has them, or from copies of its
 * lines with zero points at their ends: the inputs of a line of the kernel lie side by side there, and those of the next
 * output a stride further. */
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/ops/quantization.h"
#include "hal/cpu/ops/quantized_convolution.h"

#define WIDTH     2                  /* the innermost dimension */
#define TILE_ROWS 224                /* outputs of a tile, about */
#define MOST      (INT64_C(1) << 20) /* bytes of copied lines */
#define SLACK     16 /* bytes behind them, of which the last quad of a line may read some */

static int64_t between(int64_t x, int64_t least, int64_t most)
{
    return x < least ? least : x > most ? most : x;
}

/* `count` times the zero point. */
static void *put_zeros(const hd_cpu_quantized_convolution *q, void *to, int64_t count, int32_t zero)
{
    if (q->lines.size == 1) {
        memset(to, zero, (size_t)count);
        return (char *)to + count;
    }
    int16_t *at = to;
    for (int64_t i = 0; i < count; i++) {
        *at++ = (int16_t)zero;
    }
    return at;
}

/* As the kernel reads them. */
static void *put_inputs(const hd_cpu_quantized_convolution *q, void *to, const uint8_t *from,
                        int64_t count)
{
    if (q->product.a == HD_UINT8 && q->lines.size == 1) {
        memcpy(to, from, (size_t)count);
    } else {
        (void)q->lines.pack(to, from, q->product.a == HD_INT8, count);
    }
    return (char *)to + count * q->lines.size;
}

/* A line of the group's channels from input position `across` on, which may lie beyond the image, as may all of it (NULL). */
static void copy_line(const hd_cpu_quantized_convolution *q, const uint8_t *line, int64_t across,
                      int32_t zero, void *to)
{
    const hd_convolution *sizes = &q->sizes;
    const int64_t count = q->lines.pitch / q->channels;
    const int64_t begin = line == NULL ? count : between(-across, 0, count);
    const int64_t end = line == NULL ? count : between(sizes->input[WIDTH] - across, begin, count);
    to = put_zeros(q, to, begin * q->channels, zero);
    if (end > begin) {
        const uint8_t *from = line + (across + begin) * sizes->channels;
        if (sizes->group == 1) {
            to = put_inputs(q, to, from, (end - begin) * q->channels);
        } else {
            for (int64_t i = begin; i < end; i++, from += sizes->channels) {
                to = put_inputs(q, to, from, q->channels);
            }
        }
    }
    (void)put_zeros(q, to, (count - end) * q->channels, zero);
}

void hd_cpu_quantized_lines_copy(const hd_cpu_quantized_convolution *q, const uint8_t *image,
                                 int32_t zero, const int64_t output[3], void *to)
{
    const hd_convolution *sizes = &q->sizes;
    int64_t at[3];
    for (int d = 0; d < 3; d++) {
        at[d] = output[d] * sizes->stride[d] - sizes->pad_begin[d];
    }
    const int64_t every = q->lines.pitch > 16384 ? 1 : 16;
    for (int64_t k = 0; k < sizes->kernel[0]; k++) {
        const int64_t z = at[0] + k * sizes->dilation[0];
        for (int64_t i = 0; i < q->lines.height && !hd_stop_ends_every(i, every); i++) {
            const int64_t y = at[1] + i;
            const bool inside = z >= 0 && z < sizes->input[0] && y >= 0 && y < sizes->input[1];
            const uint8_t *line =
                image + (z * sizes->input[1] + y) * sizes->input[WIDTH] * sizes->channels;
            copy_line(q, inside ? line : NULL, at[WIDTH], zero, to);
            to = (char *)to + q->lines.pitch * q->lines.size;
        }
    }
}

/* The sums of rows, as products with a column of ones. */
static void sum_rows(const hd_cpu_quantized_convolution *q, const hd_cpu_quantized_stretch *stretch,
                     hd_cpu_quantized_scratch *scratch, int32_t *row_sums)
{
    static const hd_cpu_quantized_columns plain = {.count = 1};
    const hd_cpu_integer_panel panel = {q->lines.ones, NULL, q->lines.ones_order};
    hd_cpu_quantized_tile(&q->product, &stretch->left, 0, stretch->rows, &panel, &plain, scratch);
    for (int64_t r = 0; r < stretch->rows; r++) {
        row_sums[r] = scratch->sums[r * HD_INTEGER_COLUMNS];
    }
}

/* The outputs of line `line` of a tile from `begin` on. image: the group's first channel. */
static hd_cpu_quantized_stretch stretch_of(const hd_cpu_quantized_convolution *q,
                                           const hd_cpu_quantized_lines_tile *tile,
                                           const uint8_t *image, const uint8_t *copied,
                                           int64_t line, int64_t begin, int64_t rows)
{
    const hd_convolution *sizes = &q->sizes;
    const hd_cpu_quantized_lines *lines = &q->lines;
    const int64_t z = tile->output[0], y = tile->output[1] + line, x = tile->output[WIDTH] + begin;
    const int64_t step = sizes->stride[WIDTH] * q->channels * lines->size;
    const int64_t input =
        ((z * sizes->stride[0] * sizes->input[1] + y * sizes->stride[1]) * sizes->input[WIDTH] +
         x * sizes->stride[WIDTH]) *
        sizes->channels;
    copied += line * sizes->stride[1] * lines->pitch * lines->size + begin * step;
    return (hd_cpu_quantized_stretch){
        .first = (z * sizes->output[1] + y) * sizes->output[WIDTH] + x,
        .rows = rows,
        .left = {lines->is_direct ? image + input : copied, step, lines->offsets}};
}

static void run_tile(const hd_cpu_quantized_convolution *q, void *const *buffers,
                     const hd_cpu_quantized_lines_tile *tile, hd_cpu_quantized_scratch *scratch)
{
    const hd_convolution *sizes = &q->sizes;
    const hd_cpu_quantized_lines *lines = &q->lines;
    const int64_t group = tile->plane % sizes->group, batch = tile->plane / sizes->group;
    const uint8_t *image =
        (const uint8_t *)buffers[0] + batch * sizes->channels * q->plane + group * q->channels;
    const bool needs_sums =
        lines->ones != NULL && hd_cpu_quantized_needs_row_sums(&q->product, buffers);
    if (!lines->is_direct) {
        hd_cpu_quantized_lines_copy(q, image, hd_cpu_quantized_a_zero(&q->product, buffers),
                                    tile->output, scratch->rows);
    }
    hd_cpu_quantized_stretch stretches[TILE_ROWS];
    int64_t count = 0, row = 0;
    const int64_t parts = (tile->rows + HD_QUANTIZED_ROWS - 1) / HD_QUANTIZED_ROWS;
    for (int64_t i = 0; i < tile->count * parts; i++) {
        const int64_t begin = hd_cpu_tile_begin(tile->rows, parts, i % parts);
        const int64_t rows = hd_cpu_tile_begin(tile->rows, parts, i % parts + 1) - begin;
        stretches[count] = stretch_of(q, tile, image, scratch->rows, i / parts, begin, rows);
        if (needs_sums) {
            sum_rows(q, &stretches[count], scratch, scratch->row_sums + row);
        }
        row += rows;
        count++;
    }
    if (needs_sums) {
        hd_cpu_quantized_take_a_zeros(&q->product, buffers, 0, row, scratch);
    }
    hd_cpu_quantized_run_panels(q, buffers, tile->plane, tile->panel_group, stretches, count,
                                scratch);
}

hd_cpu_quantized_lines_tile hd_cpu_quantized_lines_tile_of(const hd_cpu_quantized_convolution *q,
                                                           int64_t tile)
{
    const hd_cpu_quantized_lines *lines = &q->lines;
    const int64_t panel_group = tile % q->panel_groups;
    tile /= q->panel_groups;
    const int64_t piece = tile % lines->pieces;
    tile /= lines->pieces;
    const int64_t block = tile % lines->blocks;
    tile /= lines->blocks;
    const int64_t first = hd_cpu_tile_begin(lines->outputs, lines->pieces, piece);
    const int64_t last = hd_cpu_tile_begin(lines->outputs, lines->pieces, piece + 1);
    const int64_t y = block * lines->lines, left = q->sizes.output[1] - y;
    return (hd_cpu_quantized_lines_tile){.plane = tile / lines->planes,
                                         .output = {tile % lines->planes, y, first},
                                         .rows = last - first,
                                         .count = left < lines->lines ? left : lines->lines,
                                         .panel_group = panel_group};
}

static void run_lines(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                      void *memory)
{
    const hd_cpu_quantized_convolution *q = parameters;
    hd_cpu_quantized_scratch scratch = hd_cpu_quantized_scratch_of(&q->product, memory);
    for (int64_t i = begin; i < end && q->sizes.batch > 0; i++) {
        const hd_cpu_quantized_lines_tile tile = hd_cpu_quantized_lines_tile_of(q, i);
        run_tile(q, buffers, &tile, &scratch);
    }
}

/* No input lies beyond the image, an output's are whole quads, and bytes as the kernel reads them. */
static bool can_be_direct(const hd_cpu_quantized_convolution *q)
{
    const hd_convolution *sizes = &q->sizes;
    bool inside = true;
    for (int d = 0; d < 3; d++) {
        inside = inside && sizes->pad_begin[d] == 0 &&
                 (sizes->output[d] - 1) * sizes->stride[d] < sizes->input[d];
    }
    return inside && q->taps == 1 && sizes->group == 1 && !q->product.kernel->wide &&
           q->product.a == HD_UINT8 && q->channels % HD_INTEGER_STEPS == 0;
}

static void cut(hd_cpu_quantized_convolution *q, int64_t most, int64_t lines)
{
    const hd_convolution *sizes = &q->sizes;
    hd_cpu_quantized_lines *l = &q->lines;
    l->pieces = (l->outputs + most - 1) / most;
    l->width = (l->outputs + l->pieces - 1) / l->pieces;
    l->lines = lines;
    l->pitch = hd_multiply_bounded(
        hd_multiply_bounded(l->width - 1, sizes->stride[WIDTH]) +
            hd_multiply_bounded(sizes->kernel[WIDTH] - 1, sizes->dilation[WIDTH]) + 1,
        q->channels);
    l->height = hd_multiply_bounded(lines - 1, sizes->stride[1]) +
                hd_multiply_bounded(sizes->kernel[1] - 1, sizes->dilation[1]) + 1;
}

int64_t hd_cpu_quantized_lines_bytes(const hd_cpu_quantized_convolution *q)
{
    return q->lines.is_direct
               ? 0
               : hd_multiply_bounded(
                     hd_multiply_bounded(hd_multiply_bounded(q->lines.pitch, q->lines.height),
                                         q->sizes.kernel[0]),
                     q->lines.size);
}

bool hd_cpu_quantized_lines_cut(hd_cpu_quantized_convolution *q, bool is_direct)
{
    hd_cpu_quantized_lines *lines = &q->lines;
    hd_convolution *sizes = &q->sizes;
    for (int d = 0; d < 3; d++) { /* so that no sum of two of them leaves int64 */
        if (sizes->stride[d] > INT32_MAX || sizes->dilation[d] > INT32_MAX ||
            sizes->kernel[d] > INT32_MAX || sizes->output[d] > INT32_MAX) {
            return false;
        }
    }
    const int64_t rows = q->product.kernel->rows;
    int64_t most = HD_QUANTIZED_ROWS / rows * rows;
    lines->is_direct = is_direct;
    lines->planes = sizes->output[0];
    lines->outputs = sizes->output[WIDTH];
    int64_t high = sizes->output[1];
    if (lines->is_direct && sizes->stride[0] * sizes->stride[1] * sizes->stride[WIDTH] == 1 &&
        sizes->input[1] == sizes->output[1] && sizes->input[WIDTH] == sizes->output[WIDTH]) {
        lines->planes = high = 1;
        lines->outputs = q->pixels;
        most = TILE_ROWS / rows * rows; /* which run_tile cuts */
    }
    const int64_t wanted = TILE_ROWS / (lines->outputs < most ? lines->outputs : most);
    cut(q, most, between(wanted, 1, high));
    if (hd_cpu_quantized_lines_bytes(q) > MOST) {
        cut(q, rows, 1);
    }
    lines->blocks = (high + lines->lines - 1) / lines->lines;
    return hd_cpu_quantized_lines_bytes(q) <= MOST;
}

int64_t hd_cpu_quantized_lines_tiles(const hd_cpu_quantized_convolution *q)
{
    const hd_cpu_quantized_lines *lines = &q->lines;
    const int64_t planes = hd_multiply_bounded(q->sizes.batch, q->sizes.group);
    return hd_multiply_bounded(hd_multiply_bounded(planes, lines->planes),
                               hd_multiply_bounded(lines->blocks, lines->pieces));
}

/* From an output's first input to each quad. */
static void set_offsets(const hd_cpu_quantized_convolution *q, int32_t *offsets)
{
    const hd_convolution *sizes = &q->sizes;
    const int64_t run = hd_cpu_quantized_run(q), size = q->lines.size;
    const int64_t quads = hd_cpu_integer_quads(run);
    for (int64_t z = 0; z < sizes->kernel[0]; z++) {
        for (int64_t y = 0; y < sizes->kernel[1]; y++) {
            const int64_t line = (z * q->lines.height + y * sizes->dilation[1]) * q->lines.pitch;
            for (int64_t i = 0; i < quads; i++) {
                const int64_t at = i * HD_INTEGER_STEPS, tap = at / q->channels;
                const int64_t across = tap * (sizes->dilation[WIDTH] - 1) * q->channels;
                *offsets++ = (int32_t)((line + across + at) * size);
            }
        }
    }
}

static bool make_ones(hd_cpu_compilation *compilation, hd_cpu_quantized_convolution *q)
{
    static const uint8_t one = 1;
    const int64_t depth = q->product.depth;
    int32_t sums[HD_INTEGER_COLUMNS];
    q->lines.ones = hd_region_alloc(compilation->region, (size_t)hd_cpu_integer_panel_bytes(depth));
    if (q->product.kernel->ordered) {
        q->lines.ones_order = hd_region_alloc(
            compilation->region, (size_t)hd_cpu_integer_order_count(depth) * sizeof(int32_t));
    }
    if (q->lines.ones == NULL || (q->product.kernel->ordered && q->lines.ones_order == NULL)) {
        return false;
    }
    const hd_cpu_integer_steps steps = {.run = hd_cpu_quantized_run(q), .inner = 1};
    hd_cpu_integer_pack_panel(q->lines.ones, sums, q->lines.ones_order, &one, true, &steps, depth,
                              1);
    return true;
}

bool hd_cpu_quantized_finish_lines(hd_cpu_compilation *compilation, hd_cpu_quantized_convolution *q,
                                   hd_status *out_status)
{
    hd_cpu_quantized_product *product = &q->product;
    hd_cpu_quantized_lines *lines = &q->lines;
    const hd_convolution *sizes = &q->sizes;
    lines->pack = product->kernel->pack_row;
    lines->size = product->kernel->wide ? 2 : 1;
    /* inputs of a quad lie side by side */
    const bool fits = sizes->dilation[WIDTH] == 1 || sizes->kernel[WIDTH] == 1 ||
                      q->channels % HD_INTEGER_STEPS == 0;
    if (!fits || q->pixels == 0 || product->depth == 0 || product->depth > INT32_MAX / 256 ||
        !hd_cpu_quantized_lines_cut(q, can_be_direct(q))) {
        return false;
    }
    int32_t *offsets = NULL;
    *out_status = HD_OK;
    if (!lines->is_direct) {
        const int64_t quads = hd_cpu_integer_quads(product->depth);
        offsets = hd_region_array(compilation->region, (size_t)quads, sizeof *offsets);
        if (offsets != NULL) {
            set_offsets(q, offsets);
        }
        lines->offsets = offsets;
    }
    if ((offsets == NULL && !lines->is_direct) ||
        ((product->b != HD_INT8 || product->b_zero.buffer >= 0) && !make_ones(compilation, q))) {
        *out_status = hd_cpu_out_of_memory(compilation);
        return true;
    }
    product->block = lines->width * lines->lines;
    product->left_bytes = (size_t)hd_cpu_quantized_lines_bytes(q) + SLACK;
    const int64_t blocks = hd_cpu_quantized_lines_tiles(q);
    q->panel_groups = hd_cpu_quantized_panel_groups(product, q->panels, blocks);
    const int64_t tiles = hd_multiply_bounded(blocks, q->panel_groups);
    compilation->kernel.tile_count = tiles < 1 ? 1 : tiles;
    compilation->kernel.scratch_size = hd_cpu_quantized_scratch_size(product);
    compilation->kernel.run = run_lines;
    return true;
}
