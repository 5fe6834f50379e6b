#include "runtime/memory_account.h"

#include "base/check.h"

static bool take_owned(hd_memory_owner *owner, size_t size)
{
    const hd_account_owner *self = (const hd_account_owner *)owner;
    return hd_memory_account_take(self->account, self->kind, size);
}

static void give_owned(hd_memory_owner *owner, size_t size)
{
    const hd_account_owner *self = (const hd_account_owner *)owner;
    hd_memory_account_give(self->account, self->kind, size);
}

void hd_memory_account_init(hd_memory_account *account, uint64_t limit)
{
    account->limit = limit;
    atomic_init(&account->total, 0);
    for (int i = 0; i < HD_MEMORY_KINDS; i++) {
        atomic_init(&account->kinds[i], 0);
        account->owners[i] = (hd_account_owner){
            .owner = {take_owned, give_owned}, .account = account, .kind = (hd_memory_kind)i};
    }
}

/* relaxed throughout: the numbers limit and report, they order no data. */
bool hd_memory_account_take(hd_memory_account *account, hd_memory_kind kind, size_t size)
{
    uint64_t total = hd_load_relaxed(&account->total);
    do {
        if (account->limit != 0 && (size > account->limit || total > account->limit - size)) {
            return false;
        }
    } while (!hd_cas_weak_relaxed(&account->total, &total, total + size));
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

bool hd_memory_account_grow(hd_memory_account *account, hd_memory_kind kind, void **memory,
                            size_t *capacity, size_t needed, size_t element_size)
{
    /* Outside of scopes an array at most doubles, or becomes as large as is needed, rounded up (base/memory.c). */
    size_t before = *capacity, most;
    if (!hd_multiply_size(needed < 8 ? 8 : needed, 2 * element_size, &most) ||
        !hd_memory_account_take(account, kind, most)) {
        return false;
    }
    bool fits = hd_array_reserve(memory, capacity, needed, element_size);
    size_t grown = (*capacity - before) * element_size;
    hd_memory_account_give(account, kind, most - grown);
    return fits;
}
