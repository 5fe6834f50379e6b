/* Scenarios of the device watcher, over a backend of their own: a stream's runner, the device, and the watcher's thread.
 * What a flight lands on is touched without a lock or atomics: who lands it too early, or beside another of its stream,
 * or uses its lane before, is a data race. */
#include "graph/run.h"

#include "../scenario.h"

#define FLIGHT_COUNT 2

typedef struct watch_state watch_state;

struct hd_queue {
    uint64_t
        *kept[FLIGHT_COUNT]; /* where the device writes a launch's point; plain, as is the next */
    uint64_t submitted;
    _Atomic uint64_t published; /* release: what was submitted is there for the device */
    _Atomic uint64_t reached;   /* release: what the launch wrote is there */
    _Atomic bool lost;          /* release: nothing is written any more */
};

typedef struct flight_state {
    hd_flight flight; /* first */
    watch_state *state;
    uint64_t result; /* the device's */
    hd_flight_write write;
    uint64_t output; /* written when it lands */
    hd_status status;
} flight_state;

struct watch_state {
    hd_unit unit; /* first */
    hd_queue hardware;
    hd_device_queue queue;
    hd_reclaim reclaim;
    hd_memory_account account;
    hd_workspace workspaces[HD_LANE_COUNT];
    hd_stream_state stream;
    hd_device_watcher *watcher;
    flight_state flights[FLIGHT_COUNT];
    uint32_t landed; /* plain: flights of a stream land one by one */
    _Atomic uint32_t finished;
    bool owns_watcher;
    bool ends; /* the last flight's finish destroys the watcher */
    _Atomic bool ended;
};

/* ---- the backend */

static hd_status create_queue(hd_unit *unit, uint32_t number, hd_queue **out_queue)
{
    (void)number;
    *out_queue = &((watch_state *)unit)->hardware;
    return HD_OK;
}

static void destroy_queue(hd_unit *unit, hd_queue **queue)
{
    (void)unit;
    *queue = NULL;
}

static hd_status submit(hd_queue *queue, const hd_launch *launch, uint64_t *out_point)
{
    queue->kept[queue->submitted] = launch->outputs[0];
    *out_point = ++queue->submitted;
    hd_store_release(&queue->published, *out_point);
    return HD_OK;
}

static uint64_t reached(const hd_queue *queue)
{
    return hd_load_acquire(&queue->reached);
}

/* Asked by the watcher alone, without a wait. */
static hd_status wait_for(hd_queue *queue, uint64_t point, uint64_t deadline)
{
    (void)deadline;
    bool is_lost = hd_load_acquire(&queue->lost);
    return reached(queue) >= point ? HD_OK : is_lost ? HD_LOST : HD_NOT_YET;
}

static void *create_memory(hd_unit *unit, hd_memory_place place, size_t size)
{
    (void)unit, (void)place;
    return hd_alloc_aligned(size);
}

static void destroy_memory(hd_unit *unit, hd_memory_place place, void *memory, size_t size)
{
    (void)unit, (void)place, (void)size;
    hd_free(memory);
}

static const hd_backend backend = {
    .memory = &(const hd_memory_table){.create = create_memory, .destroy = destroy_memory},
    .queues = &(const hd_queue_table){.create = create_queue,
                                      .destroy = destroy_queue,
                                      .submit = submit,
                                      .reached = reached,
                                      .wait = wait_for}};

/* ---- the device */

static void compute(hd_queue *queue, uint64_t point)
{
    while (hd_load_acquire(&queue->published) < point) {
        hd_thread_yield();
    }
    *queue->kept[point - 1] = point;
    hd_store_release(&queue->reached, point);
}

static void compute_one(void *argument)
{
    compute(&((watch_state *)argument)->hardware, 1);
}

static void compute_two(void *argument)
{
    compute_one(argument);
    compute(&((watch_state *)argument)->hardware, 2);
}

static void lose_second(void *argument)
{
    compute_one(argument);
    hd_store_release(&((watch_state *)argument)->hardware.lost, true);
}

/* ---- flights */

static void land(hd_flight *flight, hd_status status)
{
    flight_state *self = (flight_state *)flight;
    watch_state *state = self->state;
    scenario_event("lands %u %d", (unsigned)(self - state->flights), (int)status);
    uint64_t lane = UINT64_C(1) << state->stream.number;
    scenario_require("ONCE.landed-in-order", flight == &state->flights[state->landed].flight);
    scenario_require("REUSE.lane", (hd_load_relaxed(&state->reclaim.runners) & lane) != 0);
    scenario_require("STATUS.lost", status == (self->result == flight->point ? HD_OK : HD_LOST));
    if (flight->host.memory != NULL) {
        flight->host.memory[HD_CACHE_LINE] = 1;
    }
    self->status = status;
    self->output = 1;
    state->landed++;
}

static void finish(hd_flight *flight)
{
    watch_state *state = ((flight_state *)flight)->state;
    scenario_event("finishes %u", (unsigned)((flight_state *)flight - state->flights));
    scenario_require("ONCE.point-reached",
                     hd_timeline_reached(&state->stream.timeline, flight->work.point));
    if (hd_add_acq_rel(&state->finished, 1) + 1 == FLIGHT_COUNT && state->ends) {
        hd_device_watcher_destroy(state->watcher);
        hd_store_release(&state->ended, true);
    }
}

/* watcher: where it is to be; NULL: in memory of its own. */
static watch_state *watch_open_at(hd_device_watcher *watcher)
{
    watch_state *state = hd_alloc_zero(1, sizeof *state);
    scenario_require("explorer", state != NULL);
    state->watcher = watcher != NULL ? watcher : hd_alloc_zero(1, sizeof *watcher);
    state->owns_watcher = watcher == NULL;
    scenario_require("explorer", state->watcher != NULL);
    trace_name(&state->hardware, sizeof state->hardware, "hardware queue");
    trace_name(state->watcher, sizeof *state->watcher, "watcher");
    trace_name(&state->reclaim.runners, sizeof state->reclaim.runners, "lanes");
    trace_name(&state->stream.timeline, sizeof state->stream.timeline, "timeline");
    state->unit.backend = &backend;
    state->stream = (hd_stream_state){.number = 1, .depth = FLIGHT_COUNT};
    hd_memory_account_init(&state->account, 0);
    *state->watcher = (hd_device_watcher){.queues = &state->queue,
                                          .queue_count = 1,
                                          .unit = &state->unit,
                                          .account = &state->account,
                                          .workspaces = state->workspaces,
                                          .reclaim = &state->reclaim};
    scenario_require("explorer", hd_device_queue_init(&state->queue, &state->unit, 0) == HD_OK &&
                                     hd_reclaim_init(&state->reclaim) == HD_OK &&
                                     hd_stream_init(&state->stream) == HD_OK &&
                                     hd_device_watcher_init(state->watcher) == HD_OK &&
                                     hd_device_watcher_start(state->watcher) == HD_OK);
    for (uint32_t i = 0; i < FLIGHT_COUNT; i++) {
        flight_state *flight = &state->flights[i];
        flight->state = state;
        flight->write = (hd_flight_write){&flight->output, sizeof flight->output};
        flight->flight =
            (hd_flight){.work = {.stream = &state->stream}, .land = land, .finish = finish};
    }
    return state;
}

static watch_state *watch_open(void)
{
    return watch_open_at(NULL);
}

static void watch_end(watch_state *state)
{
    if (!state->ends) {
        hd_device_watcher_destroy(state->watcher);
    }
    scenario_require("ONCE.all-landed", state->landed == FLIGHT_COUNT);
    scenario_require("REUSE.lane-back", hd_load_relaxed(&state->reclaim.runners) == 0);
    for (uint32_t lane = 0; lane < HD_LANE_COUNT; lane++) {
        hd_workspace_clear(&state->workspaces[lane], &state->unit, &state->account);
    }
    hd_stream_destroy(&state->stream);
    hd_reclaim_destroy(&state->reclaim);
    hd_device_queue_destroy(&state->queue);
    if (state->owns_watcher) {
        hd_free(state->watcher);
    }
    hd_free(state);
}

/* ---- the runner */

static void begin(watch_state *state, uint32_t number)
{
    hd_flight *flight = &state->flights[number].flight;
    flight->work.point = hd_timeline_submit(&state->stream.timeline);
    scenario_event("calls begin %u", number);
    hd_device_watcher_begin(state->watcher, flight);
    scenario_event("answers");
}

static hd_work_result end(watch_state *state, uint32_t number, bool is_run)
{
    flight_state *flight = &state->flights[number];
    if (is_run) {
        hd_launch launch = {.outputs = (void *[]){&flight->result}};
        flight->flight.writes = &flight->write;
        flight->flight.write_count = 1;
        scenario_require("explorer", hd_device_queue_submit(&state->queue, &launch,
                                                            &flight->flight.point) == HD_OK);
    }
    scenario_event("calls end %u %s", number, is_run ? "run" : "mark");
    hd_work_result result = hd_device_watcher_end(state->watcher, &flight->flight);
    scenario_event("answers");
    scenario_require("ONCE.left", result == HD_WORK_SUBMITTED || !is_run);
    return result;
}

static void run_both(watch_state *state, bool second_is_run)
{
    begin(state, 0);
    end(state, 0, true);
    begin(state, 1);
    hd_work_result result = end(state, 1, second_is_run);
    scenario_outcome(result == HD_WORK_SUBMITTED);
}

static void drain(watch_state *state)
{
    scenario_event("calls drain");
    hd_status status = hd_device_watcher_drain(state->watcher, HD_FOREVER);
    scenario_event("answers");
    scenario_require("BOUND.drained", status == HD_OK);
    scenario_require("ONCE.final", hd_load_relaxed(&state->finished) == FLIGHT_COUNT);
}

static void two_runs(void)
{
    watch_state *state = watch_open();
    hd_thread device;
    scenario_start(&device, "device", compute_two, state);
    run_both(state, true);
    scenario_require("BOUND.reached",
                     hd_timeline_wait(&state->stream.timeline, 2, HD_FOREVER) == HD_OK);
    scenario_require("REUSE.result-seen", state->flights[0].output == 1 && state->landed == 2);
    drain(state);
    hd_thread_join(&device);
    watch_end(state);
}

/* A mark behind a run: the watcher ends it, or, where the run has landed, its runner. */
static void a_mark_behind_a_run(void)
{
    watch_state *state = watch_open();
    hd_thread device;
    scenario_start(&device, "device", compute_one, state);
    run_both(state, false);
    drain(state);
    scenario_require("STATUS.landed", state->landed == 2);
    hd_thread_join(&device);
    watch_end(state);
}

static void lost(void)
{
    watch_state *state = watch_open();
    hd_thread device;
    scenario_start(&device, "device", lose_second, state);
    run_both(state, true);
    drain(state);
    scenario_require("STATUS.lost",
                     state->flights[0].status == HD_OK && state->flights[1].status == HD_LOST);
    hd_thread_join(&device);
    watch_end(state);
}

/* The lane is the second one's alone behind the wait. */
static void await_the_lane(void)
{
    watch_state *state = watch_open();
    hd_thread device;
    scenario_start(&device, "device", compute_one, state);
    begin(state, 0);
    end(state, 0, true);
    begin(state, 1);
    scenario_event("calls await 1");
    hd_device_watcher_await(state->watcher, &state->flights[1].flight);
    scenario_event("answers");
    scenario_require("REUSE.lane", state->landed == 1 && state->flights[0].output == 1);
    state->flights[0].result = 0;
    scenario_require("ONCE.alone", end(state, 1, false) == HD_WORK_DONE);
    drain(state);
    hd_thread_join(&device);
    watch_end(state);
}

/* What the first writes when it lands is there, or the second is told that it will be. */
static void read_what_is_written(void)
{
    watch_state *state = watch_open();
    hd_thread device;
    scenario_start(&device, "device", compute_one, state);
    begin(state, 0);
    end(state, 0, true);
    begin(state, 1);
    const uint64_t *output = &state->flights[0].output;
    bool is_written = hd_device_watcher_is_written(state->watcher, &state->flights[1].flight,
                                                   output, sizeof *output);
    scenario_outcome(is_written);
    scenario_require("REUSE.written", is_written || *output == 1);
    scenario_require("explorer",
                     !hd_device_watcher_is_written(state->watcher, &state->flights[1].flight,
                                                   output + 1, sizeof *output));
    end(state, 1, false);
    drain(state);
    scenario_require("BOUND.landed-is-forgotten",
                     !hd_device_watcher_is_written(state->watcher, &state->flights[1].flight,
                                                   output, sizeof *output));
    hd_thread_join(&device);
    watch_end(state);
}

/* Each has host memory of its own; the second takes the first one's where that has landed. */
static void host_memory(void)
{
    watch_state *state = watch_open();
    hd_thread device;
    scenario_start(&device, "device", compute_one, state);
    for (uint32_t i = 0; i < 2; i++) {
        begin(state, i);
        hd_flight *flight = &state->flights[i].flight;
        scenario_require("explorer", hd_device_watcher_reserve(state->watcher, flight,
                                                               2 * HD_CACHE_LINE) == HD_OK);
        scenario_outcome(flight->host.memory[HD_CACHE_LINE] == 1);
        flight->host.memory[HD_CACHE_LINE] = 0;
        end(state, i, i == 0);
    }
    drain(state);
    hd_thread_join(&device);
    watch_end(state);
}

/* The second wants as much as all may have: it has it when the first has landed. */
static void host_memory_is_bounded(void)
{
    watch_state *state = watch_open();
    hd_thread device;
    scenario_start(&device, "device", compute_one, state);
    for (uint32_t i = 0; i < 2; i++) {
        begin(state, i);
        hd_flight *flight = &state->flights[i].flight;
        scenario_require("explorer",
                         hd_device_watcher_reserve(state->watcher, flight,
                                                   i == 0 ? 2 * HD_CACHE_LINE : 8192) == HD_OK);
        scenario_require("FLAT.host-memory", state->landed == i);
        end(state, i, i == 0);
    }
    drain(state);
    hd_thread_join(&device);
    watch_end(state);
}

/* A drain that ends by time says so, unless all have landed. */
static void drain_with_limit(void)
{
    watch_state *state = watch_open();
    hd_thread device;
    scenario_start(&device, "device", compute_one, state);
    run_both(state, false);
    hd_status status = SCENARIO_LIMITED(SCENARIO_LATER, HD_NOT_YET,
                                        hd_device_watcher_drain(state->watcher, SCENARIO_LATER));
    scenario_require("ONCE.final",
                     status != HD_OK || hd_load_relaxed(&state->finished) == FLIGHT_COUNT);
    drain(state);
    hd_thread_join(&device);
    watch_end(state);
}

/* The last flight's end takes the watcher down on its own thread. */
static void the_last_flight_ends_it(void)
{
    watch_state *state = watch_open();
    hd_thread device;
    state->ends = true;
    scenario_start(&device, "device", compute_two, state);
    run_both(state, true);
    while (!hd_load_acquire(&state->ended)) {
        hd_thread_yield();
    }
    hd_thread_join(&device);
    watch_end(state);
}

static void asks_of_drain(void *argument)
{
    drain(argument);
}

static void drain_against_the_last(void)
{
    watch_state *state = watch_open();
    hd_thread device, other;
    scenario_start(&device, "device", compute_one, state);
    run_both(state, false);
    scenario_start(&other, "drain", asks_of_drain, state);
    drain(state);
    hd_thread_join(&other);
    hd_thread_join(&device);
    watch_end(state);
}

/* ---- two runs of one stream whose caller has them share an output's struct, by the real run_flight.c */

typedef struct shared_output {
    hd_device device; /* of which the watcher is all that is used */
    hd_block root;
    hd_graph graph;
    hd_model model;
    hd_plan plan;
    hd_plan_output described;
    hd_tensor output;           /* plain: the runner reads it, and who lands a run writes it */
    uint64_t own[FLIGHT_COUNT]; /* memory that a run gives its output where the caller gave none */
    hd_left_run *left[FLIGHT_COUNT];
    watch_state *watch;
} shared_output;

static shared_output *shared; /* for land_run */

static void land_run(hd_flight *flight, hd_status status)
{
    flight_state *self = (flight_state *)flight;
    hd_status landed = hd_run_land(shared->left[self - shared->watch->flights], status, NULL);
    scenario_require("STATUS.landed", landed == HD_OK);
    self->state->landed++;
}

/* As a runner does a run: looks at the caller's struct, gives it memory, submits, and leaves the run to the watcher. */
static void leave_run(uint32_t number)
{
    watch_state *state = shared->watch;
    hd_left_run *left = shared->left[number];
    begin(state, number);
    hd_left_run_init(left, &shared->model, &state->flights[number].flight);
    void *inputs[1] = {NULL}, *outputs[1];
    hd_tensor *tensors[1] = {&shared->output};
    hd_run run = {.model = &shared->model,
                  .outputs = &shared->output,
                  .output_count = 1,
                  .left = left,
                  .input_data = inputs,
                  .output_data = outputs,
                  .output_tensors = tensors};
    hd_run_await_outputs(&run);
    outputs[0] = shared->output.data != NULL ? shared->output.data : &shared->own[number];
    hd_launch launch = {.outputs = outputs};
    scenario_require("explorer",
                     hd_device_queue_submit(&state->queue, &launch, &run.point) == HD_OK);
    hd_run_leave(&run, &shared->plan);
    scenario_require("ONCE.left",
                     hd_device_watcher_end(state->watcher, &state->flights[number].flight) ==
                         HD_WORK_SUBMITTED);
}

/* The second finds the memory that the first gave the output: none is lost. */
static void share_an_output(void)
{
    shared = hd_alloc_zero(1, sizeof *shared);
    scenario_require("explorer", shared != NULL);
    shared->root.output_count = 1;
    shared->graph.root = &shared->root;
    shared->model.graph = &shared->graph;
    shared->model.device = &shared->device;
    shared->described = (hd_plan_output){.dtype = HD_UINT64,
                                         .shape = {.rank = 1, .dims = {1}},
                                         .size = sizeof(uint64_t),
                                         .known = true,
                                         .direct = true};
    shared->plan = (hd_plan){.outputs = &shared->described, .output_count = 1, .is_last = true};
    atomic_init(&shared->plan.reference_count, 1);
    shared->watch = watch_open_at(&shared->device.watcher);
    trace_name(&shared->output, sizeof shared->output, "the caller's output");
    for (uint32_t i = 0; i < FLIGHT_COUNT; i++) {
        shared->left[i] = hd_alloc_zero(1, hd_left_run_size(&shared->model));
        scenario_require("explorer", shared->left[i] != NULL);
        shared->watch->flights[i].flight.land = land_run;
    }
    hd_thread device;
    scenario_start(&device, "device", compute_two, shared->watch);
    leave_run(0);
    leave_run(1);
    drain(shared->watch);
    hd_thread_join(&device);
    scenario_require("REUSE.output-kept", shared->output.data == &shared->own[0]);
    scenario_require("REUSE.result", shared->own[0] == 2 && shared->own[1] == 0);
    watch_end(shared->watch);
    for (uint32_t i = 0; i < FLIGHT_COUNT; i++) {
        hd_free(shared->left[i]);
    }
    hd_free(shared);
}

const scenario scenarios_device_watcher[] = {
    {.name = "watcher.two-runs", .run = two_runs, .preemptions = 2, .old_loads = 1, .outcomes = 2},
    {.name = "watcher.mark-behind-run",
     .run = a_mark_behind_a_run,
     .preemptions = 2,
     .old_loads = 1,
     .outcomes = 3},
    {.name = "watcher.lost", .run = lost, .preemptions = 2, .old_loads = 1, .outcomes = 2},
    {.name = "watcher.await-lane", .run = await_the_lane, .preemptions = 3, .old_loads = 1},
    {.name = "watcher.read-what-is-written",
     .run = read_what_is_written,
     .preemptions = 2,
     .old_loads = 1,
     .outcomes = 3},
    {.name = "watcher.shared-output", .run = share_an_output, .preemptions = 2, .old_loads = 1},
    {.name = "watcher.host-memory", .run = host_memory, .preemptions = 2, .old_loads = 1},
    {.name = "watcher.host-memory-is-bounded",
     .run = host_memory_is_bounded,
     .preemptions = 1,
     .old_loads = 1},
    {.name = "watcher.drain-with-limit", .run = drain_with_limit, .preemptions = 2, .old_loads = 1},
    {.name = "watcher.last-flight-ends-it",
     .run = the_last_flight_ends_it,
     .preemptions = 2,
     .old_loads = 1,
     .outcomes = 2},
    {.name = "watcher.drain-against-last",
     .run = drain_against_the_last,
     .preemptions = 2,
     .old_loads = 1,
     .spurious = 1,
     .outcomes = 3},
    {.name = NULL},
};
