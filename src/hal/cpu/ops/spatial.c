/* Spatial: the family's kernels on the CPU. */
#include "hal/cpu/ops/spatial.h"

const hd_cpu_operator hd_cpu_operators_spatial[] = {
    {HD_OP_MAX_POOL, hd_cpu_pool_compile},
    {HD_OP_AVERAGE_POOL, hd_cpu_pool_compile},
    {HD_OP_LP_POOL, hd_cpu_pool_compile},
    {HD_OP_HEDDLE_MAX_POOL, hd_cpu_pool_last_compile},
    {HD_OP_HEDDLE_AVERAGE_POOL, hd_cpu_pool_last_compile},
    {HD_OP_GLOBAL_AVERAGE_POOL, hd_cpu_pool_global_compile},
    {HD_OP_GLOBAL_MAX_POOL, hd_cpu_pool_global_compile},
    {HD_OP_GLOBAL_LP_POOL, hd_cpu_pool_global_compile},
    {HD_OP_HEDDLE_GLOBAL_AVERAGE_POOL, hd_cpu_pool_global_compile},
    {HD_OP_MAX_UNPOOL, hd_cpu_unpool_compile},
    {HD_OP_MAX_ROI_POOL, hd_cpu_roi_pool_compile},
    {HD_OP_ROI_ALIGN, hd_cpu_roi_align_compile},
    {HD_OP_RESIZE, hd_cpu_resize_compile},
    {HD_OP_UPSAMPLE, hd_cpu_resize_compile},
    {HD_OP_HEDDLE_RESIZE, hd_cpu_resize_compile},
    {HD_OP_DEFORM_CONV, hd_cpu_deformable_compile},
    {HD_OP_GRID_SAMPLE, hd_cpu_grid_sample_compile},
    {HD_OP_AFFINE_GRID, hd_cpu_affine_grid_compile},
    {HD_OP_COL2IM, hd_cpu_col2im_compile},
    {HD_OP_NON_MAX_SUPPRESSION, hd_cpu_nms_compile},
    {0},
};

hd_status hd_cpu_spatial_float_only(const hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    if (operation->inputs[0].dtype == HD_FLOAT32) {
        return HD_OK;
    }
    return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                             "there is no kernel for %s",
                             hd_dtype_name(operation->inputs[0].dtype));
}
