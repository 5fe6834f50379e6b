/* Caching allocator: who may have a freed block and when, splitting and joining, limits and waits,
 * wrong pointers. */
#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "runtime/free_lists.h"

#include "allocator_fixture.h"

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
    limit_blocks(2 * MB);
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
    limit_blocks(2 * MB);
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
    limit_blocks(2 * MB);
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
    limit_blocks(2 * MB);
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
    limit_blocks(2 * MB);
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
    limit_blocks(2 * MB);
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
    limit_blocks(64 * KB);
    char *memory = allocate(1, 60000);
    give(memory);
    assert_int_equal(try_allocate(1, 70000, 0, NULL), HD_OUT_OF_MEMORY);
    assert_int_equal(try_allocate(2, 100, 0, NULL), HD_OK);
}

static uint64_t table_bytes(void)
{
    return hd_load_relaxed(&account.kinds[HD_MEMORY_TABLES]);
}

static void descriptions_count_against_the_limit(void **state)
{
    (void)state;
    account.limit = 1000;
    assert_int_equal(try_allocate(1, 1, 0, NULL), HD_OUT_OF_MEMORY); /* none at all */
    assert_int_equal(table_bytes(), 0);
    account.limit = 2 * MB;
    assert_int_equal(try_allocate(1, 2 * MB, 0, NULL), HD_OUT_OF_MEMORY);
    assert_int_equal(table_bytes(), first_table_bytes);
    limit_blocks(2 * MB);
    assert_int_equal(try_allocate(1, 2 * MB, 0, NULL), HD_OK);
}

static void the_cache_goes_back_for_descriptions(void **state)
{
    (void)state;
    limit_blocks(6 * MB);
    give(allocate(1, 3 * MB)); /* a segment of 4 MB, too large to be cut */
    for (size_t i = 0; i < 40; i++) {
        (void)allocate(1, 100);
    }
    assert_true(table_bytes() > first_table_bytes);
    assert_int_equal(statistics().releases, 1);
    assert_int_equal(statistics().reserved_bytes, 2 * MB);
}

static void the_peak_is_bounded_by_the_streams_own_and_by_what_was_reserved(void **state)
{
    (void)state;
    give(allocate(1, MB));
    give(allocate(2, MB));
    assert_int_equal(statistics().peak_bytes, 2 * MB); /* 1 MB at a time, of each stream */
    for (uint32_t i = 0; i < 8; i++) {
        give(allocate(i, MB));
    }
    assert_int_equal(statistics().peak_bytes, statistics().reserved_bytes);
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
    limit_blocks(2 * MB);
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
    limit_blocks(4 * MB);
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
    limit_blocks(2 * MB);
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
    limit_blocks(4 * MB);
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
    limit_blocks(2 * MB);
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

static void *signal_in_a_while(void *argument)
{
    late_signal *late = argument;
    usleep(20000);
    hd_timeline_signal(late->timeline, late->point);
    return NULL;
}

/* A watch stands on a later point, left by who waited before: it moves to the earlier one. */
static void a_point_before_the_watched_one_ends_the_wait(void **state)
{
    (void)state;
    limit_blocks(6 * MB);
    char *later = allocate(1, 2 * MB), *earlier = allocate(2, 2 * MB), *held = allocate(2, 2 * MB);
    late_signal late = {.timeline = timelines[1], .point = hd_timeline_submit(timelines[1])};
    assert_true(hd_allocator_record(allocator, earlier, 1));
    (void)hd_timeline_submit(timelines[1]);
    give(later);
    assert_int_equal(try_allocate(3, 8 * MB, hd_clock_now() + MILLISECOND, NULL), HD_OUT_OF_MEMORY);
    give(earlier);
    assert_int_equal(pthread_create(&late.thread, NULL, signal_in_a_while, &late), 0);
    uint64_t begin = hd_clock_now();
    assert_int_equal(try_allocate(2, 2 * MB, begin + 4000 * MILLISECOND, NULL), HD_OK);
    assert_true(hd_clock_now() - begin < 2000 * MILLISECOND);
    pthread_join(late.thread, NULL);
    give(held);
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
        TEST(descriptions_count_against_the_limit),
        TEST(the_cache_goes_back_for_descriptions),
        TEST(the_peak_is_bounded_by_the_streams_own_and_by_what_was_reserved),
        TEST(exhaustion_waits_for_the_device),
        TEST(exhaustion_waits_for_whichever_stream_comes_first),
        TEST(exhaustion_waits_for_a_recorded_stream),
        TEST(a_free_by_another_thread_ends_the_wait),
        TEST(a_wait_ends_at_its_time_limit),
        TEST(a_point_before_the_watched_one_ends_the_wait),
        TEST(a_block_is_freed_once),
        TEST(blocks_that_were_never_freed_go_with_the_allocator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
