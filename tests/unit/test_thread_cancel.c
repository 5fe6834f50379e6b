/* Threads that are cancelled (pthread_cancel) inside a call: the call returns as ever, the thread ends at its next
 * own cancellation point, nothing of the library's stays taken. One test a wait; what is waited for is held by
 * a gate. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/once.h"
#include "base/thread.h"
#include "gate_device.h"
#include "hal/cpu/team.h"
#include "runtime/batch_queue.h"
#include "runtime/plan_cache.h"
#include "runtime/runners.h"

#define STREAMS (HD_STREAM_COUNT - 1)

/* --- the thread that is cancelled */

static hd_status (*victims_call)(void);
static atomic_bool has_begun, has_returned;
static hd_status answer;

static void *be_cancelled(void *argument)
{
    atomic_store(&has_begun, true);
    answer = victims_call();
    atomic_store(&has_returned, true);
    pthread_testcancel();
    return argument; /* not reached */
}

/* Cancels a thread that waits in `call`, then lets it go on (let_go). */
static void cancel_inside(hd_status (*call)(void), void (*let_go)(void), hd_status expected)
{
    pthread_t thread;
    void *result;
    victims_call = call;
    atomic_store(&has_begun, false);
    atomic_store(&has_returned, false);
    alarm(60);
    assert_int_equal(pthread_create(&thread, NULL, be_cancelled, NULL), 0);
    while (!atomic_load(&has_begun)) {
        sched_yield();
    }
    usleep(20000); /* it sleeps by now */
    assert_false(atomic_load(&has_returned));
    assert_int_equal(pthread_cancel(thread), 0);
    usleep(5000);
    assert_false(atomic_load(&has_returned));
    let_go();
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, PTHREAD_CANCELED);
    assert_true(atomic_load(&has_returned));
    assert_int_equal(answer, expected);
    alarm(0);
}

/* --- the waits */

static hd_stream others[STREAMS], came;

static void acquire_all(void)
{
    for (size_t i = 1; i < STREAMS; i++) {
        assert_ok(hd_stream_acquire(gate.device, 0, &others[i], &gate.error));
    }
}

static void release_all(void)
{
    for (size_t i = 1; i < STREAMS; i++) {
        assert_ok(hd_stream_release(gate.device, others[i], &gate.error));
    }
}

static hd_status acquire(void)
{
    return hd_stream_acquire(gate.device, HD_WAIT_FOREVER, &came, NULL);
}

static void acquiring_a_stream(void **state)
{
    (void)state;
    acquire_all();
    cancel_inside(acquire, release_all, HD_OK);
    assert_ok(hd_stream_release(gate.device, came, &gate.error));
}

static hd_slot_pool pool;

static hd_status lease(void)
{
    uint32_t slot;
    hd_status status = hd_slot_pool_lease(&pool, HD_SLOT_NONE, HD_FOREVER, &slot);
    if (status == HD_OK) {
        hd_slot_pool_return(&pool, slot);
    }
    return status;
}

static void return_leases(void)
{
    for (uint32_t slot = 1; slot < HD_STREAM_COUNT; slot++) {
        hd_slot_pool_return(&pool, slot);
    }
}

static void leasing_a_slot(void **state)
{
    (void)state;
    assert_int_equal(hd_slot_pool_init(&pool), HD_OK);
    for (size_t i = 0; i < STREAMS; i++) {
        uint32_t slot;
        assert_int_equal(hd_slot_pool_lease(&pool, HD_SLOT_NONE, 0, &slot), HD_OK);
    }
    cancel_inside(lease, return_leases, HD_OK);
    assert_int_equal(hd_slot_pool_close(&pool, 0), HD_OK);
    hd_slot_pool_destroy(&pool);
}

static hd_status synchronize(void)
{
    return hd_stream_synchronize(gate.device, gate.stream, HD_WAIT_FOREVER, NULL);
}

static void synchronizing_a_stream(void **state)
{
    (void)state;
    cancel_inside(synchronize, gate_open, HD_OK);
}

static hd_event *event;

static hd_status wait_event(void)
{
    return hd_event_wait(event, HD_WAIT_FOREVER, NULL);
}

/* Behind it the gate's stream is full. */
static void record_event(void)
{
    assert_ok(hd_event_create(gate.device, &event, &gate.error));
    for (size_t i = 1; i < GATE_DEPTH; i++) {
        assert_ok(hd_event_record(event, gate.stream, 0, &gate.error));
    }
}

static void waiting_for_an_event(void **state)
{
    (void)state;
    record_event();
    cancel_inside(wait_event, gate_open, HD_OK);
    hd_event_destroy(&event);
}

static hd_future *future;

static hd_status wait_future(void)
{
    return hd_future_wait(future, HD_WAIT_FOREVER, NULL);
}

static hd_status run_behind_the_gate(void)
{
    hd_submit_options options = {
        .struct_size = sizeof options, .stream = gate.stream, .wait_ms = HD_WAIT_FOREVER};
    return hd_model_run_async(gate.model, &gate.input, 1, &gate.late_output, 1, &options, &future,
                              NULL);
}

static void waiting_for_a_future(void **state)
{
    (void)state;
    assert_int_equal(run_behind_the_gate(), HD_OK);
    cancel_inside(wait_future, gate_open, HD_OK);
    hd_future_destroy(&future);
}

static void submitting_to_a_full_stream(void **state)
{
    (void)state;
    record_event();
    cancel_inside(run_behind_the_gate, gate_open, HD_OK);
    assert_int_equal(wait_future(), HD_OK);
    hd_future_destroy(&future);
    hd_event_destroy(&event);
}

static hd_status record_again(void)
{
    return hd_event_record(event, gate.stream, HD_WAIT_FOREVER, NULL);
}

static void recording_on_a_full_stream(void **state)
{
    (void)state;
    record_event();
    cancel_inside(record_again, gate_open, HD_OK);
    hd_event_destroy(&event);
}

static hd_status let_stream_wait(void)
{
    return hd_event_wait_on_stream(event, gate.stream, HD_WAIT_FOREVER, NULL);
}

static void letting_a_full_stream_wait(void **state)
{
    (void)state;
    record_event();
    cancel_inside(let_stream_wait, gate_open, HD_OK);
    hd_event_destroy(&event);
}

static hd_status shut_down(void)
{
    return hd_device_shutdown(gate.device, HD_WAIT_FOREVER, NULL);
}

static void shutting_a_device_down(void **state)
{
    (void)state;
    cancel_inside(shut_down, gate_open, HD_OK);
    assert_int_equal(hd_model_run(gate.model, &gate.input, 1, &gate.output, 1, NULL), HD_CLOSED);
    gate_reopen_all();
}

static void *block;

static hd_status allocate(void)
{
    return hd_memory_allocate(gate.device, (hd_stream){0}, 3 << 20, HD_WAIT_FOREVER, &block, NULL);
}

/* Memory that is freed behind the gate. */
static void waiting_for_memory(void **state)
{
    (void)state;
    gate.device->memory.limit = 5 << 20;
    assert_ok(hd_memory_allocate(gate.device, gate.stream, 3 << 20, 0, &block, &gate.error));
    record_event();
    assert_ok(hd_memory_free(gate.device, block, &gate.error));
    cancel_inside(allocate, gate_open, HD_OK);
    assert_ok(hd_memory_free(gate.device, block, &gate.error));
    hd_event_destroy(&event);
}

/* --- batches: a request waits until the worker has two, or until the shutdown */

static hd_batch *batch;

static hd_status submit(void)
{
    hd_tensor row = gate_tensor(gate.x);
    hd_submit_options options = {.struct_size = sizeof options, .wait_ms = HD_WAIT_FOREVER};
    row.dims[0] = 1;
    return hd_batch_submit(batch, &row, 1, &gate.late_output, 1, &options, &future, NULL);
}

static hd_future *first;

static hd_status wait_first(void)
{
    return hd_future_wait(first, HD_WAIT_FOREVER, NULL);
}

static void end_requests(void)
{
    assert_int_equal(submit(), HD_OK);
    assert_int_equal(wait_future(), HD_OK);
}

static void waiting_for_a_request_of_a_batch(void **state)
{
    (void)state;
    hd_batch_options options = {
        .struct_size = sizeof options, .max_rows = 2, .max_delay_us = HD_WAIT_FOREVER};
    assert_ok(hd_batch_create(gate.model, &options, &batch, &gate.error));
    assert_int_equal(submit(), HD_OK);
    first = future;
    cancel_inside(wait_first, end_requests, HD_OK);
    hd_future_destroy(&first);
    hd_future_destroy(&future);
    hd_batch_destroy(&batch);
}

static hd_batch_queue queue;
static hd_batch_request requests[2];

static hd_status stand_in_line(void)
{
    return hd_batch_queue_submit(&queue, &requests[1], HD_FOREVER);
}

static hd_status await_requests(void)
{
    return hd_batch_queue_await(&queue, HD_FOREVER);
}

static void close_queue(void)
{
    hd_batch_list cancelled;
    hd_batch_queue_close(&queue, &cancelled);
    hd_batch_queue_end(&queue, cancelled.count);
}

static void check_queue(hd_status (*call)(void), hd_status expected)
{
    queue = (hd_batch_queue){.max_rows = 1, .capacity = 1};
    requests[0] = requests[1] = (hd_batch_request){.rows = 1};
    assert_int_equal(hd_batch_queue_init(&queue), HD_OK);
    assert_int_equal(hd_batch_queue_submit(&queue, &requests[0], 0), HD_OK);
    cancel_inside(call, close_queue, expected);
    hd_batch_queue_destroy(&queue);
}

static void submitting_to_a_full_batch_queue(void **state)
{
    (void)state;
    check_queue(stand_in_line, HD_CLOSED);
}

static void shutting_a_batch_queue_down(void **state)
{
    (void)state;
    check_queue(await_requests, HD_OK);
}

/* --- inside */

static hd_plan_cache *cache;
static int plan;

static void keep(void *kept)
{
    (void)kept;
}

static hd_status find_plan(void)
{
    void *found;
    hd_status status = hd_plan_cache_find(cache, "key", 3, HD_FOREVER, &found);
    return status == HD_OK && found == &plan ? HD_OK : HD_INTERNAL;
}

static void finish_plan(void)
{
    hd_plan_cache_finish(cache, "key", 3, &plan);
}

static void waiting_for_another_threads_plan(void **state)
{
    (void)state;
    hd_plan_cache_functions functions = {keep, keep, NULL};
    void *found;
    assert_int_equal(hd_plan_cache_create(2, functions, &cache), HD_OK);
    assert_int_equal(hd_plan_cache_find(cache, "key", 3, 0, &found), HD_OK);
    assert_null(found);
    cancel_inside(find_plan, finish_plan, HD_OK);
    hd_plan_cache_destroy(&cache);
}

static hd_once once;

static hd_status start_behind_the_gate(void *argument)
{
    (void)argument;
    gate_pass();
    return HD_OK;
}

static void start_once(void *argument)
{
    *(hd_status *)argument = hd_once_start(&once, start_behind_the_gate, NULL);
}

static hd_status start_too(void)
{
    return hd_once_start(&once, start_behind_the_gate, NULL);
}

static void waiting_for_another_threads_start(void **state)
{
    (void)state;
    hd_thread thread;
    hd_status status = HD_INTERNAL;
    once = (hd_once){0};
    assert_int_equal(hd_thread_start(&thread, "test", start_once, &status), HD_OK);
    cancel_inside(start_too, gate_open, HD_OK);
    hd_thread_join(&thread);
    assert_int_equal(status, HD_OK);
    assert_true(hd_once_is_started(&once));
}

static hd_thread joined;

static void end_behind_the_gate(void *argument)
{
    (void)argument;
    gate_pass();
}

static hd_status join(void)
{
    hd_thread_join(&joined);
    return HD_OK;
}

static void joining_a_thread(void **state)
{
    (void)state;
    assert_int_equal(hd_thread_start(&joined, "test", end_behind_the_gate, NULL), HD_OK);
    cancel_inside(join, gate_open, HD_OK);
}

static hd_runners *queues;

static hd_work_result work_behind_the_gate(hd_work *work, uint32_t runner)
{
    (void)work, (void)runner;
    gate_pass();
    return HD_WORK_DONE;
}

static hd_status run_in_queue(void)
{
    hd_work work = {.run = work_behind_the_gate};
    (void)!hd_runners_run(queues, 0, &work, NULL);
    return HD_OK;
}

/* As the caller of a long run waits for the runner that computes it. */
static void waiting_for_a_runner(void **state)
{
    (void)state;
    assert_int_equal(hd_runners_create(1, 1, &queues), HD_OK);
    assert_int_equal(hd_runners_start(queues), HD_OK);
    cancel_inside(run_in_queue, gate_open, HD_OK);
    assert_int_equal(hd_runners_drain(queues, HD_FOREVER), HD_OK);
    hd_runners_destroy(&queues);
}

static hd_cpu_team *team;
static hd_cpu_command_list *list;
static atomic_bool has_helper;
static _Thread_local bool is_victim;

/* A step that is free for all, of which some wake a worker that sleeps. */
static void run_quickly(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                        void *scratch)
{
    (void)parameters, (void)buffers, (void)begin, (void)end, (void)scratch;
}

/* The victim's tile ends when a worker has the other one, which ends with the gate. */
static void run_tile(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                     void *scratch)
{
    (void)parameters, (void)buffers, (void)begin, (void)end, (void)scratch;
    if (!is_victim) {
        atomic_store(&has_helper, true);
        gate_pass();
    }
    while (!atomic_load(&has_helper)) {
        sched_yield();
    }
}

static hd_status run_team(void)
{
    static unsigned char scratch[2 * HD_CACHE_LINE];
    is_victim = true;
    (void)!hd_cpu_team_run(team, 0, list, scratch, HD_CACHE_LINE, NULL);
    return HD_OK;
}

static void waiting_for_helpers(void **state)
{
    (void)state;
    enum { STEPS = 10 };
    hd_step steps[STEPS];
    hd_recipe recipe = {.steps = steps, .step_count = STEPS, .parallel = true};
    for (size_t i = 0; i < STEPS; i++) {
        steps[i] =
            (hd_step){.kernel = {.run = i + 1 == STEPS ? run_tile : run_quickly, .tile_count = 2}};
    }
    atomic_store(&has_helper, false);
    assert_int_equal(hd_cpu_command_list_create(&recipe, &(hd_list_memory){0}, &list), HD_OK);
    assert_int_equal(hd_cpu_team_create(2, &team), HD_OK);
    cancel_inside(run_team, gate_open, HD_OK);
    hd_cpu_team_destroy(&team);
    hd_cpu_command_list_destroy(&list);
}

/* What a thread had before, it has afterwards: also that it may not be cancelled. */
static void a_call_leaves_the_threads_own_state(void **state)
{
    (void)state;
    int before;
    assert_int_equal(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before), 0);
    assert_int_equal(before, PTHREAD_CANCEL_ENABLE);
    assert_int_equal(hd_stream_synchronize(gate.device, gate.stream, 1, NULL), HD_NOT_YET);
    assert_int_equal(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &before), 0);
    assert_int_equal(before, PTHREAD_CANCEL_DISABLE);
    assert_int_equal(hd_stream_synchronize(gate.device, gate.stream, 1, NULL), HD_NOT_YET);
    assert_int_equal(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &before), 0);
    assert_int_equal(before, PTHREAD_CANCEL_ENABLE);
}

#define test_with_gate(function)                                                                   \
    cmocka_unit_test_setup_teardown(function, gate_open_all, gate_close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_with_gate(acquiring_a_stream),
        test_with_gate(leasing_a_slot),
        test_with_gate(synchronizing_a_stream),
        test_with_gate(waiting_for_an_event),
        test_with_gate(waiting_for_a_future),
        test_with_gate(submitting_to_a_full_stream),
        test_with_gate(recording_on_a_full_stream),
        test_with_gate(letting_a_full_stream_wait),
        test_with_gate(shutting_a_device_down),
        test_with_gate(waiting_for_memory),
        test_with_gate(waiting_for_a_request_of_a_batch),
        test_with_gate(submitting_to_a_full_batch_queue),
        test_with_gate(shutting_a_batch_queue_down),
        test_with_gate(waiting_for_another_threads_plan),
        test_with_gate(waiting_for_another_threads_start),
        test_with_gate(joining_a_thread),
        test_with_gate(waiting_for_a_runner),
        test_with_gate(waiting_for_helpers),
        test_with_gate(a_call_leaves_the_threads_own_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
