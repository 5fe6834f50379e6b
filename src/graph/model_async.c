/* Asynchronous runs of a model: a run becomes work of a stream, and its end the future's. */
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "graph/plan_replay.h"
#include "graph/run.h"

/* How long a submission waits for a place in a full queue when the caller does not say. */
#define SUBMIT_WAIT_MS 60000
/* What takes no longer to hand over to a device than to wake a runner for it, which its submitter does then. */
#define QUICK_NANOSECONDS UINT64_C(100000)

typedef struct async_run {
    hd_flight flight;       /* first: the queue's pointer to it is the run's */
    hd_model *model;        /* with a reference, and through it the device */
    hd_future *future;      /* with the request's reference */
    const hd_tensor *given; /* the caller's inputs, until they are recorded */
    hd_tensor *outputs;     /* the caller's */
    size_t output_count;
    size_t input_count;
    hd_left_run *left; /* behind the inputs; NULL: the device is the host */
    hd_future_stop stop;
    hd_status status;
    hd_error error;
    hd_tensor inputs[]; /* copies; their names and data stay the caller's */
} async_run;

/* Records the request: what the caller may change afterwards is copied. */
static void record_run(hd_stream_work *work)
{
    async_run *run = (async_run *)work;
    if (run->input_count > 0) {
        memcpy(run->inputs, run->given, run->input_count * sizeof *run->inputs);
    }
}

static void land_run(hd_flight *flight, hd_status status)
{
    async_run *run = (async_run *)flight;
    if (run->left != NULL && run->left->plan != NULL) {
        run->status = hd_run_land(run->left, status, &run->error);
    }
}

/* The stream's point is reached. In this order: whoever finds the future final finds that, too, and nothing is touched
 * any more when the last reference goes. */
static void finish_run(hd_flight *flight)
{
    async_run *run = (async_run *)flight;
    hd_model *model = run->model;
    hd_future_finish(run->future, run->status, &run->error);
    hd_free(run);
    hd_model_destroy(&model);
}

/* Keeps how long it took to hand the run over, where that was one launch. */
static void note_launch(const async_run *run, uint64_t start)
{
    if (run->left != NULL && run->left->plan != NULL && hd_plan_is_launch(run->left->plan)) {
        size_t index = hd_model_duration_index(run->inputs, run->input_count);
        hd_model_note_duration(&run->model->launch_nanoseconds[index], hd_clock_now() - start);
    }
}

static bool is_quick(const hd_model *model, const hd_tensor *inputs, size_t input_count)
{
    size_t index = hd_model_duration_index(inputs, input_count);
    uint64_t known = hd_load_relaxed(&model->launch_nanoseconds[index]);
    return known > 0 && known < QUICK_NANOSECONDS;
}

/* Whether nothing is known that the run would have to wait for until those before it have landed: that is a runner's to do, and
 * not the caller's. */
static bool follows_at_once(const async_run *run)
{
    hd_device_watcher *watcher = &run->model->device->watcher;
    /* relaxed: see hd_model.steering. */
    bool follows = hd_load_relaxed(&run->model->steering) == 0 &&
                   !hd_device_watcher_is_written(watcher, &run->flight, run->outputs,
                                                 run->output_count * sizeof *run->outputs);
    for (size_t i = 0; i < run->input_count && follows; i++) {
        const hd_tensor *input = &run->given[i]; /* the device writes its own memory in order */
        follows = input->place == HD_TENSOR_DEVICE ||
                  !hd_device_watcher_is_written(watcher, &run->flight, input->data, input->size);
    }
    return follows;
}

static hd_work_result execute_run(hd_work *work, uint32_t runner)
{
    async_run *run = (async_run *)work;
    hd_model *model = run->model;
    hd_device *device = model->device;
    uint64_t start = run->left == NULL ? 0 : hd_clock_now();
    hd_device_watcher_begin(&device->watcher, &run->flight);
    if (hd_future_hold(run->future)) {
        run->stop = hd_future_make_stop(run->future);
        run->status = hd_model_begin_on(model, hd_device_runner_lane(device, &run->flight, runner),
                                        run->left, &run->stop.stop, run->inputs, run->input_count,
                                        run->outputs, run->output_count, &run->error);
        note_launch(run, start);
    }
    bool was_long = hd_model_run_is_long(model, run->inputs, run->input_count);
    hd_work_result result = hd_device_watcher_end(&device->watcher, &run->flight);
    return result == HD_WORK_DONE && was_long ? HD_WORK_DONE_LONG : result;
}

hd_status hd_submit_options_read(const hd_submit_options *options, hd_submit_options *out,
                                 hd_error *error)
{
    *out = (hd_submit_options){0};
    if (options != NULL) {
        if (options->struct_size == 0 || options->struct_size > sizeof *out) {
            return hd_fail(error, HD_INVALID_ARGUMENT,
                           "hd_submit_options.struct_size is %zu, not %zu", options->struct_size,
                           sizeof *out);
        }
        memcpy(out, options, options->struct_size);
    }
    return HD_OK;
}

uint64_t hd_submit_options_limit(const hd_submit_options *options)
{
    return hd_clock_after_ms(hd_wait_of_option(options->wait_ms, SUBMIT_WAIT_MS));
}

static hd_status fail_future(hd_status status, hd_error *error)
{
    return hd_fail(error, status,
                   status == HD_EXHAUSTED ? "too many callbacks are outstanding"
                                          : "no memory for a request");
}

hd_status hd_model_run_async(hd_model *model, const hd_tensor *inputs, size_t input_count,
                             hd_tensor *outputs, size_t output_count,
                             const hd_submit_options *options, hd_future **out_future,
                             hd_error *error)
{
    if (out_future != NULL) {
        *out_future = NULL;
    }
    hd_submit_options given;
    hd_stream_ref stream;
    hd_status status = hd_model_check_run(model, inputs, input_count, outputs, output_count, error);
    if (status == HD_OK) {
        status = hd_submit_options_read(options, &given, error);
    }
    if (status == HD_OK) {
        status = hd_device_find_stream(model->device, given.stream, &stream, error);
    }
    if (status != HD_OK) {
        return status;
    }
    hd_future *future;
    status = hd_future_create(&model->device->future_home, &given, out_future != NULL, &future);
    if (status != HD_OK) {
        return fail_future(status, error);
    }
    size_t size;
    async_run *run = NULL;
    bool is_host = model->device->unit->is_host;
    if (hd_multiply_size(input_count, sizeof *inputs, &size) &&
        hd_add_size(size, sizeof *run + (is_host ? 0 : hd_left_run_size(model)), &size)) {
        run = hd_alloc(size);
    }
    if (run == NULL) {
        hd_future_discard(future);
        return fail_future(HD_OUT_OF_MEMORY, error);
    }
    *run = (async_run){
        .flight = {.work = {.work = {.run = execute_run}}, .land = land_run, .finish = finish_run},
        .model = model,
        .future = future,
        .given = inputs,
        .outputs = outputs,
        .output_count = output_count,
        .input_count = input_count};
    bool drives = false;
    if (!is_host) {
        run->flight.work.stream = stream.stream;
        if (is_quick(model, inputs, input_count) && follows_at_once(run)) {
            run->flight.work.work.drives = &drives;
        }
        run->left = (hd_left_run *)(run->inputs + input_count);
        hd_left_run_init(run->left, model, &run->flight);
    }
    hd_add_relaxed(&model->reference_count, 1); /* relaxed: the caller's reference keeps it */
    /* Before the work is handed over: it may end, and the request's reference with it, at once. */
    if (out_future != NULL) {
        *out_future = future;
    }
    /* A callback may give back the last handles while this thread is still on its way out. */
    hd_device *device = model->device;
    hd_device_retain(device);
    status = hd_device_submit(device, &stream, &run->flight.work, record_run,
                              hd_submit_options_limit(&given), error);
    if (drives) {
        hd_runners_drive(device->runners, stream.stream->queue_number);
    }
    if (status != HD_OK) {
        if (out_future != NULL) {
            *out_future = NULL;
        }
        hd_free(run);
        hd_future_discard(future);
        hd_model_destroy(&model);
    }
    hd_device_destroy(&device);
    return status;
}
