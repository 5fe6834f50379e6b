/* Stream: an order of work on a device. What is submitted to one stream is done in that order;
 * different streams run beside each other. A stream is a small value: all zero is the device's
 * default stream, which every thread shares; hd_stream_acquire gives streams of the caller's own.
 * Blocking runs (hd_model_run) need no stream: they take an idle one for the time of the run; while the program
 * holds all 31 they run one at a time, on memory that is kept for that.
 *
 * Thread-safety: any thread, all functions at once, also for one stream: the order is that in
 * which the calls take effect. A stream that was released, is another device's, or was never
 * acquired is refused with HD_INVALID_ARGUMENT; after hd_device_shutdown every stream is refused
 * with HD_CLOSED. In a forked child all functions answer HD_FORKED. */
#ifndef HEDDLE_STREAM_H
#define HEDDLE_STREAM_H

#include "heddle/device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hd_stream {
    uint64_t value; /* 0: the default stream; otherwise of no meaning to callers */
} hd_stream;

/* Takes one of the device's 31 streams for the caller, until hd_stream_release. Waits at most
 * wait_ms milliseconds for one (0: not at all; HD_WAIT_FOREVER: until one comes), first come
 * first served. On success *out_stream is the caller's, to be given back; on failure it is all zero,
 * which means the default stream.
 * A call that waits keeps the device, though its last handle is given back meanwhile.
 * HD_EXHAUSTED: none came. HD_INVALID_ARGUMENT: an argument is NULL. HD_CLOSED, also when the
 * device is shut down while the call waits. HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_stream_acquire(hd_device *device, uint32_t wait_ms,
                                                 hd_stream *out_stream, hd_error *error);

/* Gives a stream back. Does not block: work in flight goes on, and the stream gets a new owner
 * only when it is done. Events recorded on it, and blocks that were allocated for it, stay
 * valid. On failure nothing has changed. HD_INVALID_ARGUMENT: device is NULL, or the stream was
 * not acquired, or released before; the default stream cannot be released. HD_CLOSED: the
 * shutdown has taken it back. HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_stream_release(hd_device *device, hd_stream stream,
                                                 hd_error *error);

/* Waits until all that was submitted to the stream before this call is done, at most timeout_ms
 * milliseconds (HD_WAIT_FOREVER: until done; 0: asks only). What that work wrote is visible to the
 * caller then. A call that waits keeps the device, though its last handle is given back meanwhile.
 * HD_NOT_YET: some was not done; it goes on. HD_INVALID_ARGUMENT: device is NULL, or the stream
 * is none of it. HD_CLOSED, HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_stream_synchronize(hd_device *device, hd_stream stream,
                                                     uint32_t timeout_ms, hd_error *error);

#ifdef __cplusplus
}
#endif
#endif
