/* Scenarios of the callback thread, and of starting once, which it rests on. `ran` and `made` are written
 * without a lock or atomics. */
#include "runtime/callbacks.h"

#include "../scenario.h"

typedef struct callbacks_state {
    hd_callback items[2]; /* first */
    hd_callbacks callbacks;
    hd_once once;
    uint32_t ran;
    uint32_t made;
    bool fails;
    _Atomic uint32_t *gone;
} callbacks_state;

static callbacks_state *callbacks_open(void)
{
    callbacks_state *state = hd_alloc_zero(1, sizeof *state);
    scenario_require("explorer", state != NULL);
    scenario_require("explorer", hd_callbacks_init(&state->callbacks) == HD_OK);
    return state;
}

static void await(_Atomic uint32_t *number)
{
    while (hd_load_acquire(number) == 0) {
        hd_thread_yield();
    }
}

static void run_first(hd_callback *callback)
{
    ((callbacks_state *)callback)->ran++;
}

static void run_second(hd_callback *callback)
{
    callbacks_state *state = (callbacks_state *)(callback - 1);
    scenario_require("ONCE.in-order", state->ran == 1);
    state->ran++;
    hd_store_release(state->gone, 1);
}

/* Ended by another thread, perhaps while the second is on its way out. */
static void post_against_take(void)
{
    callbacks_state *state = callbacks_open();
    _Atomic uint32_t gone = 0;
    state->gone = &gone;
    state->items[0].run = run_first;
    state->items[1].run = run_second;
    for (uint32_t i = 0; i < 2; i++) {
        scenario_require("explorer", hd_callbacks_reserve(&state->callbacks) == HD_OK);
        hd_callbacks_post(&state->callbacks, &state->items[i]);
    }
    await(&gone);
    hd_callbacks_destroy(&state->callbacks);
    scenario_require("ONCE.called-once", state->ran == 2);
    hd_free(state);
}

static void run_and_destroy(hd_callback *callback)
{
    callbacks_state *state = (callbacks_state *)callback;
    _Atomic uint32_t *gone = state->gone;
    hd_callbacks_destroy(&state->callbacks);
    hd_free(state);
    hd_store_release(gone, 1);
}

static void destroy_by_own(void)
{
    callbacks_state *state = callbacks_open();
    _Atomic uint32_t gone = 0;
    state->gone = &gone;
    state->items[0].run = run_and_destroy;
    scenario_require("explorer", hd_callbacks_reserve(&state->callbacks) == HD_OK);
    hd_callbacks_post(&state->callbacks, &state->items[0]);
    await(&gone);
}

static hd_status make(void *argument)
{
    callbacks_state *state = argument;
    if (state->fails) {
        state->fails = false;
        return HD_OUT_OF_MEMORY;
    }
    state->made++;
    return HD_OK;
}

static void start_once(void *argument)
{
    callbacks_state *state = argument;
    if (hd_once_start(&state->once, make, state) == HD_OK) {
        scenario_require("ONCE.made-once", state->made == 1);
    }
}

static void start_twice(bool fails)
{
    callbacks_state *state = callbacks_open();
    hd_thread thread;
    state->fails = fails;
    scenario_start(&thread, "starter", start_once, state);
    start_once(state);
    hd_thread_join(&thread);
    scenario_require("ONCE.made-once", state->made == 1);
    hd_callbacks_destroy(&state->callbacks);
    hd_free(state);
}

static void two_starters(void)
{
    start_twice(false);
}

static void first_fails(void)
{
    start_twice(true);
}

const scenario scenarios_callbacks[] = {
    {.name = "callbacks.post-against-take", .run = post_against_take},
    {.name = "callbacks.destroy-by-own", .run = destroy_by_own},
    {.name = "once.two-starters", .run = two_starters},
    {.name = "once.first-fails", .run = first_fails},
    {.name = NULL},
};
