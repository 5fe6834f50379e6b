/* Asynchronous runs on the simulated device: no runner waits for them, and they land in order, each once, whatever becomes
 * of the device, of them, and of those who hold them. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/atomic.h"
#include "hal/sim/sim.h"
#include "runtime/device.h"
#include "support/block_graph.h"

#define SIZE    64
#define MOST    128
#define STREAMS 4

static hd_error error;
static _Atomic uint32_t called;

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != HD_OK) {                                                                     \
            fail_msg("%s: %s", #call, error.message);                                              \
        }                                                                                          \
    } while (0)

typedef struct fixture {
    hd_device *device;
    hd_model *model;
    hd_stream streams[STREAMS];
    uint32_t count; /* submitted */
    float inputs[MOST][SIZE];
    float results[MOST][SIZE];
    hd_tensor outputs[MOST];
    hd_future *futures[MOST];
} fixture;

static hd_tensor tensor_of(float *data)
{
    return (hd_tensor){
        .dtype = HD_FLOAT32, .rank = 1, .dims = {SIZE}, .data = data, .size = SIZE * sizeof *data};
}

/* y = x + 1 */
static hd_model *make_model(hd_device *device)
{
    hd_graph *graph;
    assert_ok(hd_graph_create(0, &graph, &error));
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    const float one = 1;
    block_output(graph, graph->root, "y",
                 NODE(graph, graph->root, "Add", x, block_floats(graph, 0, &one)));
    return block_model(device, graph, 0);
}

static fixture *open_all(const hd_sim_options *sim)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    alarm(60);
    hd_sim_configure(sim);
    hd_sim_stall(false);
    hd_store_relaxed(&called, 0);
    assert_ok(hd_device_open("sim", NULL, &f->device, &error));
    f->model = make_model(f->device);
    for (int s = 0; s < STREAMS; s++) {
        assert_ok(hd_stream_acquire(f->device, 0, &f->streams[s], &error));
    }
    return f;
}

static void close_all(fixture *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        hd_future_destroy(&f->futures[i]);
    }
    hd_model_destroy(&f->model);
    hd_device_destroy(&f->device);
    free(f);
    /* a thread of the device's may be about to give the last reference back */
    for (int i = 0; hd_sim_count().live_allocations > 0; i++) {
        assert_true(i < 100000);
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    assert_int_equal(hd_sim_count().queue_overlaps, 0);
    assert_int_equal(hd_sim_count().list_overlaps, 0);
    hd_sim_configure(NULL);
    alarm(0);
}

static void count_call(void *context, hd_status status, const hd_error *told)
{
    (void)context, (void)told;
    hd_add_relaxed(&called, status == HD_OK ? 1 : 0x10000);
}

static void submit(fixture *f, hd_stream stream, uint32_t deadline_ms)
{
    uint32_t i = f->count++;
    for (int k = 0; k < SIZE; k++) {
        f->inputs[i][k] = (float)(i * SIZE) + (float)k;
    }
    hd_tensor input = tensor_of(f->inputs[i]);
    f->outputs[i] = (hd_tensor){.data = f->results[i], .size = sizeof f->results[i]};
    hd_submit_options options = {.struct_size = sizeof options,
                                 .stream = stream,
                                 .deadline_ms = deadline_ms,
                                 .callback = count_call};
    assert_ok(hd_model_run_async(f->model, &input, 1, &f->outputs[i], 1, &options, &f->futures[i],
                                 &error));
}

static void submit_to_all(fixture *f, uint32_t each)
{
    for (uint32_t i = 0; i < each * STREAMS; i++) {
        submit(f, f->streams[i % STREAMS], 0);
    }
}

static void expect_result(const fixture *f, uint32_t i)
{
    for (int k = 0; k < SIZE; k++) {
        assert_true(f->results[i][k] == f->inputs[i][k] + 1);
    }
}

static void await_all(fixture *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        assert_ok(hd_future_wait(f->futures[i], HD_WAIT_FOREVER, &error));
        expect_result(f, i);
    }
}

/* The device's queues rest; waits until it has been given as many launches. */
static void await_submissions(uint64_t count)
{
    for (int i = 0; hd_sim_count().submissions < count; i++) {
        assert_true(i < 100000);
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
}

static void more_runs_are_in_flight_than_there_are_runners(void **state)
{
    (void)state;
    fixture *f = open_all(NULL);
    for (int repeat = 0; repeat < 2; repeat++) {
        hd_sim_stall(true);
        submit_to_all(f, MOST / STREAMS / 2);
        await_submissions(f->count); /* with none of them done */
        for (uint32_t i = f->count / 2 * (uint32_t)repeat; i < f->count; i++) {
            assert_int_equal(hd_future_wait(f->futures[i], 0, NULL), HD_NOT_YET);
        }
        hd_sim_stall(false);
        await_all(f);
    }
    close_all(f);
}

/* Each reads what the one before wrote, also where they are submitted all at once. */
static void runs_of_a_stream_read_what_those_before_wrote(void **state)
{
    (void)state;
    fixture *f = open_all(&(hd_sim_options){.delay_microseconds = 30});
    float *a = f->inputs[0], *b = f->inputs[1];
    hd_submit_options options = {.struct_size = sizeof options, .stream = f->streams[0]};
    f->outputs[0] = tensor_of(b);
    f->outputs[1] = tensor_of(a);
    for (int i = 0; i < 200; i++) {
        hd_tensor input = tensor_of(i % 2 == 0 ? a : b);
        assert_ok(
            hd_model_run_async(f->model, &input, 1, &f->outputs[i % 2], 1, &options, NULL, &error));
    }
    assert_ok(hd_stream_synchronize(f->device, f->streams[0], HD_WAIT_FOREVER, &error));
    for (int k = 0; k < SIZE; k++) {
        assert_true(a[k] == 200);
    }
    close_all(f);
}

static void a_loss_ends_each_run_once(void **state)
{
    (void)state;
    for (int stalls = 0; stalls < 2; stalls++) {
        fixture *f = open_all(&(hd_sim_options){.delay_microseconds = 50});
        hd_sim_stall(stalls == 1);
        submit_to_all(f, 20);
        await_submissions(stalls == 1 ? f->count : 30);
        hd_sim_lose();
        uint32_t lost = 0;
        for (uint32_t i = 0; i < f->count; i++) {
            hd_status status = hd_future_wait(f->futures[i], HD_WAIT_FOREVER, &error);
            if (status != HD_LOST && (status != HD_OK || stalls == 1)) {
                fail_msg("run %u: %s: %s", i, hd_status_text(status), error.message);
            }
            lost += status == HD_LOST;
            if (status == HD_OK) {
                expect_result(f, i);
            }
        }
        assert_true(lost > 0);
        for (int s = 0; s < STREAMS; s++) { /* its points are reached all the same */
            assert_ok(hd_stream_synchronize(f->device, f->streams[s], HD_WAIT_FOREVER, &error));
        }
        submit(f, f->streams[0], 0);
        assert_int_equal(hd_future_wait(f->futures[f->count - 1], HD_WAIT_FOREVER, NULL), HD_LOST);
        uint32_t count = f->count;
        assert_ok(hd_device_shutdown(f->device, HD_WAIT_FOREVER, &error));
        close_all(f);
        /* the callback thread has ended with the device */
        assert_int_equal((hd_load_relaxed(&called) & 0xFFFF) + (hd_load_relaxed(&called) >> 16),
                         count);
        assert_int_equal(hd_load_relaxed(&called) >> 16, lost + 1);
    }
}

static void a_shutdown_waits_for_what_was_submitted_no_longer_than_told(void **state)
{
    (void)state;
    fixture *f = open_all(NULL);
    hd_sim_stall(true);
    submit_to_all(f, 8);
    submit(f, (hd_stream){0}, 0);
    await_submissions(f->count);
    assert_int_equal(hd_device_shutdown(f->device, 20, &error), HD_NOT_YET);
    hd_sim_stall(false);
    assert_ok(hd_device_shutdown(f->device, HD_WAIT_FOREVER, &error));
    for (uint32_t i = 0; i < f->count; i++) { /* they are final, not only about to be */
        assert_ok(hd_future_wait(f->futures[i], 0, &error));
        expect_result(f, i);
    }
    close_all(f);
}

static void the_last_handles_may_go_while_runs_are_in_flight(void **state)
{
    (void)state;
    for (int repeat = 0; repeat < 20; repeat++) {
        fixture *f =
            open_all(&(hd_sim_options){.seed = (uint32_t)repeat, .delay_microseconds = 20});
        submit_to_all(f, 4);
        hd_model_destroy(&f->model);
        hd_device_destroy(&f->device);
        await_all(f);
        close_all(f);
    }
}

static void who_cancels_decides_and_the_memory_stays_held(void **state)
{
    (void)state;
    fixture *f = open_all(NULL);
    hd_sim_stall(true);
    submit(f, f->streams[0], 0);
    /* its deadline passes in flight, and on a busy machine, too, not before */
    submit(f, f->streams[0], 1000);
    submit(f, f->streams[0], 0);
    await_submissions(3);
    assert_int_equal(hd_future_cancel(f->futures[0]), HD_CANCELLED);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hd_future_wait(f->futures[i], 550, NULL), HD_NOT_YET);
    }
    hd_sim_stall(false);
    assert_int_equal(hd_future_wait(f->futures[0], HD_WAIT_FOREVER, NULL), HD_CANCELLED);
    assert_int_equal(hd_future_wait(f->futures[1], HD_WAIT_FOREVER, NULL), HD_DEADLINE);
    assert_ok(hd_future_wait(f->futures[2], HD_WAIT_FOREVER, &error));
    assert_int_equal(f->outputs[0].rank, 0); /* their structs are as they were */
    assert_int_equal(f->outputs[1].rank, 0);
    assert_int_equal(f->outputs[2].rank, 1);
    expect_result(f, 2);
    close_all(f);
}

static void outputs_of_the_librarys_go_with_a_cancelled_run(void **state)
{
    (void)state;
    fixture *f = open_all(NULL);
    hd_tensor input = tensor_of(f->inputs[0]);
    hd_submit_options options = {.struct_size = sizeof options, .stream = f->streams[0]};
    hd_sim_stall(true);
    for (; f->count < 2; f->count++) {
        f->outputs[f->count] = (hd_tensor){0};
        assert_ok(hd_model_run_async(f->model, &input, 1, &f->outputs[f->count], 1, &options,
                                     &f->futures[f->count], &error));
    }
    await_submissions(2);
    assert_int_equal(hd_future_cancel(f->futures[0]), HD_CANCELLED);
    hd_sim_stall(false);
    assert_int_equal(hd_future_wait(f->futures[0], HD_WAIT_FOREVER, NULL), HD_CANCELLED);
    assert_null(f->outputs[0].data);
    assert_ok(hd_future_wait(f->futures[1], HD_WAIT_FOREVER, &error));
    assert_true(((float *)f->outputs[1].data)[SIZE - 1] == 1);
    hd_tensor_release(&f->outputs[1]);
    close_all(f);
}

/* The struct that an earlier run of the stream fills when it lands is read by those after it, which then write where that
 * one did. */
/* Runs of the first stream until handing one over is known to be quick, so that its submitter does it. */
static void warm_up(fixture *f)
{
    for (int i = 0; i < 50; i++) {
        float x[SIZE] = {0}, y[SIZE];
        hd_tensor input = tensor_of(x), output = tensor_of(y);
        hd_submit_options options = {.struct_size = sizeof options, .stream = f->streams[0]};
        hd_future *future;
        assert_ok(hd_model_run_async(f->model, &input, 1, &output, 1, &options, &future, &error));
        assert_ok(hd_future_wait(future, HD_WAIT_FOREVER, &error));
        hd_future_destroy(&future);
    }
}

static void runs_of_a_stream_may_share_an_output(void **state)
{
    (void)state;
    fixture *f = open_all(NULL);
    warm_up(f);
    float x[SIZE] = {0};
    hd_tensor input = tensor_of(x), output = {.data = NULL};
    hd_submit_options options = {.struct_size = sizeof options, .stream = f->streams[0]};
    hd_future *futures[3];
    uint64_t before = hd_sim_count().submissions;
    hd_sim_stall(true);
    for (int i = 0; i < 3; i++) {
        assert_ok(
            hd_model_run_async(f->model, &input, 1, &output, 1, &options, &futures[i], &error));
    }
    await_submissions(before + 1);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    assert_int_equal(hd_sim_count().submissions, before + 1);
    hd_sim_stall(false);
    for (int i = 0; i < 3; i++) {
        assert_ok(hd_future_wait(futures[i], HD_WAIT_FOREVER, &error));
        hd_future_destroy(&futures[i]);
    }
    assert_int_equal(hd_sim_count().submissions, before + 3);
    assert_true(((float *)output.data)[SIZE - 1] == 1);
    hd_tensor_release(&output);
    close_all(f);
}

/* The second reads what the first writes when it lands: whoever submits it does not wait for the device. */
static void whoever_submits_does_not_wait_for_what_a_run_reads(void **state)
{
    (void)state;
    fixture *f = open_all(NULL);
    warm_up(f);
    float x[SIZE] = {0}, y[SIZE], z[SIZE];
    hd_tensor input = tensor_of(x), between = tensor_of(y), output = tensor_of(z);
    hd_tensor read = between;
    hd_submit_options options = {.struct_size = sizeof options, .stream = f->streams[0]};
    hd_future *future;
    hd_sim_stall(true);
    assert_ok(hd_model_run_async(f->model, &input, 1, &between, 1, &options, NULL, &error));
    assert_ok(hd_model_run_async(f->model, &read, 1, &output, 1, &options, &future, &error));
    hd_sim_stall(false);
    assert_ok(hd_future_wait(future, HD_WAIT_FOREVER, &error));
    hd_future_destroy(&future);
    assert_true(z[SIZE - 1] == 2);
    close_all(f);
}

static void an_event_is_reached_behind_what_was_submitted_before_it(void **state)
{
    (void)state;
    fixture *f = open_all(NULL);
    hd_event *event;
    assert_ok(hd_event_create(f->device, &event, &error));
    hd_sim_stall(true);
    submit(f, f->streams[0], 0);
    assert_ok(hd_event_record(event, f->streams[0], HD_WAIT_FOREVER, &error));
    assert_ok(hd_event_wait_on_stream(event, f->streams[1], HD_WAIT_FOREVER, &error));
    submit(f, f->streams[1], 0);
    await_submissions(1);
    assert_int_equal(hd_event_wait(event, 20, NULL), HD_NOT_YET);
    assert_int_equal(hd_sim_count().submissions, 1); /* the other stream waits */
    hd_sim_stall(false);
    assert_ok(hd_event_wait(event, HD_WAIT_FOREVER, &error));
    assert_ok(hd_future_wait(f->futures[0], 1000, &error));
    await_all(f);
    hd_event_destroy(&event);
    close_all(f);
}

/* y = x[rows]: what is wrong with the rows of one run is that run's alone, though others follow it. */
static void what_a_step_finds_is_its_runs(void **state)
{
    (void)state;
    fixture *f = open_all(NULL);
    hd_graph *graph;
    assert_ok(hd_graph_create(0, &graph, &error));
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    hd_value rows = block_input(graph, graph->root, "rows", HD_INT64);
    block_output(graph, graph->root, "y", NODE(graph, graph->root, "Gather", x, rows));
    hd_model *model = block_model(f->device, graph, 0);
    static const int64_t picked[4] = {3, -1, SIZE, 0}; /* the third is none */
    hd_submit_options options = {.struct_size = sizeof options, .stream = f->streams[0]};
    for (int k = 0; k < SIZE; k++) {
        f->inputs[0][k] = (float)k;
    }
    hd_sim_stall(true);
    for (; f->count < 40; f->count++) {
        uint32_t i = f->count;
        hd_tensor inputs[] = {tensor_of(f->inputs[0]), block_tensor(HD_INT64, 1, &picked[i % 4])};
        f->outputs[i] = tensor_of(f->results[i]);
        assert_ok(hd_model_run_async(model, inputs, 2, &f->outputs[i], 1, &options, &f->futures[i],
                                     &error));
    }
    await_submissions(1);
    hd_sim_stall(false);
    for (uint32_t i = 0; i < f->count; i++) {
        hd_status status = hd_future_wait(f->futures[i], HD_WAIT_FOREVER, &error);
        assert_int_equal(status, i % 4 == 2 ? HD_INVALID_ARGUMENT : HD_OK);
        if (status == HD_OK) {
            assert_true(f->results[i][0] == (float)((picked[i % 4] + SIZE) % SIZE));
        }
    }
    hd_model_destroy(&model);
    close_all(f);
}

/* Where the host has a part in a run, on one lane with others that are left to the device. */
static void runs_with_parts_of_the_hosts_keep_the_order(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 8; seed++) {
        fixture *f = open_all(
            &(hd_sim_options){.seed = seed, .refused_permille = 500, .delay_microseconds = 20});
        hd_graph *graph;
        assert_ok(hd_graph_create(0, &graph, &error));
        hd_value value = block_input(graph, graph->root, "x", HD_FLOAT32);
        const float two = 2;
        static const char *const types[] = {"Neg", "Mul", "Abs", "Sub", "Neg"};
        for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
            value = i % 2 == 0
                        ? NODE(graph, graph->root, types[i], value)
                        : NODE(graph, graph->root, types[i], value, block_floats(graph, 0, &two));
        }
        block_output(graph, graph->root, "y", value); /* 2 - 2 |x| */
        hd_model *model = block_model(f->device, graph, 0);
        hd_submit_options options = {.struct_size = sizeof options, .stream = f->streams[0]};
        float *a = f->inputs[0], *b = f->inputs[1], wanted = 0;
        f->outputs[0] = tensor_of(b);
        f->outputs[1] = tensor_of(a);
        for (int i = 0; i < 60; i++) {
            hd_tensor input = tensor_of(i % 2 == 0 ? a : b);
            bool is_other = i % 3 == 0;
            assert_ok(hd_model_run_async(is_other ? f->model : model, &input, 1, &f->outputs[i % 2],
                                         1, &options, NULL, &error));
            wanted = is_other ? wanted + 1 : 2 - 2 * (wanted < 0 ? -wanted : wanted);
        }
        assert_ok(hd_stream_synchronize(f->device, f->streams[0], HD_WAIT_FOREVER, &error));
        assert_true(a[0] == wanted && a[SIZE - 1] == wanted);
        hd_model_destroy(&model);
        close_all(f);
    }
}

/* Nanoseconds of processor time that the watcher has taken. */
static uint64_t watchers_time(void)
{
    uint64_t time = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    for (const struct dirent *task; (task = readdir(tasks)) != NULL;) {
        char path[300], text[64] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        FILE *file = fopen(path, "r");
        if (file != NULL) {
            (void)!fgets(text, sizeof text, file);
            fclose(file);
        }
        snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", task->d_name);
        file = strcmp(text, "heddle-watch\n") == 0 ? fopen(path, "r") : NULL;
        if (file != NULL) {
            unsigned long long taken = 0;
            (void)!fscanf(file, "%llu", &taken);
            fclose(file);
            time += taken;
        }
    }
    closedir(tasks);
    return time;
}

static void who_watches_a_queue_that_rests_sleeps(void **state)
{
    (void)state;
    fixture *f = open_all(NULL);
    hd_sim_stall(true);
    submit_to_all(f, 2);
    await_submissions(f->count);
    uint64_t before;
    for (int i = 0; (before = watchers_time()) == 0; i++) { /* its thread may not have begun */
        assert_true(i < 100000);
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    nanosleep(&(struct timespec){.tv_nsec = 400000000}, NULL);
    assert_true(watchers_time() - before < 100000000); /* a quarter of the time, at most */
    hd_sim_stall(false);
    await_all(f);
    close_all(f);
}

/* Outputs of 16 MB each, which take milliseconds to copy: the thread that others wait for does not. */
static void large_outputs_are_not_copied_by_the_watcher(void **state)
{
    (void)state;
    enum { ROWS = 65536, RUNS = 8 };
    fixture *f = open_all(NULL);
    hd_graph *graph;
    assert_ok(hd_graph_create(0, &graph, &error));
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    float *rows = calloc(ROWS, sizeof *rows), *result = malloc(sizeof(float[ROWS][SIZE]));
    assert_true(rows != NULL && result != NULL);
    hd_tensor column = {.dtype = HD_FLOAT32,
                        .rank = 2,
                        .dims = {ROWS, 1},
                        .data = rows,
                        .size = ROWS * sizeof *rows};
    hd_value added;
    assert_ok(hd_graph_add_constant(graph, &column, &added, &error));
    block_output(graph, graph->root, "y", NODE(graph, graph->root, "Add", x, added));
    hd_model *model = block_model(f->device, graph, 0);
    hd_tensor input = tensor_of(f->inputs[0]),
              output = {.data = result, .size = sizeof(float[ROWS][SIZE])};
    f->inputs[0][SIZE - 1] = 7;
    submit_to_all(f, 1);
    await_all(f); /* the watcher is there */
    uint64_t before = watchers_time();
    for (int i = 0; i < RUNS; i++) {
        hd_submit_options options = {.struct_size = sizeof options, .stream = f->streams[i % 2]};
        hd_future *future = NULL;
        result[(ROWS - 1) * SIZE + SIZE - 1] = 0;
        assert_ok(hd_model_run_async(model, &input, 1, &output, 1, &options, &future, &error));
        assert_ok(hd_future_wait(future, HD_WAIT_FOREVER, &error));
        hd_future_destroy(&future);
        assert_true(result[(ROWS - 1) * SIZE + SIZE - 1] == f->inputs[0][SIZE - 1]);
    }
    assert_true(watchers_time() - before < RUNS * UINT64_C(300000));
    hd_model_destroy(&model);
    free(result);
    free(rows);
    close_all(f);
}

/* The host's memory of runs in flight is used again, and goes when memory is short. */
static void memory_does_not_grow_with_the_runs(void **state)
{
    (void)state;
    fixture *f = open_all(NULL);
    hd_memory_info first = {.struct_size = sizeof first}, last = first;
    for (int repeat = 0; repeat < 50; repeat++) {
        f->count = 0;
        submit_to_all(f, 8);
        await_all(f);
        for (uint32_t i = 0; i < f->count; i++) {
            hd_future_destroy(&f->futures[i]);
        }
        assert_ok(hd_device_get_memory(f->device, repeat < 10 ? &first : &last));
    }
    assert_true(last.arena_bytes <= first.arena_bytes + 8 * STREAMS * (64 << 10));
    f->count = 0;
    assert_ok(hd_device_shutdown(f->device, HD_WAIT_FOREVER, &error));
    hd_reclaim_run(&f->device->reclaim, HD_LANE_COUNT);
    assert_ok(hd_device_get_memory(f->device, &last));
    assert_int_equal(last.arena_bytes, 0);
    close_all(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_runs_are_in_flight_than_there_are_runners),
        cmocka_unit_test(runs_of_a_stream_read_what_those_before_wrote),
        cmocka_unit_test(a_loss_ends_each_run_once),
        cmocka_unit_test(a_shutdown_waits_for_what_was_submitted_no_longer_than_told),
        cmocka_unit_test(the_last_handles_may_go_while_runs_are_in_flight),
        cmocka_unit_test(who_cancels_decides_and_the_memory_stays_held),
        cmocka_unit_test(outputs_of_the_librarys_go_with_a_cancelled_run),
        cmocka_unit_test(runs_of_a_stream_may_share_an_output),
        cmocka_unit_test(whoever_submits_does_not_wait_for_what_a_run_reads),
        cmocka_unit_test(an_event_is_reached_behind_what_was_submitted_before_it),
        cmocka_unit_test(what_a_step_finds_is_its_runs),
        cmocka_unit_test(runs_with_parts_of_the_hosts_keep_the_order),
        cmocka_unit_test(who_watches_a_queue_that_rests_sleeps),
        cmocka_unit_test(large_outputs_are_not_copied_by_the_watcher),
        cmocka_unit_test(memory_does_not_grow_with_the_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
