#include "runtime/stream.h"

#include "base/check.h"

static void stream_lock(hd_stream_state *stream) HD_ACQUIRE(&stream->mutex, hd_rank_stream)
    HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&stream->mutex);
}

static void stream_unlock(hd_stream_state *stream) HD_RELEASE(&stream->mutex, hd_rank_stream)
    HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_unlock(&stream->mutex);
}

hd_status hd_stream_init(hd_stream_state *stream) HD_NO_THREAD_SAFETY_ANALYSIS
{
    stream->generation = 0;
    stream->owned = stream->number == 0;
    stream->closed = false;
    atomic_init(&stream->leaving, false);
    if (hd_timeline_init(&stream->timeline) != HD_OK) {
        return HD_OUT_OF_MEMORY;
    }
    if (hd_mutex_init(&stream->mutex, HD_RANK_stream) != HD_OK) {
        hd_timeline_destroy(&stream->timeline);
        return HD_OUT_OF_MEMORY;
    }
    return HD_OK;
}

void hd_stream_destroy(hd_stream_state *stream)
{
    hd_mutex_destroy(&stream->mutex);
    hd_timeline_destroy(&stream->timeline);
}

/* HD_OK when the handle is good. */
static hd_status check_owner(const hd_stream_state *stream, uint32_t generation)
    HD_REQUIRES(&stream->mutex)
{
    if (stream->closed) {
        return HD_CLOSED;
    }
    return stream->owned && stream->generation == generation ? HD_OK : HD_INVALID_ARGUMENT;
}

hd_status hd_stream_begin(hd_stream_state *stream, uint32_t *out_generation)
{
    stream_lock(stream);
    HD_CHECK("SAFE.stream-one-owner", !stream->owned && !hd_load_relaxed(&stream->leaving));
    hd_status status = stream->closed ? HD_CLOSED : HD_OK;
    if (status == HD_OK) {
        stream->owned = true;
        stream->generation = (stream->generation + 1) & HD_STREAM_GENERATION_MASK;
        *out_generation = stream->generation;
    }
    stream_unlock(stream);
    return status;
}

static bool is_drained(hd_stream_state *stream)
{
    return hd_timeline_reached(&stream->timeline, hd_timeline_submitted(&stream->timeline));
}

/* The stream has no owner: true when the caller is the one who gives its slot back. */
static bool claim_leaving(hd_stream_state *stream) HD_REQUIRES(&stream->mutex)
{
    if (!hd_load_relaxed(&stream->leaving) || !is_drained(stream)) {
        return false;
    }
    hd_store_relaxed(&stream->leaving, false);
    return true;
}

/* Ends the ownership; true when the slot is to be given back now. */
static bool leave(hd_stream_state *stream) HD_REQUIRES(&stream->mutex)
{
    stream->owned = false;
    /* seq_cst: ordered before the look at the timeline; see hd_stream_complete. */
    hd_store_seq_cst(&stream->leaving, true);
    return claim_leaving(stream);
}

hd_status hd_stream_end(const hd_stream_ref *ref)
{
    hd_stream_state *stream = ref->stream;
    bool returns = false;
    stream_lock(stream);
    hd_status status = check_owner(stream, ref->generation);
    if (status == HD_OK && stream->number == 0) {
        status = HD_INVALID_ARGUMENT;
    }
    if (status == HD_OK) {
        returns = leave(stream);
    }
    stream_unlock(stream);
    if (returns) {
        hd_slot_pool_return(stream->slots, stream->number);
    }
    return status;
}

void hd_stream_close(hd_stream_state *stream)
{
    stream_lock(stream);
    stream->closed = true;
    bool returns = stream->owned && stream->number != 0 && leave(stream);
    stream_unlock(stream);
    if (returns) {
        hd_slot_pool_return(stream->slots, stream->number);
    }
}

hd_status hd_stream_check(const hd_stream_ref *ref)
{
    stream_lock(ref->stream);
    hd_status status = check_owner(ref->stream, ref->generation);
    stream_unlock(ref->stream);
    return status;
}

hd_status hd_stream_try_submit(const hd_stream_ref *ref, hd_stream_work *work, uint64_t *out_wait)
{
    hd_stream_state *stream = ref->stream;
    work->stream = stream;
    stream_lock(stream);
    hd_status status = check_owner(stream, ref->generation);
    if (status == HD_OK) {
        uint64_t next = hd_timeline_submitted(&stream->timeline) + 1;
        *out_wait = next > stream->depth ? next - stream->depth : 0;
        if (!hd_timeline_reached(&stream->timeline, *out_wait)) {
            status = HD_EXHAUSTED;
        }
    }
    if (status == HD_OK) {
        work->point = hd_timeline_submit(&stream->timeline);
        stream->backend->queues_submit(stream->queues, stream->queue_number, &work->work);
    }
    stream_unlock(stream);
    return status;
}

void hd_stream_complete(hd_stream_work *work)
{
    hd_stream_state *stream = work->stream;
    hd_timeline_signal(&stream->timeline, work->point);
    /* seq_cst: with the timeline's store one half of a handshake. Either this thread sees that the stream
     * has no owner any more, or the one who ended the ownership saw the last work's end. */
    if (!hd_load_seq_cst(&stream->leaving)) {
        return;
    }
    stream_lock(stream);
    bool returns = claim_leaving(stream);
    stream_unlock(stream);
    if (returns) {
        hd_slot_pool_return(stream->slots, stream->number);
    }
}
