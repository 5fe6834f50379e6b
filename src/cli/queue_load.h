/* Queue load: threads that keep operations in flight, each on a stream of its own, and how many
 * operations a second come back. Operands lie in the device's memory. Every last result is compared with a blocking run's, bit by bit.
 *
 * Thread-safety: one load at a time. */
#ifndef HEDDLE_CLI_QUEUE_LOAD_H
#define HEDDLE_CLI_QUEUE_LOAD_H

#include "cli/arguments.h"
#include "cli/failure.h"
#include "heddle/model.h"

#define QUEUE_LOAD_THREADS 31 /* as many as a device has streams to acquire */

/* What an operation is. */
typedef enum hd_load_operation {
    LOAD_OPERATION_KERNEL, /* v = sin(v)·cos(v) + v on 65,536 floats, ten times over */
    LOAD_OPERATION_EMPTY   /* passes one float on */
} hd_load_operation;

/* The model of an operation. EXIT_CODE_DEVICE, EXIT_CODE_DEFECT with a sentence. */
hd_exit_code hd_queue_load_model(hd_device *device, hd_load_operation operation,
                                 hd_model **out_model);

typedef struct hd_queue_load {
    hd_device *device;
    hd_model *model; /* of hd_queue_load_model */
    hd_load_operation operation;
    uint32_t threads;
    uint32_t in_flight;  /* operations of a thread at once; 0: each is waited for (synchronous) */
    uint64_t operations; /* of a thread, at least */
    double seconds;      /* each thread goes on for so long, at least */
} hd_queue_load;

/* EXIT_CODE_USAGE with a sentence where there are more threads than streams. */
hd_exit_code hd_queue_load_check_threads(const hd_thread_list *threads);

/* EXIT_CODE_CHECK with a sentence: a result had other bits. */
hd_exit_code hd_queue_load_run(const hd_queue_load *load, double *out_ops_per_s);

#endif
