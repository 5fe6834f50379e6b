/* Models of half precision: stored, computed in float32, and given back in the declared type.
 * tests/models/make_half.py made them; onnxruntime's float32 answers are what is expected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "model_case.h"
#include "support/test_device.h"

#define FOLDER HD_TEST_SOURCE_DIR "/tests/models/half"

static const model_tolerance of_peak = {.of_peak = 5e-3};
static const model_tolerance exact = {0};

static int open_device(void **state)
{
    return hd_device_open(test_device_name(), NULL, (hd_device **)state, NULL) != HD_OK;
}

static int close_device(void **state)
{
    hd_device_destroy((hd_device **)state);
    return 0;
}

/* Every set of a model that is loaded once. */
static void check(hd_device *device, const char *name, size_t set_count,
                  const model_tolerance *tolerance)
{
    char path[1024], reason[MODEL_CASE_TEXT_SIZE];
    hd_model *model = NULL;
    hd_error error = {0};
    snprintf(path, sizeof path, FOLDER "/%s/model.onnx", name);
    if (hd_model_load(device, path, NULL, &model, &error) != HD_OK) {
        fail_msg("%s: %s", name, error.message);
    }
    for (size_t set = 0; set < set_count; set++) {
        snprintf(path, sizeof path, FOLDER "/%s/set_%zu", name, set);
        if (!model_case_run(model, path, tolerance, reason)) {
            hd_model_destroy(&model);
            fail_msg("%s, set %zu: %s", name, set, reason);
        }
    }
    snprintf(path, sizeof path, FOLDER "/%s/set_%zu", name, set_count);
    assert_int_not_equal(access(path, F_OK), 0); /* no set is left out */
    hd_model_destroy(&model);
}

#define MODEL_TEST(test, name, set_count, tolerance)                                               \
    static void test(void **state)                                                                 \
    {                                                                                              \
        check(*state, name, set_count, &(tolerance));                                              \
    }

MODEL_TEST(mlp_of_float16_computes, "mlp_full", 1, of_peak)
MODEL_TEST(mlp_with_float32_ends_computes, "mlp_keep_io", 1, of_peak)
MODEL_TEST(mlp_with_cast_weights_computes, "mlp_weight_cast", 1, of_peak)
MODEL_TEST(cnn_of_float16_computes, "cnn_full", 1, of_peak)
MODEL_TEST(cnn_with_float32_ends_computes, "cnn_keep_io", 1, of_peak)
MODEL_TEST(cnn_with_cast_weights_computes, "cnn_weight_cast", 1, of_peak)
MODEL_TEST(transformer_of_float16_computes, "transformer_full", 1, of_peak)
MODEL_TEST(transformer_with_float32_ends_computes, "transformer_keep_io", 1, of_peak)
MODEL_TEST(transformer_with_cast_weights_computes, "transformer_weight_cast", 1, of_peak)
MODEL_TEST(recurrent_layers_of_float16_compute, "lstm_full", 1, of_peak)
MODEL_TEST(recurrent_layers_with_float32_ends_compute, "lstm_keep_io", 1, of_peak)
MODEL_TEST(recurrent_layers_with_cast_weights_compute, "lstm_weight_cast", 1, of_peak)
MODEL_TEST(lstm_with_cast_weights_in_branches_computes, "lstm_if_weight_cast", 2, of_peak)
MODEL_TEST(lstm_of_float16_in_branches_computes, "lstm_if_keep_io", 2, of_peak)
MODEL_TEST(loop_carries_float16, "loop_full", 1, of_peak)
MODEL_TEST(mlp_of_bfloat16_computes, "mlp_bfloat16_full", 1, of_peak)
MODEL_TEST(transformer_with_cast_bfloat16_weights_computes, "transformer_bfloat16_weight_cast", 1,
           of_peak)
MODEL_TEST(moving_float16_changes_no_bit, "moves_full", 1, exact)
MODEL_TEST(moving_bfloat16_changes_no_bit, "moves_bfloat16_full", 1, exact)
MODEL_TEST(casts_round_to_float16, "rounding_float16", 1, exact)
MODEL_TEST(casts_round_to_bfloat16, "rounding_bfloat16", 1, exact)

/* Adds y = x + c to a graph whose outputs declare nothing, as hand-made ones do. */
static void built_graph_keeps_its_types(void **state)
{
    uint16_t one[4] = {0x3C00, 0x3C00, 0x3C00, 0x3C00}, x[4] = {0x4000, 0x4200, 0xC000, 0x7BFF};
    const uint16_t expected[4] = {0x4200, 0x4400, 0xBC00, 0x7BFF};
    int64_t dims[1] = {4};
    hd_graph *graph = NULL;
    hd_model *model = NULL;
    hd_value input, constant, sum, same;
    hd_tensor weights = {
        .dtype = HD_FLOAT16, .rank = 1, .dims = {4}, .data = one, .size = sizeof one};
    assert_int_equal(hd_graph_create(17, &graph, NULL), HD_OK);
    assert_int_equal(hd_graph_add_input(graph, "x", HD_FLOAT16, 1, dims, &input, NULL), HD_OK);
    assert_int_equal(hd_graph_add_constant(graph, &weights, &constant, NULL), HD_OK);
    hd_value operands[2] = {input, constant};
    assert_int_equal(hd_graph_add_node(graph, "Add", operands, 2, NULL, 0, &sum, 1, NULL), HD_OK);
    assert_int_equal(hd_graph_add_node(graph, "Identity", &input, 1, NULL, 0, &same, 1, NULL),
                     HD_OK);
    assert_int_equal(hd_graph_add_output(graph, "sum", sum, NULL), HD_OK);
    assert_int_equal(hd_graph_add_output(graph, "same", same, NULL), HD_OK);
    assert_int_equal(hd_graph_add_output(graph, "constant", constant, NULL), HD_OK);
    assert_int_equal(hd_model_create(*state, graph, NULL, &model, NULL), HD_OK);
    hd_graph_destroy(&graph);

    hd_value_info info = {.struct_size = sizeof info};
    assert_int_equal(hd_model_input_info(model, 0, &info), HD_OK);
    assert_int_equal(info.dtype, HD_FLOAT16);
    assert_string_equal(info.name, "x");
    hd_tensor given = {
        .name = "x", .dtype = HD_FLOAT16, .rank = 1, .dims = {4}, .data = x, .size = sizeof x};
    hd_tensor outputs[3] = {{.name = "sum"}, {.name = "same"}, {.name = "constant"}};
    assert_int_equal(hd_model_run(model, &given, 1, outputs, 3, NULL), HD_OK);
    for (size_t i = 0; i < 3; i++) {
        const uint16_t *wanted = i == 0 ? expected : i == 1 ? x : one;
        assert_int_equal(outputs[i].dtype, HD_FLOAT16);
        assert_int_equal(outputs[i].size, sizeof x);
        assert_memory_equal(outputs[i].data, wanted, sizeof x);
        hd_tensor_release(&outputs[i]);
    }
    hd_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mlp_of_float16_computes),
        cmocka_unit_test(mlp_with_float32_ends_computes),
        cmocka_unit_test(mlp_with_cast_weights_computes),
        cmocka_unit_test(cnn_of_float16_computes),
        cmocka_unit_test(cnn_with_float32_ends_computes),
        cmocka_unit_test(cnn_with_cast_weights_computes),
        cmocka_unit_test(transformer_of_float16_computes),
        cmocka_unit_test(transformer_with_float32_ends_computes),
        cmocka_unit_test(transformer_with_cast_weights_computes),
        cmocka_unit_test(recurrent_layers_of_float16_compute),
        cmocka_unit_test(recurrent_layers_with_float32_ends_compute),
        cmocka_unit_test(recurrent_layers_with_cast_weights_compute),
        cmocka_unit_test(lstm_with_cast_weights_in_branches_computes),
        cmocka_unit_test(lstm_of_float16_in_branches_computes),
        cmocka_unit_test(loop_carries_float16),
        cmocka_unit_test(mlp_of_bfloat16_computes),
        cmocka_unit_test(transformer_with_cast_bfloat16_weights_computes),
        cmocka_unit_test(moving_float16_changes_no_bit),
        cmocka_unit_test(moving_bfloat16_changes_no_bit),
        cmocka_unit_test(casts_round_to_float16),
        cmocka_unit_test(casts_round_to_bfloat16),
        cmocka_unit_test(built_graph_keeps_its_types),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
