/* Reduction: the family's kernels on the CPU. */
#include "hal/cpu/ops/reduction.h"

const hd_cpu_operator hd_cpu_operators_reduction[] = {
    {HD_OP_REDUCE_SUM, hd_reduce_compile},
    {HD_OP_REDUCE_MEAN, hd_reduce_compile},
    {HD_OP_REDUCE_MAX, hd_reduce_compile},
    {HD_OP_REDUCE_MIN, hd_reduce_compile},
    {HD_OP_REDUCE_PROD, hd_reduce_compile},
    {HD_OP_REDUCE_L1, hd_reduce_compile},
    {HD_OP_REDUCE_L2, hd_reduce_compile},
    {HD_OP_REDUCE_LOG_SUM, hd_reduce_compile},
    {HD_OP_REDUCE_LOG_SUM_EXP, hd_reduce_compile},
    {HD_OP_REDUCE_SUM_SQUARE, hd_reduce_compile},
    {HD_OP_ARG_MAX, hd_arg_compile},
    {HD_OP_ARG_MIN, hd_arg_compile},
    {HD_OP_SOFTMAX, hd_softmax_compile},
    {HD_OP_LOG_SOFTMAX, hd_softmax_compile},
    {HD_OP_HARDMAX, hd_softmax_compile},
    {HD_OP_NEGATIVE_LOG_LIKELIHOOD_LOSS, hd_loss_compile},
    {HD_OP_SOFTMAX_CROSS_ENTROPY_LOSS, hd_loss_compile},
    {0},
};
