/* The allocator of a test, with timelines and an account of its own. */
#ifndef ALLOCATOR_FIXTURE_H
#define ALLOCATOR_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/allocator.h"
#include "runtime/slot_pool.h"

#define KB          ((size_t)1 << 10)
#define MB          ((size_t)1 << 20)
#define MILLISECOND UINT64_C(1000000)

static hd_timeline *timelines[HD_STREAM_COUNT];
static hd_unit host_unit; /* whose memory the blocks are */
static hd_memory_account account;
static hd_allocator *allocator;
static uint64_t first_table_bytes; /* what the first allocation takes to describe blocks */

static inline int make_allocator(void **state)
{
    (void)state;
    memset(&account, 0, sizeof account);
    host_unit = (hd_unit){.backend = hd_backend_host(), .is_host = true};
    for (size_t i = 0; i < HD_STREAM_COUNT; i++) {
        timelines[i] = hd_alloc_aligned(sizeof *timelines[i]);
        if (timelines[i] == NULL || hd_timeline_init(timelines[i]) != HD_OK) {
            return -1;
        }
    }
    void *memory;
    if (hd_allocator_create(timelines, &host_unit, &account, &allocator) != HD_OK ||
        hd_allocator_allocate(allocator, 0, 1, 0, &memory, NULL) != HD_OK) {
        return -1;
    }
    first_table_bytes = hd_load_relaxed(&account.kinds[HD_MEMORY_TABLES]);
    hd_allocator_destroy(&allocator);
    return hd_allocator_create(timelines, &host_unit, &account, &allocator) == HD_OK ? 0 : -1;
}

/* Before the first allocation: at most this many bytes of blocks. */
static inline void limit_blocks(size_t bytes)
{
    account.limit = first_table_bytes + bytes;
}

static inline void finish_all(void)
{
    for (size_t i = 0; i < HD_STREAM_COUNT; i++) {
        uint64_t point = hd_timeline_submitted(timelines[i]);
        if (!hd_timeline_reached(timelines[i], point)) {
            hd_timeline_signal(timelines[i], point);
        }
    }
}

static inline int drop_allocator(void **state)
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

static inline hd_memory_statistics statistics(void)
{
    hd_memory_statistics counts;
    hd_allocator_get_statistics(allocator, &counts);
    assert_int_equal(counts.in_use_bytes + counts.cached_bytes, counts.reserved_bytes);
    assert_int_equal(counts.reserved_bytes, hd_load_relaxed(&account.kinds[HD_MEMORY_BLOCKS]));
    assert_true(counts.peak_bytes >= counts.in_use_bytes && counts.allocations >= counts.hits);
    return counts;
}

static inline char *allocate(uint32_t stream, size_t size)
{
    void *memory;
    hd_error error;
    assert_int_equal(hd_allocator_allocate(allocator, stream, size, 0, &memory, &error), HD_OK);
    assert_non_null(memory);
    assert_int_equal((uintptr_t)memory % 64, 0);
    return memory;
}

static inline void give(char *memory)
{
    assert_true(hd_allocator_free(allocator, memory));
}

static inline hd_status try_allocate(uint32_t stream, size_t size, uint64_t deadline,
                                     hd_error *error)
{
    void *memory = &memory;
    hd_status status = hd_allocator_allocate(allocator, stream, size, deadline, &memory, error);
    assert_true((status == HD_OK) == (memory != NULL));
    if (status == HD_OK) {
        give(memory);
    }
    return status;
}

#endif
