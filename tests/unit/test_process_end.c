/* Processes that end in the middle, with or without the library closed while it is in use; each is this program, called
 * with the part's name. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lifecycle_fixture.h"
#include "support/test_device.h"

static void submit_many(hd_model *model, float *x, float *y, size_t count)
{
    hd_tensor input = tensor_of(x);
    static hd_tensor output;
    output = tensor_of(y);
    for (size_t i = 0; i < count; i++) {
        if (hd_model_run_async(model, &input, 1, &output, 1, NULL, NULL, NULL) != HD_OK) {
            _exit(3);
        }
    }
}

static void *run_forever(void *model)
{
    while (run(model) == HD_OK) {
    }
    return NULL;
}

/* exit() while threads run and work is in flight, with or without the handles given back. */
static int end_in_the_middle(bool gives_back)
{
    static float x[SIZE], y[SIZE];
    hd_device *device = open_device();
    hd_model *model = make_model(device);
    for (size_t i = 0; i < 4 && !gives_back; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, run_forever, model) != 0) {
            return 3;
        }
        pthread_detach(thread);
    }
    submit_many(model, x, y, 500);
    if (gives_back) {
        hd_model_destroy(&model);
        hd_device_destroy(&device);
    }
    exit(0);
}

#define LIBRARY_FUNCTIONS(X)                                                                       \
    X(hd_device_open)                                                                              \
    X(hd_device_destroy)                                                                           \
    X(hd_graph_create)                                                                             \
    X(hd_graph_add_input)                                                                          \
    X(hd_graph_add_node)                                                                           \
    X(hd_graph_add_output)                                                                         \
    X(hd_graph_destroy)                                                                            \
    X(hd_model_create)                                                                             \
    X(hd_model_run)                                                                                \
    X(hd_model_run_async)                                                                          \
    X(hd_model_destroy)

static struct {
#define DECLARE(name) __typeof__(name) *name;
    LIBRARY_FUNCTIONS(DECLARE)
} library;

static hd_model *loaded_model;
static pthread_barrier_t loaded_ran, loaded_ends;

static void *run_loaded(void *argument)
{
    (void)argument;
    float x[SIZE] = {0}, y[SIZE];
    hd_tensor input = tensor_of(x), output = tensor_of(y);
    hd_status status = library.hd_model_run(loaded_model, &input, 1, &output, 1, NULL);
    pthread_barrier_wait(&loaded_ran);
    pthread_barrier_wait(&loaded_ends);
    /* Its code is still there, and so is the destructor that gives the slot back. */
    if (status == HD_OK) {
        status = library.hd_model_run(loaded_model, &input, 1, &output, 1, NULL);
    }
    return (void *)(uintptr_t)status;
}

static hd_status make_loaded_model(hd_device *device)
{
    static const int64_t dims[] = {-1};
    hd_graph *graph;
    hd_value x, y;
    hd_status status = library.hd_graph_create(0, &graph, &error);
    if (status == HD_OK) {
        status = library.hd_graph_add_input(graph, "x", HD_FLOAT32, 1, dims, &x, &error);
    }
    if (status == HD_OK) {
        status = library.hd_graph_add_node(graph, "Neg", &x, 1, NULL, 0, &y, 1, &error);
    }
    if (status == HD_OK) {
        status = library.hd_graph_add_output(graph, "y", y, &error);
    }
    if (status == HD_OK) {
        status = library.hd_model_create(device, graph, NULL, &loaded_model, &error);
    }
    library.hd_graph_destroy(&graph);
    return status;
}

static int close_the_library(bool gives_back)
{
    static float x[SIZE], y[SIZE];
    void *handle = dlopen(HD_TEST_BINARY_DIR "/libheddle.so", RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 3;
    }
#define FIND(name) library.name = (__typeof__(name) *)(uintptr_t)dlsym(handle, #name);
    LIBRARY_FUNCTIONS(FIND)
    hd_device *device;
    if (library.hd_device_open(test_device_name(), NULL, &device, &error) != HD_OK ||
        make_loaded_model(device) != HD_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 4;
    }
    pthread_t threads[4];
    pthread_barrier_init(&loaded_ran, NULL, 5);
    pthread_barrier_init(&loaded_ends, NULL, 5);
    for (size_t i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, run_loaded, NULL);
    }
    pthread_barrier_wait(&loaded_ran);
    hd_tensor input = tensor_of(x);
    static hd_tensor output; /* filled by a run that may outlive this function's frame */
    output = tensor_of(y);
    bool good =
        library.hd_model_run_async(loaded_model, &input, 1, &output, 1, NULL, NULL, NULL) == HD_OK;
    dlclose(handle);
    pthread_barrier_wait(&loaded_ends);
    for (size_t i = 0; i < 4; i++) {
        void *status;
        pthread_join(threads[i], &status);
        good = good && (hd_status)(uintptr_t)status == HD_OK;
    }
    if (gives_back) {
        library.hd_model_destroy(&loaded_model);
        library.hd_device_destroy(&device);
    }
    return good ? 0 : 5;
}

/* A process that forks before it opens a device is two processes that may both use the library; one
 * that forks afterwards is not. */
static int fork_before_use(void)
{
    int status = 0;
    pid_t child = fork();
    hd_device *device = open_device();
    hd_model *model = make_model(device);
    bool good = run(model) == HD_OK;
    if (child == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0) {
            _exit(run(model) == HD_FORKED ? 0 : 1);
        }
        good = good && waitpid(grandchild, &status, 0) == grandchild && status == 0 &&
               run(model) == HD_OK;
    }
    hd_model_destroy(&model);
    hd_device_destroy(&device);
    if (child > 0) {
        good = good && waitpid(child, &status, 0) == child && status == 0;
    }
    return good ? 0 : 6;
}

static int play_part(const char *part)
{
    alarm(60);
    if (strcmp(part, "fork-before-use") == 0) {
        return fork_before_use();
    }
    if (strcmp(part, "exit-in-flight") == 0) {
        return end_in_the_middle(false);
    }
    if (strcmp(part, "exit-after-destroy") == 0) {
        return end_in_the_middle(true);
    }
    if (strcmp(part, "dlclose-in-use") == 0) {
        return close_the_library(false);
    }
    return close_the_library(true);
}

/* Several times: they end at different moments. */
static void expect_good_end(const char *part, size_t times)
{
    for (size_t i = 0; i < times; i++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            execl("/proc/self/exe", "test_process_end", "part", part, (char *)NULL);
            _exit(2);
        }
        assert_true(child > 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            fail_msg("%s: wait status 0x%x", part, (unsigned)status);
        }
    }
}

static void a_process_may_exit_in_the_middle_of_everything(void **state)
{
    (void)state;
    expect_good_end("exit-in-flight", 10);
    expect_good_end("exit-after-destroy", 10);
}

static void the_library_may_be_closed_while_in_use(void **state)
{
    (void)state;
    expect_good_end("dlclose-in-use", 3);
    expect_good_end("dlclose-then-destroy", 3);
}

static void a_child_of_a_process_without_devices_is_a_process_of_its_own(void **state)
{
    (void)state;
    expect_good_end("fork-before-use", 3);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_may_exit_in_the_middle_of_everything),
        cmocka_unit_test(the_library_may_be_closed_while_in_use),
        cmocka_unit_test(a_child_of_a_process_without_devices_is_a_process_of_its_own),
    };
    if (argc == 3) {
        return play_part(argv[2]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
