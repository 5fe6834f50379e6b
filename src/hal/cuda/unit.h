/* A CUDA device, inside. */
#ifndef HD_HAL_CUDA_UNIT_H
#define HD_HAL_CUDA_UNIT_H

#include "base/atomic.h"
#include "hal/backend.h"
#include "hal/cuda/driver.h"
#include "hal/cuda/kernels.h"

typedef struct hd_cuda_elementwise_kernels hd_cuda_elementwise_kernels;

typedef struct hd_cuda_unit {
    hd_unit unit;                 /* first */
    const hd_cuda_driver *driver; /* constant */
    CUdevice device;              /* constant */
    CUcontext context;            /* constant; the primary one */
    int capability;               /* constant; compute capability, times ten */
    int cores;                    /* constant; multiprocessors */
    size_t shared_size; /* constant; bytes of dynamic shared memory that a block may have */
    CUmodule modules[HD_CUDA_FILE_COUNT];         /* constant */
    CUfunction functions[HD_CUDA_FUNCTION_COUNT]; /* constant; NULL: not on this device */
    bool is_early[HD_CUDA_FUNCTION_COUNT];        /* constant; started while the one before works */
    hd_cuda_elementwise_kernels *elementwise; /* constant; what it points to is its own to guard */
} hd_cuda_unit;

/* A fault ends CUDA for the whole process (docs/gpu-spike.md), so this is the process's. */
bool hd_cuda_is_lost(void);
/* What a driver's answer means; one that tells of a fault makes the process's devices lost. */
hd_status hd_cuda_status(CUresult result);
/* Has the calling thread use the unit. */
hd_status hd_cuda_enter(const hd_cuda_unit *unit);

extern const hd_memory_table hd_cuda_memory;
extern const hd_compile_table hd_cuda_compile;
extern const hd_list_table hd_cuda_lists;
extern const hd_queue_table hd_cuda_queues;

#endif
