/* Once: starts something when it is first needed, by exactly one of those who need it at once.
 *
 * State: one word: not started, starting, started. Who moves it from the first to the second starts;
 * the others sleep until it is known how that ended (BOUND: starting never waits for them). A start
 * that failed is tried again by the next who comes.
 *
 * Thread-safety: any thread; an hd_once that is all zero has not started. */
#ifndef HD_BASE_ONCE_H
#define HD_BASE_ONCE_H

#include "base/atomic.h"
#include "base/rank.h"
#include "base/status.h"

typedef struct hd_once {
    _Atomic uint32_t state;
} hd_once;

/* Calls start(argument) unless it has succeeded before; returns what it returned, HD_OK where it had
 * succeeded already. */
HD_MUST_CHECK hd_status hd_once_start(hd_once *once, hd_status (*start)(void *),
                                      void *argument) HD_WAITS;

/* True when a start has succeeded; all that it did is visible then. */
bool hd_once_is_started(hd_once *once);

#endif
