/* Kernel: one operation compiled for a device: a function, its parameters, and how it is cut into
 * tiles that any threads may compute in any order.
 *
 * BITS: the number of tiles and what each computes follow from the operation's shapes only; an
 * element of an output is written by exactly one tile, its value independent of the other tiles and
 * of where in the tensor it lies (vector tails use the same vector code, on padded copies or masked).
 *
 * Thread-safety: immutable; run may be called by any number of threads on disjoint tile ranges. */
#ifndef HD_HAL_KERNEL_H
#define HD_HAL_KERNEL_H

#include <stddef.h>
#include <stdint.h>

/* Computes tiles [begin, end). buffers: one pointer an input (NULL where it is left out), then one an
 * output (NULL where nobody wants it), then, for operators whose output shapes depend on data, one
 * int64_t[HD_MAX_RANK] an output, to which the kernel writes the true dimensions.
 * scratch: hd_kernel.scratch_size bytes of this thread's, at a cache line, contents undefined.
 * It cannot fail and allocates nothing. */
typedef void hd_kernel_run(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                           void *scratch);

typedef struct hd_kernel {
    hd_kernel_run *run;
    const void *parameters;  /* in the compilation's region */
    int64_t tile_count;      /* at least 1, also for empty tensors */
    size_t scratch_size;     /* bytes per thread */
    uint64_t inplace_inputs; /* bit i: output 0 may lie on input i's memory, exactly */
} hd_kernel;

#endif
