#define _GNU_SOURCE
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fault.h"

#define HUGE_PAGE ((size_t)2 << 20)

#if HD_CHECKS_ADDRESSES
#include <sanitizer/asan_interface.h>

void hd_memory_forbid(const void *memory, size_t size)
{
    __asan_poison_memory_region(memory, size);
}

void hd_memory_allow(const void *memory, size_t size)
{
    __asan_unpoison_memory_region(memory, size);
}
#endif

/* Before each block stands who was charged for it, and its size. */
typedef struct block_header {
    hd_memory_owner *owner;
    size_t word; /* bytes charged, times 4, and the block's kind */
} block_header;

typedef enum block_kind { BLOCK_PLAIN, BLOCK_ALIGNED, BLOCK_MAPPED } block_kind;

/* Charged blocks from this size on are mappings of their own, so that freed ones are the system's at once: the
 * heap would keep them, and the process be larger than what is counted (FLAT). */
#define MAPPED_SIZE ((size_t)128 << 10)
/* What the heap takes for a small block beyond its size. */
#define HEAP_OVERHEAD ((size_t)16)

static _Thread_local hd_memory_scope *current;

void hd_memory_scope_enter(hd_memory_scope *scope, hd_memory_owner *owner, uint64_t limit)
{
    *scope = (hd_memory_scope){.owner = owner, .left = limit, .outer = current};
    current = scope;
}

void hd_memory_scope_leave(hd_memory_scope *scope)
{
    current = scope->outer;
}

void hd_memory_scope_allow(uint64_t bytes)
{
    if (current != NULL && __builtin_add_overflow(current->left, bytes, &current->left)) {
        current->left = UINT64_MAX;
    }
}

/* Charges the innermost scope, if there is one. */
bool hd_memory_charge(size_t size, hd_memory_owner **out_owner)
{
    hd_memory_scope *scope = current;
    *out_owner = NULL;
    if (scope == NULL || scope->owner == NULL) {
        return true;
    }
    if (size > scope->left) {
        scope->is_refused = true;
        return false;
    }
    if (!scope->owner->take(scope->owner, size)) {
        return false;
    }
    scope->left -= size;
    *out_owner = scope->owner;
    return true;
}

void hd_memory_discharge(size_t size, hd_memory_owner *owner)
{
    if (owner == NULL) {
        return;
    }
    owner->give(owner, size);
    if (current != NULL && current->owner == owner) {
        hd_memory_scope_allow(size);
    }
}

/* Blocks from this size on, which the heap gives back to the system at once, lie on huge pages where it has them: a
 * stopped run that frees hundreds of megabytes takes a millisecond for that, not thirty, and touching them is faster,
 * too. */
#define HUGE_SIZE ((size_t)32 << 20)

static void advise(char *base, size_t size)
{
    if (size >= HUGE_SIZE) {
        size_t before = hd_align_up((size_t)base, 4096) - (size_t)base;
        madvise(base + before, size - before, MADV_HUGEPAGE); /* advice: works without */
    }
}

/* From 2 MB on a mapping lies at a border of 2 MB, on pages of that size where the system has them; a smaller one has its
 * pages at once. A plan of many steps touches its memory once, and a page that is asked for by a fault costs more than what is
 * written there. */
static void advise_mapped(char *base, size_t size)
{
    if (size >= HUGE_PAGE) {
        madvise(base, size & ~(HUGE_PAGE - 1), MADV_HUGEPAGE); /* advice: works without */
    }
}

static void *map_at_border(size_t size, int more_flags)
{
    size_t spare = size >= HUGE_PAGE ? HUGE_PAGE - 4096 : 0;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | more_flags;
    char *base = mmap(NULL, size + spare, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (base == MAP_FAILED) {
        return NULL;
    }
    if (spare > 0) {
        size_t before = hd_align_up((size_t)base, HUGE_PAGE) - (size_t)base;
        if (before > 0) {
            munmap(base, before);
        }
        base += before;
        if (spare > before) {
            munmap(base + size, spare - before);
        }
    }
    return base;
}

static void *map(size_t size)
{
    char *base = map_at_border(size, size < HUGE_PAGE ? MAP_POPULATE : 0);
    if (base != NULL) {
        advise_mapped(base, size);
    }
    return base;
}

static block_header *header_of(void *memory)
{
    return (block_header *)memory - 1;
}

/* The bytes of a block's mapping. */
static size_t mapped_size(size_t size)
{
    return hd_align_up(size + HD_CACHE_LINE, 4096);
}

static void *allocate_at_line(size_t size)
{
    if (HD_MEMORY_GAP > 0) { /* no byte more, so that none is touched unseen */
        void *memory;
        return posix_memalign(&memory, HD_CACHE_LINE, size) == 0 ? memory : NULL;
    }
    return aligned_alloc(HD_CACHE_LINE, hd_align_up(size, HD_CACHE_LINE));
}

static void *allocate(size_t size, bool is_aligned, bool is_zero)
{
    size_t before = is_aligned ? HD_CACHE_LINE : sizeof(block_header);
    if (size > PTRDIFF_MAX) {
        return NULL;
    }
    block_kind kind = is_aligned ? BLOCK_ALIGNED : BLOCK_PLAIN;
    hd_memory_scope *scope = current;
    size_t charged = size + before + HEAP_OVERHEAD;
    if (scope != NULL && scope->owner != NULL && size >= MAPPED_SIZE && HD_MEMORY_GAP == 0) {
        kind = BLOCK_MAPPED;
        before = HD_CACHE_LINE;
        charged = mapped_size(size);
    }
    hd_memory_owner *owner;
    if (!hd_memory_charge(charged, &owner)) {
        return NULL;
    }
    char *base = kind == BLOCK_MAPPED    ? map(charged)
                 : kind == BLOCK_ALIGNED ? allocate_at_line(size + before)
                 : is_zero               ? calloc(1, size + before)
                                         : malloc(size + before);
    if (base == NULL) {
        hd_memory_discharge(charged, owner);
        return NULL;
    }
    advise(base, size + before);
    *header_of(base + before) = (block_header){.owner = owner, .word = charged << 2 | (size_t)kind};
    return base + before;
}

void *hd_alloc(size_t size)
{
    return hd_fault_hits("alloc") ? NULL : allocate(size == 0 ? 1 : size, false, false);
}

void *hd_alloc_zero(size_t count, size_t size)
{
    size_t bytes;
    if (hd_fault_hits("alloc") || !hd_multiply_size(count, size, &bytes)) {
        return NULL;
    }
    return allocate(bytes == 0 ? 1 : bytes, false, true);
}

void hd_free(void *memory)
{
    if (memory == NULL) {
        return;
    }
    block_header header = *header_of(memory);
    size_t charged = header.word >> 2;
    switch ((block_kind)(header.word & 3)) {
    case BLOCK_PLAIN:
        free(header_of(memory));
        break;
    case BLOCK_ALIGNED:
        free((char *)memory - HD_CACHE_LINE);
        break;
    case BLOCK_MAPPED:
        munmap((char *)memory - HD_CACHE_LINE, charged);
        break;
    }
    hd_memory_discharge(charged, header.owner);
}

size_t hd_shrink(void *memory, size_t size)
{
    block_header *header = header_of(memory);
    size_t charged = header->word >> 2, kept = mapped_size(size);
    if ((block_kind)(header->word & 3) != BLOCK_MAPPED || kept >= charged) {
        return 0;
    }
    munmap((char *)memory - HD_CACHE_LINE + kept, charged - kept);
    header->word = kept << 2 | BLOCK_MAPPED;
    hd_memory_discharge(charged - kept, header->owner);
    return charged - kept;
}

/* Makes a mapping larger, whose pages move and are not copied; NULL: it cannot be, and is as it was. Small pages are left to
 * be copied: where they stand, there will be no large one. */
static void *extend(block_header *before, size_t size)
{
    char *base = (char *)(before + 1) - HD_CACHE_LINE;
    size_t charged = before->word >> 2, wanted = mapped_size(size);
    hd_memory_owner *owner = NULL;
    if (charged < HUGE_PAGE || wanted <= charged || !hd_memory_charge(wanted - charged, &owner)) {
        return NULL;
    }
    char *target = map_at_border(wanted, 0);
    void *moved = target == NULL
                      ? MAP_FAILED
                      : mremap(base, charged, wanted, MREMAP_MAYMOVE | MREMAP_FIXED, target);
    if (moved == MAP_FAILED) {
        if (target != NULL) {
            munmap(target, wanted);
        }
        hd_memory_discharge(wanted - charged, owner);
        return NULL;
    }
    advise_mapped(target, wanted);
    header_of(target + HD_CACHE_LINE)->word = wanted << 2 | BLOCK_MAPPED;
    return target + HD_CACHE_LINE;
}

/* Where it is neither the heap that grows it nor the system, both are there for a moment, and both are charged. */
void *hd_realloc(void *memory, size_t size)
{
    if (hd_fault_hits("alloc")) {
        return NULL;
    }
    size = size == 0 ? 1 : size;
    if (memory == NULL || size > PTRDIFF_MAX) {
        return size > PTRDIFF_MAX ? NULL : allocate(size, false, false);
    }
    block_header *before = header_of(memory);
    block_kind kind = (block_kind)(before->word & 3);
    size_t charged = before->word >> 2;
    if (kind == BLOCK_PLAIN && before->owner == NULL && current == NULL) {
        block_header *grown = realloc(before, sizeof *grown + size);
        if (grown == NULL) {
            return NULL;
        }
        grown->word = (sizeof *grown + size + HEAP_OVERHEAD) << 2 | BLOCK_PLAIN;
        return grown + 1;
    }
    bool is_same_owner = current != NULL && current->owner == before->owner;
    void *grown = kind == BLOCK_MAPPED && is_same_owner ? extend(before, size) : NULL;
    if (grown != NULL) {
        return grown;
    }
    grown = allocate(size, false, false);
    if (grown != NULL) {
        size_t held = kind == BLOCK_MAPPED ? charged - HD_CACHE_LINE
                                           : charged - sizeof(block_header) - HEAP_OVERHEAD;
        memcpy(grown, memory, held < size ? held : size);
        hd_free(memory);
    }
    return grown;
}

void *hd_alloc_aligned(size_t size)
{
    return hd_fault_hits("alloc") ? NULL : allocate(size == 0 ? 1 : size, true, false);
}

char *hd_copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = hd_alloc(size);
    if (copy != NULL) {
        memcpy(copy, text, size);
    }
    return copy;
}

bool hd_array_reserve(void **memory, size_t *capacity, size_t needed, size_t element_size)
{
    if (needed <= *capacity) {
        return true;
    }
    size_t wanted = *capacity < 8 ? 8 : *capacity;
    while (wanted < needed) {
        if (!hd_multiply_size(wanted, 2, &wanted)) {
            return false;
        }
    }
    size_t bytes, pages;
    if (!hd_multiply_size(wanted, element_size, &bytes)) {
        return false;
    }
    /* What is charged here becomes pages of its own: then whole ones. Others count on no more than twice the size. */
    bool is_charged = current != NULL && current->owner != NULL;
    if (is_charged && bytes >= HUGE_PAGE / 4 &&
        hd_add_size(bytes, HUGE_PAGE - 1 + HD_CACHE_LINE, &pages)) { /* the whole page */
        wanted = ((pages & ~(HUGE_PAGE - 1)) - HD_CACHE_LINE) / element_size;
        bytes = wanted * element_size;
    }
    void *grown = hd_realloc(*memory, bytes);
    if (grown == NULL) {
        return false;
    }
    *memory = grown;
    *capacity = wanted;
    return true;
}

size_t hd_pages_size(size_t size)
{
    size_t wanted = size + HD_MEMORY_GAP, rounded = hd_align_up(wanted == 0 ? 1 : wanted, 4096);
    return wanted < size || rounded < wanted ? 0 : rounded;
}

/* Maps size bytes, for large sizes at a 2 MB border so that the kernel can back them with 2 MB pages
 * (measured: packed weights on 2 MB pages run 12 % faster). */
void *hd_pages_alloc(size_t size)
{
    size_t alignment = size >= HUGE_PAGE ? HUGE_PAGE : 4096;
    size_t rounded = hd_pages_size(size);
    size_t mapped = alignment == HUGE_PAGE ? rounded + HUGE_PAGE : rounded;
    if (rounded == 0 || mapped < rounded || hd_fault_hits("pages")) {
        return NULL;
    }
    char *base = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
        return NULL;
    }
    if (alignment == HUGE_PAGE) {
        char *start = (char *)hd_align_up((size_t)base, HUGE_PAGE);
        if (start > base) {
            munmap(base, (size_t)(start - base));
        }
        size_t tail = (size_t)(base + mapped - (start + rounded));
        if (tail > 0) {
            munmap(start + rounded, tail);
        }
        base = start;
        madvise(base, rounded, MADV_HUGEPAGE); /* advice: works without */
    }
    size_t used = hd_align_up(size, 8);
    hd_memory_forbid(base + used, rounded - used);
    return base;
}

void hd_pages_free(void *memory, size_t size)
{
    if (memory != NULL) {
        hd_memory_allow(memory, hd_pages_size(size));
        munmap(memory, hd_pages_size(size));
    }
}

void *hd_pages_alloc_charged(size_t size, hd_memory_owner **out_owner)
{
    size_t rounded = hd_pages_size(size);
    *out_owner = NULL;
    if (rounded == 0 || !hd_memory_charge(rounded, out_owner)) {
        return NULL;
    }
    void *memory = hd_pages_alloc(size);
    if (memory == NULL) {
        hd_memory_discharge(rounded, *out_owner);
        *out_owner = NULL;
    }
    return memory;
}

void hd_pages_free_charged(void *memory, size_t size, hd_memory_owner *owner)
{
    if (memory != NULL) {
        hd_pages_free(memory, size);
        hd_memory_discharge(hd_pages_size(size), owner);
    }
}
