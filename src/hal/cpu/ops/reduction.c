/* Reduction: the family's kernels on the CPU. */
#include "hal/cpu/ops/reduction.h"

const hd_cpu_operator hd_cpu_operators_reduction[] = {
    {"ReduceSum", hd_reduce_compile},
    {"ReduceMean", hd_reduce_compile},
    {"ReduceMax", hd_reduce_compile},
    {"ReduceMin", hd_reduce_compile},
    {"ReduceProd", hd_reduce_compile},
    {"ReduceL1", hd_reduce_compile},
    {"ReduceL2", hd_reduce_compile},
    {"ReduceLogSum", hd_reduce_compile},
    {"ReduceLogSumExp", hd_reduce_compile},
    {"ReduceSumSquare", hd_reduce_compile},
    {"ArgMax", hd_arg_compile},
    {"ArgMin", hd_arg_compile},
    {"Softmax", hd_softmax_compile},
    {"LogSoftmax", hd_softmax_compile},
    {"Hardmax", hd_softmax_compile},
    {"NegativeLogLikelihoodLoss", hd_loss_compile},
    {"SoftmaxCrossEntropyLoss", hd_loss_compile},
    {0},
};
