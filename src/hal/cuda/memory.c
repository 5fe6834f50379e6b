/* Memory of a CUDA device. cuMemFree waits for the device's work, which is why the allocator above keeps blocks. */
#include "hal/cuda/unit.h"

/* Each run asks for all that callers say to be the device's, and the driver answers one thread at a time: what it has said
 * holds for a thread until the library frees memory of a device. Memory of others that is freed meanwhile is not noticed. */
enum { KNOWN_COUNT = 8 };

typedef struct known {
    int device; /* its number and 1; 0: nothing is known */
    const void *memory;
    size_t size;
    uint64_t freed; /* as it was when the driver was asked */
} known;

static _Thread_local known held[KNOWN_COUNT];
static _Thread_local unsigned next_held;
/* How often the library has freed memory of devices. Release and acquire: who finds the new number asks the driver anew. */
static _Atomic uint64_t freed;

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
        hd_add_release(&freed, 1);
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

static bool ask_driver(const hd_cuda_unit *self, const void *memory, size_t size)
{
    CUdeviceptr address = (CUdeviceptr)(uintptr_t)memory, start = 0;
    CUmemorytype type = 0;
    int ordinal = 0;
    size_t length = 0;
    CUpointer_attribute asked[] = {
        CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL,
        CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, CU_POINTER_ATTRIBUTE_RANGE_SIZE};
    void *answers[] = {&type, &ordinal, &start, &length};
    if (hd_cuda_enter(self) != HD_OK) {
        return true; /* the run finds that the device was lost */
    }
    if (self->driver->cuPointerGetAttributes(4, asked, answers, address) != CUDA_SUCCESS ||
        type != CU_MEMORYTYPE_DEVICE || ordinal != self->device) {
        return false;
    }
    return length == 0 || (address - start <= length && size <= length - (address - start));
}

static bool holds(hd_unit *unit, const void *memory, size_t size)
{
    const hd_cuda_unit *self = (const hd_cuda_unit *)unit;
    const known wanted = {self->device + 1, memory, size, hd_load_acquire(&freed)};
    for (unsigned i = 0; i < KNOWN_COUNT; i++) {
        if (held[i].device == wanted.device && held[i].memory == memory && held[i].size == size &&
            held[i].freed == wanted.freed) {
            return true;
        }
    }
    if (!ask_driver(self, memory, size)) {
        return false;
    }
    held[next_held++ % KNOWN_COUNT] = wanted;
    return true;
}

const hd_memory_table hd_cuda_memory = {create, destroy, copy, holds};
