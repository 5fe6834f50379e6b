/* Device, inside: what all models on it share. */
#ifndef HD_RUNTIME_DEVICE_H
#define HD_RUNTIME_DEVICE_H

#include "hal/backend.h"
#include "heddle/device.h"
#include "heddle/event.h"
#include "heddle/memory.h"
#include "runtime/allocator.h"
#include "runtime/device_queue.h"
#include "runtime/device_watcher.h"
#include "runtime/future.h"
#include "runtime/memory_account.h"
#include "runtime/reclaim.h"
#include "runtime/registry.h"
#include "runtime/slot_pool.h"
#include "runtime/stream.h"
#include "runtime/submission.h"
#include "runtime/workspace.h"

struct hd_device {
    _Atomic uint32_t reference_count;
    uint64_t serial; /* unique in the process: a thread's remembered slot names its device by it */
    hd_device_info info;
    uint32_t lease_wait_ms;
    hd_memory_account memory;
    const hd_backend *backend;
    uint32_t ordinal;
    hd_unit *unit;
    /* computes what the unit does not support; the unit itself where that is the host's */
    hd_unit *host;
    hd_queue *queues[HD_LANE_COUNT]; /* of the host, by lane */
    /* of the unit, where it is not the host; as many as info.queue_count */
    hd_device_queue hardware[HD_STREAM_COUNT];
    hd_device_watcher watcher;
    hd_runners *runners;
    hd_callbacks callbacks;
    hd_future_home future_home;
    hd_registry_entry registry_entry;
    hd_submission submission;
    hd_slot_pool slots;
    /* Long runs under way whose callers wait for them. relaxed: it only decides who computes the next. */
    _Atomic uint32_t long_runs;
    hd_stream_state streams[HD_STREAM_COUNT];
    hd_allocator *allocator;
    hd_reclaim reclaim;
    hd_workspace workspaces[HD_LANE_COUNT]; /* entry i belongs to whoever has lane i */
};

/* Who computes what is placed there. */
static inline hd_unit *hd_device_unit(const hd_device *device, hd_memory_place place)
{
    return place == HD_PLACE_DEVICE ? device->unit : device->host;
}

/* The hardware queue of a lane, where the unit is not the host. */
static inline hd_device_queue *hd_device_hardware(hd_device *device, uint32_t lane)
{
    return &device->hardware[lane % device->info.queue_count];
}

void hd_device_retain(hd_device *device);

/* The stream that a public handle means. HD_INVALID_ARGUMENT: none of this device. HD_FORKED. Whether the
 * handle is still good is asked when it is used. */
HD_MUST_CHECK hd_status hd_device_find_stream(hd_device *device, hd_stream handle,
                                              hd_stream_ref *out_ref, hd_error *error);

/* Makes sure that queues have somebody who does their work. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_device_start_runners(hd_device *device, hd_error *error) HD_WAITS;

/* The lane on which runner `runner` does a stream's work: its own, or the stream's where the unit is not the host. */
static inline uint32_t hd_device_runner_lane(const hd_device *device, const hd_flight *flight,
                                             uint32_t runner)
{
    return device->unit->is_host ? hd_lane_of_runner(runner)
                                 : hd_lane_of_flights(flight->work.stream->number);
}

/* Submits work to a stream (hd_submission_submit), with a sentence where that fails. */
HD_MUST_CHECK hd_status hd_device_submit(hd_device *device, const hd_stream_ref *ref,
                                         hd_stream_work *work, void (*record)(hd_stream_work *),
                                         uint64_t deadline, hd_error *error) HD_WAITS;

/* Says in a sentence what a status of the stream layer means. */
hd_status hd_device_fail_stream(hd_status status, hd_error *error);

/* A stream for one run. */
typedef struct hd_lease {
    uint32_t stream;
    bool is_long;
    bool is_crowded;   /* with so many long runs under way that every core has one of its own */
    bool is_delegated; /* with more of them than cores: a runner is to compute it */
} hd_lease;

/* Whether new work may begin: HD_OK, HD_FORKED, HD_CLOSED. */
HD_MUST_CHECK hd_status hd_device_check_open(hd_device *device, hd_error *error);

/* Leases a stream. is_long: the run will be long. stop (NULL: nothing) ends the wait for one.
 * HD_FORKED, HD_CLOSED, HD_EXHAUSTED, HD_CANCELLED, HD_DEADLINE. */
HD_MUST_CHECK hd_status hd_device_lease(hd_device *device, bool is_long, const hd_stop *stop,
                                        hd_lease *out_lease, hd_error *error) HD_WAITS;
/* Has a runner do the work of a lease that is_delegated, and waits until it is done. False: `stop` (NULL: nothing)
 * said to end before a runner had begun; nobody does it. */
HD_MUST_CHECK bool hd_device_delegate(hd_device *device, const hd_lease *lease, hd_work *work,
                                      const hd_stop *stop) HD_WAITS;
void hd_device_return(hd_device *device, const hd_lease *lease);

/* Public, and may wait: a thread that gives the last reference back joins the device's threads. */
void hd_device_destroy(hd_device **device) HD_WAITS;
HD_MUST_CHECK hd_status hd_device_shutdown(hd_device *device, uint32_t timeout_ms,
                                           hd_error *error) HD_WAITS;
HD_MUST_CHECK hd_status hd_stream_acquire(hd_device *device, uint32_t wait_ms,
                                          hd_stream *out_stream, hd_error *error) HD_WAITS;
HD_MUST_CHECK hd_status hd_stream_synchronize(hd_device *device, hd_stream stream,
                                              uint32_t timeout_ms, hd_error *error) HD_WAITS;
HD_MUST_CHECK hd_status hd_memory_allocate(hd_device *device, hd_stream stream, size_t size,
                                           uint32_t wait_ms, void **out_memory,
                                           hd_error *error) HD_WAITS;
HD_MUST_CHECK hd_status hd_event_record(hd_event *event, hd_stream stream, uint32_t wait_ms,
                                        hd_error *error) HD_WAITS;
HD_MUST_CHECK hd_status hd_event_wait_on_stream(hd_event *event, hd_stream stream, uint32_t wait_ms,
                                                hd_error *error) HD_WAITS;
HD_MUST_CHECK hd_status hd_event_wait(hd_event *event, uint32_t timeout_ms,
                                      hd_error *error) HD_WAITS;
void hd_event_destroy(hd_event **event) HD_WAITS;

#endif
