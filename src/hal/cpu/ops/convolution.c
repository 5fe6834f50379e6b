/* Convolution: the family's kernels on the CPU: choice of the way and of the tiles. */
#include <string.h>

#include "base/memory.h"
#include "base/stop.h"
#include "hal/cpu/ops/convolution_work.h"

/* Weights of the panels of one tile; they should stay in the second-level cache over its pixels. */
#define TILE_WEIGHT_BYTES (256 << 10)
/* Input rows that a depthwise convolution goes over for each vector of channels. */
#define DEPTHWISE_BYTES (256 << 10)
/* An output of this size leaves no cache warm for who reads it, so it need not pass through them. */
#define STREAMED_BYTES (16 << 20)
/* Multiply-adds of a product that take about as long as one of hd_cpu_tile_count's steps. */
#define STEP_PRODUCTS 8
/* Tiles that keep many threads busy. */
#define MANY_TILES 16

static int64_t blocks_of_row(const hd_cpu_convolution_work *work)
{
    return work->phases * work->phase_blocks;
}

/* Some rows, whose input fits the second-level cache, for two vectors of channels after
 * the other, so that input rows which several output rows share stay in the first-level cache. */
static void depthwise_rows(const hd_cpu_convolution_work *work,
                           const hd_cpu_convolution_image *image, int64_t begin, int64_t end)
{
    const int64_t channels = work->sizes.channels;
    const int64_t lanes = 2 * work->kernels->lanes;
    int64_t turn = 0;
    for (int64_t row = begin; row < end; row += work->chunk_rows) {
        const int64_t last = end - row < work->chunk_rows ? end : row + work->chunk_rows;
        for (int64_t channel = 0; channel < channels && !hd_stop_ends_every(turn, 16);
             channel += lanes, turn++) {
            int64_t some = channels - channel < lanes ? channels - channel : lanes;
            hd_cpu_convolution_depthwise_rows(work, image, row, last, channel, some);
        }
    }
}

/* Channels-last, `each` items a picture: points the image at the picture of `item`, and returns how many items
 * before `last` are in it. */
static int64_t select_picture(const hd_cpu_convolution_work *work, void *const *buffers,
                              int64_t each, int64_t item, int64_t last,
                              hd_cpu_convolution_image *image)
{
    const hd_convolution *sizes = &work->sizes;
    const int64_t picture = item / each, rest = each - item % each;
    const int64_t output = picture * sizes->output[0] * sizes->output[1] * sizes->output_channels;
    image->input =
        (const float *)buffers[0] + picture * sizes->input[0] * sizes->input[1] * sizes->channels;
    image->output = (float *)buffers[work->output] + output;
    image->residual = work->residual == 0 ? NULL : (const float *)buffers[work->residual] + output;
    return rest < last - item ? rest : last - item;
}

/* Items [begin, end) of a picture, panels [first_panel, last_panel). */
typedef void compute_items(const hd_cpu_convolution_work *work, hd_cpu_convolution_image *image,
                           int64_t begin, int64_t end, int64_t first_panel, int64_t last_panel);

/* Channels-last: a tile is a range of items, `each` of which make a picture, times some panels. */
static inline void run_items(const hd_cpu_convolution_work *work, void *const *buffers,
                             int64_t begin, int64_t end, void *scratch, int64_t each, bool streams,
                             compute_items *compute)
{
    const hd_convolution *sizes = &work->sizes;
    hd_cpu_convolution_image image;
    float *input_rows, *output_rows;
    hd_cpu_convolution_begin(work, buffers, scratch, &image, &input_rows, &output_rows);
    image.streams = streams && work->large && work->residual == 0 &&
                    hd_cpu_convolution_is_aligned(buffers[work->output]) &&
                    sizes->output_channels / sizes->group % work->kernels->lanes == 0;
    const int64_t items = sizes->batch * each;
    for (int64_t tile = begin; tile < end; tile++) {
        int64_t first_panel = tile / work->block_tiles * work->tile_panels;
        int64_t last_panel = first_panel + work->tile_panels;
        last_panel = last_panel < work->panels ? last_panel : work->panels;
        int64_t part = tile % work->block_tiles;
        image.fetches = true; /* the first block is the one that waits for the weights */
        int64_t item = hd_cpu_tile_begin(items, work->block_tiles, part);
        int64_t last = hd_cpu_tile_begin(items, work->block_tiles, part + 1);
        while (item < last) {
            int64_t first = item % each;
            int64_t count = select_picture(work, buffers, each, item, last, &image);
            item += count;
            compute(work, &image, first, first + count, first_panel, last_panel);
        }
    }
    hd_cpu_convolution_fence();
}

static void compute_tiles(const hd_cpu_convolution_work *work, hd_cpu_convolution_image *image,
                          int64_t begin, int64_t end, int64_t first_panel, int64_t last_panel)
{
    hd_cpu_convolution_winograd_tiles(work, image, begin, end, first_panel, last_panel);
}

static inline void compute_blocks_of(const hd_cpu_convolution_work *work,
                                     hd_cpu_convolution_image *image, int64_t begin, int64_t end,
                                     int64_t first_panel, int64_t last_panel,
                                     hd_cpu_convolution_row *compute_row)
{
    const int64_t row_blocks = blocks_of_row(work);
    for (int64_t first = begin, some; first < end; first += some) {
        const int64_t block = first % row_blocks;
        some = row_blocks - block < end - first ? row_blocks - block : end - first;
        some = image->fetches ? 1 : some;
        compute_row(work, image, first / row_blocks, block, block + some, first_panel, last_panel);
        image->fetches = false;
    }
}

static void compute_blocks(const hd_cpu_convolution_work *work, hd_cpu_convolution_image *image,
                           int64_t begin, int64_t end, int64_t first_panel, int64_t last_panel)
{
    compute_blocks_of(work, image, begin, end, first_panel, last_panel,
                      hd_cpu_convolution_product_row);
}

static void compute_folded(const hd_cpu_convolution_work *work, hd_cpu_convolution_image *image,
                           int64_t begin, int64_t end, int64_t first_panel, int64_t last_panel)
{
    compute_blocks_of(work, image, begin, end, first_panel, last_panel,
                      hd_cpu_convolution_folded_row);
}

static void run_winograd(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                         void *scratch)
{
    const hd_cpu_convolution_work *work = parameters;
    run_items(work, buffers, begin, end, scratch, hd_cpu_convolution_winograd_count(&work->sizes),
              true, compute_tiles);
}

static void run_products(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                         void *scratch)
{
    const hd_cpu_convolution_work *work = parameters;
    run_items(work, buffers, begin, end, scratch, work->sizes.output[0] * blocks_of_row(work), true,
              compute_blocks);
}

static void run_folded(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                       void *scratch)
{
    const hd_cpu_convolution_work *work = parameters;
    run_items(work, buffers, begin, end, scratch, work->sizes.output[0] * blocks_of_row(work),
              false, compute_folded);
}

/* Channels-last, depthwise: a tile is a range of rows. */
static void run_depthwise(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                          void *scratch)
{
    const hd_cpu_convolution_work *work = parameters;
    const hd_convolution *sizes = &work->sizes;
    hd_cpu_convolution_image image;
    float *input_rows, *output_rows;
    hd_cpu_convolution_begin(work, buffers, scratch, &image, &input_rows, &output_rows);
    const int64_t height = sizes->output[0], rows = sizes->batch * height;
    int64_t row = hd_cpu_tile_begin(rows, work->block_tiles, begin);
    const int64_t last = hd_cpu_tile_begin(rows, work->block_tiles, end);
    while (row < last) {
        const int64_t first = row % height;
        const int64_t count = select_picture(work, buffers, height, row, last, &image);
        depthwise_rows(work, &image, first, first + count);
        row += count;
    }
}

static void run_nothing(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                        void *scratch)
{
    (void)parameters;
    (void)buffers;
    (void)begin;
    (void)end;
    (void)scratch;
}

/* Register blocks lie along rows, so an image of one column may become one row: in memory they are the same. Depthwise
 * and planar ones stay, whose tiles are rows. */
static bool lies_down(const hd_convolution *sizes, hd_cpu_packing_kind packing)
{
    return sizes->channels_last && packing != HD_PACKING_DEPTHWISE && sizes->input[1] == 1 &&
           sizes->output[1] == 1 && sizes->kernel[1] == 1 && sizes->pad_begin[1] == 0;
}

/* One-dimensional convolutions get a height of 1. */
static void make_two_dimensional(hd_convolution *sizes, hd_cpu_packing_kind packing)
{
    if (sizes->spatial == 2 && !lies_down(sizes, packing)) {
        return;
    }
    sizes->spatial = 2;
    int64_t *const members[] = {sizes->input,  sizes->output,   sizes->kernel,
                                sizes->stride, sizes->dilation, sizes->pad_begin};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        members[i][1] = members[i][0];
        members[i][0] = members[i] == sizes->pad_begin ? 0 : 1;
    }
}

/* A 1x1 convolution that neither steps nor pads sees one long row of pixels. */
static void make_flat(hd_convolution *sizes)
{
    for (int i = 0; i < 2; i++) {
        if (sizes->kernel[i] != 1 || sizes->stride[i] != 1 || sizes->pad_begin[i] != 0 ||
            sizes->input[i] != sizes->output[i]) {
            return;
        }
    }
    int64_t pixels = sizes->batch * sizes->input[0] * sizes->input[1];
    sizes->batch = 1;
    sizes->input[0] = sizes->output[0] = 1;
    sizes->input[1] = sizes->output[1] = pixels;
}

/* A transposed convolution whose stride is its kernel's size becomes a 1x1 product. */
static void make_folded(hd_cpu_convolution_work *work)
{
    hd_convolution *sizes = &work->sizes;
    sizes->transposed = false;
    for (int i = 0; i < 2; i++) {
        work->fold[i] = sizes->kernel[i];
        sizes->output_channels *= sizes->kernel[i];
        sizes->output[i] = sizes->input[i];
        sizes->kernel[i] = sizes->stride[i] = 1;
    }
}

/* Panels and register blocks. */
static void cut_blocks(hd_cpu_convolution_work *work)
{
    const hd_convolution *sizes = &work->sizes;
    const int64_t panel = 2 * work->kernels->lanes;
    const int64_t most = work->kernels->pixels;
    work->phases = sizes->transposed ? sizes->stride[1] : 1;
    if (work->phases > sizes->output[1]) {
        work->phases = sizes->output[1]; /* a pixel each; the others would be empty */
    }
    work->phase_pixels = (sizes->output[1] + work->phases - 1) / work->phases;
    work->phase_blocks = (work->phase_pixels + most - 1) / most;
    work->group_panels = (sizes->output_channels / sizes->group + panel - 1) / panel;
    work->block_pixels = work->phase_pixels / work->phase_blocks;
    work->longer_blocks = work->phase_pixels % work->phase_blocks;
    work->panels = work->group_panels * sizes->group;
    int64_t bytes = sizes->kernel[0] * sizes->kernel[1] * (sizes->channels / sizes->group) * panel *
                    (int64_t)sizeof(float);
    work->tile_panels = TILE_WEIGHT_BYTES / bytes;
    work->tile_panels = work->tile_panels > work->panels ? work->panels : work->tile_panels;
    work->tile_panels = work->tile_panels < 1 ? 1 : work->tile_panels;
}

/* Padded input columns of a register block. */
static void cut_edge(hd_cpu_convolution_work *work)
{
    const hd_convolution *sizes = &work->sizes;
    int64_t longest = work->block_pixels + (work->longer_blocks > 0);
    int64_t columns = (sizes->kernel[1] - 1) * sizes->dilation[1] +
                      (longest - 1) * (sizes->transposed ? 1 : sizes->stride[1]) + 1;
    work->edge_floats =
        (size_t)hd_cpu_convolution_padded(sizes->kernel[0] * columns * sizes->channels, 16);
}

/* The bias once a column, and a block's results before they go to their rows. */
static void cut_fold(hd_cpu_convolution_work *work)
{
    const int64_t outputs = work->sizes.output_channels;
    work->bias_floats = work->has_bias ? (size_t)hd_cpu_convolution_padded(outputs, 16) : 0;
    work->folded_floats = (size_t)(work->kernels->pixels * outputs);
}

/* Blocks of tiles as large as they should be where that gives work to many threads, else smaller ones, and few
 * of them times sets of panels, each of which transforms the inputs again. */
static void cut_winograd(hd_cpu_convolution_work *work, hd_kernel *kernel)
{
    const hd_convolution *sizes = &work->sizes;
    hd_cpu_convolution_winograd_cut(work);
    const int64_t items = sizes->batch * hd_cpu_convolution_winograd_count(sizes);
    int64_t blocks = items / work->winograd_tiles;
    if (blocks < MANY_TILES) {
        blocks = items / work->kernels->pixels;
        blocks = blocks > MANY_TILES ? MANY_TILES : blocks < 1 ? 1 : blocks;
    }
    const int64_t sets = MANY_TILES / 2 / blocks;
    work->block_tiles = blocks;
    work->tile_panels = sets <= 1 ? work->panels : (work->panels + sets - 1) / sets;
    kernel->tile_count = blocks * ((work->panels + work->tile_panels - 1) / work->tile_panels);
}

static void cut_depthwise(hd_cpu_convolution_work *work, hd_kernel *kernel)
{
    const hd_convolution *sizes = &work->sizes;
    const int64_t rows = sizes->batch * sizes->output[0];
    int64_t row_bytes =
        sizes->input[1] * sizes->channels * sizes->stride[0] * (int64_t)sizeof(float);
    /* An input without columns still gives outputs, of its padding. */
    int64_t chunk = row_bytes == 0 ? 1 : DEPTHWISE_BYTES / row_bytes;
    work->chunk_rows = chunk < 1 ? 1 : chunk;
    work->block_tiles =
        hd_cpu_tile_count(rows, hd_multiply_bounded(sizes->kernel[0] * sizes->kernel[1],
                                                    sizes->output[1] * sizes->channels) /
                                    STEP_PRODUCTS);
    kernel->tile_count = work->block_tiles;
}

static void cut_panels(hd_cpu_convolution_work *work, hd_kernel *kernel)
{
    const hd_convolution *sizes = &work->sizes;
    const int64_t height = sizes->output[0], width = sizes->output[1];
    const int64_t depth = sizes->kernel[0] * sizes->kernel[1] * (sizes->channels / sizes->group);
    int64_t sets = (work->panels + work->tile_panels - 1) / work->tile_panels;
    int64_t items = sizes->batch * height * blocks_of_row(work);
    int64_t pixels = sizes->batch * height * width;
    int64_t outputs = (sizes->output_channels + sets - 1) / sets;
    work->block_tiles = hd_cpu_tile_count(items, hd_multiply_bounded(depth, outputs * pixels) /
                                                     items / STEP_PRODUCTS);
    kernel->tile_count = sets * work->block_tiles;
}

static void cut_products(hd_cpu_convolution_work *work, hd_kernel *kernel)
{
    cut_edge(work);
    cut_panels(work, kernel);
}

static void cut_folded(hd_cpu_convolution_work *work, hd_kernel *kernel)
{
    cut_fold(work);
    cut_panels(work, kernel);
}

/* Output rows [begin, end) of an image, of all channels. */
static inline void compute_rows_of(const hd_cpu_convolution_work *work,
                                   const hd_cpu_convolution_image *image, int64_t begin,
                                   int64_t end, hd_cpu_convolution_row *compute_row)
{
    for (int64_t panel = 0; panel < work->panels; panel += work->tile_panels) {
        int64_t next = panel + work->tile_panels;
        next = next < work->panels ? next : work->panels;
        for (int64_t row = begin; row < end && hd_stop_asked() == HD_OK; row++) {
            compute_row(work, image, row, 0, blocks_of_row(work), panel, next);
        }
    }
}

static void product_rows(const hd_cpu_convolution_work *work, const hd_cpu_convolution_image *image,
                         int64_t begin, int64_t end)
{
    compute_rows_of(work, image, begin, end, hd_cpu_convolution_product_row);
}

static void folded_rows(const hd_cpu_convolution_work *work, const hd_cpu_convolution_image *image,
                        int64_t begin, int64_t end)
{
    compute_rows_of(work, image, begin, end, hd_cpu_convolution_folded_row);
}

/* `begin` is even. */
static void winograd_rows(const hd_cpu_convolution_work *work,
                          const hd_cpu_convolution_image *image, int64_t begin, int64_t end)
{
    const int64_t across = hd_cpu_convolution_winograd_columns(&work->sizes);
    hd_cpu_convolution_winograd_tiles(work, image, begin / 2 * across, (end + 1) / 2 * across, 0,
                                      work->panels);
}

static void cut_planar_products(hd_cpu_convolution_work *work, hd_kernel *kernel)
{
    cut_edge(work);
    work->rows = product_rows;
    hd_cpu_convolution_cut_planar(work, 1, kernel);
}

static void cut_planar_folded(hd_cpu_convolution_work *work, hd_kernel *kernel)
{
    cut_fold(work);
    work->rows = folded_rows;
    hd_cpu_convolution_cut_planar(work, 1, kernel);
}

static void cut_planar_winograd(hd_cpu_convolution_work *work, hd_kernel *kernel)
{
    hd_cpu_convolution_winograd_cut(work);
    work->rows = winograd_rows;
    hd_cpu_convolution_cut_planar(work, 2, kernel);
}

static void cut_planar_depthwise(hd_cpu_convolution_work *work, hd_kernel *kernel)
{
    work->rows = depthwise_rows;
    hd_cpu_convolution_cut_planar(work, 1, kernel);
}

static bool fits_last(const hd_cpu_convolution_work *work)
{
    return work->sizes.channels_last;
}

static bool fits_all(const hd_cpu_convolution_work *work)
{
    (void)work;
    return true;
}

/* A way to compute a convolution whose weights are packed so: whether it is one, the tiles and the scratch that it is cut
 * into, and what computes a tile. The first that fits is taken. NONE stands for any packing. */
typedef struct convolution_way {
    hd_cpu_packing_kind packing;
    bool (*fits)(const hd_cpu_convolution_work *work);
    void (*cut)(hd_cpu_convolution_work *work, hd_kernel *kernel);
    hd_kernel_run *run;
} convolution_way;

static const convolution_way ways[] = {
    {HD_PACKING_DEPTHWISE, fits_last, cut_depthwise, run_depthwise},
    {HD_PACKING_DEPTHWISE, fits_all, cut_planar_depthwise, hd_cpu_convolution_run_planar},
    {HD_PACKING_CONVOLUTION_WINOGRAD, fits_last, cut_winograd, run_winograd},
    {HD_PACKING_CONVOLUTION_WINOGRAD, fits_all, cut_planar_winograd, hd_cpu_convolution_run_planar},
    {HD_PACKING_CONVOLUTION_FOLDED, fits_last, cut_folded, run_folded},
    {HD_PACKING_CONVOLUTION_FOLDED, fits_all, cut_planar_folded, hd_cpu_convolution_run_planar},
    {HD_PACKING_CONVOLUTION, hd_cpu_convolution_fits_planes, hd_cpu_convolution_cut_planes,
     hd_cpu_convolution_run_planes},
    {HD_PACKING_NONE, fits_last, cut_products, run_products},
    {HD_PACKING_NONE, fits_all, cut_planar_products, hd_cpu_convolution_run_planar},
};

static void choose_way(hd_cpu_convolution_work *work, hd_kernel *kernel)
{
    const convolution_way *way = ways;
    while ((way->packing != HD_PACKING_NONE && way->packing != work->packing) || !way->fits(work)) {
        way++; /* the last one fits all */
    }
    cut_blocks(work);
    way->cut(work, kernel);
    kernel->run = way->run;
    kernel->scratch_size =
        (work->weight_floats + work->input_floats + work->output_floats + work->edge_floats +
         work->bias_floats + work->folded_floats + work->winograd_floats) *
        sizeof(float);
}

static void read_operands(hd_cpu_convolution_work *work, const hd_operation *operation)
{
    const hd_operand *weight = &operation->inputs[1];
    work->weight_shape = weight->shape;
    work->has_bias = hd_operation_has(operation, 2);
    work->output = operation->input_count;
    if (work->sizes.channels_last) {
        work->residual = hd_operation_has(operation, 3) ? 3 : 0;
        work->activation = hd_fused_convolution_of(operation)->activation;
    }
    work->packing =
        hd_cpu_convolution_packing(&weight->shape, work->sizes.group, work->sizes.transposed);
    work->fold[0] = work->fold[1] = 1;
    if (weight->packed != NULL) {
        work->weights = weight->packed->memory;
        work->packing = hd_cpu_packed_packing(weight->packed);
    } else {
        int64_t count =
            hd_cpu_convolution_packed_count(work->packing, &weight->shape, work->sizes.group);
        work->weight_floats = (size_t)hd_cpu_convolution_padded(count, 16);
    }
}

static hd_status compile_convolution(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    hd_convolution sizes;
    hd_status status = hd_convolution_resolve(operation, &sizes, compilation->error);
    if (status != HD_OK) {
        return status;
    }
    if (sizes.planar_input || sizes.planar_output) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                                 "the cpu convolves channels last");
    }
    if (hd_shape_count(&operation->outputs[0].shape) == 0) {
        compilation->kernel.run = run_nothing;
        return HD_OK;
    }
    bool dilated = false;
    for (uint32_t i = 0; i < sizes.spatial; i++) {
        dilated = dilated || sizes.dilation[i] != 1;
    }
    if (operation->inputs[0].dtype != HD_FLOAT32 || sizes.spatial > 2 ||
        (sizes.transposed && dilated) || hd_shape_count(&operation->inputs[1].shape) == 0) {
        return hd_cpu_convolution_compile_plain(compilation, &sizes);
    }
    hd_cpu_convolution_work *work = hd_cpu_parameters(compilation, sizeof *work);
    if (work == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    work->sizes = sizes;
    work->kernels = hd_cpu_convolution_kernels_get();
    read_operands(work, operation);
    make_two_dimensional(&work->sizes, work->packing);
    if (work->packing == HD_PACKING_CONVOLUTION_FOLDED) {
        make_folded(work);
    } else if (sizes.channels_last) {
        make_flat(&work->sizes);
    }
    work->large =
        hd_shape_count(&operation->outputs[0].shape) >= (int64_t)(STREAMED_BYTES / sizeof(float));
    choose_way(work, &compilation->kernel);
    return HD_OK;
}

const hd_cpu_operator hd_cpu_operators_convolution[] = {
    {HD_OP_CONV, compile_convolution},
    {HD_OP_CONV_TRANSPOSE, compile_convolution},
    {HD_OP_HEDDLE_CONV, compile_convolution},
    {HD_OP_HEDDLE_CONV_TRANSPOSE, compile_convolution},
    {0},
};
