/* Scenarios of the device: its shutdown and its end against all that goes on. */
#include "device.h"

#include "heddle/event.h"

#include "../scenario.h"

/* The name of a device is its table. */
hd_status hd_backend_find(const char *name, const hd_backend **out_backend, uint32_t *out_ordinal,
                          hd_error *error)
{
    (void)error;
    *out_ordinal = 0;
    *out_backend = (const hd_backend *)(uintptr_t)name;
    return HD_OK;
}

/* Units of scenarios are the host's. */
const hd_backend *hd_backend_host(void)
{
    return &scenario_backend;
}

/* Threads of scenarios remember no slot: they lease none for a run. */
void hd_thread_call_at_exit(void (*function)(void))
{
    (void)function;
}

/* No scenario asks for the list of devices. */
const hd_backend *hd_backend_at(size_t index)
{
    (void)index;
    return NULL;
}

static void describe(uint32_t ordinal, hd_device_info *info)
{
    (void)ordinal;
    *info =
        (hd_device_info){.kind = HD_DEVICE_CPU, .core_count = 1, .queue_count = HD_STREAM_COUNT};
}

static hd_status open_unit(uint32_t ordinal, const hd_unit_options *options, hd_unit **out_unit,
                           hd_error *error)
{
    (void)ordinal, (void)options, (void)error;
    static hd_unit unit = {.backend = &scenario_backend, .is_host = true};
    *out_unit = &unit;
    return HD_OK;
}

static void close_unit(hd_unit **unit)
{
    *unit = NULL;
}

static hd_status create_queue(hd_unit *unit, uint32_t number, hd_queue **out_queue)
{
    (void)unit, (void)number;
    *out_queue = NULL;
    return HD_OK;
}

static void destroy_queue(hd_unit *unit, hd_queue **queue)
{
    (void)unit, (void)queue;
}

const hd_backend scenario_backend = {
    .describe = describe,
    .open = open_unit,
    .close = close_unit,
    .queues = &(const hd_queue_table){.create = create_queue, .destroy = destroy_queue}};

hd_device *scenario_device_open(const hd_backend *backend, uint32_t queue_count)
{
    hd_device *device;
    hd_device_options options = {.struct_size = sizeof options, .queue_count = queue_count};
    scenario_require("explorer", hd_device_open((const char *)(uintptr_t)backend, &options, &device,
                                                NULL) == HD_OK);
    trace_name(device, sizeof *device, "device");
    return device;
}

/* `used` is touched by whoever works on the device, and by whoever has shut it down, without a lock. */
typedef struct device_state {
    hd_device *device;
    hd_stream stream;
    hd_event *event;
    hd_stream_work work;
    hd_device *waited_on; /* by a thread that has no handle of its own */
    hd_device *kept;      /* by work in flight */
    uint32_t used;
    uint32_t expected; /* what a shutdown must have seen at least */
} device_state;

static device_state *device_open(uint32_t queue_count)
{
    device_state *state = hd_alloc_zero(1, sizeof *state);
    state->device = scenario_device_open(&scenario_backend, queue_count);
    trace_name(&state->used, sizeof state->used, "used");
    return state;
}

static void device_end(device_state *state)
{
    hd_event_destroy(&state->event);
    hd_device_destroy(&state->device);
    hd_free(state);
}

static hd_work_result use(hd_work *work, uint32_t runner)
{
    (void)runner;
    device_state *state = (device_state *)((char *)work - offsetof(device_state, work));
    state->used++;
    hd_stream_complete(&state->work);
    return HD_WORK_DONE;
}

static hd_status submit(device_state *state)
{
    hd_stream_ref ref;
    state->work.work.run = use;
    scenario_require("SAFE.stream",
                     hd_device_find_stream(state->device, state->stream, &ref, NULL) == HD_OK);
    return hd_device_submit(state->device, &ref, &state->work, NULL, 0, NULL);
}

/* Before a shutdown begins. */
static void submit_first(device_state *state)
{
    scenario_require("SAFE.submit", submit(state) == HD_OK);
    state->expected = 1;
}

static void acquire(device_state *state)
{
    scenario_require("SAFE.acquire",
                     hd_stream_acquire(state->device, 0, &state->stream, NULL) == HD_OK);
}

/* Nobody works on the device any more, and what was done is seen. */
static void shut_down(void *argument)
{
    device_state *state = argument;
    scenario_require("BOUND.shutdown",
                     hd_device_shutdown(state->device, UINT32_MAX, NULL) == HD_OK);
    scenario_require("ONCE.work-done", state->used >= state->expected);
}

static void shut_down_against(device_state *state, void (*run)(void *))
{
    hd_thread thread;
    scenario_start(&thread, "thread", run, state);
    shut_down(state);
    hd_thread_join(&thread);
    device_end(state);
}

/* As a synchronous run does. */
static void lease_and_return(void *argument)
{
    device_state *state = argument;
    hd_lease lease;
    hd_status status = hd_device_lease(state->device, true, NULL, &lease, NULL);
    scenario_require("SAFE.lease", status == HD_OK || status == HD_CLOSED);
    scenario_outcome(status == HD_OK ? 0 : 1);
    if (status == HD_OK) {
        state->used++;
        hd_device_return(state->device, &lease);
    }
}

static void lease_against_shutdown(void)
{
    shut_down_against(device_open(1), lease_and_return);
}

typedef struct long_run {
    hd_work work; /* first */
    device_state *state;
    bool done;
} long_run;

static hd_work_result compute(hd_work *work, uint32_t runner)
{
    long_run *run = (long_run *)work;
    scenario_require("SAFE.one-runner", runner == 0);
    run->state->used++;
    run->done = true;
    return HD_WORK_DONE;
}

/* One core, which another long run has: the runner computes, on arguments on the caller's stack. */
static void delegate(void *argument)
{
    device_state *state = argument;
    hd_lease lease;
    hd_status status = hd_device_lease(state->device, true, NULL, &lease, NULL);
    scenario_require("SAFE.lease", status == HD_OK || status == HD_CLOSED);
    scenario_outcome(status == HD_OK ? 0 : 1);
    if (status == HD_OK) {
        long_run run = {.work = {.run = compute}, .state = state};
        scenario_require("BOUND.delegated", lease.is_delegated && lease.is_crowded);
        (void)!hd_device_delegate(state->device, &lease, &run.work, NULL);
        scenario_require("ONCE.delegated", run.done);
        hd_device_return(state->device, &lease);
    }
}

static void delegate_against_shutdown(void)
{
    /* a queue for each stream, so that runners may compute for callers */
    device_state *state = device_open(0);
    hd_lease lease;
    hd_thread thread;
    scenario_require("SAFE.lease",
                     hd_device_lease(state->device, true, NULL, &lease, NULL) == HD_OK);
    scenario_require("BOUND.own-core", !lease.is_delegated && lease.is_crowded);
    scenario_start(&thread, "caller", delegate, state);
    hd_slot_pool_refuse(&state->device->slots);
    hd_thread_join(&thread);
    hd_device_return(state->device, &lease);
    shut_down(state);
    device_end(state);
}

static void acquire_and_work(void *argument)
{
    device_state *state = argument;
    hd_status status = hd_stream_acquire(state->device, 0, &state->stream, NULL);
    scenario_require("SAFE.acquire", status == HD_OK || status == HD_CLOSED);
    scenario_outcome(status == HD_OK ? 0 : 1);
    if (status == HD_OK) {
        status = submit(state);
        scenario_require("SAFE.submit", status == HD_OK || status == HD_CLOSED);
        scenario_outcome(status == HD_OK ? 2 : 3);
    }
}

static void acquire_against_shutdown(void)
{
    shut_down_against(device_open(1), acquire_and_work);
}

static void release(void *argument)
{
    device_state *state = argument;
    hd_status status = hd_stream_release(state->device, state->stream, NULL);
    scenario_require("SAFE.release", status == HD_OK || status == HD_CLOSED);
    scenario_outcome(status == HD_OK ? 0 : 1);
}

/* The work is in flight, done, or not begun; the slot goes back once, whoever ends the ownership. */
static void release_against_shutdown(void)
{
    device_state *state = device_open(1);
    acquire(state);
    submit_first(state);
    shut_down_against(state, release);
}

static void synchronize(void *argument)
{
    device_state *state = argument;
    hd_status status = hd_stream_synchronize(state->device, state->stream, UINT32_MAX, NULL);
    scenario_require("BOUND.synchronize", status == HD_OK || status == HD_CLOSED);
    scenario_outcome(status == HD_OK ? 0 : 1);
}

static void synchronize_against_shutdown(void)
{
    device_state *state = device_open(1);
    submit_first(state);
    shut_down_against(state, synchronize);
}

static void two_shutdowns(void)
{
    device_state *state = device_open(1);
    submit_first(state);
    shut_down_against(state, shut_down);
}

/* One that gave up may be followed by another. */
static void shutdown_with_limit(void)
{
    device_state *state = device_open(1);
    submit_first(state);
    hd_status status = hd_device_shutdown(state->device, 1, NULL);
    scenario_require("BOUND.limited", status == HD_OK || status == HD_NOT_YET);
    scenario_outcome(status == HD_OK ? 0 : 1);
    shut_down(state);
    device_end(state);
}

static void open_event(device_state *state)
{
    scenario_require("explorer", hd_event_create(state->device, &state->event, NULL) == HD_OK);
}

static void wait_for_event(void *argument)
{
    device_state *state = argument;
    scenario_require("BOUND.event", hd_event_wait(state->event, UINT32_MAX, NULL) == HD_OK);
}

static void event_against_shutdown(void)
{
    device_state *state = device_open(1);
    open_event(state);
    acquire(state);
    scenario_require("SAFE.record", hd_event_record(state->event, state->stream, 0, NULL) == HD_OK);
    shut_down_against(state, wait_for_event);
}

/* The default stream's queue is parked until the other stream's mark is reached: a shutdown does not
 * leave it behind. */
static void parked_against_shutdown(void)
{
    device_state *state = device_open(2);
    open_event(state);
    acquire(state);
    scenario_require("SAFE.record", hd_event_record(state->event, state->stream, 0, NULL) == HD_OK);
    state->stream.value = 0;
    scenario_require("SAFE.barrier",
                     hd_event_wait_on_stream(state->event, state->stream, 0, NULL) == HD_OK);
    submit_first(state);
    shut_down(state);
    device_end(state);
}

/* ---- the last handle goes while a thread waits on it: the device lives until the wait has ended */

static void acquire_whatever_comes(void *argument)
{
    device_state *state = argument;
    hd_device *device = state->waited_on;
    hd_stream stream;
    hd_status status = hd_stream_acquire(device, UINT32_MAX, &stream, NULL);
    scenario_require("SAFE.acquire", status == HD_OK || status == HD_CLOSED);
    scenario_outcome(status == HD_OK ? 0 : 1);
}

/* All streams are taken, and a thread waits for one; `ends` lets it go on, then the handle is given back. */
static void destroy_against_acquire(void (*ends)(device_state *state))
{
    device_state *state = device_open(1);
    hd_thread thread;
    for (uint32_t i = 1; i < HD_STREAM_COUNT; i++) {
        acquire(state);
    }
    state->waited_on = state->device;
    scenario_start(&thread, "waiter", acquire_whatever_comes, state);
    while (hd_load_seq_cst(&state->device->slots.waiting) == 0) {
        hd_thread_yield();
    }
    ends(state);
    hd_device_destroy(&state->device);
    hd_thread_join(&thread);
    device_end(state);
}

static void release_one(device_state *state)
{
    scenario_require("SAFE.release",
                     hd_stream_release(state->device, state->stream, NULL) == HD_OK);
}

static void refuse_all(device_state *state)
{
    hd_status status = hd_device_shutdown(state->device, 0, NULL);
    scenario_require("BOUND.limited", status == HD_OK || status == HD_NOT_YET);
}

static void destroy_against_acquire_served(void)
{
    destroy_against_acquire(release_one);
}

static void destroy_against_acquire_refused(void)
{
    destroy_against_acquire(refuse_all);
}

/* A run keeps the device that it is on. */
static hd_work_result use_and_let_go(hd_work *work, uint32_t runner)
{
    device_state *state = (device_state *)((char *)work - offsetof(device_state, work));
    hd_device *kept = state->kept;
    hd_work_result result = use(work, runner);
    hd_device_destroy(&kept);
    return result;
}

static void synchronize_until_done(void *argument)
{
    device_state *state = argument;
    scenario_require("BOUND.synchronize", hd_stream_synchronize(state->waited_on, (hd_stream){0},
                                                                UINT32_MAX, NULL) == HD_OK);
    scenario_require("ONCE.work-done", state->used == 1);
}

static void destroy_against_synchronize(void)
{
    device_state *state = device_open(1);
    hd_stream_ref ref;
    hd_thread thread;
    hd_timeline *timeline = &state->device->streams[0].timeline;
    state->waited_on = state->kept = state->device;
    hd_device_retain(state->kept);
    state->work.work.run = use_and_let_go;
    state->work.stream = &state->device->streams[0];
    scenario_require("SAFE.stream",
                     hd_device_find_stream(state->device, state->stream, &ref, NULL) == HD_OK);
    (void)ref;
    state->work.point = hd_timeline_submit(timeline);
    scenario_start(&thread, "waiter", synchronize_until_done, state);
    while (hd_load_seq_cst(&timeline->waiting) == 0) {
        hd_thread_yield();
    }
    scenario_require("SAFE.submit", hd_device_start_runners(state->device, NULL) == HD_OK);
    hd_runners_submit(state->device->runners, 0, &state->work.work);
    hd_device_destroy(&state->device);
    hd_thread_join(&thread);
    device_end(state);
}

const scenario scenarios_device[] = {
    {.name = "device.destroy-against-acquire-served",
     .run = destroy_against_acquire_served,
     .outcomes = 1},
    {.name = "device.destroy-against-acquire-refused",
     .run = destroy_against_acquire_refused,
     .preemptions = 2,
     .old_loads = 1,
     .outcomes = 2},
    {.name = "device.destroy-against-synchronize", .run = destroy_against_synchronize},
    {.name = "device.lease-against-shutdown", .run = lease_against_shutdown, .outcomes = 3},
    {.name = "device.delegate-against-shutdown", .run = delegate_against_shutdown, .outcomes = 3},
    {.name = "device.acquire-against-shutdown", .run = acquire_against_shutdown, .outcomes = 15},
    {.name = "device.release-against-shutdown", .run = release_against_shutdown, .outcomes = 3},
    {.name = "device.synchronize-against-shutdown",
     .run = synchronize_against_shutdown,
     .outcomes = 3},
    {.name = "device.two-shutdowns", .run = two_shutdowns, .preemptions = 1, .old_loads = 1},
    {.name = "device.shutdown-with-limit", .run = shutdown_with_limit, .outcomes = 3},
    {.name = "device.event-against-shutdown", .run = event_against_shutdown},
    {.name = "device.parked-against-shutdown", .run = parked_against_shutdown},
    {.name = NULL},
};
