/* Workspace: what a run needs for itself while it computes: an arena, scratch memory, pointers.
 * Law: `generation` changes whenever an arena moves; a command list that carries another
 * generation is recorded anew.
 *
 * Thread-safety: exclusive: whoever has its lane. */
#ifndef HD_RUNTIME_WORKSPACE_H
#define HD_RUNTIME_WORKSPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "hal/backend.h"
#include "runtime/memory_account.h"

typedef struct hd_workspace_block {
    unsigned char *memory;
    size_t size;
} hd_workspace_block;

/* A block that nobody uses, in its own first bytes. */
typedef struct hd_workspace_free_block {
    struct hd_workspace_free_block *next;
    size_t size;
} hd_workspace_free_block;

typedef struct hd_workspace {
    hd_workspace_block arenas[HD_PLACE_COUNT];
    hd_workspace_block scratch[HD_PLACE_COUNT];
    uint64_t generation; /* of the arenas */
    void **pointers;     /* for a run's inputs and outputs */
    size_t pointer_capacity;
    unsigned char *key; /* for a run's plan key */
    size_t key_capacity;
    hd_workspace_free_block
        *host_blocks; /* of place HOST, for flights (runtime/device_watcher.h) */
} hd_workspace;

/* Memory of a unit in that place, of at least `size` bytes, counted as arenas. HD_OUT_OF_MEMORY, HD_LOST. */
HD_MUST_CHECK hd_status hd_workspace_block_take(hd_unit *unit, hd_memory_account *account,
                                                hd_memory_place place, size_t size,
                                                hd_workspace_block *out);
/* Gives it back; *block is nothing afterwards, and may be before. */
void hd_workspace_block_give(hd_unit *unit, hd_memory_account *account, hd_memory_place place,
                             hd_workspace_block *block);

/* Takes one of the host blocks off: one of at least `size` bytes, else any; an empty one: there is none. */
hd_workspace_block hd_workspace_pop_host(hd_workspace *workspace, size_t size);
/* Keeps one until the workspace is cleared; *block is nothing afterwards, and may be before. */
void hd_workspace_push_host(hd_workspace *workspace, hd_workspace_block *block);

/* Makes the unit's arena in that place at least `size` bytes; its first `keep` bytes stay as they are. On failure it
 * may be gone, unless something is to be kept. Scratch memory likewise, of which nothing is kept. HD_OUT_OF_MEMORY,
 * HD_LOST. */
HD_MUST_CHECK hd_status hd_workspace_reserve_arena(hd_workspace *workspace, hd_unit *unit,
                                                   hd_memory_account *account,
                                                   hd_memory_place place, size_t size, size_t keep);
HD_MUST_CHECK hd_status hd_workspace_reserve_scratch(hd_workspace *workspace, hd_unit *unit,
                                                     hd_memory_account *account,
                                                     hd_memory_place place, size_t size);
/* Room for pointers and for a key; false when out of memory. */
static inline bool hd_workspace_reserve_pointers(hd_workspace *workspace,
                                                 hd_memory_account *account, size_t count)
{
    return hd_memory_account_reserve(account, HD_MEMORY_ARENAS, (void **)&workspace->pointers,
                                     &workspace->pointer_capacity, count,
                                     sizeof *workspace->pointers);
}
static inline bool hd_workspace_reserve_key(hd_workspace *workspace, hd_memory_account *account,
                                            size_t size)
{
    return hd_memory_account_reserve(account, HD_MEMORY_ARENAS, (void **)&workspace->key,
                                     &workspace->key_capacity, size, 1);
}

/* Frees all that it holds; the generation goes on. */
void hd_workspace_clear(hd_workspace *workspace, hd_unit *unit, hd_memory_account *account);

#endif
