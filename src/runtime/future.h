/* Future, inside: the outcome of a request, fixed once, and the moment when it is final.
 *
 * State: one atomic word. `outcome` starts as pending; cancel, deadline and the end of the work each try
 * to fix it by one compare-and-swap, and the first wins (ONCE). `is_final` is set only by hd_future_finish,
 * when the device is done with the caller's memory (REUSE); it needs a fixed outcome and never goes back.
 *
 * References: the request's, given back by hd_future_finish, and the handle's. A future with a callback
 * holds its owner (the device) from creation until the callback has returned.
 *
 * Thread-safety: any thread; hd_future_finish is called once. The lock (rank future) is taken to wait,
 * and to wake those who wait. */
#ifndef HD_RUNTIME_FUTURE_H
#define HD_RUNTIME_FUTURE_H

#include "base/atomic.h"
#include "base/mutex.h"
#include "heddle/future.h"
#include "runtime/callbacks.h"

/* Where callbacks run, and who keeps it alive: one a device. */
typedef struct hd_future_home {
    hd_callbacks *callbacks;
    void *owner;
    void (*retain)(void *owner);
    void (*release)(void *owner);
} hd_future_home;

struct hd_future {
    _Atomic uint32_t reference_count;
    _Atomic uint32_t state; /* outcome + 1 (0: pending), and the bits FINAL and WAITED_FOR */
    uint64_t deadline; /* constant; hd_clock_now's scale; HD_FOREVER: none */
    hd_mutex mutex; /* for waiting only: all that is shared is in the two words above */
    hd_condition changed;
    hd_error error; /* by the word `state`: written before FINAL is set, read after */
    const hd_future_home *home;   /* constant; for the callback; NULL: there is none */
    hd_callback callback;         /* by the word `state`: handed over after FINAL is set */
    hd_future_callback *function; /* constant */
    void *context;                /* constant */
};

/* Creates a pending future with the request's reference and, if out_handle is asked for by the caller, a
 * second one for the handle: with_handle. deadline_ms 0: none. HD_OUT_OF_MEMORY; HD_EXHAUSTED: no
 * callback can be taken. */
HD_MUST_CHECK hd_status hd_future_create(const hd_future_home *home, const hd_submit_options *options,
                                         bool with_handle, hd_future **out_future) HD_WAITS;

/* The same with `room` bytes behind the future for what the request needs, which live as long as it. */
HD_MUST_CHECK hd_status hd_future_create_with_room(const hd_future_home *home,
                                                   const hd_submit_options *options, bool with_handle,
                                                   size_t room, hd_future **out_future,
                                                   void **out_room) HD_WAITS;

/* Undoes hd_future_create for a request that was not submitted: frees it, handle included. */
void hd_future_discard(hd_future *future);

/* True when the outcome is fixed already (cancelled, or the deadline has passed by now): the work is to be
 * skipped. Asked before work begins and between its parts. */
bool hd_future_is_decided(hd_future *future);

/* The work has ended (or was skipped) and the device is done with the caller's memory. `status` becomes
 * the outcome unless it was fixed before; error (NULL: none) is copied. Wakes those who wait, posts the
 * callback, and gives the request's reference back. */
void hd_future_finish(hd_future *future, hd_status status, const hd_error *error);

/* Public, and may wait. */
HD_MUST_CHECK hd_status hd_future_wait(hd_future *future, uint32_t timeout_ms, hd_error *error) HD_WAITS;

#endif
