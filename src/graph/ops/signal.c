#include "graph/ops/inference.h"

static hd_infer_result reject(const hd_operation *operation, hd_error *error, const char *sentence)
{
    hd_operation_fail(operation, error, HD_INVALID_ARGUMENT, "%s", sentence);
    return HD_INFER_FAILED;
}

/* The first of inputs [begin, end) that is given but not known; 0: all are known. */
static size_t find_unknown(const hd_operation *operation, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++) {
        if (hd_operation_has(operation, i) && operation->inputs[i].data == NULL) {
            return i;
        }
    }
    return 0;
}

/* Whether input `index`, if it is given, has one element. */
static bool is_single(const hd_operation *operation, size_t index)
{
    return !hd_operation_has(operation, index) ||
           hd_shape_count(&operation->inputs[index].shape) == 1;
}

/* The output's bins of a transform over `length` points. */
static int64_t count_bins(const hd_operation *operation, int64_t length, int64_t otherwise)
{
    return hd_operation_int(operation, "onesided", otherwise) != 0 ? length / 2 + 1 : length;
}

static bool is_real_type(hd_dtype dtype)
{
    return dtype == HD_FLOAT32 || dtype == HD_FLOAT64 || dtype == HD_FLOAT16 ||
           dtype == HD_BFLOAT16;
}

hd_infer_result hd_infer_dft(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    const hd_operand *input = &operation->inputs[0];
    *needed_input = find_unknown(operation, 1, 3);
    if (*needed_input != 0) {
        return HD_INFER_NEEDS_VALUE;
    }
    if (!is_single(operation, 1) || !is_single(operation, 2)) {
        return reject(operation, error, "length or axis is no scalar");
    }
    uint32_t rank = input->shape.rank;
    int64_t axis = operation->opset < 20            ? hd_operation_int(operation, "axis", 1)
                   : hd_operation_has(operation, 2) ? hd_operand_int(&operation->inputs[2], 0)
                                                    : -2;
    if (rank < 2 || !hd_axis_normalize(&axis, rank) || axis == (int64_t)rank - 1 ||
        !is_real_type(input->dtype) || input->shape.dims[rank - 1] < 1 ||
        input->shape.dims[rank - 1] > 2) {
        return reject(operation, error, "the input is no list of real or complex numbers");
    }
    /* Half a spectrum back to the real signal. */
    bool is_half = hd_operation_int(operation, "onesided", 0) != 0 &&
                   hd_operation_int(operation, "inverse", 0) != 0;
    int64_t points = input->shape.dims[axis];
    int64_t length = hd_operation_has(operation, 1) ? hd_operand_int(&operation->inputs[1], 0)
                     : is_half                      ? 2 * (points - 1)
                                                    : points;
    if (length < 1) {
        return reject(operation, error, "the length is not positive");
    }
    operation->outputs[0].dtype = input->dtype;
    operation->outputs[0].shape = input->shape;
    operation->outputs[0].shape.dims[axis] = is_half ? length : count_bins(operation, length, 0);
    operation->outputs[0].shape.dims[rank - 1] = is_half ? 1 : 2;
    return HD_INFER_DONE;
}

/* The signal is [batch, points, 1 or 2], or [batch, points]; without a length and a window, all of it is one frame. */
hd_infer_result hd_infer_stft(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    const hd_operand *signal = &operation->inputs[0], *window = &operation->inputs[2];
    bool has_window = hd_operation_has(operation, 2), has_length = hd_operation_has(operation, 3);
    *needed_input = find_unknown(operation, 1, 2);
    *needed_input = *needed_input != 0 ? *needed_input : find_unknown(operation, 3, 4);
    if (*needed_input != 0) {
        return HD_INFER_NEEDS_VALUE;
    }
    int64_t components = signal->shape.rank == 2 ? 1 : signal->shape.dims[2];
    if (!is_single(operation, 1) || !is_single(operation, 3)) {
        return reject(operation, error, "frame step or frame length is no scalar");
    }
    if (signal->shape.rank < 2 || signal->shape.rank > 3 || components < 1 || components > 2 ||
        !is_real_type(signal->dtype) ||
        (has_window && (window->shape.rank != 1 || window->dtype != signal->dtype))) {
        return reject(operation, error, "signal or window do not fit");
    }
    int64_t step = hd_operand_int(&operation->inputs[1], 0);
    int64_t length = has_length   ? hd_operand_int(&operation->inputs[3], 0)
                     : has_window ? window->shape.dims[0]
                                  : signal->shape.dims[1];
    if (step < 1 || length < 1 || length > signal->shape.dims[1] ||
        (has_window && window->shape.dims[0] != length)) {
        return reject(operation, error,
                      "frame step, frame length and window do not fit the signal");
    }
    operation->outputs[0].dtype = signal->dtype;
    operation->outputs[0].shape =
        (hd_shape){.rank = 4,
                   .dims = {signal->shape.dims[0], (signal->shape.dims[1] - length) / step + 1,
                            count_bins(operation, length, 1), 2}};
    return HD_INFER_DONE;
}

/* output_datatype: float32 or float64 are computed. */
static bool read_output_type(hd_operation *operation, hd_error *error)
{
    int64_t dtype = hd_operation_int(operation, "output_datatype", HD_FLOAT32);
    if (dtype != HD_FLOAT32 && dtype != HD_FLOAT64) {
        hd_operation_fail(operation, error, HD_UNSUPPORTED, "output_datatype %lld",
                          (long long)dtype);
        return false;
    }
    operation->outputs[0].dtype = (hd_dtype)dtype;
    return true;
}

hd_infer_result hd_infer_signal_window(hd_operation *operation, size_t *needed_input,
                                       hd_error *error)
{
    if (operation->inputs[0].data == NULL) {
        *needed_input = 0;
        return HD_INFER_NEEDS_VALUE;
    }
    int64_t size = is_single(operation, 0) ? hd_operand_int(&operation->inputs[0], 0) : -1;
    if (size < 0) {
        return reject(operation, error, "the size is no scalar of at least 0");
    }
    operation->outputs[0].shape = (hd_shape){.rank = 1, .dims = {size}};
    return read_output_type(operation, error) ? HD_INFER_DONE : HD_INFER_FAILED;
}

hd_infer_result hd_infer_mel(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    for (size_t i = 0; i < 5; i++) {
        const hd_operand *input = &operation->inputs[i];
        if (hd_shape_count(&input->shape) != 1 ||
            (i < 3 ? input->dtype != HD_INT64 && input->dtype != HD_INT32
                   : input->dtype != HD_FLOAT32 && input->dtype != HD_FLOAT64)) {
            hd_operation_fail(operation, error, HD_UNSUPPORTED, "the dtype or shape of input %zu",
                              i);
            return HD_INFER_FAILED;
        }
        if (input->data == NULL) {
            *needed_input = i;
            return HD_INFER_NEEDS_VALUE;
        }
    }
    int64_t bins = hd_operand_int(&operation->inputs[0], 0);
    int64_t length = hd_operand_int(&operation->inputs[1], 0);
    if (bins < 0 || length < 0 || hd_operand_int(&operation->inputs[2], 0) < 1) {
        return reject(operation, error, "a count is negative or the sample rate not positive");
    }
    operation->outputs[0].shape = (hd_shape){.rank = 2, .dims = {length / 2 + 1, bins}};
    return read_output_type(operation, error) ? HD_INFER_DONE : HD_INFER_FAILED;
}
