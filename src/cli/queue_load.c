#include "cli/queue_load.h"

#include <stdlib.h>
#include <string.h>

#include "cli/process.h"
#include "cli/random.h"
#include "heddle/heddle.h"

#define KERNEL_ELEMENTS   65536
#define KERNEL_ITERATIONS 10
#define SEED              7

/* An operation in flight: its run describes the output when it ends. */
typedef struct hd_load_place {
    hd_future *future;
    hd_tensor output; /* all of a thread's have one memory, the device's */
} hd_load_place;

/* One thread, its stream, and a ring of operations in flight. */
typedef struct hd_load_thread {
    const hd_queue_load *load;
    hd_stream stream;
    hd_load_place *ring;
    size_t places;
    hd_tensor input; /* both in the device's memory */
    hd_tensor output;
    uint64_t done;
    double began;
    double ended;
    hd_error error;
} hd_load_thread;

static size_t element_count(hd_load_operation operation)
{
    return operation == LOAD_OPERATION_KERNEL ? KERNEL_ELEMENTS : 1;
}

static hd_status add_iteration(hd_graph *graph, hd_value *value, hd_error *error)
{
    hd_value parts[2] = {HD_VALUE_NONE, HD_VALUE_NONE}, product = HD_VALUE_NONE;
    hd_status status = hd_graph_add_node(graph, "Sin", value, 1, NULL, 0, &parts[0], 1, error);
    if (status == HD_OK) {
        status = hd_graph_add_node(graph, "Cos", value, 1, NULL, 0, &parts[1], 1, error);
    }
    if (status == HD_OK) {
        status = hd_graph_add_node(graph, "Mul", parts, 2, NULL, 0, &product, 1, error);
    }
    parts[0] = product;
    parts[1] = *value;
    return status != HD_OK ? status
                           : hd_graph_add_node(graph, "Add", parts, 2, NULL, 0, value, 1, error);
}

static hd_status build_graph(hd_graph *graph, hd_load_operation operation, hd_error *error)
{
    int64_t size = (int64_t)element_count(operation);
    hd_value value;
    hd_status status = hd_graph_add_input(graph, "v", HD_FLOAT32, 1, &size, &value, error);
    uint32_t iterations = operation == LOAD_OPERATION_KERNEL ? KERNEL_ITERATIONS : 0;
    for (uint32_t i = 0; i < iterations && status == HD_OK; i++) {
        status = add_iteration(graph, &value, error);
    }
    if (status == HD_OK && iterations == 0) {
        hd_value input = value;
        status = hd_graph_add_node(graph, "Identity", &input, 1, NULL, 0, &value, 1, error);
    }
    return status != HD_OK ? status : hd_graph_add_output(graph, "result", value, error);
}

hd_exit_code hd_queue_load_model(hd_device *device, hd_load_operation operation,
                                 hd_model **out_model)
{
    hd_error error = {0};
    hd_graph *graph = NULL;
    *out_model = NULL;
    hd_status status = hd_graph_create(0, &graph, &error);
    if (status == HD_OK) {
        status = build_graph(graph, operation, &error);
    }
    if (status == HD_OK) {
        status = hd_model_create(device, graph, NULL, out_model, &error);
    }
    hd_graph_destroy(&graph);
    return status == HD_OK ? EXIT_CODE_OK : hd_failure_print_error(&error);
}

static hd_status submit(hd_load_thread *thread, hd_load_place *place)
{
    hd_submit_options options = {.struct_size = sizeof options, .stream = thread->stream};
    return hd_model_run_async(thread->load->model, &thread->input, 1, &place->output, 1, &options,
                              &place->future, &thread->error);
}

static hd_status finish(hd_load_thread *thread, hd_load_place *place)
{
    hd_status status = hd_future_wait(place->future, HD_WAIT_FOREVER, &thread->error);
    hd_future_destroy(&place->future);
    thread->done += status == HD_OK;
    return status;
}

static void run_thread(void *context)
{
    hd_load_thread *thread = context;
    const hd_queue_load *load = thread->load;
    thread->began = hd_process_clock();
    double until = thread->began + load->seconds;
    hd_status status = HD_OK;
    uint64_t submitted = 0;
    while (status == HD_OK && (submitted < load->operations || hd_process_clock() < until)) {
        hd_load_place *place = &thread->ring[submitted % thread->places];
        if (place->future != NULL) {
            status = finish(thread, place);
        }
        if (status == HD_OK) {
            status = submit(thread, place);
            submitted++;
        }
        if (status == HD_OK && load->in_flight == 0) {
            status = finish(thread, place);
        }
    }
    for (size_t i = 0; i < thread->places; i++) {
        hd_load_place *place = &thread->ring[(submitted + i) % thread->places];
        if (place->future != NULL) {
            hd_status last = finish(thread, place);
            status = status == HD_OK ? last : status;
        }
    }
    thread->ended = hd_process_clock();
}

static void close_thread(hd_load_thread *thread)
{
    if (thread->stream.value != 0 &&
        hd_stream_release(thread->load->device, thread->stream, &thread->error) == HD_OK) {
        thread->stream.value = 0;
    }
    free(thread->ring);
    hd_error error = {0};
    void *memory[] = {thread->input.data, thread->output.data};
    for (size_t i = 0; i < 2; i++) {
        if (memory[i] != NULL) {
            (void)!hd_memory_free(thread->load->device, memory[i], &error);
        }
    }
}

/* A tensor's memory on the device, with what stands in `data`. */
static hd_status place(hd_device *device, const float *data, hd_tensor *tensor, hd_error *error)
{
    hd_status status =
        hd_memory_allocate(device, (hd_stream){0}, tensor->size, HD_NO_WAIT, &tensor->data, error);
    tensor->place = HD_TENSOR_DEVICE;
    return status != HD_OK ? status
                           : hd_memory_copy(device, tensor->data, data, tensor->size, error);
}

static hd_exit_code open_thread(const hd_queue_load *load, hd_load_thread *thread)
{
    size_t count = element_count(load->operation), size = count * sizeof(float);
    *thread = (hd_load_thread){.load = load, .places = load->in_flight == 0 ? 1 : load->in_flight};
    hd_tensor shape = {.dtype = HD_FLOAT32, .rank = 1, .dims = {(int64_t)count}, .size = size};
    thread->input = shape;
    thread->output = shape;
    thread->ring = calloc(thread->places, sizeof *thread->ring);
    float *data = calloc(1, size);
    if (data == NULL || thread->ring == NULL) {
        free(data);
        return hd_failure_print_memory();
    }
    hd_status status = place(load->device, data, &thread->output, &thread->error);
    hd_random_fill_normal(data, count, 0, 1, SEED);
    if (status == HD_OK) {
        status = place(load->device, data, &thread->input, &thread->error);
    }
    free(data);
    for (size_t i = 0; i < thread->places; i++) {
        thread->ring[i].output = thread->output;
    }
    if (status == HD_OK) {
        status = hd_stream_acquire(load->device, 0, &thread->stream, &thread->error);
    }
    return status == HD_OK ? EXIT_CODE_OK : hd_failure_print_error(&thread->error);
}

hd_exit_code hd_queue_load_check_threads(const hd_thread_list *threads)
{
    for (size_t i = 0; i < threads->count; i++) {
        if (threads->counts[i] > QUEUE_LOAD_THREADS) {
            return hd_failure_print(EXIT_CODE_USAGE,
                                    "--threads: at most %d threads have a stream each, not %u",
                                    QUEUE_LOAD_THREADS, threads->counts[i]);
        }
    }
    return EXIT_CODE_OK;
}

/* The last result of each thread that got through against that of a blocking run. */
static hd_exit_code check_results(const hd_queue_load *load, hd_load_thread *threads)
{
    hd_error error = {0};
    hd_tensor expected = threads[0].output;
    expected.data = NULL;
    expected.place = HD_TENSOR_HOST;
    if (hd_model_run(load->model, &threads[0].input, 1, &expected, 1, &error) != HD_OK) {
        return hd_failure_print_error(&error);
    }
    void *own = malloc(expected.size);
    hd_exit_code code = own == NULL ? hd_failure_print_memory() : EXIT_CODE_OK;
    for (uint32_t i = 0; i < load->threads && code == EXIT_CODE_OK; i++) {
        if (threads[i].error.status != HD_OK) {
            continue;
        }
        if (hd_memory_copy(load->device, own, threads[i].output.data, expected.size, &error) !=
            HD_OK) {
            code = hd_failure_print_error(&error);
        } else if (memcmp(own, expected.data, expected.size) != 0) {
            code = hd_failure_print(EXIT_CODE_CHECK,
                                    "thread %u of %u got other bits than a blocking run", i,
                                    load->threads);
        }
    }
    free(own);
    hd_tensor_release(&expected);
    return code;
}

static hd_exit_code summarize(const hd_queue_load *load, hd_load_thread *threads,
                              double *out_ops_per_s)
{
    double began = threads[0].began, ended = threads[0].ended;
    uint64_t done = 0;
    hd_exit_code code = check_results(load, threads); /* first: its exit code wins */
    if (code != EXIT_CODE_OK) {
        return code;
    }
    for (uint32_t i = 0; i < load->threads; i++) {
        if (threads[i].error.status != HD_OK) {
            return hd_failure_print_error(&threads[i].error);
        }
        began = threads[i].began < began ? threads[i].began : began;
        ended = threads[i].ended > ended ? threads[i].ended : ended;
        done += threads[i].done;
    }
    *out_ops_per_s = (double)done / (ended - began);
    return EXIT_CODE_OK;
}

hd_exit_code hd_queue_load_run(const hd_queue_load *load, double *out_ops_per_s)
{
    *out_ops_per_s = 0;
    hd_load_thread *threads = calloc(load->threads, sizeof *threads);
    if (threads == NULL) {
        return hd_failure_print_memory();
    }
    hd_exit_code code = EXIT_CODE_OK;
    uint32_t opened = 0;
    while (opened < load->threads && code == EXIT_CODE_OK) {
        code = open_thread(load, &threads[opened++]);
    }
    if (code == EXIT_CODE_OK) {
        code = hd_process_run_threads(load->threads, run_thread, threads, sizeof *threads);
    }
    if (code == EXIT_CODE_OK) {
        code = summarize(load, threads, out_ops_per_s);
    }
    for (uint32_t i = 0; i < opened; i++) {
        close_thread(&threads[i]);
    }
    free(threads);
    return code;
}
