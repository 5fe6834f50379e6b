#include "base/once.h"

#include "base/clock.h"
#include "base/mutex.h"

enum { NOT_STARTED, STARTING, STARTED };

/* Starting is rare: one pair serves all. */
static hd_mutex once_mutex = HD_MUTEX_INITIALIZER(HD_RANK_leaf);
static hd_condition once_ended = HD_CONDITION_INITIALIZER;

static void once_lock(void) HD_ACQUIRE(&once_mutex, hd_rank_leaf) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&once_mutex);
}

static void once_unlock(void) HD_RELEASE(&once_mutex, hd_rank_leaf) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_unlock(&once_mutex);
}

bool hd_once_is_started(hd_once *once)
{
    /* acquire: pairs with the release below. */
    return hd_load_acquire(&once->state) == STARTED;
}

/* Sleeps: the one who starts may have a lower priority than this thread. */
static void await_end(hd_once *once)
{
    once_lock();
    /* relaxed: it was told under the lock, or is looked at again. */
    while (hd_load_relaxed(&once->state) == STARTING) {
        hd_condition_wait_until(&once_ended, &once_mutex, HD_FOREVER);
    }
    once_unlock();
}

static void tell_end(void)
{
    once_lock(); /* so that who has just found it starting sleeps by now, or looks again */
    hd_condition_broadcast(&once_ended);
    once_unlock();
}

hd_status hd_once_start(hd_once *once, hd_status (*start)(void *), void *argument)
{
    hd_check_no_lock_held();
    while (!hd_once_is_started(once)) {
        uint32_t expected = NOT_STARTED;
        if (hd_cas_acquire(&once->state, &expected, STARTING)) {
            hd_status status = start(argument);
            /* release: what was started is seen by whoever finds it so. */
            hd_store_release(&once->state, status == HD_OK ? STARTED : NOT_STARTED);
            tell_end();
            return status;
        }
        if (expected == STARTING) { /* else that has ended meanwhile */
            await_end(once);
        }
    }
    return HD_OK;
}
