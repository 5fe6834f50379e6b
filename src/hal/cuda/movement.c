/* Operators that are strided copies. */
#include "hal/cuda/movement.h"

#include <string.h>

#include "operation/slicing.h"

bool hd_cuda_can_move(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    return hd_cuda_moves(operation);
}

/* The whole output, row-major, from input 0. */
static hd_status add_whole(hd_cuda_compilation *compilation, uint32_t rank, const int64_t *dims,
                           const int64_t *strides, int64_t offset)
{
    const hd_operation *operation = compilation->operation;
    hd_cuda_box box = {.source = 0,
                       .target = (uint16_t)operation->input_count,
                       .source_offset = offset,
                       .rank = rank,
                       .element = hd_dtype_size(operation->inputs[0].dtype)};
    int64_t stride = 1;
    for (uint32_t i = rank; i-- > 0;) {
        box.dims[i] = dims[i];
        box.source_strides[i] = strides[i];
        box.target_strides[i] = stride;
        stride *= dims[i];
    }
    return hd_cuda_add_copy(compilation, &box);
}

static hd_status add_permutation(hd_cuda_compilation *compilation, const int64_t *axes)
{
    const hd_shape *shape = &compilation->operation->inputs[0].shape;
    int64_t strides[HD_MAX_RANK], dims[HD_MAX_RANK], permuted[HD_MAX_RANK];
    hd_shape_strides(shape, strides);
    for (uint32_t i = 0; i < shape->rank; i++) {
        dims[i] = shape->dims[axes[i]];
        permuted[i] = strides[axes[i]];
    }
    return add_whole(compilation, shape->rank, dims, permuted, 0);
}

static hd_status compile_transpose(hd_cuda_compilation *compilation)
{
    uint32_t rank = compilation->operation->inputs[0].shape.rank;
    size_t count;
    const int64_t *permutation = hd_operation_ints(compilation->operation, "perm", &count);
    int64_t axes[HD_MAX_RANK];
    for (uint32_t i = 0; i < rank; i++) {
        axes[i] = permutation == NULL ? (int64_t)rank - 1 - i : permutation[i];
    }
    return add_permutation(compilation, axes);
}

static hd_status compile_channels(hd_cuda_compilation *compilation)
{
    int64_t rank = compilation->operation->inputs[0].shape.rank;
    bool to_last = compilation->operation->id == HD_OP_HEDDLE_TO_CHANNELS_LAST;
    int64_t axes[HD_MAX_RANK] = {0};
    for (int64_t i = 1; i < rank; i++) {
        axes[i] = to_last ? (i == rank - 1 ? 1 : i + 1) : (i == 1 ? rank - 1 : i - 1);
    }
    return add_permutation(compilation, axes);
}

/* Concat and Split are the same copies in opposite directions. */
static hd_status compile_parts(hd_cuda_compilation *compilation, bool join)
{
    const hd_operation *operation = compilation->operation;
    const hd_operand *whole = join ? &operation->outputs[0] : &operation->inputs[0];
    const hd_operand *parts = join ? operation->inputs : operation->outputs;
    size_t count = join ? operation->input_count : operation->output_count;
    int64_t axis = hd_operation_int(operation, "axis", join ? 1 : 0);
    hd_axis_normalize(&axis, whole->shape.rank);
    int64_t outer = hd_shape_count_range(&whole->shape, 0, (uint32_t)axis);
    int64_t whole_row = hd_shape_count_range(&whole->shape, (uint32_t)axis, whole->shape.rank);
    hd_status status = HD_OK;
    int64_t offset = 0;
    for (size_t i = 0; i < count && status == HD_OK; i++) {
        int64_t row = hd_shape_count_range(&parts[i].shape, (uint32_t)axis, parts[i].shape.rank);
        hd_cuda_box box = {.source = join ? (uint16_t)i : 0,
                           .target = (uint16_t)(operation->input_count + (join ? 0 : i)),
                           .source_offset = join ? 0 : offset,
                           .target_offset = join ? offset : 0,
                           .rank = 2,
                           .dims = {outer, row},
                           .source_strides = {join ? row : whole_row, 1},
                           .target_strides = {join ? whole_row : row, 1},
                           .element = hd_dtype_size(operation->inputs[0].dtype)};
        if (parts[i].dtype != HD_DTYPE_NONE) {
            status = hd_cuda_add_copy(compilation, &box);
        }
        offset += row;
    }
    return status;
}

static hd_status compile_concat(hd_cuda_compilation *compilation)
{
    return compile_parts(compilation, true);
}

/* An output that nobody wants has no shape, so that what follows it has no place. */
static bool supports_split(const hd_cuda_unit *unit, const hd_operation *operation)
{
    bool all = true;
    for (size_t i = 0; i < operation->output_count; i++) {
        all = all && operation->outputs[i].dtype != HD_DTYPE_NONE;
    }
    return all && hd_cuda_can_move(unit, operation);
}

static hd_status compile_split(hd_cuda_compilation *compilation)
{
    return compile_parts(compilation, false);
}

/* Each axis in front of the joined one becomes two: the axis itself and its repeats, which stand still in the
 * input. */
static hd_status compile_concat_repeated(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *whole = &operation->outputs[0].shape;
    int64_t axis = hd_operation_int(operation, "axis", 1), from[HD_MAX_RANK], to[HD_MAX_RANK];
    size_t count;
    const int64_t *repeats = hd_operation_ints(operation, "repeats", &count);
    hd_axis_normalize(&axis, whole->rank);
    hd_shape_strides(whole, to);
    hd_status status = HD_OK;
    int64_t offset = 0;
    for (size_t i = 0; i < operation->input_count && status == HD_OK; i++) {
        const hd_shape *shape = &operation->inputs[i].shape;
        int64_t row = hd_shape_count_range(shape, (uint32_t)axis, shape->rank);
        hd_cuda_box box = {.source = (uint16_t)i,
                           .target = (uint16_t)operation->input_count,
                           .target_offset = offset,
                           .element = hd_dtype_size(operation->inputs[0].dtype)};
        hd_shape_strides(shape, from);
        for (uint32_t j = 0; j < (uint32_t)axis; j++) {
            int64_t factor = repeats[i * shape->rank + j];
            box.dims[box.rank] = shape->dims[j];
            box.source_strides[box.rank] = from[j];
            box.target_strides[box.rank++] = to[j] * factor;
            if (factor > 1) {
                box.dims[box.rank] = factor;
                box.target_strides[box.rank++] = to[j];
            }
        }
        box.dims[box.rank] = row;
        box.source_strides[box.rank] = box.target_strides[box.rank] = 1;
        box.rank++;
        status = hd_cuda_add_copy(compilation, &box);
        offset += row;
    }
    return status;
}

static bool supports_slice(const hd_cuda_unit *unit, const hd_operation *operation)
{
    hd_slicing slicing;
    return hd_cuda_can_move(unit, operation) && hd_slicing_needs(operation) == 0 &&
           hd_slicing_read(operation, &slicing, NULL) == HD_OK;
}

static hd_status compile_slice(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    hd_slicing slicing;
    hd_status status = hd_slicing_read(operation, &slicing, compilation->error);
    if (status != HD_OK) {
        return status;
    }
    int64_t strides[HD_MAX_RANK], offset = 0;
    hd_shape_strides(shape, strides);
    for (uint32_t i = 0; i < shape->rank; i++) {
        offset += slicing.start[i] * strides[i];
        strides[i] *= slicing.step[i];
    }
    return add_whole(compilation, shape->rank, slicing.count, strides, offset);
}

static hd_status compile_expand(hd_cuda_compilation *compilation)
{
    const hd_shape *from = &compilation->operation->inputs[0].shape;
    const hd_shape *to = &compilation->operation->outputs[0].shape;
    int64_t strides[HD_MAX_RANK], expanded[HD_MAX_RANK];
    uint32_t missing = to->rank - from->rank;
    hd_shape_strides(from, strides);
    for (uint32_t i = 0; i < to->rank; i++) {
        bool repeated = i < missing || from->dims[i - missing] == 1;
        expanded[i] = repeated ? 0 : strides[i - missing];
    }
    return add_whole(compilation, to->rank, to->dims, expanded, 0);
}

/* Each axis becomes two: the repeat, which stands still in the input, and the axis itself. */
static hd_status compile_tile(hd_cuda_compilation *compilation)
{
    const hd_shape *from = &compilation->operation->inputs[0].shape;
    const hd_shape *to = &compilation->operation->outputs[0].shape;
    int64_t dims[2 * HD_MAX_RANK], strides[2 * HD_MAX_RANK], inner[HD_MAX_RANK];
    hd_shape_strides(from, inner);
    for (uint32_t i = 0; i < from->rank; i++) {
        dims[2 * i] = from->dims[i] == 0 ? 0 : to->dims[i] / from->dims[i];
        dims[2 * i + 1] = from->dims[i];
        strides[2 * i] = 0;
        strides[2 * i + 1] = inner[i];
    }
    return add_whole(compilation, 2 * from->rank, dims, strides, 0);
}

/* As six axes. DepthToSpace: [N, b, b, C, H, W] (DCR) or [N, C, b, b, H, W] (CRD) to
 * [N, C, H, b, W, b]. SpaceToDepth: [N, C, H, b, W, b] to [N, b, b, C, H, W] or [N, C, b, b, H, W]. */
static hd_status compile_depth(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const int64_t *from = operation->inputs[0].shape.dims, *to = operation->outputs[0].shape.dims;
    int64_t block = hd_operation_int(operation, "blocksize", 1);
    bool columns = strcmp(hd_operation_string(operation, "mode", "DCR"), "CRD") == 0;
    static const int orders[4][6] = {
        {0, 3, 4, 1, 5, 2}, {0, 1, 4, 2, 5, 3}, {0, 3, 5, 1, 2, 4}, {0, 1, 3, 5, 2, 4}};
    const int64_t splits[4][6] = {{from[0], block, block, to[1], from[2], from[3]},
                                  {from[0], to[1], block, block, from[2], from[3]},
                                  {from[0], from[1], to[2], block, to[3], block},
                                  {from[0], from[1], to[2], block, to[3], block}};
    int kind = (operation->id == HD_OP_SPACE_TO_DEPTH ? 2 : 0) + (columns ? 1 : 0);
    hd_shape split = {.rank = 6};
    int64_t strides[HD_MAX_RANK], dims[6], permuted[6];
    memcpy(split.dims, splits[kind], sizeof splits[kind]);
    hd_shape_strides(&split, strides);
    for (int i = 0; i < 6; i++) {
        dims[i] = split.dims[orders[kind][i]];
        permuted[i] = strides[orders[kind][i]];
    }
    return add_whole(compilation, 6, dims, permuted, 0);
}

const hd_cuda_operator hd_cuda_operators_movement[] = {
    {HD_OP_TRANSPOSE, hd_cuda_can_move, compile_transpose},
    {HD_OP_HEDDLE_TO_CHANNELS_LAST, hd_cuda_can_move, compile_channels},
    {HD_OP_HEDDLE_FROM_CHANNELS_LAST, hd_cuda_can_move, compile_channels},
    {HD_OP_CONCAT, hd_cuda_can_move, compile_concat},
    {HD_OP_HEDDLE_CONCAT_REPEATED, hd_cuda_can_move, compile_concat_repeated},
    {HD_OP_SPLIT, supports_split, compile_split},
    {HD_OP_SLICE, supports_slice, compile_slice},
    {HD_OP_TILE, hd_cuda_can_move, compile_tile},
    {HD_OP_EXPAND, hd_cuda_can_move, compile_expand},
    {HD_OP_DEPTH_TO_SPACE, hd_cuda_can_move, compile_depth},
    {HD_OP_SPACE_TO_DEPTH, hd_cuda_can_move, compile_depth},
    {HD_OP_NONE, NULL, NULL}};
