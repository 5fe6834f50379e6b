/* Threads that run one model at once, each run on a stream of its own. In the mutant a run gives its
 * stream's slot back before it has computed, so that the next run finds the same arena. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "heddle/heddle.h"

/* More than there are slots: fewer would each come back to the slot that it remembers. */
#define THREADS 40
#define RUNS    40
#define SIZE    64

static hd_model *model;

static void *run_often(void *argument)
{
    (void)argument;
    static float x[SIZE * SIZE];
    float *y = malloc(sizeof x);
    hd_tensor input = {
        .dtype = HD_FLOAT32, .rank = 2, .dims = {SIZE, SIZE}, .data = x, .size = sizeof x};
    for (int i = 0; y != NULL && i < RUNS; i++) {
        hd_tensor output = {.data = y, .size = sizeof x};
        if (hd_model_run(model, &input, 1, &output, 1, NULL) != HD_OK) {
            break;
        }
    }
    free(y);
    return NULL;
}

/* Products and softmaxes in turn: each result lies in the arena until the next step has read it. */
static hd_status make_model(hd_device *device)
{
    static float weights[SIZE * SIZE];
    hd_graph *graph = NULL;
    hd_value x, w;
    int64_t dims[] = {SIZE, SIZE};
    hd_tensor weight = {.dtype = HD_FLOAT32,
                        .rank = 2,
                        .dims = {SIZE, SIZE},
                        .data = weights,
                        .size = sizeof weights};
    hd_status status = hd_graph_create(0, &graph, NULL);
    if (status == HD_OK) {
        status = hd_graph_add_input(graph, "x", HD_FLOAT32, 2, dims, &x, NULL);
    }
    if (status == HD_OK) {
        status = hd_graph_add_constant(graph, &weight, &w, NULL);
    }
    for (int i = 0; status == HD_OK && i < 6; i++) {
        hd_value operands[] = {x, w};
        status = hd_graph_add_node(graph, i % 2 == 0 ? "MatMul" : "Softmax", operands,
                                   i % 2 == 0 ? 2 : 1, NULL, 0, &x, 1, NULL);
    }
    if (status == HD_OK) {
        status = hd_graph_add_output(graph, "y", x, NULL);
    }
    if (status == HD_OK) {
        status = hd_model_create(device, graph, NULL, &model, NULL);
    }
    hd_graph_destroy(&graph);
    return status;
}

int main(void)
{
    hd_device_options options = {.struct_size = sizeof options, .thread_count = 1};
    hd_device *device;
    pthread_t threads[THREADS];
    if (hd_device_open("cpu", &options, &device, NULL) != HD_OK || make_model(device) != HD_OK) {
        fputs("no model\n", stderr);
        return 2;
    }
    for (size_t i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, run_often, NULL) != 0) {
            return 2;
        }
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    hd_model_destroy(&model);
    hd_device_destroy(&device);
    return 0;
}
