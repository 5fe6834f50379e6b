/* View: what a thread is sure to have behind it, and what a store or a mutex passes on.
 *
 * A thread's epoch grows with each of its operations. happened: C11's happens-before, by which data
 * races are judged. coherent: the same and what seq_cst fences add; by it a load knows which stores
 * are too old for it. fence: number of the last seq_cst fence, in the order of all seq_cst operations. */
#ifndef INTERLEAVE_VIEW_H
#define INTERLEAVE_VIEW_H

#include <stdint.h>

#include "operation.h"

typedef struct view {
    uint32_t happened[THREAD_LIMIT];
    uint32_t coherent[THREAD_LIMIT];
    uint32_t fence;
} view;

static inline void view_join(view *to, const view *from)
{
    for (int i = 0; i < THREAD_LIMIT; i++) {
        to->happened[i] = to->happened[i] > from->happened[i] ? to->happened[i] : from->happened[i];
        to->coherent[i] = to->coherent[i] > from->coherent[i] ? to->coherent[i] : from->coherent[i];
    }
    to->fence = to->fence > from->fence ? to->fence : from->fence;
}

#endif
