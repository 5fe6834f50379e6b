/* Normalization operators, each against plain loops in double precision, over odd sizes, tiles in any
 * order. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "operation/fused.h"
#include "support/operation_runner.h"

#define MOST 200000

static float source[MOST], scale[2048], bias[2048], mean[64], variance[64];
static float expected[MOST], second[MOST];

static int setup(void **state)
{
    (void)state;
    operation_fill_floats(source, MOST, 11);
    operation_fill_floats(scale, 2048, 12);
    operation_fill_floats(bias, 2048, 13);
    operation_fill_floats(mean, 64, 14);
    for (int i = 0; i < 64; i++) {
        variance[i] = 0.5f + (float)i / 64.0f;
    }
    return 0;
}

static void check(const operation_case *test, size_t outputs, const hd_tensor *wanted)
{
    operation_result result;
    if (operation_run(test, &result) != HD_OK) {
        fail_msg("%s", result.error.message);
    }
    for (size_t i = 0; i < outputs; i++) {
        operation_check_close(&result.outputs[i], &wanted[i], 1e-4, 1e-4);
    }
    operation_result_clear(&result);
    operation_check_partitions(test);
}

/* y = (x - mean) / deviation of one row; gives both. */
static void normalize_row(const float *x, float *y, int64_t size, double epsilon, double *out_mean,
                          double *out_inverse)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < size; i++) {
        sum += (double)x[i];
    }
    double middle = sum / (double)size;
    for (int64_t i = 0; i < size; i++) {
        squares += ((double)x[i] - middle) * ((double)x[i] - middle);
    }
    double inverse = 1 / sqrt(squares / (double)size + epsilon);
    for (int64_t i = 0; i < size; i++) {
        y[i] = (float)(((double)x[i] - middle) * inverse);
    }
    *out_mean = middle;
    *out_inverse = inverse;
}

static void layer_norm_gives_all_three_outputs(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 5, 16, 33, 768, 1021};
    static float means[70], inverses[70];
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        int64_t rows = 70, size = sizes[s];
        for (int64_t r = 0; r < rows; r++) {
            double middle, inverse;
            normalize_row(source + r * size, expected + r * size, size, 1e-5, &middle, &inverse);
            means[r] = (float)middle;
            inverses[r] = (float)inverse;
            for (int64_t i = 0; i < size; i++) {
                expected[r * size + i] = expected[r * size + i] * scale[i] + bias[i];
            }
        }
        operation_case test = {.type = "LayerNormalization",
                               .opset = 17,
                               .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, rows, size),
                                          OPERATION_TENSOR(HD_FLOAT32, scale, size),
                                          OPERATION_TENSOR(HD_FLOAT32, bias, size)},
                               .input_count = 3,
                               .output_count = size == 1 ? 1 : 3};
        hd_tensor wanted[] = {OPERATION_TENSOR(HD_FLOAT32, expected, rows, size),
                              OPERATION_TENSOR(HD_FLOAT32, means, rows, 1),
                              OPERATION_TENSOR(HD_FLOAT32, inverses, rows, 1)};
        check(&test, test.output_count, wanted);
    }
}

/* Place of x's element in an operand that is broadcast to x's dims. */
static int64_t broadcast_place(const hd_tensor *operand, const int64_t dims[4], int64_t element)
{
    int64_t place = 0, stride = 1;
    for (uint32_t i = 0; i < 4; i++) {
        int64_t index = element % dims[3 - i];
        element /= dims[3 - i];
        if (i < operand->rank && operand->dims[operand->rank - 1 - i] > 1) {
            place += index * stride;
            stride *= operand->dims[operand->rank - 1 - i];
        }
    }
    return place;
}

/* LayerNormalization of 2x3x4x5, in the precision of `dtype`, with these shapes of scale and bias. */
static void check_broadcast(hd_dtype dtype, int64_t axis, hd_tensor scale_as, hd_tensor bias_as)
{
    static const int64_t dims[4] = {2, 3, 4, 5};
    static double x64[120], y64[120], scale64[120], bias64[120];
    static float means[120], inverses[120];
    int64_t size = 1, kept[4] = {1, 1, 1, 1};
    for (int64_t i = 0; i < 4; i++) {
        size *= i < axis ? 1 : dims[i];
        kept[i] = i < axis ? dims[i] : 1;
    }
    for (int64_t i = 0; i < 120; i++) {
        x64[i] = (double)source[i] + 1e-9 * (dtype == HD_FLOAT64);
        scale64[i] = (double)scale[i];
        bias64[i] = (double)bias[i];
    }
    for (int64_t row = 0; row < 120 / size; row++) {
        double sum = 0, squares = 0;
        for (int64_t i = row * size; i < (row + 1) * size; i++) {
            sum += x64[i];
        }
        for (int64_t i = row * size; i < (row + 1) * size; i++) {
            squares += (x64[i] - sum / (double)size) * (x64[i] - sum / (double)size);
        }
        double inverse = 1 / sqrt(squares / (double)size + (double)1e-5f);
        means[row] = (float)(sum / (double)size);
        inverses[row] = (float)inverse;
        for (int64_t i = row * size; i < (row + 1) * size; i++) {
            y64[i] = (x64[i] - sum / (double)size) * inverse *
                         scale64[broadcast_place(&scale_as, dims, i)] +
                     bias64[broadcast_place(&bias_as, dims, i)];
            expected[i] = (float)y64[i];
        }
    }
    bool wide = dtype == HD_FLOAT64;
    hd_attribute attributes[] = {operation_int("axis", axis)};
    operation_case test = {
        .type = "LayerNormalization",
        .opset = 17,
        .attributes = attributes,
        .attribute_count = 1,
        .inputs = {operation_tensor(dtype, wide ? (void *)x64 : (void *)source, 4, dims),
                   operation_tensor(dtype, wide ? (void *)scale64 : (void *)scale, scale_as.rank,
                                    scale_as.dims),
                   operation_tensor(dtype, wide ? (void *)bias64 : (void *)bias, bias_as.rank,
                                    bias_as.dims)},
        .input_count = 3,
        .output_count = 3};
    hd_tensor wanted[] = {operation_tensor(dtype, wide ? (void *)y64 : (void *)expected, 4, dims),
                          operation_tensor(HD_FLOAT32, means, 4, kept),
                          operation_tensor(HD_FLOAT32, inverses, 4, kept)};
    check(&test, 3, wanted);
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_OK);
    operation_check_close(&result.outputs[0], &wanted[0], wide ? 1e-12 : 1e-5, wide ? 1e-12 : 1e-5);
    operation_result_clear(&result);
}

#define SHAPE(...) OPERATION_TENSOR(HD_FLOAT32, NULL, __VA_ARGS__)

static void layer_norm_broadcasts_scale_and_bias(void **state)
{
    (void)state;
    hd_dtype dtypes[] = {HD_FLOAT32, HD_FLOAT64};
    for (int k = 0; k < 2; k++) {
        hd_tensor scalar = OPERATION_SCALAR(HD_FLOAT32, NULL);
        check_broadcast(dtypes[k], 3, SHAPE(5), SHAPE(5));
        check_broadcast(dtypes[k], 2, SHAPE(4, 5), SHAPE(4, 5));
        check_broadcast(dtypes[k], 2, SHAPE(1), scalar);
        check_broadcast(dtypes[k], 2, SHAPE(5), SHAPE(4, 1));
        check_broadcast(dtypes[k], 2, SHAPE(4, 1), SHAPE(5));
        check_broadcast(dtypes[k], 0, SHAPE(2, 1, 1, 5), SHAPE(3, 1, 1));
        check_broadcast(dtypes[k], 3, SHAPE(3, 1, 1), SHAPE(3, 4, 5));
        check_broadcast(dtypes[k], 1, SHAPE(3, 4, 5), SHAPE(2, 1, 1, 1));
    }
}

/* Of float64: as the float32 kernels, but close to double precision. */
static void norms_of_float64_are_computed_in_it(void **state)
{
    (void)state;
    static double x[4 * 6 * 10], y[4 * 6 * 10], one[6], two[6], three[6], four[6];
    int64_t dims[] = {4, 6, 10};
    for (int64_t i = 0; i < 240; i++) {
        x[i] = (double)source[i] + 1e-9;
    }
    for (int c = 0; c < 6; c++) {
        one[c] = (double)scale[c] + 1e-9;
        two[c] = (double)bias[c] + 1e-9;
        three[c] = (double)mean[c] + 1e-9;
        four[c] = (double)variance[c] + 1e-9;
    }
    for (int64_t i = 0; i < 240; i++) {
        int64_t c = i / 10 % 6;
        y[i] = (x[i] - three[c]) / sqrt(four[c] + (double)1e-5f) * one[c] + two[c];
    }
    operation_case test = {
        .type = "BatchNormalization",
        .opset = 15,
        .inputs = {operation_tensor(HD_FLOAT64, x, 3, dims), OPERATION_TENSOR(HD_FLOAT64, one, 6),
                   OPERATION_TENSOR(HD_FLOAT64, two, 6), OPERATION_TENSOR(HD_FLOAT64, three, 6),
                   OPERATION_TENSOR(HD_FLOAT64, four, 6)},
        .input_count = 5};
    hd_tensor wanted = operation_tensor(HD_FLOAT64, y, 3, dims);
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_OK);
    operation_check_close(&result.outputs[0], &wanted, 1e-12, 1e-12);
    operation_result_clear(&result);
    operation_check_partitions(&test);
    for (int64_t row = 0; row < 24; row++) {
        double sum = 0, squares = 0;
        for (int64_t i = row * 10; i < row * 10 + 10; i++) {
            sum += x[i];
        }
        for (int64_t i = row * 10; i < row * 10 + 10; i++) {
            squares += (x[i] - sum / 10) * (x[i] - sum / 10);
        }
        for (int64_t i = row * 10; i < row * 10 + 10; i++) {
            y[i] = (x[i] - sum / 10) / sqrt(squares / 10 + (double)1e-5f) * one[row % 6] +
                   two[row % 6];
        }
    }
    test.type = "InstanceNormalization";
    test.input_count = 3;
    assert_int_equal(operation_run(&test, &result), HD_OK);
    operation_check_close(&result.outputs[0], &wanted, 1e-12, 1e-12);
    operation_result_clear(&result);
    operation_check_partitions(&test);
}

static void fused_layer_norm_adds_the_residual(void **state)
{
    (void)state;
    int64_t rows = 37, size = 387;
    const float *residual = source + 50000;
    for (int64_t r = 0; r < rows; r++) {
        double middle, inverse;
        for (int64_t i = r * size; i < (r + 1) * size; i++) {
            second[i] = source[i] + residual[i];
        }
        normalize_row(second + r * size, expected + r * size, size, 1e-3, &middle, &inverse);
        for (int64_t i = 0; i < size; i++) {
            expected[r * size + i] *= scale[i];
        }
    }
    hd_fused fused = {.id = HD_OP_HEDDLE_LAYER_NORM, .layer_norm = {.epsilon = 1e-3f}};
    operation_case test = {.type = "heddle.LayerNorm",
                           .fused = &fused,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, rows, size),
                                      OPERATION_TENSOR(HD_FLOAT32, scale, size),
                                      {0},
                                      OPERATION_TENSOR(HD_FLOAT32, residual, rows, size)},
                           .input_count = 4,
                           .output_count = 2};
    hd_tensor wanted[] = {OPERATION_TENSOR(HD_FLOAT32, expected, rows, size),
                          OPERATION_TENSOR(HD_FLOAT32, second, rows, size)};
    check(&test, 2, wanted);
    test.unwanted_outputs = 2;
    check(&test, 1, wanted);
}

static void batch_norm_uses_the_given_statistics(void **state)
{
    (void)state;
    static const int64_t positions[] = {1, 7, 1000};
    for (int p = 0; p < 3; p++) {
        int64_t channels = 13, size = positions[p];
        for (int64_t i = 0; i < 3 * channels * size; i++) {
            int64_t c = i / size % channels;
            double deviation = sqrt((double)variance[c] + 1e-5);
            expected[i] =
                (float)(((double)source[i] - (double)mean[c]) / deviation * (double)scale[c] +
                        (double)bias[c]);
        }
        operation_case test = {.type = "BatchNormalization",
                               .opset = 15,
                               .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 3, channels, size),
                                          OPERATION_TENSOR(HD_FLOAT32, scale, channels),
                                          OPERATION_TENSOR(HD_FLOAT32, bias, channels),
                                          OPERATION_TENSOR(HD_FLOAT32, mean, channels),
                                          OPERATION_TENSOR(HD_FLOAT32, variance, channels)},
                               .input_count = 5};
        hd_tensor wanted = OPERATION_TENSOR(HD_FLOAT32, expected, 3, channels, size);
        check(&test, 1, &wanted);
    }
}

/* groups of `each` channels; scale and bias a channel */
static void check_groups(const char *type, int64_t groups, int64_t each, int64_t positions)
{
    int64_t channels = groups * each, size = each * positions;
    for (int64_t g = 0; g < 2 * groups; g++) {
        double middle, inverse;
        normalize_row(source + g * size, expected + g * size, size, 1e-5, &middle, &inverse);
        for (int64_t i = 0; i < size; i++) {
            int64_t c = g % groups * each + i / positions;
            expected[g * size + i] = expected[g * size + i] * scale[c] + bias[c];
        }
    }
    hd_attribute attributes[] = {operation_int("num_groups", groups)};
    operation_case test = {.type = type,
                           .opset = 21,
                           .attributes = attributes,
                           .attribute_count = 1,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 2, channels, positions),
                                      OPERATION_TENSOR(HD_FLOAT32, scale, channels),
                                      OPERATION_TENSOR(HD_FLOAT32, bias, channels)},
                           .input_count = 3};
    hd_tensor wanted = OPERATION_TENSOR(HD_FLOAT32, expected, 2, channels, positions);
    check(&test, 1, &wanted);
}

static void groups_are_normalized_by_themselves(void **state)
{
    (void)state;
    check_groups("GroupNormalization", 4, 3, 131);
    check_groups("GroupNormalization", 1, 5, 7);
    check_groups("InstanceNormalization", 6, 1, 1023);
}

static void lrn_divides_by_the_energy_of_the_neighbours(void **state)
{
    (void)state;
    int64_t channels = 7, positions = 301, size = 4;
    for (int64_t i = 0; i < 2 * channels * positions; i++) {
        int64_t c = i / positions % channels;
        double energy = 0;
        for (int64_t k = c - 1; k <= c + 2; k++) { /* (4 - 1) / 2 before, the rest after */
            double x = k < 0 || k >= channels ? 0 : (double)source[i + (k - c) * positions];
            energy += x * x;
        }
        expected[i] = (float)((double)source[i] / pow(2.0 + 0.5 / 4 * energy, 0.75));
    }
    hd_attribute attributes[] = {operation_int("size", size), operation_float("alpha", 0.5f),
                                 operation_float("bias", 2.0f)};
    operation_case test = {.type = "LRN",
                           .attributes = attributes,
                           .attribute_count = 3,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 2, channels, positions)},
                           .input_count = 1};
    hd_tensor wanted = OPERATION_TENSOR(HD_FLOAT32, expected, 2, channels, positions);
    check(&test, 1, &wanted);
}

static void operands_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    operation_case test = {.type = "LayerNormalization",
                           .opset = 17,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 3, 8),
                                      OPERATION_TENSOR(HD_FLOAT32, scale, 7)},
                           .input_count = 2};
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_INVALID_ARGUMENT);
    operation_result_clear(&result);
    hd_attribute groups = operation_int("num_groups", 3);
    for (uint32_t opset = 18; opset <= 21; opset += 3) {
        /* a scale a group was right before 21 only */
        operation_case grouped = {.type = "GroupNormalization",
                                  .opset = opset,
                                  .attributes = &groups,
                                  .attribute_count = 1,
                                  .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 2, 6, 4),
                                             OPERATION_TENSOR(HD_FLOAT32, scale, 3),
                                             OPERATION_TENSOR(HD_FLOAT32, bias, 3)},
                                  .input_count = 3};
        assert_int_equal(operation_run(&grouped, &result),
                         opset < 21 ? HD_OK : HD_INVALID_ARGUMENT);
        operation_result_clear(&result);
    }
}

/* What does not vary is its bias, however large it is: x · scale + shift would keep no digit of that. */
static void constant_planes_become_their_bias(void **state)
{
    (void)state;
    static const float scales[] = {2, 3}, biases[] = {0.5f, -0.25f}, variances[] = {0, 0};
    static const float means[] = {1100, 1100};
    static const char *const types[] = {"InstanceNormalization", "GroupNormalization",
                                        "BatchNormalization", "BatchNormalization"};
    hd_attribute attributes[] = {operation_int("num_groups", 2), operation_int("training_mode", 1)};
    float x[2 * 2 * 32], y[2 * 2 * 32];
    for (int64_t positions = 1; positions <= 32; positions *= 32) {
        for (int64_t i = 0; i < 4 * positions; i++) {
            x[i] = 1100;
            y[i] = biases[i / positions % 2];
        }
        for (int t = 0; t < 4; t++) {
            operation_case test = {.type = types[t],
                                   .attributes = &attributes[t / 2],
                                   .attribute_count = t % 2,
                                   .inputs = {OPERATION_TENSOR(HD_FLOAT32, x, 2, 2, positions),
                                              OPERATION_TENSOR(HD_FLOAT32, scales, 2),
                                              OPERATION_TENSOR(HD_FLOAT32, biases, 2),
                                              OPERATION_TENSOR(HD_FLOAT32, means, 2),
                                              OPERATION_TENSOR(HD_FLOAT32, variances, 2)},
                                   .input_count = t < 2 ? 3 : 5};
            hd_tensor wanted = OPERATION_TENSOR(HD_FLOAT32, y, 2, 2, positions);
            operation_result result;
            assert_int_equal(operation_run(&test, &result), HD_OK);
            operation_check_output(&result.outputs[0], &wanted);
            operation_result_clear(&result);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layer_norm_gives_all_three_outputs),
        cmocka_unit_test(layer_norm_broadcasts_scale_and_bias),
        cmocka_unit_test(norms_of_float64_are_computed_in_it),
        cmocka_unit_test(fused_layer_norm_adds_the_residual),
        cmocka_unit_test(batch_norm_uses_the_given_statistics),
        cmocka_unit_test(groups_are_normalized_by_themselves),
        cmocka_unit_test(lrn_divides_by_the_energy_of_the_neighbours),
        cmocka_unit_test(constant_planes_become_their_bias),
        cmocka_unit_test(operands_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
