/* A run, inside: what one run of a model knows of itself while it is computed on a lane, for the files that do it.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_GRAPH_RUN_H
#define HD_GRAPH_RUN_H

#include "base/rank.h"
#include "graph/model.h"
#include "operation/narrow.h"
#include "runtime/device_watcher.h"

struct hd_left_run;

typedef struct hd_run {
    hd_model *model;
    const hd_tensor *inputs;
    size_t input_count;
    hd_tensor *outputs;
    size_t output_count;
    hd_error *error;
    uint32_t lane;
    hd_workspace *workspace;
    hd_list_memory memory; /* as it was for the last replay: the workspace's, or of the flight */
    /* In the workspace's pointers: one entry a model input or output each. */
    void **input_data;
    void **output_data;              /* what the steps write to; NULL where nothing is bound yet */
    const hd_tensor **input_tensors; /* the caller's of each model input */
    hd_tensor **output_tensors;      /* the caller's of each model output, NULL: not wanted */
    void **whole_outputs;            /* while rows run one by one: output_data of the whole batch */
    size_t key_size;
    const hd_stop *stop;
    size_t allocated_count; /* outputs whose memory the library has allocated in this run */
    size_t allocated_size;  /* their bytes, counted until they are the caller's */
    bool may_split;         /* row by row, if rows are independent */
    bool is_row;            /* dimension 0 of each input counts as 1 */
    /* where the run may be left to the device: what is kept of it then; NULL: it may not */
    struct hd_left_run *left;
    uint64_t point; /* of the lane's hardware queue, where the run is left at; 0: it is not */
    _Atomic uint64_t *duration; /* where the model keeps that of such runs */
} hd_run;

/* A run that its runner has left to the device. */
typedef struct hd_left_run {
    hd_run run;        /* with tables of its own */
    hd_plan *plan;     /* with a reference; NULL: nothing is left */
    hd_flight *flight; /* constant; what it is part of */
    hd_flight_write *writes;
    void *tables[]; /* one entry an input, two an output */
} hd_left_run;

static inline const hd_block *hd_run_root(const hd_run *run)
{
    return run->model->graph->root;
}

static inline hd_memory_account *hd_run_account(const hd_run *run)
{
    return &run->model->device->memory;
}

/* Whether the caller's tensor lies in the memory of a device that is not the host. */
static inline bool hd_run_is_on_device(const hd_run *run, const hd_tensor *tensor)
{
    return tensor->place == HD_TENSOR_DEVICE && !run->model->device->unit->is_host;
}

static inline size_t hd_run_input_size(const hd_tensor *tensor)
{
    size_t count = 1;
    for (uint32_t d = 0; d < tensor->rank; d++) {
        count *= (size_t)tensor->dims[d];
    }
    return hd_tensor_bytes(tensor->dtype, count);
}

/* The shape that the plan is made for. */
hd_shape hd_run_input_shape(const hd_run *run, size_t index);

/* Finds the plan of the first segment (before NULL) or of the one that follows, or makes it. The memo of this lane
 * holds a reference as long as the lane is this run's and few other plans are looked up. */
HD_MUST_CHECK hd_status hd_run_find_plan(hd_run *run, hd_plan *before, hd_plan **out_plan) HD_WAITS;

/* Gives the segment's outputs that are known now their memory. */
HD_MUST_CHECK hd_status hd_run_provide_outputs(hd_run *run, const hd_plan *plan);

/* Copies the outputs that no step has written in place. HD_LOST. */
HD_MUST_CHECK hd_status hd_run_deliver(hd_run *run, const hd_plan *plan);

/* The results are there, and become the caller's, unless the run was stopped. */
HD_MUST_CHECK hd_status hd_run_commit(hd_run *run);

/* Tells the caller the shapes. From here on the run cannot fail. */
void hd_run_describe_outputs(hd_run *run, const hd_plan *plan);

/* After a failure: frees what was allocated for outputs. */
void hd_run_drop_outputs(hd_run *run);

/* Bytes of an hd_left_run for runs of a model. */
size_t hd_left_run_size(const hd_model *model);
/* Prepares one in memory of that size. */
void hd_left_run_init(hd_left_run *left, const hd_model *model, hd_flight *flight);

/* Whether the run may end before the device has done with it: it is the plan's first and last segment, nothing is to be
 * copied to the device behind it, and not much to the caller. */
bool hd_run_may_leave(const hd_run *run, const hd_plan *plan, const hd_plan *before);
/* Whether the run of a plan that is one launch can follow those in flight on its lane, of which it disturbs none and
 * reads nothing on the host. */
bool hd_run_may_follow(const hd_run *run, const hd_plan *plan);
/* Waits until none is in flight. */
void hd_run_await(const hd_run *run) HD_WAITS;

/* Before the caller's structs of outputs are read: waits where those in flight are to fill one of them. */
void hd_run_await_outputs(const hd_run *run) HD_WAITS;

/* Keeps what is needed to land the run. */
void hd_run_leave(hd_run *run, hd_plan *plan);
/* The device has done with it; status: HD_OK, or HD_LOST. Gives the results to the caller, or says why there are none. */
HD_MUST_CHECK hd_status hd_run_land(hd_left_run *left, hd_status status, hd_error *error);

/* What the kernels read and wrote of the caller's. */
void hd_run_tell_tensors(const hd_tensor *inputs, size_t input_count, const hd_tensor *outputs,
                         size_t output_count);

#endif
