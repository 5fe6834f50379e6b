/* Batch: a bounded queue of requests for one model, in front of workers that stack compatible requests
 * along dimension 0, run the model once, and hand each caller its rows, with the bits that a run alone
 * would give (BITS). Offered for models whose plans prove that rows do not depend on one another.
 *
 * Compatible are requests for the same outputs whose input shapes agree in all dimensions but the first.
 * Up to 1,024 such kinds are remembered; a request of a further one is run by itself. Requests that cannot
 * be run as one are run one by one, so each has its own outcome.
 * Law: submitted = ended + pending.
 *
 * Thread-safety: any thread, all functions at once; hd_batch_destroy is for the last user of the handle. */
#ifndef HEDDLE_BATCH_H
#define HEDDLE_BATCH_H

#include "heddle/future.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hd_batch hd_batch;

/* Zero means the default; NULL means all defaults. */
typedef struct hd_batch_options {
    size_t struct_size;    /* sizeof(hd_batch_options) */
    uint32_t worker_count; /* threads that run batches; 0: 1 */
    uint32_t max_rows;     /* rows of a batch at most; 0: 8 */
    uint32_t max_delay_us; /* how long a worker waits for more requests than are there; 0: not at all */
    uint32_t capacity;     /* requests that wait at most; 0: 1,024 */
} hd_batch_options;

/* On success *out_batch is the caller's, to be given to hd_batch_destroy; on failure NULL. The batch keeps
 * its model. HD_UNSUPPORTED: the model's inputs or outputs cannot be stacked. HD_INVALID_ARGUMENT,
 * HD_OUT_OF_MEMORY, HD_CLOSED, HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_batch_create(hd_model *model, const hd_batch_options *options,
                                               hd_batch **out_batch, hd_error *error);

/* Adds a request of dims[0] rows, the same in every input; as hd_model_run_async says of tensors, future and
 * callback (the option `stream` is not used), but inputs that do not fit are refused at once. One with more
 * rows than max_rows is run by itself. When the queue is full, waits at most options->wait_ms, or refuses.
 * HD_EXHAUSTED: no place came. HD_UNSUPPORTED: rows of these shapes are not proven independent.
 * HD_INVALID_ARGUMENT, HD_OUT_OF_MEMORY, HD_CLOSED, HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_batch_submit(hd_batch *batch, const hd_tensor *inputs, size_t input_count,
                                               hd_tensor *outputs, size_t output_count,
                                               const hd_submit_options *options, hd_future **out_future,
                                               hd_error *error);

typedef enum hd_batch_shutdown_mode {
    HD_BATCH_DRAIN = 0, /* what waits is still run */
    HD_BATCH_CANCEL = 1 /* what waits ends as HD_CANCELLED; what runs is finished */
} hd_batch_shutdown_mode;

/* Refuses new requests with HD_CLOSED and waits at most timeout_ms (UINT32_MAX: until done) until every
 * request has ended. May be called again, also with the other mode. HD_NOT_YET: some had not; they go
 * on. HD_BUSY: called from one of the device's callbacks. */
HD_API HD_MUST_CHECK hd_status hd_batch_shutdown(hd_batch *batch, hd_batch_shutdown_mode mode,
                                                 uint32_t timeout_ms, hd_error *error);

/* Gives the handle back and sets *batch to NULL (NULL is allowed). Requests that wait end as HD_CANCELLED,
 * those that run are finished before the call returns. */
HD_API void hd_batch_destroy(hd_batch **batch);

typedef struct hd_batch_statistics {
    uint64_t submitted; /* requests taken in */
    uint64_t ended;     /* of them final; a worker notes it when it looks for the next batch */
    uint64_t pending;   /* of them waiting or running */
    uint64_t batches;   /* runs of the model */
    uint64_t rows;      /* rows in them */
} hd_batch_statistics;

HD_API HD_MUST_CHECK hd_status hd_batch_get_statistics(hd_batch *batch,
                                                       hd_batch_statistics *out_statistics);

#ifdef __cplusplus
}
#endif
#endif
