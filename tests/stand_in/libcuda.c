#include "stand_in.h"

#include <cuda.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

static _Atomic uint64_t call_count, fault_at, kernel_count, text_count;
static _Atomic int fault;
static _Atomic bool is_lost;
static _Atomic int64_t living_count;

static void set_fault(stand_in_fault kind, uint64_t at)
{
    atomic_store(&fault, STAND_IN_NONE);
    atomic_store(&is_lost, false);
    atomic_store(&call_count, 0);
    atomic_store(&fault_at, at);
    atomic_store(&fault, kind);
}

static uint64_t calls(void)
{
    return atomic_load(&call_count);
}

static int64_t living(void)
{
    return atomic_load(&living_count);
}

static uint64_t kernels(void)
{
    return atomic_load(&kernel_count);
}

static uint64_t texts(void)
{
    return atomic_load(&text_count);
}

EXPORT const stand_in_table *stand_in(void)
{
    static const stand_in_table table = {set_fault, calls, living, kernels, texts};
    return &table;
}

/* A call that can fail. `takes` memory: it may be refused it. */
static CUresult enter(bool takes)
{
    uint64_t number = atomic_fetch_add(&call_count, 1);
    int kind = atomic_load(&fault);
    if (kind == STAND_IN_LOST && number >= atomic_load(&fault_at)) {
        atomic_store(&is_lost, true);
    }
    if (atomic_load(&is_lost)) {
        return CUDA_ERROR_LAUNCH_FAILED;
    }
    return kind == STAND_IN_OUT_OF_MEMORY && takes && number == atomic_load(&fault_at)
               ? CUDA_ERROR_OUT_OF_MEMORY
               : CUDA_SUCCESS;
}

/* What lives: made, and freed once. A lost device takes back what it is given, as the driver does. */
static void *make(size_t size)
{
    void *made = calloc(1, size);
    if (made == NULL) {
        abort();
    }
    atomic_fetch_add(&living_count, 1);
    return made;
}

static CUresult unmake(void *made)
{
    free(made);
    atomic_fetch_sub(&living_count, 1);
    return atomic_load(&is_lost) ? CUDA_ERROR_LAUNCH_FAILED : CUDA_SUCCESS;
}

/* --- the device */

EXPORT CUresult cuInit(unsigned flags)
{
    return flags == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

EXPORT CUresult cuDriverGetVersion(int *version)
{
    *version = 13000;
    return CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGetCount(int *count)
{
    *count = 1;
    return CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
    *device = ordinal;
    return ordinal == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

EXPORT CUresult cuDeviceGetName(char *name, int size, CUdevice device)
{
    (void)device;
    strncpy(name, "stand-in", (size_t)size);
    return CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceTotalMem(size_t *size, CUdevice device)
{
    (void)device;
    *size = (size_t)1 << 34;
    return CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
    (void)device;
    switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
        *value = 9;
        return CUDA_SUCCESS;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
        *value = 0;
        return CUDA_SUCCESS;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
        *value = 132;
        return CUDA_SUCCESS;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN:
        *value = 232448;
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

static int context; /* the primary one; its address is its name */

EXPORT CUresult cuDevicePrimaryCtxRetain(CUcontext *out, CUdevice device)
{
    (void)device;
    CUresult result = enter(true);
    if (result == CUDA_SUCCESS) {
        *out = (CUcontext)(void *)&context;
        atomic_fetch_add(&living_count, 1);
    }
    return result;
}

EXPORT CUresult cuDevicePrimaryCtxRelease(CUdevice device)
{
    (void)device;
    atomic_fetch_sub(&living_count, 1);
    return CUDA_SUCCESS;
}

EXPORT CUresult cuCtxSetCurrent(CUcontext current)
{
    return current == (CUcontext)(void *)&context ? enter(false) : CUDA_ERROR_INVALID_CONTEXT;
}

/* --- modules */

EXPORT CUresult cuModuleLoadData(CUmodule *module, const void *image)
{
    CUresult result = enter(true);
    if (result == CUDA_SUCCESS && atomic_load(&fault) == STAND_IN_NO_BINARY) {
        return CUDA_ERROR_NO_BINARY_FOR_GPU;
    }
    bool is_text =
        *(const char *)image == '.'; /* of PTX; a binary begins with bytes that are no text */
    if (result == CUDA_SUCCESS && is_text) {
        if (atomic_load(&fault) == STAND_IN_NO_COMPILER) {
            return CUDA_ERROR_JIT_COMPILER_NOT_FOUND;
        }
        atomic_fetch_add(&text_count, 1);
    }
    if (result == CUDA_SUCCESS) {
        *module = make(1);
    }
    return result;
}

EXPORT CUresult cuModuleUnload(CUmodule module)
{
    return unmake(module);
}

/* A kernel, by its name; never given back. */
typedef struct kernel {
    char name[64];
    unsigned shared_limit; /* bytes of dynamic shared memory that a block of it may have */
} kernel;

enum { KERNELS_MAX = 1024, SHARED_AT_FIRST = 48 << 10 };
static kernel known_kernels
    [KERNELS_MAX]; /* guarded by known_mutex, but for names, which are there before their handles */
static pthread_mutex_t known_mutex = PTHREAD_MUTEX_INITIALIZER;

static kernel *kernel_of(CUfunction function)
{
    uintptr_t at = (uintptr_t)function - (uintptr_t)known_kernels;
    return at < sizeof known_kernels ? (kernel *)(void *)function : NULL;
}

static unsigned shared_limit_of(CUfunction function)
{
    pthread_mutex_lock(&known_mutex);
    kernel *found = kernel_of(function);
    unsigned limit = found == NULL ? 0 : found->shared_limit;
    pthread_mutex_unlock(&known_mutex);
    return limit;
}

EXPORT CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name)
{
    (void)module;
    pthread_mutex_lock(&known_mutex);
    size_t i = 0;
    while (known_kernels[i].name[0] != '\0' && strcmp(known_kernels[i].name, name) != 0) {
        i++;
    }
    if (known_kernels[i].name[0] == '\0') {
        strncpy(known_kernels[i].name, name, sizeof known_kernels[i].name - 1);
        known_kernels[i].shared_limit = SHARED_AT_FIRST;
    }
    pthread_mutex_unlock(&known_mutex);
    *function = (CUfunction)(void *)&known_kernels[i];
    return strncmp(name, "hd_", 3) == 0 ? enter(false) : CUDA_ERROR_NOT_FOUND;
}

EXPORT CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction function)
{
    (void)attribute, (void)function;
    *value = 1024;
    return enter(false);
}

EXPORT CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value)
{
    kernel *found = kernel_of(function);
    if (found == NULL || attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES ||
        value <= 0 || value > 232448) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    pthread_mutex_lock(&known_mutex);
    found->shared_limit = (unsigned)value;
    pthread_mutex_unlock(&known_mutex);
    return enter(false);
}

/* --- memory */

EXPORT CUresult cuMemAlloc(CUdeviceptr *address, size_t size)
{
    CUresult result = size == 0 ? CUDA_ERROR_INVALID_VALUE : enter(true);
    if (result == CUDA_SUCCESS) {
        *address = (CUdeviceptr)(uintptr_t)make(size);
    }
    return result;
}

EXPORT CUresult cuMemFree(CUdeviceptr address)
{
    return unmake((void *)(uintptr_t)address);
}

EXPORT CUresult cuMemHostAlloc(void **address, size_t size, unsigned flags)
{
    (void)flags;
    CUresult result = size == 0 ? CUDA_ERROR_INVALID_VALUE : enter(true);
    if (result == CUDA_SUCCESS) {
        *address = make(size);
    }
    return result;
}

EXPORT CUresult cuMemFreeHost(void *address)
{
    return unmake(address);
}

/* It knows no address, of which the driver says nothing, and succeeds. */
EXPORT CUresult cuPointerGetAttributes(unsigned count, CUpointer_attribute *attributes,
                                       void **answers, CUdeviceptr address)
{
    (void)count, (void)attributes, (void)answers, (void)address;
    return CUDA_SUCCESS;
}

static CUresult copy(CUdeviceptr to, CUdeviceptr from, size_t size)
{
    CUresult result = enter(false);
    if (result == CUDA_SUCCESS) {
        memmove((void *)(uintptr_t)to, (const void *)(uintptr_t)from, size);
    }
    return result;
}

EXPORT CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t size)
{
    return copy(to, from, size);
}

EXPORT CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream)
{
    return stream == NULL ? CUDA_ERROR_INVALID_HANDLE : copy(to, from, size);
}

/* --- streams: what is put on one is done at once */

EXPORT CUresult cuStreamCreate(CUstream *stream, unsigned flags)
{
    CUresult result = flags == CU_STREAM_NON_BLOCKING ? enter(true) : CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS) {
        *stream = make(1);
    }
    return result;
}

EXPORT CUresult cuStreamDestroy(CUstream stream)
{
    return unmake(stream);
}

EXPORT CUresult cuStreamQuery(CUstream stream)
{
    return stream == NULL ? CUDA_ERROR_INVALID_HANDLE : enter(false);
}

EXPORT CUresult cuStreamSynchronize(CUstream stream)
{
    return stream == NULL ? CUDA_ERROR_INVALID_HANDLE : enter(false);
}

EXPORT CUresult cuStreamWaitValue64(CUstream stream, CUdeviceptr address, cuuint64_t value,
                                    unsigned flags)
{
    if (stream == NULL || flags != CU_STREAM_WAIT_VALUE_GEQ) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    while (atomic_load((_Atomic uint64_t *)(uintptr_t)address) < value) {
        if (atomic_load(&is_lost)) {
            return CUDA_ERROR_LAUNCH_FAILED;
        }
    }
    return enter(false);
}

/* A fault shows later than its launch: the write is taken, and never done. */
EXPORT CUresult cuStreamWriteValue64(CUstream stream, CUdeviceptr address, cuuint64_t value,
                                     unsigned flags)
{
    if (stream == NULL || flags != CU_STREAM_WRITE_VALUE_DEFAULT) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    bool was_lost = atomic_load(&is_lost);
    if (enter(false) == CUDA_SUCCESS) {
        atomic_store((_Atomic uint64_t *)(uintptr_t)address, value);
        return CUDA_SUCCESS;
    }
    return was_lost ? CUDA_ERROR_LAUNCH_FAILED : CUDA_SUCCESS;
}

/* --- kernels and graphs */

static bool is_launchable(CUfunction function, const unsigned grid[3], const unsigned block[3],
                          unsigned shared)
{
    return grid[0] > 0 && grid[1] > 0 && grid[2] > 0 && grid[0] < 1u << 31 && grid[1] < 1u << 16 &&
           grid[2] < 1u << 16 && block[0] > 0 && block[0] * block[1] * block[2] <= 1024 &&
           block[1] > 0 && block[2] > 0 && shared <= shared_limit_of(function);
}

EXPORT CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function,
                                 void **parameters, void **extra)
{
    const unsigned grid[3] = {config->gridDimX, config->gridDimY, config->gridDimZ};
    const unsigned block[3] = {config->blockDimX, config->blockDimY, config->blockDimZ};
    if (kernel_of(function) == NULL || parameters == NULL || extra != NULL ||
        config->hStream == NULL || !is_launchable(function, grid, block, config->sharedMemBytes)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    atomic_fetch_add(&kernel_count, 1);
    return enter(false);
}

typedef struct graph {
    uint64_t nodes;
} graph;

EXPORT CUresult cuGraphCreate(CUgraph *out, unsigned flags)
{
    CUresult result = flags == 0 ? enter(true) : CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS) {
        *out = make(sizeof(graph));
    }
    return result;
}

EXPORT CUresult cuGraphDestroy(CUgraph dead)
{
    return unmake(dead);
}

/* Nodes are counted alone; a node's name is its number. */
static bool is_node(const CUDA_KERNEL_NODE_PARAMS *node)
{
    const unsigned grid[3] = {node->gridDimX, node->gridDimY, node->gridDimZ};
    const unsigned block[3] = {node->blockDimX, node->blockDimY, node->blockDimZ};
    return kernel_of(node->func) != NULL && node->kernelParams != NULL &&
           is_launchable(node->func, grid, block, node->sharedMemBytes);
}

EXPORT CUresult cuGraphAddKernelNode(CUgraphNode *out, CUgraph into,
                                     const CUgraphNode *dependencies, size_t dependency_count,
                                     const CUDA_KERNEL_NODE_PARAMS *node)
{
    (void)dependencies;
    if (dependency_count != 0 || !is_node(node)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    CUresult result = enter(true);
    if (result == CUDA_SUCCESS) {
        *out = (CUgraphNode)(uintptr_t)(++((graph *)into)->nodes);
    }
    return result;
}

EXPORT CUresult cuGraphAddDependencies(CUgraph into, const CUgraphNode *from, const CUgraphNode *to,
                                       const CUgraphEdgeData *data, size_t count)
{
    (void)data;
    const graph *self = (const graph *)into;
    for (size_t i = 0; i < count; i++) {
        if (from[i] == to[i] || (uintptr_t)from[i] > self->nodes ||
            (uintptr_t)to[i] > self->nodes) {
            return CUDA_ERROR_INVALID_VALUE;
        }
    }
    return enter(true);
}

EXPORT CUresult cuGraphKernelNodeSetAttribute(CUgraphNode node, CUlaunchAttributeID attribute,
                                              const CUlaunchAttributeValue *value)
{
    return node != NULL && attribute == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION &&
                   value->clusterDim.y > 0
               ? enter(false)
               : CUDA_ERROR_INVALID_VALUE;
}

EXPORT CUresult cuGraphInstantiateWithFlags(CUgraphExec *out, CUgraph from,
                                            unsigned long long flags)
{
    CUresult result = flags == 0 ? enter(true) : CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS) {
        graph *made = make(sizeof *made);
        *made = *(const graph *)from;
        *out = (CUgraphExec)made;
    }
    return result;
}

EXPORT CUresult cuGraphExecDestroy(CUgraphExec dead)
{
    return unmake(dead);
}

EXPORT CUresult cuGraphExecKernelNodeSetParams(CUgraphExec into, CUgraphNode node,
                                               const CUDA_KERNEL_NODE_PARAMS *parameters)
{
    return (uintptr_t)node <= ((const graph *)into)->nodes && is_node(parameters)
               ? enter(false)
               : CUDA_ERROR_INVALID_VALUE;
}

EXPORT CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream)
{
    if (stream == NULL) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    atomic_fetch_add(&kernel_count, ((const graph *)exec)->nodes);
    return enter(false);
}

EXPORT CUresult cuTensorMapEncodeTiled(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank,
                                       void *address, const cuuint64_t *sizes,
                                       const cuuint64_t *strides, const cuuint32_t *box,
                                       const cuuint32_t *steps, CUtensorMapInterleave interleave,
                                       CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion,
                                       CUtensorMapFloatOOBfill fill)
{
    (void)type, (void)steps, (void)interleave, (void)swizzle, (void)promotion, (void)fill;
    for (cuuint32_t i = 0; i < rank; i++) {
        if (sizes[i] == 0 || box[i] == 0 || box[i] > 256 || (i > 0 && strides[i - 1] % 16 != 0)) {
            return CUDA_ERROR_INVALID_VALUE;
        }
    }
    memset(map, 0, sizeof *map);
    memcpy(map, &address, sizeof address);
    return enter(false);
}

/* MISSING leaves one function out, as a driver too old does. */
#ifndef MISSING
EXPORT CUresult cuTensorMapReplaceAddress(CUtensorMap *map, void *address)
{
    memcpy(map, &address, sizeof address);
    return (uintptr_t)address % 16 == 0 ? enter(false) : CUDA_ERROR_INVALID_VALUE;
}
#endif
