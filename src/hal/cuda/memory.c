/* Memory of a CUDA device. cuMemFree waits for the device's work, which is why the allocator above keeps blocks. */
#include "hal/cuda/unit.h"

static void *create(hd_unit *unit, hd_memory_place place, size_t size)
{
    const hd_cuda_unit *self = (const hd_cuda_unit *)unit;
    if (hd_cuda_enter(self) != HD_OK) {
        return NULL;
    }
    if (place == HD_PLACE_HOST) {
        void *memory = NULL;
        unsigned flags = CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP;
        return hd_cuda_status(self->driver->cuMemHostAlloc(&memory, size, flags)) == HD_OK ? memory
                                                                                           : NULL;
    }
    CUdeviceptr memory = 0;
    return hd_cuda_status(self->driver->cuMemAlloc(&memory, size)) == HD_OK
               ? (void *)(uintptr_t)memory
               : NULL;
}

static void destroy(hd_unit *unit, hd_memory_place place, void *memory, size_t size)
{
    (void)size;
    const hd_cuda_unit *self = (const hd_cuda_unit *)unit;
    if (memory == NULL || hd_cuda_enter(self) != HD_OK) {
        return; /* of a lost process's device the driver gives nothing back */
    }
    if (place == HD_PLACE_HOST) {
        (void)hd_cuda_status(self->driver->cuMemFreeHost(memory));
    } else {
        (void)hd_cuda_status(self->driver->cuMemFree((CUdeviceptr)(uintptr_t)memory));
    }
}

static hd_status copy(hd_unit *unit, void *to, const void *from, size_t size)
{
    const hd_cuda_unit *self = (const hd_cuda_unit *)unit;
    hd_status status = hd_cuda_enter(self);
    return status != HD_OK || size == 0
               ? status
               : hd_cuda_status(self->driver->cuMemcpy((CUdeviceptr)(uintptr_t)to,
                                                       (CUdeviceptr)(uintptr_t)from, size));
}

/* What the driver says of an address; 0: it knows it not. */
static uint64_t ask(const hd_cuda_unit *unit, CUpointer_attribute attribute, CUdeviceptr address)
{
    uint64_t answer = 0;
    return unit->driver->cuPointerGetAttribute(&answer, attribute, address) == CUDA_SUCCESS ? answer
                                                                                            : 0;
}

static bool holds(hd_unit *unit, const void *memory, size_t size)
{
    const hd_cuda_unit *self = (const hd_cuda_unit *)unit;
    CUdeviceptr address = (CUdeviceptr)(uintptr_t)memory;
    if (hd_cuda_enter(self) != HD_OK) {
        return true; /* the run finds that the device was lost */
    }
    if ((CUmemorytype)(uint32_t)ask(self, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address) !=
            CU_MEMORYTYPE_DEVICE ||
        (CUdevice)(uint32_t)ask(self, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, address) !=
            self->device) {
        return false;
    }
    uint64_t start = ask(self, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, address),
             length = ask(self, CU_POINTER_ATTRIBUTE_RANGE_SIZE, address);
    return length == 0 || (address - start <= length && size <= length - (address - start));
}

const hd_memory_table hd_cuda_memory = {create, destroy, copy, holds};
