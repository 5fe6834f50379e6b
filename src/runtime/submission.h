/* Submission: how threads share what records and submits work, by one of two strategies.
 *   per-encoder (the default)  a request is recorded by the thread that owns it, under no lock; only the
 *                              moment that fixes its place in the order is serialized, a stream at a time
 *   global                     one lock a device around recording and submitting
 * The strategies that do not hold (per-stream, per-op, rw) live in verify/ only.
 *
 * Thread-safety: any thread. The lock has the rank submission and is taken by `global` only. */
#ifndef HD_RUNTIME_SUBMISSION_H
#define HD_RUNTIME_SUBMISSION_H

#include "base/mutex.h"
#include "heddle/device.h"
#include "runtime/stream.h"

typedef struct hd_submission {
    hd_sync_strategy strategy; /* constant */
    hd_mutex mutex;            /* for recording only: keeps recorders apart */
} hd_submission;

/* HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_submission_init(hd_submission *submission, hd_sync_strategy strategy);
void hd_submission_destroy(hd_submission *submission);

/* Records work (record(work); NULL: nothing to record) and submits it to a stream, as hd_stream_submit
 * says; waits for a place until `deadline` (0: not at all). */
HD_MUST_CHECK hd_status hd_submission_submit(hd_submission *submission, const hd_stream_ref *stream,
                                             hd_stream_work *work, void (*record)(hd_stream_work *),
                                             uint64_t deadline) HD_WAITS;

#endif
