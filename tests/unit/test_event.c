/* Events that are recorded again, destroyed while recorded, and waited for by many, on a stream that is
 * held until the test lets it go. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "heddle/heddle.h"
#include "runtime/device.h"
#include "support/test_device.h"

#define FOREVER HD_WAIT_FOREVER
#define WAITERS 8

static hd_device *device;
static hd_stream held, other, waiting[WAITERS];
static hd_event *event;
static _Atomic bool is_open;
static hd_stream_work gate;

static hd_work_result hold(hd_work *work, uint32_t runner)
{
    (void)runner;
    while (!atomic_load(&is_open)) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    hd_stream_complete((hd_stream_work *)work); /* its first member */
    return HD_WORK_DONE;
}

static void record_nothing(hd_stream_work *work)
{
    (void)work;
}

/* An event that is recorded on a stream which waits for the gate. */
static int close_gate(void **state)
{
    (void)state;
    hd_stream_ref stream;
    /* Two threads: the gate keeps one from its streams' work. */
    hd_device_options options = {.struct_size = sizeof options, .thread_count = 2};
    gate = (hd_stream_work){.work = {.run = hold}};
    atomic_store(&is_open, false);
    bool ok = hd_device_open(test_device_name(), &options, &device, NULL) == HD_OK &&
              hd_stream_acquire(device, 0, &held, NULL) == HD_OK &&
              hd_stream_acquire(device, 0, &other, NULL) == HD_OK &&
              hd_device_find_stream(device, held, &stream, NULL) == HD_OK &&
              hd_device_submit(device, &stream, &gate, record_nothing, 0, NULL) == HD_OK &&
              hd_event_create(device, &event, NULL) == HD_OK &&
              hd_event_record(event, held, 0, NULL) == HD_OK;
    for (size_t i = 0; ok && i < WAITERS; i++) {
        ok = hd_stream_acquire(device, 0, &waiting[i], NULL) == HD_OK &&
             hd_event_wait_on_stream(event, waiting[i], 0, NULL) == HD_OK;
    }
    return ok ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    atomic_store(&is_open, true);
    hd_event_destroy(&event);
    hd_device_destroy(&device);
    return 0;
}

/* The streams that wait for the event are done when the gate is open, and not before. */
static void check_streams_wait(void)
{
    for (size_t i = 0; i < WAITERS; i++) {
        assert_int_equal(hd_stream_synchronize(device, waiting[i], 2, NULL), HD_NOT_YET);
    }
    atomic_store(&is_open, true);
    for (size_t i = 0; i < WAITERS; i++) {
        assert_int_equal(hd_stream_synchronize(device, waiting[i], FOREVER, NULL), HD_OK);
    }
}

static void recording_again_leaves_those_who_wait_at_the_earlier_point(void **state)
{
    (void)state;
    assert_int_equal(hd_event_wait(event, 0, NULL), HD_NOT_YET);
    assert_int_equal(hd_event_record(event, other, 0, NULL), HD_OK);
    assert_int_equal(hd_event_wait(event, FOREVER, NULL), HD_OK); /* the later one is reached */
    check_streams_wait();
}

static void recording_again_on_the_same_stream_moves_the_event(void **state)
{
    (void)state;
    double milliseconds = -1;
    hd_event *first;
    assert_int_equal(hd_event_create(device, &first, NULL), HD_OK);
    assert_int_equal(hd_event_record(first, other, 0, NULL), HD_OK);
    assert_int_equal(hd_event_wait(first, FOREVER, NULL), HD_OK);
    assert_int_equal(hd_event_elapsed(first, event, &milliseconds, NULL), HD_NOT_YET);
    assert_int_equal(hd_event_record(event, held, 0, NULL), HD_OK);
    assert_int_equal(hd_event_wait(event, 2, NULL), HD_NOT_YET);
    check_streams_wait();
    assert_int_equal(hd_event_wait(event, FOREVER, NULL), HD_OK);
    assert_int_equal(hd_event_elapsed(first, event, &milliseconds, NULL), HD_OK);
    assert_true(milliseconds >= 2);
    hd_event_destroy(&first);
}

static void who_waits_goes_on_without_the_event(void **state)
{
    (void)state;
    hd_event_destroy(&event);
    assert_null(event);
    check_streams_wait();
}

static void *wait_for_event(void *out_opened)
{
    hd_status status = hd_event_wait(event, FOREVER, NULL);
    *(bool *)out_opened = status == HD_OK && atomic_load(&is_open);
    return NULL;
}

static void streams_and_threads_wait_for_one_event(void **state)
{
    (void)state;
    pthread_t threads[WAITERS];
    bool opened[WAITERS];
    for (size_t i = 0; i < WAITERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, wait_for_event, &opened[i]), 0);
    }
    check_streams_wait();
    for (size_t i = 0; i < WAITERS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(opened[i]);
    }
}

#define EVENT_TEST(test) cmocka_unit_test_setup_teardown(test, close_gate, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EVENT_TEST(recording_again_leaves_those_who_wait_at_the_earlier_point),
        EVENT_TEST(recording_again_on_the_same_stream_moves_the_event),
        EVENT_TEST(who_waits_goes_on_without_the_event),
        EVENT_TEST(streams_and_threads_wait_for_one_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
