#include "runtime/stream_cache.h"

#include <string.h>

#include "base/check.h"
#include "runtime/block_records.h"

static void cache_lock(hd_stream_cache *cache)
    HD_ACQUIRE(&cache->mutex, hd_rank_stream_cache) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&cache->mutex);
}

static void cache_unlock(hd_stream_cache *cache)
    HD_RELEASE(&cache->mutex, hd_rank_stream_cache) HD_NO_THREAD_SAFETY_ANALYSIS
{
    HD_CHECK("FLAT.stream-blocks",
             cache->in_use_bytes + cache->cached_bytes == cache->reserved_bytes);
    hd_mutex_unlock(&cache->mutex);
}

hd_status hd_stream_cache_init(hd_stream_cache *cache, uint32_t stream,
                               hd_timeline *const *timelines,
                               bool poisons) HD_NO_THREAD_SAFETY_ANALYSIS
{
    memset(cache, 0, sizeof *cache);
    cache->stream = stream;
    cache->poisons = poisons;
    cache->timelines = timelines;
    return hd_mutex_init(&cache->mutex, HD_RANK_stream_cache);
}

void hd_stream_cache_destroy(hd_stream_cache *cache)
{
    hd_mutex_destroy(&cache->mutex);
}

static bool is_in_use(hd_stream_cache *cache, hd_block *block, const void *memory)
    HD_REQUIRES(&cache->mutex)
{
    return hd_block_get_state(block) == HD_BLOCK_IN_USE &&
           hd_block_get_stream(block) == cache->stream && hd_block_address(block) == memory;
}

static void enlist(hd_stream_cache *cache, hd_block *block) HD_REQUIRES(&cache->mutex)
{
    hd_block_set(block, HD_BLOCK_CACHED, cache->stream);
    hd_block_queue_insert(&cache->freed, block);
    hd_free_lists_push(&cache->lists, block);
}

static void delist(hd_stream_cache *cache, hd_block *block) HD_REQUIRES(&cache->mutex)
{
    HD_CHECK("REUSE.free-for-this-stream", hd_block_get_state(block) == HD_BLOCK_CACHED &&
                                               hd_block_get_stream(block) == cache->stream);
    hd_block_queue_remove(&cache->freed, block);
    hd_free_lists_remove(&cache->lists, block);
}

static void *use(hd_stream_cache *cache, hd_block *block) HD_REQUIRES(&cache->mutex)
{
    hd_block_set(block, HD_BLOCK_IN_USE, cache->stream);
    cache->in_use_bytes += block->size;
    if (cache->in_use_bytes > cache->peak_bytes) {
        cache->peak_bytes = cache->in_use_bytes;
    }
    return hd_block_address(block);
}

void *hd_stream_cache_take(hd_stream_cache *cache, uint32_t class)
{
    void *memory = NULL;
    cache_lock(cache);
    hd_block *block = cache->lists.first[class];
    if (block != NULL) {
        delist(cache, block);
        cache->cached_bytes -= block->size;
        cache->hits++;
        memory = use(cache, block);
    }
    cache_unlock(cache);
    return memory;
}

hd_block_freed hd_stream_cache_free(hd_stream_cache *cache, hd_block *block, const void *memory)
{
    hd_block_freed freed = HD_BLOCK_FREED;
    cache_lock(cache);
    if (!is_in_use(cache, block, memory)) {
        cache_unlock(cache);
        return HD_BLOCK_NOT_FREED;
    }
    hd_timeline *timeline = cache->timelines[cache->stream];
    block->due = hd_timeline_submitted(timeline);
    cache->in_use_bytes -= block->size;
    cache->cached_bytes += block->size;
    if (block->record_count == 0 || hd_block_records_settle(block, cache->timelines)) {
        enlist(cache, block);
        if (cache->poisons) {
            hd_block_poison(block, timeline);
        }
    } else {
        hd_block_set(block, HD_BLOCK_RECORDED, cache->stream);
        block->point = block->due;
        freed = HD_BLOCK_FREED_RECORDED;
    }
    cache_unlock(cache);
    return freed;
}

bool hd_stream_cache_record(hd_stream_cache *cache, hd_block *block, const void *memory,
                            uint32_t stream)
{
    cache_lock(cache);
    bool in_use = is_in_use(cache, block, memory);
    if (in_use && stream != cache->stream) {
        hd_block_records_add(block, cache->timelines, stream);
    }
    cache_unlock(cache);
    return in_use;
}

void hd_stream_cache_settle(hd_stream_cache *cache, hd_block *block)
{
    cache_lock(cache);
    block->due = block->point;
    enlist(cache, block);
    cache_unlock(cache);
}

void hd_stream_cache_add(hd_stream_cache *cache, hd_block *block)
{
    cache_lock(cache);
    cache->reserved_bytes += block->size;
    cache->cached_bytes += block->size;
    enlist(cache, block);
    cache_unlock(cache);
}

void *hd_stream_cache_hand_out(hd_stream_cache *cache, hd_block *block, bool is_hit, bool is_split)
{
    cache_lock(cache);
    cache->reserved_bytes += block->size;
    cache->hits += is_hit;
    cache->misses += !is_hit;
    cache->splits += is_split;
    void *memory = use(cache, block);
    cache_unlock(cache);
    return memory;
}

static void take_out(hd_stream_cache *cache, hd_block *block) HD_REQUIRES(&cache->mutex)
{
    delist(cache, block);
    cache->reserved_bytes -= block->size;
    cache->cached_bytes -= block->size;
}

hd_block *hd_stream_cache_pop_reached(hd_stream_cache *cache)
{
    cache_lock(cache);
    hd_block *block = cache->freed.oldest;
    if (block != NULL && !hd_timeline_reached(cache->timelines[cache->stream], block->due)) {
        block = NULL;
    }
    if (block != NULL) {
        take_out(cache, block);
    }
    cache_unlock(cache);
    return block;
}

hd_block *hd_stream_cache_pop_fit(hd_stream_cache *cache, uint32_t lowest, uint32_t highest)
{
    cache_lock(cache);
    hd_block *block = hd_free_lists_find(&cache->lists, lowest, highest);
    if (block != NULL) {
        take_out(cache, block);
    }
    cache_unlock(cache);
    return block;
}

uint64_t hd_stream_cache_reserved(hd_stream_cache *cache) HD_NO_THREAD_SAFETY_ANALYSIS
{
    return cache->reserved_bytes; /* written under the allocator's lock, too */
}

bool hd_stream_cache_get_point(hd_stream_cache *cache, uint64_t *out_point)
{
    cache_lock(cache);
    const hd_block *oldest = cache->freed.oldest;
    *out_point = oldest == NULL ? 0 : oldest->due;
    cache_unlock(cache);
    return oldest != NULL;
}

void hd_stream_cache_count(hd_stream_cache *cache, hd_memory_statistics *counts)
{
    cache_lock(cache);
    counts->in_use_bytes += cache->in_use_bytes;
    counts->cached_bytes += cache->cached_bytes;
    counts->peak_bytes += cache->peak_bytes;
    counts->allocations += cache->hits + cache->misses;
    counts->hits += cache->hits;
    counts->splits += cache->splits;
    cache_unlock(cache);
}
