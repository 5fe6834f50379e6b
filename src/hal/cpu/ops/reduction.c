/* Reduction: the family's kernels on the CPU. */
#include "hal/cpu/ops/reduction.h"

const hd_cpu_operator hd_cpu_operators_reduction[] = {
    {HD_OP_REDUCE_SUM, hd_cpu_reduce_compile},
    {HD_OP_REDUCE_MEAN, hd_cpu_reduce_compile},
    {HD_OP_REDUCE_MAX, hd_cpu_reduce_compile},
    {HD_OP_REDUCE_MIN, hd_cpu_reduce_compile},
    {HD_OP_REDUCE_PROD, hd_cpu_reduce_compile},
    {HD_OP_REDUCE_L1, hd_cpu_reduce_compile},
    {HD_OP_REDUCE_L2, hd_cpu_reduce_compile},
    {HD_OP_REDUCE_LOG_SUM, hd_cpu_reduce_compile},
    {HD_OP_REDUCE_LOG_SUM_EXP, hd_cpu_reduce_compile},
    {HD_OP_REDUCE_SUM_SQUARE, hd_cpu_reduce_compile},
    {HD_OP_ARG_MAX, hd_cpu_arg_compile},
    {HD_OP_ARG_MIN, hd_cpu_arg_compile},
    {HD_OP_SOFTMAX, hd_cpu_softmax_compile},
    {HD_OP_LOG_SOFTMAX, hd_cpu_softmax_compile},
    {HD_OP_HARDMAX, hd_cpu_softmax_compile},
    {HD_OP_NEGATIVE_LOG_LIKELIHOOD_LOSS, hd_cpu_loss_compile},
    {HD_OP_SOFTMAX_CROSS_ENTROPY_LOSS, hd_cpu_loss_compile},
    {0},
};
