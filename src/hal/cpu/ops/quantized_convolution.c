/* Quantized convolutions: ConvInteger and QLinearConv, as products of gathered rows: a row has an output position's
 * inputs, (channel, kernel position) ascending as the weight has them, and the zero point beyond the image. Groups of
 * few outputs, as depthwise ones, are summed without a product. */
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/ops/quantization.h"
#include "hal/cpu/ops/quantized_product.h"
#include "hal/cpu/packing.h"

#define MAX_SPATIAL HD_CONVOLUTION_MAX_SPATIAL

typedef struct quantized_convolution {
    hd_cpu_quantized_product product;
    hd_convolution sizes; /* three spatial dimensions; leading ones of size 1 are added */
    int64_t plane, pixels, taps;
    int64_t channels; /* of a group */
    int64_t row_blocks, panels, panel_groups;
    size_t gathered; /* where in the scratch rows lie before they are packed */
    size_t right, output;
} quantized_convolution;

/* The input position that output position `pixel` meets at kernel position `tap`; -1: beyond the image. */
static int64_t position_of(const hd_convolution *sizes, int64_t pixel, int64_t tap)
{
    int64_t position = 0, step = 1;
    for (int d = MAX_SPATIAL - 1; d >= 0; d--) {
        const int64_t at = pixel % sizes->output[d] * sizes->stride[d] - sizes->pad_begin[d] +
                           tap % sizes->kernel[d] * sizes->dilation[d];
        if (at < 0 || at >= sizes->input[d]) {
            return -1;
        }
        position += at * step;
        step *= sizes->input[d];
        pixel /= sizes->output[d];
        tap /= sizes->kernel[d];
    }
    return position;
}

static void gather(const quantized_convolution *q, const uint8_t *image, uint8_t zero,
                   int64_t first, int64_t rows, uint8_t *to)
{
    const int64_t depth = q->product.depth;
    for (int64_t tap = 0; tap < q->taps && !hd_stop_ends_every(tap, 16); tap++) {
        for (int64_t row = 0; row < rows; row++) {
            const int64_t position = position_of(&q->sizes, first + row, tap);
            uint8_t *at = to + row * depth + tap;
            for (int64_t c = 0; c < q->channels; c++) {
                at[c * q->taps] = position < 0 ? zero : image[c * q->plane + position];
            }
        }
    }
}

static uint8_t image_zero(const quantized_convolution *q, void *const *buffers)
{
    const hd_cpu_quantized_factor *zero = &q->product.a_zero;
    return zero->buffer < 0 ? 0 : *(const uint8_t *)buffers[zero->buffer];
}

static void run_tile(const quantized_convolution *q, void *const *buffers, int64_t plane,
                     int64_t block, int64_t panel_group, void *memory,
                     hd_cpu_quantized_scratch *scratch)
{
    const hd_cpu_quantized_product *product = &q->product;
    const int64_t group = plane % q->sizes.group, batch = plane / q->sizes.group;
    const int64_t first = block * product->block, left = q->pixels - first;
    const int64_t rows = left < product->block ? left : product->block;
    uint8_t *gathered = (uint8_t *)memory + q->gathered;
    gather(q, (const uint8_t *)buffers[0] + plane * q->channels * q->plane, image_zero(q, buffers),
           first, rows, gathered);
    for (int64_t row = 0; row < rows; row++) {
        scratch->row_sums[row] = product->kernel->pack_row(
            hd_cpu_quantized_row(product, scratch, row), gathered + row * product->depth,
            product->a == HD_INT8, product->depth);
    }
    hd_cpu_quantized_take_a_zeros(product, buffers, 0, rows, scratch);
    const int64_t last = hd_cpu_tile_begin(q->panels, q->panel_groups, panel_group + 1);
    for (int64_t p = hd_cpu_tile_begin(q->panels, q->panel_groups, panel_group);
         p < last && !hd_stop_ends_every(p, 4); p++) {
        const int64_t column = p * HD_INTEGER_COLUMNS, rest = product->columns - column;
        const int64_t columns = rest < HD_INTEGER_COLUMNS ? rest : HD_INTEGER_COLUMNS;
        const int64_t channel = group * product->columns + column;
        const uint8_t *panel = scratch->panel;
        const int32_t *sums = scratch->column_sums;
        if (product->packed != NULL) {
            const uint8_t *packed = product->packed + group * product->packed_step;
            panel = packed + hd_cpu_integer_panels_begin(product->columns) +
                    p * hd_cpu_integer_panel_bytes(product->depth);
            sums = (const int32_t *)(const void *)packed + column;
        } else {
            hd_cpu_integer_pack_panel(scratch->panel, scratch->column_sums,
                                      (const uint8_t *)buffers[q->right] + channel * product->depth,
                                      product->b == HD_INT8, 1, product->depth, product->depth,
                                      columns);
        }
        hd_cpu_quantized_tile(product, buffers, rows, column, group * product->columns, panel, sums,
                              scratch);
        hd_cpu_quantized_store(
            product, buffers, 0, rows, channel, columns, scratch->sums, buffers[q->output],
            (batch * q->sizes.output_channels + channel) * q->pixels + first, 1, q->pixels);
    }
}

static void run_products(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                         void *memory)
{
    const quantized_convolution *q = parameters;
    hd_cpu_quantized_scratch scratch = hd_cpu_quantized_scratch_of(&q->product, memory);
    const int64_t tiles = q->row_blocks * q->panel_groups;
    for (int64_t tile = begin; tile < end && tiles > 0 && q->panels > 0 && q->sizes.batch > 0;
         tile++) {
        const int64_t rest = tile % tiles;
        run_tile(q, buffers, tile / tiles, rest / q->panel_groups, rest % q->panel_groups, memory,
                 &scratch);
    }
}

/* A tile is `block` output positions of one output channel. */
static void run_narrow(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                       void *memory)
{
    const quantized_convolution *q = parameters;
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
        const char *weight = (const char *)buffers[q->right] + channel * product->depth;
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
        for (int64_t tap = 0; tap < q->taps && !hd_stop_ends_every(tap, 16); tap++) {
            for (int64_t row = 0; row < rows; row++) {
                const int64_t position = position_of(&q->sizes, first + row, tap);
                uint32_t sum = 0;
                for (int64_t c = 0; c < q->channels && position >= 0; c++) {
                    const int32_t x =
                        (int32_t)hd_cpu_quantized_get(product->a, image, c * q->plane + position);
                    const int32_t w =
                        (int32_t)hd_cpu_quantized_get(product->b, weight, c * q->taps + tap);
                    sum += (uint32_t)((x - a_zero) * (w - b_zero));
                }
                sums[row * HD_INTEGER_COLUMNS] =
                    (int32_t)((uint32_t)sums[row * HD_INTEGER_COLUMNS] + sum);
            }
        }
        hd_cpu_quantized_store(product, buffers, 0, rows, channel, 1, sums, buffers[q->output],
                               (batch * outputs + channel) * q->pixels + first, 1, q->pixels);
    }
}

static hd_status finish_narrow(hd_cpu_compilation *compilation, quantized_convolution *q)
{
    q->product.block = 64;
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
    quantized_convolution *q = hd_cpu_parameters(compilation, sizeof *q);
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
    product->depth = q->channels * q->taps;
    const hd_packed *packed = operation->inputs[q->right].packed;
    if (packed == NULL && hd_cpu_quantized_is_narrow(product->columns)) {
        return finish_narrow(compilation, q);
    }
    product->packed = packed != NULL ? packed->memory : NULL;
    size_t scratch;
    if (!hd_cpu_integer_packed_size(product->depth, product->columns, &product->packed_step) ||
        !hd_cpu_quantized_product_finish(product, q->pixels, &scratch)) {
        return hd_cpu_out_of_memory(compilation);
    }
    q->gathered = scratch;
    compilation->kernel.scratch_size = scratch + (size_t)(product->block * product->depth);
    q->row_blocks = q->pixels / product->block + (q->pixels % product->block != 0);
    q->panels = hd_cpu_integer_panels(product->columns);
    const int64_t planes = q->sizes.batch * q->sizes.group;
    q->panel_groups = hd_cpu_quantized_panel_groups(product, q->panels,
                                                    hd_multiply_bounded(planes, q->row_blocks));
    const int64_t tiles =
        hd_multiply_bounded(hd_multiply_bounded(q->row_blocks, q->panel_groups), planes);
    compilation->kernel.tile_count = tiles < 1 || q->panels == 0 ? 1 : tiles;
    compilation->kernel.run = run_products;
    return HD_OK;
}
