#include "base/region.h"

#include <stdint.h>
#include <string.h>

#include "base/memory.h"

/* A block is as large as an eighth of what the region has, so that large regions are few mappings. */
#define BLOCK_SIZE       ((size_t)16 << 10)
#define BLOCK_SIZE_LIMIT ((size_t)2 << 20)
#define ALIGNMENT        ((size_t)16)

struct hd_region_block {
    struct hd_region_block *next;
    size_t size;
    _Alignas(16) unsigned char bytes[];
};

void *hd_region_alloc(hd_region *region, size_t size)
{
    size_t rounded = hd_align_up((size == 0 ? 1 : size) + HD_MEMORY_GAP, ALIGNMENT);
    if (rounded < size) {
        return NULL;
    }
    struct hd_region_block *block = region->blocks;
    if (block == NULL || block->size - region->used < rounded) {
        size_t capacity =
            region->total / 8 < BLOCK_SIZE_LIMIT ? region->total / 8 : BLOCK_SIZE_LIMIT;
        capacity = capacity < BLOCK_SIZE ? BLOCK_SIZE : hd_align_up(capacity, ALIGNMENT);
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

void hd_region_clear(hd_region *region)
{
    struct hd_region_block *block = region->blocks;
    while (block != NULL) {
        struct hd_region_block *next = block->next;
        hd_free(block);
        block = next;
    }
    *region = (hd_region){0};
}
