#include "graph/ops/movement.h"

#include <string.h>

#include "operation/padding.h"
#include "operation/slicing.h"

hd_infer_result hd_infer_transpose(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_operand *input = &operation->inputs[0];
    size_t count;
    const int64_t *permutation = hd_operation_ints(operation, "perm", &count);
    uint32_t rank = input->shape.rank, seen = 0;
    if (permutation != NULL && count != rank) {
        return hd_infer_reject(operation, error, "perm's length differs from the rank");
    }
    hd_shape shape = {.rank = rank};
    for (uint32_t i = 0; i < rank; i++) {
        int64_t axis = permutation == NULL ? (int64_t)rank - 1 - i : permutation[i];
        if (axis < 0 || axis >= (int64_t)rank || (seen >> axis & 1) != 0) {
            return hd_infer_reject(operation, error, "perm is no permutation");
        }
        seen |= 1U << axis;
        shape.dims[i] = input->shape.dims[axis];
    }
    operation->outputs[0].dtype = input->dtype;
    operation->outputs[0].shape = shape;
    return HD_INFER_DONE;
}

/* "heddle.TransposeMatrix": the first dimension moved behind all but the last, where `batch` is set; then the last two
 * exchanged, where `matrix` is. */
hd_infer_result hd_infer_transpose_matrix(hd_operation *operation, size_t *needed_input,
                                          hd_error *error)
{
    (void)needed_input;
    const hd_operand *input = &operation->inputs[0];
    const uint32_t rank = input->shape.rank;
    if (rank < 2) {
        return hd_infer_reject(operation, error, "there is no matrix to transpose");
    }
    hd_shape shape = input->shape;
    for (uint32_t i = 0; i + 2 < rank && hd_operation_int(operation, "batch", 0) != 0; i++) {
        shape.dims[i] = input->shape.dims[i + 1];
        shape.dims[rank - 2] = input->shape.dims[0];
    }
    if (hd_operation_int(operation, "matrix", 0) != 0) {
        int64_t last = shape.dims[rank - 1];
        shape.dims[rank - 1] = shape.dims[rank - 2];
        shape.dims[rank - 2] = last;
    }
    operation->outputs[0].dtype = input->dtype;
    operation->outputs[0].shape = shape;
    return HD_INFER_DONE;
}

/* "heddle.ToChannelsLast" takes [N, C, D…] to [N, D…, C], and "heddle.FromChannelsLast" back. */
hd_infer_result hd_infer_turn(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_operand *input = &operation->inputs[0];
    uint32_t rank = input->shape.rank;
    if (rank < 3) {
        return hd_infer_reject(operation, error, "there is no spatial axis");
    }
    bool to_last = operation->id == HD_OP_HEDDLE_TO_CHANNELS_LAST;
    hd_shape shape = input->shape;
    for (uint32_t i = 1; i < rank; i++) {
        uint32_t from = to_last ? (i == rank - 1 ? 1 : i + 1) : (i == 1 ? rank - 1 : i - 1);
        shape.dims[i] = input->shape.dims[from];
    }
    operation->outputs[0].dtype = input->dtype;
    operation->outputs[0].shape = shape;
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_concat(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_operand *first = &operation->inputs[0];
    hd_shape shape = first->shape;
    int64_t axis = hd_operation_int(operation, "axis", 1);
    if (!hd_axis_normalize(&axis, shape.rank)) {
        return hd_infer_reject(operation, error, "axis is outside the rank");
    }
    for (size_t i = 1; i < operation->input_count; i++) {
        const hd_operand *input = &operation->inputs[i];
        bool fits = input->dtype == first->dtype && input->shape.rank == shape.rank;
        for (uint32_t j = 0; fits && j < shape.rank; j++) {
            fits = j == (uint32_t)axis || input->shape.dims[j] == shape.dims[j];
        }
        if (!fits ||
            __builtin_add_overflow(shape.dims[axis], input->shape.dims[axis], &shape.dims[axis])) {
            char text[2][96];
            hd_operation_fail(
                operation, error, HD_INVALID_ARGUMENT,
                "input %zu, %s %s, does not continue %s %s along axis %lld", i,
                hd_dtype_name(input->dtype), hd_shape_text(&input->shape, text[0], sizeof text[0]),
                hd_dtype_name(first->dtype), hd_shape_text(&first->shape, text[1], sizeof text[1]),
                (long long)axis);
            return HD_INFER_FAILED;
        }
    }
    operation->outputs[0].dtype = first->dtype;
    operation->outputs[0].shape = shape;
    return HD_INFER_DONE;
}

/* "heddle.ConcatRepeated": see graph/fuse_repeats.c. */
hd_infer_result hd_infer_concat_repeated(hd_operation *operation, size_t *needed_input,
                                         hd_error *error)
{
    (void)needed_input;
    hd_shape shape = operation->inputs[0].shape;
    int64_t axis = hd_operation_int(operation, "axis", 1);
    size_t count;
    const int64_t *repeats = hd_operation_ints(operation, "repeats", &count);
    if (!hd_axis_normalize(&axis, shape.rank) || count != operation->input_count * shape.rank) {
        return hd_infer_reject(operation, error, "axis or repeats do not fit the rank");
    }
    for (uint32_t j = 0; j < shape.rank; j++) {
        shape.dims[j] = (int64_t)j == axis ? 0 : shape.dims[j] * repeats[j];
    }
    for (size_t i = 0; i < operation->input_count; i++) {
        const hd_operand *input = &operation->inputs[i];
        bool fits = input->dtype == operation->inputs[0].dtype && input->shape.rank == shape.rank;
        for (uint32_t j = 0; fits && j < shape.rank; j++) {
            fits = (int64_t)j == axis
                       ? repeats[i * shape.rank + j] == 1
                       : input->shape.dims[j] * repeats[i * shape.rank + j] == shape.dims[j];
        }
        if (!fits) {
            return hd_infer_reject(operation, error, "the inputs do not fit one another");
        }
        shape.dims[axis] += input->shape.dims[axis];
    }
    operation->outputs[0].dtype = operation->inputs[0].dtype;
    operation->outputs[0].shape = shape;
    return HD_INFER_DONE;
}

/* The size of output `index` when the sizes are not given: equal ones, the last smaller (opset 18). */
static int64_t equal_part(int64_t dim, int64_t parts, int64_t index)
{
    int64_t size = dim / parts + (dim % parts != 0);
    int64_t begin = index * size;
    return begin >= dim ? 0 : dim - begin < size ? dim - begin : size;
}

hd_infer_result hd_infer_split(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    const hd_operand *input = &operation->inputs[0];
    int64_t axis = hd_operation_int(operation, "axis", 0);
    int64_t parts = (int64_t)operation->output_count;
    if (!hd_axis_normalize(&axis, input->shape.rank) || parts == 0) {
        return hd_infer_reject(operation, error, "axis is outside the rank");
    }
    int64_t dim = input->shape.dims[axis], total = 0;
    size_t count = (size_t)parts;
    const int64_t *values = NULL;
    const hd_operand *sizes = NULL;
    if (operation->opset < 13) {
        values = hd_operation_ints(operation, "split", &count);
        count = values == NULL ? (size_t)parts : count;
    } else if (hd_operation_has(operation, 1)) {
        sizes = &operation->inputs[1];
        if (sizes->data == NULL) {
            return hd_infer_need(1, needed_input);
        }
        count = (size_t)hd_shape_count(&sizes->shape);
    }
    if (count != (size_t)parts || (sizes != NULL && !hd_infer_is_index(sizes)) ||
        hd_operation_int(operation, "num_outputs", parts) != parts) {
        return hd_infer_reject(operation, error, "there are more or fewer sizes than outputs");
    }
    if (values == NULL && sizes == NULL && operation->opset < 18 && dim % parts != 0) {
        return hd_infer_reject(operation, error, "the axis has no equal parts");
    }
    for (int64_t i = 0; i < parts; i++) {
        int64_t size = values != NULL  ? values[i]
                       : sizes != NULL ? hd_operand_int(sizes, i)
                                       : equal_part(dim, parts, i);
        if (size < 0 || size > dim - total) {
            return hd_infer_reject(operation, error, "the sizes do not add up to the axis");
        }
        total += size;
        operation->outputs[i].dtype = input->dtype;
        operation->outputs[i].shape = input->shape;
        operation->outputs[i].shape.dims[axis] = size;
    }
    if (total != dim) {
        return hd_infer_reject(operation, error, "the sizes do not add up to the axis");
    }
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_slice(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    size_t needed = hd_slicing_needs(operation);
    if (needed != 0) {
        return hd_infer_need(needed, needed_input);
    }
    hd_slicing slicing;
    if (hd_slicing_read(operation, &slicing, error) != HD_OK) {
        return HD_INFER_FAILED;
    }
    hd_operand *output = &operation->outputs[0];
    output->dtype = operation->inputs[0].dtype;
    output->shape.rank = operation->inputs[0].shape.rank;
    memcpy(output->shape.dims, slicing.count, output->shape.rank * sizeof slicing.count[0]);
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_padding(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    size_t needed = hd_padding_needs(operation);
    if (needed != 0) {
        return hd_infer_need(needed, needed_input);
    }
    if (operation->opset >= 11 && operation->id == HD_OP_PAD && hd_operation_has(operation, 2) &&
        (operation->inputs[2].dtype != operation->inputs[0].dtype ||
         hd_shape_count(&operation->inputs[2].shape) != 1)) {
        return hd_infer_reject(operation, error, "constant_value is no scalar of the data's dtype");
    }
    hd_padding padding;
    if (hd_padding_read(operation, &padding, error) != HD_OK) {
        return HD_INFER_FAILED;
    }
    hd_operand *output = &operation->outputs[0];
    output->dtype = operation->inputs[0].dtype;
    output->shape = operation->inputs[0].shape;
    for (uint32_t i = 0; i < output->shape.rank; i++) {
        output->shape.dims[i] += padding.before[i] + padding.after[i];
    }
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_tile(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    const hd_operand *input = &operation->inputs[0], *repeats = &operation->inputs[1];
    if (repeats->data == NULL && input->shape.rank > 0) {
        return hd_infer_need(1, needed_input);
    }
    if (hd_shape_count(&repeats->shape) != input->shape.rank || !hd_infer_is_index(repeats)) {
        return hd_infer_reject(operation, error, "there are more or fewer repeats than axes");
    }
    hd_shape shape = input->shape;
    for (uint32_t i = 0; i < shape.rank; i++) {
        int64_t repeat = hd_operand_int(repeats, i);
        if (repeat < 0 || __builtin_mul_overflow(shape.dims[i], repeat, &shape.dims[i])) {
            return hd_infer_reject(operation, error, "a repeat is negative or too large");
        }
    }
    operation->outputs[0].dtype = input->dtype;
    operation->outputs[0].shape = shape;
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_expand(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    const hd_operand *input = &operation->inputs[0], *target = &operation->inputs[1];
    int64_t rank = hd_shape_count(&target->shape);
    if (target->data == NULL && rank > 0) {
        return hd_infer_need(1, needed_input);
    }
    if (!hd_infer_is_index(target) || rank > HD_MAX_RANK) {
        return hd_infer_reject(operation, error, "the shape is no list of up to 8 integers");
    }
    hd_shape shape = {.rank = (uint32_t)rank};
    for (int64_t i = 0; i < rank; i++) {
        shape.dims[i] = hd_operand_int(target, i);
        if (shape.dims[i] < 0) {
            return hd_infer_reject(operation, error, "the shape has a negative number");
        }
    }
    operation->outputs[0].dtype = input->dtype;
    if (!hd_shape_broadcast(&input->shape, &shape, &operation->outputs[0].shape)) {
        char text[2][96];
        hd_operation_fail(operation, error, HD_INVALID_ARGUMENT, "%s does not broadcast to %s",
                          hd_shape_text(&input->shape, text[0], sizeof text[0]),
                          hd_shape_text(&shape, text[1], sizeof text[1]));
        return HD_INFER_FAILED;
    }
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_depth(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_operand *input = &operation->inputs[0];
    bool to_space = operation->id == HD_OP_DEPTH_TO_SPACE;
    int64_t block = hd_operation_int(operation, "blocksize", 0);
    hd_shape shape = input->shape;
    if (shape.rank != 4 || block < 1 || block > 1 << 20) {
        return hd_infer_reject(operation, error, "needs 4 axes and a blocksize of at least 1");
    }
    int64_t area = block * block;
    if (to_space ? shape.dims[1] % area != 0
                 : shape.dims[2] % block != 0 || shape.dims[3] % block != 0) {
        return hd_infer_reject(operation, error, "the blocksize does not divide the axes");
    }
    bool fits = true;
    if (to_space) {
        shape.dims[1] /= area;
        fits = !__builtin_mul_overflow(shape.dims[2], block, &shape.dims[2]) &&
               !__builtin_mul_overflow(shape.dims[3], block, &shape.dims[3]);
    } else {
        fits = !__builtin_mul_overflow(shape.dims[1], area, &shape.dims[1]);
        shape.dims[2] /= block;
        shape.dims[3] /= block;
    }
    if (!fits) {
        return hd_infer_reject(operation, error, "the result is too large");
    }
    operation->outputs[0].dtype = input->dtype;
    operation->outputs[0].shape = shape;
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_trilu(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    if (operation->inputs[0].shape.rank < 2) {
        return hd_infer_reject(operation, error, "the input is no matrix");
    }
    if (hd_operation_has(operation, 1) && (operation->inputs[1].dtype != HD_INT64 ||
                                           hd_shape_count(&operation->inputs[1].shape) != 1)) {
        return hd_infer_reject(operation, error, "k is no int64 scalar");
    }
    return hd_infer_same(operation, needed_input, error);
}

hd_infer_result hd_infer_reverse_sequence(hd_operation *operation, size_t *needed_input,
                                          hd_error *error)
{
    const hd_shape *shape = &operation->inputs[0].shape, *lengths = &operation->inputs[1].shape;
    int64_t batch = hd_operation_int(operation, "batch_axis", 1);
    int64_t time = hd_operation_int(operation, "time_axis", 0);
    if (shape->rank < 2 || batch < 0 || batch > 1 || time != 1 - batch) {
        return hd_infer_reject(operation, error, "batch_axis and time_axis are not 0 and 1");
    }
    if (operation->inputs[1].dtype != HD_INT64 || lengths->rank != 1 ||
        lengths->dims[0] != shape->dims[batch]) {
        return hd_infer_reject(operation, error, "needs one int64 length a batch entry");
    }
    return hd_infer_same(operation, needed_input, error);
}
