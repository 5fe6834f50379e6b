/* Indexing: compile functions of the operators that go by indices, and what they share.
 *
 * Indices that come as data cannot fail a kernel: one below -dim counts as 0, one above dim - 1 as
 * dim - 1, so that every access stays inside (SAFE); "heddle.IndexCheck" beside it fails the run. */
#ifndef HD_HAL_CPU_OPS_INDEXING_H
#define HD_HAL_CPU_OPS_INDEXING_H

#include <string.h>

#include "base/stop.h"
#include "hal/cpu/kernel.h"

/* hal/cpu/ops/index_check.c */
hd_cpu_compile hd_cpu_compile_index_check;

/* hal/cpu/ops/indexing_cache.c */
hd_cpu_compile hd_cpu_compile_tensor_scatter;

/* hal/cpu/ops/indexing_scatter.c */
hd_cpu_compile hd_cpu_compile_scatter_elements;
hd_cpu_compile hd_cpu_compile_scatter_nd;

/* hal/cpu/ops/indexing_select.c */
hd_cpu_compile hd_cpu_compile_non_zero;
hd_cpu_compile hd_cpu_compile_top_k;
hd_cpu_compile hd_cpu_compile_unique;
hd_cpu_compile hd_cpu_compile_compress;

/* hal/cpu/ops/indexing_sum.c */
hd_cpu_compile hd_cpu_compile_cum_sum;

/* Index `at` of a list of int64 (wide) or int32, made to lie in [0, dim); dim > 0. */
static inline int64_t hd_cpu_index_read(const void *indices, bool wide, int64_t at, int64_t dim)
{
    int64_t index = wide ? ((const int64_t *)indices)[at] : ((const int32_t *)indices)[at];
    if (index < 0) {
        index = index < -dim ? 0 : index + dim;
    }
    return index < dim ? index : dim - 1;
}

/* Copies one element or a block; common sizes without a call. */
static inline void hd_cpu_block_copy(void *target, const void *source, size_t size)
{
    switch (size) {
    case 1:
        memcpy(target, source, 1);
        break;
    case 2:
        memcpy(target, source, 2);
        break;
    case 4:
        memcpy(target, source, 4);
        break;
    case 8:
        memcpy(target, source, 8);
        break;
    default:
        hd_stop_copy(target, source, size);
        break;
    }
}

#endif
