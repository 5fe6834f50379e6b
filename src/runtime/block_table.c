#include "runtime/block_table.h"

#include "base/check.h"

#define BLOCKS_PER_CHUNK 32
#define FIRST_SLOTS_LOG2 6

typedef struct hd_block_chunk {
    struct hd_block_chunk *next;
    hd_block blocks[BLOCKS_PER_CHUNK];
} hd_block_chunk;

/* Open addressing with linear probing. At least half of the slots hold no block. */
typedef struct hd_block_index {
    struct hd_block_index *smaller; /* those before it, in which somebody may still look */
    uint32_t shift;                 /* 64 - log2 of the slots */
    _Atomic(hd_block *) slots[];
} hd_block_index;

/* Stands where a block was, so that what lies behind is still found. Is at no address. */
static hd_block removed;

static size_t slot_count(const hd_block_index *index)
{
    return (size_t)1 << (64 - index->shift);
}

static size_t index_size(size_t slots)
{
    return sizeof(hd_block_index) + slots * sizeof(_Atomic(hd_block *));
}

/* Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4); blocks lie at 64 bytes. */
static size_t home_of(const hd_block_index *index, const void *address)
{
    uint64_t hash = ((uint64_t)(uintptr_t)address >> 6) * UINT64_C(0x9E3779B97F4A7C15);
    return hash >> index->shift;
}

void hd_block_table_init(hd_block_table *table, hd_memory_account *account)
{
    memset(table, 0, sizeof *table);
    atomic_init(&table->index, NULL);
    table->account = account;
}

static void free_index(hd_memory_account *account, hd_block_index *index)
{
    hd_memory_account_give(account, HD_MEMORY_TABLES, index_size(slot_count(index)));
    hd_free(index);
}

static void free_chunk(hd_memory_account *account, hd_block_chunk *chunk)
{
    hd_memory_account_give(account, HD_MEMORY_TABLES, sizeof *chunk);
    hd_free(chunk);
}

void hd_block_table_clear(hd_block_table *table)
{
    while (table->chunks != NULL) {
        hd_block_chunk *chunk = table->chunks;
        table->chunks = chunk->next;
        free_chunk(table->account, chunk);
    }
    hd_block_index *index = hd_load_relaxed(&table->index); /* nobody else is there any more */
    while (index != NULL) {
        hd_block_index *smaller = index->smaller;
        free_index(table->account, index);
        index = smaller;
    }
    hd_block_table_init(table, table->account);
}

/* Memory that the account counts; NULL. */
static void *allocate_counted(hd_memory_account *account, size_t size)
{
    if (!hd_memory_account_take(account, HD_MEMORY_TABLES, size)) {
        return NULL;
    }
    void *memory = hd_alloc_aligned(size);
    if (memory == NULL) {
        hd_memory_account_give(account, HD_MEMORY_TABLES, size);
        return NULL;
    }
    return memset(memory, 0, size);
}

/* The shift of an index for this number of blocks; 64 for none. */
static uint32_t shift_for(size_t block_count)
{
    uint32_t shift = block_count == 0 ? 64 : 64 - FIRST_SLOTS_LOG2;
    while (shift < 64 && ((size_t)1 << (64 - shift)) < 2 * block_count) {
        shift--;
    }
    return shift;
}

hd_status hd_block_growth_make(hd_memory_account *account, size_t block_count,
                               hd_block_growth *out_growth)
{
    *out_growth = (hd_block_growth){0};
    uint32_t shift = shift_for(block_count + BLOCKS_PER_CHUNK);
    if (shift < shift_for(block_count)) {
        out_growth->index = allocate_counted(account, index_size((size_t)1 << (64 - shift)));
        if (out_growth->index == NULL) {
            return HD_OUT_OF_MEMORY;
        }
        out_growth->index->shift = shift;
    }
    out_growth->chunk = allocate_counted(account, sizeof *out_growth->chunk);
    if (out_growth->chunk == NULL) {
        hd_block_growth_free(account, out_growth);
        return HD_OUT_OF_MEMORY;
    }
    return HD_OK;
}

static void put(hd_block_index *index, hd_block *block)
{
    size_t mask = slot_count(index) - 1, i = home_of(index, hd_block_address(block));
    for (;; i = (i + 1) & mask) {
        hd_block *there = hd_load_relaxed(&index->slots[i]); /* written under this lock only */
        if (there == NULL || there == &removed) {
            break;
        }
    }
    /* release: the description is there before it is found; pairs with hd_block_table_find. */
    hd_store_release(&index->slots[i], block);
}

/* The smaller index stays as it is now: whoever looks into it looks for a block that was added
 * before, since with a later one he was given the larger index, too. */
static void replace_index(hd_block_table *table, hd_block_index *index)
{
    hd_block_index *smaller = hd_load_relaxed(&table->index);
    for (size_t i = 0; smaller != NULL && i < slot_count(smaller); i++) {
        hd_block *block = hd_load_relaxed(&smaller->slots[i]);
        if (block != NULL && block != &removed) {
            put(index, block);
        }
    }
    index->smaller = smaller;
    hd_store_release(&table->index, index); /* pairs with hd_block_table_find */
}

void hd_block_table_grow(hd_block_table *table, hd_block_growth *growth)
{
    hd_block_index *index = hd_load_relaxed(&table->index);
    if (growth->index != NULL && (index == NULL || growth->index->shift < index->shift)) {
        replace_index(table, growth->index);
        index = growth->index;
        growth->index = NULL;
    }
    if (index->shift > shift_for(table->block_count + BLOCKS_PER_CHUNK)) {
        return; /* another thread made the same growth at the same time: it will do for both */
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

void hd_block_growth_free(hd_memory_account *account, hd_block_growth *growth)
{
    if (growth->index != NULL) {
        free_index(account, growth->index);
    }
    if (growth->chunk != NULL) {
        free_chunk(account, growth->chunk);
    }
    *growth = (hd_block_growth){0};
}

hd_block *hd_block_table_add(hd_block_table *table, char *address, size_t size)
{
    hd_block *block = table->spare;
    HD_CHECK("STATUS.blocks-ahead", block != NULL && hd_block_get_state(block) == HD_BLOCK_SPARE);
    table->spare = block->next;
    table->spare_count--;
    hd_store_relaxed(&block->address, address);
    block->size = size;
    block->record_count = 0;
    block->owed = 0;
    block->before = NULL;
    block->after = NULL;
    put(hd_load_relaxed(&table->index), block);
    return block;
}

hd_block *hd_block_table_find(hd_block_table *table, const void *address)
{
    hd_block_index *index = hd_load_acquire(&table->index); /* pairs with replace_index */
    if (index == NULL) {
        return NULL;
    }
    size_t count = slot_count(index), i = home_of(index, address);
    for (size_t looked = 0; looked < count; looked++, i = (i + 1) & (count - 1)) {
        hd_block *block = hd_load_acquire(&index->slots[i]); /* pairs with put */
        if (block == NULL || hd_block_address(block) == address) {
            return block;
        }
    }
    return NULL;
}

void hd_block_table_remove(hd_block_table *table, hd_block *block)
{
    hd_block_index *index = hd_load_relaxed(&table->index);
    size_t mask = slot_count(index) - 1, i = home_of(index, hd_block_address(block));
    while (hd_load_relaxed(&index->slots[i]) != block) {
        i = (i + 1) & mask;
    }
    /* relaxed, here and below: who still finds the block sees that it is not in use. */
    hd_store_relaxed(&index->slots[i], &removed);
    /* What stands before an empty slot is on the way to no block. */
    if (hd_load_relaxed(&index->slots[(i + 1) & mask]) == NULL) {
        for (; hd_load_relaxed(&index->slots[i]) == &removed; i = (i - 1) & mask) {
            hd_store_relaxed(&index->slots[i], NULL);
        }
    }
}

void hd_block_table_give(hd_block_table *table, hd_block *block)
{
    hd_block_set(block, HD_BLOCK_SPARE, 0);
    block->next = table->spare;
    table->spare = block;
    table->spare_count++;
}

void hd_block_table_visit_segments(const hd_block_table *table,
                                   void (*visit)(void *context, char *address, size_t size),
                                   void *context)
{
    for (hd_block_chunk *chunk = table->chunks; chunk != NULL; chunk = chunk->next) {
        for (size_t i = 0; i < BLOCKS_PER_CHUNK; i++) {
            hd_block *first = &chunk->blocks[i];
            if (hd_block_get_state(first) == HD_BLOCK_SPARE || first->before != NULL) {
                continue;
            }
            size_t size = 0;
            for (const hd_block *block = first; block != NULL; block = block->after) {
                size += block->size;
            }
            visit(context, hd_block_address(first), size);
        }
    }
}
