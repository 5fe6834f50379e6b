/* Convolutions against a plain reference in double precision, and equal bits for any partition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "support/convolution_case.h"

static void pointwise_is_a_product(void **state)
{
    (void)state;
    const int64_t channels[] = {1, 3, 16, 37}, outputs[] = {1, 8, 16, 17, 32, 33, 50};
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 7; j++) {
            convolution_check(&(convolution_case){CONVOLUTION_PLAIN, .batch = 2,
                                                  .channels = channels[i], .outputs = outputs[j],
                                                  .height = 3, .width = 11, .kernel = {1, 1}});
        }
    }
}

static void three_by_three_with_every_width(void **state)
{
    (void)state;
    for (int64_t width = 1; width < 34; width++) {
        convolution_check(&(convolution_case){CONVOLUTION_PLAIN, .batch = 1, .channels = 5,
                                              .outputs = 19, .height = 4, .width = width,
                                              .kernel = {3, 3}, .begin = {1, 1}, .end = {1, 1}});
    }
}

static void strides_dilations_and_uneven_pads(void **state)
{
    (void)state;
    for (int64_t stride = 1; stride <= 3; stride++) {
        for (int64_t dilation = 1; dilation <= 3; dilation++) {
            convolution_check(&(convolution_case){.group = 1,
                                                  .batch = 2,
                                                  .channels = 3,
                                                  .outputs = 24,
                                                  .height = 13,
                                                  .width = 29,
                                                  .kernel = {3, 2},
                                                  .stride = {stride, 4 - stride},
                                                  .dilation = {dilation, 4 - dilation},
                                                  .begin = {2, 0},
                                                  .end = {0, 3}});
        }
    }
}

static void pads_wider_than_the_kernel(void **state)
{
    (void)state;
    convolution_check(&(convolution_case){CONVOLUTION_PLAIN, .batch = 1, .channels = 4,
                                          .outputs = 8, .height = 2, .width = 2, .kernel = {2, 2},
                                          .begin = {3, 4}, .end = {5, 3}});
    convolution_check(&(convolution_case){CONVOLUTION_PLAIN, .batch = 1, .channels = 8,
                                          .outputs = 8, .height = 7, .width = 9, .kernel = {2, 2},
                                          .begin = {-1, -2}, .end = {0, -1}});
}

static void groups(void **state)
{
    (void)state;
    convolution_check(&(convolution_case){.group = 2,
                                          .stride = {1, 1},
                                          .dilation = {1, 1},
                                          .batch = 2,
                                          .channels = 6,
                                          .outputs = 70,
                                          .height = 5,
                                          .width = 17,
                                          .kernel = {3, 3},
                                          .begin = {1, 1},
                                          .end = {1, 1}});
    convolution_check(&(convolution_case){.group = 4,
                                          .stride = {2, 2},
                                          .dilation = {1, 2},
                                          .batch = 1,
                                          .channels = 8,
                                          .outputs = 12,
                                          .height = 9,
                                          .width = 17,
                                          .kernel = {1, 3},
                                          .begin = {0, 1},
                                          .end = {0, 1}});
    convolution_check(&(convolution_case){.group = 3,
                                          .stride = {1, 1},
                                          .dilation = {1, 1},
                                          .batch = 1,
                                          .channels = 3,
                                          .outputs = 6,
                                          .height = 5,
                                          .width = 8,
                                          .kernel = {2, 2}});
}

static void depthwise(void **state)
{
    (void)state;
    const int64_t channels[] = {2, 8, 16, 24, 33, 64, 100};
    for (size_t i = 0; i < 7; i++) {
        for (int64_t kernel = 1; kernel <= 7; kernel += 2) {
            for (int64_t stride = 1; stride <= 2; stride++) {
                int64_t pad = kernel / 2;
                convolution_check(&(convolution_case){.group = channels[i],
                                                      .channels = channels[i],
                                                      .outputs = channels[i],
                                                      .stride = {stride, 3 - stride},
                                                      .dilation = {1, 1},
                                                      .batch = 2,
                                                      .height = 6,
                                                      .width = 21,
                                                      .kernel = {kernel, kernel},
                                                      .begin = {pad, pad},
                                                      .end = {pad, pad}});
            }
        }
    }
    convolution_check(&(convolution_case){.group = 20,
                                          .channels = 20,
                                          .outputs = 20,
                                          .stride = {1, 1},
                                          .dilation = {2, 3},
                                          .batch = 1,
                                          .height = 11,
                                          .width = 19,
                                          .kernel = {3, 3},
                                          .begin = {2, 5},
                                          .end = {1, 0}});
}

static void one_dimension(void **state)
{
    (void)state;
    convolution_check(&(convolution_case){CONVOLUTION_PLAIN, .one_dimensional = true, .batch = 2,
                                          .channels = 7, .outputs = 9, .height = 1, .width = 40,
                                          .kernel = {1, 5}, .begin = {0, 2}, .end = {0, 2}});
    convolution_check(&(convolution_case){.group = 1,
                                          .stride = {1, 16},
                                          .dilation = {1, 1},
                                          .one_dimensional = true,
                                          .batch = 1,
                                          .channels = 1,
                                          .outputs = 258,
                                          .height = 1,
                                          .width = 160,
                                          .kernel = {1, 64}});
}

/* Images of one column, which products take for one row, and others that only look so. */
static void one_column(void **state)
{
    (void)state;
    for (int64_t stride = 1; stride <= 2; stride++) {
        convolution_case c = {.group = 1,
                              .stride = {stride, 3},
                              .dilation = {1, 2},
                              .batch = 2,
                              .channels = 6,
                              .outputs = 36,
                              .height = 31,
                              .width = 1,
                              .kernel = {5, 1},
                              .begin = {2, 0},
                              .end = {1, 0}};
        convolution_check(&c);
        convolution_case other = c;
        other.dilation[0] = 2;
        convolution_check(&other);
        other.group = 6;
        convolution_check(&other);
        other = c;
        other.begin[1] = 1;
        convolution_check(&other);
        other = c;
        other.end[1] = 4;
        convolution_check(&other);
        other = c;
        other.width = 2;
        convolution_check(&other);
        other.kernel[1] = 2;
        other.dilation[1] = 1;
        convolution_check(&other);
        other.width = other.end[1] = 1;
        convolution_check(&other);
        other = c; /* over planes */
        other.height = 700;
        other.outputs = 7;
        other.channels = 20;
        convolution_check(&other);
    }
    for (int64_t stride = 1; stride <= 3; stride++) {
        convolution_case t = {.transposed = true,
                              .group = 1,
                              .stride = {stride, 1},
                              .dilation = {1, 1},
                              .batch = 2,
                              .channels = 7,
                              .outputs = 35,
                              .height = 13,
                              .width = 1,
                              .kernel = {3, 1}};
        convolution_check(&t); /* folded with a stride of 3 */
        t.begin[0] = 1;
        convolution_check(&t);
    }
}

static void transposed(void **state)
{
    (void)state;
    for (int64_t kernel = 1; kernel <= 5; kernel++) {
        for (int64_t stride = 1; stride <= 3; stride++) {
            convolution_check(&(convolution_case){.transposed = true,
                                                  .group = 1,
                                                  .stride = {stride, stride},
                                                  .dilation = {1, 1},
                                                  .batch = 2,
                                                  .channels = 5,
                                                  .outputs = 18,
                                                  .height = 4,
                                                  .width = 19,
                                                  .kernel = {kernel, kernel},
                                                  .begin = {kernel / 3, kernel / 2},
                                                  .end = {0, kernel / 2},
                                                  .output_padding = {stride - 1, stride / 2}});
        }
    }
    convolution_check(&(convolution_case){.transposed = true,
                                          .group = 3,
                                          .stride = {2, 2},
                                          .dilation = {1, 1},
                                          .batch = 1,
                                          .channels = 6,
                                          .outputs = 9,
                                          .height = 4,
                                          .width = 6,
                                          .kernel = {3, 3},
                                          .begin = {1, 1},
                                          .end = {1, 1}});
    convolution_check(&(convolution_case){.transposed = true,
                                          .group = 1,
                                          .stride = {1, 2},
                                          .dilation = {1, 1},
                                          .one_dimensional = true,
                                          .batch = 1,
                                          .channels = 6,
                                          .outputs = 9,
                                          .height = 1,
                                          .width = 6,
                                          .kernel = {1, 4},
                                          .begin = {0, 1},
                                          .end = {0, 1}});
}

/* Found by fuzzing: each run went through all phases of the stride, also those of no output. */
static void transposed_with_a_stride_beyond_its_output_is_quick(void **state)
{
    (void)state;
    const int64_t stride = (int64_t)1 << 27;
    convolution_case c = {.transposed = true,
                          .group = 1,
                          .stride = {stride, stride},
                          .dilation = {1, 1},
                          .batch = 1,
                          .channels = 3,
                          .outputs = 5,
                          .height = 3,
                          .width = 3,
                          .kernel = {3, 3},
                          .begin = {stride - 2, stride - 1},
                          .end = {stride - 4, stride - 2}};
    convolution_check(&c);
    c.begin[1] = 5; /* all outputs lie between the kernels */
    c.end[1] = 2 * stride - 9;
    convolution_check(&c);
    c.begin[1] = 1;
    c.stride[1] = 50; /* one kernel inside, the next cut off */
    c.end[1] = 60;
    convolution_check(&c);
}

static void transposed_with_the_stride_of_its_kernel_is_folded(void **state)
{
    (void)state;
    const int64_t outputs[] = {1, 3, 24, 40};
    for (size_t i = 0; i < 4; i++) {
        convolution_case c = {.transposed = true,
                              .group = 1,
                              .stride = {2, 2},
                              .dilation = {1, 1},
                              .batch = 2,
                              .channels = 13,
                              .outputs = outputs[i],
                              .height = 4,
                              .width = 19,
                              .kernel = {2, 2}};
        convolution_check(&c);
        hd_activation silu = {.kind = HD_ACTIVATION_SILU};
        convolution_check_fused(&c, silu, false);
        convolution_check_fused(&c, silu, true);
        hd_activation scaled = {HD_ACTIVATION_HARD_SWISH, 1.0F / 6.0F, 0.5F, true, 1.25F, 0.5F};
        convolution_check_fused(&c, scaled, false);
        convolution_check_fused(&c, scaled, true);
        c.kernel[0] = c.stride[0] = 3;
        c.kernel[1] = c.stride[1] = 1;
        convolution_check(&c);
    }
}

static void transposed_with_dilation_takes_the_plain_kernel(void **state)
{
    (void)state;
    convolution_case c = {.transposed = true,
                          .group = 2,
                          .stride = {3, 2},
                          .dilation = {2, 3},
                          .batch = 2,
                          .channels = 4,
                          .outputs = 6,
                          .height = 5,
                          .width = 4,
                          .kernel = {3, 2},
                          .begin = {1, 0},
                          .end = {0, 2}};
    convolution_check(&c);
}

static void activations(void **state)
{
    (void)state;
    convolution_case product = {CONVOLUTION_PLAIN, .batch = 2,      .channels = 9,
                                .outputs = 43,     .height = 3,     .width = 15,
                                .kernel = {3, 3},  .begin = {1, 1}, .end = {1, 1}};
    convolution_case winograd = product, depth = product;
    winograd.channels = 20;
    depth.channels = depth.outputs = depth.group = 43;
    const hd_activation all[] = {
        {.kind = HD_ACTIVATION_CLIP, .alpha = -0.25F, .beta = 0.5F},
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
        convolution_check_fused(&product, all[i], false);
        convolution_check_fused(&product, all[i], true);
        convolution_check_fused(&winograd, all[i], false);
        convolution_check_fused(&winograd, all[i], true);
        convolution_check_fused(&depth, all[i], false);
        convolution_check_fused(&depth, all[i], true);
    }
}

/* Wide enough that they are computed over planes, in several tiles, with groups of unequal size. */
static void few_outputs(void **state)
{
    (void)state;
    const int64_t outputs[] = {1, 3, 7, 12, 13, 24, 25, 37, 40};
    for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++) {
        convolution_check(&(convolution_case){CONVOLUTION_PLAIN, .batch = 2, .channels = 19,
                                              .outputs = outputs[i], .height = 21, .width = 45,
                                              .kernel = {5, 3}, .begin = {2, 1}, .end = {2, 1}});
        convolution_check(&(convolution_case){.group = 1,
                                              .stride = {1, 1},
                                              .dilation = {2, 3},
                                              .batch = 1,
                                              .channels = 16,
                                              .outputs = outputs[i],
                                              .height = 20,
                                              .width = 64,
                                              .kernel = {3, 5},
                                              .begin = {-1, 14},
                                              .end = {3, -2}});
    }
    convolution_case gated = {CONVOLUTION_PLAIN, .batch = 1,      .channels = 20,
                              .outputs = 12,     .height = 17,    .width = 61,
                              .kernel = {3, 3},  .begin = {1, 1}, .end = {1, 1}};
    convolution_check_fused(&gated, (hd_activation){.kind = HD_ACTIVATION_SILU}, true);
}

static void weights_beyond_one_tile_of_panels(void **state)
{
    (void)state;
    convolution_check(&(convolution_case){CONVOLUTION_PLAIN, .batch = 1, .channels = 130,
                                          .outputs = 150, .height = 3, .width = 16,
                                          .kernel = {3, 3}, .begin = {1, 1}, .end = {1, 1}});
    convolution_check(&(convolution_case){CONVOLUTION_PLAIN, .batch = 1, .channels = 130,
                                          .outputs = 150, .height = 3, .width = 16,
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
        operation_case test = {.type = "Conv",
                               .attributes = &attribute,
                               .attribute_count = 1,
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
    operation_case test = {.type = "Conv",
                           .input_count = 2,
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
    operation_case test = {.type = "ConvTranspose",
                           .attributes = attributes,
                           .attribute_count = 2,
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
    operation_case test = {.type = "Conv",
                           .input_count = 2,
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
    operation_case test = {.type = "Conv",
                           .input_count = 2,
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
        cmocka_unit_test(one_column),
        cmocka_unit_test(transposed),
        cmocka_unit_test(transposed_with_a_stride_beyond_its_output_is_quick),
        cmocka_unit_test(transposed_with_the_stride_of_its_kernel_is_folded),
        cmocka_unit_test(transposed_with_dilation_takes_the_plain_kernel),
        cmocka_unit_test(activations),
        cmocka_unit_test(few_outputs),
        cmocka_unit_test(weights_beyond_one_tile_of_panels),
        cmocka_unit_test(automatic_padding),
        cmocka_unit_test(three_dimensions_and_double),
        cmocka_unit_test(an_output_shape_fixes_the_pads),
        cmocka_unit_test(operands_that_do_not_fit_are_rejected),
        cmocka_unit_test(empty_tensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
