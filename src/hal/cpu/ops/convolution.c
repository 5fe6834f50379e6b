/* Convolution: the family's kernels on the CPU: choice of the way and of the tiles. */
#include <string.h>

#include "base/memory.h"
#include "base/stop.h"
#include "hal/cpu/ops/convolution_work.h"

/* Weights of the panels of one tile; they should stay in the second-level cache over its pixels. */
#define TILE_WEIGHT_BYTES (256 << 10)
/* Input and output rows that a planar tile keeps channels-last in scratch. */
#define CHUNK_BYTES (512 << 10)
/* Input rows that a depthwise convolution goes over for each vector of channels. */
#define DEPTHWISE_BYTES (256 << 10)
/* An output of this size leaves no cache warm for who reads it, so it need not pass through them. */
#define STREAMED_BYTES (16 << 20)
/* Multiply-adds of a product that take about as long as one of hd_cpu_tile_count's steps. */
#define STEP_PRODUCTS 8
/* Tiles that keep many threads busy. */
#define MANY_TILES 16

static bool is_aligned(const void *memory)
{
    return (uintptr_t)memory % HD_CACHE_LINE == 0;
}

static int64_t blocks_of_row(const hd_cpu_convolution_work *work)
{
    return work->phases * work->phase_blocks;
}

/* Depthwise: some rows, whose input fits the second-level cache, for two vectors of channels after
 * the other, so that input rows which several output rows share stay in the first-level cache. */
static void compute_depthwise(const hd_cpu_convolution_work *work,
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

/* The parts of scratch, in this order; weights that are no constant are packed into the first. */
static void begin_run(const hd_cpu_convolution_work *work, void *const *buffers, void *scratch,
                      hd_cpu_convolution_image *image, float **input, float **output)
{
    float *weights = scratch;
    *input = weights + work->weight_floats;
    *output = *input + work->input_floats;
    *image = (hd_cpu_convolution_image){.weights = work->weights,
                                        .bias = work->has_bias ? buffers[2] : NULL,
                                        .edge = *output + work->output_floats};
    float *bias = image->edge + work->edge_floats;
    image->folded = bias + work->bias_floats;
    image->winograd = image->folded + work->folded_floats;
    if (work->bias_floats != 0) {
        const int64_t taps = work->fold[0] * work->fold[1];
        const int64_t channels = work->sizes.output_channels / taps;
        for (int64_t tap = 0; tap < taps; tap++) {
            memcpy(bias + tap * channels, image->bias, (size_t)channels * sizeof *bias);
        }
        image->bias = bias;
    }
    if (work->weights == NULL) {
        hd_cpu_convolution_pack(work->packing, &work->weight_shape, work->sizes.group, buffers[1],
                                weights);
        image->weights = weights;
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

/* Channels-last: a tile is a range of register blocks, or of 2x2 tiles (Winograd), times some panels. */
static void run_channels_last(const void *parameters, void *const *buffers, int64_t begin,
                              int64_t end, void *scratch)
{
    const hd_cpu_convolution_work *work = parameters;
    const hd_convolution *sizes = &work->sizes;
    hd_cpu_convolution_image image;
    float *input_rows, *output_rows;
    begin_run(work, buffers, scratch, &image, &input_rows, &output_rows);
    const bool winograd = work->packing == HD_PACKING_CONVOLUTION_WINOGRAD;
    image.streams = work->large && work->residual == 0 && is_aligned(buffers[work->output]) &&
                    sizes->output_channels / sizes->group % work->kernels->lanes == 0 &&
                    work->packing != HD_PACKING_CONVOLUTION_FOLDED;
    const int64_t row_blocks = blocks_of_row(work);
    const int64_t each =
        winograd ? hd_cpu_convolution_winograd_count(sizes) : sizes->output[0] * row_blocks;
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
            if (winograd) {
                hd_cpu_convolution_winograd_tiles(work, &image, first, first + count, first_panel,
                                                  last_panel);
                continue;
            }
            for (int64_t end_item = first + count, some; first < end_item; first += some) {
                const int64_t block = first % row_blocks;
                some =
                    row_blocks - block < end_item - first ? row_blocks - block : end_item - first;
                some = image.fetches ? 1 : some;
                hd_cpu_convolution_product_row(work, &image, first / row_blocks, block,
                                               block + some, first_panel, last_panel);
                image.fetches = false;
            }
        }
    }
    hd_cpu_convolution_fence();
}

/* Channels-last, depthwise: a tile is a range of rows. */
static void run_depthwise(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                          void *scratch)
{
    const hd_cpu_convolution_work *work = parameters;
    const hd_convolution *sizes = &work->sizes;
    hd_cpu_convolution_image image;
    float *input_rows, *output_rows;
    begin_run(work, buffers, scratch, &image, &input_rows, &output_rows);
    const int64_t height = sizes->output[0], rows = sizes->batch * height;
    int64_t row = hd_cpu_tile_begin(rows, work->block_tiles, begin);
    const int64_t last = hd_cpu_tile_begin(rows, work->block_tiles, end);
    while (row < last) {
        const int64_t first = row % height;
        const int64_t count = select_picture(work, buffers, height, row, last, &image);
        compute_depthwise(work, &image, first, first + count);
        row += count;
    }
}

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

/* Output rows [begin, end) of an image, of all channels; `begin` is even. */
static void compute_rows(const hd_cpu_convolution_work *work, const hd_cpu_convolution_image *image,
                         int64_t begin, int64_t end)
{
    if (work->packing == HD_PACKING_DEPTHWISE) {
        compute_depthwise(work, image, begin, end);
        return;
    }
    if (work->packing == HD_PACKING_CONVOLUTION_WINOGRAD) {
        const int64_t across = hd_cpu_convolution_winograd_columns(&work->sizes);
        hd_cpu_convolution_winograd_tiles(work, image, begin / 2 * across, (end + 1) / 2 * across,
                                          0, work->panels);
        return;
    }
    for (int64_t panel = 0; panel < work->panels; panel += work->tile_panels) {
        int64_t next = panel + work->tile_panels;
        next = next < work->panels ? next : work->panels;
        for (int64_t row = begin; row < end && hd_stop_asked() == HD_OK; row++) {
            hd_cpu_convolution_product_row(work, image, row, 0, blocks_of_row(work), panel, next);
        }
    }
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

/* Planar ([N, C, H, W]): a tile is some output rows of one image. It takes the input rows that it needs
 * to channels-last in scratch, computes there, and takes the result back. */
static void run_planar(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                       void *scratch)
{
    const hd_cpu_convolution_work *work = parameters;
    const hd_convolution *sizes = &work->sizes;
    hd_cpu_convolution_image image;
    float *input_rows, *output_rows;
    begin_run(work, buffers, scratch, &image, &input_rows, &output_rows);
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
        compute_rows(work, &image, first, last);
        float *output = (float *)buffers[work->output] + picture * output_channels * output_plane +
                        first * work->fold[0] * width;
        turn_back(work, output_rows, output_channels, (last - first) * work->fold[0] * width,
                  output, output_plane, streams && is_aligned(output));
    }
    hd_cpu_convolution_fence();
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
    const bool depthwise = work->packing == HD_PACKING_DEPTHWISE;
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
    work->panels = depthwise ? 0 : work->group_panels * sizes->group;
    int64_t bytes = sizes->kernel[0] * sizes->kernel[1] * (sizes->channels / sizes->group) * panel *
                    (int64_t)sizeof(float);
    work->tile_panels = TILE_WEIGHT_BYTES / bytes;
    work->tile_panels = work->tile_panels > work->panels ? work->panels : work->tile_panels;
    work->tile_panels = work->tile_panels < 1 ? 1 : work->tile_panels;
    if (!depthwise) {
        int64_t longest = work->block_pixels + (work->longer_blocks > 0);
        int64_t columns = (sizes->kernel[1] - 1) * sizes->dilation[1] +
                          (longest - 1) * (sizes->transposed ? 1 : sizes->stride[1]) + 1;
        work->edge_floats =
            (size_t)hd_cpu_convolution_padded(sizes->kernel[0] * columns * sizes->channels, 16);
    }
    if (work->packing == HD_PACKING_CONVOLUTION_WINOGRAD) {
        work->edge_floats = 0;
        hd_cpu_convolution_winograd_cut(work);
    }
    if (work->packing == HD_PACKING_CONVOLUTION_FOLDED) {
        work->edge_floats = 0;
        work->bias_floats =
            work->has_bias ? (size_t)hd_cpu_convolution_padded(sizes->output_channels, 16) : 0;
        work->folded_floats = (size_t)(most * sizes->output_channels);
    }
}

/* Blocks of tiles as large as they should be where that gives work to many threads, else smaller ones, and few
 * of them times sets of panels, each of which transforms the inputs again. */
static void cut_winograd(hd_cpu_convolution_work *work, hd_kernel *kernel)
{
    const hd_convolution *sizes = &work->sizes;
    const int64_t items = sizes->batch * hd_cpu_convolution_winograd_count(sizes);
    int64_t blocks = items / work->winograd_tiles;
    if (blocks < MANY_TILES) {
        blocks = items / work->kernels->pixels;
        blocks = blocks > MANY_TILES ? MANY_TILES : blocks < 1 ? 1 : blocks;
    }
    const int64_t sets = MANY_TILES / 2 / blocks;
    work->block_tiles = blocks;
    work->tile_panels = sets <= 1 ? work->panels : (work->panels + sets - 1) / sets;
    kernel->run = run_channels_last;
    kernel->tile_count = blocks * ((work->panels + work->tile_panels - 1) / work->tile_panels);
}

static void cut_tiles(hd_cpu_convolution_work *work, hd_kernel *kernel)
{
    const hd_convolution *sizes = &work->sizes;
    const int64_t height = sizes->output[0], width = sizes->output[1];
    const bool depthwise = work->packing == HD_PACKING_DEPTHWISE;
    const int64_t depth =
        sizes->kernel[0] * sizes->kernel[1] * (depthwise ? 1 : sizes->channels / sizes->group);
    if (sizes->channels_last && depthwise) {
        kernel->run = run_depthwise;
        int64_t row_bytes =
            sizes->input[1] * sizes->channels * sizes->stride[0] * (int64_t)sizeof(float);
        /* An input without columns still gives outputs, of its padding. */
        int64_t chunk = row_bytes == 0 ? 1 : DEPTHWISE_BYTES / row_bytes;
        work->chunk_rows = chunk < 1 ? 1 : chunk;
        int64_t rows = sizes->batch * height;
        work->block_tiles = hd_cpu_tile_count(
            rows, hd_multiply_bounded(depth, width * sizes->channels) / STEP_PRODUCTS);
        kernel->tile_count = work->block_tiles;
    } else if (sizes->channels_last && work->packing == HD_PACKING_CONVOLUTION_WINOGRAD) {
        cut_winograd(work, kernel);
    } else if (hd_cpu_convolution_cut_planes(work, kernel)) {
        work->edge_floats = 0;
    } else if (sizes->channels_last) {
        kernel->run = run_channels_last;
        int64_t sets = (work->panels + work->tile_panels - 1) / work->tile_panels;
        int64_t items = sizes->batch * height * blocks_of_row(work);
        int64_t pixels = sizes->batch * height * width;
        int64_t outputs = (sizes->output_channels + sets - 1) / sets;
        work->block_tiles = hd_cpu_tile_count(items, hd_multiply_bounded(depth, outputs * pixels) /
                                                         items / STEP_PRODUCTS);
        kernel->tile_count = sets * work->block_tiles;
    } else {
        kernel->run = run_planar;
        int64_t row_bytes = (sizes->input[1] * sizes->channels * sizes->stride[0] +
                             width * sizes->output_channels) *
                            (int64_t)sizeof(float);
        int64_t rows = CHUNK_BYTES / row_bytes;
        work->chunk_rows = rows < 1 ? 1 : rows > height ? height : rows;
        if (work->packing == HD_PACKING_CONVOLUTION_WINOGRAD) {
            work->chunk_rows += work->chunk_rows % 2;
        }
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
        work->output_floats = (size_t)hd_cpu_convolution_padded(
            work->chunk_rows * width * sizes->output_channels, 16);
    }
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
    cut_blocks(work);
    cut_tiles(work, &compilation->kernel);
    return HD_OK;
}

const hd_cpu_operator hd_cpu_operators_convolution[] = {
    {HD_OP_CONV, compile_convolution},
    {HD_OP_CONV_TRANSPOSE, compile_convolution},
    {HD_OP_HEDDLE_CONV, compile_convolution},
    {HD_OP_HEDDLE_CONV_TRANSPOSE, compile_convolution},
    {0},
};
