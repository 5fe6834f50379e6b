/* Event: a point in a stream's work. Streams and threads can wait for it, and two events tell the
 * time between them.
 *
 * Thread-safety: any thread, all functions at once; hd_event_destroy is for the last user of the
 * handle. What was recorded or waited for before goes on without the handle. In a forked child
 * all functions answer HD_FORKED, and hd_event_destroy does nothing. */
#ifndef HEDDLE_EVENT_H
#define HEDDLE_EVENT_H

#include "heddle/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hd_event hd_event;

/* A new event, not recorded yet, of which all that follows says: it has happened. Does not block.
 * On success *out_event is the caller's, to be given to hd_event_destroy; on failure NULL. The
 * event keeps the device. HD_INVALID_ARGUMENT: an argument is NULL. HD_OUT_OF_MEMORY, HD_CLOSED,
 * HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_event_create(hd_device *device, hd_event **out_event,
                                               hd_error *error);

/* Gives the event back and sets *event to NULL (NULL is allowed). Does not block: a mark in
 * flight, and who waits for it, go on. */
HD_API void hd_event_destroy(hd_event **event);

/* Marks the end of what was submitted to `stream` so far. Recording again moves the event;
 * whoever waits already still waits for the earlier point. Of two threads that record at once,
 * either may be last. Waits for a place in the stream's queue at most wait_ms milliseconds (0:
 * not at all; HD_WAIT_FOREVER: until one comes). On failure the event marks what it marked before.
 * HD_INVALID_ARGUMENT: event is NULL, or the stream is none of its device. HD_EXHAUSTED: no
 * place came. HD_OUT_OF_MEMORY, HD_CLOSED, HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_event_record(hd_event *event, hd_stream stream, uint32_t wait_ms,
                                               hd_error *error);

/* Makes what is submitted to `stream` from now on wait, on the device, for the point that the
 * event marks at this moment; nothing where it was never recorded. Blocks the caller only for a
 * place in the queue, at most wait_ms milliseconds (as hd_event_record). On failure nothing was
 * submitted. The event may be recorded again or destroyed while the stream waits.
 * HD_INVALID_ARGUMENT: event is NULL, or the stream is none of its device. HD_EXHAUSTED,
 * HD_OUT_OF_MEMORY, HD_CLOSED, HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_event_wait_on_stream(hd_event *event, hd_stream stream,
                                                       uint32_t wait_ms, hd_error *error);

/* Blocks the caller until the point that the event marks at this moment is reached, at most
 * timeout_ms milliseconds (HD_WAIT_FOREVER: until then; 0: asks only). What was done on the stream
 * before the point is visible to the caller then. HD_OK, at once, also where it was never
 * recorded. HD_NOT_YET: not reached in time; the event stays as it is. HD_INVALID_ARGUMENT:
 * event is NULL. HD_FORKED. Works after hd_device_shutdown, too. */
HD_API HD_MUST_CHECK hd_status hd_event_wait(hd_event *event, uint32_t timeout_ms, hd_error *error);

/* Writes the milliseconds between the moments when the device reached two events' last points to
 * *out_ms: negative if `end` was reached first. On failure *out_ms stays as it was. Does not
 * block. HD_NOT_YET: one has not happened. HD_INVALID_ARGUMENT: one was never recorded, or an
 * argument is NULL. HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_event_elapsed(hd_event *start, hd_event *end, double *out_ms,
                                                hd_error *error);

#ifdef __cplusplus
}
#endif
#endif
