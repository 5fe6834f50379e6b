/* Spatial: the family's kernels on the CPU. */
#include "hal/cpu/ops/spatial.h"

const hd_cpu_operator hd_cpu_operators_spatial[] = {
    {"MaxPool", hd_pool_compile},
    {"AveragePool", hd_pool_compile},
    {"LpPool", hd_pool_compile},
    {"heddle.MaxPool", hd_pool_last_compile},
    {"heddle.AveragePool", hd_pool_last_compile},
    {"GlobalAveragePool", hd_pool_global_compile},
    {"GlobalMaxPool", hd_pool_global_compile},
    {"GlobalLpPool", hd_pool_global_compile},
    {"heddle.GlobalAveragePool", hd_pool_global_compile},
    {"MaxUnpool", hd_unpool_compile},
    {"MaxRoiPool", hd_roi_pool_compile},
    {"RoiAlign", hd_roi_align_compile},
    {"Resize", hd_resize_compile},
    {"Upsample", hd_resize_compile},
    {"heddle.Resize", hd_resize_compile},
    {"GridSample", hd_grid_sample_compile},
    {"AffineGrid", hd_affine_grid_compile},
    {"Col2Im", hd_col2im_compile},
    {"NonMaxSuppression", hd_nms_compile},
    {0},
};

hd_status hd_spatial_float_only(const hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    if (operation->inputs[0].dtype == HD_FLOAT32) {
        return HD_OK;
    }
    return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                             "there is no kernel for %s",
                             hd_dtype_name(operation->inputs[0].dtype));
}
