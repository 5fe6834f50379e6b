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
    bool ended; /* the device */
} event_state;

/* Called under the stream's lock, as a real queue is. */
static void queue_work(hd_runners *runners, uint32_t number, hd_work *work)
{
    event_state *state = (event_state *)(uintptr_t)runners;
    state->queued[number - 1][state->queued_count[number - 1]++] = work;
}

static void resume_queue(hd_runners *runners, uint32_t number)
{
    (void)number;
    event_state *state = (event_state *)(uintptr_t)runners;
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
                                     hd_condition_init(&state->resumed) == HD_OK);
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
    hd_event_destroy(&state->event);
    hd_device_destroy(&state->device);
    scenario_require("REUSE.device-ended", state->ended);
    hd_condition_destroy(&state->resumed);
    hd_mutex_destroy(&state->mutex);
    hd_free(state);
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
    hd_condition_destroy(&state->resumed);
    hd_mutex_destroy(&state->mutex);
    hd_free(state);
}

const scenario scenarios_event[] = {
    {.name = "event.destroy-while-recorded", .run = destroy_while_recorded},
    {.name = "event.wait-against-completion", .run = wait_against_completion},
    {.name = "event.wait-against-record", .run = wait_against_record},
    {.name = "event.elapsed-against-completion", .run = elapsed_against_completion},
    {.name = "event.elapsed-against-record", .run = elapsed_against_record},
    {.name = "event.barrier-against-completion", .run = barrier_against_completion},
    {.name = "event.device-ends-with-the-work", .run = device_ends_with_the_work},
    {.name = NULL},
};
