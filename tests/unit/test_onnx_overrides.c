/* Initializers that are inputs of the graph, too: constants, unless the model is loaded so that runs
 * may give other values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "graph/model.h"
#include "heddle/heddle.h"
#include "onnx_bytes.h"
#include "support/test_device.h"

static hd_device *device;

static int open_device(void **state)
{
    (void)state;
    return hd_device_open(test_device_name(), NULL, &device, NULL) == HD_OK ? 0 : -1;
}

static int close_device(void **state)
{
    (void)state;
    hd_device_destroy(&device);
    return 0;
}

static hd_model *load_model(bytes model, const char *const *names, size_t count)
{
    hd_model_options options = {
        .struct_size = sizeof options, .override_names = names, .override_count = count};
    hd_model *made = NULL;
    hd_error error = {0};
    if (hd_model_load_memory(device, model.data, model.size, &options, &made, &error) != HD_OK) {
        fail_msg("%s", error.message);
    }
    free(model.data);
    return made;
}

/* A file of another IR version than 8. */
static bytes with_version(bytes model, int version)
{
    bytes made = {0};
    put_int(&made, 1, version);
    put(&made, model.data + 2, model.size - 2); /* its own version is the first field */
    free(model.data);
    return made;
}

/* y = (x + k) + k * k, where k is an initializer and the first of the inputs. */
static bytes make_sum(void)
{
    bytes graph = {0};
    add_input(&graph, "k");
    add_input(&graph, "x");
    add_tensor(&graph, make_floats("k", 2, (const float[]){3, 4}));
    add_node(&graph, make_node("Mul", "", "k,k", "kk"));
    add_node(&graph, make_node("Add", "", "x,k", "t"));
    add_node(&graph, make_node("Add", "", "t,kk", "y"));
    add_output(&graph, "y");
    return make_model(graph, 17);
}

static hd_tensor vector(const char *name, float *values)
{
    return (hd_tensor){.name = name,
                       .dtype = HD_FLOAT32,
                       .rank = 1,
                       .dims = {2},
                       .data = values,
                       .size = 2 * sizeof *values};
}

static void expect(hd_model *model, const hd_tensor *inputs, size_t count, float y0, float y1)
{
    float y[2];
    hd_error error = {0};
    hd_tensor output = vector("y", y);
    if (hd_model_run(model, inputs, count, &output, 1, &error) != HD_OK) {
        fail_msg("%s", error.message);
    }
    assert_true(y[0] == y0 && y[1] == y1);
}

static void an_initializer_is_a_constant_unless_it_is_named(void **state)
{
    (void)state;
    const char *const other[] = {"x", "y", "nothing"};
    for (int named = 0; named < 2; named++) {
        hd_model *model = load_model(make_sum(), other, named == 0 ? 0 : 3);
        assert_int_equal(hd_model_input_count(model), 1);
        assert_int_equal(model->graph->root->node_count, 2); /* k * k is folded */
        float x[2] = {1, 2}, k[2] = {5, 6};
        hd_tensor inputs[2] = {vector(NULL, x), vector("k", k)};
        expect(model, inputs, 1, 13, 22);
        hd_tensor output = {.name = "y"};
        assert_int_equal(hd_model_run(model, inputs, 2, &output, 1, NULL), HD_NOT_FOUND);
        hd_model_destroy(&model);
    }
}

static void a_named_initializer_is_an_input_that_may_be_left_out(void **state)
{
    (void)state;
    const char *const names[] = {"k"};
    hd_model *model = load_model(make_sum(), names, 1);
    assert_int_equal(hd_model_input_count(model), 2);
    hd_value_info info = {.struct_size = sizeof info};
    assert_int_equal(hd_model_input_info(model, 0, &info), HD_OK);
    assert_string_equal(info.name, "x");
    assert_int_equal(hd_model_input_info(model, 1, &info), HD_OK);
    assert_string_equal(info.name, "k");
    float x[2] = {1, 2}, k[2] = {5, 6};
    hd_tensor by_position[2] = {vector(NULL, x), vector(NULL, k)};
    hd_tensor by_name[2] = {vector("k", k), vector("x", x)};
    for (int i = 0; i < 3; i++) {
        expect(model, by_position, 1, 13, 22);
        expect(model, by_position, 2, 31, 44);
        expect(model, by_name, 2, 31, 44);
    }
    hd_tensor output = {.name = "y"};
    hd_error error;
    assert_int_equal(hd_model_run(model, by_name, 1, &output, 1, &error), HD_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "'x'"));
    hd_tensor wrong[2] = {vector(NULL, x), vector("k", k)};
    wrong[1].dims[0] = 1;
    assert_int_equal(hd_model_run(model, wrong, 2, &output, 1, &error), HD_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "'k'"));
    hd_model_destroy(&model);
}

/* Up to IR version 3 each initializer had to be among the inputs, which says nothing. */
static void initializers_of_old_files_stay_constants(void **state)
{
    (void)state;
    const char *const names[] = {"k"};
    for (int version = 3; version <= 4; version++) {
        hd_model *model = load_model(with_version(make_sum(), version), names, 1);
        assert_int_equal(hd_model_input_count(model), version == 3 ? 1 : 2);
        hd_model_destroy(&model);
    }
}

static void an_initializer_that_is_no_input_stays_a_constant(void **state)
{
    (void)state;
    const char *const names[] = {"k"};
    bytes graph = {0};
    add_input(&graph, "x");
    add_tensor(&graph, make_floats("k", 2, (const float[]){3, 4}));
    add_node(&graph, make_node("Add", "", "x,k", "y"));
    add_output(&graph, "y");
    hd_model *model = load_model(make_model(graph, 17), names, 1);
    assert_int_equal(hd_model_input_count(model), 1);
    hd_model_destroy(&model);
}

/* y = Reshape(x, s): the target steers the plan. */
static void a_shape_may_be_given(void **state)
{
    (void)state;
    const char *const names[] = {"s"};
    const int64_t target[] = {2, 3}, other[] = {3, -1};
    bytes graph = {0};
    put_message(&graph, 11, make_value("x", 1, 1, (const int64_t[]){6}));
    put_message(&graph, 11, make_value("s", 7, 1, (const int64_t[]){2}));
    bytes tensor = make_tensor("s", 7, 1, (const int64_t[]){2});
    put_bytes(&tensor, 9, target, sizeof target);
    add_tensor(&graph, tensor);
    add_node(&graph, make_node("Reshape", "", "x,s", "y"));
    put_message(&graph, 12, make_value("y", 1, 2, (const int64_t[]){-1, -1}));
    hd_model *model = load_model(make_model(graph, 17), names, 1);
    float x[6] = {0}, y[6];
    hd_tensor inputs[2] = {
        {.dtype = HD_FLOAT32, .rank = 1, .dims = {6}, .data = x, .size = sizeof x},
        {.dtype = HD_INT64, .rank = 1, .dims = {2}, .data = (void *)(uintptr_t)other, .size = 16}};
    for (int i = 0; i < 4; i++) {
        hd_tensor output = {.data = y, .size = sizeof y};
        assert_int_equal(hd_model_run(model, inputs, i % 2 == 0 ? 1 : 2, &output, 1, NULL), HD_OK);
        assert_int_equal(output.dims[0], i % 2 == 0 ? 2 : 3);
        assert_int_equal(output.dims[1], i % 2 == 0 ? 3 : 2);
    }
    hd_model_destroy(&model);
}

/* Half precision is computed as float32; inputs keep their type. */
static void a_half_keeps_its_type(void **state)
{
    (void)state;
    const char *const names[] = {"k"};
    uint16_t k[] = {0x4000, 0x4200}, x[] = {0x3c00, 0x3c00}, y[2]; /* 2, 3; 1, 1 */
    const int64_t two = 2;
    bytes graph = {0};
    put_message(&graph, 11, make_value("x", 10, 1, &two));
    put_message(&graph, 11, make_value("k", 10, 1, &two));
    bytes tensor = make_tensor("k", 10, 1, &two);
    put_bytes(&tensor, 9, k, sizeof k);
    add_tensor(&graph, tensor);
    add_node(&graph, make_node("Mul", "", "x,k", "y"));
    put_message(&graph, 12, make_value("y", 10, 1, &two));
    hd_model *model = load_model(make_model(graph, 17), names, 1);
    hd_tensor inputs[2] = {
        {.dtype = HD_FLOAT16, .rank = 1, .dims = {2}, .data = x, .size = sizeof x},
        {.name = "k", .dtype = HD_FLOAT16, .rank = 1, .dims = {2}, .data = x, .size = sizeof x}};
    for (size_t given = 1; given <= 2; given++) {
        hd_tensor output = {.data = y, .size = sizeof y};
        assert_int_equal(hd_model_run(model, inputs, given, &output, 1, NULL), HD_OK);
        assert_memory_equal(y, given == 1 ? k : x, sizeof y);
    }
    hd_model_destroy(&model);
}

/* An inner graph reads it, and it is an output itself. */
static void inner_graphs_and_outputs_see_what_is_given(void **state)
{
    (void)state;
    const char *const names[] = {"k"};
    bytes branch = {0};
    add_node(&branch, make_node("Add", "", "x,k", "t"));
    put_message(&branch, 12, make_value("t", 1, 1, (const int64_t[]){2}));
    bytes choose = make_node("If", "choose", "c", "y");
    for (int i = 0; i < 2; i++) {
        bytes attribute = make_attribute(i == 0 ? "then_branch" : "else_branch", 5);
        put_bytes(&attribute, 6, branch.data, branch.size);
        put_message(&choose, 5, attribute);
    }
    free(branch.data);
    bytes graph = {0};
    add_input(&graph, "x");
    put_message(&graph, 11, make_value("c", 9, 0, NULL));
    add_input(&graph, "k");
    add_tensor(&graph, make_floats("k", 2, (const float[]){3, 4}));
    add_node(&graph, choose);
    add_output(&graph, "y");
    add_output(&graph, "k");
    hd_model *model = load_model(make_model(graph, 17), names, 1);
    float x[2] = {1, 2}, k[2] = {5, 6}, y[2], out[2];
    unsigned char c = 1;
    hd_tensor inputs[3] = {
        vector(NULL, x), {.dtype = HD_BOOL, .data = &c, .size = 1}, vector(NULL, k)};
    for (size_t given = 2; given <= 3; given++) {
        hd_tensor outputs[2] = {vector("y", y), vector("k", out)};
        assert_int_equal(hd_model_run(model, inputs, given, outputs, 2, NULL), HD_OK);
        assert_true(y[0] == (given == 2 ? 4 : 6) && y[1] == (given == 2 ? 6 : 8));
        assert_true(out[0] == (given == 2 ? 3 : 5) && out[1] == (given == 2 ? 4 : 6));
    }
    hd_model_destroy(&model);
}

static void an_initializer_of_another_shape_than_its_input_is_refused(void **state)
{
    (void)state;
    const char *const names[] = {"k"};
    bytes graph = {0};
    add_input(&graph, "x");
    add_input(&graph, "k");
    add_tensor(&graph, make_floats("k", 1, (const float[]){3}));
    add_node(&graph, make_node("Add", "", "x,k", "y"));
    add_output(&graph, "y");
    bytes file = make_model(graph, 17);
    hd_model_options options = {
        .struct_size = sizeof options, .override_names = names, .override_count = 1};
    hd_model *model;
    hd_error error;
    assert_int_equal(hd_model_load_memory(device, file.data, file.size, &options, &model, &error),
                     HD_BAD_MODEL);
    assert_non_null(strstr(error.message, "'k'"));
    options.override_names = NULL;
    assert_int_equal(hd_model_load_memory(device, file.data, file.size, &options, &model, &error),
                     HD_INVALID_ARGUMENT);
    options.override_count = 0;
    assert_int_equal(hd_model_load_memory(device, file.data, file.size, &options, &model, &error),
                     HD_OK);
    hd_model_destroy(&model);
    free(file.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_initializer_is_a_constant_unless_it_is_named),
        cmocka_unit_test(a_named_initializer_is_an_input_that_may_be_left_out),
        cmocka_unit_test(initializers_of_old_files_stay_constants),
        cmocka_unit_test(an_initializer_that_is_no_input_stays_a_constant),
        cmocka_unit_test(a_shape_may_be_given),
        cmocka_unit_test(a_half_keeps_its_type),
        cmocka_unit_test(inner_graphs_and_outputs_see_what_is_given),
        cmocka_unit_test(an_initializer_of_another_shape_than_its_input_is_refused),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
