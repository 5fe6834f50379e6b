/* Batch: requests of a model's callers, checked and queued, and the workers that run them together. */
#include "heddle/batch.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/sized.h"
#include "base/stop.h"
#include "graph/batch_stack.h"
#include "graph/binding.h"

#define DEFAULT_MAX_ROWS 8
#define DEFAULT_CAPACITY 1024
#define MOST_WORKERS     64
#define MOST_ROWS        4096
#define MOST_CAPACITY    (UINT32_C(1) << 20)

typedef struct batch_worker {
    hd_batch_worker place;
    hd_batch *batch;
    hd_thread thread;
    hd_batch_stack stack;
    hd_batch_entry **entries; /* those of the batch that are to be run; room for max_rows */
    /* the first of them that is not known to be decided; relaxed: it saves looks */
    _Atomic uint32_t pending;
} batch_worker;

/* What stops a run of several requests. */
typedef struct batch_stop {
    hd_stop stop; /* first */
    batch_worker *worker;
    size_t count;
} batch_stop;

struct hd_batch {
    hd_model *model; /* with a reference, and through it the device */
    hd_batch_queue queue;
    hd_batch_kinds kinds;
    uint32_t worker_count;
    batch_worker *workers;
    _Atomic uint64_t batches; /* relaxed, as the next: statistics */
    _Atomic uint64_t rows;
};

/* The entry and its future are gone afterwards. */
static void finish_entry(hd_batch_entry *entry, hd_status status, const hd_error *error)
{
    hd_batch_kind *own = entry->kind->is_listed ? NULL : entry->kind;
    hd_future_finish(entry->future, status, error);
    if (own != NULL) {
        hd_batch_kind_drop(own);
    }
}

static void finish_cancelled(hd_batch *batch, const hd_batch_list *list)
{
    hd_batch_request *next;
    for (hd_batch_request *request = list->first; request != NULL; request = next) {
        next = request->next;
        finish_entry((hd_batch_entry *)request, HD_CANCELLED, NULL);
    }
    if (list->count > 0) {
        hd_batch_queue_end(&batch->queue, list->count);
    }
}

/* Holds the memory of what is to be run, and ends what was cancelled or is late; returns the number that is
 * left. */
static size_t sort_out(batch_worker *worker, const hd_batch_list *list, uint32_t *out_rows)
{
    size_t count = 0;
    hd_batch_request *next;
    *out_rows = 0;
    for (hd_batch_request *request = list->first; request != NULL; request = next) {
        hd_batch_entry *entry = (hd_batch_entry *)request;
        next = request->next;
        if (!hd_future_hold(entry->future)) {
            finish_entry(entry, HD_CANCELLED, NULL); /* what was decided before stands */
        } else {
            worker->entries[count++] = entry;
            *out_rows += request->rows;
        }
    }
    return count;
}

static void note_run(hd_batch *batch, uint32_t rows)
{
    hd_add_relaxed(&batch->batches, 1);
    hd_add_relaxed(&batch->rows, rows);
}

static void run_alone(batch_worker *worker, hd_batch_entry *entry)
{
    hd_error error = {.status = HD_OK};
    hd_status status = HD_CANCELLED;
    if (hd_future_hold(entry->future)) {
        note_run(worker->batch, entry->request.rows);
        status = hd_batch_stack_run_alone(&worker->stack, entry, &error);
    }
    finish_entry(entry, status, &error);
}

/* A run of several goes on while one of them is to have its rows. */
static hd_status look_at_batch(const hd_stop *stop)
{
    const batch_stop *batch = (const batch_stop *)stop;
    uint32_t first = hd_load_relaxed(&batch->worker->pending), i = first;
    while (i < batch->count && hd_future_look(batch->worker->entries[i]->future) != HD_OK) {
        i++;
    }
    if (i != first) {
        hd_store_relaxed(&batch->worker->pending, i);
    }
    return i < batch->count ? HD_OK : HD_CANCELLED;
}

/* Runs the worker's requests as one, without handing anything out. Once a request's inputs are stacked, it holds its
 * caller's memory no more. False: it could not be done, and each may be run alone. */
static bool run_stacked(batch_worker *worker, size_t count, uint32_t rows)
{
    hd_batch_kind *kind = worker->entries[0]->kind;
    batch_stop stop = {{look_at_batch, look_at_batch}, worker, count};
    hd_store_relaxed(&worker->pending, 0);
    hd_stop_enter(&stop.stop);
    hd_status status = hd_batch_kind_prove(kind, worker->batch->model, rows, NULL);
    hd_stop_enter(NULL);
    if (status != HD_OK || !hd_batch_stack_prepare(&worker->stack, kind, rows)) {
        return false;
    }
    uint32_t row = 0;
    for (size_t i = 0; i < count; i++) {
        hd_batch_stack_put(&worker->stack, worker->entries[i], row);
        row += worker->entries[i]->request.rows;
        hd_future_let_go(worker->entries[i]->future);
    }
    return hd_batch_stack_run(&worker->stack, kind, rows, &stop.stop);
}

static void hand_out(batch_worker *worker, hd_batch_entry *entry, uint32_t row)
{
    hd_error error = {.status = HD_OK};
    hd_status status = HD_CANCELLED;
    if (hd_future_hold(entry->future)) {
        status = hd_batch_stack_hand_out(&worker->stack, entry, row, &error);
    }
    finish_entry(entry, status, &error);
}

/* Requests that cannot be run as one are run one by one, so that each has the outcome of its own. */
static void run_batch(batch_worker *worker, const hd_batch_list *list)
{
    uint32_t rows;
    size_t count = sort_out(worker, list, &rows);
    if (count < 2 || !run_stacked(worker, count, rows)) {
        for (size_t i = 0; i < count; i++) {
            run_alone(worker, worker->entries[i]);
        }
        return;
    }
    note_run(worker->batch, rows);
    /* The last one first: who waits for his oldest request then finds all the others ended, too. */
    while (count-- > 0) {
        rows -= worker->entries[count]->request.rows;
        hand_out(worker, worker->entries[count], rows);
    }
}

static void run_worker(void *argument)
{
    batch_worker *worker = argument;
    hd_batch_list list;
    while (hd_batch_queue_collect(&worker->batch->queue, &worker->place, &list)) {
        run_batch(worker, &list);
    }
}

static void clear_worker(batch_worker *worker)
{
    hd_free(worker->entries);
    hd_batch_stack_clear(&worker->stack);
    hd_batch_worker_destroy(&worker->place);
}

static hd_status start_worker(hd_batch *batch, batch_worker *worker, uint32_t number)
{
    char name[16];
    worker->batch = batch;
    if (hd_batch_worker_init(&worker->place) != HD_OK) {
        return HD_OUT_OF_MEMORY;
    }
    if (hd_batch_stack_init(&worker->stack, batch->model) != HD_OK) {
        goto fail_place;
    }
    worker->entries = hd_alloc_zero(batch->queue.max_rows, sizeof *worker->entries);
    snprintf(name, sizeof name, "heddle-batch-%u", number % 100);
    if (worker->entries == NULL ||
        hd_thread_start(&worker->thread, name, run_worker, worker) != HD_OK) {
        goto fail_stack;
    }
    return HD_OK;
fail_stack:
    hd_free(worker->entries);
    hd_batch_stack_clear(&worker->stack);
fail_place:
    hd_batch_worker_destroy(&worker->place);
    return HD_OUT_OF_MEMORY;
}

static hd_status read_options(const hd_batch_options *options, hd_batch_options *out,
                              hd_error *error)
{
    *out = (hd_batch_options){0};
    if (options != NULL) {
        if (options->struct_size == 0 || options->struct_size > sizeof *out) {
            return hd_fail(error, HD_INVALID_ARGUMENT,
                           "hd_batch_options.struct_size is %zu, not %zu", options->struct_size,
                           sizeof *out);
        }
        memcpy(out, options, options->struct_size);
    }
    out->worker_count = out->worker_count == 0 ? 1 : out->worker_count;
    out->max_rows = out->max_rows == 0 ? DEFAULT_MAX_ROWS : out->max_rows;
    out->capacity = out->capacity == 0 ? DEFAULT_CAPACITY : out->capacity;
    if (out->worker_count > MOST_WORKERS || out->max_rows > MOST_ROWS ||
        out->capacity > MOST_CAPACITY) {
        return hd_fail(error, HD_INVALID_ARGUMENT,
                       "at most %d workers, %d rows and %u requests that wait are allowed",
                       MOST_WORKERS, MOST_ROWS, MOST_CAPACITY);
    }
    return HD_OK;
}

/* Whether more rows than one can be given to the model at all. */
static hd_status check_stackable(const hd_model *model, uint32_t max_rows, hd_error *error)
{
    const hd_block *root = model->graph->root;
    if (root->input_count == 0) {
        return hd_fail(error, HD_UNSUPPORTED, "the model has no input, and so no rows");
    }
    for (size_t i = 0; i < root->input_count; i++) {
        const hd_graph_value *value = &model->graph->values[root->inputs[i]];
        if (value->has_rank && value->shape.rank == 0) {
            return hd_fail(error, HD_UNSUPPORTED, "input '%s' is a scalar and cannot be stacked",
                           value->name);
        }
        if (max_rows > 1 && value->has_rank && value->shape.dims[0] >= 0) {
            return hd_fail(error, HD_UNSUPPORTED,
                           "input '%s' cannot be stacked: its first dimension is always %lld",
                           value->name, (long long)value->shape.dims[0]);
        }
    }
    return HD_OK;
}

static void free_batch(hd_batch *batch)
{
    hd_batch_queue_destroy(&batch->queue);
    hd_batch_kinds_clear(&batch->kinds);
    hd_model_destroy(&batch->model);
    hd_free(batch->workers);
    hd_free(batch);
}

static bool is_device_closed(const void *device)
{
    return hd_slot_pool_is_closed((hd_slot_pool *)(uintptr_t)&((const hd_device *)device)->slots);
}

hd_status hd_batch_create(hd_model *model, const hd_batch_options *options, hd_batch **out_batch,
                          hd_error *error)
{
    if (out_batch == NULL || model == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "model or out_batch is NULL");
    }
    *out_batch = NULL;
    hd_batch_options given;
    hd_status status = read_options(options, &given, error);
    if (status == HD_OK) {
        status = hd_device_check_open(model->device, error);
    }
    if (status == HD_OK) {
        status = check_stackable(model, given.max_rows, error);
    }
    if (status != HD_OK) {
        return status;
    }
    hd_batch *batch = hd_alloc_zero(1, sizeof *batch);
    if (batch == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a batch queue");
    }
    batch->queue.max_rows = given.max_rows;
    batch->queue.capacity = given.capacity;
    uint32_t delay = hd_wait_of_argument(given.max_delay_us); /* its default is 0, too */
    batch->queue.max_delay = delay == HD_WAIT_FOREVER ? HD_FOREVER : (uint64_t)delay * 1000;
    batch->queue.hurries = is_device_closed;
    batch->queue.context = model->device;
    batch->kinds.max_rows = given.max_rows;
    batch->workers = hd_alloc_zero(given.worker_count, sizeof *batch->workers);
    if (batch->workers == NULL || hd_batch_queue_init(&batch->queue) != HD_OK) {
        hd_free(batch->workers);
        hd_free(batch);
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a batch queue");
    }
    batch->model = model;
    hd_add_relaxed(&model->reference_count, 1); /* relaxed: the caller's reference keeps it */
    while (batch->worker_count < given.worker_count &&
           start_worker(batch, &batch->workers[batch->worker_count], batch->worker_count) ==
               HD_OK) {
        batch->worker_count++;
    }
    if (batch->worker_count == 0) { /* fewer than asked for are enough */
        free_batch(batch);
        return hd_fail(error, HD_OUT_OF_MEMORY, "no thread or memory for a batch worker");
    }
    *out_batch = batch;
    return HD_OK;
}

/* All inputs must have the same number of rows. */
static hd_status count_rows(const hd_model *model, const hd_tensor *const *inputs,
                            uint32_t *out_rows, hd_error *error)
{
    const hd_block *root = model->graph->root;
    for (size_t i = 0; i < root->input_count; i++) {
        const char *name = model->graph->values[root->inputs[i]].name;
        int64_t rows = inputs[i]->rank == 0 ? 0 : inputs[i]->dims[0];
        if (rows < 1 || rows > INT32_MAX) {
            return hd_fail(error, HD_INVALID_ARGUMENT, "input '%s' has no rows, or too many", name);
        }
        if (rows != inputs[0]->dims[0]) {
            return hd_fail(error, HD_INVALID_ARGUMENT,
                           "input '%s' has %lld rows, the first input %lld", name, (long long)rows,
                           (long long)inputs[0]->dims[0]);
        }
        *out_rows = (uint32_t)rows;
    }
    return HD_OK;
}

/* Requests are put together and taken apart by the host. */
static hd_status check_places(const hd_model *model, const hd_tensor *const *inputs,
                              hd_tensor *const *outputs, hd_error *error)
{
    const hd_block *root = model->graph->root;
    bool is_hosts = true;
    for (size_t i = 0; i < root->input_count; i++) {
        is_hosts = is_hosts && inputs[i]->place == HD_TENSOR_HOST;
    }
    for (size_t i = 0; i < root->output_count; i++) {
        is_hosts = is_hosts && (outputs[i] == NULL || outputs[i]->place == HD_TENSOR_HOST);
    }
    return is_hosts || model->device->unit->is_host
               ? HD_OK
               : hd_fail(error, HD_UNSUPPORTED, "a batch queue takes tensors of the host's memory");
}

/* Fills in the entry; on failure nothing is left to undo. */
static hd_status prepare_entry(hd_batch *batch, hd_batch_entry *entry, const hd_tensor *inputs,
                               size_t input_count, hd_error *error)
{
    const hd_model *model = batch->model;
    const hd_block *root = model->graph->root;
    const hd_tensor **given = (const hd_tensor **)entry->pointers;
    hd_tensor **wanted = (hd_tensor **)(entry->pointers + root->input_count);
    hd_status status = hd_bind_inputs(model, inputs, input_count, given, error);
    if (status == HD_OK) {
        status = hd_bind_outputs(model, entry->outputs, entry->output_count, wanted, error);
    }
    if (status == HD_OK) {
        status = check_places(model, given, wanted, error);
    }
    if (status == HD_OK) {
        status = count_rows(model, given, &entry->request.rows, error);
    }
    if (status != HD_OK) {
        return status;
    }
    hd_batch_kind *kind = hd_batch_kinds_get(&batch->kinds, model, given, wanted);
    if (kind == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a request");
    }
    if (batch->queue.max_rows > 1) {
        status = hd_batch_kind_prove(kind, model, 2, error);
    }
    if (status != HD_OK) {
        if (!kind->is_listed) {
            hd_batch_kind_drop(kind);
        }
        return status;
    }
    for (size_t i = 0; i < root->input_count; i++) {
        entry->pointers[i] = given[i]->data;
    }
    entry->kind = kind;
    entry->request.kind = kind;
    return HD_OK;
}

/* Behind the queue's last call nothing of the batch is touched: the request may have ended meanwhile, and
 * its callback destroyed the batch (SAFE). */
static hd_status queue_entry(hd_batch *batch, hd_batch_entry *entry,
                             const hd_submit_options *options, hd_error *error)
{
    hd_batch_kind *own = entry->kind->is_listed ? NULL : entry->kind;
    /* The time limit is computed only if the queue is full: reading the clock costs as much. */
    hd_status status = hd_batch_queue_submit(&batch->queue, &entry->request, 0);
    if (status == HD_EXHAUSTED) {
        status =
            hd_batch_queue_submit(&batch->queue, &entry->request, hd_submit_options_limit(options));
    }
    if (status == HD_OK) {
        return HD_OK;
    }
    if (own != NULL) {
        hd_batch_kind_drop(own);
    }
    return hd_fail(error, status,
                   status == HD_CLOSED ? "the batch queue was shut down"
                                       : "the batch queue is full");
}

static hd_status create_entry(hd_batch *batch, hd_tensor *outputs, size_t output_count,
                              const hd_submit_options *options, bool with_handle,
                              hd_batch_entry **out_entry, hd_error *error)
{
    const hd_block *root = batch->model->graph->root;
    size_t count = root->input_count + root->output_count;
    hd_future *future;
    void *room;
    hd_status status =
        hd_future_create_with_room(&batch->model->device->future_home, options, with_handle,
                                   sizeof **out_entry + count * sizeof(void *), &future, &room);
    if (status != HD_OK) {
        return hd_fail(error, status,
                       status == HD_EXHAUSTED ? "too many callbacks are outstanding"
                                              : "no memory for a request");
    }
    hd_batch_entry *entry = room;
    *entry = (hd_batch_entry){.request = {.priority = options->priority},
                              .future = future,
                              .outputs = outputs,
                              .output_count = output_count};
    for (size_t i = 0; i < count; i++) {
        entry->pointers[i] = NULL;
    }
    *out_entry = entry;
    return HD_OK;
}

hd_status hd_batch_submit(hd_batch *batch, const hd_tensor *inputs, size_t input_count,
                          hd_tensor *outputs, size_t output_count, const hd_submit_options *options,
                          hd_future **out_future, hd_error *error)
{
    if (out_future != NULL) {
        *out_future = NULL;
    }
    hd_submit_options given;
    hd_batch_entry *entry = NULL;
    hd_status status = hd_model_check_run(batch == NULL ? NULL : batch->model, inputs, input_count,
                                          outputs, output_count, error);
    if (status == HD_OK) {
        status = hd_submit_options_read(options, &given, error);
    }
    if (status == HD_OK) {
        status = hd_device_check_open(batch->model->device, error);
    }
    if (status == HD_OK) {
        status =
            create_entry(batch, outputs, output_count, &given, out_future != NULL, &entry, error);
    }
    if (status != HD_OK) {
        return status;
    }
    hd_future *future = entry->future;
    status = prepare_entry(batch, entry, inputs, input_count, error);
    /* Before it is queued: it may end, and the request's reference with it, at once. */
    if (status == HD_OK && out_future != NULL) {
        *out_future = future;
    }
    if (status == HD_OK) {
        status = queue_entry(batch, entry, &given, error);
    }
    if (status != HD_OK) {
        if (out_future != NULL) {
            *out_future = NULL;
        }
        hd_future_discard(future);
    }
    return status;
}

hd_status hd_batch_shutdown(hd_batch *batch, hd_batch_shutdown_mode mode, uint32_t timeout_ms,
                            hd_error *error)
{
    if (batch == NULL || (mode != HD_BATCH_DRAIN && mode != HD_BATCH_CANCEL)) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "batch is NULL or the mode is none");
    }
    if (hd_thread_is_forked()) {
        return hd_fail(error, HD_FORKED, "the process was forked after the device was opened");
    }
    if (hd_callbacks_is_current(&batch->model->device->callbacks)) {
        return hd_fail(error, HD_BUSY, "a callback of the device cannot shut a batch queue down");
    }
    hd_batch_list cancelled = {.count = 0};
    hd_batch_queue_close(&batch->queue, mode == HD_BATCH_CANCEL ? &cancelled : NULL);
    finish_cancelled(batch, &cancelled);
    timeout_ms = hd_wait_of_argument(timeout_ms);
    if (hd_batch_queue_await(&batch->queue, hd_clock_after_ms(timeout_ms)) != HD_OK) {
        return hd_fail(error, HD_NOT_YET, "requests are still in flight after %u ms", timeout_ms);
    }
    return HD_OK;
}

void hd_batch_destroy(hd_batch **batch)
{
    if (batch == NULL || *batch == NULL) {
        return;
    }
    hd_batch *dead = *batch;
    *batch = NULL;
    if (hd_thread_is_forked()) {
        return; /* its workers live in the parent only; its memory goes with this process */
    }
    hd_batch_list cancelled;
    hd_batch_queue_close(&dead->queue, &cancelled);
    finish_cancelled(dead, &cancelled);
    for (uint32_t i = 0; i < dead->worker_count; i++) {
        hd_thread_join(&dead->workers[i].thread);
        clear_worker(&dead->workers[i]);
    }
    free_batch(dead);
}

hd_status hd_batch_get_statistics(hd_batch *batch, hd_batch_statistics *out_statistics)
{
    if (batch == NULL || out_statistics == NULL || !hd_sized_is_set(out_statistics)) {
        return HD_INVALID_ARGUMENT;
    }
    if (hd_thread_is_forked()) {
        return HD_FORKED;
    }
    hd_batch_counts counts = hd_batch_queue_count(&batch->queue);
    hd_batch_statistics statistics = {.submitted = counts.submitted,
                                      .ended = counts.ended,
                                      .pending = counts.waiting + counts.taken,
                                      .batches = hd_load_relaxed(&batch->batches),
                                      .rows = hd_load_relaxed(&batch->rows)};
    hd_sized_write(out_statistics, &statistics, sizeof statistics);
    return HD_OK;
}
