#include "hal/cpu/ops/quantized_product.h"

#include <string.h>

#include "base/stop.h"
#include "hal/cpu/byte_transpose.h"
#include "hal/cpu/ops/quantization.h"
#include "hal/cpu/ops/quantization_rows.h"

/* Multiply-adds from which on a tile is worth cutting further. */
#define TILE_WORK (1 << 18)
/* Tiles pack their rows each for itself: no more of one block than it takes to have so many in all. */
#define TILES       16
#define BLOCK_ROWS  48
#define BLOCK_BYTES (256 * 1024) /* of packed rows, where they are long */

_Static_assert(BLOCK_ROWS <= HD_QUANTIZED_ROWS, "a tile fits what others lay out for it");

static hd_cpu_quantized_factor factor_of(const hd_operation *operation, int8_t role)
{
    if (!hd_quantized_has(operation, role)) {
        return (hd_cpu_quantized_factor){-1, false};
    }
    return (hd_cpu_quantized_factor){role, hd_shape_count(&operation->inputs[role].shape) != 1};
}

void hd_cpu_quantized_product_begin(hd_cpu_quantized_product *product,
                                    const hd_operation *operation)
{
    const hd_quantized_roles *roles = hd_quantized_roles_of(operation->id);
    *product = (hd_cpu_quantized_product){
        .kernel = hd_cpu_integer_kernel_get(),
        .a = operation->inputs[roles->a].dtype,
        .b = operation->inputs[roles->b].dtype,
        .y = operation->outputs[0].dtype,
        .a_scale = factor_of(operation, roles->a_scale),
        .a_zero = factor_of(operation, roles->a_zero),
        .b_scale = factor_of(operation, roles->b_scale),
        .b_zero = factor_of(operation, roles->b_zero),
        .y_scale = factor_of(operation, roles->y_scale),
        .y_zero = factor_of(operation, roles->y_zero),
        .bias = factor_of(operation, roles->bias),
    };
}

static size_t aligned(size_t size)
{
    return (size + 63) / 64 * 64;
}

static size_t fixed_scratch(const hd_cpu_quantized_product *product)
{
    const size_t block = (size_t)product->block;
    return aligned(block * HD_INTEGER_COLUMNS * 4) + 2 * aligned(block * 4) +
           2 * aligned(HD_INTEGER_COLUMNS * 4);
}

bool hd_cpu_quantized_product_finish(hd_cpu_quantized_product *product, int64_t rows,
                                     size_t *out_scratch_size)
{
    const int64_t panel = hd_cpu_integer_panel_bytes(product->depth);
    const int64_t width = product->kernel->wide ? 2 : 1;
    const int64_t row = hd_cpu_integer_quads(product->depth) * HD_INTEGER_STEPS * width;
    int64_t block = row > 0 ? BLOCK_BYTES / row : BLOCK_ROWS;
    block = block < BLOCK_ROWS ? block : BLOCK_ROWS;
    block -= block % product->kernel->rows;
    block = block < product->kernel->rows ? product->kernel->rows : block;
    block = block < rows ? block : rows < 1 ? 1 : rows;
    if (row > INT64_MAX / 4 / BLOCK_ROWS || panel > INT64_MAX / 4) {
        return false;
    }
    const size_t order = product->kernel->ordered
                             ? (size_t)hd_cpu_integer_order_count(product->depth) * sizeof(int32_t)
                             : 0;
    product->block = block;
    /* rows that grow run by run may write zeros of a quad beyond their end */
    product->row_bytes = aligned((size_t)row + HD_INTEGER_STEPS * sizeof(int16_t));
    *out_scratch_size = fixed_scratch(product) + (size_t)block * product->row_bytes +
                        (product->packed == NULL ? aligned((size_t)panel) + order : 0);
    return true;
}

int64_t hd_cpu_quantized_panel_groups(const hd_cpu_quantized_product *product, int64_t panels,
                                      int64_t blocks)
{
    const int64_t work = hd_multiply_bounded(
        hd_multiply_bounded(product->block, HD_INTEGER_COLUMNS), product->depth + 64);
    const int64_t each = work < TILE_WORK ? TILE_WORK / work : 1; /* panels of a tile */
    const int64_t most = blocks < TILES ? TILES / (blocks < 1 ? 1 : blocks) : 1;
    const int64_t groups = panels / each;
    return groups < 1 ? 1 : groups < most ? groups : most;
}

hd_cpu_quantized_scratch hd_cpu_quantized_scratch_of(const hd_cpu_quantized_product *product,
                                                     void *scratch)
{
    const size_t block = (size_t)product->block;
    uint8_t *at = scratch;
    hd_cpu_quantized_scratch result = {.sums = (int32_t *)(void *)at};
    at += aligned(block * HD_INTEGER_COLUMNS * 4);
    result.row_sums = (int32_t *)(void *)at;
    at += aligned(block * 4);
    result.a_zeros = (int32_t *)(void *)at;
    at += aligned(block * 4);
    result.b_zeros = (int32_t *)(void *)at;
    at += aligned(HD_INTEGER_COLUMNS * 4);
    result.column_sums = (int32_t *)(void *)at;
    at += aligned(HD_INTEGER_COLUMNS * 4);
    result.rows = at;
    at += block * product->row_bytes;
    result.panel = (int8_t *)at;
    at += aligned((size_t)hd_cpu_integer_panel_bytes(product->depth));
    result.order = product->kernel->ordered ? (int32_t *)(void *)at : NULL;
    return result;
}

/* A zero point of the left factor as a', of the right one as b'. */
static int32_t zero_of(hd_cpu_quantized_factor factor, hd_dtype dtype, void *const *buffers,
                       int64_t index, bool is_left)
{
    const int64_t zero = factor.buffer < 0 ? 0
                                           : hd_cpu_quantized_get(dtype, buffers[factor.buffer],
                                                                  factor.is_each ? index : 0);
    const bool is_signed = dtype == HD_INT8;
    return (int32_t)zero + (is_left     ? (is_signed ? HD_INTEGER_SHIFT : 0)
                            : is_signed ? 0
                                        : -HD_INTEGER_SHIFT);
}

void hd_cpu_quantized_take_a_zeros(const hd_cpu_quantized_product *product, void *const *buffers,
                                   int64_t first, int64_t rows, hd_cpu_quantized_scratch *scratch)
{
    for (int64_t row = 0; row < rows; row++) {
        scratch->a_zeros[row] = zero_of(product->a_zero, product->a, buffers, first + row, true);
    }
}

void hd_cpu_quantized_tile(const hd_cpu_quantized_product *product, void *const *buffers,
                           int64_t rows, int64_t column, int64_t first_column,
                           const hd_cpu_integer_panel *panel, hd_cpu_quantized_scratch *scratch)
{
    const hd_cpu_integer_kernel *kernel = product->kernel;
    const int64_t quads = hd_cpu_integer_quads(product->depth);
    int64_t columns = product->columns - column;
    columns = columns < HD_INTEGER_COLUMNS ? columns : HD_INTEGER_COLUMNS;
    const int32_t first_zero =
        zero_of(product->b_zero, product->b, buffers, first_column + column, false);
    for (int64_t c = 0; c < HD_INTEGER_COLUMNS; c++) {
        scratch->b_zeros[c] =
            product->b_zero.is_each && c < columns
                ? zero_of(product->b_zero, product->b, buffers, first_column + column + c, false)
                : first_zero;
    }
    if (hd_stop_asked() != HD_OK) {
        return;
    }
    for (int64_t row = 0; row < rows; row += kernel->rows) {
        const int64_t left = rows - row;
        kernel->block(hd_cpu_quantized_row(product, scratch, row),
                      left < kernel->rows ? left : kernel->rows, panel->quads, panel->order, quads,
                      (int64_t)product->row_bytes, scratch->sums + row * HD_INTEGER_COLUMNS);
        if (hd_stop_asked() != HD_OK) {
            return;
        }
    }
    kernel->correct(scratch->sums, rows, product->depth, scratch->a_zeros, scratch->row_sums,
                    scratch->b_zeros, panel->sums);
}

hd_cpu_integer_panel hd_cpu_quantized_panel(const hd_cpu_quantized_product *product, int64_t group,
                                            int64_t column, const uint8_t *b,
                                            const hd_cpu_integer_steps *steps,
                                            const hd_cpu_quantized_scratch *scratch)
{
    if (product->packed != NULL) {
        return hd_cpu_integer_panel_of(product->packed + group * product->packed_step,
                                       product->depth, product->columns,
                                       column / HD_INTEGER_COLUMNS);
    }
    const int64_t left = product->columns - column;
    hd_cpu_integer_pack_panel(scratch->panel, scratch->column_sums, scratch->order, b,
                              product->b == HD_INT8, steps, product->depth,
                              left < HD_INTEGER_COLUMNS ? left : HD_INTEGER_COLUMNS);
    return (hd_cpu_integer_panel){scratch->panel, scratch->column_sums, scratch->order};
}

static float scale_of(hd_cpu_quantized_factor factor, void *const *buffers, int64_t index)
{
    return ((const float *)buffers[factor.buffer])[factor.is_each ? index : 0];
}

static void store_sums(const int32_t *sums, int64_t rows, int64_t columns, int32_t *y,
                       int64_t row_step, int64_t column_step)
{
    for (int64_t r = 0; r < rows; r++) {
        if (column_step == 1) {
            memcpy(y + r * row_step, sums + r * HD_INTEGER_COLUMNS, (size_t)columns * sizeof *y);
            continue;
        }
        for (int64_t c = 0; c < columns; c++) {
            y[r * row_step + c * column_step] = sums[r * HD_INTEGER_COLUMNS + c];
        }
    }
}

/* A line of bytes for each row of the tile. */
typedef struct requantized {
    const hd_cpu_quantization_rows *rows;
    float low, high;
    int32_t zero;
    int32_t bias[HD_INTEGER_COLUMNS];
    float scales[HD_INTEGER_COLUMNS];
} requantized;

/* The scales of one row of the left factor; in float32, in this order, as onnxruntime does. */
static void set_scales(requantized *self, const hd_cpu_quantized_product *product,
                       void *const *buffers, int64_t row, int64_t column, int64_t columns)
{
    const float a_scale = scale_of(product->a_scale, buffers, row);
    const float y_scale = scale_of(product->y_scale, buffers, 0);
    for (int64_t c = 0; c < columns; c++) {
        self->scales[c] = a_scale * scale_of(product->b_scale, buffers, column + c) / y_scale;
    }
}

/* The sums of one column, one behind the other; its bias and scale in each place. */
static void store_column(requantized *self, const int32_t *sums, int64_t rows, uint8_t *y)
{
    int32_t line[HD_INTEGER_COLUMNS], bias[HD_INTEGER_COLUMNS];
    float scales[HD_INTEGER_COLUMNS];
    for (int64_t c = 0; c < HD_INTEGER_COLUMNS; c++) {
        bias[c] = self->bias[0];
        scales[c] = self->scales[0];
    }
    for (int64_t r = 0; r < rows; r += HD_INTEGER_COLUMNS) {
        const int64_t here = rows - r < HD_INTEGER_COLUMNS ? rows - r : HD_INTEGER_COLUMNS;
        for (int64_t i = 0; i < here; i++) {
            line[i] = sums[(r + i) * HD_INTEGER_COLUMNS];
        }
        self->rows->requantize(line, bias, scales, here, self->low, self->high, self->zero, y + r);
    }
}

void hd_cpu_quantized_store(const hd_cpu_quantized_product *product, void *const *buffers,
                            int64_t row, int64_t rows, int64_t column, int64_t columns,
                            const int32_t *sums, void *output, int64_t at, int64_t row_step,
                            int64_t column_step)
{
    if (product->y_scale.buffer < 0) {
        store_sums(sums, rows, columns, (int32_t *)output + at, row_step, column_step);
        return;
    }
    const hd_cpu_quantized_bounds bounds = hd_cpu_quantized_bounds_of(product->y);
    const int64_t zero = hd_cpu_quantized_get(product->y, buffers[product->y_zero.buffer], 0);
    requantized self = {.rows = hd_cpu_quantization_rows_get(),
                        .low = (float)(bounds.low - zero),
                        .high = (float)(bounds.high - zero),
                        .zero = (int32_t)zero};
    if (product->bias.buffer >= 0) {
        memcpy(self.bias, (const int32_t *)buffers[product->bias.buffer] + column,
               (size_t)columns * sizeof self.bias[0]);
    }
    set_scales(&self, product, buffers, row, column, columns);
    uint8_t *y = (uint8_t *)output + at;
    if (columns == 1 && row_step == 1 && !product->a_scale.is_each) {
        store_column(&self, sums, rows, y);
        return;
    }
    /* Lines of a tile that is turned around: the columns are output channels then. */
    uint8_t lines[HD_QUANTIZED_ROWS * HD_INTEGER_COLUMNS];
    for (int64_t r = 0; r < rows; r++) {
        if (product->a_scale.is_each) {
            set_scales(&self, product, buffers, row + r, column, columns);
        }
        self.rows->requantize(sums + r * HD_INTEGER_COLUMNS, self.bias, self.scales, columns,
                              self.low, self.high, self.zero,
                              column_step == 1 ? y + r * row_step : lines + r * HD_INTEGER_COLUMNS);
    }
    if (column_step != 1) {
        hd_cpu_transpose_bytes(y, column_step, lines, HD_INTEGER_COLUMNS, rows, columns);
    }
}
