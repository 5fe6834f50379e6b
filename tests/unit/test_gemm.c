/* Gemm: every instruction set, tiling and layout against three loops of fmaf, bit for bit. */
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
#include "hal/cpu/gemm.h"
#include "hal/cpu/isa.h"
#include "hal/cpu/packed.h"
#include "operation_runner.h"

/* One product with its operands, and C by the rule of gemm.h. */
typedef struct problem {
    int64_t rows;
    int64_t columns;
    int64_t depth;
    float *a;
    float *b; /* depth x columns */
    float *bias;
    float *residual;
    float *expected;
    float *c;
} problem;

static float *floats(int64_t count, uint32_t seed)
{
    float *values = hd_alloc_aligned((size_t)(count + 1) * sizeof *values);
    assert_non_null(values);
    operation_fill_floats(values, count, seed);
    return values;
}

static problem problem_make(int64_t rows, int64_t columns, int64_t depth, bool epilogue,
                            float scale)
{
    problem p = {.rows = rows, .columns = columns, .depth = depth};
    p.a = floats(rows * depth, 1);
    p.b = floats(depth * columns, 2);
    p.expected = floats(rows * columns, 3);
    p.c = floats(rows * columns, 4);
    if (epilogue) {
        p.bias = floats(columns, 5);
        p.residual = floats(rows * columns, 6);
    }
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) {
            float sum = 0.0f;
            for (int64_t k = 0; k < depth; k++) {
                sum = fmaf(p.a[i * depth + k], p.b[k * columns + j], sum);
            }
            sum = scale != 0.0f ? sum * scale : sum;
            sum = epilogue ? sum + p.bias[j] : sum;
            sum = epilogue ? sum + p.residual[i * columns + j] : sum;
            p.expected[i * columns + j] = sum;
        }
    }
    return p;
}

static void problem_check(problem *p)
{
    size_t size = (size_t)(p->rows * p->columns) * sizeof(float);
    if (memcmp(p->c, p->expected, size) != 0) {
        fail_msg("%lld x %lld x %lld differs", (long long)p->rows, (long long)p->columns,
                 (long long)p->depth);
    }
    memset(p->c, 0xA5, size);
}

static void problem_clear(problem *p)
{
    hd_free(p->a);
    hd_free(p->b);
    hd_free(p->bias);
    hd_free(p->residual);
    hd_free(p->expected);
    hd_free(p->c);
}

typedef void block_run(const hd_cpu_gemm_block *block);

static void check_block(block_run *run, int64_t width)
{
    for (int64_t rows = 1; rows <= 14; rows++) {
        for (int64_t columns = 1; columns <= width; columns++) {
            problem p = problem_make(rows, columns, 37, true, 0.7f);
            hd_cpu_gemm_block block = {.a = p.a,
                                       .a_row = p.depth,
                                       .a_depth = 1,
                                       .b = p.b,
                                       .b_depth = columns,
                                       .c = p.c,
                                       .c_row = columns,
                                       .rows = rows,
                                       .columns = columns,
                                       .depth = p.depth,
                                       .scale = 0.7f,
                                       .bias = p.bias,
                                       .residual = p.residual,
                                       .residual_row = columns};
            run(&block);
            problem_check(&p);
            /* in two pieces of the depth */
            block.scale = 0.0f;
            block.bias = NULL;
            block.residual = NULL;
            block.depth = 20;
            run(&block);
            block.accumulate = true;
            block.a += 20;
            block.b += 20 * columns;
            block.depth = p.depth - 20;
            block.scale = 0.7f;
            block.bias = p.bias;
            block.residual = p.residual;
            run(&block);
            problem_check(&p);
            problem_clear(&p);
        }
    }
}

static void every_instruction_set_gives_the_bits_of_fmaf(void **state)
{
    (void)state;
    check_block(hd_cpu_gemm_block_baseline, 64);
#if defined(__x86_64__)
    if (hd_cpu_isa() >= HD_ISA_AVX2) {
        check_block(hd_cpu_gemm_block_avx2, 64);
    }
    if (hd_cpu_isa() >= HD_ISA_AVX512) {
        check_block(hd_cpu_gemm_block_avx512, 64);
    }
#endif
}

static const int64_t sizes[][3] = {
    {1, 1, 1},     {1, 384, 384},  {3, 65, 129},    {16, 100, 300},  {31, 63, 128},   {32, 64, 256},
    {33, 17, 257}, {128, 384, 64}, {129, 200, 131}, {300, 130, 70},  {7, 1, 500},     {64, 1000, 5},
    {5, 70, 0},    {0, 10, 10},    {10, 0, 10},     {1, 3000, 1000}, {257, 64, 1100},
};
#define SIZE_COUNT (sizeof sizes / sizeof sizes[0])

/* C must be whole after all tiles, taken from the last to the first. */
static void run_all(const hd_cpu_gemm *gemm, const hd_cpu_gemm_operands *operands)
{
    float *scratch = hd_alloc_aligned(HD_GEMM_SCRATCH_SIZE);
    assert_non_null(scratch);
    for (int64_t tile = gemm->tile_count; tile-- > 0;) {
        hd_cpu_gemm_run(gemm, operands, tile, scratch);
    }
    hd_free(scratch);
}

static void every_layout_gives_the_bits_of_fmaf(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        int64_t rows = sizes[i][0], columns = sizes[i][1], depth = sizes[i][2];
        problem p = problem_make(rows, columns, depth, i % 2 == 0, 0.0f);
        float *transposed_a = floats(rows * depth, 7), *transposed_b = floats(depth * columns, 8);
        for (int64_t r = 0; r < rows; r++) {
            for (int64_t k = 0; k < depth; k++) {
                transposed_a[k * rows + r] = p.a[r * depth + k];
            }
        }
        for (int64_t k = 0; k < depth; k++) {
            for (int64_t c = 0; c < columns; c++) {
                transposed_b[c * depth + k] = p.b[k * columns + c];
            }
        }
        size_t count;
        assert_true(hd_cpu_gemm_packed_count(depth, columns, &count));
        float *packed = floats((int64_t)count, 9);
        hd_cpu_gemm gemm;
        hd_cpu_gemm_plan(&gemm, rows, columns, depth, 1);
        hd_cpu_gemm_operands operands = {.a = p.a,
                                         .a_row = depth,
                                         .a_depth = 1,
                                         .b = p.b,
                                         .b_depth = columns,
                                         .b_column = 1,
                                         .c = p.c,
                                         .c_row = columns,
                                         .bias = p.bias,
                                         .residual = p.residual,
                                         .residual_row = columns};
        run_all(&gemm, &operands);
        problem_check(&p);

        operands.a = transposed_a;
        operands.a_row = 1;
        operands.a_depth = rows;
        run_all(&gemm, &operands);
        problem_check(&p);

        operands.b = transposed_b;
        operands.b_depth = 1;
        operands.b_column = depth;
        run_all(&gemm, &operands);
        problem_check(&p);

        operands.packed = true;
        operands.b = packed;
        hd_cpu_gemm_pack(packed, transposed_b, 1, depth, depth, columns);
        run_all(&gemm, &operands);
        problem_check(&p);
        hd_cpu_gemm_pack(packed, p.b, columns, 1, depth, columns);
        run_all(&gemm, &operands);
        problem_check(&p);

        hd_free(transposed_a);
        hd_free(transposed_b);
        hd_free(packed);
        problem_clear(&p);
    }
}

/* BITS: a row of a batch is the row that a call of its own gives. */
static void a_row_does_not_depend_on_the_others(void **state)
{
    (void)state;
    problem p = problem_make(200, 150, 300, false, 0.0f);
    size_t count;
    assert_true(hd_cpu_gemm_packed_count(p.depth, p.columns, &count));
    float *packed = floats((int64_t)count, 9);
    hd_cpu_gemm_pack(packed, p.b, p.columns, 1, p.depth, p.columns);
    for (int64_t rows = 1; rows <= p.rows; rows += 13) {
        hd_cpu_gemm gemm;
        hd_cpu_gemm_plan(&gemm, rows, p.columns, p.depth, 1);
        int64_t first = p.rows - rows;
        hd_cpu_gemm_operands operands = {.a = p.a + first * p.depth,
                                         .a_row = p.depth,
                                         .a_depth = 1,
                                         .b = packed,
                                         .packed = true,
                                         .c = p.c,
                                         .c_row = p.columns};
        run_all(&gemm, &operands);
        assert_memory_equal(p.c, p.expected + first * p.columns,
                            (size_t)(rows * p.columns) * sizeof(float));
    }
    hd_free(packed);
    problem_clear(&p);
}

static void tiles_cover_every_element_once(void **state)
{
    (void)state;
    static const int64_t numbers[] = {1, 2, 15, 16, 17, 64, 127, 129, 384, 1000, 3000};
    for (size_t i = 0; i < 11; i++) {
        for (size_t j = 0; j < 11; j++) {
            hd_cpu_gemm gemm;
            hd_cpu_gemm_plan(&gemm, numbers[i], numbers[j], 384, 1);
            int64_t count = numbers[i] * numbers[j];
            uint8_t *seen = hd_alloc_zero((size_t)count, 1);
            assert_non_null(seen);
            for (int64_t tile = 0; tile < gemm.tile_count; tile++) {
                hd_cpu_gemm_extent extent = hd_cpu_gemm_tile_extent(&gemm, tile);
                for (int64_t row = extent.row; row < extent.row_end; row++) {
                    for (int64_t column = extent.column; column < extent.column_end; column++) {
                        seen[row * numbers[j] + column]++;
                    }
                }
            }
            for (int64_t k = 0; k < count; k++) {
                assert_int_equal(seen[k], 1);
            }
            hd_free(seen);
        }
    }
}

/* The threads of a larger machine find work in the products of a small transformer. */
static void products_of_a_transformer_have_tiles_for_many_threads(void **state)
{
    (void)state;
    hd_cpu_gemm gemm;
    hd_cpu_gemm_plan(&gemm, 128, 384, 384, 1);
    assert_true(gemm.tile_count >= 6);
    hd_cpu_gemm_plan(&gemm, 128, 1536, 384, 1);
    assert_true(gemm.tile_count >= 16);
    hd_cpu_gemm_plan(&gemm, 1, 1536, 384, 1);
    assert_true(gemm.tile_count >= 4);
}

static void an_activation_follows_bias_and_residual(void **state)
{
    (void)state;
    problem p = problem_make(40, 100, 200, true, 0.0f);
    hd_cpu_gemm gemm;
    hd_cpu_gemm_plan(&gemm, p.rows, p.columns, p.depth, 1);
    gemm.activation = (hd_activation){.kind = HD_ACTIVATION_GELU};
    hd_cpu_activation_apply(&gemm.activation, p.expected, (size_t)(p.rows * p.columns));
    hd_cpu_gemm_operands operands = {.a = p.a,
                                     .a_row = p.depth,
                                     .a_depth = 1,
                                     .b = p.b,
                                     .b_depth = p.columns,
                                     .b_column = 1,
                                     .c = p.c,
                                     .c_row = p.columns,
                                     .bias = p.bias,
                                     .residual = p.residual,
                                     .residual_row = p.columns};
    run_all(&gemm, &operands);
    problem_check(&p);
    problem_clear(&p);
}

static void sizes_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    size_t count;
    assert_false(hd_cpu_gemm_packed_count(INT64_MAX / 8, 64, &count));
    assert_false(hd_cpu_gemm_packed_count(2, INT64_MAX, &count));
    assert_true(hd_cpu_gemm_packed_count(3, 1, &count));
    assert_int_equal(count, 3 * (size_t)hd_cpu_gemm_panel_width());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_instruction_set_gives_the_bits_of_fmaf),
        cmocka_unit_test(every_layout_gives_the_bits_of_fmaf),
        cmocka_unit_test(a_row_does_not_depend_on_the_others),
        cmocka_unit_test(tiles_cover_every_element_once),
        cmocka_unit_test(products_of_a_transformer_have_tiles_for_many_threads),
        cmocka_unit_test(an_activation_follows_bias_and_residual),
        cmocka_unit_test(sizes_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
