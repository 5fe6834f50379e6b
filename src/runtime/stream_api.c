/* The public functions of streams. */
#include "base/clock.h"
#include "runtime/device.h"

hd_status hd_stream_acquire(hd_device *device, uint32_t wait_ms, hd_stream *out_stream,
                            hd_error *error)
{
    if (device == NULL || out_stream == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "device or out_stream is NULL");
    }
    out_stream->value = 0;
    hd_status status = hd_device_check_open(device, error);
    if (status != HD_OK) {
        return status;
    }
    uint32_t slot, generation;
    wait_ms = hd_wait_of_argument(wait_ms);
    uint64_t deadline = hd_clock_after_ms(wait_ms), serial = device->serial;
    hd_device_retain(device); /* the last run may end the device while this thread waits */
    status = hd_slot_pool_lease(&device->slots, HD_SLOT_NONE, deadline, &slot);
    if (status == HD_OK) {
        status = hd_stream_begin(&device->streams[slot], &generation);
        if (status != HD_OK) {
            hd_slot_pool_return(&device->slots, slot);
        }
    }
    hd_device_destroy(&device);
    if (status == HD_EXHAUSTED) {
        return hd_fail(error, status, "no stream came free within %u ms", wait_ms);
    }
    if (status != HD_OK) {
        return hd_device_fail_stream(status, error);
    }
    /* serial's lower half | generation (27 bits) | slot (5 bits); hd_device_find_stream takes it apart. */
    out_stream->value = serial << 32 | (uint64_t)generation * HD_STREAM_COUNT | slot;
    return HD_OK;
}

hd_status hd_stream_release(hd_device *device, hd_stream stream, hd_error *error)
{
    hd_stream_ref ref;
    hd_status status = hd_device_find_stream(device, stream, &ref, error);
    return status != HD_OK ? status : hd_device_fail_stream(hd_stream_end(&ref), error);
}

hd_status hd_stream_synchronize(hd_device *device, hd_stream stream, uint32_t timeout_ms,
                                hd_error *error)
{
    hd_stream_ref ref;
    hd_status status = hd_device_find_stream(device, stream, &ref, error);
    if (status == HD_OK) {
        status = hd_device_fail_stream(hd_stream_check(&ref), error);
    }
    if (status != HD_OK) {
        return status;
    }
    hd_timeline *timeline = &ref.stream->timeline;
    timeout_ms = hd_wait_of_argument(timeout_ms);
    uint64_t deadline = hd_clock_after_ms(timeout_ms);
    hd_device_retain(device); /* the last run may end the device while this thread waits */
    status = hd_timeline_wait(timeline, hd_timeline_submitted(timeline), deadline);
    hd_device_destroy(&device);
    if (status != HD_OK) {
        return hd_fail(error, HD_NOT_YET, "the stream has work in flight after %u ms", timeout_ms);
    }
    return HD_OK;
}
