/* Scenarios of the reclaim, on the real slot pool, workspaces and allocator of a device. What a lane has is a
 * number that its owner writes plainly, so two owners at once are a race. */
#include "runtime/reclaim.h"

#include "device.h"

#include "../scenario.h"

#define RUNNER_LANE HD_STREAM_COUNT

typedef struct reclaim_state {
    hd_reclaim_source source; /* first: the reclaim's pointer to it is this one's */
    hd_device *device;
    uint32_t lanes[HD_LANE_COUNT];
    uint32_t plans; /* written under the reclaim's lock */
    bool is_gone;
} reclaim_state;

static void note_lane(hd_reclaim_source *source, uint32_t lane)
{
    reclaim_state *state = (reclaim_state *)source;
    scenario_require("SAFE.listed", !state->is_gone);
    state->lanes[lane]++;
}

static void note_plans(hd_reclaim_source *source)
{
    ((reclaim_state *)source)->plans++;
}

static void reclaim(void *argument)
{
    reclaim_state *state = argument;
    hd_reclaim_run(&state->device->reclaim, HD_LANE_COUNT);
}

static void use_runner(void *argument)
{
    reclaim_state *state = argument;
    hd_reclaim_enter(&state->device->reclaim, RUNNER_LANE);
    state->lanes[RUNNER_LANE] += 100;
    state->device->workspaces[RUNNER_LANE].key_capacity = 0;
    hd_reclaim_leave(&state->device->reclaim, RUNNER_LANE);
}

/* Runs out of memory itself: its own lane goes with the others'. */
static void use_runner_and_reclaim(void *argument)
{
    reclaim_state *state = argument;
    hd_reclaim_enter(&state->device->reclaim, RUNNER_LANE);
    state->lanes[RUNNER_LANE] += 100;
    hd_reclaim_run(&state->device->reclaim, RUNNER_LANE);
    state->lanes[RUNNER_LANE] += 100;
    hd_reclaim_leave(&state->device->reclaim, RUNNER_LANE);
}

static void use_stream(void *argument)
{
    reclaim_state *state = argument;
    uint32_t slot;
    if (hd_slot_pool_lease(&state->device->slots, 1, SCENARIO_LATER, &slot) == HD_OK) {
        state->lanes[slot] += 100;
        state->device->workspaces[slot].key_capacity = 0;
        hd_slot_pool_return(&state->device->slots, slot);
    }
}

static void leave_list(void *argument)
{
    reclaim_state *state = argument;
    hd_reclaim_remove(&state->device->reclaim, &state->source);
    state->is_gone = true;
}

/* reclaims: by how many of the two */
static void run_reclaim(void (*first)(void *), void (*second)(void *), uint32_t reclaims)
{
    reclaim_state *state = hd_alloc_zero(1, sizeof *state);
    trace_name(state, sizeof *state, "state");
    state->source = (hd_reclaim_source){.drop_lane = note_lane, .drop_plans = note_plans};
    state->device = scenario_device_open(&scenario_backend, 1);
    hd_reclaim_add(&state->device->reclaim, &state->source);
    hd_thread threads[2];
    scenario_start(&threads[0], "first", first, state);
    scenario_start(&threads[1], "second", second, state);
    hd_thread_join(&threads[0]);
    hd_thread_join(&threads[1]);
    if (!state->is_gone) {
        hd_reclaim_remove(&state->device->reclaim, &state->source);
    }
    scenario_require("SAFE.idle", hd_load_relaxed(&state->device->reclaim.runners) == 0);
    scenario_require("ONCE.slots-back", hd_slot_pool_count(&state->device->slots).leased == 0);
    scenario_require("FLAT.plans-dropped",
                     state->plans == reclaims || (state->is_gone && state->plans < reclaims));
    hd_device_destroy(&state->device);
    hd_free(state);
}

static void runner_against_reclaim(void)
{
    run_reclaim(use_runner, reclaim, 1);
}

static void runners_lane_is_its_own(void)
{
    run_reclaim(use_runner_and_reclaim, reclaim, 2);
}

static void stream_against_reclaim(void)
{
    run_reclaim(use_stream, reclaim, 1);
}

static void two_reclaims(void)
{
    run_reclaim(reclaim, reclaim, 2);
}

static void source_that_goes(void)
{
    run_reclaim(leave_list, reclaim, 1);
}

const scenario scenarios_reclaim[] = {
    {.name = "reclaim.runner", .run = runner_against_reclaim},
    {.name = "reclaim.own-lane", .run = runners_lane_is_its_own},
    {.name = "reclaim.stream", .run = stream_against_reclaim},
    {.name = "reclaim.two", .run = two_reclaims},
    {.name = "reclaim.source-that-goes", .run = source_that_goes},
    {.name = NULL},
};
