/* shutdown ROUNDS SEED: in each round several threads submit all kinds of work to a device, and it
 * is shut down at a random moment. Every request must end exactly once, as callbacks and waits
 * tell, every status must be one that the header names, nothing may hang, and the heap must not
 * grow with the rounds. */
#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "heddle/heddle.h"
#include "support/test_device.h"

#define THREADS      4
#define BLOCKS       4   /* of memory that a thread has at most */
#define REQUESTS     200 /* of a thread in a round */
#define REFUSALS     6   /* by the closed device, until the thread ends */
#define SIZE         64
#define WARM_ROUNDS  50
#define HANG_SECONDS 120
#define FOREVER      HD_WAIT_FOREVER

typedef struct round round;

/* One request; its memory is the round's, so it outlives whatever happens to the future. */
typedef struct request {
    round *round;
    hd_future *future; /* NULL: detached */
    bool submitted, calls_back, reenters, in_batch;
    atomic_int callbacks;
    _Atomic(hd_status) told; /* to the callback */
    hd_tensor output;
    float memory[SIZE];
} request;

typedef struct worker {
    round *round;
    pthread_t thread;
    uint64_t random;
    hd_stream stream; /* acquired, or the default one */
    hd_event *event;
    void *blocks[BLOCKS];
    size_t request_count, refusals;
    request requests[REQUESTS];
} worker;

struct round {
    hd_device *device;
    hd_model *model;
    hd_batch *batch;    /* of the model */
    bool keeps_handles; /* until the last callback, so that callbacks may use device and model */
    atomic_int callbacks;
    worker workers[THREADS];
};

static float input_memory[SIZE];
static atomic_bool failed;
static atomic_ullong requests_ended, requests_refused, requests_cancelled, requests_late,
    calls_made;

static void complain(const char *what, hd_status status)
{
    fprintf(stderr, "shutdown: %s: %s\n", what, hd_status_name(status));
    atomic_store(&failed, true);
}

static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* --- statuses: what each header names, beside HD_OK and HD_CLOSED */

static hd_status expect(const char *call, hd_status status, hd_status other)
{
    atomic_fetch_add(&calls_made, 1);
    if (status != HD_OK && status != HD_CLOSED && status != other) {
        complain(call, status);
    }
    return status;
}

#define EXPECT(other, call) expect(#call, (call), (other))

/* --- what threads do */

static hd_tensor tensor_of(float *memory)
{
    return (hd_tensor){.dtype = HD_FLOAT32,
                       .rank = 2,
                       .dims = {1, SIZE},
                       .data = memory,
                       .size = SIZE * sizeof *memory};
}

static void check_values(const float *values)
{
    for (size_t i = 0; i < SIZE; i++) {
        if (values[i] != input_memory[i] + 1) {
            complain("a run's values are wrong", HD_INTERNAL);
            return;
        }
    }
}

static void run_here(round *round)
{
    float memory[SIZE];
    hd_tensor input = tensor_of(input_memory), output = tensor_of(memory);
    if (EXPECT(HD_OK, hd_model_run(round->model, &input, 1, &output, 1, NULL)) == HD_OK) {
        check_values(memory);
    }
}

static void call_back(void *context, hd_status outcome, const hd_error *error)
{
    request *request = context;
    round *round = request->round;
    if ((error == NULL) != (outcome == HD_OK)) {
        complain("a callback's error does not go with its outcome", outcome);
    }
    if (request->reenters) {
        run_here(round);
        hd_status status = hd_device_shutdown(round->device, FOREVER, NULL);
        if (status != HD_BUSY) {
            complain("a shutdown of the callback's own device", status);
        }
    }
    atomic_store(&request->told, outcome);
    atomic_fetch_add(&request->callbacks, 1);
    atomic_fetch_add(&round->callbacks, 1);
}

static void submit(worker *worker, request *request)
{
    uint64_t random = draw(&worker->random);
    bool keeps_future = random % 4 != 0;
    hd_tensor input = tensor_of(input_memory);
    hd_submit_options options = {
        .struct_size = sizeof options, .stream = worker->stream, .context = request};
    options.wait_ms = random % 3 == 0 ? HD_NO_WAIT : 0;
    options.deadline_ms = random / 4 % 8 == 0 ? 1 : 0;
    options.callback = random / 32 % 2 == 0 ? call_back : NULL;
    request->output = tensor_of(request->memory);
    request->calls_back = options.callback != NULL;
    request->in_batch = random / 16384 % 4 == 0;
    request->reenters = worker->round->keeps_handles && random / 64 % 16 == 0;
    hd_future **future = keeps_future ? &request->future : NULL;
    hd_status status =
        request->in_batch
            ? EXPECT(HD_EXHAUSTED, hd_batch_submit(worker->round->batch, &input, 1,
                                                   &request->output, 1, &options, future, NULL))
            : EXPECT(HD_EXHAUSTED, hd_model_run_async(worker->round->model, &input, 1,
                                                      &request->output, 1, &options, future, NULL));
    request->submitted = status == HD_OK;
    if (!request->submitted) {
        atomic_fetch_add(&requests_refused, 1);
        worker->refusals += status == HD_CLOSED && !request->in_batch;
        if (request->future != NULL) {
            complain("a refused request left a future", status);
        }
        return;
    }
    if (request->future == NULL) {
        return;
    }
    switch (random / 1024 % 6) {
    case 0:
        hd_future_cancel(request->future);
        break;
    case 1:
        if (hd_future_wait(request->future, 1, NULL) == HD_CLOSED && !request->in_batch) {
            complain("a request that was taken in ended as closed", HD_CLOSED);
        }
        break;
    case 2:
        if (request->calls_back) {
            hd_future_destroy(&request->future);
        }
        break;
    default:
        break;
    }
}

static void change_stream(worker *worker)
{
    hd_device *device = worker->round->device;
    if (worker->stream.value == 0) {
        if (EXPECT(HD_EXHAUSTED, hd_stream_acquire(device, 1, &worker->stream, NULL)) != HD_OK) {
            worker->stream.value = 0;
        }
        return;
    }
    (void)EXPECT(HD_NOT_YET, hd_stream_synchronize(device, worker->stream, 1, NULL));
    (void)EXPECT(HD_OK, hd_stream_release(device, worker->stream, NULL));
    worker->stream.value = 0;
}

static void use_event(worker *worker)
{
    if (worker->event == NULL) {
        (void)EXPECT(HD_OK, hd_event_create(worker->round->device, &worker->event, NULL));
        return;
    }
    double milliseconds;
    (void)EXPECT(HD_EXHAUSTED, hd_event_record(worker->event, worker->stream, 20, NULL));
    /* Another's event may be destroyed at any time; one's own on another stream orders two of them.
     * */
    (void)EXPECT(HD_EXHAUSTED, hd_event_wait_on_stream(worker->event, (hd_stream){0}, 20, NULL));
    if (draw(&worker->random) % 2 == 0) {
        (void)EXPECT(HD_NOT_YET, hd_event_wait(worker->event, 1, NULL));
        hd_status status = hd_event_elapsed(worker->event, worker->event, &milliseconds, NULL);
        if (status !=
            HD_INVALID_ARGUMENT) { /* never recorded, because the device was closed before */
            (void)expect("hd_event_elapsed", status, HD_NOT_YET);
        }
    } else {
        hd_event_destroy(&worker->event); /* while it is recorded, and waited for */
    }
}

static void use_memory(worker *worker)
{
    hd_device *device = worker->round->device;
    void **block = &worker->blocks[draw(&worker->random) % BLOCKS];
    if (*block == NULL) {
        size_t size = (size_t)1 << draw(&worker->random) % 22;
        (void)EXPECT(HD_OK, hd_memory_allocate(device, worker->stream, size, 1, block, NULL));
        return;
    }
    (void)EXPECT(HD_OK, hd_memory_record_stream(device, *block, worker->stream, NULL));
    hd_status status = hd_memory_free(device, *block, NULL); /* after a shutdown, too */
    if (status != HD_OK) {
        complain("hd_memory_free", status);
    }
    *block = NULL;
    if (draw(&worker->random) % 16 == 0 && hd_memory_trim(device, NULL) != HD_OK) {
        complain("hd_memory_trim", HD_INTERNAL);
    }
}

static void *work(void *argument)
{
    worker *worker = argument;
    round *round = worker->round;
    while (worker->request_count < REQUESTS && worker->refusals < REFUSALS) {
        uint64_t what = draw(&worker->random) % 100;
        if (what < 60) {
            submit(worker, &worker->requests[worker->request_count++]);
        } else if (what < 70) {
            use_memory(worker);
        } else if (what < 80) {
            run_here(round);
        } else if (what < 88) {
            change_stream(worker);
        } else if (what < 98) {
            use_event(worker);
        } else if (what < 99) {
            sched_yield();
        } else if (draw(&worker->random) % 8 == 0) {
            (void)EXPECT(HD_NOT_YET, hd_device_shutdown(round->device, 0, NULL));
        } else if (draw(&worker->random) % 2 == 0) {
            hd_batch_shutdown_mode mode =
                draw(&worker->random) % 2 == 0 ? HD_BATCH_DRAIN : HD_BATCH_CANCEL;
            (void)EXPECT(HD_NOT_YET, hd_batch_shutdown(round->batch, mode, 0, NULL));
        }
    }
    if (draw(&worker->random) % 2 == 0) {
        hd_event_destroy(&worker->event);
        if (worker->stream.value != 0) {
            (void)EXPECT(HD_OK, hd_stream_release(round->device, worker->stream, NULL));
            worker->stream.value = 0;
        }
    }
    return NULL;
}

/* --- the end of a round */

static void check_request(request *request)
{
    if (!request->submitted) {
        if (atomic_load(&request->callbacks) != 0) {
            complain("a callback for a request that was refused", HD_INTERNAL);
        }
        return;
    }
    atomic_fetch_add(&requests_ended, 1);
    if (atomic_load(&request->callbacks) != (request->calls_back ? 1 : 0)) {
        complain("a callback came twice, or for nobody", HD_INTERNAL);
    }
    hd_status outcome = request->calls_back ? atomic_load(&request->told) : HD_OK;
    if (request->future != NULL) {
        hd_status waited = hd_future_wait(request->future, 0, NULL);
        if (request->calls_back && waited != outcome) {
            complain("the future's outcome is not what the callback was told", waited);
        }
        if (hd_future_cancel(request->future) != waited) {
            complain("the outcome of a final future changed", waited);
        }
        outcome = waited;
        hd_future_destroy(&request->future);
    } else if (!request->calls_back) {
        return; /* nobody knows */
    }
    atomic_fetch_add(&requests_cancelled, outcome == HD_CANCELLED);
    atomic_fetch_add(&requests_late, outcome == HD_DEADLINE);
    if (outcome == HD_OK) {
        check_values(request->memory);
    } else if (outcome != HD_CANCELLED && outcome != HD_DEADLINE &&
               !(outcome == HD_CLOSED &&
                 request->in_batch)) { /* it waited when the device was shut down */
        complain("a request's outcome", outcome);
    }
}

static void check_requests(round *round)
{
    int expected = 0;
    for (size_t i = 0; i < THREADS; i++) {
        for (size_t j = 0; j < round->workers[i].request_count; j++) {
            const request *request = &round->workers[i].requests[j];
            expected += request->submitted && request->calls_back;
        }
    }
    while (atomic_load(&round->callbacks) < expected) { /* the alarm ends this if it does not end */
        sched_yield();
    }
    for (size_t i = 0; i < THREADS; i++) {
        for (size_t j = 0; j < round->workers[i].request_count; j++) {
            check_request(&round->workers[i].requests[j]);
        }
        hd_event_destroy(&round->workers[i].event);
    }
}

static hd_value add_constant(hd_graph *graph, hd_status *status, uint32_t rank, const float *memory)
{
    hd_value out = HD_VALUE_NONE;
    hd_tensor constant = {
        .dtype = HD_FLOAT32, .rank = rank, .dims = {SIZE, SIZE}, .data = (void *)(uintptr_t)memory};
    constant.size = (rank == 0 ? 1 : SIZE * SIZE) * sizeof *memory;
    if (*status == HD_OK) {
        *status = hd_graph_add_constant(graph, &constant, &out, NULL);
    }
    return out;
}

/* y = x I I ... + 1 over floats [-1, SIZE], with `length` products that take their time. */
static hd_status make_model(hd_device *device, size_t length, hd_model **out_model)
{
    static const int64_t dims[] = {-1, SIZE};
    static float identity[SIZE * SIZE];
    static const float one = 1;
    hd_graph *graph = NULL;
    hd_value values[2], sum = HD_VALUE_NONE;
    for (size_t i = 0; i < SIZE; i++) {
        identity[i * SIZE + i] = 1;
    }
    hd_status status = hd_graph_create(0, &graph, NULL);
    if (status == HD_OK) {
        status = hd_graph_add_input(graph, "x", HD_FLOAT32, 2, dims, &values[0], NULL);
    }
    values[1] = add_constant(graph, &status, 2, identity);
    for (size_t i = 0; i < length && status == HD_OK; i++) {
        status = hd_graph_add_node(graph, "MatMul", values, 2, NULL, 0, &values[0], 1, NULL);
    }
    values[1] = add_constant(graph, &status, 0, &one);
    if (status == HD_OK) {
        status = hd_graph_add_node(graph, "Add", values, 2, NULL, 0, &sum, 1, NULL);
    }
    if (status == HD_OK) {
        status = hd_graph_add_output(graph, "y", sum, NULL);
    }
    if (status == HD_OK) {
        status = hd_model_create(device, graph, NULL, out_model, NULL);
    }
    hd_graph_destroy(&graph);
    return status;
}

static bool open_round(round *round, uint64_t *random)
{
    hd_device_options options = {.struct_size = sizeof options};
    options.thread_count = 1 + (uint32_t)(draw(random) % 3);
    options.queue_count = draw(random) % 3 == 0 ? 1 : 0;
    options.queue_depth = draw(random) % 2 == 0 ? 2 : 0;
    options.sync_strategy = draw(random) % 3 == 0 ? HD_SYNC_GLOBAL : HD_SYNC_PER_ENCODER;
    hd_batch_options batch_options = {.struct_size = sizeof batch_options};
    batch_options.worker_count = (uint32_t)(draw(random) % 3);
    batch_options.capacity = draw(random) % 2 == 0 ? 4 : 0;
    batch_options.max_delay_us = draw(random) % 2 == 0 ? 200 : 0;
    return hd_device_open(test_device_name(), &options, &round->device, NULL) == HD_OK &&
           make_model(round->device, draw(random) % 2 * 40, &round->model) == HD_OK &&
           hd_batch_create(round->model, &batch_options, &round->batch, NULL) == HD_OK;
}

/* All its requests have ended afterwards, and the counts agree. */
static void end_batch(round *round, uint64_t *random)
{
    if (draw(random) % 3 != 0) {
        hd_batch_shutdown_mode mode = draw(random) % 2 == 0 ? HD_BATCH_DRAIN : HD_BATCH_CANCEL;
        hd_batch_statistics counts = {.struct_size = sizeof counts};
        (void)EXPECT(HD_OK, hd_batch_shutdown(round->batch, mode, FOREVER, NULL));
        (void)EXPECT(HD_OK, hd_batch_get_statistics(round->batch, &counts));
        if (counts.submitted != counts.ended || counts.pending != 0) {
            complain("a batch queue's counts after its shutdown", HD_INTERNAL);
        }
    }
    hd_batch_destroy(&round->batch);
}

static void play_round(uint64_t *random)
{
    static const uint32_t limits[] = {0, 1, FOREVER};
    round *round = calloc(1, sizeof *round);
    if (round == NULL || !open_round(round, random)) {
        complain("a round could not begin", HD_OUT_OF_MEMORY);
        free(round);
        return;
    }
    round->keeps_handles = draw(random) % 2 == 0;
    for (size_t i = 0; i < THREADS; i++) {
        worker *worker = &round->workers[i];
        worker->round = round;
        worker->random = draw(random);
        for (size_t j = 0; j < REQUESTS; j++) {
            worker->requests[j].round = round;
        }
        if (pthread_create(&worker->thread, NULL, work, worker) != 0) {
            complain("no more threads", HD_OUT_OF_MEMORY);
            exit(1);
        }
    }
    usleep((useconds_t)1 << draw(random) % 13); /* up to 4 ms */
    (void)EXPECT(HD_NOT_YET, hd_device_shutdown(round->device, limits[draw(random) % 3], NULL));
    (void)EXPECT(HD_OK, hd_device_shutdown(round->device, FOREVER, NULL));
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(round->workers[i].thread, NULL);
    }
    end_batch(round, random);
    if (round->keeps_handles) {
        check_requests(round);
    }
    hd_model_destroy(&round->model);
    hd_device_destroy(&round->device);
    if (!round->keeps_handles) {
        check_requests(round);
    }
    free(round);
}

/* Bytes that the heap has given out, once every thread but this one has ended (a sanitizer's does
 * not). */
static size_t heap_bytes(void)
{
    for (size_t count = 0, tries = 0; count != 1 && tries < 1000; tries++) {
        DIR *tasks = opendir("/proc/self/task");
        count = 0;
        for (struct dirent *entry; tasks != NULL && (entry = readdir(tasks)) != NULL;) {
            count += entry->d_name[0] != '.';
        }
        if (tasks == NULL || closedir(tasks) != 0) {
            return 0;
        }
        usleep(1000);
    }
    return mallinfo2().uordblks;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: shutdown ROUNDS SEED\n", stderr);
        return 2;
    }
    /* The heap's size is to tell of leaks, not of what threads keep for their next allocations. */
    if (getenv("GLIBC_TUNABLES") == NULL) {
        setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0:glibc.malloc.arena_max=1", 1);
        execv("/proc/self/exe", argv);
    }
    uint64_t rounds = strtoull(argv[1], NULL, 10), random = strtoull(argv[2], NULL, 10);
    size_t before = 0;
    for (size_t i = 0; i < SIZE; i++) {
        input_memory[i] = (float)i;
    }
    for (uint64_t i = 0; i < rounds && !atomic_load(&failed); i++) {
        alarm(HANG_SECONDS); /* a hang ends the program */
        if (i == WARM_ROUNDS) {
            before = heap_bytes();
        }
        play_round(&random);
    }
    size_t after = heap_bytes();
    if (before != 0 && after > before + 1024) {
        fprintf(stderr, "shutdown: the heap grew from %zu to %zu bytes\n", before, after);
        atomic_store(&failed, true);
    }
    printf("%llu rounds, %llu calls; requests: %llu ended, of them %llu cancelled, %llu past the "
           "deadline; %llu "
           "refused; heap %zu, then %zu bytes: %s\n",
           (unsigned long long)rounds, atomic_load(&calls_made), atomic_load(&requests_ended),
           atomic_load(&requests_cancelled), atomic_load(&requests_late),
           atomic_load(&requests_refused), before, after, atomic_load(&failed) ? "FAILED" : "ok");
    return atomic_load(&failed) ? 1 : 0;
}
