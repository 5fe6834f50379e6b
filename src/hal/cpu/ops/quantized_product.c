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
        .b_zero_count = hd_quantized_has(operation, roles->b_zero)
                            ? hd_shape_count(&operation->inputs[roles->b_zero].shape)
                            : 0,
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
           aligned(HD_INTEGER_COLUMNS * 4);
}

size_t hd_cpu_quantized_scratch_size(const hd_cpu_quantized_product *product)
{
    const size_t order = product->kernel->ordered
                             ? (size_t)hd_cpu_integer_order_count(product->depth) * sizeof(int32_t)
                             : 0;
    return fixed_scratch(product) + aligned(product->left_bytes) +
           (product->packed == NULL
                ? aligned((size_t)hd_cpu_integer_panel_bytes(product->depth)) + order
                : 0);
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
    product->block = block;
    /* rows that grow run by run may write zeros of a quad beyond their end */
    product->row_bytes = aligned((size_t)row + HD_INTEGER_STEPS * sizeof(int16_t));
    product->left_bytes = (size_t)block * product->row_bytes;
    *out_scratch_size = hd_cpu_quantized_scratch_size(product);
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
    result.column_sums = (int32_t *)(void *)at;
    at += aligned(HD_INTEGER_COLUMNS * 4);
    result.rows = at;
    at += aligned(product->left_bytes);
    result.panel = (int8_t *)at;
    at += aligned((size_t)hd_cpu_integer_panel_bytes(product->depth));
    result.order = product->kernel->ordered ? (int32_t *)(void *)at : NULL;
    return result;
}

/* A zero point of the left factor as a'. */
static int32_t a_zero_of(const hd_cpu_quantized_product *product, void *const *buffers,
                         int64_t index)
{
    const int64_t zero = product->a_zero.buffer < 0
                             ? 0
                             : hd_cpu_quantized_get(product->a, buffers[product->a_zero.buffer],
                                                    product->a_zero.is_each ? index : 0);
    return (int32_t)zero + (product->a == HD_INT8 ? HD_INTEGER_SHIFT : 0);
}

int32_t hd_cpu_quantized_a_zero(const hd_cpu_quantized_product *product, void *const *buffers)
{
    return a_zero_of(product, buffers, 0);
}

void hd_cpu_quantized_take_a_zeros(const hd_cpu_quantized_product *product, void *const *buffers,
                                   int64_t first, int64_t rows, hd_cpu_quantized_scratch *scratch)
{
    for (int64_t row = 0; row < rows; row++) {
        scratch->a_zeros[row] =
            product->a_zero.is_each ? a_zero_of(product, buffers, first + row) : 0;
    }
}

bool hd_cpu_quantized_needs_row_sums(const hd_cpu_quantized_product *product, void *const *buffers)
{
    if (product->b != HD_INT8) {
        return true; /* 0 is -128 then, and few have the one zero point that is 0 */
    }
    bool is_zero = true;
    if (product->b_zero.buffer >= 0) {
        const uint8_t *zeros = buffers[product->b_zero.buffer];
        const int64_t count = product->b_zero.is_each ? product->b_zero_count : 1;
        /* all are as the first one, which is 0 */
        is_zero = zeros[0] == 0 && memcmp(zeros, zeros + 1, (size_t)count - 1) == 0;
    }
    return !is_zero;
}

static float scale_of(hd_cpu_quantized_factor factor, void *const *buffers, int64_t index)
{
    return ((const float *)buffers[factor.buffer])[factor.is_each ? index : 0];
}

/* The scales of one row of the left factor; in float32, in this order, as onnxruntime does. */
static void set_scales(const hd_cpu_quantized_product *product, void *const *buffers, int64_t row,
                       hd_cpu_quantized_columns *columns)
{
    const float a_scale = scale_of(product->a_scale, buffers, row);
    const float y_scale = scale_of(product->y_scale, buffers, 0);
    const float *b_scales = buffers[product->b_scale.buffer];
    if (product->b_scale.is_each) {
        memcpy(columns->scales, b_scales + columns->first,
               (size_t)columns->count * sizeof *b_scales);
    } else {
        for (int c = 0; c < HD_INTEGER_COLUMNS; c++) {
            columns->scales[c] = *b_scales;
        }
    }
    for (int c = 0; c < HD_INTEGER_COLUMNS; c++) { /* all, so that it is vectors' */
        columns->scales[c] = a_scale * columns->scales[c] / y_scale;
    }
}

static void take_b_zeros(const hd_cpu_quantized_product *product, void *const *buffers,
                         hd_cpu_quantized_columns *columns)
{
    const int32_t shift = product->b == HD_INT8 ? 0 : HD_INTEGER_SHIFT;
    uint8_t zeros[HD_INTEGER_COLUMNS] = {0};
    if (product->b_zero.buffer >= 0) {
        const uint8_t *from = buffers[product->b_zero.buffer];
        if (product->b_zero.is_each) {
            memcpy(zeros, from + columns->first, (size_t)columns->count);
        } else {
            memset(zeros, *from, sizeof zeros);
        }
    }
    for (int c = 0; c < HD_INTEGER_COLUMNS; c++) {
        columns->b_zeros[c] = (product->b == HD_INT8 ? (int8_t)zeros[c] : zeros[c]) - shift;
    }
}

void hd_cpu_quantized_take_columns(const hd_cpu_quantized_product *product, void *const *buffers,
                                   int64_t column, int64_t first_column,
                                   const hd_cpu_integer_panel *panel,
                                   hd_cpu_quantized_columns *columns)
{
    const int64_t first = first_column + column, rest = product->columns - column;
    const int64_t count = rest < HD_INTEGER_COLUMNS ? rest : HD_INTEGER_COLUMNS;
    *columns = (hd_cpu_quantized_columns){
        .first = first, .count = count, .corrects = product->a_zero.is_each};
    const uint32_t a_zero =
        product->a_zero.is_each ? 0 : (uint32_t)hd_cpu_quantized_a_zero(product, buffers);
    if (product->bias.buffer >= 0) {
        memcpy(columns->added, (const int32_t *)buffers[product->bias.buffer] + first,
               (size_t)count * sizeof columns->added[0]);
    }
    for (int c = 0; c < HD_INTEGER_COLUMNS; c++) {
        columns->added[c] =
            (int32_t)((uint32_t)columns->added[c] - a_zero * (uint32_t)panel->sums[c]);
    }
    if (product->b_zero.buffer >= 0 || product->b != HD_INT8) {
        take_b_zeros(product, buffers, columns);
        const uint32_t each = a_zero * (uint32_t)product->terms;
        for (int c = 0; c < HD_INTEGER_COLUMNS; c++) {
            columns->corrects = columns->corrects || columns->b_zeros[c] != 0;
            columns->added[c] =
                (int32_t)((uint32_t)columns->added[c] + each * (uint32_t)columns->b_zeros[c]);
        }
    }
    if (product->y_scale.buffer >= 0 && !product->a_scale.is_each) {
        set_scales(product, buffers, 0, columns);
    }
}

void hd_cpu_quantized_take_plain_columns(const hd_cpu_quantized_product *product,
                                         void *const *buffers, int64_t first, int64_t count,
                                         hd_cpu_quantized_columns *columns)
{
    *columns = (hd_cpu_quantized_columns){.first = first, .count = count};
    if (product->bias.buffer >= 0) {
        memcpy(columns->added, (const int32_t *)buffers[product->bias.buffer] + first,
               (size_t)count * sizeof columns->added[0]);
    }
    if (product->y_scale.buffer >= 0) {
        set_scales(product, buffers, 0, columns);
    }
}

/* Blocks of rows that differ by one at most, so that the last one is no single row. */
void hd_cpu_quantized_tile(const hd_cpu_quantized_product *product, const hd_cpu_integer_left *left,
                           int64_t first, int64_t rows, const hd_cpu_integer_panel *panel,
                           const hd_cpu_quantized_columns *columns,
                           hd_cpu_quantized_scratch *scratch)
{
    const hd_cpu_integer_kernel *kernel = product->kernel;
    const int64_t quads = hd_cpu_integer_quads(product->depth);
    const int64_t blocks = (rows + kernel->rows - 1) / kernel->rows;
    const int64_t every = quads > 512 ? 1 : 8;
    for (int64_t block = 0, row = 0; block < blocks && !hd_stop_ends_every(block, every); block++) {
        const int64_t here = (rows - row + blocks - block - 1) / (blocks - block);
        const hd_cpu_integer_left from = {(const char *)left->first + row * left->row_bytes,
                                          left->row_bytes, left->offsets};
        kernel->block(&from, here, panel->quads, panel->order, quads,
                      scratch->sums + row * HD_INTEGER_COLUMNS);
        row += here;
    }
    if (columns->corrects) {
        kernel->correct(scratch->sums, rows, product->terms, scratch->a_zeros + first,
                        scratch->row_sums + first, columns->b_zeros, panel->sums);
    }
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

static void store_sums(const int32_t *sums, int64_t rows, const hd_cpu_quantized_columns *columns,
                       int32_t *y, int64_t row_step, int64_t column_step)
{
    if (column_step == 1) {
        hd_cpu_quantization_rows_get()->add(sums, rows, columns->added, columns->count, y,
                                            row_step);
        return;
    }
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < columns->count; c++) {
            y[r * row_step + c * column_step] =
                (int32_t)((uint32_t)sums[r * HD_INTEGER_COLUMNS + c] + (uint32_t)columns->added[c]);
        }
    }
}

/* How sums become bytes. */
typedef struct requantized {
    const hd_cpu_quantization_rows *rows;
    float low, high;
    int32_t zero;
} requantized;

/* The sums of one column, one behind the other; its bias and scale in each place. */
static void store_column(const requantized *self, const int32_t *sums, int64_t rows,
                         const hd_cpu_quantized_columns *columns, uint8_t *y)
{
    int32_t line[HD_INTEGER_COLUMNS], added[HD_INTEGER_COLUMNS];
    float scales[HD_INTEGER_COLUMNS];
    for (int64_t c = 0; c < HD_INTEGER_COLUMNS; c++) {
        added[c] = columns->added[0];
        scales[c] = columns->scales[0];
    }
    for (int64_t r = 0; r < rows; r += HD_INTEGER_COLUMNS) {
        const int64_t here = rows - r < HD_INTEGER_COLUMNS ? rows - r : HD_INTEGER_COLUMNS;
        for (int64_t i = 0; i < here; i++) {
            line[i] = sums[(r + i) * HD_INTEGER_COLUMNS];
        }
        self->rows->requantize(line, 1, added, scales, here, self->low, self->high, self->zero,
                               y + r, 0);
    }
}

/* Rows, each with a scale of its own or all with one. */
static void store_rows(const requantized *self, const hd_cpu_quantized_product *product,
                       void *const *buffers, int64_t row, int64_t rows,
                       const hd_cpu_quantized_columns *columns, const int32_t *sums, uint8_t *y,
                       int64_t y_step)
{
    if (!product->a_scale.is_each) {
        self->rows->requantize(sums, rows, columns->added, columns->scales, columns->count,
                               self->low, self->high, self->zero, y, y_step);
        return;
    }
    hd_cpu_quantized_columns each = *columns;
    for (int64_t r = 0; r < rows; r++) {
        set_scales(product, buffers, row + r, &each);
        self->rows->requantize(sums + r * HD_INTEGER_COLUMNS, 1, each.added, each.scales,
                               each.count, self->low, self->high, self->zero, y + r * y_step, 0);
    }
}

void hd_cpu_quantized_store(const hd_cpu_quantized_product *product, void *const *buffers,
                            int64_t row, int64_t rows, const hd_cpu_quantized_columns *columns,
                            const int32_t *sums, void *output, int64_t at, int64_t row_step,
                            int64_t column_step)
{
    if (product->y_scale.buffer < 0) {
        store_sums(sums, rows, columns, (int32_t *)output + at, row_step, column_step);
        return;
    }
    const hd_cpu_quantized_bounds bounds = hd_cpu_quantized_bounds_of(product->y);
    const int64_t zero = hd_cpu_quantized_get(product->y, buffers[product->y_zero.buffer], 0);
    const requantized self = {.rows = hd_cpu_quantization_rows_get(),
                              .low = (float)(bounds.low - zero),
                              .high = (float)(bounds.high - zero),
                              .zero = (int32_t)zero};
    uint8_t *y = (uint8_t *)output + at;
    if (column_step == 1) {
        store_rows(&self, product, buffers, row, rows, columns, sums, y, row_step);
    } else if (columns->count == 1 && row_step == 1 && !product->a_scale.is_each) {
        store_column(&self, sums, rows, columns, y);
    } else { /* the columns are output channels */
        uint8_t lines[HD_QUANTIZED_ROWS * HD_INTEGER_COLUMNS];
        store_rows(&self, product, buffers, row, rows, columns, sums, lines, HD_INTEGER_COLUMNS);
        hd_cpu_transpose_bytes(y, column_step, lines, HD_INTEGER_COLUMNS, rows, columns->count);
    }
}
