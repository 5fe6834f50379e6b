/* Operators that are written out in others: what they are written out in computes the same, and forms that make no sense
 * are refused with a sentence that says why. Values stand in tests/opset/microsoft. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "graph/expansion.h"
#include "support/row_run.h"

static hd_device *device;

static int setup(void **state)
{
    (void)state;
    device = row_device();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hd_device_destroy(&device);
    return 0;
}

/* A row (operator_rows.h), and words of the sentence that refuses it. */
typedef struct refusal {
    operator_row row;
    const char *says;
} refusal;

#define DOMAIN "com.microsoft."

static const refusal refusals[] = {
    {{DOMAIN "Attention", "f2x5x8 f8x24 f24", "num_heads=0", 1, 0}, "num_heads"},
    {{DOMAIN "Attention", "f2x5x8 f8x24 f24", "num_heads=-2", 1, 0}, "num_heads"},
    {{DOMAIN "Attention", "f2x5x8 f8x24 f24", NULL, 1, 0}, "'num_heads' is missing"},
    {{DOMAIN "Attention", "f2x5x8 f8x24 f24", "num_heads=3", 1, 0}, "Reshape"},
    {{DOMAIN "Attention", "f2x5x8 f8x25 f25", "num_heads=2", 1, 0}, "25 columns"},
    {{DOMAIN "Attention", "f2x5x8 f8x24 f24", "num_heads=2 qkv_hidden_sizes=[8,8]", 1, 0},
     "has 2 numbers"},
    {{DOMAIN "Attention", "f2x5x8 f8x24 f24", "num_heads=2 qkv_hidden_sizes=[8,8,9]", 1, 0},
     "24 columns"},
    {{DOMAIN "Attention", "f2x5x8 f8x24 f24", "num_heads=2 qkv_hidden_sizes=[8,-8,24]", 1, 0},
     "24 columns"},
    {{DOMAIN "Attention", "f2x5x8 f8x24 f24", "num_heads=2 do_rotary=1", 1, 0}, "do_rotary"},
    {{DOMAIN "Attention", "f2x5x8 f8x24 f24 I5", "num_heads=2", 1, 0}, "Reshape"},
    {{DOMAIN "Attention", "f2x5x8 f8x24 f24 I8", "num_heads=2", 1, 0}, "Split"},
    {{DOMAIN "Attention", "f2x5x8 f8x24 f24 I2x4", "num_heads=2", 1, 0}, "broadcast"},
    {{DOMAIN "MultiHeadAttention", "f2x5x8 - f2x5x8", "num_heads=2", 1, 0}, "no keys"},
    {{DOMAIN "MultiHeadAttention", "f2x5x8 f2x6x8 f2x6x8 - - - f2x2x3x4", "num_heads=2", 1, 0},
     "past keys or past values"},
    {{DOMAIN "MultiHeadAttention", "f2x5x8 f2x6x8 f2x6x8 - - - - - I=1", "num_heads=2", 1, 0},
     "past_sequence_length"},
    {{DOMAIN "GroupQueryAttention", "f2x3x8 f2x3x4 f2x3x4 - - I[2,2] I=3",
      "num_heads=3 kv_num_heads=2", 1, 0},
     "no multiple"},
    {{DOMAIN "GroupQueryAttention", "f2x3x8 f2x3x4 f2x3x4 - - I[2,2] I=3",
      "num_heads=2 kv_num_heads=0", 1, 0},
     "kv_num_heads"},
    {{DOMAIN "GroupQueryAttention", "f2x3x8 f2x3x4 f2x3x4 - - I[2,2]", "num_heads=2 kv_num_heads=1",
      1, 0},
     "input 6 must not be left out"},
    {{DOMAIN "GroupQueryAttention", "f2x3x8 f2x3x4 f2x3x4 - - I[2,2] I=3",
      "num_heads=2 kv_num_heads=1 do_rotary=1", 1, 0},
     "input 7 must not be left out"},
    {{DOMAIN "GroupQueryAttention", "f2x3x8 f2x3x4 f2x3x4 - - I[2,2] I=3",
      "num_heads=2 kv_num_heads=1 qk_output=1", 1, 0},
     "qk_output"},
    {{DOMAIN "GroupQueryAttention", "f2x3x8 f2x3x4 f2x3x4 f2x1x2x4 f2x1x2x4 I[7,7] I=5",
      "num_heads=2 kv_num_heads=1", 1, 0},
     "index"},
    {{DOMAIN "RotaryEmbedding", "f2x5x12 L2x5 f9x2 f9x2", "rotary_embedding_dim=4", 1, 0},
     "do not fit"},
    {{DOMAIN "RotaryEmbedding", "f2x5x12 L2x5 f9x2 f9x2", "scale=0.5", 1, 0}, "scale"},
    {{DOMAIN "MatMulNBits", "f2x40 u6x3x8 f18", "K=40 N=6 bits=4 block_size=0", 1, 0},
     "blocks of 0"},
    {{DOMAIN "MatMulNBits", "f2x40 u6x3x8 f18", "K=40 N=6 bits=4 block_size=24", 1, 0},
     "blocks of 24"},
    {{DOMAIN "MatMulNBits", "f2x40 u6x3x8 f18", "K=40 N=6 bits=3 block_size=16", 1, 0}, "3 bits"},
    {{DOMAIN "MatMulNBits", "f2x40 u6x3x8 f18", "K=-40 N=6 bits=4 block_size=16", 1, 0},
     "-40 elements"},
    {{DOMAIN "MatMulNBits", "f2x40 u6x3x8 f18", "K=4611686018427387904 N=6 block_size=16", 1, 0},
     "not allowed"},
    {{DOMAIN "MatMulNBits", "f2x40 u6x3x7 f18", "K=40 N=6 bits=4 block_size=16", 1, 0},
     "elements are 126"},
    {{DOMAIN "MatMulNBits", "f2x40 u6x3x8 f17", "K=40 N=6 bits=4 block_size=16", 1, 0},
     "scales are 17"},
    {{DOMAIN "MatMulNBits", "f2x40 u6x3x8 f18 u9", "K=40 N=6 bits=4 block_size=16", 1, 0},
     "zero points are 9"},
    {{DOMAIN "MatMulNBits", "f2x40 c6x3x8 f18", "K=40 N=6 bits=4 block_size=16", 1, 0}, "types"},
    {{DOMAIN "QLinearConcat", "f=0.5 u=3 u2x3 f=0.5", "axis=1", 1, 0}, "triples"},
    {{DOMAIN "QLinearAdd", "u2x3 f=0.5 u=3 u3 f=0.25 u=1", NULL, 1, 0},
     "input 6 must not be left out"},
    {{DOMAIN "QGemm", "u3x8 f=0.5 u=3 u8x5 f=0.5 u=1 - - u=3", NULL, 1, 0}, "no scale"},
    {{DOMAIN "QLinearSoftmax", "u2x3 f=0.5 u=3 f=0.25 u=1", "axis=1", 1, 0}, "'opset' is missing"},
    {{DOMAIN "DynamicQuantizeLSTM", "f4x2x6 c1x6x20 c1x5x20", "hidden_size=5", 1, 0},
     "input 8 must not be left out"},
    {{DOMAIN "DynamicQuantizeLSTM", "f4x2x6 c1x6x20 c1x5x20 - - - - - f3 c1 f1 c1", "hidden_size=5",
      1, 0},
     "no constants that fit"},
    {{DOMAIN "FusedGemm", "f3x4 f4x5 f5", "activation='Frobnicate'", 1, 0}, "'Frobnicate'"},
    {{DOMAIN "FusedConv", "f1x3x5x4 f6x3x3x3", "activation='Softmax'", 1, 0}, "'Softmax'"},
    {{DOMAIN "FusedMatMul", "f5 f5x3", "transA=1", 1, 0}, "no matrix"},
    {{DOMAIN "EmbedLayerNormalization", "I2x4 I2x4 f9x8 f6x8 - f8 f8", NULL, 1, 0}, "but not both"},
    {{DOMAIN "EmbedLayerNormalization", "I2x4 - f9x8 - - f8 f8", NULL, 1, 0},
     "input 3 must not be left out"},
    {{DOMAIN "SkipLayerNormalization", "f2x3x8 f2x3x8 f7", NULL, 1, 0}, "LayerNormalization"},
    {{DOMAIN "GroupNorm", "f2x3x4x8 f8 f8", "groups=0 activation=1", 1, 0}, "groups"},
    {{DOMAIN "GroupNorm", "f2x3x4x8 f8 f8", "groups=4 activation=2", 1, 0}, "activation is 2"},
    {{DOMAIN "BiasGelu", "f2x3", NULL, 1, 0}, "1 inputs"},
    {{DOMAIN "Frobnicate", "f2x3", NULL, 1, 0}, "'com.microsoft.Frobnicate' is not supported"},
};

static void test_forms_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        row_case c;
        const char *types = refusals[i].row.types;
        assert_true(row_case_next(&refusals[i].row, &types, &c));
        hd_tensor outputs[ROW_OUTPUT_LIMIT];
        hd_status status = HD_INTERNAL;
        hd_error error = {.status = HD_OK};
        assert_true(row_run(device, &c, ROW_FOLDED, outputs, &status, &error));
        row_outputs_clear(outputs);
        char text[512];
        if (status != HD_BAD_MODEL && status != HD_UNSUPPORTED && status != HD_INVALID_ARGUMENT) {
            fail_msg("%s: %s", row_case_text(&c, text, sizeof text), hd_status_name(status));
        }
        if (strstr(error.message, refusals[i].says) == NULL) {
            fail_msg("%s: '%s' does not say '%s'", row_case_text(&c, text, sizeof text),
                     error.message, refusals[i].says);
        }
    }
}

/* A graph of one input [2, 4] and a constant of 4. */
static hd_graph *begin(hd_value *x, hd_value *bias)
{
    static const float numbers[4] = {0.5f, -1.0f, 2.0f, 0.0f};
    const int64_t dims[2] = {2, 4};
    const hd_tensor constant = {.dtype = HD_FLOAT32,
                                .rank = 1,
                                .dims = {4},
                                .data = (void *)(uintptr_t)numbers,
                                .size = 16};
    hd_graph *graph;
    assert_int_equal(hd_graph_create(0, &graph, NULL), HD_OK);
    assert_int_equal(hd_graph_add_input(graph, "x", HD_FLOAT32, 2, dims, x, NULL), HD_OK);
    assert_int_equal(hd_graph_add_constant(graph, &constant, bias, NULL), HD_OK);
    return graph;
}

static void run(hd_graph *graph, hd_value y, float out[8])
{
    float numbers[8] = {-2, -1, -0.5f, 0, 0.25f, 1, 2, 3};
    hd_model *model = NULL;
    hd_error error;
    hd_tensor in = {
        .dtype = HD_FLOAT32, .rank = 2, .dims = {2, 4}, .data = numbers, .size = sizeof numbers};
    hd_tensor result = {.data = out, .size = 8 * sizeof *out};
    assert_int_equal(hd_graph_add_output(graph, "y", y, NULL), HD_OK);
    assert_int_equal(hd_model_create(device, graph, NULL, &model, &error), HD_OK);
    assert_int_equal(hd_model_run(model, &in, 1, &result, 1, &error), HD_OK);
    hd_model_destroy(&model);
    hd_graph_destroy(&graph);
}

static void test_an_operator_is_what_it_is_written_out_in(void **state)
{
    (void)state;
    float whole[8], parts[8];
    hd_value x, bias, y;
    hd_graph *graph = begin(&x, &bias);
    assert_int_equal(hd_graph_add_node(graph, "com.microsoft.BiasGelu", (hd_value[]){x, bias}, 2,
                                       NULL, 0, &y, 1, NULL),
                     HD_OK);
    run(graph, y, whole);
    graph = begin(&x, &bias);
    assert_int_equal(
        hd_graph_add_node(graph, "Add", (hd_value[]){x, bias}, 2, NULL, 0, &y, 1, NULL), HD_OK);
    assert_int_equal(hd_graph_add_node(graph, "Gelu", &y, 1, NULL, 0, &y, 1, NULL), HD_OK);
    run(graph, y, parts);
    assert_memory_equal(whole, parts, sizeof whole);
}

static void test_a_value_between_is_an_output_too(void **state)
{
    (void)state;
    float sum[8], parts[8];
    hd_value x, bias, y, outputs[4];
    hd_graph *graph = begin(&x, &bias);
    assert_int_equal(hd_graph_add_node(graph, "com.microsoft.SkipLayerNormalization",
                                       (hd_value[]){x, x, bias}, 3, NULL, 0, outputs, 4, NULL),
                     HD_OK);
    run(graph, outputs[3], sum); /* output 3 is what is normalized */
    graph = begin(&x, &bias);
    assert_int_equal(hd_graph_add_node(graph, "Add", (hd_value[]){x, x}, 2, NULL, 0, &y, 1, NULL),
                     HD_OK);
    run(graph, y, parts);
    assert_memory_equal(sum, parts, sizeof sum);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms_that_make_no_sense_are_refused),
        cmocka_unit_test(test_an_operator_is_what_it_is_written_out_in),
        cmocka_unit_test(test_a_value_between_is_an_output_too),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
