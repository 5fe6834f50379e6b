/* Device queue: a hardware queue of a device with memory of its own, to which several lanes submit. A driver's queue
 * may be used by one thread at a time; so may the one of a backend (hal/backend.h).
 *
 * Law: one thread at a time is in the backend's submit (SAFE); points come in the order of submissions, one by one.
 *
 * Thread-safety: any thread. The lock has the rank device_queue; it is not held while a point is waited for. */
#ifndef HD_RUNTIME_DEVICE_QUEUE_H
#define HD_RUNTIME_DEVICE_QUEUE_H

#include "base/mutex.h"
#include "hal/backend.h"

typedef struct hd_device_queue {
    hd_unit *unit;   /* constant */
    hd_queue *queue; /* constant; the backend's, whose submit is called under the lock */
    hd_mutex mutex;
    uint64_t submitted HD_GUARDED_BY(&mutex); /* the last point */
} hd_device_queue;

/* Hardware queue `number` of the unit. HD_OUT_OF_MEMORY, HD_LOST. */
HD_MUST_CHECK hd_status hd_device_queue_init(hd_device_queue *self, hd_unit *unit, uint32_t number);
/* Waits for what was submitted; every submitter has returned. One that is all zero is none. */
void hd_device_queue_destroy(hd_device_queue *self) HD_WAITS;

/* Submits, and tells the launch's point. HD_LOST, HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_device_queue_submit(hd_device_queue *self, const hd_launch *launch,
                                               uint64_t *out_point);

/* The last point that is reached. A load. */
uint64_t hd_device_queue_reached(const hd_device_queue *self);

/* Asks the device about a point, without waiting for it: HD_OK: it is reached, HD_NOT_YET, HD_LOST: never, and what was
 * submitted touches no memory any more. */
HD_MUST_CHECK hd_status hd_device_queue_ask(hd_device_queue *self, uint64_t point) HD_WAITS;

/* Waits until a point is reached. HD_LOST: never; what was submitted touches no memory any more. */
HD_MUST_CHECK hd_status hd_device_queue_wait(hd_device_queue *self, uint64_t point) HD_WAITS;

#endif
