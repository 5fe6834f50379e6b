/* Scenarios of the plan cache. A plan is a block with a reference count and a value that its maker
 * writes plainly: who finds the plan reads it, so a race or a use after free would show. */
#include "runtime/plan_cache.h"

#include "../scenario.h"

typedef struct plan {
    _Atomic uint32_t references;
    uint32_t value;
} plan;

typedef struct cache_state {
    hd_plan_cache *cache;
    _Atomic uint32_t made[3];   /* plans made of each key */
    _Atomic uint32_t making[3]; /* threads that make one now */
    _Atomic uint32_t failures;  /* makings of key 0 that still have to fail */
} cache_state;

static void plan_retain(void *memory)
{
    plan *self = memory;
    hd_add_relaxed(&self->references, 1);
}

static void plan_release(void *memory)
{
    plan *self = memory;
    if (hd_sub_acq_rel(&self->references, 1) == 1) {
        self->value = 0;
        hd_free(self);
    }
}

static bool plan_is_idle(void *memory)
{
    plan *self = memory;
    return hd_load_relaxed(&self->references) == 1;
}

static cache_state *cache_open(size_t capacity)
{
    cache_state *state = hd_alloc_zero(1, sizeof *state);
    hd_plan_cache_functions functions = {plan_retain, plan_release, plan_is_idle};
    scenario_require("explorer", hd_plan_cache_create(capacity, functions, &state->cache) == HD_OK);
    trace_name(state, sizeof *state, "state");
    return state;
}

static void cache_end(cache_state *state)
{
    hd_plan_cache_destroy(&state->cache);
    scenario_require("SAFE.no-handle", state->cache == NULL);
    hd_free(state);
}

/* Finds or makes the plan of a key and uses it. */
static hd_status use_plan_unless(cache_state *state, uint32_t key, uint64_t deadline,
                                 const hd_stop *stop)
{
    void *found;
    hd_status status =
        hd_plan_cache_find_unless(state->cache, &key, sizeof key, deadline, stop, &found);
    if (status != HD_OK) {
        scenario_require("SAFE.nothing", found == NULL);
        return status;
    }
    if (found == NULL) {
        scenario_require("ONCE.single-flight", hd_add_relaxed(&state->making[key], 1) == 0);
        plan *fresh = NULL;
        uint32_t failures = hd_load_relaxed(&state->failures);
        if (key == 0 && failures > 0) {
            hd_store_relaxed(&state->failures, failures - 1);
        } else {
            fresh = hd_alloc(sizeof *fresh);
            atomic_init(&fresh->references, 1);
            fresh->value = key + 100;
            hd_add_relaxed(&state->made[key], 1);
        }
        hd_sub_relaxed(&state->making[key], 1);
        hd_plan_cache_finish(state->cache, &key, sizeof key, fresh);
        if (fresh == NULL) {
            return HD_OUT_OF_MEMORY;
        }
        found = fresh;
    }
    const plan *use = found;
    scenario_require("SAFE.right-plan", use->value == key + 100);
    plan_release(found);
    return HD_OK;
}

static hd_status use_plan(cache_state *state, uint32_t key, uint64_t deadline)
{
    return use_plan_unless(state, key, deadline, NULL);
}

/* A stop that comes with the waiting thread's first look, or its second. */
typedef struct counted_stop {
    hd_stop stop; /* first */
    uint32_t looks;
} counted_stop;

static hd_status look_counted(const hd_stop *stop)
{
    counted_stop *self = (counted_stop *)(uintptr_t)stop;
    if (self->looks == 0) {
        return HD_CANCELLED;
    }
    self->looks--;
    return HD_OK;
}

static void use_first_stoppable(void *argument)
{
    counted_stop stop = {.stop = {.look = look_counted, .commit = look_counted}, .looks = 0};
    hd_status status = use_plan_unless(argument, 0, HD_FOREVER, &stop.stop);
    scenario_require("ONCE.found-or-stopped",
                     status == HD_OK || status == HD_CANCELLED || status == HD_OUT_OF_MEMORY);
}

static void use_first(void *argument)
{
    hd_status status = use_plan(argument, 0, HD_FOREVER);
    scenario_require("ONCE.found-or-made", status == HD_OK || status == HD_OUT_OF_MEMORY);
}

static void use_first_limited(void *argument)
{
    hd_status status =
        SCENARIO_LIMITED(SCENARIO_LATER, HD_NOT_YET, use_plan(argument, 0, SCENARIO_LATER));
    scenario_require("ONCE.limited", status == HD_OK || status == HD_NOT_YET);
}

static void use_second(void *argument)
{
    scenario_require("ONCE.second", use_plan(argument, 1, HD_FOREVER) == HD_OK);
}

static void use_both(void *argument)
{
    use_first(argument);
    use_second(argument);
}

static void use_both_backwards(void *argument)
{
    use_second(argument);
    use_first(argument);
}

static void evict(void *argument)
{
    hd_plan_cache_evict(((cache_state *)argument)->cache);
}

static void use_and_evict(void *argument)
{
    use_first(argument);
    evict(argument);
}

/* Runs the threads; keeps: plans in the cache afterwards; made: most plans of key 0. */
static void run_cache(cache_state *state, uint32_t count, void (*const *runs)(void *), size_t keeps,
                      uint32_t made)
{
    hd_thread threads[3];
    for (uint32_t i = 0; i < count; i++) {
        scenario_start(&threads[i], "user", runs[i], state);
    }
    for (uint32_t i = 0; i < count; i++) {
        hd_thread_join(&threads[i]);
    }
    scenario_require("FLAT.kept", hd_plan_cache_count(state->cache) == keeps);
    scenario_require("ONCE.made", hd_load_relaxed(&state->made[0]) <= made);
    cache_end(state);
}

static void single_flight(void)
{
    run_cache(cache_open(2), 2, (void (*const[])(void *)){use_first, use_first}, 1, 1);
}

static void single_flight_of_three(void)
{
    run_cache(cache_open(2), 3, (void (*const[])(void *)){use_first, use_first, use_first}, 1, 1);
}

static void waiter_with_limit(void)
{
    run_cache(cache_open(2), 2, (void (*const[])(void *)){use_first, use_first_limited}, 1, 1);
}

static void two_keys(void)
{
    run_cache(cache_open(2), 2, (void (*const[])(void *)){use_both, use_both_backwards}, 2, 1);
}

/* One maker fails: one of those who waited makes the plan. */
static void failing_maker(void)
{
    cache_state *state = cache_open(2);
    hd_store_relaxed(&state->failures, 1);
    run_cache(state, 2, (void (*const[])(void *)){use_first, use_first}, 1, 1);
}

static void failing_maker_two_wait(void)
{
    cache_state *state = cache_open(2);
    hd_store_relaxed(&state->failures, 1);
    run_cache(state, 3, (void (*const[])(void *)){use_first, use_first, use_first}, 1, 1);
}

/* Room for one plan: each new one drops the other, perhaps while somebody uses it. */
static void dropped_while_used(void)
{
    run_cache(cache_open(1), 2, (void (*const[])(void *)){use_first, use_second}, 1, 1);
}

static void dropped_and_made_again(void)
{
    run_cache(cache_open(1), 2, (void (*const[])(void *)){use_both, use_first}, 1, 2);
}

static void finder_against_dropping(void)
{
    cache_state *state = cache_open(1);
    use_first(state);
    run_cache(state, 2, (void (*const[])(void *)){use_first, use_second}, 1, 2);
}

/* What is evicted may be found, be in the making, or have a user at that moment; afterwards nothing is kept. */
static void evicted_while_used(void)
{
    cache_state *state = cache_open(2);
    hd_thread threads[2];
    scenario_start(&threads[0], "user", use_first, state);
    scenario_start(&threads[1], "evictor", use_and_evict, state);
    hd_thread_join(&threads[0]);
    hd_thread_join(&threads[1]);
    scenario_require("ONCE.made", hd_load_relaxed(&state->made[0]) <= 2);
    hd_plan_cache_evict(state->cache);
    scenario_require("FLAT.evicted", hd_plan_cache_count(state->cache) == 0);
    cache_end(state);
}

static void evicted_twice(void)
{
    cache_state *state = cache_open(2);
    use_both(state);
    hd_thread threads[3];
    scenario_start(&threads[0], "evictor", evict, state);
    scenario_start(&threads[1], "evictor", evict, state);
    scenario_start(&threads[2], "user", use_second, state);
    for (uint32_t i = 0; i < 3; i++) {
        hd_thread_join(&threads[i]);
    }
    scenario_require("FLAT.kept", hd_plan_cache_count(state->cache) <= 1);
    cache_end(state);
}

/* The plan is never finished while the stopped one waits; then it is made, once. */
static void stopped_while_made(void)
{
    cache_state *state = cache_open(2);
    uint32_t key = 0;
    void *found;
    counted_stop stop = {.stop = {.look = look_counted, .commit = look_counted}, .looks = 1};
    scenario_require("ONCE.maker", hd_plan_cache_find(state->cache, &key, sizeof key, HD_FOREVER,
                                                      &found) == HD_OK &&
                                       found == NULL);
    hd_add_relaxed(&state->making[key], 1);
    scenario_require("ONCE.stopped",
                     use_plan_unless(state, key, HD_FOREVER, &stop.stop) == HD_CANCELLED);
    hd_sub_relaxed(&state->making[key], 1);
    /* dropped, since its maker was stopped, too */
    hd_plan_cache_finish(state->cache, &key, sizeof key, NULL);
    run_cache(state, 1, (void (*const[])(void *)){use_first}, 1, 1);
}

static void stopped_against_finish(void)
{
    run_cache(cache_open(2), 2, (void (*const[])(void *)){use_first, use_first_stoppable}, 1, 1);
}

/* The maker's plan is dropped: who was stopped meanwhile takes nobody's turn. */
static void stopped_beside_a_waiter(void)
{
    cache_state *state = cache_open(2);
    hd_store_relaxed(&state->failures, 1);
    run_cache(state, 3, (void (*const[])(void *)){use_first, use_first_stoppable, use_both}, 2, 1);
}

const scenario scenarios_plan_cache[] = {
    {.name = "cache.stopped-while-made", .run = stopped_while_made},
    {.name = "cache.stopped-against-finish", .run = stopped_against_finish},
    {.name = "cache.stopped-beside-a-waiter",
     .run = stopped_beside_a_waiter,
     .preemptions = 2,
     .old_loads = 1},
    {.name = "cache.evicted-while-used", .run = evicted_while_used},
    {.name = "cache.evicted-twice", .run = evicted_twice},
    {.name = "cache.single-flight", .run = single_flight},
    {.name = "cache.single-flight-of-three", .run = single_flight_of_three},
    {.name = "cache.wake-without-reason", .run = single_flight, .spurious = 1},
    {.name = "cache.waiter-with-limit", .run = waiter_with_limit},
    {.name = "cache.two-keys", .run = two_keys},
    {.name = "cache.failing-maker", .run = failing_maker},
    {.name = "cache.failing-maker-two-wait", .run = failing_maker_two_wait},
    {.name = "cache.dropped-while-used", .run = dropped_while_used},
    {.name = "cache.dropped-and-made-again", .run = dropped_and_made_again},
    {.name = "cache.finder-against-dropping", .run = finder_against_dropping},
    {.name = NULL},
};
