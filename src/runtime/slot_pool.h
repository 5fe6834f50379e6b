/* Slot pool: which stream is whose. Slots 1 to 31 are leased for a run, or to an owner who may keep one for as long
 * as he likes; a thread remembers the last one that it had for a run. Slot 0, the default stream's, is nobody's to
 * keep; what a run needs of it (hal/lane.h) is the spare: leased for a run when no other slot is idle. So runs
 * get on, in turn, though owners hold all the others (BOUND).
 *
 * State: one 64-bit word, bit i: slot i is free; bit 32 + i: slot i is remembered, that is, idle but
 * dear to some thread, and any other thread may take it. A slot that is neither is leased.
 * Law: of slots 1 to 31, free + remembered + leased = 31, and no slot is free and remembered at once; the spare is
 * idle (either) or leased. Since the word says
 * of a leased slot nothing, builds with HD_DEBUG_CHECKS keep a second one, `leased`, by which who takes a
 * slot and who returns it check that it was what they took it for.
 *
 * Whose memory a slot is remembered in does not matter: a thread whose slot was taken finds its bit
 * clear, or set again by another, and either takes a slot that is idle or looks for one. So no owner
 * is stored, and a stale memory can do no damage.
 *
 * None idle: callers wait in a queue, first come first served; whoever returns a slot serves it. A
 * newcomer does not overtake a queue that it sees, so no waiter starves (BOUND). The spare goes to the first run
 * in the queue, also past those who wait to be owners, and nothing else does.
 *
 * Thread-safety: any thread. Lease and return are one compare-and-swap each while nobody waits. The
 * lock (rank slot_pool) is taken to wait and to serve waiters only. */
#ifndef HD_RUNTIME_SLOT_POOL_H
#define HD_RUNTIME_SLOT_POOL_H

#include "base/atomic.h"
#include "base/memory.h"
#include "base/mutex.h"
#include "base/stop.h"
#include "hal/lane.h"

#define HD_SLOT_NONE  UINT32_MAX
#define HD_SLOT_SPARE 0

typedef struct hd_slot_waiter {
    struct hd_slot_waiter *next HD_GUARDED_BY(hd_rank_slot_pool);
    uint32_t allowed HD_GUARDED_BY(hd_rank_slot_pool); /* bit i: slot i would do */
    /* HD_SLOT_NONE until a slot is handed over */
    uint32_t granted HD_GUARDED_BY(hd_rank_slot_pool);
} hd_slot_waiter;

typedef struct hd_slot_pool {
    _Alignas(HD_CACHE_LINE) _Atomic uint64_t idle;
    /* bit i: slot i, with HD_DEBUG_CHECKS; by its owner, from lease to return */
    _Atomic uint32_t leased;
    _Alignas(HD_CACHE_LINE) _Atomic uint32_t waiting; /* length of the queue, set under the lock */
    _Atomic bool closed;
    hd_mutex mutex;
    hd_condition changed; /* some waiter was served, or the pool was closed, or a slot came back */
    hd_slot_waiter *first HD_GUARDED_BY(&mutex);
    hd_slot_waiter *last HD_GUARDED_BY(&mutex);
    uint32_t closing HD_GUARDED_BY(&mutex); /* threads in hd_slot_pool_close */
} hd_slot_pool;

/* HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_slot_pool_init(hd_slot_pool *pool);
/* No thread may be inside; slots may still be leased. */
void hd_slot_pool_destroy(hd_slot_pool *pool);

/* Leases a slot from 1 to 31: the one in `hint` if it is idle, else (also with HD_SLOT_NONE: no wish) the idle
 * one with the lowest number. Waits until `deadline` (hd_clock_now's scale; 0: do not wait).
 * HD_EXHAUSTED: none came. HD_CLOSED. */
HD_MUST_CHECK hd_status hd_slot_pool_lease(hd_slot_pool *pool, uint32_t hint, uint64_t deadline,
                                           uint32_t *out_slot) HD_WAITS;

/* The same for a run, which gives it back when it ends: the spare, too, where no other is idle. What `stop` (NULL:
 * nothing) says ends the wait, too. */
HD_MUST_CHECK hd_status hd_slot_pool_lease_for_run(hd_slot_pool *pool, uint32_t hint,
                                                   uint64_t deadline, const hd_stop *stop,
                                                   uint32_t *out_slot) HD_WAITS;

/* Leases this slot if it is idle and the pool is open; whether it did. Never waits. */
bool hd_slot_pool_take_idle(hd_slot_pool *pool, uint32_t slot);

/* Gives a leased slot back: it is remembered where nobody waits for one. */
void hd_slot_pool_return(hd_slot_pool *pool, uint32_t slot);

/* Turns a remembered slot into a free one, for a thread that ends. Harmless for any other slot. */
void hd_slot_pool_forget(hd_slot_pool *pool, uint32_t slot);

/* Refuses all leases from now on. */
void hd_slot_pool_refuse(hd_slot_pool *pool);

/* Refuses all leases from now on and waits until no slot is leased. HD_NOT_YET: some still was at
 * `deadline`. May be called again. */
HD_MUST_CHECK hd_status hd_slot_pool_close(hd_slot_pool *pool, uint64_t deadline) HD_WAITS;

/* True once the pool refuses leases. */
bool hd_slot_pool_is_closed(hd_slot_pool *pool);

/* Numbers of slots without the spare, for the law and for statistics. */
typedef struct hd_slot_counts {
    uint32_t free;
    uint32_t remembered;
    uint32_t leased;
} hd_slot_counts;

hd_slot_counts hd_slot_pool_count(hd_slot_pool *pool);

#endif
