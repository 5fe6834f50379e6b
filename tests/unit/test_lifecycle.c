/* Beginnings and ends that cross each other: threads that outlive devices, devices that outlive
 * threads. */
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
#include <unistd.h>

#include <cmocka.h>

#include "lifecycle_fixture.h"
#include "runtime/device.h"

#define MANY 256 /* threads, on 31 slots */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_that_ends_frees_its_slot),
        cmocka_unit_test(threads_one_after_the_other_use_one_arena),
        cmocka_unit_test(a_thread_may_end_after_the_devices_that_it_used),
        cmocka_unit_test(threads_and_their_device_end_at_once),
        cmocka_unit_test(a_programs_own_destructor_may_use_the_library),
        cmocka_unit_test(shutdown_races_with_more_threads_than_slots),
        cmocka_unit_test(threads_of_the_library_take_no_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
