#include <string.h>

#include "graph/ops/movement.h"
#include "operation/fused.h"

static bool read_axis(const hd_operation *operation, int64_t otherwise, uint32_t rank,
                      int64_t *axis)
{
    *axis = hd_operation_int(operation, "axis", otherwise);
    return hd_axis_normalize(axis, rank);
}

hd_infer_result hd_infer_gather(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_operand *data = &operation->inputs[0], *indices = &operation->inputs[1];
    int64_t axis;
    if (!read_axis(operation, 0, data->shape.rank, &axis) || !hd_infer_is_index(indices)) {
        return hd_infer_reject(operation, error, "axis is outside the rank, or no integer indices");
    }
    hd_shape shape = {0};
    if (data->shape.rank - 1 + indices->shape.rank > HD_MAX_RANK) {
        return hd_infer_reject(operation, error, "the result has more than 8 axes");
    }
    for (uint32_t i = 0; i < data->shape.rank; i++) {
        if (i != (uint32_t)axis) {
            shape.dims[shape.rank++] = data->shape.dims[i];
            continue;
        }
        for (uint32_t j = 0; j < indices->shape.rank; j++) {
            shape.dims[shape.rank++] = indices->shape.dims[j];
        }
    }
    if (data->shape.dims[axis] == 0 && hd_shape_count(&shape) > 0) {
        return hd_infer_reject(operation, error, "there is nothing to take from");
    }
    operation->outputs[0].dtype = data->dtype;
    operation->outputs[0].shape = shape;
    return HD_INFER_DONE;
}

/* The indices' shape stays within the data's on every axis but `axis`. */
static bool elements_fit(const hd_operand *data, const hd_operand *indices, int64_t axis)
{
    if (data->shape.rank != indices->shape.rank || !hd_infer_is_index(indices)) {
        return false;
    }
    for (uint32_t i = 0; i < data->shape.rank; i++) {
        if (i != (uint32_t)axis && indices->shape.dims[i] > data->shape.dims[i]) {
            return false;
        }
    }
    return data->shape.dims[axis] > 0 || hd_shape_count(&indices->shape) == 0;
}

hd_infer_result hd_infer_gather_elements(hd_operation *operation, size_t *needed_input,
                                         hd_error *error)
{
    (void)needed_input;
    const hd_operand *data = &operation->inputs[0], *indices = &operation->inputs[1];
    int64_t axis;
    if (!read_axis(operation, 0, data->shape.rank, &axis) || !elements_fit(data, indices, axis)) {
        return hd_infer_reject(operation, error, "axis or indices do not fit the data");
    }
    operation->outputs[0].dtype = data->dtype;
    operation->outputs[0].shape = indices->shape;
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_gather_nd(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_operand *data = &operation->inputs[0], *indices = &operation->inputs[1];
    int64_t batch = hd_operation_int(operation, "batch_dims", 0);
    uint32_t rank = data->shape.rank, index_rank = indices->shape.rank;
    if (index_rank == 0 || rank == 0 || batch < 0 || batch >= index_rank || batch > rank ||
        indices->dtype != HD_INT64) {
        return hd_infer_reject(operation, error, "indices or batch_dims do not fit the data");
    }
    int64_t depth = indices->shape.dims[index_rank - 1];
    if (depth > (int64_t)rank - batch) {
        return hd_infer_reject(operation, error,
                               "an index has more numbers than the data has axes");
    }
    hd_shape shape = {0};
    uint32_t taken = (uint32_t)(batch + depth);
    if (index_rank - 1 + rank - taken > HD_MAX_RANK) {
        return hd_infer_reject(operation, error, "the result has more than 8 axes");
    }
    bool fits = true;
    for (uint32_t i = 0; i + 1 < index_rank; i++) {
        fits = fits && (i >= batch || indices->shape.dims[i] == data->shape.dims[i]);
        shape.dims[shape.rank++] = indices->shape.dims[i];
    }
    for (uint32_t i = taken; i < rank; i++) {
        shape.dims[shape.rank++] = data->shape.dims[i];
    }
    bool empty = hd_shape_count_range(&data->shape, (uint32_t)batch, taken) == 0;
    if (!fits || (empty && hd_shape_count(&shape) > 0)) {
        return hd_infer_reject(operation, error, "batch axes differ, or nothing is to take from");
    }
    operation->outputs[0].dtype = data->dtype;
    operation->outputs[0].shape = shape;
    return HD_INFER_DONE;
}

static bool reduction_is_known(const hd_operation *operation)
{
    const char *reduction = hd_operation_string(operation, "reduction", "none");
    static const char *const names[] = {"none", "add", "mul", "max", "min"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(reduction, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

hd_infer_result hd_infer_scatter_elements(hd_operation *operation, size_t *needed_input,
                                          hd_error *error)
{
    const hd_operand *inputs = operation->inputs;
    int64_t axis;
    if (!read_axis(operation, 0, inputs[0].shape.rank, &axis) ||
        !elements_fit(&inputs[0], &inputs[1], axis) || !reduction_is_known(operation)) {
        return hd_infer_reject(operation, error, "axis, indices or reduction do not fit the data");
    }
    if (inputs[2].dtype != inputs[0].dtype || !hd_shape_equal(&inputs[1].shape, &inputs[2].shape)) {
        return hd_infer_reject(operation, error, "updates do not fit indices and data");
    }
    return hd_infer_same(operation, needed_input, error);
}

hd_infer_result hd_infer_scatter_nd(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    const hd_operand *data = &operation->inputs[0], *indices = &operation->inputs[1];
    const hd_operand *updates = &operation->inputs[2];
    uint32_t rank = data->shape.rank, index_rank = indices->shape.rank;
    if (index_rank == 0 || indices->dtype != HD_INT64 || updates->dtype != data->dtype ||
        !reduction_is_known(operation)) {
        return hd_infer_reject(operation, error,
                               "indices, updates or reduction do not fit the data");
    }
    int64_t depth = indices->shape.dims[index_rank - 1];
    bool fits =
        depth <= (int64_t)rank && updates->shape.rank == index_rank - 1 + rank - (uint32_t)depth;
    for (uint32_t i = 0; fits && i < updates->shape.rank; i++) {
        int64_t dim = i + 1 < index_rank ? indices->shape.dims[i]
                                         : data->shape.dims[depth + i - (index_rank - 1)];
        fits = updates->shape.dims[i] == dim;
    }
    if (!fits || (hd_shape_count(&data->shape) == 0 && hd_shape_count(&updates->shape) > 0)) {
        return hd_infer_reject(operation, error, "updates do not fit indices and data");
    }
    return hd_infer_same(operation, needed_input, error);
}

/* A number of any dtype as an integer; out of range: 0. */
static int64_t read_number(const hd_operand *operand)
{
    double value = 0;
    switch (operand->dtype) {
    case HD_FLOAT32:
        value = (double)*(const float *)operand->data;
        break;
    case HD_FLOAT64:
        value = *(const double *)operand->data;
        break;
    case HD_INT8:
        return *(const int8_t *)operand->data;
    case HD_UINT8:
        return *(const uint8_t *)operand->data;
    case HD_INT16:
        return *(const int16_t *)operand->data;
    case HD_UINT16:
        return *(const uint16_t *)operand->data;
    case HD_UINT32:
        return *(const uint32_t *)operand->data;
    case HD_UINT64:
        value = (double)*(const uint64_t *)operand->data;
        break;
    default:
        return hd_operand_int(operand, 0);
    }
    return value >= -9e15 && value <= 9e15 ? (int64_t)value : 0;
}

hd_infer_result hd_infer_one_hot(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    const hd_operand *indices = &operation->inputs[0], *depth = &operation->inputs[1];
    uint32_t rank = indices->shape.rank + 1;
    int64_t axis;
    if (rank > HD_MAX_RANK || !read_axis(operation, -1, rank, &axis) ||
        hd_shape_count(&depth->shape) != 1 || hd_shape_count(&operation->inputs[2].shape) != 2) {
        return hd_infer_reject(operation, error, "axis, depth or values do not fit");
    }
    if (depth->data == NULL) {
        return hd_infer_need(1, needed_input);
    }
    int64_t size = read_number(depth);
    if (size < 1) {
        return hd_infer_reject(operation, error, "depth is not positive");
    }
    hd_shape shape = {.rank = rank};
    for (uint32_t i = 0, from = 0; i < rank; i++) {
        shape.dims[i] = i == (uint32_t)axis ? size : indices->shape.dims[from++];
    }
    operation->outputs[0].dtype = operation->inputs[2].dtype;
    operation->outputs[0].shape = shape;
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_non_zero(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    (void)error;
    const hd_shape *shape = &operation->inputs[0].shape;
    operation->outputs[0].dtype = HD_INT64;
    operation->outputs[0].shape =
        (hd_shape){.rank = 2, .dims = {shape->rank, hd_shape_count(shape)}};
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_top_k(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    const hd_operand *input = &operation->inputs[0];
    int64_t axis, count = hd_operation_int(operation, "k", -1);
    if (!read_axis(operation, -1, input->shape.rank, &axis)) {
        return hd_infer_reject(operation, error, "axis is outside the rank");
    }
    if (operation->opset >= 10) {
        if (!hd_operation_has(operation, 1) || hd_shape_count(&operation->inputs[1].shape) != 1) {
            return hd_infer_reject(operation, error, "K is no scalar");
        }
        if (operation->inputs[1].data == NULL) {
            return hd_infer_need(1, needed_input);
        }
        count = hd_operand_int(&operation->inputs[1], 0);
    }
    if (count < 0 || count > input->shape.dims[axis]) {
        return hd_infer_reject(operation, error, "K is negative or larger than the axis");
    }
    for (size_t i = 0; i < operation->output_count; i++) {
        operation->outputs[i].dtype = i == 0 ? input->dtype : HD_INT64;
        operation->outputs[i].shape = input->shape;
        operation->outputs[i].shape.dims[axis] = count;
    }
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_unique(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_operand *input = &operation->inputs[0];
    hd_shape shape = {.rank = 1, .dims = {hd_shape_count(&input->shape)}};
    int64_t axis = 0;
    if (hd_operation_attribute(operation, "axis") != NULL) {
        if (!read_axis(operation, 0, input->shape.rank, &axis)) {
            return hd_infer_reject(operation, error, "axis is outside the rank");
        }
        shape = input->shape;
    }
    operation->outputs[0].dtype = input->dtype;
    operation->outputs[0].shape = shape;
    for (size_t i = 1; i < operation->output_count; i++) {
        operation->outputs[i].dtype = HD_INT64;
        operation->outputs[i].shape = (hd_shape){.rank = 1, .dims = {shape.dims[axis]}};
    }
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_compress(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_operand *input = &operation->inputs[0], *condition = &operation->inputs[1];
    if (condition->shape.rank != 1 || condition->dtype != HD_BOOL) {
        return hd_infer_reject(operation, error, "the condition is no list of bool");
    }
    hd_shape shape = {.rank = 1, .dims = {hd_shape_count(&input->shape)}};
    int64_t axis = 0;
    if (hd_operation_attribute(operation, "axis") != NULL) {
        if (!read_axis(operation, 0, input->shape.rank, &axis)) {
            return hd_infer_reject(operation, error, "axis is outside the rank");
        }
        shape = input->shape;
    }
    if (condition->shape.dims[0] < shape.dims[axis]) {
        shape.dims[axis] = condition->shape.dims[0];
    }
    operation->outputs[0].dtype = input->dtype;
    operation->outputs[0].shape = shape;
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_tensor_scatter(hd_operation *operation, size_t *needed_input,
                                        hd_error *error)
{
    const hd_shape *cache = &operation->inputs[0].shape, *update = &operation->inputs[1].shape;
    const char *mode = hd_operation_string(operation, "mode", "linear");
    int64_t axis = hd_operation_int(operation, "axis", -2);
    if (!hd_axis_normalize(&axis, cache->rank) || axis == 0 || update->rank != cache->rank) {
        return hd_infer_reject(operation, error, "the cache, the update and the axis do not fit");
    }
    if (strcmp(mode, "linear") != 0 && strcmp(mode, "circular") != 0) {
        return hd_infer_reject(operation, error, "there is no such mode");
    }
    for (uint32_t i = 0; i < cache->rank; i++) {
        if (i == axis ? update->dims[i] > cache->dims[i] : update->dims[i] != cache->dims[i]) {
            return hd_infer_reject(operation, error, "the update does not fit the cache");
        }
    }
    if (hd_operation_has(operation, 2) && (operation->inputs[2].shape.rank != 1 ||
                                           operation->inputs[2].shape.dims[0] != cache->dims[0])) {
        return hd_infer_reject(operation, error, "there is not one place for each entry");
    }
    return hd_infer_same(operation, needed_input, error);
}

/* The axis is an input; the kernel's tiles follow from it, so it is asked for here. */
hd_infer_result hd_infer_cum_sum(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    const hd_operand *axis_operand = &operation->inputs[1];
    if (!hd_infer_is_index(axis_operand) || hd_shape_count(&axis_operand->shape) != 1) {
        return hd_infer_reject(operation, error, "axis is no scalar");
    }
    if (axis_operand->data == NULL) {
        return hd_infer_need(1, needed_input);
    }
    int64_t axis = hd_operand_int(axis_operand, 0);
    if (!hd_axis_normalize(&axis, operation->inputs[0].shape.rank)) {
        return hd_infer_reject(operation, error, "axis is outside the rank");
    }
    return hd_infer_same(operation, needed_input, error);
}

hd_infer_result hd_infer_index_check(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    if (!hd_operation_is_fused(operation, HD_OP_HEDDLE_INDEX_CHECK) ||
        operation->fused->index_check.depth == 0) {
        hd_operation_fail(operation, error, HD_INTERNAL, "it knows no bounds");
        return HD_INFER_FAILED;
    }
    operation->outputs[0].dtype = HD_INT64;
    operation->outputs[0].shape = (hd_shape){.rank = 1, .dims = {HD_INDEX_CHECK_COUNT}};
    return HD_INFER_DONE;
}
