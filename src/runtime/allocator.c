#include "runtime/allocator.h"

#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "runtime/free_lists.h"
#include "runtime/slot_pool.h"

/* Small blocks share a segment of this size; larger segments are multiples of it, or of the least
 * grain near the limit. Blocks above SMALL_LIMIT are never cut from a larger one, but a cached one
 * may be LARGE_WASTE classes above the request, that is, below twice its size. */
#define SEGMENT_SIZE ((size_t)2 << 20)
#define SMALL_LIMIT  ((size_t)1 << 20)
#define LEAST_GRAIN  ((size_t)4096)
#define LARGE_WASTE  3
#define POISON       0xDD

/* What was freed on one stream and may be used by that stream only. */
typedef struct stream_cache {
    hd_free_lists lists;
    hd_block *oldest; /* the same blocks in the order of their points */
    hd_block *newest;
    hd_timeline_watch watch; /* tells of a point that somebody waits for */
    bool armed;              /* the watch is registered, or about to be */
    hd_allocator *owner;
} stream_cache;

struct hd_allocator {
    hd_timeline *timelines[HD_STREAM_COUNT];
    hd_memory_account *account;
    hd_mutex mutex;
    hd_condition changed; /* progress has grown */
    hd_block_table blocks HD_GUARDED_BY(&mutex);
    hd_free_lists common HD_GUARDED_BY(&mutex);
    stream_cache caches[HD_STREAM_COUNT] HD_GUARDED_BY(&mutex);
    hd_block *recorded HD_GUARDED_BY(&mutex);
    uint64_t progress HD_GUARDED_BY(&mutex); /* times that the free blocks have become more */
    uint32_t waiting HD_GUARDED_BY(&mutex);
    uint32_t in_transit HD_GUARDED_BY(&mutex); /* threads that carry memory from or to the system */
    hd_memory_statistics counts HD_GUARDED_BY(&mutex);
};

static void allocator_lock(hd_allocator *allocator)
    HD_ACQUIRE(&allocator->mutex, hd_rank_allocator) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&allocator->mutex);
}

static void allocator_unlock(hd_allocator *allocator)
    HD_RELEASE(&allocator->mutex, hd_rank_allocator) HD_NO_THREAD_SAFETY_ANALYSIS
{
    HD_CHECK("FLAT.blocks", allocator->counts.in_use_bytes + allocator->counts.cached_bytes ==
                                allocator->counts.reserved_bytes);
    hd_mutex_unlock(&allocator->mutex);
}

/* Tells those who wait that they may find more than before. */
static void note_progress(hd_allocator *allocator) HD_REQUIRES(&allocator->mutex)
{
    allocator->progress++;
    if (allocator->waiting > 0) {
        hd_condition_broadcast(&allocator->changed);
    }
}

/* Nothing of this thread's is on its way any more: who waits for that looks again. */
static void end_transit(hd_allocator *allocator) HD_REQUIRES(&allocator->mutex)
{
    allocator->in_transit--;
    if (allocator->waiting > 0) {
        hd_condition_broadcast(&allocator->changed);
    }
}

/* A point that somebody waited for is reached. */
static void note_reached(hd_timeline_watch *watch)
{
    stream_cache *cache = (stream_cache *)((char *)watch - offsetof(stream_cache, watch));
    hd_allocator *allocator = cache->owner;
    allocator_lock(allocator);
    cache->armed = false;
    note_progress(allocator);
    allocator_unlock(allocator);
}

hd_status hd_allocator_create(hd_timeline *const *timelines, hd_memory_account *account,
                              hd_allocator **out_allocator) HD_NO_THREAD_SAFETY_ANALYSIS
{
    *out_allocator = NULL;
    hd_allocator *allocator = hd_alloc_aligned(sizeof *allocator);
    if (allocator == NULL) {
        return HD_OUT_OF_MEMORY;
    }
    memset(allocator, 0, sizeof *allocator);
    memcpy(allocator->timelines, timelines, sizeof allocator->timelines);
    allocator->account = account;
    for (size_t i = 0; i < HD_STREAM_COUNT; i++) {
        allocator->caches[i].owner = allocator;
        allocator->caches[i].watch.reached = note_reached;
    }
    if (hd_mutex_init(&allocator->mutex, HD_RANK_allocator) != HD_OK) {
        goto fail;
    }
    if (hd_condition_init(&allocator->changed) != HD_OK) {
        goto fail_mutex;
    }
    if (hd_block_table_init(&allocator->blocks) != HD_OK) {
        goto fail_condition;
    }
    *out_allocator = allocator;
    return HD_OK;
fail_condition:
    hd_condition_destroy(&allocator->changed);
fail_mutex:
    hd_mutex_destroy(&allocator->mutex);
fail:
    hd_free(allocator);
    return HD_OUT_OF_MEMORY;
}

static void free_segment(void *context, char *address, size_t size)
{
    hd_allocator *allocator = context;
    hd_pages_free(address, size);
    hd_memory_account_give(allocator->account, HD_MEMORY_BLOCKS, size);
}

void hd_allocator_destroy(hd_allocator **allocator) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_allocator *dead = *allocator;
    *allocator = NULL;
    if (dead == NULL) {
        return;
    }
    HD_CHECK("BOUND.allocator-nobody-waits", dead->waiting == 0 && dead->in_transit == 0);
    hd_block_table_visit_segments(&dead->blocks, free_segment, dead);
    hd_block_table_clear(&dead->blocks);
    hd_condition_destroy(&dead->changed);
    hd_mutex_destroy(&dead->mutex);
    hd_free(dead);
}

/* ---- Free blocks: a stream's, and everybody's. */

static void cache_append(stream_cache *cache, hd_block *block)
{
    HD_CHECK("REUSE.cached-by-point",
             cache->newest == NULL || cache->newest->point <= block->point);
    block->state = HD_BLOCK_CACHED;
    block->newer = NULL;
    block->older = cache->newest;
    *(cache->newest == NULL ? &cache->oldest : &cache->newest->newer) = block;
    cache->newest = block;
    hd_free_lists_push(&cache->lists, block);
}

static void cache_remove(stream_cache *cache, hd_block *block)
{
    *(block->older == NULL ? &cache->oldest : &block->older->newer) = block->newer;
    *(block->newer == NULL ? &cache->newest : &block->newer->older) = block->older;
    hd_free_lists_remove(&cache->lists, block);
}

/* Test builds show who still uses a block that the device has finished with. */
static void poison(hd_block *block)
{
#if defined(HD_DEBUG_CHECKS)
    memset(block->address, POISON, block->size);
#else
    (void)block;
#endif
}

/* Joins `right` to `left`, which lies before it. */
static void join(hd_allocator *allocator, hd_block *left, hd_block *right)
    HD_REQUIRES(&allocator->mutex)
{
    HD_CHECK("SAFE.neighbours",
             left->after == right && left->address + left->size == right->address);
    left->size += right->size;
    left->after = right->after;
    if (left->after != NULL) {
        left->after->before = left;
    }
    hd_block_table_remove(&allocator->blocks, right);
    hd_block_table_give(&allocator->blocks, right);
}

/* The device has finished with a block that is in no list. */
static void share(hd_allocator *allocator, hd_block *block) HD_REQUIRES(&allocator->mutex)
{
    hd_block *before = block->before, *after = block->after;
    poison(block);
    if (before != NULL && before->state == HD_BLOCK_COMMON) {
        hd_free_lists_remove(&allocator->common, before);
        join(allocator, before, block);
        block = before;
    }
    if (after != NULL && after->state == HD_BLOCK_COMMON) {
        hd_free_lists_remove(&allocator->common, after);
        join(allocator, block, after);
    }
    block->state = HD_BLOCK_COMMON;
    hd_free_lists_push(&allocator->common, block);
}

/* ---- Recorded streams. */

static void remove_record(hd_block *block, uint32_t index)
{
    uint32_t last = --block->record_count;
    block->record_streams[index] = block->record_streams[last];
    block->record_points[index] = block->record_points[last];
}

static void add_record(hd_block *block, uint32_t stream, uint64_t point)
{
    uint32_t index = 0;
    while (index < block->record_count && block->record_streams[index] != stream) {
        index++;
    }
    if (index == HD_BLOCK_RECORDS) {
        block->owed |= UINT32_C(1) << stream;
        return;
    }
    block->record_streams[index] = (uint8_t)stream;
    block->record_points[index] = point;
    block->record_count += index == block->record_count;
}

/* Forgets the records whose points are reached; true when none is left. A stream that found no
 * place gets the place that came free, with the point that is its last by now: not before the one
 * it was recorded at (REUSE). */
static bool settle_records(hd_allocator *allocator, hd_block *block) HD_REQUIRES(&allocator->mutex)
{
    for (uint32_t i = block->record_count; i-- > 0;) {
        if (hd_timeline_reached(allocator->timelines[block->record_streams[i]],
                                block->record_points[i])) {
            remove_record(block, i);
        }
    }
    while (block->owed != 0 && block->record_count < HD_BLOCK_RECORDS) {
        uint32_t stream = (uint32_t)__builtin_ctz(block->owed);
        hd_timeline *timeline = allocator->timelines[stream];
        uint64_t point = hd_timeline_submitted(timeline);
        block->owed &= block->owed - 1;
        if (!hd_timeline_reached(timeline, point)) {
            add_record(block, stream, point);
        }
    }
    return block->record_count == 0;
}

static void recorded_push(hd_allocator *allocator, hd_block *block) HD_REQUIRES(&allocator->mutex)
{
    block->state = HD_BLOCK_RECORDED;
    block->previous = NULL;
    block->next = allocator->recorded;
    if (block->next != NULL) {
        block->next->previous = block;
    }
    allocator->recorded = block;
}

static void recorded_remove(hd_allocator *allocator, hd_block *block) HD_REQUIRES(&allocator->mutex)
{
    *(block->previous == NULL ? &allocator->recorded : &block->previous->next) = block->next;
    if (block->next != NULL) {
        block->next->previous = block->previous;
    }
}

/* Looks which points have been reached: makes common what the device has finished with. */
static void collect(hd_allocator *allocator) HD_REQUIRES(&allocator->mutex)
{
    bool found = false;
    for (hd_block *block = allocator->recorded, *next; block != NULL; block = next) {
        next = block->next;
        if (settle_records(allocator, block)) {
            stream_cache *cache = &allocator->caches[block->stream];
            recorded_remove(allocator, block);
            if (cache->newest != NULL && cache->newest->point > block->point) {
                block->point = cache->newest->point; /* later than needed keeps the order */
            }
            cache_append(cache, block);
            found = true;
        }
    }
    for (uint32_t i = 0; i < HD_STREAM_COUNT; i++) {
        stream_cache *cache = &allocator->caches[i];
        hd_block *block;
        while ((block = cache->oldest) != NULL &&
               hd_timeline_reached(allocator->timelines[i], block->point)) {
            cache_remove(cache, block);
            share(allocator, block);
            found = true;
        }
    }
    allocator->progress += found;
}

/* ---- Segments. */

/* Pages for a segment, counted; NULL where the limit or the system has none. */
static void *take_pages(hd_allocator *allocator, size_t size)
{
    if (!hd_memory_account_take(allocator->account, HD_MEMORY_BLOCKS, size)) {
        return NULL;
    }
    void *pages = hd_pages_alloc(size);
    if (pages == NULL) {
        hd_memory_account_give(allocator->account, HD_MEMORY_BLOCKS, size);
    }
    return pages;
}

/* Pages for a block of this size; near the limit a segment no larger than the block needs. */
static void *take_segment(hd_allocator *allocator, size_t size, size_t *out_size)
{
    size_t wanted = hd_align_up(size, SEGMENT_SIZE), least = hd_align_up(size, LEAST_GRAIN);
    void *pages = take_pages(allocator, wanted);
    *out_size = wanted;
    if (pages == NULL && least < wanted && size < SEGMENT_SIZE) {
        pages = take_pages(allocator, least);
        *out_size = least;
    }
    return pages;
}

static void add_segment(hd_allocator *allocator, void *pages, size_t size)
    HD_REQUIRES(&allocator->mutex)
{
    allocator->counts.reserved_bytes += size;
    allocator->counts.cached_bytes += size;
    share(allocator, hd_block_table_add(&allocator->blocks, pages, size));
    end_transit(allocator);
    note_progress(allocator);
}

/* Takes all segments that are wholly free out of the allocator; returns them as a list. */
static hd_block *detach_segments(hd_allocator *allocator) HD_REQUIRES(&allocator->mutex)
{
    hd_block *detached = NULL;
    for (uint32_t class = 0; class < HD_SIZE_CLASS_COUNT; class++) {
        for (hd_block *block = allocator->common.first[class], *next; block != NULL; block = next) {
            next = block->next;
            if (block->before != NULL || block->after != NULL) {
                continue;
            }
            hd_free_lists_remove(&allocator->common, block);
            hd_block_table_remove(&allocator->blocks, block);
            allocator->counts.reserved_bytes -= block->size;
            allocator->counts.cached_bytes -= block->size;
            block->next_hashed = detached;
            detached = block;
        }
    }
    allocator->counts.releases += detached != NULL;
    return detached;
}

/* Gives the unused cache back to the system; whether there was any. */
static bool release_cache(hd_allocator *allocator)
{
    allocator_lock(allocator);
    collect(allocator);
    hd_block *detached = detach_segments(allocator);
    allocator->in_transit += detached != NULL;
    allocator_unlock(allocator);
    if (detached == NULL) {
        return false;
    }
    for (hd_block *block = detached; block != NULL; block = block->next_hashed) {
        free_segment(allocator, block->address, block->size);
    }
    allocator_lock(allocator);
    for (hd_block *block = detached, *next; block != NULL; block = next) {
        next = block->next_hashed;
        hd_block_table_give(&allocator->blocks, block);
    }
    end_transit(allocator);
    note_progress(allocator);
    allocator_unlock(allocator);
    return true;
}

/* ---- Allocate. */

/* Cuts what a free block has beyond `size` off; the rest stays free in the same way. */
static void split(hd_allocator *allocator, hd_block *block, size_t size)
    HD_REQUIRES(&allocator->mutex)
{
    hd_block *rest =
        hd_block_table_add(&allocator->blocks, block->address + size, block->size - size);
    rest->before = block;
    rest->after = block->after;
    if (rest->after != NULL) {
        rest->after->before = rest;
    }
    block->after = rest;
    block->size = size;
    rest->stream = block->stream;
    rest->state = block->state;
    rest->point = block->point;
    if (block->state == HD_BLOCK_COMMON) {
        hd_free_lists_push(&allocator->common, rest);
        return;
    }
    /* In the place of the block, whose point it has. */
    stream_cache *cache = &allocator->caches[block->stream];
    rest->older = block->older;
    rest->newer = block->newer;
    *(rest->older == NULL ? &cache->oldest : &rest->older->newer) = rest;
    *(rest->newer == NULL ? &cache->newest : &rest->newer->older) = rest;
    hd_free_lists_push(&cache->lists, rest);
}

/* A free block of at least `size` bytes that `stream` may have; NULL. */
static hd_block *find_free(hd_allocator *allocator, uint32_t stream, size_t size)
    HD_REQUIRES(&allocator->mutex)
{
    const hd_free_lists *own = &allocator->caches[stream].lists;
    uint32_t class = hd_size_class(size);
    uint32_t highest = size <= SMALL_LIMIT ? hd_size_class(SEGMENT_SIZE) : class + LARGE_WASTE;
    hd_block *block = hd_free_lists_find(own, class, class);
    if (block == NULL) {
        block = hd_free_lists_find(&allocator->common, class, highest);
    }
    if (block == NULL) {
        collect(allocator);
        block = hd_free_lists_find(&allocator->common, class, highest);
    }
    if (block == NULL) {
        block = hd_free_lists_find(own, class, highest);
    }
    return block;
}

/* Gives a free block of at least `size` bytes to `stream`; NULL. */
static hd_block *take(hd_allocator *allocator, uint32_t stream, size_t size)
    HD_REQUIRES(&allocator->mutex)
{
    hd_block *block = find_free(allocator, stream, size);
    if (block == NULL) {
        return NULL;
    }
    bool is_common = block->state == HD_BLOCK_COMMON;
    HD_CHECK("REUSE.free-for-this-stream",
             is_common || (block->state == HD_BLOCK_CACHED && block->stream == stream));
    stream_cache *cache = &allocator->caches[stream];
    if (block->size > size && size <= SMALL_LIMIT) {
        hd_free_lists_remove(is_common ? &allocator->common : &cache->lists, block);
        split(allocator, block, size);
        allocator->counts.splits++;
    } else if (is_common) {
        hd_free_lists_remove(&allocator->common, block);
    } else {
        cache_remove(cache, block);
    }
    block->state = HD_BLOCK_IN_USE;
    block->stream = (uint8_t)stream;
    allocator->counts.cached_bytes -= block->size;
    allocator->counts.in_use_bytes += block->size;
    if (allocator->counts.in_use_bytes > allocator->counts.peak_bytes) {
        allocator->counts.peak_bytes = allocator->counts.in_use_bytes;
    }
    allocator->counts.allocations++;
    return block;
}

/* Makes descriptions for more blocks. */
static hd_status grow_table(hd_allocator *allocator, size_t block_count, uint32_t bucket_shift)
{
    hd_block_growth growth;
    hd_status status = hd_block_growth_make(block_count, bucket_shift, &growth);
    if (status == HD_OK) {
        allocator_lock(allocator);
        hd_block_table_grow(&allocator->blocks, &growth);
        allocator_unlock(allocator);
        hd_block_growth_free(&growth);
    }
    return status;
}

/* The earliest point of each stream that free blocks wait for; 0: none. */
static bool find_points(hd_allocator *allocator, uint64_t points[HD_STREAM_COUNT])
    HD_REQUIRES(&allocator->mutex)
{
    bool any = false;
    for (uint32_t i = 0; i < HD_STREAM_COUNT; i++) {
        hd_block *oldest = allocator->caches[i].oldest;
        points[i] = oldest == NULL ? 0 : oldest->point;
        any = any || oldest != NULL;
    }
    for (const hd_block *block = allocator->recorded; block != NULL; block = block->next) {
        for (uint32_t i = 0; i < block->record_count; i++) {
            uint64_t *point = &points[block->record_streams[i]];
            if (*point == 0 || block->record_points[i] < *point) {
                *point = block->record_points[i];
            }
        }
        any = true;
    }
    return any;
}

/* Sets each stream's watch that is not set. */
static void arm_watches(hd_allocator *allocator, const uint64_t points[HD_STREAM_COUNT])
{
    uint32_t to_arm = 0;
    allocator_lock(allocator);
    for (uint32_t i = 0; i < HD_STREAM_COUNT; i++) {
        stream_cache *cache = &allocator->caches[i];
        if (points[i] != 0 && !cache->armed) {
            cache->armed = true;
            cache->watch.point = points[i];
            to_arm |= UINT32_C(1) << i;
        }
    }
    allocator_unlock(allocator);
    for (; to_arm != 0; to_arm &= to_arm - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(to_arm);
        hd_timeline_watch *watch = &allocator->caches[i].watch;
        if (!hd_timeline_add_watch(allocator->timelines[i], watch)) {
            note_reached(watch);
        }
    }
}

/* Waits until more may be found than when `progress` was read. False: no more was at the deadline
 * (0: does not wait), or nothing is on its way, neither from the device nor in another thread's
 * hands. */
static bool wait_for_progress(hd_allocator *allocator, uint64_t progress, uint64_t deadline,
                              bool *waited)
{
    uint64_t points[HD_STREAM_COUNT];
    allocator_lock(allocator);
    end_transit(allocator);
    bool more = allocator->progress != progress;
    bool in_flight = !more && deadline != 0 && find_points(allocator, points);
    if (more || deadline == 0 || (!in_flight && allocator->in_transit == 0)) {
        allocator_unlock(allocator);
        return more;
    }
    allocator->waiting++;
    allocator->counts.waits += !*waited;
    *waited = true;
    allocator_unlock(allocator);
    if (in_flight) {
        arm_watches(allocator, points);
    }
    allocator_lock(allocator);
    while (allocator->progress == progress && (in_flight || allocator->in_transit > 0)) {
        if (!hd_condition_wait_until(&allocator->changed, &allocator->mutex, deadline)) {
            break;
        }
    }
    more = allocator->progress != progress;
    allocator->waiting--;
    allocator_unlock(allocator);
    return more;
}

static hd_status fail_exhausted(hd_allocator *allocator, size_t size, bool waited, hd_error *error)
{
    uint64_t limit = allocator->account->limit;
    uint64_t pending = 0, largest = 0;
    allocator_lock(allocator);
    hd_memory_statistics counts = allocator->counts;
    for (const hd_block *block = allocator->recorded; block != NULL; block = block->next) {
        pending += block->size;
    }
    for (uint32_t i = 0; i < HD_STREAM_COUNT; i++) {
        for (const hd_block *block = allocator->caches[i].oldest; block != NULL;
             block = block->newer) {
            pending += block->size;
        }
    }
    for (uint32_t class = HD_SIZE_CLASS_COUNT; class-- > 0 && largest == 0;) {
        const hd_block *block = allocator->common.first[class];
        largest = block == NULL ? 0 : block->size;
    }
    allocator_unlock(allocator);
    return hd_fail(
        error, HD_OUT_OF_MEMORY,
        "no block of %zu bytes%s: %llu bytes are in use, %llu cached (%llu wait for the "
        "device, the largest free block has %llu), %llu reserved; the device holds %llu "
        "of %llu bytes (0: no limit)",
        size, waited ? " came free in time" : "", (unsigned long long)counts.in_use_bytes,
        (unsigned long long)counts.cached_bytes, (unsigned long long)pending,
        (unsigned long long)largest, (unsigned long long)counts.reserved_bytes,
        (unsigned long long)hd_load_relaxed(&allocator->account->total), (unsigned long long)limit);
}

/* Nothing that fits is free: gets a segment, if need be after giving the cache back. */
static void *make_segment(hd_allocator *allocator, size_t size, size_t *out_size)
{
    void *pages = take_segment(allocator, size, out_size);
    if (pages == NULL && release_cache(allocator)) {
        pages = take_segment(allocator, size, out_size);
    }
    return pages;
}

hd_status hd_allocator_allocate(hd_allocator *allocator, uint32_t stream, size_t size,
                                uint64_t deadline, void **out_memory, hd_error *error)
{
    hd_check_no_lock_held();
    HD_CHECK("SAFE.stream", stream < HD_STREAM_COUNT);
    *out_memory = NULL;
    if (size > HD_SIZE_LIMIT) {
        return fail_exhausted(allocator, size, false, error);
    }
    size_t rounded = hd_size_round(size), segment_size = 0;
    void *pages = NULL;
    bool missed = false, waited = false, last = false;
    for (;;) {
        /* Each time round looks anew: nothing that was seen under the lock before is still so. */
        allocator_lock(allocator);
        if (!hd_block_table_is_ready(&allocator->blocks)) {
            size_t block_count = allocator->blocks.block_count;
            uint32_t bucket_shift = allocator->blocks.bucket_shift;
            allocator_unlock(allocator);
            if (grow_table(allocator, block_count, bucket_shift) != HD_OK) {
                break;
            }
            continue;
        }
        if (pages != NULL) {
            add_segment(allocator, pages, segment_size);
            pages = NULL;
        }
        hd_block *block = take(allocator, stream, rounded);
        if (block != NULL) {
            *out_memory = block->address;
            allocator->counts.hits += !missed;
            allocator_unlock(allocator);
            return HD_OK;
        }
        uint64_t progress = allocator->progress;
        allocator->in_transit++; /* until add_segment or wait_for_progress */
        allocator_unlock(allocator);
        pages = make_segment(allocator, rounded, &segment_size);
        missed = pages != NULL;
        if (pages == NULL) {
            if (!wait_for_progress(allocator, progress, deadline, &waited) || last) {
                break;
            }
            /* Others who free and allocate all the time do not keep this call beyond its time
             * (BOUND). */
            last = deadline == 0 || hd_clock_now() >= deadline;
        }
    }
    if (pages != NULL) {
        free_segment(allocator, pages, segment_size);
        allocator_lock(allocator);
        end_transit(allocator);
        allocator_unlock(allocator);
    }
    return fail_exhausted(allocator, size, waited, error);
}

/* ---- Free, record, trim, statistics. */

static hd_block *find_in_use(hd_allocator *allocator, const void *memory)
    HD_REQUIRES(&allocator->mutex)
{
    hd_block *block = hd_block_table_find(&allocator->blocks, memory);
    return block != NULL && block->state == HD_BLOCK_IN_USE ? block : NULL;
}

bool hd_allocator_free(hd_allocator *allocator, void *memory)
{
    allocator_lock(allocator);
    hd_block *block = find_in_use(allocator, memory);
    if (block == NULL) {
        allocator_unlock(allocator);
        return false;
    }
    hd_timeline *timeline = allocator->timelines[block->stream];
    /* Under the lock, so that the points of a stream's free blocks never go back. */
    block->point = hd_timeline_submitted(timeline);
    allocator->counts.in_use_bytes -= block->size;
    allocator->counts.cached_bytes += block->size;
    if ((block->record_count | block->owed) == 0 || settle_records(allocator, block)) {
        cache_append(&allocator->caches[block->stream], block);
#if defined(HD_DEBUG_CHECKS)
        if (hd_timeline_reached(timeline, block->point)) {
            poison(block);
        }
#endif
    } else {
        recorded_push(allocator, block);
    }
    note_progress(allocator);
    allocator_unlock(allocator);
    return true;
}

bool hd_allocator_record(hd_allocator *allocator, void *memory, uint32_t stream)
{
    HD_CHECK("SAFE.stream", stream < HD_STREAM_COUNT);
    allocator_lock(allocator);
    hd_block *block = find_in_use(allocator, memory);
    if (block != NULL && block->stream != stream) {
        hd_timeline *timeline = allocator->timelines[stream];
        uint64_t point = hd_timeline_submitted(timeline);
        if (!hd_timeline_reached(timeline, point)) {
            add_record(block, stream, point);
        }
    }
    allocator_unlock(allocator);
    return block != NULL;
}

void hd_allocator_trim(hd_allocator *allocator)
{
    (void)release_cache(allocator);
}

void hd_allocator_get_statistics(hd_allocator *allocator, hd_memory_statistics *out_statistics)
{
    allocator_lock(allocator);
    *out_statistics = allocator->counts;
    allocator_unlock(allocator);
}
