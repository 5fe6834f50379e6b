#include "runtime/submission.h"

static void submission_lock(hd_submission *submission)
    HD_ACQUIRE(&submission->mutex, hd_rank_submission) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&submission->mutex);
}

static void submission_unlock(hd_submission *submission)
    HD_RELEASE(&submission->mutex, hd_rank_submission) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_unlock(&submission->mutex);
}

hd_status hd_submission_init(hd_submission *submission, hd_sync_strategy strategy)
{
    submission->strategy = strategy;
    return hd_mutex_init(&submission->mutex, HD_RANK_submission);
}

void hd_submission_destroy(hd_submission *submission)
{
    hd_mutex_destroy(&submission->mutex);
}

static void record_nothing(hd_stream_work *work)
{
    (void)work;
}

static hd_status try_global(hd_submission *submission, const hd_stream_ref *stream,
                            hd_stream_work *work, void (*record)(hd_stream_work *),
                            uint64_t *out_wait)
{
    submission_lock(submission);
    record(work);
    hd_status status = hd_stream_try_submit(stream, work, out_wait);
    submission_unlock(submission);
    return status;
}

hd_status hd_submission_submit(hd_submission *submission, const hd_stream_ref *stream,
                               hd_stream_work *work, void (*record)(hd_stream_work *),
                               uint64_t deadline)
{
    record = record == NULL ? record_nothing : record;
    if (submission->strategy == HD_SYNC_PER_ENCODER) {
        record(work);
    }
    for (;;) {
        uint64_t point = 0;
        hd_status status = submission->strategy == HD_SYNC_GLOBAL
                               ? try_global(submission, stream, work, record, &point)
                               : hd_stream_try_submit(stream, work, &point);
        if (status != HD_EXHAUSTED) {
            return status;
        }
        /* Full: a place comes with the oldest work's end. Whoever comes first then has it. */
        if (hd_timeline_wait(&stream->stream->timeline, point, deadline) != HD_OK) {
            return HD_EXHAUSTED;
        }
    }
}
