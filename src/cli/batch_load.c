#include "cli/batch_load.h"

#include <stdlib.h>

#include "cli/process.h"
#include "cli/tensors.h"
#include "heddle/heddle.h"

#define DIRECT_ROUND                                                                               \
    16 /* calls between two looks at the clock; with a batch it is one round of futures */

typedef struct hd_load_thread {
    const hd_batch_load *load;
    size_t output_count;
    hd_future **futures; /* a ring of in_flight */
    hd_tensor *outputs;  /* output_count a place of the ring */
    uint64_t done;
    double began;
    double ended;
    hd_error error;
} hd_load_thread;

hd_exit_code hd_batch_load_model(hd_device *device, hd_model **out_model)
{
    static const int64_t dims[] = {-1, 1};
    hd_error error = {0};
    hd_graph *graph = NULL;
    hd_value input, output;
    *out_model = NULL;
    hd_status status = hd_graph_create(0, &graph, &error);
    if (status == HD_OK) {
        status = hd_graph_add_input(graph, "x", HD_FLOAT32, 2, dims, &input, &error);
    }
    if (status == HD_OK) {
        status = hd_graph_add_node(graph, "Identity", &input, 1, NULL, 0, &output, 1, &error);
    }
    if (status == HD_OK) {
        status = hd_graph_add_output(graph, "y", output, &error);
    }
    if (status == HD_OK) {
        status = hd_model_create(device, graph, NULL, out_model, &error);
    }
    hd_graph_destroy(&graph);
    return status == HD_OK ? EXIT_CODE_OK : hd_failure_print_error(&error);
}

static hd_status finish(hd_load_thread *thread, size_t place)
{
    hd_status status = HD_OK;
    if (thread->futures[place] != NULL) {
        status = hd_future_wait(thread->futures[place], HD_WAIT_FOREVER, &thread->error);
        hd_future_destroy(&thread->futures[place]);
        thread->done += status == HD_OK;
    }
    return status;
}

/* Each place of the ring is waited for and submitted again. */
static hd_status run_round(hd_load_thread *thread)
{
    const hd_batch_load *load = thread->load;
    hd_status status = HD_OK;
    for (uint32_t i = 0; i < load->in_flight && status == HD_OK; i++) {
        status = finish(thread, i);
        if (status == HD_OK) {
            status =
                hd_batch_submit(load->batch, load->inputs, load->input_count,
                                &thread->outputs[i * thread->output_count], thread->output_count,
                                NULL, &thread->futures[i], &thread->error);
        }
    }
    return status;
}

static hd_status run_directly(hd_load_thread *thread)
{
    const hd_batch_load *load = thread->load;
    hd_status status = HD_OK;
    for (uint32_t i = 0; i < DIRECT_ROUND && status == HD_OK; i++) {
        status = hd_model_run(load->model, load->inputs, load->input_count, thread->outputs,
                              thread->output_count, &thread->error);
        thread->done += status == HD_OK;
    }
    return status;
}

static void run_thread(void *context)
{
    hd_load_thread *thread = context;
    const hd_batch_load *load = thread->load;
    hd_status status = HD_OK;
    thread->began = hd_process_clock();
    double until = thread->began + load->seconds;
    do {
        status = load->batch != NULL ? run_round(thread) : run_directly(thread);
    } while (status == HD_OK && hd_process_clock() < until);
    for (uint32_t i = 0; load->batch != NULL && i < load->in_flight; i++) {
        hd_status last = finish(thread, i);
        status = status == HD_OK ? last : status;
    }
    thread->ended = hd_process_clock();
}

static hd_exit_code prepare_thread(const hd_batch_load *load, hd_load_thread *thread)
{
    uint32_t places = load->batch != NULL ? load->in_flight : 1;
    size_t count = hd_model_output_count(load->model);
    *thread = (hd_load_thread){.load = load,
                               .output_count = count,
                               .futures = calloc(places, sizeof(hd_future *)),
                               .outputs = hd_tensors_allocate(places * count)};
    return thread->futures == NULL || thread->outputs == NULL ? hd_failure_print_memory()
                                                              : EXIT_CODE_OK;
}

static void drop_thread(const hd_batch_load *load, hd_load_thread *thread)
{
    uint32_t places = load->batch != NULL ? load->in_flight : 1;
    hd_tensors_release(&thread->outputs, places * thread->output_count);
    free(thread->futures);
}

hd_exit_code hd_batch_load_run(const hd_batch_load *load, double *out_requests_per_s)
{
    hd_load_thread *threads = calloc(load->threads, sizeof *threads);
    hd_exit_code code = threads == NULL ? hd_failure_print_memory() : EXIT_CODE_OK;
    for (uint32_t i = 0; i < load->threads && code == EXIT_CODE_OK; i++) {
        code = prepare_thread(load, &threads[i]);
    }
    if (code == EXIT_CODE_OK) {
        code = hd_process_run_threads(load->threads, run_thread, threads, sizeof *threads);
    }
    double began = 0, ended = 0;
    uint64_t done = 0;
    for (uint32_t i = 0; i < load->threads && code == EXIT_CODE_OK; i++) {
        began = i == 0 || threads[i].began < began ? threads[i].began : began;
        ended = threads[i].ended > ended ? threads[i].ended : ended;
        done += threads[i].done;
        if (threads[i].error.status != HD_OK) {
            code = hd_failure_print_error(&threads[i].error);
        }
    }
    *out_requests_per_s = code == EXIT_CODE_OK ? (double)done / (ended - began) : 0;
    for (uint32_t i = 0; threads != NULL && i < load->threads; i++) {
        drop_thread(load, &threads[i]);
    }
    free(threads);
    return code;
}
