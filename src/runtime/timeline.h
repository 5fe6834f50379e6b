/* Timeline: how far a stream's work has come. Work gets points 1, 2, 3, ... in the order in which
 * it is submitted, and is done in that order; an event is a point.
 *
 * Law: completed <= submitted, and completed never goes back. Whoever waits for a point is woken
 * when it is reached: `waiting` counts those who wait, and either a waiter sees the new
 * `completed`, or the one who signals sees the waiter.
 *
 * Thread-safety: any thread; points are given out and signalled by one thread at a time (whoever
 * holds the stream's lock, and whoever runs its work). The lock (rank timeline) is taken to
 * wait, and to wake those who wait, only. */
#ifndef HD_RUNTIME_TIMELINE_H
#define HD_RUNTIME_TIMELINE_H

#include <stdbool.h>

#include "base/atomic.h"
#include "base/memory.h"
#include "base/mutex.h"

/* Somebody who must not block, such as a queue: told once each time that it was set, under no
 * lock, by the thread that signals. All zero but for the function: not set. */
typedef struct hd_timeline_watch {
    /* in the list while it is set */
    struct hd_timeline_watch *next HD_GUARDED_BY(hd_rank_timeline);
    uint64_t point HD_GUARDED_BY(hd_rank_timeline);
    bool is_set HD_GUARDED_BY(hd_rank_timeline);
    /* constant; may set the watch again, or free it */
    void (*reached)(struct hd_timeline_watch *watch);
} hd_timeline_watch;

typedef struct hd_timeline {
    _Alignas(HD_CACHE_LINE) _Atomic uint64_t submitted; /* the last point given out */
    _Alignas(HD_CACHE_LINE) _Atomic uint64_t completed; /* all points up to here are done */
    _Atomic uint32_t waiting; /* threads and watches, set under the lock */
    hd_mutex mutex;
    hd_condition changed;
    hd_timeline_watch *watches HD_GUARDED_BY(&mutex);
} hd_timeline;

/* HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_timeline_init(hd_timeline *timeline);
/* Nobody may wait. */
void hd_timeline_destroy(hd_timeline *timeline);

/* Gives out the next point. */
uint64_t hd_timeline_submit(hd_timeline *timeline);

/* All points up to `point` are done; wakes whoever waited for them. */
void hd_timeline_signal(hd_timeline *timeline, uint64_t point);

/* The last point given out. */
uint64_t hd_timeline_submitted(hd_timeline *timeline);

/* True when `point` is done; what was done before it is visible to the caller then. */
bool hd_timeline_reached(hd_timeline *timeline, uint64_t point);

/* Waits for a point. HD_NOT_YET: not reached at `deadline` (0: asks only). */
HD_MUST_CHECK hd_status hd_timeline_wait(hd_timeline *timeline, uint64_t point,
                                         uint64_t deadline) HD_WAITS;

/* Sets a watch for a point; one that is set already, for the earlier of the two. False: the
 * point is reached already, and the function is not called for it. */
bool hd_timeline_set_watch(hd_timeline *timeline, hd_timeline_watch *watch, uint64_t point);

#endif
