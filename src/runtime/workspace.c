#include "runtime/workspace.h"

#include "base/memory.h"
#include "runtime/memory_account.h"

/* Arenas grow in steps, so that plans of slightly different shapes do not move them each time. */
#define ARENA_STEP ((size_t)64 << 10)

static hd_status take(hd_unit *unit, hd_memory_account *account, hd_memory_place place, size_t size,
                      hd_workspace_block *out)
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
        return HD_OUT_OF_MEMORY;
    }
    *out = (hd_workspace_block){memory, rounded};
    return HD_OK;
}

static void give(hd_unit *unit, hd_memory_account *account, hd_memory_place place,
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
        give(unit, account, place, arena);
    }
    hd_status status = take(unit, account, place, size, &larger);
    if (status == HD_OK && keep > 0) {
        status = hd_unit_copy(unit, larger.memory, arena->memory, keep);
        give(unit, account, place, status == HD_OK ? arena : &larger);
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
    give(unit, account, place, scratch);
    return take(unit, account, place, size, scratch);
}

void hd_workspace_clear(hd_workspace *workspace, hd_unit *unit, hd_memory_account *account)
{
    for (int place = 0; place < HD_PLACE_COUNT; place++) {
        give(unit, account, (hd_memory_place)place, &workspace->arenas[place]);
        give(unit, account, (hd_memory_place)place, &workspace->scratch[place]);
    }
    hd_free(workspace->pointers);
    hd_free(workspace->key);
    hd_memory_account_give(account, HD_MEMORY_ARENAS,
                           workspace->pointer_capacity * sizeof *workspace->pointers +
                               workspace->key_capacity);
    /* No list of an arena that was here before may be taken for one of the next. */
    *workspace = (hd_workspace){.generation = workspace->generation + 1};
}
