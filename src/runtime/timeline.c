#include "runtime/timeline.h"

#include "base/check.h"
#include "base/clock.h"

static void timeline_lock(hd_timeline *timeline)
    HD_ACQUIRE(&timeline->mutex, hd_rank_timeline) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&timeline->mutex);
}

static void timeline_unlock(hd_timeline *timeline)
    HD_RELEASE(&timeline->mutex, hd_rank_timeline) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_unlock(&timeline->mutex);
}

hd_status hd_timeline_init(hd_timeline *timeline) HD_NO_THREAD_SAFETY_ANALYSIS
{
    atomic_init(&timeline->submitted, 0);
    atomic_init(&timeline->completed, 0);
    atomic_init(&timeline->waiting, 0);
    timeline->watches = NULL;
    if (hd_mutex_init(&timeline->mutex, HD_RANK_timeline) != HD_OK) {
        return HD_OUT_OF_MEMORY;
    }
    if (hd_condition_init(&timeline->changed) != HD_OK) {
        hd_mutex_destroy(&timeline->mutex);
        return HD_OUT_OF_MEMORY;
    }
    return HD_OK;
}

void hd_timeline_destroy(hd_timeline *timeline)
{
    HD_CHECK("BOUND.timeline-nobody-waits", hd_load_relaxed(&timeline->waiting) == 0);
    hd_condition_destroy(&timeline->changed);
    hd_mutex_destroy(&timeline->mutex);
}

uint64_t hd_timeline_submit(hd_timeline *timeline)
{
    /* relaxed: the number is handed on under the stream's lock; others read it as a bound only. */
    return hd_add_relaxed(&timeline->submitted, 1) + 1;
}

uint64_t hd_timeline_submitted(hd_timeline *timeline)
{
    return hd_load_relaxed(&timeline->submitted);
}

bool hd_timeline_reached(hd_timeline *timeline, uint64_t point)
{
    /* seq_cst: acquires the work before the point (pairs with hd_timeline_signal), and for
     * whoever has just counted himself as waiting it is the second half of the handshake. */
    bool reached = hd_load_seq_cst(&timeline->completed) >= point;
    if (reached) {
        hd_handover_take(&timeline->completed);
    }
    return reached;
}

/* Takes a watch whose point is reached off the list; NULL: there is none. */
static hd_timeline_watch *take_reached(hd_timeline *timeline, uint64_t point)
    HD_REQUIRES(&timeline->mutex, hd_rank_timeline)
{
    hd_timeline_watch **link = &timeline->watches;
    while (*link != NULL && (*link)->point > point) {
        link = &(*link)->next;
    }
    hd_timeline_watch *watch = *link;
    if (watch != NULL) {
        *link = watch->next;
        watch->is_set = false;
        hd_sub_relaxed(&timeline->waiting, 1);
    }
    return watch;
}

void hd_timeline_signal(hd_timeline *timeline, uint64_t point)
{
    HD_CHECK("SAFE.timeline-in-order", hd_load_relaxed(&timeline->completed) < point &&
                                           point <= hd_load_relaxed(&timeline->submitted));
    /* seq_cst: releases the work to whoever reaches the point, and is ordered before the look at
     * `waiting`: either this thread sees the waiter, or the waiter sees the point
     * (hd_timeline_wait). */
    hd_handover_give(&timeline->completed);
    hd_store_seq_cst(&timeline->completed, point);
    if (hd_load_seq_cst(&timeline->waiting) == 0) {
        return;
    }
    timeline_lock(timeline);
    hd_condition_broadcast(&timeline->changed);
    hd_timeline_watch *watch;
    /* One at a time: a watch that was taken off the list may be set again before it is told. */
    while ((watch = take_reached(timeline, point)) != NULL) {
        timeline_unlock(timeline);
        watch->reached(watch);
        timeline_lock(timeline);
    }
    timeline_unlock(timeline);
}

hd_status hd_timeline_wait(hd_timeline *timeline, uint64_t point, uint64_t deadline)
{
    hd_check_no_lock_held();
    if (hd_timeline_reached(timeline, point)) {
        return HD_OK;
    }
    if (deadline == 0) {
        return HD_NOT_YET;
    }
    hd_status status = HD_OK;
    timeline_lock(timeline);
    /* the first half of the handshake in hd_timeline_signal */
    hd_add_seq_cst(&timeline->waiting, 1);
    while (!hd_timeline_reached(timeline, point)) {
        if (!hd_condition_wait_until(&timeline->changed, &timeline->mutex, deadline)) {
            status = hd_timeline_reached(timeline, point) ? HD_OK : HD_NOT_YET;
            break;
        }
    }
    hd_sub_relaxed(&timeline->waiting, 1);
    timeline_unlock(timeline);
    return status;
}

bool hd_timeline_set_watch(hd_timeline *timeline, hd_timeline_watch *watch, uint64_t point)
{
    timeline_lock(timeline);
    hd_add_seq_cst(&timeline->waiting, 1); /* as in hd_timeline_wait */
    bool waits = !hd_timeline_reached(timeline, point);
    if (waits && !watch->is_set) {
        watch->is_set = true;
        watch->point = point;
        watch->next = timeline->watches;
        timeline->watches = watch;
    } else {
        hd_sub_relaxed(&timeline->waiting, 1);
        if (waits && point < watch->point) {
            watch->point = point;
        }
    }
    timeline_unlock(timeline);
    return waits;
}
