/* Free lists: free blocks by size class. A class is a number of 64-byte units, four to a power of
 * two: 1 to 8, 10, 12, 14, 16, 20, ... A block is in the list of the largest class that it holds,
 * so each block of a class suffices for a request that was rounded up to it.
 *
 * Thread-safety: one thread at a time (the allocator's lock). */
#ifndef HD_RUNTIME_FREE_LISTS_H
#define HD_RUNTIME_FREE_LISTS_H

#include "runtime/block_table.h"

#define HD_BLOCK_UNIT       ((size_t)64)
#define HD_SIZE_LIMIT       ((size_t)1 << 46) /* of a request */
#define HD_SIZE_CLASS_COUNT 192               /* up to 2^53 bytes: more than any block holds */

typedef struct hd_free_lists {
    hd_block *first[HD_SIZE_CLASS_COUNT];
    uint64_t filled[HD_SIZE_CLASS_COUNT / 64]; /* bit i % 64 of word i / 64: class i is not empty */
} hd_free_lists;

/* The largest class that `size` bytes, a positive multiple of the unit, hold. */
static inline uint32_t hd_size_class(size_t size)
{
    uint64_t units = size / HD_BLOCK_UNIT;
    if (units < 8) {
        return (uint32_t)units;
    }
    uint32_t log2 = 63 - (uint32_t)__builtin_clzll(units);
    return 4 * (log2 - 1) + (uint32_t)(units >> (log2 - 2) & 3);
}

/* The size of the smallest class that holds `size` (at most HD_SIZE_LIMIT) bytes; 0 counts as 1. */
static inline size_t hd_size_round(size_t size)
{
    uint64_t units = size == 0 ? 1 : (size + HD_BLOCK_UNIT - 1) / HD_BLOCK_UNIT;
    uint32_t log2 = 63 - (uint32_t)__builtin_clzll(units);
    return hd_align_up(units, log2 < 3 ? 1 : (size_t)1 << (log2 - 2)) * HD_BLOCK_UNIT;
}

/* Puts a block first in its class, so that the one freed last is reused first. */
static inline void hd_free_lists_push(hd_free_lists *lists, hd_block *block)
{
    uint32_t class = hd_size_class(block->size);
    block->previous = NULL;
    block->next = lists->first[class];
    if (block->next != NULL) {
        block->next->previous = block;
    }
    lists->first[class] = block;
    lists->filled[class / 64] |= UINT64_C(1) << class % 64;
}

static inline void hd_free_lists_remove(hd_free_lists *lists, hd_block *block)
{
    uint32_t class = hd_size_class(block->size);
    if (block->next != NULL) {
        block->next->previous = block->previous;
    }
    if (block->previous != NULL) {
        block->previous->next = block->next;
        return;
    }
    lists->first[class] = block->next;
    if (block->next == NULL) {
        lists->filled[class / 64] &= ~(UINT64_C(1) << class % 64);
    }
}

/* A block of the lowest class from `lowest` to `highest` that has one; NULL. */
hd_block *hd_free_lists_find(const hd_free_lists *lists, uint32_t lowest, uint32_t highest);

#endif
