/* Convolution: types and shapes of the operators of this family. */
#include "operation/convolution.h"
#include "graph/ops/inference.h"
#include "operation/deformable.h"
#include "operation/fused.h"

hd_infer_result hd_infer_convolution(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    hd_convolution convolution;
    if (hd_operator_is_internal(operation->id) &&
        !hd_operation_is_fused(operation, operation->id)) {
        hd_operation_fail(operation, error, HD_INTERNAL, "it has no parameters");
        return HD_INFER_FAILED;
    }
    if (hd_convolution_resolve(operation, &convolution, error) != HD_OK) {
        return HD_INFER_FAILED;
    }
    hd_shape shape = hd_convolution_shape(&convolution);
    hd_dtype dtype = operation->inputs[0].dtype;
    if (!hd_shape_is_valid(&shape, dtype)) {
        hd_operation_fail(operation, error, HD_INVALID_ARGUMENT, "its output is too large");
        return HD_INFER_FAILED;
    }
    if (convolution.channels_last && hd_operation_has(operation, 3) &&
        !hd_shape_equal(&operation->inputs[3].shape, &shape)) {
        hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                          "the residual has another shape than the output");
        return HD_INFER_FAILED;
    }
    operation->outputs[0].dtype = dtype;
    operation->outputs[0].shape = shape;
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_deformable(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    hd_deformable deformable;
    if (hd_deformable_resolve(operation, &deformable, error) != HD_OK) {
        return HD_INFER_FAILED;
    }
    hd_shape shape = hd_convolution_shape(&deformable.sizes);
    if (!hd_shape_is_valid(&shape, operation->inputs[0].dtype)) {
        hd_operation_fail(operation, error, HD_INVALID_ARGUMENT, "its output is too large");
        return HD_INFER_FAILED;
    }
    operation->outputs[0].dtype = operation->inputs[0].dtype;
    operation->outputs[0].shape = shape;
    return HD_INFER_DONE;
}
