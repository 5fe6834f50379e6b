/* Batch load: threads that keep requests in flight through a batch queue, or call the model directly.
 *
 * Thread-safety: one load at a time. */
#ifndef HEDDLE_CLI_BATCH_LOAD_H
#define HEDDLE_CLI_BATCH_LOAD_H

#include "cli/failure.h"
#include "heddle/batch.h"

typedef struct hd_batch_load {
    hd_model *model;
    hd_batch *batch; /* NULL: each thread calls hd_model_run */
    const hd_tensor *inputs;
    size_t input_count;
    uint32_t threads;
    uint32_t in_flight; /* of each thread; not used without a batch */
    double seconds;
} hd_batch_load;

/* An empty model over floats [n, 1]: an Identity. */
hd_exit_code hd_batch_load_model(hd_device *device, hd_model **out_model);

/* Requests that ended, a second, from the first thread's begin to the last one's end. */
hd_exit_code hd_batch_load_run(const hd_batch_load *load, double *out_requests_per_s);

#endif
