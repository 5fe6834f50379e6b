/* Empty tensors, and operands of which only type or shape counts: what comes out, against ONNX's definitions. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/operation_runner.h"

#define MOST 4

static hd_device *device;

static int setup(void **state)
{
    (void)state;
    return hd_device_open("cpu", NULL, &device, NULL) == HD_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    hd_device_destroy(&device);
    return 0;
}

static hd_graph *graph;
static hd_tensor inputs[MOST];
static size_t input_count;

static void begin(void)
{
    assert_int_equal(hd_graph_create(0, &graph, NULL), HD_OK);
    input_count = 0;
}

static hd_value input(hd_tensor tensor)
{
    hd_value value;
    char name[2] = {(char)('a' + input_count), '\0'};
    inputs[input_count++] = tensor;
    assert_int_equal(hd_graph_add_input(graph, name, tensor.dtype, tensor.rank, tensor.dims, &value, NULL), HD_OK);
    return value;
}

static hd_value constant(hd_tensor tensor)
{
    hd_value value;
    assert_int_equal(hd_graph_add_constant(graph, &tensor, &value, NULL), HD_OK);
    return value;
}

static hd_value node(const char *type, hd_value a, hd_value b, const hd_attribute *attributes, size_t attribute_count)
{
    hd_value result, operands[] = {a, b};
    hd_error error;
    if (hd_graph_add_node(graph, type, operands, b == HD_VALUE_NONE ? 1 : 2, attributes, attribute_count, &result, 1, &error) !=
        HD_OK) {
        fail_msg("%s", error.message);
    }
    return result;
}

/* Runs the graph, whose output is `value`, and destroys it. */
static void expect(hd_value value, hd_tensor expected)
{
    hd_model *model = NULL;
    hd_tensor output = {0};
    hd_error error = {.status = HD_OK};
    assert_int_equal(hd_graph_add_output(graph, "y", value, NULL), HD_OK);
    if (hd_model_create(device, graph, NULL, &model, &error) != HD_OK ||
        hd_model_run(model, inputs, input_count, &output, 1, &error) != HD_OK) {
        fail_msg("%s", error.message);
    }
    operation_check_output(&output, &expected);
    hd_tensor_release(&output);
    hd_model_destroy(&model);
    hd_graph_destroy(&graph);
}

static hd_tensor no_elements(hd_dtype dtype, uint32_t rank, const int64_t *dims)
{
    hd_tensor tensor = {.dtype = dtype, .rank = rank};
    memcpy(tensor.dims, dims, rank * sizeof *dims);
    return tensor;
}
#define EMPTY(dtype, ...) \
    no_elements((dtype), sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]){__VA_ARGS__})

static void test_of_what_a_cast_is_like_only_the_type_counts(void **state)
{
    (void)state;
    float x[100];
    int32_t like[2] = {0, 0}, expected[100];
    for (int i = 0; i < 100; i++) {
        x[i] = (float)i;
        expected[i] = -i;
    }
    begin();
    hd_value negative = node("Neg", input(OPERATION_TENSOR(HD_FLOAT32, x, 2, 50)), HD_VALUE_NONE, NULL, 0);
    hd_value cast = node("CastLike", negative, input(OPERATION_TENSOR(HD_INT32, like, 2, 1)), NULL, 0);
    expect(cast, OPERATION_TENSOR(HD_INT32, expected, 2, 50));
}

/* The elements of an empty tensor are known, and so is what follows from its type. */
static void test_a_known_cast_like_an_empty_input(void **state)
{
    (void)state;
    int64_t two[] = {2};
    float expected[] = {4.0f};
    begin();
    hd_value x = input(EMPTY(HD_FLOAT32, 0, 4));
    hd_value cast = node("CastLike", constant(OPERATION_TENSOR(HD_INT64, two, 1)), x, NULL, 0);
    expect(node("Mul", cast, cast, NULL, 0), OPERATION_TENSOR(HD_FLOAT32, expected, 1));
}

static void test_a_target_shape_without_elements_needs_no_memory(void **state)
{
    (void)state;
    float x[] = {3.0f};
    begin();
    hd_value target = input(EMPTY(HD_INT64, 0));
    expect(node("Reshape", input(OPERATION_TENSOR(HD_FLOAT32, x, 1)), target, NULL, 0), OPERATION_SCALAR(HD_FLOAT32, x));
}

static void test_sizes_beside_a_zero_are_not_walked(void **state)
{
    (void)state;
    int64_t size = INT64_C(1) << 58;
    static const char *const types[] = {"Softmax", "Relu", "LogSoftmax", "Hardmax", "LpNormalization"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        begin();
        expect(node(types[i], input(EMPTY(HD_FLOAT32, size, 0)), HD_VALUE_NONE, NULL, 0), EMPTY(HD_FLOAT32, size, 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_what_a_cast_is_like_only_the_type_counts),
        cmocka_unit_test(test_a_known_cast_like_an_empty_input),
        cmocka_unit_test(test_a_target_shape_without_elements_needs_no_memory),
        cmocka_unit_test(test_sizes_beside_a_zero_are_not_walked),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
