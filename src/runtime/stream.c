#include "runtime/stream.h"

#include "base/check.h"

/* Bits of hd_stream_state.ownership; the generation stands above them. */
#define OWNED      UINT32_C(1)
#define CLOSED     UINT32_C(2)
#define GENERATION UINT32_C(4)

static void stream_lock(hd_stream_state *stream)
    HD_ACQUIRE(&stream->mutex, hd_rank_stream) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&stream->mutex);
}

static void stream_unlock(hd_stream_state *stream)
    HD_RELEASE(&stream->mutex, hd_rank_stream) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_unlock(&stream->mutex);
}

hd_status hd_stream_init(hd_stream_state *stream) HD_NO_THREAD_SAFETY_ANALYSIS
{
    atomic_init(&stream->ownership, stream->number == 0 ? OWNED : 0);
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

/* relaxed, as all of its stores: the word orders no data, and is written under the lock only. */
static uint32_t get_ownership(const hd_stream_state *stream) HD_REQUIRES(&stream->mutex)
{
    return hd_load_relaxed(&stream->ownership);
}

/* HD_OK when the handle is good. */
static hd_status check_owner(const hd_stream_state *stream, uint32_t generation)
    HD_REQUIRES(&stream->mutex)
{
    uint32_t ownership = get_ownership(stream);
    if ((ownership & CLOSED) != 0) {
        return HD_CLOSED;
    }
    return ownership == generation * GENERATION + OWNED ? HD_OK : HD_INVALID_ARGUMENT;
}

hd_status hd_stream_begin(hd_stream_state *stream, uint32_t *out_generation)
{
    stream_lock(stream);
    uint32_t ownership = get_ownership(stream);
    HD_CHECK("SAFE.stream-one-owner",
             (ownership & OWNED) == 0 && !hd_load_relaxed(&stream->leaving));
    hd_status status = (ownership & CLOSED) != 0 ? HD_CLOSED : HD_OK;
    if (status == HD_OK) {
        *out_generation = (ownership / GENERATION + 1) & HD_STREAM_GENERATION_MASK;
        hd_store_relaxed(&stream->ownership, *out_generation * GENERATION + OWNED);
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
    hd_store_relaxed(&stream->ownership, get_ownership(stream) & ~OWNED);
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
    uint32_t ownership = get_ownership(stream);
    hd_store_relaxed(&stream->ownership, ownership | CLOSED);
    bool returns = (ownership & OWNED) != 0 && stream->number != 0 && leave(stream);
    stream_unlock(stream);
    if (returns) {
        hd_slot_pool_return(stream->slots, stream->number);
    }
}

hd_status hd_stream_check(const hd_stream_ref *ref) HD_NO_THREAD_SAFETY_ANALYSIS
{
    /* One atomic word tells all, and with the lock the answer would be as old by the time it is used. */
    return check_owner(ref->stream, ref->generation);
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
        HD_CHECK("BOUND.stream-depth",
                 work->point <= stream->depth ||
                     hd_timeline_reached(&stream->timeline, work->point - stream->depth));
        hd_runners_submit(stream->runners, stream->queue_number, &work->work);
    }
    stream_unlock(stream);
    return status;
}

/* A look without the lock. seq_cst: with the timeline's store one half of a handshake. Either this thread
 * sees that the stream has no owner any more, or the one who ended the ownership saw the last work's end. */
static bool is_leaving(hd_stream_state *stream) HD_NO_THREAD_SAFETY_ANALYSIS
{
    return hd_load_seq_cst(&stream->leaving);
}

void hd_stream_complete(hd_stream_work *work)
{
    hd_stream_state *stream = work->stream;
    hd_timeline_signal(&stream->timeline, work->point);
    if (!is_leaving(stream)) {
        return;
    }
    stream_lock(stream);
    bool returns = claim_leaving(stream);
    stream_unlock(stream);
    if (returns) {
        hd_slot_pool_return(stream->slots, stream->number);
    }
}
