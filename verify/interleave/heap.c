#define _GNU_SOURCE
#include "heap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/memory.h"
#include "failure.h"
#include "history.h"
#include "race.h"
#include "scenario.h"
#include "scheduler.h"
#include "trace.h"

#define BLOCK_LIMIT   256 /* a thread's, in one execution */
#define STACKS_END    (ARENA_BASE + THREAD_LIMIT * STACK_SIZE)
#define RED_ZONE      128
#define STATICS_LIMIT ((size_t)4096)

typedef struct block {
    uintptr_t address;
    size_t size;
    uintptr_t allocated_at;
    uintptr_t freed_at; /* 0: live */
} block;

static block blocks[THREAD_LIMIT][BLOCK_LIMIT];
static uint32_t block_counts[THREAD_LIMIT];
static uintptr_t used[THREAD_LIMIT];
static uint32_t refused_from[THREAD_LIMIT]; /* see scenario_refuse_memory */
static uint32_t refused_count[THREAD_LIMIT];

bool heap_open(void)
{
    void *arena = mmap((void *)ARENA_BASE, ARENA_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    return arena == (void *)ARENA_BASE;
}

/* The static storage of the files under test (takeover.h), and what it holds at first. */
extern char __start_tested_data[], __stop_tested_data[];
extern char __start_tested_zero[], __stop_tested_zero[];
static char statics_at_first[STATICS_LIMIT];

static void restart_statics(void)
{
    static bool is_kept;
    size_t size = (size_t)(__stop_tested_data - __start_tested_data);
    if (!is_kept && size > STATICS_LIMIT) {
        failure("explorer", "%zu bytes of static storage", size);
    }
    memcpy(is_kept ? __start_tested_data : statics_at_first,
           is_kept ? statics_at_first : __start_tested_data, size);
    memset(__start_tested_zero, 0, (size_t)(__stop_tested_zero - __start_tested_zero));
    is_kept = true;
}

void heap_restart(void)
{
    restart_statics();
    memset(block_counts, 0, sizeof block_counts);
    memset(used, 0, sizeof used);
    memset(refused_from, 0, sizeof refused_from);
}

void scenario_refuse_memory(uint32_t nth, uint32_t count)
{
    refused_from[scheduler_current()] = nth;
    refused_count[scheduler_current()] = count;
}

/* Whether an allocation is one of those that fail; counts it. */
static bool is_refused(void)
{
    uint32_t thread = scheduler_current();
    if (refused_from[thread] > 1) {
        refused_from[thread]--;
        return false;
    }
    if (refused_from[thread] == 1 && refused_count[thread] > 0) {
        refused_count[thread]--;
        return true;
    }
    return false;
}

uintptr_t heap_stack(uint32_t thread)
{
    return ARENA_BASE + thread * STACK_SIZE;
}

/* The last block of a piece of heap that begins at or before an address. */
static block *block_of(uintptr_t address)
{
    uint32_t thread = (uint32_t)((address - STACKS_END) / HEAP_SIZE);
    for (uint32_t i = block_counts[thread]; i-- > 0;) {
        if (blocks[thread][i].address <= address) {
            return &blocks[thread][i];
        }
    }
    return NULL;
}

bool heap_describe(uintptr_t address, uint32_t *out_thread, uint32_t *out_block,
                   uintptr_t *out_offset)
{
    if (address < STACKS_END || address - ARENA_BASE >= ARENA_SIZE) {
        return false;
    }
    const block *at = block_of(address);
    if (at == NULL) {
        return false;
    }
    *out_thread = (uint32_t)((address - STACKS_END) / HEAP_SIZE);
    *out_block = (uint32_t)(at - blocks[*out_thread]);
    *out_offset = address - at->address;
    return true;
}

void heap_check(uint32_t thread, uintptr_t address, uint64_t size, uintptr_t place)
{
    if (address < STACKS_END) {
        uint32_t owner = (uint32_t)((address - ARENA_BASE) / STACK_SIZE);
        if (owner != thread && address < scheduler_stack_pointer(owner) - RED_ZONE) {
            failure("stack", "thread %u at %s uses a stack frame of thread %u that has ended",
                    thread, trace_place(place), owner);
        }
        return;
    }
    const block *at = block_of(address);
    if (at == NULL || address + size > at->address + at->size) {
        failure("bounds", "thread %u at %s uses memory that is not allocated: %s", thread,
                trace_place(place), trace_object(address));
    }
    if (at->freed_at != 0) {
        failure("freed", "thread %u at %s uses %s, freed at %s", thread, trace_place(place),
                trace_object(address), trace_place(at->freed_at));
    }
}

void heap_check_leaks(void)
{
    for (uint32_t thread = 0; thread < THREAD_LIMIT; thread++) {
        for (uint32_t i = 0; i < block_counts[thread]; i++) {
            const block *at = &blocks[thread][i];
            if (at->freed_at == 0) {
                failure("leak", "%zu bytes allocated at %s are never freed", at->size,
                        trace_place(at->allocated_at));
            }
        }
    }
}

static void *allocate(size_t size, int fill, uintptr_t place)
{
    uint32_t thread = scheduler_current();
    if (is_refused()) {
        return NULL;
    }
    size = size == 0 ? 1 : size;
    uintptr_t offset = hd_align_up(used[thread], HD_CACHE_LINE);
    if (size > HEAP_SIZE - offset || block_counts[thread] == BLOCK_LIMIT) {
        failure("explorer", "the explorer's heap is too small");
    }
    uintptr_t address = STACKS_END + thread * HEAP_SIZE + offset;
    used[thread] = offset + size + RED_ZONE;
    blocks[thread][block_counts[thread]++] =
        (block){.address = address, .size = size, .allocated_at = place};
    memset((void *)address, fill, size);
    race_access(thread, address, size, RACE_WRITE, place);
    return (void *)address;
}

#define PLACE ((uintptr_t)__builtin_return_address(0))

void *hd_alloc(size_t size)
{
    return allocate(size, 0xA5, PLACE);
}

void *hd_alloc_zero(size_t count, size_t size)
{
    return allocate(count * size, 0, PLACE);
}

void *hd_alloc_aligned(size_t size)
{
    return allocate(size, 0xA5, PLACE);
}

static void release(void *memory, uintptr_t place)
{
    if (memory == NULL) {
        return;
    }
    uintptr_t address = (uintptr_t)memory;
    block *at =
        address >= STACKS_END && address - ARENA_BASE < ARENA_SIZE ? block_of(address) : NULL;
    if (at == NULL || at->address != address) {
        failure("freed", "what was never allocated is freed at %s", trace_place(place));
    }
    race_free(scheduler_current(), address, at->size, place);
    at->freed_at = place;
}

void hd_free(void *memory)
{
    release(memory, PLACE);
}

void *hd_realloc(void *memory, size_t size)
{
    void *grown = allocate(size, 0xA5, PLACE);
    if (grown != NULL && memory != NULL) {
        const block *before = block_of((uintptr_t)memory);
        memcpy(grown, memory, before->size < size ? before->size : size);
        release(memory, PLACE);
    }
    return grown;
}

size_t hd_shrink(void *memory, size_t size)
{
    (void)memory, (void)size;
    return 0; /* no block is made of pages */
}

char *hd_copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = allocate(size, 0, PLACE);
    return copy == NULL ? NULL : memcpy(copy, text, size);
}

void *hd_pages_alloc(size_t size)
{
    return allocate(size, 0, PLACE);
}

void hd_pages_free(void *memory, size_t size)
{
    (void)size;
    release(memory, PLACE);
}

size_t hd_pages_size(size_t size)
{
    return size;
}

/* Nobody is charged for what is allocated here; memory.c has no synchronized state of its own. */
void hd_memory_scope_enter(hd_memory_scope *scope, hd_memory_owner *owner, uint64_t limit)
{
    *scope = (hd_memory_scope){.owner = owner, .left = limit};
}

void hd_memory_scope_leave(hd_memory_scope *scope)
{
    (void)scope;
}

bool hd_array_reserve(void **memory, size_t *capacity, size_t needed, size_t element_size)
{
    if (needed > *capacity) {
        size_t wanted = *capacity * 2 > needed ? *capacity * 2 : needed < 8 ? 8 : needed;
        void *grown = hd_realloc(*memory, wanted * element_size);
        if (grown == NULL) {
            return false;
        }
        *memory = grown;
        *capacity = wanted;
    }
    return true;
}
