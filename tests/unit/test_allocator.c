/* Caching allocator: who may have a freed block and when, splitting and joining, limits and waits,
 * wrong pointers, and random calls from one thread (against a model) and from many. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/thread.h"
#include "runtime/allocator.h"
#include "runtime/free_lists.h"
#include "runtime/slot_pool.h"

#define KB          ((size_t)1 << 10)
#define MB          ((size_t)1 << 20)
#define MILLISECOND UINT64_C(1000000)

static hd_timeline *timelines[HD_STREAM_COUNT];
static hd_memory_account account;
static hd_allocator *allocator;

static int make_allocator(void **state)
{
    (void)state;
    memset(&account, 0, sizeof account);
    for (size_t i = 0; i < HD_STREAM_COUNT; i++) {
        timelines[i] = hd_alloc_aligned(sizeof *timelines[i]);
        if (timelines[i] == NULL || hd_timeline_init(timelines[i]) != HD_OK) {
            return -1;
        }
    }
    return hd_allocator_create(timelines, &account, &allocator) == HD_OK ? 0 : -1;
}

static void finish_all(void)
{
    for (size_t i = 0; i < HD_STREAM_COUNT; i++) {
        uint64_t point = hd_timeline_submitted(timelines[i]);
        if (!hd_timeline_reached(timelines[i], point)) {
            hd_timeline_signal(timelines[i], point);
        }
    }
}

static int drop_allocator(void **state)
{
    (void)state;
    finish_all();
    hd_allocator_destroy(&allocator);
    for (size_t i = 0; i < HD_STREAM_COUNT; i++) {
        hd_timeline_destroy(timelines[i]);
        hd_free(timelines[i]);
    }
    return hd_load_relaxed(&account.total) == 0 ? 0 : -1;
}

static hd_memory_statistics statistics(void)
{
    hd_memory_statistics counts;
    hd_allocator_get_statistics(allocator, &counts);
    assert_int_equal(counts.in_use_bytes + counts.cached_bytes, counts.reserved_bytes);
    assert_int_equal(counts.reserved_bytes, hd_load_relaxed(&account.kinds[HD_MEMORY_BLOCKS]));
    assert_true(counts.peak_bytes >= counts.in_use_bytes && counts.allocations >= counts.hits);
    return counts;
}

static char *allocate(uint32_t stream, size_t size)
{
    void *memory;
    hd_error error;
    assert_int_equal(hd_allocator_allocate(allocator, stream, size, 0, &memory, &error), HD_OK);
    assert_non_null(memory);
    assert_int_equal((uintptr_t)memory % 64, 0);
    return memory;
}

static void give(char *memory)
{
    assert_true(hd_allocator_free(allocator, memory));
}

static hd_status try_allocate(uint32_t stream, size_t size, uint64_t deadline, hd_error *error)
{
    void *memory = &memory;
    hd_status status = hd_allocator_allocate(allocator, stream, size, deadline, &memory, error);
    assert_true((status == HD_OK) == (memory != NULL));
    if (status == HD_OK) {
        give(memory);
    }
    return status;
}

/* --- size classes */

static void sizes_are_rounded_to_the_next_of_four_steps_a_power(void **state)
{
    (void)state;
    assert_int_equal(hd_size_round(0), 64);
    assert_int_equal(hd_size_round(1), 64);
    assert_int_equal(hd_size_round(65), 128);
    assert_int_equal(hd_size_round(513), 640);
    assert_int_equal(hd_size_round(1025), 1280);
    assert_int_equal(hd_size_round(MB + 1), MB + MB / 4);
    uint32_t class = 0;
    for (size_t size = 64; size < 4 * MB; size += 64) {
        uint32_t here = hd_size_class(size);
        assert_true(here == class || here == class + 1); /* no class is left out */
        bool first = here != class;
        class = here;
        assert_true(hd_size_round(size) >= size && hd_size_round(size) <= size + size / 4);
        assert_int_equal(hd_size_round(size) == size,
                         first); /* a class begins where rounding ends */
    }
    assert_true(hd_size_class(HD_SIZE_LIMIT << 7) < HD_SIZE_CLASS_COUNT);
}

/* --- reuse */

static void a_stream_has_its_own_block_back_at_once(void **state)
{
    (void)state;
    char *memory = allocate(1, 1000);
    memset(memory, 1, 1000);
    (void)hd_timeline_submit(timelines[1]); /* in flight */
    give(memory);
    assert_ptr_equal(allocate(1, 1000), memory);
    assert_int_equal(statistics().hits, 1);
    give(memory);
}

static void another_stream_has_it_only_after_the_signal(void **state)
{
    (void)state;
    /* A limit of one segment's bytes, so that nothing but the block can serve. */
    account.limit = 2 * MB;
    char *memory = allocate(1, 2 * MB);
    uint64_t point = hd_timeline_submit(timelines[1]);
    give(memory);
    assert_int_equal(try_allocate(2, 2 * MB, 0, NULL), HD_OUT_OF_MEMORY);
    hd_timeline_signal(timelines[1], point);
    assert_ptr_equal(allocate(2, 2 * MB), memory);
    give(memory);
}

static void what_is_submitted_after_the_free_does_not_hold_the_block(void **state)
{
    (void)state;
    account.limit = 2 * MB;
    char *memory = allocate(1, 2 * MB);
    uint64_t before = hd_timeline_submit(timelines[1]);
    give(memory);
    (void)hd_timeline_submit(timelines[1]);
    hd_timeline_signal(timelines[1], before);
    assert_int_equal(try_allocate(2, 2 * MB, 0, NULL), HD_OK);
}

static void a_recorded_block_waits_for_the_recorded_streams(void **state)
{
    (void)state;
    account.limit = 2 * MB;
    char *memory = allocate(1, 2 * MB);
    uint64_t second = hd_timeline_submit(timelines[2]), third = hd_timeline_submit(timelines[3]);
    assert_true(hd_allocator_record(allocator, memory, 1)); /* its own: nothing */
    assert_true(hd_allocator_record(allocator, memory, 2));
    assert_true(hd_allocator_record(allocator, memory, 3));
    assert_true(hd_allocator_record(allocator, memory, 4)); /* idle: nothing */
    uint64_t own = hd_timeline_submit(timelines[1]);
    give(memory);
    (void)hd_timeline_submit(timelines[2]); /* later work does not matter */
    assert_int_equal(try_allocate(1, 2 * MB, 0, NULL), HD_OUT_OF_MEMORY);
    hd_timeline_signal(timelines[2], second);
    assert_int_equal(try_allocate(1, 2 * MB, 0, NULL), HD_OUT_OF_MEMORY);
    hd_timeline_signal(timelines[3], third);
    assert_int_equal(try_allocate(2, 2 * MB, 0, NULL), HD_OUT_OF_MEMORY); /* its own is in flight */
    assert_ptr_equal(allocate(1, 2 * MB), memory);
    give(memory);
    hd_timeline_signal(timelines[1], own);
    assert_int_equal(try_allocate(2, 2 * MB, 0, NULL), HD_OK);
}

static void a_later_record_of_one_stream_replaces_the_earlier(void **state)
{
    (void)state;
    account.limit = 2 * MB;
    char *memory = allocate(1, 2 * MB);
    uint64_t first = hd_timeline_submit(timelines[2]);
    assert_true(hd_allocator_record(allocator, memory, 2));
    uint64_t second = hd_timeline_submit(timelines[2]);
    assert_true(hd_allocator_record(allocator, memory, 2));
    give(memory);
    hd_timeline_signal(timelines[2], first);
    assert_int_equal(try_allocate(1, 2 * MB, 0, NULL), HD_OUT_OF_MEMORY);
    hd_timeline_signal(timelines[2], second);
    assert_int_equal(try_allocate(1, 2 * MB, 0, NULL), HD_OK);
}

static void a_block_may_be_recorded_on_all_streams(void **state)
{
    (void)state;
    account.limit = 2 * MB;
    char *memory = allocate(0, 2 * MB);
    uint64_t points[HD_STREAM_COUNT];
    for (uint32_t i = 1; i < HD_STREAM_COUNT; i++) {
        points[i] = hd_timeline_submit(timelines[i]);
        assert_true(hd_allocator_record(allocator, memory, i));
        assert_true(hd_allocator_record(allocator, memory, i)); /* again: one entry a stream */
    }
    give(memory);
    for (uint32_t i = HD_STREAM_COUNT - 1; i > 0; i--) {
        assert_int_equal(try_allocate(0, 2 * MB, 0, NULL), HD_OUT_OF_MEMORY);
        hd_timeline_signal(timelines[i], points[i]);
    }
    assert_int_equal(try_allocate(0, 2 * MB, 0, NULL), HD_OK);
    give(allocate(0, 2 * MB)); /* its records are forgotten */
}

static void a_finished_block_is_poisoned_in_checked_builds(void **state)
{
    (void)state;
#if defined(HD_DEBUG_CHECKS)
    char *memory = allocate(1, 256);
    memset(memory, 1, 256);
    uint64_t point = hd_timeline_submit(timelines[1]);
    give(memory);
    assert_int_equal(memory[255], 1); /* the device may still read it */
    hd_timeline_signal(timelines[1], point);
    (void)try_allocate(2, MB, 0, NULL); /* whoever looks for a block finds it done */
    (void)try_allocate(2, 2 * MB, 0, NULL);
    assert_int_equal((unsigned char)memory[0], 0xDD);
    assert_int_equal((unsigned char)memory[255], 0xDD);
#else
    skip();
#endif
}

/* --- splitting and joining */

static void blocks_are_cut_from_a_segment_and_joined_again(void **state)
{
    (void)state;
    char *memory[4];
    for (size_t i = 0; i < 4; i++) {
        memory[i] = allocate(1, 512 * KB);
        assert_ptr_equal(memory[i], memory[0] + i * 512 * KB);
    }
    hd_memory_statistics counts = statistics();
    assert_int_equal(counts.reserved_bytes, 2 * MB);
    assert_int_equal(counts.in_use_bytes, 2 * MB);
    assert_int_equal(counts.splits, 3); /* the fourth took what was left */
    assert_int_equal(counts.hits, 3);
    static const size_t order[] = {1, 3, 2, 0};
    for (size_t i = 0; i < 4; i++) {
        give(memory[order[i]]);
    }
    assert_int_equal(statistics().cached_bytes, 2 * MB);
    assert_ptr_equal(allocate(2, 2 * MB), memory[0]); /* whole again */
    assert_int_equal(statistics().reserved_bytes, 2 * MB);
    give(memory[0]);
    hd_allocator_trim(allocator);
    counts = statistics();
    assert_int_equal(counts.reserved_bytes, 0);
    assert_int_equal(counts.releases, 1);
    hd_allocator_trim(allocator); /* nothing there */
    assert_int_equal(statistics().releases, 1);
}

static void a_stream_cuts_its_own_larger_block_while_the_point_is_in_flight(void **state)
{
    (void)state;
    account.limit = 2 * MB;
    char *memory = allocate(1, 2 * MB);
    uint64_t point = hd_timeline_submit(timelines[1]);
    give(memory);
    char *part = allocate(1, 256);
    assert_ptr_equal(part, memory);
    assert_int_equal(try_allocate(2, 256, 0, NULL),
                     HD_OUT_OF_MEMORY); /* nor is the rest another's */
    hd_timeline_signal(timelines[1], point);
    assert_int_equal(try_allocate(2, 256, 0, NULL), HD_OK);
    give(part);
    assert_int_equal(try_allocate(2, 2 * MB, 0, NULL), HD_OK);
}

static void a_segment_in_use_in_part_is_not_trimmed(void **state)
{
    (void)state;
    char *kept = allocate(1, 100), *freed = allocate(1, 100);
    memset(kept, 7, 100);
    give(freed);
    hd_allocator_trim(allocator);
    assert_int_equal(statistics().reserved_bytes, 2 * MB);
    assert_int_equal(kept[99], 7);
    give(kept);
    hd_allocator_trim(allocator);
    assert_int_equal(statistics().reserved_bytes, 0);
}

static void large_blocks_are_reused_only_for_similar_sizes(void **state)
{
    (void)state;
    char *large = allocate(1, 40 * MB);
    give(large);
    give(allocate(2, 3 * MB)); /* 40 MB are not wasted on it */
    assert_int_equal(statistics().reserved_bytes, 44 * MB);
    assert_ptr_equal(allocate(2, 36 * MB), large);
    give(large);
    assert_int_equal(statistics().splits, 0);
}

/* --- limits and waits */

static void the_limit_holds_and_the_message_tells_the_heap(void **state)
{
    (void)state;
    hd_error error = {0};
    account.limit = 10 * MB;
    char *memory = allocate(1, 8 * MB);
    assert_int_equal(try_allocate(1, 4 * MB, 0, &error), HD_OUT_OF_MEMORY);
    assert_int_equal(error.status, HD_OUT_OF_MEMORY);
    assert_non_null(strstr(error.message, "no block of 4194304 bytes"));
    assert_non_null(strstr(error.message, "8388608 bytes are in use"));
    assert_non_null(strstr(error.message, "of 10485760 bytes"));
    assert_int_equal(try_allocate(1, SIZE_MAX, 0, &error), HD_OUT_OF_MEMORY);
    assert_int_equal(try_allocate(1, HD_SIZE_LIMIT, 0, &error), HD_OUT_OF_MEMORY);
    give(memory);
    assert_int_equal(try_allocate(1, 4 * MB, 0, &error), HD_OK); /* the cache went back for it */
    assert_int_equal(statistics().releases, 1);
    assert_int_equal(statistics().peak_bytes, 8 * MB);
}

static void a_limit_below_a_segment_serves_small_blocks_all_the_same(void **state)
{
    (void)state;
    account.limit = 64 * KB;
    char *memory = allocate(1, 60000);
    give(memory);
    assert_int_equal(try_allocate(1, 70000, 0, NULL), HD_OUT_OF_MEMORY);
    assert_int_equal(try_allocate(2, 100, 0, NULL), HD_OK);
}

typedef struct late_signal {
    pthread_t thread;
    hd_timeline *timeline;
    uint64_t point;
    char *to_free;
    uint32_t waiters; /* watches or threads that are waited for first */
} late_signal;

static void *signal_late(void *argument)
{
    late_signal *late = argument;
    while (late->waiters != 0 && hd_load_seq_cst(&late->timeline->waiting) < late->waiters) {
        usleep(200);
    }
    usleep(2000);
    if (late->to_free != NULL) {
        assert_true(hd_allocator_free(allocator, late->to_free));
    } else {
        hd_timeline_signal(late->timeline, late->point);
    }
    return NULL;
}

static void exhaustion_waits_for_the_device(void **state)
{
    (void)state;
    account.limit = 2 * MB;
    char *memory = allocate(1, 2 * MB);
    late_signal late = {
        .timeline = timelines[1], .point = hd_timeline_submit(timelines[1]), .waiters = 1};
    give(memory);
    assert_int_equal(pthread_create(&late.thread, NULL, signal_late, &late), 0);
    assert_int_equal(try_allocate(2, 2 * MB, HD_FOREVER, NULL), HD_OK);
    pthread_join(late.thread, NULL);
    assert_int_equal(statistics().waits, 1);
}

static void exhaustion_waits_for_whichever_stream_comes_first(void **state)
{
    (void)state;
    account.limit = 4 * MB;
    char *stuck = allocate(1, 2 * MB), *quick = allocate(2, 2 * MB);
    (void)hd_timeline_submit(timelines[1]);
    late_signal late = {
        .timeline = timelines[2], .point = hd_timeline_submit(timelines[2]), .waiters = 1};
    give(stuck);
    give(quick);
    assert_int_equal(pthread_create(&late.thread, NULL, signal_late, &late), 0);
    assert_int_equal(try_allocate(3, 2 * MB, HD_FOREVER, NULL), HD_OK);
    pthread_join(late.thread, NULL);
}

static void exhaustion_waits_for_a_recorded_stream(void **state)
{
    (void)state;
    account.limit = 2 * MB;
    char *memory = allocate(1, 2 * MB);
    late_signal late = {
        .timeline = timelines[2], .point = hd_timeline_submit(timelines[2]), .waiters = 1};
    assert_true(hd_allocator_record(allocator, memory, 2));
    give(memory);
    assert_int_equal(pthread_create(&late.thread, NULL, signal_late, &late), 0);
    assert_int_equal(try_allocate(1, 2 * MB, HD_FOREVER, NULL), HD_OK);
    pthread_join(late.thread, NULL);
}

static void a_free_by_another_thread_ends_the_wait(void **state)
{
    (void)state;
    account.limit = 4 * MB;
    char *in_flight = allocate(1, 2 * MB), *held = allocate(3, 2 * MB);
    (void)hd_timeline_submit(timelines[1]);
    late_signal late = {.timeline = timelines[1], .to_free = held, .waiters = 1};
    give(in_flight);
    assert_int_equal(pthread_create(&late.thread, NULL, signal_late, &late), 0);
    assert_int_equal(try_allocate(2, 2 * MB, HD_FOREVER, NULL), HD_OK);
    pthread_join(late.thread, NULL);
}

static void a_wait_ends_at_its_time_limit(void **state)
{
    (void)state;
    hd_error error = {0};
    account.limit = 2 * MB;
    char *memory = allocate(1, 2 * MB);
    uint64_t begin = hd_clock_now();
    assert_int_equal(try_allocate(2, MB, HD_FOREVER, &error),
                     HD_OUT_OF_MEMORY); /* nothing to wait for */
    (void)hd_timeline_submit(timelines[1]);
    give(memory);
    begin = hd_clock_now();
    assert_int_equal(try_allocate(2, MB, begin + 20 * MILLISECOND, &error), HD_OUT_OF_MEMORY);
    assert_true(hd_clock_now() - begin >= 20 * MILLISECOND);
    assert_non_null(strstr(error.message, "(2097152 wait for the device"));
    assert_int_equal(statistics().waits, 1);
    finish_all(); /* the watch that was left behind does no harm */
    assert_int_equal(try_allocate(2, MB, 0, NULL), HD_OK);
}

/* --- wrong pointers */

static void a_block_is_freed_once(void **state)
{
    (void)state;
    char *memory = allocate(1, 100), *neighbour = allocate(1, 100);
    int foreign;
    assert_false(hd_allocator_free(allocator, &foreign));
    assert_false(hd_allocator_free(allocator, NULL));
    assert_false(hd_allocator_free(allocator, memory + 64));
    assert_false(hd_allocator_record(allocator, &foreign, 2));
    give(memory);
    hd_memory_statistics before = statistics();
    assert_false(hd_allocator_free(allocator, memory)); /* cached for its stream */
    assert_false(hd_allocator_record(allocator, memory, 2));
    (void)try_allocate(2, 2 * MB, 0, NULL);
    assert_false(hd_allocator_free(allocator, memory)); /* common */
    give(neighbour);
    (void)try_allocate(2, 4 * MB, 0, NULL);
    assert_false(hd_allocator_free(allocator, neighbour)); /* joined to another */
    assert_false(hd_allocator_record(allocator, neighbour, 2));
    hd_allocator_trim(allocator);
    assert_false(hd_allocator_free(allocator, memory)); /* given back */
    assert_int_equal(statistics().in_use_bytes,
                     before.in_use_bytes - 128); /* only the neighbour's */
}

static void blocks_that_were_never_freed_go_with_the_allocator(void **state)
{
    (void)state;
    for (size_t i = 0; i < 100; i++) {
        (void)allocate((uint32_t)i % 4, 1000 * i);
    }
    (void)allocate(1, 5 * MB); /* drop_allocator finds the account empty all the same */
}

/* --- random calls against a model */

#define LIVE_LIMIT  300
#define FREED_LIMIT 20000

typedef struct model_block {
    char *address;
    size_t size;
    uint32_t stream;
    uint64_t point;
    uint64_t records[HD_STREAM_COUNT]; /* 0: none */
    unsigned char mark;
} model_block;

typedef struct model {
    model_block live[LIVE_LIMIT];
    size_t live_count;
    model_block *freed; /* not known to be done with */
    size_t freed_count;
    uint64_t seed;
} model;

static uint32_t draw(model *self, uint32_t below)
{
    self->seed = self->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((self->seed >> 33) % below);
}

static bool overlaps(const model_block *a, const char *address, size_t size)
{
    return a->address < address + size && address < a->address + a->size;
}

/* Whether `stream` may use memory that was freed as this block. */
static bool may_use(const model_block *freed, uint32_t stream)
{
    for (uint32_t i = 0; i < HD_STREAM_COUNT; i++) {
        if (freed->records[i] != 0 && !hd_timeline_reached(timelines[i], freed->records[i])) {
            return false;
        }
    }
    return freed->stream == stream || hd_timeline_reached(timelines[freed->stream], freed->point);
}

static void model_allocate(model *self)
{
    uint32_t stream = draw(self, 6);
    size_t size = draw(self, 8) == 0 ? draw(self, 3 * MB) : draw(self, 20000);
    void *memory;
    if (hd_allocator_allocate(allocator, stream, size, 0, &memory, NULL) != HD_OK) {
        return; /* the limit */
    }
    size = size == 0 ? 1 : size;
    for (size_t i = 0; i < self->live_count; i++) {
        assert_false(overlaps(&self->live[i], memory, size));
    }
    for (size_t i = self->freed_count; i-- > 0;) {
        if (overlaps(&self->freed[i], memory, size)) {
            assert_true(may_use(&self->freed[i], stream));
        }
    }
    model_block *block = &self->live[self->live_count++];
    *block = (model_block){
        .address = memory, .size = size, .stream = stream, .mark = (unsigned char)draw(self, 256)};
    memset(memory, block->mark, size);
}

static void model_free(model *self)
{
    if (self->live_count == 0) {
        return;
    }
    model_block *block = &self->live[draw(self, (uint32_t)self->live_count)];
    assert_int_equal((unsigned char)block->address[0], block->mark);
    assert_int_equal((unsigned char)block->address[block->size - 1], block->mark);
    block->point = hd_timeline_submitted(timelines[block->stream]);
    give(block->address);
    assert_false(hd_allocator_free(allocator, block->address));
    if (self->freed_count == FREED_LIMIT) {
        self->freed_count = 0;
        finish_all();
    }
    self->freed[self->freed_count++] = *block;
    *block = self->live[--self->live_count];
}

static void model_record(model *self)
{
    if (self->live_count == 0) {
        return;
    }
    model_block *block = &self->live[draw(self, (uint32_t)self->live_count)];
    uint32_t stream = draw(self, 12);
    assert_true(hd_allocator_record(allocator, block->address, stream));
    if (stream != block->stream) {
        block->records[stream] = hd_timeline_submitted(timelines[stream]);
    }
}

static void model_signal(model *self)
{
    uint32_t stream = draw(self, 12);
    uint64_t submitted = hd_timeline_submitted(timelines[stream]);
    uint64_t completed = hd_load_seq_cst(&timelines[stream]->completed);
    if (completed < submitted) {
        hd_timeline_signal(timelines[stream],
                           completed + 1 + draw(self, (uint32_t)(submitted - completed)));
    }
}

static void model_check(const model *self)
{
    size_t least = 0;
    for (size_t i = 0; i < self->live_count; i++) {
        least += self->live[i].size;
    }
    hd_memory_statistics counts = statistics();
    assert_true(counts.in_use_bytes >= least);
    assert_true(account.limit == 0 || counts.reserved_bytes <= account.limit);
}

static void run_model(uint64_t seed, size_t limit)
{
    static model self;
    self = (model){.seed = seed, .freed = malloc(FREED_LIMIT * sizeof(model_block))};
    assert_non_null(self.freed);
    account.limit = limit;
    for (size_t round = 0; round < 20000; round++) {
        uint32_t what = draw(&self, 100);
        if (what < 38 && self.live_count < LIVE_LIMIT) {
            model_allocate(&self);
        } else if (what < 70) {
            model_free(&self);
        } else if (what < 78) {
            model_record(&self);
        } else if (what < 88) {
            (void)hd_timeline_submit(timelines[draw(&self, 12)]);
        } else if (what < 99) {
            model_signal(&self);
        } else {
            hd_allocator_trim(allocator);
        }
        model_check(&self);
    }
    while (self.live_count > 0) {
        model_free(&self);
    }
    finish_all();
    hd_allocator_trim(allocator);
    assert_int_equal(statistics().reserved_bytes, 0); /* everything was joined again */
    free(self.freed);
}

static void random_calls_agree_with_a_model(void **state)
{
    (void)state;
    run_model(1, 0);
    run_model(2, 24 * MB);
    run_model(3, 6 * MB);
}

/* --- many threads */

#define THREADS    8
#define ROUNDS     4000
#define EACH_LIMIT 24

static _Atomic bool workers_stop;

/* The device: finishes what was submitted. */
static void *run_device(void *argument)
{
    (void)argument;
    while (!hd_load_seq_cst(&workers_stop)) {
        for (uint32_t i = 0; i < 4; i++) {
            uint64_t submitted = hd_timeline_submitted(timelines[i]);
            if (!hd_timeline_reached(timelines[i], submitted)) {
                hd_timeline_signal(timelines[i], submitted);
            }
        }
        hd_thread_yield();
    }
    finish_all();
    return NULL;
}

typedef struct user {
    pthread_t thread;
    uint64_t seed;
    uint32_t refused;
    bool broken;
} user;

static uint32_t user_draw(user *self, uint32_t below)
{
    self->seed = self->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((self->seed >> 33) % below);
}

static void *use_blocks(void *argument)
{
    user *self = argument;
    unsigned char *blocks[EACH_LIMIT] = {NULL};
    size_t sizes[EACH_LIMIT] = {0};
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t place = user_draw(self, EACH_LIMIT), stream = user_draw(self, 4);
        unsigned char mark = (unsigned char)(place + 1);
        if (blocks[place] == NULL) {
            void *memory;
            sizes[place] = 1 + user_draw(self, user_draw(self, 20) == 0 ? 2 * MB : 8192);
            if (hd_allocator_allocate(allocator, stream, sizes[place],
                                      hd_clock_now() + 20 * MILLISECOND, &memory, NULL) != HD_OK) {
                self->refused++;
                continue;
            }
            blocks[place] = memory;
            memory = blocks[place];
            blocks[place][0] = mark;
            blocks[place][sizes[place] - 1] = mark;
            (void)hd_timeline_submit(timelines[stream]);
            continue;
        }
        if (blocks[place][0] != mark || blocks[place][sizes[place] - 1] != mark) {
            self->broken = true;
        }
        if (round % 5 == 0 && !hd_allocator_record(allocator, blocks[place], stream)) {
            self->broken = true;
        }
        if (!hd_allocator_free(allocator, blocks[place])) {
            self->broken = true;
        }
        blocks[place] = NULL;
        if (round % 500 == 0) {
            hd_allocator_trim(allocator);
        }
    }
    for (uint32_t place = 0; place < EACH_LIMIT; place++) {
        if (blocks[place] != NULL && !hd_allocator_free(allocator, blocks[place])) {
            self->broken = true;
        }
    }
    return NULL;
}

static void many_threads_share_the_allocator_under_a_limit(void **state)
{
    (void)state;
    static user users[THREADS];
    pthread_t device;
    account.limit = 16 * MB;
    hd_store_seq_cst(&workers_stop, false);
    assert_int_equal(pthread_create(&device, NULL, run_device, NULL), 0);
    for (size_t i = 0; i < THREADS; i++) {
        users[i] = (user){.seed = i + 1};
        assert_int_equal(pthread_create(&users[i].thread, NULL, use_blocks, &users[i]), 0);
    }
    uint32_t refused = 0;
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(users[i].thread, NULL);
        assert_false(users[i].broken);
        refused += users[i].refused;
    }
    hd_store_seq_cst(&workers_stop, true);
    pthread_join(device, NULL);
    assert_true(refused < THREADS * ROUNDS / 4);
    hd_memory_statistics counts = statistics();
    assert_int_equal(counts.in_use_bytes, 0);
    assert_true(counts.hits > counts.allocations / 2);
    hd_allocator_trim(allocator);
    assert_int_equal(statistics().reserved_bytes, 0);
}

/* A thread's block is freed by another while it is looked for again: addresses come back,
 * descriptions are reused, and each free is accepted once. */
static _Atomic(void *) passed;
static _Atomic uint32_t accepted;

static void *free_what_is_passed(void *argument)
{
    (void)argument;
    while (!hd_load_seq_cst(&workers_stop)) {
        void *memory = hd_load_seq_cst(&passed);
        if (memory != NULL && hd_allocator_free(allocator, memory)) {
            hd_add_seq_cst(&accepted, 1);
        }
    }
    return NULL;
}

static void one_address_is_freed_once_an_allocation_by_however_many(void **state)
{
    (void)state;
    pthread_t threads[3];
    hd_store_seq_cst(&workers_stop, false);
    hd_store_seq_cst(&accepted, 0);
    hd_store_seq_cst(&passed, NULL);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, free_what_is_passed, NULL), 0);
    }
    enum { PASSES = 2000 };
    for (uint32_t i = 0; i < PASSES; i++) {
        hd_store_seq_cst(&passed, allocate(1, 100));
        while (hd_load_seq_cst(&accepted) == i) {
            hd_thread_yield();
        }
        if (i % 64 == 0) {
            hd_allocator_trim(allocator);
        }
    }
    hd_store_seq_cst(&workers_stop, true);
    for (size_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(hd_load_seq_cst(&accepted), PASSES);
    assert_int_equal(statistics().in_use_bytes, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_allocator, drop_allocator)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sizes_are_rounded_to_the_next_of_four_steps_a_power),
        TEST(a_stream_has_its_own_block_back_at_once),
        TEST(another_stream_has_it_only_after_the_signal),
        TEST(what_is_submitted_after_the_free_does_not_hold_the_block),
        TEST(a_recorded_block_waits_for_the_recorded_streams),
        TEST(a_later_record_of_one_stream_replaces_the_earlier),
        TEST(a_block_may_be_recorded_on_all_streams),
        TEST(a_finished_block_is_poisoned_in_checked_builds),
        TEST(blocks_are_cut_from_a_segment_and_joined_again),
        TEST(a_stream_cuts_its_own_larger_block_while_the_point_is_in_flight),
        TEST(a_segment_in_use_in_part_is_not_trimmed),
        TEST(large_blocks_are_reused_only_for_similar_sizes),
        TEST(the_limit_holds_and_the_message_tells_the_heap),
        TEST(a_limit_below_a_segment_serves_small_blocks_all_the_same),
        TEST(exhaustion_waits_for_the_device),
        TEST(exhaustion_waits_for_whichever_stream_comes_first),
        TEST(exhaustion_waits_for_a_recorded_stream),
        TEST(a_free_by_another_thread_ends_the_wait),
        TEST(a_wait_ends_at_its_time_limit),
        TEST(a_block_is_freed_once),
        TEST(blocks_that_were_never_freed_go_with_the_allocator),
        TEST(random_calls_agree_with_a_model),
        TEST(many_threads_share_the_allocator_under_a_limit),
        TEST(one_address_is_freed_once_an_allocation_by_however_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
