/* Random: types and shapes of the operators that draw numbers. */
#include <string.h>

#include "graph/ops/inference.h"

static hd_infer_result reject(hd_operation *operation, hd_error *error, const char *why)
{
    hd_operation_fail(operation, error, HD_BAD_MODEL, "%s", why);
    return HD_INFER_FAILED;
}

static bool set_dtype(hd_operation *operation, int64_t otherwise)
{
    const int64_t dtype = hd_operation_int(operation, "dtype", otherwise);
    operation->outputs[0].dtype = (hd_dtype)dtype;
    return dtype > 0 && dtype <= HD_FLOAT6E3M2 && hd_dtype_size((hd_dtype)dtype) > 0;
}

hd_infer_result hd_infer_random(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    size_t rank;
    const int64_t *dims = hd_operation_ints(operation, "shape", &rank);
    hd_shape *shape = &operation->outputs[0].shape;
    if (rank > HD_MAX_RANK || !set_dtype(operation, HD_FLOAT32)) {
        return reject(operation, error, "there is no such rank or dtype");
    }
    *shape = (hd_shape){.rank = (uint32_t)rank};
    if (rank > 0) {
        memcpy(shape->dims, dims, rank * sizeof *dims);
    }
    return hd_shape_is_valid(shape, operation->outputs[0].dtype)
               ? HD_INFER_DONE
               : reject(operation, error, "the shape has a negative or too large number");
}

hd_infer_result hd_infer_random_like(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    operation->outputs[0].shape = operation->inputs[0].shape;
    return set_dtype(operation, operation->inputs[0].dtype)
               ? HD_INFER_DONE
               : reject(operation, error, "there is no such dtype");
}

hd_infer_result hd_infer_multinomial(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_shape *input = &operation->inputs[0].shape;
    const int64_t samples = hd_operation_int(operation, "sample_size", 1);
    if (!set_dtype(operation, HD_INT32) ||
        (operation->outputs[0].dtype != HD_INT32 && operation->outputs[0].dtype != HD_INT64)) {
        return reject(operation, error, "its numbers are int32 or int64");
    }
    if (input->rank != 2 || input->dims[1] < 1 || input->dims[1] > INT32_MAX || samples < 0) {
        return reject(operation, error,
                      "the input is no matrix of classes, or sample_size negative");
    }
    operation->outputs[0].shape = (hd_shape){.rank = 2, .dims = {input->dims[0], samples}};
    return hd_shape_is_valid(&operation->outputs[0].shape, operation->outputs[0].dtype)
               ? HD_INFER_DONE
               : reject(operation, error, "sample_size is too large");
}
