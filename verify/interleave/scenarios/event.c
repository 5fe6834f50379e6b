/* Scenarios of events: the real event.c, stream.c, timeline.c and device.c over queues whose work the
 * scenario's threads do. */
#include "heddle/event.h"

#include "device.h"

#include "../scenario.h"
#include "stand_in.h"

typedef struct event_state {
    hd_device *device;
    hd_stream streams[2]; /* slots 1 and 2 */
    hd_event *event;
    hd_work *queued[2][3]; /* of streams 1 and 2, in order */
    uint32_t queued_count[2];
    hd_mutex mutex; /* rank leaf */
    hd_condition resumed;
    bool is_resumed;
    bool is_served; /* `queued_count` is under the mutex: threads wait for work */
    hd_condition arrived;
    bool ended; /* the device */
} event_state;

/* Called under the stream's lock, as a real queue is. */
static void queue_work(hd_runners *runners, uint32_t number, hd_work *work)
{
    event_state *state = (event_state *)(uintptr_t)runners;
    if (state->is_served) {
        static const char *const names[2][3] = {{"a0", "a1", "a2"}, {"b0", "b1", "b2"}};
        const char *name = names[number - 1][state->queued_count[number - 1]];
        scenario_event("queues %s", name);
        trace_name((const char *)work + sizeof(hd_flight), sizeof(uint32_t), name);
        hd_mutex_lock(&state->mutex);
    }
    state->queued[number - 1][state->queued_count[number - 1]++] = work;
    if (state->is_served) {
        hd_condition_broadcast(&state->arrived);
        hd_mutex_unlock(&state->mutex);
    }
}

static void resume_queue(hd_runners *runners, uint32_t number)
{
    event_state *state = (event_state *)(uintptr_t)runners;
    scenario_event("resumes %u", number);
    hd_mutex_lock(&state->mutex);
    state->is_resumed = true;
    hd_condition_broadcast(&state->resumed);
    hd_mutex_unlock(&state->mutex);
}

/* `runners` is the scenario's state, which the device is opened for. */
static hd_status create_runners(hd_runners **out_runners)
{
    event_state *state = hd_alloc_zero(1, sizeof *state);
    *out_runners = (hd_runners *)(uintptr_t)state;
    return HD_OK;
}

/* The device ends; the state is the scenario's. */
static void destroy_runners(hd_runners *runners)
{
    ((event_state *)(uintptr_t)runners)->ended = true;
}

static const scenario_stand_in served = {create_runners, destroy_runners, queue_work, resume_queue};

static event_state *event_open(void)
{
    scenario_use_stand_in(&served);
    hd_device *device = scenario_device_open(&scenario_backend, 0);
    event_state *state = (event_state *)(uintptr_t)device->runners;
    scenario_require("explorer", hd_mutex_init(&state->mutex, HD_RANK_leaf) == HD_OK &&
                                     hd_condition_init(&state->resumed) == HD_OK &&
                                     hd_condition_init(&state->arrived) == HD_OK);
    for (uint32_t i = 0; i < 2; i++) {
        scenario_require("explorer",
                         hd_stream_acquire(device, 0, &state->streams[i], NULL) == HD_OK);
    }
    state->device = device;
    scenario_require("explorer", hd_event_create(device, &state->event, NULL) == HD_OK);
    return state;
}

static void event_end(event_state *state)
{
    scenario_event("calls destroy");
    hd_event_destroy(&state->event);
    scenario_event("calls close");
    hd_device_destroy(&state->device);
    scenario_require("REUSE.device-ended", state->ended);
    hd_condition_destroy(&state->arrived);
    hd_condition_destroy(&state->resumed);
    hd_mutex_destroy(&state->mutex);
    hd_free(state);
}

/* For traces: threads do the streams' work as it comes. */
static event_state *event_open_served(void)
{
    event_state *state = event_open();
    state->is_served = true;
    trace_name(&state->device->reference_count, sizeof(uint32_t), "users");
    trace_name(&state->device->streams[1].timeline, sizeof(hd_timeline), "s1");
    trace_name(&state->device->streams[2].timeline, sizeof(hd_timeline), "s2");
    scenario_event("event");
    return state;
}

static void record_on(event_state *state, uint32_t stream)
{
    scenario_require("SAFE.record",
                     hd_event_record(state->event, state->streams[stream - 1], 0, NULL) == HD_OK);
}

/* Does a stream's work; what is parked goes on when it is resumed. */
static void run_stream(event_state *state, uint32_t stream, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        hd_work *work = state->queued[stream - 1][i];
        while (work->run(work, 0) == HD_WORK_PARKED) {
            hd_mutex_lock(&state->mutex);
            while (!state->is_resumed) {
                hd_condition_wait_until(&state->resumed, &state->mutex, HD_FOREVER);
            }
            state->is_resumed = false;
            hd_mutex_unlock(&state->mutex);
        }
    }
}

static void run_first(void *argument)
{
    run_stream(argument, 1, 1);
}

static void run_first_twice(void *argument)
{
    run_stream(argument, 1, 2);
}

static void run_second(void *argument)
{
    run_stream(argument, 2, 1);
}

static void wait_for_event(void *argument)
{
    event_state *state = argument;
    scenario_require("BOUND.event", hd_event_wait(state->event, UINT32_MAX, NULL) == HD_OK);
}

static void measure(void *argument)
{
    event_state *state = argument;
    double milliseconds = -1;
    hd_status status = hd_event_elapsed(state->event, state->event, &milliseconds, NULL);
    scenario_require("SAFE.elapsed",
                     status == HD_NOT_YET || (status == HD_OK && milliseconds == 0));
}

static void record_again(void *argument)
{
    record_on(argument, 2);
}

static void run_two(event_state *state, void (*first)(void *), void (*second)(void *))
{
    hd_thread threads[2];
    scenario_start(&threads[0], "first", first, state);
    scenario_start(&threads[1], "second", second, state);
    hd_thread_join(&threads[0]);
    hd_thread_join(&threads[1]);
}

/* The handle goes while the mark is in flight. */
static void destroy_while_recorded(void)
{
    event_state *state = event_open();
    record_on(state, 1);
    hd_thread runner;
    scenario_start(&runner, "runner", run_first, state);
    hd_event_destroy(&state->event);
    hd_thread_join(&runner);
    event_end(state);
}

static void wait_against_completion(void)
{
    event_state *state = event_open();
    record_on(state, 1);
    run_two(state, wait_for_event, run_first);
    event_end(state);
}

/* Whoever waits has the earlier point, or the later one. */
static void wait_against_record(void)
{
    event_state *state = event_open();
    record_on(state, 1);
    run_first(state);
    record_on(state, 1);
    hd_thread runner;
    scenario_start(&runner, "runner", wait_for_event, state);
    hd_work *mark = state->queued[0][1];
    mark->run(mark, 0);
    hd_thread_join(&runner);
    event_end(state);
}

static void elapsed_against_completion(void)
{
    event_state *state = event_open();
    record_on(state, 1);
    run_two(state, measure, run_first);
    event_end(state);
}

static void elapsed_against_record(void)
{
    event_state *state = event_open();
    record_on(state, 1);
    run_first(state);
    run_two(state, measure, record_again);
    run_second(state);
    event_end(state);
}

/* A stream waits for a mark of another; the handle is gone by then. */
static void barrier_against_completion(void)
{
    event_state *state = event_open();
    record_on(state, 1);
    scenario_require("SAFE.barrier",
                     hd_event_wait_on_stream(state->event, state->streams[1], 0, NULL) == HD_OK);
    hd_event_destroy(&state->event);
    run_two(state, run_second, run_first);
    event_end(state);
}

/* The last of them ends the device. */
static void device_ends_with_the_work(void)
{
    event_state *state = event_open();
    record_on(state, 1);
    record_on(state, 1);
    hd_event_destroy(&state->event);
    hd_thread runner;
    scenario_start(&runner, "runner", run_first_twice, state);
    hd_device_destroy(&state->device);
    hd_thread_join(&runner);
    scenario_require("REUSE.device-ended", state->ended);
    hd_condition_destroy(&state->arrived);
    hd_condition_destroy(&state->resumed);
    hd_mutex_destroy(&state->mutex);
    hd_free(state);
}

/* A stream that is full refuses: what was made for it goes back. */
static void refused(void)
{
    event_state *state = event_open();
    state->device->streams[2].depth = 1;
    record_on(state, 2);
    scenario_require("BOUND.refused",
                     hd_event_record(state->event, state->streams[1], 0, NULL) == HD_EXHAUSTED);
    scenario_require("BOUND.refused", hd_event_wait_on_stream(state->event, state->streams[1], 0,
                                                              NULL) == HD_EXHAUSTED);
    run_second(state);
    event_end(state);
}

/* ---- for traces: two callers, each with one event between them, and two streams that are served meanwhile */

static void serve(event_state *state, uint32_t stream, uint32_t count)
{
    scenario_event("serves s%u", stream);
    for (uint32_t i = 0; i < count; i++) {
        hd_mutex_lock(&state->mutex);
        while (state->queued_count[stream - 1] == i) {
            hd_condition_wait_until(&state->arrived, &state->mutex, HD_FOREVER);
        }
        hd_mutex_unlock(&state->mutex);
        hd_work *work = state->queued[stream - 1][i];
        while (work->run(work, 0) == HD_WORK_PARKED) {
            hd_mutex_lock(&state->mutex);
            while (!state->is_resumed) {
                hd_condition_wait_until(&state->resumed, &state->mutex, HD_FOREVER);
            }
            state->is_resumed = false;
            hd_mutex_unlock(&state->mutex);
        }
    }
}

static void call_record(event_state *state, uint32_t stream)
{
    scenario_event("calls record %u", stream);
    record_on(state, stream);
    scenario_event("answers");
}

static void call_barrier(event_state *state, uint32_t stream)
{
    scenario_event("calls barrier %u", stream);
    scenario_require("SAFE.barrier",
                     hd_event_wait_on_stream(state->event, state->streams[stream - 1], 0, NULL) ==
                         HD_OK);
    scenario_event("answers");
}

static void call_wait(event_state *state, uint32_t timeout_ms)
{
    scenario_event("calls wait");
    hd_status status = hd_event_wait(state->event, timeout_ms, NULL);
    scenario_event("answers %d", (int)status);
    scenario_require("BOUND.event", status == HD_OK || (status == HD_NOT_YET && timeout_ms == 0));
}

static void serve_first_once(void *argument)
{
    serve(argument, 1, 1);
}

static void serve_first_twice(void *argument)
{
    serve(argument, 1, 2);
}

static void serve_second_once(void *argument)
{
    serve(argument, 2, 1);
}

static void record_both(void *argument)
{
    call_record(argument, 1);
    call_record(argument, 2);
}

static void record_and_wait(void *argument)
{
    call_record(argument, 1);
    call_wait(argument, UINT32_MAX);
}

static void wait_twice(void *argument)
{
    call_wait(argument, 0);
    call_wait(argument, UINT32_MAX);
}

static void record_and_bar(void *argument)
{
    call_record(argument, 1);
    call_barrier(argument, 2);
}

static void record_second_and_bar(void *argument)
{
    call_record(argument, 2);
    call_barrier(argument, 1);
}

static void record_first_again(void *argument)
{
    call_wait(argument, 0);
    call_record(argument, 1);
}

static void run_served(void (*const run[4])(void *))
{
    event_state *state = event_open_served();
    hd_thread threads[4];
    for (uint32_t i = 0; i < 4; i++) {
        scenario_start(&threads[i], i < 2 ? "caller" : "runner", run[i], state);
    }
    for (uint32_t i = 0; i < 4; i++) {
        hd_thread_join(&threads[i]);
    }
    event_end(state);
}

static void records_against_waits(void)
{
    run_served(
        (void (*const[4])(void *)){record_both, wait_twice, serve_first_once, serve_second_once});
}

static void records_against_barrier(void)
{
    run_served((void (*const[4])(void *)){record_and_bar, record_first_again, serve_first_twice,
                                          serve_second_once});
}

static void streams_wait_for_each_other(void)
{
    run_served((void (*const[4])(void *)){record_second_and_bar, record_and_wait, serve_first_twice,
                                          serve_second_once});
}

const scenario scenarios_event[] = {
    {.name = "event.destroy-while-recorded", .run = destroy_while_recorded},
    {.name = "event.wait-against-completion", .run = wait_against_completion},
    {.name = "event.wait-against-record", .run = wait_against_record},
    {.name = "event.elapsed-against-completion", .run = elapsed_against_completion},
    {.name = "event.elapsed-against-record", .run = elapsed_against_record},
    {.name = "event.barrier-against-completion", .run = barrier_against_completion},
    {.name = "event.device-ends-with-the-work", .run = device_ends_with_the_work},
    {.name = "event.refused", .run = refused},
    {.name = "event.records-against-waits", .run = records_against_waits, .preemptions = 1},
    {.name = "event.records-against-barrier", .run = records_against_barrier, .preemptions = 1},
    {.name = "event.streams-wait-for-each-other",
     .run = streams_wait_for_each_other,
     .preemptions = 1},
    {.name = NULL},
};
