/* The words for waiting mean the same in every call: arguments 0 and HD_NO_WAIT not at all, HD_WAIT_FOREVER until
 * it has come; fields of options 0 the default, HD_NO_WAIT not at all. What is waited for is held by a gate. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "gate_device.h"
#include "support/test_device.h"

static const uint32_t not_at_all[] = {0, HD_NO_WAIT};

static hd_event *event;
static hd_future *future;
static hd_batch *batch;
static void *block;

/* --- one function a call, with the time that it may wait; each is held by the gate */

static hd_status synchronize(uint32_t wait)
{
    return hd_stream_synchronize(gate.device, gate.stream, wait, &gate.error);
}

static hd_status wait_event(uint32_t wait)
{
    return hd_event_wait(event, wait, &gate.error);
}

static hd_status record(uint32_t wait)
{
    return hd_event_record(event, gate.stream, wait, &gate.error);
}

static hd_status let_stream_wait(uint32_t wait)
{
    return hd_event_wait_on_stream(event, gate.stream, wait, &gate.error);
}

static hd_status wait_future(uint32_t wait)
{
    return hd_future_wait(future, wait, &gate.error);
}

static hd_status allocate(uint32_t wait)
{
    void *memory;
    hd_status status =
        hd_memory_allocate(gate.device, (hd_stream){0}, 3 << 20, wait, &memory, &gate.error);
    if (status == HD_OK) {
        assert_ok(hd_memory_free(gate.device, memory, &gate.error));
    }
    return status;
}

static hd_status shut_down(uint32_t wait)
{
    return hd_device_shutdown(gate.device, wait, &gate.error);
}

/* In this order, shutting down last. */
static const struct {
    const char *name;
    hd_status (*call)(uint32_t wait);
    hd_status held; /* the answer while the gate is closed */
} calls[] = {
    {"hd_stream_synchronize", synchronize, HD_NOT_YET},
    {"hd_event_wait", wait_event, HD_NOT_YET},
    {"hd_event_record", record, HD_EXHAUSTED},
    {"hd_event_wait_on_stream", let_stream_wait, HD_EXHAUSTED},
    {"hd_future_wait", wait_future, HD_NOT_YET},
    {"hd_memory_allocate", allocate, HD_OUT_OF_MEMORY},
    {"hd_device_shutdown", shut_down, HD_NOT_YET},
};

#define CALL_COUNT (sizeof calls / sizeof calls[0])

/* The gate's stream is full: its work, an event and a run. A block is freed behind it. */
static void fill_stream(void)
{
    hd_submit_options options = {.struct_size = sizeof options, .stream = gate.stream};
    gate.device->memory.limit = 5 << 20;
    assert_ok(hd_event_create(gate.device, &event, &gate.error));
    assert_ok(hd_memory_allocate(gate.device, gate.stream, 3 << 20, 0, &block, &gate.error));
    assert_ok(hd_event_record(event, gate.stream, 0, &gate.error));
    assert_ok(hd_model_run_async(gate.model, &gate.input, 1, &gate.late_output, 1, &options,
                                 &future, &gate.error));
    assert_ok(hd_memory_free(gate.device, block, &gate.error));
}

static void end(void)
{
    hd_future_destroy(&future);
    hd_event_destroy(&event);
}

static void an_argument_of_0_or_no_wait_does_not_wait(void **state)
{
    (void)state;
    fill_stream();
    for (size_t i = 0; i < CALL_COUNT; i++) {
        for (size_t w = 0; w < 2; w++) {
            uint64_t begin = hd_clock_now();
            if (calls[i].call(not_at_all[w]) != calls[i].held) {
                fail_msg("%s(%u): %s", calls[i].name, not_at_all[w], gate.error.message);
            }
            assert_true(hd_clock_now() - begin < UINT64_C(5000000000));
            assert_null(strstr(gate.error.message, "429496")); /* nobody has waited so long */
        }
    }
    end();
    gate_reopen_all();
}

static void *open_soon(void *argument)
{
    usleep(10000);
    gate_open();
    return argument;
}

static void check_forever(size_t call)
{
    pthread_t thread;
    fill_stream();
    assert_int_equal(pthread_create(&thread, NULL, open_soon, NULL), 0);
    alarm(60);
    if (calls[call].call(HD_WAIT_FOREVER) != HD_OK) {
        fail_msg("%s: %s", calls[call].name, gate.error.message);
    }
    alarm(0);
    pthread_join(thread, NULL);
    end();
}

static void an_argument_of_forever_waits(void **state)
{
    (void)state;
    for (size_t i = 0; i < CALL_COUNT; i++) {
        check_forever(i);
        gate_reopen_all();
    }
}

static void acquiring_a_stream_knows_the_words(void **state)
{
    (void)state;
    hd_stream taken, none;
    while (hd_stream_acquire(gate.device, 0, &taken, &gate.error) == HD_OK) {
    }
    uint64_t begin = hd_clock_now();
    for (size_t w = 0; w < 2; w++) {
        assert_int_equal(hd_stream_acquire(gate.device, not_at_all[w], &none, &gate.error),
                         HD_EXHAUSTED);
    }
    assert_true(hd_clock_now() - begin < UINT64_C(5000000000));
    pthread_t thread;
    assert_ok(hd_stream_release(gate.device, gate.stream, &gate.error)); /* comes with the gate */
    assert_int_equal(pthread_create(&thread, NULL, open_soon, NULL), 0);
    assert_ok(hd_stream_acquire(gate.device, HD_WAIT_FOREVER, &gate.stream, &gate.error));
    pthread_join(thread, NULL);
}

/* --- options */

static hd_status submit(uint32_t wait, uint32_t deadline)
{
    hd_submit_options options = {.struct_size = sizeof options,
                                 .stream = gate.stream,
                                 .wait_ms = wait,
                                 .deadline_ms = deadline};
    return hd_model_run_async(gate.model, &gate.input, 1, &gate.output, 1, &options, &future,
                              &gate.error);
}

static void a_submission_knows_the_words(void **state)
{
    (void)state;
    static const uint32_t waits[] = {0, HD_WAIT_FOREVER, 60000};
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        pthread_t thread;
        fill_stream();
        hd_future_destroy(&future);
        uint64_t begin = hd_clock_now();
        assert_int_equal(submit(HD_NO_WAIT, 0), HD_EXHAUSTED);
        assert_true(hd_clock_now() - begin < UINT64_C(5000000000));
        assert_int_equal(pthread_create(&thread, NULL, open_soon, NULL), 0);
        assert_ok(submit(waits[i], 0));
        pthread_join(thread, NULL);
        assert_ok(hd_future_wait(future, HD_WAIT_FOREVER, &gate.error));
        end();
        gate_reopen_all();
    }
}

/* 0 and HD_WAIT_FOREVER: none. HD_NO_WAIT: it has passed. */
static void a_deadline_knows_the_words(void **state)
{
    (void)state;
    static const uint32_t none[] = {0, HD_WAIT_FOREVER};
    gate_open();
    for (size_t i = 0; i < 2; i++) {
        assert_ok(submit(0, none[i]));
        assert_ok(hd_future_wait(future, HD_WAIT_FOREVER, &gate.error));
        hd_future_destroy(&future);
    }
    gate.y[0] = 17;
    assert_ok(submit(0, HD_NO_WAIT));
    assert_int_equal(hd_future_wait(future, HD_WAIT_FOREVER, &gate.error), HD_DEADLINE);
    assert_true(gate.y[0] == 17);
    hd_future_destroy(&future);
}

static hd_status submit_row(uint32_t wait)
{
    hd_tensor row = gate_tensor(gate.x);
    hd_submit_options options = {.struct_size = sizeof options, .wait_ms = wait};
    row.dims[0] = 1;
    return hd_batch_submit(batch, &row, 1, &gate.late_output, 1, &options, &future, &gate.error);
}

/* Without a delay the worker does not wait for a second request; with an endless one it does. */
static void a_batch_knows_the_words(void **state)
{
    (void)state;
    static const uint32_t delays[] = {0, HD_NO_WAIT, HD_WAIT_FOREVER};
    for (size_t i = 0; i < 3; i++) {
        hd_batch_options options = {
            .struct_size = sizeof options, .max_rows = 2, .max_delay_us = delays[i]};
        bool waits = delays[i] == HD_WAIT_FOREVER;
        assert_ok(hd_batch_create(gate.model, &options, &batch, &gate.error));
        assert_ok(submit_row(HD_WAIT_FOREVER));
        assert_int_equal(hd_future_wait(future, waits ? 20 : HD_WAIT_FOREVER, NULL),
                         waits ? HD_NOT_YET : HD_OK);
        for (size_t w = 0; w < 2; w++) { /* the request may have ended by now */
            uint64_t begin = hd_clock_now();
            hd_status status = hd_batch_shutdown(batch, HD_BATCH_DRAIN, not_at_all[w], &gate.error);
            assert_true(status == HD_OK || status == HD_NOT_YET);
            assert_true(hd_clock_now() - begin < UINT64_C(5000000000));
        }
        assert_ok(hd_batch_shutdown(batch, HD_BATCH_DRAIN, HD_WAIT_FOREVER, &gate.error));
        assert_ok(hd_future_wait(future, HD_NO_WAIT, &gate.error));
        hd_future_destroy(&future);
        hd_batch_destroy(&batch);
    }
}

/* Requests that wait for a full batch end when the device is shut down, however long they were to wait. */
static void a_shutdown_of_the_device_ends_an_endless_delay(void **state)
{
    (void)state;
    hd_batch_options options = {
        .struct_size = sizeof options, .max_rows = 2, .max_delay_us = HD_WAIT_FOREVER};
    assert_ok(hd_batch_create(gate.model, &options, &batch, &gate.error));
    assert_ok(submit_row(HD_WAIT_FOREVER));
    assert_int_equal(hd_future_wait(future, 30, NULL), HD_NOT_YET);
    gate_open();
    assert_ok(hd_device_shutdown(gate.device, HD_WAIT_FOREVER, &gate.error));
    alarm(60);
    assert_int_equal(hd_future_wait(future, HD_WAIT_FOREVER, NULL), HD_CLOSED);
    alarm(0);
    hd_future_destroy(&future);
    hd_batch_destroy(&batch);
    gate_reopen_all();
}

/* --- how long a run waits for a slot */

static uint32_t slots[HD_STREAM_COUNT + 1], slot_count; /* and what the lease that fails writes */

static void *return_soon(void *argument)
{
    usleep(10000);
    while (slot_count > 0) {
        hd_slot_pool_return(argument, slots[--slot_count]);
    }
    return argument;
}

static void a_lease_knows_the_words(void **state)
{
    (void)state;
    static const uint32_t waits[] = {0, HD_WAIT_FOREVER, HD_NO_WAIT};
    for (size_t i = 0; i < 3; i++) {
        hd_device_options options = {.struct_size = sizeof options, .lease_wait_ms = waits[i]};
        hd_device *own;
        hd_lease lease;
        pthread_t thread;
        assert_ok(hd_device_open(test_device_name(), &options, &own, &gate.error));
        while (hd_slot_pool_lease_for_run(&own->slots, HD_SLOT_NONE, 0, NULL, &slots[slot_count]) ==
               HD_OK) {
            slot_count++;
        }
        bool waits_long = waits[i] != HD_NO_WAIT;
        if (waits_long) {
            assert_int_equal(pthread_create(&thread, NULL, return_soon, &own->slots), 0);
        }
        assert_int_equal(hd_device_lease(own, false, NULL, &lease, &gate.error),
                         waits_long ? HD_OK : HD_EXHAUSTED);
        if (waits_long) {
            pthread_join(thread, NULL);
            hd_device_return(own, &lease);
        } else {
            return_soon(&own->slots);
        }
        hd_device_destroy(&own);
    }
}

#define test_with_gate(function)                                                                   \
    cmocka_unit_test_setup_teardown(function, gate_open_all, gate_close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_with_gate(an_argument_of_0_or_no_wait_does_not_wait),
        test_with_gate(an_argument_of_forever_waits),
        test_with_gate(acquiring_a_stream_knows_the_words),
        test_with_gate(a_submission_knows_the_words),
        test_with_gate(a_deadline_knows_the_words),
        test_with_gate(a_batch_knows_the_words),
        test_with_gate(a_shutdown_of_the_device_ends_an_endless_delay),
        test_with_gate(a_lease_knows_the_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
