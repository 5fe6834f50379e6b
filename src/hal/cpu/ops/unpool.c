/* Unpool: MaxUnpool and Col2Im, which add small pieces to an image. */
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/ops/spatial.h"
#include "operation/column.h"
#include "operation/window.h"

typedef struct unpool_parameters {
    int64_t count;     /* of the input */
    hd_shape unpooled; /* in which the places count */
    hd_shape out;
    bool same; /* the two are equal */
    int64_t unpooled_count, out_count;
    size_t output;
} unpool_parameters;

/* Where a place of the unpooled shape lies in the output; -1: nowhere. */
static int64_t place_in_output(const unpool_parameters *p, int64_t place)
{
    if (place < 0 || place >= p->unpooled_count) {
        return -1;
    }
    if (p->same) {
        return place;
    }
    int64_t result = 0, step = 1;
    for (uint32_t i = p->out.rank; i-- > 0;) {
        int64_t at = place % p->unpooled.dims[i];
        if (at >= p->out.dims[i]) {
            return -1;
        }
        result += at * step;
        step *= p->out.dims[i];
        place /= p->unpooled.dims[i];
    }
    return result;
}

/* One tile, since a place may lie in any image. Places outside are left out. */
static void run_unpool(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                       void *scratch)
{
    (void)scratch;
    const unpool_parameters *p = parameters;
    const float *x = buffers[0];
    const int64_t *places = buffers[1];
    float *y = buffers[p->output];
    if (begin >= end) {
        return;
    }
    hd_stop_clear(y, (size_t)p->out_count * sizeof *y);
    for (int64_t i = 0; i < p->count && !hd_stop_ends(i); i++) {
        int64_t place = place_in_output(p, places[i]);
        if (place >= 0) {
            y[place] = x[i];
        }
    }
}

hd_status hd_cpu_unpool_compile(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    hd_status status = hd_cpu_spatial_float_only(compilation);
    if (status != HD_OK) {
        return status;
    }
    unpool_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    if (!hd_window_unpooled(operation, &p->unpooled)) {
        return hd_operation_fail(operation, compilation->error, HD_BAD_MODEL,
                                 "kernel_shape, strides or pads do not fit its input");
    }
    p->out = operation->outputs[0].shape;
    p->same = hd_shape_equal(&p->out, &p->unpooled);
    p->count = hd_shape_count(&operation->inputs[0].shape);
    p->unpooled_count = hd_shape_count(&p->unpooled);
    p->out_count = hd_shape_count(&p->out);
    p->output = operation->input_count;
    compilation->kernel.run = run_unpool;
    return HD_OK;
}

typedef struct col2im_parameters {
    hd_column column;
    int64_t image_size;
    int64_t planes, tiles;
} col2im_parameters;

/* The place in the image of element `offset` of block `block`; -1: in the padding. */
static int64_t place_of(const hd_column *c, int64_t offset, int64_t block)
{
    int64_t place = 0, step = 1;
    for (uint32_t i = c->spatial; i-- > 0;) {
        int64_t at = block % c->blocks[i] * c->stride[i] + offset % c->block[i] * c->dilation[i] -
                     c->pad_begin[i];
        if (at < 0 || at >= c->image[i]) {
            return -1;
        }
        place += at * step;
        step *= c->image[i];
        block /= c->blocks[i];
        offset /= c->block[i];
    }
    return place;
}

static void run_col2im(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                       void *scratch)
{
    (void)scratch;
    const col2im_parameters *p = parameters;
    const hd_column *c = &p->column;
    int64_t stop = hd_cpu_tile_begin(p->planes, p->tiles, end);
    for (int64_t plane = hd_cpu_tile_begin(p->planes, p->tiles, begin); plane < stop; plane++) {
        const float *x = (const float *)buffers[0] + plane * c->block_size * c->block_count;
        float *y = (float *)buffers[3] + plane * p->image_size;
        hd_stop_clear(y, (size_t)p->image_size * sizeof *y);
        for (int64_t offset = 0; offset < c->block_size && !hd_stop_ends_every(offset, 16);
             offset++) {
            for (int64_t block = 0; block < c->block_count && !hd_stop_ends(block); block++) {
                int64_t place = place_of(c, offset, block);
                if (place >= 0) {
                    y[place] += x[offset * c->block_count + block];
                }
            }
        }
    }
}

hd_status hd_cpu_col2im_compile(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    hd_status status = hd_cpu_spatial_float_only(compilation);
    if (status != HD_OK) {
        return status;
    }
    col2im_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    if (operation->inputs[1].data == NULL || operation->inputs[2].data == NULL) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                                 "its image and block sizes are not constant");
    }
    status = hd_column_resolve(operation, &p->column, compilation->error);
    if (status != HD_OK) {
        return status;
    }
    const hd_shape *y = &operation->outputs[0].shape;
    p->image_size = hd_shape_count_range(y, 2, y->rank);
    p->planes = hd_shape_count_range(y, 0, 2);
    p->tiles = hd_cpu_tile_count(p->planes, p->column.block_size * p->column.block_count * 16);
    compilation->kernel.run = run_col2im;
    compilation->kernel.tile_count = p->tiles;
    return HD_OK;
}
