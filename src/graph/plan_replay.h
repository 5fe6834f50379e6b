/* Plan replay: the steps of a plan, and the blocks of its parts, on a lane's arena. Warm, it allocates nothing and
 * takes no lock (FLAT).
 *
 * Thread-safety: a lane belongs to one thread at a time. */
#ifndef HD_GRAPH_PLAN_REPLAY_H
#define HD_GRAPH_PLAN_REPLAY_H

#include "base/rank.h"
#include "graph/plan.h"
#include "runtime/device.h"

/* Where a plan is replayed. */
typedef struct hd_replay {
    hd_device *device;
    uint32_t lane;
    uint64_t generation;                    /* of the lane's arenas */
    unsigned char *scratch[HD_PLACE_COUNT]; /* as many pieces as the unit there asks for */
    /* the last point of the lane's queue that is not waited for yet; 0: none, as it is at the
     * end */
    uint64_t *pending;
    bool
        leaves; /* what is pending at the end is the caller's to wait for, and to read the checks then */
    double *work_left;   /* see hd_plan; of the run */
    const hd_stop *stop; /* looked at in all that is replayed; NULL: nothing ends it */
    hd_error *error;
} hd_replay;

/* Computes a plan's steps. inputs, outputs: as its recipe's references have them; what no step writes to an
 * output in place is left to hd_plan_deliver. HD_OUT_OF_MEMORY: when something is recorded for the first time.
 * HD_INVALID_ARGUMENT: a step has found an index outside of its axis. HD_CANCELLED, HD_DEADLINE: it was stopped. */
HD_MUST_CHECK hd_status hd_plan_replay(const hd_replay *replay, hd_plan *plan,
                                       const hd_list_memory *memory, void *const *inputs,
                                       void *const *outputs) HD_WAITS;

/* Whether a replay is one launch, and the host has no part in it. */
bool hd_plan_is_launch(const hd_plan *plan);
/* Whether its list is there for a lane whose arenas are of that generation. */
bool hd_plan_is_recorded(const hd_plan *plan, uint32_t lane, uint64_t generation);

/* Copies the outputs that no step has written in place. HD_LOST, where some are in the device's memory. */
HD_MUST_CHECK hd_status hd_plan_deliver(const hd_plan *plan, const hd_list_memory *memory,
                                        void *const *inputs, void *const *outputs);

#endif
