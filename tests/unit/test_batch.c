/* Batch queues through the public interface: outcomes, room, both ways to shut down. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "batch_fixture.h"

static void stacked_requests_get_the_bits_of_a_lone_run(void **state)
{
    (void)state;
    hd_batch *batch = open_batch((hd_batch_options){.max_rows = 8, .max_delay_us = 2000000});
    item *items = calloc(8, sizeof *items);
    for (uint32_t i = 0; i < 5; i++) {
        make_item(&items[i], 1 + i % 2, i); /* 1 2 1 2 1 rows, and then one more: 8 */
    }
    make_item(&items[5], 1, 5);
    for (uint32_t i = 0; i < 6; i++) {
        assert_ok(submit_item(batch, &items[i], NULL));
    }
    for (uint32_t i = 0; i < 6; i++) {
        assert_ok(hd_future_wait(items[i].future, FOREVER, &error));
        assert_true(has_bits(&items[i]));
        hd_future_destroy(&items[i].future);
    }
    assert_ok(hd_batch_shutdown(batch, HD_BATCH_DRAIN, FOREVER, &error));
    hd_batch_statistics statistics = statistics_of(batch);
    assert_int_equal(statistics.ended, 6);
    assert_int_equal(statistics.rows, 8);
    assert_int_equal(statistics.batches, 1);
    hd_batch_destroy(&batch);
    assert_null(batch);
    free(items);
}

/* Requests with other outputs are not stacked; memory of the library's is given for each. */
static void outputs_by_name_and_without_memory(void **state)
{
    (void)state;
    hd_batch *batch = open_batch((hd_batch_options){.max_rows = 2, .max_delay_us = 2000000});
    item *items = calloc(4, sizeof *items);
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 2; i++) {
            make_item(&items[i], 1, i);
            items[i].outputs[0] = (hd_tensor){.name = "z"};
            items[i].outputs[1] =
                (hd_tensor){.name = "y", .data = items[i].y, .size = sizeof items[i].y};
            assert_ok(hd_batch_submit(batch, &items[i].input, 1, items[i].outputs, 2, NULL,
                                      &items[i].future, &error));
        }
        for (uint32_t i = 0; i < 2; i++) {
            assert_ok(hd_future_wait(items[i].future, FOREVER, &error));
            hd_future_destroy(&items[i].future);
            assert_memory_equal(items[i].y, items[i].wanted, WIDTH * sizeof(float));
            assert_int_equal(items[i].outputs[0].size, WIDTH * sizeof(float));
            assert_int_equal(items[i].outputs[0].dims[0], 1);
            assert_true(((float *)items[i].outputs[0].data)[WIDTH - 1] ==
                        items[i].x[WIDTH - 1] + 1);
            hd_tensor_release(&items[i].outputs[0]);
        }
    }
    hd_batch_destroy(&batch);
    free(items);
}

static void what_is_wrong_with_one_request_is_its_own(void **state)
{
    (void)state;
    hd_batch *batch = open_batch((hd_batch_options){.max_rows = 3, .max_delay_us = 2000000});
    item *items = calloc(3, sizeof *items);
    for (uint32_t i = 0; i < 3; i++) {
        make_item(&items[i], 1, i);
        if (i == 1) {
            items[i].outputs[0].size = 4;
        }
        assert_ok(submit_item(batch, &items[i], NULL));
    }
    for (uint32_t i = 0; i < 3; i++) {
        hd_status status = hd_future_wait(items[i].future, FOREVER, &error);
        assert_int_equal(status, i == 1 ? HD_INVALID_ARGUMENT : HD_OK);
        assert_true(i == 1 || has_bits(&items[i]));
        hd_future_destroy(&items[i].future);
    }
    assert_int_equal(items[1].outputs[0].size, 4);
    assert_non_null(strstr(error.message, "output 'y'"));
    items[0].input.dims[1]--;
    assert_int_equal(submit_item(batch, &items[0], NULL), HD_INVALID_ARGUMENT);
    assert_null(items[0].future);
    items[0].input.dims[1]++;
    items[0].input.dims[0] = 0;
    assert_int_equal(submit_item(batch, &items[0], NULL), HD_INVALID_ARGUMENT);
    hd_submit_options options = {.struct_size = sizeof options + 1};
    assert_int_equal(submit_item(batch, &items[1], &options), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_batch_submit(batch, NULL, 0, items[1].outputs, 1, NULL, NULL, &error),
                     HD_INVALID_ARGUMENT);
    hd_batch_destroy(&batch);
    free(items);
}

static hd_model *make_small(int64_t first, const char *type)
{
    hd_graph *graph;
    hd_model *made;
    hd_value x;
    int64_t dims[] = {first, 2};
    assert_ok(hd_graph_create(0, &graph, &error));
    assert_ok(hd_graph_add_input(graph, "x", HD_FLOAT32, 2, dims, &x, &error));
    assert_ok(hd_graph_add_output(graph, "y", add(graph, type, x, HD_VALUE_NONE), &error));
    assert_ok(hd_model_create(device, graph, NULL, &made, &error));
    hd_graph_destroy(&graph);
    return made;
}

static void models_that_cannot_be_stacked_are_refused(void **state)
{
    (void)state;
    hd_batch *batch;
    hd_model *fixed = make_small(3, "Relu"), *mixing = make_small(-1, "Transpose");
    assert_int_equal(hd_batch_create(fixed, NULL, &batch, &error), HD_UNSUPPORTED);
    assert_null(batch);
    float x[2] = {1, 2}, y[2];
    hd_tensor input = {.dtype = HD_FLOAT32, .rank = 2, .dims = {1, 2}, .data = x, .size = sizeof x};
    hd_tensor output = {.data = y, .size = sizeof y};
    assert_ok(hd_batch_create(mixing, NULL, &batch, &error));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hd_batch_submit(batch, &input, 1, &output, 1, NULL, NULL, &error),
                         HD_UNSUPPORTED);
        assert_true(strlen(error.message) > 0);
    }
    hd_batch_destroy(&batch);
    hd_batch_options options = {.struct_size = sizeof options, .worker_count = 1000000};
    assert_int_equal(hd_batch_create(mixing, &options, &batch, &error), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_batch_create(NULL, NULL, &batch, &error), HD_INVALID_ARGUMENT);
    hd_model_destroy(&fixed);
    hd_model_destroy(&mixing);
}

/* Holds a batch's only worker in a wait for more rows, which never come, as long as nothing else does. */
static void cancelled_and_late_requests_are_not_run(void **state)
{
    (void)state;
    hd_batch *batch = open_batch((hd_batch_options){.max_rows = 4, .max_delay_us = 2000000});
    item *items = calloc(4, sizeof *items);
    hd_submit_options late = {.struct_size = sizeof late, .deadline_ms = 1};
    for (uint32_t i = 0; i < 4; i++) {
        make_item(&items[i], 1, i);
    }
    assert_ok(submit_item(batch, &items[0], NULL));
    assert_ok(submit_item(batch, &items[1], NULL));
    assert_ok(submit_item(batch, &items[2], &late));
    assert_int_equal(hd_future_cancel(items[1].future), HD_CANCELLED);
    /* it has not begun */
    assert_int_equal(hd_future_wait(items[1].future, 0, &error), HD_CANCELLED);
    assert_int_equal(hd_future_wait(items[2].future, FOREVER, &error), HD_DEADLINE);
    assert_ok(submit_item(batch, &items[3], NULL)); /* the fourth: off they go */
    assert_ok(hd_future_wait(items[0].future, FOREVER, &error));
    assert_int_equal(hd_future_wait(items[1].future, FOREVER, &error), HD_CANCELLED);
    assert_int_equal(hd_future_wait(items[2].future, FOREVER, &error), HD_DEADLINE);
    assert_ok(hd_future_wait(items[3].future, FOREVER, &error));
    assert_true(has_bits(&items[0]) && has_bits(&items[3]));
    assert_int_equal(statistics_of(batch).rows, 2);
    for (uint32_t i = 0; i < 4; i++) {
        hd_future_destroy(&items[i].future);
    }
    hd_batch_destroy(&batch);
    free(items);
}

#define MANY_ROWS 300000

static void a_full_queue_refuses_times_out_or_lets_wait(void **state)
{
    (void)state;
    hd_batch *batch = open_batch((hd_batch_options){.max_rows = 1, .capacity = 1});
    hd_submit_options refuse = {.struct_size = sizeof refuse, .wait_ms = HD_NO_WAIT};
    hd_submit_options brief = {.struct_size = sizeof brief, .wait_ms = 1};
    item *small = calloc(1, sizeof *small);
    make_item(small, 1, 1);
    float *x = calloc(MANY_ROWS * WIDTH, sizeof *x), *y = calloc(MANY_ROWS * WIDTH, sizeof *y);
    hd_tensor input = {.dtype = HD_FLOAT32,
                       .rank = 2,
                       .dims = {MANY_ROWS, WIDTH},
                       .data = x,
                       .size = MANY_ROWS * WIDTH * sizeof *x};
    hd_tensor outputs[2] = {{.data = y, .size = input.size}, {.data = y, .size = input.size}};
    hd_future *futures[2];
    /* One that takes long is run, another waits behind it. */
    assert_ok(hd_batch_submit(batch, &input, 1, &outputs[0], 1, NULL, &futures[0], &error));
    assert_ok(hd_batch_submit(batch, &input, 1, &outputs[1], 1, NULL, &futures[1], &error));
    assert_int_equal(submit_item(batch, small, &refuse), HD_EXHAUSTED);
    assert_null(small->future);
    assert_int_equal(submit_item(batch, small, &brief), HD_EXHAUSTED);
    assert_ok(submit_item(batch, small, NULL));
    assert_ok(
        hd_future_wait(futures[0], 0, &error)); /* there was room only when the second began */
    assert_ok(hd_future_wait(small->future, FOREVER, &error));
    assert_true(has_bits(small));
    assert_ok(hd_future_wait(futures[1], FOREVER, &error));
    hd_future_destroy(&futures[0]);
    hd_future_destroy(&futures[1]);
    hd_future_destroy(&small->future);
    hd_batch_destroy(&batch);
    free(small);
    free(x);
    free(y);
}

typedef struct counter {
    atomic_int ok, cancelled, other;
} counter;

static void count_outcome(void *context, hd_status outcome, const hd_error *problem)
{
    counter *counter = context;
    assert_true((problem == NULL) == (outcome == HD_OK));
    atomic_fetch_add(outcome == HD_OK          ? &counter->ok
                     : outcome == HD_CANCELLED ? &counter->cancelled
                                               : &counter->other,
                     1);
}

static void destroying_a_batch_ends_what_waits(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        hd_batch *batch =
            open_batch((hd_batch_options){.max_rows = 2,
                                          .worker_count = 1 + round % 3,
                                          .max_delay_us = round % 2 == 0 ? 0 : 1000000});
        counter counter = {0};
        item *items = calloc(32, sizeof *items);
        hd_submit_options options = {
            .struct_size = sizeof options, .callback = count_outcome, .context = &counter};
        for (uint32_t i = 0; i < 32; i++) {
            make_item(&items[i], 1, i);
            if (i % 2 == 0) {
                assert_ok(submit_item(batch, &items[i], &options));
            } else {
                assert_ok(hd_batch_submit(batch, &items[i].input, 1, items[i].outputs, 1, &options,
                                          NULL, &error));
            }
        }
        hd_batch_destroy(&batch);
        for (uint32_t i = 0; i < 32; i += 2) { /* final already */
            hd_status status = hd_future_wait(items[i].future, 0, &error);
            assert_true(status == HD_OK || status == HD_CANCELLED);
            assert_true(status == HD_CANCELLED || has_bits(&items[i]));
            hd_future_destroy(&items[i].future);
        }
        while (atomic_load(&counter.ok) + atomic_load(&counter.cancelled) < 32) {
            usleep(100);
        }
        assert_int_equal(atomic_load(&counter.other), 0);
        free(items);
    }
}

typedef struct last_user {
    hd_batch *batch;
    atomic_bool submitted; /* the other user is done with it */
    atomic_bool gone;
} last_user;

static void destroy_in_callback(void *context, hd_status outcome, const hd_error *problem)
{
    (void)outcome;
    (void)problem;
    last_user *user = context;
    hd_batch_destroy(&user->batch);
    atomic_store(&user->gone, true);
}

static void shut_down_in_callback(void *context, hd_status outcome, const hd_error *problem)
{
    (void)outcome;
    (void)problem;
    last_user *user = context;
    while (!atomic_load(&user->submitted)) {
        usleep(100);
    }
    assert_int_equal(hd_batch_shutdown(user->batch, HD_BATCH_DRAIN, 0, NULL), HD_BUSY);
    hd_batch_destroy(&user->batch);
    atomic_store(&user->gone, true);
}

static void a_callback_may_destroy_but_not_wait_for_its_batch(void **state)
{
    (void)state;
    last_user user = {.batch = open_batch((hd_batch_options){.max_rows = 2})};
    item *one = calloc(1, sizeof *one);
    make_item(one, 1, 1);
    hd_submit_options options = {
        .struct_size = sizeof options, .callback = shut_down_in_callback, .context = &user};
    assert_ok(submit_item(user.batch, one, &options));
    atomic_store(&user.submitted, true);
    assert_ok(hd_future_wait(one->future, FOREVER, &error));
    hd_future_destroy(&one->future);
    while (!atomic_load(&user.gone)) {
        usleep(100);
    }
    free(one);
}

/* --- the last request's callback destroys the batch while its submitter leaves the queue */

typedef struct late_leaver {
    last_user user;
    item *item;
    hd_status status;
    atomic_bool is_over;
} late_leaver;

static void *submit_without_haste(void *context)
{
    late_leaver *leaver = context;
    struct sched_param none = {0};
    hd_submit_options options = {
        .struct_size = sizeof options, .callback = destroy_in_callback, .context = &leaver->user};
    (void)sched_setscheduler(0, SCHED_IDLE, &none); /* of this thread alone */
    leaver->status = hd_batch_submit(leaver->user.batch, &leaver->item->input, 1,
                                     leaver->item->outputs, 1, &options, NULL, NULL);
    return NULL;
}

static void *keep_busy(void *context)
{
    late_leaver *leaver = context;
    while (!atomic_load(&leaver->is_over)) {
    }
    return NULL;
}

static void wait_until_pending(hd_batch *batch, uint64_t batches, uint64_t submitted)
{
    hd_batch_statistics counts = {.struct_size = sizeof counts};
    for (int i = 0; i < 5000 && (counts.batches < batches || counts.submitted < submitted); i++) {
        usleep(1000);
        assert_ok(hd_batch_get_statistics(batch, &counts));
    }
}

static void a_callback_may_destroy_the_batch_under_its_submitter(void **state)
{
    (void)state;
    late_leaver leaver = {
        .user = {.batch = open_batch((hd_batch_options){.max_rows = 2, .capacity = 1})}};
    hd_submit_options options = {.struct_size = sizeof options};
    item *items = calloc(3, sizeof *items);
    hd_stream streams[31];
    pthread_t submitter, others[4];
    for (uint32_t i = 0; i < 3; i++) {
        make_item(&items[i], 2, i);
    }
    for (size_t i = 0; i < 31; i++) { /* so that the worker waits for one, and the queue fills */
        assert_ok(hd_stream_acquire(device, 0, &streams[i], &error));
    }
    leaver.item = &items[2];
    assert_ok(submit_item(leaver.user.batch, &items[0], &options));
    wait_until_pending(leaver.user.batch, 1, 1);
    assert_ok(submit_item(leaver.user.batch, &items[1], &options));
    assert_int_equal(pthread_create(&submitter, NULL, submit_without_haste, &leaver), 0);
    usleep(50000); /* now it stands in line */
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&others[i], NULL, keep_busy, &leaver), 0);
    }
    for (size_t i = 0; i < 31; i++) {
        assert_ok(hd_stream_release(device, streams[i], &error));
    }
    while (!atomic_load(&leaver.user.gone)) {
        usleep(100);
    }
    atomic_store(&leaver.is_over, true);
    pthread_join(submitter, NULL);
    assert_int_equal(leaver.status, HD_OK);
    for (size_t i = 0; i < 4; i++) {
        pthread_join(others[i], NULL);
    }
    for (uint32_t i = 0; i < 2; i++) {
        assert_ok(hd_future_wait(items[i].future, FOREVER, &error));
        hd_future_destroy(&items[i].future);
    }
    free(items);
}

static void a_closed_device_refuses(void **state)
{
    (void)state;
    open_model(state);
    hd_batch *batch = open_batch((hd_batch_options){.max_rows = 2});
    item *one = calloc(1, sizeof *one);
    make_item(one, 1, 1);
    assert_ok(hd_device_shutdown(device, FOREVER, &error));
    assert_int_equal(submit_item(batch, one, NULL), HD_CLOSED);
    hd_batch_destroy(&batch);
    close_model(state);
    free(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stacked_requests_get_the_bits_of_a_lone_run),
        cmocka_unit_test(outputs_by_name_and_without_memory),
        cmocka_unit_test(what_is_wrong_with_one_request_is_its_own),
        cmocka_unit_test(models_that_cannot_be_stacked_are_refused),
        cmocka_unit_test(cancelled_and_late_requests_are_not_run),
        cmocka_unit_test(a_full_queue_refuses_times_out_or_lets_wait),
        cmocka_unit_test(destroying_a_batch_ends_what_waits),
        cmocka_unit_test(a_callback_may_destroy_but_not_wait_for_its_batch),
        cmocka_unit_test(a_callback_may_destroy_the_batch_under_its_submitter),
    };
    const struct CMUnitTest own_device[] = {cmocka_unit_test(a_closed_device_refuses)};
    int failed = cmocka_run_group_tests(tests, open_model, close_model);
    return failed + cmocka_run_group_tests(own_device, NULL, NULL);
}
