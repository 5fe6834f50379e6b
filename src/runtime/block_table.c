#include "runtime/block_table.h"

#include <string.h>

#include "base/check.h"

#define BLOCKS_PER_CHUNK   32
#define FIRST_BUCKETS_LOG2 6

typedef struct hd_block_chunk {
    struct hd_block_chunk *next;
    hd_block blocks[BLOCKS_PER_CHUNK];
} hd_block_chunk;

static size_t bucket_count(uint32_t bucket_shift)
{
    return (size_t)1 << (64 - bucket_shift);
}

/* Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4); blocks lie at 64 bytes. */
static hd_block **bucket_of(const hd_block_table *table, const void *address)
{
    uint64_t hash = ((uint64_t)(uintptr_t)address >> 6) * UINT64_C(0x9E3779B97F4A7C15);
    return &table->buckets[hash >> table->bucket_shift];
}

hd_status hd_block_table_init(hd_block_table *table)
{
    hd_block_growth growth;
    *table = (hd_block_table){.bucket_shift = 64};
    hd_status status = hd_block_growth_make(0, table->bucket_shift, &growth);
    if (status == HD_OK) {
        hd_block_table_grow(table, &growth);
    }
    return status;
}

void hd_block_table_clear(hd_block_table *table)
{
    while (table->chunks != NULL) {
        hd_block_chunk *chunk = table->chunks;
        table->chunks = chunk->next;
        hd_free(chunk);
    }
    hd_free(table->buckets);
    *table = (hd_block_table){.bucket_shift = 64};
}

hd_status hd_block_growth_make(size_t block_count, uint32_t bucket_shift,
                               hd_block_growth *out_growth)
{
    *out_growth = (hd_block_growth){.bucket_shift = 64 - FIRST_BUCKETS_LOG2};
    while (bucket_count(out_growth->bucket_shift) < block_count + BLOCKS_PER_CHUNK) {
        out_growth->bucket_shift--;
    }
    if (out_growth->bucket_shift < bucket_shift) {
        size_t count = bucket_count(out_growth->bucket_shift);
        out_growth->buckets = hd_alloc_zero(count, sizeof *out_growth->buckets);
        if (out_growth->buckets == NULL) {
            return HD_OUT_OF_MEMORY;
        }
    }
    out_growth->chunk = hd_alloc_aligned(sizeof *out_growth->chunk);
    if (out_growth->chunk == NULL) {
        hd_block_growth_free(out_growth);
        return HD_OUT_OF_MEMORY;
    }
    memset(out_growth->chunk, 0, sizeof *out_growth->chunk);
    return HD_OK;
}

static void link_hashed(hd_block_table *table, hd_block *block)
{
    hd_block **bucket = bucket_of(table, block->address);
    block->next_hashed = *bucket;
    *bucket = block;
}

static void replace_buckets(hd_block_table *table, hd_block_growth *growth)
{
    hd_block **old = table->buckets;
    size_t old_count = old == NULL ? 0 : bucket_count(table->bucket_shift);
    table->buckets = growth->buckets;
    table->bucket_shift = growth->bucket_shift;
    for (size_t i = 0; i < old_count; i++) {
        for (hd_block *block = old[i], *next; block != NULL; block = next) {
            next = block->next_hashed;
            link_hashed(table, block);
        }
    }
    growth->buckets = old;
}

void hd_block_table_grow(hd_block_table *table, hd_block_growth *growth)
{
    /* Two threads may have made the same growth; then the second one's buckets are no more than
     * there are, and are left to be freed. */
    if (growth->buckets != NULL && growth->bucket_shift < table->bucket_shift) {
        replace_buckets(table, growth);
    }
    hd_block_chunk *chunk = growth->chunk;
    growth->chunk = NULL;
    chunk->next = table->chunks;
    table->chunks = chunk;
    table->block_count += BLOCKS_PER_CHUNK;
    for (size_t i = 0; i < BLOCKS_PER_CHUNK; i++) {
        hd_block_table_give(table, &chunk->blocks[i]);
    }
}

void hd_block_growth_free(hd_block_growth *growth)
{
    hd_free(growth->buckets);
    hd_free(growth->chunk);
    *growth = (hd_block_growth){.bucket_shift = 64};
}

hd_block *hd_block_table_add(hd_block_table *table, char *address, size_t size)
{
    hd_block *block = table->spare;
    HD_CHECK("STATUS.blocks-ahead", block != NULL && block->state == HD_BLOCK_SPARE);
    table->spare = block->next_hashed;
    table->spare_count--;
    *block = (hd_block){.address = address, .size = size};
    link_hashed(table, block);
    return block;
}

hd_block *hd_block_table_find(const hd_block_table *table, const void *address)
{
    hd_block *block = *bucket_of(table, address);
    while (block != NULL && block->address != address) {
        block = block->next_hashed;
    }
    return block;
}

void hd_block_table_remove(hd_block_table *table, hd_block *block)
{
    hd_block **link = bucket_of(table, block->address);
    while (*link != block) {
        link = &(*link)->next_hashed;
    }
    *link = block->next_hashed;
    block->next_hashed = NULL;
}

void hd_block_table_give(hd_block_table *table, hd_block *block)
{
    block->state = HD_BLOCK_SPARE;
    block->next_hashed = table->spare;
    table->spare = block;
    table->spare_count++;
}

void hd_block_table_visit_segments(const hd_block_table *table,
                                   void (*visit)(void *context, char *address, size_t size),
                                   void *context)
{
    for (const hd_block_chunk *chunk = table->chunks; chunk != NULL; chunk = chunk->next) {
        for (size_t i = 0; i < BLOCKS_PER_CHUNK; i++) {
            const hd_block *first = &chunk->blocks[i];
            if (first->state == HD_BLOCK_SPARE || first->before != NULL) {
                continue;
            }
            size_t size = 0;
            for (const hd_block *block = first; block != NULL; block = block->after) {
                size += block->size;
            }
            visit(context, first->address, size);
        }
    }
}
