/* Scenarios of asynchronous runs: the real model_async.c, model.c and future.c on the real device.c, with one
 * runner, and the callback thread where there is a callback. In place of what a run computes stands
 * hd_model_begin_on below (scenarios/model_run.c has the real one): it reads the input, keeps a plan in the model's memo, as a first run does, writes
 * the output, and, if it wins the outcome, the output's struct; all that without a lock or atomics, so whoever comes
 * too early, or too late for the model, the plan, the output or its struct, is found. */
#include "graph/run.h"

#include "device.h"

#include "../scenario.h"

#define RESULT 7

/* What a request has. */
#define HANDLE   1u
#define CALLBACK 2u
#define DEADLINE 4u

typedef struct async_state async_state;

typedef struct async_request {
    async_state *state;
    hd_future *future;
    hd_tensor output;
    uint32_t given;
    uint32_t result;
    bool calls_back;
    uint32_t called;
    hd_status told;
    _Atomic uint32_t has_been_called;
} async_request;

struct async_state {
    hd_device *device;
    hd_model *model;
    async_request requests[2];
    hd_status cancelled; /* what hd_future_cancel said */
    hd_status submitted;
    hd_future_callback *callback;
    bool ends_all;  /* the callback gives the last handles back */
    hd_mutex mutex; /* rank leaf; for the passing of time */
    hd_condition never;
};

/* ---- in place of the graph, its plans and their runs */

void hd_graph_destroy(hd_graph **graph)
{
    hd_free(*graph);
    *graph = NULL;
}

/* A model of a scenario has none. */
void hd_device_constants_unpack(hd_device *device, hd_packed *packed)
{
    (void)device, (void)packed;
}

void hd_device_constants_drop(hd_device_constants *self, hd_device *device)
{
    (void)self, (void)device;
}

hd_graph *hd_graph_clone(const hd_graph *graph)
{
    (void)graph;
    return hd_alloc_zero(1, sizeof(hd_graph));
}

uint64_t hd_graph_count_constants(const hd_graph *graph)
{
    (void)graph;
    return 0;
}

uint64_t hd_budget_of_load(const hd_model_options *options)
{
    (void)options;
    return 0;
}

void hd_budget_bring(uint64_t bytes)
{
    (void)bytes;
}

hd_status hd_model_prepare(hd_model *model, hd_error *error)
{
    (void)error;
    model->weight_size = 0;
    return HD_OK;
}

/* What the linker makes of a function that it was told to wrap: model_run.c's own stays what it is for the scenarios
 * of model_run.c. */
#define WRAP(name) __wrap_##name

hd_status WRAP(hd_model_begin_on)(hd_model *model, uint32_t lane, hd_left_run *left,
                                  const hd_stop *stop, const hd_tensor *inputs, size_t input_count,
                                  hd_tensor *outputs, size_t output_count, hd_error *error);
hd_status WRAP(hd_model_begin_on)(hd_model *model, uint32_t lane, hd_left_run *left,
                                  const hd_stop *stop, const hd_tensor *inputs, size_t input_count,
                                  hd_tensor *outputs, size_t output_count, hd_error *error)
{
    scenario_require("SAFE.host", left == NULL);
    hd_memo *memo = &model->memos[lane];
    if (memo->plans[0] == NULL) {
        memo->plans[0] = hd_alloc_zero(1, sizeof *memo->plans[0]);
        atomic_init(&memo->plans[0]->reference_count, 1);
        memo->plans[0]->device = model->device;
    }
    memo->plans[0]->serial++;
    scenario_require("SAFE.arguments", input_count == 1 && output_count == 1);
    *(uint32_t *)outputs[0].data = *(const uint32_t *)inputs[0].data;
    scenario_require("SAFE.model", model->graph != NULL && model->device != NULL);
    hd_status status = hd_stop_commit(stop);
    if (status != HD_OK) {
        return hd_stop_tell(status, error);
    }
    outputs[0].size = sizeof(uint32_t);
    return HD_OK;
}

/* ---- what the scenarios are made of */

static void end_handles(async_state *state)
{
    hd_model_destroy(&state->model);
    hd_device_destroy(&state->device);
}

static void note_outcome(void *context, hd_status status, const hd_error *error)
{
    async_request *request = context;
    scenario_require("ONCE.error-tells", status == HD_OK ? error == NULL : error->status == status);
    scenario_require("REUSE.result-seen", status != HD_OK || request->result == RESULT);
    scenario_require("ONCE.published",
                     request->output.size == (status == HD_OK ? sizeof(uint32_t) : 0));
    request->called++;
    request->told = status;
    if (request->state->ends_all) {
        end_handles(request->state);
    }
    hd_store_release(&request->has_been_called, 1);
}

static async_state *async_open(void)
{
    async_state *state = hd_alloc_zero(1, sizeof *state);
    state->callback = note_outcome;
    scenario_require("explorer", hd_mutex_init(&state->mutex, HD_RANK_leaf) == HD_OK);
    scenario_require("explorer", hd_condition_init(&state->never) == HD_OK);
    state->device = scenario_device_open(&scenario_backend, 1);
    hd_graph *graph = hd_alloc_zero(1, sizeof *graph);
    scenario_require("explorer",
                     hd_model_create(state->device, graph, NULL, &state->model, NULL) == HD_OK);
    hd_graph_destroy(&graph);
    for (uint32_t i = 0; i < 2; i++) {
        state->requests[i].state = state;
        state->requests[i].given = RESULT;
    }
    return state;
}

/* The device may end behind this, on the runner or on the callback thread. */
static void async_end(async_state *state)
{
    for (uint32_t i = 0; i < 2; i++) {
        hd_future_destroy(&state->requests[i].future);
    }
    end_handles(state);
    hd_condition_destroy(&state->never);
    hd_mutex_destroy(&state->mutex);
    hd_free(state);
}

static hd_status submit(async_state *state, uint32_t number, uint32_t with)
{
    async_request *request = &state->requests[number];
    hd_submit_options options = {.struct_size = sizeof options,
                                 .deadline_ms = (with & DEADLINE) != 0 ? 1 : 0,
                                 .callback = (with & CALLBACK) != 0 ? state->callback : NULL,
                                 .context = request};
    hd_tensor *input = hd_alloc_zero(1, sizeof *input);
    input->data = &request->given;
    request->output.data = &request->result;
    request->calls_back = (with & CALLBACK) != 0;
    hd_status status = hd_model_run_async(state->model, input, 1, &request->output, 1, &options,
                                          (with & HANDLE) != 0 ? &request->future : NULL, NULL);
    hd_free(input); /* the request has a copy */
    return status;
}

static async_state *open_and_submit(uint32_t with)
{
    async_state *state = async_open();
    scenario_require("ONCE.submitted", submit(state, 0, with) == HD_OK);
    return state;
}

static hd_status await(async_state *state, uint32_t number)
{
    async_request *request = &state->requests[number];
    hd_error error = {.status = HD_OK};
    hd_status status = hd_future_wait(request->future, UINT32_MAX, &error);
    scenario_require("ONCE.error-tells", error.status == status);
    scenario_require("REUSE.result-seen", status != HD_OK || request->result == RESULT);
    scenario_require("ONCE.published",
                     request->output.size == (status == HD_OK ? sizeof(uint32_t) : 0));
    if (!request->calls_back) { /* its memory is the caller's again */
        request->given = 0;
        request->result = status == HD_OK ? RESULT : 0;
    }
    return status;
}

static hd_status await_callback(async_state *state, uint32_t number)
{
    async_request *request = &state->requests[number];
    while (hd_load_acquire(&request->has_been_called) == 0) {
        hd_thread_yield();
    }
    scenario_require("ONCE.called-once", request->called == 1);
    return request->told;
}

/* ---- the end of a run */

/* The handles go while the request is in flight: what it needs lives until it has ended. */
static void end_against_handles(void)
{
    async_state *state = open_and_submit(HANDLE);
    end_handles(state);
    scenario_require("ONCE.one-outcome", await(state, 0) == HD_OK);
    async_end(state);
}

/* Who finds the future final finds the stream's point reached, too. */
static void final_means_complete(void)
{
    async_state *state = open_and_submit(HANDLE);
    scenario_require("ONCE.one-outcome", await(state, 0) == HD_OK);
    scenario_require("ONCE.complete-before-final",
                     hd_stream_synchronize(state->device, (hd_stream){0}, 0, NULL) == HD_OK);
    async_end(state);
}

/* Who finds the stream's point reached has the output, too. */
static void complete_means_written(void)
{
    async_state *state = open_and_submit(HANDLE);
    scenario_require("BOUND.complete", hd_stream_synchronize(state->device, (hd_stream){0},
                                                             UINT32_MAX, NULL) == HD_OK);
    scenario_require("REUSE.written-before-complete", state->requests[0].result == RESULT);
    async_end(state);
}

/* The callback gives the last handles back, perhaps while the submitter is still on its way out. */
static void callback_ends_all(void)
{
    async_state *state = async_open();
    state->ends_all = true;
    scenario_require("ONCE.submitted", submit(state, 0, CALLBACK) == HD_OK);
    scenario_require("ONCE.one-outcome", await_callback(state, 0) == HD_OK);
    async_end(state);
}

/* In the stream's order: the second finds the first one's output, and the runner's memo as it left it. */
static void two_in_order(void)
{
    async_state *state = open_and_submit(HANDLE);
    scenario_require("ONCE.submitted", submit(state, 1, HANDLE) == HD_OK);
    scenario_require("ONCE.one-outcome", await(state, 1) == HD_OK);
    scenario_require("SAFE.in-order", hd_future_wait(state->requests[0].future, 0, NULL) == HD_OK);
    scenario_require("SAFE.in-order", state->requests[0].result == RESULT);
    async_end(state);
}

/* Nothing was submitted: all that was taken for the request is given back. */
static void refused(void)
{
    async_state *state = async_open();
    scenario_require("BOUND.shutdown", hd_device_shutdown(state->device, 0, NULL) == HD_OK);
    scenario_require("ONCE.refused", submit(state, 0, HANDLE | CALLBACK) == HD_CLOSED);
    scenario_require("ONCE.refused", state->requests[0].future == NULL);
    async_end(state);
}

static void ask_to_shut_down(void *context, hd_status status, const hd_error *error)
{
    async_request *request = context;
    scenario_require("SAFE.busy", hd_device_shutdown(request->state->device, 0, NULL) == HD_BUSY);
    note_outcome(context, status, error);
}

/* A callback that waited for its device's end would wait for itself. */
static void shutdown_by_callback(void)
{
    async_state *state = async_open();
    state->callback = ask_to_shut_down;
    scenario_require("ONCE.submitted", submit(state, 0, CALLBACK) == HD_OK);
    scenario_require("ONCE.one-outcome", await_callback(state, 0) == HD_OK);
    async_end(state);
}

static void end_all_once_closed(void *context, hd_status status, const hd_error *error)
{
    async_request *request = context;
    while (hd_device_check_open(request->state->device, NULL) == HD_OK) {
        hd_thread_yield();
    }
    note_outcome(context, status, error);
}

/* The last handles go while a thread waits for the end of the shutdown. */
static void shutdown_outlives_handles(void)
{
    async_state *state = async_open();
    hd_device *device = state->device;
    state->callback = end_all_once_closed;
    state->ends_all = true;
    scenario_require("ONCE.submitted", submit(state, 0, CALLBACK) == HD_OK);
    scenario_require("BOUND.shutdown", hd_device_shutdown(device, UINT32_MAX, NULL) == HD_OK);
    scenario_require("ONCE.one-outcome", await_callback(state, 0) == HD_OK);
    async_end(state);
}

/* ---- pairs with a shutdown; scenarios/future.c has the others */

static void shut_down_unasked(void *argument)
{
    async_state *state = argument;
    scenario_require("BOUND.shutdown",
                     hd_device_shutdown(state->device, UINT32_MAX, NULL) == HD_OK);
}

/* A shutdown that answers HD_OK has seen every future final. */
static void shut_down(void *argument)
{
    async_state *state = argument;
    shut_down_unasked(state);
    if (state->requests[0].future != NULL) {
        scenario_require("ONCE.final-after-shutdown",
                         hd_future_wait(state->requests[0].future, 0, NULL) != HD_NOT_YET);
    }
}

/* Only the time of waits that end by it passes: afterwards every deadline has passed. */
static void pass_time(void *argument)
{
    async_state *state = argument;
    hd_mutex_lock(&state->mutex);
    hd_condition_wait_until(&state->never, &state->mutex, SCENARIO_LATER);
    hd_mutex_unlock(&state->mutex);
}

static void cancel(void *argument)
{
    async_state *state = argument;
    state->cancelled = hd_future_cancel(state->requests[0].future);
}

/* One outcome, told once by the callback, and it is the one that whoever asks finds. */
static void require_one_outcome(async_state *state, hd_status other)
{
    hd_status outcome = await_callback(state, 0);
    scenario_require("ONCE.one-outcome", outcome == HD_OK || outcome == other);
    scenario_outcome(outcome == HD_OK ? 0 : 1);
    if (state->requests[0].future != NULL) {
        scenario_require("ONCE.outcome-stands", await(state, 0) == outcome);
    }
}

static void complete_against_shutdown(void)
{
    async_state *state = open_and_submit(HANDLE | CALLBACK);
    shut_down(state);
    require_one_outcome(state, HD_OK);
    async_end(state);
}

static void cancel_and_shut_down(uint32_t with)
{
    async_state *state = open_and_submit(with);
    hd_thread thread;
    scenario_start(&thread, "shutdown", shut_down_unasked, state);
    cancel(state);
    hd_thread_join(&thread);
    hd_status outcome = await(state, 0);
    scenario_require("ONCE.one-outcome", outcome == HD_OK || outcome == HD_CANCELLED);
    scenario_require("ONCE.outcome-stands", outcome == state->cancelled);
    scenario_outcome(outcome == HD_OK ? 0 : 1);
    if ((with & CALLBACK) != 0) {
        scenario_require("ONCE.outcome-stands", await_callback(state, 0) == outcome);
    }
    async_end(state);
}

static void cancel_against_shutdown(void)
{
    cancel_and_shut_down(HANDLE);
}

static void cancel_and_callback(void)
{
    cancel_and_shut_down(HANDLE | CALLBACK);
}

/* The second waits behind the first, and is final at once; nothing of it is touched then. */
static void cancel_what_waits(void)
{
    async_state *state = open_and_submit(HANDLE);
    scenario_require("ONCE.submitted", submit(state, 1, HANDLE) == HD_OK);
    hd_status said = hd_future_cancel(state->requests[1].future);
    hd_status outcome = await(state, 1);
    scenario_require("ONCE.one-outcome", outcome == said);
    scenario_outcome(outcome == HD_OK                                              ? 0
                     : hd_future_wait(state->requests[0].future, 0, NULL) == HD_OK ? 1
                                                                                   : 2);
    scenario_require("ONCE.one-outcome", await(state, 0) == HD_OK);
    async_end(state);
}

/* Whoever cancels posts the callback, which may give all handles but the future's back before it is through. */
static void cancel_and_end_all(void)
{
    async_state *state = async_open();
    state->ends_all = true;
    scenario_require("ONCE.submitted", submit(state, 0, HANDLE | CALLBACK) == HD_OK);
    hd_status said = hd_future_cancel(state->requests[0].future);
    scenario_require("ONCE.one-outcome", await_callback(state, 0) == said);
    scenario_outcome(said == HD_OK ? 0 : 1);
    async_end(state);
}

static void deadline_against_shutdown(void)
{
    async_state *state = open_and_submit(HANDLE | CALLBACK | DEADLINE);
    hd_thread thread;
    scenario_start(&thread, "time", pass_time, state);
    shut_down(state);
    require_one_outcome(state, HD_DEADLINE);
    hd_thread_join(&thread);
    async_end(state);
}

static void detach_against_shutdown(void)
{
    async_state *state = open_and_submit(HANDLE | CALLBACK);
    hd_future *handle = state->requests[0].future;
    hd_thread thread;
    state->requests[0].future = NULL;
    scenario_start(&thread, "shutdown", shut_down, state);
    hd_future_destroy(&handle);
    hd_thread_join(&thread);
    require_one_outcome(state, HD_OK);
    async_end(state);
}

static void submit_against_shutdown(void)
{
    async_state *state = async_open();
    hd_thread thread;
    scenario_start(&thread, "shutdown", shut_down_unasked, state);
    hd_status status = submit(state, 0, HANDLE);
    hd_thread_join(&thread);
    scenario_outcome(status == HD_OK ? 0 : 1);
    if (status == HD_OK) {
        scenario_require("ONCE.final-after-shutdown",
                         hd_future_wait(state->requests[0].future, 0, NULL) == HD_OK);
    } else {
        scenario_require("ONCE.refused", status == HD_CLOSED && state->requests[0].future == NULL);
    }
    async_end(state);
}

const scenario scenarios_model_async[] = {
    {.name = "async.end-against-handles", .run = end_against_handles},
    {.name = "async.final-means-complete", .run = final_means_complete},
    {.name = "async.complete-means-written", .run = complete_means_written},
    {.name = "async.callback-ends-all", .run = callback_ends_all},
    {.name = "async.two-in-order", .run = two_in_order, .preemptions = 2, .old_loads = 1},
    {.name = "async.refused", .run = refused},
    {.name = "async.shutdown-by-callback", .run = shutdown_by_callback},
    {.name = "async.shutdown-outlives-handles", .run = shutdown_outlives_handles},
    {.name = "async.complete-against-shutdown", .run = complete_against_shutdown},
    {.name = "async.cancel-against-shutdown", .run = cancel_against_shutdown, .outcomes = 3},
    {.name = "async.cancel-and-callback", .run = cancel_and_callback, .outcomes = 3},
    {.name = "async.cancel-what-waits",
     .run = cancel_what_waits,
     .preemptions = 2,
     .old_loads = 1,
     .outcomes = 7},
    {.name = "async.cancel-and-end-all",
     .run = cancel_and_end_all,
     .preemptions = 2,
     .old_loads = 1,
     .outcomes = 3},
    {.name = "async.deadline-against-shutdown", .run = deadline_against_shutdown, .outcomes = 3},
    {.name = "async.detach-against-shutdown", .run = detach_against_shutdown},
    {.name = "async.submit-against-shutdown", .run = submit_against_shutdown, .outcomes = 3},
    {.name = NULL},
};
