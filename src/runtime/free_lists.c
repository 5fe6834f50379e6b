#include "runtime/free_lists.h"

void hd_free_lists_push(hd_free_lists *lists, hd_block *block)
{
    uint32_t class = hd_size_class(block->size);
    block->previous = NULL;
    block->next = lists->first[class];
    if (block->next != NULL) {
        block->next->previous = block;
    }
    lists->first[class] = block;
    lists->filled[class / 64] |= UINT64_C(1) << class % 64;
}

void hd_free_lists_remove(hd_free_lists *lists, hd_block *block)
{
    uint32_t class = hd_size_class(block->size);
    if (block->next != NULL) {
        block->next->previous = block->previous;
    }
    if (block->previous != NULL) {
        block->previous->next = block->next;
        return;
    }
    lists->first[class] = block->next;
    if (block->next == NULL) {
        lists->filled[class / 64] &= ~(UINT64_C(1) << class % 64);
    }
}

hd_block *hd_free_lists_find(const hd_free_lists *lists, uint32_t lowest, uint32_t highest)
{
    if (lists->first[lowest] != NULL) {
        return lists->first[lowest];
    }
    uint64_t from = ~UINT64_C(0) << lowest % 64;
    for (uint32_t word = lowest / 64; word <= highest / 64; word++, from = ~UINT64_C(0)) {
        uint64_t filled = lists->filled[word] & from;
        if (filled != 0) {
            uint32_t class = word * 64 + (uint32_t)__builtin_ctzll(filled);
            return class <= highest ? lists->first[class] : NULL;
        }
    }
    return NULL;
}
