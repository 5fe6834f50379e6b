/* The public functions of memory. */
#include "base/clock.h"
#include "base/sized.h"
#include "base/thread.h"
#include "heddle/memory.h"
#include "runtime/device.h"

static hd_status refuse_device(const hd_device *device, hd_error *error)
{
    if (device == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "device is NULL");
    }
    if (hd_thread_is_forked()) {
        return hd_fail(error, HD_FORKED, "the process was forked after the device was opened");
    }
    return HD_OK;
}

static hd_status fail_foreign(const void *memory, hd_error *error)
{
    return hd_fail(error, HD_INVALID_ARGUMENT, "no block in use begins at %p on this device",
                   memory);
}

hd_status hd_memory_allocate(hd_device *device, hd_stream stream, size_t size, uint32_t wait_ms,
                             void **out_memory, hd_error *error)
{
    if (device == NULL || out_memory == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "device or out_memory is NULL");
    }
    *out_memory = NULL;
    hd_stream_ref ref;
    hd_status status = hd_device_find_stream(device, stream, &ref, error);
    if (status == HD_OK) {
        status = hd_device_fail_stream(hd_stream_check(&ref), error);
    }
    if (status != HD_OK) {
        return status;
    }
    wait_ms = hd_wait_of_argument(wait_ms);
    hd_device_retain(device); /* the last run may end the device while this thread waits */
    status =
        hd_allocator_allocate(device->allocator, ref.stream->number, size, 0, out_memory, error);
    if (status == HD_OUT_OF_MEMORY) {
        hd_reclaim_run(&device->reclaim, HD_LANE_COUNT);
        status =
            hd_allocator_allocate(device->allocator, ref.stream->number, size,
                                  wait_ms == 0 ? 0 : hd_clock_after_ms(wait_ms), out_memory, error);
    }
    hd_device_destroy(&device);
    return status;
}

hd_status hd_memory_free(hd_device *device, void *memory, hd_error *error)
{
    hd_status status = refuse_device(device, error);
    if (status != HD_OK || memory == NULL || hd_allocator_free(device->allocator, memory)) {
        return status;
    }
    return fail_foreign(memory, error);
}

hd_status hd_memory_record_stream(hd_device *device, void *memory, hd_stream stream,
                                  hd_error *error)
{
    hd_status status = refuse_device(device, error);
    hd_stream_ref ref;
    if (status == HD_OK) {
        status = hd_device_find_stream(device, stream, &ref, error);
    }
    if (status != HD_OK) {
        return status;
    }
    status = hd_stream_check(&ref);
    /* After a shutdown nothing is submitted any more, but what was may still use the block. */
    if (status != HD_OK && status != HD_CLOSED) {
        return hd_device_fail_stream(status, error);
    }
    if (!hd_allocator_record(device->allocator, memory, ref.stream->number)) {
        return fail_foreign(memory, error);
    }
    return HD_OK;
}

hd_status hd_memory_copy(hd_device *device, void *to, const void *from, size_t size,
                         hd_error *error)
{
    hd_status status = refuse_device(device, error);
    if (status != HD_OK || size == 0) {
        return status;
    }
    if (to == NULL || from == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "to or from is NULL");
    }
    status = hd_unit_copy(device->unit, to, from, size);
    return status == HD_OK ? HD_OK : hd_fail(error, status, "the device was lost");
}

hd_status hd_memory_trim(hd_device *device, hd_error *error)
{
    hd_status status = refuse_device(device, error);
    if (status == HD_OK) {
        hd_allocator_trim(device->allocator);
    }
    return status;
}

hd_status hd_memory_get_statistics(hd_device *device, hd_memory_statistics *out_statistics)
{
    if (out_statistics == NULL || !hd_sized_is_set(out_statistics)) {
        return HD_INVALID_ARGUMENT;
    }
    hd_status status = refuse_device(device, NULL);
    if (status == HD_OK) {
        hd_memory_statistics statistics;
        hd_allocator_get_statistics(device->allocator, &statistics);
        hd_sized_write(out_statistics, &statistics, sizeof statistics);
    }
    return status;
}
