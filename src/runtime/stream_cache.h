/* Stream cache: what a stream has of a device's memory: blocks that are in use, and those that were
 * freed and may be used by that stream only, until the device has reached the free's point. Blocks
 * keep their size while they are here, so that a hit neither cuts nor joins.
 *
 * Law: in_use + cached = reserved, in bytes of each stream. reserved changes under the allocator's
 * lock, too (functions marked so), which is enough to read it.
 *
 * A block is found by its address under no lock. So whether it is in use, and of this stream, is
 * looked at under this lock, under which alone a block of this stream comes into use and out of it:
 * of two frees one is refused, and a description that was reused meanwhile is not mistaken (ABA).
 *
 * Thread-safety: any thread. The lock (rank stream_cache) is each function's own. */
#ifndef HD_RUNTIME_STREAM_CACHE_H
#define HD_RUNTIME_STREAM_CACHE_H

#include "base/mutex.h"
#include "heddle/memory.h"
#include "runtime/block_queue.h"
#include "runtime/free_lists.h"
#include "runtime/timeline.h"

typedef struct hd_stream_cache {
    _Alignas(HD_CACHE_LINE) hd_mutex mutex;
    uint32_t stream;               /* constant */
    bool poisons;                  /* constant */
    hd_timeline *const *timelines; /* constant */
    hd_free_lists lists HD_GUARDED_BY(&mutex);
    hd_block_queue freed HD_GUARDED_BY(&mutex); /* the same blocks */
    uint64_t in_use_bytes HD_GUARDED_BY(&mutex);
    uint64_t peak_bytes HD_GUARDED_BY(&mutex);
    uint64_t cached_bytes HD_GUARDED_BY(&mutex);
    uint64_t reserved_bytes HD_GUARDED_BY(&mutex);
    uint64_t hits HD_GUARDED_BY(&mutex);
    uint64_t misses HD_GUARDED_BY(&mutex);
    uint64_t splits HD_GUARDED_BY(&mutex);
} hd_stream_cache;

typedef enum hd_block_freed {
    HD_BLOCK_NOT_FREED,
    HD_BLOCK_FREED,
    HD_BLOCK_FREED_RECORDED /* it is the caller's, to wait for the streams it was recorded on */
} hd_block_freed;

/* poisons: the host may write to its blocks. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_stream_cache_init(hd_stream_cache *cache, uint32_t stream,
                                             hd_timeline *const *timelines, bool poisons);
void hd_stream_cache_destroy(hd_stream_cache *cache);

/* A block of this class for work of the stream; NULL. */
void *hd_stream_cache_take(hd_stream_cache *cache, uint32_t class);

/* Frees a block that was found by `memory`, if it is in use by this stream. */
hd_block_freed hd_stream_cache_free(hd_stream_cache *cache, hd_block *block, const void *memory);

/* What was submitted to `stream` so far uses that block; false: it is not in use by this stream. */
bool hd_stream_cache_record(hd_stream_cache *cache, hd_block *block, const void *memory,
                            uint32_t stream);

/* Under the allocator's lock: the streams that a freed block was recorded on have finished with it. */
void hd_stream_cache_settle(hd_stream_cache *cache, hd_block *block) HD_REQUIRES(hd_rank_allocator);

/* Under the allocator's lock: the stream gets a block that nobody has, which is freed since
 * block->due, or is handed out. */
void hd_stream_cache_add(hd_stream_cache *cache, hd_block *block) HD_REQUIRES(hd_rank_allocator);
void *hd_stream_cache_hand_out(hd_stream_cache *cache, hd_block *block, bool is_hit, bool is_split)
    HD_REQUIRES(hd_rank_allocator);

/* Under the allocator's lock: takes a freed block from the stream, so that nobody has it: the
 * oldest one if its point is reached; one of the lowest class from `lowest` to `highest`. NULL. */
hd_block *hd_stream_cache_pop_reached(hd_stream_cache *cache) HD_REQUIRES(hd_rank_allocator);
hd_block *hd_stream_cache_pop_fit(hd_stream_cache *cache, uint32_t lowest, uint32_t highest)
    HD_REQUIRES(hd_rank_allocator);

/* Under the allocator's lock: bytes that the stream has. */
uint64_t hd_stream_cache_reserved(hd_stream_cache *cache) HD_REQUIRES(hd_rank_allocator);

/* The earliest point that a freed block waits for; false: there is none. */
bool hd_stream_cache_get_point(hd_stream_cache *cache, uint64_t *out_point);

/* Adds the stream's numbers to *counts. */
void hd_stream_cache_count(hd_stream_cache *cache, hd_memory_statistics *counts);

#endif
