/* Asynchronous work through the public interface: streams, events and futures of models. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "heddle/heddle.h"
#include "support/test_device.h"

#define SIZE    4096
#define FOREVER HD_WAIT_FOREVER

/* A device and a model y = x + 1 over floats [-1]. */
typedef struct fixture {
    hd_device *device;
    hd_model *model;
    float *a, *b;
} fixture;

static hd_error error;

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != HD_OK) {                                                                     \
            fail_msg("%s: %s", #call, error.message);                                              \
        }                                                                                          \
    } while (0)

static hd_model *make_model(hd_device *device)
{
    static const int64_t dims[] = {-1};
    float one = 1;
    hd_tensor constant = {.dtype = HD_FLOAT32, .data = &one, .size = sizeof one};
    hd_graph *graph;
    hd_value values[2], sum;
    hd_model *model;
    assert_ok(hd_graph_create(0, &graph, &error));
    assert_ok(hd_graph_add_input(graph, "x", HD_FLOAT32, 1, dims, &values[0], &error));
    assert_ok(hd_graph_add_constant(graph, &constant, &values[1], &error));
    assert_ok(hd_graph_add_node(graph, "Add", values, 2, NULL, 0, &sum, 1, &error));
    assert_ok(hd_graph_add_output(graph, "y", sum, &error));
    assert_ok(hd_model_create(device, graph, NULL, &model, &error));
    hd_graph_destroy(&graph);
    return model;
}

static void open_with(fixture *fixture, const hd_device_options *options)
{
    assert_ok(hd_device_open(test_device_name(), options, &fixture->device, &error));
    fixture->model = make_model(fixture->device);
    fixture->a = calloc(SIZE, sizeof(float));
    fixture->b = calloc(SIZE, sizeof(float));
}

static void close_fixture(fixture *fixture)
{
    hd_model_destroy(&fixture->model);
    hd_device_destroy(&fixture->device);
    free(fixture->a);
    free(fixture->b);
}

static hd_tensor tensor_of(float *data)
{
    return (hd_tensor){
        .dtype = HD_FLOAT32, .rank = 1, .dims = {SIZE}, .data = data, .size = SIZE * sizeof *data};
}

static hd_status submit(const fixture *fixture, hd_stream stream, float *from, hd_tensor *to,
                        hd_future **future)
{
    hd_tensor input = tensor_of(from);
    hd_submit_options options = {.struct_size = sizeof options, .stream = stream};
    return hd_model_run_async(fixture->model, &input, 1, to, 1, &options, future, &error);
}

/* 200 runs that each read what the one before wrote. */
static void check_order(const hd_device_options *options, uint32_t streams)
{
    fixture fixture;
    open_with(&fixture, options);
    hd_stream stream[2] = {{0}, {0}};
    hd_event *event;
    assert_ok(hd_event_create(fixture.device, &event, &error));
    for (uint32_t i = 0; i < streams; i++) {
        assert_ok(hd_stream_acquire(fixture.device, 0, &stream[i], &error));
    }
    hd_tensor a = tensor_of(fixture.a), b = tensor_of(fixture.b);
    for (int i = 0; i < 200; i++) {
        hd_stream mine = stream[i % 2 == 1 && streams == 2];
        assert_ok(hd_event_wait_on_stream(event, mine, FOREVER, &error));
        assert_ok(
            submit(&fixture, mine, i % 2 == 0 ? fixture.a : fixture.b, i % 2 == 0 ? &b : &a, NULL));
        assert_ok(hd_event_record(event, mine, FOREVER, &error));
    }
    assert_ok(hd_event_wait(event, FOREVER, &error));
    for (int i = 0; i < SIZE; i++) {
        assert_true(fixture.a[i] == 200);
    }
    for (uint32_t i = 0; i < streams; i++) {
        assert_ok(hd_stream_release(fixture.device, stream[i], &error));
        assert_int_equal(hd_stream_release(fixture.device, stream[i], &error), HD_INVALID_ARGUMENT);
    }
    hd_event_destroy(&event);
    close_fixture(&fixture);
}

static void work_of_a_stream_is_done_in_order(void **state)
{
    (void)state;
    check_order(NULL, 0);
    check_order(NULL, 1);
}

static void an_event_orders_two_streams(void **state)
{
    (void)state;
    check_order(NULL, 2);
    check_order(&(hd_device_options){.struct_size = sizeof(hd_device_options), .queue_count = 1},
                2);
    check_order(&(hd_device_options){.struct_size = sizeof(hd_device_options), .queue_depth = 1},
                2);
    check_order(&(hd_device_options){.struct_size = sizeof(hd_device_options),
                                     .sync_strategy = HD_SYNC_GLOBAL,
                                     .queue_depth = 3},
                2);
}

static void a_future_ends_once_with_what_the_run_says(void **state)
{
    (void)state;
    fixture fixture;
    open_with(&fixture, NULL);
    hd_future *future;
    hd_tensor output = tensor_of(NULL);
    assert_ok(submit(&fixture, (hd_stream){0}, fixture.a, &output, &future));
    assert_ok(hd_future_wait(future, FOREVER, &error));
    assert_ok(hd_future_wait(future, 0, &error));
    assert_int_equal(hd_future_cancel(future), HD_OK);
    assert_true(((float *)output.data)[SIZE - 1] == 1);
    hd_tensor_release(&output);
    hd_future_destroy(&future);
    hd_tensor narrow = tensor_of(fixture.b);
    narrow.size = 8;
    assert_ok(submit(&fixture, (hd_stream){0}, fixture.a, &narrow, &future));
    assert_int_equal(hd_future_wait(future, FOREVER, &error), HD_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "output 'y'"));
    hd_future_destroy(&future);
    close_fixture(&fixture);
}

typedef struct gate {
    pthread_mutex_t mutex;
    atomic_int calls;
    _Atomic(hd_status) outcome;
} gate;

static void block_on_gate(void *context, hd_status outcome, const hd_error *problem)
{
    gate *gate = context;
    assert_true((problem == NULL) == (outcome == HD_OK));
    atomic_store(&gate->outcome, outcome);
    pthread_mutex_lock(&gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
    atomic_fetch_add(&gate->calls, 1);
}

static void a_slow_callback_holds_up_no_request(void **state)
{
    (void)state;
    fixture fixture;
    open_with(&fixture, NULL);
    gate gate = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    pthread_mutex_lock(&gate.mutex);
    hd_tensor input = tensor_of(fixture.a), output = tensor_of(fixture.b);
    hd_submit_options options = {
        .struct_size = sizeof options, .callback = block_on_gate, .context = &gate};
    hd_future *futures[20];
    for (size_t i = 0; i < 20; i++) {
        assert_ok(hd_model_run_async(fixture.model, &input, 1, &output, 1, &options, &futures[i],
                                     &error));
    }
    for (size_t i = 0; i < 20; i++) {
        assert_ok(hd_future_wait(futures[i], FOREVER, &error));
        hd_future_destroy(&futures[i]);
    }
    assert_int_equal(atomic_load(&gate.calls), 0);
    assert_ok(hd_device_shutdown(fixture.device, FOREVER, &error));
    close_fixture(&fixture); /* the device goes on until the last callback has returned */
    pthread_mutex_unlock(&gate.mutex);
    while (atomic_load(&gate.calls) < 20) {
    }
    assert_int_equal(atomic_load(&gate.outcome), HD_OK);
}

typedef struct ending {
    fixture *fixture;
    atomic_int done;
    hd_status shutdown;
} ending;

static void end_everything(void *context, hd_status outcome, const hd_error *problem)
{
    (void)outcome, (void)problem;
    ending *ending = context;
    ending->shutdown = hd_device_shutdown(ending->fixture->device, 0, NULL);
    hd_model_destroy(&ending->fixture->model);
    hd_device_destroy(&ending->fixture->device);
    atomic_store(&ending->done, 1);
}

static void a_callback_may_end_the_device_but_not_shut_it_down(void **state)
{
    (void)state;
    fixture fixture;
    open_with(&fixture, NULL);
    ending ending = {.fixture = &fixture};
    hd_tensor input = tensor_of(fixture.a), output = tensor_of(fixture.b);
    hd_submit_options options = {
        .struct_size = sizeof options, .callback = end_everything, .context = &ending};
    assert_ok(hd_model_run_async(fixture.model, &input, 1, &output, 1, &options, NULL, &error));
    while (atomic_load(&ending.done) == 0) {
    }
    assert_int_equal(ending.shutdown, HD_BUSY);
    close_fixture(&fixture);
}

static void the_last_run_ends_the_device(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        fixture fixture;
        open_with(&fixture, NULL);
        hd_tensor output = tensor_of(fixture.b);
        hd_future *future;
        assert_ok(submit(&fixture, (hd_stream){0}, fixture.a, &output, &future));
        hd_model_destroy(&fixture.model);
        hd_device_destroy(&fixture.device);
        assert_ok(hd_future_wait(future, FOREVER, &error));
        hd_future_destroy(&future);
        close_fixture(&fixture);
    }
}

static void a_full_stream_waits_or_refuses(void **state)
{
    (void)state;
    fixture fixture;
    open_with(&fixture,
              &(hd_device_options){.struct_size = sizeof(hd_device_options), .queue_depth = 2});
    hd_tensor input = tensor_of(fixture.a), output = tensor_of(fixture.b);
    hd_submit_options options = {.struct_size = sizeof options, .wait_ms = HD_NO_WAIT};
    size_t refused = 0;
    for (size_t i = 0; i < 20000 && refused == 0; i++) {
        hd_status status =
            hd_model_run_async(fixture.model, &input, 1, &output, 1, &options, NULL, &error);
        assert_true(status == HD_OK || status == HD_EXHAUSTED);
        refused += status == HD_EXHAUSTED;
    }
    assert_int_equal(refused, 1);
    options.wait_ms = 0;
    assert_ok(hd_model_run_async(fixture.model, &input, 1, &output, 1, &options, NULL, &error));
    assert_ok(hd_stream_synchronize(fixture.device, (hd_stream){0}, FOREVER, &error));
    close_fixture(&fixture);
}

static void a_decided_future_skips_its_work(void **state)
{
    (void)state;
    fixture fixture;
    open_with(&fixture, NULL);
    hd_stream stream;
    assert_ok(hd_stream_acquire(fixture.device, 0, &stream, &error));
    hd_future *future;
    size_t skipped = 0;
    /* the first run may go on when the second one's future is final already */
    static hd_tensor first[2000];
    for (int i = 0; i < 2000; i++) {
        hd_tensor second = tensor_of(fixture.a);
        first[i] = tensor_of(fixture.b);
        assert_ok(submit(&fixture, stream, fixture.a, &first[i], NULL));
        assert_ok(submit(&fixture, stream, fixture.b, &second, &future));
        hd_status cancelled = hd_future_cancel(future);
        hd_status outcome = hd_future_wait(future, FOREVER, &error);
        assert_int_equal(cancelled, outcome);
        assert_true(outcome == HD_CANCELLED || outcome == HD_OK);
        skipped += outcome == HD_CANCELLED;
        hd_future_destroy(&future);
    }
    assert_true(skipped > 0);
    assert_ok(hd_stream_synchronize(fixture.device, stream, FOREVER, &error));
    assert_true(fixture.a[0] + (float)skipped >= 2000); /* only what was cancelled is missing */
    close_fixture(&fixture);
}

/* Behind two runs over 64 MB each, no run starts within a millisecond, unless the system has kept this thread from handing it over
 * until they were done: then once more. */
static void a_deadline_that_has_passed_is_the_outcome(void **state)
{
    (void)state;
    enum { LARGE = 16 << 20, ATTEMPTS = 20 };
    fixture fixture;
    open_with(&fixture, NULL);
    float *large = calloc(LARGE, sizeof *large);
    hd_tensor slow = {.dtype = HD_FLOAT32,
                      .rank = 1,
                      .dims = {LARGE},
                      .data = large,
                      .size = LARGE * sizeof *large};
    hd_tensor slow_output = slow;
    hd_tensor input = tensor_of(fixture.a), output = tensor_of(fixture.b);
    hd_status outcome = HD_OK;
    int attempts = 0;
    while (outcome == HD_OK && attempts < ATTEMPTS) {
        hd_submit_options options = {.struct_size = sizeof options};
        hd_future *future;
        attempts++;
        fixture.b[0] = 0;
        for (int i = 0; i < 2; i++) {
            assert_ok(hd_model_run_async(fixture.model, &slow, 1, &slow_output, 1, &options, NULL,
                                         &error));
        }
        options.deadline_ms = 1;
        assert_ok(
            hd_model_run_async(fixture.model, &input, 1, &output, 1, &options, &future, &error));
        outcome = hd_future_wait(future, FOREVER, &error);
        /* those before it go on */
        hd_error other;
        assert_ok(hd_stream_synchronize(fixture.device, (hd_stream){0}, FOREVER, &other));
        hd_future_destroy(&future);
    }
    assert_int_equal(outcome, HD_DEADLINE);
    assert_non_null(strstr(error.message, "deadline"));
    assert_true(fixture.b[0] == 0); /* it was skipped */
    assert_true(large[0] == (float)(2 * attempts));
    close_fixture(&fixture);
    free(large);
}

static void streams_of_others_are_refused(void **state)
{
    (void)state;
    fixture fixture, other;
    open_with(&fixture, NULL);
    open_with(&other, NULL);
    hd_stream stream, invented;
    hd_tensor output = tensor_of(fixture.b);
    assert_ok(hd_stream_acquire(other.device, 0, &stream, &error));
    assert_int_equal(hd_stream_release(fixture.device, stream, &error), HD_INVALID_ARGUMENT);
    assert_int_equal(submit(&fixture, stream, fixture.a, &output, NULL), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_stream_synchronize(fixture.device, stream, 0, &error), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_stream_release(fixture.device, (hd_stream){0}, &error),
                     HD_INVALID_ARGUMENT);
    invented.value = stream.value + 32; /* a generation that was not given out */
    assert_int_equal(hd_stream_release(other.device, invented, &error), HD_INVALID_ARGUMENT);
    invented.value = stream.value + 1; /* a slot that nobody has */
    assert_int_equal(hd_stream_release(other.device, invented, &error), HD_INVALID_ARGUMENT);
    assert_ok(hd_device_shutdown(other.device, FOREVER, &error));
    assert_int_equal(hd_stream_release(other.device, stream, &error), HD_CLOSED);
    assert_int_equal(submit(&other, (hd_stream){0}, fixture.a, &output, NULL), HD_CLOSED);
    assert_int_equal(hd_stream_acquire(other.device, 0, &stream, &error), HD_CLOSED);
    close_fixture(&other);
    close_fixture(&fixture);
}

static void explicit_streams_may_exhaust_the_pool(void **state)
{
    (void)state;
    fixture fixture;
    open_with(&fixture,
              &(hd_device_options){.struct_size = sizeof(hd_device_options), .lease_wait_ms = 1});
    hd_stream streams[31], none;
    hd_tensor input = tensor_of(fixture.a), output = tensor_of(fixture.b);
    for (size_t i = 0; i < 31; i++) {
        assert_ok(hd_stream_acquire(fixture.device, 0, &streams[i], &error));
    }
    assert_int_equal(hd_stream_acquire(fixture.device, 0, &none, &error), HD_EXHAUSTED);
    assert_int_equal(hd_stream_acquire(fixture.device, 1, &none, &error), HD_EXHAUSTED);
    assert_ok(hd_model_run(fixture.model, &input, 1, &output, 1, &error));
    assert_ok(submit(&fixture, streams[4], fixture.a, &output, NULL));
    assert_ok(hd_stream_release(fixture.device, streams[4], &error)); /* with work in flight */
    assert_ok(hd_stream_acquire(fixture.device, FOREVER, &none, &error));
    assert_int_not_equal(none.value, streams[4].value);
    assert_int_equal(submit(&fixture, streams[4], fixture.a, &output, NULL), HD_INVALID_ARGUMENT);
    close_fixture(&fixture);
}

enum { RUNNERS = 8, RUNS = 100 };

static fixture *shared;

static void *run_often(void *argument)
{
    hd_error own;
    static float from[RUNNERS][SIZE], to[RUNNERS][SIZE];
    size_t number = (size_t)argument;
    from[number][SIZE - 1] = (float)number;
    for (size_t i = 0; i < RUNS; i++) {
        hd_tensor input = tensor_of(from[number]), output = tensor_of(to[number]);
        to[number][SIZE - 1] = -1;
        if (hd_model_run(shared->model, &input, 1, &output, 1, &own) != HD_OK ||
            to[number][SIZE - 1] != (float)number + 1) {
            return shared;
        }
    }
    return NULL;
}

static void *acquire_long(void *argument)
{
    return hd_stream_acquire(shared->device, FOREVER, argument, NULL) == HD_OK ? NULL : argument;
}

/* All streams have owners, and one more waits to be an owner: runs get on all the same. */
static void runs_get_on_while_all_streams_have_owners(void **state)
{
    (void)state;
    fixture fixture;
    hd_stream streams[31], late;
    pthread_t runners[RUNNERS], owner;
    void *failure;
    shared = &fixture;
    open_with(&fixture, NULL);
    for (size_t i = 0; i < 31; i++) {
        assert_ok(hd_stream_acquire(fixture.device, 0, &streams[i], &error));
    }
    assert_int_equal(pthread_create(&owner, NULL, acquire_long, &late), 0);
    for (size_t i = 0; i < RUNNERS; i++) {
        assert_int_equal(pthread_create(&runners[i], NULL, run_often, (void *)i), 0);
    }
    for (size_t i = 0; i < RUNNERS; i++) {
        pthread_join(runners[i], &failure);
        assert_null(failure);
    }
    assert_int_equal(hd_stream_acquire(fixture.device, 1, &streams[0], &error), HD_EXHAUSTED);
    assert_ok(hd_stream_release(fixture.device, streams[1], &error));
    pthread_join(owner, &failure);
    assert_null(failure);
    close_fixture(&fixture);
}

static void events_tell_the_time_between_them(void **state)
{
    (void)state;
    fixture fixture;
    open_with(&fixture, NULL);
    hd_event *start, *end;
    double milliseconds = -1;
    hd_stream stream = {0};
    hd_tensor output = tensor_of(fixture.b);
    assert_ok(hd_event_create(fixture.device, &start, &error));
    assert_ok(hd_event_create(fixture.device, &end, &error));
    assert_ok(hd_event_wait(start, FOREVER, &error)); /* never recorded */
    assert_ok(hd_event_wait_on_stream(start, stream, 0, &error));
    assert_int_equal(hd_event_elapsed(start, end, &milliseconds, &error), HD_INVALID_ARGUMENT);
    assert_ok(hd_event_record(start, stream, 0, &error));
    for (size_t i = 0; i < 50; i++) {
        assert_ok(submit(&fixture, stream, fixture.a, &output, NULL));
    }
    assert_ok(hd_event_record(end, stream, FOREVER, &error));
    assert_ok(hd_event_wait(end, FOREVER, &error));
    assert_ok(hd_event_elapsed(start, end, &milliseconds, &error));
    assert_true(milliseconds > 0 && milliseconds < 60000);
    assert_ok(hd_event_elapsed(end, start, &milliseconds, &error));
    assert_true(milliseconds < 0);
    /* recorded again, and destroyed while recorded */
    assert_ok(hd_event_record(end, stream, 0, &error));
    hd_event_destroy(&end);
    hd_event_destroy(&start);
    close_fixture(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_of_a_stream_is_done_in_order),
        cmocka_unit_test(an_event_orders_two_streams),
        cmocka_unit_test(a_future_ends_once_with_what_the_run_says),
        cmocka_unit_test(a_slow_callback_holds_up_no_request),
        cmocka_unit_test(a_callback_may_end_the_device_but_not_shut_it_down),
        cmocka_unit_test(the_last_run_ends_the_device),
        cmocka_unit_test(a_full_stream_waits_or_refuses),
        cmocka_unit_test(a_decided_future_skips_its_work),
        cmocka_unit_test(a_deadline_that_has_passed_is_the_outcome),
        cmocka_unit_test(streams_of_others_are_refused),
        cmocka_unit_test(explicit_streams_may_exhaust_the_pool),
        cmocka_unit_test(runs_get_on_while_all_streams_have_owners),
        cmocka_unit_test(events_tell_the_time_between_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
