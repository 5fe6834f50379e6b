/* Who gets the outputs: a request that ends well writes its structs; one that is cancelled, late or failed leaves
 * them as they were and nothing behind, at whatever moment that comes. What is left behind shows in the bytes that
 * malloc has given out (and under asan). */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/thread.h"
#include "heddle/heddle.h"
#include "support/block_graph.h"
#include "support/test_device.h"

#define ROWS    256
#define WIDTH   1024
#define FOREVER UINT32_MAX

typedef struct fixture {
    hd_device *device;
    hd_model *model; /* y = exp(x + x), z = x + x over floats [-1, 1024] */
    hd_batch *batch;
    float *x;
    float *expected[2];
    uint64_t random;
} fixture;

/* xorshift64 (Marsaglia, Xorshift RNGs, 2003) */
static uint64_t draw(fixture *fixture, uint64_t bound)
{
    fixture->random ^= fixture->random << 13;
    fixture->random ^= fixture->random >> 7;
    fixture->random ^= fixture->random << 17;
    return fixture->random % bound;
}

static hd_tensor tensor_of(const fixture *fixture)
{
    return (hd_tensor){.dtype = HD_FLOAT32,
                       .rank = 2,
                       .dims = {ROWS, WIDTH},
                       .data = fixture->x,
                       .size = (size_t)ROWS * WIDTH * sizeof(float)};
}

static int open_fixture(void **state)
{
    static const int64_t dims[] = {-1, WIDTH};
    fixture *fixture = calloc(1, sizeof *fixture);
    hd_error error;
    hd_graph *graph;
    hd_value x, sum, y;
    *state = fixture;
    fixture->random = 14;
    fixture->x = malloc((size_t)ROWS * WIDTH * sizeof(float));
    for (size_t i = 0; i < (size_t)ROWS * WIDTH; i++) {
        fixture->x[i] = (float)(i % 1000) / 1000;
    }
    assert_int_equal(hd_device_open(test_device_name(), NULL, &fixture->device, &error), HD_OK);
    assert_int_equal(hd_graph_create(0, &graph, &error), HD_OK);
    assert_int_equal(hd_graph_add_input(graph, "x", HD_FLOAT32, 2, dims, &x, &error), HD_OK);
    sum = NODE(graph, graph->root, "Add", x, x);
    y = NODE(graph, graph->root, "Exp", sum);
    assert_int_equal(hd_graph_add_output(graph, "y", y, &error), HD_OK);
    assert_int_equal(hd_graph_add_output(graph, "z", sum, &error), HD_OK);
    assert_int_equal(hd_model_create(fixture->device, graph, NULL, &fixture->model, &error), HD_OK);
    hd_graph_destroy(&graph);
    hd_batch_options options = {
        .struct_size = sizeof options, .max_rows = 2 * ROWS, .max_delay_us = 200};
    assert_int_equal(hd_batch_create(fixture->model, &options, &fixture->batch, &error), HD_OK);
    hd_tensor input = tensor_of(fixture), outputs[2] = {{.name = NULL}};
    assert_int_equal(hd_model_run(fixture->model, &input, 1, outputs, 2, &error), HD_OK);
    fixture->expected[0] = outputs[0].data;
    fixture->expected[1] = outputs[1].data;
    return 0;
}

static int close_fixture(void **state)
{
    fixture *fixture = *state;
    for (int i = 0; i < 2; i++) {
        hd_tensor output = {.data = fixture->expected[i]};
        hd_tensor_release(&output);
    }
    hd_batch_destroy(&fixture->batch);
    hd_model_destroy(&fixture->model);
    hd_device_destroy(&fixture->device);
    free(fixture->x);
    free(fixture);
    return 0;
}

static size_t bytes_given_out(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* A request with outputs of the library's, its structs full of what must stay. */
typedef struct request {
    hd_tensor outputs[2];
    hd_tensor before[2];
    hd_future *future;
} request;

static void submit(fixture *fixture, request *request, bool in_batch, uint32_t deadline_ms)
{
    hd_tensor input = tensor_of(fixture);
    hd_submit_options options = {.struct_size = sizeof options, .deadline_ms = deadline_ms};
    hd_error error;
    memset(request, 0, sizeof *request);
    for (int i = 0; i < 2; i++) {
        request->outputs[i] =
            (hd_tensor){.dtype = HD_INT8, .rank = 3, .dims = {7, 8, 9}, .size = 5};
        request->before[i] = request->outputs[i];
    }
    hd_status status = in_batch ? hd_batch_submit(fixture->batch, &input, 1, request->outputs, 2,
                                                  &options, &request->future, &error)
                                : hd_model_run_async(fixture->model, &input, 1, request->outputs, 2,
                                                     &options, &request->future, &error);
    assert_int_equal(status, HD_OK);
}

/* Waits, looks at what it has left, and gives it back. Returns the outcome. */
static hd_status end(fixture *fixture, request *request)
{
    hd_error error;
    hd_status outcome = hd_future_wait(request->future, FOREVER, &error);
    assert_true(outcome == HD_OK || error.status == outcome);
    for (int i = 0; i < 2; i++) {
        hd_tensor *output = &request->outputs[i];
        if (outcome == HD_OK) {
            assert_int_equal(output->dtype, HD_FLOAT32);
            assert_int_equal(output->size, (size_t)ROWS * WIDTH * sizeof(float));
            assert_memory_equal(output->data, fixture->expected[i], output->size);
            hd_tensor_release(output);
        } else {
            assert_memory_equal(output, &request->before[i], sizeof *output);
        }
    }
    hd_future_destroy(&request->future);
    return outcome;
}

static void wait_for(uint64_t nanoseconds)
{
    uint64_t until = hd_clock_now() + nanoseconds;
    while (hd_clock_now() < until) {
    }
}

/* Cancels at moments between the submission and the end, from the one to the other. */
static void cancel_at_every_moment(fixture *fixture, bool in_batch)
{
    enum { TRIES = 40, COUNT = 3 };
    size_t counts[HD_INTERNAL + 1] = {0};
    request requests[COUNT];
    for (int i = 0; i < COUNT; i++) { /* what is made once is made */
        submit(fixture, &requests[i], in_batch, 0);
    }
    uint64_t longest = hd_clock_now();
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(end(fixture, &requests[i]), HD_OK);
    }
    longest = hd_clock_now() - longest;
    size_t before = bytes_given_out();
    for (uint64_t try = 0; try < TRIES; try++) {
        for (int i = 0; i < COUNT; i++) {
            submit(fixture, &requests[i], in_batch, 0);
        }
        wait_for(longest * try / TRIES);
        hd_status said = hd_future_cancel(requests[try % COUNT].future);
        for (uint64_t i = 0; i < COUNT; i++) {
            hd_status outcome = end(fixture, &requests[i]);
            assert_int_equal(outcome, i == try % COUNT ? said : HD_OK);
            counts[outcome]++;
        }
    }
    assert_int_equal(counts[HD_OK] + counts[HD_CANCELLED], TRIES * COUNT);
    assert_true(counts[HD_CANCELLED] > 0);
    assert_true(bytes_given_out() < before + ((size_t)1 << 20));
}

static void a_cancelled_run_leaves_nothing(void **state)
{
    cancel_at_every_moment(*state, false);
}

static void a_request_cancelled_in_a_batch_leaves_nothing(void **state)
{
    cancel_at_every_moment(*state, true);
}

/* Seeded: runs and requests that are cancelled, late, detached from their threads' pace, or left alone. */
static void a_storm_leaves_nothing(void **state)
{
    enum { ROUNDS = 25, COUNT = 8 };
    fixture *fixture = *state;
    size_t counts[HD_INTERNAL + 1] = {0}, before = bytes_given_out();
    request requests[COUNT];
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < COUNT; i++) {
            submit(fixture, &requests[i], draw(fixture, 2) == 0, (uint32_t)draw(fixture, 3));
            wait_for(draw(fixture, 200000));
        }
        for (int i = 0; i < COUNT; i++) {
            if (draw(fixture, 3) == 0) {
                hd_future_cancel(requests[i].future);
            }
            wait_for(draw(fixture, 100000));
        }
        for (int i = 0; i < COUNT; i++) {
            counts[end(fixture, &requests[i])]++;
        }
    }
    assert_int_equal(counts[HD_OK] + counts[HD_CANCELLED] + counts[HD_DEADLINE], ROUNDS * COUNT);
    assert_true(counts[HD_CANCELLED] > 0 && counts[HD_DEADLINE] > 0);
    /* Workers and runners may have made a lane's first buffers meanwhile, but nothing a request. */
    assert_true(bytes_given_out() < before + ((size_t)16 << 20));
}

/* One output fits nowhere: what was allocated for the other goes. */
static void a_failed_request_leaves_nothing(void **state)
{
    fixture *fixture = *state;
    size_t before = bytes_given_out();
    char small[4];
    for (int try = 0; try < 40; try++) {
        hd_tensor input = tensor_of(fixture);
        hd_tensor outputs[2] = {{.name = "y"}, {.name = "z", .data = small, .size = sizeof small}};
        hd_future *future;
        hd_error error;
        hd_status status =
            try % 2 == 0
                ? hd_model_run_async(fixture->model, &input, 1, outputs, 2, NULL, &future, &error)
                : hd_batch_submit(fixture->batch, &input, 1, outputs, 2, NULL, &future, &error);
        assert_int_equal(status, HD_OK);
        assert_int_equal(hd_future_wait(future, FOREVER, &error), HD_INVALID_ARGUMENT);
        hd_future_destroy(&future);
        assert_null(outputs[0].data);
        assert_int_equal(outputs[0].rank, 0);
        assert_int_equal(outputs[1].size, sizeof small);
    }
    assert_true(bytes_given_out() < before + ((size_t)1 << 20));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cancelled_run_leaves_nothing),
        cmocka_unit_test(a_request_cancelled_in_a_batch_leaves_nothing),
        cmocka_unit_test(a_failed_request_leaves_nothing),
        cmocka_unit_test(a_storm_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
