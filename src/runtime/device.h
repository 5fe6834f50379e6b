/* Device, inside: what all models on it share. */
#ifndef HD_RUNTIME_DEVICE_H
#define HD_RUNTIME_DEVICE_H

#include "hal/backend.h"
#include "heddle/device.h"
#include "runtime/memory_account.h"
#include "runtime/slot_pool.h"
#include "runtime/stream.h"

struct hd_device {
    _Atomic uint32_t reference_count;
    uint64_t serial; /* unique in the process: a thread's remembered slot names its device by it */
    hd_device_info info;
    uint32_t lease_wait_ms;
    hd_memory_account memory;
    const hd_backend *backend;
    hd_executor *executor;
    hd_slot_pool slots;
    hd_stream streams[HD_STREAM_COUNT]; /* entry i belongs to whoever leases slot i */
};

void hd_device_retain(hd_device *device);

/* Leases a stream for a run: HD_OK with *out_stream; HD_FORKED, HD_CLOSED, HD_EXHAUSTED. */
HD_MUST_CHECK hd_status hd_device_lease(hd_device *device, uint32_t *out_stream, hd_error *error) HD_WAITS;
void hd_device_return(hd_device *device, uint32_t stream);

#endif
