/* Batch stack: one worker's memory for stacked requests, and the run of them.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_GRAPH_BATCH_STACK_H
#define HD_GRAPH_BATCH_STACK_H

#include "graph/batch_kind.h"
#include "runtime/batch_queue.h"
#include "runtime/future.h"

/* A request as a batch's callers submit it; lies behind its future, and is freed with it. */
typedef struct hd_batch_entry {
    hd_batch_request request; /* first */
    hd_future *future;
    hd_batch_kind *kind;
    hd_tensor *outputs; /* the caller's array */
    size_t output_count;
    void *pointers
        []; /* data of each model input; then the caller's tensor of each model output or NULL */
} hd_batch_entry;

typedef struct hd_batch_stack {
    hd_model *model;    /* the batch's */
    hd_tensor *tensors; /* model inputs, then the wanted outputs */
    void **
        buffers; /* of each model input and output, NULL at first; they grow, and are kept (FLAT) */
    size_t *capacities; /* bytes of each */
    void **placed;      /* scratch: where the rows of each output go */
    size_t placed_size; /* bytes of them that the library allocated and still counts */
    hd_region region;   /* holds these arrays */
} hd_batch_stack;

/* HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_batch_stack_init(hd_batch_stack *stack, hd_model *model);
void hd_batch_stack_clear(hd_batch_stack *stack);

/* Runs a request, which holds its caller's memory, by itself, and writes its outputs' structs if its outcome is
 * HD_OK. */
HD_MUST_CHECK hd_status hd_batch_stack_run_alone(hd_batch_stack *stack, const hd_batch_entry *entry,
                                                 hd_error *error);

/* Makes room for the inputs of requests of one kind, behind one another. False: out of memory. */
bool hd_batch_stack_prepare(hd_batch_stack *stack, const hd_batch_kind *kind, uint32_t rows);

/* Copies there those of one, which holds its caller's memory, the first row being number `row`: all, unless it was
 * cancelled meanwhile. */
void hd_batch_stack_put(hd_batch_stack *stack, const hd_batch_entry *entry, uint32_t row);

/* Runs what was copied, without handing anything out. False: it could not be done, or `stop` says to end; nothing
 * that a caller sees has changed, and each request may be run alone. */
bool hd_batch_stack_run(hd_batch_stack *stack, hd_batch_kind *kind, uint32_t rows,
                        const hd_stop *stop);

/* After hd_batch_stack_run: gives a request, which holds its caller's memory, its rows, the first being number
 * `row`; as hd_model_run says of outputs. Writes them only where it could fix the outcome HD_OK. */
HD_MUST_CHECK hd_status hd_batch_stack_hand_out(hd_batch_stack *stack, const hd_batch_entry *entry,
                                                uint32_t row, hd_error *error);

#endif
