#include "hal/cpu/ops/movement.h"

#include <string.h>

#include "hal/cpu/ops/strided_copy.h"
#include "operation/slicing.h"

/* Several strided copies, each between one input and one output. Tiles are numbered copy by copy. */
typedef struct move_part {
    size_t source, target;                /* buffers */
    int64_t source_offset, target_offset; /* bytes */
    int64_t first_tile;
    hd_cpu_strided_copy copy;
} move_part;

typedef struct move {
    size_t count;
    move_part parts[];
} move;

static void run_move(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                     void *scratch)
{
    (void)scratch;
    const move *m = parameters;
    /* the last part that begins at `begin` or before lies between */
    size_t first = 0, behind = m->count;
    while (behind - first > 1) {
        size_t middle = first + (behind - first) / 2;
        if (m->parts[middle].first_tile <= begin) {
            first = middle;
        } else {
            behind = middle;
        }
    }
    for (size_t i = first; i < m->count && m->parts[i].first_tile < end; i++) {
        const move_part *part = &m->parts[i];
        int64_t from = begin > part->first_tile ? begin - part->first_tile : 0;
        int64_t to = end - part->first_tile;
        to = to < part->copy.tile_count ? to : part->copy.tile_count;
        if (from < to && buffers[part->target] != NULL) {
            hd_cpu_strided_copy_run(
                &part->copy, (const unsigned char *)buffers[part->source] + part->source_offset,
                (unsigned char *)buffers[part->target] + part->target_offset, from, to);
        }
    }
}

static move *move_create(hd_cpu_compilation *compilation, size_t count)
{
    move *m = hd_cpu_parameters(compilation, sizeof *m + count * sizeof m->parts[0]);
    if (m != NULL) {
        m->count = count;
        compilation->kernel.run = run_move;
    }
    return m;
}

/* Numbers the tiles once all copies are prepared. */
static hd_status move_finish(hd_cpu_compilation *compilation, move *m)
{
    int64_t tile = 0;
    for (size_t i = 0; i < m->count; i++) {
        m->parts[i].first_tile = tile;
        tile += m->parts[i].copy.tile_count;
    }
    compilation->kernel.tile_count = tile < 1 ? 1 : tile;
    return HD_OK;
}

/* The whole output from input 0: `dims` in the output's order, the input read with `strides` from
 * element `offset` on. */
static hd_status compile_gather(hd_cpu_compilation *compilation, uint32_t rank, const int64_t *dims,
                                const int64_t *strides, int64_t offset)
{
    const hd_operation *operation = compilation->operation;
    size_t element = hd_dtype_size(operation->inputs[0].dtype);
    move *m = move_create(compilation, 1);
    if (m == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    int64_t target[HD_STRIDED_COPY_RANK], stride = 1;
    for (uint32_t i = rank; i-- > 0;) {
        target[i] = stride;
        stride *= dims[i];
    }
    m->parts[0].source = 0;
    m->parts[0].target = operation->input_count;
    m->parts[0].source_offset = offset * (int64_t)element;
    hd_cpu_strided_copy_prepare(&m->parts[0].copy, rank, dims, strides, target, element);
    return move_finish(compilation, m);
}

static hd_status compile_permutation(hd_cpu_compilation *compilation, const int64_t *axes)
{
    const hd_shape *shape = &compilation->operation->inputs[0].shape;
    int64_t strides[HD_MAX_RANK], dims[HD_MAX_RANK], permuted[HD_MAX_RANK];
    hd_shape_strides(shape, strides);
    for (uint32_t i = 0; i < shape->rank; i++) {
        dims[i] = shape->dims[axes[i]];
        permuted[i] = strides[axes[i]];
    }
    return compile_gather(compilation, shape->rank, dims, permuted, 0);
}

static hd_status compile_transpose(hd_cpu_compilation *compilation)
{
    uint32_t rank = compilation->operation->inputs[0].shape.rank;
    size_t count;
    const int64_t *permutation = hd_operation_ints(compilation->operation, "perm", &count);
    int64_t axes[HD_MAX_RANK];
    for (uint32_t i = 0; i < rank; i++) {
        axes[i] = permutation == NULL ? (int64_t)rank - 1 - i : permutation[i];
    }
    return compile_permutation(compilation, axes);
}

static hd_status compile_channels(hd_cpu_compilation *compilation)
{
    int64_t rank = compilation->operation->inputs[0].shape.rank;
    bool to_last = compilation->operation->id == HD_OP_HEDDLE_TO_CHANNELS_LAST;
    int64_t axes[HD_MAX_RANK] = {0};
    for (int64_t i = 1; i < rank; i++) {
        axes[i] = to_last ? (i == rank - 1 ? 1 : i + 1) : (i == 1 ? rank - 1 : i - 1);
    }
    return compile_permutation(compilation, axes);
}

/* Copies part `index` of an axis: `outer` rows of `row` elements, one side of them `whole` apart. */
static void prepare_part(move_part *part, int64_t outer, int64_t row, int64_t source_row,
                         int64_t target_row, size_t element)
{
    int64_t dims[2] = {outer, row}, source[2] = {source_row, 1}, target[2] = {target_row, 1};
    hd_cpu_strided_copy_prepare(&part->copy, 2, dims, source, target, element);
}

/* Concat and Split are the same copies in opposite directions. */
static hd_status compile_parts(hd_cpu_compilation *compilation, bool join)
{
    const hd_operation *operation = compilation->operation;
    const hd_operand *whole = join ? &operation->outputs[0] : &operation->inputs[0];
    const hd_operand *parts = join ? operation->inputs : operation->outputs;
    size_t count = join ? operation->input_count : operation->output_count;
    size_t element = hd_dtype_size(operation->inputs[0].dtype);
    int64_t axis = hd_operation_int(operation, "axis", join ? 1 : 0);
    hd_axis_normalize(&axis, whole->shape.rank);
    int64_t outer = hd_shape_count_range(&whole->shape, 0, (uint32_t)axis);
    int64_t whole_row = hd_shape_count_range(&whole->shape, (uint32_t)axis, whole->shape.rank);
    move *m = move_create(compilation, count);
    if (m == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    int64_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        move_part *part = &m->parts[i];
        int64_t row = hd_shape_count_range(&parts[i].shape, (uint32_t)axis, parts[i].shape.rank);
        part->source = join ? i : 0;
        part->target = operation->input_count + (join ? 0 : i);
        *(join ? &part->target_offset : &part->source_offset) = offset * (int64_t)element;
        prepare_part(part, outer, row, join ? row : whole_row, join ? whole_row : row, element);
        offset += row;
    }
    return move_finish(compilation, m);
}

static hd_status compile_concat(hd_cpu_compilation *compilation)
{
    return compile_parts(compilation, true);
}

/* Each axis in front of the joined one becomes two: the axis itself and its repeats, which stand still in the
 * input. */
static hd_status compile_concat_repeated(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *whole = &operation->outputs[0].shape;
    size_t element = hd_dtype_size(operation->inputs[0].dtype), count;
    int64_t axis = hd_operation_int(operation, "axis", 1), offset = 0;
    const int64_t *repeats = hd_operation_ints(operation, "repeats", &count);
    int64_t from[HD_MAX_RANK], to[HD_MAX_RANK];
    move *m = move_create(compilation, operation->input_count);
    if (m == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    hd_axis_normalize(&axis, whole->rank);
    hd_shape_strides(whole, to);
    for (size_t i = 0; i < operation->input_count; i++) {
        const hd_shape *shape = &operation->inputs[i].shape;
        int64_t dims[2 * HD_MAX_RANK], source[2 * HD_MAX_RANK], target[2 * HD_MAX_RANK];
        int64_t row = hd_shape_count_range(shape, (uint32_t)axis, shape->rank);
        uint32_t rank = 0;
        hd_shape_strides(shape, from);
        for (uint32_t j = 0; j < (uint32_t)axis; j++) {
            int64_t factor = repeats[i * shape->rank + j];
            dims[rank] = shape->dims[j];
            source[rank] = from[j];
            target[rank++] = to[j] * factor;
            if (factor > 1) {
                dims[rank] = factor;
                source[rank] = 0;
                target[rank++] = to[j];
            }
        }
        dims[rank] = row;
        source[rank] = target[rank] = 1;
        m->parts[i].source = i;
        m->parts[i].target = operation->input_count;
        m->parts[i].target_offset = offset * (int64_t)element;
        hd_cpu_strided_copy_prepare(&m->parts[i].copy, rank + 1, dims, source, target, element);
        offset += row;
    }
    return move_finish(compilation, m);
}

static hd_status compile_split(hd_cpu_compilation *compilation)
{
    return compile_parts(compilation, false);
}

static hd_status compile_slice(hd_cpu_compilation *compilation)
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
    return compile_gather(compilation, shape->rank, slicing.count, strides, offset);
}

static hd_status compile_expand(hd_cpu_compilation *compilation)
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
    return compile_gather(compilation, to->rank, to->dims, expanded, 0);
}

/* Each axis becomes two: the repeat, which stands still in the input, and the axis itself. */
static hd_status compile_tile(hd_cpu_compilation *compilation)
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
    return compile_gather(compilation, 2 * from->rank, dims, strides, 0);
}

/* As six axes. DepthToSpace: [N, b, b, C, H, W] (DCR) or [N, C, b, b, H, W] (CRD) to
 * [N, C, H, b, W, b]. SpaceToDepth: [N, C, H, b, W, b] to [N, b, b, C, H, W] or [N, C, b, b, H, W]. */
static hd_status compile_depth(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const int64_t *from = operation->inputs[0].shape.dims, *to = operation->outputs[0].shape.dims;
    int64_t block = hd_operation_int(operation, "blocksize", 1);
    bool columns = strcmp(hd_operation_string(operation, "mode", "DCR"), "CRD") == 0;
    static const int orders[4][6] = {
        {0, 3, 4, 1, 5, 2}, {0, 1, 4, 2, 5, 3}, {0, 3, 5, 1, 2, 4}, {0, 1, 3, 5, 2, 4}};
    hd_shape split = {.rank = 6};
    int order;
    if (operation->id == HD_OP_DEPTH_TO_SPACE) {
        order = columns ? 1 : 0;
        int64_t deep[6] = {from[0], block, block, to[1], from[2], from[3]};
        int64_t crd[6] = {from[0], to[1], block, block, from[2], from[3]};
        memcpy(split.dims, columns ? crd : deep, sizeof deep);
    } else {
        order = columns ? 3 : 2;
        int64_t space[6] = {from[0], from[1], to[2], block, to[3], block};
        memcpy(split.dims, space, sizeof space);
    }
    int64_t strides[HD_MAX_RANK], dims[6], permuted[6];
    hd_shape_strides(&split, strides);
    for (int i = 0; i < 6; i++) {
        dims[i] = split.dims[orders[order][i]];
        permuted[i] = strides[orders[order][i]];
    }
    return compile_gather(compilation, 6, dims, permuted, 0);
}

const hd_cpu_operator hd_cpu_operators_movement[] = {
    {HD_OP_DROPOUT, hd_cpu_compile_dropout},
    {HD_OP_TRANSPOSE, compile_transpose},
    {HD_OP_HEDDLE_TO_CHANNELS_LAST, compile_channels},
    {HD_OP_HEDDLE_FROM_CHANNELS_LAST, compile_channels},
    {HD_OP_CONCAT, compile_concat},
    {HD_OP_HEDDLE_CONCAT_REPEATED, compile_concat_repeated},
    {HD_OP_SPLIT, compile_split},
    {HD_OP_SLICE, compile_slice},
    {HD_OP_PAD, hd_cpu_compile_pad},
    {HD_OP_CENTER_CROP_PAD, hd_cpu_compile_pad},
    {HD_OP_TILE, compile_tile},
    {HD_OP_EXPAND, compile_expand},
    {HD_OP_DEPTH_TO_SPACE, compile_depth},
    {HD_OP_SPACE_TO_DEPTH, compile_depth},
    {HD_OP_TRILU, hd_cpu_compile_trilu},
    {HD_OP_REVERSE_SEQUENCE, hd_cpu_compile_reverse_sequence},
    {HD_OP_SHAPE, hd_cpu_compile_shape_of},
    {HD_OP_SIZE, hd_cpu_compile_size},
    {HD_OP_EYE_LIKE, hd_cpu_compile_eye_like},
    {HD_OP_CONSTANT_OF_SHAPE, hd_cpu_compile_constant_of_shape},
    {HD_OP_RANGE, hd_cpu_compile_range},
    {0},
};
