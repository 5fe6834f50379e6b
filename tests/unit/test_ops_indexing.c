/* Operators that go by indices, each against plain loops; wild indices stay inside the operands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "support/operation_runner.h"

#define MOST 100000

static float source[MOST];
static float expected[MOST];
static int64_t indices[MOST];

static int setup(void **state)
{
    (void)state;
    operation_fill_floats(source, MOST, 7);
    return 0;
}

static void fill_indices(int64_t count, int64_t dim)
{
    uint32_t random = 99;
    for (int64_t i = 0; i < count; i++) {
        random = random * 1664525U + 1013904223U;
        indices[i] = (int64_t)(random >> 8) % (2 * dim) - dim;
    }
}

static int64_t positive(int64_t index, int64_t dim)
{
    return index < 0 ? index + dim : index;
}

static void check(const operation_case *test, uint32_t rank, const int64_t *dims)
{
    operation_result result;
    if (operation_run(test, &result) != HD_OK) {
        fail_msg("%s", result.error.message);
    }
    hd_tensor wanted = operation_tensor(HD_FLOAT32, expected, rank, dims);
    operation_check_output(&result.outputs[0], &wanted);
    operation_result_clear(&result);
    operation_check_partitions(test);
}

static void expect_status(const operation_case *test, hd_status status)
{
    operation_result result;
    assert_int_equal(operation_run(test, &result), status);
    operation_result_clear(&result);
}

static void gather_takes_blocks_along_the_axis(void **state)
{
    (void)state;
    hd_attribute axis[] = {operation_int("axis", 1)};
    fill_indices(77, 50);
    for (int64_t inner = 1; inner <= 17; inner += 16) {
        for (int64_t o = 0, place = 0; o < 3; o++) {
            for (int64_t i = 0; i < 77; i++, place++) {
                memcpy(expected + place * inner,
                       source + (o * 50 + positive(indices[i], 50)) * inner,
                       (size_t)inner * sizeof(float));
            }
        }
        operation_case test = {.type = "Gather",
                               .attributes = axis,
                               .attribute_count = 1,
                               .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 3, 50, inner),
                                          OPERATION_TENSOR(HD_INT64, indices, 7, 11)},
                               .input_count = 2};
        check(&test, 4, (int64_t[]){3, 7, 11, inner});
    }
}

static void indices_outside_count_as_the_nearest(void **state)
{
    (void)state;
    static const int64_t wild[] = {INT64_MIN, -4, 3, INT64_MAX};
    operation_case test = {
        .type = "Gather",
        .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 3), OPERATION_TENSOR(HD_INT64, wild, 4)},
        .input_count = 2};
    expected[0] = expected[1] = source[0];
    expected[2] = expected[3] = source[2];
    check(&test, 1, (int64_t[]){4});
    test.type = "GatherElements";
    check(&test, 1, (int64_t[]){4});
    test.type = "GatherND";
    test.inputs[1] = OPERATION_TENSOR(HD_INT64, wild, 4, 1);
    check(&test, 1, (int64_t[]){4});
    test.type = "ScatterND";
    test.inputs[2] = OPERATION_TENSOR(HD_FLOAT32, source + 10, 4);
    test.input_count = 3;
    expected[0] = source[11];
    expected[1] = source[1];
    expected[2] = source[13];
    check(&test, 1, (int64_t[]){3});
    test.type = "ScatterElements";
    test.inputs[1] = OPERATION_TENSOR(HD_INT64, wild, 4);
    check(&test, 1, (int64_t[]){3});
}

static void gather_rejects_an_empty_axis(void **state)
{
    (void)state;
    operation_case test = {.type = "Gather",
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 0, 3),
                                      OPERATION_TENSOR(HD_INT64, indices, 2)},
                           .input_count = 2};
    expect_status(&test, HD_INVALID_ARGUMENT);
}

static void gather_elements_follows_each_axis(void **state)
{
    (void)state;
    for (int64_t along = 0; along < 3; along++) {
        const int64_t dims[3] = {9, 10, 31}, shape[3] = {5, 7, 29};
        int64_t place = 0;
        fill_indices(5 * 7 * 29, dims[along]);
        for (int64_t i = 0; i < 5; i++) {
            for (int64_t j = 0; j < 7; j++) {
                for (int64_t k = 0; k < 29; k++, place++) {
                    int64_t at[3] = {i, j, k};
                    at[along] = positive(indices[place], dims[along]);
                    expected[place] = source[(at[0] * 10 + at[1]) * 31 + at[2]];
                }
            }
        }
        hd_attribute axis[] = {operation_int("axis", along)};
        operation_case test = {.type = "GatherElements",
                               .attributes = axis,
                               .attribute_count = 1,
                               .inputs = {operation_tensor(HD_FLOAT32, source, 3, dims),
                                          operation_tensor(HD_INT64, indices, 3, shape)},
                               .input_count = 2};
        check(&test, 3, shape);
    }
}

static float combined(const char *reduction, float a, float b)
{
    switch (reduction[1]) {
    case 'd':
        return a + b;
    case 'u':
        return a * b;
    case 'a':
        return a > b ? a : b;
    case 'i':
        return a < b ? a : b;
    default:
        return b;
    }
}

static void scatter_elements_applies_duplicates_in_order(void **state)
{
    (void)state;
    static const char *const reductions[] = {"none", "add", "mul", "max", "min"};
    for (int64_t along = 0; along < 2; along++) {
        for (size_t r = 0; r < 5; r++) {
            const int64_t dims[2] = {150, 230}, shape[2] = {149, 200};
            fill_indices(149 * 200, 5); /* few rows or columns: many duplicates */
            memcpy(expected, source, sizeof expected);
            for (int64_t i = 0, place = 0; i < 149; i++) {
                for (int64_t j = 0; j < 200; j++, place++) {
                    int64_t at[2] = {i, j};
                    at[along] = positive(indices[place], dims[along]);
                    float *target = &expected[at[0] * 230 + at[1]];
                    *target = combined(reductions[r], *target, source[50000 + place]);
                }
            }
            hd_attribute attributes[] = {operation_int("axis", along),
                                         operation_string("reduction", reductions[r])};
            operation_case test = {
                .type = "ScatterElements",
                .opset = 18,
                .attributes = attributes,
                .attribute_count = 2,
                .inputs = {operation_tensor(HD_FLOAT32, source, 2, dims),
                           operation_tensor(HD_INT64, indices, 2, shape),
                           operation_tensor(HD_FLOAT32, source + 50000, 2, shape)},
                .input_count = 3};
            check(&test, 2, dims);
        }
    }
}

static void scatter_nd_writes_slices(void **state)
{
    (void)state;
    static const char *const reductions[] = {"none", "add"};
    for (size_t r = 0; r < 2; r++) {
        fill_indices(2 * 40, 3);
        memcpy(expected, source, sizeof expected);
        for (int64_t u = 0; u < 40; u++) {
            int64_t slice = positive(indices[2 * u], 3) * 4 + positive(indices[2 * u + 1], 4);
            for (int64_t i = 0; i < 1201; i++) {
                float *target = &expected[slice * 1201 + i];
                *target = combined(reductions[r], *target, source[50000 + u * 1201 + i]);
            }
        }
        hd_attribute attributes[] = {operation_string("reduction", reductions[r])};
        operation_case test = {.type = "ScatterND",
                               .opset = 16,
                               .attributes = attributes,
                               .attribute_count = 1,
                               .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 3, 4, 1201),
                                          OPERATION_TENSOR(HD_INT64, indices, 40, 2),
                                          OPERATION_TENSOR(HD_FLOAT32, source + 50000, 40, 1201)},
                               .input_count = 3};
        check(&test, 3, (int64_t[]){3, 4, 1201});
    }
}

static void one_hot_ignores_indices_outside(void **state)
{
    (void)state;
    static const float hot[] = {0, -1, 3, 4, -5, NAN}, values[] = {2, 5}, depth = 4;
    operation_case test = {.type = "OneHot",
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, hot, 6),
                                      OPERATION_SCALAR(HD_FLOAT32, &depth),
                                      OPERATION_TENSOR(HD_FLOAT32, values, 2)},
                           .input_count = 3};
    for (int i = 0; i < 24; i++) {
        expected[i] = 2;
    }
    expected[0] = expected[4 + 3] = expected[8 + 3] = 5;
    check(&test, 2, (int64_t[]){6, 4});
}

static void top_k_is_sorted_and_stable(void **state)
{
    (void)state;
    static float lanes[33 * 41 * 3];
    for (int i = 0; i < 33 * 41 * 3; i++) {
        lanes[i] = floorf(source[i] * 4); /* ties */
    }
    for (int64_t largest = 0; largest < 2; largest++) {
        static int64_t wanted[33 * 7 * 3];
        for (int64_t o = 0; o < 33; o++) {
            for (int64_t i = 0; i < 3; i++) {
                bool used[41] = {false};
                for (int64_t k = 0; k < 7; k++) {
                    int64_t best = -1;
                    for (int64_t j = 0; j < 41; j++) {
                        float value = lanes[(o * 41 + j) * 3 + i];
                        float other = best < 0 ? 0 : lanes[(o * 41 + best) * 3 + i];
                        bool better = largest != 0 ? value > other : value < other;
                        best = !used[j] && (best < 0 || better) ? j : best;
                    }
                    used[best] = true;
                    wanted[(o * 7 + k) * 3 + i] = best;
                    expected[(o * 7 + k) * 3 + i] = lanes[(o * 41 + best) * 3 + i];
                }
            }
        }
        static const int64_t count = 7;
        hd_attribute attributes[] = {operation_int("axis", 1), operation_int("largest", largest)};
        operation_case test = {.type = "TopK",
                               .opset = 11,
                               .attributes = attributes,
                               .attribute_count = 2,
                               .inputs = {OPERATION_TENSOR(HD_FLOAT32, lanes, 33, 41, 3),
                                          OPERATION_TENSOR(HD_INT64, &count, 1)},
                               .input_count = 2,
                               .output_count = 2};
        check(&test, 3, (int64_t[]){33, 7, 3});
        operation_result result;
        assert_int_equal(operation_run(&test, &result), HD_OK);
        assert_memory_equal(result.outputs[1].data, wanted, sizeof wanted);
        operation_result_clear(&result);
    }
}

static void top_k_rejects_more_than_there_is(void **state)
{
    (void)state;
    static const int64_t count = 6;
    operation_case test = {
        .type = "TopK",
        .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 5), OPERATION_TENSOR(HD_INT64, &count, 1)},
        .input_count = 2,
        .output_count = 2};
    expect_status(&test, HD_INVALID_ARGUMENT);
}

static void non_zero_gives_true_dimensions(void **state)
{
    (void)state;
    static const float values[] = {0, 1, -0.0F, NAN, 0, -2};
    static const int64_t wanted[] = {0, 1, 1, 1, 0, 2};
    operation_case test = {.type = "NonZero",
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, values, 2, 3)},
                           .input_count = 1};
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_OK);
    hd_tensor tensor = OPERATION_TENSOR(HD_INT64, wanted, 2, 3);
    operation_check_output(&result.outputs[0], &tensor);
    operation_result_clear(&result);
}

static void unique_keeps_the_first_of_each(void **state)
{
    (void)state;
    static const float values[] = {2, 1, 1, 3, 4, 3};
    static const int64_t first[2][4] = {{1, 0, 3, 4}, {0, 1, 3, 4}};
    static const int64_t inverse[2][6] = {{1, 0, 0, 2, 3, 2}, {0, 1, 1, 2, 3, 2}};
    static const int64_t counts[2][4] = {{2, 1, 2, 1}, {1, 2, 2, 1}};
    for (int unsorted = 0; unsorted < 2; unsorted++) {
        hd_attribute attributes[] = {operation_int("sorted", unsorted == 0)};
        operation_case test = {.type = "Unique",
                               .attributes = attributes,
                               .attribute_count = 1,
                               .inputs = {OPERATION_TENSOR(HD_FLOAT32, values, 6)},
                               .input_count = 1,
                               .output_count = 4};
        operation_result result;
        assert_int_equal(operation_run(&test, &result), HD_OK);
        for (int i = 0; i < 4; i++) {
            assert_true(((float *)result.outputs[0].data)[i] == values[first[unsorted][i]]);
        }
        assert_memory_equal(result.outputs[1].data, first[unsorted], sizeof first[0]);
        assert_memory_equal(result.outputs[2].data, inverse[unsorted], sizeof inverse[0]);
        assert_memory_equal(result.outputs[3].data, counts[unsorted], sizeof counts[0]);
        operation_result_clear(&result);
    }
}

static void compress_keeps_what_the_condition_says(void **state)
{
    (void)state;
    static const uint8_t condition[] = {0, 1, 1};
    hd_attribute axis[] = {operation_int("axis", 1)};
    operation_case test = {.type = "Compress",
                           .attributes = axis,
                           .attribute_count = 1,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 2, 5, 3),
                                      OPERATION_TENSOR(HD_BOOL, condition, 3)},
                           .input_count = 2};
    memcpy(expected, source + 3, 6 * sizeof(float));
    memcpy(expected + 6, source + 18, 6 * sizeof(float));
    check(&test, 3, (int64_t[]){2, 2, 3});
}

static void cum_sum_adds_in_order(void **state)
{
    (void)state;
    static const int64_t axis = 1;
    for (int64_t form = 0; form < 4; form++) {
        int64_t exclusive = form & 1, reverse = form >> 1;
        for (int64_t o = 0; o < 2; o++) {
            for (int64_t i = 0; i < 1500; i++) {
                float sum = 0;
                for (int64_t j = 0; j < 9; j++) {
                    int64_t at = (o * 9 + (reverse != 0 ? 8 - j : j)) * 1500 + i;
                    float next = j == 0 ? source[at] : sum + source[at];
                    expected[at] = exclusive != 0 ? sum : next;
                    sum = next;
                }
            }
        }
        hd_attribute attributes[] = {operation_int("exclusive", exclusive),
                                     operation_int("reverse", reverse)};
        operation_case test = {.type = "CumSum",
                               .attributes = attributes,
                               .attribute_count = 2,
                               .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 2, 9, 1500),
                                          OPERATION_SCALAR(HD_INT64, &axis)},
                               .input_count = 2};
        check(&test, 3, (int64_t[]){2, 9, 1500});
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gather_takes_blocks_along_the_axis),
        cmocka_unit_test(indices_outside_count_as_the_nearest),
        cmocka_unit_test(gather_rejects_an_empty_axis),
        cmocka_unit_test(gather_elements_follows_each_axis),
        cmocka_unit_test(scatter_elements_applies_duplicates_in_order),
        cmocka_unit_test(scatter_nd_writes_slices),
        cmocka_unit_test(one_hot_ignores_indices_outside),
        cmocka_unit_test(top_k_is_sorted_and_stable),
        cmocka_unit_test(top_k_rejects_more_than_there_is),
        cmocka_unit_test(non_zero_gives_true_dimensions),
        cmocka_unit_test(unique_keeps_the_first_of_each),
        cmocka_unit_test(compress_keeps_what_the_condition_says),
        cmocka_unit_test(cum_sum_adds_in_order),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
