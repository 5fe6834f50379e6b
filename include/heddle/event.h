/* Event: a point in a stream's work. Streams and threads can wait for it, and two events tell the time
 * between them.
 *
 * Thread-safety: any thread, all functions at once; hd_event_destroy is for the last user of the handle.
 * What was recorded or waited for before goes on without the handle. */
#ifndef HEDDLE_EVENT_H
#define HEDDLE_EVENT_H

#include "heddle/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hd_event hd_event;

/* A new event, not recorded yet, of which all that follows say: it has happened.
 * On success *out_event is the caller's, to be given to hd_event_destroy; on failure NULL.
 * HD_OUT_OF_MEMORY, HD_CLOSED, HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_event_create(hd_device *device, hd_event **out_event, hd_error *error);

/* Gives the event back and sets *event to NULL (NULL is allowed). */
HD_API void hd_event_destroy(hd_event **event);

/* Marks the end of what was submitted to `stream` so far. Recording again moves the event; whoever
 * waits already still waits for the earlier point. Of two threads that record at once, either may be last. Waits for a place in the stream's queue at most
 * wait_ms (0: not at all). HD_INVALID_ARGUMENT, HD_EXHAUSTED, HD_OUT_OF_MEMORY, HD_CLOSED, HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_event_record(hd_event *event, hd_stream stream, uint32_t wait_ms,
                                               hd_error *error);

/* Makes what is submitted to `stream` from now on wait, on the device, for the point that the event marks
 * at this moment. Blocks the caller only for a place in the queue, at most wait_ms. The same statuses;
 * HD_INVALID_ARGUMENT also when event and stream are of different devices. */
HD_API HD_MUST_CHECK hd_status hd_event_wait_on_stream(hd_event *event, hd_stream stream,
                                                       uint32_t wait_ms, hd_error *error);

/* Blocks the caller until the point that the event marks at this moment is reached, at most timeout_ms
 * (UINT32_MAX: until then; 0: asks only). HD_NOT_YET. HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_event_wait(hd_event *event, uint32_t timeout_ms, hd_error *error);

/* Milliseconds between the moments when the device reached two events' last points; negative if `end`
 * was reached first. HD_NOT_YET: one has not happened. HD_INVALID_ARGUMENT: one was never recorded. */
HD_API HD_MUST_CHECK hd_status hd_event_elapsed(hd_event *start, hd_event *end, double *out_ms,
                                                hd_error *error);

#ifdef __cplusplus
}
#endif
#endif
