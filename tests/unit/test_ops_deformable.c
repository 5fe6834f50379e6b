/* DeformConv against its definition in double precision, and the bits of several tiles. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "operation_runner.h"

typedef struct sizes {
    int64_t batch, channels, outputs, group, offset_groups, height, width, kernel_height,
        kernel_width;
    int64_t stride, dilation, pad;
    bool has_mask, has_bias;
} sizes;

static float *floats(int64_t count, uint32_t seed, float scale)
{
    float *values = hd_alloc_aligned((size_t)(count + 1) * sizeof *values);
    assert_non_null(values);
    operation_fill_floats(values, count, seed);
    for (int64_t i = 0; i < count; i++) {
        values[i] *= scale;
    }
    return values;
}

static double pixel_at(const sizes *s, const float *plane, double row, double column)
{
    return row >= 0 && column >= 0 && row < (double)s->height && column < (double)s->width
               ? (double)plane[(int64_t)row * s->width + (int64_t)column]
               : 0.0;
}

static double between(const sizes *s, const float *plane, double y, double x)
{
    const double top = floor(y), left = floor(x), down = y - top, right = x - left;
    return (1 - down) * ((1 - right) * pixel_at(s, plane, top, left) +
                         right * pixel_at(s, plane, top, left + 1)) +
           down * ((1 - right) * pixel_at(s, plane, top + 1, left) +
                   right * pixel_at(s, plane, top + 1, left + 1));
}

static void check(const sizes *s)
{
    const int64_t kernel = s->kernel_height * s->kernel_width, own = s->channels / s->group;
    const int64_t out_height =
        (s->height + 2 * s->pad - (s->kernel_height - 1) * s->dilation - 1) / s->stride + 1;
    const int64_t out_width =
        (s->width + 2 * s->pad - (s->kernel_width - 1) * s->dilation - 1) / s->stride + 1;
    const int64_t pixels = out_height * out_width, places = s->offset_groups * kernel;
    float *x = floats(s->batch * s->channels * s->height * s->width, 1, 1.0f);
    float *w = floats(s->outputs * own * kernel, 2, 1.0f);
    float *offsets = floats(s->batch * places * 2 * pixels, 3, 2.5f);
    float *mask = floats(s->batch * places * pixels, 4, 1.0f);
    float *bias = floats(s->outputs, 5, 1.0f);
    hd_attribute attributes[] = {operation_int("group", s->group),
                                 operation_int("offset_group", s->offset_groups),
                                 OPERATION_INTS("strides", s->stride, s->stride),
                                 OPERATION_INTS("dilations", s->dilation, s->dilation),
                                 OPERATION_INTS("pads", s->pad, s->pad, s->pad, s->pad)};
    operation_case test = {
        .type = "DeformConv", .attributes = attributes, .attribute_count = 5, .input_count = 5};
    test.inputs[0] = OPERATION_TENSOR(HD_FLOAT32, x, s->batch, s->channels, s->height, s->width);
    test.inputs[1] =
        OPERATION_TENSOR(HD_FLOAT32, w, s->outputs, own, s->kernel_height, s->kernel_width);
    test.inputs[2] =
        OPERATION_TENSOR(HD_FLOAT32, offsets, s->batch, places * 2, out_height, out_width);
    if (s->has_bias) {
        test.inputs[3] = OPERATION_TENSOR(HD_FLOAT32, bias, s->outputs);
    }
    if (s->has_mask) {
        test.inputs[4] =
            OPERATION_TENSOR(HD_FLOAT32, mask, s->batch, places, out_height, out_width);
    }
    operation_result result;
    if (operation_run(&test, &result) != HD_OK) {
        fail_msg("%s", result.error.message);
    }
    for (int64_t i = 0; i < s->batch * s->outputs * pixels; i++) {
        const int64_t pixel = i % pixels, o = i / pixels % s->outputs, n = i / pixels / s->outputs;
        double sum = s->has_bias ? (double)bias[o] : 0.0;
        for (int64_t c = 0; c < own; c++) {
            const int64_t channel = o / (s->outputs / s->group) * own + c;
            const int64_t first =
                (n * s->offset_groups + channel / (s->channels / s->offset_groups)) * kernel;
            for (int64_t k = 0; k < kernel; k++) {
                const int64_t place = (first + k) * pixels + pixel;
                const double y = (double)(pixel / out_width * s->stride - s->pad +
                                          k / s->kernel_width * s->dilation) +
                                 (double)offsets[(first + k) * 2 * pixels + pixel];
                const double at = (double)(pixel % out_width * s->stride - s->pad +
                                           k % s->kernel_width * s->dilation) +
                                  (double)offsets[((first + k) * 2 + 1) * pixels + pixel];
                sum += (double)w[(o * own + c) * kernel + k] *
                       (s->has_mask ? (double)mask[place] : 1.0) *
                       between(s, x + (n * s->channels + channel) * s->height * s->width, y, at);
            }
        }
        const double got = (double)((const float *)result.outputs[0].data)[i];
        if (!(fabs(got - sum) <= 2e-5)) {
            fail_msg("element %d: %g, expected %g", (int)i, got, sum);
        }
    }
    operation_result_clear(&result);
    operation_check_partitions(&test);
    void *owned[] = {x, w, offsets, mask, bias};
    for (size_t i = 0; i < 5; i++) {
        hd_free(owned[i]);
    }
}

static void it_is_its_definition(void **state)
{
    (void)state;
    check(&(sizes){1, 1, 1, 1, 1, 3, 3, 2, 2, 1, 1, 0, false, false});
    check(&(sizes){2, 4, 6, 2, 4, 7, 6, 3, 2, 2, 1, 1, true, true});
    check(&(sizes){1, 4, 2, 1, 2, 8, 9, 3, 3, 1, 2, 2, false, true});
}

static void many_pixels_have_the_same_bits(void **state)
{
    (void)state;
    check(&(sizes){2, 8, 8, 2, 1, 30, 33, 3, 3, 1, 1, 1, true, true});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_its_definition),
        cmocka_unit_test(many_pixels_have_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
