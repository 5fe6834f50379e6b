#include "runtime/turnstile.h"

#include "base/check.h"

static void turnstile_lock(hd_turnstile *turnstile) HD_ACQUIRE(&turnstile->mutex, hd_rank_turnstile)
    HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&turnstile->mutex);
}

static void turnstile_unlock(hd_turnstile *turnstile) HD_RELEASE(&turnstile->mutex, hd_rank_turnstile)
    HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_unlock(&turnstile->mutex);
}

hd_status hd_turnstile_init(hd_turnstile *turnstile, uint32_t width) HD_NO_THREAD_SAFETY_ANALYSIS
{
    turnstile->width = width;
    turnstile->inside = 0;
    turnstile->first = NULL;
    turnstile->last = NULL;
    if (hd_mutex_init(&turnstile->mutex, HD_RANK_turnstile) != HD_OK) {
        return HD_OUT_OF_MEMORY;
    }
    if (hd_condition_init(&turnstile->granted) != HD_OK) {
        hd_mutex_destroy(&turnstile->mutex);
        return HD_OUT_OF_MEMORY;
    }
    return HD_OK;
}

void hd_turnstile_destroy(hd_turnstile *turnstile) HD_NO_THREAD_SAFETY_ANALYSIS
{
    HD_CHECK("ONCE.turnstile-empty", turnstile->inside == 0 && turnstile->first == NULL);
    hd_condition_destroy(&turnstile->granted);
    hd_mutex_destroy(&turnstile->mutex);
}

static void leave_queue(hd_turnstile *turnstile, hd_turnstile_waiter *waiter)
    HD_REQUIRES(&turnstile->mutex, hd_rank_turnstile)
{
    hd_turnstile_waiter **link = &turnstile->first, *before = NULL;
    while (*link != waiter) {
        before = *link;
        link = &before->next;
    }
    *link = waiter->next;
    if (turnstile->last == waiter) {
        turnstile->last = before;
    }
}

hd_status hd_turnstile_enter(hd_turnstile *turnstile, uint64_t deadline, bool *out_full)
{
    hd_check_no_lock_held();
    hd_turnstile_waiter self = {.granted = false};
    hd_status status = HD_OK;
    turnstile_lock(turnstile);
    if (turnstile->inside < turnstile->width) {
        turnstile->inside++;
        self.granted = true;
    } else if (turnstile->last == NULL) {
        turnstile->first = &self;
        turnstile->last = &self;
    } else {
        turnstile->last->next = &self;
        turnstile->last = &self;
    }
    while (!self.granted) {
        if (!hd_condition_wait_until(&turnstile->granted, &turnstile->mutex, deadline) &&
            !self.granted) {
            leave_queue(turnstile, &self);
            status = HD_EXHAUSTED;
            break;
        }
    }
    HD_CHECK("BOUND.turnstile", turnstile->inside <= turnstile->width);
    *out_full = turnstile->inside == turnstile->width;
    turnstile_unlock(turnstile);
    return status;
}

void hd_turnstile_leave(hd_turnstile *turnstile)
{
    turnstile_lock(turnstile);
    hd_turnstile_waiter *next = turnstile->first;
    if (next == NULL) {
        turnstile->inside--;
    } else {
        /* The place passes on, so that no newcomer slips in between. */
        turnstile->first = next->next;
        if (turnstile->first == NULL) {
            turnstile->last = NULL;
        }
        next->granted = true;
        hd_condition_broadcast(&turnstile->granted);
    }
    turnstile_unlock(turnstile);
}
