/* Operators of the CPU: from an operation to its kernel (hal/kernel.h), family by family.
 *
 * Thread-safety: immutable tables; compiling works on its arguments only. */
#ifndef HD_HAL_CPU_KERNEL_H
#define HD_HAL_CPU_KERNEL_H

#include "base/region.h"
#include "hal/kernel.h"
#include "operation/operation.h"

/* What compiling one operation gets and gives. */
typedef struct hd_cpu_compilation {
    const hd_operation *operation; /* outputs hold inferred dtypes and shapes */
    hd_region *region;             /* for the parameters; lives as long as the plan */
    hd_kernel kernel;              /* the result; zeroed, tile_count 1, before the call */
    hd_error *error;
} hd_cpu_compilation;

/* HD_UNSUPPORTED (by hd_operation_fail) for a dtype or attribute without a kernel; HD_OUT_OF_MEMORY. */
typedef hd_status hd_cpu_compile(hd_cpu_compilation *compilation);

/* A row of a backend's operator table. */
typedef struct hd_cpu_operator {
    hd_operator_id id;
    hd_cpu_compile *compile;
} hd_cpu_operator;

/* The table of one family, ended by a row of zeros; hal/cpu/operators.c lists the families. */
#define HD_CPU_FAMILY_LIST(X)                                                                      \
    X(elementwise)                                                                                 \
    X(movement)                                                                                    \
    X(indexing)                                                                                    \
    X(signal)                                                                                      \
    X(reduction)                                                                                   \
    X(normalization)                                                                               \
    X(spatial)                                                                                     \
    X(convolution)                                                                                 \
    X(matrix)                                                                                      \
    X(recurrent)                                                                                   \
    X(attention)                                                                                   \
    X(random)                                                                                      \
    X(quantization)                                                                                \
    X(narrow)                                                                                      \
    X(trees)

#define HD_CPU_FAMILY_DECLARE_(family) extern const hd_cpu_operator hd_cpu_operators_##family[];
HD_CPU_FAMILY_LIST(HD_CPU_FAMILY_DECLARE_)
#undef HD_CPU_FAMILY_DECLARE_

/* NULL when the CPU has no such operator. */
hd_cpu_compile *hd_cpu_operator_find(hd_operator_id id);

/* Parameters of a kernel: zeroed memory of the compilation's region, or NULL after which the compile
 * function returns hd_cpu_out_of_memory(compilation). */
void *hd_cpu_parameters(hd_cpu_compilation *compilation, size_t size);
hd_status hd_cpu_out_of_memory(hd_cpu_compilation *compilation);

/* Number of tiles for `items` independent items of `work` elementary steps each, so that one tile is
 * worth handing to another thread (about 32k steps): at least 1, at most `items`. Fixed by the sizes
 * (BITS). hd_cpu_tile_begin gives the first item of tile `tile`; tile_count gives `items`. */
int64_t hd_cpu_tile_count(int64_t items, int64_t work);

static inline int64_t hd_cpu_tile_begin(int64_t items, int64_t tile_count, int64_t tile)
{
    int64_t base = items / tile_count, rest = items % tile_count;
    return tile * base + (tile < rest ? tile : rest);
}

#endif
