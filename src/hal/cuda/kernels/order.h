/* Order: how a kernel follows the one before it in a graph. A kernel of a file that HD_CUDA_FILE_LIST (hal/cuda/kernels.h) calls early may be
 * started while the one before still works: each of its threads calls hd_wait_for_those_before before it reads or writes what others write
 * or read, and hd_let_the_next_begin as soon as it likes, by which it gives up nothing.
 *
 * Source: CUDA C++ Programming Guide, "Programmatic Dependent Launch and Synchronization". */
#ifndef HD_HAL_CUDA_KERNELS_ORDER_H
#define HD_HAL_CUDA_KERNELS_ORDER_H

/* Returns when all kernels before have ended, and what they wrote is there. */
static __device__ __forceinline__ void hd_wait_for_those_before(void)
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/* Where all blocks have called this, or ended, the next kernel's may start. */
static __device__ __forceinline__ void hd_let_the_next_begin(void)
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/* Of a kernel that has nothing to do before. */
static __device__ __forceinline__ void hd_follow(void)
{
    hd_let_the_next_begin();
    hd_wait_for_those_before();
}

#endif
