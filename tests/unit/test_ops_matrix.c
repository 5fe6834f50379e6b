/* Matrix operators: MatMul, Gemm and heddle.Linear against plain loops. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "hal/cpu/activation.h"
#include "operation/fused.h"
#include "operation_runner.h"

static float *floats(int64_t count, uint32_t seed)
{
    float *values = hd_alloc_aligned((size_t)(count + 1) * sizeof *values);
    assert_non_null(values);
    operation_fill_floats(values, count, seed);
    return values;
}

/* C [rows, columns] = A · B by the rule of gemm.h. */
static void multiply(const float *a, const float *b, float *c, int64_t rows, int64_t columns,
                     int64_t depth)
{
    for (int64_t i = 0; i < rows * columns; i++) {
        float sum = 0.0f;
        for (int64_t k = 0; k < depth; k++) {
            sum = fmaf(a[i / columns * depth + k], b[k * columns + i % columns], sum);
        }
        c[i] = sum;
    }
}

static void run_and_compare(operation_case *test, const hd_tensor *expected)
{
    operation_result result;
    if (operation_run(test, &result) != HD_OK) {
        fail_msg("%s", result.error.message);
    }
    operation_check_output(&result.outputs[0], expected);
    operation_result_clear(&result);
    operation_check_partitions(test);
}

static void matmul_broadcasts_batches_as_numpy(void **state)
{
    (void)state;
    float *a = floats(2 * 1 * 5 * 70, 1), *b = floats(3 * 70 * 33, 2),
          *y = floats(2 * 3 * 5 * 33, 3);
    for (int64_t i = 0; i < 2; i++) {
        for (int64_t j = 0; j < 3; j++) {
            multiply(a + i * 5 * 70, b + j * 70 * 33, y + (i * 3 + j) * 5 * 33, 5, 33, 70);
        }
    }
    operation_case test = {.type = "MatMul",
                           .input_count = 2,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, a, 2, 1, 5, 70),
                                      OPERATION_TENSOR(HD_FLOAT32, b, 3, 70, 33)}};
    hd_tensor expected = OPERATION_TENSOR(HD_FLOAT32, y, 2, 3, 5, 33);
    run_and_compare(&test, &expected);
    hd_free(a);
    hd_free(b);
    hd_free(y);
}

static void matmul_takes_vectors_and_shares_a_right_matrix(void **state)
{
    (void)state;
    float *a = floats(4 * 3 * 20, 1), *b = floats(20 * 9, 2), *y = floats(4 * 3 * 9, 3);
    multiply(a, b, y, 12, 9, 20);
    operation_case test = {.type = "MatMul",
                           .input_count = 2,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, a, 4, 3, 20),
                                      OPERATION_TENSOR(HD_FLOAT32, b, 20, 9)}};
    hd_tensor expected = OPERATION_TENSOR(HD_FLOAT32, y, 4, 3, 9);
    run_and_compare(&test, &expected);

    test.inputs[0] = OPERATION_TENSOR(HD_FLOAT32, a, 20);
    expected = OPERATION_TENSOR(HD_FLOAT32, y, 9);
    run_and_compare(&test, &expected);

    multiply(a, b, y, 12, 1, 20);
    test.inputs[0] = OPERATION_TENSOR(HD_FLOAT32, a, 4, 3, 20);
    test.inputs[1] = OPERATION_TENSOR(HD_FLOAT32, b, 20);
    expected = OPERATION_TENSOR(HD_FLOAT32, y, 4, 3);
    run_and_compare(&test, &expected);

    test.inputs[0] = OPERATION_TENSOR(HD_FLOAT32, a, 20);
    expected = operation_tensor(HD_FLOAT32, y, 0, NULL);
    run_and_compare(&test, &expected);
    hd_free(a);
    hd_free(b);
    hd_free(y);
}

static void matmul_of_an_empty_batch_or_depth(void **state)
{
    (void)state;
    float a[6] = {1, 2, 3, 4, 5, 6}, zeros[6] = {0};
    operation_case test = {
        .type = "MatMul",
        .input_count = 2,
        .inputs = {OPERATION_TENSOR(HD_FLOAT32, a, 2, 0), OPERATION_TENSOR(HD_FLOAT32, a, 0, 3)}};
    hd_tensor expected = OPERATION_TENSOR(HD_FLOAT32, zeros, 2, 3);
    run_and_compare(&test, &expected);
    test.inputs[0] = OPERATION_TENSOR(HD_FLOAT32, a, 0, 2, 3);
    test.inputs[1] = OPERATION_TENSOR(HD_FLOAT32, a, 0, 3, 2);
    expected = OPERATION_TENSOR(HD_FLOAT32, zeros, 0, 2, 2);
    run_and_compare(&test, &expected);
}

static void matmul_of_integers_wraps(void **state)
{
    (void)state;
    int32_t a[4] = {INT32_MAX, 2, 3, -4}, b[4] = {2, 5, -7, INT32_MIN};
    int32_t y[4] = {-16, 2147483643, 34, 15};
    operation_case test = {
        .type = "MatMul",
        .input_count = 2,
        .inputs = {OPERATION_TENSOR(HD_INT32, a, 2, 2), OPERATION_TENSOR(HD_INT32, b, 2, 2)}};
    hd_tensor expected = OPERATION_TENSOR(HD_INT32, y, 2, 2);
    run_and_compare(&test, &expected);
    double c[4] = {1, 2, 3, 4}, d[4] = {0.5, 0.25, 2, 1}, z[4] = {4.5, 2.25, 9.5, 4.75};
    test.inputs[0] = OPERATION_TENSOR(HD_FLOAT64, c, 2, 2);
    test.inputs[1] = OPERATION_TENSOR(HD_FLOAT64, d, 2, 2);
    expected = OPERATION_TENSOR(HD_FLOAT64, z, 2, 2);
    run_and_compare(&test, &expected);
}

static void matmul_refuses_shapes_that_do_not_fit(void **state)
{
    (void)state;
    float a[12] = {0};
    operation_case test = {
        .type = "MatMul",
        .input_count = 2,
        .inputs = {OPERATION_TENSOR(HD_FLOAT32, a, 3, 4), OPERATION_TENSOR(HD_FLOAT32, a, 3, 4)}};
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_INVALID_ARGUMENT);
    operation_result_clear(&result);
    test.inputs[1] = operation_tensor(HD_FLOAT32, a, 0, NULL);
    assert_int_equal(operation_run(&test, &result), HD_INVALID_ARGUMENT);
    operation_result_clear(&result);
}

/* All of transA, transB, with C as a scalar, row, column and matrix. */
static void gemm_scales_and_broadcasts(void **state)
{
    (void)state;
    enum { ROWS = 37, COLUMNS = 70, DEPTH = 150 };
    static const int64_t c_dims[][2] = {{1, 1}, {1, COLUMNS}, {ROWS, 1}, {ROWS, COLUMNS}};
    float *a = floats(ROWS * DEPTH, 1), *b = floats(DEPTH * COLUMNS, 2),
          *c = floats(ROWS * COLUMNS, 3);
    float *y = floats(ROWS * COLUMNS, 4), *at = floats(ROWS * DEPTH, 5),
          *bt = floats(DEPTH * COLUMNS, 6);
    for (int64_t k = 0; k < DEPTH; k++) {
        for (int64_t i = 0; i < ROWS; i++) {
            at[k * ROWS + i] = a[i * DEPTH + k];
        }
        for (int64_t j = 0; j < COLUMNS; j++) {
            bt[j * DEPTH + k] = b[k * COLUMNS + j];
        }
    }
    for (int variant = 0; variant < 64; variant++) {
        bool trans_a = variant & 1, trans_b = variant & 2;
        float alpha = variant & 4 ? 0.3f : 1.0f, beta = variant & 32 ? 3.0f : 1.0f;
        const int64_t *dims = c_dims[variant >> 3 & 3];
        hd_attribute attributes[] = {
            operation_int("transA", trans_a), operation_int("transB", trans_b),
            operation_float("alpha", alpha), operation_float("beta", beta)};
        multiply(a, b, y, ROWS, COLUMNS, DEPTH);
        for (int64_t i = 0; i < ROWS * COLUMNS; i++) {
            int64_t row = dims[0] == 1 ? 0 : i / COLUMNS, column = dims[1] == 1 ? 0 : i % COLUMNS;
            float term = c[row * dims[1] + column];
            y[i] = alpha * y[i] + beta * term;
        }
        operation_case test = {
            .type = "Gemm",
            .attributes = attributes,
            .attribute_count = 4,
            .input_count = 3,
            .inputs = {OPERATION_TENSOR(HD_FLOAT32, trans_a ? at : a, trans_a ? DEPTH : ROWS,
                                        trans_a ? ROWS : DEPTH),
                       OPERATION_TENSOR(HD_FLOAT32, trans_b ? bt : b, trans_b ? COLUMNS : DEPTH,
                                        trans_b ? DEPTH : COLUMNS),
                       operation_tensor(HD_FLOAT32, c, 2, dims)}};
        hd_tensor expected = OPERATION_TENSOR(HD_FLOAT32, y, ROWS, COLUMNS);
        run_and_compare(&test, &expected);
    }
    hd_free(a);
    hd_free(b);
    hd_free(c);
    hd_free(y);
    hd_free(at);
    hd_free(bt);
}

static void gemm_of_integers_and_doubles(void **state)
{
    (void)state;
    int64_t a[4] = {1, 2, 3, 4}, b[4] = {5, 6, 7, 8}, c[2] = {10, -20}, y[4] = {48, 26, 96, 80};
    hd_attribute attributes[] = {operation_int("transB", 1), operation_float("alpha", 2.0f),
                                 operation_float("beta", 1.0f)};
    y[0] = 2 * (5 + 12) + 10;
    y[1] = 2 * (7 + 16) - 20;
    y[2] = 2 * (15 + 24) + 10;
    y[3] = 2 * (21 + 32) - 20;
    operation_case test = {.type = "Gemm",
                           .attributes = attributes,
                           .attribute_count = 3,
                           .input_count = 3,
                           .inputs = {OPERATION_TENSOR(HD_INT64, a, 2, 2),
                                      OPERATION_TENSOR(HD_INT64, b, 2, 2),
                                      OPERATION_TENSOR(HD_INT64, c, 2)}};
    hd_tensor expected = OPERATION_TENSOR(HD_INT64, y, 2, 2);
    run_and_compare(&test, &expected);
}

/* Packed weights give the bits of unpacked ones, for MatMul, Gemm and Linear. */
static void packed_weights_give_the_same_bits(void **state)
{
    (void)state;
    enum { ROWS = 70, COLUMNS = 200, DEPTH = 260 };
    float *x = floats(ROWS * DEPTH, 1), *w = floats(DEPTH * COLUMNS, 2),
          *y = floats(ROWS * COLUMNS, 3);
    float *wt = floats(DEPTH * COLUMNS, 4), *bias = floats(COLUMNS, 5),
          *residual = floats(ROWS * COLUMNS, 6);
    for (int64_t i = 0; i < DEPTH * COLUMNS; i++) {
        wt[i % COLUMNS * DEPTH + i / COLUMNS] = w[i];
    }
    static const char *const types[] = {"MatMul", "Gemm", "heddle.Linear"};
    for (int variant = 0; variant < 6; variant++) {
        const char *type = types[variant % 3];
        bool transposed = variant >= 3;
        if (transposed && variant % 3 == 0) {
            continue;
        }
        hd_attribute attributes[] = {operation_int("transB", transposed)};
        hd_fused fused = {.id = HD_OP_HEDDLE_LINEAR,
                          .linear = {.activation = {.kind = HD_ACTIVATION_RELU}}};
        bool linear = variant % 3 == 2;
        operation_case test = {.type = type,
                               .attributes = attributes,
                               .attribute_count = transposed ? 1 : 0,
                               .input_count = linear ? 4 : 2,
                               .fused = linear ? &fused : NULL};
        test.inputs[0] = OPERATION_TENSOR(HD_FLOAT32, x, ROWS, DEPTH);
        test.inputs[1] =
            OPERATION_TENSOR(HD_FLOAT32, transposed ? wt : w, transposed ? COLUMNS : DEPTH,
                             transposed ? DEPTH : COLUMNS);
        test.inputs[2] = OPERATION_TENSOR(HD_FLOAT32, bias, COLUMNS);
        test.inputs[3] = OPERATION_TENSOR(HD_FLOAT32, residual, ROWS, COLUMNS);
        multiply(x, w, y, ROWS, COLUMNS, DEPTH);
        for (int64_t i = 0; linear && i < ROWS * COLUMNS; i++) {
            y[i] = y[i] + bias[i % COLUMNS];
            y[i] = y[i] + residual[i];
        }
        if (linear) {
            hd_cpu_activation_apply(&fused.linear.activation, y, ROWS * COLUMNS);
        }
        hd_tensor expected = OPERATION_TENSOR(HD_FLOAT32, y, ROWS, COLUMNS);
        run_and_compare(&test, &expected);

        hd_operand operands[2] = {
            {.dtype = HD_FLOAT32, .shape = {.rank = 2}},
            {.dtype = HD_FLOAT32, .shape = {.rank = 2}, .data = test.inputs[1].data}};
        memcpy(operands[1].shape.dims, test.inputs[1].dims, 2 * sizeof(int64_t));
        hd_operation operation = {.id = hd_operator_lookup(type),
                                  .name = "",
                                  .opset = 21,
                                  .attributes = attributes,
                                  .attribute_count = test.attribute_count,
                                  .inputs = operands,
                                  .input_count = 2};
        hd_cpu_packing_kind packing = hd_cpu_packing(&operation, 1);
        assert_int_equal(packing, transposed ? HD_PACKING_MATRIX_TRANSPOSED : HD_PACKING_MATRIX);
        assert_int_equal(hd_cpu_packing(&operation, 0), HD_PACKING_NONE);
        hd_packed *packed = NULL;
        assert_int_equal(hd_cpu_pack(packing, &operands[1], 1, &packed, NULL), HD_OK);
        test.packed[1] = packed;
        run_and_compare(&test, &expected);
        hd_cpu_packed_destroy(&packed);
        assert_null(packed);
    }
    hd_free(x);
    hd_free(w);
    hd_free(wt);
    hd_free(y);
    hd_free(bias);
    hd_free(residual);
}

/* The constant's subnormals count as zeros; results and other operands keep theirs. */
static void packed_weights_have_no_subnormals(void **state)
{
    (void)state;
    float w[6] = {FLT_MIN / 2, 1.0F, -FLT_TRUE_MIN, -FLT_MIN, 2.0F, FLT_MIN};
    hd_operand weight = {.dtype = HD_FLOAT32, .shape = {.rank = 2, .dims = {2, 3}}, .data = w};
    hd_packed *packed = NULL;
    assert_int_equal(hd_cpu_pack(HD_PACKING_MATRIX, &weight, 1, &packed, NULL), HD_OK);
    float x[4] = {0x1p20F, 1.0F, FLT_MIN / 2, 0.0F};
    float y[6] = {-FLT_MIN, 0x1p20F + 2.0F, FLT_MIN, 0.0F, FLT_MIN / 2, 0.0F};
    operation_case test = {
        .type = "MatMul",
        .input_count = 2,
        .inputs = {OPERATION_TENSOR(HD_FLOAT32, x, 2, 2), OPERATION_TENSOR(HD_FLOAT32, w, 2, 3)},
        .packed = {NULL, packed}};
    hd_tensor expected = OPERATION_TENSOR(HD_FLOAT32, y, 2, 3);
    run_and_compare(&test, &expected);
    hd_cpu_packed_destroy(&packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matmul_broadcasts_batches_as_numpy),
        cmocka_unit_test(matmul_takes_vectors_and_shares_a_right_matrix),
        cmocka_unit_test(matmul_of_an_empty_batch_or_depth),
        cmocka_unit_test(matmul_of_integers_wraps),
        cmocka_unit_test(matmul_refuses_shapes_that_do_not_fit),
        cmocka_unit_test(gemm_scales_and_broadcasts),
        cmocka_unit_test(gemm_of_integers_and_doubles),
        cmocka_unit_test(packed_weights_give_the_same_bits),
        cmocka_unit_test(packed_weights_have_no_subnormals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
