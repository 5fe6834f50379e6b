/* Convolutions against a plain reference in double precision, and equal bits for any partition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hal/cpu/isa.h"
#include "hal/fused.h"
#include "support/operation_runner.h"

/* Two spatial dimensions, or one (height 1 in the reference), or three by `depth`. */
typedef struct shape_case {
    bool transposed;
    bool one_dimensional;
    int64_t batch, channels, outputs, group;
    int64_t height, width;
    int64_t kernel[2], stride[2], dilation[2], begin[2], end[2], output_padding[2];
} shape_case;

static int64_t output_size(const shape_case *c, int d)
{
    int64_t input = d == 0 ? c->height : c->width;
    int64_t reach = (c->kernel[d] - 1) * c->dilation[d] + 1;
    if (c->transposed) {
        return (input - 1) * c->stride[d] + c->output_padding[d] + reach - c->begin[d] - c->end[d];
    }
    return (input + c->begin[d] + c->end[d] - reach) / c->stride[d] + 1;
}

static double tap(const shape_case *c, const float *x, const float *w, int64_t n, int64_t m,
                  int64_t oy, int64_t ox, int64_t kh, int64_t kw)
{
    int64_t group_channels = c->channels / c->group, group_outputs = c->outputs / c->group;
    int64_t iy = oy * c->stride[0] - c->begin[0] + kh * c->dilation[0];
    int64_t ix = ox * c->stride[1] - c->begin[1] + kw * c->dilation[1];
    if (c->transposed) {
        iy = oy + c->begin[0] - kh * c->dilation[0];
        ix = ox + c->begin[1] - kw * c->dilation[1];
        if (iy % c->stride[0] != 0 || ix % c->stride[1] != 0) {
            return 0.0;
        }
        iy /= c->stride[0];
        ix /= c->stride[1];
    }
    if (iy < 0 || iy >= c->height || ix < 0 || ix >= c->width) {
        return 0.0;
    }
    double sum = 0.0;
    for (int64_t k = 0; k < group_channels; k++) {
        int64_t channel = m / group_outputs * group_channels + k;
        int64_t row = c->transposed ? channel * group_outputs + m % group_outputs
                                    : m * group_channels + k;
        sum += (double)x[((n * c->channels + channel) * c->height + iy) * c->width + ix] *
               (double)w[(row * c->kernel[0] + kh) * c->kernel[1] + kw];
    }
    return sum;
}

/* [N, M, OH, OW], without activation. */
static void reference(const shape_case *c, const float *x, const float *w, const float *bias,
                      double *y)
{
    int64_t oh = output_size(c, 0), ow = output_size(c, 1);
    for (int64_t n = 0; n < c->batch; n++) {
        for (int64_t m = 0; m < c->outputs; m++) {
            for (int64_t i = 0; i < oh * ow; i++) {
                double sum = bias == NULL ? 0.0 : (double)bias[m];
                for (int64_t k = 0; k < c->kernel[0] * c->kernel[1]; k++) {
                    sum += tap(c, x, w, n, m, i / ow, i % ow, k / c->kernel[1], k % c->kernel[1]);
                }
                y[(n * c->outputs + m) * oh * ow + i] = sum;
            }
        }
    }
}

static double activated_alone(const hd_activation *a, double x)
{
    double gate = fmin(fmax((double)a->alpha * x + (double)a->beta, 0.0), 1.0);
    switch (a->kind) {
    case HD_ACTIVATION_RELU:
        return x > 0.0 ? x : 0.0;
    case HD_ACTIVATION_GELU:
        return x / 2.0 * (1.0 + erf(x / sqrt(2.0)));
    case HD_ACTIVATION_SILU:
        return x / (1.0 + exp(-x));
    case HD_ACTIVATION_CLIP:
        return fmin(fmax(x, (double)a->alpha), (double)a->beta);
    case HD_ACTIVATION_LEAKY_RELU:
        return x < 0.0 ? x * (double)a->alpha : x;
    case HD_ACTIVATION_HARD_SIGMOID:
        return gate;
    case HD_ACTIVATION_HARD_SWISH:
        return x * gate;
    default:
        return x;
    }
}

static double activated(const hd_activation *a, double x)
{
    double y = activated_alone(a, x);
    return a->scales ? y * (double)a->scale + (double)a->shift : y;
}

static float *floats(int64_t count, uint32_t seed)
{
    float *values = malloc((size_t)(count < 1 ? 1 : count) * sizeof *values);
    assert_non_null(values);
    operation_fill_floats(values, count, seed);
    return values;
}

/* to[n][i][c] = from[n][c][i] */
static void to_channels_last(const float *from, int64_t batch, int64_t channels, int64_t pixels,
                             float *to)
{
    for (int64_t n = 0; n < batch; n++) {
        for (int64_t c = 0; c < channels; c++) {
            for (int64_t i = 0; i < pixels; i++) {
                to[(n * pixels + i) * channels + c] = from[(n * channels + c) * pixels + i];
            }
        }
    }
}

typedef struct operands {
    float *x, *x_last, *w, *bias, *residual;
    double *expected; /* planar */
    int64_t outputs;  /* elements */
} operands;

static operands operands_make(const shape_case *c)
{
    int64_t pixels = c->height * c->width;
    int64_t weights = c->channels * c->outputs / c->group * c->kernel[0] * c->kernel[1];
    operands o = {.outputs = c->batch * c->outputs * output_size(c, 0) * output_size(c, 1)};
    o.x = floats(c->batch * c->channels * pixels, 1);
    o.x_last = floats(c->batch * c->channels * pixels, 1);
    to_channels_last(o.x, c->batch, c->channels, pixels, o.x_last);
    o.w = floats(weights, 2);
    o.bias = floats(c->outputs, 3);
    o.residual = floats(o.outputs, 4);
    o.expected = malloc((size_t)o.outputs * sizeof *o.expected);
    assert_non_null(o.expected);
    reference(c, o.x, o.w, o.bias, o.expected);
    return o;
}

static void operands_free(operands *o)
{
    free(o->x);
    free(o->x_last);
    free(o->w);
    free(o->bias);
    free(o->residual);
    free(o->expected);
}

static void assert_near(float value, double expected, const char *what, int64_t index)
{
    if (!(fabs((double)value - expected) <= 2e-5 + 2e-5 * fabs(expected))) {
        fail_msg("%s: element %lld is %g, expected %g", what, (long long)index, (double)value,
                 expected);
    }
}

static hd_tensor weight_tensor(const shape_case *c, const float *w)
{
    int64_t first = c->transposed ? c->channels : c->outputs;
    int64_t second = (c->transposed ? c->outputs : c->channels) / c->group;
    return c->one_dimensional
               ? OPERATION_TENSOR(HD_FLOAT32, w, first, second, c->kernel[1])
               : OPERATION_TENSOR(HD_FLOAT32, w, first, second, c->kernel[0], c->kernel[1]);
}

static hd_packed *packed_of(operation_case *test, int64_t group)
{
    hd_operand inputs[2] = {{.dtype = HD_FLOAT32}, {.dtype = HD_FLOAT32, .data = test->inputs[1].data}};
    inputs[1].shape.rank = test->inputs[1].rank;
    memcpy(inputs[1].shape.dims, test->inputs[1].dims, sizeof inputs[1].shape.dims);
    hd_operation operation = {.type = test->type,
                              .attributes = test->attributes,
                              .attribute_count = test->attribute_count,
                              .inputs = inputs,
                              .input_count = 2,
                              .fused = test->fused};
    hd_packing packing = hd_cpu_packing(&operation, 1);
    if (packing == HD_PACKING_NONE) {
        return NULL;
    }
    hd_packed *packed = NULL;
    assert_int_equal(hd_cpu_pack(packing, &inputs[1], group, &packed, NULL), HD_OK);
    return packed;
}

/* ONNX's operator, [N, C, H, W], with packed weights and with others. */
static void check_planar(const shape_case *c)
{
    operands o = operands_make(c);
    int first = c->one_dimensional ? 1 : 0;
    size_t count = c->one_dimensional ? 1 : 2;
    int64_t pads[4] = {c->begin[0], c->begin[1], c->end[0], c->end[1]};
    if (c->one_dimensional) {
        pads[0] = c->begin[1];
        pads[1] = c->end[1];
    }
    hd_attribute attributes[] = {operation_int("group", c->group),
                                 operation_ints("strides", c->stride + first, count),
                                 operation_ints("dilations", c->dilation + first, count),
                                 operation_ints("pads", pads, 2 * count),
                                 operation_ints("output_padding", c->output_padding + first, count)};
    operation_case test = {.type = c->transposed ? "ConvTranspose" : "Conv",
                           .attributes = attributes,
                           .attribute_count = c->transposed ? 5 : 4,
                           .input_count = 3};
    test.inputs[0] =
        c->one_dimensional
            ? OPERATION_TENSOR(HD_FLOAT32, o.x, c->batch, c->channels, c->width)
            : OPERATION_TENSOR(HD_FLOAT32, o.x, c->batch, c->channels, c->height, c->width);
    test.inputs[1] = weight_tensor(c, o.w);
    test.inputs[2] = OPERATION_TENSOR(HD_FLOAT32, o.bias, c->outputs);
    operation_result result;
    if (operation_run(&test, &result) != HD_OK) {
        fail_msg("%s", result.error.message);
    }
    assert_int_equal(result.outputs[0].rank, c->one_dimensional ? 3 : 4);
    assert_int_equal(result.outputs[0].size, (size_t)o.outputs * sizeof(float));
    const float *y = result.outputs[0].data;
    for (int64_t i = 0; i < o.outputs; i++) {
        assert_near(y[i], o.expected[i], "planar", i);
    }
    operation_check_partitions(&test);
    hd_packed *packed = packed_of(&test, c->group);
    if (packed != NULL) {
        test.packed[1] = packed;
        operation_result other;
        assert_int_equal(operation_run(&test, &other), HD_OK);
        if (packed->packing == HD_PACKING_CONVOLUTION_WINOGRAD) {
            y = other.outputs[0].data;
            for (int64_t i = 0; i < o.outputs; i++) {
                assert_near(y[i], o.expected[i], "planar tiles", i);
            }
            operation_check_partitions(&test);
        } else {
            operation_check_output(&other.outputs[0], &result.outputs[0]);
        }
        operation_result_clear(&other);
        hd_cpu_packed_destroy(&packed);
    }
    operation_result_clear(&result);
    operands_free(&o);
}

/* "heddle.…", with packed weights, residual and activation. */
static void check_fused(const shape_case *c, hd_activation activation, bool residual)
{
    operands o = operands_make(c);
    hd_fused_convolution_transposed fused = {.convolution = {.group = c->group,
                                                             .activation = activation}};
    for (int d = c->one_dimensional ? 1 : 0, to = 0; d < 2; d++, to++) {
        fused.convolution.kernel[to] = c->kernel[d];
        fused.convolution.stride[to] = c->stride[d];
        fused.convolution.dilation[to] = c->dilation[d];
        fused.convolution.pad_begin[to] = c->begin[d];
        fused.convolution.pad_end[to] = c->end[d];
        fused.output_padding[to] = c->output_padding[d];
    }
    const void *parameters = c->transposed ? (const void *)&fused : (const void *)&fused.convolution;
    int64_t oh = output_size(c, 0), ow = output_size(c, 1);
    operation_case test = {.type = c->transposed ? "heddle.ConvTranspose" : "heddle.Conv",
                           .input_count = residual ? 4 : 3,
                           .fused = parameters};
    test.inputs[0] =
        c->one_dimensional
            ? OPERATION_TENSOR(HD_FLOAT32, o.x_last, c->batch, c->width, c->channels)
            : OPERATION_TENSOR(HD_FLOAT32, o.x_last, c->batch, c->height, c->width, c->channels);
    test.inputs[1] = weight_tensor(c, o.w);
    test.inputs[2] = OPERATION_TENSOR(HD_FLOAT32, o.bias, c->outputs);
    if (residual) {
        test.inputs[3] =
            c->one_dimensional
                ? OPERATION_TENSOR(HD_FLOAT32, o.residual, c->batch, ow, c->outputs)
                : OPERATION_TENSOR(HD_FLOAT32, o.residual, c->batch, oh, ow, c->outputs);
    }
    hd_packed *packed = packed_of(&test, c->group);
    test.packed[1] = packed;
    operation_result result;
    if (operation_run(&test, &result) != HD_OK) {
        fail_msg("%s", result.error.message);
    }
    const float *y = result.outputs[0].data;
    for (int64_t i = 0; i < o.outputs; i++) {
        int64_t m = i % c->outputs, pixel = i / c->outputs % (oh * ow);
        int64_t n = i / c->outputs / (oh * ow);
        double expected = o.expected[(n * c->outputs + m) * oh * ow + pixel];
        expected += residual ? (double)o.residual[i] : 0.0;
        assert_near(y[i], activated(&activation, expected), "fused", i);
    }
    operation_check_partitions(&test);
    if (c->batch > 1) {
        /* BITS: the first image alone has the bits that it has in the batch. */
        test.inputs[0].dims[0] = 1;
        test.inputs[0].size /= (size_t)c->batch;
        if (residual) {
            test.inputs[3].dims[0] = 1;
            test.inputs[3].size /= (size_t)c->batch;
        }
        operation_result alone;
        assert_int_equal(operation_run(&test, &alone), HD_OK);
        assert_memory_equal(alone.outputs[0].data, y, alone.outputs[0].size);
        operation_result_clear(&alone);
    }
    operation_result_clear(&result);
    hd_cpu_packed_destroy(&packed);
    operands_free(&o);
}

static void check(const shape_case *c)
{
    check_planar(c);
    hd_activation none = {.kind = HD_ACTIVATION_NONE}, relu = {.kind = HD_ACTIVATION_RELU};
    check_fused(c, none, false);
    check_fused(c, relu, true);
}

#define PLAIN .group = 1, .stride = {1, 1}, .dilation = {1, 1}

static void pointwise_is_a_product(void **state)
{
    (void)state;
    const int64_t channels[] = {1, 3, 16, 37}, outputs[] = {1, 8, 16, 17, 32, 33, 50};
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 7; j++) {
            check(&(shape_case){PLAIN, .batch = 2, .channels = channels[i], .outputs = outputs[j],
                                .height = 3, .width = 11, .kernel = {1, 1}});
        }
    }
}

static void three_by_three_with_every_width(void **state)
{
    (void)state;
    for (int64_t width = 1; width < 34; width++) {
        check(&(shape_case){PLAIN, .batch = 1, .channels = 5, .outputs = 19, .height = 4,
                            .width = width, .kernel = {3, 3}, .begin = {1, 1}, .end = {1, 1}});
    }
}

static void strides_dilations_and_uneven_pads(void **state)
{
    (void)state;
    for (int64_t stride = 1; stride <= 3; stride++) {
        for (int64_t dilation = 1; dilation <= 3; dilation++) {
            check(&(shape_case){.group = 1, .batch = 2, .channels = 3, .outputs = 24, .height = 13,
                                .width = 29, .kernel = {3, 2}, .stride = {stride, 4 - stride},
                                .dilation = {dilation, 4 - dilation}, .begin = {2, 0}, .end = {0, 3}});
        }
    }
}

static void pads_wider_than_the_kernel(void **state)
{
    (void)state;
    check(&(shape_case){PLAIN, .batch = 1, .channels = 4, .outputs = 8, .height = 2, .width = 2,
                        .kernel = {2, 2}, .begin = {3, 4}, .end = {5, 3}});
    check(&(shape_case){PLAIN, .batch = 1, .channels = 8, .outputs = 8, .height = 7, .width = 9,
                        .kernel = {2, 2}, .begin = {-1, -2}, .end = {0, -1}});
}

static void groups(void **state)
{
    (void)state;
    check(&(shape_case){.group = 2, .stride = {1, 1}, .dilation = {1, 1}, .batch = 2, .channels = 6,
                        .outputs = 70, .height = 5, .width = 17, .kernel = {3, 3}, .begin = {1, 1},
                        .end = {1, 1}});
    check(&(shape_case){.group = 4, .stride = {2, 2}, .dilation = {1, 2}, .batch = 1, .channels = 8,
                        .outputs = 12, .height = 9, .width = 17, .kernel = {1, 3}, .begin = {0, 1},
                        .end = {0, 1}});
    check(&(shape_case){.group = 3, .stride = {1, 1}, .dilation = {1, 1}, .batch = 1, .channels = 3,
                        .outputs = 6, .height = 5, .width = 8, .kernel = {2, 2}});
}

static void depthwise(void **state)
{
    (void)state;
    const int64_t channels[] = {2, 8, 16, 24, 33, 64, 100};
    for (size_t i = 0; i < 7; i++) {
        for (int64_t kernel = 1; kernel <= 7; kernel += 2) {
            for (int64_t stride = 1; stride <= 2; stride++) {
                int64_t pad = kernel / 2;
                check(&(shape_case){.group = channels[i], .channels = channels[i],
                                    .outputs = channels[i], .stride = {stride, 3 - stride},
                                    .dilation = {1, 1}, .batch = 2, .height = 6, .width = 21,
                                    .kernel = {kernel, kernel}, .begin = {pad, pad},
                                    .end = {pad, pad}});
            }
        }
    }
    check(&(shape_case){.group = 20, .channels = 20, .outputs = 20, .stride = {1, 1},
                        .dilation = {2, 3}, .batch = 1, .height = 11, .width = 19, .kernel = {3, 3},
                        .begin = {2, 5}, .end = {1, 0}});
}

static void one_dimension(void **state)
{
    (void)state;
    check(&(shape_case){PLAIN, .one_dimensional = true, .batch = 2, .channels = 7, .outputs = 9,
                        .height = 1, .width = 40, .kernel = {1, 5}, .begin = {0, 2}, .end = {0, 2}});
    check(&(shape_case){.group = 1, .stride = {1, 16}, .dilation = {1, 1}, .one_dimensional = true,
                        .batch = 1, .channels = 1, .outputs = 258, .height = 1, .width = 160,
                        .kernel = {1, 64}});
}

static void transposed(void **state)
{
    (void)state;
    for (int64_t kernel = 1; kernel <= 5; kernel++) {
        for (int64_t stride = 1; stride <= 3; stride++) {
            check(&(shape_case){.transposed = true, .group = 1, .stride = {stride, stride},
                                .dilation = {1, 1}, .batch = 2, .channels = 5, .outputs = 18,
                                .height = 4, .width = 19, .kernel = {kernel, kernel},
                                .begin = {kernel / 3, kernel / 2}, .end = {0, kernel / 2},
                                .output_padding = {stride - 1, stride / 2}});
        }
    }
    check(&(shape_case){.transposed = true, .group = 3, .stride = {2, 2}, .dilation = {1, 1},
                        .batch = 1, .channels = 6, .outputs = 9, .height = 4, .width = 6,
                        .kernel = {3, 3}, .begin = {1, 1}, .end = {1, 1}});
    check(&(shape_case){.transposed = true, .group = 1, .stride = {1, 2}, .dilation = {1, 1},
                        .one_dimensional = true, .batch = 1, .channels = 6, .outputs = 9,
                        .height = 1, .width = 6, .kernel = {1, 4}, .begin = {0, 1}, .end = {0, 1}});
}

/* Found by fuzzing: each run went through all phases of the stride, also those of no output. */
static void transposed_with_a_stride_beyond_its_output_is_quick(void **state)
{
    (void)state;
    const int64_t stride = (int64_t)1 << 27;
    shape_case c = {.transposed = true, .group = 1, .stride = {stride, stride}, .dilation = {1, 1},
                    .batch = 1, .channels = 3, .outputs = 5, .height = 3, .width = 3,
                    .kernel = {3, 3}, .begin = {stride - 2, stride - 1},
                    .end = {stride - 4, stride - 2}};
    check(&c);
    c.begin[1] = 5; /* all outputs lie between the kernels */
    c.end[1] = 2 * stride - 9;
    check(&c);
    c.begin[1] = 1;
    c.stride[1] = 50; /* one kernel inside, the next cut off */
    c.end[1] = 60;
    check(&c);
}

static void transposed_with_the_stride_of_its_kernel_is_folded(void **state)
{
    (void)state;
    const int64_t outputs[] = {1, 3, 24, 40};
    for (size_t i = 0; i < 4; i++) {
        shape_case c = {.transposed = true, .group = 1, .stride = {2, 2}, .dilation = {1, 1},
                        .batch = 2, .channels = 13, .outputs = outputs[i], .height = 4, .width = 19,
                        .kernel = {2, 2}};
        check(&c);
        hd_activation silu = {.kind = HD_ACTIVATION_SILU};
        check_fused(&c, silu, false);
        check_fused(&c, silu, true);
        hd_activation scaled = {HD_ACTIVATION_HARD_SWISH, 1.0F / 6.0F, 0.5F, true, 1.25F, 0.5F};
        check_fused(&c, scaled, false);
        check_fused(&c, scaled, true);
        c.kernel[0] = c.stride[0] = 3;
        c.kernel[1] = c.stride[1] = 1;
        check(&c);
    }
}

static void transposed_with_dilation_takes_the_plain_kernel(void **state)
{
    (void)state;
    shape_case c = {.transposed = true, .group = 2, .stride = {3, 2}, .dilation = {2, 3}, .batch = 2,
                    .channels = 4, .outputs = 6, .height = 5, .width = 4, .kernel = {3, 2},
                    .begin = {1, 0}, .end = {0, 2}};
    check(&c);
}

static void activations(void **state)
{
    (void)state;
    shape_case product = {PLAIN, .batch = 2, .channels = 9, .outputs = 43, .height = 3, .width = 15,
                          .kernel = {3, 3}, .begin = {1, 1}, .end = {1, 1}};
    shape_case winograd = product, depth = product;
    winograd.channels = 20;
    depth.channels = depth.outputs = depth.group = 43;
    const hd_activation all[] = {{.kind = HD_ACTIVATION_CLIP, .alpha = -0.25F, .beta = 0.5F},
                                 {.kind = HD_ACTIVATION_LEAKY_RELU, .alpha = 0.1F, .beta = 0.0F},
                                 {.kind = HD_ACTIVATION_HARD_SIGMOID, .alpha = 0.2F, .beta = 0.5F},
                                 {.kind = HD_ACTIVATION_HARD_SWISH, .alpha = 1.0F / 6.0F, .beta = 0.5F},
                                 {.kind = HD_ACTIVATION_GELU, .alpha = 0.0F, .beta = 0.0F},
                                 {.kind = HD_ACTIVATION_SILU, .alpha = 0.0F, .beta = 0.0F},
                                 {HD_ACTIVATION_RELU, 0.0F, 0.0F, true, 0.75F, -0.5F},
                                 {HD_ACTIVATION_CLIP, -0.25F, 0.5F, true, -1.5F, 0.25F},
                                 {HD_ACTIVATION_HARD_SWISH, 1.0F / 6.0F, 0.5F, true, 1.25F, 0.5F},
                                 {HD_ACTIVATION_SILU, 0.0F, 0.0F, true, 1.25F, 0.5F}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        check_fused(&product, all[i], false);
        check_fused(&product, all[i], true);
        check_fused(&winograd, all[i], false);
        check_fused(&winograd, all[i], true);
        check_fused(&depth, all[i], false);
        check_fused(&depth, all[i], true);
    }
}

/* Wide enough that they are computed over planes, in several tiles, with groups of unequal size. */
static void few_outputs(void **state)
{
    (void)state;
    const int64_t outputs[] = {1, 3, 7, 12, 13, 24, 25, 37, 40};
    for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++) {
        check(&(shape_case){PLAIN, .batch = 2, .channels = 19, .outputs = outputs[i], .height = 21,
                            .width = 45, .kernel = {5, 3}, .begin = {2, 1}, .end = {2, 1}});
        check(&(shape_case){.group = 1, .stride = {1, 1}, .dilation = {2, 3}, .batch = 1,
                            .channels = 16, .outputs = outputs[i], .height = 20, .width = 64,
                            .kernel = {3, 5}, .begin = {-1, 14}, .end = {3, -2}});
    }
    shape_case gated = {PLAIN, .batch = 1, .channels = 20, .outputs = 12, .height = 17, .width = 61,
                        .kernel = {3, 3}, .begin = {1, 1}, .end = {1, 1}};
    check_fused(&gated, (hd_activation){.kind = HD_ACTIVATION_SILU}, true);
}

/* Sizes around those of tiles, register blocks, vectors and panels; pads of every kind; many images, and so many
 * rows that the planar way takes several turns. */
static void winograd_sizes(void **state)
{
    (void)state;
    const int64_t sizes[][2] = {{1, 1}, {2, 2}, {3, 5}, {4, 28}, {5, 29}, {6, 61}, {17, 13}, {33, 62}};
    const int64_t channels[][2] = {{16, 32}, {24, 40}, {33, 17}, {50, 70}};
    for (size_t i = 0; i < 8; i++) {
        for (size_t j = 0; j < 4; j++) {
            check(&(shape_case){PLAIN, .batch = 3, .channels = channels[j][0],
                                .outputs = channels[j][1], .height = sizes[i][0],
                                .width = sizes[i][1], .kernel = {3, 3}, .begin = {1, 1},
                                .end = {1, 1}});
        }
    }
    const int64_t pads[][4] = {{0, 0, 0, 0}, {2, 3, 0, 1}, {0, 1, 2, 0}, {-1, 2, 1, -2}, {5, -2, -3, 4},
                               {-2, -1, -1, -1}};
    for (size_t i = 0; i < 6; i++) {
        for (int64_t height = 9; height < 11; height++) {
            check(&(shape_case){PLAIN, .batch = 2, .channels = 20, .outputs = 28, .height = height,
                                .width = 15 + height, .kernel = {3, 3},
                                .begin = {pads[i][0], pads[i][1]}, .end = {pads[i][2], pads[i][3]}});
        }
    }
    check(&(shape_case){PLAIN, .batch = 1, .channels = 64, .outputs = 64, .height = 101, .width = 60,
                        .kernel = {3, 3}, .begin = {1, 1}, .end = {1, 1}});
}

static void steps_and_groups_take_no_tiles(void **state)
{
    (void)state;
    for (int64_t i = 0; i < 2; i++) {
        check(&(shape_case){.group = 1, .stride = {1 + i, 2 - i}, .dilation = {1, 1}, .batch = 1,
                            .channels = 20, .outputs = 28, .height = 9, .width = 15,
                            .kernel = {3, 3}, .begin = {1, 1}, .end = {1, 1}});
        check(&(shape_case){.group = 1, .stride = {1, 1}, .dilation = {1 + i, 2 - i}, .batch = 1,
                            .channels = 20, .outputs = 28, .height = 9, .width = 15,
                            .kernel = {3, 3}, .begin = {1, 1}, .end = {1, 1}});
    }
    check(&(shape_case){.group = 2, .stride = {1, 1}, .dilation = {1, 1}, .batch = 1, .channels = 40,
                        .outputs = 56, .height = 9, .width = 15, .kernel = {3, 3}, .begin = {1, 1},
                        .end = {1, 1}});
}

/* F(2x2, 3x3) as its definition has it: y = A^T ((G w G^T) (B^T x B)) A, channels ascending. */
static float winograd_element(const float *x, int64_t channels, int64_t height, int64_t width,
                              const float *w, float bias, int64_t oy, int64_t ox)
{
    float m[4][4] = {{0}};
    const int64_t top = oy / 2 * 2 - 1, left = ox / 2 * 2 - 1;
    for (int64_t c = 0; c < channels; c++) {
        float d[4][4], t[4][4], u[4][4];
        double g[4][3];
        for (int64_t i = 0; i < 16; i++) {
            const int64_t py = top + i / 4, px = left + i % 4;
            const bool inside = py >= 0 && py < height && px >= 0 && px < width;
            d[i / 4][i % 4] = inside ? x[(c * height + py) * width + px] : 0.0F;
        }
        for (int i = 0; i < 4; i++) {
            t[0][i] = d[0][i] - d[2][i];
            t[1][i] = d[1][i] + d[2][i];
            t[2][i] = d[2][i] - d[1][i];
            t[3][i] = d[1][i] - d[3][i];
        }
        for (int i = 0; i < 4; i++) {
            d[i][0] = t[i][0] - t[i][2];
            d[i][1] = t[i][1] + t[i][2];
            d[i][2] = t[i][2] - t[i][1];
            d[i][3] = t[i][1] - t[i][3];
        }
        for (int i = 0; i < 3; i++) {
            const double k0 = (double)w[c * 9 + i], k1 = (double)w[c * 9 + 3 + i];
            const double k2 = (double)w[c * 9 + 6 + i];
            g[0][i] = k0;
            g[1][i] = 0.5 * (k0 + k1 + k2);
            g[2][i] = 0.5 * (k0 - k1 + k2);
            g[3][i] = k2;
        }
        for (int i = 0; i < 4; i++) {
            u[i][0] = (float)g[i][0];
            u[i][1] = (float)(0.5 * (g[i][0] + g[i][1] + g[i][2]));
            u[i][2] = (float)(0.5 * (g[i][0] - g[i][1] + g[i][2]));
            u[i][3] = (float)g[i][2];
        }
        for (int i = 0; i < 16; i++) {
            m[i / 4][i % 4] = fmaf(d[i / 4][i % 4], u[i / 4][i % 4], m[i / 4][i % 4]);
        }
    }
    float r[4];
    for (int i = 0; i < 4; i++) {
        r[i] = oy % 2 == 0 ? m[0][i] + m[1][i] + m[2][i] : m[1][i] - m[2][i] - m[3][i];
    }
    return (ox % 2 == 0 ? r[0] + r[1] + r[2] : r[1] - r[2] - r[3]) + bias;
}

static void winograd_has_the_bits_of_its_definition(void **state)
{
    (void)state;
    if (hd_cpu_isa() == HD_ISA_BASELINE) {
        skip(); /* rounds product and sum one after the other */
    }
    shape_case c = {PLAIN, .batch = 1, .channels = 37, .outputs = 41, .height = 7, .width = 34,
                    .kernel = {3, 3}, .begin = {1, 1}, .end = {1, 1}};
    operands o = operands_make(&c);
    hd_fused_convolution fused = {.group = 1, .kernel = {3, 3}, .stride = {1, 1}, .dilation = {1, 1},
                                  .pad_begin = {1, 1}, .pad_end = {1, 1}};
    operation_case test = {.type = "heddle.Conv", .input_count = 3, .fused = &fused};
    test.inputs[0] = OPERATION_TENSOR(HD_FLOAT32, o.x_last, 1, c.height, c.width, c.channels);
    test.inputs[1] = weight_tensor(&c, o.w);
    test.inputs[2] = OPERATION_TENSOR(HD_FLOAT32, o.bias, c.outputs);
    hd_packed *packed = packed_of(&test, 1);
    assert_int_equal(packed->packing, HD_PACKING_CONVOLUTION_WINOGRAD);
    test.packed[1] = packed;
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_OK);
    const float *y = result.outputs[0].data;
    for (int64_t i = 0; i < o.outputs; i++) {
        const int64_t channel = i % c.outputs, pixel = i / c.outputs;
        const float expected =
            winograd_element(o.x, c.channels, c.height, c.width, o.w + channel * c.channels * 9,
                             o.bias[channel], pixel / c.width, pixel % c.width);
        if (memcmp(&expected, &y[i], sizeof expected) != 0) {
            fail_msg("element %lld is %.9g, expected %.9g", (long long)i, (double)y[i],
                     (double)expected);
        }
    }
    operation_result_clear(&result);
    hd_cpu_packed_destroy(&packed);
    operands_free(&o);
}

static void weights_beyond_one_tile_of_panels(void **state)
{
    (void)state;
    check(&(shape_case){PLAIN, .batch = 1, .channels = 130, .outputs = 150, .height = 3, .width = 16,
                        .kernel = {3, 3}, .begin = {1, 1}, .end = {1, 1}});
    check(&(shape_case){PLAIN, .batch = 1, .channels = 130, .outputs = 150, .height = 3, .width = 16,
                        .kernel = {2, 5}, .begin = {1, 2}, .end = {0, 2}});
}

static void automatic_padding(void **state)
{
    (void)state;
    float x[5] = {1, 2, 3, 4, 5}, w[2] = {10, 1};
    const char *const kinds[] = {"SAME_UPPER", "SAME_LOWER", "VALID"};
    const float expected[3][5] = {{12, 23, 34, 45, 50}, {1, 12, 23, 34, 45}, {12, 23, 34, 45}};
    for (size_t i = 0; i < 3; i++) {
        hd_attribute attribute = operation_string("auto_pad", kinds[i]);
        operation_case test = {.type = "Conv", .attributes = &attribute, .attribute_count = 1,
                               .input_count = 2,
                               .inputs = {OPERATION_TENSOR(HD_FLOAT32, x, 1, 1, 5),
                                          OPERATION_TENSOR(HD_FLOAT32, w, 1, 1, 2)}};
        operation_result result;
        assert_int_equal(operation_run(&test, &result), HD_OK);
        hd_tensor wanted = OPERATION_TENSOR(HD_FLOAT32, expected[i], 1, 1, i == 2 ? 4 : 5);
        operation_check_output(&result.outputs[0], &wanted);
        operation_result_clear(&result);
    }
}

static void three_dimensions_and_double(void **state)
{
    (void)state;
    double x[27], w[8], expected[8];
    float xf[27], wf[8], expected_float[8];
    for (int i = 0; i < 27; i++) {
        x[i] = xf[i] = (float)(i * 7 % 11);
    }
    for (int i = 0; i < 8; i++) {
        w[i] = wf[i] = (float)(i - 3);
    }
    for (int o = 0; o < 8; o++) {
        double sum = 0;
        for (int k = 0; k < 8; k++) {
            int at = (o / 4 + k / 4) * 9 + (o / 2 % 2 + k / 2 % 2) * 3 + o % 2 + k % 2;
            sum += x[at] * w[k];
        }
        expected[o] = sum;
        expected_float[o] = (float)sum;
    }
    operation_case test = {.type = "Conv", .input_count = 2,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT64, x, 1, 1, 3, 3, 3),
                                      OPERATION_TENSOR(HD_FLOAT64, w, 1, 1, 2, 2, 2)}};
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_OK);
    hd_tensor wanted = OPERATION_TENSOR(HD_FLOAT64, expected, 1, 1, 2, 2, 2);
    operation_check_output(&result.outputs[0], &wanted);
    operation_result_clear(&result);
    test.inputs[0] = OPERATION_TENSOR(HD_FLOAT32, xf, 1, 1, 3, 3, 3);
    test.inputs[1] = OPERATION_TENSOR(HD_FLOAT32, wf, 1, 1, 2, 2, 2);
    assert_int_equal(operation_run(&test, &result), HD_OK);
    wanted = OPERATION_TENSOR(HD_FLOAT32, expected_float, 1, 1, 2, 2, 2);
    operation_check_output(&result.outputs[0], &wanted);
    operation_result_clear(&result);
    operation_check_partitions(&test);
}

static void an_output_shape_fixes_the_pads(void **state)
{
    (void)state;
    float x[9], w[9];
    operation_fill_floats(x, 9, 1);
    operation_fill_floats(w, 9, 2);
    hd_attribute attributes[] = {OPERATION_INTS("strides", 3, 2),
                                 OPERATION_INTS("output_shape", 10, 8)};
    operation_case test = {.type = "ConvTranspose", .attributes = attributes, .attribute_count = 2,
                           .input_count = 2,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, x, 1, 1, 3, 3),
                                      OPERATION_TENSOR(HD_FLOAT32, w, 1, 1, 3, 3)}};
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_OK);
    assert_int_equal(result.outputs[0].dims[2], 10);
    assert_int_equal(result.outputs[0].dims[3], 8);
    const float *y = result.outputs[0].data;
    assert_true(y[0] == x[0] * w[0]);
    assert_true(y[7] == 0.0F && y[79] == 0.0F);
    operation_result_clear(&result);
}

static void expect_rejection(operation_case *test, const char *word)
{
    operation_result result;
    hd_status status = operation_run(test, &result);
    assert_true(status == HD_BAD_MODEL || status == HD_INVALID_ARGUMENT);
    assert_non_null(strstr(result.error.message, word));
    operation_result_clear(&result);
}

static void operands_that_do_not_fit_are_rejected(void **state)
{
    (void)state;
    float data[64] = {0};
    operation_case test = {.type = "Conv", .input_count = 2,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, data, 1, 4, 3, 3),
                                      OPERATION_TENSOR(HD_FLOAT32, data, 2, 3, 2, 2)}};
    expect_rejection(&test, "weight");
    test.inputs[1] = OPERATION_TENSOR(HD_FLOAT32, data, 2, 4, 2);
    expect_rejection(&test, "weight");
    test.inputs[1] = OPERATION_TENSOR(HD_FLOAT32, data, 1, 4, 4, 4);
    expect_rejection(&test, "larger");
    test.inputs[1] = OPERATION_TENSOR(HD_FLOAT32, data, 2, 4, 2, 2);
    hd_attribute attribute = OPERATION_INTS("strides", 1, 0);
    test.attributes = &attribute;
    test.attribute_count = 1;
    expect_rejection(&test, "strides");
    attribute = operation_int("group", 0);
    expect_rejection(&test, "groups");
    attribute = OPERATION_INTS("pads", 1, 1);
    expect_rejection(&test, "pads");
    attribute = OPERATION_INTS("kernel_shape", 3, 3);
    expect_rejection(&test, "kernel_shape");
    test.attribute_count = 0;
    test.inputs[2] = OPERATION_TENSOR(HD_FLOAT32, data, 3);
    test.input_count = 3;
    expect_rejection(&test, "bias");
}

static void empty_tensors(void **state)
{
    (void)state;
    float data[4] = {0};
    operation_case test = {.type = "Conv", .input_count = 2,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, data, 0, 1, 3, 3),
                                      OPERATION_TENSOR(HD_FLOAT32, data, 1, 1, 2, 2)}};
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_OK);
    assert_int_equal(result.outputs[0].size, 0);
    operation_result_clear(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pointwise_is_a_product),
        cmocka_unit_test(three_by_three_with_every_width),
        cmocka_unit_test(strides_dilations_and_uneven_pads),
        cmocka_unit_test(pads_wider_than_the_kernel),
        cmocka_unit_test(groups),
        cmocka_unit_test(depthwise),
        cmocka_unit_test(one_dimension),
        cmocka_unit_test(transposed),
        cmocka_unit_test(transposed_with_a_stride_beyond_its_output_is_quick),
        cmocka_unit_test(transposed_with_the_stride_of_its_kernel_is_folded),
        cmocka_unit_test(transposed_with_dilation_takes_the_plain_kernel),
        cmocka_unit_test(activations),
        cmocka_unit_test(few_outputs),
        cmocka_unit_test(winograd_sizes),
        cmocka_unit_test(steps_and_groups_take_no_tiles),
        cmocka_unit_test(winograd_has_the_bits_of_its_definition),
        cmocka_unit_test(weights_beyond_one_tile_of_panels),
        cmocka_unit_test(automatic_padding),
        cmocka_unit_test(three_dimensions_and_double),
        cmocka_unit_test(an_output_shape_fixes_the_pads),
        cmocka_unit_test(operands_that_do_not_fit_are_rejected),
        cmocka_unit_test(empty_tensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
