/* Cancel: a token that stops the blocking runs which were given it (hd_run_options), however many there are. It is
 * set once, and stays set: for the next run, make another.
 *
 * Thread-safety: any thread, all functions at once; hd_cancel_destroy is for the last user of the handle.
 * hd_cancel_set and hd_cancel_is_set may be called in a signal handler, too. None of them blocks. */
#ifndef HEDDLE_CANCEL_H
#define HEDDLE_CANCEL_H

#include <stdbool.h>

#include "heddle/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hd_cancel hd_cancel;

/* Makes a token that is not set. On success *out_cancel is the caller's, to be given to hd_cancel_destroy; on
 * failure NULL. It belongs to no device. HD_INVALID_ARGUMENT: out_cancel is NULL. HD_OUT_OF_MEMORY. */
HD_API HD_MUST_CHECK hd_status hd_cancel_create(hd_cancel **out_cancel, hd_error *error);

/* Stops the runs that have the token, and those that get it later: each returns HD_CANCELLED, or what it was about
 * to return. The call waits for none of them. cancel may be NULL. */
HD_API void hd_cancel_set(hd_cancel *cancel);

/* Whether it was set. */
HD_API bool hd_cancel_is_set(const hd_cancel *cancel);

/* Gives the handle back and sets *cancel to NULL (NULL is allowed). Runs that have the token keep it until they
 * return, and go on. */
HD_API void hd_cancel_destroy(hd_cancel **cancel);

#ifdef __cplusplus
}
#endif
#endif
