/* Reduction: the compile functions that the family's table names, and the walk that they share. */
#ifndef HD_HAL_CPU_OPS_REDUCTION_H
#define HD_HAL_CPU_OPS_REDUCTION_H

#include "hal/cpu/kernel.h"

hd_cpu_compile hd_cpu_reduce_compile;  /* Reduce… */
hd_cpu_compile hd_cpu_arg_compile;     /* ArgMax, ArgMin */
hd_cpu_compile hd_cpu_softmax_compile; /* Softmax, LogSoftmax, Hardmax */
hd_cpu_compile hd_cpu_loss_compile;    /* NegativeLogLikelihoodLoss, SoftmaxCrossEntropyLoss */

/* A tensor as a reduction sees it: `outer` kept positions, at each of them `rows` rows that are folded
 * together, of `width` contiguous elements. fold_width: the elements of a row are folded too, and
 * each position gives one result; else it gives `width` of them. */
typedef struct hd_cpu_reduce_walk {
    int64_t outer;
    int64_t rows;
    int64_t width;
    bool fold_width;
    uint32_t outer_rank; /* dimensions and strides, in elements, of the positions */
    int64_t outer_dims[HD_MAX_RANK];
    int64_t outer_strides[HD_MAX_RANK];
    uint32_t row_rank; /* and of the rows */
    int64_t row_dims[HD_MAX_RANK];
    int64_t row_strides[HD_MAX_RANK];
} hd_cpu_reduce_walk;

void hd_cpu_reduce_walk_init(hd_cpu_reduce_walk *walk, const hd_shape *shape,
                             const bool reduced[HD_MAX_RANK]);

/* Offset of element `index` of a space of these dimensions. */
int64_t hd_cpu_reduce_offset(uint32_t rank, const int64_t *dims, const int64_t *strides,
                             int64_t index);

/* The kinds in the order of the operators' names. */
typedef enum hd_cpu_reduce_kind {
    HD_REDUCE_SUM,
    HD_REDUCE_MEAN,
    HD_REDUCE_MAX,
    HD_REDUCE_MIN,
    HD_REDUCE_PROD,
    HD_REDUCE_L1,
    HD_REDUCE_L2,
    HD_REDUCE_LOG_SUM,
    HD_REDUCE_LOG_SUM_EXP,
    HD_REDUCE_SUM_SQUARE
} hd_cpu_reduce_kind;

typedef struct hd_cpu_reduce_parameters {
    hd_cpu_reduce_walk walk;
    hd_cpu_reduce_kind kind;
    int64_t chunk;  /* results of one position are cut into pieces of this many */
    int64_t chunks; /* that many pieces a position */
    int64_t tiles;
    size_t output; /* its place among the buffers */
} hd_cpu_reduce_parameters;

/* Other dtypes than float32, from reduce_template.h; NULL: there is none. */
hd_kernel_run *hd_cpu_reduce_run_of(hd_dtype dtype);

#endif
