/* Scenarios of the turnstile: `inside` is counted without a lock or atomics, so two threads inside at once,
 * where one fits, are a data race. */
#include "runtime/turnstile.h"

#include "../scenario.h"

typedef struct turn_state {
    hd_turnstile turnstile;
    uint32_t inside;
    uint32_t turns;
} turn_state;

static turn_state *turn_open(uint32_t width)
{
    turn_state *state = hd_alloc_zero(1, sizeof *state);
    scenario_require("explorer", hd_turnstile_init(&state->turnstile, width) == HD_OK);
    trace_name(&state->turnstile, sizeof state->turnstile, "turnstile");
    trace_name(&state->inside, sizeof state->inside, "inside");
    return state;
}

static void turn_end(turn_state *state)
{
    hd_turnstile_destroy(&state->turnstile);
    hd_free(state);
}

static hd_status take_turn(turn_state *state, uint64_t deadline)
{
    bool full = false;
    hd_status status = hd_turnstile_enter(&state->turnstile, deadline, &full);
    if (status == HD_OK) {
        scenario_require("SAFE.full", full);
        scenario_require("SAFE.alone", ++state->inside == 1);
        state->turns++;
        state->inside--;
        hd_turnstile_leave(&state->turnstile);
    }
    return status;
}

static void wait_for_turn(void *argument)
{
    scenario_require("BOUND.turn", take_turn(argument, HD_FOREVER) == HD_OK);
}

static void limited_turn(void *argument)
{
    hd_status status = take_turn(argument, SCENARIO_LATER);
    scenario_require("BOUND.limited", status == HD_OK || status == HD_EXHAUSTED);
}

static void run_turns(uint32_t count, void (*const *runs)(void *))
{
    turn_state *state = turn_open(1);
    hd_thread threads[3];
    for (uint32_t i = 0; i < count; i++) {
        scenario_start(&threads[i], "caller", runs[i], state);
    }
    for (uint32_t i = 0; i < count; i++) {
        hd_thread_join(&threads[i]);
    }
    turn_end(state);
}

static void two_turns(void)
{
    run_turns(2, (void (*const[])(void *)){wait_for_turn, wait_for_turn});
}

static void three_turns(void)
{
    run_turns(3, (void (*const[])(void *)){wait_for_turn, wait_for_turn, wait_for_turn});
}

static void grant_against_limit(void)
{
    run_turns(2, (void (*const[])(void *)){wait_for_turn, limited_turn});
}

static void two_limits(void)
{
    run_turns(3, (void (*const[])(void *)){wait_for_turn, limited_turn, limited_turn});
}

/* One that has waited for longest stays when one behind it leaves, and one more comes: both go in. */
static void limit_leaves_the_end(void)
{
    turn_state *state = turn_open(1);
    void (*const runs[])(void *) = {wait_for_turn, limited_turn, wait_for_turn};
    hd_thread threads[3];
    bool full;
    scenario_require("BOUND.turn", hd_turnstile_enter(&state->turnstile, 0, &full) == HD_OK);
    for (uint32_t i = 0; i < 3; i++) {
        scenario_start(&threads[i], "caller", runs[i], state);
    }
    hd_turnstile_leave(&state->turnstile);
    for (uint32_t i = 0; i < 3; i++) {
        hd_thread_join(&threads[i]);
    }
    turn_end(state);
}

const scenario scenarios_turnstile[] = {
    {.name = "turnstile.two", .run = two_turns, .spurious = 1},
    {.name = "turnstile.three", .run = three_turns},
    {.name = "turnstile.grant-against-limit", .run = grant_against_limit},
    {.name = "turnstile.two-limits", .run = two_limits},
    {.name = "turnstile.limit-leaves-the-end", .run = limit_leaves_the_end, .preemptions = 2, .old_loads = 1},
    {.name = NULL},
};
