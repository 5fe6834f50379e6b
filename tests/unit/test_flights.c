/* Runs in flight on threads of their own: how models and devices end meanwhile, more threads than streams, and how many
 * plans are made. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "heddle/heddle.h"
#include "runtime/plan_cache.h"
#include "support/test_device.h"

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != HD_OK) {                                                                     \
            fail_msg("%s: %s", #call, error.message);                                              \
        }                                                                                          \
    } while (0)

#define SLOW_SIZE 384

/* Long enough that others can act meanwhile: x · x, again and again. */
static hd_model *make_slow_model(hd_device *device)
{
    static const int64_t dims[] = {-1, -1};
    hd_error error = {0};
    hd_graph *graph = NULL;
    hd_model *model = NULL;
    hd_value values[2];
    assert_ok(hd_graph_create(0, &graph, &error));
    assert_ok(hd_graph_add_input(graph, "x", HD_FLOAT32, 2, dims, &values[0], &error));
    values[1] = values[0];
    for (size_t i = 0; i < 24; i++) {
        assert_ok(hd_graph_add_node(graph, "MatMul", values, 2, NULL, 0, &values[1], 1, &error));
    }
    assert_ok(hd_graph_add_output(graph, "y", values[1], &error));
    assert_ok(hd_model_create(device, graph, NULL, &model, &error));
    hd_graph_destroy(&graph);
    return model;
}

/* One caller's run; the model is a shared handle that the caller does not own. */
typedef struct flight {
    hd_model *model;
    float *values; /* SLOW_SIZE x SLOW_SIZE */
    int64_t size;
    hd_tensor output;
    hd_status status;
    hd_error error;
    pthread_t thread;
} flight;

static void *fly(void *context)
{
    flight *flight = context;
    hd_tensor input = {.dtype = HD_FLOAT32,
                       .rank = 2,
                       .dims = {flight->size, flight->size},
                       .data = flight->values,
                       .size = (size_t)(flight->size * flight->size) * sizeof(float)};
    flight->status = hd_model_run(flight->model, &input, 1, &flight->output, 1, &flight->error);
    return NULL;
}

/* The identity, whose powers are itself. */
static float *make_identity(int64_t size)
{
    float *values = calloc((size_t)(size * size), sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < size; i++) {
        values[i * size + i] = 1;
    }
    return values;
}

static void take_off(flight *flights, size_t count, hd_model *model, float *values, int64_t size)
{
    for (size_t i = 0; i < count; i++) {
        flights[i] = (flight){.model = model, .values = values, .size = size};
        assert_int_equal(pthread_create(&flights[i].thread, NULL, fly, &flights[i]), 0);
    }
}

static void land(flight *flights, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        pthread_join(flights[i].thread, NULL);
    }
}

/* Waits until a run has its arena: from then on it holds the model. */
static void wait_for_arena(hd_device *device)
{
    hd_memory_info memory = {.struct_size = sizeof memory};
    for (int i = 0; memory.arena_bytes == 0; i++) {
        assert_true(i < 300000); /* half a minute: the run failed */
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        assert_int_equal(hd_device_get_memory(device, &memory), HD_OK);
    }
}

static void a_model_destroyed_with_a_run_in_flight_lives_until_its_end(void **state)
{
    (void)state;
    hd_error error = {0};
    float *values = make_identity(SLOW_SIZE);
    for (int i = 0; i < 5; i++) {
        hd_device *device = NULL;
        flight flight;
        assert_ok(hd_device_open(test_device_name(), NULL, &device, &error));
        hd_model *model = make_slow_model(device);
        take_off(&flight, 1, model, values, SLOW_SIZE);
        wait_for_arena(device);
        hd_model_destroy(&model);
        assert_null(model);
        hd_device_destroy(&device);
        land(&flight, 1);
        if (flight.status != HD_OK) {
            fail_msg("%s", flight.error.message);
        }
        assert_memory_equal(flight.output.data, values, flight.output.size);
        hd_tensor_release(&flight.output);
    }
    free(values);
}

static void shutdown_waits_for_runs_in_flight_no_longer_than_told(void **state)
{
    (void)state;
    hd_error error = {0};
    hd_device *device = NULL;
    flight flight;
    float *values = make_identity(SLOW_SIZE);
    assert_ok(hd_device_open(test_device_name(), NULL, &device, &error));
    hd_model *model = make_slow_model(device);
    take_off(&flight, 1, model, values, SLOW_SIZE);
    wait_for_arena(device);
    hd_status status = hd_device_shutdown(device, 0, &error);
    assert_true(status == HD_NOT_YET || status == HD_OK);
    assert_true(status == HD_OK || strstr(error.message, "in flight") != NULL);
    assert_ok(hd_device_shutdown(device, HD_WAIT_FOREVER, &error));
    /* What was in flight goes on to its end. */
    land(&flight, 1);
    assert_int_equal(flight.status, HD_OK);
    assert_memory_equal(flight.output.data, values, flight.output.size);
    hd_tensor_release(&flight.output);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
    free(values);
}

static void more_threads_than_streams_all_end(void **state)
{
    (void)state;
    enum { COUNT = 64 };
    hd_error error = {0};
    hd_device *device = NULL;
    static flight flights[COUNT];
    float *values = make_identity(64);
    assert_ok(hd_device_open(test_device_name(), NULL, &device, &error));
    hd_model *model = make_slow_model(device);
    take_off(flights, COUNT, model, values, 64);
    land(flights, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        if (flights[i].status != HD_OK) {
            fail_msg("%s", flights[i].error.message);
        }
        assert_memory_equal(flights[i].output.data, values, flights[i].output.size);
        hd_tensor_release(&flights[i].output);
    }
    hd_model_destroy(&model);
    hd_device_destroy(&device);
    free(values);
}

/* The linker puts this in the place of hd_plan_cache_finish (see tests.cmake beside this file). */
void __real_hd_plan_cache_finish(hd_plan_cache *cache, const void *key, size_t key_size,
                                 void *plan);
void __wrap_hd_plan_cache_finish(hd_plan_cache *cache, const void *key, size_t key_size,
                                 void *plan);
static _Atomic unsigned plans_made;

void __wrap_hd_plan_cache_finish(hd_plan_cache *cache, const void *key, size_t key_size, void *plan)
{
    atomic_fetch_add(&plans_made, plan != NULL);
    __real_hd_plan_cache_finish(cache, key, key_size, plan);
}

static void eight_threads_with_one_new_shape_make_one_plan(void **state)
{
    (void)state;
    enum { COUNT = 8, SHAPES = 20 };
    hd_error error = {0};
    hd_device *device = NULL;
    flight flights[COUNT];
    float *values = make_identity(SHAPES);
    assert_ok(hd_device_open(test_device_name(), NULL, &device, &error));
    hd_model *model = make_slow_model(device);
    plans_made = 0;
    for (int64_t size = 1; size <= SHAPES; size++) {
        take_off(flights, COUNT, model, values, size);
        land(flights, COUNT);
        for (size_t i = 0; i < COUNT; i++) {
            if (flights[i].status != HD_OK) {
                fail_msg("%s", flights[i].error.message);
            }
            assert_int_equal(flights[i].output.dims[0], size);
            assert_memory_equal(flights[i].output.data, flights[0].output.data,
                                flights[0].output.size);
        }
        for (size_t i = 0; i < COUNT; i++) {
            hd_tensor_release(&flights[i].output);
        }
        assert_int_equal(plans_made, (unsigned)size);
    }
    hd_model_destroy(&model);
    hd_device_destroy(&device);
    free(values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_destroyed_with_a_run_in_flight_lives_until_its_end),
        cmocka_unit_test(shutdown_waits_for_runs_in_flight_no_longer_than_told),
        cmocka_unit_test(more_threads_than_streams_all_end),
        cmocka_unit_test(eight_threads_with_one_new_shape_make_one_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
