/* Block table: what is known of each block of device memory, found by its address. The blocks
 * themselves are never touched, as they may lie where the host cannot write.
 *
 * Descriptions come from chunks that are allocated ahead, under no lock, and live as long as the
 * table; so taking one cannot fail while hd_block_table_is_ready says so.
 *
 * Thread-safety: one thread at a time (the allocator's lock); hd_block_growth_make and _free:
 * any. */
#ifndef HD_RUNTIME_BLOCK_TABLE_H
#define HD_RUNTIME_BLOCK_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "base/status.h"

#define HD_BLOCKS_PER_CALL                                                                         \
    2 /* descriptions that one allocation takes: a segment's, a remainder's */
#define HD_BLOCK_RECORDS 4 /* recorded streams whose points a description holds at once */

typedef enum hd_block_state {
    HD_BLOCK_SPARE,    /* a description that describes nothing */
    HD_BLOCK_IN_USE,   /* the user's */
    HD_BLOCK_RECORDED, /* freed, but streams that it was recorded on may still use it: nobody's */
    HD_BLOCK_CACHED,   /* freed on its stream: that stream's until its point is reached */
    HD_BLOCK_COMMON    /* the device has finished with it: anybody's */
} hd_block_state;

typedef struct hd_block {
    _Alignas(HD_CACHE_LINE) char *address; /* first what a hit reads */
    size_t size;
    struct hd_block *next_hashed; /* also the list of spares, and of those taken out at once */
    struct hd_block *next;        /* of one size class, or of the recorded ones */
    struct hd_block *previous;
    struct hd_block *newer; /* of one stream's cached ones, by point */
    struct hd_block *older;
    uint8_t stream;
    uint8_t state;
    uint8_t record_count;
    uint8_t record_streams[HD_BLOCK_RECORDS];
    uint32_t owed; /* recorded streams beyond: their points are read when a place comes free */
    uint64_t point;          /* of its own stream when it was freed */
    struct hd_block *before; /* neighbours in the segment; neither: the block is the segment */
    struct hd_block *after;
    uint64_t record_points[HD_BLOCK_RECORDS];
} hd_block;

typedef struct hd_block_table {
    hd_block **buckets;
    uint32_t bucket_shift; /* 64 - log2 of their number */
    struct hd_block_chunk *chunks;
    size_t block_count; /* in all chunks */
    hd_block *spare;
    size_t spare_count;
} hd_block_table;

/* Memory for more descriptions, on its way into a table or out of it. */
typedef struct hd_block_growth {
    struct hd_block_chunk *chunk;
    hd_block **buckets;
    uint32_t bucket_shift;
} hd_block_growth;

/* HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_block_table_init(hd_block_table *table);
void hd_block_table_clear(hd_block_table *table);

/* Whether an allocation finds its descriptions. */
static inline bool hd_block_table_is_ready(const hd_block_table *table)
{
    return table->spare_count >= HD_BLOCKS_PER_CALL;
}

/* Allocates what a table with these numbers needs to grow. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_block_growth_make(size_t block_count, uint32_t bucket_shift,
                                             hd_block_growth *out_growth);
/* Joins it to the table; what is not needed any more stays in *growth, to be freed. */
void hd_block_table_grow(hd_block_table *table, hd_block_growth *growth);
void hd_block_growth_free(hd_block_growth *growth);

/* A spare description for a block at this address, which is found by it from now on. */
hd_block *hd_block_table_add(hd_block_table *table, char *address, size_t size);
/* NULL: no block begins there. */
hd_block *hd_block_table_find(const hd_block_table *table, const void *address);
/* The block is found no more; its description is the caller's until hd_block_table_give. */
void hd_block_table_remove(hd_block_table *table, hd_block *block);
void hd_block_table_give(hd_block_table *table, hd_block *block);

/* Calls visit for each segment that holds blocks: its beginning and size. */
void hd_block_table_visit_segments(const hd_block_table *table,
                                   void (*visit)(void *context, char *address, size_t size),
                                   void *context);

#endif
