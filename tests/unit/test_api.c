/* The public interface: what it accepts, what it refuses and in which words, and who owns what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "heddle/heddle.h"

#define ROWS 2
#define SIZE (ROWS * 3 * sizeof(float))

/* A device, and a model of it with inputs a and b and outputs sum and product, float [rows, 3]. */
typedef struct fixture {
    hd_device *device;
    hd_model *model;
    hd_error error;
    float a[ROWS * 3];
    float b[ROWS * 3];
    hd_tensor inputs[2];
    hd_tensor outputs[2];
} fixture;

static const float sum[] = {11, 22, 33, 44, 55, 66}, product[] = {10, 40, 90, 160, 250, 360};

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != HD_OK) {                                                                     \
            fail_msg("%s: %s", #call, error.message);                                              \
        }                                                                                          \
    } while (0)

/* Frees what the fixture holds; any of it may be gone already. */
static void close_fixture(fixture *fixture)
{
    hd_tensor_release(&fixture->outputs[0]);
    hd_tensor_release(&fixture->outputs[1]);
    hd_model_destroy(&fixture->model);
    hd_device_destroy(&fixture->device);
}

static hd_model *make_model(hd_device *device)
{
    static const int64_t dims[] = {-1, 3};
    static const char *const operators[] = {"Add", "Mul"}, *const names[] = {"sum", "product"};
    hd_error error = {0};
    hd_graph *graph = NULL;
    hd_model *model = NULL;
    hd_value inputs[2], value;
    assert_ok(hd_graph_create(0, &graph, &error));
    assert_ok(hd_graph_add_input(graph, "a", HD_FLOAT32, 2, dims, &inputs[0], &error));
    assert_ok(hd_graph_add_input(graph, "b", HD_FLOAT32, 2, dims, &inputs[1], &error));
    for (size_t i = 0; i < 2; i++) {
        assert_ok(hd_graph_add_node(graph, operators[i], inputs, 2, NULL, 0, &value, 1, &error));
        assert_ok(hd_graph_add_output(graph, names[i], value, &error));
    }
    assert_ok(hd_model_create(device, graph, NULL, &model, &error));
    hd_graph_destroy(&graph);
    return model;
}

static void open_fixture(fixture *fixture)
{
    hd_error error = {0};
    memset(fixture, 0, sizeof *fixture);
    assert_ok(hd_device_open("cpu", NULL, &fixture->device, &error));
    fixture->model = make_model(fixture->device);
    for (size_t i = 0; i < ROWS * 3; i++) {
        fixture->a[i] = (float)(i + 1);
        fixture->b[i] = (float)(10 * (i + 1));
    }
    for (size_t i = 0; i < 2; i++) {
        fixture->inputs[i] = (hd_tensor){.dtype = HD_FLOAT32,
                                         .rank = 2,
                                         .dims = {ROWS, 3},
                                         .data = i == 0 ? fixture->a : fixture->b,
                                         .size = SIZE};
    }
}

static hd_status run(fixture *fixture, size_t input_count, size_t output_count)
{
    fixture->error = (hd_error){0};
    return hd_model_run(fixture->model, fixture->inputs, input_count, fixture->outputs,
                        output_count, &fixture->error);
}

static void check_values(const hd_tensor *tensor, const float *expected)
{
    assert_int_equal(tensor->dtype, HD_FLOAT32);
    assert_int_equal(tensor->rank, 2);
    assert_int_equal(tensor->dims[0], ROWS);
    assert_int_equal(tensor->dims[1], 3);
    assert_int_equal(tensor->size, SIZE);
    assert_memory_equal(tensor->data, expected, SIZE);
}

/* The run is refused with this status and a sentence that holds `part`, and changes no output
 * struct. */
static void refuse_counts(fixture *fixture, size_t input_count, size_t output_count,
                          hd_status status, const char *part)
{
    hd_tensor before[2];
    memcpy(before, fixture->outputs, sizeof before);
    assert_string_equal(hd_status_name(run(fixture, input_count, output_count)),
                        hd_status_name(status));
    assert_int_equal(fixture->error.status, status);
    if (strstr(fixture->error.message, part) == NULL) {
        fail_msg("'%s' does not say '%s'", fixture->error.message, part);
    }
    assert_memory_equal(before, fixture->outputs, sizeof before);
    /* The error is optional. */
    assert_int_equal(hd_model_run(fixture->model, fixture->inputs, input_count, fixture->outputs,
                                  output_count, NULL),
                     status);
}

static void refuse(fixture *fixture, hd_status status, const char *part)
{
    refuse_counts(fixture, 2, 2, status, part);
}

static void tensors_go_by_position_or_by_name(void **state)
{
    (void)state;
    fixture fixture;
    open_fixture(&fixture);
    assert_int_equal(run(&fixture, 2, 2), HD_OK);
    check_values(&fixture.outputs[0], sum);
    check_values(&fixture.outputs[1], product);
    hd_tensor swapped = fixture.inputs[0];
    fixture.inputs[0] = fixture.inputs[1];
    fixture.inputs[1] = swapped;
    fixture.inputs[0].name = "b";
    fixture.inputs[1].name = "a";
    fixture.outputs[0].name = "product";
    fixture.outputs[1].name = "sum";
    assert_int_equal(run(&fixture, 2, 2), HD_OK);
    check_values(&fixture.outputs[0], product);
    check_values(&fixture.outputs[1], sum);
    close_fixture(&fixture);
}

static void a_part_of_the_outputs_may_be_asked_for(void **state)
{
    (void)state;
    fixture fixture;
    open_fixture(&fixture);
    assert_int_equal(run(&fixture, 2, 1), HD_OK);
    check_values(&fixture.outputs[0], sum);
    assert_null(fixture.outputs[1].data);
    fixture.outputs[1].name = "product";
    fixture.error = (hd_error){0};
    assert_int_equal(
        hd_model_run(fixture.model, fixture.inputs, 2, &fixture.outputs[1], 1, &fixture.error),
        HD_OK);
    check_values(&fixture.outputs[1], product);
    close_fixture(&fixture);
}

static void outputs_are_the_librarys_or_the_callers(void **state)
{
    (void)state;
    fixture fixture;
    float own[ROWS * 3 + 1];
    own[ROWS * 3] = 7;
    open_fixture(&fixture);
    fixture.outputs[1].data = own;
    fixture.outputs[1].size = sizeof own;
    assert_int_equal(run(&fixture, 2, 2), HD_OK);
    void *allocated = fixture.outputs[0].data;
    assert_non_null(allocated);
    assert_int_equal((uintptr_t)allocated % 64, 0);
    assert_ptr_equal(fixture.outputs[1].data, own);
    check_values(&fixture.outputs[0], sum);
    check_values(&fixture.outputs[1], product);
    assert_true(own[ROWS * 3] == 7);
    assert_int_equal(run(&fixture, 2, 2),
                     HD_OK); /* what the library allocated is now the caller's */
    assert_ptr_equal(fixture.outputs[0].data, allocated);
    hd_tensor_release(&fixture.outputs[0]);
    assert_null(fixture.outputs[0].data);
    assert_int_equal(fixture.outputs[0].size, 0);
    hd_tensor_release(&fixture.outputs[0]);
    hd_tensor_release(NULL);
    fixture.outputs[1] = (hd_tensor){0};
    close_fixture(&fixture);
}

static void wrong_counts_and_names_are_refused(void **state)
{
    (void)state;
    fixture fixture;
    open_fixture(&fixture);
    refuse_counts(&fixture, 0, 2, HD_INVALID_ARGUMENT, "'a' is missing");
    refuse_counts(&fixture, 1, 2, HD_INVALID_ARGUMENT, "'b' is missing");
    refuse_counts(&fixture, 2, 0, HD_INVALID_ARGUMENT, "no output");
    fixture.inputs[1].name = "c";
    refuse(&fixture, HD_NOT_FOUND, "'c'");
    fixture.inputs[1].name = "a";
    refuse(&fixture, HD_INVALID_ARGUMENT, "'a' is given twice");
    fixture.inputs[1].name = NULL;
    fixture.outputs[0].name = "difference";
    refuse(&fixture, HD_NOT_FOUND, "'difference'");
    fixture.outputs[0].name = "product";
    refuse(&fixture, HD_INVALID_ARGUMENT, "'product' is given twice");
    hd_tensor three[3] = {fixture.inputs[0], fixture.inputs[1], fixture.inputs[0]};
    assert_int_not_equal(hd_model_run(fixture.model, three, 3, fixture.outputs, 1, NULL), HD_OK);
    hd_tensor outputs[3] = {{0}};
    assert_int_not_equal(hd_model_run(fixture.model, fixture.inputs, 2, outputs, 3, NULL), HD_OK);
    assert_null(outputs[0].data);
    close_fixture(&fixture);
}

static void wrong_types_shapes_and_sizes_are_refused(void **state)
{
    (void)state;
    fixture fixture;
    open_fixture(&fixture);
    hd_tensor *b = &fixture.inputs[1], good = *b;
    b->dtype = HD_INT32;
    refuse(&fixture, HD_INVALID_ARGUMENT, "'b': it is int32, the model wants float32");
    b->dtype = (hd_dtype)99;
    refuse(&fixture, HD_INVALID_ARGUMENT, "'b'");
    *b = good;
    b->dims[1] = 4;
    refuse(&fixture, HD_INVALID_ARGUMENT, "'b'");
    b->dims[1] = -3;
    refuse(&fixture, HD_INVALID_ARGUMENT, "'b'");
    *b = good;
    b->rank = 1;
    refuse(&fixture, HD_INVALID_ARGUMENT, "'b'");
    b->rank = HD_MAX_RANK + 1;
    refuse(&fixture, HD_INVALID_ARGUMENT, "'b'");
    *b = good;
    b->dims[0] = INT64_MAX / 2;
    refuse(&fixture, HD_INVALID_ARGUMENT, "'b'");
    *b = good;
    b->dims[0] = ROWS + 1; /* does not go with a's rows, nor fit into its own memory */
    refuse(&fixture, HD_INVALID_ARGUMENT, "'b'");
    *b = good;
    b->size = SIZE - 1;
    refuse(&fixture, HD_INVALID_ARGUMENT, "'b': 23 bytes are given");
    b->size = 0;
    refuse(&fixture, HD_INVALID_ARGUMENT, "'b'");
    *b = good;
    b->data = NULL;
    refuse(&fixture, HD_INVALID_ARGUMENT, "'b'");
    *b = good;
    float own[ROWS * 3];
    fixture.outputs[1] = (hd_tensor){.data = own, .size = SIZE - 1};
    refuse(&fixture, HD_INVALID_ARGUMENT, "'product': 23 bytes are given");
    fixture.outputs[1] = (hd_tensor){0};
    assert_int_equal(run(&fixture, 2, 2), HD_OK);
    check_values(&fixture.outputs[1], product);
    close_fixture(&fixture);
}

static void shapes_that_do_not_go_together_are_refused(void **state)
{
    (void)state;
    fixture fixture;
    float rows[(ROWS + 1) * 3] = {0};
    open_fixture(&fixture);
    fixture.inputs[1].data = rows;
    fixture.inputs[1].size = sizeof rows;
    fixture.inputs[1].dims[0] = ROWS + 1;
    hd_status status = run(&fixture, 2, 2);
    assert_int_not_equal(status, HD_OK);
    assert_int_equal(fixture.error.status, status);
    assert_true(strlen(fixture.error.message) > 10);
    fixture.inputs[1].dims[0] = 1; /* but one row goes with any number */
    assert_int_equal(run(&fixture, 2, 2), HD_OK);
    assert_int_equal(fixture.outputs[0].dims[0], ROWS);
    close_fixture(&fixture);
}

static void a_batch_of_nothing_gives_nothing(void **state)
{
    (void)state;
    fixture fixture;
    open_fixture(&fixture);
    for (size_t i = 0; i < 2; i++) {
        fixture.inputs[i].dims[0] = 0;
        fixture.inputs[i].size = 0;
        fixture.inputs[i].data = NULL;
    }
    assert_int_equal(run(&fixture, 2, 2), HD_OK);
    assert_int_equal(fixture.outputs[0].dims[0], 0);
    assert_int_equal(fixture.outputs[0].size, 0);
    close_fixture(&fixture);
}

static void null_arguments_are_refused(void **state)
{
    (void)state;
    fixture fixture;
    hd_device *device = NULL;
    hd_model *model = NULL;
    hd_value_info info = {.struct_size = sizeof info};
    hd_memory_info memory = {.struct_size = sizeof memory};
    hd_device_info described = {.struct_size = sizeof described};
    size_t count = 0;
    open_fixture(&fixture);
    assert_int_equal(hd_device_open("cpu", NULL, NULL, NULL), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_device_list(NULL, 1, &count, NULL), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_device_list(NULL, 0, NULL, NULL), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_device_get_info(NULL, &described), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_device_get_info(fixture.device, NULL), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_device_get_memory(NULL, &memory), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_device_shutdown(NULL, 0, NULL), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_model_load(NULL, "x.onnx", NULL, &model, NULL), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_model_load(fixture.device, NULL, NULL, &model, NULL), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_model_load(fixture.device, "x.onnx", NULL, NULL, NULL),
                     HD_INVALID_ARGUMENT);
    assert_int_equal(hd_model_load_memory(fixture.device, NULL, 8, NULL, &model, NULL),
                     HD_INVALID_ARGUMENT);
    assert_int_equal(hd_model_create(fixture.device, NULL, NULL, &model, NULL),
                     HD_INVALID_ARGUMENT);
    assert_int_equal(hd_model_run(NULL, fixture.inputs, 2, fixture.outputs, 2, NULL),
                     HD_INVALID_ARGUMENT);
    assert_int_equal(hd_model_run(fixture.model, NULL, 2, fixture.outputs, 2, NULL),
                     HD_INVALID_ARGUMENT);
    assert_int_equal(hd_model_run(fixture.model, fixture.inputs, 2, NULL, 2, NULL),
                     HD_INVALID_ARGUMENT);
    assert_int_equal(hd_model_input_info(fixture.model, 2, &info), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_model_output_info(fixture.model, 2, &info), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_model_input_info(fixture.model, 0, NULL), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_model_input_info(NULL, 0, &info), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_model_input_count(NULL), 0);
    assert_int_equal(hd_model_output_count(NULL), 0);
    hd_device_destroy(&device);
    hd_device_destroy(NULL);
    hd_model_destroy(&model);
    hd_model_destroy(NULL);
    hd_graph_destroy(NULL);
    close_fixture(&fixture);
}

static void broken_attributes_are_refused(void **state)
{
    (void)state;
    hd_error error = {0};
    hd_graph *graph = NULL;
    hd_value x, y;
    const hd_attribute broken[] = {{.name = NULL, .kind = HD_ATTRIBUTE_INT},
                                   {.name = "axis", .kind = (hd_attribute_kind)77},
                                   {.name = "axes", .kind = HD_ATTRIBUTE_INTS, .count = 4},
                                   {.name = "scales", .kind = HD_ATTRIBUTE_FLOATS, .count = 1},
                                   {.name = "mode", .kind = HD_ATTRIBUTE_STRING},
                                   {.name = "value", .kind = HD_ATTRIBUTE_TENSOR}};
    assert_ok(hd_graph_create(17, &graph, &error));
    assert_ok(hd_graph_add_input(graph, "x", HD_FLOAT32, 1, (const int64_t[]){3}, &x, &error));
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        assert_int_equal(hd_graph_add_node(graph, "Relu", &x, 1, &broken[i], 1, &y, 1, &error),
                         HD_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, "attribute 0 of 'Relu'"));
    }
    hd_graph_destroy(&graph);
}

/* What says how much to pad may come from other nodes, but not be missing. */
static void a_needed_input_that_is_missing_is_named(void **state)
{
    (void)state;
    float values[] = {1, 2, 3};
    hd_error error = {0};
    hd_device *device = NULL;
    hd_model *model = NULL;
    hd_tensor input = {
        .dtype = HD_FLOAT32, .rank = 1, .dims = {3}, .data = values, .size = sizeof values};
    assert_ok(hd_device_open("cpu", NULL, &device, &error));
    for (size_t input_count = 1; input_count <= 2; input_count++) {
        hd_graph *graph = NULL;
        hd_tensor output = {0};
        hd_value inputs[2] = {0, HD_VALUE_NONE}, y;
        assert_ok(hd_graph_create(17, &graph, &error));
        assert_ok(hd_graph_add_input(graph, "x", HD_FLOAT32, 1, (const int64_t[]){3}, &inputs[0],
                                     &error));
        hd_status status =
            hd_graph_add_node(graph, "Pad", inputs, input_count, NULL, 0, &y, 1, &error);
        if (input_count == 1) { /* fewer than the opset allows are refused at once */
            assert_int_equal(status, HD_BAD_MODEL);
            assert_non_null(strstr(error.message, "Pad"));
            assert_non_null(strstr(error.message, "opset 17 allows 2 to 3"));
            hd_graph_destroy(&graph);
            continue;
        }
        assert_ok(status);
        assert_ok(hd_graph_add_output(graph, "y", y, &error));
        status = hd_model_create(device, graph, NULL, &model, &error);
        if (status == HD_OK) {
            status = hd_model_run(model, &input, 1, &output, 1, &error);
            hd_model_destroy(&model);
        }
        assert_int_equal(status, HD_BAD_MODEL);
        assert_non_null(strstr(error.message, "Pad"));
        assert_non_null(strstr(error.message, "input 1 must not be left out"));
        hd_graph_destroy(&graph);
    }
    model = (hd_model *)&values; /* also what was there before is gone after a failure */
    assert_int_equal(hd_model_create(NULL, NULL, NULL, &model, &error), HD_INVALID_ARGUMENT);
    assert_null(model);
    hd_device_destroy(&device);
}

static void success_leaves_the_error_untouched(void **state)
{
    (void)state;
    hd_error error, before;
    memset(&error, 0x5a, sizeof error);
    before = error;
    fixture fixture;
    open_fixture(&fixture);
    hd_device *device = NULL;
    hd_model *model = NULL;
    hd_graph *graph = NULL;
    hd_value value;
    static const int64_t dims[] = {1};
    assert_int_equal(hd_device_open("cpu", NULL, &device, &error), HD_OK);
    assert_int_equal(hd_graph_create(0, &graph, &error), HD_OK);
    assert_int_equal(hd_graph_add_input(graph, "x", HD_FLOAT32, 1, dims, &value, &error), HD_OK);
    assert_int_equal(hd_graph_add_node(graph, "Relu", &value, 1, NULL, 0, &value, 1, &error),
                     HD_OK);
    /* Outputs may be written over the inputs. */
    assert_int_equal(hd_graph_add_node(graph, "Neg", &value, 1, NULL, 0, &value, 1, &error), HD_OK);
    assert_int_equal(hd_graph_add_output(graph, "y", value, &error), HD_OK);
    assert_int_equal(hd_model_create(device, graph, NULL, &model, &error), HD_OK);
    assert_int_equal(hd_model_run(fixture.model, fixture.inputs, 2, fixture.outputs, 2, &error),
                     HD_OK);
    assert_int_equal(hd_device_shutdown(device, 1000, &error), HD_OK);
    assert_memory_equal(&error, &before, sizeof error);
    hd_graph_destroy(&graph);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
    close_fixture(&fixture);
}

static void inputs_and_outputs_are_described(void **state)
{
    (void)state;
    fixture fixture;
    hd_value_info info = {.struct_size = sizeof info};
    open_fixture(&fixture);
    assert_int_equal(hd_model_input_count(fixture.model), 2);
    assert_int_equal(hd_model_output_count(fixture.model), 2);
    assert_int_equal(hd_model_input_info(fixture.model, 1, &info), HD_OK);
    assert_string_equal(info.name, "b");
    assert_int_equal(info.dtype, HD_FLOAT32);
    assert_int_equal(info.rank, 2);
    assert_int_equal(info.dims[0], -1);
    assert_int_equal(info.dims[1], 3);
    assert_int_equal(hd_model_output_info(fixture.model, 1, &info), HD_OK);
    assert_string_equal(info.name, "product");
    close_fixture(&fixture);
}

static void a_model_keeps_its_device_alive(void **state)
{
    (void)state;
    fixture fixture;
    open_fixture(&fixture);
    hd_device_destroy(&fixture.device);
    assert_int_equal(run(&fixture, 2, 2), HD_OK);
    check_values(&fixture.outputs[0], sum);
    close_fixture(&fixture);
}

static void a_device_that_was_shut_down_refuses_work(void **state)
{
    (void)state;
    fixture fixture;
    open_fixture(&fixture);
    hd_error error = {0};
    assert_ok(hd_device_shutdown(fixture.device, 1000, &error));
    refuse(&fixture, HD_CLOSED, "shut down");
    assert_ok(hd_device_shutdown(fixture.device, 0, &error));
    assert_ok(hd_device_shutdown(fixture.device, HD_WAIT_FOREVER, &error));
    close_fixture(&fixture);
}

static void a_memory_limit_is_kept(void **state)
{
    (void)state;
    enum { COUNT = 1024 };
    static const int64_t dims[] = {1, COUNT};
    hd_error error = {0};
    hd_device_options options = {.struct_size = sizeof options, .memory_limit = 1 << 20};
    hd_device *device = NULL;
    hd_graph *graph = NULL;
    hd_model *model = NULL;
    hd_memory_info memory = {.struct_size = sizeof memory};
    hd_value inputs[2], output;
    float *weights = calloc(COUNT * COUNT, sizeof *weights);
    assert_non_null(weights);
    hd_tensor constant = {.dtype = HD_FLOAT32,
                          .rank = 2,
                          .dims = {COUNT, COUNT},
                          .data = weights,
                          .size = sizeof *weights * COUNT * COUNT};
    assert_ok(hd_device_open("cpu", &options, &device, &error));
    assert_ok(hd_graph_create(0, &graph, &error));
    assert_ok(hd_graph_add_input(graph, "x", HD_FLOAT32, 2, dims, &inputs[0], &error));
    assert_ok(hd_graph_add_constant(graph, &constant, &inputs[1], &error));
    assert_ok(hd_graph_add_node(graph, "MatMul", inputs, 2, NULL, 0, &output, 1, &error));
    assert_ok(hd_graph_add_output(graph, "y", output, &error));
    assert_int_equal(hd_model_create(device, graph, NULL, &model, &error), HD_OUT_OF_MEMORY);
    assert_null(model);
    assert_true(strlen(error.message) > 10);
    assert_int_equal(hd_device_get_memory(device, &memory), HD_OK);
    assert_int_equal(memory.limit_bytes, 1 << 20);
    assert_int_equal(memory.weight_bytes, 0);
    model = make_model(device); /* what fits still goes */
    hd_model_destroy(&model);
    hd_graph_destroy(&graph);
    hd_device_destroy(&device);
    free(weights);
}

static void a_forked_child_is_refused(void **state)
{
    (void)state;
    fixture fixture;
    int status = 0;
    open_fixture(&fixture);
    assert_int_equal(run(&fixture, 2, 2), HD_OK);
    pid_t child = fork();
    if (child == 0) {
        hd_device *device = NULL;
        bool refused = run(&fixture, 2, 2) == HD_FORKED &&
                       hd_device_shutdown(fixture.device, 0, NULL) == HD_FORKED &&
                       hd_device_open("cpu", NULL, &device, NULL) == HD_FORKED;
        _exit(refused ? 0 : 1);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(run(&fixture, 2, 2), HD_OK); /* the parent goes on */
    close_fixture(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_go_by_position_or_by_name),
        cmocka_unit_test(a_part_of_the_outputs_may_be_asked_for),
        cmocka_unit_test(outputs_are_the_librarys_or_the_callers),
        cmocka_unit_test(wrong_counts_and_names_are_refused),
        cmocka_unit_test(wrong_types_shapes_and_sizes_are_refused),
        cmocka_unit_test(shapes_that_do_not_go_together_are_refused),
        cmocka_unit_test(a_batch_of_nothing_gives_nothing),
        cmocka_unit_test(null_arguments_are_refused),
        cmocka_unit_test(broken_attributes_are_refused),
        cmocka_unit_test(a_needed_input_that_is_missing_is_named),
        cmocka_unit_test(success_leaves_the_error_untouched),
        cmocka_unit_test(inputs_and_outputs_are_described),
        cmocka_unit_test(a_model_keeps_its_device_alive),
        cmocka_unit_test(a_device_that_was_shut_down_refuses_work),
        cmocka_unit_test(a_memory_limit_is_kept),
        cmocka_unit_test(a_forked_child_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
