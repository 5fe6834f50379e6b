/* Scenarios of the registry: a thread that ends gives its slot back while the device ends. The pool's memory is
 * freed with the device: whoever still touches it is found. */
#include "runtime/registry.h"

#include "../scenario.h"

typedef struct registry_state {
    hd_slot_pool *pool;
    hd_registry_entry entry;
} registry_state;

static registry_state *registry_open(void)
{
    registry_state *state = hd_alloc_zero(1, sizeof *state);
    uint32_t slot;
    state->pool = hd_alloc_aligned(sizeof *state->pool);
    scenario_require("explorer", hd_slot_pool_init(state->pool) == HD_OK);
    scenario_require("explorer", hd_slot_pool_lease(state->pool, 1, 0, &slot) == HD_OK);
    hd_slot_pool_return(state->pool, slot); /* remembered */
    state->entry = (hd_registry_entry){.serial = 7, .slots = state->pool};
    hd_registry_add(&state->entry);
    return state;
}

static void end_device(void *argument)
{
    registry_state *state = argument;
    hd_registry_remove(&state->entry);
    hd_slot_pool_destroy(state->pool);
    hd_free(state->pool);
}

static void end_thread(void *argument)
{
    (void)argument;
    hd_registry_forget_slot(7, 1);
}

static void end_thread_of_other(void *argument)
{
    (void)argument;
    hd_registry_forget_slot(8, 1);
}

static void lease_again(void *argument)
{
    registry_state *state = argument;
    uint32_t slot;
    scenario_require("SAFE.lease",
                     hd_slot_pool_lease(state->pool, 1, 0, &slot) == HD_OK && slot == 1);
    hd_slot_pool_return(state->pool, slot);
}

static void run_both(void (*first)(void *), void (*second)(void *), bool ends)
{
    registry_state *state = registry_open();
    hd_thread threads[2];
    scenario_start(&threads[0], "first", first, state);
    scenario_start(&threads[1], "second", second, state);
    hd_thread_join(&threads[0]);
    hd_thread_join(&threads[1]);
    if (!ends) {
        hd_slot_counts counts = hd_slot_pool_count(state->pool);
        scenario_require("SAFE.slots", counts.free + counts.remembered == HD_STREAM_COUNT - 1);
        end_device(state);
    }
    hd_free(state);
}

static void thread_against_device(void)
{
    run_both(end_thread, end_device, true);
}

/* A thread that remembers another device's slot leaves this one's alone. */
static void other_device(void)
{
    registry_state *state = registry_open();
    hd_thread thread;
    scenario_start(&thread, "thread", end_thread_of_other, state);
    hd_thread_join(&thread);
    scenario_require("SAFE.other-device", hd_slot_pool_count(state->pool).remembered == 1);
    end_device(state);
    hd_free(state);
}

static void thread_against_lease(void)
{
    run_both(end_thread, lease_again, false);
}

const scenario scenarios_registry[] = {
    {.name = "registry.thread-against-device", .run = thread_against_device},
    {.name = "registry.other-device", .run = other_device},
    {.name = "registry.thread-against-lease", .run = thread_against_lease},
    {.name = NULL},
};
