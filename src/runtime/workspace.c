#include "runtime/workspace.h"

#include <string.h>

#include "base/memory.h"
#include "runtime/memory_account.h"

/* Arenas grow in steps, so that plans of slightly different shapes do not move them each time. */
#define ARENA_STEP ((size_t)64 << 10)

hd_status hd_workspace_reserve_arena(hd_workspace *workspace, hd_memory_account *account, size_t size, size_t keep)
{
    if (size <= workspace->arena_size) {
        return HD_OK;
    }
    size_t rounded = hd_align_up(size, ARENA_STEP);
    if (rounded < size || !hd_memory_account_take(account, HD_MEMORY_ARENAS, rounded)) {
        return HD_OUT_OF_MEMORY;
    }
    unsigned char *arena = hd_pages_alloc(rounded);
    if (arena == NULL) {
        hd_memory_account_give(account, HD_MEMORY_ARENAS, rounded);
        return HD_OUT_OF_MEMORY;
    }
    if (keep > 0) {
        memcpy(arena, workspace->arena, keep);
    }
    hd_pages_free(workspace->arena, workspace->arena_size);
    hd_memory_account_give(account, HD_MEMORY_ARENAS, workspace->arena_size);
    workspace->arena = arena;
    workspace->arena_size = rounded;
    workspace->arena_generation++;
    return HD_OK;
}

hd_status hd_workspace_reserve_scratch(hd_workspace *workspace, hd_memory_account *account, size_t size)
{
    if (size <= workspace->scratch_size) {
        return HD_OK;
    }
    size_t rounded = hd_align_up(size, ARENA_STEP);
    if (rounded < size || !hd_memory_account_take(account, HD_MEMORY_ARENAS, rounded)) {
        return HD_OUT_OF_MEMORY;
    }
    unsigned char *scratch = hd_pages_alloc(rounded);
    if (scratch == NULL) {
        hd_memory_account_give(account, HD_MEMORY_ARENAS, rounded);
        return HD_OUT_OF_MEMORY;
    }
    hd_pages_free(workspace->scratch, workspace->scratch_size);
    hd_memory_account_give(account, HD_MEMORY_ARENAS, workspace->scratch_size);
    workspace->scratch = scratch;
    workspace->scratch_size = rounded;
    return HD_OK;
}

bool hd_workspace_reserve_pointers(hd_workspace *workspace, size_t count)
{
    return hd_array_reserve((void **)&workspace->pointers, &workspace->pointer_capacity, count,
                            sizeof *workspace->pointers);
}

bool hd_workspace_reserve_key(hd_workspace *workspace, size_t size)
{
    return hd_array_reserve((void **)&workspace->key, &workspace->key_capacity, size, 1);
}

void hd_workspace_clear(hd_workspace *workspace, hd_memory_account *account)
{
    hd_pages_free(workspace->arena, workspace->arena_size);
    hd_pages_free(workspace->scratch, workspace->scratch_size);
    hd_memory_account_give(account, HD_MEMORY_ARENAS, workspace->arena_size + workspace->scratch_size);
    hd_free(workspace->pointers);
    hd_free(workspace->key);
    *workspace = (hd_workspace){0};
}
