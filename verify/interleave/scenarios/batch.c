/* Scenarios of batches: the real batch.c and batch_kind.c on the real device.c, with one worker, and the
 * callback thread where there is a callback. In place of binding, stacking and the run stand the functions
 * below: a run reads the input and writes the output, without a lock or atomics, and is refused by a
 * device that was shut down. */
#include "heddle/batch.h"

#include "device.h"
#include "graph/batch_stack.h"
#include "graph/binding.h"

#include "../scenario.h"

#define RESULT 9

typedef struct batch_state {
    hd_device *device;
    hd_model *model;
    hd_batch *batch;
    hd_block root;
    hd_value value;
    hd_graph_value description;
    hd_future *futures[2];
    hd_tensor outputs[2];
    uint32_t given[2];
    uint32_t results[2];
    uint32_t called;
    bool destroys; /* the callback destroys the batch */
    hd_status told;
    hd_status shut_down;
    _Atomic uint32_t has_been_called;
} batch_state;

/* ---- in place of binding, stacking and runs */

hd_status hd_bind_inputs(const hd_model *model, const hd_tensor *inputs, size_t count,
                         const hd_tensor **found, hd_error *error)
{
    (void)model, (void)error;
    scenario_require("SAFE.arguments", count == 1);
    found[0] = &inputs[0];
    return HD_OK;
}

hd_status hd_bind_outputs(const hd_model *model, hd_tensor *outputs, size_t count,
                          hd_tensor **found, hd_error *error)
{
    (void)model, (void)error;
    scenario_require("SAFE.arguments", count == 1);
    found[0] = &outputs[0];
    return HD_OK;
}

hd_status hd_batch_stack_init(hd_batch_stack *stack, hd_model *model)
{
    stack->model = model;
    return HD_OK;
}

void hd_batch_stack_clear(hd_batch_stack *stack)
{
    stack->model = NULL;
}

/* As in model_async.c. */
#define WRAP(name) __wrap_##name

hd_status WRAP(hd_model_run_until)(hd_model *model, const hd_stop *stop, const hd_tensor *inputs,
                                   size_t input_count, hd_tensor *outputs, size_t output_count,
                                   hd_error *error);
hd_status WRAP(hd_model_run_until)(hd_model *model, const hd_stop *stop, const hd_tensor *inputs,
                                   size_t input_count, hd_tensor *outputs, size_t output_count,
                                   hd_error *error)
{
    (void)inputs, (void)input_count, (void)outputs, (void)output_count;
    hd_status status = hd_device_check_open(model->device, error);
    return status == HD_OK ? hd_stop_look(stop) : status;
}

/* Writes the output; and its struct, if the request wins the outcome. */
static hd_status publish(const hd_batch_entry *entry, uint32_t result, hd_error *error)
{
    *(uint32_t *)entry->outputs[0].data = result;
    hd_status status = hd_future_commit(entry->future);
    if (status != HD_OK) {
        return hd_stop_tell(status, error);
    }
    entry->outputs[0].size = sizeof result;
    return HD_OK;
}

hd_status hd_batch_stack_run_alone(hd_batch_stack *stack, const hd_batch_entry *entry,
                                   hd_error *error)
{
    hd_status status = hd_device_check_open(stack->model->device, error);
    return status == HD_OK ? publish(entry, *(const uint32_t *)entry->pointers[0], error) : status;
}

bool hd_batch_stack_prepare(hd_batch_stack *stack, const hd_batch_kind *kind, uint32_t rows)
{
    (void)stack;
    scenario_require("SAFE.rows", kind != NULL && rows >= 2);
    return true;
}

void hd_batch_stack_put(hd_batch_stack *stack, const hd_batch_entry *entry, uint32_t row)
{
    (void)stack, (void)row;
    scenario_require("REUSE.input", *(const uint32_t *)entry->pointers[0] == RESULT);
}

bool hd_batch_stack_run(hd_batch_stack *stack, hd_batch_kind *kind, uint32_t rows,
                        const hd_stop *stop)
{
    (void)kind, (void)rows;
    return hd_model_run_until(stack->model, stop, NULL, 0, NULL, 0, NULL) == HD_OK;
}

hd_status hd_batch_stack_hand_out(hd_batch_stack *stack, const hd_batch_entry *entry, uint32_t row,
                                  hd_error *error)
{
    (void)stack, (void)row;
    return publish(entry, RESULT, error);
}

/* ---- what the scenarios are made of */

static batch_state *batch_open(uint32_t max_rows, uint32_t capacity)
{
    batch_state *state = hd_alloc_zero(1, sizeof *state);
    hd_graph *graph = hd_alloc_zero(1, sizeof *graph);
    hd_batch_options options = {
        .struct_size = sizeof options, .max_rows = max_rows, .capacity = capacity};
    state->device = scenario_device_open(&scenario_backend, 1);
    scenario_require("explorer",
                     hd_model_create(state->device, graph, NULL, &state->model, NULL) == HD_OK);
    hd_graph_destroy(&graph);
    state->root = (hd_block){.inputs = &state->value, .input_count = 1, .output_count = 1};
    state->description.name = "x";
    state->model->graph->root = &state->root;
    state->model->graph->values = &state->description;
    state->given[0] = state->given[1] = RESULT;
    scenario_require("explorer",
                     hd_batch_create(state->model, &options, &state->batch, NULL) == HD_OK);
    return state;
}

static void batch_end(batch_state *state)
{
    for (uint32_t i = 0; i < 2; i++) {
        hd_future_destroy(&state->futures[i]);
    }
    hd_batch_destroy(&state->batch);
    hd_model_destroy(&state->model);
    hd_device_destroy(&state->device);
    hd_free(state);
}

static void note_outcome(void *context, hd_status status, const hd_error *error)
{
    batch_state *state = context;
    scenario_require("ONCE.error-tells", status == HD_OK ? error == NULL : error->status == status);
    state->called++;
    state->told = status;
    if (state->destroys) {
        hd_batch_destroy(&state->batch);
    }
    hd_store_release(&state->has_been_called, 1);
}

static hd_status submit(hd_batch *batch, batch_state *state, uint32_t number, bool with_callback)
{
    hd_tensor input = {.dtype = HD_FLOAT32, .rank = 1, .dims = {1}, .data = &state->given[number]};
    hd_submit_options options = {.struct_size = sizeof options,
                                 .wait_ms = UINT32_MAX - 1,
                                 .callback = with_callback ? note_outcome : NULL,
                                 .context = state};
    state->outputs[number].data = &state->results[number];
    return hd_batch_submit(batch, &input, 1, &state->outputs[number], 1, &options,
                           with_callback ? NULL : &state->futures[number], NULL);
}

/* What is final is one of two outcomes, and one result. */
static void require_final(batch_state *state, uint32_t number, hd_status other)
{
    hd_status outcome = hd_future_wait(state->futures[number], 0, NULL);
    scenario_require("ONCE.one-outcome", outcome == HD_OK || outcome == other);
    scenario_require("REUSE.result-seen", outcome != HD_OK || state->results[number] == RESULT);
    scenario_require("ONCE.published",
                     state->outputs[number].size == (outcome == HD_OK ? sizeof(uint32_t) : 0));
    scenario_outcome(outcome == HD_OK ? 0 : 1);
    /* Its memory is the caller's again. */
    state->given[number] = state->results[number] = 0;
    state->outputs[number].size = 1;
}

static void await_callback(batch_state *state)
{
    while (hd_load_acquire(&state->has_been_called) == 0) {
        hd_thread_yield();
    }
    scenario_require("ONCE.called-once", state->called == 1);
}

/* ---- the end of a batch */

static void drain(void *argument)
{
    batch_state *state = argument;
    state->shut_down = hd_batch_shutdown(state->batch, HD_BATCH_DRAIN, UINT32_MAX, NULL);
}

static void cancel(void *argument)
{
    batch_state *state = argument;
    state->shut_down = hd_batch_shutdown(state->batch, HD_BATCH_CANCEL, UINT32_MAX, NULL);
}

static void shut_device_down(void *argument)
{
    batch_state *state = argument;
    state->shut_down = hd_device_shutdown(state->device, UINT32_MAX, NULL);
}

/* A shutdown that answers HD_OK has seen every request that was taken in final. */
static void submit_against(void (*shut_down)(void *), hd_status other)
{
    batch_state *state = batch_open(1, 1);
    hd_thread thread;
    scenario_start(&thread, "shutdown", shut_down, state);
    hd_status status = submit(state->batch, state, 0, false);
    hd_thread_join(&thread);
    scenario_require("BOUND.shutdown", state->shut_down == HD_OK);
    if (status != HD_OK) {
        scenario_require("ONCE.refused", status == HD_CLOSED && state->futures[0] == NULL);
        scenario_outcome(2);
    } else {
        if (shut_down == shut_device_down) { /* which does not wait for batches */
            (void)!hd_future_wait(state->futures[0], UINT32_MAX, NULL);
        }
        require_final(state, 0, other);
    }
    batch_end(state);
}

static void submit_against_drain(void)
{
    submit_against(drain, HD_OK);
}

static void submit_against_cancel(void)
{
    submit_against(cancel, HD_CANCELLED);
}

static void submit_against_device(void)
{
    submit_against(shut_device_down, HD_CLOSED);
}

/* Who finds the request final finds its output, too. */
static void final_means_written(void)
{
    batch_state *state = batch_open(1, 1);
    scenario_require("ONCE.submitted", submit(state->batch, state, 0, false) == HD_OK);
    scenario_require("BOUND.final", hd_future_wait(state->futures[0], UINT32_MAX, NULL) == HD_OK);
    require_final(state, 0, HD_OK);
    batch_end(state);
}

/* What waits ends as cancelled, what runs is finished, and when the call returns all is final. */
static void destroy_against_requests(void)
{
    batch_state *state = batch_open(2, 2);
    for (uint32_t i = 0; i < 2; i++) {
        scenario_require("ONCE.submitted", submit(state->batch, state, i, false) == HD_OK);
    }
    hd_batch_destroy(&state->batch);
    for (uint32_t i = 0; i < 2; i++) {
        require_final(state, i, HD_CANCELLED);
    }
    batch_end(state);
}

/* A request that is cancelled, perhaps while its batch is computed, is nothing to the other one. */
static void cancel_one_of_two(void)
{
    batch_state *state = batch_open(2, 2);
    for (uint32_t i = 0; i < 2; i++) {
        scenario_require("ONCE.submitted", submit(state->batch, state, i, false) == HD_OK);
    }
    hd_status said = hd_future_cancel(state->futures[1]);
    scenario_require("ONCE.one-outcome",
                     hd_future_wait(state->futures[1], UINT32_MAX, NULL) == said);
    require_final(state, 1, said);
    scenario_require("ONCE.one-outcome",
                     hd_future_wait(state->futures[0], UINT32_MAX, NULL) == HD_OK);
    require_final(state, 0, HD_OK);
    batch_end(state);
}

/* The callback destroys the batch, perhaps while the submitter is still on its way out. */
static void callback_destroys(void)
{
    batch_state *state = batch_open(1, 1);
    state->destroys = true;
    scenario_require("ONCE.submitted", submit(state->batch, state, 0, true) == HD_OK);
    await_callback(state);
    scenario_require("ONCE.one-outcome", state->told == HD_OK);
    batch_end(state);
}

/* The same when the submitter had to stand in line. */
static void callback_destroys_in_line(void)
{
    batch_state *state = batch_open(1, 1);
    state->destroys = true;
    scenario_require("ONCE.submitted", submit(state->batch, state, 0, false) == HD_OK);
    hd_status status = submit(state->batch, state, 1, true);
    if (status == HD_OK) {
        await_callback(state);
        require_final(state, 0, HD_OK);
    } else { /* its time limit has passed */
        scenario_require("BOUND.line", status == HD_EXHAUSTED);
    }
    batch_end(state);
}

const scenario scenarios_batch[] = {
    {.name = "requests.submit-against-drain",
     .run = submit_against_drain,
     .preemptions = 2,
     .old_loads = 1},
    {.name = "requests.submit-against-cancel",
     .run = submit_against_cancel,
     .preemptions = 2,
     .old_loads = 1},
    {.name = "requests.submit-against-device",
     .run = submit_against_device,
     .preemptions = 2,
     .old_loads = 1},
    {.name = "requests.final-means-written",
     .run = final_means_written,
     .preemptions = 2,
     .old_loads = 1},
    {.name = "requests.destroy", .run = destroy_against_requests, .preemptions = 2, .old_loads = 1},
    {.name = "requests.cancel-one-of-two",
     .run = cancel_one_of_two,
     .preemptions = 2,
     .old_loads = 1,
     .outcomes = 3},
    {.name = "requests.callback-destroys",
     .run = callback_destroys,
     .preemptions = 2,
     .old_loads = 1},
    {.name = "requests.callback-destroys-in-line",
     .run = callback_destroys_in_line,
     .preemptions = 2,
     .old_loads = 1},
    {.name = NULL},
};
