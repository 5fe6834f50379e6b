/* Memory account: what a device holds, by kind, against one limit (FLAT).
 * Law: the kinds' sum = total <= limit, where a limit is set.
 *
 * Thread-safety: any thread; lock-free counters. */
#ifndef HD_RUNTIME_MEMORY_ACCOUNT_H
#define HD_RUNTIME_MEMORY_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/atomic.h"
#include "base/memory.h"

typedef enum hd_memory_kind {
    HD_MEMORY_WEIGHTS, /* models, and what loading them takes */
    HD_MEMORY_ARENAS,  /* what lanes have, and outputs on their way to callers */
    HD_MEMORY_PLANS,   /* plans, and what making them takes */
    HD_MEMORY_BLOCKS,  /* what the allocator has reserved */
    HD_MEMORY_TABLES,  /* what it knows of its blocks */
    HD_MEMORY_KINDS
} hd_memory_kind;

/* Who is charged for memory of one kind. */
typedef struct hd_account_owner {
    hd_memory_owner owner; /* first: the memory's pointer to it is this one's */
    struct hd_memory_account *account;
    hd_memory_kind kind;
} hd_account_owner;

typedef struct hd_memory_account {
    uint64_t limit; /* 0: none; set before the account is shared */
    _Atomic uint64_t total;
    _Atomic uint64_t kinds[HD_MEMORY_KINDS];
    hd_account_owner owners[HD_MEMORY_KINDS]; /* constant */
} hd_memory_account;

/* An empty account. One that is all zero is empty, too, but no owner of scopes. */
void hd_memory_account_init(hd_memory_account *account, uint64_t limit);

/* The owner of what a scope (base/memory.h) allocates. */
static inline hd_memory_owner *hd_memory_account_owner(hd_memory_account *account,
                                                       hd_memory_kind kind)
{
    return &account->owners[kind].owner;
}

/* Counts `size` bytes; false, and nothing is counted, when the limit would be passed. */
bool hd_memory_account_take(hd_memory_account *account, hd_memory_kind kind, size_t size);
void hd_memory_account_give(hd_memory_account *account, hd_memory_kind kind, size_t size);

bool hd_memory_account_grow(hd_memory_account *account, hd_memory_kind kind, void **memory,
                            size_t *capacity, size_t needed, size_t element_size);

/* hd_array_reserve, counted: as many bytes as the array's capacity has. In place, since every run asks. */
static inline bool hd_memory_account_reserve(hd_memory_account *account, hd_memory_kind kind,
                                             void **memory, size_t *capacity, size_t needed,
                                             size_t element_size)
{
    return needed <= *capacity ||
           hd_memory_account_grow(account, kind, memory, capacity, needed, element_size);
}

#endif
