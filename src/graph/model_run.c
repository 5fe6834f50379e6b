/* One run of a model: the caller's tensors are checked and bound, the plan is found or made, its
 * command list replayed on a lane of its own. Warm, it allocates nothing (FLAT) and takes no lock, unless a
 * runner computes it. */
#include <string.h>

#include "base/clock.h"
#include "base/float_environment.h"
#include "base/memory.h"
#include "graph/binding.h"
#include "graph/model.h"
#include "graph/plan_replay.h"
#include "graph/rows.h"
#include "graph/run.h"
#include "runtime/cancel.h"

/* A run that takes this long is left to the device's runners while more of its kind are under way than the
 * device has cores, since it is longer than a time slice of the system and would be interrupted. On a
 * runner it is all that its queue gets done before other queues have their turn. */
#define LONG_NANOSECONDS UINT64_C(3000000)
/* A row that takes this long is worth a run of its own where every core has a caller: what it works on
 * stays in the core's caches, as a whole batch's does not. */
#define LONG_ROW_NANOSECONDS UINT64_C(3000000)

static hd_status reserve_tables(hd_run *run)
{
    size_t inputs = hd_run_root(run)->input_count, outputs = hd_run_root(run)->output_count;
    if (!hd_workspace_reserve_pointers(run->workspace, hd_run_account(run),
                                       2 * inputs + 3 * outputs)) {
        return hd_fail(run->error, HD_OUT_OF_MEMORY, "no memory for a run");
    }
    memset(run->workspace->pointers, 0, (2 * inputs + 3 * outputs) * sizeof(void *));
    run->input_data = run->workspace->pointers;
    run->output_data = run->input_data + inputs;
    run->input_tensors = (const hd_tensor **)(run->output_data + outputs);
    run->output_tensors = (hd_tensor **)(run->output_data + outputs + inputs);
    run->whole_outputs = run->output_data + 2 * outputs + inputs;
    return HD_OK;
}

static hd_status bind_tensors(hd_run *run)
{
    hd_status status =
        hd_bind_inputs(run->model, run->inputs, run->input_count, run->input_tensors, run->error);
    if (status == HD_OK) {
        status = hd_bind_outputs(run->model, run->outputs, run->output_count, run->output_tensors,
                                 run->error);
    }
    for (size_t i = 0; status == HD_OK && i < hd_run_root(run)->input_count; i++) {
        run->input_data[i] = run->input_tensors[i]->data;
    }
    return status;
}

/* Room for a plan in the lane's arena and scratch memory of one place; what the segment before, NULL: none, left in
 * the arena stays. */
static hd_status reserve_place(hd_run *run, const hd_plan *plan, const hd_plan *before,
                               hd_memory_place place)
{
    hd_device *device = run->model->device;
    size_t keep = before == NULL ? 0 : before->arena_sizes[place];
    hd_status status = hd_workspace_reserve_arena(run->workspace, device->unit, &device->memory,
                                                  place, plan->arena_sizes[place], keep);
    if (status == HD_OK) {
        hd_unit *unit = hd_device_unit(device, place);
        status = hd_workspace_reserve_scratch(run->workspace, device->unit, &device->memory, place,
                                              plan->scratch_sizes[place] * unit->scratch_count);
    }
    return status == HD_OK
               ? HD_OK
               : hd_fail(run->error, status, "no memory for a run: its arena has %zu bytes",
                         plan->arena_sizes[place]);
}

/* The host's memory of a run that others of its lane may follow before it has landed. */
static hd_status reserve_flight(const hd_run *run, const hd_plan *plan)
{
    hd_status status = hd_device_watcher_reserve(&run->model->device->watcher, run->left->flight,
                                                 plan->arena_sizes[HD_PLACE_HOST]);
    return status == HD_OK ? HD_OK
                           : hd_fail(run->error, status, "no memory for a run: it has %zu bytes",
                                     plan->arena_sizes[HD_PLACE_HOST]);
}

static hd_status replay(hd_run *run, hd_plan *plan, const hd_plan *before)
{
    hd_device *device = run->model->device;
    hd_workspace *workspace = run->workspace;
    bool leaves = hd_run_may_leave(run, plan, before);
    bool is_launch = leaves && hd_plan_is_launch(plan);
    if (run->left != NULL && !(is_launch && hd_run_may_follow(run, plan))) {
        hd_run_await(run);
    }
    hd_status status = reserve_place(run, plan, before, HD_PLACE_DEVICE);
    if (status == HD_OK && is_launch) {
        status = reserve_flight(run, plan);
    } else if (status == HD_OK && device->host != device->unit) {
        status = reserve_place(run, plan, before, HD_PLACE_HOST);
    }
    if (status != HD_OK) {
        return status;
    }
    run->memory = (hd_list_memory){workspace->arenas[HD_PLACE_DEVICE].memory,
                                   is_launch ? run->left->flight->host.memory
                                             : workspace->arenas[HD_PLACE_HOST].memory};
    double work_left = plan->work_left;
    hd_replay replay = {.device = device,
                        .lane = run->lane,
                        .generation = workspace->generation,
                        .scratch = {workspace->scratch[HD_PLACE_DEVICE].memory,
                                    workspace->scratch[HD_PLACE_HOST].memory},
                        .pending = &run->point,
                        .leaves = leaves,
                        .work_left = &work_left,
                        .stop = run->stop,
                        .error = run->error};
    return hd_plan_replay(&replay, plan, &run->memory, run->input_data, run->output_data);
}

/* The common dimension 0 of all inputs; 0 where there is none, or where it is 1. */
static int64_t count_rows(const hd_run *run)
{
    int64_t rows = 0;
    for (size_t i = 0; i < hd_run_root(run)->input_count; i++) {
        const hd_tensor *tensor = run->input_tensors[i];
        if (tensor->rank == 0 || tensor->dims[0] < 2 || (i > 0 && tensor->dims[0] != rows)) {
            return 0;
        }
        rows = tensor->dims[0];
    }
    return rows;
}

/* Proves, once a plan, that its rows are independent. relaxed: a proof made twice says the same. */
static bool has_rows(hd_run *run, hd_plan *plan, int64_t rows)
{
    uint32_t state = hd_load_relaxed(&plan->rows);
    if (state == HD_PLAN_ROWS_UNKNOWN) {
        size_t inputs = hd_run_root(run)->input_count, outputs = hd_run_root(run)->output_count;
        hd_region region = {0};
        hd_shape *shapes = hd_region_array(&region, inputs, sizeof *shapes);
        bool *wanted = hd_region_array(&region, outputs, sizeof *wanted);
        state = HD_PLAN_ROWS_MIXED;
        if (shapes != NULL && wanted != NULL) {
            run->is_row = true;
            for (size_t i = 0; i < inputs; i++) {
                shapes[i] = hd_run_input_shape(run, i);
            }
            run->is_row = false;
            for (size_t i = 0; i < outputs; i++) {
                wanted[i] = run->output_tensors[i] != NULL;
            }
            if (hd_model_prove_rows(run->model, shapes, wanted, rows, NULL) == HD_OK) {
                state = HD_PLAN_ROWS_APART;
            }
        }
        hd_region_clear(&region);
        if (hd_stop_look(run->stop) != HD_OK) {
            return false; /* the proof may be half done */
        }
        hd_store_relaxed(&plan->rows, state);
    }
    return state == HD_PLAN_ROWS_APART;
}

/* Points the run at one row of a batch of `rows`, whose plan is `whole`. */
static void select_row(hd_run *run, const hd_plan *whole, int64_t rows, int64_t row)
{
    for (size_t i = 0; i < hd_run_root(run)->input_count; i++) {
        const hd_tensor *tensor = run->input_tensors[i];
        run->input_data[i] =
            (char *)tensor->data + hd_run_input_size(tensor) / (size_t)rows * (size_t)row;
    }
    for (size_t i = 0; i < whole->output_count; i++) {
        uint32_t index = whole->outputs[i].index;
        run->output_data[index] =
            (char *)run->whole_outputs[index] + whole->outputs[i].size / (size_t)rows * (size_t)row;
    }
}

/* Runs a batch row by row, on the plan of one row. The bits are those of the whole (rows.h). */
static hd_status run_rows(hd_run *run, hd_plan *whole, int64_t rows)
{
    hd_status status = hd_run_provide_outputs(run, whole);
    size_t outputs = hd_run_root(run)->output_count;
    memcpy(run->whole_outputs, run->output_data, outputs * sizeof *run->output_data);
    run->is_row = true;
    for (int64_t row = 0; row < rows && status == HD_OK; row++) {
        hd_plan *plan = NULL;
        select_row(run, whole, rows, row);
        status = hd_run_find_plan(run, NULL, &plan);
        if (status == HD_OK) {
            status = replay(run, plan, NULL);
        }
        if (status == HD_OK) {
            status = hd_run_deliver(run, plan);
        }
    }
    run->is_row = false;
    memcpy(run->output_data, run->whole_outputs, outputs * sizeof *run->output_data);
    for (size_t i = 0; i < hd_run_root(run)->input_count; i++) {
        run->input_data[i] = run->input_tensors[i]->data;
    }
    if (status == HD_OK) {
        status = hd_run_commit(run);
    }
    if (status == HD_OK) {
        hd_run_describe_outputs(run, whole);
    }
    return status;
}

size_t hd_model_duration_index(const hd_tensor *inputs, size_t input_count)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < input_count; i++) {
        for (uint32_t d = 0; d < inputs[i].rank && d < HD_MAX_RANK; d++) {
            /* the golden ratio's bits: Knuth, The Art of Computer Programming, volume 3, 6.4 */
            hash = (hash ^ (uint64_t)inputs[i].dims[d]) * UINT64_C(0x9e3779b97f4a7c15);
        }
    }
    return (size_t)(hash >> 58); /* HD_DURATION_COUNT */
}

static _Atomic uint64_t *find_duration(hd_model *model, const hd_tensor *inputs, size_t input_count)
{
    return &model->run_nanoseconds[hd_model_duration_index(inputs, input_count)];
}

/* Runs segment after segment, the first on `plan`. */
static hd_status run_whole(hd_run *run, hd_plan *plan)
{
    const hd_plan *before = NULL;
    hd_status status = HD_OK;
    while (status == HD_OK) {
        status = hd_run_provide_outputs(run, plan);
        if (status == HD_OK) {
            status = replay(run, plan, before);
        }
        if (status != HD_OK || plan->is_last) {
            break;
        }
        before = plan;
        status = hd_run_find_plan(run, plan, &plan);
    }
    if (run->point != 0 && status == HD_OK) {
        hd_run_leave(run, plan);
        return HD_OK;
    }
    if (status == HD_OK) {
        status = hd_run_deliver(run, plan);
    }
    if (status == HD_OK) {
        status = hd_run_commit(run);
    }
    if (status == HD_OK) {
        hd_run_describe_outputs(run, plan);
    }
    return status;
}

static hd_status run_segments(hd_run *run)
{
    hd_plan *plan = NULL;
    hd_status status = hd_run_find_plan(run, NULL, &plan);
    if (status != HD_OK) {
        return status;
    }
    bool splits = run->may_split && plan->is_last && run->model->device->unit->is_host;
    int64_t rows = splits ? count_rows(run) : 0;
    uint64_t row_nanoseconds = rows == 0 ? 0 : hd_load_relaxed(run->duration) / (uint64_t)rows;
    if (row_nanoseconds <= LONG_ROW_NANOSECONDS || !has_rows(run, plan, rows)) {
        return run_whole(run, plan);
    }
    hd_error own, *given = run->error;
    hd_plan_retain(plan); /* looking up the plan of a row may push it out of the memo */
    run->error = &own;
    status = run_rows(run, plan, rows);
    run->error = given;
    if (status == HD_OUT_OF_MEMORY) {
        status = run_whole(run, plan); /* that memory may have been for the plan of a row */
    } else if (status != HD_OK && given != NULL) {
        *given = own;
    }
    hd_plan_release(plan);
    return status;
}

/* A run among many others is stretched by them, so the shortest counts; it is forgotten slowly. */
void hd_model_note_duration(_Atomic uint64_t *duration, uint64_t nanoseconds)
{
    uint64_t known = hd_load_relaxed(duration);
    uint64_t forgetful = known + known / 1024;
    hd_store_relaxed(duration, known == 0 || nanoseconds < forgetful ? nanoseconds : forgetful);
}

/* All of a run, from the caller's tensors on. */
static hd_status attempt(hd_run *run)
{
    hd_status status = reserve_tables(run);
    if (status == HD_OK) {
        status = bind_tensors(run);
    }
    if (status == HD_OK) {
        status = run_segments(run);
        if (status != HD_OK) {
            hd_run_drop_outputs(run);
        }
    }
    if (run->allocated_size > 0) { /* outputs, which are the caller's now, or gone */
        hd_memory_account_give(hd_run_account(run), HD_MEMORY_ARENAS, run->allocated_size);
        run->allocated_size = 0;
    }
    return status;
}

static hd_status run_on_lane(hd_run *run)
{
    hd_model *model = run->model;
    const hd_stop *stop = run->stop;
    uint32_t lane = run->lane;
    run->workspace = &model->device->workspaces[lane];
    hd_reclaim *reclaim = &model->device->reclaim;
    bool is_runners = lane >= HD_STREAM_COUNT && run->left == NULL;
    if (is_runners) {
        hd_reclaim_enter(reclaim, lane);
    }
    run->duration = find_duration(model, run->inputs, run->input_count);
    uint64_t start = hd_clock_now();
    hd_float_environment saved;
    hd_float_environment_enter(&saved);
    if (stop != NULL) {
        hd_stop_enter(stop);
    }
    hd_status status = attempt(run);
    if (status == HD_OUT_OF_MEMORY) {
        if (run->left != NULL) {
            hd_run_await(run);
        }
        hd_reclaim_run(reclaim, lane);
        status = attempt(run);
    }
    if (stop != NULL) {
        hd_stop_enter(NULL);
    }
    hd_float_environment_leave(&saved);
    if (is_runners) {
        hd_reclaim_leave(reclaim, lane);
    }
    if (status != HD_OK || run->point != 0) {
        return status;
    }
    if (hd_handover_is_watched()) {
        hd_run_tell_tensors(run->inputs, run->input_count, run->outputs, run->output_count);
    }
    hd_model_note_duration(run->duration, hd_clock_now() - start);
    return HD_OK;
}

hd_status hd_model_run_on(hd_model *model, uint32_t lane, bool may_split, const hd_stop *stop,
                          const hd_tensor *inputs, size_t input_count, hd_tensor *outputs,
                          size_t output_count, hd_error *error)
{
    hd_run run = {.model = model,
                  .inputs = inputs,
                  .input_count = input_count,
                  .outputs = outputs,
                  .output_count = output_count,
                  .error = error,
                  .stop = stop,
                  .may_split = may_split,
                  .lane = lane};
    return run_on_lane(&run);
}

hd_status hd_model_begin_on(hd_model *model, uint32_t lane, hd_left_run *left, const hd_stop *stop,
                            const hd_tensor *inputs, size_t input_count, hd_tensor *outputs,
                            size_t output_count, hd_error *error)
{
    hd_run run = {.model = model,
                  .inputs = inputs,
                  .input_count = input_count,
                  .outputs = outputs,
                  .output_count = output_count,
                  .error = error,
                  .stop = stop,
                  .left = left,
                  .lane = lane};
    hd_run_await_outputs(&run);
    return run_on_lane(&run);
}

bool hd_model_run_is_long(hd_model *model, const hd_tensor *inputs, size_t input_count)
{
    return hd_load_relaxed(find_duration(model, inputs, input_count)) > LONG_NANOSECONDS;
}

hd_status hd_model_check_run(const hd_model *model, const hd_tensor *inputs, size_t input_count,
                             const hd_tensor *outputs, size_t output_count, hd_error *error)
{
    if (model == NULL || (inputs == NULL && input_count > 0) || outputs == NULL ||
        output_count == 0) {
        return hd_fail(error, HD_INVALID_ARGUMENT,
                       "model, inputs or outputs is NULL, or no output is asked for");
    }
    return HD_OK;
}

/* The arguments of a run that a runner computes for its caller, who waits. */
typedef struct delegated_run {
    hd_work work; /* first: the queue's pointer to it is the run's */
    hd_model *model;
    const hd_stop *stop;
    const hd_tensor *inputs;
    size_t input_count;
    hd_tensor *outputs;
    size_t output_count;
    hd_error error;
    hd_status status;
} delegated_run;

static hd_work_result execute_delegated(hd_work *work, uint32_t runner)
{
    delegated_run *run = (delegated_run *)work;
    run->status =
        hd_model_run_on(run->model, hd_lane_of_runner(runner), true, run->stop, run->inputs,
                        run->input_count, run->outputs, run->output_count, &run->error);
    return HD_WORK_DONE;
}

static hd_status delegate(hd_model *model, const hd_lease *lease, const hd_stop *stop,
                          const hd_tensor *inputs, size_t input_count, hd_tensor *outputs,
                          size_t output_count, hd_error *error)
{
    delegated_run run = {.work = {.run = execute_delegated},
                         .model = model,
                         .stop = stop,
                         .inputs = inputs,
                         .input_count = input_count,
                         .outputs = outputs,
                         .output_count = output_count};
    if (!hd_device_delegate(model->device, lease, &run.work, stop)) {
        return hd_stop_tell(hd_stop_look(stop), error);
    }
    if (run.status == HD_OUT_OF_MEMORY) {
        /* The runner's lane may lack what the caller's has already. */
        return hd_model_run_on(model, lease->stream, true, stop, inputs, input_count, outputs,
                               output_count, error);
    }
    if (run.status != HD_OK && error != NULL) {
        *error = run.error;
    }
    return run.status;
}

hd_status hd_model_run_until(hd_model *model, const hd_stop *stop, const hd_tensor *inputs,
                             size_t input_count, hd_tensor *outputs, size_t output_count,
                             hd_error *error)
{
    hd_status status = hd_model_check_run(model, inputs, input_count, outputs, output_count, error);
    if (status != HD_OK) {
        return status;
    }
    if (hd_stop_look(stop) != HD_OK) {
        return hd_stop_tell(hd_stop_look(stop), error);
    }
    hd_lease lease;
    /* Destroying the model while this run is in flight is legal: the run keeps it (SAFE), and does so
     * before it waits for a stream. */
    hd_add_relaxed(&model->reference_count, 1);
    status = hd_device_lease(model->device, hd_model_run_is_long(model, inputs, input_count), stop,
                             &lease, error);
    if (status != HD_OK) {
        hd_model_destroy(&model);
        return status;
    }
    hd_device *device = model->device;
    if (lease.is_delegated) {
        status = delegate(model, &lease, stop, inputs, input_count, outputs, output_count, error);
    } else {
        status = hd_model_run_on(model, lease.stream, lease.is_crowded, stop, inputs, input_count,
                                 outputs, output_count, error);
    }
    hd_device_retain(device);
    hd_device_return(device, &lease);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
    return status;
}

hd_status hd_model_run(hd_model *model, const hd_tensor *inputs, size_t input_count,
                       hd_tensor *outputs, size_t output_count, hd_error *error)
{
    return hd_model_run_until(model, NULL, inputs, input_count, outputs, output_count, error);
}

/* What stops a blocking run. */
typedef struct run_stop {
    hd_stop stop; /* first */
    const hd_cancel *cancel;
    uint64_t deadline; /* hd_clock_now's scale; HD_FOREVER: none */
} run_stop;

static hd_status look_at_run(const hd_stop *stop)
{
    const run_stop *run = (const run_stop *)stop;
    if (run->cancel != NULL && hd_cancel_is_set(run->cancel)) {
        return HD_CANCELLED;
    }
    return run->deadline != HD_FOREVER && hd_clock_now() >= run->deadline ? HD_DEADLINE : HD_OK;
}

hd_status hd_model_run_with(hd_model *model, const hd_tensor *inputs, size_t input_count,
                            hd_tensor *outputs, size_t output_count, const hd_run_options *options,
                            hd_error *error)
{
    hd_run_options given = {0};
    if (options != NULL) {
        if (options->struct_size == 0 || options->struct_size > sizeof given) {
            return hd_fail(error, HD_INVALID_ARGUMENT, "hd_run_options.struct_size is %zu, not %zu",
                           options->struct_size, sizeof given);
        }
        memcpy(&given, options, options->struct_size);
    }
    run_stop stop = {{look_at_run, look_at_run},
                     given.cancel,
                     hd_clock_after_ms(hd_wait_of_option(given.deadline_ms, HD_WAIT_FOREVER))};
    if (stop.cancel == NULL && stop.deadline == HD_FOREVER) {
        return hd_model_run_until(model, NULL, inputs, input_count, outputs, output_count, error);
    }
    hd_cancel_retain(given.cancel);
    hd_status status =
        hd_model_run_until(model, &stop.stop, inputs, input_count, outputs, output_count, error);
    hd_cancel_destroy(&given.cancel);
    return status;
}
