#define _GNU_SOURCE
#include "base/mutex.h"

#include <errno.h>
#include <time.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/thread.h"

#if defined(HD_DEBUG_CHECKS)
/* The ranks that this thread holds, as a set: two locks of one rank are never held together. */
static _Thread_local uint32_t held_ranks;

static void note_locked(hd_rank rank)
{
    HD_CHECK("SAFE.lock-order", (held_ranks >> rank) == 0);
    held_ranks |= UINT32_C(1) << rank;
}

static void note_unlocked(hd_rank rank)
{
    HD_CHECK("SAFE.unlock-held", (held_ranks >> rank & 1) != 0);
    held_ranks &= ~(UINT32_C(1) << rank);
}

static void note_waiting(hd_rank rank)
{
    HD_CHECK("BOUND.wait-under-lock", held_ranks == UINT32_C(1) << rank);
}

void hd_check_no_lock_held(void)
{
    HD_CHECK("BOUND.wait-under-lock", held_ranks == 0);
}
#else
static void note_locked(hd_rank rank)
{
    (void)rank;
}

static void note_unlocked(hd_rank rank)
{
    (void)rank;
}

static void note_waiting(hd_rank rank)
{
    (void)rank;
}

void hd_check_no_lock_held(void)
{
}
#endif

hd_status hd_mutex_init(hd_mutex *mutex, hd_rank rank)
{
    mutex->rank = rank;
    pthread_mutexattr_t attributes;
    if (hd_fault_hits("mutex") || pthread_mutexattr_init(&attributes) != 0) {
        return HD_OUT_OF_MEMORY;
    }
    /* Nobody blocks while holding one of our locks (BOUND), so whoever finds it taken does better to
     * look again for a moment than to sleep. */
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
    int failed = pthread_mutex_init(&mutex->handle, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return failed == 0 ? HD_OK : HD_OUT_OF_MEMORY;
}

void hd_mutex_destroy(hd_mutex *mutex)
{
    pthread_mutex_destroy(&mutex->handle);
}

void hd_mutex_lock(hd_mutex *mutex) HD_NO_THREAD_SAFETY_ANALYSIS
{
    note_locked(mutex->rank);
    pthread_mutex_lock(&mutex->handle);
}

void hd_mutex_unlock(hd_mutex *mutex) HD_NO_THREAD_SAFETY_ANALYSIS
{
    note_unlocked(mutex->rank);
    pthread_mutex_unlock(&mutex->handle);
}

hd_status hd_condition_init(hd_condition *condition)
{
    pthread_condattr_t attributes;
    if (hd_fault_hits("condition") || pthread_condattr_init(&attributes) != 0) {
        return HD_OUT_OF_MEMORY;
    }
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int failed = pthread_cond_init(&condition->handle, &attributes);
    pthread_condattr_destroy(&attributes);
    return failed == 0 ? HD_OK : HD_OUT_OF_MEMORY;
}

void hd_condition_destroy(hd_condition *condition)
{
    pthread_cond_destroy(&condition->handle);
}

void hd_condition_signal(hd_condition *condition)
{
    pthread_cond_signal(&condition->handle);
}

void hd_condition_broadcast(hd_condition *condition)
{
    pthread_cond_broadcast(&condition->handle);
}

bool hd_condition_wait_until(hd_condition *condition, hd_mutex *mutex, uint64_t deadline)
{
    note_waiting(mutex->rank);
    if (deadline == 0) {
        return false;
    }
    /* A thread that was cancelled here would leave the lock taken, and itself in the list of those who wait. */
    int cancelling = hd_thread_hold_cancelling();
    int failed = 0;
    if (deadline == HD_FOREVER) {
        pthread_cond_wait(&condition->handle, &mutex->handle);
    } else {
        struct timespec limit = {.tv_sec = (time_t)(deadline / UINT64_C(1000000000)),
                                 .tv_nsec = (long)(deadline % UINT64_C(1000000000))};
        failed = pthread_cond_timedwait(&condition->handle, &mutex->handle, &limit);
    }
    hd_thread_restore_cancelling(cancelling);
    return failed != ETIMEDOUT;
}
