#include "runtime/free_lists.h"

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
