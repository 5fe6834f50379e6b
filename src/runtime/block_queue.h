/* Block queue: freed blocks in the order of the points that they wait for on one stream. Frees come
 * nearly in that order, so a block finds its place from the end.
 *
 * Thread-safety: one thread at a time (a stream cache's lock, or the allocator's). */
#ifndef HD_RUNTIME_BLOCK_QUEUE_H
#define HD_RUNTIME_BLOCK_QUEUE_H

#include "runtime/block_table.h"

typedef struct hd_block_queue {
    hd_block *oldest;
    hd_block *newest;
} hd_block_queue;

/* By block->due; behind those with the same point. */
static inline void hd_block_queue_insert(hd_block_queue *queue, hd_block *block)
{
    hd_block *older = queue->newest;
    while (older != NULL && older->due > block->due) {
        older = older->older;
    }
    hd_block *newer = older == NULL ? queue->oldest : older->newer;
    block->older = older;
    block->newer = newer;
    *(older == NULL ? &queue->oldest : &older->newer) = block;
    *(newer == NULL ? &queue->newest : &newer->older) = block;
}

static inline void hd_block_queue_remove(hd_block_queue *queue, hd_block *block)
{
    *(block->older == NULL ? &queue->oldest : &block->older->newer) = block->newer;
    *(block->newer == NULL ? &queue->newest : &block->newer->older) = block->older;
}

#endif
