/* Work: what is handed to an in-order queue of a device.
 *
 * Thread-safety: belongs to the queue from the moment it is handed over until `run` has returned
 * that it is done; `run` is called by one thread at a time. */
#ifndef HD_HAL_WORK_H
#define HD_HAL_WORK_H

#include <stdint.h>

typedef enum hd_work_result {
    HD_WORK_DONE,      /* the queue goes on; the work may be freed already */
    HD_WORK_DONE_LONG, /* likewise, but it took milliseconds: other queues come first */
    HD_WORK_PARKED     /* the queue rests until it is resumed, then calls `run` again */
} hd_work_result;

typedef struct hd_work {
    struct hd_work *next;
    /* runner: the number of the one that calls it, below HD_RUNNER_LIMIT. */
    hd_work_result (*run)(struct hd_work *work, uint32_t runner);
} hd_work;

#endif
