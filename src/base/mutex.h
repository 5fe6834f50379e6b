/* Mutex and condition: ranked locks, and waits with a limit. Only src/base knows pthreads, so that
 * the interleaving explorer can put its own scheduler in place of mutex.c and thread.c.
 *
 * A synchronized object wraps hd_mutex_lock in a function of its own that also acquires the phantom
 * capability of its rank (base/rank.h). Thread-safety: any thread. */
#ifndef HD_BASE_MUTEX_H
#define HD_BASE_MUTEX_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/annotations.h"
#include "base/rank.h"
#include "base/status.h"

typedef struct HD_CAPABILITY("mutex") hd_mutex {
    pthread_mutex_t handle;
    hd_rank rank;
} hd_mutex;

/* For a lock of static storage, which is never destroyed. */
#define HD_MUTEX_INITIALIZER(its_rank) {PTHREAD_MUTEX_INITIALIZER, (its_rank)}

typedef struct hd_condition {
    pthread_cond_t handle;
} hd_condition;

/* Likewise; for waits without a limit only. */
#define HD_CONDITION_INITIALIZER {PTHREAD_COND_INITIALIZER}

/* HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_mutex_init(hd_mutex *mutex, hd_rank rank);
void hd_mutex_destroy(hd_mutex *mutex);
void hd_mutex_lock(hd_mutex *mutex) HD_ACQUIRE(mutex);
void hd_mutex_unlock(hd_mutex *mutex) HD_RELEASE(mutex);

HD_MUST_CHECK hd_status hd_condition_init(hd_condition *condition);
void hd_condition_destroy(hd_condition *condition);
void hd_condition_signal(hd_condition *condition);
void hd_condition_broadcast(hd_condition *condition);

/* Waits until woken or until `deadline` (hd_clock_now's scale, HD_FOREVER allowed; 0: not at all); false when
 * the deadline passed. Wakes without a reason too, so callers loop over their condition. The caller holds
 * `mutex` and no other lock (BOUND), and is not cancelled meanwhile (heddle/wait.h). */
bool hd_condition_wait_until(hd_condition *condition, hd_mutex *mutex, uint64_t deadline)
    HD_REQUIRES(mutex);

/* With HD_DEBUG_CHECKS: stops the process if the calling thread holds a lock, for functions that may
 * wait. Without: nothing. */
void hd_check_no_lock_held(void);

#endif
