/* Runners: the host's scheduler. In-order asynchronous queues, and the runners, one thread a core at most, that do
 * their work. A runner takes a queue that has work, does some of it, and puts the queue back behind the others; it
 * never waits for another queue: work that has to is parked. So any number of queues gets on with any number
 * of runners.
 *
 * State of a queue: idle (empty, nobody has it), ready (in the list of ready queues), running (one
 * runner has it, or the thread that drives it), parked (its first work waits to be resumed).
 * Law: a queue is in the list exactly while it is ready, so no two threads have it (SAFE); a queue that
 * has work is never idle (ONCE). A queue whose only work was taken back is ready until a runner finds it empty.
 *
 * Thread-safety: any thread. Ranks: queue (a queue's work and state), runners (the list of ready
 * queues). The runners start with the first work, on the cores on which the queues' creator ran. */
#ifndef HD_RUNTIME_RUNNERS_H
#define HD_RUNTIME_RUNNERS_H

#include <stdbool.h>

#include "base/rank.h"
#include "base/status.h"
#include "base/stop.h"
#include "hal/lane.h"

/* Work: what is handed to a queue. It belongs to the queue from the moment it is handed over until `run` has returned
 * that it is done; `run` is called by one thread at a time. */
typedef enum hd_work_result {
    HD_WORK_DONE,      /* the queue goes on; the work may be freed already */
    HD_WORK_DONE_LONG, /* likewise, but it took milliseconds: other queues come first */
    HD_WORK_SUBMITTED, /* the queue goes on; somebody else ends the work, which may be freed already */
    HD_WORK_PARKED     /* the queue rests until it is resumed, then calls `run` again */
} hd_work_result;

typedef struct hd_work {
    struct hd_work *next;
    /* runner: the number of the one that calls it, below HD_RUNNER_LIMIT; of work that its submitter drives 0. */
    hd_work_result (*run)(struct hd_work *work, uint32_t runner);
    /* Set to true, when the work is handed over, where its queue had nothing else to do: then no runner has been told, and
     * whoever hands it over calls hd_runners_drive. NULL: a runner does it in any case. */
    bool *drives;
} hd_work;

typedef struct hd_runners hd_runners;

/* HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_runners_create(uint32_t runner_count, uint32_t queue_count,
                                          hd_runners **out_queues);

/* Ends the runners. All queues must be empty, except for the work that runs when a runner itself calls
 * this: that runner ends when the work returns, and touches the queues no more. *queues may be NULL. */
void hd_runners_destroy(hd_runners **queues) HD_WAITS;

/* Makes sure that runners are there; before work is handed over. Fewer than asked for are enough.
 * HD_OUT_OF_MEMORY: there is none. */
HD_MUST_CHECK hd_status hd_runners_start(hd_runners *queues) HD_WAITS;

/* The same, where fewer would not do: whether as many are there as hd_runners_create was asked for. */
bool hd_runners_start_all(hd_runners *queues) HD_WAITS;

/* Appends work to queue `number`. Never waits, cannot fail. */
void hd_runners_submit(hd_runners *queues, uint32_t number, hd_work *work);

/* Does the work that the caller has handed over to an idle queue (hd_work.drives), on the caller's thread, and leaves what came
 * behind it to the runners. The caller keeps the queues alive. */
void hd_runners_drive(hd_runners *queues, uint32_t number) HD_WAITS;

/* Appends work to queue `number`, to which nobody else submits meanwhile, and waits until it is done: what it did
 * is visible then. The work may be on the caller's stack. False: `stop` (NULL: nothing) said to end before a runner
 * had begun; the work was taken back. */
HD_MUST_CHECK bool hd_runners_run(hd_runners *queues, uint32_t number, hd_work *work,
                                  const hd_stop *stop) HD_WAITS;

/* Lets a queue whose first work is parked, or is about to be, try again: once per parking. */
void hd_runners_resume(hd_runners *queues, uint32_t number);

/* Waits until each queue has been idle: all work submitted before the call has returned, and what it did
 * last is visible. For a time when nothing is submitted any more: a queue that always has work is never
 * idle. HD_NOT_YET: not before `deadline`. */
HD_MUST_CHECK hd_status hd_runners_drain(hd_runners *queues, uint64_t deadline) HD_WAITS;

#endif
