/* Normalization: the family's kernels on the CPU. */
#include "hal/cpu/ops/normalization.h"

const hd_cpu_operator hd_cpu_operators_normalization[] = {
    {"BatchNormalization", hd_batch_norm_compile},
    {"InstanceNormalization", hd_group_norm_compile},
    {"GroupNormalization", hd_group_norm_compile},
    {"LayerNormalization", hd_layer_norm_compile},
    {"RMSNormalization", hd_layer_norm_compile},
    {"heddle.LayerNorm", hd_layer_norm_compile},
    {"LRN", hd_lrn_compile},
    {"LpNormalization", hd_lp_norm_compile},
    {"MeanVarianceNormalization", hd_mean_variance_compile},
    {0},
};

hd_status hd_float_only(const hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    if (operation->inputs[0].dtype == HD_FLOAT32) {
        return HD_OK;
    }
    return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                             "there is no kernel for %s",
                             hd_dtype_name(operation->inputs[0].dtype));
}
