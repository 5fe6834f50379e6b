/* Future: a request that goes on without its caller, and ends exactly once (ONCE): ok, with an
 * error, cancelled, or past its deadline.
 *
 * A future has an outcome and is final. Cancelling, or the deadline, fix the outcome at once. The future
 * is final only when the device is done with the caller's memory (REUSE); until then inputs and outputs
 * belong to the request. Work that has not begun is skipped, so its future is final with its outcome; what
 * went before it in its stream goes on.
 *
 * Output structs are written only where the outcome is HD_OK. After any other outcome they are as they were,
 * and nothing is left to free; what the caller's own memory holds may have changed.
 *
 * Thread-safety: any thread, all functions at once; hd_future_destroy is for the last user of
 * the handle. In a forked child all functions answer HD_FORKED, and hd_future_destroy does
 * nothing. */
#ifndef HEDDLE_FUTURE_H
#define HEDDLE_FUTURE_H

#include "heddle/model.h"
#include "heddle/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hd_future hd_future;

/* Called once when the future is final, on the device's callback thread, under no lock. It may
 * call any function of the library (those that shut something down answer HD_BUSY); while it
 * waits, later callbacks wait, too, and nothing else does. It must return (no pthread_exit, no longjmp out of it).
 * If it forks, the child ends by _exit(0) when the callback returns there. Its thread blocks all signals but
 * SIGSEGV, SIGBUS, SIGFPE and SIGILL. `context` is that of
 * hd_submit_options; `error` is valid during the call and NULL when the outcome is HD_OK. */
typedef void hd_future_callback(void *context, hd_status outcome, const hd_error *error);

/* Zero means the default; NULL means all defaults. */
typedef struct hd_submit_options {
    size_t struct_size; /* sizeof(hd_submit_options) */
    hd_stream stream;   /* hd_model_run_async: the order that the run is part of */
    /* how long to wait for a place in a full queue; 0: 60,000; HD_NO_WAIT: refuse;
     * HD_WAIT_FOREVER (heddle/wait.h) */
    uint32_t wait_ms;
    /* from the call on; 0: none, as HD_WAIT_FOREVER; HD_NO_WAIT: passed already */
    uint32_t deadline_ms;
    int32_t priority; /* batch queue: higher ones go first */
    hd_future_callback *callback;
    void *context; /* for the callback; must live until it was called */
} hd_submit_options;

/* Runs a model in the stream's order and returns at once, except where the stream's queue is full:
 * then it waits for a place, as the options say. On a device with memory of its own the calling thread may hand the run
 * over to the device itself, where that has taken less than 0.1 ms before. inputs and outputs are as for hd_model_run; the
 * array of inputs is copied, the array of outputs and all data must stay until the future is final.
 * On success *out_future is the caller's, to be given to hd_future_destroy; out_future NULL: nobody
 * asks, the callback tells. On failure it is NULL, nothing was submitted, and no callback comes.
 * HD_EXHAUSTED: the stream's queue, or the device's list of callbacks (1,024), was full.
 * HD_INVALID_ARGUMENT: an argument is NULL, struct_size is not known, or the stream is none of
 * the device. HD_OUT_OF_MEMORY, HD_CLOSED, HD_FORKED. What is wrong with the tensors is the
 * future's outcome. */
HD_API HD_MUST_CHECK hd_status hd_model_run_async(hd_model *model, const hd_tensor *inputs,
                                                  size_t input_count, hd_tensor *outputs,
                                                  size_t output_count,
                                                  const hd_submit_options *options,
                                                  hd_future **out_future, hd_error *error);

/* Waits until the future is final, at most timeout_ms milliseconds (HD_WAIT_FOREVER: until then;
 * 0: asks only), and returns its outcome: HD_OK, HD_CANCELLED, HD_DEADLINE or what failed, with the
 * message. Outputs are visible to the caller then, and the future stays the caller's.
 * HD_NOT_YET: it is not final yet and stays as it is. May be called again, and by several
 * threads. HD_INVALID_ARGUMENT: future is NULL. HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_future_wait(hd_future *future, uint32_t timeout_ms,
                                              hd_error *error);

/* Asks for the outcome HD_CANCELLED, and returns the outcome that stands: HD_CANCELLED, or the
 * one that was fixed before. Does not block; the future becomes final as said above.
 * HD_INVALID_ARGUMENT: future is NULL. HD_FORKED. */
HD_API hd_status hd_future_cancel(hd_future *future);

/* Gives the handle back and sets *future to NULL (NULL is allowed). Does not block: a request
 * that is not final goes on without it (detached), callback included. */
HD_API void hd_future_destroy(hd_future **future);

#ifdef __cplusplus
}
#endif
#endif
