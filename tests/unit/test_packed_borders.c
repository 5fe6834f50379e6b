/* Types of less than 8 bits at a model's border: packed as ONNX packs them, in inputs, outputs, constants, attributes and files. */
#include <stdlib.h>
#include <string.h>

#include "heddle/batch.h"
#include "heddle/file.h"
#include "operation/narrow.h"
#include "rows_fixture.h"
#include "support/operation_runner.h"

enum { COUNT = 21 };

static const hd_dtype types[] = {HD_UINT4, HD_INT4,       HD_FLOAT4E2M1, HD_UINT2,
                                 HD_INT2,  HD_FLOAT6E2M3, HD_FLOAT6E3M2};

/* As few bytes as the elements take, so that a sanitizer sees who goes beyond them. */
static uint8_t *exactly(size_t size)
{
    uint8_t *memory = malloc(size);
    assert_non_null(memory);
    return memory;
}

static int code_of(hd_dtype dtype, const uint8_t *packed, size_t i)
{
    const size_t bits = hd_dtype_bits(dtype);
    int code = 0;
    for (size_t b = 0; b < bits; b++) {
        const size_t at = i * bits + b;
        code |= (packed[at / 8] >> at % 8 & 1) << b;
    }
    return code;
}

static float number_of(hd_dtype dtype, const uint8_t *packed, size_t i)
{
    const int bits = (int)hd_dtype_bits(dtype), code = code_of(dtype, packed, i);
    const bool is_signed = dtype == HD_INT4 || dtype == HD_INT2;
    return hd_narrow_is_float(dtype)         ? hd_narrow_decode(dtype, (uint8_t)code)
           : is_signed && code >> (bits - 1) ? (float)(code - (1 << bits))
                                             : (float)code;
}

static hd_value add_node(hd_graph *graph, const char *type, const hd_value *inputs, size_t count,
                         const hd_attribute *attribute)
{
    hd_value value;
    assert_ok(hd_graph_add_node(graph, type, inputs, count, attribute, attribute != NULL, &value, 1,
                                &error));
    return value;
}

static hd_value cast(hd_graph *graph, hd_value value, hd_dtype to)
{
    const hd_attribute attribute = operation_int("to", to);
    return add_node(graph, "Cast", &value, 1, &attribute);
}

static hd_model *make_model(hd_graph *graph, hd_value output)
{
    hd_model *model;
    assert_ok(hd_graph_add_output(graph, "y", output, &error));
    assert_ok(hd_model_create(device, graph, NULL, &model, &error));
    hd_graph_destroy(&graph);
    return model;
}

/* x to float32, as it is, and from float32. */
static hd_model *make_borders(hd_dtype dtype)
{
    static const int64_t dims[] = {3, -1};
    hd_graph *graph;
    hd_value x, f;
    assert_ok(hd_graph_create(0, &graph, &error));
    assert_ok(hd_graph_add_input(graph, "x", dtype, 2, dims, &x, &error));
    assert_ok(hd_graph_add_input(graph, "f", HD_FLOAT32, 2, dims, &f, &error));
    assert_ok(hd_graph_add_output(graph, "number", cast(graph, x, HD_FLOAT32), &error));
    assert_ok(hd_graph_add_output(graph, "same", x, &error));
    return make_model(graph, cast(graph, f, dtype));
}

static void inputs_and_outputs_are_packed(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
        const hd_dtype dtype = types[t];
        const size_t size = (COUNT * hd_dtype_bits(dtype) + 7) / 8;
        hd_model *model = make_borders(dtype);
        uint8_t *packed = exactly(size), *own = exactly(size);
        float numbers[COUNT];
        for (size_t i = 0; i < size; i++) {
            packed[i] = (uint8_t)(i * 89 + 0xB7);
        }
        for (size_t i = 0; i < COUNT; i++) {
            numbers[i] = number_of(dtype, packed, i);
        }
        hd_tensor inputs[] = {OPERATION_TENSOR(dtype, packed, 3, COUNT / 3),
                              OPERATION_TENSOR(HD_FLOAT32, numbers, 3, COUNT / 3)};
        inputs[0].size = size;
        hd_tensor outputs[3] = {{0}};
        outputs[1] = (hd_tensor){.data = own, .size = size};
        assert_ok(hd_model_run(model, inputs, 2, outputs, 3, &error));
        assert_memory_equal(outputs[0].data, numbers, sizeof numbers);
        for (size_t k = 1; k < 3; k++) {
            assert_int_equal(outputs[k].dtype, dtype);
            assert_int_equal(outputs[k].size, size);
            for (size_t i = 0; i < COUNT; i++) {
                assert_true(number_of(dtype, outputs[k].data, i) == numbers[i]);
            }
            /* what no element has is 0 */
            const size_t used = (COUNT * hd_dtype_bits(dtype) - 1) % 8 + 1;
            assert_int_equal(((const uint8_t *)outputs[k].data)[size - 1] >> used, 0);
        }
        hd_tensor_release(&outputs[0]);
        hd_tensor_release(&outputs[2]);
        inputs[0].size = size - 1;
        assert_int_equal(hd_model_run(model, inputs, 2, outputs, 3, &error), HD_INVALID_ARGUMENT);
        inputs[0].size = size;
        outputs[1] = (hd_tensor){.data = own, .size = size - 1};
        assert_int_equal(hd_model_run(model, inputs, 2, outputs, 3, &error), HD_INVALID_ARGUMENT);
        hd_model_destroy(&model);
        free(packed);
        free(own);
    }
}

static void check_numbers(hd_model *model, const hd_tensor *inputs, size_t count,
                          const float *wanted, size_t wanted_count)
{
    hd_tensor y = {0};
    assert_ok(hd_model_run(model, inputs, count, &y, 1, &error));
    assert_int_equal(y.size, wanted_count * sizeof *wanted);
    assert_memory_equal(y.data, wanted, y.size);
    hd_tensor_release(&y);
    hd_model_destroy(&model);
}

static void constants_and_attributes_are_packed(void **state)
{
    (void)state;
    static const float numbers[] = {-7, 3, -1, 0, 5}, filled[] = {-7, -7, -7};
    static const int64_t three = 3;
    uint8_t *packed = exactly(3);
    memcpy(packed, (const uint8_t[]){0x39, 0x0F, 0xF5}, 3);
    hd_tensor constant = OPERATION_TENSOR(HD_INT4, packed, 5);
    constant.size = 3;
    hd_graph *graph;
    hd_value value;
    assert_ok(hd_graph_create(0, &graph, &error));
    assert_ok(hd_graph_add_constant(graph, &constant, &value, &error));
    check_numbers(make_model(graph, cast(graph, value, HD_FLOAT32)), NULL, 0, numbers, 5);
    assert_ok(hd_graph_create(0, &graph, &error));
    constant.size = 2;
    assert_int_equal(hd_graph_add_constant(graph, &constant, &value, &error), HD_INVALID_ARGUMENT);
    const hd_tensor shape = OPERATION_TENSOR(HD_INT64, &three, 1);
    assert_ok(hd_graph_add_constant(graph, &shape, &value, &error));
    hd_tensor one = OPERATION_TENSOR(HD_INT4, packed, 1);
    one.size = 1;
    const hd_attribute fill = {.name = "value", .kind = HD_ATTRIBUTE_TENSOR, .tensor = &one};
    value = add_node(graph, "ConstantOfShape", &value, 1, &fill);
    check_numbers(make_model(graph, cast(graph, value, HD_FLOAT32)), NULL, 0, filled, 3);
    free(packed);
}

/* A shape that is given in 4 bits steers the plan, which reads it. */
static void packed_inputs_steer_plans(void **state)
{
    (void)state;
    static const int64_t sizes[] = {6}, rank[] = {2};
    static const float data[] = {1, 2, 3, 4, 5, 6};
    hd_graph *graph;
    hd_value x[2];
    assert_ok(hd_graph_create(0, &graph, &error));
    assert_ok(hd_graph_add_input(graph, "data", HD_FLOAT32, 1, sizes, &x[0], &error));
    assert_ok(hd_graph_add_input(graph, "shape", HD_UINT4, 1, rank, &x[1], &error));
    x[1] = cast(graph, x[1], HD_INT64);
    hd_model *model = make_model(graph, add_node(graph, "Reshape", x, 2, NULL));
    uint8_t *packed = exactly(1);
    for (uint8_t first = 1; first < 4; first++) {
        packed[0] = (uint8_t)(first | (6 / first) << 4);
        hd_tensor inputs[] = {OPERATION_TENSOR(HD_FLOAT32, data, 6),
                              OPERATION_TENSOR(HD_UINT4, packed, 2)};
        inputs[1].size = 1;
        hd_tensor y = {0};
        assert_ok(hd_model_run(model, inputs, 2, &y, 1, &error));
        assert_int_equal(y.dims[0], first);
        assert_int_equal(y.dims[1], 6 / first);
        hd_tensor_release(&y);
    }
    free(packed);
    hd_model_destroy(&model);
}

/* A row may begin within a byte: a batch queue refuses them, for inputs as for outputs. */
static void packed_rows_are_not_stacked(void **state)
{
    (void)state;
    static const int64_t dims[] = {-1, 3};
    static const hd_dtype borders[][2] = {{HD_UINT4, HD_FLOAT32}, {HD_FLOAT32, HD_UINT4}};
    for (size_t i = 0; i < 2; i++) {
        hd_graph *graph;
        hd_value x;
        assert_ok(hd_graph_create(0, &graph, &error));
        assert_ok(hd_graph_add_input(graph, "x", borders[i][0], 2, dims, &x, &error));
        hd_model *model = make_model(graph, cast(graph, x, borders[i][1]));
        hd_batch *batch;
        hd_future *future;
        assert_ok(hd_batch_create(model, NULL, &batch, &error));
        static float row[3] = {1, 2, 3};
        hd_tensor input = OPERATION_TENSOR(borders[i][0], row, 1, 3), output = {0};
        assert_int_equal(hd_batch_submit(batch, &input, 1, &output, 1, NULL, &future, &error),
                         HD_UNSUPPORTED);
        hd_batch_destroy(&batch);
        hd_model_destroy(&model);
    }
}

static void files_are_as_they_are(void **state)
{
    (void)state;
    /* dims 3, data_type INT4, raw_data of two bytes */
    static const uint8_t message[] = {0x08, 3, 0x10, HD_INT4, 0x4A, 2, 0x39, 0x0F};
    hd_tensor tensor;
    assert_ok(hd_tensor_load_memory(message, sizeof message, &tensor, &error));
    assert_int_equal(tensor.dtype, HD_INT4);
    assert_int_equal(tensor.dims[0], 3);
    assert_int_equal(tensor.size, 2);
    assert_memory_equal(tensor.data, message + 6, 2);
    hd_tensor_release(&tensor);
}

static void types_say_how_many_bits_they_have(void **state)
{
    (void)state;
    static const size_t bits[] = {4, 4, 4, 2, 2, 6, 6};
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
        assert_int_equal(hd_dtype_bits(types[t]), bits[t]);
        assert_int_equal(hd_dtype_size(types[t]), 1);
    }
    assert_int_equal(hd_dtype_bits(HD_FLOAT8E5M2), 8);
    assert_int_equal(hd_dtype_bits(HD_FLOAT64), 64);
    assert_int_equal(hd_dtype_bits(HD_DTYPE_NONE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inputs_and_outputs_are_packed),
        cmocka_unit_test(constants_and_attributes_are_packed),
        cmocka_unit_test(packed_inputs_steer_plans),
        cmocka_unit_test(packed_rows_are_not_stacked),
        cmocka_unit_test(files_are_as_they_are),
        cmocka_unit_test(types_say_how_many_bits_they_have),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
