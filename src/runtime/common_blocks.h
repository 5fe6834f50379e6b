/* Common blocks: those that the device has finished with and that no stream has: anybody's. Blocks lie in segments; what is
 * free beside one another is joined, and cut again for smaller ones.
 *
 * Law: no two neighbours are common.
 *
 * Thread-safety: under the allocator's lock. */
#ifndef HD_RUNTIME_COMMON_BLOCKS_H
#define HD_RUNTIME_COMMON_BLOCKS_H

#include "base/rank.h"
#include "runtime/block_table.h"
#include "runtime/free_lists.h"

/* block may be NULL: it is none. */
static inline bool hd_block_is_common(hd_block *block)
{
    return block != NULL && hd_block_get_state(block) == HD_BLOCK_COMMON;
}

/* Makes a block that nobody has common, joined to its common neighbours. */
void hd_common_blocks_share(hd_free_lists *common, hd_block_table *blocks, hd_block *block)
    HD_REQUIRES(hd_rank_allocator);

/* Takes a common block of at least class `class` and at most `highest`; NULL. */
hd_block *hd_common_blocks_pop(hd_free_lists *common, uint32_t class, uint32_t highest)
    HD_REQUIRES(hd_rank_allocator);

/* Cuts what a block that nobody has holds beyond `size` off; the table is ready. */
hd_block *hd_block_split(hd_block_table *blocks, hd_block *block, size_t size)
    HD_REQUIRES(hd_rank_allocator);

#endif
