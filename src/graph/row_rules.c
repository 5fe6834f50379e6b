#include "graph/row_rules.h"

#include <string.h>

#include "operation/axes.h"
#include "operation/elementwise.h"
#include "operation/scaling.h"
#include "operation/slicing.h"

static const char mixes[] = "it mixes rows, or may";
static const char differs[] = "an operand depends on the number of rows";

uint32_t hd_rows_axis(const hd_shape *one, const hd_shape *many, int64_t count)
{
    uint32_t axis = HD_MAX_RANK;
    if (one->rank != many->rank) {
        return HD_MAX_RANK + 1;
    }
    for (uint32_t i = 0; i < one->rank; i++) {
        if (one->dims[i] == many->dims[i]) {
            continue;
        }
        if (axis != HD_MAX_RANK || one->dims[i] * count != many->dims[i]) {
            return HD_MAX_RANK + 1;
        }
        axis = i;
    }
    return axis;
}

static bool is_stacked(const hd_row_node *node, size_t input)
{
    return input < node->many->input_count && node->inputs[input].kind == HD_ROWS_STACKED;
}

static bool is_stacked_at(const hd_row_node *node, size_t input, uint32_t axis)
{
    return is_stacked(node, input) && node->inputs[input].axis == axis;
}

/* All inputs from `first` on are uniform. */
static bool rest_is_uniform(const hd_row_node *node, size_t first)
{
    for (size_t i = first; i < node->many->input_count; i++) {
        if (node->inputs[i].kind != HD_ROWS_UNIFORM) {
            return false;
        }
    }
    return true;
}

static uint32_t rank_of(const hd_row_node *node, size_t input)
{
    return node->many->inputs[input].shape.rank;
}

/* The attribute `axis` over `rank` dimensions; rank where it is out of range. */
static uint32_t axis_of(const hd_row_node *node, int64_t otherwise, uint32_t rank)
{
    int64_t axis = hd_operation_int(node->many, "axis", otherwise);
    return hd_axis_normalize(&axis, rank) ? (uint32_t)axis : rank;
}

/* An operand of this shape, with which `rank` dimensions broadcast from the right: stacked at
 * `axis` of those, or uniform and of size 1 there. */
static bool lies_along(hd_row_state state, const hd_shape *shape, uint32_t rank, uint32_t axis)
{
    uint32_t shift = rank - shape->rank; /* shapes broadcast, so it is not negative */
    switch (state.kind) {
    case HD_ROWS_STACKED:
        return state.axis + shift == axis;
    case HD_ROWS_UNIFORM:
        return axis < shift || shape->dims[axis - shift] == 1;
    case HD_ROWS_DIFFERENT:
        break;
    }
    return false;
}

static bool is_aligned(const hd_row_node *node, size_t input, uint32_t output_rank, uint32_t axis)
{
    return lies_along(node->inputs[input], &node->many->inputs[input].shape, output_rank, axis);
}

const char *hd_rows_elementwise(const hd_row_node *node, size_t index, uint32_t axis)
{
    uint32_t rank = node->many->outputs[index].shape.rank;
    for (size_t i = 0; i < node->many->input_count; i++) {
        hd_row_state state = node->inputs[i];
        hd_shape one, many; /* with the place that an operand may be given before opset 7 */
        if (!hd_operation_has(node->many, i)) {
            continue;
        }
        if (!hd_elementwise_shape(node->one, i, &one) ||
            !hd_elementwise_shape(node->many, i, &many)) {
            return mixes;
        }
        state.axis = hd_rows_axis(&one, &many, node->count);
        if (!lies_along(state, &many, rank, axis)) {
            return state.kind == HD_ROWS_DIFFERENT ? differs : mixes;
        }
    }
    return NULL;
}

const char *hd_rows_product(const hd_row_node *node, size_t index, uint32_t axis)
{
    uint32_t rank = node->many->outputs[index].shape.rank;
    uint32_t left = rank_of(node, 0), right = rank_of(node, 1);
    if (left < 2 || right < 2 || axis + 1 == rank) {
        return mixes; /* rows would be summed over, or be columns of the right operand */
    }
    if (axis + 2 == rank) { /* the left operand's rows */
        return is_stacked_at(node, 0, left - 2) && rest_is_uniform(node, 1) ? NULL : mixes;
    }
    return is_aligned(node, 0, rank, axis) && is_aligned(node, 1, rank, axis) ? NULL : mixes;
}

const char *hd_rows_gemm(const hd_row_node *node, size_t index, uint32_t axis)
{
    (void)index;
    bool fits = axis == 0 && is_stacked_at(node, 0, 0) &&
                hd_operation_int(node->many, "transA", 0) == 0 &&
                node->inputs[1].kind == HD_ROWS_UNIFORM;
    if (fits && hd_operation_has(node->many, 2)) {
        fits = is_aligned(node, 2, 2, axis);
    }
    return fits ? NULL : mixes;
}

/* Bytes in the same order: rows are equal blocks where the same number of them lies before. */
const char *hd_rows_view(const hd_row_node *node, size_t index, uint32_t axis)
{
    if (index != 0 || !is_stacked(node, 0)) {
        return mixes;
    }
    const hd_shape *from = &node->many->inputs[0].shape, *to = &node->many->outputs[0].shape;
    return hd_shape_count_range(from, 0, node->inputs[0].axis) == hd_shape_count_range(to, 0, axis)
               ? NULL
               : mixes;
}

const char *hd_rows_transpose(const hd_row_node *node, size_t index, uint32_t axis)
{
    size_t count;
    const int64_t *permutation = hd_operation_ints(node->many, "perm", &count);
    uint32_t rank = node->many->outputs[index].shape.rank;
    int64_t from = permutation == NULL ? (int64_t)(rank - 1 - axis) : permutation[axis];
    return is_stacked_at(node, 0, (uint32_t)from) ? NULL : mixes;
}

const char *hd_rows_reduction(const hd_row_node *node, size_t index, uint32_t axis)
{
    (void)index;
    bool reduced[HD_MAX_RANK];
    uint32_t rank = rank_of(node, 0), from = node->inputs[0].axis, before = 0;
    hd_error ignored;
    if (!is_stacked(node, 0) || !rest_is_uniform(node, 1) ||
        hd_axes_reduced(node->many, 1, rank, reduced, &ignored) != HD_AXES_DONE || reduced[from]) {
        return mixes;
    }
    for (uint32_t i = 0; i < from; i++) {
        before += reduced[i];
    }
    bool kept = hd_operation_int(node->many, "keepdims", 1) != 0;
    return axis == (kept ? from : from - before) ? NULL : mixes;
}

const char *hd_rows_argument(const hd_row_node *node, size_t index, uint32_t axis)
{
    (void)index;
    uint32_t along = axis_of(node, 0, rank_of(node, 0)), from = node->inputs[0].axis;
    bool kept = hd_operation_int(node->many, "keepdims", 1) != 0;
    if (!is_stacked(node, 0) || along == from) {
        return mixes;
    }
    return axis == (kept || from < along ? from : from - 1) ? NULL : mixes;
}

/* Softmax and its like: one axis, or before opset 13 all that follow it. */
const char *hd_rows_softmax(const hd_row_node *node, size_t index, uint32_t axis)
{
    (void)index;
    bool flat = node->many->opset < 13;
    uint32_t along = axis_of(node, flat ? 1 : -1, rank_of(node, 0));
    return is_stacked_at(node, 0, axis) && (flat ? axis < along : axis != along) ? NULL : mixes;
}

/* All axes from `axis` on are normalized. */
const char *hd_rows_layer_norm(const hd_row_node *node, size_t index, uint32_t axis)
{
    (void)index;
    uint32_t from = axis_of(node, -1, rank_of(node, 0));
    return is_stacked_at(node, 0, axis) && axis < from && rest_is_uniform(node, 1) ? NULL : mixes;
}

const char *hd_rows_lp_norm(const hd_row_node *node, size_t index, uint32_t axis)
{
    (void)index;
    return is_stacked_at(node, 0, axis) && axis != axis_of(node, -1, rank_of(node, 0)) ? NULL
                                                                                       : mixes;
}

/* Images: input 0 has them in dimension 0, parameters are uniform. Only output 0: the indices of
 * MaxPool count through the whole batch. */
const char *hd_rows_images(const hd_row_node *node, size_t index, uint32_t axis)
{
    return index == 0 && axis == 0 && is_stacked_at(node, 0, 0) && rest_is_uniform(node, 1) ? NULL
                                                                                            : mixes;
}

const char *hd_rows_batch_norm(const hd_row_node *node, size_t index, uint32_t axis)
{
    return hd_operation_int(node->many, "training_mode", 0) != 0
               ? mixes
               : hd_rows_images(node, index, axis);
}

const char *hd_rows_resize(const hd_row_node *node, size_t index, uint32_t axis)
{
    hd_scaling one, many;
    hd_error ignored;
    if (axis != 0 || !is_stacked_at(node, 0, 0) || hd_scaling_needs(node->one) != 0 ||
        hd_scaling_needs(node->many) != 0 ||
        hd_scaling_resolve(node->one, &one, &ignored) != HD_OK ||
        hd_scaling_resolve(node->many, &many, &ignored) != HD_OK ||
        strcmp(many.transformation, "tf_crop_and_resize") == 0) {
        return mixes;
    }
    for (uint32_t i = 0; i < node->many->outputs[index].shape.rank; i++) {
        if (one.scale[i] != many.scale[i] || (i == 0 && many.scale[i] != 1)) {
            return mixes;
        }
    }
    return NULL;
}

const char *hd_rows_first(const hd_row_node *node, size_t index, uint32_t axis)
{
    (void)index;
    return axis == 0 && is_stacked_at(node, 0, 0) && rest_is_uniform(node, 1) ? NULL : mixes;
}

const char *hd_rows_lookup(const hd_row_node *node, size_t index, uint32_t axis)
{
    (void)index;
    return is_stacked_at(node, 0, axis) && rest_is_uniform(node, 1) ? NULL : mixes;
}

const char *hd_rows_grid_sample(const hd_row_node *node, size_t index, uint32_t axis)
{
    (void)index;
    return axis == 0 && is_stacked_at(node, 0, 0) && is_stacked_at(node, 1, 0) ? NULL : mixes;
}

const char *hd_rows_gather(const hd_row_node *node, size_t index, uint32_t axis)
{
    (void)index;
    uint32_t along = axis_of(node, 0, rank_of(node, 0));
    if (node->inputs[0].kind == HD_ROWS_UNIFORM && is_stacked(node, 1)) {
        return axis == along + node->inputs[1].axis ? NULL : mixes;
    }
    if (!is_stacked(node, 0) || node->inputs[1].kind != HD_ROWS_UNIFORM) {
        return mixes;
    }
    uint32_t from = node->inputs[0].axis;
    if (from == along) {
        return mixes;
    }
    return axis == (from < along ? from : from - 1 + rank_of(node, 1)) ? NULL : mixes;
}

const char *hd_rows_gather_elements(const hd_row_node *node, size_t index, uint32_t axis)
{
    (void)index;
    const hd_shape *data = &node->one->inputs[0].shape, *indices = &node->one->inputs[1].shape;
    /* Indices may be fewer than the data; then their rows do not lie beside the data's. */
    return is_stacked_at(node, 0, axis) && is_stacked_at(node, 1, axis) &&
                   data->dims[axis] == indices->dims[axis] &&
                   axis != axis_of(node, 0, rank_of(node, 0))
               ? NULL
               : mixes;
}

const char *hd_rows_concat(const hd_row_node *node, size_t index, uint32_t axis)
{
    if (axis == axis_of(node, 1, node->many->outputs[index].shape.rank)) {
        return mixes;
    }
    for (size_t i = 0; i < node->many->input_count; i++) {
        if (!is_stacked_at(node, i, axis)) {
            return mixes;
        }
    }
    return NULL;
}

const char *hd_rows_split(const hd_row_node *node, size_t index, uint32_t axis)
{
    (void)index;
    return is_stacked_at(node, 0, axis) && axis != axis_of(node, 0, rank_of(node, 0)) &&
                   rest_is_uniform(node, 1)
               ? NULL
               : mixes;
}

const char *hd_rows_slice(const hd_row_node *node, size_t index, uint32_t axis)
{
    (void)index;
    hd_slicing one, many;
    hd_error ignored;
    if (!is_stacked_at(node, 0, axis) || hd_slicing_needs(node->one) != 0 ||
        hd_slicing_needs(node->many) != 0 || hd_slicing_read(node->one, &one, &ignored) != HD_OK ||
        hd_slicing_read(node->many, &many, &ignored) != HD_OK) {
        return mixes;
    }
    for (uint32_t i = 0; i < rank_of(node, 0); i++) {
        if (one.start[i] != many.start[i] || one.step[i] != many.step[i] ||
            (i == axis && (many.start[i] != 0 || many.step[i] != 1 ||
                           many.count[i] != node->many->inputs[0].shape.dims[i]))) {
            return mixes;
        }
    }
    return NULL;
}

const char *hd_rows_pad(const hd_row_node *node, size_t index, uint32_t axis)
{
    (void)index;
    uint32_t rank = rank_of(node, 0);
    size_t count = 0;
    const int64_t *pads = hd_operation_ints(node->many, "pads", &count);
    if (!is_stacked_at(node, 0, axis) || !rest_is_uniform(node, 1) ||
        hd_operation_has(node->many, 3)) {
        return mixes;
    }
    if (pads != NULL) {
        return count == 2 * (size_t)rank && pads[axis] == 0 && pads[axis + rank] == 0 ? NULL
                                                                                      : mixes;
    }
    if (!hd_operation_has(node->many, 1) || node->many->inputs[1].data == NULL ||
        hd_shape_count(&node->many->inputs[1].shape) != 2 * (int64_t)rank) {
        return mixes;
    }
    return hd_operand_int(&node->many->inputs[1], axis) == 0 &&
                   hd_operand_int(&node->many->inputs[1], (int64_t)axis + rank) == 0
               ? NULL
               : mixes;
}

/* The target's elements may name the number of rows; the output's shape says what became of it. */
const char *hd_rows_expand(const hd_row_node *node, size_t index, uint32_t axis)
{
    return is_aligned(node, 0, node->many->outputs[index].shape.rank, axis) ? NULL : mixes;
}

const char *hd_rows_tile(const hd_row_node *node, size_t index, uint32_t axis)
{
    (void)index;
    const hd_operand *one = &node->one->inputs[1], *many = &node->many->inputs[1];
    if (one->data == NULL || many->data == NULL) {
        return mixes;
    }
    for (uint32_t i = 0; i < rank_of(node, 0); i++) {
        int64_t before = hd_operand_int(one, i), after = hd_operand_int(many, i);
        bool repeats_rows = i == axis && node->inputs[0].kind == HD_ROWS_UNIFORM;
        if (after != (repeats_rows ? before * node->count : before)) {
            return differs;
        }
        if (i == axis && is_stacked(node, 0) && after != 1) {
            return mixes; /* all rows, then all rows again */
        }
    }
    return node->inputs[0].kind == HD_ROWS_UNIFORM || is_stacked_at(node, 0, axis) ? NULL : mixes;
}

const char *hd_rows_one_hot(const hd_row_node *node, size_t index, uint32_t axis)
{
    (void)index;
    uint32_t along = axis_of(node, -1, rank_of(node, 0) + 1), from = node->inputs[0].axis;
    return is_stacked(node, 0) && rest_is_uniform(node, 1) &&
                   axis == (from < along ? from : from + 1)
               ? NULL
               : mixes;
}

const char *hd_rows_cumulate(const hd_row_node *node, size_t index, uint32_t axis)
{
    (void)index;
    if (!is_stacked_at(node, 0, axis) || !rest_is_uniform(node, 1) ||
        node->many->inputs[1].data == NULL) {
        return mixes;
    }
    int64_t along = hd_operand_int(&node->many->inputs[1], 0);
    return hd_axis_normalize(&along, rank_of(node, 0)) && (uint32_t)along != axis ? NULL : mixes;
}

const char *hd_rows_top_k(const hd_row_node *node, size_t index, uint32_t axis)
{
    (void)index;
    return is_stacked_at(node, 0, axis) && rest_is_uniform(node, 1) &&
                   axis != axis_of(node, -1, rank_of(node, 0))
               ? NULL
               : mixes;
}

const char *hd_rows_triangle(const hd_row_node *node, size_t index, uint32_t axis)
{
    (void)index;
    return is_stacked_at(node, 0, axis) && axis + 2 < rank_of(node, 0) && rest_is_uniform(node, 1)
               ? NULL
               : mixes;
}

/* X [T, N, I], W, R, B, lengths [N], initial states [D, N, H]; Y [T, D, N, H], the others
 * [D, N, H]. */
const char *hd_rows_recurrent(const hd_row_node *node, size_t index, uint32_t axis)
{
    if (hd_operation_int(node->many, "layout", 0) != 0 || !is_stacked_at(node, 0, 1)) {
        return mixes;
    }
    for (size_t i = 1; i < node->many->input_count; i++) {
        bool per_row = i == 4 || i == 5 || i == 6;
        if (hd_operation_has(node->many, i) && per_row ? !is_stacked_at(node, i, i == 4 ? 0 : 1)
                                                       : node->inputs[i].kind != HD_ROWS_UNIFORM) {
            return mixes;
        }
    }
    return axis == (index == 0 ? 2 : 1) ? NULL : mixes;
}
