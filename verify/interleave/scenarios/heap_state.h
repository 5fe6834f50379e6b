/* A heap for scenarios of the caching allocator: segments of 4096 bytes, a few timelines. Blocks are read and written
 * without a lock or atomics by whoever has them, host or device. */
#ifndef INTERLEAVE_SCENARIOS_HEAP_STATE_H
#define INTERLEAVE_SCENARIOS_HEAP_STATE_H

#include "runtime/allocator.h"
#include "runtime/slot_pool.h"

#include "../scenario.h"

#define SEGMENT   ((size_t)4096)
#define TABLES    (SEGMENT - 64) /* for descriptions; too little for a segment */
#define TIMELINES 4

typedef struct heap_state {
    hd_timeline timelines[TIMELINES];
    hd_unit unit;
    hd_memory_account account;
    hd_allocator *allocator;
    uint64_t *blocks[2];
    _Atomic uint32_t accepted;
} heap_state;

static inline void *heap_create(hd_unit *unit, hd_memory_place place, size_t size)
{
    (void)unit, (void)place;
    return hd_pages_alloc(size);
}

static inline void heap_destroy(hd_unit *unit, hd_memory_place place, void *memory, size_t size)
{
    (void)unit, (void)place;
    hd_pages_free(memory, size);
}

static const hd_memory_table heap_memory = {.create = heap_create, .destroy = heap_destroy};
static inline bool heap_is_lost(const hd_unit *unit)
{
    (void)unit;
    return false;
}

static const hd_backend heap_backend = {.lost = heap_is_lost, .memory = &heap_memory};

/* At most `segments` segments; 0: no limit. There are no descriptions yet. */
static inline heap_state *heap_make_empty(uint64_t segments)
{
    heap_state *state = hd_alloc_aligned(sizeof *state);
    hd_timeline *timelines[HD_STREAM_COUNT];
    for (uint32_t i = 0; i < HD_STREAM_COUNT; i++) {
        timelines[i] = &state->timelines[i < TIMELINES ? i : 0];
    }
    for (uint32_t i = 0; i < TIMELINES; i++) {
        scenario_require("explorer", hd_timeline_init(&state->timelines[i]) == HD_OK);
    }
    atomic_init(&state->account.total, 0);
    for (uint32_t i = 0; i < HD_MEMORY_KINDS; i++) {
        atomic_init(&state->account.kinds[i], 0);
    }
    atomic_init(&state->accepted, 0);
    state->unit = (hd_unit){.backend = &heap_backend, .is_host = true};
    state->account.limit = segments == 0 ? 0 : segments * SEGMENT + TABLES;
    scenario_require("explorer", hd_allocator_create(timelines, &state->unit, &state->account,
                                                     &state->allocator) == HD_OK);
    trace_name(state, sizeof *state, "heap");
    return state;
}

/* Everything was freed, and all work is done. */
static inline void heap_end(heap_state *state)
{
    hd_memory_statistics counts;
    scenario_event("ends");
    hd_allocator_trim(state->allocator);
    hd_allocator_get_statistics(state->allocator, &counts);
    scenario_require("FLAT.nothing-in-use", counts.in_use_bytes == 0);
    scenario_require("FLAT.all-given-back", counts.reserved_bytes == 0);
    hd_allocator_destroy(&state->allocator);
    scenario_require("FLAT.account", hd_load_relaxed(&state->account.total) == 0);
    for (uint32_t i = 0; i < TIMELINES; i++) {
        hd_timeline_destroy(&state->timelines[i]);
    }
    hd_free(state);
}

static inline hd_status allocate(heap_state *state, uint32_t stream, size_t size, uint64_t deadline,
                                 uint64_t **out_block)
{
    void *memory;
    scenario_limit(deadline);
    scenario_event("allocates %u %s", (unsigned)stream, deadline == HD_FOREVER ? "" : "limited");
    hd_status status =
        hd_allocator_allocate(state->allocator, stream, size, deadline, &memory, NULL);
    scenario_event("gets %p", memory);
    scenario_limit(HD_FOREVER);
    *out_block = memory;
    scenario_require("STATUS.allocate", (status == HD_OK) == (memory != NULL) &&
                                            (status == HD_OK || status == HD_OUT_OF_MEMORY));
    return status;
}

static inline uint64_t *must_allocate(heap_state *state, uint32_t stream, size_t size,
                                      uint64_t deadline)
{
    uint64_t *block;
    scenario_require("BOUND.allocated", allocate(state, stream, size, deadline, &block) == HD_OK);
    return block;
}

/* The other calls under test, with what verify/tla/traces needs to know of them. */
static inline void must_record(heap_state *state, uint64_t *block, uint32_t stream)
{
    scenario_event("records %p %u", (void *)block, (unsigned)stream);
    scenario_require("SAFE.recorded", hd_allocator_record(state->allocator, block, stream));
    scenario_event("recorded");
}

static inline void submit_to(heap_state *state, uint32_t stream)
{
    (void)hd_timeline_submit(&state->timelines[stream]);
    scenario_event("submitted %u", (unsigned)stream);
}

static inline void signal_on(heap_state *state, uint32_t stream, uint64_t point)
{
    scenario_event("signals %u", (unsigned)stream);
    hd_timeline_signal(&state->timelines[stream], point);
    scenario_event("signalled");
}

static inline void must_free(heap_state *state, uint64_t *block)
{
    scenario_event("frees %p", (void *)block);
    scenario_require("ONCE.freed", hd_allocator_free(state->allocator, block));
    scenario_event("freed");
}

/* The same, with the descriptions of the first allocations. */
static inline heap_state *heap_make(uint64_t segments)
{
    heap_state *state = heap_make_empty(segments);
    must_free(state, must_allocate(state, 0, SEGMENT, 0));
    hd_allocator_trim(state->allocator);
    scenario_event("heap %u", (unsigned)segments);
    return state;
}

/* The host has a block of a stream with nothing in flight. */
static inline void use(heap_state *state, uint64_t *block)
{
    block[0] = (uint64_t)(uintptr_t)block;
    scenario_require("REUSE.mine", block[0] == (uint64_t)(uintptr_t)block);
    must_free(state, block);
}

static inline void allocate_and_use(heap_state *state, uint32_t stream, size_t size,
                                    uint64_t deadline)
{
    uint64_t *block;
    if (allocate(state, stream, size, deadline, &block) == HD_OK) {
        use(state, block);
    }
}

#endif
