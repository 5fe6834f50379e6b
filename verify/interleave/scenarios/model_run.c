/* Scenarios of runs: the real model_run.c and what it looks up and replays (run_plan.c, run_outputs.c, plan.c,
 * plan_replay.c, plan_cache.c, workspace.c, reclaim.c) on the real device.c. In place of planning and of kernels
 * stand functions that write three times the input, row by row, and touch the lane's arena; all without a lock or
 * atomics: two runs on one lane, or a plan, a list or a model that is gone too soon, are found. A plan computes as many rows
 * as it was made for, so a run on another's plan has wrong results. */
#include <string.h>

#include "graph/binding.h"
#include "graph/index_checks.h"
#include "graph/model.h"
#include "graph/planning.h"

#include "device.h"

#include "../scenario.h"

#define ROWS_LIMIT 6
#define REFUSALS   40 /* more than a cold run has allocations */

typedef struct run_state {
    hd_device *device;
    hd_model *model;
    hd_model *lent; /* to a thread without a handle of its own */
    hd_block root;
    hd_value value;
    hd_graph_value description;
} run_state;

/* ---- in place of planning */

typedef struct fake_plan {
    hd_plan plan; /* first */
    hd_plan_output output;
} fake_plan;

static _Atomic uint64_t serials;

/* As many rows as the input has. */
hd_status hd_plan_create(const hd_plan_request *request, uint64_t *steering, hd_plan **out_plan,
                         hd_error *error)
{
    (void)steering;
    fake_plan *self = hd_alloc_zero(1, sizeof *self);
    *out_plan = NULL;
    if (self == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a plan");
    }
    size_t rows = (size_t)request->input_shapes[0].dims[0];
    hd_plan *plan = &self->plan;
    atomic_init(&plan->reference_count, 1);
    atomic_init(&plan->rows, HD_PLAN_ROWS_UNKNOWN);
    plan->serial = hd_add_relaxed(&serials, 1);
    plan->device = request->model->device;
    plan->arena_sizes[HD_PLACE_DEVICE] = rows * 64;
    plan->recipe.step_count = rows;
    plan->outputs = &self->output;
    plan->output_count = 1;
    plan->is_last = true;
    self->output = (hd_plan_output){.dtype = HD_FLOAT32,
                                    .shape = request->input_shapes[0],
                                    .size = rows * sizeof(uint32_t),
                                    .known = true,
                                    .direct = true};
    *out_plan = plan;
    return HD_OK;
}

hd_status hd_plan_read_checks(const hd_plan *plan, const hd_list_memory *memory, hd_error *error)
{
    (void)memory, (void)error;
    scenario_require("SAFE.plan", plan->check_count == 0);
    return HD_OK;
}

hd_status hd_bind_check_room(const hd_model *model, size_t index, const hd_tensor *tensor,
                             hd_dtype dtype, const hd_shape *shape, size_t size, hd_error *error)
{
    (void)model, (void)index, (void)dtype, (void)shape, (void)error;
    scenario_require("SAFE.room", tensor->size >= size);
    return HD_OK;
}

/* ---- in place of a unit */

struct hd_command_list {
    const hd_recipe *recipe;
    unsigned char *arena;
};

static void *create_memory(hd_unit *unit, hd_memory_place place, size_t size)
{
    (void)unit, (void)place;
    return hd_alloc_aligned(size < 512 ? size : 512); /* no plan here has more */
}

static void destroy_memory(hd_unit *unit, hd_memory_place place, void *memory, size_t size)
{
    (void)unit, (void)place, (void)size;
    hd_free(memory);
}

static hd_status record_list(hd_unit *unit, const hd_recipe *recipe, const hd_list_memory *memory,
                             hd_command_list **out_list)
{
    (void)unit;
    *out_list = hd_alloc(sizeof **out_list);
    if (*out_list == NULL) {
        return HD_OUT_OF_MEMORY;
    }
    **out_list = (hd_command_list){recipe, memory->arena};
    return HD_OK;
}

static void destroy_list(hd_unit *unit, hd_command_list **list)
{
    (void)unit;
    hd_free(*list);
    *list = NULL;
}

static bool is_lost(const hd_unit *unit)
{
    (void)unit;
    return false;
}

static hd_status create_queue(hd_unit *unit, uint32_t number, hd_queue **out_queue)
{
    (void)unit, (void)number;
    *out_queue = NULL;
    return HD_OK;
}

static void destroy_queue(hd_unit *unit, hd_queue **queue)
{
    (void)unit, (void)queue;
}

static hd_status submit_launch(hd_queue *queue, const hd_launch *launch, uint64_t *out_point)
{
    (void)queue;
    *out_point = 0;
    const hd_command_list *list = launch->list;
    uint32_t *arena = (uint32_t *)list->arena;
    const uint32_t *input = launch->inputs[0];
    uint32_t *output = launch->outputs[0];
    for (size_t row = 0; row < list->recipe->step_count; row++) {
        arena[row] = input[row];
        output[row] = 3 * arena[row];
    }
    return hd_stop_look(launch->stop);
}

static void describe_unit(uint32_t ordinal, hd_device_info *info)
{
    (void)ordinal;
    *info =
        (hd_device_info){.kind = HD_DEVICE_CPU, .core_count = 1, .queue_count = HD_STREAM_COUNT};
}

static const hd_backend run_backend;

static hd_status open_unit(uint32_t ordinal, const hd_unit_options *options, hd_unit **out_unit,
                           hd_error *error)
{
    (void)ordinal, (void)options, (void)error;
    static hd_unit unit = {.backend = &run_backend, .is_host = true};
    *out_unit = &unit;
    return HD_OK;
}

static void close_unit(hd_unit **unit)
{
    *unit = NULL;
}

static const hd_backend run_backend = {
    .describe = describe_unit,
    .open = open_unit,
    .close = close_unit,
    .lost = is_lost,
    .memory = &(const hd_memory_table){.create = create_memory, .destroy = destroy_memory},
    .lists = &(const hd_list_table){.record = record_list, .destroy = destroy_list},
    .queues = &(const hd_queue_table){
        .create = create_queue, .destroy = destroy_queue, .submit = submit_launch}};

/* ---- what the scenarios are made of */

/* A model with room for two plans in its cache. */
static run_state *run_open(void)
{
    run_state *state = hd_alloc_zero(1, sizeof *state);
    hd_graph *graph = hd_alloc_zero(1, sizeof *graph);
    hd_model_options options = {.struct_size = sizeof options, .plan_cache_capacity = 2};
    state->device = scenario_device_open(&run_backend, 0);
    /* A thread's memory of its slot outlives an execution: no serial comes again. */
    static _Thread_local uint64_t executions;
    state->device->serial += ++executions << 8;
    scenario_require("explorer",
                     hd_model_create(state->device, graph, &options, &state->model, NULL) == HD_OK);
    hd_graph_destroy(&graph);
    state->root = (hd_block){.inputs = &state->value, .input_count = 1, .output_count = 1};
    static const char *output_names[] = {"y"};
    state->root.output_names = output_names;
    state->description.name = "x";
    state->model->graph->root = &state->root;
    state->model->graph->values = &state->description;
    state->lent = state->model;
    return state;
}

/* All runs have ended. What the device counts as taken is gone with what was taken. */
static void run_end(run_state *state)
{
    hd_device *device = state->device;
    hd_model_destroy(&state->model);
    for (uint32_t lane = 0; lane < HD_LANE_COUNT; lane++) {
        hd_workspace_clear(&device->workspaces[lane], device->unit, &device->memory);
    }
    hd_allocator_trim(device->allocator);
    scenario_require("FLAT.account", hd_load_relaxed(&device->memory.kinds[HD_MEMORY_ARENAS]) == 0);
    scenario_require("FLAT.account", hd_load_relaxed(&device->memory.kinds[HD_MEMORY_PLANS]) == 0);
    hd_device_destroy(&state->device);
    hd_free(state);
}

/* The caller's tensors. */
typedef struct caller {
    hd_tensor input;
    hd_tensor output;
    uint32_t given[ROWS_LIMIT];
    uint32_t result[ROWS_LIMIT];
} caller;

static void bring(caller *self, uint32_t rows, uint32_t rank)
{
    *self = (caller){.input = {.dtype = HD_FLOAT32, .rank = rank, .data = self->given}};
    self->input.size = rows * sizeof(uint32_t);
    self->output = (hd_tensor){.data = self->result, .size = sizeof self->result};
    for (uint32_t d = 0; d < rank; d++) {
        self->input.dims[d] = d == 0 ? rows : 1;
    }
    for (uint32_t i = 0; i < ROWS_LIMIT; i++) {
        self->given[i] = i + 1;
    }
}

static void require_results(const caller *self, uint32_t rows)
{
    for (uint32_t i = 0; i < ROWS_LIMIT; i++) {
        scenario_require("BITS.result", self->result[i] == (i < rows ? 3 * (i + 1) : 0));
    }
    scenario_require("BITS.shape",
                     self->output.size == rows * sizeof(uint32_t) && self->output.dims[0] == rows);
}

static hd_status run(hd_model *model, uint32_t rows, uint32_t rank)
{
    caller self;
    bring(&self, rows, rank);
    hd_status status = hd_model_run(model, &self.input, 1, &self.output, 1, NULL);
    if (status == HD_OK) {
        require_results(&self, rows);
    }
    return status;
}

static void must_run(hd_model *model, uint32_t rows, uint32_t rank)
{
    scenario_require("ONCE.run", run(model, rows, rank) == HD_OK);
}

/* Beside others: the time may be over in which a stream comes free, or another thread makes the plan. */
static void run_beside(hd_model *model, uint32_t rows, uint32_t rank)
{
    hd_status status = run(model, rows, rank);
    scenario_require("ONCE.run", status == HD_OK || status == HD_NOT_YET || status == HD_EXHAUSTED);
}

static void run_one_row(void *argument)
{
    run_beside(((run_state *)argument)->model, 1, 1);
}

static void run_two_rows(void *argument)
{
    run_beside(((run_state *)argument)->model, 2, 1);
}

static void run_two(run_state *state, void (*first)(void *), void (*second)(void *))
{
    hd_thread threads[2];
    scenario_start(&threads[0], "first", first, state);
    scenario_start(&threads[1], "second", second, state);
    hd_thread_join(&threads[0]);
    hd_thread_join(&threads[1]);
    run_end(state);
}

/* ---- runs side by side */

/* Both need a plan that is not there yet: one makes it. */
static void two_of_one_shape(void)
{
    run_two(run_open(), run_one_row, run_one_row);
}

static void two_of_two_shapes(void)
{
    run_two(run_open(), run_one_row, run_two_rows);
}

/* The plan is in the first thread's memo, and leaves the cache while it is used. */
static void run_three_shapes(void *argument)
{
    run_state *state = argument;
    for (uint32_t rows = 2; rows <= 4; rows++) {
        run_beside(state->model, rows, 1);
    }
}

static void evicted_while_used(void)
{
    run_state *state = run_open();
    run_one_row(state);
    run_two(state, run_one_row, run_three_shapes);
}

/* Two lanes give the last references to a plan back, each behind what it recorded of it. */
typedef struct plan_holder {
    hd_plan *plan;
    uint32_t lane;
} plan_holder;

static void use_and_release(void *argument)
{
    const plan_holder *self = argument;
    hd_plan *plan = self->plan;
    plan->lists[self->lane].generation++;
    hd_plan_release(plan);
}

static void last_holders(void)
{
    run_state *state = run_open();
    plan_holder holders[2];
    hd_thread threads[2];
    hd_shape shape = {.rank = 1, .dims = {1}};
    hd_plan_request request = {.model = state->model, .input_shapes = &shape};
    uint64_t further = 0;
    hd_plan *plan;
    scenario_require("explorer", hd_plan_create(&request, &further, &plan, NULL) == HD_OK);
    hd_plan_retain(plan);
    for (uint32_t i = 0; i < 2; i++) {
        holders[i] = (plan_holder){plan, i + 1};
        scenario_start(&threads[i], "holder", use_and_release, &holders[i]);
    }
    for (uint32_t i = 0; i < 2; i++) {
        hd_thread_join(&threads[i]);
    }
    run_end(state);
}

static void run_lent(void *argument)
{
    run_state *state = argument;
    run_beside(state->lent, 1, 1);
}

static void destroy_model(void *argument)
{
    run_state *state = argument;
    hd_model_destroy(&state->model);
}

/* The model's last handle goes while a run waits for a stream. */
static void destroy_against_run(void)
{
    run_state *state = run_open();
    hd_lease leases[HD_STREAM_COUNT];
    hd_thread thread;
    state->device->lease_wait_ms = UINT32_MAX;
    for (uint32_t i = 0; i < HD_STREAM_COUNT; i++) {
        scenario_require("SAFE.lease",
                         hd_device_lease(state->device, false, NULL, &leases[i], NULL) == HD_OK);
    }
    scenario_start(&thread, "run", run_lent, state);
    while (hd_load_seq_cst(&state->device->slots.waiting) == 0) {
        hd_thread_yield();
    }
    destroy_model(state);
    for (uint32_t i = 0; i < HD_STREAM_COUNT; i++) {
        hd_device_return(state->device, &leases[i]);
    }
    hd_thread_join(&thread);
    run_end(state);
}

/* Both are long, on one core: the runner computes the second, on its own lane. */
static void two_long_runs(void)
{
    run_state *state = run_open();
    for (uint32_t i = 0; i < HD_DURATION_COUNT; i++) {
        hd_store_relaxed(&state->model->run_nanoseconds[i], UINT64_C(1) << 40);
    }
    run_two(state, run_one_row, run_one_row);
}

/* ---- rows one by one */

/* A batch whose rows take long is run row by row; looking up the plan of a row pushes the batch's own out of the memo,
 * when the cache has forgotten it already. */
static void rows_push_out(void)
{
    run_state *state = run_open();
    caller self;
    hd_lease lease;
    for (uint32_t rows = 2; rows <= 5; rows++) {
        must_run(state->model, rows, 1);
    }
    for (uint32_t i = 0; i < HD_DURATION_COUNT; i++) {
        hd_store_relaxed(&state->model->run_nanoseconds[i], UINT64_C(1) << 40);
    }
    scenario_require("SAFE.lease",
                     hd_device_lease(state->device, false, NULL, &lease, NULL) == HD_OK &&
                         lease.stream == 1);
    bring(&self, 2, 1);
    scenario_require("ONCE.run", hd_model_run_on(state->model, 1, true, NULL, &self.input, 1,
                                                 &self.output, 1, NULL) == HD_OK);
    require_results(&self, 2);
    hd_device_return(state->device, &lease);
    run_end(state);
}

/* ---- memory that is refused */

/* Each allocation of a run fails once, and with all that follow it, on a device that has run nothing (`warm`: the four
 * shapes before); whatever came of it, later runs have the right results, and nothing stays counted. */
static void run_refused(run_state *state, uint32_t rows, uint32_t rank)
{
    uint32_t nth = 1 + scenario_choose(REFUSALS), count = scenario_choose(2) == 0 ? 1 : REFUSALS;
    scenario_refuse_memory(nth, count);
    hd_status status = run(state->model, rows, rank);
    scenario_refuse_memory(0, 0);
    scenario_require("STATUS.refused", status == HD_OK || status == HD_OUT_OF_MEMORY);
    scenario_outcome(status == HD_OK ? 0 : 1);
}

static void run_cold(void *argument)
{
    run_state *state = argument;
    run_refused(state, 1, 1);
    must_run(state->model, 1, 1);
}

static void run_warm(void *argument)
{
    run_state *state = argument;
    run_refused(state, 5, 6); /* a longer key */
    must_run(state->model, 5, 6);
    for (uint32_t rows = 1; rows <= 4; rows++) {
        must_run(state->model, rows, 1);
    }
}

static void run_rows_refused(void *argument)
{
    run_state *state = argument;
    caller self;
    uint32_t nth = 1 + scenario_choose(REFUSALS), count = scenario_choose(2) == 0 ? 1 : REFUSALS;
    bring(&self, 2, 1);
    scenario_refuse_memory(nth, count);
    hd_status status =
        hd_model_run_on(state->model, 1, true, NULL, &self.input, 1, &self.output, 1, NULL);
    scenario_refuse_memory(0, 0);
    scenario_require("STATUS.refused", status == HD_OK || status == HD_OUT_OF_MEMORY);
    if (status == HD_OK) {
        require_results(&self, 2);
    }
}

static void refused(run_state *state, void (*run_with)(void *))
{
    hd_thread thread;
    scenario_start(&thread, "run", run_with, state);
    hd_thread_join(&thread);
}

static void refused_cold(void)
{
    run_state *state = run_open();
    refused(state, run_cold);
    run_end(state);
}

static void refused_warm(void)
{
    run_state *state = run_open();
    for (uint32_t rows = 1; rows <= 4; rows++) {
        must_run(state->model, rows, 1);
    }
    refused(state, run_warm);
    run_end(state);
}

static void refused_rows(void)
{
    run_state *state = run_open();
    hd_lease lease;
    for (uint32_t i = 0; i < HD_DURATION_COUNT; i++) {
        hd_store_relaxed(&state->model->run_nanoseconds[i], UINT64_C(1) << 40);
    }
    scenario_require("SAFE.lease",
                     hd_device_lease(state->device, false, NULL, &lease, NULL) == HD_OK &&
                         lease.stream == 1);
    refused(state, run_rows_refused);
    hd_device_return(state->device, &lease);
    must_run(state->model, 2, 1);
    run_end(state);
}

/* One run's lack of memory clears idle lanes, and drops plans, while another run goes on. */
static void run_refused_once(void *argument)
{
    run_state *state = argument;
    scenario_refuse_memory(1, 1);
    run_beside(state->model, 2, 6);
}

static void refused_against_run(void)
{
    run_state *state = run_open();
    run_one_row(state);
    run_two(state, run_refused_once, run_one_row);
}

const scenario scenarios_model_run[] = {
    {.name = "run.two-of-one-shape", .run = two_of_one_shape, .preemptions = 1, .old_loads = 1},
    {.name = "run.two-of-two-shapes", .run = two_of_two_shapes, .preemptions = 1, .old_loads = 1},
    {.name = "run.evicted-while-used", .run = evicted_while_used, .preemptions = 1, .old_loads = 1},
    {.name = "run.last-holders", .run = last_holders},
    {.name = "run.destroy-against-run",
     .run = destroy_against_run,
     .preemptions = 1,
     .old_loads = 1},
    {.name = "run.two-long-runs", .run = two_long_runs, .preemptions = 1, .old_loads = 1},
    {.name = "run.rows-push-out", .run = rows_push_out},
    {.name = "run.refused-cold", .run = refused_cold, .outcomes = 3},
    {.name = "run.refused-warm", .run = refused_warm, .outcomes = 3},
    {.name = "run.refused-rows", .run = refused_rows},
    {.name = "run.refused-against-run", .run = refused_against_run, .preemptions = 1},
    {.name = NULL},
};
