/* Scenarios of the timeline. `work` is written before each signal, without a lock or atomics:
 * who finds a point reached and does not see what was done before it is a data race. */
#include "runtime/timeline.h"

#include "../scenario.h"

typedef struct timeline_state {
    hd_timeline timeline;
    uint32_t work[3]; /* by point */
    uint32_t told;    /* written by the thread that signals only */
} timeline_state;

static timeline_state *timeline_open(void)
{
    timeline_state *state = hd_alloc_aligned(sizeof *state);
    scenario_require("explorer", state != NULL);
    *state = (timeline_state){.told = 0};
    scenario_require("explorer", hd_timeline_init(&state->timeline) == HD_OK);
    trace_name(&state->timeline.completed, sizeof state->timeline.completed, "completed");
    trace_name(&state->timeline.waiting, sizeof state->timeline.waiting, "waiting");
    trace_name(&state->timeline.mutex, sizeof state->timeline.mutex, "mutex");
    trace_name(&state->timeline.changed, sizeof state->timeline.changed, "changed");
    trace_name(&state->timeline, sizeof state->timeline, "timeline");
    hd_timeline_submit(&state->timeline);
    hd_timeline_submit(&state->timeline);
    return state;
}

static void timeline_end(timeline_state *state)
{
    hd_timeline_destroy(&state->timeline);
    hd_free(state);
}

static void signal_one(timeline_state *state, uint64_t point)
{
    state->work[point] = 1;
    scenario_event("signals %u", (unsigned)point);
    hd_timeline_signal(&state->timeline, point);
    scenario_event("returns");
}

static void signal_first(void *argument)
{
    signal_one(argument, 1);
}

static void signal_both(void *argument)
{
    signal_one(argument, 1);
    signal_one(argument, 2);
}

/* Both at once, as when what lies between is skipped. */
static void signal_second(void *argument)
{
    timeline_state *state = argument;
    state->work[1] = 1;
    signal_one(state, 2);
}

/* The calls under test, with what verify/tla/traces needs to know of them. */
static hd_status wait_until(timeline_state *state, uint64_t point, uint64_t deadline)
{
    scenario_event("waits %u", (unsigned)point);
    hd_status status = hd_timeline_wait(&state->timeline, point, deadline);
    scenario_event("returns");
    return status;
}

static bool set_watch(timeline_state *state, hd_timeline_watch *watch, uint64_t point)
{
    scenario_event("watches %p %u", (void *)watch, (unsigned)point);
    bool waits = hd_timeline_set_watch(&state->timeline, watch, point);
    scenario_event("returns");
    return waits;
}

static void await(timeline_state *state, uint64_t point)
{
    scenario_require("BOUND.reached", wait_until(state, point, HD_FOREVER) == HD_OK);
    scenario_require("SAFE.work-seen", state->work[point] == 1);
}

static void await_first(void *argument)
{
    await(argument, 1);
}

static void await_second(void *argument)
{
    await(argument, 2);
}

static void await_limited(void *argument)
{
    timeline_state *state = argument;
    hd_status status =
        SCENARIO_LIMITED(SCENARIO_LATER, HD_NOT_YET, wait_until(state, 1, SCENARIO_LATER));
    scenario_require("BOUND.limited", status == HD_OK || status == HD_NOT_YET);
    if (status == HD_OK) {
        scenario_require("SAFE.work-seen", state->work[1] == 1);
    }
}

typedef struct counted_watch {
    hd_timeline_watch watch; /* first */
    timeline_state *state;
    _Atomic uint32_t told;
} counted_watch;

/* Frees the watch, as its owner may. */
static void note_reached(hd_timeline_watch *watch)
{
    timeline_state *state = ((counted_watch *)watch)->state;
    scenario_event("told %p", (void *)watch);
    hd_check_no_lock_held();
    scenario_require("SAFE.work-seen", state->work[watch->point] == 1);
    state->told++;
    hd_free(watch);
}

/* Whether it waits; if not, the function must never be called. */
static bool add_watch(timeline_state *state, uint64_t point)
{
    counted_watch *watch = hd_alloc(sizeof *watch);
    scenario_require("explorer", watch != NULL);
    *watch = (counted_watch){.watch = {.reached = note_reached}, .state = state};
    bool waits = set_watch(state, &watch->watch, point);
    if (!waits) {
        scenario_require("SAFE.work-seen", state->work[point] == 1);
        hd_free(watch);
    }
    return waits;
}

static void two(void (*signaller)(void *), void (*waiter)(void *), void (*second)(void *))
{
    timeline_state *state = timeline_open();
    hd_thread threads[2];
    scenario_start(&threads[0], "signaller", signaller, state);
    scenario_start(&threads[1], "waiter", waiter, state);
    if (second != NULL) {
        second(state);
    }
    hd_thread_join(&threads[0]);
    hd_thread_join(&threads[1]);
    timeline_end(state);
}

static void wait_against_signal(void)
{
    two(signal_first, await_first, NULL);
}

static void limited_against_signal(void)
{
    two(signal_first, await_limited, NULL);
}

/* The first point wakes who waits for the second, whose time goes on from when it began. */
static void await_second_limited(void *argument)
{
    timeline_state *state = argument;
    hd_status status =
        SCENARIO_LIMITED(SCENARIO_LATER, HD_NOT_YET, wait_until(state, 2, SCENARIO_LATER));
    scenario_require("SAFE.work-seen", status == HD_NOT_YET || state->work[2] == 1);
    scenario_outcome(status == HD_OK ? 0 : 1);
}

static void woken_in_vain(void)
{
    two(signal_both, await_second_limited, NULL);
}

static void limited_and_unlimited(void)
{
    two(signal_first, await_limited, await_first);
}

static void two_points(void)
{
    two(signal_both, await_second, await_first);
}

static void point_skipped(void)
{
    two(signal_second, await_second, await_first);
}

static void watch_against(void (*signaller)(void *), uint64_t first, uint64_t second)
{
    timeline_state *state = timeline_open();
    hd_thread thread;
    scenario_start(&thread, "signaller", signaller, state);
    uint32_t waiting = add_watch(state, first);
    waiting += add_watch(state, second);
    hd_thread_join(&thread);
    scenario_require("ONCE.told-once", state->told == waiting);
    timeline_end(state);
}

static void watches_against_signals(void)
{
    watch_against(signal_both, 2, 1);
}

static void watches_of_one_point(void)
{
    watch_against(signal_first, 1, 1);
}

static void add_second_watch(void *argument)
{
    add_watch(argument, 2);
}

static void watch_and_wait(void)
{
    two(signal_both, add_second_watch, await_first);
}

/* Not freed: it may be set again. The point for which it was set is not read: another may set
 * it. */
static void count_reached(hd_timeline_watch *watch)
{
    counted_watch *counted = (counted_watch *)watch;
    scenario_event("told %p", (void *)watch);
    hd_check_no_lock_held();
    hd_add_relaxed(&counted->told, 1);
}

static void set_first(void *argument)
{
    counted_watch *watch = argument;
    if (!set_watch(watch->state, &watch->watch, 1)) {
        scenario_require("SAFE.work-seen", watch->state->work[1] == 1);
        hd_add_relaxed(&watch->told, 1);
    }
}

/* A watch stands on the second point while another thread sets it for the first, and the device
 * reaches that, or both. Who set it for the first is told of it. */
static void watch_moves(void (*signaller)(void *))
{
    timeline_state *state = timeline_open();
    counted_watch *watch = hd_alloc_zero(1, sizeof *watch);
    hd_thread threads[2];
    *watch = (counted_watch){.watch = {.reached = count_reached}, .state = state};
    scenario_require("SAFE.waits", set_watch(state, &watch->watch, 2));
    scenario_start(&threads[0], "signaller", signaller, state);
    scenario_start(&threads[1], "setter", set_first, watch);
    hd_thread_join(&threads[0]);
    hd_thread_join(&threads[1]);
    scenario_require("ONCE.told", hd_load_relaxed(&watch->told) >= 1);
    if (signaller == signal_first) {
        signal_one(state, 2);
    }
    scenario_require("ONCE.told", hd_load_relaxed(&watch->told) <= 2);
    timeline_end(state);
    hd_free(watch);
}

/* Set for the second point, too, it is still told of the first. */
static void watch_set_for_later(void)
{
    timeline_state *state = timeline_open();
    counted_watch *watch = hd_alloc_zero(1, sizeof *watch);
    hd_thread thread;
    *watch = (counted_watch){.watch = {.reached = count_reached}, .state = state};
    scenario_require("SAFE.waits", set_watch(state, &watch->watch, 1));
    scenario_start(&thread, "signaller", signal_first, state);
    scenario_require("SAFE.waits", set_watch(state, &watch->watch, 2));
    hd_thread_join(&thread);
    scenario_require("ONCE.told", hd_load_relaxed(&watch->told) == 1);
    signal_one(state, 2);
    timeline_end(state);
    hd_free(watch);
}

static void watch_moves_to_first(void)
{
    watch_moves(signal_first);
}

static void watch_moves_against_both(void)
{
    watch_moves(signal_both);
}

const scenario scenarios_timeline[] = {
    {.name = "timeline.wait-against-signal", .run = wait_against_signal},
    {.name = "timeline.wake-without-reason", .run = wait_against_signal, .spurious = 1},
    {.name = "timeline.limited-against-signal", .run = limited_against_signal},
    {.name = "timeline.woken-in-vain", .run = woken_in_vain, .outcomes = 3},
    {.name = "timeline.limited-and-unlimited", .run = limited_and_unlimited},
    {.name = "timeline.two-points", .run = two_points},
    {.name = "timeline.point-skipped", .run = point_skipped},
    {.name = "timeline.watches-against-signals", .run = watches_against_signals},
    {.name = "timeline.watches-of-one-point", .run = watches_of_one_point},
    {.name = "timeline.watch-and-wait", .run = watch_and_wait},
    {.name = "timeline.watch-set-for-later", .run = watch_set_for_later},
    {.name = "timeline.watch-moves", .run = watch_moves_to_first},
    {.name = "timeline.watch-moves-against-both", .run = watch_moves_against_both},
    {.name = NULL},
};
