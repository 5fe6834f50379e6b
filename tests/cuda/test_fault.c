/* A kernel that breaks the device, in a process of its own: every future ends, the processor goes on, and all can be given back. The kernel
 * is this test's own, of the same CUDA context. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <cuda.h>

#include "heddle/heddle.h"
#include "support/block_graph.h"

enum { WIDTH = 512, ROWS = 256, RUNS = 16, LAYERS = 24 };

static const char broken_kernels[] = ".version 7.0\n"
                                     ".target sm_70\n"
                                     ".address_size 64\n"
                                     ".visible .entry breaks() { trap; }\n"
                                     ".visible .entry stores() {\n"
                                     "    .reg .u64 %address;\n"
                                     "    .reg .u32 %value;\n"
                                     "    mov.u64 %address, 8;\n"
                                     "    mov.u32 %value, 1;\n"
                                     "    st.global.u32 [%address], %value;\n"
                                     "    ret;\n"
                                     "}\n";

#define TEXT_(name) #name
#define TEXT(name)  TEXT_(name)

/* Launches one of them in the context that the library uses. */
static void break_device(const char *kernel)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW), *found;
    assert_non_null(library);
    __typeof__(&cuDeviceGet) get;
    __typeof__(&cuDevicePrimaryCtxRetain) retain;
    __typeof__(&cuCtxSetCurrent) enter;
    __typeof__(&cuModuleLoadData) load;
    __typeof__(&cuModuleGetFunction) find;
    __typeof__(&cuLaunchKernel) launch;
#define FIND(name, function)                                                                       \
    found = dlsym(library, TEXT(name));                                                            \
    assert_non_null(found);                                                                        \
    memcpy(&(function), &found, sizeof found)
    FIND(cuDeviceGet, get);
    FIND(cuDevicePrimaryCtxRetain, retain);
    FIND(cuCtxSetCurrent, enter);
    FIND(cuModuleLoadData, load);
    FIND(cuModuleGetFunction, find);
    FIND(cuLaunchKernel, launch);
    CUdevice device;
    CUcontext context;
    CUmodule module;
    CUfunction function;
    assert_int_equal(get(&device, 0), CUDA_SUCCESS);
    assert_int_equal(retain(&context, device), CUDA_SUCCESS);
    assert_int_equal(enter(context), CUDA_SUCCESS);
    assert_int_equal(load(&module, broken_kernels), CUDA_SUCCESS);
    assert_int_equal(find(&function, module, kernel), CUDA_SUCCESS);
    assert_int_equal(launch(function, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL), CUDA_SUCCESS);
}

static hd_graph *make_graph(void)
{
    static float weight[WIDTH * WIDTH];
    for (int i = 0; i < WIDTH; i++) {
        weight[i * WIDTH + (i + 1) % WIDTH] = 1; /* moves each column on by one */
    }
    hd_tensor tensor = {.dtype = HD_FLOAT32,
                        .rank = 2,
                        .dims = {WIDTH, WIDTH},
                        .data = weight,
                        .size = sizeof weight};
    hd_graph *graph;
    hd_value x, w;
    const int64_t dims[] = {-1, WIDTH};
    assert_int_equal(hd_graph_create(17, &graph, NULL), HD_OK);
    assert_int_equal(hd_graph_add_input(graph, "x", HD_FLOAT32, 2, dims, &x, NULL), HD_OK);
    assert_int_equal(hd_graph_add_constant(graph, &tensor, &w, NULL), HD_OK);
    for (int i = 0; i < LAYERS; i++) {
        x = NODE(graph, graph->root, "MatMul", x, w);
    }
    assert_int_equal(hd_graph_add_output(graph, "y", x, NULL), HD_OK);
    return graph;
}

static float values[ROWS * WIDTH];

static hd_tensor input(void)
{
    for (int i = 0; i < ROWS * WIDTH; i++) {
        values[i] = (float)(i % 1000);
    }
    return (hd_tensor){.dtype = HD_FLOAT32,
                       .rank = 2,
                       .dims = {ROWS, WIDTH},
                       .data = values,
                       .size = sizeof values};
}

static void expect_right(const hd_tensor *output)
{
    const float *moved = output->data;
    for (int row = 0; row < ROWS; row++) {
        for (int i = 0; i < WIDTH; i++) {
            assert_true(moved[row * WIDTH + (i + LAYERS) % WIDTH] == values[row * WIDTH + i]);
        }
    }
}

static void run_right(hd_model *model)
{
    hd_tensor x = input(), y = {0};
    assert_int_equal(hd_model_run(model, &x, 1, &y, 1, NULL), HD_OK);
    expect_right(&y);
    hd_tensor_release(&y);
}

static hd_model *make_model(const char *name, hd_device **out_device)
{
    hd_model *model;
    assert_int_equal(hd_device_open(name, NULL, out_device, NULL), HD_OK);
    hd_graph *graph = make_graph();
    assert_int_equal(hd_model_create(*out_device, graph, NULL, &model, NULL), HD_OK);
    hd_graph_destroy(&graph);
    return model;
}

static void lose_device(const char *kernel)
{
    hd_device *devices[2], *again;
    hd_model *model = make_model("cuda", &devices[0]), *other = make_model("cpu", &devices[1]);
    run_right(model);
    run_right(other);
    hd_tensor x = input(), outputs[RUNS] = {{0}};
    hd_future *futures[RUNS] = {NULL};
    for (int i = 0; i < RUNS; i++) {
        if (i == RUNS / 2) {
            break_device(kernel);
        }
        hd_submit_options options = {.struct_size = sizeof options};
        hd_status status =
            hd_model_run_async(model, &x, 1, &outputs[i], 1, &options, &futures[i], NULL);
        assert_true(status == HD_OK || status == HD_LOST);
    }
    for (int i = 0; i < RUNS; i++) {
        if (futures[i] == NULL) {
            continue;
        }
        hd_status status = hd_future_wait(futures[i], 20000, NULL);
        assert_true(status == HD_OK || status == HD_LOST);
        if (status == HD_OK) {
            expect_right(&outputs[i]);
        } else {
            assert_null(outputs[i].data);
        }
        hd_future_destroy(&futures[i]);
        hd_tensor_release(&outputs[i]);
    }
    hd_tensor y = {0};
    hd_status status = HD_OK;
    for (int i = 0; i < 1000 && status == HD_OK; i++) { /* until it shows */
        status = hd_model_run(model, &x, 1, &y, 1, NULL);
        hd_tensor_release(&y);
    }
    assert_int_equal(status, HD_LOST);
    status = hd_device_open("cuda", NULL, &again, NULL);
    assert_true(status == HD_LOST || status == HD_UNAVAILABLE);
    run_right(other);
    hd_model_destroy(&model);
    hd_model_destroy(&other);
    hd_device_destroy(&devices[0]);
    hd_device_destroy(&devices[1]);
}

static void in_process_of_its_own(const char *kernel)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(60);
        lose_device(kernel);
        _exit(42);
    }
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    if (!WIFEXITED(result) || WEXITSTATUS(result) != 42) {
        fail_msg("its process ended with %d", result);
    }
}

static void trap_loses_the_device(void **state)
{
    (void)state;
    in_process_of_its_own("breaks");
}

static void wild_store_loses_the_device(void **state)
{
    (void)state;
    in_process_of_its_own("stores");
}

static void memory_runs_out_and_comes_back(void **state)
{
    (void)state;
    hd_device *device;
    hd_model *model = make_model("cuda", &device);
    hd_device_info info = {.struct_size = sizeof info};
    assert_int_equal(hd_device_get_info(device, &info), HD_OK);
    enum { PIECES = 16 };
    void *pieces[PIECES + 1] = {NULL};
    size_t size = (size_t)info.memory_bytes / PIECES, taken = 0;
    hd_status status = HD_OK;
    while (status == HD_OK && taken <= PIECES) {
        status = hd_memory_allocate(device, (hd_stream){0}, size, HD_NO_WAIT, &pieces[taken], NULL);
        taken += status == HD_OK;
    }
    assert_int_equal(status, HD_OUT_OF_MEMORY);
    assert_true(taken > PIECES / 2);
    run_right(model); /* what is left is enough */
    for (size_t i = 0; i < taken; i++) {
        assert_int_equal(hd_memory_free(device, pieces[i], NULL), HD_OK);
    }
    assert_int_equal(hd_memory_allocate(device, (hd_stream){0}, size, HD_NO_WAIT, &pieces[0], NULL),
                     HD_OK);
    assert_int_equal(hd_memory_free(device, pieces[0], NULL), HD_OK);
    run_right(model);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            trap_loses_the_device), /* in children: before this process uses the driver */
        cmocka_unit_test(wild_store_loses_the_device),
        cmocka_unit_test(memory_runs_out_and_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
