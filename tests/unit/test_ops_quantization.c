/* Quantized operators against plain loops: all kinds of scales, every shape of a panel's and a block's edge, zero points of
 * every kind; and each instruction set's integer products against those of plain C. */
#include "hal/cpu/byte_transpose.h"
#include "hal/cpu/integer_gemm.h"
#include "hal/cpu/isa.h"
#include "quantized_fixture.h"

/* --- scales */

/* x as [outer, axis, inner], and one scale, one a position of the axis (block 0), or one a block of it. */
static void check_scales(hd_dtype dtype, int64_t outer, int64_t axis, int64_t inner, int64_t block,
                         bool is_one)
{
    const int64_t count = outer * axis * inner, blocks = block > 0 ? (axis + block - 1) / block : 0;
    const int64_t scales = is_one ? 1 : block > 0 ? outer * blocks * inner : axis;
    const bool is_wide = dtype == HD_UINT16, is_signed = dtype == HD_INT8;
    const float low = is_signed ? -128 : 0, high = is_wide ? 65535 : is_signed ? 127 : 255;
    float *x = take((size_t)count * 4), *scale = take((size_t)scales * 4),
          *back = take((size_t)count * 4);
    uint8_t *zero = bytes(2 * scales, 5), *y = take((size_t)count * 2);
    operation_fill_floats(x, count, 1);
    operation_fill_floats(scale, scales, 2);
    for (int64_t i = 0; i < count; i++) {
        x[i] *= i % 7 == 0 ? 1e4f : 3.0f;
    }
    for (int64_t i = 0; i < scales; i++) {
        scale[i] = fabsf(scale[i]) + 0.01f;
    }
    for (int64_t i = 0; i < count; i++) {
        const int64_t n = i % inner, a = i / inner % axis, o = i / inner / axis;
        const int64_t s = is_one ? 0 : block > 0 ? (o * blocks + a / block) * inner + n : a;
        const float z =
            is_wide ? (float)((uint16_t *)(void *)zero)[s] : (float)value_of(dtype, zero, s);
        const float whole = rounded(x[i] / scale[s], low - z, high - z) + z;
        if (is_wide) {
            ((uint16_t *)(void *)y)[i] = (uint16_t)(int32_t)whole;
        } else {
            y[i] = (uint8_t)(int32_t)whole;
        }
        back[i] = (whole - z) * scale[s];
    }
    hd_attribute attributes[] = {operation_int("axis", 1), operation_int("block_size", block)};
    hd_tensor one = is_one      ? OPERATION_SCALAR(HD_FLOAT32, scale)
                    : block > 0 ? OPERATION_TENSOR(HD_FLOAT32, scale, outer, blocks, inner)
                                : OPERATION_TENSOR(HD_FLOAT32, scale, axis);
    hd_tensor zeros = one, quantized = OPERATION_TENSOR(dtype, y, outer, axis, inner);
    zeros = operation_tensor(dtype, zero, one.rank, one.dims);
    operation_case test = {
        .type = "QuantizeLinear",
        .attributes = attributes,
        .attribute_count = 2,
        .input_count = 3,
        .inputs = {OPERATION_TENSOR(HD_FLOAT32, x, outer, axis, inner), one, zeros}};
    expect(&test, &quantized);
    test.type = "DequantizeLinear";
    test.inputs[0] = quantized;
    hd_tensor expected = OPERATION_TENSOR(HD_FLOAT32, back, outer, axis, inner);
    expect(&test, &expected);
    hd_free(x);
    hd_free(scale);
    hd_free(back);
    hd_free(zero);
    hd_free(y);
}

static void scales_of_every_kind(void **state)
{
    (void)state;
    static const hd_dtype dtypes[] = {HD_UINT8, HD_INT8, HD_UINT16};
    for (size_t i = 0; i < 3; i++) {
        check_scales(dtypes[i], 3, 5, 77, 0, true);
        check_scales(dtypes[i], 1, 1, 9001, 0, true);
        check_scales(dtypes[i], 3, 5, 77, 0, false);
        check_scales(dtypes[i], 37, 19, 1, 0, false);
        check_scales(dtypes[i], 2, 7, 9, 3, false);
        check_scales(dtypes[i], 4, 64, 1, 16, false);
    }
}

static void halves_go_to_even_and_no_number_to_the_least(void **state)
{
    (void)state;
    const float x[] = {
        0.5f,      1.5f, 2.5f, -0.5f, -1.5f, 1e30f, -1e30f, (float)INFINITY, (float)-INFINITY,
        (float)NAN};
    const int8_t y[] = {0, 2, 2, 0, -2, 127, -128, 127, -128, -128};
    const float scale = 1.0f;
    const int8_t zero = 0;
    operation_case test = {.type = "QuantizeLinear",
                           .input_count = 3,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, x, 10),
                                      OPERATION_SCALAR(HD_FLOAT32, &scale),
                                      OPERATION_SCALAR(HD_INT8, &zero)}};
    hd_tensor expected = OPERATION_TENSOR(HD_INT8, y, 10);
    expect(&test, &expected);
}

/* Where the quotient is near a half, the scale's reciprocal would round elsewhere. */
static void quotients_are_divided(void **state)
{
    (void)state;
    static const float scales[] = {0.1f, 0.3f, 0.7f, 3e-3f, 0.013f};
    for (size_t i = 0; i < sizeof scales / sizeof scales[0]; i++) {
        float x[600];
        int8_t y[600];
        for (int k = 0; k < 600; k++) {
            const float tie = ((float)(k / 3 - 100) + 0.5f) * scales[i];
            x[k] = k % 3 == 0 ? tie : nextafterf(tie, k % 3 == 1 ? INFINITY : -INFINITY);
            y[k] = (int8_t)rounded(x[k] / scales[i], -128.0f, 127.0f);
        }
        const int8_t zero = 0;
        operation_case test = {.type = "QuantizeLinear",
                               .input_count = 3,
                               .inputs = {OPERATION_TENSOR(HD_FLOAT32, x, 600),
                                          OPERATION_SCALAR(HD_FLOAT32, &scales[i]),
                                          OPERATION_SCALAR(HD_INT8, &zero)}};
        hd_tensor expected = OPERATION_TENSOR(HD_INT8, y, 600);
        expect(&test, &expected);
    }
}

static void dynamic_scales_hold_zero(void **state)
{
    (void)state;
    static const struct {
        float low, high;
    } ranges[] = {{-1.0f, 3.0f}, {2.0f, 5.0f}, {-7.0f, -1.0f}, {0.0f, 0.0f}};
    for (size_t r = 0; r < 4; r++) {
        float x[333];
        uint8_t y[333];
        for (int i = 0; i < 333; i++) {
            x[i] = ranges[r].low + (ranges[r].high - ranges[r].low) * (float)i / 332.0f;
        }
        const float low = fminf(ranges[r].low, 0.0f), high = fmaxf(ranges[r].high, 0.0f);
        const float scale =
            low == high ? 1.0f : (x[332] > 0 ? fmaxf(x[332], 0.0f) - low : 0.0f - low) / 255.0f;
        const float zero = rounded(-low / scale, 0.0f, 255.0f);
        for (int i = 0; i < 333; i++) {
            y[i] = (uint8_t)(rounded(x[i] / scale, -zero, 255.0f - zero) + zero);
        }
        operation_case test = {.type = "DynamicQuantizeLinear",
                               .input_count = 1,
                               .output_count = 3,
                               .inputs = {OPERATION_TENSOR(HD_FLOAT32, x, 3, 111)}};
        operation_result result;
        assert_int_equal(operation_run(&test, &result), HD_OK);
        hd_tensor expected = OPERATION_TENSOR(HD_UINT8, y, 3, 111);
        operation_check_output(&result.outputs[0], &expected);
        assert_memory_equal(result.outputs[1].data, &scale, sizeof scale);
        assert_int_equal(*(uint8_t *)result.outputs[2].data, (uint8_t)zero);
        operation_result_clear(&result);
    }
}

/* --- products */

/* The kernels that this processor has, plain C first; returns how many. */
static size_t find_kernels(const hd_cpu_integer_kernel **kernels)
{
    size_t count = 0;
    kernels[count++] = &hd_cpu_integer_kernel_baseline;
#if defined(__x86_64__)
    const uint32_t features = hd_cpu_features();
    if (features & HD_CPU_HAS_AVX2) {
        kernels[count++] = &hd_cpu_integer_kernel_avx2;
    }
    if (features & HD_CPU_HAS_AVX512) {
        kernels[count++] = &hd_cpu_integer_kernel_avx512;
    }
    if (features & HD_CPU_HAS_AVX512VNNI) {
        kernels[count++] = &hd_cpu_integer_kernel_avx512vnni;
    }
#endif
    return count;
}

static void bytes_are_turned_around_in_every_size(void **state)
{
    (void)state;
    enum { MOST = 40, FROM_STEP = 43, TO_STEP = 47 };
    static uint8_t from[MOST * FROM_STEP], to[MOST * TO_STEP];
    for (size_t i = 0; i < sizeof from; i++) {
        from[i] = (uint8_t)(i * 37 + i / 251);
    }
    for (int64_t rows = 0; rows <= MOST; rows += rows < 18 ? 1 : 11) {
        for (int64_t columns = 0; columns <= MOST; columns += columns < 18 ? 1 : 11) {
            memset(to, 0xEE, sizeof to);
            hd_cpu_transpose_bytes(to, TO_STEP, from, FROM_STEP, rows, columns);
            for (int64_t c = 0; c < MOST; c++) {
                for (int64_t r = 0; r < TO_STEP; r++) {
                    const bool inside = c < columns && r < rows;
                    assert_int_equal(to[c * TO_STEP + r], inside ? from[r * FROM_STEP + c] : 0xEE);
                }
            }
        }
    }
}

/* Zero points of any size, so that products leave int32 and wrap around. */
static void corrections_of_every_instruction_set(void **state)
{
    (void)state;
    enum { LINES = 5 };
    const hd_cpu_integer_kernel *kernels[4];
    const size_t count = find_kernels(kernels);
    int32_t numbers[2 * LINES + 2 * HD_INTEGER_COLUMNS], sums[LINES * HD_INTEGER_COLUMNS];
    uint32_t random = 7;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        random = random * 1664525u + 1013904223u;
        numbers[i] = (int32_t)random;
    }
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        random = random * 1664525u + 1013904223u;
        sums[i] = (int32_t)random;
    }
    const int32_t *a_zeros = numbers, *row_sums = numbers + LINES;
    const int32_t *b_zeros = row_sums + LINES, *column_sums = b_zeros + HD_INTEGER_COLUMNS;
    for (size_t k = 0; k < count; k++) {
        int32_t corrected[LINES * HD_INTEGER_COLUMNS];
        memcpy(corrected, sums, sizeof sums);
        kernels[k]->correct(corrected, LINES - 1, 77, a_zeros, row_sums, b_zeros, column_sums);
        for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
            const size_t row = i / HD_INTEGER_COLUMNS, c = i % HD_INTEGER_COLUMNS;
            const uint32_t za = (uint32_t)a_zeros[row], zb = (uint32_t)b_zeros[c];
            const uint32_t wanted = (uint32_t)sums[i] - za * (uint32_t)column_sums[c] -
                                    zb * (uint32_t)row_sums[row] + 77u * za * zb;
            if ((uint32_t)corrected[i] != (row < LINES - 1 ? wanted : (uint32_t)sums[i])) {
                fail_msg("%s: element %zu", kernels[k]->name, i);
            }
        }
    }
}

static void integer_products_of_every_instruction_set(void **state)
{
    (void)state;
    const hd_cpu_integer_kernel *kernels[4];
    const size_t count = find_kernels(kernels);
    static const int64_t depths[] = {1, 3,  4,
                                     5, 64, 1000}; /* steps of 16 and 64 with and without a rest */
    for (size_t d = 0; d < 6; d++) {
        const int64_t depth = depths[d], quads = hd_cpu_integer_quads(depth);
        uint8_t *a = bytes(12 * depth, 1), *b = bytes(depth * HD_INTEGER_COLUMNS, 2);
        for (
            int64_t i = 0; i < depth * HD_INTEGER_COLUMNS;
            i++) { /* quads of every kind: two, one, and none that cannot saturate, with and without -128 */
            static const int parts[] = {8, 8, 1, 2, 1, 8, 2, 2};
            const int64_t quad = i / HD_INTEGER_COLUMNS / HD_INTEGER_STEPS;
            b[i] = (uint8_t)((int8_t)b[i] / parts[quad % 8]);
            b[i] = b[i] == 128 && quad % 8 == 4 ? 129 : b[i];
        }
        int8_t *panel = take((size_t)hd_cpu_integer_panel_bytes(depth));
        int32_t *order = take((size_t)hd_cpu_integer_order_count(depth) * sizeof *order);
        int32_t sums[12][HD_INTEGER_COLUMNS], columns[HD_INTEGER_COLUMNS];
        const hd_cpu_integer_steps steps =
            hd_cpu_integer_steps_of_matrix(depth, HD_INTEGER_COLUMNS);
        for (size_t k = 0; k < count; k++) {
            hd_cpu_integer_pack_panel(panel, columns, kernels[k]->ordered ? order : NULL, b, true,
                                      &steps, depth, HD_INTEGER_COLUMNS);
            const int64_t size = HD_INTEGER_STEPS * (kernels[k]->wide ? 2 : 1);
            const int64_t row_bytes = quads * size;
            char *packed = take((size_t)(12 * row_bytes)), *turned = take((size_t)(12 * row_bytes));
            int32_t *offsets = take((size_t)quads * sizeof *offsets);
            for (int64_t r = 0; r < 12; r++) {
                const int32_t sum =
                    kernels[k]->pack_row(packed + r * row_bytes, a + r * depth, false, depth);
                int32_t wanted = 0;
                for (int64_t i = 0; i < depth; i++) {
                    wanted += a[r * depth + i];
                }
                assert_int_equal(sum, wanted);
                for (int64_t q = 0; q < quads; q++) {
                    offsets[q] = (int32_t)((quads - 1 - q) * size);
                    memcpy(turned + r * row_bytes + offsets[q], packed + r * row_bytes + q * size,
                           (size_t)size);
                }
            }
            for (int64_t turn = 2; turn <= 2 * kernels[k]->rows + 1; turn++) {
                const int64_t rows = turn / 2;
                const hd_cpu_integer_left left = {turn % 2 ? turned : packed, row_bytes,
                                                  turn % 2 ? offsets : NULL};
                memset(sums, 0x5A, sizeof sums);
                kernels[k]->block(&left, rows, panel, order, quads, &sums[0][0]);
                for (int64_t r = 0; r < 12; r++) {
                    for (int64_t c = 0; c < HD_INTEGER_COLUMNS; c++) {
                        int32_t sum = 0;
                        for (int64_t i = 0; i < depth; i++) {
                            sum += a[r * depth + i] * ((int8_t *)b)[i * HD_INTEGER_COLUMNS + c];
                        }
                        if (sums[r][c] != (r < rows ? sum : 0x5A5A5A5A)) {
                            fail_msg("%s: depth %lld, row %lld of %lld, column %lld",
                                     kernels[k]->name, (long long)depth, (long long)r,
                                     (long long)rows, (long long)c);
                        }
                    }
                }
            }
            hd_free(packed);
            hd_free(turned);
            hd_free(offsets);
        }
        hd_free(a);
        hd_free(b);
        hd_free(panel);
        hd_free(order);
    }
}

/* Pairs of b' whose products with 255 lie at both sides of what 16 bits hold. */
static void pairs_at_the_ends_of_16_bits(void **state)
{
    (void)state;
    static const int8_t pairs[][2] = {{127, 1},   {1, 127},    {64, 64},   {127, 2},   {64, 65},
                                      {-128, 0},  {-127, -1},  {-64, -64}, {-128, -1}, {-128, -128},
                                      {127, 127}, {127, -128}, {-128, 127}};
    const hd_cpu_integer_kernel *kernels[4];
    const size_t count = find_kernels(kernels);
    for (size_t p = 0; p < sizeof pairs / sizeof pairs[0]; p++) {
        static const uint8_t values[] = {255, 128, 127, 0};
        uint8_t b[HD_INTEGER_STEPS * HD_INTEGER_COLUMNS] = {0}, a[HD_INTEGER_STEPS];
        int8_t panel[HD_INTEGER_STEPS * HD_INTEGER_COLUMNS];
        int32_t sums[HD_INTEGER_COLUMNS], columns[HD_INTEGER_COLUMNS];
        int32_t order[2 * (HD_INTEGER_ORDER_HEAD + 1)];
        const size_t column = p * 5 % HD_INTEGER_COLUMNS, step = p % 2 * 2;
        b[step * HD_INTEGER_COLUMNS + column] = (uint8_t)pairs[p][0];
        b[(step + 1) * HD_INTEGER_COLUMNS + column] = (uint8_t)pairs[p][1];
        const hd_cpu_integer_steps steps =
            hd_cpu_integer_steps_of_matrix(HD_INTEGER_STEPS, HD_INTEGER_COLUMNS);
        for (size_t i = 0; i < 4 * count; i++) {
            const hd_cpu_integer_kernel *kernel = kernels[i / 4];
            int16_t row[HD_INTEGER_STEPS];
            hd_cpu_integer_pack_panel(panel, columns, kernel->ordered ? order : NULL, b, true,
                                      &steps, HD_INTEGER_STEPS, HD_INTEGER_COLUMNS);
            memset(a, values[i % 4], sizeof a);
            kernel->pack_row(row, a, false, HD_INTEGER_STEPS);
            const hd_cpu_integer_left left = {row, sizeof row, NULL};
            kernel->block(&left, 1, panel, order, 1, sums);
            for (size_t c = 0; c < HD_INTEGER_COLUMNS; c++) {
                assert_int_equal(sums[c],
                                 c == column ? values[i % 4] * (pairs[p][0] + pairs[p][1]) : 0);
            }
        }
    }
}

typedef struct product_case {
    int64_t batch, rows, columns, depth;
    hd_dtype a, b;
    bool a_each, b_each, packs;
} product_case;

static void check_matmul(const product_case *p)
{
    const int64_t rows = p->batch * p->rows;
    uint8_t *a = bytes(rows * p->depth, 1), *b = bytes(p->depth * p->columns, 2);
    uint8_t *a_zero = bytes(p->rows, 3), *b_zero = bytes(p->columns, 4);
    int32_t *y = take((size_t)(rows * p->columns) * 4);
    uint8_t *scaled = take((size_t)(rows * p->columns));
    float *b_scale = take((size_t)p->columns * 4), *a_scale = take((size_t)p->rows * 4);
    const float y_scale = 0.9f;
    const uint8_t y_zero = 17;
    operation_fill_floats(b_scale, p->columns, 6);
    for (int64_t row = 0; row < p->rows; row++) {
        a_scale[row] = 0.02f + 0.003f * (float)(row % 7);
    }
    for (int64_t i = 0; i < rows * p->columns; i++) {
        const int64_t row = i / p->columns, column = i % p->columns;
        const int32_t za = value_of(p->a, a_zero, p->a_each ? row % p->rows : 0);
        const int32_t zb = value_of(p->b, b_zero, p->b_each ? column : 0);
        y[i] = 0;
        for (int64_t k = 0; k < p->depth; k++) {
            y[i] += (value_of(p->a, a, row * p->depth + k) - za) *
                    (value_of(p->b, b, k * p->columns + column) - zb);
        }
        const float scale =
            a_scale[p->a_each ? row % p->rows : 0] * b_scale[p->b_each ? column : 0] / y_scale;
        scaled[i] = (uint8_t)(rounded((float)y[i] * scale, -17.0f, 238.0f) + 17.0f);
    }
    hd_tensor za =
        p->a_each ? OPERATION_TENSOR(p->a, a_zero, p->rows) : OPERATION_SCALAR(p->a, a_zero);
    hd_tensor zb =
        p->b_each ? OPERATION_TENSOR(p->b, b_zero, p->columns) : OPERATION_SCALAR(p->b, b_zero);
    operation_case test = {.type = "MatMulInteger",
                           .input_count = 4,
                           .inputs = {OPERATION_TENSOR(p->a, a, p->batch, p->rows, p->depth),
                                      OPERATION_TENSOR(p->b, b, p->depth, p->columns), za, zb}};
    hd_packed *packed = NULL;
    hd_operand right = {
        .dtype = p->b, .shape = {.rank = 2, .dims = {p->depth, p->columns}}, .data = b};
    if (p->packs) {
        assert_int_equal(hd_cpu_pack(HD_PACKING_INTEGER_MATRIX, &right, 1, &packed, NULL), HD_OK);
        test.packed[1] = packed;
    }
    hd_tensor expected = OPERATION_TENSOR(HD_INT32, y, p->batch, p->rows, p->columns);
    expect(&test, &expected);
    test = (operation_case){.type = "QLinearMatMul",
                            .input_count = 8,
                            .inputs = {test.inputs[0],
                                       p->a_each ? OPERATION_TENSOR(HD_FLOAT32, a_scale, p->rows)
                                                 : OPERATION_SCALAR(HD_FLOAT32, a_scale),
                                       za, test.inputs[1],
                                       p->b_each ? OPERATION_TENSOR(HD_FLOAT32, b_scale, p->columns)
                                                 : OPERATION_SCALAR(HD_FLOAT32, b_scale),
                                       zb, OPERATION_SCALAR(HD_FLOAT32, &y_scale),
                                       OPERATION_SCALAR(HD_UINT8, &y_zero)}};
    test.packed[3] = packed;
    expected = OPERATION_TENSOR(HD_UINT8, scaled, p->batch, p->rows, p->columns);
    expect(&test, &expected);
    if (packed != NULL) {
        hd_cpu_packed_destroy(&packed);
    }
    void *const all[] = {a, b, a_zero, b_zero, y, scaled, b_scale, a_scale};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        hd_free(all[i]);
    }
}

static void matrices_of_every_kind(void **state)
{
    (void)state;
    static const int64_t sizes[][4] = {
        {1, 1, 1, 1}, {1, 1, 33, 7}, {2, 3, 31, 65}, {1, 49, 64, 4}, {2, 50, 97, 130}};
    for (size_t i = 0; i < 5; i++) {
        for (int kind = 0; kind < 32; kind++) {
            check_matmul(&(product_case){
                sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3], kind & 1 ? HD_INT8 : HD_UINT8,
                kind & 2 ? HD_INT8 : HD_UINT8, (kind & 4) != 0, (kind & 8) != 0, (kind & 16) != 0});
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scales_of_every_kind),
        cmocka_unit_test(halves_go_to_even_and_no_number_to_the_least),
        cmocka_unit_test(quotients_are_divided),
        cmocka_unit_test(dynamic_scales_hold_zero),
        cmocka_unit_test(integer_products_of_every_instruction_set),
        cmocka_unit_test(pairs_at_the_ends_of_16_bits),
        cmocka_unit_test(corrections_of_every_instruction_set),
        cmocka_unit_test(bytes_are_turned_around_in_every_size),
        cmocka_unit_test(matrices_of_every_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
