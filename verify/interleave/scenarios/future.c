/* Scenarios of the future. `result` is written before the future is finished, without a lock or atomics:
 * who finds it final and does not see the result is a data race. */
#include "runtime/future.h"

#include "../scenario.h"

typedef struct future_state {
    hd_callbacks callbacks;
    hd_future_home home;
    hd_future *future;
    uint32_t result;
    hd_status cancelled; /* what hd_future_cancel said */
    uint32_t called; /* by the callback's thread */
    hd_status told;
    _Atomic uint32_t owners;
    _Atomic uint32_t time_has_passed; /* the deadline's, at the latest */
    hd_mutex mutex; /* rank leaf; for the passing of time */
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

static void note_outcome(void *context, hd_status status, const hd_error *error)
{
    future_state *state = context;
    scenario_require("ONCE.error-tells", status == HD_OK ? error == NULL : error->status == status);
    scenario_require("REUSE.result-seen", state->result == 1);
    state->called++;
    state->told = status;
}

static future_state *future_open(bool calls_back, bool has_deadline)
{
    future_state *state = hd_alloc_zero(1, sizeof *state);
    scenario_require("explorer", state != NULL);
    scenario_require("explorer", hd_callbacks_init(&state->callbacks) == HD_OK);
    scenario_require("explorer", hd_mutex_init(&state->mutex, HD_RANK_leaf) == HD_OK &&
                                     hd_condition_init(&state->never) == HD_OK);
    state->home = (hd_future_home){&state->callbacks, state, retain_owner, release_owner};
    state->cancelled = HD_OK;
    hd_submit_options options = {.deadline_ms = has_deadline ? 1 : 0,
                                 .callback = calls_back ? note_outcome : NULL,
                                 .context = state};
    scenario_require("explorer",
                     hd_future_create(&state->home, &options, true, &state->future) == HD_OK);
    return state;
}

static void future_end(future_state *state)
{
    hd_future_destroy(&state->future);
    hd_callbacks_destroy(&state->callbacks);
    hd_condition_destroy(&state->never);
    hd_mutex_destroy(&state->mutex);
    scenario_require("BOUND.owners", hd_load_relaxed(&state->owners) == 0);
    hd_free(state);
}

/* The work's end, as a runner brings it about: skipped work has a result, too, for the scenario's sake. */
static void finish(void *argument)
{
    future_state *state = argument;
    hd_future_is_decided(state->future);
    state->result = 1;
    hd_future_finish(state->future, HD_OK, NULL);
}

static void fail(void *argument)
{
    future_state *state = argument;
    hd_error error = {.status = HD_OUT_OF_MEMORY};
    state->result = 1;
    hd_future_finish(state->future, HD_OUT_OF_MEMORY, &error);
}

static void cancel(void *argument)
{
    future_state *state = argument;
    state->cancelled = hd_future_cancel(state->future);
    scenario_require("ONCE.cancel-says", state->cancelled == HD_CANCELLED ||
                                             state->cancelled == HD_OK ||
                                             state->cancelled == HD_DEADLINE);
}

static hd_status await(future_state *state, uint32_t timeout_ms)
{
    hd_error error = {.status = HD_OK};
    hd_status status = hd_future_wait(state->future, timeout_ms, &error);
    scenario_require("ONCE.error-tells", error.status == status);
    if (status != HD_NOT_YET) {
        scenario_require("REUSE.result-seen", state->result == 1);
    }
    return status;
}

static void finish_against_wait(void)
{
    future_state *state = future_open(false, false);
    hd_thread thread;
    scenario_start(&thread, "finisher", finish, state);
    scenario_require("BOUND.final", await(state, UINT32_MAX) == HD_OK);
    hd_future_destroy(&state->future); /* while the finisher is on its way out, or not */
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
    hd_future_cancel(handle);
    hd_future_destroy(&handle);
}

static void finish_against_detach(void)
{
    future_state *state = future_open(false, false);
    hd_future *future = state->future;
    hd_thread thread;
    scenario_start(&thread, "detacher", detach, state);
    state->result = 1;
    hd_future_finish(future, HD_OK, NULL);
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
    state->result = 1;
    hd_future_finish(future, HD_OK, NULL);
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
    bool late = hd_load_acquire(&state->time_has_passed) == 1;
    state->result = 1;
    hd_future_finish(future, HD_OK, NULL);
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
        scenario_require("ONCE.outcome-stands", hd_future_cancel(state->future) == state->told);
    }
    future_end(state);
}

static void cancel_and_note(void *argument)
{
    future_state *state = argument;
    cancel(state);
    hd_error error;
    hd_status status = hd_future_wait(state->future, UINT32_MAX, &error);
    scenario_require("ONCE.one-outcome", status == state->cancelled);
}

static void wait_and_detach(void *argument)
{
    future_state *state = argument;
    scenario_require("BOUND.final", await(state, UINT32_MAX) != HD_NOT_YET);
    hd_future_destroy(&state->future);
}

static void only_detach(void *argument)
{
    future_state *state = argument;
    hd_future_destroy(&state->future);
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

static void discarded(void)
{
    future_state *state = future_open(true, false);
    hd_future_discard(state->future);
    state->future = NULL;
    scenario_require("ONCE.not-called", state->called == 0);
    future_end(state);
}

const scenario scenarios_future[] = {
    {.name = "future.finish-against-wait", .run = finish_against_wait},
    {.name = "future.wake-without-reason", .run = finish_against_wait, .spurious = 1},
    {.name = "future.failure-against-limited", .run = failure_against_limited},
    {.name = "future.two-wait", .run = two_wait},
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
    {.name = "future.discarded", .run = discarded},
    {.name = NULL},
};
