/* The host's half of the CUDA backend, over a driver that stands in (libcuda.c): what it makes it gives back, whichever of its calls
 * finds no memory, and with whichever the device is lost. */
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "heddle/heddle.h"
#include "stand_in/stand_in.h"
#include "support/block_graph.h"

enum { WIDTH = 32, ROWS = 6, RUNS = 6, SHAPES = 2 };

static const stand_in_table *driver;

static int find_driver(void **state)
{
    (void)state;
    void *library = dlopen("libcuda.so.1", RTLD_NOW);
    void *found = library == NULL ? NULL : dlsym(library, "stand_in");
    stand_in_function *function;
    memcpy(&function, &found, sizeof found);
    if (found == NULL) {
        print_error("libcuda.so.1 is not the one that stands in\n");
        return 1;
    }
    driver = function();
    return 0;
}

/* A linear layer, one by a constant that is turned round, softmax, and a part that the host computes. */
static hd_graph *make_graph(void)
{
    hd_graph *graph;
    assert_int_equal(hd_graph_create(17, &graph, NULL), HD_OK);
    static float weight[WIDTH * WIDTH];
    for (int i = 0; i < WIDTH * WIDTH; i++) {
        weight[i] = (float)(i % 7) - 3;
    }
    hd_tensor tensor = {.dtype = HD_FLOAT32,
                        .rank = 2,
                        .dims = {WIDTH, WIDTH},
                        .data = weight,
                        .size = sizeof weight};
    hd_value x, w;
    const int64_t dims[] = {-1, WIDTH};
    assert_int_equal(hd_graph_add_input(graph, "x", HD_FLOAT32, 2, dims, &x, NULL), HD_OK);
    assert_int_equal(hd_graph_add_constant(graph, &tensor, &w, NULL), HD_OK);
    hd_value a = NODE(graph, graph->root, "MatMul", x, w);
    hd_value b = NODE(graph, graph->root, "Relu", a);
    hd_value c = NODE(graph, graph->root, "MatMul", b, w);
    hd_value d = NODE(graph, graph->root, "Softmax", c);
    assert_int_equal(hd_graph_add_output(graph, "y", d, NULL), HD_OK);
    hd_value e = NODE(graph, graph->root, "NonZero", d);
    assert_int_equal(hd_graph_add_output(graph, "z", e, NULL), HD_OK);
    return graph;
}

static void count_call(void *context, hd_status outcome, const hd_error *error)
{
    (void)outcome, (void)error;
    __atomic_add_fetch((int *)context, 1, __ATOMIC_RELAXED);
}

/* The worse of two answers. */
static hd_status worse(hd_status a, hd_status b)
{
    return a == HD_OK ? b : a;
}

static hd_status run_model(hd_model *model)
{
    static const float x[ROWS * WIDTH];
    hd_tensor inputs[SHAPES], outputs[RUNS][2] = {{{0}}};
    hd_future *futures[RUNS] = {NULL};
    int called = 0, begun = 0;
    hd_status answer = HD_OK;
    for (int i = 0; i < SHAPES; i++) {
        inputs[i] = (hd_tensor){.dtype = HD_FLOAT32,
                                .rank = 2,
                                .dims = {ROWS - i, WIDTH},
                                .data = (void *)(uintptr_t)x,
                                .size = sizeof(float) * WIDTH * (size_t)(ROWS - i)};
        hd_tensor own[2] = {{0}};
        hd_status status = hd_model_run(model, &inputs[i], 1, own, 2, NULL);
        answer = worse(answer, status);
        for (int k = 0; k < 2; k++) {
            assert_true(status == HD_OK || own[k].data == NULL);
            hd_tensor_release(&own[k]);
        }
    }
    for (int i = 0; i < RUNS; i++) {
        hd_submit_options options = {
            .struct_size = sizeof options, .callback = count_call, .context = &called};
        hd_status status = hd_model_run_async(model, &inputs[i % SHAPES], 1, outputs[i], 2,
                                              &options, &futures[i], NULL);
        answer = worse(answer, status);
        begun += status == HD_OK;
    }
    for (int i = 0; i < RUNS; i++) {
        if (futures[i] != NULL) {
            hd_status status = hd_future_wait(futures[i], 20000, NULL);
            assert_int_not_equal(status, HD_NOT_YET);
            answer = worse(answer, status);
            for (int k = 0; k < 2; k++) {
                assert_true(status == HD_OK || outputs[i][k].data == NULL);
            }
            hd_future_destroy(&futures[i]);
        }
        hd_tensor_release(&outputs[i][0]);
        hd_tensor_release(&outputs[i][1]);
    }
    for (int waited = 0; __atomic_load_n(&called, __ATOMIC_RELAXED) < begun; waited++) {
        assert_true(waited < 20000); /* each callback once */
        usleep(1000);
    }
    return answer;
}

/* Opens the device, makes a model, runs it, uses memory and an event, and gives all back: the first answer that is not HD_OK. */
static hd_status use_all(void)
{
    hd_device *device = NULL;
    hd_status answer = hd_device_open("cuda", NULL, &device, NULL);
    if (answer != HD_OK) {
        assert_null(device);
        return answer;
    }
    hd_graph *graph = make_graph();
    hd_model *model = NULL;
    answer = hd_model_create(device, graph, NULL, &model, NULL);
    hd_graph_destroy(&graph);
    if (answer == HD_OK) {
        answer = run_model(model);
    }
    void *memory = NULL;
    hd_status status =
        hd_memory_allocate(device, (hd_stream){0}, 100000, HD_NO_WAIT, &memory, NULL);
    if (status == HD_OK) {
        char bytes[64] = "bytes", copied[64];
        status = hd_memory_copy(device, memory, bytes, sizeof bytes, NULL);
        if (status == HD_OK) {
            status = hd_memory_copy(device, copied, memory, sizeof copied, NULL);
        }
        assert_true(status != HD_OK || memcmp(bytes, copied, sizeof bytes) == 0);
        status = worse(status, hd_memory_free(device, memory, NULL));
    }
    hd_model_destroy(&model);
    hd_device_destroy(&device);
    return worse(answer, status);
}

/* What is left when all that ends by itself has: a callback's thread may be the one that closes the device. */
static int64_t left(void)
{
    for (int waited = 0; waited < 5000 && driver->living() != 0; waited++) {
        usleep(1000);
    }
    return driver->living();
}

static void runs_and_gives_back(void **state)
{
    (void)state;
    driver->set_fault(STAND_IN_NONE, 0);
    uint64_t before = driver->kernels();
    assert_int_equal(use_all(), HD_OK);
    assert_true(driver->kernels() >= before + 3);
    assert_int_equal(left(), 0);
}

static void each_call_finds_no_memory(void **state)
{
    (void)state;
    driver->set_fault(STAND_IN_NONE, 0);
    assert_int_equal(use_all(), HD_OK);
    uint64_t calls = driver->calls();
    int refused = 0;
    for (uint64_t at = 0; at < calls; at++) {
        driver->set_fault(STAND_IN_OUT_OF_MEMORY, at);
        hd_status status = use_all();
        if (status != HD_OK && status != HD_OUT_OF_MEMORY) {
            fail_msg("call %d without memory: %s", (int)at, hd_status_text(status));
        }
        refused += status != HD_OK;
        if (left() != 0) {
            fail_msg("call %d without memory: %d things are left", (int)at, (int)left());
        }
    }
    assert_true(refused > 10); /* modules, streams, graphs, memory */
    driver->set_fault(STAND_IN_NONE, 0);
    assert_int_equal(use_all(), HD_OK);
}

/* In a process of its own: a loss is the process's. */
static void lose_at(uint64_t at)
{
    driver->set_fault(STAND_IN_LOST, at);
    hd_status status = use_all();
    if (status != HD_OK && status != HD_LOST && status != HD_UNAVAILABLE) {
        fail_msg("lost with call %d: %s", (int)at, hd_status_text(status));
    }
    hd_device *device;
    if (status != HD_OK) { /* nobody gets it any more, and the others go on */
        hd_status again = hd_device_open("cuda", NULL, &device, NULL);
        assert_true(again == HD_LOST || again == HD_UNAVAILABLE);
    }
    assert_int_equal(hd_device_open("cpu", NULL, &device, NULL), HD_OK);
    hd_graph *graph = make_graph();
    hd_model *model;
    assert_int_equal(hd_model_create(device, graph, NULL, &model, NULL), HD_OK);
    hd_graph_destroy(&graph);
    assert_int_equal(run_model(model), HD_OK);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
}

static void each_call_loses_the_device(void **state)
{
    (void)state;
    driver->set_fault(STAND_IN_NONE, 0);
    assert_int_equal(use_all(), HD_OK);
    uint64_t calls = driver->calls();
    for (uint64_t at = 0; at < calls; at++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            lose_at(
                at); /* an assertion that fails goes to cmocka, and the process ends otherwise */
            _exit(42);
        }
        int result;
        assert_int_equal(waitpid(child, &result, 0), child);
        if (!WIFEXITED(result) || WEXITSTATUS(result) != 42) {
            fail_msg("lost with call %d: its process ended with %d", (int)at, result);
        }
    }
}

static void auto_takes_the_device_that_can_be_used(void **state)
{
    (void)state;
    hd_device *device;
    hd_device_info info = {.struct_size = sizeof info};
    driver->set_fault(STAND_IN_NONE, 0);
    assert_int_equal(hd_device_open("auto", NULL, &device, NULL), HD_OK);
    assert_int_equal(hd_device_get_info(device, &info), HD_OK);
    assert_int_equal(info.kind, HD_DEVICE_CUDA);
    hd_device_destroy(&device);
    driver->set_fault(STAND_IN_NO_BINARY, 0);
    hd_error error = {0};
    assert_int_equal(hd_device_open("cuda", NULL, &device, &error), HD_UNAVAILABLE);
    assert_non_null(strstr(error.message, "kernels"));
    error = (hd_error){0};
    assert_int_equal(hd_device_open("auto", NULL, &device, &error), HD_OK);
    assert_int_equal(error.status, HD_OK);
    assert_int_equal(hd_device_get_info(device, &info), HD_OK);
    assert_int_equal(info.kind, HD_DEVICE_CPU);
    hd_device_destroy(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_and_gives_back),
        cmocka_unit_test(each_call_finds_no_memory),
        cmocka_unit_test(each_call_loses_the_device),
        cmocka_unit_test(auto_takes_the_device_that_can_be_used),
    };
    return cmocka_run_group_tests(tests, find_driver, NULL);
}
