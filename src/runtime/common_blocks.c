#include "runtime/common_blocks.h"

#include "base/check.h"

/* Joins `right` to `left`, which lies before it. */
static void join(hd_block_table *blocks, hd_block *left, hd_block *right)
    HD_REQUIRES(hd_rank_allocator)
{
    HD_CHECK("SAFE.neighbours", left->after == right &&
                                    hd_block_address(left) + left->size == hd_block_address(right));
    left->size += right->size;
    left->after = right->after;
    if (left->after != NULL) {
        left->after->before = left;
    }
    hd_block_table_remove(blocks, right);
    hd_block_table_give(blocks, right);
}

void hd_common_blocks_share(hd_free_lists *common, hd_block_table *blocks, hd_block *block)
{
    hd_block *before = block->before, *after = block->after;
    if (hd_block_is_common(before)) {
        hd_free_lists_remove(common, before);
        join(blocks, before, block);
        block = before;
    }
    if (hd_block_is_common(after)) {
        hd_free_lists_remove(common, after);
        join(blocks, block, after);
    }
    hd_block_set(block, HD_BLOCK_COMMON, 0);
    hd_free_lists_push(common, block);
}

hd_block *hd_common_blocks_pop(hd_free_lists *common, uint32_t class, uint32_t highest)
{
    hd_block *block = hd_free_lists_find(common, class, highest);
    if (block != NULL) {
        hd_free_lists_remove(common, block);
    }
    return block;
}

hd_block *hd_block_split(hd_block_table *blocks, hd_block *block, size_t size)
{
    hd_block *rest = hd_block_table_add(blocks, hd_block_address(block) + size, block->size - size);
    rest->before = block;
    rest->after = block->after;
    if (rest->after != NULL) {
        rest->after->before = rest;
    }
    block->after = rest;
    block->size = size;
    return rest;
}
