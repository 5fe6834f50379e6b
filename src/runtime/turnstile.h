/* Turnstile: lets callers with long runs compute in turns, as many at once as the device has cores. More
 * would only drive each other's data out of the caches, and hold an arena each. First come, first
 * served; short runs do not come here.
 *
 * Law: inside <= width; nobody waits while inside < width.
 *
 * Thread-safety: any thread. The lock has the rank turnstile. */
#ifndef HD_RUNTIME_TURNSTILE_H
#define HD_RUNTIME_TURNSTILE_H

#include <stdbool.h>

#include "base/mutex.h"

typedef struct hd_turnstile_waiter {
    struct hd_turnstile_waiter *next HD_GUARDED_BY(hd_rank_turnstile);
    bool granted HD_GUARDED_BY(hd_rank_turnstile);
} hd_turnstile_waiter;

typedef struct hd_turnstile {
    hd_mutex mutex;
    hd_condition granted; /* some waiter may go in */
    uint32_t width; /* constant */
    uint32_t inside HD_GUARDED_BY(&mutex);
    hd_turnstile_waiter *first HD_GUARDED_BY(&mutex);
    hd_turnstile_waiter *last HD_GUARDED_BY(&mutex);
} hd_turnstile;

/* width: callers that may be inside at once. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_turnstile_init(hd_turnstile *turnstile, uint32_t width);
/* Nobody may be inside or wait. */
void hd_turnstile_destroy(hd_turnstile *turnstile);

/* Goes in, or waits until `deadline`: HD_EXHAUSTED when no turn came. *out_full: nobody else fits in. */
HD_MUST_CHECK hd_status hd_turnstile_enter(hd_turnstile *turnstile, uint64_t deadline,
                                           bool *out_full) HD_WAITS;

/* Leaves, and lets the one in who has waited longest. */
void hd_turnstile_leave(hd_turnstile *turnstile);

#endif
