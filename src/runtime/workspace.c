#include "runtime/workspace.h"

#include <string.h>

#include "base/memory.h"
#include "runtime/memory_account.h"

/* Arenas grow in steps, so that plans of slightly different shapes do not move them each time. */
#define ARENA_STEP ((size_t)64 << 10)

/* Counted pages; NULL where the limit or the system has none. */
static unsigned char *take_pages(hd_memory_account *account, size_t size)
{
    if (!hd_memory_account_take(account, HD_MEMORY_ARENAS, size)) {
        return NULL;
    }
    unsigned char *pages = hd_pages_alloc(size);
    if (pages == NULL) {
        hd_memory_account_give(account, HD_MEMORY_ARENAS, size);
    }
    return pages;
}

static void give_pages(hd_memory_account *account, unsigned char **pages, size_t *size)
{
    hd_pages_free(*pages, *size);
    hd_memory_account_give(account, HD_MEMORY_ARENAS, *size);
    *pages = NULL;
    *size = 0;
}

hd_status hd_workspace_reserve_arena(hd_workspace *workspace, hd_memory_account *account, size_t size, size_t keep)
{
    if (size <= workspace->arena_size) {
        return HD_OK;
    }
    size_t rounded = hd_align_up(size, ARENA_STEP) < size ? 0 : hd_pages_size(hd_align_up(size, ARENA_STEP));
    if (rounded == 0) {
        return HD_OUT_OF_MEMORY;
    }
    workspace->arena_generation++;
    if (keep == 0) {
        give_pages(account, &workspace->arena, &workspace->arena_size);
    }
    unsigned char *arena = take_pages(account, rounded);
    if (arena == NULL) {
        return HD_OUT_OF_MEMORY;
    }
    if (keep > 0) {
        memcpy(arena, workspace->arena, keep);
        give_pages(account, &workspace->arena, &workspace->arena_size);
    }
    workspace->arena = arena;
    workspace->arena_size = rounded;
    return HD_OK;
}

hd_status hd_workspace_reserve_scratch(hd_workspace *workspace, hd_memory_account *account, size_t size)
{
    if (size <= workspace->scratch_size) {
        return HD_OK;
    }
    size_t rounded = hd_align_up(size, ARENA_STEP) < size ? 0 : hd_pages_size(hd_align_up(size, ARENA_STEP));
    if (rounded == 0) {
        return HD_OUT_OF_MEMORY;
    }
    give_pages(account, &workspace->scratch, &workspace->scratch_size);
    unsigned char *scratch = take_pages(account, rounded);
    if (scratch == NULL) {
        return HD_OUT_OF_MEMORY;
    }
    workspace->scratch = scratch;
    workspace->scratch_size = rounded;
    return HD_OK;
}

void hd_workspace_clear(hd_workspace *workspace, hd_memory_account *account)
{
    give_pages(account, &workspace->arena, &workspace->arena_size);
    give_pages(account, &workspace->scratch, &workspace->scratch_size);
    hd_free(workspace->pointers);
    hd_free(workspace->key);
    hd_memory_account_give(account, HD_MEMORY_ARENAS,
                           workspace->pointer_capacity * sizeof *workspace->pointers + workspace->key_capacity);
    /* No list of an arena that was here before may be taken for one of the next. */
    *workspace = (hd_workspace){.arena_generation = workspace->arena_generation + 1};
}
