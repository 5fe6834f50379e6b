/* A run that is left to its device, and how it lands. */
#include <string.h>

#include "graph/index_checks.h"
#include "graph/plan_replay.h"
#include "graph/run.h"

/* Bytes that the device watcher's thread copies for one run at most, in about the time that it sleeps at most: other
 * streams' runs land behind that. */
#define LANDING_LIMIT ((size_t)4 << 20)

size_t hd_left_run_size(const hd_model *model)
{
    const hd_block *root = model->graph->root;
    return sizeof(hd_left_run) + (root->input_count + 2 * root->output_count) * sizeof(void *) +
           2 * root->output_count * sizeof(hd_flight_write);
}

void hd_left_run_init(hd_left_run *left, const hd_model *model, hd_flight *flight)
{
    const hd_block *root = model->graph->root;
    void **tables = left->tables;
    left->plan = NULL;
    left->flight = flight;
    left->writes = (hd_flight_write *)(tables + root->input_count + 2 * root->output_count);
}

bool hd_run_may_leave(const hd_run *run, const hd_plan *plan, const hd_plan *before)
{
    bool may = run->left != NULL && before == NULL && plan->is_last;
    size_t copied = 0;
    for (size_t i = 0; may && i < plan->output_count; i++) {
        const hd_plan_output *output = &plan->outputs[i];
        copied += output->direct || output->on_device ? 0 : output->size;
        may = (!output->on_device || output->direct) && copied <= LANDING_LIMIT;
    }
    return may;
}

bool hd_run_may_follow(const hd_run *run, const hd_plan *plan)
{
    const hd_workspace *workspace = run->workspace;
    const hd_unit *unit = run->model->device->unit;
    bool may = hd_plan_is_recorded(plan, run->lane, workspace->generation) &&
               plan->arena_sizes[HD_PLACE_DEVICE] <= workspace->arenas[HD_PLACE_DEVICE].size &&
               plan->scratch_sizes[HD_PLACE_DEVICE] * unit->scratch_count <=
                   workspace->scratch[HD_PLACE_DEVICE].size;
    for (size_t i = 0; may && i < hd_run_root(run)->input_count; i++) {
        const hd_tensor *tensor = run->input_tensors[i];
        may = !hd_device_watcher_is_written(&run->model->device->watcher, run->left->flight,
                                            tensor->data, hd_run_input_size(tensor));
    }
    return may;
}

void hd_run_await(const hd_run *run)
{
    hd_device_watcher_await(&run->model->device->watcher, run->left->flight);
}

void hd_run_await_outputs(const hd_run *run)
{
    if (run->left != NULL &&
        hd_device_watcher_is_written(&run->model->device->watcher, run->left->flight, run->outputs,
                                     run->output_count * sizeof *run->outputs)) {
        hd_run_await(run);
    }
}

void hd_run_leave(hd_run *run, hd_plan *plan)
{
    hd_left_run *left = run->left;
    size_t inputs = hd_run_root(run)->input_count, outputs = hd_run_root(run)->output_count;
    hd_plan_retain(plan); /* it may go from the memo meanwhile */
    left->plan = plan;
    left->run = *run;
    left->run.input_data = left->tables;
    left->run.output_data = left->tables + inputs;
    left->run.output_tensors = (hd_tensor **)(left->tables + inputs + outputs);
    memcpy(left->run.input_data, run->input_data, inputs * sizeof *run->input_data);
    memcpy(left->run.output_data, run->output_data, outputs * sizeof *run->output_data);
    memcpy(left->run.output_tensors, run->output_tensors, outputs * sizeof *run->output_tensors);
    run->allocated_count = run->allocated_size = 0; /* they are what is left's */
    hd_flight *flight = left->flight;
    flight->point = run->point;
    flight->writes = left->writes;
    for (size_t i = 0; i < plan->output_count; i++) {
        const hd_plan_output *output = &plan->outputs[i];
        left->writes[flight->write_count++] =
            (hd_flight_write){run->output_tensors[output->index], sizeof(hd_tensor)};
        if (output->on_device) {
            continue; /* by the device, in order */
        }
        left->writes[flight->write_count++] =
            (hd_flight_write){run->output_data[output->index], output->size};
    }
}

static hd_status take_results(hd_run *run, const hd_plan *plan)
{
    hd_status status = hd_stop_look(run->stop); /* what nobody wants is not copied */
    if (status != HD_OK) {
        return hd_stop_tell(status, run->error);
    }
    status = hd_plan_read_checks(plan, &run->memory, run->error);
    if (status == HD_OK) {
        status = hd_run_deliver(run, plan);
    }
    return status == HD_OK ? hd_run_commit(run) : status;
}

hd_status hd_run_land(hd_left_run *left, hd_status status, hd_error *error)
{
    hd_run *run = &left->run;
    hd_plan *plan = left->plan;
    run->error = error;
    status =
        status == HD_OK ? take_results(run, plan) : hd_fail(error, status, "the device was lost");
    if (status == HD_OK) {
        hd_run_describe_outputs(run, plan);
    } else {
        hd_run_drop_outputs(run);
    }
    if (run->allocated_size > 0) { /* they are the caller's now, or gone */
        hd_memory_account_give(hd_run_account(run), HD_MEMORY_ARENAS, run->allocated_size);
    }
    if (status == HD_OK && hd_handover_is_watched()) {
        hd_run_tell_tensors(run->inputs, run->input_count, run->outputs, run->output_count);
    }
    left->plan = NULL;
    hd_plan_release(plan);
    return status;
}
