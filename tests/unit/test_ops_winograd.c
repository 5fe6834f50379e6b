/* 3x3 convolutions through 2x2 tiles (Winograd): every size and pad against the reference, and the bits of their
 * definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "hal/cpu/isa.h"
#include "support/convolution_case.h"

/* Sizes around those of tiles, register blocks, vectors and panels; pads of every kind; many images, and so many
 * rows that the planar way takes several turns. */
static void winograd_sizes(void **state)
{
    (void)state;
    const int64_t sizes[][2] = {{1, 1},  {2, 2},  {3, 5},   {4, 28},
                                {5, 29}, {6, 61}, {17, 13}, {33, 62}};
    const int64_t channels[][2] = {{16, 32}, {24, 40}, {33, 17}, {50, 70}};
    for (size_t i = 0; i < 8; i++) {
        for (size_t j = 0; j < 4; j++) {
            convolution_check(&(convolution_case){
                CONVOLUTION_PLAIN, .batch = 3, .channels = channels[j][0],
                .outputs = channels[j][1], .height = sizes[i][0], .width = sizes[i][1],
                .kernel = {3, 3}, .begin = {1, 1}, .end = {1, 1}});
        }
    }
    const int64_t pads[][4] = {{0, 0, 0, 0},   {2, 3, 0, 1},   {0, 1, 2, 0},
                               {-1, 2, 1, -2}, {5, -2, -3, 4}, {-2, -1, -1, -1}};
    for (size_t i = 0; i < 6; i++) {
        for (int64_t height = 9; height < 11; height++) {
            convolution_check(&(convolution_case){
                CONVOLUTION_PLAIN, .batch = 2, .channels = 20, .outputs = 28, .height = height,
                .width = 15 + height, .kernel = {3, 3}, .begin = {pads[i][0], pads[i][1]},
                .end = {pads[i][2], pads[i][3]}});
        }
    }
    convolution_check(&(convolution_case){CONVOLUTION_PLAIN, .batch = 1, .channels = 64,
                                          .outputs = 64, .height = 101, .width = 60,
                                          .kernel = {3, 3}, .begin = {1, 1}, .end = {1, 1}});
}

static void steps_and_groups_take_no_tiles(void **state)
{
    (void)state;
    const convolution_case plain = {CONVOLUTION_PLAIN, .batch = 1,      .channels = 40,
                                    .outputs = 56,     .height = 9,     .width = 15,
                                    .kernel = {3, 3},  .begin = {1, 1}, .end = {1, 1}};
    for (int i = 0; i < 2; i++) {
        convolution_case c = plain;
        c.stride[i] = 2;
        convolution_check(&c);
        c = plain;
        c.dilation[i] = 2;
        convolution_check(&c);
    }
    convolution_case c = plain;
    c.group = 2;
    convolution_check(&c);
}

static void only_so_many_channels_take_tiles(void **state)
{
    (void)state;
    static const struct {
        int64_t outputs, channels;
        bool tiles;
    } cases[] = {{16, 31, false}, {16, 32, true},   {15, 64, false},   {64, 15, false},
                 {32, 16, true},  {512, 512, true}, {513, 512, false}, {256, 1024, true}};
    hd_fused fused = {
        .id = HD_OP_HEDDLE_CONV,
        .convolution = {.group = 1, .kernel = {3, 3}, .stride = {1, 1}, .dilation = {1, 1}}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hd_operand inputs[2] = {{0}};
        inputs[1].dtype = HD_FLOAT32;
        inputs[1].shape =
            (hd_shape){.rank = 4, .dims = {cases[i].outputs, cases[i].channels, 3, 3}};
        const hd_operation operation = {
            .id = HD_OP_HEDDLE_CONV, .inputs = inputs, .input_count = 2, .fused = &fused};
        assert_int_equal(hd_cpu_packing(&operation, 1) == HD_PACKING_CONVOLUTION_WINOGRAD,
                         cases[i].tiles);
    }
}

/* F(2x2, 3x3) as its definition has it: y = A^T ((G w G^T) (B^T x B)) A, channels ascending. */
static float winograd_element(const float *x, int64_t channels, int64_t height, int64_t width,
                              const float *w, float bias, int64_t oy, int64_t ox)
{
    float m[4][4] = {{0}};
    const int64_t top = oy / 2 * 2 - 1, left = ox / 2 * 2 - 1;
    for (int64_t c = 0; c < channels; c++) {
        float d[4][4], t[4][4], u[4][4];
        double g[4][3];
        for (int64_t i = 0; i < 16; i++) {
            const int64_t py = top + i / 4, px = left + i % 4;
            const bool inside = py >= 0 && py < height && px >= 0 && px < width;
            d[i / 4][i % 4] = inside ? x[(c * height + py) * width + px] : 0.0F;
        }
        for (int i = 0; i < 4; i++) {
            t[0][i] = d[0][i] - d[2][i];
            t[1][i] = d[1][i] + d[2][i];
            t[2][i] = d[2][i] - d[1][i];
            t[3][i] = d[1][i] - d[3][i];
        }
        for (int i = 0; i < 4; i++) {
            d[i][0] = t[i][0] - t[i][2];
            d[i][1] = t[i][1] + t[i][2];
            d[i][2] = t[i][2] - t[i][1];
            d[i][3] = t[i][1] - t[i][3];
        }
        for (int i = 0; i < 3; i++) {
            const double k0 = (double)w[c * 9 + i], k1 = (double)w[c * 9 + 3 + i];
            const double k2 = (double)w[c * 9 + 6 + i];
            g[0][i] = k0;
            g[1][i] = 0.5 * (k0 + k1 + k2);
            g[2][i] = 0.5 * (k0 - k1 + k2);
            g[3][i] = k2;
        }
        for (int i = 0; i < 4; i++) {
            u[i][0] = (float)g[i][0];
            u[i][1] = (float)(0.5 * (g[i][0] + g[i][1] + g[i][2]));
            u[i][2] = (float)(0.5 * (g[i][0] - g[i][1] + g[i][2]));
            u[i][3] = (float)g[i][2];
        }
        for (int i = 0; i < 16; i++) {
            m[i / 4][i % 4] = fmaf(d[i / 4][i % 4], u[i / 4][i % 4], m[i / 4][i % 4]);
        }
    }
    float r[4];
    for (int i = 0; i < 4; i++) {
        r[i] = oy % 2 == 0 ? m[0][i] + m[1][i] + m[2][i] : m[1][i] - m[2][i] - m[3][i];
    }
    return (ox % 2 == 0 ? r[0] + r[1] + r[2] : r[1] - r[2] - r[3]) + bias;
}

static void winograd_has_the_bits_of_its_definition(void **state)
{
    (void)state;
    if (hd_cpu_isa() == HD_ISA_BASELINE) {
        skip(); /* rounds product and sum one after the other */
    }
    convolution_case c = {CONVOLUTION_PLAIN, .batch = 1,      .channels = 37,
                          .outputs = 41,     .height = 7,     .width = 34,
                          .kernel = {3, 3},  .begin = {1, 1}, .end = {1, 1}};
    convolution_operands o = convolution_operands_make(&c);
    hd_fused fused = {.id = HD_OP_HEDDLE_CONV,
                      .convolution = {.group = 1,
                                      .kernel = {3, 3},
                                      .stride = {1, 1},
                                      .dilation = {1, 1},
                                      .pad_begin = {1, 1},
                                      .pad_end = {1, 1}}};
    operation_case test = {.type = "heddle.Conv", .input_count = 3, .fused = &fused};
    test.inputs[0] = OPERATION_TENSOR(HD_FLOAT32, o.x_last, 1, c.height, c.width, c.channels);
    test.inputs[1] = convolution_weights(&c, o.w);
    test.inputs[2] = OPERATION_TENSOR(HD_FLOAT32, o.bias, c.outputs);
    hd_packed *packed = convolution_pack_weights(&test, 1);
    assert_int_equal(hd_cpu_packed_packing(packed), HD_PACKING_CONVOLUTION_WINOGRAD);
    test.packed[1] = packed;
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_OK);
    const float *y = result.outputs[0].data;
    for (int64_t i = 0; i < o.outputs; i++) {
        const int64_t channel = i % c.outputs, pixel = i / c.outputs;
        const float expected =
            winograd_element(o.x, c.channels, c.height, c.width, o.w + channel * c.channels * 9,
                             o.bias[channel], pixel / c.width, pixel % c.width);
        if (memcmp(&expected, &y[i], sizeof expected) != 0) {
            fail_msg("element %lld is %.9g, expected %.9g", (long long)i, (double)y[i],
                     (double)expected);
        }
    }
    operation_result_clear(&result);
    hd_cpu_packed_destroy(&packed);
    convolution_operands_free(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(winograd_sizes),
        cmocka_unit_test(steps_and_groups_take_no_tiles),
        cmocka_unit_test(only_so_many_channels_take_tiles),
        cmocka_unit_test(winograd_has_the_bits_of_its_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
