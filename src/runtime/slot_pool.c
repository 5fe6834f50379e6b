#include "runtime/slot_pool.h"

#include "base/check.h"
#include "base/clock.h"

/* Sets of slots. */
#define SLOTS            UINT32_C(0xFFFFFFFE) /* 1 to 31 */
#define SPARE            (UINT32_C(1) << HD_SLOT_SPARE)
#define EVERY_SLOT       (SLOTS | SPARE)
#define REMEMBERED_SHIFT 32

static void pool_lock(hd_slot_pool *pool)
    HD_ACQUIRE(&pool->mutex, hd_rank_slot_pool) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&pool->mutex);
}

static void pool_unlock(hd_slot_pool *pool)
    HD_RELEASE(&pool->mutex, hd_rank_slot_pool) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_unlock(&pool->mutex);
}

#if defined(HD_DEBUG_CHECKS)
/* relaxed, here and below: the word `idle` orders what owners do. */
static void note_leased(hd_slot_pool *pool, uint32_t slot)
{
    uint32_t before = hd_add_relaxed(&pool->leased, UINT32_C(1) << slot);
    HD_CHECK("ONCE.slot-leased-once", (before >> slot & 1) == 0);
}

static void note_returned(hd_slot_pool *pool, uint32_t slot)
{
    uint32_t before = hd_sub_relaxed(&pool->leased, UINT32_C(1) << slot);
    HD_CHECK("ONCE.slot-returned-once", (before >> slot & 1) != 0);
}

static void check_all_known(hd_slot_pool *pool)
{
    uint64_t idle = hd_load_relaxed(&pool->idle);
    uint32_t is_free = (uint32_t)idle, is_remembered = (uint32_t)(idle >> REMEMBERED_SHIFT);
    uint32_t is_leased = hd_load_relaxed(&pool->leased);
    HD_CHECK("ONCE.slots", (is_free | is_remembered | is_leased) == EVERY_SLOT &&
                               (is_free & is_remembered) == 0 &&
                               ((is_free | is_remembered) & is_leased) == 0);
}
#else
static void note_leased(hd_slot_pool *pool, uint32_t slot)
{
    (void)pool;
    (void)slot;
}

static void note_returned(hd_slot_pool *pool, uint32_t slot)
{
    (void)pool;
    (void)slot;
}

static void check_all_known(hd_slot_pool *pool)
{
    (void)pool;
}
#endif

hd_status hd_slot_pool_init(hd_slot_pool *pool) HD_NO_THREAD_SAFETY_ANALYSIS
{
    atomic_init(&pool->idle, EVERY_SLOT);
    atomic_init(&pool->leased, 0);
    atomic_init(&pool->waiting, 0);
    atomic_init(&pool->closed, false);
    pool->first = NULL;
    pool->last = NULL;
    pool->closing = 0;
    if (hd_mutex_init(&pool->mutex, HD_RANK_slot_pool) != HD_OK) {
        return HD_OUT_OF_MEMORY;
    }
    if (hd_condition_init(&pool->changed) != HD_OK) {
        hd_mutex_destroy(&pool->mutex);
        return HD_OUT_OF_MEMORY;
    }
    return HD_OK;
}

void hd_slot_pool_destroy(hd_slot_pool *pool)
{
    check_all_known(pool);
    hd_condition_destroy(&pool->changed);
    hd_mutex_destroy(&pool->mutex);
}

/* The slot to take from an idle word: the wish, else the one with the lowest number, free or
 * remembered, else the spare. So there are as many slots with an arena as were leased at once, however many threads
 * came and went (FLAT), and a newcomer finds a warm one. */
static uint32_t choose_slot(uint64_t idle, uint32_t hint, uint32_t allowed)
{
    uint32_t candidates = ((uint32_t)idle | (uint32_t)(idle >> REMEMBERED_SHIFT)) & allowed;
    if (hint < HD_STREAM_COUNT && (candidates >> hint & 1) != 0) {
        return hint;
    }
    if ((candidates & SLOTS) != 0) {
        return (uint32_t)__builtin_ctz(candidates & SLOTS);
    }
    return candidates == 0 ? HD_SLOT_NONE : HD_SLOT_SPARE;
}

static uint64_t bits_of(uint32_t slot)
{
    return UINT64_C(1) << slot | UINT64_C(1) << (slot + REMEMBERED_SHIFT);
}

/* What a slot is handed over by: a name of its own, so that owners of different slots are strangers. */
static const void *handover_of(const hd_slot_pool *pool, uint32_t slot)
{
    return (const char *)pool + slot;
}

static uint32_t try_take(hd_slot_pool *pool, uint32_t hint, uint32_t allowed)
{
    /* seq_cst: for whoever has just begun to wait this look is the other half of the handshake with
     * hd_slot_pool_return. A relaxed load could still miss a slot whose owner saw nobody waiting. */
    uint64_t idle = hd_load_seq_cst(&pool->idle);
    for (;;) {
        uint32_t slot = choose_slot(idle, hint, allowed);
        if (slot == HD_SLOT_NONE) {
            return HD_SLOT_NONE;
        }
        /* seq_cst: acquires what the slot's last owner did with its stream (pairs with put_back), and
         * is ordered before the look at `closed` that follows (pairs with hd_slot_pool_close). */
        if (hd_cas_weak_seq_cst(&pool->idle, &idle, idle & ~bits_of(slot))) {
            note_leased(pool, slot);
            hd_handover_take(handover_of(pool, slot));
            return slot;
        }
    }
}

bool hd_slot_pool_take_idle(hd_slot_pool *pool, uint32_t slot)
{
    uint64_t idle = hd_load_relaxed(&pool->idle);
    while ((idle & bits_of(slot)) != 0 && !hd_load_relaxed(&pool->closed)) {
        /* seq_cst: as in try_take. A close that it misses waits until the slot is back. */
        if (hd_cas_weak_seq_cst(&pool->idle, &idle, idle & ~bits_of(slot))) {
            note_leased(pool, slot);
            return true;
        }
    }
    return false;
}

static void put_back(hd_slot_pool *pool, uint32_t slot, uint32_t shift)
{
    note_returned(pool, slot);
    hd_handover_give(handover_of(pool, slot));
    /* seq_cst: releases the stream to its next owner, and is ordered before the look at `waiting` and
     * `closed` that follows (pairs with those who wait, see serve). */
    uint64_t before = hd_add_seq_cst(&pool->idle, UINT64_C(1) << (slot + shift));
    HD_CHECK("ONCE.slot-returned-leased", (before & bits_of(slot)) == 0);
    (void)before;
}

static void leave_queue(hd_slot_pool *pool, hd_slot_waiter *waiter)
    HD_REQUIRES(&pool->mutex, hd_rank_slot_pool)
{
    hd_slot_waiter **link = &pool->first, *before = NULL;
    while (*link != waiter) {
        before = *link;
        link = &(*link)->next;
    }
    *link = waiter->next;
    if (pool->last == waiter) {
        pool->last = before;
    }
    hd_sub_relaxed(&pool->waiting, 1);
}

/* Hands idle slots to those who wait, first come first served. Behind one who does not get what it waits for the
 * spare alone is given away, to a run. */
static void serve(hd_slot_pool *pool) HD_REQUIRES(&pool->mutex, hd_rank_slot_pool)
{
    bool served = false;
    uint32_t left = EVERY_SLOT;
    hd_slot_waiter *waiter = pool->first;
    while (waiter != NULL && left != 0) {
        hd_slot_waiter *next = waiter->next;
        uint32_t slot = try_take(pool, HD_SLOT_NONE, waiter->allowed & left);
        if (slot == HD_SLOT_NONE) {
            left &= ~waiter->allowed;
        } else {
            leave_queue(pool, waiter);
            waiter->granted = slot;
            served = true;
        }
        waiter = next;
    }
    if (served || pool->closing > 0) {
        hd_condition_broadcast(&pool->changed);
    }
}

void hd_slot_pool_return(hd_slot_pool *pool, uint32_t slot)
{
    put_back(pool, slot, REMEMBERED_SHIFT);
    /* seq_cst: with put_back's add this is one half of a handshake. Either this thread sees that
     * somebody waits, or whoever begins to wait sees the slot. */
    if (hd_load_seq_cst(&pool->waiting) == 0 && !hd_load_seq_cst(&pool->closed)) {
        return;
    }
    pool_lock(pool);
    serve(pool);
    pool_unlock(pool);
}

void hd_slot_pool_forget(hd_slot_pool *pool, uint32_t slot)
{
    uint64_t idle = hd_load_relaxed(&pool->idle);
    uint64_t remembered = UINT64_C(1) << (slot + REMEMBERED_SHIFT);
    while ((idle & remembered) != 0) {
        /* acq_rel: passes on what the slot's last owner released. */
        if (hd_cas_weak_acq_rel(&pool->idle, &idle, (idle & ~remembered) | UINT64_C(1) << slot)) {
            return;
        }
    }
}

/* Waits in the queue. */
static hd_status lease_slowly(hd_slot_pool *pool, uint32_t allowed, uint64_t deadline,
                              const hd_stop *stop, uint32_t *out_slot)
{
    hd_slot_waiter self = {.next = NULL, .allowed = allowed, .granted = HD_SLOT_NONE};
    hd_status status = HD_OK;
    pool_lock(pool);
    if (pool->last == NULL) {
        pool->first = &self;
    } else {
        pool->last->next = &self;
    }
    pool->last = &self;
    hd_add_seq_cst(&pool->waiting, 1); /* the other half of the handshake in hd_slot_pool_return */
    serve(pool);
    while (self.granted == HD_SLOT_NONE) {
        if (hd_load_seq_cst(&pool->closed)) {
            status = HD_CLOSED;
        } else if (!hd_condition_wait_until(&pool->changed, &pool->mutex,
                                            hd_stop_next_look(stop, deadline)) &&
                   self.granted == HD_SLOT_NONE) {
            status = hd_stop_look(stop);
            if (status == HD_OK && (stop == NULL || hd_clock_now() >= deadline)) {
                status = HD_EXHAUSTED;
            }
        }
        if (status != HD_OK) {
            leave_queue(pool, &self);
            break;
        }
    }
    *out_slot = self.granted;
    pool_unlock(pool);
    return status;
}

static inline hd_status lease(hd_slot_pool *pool, uint32_t hint, uint32_t allowed,
                              uint64_t deadline, const hd_stop *stop, uint32_t *out_slot)
{
    hd_check_no_lock_held();
    *out_slot = HD_SLOT_NONE;
    if (hd_load_seq_cst(&pool->closed)) {
        return HD_CLOSED;
    }
    uint32_t slot = HD_SLOT_NONE;
    /* relaxed: whoever overtakes a queue that is just forming delays it by one lease. */
    bool is_behind = hd_load_relaxed(&pool->waiting) != 0;
    if (!is_behind) {
        slot = try_take(pool, hint, allowed);
    }
    if (slot == HD_SLOT_NONE) {
        /* The spare may be idle where others wait to be owners: the queue knows. */
        if (deadline == 0 && !(is_behind && (allowed & SPARE) != 0)) {
            return HD_EXHAUSTED;
        }
        hd_status status = lease_slowly(pool, allowed, deadline, stop, &slot);
        if (status != HD_OK) {
            return status;
        }
    }
    /* The second check: hd_slot_pool_close sets `closed` and then looks for leased slots; this thread
     * has leased and then looks at `closed`. One of the two sees the other. */
    if (hd_load_seq_cst(&pool->closed)) {
        hd_slot_pool_return(pool, slot);
        return HD_CLOSED;
    }
    *out_slot = slot;
    return HD_OK;
}

hd_status hd_slot_pool_lease(hd_slot_pool *pool, uint32_t hint, uint64_t deadline,
                             uint32_t *out_slot)
{
    return lease(pool, hint, SLOTS, deadline, NULL, out_slot);
}

hd_status hd_slot_pool_lease_for_run(hd_slot_pool *pool, uint32_t hint, uint64_t deadline,
                                     const hd_stop *stop, uint32_t *out_slot)
{
    return lease(pool, hint, EVERY_SLOT, deadline, stop, out_slot);
}

bool hd_slot_pool_is_closed(hd_slot_pool *pool)
{
    return hd_load_seq_cst(&pool->closed);
}

hd_slot_counts hd_slot_pool_count(hd_slot_pool *pool)
{
    uint64_t idle = hd_load_relaxed(&pool->idle);
    uint32_t is_free = (uint32_t)idle & SLOTS;
    uint32_t is_remembered = (uint32_t)(idle >> REMEMBERED_SHIFT) & SLOTS;
    HD_CHECK("SAFE.slot-free-or-remembered", (is_free & is_remembered) == 0);
    hd_slot_counts counts = {.free = (uint32_t)__builtin_popcount(is_free),
                             .remembered = (uint32_t)__builtin_popcount(is_remembered)};
    counts.leased = HD_STREAM_COUNT - 1 - counts.free - counts.remembered;
    return counts;
}

static bool all_returned(hd_slot_pool *pool)
{
    uint64_t idle = hd_load_seq_cst(&pool->idle);
    return ((idle | idle >> REMEMBERED_SHIFT) & EVERY_SLOT) == EVERY_SLOT;
}

void hd_slot_pool_refuse(hd_slot_pool *pool)
{
    /* seq_cst: ordered before the caller's look at what is leased; see hd_slot_pool_lease. */
    hd_store_seq_cst(&pool->closed, true);
}

hd_status hd_slot_pool_close(hd_slot_pool *pool, uint64_t deadline)
{
    hd_check_no_lock_held();
    hd_status status = HD_OK;
    hd_slot_pool_refuse(pool);
    pool_lock(pool);
    pool->closing++;
    hd_condition_broadcast(&pool->changed); /* those who wait for a slot find the pool closed */
    while (!all_returned(pool)) {
        if (!hd_condition_wait_until(&pool->changed, &pool->mutex, deadline) &&
            !all_returned(pool)) {
            status = HD_NOT_YET;
            break;
        }
    }
    pool->closing--;
    pool_unlock(pool);
    for (uint32_t slot = 0; status == HD_OK && slot < HD_STREAM_COUNT; slot++) {
        hd_handover_take(handover_of(pool, slot));
    }
    return status;
}
