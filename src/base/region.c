#include "base/region.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/memory.h"

/* The first blocks are small, as many regions are: they double what there is. Then a block is as large as an eighth of
 * what the region has, or, where that is a good part of it, as one of the system's large pages, so that large regions are few
 * mappings. */
#define BLOCK_SIZE_LEAST ((size_t)1 << 10)
#define BLOCK_SIZE       ((size_t)16 << 10)
#define BLOCK_SIZE_LIMIT                                                                           \
    (((size_t)2 << 20) - 2 * HD_CACHE_LINE) /* with what stands before it in its mapping */
#define LARGE_TOTAL ((size_t)512 << 10)     /* of a region whose blocks are that large */
#define ALIGNMENT   ((size_t)16)

struct hd_region_block {
    struct hd_region_block *next;
    size_t size;
    bool is_lent; /* whose memory is not the region's to free */
    _Alignas(16) unsigned char bytes[];
};

static size_t next_capacity(size_t total)
{
    if (total >= LARGE_TOTAL && HD_MEMORY_GAP == 0) { /* else the heap's, which cannot be trimmed */
        return BLOCK_SIZE_LIMIT;
    }
    size_t capacity = total < BLOCK_SIZE ? total : total / 8;
    size_t least = total < BLOCK_SIZE ? BLOCK_SIZE_LEAST : BLOCK_SIZE;
    capacity = capacity < BLOCK_SIZE_LIMIT ? capacity : BLOCK_SIZE_LIMIT;
    return capacity < least ? least : hd_align_up(capacity, ALIGNMENT);
}

void hd_region_start(hd_region *region, void *memory, size_t size)
{
    struct hd_region_block *block = memory;
    memset(memory, 0, size);
    *block = (struct hd_region_block){.size = size - sizeof *block, .is_lent = true};
    hd_memory_forbid(block->bytes, block->size);
    *region = (hd_region){.blocks = block};
}

void *hd_region_alloc(hd_region *region, size_t size)
{
    size_t rounded = hd_align_up((size == 0 ? 1 : size) + HD_MEMORY_GAP, ALIGNMENT);
    if (rounded < size) {
        return NULL;
    }
    struct hd_region_block *block = region->blocks;
    if (block == NULL || block->size - region->used < rounded) {
        size_t capacity = next_capacity(region->total);
        capacity = capacity < rounded ? rounded : capacity;
        size_t bytes;
        if (!hd_add_size(capacity, sizeof *block, &bytes)) {
            return NULL;
        }
        block = hd_alloc_zero(1, bytes);
        if (block == NULL) {
            return NULL;
        }
        hd_memory_forbid(block->bytes, capacity);
        block->size = capacity;
        block->next = region->blocks;
        region->blocks = block;
        region->used = 0;
        region->total += bytes;
    }
    void *memory = block->bytes + region->used;
    hd_memory_allow(memory, size);
    region->used += rounded;
    return memory;
}

void *hd_region_array(hd_region *region, size_t count, size_t element_size)
{
    size_t bytes;
    return hd_multiply_size(count, element_size, &bytes) ? hd_region_alloc(region, bytes) : NULL;
}

void *hd_region_copy(hd_region *region, const void *memory, size_t size)
{
    void *copy = hd_region_alloc(region, size);
    if (copy != NULL && size > 0) {
        memcpy(copy, memory, size);
    }
    return copy;
}

char *hd_region_copy_text(hd_region *region, const char *text)
{
    return hd_region_copy(region, text, strlen(text) + 1);
}

void hd_region_trim(hd_region *region)
{
    struct hd_region_block *block = region->blocks;
    if (block != NULL && !block->is_lent) {
        size_t less = hd_shrink(block, sizeof *block + region->used);
        block->size = less > 0 ? region->used : block->size;
        region->total -= less;
    }
}

void hd_region_clear(hd_region *region)
{
    struct hd_region_block *block = region->blocks;
    while (block != NULL) {
        struct hd_region_block *next = block->next;
        hd_memory_allow(block->bytes, block->size);
        if (!block->is_lent) {
            hd_free(block);
        }
        block = next;
    }
    *region = (hd_region){0};
}
