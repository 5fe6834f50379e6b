/* Scenarios of the slot pool. All but a few slots are leased at set-up, so that two or three threads
 * exhaust it. `used` counts the leases of each slot without a lock or atomics: two owners of one slot
 * at a time, or an owner who does not see what the last one did, are a data race. */
#include "runtime/slot_pool.h"

#include "../scenario.h"

typedef struct pool_state {
    hd_slot_pool pool;
    uint32_t used[HD_STREAM_COUNT];
    uint32_t idle_count; /* slots 1 to idle_count are left idle; the spare is, too */
    uint32_t order;      /* how many were served, written by whoever has slot 1 */
} pool_state;

/* The calls, with what they are given and what they answer, for traces. */
static hd_status lease_slot(pool_state *state, uint32_t hint, uint64_t deadline, uint32_t *out_slot)
{
    scenario_event("calls lease");
    hd_status status = hd_slot_pool_lease(&state->pool, hint, deadline, out_slot);
    scenario_event("answers %d", (int)*out_slot);
    return status;
}

static hd_status lease_for_run(pool_state *state, uint32_t hint, uint64_t deadline,
                               const hd_stop *stop, uint32_t *out_slot)
{
    scenario_event("calls run");
    hd_status status = hd_slot_pool_lease_for_run(&state->pool, hint, deadline, stop, out_slot);
    scenario_event("answers %d", (int)*out_slot);
    return status;
}

static void return_slot(pool_state *state, uint32_t slot)
{
    scenario_event("calls return %u", slot);
    hd_slot_pool_return(&state->pool, slot);
    scenario_event("answers");
}

static void forget_slot(pool_state *state, uint32_t slot)
{
    scenario_event("calls forget %u", slot);
    hd_slot_pool_forget(&state->pool, slot);
    scenario_event("answers");
}

static hd_status close_pool(pool_state *state, uint64_t deadline)
{
    scenario_event("calls close");
    hd_status status = hd_slot_pool_close(&state->pool, deadline);
    scenario_event("answers %d", (int)status);
    return status;
}

static pool_state *pool_open(uint32_t idle_count)
{
    pool_state *state = hd_alloc_aligned(sizeof *state);
    scenario_require("explorer", hd_slot_pool_init(&state->pool) == HD_OK);
    trace_name(&state->pool, sizeof state->pool, "pool");
    trace_name(state->used, sizeof state->used, "used");
    for (uint32_t i = 0; i < HD_STREAM_COUNT; i++) {
        state->used[i] = 0;
    }
    state->idle_count = idle_count;
    state->order = 0;
    /* As if slots idle_count + 1 to 31 were leased. */
    uint32_t slot;
    for (uint32_t i = idle_count + 1; i < HD_STREAM_COUNT; i++) {
        scenario_require("SAFE.wish", lease_slot(state, i, 0, &slot) == HD_OK && slot == i);
    }
    scenario_event("pool of %u", idle_count);
    return state;
}

/* Nobody is inside: what is left idle is what was so at set-up. */
static void pool_end(pool_state *state)
{
    hd_slot_counts counts = hd_slot_pool_count(&state->pool);
    scenario_require("SAFE.slots", counts.free + counts.remembered == state->idle_count);
    scenario_require("SAFE.slots", counts.leased == HD_STREAM_COUNT - 1 - state->idle_count);
    hd_slot_pool_destroy(&state->pool);
    hd_free(state);
}

static void use_and_return(pool_state *state, hd_status status, uint32_t slot)
{
    if (status == HD_OK) {
        scenario_require("SAFE.slot-was-idle", slot <= state->idle_count);
        state->used[slot]++;
        return_slot(state, slot);
    } else {
        scenario_require("SAFE.no-slot", slot == HD_SLOT_NONE);
    }
}

static hd_status lease_and_return(pool_state *state, uint32_t hint, uint64_t deadline)
{
    uint32_t slot;
    hd_status status =
        SCENARIO_LIMITED(deadline, HD_EXHAUSTED, lease_slot(state, hint, deadline, &slot));
    scenario_require("SAFE.spare-is-for-runs", slot != HD_SLOT_SPARE);
    use_and_return(state, status, slot);
    return status;
}

static hd_status run_and_return(pool_state *state, uint64_t deadline)
{
    uint32_t slot;
    hd_status status = SCENARIO_LIMITED(deadline, HD_EXHAUSTED,
                                        lease_for_run(state, HD_SLOT_NONE, deadline, NULL, &slot));
    use_and_return(state, status, slot);
    return status;
}

/* A stop that comes with one of the waiting thread's looks: at each of them, and not before, it may have come. */
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

static hd_status run_until_stopped(pool_state *state, uint32_t looks)
{
    counted_stop stop = {.stop = {.look = look_counted, .commit = look_counted}, .looks = looks};
    uint32_t slot;
    hd_status status = lease_for_run(state, HD_SLOT_NONE, HD_FOREVER, &stop.stop, &slot);
    use_and_return(state, status, slot);
    return status;
}

static void run_stoppable(void *argument)
{
    hd_status status = run_until_stopped(argument, 0);
    scenario_require("ONCE.stopped", status == HD_OK || status == HD_CANCELLED);
}

/* A run that waits for whatever comes. */
static void run_patiently(void *argument)
{
    scenario_require("BOUND.run-gets-on", run_and_return(argument, HD_FOREVER) == HD_OK);
}

static void run_at_once(void *argument)
{
    hd_status status = run_and_return(argument, 0);
    scenario_require("SAFE.refused", status == HD_OK || status == HD_EXHAUSTED);
}

static void run_waiting(void *argument)
{
    pool_state *state = argument;
    scenario_require("BOUND.served", lease_and_return(state, HD_SLOT_NONE, HD_FOREVER) == HD_OK);
}

static void run_refused(void *argument)
{
    hd_status status = lease_and_return(argument, HD_SLOT_NONE, 0);
    scenario_require("SAFE.refused", status == HD_OK || status == HD_EXHAUSTED);
}

static void run_limited(void *argument)
{
    hd_status status = lease_and_return(argument, HD_SLOT_NONE, SCENARIO_LATER);
    scenario_require("SAFE.limited", status == HD_OK || status == HD_EXHAUSTED);
}

static void run_wishing(void *argument)
{
    scenario_require("SAFE.wishing", lease_and_return(argument, 1, HD_FOREVER) == HD_OK);
}

static void run_twice(void *argument)
{
    run_waiting(argument);
    run_wishing(argument);
}

static void run_forgetting(void *argument)
{
    pool_state *state = argument;
    run_waiting(argument);
    forget_slot(state, 1);
}

static void run_forget_only(void *argument)
{
    pool_state *state = argument;
    forget_slot(state, 1);
}

static void run_closable(void *argument)
{
    hd_status status = lease_and_return(argument, HD_SLOT_NONE, HD_FOREVER);
    scenario_require("ONCE.closable", status == HD_OK || status == HD_CLOSED);
}

/* Starts the threads, joins them. */
static void run_threads(pool_state *state, uint32_t count, void (*const *runs)(void *))
{
    hd_thread threads[3];
    for (uint32_t i = 0; i < count; i++) {
        static const char *const names[] = {"first", "second", "third"};
        scenario_start(&threads[i], names[i], runs[i], state);
    }
    for (uint32_t i = 0; i < count; i++) {
        hd_thread_join(&threads[i]);
    }
}

#define POOL_SCENARIO(name, idle_count, ...)                                                       \
    static void name(void)                                                                         \
    {                                                                                              \
        void (*const runs[])(void *) = {__VA_ARGS__};                                              \
        pool_state *state = pool_open(idle_count);                                                 \
        run_threads(state, sizeof runs / sizeof *runs, runs);                                      \
        pool_end(state);                                                                           \
    }

POOL_SCENARIO(two_threads_two_slots, 2, run_waiting, run_waiting)
POOL_SCENARIO(two_threads_one_slot, 1, run_waiting, run_waiting)
POOL_SCENARIO(two_threads_twice, 1, run_twice, run_waiting)
POOL_SCENARIO(two_wishes_for_one_slot, 2, run_wishing, run_wishing)
POOL_SCENARIO(exhausted_and_refused, 1, run_refused, run_waiting)
POOL_SCENARIO(exhausted_with_limit, 1, run_limited, run_waiting)
POOL_SCENARIO(two_limits, 1, run_limited, run_limited)
POOL_SCENARIO(forget_against_take, 1, run_forgetting, run_waiting)
POOL_SCENARIO(forget_against_two, 1, run_forget_only, run_waiting, run_refused)
POOL_SCENARIO(three_threads_one_slot, 1, run_waiting, run_waiting, run_waiting)
POOL_SCENARIO(three_threads_two_slots, 2, run_waiting, run_wishing, run_limited)

/* No slot but the spare. One who waits to be an owner gets nothing before his time is over. */
POOL_SCENARIO(two_runs_one_spare, 0, run_patiently, run_patiently)
POOL_SCENARIO(runs_pass_an_owner, 0, run_limited, run_patiently, run_at_once)
POOL_SCENARIO(spare_and_one_slot, 1, run_waiting, run_patiently, run_patiently)

/* A run behind one who waits to be an owner gets on with the spare, which is returned meanwhile, though no other
 * slot ever comes. */
static void spare_comes_back(void)
{
    pool_state *state = pool_open(0);
    uint32_t slot;
    scenario_require("SAFE.spare", lease_for_run(state, HD_SLOT_NONE, 0, NULL, &slot) == HD_OK &&
                                       slot == HD_SLOT_SPARE);
    state->used[slot]++;
    hd_thread owner, run;
    scenario_start(&owner, "owner", run_limited, state);
    scenario_start(&run, "run", run_patiently, state);
    return_slot(state, slot);
    hd_thread_join(&run);
    hd_thread_join(&owner);
    pool_end(state);
}

static void return_spare(void *argument)
{
    pool_state *state = argument;
    state->used[HD_SLOT_SPARE]++;
    return_slot(state, HD_SLOT_SPARE);
}

/* All slots have come back but the spare, which a run has. */
static void close_against_spare(void)
{
    pool_state *state = pool_open(0);
    uint32_t slot;
    scenario_require("SAFE.spare", lease_for_run(state, HD_SLOT_NONE, 0, NULL, &slot) == HD_OK &&
                                       slot == HD_SLOT_SPARE);
    for (uint32_t i = 1; i < HD_STREAM_COUNT; i++) {
        return_slot(state, i);
    }
    state->idle_count = HD_STREAM_COUNT - 1;
    hd_thread run;
    scenario_start(&run, "run", return_spare, state);
    scenario_require("BOUND.close", close_pool(state, HD_FOREVER) == HD_OK);
    state->used[HD_SLOT_SPARE]++;
    hd_thread_join(&run);
    pool_end(state);
}

/* Closing waits for what is leased and refuses the rest. */
static void close_with(uint32_t count, void (*const *runs)(void *), uint64_t deadline)
{
    pool_state *state = pool_open(HD_STREAM_COUNT - 1);
    /* All but slot 1 are idle and stay so: closing waits for all 31. */
    hd_thread threads[2];
    for (uint32_t i = 0; i < count; i++) {
        scenario_start(&threads[i], i == 0 ? "first" : "second", runs[i], state);
    }
    hd_status status = SCENARIO_LIMITED(deadline, HD_NOT_YET, close_pool(state, deadline));
    if (status == HD_OK) {
        /* What every owner did with its slot is seen, and nobody becomes an owner now: a thread that
         * still takes a slot gives it back unused. */
        for (uint32_t i = 0; i < HD_STREAM_COUNT; i++) {
            state->used[i]++;
        }
    } else {
        scenario_require("BOUND.close", status == HD_NOT_YET && deadline != HD_FOREVER);
    }
    for (uint32_t i = 0; i < count; i++) {
        hd_thread_join(&threads[i]);
    }
    uint32_t slot;
    scenario_require("SAFE.stays-closed", lease_slot(state, 1, 0, &slot) == HD_CLOSED);
    pool_end(state);
}

static void close_against_lease(void)
{
    close_with(1, (void (*const[])(void *)){run_closable}, HD_FOREVER);
}

static void close_against_two(void)
{
    close_with(2, (void (*const[])(void *)){run_closable, run_closable}, HD_FOREVER);
}

static void close_with_limit(void)
{
    close_with(1, (void (*const[])(void *)){run_closable}, SCENARIO_LATER);
}

/* One waits for a slot when the pool is closed; then the slot comes back. */
static void close_against_waiter(void)
{
    pool_state *state = pool_open(0);
    hd_thread waiter;
    scenario_start(&waiter, "waiter", run_closable, state);
    hd_status status = close_pool(state, SCENARIO_LATER);
    scenario_require("BOUND.close", status == HD_NOT_YET);
    hd_thread_join(&waiter);
    pool_end(state);
}

/* The owner returns its slot while one waits with a limit. */
static void return_against_limit(void)
{
    pool_state *state = pool_open(1);
    uint32_t slot;
    scenario_require("SAFE.one", lease_slot(state, 1, 0, &slot) == HD_OK);
    state->used[slot]++;
    hd_thread waiter;
    scenario_start(&waiter, "waiter", run_limited, state);
    return_slot(state, slot);
    hd_thread_join(&waiter);
    pool_end(state);
}

/* Two wait when the owner returns its slot: both are served, one after the other. */
static void return_against_two(void)
{
    pool_state *state = pool_open(1);
    uint32_t slot;
    scenario_require("SAFE.one", lease_slot(state, 1, 0, &slot) == HD_OK);
    state->used[slot]++;
    hd_thread first, second;
    scenario_start(&first, "first", run_waiting, state);
    scenario_start(&second, "second", run_limited, state);
    return_slot(state, slot);
    hd_thread_join(&first);
    hd_thread_join(&second);
    pool_end(state);
}

/* One that has waited for longest stays when one behind it leaves, and one more comes: both are served. */
static void limit_leaves_the_end(void)
{
    pool_state *state = pool_open(1);
    uint32_t slot;
    scenario_require("SAFE.one", lease_slot(state, 1, 0, &slot) == HD_OK);
    hd_thread threads[3];
    scenario_start(&threads[0], "first", run_waiting, state);
    scenario_start(&threads[1], "second", run_limited, state);
    scenario_start(&threads[2], "third", run_waiting, state);
    return_slot(state, slot);
    for (uint32_t i = 0; i < 3; i++) {
        hd_thread_join(&threads[i]);
    }
    pool_end(state);
}

/* Leases slot 1 and tells who was served before. */
static void queue_up(pool_state *state, uint32_t place)
{
    uint32_t slot;
    scenario_require("BOUND.served", lease_slot(state, HD_SLOT_NONE, HD_FOREVER, &slot) == HD_OK);
    scenario_require("BOUND.first-come-first-served", state->order == place);
    state->order++;
    return_slot(state, slot);
}

static void queue_up_first(void *argument)
{
    queue_up(argument, 0);
}

static void queue_up_second(void *argument)
{
    queue_up(argument, 1);
}

static void queue_up_third(void *argument)
{
    queue_up(argument, 2);
}

static void await_line(pool_state *state, uint32_t length)
{
    while (hd_load_seq_cst(&state->pool.waiting) < length) {
        hd_thread_yield();
    }
}

/* The slot comes back while others stand in line, and one more comes: nobody is overtaken. */
static void line_of(uint32_t count)
{
    static void (*const runs[])(void *) = {queue_up_first, queue_up_second, queue_up_third};
    pool_state *state = pool_open(1);
    hd_thread threads[3];
    uint32_t slot;
    scenario_require("SAFE.one", lease_slot(state, 1, 0, &slot) == HD_OK);
    for (uint32_t i = 0; i < count; i++) {
        scenario_start(&threads[i], "in line", runs[i], state);
        if (i + 1 < count) {
            await_line(state, i + 1);
        }
    }
    return_slot(state, slot);
    for (uint32_t i = 0; i < count; i++) {
        hd_thread_join(&threads[i]);
    }
    scenario_require("BOUND.served", state->order == count);
    pool_end(state);
}

static void newcomer_behind_one(void)
{
    line_of(2);
}

static void newcomer_behind_two(void)
{
    line_of(3);
}

/* No slot ever comes: the stop ends the wait, and who comes next is served. */
static void stopped_without_a_slot(void)
{
    pool_state *state = pool_open(0);
    uint32_t spare;
    scenario_require("SAFE.spare", lease_for_run(state, HD_SLOT_NONE, 0, NULL, &spare) == HD_OK);
    scenario_require("ONCE.stopped", run_until_stopped(state, 1) == HD_CANCELLED);
    return_slot(state, spare);
    scenario_require("BOUND.served", run_and_return(state, HD_FOREVER) == HD_OK);
    pool_end(state);
}

/* The spare comes back, and the stop comes, while it is waited for. */
static void stopped_against_return(void)
{
    pool_state *state = pool_open(0);
    run_threads(state, 2, (void (*const[])(void *)){run_patiently, run_stoppable});
    pool_end(state);
}

/* A run that is stopped leaves the line, before another and behind it. */
static void stopped_in_line(void)
{
    pool_state *state = pool_open(0);
    run_threads(state, 3, (void (*const[])(void *)){run_patiently, run_stoppable, run_patiently});
    pool_end(state);
}

const scenario scenarios_slot_pool[] = {
    {.name = "pool.stopped-without-a-slot", .run = stopped_without_a_slot},
    {.name = "pool.stopped-against-return", .run = stopped_against_return},
    {.name = "pool.stopped-in-line", .run = stopped_in_line, .preemptions = 2, .old_loads = 1},
    {.name = "pool.weak-two-threads-two-slots", .run = two_threads_two_slots, .weak = true},
    {.name = "pool.two-threads-two-slots", .run = two_threads_two_slots},
    {.name = "pool.weak-two-threads-one-slot", .run = two_threads_one_slot, .weak = true},
    {.name = "pool.two-threads-one-slot", .run = two_threads_one_slot},
    {.name = "pool.two-threads-twice", .run = two_threads_twice},
    {.name = "pool.two-wishes-for-one-slot", .run = two_wishes_for_one_slot},
    {.name = "pool.exhausted-and-refused", .run = exhausted_and_refused},
    {.name = "pool.exhausted-with-limit", .run = exhausted_with_limit},
    {.name = "pool.two-limits", .run = two_limits},
    {.name = "pool.wake-without-reason", .run = two_threads_one_slot, .spurious = 1},
    {.name = "pool.weak-forget-against-take", .run = forget_against_take, .weak = true},
    {.name = "pool.forget-against-take", .run = forget_against_take},
    {.name = "pool.forget-against-two", .run = forget_against_two},
    {.name = "pool.return-against-limit", .run = return_against_limit},
    {.name = "pool.return-against-two", .run = return_against_two},
    {.name = "pool.newcomer-behind-one", .run = newcomer_behind_one},
    {.name = "pool.newcomer-behind-two",
     .run = newcomer_behind_two,
     .preemptions = 2,
     .old_loads = 1},
    {.name = "pool.limit-leaves-the-end",
     .run = limit_leaves_the_end,
     .preemptions = 2,
     .old_loads = 1},
    {.name = "pool.weak-close-against-lease", .run = close_against_lease, .weak = true},
    {.name = "pool.close-against-lease", .run = close_against_lease},
    {.name = "pool.close-against-waiter", .run = close_against_waiter},
    {.name = "pool.close-with-limit", .run = close_with_limit},
    {.name = "pool.close-against-two", .run = close_against_two},
    {.name = "pool.two-runs-one-spare", .run = two_runs_one_spare},
    {.name = "pool.runs-pass-an-owner", .run = runs_pass_an_owner},
    {.name = "pool.spare-comes-back", .run = spare_comes_back},
    {.name = "pool.spare-and-one-slot",
     .run = spare_and_one_slot,
     .preemptions = 2,
     .old_loads = 1},
    {.name = "pool.close-against-spare", .run = close_against_spare},
    {.name = "pool.three-threads-one-slot", .run = three_threads_one_slot},
    {.name = "pool.three-threads-two-slots", .run = three_threads_two_slots},
    {.name = NULL},
};
