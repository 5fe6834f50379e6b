/* Workspace: what a run needs for itself while it computes: an arena, scratch memory, pointers.
 * Law: arena_generation changes whenever the arena moves; a command list that carries another
 * generation is recorded anew.
 *
 * Thread-safety: exclusive: whoever has its lane. */
#ifndef HD_RUNTIME_WORKSPACE_H
#define HD_RUNTIME_WORKSPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Bytes are counted against the device's limit here. */
struct hd_memory_account;

typedef struct hd_workspace {
    unsigned char *arena;
    size_t arena_size;
    uint64_t arena_generation;
    unsigned char *scratch;
    size_t scratch_size;
    void **pointers; /* for a run's inputs and outputs */
    size_t pointer_capacity;
    unsigned char *key; /* for a run's plan key */
    size_t key_capacity;
} hd_workspace;

/* Makes the arena at least `size` bytes; its first `keep` bytes stay as they are. On failure it may be gone,
 * unless something is to be kept. Scratch memory likewise, of which nothing is kept. */
HD_MUST_CHECK hd_status hd_workspace_reserve_arena(hd_workspace *workspace, struct hd_memory_account *account,
                                                size_t size, size_t keep);
HD_MUST_CHECK hd_status hd_workspace_reserve_scratch(hd_workspace *workspace, struct hd_memory_account *account,
                                                  size_t size);
/* Room for pointers and for a key; false when out of memory. */
bool hd_workspace_reserve_pointers(hd_workspace *workspace, struct hd_memory_account *account, size_t count);
bool hd_workspace_reserve_key(hd_workspace *workspace, struct hd_memory_account *account, size_t size);

/* Frees all that it holds; the generation goes on. */
void hd_workspace_clear(hd_workspace *workspace, struct hd_memory_account *account);

#endif
