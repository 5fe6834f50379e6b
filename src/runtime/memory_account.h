/* Memory account: what a device holds, by kind, against one limit (FLAT).
 * Law: the kinds' sum = total <= limit, where a limit is set.
 *
 * Thread-safety: any thread; lock-free counters. */
#ifndef HD_RUNTIME_MEMORY_ACCOUNT_H
#define HD_RUNTIME_MEMORY_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/atomic.h"

typedef enum hd_memory_kind {
    HD_MEMORY_WEIGHTS,
    HD_MEMORY_ARENAS,
    HD_MEMORY_PLANS,
    HD_MEMORY_BLOCKS, /* what the allocator has reserved */
    HD_MEMORY_TABLES, /* what it knows of its blocks */
    HD_MEMORY_KINDS
} hd_memory_kind;

typedef struct hd_memory_account {
    uint64_t limit; /* 0: none; set before the account is shared */
    _Atomic uint64_t total;
    _Atomic uint64_t kinds[HD_MEMORY_KINDS];
} hd_memory_account;

/* Counts `size` bytes; false, and nothing is counted, when the limit would be passed. */
bool hd_memory_account_take(hd_memory_account *account, hd_memory_kind kind, size_t size);
void hd_memory_account_give(hd_memory_account *account, hd_memory_kind kind, size_t size);

#endif
