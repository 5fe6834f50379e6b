/* Spectra against their definition, for lengths with and without the factor 2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "support/operation_runner.h"

#define TURN 6.283185307179586
#define MOST 100000

static float source[MOST];
static float expected[MOST];

static void check(const operation_case *test, uint32_t rank, const int64_t *dims)
{
    operation_result result;
    if (operation_run(test, &result) != HD_OK) {
        fail_msg("%s", result.error.message);
    }
    hd_tensor wanted = operation_tensor(HD_FLOAT32, expected, rank, dims);
    operation_check_close(&result.outputs[0], &wanted, 1e-5, 1e-5);
    operation_result_clear(&result);
    operation_check_partitions(test);
}

static void dft_follows_its_definition_along_an_inner_axis(void **state)
{
    (void)state;
    static const int64_t lengths[] = {1, 2, 7, 12, 64, 90};
    operation_fill_floats(source, MOST, 3);
    for (size_t c = 0; c < 12; c++) {
        int64_t n = lengths[c / 2], inverse = (int64_t)c % 2;
        for (int64_t lane = 0; lane < 3 * 5; lane++) {
            int64_t base = lane / 5 * n * 5 + lane % 5;
            for (int64_t k = 0; k < n; k++) {
                double re = 0, im = 0;
                for (int64_t t = 0; t < n; t++) {
                    double angle = (inverse != 0 ? TURN : -TURN) * (double)(k * t % n) / (double)n;
                    double a = (double)source[2 * (base + t * 5)];
                    double b = (double)source[2 * (base + t * 5) + 1];
                    re += a * cos(angle) - b * sin(angle);
                    im += a * sin(angle) + b * cos(angle);
                }
                double scale = inverse != 0 ? 1 / (double)n : 1;
                expected[2 * (base + k * 5)] = (float)(re * scale);
                expected[2 * (base + k * 5) + 1] = (float)(im * scale);
            }
        }
        hd_attribute attributes[] = {operation_int("inverse", inverse), operation_int("axis", 1)};
        operation_case test = {.type = "DFT",
                               .opset = 17,
                               .attributes = attributes,
                               .attribute_count = 2,
                               .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 3, n, 5, 2)},
                               .input_count = 1};
        check(&test, 4, (int64_t[]){3, n, 5, 2});
    }
}

static void stft_transforms_each_windowed_frame(void **state)
{
    (void)state;
    static const int64_t step = 77, length = 100;
    static float window[100];
    operation_fill_floats(source, MOST, 4);
    operation_fill_floats(window, 100, 5);
    for (int64_t row = 0; row < 2 * 12; row++) {
        for (int64_t k = 0; k < 51; k++) {
            double re = 0, im = 0;
            for (int64_t t = 0; t < 100; t++) {
                double angle = -TURN * (double)(k * t % 100) / 100;
                double value =
                    (double)window[t] * (double)source[row / 12 * 1000 + row % 12 * step + t];
                re += value * cos(angle);
                im += value * sin(angle);
            }
            expected[2 * (row * 51 + k)] = (float)re;
            expected[2 * (row * 51 + k) + 1] = (float)im;
        }
    }
    operation_case test = {.type = "STFT",
                           .opset = 17,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 2, 1000, 1),
                                      OPERATION_SCALAR(HD_INT64, &step),
                                      OPERATION_TENSOR(HD_FLOAT32, window, 100),
                                      OPERATION_SCALAR(HD_INT64, &length)},
                           .input_count = 4};
    check(&test, 4, (int64_t[]){2, 12, 51, 2});
}

static void hann_window_of_one_point_is_one(void **state)
{
    (void)state;
    static const int64_t size = 1;
    hd_attribute symmetric[] = {operation_int("periodic", 0)};
    operation_case test = {.type = "HannWindow",
                           .opset = 17,
                           .attributes = symmetric,
                           .attribute_count = 1,
                           .inputs = {OPERATION_SCALAR(HD_INT64, &size)},
                           .input_count = 1};
    expected[0] = 1;
    check(&test, 1, (int64_t[]){1});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dft_follows_its_definition_along_an_inner_axis),
        cmocka_unit_test(stft_transforms_each_windowed_frame),
        cmocka_unit_test(hann_window_of_one_point_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
