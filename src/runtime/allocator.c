#include "runtime/allocator.h"

#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "hal/backend.h"
#include "runtime/block_records.h"
#include "runtime/common_blocks.h"
#include "runtime/segments.h"
#include "runtime/slot_pool.h"
#include "runtime/stream_cache.h"

/* Blocks above this are never cut from a larger one, but a cached one may be LARGE_WASTE classes above the request, that
 * is, below twice its size. */
#define SMALL_LIMIT ((size_t)1 << 20)
#define LARGE_WASTE 3

/* Tells of the earliest point of a stream that somebody waits for. */
typedef struct stream_watch {
    hd_timeline_watch watch; /* first: the timeline's pointer to it is this one's */
    hd_allocator *owner;     /* constant */
} stream_watch;

/* A hit and its free read the first members only. */
struct hd_allocator {
    hd_timeline *timelines[HD_STREAM_COUNT]; /* constant */
    hd_segments segments;                    /* constant */
    hd_memory_account *account;              /* constant */
    hd_block_table blocks;                   /* synchronized by itself, and by this lock's rank */
    /* Threads that found no free block, until they return: who frees one meanwhile tells them. */
    _Atomic uint32_t seekers;
    _Alignas(HD_CACHE_LINE) hd_mutex mutex;
    hd_condition changed; /* progress has grown, or in_transit has shrunk */
    hd_free_lists common HD_GUARDED_BY(&mutex);
    hd_block_queue recorded[HD_STREAM_COUNT] HD_GUARDED_BY(&mutex); /* by a stream they wait for */
    stream_watch watches[HD_STREAM_COUNT];     /* synchronized by itself: its timeline's lock */
    uint64_t progress HD_GUARDED_BY(&mutex);   /* times that the free blocks have become more */
    uint32_t in_transit HD_GUARDED_BY(&mutex); /* threads that carry memory from or to the system */
    uint64_t common_bytes HD_GUARDED_BY(&mutex); /* of blocks that no stream has */
    uint64_t reserved_bytes HD_GUARDED_BY(&mutex);
    uint64_t most_reserved_bytes HD_GUARDED_BY(&mutex);
    uint64_t waits HD_GUARDED_BY(&mutex);
    uint64_t releases HD_GUARDED_BY(&mutex);
    hd_stream_cache caches[HD_STREAM_COUNT]; /* synchronized by itself */
};

static void allocator_lock(hd_allocator *allocator)
    HD_ACQUIRE(&allocator->mutex, hd_rank_allocator) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&allocator->mutex);
}

/* No stream's lock is needed for the law: what a stream has changes under this lock only, and that
 * it is in use or cached is the stream's own law. */
static bool law_holds(hd_allocator *allocator) HD_REQUIRES(&allocator->mutex, hd_rank_allocator)
{
    uint64_t bytes = allocator->common_bytes;
    for (uint32_t i = 0; i < HD_STREAM_COUNT; i++) {
        bytes += hd_stream_cache_reserved(&allocator->caches[i]);
    }
    return bytes == allocator->reserved_bytes;
}

static void allocator_unlock(hd_allocator *allocator)
    HD_RELEASE(&allocator->mutex, hd_rank_allocator) HD_NO_THREAD_SAFETY_ANALYSIS
{
    HD_CHECK("FLAT.blocks", law_holds(allocator));
    hd_mutex_unlock(&allocator->mutex);
}

/* Tells those who wait that they may find more than before. */
static void note_progress(hd_allocator *allocator) HD_REQUIRES(&allocator->mutex, hd_rank_allocator)
{
    allocator->progress++;
    hd_condition_broadcast(&allocator->changed);
}

/* Nothing of this thread's is on its way any more: who waits for that looks again. */
static void end_transit(hd_allocator *allocator) HD_REQUIRES(&allocator->mutex, hd_rank_allocator)
{
    allocator->in_transit--;
    hd_condition_broadcast(&allocator->changed);
}

/* A point that somebody waited for is reached. */
static void note_reached(hd_timeline_watch *watch)
{
    hd_allocator *allocator = ((stream_watch *)watch)->owner;
    allocator_lock(allocator);
    note_progress(allocator);
    allocator_unlock(allocator);
}

static void destroy_caches(hd_allocator *allocator, uint32_t count)
{
    while (count-- > 0) {
        hd_stream_cache_destroy(&allocator->caches[count]);
    }
}

hd_status hd_allocator_create(hd_timeline *const *timelines, hd_unit *unit,
                              hd_memory_account *account,
                              hd_allocator **out_allocator) HD_NO_THREAD_SAFETY_ANALYSIS
{
    *out_allocator = NULL;
    hd_allocator *allocator = hd_alloc_aligned(sizeof *allocator);
    if (allocator == NULL) {
        return HD_OUT_OF_MEMORY;
    }
    memset(allocator, 0, sizeof *allocator);
    memcpy(allocator->timelines, timelines, sizeof allocator->timelines);
    allocator->segments = (hd_segments){unit, account};
    allocator->account = account;
    atomic_init(&allocator->seekers, 0);
    hd_block_table_init(&allocator->blocks, account);
    uint32_t caches = 0;
    while (caches < HD_STREAM_COUNT) {
        allocator->watches[caches].owner = allocator;
        allocator->watches[caches].watch.reached = note_reached;
        if (hd_stream_cache_init(&allocator->caches[caches], caches, allocator->timelines,
                                 unit->is_host) != HD_OK) {
            goto fail;
        }
        caches++;
    }
    if (hd_mutex_init(&allocator->mutex, HD_RANK_allocator) != HD_OK) {
        goto fail;
    }
    if (hd_condition_init(&allocator->changed) != HD_OK) {
        hd_mutex_destroy(&allocator->mutex);
        goto fail;
    }
    *out_allocator = allocator;
    return HD_OK;
fail:
    destroy_caches(allocator, caches);
    hd_free(allocator);
    return HD_OUT_OF_MEMORY;
}

static void free_segment(void *context, char *address, size_t size)
{
    hd_segments_give(&((hd_allocator *)context)->segments, address, size);
}

void hd_allocator_destroy(hd_allocator **allocator) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_allocator *dead = *allocator;
    *allocator = NULL;
    if (dead == NULL) {
        return;
    }
    HD_CHECK("BOUND.allocator-nobody-waits",
             hd_load_relaxed(&dead->seekers) == 0 && dead->in_transit == 0);
    hd_block_table_visit_segments(&dead->blocks, free_segment, dead);
    hd_block_table_clear(&dead->blocks);
    hd_condition_destroy(&dead->changed);
    hd_mutex_destroy(&dead->mutex);
    destroy_caches(dead, HD_STREAM_COUNT);
    hd_free(dead);
}

/* ---- Free blocks: a stream's, and everybody's. */

/* Puts a freed block that was recorded where it waits for one of its records, or into its stream's
 * cache if none is left. */
static void await_records(hd_allocator *allocator, hd_block *block)
    HD_REQUIRES(&allocator->mutex, hd_rank_allocator)
{
    if (hd_block_records_settle(block, allocator->timelines)) {
        hd_stream_cache_settle(&allocator->caches[hd_block_get_stream(block)], block);
        return;
    }
    block->due = block->record_points[0];
    hd_block_queue_insert(&allocator->recorded[block->record_streams[0]], block);
}

/* Looks which points have been reached: makes common what the device has finished with. */
static void collect(hd_allocator *allocator) HD_REQUIRES(&allocator->mutex, hd_rank_allocator)
{
    bool found = false;
    hd_block *block;
    for (uint32_t i = 0; i < HD_STREAM_COUNT; i++) {
        hd_block_queue *queue = &allocator->recorded[i];
        while ((block = queue->oldest) != NULL &&
               hd_timeline_reached(allocator->timelines[i], block->due)) {
            hd_block_queue_remove(queue, block);
            await_records(allocator, block);
            found = true;
        }
    }
    for (uint32_t i = 0; i < HD_STREAM_COUNT; i++) {
        hd_stream_cache *cache = &allocator->caches[i];
        while (hd_stream_cache_reserved(cache) > 0 &&
               (block = hd_stream_cache_pop_reached(cache)) != NULL) {
            if (cache->poisons) {
                hd_block_poison(block, allocator->timelines[i]);
            }
            allocator->common_bytes += block->size;
            hd_common_blocks_share(&allocator->common, &allocator->blocks, block);
            found = true;
        }
    }
    allocator->progress += found;
}

/* ---- Segments. */

static void add_segment(hd_allocator *allocator, void *pages, size_t size)
    HD_REQUIRES(&allocator->mutex, hd_rank_allocator)
{
    allocator->reserved_bytes += size;
    allocator->common_bytes += size;
    if (allocator->reserved_bytes > allocator->most_reserved_bytes) {
        allocator->most_reserved_bytes = allocator->reserved_bytes;
    }
    hd_common_blocks_share(&allocator->common, &allocator->blocks,
                           hd_block_table_add(&allocator->blocks, pages, size));
    end_transit(allocator);
    note_progress(allocator);
}

/* Takes all segments that are wholly free out of the allocator; returns them as a list. */
static hd_block *detach_segments(hd_allocator *allocator)
    HD_REQUIRES(&allocator->mutex, hd_rank_allocator)
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
            allocator->reserved_bytes -= block->size;
            allocator->common_bytes -= block->size;
            block->next = detached;
            detached = block;
        }
    }
    allocator->releases += detached != NULL;
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
    for (hd_block *block = detached; block != NULL; block = block->next) {
        free_segment(allocator, hd_block_address(block), block->size);
    }
    allocator_lock(allocator);
    for (hd_block *block = detached, *next; block != NULL; block = next) {
        next = block->next;
        hd_block_table_give(&allocator->blocks, block);
    }
    end_transit(allocator);
    note_progress(allocator);
    allocator_unlock(allocator);
    return true;
}

/* ---- Allocate. */

/* Gives a free block of at least `size` bytes to `stream`, wherever it is from; NULL. */
static void *take(hd_allocator *allocator, uint32_t stream, size_t size, bool is_hit)
    HD_REQUIRES(&allocator->mutex, hd_rank_allocator)
{
    hd_stream_cache *cache = &allocator->caches[stream];
    uint32_t class = hd_size_class(size);
    uint32_t highest = size <= SMALL_LIMIT ? hd_size_class(HD_SEGMENT_SIZE) : class + LARGE_WASTE;
    void *memory = hd_stream_cache_take(cache, class);
    if (memory != NULL) {
        return memory;
    }
    hd_block *block = hd_common_blocks_pop(&allocator->common, class, highest), *rest = NULL;
    if (block == NULL) {
        collect(allocator);
        block = hd_common_blocks_pop(&allocator->common, class, highest);
    }
    if (block == NULL) {
        block = hd_stream_cache_pop_fit(cache, class, highest);
        if (block == NULL) {
            return NULL;
        }
        allocator->common_bytes += block->size;
    }
    if (block->size > size && size <= SMALL_LIMIT) {
        rest = hd_block_split(&allocator->blocks, block, size);
    }
    if (rest != NULL && hd_block_is_common(block)) {
        hd_block_set(rest, HD_BLOCK_COMMON, 0);
        hd_free_lists_push(&allocator->common, rest);
    } else if (rest != NULL) {
        rest->due = block->due;
        allocator->common_bytes -= rest->size;
        hd_stream_cache_add(cache, rest);
    }
    allocator->common_bytes -= block->size;
    return hd_stream_cache_hand_out(cache, block, is_hit, rest != NULL);
}

/* Makes descriptions for more blocks, if need be after giving the cache back. */
static hd_status grow_table(hd_allocator *allocator, size_t block_count)
{
    hd_block_growth growth;
    hd_status status = hd_block_growth_make(allocator->account, block_count, &growth);
    if (status != HD_OK && release_cache(allocator)) {
        status = hd_block_growth_make(allocator->account, block_count, &growth);
    }
    if (status == HD_OK) {
        allocator_lock(allocator);
        hd_block_table_grow(&allocator->blocks, &growth);
        allocator_unlock(allocator);
        hd_block_growth_free(allocator->account, &growth);
    }
    return status;
}

/* The earliest point of each stream that free blocks wait for; 0: none. */
static bool find_points(hd_allocator *allocator, uint64_t points[HD_STREAM_COUNT])
    HD_REQUIRES(&allocator->mutex, hd_rank_allocator)
{
    bool any = false;
    for (uint32_t i = 0; i < HD_STREAM_COUNT; i++) {
        hd_stream_cache *cache = &allocator->caches[i];
        const hd_block *recorded = allocator->recorded[i].oldest;
        points[i] = 0;
        bool cached =
            hd_stream_cache_reserved(cache) > 0 && hd_stream_cache_get_point(cache, &points[i]);
        if (recorded != NULL && (!cached || recorded->due < points[i])) {
            points[i] = recorded->due;
        }
        any = any || cached || recorded != NULL;
    }
    return any;
}

/* Has this thread, and who else waits, told when one of the points is reached. A watch that
 * somebody else has set for a later point is moved: blocks that were freed since may come free
 * before it. */
static void watch_points(hd_allocator *allocator, const uint64_t points[HD_STREAM_COUNT])
{
    bool is_reached = false;
    for (uint32_t i = 0; i < HD_STREAM_COUNT; i++) {
        if (points[i] != 0 && !hd_timeline_set_watch(allocator->timelines[i],
                                                     &allocator->watches[i].watch, points[i])) {
            is_reached = true;
        }
    }
    if (is_reached) {
        allocator_lock(allocator);
        note_progress(allocator);
        allocator_unlock(allocator);
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
    allocator->waits += !*waited;
    *waited = true;
    allocator_unlock(allocator);
    if (in_flight) {
        watch_points(allocator, points);
    }
    allocator_lock(allocator);
    while (allocator->progress == progress && (in_flight || allocator->in_transit > 0)) {
        if (!hd_condition_wait_until(&allocator->changed, &allocator->mutex, deadline)) {
            break;
        }
    }
    more = allocator->progress != progress;
    allocator_unlock(allocator);
    return more;
}

static void count(hd_allocator *allocator, hd_memory_statistics *out_counts)
    HD_REQUIRES(&allocator->mutex, hd_rank_allocator)
{
    *out_counts = (hd_memory_statistics){.cached_bytes = allocator->common_bytes,
                                         .reserved_bytes = allocator->reserved_bytes,
                                         .waits = allocator->waits,
                                         .releases = allocator->releases};
    for (uint32_t i = 0; i < HD_STREAM_COUNT; i++) {
        hd_stream_cache_count(&allocator->caches[i], out_counts);
    }
    if (out_counts->peak_bytes > allocator->most_reserved_bytes) {
        out_counts->peak_bytes = allocator->most_reserved_bytes;
    }
    HD_CHECK("FLAT.statistics",
             out_counts->in_use_bytes + out_counts->cached_bytes == out_counts->reserved_bytes);
}

static hd_status fail_exhausted(hd_allocator *allocator, size_t size, bool waited, hd_error *error)
{
    if (hd_unit_memory_refusal(allocator->segments.unit) == HD_LOST) {
        return hd_fail(error, HD_LOST, "the device was lost");
    }
    uint64_t limit = allocator->account->limit;
    uint64_t largest = 0;
    hd_memory_statistics counts;
    allocator_lock(allocator);
    count(allocator, &counts);
    uint64_t pending = counts.cached_bytes - allocator->common_bytes;
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
    void *pages = hd_segments_take(&allocator->segments, size, out_size);
    if (pages == NULL && release_cache(allocator)) {
        pages = hd_segments_take(&allocator->segments, size, out_size);
    }
    return pages;
}

/* Nothing of that class is cached for the stream. */
static hd_status allocate_slowly(hd_allocator *allocator, uint32_t stream, size_t size,
                                 uint64_t deadline, void **out_memory, hd_error *error) HD_WAITS
{
    size_t rounded = hd_size_round(size), segment_size = 0;
    void *pages = NULL;
    bool missed = false, seeks = false, waited = false, last = false;
    for (;;) {
        /* Each time round looks anew: nothing that was seen under the lock before is still so. */
        allocator_lock(allocator);
        if (!hd_block_table_is_ready(&allocator->blocks)) {
            size_t block_count = allocator->blocks.block_count;
            allocator_unlock(allocator);
            if (grow_table(allocator, block_count) != HD_OK) {
                break;
            }
            continue;
        }
        if (pages != NULL) {
            add_segment(allocator, pages, segment_size);
            pages = NULL;
        }
        *out_memory = take(allocator, stream, rounded, !missed);
        if (*out_memory == NULL && !seeks) {
            /* relaxed: ordered by the streams' locks. Who frees a block on a stream after the look
             * into its cache that follows sees that this thread seeks. */
            hd_add_relaxed(&allocator->seekers, 1);
            seeks = true;
            *out_memory = take(allocator, stream, rounded, !missed);
        }
        if (*out_memory != NULL) {
            hd_sub_relaxed(&allocator->seekers, seeks);
            allocator_unlock(allocator);
            return HD_OK;
        }
        uint64_t progress = allocator->progress;
        allocator->in_transit++; /* until add_segment or wait_for_progress */
        allocator_unlock(allocator);
        pages = make_segment(allocator, rounded, &segment_size);
        missed = pages != NULL;
        if (pages == NULL) {
            bool more = wait_for_progress(allocator, progress, deadline, &waited);
            bool late = deadline == 0 || hd_clock_now() >= deadline;
            /* One more look at the deadline: who reached a point may be about to tell. And one
             * only: others who free and allocate all the time do not keep this call (BOUND). */
            if (last || (!more && !(waited && late))) {
                break;
            }
            last = late;
        }
    }
    if (pages != NULL) {
        free_segment(allocator, pages, segment_size);
        allocator_lock(allocator);
        end_transit(allocator);
        allocator_unlock(allocator);
    }
    hd_sub_relaxed(&allocator->seekers, seeks);
    return fail_exhausted(allocator, size, waited, error);
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
    *out_memory =
        hd_stream_cache_take(&allocator->caches[stream], hd_size_class(hd_size_round(size)));
    if (*out_memory != NULL) {
        return HD_OK;
    }
    return allocate_slowly(allocator, stream, size, deadline, out_memory, error);
}

/* ---- Free, record, trim, statistics. */

/* The block in use that seems to begin there: its stream's cache makes sure. The pointer may
 * outlive this look, as descriptions live as long as the table. Whoever was given the block finds
 * it, and no other thread changes what is looked at while he has it. */
static hd_block *find_in_use(hd_allocator *allocator, const void *memory,
                             hd_stream_cache **out_cache)
{
    hd_block *block = hd_block_table_find(&allocator->blocks, memory);
    if (block == NULL || hd_block_get_state(block) != HD_BLOCK_IN_USE) {
        return NULL;
    }
    *out_cache = &allocator->caches[hd_block_get_stream(block)];
    return block;
}

bool hd_allocator_free(hd_allocator *allocator, void *memory)
{
    hd_stream_cache *cache;
    hd_block *block = find_in_use(allocator, memory, &cache);
    hd_block_freed freed =
        block == NULL ? HD_BLOCK_NOT_FREED : hd_stream_cache_free(cache, block, memory);
    if (freed == HD_BLOCK_FREED_RECORDED ||
        (freed == HD_BLOCK_FREED && hd_load_relaxed(&allocator->seekers) > 0)) {
        allocator_lock(allocator);
        if (freed == HD_BLOCK_FREED_RECORDED) {
            await_records(allocator, block); /* nobody else has it: the pointer is good */
        }
        note_progress(allocator);
        allocator_unlock(allocator);
    }
    return freed != HD_BLOCK_NOT_FREED;
}

bool hd_allocator_record(hd_allocator *allocator, void *memory, uint32_t stream)
{
    HD_CHECK("SAFE.stream", stream < HD_STREAM_COUNT);
    hd_stream_cache *cache;
    hd_block *block = find_in_use(allocator, memory, &cache);
    return block != NULL && hd_stream_cache_record(cache, block, memory, stream);
}

void hd_allocator_trim(hd_allocator *allocator)
{
    (void)release_cache(allocator);
}

void hd_allocator_get_statistics(hd_allocator *allocator, hd_memory_statistics *out_statistics)
{
    allocator_lock(allocator);
    count(allocator, out_statistics);
    allocator_unlock(allocator);
}
