/* Quantized matrix products: MatMulInteger and QLinearMatMul. A tile is a block of rows of one product of the batch by
 * some panels of columns. */
#include "base/stop.h"
#include "hal/cpu/ops/matrix.h"
#include "hal/cpu/ops/quantization.h"
#include "hal/cpu/ops/quantized_product.h"
#include "hal/cpu/packing.h"

typedef struct quantized_matmul {
    hd_cpu_quantized_product product;
    hd_cpu_matmul_sizes sizes;
    int64_t row_blocks;
    int64_t panels;
    int64_t panel_groups; /* tiles that share a block of rows */
    size_t right, output; /* which buffers */
} quantized_matmul;

/* Rows as they lie in the tensor where the kernel reads such, else packed ones. */
static hd_cpu_integer_left take_left(const quantized_matmul *m, void *const *buffers,
                                     const uint8_t *from, int64_t rows,
                                     hd_cpu_quantized_scratch *scratch)
{
    const hd_cpu_quantized_product *product = &m->product;
    const int64_t depth = m->sizes.depth;
    if (product->a == HD_UINT8 && !product->kernel->wide && depth % HD_INTEGER_STEPS == 0 &&
        !hd_cpu_quantized_needs_row_sums(product, buffers)) {
        for (int64_t row = 0; row < rows; row++) {
            scratch->row_sums[row] = 0;
        }
        return (hd_cpu_integer_left){from, depth, NULL};
    }
    for (int64_t row = 0; row < rows; row++) {
        scratch->row_sums[row] =
            product->kernel->pack_row(hd_cpu_quantized_row(product, scratch, row),
                                      from + row * depth, product->a == HD_INT8, depth);
    }
    return hd_cpu_quantized_packed_rows(product, scratch);
}

static void run_tile(const quantized_matmul *m, void *const *buffers, int64_t index, int64_t block,
                     int64_t group, hd_cpu_quantized_scratch *scratch)
{
    const hd_cpu_quantized_product *product = &m->product;
    const hd_cpu_matmul_sizes *sizes = &m->sizes;
    const int64_t first = block * product->block, left = sizes->rows - first;
    const int64_t rows = left < product->block ? left : product->block;
    int64_t a, b;
    hd_cpu_matmul_offsets(sizes, index, &a, &b);
    const uint8_t *from = (const uint8_t *)buffers[0] + a + first * sizes->depth;
    const hd_cpu_integer_left left_factor = take_left(m, buffers, from, rows, scratch);
    /* Where a batch of the left factor alone is more rows, each product's rows have the same zero points. */
    hd_cpu_quantized_take_a_zeros(product, buffers, first, rows, scratch);
    const int64_t last = hd_cpu_tile_begin(m->panels, m->panel_groups, group + 1);
    for (int64_t p = hd_cpu_tile_begin(m->panels, m->panel_groups, group);
         p < last && !hd_stop_ends_every(p, 4); p++) {
        const int64_t column = p * HD_INTEGER_COLUMNS;
        const hd_cpu_integer_steps steps =
            hd_cpu_integer_steps_of_matrix(sizes->depth, sizes->columns);
        const hd_cpu_integer_panel panel = hd_cpu_quantized_panel(
            product, 0, column, (const uint8_t *)buffers[m->right] + b + column, &steps, scratch);
        hd_cpu_quantized_columns columns;
        hd_cpu_quantized_take_columns(product, buffers, column, 0, &panel, &columns);
        hd_cpu_quantized_tile(product, &left_factor, 0, rows, &panel, &columns, scratch);
        hd_cpu_quantized_store(
            product, buffers, first, rows, &columns, scratch->sums, buffers[m->output],
            (index * sizes->rows + first) * sizes->columns + column, sizes->columns, 1);
    }
}

static void run_matmul(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                       void *scratch)
{
    const quantized_matmul *m = parameters;
    hd_cpu_quantized_scratch parts = hd_cpu_quantized_scratch_of(&m->product, scratch);
    const int64_t tiles = m->row_blocks * m->panel_groups;
    for (int64_t tile = begin; tile < end && m->panels > 0 && tiles > 0 && m->sizes.batch > 0;
         tile++) {
        const int64_t rest = tile % tiles;
        run_tile(m, buffers, tile / tiles, rest / m->panel_groups, rest % m->panel_groups, &parts);
    }
}

hd_status hd_cpu_compile_quantized_matmul(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    quantized_matmul *m = hd_cpu_parameters(compilation, sizeof *m);
    if (m == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    hd_quantized_view view;
    hd_quantized_view_make(operation, &view);
    hd_cpu_quantized_product *product = &m->product;
    hd_cpu_quantized_product_begin(product, operation);
    m->sizes = hd_cpu_matmul_sizes_of(&view.operation,
                                      !product->a_zero.is_each && !product->a_scale.is_each);
    m->right = (size_t)hd_quantized_roles_of(operation->id)->b;
    const hd_packed *packed = operation->inputs[m->right].packed;
    product->packed = packed != NULL ? packed->memory : NULL;
    product->columns = m->sizes.columns;
    product->terms = m->sizes.depth;
    product->depth = m->sizes.depth;
    if (!hd_cpu_quantized_product_finish(product, m->sizes.rows,
                                         &compilation->kernel.scratch_size)) {
        return hd_cpu_out_of_memory(compilation);
    }
    m->output = operation->input_count;
    m->row_blocks = m->sizes.rows / product->block + (m->sizes.rows % product->block != 0);
    m->panels = hd_cpu_integer_panels(m->sizes.columns);
    m->panel_groups = hd_cpu_quantized_panel_groups(
        product, m->panels, hd_multiply_bounded(m->row_blocks, m->sizes.batch));
    const int64_t tiles = hd_multiply_bounded(
        hd_multiply_bounded(m->row_blocks, m->panels == 0 ? 0 : m->panel_groups), m->sizes.batch);
    compilation->kernel.tile_count = tiles < 1 ? 1 : tiles;
    compilation->kernel.run = run_matmul;
    return HD_OK;
}
