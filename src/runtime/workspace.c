#include "runtime/workspace.h"

#include "base/memory.h"
#include "runtime/memory_account.h"

/* Arenas grow in steps, so that plans of slightly different shapes do not move them each time. */
#define ARENA_STEP ((size_t)64 << 10)

hd_status hd_workspace_block_take(hd_unit *unit, hd_memory_account *account, hd_memory_place place,
                                  size_t size, hd_workspace_block *out)
{
    *out = (hd_workspace_block){0};
    size_t rounded =
        hd_align_up(size, ARENA_STEP) < size ? 0 : hd_pages_size(hd_align_up(size, ARENA_STEP));
    if (rounded == 0 || !hd_memory_account_take(account, HD_MEMORY_ARENAS, rounded)) {
        return HD_OUT_OF_MEMORY;
    }
    unsigned char *memory = hd_unit_memory_create(unit, place, rounded);
    if (memory == NULL) {
        hd_memory_account_give(account, HD_MEMORY_ARENAS, rounded);
        return hd_unit_memory_refusal(unit);
    }
    *out = (hd_workspace_block){memory, rounded};
    return HD_OK;
}

void hd_workspace_block_give(hd_unit *unit, hd_memory_account *account, hd_memory_place place,
                             hd_workspace_block *block)
{
    if (block->memory != NULL) {
        hd_unit_memory_destroy(unit, place, block->memory, block->size);
        hd_memory_account_give(account, HD_MEMORY_ARENAS, block->size);
        *block = (hd_workspace_block){0};
    }
}

hd_status hd_workspace_reserve_arena(hd_workspace *workspace, hd_unit *unit,
                                     hd_memory_account *account, hd_memory_place place, size_t size,
                                     size_t keep)
{
    hd_workspace_block *arena = &workspace->arenas[place], larger;
    if (size <= arena->size) {
        return HD_OK;
    }
    workspace->generation++;
    if (keep == 0) {
        hd_workspace_block_give(unit, account, place, arena);
    }
    hd_status status = hd_workspace_block_take(unit, account, place, size, &larger);
    if (status == HD_OK && keep > 0) {
        status = hd_unit_copy(unit, larger.memory, arena->memory, keep);
        hd_workspace_block_give(unit, account, place, status == HD_OK ? arena : &larger);
    }
    if (status == HD_OK) {
        *arena = larger;
    }
    return status;
}

hd_status hd_workspace_reserve_scratch(hd_workspace *workspace, hd_unit *unit,
                                       hd_memory_account *account, hd_memory_place place,
                                       size_t size)
{
    hd_workspace_block *scratch = &workspace->scratch[place];
    if (size <= scratch->size) {
        return HD_OK;
    }
    hd_workspace_block_give(unit, account, place, scratch);
    return hd_workspace_block_take(unit, account, place, size, scratch);
}

hd_workspace_block hd_workspace_pop_host(hd_workspace *workspace, size_t size)
{
    hd_workspace_free_block **link = &workspace->host_blocks;
    while (*link != NULL && (*link)->size < size) {
        link = &(*link)->next;
    }
    link = *link == NULL ? &workspace->host_blocks : link;
    hd_workspace_free_block *taken = *link;
    if (taken == NULL) {
        return (hd_workspace_block){0};
    }
    *link = taken->next;
    return (hd_workspace_block){(unsigned char *)taken, taken->size};
}

void hd_workspace_push_host(hd_workspace *workspace, hd_workspace_block *block)
{
    hd_workspace_free_block *kept = (hd_workspace_free_block *)block->memory;
    if (kept != NULL) {
        *kept = (hd_workspace_free_block){workspace->host_blocks, block->size};
        workspace->host_blocks = kept;
        *block = (hd_workspace_block){0};
    }
}

void hd_workspace_clear(hd_workspace *workspace, hd_unit *unit, hd_memory_account *account)
{
    while (workspace->host_blocks != NULL) {
        hd_workspace_block block = hd_workspace_pop_host(workspace, 0);
        hd_workspace_block_give(unit, account, HD_PLACE_HOST, &block);
    }
    for (int place = 0; place < HD_PLACE_COUNT; place++) {
        hd_workspace_block_give(unit, account, (hd_memory_place)place, &workspace->arenas[place]);
        hd_workspace_block_give(unit, account, (hd_memory_place)place, &workspace->scratch[place]);
    }
    hd_free(workspace->pointers);
    hd_free(workspace->key);
    hd_memory_account_give(account, HD_MEMORY_ARENAS,
                           workspace->pointer_capacity * sizeof *workspace->pointers +
                               workspace->key_capacity);
    /* No list of an arena that was here before may be taken for one of the next. */
    *workspace = (hd_workspace){.generation = workspace->generation + 1};
}
