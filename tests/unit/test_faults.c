/* Faults: in each public function the first fallible call of ours fails, then the second, and so on until
 * none is left. Each time it answers a status, or a correct result with less help; nothing is left
 * behind, and the same call without a fault succeeds (STATUS). Each says which kinds of calls it reaches,
 * and each kind that the sources name is reached. Leaks are seen by AddressSanitizer (preset: fault-asan). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fault.h"
#include "graph/model.h"
#include "support/block_graph.h"
#include "support/fault_attempt.h"
#include "support/operation_runner.h"
#include "support/test_device.h"

#include "fault_later.h" /* last: it names a variable as headers name parameters */

#if !defined(HD_FAULT)
int main(void)
{
    puts("1..0 # SKIP this build makes nothing fail (preset: fault)");
    return 0;
}
#else

static hd_status attempt_open(hd_error *error)
{
    hd_device_options options = {.struct_size = sizeof options, .thread_count = 4};
    hd_device *opened = (hd_device *)&options;
    hd_status status = hd_device_open(test_device_name(), &options, &opened, error);
    assert_true((status == HD_OK) == (opened != NULL));
    hd_device_destroy(&opened);
    return status;
}

static void opening_a_device(void **state)
{
    (void)state;
    fault_each_call_once(attempt_open, 5, "alloc mutex condition thread");
}

static hd_status attempt_build(hd_error *error)
{
    hd_graph *graph;
    hd_status status = build_graph(&graph, error);
    hd_graph_destroy(&graph);
    return status;
}

static void building_a_graph(void **state)
{
    (void)state;
    fault_each_call_once(attempt_build, 8, "alloc");
}

static void one_graph_goes_on_after_a_node_was_refused(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth < 40; nth++) {
        hd_graph *graph;
        hd_value x, y;
        int64_t dims[] = {4};
        assert_int_equal(hd_graph_create(0, &graph, NULL), HD_OK);
        assert_int_equal(hd_graph_add_input(graph, "x", HD_FLOAT32, 1, dims, &x, NULL), HD_OK);
        for (size_t i = 0; i < 12; i++) {
            hd_fault_arm(nth, 0, 0);
            hd_status status = hd_graph_add_node(graph, "Neg", &x, 1, NULL, 0, &y, 1, NULL);
            hd_fault_disarm();
            if (status != HD_OK) {
                assert_int_equal(hd_graph_add_node(graph, "Neg", &x, 1, NULL, 0, &y, 1, NULL),
                                 HD_OK);
            }
            x = y;
        }
        assert_int_equal(hd_graph_add_output(graph, "y", y, NULL), HD_OK);
        hd_model *model = block_model(device, graph, 0);
        hd_tensor output, input = block_tensor(HD_FLOAT32, 4, (float[]){1, 2, 3, 4});
        block_run(model, &input, 1, &output, 1);
        block_expect_floats(&output, 4, (float[]){1, 2, 3, 4});
        hd_tensor_release(&output);
        hd_model_destroy(&model);
    }
}

static hd_status attempt_create(hd_error *error)
{
    hd_model *model = (hd_model *)&error;
    hd_status status = hd_model_create(device, shared_graph, NULL, &model, error);
    assert_true((status == HD_OK) == (model != NULL));
    hd_model_destroy(&model);
    fault_runs_check_nothing_is_held();
    return status;
}

static void making_a_model_of_a_graph(void **state)
{
    (void)state;
    assert_int_equal(build_graph(&shared_graph, NULL), HD_OK);
    fault_each_call_once(attempt_create, 20, "alloc mutex condition");
    hd_graph_destroy(&shared_graph);
}

/* --- runs */

static void a_first_run_makes_its_plan(void **state)
{
    (void)state;
    assert_int_equal(build_graph(&shared_graph, NULL), HD_OK);
    for (int owned = 0; owned < 2; owned++) {
        run_owned = owned != 0;
        bool reached = true;
        for (uint64_t nth = 1; reached; nth++) {
            hd_error error;
            assert_int_equal(hd_model_create(device, shared_graph, NULL, &shared_model, NULL),
                             HD_OK);
            run_rows = 1 + nth % 6;
            hd_fault_arm(nth, 0, 0);
            hd_status status = run_shared(&error);
            reached = hd_fault_count() >= nth;
            hd_fault_disarm();
            assert_true(status == HD_OK || status == HD_OUT_OF_MEMORY);
            assert_true(reached || status == HD_OK);
            for (run_rows = 1; run_rows < 4; run_rows++) {
                assert_int_equal(run_shared(&error), HD_OK);
            }
            hd_model_destroy(&shared_model);
            fault_runs_check_nothing_is_held();
            assert_true(nth < 1000);
        }
    }
    hd_graph_destroy(&shared_graph);
}

static void runs_of_new_shapes(void **state)
{
    (void)state;
    assert_int_equal(build_graph(&shared_graph, NULL), HD_OK);
    hd_model_options options = {.struct_size = sizeof options, .plan_cache_capacity = 1};
    assert_int_equal(hd_model_create(device, shared_graph, &options, &shared_model, NULL), HD_OK);
    /* Every third call fails, at random; plans are made anew all the time. */
    for (uint64_t seed = 0; seed < 400; seed++) {
        hd_error error;
        run_rows = 1 + (uint32_t)(seed * 7 % 6);
        run_owned = seed % 2 == 0;
        hd_fault_arm(0, 2 + (uint32_t)(seed % 40), seed);
        hd_status status = run_shared(&error);
        hd_fault_disarm();
        assert_true(status == HD_OK || status == HD_OUT_OF_MEMORY);
    }
    hd_model_destroy(&shared_model);
    hd_graph_destroy(&shared_graph);
    fault_runs_check_nothing_is_held();
}

/* x's elements that are not zero: a plan of two segments. */
static void runs_in_segments(void **state)
{
    (void)state;
    for (uint64_t nth = 0; nth < 400; nth++) {
        hd_graph *graph;
        assert_int_equal(hd_graph_create(0, &graph, NULL), HD_OK);
        hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
        hd_attribute axis = operation_int("axis", 0);
        hd_value places = NODE(graph, graph->root, "NonZero", x);
        places = NODE(graph, graph->root, "Reshape", places, block_ints(graph, 1, (int64_t[]){-1}));
        hd_value kept = block_node(graph, graph->root, "Gather", &axis, 1, x, places, BLOCK_END);
        block_output(graph, graph->root, "kept", NODE(graph, graph->root, "Neg", kept));
        block_output(graph, graph->root, "all", NODE(graph, graph->root, "Neg", x));
        hd_model *model = block_model(device, graph, 0);
        float data[100] = {0};
        data[7] = 1;
        data[50] = 2;
        hd_tensor outputs[2], input = block_tensor(HD_FLOAT32, 100, data);
        memset(outputs, 0, sizeof outputs);
        hd_fault_arm(nth, 0, 0);
        hd_status status = hd_model_run(model, &input, 1, outputs, 2, NULL);
        bool reached = hd_fault_count() >= nth;
        hd_fault_disarm();
        if (status != HD_OK) {
            assert_int_equal(status, HD_OUT_OF_MEMORY);
            assert_null(outputs[0].data);
            assert_null(outputs[1].data);
            block_run(model, &input, 1, outputs, 2);
        }
        block_expect_floats(&outputs[0], 2, (float[]){-1, -2});
        assert_int_equal(outputs[1].dims[0], 100);
        hd_tensor_release(&outputs[0]);
        hd_tensor_release(&outputs[1]);
        hd_model_destroy(&model);
        fault_runs_check_nothing_is_held();
        if (!reached) {
            return;
        }
    }
    fail_msg("a run makes more than 400 fallible calls");
}

/* --- files */

static const char *model_path;
static unsigned char model_bytes[1 << 20];
static size_t model_size;

static hd_status attempt_load(hd_error *error)
{
    hd_model *model = (hd_model *)&error;
    hd_status status = hd_model_load(device, model_path, NULL, &model, error);
    assert_true((status == HD_OK) == (model != NULL));
    hd_model_destroy(&model);
    fault_runs_check_nothing_is_held();
    return status;
}

static hd_status attempt_load_memory(hd_error *error)
{
    hd_model *model = (hd_model *)&error;
    hd_status status = hd_model_load_memory(device, model_bytes, model_size, NULL, &model, error);
    assert_true((status == HD_OK) == (model != NULL));
    hd_model_destroy(&model);
    fault_runs_check_nothing_is_held();
    return status;
}

static void loading_models(void **state)
{
    (void)state;
    static const char *const names[] = {"pytorch-converted/test_Conv2d_groups",
                                        "node/test_loop11",
                                        "node/test_if",
                                        "pytorch-operator/test_operator_transpose",
                                        "pytorch-converted/test_Linear",
                                        "node/test_lstm_defaults"};
    size_t found = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[256];
        snprintf(path, sizeof path, HD_TEST_ONNX_DIR "/%s/model.onnx", names[i]);
        FILE *file = fopen(path, "rb");
        if (file == NULL) {
            continue;
        }
        model_size = fread(model_bytes, 1, sizeof model_bytes, file);
        fclose(file);
        model_path = path;
        found++;
        fault_each_call_once(attempt_load, 10, "alloc open pread mutex condition");
        fault_each_call_once(attempt_load_memory, 10, "alloc mutex condition");
    }
    assert_true(found >= 3);
}

static char tensor_path[64];

static hd_status attempt_save(hd_error *error)
{
    float data[6] = {1, 2, 3, 4, 5, 6};
    hd_tensor tensor = {
        .dtype = HD_FLOAT32, .rank = 2, .dims = {2, 3}, .data = data, .size = sizeof data};
    return hd_tensor_save_npy(tensor_path, &tensor, error);
}

static hd_status attempt_load_tensor(hd_error *error)
{
    hd_tensor tensor = {.name = "as it was"};
    hd_status status = hd_tensor_load(tensor_path, &tensor, error);
    if (status == HD_OK) {
        assert_int_equal(tensor.dims[1], 3);
        assert_true(((float *)tensor.data)[5] == 6);
        hd_tensor_release(&tensor);
    } else {
        assert_string_equal(tensor.name, "as it was");
        assert_null(tensor.data);
    }
    return status;
}

/* The bytes of a file of a tensor of floats. */
static unsigned char tensor_bytes[4096];
static size_t tensor_size;

static hd_status attempt_load_tensor_memory(hd_error *error)
{
    hd_tensor tensor = {.name = "as it was"};
    hd_status status = hd_tensor_load_memory(tensor_bytes, tensor_size, &tensor, error);
    if (status == HD_OK) {
        assert_true(tensor.dtype == HD_FLOAT32 && tensor.size > 0 && tensor.name == NULL);
        hd_tensor_release(&tensor);
    } else {
        assert_string_equal(tensor.name, "as it was");
    }
    return status;
}

static hd_status attempt_load_any_tensor(hd_error *error)
{
    hd_tensor tensor;
    hd_status status = hd_tensor_load(HD_TEST_ONNX_DIR "/node/test_relu/test_data_set_0/input_0.pb",
                                      &tensor, error);
    if (status == HD_OK) {
        assert_int_equal(tensor.size, 3 * 4 * 5 * sizeof(float));
        hd_tensor_release(&tensor);
    }
    return status;
}

static void read_tensor(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    tensor_size = fread(tensor_bytes, 1, sizeof tensor_bytes, file);
    fclose(file);
}

static void tensor_files(void **state)
{
    (void)state;
    snprintf(tensor_path, sizeof tensor_path, "/tmp/heddle-faults-%ld.npy", (long)getpid());
    fault_each_call_once(attempt_save, 0, "open");
    fault_each_call_once(attempt_load_tensor, 1, "alloc open pread");
    read_tensor(tensor_path);
    unlink(tensor_path);
    fault_each_call_once(attempt_load_tensor_memory, 1, "alloc");
    if (access(HD_TEST_ONNX_DIR "/node/test_relu/test_data_set_0/input_0.pb", R_OK) == 0) {
        read_tensor(HD_TEST_ONNX_DIR "/node/test_relu/test_data_set_0/input_0.pb");
        fault_each_call_once(attempt_load_tensor_memory, 1, "alloc");
        fault_each_call_once(attempt_load_any_tensor, 2, "alloc open pread");
    }
}

/* Every kind of fallible call that the sources name has failed in some function above. */
static void every_site_was_reached(void **state)
{
    (void)state;
    fault_require_all_kinds();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_a_device),
        cmocka_unit_test(building_a_graph),
        cmocka_unit_test(one_graph_goes_on_after_a_node_was_refused),
        cmocka_unit_test(making_a_model_of_a_graph),
        cmocka_unit_test(a_first_run_makes_its_plan),
        cmocka_unit_test(runs_of_new_shapes),
        cmocka_unit_test(runs_in_segments),
        cmocka_unit_test(streams_events_and_later_runs),
        cmocka_unit_test(batches),
        cmocka_unit_test(blocks_of_memory),
        cmocka_unit_test(sessions_with_many_faults),
        cmocka_unit_test(loading_models),
        cmocka_unit_test(tensor_files),
        cmocka_unit_test(every_site_was_reached), /* last */
    };
    return cmocka_run_group_tests(tests, fault_runs_open, fault_runs_close);
}
#endif
