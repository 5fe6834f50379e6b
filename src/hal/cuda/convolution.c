/* Convolutions in float32: heddle.Conv. */
#include "operation/convolution.h"

#include "hal/cuda/constants.h"
#include "hal/cuda/kernels/convolution_float32.h"
#include "hal/cuda/product.h"
#include "hal/cuda/product_choice.h"

enum {
    GRID_SIDE = 65535,
    BLOCK = 128,      /* threads of the kernels that no tile stands behind */
    TAP_BYTES = 8,    /* of an entry of the tile kernels' table */
    TAP_MOST = 16383, /* what such an entry holds of a kernel's reach */
    HEIGHT_MOST = 16384
};

/* A convolution of two spatial dimensions; a signal is an image of one row. */
typedef struct image_sizes {
    int64_t input[2], output[2], kernel[2], stride[2], dilation[2], pad[2];
} image_sizes;

static image_sizes as_image(const hd_convolution *c)
{
    image_sizes sizes = {
        {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {0, 0},
    };
    for (uint32_t i = 0; i < c->spatial; i++) {
        uint32_t to = i + 2 - c->spatial;
        sizes.input[to] = c->input[i];
        sizes.output[to] = c->output[i];
        sizes.kernel[to] = c->kernel[i];
        sizes.stride[to] = c->stride[i];
        sizes.dilation[to] = c->dilation[i];
        sizes.pad[to] = c->pad_begin[i];
    }
    return sizes;
}

static bool supports(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    hd_convolution c;
    if (operation->inputs[1].packed == NULL || operation->inputs[0].dtype != HD_FLOAT32 ||
        hd_convolution_resolve(operation, &c, NULL) != HD_OK) {
        return false;
    }
    image_sizes sizes = as_image(&c);
    int64_t positions = c.batch * sizes.output[0] * sizes.output[1];
    return positions <= INT32_MAX && hd_shape_count(&operation->inputs[0].shape) <= INT32_MAX &&
           hd_shape_count(&operation->outputs[0].shape) <= INT32_MAX &&
           hd_shape_count(&operation->inputs[1].shape) <= INT32_MAX / 2 &&
           c.output_channels / c.group <= GRID_SIDE && c.group <= GRID_SIDE;
}

/* Bias, residual and output, which all kernels have. */
static size_t add_pointers(const hd_operation *operation, hd_cuda_pointer *pointers,
                           uint16_t bias_at, uint16_t residual_at, uint16_t y_at)
{
    size_t used = 0;
    pointers[used++] = (hd_cuda_pointer){(uint16_t)operation->input_count, y_at, 0};
    if (hd_operation_has(operation, 2)) {
        pointers[used++] = (hd_cuda_pointer){2, bias_at, 0};
    }
    if (hd_operation_has(operation, 3)) {
        pointers[used++] = (hd_cuda_pointer){3, residual_at, 0};
    }
    return used;
}

static hd_status compile_depthwise(hd_cuda_compilation *compilation, const hd_convolution *c)
{
    const hd_operation *operation = compilation->operation;
    image_sizes sizes = as_image(c);
    hd_cuda_depthwise p = {
        .w = operation->inputs[1].packed->memory,
        .activation = hd_cuda_convert_activation(&hd_fused_convolution_of(operation)->activation),
        .images = (int)c->batch,
        .channels = (int)c->channels,
        .height = (int)sizes.input[0],
        .width = (int)sizes.input[1],
        .output_height = (int)sizes.output[0],
        .output_width = (int)sizes.output[1]};
    for (size_t i = 0; i < 2; i++) {
        p.kernel[i] = (int)sizes.kernel[i];
        p.stride[i] = (int)sizes.stride[i];
        p.dilation[i] = (int)sizes.dilation[i];
        p.pad[i] = (int)sizes.pad[i];
    }
    hd_cuda_pointer pointers[4];
    size_t used =
        add_pointers(operation, pointers, offsetof(hd_cuda_depthwise, bias),
                     offsetof(hd_cuda_depthwise, residual), offsetof(hd_cuda_depthwise, y));
    pointers[used++] = (hd_cuda_pointer){0, offsetof(hd_cuda_depthwise, x), 0};
    bool wide = c->channels % 4 == 0;
    int64_t threads = hd_shape_count(&operation->outputs[0].shape) / (wide ? 4 : 1);
    const uint32_t grid[3] = {(uint32_t)hd_cuda_blocks(threads, BLOCK), 1, 1};
    return hd_cuda_add_launch(
               compilation, wide ? HD_CUDA_convolution_depthwise4 : HD_CUDA_convolution_depthwise1,
               grid, BLOCK, &p, sizeof p, pointers, used) == NULL
               ? hd_cuda_out_of_memory(compilation)
               : HD_OK;
}

/* A kernel of one position over all of an image: rows of a product. */
static bool as_product(const hd_operation *operation, const hd_convolution *c,
                       hd_cuda_multiplication *out)
{
    bool plain = c->group == 1 && !c->planar_input && !c->planar_output;
    int64_t positions = c->batch;
    for (uint32_t i = 0; i < c->spatial; i++) {
        plain = plain && c->kernel[i] == 1 && c->stride[i] == 1 && c->pad_begin[i] == 0 &&
                c->output[i] == c->input[i];
        positions *= c->output[i];
    }
    *out = (hd_cuda_multiplication){
        .m = positions,
        .n = c->output_channels,
        .k = c->channels,
        .packed = operation->inputs[1].packed,
        .bias = hd_operation_has(operation, 2) ? 2 : -1,
        .residual = hd_operation_has(operation, 3) ? 3 : -1,
        .c_m = c->output_channels,
        .c_n = 1,
        .alpha = 1,
        .beta = 1,
        .activation = hd_cuda_convert_activation(&hd_fused_convolution_of(operation)->activation)};
    return plain && hd_cuda_multiplication_is_fast(out);
}

static hd_cuda_convolution describe(const hd_operation *operation, const hd_convolution *c)
{
    image_sizes sizes = as_image(c);
    int64_t channels = c->channels / c->group, outputs = c->output_channels / c->group;
    int64_t in = sizes.input[0] * sizes.input[1], out = sizes.output[0] * sizes.output[1];
    int64_t taps = sizes.kernel[0] * sizes.kernel[1], stride = hd_cuda_row_stride(outputs);
    hd_cuda_convolution p = {
        .w = operation->inputs[1].packed->memory,
        .m = (int)(c->batch * out),
        .n = (int)outputs,
        .k = (int)(taps * channels),
        .activation = hd_cuda_convert_activation(&hd_fused_convolution_of(operation)->activation),
        .channels = (int)channels,
        .height = (int)sizes.input[0],
        .width = (int)sizes.input[1],
        .output_height = (int)sizes.output[0],
        .output_width = (int)sizes.output[1],
        .kernel_width = (int)sizes.kernel[1],
        .x_image = in * c->channels,
        .x_row = (int)(sizes.input[1] * (c->planar_input ? 1 : c->channels)),
        .x_column = (int)(c->planar_input ? 1 : c->channels),
        .x_channel = (int)(c->planar_input ? in : 1),
        .y_image = out * c->output_channels,
        .y_position = (int)(c->planar_output ? 1 : c->output_channels),
        .y_output = (int)(c->planar_output ? out : 1),
        .w_stride = (int)stride,
        .x_group = channels * (c->planar_input ? in : 1),
        .w_group = taps * channels * stride,
        .y_group = outputs * (c->planar_output ? out : 1),
        .bias_group = (int)outputs};
    for (size_t i = 0; i < 2; i++) {
        p.stride[i] = (int)sizes.stride[i];
        p.dilation[i] = (int)sizes.dilation[i];
        p.pad[i] = (int)sizes.pad[i];
    }
    return p;
}

/* The tile kernels can: what they keep in a table fits. */
static bool fits_tiles(const image_sizes *sizes)
{
    bool fits = sizes->input[0] <= HEIGHT_MOST;
    for (size_t i = 0; i < 2; i++) {
        fits = fits && (sizes->kernel[i] - 1) * sizes->dilation[i] <= TAP_MOST &&
               sizes->pad[i] <= TAP_MOST / 2 && sizes->pad[i] >= -TAP_MOST;
    }
    return fits;
}

static bool choose(const hd_cuda_compilation *compilation, const hd_convolution *c,
                   const hd_cuda_convolution *p, hd_cuda_product_shape *out)
{
    static const hd_cuda_function vector[HD_CUDA_PRODUCT_KIND_COUNT] = {
        HD_CUDA_COPY,
        HD_CUDA_COPY,
        HD_CUDA_COPY,
        HD_CUDA_COPY,
        HD_CUDA_COPY,
        HD_CUDA_COPY,
        HD_CUDA_COPY,
        HD_CUDA_convolution_split32x64,
        HD_CUDA_convolution_split64x64,
        HD_CUDA_convolution_split64x128,
        HD_CUDA_convolution_wide32x64,
        HD_CUDA_convolution_wide64x64,
        HD_CUDA_convolution_wide64x128,
        HD_CUDA_convolution_wide128x128};
    static const hd_cuda_function single[HD_CUDA_PRODUCT_KIND_COUNT] = {
        HD_CUDA_COPY,
        HD_CUDA_COPY,
        HD_CUDA_COPY,
        HD_CUDA_COPY,
        HD_CUDA_COPY,
        HD_CUDA_COPY,
        HD_CUDA_COPY,
        HD_CUDA_COPY,
        HD_CUDA_COPY,
        HD_CUDA_COPY,
        HD_CUDA_convolution_single32x64,
        HD_CUDA_convolution_single64x64,
        HD_CUDA_convolution_single64x128,
        HD_CUDA_COPY};
    image_sizes sizes = as_image(c);
    bool side_by_side = !c->planar_input && p->channels % 4 == 0;
    const hd_cuda_product_work work = {p->m,
                                       p->n,
                                       p->k,
                                       c->group,
                                       side_by_side ? vector : single,
                                       side_by_side ? TAP_BYTES / 4 : TAP_BYTES};
    return fits_tiles(&sizes) && hd_cuda_product_choose(compilation->unit, &work, out);
}

static hd_status compile(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    hd_convolution c;
    hd_status status = hd_convolution_resolve(operation, &c, compilation->error);
    if (status != HD_OK || hd_shape_count(&operation->outputs[0].shape) == 0) {
        return status;
    }
    if (operation->inputs[1].packed->form.kind == HD_CUDA_FORM_DEPTHWISE && !c.planar_input &&
        !c.planar_output) {
        return compile_depthwise(compilation, &c);
    }
    hd_cuda_multiplication multiplication;
    if (as_product(operation, &c, &multiplication)) {
        return hd_cuda_add_multiplication(compilation, &multiplication);
    }
    hd_cuda_convolution p = describe(operation, &c);
    if (operation->inputs[1].packed->form.kind == HD_CUDA_FORM_DEPTHWISE) {
        p.w_stride = (int)c.channels; /* a group's weights are a column of all */
        p.w_group = 1;
    }
    hd_cuda_product_shape shape;
    bool tiled = operation->inputs[1].packed->form.kind == HD_CUDA_FORM_CONVOLUTION &&
                 choose(compilation, &c, &p, &shape);
    if (!tiled) {
        shape = (hd_cuda_product_shape){
            .function = HD_CUDA_convolution_plain,
            .grid = {(uint32_t)hd_cuda_blocks(p.m, BLOCK), (uint32_t)p.n, (uint32_t)c.group},
            .threads = BLOCK};
    }
    p.per = shape.per;
    hd_cuda_pointer pointers[4];
    size_t used =
        add_pointers(operation, pointers, offsetof(hd_cuda_convolution, bias),
                     offsetof(hd_cuda_convolution, residual), offsetof(hd_cuda_convolution, y));
    pointers[used++] = (hd_cuda_pointer){0, offsetof(hd_cuda_convolution, x), 0};
    hd_cuda_launch *launch = hd_cuda_add_launch(compilation, shape.function, shape.grid,
                                                shape.threads, &p, sizeof p, pointers, used);
    if (launch == NULL) {
        return hd_cuda_out_of_memory(compilation);
    }
    launch->shared = shape.shared;
    launch->cluster = shape.shares;
    return HD_OK;
}

const hd_cuda_operator hd_cuda_operators_convolution[] = {{HD_OP_HEDDLE_CONV, supports, compile},
                                                          {HD_OP_NONE, NULL, NULL}};
