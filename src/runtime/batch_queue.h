/* Batch queue: a bounded queue of requests in front of workers, each of which collects as many of
 * one kind as its batch holds. What a request asks for is not known here.
 *
 * Order: the highest priority first, among equals the oldest. A worker takes the first request and
 * then, in that order, those of the same kind that fit; none overtakes one of its own kind that
 * does not fit. A worker whose batch is not full may wait for more: what comes and fits joins it at
 * once, and what comes and does not fit sends it off, unless an idle worker can take that.
 *
 * Full: who submits waits in line, first come first served; whoever makes room moves requests in
 * for them, so nobody overtakes the line (BOUND).
 *
 * Laws: submitted = ended + waiting + taken (ONCE: taken in once, ended once); waiting <= capacity;
 * nobody stands in line while there is room; no worker is idle while a request waits that nobody
 * was called for.
 *
 * Thread-safety: any thread; an hd_batch_worker is one thread's. The lock has the rank batch.
 * Each call takes it once; a lookup passes requests by as long as they are of other kinds, at
 * most `capacity`. */
#ifndef HD_RUNTIME_BATCH_QUEUE_H
#define HD_RUNTIME_BATCH_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mutex.h"

/* Part of whatever describes the request; the queue's from submission until a worker has it. */
typedef struct hd_batch_request {
    struct hd_batch_request *next;
    const void *kind; /* requests of the same kind can be in one batch; not read through */
    uint32_t rows;    /* at least 1; one with more than max_rows makes a batch of its own */
    int32_t priority;
} hd_batch_request;

typedef struct hd_batch_list {
    hd_batch_request *first;
    hd_batch_request *last;
    uint32_t count;
    uint64_t rows;
} hd_batch_list;

/* A worker's place. */
typedef struct hd_batch_worker {
    struct hd_batch_worker *next HD_GUARDED_BY(hd_rank_batch); /* of those idle, or collecting */
    hd_condition called;
    bool is_called HD_GUARDED_BY(hd_rank_batch);      /* out of either list, and to look around */
    hd_batch_list batch HD_GUARDED_BY(hd_rank_batch); /* what it has collected so far */
    uint32_t taken HD_GUARDED_BY(hd_rank_batch);      /* requests of the batch that it works on */
} hd_batch_worker;

/* Who waits for room. */
typedef struct hd_batch_submitter {
    struct hd_batch_submitter *next HD_GUARDED_BY(hd_rank_batch);
    hd_batch_request *request HD_GUARDED_BY(hd_rank_batch);
    bool is_in HD_GUARDED_BY(hd_rank_batch);
} hd_batch_submitter;

typedef struct hd_batch_queue {
    hd_mutex mutex;
    hd_condition changed; /* somebody was moved in, all has ended, or it was closed */
    uint32_t max_rows;    /* constant */
    uint32_t capacity;    /* constant */
    /* constant; nanoseconds that a worker waits for more than is there, or HD_FOREVER */
    uint64_t max_delay;
    /* constant; whether workers are to wait no longer; takes no lock */
    bool (*hurries)(const void *context);
    /* constant; for it. Asked every few milliseconds; NULL: never */
    const void *context;
    bool is_closed HD_GUARDED_BY(&mutex); /* nothing is taken in; what waits is still collected */
    bool is_ending HD_GUARDED_BY(&mutex); /* it is being destroyed */
    uint32_t watching HD_GUARDED_BY(&mutex); /* threads in hd_batch_queue_await */
    uint32_t standing HD_GUARDED_BY(&mutex); /* threads in line, and moved in but not gone yet */
    hd_batch_list waiting HD_GUARDED_BY(&mutex);
    hd_batch_submitter *first_in_line HD_GUARDED_BY(&mutex);
    hd_batch_submitter *last_in_line HD_GUARDED_BY(&mutex);
    hd_batch_worker *idle HD_GUARDED_BY(&mutex);
    hd_batch_worker *collecting HD_GUARDED_BY(&mutex);
    uint64_t submitted HD_GUARDED_BY(&mutex);
    uint64_t ended HD_GUARDED_BY(&mutex);
    uint64_t taken HD_GUARDED_BY(&mutex); /* collected, worked on, or cancelled and not yet ended */
} hd_batch_queue;

/* max_rows, capacity and max_delay are set. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_batch_queue_init(hd_batch_queue *queue);
/* Nothing may be pending, and nobody may come any more. Waits for those who have waited in the
 * queue and are still on their way out: what they waited for may have led to this call (SAFE). */
void hd_batch_queue_destroy(hd_batch_queue *queue) HD_WAITS;

/* HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_batch_worker_init(hd_batch_worker *worker);
void hd_batch_worker_destroy(hd_batch_worker *worker);

/* Takes a request in. When the queue is full, waits for room until `deadline` (hd_clock_now's
 * scale; 0: not at all). HD_EXHAUSTED: there was none. HD_CLOSED. */
HD_MUST_CHECK hd_status hd_batch_queue_submit(hd_batch_queue *queue, hd_batch_request *request,
                                              uint64_t deadline) HD_WAITS;

/* What the worker took last has ended. Waits for a request, and at most max_delay longer for
 * more of its kind, and writes the next batch to *out_batch; false: the queue is closed and
 * empty, the worker goes. */
bool hd_batch_queue_collect(hd_batch_queue *queue, hd_batch_worker *worker,
                            hd_batch_list *out_batch) HD_WAITS;

/* Refuses requests from now on. If `out_cancelled` is not NULL, all that waits, also in the
 * batches of workers that wait for more, is taken out to be ended by the caller, who then calls
 * hd_batch_queue_end. May be called again. */
void hd_batch_queue_close(hd_batch_queue *queue, hd_batch_list *out_cancelled);
void hd_batch_queue_end(hd_batch_queue *queue, uint32_t count);

/* Waits until all that was submitted has ended. HD_NOT_YET: not before `deadline`. */
HD_MUST_CHECK hd_status hd_batch_queue_await(hd_batch_queue *queue, uint64_t deadline) HD_WAITS;

typedef struct hd_batch_counts {
    uint64_t submitted;
    uint64_t ended;
    uint64_t waiting;
    uint64_t taken;
} hd_batch_counts;

hd_batch_counts hd_batch_queue_count(hd_batch_queue *queue);

#endif
