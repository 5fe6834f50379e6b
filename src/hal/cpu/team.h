/* Team: the CPU's workers, and the protocol by which they help a caller with a command list.
 *
 * The caller computes its own list, step by step. Where a step has several tiles it publishes a ticket;
 * whoever moves one of its two ends owns that tile. Idle workers enter the jobs of callers as long as a
 * core is to spare: busy = callers computing + workers inside, and a worker enters only while
 * busy < cores and leaves when busy > cores, so that with as many callers as cores nobody helps.
 *
 * Protocol of a job (one a lane, it lives as long as the team):
 *   state   OPEN bit | WAITED bit | number of workers inside. A worker adds itself first and looks at
 *           OPEN then; the caller clears OPEN and then waits until the number is 0. So nobody reads a
 *           list that its caller has left (REUSE). Nobody inside ever blocks, so that wait is bounded
 *           (BOUND).
 *   ticket  step (16 bits) | front (24) | back (24): the tiles [front, back) of this step are still to
 *           be had. The caller takes them from the front, workers with an odd number from the back, so
 *           that from step to step a thread meets the rows that lie in its own caches. Taking is one
 *           compare-and-swap of the whole word: no tile is given out twice, none of another step.
 *   done    WAITED bit | tiles of this step that workers have finished. The caller leaves a step only
 *           when all its tiles are done, so a ticket never moves on under a tile in work.
 * A caller that waits spins for a while, then sets WAITED in that word and sleeps: a worker's next change
 * of the word sees the bit, and wakes it. So a caller that has the higher priority does not keep the worker
 * for which it waits from its core (BOUND).
 * Law: tiles of a step = those taken by the caller + done, when the step ends.
 *
 * Thread-safety: any thread; a job is used by one caller at a time. */
#ifndef HD_HAL_CPU_TEAM_H
#define HD_HAL_CPU_TEAM_H

#include "base/atomic.h"
#include "base/memory.h"
#include "base/mutex.h"
#include "base/stop.h"
#include "base/thread.h"
#include "hal/cpu/command_list.h"

#define HD_JOB_COUNT 64

typedef struct hd_cpu_job {
    _Alignas(HD_CACHE_LINE) _Atomic uint32_t state;
    const hd_cpu_command_list *list; /* valid for those inside while OPEN */
    unsigned char *scratch;
    size_t scratch_stride;
    const hd_stop *stop;  /* likewise; what those inside look at in long tiles */
    uint32_t spare_steps; /* the caller's: steps in a row that found a core to spare */
    _Alignas(HD_CACHE_LINE) _Atomic uint64_t ticket;
    _Alignas(HD_CACHE_LINE) _Atomic uint32_t done;
} hd_cpu_job;

typedef struct hd_cpu_team hd_cpu_team;

/* Starts core_count - 1 workers, or fewer when the system has no more threads: then the callers do more
 * themselves. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_cpu_team_create(uint32_t core_count, hd_cpu_team **out_team);

/* Ends the workers. No job may be open. Sets *team to NULL (NULL is allowed). */
void hd_cpu_team_destroy(hd_cpu_team **team) HD_WAITS;

/* Threads that may compute for one list: the caller and the workers. */
uint32_t hd_cpu_team_size(const hd_cpu_team *team);

/* Replays a bound list on the calling thread and whoever helps; returns HD_OK when all its steps are done, or, with
 * what it says, when `stop` (NULL: nothing) says to end, which the caller looks at before every step and tile of its
 * own, and behind the last: then it takes the tiles that are left itself, and computes none of them.
 * job: its number below HD_JOB_COUNT, used by no other thread meanwhile. scratch: hd_cpu_team_size pieces
 * of scratch_stride bytes. The caller has entered the run's float environment. */
HD_MUST_CHECK hd_status hd_cpu_team_run(hd_cpu_team *team, uint32_t job,
                                        const hd_cpu_command_list *list, unsigned char *scratch,
                                        size_t scratch_stride, const hd_stop *stop) HD_WAITS;

#endif
