#include "runtime/memory_account.h"

#include "base/check.h"

/* relaxed throughout: the numbers limit and report, they order no data. */
bool hd_memory_account_take(hd_memory_account *account, hd_memory_kind kind, size_t size)
{
    uint64_t total = hd_load_relaxed(&account->total);
    do {
        if (account->limit != 0 && (size > account->limit || total > account->limit - size)) {
            return false;
        }
    } while (!hd_cas_relaxed(&account->total, &total, total + size));
    hd_add_relaxed(&account->kinds[kind], size);
    return true;
}

void hd_memory_account_give(hd_memory_account *account, hd_memory_kind kind, size_t size)
{
    uint64_t before = hd_sub_relaxed(&account->kinds[kind], size);
    HD_CHECK("FLAT.account", before >= size);
    (void)before;
    hd_sub_relaxed(&account->total, size);
}
