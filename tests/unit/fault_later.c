#include "fault_later.h"

#if defined(HD_FAULT)
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fault.h"
#include "support/fault_attempt.h"
#include "support/test_device.h"

static atomic_int callbacks;

static void count_callback(void *context, hd_status outcome, const hd_error *error)
{
    (void)context;
    assert_true((error == NULL) == (outcome == HD_OK));
    atomic_fetch_add(&callbacks, 1);
}

/* One request of 8 floats a row, through a stream or a batch queue (NULL: a stream), and its end. */
static hd_status run_later(hd_model *model, hd_stream stream, hd_batch *batch, hd_error *error)
{
    float x[2 * 8], y[2 * 16];
    for (size_t i = 0; i < 2 * 8; i++) {
        x[i] = (float)i - 7;
    }
    hd_tensor input = {.dtype = HD_FLOAT32, .rank = 2, .dims = {2, 8}, .data = x, .size = sizeof x};
    hd_tensor output = {.data = y, .size = sizeof y};
    hd_submit_options options = {
        .struct_size = sizeof options, .stream = stream, .callback = count_callback};
    hd_future *future = (hd_future *)&options;
    int before = atomic_load(&callbacks);
    hd_status status =
        batch == NULL ? hd_model_run_async(model, &input, 1, &output, 1, &options, &future, error)
                      : hd_batch_submit(batch, &input, 1, &output, 1, &options, &future, error);
    if (status != HD_OK) {
        assert_null(future);
        return status;
    }
    status = hd_future_wait(future, HD_WAIT_FOREVER, error);
    hd_future_destroy(&future);
    while (atomic_load(&callbacks) == before) {
        sched_yield();
    }
    assert_int_equal(atomic_load(&callbacks), before + 1);
    for (size_t i = 0; status == HD_OK && i < 8; i++) {
        assert_true(y[16 + i] == (x[8 + i] > 0 ? x[8 + i] : 0));
    }
    return status;
}

static hd_status attempt_run_later(hd_error *error)
{
    return run_later(shared_model, (hd_stream){0}, NULL, error);
}

static hd_status use_event(hd_event *event, hd_stream stream, hd_error *error)
{
    double milliseconds;
    hd_status status = hd_event_record(event, stream, HD_WAIT_FOREVER, error);
    if (status == HD_OK) {
        status = hd_event_wait_on_stream(event, (hd_stream){0}, HD_WAIT_FOREVER, error);
    }
    if (status == HD_OK) {
        status = hd_event_wait(event, HD_WAIT_FOREVER, error);
    }
    if (status == HD_OK) {
        status = hd_event_elapsed(event, event, &milliseconds, error);
    }
    return status;
}

static hd_status attempt_event(hd_error *error)
{
    hd_event *event = (hd_event *)error;
    hd_status status = hd_event_create(device, &event, error);
    assert_true((status == HD_OK) == (event != NULL));
    if (status == HD_OK) {
        status = use_event(event, (hd_stream){0}, error);
    }
    hd_event_destroy(&event);
    return status;
}

static hd_status attempt_stream(hd_error *error)
{
    hd_stream stream;
    hd_status status = hd_stream_acquire(device, 0, &stream, error);
    if (status == HD_OK) {
        status = run_later(shared_model, stream, NULL, error);
        assert_int_equal(hd_stream_synchronize(device, stream, HD_WAIT_FOREVER, NULL), HD_OK);
        assert_int_equal(hd_stream_release(device, stream, NULL), HD_OK);
    }
    return status;
}

/* All of it on a device of its own, whose threads start in the middle. */
static hd_status attempt_session(hd_error *error)
{
    hd_device_options options = {
        .struct_size = sizeof options, .thread_count = 2, .queue_depth = 2};
    hd_device *own = NULL;
    hd_model *model = NULL;
    hd_event *event = NULL;
    hd_stream stream;
    hd_status status = hd_device_open(test_device_name(), &options, &own, error);
    if (status == HD_OK) {
        status = hd_model_create(own, shared_graph, NULL, &model, error);
    }
    if (status == HD_OK) {
        status = hd_event_create(own, &event, error);
    }
    if (status == HD_OK) {
        status = hd_stream_acquire(own, 0, &stream, error);
    }
    if (status == HD_OK) {
        status = run_later(model, stream, NULL, error);
    }
    if (status == HD_OK) {
        status = use_event(event, stream, error);
    }
    if (status == HD_OK) {
        status = run_later(model, (hd_stream){0}, NULL, error);
    }
    if (own != NULL) {
        assert_int_equal(hd_device_shutdown(own, HD_WAIT_FOREVER, NULL), HD_OK);
    }
    hd_event_destroy(&event);
    hd_model_destroy(&model);
    hd_device_destroy(&own);
    return status;
}

static hd_status attempt_batch(hd_error *error)
{
    hd_batch_options options = {.struct_size = sizeof options, .worker_count = 2};
    hd_batch *batch = (hd_batch *)&options;
    hd_status status = hd_batch_create(shared_model, &options, &batch, error);
    assert_true((status == HD_OK) == (batch != NULL));
    if (status == HD_OK) {
        status = run_later(shared_model, (hd_stream){0}, batch, error);
        assert_int_equal(hd_batch_shutdown(batch, HD_BATCH_DRAIN, HD_WAIT_FOREVER, NULL), HD_OK);
    }
    hd_batch_destroy(&batch);
    return status;
}

/* Blocks of every kind of size; what was allocated before a failure can always be freed. */
static hd_status attempt_memory(hd_error *error)
{
    enum { COUNT = 40 };
    static const unsigned char pattern[1 << 16];
    void *blocks[COUNT];
    size_t count = 0;
    hd_status status = HD_OK;
    for (; count < COUNT && status == HD_OK; count++) {
        size_t size = count % 4 == 3 ? (size_t)1 << (20 + count / 10) : 100 * count;
        status = hd_memory_allocate(device, (hd_stream){0}, size, 0, &blocks[count], error);
        assert_true((status == HD_OK) == (blocks[count] != NULL));
        if (status == HD_OK) {
            assert_int_equal(hd_memory_copy(device, blocks[count], pattern,
                                            size < sizeof pattern ? size : sizeof pattern, NULL),
                             HD_OK);
            assert_int_equal(hd_memory_record_stream(device, blocks[count], (hd_stream){0}, NULL),
                             HD_OK);
        }
    }
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(hd_memory_free(device, blocks[i], NULL), HD_OK); /* NULL is allowed */
    }
    hd_memory_statistics statistics = {.struct_size = sizeof statistics};
    assert_int_equal(hd_memory_trim(device, NULL), HD_OK);
    assert_int_equal(hd_memory_get_statistics(device, &statistics), HD_OK);
    assert_int_equal(statistics.in_use_bytes, 0);
    assert_int_equal(statistics.reserved_bytes, statistics.cached_bytes);
    return status;
}

/* A block that comes free only when the device has ended what uses it: the call waits for that. */
static hd_status attempt_memory_wait(hd_error *error)
{
    static const size_t size = 8 << 20;
    hd_device_options options = {
        .struct_size = sizeof options, .thread_count = 1, .memory_limit = 12 << 20};
    hd_device *own = NULL;
    hd_stream streams[2];
    void *first = NULL, *second = NULL;
    hd_event *event = NULL;
    hd_status status = hd_device_open(test_device_name(), &options, &own, error);
    if (status != HD_OK) {
        return status;
    }
    for (size_t i = 0; i < 2 && status == HD_OK; i++) {
        status = hd_stream_acquire(own, 0, &streams[i], error);
    }
    if (status == HD_OK) {
        status = hd_memory_allocate(own, streams[0], size, 0, &first, error);
    }
    if (status == HD_OK) {
        status = hd_event_create(own, &event, error);
    }
    for (size_t i = 0; i < 20 && status == HD_OK; i++) {
        /* work that is perhaps still in flight then */
        status = hd_event_record(event, streams[0], HD_WAIT_FOREVER, error);
    }
    assert_int_equal(hd_memory_free(own, first, NULL), HD_OK);
    if (status == HD_OK) {
        status = hd_memory_allocate(own, streams[1], size, HD_WAIT_FOREVER, &second, error);
        assert_true((status == HD_OK) == (second != NULL));
    }
    assert_int_equal(hd_memory_free(own, second, NULL), HD_OK);
    hd_event_destroy(&event);
    assert_int_equal(hd_device_shutdown(own, HD_WAIT_FOREVER, NULL), HD_OK);
    hd_device_destroy(&own);
    return status;
}

void blocks_of_memory(void **state)
{
    (void)state;
    fault_each_call_once(attempt_memory_wait, 80, "alloc mutex condition thread pages");
    fault_each_call_once(attempt_memory, 2, "alloc pages");
}

static void open_shared_model(void)
{
    hd_error error;
    assert_int_equal(build_graph(&shared_graph, NULL), HD_OK);
    assert_int_equal(hd_model_create(device, shared_graph, NULL, &shared_model, NULL), HD_OK);
    assert_int_equal(attempt_run_later(&error), HD_OK);
}

static void close_shared_model(void)
{
    hd_graph_destroy(&shared_graph);
    hd_model_destroy(&shared_model);
}

void streams_events_and_later_runs(void **state)
{
    (void)state;
    open_shared_model();
    fault_each_call_once(attempt_run_later, 2, "alloc mutex condition");
    fault_each_call_once(attempt_event, 3, "alloc mutex");
    fault_each_call_once(attempt_stream, 2, "alloc mutex condition");
    fault_each_call_once(attempt_session, 80, "alloc mutex condition thread");
    close_shared_model();
}

void batches(void **state)
{
    (void)state;
    open_shared_model();
    fault_each_call_once(attempt_batch, 10, "alloc mutex condition thread");
    close_shared_model();
}

/* Several calls fail, at random, while the library's own threads make some of them. */
void sessions_with_many_faults(void **state)
{
    (void)state;
    fault_attempt *const attempts[] = {attempt_session, attempt_batch, attempt_stream,
                                       attempt_event, attempt_memory};
    open_shared_model();
    for (uint64_t seed = 0; seed < 400; seed++) {
        hd_error error;
        hd_fault_arm(0, 20 + (uint32_t)(seed % 100), seed);
        hd_status status = attempts[seed % 5](&error);
        hd_fault_disarm();
        assert_true(status == HD_OK || status == HD_OUT_OF_MEMORY);
        assert_int_equal(attempts[seed % 5](&error), HD_OK);
    }
    close_shared_model();
}
#endif
