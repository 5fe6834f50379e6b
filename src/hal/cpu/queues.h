/* Queues: the CPU's in-order asynchronous queues, and the runners, one thread a core at most, that do their
 * work. A runner takes a queue that has work, does some of it, and puts the queue back behind the others; it
 * never waits for another queue: work that has to is parked. So any number of queues gets on with any number
 * of runners.
 *
 * State of a queue: idle (empty, nobody has it), ready (in the list of ready queues), running (one
 * runner has it), parked (its first work waits to be resumed).
 * Law: a queue is in the list exactly while it is ready, so no two runners have it (SAFE); a queue that
 * has work is never idle (ONCE). A queue whose only work was taken back is ready until a runner finds it empty.
 *
 * Thread-safety: any thread. Ranks: queue (a queue's work and state), runners (the list of ready
 * queues). The runners start with the first work, on the cores on which the queues' creator ran. */
#ifndef HD_HAL_CPU_QUEUES_H
#define HD_HAL_CPU_QUEUES_H

#include <stdbool.h>

#include "base/status.h"
#include "base/rank.h"
#include "base/stop.h"
#include "hal/work.h"

typedef struct hd_queues hd_queues;

/* HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_queues_create(uint32_t runner_count, uint32_t queue_count,
                                         hd_queues **out_queues);

/* Ends the runners. All queues must be empty, except for the work that runs when a runner itself calls
 * this: that runner ends when the work returns, and touches the queues no more. *queues may be NULL. */
void hd_queues_destroy(hd_queues **queues) HD_WAITS;

/* Makes sure that runners are there; before work is handed over. Fewer than asked for are enough.
 * HD_OUT_OF_MEMORY: there is none. */
HD_MUST_CHECK hd_status hd_queues_start(hd_queues *queues) HD_WAITS;

/* The same, where fewer would not do: whether as many are there as hd_queues_create was asked for. */
bool hd_queues_start_all(hd_queues *queues) HD_WAITS;

/* Appends work to queue `number`. Never waits, cannot fail. */
void hd_queues_submit(hd_queues *queues, uint32_t number, hd_work *work);

/* Appends work to queue `number`, to which nobody else submits meanwhile, and waits until it is done: what it did
 * is visible then. The work may be on the caller's stack. False: `stop` (NULL: nothing) said to end before a runner
 * had begun; the work was taken back. */
HD_MUST_CHECK bool hd_queues_run(hd_queues *queues, uint32_t number, hd_work *work,
                                 const hd_stop *stop) HD_WAITS;

/* Lets a queue whose first work is parked, or is about to be, try again: once per parking. */
void hd_queues_resume(hd_queues *queues, uint32_t number);

/* Waits until each queue has been idle: all work submitted before the call has returned, and what it did
 * last is visible. For a time when nothing is submitted any more: a queue that always has work is never
 * idle. HD_NOT_YET: not before `deadline`. */
HD_MUST_CHECK hd_status hd_queues_drain(hd_queues *queues, uint64_t deadline) HD_WAITS;

#endif
