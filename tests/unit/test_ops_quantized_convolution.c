/* Quantized convolutions against plain loops: channels first and last, packed and not, groups, depthwise ones, kernels that reach
 * beyond the image. */
#include "quantized_fixture.h"

typedef struct image_case {
    int64_t batch, channels, height, width, outputs, group, kernel, stride, pad;
    hd_dtype a, b;
    bool packs;
    int64_t dilation;
} image_case;

/* [batch, channels, plane] to [batch, plane, channels]. */
static uint8_t *channels_last(const uint8_t *x, int64_t batch, int64_t channels, int64_t plane)
{
    uint8_t *turned = take((size_t)(batch * channels * plane));
    for (int64_t i = 0; i < batch * channels * plane; i++) {
        const int64_t at = i % plane, channel = i / plane % channels, n = i / plane / channels;
        turned[(n * plane + at) * channels + channel] = x[i];
    }
    return turned;
}

/* The same QLinearConv of channels that lie last. */
static void check_channels_last(const image_case *c, const operation_case *first,
                                const hd_tensor *expected)
{
    const hd_fused fused = {.id = HD_OP_HEDDLE_QLINEAR_CONV,
                            .convolution = {.group = c->group,
                                            .kernel = {c->kernel, c->kernel},
                                            .stride = {c->stride, c->stride},
                                            .dilation = {c->dilation, c->dilation},
                                            .pad_begin = {c->pad, c->pad},
                                            .pad_end = {c->pad, c->pad}}};
    const int64_t oh = expected->dims[2], ow = expected->dims[3];
    uint8_t *x = channels_last(first->inputs[0].data, c->batch, c->channels, c->height * c->width);
    uint8_t *y = channels_last(expected->data, c->batch, c->outputs, oh * ow);
    operation_case test = *first;
    test.type = "heddle.QLinearConv";
    test.fused = &fused;
    test.attribute_count = 0;
    test.inputs[0] = OPERATION_TENSOR(c->a, x, c->batch, c->height, c->width, c->channels);
    hd_tensor turned = OPERATION_TENSOR(expected->dtype, y, c->batch, oh, ow, c->outputs);
    expect(&test, &turned);
    hd_free(x);
    hd_free(y);
}

static void check_convolution(const image_case *c)
{
    const int64_t dilation = c->dilation, reach = (c->kernel - 1) * dilation + 1;
    const int64_t oh = (c->height + 2 * c->pad - reach) / c->stride + 1;
    const int64_t ow = (c->width + 2 * c->pad - reach) / c->stride + 1;
    const int64_t inner = c->channels / c->group, outputs = c->batch * c->outputs * oh * ow;
    const int64_t depth = inner * c->kernel * c->kernel;
    uint8_t *x = bytes(c->batch * c->channels * c->height * c->width, 1),
            *w = bytes(c->outputs * depth, 2);
    uint8_t *x_zero = bytes(1, 3), *w_zero = bytes(c->outputs, 4);
    int32_t *y = take((size_t)outputs * 4), *bias = take((size_t)c->outputs * 4);
    uint8_t *scaled = take((size_t)outputs);
    float *w_scale = take((size_t)c->outputs * 4), x_scale = 0.02f, y_scale = 0.9f;
    const hd_dtype y_type = c->a; /* both with the same bounds */
    const uint8_t y_zero = y_type == HD_INT8 ? (uint8_t)-9 : 119;
    operation_fill_floats(w_scale, c->outputs, 6);
    for (int64_t m = 0; m < c->outputs; m++) {
        bias[m] = (int32_t)(m * 1000 - 3000);
    }
    for (int64_t i = 0; i < outputs; i++) {
        const int64_t ox = i % ow, oy = i / ow % oh, m = i / ow / oh % c->outputs,
                      n = i / ow / oh / c->outputs;
        y[i] = 0;
        for (int64_t k = 0; k < depth; k++) {
            const int64_t channel =
                m / (c->outputs / c->group) * inner + k / (c->kernel * c->kernel);
            const int64_t iy = oy * c->stride - c->pad + k / c->kernel % c->kernel * dilation;
            const int64_t ix = ox * c->stride - c->pad + k % c->kernel * dilation;
            if (iy >= 0 && iy < c->height && ix >= 0 && ix < c->width) {
                const int64_t at = ((n * c->channels + channel) * c->height + iy) * c->width + ix;
                y[i] += (value_of(c->a, x, at) - value_of(c->a, x_zero, 0)) *
                        (value_of(c->b, w, m * depth + k) - value_of(c->b, w_zero, m));
            }
        }
        const float scale = x_scale * w_scale[m] / y_scale;
        scaled[i] = (uint8_t)(int32_t)(rounded((float)(y[i] + bias[m]) * scale, -119.0f, 136.0f) +
                                       (y_type == HD_INT8 ? -9.0f : 119.0f));
    }
    hd_attribute attributes[] = {OPERATION_INTS("pads", c->pad, c->pad, c->pad, c->pad),
                                 OPERATION_INTS("strides", c->stride, c->stride),
                                 OPERATION_INTS("dilations", dilation, dilation),
                                 operation_int("group", c->group)};
    operation_case test = {
        .type = "ConvInteger",
        .attributes = attributes,
        .attribute_count = 4,
        .input_count = 4,
        .inputs = {OPERATION_TENSOR(c->a, x, c->batch, c->channels, c->height, c->width),
                   OPERATION_TENSOR(c->b, w, c->outputs, inner, c->kernel, c->kernel),
                   OPERATION_SCALAR(c->a, x_zero), OPERATION_TENSOR(c->b, w_zero, c->outputs)}};
    hd_packed *packed = NULL;
    hd_operand weight = {.dtype = c->b,
                         .shape = {.rank = 4, .dims = {c->outputs, inner, c->kernel, c->kernel}},
                         .data = w};
    if (c->packs) {
        assert_int_equal(
            hd_cpu_pack(HD_PACKING_INTEGER_CONVOLUTION, &weight, c->group, &packed, NULL), HD_OK);
        test.packed[1] = packed;
    }
    hd_tensor expected = OPERATION_TENSOR(HD_INT32, y, c->batch, c->outputs, oh, ow);
    expect(&test, &expected);
    test.type = "QLinearConv";
    test.input_count = 9;
    const hd_tensor image = test.inputs[0], kernel = test.inputs[1], xz = test.inputs[2],
                    wz = test.inputs[3];
    const hd_tensor inputs[] = {image,
                                OPERATION_SCALAR(HD_FLOAT32, &x_scale),
                                xz,
                                kernel,
                                OPERATION_TENSOR(HD_FLOAT32, w_scale, c->outputs),
                                wz,
                                OPERATION_SCALAR(HD_FLOAT32, &y_scale),
                                OPERATION_SCALAR(y_type, &y_zero),
                                OPERATION_TENSOR(HD_INT32, bias, c->outputs)};
    memcpy(test.inputs, inputs, sizeof inputs);
    test.packed[1] = NULL;
    test.packed[3] = packed;
    expected = OPERATION_TENSOR(y_type, scaled, c->batch, c->outputs, oh, ow);
    expect(&test, &expected);
    check_channels_last(c, &test, &expected);
    if (packed != NULL) {
        hd_cpu_packed_destroy(&packed);
    }
    void *const all[] = {x, w, x_zero, w_zero, y, bias, scaled, w_scale};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        hd_free(all[i]);
    }
}

static void convolutions_of_every_kind(void **state)
{
    (void)state;
    static const image_case cases[] = {
        {1, 3, 9, 11, 5, 1, 3, 1, 1, HD_UINT8, HD_INT8, false, 1},
        {2, 8, 10, 7, 36, 1, 1, 1, 0, HD_UINT8, HD_INT8, true, 1},
        {2, 6, 9, 9, 12, 3, 3, 2, 1, HD_UINT8, HD_UINT8, true, 1},
        {1, 6, 9, 9, 12, 3, 3, 2, 1, HD_INT8, HD_INT8, false, 1},
        {2, 7, 9, 8, 7, 7, 3, 1, 1, HD_UINT8, HD_INT8, false, 1}, /* depthwise */
        {1, 4, 6, 6, 8, 4, 3, 1, 2, HD_INT8, HD_UINT8, false, 1},
        {1, 33, 14, 14, 70, 1, 3, 1, 1, HD_INT8, HD_INT8, true, 1},
        {1, 5, 7, 6, 9, 1, 5, 2, 3, HD_UINT8, HD_INT8, true,
         1}, /* a kernel's row wholly beyond the image */
        {2, 40, 5, 9, 40, 40, 3, 2, 1, HD_INT8, HD_INT8, false, 1},
        {1, 70, 6, 5, 70, 70, 3, 1, 1, HD_UINT8, HD_UINT8, false, 1},
        {1, 3, 8, 9, 3, 3, 4, 1, 2, HD_INT8, HD_UINT8, false, 2}, /* an even number of taps */
        /* lines read where the image has them: all pixels in one, with a stride, of a size that is no pack's */
        {2, 8, 9, 70, 40, 1, 1, 1, 0, HD_UINT8, HD_INT8, true, 1},
        {2, 12, 9, 8, 35, 1, 1, 2, 0, HD_UINT8, HD_UINT8, true, 1},
        {1, 12, 5, 3, 32, 1, 1, 1, 0, HD_INT8, HD_INT8, true, 1},
        /* copied lines: in pieces, apart, with runs that fill no quad, and such as would be too long */
        {1, 4, 12, 150, 33, 1, 3, 1, 1, HD_INT8, HD_INT8, true, 1},
        {2, 3, 30, 31, 32, 1, 3, 2, 1, HD_UINT8, HD_UINT8, true, 1},
        {1, 8, 13, 12, 9, 1, 3, 1, 2, HD_UINT8, HD_INT8, true, 2},
        {1, 8, 13, 12, 8, 2, 3, 2, 3, HD_INT8, HD_INT8, true, 3},
        {1, 3, 13, 12, 9, 1, 3, 1, 2, HD_UINT8, HD_INT8, true, 2},
        {1, 4, 4, 4, 8, 1, 3, 1, 3000, HD_UINT8, HD_INT8, true, 3000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_convolution(&cases[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(convolutions_of_every_kind)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
