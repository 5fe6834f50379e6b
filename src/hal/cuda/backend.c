#include "hal/cuda/backend.h"

#include <stdio.h>

#include "base/memory.h"
#include "hal/cuda/kernels.h"
#include "hal/cuda/unit.h"

static _Atomic bool lost;

bool hd_cuda_is_lost(void)
{
    return hd_load_relaxed(&lost);
}

hd_status hd_cuda_status(CUresult result)
{
    if (result == CUDA_SUCCESS) {
        return HD_OK;
    }
    if (result == CUDA_ERROR_OUT_OF_MEMORY) {
        return HD_OUT_OF_MEMORY;
    }
    hd_store_relaxed(&lost, true);
    return HD_LOST;
}

hd_status hd_cuda_enter(const hd_cuda_unit *unit)
{
    return hd_cuda_is_lost() ? HD_LOST
                             : hd_cuda_status(unit->driver->cuCtxSetCurrent(unit->context));
}

static uint32_t count(void)
{
    const hd_cuda_driver *driver = hd_cuda_driver_get();
    int found = 0;
    return driver != NULL && driver->cuDeviceGetCount(&found) == CUDA_SUCCESS ? (uint32_t)found : 0;
}

static void describe(uint32_t ordinal, hd_device_info *info)
{
    const hd_cuda_driver *driver = hd_cuda_driver_get();
    *info =
        (hd_device_info){.kind = HD_DEVICE_CUDA, .core_count = 1, .queue_count = HD_STREAM_COUNT};
    snprintf(info->name, sizeof info->name, "cuda:%u", ordinal);
    CUdevice device;
    if (driver == NULL || driver->cuDeviceGet(&device, (int)ordinal) != CUDA_SUCCESS) {
        return;
    }
    int version = 0, cores = 1;
    size_t memory = 0;
    (void)driver->cuDriverGetVersion(&version);
    (void)driver->cuDeviceGetAttribute(&cores, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, device);
    (void)driver->cuDeviceTotalMem(&memory, device);
    (void)driver->cuDeviceGetName(info->description, sizeof info->description, device);
    snprintf(info->driver, sizeof info->driver, "CUDA %d.%d", version / 1000, version % 1000 / 10);
    info->core_count = (uint32_t)cores;
    info->memory_bytes = memory;
}

static void close_unit(hd_unit **unit)
{
    hd_cuda_unit *self = (hd_cuda_unit *)*unit;
    if (self == NULL) {
        return;
    }
    if (self->context != NULL) {
        if (self->module != NULL && hd_cuda_enter(self) == HD_OK) {
            (void)self->driver->cuModuleUnload(self->module);
        }
        (void)self->driver->cuDevicePrimaryCtxRelease(self->device);
    }
    hd_free(self);
    *unit = NULL;
}

static hd_status open_unit(uint32_t ordinal, const hd_unit_options *options, hd_unit **out_unit,
                           hd_error *error)
{
    (void)options;
    hd_cuda_unit *self = hd_alloc_zero(1, sizeof *self);
    *out_unit = NULL;
    if (self == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a device");
    }
    hd_unit *unit = &self->unit;
    self->unit =
        (hd_unit){.backend = &hd_backend_cuda, .queue_count = HD_STREAM_COUNT, .scratch_count = 1};
    self->driver = hd_cuda_driver_get();
    if (self->driver == NULL ||
        self->driver->cuDeviceGet(&self->device, (int)ordinal) != CUDA_SUCCESS ||
        self->driver->cuDevicePrimaryCtxRetain(&self->context, self->device) != CUDA_SUCCESS) {
        close_unit(&unit);
        return hd_fail(error, HD_UNAVAILABLE, "CUDA device %u cannot be used", ordinal);
    }
    CUresult result = CUDA_SUCCESS;
    if (hd_cuda_enter(self) == HD_OK) {
        result = self->driver->cuModuleLoadData(&self->module, hd_cuda_kernels_elementwise_float32);
    }
    if (result == CUDA_SUCCESS && self->module != NULL) {
        result = self->driver->cuModuleGetFunction(&self->elementwise, self->module,
                                                   "hd_elementwise_float32");
    }
    if (self->elementwise == NULL) {
        close_unit(&unit);
        return hd_fail(error, HD_UNAVAILABLE, "CUDA device %u cannot run this build's kernels (%d)",
                       ordinal, (int)result);
    }
    *out_unit = unit;
    return HD_OK;
}

static bool is_lost(const hd_unit *unit)
{
    (void)unit;
    return hd_cuda_is_lost();
}

const hd_backend hd_backend_cuda = {.name = "cuda",
                                    .kind = HD_DEVICE_CUDA,
                                    .count = count,
                                    .describe = describe,
                                    .open = open_unit,
                                    .close = close_unit,
                                    .lost = is_lost,
                                    .memory = &hd_cuda_memory,
                                    .compile = &hd_cuda_compile,
                                    .lists = &hd_cuda_lists,
                                    .queues = &hd_cuda_queues};
