/* Empty tensors, and operands of which only type or shape counts: what comes out, against ONNX's definitions. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/operation_runner.h"
#include "support/test_device.h"

#define MOST 4

static hd_device *device;

static int setup(void **state)
{
    (void)state;
    return hd_device_open(test_device_name(), NULL, &device, NULL) == HD_OK ? 0 : -1;
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
    assert_int_equal(
        hd_graph_add_input(graph, name, tensor.dtype, tensor.rank, tensor.dims, &value, NULL),
        HD_OK);
    return value;
}

static hd_value constant(hd_tensor tensor)
{
    hd_value value;
    assert_int_equal(hd_graph_add_constant(graph, &tensor, &value, NULL), HD_OK);
    return value;
}

static hd_value node_of(const char *type, const hd_value *operands, size_t count,
                        const hd_attribute *attributes, size_t attribute_count)
{
    hd_value result;
    hd_error error;
    if (hd_graph_add_node(graph, type, operands, count, attributes, attribute_count, &result, 1,
                          &error) != HD_OK) {
        fail_msg("%s", error.message);
    }
    return result;
}

static hd_value node(const char *type, hd_value a, hd_value b, const hd_attribute *attributes,
                     size_t attribute_count)
{
    hd_value operands[] = {a, b};
    return node_of(type, operands, b == HD_VALUE_NONE ? 1 : 2, attributes, attribute_count);
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
#define EMPTY(dtype, ...)                                                                          \
    no_elements((dtype), sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),                       \
                (int64_t[]){__VA_ARGS__})

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
    hd_value negative =
        node("Neg", input(OPERATION_TENSOR(HD_FLOAT32, x, 2, 50)), HD_VALUE_NONE, NULL, 0);
    hd_value cast =
        node("CastLike", negative, input(OPERATION_TENSOR(HD_INT32, like, 2, 1)), NULL, 0);
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
    expect(node("Reshape", input(OPERATION_TENSOR(HD_FLOAT32, x, 1)), target, NULL, 0),
           OPERATION_SCALAR(HD_FLOAT32, x));
}

static void test_sizes_beside_a_zero_are_not_walked(void **state)
{
    (void)state;
    int64_t size = INT64_C(1) << 58;
    static const char *const types[] = {"Softmax", "Relu", "LogSoftmax", "Hardmax",
                                        "LpNormalization"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        begin();
        expect(node(types[i], input(EMPTY(HD_FLOAT32, size, 0)), HD_VALUE_NONE, NULL, 0),
               EMPTY(HD_FLOAT32, size, 0));
    }
}

/* onnx.ai, "ReduceSum" and its kin: what the reduction of an empty set is; the mean of nothing is no number. */
static void test_reductions_of_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        float value;
    } cases[] = {{"ReduceSum", 0},
                 {"ReduceProd", 1},
                 {"ReduceMax", -INFINITY},
                 {"ReduceMin", INFINITY},
                 {"ReduceL1", 0},
                 {"ReduceL2", 0},
                 {"ReduceLogSum", -INFINITY},
                 {"ReduceLogSumExp", -INFINITY},
                 {"ReduceMean", NAN},
                 {"ReduceSumSquare", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        float expected[] = {cases[i].value, cases[i].value};
        int64_t axis[] = {1};
        hd_tensor output = {0}, wanted = OPERATION_TENSOR(HD_FLOAT32, expected, 2, 1, 1);
        begin();
        hd_value x = input(EMPTY(HD_FLOAT32, 2, 0, 1));
        hd_value y = node(cases[i].type, x, constant(OPERATION_TENSOR(HD_INT64, axis, 1)), NULL, 0);
        hd_model *model = NULL;
        assert_int_equal(hd_graph_add_output(graph, "y", y, NULL), HD_OK);
        assert_int_equal(hd_model_create(device, graph, NULL, &model, NULL), HD_OK);
        assert_int_equal(hd_model_run(model, inputs, input_count, &output, 1, NULL), HD_OK);
        operation_check_close(&output, &wanted, 0, 0); /* NaN equals NaN */
        hd_tensor_release(&output);
        hd_model_destroy(&model);
        hd_graph_destroy(&graph);
    }
}

static void test_integers_of_nothing_have_their_least_for_a_maximum(void **state)
{
    (void)state;
    int32_t least[] = {INT32_MIN}, most[] = {INT32_MAX};
    begin();
    expect(node("ReduceMax", input(EMPTY(HD_INT32, 0)), HD_VALUE_NONE, NULL, 0),
           OPERATION_TENSOR(HD_INT32, least, 1));
    begin();
    expect(node("ReduceMin", input(EMPTY(HD_INT32, 0)), HD_VALUE_NONE, NULL, 0),
           OPERATION_TENSOR(HD_INT32, most, 1));
}

static void test_products_without_depth_are_zero_and_the_bias(void **state)
{
    (void)state;
    float zeros[6] = {0}, bias[] = {1, 2, 3}, both[] = {1, 2, 3, 1, 2, 3};
    begin();
    expect(node("MatMul", input(EMPTY(HD_FLOAT32, 2, 0)), input(EMPTY(HD_FLOAT32, 0, 3)), NULL, 0),
           OPERATION_TENSOR(HD_FLOAT32, zeros, 2, 3));
    begin();
    hd_value product =
        node("MatMul", input(EMPTY(HD_FLOAT32, 2, 0)), constant(EMPTY(HD_FLOAT32, 0, 3)), NULL, 0);
    expect(node("Relu",
                node("Add", product, constant(OPERATION_TENSOR(HD_FLOAT32, bias, 3)), NULL, 0),
                HD_VALUE_NONE, NULL, 0),
           OPERATION_TENSOR(HD_FLOAT32, both, 2, 3));
    begin();
    hd_value operands[] = {input(EMPTY(HD_FLOAT32, 2, 0)), input(EMPTY(HD_FLOAT32, 0, 3)),
                           input(OPERATION_TENSOR(HD_FLOAT32, bias, 3))};
    expect(node_of("Gemm", operands, 3, NULL, 0), OPERATION_TENSOR(HD_FLOAT32, both, 2, 3));
    hd_attribute equation = operation_string("equation", "ij,jk->ik");
    begin();
    expect(node("Einsum", input(EMPTY(HD_FLOAT32, 2, 0)), input(EMPTY(HD_FLOAT32, 0, 3)), &equation,
                1),
           OPERATION_TENSOR(HD_FLOAT32, zeros, 2, 3));
}

static void test_a_convolution_without_channels_is_its_bias(void **state)
{
    (void)state;
    float bias[] = {1, 2}, expected[] = {1, 1, 1, 2, 2, 2};
    begin();
    hd_value operands[] = {input(EMPTY(HD_FLOAT32, 1, 0, 4)), input(EMPTY(HD_FLOAT32, 2, 0, 2)),
                           input(OPERATION_TENSOR(HD_FLOAT32, bias, 2))};
    expect(node_of("Conv", operands, 3, NULL, 0), OPERATION_TENSOR(HD_FLOAT32, expected, 1, 2, 3));
}

static void test_parts_without_elements_join_and_pad(void **state)
{
    (void)state;
    float x[] = {1, 2}, one[] = {7}, padded[] = {7, 7, 7, 7, 7, 7};
    int64_t pads[] = {1, 0, 1, 3};
    hd_attribute axis = operation_int("axis", 1);
    begin();
    hd_value operands[] = {input(EMPTY(HD_FLOAT32, 1, 0)),
                           input(OPERATION_TENSOR(HD_FLOAT32, x, 1, 2)),
                           input(EMPTY(HD_FLOAT32, 1, 0))};
    expect(node_of("Concat", operands, 3, &axis, 1), OPERATION_TENSOR(HD_FLOAT32, x, 1, 2));
    begin();
    hd_value pad[] = {input(EMPTY(HD_FLOAT32, 0, 0)), constant(OPERATION_TENSOR(HD_INT64, pads, 4)),
                      constant(OPERATION_SCALAR(HD_FLOAT32, one))};
    expect(node_of("Pad", pad, 3, NULL, 0), OPERATION_TENSOR(HD_FLOAT32, padded, 2, 3));
}

/* Y_h is the initial state, as onnxruntime has it. */
static void test_a_sequence_without_steps_ends_where_it_began(void **state)
{
    (void)state;
    float weights[12] = {0}, initial[] = {1, 2, 3, 4, 5, 6};
    begin();
    hd_value operands[] = {input(EMPTY(HD_FLOAT32, 0, 2, 4)),
                           input(OPERATION_TENSOR(HD_FLOAT32, weights, 1, 3, 4)),
                           input(OPERATION_TENSOR(HD_FLOAT32, weights, 1, 3, 3)),
                           HD_VALUE_NONE,
                           HD_VALUE_NONE,
                           input(OPERATION_TENSOR(HD_FLOAT32, initial, 1, 2, 3))};
    hd_value results[2];
    assert_int_equal(hd_graph_add_node(graph, "RNN", operands, 6, NULL, 0, results, 2, NULL),
                     HD_OK);
    expect(results[1], OPERATION_TENSOR(HD_FLOAT32, initial, 1, 2, 3));
}

static void test_counts_and_places_of_nothing(void **state)
{
    (void)state;
    int64_t sizes[] = {2, 0}, none[] = {0};
    begin();
    expect(node("Shape", input(EMPTY(HD_FLOAT32, 2, 0)), HD_VALUE_NONE, NULL, 0),
           OPERATION_TENSOR(HD_INT64, sizes, 2));
    begin();
    expect(node("Size", input(EMPTY(HD_FLOAT32, 2, 0)), HD_VALUE_NONE, NULL, 0),
           OPERATION_SCALAR(HD_INT64, none));
    begin();
    expect(node("NonZero", input(EMPTY(HD_FLOAT32, 2, 0)), HD_VALUE_NONE, NULL, 0),
           EMPTY(HD_INT64, 2, 0));
    begin();
    expect(node("TopK", input(EMPTY(HD_FLOAT32, 2, 0)),
                constant(OPERATION_TENSOR(HD_INT64, none, 1)), NULL, 0),
           EMPTY(HD_FLOAT32, 2, 0));
    begin();
    expect(node("Gather", input(EMPTY(HD_FLOAT32, 3, 0)),
                input(OPERATION_TENSOR(HD_INT64, none, 1)), NULL, 0),
           EMPTY(HD_FLOAT32, 1, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_what_a_cast_is_like_only_the_type_counts),
        cmocka_unit_test(test_a_known_cast_like_an_empty_input),
        cmocka_unit_test(test_a_target_shape_without_elements_needs_no_memory),
        cmocka_unit_test(test_sizes_beside_a_zero_are_not_walked),
        cmocka_unit_test(test_reductions_of_nothing),
        cmocka_unit_test(test_integers_of_nothing_have_their_least_for_a_maximum),
        cmocka_unit_test(test_products_without_depth_are_zero_and_the_bias),
        cmocka_unit_test(test_a_convolution_without_channels_is_its_bias),
        cmocka_unit_test(test_parts_without_elements_join_and_pad),
        cmocka_unit_test(test_a_sequence_without_steps_ends_where_it_began),
        cmocka_unit_test(test_counts_and_places_of_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
