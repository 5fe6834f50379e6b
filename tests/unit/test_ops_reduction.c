/* Reductions, softmax, arg and losses, each against plain loops in double precision, over odd sizes,
 * tiles in any order. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "support/operation_runner.h"

#define MOST 400000

static float source[MOST];
static float expected[MOST];
static int64_t indices[MOST];

static int setup(void **state)
{
    (void)state;
    operation_fill_floats(source, MOST, 7);
    return 0;
}

static void check_tensor(const operation_case *test, const hd_tensor *wanted)
{
    operation_result result;
    if (operation_run(test, &result) != HD_OK) {
        fail_msg("%s", result.error.message);
    }
    if (wanted->dtype == HD_FLOAT32) {
        operation_check_close(&result.outputs[0], wanted, 1e-5, 1e-5);
    } else {
        operation_check_output(&result.outputs[0], wanted);
    }
    operation_result_clear(&result);
    operation_check_partitions(test);
}

/* One fold of a value into a double, and what is made of it in the end; each by its operator's name. */
static double fold(const char *type, double sum, double x)
{
    if (strcmp(type, "ReduceMax") == 0) {
        return fmax(sum, x);
    }
    if (strcmp(type, "ReduceMin") == 0) {
        return fmin(sum, x);
    }
    if (strcmp(type, "ReduceProd") == 0) {
        return sum * x;
    }
    if (strcmp(type, "ReduceL1") == 0) {
        return sum + fabs(x);
    }
    if (strcmp(type, "ReduceL2") == 0 || strcmp(type, "ReduceSumSquare") == 0) {
        return sum + x * x;
    }
    return sum + (strcmp(type, "ReduceLogSumExp") == 0 ? exp(x) : x);
}

static double start(const char *type)
{
    return strcmp(type, "ReduceMax") == 0    ? -INFINITY
           : strcmp(type, "ReduceMin") == 0  ? INFINITY
           : strcmp(type, "ReduceProd") == 0 ? 1
                                             : 0;
}

static double finish(const char *type, double sum, int64_t count)
{
    return strcmp(type, "ReduceMean") == 0      ? sum / (double)count
           : strcmp(type, "ReduceL2") == 0      ? sqrt(sum)
           : strncmp(type, "ReduceLog", 9) == 0 ? log(sum)
                                                : sum;
}

static const char *const reduce_types[] = {"ReduceSum", "ReduceMean",      "ReduceMax",
                                           "ReduceMin", "ReduceProd",      "ReduceL1",
                                           "ReduceL2",  "ReduceLogSumExp", "ReduceSumSquare"};

/* a x b x c, of which the axes in `mask` are folded. */
static void check_reduce(const char *type, int64_t a, int64_t b, int64_t c, unsigned mask)
{
    int64_t dims[3] = {a, b, c}, out[3], axes[3];
    size_t axis_count = 0;
    for (unsigned i = 0; i < 3; i++) {
        out[i] = mask >> i & 1 ? 1 : dims[i];
        if (mask >> i & 1) {
            axes[axis_count++] = (int64_t)i - 3 * (int64_t)(i % 2); /* negative ones too */
        }
    }
    int64_t count = out[0] * out[1] * out[2];
    for (int64_t o = 0; o < count; o++) {
        double sum = start(type);
        for (int64_t i = 0; i < a * b * c; i++) {
            int64_t at[3] = {i / (b * c), i / c % b, i % c};
            int64_t place =
                ((out[0] > 1 ? at[0] : 0) * out[1] + (out[1] > 1 ? at[1] : 0)) * out[2] +
                (out[2] > 1 ? at[2] : 0);
            sum = place == o ? fold(type, sum, (double)source[i]) : sum;
        }
        expected[o] = (float)finish(type, sum, a * b * c / count);
    }
    hd_attribute attributes[] = {operation_ints("axes", axes, axis_count)};
    operation_case test = {.type = type,
                           .opset = 11,
                           .attributes = attributes,
                           .attribute_count = 1,
                           .inputs = {operation_tensor(HD_FLOAT32, source, 3, dims)},
                           .input_count = 1};
    hd_tensor wanted = operation_tensor(HD_FLOAT32, expected, 3, out);
    check_tensor(&test, &wanted);
}

static void reductions_fold_any_axes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof reduce_types / sizeof reduce_types[0]; i++) {
        for (unsigned mask = 1; mask < 8; mask++) {
            check_reduce(reduce_types[i], 3, 5, 17, mask);
            check_reduce(reduce_types[i], 2, 7, 67, mask);
        }
    }
}

static void wide_reductions_fold_in_pieces(void **state)
{
    (void)state;
    check_reduce("ReduceSum", 4, 3, 523, 1);
    check_reduce("ReduceMean", 3, 4, 523, 2);
    check_reduce("ReduceMax", 40, 3, 301, 4);
}

static void axes_as_input_are_needed_before_shapes(void **state)
{
    (void)state;
    int64_t axes[] = {1};
    hd_attribute attributes[] = {operation_int("keepdims", 0)};
    operation_case test = {
        .type = "ReduceSum",
        .opset = 13,
        .attributes = attributes,
        .attribute_count = 1,
        .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 2, 3), OPERATION_TENSOR(HD_INT64, axes, 1)},
        .input_count = 2};
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_OK);
    assert_int_equal(result.needed_inputs, 2);
    assert_int_equal(result.outputs[0].rank, 1);
    operation_result_clear(&result);
}

static void empty_axes_fold_nothing_when_asked(void **state)
{
    (void)state;
    hd_attribute attributes[] = {operation_int("noop_with_empty_axes", 1)};
    operation_case test = {.type = "ReduceSum",
                           .opset = 13,
                           .attributes = attributes,
                           .attribute_count = 1,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 5, 3)},
                           .input_count = 1};
    hd_tensor wanted = OPERATION_TENSOR(HD_FLOAT32, source, 5, 3);
    check_tensor(&test, &wanted);
}

static void integers_wrap_around(void **state)
{
    (void)state;
    static const int32_t values[] = {INT32_MAX, 1, INT32_MIN, -1};
    static const int32_t wrapped[] = {INT32_MIN, INT32_MAX};
    hd_attribute attributes[] = {OPERATION_INTS("axes", 1), operation_int("keepdims", 0)};
    operation_case test = {.type = "ReduceSum",
                           .opset = 11,
                           .attributes = attributes,
                           .attribute_count = 2,
                           .inputs = {OPERATION_TENSOR(HD_INT32, values, 2, 2)},
                           .input_count = 1};
    hd_tensor wanted = OPERATION_TENSOR(HD_INT32, wrapped, 2);
    check_tensor(&test, &wanted);
}

static void axes_out_of_range_are_refused(void **state)
{
    (void)state;
    hd_attribute attributes[] = {OPERATION_INTS("axes", 2)};
    operation_case test = {.type = "ReduceSum",
                           .opset = 11,
                           .attributes = attributes,
                           .attribute_count = 1,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 2, 2)},
                           .input_count = 1};
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_BAD_MODEL);
    operation_result_clear(&result);
}

static void check_softmax(const char *type, uint32_t opset, int64_t outer, int64_t size,
                          int64_t inner)
{
    bool logarithm = strcmp(type, "LogSoftmax") == 0;
    for (int64_t o = 0; o < outer * inner; o++) {
        const float *x = source + o / inner * size * inner + o % inner;
        float *y = expected + o / inner * size * inner + o % inner;
        double most = -INFINITY, sum = 0;
        for (int64_t i = 0; i < size; i++) {
            most = fmax(most, (double)x[i * inner]);
        }
        for (int64_t i = 0; i < size; i++) {
            sum += exp((double)x[i * inner] - most);
        }
        for (int64_t i = 0; i < size; i++) {
            double value = (double)x[i * inner] - most;
            y[i * inner] = (float)(logarithm ? value - log(sum) : exp(value) / sum);
        }
    }
    hd_attribute attributes[] = {operation_int("axis", 1)};
    operation_case test = {.type = type,
                           .opset = opset,
                           .attributes = attributes,
                           .attribute_count = 1,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, outer, size, inner)},
                           .input_count = 1};
    hd_tensor wanted = OPERATION_TENSOR(HD_FLOAT32, expected, outer, size, inner);
    check_tensor(&test, &wanted);
}

static void softmax_sums_to_one_along_any_axis(void **state)
{
    (void)state;
    static const char *const types[] = {"Softmax", "LogSoftmax"};
    for (int i = 0; i < 2; i++) {
        check_softmax(types[i], 13, 5, 1, 1);
        check_softmax(types[i], 13, 1301, 2, 1);
        check_softmax(types[i], 13, 517, 16, 1);
        check_softmax(types[i], 13, 41, 17, 1);
        check_softmax(types[i], 13, 7, 33, 1);
        check_softmax(types[i], 13, 3, 1001, 1);
        check_softmax(types[i], 13, 3, 5, 301);
        check_softmax(types[i], 13, 9, 13, 3);
    }
}

static void old_softmax_flattens_what_follows_its_axis(void **state)
{
    (void)state;
    hd_attribute attributes[] = {operation_int("axis", 1)};
    operation_case old = {.type = "Softmax",
                          .opset = 11,
                          .attributes = attributes,
                          .attribute_count = 1,
                          .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 3, 4, 5)},
                          .input_count = 1};
    operation_case flat = old;
    flat.opset = 13;
    flat.inputs[0] = OPERATION_TENSOR(HD_FLOAT32, source, 3, 20);
    operation_result a, b;
    assert_int_equal(operation_run(&old, &a), HD_OK);
    assert_int_equal(operation_run(&flat, &b), HD_OK);
    assert_memory_equal(a.outputs[0].data, b.outputs[0].data, 60 * sizeof(float));
    operation_result_clear(&a);
    operation_result_clear(&b);
}

/* So large an output goes past the cache; its bits must not depend on that. */
static void large_softmax_has_the_bits_of_a_small_one(void **state)
{
    (void)state;
    enum { ROWS = 70, SIZE = 32003 };
    float *x = malloc(sizeof(float) * ROWS * SIZE);
    assert_non_null(x);
    operation_fill_floats(x, (int64_t)ROWS * SIZE, 3);
    operation_case large = {.type = "Softmax",
                            .opset = 13,
                            .inputs = {OPERATION_TENSOR(HD_FLOAT32, x, ROWS, SIZE)},
                            .input_count = 1};
    operation_case small = large;
    small.inputs[0] = OPERATION_TENSOR(HD_FLOAT32, x + (size_t)SIZE * 33, 1, SIZE);
    operation_result a, b;
    assert_int_equal(operation_run(&large, &a), HD_OK);
    assert_int_equal(operation_run(&small, &b), HD_OK);
    assert_memory_equal((float *)a.outputs[0].data + (size_t)SIZE * 33, b.outputs[0].data,
                        sizeof(float) * SIZE);
    operation_result_clear(&a);
    operation_result_clear(&b);
    free(x);
}

static void softmax_of_very_large_numbers_stays_finite(void **state)
{
    (void)state;
    static const float x[] = {1e30f, 1e30f, -1e30f, -INFINITY};
    static const float y[] = {0.5f, 0.5f, 0.0f, 0.0f};
    operation_case test = {
        .type = "Softmax", .inputs = {OPERATION_TENSOR(HD_FLOAT32, x, 4)}, .input_count = 1};
    hd_tensor wanted = OPERATION_TENSOR(HD_FLOAT32, y, 4);
    check_tensor(&test, &wanted);
}

static void arg_takes_the_first_or_the_last_of_equals(void **state)
{
    (void)state;
    static const float x[] = {1, 3, 3, 0, 0, 3, -1, -1, 2};
    static const int64_t first[] = {1, 2, 2}, last[] = {2, 2, 2};
    for (int i = 0; i < 2; i++) {
        hd_attribute attributes[] = {operation_int("axis", -1), operation_int("keepdims", 0),
                                     operation_int("select_last_index", i)};
        operation_case test = {.type = "ArgMax",
                               .attributes = attributes,
                               .attribute_count = 3,
                               .inputs = {OPERATION_TENSOR(HD_FLOAT32, x, 3, 3)},
                               .input_count = 1};
        hd_tensor wanted = OPERATION_TENSOR(HD_INT64, i == 0 ? first : last, 3);
        check_tensor(&test, &wanted);
    }
}

static void arg_min_goes_along_an_inner_axis(void **state)
{
    (void)state;
    for (int64_t o = 0; o < 11 * 13; o++) {
        const float *x = source + o / 13 * 17 * 13 + o % 13;
        indices[o] = 0;
        for (int64_t i = 1; i < 17; i++) {
            indices[o] = x[i * 13] < x[indices[o] * 13] ? i : indices[o];
        }
    }
    hd_attribute attributes[] = {operation_int("axis", 1)};
    operation_case test = {.type = "ArgMin",
                           .attributes = attributes,
                           .attribute_count = 1,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 11, 17, 13)},
                           .input_count = 1};
    hd_tensor wanted = OPERATION_TENSOR(HD_INT64, indices, 11, 1, 13);
    check_tensor(&test, &wanted);
}

static void losses_ignore_classes_that_do_not_exist(void **state)
{
    (void)state;
    static const int64_t targets[] = {2, 99, -5, 0};
    double sum = -(double)source[2] - (double)source[9];
    float loss = (float)(sum / 2);
    operation_case test = {.type = "NegativeLogLikelihoodLoss",
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 4, 3),
                                      OPERATION_TENSOR(HD_INT64, targets, 4)},
                           .input_count = 2};
    hd_tensor wanted = OPERATION_SCALAR(HD_FLOAT32, &loss);
    check_tensor(&test, &wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reductions_fold_any_axes),
        cmocka_unit_test(wide_reductions_fold_in_pieces),
        cmocka_unit_test(axes_as_input_are_needed_before_shapes),
        cmocka_unit_test(empty_axes_fold_nothing_when_asked),
        cmocka_unit_test(integers_wrap_around),
        cmocka_unit_test(axes_out_of_range_are_refused),
        cmocka_unit_test(softmax_sums_to_one_along_any_axis),
        cmocka_unit_test(old_softmax_flattens_what_follows_its_axis),
        cmocka_unit_test(large_softmax_has_the_bits_of_a_small_one),
        cmocka_unit_test(softmax_of_very_large_numbers_stays_finite),
        cmocka_unit_test(arg_takes_the_first_or_the_last_of_equals),
        cmocka_unit_test(arg_min_goes_along_an_inner_axis),
        cmocka_unit_test(losses_ignore_classes_that_do_not_exist),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
