/* Reclaim: gives back what a device holds without need, before anyone is refused memory: arenas, command lists
 * and remembered plans of lanes on which nothing runs, plans that no run uses, of all the device's models, and
 * the allocator's free blocks. Whoever ran out of memory does so, holding no lock, and then tries again.
 *
 * A stream's lane is cleared by who has leased the stream, or as its lease. A runner's belongs to the runner while
 * its bit in `runners` is set, and else to who has set CLEARING, until that is cleared.
 * Law: a lane's owner is one: who sets its bit and sees CLEARING waits for the lock, under which alone CLEARING
 * stands; who sets CLEARING takes only those lanes whose bits it saw clear.
 *
 * Thread-safety: any thread. The lock has the rank reclaim; nothing waits under it. */
#ifndef HD_RUNTIME_RECLAIM_H
#define HD_RUNTIME_RECLAIM_H

#include "base/atomic.h"
#include "base/mutex.h"
#include "hal/lane.h"

struct hd_slot_pool;
struct hd_workspace;
struct hd_memory_account;
struct hd_allocator;

/* Something that keeps plans: a model. */
typedef struct hd_reclaim_source {
    struct hd_reclaim_source *next HD_GUARDED_BY(hd_rank_reclaim);
    bool is_listed; /* its owner's */
    /* Forgets what it keeps for a lane that is the caller's. */
    void (*drop_lane)(struct hd_reclaim_source *source, uint32_t lane);
    /* Drops the plans that nobody uses. */
    void (*drop_plans)(struct hd_reclaim_source *source);
} hd_reclaim_source;

typedef struct hd_reclaim {
    struct hd_slot_pool *slots;        /* constant */
    struct hd_workspace *workspaces;   /* constant: HD_LANE_COUNT of them */
    struct hd_unit *unit;              /* constant; whose memory the workspaces have */
    struct hd_memory_account *account; /* constant */
    struct hd_allocator *allocator;    /* constant */
    _Atomic uint64_t runners;          /* bit r: runner r computes; CLEARING */
    hd_mutex mutex;
    hd_reclaim_source *sources HD_GUARDED_BY(&mutex);
} hd_reclaim;

/* The constants are set. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_reclaim_init(hd_reclaim *reclaim);
void hd_reclaim_destroy(hd_reclaim *reclaim);

void hd_reclaim_add(hd_reclaim *reclaim, hd_reclaim_source *source);
/* Afterwards none of its functions is being called. */
void hd_reclaim_remove(hd_reclaim *reclaim, hd_reclaim_source *source);

/* A runner's lane is that runner's from enter to leave. */
void hd_reclaim_enter(hd_reclaim *reclaim, uint32_t lane);
void hd_reclaim_leave(hd_reclaim *reclaim, uint32_t lane);

/* Gives back all that is not in use; own_lane: the caller's, on which nothing runs any more, or HD_LANE_COUNT. */
void hd_reclaim_run(hd_reclaim *reclaim, uint32_t own_lane);

#endif
