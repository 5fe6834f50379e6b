/* Beginnings and ends that cross each other: threads that outlive devices, devices that outlive
 * threads, processes that end in the middle, a library that is closed while it is in use. */
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
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
#include "runtime/device.h"

#define SIZE    256
#define FOREVER HD_WAIT_FOREVER
#define MANY    256 /* threads, on 31 slots */

static hd_error error;

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != HD_OK) {                                                                     \
            fail_msg("%s: %s", #call, error.message);                                              \
        }                                                                                          \
    } while (0)

static hd_device *open_device(void)
{
    hd_device *device;
    assert_ok(hd_device_open("cpu", NULL, &device, &error));
    return device;
}

/* y = x + 1 over floats [-1]. */
static hd_model *make_model(hd_device *device)
{
    static const int64_t dims[] = {-1};
    float one = 1;
    hd_tensor constant = {.dtype = HD_FLOAT32, .data = &one, .size = sizeof one};
    hd_graph *graph;
    hd_value values[2], sum;
    hd_model *model;
    assert_ok(hd_graph_create(0, &graph, &error));
    assert_ok(hd_graph_add_input(graph, "x", HD_FLOAT32, 1, dims, &values[0], &error));
    assert_ok(hd_graph_add_constant(graph, &constant, &values[1], &error));
    assert_ok(hd_graph_add_node(graph, "Add", values, 2, NULL, 0, &sum, 1, &error));
    assert_ok(hd_graph_add_output(graph, "y", sum, &error));
    assert_ok(hd_model_create(device, graph, NULL, &model, &error));
    hd_graph_destroy(&graph);
    return model;
}

static hd_tensor tensor_of(float *data)
{
    return (hd_tensor){
        .dtype = HD_FLOAT32, .rank = 1, .dims = {SIZE}, .data = data, .size = SIZE * sizeof *data};
}

static hd_status run(hd_model *model)
{
    float x[SIZE], y[SIZE];
    for (size_t i = 0; i < SIZE; i++) {
        x[i] = (float)i;
    }
    hd_tensor input = tensor_of(x), output = tensor_of(y);
    hd_status status = hd_model_run(model, &input, 1, &output, 1, NULL);
    if (status == HD_OK && (y[0] != 1 || y[SIZE - 1] != SIZE)) {
        return HD_INTERNAL;
    }
    return status;
}

/* A thread that runs a model once, says so, and ends when it is told. */
typedef struct visitor {
    pthread_t thread;
    hd_model *model;
    pthread_barrier_t *ran, *ends; /* NULL: it ends at once */
    hd_status status;
} visitor;

static void *visit(void *argument)
{
    visitor *visitor = argument;
    visitor->status = run(visitor->model);
    if (visitor->ran != NULL) {
        pthread_barrier_wait(visitor->ran);
        pthread_barrier_wait(visitor->ends);
    }
    return NULL;
}

/* --- slots and threads */

static void a_thread_that_ends_frees_its_slot(void **state)
{
    (void)state;
    hd_device *device = open_device();
    hd_model *model = make_model(device);
    pthread_barrier_t ran, ends;
    pthread_barrier_init(&ran, NULL, 2);
    pthread_barrier_init(&ends, NULL, 2);
    visitor visitor = {.model = model, .ran = &ran, .ends = &ends};
    pthread_create(&visitor.thread, NULL, visit, &visitor);
    pthread_barrier_wait(&ran);
    hd_slot_counts counts = hd_slot_pool_count(&device->slots);
    assert_int_equal(counts.remembered, 1);
    assert_int_equal(counts.free, 30);
    pthread_barrier_wait(&ends);
    pthread_join(visitor.thread, NULL);
    counts = hd_slot_pool_count(&device->slots);
    assert_int_equal(visitor.status, HD_OK);
    assert_int_equal(counts.remembered, 0);
    assert_int_equal(counts.free, 31);
    pthread_barrier_destroy(&ran);
    pthread_barrier_destroy(&ends);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
}

typedef struct pair {
    hd_model *first, *second;
    hd_status status;
} pair;

static void *visit_both(void *argument)
{
    pair *pair = argument;
    pair->status = run(pair->first);
    if (pair->status == HD_OK) {
        pair->status = run(pair->second);
    }
    return NULL;
}

static uint64_t arena_bytes(hd_device *device)
{
    hd_memory_info info = {.struct_size = sizeof info};
    assert_int_equal(hd_device_get_memory(device, &info), HD_OK);
    return info.arena_bytes;
}

/* Also on the device that the thread used first, whose slot it has forgotten when it ends. */
static void threads_one_after_the_other_use_one_arena(void **state)
{
    (void)state;
    hd_device *first = open_device(), *second = open_device();
    pair pair = {.first = make_model(first), .second = make_model(second)};
    uint64_t bytes[2] = {0, 0};
    for (size_t i = 0; i < 1000; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, visit_both, &pair), 0);
        pthread_join(thread, NULL);
        assert_int_equal(pair.status, HD_OK);
        if (i == 0) {
            bytes[0] = arena_bytes(first);
            bytes[1] = arena_bytes(second);
        }
    }
    assert_true(bytes[0] > 0 && bytes[1] > 0);
    assert_int_equal(arena_bytes(first), bytes[0]);
    assert_int_equal(arena_bytes(second), bytes[1]);
    hd_model_destroy(&pair.first);
    hd_model_destroy(&pair.second);
    hd_device_destroy(&first);
    hd_device_destroy(&second);
}

static void a_thread_may_end_after_the_devices_that_it_used(void **state)
{
    (void)state;
    pthread_barrier_t ran, ends;
    pthread_barrier_init(&ran, NULL, 9);
    pthread_barrier_init(&ends, NULL, 9);
    for (size_t round = 0; round < 20; round++) {
        visitor visitors[8];
        hd_device *device = open_device();
        hd_model *model = make_model(device);
        for (size_t i = 0; i < 8; i++) {
            visitors[i] = (visitor){.model = model, .ran = &ran, .ends = &ends};
            pthread_create(&visitors[i].thread, NULL, visit, &visitors[i]);
        }
        pthread_barrier_wait(&ran);
        hd_model_destroy(&model);
        hd_device_destroy(&device);
        /* Half the time another device, perhaps at the same address, is there when they end. */
        hd_device *next = round % 2 == 0 ? open_device() : NULL;
        pthread_barrier_wait(&ends);
        for (size_t i = 0; i < 8; i++) {
            pthread_join(visitors[i].thread, NULL);
            assert_int_equal(visitors[i].status, HD_OK);
        }
        if (next != NULL) {
            assert_int_equal(hd_slot_pool_count(&next->slots).free, 31);
        }
        hd_device_destroy(&next);
    }
    pthread_barrier_destroy(&ran);
    pthread_barrier_destroy(&ends);
}

/* Threads end while their device ends. */
static void threads_and_their_device_end_at_once(void **state)
{
    (void)state;
    pthread_barrier_t ran, ends;
    pthread_barrier_init(&ran, NULL, 5);
    pthread_barrier_init(&ends, NULL, 5);
    for (size_t round = 0; round < 300; round++) {
        visitor visitors[4];
        hd_device *device = open_device();
        hd_model *model = make_model(device);
        for (size_t i = 0; i < 4; i++) {
            visitors[i] = (visitor){.model = model, .ran = &ran, .ends = &ends};
            pthread_create(&visitors[i].thread, NULL, visit, &visitors[i]);
        }
        pthread_barrier_wait(&ran);
        hd_model_destroy(&model);
        pthread_barrier_wait(&ends);
        hd_device_destroy(&device);
        for (size_t i = 0; i < 4; i++) {
            pthread_join(visitors[i].thread, NULL);
        }
    }
    pthread_barrier_destroy(&ran);
    pthread_barrier_destroy(&ends);
}

static pthread_key_t late_key;
static hd_model *late_model;
static atomic_int late_calls, late_failures;

/* pthreads calls destructors in the order of their keys, where the order is glibc's: the library's
 * own has been called before this one, and is called again after it. */
static void run_late(void *value)
{
    atomic_fetch_add(&late_failures, run(late_model) != HD_OK);
    if (atomic_fetch_add(&late_calls, 1) % 2 == 0) {
        pthread_setspecific(late_key, value); /* and once more in the next round */
    }
}

static void *run_and_leave_a_destructor(void *argument)
{
    (void)argument;
    atomic_fetch_add(&late_failures, run(late_model) != HD_OK);
    pthread_setspecific(late_key, late_model);
    return NULL;
}

static void a_programs_own_destructor_may_use_the_library(void **state)
{
    (void)state;
    hd_device *device = open_device();
    late_model = make_model(device);
    run(late_model); /* so that the library's key is older than the program's */
    assert_int_equal(pthread_key_create(&late_key, run_late), 0);
    for (size_t i = 0; i < 50; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, run_and_leave_a_destructor, NULL);
        pthread_join(thread, NULL);
    }
    assert_int_equal(atomic_load(&late_calls), 100);
    assert_int_equal(atomic_load(&late_failures), 0);
    assert_int_equal(hd_slot_pool_count(&device->slots).free,
                     31); /* they shared the main thread's slot */
    pthread_key_delete(late_key);
    hd_model_destroy(&late_model);
    hd_device_destroy(&device);
}

/* --- shutdown against everything */

typedef struct storm {
    hd_device *device;
    hd_model *model;
    pthread_barrier_t begins;
    atomic_int wrong; /* the status, of a call that answered what its header does not name */
    atomic_int inside;
} storm;

static void expect_status(storm *storm, hd_status status, hd_status other)
{
    if (status != HD_OK && status != HD_CLOSED && status != other) {
        atomic_store(&storm->wrong, (int)status);
    }
}

static void use_streams(storm *storm, hd_event *event)
{
    hd_stream stream;
    hd_status status = hd_stream_acquire(storm->device, 1, &stream, NULL);
    expect_status(storm, status, HD_EXHAUSTED);
    if (status == HD_OK) {
        expect_status(storm, hd_event_record(event, stream, 100, NULL), HD_EXHAUSTED);
        expect_status(storm, hd_event_wait_on_stream(event, (hd_stream){0}, 100, NULL),
                      HD_EXHAUSTED);
        expect_status(storm, hd_stream_synchronize(storm->device, stream, 1, NULL), HD_NOT_YET);
        expect_status(storm, hd_stream_release(storm->device, stream, NULL), HD_CLOSED);
    }
}

static void run_later(storm *storm, float *x, float *y, hd_stream stream)
{
    hd_tensor input = tensor_of(x), output = tensor_of(y);
    hd_submit_options options = {.struct_size = sizeof options, .stream = stream};
    hd_future *future;
    hd_status status =
        hd_model_run_async(storm->model, &input, 1, &output, 1, &options, &future, NULL);
    expect_status(storm, status, HD_OK);
    if (status == HD_OK) {
        if (hd_future_wait(future, FOREVER, NULL) != HD_OK || y[7] != x[7] + 1) {
            atomic_store(&storm->wrong, HD_INTERNAL);
        }
        hd_future_destroy(&future);
    }
}

static void *storm_in(void *argument)
{
    storm *storm = argument;
    float x[SIZE] = {3}, y[SIZE];
    size_t number = (size_t)atomic_fetch_add(&storm->inside, 1);
    hd_event *event = NULL;
    pthread_barrier_wait(&storm->begins);
    hd_status status = hd_event_create(storm->device, &event, NULL);
    for (size_t i = number; i < number + 20 && status == HD_OK; i++) {
        hd_model *own = NULL;
        hd_graph *graph = NULL;
        switch (i % 4) {
        case 0:
            status = run(storm->model);
            break;
        case 1:
            use_streams(storm, event);
            break;
        case 2:
            run_later(storm, x, y, (hd_stream){0});
            break;
        default:
            status = hd_graph_create(0, &graph, NULL);
            status =
                status == HD_OK ? hd_model_create(storm->device, graph, NULL, &own, NULL) : status;
            status = status == HD_INVALID_ARGUMENT || status == HD_BAD_MODEL ? HD_OK : status;
            hd_graph_destroy(&graph);
            hd_model_destroy(&own);
        }
    }
    expect_status(storm, status, HD_OK);
    hd_event_destroy(&event);
    return NULL;
}

static void shutdown_races_with_more_threads_than_slots(void **state)
{
    (void)state;
    static pthread_t threads[MANY];
    for (size_t round = 0; round < 4; round++) {
        storm storm = {.device = open_device()};
        storm.model = make_model(storm.device);
        pthread_barrier_init(&storm.begins, NULL, MANY + 1);
        for (size_t i = 0; i < MANY; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, storm_in, &storm), 0);
        }
        pthread_barrier_wait(&storm.begins);
        usleep((useconds_t)(round * 3000));
        hd_status status = hd_device_shutdown(storm.device, 0, &error);
        assert_true(status == HD_OK || status == HD_NOT_YET);
        assert_ok(hd_device_shutdown(storm.device, FOREVER, &error));
        for (size_t i = 0; i < MANY; i++) {
            pthread_join(threads[i], NULL);
        }
        assert_int_equal(hd_slot_pool_count(&storm.device->slots).leased, 0);
        assert_string_equal(hd_status_name((hd_status)atomic_load(&storm.wrong)), "HD_OK");
        hd_model_destroy(&storm.model);
        hd_device_destroy(&storm.device);
        pthread_barrier_destroy(&storm.begins);
    }
}

/* --- processes that end, in a program of their own: this one, called with the part's name */

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
    X(hd_device_destroy) X(hd_graph_create) X(hd_graph_add_input) X(hd_graph_add_node)             \
        X(hd_graph_add_output) X(hd_graph_destroy) X(hd_model_create) X(hd_model_run)              \
            X(hd_model_run_async) X(hd_model_destroy)

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
    if (library.hd_device_open("cpu", NULL, &device, &error) != HD_OK ||
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
    hd_tensor input = tensor_of(x), output = tensor_of(y);
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
            execl("/proc/self/exe", "test_lifecycle", "part", part, (char *)NULL);
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

static void note_callback(void *context, hd_status outcome, const hd_error *problem)
{
    (void)outcome, (void)problem;
    atomic_store((atomic_int *)context, 1);
}

/* With the program's own threads blocking it, too, a signal stays pending. */
static void threads_of_the_library_take_no_signals(void **state)
{
    (void)state;
    float x[SIZE] = {0}, y[SIZE];
    sigset_t signals, before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    hd_device *device = open_device(); /* while the signal is not blocked here */
    hd_model *model = make_model(device);
    hd_batch *batch;
    hd_future *future;
    hd_tensor input = tensor_of(x), output = tensor_of(y);
    atomic_int called = 0;
    hd_submit_options options = {
        .struct_size = sizeof options, .callback = note_callback, .context = &called};
    assert_ok(hd_batch_create(model, NULL, &batch, &error));
    assert_ok(hd_model_run_async(model, &input, 1, &output, 1, &options, &future, &error));
    assert_ok(hd_future_wait(future, FOREVER, &error));
    while (atomic_load(&called) == 0) {
    }
    pthread_sigmask(SIG_BLOCK, &signals, &before);
    for (size_t i = 0; i < 20; i++) {
        int number;
        assert_int_equal(kill(getpid(), SIGUSR1), 0); /* would end the process */
        assert_int_equal(run(model), HD_OK);
        sigset_t pending;
        sigpending(&pending);
        assert_int_equal(sigismember(&pending, SIGUSR1), 1);
        assert_int_equal(sigwait(&signals, &number), 0);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    hd_future_destroy(&future);
    hd_batch_destroy(&batch);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_that_ends_frees_its_slot),
        cmocka_unit_test(threads_one_after_the_other_use_one_arena),
        cmocka_unit_test(a_thread_may_end_after_the_devices_that_it_used),
        cmocka_unit_test(threads_and_their_device_end_at_once),
        cmocka_unit_test(a_programs_own_destructor_may_use_the_library),
        cmocka_unit_test(shutdown_races_with_more_threads_than_slots),
        cmocka_unit_test(a_process_may_exit_in_the_middle_of_everything),
        cmocka_unit_test(the_library_may_be_closed_while_in_use),
        cmocka_unit_test(a_child_of_a_process_without_devices_is_a_process_of_its_own),
        cmocka_unit_test(threads_of_the_library_take_no_signals),
    };
    if (argc == 3) {
        return play_part(argv[2]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
