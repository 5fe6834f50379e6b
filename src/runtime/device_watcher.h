/* Device watcher: the thread that sees how far a device with memory of its own has come, and ends what was submitted to
 * it, so that no runner waits for a device.
 *
 * A flight is work of a stream that its runner has begun. Where the device has not done with it when the runner has, the
 * runner hands it over and goes on with the stream's next one; the thread lands it when the flight's point of the
 * hardware queue is reached, or never will be.
 *
 * Law: of each stream, begun = on its runner + handed over + landing. Flights of a stream land in the order in which they
 * were begun, each once (ONCE), and the stream's points are signalled in that order. While begun > 0 the stream's lane
 * (hal/lane.h), and what lies in a flight's host memory, is its flights' (REUSE): the lane goes back when the last one has
 * landed.
 *
 * Thread-safety: any thread; begin, host memory, await and end of a stream's work by the runner that has the stream's queue.
 * The lock has the rank device_watcher; nothing is landed, finished or asked of a device that might wait under it. */
#ifndef HD_RUNTIME_DEVICE_WATCHER_H
#define HD_RUNTIME_DEVICE_WATCHER_H

#include "base/once.h"
#include "base/thread.h"
#include "runtime/device_queue.h"
#include "runtime/reclaim.h"
#include "runtime/stream.h"
#include "runtime/workspace.h"

/* Memory of the host that is written when a flight lands. */
typedef struct hd_flight_write {
    const void *memory;
    size_t size;
} hd_flight_write;

typedef struct hd_flight {
    hd_stream_work work; /* first: the queue's pointer to it is the flight's */
    struct hd_flight *next HD_GUARDED_BY(hd_rank_device_watcher);
    /* of the lane's hardware queue: the device is done with it then; 0: it waits only for those before it */
    uint64_t point;
    hd_workspace_block host;       /* its own memory of place HOST, if any */
    const hd_flight_write *writes; /* constant once it is handed over, as the next */
    size_t write_count;
    /* The device has done with it, and those before it have landed; status: HD_OK, or HD_LOST. Under no lock. */
    void (*land)(struct hd_flight *flight, hd_status status);
    /* The stream's point is signalled, and the lane is not the flight's any more. May free it, and end the device. */
    void (*finish)(struct hd_flight *flight);
} hd_flight;

/* What is in flight of one stream. */
typedef struct hd_flight_line {
    hd_flight *first;
    hd_flight *last;
    hd_flight *landing;
    uint32_t begun;
    bool is_lost;     /* its hardware queue reaches no further point */
    size_t host_size; /* bytes of its flights' host memory */
} hd_flight_line;

typedef struct hd_device_watcher {
    hd_device_queue *
        queues; /* constant; the hardware queues; NULL: the unit is the host, there are no flights */
    uint32_t queue_count;       /* constant */
    hd_unit *unit;              /* constant */
    hd_memory_account *account; /* constant */
    hd_workspace *workspaces;   /* constant; by lane */
    hd_reclaim *reclaim;        /* constant; whose lanes of runners are the streams' */
    hd_once started;
    hd_thread thread; /* constant once `started` is */
    hd_mutex mutex;
    hd_condition posted; /* a flight was handed over, or the thread is to end */
    hd_condition landed; /* a flight has landed, or has ended */
    hd_flight_line lines[HD_STREAM_COUNT] HD_GUARDED_BY(&mutex);
    uint32_t listed HD_GUARDED_BY(&mutex);  /* bit s: stream s has handed over flights */
    uint32_t open HD_GUARDED_BY(&mutex);    /* handed over, and not ended yet */
    uint32_t waiting HD_GUARDED_BY(&mutex); /* threads that wait for `landed` */
    bool sleeping HD_GUARDED_BY(&mutex);
    bool stopping HD_GUARDED_BY(&mutex);
    bool *gone HD_GUARDED_BY(&mutex); /* on the thread's own stack */
} hd_device_watcher;

/* The constants are set. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_device_watcher_init(hd_device_watcher *self);

/* Ends the thread. Nothing is begun, except for the flight whose finish calls this: then the thread ends when that
 * returns, and touches *self no more. */
void hd_device_watcher_destroy(hd_device_watcher *self) HD_WAITS;

/* Makes sure that the thread is there; before flights are begun. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_device_watcher_start(hd_device_watcher *self) HD_WAITS;

/* The lane of a stream's flights. */
static inline uint32_t hd_lane_of_flights(uint32_t stream)
{
    return HD_STREAM_COUNT + stream;
}

/* A runner begins work of a stream: until it ends it, the stream's lane is its, and its earlier flights'. */
void hd_device_watcher_begin(hd_device_watcher *self, const hd_flight *flight);

/* Waits until those before it have landed: the lane is the caller's alone. */
void hd_device_watcher_await(hd_device_watcher *self, const hd_flight *flight) HD_WAITS;

/* Whether one of those before it writes to that memory when it lands. */
bool hd_device_watcher_is_written(hd_device_watcher *self, const hd_flight *flight,
                                  const void *memory, size_t size);

/* Gives the flight at least `size` bytes of host memory, which it keeps until it has landed. Waits for those before it
 * where they have too much. HD_OUT_OF_MEMORY, HD_LOST. */
HD_MUST_CHECK hd_status hd_device_watcher_reserve(hd_device_watcher *self, hd_flight *flight,
                                                  size_t size) HD_WAITS;

/* The runner has done with it. HD_WORK_DONE: so has the device, and it has landed and finished, and may be freed;
 * HD_WORK_SUBMITTED: it will. */
hd_work_result hd_device_watcher_end(hd_device_watcher *self, hd_flight *flight) HD_WAITS;

/* Waits until all that was handed over has finished. HD_NOT_YET: not before `deadline`. */
HD_MUST_CHECK hd_status hd_device_watcher_drain(hd_device_watcher *self,
                                                uint64_t deadline) HD_WAITS;

#endif
