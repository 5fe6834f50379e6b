#include "runtime/device.h"

#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"

#define LEASE_WAIT_MS 60000

static _Atomic uint64_t device_serial = 1;

/* The slot that this thread had last. A memory of a closed device names a serial that no device has
 * any more. */
static _Thread_local struct {
    uint64_t serial;
    uint32_t slot;
} remembered;

void hd_device_retain(hd_device *device)
{
    hd_add_relaxed(&device->reference_count, 1);
}

hd_status hd_device_list(hd_device_info *infos, size_t capacity, size_t *out_count, hd_error *error)
{
    if (out_count == NULL || (infos == NULL && capacity > 0)) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "infos or out_count is NULL");
    }
    if (capacity > 0) {
        hd_backend_cpu.describe(&infos[0]);
    }
    *out_count = 1;
    return HD_OK;
}

hd_status hd_device_open(const char *name, const hd_device_options *options, hd_device **out_device,
                         hd_error *error)
{
    if (out_device == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "out_device is NULL");
    }
    *out_device = NULL;
    hd_device_options given = {0};
    if (options != NULL) {
        if (options->struct_size == 0 || options->struct_size > sizeof given) {
            return hd_fail(error, HD_INVALID_ARGUMENT, "hd_device_options.struct_size is %zu, not %zu",
                           options->struct_size, sizeof given);
        }
        memcpy(&given, options, options->struct_size);
    }
    const hd_backend *backend;
    hd_status status = hd_backend_find(name, &backend, error);
    if (status != HD_OK) {
        return status;
    }
    hd_thread_note_process();
    if (hd_thread_is_forked()) {
        return hd_fail(error, HD_FORKED, "the process was forked after a device was opened");
    }
    hd_device *device = hd_alloc_aligned(sizeof *device);
    if (device == NULL) {
        goto fail;
    }
    memset(device, 0, sizeof *device);
    atomic_init(&device->reference_count, 1);
    device->serial = hd_add_relaxed(&device_serial, 1);
    device->backend = backend;
    backend->describe(&device->info);
    if (given.thread_count != 0) {
        device->info.core_count = given.thread_count;
    }
    device->lease_wait_ms = given.lease_wait_ms == 0 ? LEASE_WAIT_MS : given.lease_wait_ms;
    device->memory.limit = given.memory_limit;
    if (hd_slot_pool_init(&device->slots) != HD_OK) {
        goto fail;
    }
    if (hd_turnstile_init(&device->turns, device->info.core_count) != HD_OK) {
        goto fail_slots;
    }
    if (backend->executor_create(device->info.core_count, &device->executor) != HD_OK) {
        hd_turnstile_destroy(&device->turns);
        goto fail_slots;
    }
    *out_device = device;
    return HD_OK;
fail_slots:
    hd_slot_pool_destroy(&device->slots);
fail:
    hd_free(device);
    return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a device");
}

void hd_device_destroy(hd_device **device)
{
    if (device == NULL || *device == NULL) {
        return;
    }
    hd_device *dead = *device;
    *device = NULL;
    /* acq_rel: the last one sees all that the others did. */
    if (hd_sub_acq_rel(&dead->reference_count, 1) != 1) {
        return;
    }
    if (hd_thread_is_forked()) {
        return; /* its workers live in the parent only; its memory goes with this process */
    }
    dead->backend->executor_destroy(&dead->executor);
    for (size_t i = 0; i < HD_STREAM_COUNT; i++) {
        hd_workspace_clear(&dead->workspaces[i], &dead->memory);
    }
    hd_turnstile_destroy(&dead->turns);
    hd_slot_pool_destroy(&dead->slots);
    hd_free(dead);
}

hd_status hd_device_shutdown(hd_device *device, uint32_t timeout_ms, hd_error *error)
{
    if (device == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "device is NULL");
    }
    if (hd_thread_is_forked()) {
        return hd_fail(error, HD_FORKED, "the process was forked after the device was opened");
    }
    /* The last run and the last handle may go while this thread still waits (SAFE). */
    hd_device_retain(device);
    hd_status status = hd_slot_pool_close(&device->slots, hd_clock_after_ms(timeout_ms));
    hd_device_destroy(&device);
    if (status != HD_OK) {
        return hd_fail(error, HD_NOT_YET, "runs are still in flight after %u ms", timeout_ms);
    }
    return HD_OK;
}

hd_status hd_device_get_info(const hd_device *device, hd_device_info *out_info)
{
    if (device == NULL || out_info == NULL) {
        return HD_INVALID_ARGUMENT;
    }
    *out_info = device->info;
    return HD_OK;
}

hd_status hd_device_get_memory(const hd_device *device, hd_memory_info *out_info)
{
    if (device == NULL || out_info == NULL) {
        return HD_INVALID_ARGUMENT;
    }
    const hd_memory_account *account = &device->memory;
    *out_info = (hd_memory_info){.limit_bytes = account->limit,
                                 .weight_bytes = hd_load_relaxed(&account->kinds[HD_MEMORY_WEIGHTS]),
                                 .arena_bytes = hd_load_relaxed(&account->kinds[HD_MEMORY_ARENAS]),
                                 .plan_bytes = hd_load_relaxed(&account->kinds[HD_MEMORY_PLANS])};
    return HD_OK;
}

hd_status hd_device_check_open(hd_device *device, hd_error *error)
{
    if (hd_thread_is_forked()) {
        return hd_fail(error, HD_FORKED, "the process was forked after the device was opened");
    }
    return hd_slot_pool_is_closed(&device->slots) ? hd_fail(error, HD_CLOSED, "the device was shut down") : HD_OK;
}

hd_status hd_device_lease(hd_device *device, bool takes_turns, hd_lease *out_lease, hd_error *error)
{
    if (hd_thread_is_forked()) {
        return hd_fail(error, HD_FORKED, "the process was forked after the device was opened");
    }
    *out_lease = (hd_lease){.takes_turns = takes_turns};
    uint32_t hint = remembered.serial == device->serial ? remembered.slot : HD_SLOT_NONE;
    uint64_t deadline = 0;
    hd_status status = HD_OK;
    if (takes_turns) {
        /* Those who take turns share the few arenas that are warm already. */
        hint = HD_SLOT_LOWEST;
        deadline = hd_clock_after_ms(device->lease_wait_ms);
        status = hd_turnstile_enter(&device->turns, deadline);
    }
    /* The time limit is computed only if the fast way fails: reading the clock costs as much. */
    if (status == HD_OK) {
        status = hd_slot_pool_lease(&device->slots, hint, 0, &out_lease->stream);
        if (status == HD_EXHAUSTED) {
            deadline = deadline == 0 ? hd_clock_after_ms(device->lease_wait_ms) : deadline;
            status = hd_slot_pool_lease(&device->slots, hint, deadline, &out_lease->stream);
        }
        if (status != HD_OK && takes_turns) {
            hd_turnstile_leave(&device->turns);
        }
    }
    if (status == HD_EXHAUSTED) {
        return hd_fail(error, status, "no stream came free within %u ms", device->lease_wait_ms);
    }
    if (status != HD_OK) {
        return hd_fail(error, status, "the device was shut down");
    }
    remembered.serial = device->serial;
    remembered.slot = out_lease->stream;
    return HD_OK;
}

void hd_device_return(hd_device *device, const hd_lease *lease)
{
    hd_slot_pool_return(&device->slots, lease->stream);
    if (lease->takes_turns) {
        hd_turnstile_leave(&device->turns);
    }
}
