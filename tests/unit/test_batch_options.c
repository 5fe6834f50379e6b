/* What zeros mean in hd_batch_options: while all streams are taken, and the lane that is kept for runs, no batch runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "heddle/heddle.h"
#include "runtime/device.h"
#include "support/test_device.h"

#define FOREVER  HD_WAIT_FOREVER
#define STREAMS  31
#define CAPACITY 1024
#define ROWS     8
#define MOST     (CAPACITY + ROWS) /* that wait, and that the one worker has taken */

static hd_device *device;
static hd_model *model;

static int open_model(void **state)
{
    (void)state;
    hd_graph *graph;
    hd_value x, y;
    assert_int_equal(hd_device_open(test_device_name(), NULL, &device, NULL), HD_OK);
    assert_int_equal(hd_graph_create(0, &graph, NULL), HD_OK);
    assert_int_equal(hd_graph_add_input(graph, "x", HD_FLOAT32, 1, (int64_t[]){-1}, &x, NULL),
                     HD_OK);
    assert_int_equal(hd_graph_add_node(graph, "Neg", &x, 1, NULL, 0, &y, 1, NULL), HD_OK);
    assert_int_equal(hd_graph_add_output(graph, "y", y, NULL), HD_OK);
    assert_int_equal(hd_model_create(device, graph, NULL, &model, NULL), HD_OK);
    hd_graph_destroy(&graph);
    return 0;
}

static int close_model(void **state)
{
    (void)state;
    hd_model_destroy(&model);
    hd_device_destroy(&device);
    return 0;
}

static void check_defaults(const hd_batch_options *options)
{
    static float x[MOST + 1], y[MOST + 1];
    static hd_tensor outputs[MOST + 1];
    hd_stream streams[STREAMS];
    hd_batch *batch;
    hd_batch_statistics statistics = {.struct_size = sizeof statistics};
    uint32_t spare;
    hd_submit_options now = {.struct_size = sizeof now, .wait_ms = HD_NO_WAIT};
    hd_status status = HD_OK;
    size_t count = 0;
    for (size_t i = 0; i < STREAMS; i++) {
        assert_int_equal(hd_stream_acquire(device, FOREVER, &streams[i], NULL), HD_OK);
    }
    assert_int_equal(
        hd_slot_pool_lease_for_run(&device->slots, HD_SLOT_NONE, HD_FOREVER, NULL, &spare), HD_OK);
    assert_int_equal(hd_batch_create(model, options, &batch, NULL), HD_OK);
    for (; status == HD_OK && count <= MOST; count += status == HD_OK) {
        x[count] = (float)count;
        outputs[count] = (hd_tensor){.data = &y[count], .size = sizeof y[count]};
        hd_tensor input = {.dtype = HD_FLOAT32,
                           .rank = 1,
                           .dims = {1},
                           .data = &x[count],
                           .size = sizeof x[count]};
        status = hd_batch_submit(batch, &input, 1, &outputs[count], 1, &now, NULL, NULL);
    }
    assert_int_equal(status, HD_EXHAUSTED);
    assert_in_range(count, CAPACITY, MOST);
    hd_slot_pool_return(&device->slots, spare);
    for (size_t i = 0; i < STREAMS; i++) {
        assert_int_equal(hd_stream_release(device, streams[i], NULL), HD_OK);
    }
    assert_int_equal(hd_batch_shutdown(batch, HD_BATCH_DRAIN, FOREVER, NULL), HD_OK);
    assert_int_equal(hd_batch_get_statistics(batch, &statistics), HD_OK);
    assert_int_equal(statistics.rows, count);
    /* All were there, so all batches but what the worker took first and the last one are full. */
    assert_in_range(statistics.batches, CAPACITY / ROWS, CAPACITY / ROWS + 2);
    for (size_t i = 0; i < count; i++) {
        assert_true(y[i] == -x[i]);
    }
    hd_batch_destroy(&batch);
}

static void zeros_mean_one_worker_eight_rows_and_1024_that_wait(void **state)
{
    (void)state;
    check_defaults(NULL);
    check_defaults(&(hd_batch_options){.struct_size = sizeof(hd_batch_options)});
    check_defaults(&(hd_batch_options){.struct_size = sizeof(size_t)}); /* of an older header */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeros_mean_one_worker_eight_rows_and_1024_that_wait),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
