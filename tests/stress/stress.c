/* stress THREADS SCALE ITER SEED: threads that share a few devices and models make, run, drop, shut
 * down and ask them about themselves, run models at once and later, in streams, batches and across
 * streams by events, and cancel, abandon or wait for what they submitted, in an order that the seed
 * fixes and with random delays. Each result must have the bits that one thread alone got. Run it
 * under ThreadSanitizer and AddressSanitizer.
 *
 * SCALE multiplies the models' sizes. Handles are counted here, as a program would: "destroy is for
 * the last user of a handle". Shutdown needs no such care, and races with everything. */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "heddle/heddle.h"

#define DEVICES     3
#define MODELS      6
#define KINDS       3
#define CHAIN_KINDS 2 /* the first two give what they can take */
#define ROW_LIMIT   8
#define WIDTH       16 /* times SCALE */

/* A device and the number of threads and models here that hold it. */
typedef struct shared_device {
    hd_device *device;
    atomic_int holders;
    atomic_bool shut_down;
} shared_device;

typedef struct shared_model {
    hd_model *model;
    hd_batch *batch; /* of the model; NULL: none */
    shared_device *on;
    size_t kind;
    atomic_int holders;
} shared_model;

static pthread_mutex_t table_mutex = PTHREAD_MUTEX_INITIALIZER;
static shared_device *devices[DEVICES];
static shared_model *models[MODELS];

static size_t width;
static float *inputs; /* ROW_LIMIT rows */
static hd_tensor expected[KINDS][ROW_LIMIT + 1]; /* by kind and rows */
static hd_tensor expected_twice[CHAIN_KINDS][ROW_LIMIT + 1]; /* of the output, run again */
static atomic_ullong runs, closed_runs, made, shutdowns, later_runs, cancelled, late, chains;
static atomic_bool failed;

static void complain(const char *what, const hd_error *error)
{
    fprintf(stderr, "stress: %s: %s\n", what, error == NULL ? "" : error->message);
    atomic_store(&failed, true);
}

static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static hd_value add(hd_graph *graph, hd_status *status, const char *type, hd_value a, hd_value b,
                    const hd_attribute *attribute)
{
    hd_value out = HD_VALUE_NONE, operands[] = {a, b};
    if (*status == HD_OK) {
        *status = hd_graph_add_node(graph, type, operands, b == HD_VALUE_NONE ? 1 : 2, attribute,
                                    attribute == NULL ? 0 : 1, &out, 1, NULL);
    }
    return out;
}

static hd_value constant(hd_graph *graph, hd_status *status, hd_dtype dtype, uint32_t rank,
                         int64_t first, int64_t second, const void *data)
{
    hd_value out = HD_VALUE_NONE;
    hd_tensor tensor = {
        .dtype = dtype, .rank = rank, .dims = {first, second}, .data = (void *)(uintptr_t)data};
    tensor.size = (size_t)(first * (rank > 1 ? second : 1)) * hd_dtype_size(dtype);
    if (*status == HD_OK) {
        *status = hd_graph_add_constant(graph, &tensor, &out, NULL);
    }
    return out;
}

/* 0: two products with what follows them. 1: a chain of small steps. 2: shapes that depend on data.
 * */
static hd_value build(hd_graph *graph, hd_status *status, size_t kind, hd_value x)
{
    hd_value w = constant(graph, status, HD_FLOAT32, 2, (int64_t)width, (int64_t)width, inputs);
    if (kind == 0) {
        hd_value y = add(graph, status, "MatMul", x, w, NULL);
        y = add(graph, status, "Relu", y, HD_VALUE_NONE, NULL);
        y = add(graph, status, "MatMul", y, w, NULL);
        return add(graph, status, "Add", y, x, NULL);
    }
    if (kind == 1) {
        hd_value y = add(graph, status, "Softmax", x, HD_VALUE_NONE, NULL);
        y = add(graph, status, "Transpose", y, HD_VALUE_NONE, NULL);
        y = add(graph, status, "Tanh", y, HD_VALUE_NONE, NULL);
        y = add(graph, status, "Transpose", y, HD_VALUE_NONE, NULL);
        return add(graph, status, "Mul", y, x, NULL);
    }
    static const int64_t flat[] = {-1}, zero[] = {0};
    hd_attribute axis = {.name = "axis", .kind = HD_ATTRIBUTE_INT, .i = 0};
    hd_value shape = constant(graph, status, HD_INT64, 1, 1, 0, flat);
    hd_value row =
        add(graph, status, "Gather", x, constant(graph, status, HD_INT64, 1, 1, 0, zero), &axis);
    hd_value list = add(graph, status, "Reshape", row, shape, NULL);
    hd_value positive = add(graph, status, "Relu", list, HD_VALUE_NONE, NULL);
    hd_value places = add(graph, status, "NonZero", positive, HD_VALUE_NONE, NULL);
    places = add(graph, status, "Reshape", places, shape, NULL);
    hd_value kept = add(graph, status, "Gather", list, places, &axis);
    return add(graph, status, "Exp", kept, HD_VALUE_NONE, NULL);
}

static hd_status make_model(hd_device *device, size_t kind, hd_model **out_model, hd_error *error)
{
    hd_graph *graph = NULL;
    hd_value x;
    int64_t dims[] = {-1, (int64_t)width};
    *out_model = NULL;
    hd_status status = hd_graph_create(0, &graph, error);
    if (status == HD_OK) {
        status = hd_graph_add_input(graph, "x", HD_FLOAT32, 2, dims, &x, error);
    }
    hd_value y = status == HD_OK ? build(graph, &status, kind, x) : HD_VALUE_NONE;
    if (status == HD_OK) {
        status = hd_graph_add_output(graph, "y", y, error);
    }
    if (status == HD_OK) {
        hd_model_options options = {.struct_size = sizeof options, .plan_cache_capacity = 3};
        status = hd_model_create(device, graph, &options, out_model, error);
    }
    hd_graph_destroy(&graph);
    return status;
}

static hd_tensor rows_of(void *memory, size_t rows)
{
    return (hd_tensor){.dtype = HD_FLOAT32,
                       .rank = 2,
                       .dims = {(int64_t)rows, (int64_t)width},
                       .data = memory,
                       .size = rows * width * sizeof(float)};
}

static hd_status run(hd_model *model, size_t rows, hd_tensor *output, hd_error *error)
{
    hd_tensor input = rows_of(inputs, rows);
    return hd_model_run(model, &input, 1, output, 1, error);
}

static bool has_bits(const hd_tensor *output, const hd_tensor *wanted)
{
    return output->size == wanted->size && memcmp(output->data, wanted->data, wanted->size) == 0;
}

/* --- counted handles */

static shared_device *hold_device(size_t index)
{
    pthread_mutex_lock(&table_mutex);
    shared_device *held = devices[index];
    atomic_fetch_add(&held->holders, 1);
    pthread_mutex_unlock(&table_mutex);
    return held;
}

static void release_device(shared_device *held)
{
    if (atomic_fetch_sub(&held->holders, 1) == 1) {
        hd_device_destroy(&held->device);
        free(held);
    }
}

static shared_model *hold_model(size_t index)
{
    pthread_mutex_lock(&table_mutex);
    shared_model *held = models[index];
    if (held != NULL) {
        atomic_fetch_add(&held->holders, 1);
    }
    pthread_mutex_unlock(&table_mutex);
    return held;
}

static void release_model(shared_model *held)
{
    if (held != NULL && atomic_fetch_sub(&held->holders, 1) == 1) {
        hd_batch_destroy(&held->batch);
        hd_model_destroy(&held->model);
        release_device(held->on);
        free(held);
    }
}

static shared_device *open_device(uint64_t random)
{
    hd_error error;
    shared_device *opened = calloc(1, sizeof *opened);
    hd_device_options options = {.struct_size = sizeof options,
                                 .thread_count = 1 + (uint32_t)(random % 4)};
    if (opened == NULL || hd_device_open("cpu", &options, &opened->device, &error) != HD_OK) {
        complain("opening a device", opened == NULL ? NULL : &error);
        free(opened);
        return NULL;
    }
    atomic_store(&opened->holders, 1);
    return opened;
}

/* --- what threads do */

static void run_some_model(uint64_t *state)
{
    shared_model *held = hold_model(draw(state) % MODELS);
    if (held == NULL) {
        return;
    }
    size_t rows = 1 + draw(state) % ROW_LIMIT;
    const hd_tensor *wanted = &expected[held->kind][rows];
    bool own = draw(state) % 2 == 0;
    void *memory = own ? malloc(wanted->size + 1) : NULL;
    hd_tensor output = {.data = memory, .size = own ? wanted->size : 0};
    hd_error error;
    hd_status status = run(held->model, rows, &output, &error);
    if (status == HD_OK) {
        atomic_fetch_add(&runs, 1);
        if (!has_bits(&output, wanted)) {
            complain("a run's bits differ from those of one thread alone", NULL);
        }
        if (!own) {
            hd_tensor_release(&output);
        }
    } else if (status == HD_CLOSED && atomic_load(&held->on->shut_down)) {
        atomic_fetch_add(&closed_runs, 1);
    } else {
        complain("a run", &error);
    }
    free(memory);
    release_model(held);
}

/* --- later */

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

/* Whether a call that may find its device shut down, or a queue full, went well. */
static bool went_well(const char *what, hd_status status, const shared_model *held,
                      const hd_error *error)
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
        outcome = hd_future_wait(request->future, draw(state) % 4 == 0 ? HD_WAIT_FOREVER : 1, &error);
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

static void run_some_model_later(uint64_t *state)
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
    hd_tensor between = rows_of(block, rows), output = rows_of(malloc(between.size), rows);
    hd_tensor first = rows_of(inputs, rows), second = between;
    hd_submit_options options = {.struct_size = sizeof options, .stream = streams[0]};
    hd_future *futures[2] = {NULL, NULL};
    hd_event *event = NULL;
    hd_error error;
    bool good = output.data != NULL &&
                went_well("making an event", hd_event_create(held->on->device, &event, &error),
                          held, &error) &&
                went_well("a chain's first run",
                          hd_model_run_async(held->model, &first, 1, &between, 1, &options,
                                             &futures[0], &error),
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
        if (futures[1 - i] != NULL && hd_future_wait(futures[1 - i], HD_WAIT_FOREVER, &error) != HD_OK) {
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

static void chain_some_model(uint64_t *state)
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

/* --- handles */

static void replace_model(uint64_t *state)
{
    hd_error error;
    size_t index = draw(state) % MODELS;
    shared_model *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL) {
        return;
    }
    fresh->on = hold_device(draw(state) % DEVICES);
    fresh->kind = draw(state) % KINDS;
    atomic_store(&fresh->holders, 1);
    hd_status status = make_model(fresh->on->device, fresh->kind, &fresh->model, &error);
    if (status != HD_OK) {
        if (status != HD_CLOSED || !atomic_load(&fresh->on->shut_down)) {
            complain("making a model", &error);
        }
        release_model(fresh);
        return;
    }
    atomic_fetch_add(&made, 1);
    if (fresh->kind < CHAIN_KINDS && draw(state) % 2 == 0) {
        hd_batch_options options = {.struct_size = sizeof options};
        options.worker_count = 1 + (uint32_t)(draw(state) % 3);
        options.max_delay_us = draw(state) % 2 == 0 ? 100 : 0;
        options.capacity = draw(state) % 2 == 0 ? 8 : 0;
        (void)went_well("making a batch queue",
                        hd_batch_create(fresh->model, &options, &fresh->batch, &error), fresh,
                        &error);
    }
    pthread_mutex_lock(&table_mutex);
    shared_model *old = models[index];
    models[index] = fresh;
    pthread_mutex_unlock(&table_mutex);
    release_model(old); /* while others still run it, perhaps */
}

static void replace_device(uint64_t *state)
{
    shared_device *fresh = open_device(draw(state));
    if (fresh == NULL) {
        return;
    }
    size_t index = draw(state) % DEVICES;
    pthread_mutex_lock(&table_mutex);
    shared_device *old = devices[index];
    devices[index] = fresh;
    pthread_mutex_unlock(&table_mutex);
    if (draw(state) % 2 == 0) {
        hd_error error;
        atomic_store(&old->shut_down, true);
        hd_status status =
            hd_device_shutdown(old->device, draw(state) % 3 == 0 ? 0 : 60000, &error);
        if (status != HD_OK && status != HD_NOT_YET) {
            complain("a shutdown", &error);
        }
        atomic_fetch_add(&shutdowns, 1);
    }
    release_device(old);
}

static void ask(uint64_t *state)
{
    shared_device *held = hold_device(draw(state) % DEVICES);
    hd_device_info info = {.struct_size = sizeof info};
    hd_memory_info memory = {.struct_size = sizeof memory};
    if (hd_device_get_info(held->device, &info) != HD_OK ||
        hd_device_get_memory(held->device, &memory) != HD_OK ||
        (draw(state) % 4 == 0 && hd_memory_trim(held->device, NULL) != HD_OK)) {
        complain("asking a device", NULL);
    }
    hd_memory_statistics blocks = {.struct_size = sizeof blocks};
    if (hd_memory_get_statistics(held->device, &blocks) != HD_OK ||
        blocks.in_use_bytes + blocks.cached_bytes != blocks.reserved_bytes) {
        complain("the statistics of a device's blocks", NULL);
    }
    release_device(held);
}

static void *live(void *argument)
{
    const uint64_t *given = argument; /* seed, iterations */
    uint64_t state = given[0];
    for (uint64_t i = 0; i < given[1] && !atomic_load(&failed); i++) {
        uint64_t what = draw(&state) % 100;
        if (what < 35) {
            run_some_model(&state);
        } else if (what < 60) {
            run_some_model_later(&state);
        } else if (what < 75) {
            chain_some_model(&state);
        } else if (what < 88) {
            replace_model(&state);
        } else if (what < 91) {
            replace_device(&state);
        } else {
            ask(&state);
        }
        uint64_t delay = draw(&state) % 64;
        if (delay == 0) {
            usleep((useconds_t)(draw(&state) % 400));
        } else if (delay < 8) {
            sched_yield();
        }
    }
    return NULL;
}

/* What one thread alone gets, for each kind and number of rows. */
static bool compute_expected(void)
{
    hd_device_options options = {.struct_size = sizeof options, .thread_count = 1};
    hd_device *device;
    hd_error error = {.message = ""};
    bool good = hd_device_open("cpu", &options, &device, &error) == HD_OK;
    for (size_t kind = 0; good && kind < KINDS; kind++) {
        hd_model *model;
        good = make_model(device, kind, &model, &error) == HD_OK;
        for (size_t rows = 1; good && rows <= ROW_LIMIT; rows++) {
            good = run(model, rows, &expected[kind][rows], &error) == HD_OK;
            if (good && kind < CHAIN_KINDS) {
                hd_tensor again = rows_of(expected[kind][rows].data, rows);
                good =
                    hd_model_run(model, &again, 1, &expected_twice[kind][rows], 1, &error) == HD_OK;
            }
        }
        hd_model_destroy(&model);
    }
    hd_device_destroy(&device);
    if (!good) {
        complain("one thread alone", &error);
    }
    return good;
}

static bool prepare(size_t scale, uint64_t seed)
{
    width = WIDTH * scale;
    size_t rows = width > ROW_LIMIT ? width : ROW_LIMIT; /* they serve as weights, too */
    inputs = malloc(rows * width * sizeof *inputs);
    if (inputs == NULL) {
        return false;
    }
    for (size_t i = 0; i < rows * width; i++) {
        inputs[i] = (float)((double)(draw(&seed) >> 11) / 4503599627370496.0 - 1.0) / 4;
    }
    for (size_t i = 0; i < DEVICES; i++) {
        devices[i] = open_device(i + 1);
        if (devices[i] == NULL) {
            return false;
        }
    }
    return compute_expected();
}

static void clean_up(void)
{
    for (size_t i = 0; i < MODELS; i++) {
        release_model(models[i]);
    }
    for (size_t i = 0; i < DEVICES; i++) {
        release_device(devices[i]);
    }
    for (size_t kind = 0; kind < KINDS; kind++) {
        for (size_t rows = 0; rows <= ROW_LIMIT; rows++) {
            hd_tensor_release(&expected[kind][rows]);
            if (kind < CHAIN_KINDS) {
                hd_tensor_release(&expected_twice[kind][rows]);
            }
        }
    }
    free(inputs);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fputs("usage: stress THREADS SCALE ITER SEED\n", stderr);
        return 2;
    }
    size_t count = strtoul(argv[1], NULL, 10), scale = strtoul(argv[2], NULL, 10);
    uint64_t iterations = strtoull(argv[3], NULL, 10), seed = strtoull(argv[4], NULL, 10);
    pthread_t *threads = calloc(count + 1, sizeof *threads);
    uint64_t (*given)[2] = calloc(count + 1, sizeof *given);
    if (count == 0 || scale == 0 || threads == NULL || given == NULL || !prepare(scale, seed)) {
        fputs("stress: could not begin\n", stderr);
        return 2;
    }
    size_t started = 0;
    for (size_t i = 0; i < count; i++) {
        given[i][0] = seed + i * 1000003;
        given[i][1] = iterations;
        if (pthread_create(&threads[i], NULL, live, given[i]) != 0) {
            complain("no more threads", NULL);
            break;
        }
        started++;
    }
    for (size_t i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
    clean_up();
    free(threads);
    free(given);
    printf("runs %llu, refused by a device that was shut down %llu, later %llu, of them cancelled "
           "%llu and past "
           "their deadline %llu, chains %llu, models %llu, shutdowns %llu: %s\n",
           atomic_load(&runs), atomic_load(&closed_runs), atomic_load(&later_runs),
           atomic_load(&cancelled), atomic_load(&late), atomic_load(&chains), atomic_load(&made),
           atomic_load(&shutdowns), atomic_load(&failed) ? "FAILED" : "ok");
    return atomic_load(&failed) ? 1 : 0;
}
