#include "stress_later.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A request, with all that it needs; belongs to whoever waits for it and to its callback. */
typedef struct request {
    shared_model *model; /* held */
    size_t rows;
    hd_future *future;
    atomic_int owners;
    bool was_cancelled, has_deadline, in_batch;
    hd_tensor output;
    unsigned char memory[];
} request;

static void end_request(request *request, hd_status outcome, const hd_error *error)
{
    if (outcome == HD_OK) {
        if (!has_bits(&request->output, &expected[request->model->kind][request->rows])) {
            complain("a later run's bits differ from those of one thread alone", NULL);
        }
    } else if (!(outcome == HD_CANCELLED && request->was_cancelled) &&
               !(outcome == HD_DEADLINE && request->has_deadline) &&
               !(outcome == HD_CLOSED && request->in_batch &&
                 atomic_load(&request->model->on->shut_down))) {
        complain("a later run", error);
    }
    if (atomic_fetch_sub(&request->owners, 1) == 1) {
        atomic_fetch_add(&later_runs, 1);
        atomic_fetch_add(&cancelled, outcome == HD_CANCELLED);
        atomic_fetch_add(&late, outcome == HD_DEADLINE);
        release_model(request->model); /* perhaps the last one, on a callback thread */
        free(request);
    }
}

static void call_back(void *context, hd_status outcome, const hd_error *error)
{
    end_request(context, outcome, error);
}

bool went_well(const char *what, hd_status status, const shared_model *held, const hd_error *error)
{
    if (status != HD_OK && status != HD_EXHAUSTED &&
        (status != HD_CLOSED || !atomic_load(&held->on->shut_down))) {
        complain(what, error);
    }
    return status == HD_OK;
}

static void wait_for(request *request, uint64_t *state)
{
    hd_error error;
    hd_status outcome = HD_NOT_YET;
    while (outcome == HD_NOT_YET) {
        outcome =
            hd_future_wait(request->future, draw(state) % 4 == 0 ? HD_WAIT_FOREVER : 1, &error);
    }
    hd_future_destroy(&request->future);
    end_request(request, outcome, &error);
}

/* Takes the caller's hold of the model over. The request, if the caller is to wait for it. */
static request *submit(shared_model *held, hd_stream stream, uint64_t *state)
{
    size_t rows = 1 + draw(state) % ROW_LIMIT;
    const hd_tensor *wanted = &expected[held->kind][rows];
    request *request = calloc(1, sizeof *request + wanted->size);
    if (request == NULL) {
        release_model(held);
        return NULL;
    }
    bool calls_back = draw(state) % 2 == 0, waits = !calls_back || draw(state) % 2 == 0;
    hd_submit_options options = {
        .struct_size = sizeof options, .stream = stream, .context = request};
    options.callback = calls_back ? call_back : NULL;
    options.deadline_ms = draw(state) % 8 == 0 ? 1 : 0;
    options.wait_ms = draw(state) % 4 == 0 ? HD_NO_WAIT : 0;
    request->model = held;
    request->rows = rows;
    request->has_deadline = options.deadline_ms != 0;
    request->was_cancelled = waits && draw(state) % 6 == 0;
    request->output = (hd_tensor){.data = request->memory, .size = wanted->size};
    atomic_store(&request->owners, (int)calls_back + (int)waits);
    hd_tensor input = rows_of(inputs, rows);
    hd_error error;
    hd_future *future = NULL;
    hd_future **out_future = waits ? &future : NULL;
    request->in_batch = held->batch != NULL && draw(state) % 2 == 0;
    hd_status status = request->in_batch
                           ? hd_batch_submit(held->batch, &input, 1, &request->output, 1, &options,
                                             out_future, &error)
                           : hd_model_run_async(held->model, &input, 1, &request->output, 1,
                                                &options, out_future, &error);
    if (!went_well("submitting a run", status, held, &error)) {
        free(request);
        release_model(held);
        return NULL;
    }
    if (!waits) {
        return NULL; /* it may be gone */
    }
    request->future = future;
    if (request->was_cancelled) {
        hd_future_cancel(future);
    }
    return request;
}

static bool acquire(shared_model *held, hd_stream *out_stream, uint64_t *state)
{
    hd_error error;
    return went_well(
        "acquiring a stream",
        hd_stream_acquire(held->on->device, (uint32_t)(draw(state) % 3), out_stream, &error), held,
        &error);
}

static void release(shared_model *held, hd_stream stream)
{
    hd_error error;
    (void)went_well("releasing a stream", hd_stream_release(held->on->device, stream, &error), held,
                    &error);
}

void run_some_model_later(uint64_t *state)
{
    shared_model *held = hold_model(draw(state) % MODELS);
    if (held == NULL) {
        return;
    }
    hd_stream stream = {0};
    bool own = draw(state) % 2 == 0 && acquire(held, &stream, state);
    request *waiting[6];
    size_t count = draw(state) % 7;
    for (size_t i = 0; i < count; i++) {
        atomic_fetch_add(&held->holders, 1);
        waiting[i] = submit(held, own ? stream : (hd_stream){0}, state);
    }
    if (own) {
        release(held, stream); /* with work in flight, perhaps */
    }
    for (size_t i = 0; i < count; i++) {
        if (waiting[i] != NULL) {
            wait_for(waiting[i], state);
        }
    }
    release_model(held);
}

/* One run's output is the next one's input, on another stream, in the order that an event makes. */
static void chain_on(shared_model *held, const hd_stream *streams, void *block, size_t rows)
{
    hd_tensor between = rows_of(block, rows);
    between.place = HD_TENSOR_DEVICE;
    hd_tensor output = rows_of(malloc(between.size), rows);
    hd_tensor first = rows_of(inputs, rows), second = between;
    hd_submit_options options = {.struct_size = sizeof options, .stream = streams[0]};
    hd_future *futures[2] = {NULL, NULL};
    hd_event *event = NULL;
    hd_error error;
    bool good =
        output.data != NULL &&
        went_well("making an event", hd_event_create(held->on->device, &event, &error), held,
                  &error) &&
        went_well(
            "a chain's first run",
            hd_model_run_async(held->model, &first, 1, &between, 1, &options, &futures[0], &error),
            held, &error) &&
        went_well("recording", hd_event_record(event, streams[0], HD_WAIT_FOREVER, &error), held,
                  &error) &&
        went_well("waiting", hd_event_wait_on_stream(event, streams[1], HD_WAIT_FOREVER, &error),
                  held, &error);
    hd_event_destroy(&event); /* while it is recorded, and waited for */
    options.stream = streams[1];
    good = good && went_well("a chain's second run",
                             hd_model_run_async(held->model, &second, 1, &output, 1, &options,
                                                &futures[1], &error),
                             held, &error);
    /* In the stream's order: the device is done with the block before another has it (REUSE). */
    hd_device *device = held->on->device;
    if (hd_memory_record_stream(device, block, streams[1], &error) != HD_OK ||
        hd_memory_free(device, block, &error) != HD_OK) {
        complain("freeing a block", &error);
    }
    for (size_t i = 0; i < 2; i++) {
        if (futures[1 - i] != NULL &&
            hd_future_wait(futures[1 - i], HD_WAIT_FOREVER, &error) != HD_OK) {
            complain("a run of a chain", &error);
        }
        hd_future_destroy(&futures[1 - i]);
    }
    if (good && !has_bits(&output, &expected_twice[held->kind][rows])) {
        complain("a chain's bits differ from those of one thread alone", NULL);
    }
    atomic_fetch_add(&chains, good);
    free(output.data);
}

void chain_some_model(uint64_t *state)
{
    shared_model *held = hold_model(draw(state) % MODELS);
    hd_stream streams[2] = {{0}, {0}};
    if (held != NULL && held->kind < CHAIN_KINDS) {
        bool own = acquire(held, &streams[0], state);
        bool second = draw(state) % 2 == 0 && acquire(held, &streams[1], state);
        streams[0].value = own ? streams[0].value : 0;
        streams[1].value = second ? streams[1].value : 0;
        size_t rows = 1 + draw(state) % ROW_LIMIT;
        void *block;
        hd_error error;
        if (went_well("allocating",
                      hd_memory_allocate(held->on->device, streams[0], rows * width * sizeof(float),
                                         (uint32_t)(draw(state) % 2), &block, &error),
                      held, &error)) {
            chain_on(held, streams, block, rows);
        }
        if (own) {
            release(held, streams[0]);
        }
        if (second) {
            release(held, streams[1]);
        }
    }
    release_model(held);
}
