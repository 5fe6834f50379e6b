/* Block table: what is known of each block of device memory, found by its address. The blocks
 * themselves are never touched, as they may lie where the host cannot write.
 *
 * Descriptions come from chunks that are allocated ahead, under no lock, and live as long as the
 * table; so taking one cannot fail while hd_block_table_is_ready says so, and whoever has found one
 * may look at its address and owner under no lock (REUSE: it describes the block that was looked
 * for only if that is still so under the owner's lock).
 *
 * Law: a block's place in the index does not change while it is in the table, and no place on the
 * way to it becomes empty; so whoever was given the block finds it, whatever others add and remove.
 *
 * Thread-safety: hd_block_table_find, hd_block_growth_make and _free: any thread; the rest one
 * thread at a time (the allocator's lock). */
#ifndef HD_RUNTIME_BLOCK_TABLE_H
#define HD_RUNTIME_BLOCK_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/atomic.h"
#include "base/memory.h"
#include "base/status.h"
#include "runtime/memory_account.h"
#include "runtime/timeline.h"

#define HD_BLOCKS_PER_CALL                                                                         \
    2 /* descriptions that one allocation takes: a segment's, a remainder's */
#define HD_BLOCK_POISON  0xDD
#define HD_BLOCK_RECORDS 4 /* recorded streams whose points a description holds at once */

typedef enum hd_block_state {
    HD_BLOCK_SPARE,    /* a description that describes nothing */
    HD_BLOCK_IN_USE,   /* the user's */
    HD_BLOCK_RECORDED, /* freed, but streams that it was recorded on may still use it: nobody's */
    HD_BLOCK_CACHED,   /* freed on its stream: that stream's until its point is reached */
    HD_BLOCK_COMMON    /* the device has finished with it: anybody's */
} hd_block_state;

typedef struct hd_block {
    /* What a hit and its free touch. */
    _Alignas(HD_CACHE_LINE) _Atomic(char *) address;
    size_t size;
    struct hd_block *next; /* of one size class, of the spares, of those that leave at once */
    struct hd_block *previous;
    struct hd_block *newer; /* of one queue */
    struct hd_block *older;
    uint64_t due;           /* the point that it waits for in that queue */
    _Atomic uint16_t owner; /* state and stream; see hd_block_set */
    uint8_t record_count;
    uint8_t record_streams[HD_BLOCK_RECORDS];
    /* The rest. */
    uint32_t owed;  /* recorded streams beyond: their points are read when a place comes free */
    uint64_t point; /* of its own stream when it was freed, while it is recorded */
    /* Neighbours in the segment; neither: the block is the segment. */
    struct hd_block *before HD_GUARDED_BY(hd_rank_allocator);
    struct hd_block *after HD_GUARDED_BY(hd_rank_allocator);
    uint64_t record_points[HD_BLOCK_RECORDS];
} hd_block;

/* relaxed: whoever relies on them holds the lock that they are written under, or looks again under
 * it. */
static inline char *hd_block_address(hd_block *block)
{
    return hd_load_relaxed(&block->address);
}

static inline hd_block_state hd_block_get_state(hd_block *block)
{
    return (hd_block_state)(hd_load_relaxed(&block->owner) >> 8);
}

static inline uint32_t hd_block_get_stream(hd_block *block)
{
    return hd_load_relaxed(&block->owner) & 0xFF;
}

static inline void hd_block_set(hd_block *block, hd_block_state state, uint32_t stream)
{
    hd_store_relaxed(&block->owner, (uint16_t)((uint32_t)state << 8 | stream));
}

/* Test builds show who still uses a block that was freed and that the device has finished with. */
static inline void hd_block_poison(hd_block *block, hd_timeline *timeline)
{
#if defined(HD_DEBUG_CHECKS)
    if (hd_timeline_reached(timeline, block->due)) {
        memset(hd_block_address(block), HD_BLOCK_POISON, block->size);
    }
#else
    (void)block;
    (void)timeline;
#endif
}

typedef struct hd_block_table {
    _Atomic(struct hd_block_index *) index; /* NULL until the table grows for the first time */
    hd_memory_account *account;             /* constant */
    struct hd_block_chunk *chunks HD_GUARDED_BY(hd_rank_allocator);
    size_t block_count HD_GUARDED_BY(hd_rank_allocator); /* in all chunks */
    hd_block *spare HD_GUARDED_BY(hd_rank_allocator);
    size_t spare_count HD_GUARDED_BY(hd_rank_allocator);
} hd_block_table;

/* Memory for more descriptions, on its way into a table or out of it. */
typedef struct hd_block_growth {
    struct hd_block_chunk *chunk;
    struct hd_block_index *index;
} hd_block_growth;

/* An empty table, whose memory the account counts. */
void hd_block_table_init(hd_block_table *table, hd_memory_account *account);
void hd_block_table_clear(hd_block_table *table) HD_REQUIRES(hd_rank_allocator);

/* Whether an allocation finds its descriptions. */
static inline bool hd_block_table_is_ready(const hd_block_table *table)
    HD_REQUIRES(hd_rank_allocator)
{
    return table->spare_count >= HD_BLOCKS_PER_CALL;
}

/* Allocates what a table with this number of descriptions needs to grow. HD_OUT_OF_MEMORY, also
 * where the limit is reached. */
HD_MUST_CHECK hd_status hd_block_growth_make(hd_memory_account *account, size_t block_count,
                                             hd_block_growth *out_growth);
/* Joins it to the table; what is not needed any more stays in *growth, to be freed. */
void hd_block_table_grow(hd_block_table *table, hd_block_growth *growth)
    HD_REQUIRES(hd_rank_allocator);
void hd_block_growth_free(hd_memory_account *account, hd_block_growth *growth);

/* A spare description for a block at this address, which is found by it from now on. */
hd_block *hd_block_table_add(hd_block_table *table, char *address, size_t size)
    HD_REQUIRES(hd_rank_allocator);
/* NULL: no block begins there. Takes no lock. */
hd_block *hd_block_table_find(hd_block_table *table, const void *address);
/* The block is found no more; its description is the caller's until hd_block_table_give. */
void hd_block_table_remove(hd_block_table *table, hd_block *block) HD_REQUIRES(hd_rank_allocator);
void hd_block_table_give(hd_block_table *table, hd_block *block) HD_REQUIRES(hd_rank_allocator);

/* Calls visit for each segment that holds blocks: its beginning and size. */
void hd_block_table_visit_segments(const hd_block_table *table,
                                   void (*visit)(void *context, char *address, size_t size),
                                   void *context) HD_REQUIRES(hd_rank_allocator);

#endif
