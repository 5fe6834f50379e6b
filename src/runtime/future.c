#include "runtime/future.h"

#include <stdalign.h>
#include <stddef.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"

/* hd_future.state */
#define OUTCOME_MASK UINT32_C(0xFFFF) /* an hd_status + 1; 0: pending */
#define ENDED        (UINT32_C(1) << 28)
#define HELD         (UINT32_C(1) << 29)
#define WAITED_FOR   (UINT32_C(1) << 30)
#define FINAL        (UINT32_C(1) << 31)

/* How long a future of a device is looked at before its waiter sleeps, and for how much of that without giving the core to others. */
#define SPIN_NANOSECONDS  UINT64_C(50000)
#define PAUSE_NANOSECONDS UINT64_C(20000)

static void future_lock(hd_future *future)
    HD_ACQUIRE(&future->mutex, hd_rank_future) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&future->mutex);
}

static void future_unlock(hd_future *future)
    HD_RELEASE(&future->mutex, hd_rank_future) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_unlock(&future->mutex);
}

static void free_future(hd_future *future)
{
    hd_condition_destroy(&future->changed);
    hd_mutex_destroy(&future->mutex);
    hd_free(future);
}

static void release_future(hd_future *future)
{
    /* acq_rel: the last one sees all that the other did. */
    if (hd_sub_acq_rel(&future->reference_count, 1) == 1) {
        free_future(future);
    }
}

static hd_status outcome_of(uint32_t state)
{
    return (hd_status)((state & OUTCOME_MASK) - 1);
}

/* Tells why the request has not ended well. What stopped it needs no memory that its end would have to write. */
static void tell_error(const hd_future *future, hd_status outcome, hd_error *error)
{
    if (outcome == HD_CANCELLED || outcome == HD_DEADLINE) {
        hd_stop_tell(outcome, error);
    } else if (error != NULL) {
        *error = future->error;
    }
}

static void run_callback(hd_callback *callback)
{
    hd_future *future = (hd_future *)((char *)callback - offsetof(hd_future, callback));
    const hd_future_home *home = future->home;
    hd_status outcome = outcome_of(hd_load_acquire(&future->state));
    hd_error error;
    if (outcome != HD_OK) {
        tell_error(future, outcome, &error);
    }
    future->function(future->context, outcome, outcome == HD_OK ? NULL : &error);
    release_future(future);
    home->release(home->owner); /* last: it may end the device, and this thread with it */
}

hd_status hd_future_create(const hd_future_home *home, const hd_submit_options *options,
                           bool with_handle, hd_future **out_future)
{
    void *room;
    return hd_future_create_with_room(home, options, with_handle, 0, out_future, &room);
}

hd_status hd_future_create_with_room(const hd_future_home *home, const hd_submit_options *options,
                                     bool with_handle, size_t room, hd_future **out_future,
                                     void **out_room)
{
    size_t size = hd_align_up(sizeof(hd_future), alignof(max_align_t));
    *out_future = NULL;
    bool calls_back = options != NULL && options->callback != NULL;
    hd_status status = calls_back ? hd_callbacks_reserve(home->callbacks) : HD_OK;
    if (status != HD_OK) {
        return status;
    }
    hd_future *future = hd_add_size(size, room, &room) ? hd_alloc(room) : NULL;
    if (future == NULL) {
        goto fail_callback;
    }
    if (hd_mutex_init(&future->mutex, HD_RANK_future) != HD_OK) {
        goto fail_memory;
    }
    if (hd_condition_init(&future->changed) != HD_OK) {
        goto fail_mutex;
    }
    atomic_init(&future->reference_count, 1u + with_handle + calls_back);
    atomic_init(&future->state, 0);
    future->deadline = HD_FOREVER;
    if (options != NULL) {
        future->deadline =
            hd_clock_after_ms(hd_wait_of_option(options->deadline_ms, HD_WAIT_FOREVER));
    }
    future->spins = home != NULL && home->spins;
    future->error.status = HD_OK;
    future->error.message[0] = '\0';
    future->home = NULL;
    if (calls_back) {
        future->home = home;
        future->callback = (hd_callback){.run = run_callback};
        future->function = options->callback;
        future->context = options->context;
        home->retain(home->owner);
    }
    *out_future = future;
    *out_room = (char *)future + size;
    return HD_OK;
fail_mutex:
    hd_mutex_destroy(&future->mutex);
fail_memory:
    hd_free(future);
fail_callback:
    if (calls_back) {
        hd_callbacks_cancel(home->callbacks);
    }
    return HD_OUT_OF_MEMORY;
}

void hd_future_discard(hd_future *future)
{
    const hd_future_home *home = future->home;
    free_future(future);
    if (home != NULL) {
        hd_callbacks_cancel(home->callbacks);
        home->release(home->owner);
    }
}

/* For whoever has set FINAL; before: the word until then. Who waits has set WAITED_FOR in the same word: either he
 * found FINAL, or this thread finds him. The callback, until it is posted, keeps the device: nothing of that may be
 * touched behind it, for whoever cancels need have nothing but the future. */
static void tell_final(hd_future *future, uint32_t before)
{
    if ((before & WAITED_FOR) != 0) {
        future_lock(future);
        hd_condition_broadcast(&future->changed);
        future_unlock(future);
    }
    if (future->home != NULL) {
        /* takes its reference over */
        hd_callbacks_post(future->home->callbacks, &future->callback);
    }
}

/* Fixes the outcome if it is pending; returns the one that stands. ends: where the request does not hold the
 * caller's memory, the future is final with it. */
static hd_status decide(hd_future *future, hd_status outcome, bool ends)
{
    uint32_t state = hd_load_relaxed(&future->state);
    while ((state & OUTCOME_MASK) == 0) {
        bool is_final = ends && (state & HELD) == 0;
        uint32_t decided = state | ((uint32_t)outcome + 1) | (is_final ? FINAL : 0);
        /* acq_rel: where it becomes final, what the request did before it let go of the caller's memory is seen by
         * whoever finds it so. Else nothing but the word itself is read under a fixed outcome. */
        if (hd_cas_weak_acq_rel(&future->state, &state, decided)) {
            if (is_final) {
                tell_final(future, state);
            }
            return outcome;
        }
    }
    return outcome_of(state);
}

/* A deadline that has passed is an outcome, whoever finds it. */
static void note_deadline(hd_future *future, bool ends)
{
    if (future->deadline != HD_FOREVER && (hd_load_relaxed(&future->state) & OUTCOME_MASK) == 0 &&
        hd_clock_now() >= future->deadline) {
        decide(future, HD_DEADLINE, ends);
    }
}

hd_status hd_future_look(const hd_future *future)
{
    /* relaxed: the outcome orders no data. */
    uint32_t state = hd_load_relaxed(&future->state);
    if ((state & OUTCOME_MASK) != 0) {
        return outcome_of(state);
    }
    return future->deadline != HD_FOREVER && hd_clock_now() >= future->deadline ? HD_DEADLINE
                                                                                : HD_OK;
}

bool hd_future_hold(hd_future *future)
{
    note_deadline(future, true);
    uint32_t state = hd_load_relaxed(&future->state);
    while ((state & OUTCOME_MASK) == 0) {
        /* relaxed: it orders no data; nobody who finds HELD, or an outcome in its place, reads what it guards. */
        if (hd_cas_weak_relaxed(&future->state, &state, state | HELD)) {
            return true;
        }
    }
    return false;
}

void hd_future_let_go(hd_future *future)
{
    uint32_t state = hd_load_relaxed(&future->state), next;
    do {
        next = (state & ~HELD) | ((state & OUTCOME_MASK) != 0 ? FINAL : 0);
        /* release: the request's reads of the caller's memory come before he has it back; see decide. */
    } while (!hd_cas_weak_acq_rel(&future->state, &state, next));
    if ((next & FINAL) != 0) {
        tell_final(future, state);
    }
}

hd_status hd_future_commit(hd_future *future)
{
    HD_CHECK("REUSE.held", (hd_load_relaxed(&future->state) & HELD) != 0);
    note_deadline(future, false);
    return decide(future, HD_OK, false);
}

static hd_status look_at_future(const hd_stop *stop)
{
    return hd_future_look(((const hd_future_stop *)stop)->future);
}

static hd_status commit_future(const hd_stop *stop)
{
    return hd_future_commit(((const hd_future_stop *)stop)->future);
}

hd_future_stop hd_future_make_stop(hd_future *future)
{
    return (hd_future_stop){.stop = {.look = look_at_future, .commit = commit_future},
                            .future = future};
}

void hd_future_finish(hd_future *future, hd_status status, const hd_error *error)
{
    note_deadline(future, false); /* one that passed while the work ran counts */
    hd_status outcome = decide(future, status, false);
    /* An outcome that this request did not bring about itself may be final already, and somebody reading. */
    if (outcome != HD_OK && outcome != HD_CANCELLED && outcome != HD_DEADLINE) {
        if (error != NULL && error->status == outcome) {
            future->error = *error;
        } else {
            hd_fail(&future->error, outcome, "%s", hd_status_text(outcome));
        }
    }
    /* acq_rel: releases the results and the error to whoever finds the future final. */
    uint32_t before = hd_or_acq_rel(&future->state, FINAL | ENDED);
    HD_CHECK("ONCE.finished-once", (before & ENDED) == 0);
    if ((before & FINAL) == 0) {
        tell_final(future, before);
    }
    release_future(future);
}

/* Looks for a while: waking a thread takes longer than most runs of a device. */
static bool spin_for_final(const hd_future *future)
{
    uint64_t begin = hd_clock_now(), waited = 0;
    while (waited < SPIN_NANOSECONDS) {
        if ((hd_load_acquire(&future->state) & FINAL) != 0) {
            return true;
        }
        if (waited < PAUSE_NANOSECONDS) {
            hd_spin_pause();
        } else {
            hd_thread_yield();
        }
        waited = hd_clock_now() - begin;
    }
    return false;
}

/* Waits until FINAL is set; false: not before `deadline`. */
static bool await_final(hd_future *future, uint64_t deadline)
{
    bool is_final = true;
    future_lock(future);
    /* acq_rel: the other half of the handshake in tell_final, and acquires the results. */
    if ((hd_or_acq_rel(&future->state, WAITED_FOR) & FINAL) == 0) {
        while ((hd_load_acquire(&future->state) & FINAL) == 0) {
            if (!hd_condition_wait_until(&future->changed, &future->mutex, deadline)) {
                is_final = (hd_load_acquire(&future->state) & FINAL) != 0;
                break;
            }
        }
    }
    future_unlock(future);
    return is_final;
}

/* Waits for at most timeout_ms; a deadline that passes meanwhile takes effect then. */
static bool await_end(hd_future *future, uint32_t timeout_ms)
{
    note_deadline(future, true);
    if (timeout_ms == 0) {
        return (hd_load_acquire(&future->state) & FINAL) != 0;
    }
    if (future->spins && spin_for_final(future)) {
        return true;
    }
    uint64_t limit = hd_clock_after_ms(timeout_ms);
    if (future->deadline < limit) {
        if (await_final(future, future->deadline)) {
            return true;
        }
        note_deadline(future, true);
    }
    return await_final(future, limit);
}

hd_status hd_future_wait(hd_future *future, uint32_t timeout_ms, hd_error *error)
{
    if (future == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "future is NULL");
    }
    if (hd_thread_is_forked()) {
        return hd_fail(error, HD_FORKED, "the process was forked after the request was submitted");
    }
    hd_check_no_lock_held();
    /* acquire: pairs with hd_future_finish; the results are visible once FINAL is. */
    uint32_t state = hd_load_acquire(&future->state);
    if ((state & FINAL) == 0) {
        timeout_ms = hd_wait_of_argument(timeout_ms);
        if (!await_end(future, timeout_ms)) {
            return hd_fail(error, HD_NOT_YET, "the request has not ended after %u ms", timeout_ms);
        }
        state = hd_load_acquire(&future->state);
    }
    hd_status outcome = outcome_of(state);
    if (outcome != HD_OK) {
        tell_error(future, outcome, error);
    }
    return outcome;
}

hd_status hd_future_cancel(hd_future *future)
{
    if (future == NULL) {
        return HD_INVALID_ARGUMENT;
    }
    if (hd_thread_is_forked()) {
        return HD_FORKED;
    }
    note_deadline(future, true);
    return decide(future, HD_CANCELLED, true);
}

void hd_future_destroy(hd_future **future)
{
    if (future == NULL || *future == NULL) {
        return;
    }
    hd_future *dead = *future;
    *future = NULL;
    if (!hd_thread_is_forked()) {
        release_future(dead);
    }
}
