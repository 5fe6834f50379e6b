/* Maxima and minima keep a NaN wherever it stands, and put -0 below +0: every instruction set's folds, and the
 * operators that take a maximum. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hal/cpu/extremes.h"
#include "hal/cpu/isa.h"
#include "hal/cpu/ops/rows.h"
#include "support/operation_runner.h"

#define MOST 200

extern const hd_cpu_rows hd_cpu_rows_baseline, hd_cpu_rows_avx2, hd_cpu_rows_avx512;

static const hd_cpu_rows *rows_of(hd_cpu_isa_level isa)
{
#if defined(__x86_64__)
    return isa == HD_ISA_AVX512 ? &hd_cpu_rows_avx512
           : isa == HD_ISA_AVX2 ? &hd_cpu_rows_avx2
                                : &hd_cpu_rows_baseline;
#else
    (void)isa;
    return &hd_cpu_rows_baseline;
#endif
}

static bool same_bits(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static void two_numbers_have_a_maximum_and_a_minimum(void **state)
{
    (void)state;
    assert_true(same_bits(hd_cpu_maximum_float32(-0.0f, 0.0f), 0.0f));
    assert_true(same_bits(hd_cpu_maximum_float32(0.0f, -0.0f), 0.0f));
    assert_true(same_bits(hd_cpu_minimum_float32(-0.0f, 0.0f), -0.0f));
    assert_true(same_bits(hd_cpu_minimum_float32(0.0f, -0.0f), -0.0f));
    assert_true(isnan(hd_cpu_maximum_float32(NAN, 1.0f)) &&
                isnan(hd_cpu_maximum_float32(1.0f, NAN)));
    assert_true(isnan(hd_cpu_minimum_float64((double)NAN, 1.0)) &&
                isnan(hd_cpu_minimum_float64(1.0, (double)NAN)));
    assert_true(hd_cpu_maximum_float32(-INFINITY, -3.0f) == -3.0f &&
                hd_cpu_minimum_float32(2.0f, INFINITY) == 2.0f);
    assert_true(signbit(hd_cpu_minimum_float64(0.0, -0.0)) &&
                !signbit(hd_cpu_maximum_float64(-0.0, 0.0)));
}

/* One value among `count` others, at each place: what a row, columns and windows give for it. */
static void check_folds(const hd_cpu_rows *rows, hd_cpu_fold fold, float others, float one,
                        float wanted)
{
    float x[MOST], into[MOST], y[MOST];
    for (int64_t count = 1; count <= MOST; count += count < 70 ? 1 : 13) {
        for (int64_t at = 0; at < count; at++) {
            for (int64_t i = 0; i < count; i++) {
                x[i] = i == at ? one : others;
                into[i] = others;
            }
            float expected = count == 1 ? one : wanted;
            assert_true(same_bits(rows->fold[fold](x, count), expected));
            rows->fold_into[fold](into, x, count);
            assert_true(same_bits(into[at], wanted));
            for (int64_t i = 0; i < count; i++) {
                into[i] = others;
            }
            rows->fold_into[fold](x, into, count);
            assert_true(same_bits(x[at], wanted));
            if (count % 6 == 0) {
                x[at] = one;
                hd_cpu_fold_windows windows = {.pixels = 1,
                                               .pixel_step = count,
                                               .rows = 2,
                                               .row_step = count / 2,
                                               .taps = 3,
                                               .tap_step = count / 6,
                                               .channels = count / 6};
                rows->fold_windows[fold](y, x, &windows);
                assert_true(same_bits(y[at % (count / 6)], wanted));
            }
        }
    }
}

static void folds_keep_nan_and_the_sign_of_zero_at_every_place(void **state)
{
    (void)state;
    for (hd_cpu_isa_level isa = HD_ISA_BASELINE; isa <= hd_cpu_isa(); isa++) {
        const hd_cpu_rows *rows = rows_of(isa);
        check_folds(rows, HD_FOLD_MAX, 3.0f, NAN, NAN);
        check_folds(rows, HD_FOLD_MIN, 3.0f, NAN, NAN);
        check_folds(rows, HD_FOLD_MAX, -INFINITY, -2.0f, -2.0f);
        check_folds(rows, HD_FOLD_MIN, INFINITY, 2.0f, 2.0f);
        check_folds(rows, HD_FOLD_MAX, -0.0f, 0.0f, 0.0f);
        check_folds(rows, HD_FOLD_MIN, 0.0f, -0.0f, -0.0f);
        check_folds(rows, HD_FOLD_MAX, 0.0f, -3.0f, 0.0f);
    }
}

/* Runs a case whose only output must be `wanted`, in every partition. */
static void check_output(const operation_case *test, const hd_tensor *wanted)
{
    operation_result result;
    if (operation_run(test, &result) != HD_OK) {
        fail_msg("%s: %s", test->type, result.error.message);
    }
    operation_check_close(&result.outputs[0], wanted, 0, 0);
    operation_result_clear(&result);
    operation_check_partitions(test);
}

/* rows x width of zeros with a NaN at one place, folded along `axis`. */
static void check_reduce(const char *type, hd_dtype dtype, int64_t rows, int64_t width,
                         int64_t axis)
{
    float x[MOST] = {0}, y[MOST] = {0};
    double x64[MOST] = {0}, y64[MOST] = {0};
    bool wide = dtype == HD_FLOAT64;
    int64_t results = axis == 0 ? width : rows;
    hd_attribute attributes[] = {operation_ints("axes", &axis, 1), operation_int("keepdims", 0)};
    for (int64_t at = 0; at < rows * width; at++) {
        int64_t hit = axis == 0 ? at % width : at / width;
        x[at] = y[hit] = NAN;
        x64[at] = y64[hit] = (double)NAN;
        operation_case test = {
            .type = type,
            .opset = 11,
            .attributes = attributes,
            .attribute_count = 2,
            .inputs = {OPERATION_TENSOR(dtype, wide ? (void *)x64 : (void *)x, rows, width)},
            .input_count = 1};
        hd_tensor wanted = OPERATION_TENSOR(dtype, wide ? (void *)y64 : (void *)y, results);
        check_output(&test, &wanted);
        x[at] = y[hit] = 0.0f;
        x64[at] = y64[hit] = 0.0;
    }
}

static void reductions_keep_nan_at_every_place(void **state)
{
    (void)state;
    const char *const types[] = {"ReduceMax", "ReduceMin"};
    for (int i = 0; i < 2; i++) {
        for (int wide = 0; wide < 2; wide++) {
            hd_dtype dtype = wide ? HD_FLOAT64 : HD_FLOAT32;
            check_reduce(types[i], dtype, 3, 37, 1);
            check_reduce(types[i], dtype, 1, 100, 1);
            check_reduce(types[i], dtype, 5, 19, 0);
            check_reduce(types[i], dtype, 7, 1, 0);
        }
    }
    check_reduce("ReduceLogSumExp", HD_FLOAT32, 1, 1, 1);
}

/* A 6x11 image whose NaN moves: pooled 2x3, `stride` apart. */
static void check_pool(hd_dtype dtype, int64_t stride, bool with_indices)
{
    enum { HEIGHT = 6, WIDTH = 11 };
    float x[HEIGHT * WIDTH], y[HEIGHT * WIDTH];
    double x64[HEIGHT * WIDTH], y64[HEIGHT * WIDTH];
    bool wide = dtype == HD_FLOAT64;
    int64_t out[2] = {(HEIGHT - 2) / stride + 1, (WIDTH - 3) / stride + 1};
    hd_attribute attributes[] = {OPERATION_INTS("kernel_shape", 2, 3),
                                 operation_ints("strides", (int64_t[]){stride, stride}, 2)};
    for (int64_t at = 0; at < HEIGHT * WIDTH; at++) {
        for (int64_t i = 0; i < HEIGHT * WIDTH; i++) {
            x[i] = i == at ? NAN : -1.0f;
            x64[i] = (double)x[i];
        }
        for (int64_t o = 0; o < out[0] * out[1]; o++) {
            int64_t row = at / WIDTH - o / out[1] * stride,
                    column = at % WIDTH - o % out[1] * stride;
            y[o] = row >= 0 && row < 2 && column >= 0 && column < 3 ? NAN : -1.0f;
            y64[o] = (double)y[o];
        }
        operation_case test = {.type = "MaxPool",
                               .attributes = attributes,
                               .attribute_count = 2,
                               .output_count = with_indices ? 2 : 1,
                               .inputs = {OPERATION_TENSOR(dtype, wide ? (void *)x64 : (void *)x, 1,
                                                           1, HEIGHT, WIDTH)},
                               .input_count = 1};
        hd_tensor wanted =
            OPERATION_TENSOR(dtype, wide ? (void *)y64 : (void *)y, 1, 1, out[0], out[1]);
        check_output(&test, &wanted);
    }
}

static void pools_keep_nan_at_every_place(void **state)
{
    (void)state;
    for (int64_t stride = 1; stride <= 3; stride++) {
        check_pool(HD_FLOAT32, stride, false);
        check_pool(HD_FLOAT32, stride, true);
        check_pool(HD_FLOAT64, stride, false);
    }
    float x[2 * 35] = {0}, y[2] = {0};
    for (int64_t at = 0; at < 70; at++) {
        x[at] = y[at / 35] = NAN;
        operation_case test = {.type = "GlobalMaxPool",
                               .inputs = {OPERATION_TENSOR(HD_FLOAT32, x, 1, 2, 7, 5)},
                               .input_count = 1};
        hd_tensor wanted = OPERATION_TENSOR(HD_FLOAT32, y, 1, 2, 1, 1);
        check_output(&test, &wanted);
        x[at] = y[at / 35] = 0.0f;
    }
}

static void elementwise_extremes_know_nan_and_zero(void **state)
{
    (void)state;
    float a[67], b[67];
    for (int i = 0; i < 67; i++) {
        a[i] = i % 4 == 0 ? NAN : i % 4 == 1 ? -0.0f : i % 4 == 2 ? 0.0f : 5.0f;
        b[i] = i % 4 == 1 ? 0.0f : i % 4 == 2 ? -0.0f : i % 8 == 3 ? NAN : 7.0f;
    }
    const char *const types[] = {"Max", "Min"};
    for (int k = 0; k < 2; k++) {
        operation_case test = {
            .type = types[k],
            .inputs = {OPERATION_TENSOR(HD_FLOAT32, a, 67), OPERATION_TENSOR(HD_FLOAT32, b, 67)},
            .input_count = 2};
        operation_result result;
        assert_int_equal(operation_run(&test, &result), HD_OK);
        const float *y = result.outputs[0].data;
        for (int i = 0; i < 67; i++) {
            float wanted =
                k == 0 ? hd_cpu_maximum_float32(a[i], b[i]) : hd_cpu_minimum_float32(a[i], b[i]);
            assert_true(same_bits(y[i], wanted));
        }
        operation_result_clear(&result);
        operation_check_partitions(&test);
    }
}

static void hardmax_takes_nan_for_the_largest(void **state)
{
    (void)state;
    float x[] = {1, NAN, 3, NAN, NAN, 1, 2, 2, 0}, y[] = {0, 1, 0, 1, 0, 0, 1, 0, 0};
    double x64[9], y64[9];
    for (int i = 0; i < 9; i++) {
        x64[i] = (double)x[i];
        y64[i] = (double)y[i];
    }
    operation_case test = {
        .type = "Hardmax", .inputs = {OPERATION_TENSOR(HD_FLOAT32, x, 3, 3)}, .input_count = 1};
    hd_tensor wanted = OPERATION_TENSOR(HD_FLOAT32, y, 3, 3);
    check_output(&test, &wanted);
    test.inputs[0] = OPERATION_TENSOR(HD_FLOAT64, x64, 3, 3);
    wanted = OPERATION_TENSOR(HD_FLOAT64, y64, 3, 3);
    check_output(&test, &wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_numbers_have_a_maximum_and_a_minimum),
        cmocka_unit_test(folds_keep_nan_and_the_sign_of_zero_at_every_place),
        cmocka_unit_test(reductions_keep_nan_at_every_place),
        cmocka_unit_test(pools_keep_nan_at_every_place),
        cmocka_unit_test(elementwise_extremes_know_nan_and_zero),
        cmocka_unit_test(hardmax_takes_nan_for_the_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
