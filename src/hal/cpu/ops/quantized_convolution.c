/* Quantized convolutions: ConvInteger and QLinearConv, as products of gathered rows. Groups of few outputs, as depthwise
 * ones, are summed without a product. */
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/byte_transpose.h"
#include "hal/cpu/ops/quantization.h"
#include "hal/cpu/ops/quantized_convolution.h"
#include "hal/cpu/packing.h"

#define MAX_SPATIAL HD_CONVOLUTION_MAX_SPATIAL

/* Output positions of a tile that lie side by side in a row of the output. */
typedef struct pixel_run {
    int64_t first, count;    /* of the tile's positions */
    int64_t at[MAX_SPATIAL]; /* the first one's */
} pixel_run;

static size_t find_runs(const hd_convolution *sizes, int64_t first, int64_t rows, pixel_run *runs)
{
    size_t count = 0;
    for (int64_t row = 0; row < rows; row += runs[count++].count) {
        pixel_run *run = &runs[count];
        int64_t rest = first + row;
        for (int d = MAX_SPATIAL - 1; d >= 0; d--) {
            run->at[d] = rest % sizes->output[d];
            rest /= sizes->output[d];
        }
        const int64_t left = sizes->output[MAX_SPATIAL - 1] - run->at[MAX_SPATIAL - 1];
        run->first = row;
        run->count = left < rows - row ? left : rows - row;
    }
    return count;
}

/* What a run meets at a kernel position: of its positions those from `begin` up to `end`, at input positions from `from` on,
 * `step` apart; the others lie beyond the image. */
typedef struct input_run {
    int64_t begin, end, from, step;
} input_run;

static input_run meet(const hd_convolution *sizes, const pixel_run *run, int64_t tap)
{
    int64_t position = 0, step = 1, across = 0;
    for (int d = MAX_SPATIAL - 1; d >= 0; d--) {
        const int64_t at = run->at[d] * sizes->stride[d] - sizes->pad_begin[d] +
                           tap % sizes->kernel[d] * sizes->dilation[d];
        tap /= sizes->kernel[d];
        if (d == MAX_SPATIAL - 1) {
            across = at;
        } else if (at < 0 || at >= sizes->input[d]) {
            return (input_run){0, 0, 0, 1};
        }
        position += at * step;
        step *= sizes->input[d];
    }
    const int64_t stride = sizes->stride[MAX_SPATIAL - 1], width = sizes->input[MAX_SPATIAL - 1];
    const int64_t begin = across < 0 ? (-across + stride - 1) / stride : 0;
    const int64_t end = across < width ? (width - 1 - across) / stride + 1 : 0;
    input_run met = {begin < run->count ? begin : run->count, end < run->count ? end : run->count,
                     position, stride};
    met.end = met.end < met.begin ? met.begin : met.end;
    met.from += met.begin * stride;
    return met;
}

/* Lines of a tile's positions, one for each channel and kernel position; turned around they are its rows. What fills a line of
 * the kernel up is 0 when it is packed. */
static void gather_lines(const hd_cpu_quantized_convolution *q, const uint8_t *image, uint8_t zero,
                         int64_t first, int64_t rows, uint8_t *lines)
{
    pixel_run runs[HD_QUANTIZED_ROWS];
    const size_t count = find_runs(&q->sizes, first, rows, runs);
    const int64_t width = q->sizes.kernel[MAX_SPATIAL - 1], run = hd_cpu_quantized_run(q);
    const int64_t filled = hd_cpu_integer_filled(run);
    if (filled > run) {
        memset(lines, q->product.a == HD_INT8 ? HD_INTEGER_SHIFT : 0,
               (size_t)(q->product.depth * q->product.block));
    }
    for (int64_t tap = 0; tap < q->taps && !hd_stop_ends_every(tap, 16); tap++) {
        for (size_t i = 0; i < count; i++) {
            const pixel_run *pixels = &runs[i];
            const input_run met = meet(&q->sizes, pixels, tap);
            for (int64_t c = 0; c < q->channels; c++) {
                const int64_t at = tap / width * filled + tap % width * q->channels + c;
                uint8_t *to = lines + at * q->product.block + pixels->first;
                const uint8_t *from = image + c * q->plane + met.from;
                for (int64_t k = 0; k < met.begin; k++) { /* few, as a rule */
                    to[k] = zero;
                }
                if (met.step == 1) {
                    memcpy(to + met.begin, from, (size_t)(met.end - met.begin));
                } else {
                    for (int64_t k = met.begin; k < met.end; k++, from += met.step) {
                        to[k] = *from;
                    }
                }
                for (int64_t k = met.end; k < pixels->count; k++) {
                    to[k] = zero;
                }
            }
        }
    }
}

static void gather_first(const hd_cpu_quantized_convolution *q, void *const *buffers,
                         const uint8_t *image, int64_t first, int64_t rows, void *memory,
                         hd_cpu_quantized_scratch *scratch)
{
    const hd_cpu_quantized_product *product = &q->product;
    uint8_t *gathered = (uint8_t *)memory + q->gathered;
    uint8_t *lines = gathered + product->block * product->depth;
    gather_lines(q, image, hd_cpu_quantized_image_zero(q, buffers), first, rows, lines);
    hd_cpu_transpose_bytes(gathered, product->depth, lines, product->block, product->depth, rows);
    for (int64_t row = 0; row < rows; row++) {
        scratch->row_sums[row] = product->kernel->pack_row(
            hd_cpu_quantized_row(product, scratch, row), gathered + row * product->depth,
            product->a == HD_INT8, product->depth);
    }
}

void hd_cpu_quantized_run_panels(const hd_cpu_quantized_convolution *q, void *const *buffers,
                                 int64_t plane, int64_t panel_group,
                                 const hd_cpu_quantized_stretch *stretches, int64_t count,
                                 hd_cpu_quantized_scratch *scratch)
{
    const hd_cpu_quantized_product *product = &q->product;
    const int64_t group = plane % q->sizes.group, batch = plane / q->sizes.group;
    const int64_t outputs = q->sizes.output_channels;
    const bool is_last = q->sizes.channels_last;
    const int64_t last = hd_cpu_tile_begin(q->panels, q->panel_groups, panel_group + 1);
    for (int64_t p = hd_cpu_tile_begin(q->panels, q->panel_groups, panel_group);
         p < last && !hd_stop_ends_every(p, 4); p++) {
        const int64_t column = p * HD_INTEGER_COLUMNS;
        const int64_t channel = group * product->columns + column;
        const hd_cpu_integer_steps steps = hd_cpu_quantized_weight_steps(q);
        const hd_cpu_integer_panel panel = hd_cpu_quantized_panel(
            product, group, column, (const uint8_t *)buffers[q->right] + channel * product->terms,
            &steps, scratch);
        hd_cpu_quantized_columns columns;
        hd_cpu_quantized_take_columns(product, buffers, column, group * product->columns, &panel,
                                      &columns);
        for (int64_t i = 0, row = 0; i < count; row += stretches[i++].rows) {
            const int64_t first = stretches[i].first, rows = stretches[i].rows;
            hd_cpu_quantized_tile(product, &stretches[i].left, row, rows, &panel, &columns,
                                  scratch);
            hd_cpu_quantized_store(product, buffers, 0, rows, &columns, scratch->sums,
                                   buffers[q->output],
                                   is_last ? (batch * q->pixels + first) * outputs + channel
                                           : (batch * outputs + channel) * q->pixels + first,
                                   is_last ? outputs : 1, is_last ? 1 : q->pixels);
        }
    }
}

static void run_tile(const hd_cpu_quantized_convolution *q, void *const *buffers, int64_t plane,
                     int64_t block, int64_t panel_group, void *memory,
                     hd_cpu_quantized_scratch *scratch)
{
    const hd_cpu_quantized_product *product = &q->product;
    const int64_t group = plane % q->sizes.group, batch = plane / q->sizes.group;
    const int64_t first = block * product->block, left = q->pixels - first;
    const int64_t rows = left < product->block ? left : product->block;
    const uint8_t *images = buffers[0];
    hd_cpu_quantized_take_a_zeros(product, buffers, 0, rows, scratch);
    if (q->sizes.channels_last) {
        hd_cpu_quantized_gather_last(
            q, buffers, images + batch * q->sizes.channels * q->plane + group * q->channels, first,
            rows, scratch);
    } else {
        gather_first(q, buffers, images + plane * q->channels * q->plane, first, rows, memory,
                     scratch);
    }
    const hd_cpu_quantized_stretch all = {first, rows,
                                          hd_cpu_quantized_packed_rows(product, scratch)};
    hd_cpu_quantized_run_panels(q, buffers, plane, panel_group, &all, 1, scratch);
}

static void run_products(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                         void *memory)
{
    const hd_cpu_quantized_convolution *q = parameters;
    hd_cpu_quantized_scratch scratch = hd_cpu_quantized_scratch_of(&q->product, memory);
    const int64_t tiles = q->row_blocks * q->panel_groups;
    for (int64_t tile = begin; tile < end && tiles > 0 && q->panels > 0 && q->sizes.batch > 0;
         tile++) {
        const int64_t rest = tile % tiles;
        run_tile(q, buffers, tile / tiles, rest / q->panel_groups, rest % q->panel_groups, memory,
                 &scratch);
    }
}

/* Adds (x - zero) * w for inputs `step` apart to every 32nd sum. */
static void add_line(int32_t *sums, const uint8_t *x, int64_t step, int64_t count, bool is_signed,
                     int32_t zero, int32_t w)
{
    const int32_t flip = is_signed ? 128 : 0; /* (x ^ 128) - 128 is the signed number */
    for (int64_t i = 0; i < count; i++) {
        const int32_t value = ((int32_t)x[i * step] ^ flip) - flip - zero;
        sums[i * HD_INTEGER_COLUMNS] =
            (int32_t)((uint32_t)sums[i * HD_INTEGER_COLUMNS] + (uint32_t)(value * w));
    }
}

/* A tile is `block` output positions of one output channel. */
static void run_narrow(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                       void *memory)
{
    const hd_cpu_quantized_convolution *q = parameters;
    const hd_cpu_quantized_product *product = &q->product;
    const int64_t outputs = q->sizes.output_channels;
    int32_t *sums = memory;
    for (int64_t tile = begin; tile < end && q->row_blocks > 0 && outputs * q->sizes.batch > 0;
         tile++) {
        const int64_t block = tile % q->row_blocks, channel = tile / q->row_blocks % outputs;
        const int64_t batch = tile / q->row_blocks / outputs;
        const int64_t group = channel / product->columns;
        const int64_t first = block * product->block, left = q->pixels - first;
        const int64_t rows = left < product->block ? left : product->block;
        const uint8_t *image = (const uint8_t *)buffers[0] +
                               (batch * q->sizes.channels + group * q->channels) * q->plane;
        const char *weight = (const char *)buffers[q->right] + channel * product->terms;
        const int32_t b_zero =
            product->b_zero.buffer < 0
                ? 0
                : (int32_t)hd_cpu_quantized_get(product->b, buffers[product->b_zero.buffer],
                                                product->b_zero.is_each ? channel : 0);
        const int32_t a_zero =
            product->a_zero.buffer < 0
                ? 0
                : (int32_t)hd_cpu_quantized_get(product->a, buffers[product->a_zero.buffer], 0);
        memset(sums, 0, (size_t)rows * HD_INTEGER_COLUMNS * sizeof *sums);
        pixel_run runs[HD_QUANTIZED_ROWS];
        const size_t run_count = find_runs(&q->sizes, first, rows, runs);
        for (int64_t tap = 0; tap < q->taps && !hd_stop_ends_every(tap, 16); tap++) {
            for (size_t i = 0; i < run_count; i++) {
                const input_run met = meet(&q->sizes, &runs[i], tap);
                for (int64_t c = 0; c < q->channels; c++) {
                    const int32_t w =
                        (int32_t)hd_cpu_quantized_get(product->b, weight, c * q->taps + tap) -
                        b_zero;
                    add_line(sums + (runs[i].first + met.begin) * HD_INTEGER_COLUMNS,
                             image + c * q->plane + met.from, met.step, met.end - met.begin,
                             product->a == HD_INT8, a_zero, w);
                }
            }
        }
        hd_cpu_quantized_columns column;
        hd_cpu_quantized_take_plain_columns(product, buffers, channel, 1, &column);
        hd_cpu_quantized_store(product, buffers, 0, rows, &column, sums, buffers[q->output],
                               (batch * outputs + channel) * q->pixels + first, 1, q->pixels);
    }
}

static hd_status finish_narrow(hd_cpu_compilation *compilation, hd_cpu_quantized_convolution *q)
{
    q->product.block = HD_QUANTIZED_ROWS;
    q->row_blocks = q->pixels / q->product.block + (q->pixels % q->product.block != 0);
    const int64_t tiles = hd_multiply_bounded(
        hd_multiply_bounded(q->row_blocks, q->sizes.output_channels), q->sizes.batch);
    compilation->kernel.tile_count = tiles < 1 ? 1 : tiles;
    compilation->kernel.scratch_size =
        (size_t)q->product.block * HD_INTEGER_COLUMNS * sizeof(int32_t);
    compilation->kernel.run = run_narrow;
    return HD_OK;
}

hd_status hd_cpu_compile_quantized_convolution(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    hd_cpu_quantized_convolution *q = hd_cpu_parameters(compilation, sizeof *q);
    if (q == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    hd_quantized_view view;
    hd_quantized_view_make(operation, &view);
    hd_status status = hd_convolution_resolve(&view.operation, &q->sizes, compilation->error);
    if (status != HD_OK) {
        return status;
    }
    hd_convolution_make_spatial(&q->sizes);
    hd_cpu_quantized_product *product = &q->product;
    hd_cpu_quantized_product_begin(product, operation);
    q->right = (size_t)hd_quantized_roles_of(operation->id)->b;
    q->output = operation->input_count;
    q->plane = q->sizes.input[0] * q->sizes.input[1] * q->sizes.input[2];
    q->pixels = q->sizes.output[0] * q->sizes.output[1] * q->sizes.output[2];
    q->taps = q->sizes.kernel[0] * q->sizes.kernel[1] * q->sizes.kernel[2];
    q->channels = q->sizes.channels / q->sizes.group;
    product->columns = q->sizes.output_channels / q->sizes.group;
    product->terms = q->channels * q->taps;
    const int64_t run = hd_cpu_quantized_run(q);
    product->depth =
        run == 0 ? 0 : hd_multiply_bounded(product->terms / run, hd_cpu_integer_filled(run));
    const hd_packed *packed = operation->inputs[q->right].packed;
    const bool is_last = q->sizes.channels_last;
    if (is_last && packed == NULL && hd_cpu_quantized_finish_depthwise(compilation, q, &status)) {
        return status;
    }
    if (!is_last && packed == NULL && hd_cpu_quantized_is_narrow(product->columns)) {
        return finish_narrow(compilation, q);
    }
    product->packed = packed != NULL ? packed->memory : NULL;
    q->panels = hd_cpu_integer_panels(product->columns);
    size_t scratch;
    if (!hd_cpu_integer_packed_size(product->depth, product->columns, &product->packed_step)) {
        return hd_cpu_out_of_memory(compilation);
    }
    if (is_last && packed != NULL && hd_cpu_quantized_finish_lines(compilation, q, &status)) {
        return status;
    }
    if (!hd_cpu_quantized_product_finish(product, q->pixels, &scratch)) {
        return hd_cpu_out_of_memory(compilation);
    }
    q->gathered = scratch;
    compilation->kernel.scratch_size =
        scratch + (is_last ? 0 : 2 * (size_t)(product->block * product->depth));
    q->row_blocks = q->pixels / product->block + (q->pixels % product->block != 0);
    const int64_t planes = q->sizes.batch * q->sizes.group;
    q->panel_groups = hd_cpu_quantized_panel_groups(product, q->panels,
                                                    hd_multiply_bounded(planes, q->row_blocks));
    const int64_t tiles =
        hd_multiply_bounded(hd_multiply_bounded(q->row_blocks, q->panel_groups), planes);
    compilation->kernel.tile_count = tiles < 1 || q->panels == 0 ? 1 : tiles;
    compilation->kernel.run = run_products;
    return HD_OK;
}
