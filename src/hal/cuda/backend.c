#include "hal/cuda/backend.h"

#include <stdio.h>

#include "base/memory.h"
#include "hal/cuda/elementwise_kernels.h"
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
    hd_cuda_elementwise_kernels_destroy(self, &self->elementwise);
    if (self->context != NULL) {
        for (size_t i = 0; i < HD_CUDA_FILE_COUNT && hd_cuda_enter(self) == HD_OK; i++) {
            if (self->modules[i] != NULL) {
                (void)self->driver->cuModuleUnload(self->modules[i]);
            }
        }
        (void)self->driver->cuDevicePrimaryCtxRelease(self->device);
    }
    hd_free(self);
    *unit = NULL;
}

static CUresult read_traits(hd_cuda_unit *self)
{
    static const CUdevice_attribute asked[] = {
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
        CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT,
        CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN};
    int values[4] = {0};
    CUresult result = CUDA_SUCCESS;
    for (size_t i = 0; i < 4 && result == CUDA_SUCCESS; i++) {
        result = self->driver->cuDeviceGetAttribute(&values[i], asked[i], self->device);
    }
    self->capability = 10 * values[0] + values[1];
    self->cores = values[2];
    self->shared_size = (size_t)values[3];
    return result;
}

static CUresult load_kernels(hd_cuda_unit *self)
{
#define IMAGE(file, only, early) {hd_cuda_kernels_##file, only, early},
    static const struct {
        const unsigned char *image;
        int only;
        bool early;
    } files[] = {HD_CUDA_FILE_LIST(IMAGE)};
#undef IMAGE
#define KERNEL(file, name, big, since) {HD_CUDA_FILE_##file, "hd_" #name, big, since},
    static const struct {
        hd_cuda_file file;
        const char *name;
        bool big;
        int since;
    } kernels[] = {HD_CUDA_KERNEL_LIST(KERNEL)};
#undef KERNEL
    const hd_cuda_driver *driver = self->driver;
    CUresult result = CUDA_SUCCESS;
    for (size_t i = 0; i < HD_CUDA_FILE_COUNT && result == CUDA_SUCCESS; i++) {
        if (files[i].only == 0 || files[i].only == self->capability) {
            result = driver->cuModuleLoadData(&self->modules[i], files[i].image);
        }
    }
    for (size_t i = 0; i < HD_CUDA_FUNCTION_COUNT && result == CUDA_SUCCESS; i++) {
        CUfunction *function = &self->functions[i];
        self->is_early[i] = files[kernels[i].file].early && self->capability >= 90;
        if (kernels[i].since > self->capability || self->modules[kernels[i].file] == NULL) {
            continue;
        }
        result =
            driver->cuModuleGetFunction(function, self->modules[kernels[i].file], kernels[i].name);
        int fixed = 0;
        if (result == CUDA_SUCCESS && kernels[i].big) {
            result =
                driver->cuFuncGetAttribute(&fixed, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, *function);
        }
        if (result == CUDA_SUCCESS && kernels[i].big) {
            result = driver->cuFuncSetAttribute(*function,
                                                CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                                (int)self->shared_size - fixed);
        }
    }
    return result;
}

/* `what` cannot be done with the device. */
static hd_status fail_open(hd_unit **unit, CUresult result, uint32_t ordinal, const char *what,
                           hd_error *error)
{
    close_unit(unit);
    if (result == CUDA_ERROR_OUT_OF_MEMORY) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "CUDA device %u has no memory left", ordinal);
    }
    return hd_fail(error, HD_UNAVAILABLE, "CUDA device %u cannot %s (CUDA error %d)", ordinal, what,
                   (int)result);
}

static hd_status open_unit(uint32_t ordinal, const hd_unit_options *options, hd_unit **out_unit,
                           hd_error *error)
{
    hd_cuda_unit *self = hd_alloc_zero(1, sizeof *self);
    *out_unit = NULL;
    if (self == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a device");
    }
    hd_unit *unit = &self->unit;
    self->unit = (hd_unit){.backend = &hd_backend_cuda,
                           .queue_count = HD_STREAM_COUNT,
                           .scratch_count = 1,
                           .half = options->half};
    if (hd_cuda_elementwise_kernels_create(&self->elementwise) != HD_OK) {
        close_unit(&unit);
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a device");
    }
    self->driver = hd_cuda_driver_get();
    CUresult result = self->driver == NULL ? CUDA_ERROR_NOT_INITIALIZED
                                           : self->driver->cuDeviceGet(&self->device, (int)ordinal);
    if (result == CUDA_SUCCESS) {
        result = self->driver->cuDevicePrimaryCtxRetain(&self->context, self->device);
    }
    if (result != CUDA_SUCCESS) {
        return fail_open(&unit, result, ordinal, "be used", error);
    }
    result = hd_cuda_enter(self) == HD_OK ? read_traits(self) : CUDA_ERROR_UNKNOWN;
    result = result == CUDA_SUCCESS ? load_kernels(self) : result;
    if (result != CUDA_SUCCESS) {
        return fail_open(&unit, result, ordinal, "run this build's kernels", error);
    }
    if (self->unit.half != HD_DTYPE_NONE && self->modules[HD_CUDA_FILE_product_half] == NULL) {
        int capability = self->capability;
        close_unit(&unit);
        return hd_fail(error, HD_UNSUPPORTED,
                       "float16 and bfloat16 need compute capability 9.0; CUDA device %u has %d.%d",
                       ordinal, capability / 10, capability % 10);
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
                                    .is_preferred = true,
                                    .count = count,
                                    .absence = hd_cuda_driver_absence,
                                    .describe = describe,
                                    .open = open_unit,
                                    .close = close_unit,
                                    .lost = is_lost,
                                    .memory = &hd_cuda_memory,
                                    .compile = &hd_cuda_compile,
                                    .lists = &hd_cuda_lists,
                                    .queues = &hd_cuda_queues};
