/* Batch: a bounded queue of requests for one model, in front of workers that stack compatible
 * requests along dimension 0, run the model once, and hand each caller its rows, with the bits that
 * a run alone would give (BITS). Offered for models whose plans prove that rows do not depend on
 * one another.
 *
 * Compatible are requests for the same outputs whose input shapes agree in all dimensions but the
 * first. Up to 1,024 such kinds are remembered; a request of a further one is run by itself.
 * Requests that cannot be run as one are run one by one, so each has its own outcome.
 * Law: submitted = ended + pending.
 *
 * A shutdown of the device (hd_device_shutdown) refuses new requests with HD_CLOSED; those that
 * wait by then are not lost: each ends, and its outcome is HD_CLOSED where its run had not begun.
 *
 * Thread-safety: any thread, all functions at once; hd_batch_destroy is for the last user of the
 * handle. Only hd_batch_submit, hd_batch_shutdown and hd_batch_destroy may block. In a forked
 * child all functions answer HD_FORKED, and hd_batch_destroy does nothing. */
#ifndef HEDDLE_BATCH_H
#define HEDDLE_BATCH_H

#include "heddle/future.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hd_batch hd_batch;

/* Zero means the default; NULL means all defaults. For callers that each wait for their own
 * result a good max_rows is about callers / workers: with more, a worker waits for rows that
 * cannot come. For MiniLM from 8 callers on 2 cores the best that was measured is 2 workers, 4
 * rows and a delay of 50 us. */
typedef struct hd_batch_options {
    size_t struct_size;    /* sizeof(hd_batch_options) */
    uint32_t worker_count; /* threads that run batches, at most 64; 0: 1 */
    uint32_t max_rows;     /* rows of a batch at most, at most 4,096; 0: 8 */
    /* how long a worker waits for more requests than are there; 0: not at all, as HD_NO_WAIT;
     * HD_WAIT_FOREVER: until a batch is full, another kind waits, or the batch or the device is
     * shut down */
    uint32_t max_delay_us;
    uint32_t capacity; /* requests that wait at most, at most 1,048,576; 0: 1,024 */
} hd_batch_options;

/* Starts a batch queue and its workers (fewer than asked for where the system has no more threads).
 * options: NULL or zeros for the defaults. On success *out_batch is the caller's, to be given to
 * hd_batch_destroy; on failure NULL. The batch keeps its model, whose handle may be destroyed
 * before it.
 * HD_UNSUPPORTED: the model's inputs cannot be stacked: there is none, a scalar, or one whose
 * first dimension is fixed. HD_INVALID_ARGUMENT: model or out_batch is NULL, or an option is too
 * large. HD_OUT_OF_MEMORY, HD_CLOSED, HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_batch_create(hd_model *model, const hd_batch_options *options,
                                               hd_batch **out_batch, hd_error *error);

/* Adds a request. inputs, outputs and what a NULL or empty output means are as for hd_model_run,
 * with dims[0], the number of rows, the same in every input; one with more rows than max_rows is
 * run by itself. Of options all but `stream` count (NULL: the defaults); priority: higher ones go
 * first, equals in their order.
 *
 * The array of inputs is read before the call returns. The inputs' data, the array of outputs and
 * its memory must stay until the future is final; memory that the library made for an output is
 * then the caller's (hd_tensor_release). A request that is cancelled or late while others of its batch are
 * computed changes nothing for them. On success *out_future is the caller's, to be given to
 * hd_future_destroy; out_future NULL: nobody asks, the callback tells. On failure it is NULL,
 * nothing was taken in, no callback comes, and outputs are as they were.
 *
 * When the queue is full, waits at most options->wait_ms, first come first served, or refuses.
 * HD_EXHAUSTED: no place came, or 1,024 callbacks are outstanding. HD_UNSUPPORTED: rows of these
 * shapes are not proven independent, or a tensor lies in the device's memory (hd_tensor.place). HD_INVALID_ARGUMENT: a tensor does not fit the model, or
 * the numbers of rows differ. HD_OUT_OF_MEMORY. HD_CLOSED: the batch or the device was shut
 * down. HD_FORKED. The outcome, told by future and callback: HD_OK, what the run of the model
 * failed with, HD_CANCELLED, HD_DEADLINE, HD_CLOSED. */
HD_API HD_MUST_CHECK hd_status hd_batch_submit(hd_batch *batch, const hd_tensor *inputs,
                                               size_t input_count, hd_tensor *outputs,
                                               size_t output_count,
                                               const hd_submit_options *options,
                                               hd_future **out_future, hd_error *error);

typedef enum hd_batch_shutdown_mode {
    HD_BATCH_DRAIN = 0, /* what waits is still run */
    HD_BATCH_CANCEL = 1 /* what waits ends as HD_CANCELLED; what runs is finished */
} hd_batch_shutdown_mode;

/* Refuses new requests with HD_CLOSED and waits at most timeout_ms milliseconds
 * (HD_WAIT_FOREVER: until done; 0: not at all) until every request has ended. The handle stays the caller's. May
 * be called again, also with the other mode, and from several threads. HD_NOT_YET: some had not
 * ended; they go on. HD_BUSY: called from one of the device's callbacks; nothing has changed.
 * HD_INVALID_ARGUMENT: batch is NULL, or there is no such mode. HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_batch_shutdown(hd_batch *batch, hd_batch_shutdown_mode mode,
                                                 uint32_t timeout_ms, hd_error *error);

/* Gives the handle back and sets *batch to NULL (NULL is allowed). Requests that wait end as
 * HD_CANCELLED, those that run are finished before the call returns, however long that takes;
 * their callbacks may still be to come. May be called from a callback, also from that of the
 * last request while the thread that submitted it is still inside hd_batch_submit. */
HD_API void hd_batch_destroy(hd_batch **batch);

/* Counts since hd_batch_create; the first three are of one moment. */
typedef struct hd_batch_statistics {
    size_t struct_size; /* sizeof(hd_batch_statistics), set by the caller */
    uint64_t submitted; /* requests taken in */
    uint64_t ended;     /* of them final; a worker notes it when it looks for the next batch */
    uint64_t pending;   /* of them waiting or running */
    uint64_t batches;   /* runs of the model, also of one request */
    uint64_t rows;      /* rows in them */
} hd_batch_statistics;

/* Writes the counts to *out_statistics, which stays as it was on failure. Works after a shutdown,
 * too.
 * HD_INVALID_ARGUMENT: an argument is NULL, or struct_size is not set. HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_batch_get_statistics(hd_batch *batch,
                                                       hd_batch_statistics *out_statistics);

#ifdef __cplusplus
}
#endif
#endif
