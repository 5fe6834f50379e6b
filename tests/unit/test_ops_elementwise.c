/* Elementwise operators: broadcasting, chains, conversions and the corners of integer arithmetic. */
#include "support/operation_runner.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hal/cpu/half.h"
#include "hal/cpu/ops/elementwise.h"
#include "operation/fused.h"

static float *floats(int64_t count, uint32_t seed)
{
    float *values = malloc((size_t)count * sizeof *values);
    assert_non_null(values);
    operation_fill_floats(values, count, seed);
    return values;
}

static int64_t count_of(const hd_tensor *tensor)
{
    int64_t count = 1;
    for (uint32_t i = 0; i < tensor->rank; i++) {
        count *= tensor->dims[i];
    }
    return count;
}

/* The element of `tensor` that meets element `index` of a tensor of shape `out`. */
static float broadcast_element(const hd_tensor *tensor, const hd_tensor *out, int64_t index)
{
    int64_t offset = 0, stride = 1;
    for (uint32_t k = 0; k < out->rank; k++) {
        int64_t at = index % out->dims[out->rank - 1 - k];
        index /= out->dims[out->rank - 1 - k];
        if (k < tensor->rank) {
            int64_t dim = tensor->dims[tensor->rank - 1 - k];
            offset += dim == 1 ? 0 : at * stride;
            stride *= dim;
        }
    }
    return ((const float *)tensor->data)[offset];
}

static void check_subtraction(hd_tensor a, hd_tensor b)
{
    operation_case test = {.type = "Sub", .input_count = 2, .inputs = {a, b}};
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_OK);
    const hd_tensor *out = &result.outputs[0];
    for (int64_t i = 0; i < count_of(out); i++) {
        float want = broadcast_element(&a, out, i) - broadcast_element(&b, out, i);
        assert_true(((const float *)out->data)[i] == want);
    }
    operation_result_clear(&result);
    operation_check_partitions(&test);
}

static void shapes_broadcast_as_in_numpy(void **state)
{
    (void)state;
    float *x = floats(70000, 1), *y = floats(70000, 2);
    struct {
        hd_tensor a, b;
    } pairs[] = {
        {OPERATION_SCALAR(HD_FLOAT32, x), OPERATION_SCALAR(HD_FLOAT32, y)},
        {OPERATION_TENSOR(HD_FLOAT32, x, 1, 1), OPERATION_TENSOR(HD_FLOAT32, y, 1)},
        {OPERATION_TENSOR(HD_FLOAT32, x, 70000), OPERATION_TENSOR(HD_FLOAT32, y, 70000)},
        {OPERATION_TENSOR(HD_FLOAT32, x, 4999), OPERATION_SCALAR(HD_FLOAT32, y)},
        {OPERATION_SCALAR(HD_FLOAT32, x), OPERATION_TENSOR(HD_FLOAT32, y, 3, 1667)},
        {OPERATION_TENSOR(HD_FLOAT32, x, 130, 385), OPERATION_TENSOR(HD_FLOAT32, y, 385)},
        {OPERATION_TENSOR(HD_FLOAT32, x, 1, 385), OPERATION_TENSOR(HD_FLOAT32, y, 130, 385)},
        {OPERATION_TENSOR(HD_FLOAT32, x, 130, 385), OPERATION_TENSOR(HD_FLOAT32, y, 130, 1)},
        {OPERATION_TENSOR(HD_FLOAT32, x, 2, 17, 7, 7),
         OPERATION_TENSOR(HD_FLOAT32, y, 1, 17, 1, 1)},
        {OPERATION_TENSOR(HD_FLOAT32, x, 5000, 3), OPERATION_TENSOR(HD_FLOAT32, y, 3)},
        {OPERATION_TENSOR(HD_FLOAT32, x, 48), OPERATION_TENSOR(HD_FLOAT32, y, 1201, 48)},
        {OPERATION_TENSOR(HD_FLOAT32, x, 9, 30, 256), OPERATION_TENSOR(HD_FLOAT32, y, 1, 1, 256)},
        {OPERATION_TENSOR(HD_FLOAT32, x, 270, 257), OPERATION_TENSOR(HD_FLOAT32, y, 257)},
        {OPERATION_TENSOR(HD_FLOAT32, x, 48), OPERATION_TENSOR(HD_FLOAT32, y, 1201, 1)},
        {OPERATION_TENSOR(HD_FLOAT32, x, 5000, 3), OPERATION_TENSOR(HD_FLOAT32, y, 5000, 1)},
        {OPERATION_TENSOR(HD_FLOAT32, x, 301, 1), OPERATION_TENSOR(HD_FLOAT32, y, 1, 200)},
        {OPERATION_TENSOR(HD_FLOAT32, x, 1, 5), OPERATION_TENSOR(HD_FLOAT32, y, 999, 1)},
        {OPERATION_TENSOR(HD_FLOAT32, x, 3, 1, 5, 1, 7),
         OPERATION_TENSOR(HD_FLOAT32, y, 4, 1, 6, 7)},
        {OPERATION_TENSOR(HD_FLOAT32, x, 2, 3, 2, 2, 2, 2, 2, 40),
         OPERATION_TENSOR(HD_FLOAT32, y, 1, 3, 1, 2, 1, 2, 1, 40)},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        check_subtraction(pairs[i].a, pairs[i].b);
    }
    free(x);
    free(y);
}

static void empty_tensors_stay_empty(void **state)
{
    (void)state;
    float x[1] = {1.0f};
    operation_case test = {
        .type = "Add",
        .input_count = 2,
        .inputs = {OPERATION_TENSOR(HD_FLOAT32, x, 0, 3), OPERATION_TENSOR(HD_FLOAT32, x, 1)}};
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_OK);
    assert_int_equal(result.outputs[0].dims[0], 0);
    assert_int_equal(result.outputs[0].dims[1], 3);
    operation_result_clear(&result);
}

static void old_opsets_broadcast_at_an_axis(void **state)
{
    (void)state;
    float x[2 * 3 * 4], y[3] = {10.0f, 20.0f, 30.0f};
    operation_fill_floats(x, 24, 3);
    hd_attribute attributes[] = {operation_int("broadcast", 1), operation_int("axis", 1)};
    operation_case test = {
        .type = "Add",
        .opset = 6,
        .attributes = attributes,
        .attribute_count = 2,
        .input_count = 2,
        .inputs = {OPERATION_TENSOR(HD_FLOAT32, x, 2, 3, 4), OPERATION_TENSOR(HD_FLOAT32, y, 3)}};
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_OK);
    for (int i = 0; i < 24; i++) {
        assert_true(((float *)result.outputs[0].data)[i] == x[i] + y[i / 4 % 3]);
    }
    operation_result_clear(&result);
    test.inputs[1].dims[0] = 2;
    assert_int_not_equal(operation_run(&test, &result), HD_OK);
    operation_result_clear(&result);
}

/* What 64 bits hold of a number that is cut, as a kernel defines it. */
static int64_t cut(float x)
{
    return x >= 0x1p63f ? INT64_MAX : x <= -0x1p63f ? INT64_MIN : x == x ? (int64_t)x : 0;
}

/* Numbers within int32 go in vectors, chunk by chunk; one beyond it, or NaN, at each place of a chunk. */
static void floats_become_integers_wherever_they_stand(void **state)
{
    (void)state;
    enum { COUNT = 139 };
    static const float odd[] = {NAN,   INFINITY, -INFINITY, 3e9f,     -3e9f,
                                1e19f, -1e30f,   0x1p31f,   -0x1p31f, 0x1.fffffep30f};
    static const hd_dtype dtypes[] = {HD_INT8, HD_UINT8, HD_INT16, HD_UINT16, HD_INT32};
    float x[COUNT];
    for (size_t place = 0; place < COUNT; place++) {
        for (size_t i = 0; i < COUNT; i++) {
            x[i] = ((float)i - 70) * 3.75f;
        }
        x[place] = odd[place % (sizeof odd / sizeof odd[0])];
        const hd_dtype dtype = dtypes[place % 5];
        const size_t size = hd_dtype_size(dtype);
        hd_attribute to = operation_int("to", dtype);
        operation_case test = {.type = "Cast",
                               .attributes = &to,
                               .attribute_count = 1,
                               .input_count = 1,
                               .inputs = {OPERATION_TENSOR(HD_FLOAT32, x, COUNT)}};
        operation_result result;
        assert_int_equal(operation_run(&test, &result), HD_OK);
        for (size_t i = 0; i < COUNT; i++) {
            const int64_t expected = cut(x[i]); /* its low bytes */
            assert_memory_equal((const char *)result.outputs[0].data + i * size, &expected, size);
        }
        operation_result_clear(&result);
    }
}

/* --- chains */

typedef struct chain_step {
    const char *type;
    uint16_t operands[3];
    uint16_t operand_count;
    float alpha;
} chain_step;

/* Runs the chain fused and step by step and compares the bits. */
static void check_chain(const chain_step *steps, size_t step_count, const hd_tensor *inputs,
                        size_t input_count)
{
    hd_operand operands[16][4] = {0};
    hd_operation operations[16] = {0};
    hd_elementwise_step fused_steps[16] = {0};
    hd_attribute attributes[16];
    hd_tensor values[32];
    operation_result results[16];
    memcpy(values, inputs, input_count * sizeof *inputs);
    for (size_t i = 0; i < step_count; i++) {
        operation_case one = {.type = steps[i].type, .input_count = steps[i].operand_count};
        attributes[i] = operation_float("alpha", steps[i].alpha);
        one.attributes = &attributes[i];
        one.attribute_count = steps[i].alpha != 0.0f;
        for (size_t k = 0; k < one.input_count; k++) {
            one.inputs[k] = values[steps[i].operands[k]];
            operands[i][k].dtype = one.inputs[k].dtype;
        }
        assert_int_equal(operation_run(&one, &results[i]), HD_OK);
        values[input_count + i] = results[i].outputs[0];
        operands[i][3].dtype = results[i].outputs[0].dtype;
        operations[i] = (hd_operation){.id = hd_operator_lookup(one.type),
                                       .name = "step",
                                       .opset = 21,
                                       .attributes = one.attributes,
                                       .attribute_count = one.attribute_count,
                                       .inputs = operands[i],
                                       .input_count = one.input_count,
                                       .outputs = &operands[i][3],
                                       .output_count = 1};
        assert_true(hd_cpu_elementwise_fuses(&operations[i]));
        fused_steps[i].operation = &operations[i];
        fused_steps[i].operand_count = steps[i].operand_count;
        memcpy(fused_steps[i].operands, steps[i].operands, sizeof steps[i].operands);
    }
    hd_fused fused = {.id = HD_OP_HEDDLE_ELEMENTWISE, .elementwise = {fused_steps, step_count}};
    operation_case whole = {
        .type = "heddle.Elementwise", .input_count = input_count, .fused = &fused};
    memcpy(whole.inputs, inputs, input_count * sizeof *inputs);
    operation_result result;
    assert_int_equal(operation_run(&whole, &result), HD_OK);
    operation_check_output(&result.outputs[0], &values[input_count + step_count - 1]);
    operation_result_clear(&result);
    operation_check_partitions(&whole);
    for (size_t i = 0; i < step_count; i++) {
        operation_result_clear(&results[i]);
    }
}

static void chains_give_the_bits_of_their_operators(void **state)
{
    (void)state;
    float *x = floats(130 * 385, 4), *y = floats(130 * 385, 5);
    float root = 1.41421354f, one = 1.0f, half = 0.5f, three = 3.0f, six = 6.0f;
    hd_tensor tensor = OPERATION_TENSOR(HD_FLOAT32, x, 130, 385);
    hd_tensor row = OPERATION_TENSOR(HD_FLOAT32, y, 385);
    hd_tensor column = OPERATION_TENSOR(HD_FLOAT32, y, 130, 1);
    hd_tensor narrow = OPERATION_TENSOR(HD_FLOAT32, x, 10000, 5);
    hd_tensor narrow_row = OPERATION_TENSOR(HD_FLOAT32, y, 5);

    const chain_step gelu[] = {{"Div", {0, 1}, 2, 0},
                               {"Erf", {4}, 1, 0},
                               {"Add", {5, 2}, 2, 0},
                               {"Mul", {0, 6}, 2, 0},
                               {"Mul", {7, 3}, 2, 0}};
    hd_tensor gelu_inputs[] = {tensor, OPERATION_SCALAR(HD_FLOAT32, &root),
                               OPERATION_TENSOR(HD_FLOAT32, &one, 1),
                               OPERATION_SCALAR(HD_FLOAT32, &half)};
    check_chain(gelu, 5, gelu_inputs, 4);

    const chain_step hard_swish[] = {{"Add", {0, 1}, 2, 0},
                                     {"Clip", {4, 2, 3}, 3, 0},
                                     {"Mul", {0, 5}, 2, 0},
                                     {"Div", {6, 3}, 2, 0}};
    float zero = 0.0f;
    hd_tensor swish_inputs[] = {tensor, OPERATION_SCALAR(HD_FLOAT32, &three),
                                OPERATION_SCALAR(HD_FLOAT32, &zero),
                                OPERATION_SCALAR(HD_FLOAT32, &six)};
    check_chain(hard_swish, 4, swish_inputs, 4);

    const chain_step silu[] = {{"Sigmoid", {0}, 1, 0}, {"Mul", {0, 1}, 2, 0}};
    check_chain(silu, 2, &tensor, 1);

    const chain_step norm_tail[] = {{"Sub", {0, 1}, 2, 0},
                                    {"Mul", {5, 2}, 2, 0},
                                    {"Mul", {6, 3}, 2, 0},
                                    {"Add", {7, 4}, 2, 0},
                                    {"LeakyRelu", {8}, 1, 0.1f}};
    hd_tensor norm_inputs[] = {tensor, column, column, row, row};
    check_chain(norm_tail, 5, norm_inputs, 5);

    const chain_step choice[] = {{"Less", {0, 1}, 2, 0},
                                 {"Greater", {0, 2}, 2, 0},
                                 {"Or", {3, 4}, 2, 0},
                                 {"Exp", {0}, 1, 0},
                                 {"Where", {5, 6, 1}, 3, 0}};
    hd_tensor choice_inputs[] = {narrow, narrow_row, OPERATION_SCALAR(HD_FLOAT32, &half)};
    check_chain(choice, 5, choice_inputs, 3);
    free(x);
    free(y);
}

static void fuses_only_what_it_can_evaluate(void **state)
{
    (void)state;
    hd_operand inputs[3] = {{.dtype = HD_FLOAT32}, {.dtype = HD_FLOAT32}, {.dtype = HD_FLOAT32}};
    hd_operand output = {.dtype = HD_FLOAT32};
    hd_operation operation = {.id = HD_OP_ADD,
                              .name = "",
                              .opset = 13,
                              .inputs = inputs,
                              .input_count = 2,
                              .outputs = &output,
                              .output_count = 1};
    assert_true(hd_cpu_elementwise_fuses(&operation));
    operation.id = HD_OP_MATMUL;
    assert_false(hd_cpu_elementwise_fuses(&operation));
    operation.id = HD_OP_ADD;
    operation.opset = 6;
    assert_false(hd_cpu_elementwise_fuses(&operation));
    operation.opset = 13;
    inputs[1].dtype = HD_INT64;
    assert_false(hd_cpu_elementwise_fuses(&operation));
    operation.id = HD_OP_SUM;
    operation.input_count = 4;
    assert_false(hd_cpu_elementwise_fuses(&operation));
}

/* --- conversions */

static void halves_round_trip_and_round_to_even(void **state)
{
    (void)state;
    static uint16_t halves[65536], back[65536];
    static float wide[65536];
    for (uint32_t i = 0; i < 65536; i++) {
        halves[i] = (uint16_t)i;
    }
    hd_cpu_vector_float_of_half(wide, halves, 65536);
    hd_cpu_vector_half_of_float(back, wide, 65536);
    for (uint32_t i = 0; i < 65536; i++) {
        float one = hd_cpu_float_of_half((uint16_t)i);
        /* the instruction and the function agree */
        assert_memory_equal(&one, &wide[i], sizeof one);
        bool is_nan = (i & 0x7C00) == 0x7C00 && (i & 0x3FF) != 0;
        assert_int_equal(back[i], is_nan ? (i | 0x200) : i);
        assert_int_equal(hd_cpu_half_of_float(one), back[i]);
    }
    /* Between neighbours: the middle goes to the even one, what is beyond it to the nearer one. */
    for (uint32_t i = 0; i < 0x7BFF; i++) {
        float low = wide[i], high = wide[i + 1], middle = low + (high - low) / 2.0f;
        assert_int_equal(hd_cpu_half_of_float(middle), i + (i & 1));
        assert_int_equal(hd_cpu_half_of_float(nextafterf(middle, INFINITY)), i + 1);
        assert_int_equal(hd_cpu_half_of_float(nextafterf(middle, 0.0f)), i);
        uint16_t vector;
        hd_cpu_vector_half_of_float(&vector, &middle, 1);
        assert_int_equal(vector, i + (i & 1));
    }
    assert_int_equal(hd_cpu_half_of_float(65519.99f), 0x7BFF);
    assert_int_equal(hd_cpu_half_of_float(65520.0f), 0x7C00);
    assert_int_equal(hd_cpu_half_of_float(1e-30f), 0);
    for (uint32_t i = 0; i < 0x7F7F; i++) {
        float low = hd_cpu_float_of_bfloat((uint16_t)i);
        uint32_t bits = i << 16 | 0x8000;
        float middle;
        memcpy(&middle, &bits, sizeof middle);
        assert_int_equal(hd_cpu_bfloat_of_float(low), i);
        assert_int_equal(hd_cpu_bfloat_of_float(middle), i + (i & 1));
    }
    assert_int_equal(hd_cpu_bfloat_of_float(NAN) & 0x7FC0, 0x7FC0);
}

static void cast(const void *in, hd_dtype from, void *out, hd_dtype to, int64_t count)
{
    hd_attribute attributes[] = {operation_int("to", to)};
    operation_case test = {.type = "Cast",
                           .attributes = attributes,
                           .attribute_count = 1,
                           .input_count = 1,
                           .inputs = {OPERATION_TENSOR(from, in, count)}};
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_OK);
    assert_int_equal(result.outputs[0].dtype, to);
    memcpy(out, result.outputs[0].data, (size_t)count * hd_dtype_size(to));
    operation_result_clear(&result);
}

static void casts_round_once_and_stay_defined(void **state)
{
    (void)state;
    /* 1 + 2^-11 + 2^-40 lies above the middle of two halves; through float32 it would lie on it. */
    double near_middle[2] = {1.0 + 0x1p-11 + 0x1p-40, -(1.0 + 0x1p-11 + 0x1p-40)};
    uint16_t half[3];
    cast(near_middle, HD_FLOAT64, half, HD_FLOAT16, 2);
    assert_int_equal(half[0], 0x3C01);
    assert_int_equal(half[1], 0xBC01);
    int64_t big[3] = {(INT64_C(1) << 62) + (INT64_C(1) << 54) + 1, 70000, -3};
    cast(big, HD_INT64, half, HD_BFLOAT16, 3);
    assert_int_equal(half[0], 0x5E81);
    cast(big, HD_INT64, half, HD_FLOAT16, 3);
    assert_int_equal(half[1], 0x7C00);
    assert_int_equal(half[2], 0xC200);

    float wild[6] = {NAN, INFINITY, -INFINITY, 3e9f, -1.9f, 255.7f};
    int64_t wide[6];
    int32_t narrow[6];
    uint8_t bytes[6];
    cast(wild, HD_FLOAT32, wide, HD_INT64, 6);
    assert_true(wide[0] == 0 && wide[1] == INT64_MAX && wide[2] == INT64_MIN);
    assert_true(wide[3] == 3000000000 && wide[4] == -1 && wide[5] == 255);
    cast(wild, HD_FLOAT32, narrow, HD_INT32, 6);
    assert_true(narrow[4] == -1 && narrow[5] == 255);
    cast(wild, HD_FLOAT32, bytes, HD_UINT8, 6);
    assert_int_equal(bytes[5], 255);
    cast(wild, HD_FLOAT32, bytes, HD_BOOL, 6);
    assert_true(bytes[0] == 1 && bytes[4] == 1);
    double huge[2] = {1.8e19, 9.3e18};
    uint64_t large[2];
    cast(huge, HD_FLOAT64, large, HD_UINT64, 2);
    assert_true(large[0] == UINT64_C(18000000000000000000) &&
                large[1] == UINT64_C(9300000000000000000));
}

static void all_pairs_of_types_convert_small_numbers(void **state)
{
    (void)state;
    static const hd_dtype dtypes[] = {HD_FLOAT32, HD_FLOAT64, HD_FLOAT16, HD_BFLOAT16, HD_INT8,
                                      HD_INT16,   HD_INT32,   HD_INT64,   HD_UINT8,    HD_UINT16,
                                      HD_UINT32,  HD_UINT64,  HD_BOOL};
    enum { TYPES = sizeof dtypes / sizeof dtypes[0], COUNT = 77 };
    double numbers[COUNT], back[COUNT];
    for (int i = 0; i < COUNT; i++) {
        numbers[i] = i;
    }
    uint64_t first[COUNT], second[COUNT];
    for (size_t a = 0; a < TYPES; a++) {
        for (size_t b = 0; b < TYPES; b++) {
            cast(numbers, HD_FLOAT64, first, dtypes[a], COUNT);
            cast(first, dtypes[a], second, dtypes[b], COUNT);
            cast(second, dtypes[b], back, HD_FLOAT64, COUNT);
            bool is_bool = dtypes[a] == HD_BOOL || dtypes[b] == HD_BOOL;
            for (int i = 0; i < COUNT; i++) {
                assert_true(back[i] == (is_bool ? (double)(i != 0) : (double)i));
            }
        }
    }
}

/* --- integers */

static void integer_corners_are_defined(void **state)
{
    (void)state;
    int32_t a[6] = {INT32_MIN, 7, -7, INT32_MAX, 5, -7}, b[6] = {-1, 0, 2, -1, -3, -2};
    static const struct {
        const char *type;
        int32_t want[6];
    } rows[] = {
        {"Div", {INT32_MIN, 0, -3, -INT32_MAX, -1, 3}},
        {"Mod", {0, 0, 1, 0, -1, -1}},
        {"Add", {INT32_MAX, 7, -5, INT32_MAX - 1, 2, -9}},
        {"Mul", {INT32_MIN, 0, -14, -INT32_MAX, -15, 14}},
        {"Max", {-1, 7, 2, INT32_MAX, 5, -2}},
    };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        operation_case test = {
            .type = rows[r].type,
            .input_count = 2,
            .inputs = {OPERATION_TENSOR(HD_INT32, a, 6), OPERATION_TENSOR(HD_INT32, b, 6)}};
        operation_result result;
        assert_int_equal(operation_run(&test, &result), HD_OK);
        assert_memory_equal(result.outputs[0].data, rows[r].want, sizeof rows[r].want);
        operation_result_clear(&result);
    }
    uint16_t x[3] = {65535, 65535, 1}, y[3] = {65535, 16, 15}, shifted[3] = {0, 0, 32768};
    hd_attribute left[] = {operation_string("direction", "LEFT")};
    operation_case shift = {
        .type = "BitShift",
        .attributes = left,
        .attribute_count = 1,
        .input_count = 2,
        .inputs = {OPERATION_TENSOR(HD_UINT16, x, 3), OPERATION_TENSOR(HD_UINT16, y, 3)}};
    operation_result result;
    assert_int_equal(operation_run(&shift, &result), HD_OK);
    assert_memory_equal(result.outputs[0].data, shifted, sizeof shifted);
    operation_result_clear(&result);
    int64_t base[4] = {2, -1, 0, 3}, exponent[4] = {62, -3, -2, 70};
    operation_case power = {
        .type = "Pow",
        .input_count = 2,
        .inputs = {OPERATION_TENSOR(HD_INT64, base, 4), OPERATION_TENSOR(HD_INT64, exponent, 4)}};
    assert_int_equal(operation_run(&power, &result), HD_OK);
    const int64_t *powers = result.outputs[0].data;
    assert_true(powers[0] == INT64_C(1) << 62 && powers[1] == -1 && powers[2] == 0);
    operation_result_clear(&result);
}

static void types_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    float x[2] = {1.0f, 2.0f};
    int64_t y[3] = {1, 2, 3};
    operation_case test = {
        .type = "Add",
        .input_count = 2,
        .inputs = {OPERATION_TENSOR(HD_FLOAT32, x, 2), OPERATION_TENSOR(HD_INT64, y, 2)}};
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_INVALID_ARGUMENT);
    operation_result_clear(&result);
    test.inputs[1] = OPERATION_TENSOR(HD_FLOAT32, x, 1, 1);
    test.type = "And";
    assert_int_equal(operation_run(&test, &result), HD_UNSUPPORTED);
    operation_result_clear(&result);
    test.type = "Sub";
    test.inputs[0] = OPERATION_TENSOR(HD_INT64, y, 3);
    test.inputs[1] = OPERATION_TENSOR(HD_INT64, y, 2);
    assert_int_equal(operation_run(&test, &result), HD_INVALID_ARGUMENT);
    operation_result_clear(&result);
}

/* A float32 NaN of one payload, wherever it lies, gives one result. */
static void nan_payloads_do_not_depend_on_position(void **state)
{
    (void)state;
    enum { COUNT = 101 };
    uint32_t a[COUNT], b[COUNT];
    for (int i = 0; i < COUNT; i++) {
        a[i] = 0x7FC00001;
        b[i] = 0xFFC00002;
    }
    static const char *const types[] = {"Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Mod"};
    hd_attribute attributes[] = {operation_int("fmod", 1)};
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
        operation_case test = {.type = types[t],
                               .attributes = attributes,
                               .attribute_count = 1,
                               .input_count = 2,
                               .inputs = {OPERATION_TENSOR(HD_FLOAT32, a, COUNT),
                                          OPERATION_TENSOR(HD_FLOAT32, b, COUNT)}};
        operation_result result;
        assert_int_equal(operation_run(&test, &result), HD_OK);
        const uint32_t *out = result.outputs[0].data;
        for (int i = 1; i < COUNT; i++) {
            assert_int_equal(out[i], out[0]);
        }
        operation_result_clear(&result);
    }
}

/* onnxruntime and onnx's reference evaluator subtract before they round; what a threshold is for an integer follows
 * from its value, also where the type has none such. */
static void integers_shrink_by_what_is_no_integer(void **state)
{
    (void)state;
    enum { COUNT = 9 };
    int8_t x[COUNT] = {-128, -3, -2, -1, 0, 1, 2, 3, 127};
    static const struct {
        hd_dtype dtype;
        float bias, lambd;
        int8_t want[COUNT];
    } rows[] = {
        {HD_INT8, 1.5f, 1.5f, {-126, -1, 0, 0, 0, 0, 0, 1, 125}},
        {HD_INT8, 0.0f, -1.5f, {-128, -3, -2, -1, 0, 1, 2, 3, 127}},
        {HD_INT8, 1.0f, 300.0f, {0}},
        {HD_UINT8, 0.5f, 253.5f, {0, 0, (int8_t)253, (int8_t)254, 0, 0, 0, 0, 0}},
    };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        hd_attribute attributes[] = {operation_float("bias", rows[r].bias),
                                     operation_float("lambd", rows[r].lambd)};
        operation_case test = {.type = "Shrink",
                               .attributes = attributes,
                               .attribute_count = 2,
                               .input_count = 1,
                               .inputs = {OPERATION_TENSOR(rows[r].dtype, x, COUNT)}};
        operation_result result;
        assert_int_equal(operation_run(&test, &result), HD_OK);
        assert_memory_equal(result.outputs[0].data, rows[r].want, COUNT);
        operation_result_clear(&result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_broadcast_as_in_numpy),
        cmocka_unit_test(empty_tensors_stay_empty),
        cmocka_unit_test(floats_become_integers_wherever_they_stand),
        cmocka_unit_test(old_opsets_broadcast_at_an_axis),
        cmocka_unit_test(chains_give_the_bits_of_their_operators),
        cmocka_unit_test(fuses_only_what_it_can_evaluate),
        cmocka_unit_test(halves_round_trip_and_round_to_even),
        cmocka_unit_test(casts_round_once_and_stay_defined),
        cmocka_unit_test(all_pairs_of_types_convert_small_numbers),
        cmocka_unit_test(integer_corners_are_defined),
        cmocka_unit_test(types_that_do_not_fit_are_refused),
        cmocka_unit_test(nan_payloads_do_not_depend_on_position),
        cmocka_unit_test(integers_shrink_by_what_is_no_integer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
