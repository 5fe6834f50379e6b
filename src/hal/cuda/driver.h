/* Driver: NVIDIA's driver library, opened when it is first asked for, so that a build with CUDA runs on machines without
 * it.
 *
 * Thread-safety: any thread; immutable once opened. */
#ifndef HD_HAL_CUDA_DRIVER_H
#define HD_HAL_CUDA_DRIVER_H

#include <cuda.h>

#include "base/status.h"

/* The functions that are used, by the name that the header gives them. */
#define HD_CUDA_DRIVER_LIST(X)                                                                     \
    X(cuInit)                                                                                      \
    X(cuDriverGetVersion)                                                                          \
    X(cuDeviceGet)                                                                                 \
    X(cuDeviceGetCount)                                                                            \
    X(cuDeviceGetName)                                                                             \
    X(cuDeviceGetAttribute)                                                                        \
    X(cuDeviceTotalMem)                                                                            \
    X(cuDevicePrimaryCtxRetain)                                                                    \
    X(cuDevicePrimaryCtxRelease)                                                                   \
    X(cuCtxSetCurrent)                                                                             \
    X(cuModuleLoadData)                                                                            \
    X(cuModuleGetFunction)                                                                         \
    X(cuModuleUnload)                                                                              \
    X(cuFuncGetAttribute)                                                                          \
    X(cuFuncSetAttribute)                                                                          \
    X(cuMemAlloc)                                                                                  \
    X(cuMemFree)                                                                                   \
    X(cuMemHostAlloc)                                                                              \
    X(cuMemFreeHost)                                                                               \
    X(cuPointerGetAttributes)                                                                      \
    X(cuMemcpy)                                                                                    \
    X(cuMemcpyAsync)                                                                               \
    X(cuStreamCreate)                                                                              \
    X(cuStreamDestroy)                                                                             \
    X(cuStreamQuery)                                                                               \
    X(cuStreamSynchronize)                                                                         \
    X(cuStreamWaitValue64)                                                                         \
    X(cuStreamWriteValue64)                                                                        \
    X(cuTensorMapEncodeTiled)                                                                      \
    X(cuTensorMapReplaceAddress)                                                                   \
    X(cuLaunchKernelEx)                                                                            \
    X(cuGraphCreate)                                                                               \
    X(cuGraphDestroy)                                                                              \
    X(cuGraphAddDependencies)                                                                      \
    X(cuGraphAddKernelNode)                                                                        \
    X(cuGraphKernelNodeSetAttribute)                                                               \
    X(cuGraphInstantiate)                                                                          \
    X(cuGraphExecDestroy)                                                                          \
    X(cuGraphExecKernelNodeSetParams)                                                              \
    X(cuGraphLaunch)

typedef struct hd_cuda_driver {
#define HD_CUDA_DRIVER_MEMBER_(name) __typeof__(&name) name;
    HD_CUDA_DRIVER_LIST(HD_CUDA_DRIVER_MEMBER_)
#undef HD_CUDA_DRIVER_MEMBER_
} hd_cuda_driver;

/* NULL: there is none on this machine, or it is too old. */
const hd_cuda_driver *hd_cuda_driver_get(void);
/* Why it is NULL, or has no devices. */
const char *hd_cuda_driver_absence(void);

#endif
