/* Batch queue: its laws under many threads, order, kinds, room, delay, and both ways to close it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/thread.h"
#include "runtime/batch_queue.h"

#define MILLISECOND UINT64_C(1000000)

static const char kinds[4] = {0};

typedef struct test_request {
    hd_batch_request request; /* first */
    _Atomic uint32_t ended;
} test_request;

static void open_queue(hd_batch_queue *queue, uint32_t max_rows, uint32_t capacity,
                       uint64_t max_delay)
{
    *queue = (hd_batch_queue){.max_rows = max_rows, .capacity = capacity, .max_delay = max_delay};
    assert_int_equal(hd_batch_queue_init(queue), HD_OK);
}

static hd_status submit(hd_batch_queue *queue, test_request *request, int kind, uint32_t rows,
                        int32_t priority, uint64_t deadline)
{
    request->request = (hd_batch_request){.kind = &kinds[kind], .rows = rows, .priority = priority};
    return hd_batch_queue_submit(queue, &request->request, deadline);
}

static uint32_t end_all(const hd_batch_list *batch)
{
    uint32_t count = 0;
    for (hd_batch_request *request = batch->first; request != NULL; request = request->next) {
        hd_add_relaxed(&((test_request *)request)->ended, 1);
        count++;
    }
    assert_int_equal(count, batch->count);
    return count;
}

/* Collects a batch and checks that these are its requests, in order; ends with a NULL. */
static void expect_batch(hd_batch_queue *queue, hd_batch_worker *worker, test_request *first, ...)
{
    hd_batch_list batch;
    assert_true(hd_batch_queue_collect(queue, worker, &batch));
    va_list rest;
    va_start(rest, first);
    hd_batch_request *request = batch.first;
    for (test_request *wanted = first; wanted != NULL; wanted = va_arg(rest, test_request *)) {
        assert_ptr_equal(request, &wanted->request);
        request = request->next;
    }
    va_end(rest);
    assert_null(request);
}

static void close_queue(hd_batch_queue *queue, hd_batch_worker *worker)
{
    hd_batch_list batch;
    hd_batch_queue_close(queue, NULL);
    assert_false(hd_batch_queue_collect(queue, worker, &batch));
    assert_int_equal(hd_batch_queue_await(queue, 0), HD_OK);
    hd_batch_worker_destroy(worker);
    hd_batch_queue_destroy(queue);
}

static void a_batch_has_one_kind_and_keeps_the_order(void **state)
{
    (void)state;
    hd_batch_queue queue;
    hd_batch_worker worker;
    test_request r[8] = {0};
    open_queue(&queue, 4, 8, 0);
    assert_int_equal(hd_batch_worker_init(&worker), HD_OK);
    static const int order[] = {0, 1, 0, 0, 1, 2, 0, 0};
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(submit(&queue, &r[i], order[i], 1, 0, 0), HD_OK);
    }
    expect_batch(&queue, &worker, &r[0], &r[2], &r[3], &r[6], NULL);
    expect_batch(&queue, &worker, &r[1], &r[4], NULL);
    expect_batch(&queue, &worker, &r[5], NULL);
    expect_batch(&queue, &worker, &r[7], NULL);
    close_queue(&queue, &worker);
}

static void higher_priorities_go_first(void **state)
{
    (void)state;
    hd_batch_queue queue;
    hd_batch_worker worker;
    test_request r[6] = {0};
    open_queue(&queue, 2, 8, 0);
    assert_int_equal(hd_batch_worker_init(&worker), HD_OK);
    static const int32_t priorities[] = {0, 5, -1, 5, 0, INT32_MAX};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(submit(&queue, &r[i], 0, 1, priorities[i], 0), HD_OK);
    }
    expect_batch(&queue, &worker, &r[5], &r[1], NULL);
    expect_batch(&queue, &worker, &r[3], &r[0], NULL);
    expect_batch(&queue, &worker, &r[4], &r[2], NULL);
    close_queue(&queue, &worker);
}

static void rows_are_counted_and_large_requests_go_alone(void **state)
{
    (void)state;
    hd_batch_queue queue;
    hd_batch_worker worker;
    test_request r[5] = {0};
    open_queue(&queue, 4, 8, 0);
    assert_int_equal(hd_batch_worker_init(&worker), HD_OK);
    static const uint32_t rows[] = {2, 3, 1, 9, 1};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(submit(&queue, &r[i], 0, rows[i], 0, 0), HD_OK);
    }
    expect_batch(&queue, &worker, &r[0], NULL); /* 3 more do not fit, and are not overtaken */
    expect_batch(&queue, &worker, &r[1], &r[2], NULL);
    expect_batch(&queue, &worker, &r[3], NULL);
    expect_batch(&queue, &worker, &r[4], NULL);
    close_queue(&queue, &worker);
}

typedef struct caller {
    hd_batch_queue *queue;
    test_request *request;
    uint64_t deadline;
    _Atomic uint32_t state; /* 1: about to submit, 2: done */
    hd_status status;
} caller;

static void submit_one(void *argument)
{
    caller *caller = argument;
    hd_store_release(&caller->state, 1);
    caller->status = submit(caller->queue, caller->request, 0, 1, 0, caller->deadline);
    hd_store_release(&caller->state, 2);
}

static void a_full_queue_refuses_times_out_or_lets_wait(void **state)
{
    (void)state;
    hd_batch_queue queue;
    hd_batch_worker worker;
    hd_thread thread;
    test_request r[4] = {0};
    open_queue(&queue, 1, 1, 0);
    assert_int_equal(hd_batch_worker_init(&worker), HD_OK);
    assert_int_equal(submit(&queue, &r[0], 0, 1, 0, 0), HD_OK);
    assert_int_equal(submit(&queue, &r[1], 0, 1, 0, 0), HD_EXHAUSTED);
    uint64_t start = hd_clock_now();
    assert_int_equal(submit(&queue, &r[1], 0, 1, 0, start + 5 * MILLISECOND), HD_EXHAUSTED);
    assert_true(hd_clock_now() - start >= 5 * MILLISECOND);
    caller caller = {.queue = &queue, .request = &r[2], .deadline = HD_FOREVER};
    assert_int_equal(hd_thread_start(&thread, "caller", submit_one, &caller), HD_OK);
    usleep(5000);
    assert_int_not_equal(hd_load_acquire(&caller.state), 2);
    expect_batch(&queue, &worker, &r[0], NULL);
    hd_thread_join(&thread);
    assert_int_equal(caller.status, HD_OK);
    expect_batch(&queue, &worker, &r[2], NULL);
    close_queue(&queue, &worker);
    assert_int_equal(r[1].ended, 0);
}

static void closing_refuses_those_in_line(void **state)
{
    (void)state;
    hd_batch_queue queue;
    hd_batch_worker worker;
    hd_thread thread;
    hd_batch_list cancelled, batch;
    test_request r[3] = {0};
    open_queue(&queue, 4, 1, 0);
    assert_int_equal(hd_batch_worker_init(&worker), HD_OK);
    assert_int_equal(submit(&queue, &r[0], 0, 1, 0, 0), HD_OK);
    caller caller = {.queue = &queue, .request = &r[1], .deadline = HD_FOREVER};
    assert_int_equal(hd_thread_start(&thread, "caller", submit_one, &caller), HD_OK);
    usleep(5000);
    hd_batch_queue_close(&queue, NULL);
    hd_thread_join(&thread);
    assert_int_equal(caller.status, HD_CLOSED);
    assert_int_equal(submit(&queue, &r[2], 0, 1, 0, HD_FOREVER), HD_CLOSED);
    assert_int_equal(hd_batch_queue_await(&queue, hd_clock_now()), HD_NOT_YET);
    hd_batch_queue_close(&queue, &cancelled);
    assert_int_equal(cancelled.count, 1);
    assert_ptr_equal(cancelled.first, &r[0].request);
    assert_int_equal(hd_batch_queue_await(&queue, 0), HD_NOT_YET);
    hd_batch_queue_end(&queue, end_all(&cancelled));
    assert_int_equal(hd_batch_queue_await(&queue, 0), HD_OK);
    assert_false(hd_batch_queue_collect(&queue, &worker, &batch));
    hd_batch_counts counts = hd_batch_queue_count(&queue);
    assert_int_equal(counts.submitted, 1);
    assert_int_equal(counts.ended, 1);
    hd_batch_worker_destroy(&worker);
    hd_batch_queue_destroy(&queue);
}

typedef struct collector {
    hd_batch_queue *queue;
    hd_batch_worker worker;
    hd_thread thread;
    _Atomic uint32_t batches;
    _Atomic uint32_t largest;
    _Atomic uint32_t requests;
    bool slow;
} collector;

static void collect_all(void *argument)
{
    collector *collector = argument;
    hd_batch_list batch;
    while (hd_batch_queue_collect(collector->queue, &collector->worker, &batch)) {
        const void *kind = batch.first->kind;
        for (hd_batch_request *request = batch.first; request != NULL; request = request->next) {
            assert_ptr_equal(request->kind, kind);
        }
        assert_true(batch.rows <= collector->queue->max_rows || batch.count == 1);
        if (batch.count > hd_load_relaxed(&collector->largest)) {
            hd_store_relaxed(&collector->largest, batch.count);
        }
        if (collector->slow) {
            usleep(50);
        }
        uint32_t count = end_all(&batch);
        hd_add_relaxed(&collector->requests, count);
        hd_add_relaxed(&collector->batches, 1);
    }
}

static void start_collectors(hd_batch_queue *queue, collector *collectors, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        collectors[i] = (collector){.queue = queue, .slow = i == 0};
        assert_int_equal(hd_batch_worker_init(&collectors[i].worker), HD_OK);
        assert_int_equal(
            hd_thread_start(&collectors[i].thread, "collector", collect_all, &collectors[i]),
            HD_OK);
    }
}

static void join_collectors(collector *collectors, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hd_thread_join(&collectors[i].thread);
        hd_batch_worker_destroy(&collectors[i].worker);
    }
}

/* Until a worker holds some requests and waits for more. */
static void await_collecting(hd_batch_queue *queue) HD_NO_THREAD_SAFETY_ANALYSIS
{
    for (bool waits = false; !waits;) {
        usleep(100);
        hd_mutex_lock(&queue->mutex);
        waits = queue->collecting != NULL;
        hd_mutex_unlock(&queue->mutex);
    }
}

static void a_worker_waits_for_more_until_full_or_late(void **state)
{
    (void)state;
    hd_batch_queue queue;
    collector collector;
    test_request r[5] = {0};
    open_queue(&queue, 4, 8, 20000 * MILLISECOND);
    start_collectors(&queue, &collector, 1);
    for (size_t i = 0; i < 4; i++) { /* the fourth fills the batch: nobody waits 20 s */
        assert_int_equal(submit(&queue, &r[i], 0, 1, 0, 0), HD_OK);
        usleep(3000);
    }
    while (hd_load_relaxed(&collector.batches) == 0) {
        usleep(100);
    }
    assert_int_equal(collector.largest, 4);
    assert_int_equal(submit(&queue, &r[4], 0, 1, 0, 0), HD_OK);
    await_collecting(&queue);
    assert_int_equal(collector.batches, 1);
    uint64_t closed = hd_clock_now();
    hd_batch_queue_close(&queue, NULL); /* sends it off, long before its time */
    join_collectors(&collector, 1);
    assert_true(hd_clock_now() - closed < 15000 * MILLISECOND);
    assert_int_equal(collector.batches, 2);
    hd_batch_queue_destroy(&queue);

    open_queue(&queue, 4, 8, 10 * MILLISECOND);
    start_collectors(&queue, &collector, 1);
    uint64_t start = hd_clock_now();
    assert_int_equal(submit(&queue, &r[0], 0, 1, 0, 0), HD_OK);
    while (hd_load_relaxed(&collector.batches) == 0) {
        usleep(100);
    }
    assert_true(hd_clock_now() - start >= 10 * MILLISECOND);
    hd_batch_queue_close(&queue, NULL);
    join_collectors(&collector, 1);
    hd_batch_queue_destroy(&queue);
}

static void what_does_not_fit_sends_a_waiting_worker_off(void **state)
{
    (void)state;
    hd_batch_queue queue;
    collector collector;
    test_request r[2] = {0};
    open_queue(&queue, 4, 8, 20000 * MILLISECOND);
    start_collectors(&queue, &collector, 1);
    assert_int_equal(submit(&queue, &r[0], 0, 1, 0, 0), HD_OK);
    usleep(3000);
    assert_int_equal(submit(&queue, &r[1], 1, 1, 0, 0), HD_OK);
    while (hd_load_relaxed(&collector.batches) < 1) {
        usleep(100);
    }
    hd_batch_queue_close(&queue, NULL);
    join_collectors(&collector, 1);
    assert_int_equal(collector.batches, 2);
    hd_batch_queue_destroy(&queue);
}

static void cancelling_takes_what_a_waiting_worker_holds(void **state)
{
    (void)state;
    hd_batch_queue queue;
    collector collector;
    hd_batch_list cancelled;
    test_request request = {0};
    open_queue(&queue, 4, 8, 20000 * MILLISECOND);
    start_collectors(&queue, &collector, 1);
    assert_int_equal(submit(&queue, &request, 0, 1, 0, 0), HD_OK);
    await_collecting(&queue);
    hd_batch_queue_close(&queue, &cancelled);
    join_collectors(&collector, 1);
    assert_int_equal(cancelled.count, 1);
    assert_int_equal(collector.batches, 0);
    hd_batch_queue_end(&queue, end_all(&cancelled));
    assert_int_equal(request.ended, 1);
    hd_batch_queue_destroy(&queue);
}

static void await_end(void *argument)
{
    assert_int_equal(hd_batch_queue_await(argument, HD_FOREVER), HD_OK);
}

static void await_watching(hd_batch_queue *queue) HD_NO_THREAD_SAFETY_ANALYSIS
{
    for (bool watches = false; !watches;) {
        usleep(100);
        hd_mutex_lock(&queue->mutex);
        watches = queue->watching > 0;
        hd_mutex_unlock(&queue->mutex);
    }
}

static void a_queue_is_destroyed_under_one_who_has_just_seen_its_end(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        hd_batch_queue queue;
        hd_thread thread;
        hd_batch_list cancelled;
        test_request request = {0};
        open_queue(&queue, 4, 8, 0);
        assert_int_equal(submit(&queue, &request, 0, 1, 0, 0), HD_OK);
        assert_int_equal(hd_thread_start(&thread, "waiter", await_end, &queue), HD_OK);
        hd_batch_queue_close(&queue, &cancelled);
        await_watching(&queue);
        hd_batch_queue_end(&queue, end_all(&cancelled));
        hd_batch_queue_destroy(&queue); /* waits until the other is out */
        hd_thread_join(&thread);
    }
}

#define LOAD_THREADS  6
#define LOAD_REQUESTS 4000

typedef struct load {
    hd_batch_queue *queue;
    test_request *requests;
    hd_thread thread;
    uint32_t seed;
    uint32_t accepted, refused, closed;
    _Atomic uint32_t done; /* requests tried so far */
} load;

static void submit_many(void *argument)
{
    load *load = argument;
    uint32_t random = load->seed;
    for (size_t i = 0; i < LOAD_REQUESTS; i++) {
        random = random * 1664525 + 1013904223;
        uint64_t deadline = random >> 30 == 0   ? 0
                            : random >> 30 == 1 ? hd_clock_now() + 20000
                                                : HD_FOREVER;
        hd_status status = submit(load->queue, &load->requests[i], (int)(random >> 20 & 3) % 3,
                                  1 + (random >> 16 & 3), (int32_t)(random >> 12 & 1), deadline);
        load->accepted += status == HD_OK;
        load->refused += status == HD_EXHAUSTED;
        load->closed += status == HD_CLOSED;
        if (status != HD_OK) {
            assert_int_equal(hd_load_relaxed(&load->requests[i].ended), 0);
        }
        hd_add_relaxed(&load->done, 1);
    }
}

/* Many submit and several collect; half-way it is closed, first to drain, then, or at once, to cancel. */
static void check_load(uint64_t max_delay, bool drains, bool cancels)
{
    hd_batch_queue queue;
    collector collectors[3];
    load loads[LOAD_THREADS];
    hd_batch_list cancelled = {0};
    open_queue(&queue, 8, 16, max_delay);
    start_collectors(&queue, collectors, 3);
    for (uint32_t i = 0; i < LOAD_THREADS; i++) {
        loads[i] = (load){
            .queue = &queue, .seed = i, .requests = calloc(LOAD_REQUESTS, sizeof(test_request))};
        assert_int_equal(hd_thread_start(&loads[i].thread, "load", submit_many, &loads[i]), HD_OK);
    }
    while (hd_load_relaxed(&loads[0].done) < LOAD_REQUESTS / 2) {
        usleep(100);
    }
    if (drains) {
        hd_batch_queue_close(&queue, NULL);
    }
    if (cancels) {
        hd_batch_queue_close(&queue, &cancelled);
        hd_batch_queue_end(&queue, end_all(&cancelled));
    }
    if (drains || cancels) {
        assert_int_equal(hd_batch_queue_await(&queue, HD_FOREVER), HD_OK);
    }
    for (uint32_t i = 0; i < LOAD_THREADS; i++) {
        hd_thread_join(&loads[i].thread);
    }
    hd_batch_queue_close(&queue, NULL);
    join_collectors(collectors, 3);
    uint64_t accepted = 0, ended = 0;
    for (uint32_t i = 0; i < LOAD_THREADS; i++) {
        for (size_t k = 0; k < LOAD_REQUESTS; k++) {
            assert_true(loads[i].requests[k].ended <= 1);
            ended += loads[i].requests[k].ended;
        }
        accepted += loads[i].accepted;
        assert_int_equal(loads[i].accepted + loads[i].refused + loads[i].closed, LOAD_REQUESTS);
        free(loads[i].requests);
    }
    hd_batch_counts counts = hd_batch_queue_count(&queue);
    assert_int_equal(counts.submitted, accepted);
    assert_int_equal(counts.ended, accepted);
    assert_int_equal(ended, accepted);
    hd_batch_queue_destroy(&queue);
}

static void each_request_ends_once_under_load(void **state)
{
    (void)state;
    check_load(0, false, false);
    check_load(100000, false, false);
}

static void each_request_ends_once_when_closed_under_load(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        check_load(i % 2 == 0 ? 0 : 100000, true, i >= 2);
        check_load(i % 2 == 0 ? 0 : 100000, false, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_has_one_kind_and_keeps_the_order),
        cmocka_unit_test(higher_priorities_go_first),
        cmocka_unit_test(rows_are_counted_and_large_requests_go_alone),
        cmocka_unit_test(a_full_queue_refuses_times_out_or_lets_wait),
        cmocka_unit_test(closing_refuses_those_in_line),
        cmocka_unit_test(a_worker_waits_for_more_until_full_or_late),
        cmocka_unit_test(what_does_not_fit_sends_a_waiting_worker_off),
        cmocka_unit_test(cancelling_takes_what_a_waiting_worker_holds),
        cmocka_unit_test(a_queue_is_destroyed_under_one_who_has_just_seen_its_end),
        cmocka_unit_test(each_request_ends_once_under_load),
        cmocka_unit_test(each_request_ends_once_when_closed_under_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
