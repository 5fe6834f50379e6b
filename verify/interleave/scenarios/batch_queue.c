/* Scenarios of the batch queue. `used` counts in each request, without a lock or atomics, how
 * often it was ended: two who end one request, or a worker who does not see what the submitter
 * wrote, are a data race. */
#include "runtime/batch_queue.h"

#include "../scenario.h"

#define REQUESTS 3

typedef struct batch_request {
    hd_batch_request request; /* first */
    uint32_t used;
    bool submitted;
} batch_request;

typedef struct batch_state {
    hd_batch_queue queue;
    hd_batch_worker workers[2];
    batch_request requests[REQUESTS];
    char kinds[2];
} batch_state;

static batch_state *batch_open(uint32_t max_rows, uint32_t capacity, uint64_t max_delay)
{
    batch_state *state = hd_alloc_zero(1, sizeof *state);
    state->queue.max_rows = max_rows;
    state->queue.capacity = capacity;
    state->queue.max_delay = max_delay;
    scenario_require("explorer", hd_batch_queue_init(&state->queue) == HD_OK);
    trace_name(&state->queue, sizeof state->queue, "queue");
    trace_name(state->workers, sizeof state->workers, "workers");
    scenario_event("queue of %u rows, %u requests, delay %u", max_rows, capacity,
                   (unsigned)max_delay);
    trace_name(state->requests, sizeof state->requests, "requests");
    for (uint32_t i = 0; i < 2; i++) {
        scenario_require("explorer", hd_batch_worker_init(&state->workers[i]) == HD_OK);
    }
    return state;
}

/* All threads are gone: what was taken in has ended, once. */
static void batch_end(batch_state *state)
{
    uint64_t submitted = 0;
    for (uint32_t i = 0; i < REQUESTS; i++) {
        scenario_require("ONCE.ended-once",
                         state->requests[i].used == (state->requests[i].submitted ? 1 : 0));
        submitted += state->requests[i].submitted;
    }
    hd_batch_counts counts = hd_batch_queue_count(&state->queue);
    scenario_require("ONCE.counts", counts.submitted == submitted && counts.ended == submitted);
    for (uint32_t i = 0; i < 2; i++) {
        hd_batch_worker_destroy(&state->workers[i]);
    }
    hd_batch_queue_destroy(&state->queue);
    hd_free(state);
}

/* The end of requests. For traces: what they are, and that all of them have ended. */
static void use_all(batch_state *state, const hd_batch_list *batch)
{
    hd_batch_request *next;
    for (hd_batch_request *request = batch->first; request != NULL; request = next) {
        next = request->next;
        scenario_event("has %u", (unsigned)((batch_request *)request - state->requests));
    }
    for (hd_batch_request *request = batch->first; request != NULL; request = next) {
        next = request->next;
        ((batch_request *)request)->used++;
    }
    scenario_event("ended");
}

/* The calls, with what they are given and what they answer, for traces. */
static void close_queue(batch_state *state, hd_batch_list *out_cancelled)
{
    scenario_event("calls %s", out_cancelled == NULL ? "drain" : "cancel");
    hd_batch_queue_close(&state->queue, out_cancelled);
    scenario_event("answers");
}

static void end_cancelled(batch_state *state, const hd_batch_list *cancelled)
{
    use_all(state, cancelled);
    scenario_event("calls end");
    hd_batch_queue_end(&state->queue, cancelled->count);
    scenario_event("answers");
}

static hd_status await_all(batch_state *state, uint64_t deadline)
{
    scenario_event("calls await");
    hd_status status = hd_batch_queue_await(&state->queue, deadline);
    scenario_event("answers %d", (int)status);
    return status;
}

static bool collect(batch_state *state, uint32_t number, hd_batch_list *out_batch)
{
    scenario_event("calls collect %u", (unsigned)number);
    bool more = hd_batch_queue_collect(&state->queue, &state->workers[number], out_batch);
    scenario_event("answers %d", more);
    return more;
}

static hd_status put_rows(batch_state *state, uint32_t number, uint32_t kind, uint32_t rows,
                          uint64_t deadline)
{
    batch_request *request = &state->requests[number];
    request->request = (hd_batch_request){.kind = &state->kinds[kind], .rows = rows};
    scenario_event("calls submit %u %u", (unsigned)number, (unsigned)kind);
    hd_status status = SCENARIO_LIMITED(
        deadline, HD_EXHAUSTED, hd_batch_queue_submit(&state->queue, &request->request, deadline));
    scenario_event("answers %d", (int)status);
    if (status == HD_OK) {
        request->submitted = true;
    } else {
        scenario_require("ONCE.not-taken-in", request->used == 0);
    }
    return status;
}

static hd_status put(batch_state *state, uint32_t number, uint32_t kind, uint64_t deadline)
{
    return put_rows(state, number, kind, 1, deadline);
}

static void work(batch_state *state, uint32_t number)
{
    hd_batch_list batch;
    while (collect(state, number, &batch)) {
        scenario_require("BOUND.rows", batch.rows <= state->queue.max_rows);
        for (const hd_batch_request *r = batch.first; r != NULL; r = r->next) {
            scenario_require("BITS.one-kind", r->kind == batch.first->kind);
        }
        use_all(state, &batch);
    }
}

static void run_first_worker(void *argument)
{
    work(argument, 0);
}

static void run_second_worker(void *argument)
{
    work(argument, 1);
}

static void put_waiting(void *argument)
{
    scenario_require("BOUND.room", put(argument, 0, 0, HD_FOREVER) == HD_OK);
}

static void put_closable(void *argument)
{
    hd_status status = put(argument, 0, 0, HD_FOREVER);
    scenario_require("ONCE.closable", status == HD_OK || status == HD_CLOSED);
}

static void put_limited(void *argument)
{
    hd_status status = put(argument, 1, 0, SCENARIO_LATER);
    scenario_require("BOUND.limited",
                     status == HD_OK || status == HD_EXHAUSTED || status == HD_CLOSED);
}

static void put_other(void *argument)
{
    scenario_require("BOUND.room", put(argument, 2, 1, HD_FOREVER) == HD_OK);
}

/* Starts a worker (two_workers: both) and the threads, and closes once all has ended. */
static void serve(batch_state *state, bool two_workers, uint32_t count, void (*const *runs)(void *))
{
    static const char *const names[] = {"first", "second", "third"};
    hd_thread threads[3], workers[2];
    scenario_start(&workers[0], "worker", run_first_worker, state);
    if (two_workers) {
        scenario_start(&workers[1], "worker 2", run_second_worker, state);
    }
    for (uint32_t i = 0; i < count; i++) {
        scenario_start(&threads[i], names[i], runs[i], state);
    }
    for (uint32_t i = 0; i < count; i++) {
        hd_thread_join(&threads[i]);
    }
    scenario_require("BOUND.served", await_all(state, HD_FOREVER) == HD_OK);
    for (uint32_t i = 0; i < REQUESTS; i++) { /* all ended, and this thread sees it */
        state->requests[i].used += 0;
    }
    close_queue(state, NULL);
    hd_thread_join(&workers[0]);
    if (two_workers) {
        hd_thread_join(&workers[1]);
    }
    batch_end(state);
}

#define BATCH_SCENARIO(name, two_workers, max_rows, capacity, max_delay, ...)                      \
    static void name(void)                                                                         \
    {                                                                                              \
        void (*const runs[])(void *) = {__VA_ARGS__};                                              \
        serve(batch_open(max_rows, capacity, max_delay), two_workers, sizeof runs / sizeof *runs,  \
              runs);                                                                               \
    }

BATCH_SCENARIO(one_request, false, 2, 2, 0, put_waiting)
BATCH_SCENARIO(two_requests, false, 2, 2, 0, put_waiting, put_limited)
BATCH_SCENARIO(two_workers_one_request, true, 2, 2, 0, put_waiting)
BATCH_SCENARIO(two_workers_two_requests, true, 2, 2, 0, put_waiting, put_other)
BATCH_SCENARIO(full_with_limit, false, 1, 1, 0, put_waiting, put_limited)
BATCH_SCENARIO(waits_for_more, false, 2, 2, 1000, put_waiting, put_limited)
BATCH_SCENARIO(waits_and_other, false, 2, 2, 1000, put_waiting, put_other)

/* The queue is full when a thread submits; a worker makes room, and the limit may pass. */
static void full_and_release(void)
{
    batch_state *state = batch_open(1, 1, 0);
    hd_thread first, second, worker;
    scenario_require("SAFE.room", put(state, 2, 1, 0) == HD_OK);
    scenario_start(&first, "first", put_closable, state);
    scenario_start(&second, "second", put_limited, state);
    scenario_start(&worker, "worker", run_first_worker, state);
    hd_thread_join(&first);
    hd_thread_join(&second);
    close_queue(state, NULL);
    hd_thread_join(&worker);
    batch_end(state);
}

static void close_against(batch_state *state, bool cancels, bool full)
{
    hd_thread submitter, worker;
    hd_batch_list cancelled;
    if (full) {
        scenario_require("SAFE.room", put(state, 2, 1, 0) == HD_OK);
    }
    scenario_start(&worker, "worker", run_first_worker, state);
    scenario_start(&submitter, "submitter", put_closable, state);
    close_queue(state, cancels ? &cancelled : NULL);
    if (cancels) {
        end_cancelled(state, &cancelled);
    }
    scenario_require("BOUND.ends", await_all(state, HD_FOREVER) == HD_OK);
    hd_thread_join(&worker);
    hd_thread_join(&submitter);
    batch_end(state);
}

static void drain_against_submit(void)
{
    close_against(batch_open(2, 2, 0), false, false);
}

static void cancel_against_submit(void)
{
    close_against(batch_open(2, 2, 0), true, false);
}

static void drain_against_line(void)
{
    close_against(batch_open(1, 1, 0), false, true);
}

static void cancel_against_line(void)
{
    close_against(batch_open(1, 1, 0), true, true);
}

/* Who stands in front. */
static const hd_batch_request *first_in_line(batch_state *state)
{
    hd_mutex_lock(&state->queue.mutex);
    const hd_batch_submitter *first = state->queue.first_in_line;
    const hd_batch_request *request = first == NULL ? NULL : first->request;
    hd_mutex_unlock(&state->queue.mutex);
    return request;
}

static void put_second_closable(void *argument)
{
    hd_status status = put(argument, 1, 0, HD_FOREVER);
    scenario_require("ONCE.closable", status == HD_OK || status == HD_CLOSED);
}

/* Nobody serves the queue: whoever stands in line when it is closed is woken. */
static void close_against_two_in_line(void)
{
    batch_state *state = batch_open(1, 1, 0);
    hd_thread first, second;
    hd_batch_list cancelled;
    scenario_require("SAFE.room", put(state, 2, 1, 0) == HD_OK);
    scenario_start(&first, "first", put_closable, state);
    scenario_start(&second, "second", put_second_closable, state);
    close_queue(state, &cancelled);
    end_cancelled(state, &cancelled);
    hd_thread_join(&first);
    hd_thread_join(&second);
    batch_end(state);
}

/* Whoever stands in front is next, whoever else comes. */
static void line_in_order(void)
{
    batch_state *state = batch_open(1, 1, 0);
    hd_thread first, second;
    hd_batch_list batch;
    const hd_batch_request *next = NULL;
    scenario_require("SAFE.room", put(state, 2, 0, 0) == HD_OK);
    scenario_start(&first, "first", put_waiting, state);
    scenario_start(&second, "second", put_second_closable, state);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        const hd_batch_request *front = first_in_line(state);
        scenario_require("BOUND.served", collect(state, 0, &batch));
        scenario_require("BOUND.first-come-first-served",
                         batch.count == 1 && (next == NULL || batch.first == next));
        use_all(state, &batch);
        next = front;
    }
    close_queue(state, NULL);
    scenario_require("ONCE.over", !collect(state, 0, &batch));
    hd_thread_join(&first);
    hd_thread_join(&second);
    batch_end(state);
}

/* Requests of `rows` rows each; batches of at most three, as many requests as `counts` says. */
static void collect_rows(const uint32_t rows[REQUESTS], const uint32_t *counts)
{
    batch_state *state = batch_open(3, REQUESTS, 0);
    hd_batch_list batch;
    for (uint32_t i = 0; i < REQUESTS; i++) {
        scenario_require("SAFE.room", put_rows(state, i, 0, rows[i], 0) == HD_OK);
    }
    for (uint32_t begin = 0; begin < REQUESTS; begin += *counts++) {
        scenario_require("BOUND.served", collect(state, 0, &batch));
        scenario_require("BOUND.first-come-first-served",
                         batch.first == &state->requests[begin].request);
        scenario_require("BOUND.rows", batch.count == *counts && batch.rows <= 3);
        use_all(state, &batch);
    }
    close_queue(state, NULL);
    scenario_require("ONCE.over", !collect(state, 0, &batch));
    batch_end(state);
}

/* A batch has as many rows as it may have, and no request overtakes one of its kind that has no place in it. */
static void rows_fill_a_batch(void)
{
    collect_rows((const uint32_t[]){1, 2, 1}, (const uint32_t[]){2, 1});
    collect_rows((const uint32_t[]){1, 3, 1}, (const uint32_t[]){1, 1, 1});
    collect_rows((const uint32_t[]){2, 2, 1}, (const uint32_t[]){1, 2});
}

static void cancel_against_collect(void)
{
    close_against(batch_open(2, 2, 1000), true, false);
}

static void run_canceller(void *argument)
{
    batch_state *state = argument;
    hd_batch_list cancelled;
    close_queue(state, &cancelled);
    end_cancelled(state, &cancelled);
}

/* One drains with a limit while another cancels. */
static void drain_against_cancel(void)
{
    batch_state *state = batch_open(2, 2, 1000);
    hd_thread canceller, worker;
    scenario_require("SAFE.room", put(state, 0, 0, 0) == HD_OK);
    scenario_start(&worker, "worker", run_first_worker, state);
    scenario_start(&canceller, "canceller", run_canceller, state);
    close_queue(state, NULL);
    hd_status status =
        SCENARIO_LIMITED(SCENARIO_LATER, HD_NOT_YET, await_all(state, SCENARIO_LATER));
    scenario_require("BOUND.limited", status == HD_OK || status == HD_NOT_YET);
    hd_thread_join(&worker);
    hd_thread_join(&canceller);
    batch_end(state);
}

/* A queue in a block of its own, and a request whose end lets another thread destroy it. */
typedef struct ending_state {
    hd_batch_queue *queue;
    hd_batch_worker worker;
    hd_batch_request requests[2];
    _Atomic uint32_t has_ended; /* the second request */
    char kind;
} ending_state;

static void stand_in_line(void *argument)
{
    ending_state *state = argument;
    scenario_require("BOUND.room",
                     hd_batch_queue_submit(state->queue, &state->requests[1], HD_FOREVER) == HD_OK);
}

static void work_and_tell(void *argument)
{
    ending_state *state = argument;
    hd_batch_list batch;
    while (hd_batch_queue_collect(state->queue, &state->worker, &batch)) {
        if (batch.first == &state->requests[1]) {
            hd_store_release(&state->has_ended, 1);
        }
    }
}

/* The queue is destroyed as soon as the last request has ended, while the thread that put it in
 * may still be on its way out. */
static void destroy_against_line(void)
{
    ending_state *state = hd_alloc_zero(1, sizeof *state);
    hd_thread submitter, worker;
    state->queue = hd_alloc_zero(1, sizeof *state->queue);
    state->queue->max_rows = 1;
    state->queue->capacity = 1;
    scenario_require("explorer", hd_batch_queue_init(state->queue) == HD_OK);
    scenario_require("explorer", hd_batch_worker_init(&state->worker) == HD_OK);
    for (uint32_t i = 0; i < 2; i++) {
        state->requests[i] = (hd_batch_request){.kind = &state->kind, .rows = 1};
    }
    scenario_require("SAFE.room",
                     hd_batch_queue_submit(state->queue, &state->requests[0], 0) == HD_OK);
    scenario_start(&submitter, "submitter", stand_in_line, state);
    scenario_start(&worker, "worker", work_and_tell, state);
    while (hd_load_acquire(&state->has_ended) == 0) {
        hd_thread_yield();
    }
    hd_batch_queue_close(state->queue, NULL);
    hd_thread_join(&worker);
    hd_batch_queue_destroy(state->queue);
    hd_free(state->queue);
    hd_thread_join(&submitter);
    hd_batch_worker_destroy(&state->worker);
    hd_free(state);
}

const scenario scenarios_batch_queue[] = {
    {.name = "batch.one-request", .run = one_request},
    {.name = "batch.two-requests", .run = two_requests},
    {.name = "batch.wake-without-reason", .run = two_requests, .spurious = 1},
    {.name = "batch.two-workers-one-request", .run = two_workers_one_request},
    {.name = "batch.two-workers-two-requests", .run = two_workers_two_requests},
    {.name = "batch.full-with-limit", .run = full_with_limit},
    {.name = "batch.full-and-release", .run = full_and_release},
    {.name = "batch.waits-for-more", .run = waits_for_more},
    {.name = "batch.waits-and-other", .run = waits_and_other},
    {.name = "batch.drain-against-submit", .run = drain_against_submit},
    {.name = "batch.cancel-against-submit", .run = cancel_against_submit},
    {.name = "batch.drain-against-line", .run = drain_against_line},
    {.name = "batch.cancel-against-line", .run = cancel_against_line},
    {.name = "batch.close-against-two-in-line", .run = close_against_two_in_line},
    {.name = "batch.line-in-order", .run = line_in_order},
    {.name = "batch.rows-fill-a-batch", .run = rows_fill_a_batch},
    {.name = "batch.cancel-against-collect", .run = cancel_against_collect},
    {.name = "batch.drain-against-cancel", .run = drain_against_cancel},
    {.name = "batch.destroy-against-line", .run = destroy_against_line},
    {.name = NULL},
};
