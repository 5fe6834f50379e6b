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

#include "stress_later.h"
#include "support/test_device.h"

static pthread_mutex_t table_mutex = PTHREAD_MUTEX_INITIALIZER;
static shared_device *devices[DEVICES];
static shared_model *models[MODELS];

size_t width;
float *inputs;                                        /* ROW_LIMIT rows */
hd_tensor expected[KINDS][ROW_LIMIT + 1];             /* by kind and rows */
hd_tensor expected_twice[CHAIN_KINDS][ROW_LIMIT + 1]; /* of the output, run again */
atomic_ullong runs, closed_runs, made, shutdowns, later_runs, cancelled, late, chains;
static atomic_bool failed;

void complain(const char *what, const hd_error *error)
{
    fprintf(stderr, "stress: %s: %s\n", what, error == NULL ? "" : error->message);
    atomic_store(&failed, true);
}

uint64_t draw(uint64_t *state)
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

hd_tensor rows_of(void *memory, size_t rows)
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

bool has_bits(const hd_tensor *output, const hd_tensor *wanted)
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

shared_model *hold_model(size_t index)
{
    pthread_mutex_lock(&table_mutex);
    shared_model *held = models[index];
    if (held != NULL) {
        atomic_fetch_add(&held->holders, 1);
    }
    pthread_mutex_unlock(&table_mutex);
    return held;
}

void release_model(shared_model *held)
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
    if (opened == NULL ||
        hd_device_open(test_device_name(), &options, &opened->device, &error) != HD_OK) {
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
    bool good = hd_device_open(test_device_name(), &options, &device, &error) == HD_OK;
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
