/* A user's program, compiled with -fsanitize=thread, on the installed library, which is not: from each of THREADS
 * threads runs, asynchronous runs, batches, callbacks, events and memory. None of it is a race.
 * usage: threads [race]: one thread reads what another's run writes, without waiting for it. That is one. */
#include <heddle/heddle.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 8, ROUNDS = 30, ROWS = 48, WIDTH = 192 };

typedef struct request {
    float *x, *y;
    hd_tensor input, output;
    int was_called; /* by the callback, read when it has told so */
    pthread_mutex_t mutex;
    pthread_cond_t called;
    int is_told;
} request;

static hd_device *device;
static hd_model *model; /* y = gelu(x w) + 1 */
static hd_batch *batch;

static void check(hd_status status, const char *what)
{
    if (status != HD_OK) {
        fprintf(stderr, "%s: %s\n", what, hd_status_name(status));
        exit(1);
    }
}

static hd_value add(hd_graph *graph, const char *type, hd_value a, hd_value b)
{
    hd_value inputs[] = {a, b}, out;
    check(
        hd_graph_add_node(graph, type, inputs, b == HD_VALUE_NONE ? 1 : 2, NULL, 0, &out, 1, NULL),
        type);
    return out;
}

static void open_model(void)
{
    static const int64_t dims[] = {-1, WIDTH};
    static float weights[WIDTH * WIDTH];
    float one = 1;
    hd_tensor weight = {.dtype = HD_FLOAT32,
                        .rank = 2,
                        .dims = {WIDTH, WIDTH},
                        .data = weights,
                        .size = sizeof weights};
    hd_tensor constant = {.dtype = HD_FLOAT32, .data = &one, .size = sizeof one};
    hd_device_options options = {.struct_size = sizeof options, .thread_count = 4};
    hd_graph *graph;
    hd_value x, w, c;
    for (size_t i = 0; i < WIDTH * WIDTH; i++) {
        weights[i] = (float)(i % 17) * 0.01f;
    }
    check(hd_device_open("cpu", &options, &device, NULL), "open");
    check(hd_graph_create(0, &graph, NULL), "graph");
    check(hd_graph_add_input(graph, "x", HD_FLOAT32, 2, dims, &x, NULL), "input");
    check(hd_graph_add_constant(graph, &weight, &w, NULL), "constant");
    check(hd_graph_add_constant(graph, &constant, &c, NULL), "constant");
    hd_value wide = add(graph, "Softmax", add(graph, "MatMul", x, w), HD_VALUE_NONE);
    check(
        hd_graph_add_output(graph, "y", add(graph, "Add", add(graph, "MatMul", wide, w), c), NULL),
        "output");
    check(hd_model_create(device, graph, NULL, &model, NULL), "model");
    hd_graph_destroy(&graph);
    hd_batch_options batching = {
        .struct_size = sizeof batching, .worker_count = 2, .max_rows = 64, .max_delay_us = 100};
    check(hd_batch_create(model, &batching, &batch, NULL), "batch");
}

static void open_request(request *request, int64_t rows)
{
    size_t size = (size_t)rows * WIDTH * sizeof(float);
    *request = (struct request){.x = malloc(size), .y = malloc(size)};
    request->input = request->output =
        (hd_tensor){.dtype = HD_FLOAT32, .rank = 2, .dims = {rows, WIDTH}, .size = size};
    request->input.data = request->x;
    request->output.data = request->y;
    pthread_mutex_init(&request->mutex, NULL);
    pthread_cond_init(&request->called, NULL);
}

static void close_request(request *request)
{
    free(request->x);
    free(request->y);
    pthread_mutex_destroy(&request->mutex);
    pthread_cond_destroy(&request->called);
}

static void fill(request *request, float value)
{
    for (size_t i = 0; i < request->input.size / sizeof(float); i++) {
        request->x[i] = value + (float)(i % 5);
    }
}

static float sum(const request *request)
{
    float total = 0;
    for (size_t i = 0; i < request->output.size / sizeof(float); i++) {
        total += request->y[i];
    }
    return total;
}

/* Reads what was written before the submission, and the results. */
static void call_back(void *context, hd_status outcome, const hd_error *error)
{
    request *request = context;
    (void)error;
    request->was_called = outcome == HD_OK && sum(request) > 0 && request->x[0] > 0;
    pthread_mutex_lock(&request->mutex);
    request->is_told = 1;
    pthread_cond_signal(&request->called);
    pthread_mutex_unlock(&request->mutex);
}

static void await_call(request *request)
{
    pthread_mutex_lock(&request->mutex);
    while (!request->is_told) {
        pthread_cond_wait(&request->called, &request->mutex);
    }
    request->is_told = 0;
    pthread_mutex_unlock(&request->mutex);
    check(request->was_called ? HD_OK : HD_INTERNAL, "callback");
}

static void use_stream(request *request, hd_submit_options options)
{
    hd_event *event;
    hd_future *future;
    void *block;
    check(hd_stream_acquire(device, HD_WAIT_FOREVER, &options.stream, NULL), "acquire");
    check(hd_event_create(device, &event, NULL), "event");
    check(hd_memory_allocate(device, options.stream, 5000, 0, &block, NULL), "allocate");
    memset(block, 1, 5000);
    check(hd_model_run_async(model, &request->input, 1, &request->output, 1, &options, NULL, NULL),
          "async");
    check(hd_event_record(event, options.stream, HD_WAIT_FOREVER, NULL), "record");
    check(hd_event_wait_on_stream(event, (hd_stream){0}, HD_WAIT_FOREVER, NULL), "wait on stream");
    check(hd_event_wait(event, HD_WAIT_FOREVER, NULL), "event wait");
    check(sum(request) > 0 ? HD_OK : HD_INTERNAL, "sum");
    check(
        hd_model_run_async(model, &request->input, 1, &request->output, 1, &options, &future, NULL),
        "async");
    check(hd_stream_synchronize(device, options.stream, HD_WAIT_FOREVER, NULL), "synchronize");
    request->y[0] += 1;
    check(hd_future_wait(future, HD_WAIT_FOREVER, NULL), "wait");
    hd_future_destroy(&future);
    check(hd_memory_free(device, block, NULL), "free");
    check(hd_stream_release(device, options.stream, NULL), "release");
    hd_event_destroy(&event);
}

static void *use_all(void *argument)
{
    size_t number = (size_t)argument;
    request request;
    hd_future *future;
    open_request(&request, ROWS + (int64_t)(number % 3));
    for (int round = 0; round < ROUNDS; round++) {
        hd_submit_options options = {.struct_size = sizeof options};
        fill(&request, 1 + (float)round);
        check(hd_model_run(model, &request.input, 1, &request.output, 1, NULL), "run");
        check(sum(&request) > 0 ? HD_OK : HD_INTERNAL, "sum");
        hd_tensor own = {0}; /* the library's memory */
        check(hd_model_run(model, &request.input, 1, &own, 1, NULL), "run");
        request.y[1] = ((float *)own.data)[1];
        hd_tensor_release(&own);
        use_stream(&request, options);
        fill(&request, 2 + (float)round);
        options.callback = call_back;
        options.context = &request;
        check(
            hd_model_run_async(model, &request.input, 1, &request.output, 1, &options, NULL, NULL),
            "async");
        await_call(&request);
        fill(&request, 3 + (float)round);
        check(
            hd_batch_submit(batch, &request.input, 1, &request.output, 1, &options, &future, NULL),
            "batch");
        check(hd_future_wait(future, HD_WAIT_FOREVER, NULL), "batch");
        hd_future_destroy(&future);
        check(sum(&request) > 0 ? HD_OK : HD_INTERNAL, "sum");
        await_call(&request);
    }
    close_request(&request);
    return NULL;
}

/* --- a race of the program's own */

static request shared;
static atomic_int is_started;

static void *run_shared(void *argument)
{
    (void)argument;
    atomic_store_explicit(&is_started, 1, memory_order_relaxed);
    for (int round = 0; round < ROUNDS; round++) {
        check(hd_model_run(model, &shared.input, 1, &shared.output, 1, NULL), "run");
    }
    return NULL;
}

static void race(void)
{
    pthread_t thread;
    volatile float seen = 0;
    open_request(&shared, ROWS);
    fill(&shared, 1);
    pthread_create(&thread, NULL, run_shared, NULL);
    while (!atomic_load_explicit(&is_started, memory_order_relaxed)) {
    }
    for (int round = 0; round < ROUNDS; round++) {
        seen += shared.y[7]; /* nobody has waited for the run */
        usleep(500);
    }
    pthread_join(thread, NULL);
    close_request(&shared);
}

int main(int count, char **arguments)
{
    pthread_t threads[THREADS];
    open_model();
    if (count > 1 && strcmp(arguments[1], "race") == 0) {
        race();
    } else {
        for (size_t i = 0; i < THREADS; i++) {
            pthread_create(&threads[i], NULL, use_all, (void *)i);
        }
        for (size_t i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
        }
    }
    hd_batch_destroy(&batch);
    hd_model_destroy(&model);
    check(hd_device_shutdown(device, HD_WAIT_FOREVER, NULL), "shutdown");
    hd_device_destroy(&device);
    puts("ended");
    return 0;
}
