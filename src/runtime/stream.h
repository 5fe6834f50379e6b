/* Stream, inside: who owns a slot's stream, and the order of what is submitted to it.
 *
 * State, under the lock, in one word: the generation counts the owners and is part of the public handle, so
 * a handle that was released, or never given out, is refused; owned: between acquisition and release, or
 * the default stream; closed: the device was shut down.
 * Law: submitted - completed <= depth. A stream that was released goes back to the slot pool exactly once,
 * when all that was submitted is done: by the one who releases it, or by the one who does the last work.
 *
 * Thread-safety: any thread. The lock has the rank stream. */
#ifndef HD_RUNTIME_STREAM_H
#define HD_RUNTIME_STREAM_H

#include "base/mutex.h"
#include "hal/backend.h"
#include "heddle/stream.h"
#include "runtime/runners.h"
#include "runtime/slot_pool.h"
#include "runtime/timeline.h"

/* Generations fit into a public handle beside the slot's number and half of the device's serial. */
#define HD_STREAM_GENERATION_MASK UINT32_C(0x7FFFFFF)

typedef struct hd_stream_state {
    uint32_t number;       /* constant; of the slot; 0: the default stream */
    uint32_t queue_number; /* constant; the hardware queue that it submits to */
    uint32_t depth;        /* constant; work in flight at most */
    hd_runners *runners;   /* constant */
    hd_slot_pool *slots;   /* constant */
    hd_timeline timeline;  /* synchronized by itself */
    hd_mutex mutex;
    /* generation, closed, owned; hd_stream_check reads them without the lock. */
    _Atomic uint32_t ownership HD_GUARDED_BY(&mutex);
    /* It waits for its last work to go back to the pool. Set under the lock; seq_cst with the timeline,
     * so that the last work's end sees it (is_leaving), or whoever sets it sees that end. */
    _Atomic bool leaving HD_GUARDED_BY(&mutex);
} hd_stream_state;

/* A stream as one of its owners sees it. */
typedef struct hd_stream_ref {
    hd_stream_state *stream;
    uint32_t generation;
} hd_stream_ref;

/* Work of a stream. `work.run` must call hd_stream_complete once before it returns HD_WORK_DONE; on a device that is not
 * the host, by hd_device_watcher_end, since earlier work may be in flight. */
typedef struct hd_stream_work {
    hd_work work;
    hd_stream_state *stream; /* set by hd_stream_try_submit */
    uint64_t point;          /* likewise */
} hd_stream_work;

/* number, queue_number, depth, runners and slots are set. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_stream_init(hd_stream_state *stream);
void hd_stream_destroy(hd_stream_state *stream);

/* The stream's slot has been leased for an owner: gives out its generation. HD_CLOSED. */
HD_MUST_CHECK hd_status hd_stream_begin(hd_stream_state *stream, uint32_t *out_generation);

/* Ends an ownership: the slot goes back to the pool when the last work is done. HD_INVALID_ARGUMENT: it is
 * not that generation's, or it is the default stream. HD_CLOSED. */
HD_MUST_CHECK hd_status hd_stream_end(const hd_stream_ref *ref);

/* Refuses all that is submitted from now on, and ends the ownership if there is one. */
void hd_stream_close(hd_stream_state *stream);

/* Whether the handle is good, at the moment: HD_OK, HD_INVALID_ARGUMENT, HD_CLOSED. Takes no lock. */
HD_MUST_CHECK hd_status hd_stream_check(const hd_stream_ref *ref);

/* Gives work its point and its place in the queue. HD_EXHAUSTED: the stream is full; *out_wait is the
 * point to wait for. HD_INVALID_ARGUMENT, HD_CLOSED. */
HD_MUST_CHECK hd_status hd_stream_try_submit(const hd_stream_ref *ref, hd_stream_work *work,
                                             uint64_t *out_wait);

/* The work is done and touches the device no more: its point is reached. The caller keeps the device
 * alive until this returns. The work may be freed afterwards. */
void hd_stream_complete(hd_stream_work *work);

#endif
