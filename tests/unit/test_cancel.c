/* A run that computes is stopped: by its future, its deadline or its token, inside one long operator, too; soon, with
 * nothing left behind, and without harm to the next. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/thread.h"
#include "heddle/heddle.h"
#include "support/block_graph.h"
#include "support/slowness.h"
#include "support/test_device.h"

#define FOREVER     UINT32_MAX
#define MILLISECOND UINT64_C(1000000)

/* What a stopped run may take of the processor: 20 ms is what is promised; a busy machine gets more, and so does a
 * sanitizer, under which all is ten times as slow. */
#define STOP_LIMIT (SLOWNESS * 100 * MILLISECOND)

typedef struct long_case {
    const char *type;
    size_t input_count;
    hd_dtype dtypes[6];
    uint32_t ranks[6];
    int64_t dims[6][3];
    uint64_t k; /* not 0: the integer or float that input 1, and those behind it, hold */
} long_case;

/* Each takes seconds on one core, in one step; the last three in one tile. */
static const long_case cases[] = {
    {"MatMul", 2, {HD_FLOAT32, HD_FLOAT32}, {2, 2}, {{6144, 6144}, {6144, 6144}}, 0},
    {"Einsum", 2, {HD_FLOAT32, HD_FLOAT32}, {1, 1}, {{40000}, {40000}}, 0},
    {"LSTM",
     3,
     {HD_FLOAT32, HD_FLOAT32, HD_FLOAT32},
     {3, 3, 3},
     {{20000, 1, 64}, {1, 1024, 64}, {1, 1024, 256}},
     0},
    {"NonMaxSuppression", 2, {HD_FLOAT32, HD_FLOAT32}, {3, 3}, {{1, 60000, 4}, {1, 1, 60000}}, 0},
    {"Unique", 1, {HD_FLOAT32}, {1}, {{6000000}}, 0},
};

typedef struct fixture {
    hd_device *device;
    hd_model *model; /* of one case */
    hd_tensor inputs[6];
    size_t input_count;
    const char *type;
} fixture;

static void fill(hd_tensor *tensor, size_t count, bool corners)
{
    float *data = tensor->data;
    uint32_t random = 1;
    for (size_t i = 0; i < count; i++) {
        random = random * 1664525 + 1013904223;
        data[i] = (float)(random >> 8) / 16777216;
        if (corners) { /* boxes of almost no size: none suppresses another */
            data[i] = (float)(i / 4 % 60000) + (i % 4 >= 2 ? 0.25f : 0.0f);
        }
    }
}

static hd_value add_node(hd_graph *graph, const long_case *c, hd_value *values)
{
    hd_attribute einsum[] = {{.name = "equation", .kind = HD_ATTRIBUTE_STRING, .s = "i,j->"}};
    hd_attribute lstm[] = {{.name = "hidden_size", .kind = HD_ATTRIBUTE_INT, .i = 256}};
    bool is_einsum = strcmp(c->type, "Einsum") == 0, is_lstm = strcmp(c->type, "LSTM") == 0;
    hd_value out;
    hd_error error;
    size_t count = c->input_count;
    if (strcmp(c->type, "NonMaxSuppression") == 0) {
        int64_t limit = 60000;
        values[count++] = block_ints(graph, 0, &limit);
    }
    hd_status status = hd_graph_add_node(graph, c->type, values, count,
                                         is_einsum ? einsum
                                         : is_lstm ? lstm
                                                   : NULL,
                                         is_einsum || is_lstm, &out, 1, &error);
    if (status != HD_OK) {
        fail_msg("%s: %s", c->type, error.message);
    }
    return out;
}

static void open_case(fixture *fixture, const long_case *c, uint32_t threads)
{
    hd_error error;
    hd_graph *graph;
    hd_value values[6];
    hd_device_options options = {.struct_size = sizeof options, .thread_count = threads};
    memset(fixture, 0, sizeof *fixture);
    fixture->type = c->type;
    fixture->input_count = c->input_count;
    assert_int_equal(hd_device_open(test_device_name(), &options, &fixture->device, &error), HD_OK);
    assert_int_equal(hd_graph_create(0, &graph, &error), HD_OK);
    for (size_t i = 0; i < c->input_count; i++) {
        char name[8];
        hd_tensor *tensor = &fixture->inputs[i];
        size_t count = 1;
        snprintf(name, sizeof name, "x%zu", i);
        assert_int_equal(hd_graph_add_input(graph, name, c->dtypes[i], c->ranks[i], c->dims[i],
                                            &values[i], &error),
                         HD_OK);
        for (uint32_t d = 0; d < c->ranks[i]; d++) {
            tensor->dims[d] = c->dims[i][d];
            count *= (size_t)c->dims[i][d];
        }
        tensor->dtype = c->dtypes[i];
        tensor->rank = c->ranks[i];
        tensor->size = count * sizeof(float);
        tensor->data = malloc(tensor->size);
        fill(tensor, count, i == 0 && strcmp(c->type, "NonMaxSuppression") == 0);
    }
    assert_int_equal(hd_graph_add_output(graph, "y", add_node(graph, c, values), &error), HD_OK);
    hd_status status = hd_model_create(fixture->device, graph, NULL, &fixture->model, &error);
    if (status != HD_OK) {
        fail_msg("%s: %s", c->type, error.message);
    }
    hd_graph_destroy(&graph);
}

static void close_case(fixture *fixture)
{
    for (size_t i = 0; i < fixture->input_count; i++) {
        free(fixture->inputs[i].data);
    }
    hd_model_destroy(&fixture->model);
    hd_device_destroy(&fixture->device);
}

static uint64_t processor_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000 * MILLISECOND + (uint64_t)now.tv_nsec;
}

static void sleep_ms(uint32_t milliseconds)
{
    struct timespec time = {.tv_nsec = (long)milliseconds * 1000000};
    nanosleep(&time, NULL);
}

/* Cancels each while it computes. What counts is the processor's time from the cancel on, since others may use the
 * machine. */
static void check_futures(uint32_t threads)
{
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        fixture fixture;
        open_case(&fixture, &cases[c], threads);
        hd_tensor output = {.rank = 3, .size = 7};
        hd_future *future;
        hd_error error;
        assert_int_equal(hd_model_run_async(fixture.model, fixture.inputs, fixture.input_count,
                                            &output, 1, NULL, &future, &error),
                         HD_OK);
        sleep_ms(60);
        hd_status early = hd_future_wait(future, 0, &error);
        if (early != HD_NOT_YET) {
            fail_msg("%s: it took no time: %s", fixture.type, error.message);
        }
        uint64_t begin = processor_time();
        assert_int_equal(hd_future_cancel(future), HD_CANCELLED);
        assert_int_equal(hd_future_wait(future, FOREVER, &error), HD_CANCELLED);
        uint64_t took = processor_time() - begin;
        if (took > STOP_LIMIT) {
            fail_msg("%s: it went on for %.1f ms", fixture.type, (double)took / 1e6);
        }
        print_message("%s: final after %.2f ms\n", fixture.type, (double)took / 1e6);
        hd_future_destroy(&future);
        assert_null(output.data);
        assert_int_equal(output.rank, 3);
        assert_int_equal(output.size, 7);
        close_case(&fixture);
    }
}

static void a_future_stops_one_long_operator(void **state)
{
    (void)state;
    check_futures(1);
    check_futures(2);
}

/* ---- hd_model_run_with */

static hd_cancel *token; /* for the signal handler */

static void set_token(int signal)
{
    (void)signal;
    hd_cancel_set(token);
}

static void set_soon(void *argument)
{
    sleep_ms(40);
    hd_cancel_set(argument);
}

static void destroy_and_set(void *argument)
{
    hd_cancel *cancel = argument;
    sleep_ms(40);
    hd_cancel_set(cancel);
    hd_cancel_destroy(&cancel); /* while the run has it */
}

static void signal_soon(void *argument)
{
    sleep_ms(40);
    pthread_kill(*(pthread_t *)argument, SIGUSR1);
}

static hd_status run_with(fixture *fixture, hd_cancel *cancel, uint32_t deadline_ms,
                          hd_tensor *output)
{
    hd_run_options options = {
        .struct_size = sizeof options, .deadline_ms = deadline_ms, .cancel = cancel};
    hd_error error = {.status = HD_OK};
    hd_tensor before = *output;
    hd_status status = hd_model_run_with(fixture->model, fixture->inputs, fixture->input_count,
                                         output, 1, &options, &error);
    if (status != HD_OK) {
        assert_int_equal(error.status, status);
        assert_memory_equal(&before, output, sizeof before);
    }
    return status;
}

static void a_token_stops_a_run_from_a_thread_and_from_a_signal_handler(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        fixture fixture;
        hd_thread thread;
        hd_error error;
        hd_cancel *cancel;
        pthread_t self = pthread_self();
        open_case(&fixture, &cases[how == 0 ? 0 : 2], 2);
        assert_int_equal(hd_cancel_create(&cancel, &error), HD_OK);
        token = cancel;
        struct sigaction action = {.sa_handler = set_token}, old;
        sigaction(SIGUSR1, &action, &old);
        void (*set)(void *) = how == 0 ? set_soon : how == 1 ? destroy_and_set : signal_soon;
        assert_int_equal(
            hd_thread_start(&thread, "setter", set, how == 2 ? (void *)&self : (void *)cancel),
            HD_OK);
        hd_tensor output = {.name = NULL};
        assert_int_equal(run_with(&fixture, cancel, 0, &output), HD_CANCELLED);
        hd_thread_join(&thread);
        sigaction(SIGUSR1, &old, NULL);
        if (how != 1) {
            assert_true(hd_cancel_is_set(cancel));
            /* it stays set */
            assert_int_equal(run_with(&fixture, cancel, 0, &output), HD_CANCELLED);
            hd_cancel_destroy(&cancel);
            assert_null(cancel);
        }
        close_case(&fixture);
    }
    hd_cancel_destroy(NULL);
    hd_cancel_set(NULL);
    assert_false(hd_cancel_is_set(NULL));
    assert_int_equal(hd_cancel_create(NULL, NULL), HD_INVALID_ARGUMENT);
}

static void a_deadline_stops_a_run(void **state)
{
    (void)state;
    fixture fixture;
    open_case(&fixture, &cases[2], 1);
    hd_tensor output = {.name = NULL};
    assert_int_equal(run_with(&fixture, NULL, HD_NO_WAIT, &output), HD_DEADLINE);
    uint64_t begin = hd_clock_now();
    assert_int_equal(run_with(&fixture, NULL, 30, &output), HD_DEADLINE);
    assert_true(hd_clock_now() - begin >= 30 * MILLISECOND);
    close_case(&fixture);
}

/* ---- many steps, and what is computed after a stop */

#define STEPS 300
#define WIDTH 4096

static hd_model *make_chain(hd_device *device)
{
    static const int64_t dims[] = {-1, WIDTH};
    hd_graph *graph;
    hd_value x;
    hd_error error;
    assert_int_equal(hd_graph_create(0, &graph, &error), HD_OK);
    assert_int_equal(hd_graph_add_input(graph, "x", HD_FLOAT32, 2, dims, &x, &error), HD_OK);
    for (int i = 0; i < STEPS; i++) {
        hd_attribute axis = {.name = "axis", .kind = HD_ATTRIBUTE_INT, .i = 1};
        assert_int_equal(hd_graph_add_node(graph, "Softmax", &x, 1, &axis, 1, &x, 1, &error),
                         HD_OK);
    }
    assert_int_equal(hd_graph_add_output(graph, "y", x, &error), HD_OK);
    return block_model(device, graph, 0);
}

/* At moments from the start to behind the end: the run is done and has its bits, or has not happened. */
static void runs_between_stopped_ones_keep_their_bits(void **state)
{
    (void)state;
    fixture fixture = {.input_count = 1};
    hd_error error;
    hd_tensor expected = {.name = NULL};
    assert_int_equal(hd_device_open(test_device_name(), NULL, &fixture.device, &error), HD_OK);
    fixture.model = make_chain(fixture.device);
    fixture.inputs[0] = (hd_tensor){
        .dtype = HD_FLOAT32, .rank = 2, .dims = {4, WIDTH}, .size = 4 * WIDTH * sizeof(float)};
    fixture.inputs[0].data = malloc(fixture.inputs[0].size);
    fill(&fixture.inputs[0], 4 * WIDTH, false);
    assert_int_equal(hd_model_run(fixture.model, fixture.inputs, 1, &expected, 1, &error), HD_OK);
    size_t counts[HD_INTERNAL + 1] = {0};
    for (uint32_t ms = 1; ms < 40; ms++) {
        hd_tensor output = {.name = NULL};
        hd_status status = run_with(&fixture, NULL, ms % 13 == 0 ? 0 : ms / 4 + 1, &output);
        assert_true(status == HD_OK || status == HD_DEADLINE);
        counts[status]++;
        if (status == HD_OK) {
            assert_memory_equal(output.data, expected.data, expected.size);
            hd_tensor_release(&output);
        }
    }
    assert_true(counts[HD_OK] > 0 && counts[HD_DEADLINE] > 0);
    hd_tensor_release(&expected);
    close_case(&fixture);
}

/* A request of a batch that is cancelled leaves the others alone; if all are, the batch stops. */
static void a_batch_stops_when_nobody_wants_it(void **state)
{
    (void)state;
    enum { ROWS = 600 };
    fixture fixture = {.input_count = 1};
    hd_error error;
    hd_batch *batch;
    hd_batch_options options = {
        .struct_size = sizeof options, .max_rows = 2 * ROWS, .max_delay_us = 100000};
    assert_int_equal(hd_device_open(test_device_name(), NULL, &fixture.device, &error), HD_OK);
    fixture.model = make_chain(fixture.device);
    assert_int_equal(hd_batch_create(fixture.model, &options, &batch, &error), HD_OK);
    hd_tensor *input = &fixture.inputs[0];
    *input = (hd_tensor){.dtype = HD_FLOAT32,
                         .rank = 2,
                         .dims = {ROWS, WIDTH},
                         .size = ROWS * WIDTH * sizeof(float)};
    input->data = malloc(input->size);
    fill(input, ROWS * WIDTH, false);
    hd_future *futures[2];
    hd_tensor outputs[2] = {{.name = NULL}};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            hd_batch_submit(batch, input, 1, &outputs[i], 1, NULL, &futures[i], &error), HD_OK);
    }
    sleep_ms(150);
    assert_int_equal(hd_future_cancel(futures[0]), HD_CANCELLED);
    assert_int_equal(hd_future_wait(futures[0], FOREVER, &error), HD_CANCELLED);
    assert_int_equal(hd_future_wait(futures[1], 0, &error), HD_NOT_YET); /* it goes on */
    uint64_t begin = processor_time();
    assert_int_equal(hd_future_cancel(futures[1]), HD_CANCELLED);
    assert_int_equal(hd_future_wait(futures[1], FOREVER, &error), HD_CANCELLED);
    assert_int_equal(hd_batch_shutdown(batch, HD_BATCH_DRAIN, FOREVER, &error), HD_OK);
    assert_true(processor_time() - begin < STOP_LIMIT);
    for (int i = 0; i < 2; i++) {
        assert_null(outputs[i].data);
        hd_future_destroy(&futures[i]);
    }
    hd_batch_destroy(&batch);
    close_case(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_future_stops_one_long_operator),
        cmocka_unit_test(a_token_stops_a_run_from_a_thread_and_from_a_signal_handler),
        cmocka_unit_test(a_deadline_stops_a_run),
        cmocka_unit_test(runs_between_stopped_ones_keep_their_bits),
        cmocka_unit_test(a_batch_stops_when_nobody_wants_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
