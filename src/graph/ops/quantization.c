/* Quantization: types and shapes of the operators of this family. */
#include "graph/ops/inference.h"
#include "operation/narrow.h"
#include "operation/quantized.h"

static hd_infer_result fail_type(hd_operation *operation, hd_error *error, size_t index)
{
    hd_operation_fail(operation, error, HD_BAD_MODEL, "input %zu is %s", index,
                      hd_dtype_name(operation->inputs[index].dtype));
    return HD_INFER_FAILED;
}

static bool is_quantized(hd_dtype dtype)
{
    return hd_quantized_is_byte(dtype) || dtype == HD_UINT16 || dtype == HD_INT16 ||
           (hd_narrow_is(dtype) && dtype != HD_FLOAT8E8M0); /* that one is for scales */
}

/* Scales and zero points are as many, and the zero point has the quantized type. */
static bool zero_fits(hd_operation *operation, hd_dtype dtype, hd_error *error)
{
    if (!hd_operation_has(operation, 2)) {
        return true;
    }
    if (operation->inputs[2].dtype != dtype) {
        fail_type(operation, error, 2);
        return false;
    }
    if (hd_shape_count(&operation->inputs[2].shape) !=
        hd_shape_count(&operation->inputs[1].shape)) {
        hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                          "there are not as many zero points as scales");
        return false;
    }
    return true;
}

/* ONNX's numbers of types are the public ones. */
static hd_dtype quantized_type(const hd_operation *operation)
{
    if (hd_operation_has(operation, 2)) {
        return operation->inputs[2].dtype;
    }
    int64_t asked = hd_operation_int(operation, "output_dtype", 0);
    return asked == 0 ? HD_UINT8 : asked > 0 && asked < 64 ? (hd_dtype)asked : HD_DTYPE_NONE;
}

hd_infer_result hd_infer_quantize(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    hd_quantized_scales scales;
    const hd_dtype x = operation->inputs[0].dtype, y = quantized_type(operation);
    if (x != HD_FLOAT32 && x != HD_INT32) {
        return fail_type(operation, error, 0);
    }
    if (!is_quantized(y)) {
        hd_operation_fail(operation, error, HD_UNSUPPORTED, "it quantizes to %s", hd_dtype_name(y));
        return HD_INFER_FAILED;
    }
    if (hd_operation_int(operation, "output_dtype", 0) != 0 &&
        hd_operation_int(operation, "output_dtype", 0) != (int64_t)y) {
        hd_operation_fail(operation, error, HD_BAD_MODEL,
                          "output_dtype is not the zero point's type, %s", hd_dtype_name(y));
        return HD_INFER_FAILED;
    }
    if (hd_operation_int(operation, "precision", HD_DTYPE_NONE) != HD_DTYPE_NONE &&
        hd_operation_int(operation, "precision", HD_DTYPE_NONE) != HD_FLOAT32) {
        hd_operation_fail(operation, error, HD_UNSUPPORTED,
                          "its division is to be more or less precise than float32's");
        return HD_INFER_FAILED;
    }
    if (!zero_fits(operation, y, error) ||
        hd_quantized_scales_resolve(operation, &scales, error) != HD_OK) {
        return HD_INFER_FAILED;
    }
    operation->outputs[0].dtype = y;
    operation->outputs[0].shape = operation->inputs[0].shape;
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_dequantize(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    hd_quantized_scales scales;
    const hd_dtype x = operation->inputs[0].dtype;
    if (!is_quantized(x) && x != HD_INT32) {
        return fail_type(operation, error, 0);
    }
    if (!zero_fits(operation, x, error) ||
        hd_quantized_scales_resolve(operation, &scales, error) != HD_OK) {
        return HD_INFER_FAILED;
    }
    const int64_t asked = hd_operation_int(operation, "output_dtype", HD_DTYPE_NONE);
    if (asked != HD_DTYPE_NONE && asked != HD_FLOAT32 && asked != HD_FLOAT16 &&
        asked != HD_BFLOAT16) {
        hd_operation_fail(operation, error, HD_BAD_MODEL, "output_dtype is %lld", (long long)asked);
        return HD_INFER_FAILED;
    }
    operation->outputs[0].dtype = HD_FLOAT32; /* halves are converted around it */
    operation->outputs[0].shape = operation->inputs[0].shape;
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_dynamic_quantize(hd_operation *operation, size_t *needed_input,
                                          hd_error *error)
{
    (void)needed_input, (void)error;
    static const hd_dtype types[] = {HD_UINT8, HD_FLOAT32, HD_UINT8};
    for (size_t i = 0; i < operation->output_count && i < 3; i++) {
        operation->outputs[i].dtype = types[i];
        operation->outputs[i].shape = i == 0 ? operation->inputs[0].shape : (hd_shape){0};
    }
    return HD_INFER_DONE;
}

/* A scale or zero point: one, or one for each of `count` rows or columns. */
static bool check_factor(hd_operation *operation, int8_t role, hd_dtype dtype, int64_t count,
                         hd_error *error)
{
    if (!hd_quantized_has(operation, role)) {
        return true;
    }
    const hd_operand *operand = &operation->inputs[role];
    if (operand->dtype != dtype) {
        fail_type(operation, error, (size_t)role);
        return false;
    }
    const int64_t elements = hd_shape_count(&operand->shape);
    if (elements == 1 || (operand->shape.rank == 1 && elements == count)) {
        return true;
    }
    char text[96];
    /* ONNX also has one a row or column of each matrix of a batch. */
    const bool is_more = operand->shape.rank > 1 && operation->id != HD_OP_QLINEAR_CONV;
    hd_operation_fail(operation, error, is_more ? HD_UNSUPPORTED : HD_INVALID_ARGUMENT,
                      "input %d of shape %s is neither one scale or zero point nor %lld", role,
                      hd_shape_text(&operand->shape, text, sizeof text), (long long)count);
    return false;
}

static bool check_factors(hd_operation *operation, const hd_quantized_roles *roles, int64_t rows,
                          int64_t columns, hd_error *error)
{
    const hd_dtype a = operation->inputs[roles->a].dtype, b = operation->inputs[roles->b].dtype;
    if (!hd_quantized_is_byte(a) || !hd_quantized_is_byte(b)) {
        fail_type(operation, error, (size_t)(hd_quantized_is_byte(a) ? roles->b : roles->a));
        return false;
    }
    if (!check_factor(operation, roles->a_scale, HD_FLOAT32, rows, error) ||
        !check_factor(operation, roles->a_zero, a, rows, error) ||
        !check_factor(operation, roles->b_scale, HD_FLOAT32, columns, error) ||
        !check_factor(operation, roles->b_zero, b, columns, error) ||
        !check_factor(operation, roles->y_scale, HD_FLOAT32, 1, error)) {
        return false;
    }
    if (roles->y_zero >= 0) {
        const hd_dtype y = operation->inputs[roles->y_zero].dtype;
        if (!hd_quantized_is_byte(y)) {
            fail_type(operation, error, (size_t)roles->y_zero);
            return false;
        }
        return check_factor(operation, roles->y_zero, y, 1, error);
    }
    return true;
}

hd_infer_result hd_infer_quantized_product(hd_operation *operation, size_t *needed_input,
                                           hd_error *error)
{
    const hd_quantized_roles *roles = hd_quantized_roles_of(operation->id);
    hd_quantized_view view;
    hd_quantized_view_make(operation, &view);
    int64_t rows, columns;
    if (hd_quantized_is_convolution(operation->id)) {
        hd_convolution sizes;
        if (hd_convolution_resolve(&view.operation, &sizes, error) != HD_OK) {
            return HD_INFER_FAILED;
        }
        view.operands[2].shape = hd_convolution_shape(&sizes);
        rows = 1;
        columns = sizes.output_channels;
    } else {
        hd_infer_result result = hd_infer_matmul(&view.operation, needed_input, error);
        if (result != HD_INFER_DONE) {
            return result;
        }
        const hd_shape *a = &view.operands[0].shape, *b = &view.operands[1].shape;
        rows = a->rank > 1 ? a->dims[a->rank - 2] : 1;
        columns = b->rank > 1 ? b->dims[b->rank - 1] : 1;
    }
    if (!hd_shape_is_valid(&view.operands[2].shape, HD_INT32)) {
        hd_operation_fail(operation, error, HD_INVALID_ARGUMENT, "its output is too large");
        return HD_INFER_FAILED;
    }
    if (!check_factors(operation, roles, rows, columns, error)) {
        return HD_INFER_FAILED;
    }
    if (hd_quantized_has(operation, roles->bias) &&
        (operation->inputs[roles->bias].dtype != HD_INT32 ||
         hd_shape_count(&operation->inputs[roles->bias].shape) != columns)) {
        hd_operation_fail(operation, error, HD_BAD_MODEL, "the bias does not fit");
        return HD_INFER_FAILED;
    }
    operation->outputs[0].dtype =
        roles->y_zero >= 0 ? operation->inputs[roles->y_zero].dtype : HD_INT32;
    operation->outputs[0].shape = view.operands[2].shape;
    return HD_INFER_DONE;
}
