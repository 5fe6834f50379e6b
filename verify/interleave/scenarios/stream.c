/* Scenarios of streams and submission: who owns a slot's stream, when its slot goes back, who is refused. Work
 * is put into a fake queue and done by the scenario's threads. `used` is touched by whoever owns the
 * stream, without a lock: an owner who comes too early, or an old one who is let in, is a data race. */
#include "runtime/stream.h"
#include "runtime/submission.h"

#include "../scenario.h"
#include "stand_in.h"

typedef struct stream_state {
    hd_slot_pool pool;
    hd_stream_state stream;
    hd_stream_ref owner;
    hd_stream_work work[3];
    hd_submission submission;
    uint32_t used;
    uint32_t recording;
} stream_state;

/* The scenario's threads keep the work themselves. */
static void take_work(hd_runners *runners, uint32_t number, hd_work *work)
{
    (void)runners, (void)number, (void)work;
}

static const scenario_stand_in served = {.submit = take_work};

/* The calls, for traces. */
static hd_status begin(stream_state *state, uint32_t *out_generation)
{
    scenario_event("calls begin");
    hd_status status = hd_stream_begin(&state->stream, out_generation);
    scenario_event("answers %d", (int)status);
    return status;
}

static hd_status end(const hd_stream_ref *ref)
{
    scenario_event("calls end %u", ref->generation);
    hd_status status = hd_stream_end(ref);
    scenario_event("answers %d", (int)status);
    return status;
}

static hd_status submit(stream_state *state, const hd_stream_ref *ref, uint32_t number)
{
    uint64_t wait;
    scenario_event("calls submit %u", ref->generation);
    hd_status status = hd_stream_try_submit(ref, &state->work[number], &wait);
    scenario_event("answers %d", (int)status);
    return status;
}

static void complete(stream_state *state, uint32_t number)
{
    state->used++;
    scenario_event("calls complete");
    hd_stream_complete(&state->work[number]);
    scenario_event("answers");
}

static void open_slot(stream_state *state)
{
    uint32_t slot;
    scenario_require("SAFE.slot",
                     hd_slot_pool_lease(&state->pool, 1, 0, &slot) == HD_OK && slot == 1);
    scenario_require("SAFE.begin", begin(state, &state->owner.generation) == HD_OK);
}

/* Slot 1 is owned; all others are leased for good, so that whoever wants a slot wants this one. */
static stream_state *stream_open(uint32_t depth, hd_sync_strategy strategy)
{
    stream_state *state = hd_alloc_aligned(sizeof *state);
    scenario_use_stand_in(&served);
    *state = (stream_state){.stream = {.number = 1, .depth = depth}};
    state->stream.slots = &state->pool;
    state->owner.stream = &state->stream;
    scenario_require("explorer", hd_slot_pool_init(&state->pool) == HD_OK &&
                                     hd_stream_init(&state->stream) == HD_OK &&
                                     hd_submission_init(&state->submission, strategy) == HD_OK);
    trace_name(&state->pool.idle, sizeof state->pool.idle, "idle");
    trace_name(&state->stream.ownership, sizeof state->stream.ownership, "ownership");
    trace_name(&state->stream.leaving, sizeof state->stream.leaving, "leaving");
    trace_name(&state->stream.timeline, sizeof state->stream.timeline, "timeline");
    trace_name(&state->stream, sizeof state->stream, "stream");
    trace_name(&state->used, sizeof state->used, "used");
    for (uint32_t i = 2; i < HD_STREAM_COUNT; i++) {
        uint32_t slot;
        scenario_require("explorer", hd_slot_pool_lease(&state->pool, i, 0, &slot) == HD_OK);
    }
    open_slot(state);
    return state;
}

/* returned: whether the slot must be back in the pool. */
static void stream_end(stream_state *state, bool returned)
{
    hd_slot_counts counts = hd_slot_pool_count(&state->pool);
    scenario_require("ONCE.slot-back", counts.free + counts.remembered == (returned ? 1 : 0));
    hd_submission_destroy(&state->submission);
    hd_stream_destroy(&state->stream);
    hd_slot_pool_destroy(&state->pool);
    hd_free(state);
}

static void complete_first(void *argument)
{
    stream_state *state = argument;
    complete(state, 0);
}

static void end_ownership(void *argument)
{
    stream_state *state = argument;
    hd_stream_ref ref = state->owner;
    hd_status status = end(&ref);
    scenario_require("SAFE.end", status == HD_OK || status == HD_CLOSED);
}

static void close_stream(void *argument)
{
    stream_state *state = argument;
    scenario_event("calls close");
    hd_stream_close(&state->stream);
    scenario_event("answers");
}

static void submit_and_complete(void *argument)
{
    stream_state *state = argument;
    hd_stream_ref ref = state->owner;
    hd_status status = submit(state, &ref, 1);
    scenario_require("SAFE.submit",
                     status == HD_OK || status == HD_INVALID_ARGUMENT || status == HD_CLOSED);
    if (status == HD_OK) {
        complete(state, 1);
    }
}

static void run_two(stream_state *state, void (*first)(void *), void (*second)(void *))
{
    hd_thread threads[2];
    scenario_start(&threads[0], "first", first, state);
    scenario_start(&threads[1], "second", second, state);
    hd_thread_join(&threads[0]);
    hd_thread_join(&threads[1]);
}

/* The last work ends while the owner leaves: the slot goes back once, and not before the work's end. */
static void end_against_completion(void)
{
    stream_state *state = stream_open(4, HD_SYNC_PER_ENCODER);
    scenario_require("SAFE.submit", submit(state, &state->owner, 0) == HD_OK);
    run_two(state, end_ownership, complete_first);
    stream_end(state, true);
}

static void submit_against_end(void)
{
    stream_state *state = stream_open(4, HD_SYNC_PER_ENCODER);
    run_two(state, end_ownership, submit_and_complete);
    stream_end(state, true);
}

static void close_against_end(void)
{
    stream_state *state = stream_open(4, HD_SYNC_PER_ENCODER);
    run_two(state, end_ownership, close_stream);
    scenario_require("SAFE.closed", hd_stream_check(&state->owner) == HD_CLOSED);
    stream_end(state, true);
}

static void close_against_completion(void)
{
    stream_state *state = stream_open(4, HD_SYNC_PER_ENCODER);
    scenario_require("SAFE.submit", submit(state, &state->owner, 0) == HD_OK);
    run_two(state, close_stream, complete_first);
    stream_end(state, true);
}

static void close_against_submit(void)
{
    stream_state *state = stream_open(4, HD_SYNC_PER_ENCODER);
    run_two(state, close_stream, submit_and_complete);
    stream_end(state, true);
}

/* Waits for the slot as the next owner, and has the stream to itself. */
static void own_next(void *argument)
{
    stream_state *state = argument;
    uint32_t slot, generation;
    scenario_require("BOUND.slot",
                     hd_slot_pool_lease(&state->pool, HD_SLOT_NONE, HD_FOREVER, &slot) == HD_OK);
    scenario_require("SAFE.begin", begin(state, &generation) == HD_OK);
    scenario_require("SAFE.generation", generation != state->owner.generation);
    state->used++;
    hd_stream_ref ref = {&state->stream, generation};
    scenario_require("SAFE.owner", submit(state, &ref, 2) == HD_OK);
    complete(state, 2);
    scenario_require("SAFE.end", end(&ref) == HD_OK);
}

/* The owner leaves with work in flight, and goes on using the handle. */
static void leave_and_go_on(void *argument)
{
    stream_state *state = argument;
    end_ownership(state);
    complete_first(state);
    hd_stream_ref ref = state->owner;
    if (submit(state, &ref, 1) == HD_OK) {
        complete(state, 1);
    }
}

static void old_handle_against_next_owner(void)
{
    stream_state *state = stream_open(4, HD_SYNC_PER_ENCODER);
    scenario_require("SAFE.submit", submit(state, &state->owner, 0) == HD_OK);
    run_two(state, leave_and_go_on, own_next);
    stream_end(state, true);
}

static void record(hd_stream_work *work)
{
    (void)work;
}

/* Under `global` recorders exclude each other, so what they share needs no lock of its own. */
static void record_alone(hd_stream_work *work)
{
    stream_state *state = (stream_state *)((char *)work->stream - offsetof(stream_state, stream));
    state->recording++;
}

static void submit_through(stream_state *state, uint32_t number)
{
    bool global = state->submission.strategy == HD_SYNC_GLOBAL;
    state->work[number].stream = &state->stream;
    scenario_require("BOUND.place",
                     hd_submission_submit(&state->submission, &state->owner, &state->work[number],
                                          global ? record_alone : record, HD_FOREVER) == HD_OK);
    state->used++; /* depth 1: the other has ended */
    hd_stream_complete(&state->work[number]);
}

static void submit_first(void *argument)
{
    submit_through(argument, 0);
}

static void submit_second(void *argument)
{
    submit_through(argument, 1);
}

static void two_submitters(hd_sync_strategy strategy)
{
    stream_state *state = stream_open(1, strategy);
    run_two(state, submit_first, submit_second);
    scenario_require("SAFE.used", state->used == 2);
    stream_end(state, false);
}

static void full_per_encoder(void)
{
    two_submitters(HD_SYNC_PER_ENCODER);
}

static void full_global(void)
{
    two_submitters(HD_SYNC_GLOBAL);
}

static void submit_third(void *argument)
{
    stream_state *state = argument;
    hd_stream_work *work = &state->work[2];
    work->stream = &state->stream;
    scenario_require("BOUND.place", hd_submission_submit(&state->submission, &state->owner, work,
                                                         record, HD_FOREVER) == HD_OK);
}

/* A full stream has a place as soon as its oldest work is done, though the other goes on. */
static void full_until_the_oldest(void)
{
    stream_state *state = stream_open(2, HD_SYNC_PER_ENCODER);
    uint64_t wait;
    hd_thread thread;
    scenario_require("SAFE.submit", submit(state, &state->owner, 0) == HD_OK &&
                                        submit(state, &state->owner, 1) == HD_OK);
    scenario_require("BOUND.full",
                     hd_stream_try_submit(&state->owner, &state->work[2], &wait) == HD_EXHAUSTED &&
                         wait == 1);
    scenario_start(&thread, "submitter", submit_third, state);
    hd_stream_complete(&state->work[0]);
    hd_thread_join(&thread);
    hd_stream_complete(&state->work[1]);
    hd_stream_complete(&state->work[2]);
    stream_end(state, false);
}

/* A place is waited for until the caller's limit. */
static void full_with_limit(void)
{
    stream_state *state = stream_open(1, HD_SYNC_PER_ENCODER);
    hd_thread thread;
    scenario_require("SAFE.submit", submit(state, &state->owner, 0) == HD_OK);
    scenario_start(&thread, "device", complete_first, state);
    hd_stream_work *work = &state->work[1];
    work->stream = &state->stream;
    hd_status status = SCENARIO_LIMITED(
        SCENARIO_LATER, HD_EXHAUSTED,
        hd_submission_submit(&state->submission, &state->owner, work, record, SCENARIO_LATER));
    scenario_require("BOUND.limited", status == HD_OK || status == HD_EXHAUSTED);
    scenario_outcome(status == HD_OK ? 0 : 1);
    hd_thread_join(&thread);
    if (status == HD_OK) {
        hd_stream_complete(work);
    }
    stream_end(state, false);
}

/* Handles of many owners ago are refused, until all generations that fit into a handle have had their turn. */
static void handles_of_long_ago(void)
{
    stream_state *state = stream_open(1, HD_SYNC_PER_ENCODER);
    hd_stream_ref first = state->owner;
    for (uint32_t i = 0; i < 70; i++) {
        scenario_require("SAFE.end", hd_stream_end(&state->owner) == HD_OK);
        open_slot(state);
        scenario_require("SAFE.old-handle", hd_stream_check(&first) == HD_INVALID_ARGUMENT);
    }
    stream_end(state, false);
}

/* The last generation that fits is followed by the first: no bit of it goes beyond a handle's. */
static void generations_wrap(void)
{
    stream_state *state = stream_open(1, HD_SYNC_PER_ENCODER);
    const uint32_t most = (UINT32_MAX - 31) / 32, before = most - 2;
    scenario_require("SAFE.end", hd_stream_end(&state->owner) == HD_OK);
    hd_store_relaxed(&state->stream.ownership, before << 2); /* as if so many had owned it */
    open_slot(state);
    for (uint32_t i = 0; i < 6; i++) {
        hd_stream_ref owner = state->owner;
        scenario_require("SAFE.generation", owner.generation == (i < 2 ? most - 1 + i : i - 2) &&
                                                hd_stream_check(&owner) == HD_OK);
        scenario_require("SAFE.end", hd_stream_end(&owner) == HD_OK);
        scenario_require("SAFE.old-handle", hd_stream_check(&owner) == HD_INVALID_ARGUMENT);
        open_slot(state);
        scenario_require("SAFE.old-handle", hd_stream_check(&owner) == HD_INVALID_ARGUMENT);
    }
    stream_end(state, false);
}

/* Shutdown: the pool refuses, the stream closes, and the slot is waited for. */
static void shut_down(void *argument)
{
    stream_state *state = argument;
    hd_slot_pool_refuse(&state->pool);
    scenario_event("calls close");
    hd_stream_close(&state->stream);
    scenario_event("answers");
}

static void acquire(void *argument)
{
    stream_state *state = argument;
    uint32_t slot, generation;
    hd_status status = hd_slot_pool_lease(&state->pool, HD_SLOT_NONE, 0, &slot);
    scenario_require("SAFE.lease",
                     status == HD_OK || status == HD_CLOSED || status == HD_EXHAUSTED);
    if (status != HD_OK) {
        return;
    }
    if (begin(state, &generation) != HD_OK) {
        hd_slot_pool_return(&state->pool, slot);
    }
}

/* Nobody who acquires a stream keeps it from a shutdown. */
static void shutdown_against_acquire(void)
{
    stream_state *state = stream_open(4, HD_SYNC_PER_ENCODER);
    scenario_require("SAFE.end", end(&state->owner) == HD_OK);
    run_two(state, shut_down, acquire);
    stream_end(state, true);
}

const scenario scenarios_stream[] = {
    {.name = "stream.end-against-completion", .run = end_against_completion},
    {.name = "stream.submit-against-end", .run = submit_against_end},
    {.name = "stream.close-against-end", .run = close_against_end},
    {.name = "stream.close-against-completion", .run = close_against_completion},
    {.name = "stream.close-against-submit", .run = close_against_submit},
    {.name = "stream.old-handle",
     .run = old_handle_against_next_owner,
     .preemptions = 3,
     .old_loads = 2},
    {.name = "stream.full-per-encoder", .run = full_per_encoder},
    {.name = "stream.full-global", .run = full_global},
    {.name = "stream.full-until-the-oldest", .run = full_until_the_oldest},
    {.name = "stream.full-with-limit", .run = full_with_limit, .outcomes = 3},
    {.name = "stream.handles-of-long-ago", .run = handles_of_long_ago},
    {.name = "stream.generations-wrap", .run = generations_wrap},
    {.name = "stream.shutdown-against-acquire", .run = shutdown_against_acquire},
    {.name = NULL},
};
