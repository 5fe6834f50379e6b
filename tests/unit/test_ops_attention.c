/* heddle.Attention against MatMul, Mul, Add, Softmax and MatMul one after the other, bit for
 * bit. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "operation/fused.h"
#include "operation_runner.h"

typedef struct sizes {
    int64_t batch, heads, queries, keys, query_width, value_width;
    int64_t mask[4]; /* dimensions; mask[0] 0: no mask */
} sizes;

static float *floats(int64_t count, uint32_t seed)
{
    float *values = hd_alloc_aligned((size_t)(count + 1) * sizeof *values);
    assert_non_null(values);
    operation_fill_floats(values, count, seed);
    return values;
}

/* Softmax over the last axis, by its own kernel. */
static void softmax(float *x, int64_t rows, int64_t columns)
{
    hd_attribute attributes[] = {operation_int("axis", -1)};
    operation_case test = {.type = "Softmax",
                           .attributes = attributes,
                           .attribute_count = 1,
                           .input_count = 1,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, x, rows, columns)}};
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_OK);
    memcpy(x, result.outputs[0].data, (size_t)(rows * columns) * sizeof *x);
    operation_result_clear(&result);
}

static float mask_at(const sizes *s, const float *mask, int64_t b, int64_t h, int64_t t, int64_t k)
{
    int64_t index[4] = {b, h, t, k}, at = 0;
    for (int i = 0; i < 4; i++) {
        at = at * s->mask[i] + (s->mask[i] == 1 ? 0 : index[i]);
    }
    return mask[at];
}

static void reference(const sizes *s, const float *q, const float *k, const float *v,
                      const float *mask, float scale, float *y)
{
    float *scores = floats(s->queries * s->keys, 1);
    for (int64_t i = 0; i < s->batch * s->heads; i++) {
        int64_t b = i / s->heads, h = i % s->heads;
        int64_t row = s->heads * s->query_width, value_row = s->heads * s->value_width;
        for (int64_t j = 0; j < s->queries * s->keys; j++) {
            int64_t t = j / s->keys, key = j % s->keys;
            float sum = 0.0f;
            for (int64_t d = 0; d < s->query_width; d++) {
                sum = fmaf(q[(b * s->queries + t) * row + h * s->query_width + d],
                           k[(b * s->keys + key) * row + h * s->query_width + d], sum);
            }
            sum = sum * scale;
            scores[j] = mask != NULL ? sum + mask_at(s, mask, b, h, t, key) : sum;
        }
        softmax(scores, s->queries, s->keys);
        for (int64_t j = 0; j < s->queries * s->value_width; j++) {
            int64_t t = j / s->value_width, e = j % s->value_width;
            float sum = 0.0f;
            for (int64_t key = 0; key < s->keys; key++) {
                sum = fmaf(scores[t * s->keys + key],
                           v[(b * s->keys + key) * value_row + h * s->value_width + e], sum);
            }
            y[(b * s->queries + t) * value_row + h * s->value_width + e] = sum;
        }
    }
    hd_free(scores);
}

/* forbidden: how the mask is filled: 0 with numbers, 1 with -inf for every third element, 2 with
 * -inf for all of the first row. */
static void check(const sizes *s, int forbidden)
{
    float *q = floats(s->batch * s->queries * s->heads * s->query_width, 2);
    float *k = floats(s->batch * s->keys * s->heads * s->query_width, 3);
    float *v = floats(s->batch * s->keys * s->heads * s->value_width, 4);
    float *y = floats(s->batch * s->queries * s->heads * s->value_width, 5);
    bool masked = s->mask[0] != 0;
    int64_t mask_count = masked ? s->mask[0] * s->mask[1] * s->mask[2] * s->mask[3] : 0;
    float *mask = floats(mask_count, 6);
    for (int64_t i = 0; i < mask_count; i++) {
        if ((forbidden == 1 && i % 3 == 1) || (forbidden == 2 && i < s->mask[3])) {
            mask[i] = -INFINITY;
        }
    }
    hd_fused fused = {.id = HD_OP_HEDDLE_ATTENTION,
                      .attention = {.heads = s->heads, .scale = 0.3f}};
    reference(s, q, k, v, masked ? mask : NULL, fused.attention.scale, y);
    operation_case test = {
        .type = "heddle.Attention", .input_count = masked ? 4 : 3, .fused = &fused};
    int64_t row = s->heads * s->query_width, value_row = s->heads * s->value_width;
    test.inputs[0] = OPERATION_TENSOR(HD_FLOAT32, q, s->batch, s->queries, row);
    test.inputs[1] = OPERATION_TENSOR(HD_FLOAT32, k, s->batch, s->keys, row);
    test.inputs[2] = OPERATION_TENSOR(HD_FLOAT32, v, s->batch, s->keys, value_row);
    test.inputs[3] = operation_tensor(HD_FLOAT32, mask, 4, s->mask);
    operation_result result;
    if (operation_run(&test, &result) != HD_OK) {
        fail_msg("%s", result.error.message);
    }
    hd_tensor expected = OPERATION_TENSOR(HD_FLOAT32, y, s->batch, s->queries, value_row);
    if (forbidden == 2) { /* not a number has many bit patterns */
        operation_check_close(&result.outputs[0], &expected, 0.0, 0.0);
    } else {
        operation_check_output(&result.outputs[0], &expected);
    }
    operation_result_clear(&result);
    operation_check_partitions(&test);
    hd_free(q);
    hd_free(k);
    hd_free(v);
    hd_free(y);
    hd_free(mask);
}

static void it_gives_the_bits_of_separate_operators(void **state)
{
    (void)state;
    static const sizes cases[] = {
        {1, 12, 128, 128, 32, 32, {0}}, {2, 3, 17, 33, 5, 7, {0}},    {1, 2, 1, 300, 64, 64, {0}},
        {1, 1, 260, 65, 130, 70, {0}},  {1, 2, 300, 1024, 8, 8, {0}}, {3, 1, 1, 1, 1, 1, {0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check(&cases[i], 0);
    }
}

static void masks_broadcast_and_forbid(void **state)
{
    (void)state;
    static const int64_t masks[][4] = {{2, 1, 1, 70}, {1, 1, 40, 70}, {2, 3, 40, 70}, {1, 3, 40, 1},
                                       {1, 1, 1, 1},  {2, 1, 40, 70}, {1, 3, 1, 70}};
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        sizes s = {2, 3, 40, 70, 16, 16, {0}};
        memcpy(s.mask, masks[i], sizeof s.mask);
        check(&s, 0);
        check(&s, s.mask[3] > 1 ? 1 : 0);
    }
    sizes one_key = {2, 3, 40, 1, 16, 16, {2, 1, 40, 1}};
    check(&one_key, 0);
}

static void a_row_that_may_see_nothing_is_not_a_number(void **state)
{
    (void)state;
    sizes s = {1, 2, 10, 20, 8, 8, {1, 1, 10, 20}};
    check(&s, 2);
}

static void empty_sequences_are_allowed(void **state)
{
    (void)state;
    static const sizes cases[] = {{1, 2, 0, 5, 4, 4, {0}}, {0, 2, 3, 5, 4, 4, {0}}};
    for (size_t i = 0; i < 2; i++) {
        check(&cases[i], 0);
    }
}

static void operands_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    float x[64] = {0};
    hd_fused fused = {.id = HD_OP_HEDDLE_ATTENTION, .attention = {.heads = 3, .scale = 1.0f}};
    operation_case test = {.type = "heddle.Attention",
                           .input_count = 3,
                           .fused = &fused,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, x, 1, 2, 8),
                                      OPERATION_TENSOR(HD_FLOAT32, x, 1, 2, 8),
                                      OPERATION_TENSOR(HD_FLOAT32, x, 1, 2, 8)}};
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_INVALID_ARGUMENT);
    operation_result_clear(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_gives_the_bits_of_separate_operators),
        cmocka_unit_test(masks_broadcast_and_forbid),
        cmocka_unit_test(a_row_that_may_see_nothing_is_not_a_number),
        cmocka_unit_test(empty_sequences_are_allowed),
        cmocka_unit_test(operands_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
