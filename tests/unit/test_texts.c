/* Texts (HD_STRING): in, through and out of a model; who owns what; files of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "heddle/heddle.h"
#include "support/test_device.h"

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

static hd_string text(const char *words)
{
    return (hd_string){words, strlen(words)};
}

static hd_tensor tensor_of(hd_string *texts, int64_t rows, int64_t columns)
{
    return (hd_tensor){.dtype = HD_STRING,
                       .rank = 2,
                       .dims = {rows, columns},
                       .data = texts,
                       .size = (size_t)(rows * columns) * sizeof *texts};
}

/* y = what the keys' values are; z = x, its columns turned round with its rows. */
static hd_model *make_model(void)
{
    hd_string keys[] = {text("b"), text("a,b"), text("")};
    hd_string values[] = {text("a much longer text than its key"), text("\xC3\xBC"), text("none")};
    const hd_tensor lists[] = {
        {.dtype = HD_STRING, .rank = 1, .dims = {3}, .data = keys, .size = sizeof keys},
        {.dtype = HD_STRING, .rank = 1, .dims = {3}, .data = values, .size = sizeof values}};
    const hd_attribute attributes[] = {
        {.name = "keys_strings", .kind = HD_ATTRIBUTE_TENSOR, .tensor = &lists[0]},
        {.name = "values_strings", .kind = HD_ATTRIBUTE_TENSOR, .tensor = &lists[1]},
        {.name = "default_string", .kind = HD_ATTRIBUTE_STRING, .s = "?"}};
    hd_graph *graph = NULL;
    hd_model *model = NULL;
    hd_value x, y, z;
    assert_int_equal(hd_graph_create(0, &graph, NULL), HD_OK);
    assert_int_equal(
        hd_graph_add_input(graph, "x", HD_STRING, 2, (const int64_t[]){-1, -1}, &x, NULL), HD_OK);
    assert_int_equal(
        hd_graph_add_node(graph, "ai.onnx.ml.LabelEncoder", &x, 1, attributes, 3, &y, 1, NULL),
        HD_OK);
    assert_int_equal(hd_graph_add_node(graph, "Transpose", &x, 1, NULL, 0, &z, 1, NULL), HD_OK);
    assert_int_equal(hd_graph_add_output(graph, "y", y, NULL), HD_OK);
    assert_int_equal(hd_graph_add_output(graph, "z", z, NULL), HD_OK);
    assert_int_equal(hd_graph_add_output(graph, "x again", x, NULL), HD_OK);
    memset(keys, 0xFF, sizeof keys); /* the graph has copies */
    memset(values, 0xFF, sizeof values);
    assert_int_equal(hd_model_create(device, graph, NULL, &model, NULL), HD_OK);
    hd_graph_destroy(&graph);
    return model;
}

static void assert_texts(const hd_tensor *tensor, const char *const *expected, size_t count)
{
    const hd_string *texts = tensor->data;
    assert_int_equal(tensor->dtype, HD_STRING);
    size_t size = count * sizeof *texts;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(texts[i].size, strlen(expected[i]));
        assert_memory_equal(texts[i].data, expected[i], texts[i].size);
        size += texts[i].size;
    }
    assert_int_equal(tensor->size, size);
}

static const char *const encoded[] = {
    "a much longer text than its key", "?", "none", "\xC3\xBC", "?", "none"};
static const char *const turned[] = {"b", "a,b", "c", "bb", "", ""};

static void test_texts_outlive_what_they_came_from(void **state)
{
    (void)state;
    hd_model *model = make_model();
    char *words[] = {strdup("b"), strdup("c"), strdup(""), strdup("a,b"), strdup("bb")};
    hd_string texts[6] = {{words[0], 1}, {words[1], 1}, {words[2], 0},
                          {words[3], 3}, {words[4], 2}, {NULL, 0}};
    hd_tensor input = tensor_of(texts, 2, 3), outputs[3] = {0};
    hd_error error = {0};
    if (hd_model_run(model, &input, 1, outputs, 3, &error) != HD_OK) {
        fail_msg("%s", error.message);
    }
    for (size_t i = 0; i < 5; i++) {
        free(words[i]);
    }
    hd_model_destroy(&model);
    assert_texts(&outputs[0], encoded, 6);
    assert_texts(&outputs[1], turned, 6);
    assert_int_equal(outputs[1].dims[0], 3);
    assert_texts(&outputs[2], (const char *const[]){"b", "c", "", "a,b", "bb", ""}, 6);
    for (size_t i = 0; i < 3; i++) {
        hd_tensor_release(&outputs[i]);
    }
}

static void test_memory_of_the_callers_is_filled_or_refused(void **state)
{
    (void)state;
    hd_model *model = make_model();
    hd_string texts[2] = {text("b"), text("")};
    hd_tensor input = tensor_of(texts, 1, 2);
    const size_t wanted = 2 * sizeof(hd_string) + strlen(encoded[0]) + strlen("none");
    _Alignas(16) unsigned char room[256];
    for (size_t size = 0; size <= wanted + 1; size++) {
        hd_tensor output = {.name = "y", .data = room, .size = size};
        memset(room, 0xA5, sizeof room);
        hd_status status = hd_model_run(model, &input, 1, &output, 1, NULL);
        assert_int_equal(status, size < wanted ? HD_INVALID_ARGUMENT : HD_OK);
        assert_int_equal(room[size], 0xA5);
        if (status == HD_OK) {
            assert_int_equal(output.size, wanted);
            assert_texts(&output, (const char *const[]){encoded[0], "none"}, 2);
        }
    }
    hd_model_destroy(&model);
}

static void test_texts_that_are_not_there_are_refused(void **state)
{
    (void)state;
    hd_model *model = make_model();
    hd_string texts[2] = {text("b"), {NULL, 1}};
    hd_tensor input = tensor_of(texts, 1, 2), outputs[3] = {0};
    assert_int_equal(hd_model_run(model, &input, 1, outputs, 3, NULL), HD_INVALID_ARGUMENT);
    texts[1].size = 0;
    input.size--;
    assert_int_equal(hd_model_run(model, &input, 1, outputs, 3, NULL), HD_INVALID_ARGUMENT);
    input.size++;
    input.dtype = HD_INT64;
    assert_int_equal(hd_model_run(model, &input, 1, outputs, 3, NULL), HD_INVALID_ARGUMENT);
    hd_model_destroy(&model);
}

static void test_no_texts_are_an_empty_block(void **state)
{
    (void)state;
    hd_model *model = make_model();
    hd_tensor input = tensor_of(NULL, 0, 2), outputs[3] = {0};
    assert_int_equal(hd_model_run(model, &input, 1, outputs, 3, NULL), HD_OK);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(outputs[i].size, 0);
        hd_tensor_release(&outputs[i]);
    }
    hd_model_destroy(&model);
}

static void test_operators_that_compute_take_no_texts(void **state)
{
    (void)state;
    static const char *const types[] = {"Relu", "Not", "NonZero", "Unique", "ReduceMax", "Tile"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        hd_graph *graph = NULL;
        hd_model *model = NULL;
        hd_value x, y = HD_VALUE_NONE, inputs[2];
        assert_int_equal(hd_graph_create(0, &graph, NULL), HD_OK);
        assert_int_equal(
            hd_graph_add_input(graph, "x", HD_STRING, 1, (const int64_t[]){2}, &x, NULL), HD_OK);
        const int64_t two = 2;
        const hd_tensor list = {
            .dtype = HD_INT64, .rank = 1, .dims = {1}, .data = (void *)(uintptr_t)&two, .size = 8};
        inputs[0] = x;
        assert_int_equal(hd_graph_add_constant(graph, &list, &inputs[1], NULL), HD_OK);
        bool has_two = strcmp(types[i], "Tile") == 0;
        assert_int_equal(
            hd_graph_add_node(graph, types[i], inputs, has_two ? 2 : 1, NULL, 0, &y, 1, NULL),
            HD_OK);
        assert_int_equal(hd_graph_add_output(graph, "y", y, NULL), HD_OK);
        assert_int_equal(hd_model_create(device, graph, NULL, &model, NULL), HD_OK);
        hd_string texts[2] = {text("b"), text("c")};
        hd_tensor input = {
            .dtype = HD_STRING, .rank = 1, .dims = {2}, .data = texts, .size = sizeof texts};
        hd_tensor output = {0};
        hd_error error = {0};
        assert_int_equal(hd_model_run(model, &input, 1, &output, 1, &error), HD_UNSUPPORTED);
        assert_non_null(strstr(error.message, "string"));
        hd_model_destroy(&model);
        hd_graph_destroy(&graph);
    }
}

static void test_rows_of_texts_are_not_batched(void **state)
{
    (void)state;
    hd_model *model = make_model();
    hd_batch *batch = NULL;
    if (hd_batch_create(model, NULL, &batch, NULL) == HD_OK) {
        hd_string texts[1] = {text("b")};
        hd_tensor input = tensor_of(texts, 1, 1), outputs[3] = {0};
        assert_int_equal(hd_batch_submit(batch, &input, 1, outputs, 3, NULL, NULL, NULL),
                         HD_UNSUPPORTED);
        hd_batch_destroy(&batch);
    }
    hd_model_destroy(&model);
}

static void test_files_of_texts_are_read_as_they_are_written(void **state)
{
    (void)state;
    char path[] = "/tmp/heddle-texts-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    hd_string texts[] = {text("a"), text("\xC3\xBC\xE2\x82\xAC\xF0\x9F\x98\x80"), text(""),
                         text("b\xFF")};
    hd_tensor tensor = tensor_of(texts, 2, 2), read = {0};
    assert_int_equal(hd_tensor_save_npy(path, &tensor, NULL), HD_OK);
    assert_int_equal(hd_tensor_load(path, &read, NULL), HD_OK);
    assert_texts(
        &read,
        (const char *const[]){"a", "\xC3\xBC\xE2\x82\xAC\xF0\x9F\x98\x80", "", "b\xEF\xBF\xBD"}, 4);
    hd_tensor_release(&read);
    unlink(path);
    /* bytes, and what is cut short */
    char bytes[256];
    memset(bytes, ' ', sizeof bytes);
    static const char header[] = "{'descr': '|S3', 'fortran_order': False, 'shape': (2,), }";
    memcpy(bytes, "\x93NUMPY\x01\x00\x76\x00", 10);
    memcpy(bytes + 10, header, sizeof header - 1);
    bytes[127] = '\n';
    memcpy(bytes + 128, "abc\0d\0", 6);
    assert_int_equal(hd_tensor_load_memory(bytes, 134, &read, NULL), HD_OK);
    assert_int_equal(((hd_string *)read.data)[1].size, 2);
    hd_tensor_release(&read);
    assert_int_equal(hd_tensor_load_memory(bytes, 133, &read, NULL), HD_BAD_MODEL);
    /* TensorProto: dims 2, type 8, string_data "x" and "" */
    static const unsigned char message[] = {0x08, 2, 0x10, 8, 0x32, 1, 'x', 0x32, 0};
    assert_int_equal(hd_tensor_load_memory(message, sizeof message, &read, NULL), HD_OK);
    assert_int_equal(read.dims[0], 2);
    assert_texts(&read, (const char *const[]){"x", ""}, 2);
    hd_tensor_release(&read);
    assert_int_equal(hd_tensor_load_memory(message, sizeof message - 2, &read, NULL), HD_BAD_MODEL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_outlive_what_they_came_from),
        cmocka_unit_test(test_memory_of_the_callers_is_filled_or_refused),
        cmocka_unit_test(test_texts_that_are_not_there_are_refused),
        cmocka_unit_test(test_no_texts_are_an_empty_block),
        cmocka_unit_test(test_operators_that_compute_take_no_texts),
        cmocka_unit_test(test_rows_of_texts_are_not_batched),
        cmocka_unit_test(test_files_of_texts_are_read_as_they_are_written),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
