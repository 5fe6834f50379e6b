/* Scenarios of the future. The request writes `result` while it holds the caller's memory, and `published` once it
 * has fixed the outcome, both without a lock or atomics: whoever finds the future final and does not see them, or
 * has them written under him, is in a data race. */
#include "runtime/future.h"

#include "../scenario.h"

typedef struct future_state {
    hd_callbacks callbacks;
    hd_future_home home;
    hd_future *future;
    uint32_t result;     /* the caller's memory: 0 his, 1 written by the request, 2 his again */
    uint32_t published;  /* likewise of his structs: 1 written */
    hd_status cancelled; /* what hd_future_cancel said */
    uint32_t called;     /* by the callback's thread */
    hd_status told;
    _Atomic uint32_t owners;
    _Atomic uint32_t time_has_passed; /* the deadline's, at the latest */
    hd_mutex mutex;                   /* rank leaf; for the passing of time */
    hd_condition never;
} future_state;

static void retain_owner(void *owner)
{
    hd_add_relaxed(&((future_state *)owner)->owners, 1);
}

static void release_owner(void *owner)
{
    hd_sub_acq_rel(&((future_state *)owner)->owners, 1);
}

/* What whoever finds the future final finds, and may read and write: results are there after HD_OK, and the
 * structs are set exactly then. */
static void require_published(future_state *state, hd_status outcome)
{
    scenario_require("ONCE.published", state->published == (outcome == HD_OK ? 1 : 0));
    scenario_require("REUSE.result-seen", outcome != HD_OK || state->result == 1);
}

static void note_outcome(void *context, hd_status status, const hd_error *error)
{
    future_state *state = context;
    scenario_event("called %d", (int)status);
    scenario_require("ONCE.error-tells", status == HD_OK ? error == NULL : error->status == status);
    require_published(state, status);
    state->called++;
    state->told = status;
}

/* The calls, for traces. */
static bool call_hold(hd_future *future)
{
    scenario_event("calls hold");
    bool held = hd_future_hold(future);
    scenario_event("answers %d", held);
    return held;
}

static void call_let_go(hd_future *future)
{
    scenario_event("calls let_go");
    hd_future_let_go(future);
    scenario_event("answers");
}

static hd_status call_commit(hd_future *future)
{
    scenario_event("calls commit");
    hd_status status = hd_future_commit(future);
    scenario_event("answers %d", (int)status);
    return status;
}

static void call_finish(hd_future *future, hd_status status, const hd_error *error)
{
    scenario_event("calls finish");
    hd_future_finish(future, status, error);
    scenario_event("answers");
}

static hd_status call_cancel(hd_future *future)
{
    scenario_event("calls cancel");
    hd_status status = hd_future_cancel(future);
    scenario_event("answers %d", (int)status);
    return status;
}

static hd_status call_wait(hd_future *future, uint32_t timeout_ms, hd_error *error)
{
    scenario_event("calls wait");
    hd_status status = hd_future_wait(future, timeout_ms, error);
    scenario_event("answers %d", (int)status);
    return status;
}

static void call_destroy(hd_future **future)
{
    scenario_event("calls destroy");
    hd_future_destroy(future);
    scenario_event("answers");
}

static future_state *future_open(bool calls_back, bool has_deadline)
{
    future_state *state = hd_alloc_zero(1, sizeof *state);
    scenario_require("explorer", state != NULL);
    scenario_require("explorer", hd_callbacks_init(&state->callbacks) == HD_OK);
    scenario_require("explorer", hd_mutex_init(&state->mutex, HD_RANK_leaf) == HD_OK &&
                                     hd_condition_init(&state->never) == HD_OK);
    state->home = (hd_future_home){&state->callbacks, state, retain_owner, release_owner, false};
    state->cancelled = HD_OK;
    hd_submit_options options = {.deadline_ms = has_deadline ? 1 : 0,
                                 .callback = calls_back ? note_outcome : NULL,
                                 .context = state};
    scenario_require("explorer",
                     hd_future_create(&state->home, &options, true, &state->future) == HD_OK);
    trace_name(state->future, sizeof *state->future, "future");
    scenario_event("future %s", calls_back ? "calls" : "is silent");
    return state;
}

static void future_end(future_state *state)
{
    call_destroy(&state->future);
    hd_callbacks_destroy(&state->callbacks);
    hd_condition_destroy(&state->never);
    hd_mutex_destroy(&state->mutex);
    scenario_require("BOUND.owners", hd_load_relaxed(&state->owners) == 0);
    hd_free(state);
}

/* The request, as a runner does it. `with`: what it ends with; held: whether it has taken hold. */
static void work_held(future_state *state, hd_future *future, hd_status with, bool held)
{
    hd_error error = {.status = with};
    hd_status status = HD_CANCELLED;
    if (held) {
        state->result = 1;
        status = with == HD_OK ? call_commit(future) : with;
        if (status == HD_OK) {
            state->published = 1;
            scenario_event("publishes");
        }
    }
    call_finish(future, status, with == HD_OK ? NULL : &error);
}

static void work_on(future_state *state, hd_future *future, hd_status with)
{
    work_held(state, future, with, call_hold(future));
}

static void finish(void *argument)
{
    future_state *state = argument;
    work_on(state, state->future, HD_OK);
}

static void fail(void *argument)
{
    future_state *state = argument;
    work_on(state, state->future, HD_OUT_OF_MEMORY);
}

/* The request of a batch: it lets go of the caller's memory while others are computed with it. */
static void finish_in_parts(void *argument)
{
    future_state *state = argument;
    uint32_t input = 0;
    if (call_hold(state->future)) {
        input = state->result;
        call_let_go(state->future);
    }
    scenario_require("REUSE.input", input == 0);
    work_on(state, state->future, HD_OK);
}

static void cancel(void *argument)
{
    future_state *state = argument;
    state->cancelled = call_cancel(state->future);
    scenario_require("ONCE.cancel-says", state->cancelled == HD_CANCELLED ||
                                             state->cancelled == HD_OK ||
                                             state->cancelled == HD_DEADLINE);
}

static hd_status await(future_state *state, uint32_t timeout_ms)
{
    hd_error error = {.status = HD_OK};
    hd_status status = call_wait(state->future, timeout_ms, &error);
    scenario_require("ONCE.error-tells", error.status == status);
    if (status != HD_NOT_YET) {
        require_published(state, status);
    }
    return status;
}

/* The caller's own time limit counts from the call, whatever wakes it. */
static hd_status await_limited(future_state *state)
{
    uint64_t begin = scenario_now(), most = begin + 4 * UINT64_C(1000000);
    scenario_limit(most);
    hd_status status = await(state, 3);
    scenario_limit(HD_FOREVER);
    scenario_require("BOUND.limited",
                     status == HD_NOT_YET || status == HD_OK || status == HD_DEADLINE);
    scenario_require("BOUND.not-before-its-time",
                     status != HD_NOT_YET || scenario_now() >= begin + 3 * UINT64_C(1000000));
    return status;
}

static void finish_against_wait(void)
{
    future_state *state = future_open(false, false);
    hd_thread thread;
    scenario_start(&thread, "finisher", finish, state);
    scenario_require("BOUND.final", await(state, UINT32_MAX) == HD_OK);
    call_destroy(&state->future); /* while the finisher is on its way out, or not */
    hd_thread_join(&thread);
    future_end(state);
}

static void failure_against_limited(void)
{
    future_state *state = future_open(false, false);
    hd_thread thread;
    scenario_start(&thread, "finisher", fail, state);
    hd_status status = await(state, 1);
    scenario_require("BOUND.limited", status == HD_OUT_OF_MEMORY || status == HD_NOT_YET);
    hd_thread_join(&thread);
    future_end(state);
}

static void wait_too(void *argument)
{
    scenario_require("BOUND.final", await(argument, UINT32_MAX) != HD_NOT_YET);
}

static void two_wait(void)
{
    future_state *state = future_open(false, false);
    hd_thread threads[2];
    scenario_start(&threads[0], "finisher", finish, state);
    scenario_start(&threads[1], "waiter", wait_too, state);
    wait_too(state);
    hd_thread_join(&threads[0]);
    hd_thread_join(&threads[1]);
    future_end(state);
}

static void cancel_against_finish(void)
{
    future_state *state = future_open(false, false);
    hd_thread threads[2];
    scenario_start(&threads[0], "finisher", finish, state);
    scenario_start(&threads[1], "canceller", cancel, state);
    hd_status outcome = await(state, UINT32_MAX);
    hd_thread_join(&threads[0]);
    hd_thread_join(&threads[1]);
    scenario_require("ONCE.one-outcome", state->cancelled == outcome);
    scenario_require("ONCE.outcome-stands", await(state, 0) == outcome);
    future_end(state);
}

/* Time passes only where a wait ends by it: after that one the deadline has passed, too. */
static void finish_against_deadline(void)
{
    future_state *state = future_open(false, true);
    hd_thread thread;
    scenario_start(&thread, "finisher", finish, state);
    hd_status early = await(state, 1);
    cancel(state);
    hd_thread_join(&thread);
    hd_status outcome = await(state, 0);
    scenario_require("ONCE.one-outcome", outcome == state->cancelled);
    scenario_require("ONCE.outcome-stands", early == HD_NOT_YET || early == outcome);
    scenario_outcome(outcome == HD_OK ? 0 : outcome == HD_CANCELLED ? 1 : 2);
    future_end(state);
}

static void detach(void *argument)
{
    future_state *state = argument;
    hd_future *handle = state->future;
    call_cancel(handle);
    call_destroy(&handle);
}

static void finish_against_detach(void)
{
    future_state *state = future_open(false, false);
    hd_future *future = state->future;
    hd_thread thread;
    scenario_start(&thread, "detacher", detach, state);
    work_on(state, future, HD_OK);
    hd_thread_join(&thread);
    state->future = NULL;
    future_end(state);
}

/* Waits for the callback's end as a device does: nobody owns it any more. */
static void await_owners(future_state *state)
{
    while (hd_load_acquire(&state->owners) != 0) {
        hd_thread_yield();
    }
    scenario_require("ONCE.called-once", state->called == 1);
}

static void callback_against_handle(void)
{
    future_state *state = future_open(true, false);
    hd_future *future = state->future;
    hd_thread thread;
    scenario_start(&thread, "detacher", detach, state);
    work_on(state, future, HD_OK);
    await_owners(state);
    scenario_require("ONCE.one-outcome", state->told == HD_OK || state->told == HD_CANCELLED);
    hd_thread_join(&thread);
    state->future = NULL;
    future_end(state);
}

static void callback_against_wait(void)
{
    future_state *state = future_open(true, false);
    hd_thread thread;
    scenario_start(&thread, "finisher", finish, state);
    scenario_require("BOUND.final", await(state, UINT32_MAX) == HD_OK);
    hd_thread_join(&thread);
    await_owners(state);
    scenario_require("ONCE.one-outcome", state->told == HD_OK);
    future_end(state);
}

/* ---- pairs
 *
 * Five things may happen to a request: it is cancelled, it completes, its deadline passes, its handle is
 * given back (detached), its device is shut down. Whatever happens, the work's end comes, too: so each pair
 * runs against it, with a callback.
 *
 * cancel, complete        cancel-against-complete
 * cancel, deadline        cancel-against-deadline
 * cancel, detach          callback-against-handle: one thread cancels, then detaches. Two threads may not:
 *                         a handle is given back by its last user.
 * complete, deadline      complete-against-deadline
 * complete, detach        complete-against-detach
 * deadline, detach        deadline-against-detach
 * shutdown and the rest   scenarios/model_async.c, on the real device. */

static void pass_time(void *argument)
{
    future_state *state = argument;
    hd_mutex_lock(&state->mutex);
    hd_condition_wait_until(&state->never, &state->mutex, SCENARIO_LATER);
    hd_mutex_unlock(&state->mutex);
    hd_store_release(&state->time_has_passed, 1);
}

static void complete(future_state *state, hd_future *future)
{
    /* A deadline that passes while the work is done counts. */
    bool held = call_hold(future);
    bool late = hd_load_acquire(&state->time_has_passed) == 1;
    work_held(state, future, HD_OK, held);
    await_owners(state);
    scenario_require("ONCE.late", !late || state->told != HD_OK);
    scenario_outcome(state->told == HD_OK ? 0 : state->told == HD_CANCELLED ? 1 : 2);
}

/* Completes while one or two threads run; then nothing is left to change. */
static void complete_against(future_state *state, void (*first)(void *), void (*second)(void *))
{
    hd_future *future = state->future;
    hd_thread threads[2];
    scenario_start(&threads[0], "first", first, state);
    if (second != NULL) {
        scenario_start(&threads[1], "second", second, state);
    }
    complete(state, future);
    hd_thread_join(&threads[0]);
    if (second != NULL) {
        hd_thread_join(&threads[1]);
    }
    scenario_require("ONCE.called-once", state->called == 1);
    if (state->future != NULL) {
        scenario_require("ONCE.outcome-stands", await(state, 0) == state->told);
        scenario_require("ONCE.outcome-stands", call_cancel(state->future) == state->told);
    }
    future_end(state);
}

static void cancel_and_note(void *argument)
{
    future_state *state = argument;
    cancel(state);
    hd_error error;
    hd_status status = call_wait(state->future, UINT32_MAX, &error);
    scenario_require("ONCE.one-outcome", status == state->cancelled);
}

static void wait_and_detach(void *argument)
{
    future_state *state = argument;
    scenario_require("BOUND.final", await(state, UINT32_MAX) != HD_NOT_YET);
    call_destroy(&state->future);
}

static void only_detach(void *argument)
{
    future_state *state = argument;
    call_destroy(&state->future);
}

static void cancel_against_complete(void)
{
    complete_against(future_open(true, false), cancel_and_note, NULL);
}

static void cancel_against_deadline(void)
{
    complete_against(future_open(true, true), cancel, pass_time);
}

static void complete_against_deadline(void)
{
    complete_against(future_open(true, true), pass_time, NULL);
}

static void complete_against_detach(void)
{
    complete_against(future_open(true, false), wait_and_detach, NULL);
}

static void deadline_against_detach(void)
{
    complete_against(future_open(true, true), only_detach, pass_time);
}

/* Whoever cancels has his memory back when the future is final, and it is at once where nothing is held. */
static void cancel_and_reuse(void *argument)
{
    future_state *state = argument;
    cancel(state);
    if (await(state, UINT32_MAX) == HD_CANCELLED) {
        state->result = 2;
    }
}

/* The request waits until it is cancelled, lets go, and is not heard of for long. */
static void cancel_while_held(void)
{
    future_state *state = future_open(false, false);
    hd_thread thread;
    scenario_require("SAFE.held", call_hold(state->future));
    scenario_start(&thread, "canceller", cancel_and_reuse, state);
    while (hd_future_look(state->future) == HD_OK) {
        hd_thread_yield();
    }
    scenario_require("REUSE.held", state->result == 0);
    call_let_go(state->future);
    hd_thread_join(&thread);
    scenario_require("REUSE.untouched", state->result == 2);
    call_finish(state->future, HD_CANCELLED, NULL);
    future_end(state);
}

static void failure_against_wait(void)
{
    future_state *state = future_open(false, false);
    hd_thread thread;
    scenario_start(&thread, "finisher", fail, state);
    scenario_require("ONCE.one-outcome", await(state, UINT32_MAX) == HD_OUT_OF_MEMORY);
    hd_thread_join(&thread);
    future_end(state);
}

static void cancel_against_parts(void)
{
    future_state *state = future_open(false, false);
    hd_thread thread;
    scenario_start(&thread, "finisher", finish_in_parts, state);
    cancel_and_reuse(state);
    hd_thread_join(&thread);
    scenario_require("ONCE.outcome-stands", await(state, 0) == state->cancelled);
    scenario_require("REUSE.untouched", state->result == (state->cancelled == HD_OK ? 1 : 2));
    scenario_outcome(state->cancelled == HD_OK ? 0 : 1);
    future_end(state);
}

/* Without a request that ends: the deadline passes while somebody waits for it. */
static void deadline_of_what_waits(void)
{
    future_state *state = future_open(true, true);
    scenario_require("BOUND.final", await(state, UINT32_MAX) == HD_DEADLINE);
    await_owners(state);
    call_finish(state->future, HD_CANCELLED, NULL);
    scenario_require("ONCE.outcome-stands", await(state, 0) == HD_DEADLINE);
    future_end(state);
}

static void discarded(void)
{
    future_state *state = future_open(true, false);
    hd_future_discard(state->future);
    state->future = NULL;
    scenario_require("ONCE.not-called", state->called == 0);
    future_end(state);
}

static void wait_with_limit(bool has_deadline)
{
    future_state *state = future_open(false, has_deadline);
    hd_thread thread;
    scenario_start(&thread, "request", finish, state);
    scenario_outcome(await_limited(state) == HD_NOT_YET ? 0 : 1);
    hd_thread_join(&thread);
    future_end(state);
}

static void wait_with_own_limit(void)
{
    wait_with_limit(false);
}

static void wait_with_both_limits(void)
{
    wait_with_limit(true);
}

const scenario scenarios_future[] = {
    {.name = "future.wait-with-limit", .run = wait_with_own_limit, .outcomes = 3},
    {.name = "future.wait-with-limit-again",
     .run = wait_with_own_limit,
     .spurious = 1,
     .outcomes = 3},
    {.name = "future.wait-with-both-limits",
     .run = wait_with_both_limits,
     .preemptions = 2,
     .old_loads = 1},
    {.name = "future.weak-finish-against-wait", .run = finish_against_wait, .weak = true},
    {.name = "future.finish-against-wait", .run = finish_against_wait},
    {.name = "future.wake-without-reason", .run = finish_against_wait, .spurious = 1},
    {.name = "future.failure-against-limited", .run = failure_against_limited},
    {.name = "future.two-wait", .run = two_wait},
    {.name = "future.weak-cancel-against-finish",
     .run = cancel_against_finish,
     .preemptions = 2,
     .old_loads = 1,
     .weak = true},
    {.name = "future.cancel-against-finish", .run = cancel_against_finish},
    {.name = "future.finish-against-deadline", .run = finish_against_deadline, .outcomes = 5},
    {.name = "future.finish-against-detach", .run = finish_against_detach},
    {.name = "future.callback-against-handle", .run = callback_against_handle},
    {.name = "future.callback-against-wait", .run = callback_against_wait},
    {.name = "future.cancel-against-complete", .run = cancel_against_complete, .outcomes = 3},
    {.name = "future.cancel-against-deadline", .run = cancel_against_deadline, .outcomes = 7},
    {.name = "future.complete-against-deadline", .run = complete_against_deadline, .outcomes = 5},
    {.name = "future.complete-against-detach", .run = complete_against_detach, .outcomes = 1},
    {.name = "future.deadline-against-detach", .run = deadline_against_detach, .outcomes = 5},
    {.name = "future.weak-cancel-against-parts",
     .run = cancel_against_parts,
     .preemptions = 2,
     .old_loads = 1,
     .outcomes = 3,
     .weak = true},
    {.name = "future.cancel-against-parts", .run = cancel_against_parts, .outcomes = 3},
    {.name = "future.cancel-while-held", .run = cancel_while_held},
    {.name = "future.failure-against-wait", .run = failure_against_wait},
    {.name = "future.deadline-of-what-waits", .run = deadline_of_what_waits},
    {.name = "future.discarded", .run = discarded},
    {.name = NULL},
};
