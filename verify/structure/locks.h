/* Two objects with locks of different ranks, as the library's own are made; for the files in must_fail
 * and must_pass. */
#ifndef STRUCTURE_LOCKS_H
#define STRUCTURE_LOCKS_H

#include "base/mutex.h"

typedef struct outer {
    hd_mutex mutex; /* rank stream */
    int value HD_GUARDED_BY(&mutex);
    int *pointer HD_POINTEE_GUARDED_BY(&mutex);
} outer;

typedef struct inner {
    hd_mutex mutex; /* rank timeline, below stream */
    int value HD_GUARDED_BY(&mutex);
} inner;

static inline void outer_lock(outer *object)
    HD_ACQUIRE(&object->mutex, hd_rank_stream) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&object->mutex);
}

static inline void outer_unlock(outer *object)
    HD_RELEASE(&object->mutex, hd_rank_stream) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_unlock(&object->mutex);
}

static inline void inner_lock(inner *object)
    HD_ACQUIRE(&object->mutex, hd_rank_timeline) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&object->mutex);
}

static inline void inner_unlock(inner *object)
    HD_RELEASE(&object->mutex, hd_rank_timeline) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_unlock(&object->mutex);
}

/* Needs the lock of its object. */
void outer_change(outer *object) HD_REQUIRES(&object->mutex);

/* May wait. */
void wait_for_something(void) HD_WAITS;

#endif
