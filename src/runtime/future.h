/* Future, inside: the outcome of a request, fixed once, and the moment when it is final.
 *
 * State: one atomic word. `outcome` starts as pending; cancel, deadline and the request itself each try to fix it
 * by one compare-and-swap, and the first wins (ONCE). The request holds the caller's memory (HELD) while it works
 * on it. FINAL is set once, when the outcome is fixed and the caller's memory is not held any more (REUSE), by
 * whoever brings that about: the request's end, or, while it does not hold that memory, who cancels.
 * Law: the caller's structs are written by the request alone, after it has fixed the outcome HD_OK
 * (hd_future_commit) and before FINAL is set; under any other outcome nobody writes them.
 *
 * References: the request's, given back by hd_future_finish; the handle's; the callback's. A future with a callback
 * holds its owner (the device) from creation until the callback has returned.
 *
 * Thread-safety: any thread; hold, let go, commit and finish are for the request, one at a time, and finish
 * comes once. The lock (rank future) is taken to wait, and to wake those who wait. */
#ifndef HD_RUNTIME_FUTURE_H
#define HD_RUNTIME_FUTURE_H

#include <stdbool.h>

#include "base/atomic.h"
#include "base/mutex.h"
#include "base/stop.h"
#include "heddle/future.h"
#include "runtime/callbacks.h"

/* Where callbacks run, and who keeps it alive: one a device. */
typedef struct hd_future_home {
    hd_callbacks *callbacks;
    void *owner;
    void (*retain)(void *owner);
    void (*release)(void *owner);
    bool
        spins; /* whoever waits looks for a moment before he sleeps: a device computes, on no core of the host's */
} hd_future_home;

struct hd_future {
    _Atomic uint32_t reference_count;
    _Atomic uint32_t state; /* outcome + 1 (0: pending), and bits */
    uint64_t deadline;      /* constant; hd_clock_now's scale; HD_FOREVER: none */
    bool spins;             /* constant; as its home */
    hd_mutex mutex;         /* for waiting only: all that is shared is in the two words above */
    hd_condition changed;
    /* by the word `state`: of an outcome that the request has fixed; written before FINAL is set */
    hd_error error;
    const hd_future_home *home;   /* constant; for the callback; NULL: there is none */
    hd_callback callback;         /* by the word `state`: handed over after FINAL is set */
    hd_future_callback *function; /* constant */
    void *context;                /* constant */
};

/* Creates a pending future with the request's reference and, if out_handle is asked for by the caller, a
 * second one for the handle: with_handle. deadline_ms 0: none. HD_OUT_OF_MEMORY; HD_EXHAUSTED: no
 * callback can be taken. */
HD_MUST_CHECK hd_status hd_future_create(const hd_future_home *home,
                                         const hd_submit_options *options, bool with_handle,
                                         hd_future **out_future) HD_WAITS;

/* The same with `room` bytes behind the future for what the request needs, which live as long as it. */
HD_MUST_CHECK hd_status hd_future_create_with_room(const hd_future_home *home,
                                                   const hd_submit_options *options,
                                                   bool with_handle, size_t room,
                                                   hd_future **out_future,
                                                   void **out_room) HD_WAITS;

/* Undoes hd_future_create for a request that was not submitted: frees it, handle included. */
void hd_future_discard(hd_future *future) HD_WAITS;

/* The outcome that stands, or HD_DEADLINE when the deadline has passed; HD_OK: neither, or it is HD_OK. Takes no
 * lock and changes nothing. */
hd_status hd_future_look(const hd_future *future);

/* The request is about to touch the caller's memory. False: it must not, for the outcome is fixed. */
HD_MUST_CHECK bool hd_future_hold(hd_future *future);
/* It has done with that memory, perhaps until it holds it again. */
void hd_future_let_go(hd_future *future);

/* The work is done, and the caller's structs are about to be written; the request holds his memory.
 * HD_OK: the outcome is that, write. Else the one that stands, and they must stay as they are. */
HD_MUST_CHECK hd_status hd_future_commit(hd_future *future);

/* What a run looks at that works for a request which holds the caller's memory. */
typedef struct hd_future_stop {
    hd_stop stop; /* first */
    hd_future *future;
} hd_future_stop;

hd_future_stop hd_future_make_stop(hd_future *future);

/* The work has ended (or was skipped) and the device is done with the caller's memory. `status` becomes
 * the outcome unless one was fixed before; error (NULL: none) is copied. Wakes those who wait and posts the
 * callback, unless the future was final already, and gives the request's reference back. */
void hd_future_finish(hd_future *future, hd_status status, const hd_error *error);

/* Public, and may wait. */
HD_MUST_CHECK hd_status hd_future_wait(hd_future *future, uint32_t timeout_ms,
                                       hd_error *error) HD_WAITS;

#endif
