/* Batch queues under load: equal bits, a shutdown at any moment, more shapes than are remembered. */
#include <pthread.h>
#include <unistd.h>

#include "batch_fixture.h"

#define THREADS   8
#define IN_FLIGHT 16
#define ROUNDS    60

typedef struct load {
    pthread_t thread;
    hd_batch *batch;
    uint32_t number;
    bool closes; /* it may be shut down under it */
    uint32_t ok, cancelled, refused, wrong;
} load;

/* Keeps requests in flight, cancels some, and compares all bits. */
static void *keep_in_flight(void *context)
{
    load *load = context;
    item *items = calloc(IN_FLIGHT, sizeof *items);
    for (uint32_t i = 0; i < IN_FLIGHT * ROUNDS; i++) {
        item *item = &items[i % IN_FLIGHT];
        uint32_t random = (i + 1) * 2654435761u ^ load->number * 40503u;
        if (item->future != NULL) {
            hd_status status = hd_future_wait(item->future, FOREVER, NULL);
            load->ok += status == HD_OK;
            load->cancelled += status == HD_CANCELLED || status == HD_DEADLINE;
            load->wrong += status == HD_OK && !has_bits(item);
            load->wrong += status != HD_OK && status != HD_CANCELLED && status != HD_DEADLINE;
            hd_future_destroy(&item->future);
        }
        if (i < IN_FLIGHT * 4) {
            make_item(item, 1 + random % 3, random);
        }
        item->outputs[0].size = sizeof item->y;
        hd_submit_options options = {.struct_size = sizeof options,
                                     .priority = (int32_t)(random >> 8 & 1),
                                     .deadline_ms = (random >> 9 & 15) == 0 ? 1 : 0};
        hd_status status = hd_batch_submit(load->batch, &item->input, 1, item->outputs, 1, &options,
                                           &item->future, NULL);
        load->refused += status == HD_CLOSED;
        load->wrong += status != HD_OK && !(status == HD_CLOSED && load->closes);
        if (status == HD_OK && (random >> 13 & 31) == 0) {
            hd_future_cancel(item->future);
        }
    }
    for (uint32_t i = 0; i < IN_FLIGHT; i++) {
        if (items[i].future != NULL) {
            hd_status status = hd_future_wait(items[i].future, FOREVER, NULL);
            load->wrong += status == HD_OK && !has_bits(&items[i]);
            load->ok += status == HD_OK;
            load->cancelled += status != HD_OK;
            hd_future_destroy(&items[i].future);
        }
    }
    free(items);
    return NULL;
}

static void check_load(hd_batch_options options, int shutdown_mode)
{
    hd_batch *batch = open_batch(options);
    load loads[THREADS];
    uint64_t ok = 0, cancelled = 0;
    for (uint32_t i = 0; i < THREADS; i++) {
        loads[i] = (load){.batch = batch, .number = i, .closes = shutdown_mode >= 0};
        assert_int_equal(pthread_create(&loads[i].thread, NULL, keep_in_flight, &loads[i]), 0);
    }
    if (shutdown_mode >= 0) {
        while (statistics_of(batch).ended < 200) {
            usleep(100);
        }
        hd_batch_shutdown_mode mode = (hd_batch_shutdown_mode)(shutdown_mode % 2);
        hd_status status = hd_batch_shutdown(batch, mode, shutdown_mode >= 2 ? 0 : FOREVER, &error);
        assert_true(status == HD_OK || (shutdown_mode >= 2 && status == HD_NOT_YET));
        if (status == HD_OK) {
            assert_int_equal(statistics_of(batch).pending, 0);
        }
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(loads[i].thread, NULL);
        assert_int_equal(loads[i].wrong, 0);
        ok += loads[i].ok;
        cancelled += loads[i].cancelled;
    }
    assert_ok(hd_batch_shutdown(batch, HD_BATCH_CANCEL, FOREVER, &error));
    hd_batch_statistics statistics = statistics_of(batch);
    assert_int_equal(statistics.ended, ok + cancelled);
    assert_true(statistics.batches <= statistics.rows);
    hd_batch_destroy(&batch);
}

static void bits_are_equal_under_load(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        check_load((hd_batch_options){.worker_count = workers, .capacity = 32}, -1);
        check_load(
            (hd_batch_options){.worker_count = workers, .max_delay_us = 100, .capacity = 1024}, -1);
        check_load((hd_batch_options){.worker_count = workers, .max_rows = 1, .capacity = 8}, -1);
    }
}

static void shutting_down_races_with_submitting(void **state)
{
    (void)state;
    for (int round = 0; round < 12; round++) {
        check_load((hd_batch_options){.worker_count = 1 + (uint32_t)round % 3,
                                      .capacity = 16,
                                      .max_delay_us = round % 2 == 0 ? 0 : 200},
                   round % 4);
    }
}

static void many_shapes_are_bounded(void **state)
{
    (void)state;
    hd_model *any;
    hd_graph *graph;
    hd_batch *batch;
    hd_value x;
    static const int64_t dims[] = {-1, -1};
    assert_ok(hd_graph_create(0, &graph, &error));
    assert_ok(hd_graph_add_input(graph, "x", HD_FLOAT32, 2, dims, &x, &error));
    assert_ok(hd_graph_add_output(graph, "y", add(graph, "Neg", x, HD_VALUE_NONE), &error));
    assert_ok(hd_model_create(device, graph, NULL, &any, &error));
    hd_graph_destroy(&graph);
    assert_ok(hd_batch_create(any, NULL, &batch, &error));
    float *values = calloc(2048, sizeof *values), result[2048];
    values[0] = 3;
    for (int64_t width = 1; width <= 1200; width++) { /* more than are remembered */
        hd_tensor input = {.dtype = HD_FLOAT32,
                           .rank = 2,
                           .dims = {1, width},
                           .data = values,
                           .size = (size_t)width * sizeof *values};
        hd_tensor output = {.data = result, .size = sizeof result};
        hd_future *future;
        assert_ok(hd_batch_submit(batch, &input, 1, &output, 1, NULL, &future, &error));
        assert_ok(hd_future_wait(future, FOREVER, &error));
        hd_future_destroy(&future);
        assert_true(result[0] == -3 && output.dims[1] == width);
    }
    free(values);
    hd_batch_destroy(&batch);
    hd_model_destroy(&any);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_are_equal_under_load),
        cmocka_unit_test(shutting_down_races_with_submitting),
        cmocka_unit_test(many_shapes_are_bounded),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
