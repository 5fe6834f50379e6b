#include "runtime/device.h"

#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/sized.h"
#include "base/thread.h"

#define LEASE_WAIT_MS 60000
#define QUEUE_DEPTH   64

static _Atomic uint64_t device_serial = 1;

/* The slot that this thread had last. A memory of a closed device names a serial that no device has
 * any more. */
static _Thread_local struct {
    uint64_t serial;
    uint32_t slot;
    bool told_at_exit; /* forget_slot will be called */
} remembered;

/* The calling thread ends. It may use the library again (another destructor of the program's may), and is
 * then told once more. */
static void forget_slot(void)
{
    remembered.told_at_exit = false;
    if (!hd_thread_is_forked()) {
        hd_registry_forget_slot(remembered.serial, remembered.slot);
    }
    remembered.serial = 0;
}

static void remember_slot(const hd_device *device, uint32_t slot)
{
    remembered.serial = device->serial;
    remembered.slot = slot;
    if (!remembered.told_at_exit) {
        remembered.told_at_exit = true;
        hd_thread_call_at_exit(forget_slot);
    }
}

void hd_device_retain(hd_device *device)
{
    hd_add_relaxed(&device->reference_count, 1);
}

hd_status hd_device_list(hd_device_info *infos, size_t capacity, size_t *out_count, hd_error *error)
{
    if (out_count == NULL || (infos == NULL && capacity > 0)) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "infos or out_count is NULL");
    }
    if (hd_thread_is_forked()) {
        return hd_fail(error, HD_FORKED, "the process was forked while a device was open");
    }
    if (capacity > 0 && !hd_sized_is_set(infos)) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "infos[0].struct_size is %zu, not %zu",
                       infos[0].struct_size, sizeof *infos);
    }
    const hd_backend *host;
    uint32_t host_ordinal;
    hd_status status = hd_backend_find("cpu", &host, &host_ordinal, error);
    if (status != HD_OK) {
        return status;
    }
    size_t found = 0;
    for (size_t i = 0; hd_backend_at(i) != NULL; i++) {
        const hd_backend *backend = hd_backend_at(i);
        uint32_t count = backend->count();
        for (uint32_t ordinal = 0; ordinal < count; ordinal++, found++) {
            if (found < capacity) {
                hd_device_info info;
                backend->describe(ordinal, &info);
                /* the caller's structs may be longer */
                char *out = (char *)infos + found * infos->struct_size;
                memcpy(out, &infos->struct_size, sizeof infos->struct_size);
                hd_sized_write(out, &info, sizeof info);
            }
        }
    }
    *out_count = found;
    return HD_OK;
}

static void retain_owner(void *device)
{
    hd_device_retain(device);
}

static void release_owner(void *owner)
{
    hd_device *device = owner;
    hd_device_destroy(&device);
}

static void apply_options(hd_device *device, const hd_device_options *given)
{
    atomic_init(&device->reference_count, 1);
    device->serial = hd_add_relaxed(&device_serial, 1);
    device->backend->describe(device->ordinal, &device->info);
    if (given->thread_count != 0) {
        device->info.core_count = given->thread_count;
    }
    if (given->queue_count != 0 && given->queue_count < device->info.queue_count) {
        device->info.queue_count = given->queue_count;
    }
    device->lease_wait_ms = hd_wait_of_option(given->lease_wait_ms, LEASE_WAIT_MS);
    hd_memory_account_init(&device->memory, given->memory_limit);
    device->future_home = (hd_future_home){.callbacks = &device->callbacks,
                                           .owner = device,
                                           .retain = retain_owner,
                                           .release = release_owner};
    device->registry_entry = (hd_registry_entry){.serial = device->serial, .slots = &device->slots};
}

static void destroy_streams(hd_device *device, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        hd_stream_destroy(&device->streams[i]);
    }
}

static hd_status init_streams(hd_device *device, uint32_t depth)
{
    for (uint32_t i = 0; i < HD_STREAM_COUNT; i++) {
        hd_stream_state *stream = &device->streams[i];
        stream->number = i;
        stream->queue_number = i % device->info.queue_count;
        stream->depth = depth == 0 ? QUEUE_DEPTH : depth;
        stream->runners = device->runners;
        stream->slots = &device->slots;
        if (hd_stream_init(stream) != HD_OK) {
            destroy_streams(device, i);
            return HD_OUT_OF_MEMORY;
        }
    }
    return HD_OK;
}

static hd_status create_allocator(hd_device *device)
{
    hd_timeline *timelines[HD_STREAM_COUNT];
    for (uint32_t i = 0; i < HD_STREAM_COUNT; i++) {
        timelines[i] = &device->streams[i].timeline;
    }
    return hd_allocator_create(timelines, device->unit, &device->memory, &device->allocator);
}

static void close_units(hd_device *device)
{
    for (uint32_t i = 0; i < HD_STREAM_COUNT; i++) {
        hd_device_queue_destroy(&device->hardware[i]);
    }
    for (uint32_t i = 0; i < HD_LANE_COUNT && device->host != NULL; i++) {
        hd_queue_destroy(device->host, &device->queues[i]);
    }
    if (device->host != device->unit) {
        hd_unit_close(&device->host);
    }
    hd_unit_close(&device->unit);
}

/* The device, and the host beside it where it is another. */
static hd_status open_units(hd_device *device, hd_precision precision, hd_error *error)
{
    hd_unit_options options = {.thread_count = device->info.core_count,
                               .half = precision == HD_PRECISION_FLOAT16    ? HD_FLOAT16
                                       : precision == HD_PRECISION_BFLOAT16 ? HD_BFLOAT16
                                                                            : HD_DTYPE_NONE};
    hd_status status = device->backend->open(device->ordinal, &options, &device->unit, error);
    if (status != HD_OK) {
        return status;
    }
    if (precision == HD_PRECISION_TF32 || device->unit->half != options.half) {
        hd_unit_close(&device->unit);
        return hd_fail(error, HD_UNSUPPORTED, "device '%s' has no kernels for this precision",
                       device->info.name);
    }
    if (device->unit->is_host) {
        device->host = device->unit;
    } else {
        options.thread_count = hd_thread_core_count();
        status = hd_backend_host()->open(0, &options, &device->host, error);
        for (uint32_t i = 0; i < device->info.queue_count && status == HD_OK; i++) {
            status = hd_device_queue_init(&device->hardware[i], device->unit, i);
        }
    }
    for (uint32_t i = 0; i < HD_LANE_COUNT && status == HD_OK; i++) {
        status = device->host->backend->queues->create(device->host, i, &device->queues[i]);
    }
    if (status != HD_OK) {
        close_units(device);
        return hd_fail(error, status, "the device's queues could not be made");
    }
    return HD_OK;
}

static hd_status init_parts(hd_device *device, const hd_device_options *given, hd_error *error)
{
    hd_status status = open_units(device, given->precision, error);
    if (status != HD_OK) {
        return status;
    }
    device->future_home.spins = !device->unit->is_host;
    /* Where the device computes, a runner waits for runs that the host has a part in. */
    uint32_t runners = device->unit->is_host ? device->info.core_count : HD_RUNNER_LIMIT / 2;
    if (hd_slot_pool_init(&device->slots) != HD_OK) {
        goto fail_unit;
    }
    if (hd_submission_init(&device->submission, given->sync_strategy) != HD_OK) {
        goto fail_slots;
    }
    if (hd_callbacks_init(&device->callbacks) != HD_OK) {
        goto fail_submission;
    }
    if (hd_runners_create(runners, device->info.queue_count, &device->runners) != HD_OK) {
        goto fail_callbacks;
    }
    if (init_streams(device, given->queue_depth) != HD_OK) {
        goto fail_runners;
    }
    if (create_allocator(device) != HD_OK) {
        goto fail_streams;
    }
    device->reclaim = (hd_reclaim){.slots = &device->slots,
                                   .workspaces = device->workspaces,
                                   .unit = device->unit,
                                   .account = &device->memory,
                                   .allocator = device->allocator};
    if (hd_reclaim_init(&device->reclaim) != HD_OK) {
        goto fail_allocator;
    }
    device->watcher = (hd_device_watcher){.queues = device->unit->is_host ? NULL : device->hardware,
                                          .queue_count = device->info.queue_count,
                                          .unit = device->unit,
                                          .account = &device->memory,
                                          .workspaces = device->workspaces,
                                          .reclaim = &device->reclaim};
    if (hd_device_watcher_init(&device->watcher) != HD_OK) {
        goto fail_reclaim;
    }
    return HD_OK;
fail_reclaim:
    hd_reclaim_destroy(&device->reclaim);
fail_allocator:
    hd_allocator_destroy(&device->allocator);
fail_streams:
    destroy_streams(device, HD_STREAM_COUNT);
fail_runners:
    hd_runners_destroy(&device->runners);
fail_callbacks:
    hd_callbacks_destroy(&device->callbacks);
fail_submission:
    hd_submission_destroy(&device->submission);
fail_slots:
    hd_slot_pool_destroy(&device->slots);
fail_unit:
    close_units(device);
    return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a device");
}

static hd_status open_device(const hd_backend *backend, uint32_t ordinal,
                             const hd_device_options *given, hd_device **out_device,
                             hd_error *error)
{
    hd_device *device = hd_alloc_aligned(sizeof *device);
    if (device == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a device");
    }
    memset(device, 0, sizeof *device);
    device->backend = backend;
    device->ordinal = ordinal;
    apply_options(device, given);
    hd_process_begin_use(hd_registry_restart);
    hd_status status = init_parts(device, given, error);
    if (status != HD_OK) {
        hd_free(device);
        hd_process_begin_end();
        hd_process_end_use();
        return status;
    }
    hd_registry_add(&device->registry_entry);
    *out_device = device;
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
            return hd_fail(error, HD_INVALID_ARGUMENT,
                           "hd_device_options.struct_size is %zu, not %zu", options->struct_size,
                           sizeof given);
        }
        memcpy(&given, options, options->struct_size);
    }
    if (given.sync_strategy != HD_SYNC_PER_ENCODER && given.sync_strategy != HD_SYNC_GLOBAL) {
        return hd_fail(error, HD_INVALID_ARGUMENT,
                       "hd_device_options.sync_strategy: there is no %d", (int)given.sync_strategy);
    }
    if ((unsigned)given.precision > HD_PRECISION_BFLOAT16) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "hd_device_options.precision: there is no %d",
                       (int)given.precision);
    }
    const hd_backend *backend;
    uint32_t ordinal;
    hd_status status = hd_backend_find(name, &backend, &ordinal, error);
    if (status != HD_OK) {
        return status;
    }
    if (hd_thread_is_forked()) {
        return hd_fail(error, HD_FORKED, "the process was forked while a device was open");
    }
    hd_error first = {0};
    status = open_device(backend, ordinal, &given, out_device, &first);
    if (status == HD_UNAVAILABLE && hd_backend_is_auto(name) && backend != hd_backend_host()) {
        return open_device(hd_backend_host(), 0, &given, out_device, error);
    }
    if (status != HD_OK && error != NULL) {
        *error = first;
    }
    return status;
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
    hd_process_begin_end();
    HD_CHECK("ONCE.long-runs", hd_load_relaxed(&dead->long_runs) == 0);
    hd_registry_remove(&dead->registry_entry);
    /* A runner, the watcher or the callback thread may be the one that calls this: it had the last reference. */
    hd_runners_destroy(&dead->runners);
    hd_device_watcher_destroy(&dead->watcher);
    hd_callbacks_destroy(&dead->callbacks);
    hd_reclaim_destroy(&dead->reclaim);
    hd_allocator_destroy(&dead->allocator);
    destroy_streams(dead, HD_STREAM_COUNT);
    for (size_t i = 0; i < HD_LANE_COUNT; i++) {
        hd_workspace_clear(&dead->workspaces[i], dead->unit, &dead->memory);
    }
    close_units(dead);
    hd_submission_destroy(&dead->submission);
    hd_slot_pool_destroy(&dead->slots);
    hd_free(dead);
    hd_process_end_use();
}

hd_status hd_device_shutdown(hd_device *device, uint32_t timeout_ms, hd_error *error)
{
    if (device == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "device is NULL");
    }
    if (hd_thread_is_forked()) {
        return hd_fail(error, HD_FORKED, "the process was forked while a device was open");
    }
    if (hd_callbacks_is_current(&device->callbacks)) {
        return hd_fail(error, HD_BUSY, "a callback of the device cannot shut it down");
    }
    timeout_ms = hd_wait_of_argument(timeout_ms);
    uint64_t deadline = hd_clock_after_ms(timeout_ms);
    /* The last run and the last handle may go while this thread still waits (SAFE). */
    hd_device_retain(device);
    /* First the pool, so that nobody acquires a stream behind this thread's back. */
    hd_slot_pool_refuse(&device->slots);
    for (uint32_t i = 0; i < HD_STREAM_COUNT; i++) {
        hd_stream_close(&device->streams[i]);
    }
    hd_status status = hd_slot_pool_close(&device->slots, deadline);
    /* The default stream has no slot in the pool, and a future becomes final just after its stream's point
     * was reached. */
    if (status == HD_OK) {
        status = hd_runners_drain(device->runners, deadline);
    }
    if (status == HD_OK) {
        status = hd_device_watcher_drain(&device->watcher, deadline);
    }
    hd_device_destroy(&device);
    if (status != HD_OK) {
        return hd_fail(error, HD_NOT_YET, "runs are still in flight after %u ms", timeout_ms);
    }
    return HD_OK;
}

hd_status hd_device_get_info(const hd_device *device, hd_device_info *out_info)
{
    if (device == NULL || out_info == NULL || !hd_sized_is_set(out_info)) {
        return HD_INVALID_ARGUMENT;
    }
    if (hd_thread_is_forked()) {
        return HD_FORKED;
    }
    hd_sized_write(out_info, &device->info, sizeof device->info);
    return HD_OK;
}

hd_status hd_device_get_memory(const hd_device *device, hd_memory_info *out_info)
{
    if (device == NULL || out_info == NULL || !hd_sized_is_set(out_info)) {
        return HD_INVALID_ARGUMENT;
    }
    if (hd_thread_is_forked()) {
        return HD_FORKED;
    }
    const hd_memory_account *account = &device->memory;
    hd_memory_info info = {.limit_bytes = account->limit,
                           .weight_bytes = hd_load_relaxed(&account->kinds[HD_MEMORY_WEIGHTS]),
                           .arena_bytes = hd_load_relaxed(&account->kinds[HD_MEMORY_ARENAS]),
                           .plan_bytes = hd_load_relaxed(&account->kinds[HD_MEMORY_PLANS]),
                           .block_bytes = hd_load_relaxed(&account->kinds[HD_MEMORY_BLOCKS]),
                           .table_bytes = hd_load_relaxed(&account->kinds[HD_MEMORY_TABLES])};
    hd_sized_write(out_info, &info, sizeof info);
    return HD_OK;
}

hd_status hd_device_check_open(hd_device *device, hd_error *error)
{
    if (hd_thread_is_forked()) {
        return hd_fail(error, HD_FORKED, "the process was forked while a device was open");
    }
    return hd_slot_pool_is_closed(&device->slots)
               ? hd_fail(error, HD_CLOSED, "the device was shut down")
               : HD_OK;
}

/* Counts a long run in, and decides who computes it. With hardware queues that streams share, a caller would
 * wait for what others submit, too; fewer runners than cores would leave cores idle. */
static void begin_long_run(hd_device *device, hd_lease *lease)
{
    uint32_t others = hd_add_relaxed(&device->long_runs, 1);
    lease->is_crowded = others + 1 >= device->info.core_count;
    lease->is_delegated = others >= device->info.core_count && device->unit->is_host &&
                          device->info.queue_count == HD_STREAM_COUNT &&
                          hd_runners_start_all(device->runners);
}

static void end_long_run(hd_device *device, const hd_lease *lease)
{
    if (lease->is_long) {
        hd_sub_relaxed(&device->long_runs, 1);
    }
}

hd_status hd_device_lease(hd_device *device, bool is_long, const hd_stop *stop, hd_lease *out_lease,
                          hd_error *error)
{
    if (hd_thread_is_forked()) {
        return hd_fail(error, HD_FORKED, "the process was forked while a device was open");
    }
    *out_lease = (hd_lease){.is_long = is_long};
    if (is_long) {
        begin_long_run(device, out_lease);
    }
    uint32_t hint = remembered.serial == device->serial ? remembered.slot : HD_SLOT_NONE;
    /* The time limit is computed only if the fast way fails: reading the clock costs as much. */
    hd_status status =
        hd_slot_pool_lease_for_run(&device->slots, hint, 0, NULL, &out_lease->stream);
    if (status == HD_EXHAUSTED) {
        status = hd_slot_pool_lease_for_run(&device->slots, hint,
                                            hd_clock_after_ms(device->lease_wait_ms), stop,
                                            &out_lease->stream);
    }
    if (status == HD_OK && out_lease->stream == HD_SLOT_SPARE) {
        /* behind what the program has submitted to the default stream */
        out_lease->is_delegated = false;
        return HD_OK;
    }
    if (status == HD_OK) {
        remember_slot(device, out_lease->stream);
        return HD_OK;
    }
    end_long_run(device, out_lease);
    if (status == HD_EXHAUSTED) {
        return hd_fail(error, status, "no stream came free within %u ms", device->lease_wait_ms);
    }
    if (status != HD_CLOSED) {
        return hd_stop_tell(status, error);
    }
    return hd_fail(error, status, "the device was shut down");
}

bool hd_device_delegate(hd_device *device, const hd_lease *lease, hd_work *work,
                        const hd_stop *stop)
{
    return hd_runners_run(device->runners, device->streams[lease->stream].queue_number, work, stop);
}

void hd_device_return(hd_device *device, const hd_lease *lease)
{
    hd_slot_pool_return(&device->slots, lease->stream);
    end_long_run(device, lease);
}

hd_status hd_device_find_stream(hd_device *device, hd_stream handle, hd_stream_ref *out_ref,
                                hd_error *error)
{
    if (device == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "device is NULL");
    }
    if (hd_thread_is_forked()) {
        return hd_fail(error, HD_FORKED, "the process was forked while a device was open");
    }
    uint32_t number = (uint32_t)handle.value % HD_STREAM_COUNT;
    bool is_ours =
        handle.value == 0 || (number != 0 && handle.value >> 32 == (uint32_t)device->serial);
    if (!is_ours) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "the stream is none of this device");
    }
    *out_ref = (hd_stream_ref){.stream = &device->streams[number],
                               .generation = (uint32_t)handle.value / HD_STREAM_COUNT};
    return HD_OK;
}

hd_status hd_device_fail_stream(hd_status status, hd_error *error)
{
    switch (status) {
    case HD_OK:
        return HD_OK;
    case HD_CLOSED:
        return hd_fail(error, status, "the device was shut down");
    case HD_EXHAUSTED:
        return hd_fail(error, status, "the stream's queue is full");
    default:
        return hd_fail(error, status, "the stream was released or never acquired");
    }
}

hd_status hd_device_start_runners(hd_device *device, hd_error *error)
{
    if (hd_runners_start(device->runners) != HD_OK ||
        hd_device_watcher_start(&device->watcher) != HD_OK) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no thread could be started for asynchronous work");
    }
    return HD_OK;
}

hd_status hd_device_submit(hd_device *device, const hd_stream_ref *ref, hd_stream_work *work,
                           void (*record)(hd_stream_work *), uint64_t deadline, hd_error *error)
{
    hd_status status = hd_device_start_runners(device, error);
    if (status != HD_OK) {
        return status;
    }
    return hd_device_fail_stream(
        hd_submission_submit(&device->submission, ref, work, record, deadline), error);
}
