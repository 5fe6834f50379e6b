#include "support/convolution_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/slowness.h"

static int64_t output_size(const convolution_case *c, int d)
{
    int64_t input = d == 0 ? c->height : c->width;
    int64_t reach = (c->kernel[d] - 1) * c->dilation[d] + 1;
    if (c->transposed) {
        return (input - 1) * c->stride[d] + c->output_padding[d] + reach - c->begin[d] - c->end[d];
    }
    return (input + c->begin[d] + c->end[d] - reach) / c->stride[d] + 1;
}

UNSANITIZED static double tap(const convolution_case *c, const float *x, const float *w, int64_t n,
                              int64_t m, int64_t oy, int64_t ox, int64_t kh, int64_t kw)
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
        int64_t row =
            c->transposed ? channel * group_outputs + m % group_outputs : m * group_channels + k;
        sum += (double)x[((n * c->channels + channel) * c->height + iy) * c->width + ix] *
               (double)w[(row * c->kernel[0] + kh) * c->kernel[1] + kw];
    }
    return sum;
}

/* [N, M, OH, OW], without activation. */
UNSANITIZED static void reference(const convolution_case *c, const float *x, const float *w,
                                  const float *bias, double *y)
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

convolution_operands convolution_operands_make(const convolution_case *c)
{
    int64_t pixels = c->height * c->width;
    int64_t weights = c->channels * c->outputs / c->group * c->kernel[0] * c->kernel[1];
    convolution_operands o = {.outputs =
                                  c->batch * c->outputs * output_size(c, 0) * output_size(c, 1)};
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

void convolution_operands_free(convolution_operands *o)
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

/* Pictures of an operand, channels first or last, without the height where there is one dimension. */
static hd_tensor pictures(const convolution_case *c, const float *data, int64_t channels,
                          int64_t height, int64_t width, bool last)
{
    if (c->one_dimensional) {
        return last ? OPERATION_TENSOR(HD_FLOAT32, data, c->batch, width, channels)
                    : OPERATION_TENSOR(HD_FLOAT32, data, c->batch, channels, width);
    }
    return last ? OPERATION_TENSOR(HD_FLOAT32, data, c->batch, height, width, channels)
                : OPERATION_TENSOR(HD_FLOAT32, data, c->batch, channels, height, width);
}

hd_tensor convolution_weights(const convolution_case *c, const float *w)
{
    int64_t first = c->transposed ? c->channels : c->outputs;
    int64_t second = (c->transposed ? c->outputs : c->channels) / c->group;
    return c->one_dimensional
               ? OPERATION_TENSOR(HD_FLOAT32, w, first, second, c->kernel[1])
               : OPERATION_TENSOR(HD_FLOAT32, w, first, second, c->kernel[0], c->kernel[1]);
}

hd_packed *convolution_pack_weights(operation_case *test, int64_t group)
{
    hd_operand inputs[2] = {{.dtype = HD_FLOAT32},
                            {.dtype = HD_FLOAT32, .data = test->inputs[1].data}};
    inputs[1].shape.rank = test->inputs[1].rank;
    memcpy(inputs[1].shape.dims, test->inputs[1].dims, sizeof inputs[1].shape.dims);
    hd_operation operation = {.id = hd_operator_lookup(test->type),
                              .attributes = test->attributes,
                              .attribute_count = test->attribute_count,
                              .inputs = inputs,
                              .input_count = 2,
                              .fused = test->fused};
    hd_cpu_packing_kind packing = hd_cpu_packing(&operation, 1);
    if (packing == HD_PACKING_NONE) {
        return NULL;
    }
    hd_packed *packed = NULL;
    assert_int_equal(hd_cpu_pack(packing, &inputs[1], group, &packed, NULL), HD_OK);
    return packed;
}

/* ONNX's operator, [N, C, H, W], with packed weights and with others. */
static void check_planar(const convolution_case *c)
{
    convolution_operands o = convolution_operands_make(c);
    int first = c->one_dimensional ? 1 : 0;
    size_t count = c->one_dimensional ? 1 : 2;
    int64_t pads[4] = {c->begin[0], c->begin[1], c->end[0], c->end[1]};
    if (c->one_dimensional) {
        pads[0] = c->begin[1];
        pads[1] = c->end[1];
    }
    hd_attribute attributes[] = {
        operation_int("group", c->group), operation_ints("strides", c->stride + first, count),
        operation_ints("dilations", c->dilation + first, count),
        operation_ints("pads", pads, 2 * count),
        operation_ints("output_padding", c->output_padding + first, count)};
    operation_case test = {.type = c->transposed ? "ConvTranspose" : "Conv",
                           .attributes = attributes,
                           .attribute_count = c->transposed ? 5 : 4,
                           .input_count = 3};
    test.inputs[0] = pictures(c, o.x, c->channels, c->height, c->width, false);
    test.inputs[1] = convolution_weights(c, o.w);
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
    hd_packed *packed = convolution_pack_weights(&test, c->group);
    if (packed != NULL) {
        test.packed[1] = packed;
        operation_result other;
        assert_int_equal(operation_run(&test, &other), HD_OK);
        if (hd_cpu_packed_packing(packed) == HD_PACKING_CONVOLUTION_WINOGRAD) {
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
    convolution_operands_free(&o);
}

/* "heddle.…", with packed weights, residual and activation. */
void convolution_check_fused(const convolution_case *c, hd_activation activation, bool residual)
{
    convolution_operands o = convolution_operands_make(c);
    hd_fused fused = {.id = c->transposed ? HD_OP_HEDDLE_CONV_TRANSPOSE : HD_OP_HEDDLE_CONV,
                      .convolution = {.group = c->group, .activation = activation}};
    for (int d = c->one_dimensional ? 1 : 0, to = 0; d < 2; d++, to++) {
        fused.convolution.kernel[to] = c->kernel[d];
        fused.convolution.stride[to] = c->stride[d];
        fused.convolution.dilation[to] = c->dilation[d];
        fused.convolution.pad_begin[to] = c->begin[d];
        fused.convolution.pad_end[to] = c->end[d];
        fused.convolution.output_padding[to] = c->output_padding[d];
    }
    int64_t oh = output_size(c, 0), ow = output_size(c, 1);
    operation_case test = {.type = c->transposed ? "heddle.ConvTranspose" : "heddle.Conv",
                           .input_count = residual ? 4 : 3,
                           .fused = &fused};
    test.inputs[0] = pictures(c, o.x_last, c->channels, c->height, c->width, true);
    test.inputs[1] = convolution_weights(c, o.w);
    test.inputs[2] = OPERATION_TENSOR(HD_FLOAT32, o.bias, c->outputs);
    if (residual) {
        test.inputs[3] = pictures(c, o.residual, c->outputs, oh, ow, true);
    }
    hd_packed *packed = convolution_pack_weights(&test, c->group);
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
    convolution_operands_free(&o);
}

void convolution_check(const convolution_case *c)
{
    check_planar(c);
    hd_activation none = {.kind = HD_ACTIVATION_NONE}, relu = {.kind = HD_ACTIVATION_RELU};
    convolution_check_fused(c, none, false);
    convolution_check_fused(c, relu, true);
}
