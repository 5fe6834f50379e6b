/* Normalization: the family's kernels on the CPU. */
#include "hal/cpu/ops/normalization.h"

const hd_cpu_operator hd_cpu_operators_normalization[] = {
    {HD_OP_BATCH_NORMALIZATION, hd_cpu_batch_norm_compile},
    {HD_OP_INSTANCE_NORMALIZATION, hd_cpu_group_norm_compile},
    {HD_OP_GROUP_NORMALIZATION, hd_cpu_group_norm_compile},
    {HD_OP_LAYER_NORMALIZATION, hd_cpu_layer_norm_compile},
    {HD_OP_RMS_NORMALIZATION, hd_cpu_layer_norm_compile},
    {HD_OP_HEDDLE_LAYER_NORM, hd_cpu_layer_norm_compile},
    {HD_OP_LRN, hd_cpu_lrn_compile},
    {HD_OP_LP_NORMALIZATION, hd_cpu_lp_norm_compile},
    {HD_OP_MEAN_VARIANCE_NORMALIZATION, hd_cpu_mean_variance_compile},
    {0},
};

hd_status hd_cpu_float_only(const hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    if (operation->inputs[0].dtype == HD_FLOAT32) {
        return HD_OK;
    }
    return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                             "there is no kernel for %s",
                             hd_dtype_name(operation->inputs[0].dtype));
}
