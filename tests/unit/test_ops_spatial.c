/* Pooling, resizing and sampling, each against plain loops, over odd sizes, tiles in any order; what is
 * out of range in the data does no harm. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "support/operation_runner.h"

#define MOST 250000

static float source[MOST], moved[MOST], expected[MOST], again[MOST];
static int64_t places[MOST];

static int setup(void **state)
{
    (void)state;
    operation_fill_floats(source, MOST, 31);
    return 0;
}

static void check(const operation_case *test, const hd_tensor *wanted)
{
    operation_result result;
    if (operation_run(test, &result) != HD_OK) {
        fail_msg("%s", result.error.message);
    }
    operation_check_close(&result.outputs[0], wanted, 1e-5, 1e-5);
    operation_result_clear(&result);
    operation_check_partitions(test);
}

/* [n, c, h, w] to [n, h, w, c] */
static void to_last(float *to, const float *from, int64_t n, int64_t c, int64_t h, int64_t w)
{
    for (int64_t i = 0; i < n * c * h * w; i++) {
        int64_t column = i % w, row = i / w % h, channel = i / (w * h) % c, image = i / (w * h * c);
        to[((image * h + row) * w + column) * c + channel] = from[i];
    }
}

/* One pooling over 2 x c x h x w, with a 3 x 2 kernel; gives the output's size. */
typedef struct pooling {
    int64_t c, h, w, stride, dilation, pad;
    bool maximum, include_pad;
} pooling;

static void pool_reference(const pooling *p, int64_t *out_h, int64_t *out_w)
{
    int64_t kernel[2] = {3, 2}, in[2] = {p->h, p->w}, out[2];
    for (int i = 0; i < 2; i++) {
        out[i] = (in[i] + 2 * p->pad - p->dilation * (kernel[i] - 1) - 1) / p->stride + 1;
    }
    for (int64_t o = 0; o < 2 * p->c * out[0] * out[1]; o++) {
        const float *x = source + o / (out[0] * out[1]) * p->h * p->w;
        double sum = 0, most = -INFINITY;
        int64_t count = 0, best = 0;
        for (int64_t k = 0; k < 6; k++) {
            int64_t row = o / out[1] % out[0] * p->stride - p->pad + k / 2 * p->dilation;
            int64_t column = o % out[1] * p->stride - p->pad + k % 2 * p->dilation;
            if (row < 0 || row >= p->h || column < 0 || column >= p->w) {
                continue;
            }
            double value = (double)x[row * p->w + column];
            best = value > most ? row * p->w + column : best;
            most = fmax(most, value);
            sum += value;
            count++;
        }
        expected[o] = (float)(p->maximum ? most : sum / (double)(p->include_pad ? 6 : count));
        places[o] = x - source + best;
    }
    *out_h = out[0];
    *out_w = out[1];
}

static void check_pool(pooling p)
{
    int64_t h, w;
    pool_reference(&p, &h, &w);
    hd_attribute attributes[] = {OPERATION_INTS("kernel_shape", 3, 2),
                                 OPERATION_INTS("strides", p.stride, p.stride),
                                 OPERATION_INTS("dilations", p.dilation, p.dilation),
                                 OPERATION_INTS("pads", p.pad, p.pad, p.pad, p.pad),
                                 operation_int("count_include_pad", p.include_pad)};
    operation_case test = {.type = p.maximum ? "MaxPool" : "AveragePool",
                           .opset = 19,
                           .attributes = attributes,
                           .attribute_count = 5,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 2, p.c, p.h, p.w)},
                           .input_count = 1};
    hd_tensor wanted = OPERATION_TENSOR(HD_FLOAT32, expected, 2, p.c, h, w);
    check(&test, &wanted);
    if (p.maximum) {
        test.output_count = 2;
        operation_result result;
        assert_int_equal(operation_run(&test, &result), HD_OK);
        assert_memory_equal(result.outputs[1].data, places,
                            sizeof *places * (size_t)(2 * p.c * h * w));
        operation_check_close(&result.outputs[0], &wanted, 0, 0);
        operation_result_clear(&result);
        test.output_count = 1;
    }
    to_last(moved, source, 2, p.c, p.h, p.w);
    to_last(again, expected, 2, p.c, h, w);
    test.type = p.maximum ? "heddle.MaxPool" : "heddle.AveragePool";
    test.inputs[0] = OPERATION_TENSOR(HD_FLOAT32, moved, 2, p.h, p.w, p.c);
    wanted = OPERATION_TENSOR(HD_FLOAT32, again, 2, h, w, p.c);
    check(&test, &wanted);
}

static void pools_agree_with_loops_in_both_layouts(void **state)
{
    (void)state;
    for (int maximum = 0; maximum < 2; maximum++) {
        check_pool((pooling){3, 7, 9, 1, 1, 0, maximum, false});
        check_pool((pooling){19, 13, 21, 2, 1, 1, maximum, false});
        check_pool((pooling){5, 33, 40, 3, 2, 1, maximum, true});
        check_pool((pooling){16, 9, 14, 4, 1, 1, maximum, false});
        check_pool((pooling){48, 8, 2, 2, 1, 1, maximum, true}); /* no window inside */
        /* tiles end before such a row does */
        check_pool((pooling){33, 800, 3, 2, 3, 3, maximum, true});
        check_pool((pooling){33, 5, 6, 1, 2, 1, maximum, true});
        check_pool((pooling){1100, 4, 23, 1, 1, 1, maximum, false}); /* rows of several segments */
        check_pool((pooling){1100, 4, 23, 2, 1, 1, maximum, true});
    }
}

static void ceil_mode_leaves_out_windows_in_the_padding(void **state)
{
    (void)state;
    hd_attribute attributes[] = {OPERATION_INTS("kernel_shape", 1), OPERATION_INTS("strides", 2),
                                 OPERATION_INTS("pads", 0, 1), operation_int("ceil_mode", 1)};
    operation_case test = {.type = "MaxPool",
                           .opset = 12,
                           .attributes = attributes,
                           .attribute_count = 4,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 1, 1, 4)},
                           .input_count = 1};
    float wanted_values[] = {source[0], source[2]};
    hd_tensor wanted = OPERATION_TENSOR(HD_FLOAT32, wanted_values, 1, 1, 2);
    check(&test, &wanted);
}

static void a_window_larger_than_its_input_is_refused(void **state)
{
    (void)state;
    hd_attribute attributes[] = {OPERATION_INTS("kernel_shape", 5)};
    operation_case test = {.type = "MaxPool",
                           .attributes = attributes,
                           .attribute_count = 1,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 1, 1, 4)},
                           .input_count = 1};
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_INVALID_ARGUMENT);
    operation_result_clear(&result);
}

static void global_average_agrees_in_both_layouts(void **state)
{
    (void)state;
    int64_t c = 131, h = 7, w = 9;
    for (int64_t i = 0; i < 2 * c; i++) {
        double sum = 0;
        for (int64_t k = 0; k < h * w; k++) {
            sum += (double)source[i * h * w + k];
        }
        expected[i] = (float)(sum / (double)(h * w));
    }
    operation_case test = {.type = "GlobalAveragePool",
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 2, c, h, w)},
                           .input_count = 1};
    hd_tensor wanted = OPERATION_TENSOR(HD_FLOAT32, expected, 2, c, 1, 1);
    check(&test, &wanted);
    to_last(moved, source, 2, c, h, w);
    test.type = "heddle.GlobalAveragePool";
    test.inputs[0] = OPERATION_TENSOR(HD_FLOAT32, moved, 2, h, w, c);
    wanted = OPERATION_TENSOR(HD_FLOAT32, expected, 2, 1, 1, c);
    check(&test, &wanted);
}

/* Bilinear (half_pixel) or nearest (asymmetric, floor) resizing of 2 x c x h x w by whole factors. */
static void check_resize(bool linear, int64_t c, int64_t h, int64_t w, int64_t down, int64_t right)
{
    int64_t out_h = h * down, out_w = w * right;
    float scales[] = {1, 1, (float)down, (float)right};
    for (int64_t o = 0; o < 2 * c * out_h * out_w; o++) {
        const float *x = source + o / (out_h * out_w) * h * w;
        int64_t row = o / out_w % out_h, column = o % out_w;
        double y = linear ? ((double)row + 0.5) / (double)down - 0.5 : (double)(row / down);
        double z = linear ? ((double)column + 0.5) / (double)right - 0.5 : (double)(column / right);
        double sum = 0;
        for (int k = 0; k < 4; k++) {
            double at_y = floor(y) + k / 2, at_z = floor(z) + k % 2;
            double weight = (1 - fabs(y - at_y)) * (1 - fabs(z - at_z));
            int64_t i = (int64_t)fmin(fmax(at_y, 0), (double)h - 1);
            int64_t j = (int64_t)fmin(fmax(at_z, 0), (double)w - 1);
            sum += weight * (double)x[i * w + j];
        }
        expected[o] = (float)sum;
    }
    hd_attribute attributes[] = {
        operation_string("mode", linear ? "linear" : "nearest"),
        operation_string("coordinate_transformation_mode", linear ? "half_pixel" : "asymmetric"),
        operation_string("nearest_mode", "floor")};
    operation_case test = {.type = "Resize",
                           .opset = 13,
                           .attributes = attributes,
                           .attribute_count = 3,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 2, c, h, w),
                                      {0},
                                      OPERATION_TENSOR(HD_FLOAT32, scales, 4)},
                           .input_count = 3};
    hd_tensor wanted = OPERATION_TENSOR(HD_FLOAT32, expected, 2, c, out_h, out_w);
    check(&test, &wanted);
    to_last(moved, source, 2, c, h, w);
    to_last(again, expected, 2, c, out_h, out_w);
    test.type = "heddle.Resize";
    test.inputs[0] = OPERATION_TENSOR(HD_FLOAT32, moved, 2, h, w, c);
    wanted = OPERATION_TENSOR(HD_FLOAT32, again, 2, out_h, out_w, c);
    check(&test, &wanted);
}

static void resize_agrees_in_both_layouts(void **state)
{
    (void)state;
    for (int linear = 0; linear < 2; linear++) {
        check_resize(linear, 3, 5, 7, 2, 2);
        check_resize(linear, 17, 9, 4, 3, 1);
        check_resize(linear, 8, 11, 13, 1, 4);
    }
}

static int64_t floor_of(int64_t numerator, int64_t denominator)
{
    return (numerator >= 0 ? numerator : numerator - denominator + 1) / denominator;
}

/* Nearest places by whole numbers: position p of half_pixel is ((2p + 1)·in - out) / (2·out), of asymmetric p·in / out,
 * of align_corners p·(in - 1) / (out - 1). */
static int64_t nearest_place(const char *transformation, const char *nearest, int64_t p, int64_t in,
                             int64_t out)
{
    bool is_half = strstr(transformation, "half_pixel") != NULL;
    bool is_single = out == 1 && strcmp(transformation, "half_pixel") != 0;
    bool is_aligned = strcmp(transformation, "align_corners") == 0;
    int64_t numerator = is_half      ? (2 * p + 1) * in - out
                        : is_aligned ? 2 * p * (in - 1)
                                     : 2 * p * in;
    int64_t denominator = is_aligned ? 2 * (out - 1) : 2 * out;
    if (is_single && (is_aligned || is_half)) {
        return 0;
    }
    int64_t place = strcmp(nearest, "floor") == 0  ? floor_of(numerator, denominator)
                    : strcmp(nearest, "ceil") == 0 ? -floor_of(-numerator, denominator)
                    : strcmp(nearest, "round_prefer_ceil") == 0
                        ? floor_of(2 * numerator + denominator, 2 * denominator)
                        : -floor_of(denominator - 2 * numerator, 2 * denominator);
    return place < 0 ? 0 : place >= in ? in - 1 : place;
}

static void resize_meets_halfway_positions_exactly(void **state)
{
    (void)state;
    static const char *const transformations[] = {"half_pixel", "pytorch_half_pixel", "asymmetric",
                                                  "align_corners"};
    static const char *const modes[] = {"floor", "ceil", "round_prefer_floor", "round_prefer_ceil"};
    static float x[64], y[64];
    for (int i = 0; i < 64; i++) {
        x[i] = (float)i;
    }
    for (int c = 0; c < 16 * 55 * 5; c++) {
        const char *transformation = transformations[c % 4], *nearest = modes[c / 4 % 4];
        static const int64_t from[] = {5, 10, 35, 50, 64};
        int64_t in = from[c / 16 % 5], out = c / 80 + 1;
        if (in == out) {
            continue;
        }
        for (int64_t p = 0; p < out; p++) {
            y[p] = (float)nearest_place(transformation, nearest, p, in, out);
        }
        hd_attribute attributes[] = {
            operation_string("mode", "nearest"), operation_string("nearest_mode", nearest),
            operation_string("coordinate_transformation_mode", transformation)};
        operation_case test = {.type = "Resize",
                               .opset = 13,
                               .attributes = attributes,
                               .attribute_count = 3,
                               .inputs = {OPERATION_TENSOR(HD_FLOAT32, x, in),
                                          {0},
                                          {0},
                                          OPERATION_TENSOR(HD_INT64, &out, 1)},
                               .input_count = 4,
                               .known_inputs = 8};
        operation_result result;
        assert_int_equal(operation_run(&test, &result), HD_OK);
        hd_tensor wanted = OPERATION_TENSOR(HD_FLOAT32, y, out);
        operation_check_output(&result.outputs[0], &wanted);
        operation_result_clear(&result);
    }
}

/* The first is ONNX's example of opset 10; onnxruntime gives the others. */
static void resize_of_opset_10_takes_the_next_element_where_it_shrinks(void **state)
{
    (void)state;
    static const struct {
        int64_t in[2], out[2];
        float scales[2];
        int64_t rows[3], columns[10];
    } cases[] = {
        {{2, 4}, {1, 2}, {0.6f, 0.6f}, {0}, {0, 2}},
        {{1, 5}, {1, 3}, {1, 0.6f}, {0}, {0, 2, 4}},
        {{2, 4}, {3, 2}, {1.5f, 0.5f}, {0, 0, 1}, {0, 2}},
        {{1, 10}, {1, 7}, {1, 0.7f}, {0}, {0, 2, 3, 5, 6, 8, 9}},
        {{1, 15}, {1, 10}, {1, 0.7f}, {0}, {0, 2, 3, 5, 6, 8, 9, 10, 12, 13}},
    };
    hd_attribute attribute = operation_string("mode", "nearest");
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        float y[16];
        const int64_t *in = cases[c].in, *out = cases[c].out;
        for (int64_t i = 0; i < out[0] * out[1]; i++) {
            y[i] = source[cases[c].rows[i / out[1]] * in[1] + cases[c].columns[i % out[1]]];
        }
        operation_case test = {.type = "Resize",
                               .opset = 10,
                               .attributes = &attribute,
                               .attribute_count = 1,
                               .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, in[0], in[1]),
                                          OPERATION_TENSOR(HD_FLOAT32, cases[c].scales, 2)},
                               .input_count = 2,
                               .known_inputs = 2};
        operation_result result;
        assert_int_equal(operation_run(&test, &result), HD_OK);
        hd_tensor wanted = OPERATION_TENSOR(HD_FLOAT32, y, out[0], out[1]);
        operation_check_output(&result.outputs[0], &wanted);
        operation_result_clear(&result);
    }
}

static void resize_to_absurd_sizes_is_refused(void **state)
{
    (void)state;
    static const float scales[] = {1e30f, NAN, 0.0f, -1.0f};
    for (int i = 0; i < 4; i++) {
        operation_case test = {.type = "Resize",
                               .opset = 13,
                               .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 4),
                                          {0},
                                          OPERATION_TENSOR(HD_FLOAT32, &scales[i], 1)},
                               .input_count = 3};
        operation_result result;
        assert_int_equal(operation_run(&test, &result), HD_BAD_MODEL);
        operation_result_clear(&result);
    }
}

static void unpool_leaves_out_places_that_do_not_exist(void **state)
{
    (void)state;
    static const int64_t at[] = {3, -1, INT64_MAX, 5};
    float wanted_values[8] = {0};
    wanted_values[3] = source[0];
    wanted_values[5] = source[3];
    hd_attribute attributes[] = {OPERATION_INTS("kernel_shape", 2), OPERATION_INTS("strides", 2)};
    operation_case test = {.type = "MaxUnpool",
                           .attributes = attributes,
                           .attribute_count = 2,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 1, 1, 4),
                                      OPERATION_TENSOR(HD_INT64, at, 1, 1, 4)},
                           .input_count = 2};
    hd_tensor wanted = OPERATION_TENSOR(HD_FLOAT32, wanted_values, 1, 1, 8);
    check(&test, &wanted);
}

static void regions_without_an_image_are_zero(void **state)
{
    (void)state;
    static const float rois[] = {0, 0, 4, 4, NAN, -1e30f, INFINITY, 1e30f};
    static const int64_t images[] = {7, 0};
    operation_case test = {.type = "RoiAlign",
                           .opset = 16,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 1, 1, 5, 5),
                                      OPERATION_TENSOR(HD_FLOAT32, rois, 2, 4),
                                      OPERATION_TENSOR(HD_INT64, images, 2)},
                           .input_count = 3};
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_OK);
    assert_true(((float *)result.outputs[0].data)[0] == 0.0f);
    operation_result_clear(&result);
}

static void grids_may_hold_anything(void **state)
{
    (void)state;
    static const float grid[] = {NAN, 0, INFINITY, -INFINITY, 1e38f, -1e38f, 0, 0};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    static const char *const modes[] = {"linear", "nearest", "cubic"};
    for (int i = 0; i < 9; i++) {
        hd_attribute attributes[] = {operation_string("padding_mode", paddings[i / 3]),
                                     operation_string("mode", modes[i % 3])};
        operation_case test = {.type = "GridSample",
                               .opset = 20,
                               .attributes = attributes,
                               .attribute_count = 2,
                               .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 1, 2, 5, 5),
                                          OPERATION_TENSOR(HD_FLOAT32, grid, 1, 2, 2, 2)},
                               .input_count = 2};
        operation_result result;
        assert_int_equal(operation_run(&test, &result), HD_OK);
        /* The middle of the image, whatever the mode. */
        assert_true(fabsf(((float *)result.outputs[0].data)[3] - source[12]) < 1e-6f);
        operation_result_clear(&result);
    }
}

static void suppression_keeps_the_best_of_overlapping_boxes(void **state)
{
    (void)state;
    static const float boxes[] = {0, 0, 1, 1, 0, 0.1f, 1, 1.1f, 0, 5, 1, 6, 1, 6, 0, 5};
    static const float scores[] = {0.5f, 0.9f, 0.3f, 0.7f};
    static const int64_t limit = 3;
    static const float most = 0.5f;
    static const int64_t kept[] = {0, 0, 1, 0, 0, 3};
    operation_case test = {.type = "NonMaxSuppression",
                           .opset = 11,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, boxes, 1, 4, 4),
                                      OPERATION_TENSOR(HD_FLOAT32, scores, 1, 1, 4),
                                      OPERATION_TENSOR(HD_INT64, &limit, 1),
                                      OPERATION_TENSOR(HD_FLOAT32, &most, 1)},
                           .input_count = 4};
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_OK);
    hd_tensor wanted = OPERATION_TENSOR(HD_INT64, kept, 2, 3);
    operation_check_output(&result.outputs[0], &wanted);
    operation_result_clear(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools_agree_with_loops_in_both_layouts),
        cmocka_unit_test(ceil_mode_leaves_out_windows_in_the_padding),
        cmocka_unit_test(a_window_larger_than_its_input_is_refused),
        cmocka_unit_test(global_average_agrees_in_both_layouts),
        cmocka_unit_test(resize_agrees_in_both_layouts),
        cmocka_unit_test(resize_meets_halfway_positions_exactly),
        cmocka_unit_test(resize_of_opset_10_takes_the_next_element_where_it_shrinks),
        cmocka_unit_test(resize_to_absurd_sizes_is_refused),
        cmocka_unit_test(unpool_leaves_out_places_that_do_not_exist),
        cmocka_unit_test(regions_without_an_image_are_zero),
        cmocka_unit_test(grids_may_hold_anything),
        cmocka_unit_test(suppression_keeps_the_best_of_overlapping_boxes),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
