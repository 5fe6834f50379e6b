/* Convolutions that no other kernel takes, in float32: transposed ones, those of three spatial dimensions, and those whose weight is no
 * constant. */
#include "hal/cuda/kernels/convolution_plain.h"

#include "hal/cuda/movement.h"
#include "operation/convolution.h"

/* False: no kernel computes it. */
static bool read_sizes(const hd_operation *operation, hd_convolution *c)
{
    for (size_t i = 0; i < operation->input_count; i++) {
        if (operation->inputs[i].dtype != HD_FLOAT32 &&
            operation->inputs[i].dtype != HD_DTYPE_NONE) {
            return false;
        }
    }
    if (operation->inputs[1].packed != NULL || !hd_cuda_moves(operation) ||
        hd_convolution_resolve(operation, c, NULL) != HD_OK) {
        return false;
    }
    hd_convolution_make_spatial(c);
    bool fits = true;
    for (int i = 0; i < HD_CONVOLUTION_MAX_SPATIAL; i++) {
        int64_t way, reach;
        fits = fits && !__builtin_mul_overflow(c->output[i], c->stride[i], &way) &&
               way <= INT32_MAX / 4 && c->stride[i] <= INT32_MAX / 4 &&
               !__builtin_mul_overflow(c->kernel[i], c->dilation[i], &reach) &&
               reach <= INT32_MAX / 4 && c->pad_begin[i] <= INT32_MAX / 4 &&
               c->pad_begin[i] >= -INT32_MAX / 4;
    }
    return fits;
}

static bool supports(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    hd_convolution c;
    return read_sizes(operation, &c);
}

static hd_status compile(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    hd_convolution c;
    const int64_t count = hd_shape_count(&operation->outputs[0].shape);
    if (!read_sizes(operation, &c)) {
        return HD_INTERNAL;
    }
    if (count == 0) {
        return HD_OK;
    }
    const int64_t inputs = c.channels / c.group, outputs = c.output_channels / c.group;
    const int64_t taps = c.kernel[0] * c.kernel[1] * c.kernel[2];
    hd_cuda_convolution_any p = {.count = (unsigned)count,
                                 .is_transposed = c.transposed,
                                 .channels = hd_cuda_divisor_of((unsigned)c.output_channels),
                                 .outputs = hd_cuda_divisor_of((unsigned)outputs),
                                 .inputs = (int)inputs,
                                 .groups = (int)c.group,
                                 .image = (int)(c.input[0] * c.input[1] * c.input[2]),
                                 .w_group = (int)(inputs * outputs * taps),
                                 .w_output = (int)(c.transposed ? taps : inputs * taps),
                                 .w_channel = (int)(c.transposed ? outputs * taps : taps)};
    for (int i = 0; i < HD_CONVOLUTION_MAX_SPATIAL; i++) {
        p.output[i] = hd_cuda_divisor_of((unsigned)c.output[i]);
        p.input[i] = (int)c.input[i];
        p.kernel[i] = (int)c.kernel[i];
        p.stride[i] = (int)c.stride[i];
        p.dilation[i] = (int)c.dilation[i];
        p.pad[i] = (int)c.pad_begin[i];
    }
    hd_cuda_pointer pointers[4] = {
        {0, offsetof(hd_cuda_convolution_any, x), 0},
        {1, offsetof(hd_cuda_convolution_any, w), 0},
        {(uint16_t)operation->input_count, offsetof(hd_cuda_convolution_any, y), 0}};
    size_t used = 3;
    if (hd_operation_has(operation, 2)) {
        pointers[used++] = (hd_cuda_pointer){2, offsetof(hd_cuda_convolution_any, bias), 0};
    }
    const uint32_t grid[3] = {(uint32_t)hd_cuda_blocks(count, HD_CUDA_CONVOLUTION_PLAIN_BLOCK), 1,
                              1};
    return hd_cuda_add_launch(compilation, HD_CUDA_convolution_any, grid,
                              HD_CUDA_CONVOLUTION_PLAIN_BLOCK, &p, sizeof p, pointers, used) == NULL
               ? hd_cuda_out_of_memory(compilation)
               : HD_OK;
}

const hd_cuda_operator hd_cuda_operators_convolution_plain[] = {
    {HD_OP_CONV, supports, compile},
    {HD_OP_CONV_TRANSPOSE, supports, compile},
    {HD_OP_NONE, NULL, NULL}};
