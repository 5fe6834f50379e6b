/* Sequences and optionals inside a graph (onnx.ai, "SequenceConstruct", "Optional", and their like). A sequence is a list
 * of values while the graph is made, and its operators work on that list: so positions and lengths must be known then,
 * and no sequence goes into or comes out of a graph or a Loop. */
#include <string.h>

#include "graph/expansion.h"
#include "graph/expansions/expansions.h"

/* More parts than this of one tensor are refused. */
#define PART_LIMIT 4096

static const hd_graph_sequence *sequence_of(hd_expansion *e, size_t input)
{
    const hd_graph_sequence *sequence = e->graph->values[e->inputs[input]].sequence;
    if (sequence == NULL) {
        hd_expand_fail(e, HD_UNSUPPORTED, "input %zu is no sequence whose parts are known", input);
    }
    return sequence;
}

/* Makes output 0 a sequence of `count` values; *out_values is to be filled. */
static bool give_sequence(hd_expansion *e, size_t count, hd_value **out_values)
{
    hd_graph_sequence *made = hd_region_alloc(&e->graph->region, sizeof *made);
    hd_value *values = hd_region_array(&e->graph->region, count + 1, sizeof *values);
    if (made == NULL || values == NULL) {
        hd_expand_fail(e, HD_OUT_OF_MEMORY, "no memory for a sequence");
        return false;
    }
    *made = (hd_graph_sequence){.values = values, .count = count};
    if (hd_expand_wants(e, 0)) {
        e->graph->values[e->outputs[0]].sequence = made;
        e->given[0] = e->outputs[0];
    }
    *out_values = values;
    return true;
}

/* The single integer that input `index` is known to be. */
static bool known_integer(hd_expansion *e, size_t index, int64_t *out)
{
    const hd_graph_value *value = &e->graph->values[e->inputs[index]];
    const hd_operand operand = {.dtype = value->dtype, .shape = value->shape, .data = value->data};
    if (value->data == NULL || (value->dtype != HD_INT32 && value->dtype != HD_INT64) ||
        hd_shape_count(&value->shape) != 1) {
        hd_expand_fail(e, HD_UNSUPPORTED, "input %zu is no integer that the file has", index);
        return false;
    }
    *out = hd_operand_int(&operand, 0);
    return true;
}

/* A place in [0, last], counted back from `count` where it is negative; `otherwise` without input `index`. False where
 * it is outside. */
static bool place_of(hd_expansion *e, size_t index, size_t count, int64_t last, int64_t otherwise,
                     int64_t *out)
{
    *out = otherwise;
    if (hd_expand_has(e, index) && !known_integer(e, index, out)) {
        return false;
    }
    *out += *out < 0 ? (int64_t)count : 0;
    if (*out < 0 || *out > last) {
        hd_expand_fail(e, HD_BAD_MODEL, "its position is outside of the sequence");
        return false;
    }
    return true;
}

void hd_expand_sequence_construct(hd_expansion *e)
{
    hd_value *values;
    for (size_t i = 0; i < e->input_count; i++) {
        if (e->all_inputs[i] == HD_VALUE_NONE) {
            hd_expand_fail(e, HD_BAD_MODEL, "input %zu must not be left out", i);
        }
    }
    if (e->status == HD_OK && give_sequence(e, e->input_count, &values)) {
        memcpy(values, e->all_inputs, e->input_count * sizeof *values);
    }
}

void hd_expand_sequence_empty(hd_expansion *e)
{
    hd_value *values;
    give_sequence(e, 0, &values);
}

void hd_expand_sequence_insert(hd_expansion *e)
{
    const hd_graph_sequence *from = sequence_of(e, 0);
    int64_t at;
    hd_value *values;
    if (from == NULL ||
        !place_of(e, 2, from->count, (int64_t)from->count, (int64_t)from->count, &at) ||
        !give_sequence(e, from->count + 1, &values)) {
        return;
    }
    for (size_t i = 0; i < from->count; i++) {
        values[i + ((int64_t)i >= at)] = from->values[i];
    }
    values[at] = e->inputs[1];
}

void hd_expand_sequence_erase(hd_expansion *e)
{
    const hd_graph_sequence *from = sequence_of(e, 0);
    int64_t at;
    hd_value *values;
    if (from == NULL ||
        !place_of(e, 1, from->count, (int64_t)from->count - 1, (int64_t)from->count - 1, &at) ||
        !give_sequence(e, from->count - 1, &values)) {
        return;
    }
    for (size_t i = 0; i + 1 < from->count; i++) {
        values[i] = from->values[i + ((int64_t)i >= at)];
    }
}

void hd_expand_sequence_at(hd_expansion *e)
{
    const hd_graph_sequence *from = sequence_of(e, 0);
    int64_t at;
    if (from != NULL && place_of(e, 1, from->count, (int64_t)from->count - 1, 0, &at)) {
        hd_expand_give(e, 0, from->values[at]);
    }
}

void hd_expand_sequence_length(hd_expansion *e)
{
    const hd_graph_sequence *from = sequence_of(e, 0);
    if (from != NULL) {
        const int64_t count = (int64_t)from->count;
        hd_expand_give(e, 0, hd_expand_constant(e, HD_INT64, &(hd_shape){.rank = 0}, &count));
    }
}

void hd_expand_concat_from_sequence(hd_expansion *e)
{
    const hd_graph_sequence *from = sequence_of(e, 0);
    const int64_t axis = hd_operation_int(&e->operation, "axis", 0);
    const bool is_new = hd_operation_int(&e->operation, "new_axis", 0) != 0;
    const hd_attribute along = hd_expand_int("axis", axis);
    if (from == NULL) {
        return;
    }
    hd_value joined;
    hd_value *values = hd_region_array(&e->graph->region, from->count + 1, sizeof *values);
    if (values == NULL || from->count == 0) {
        hd_expand_fail(e, values == NULL ? HD_OUT_OF_MEMORY : HD_BAD_MODEL,
                       "there is nothing to join");
        return;
    }
    for (size_t i = 0; i < from->count; i++) {
        values[i] =
            is_new ? hd_expand_2(e, HD_OP_UNSQUEEZE, from->values[i], hd_expand_list(e, &axis, 1))
                   : from->values[i];
    }
    hd_expand_node(e, HD_OP_CONCAT, values, from->count, &along, 1, &joined, 1);
    hd_expand_give(e, 0, joined);
}

/* How many parts input 0 is split into, and their lengths as a value, where the file says both. */
static size_t count_parts(hd_expansion *e, int64_t axis, hd_value *out_lengths)
{
    const hd_graph_value *x = &e->graph->values[e->inputs[0]];
    const hd_graph_value *split = &e->graph->values[e->inputs[1]];
    int64_t size = 1;
    if (hd_expand_has(e, 1) && split->data != NULL && split->has_rank && split->shape.rank == 1) {
        const hd_operand operand = {
            .dtype = split->dtype, .shape = split->shape, .data = split->data};
        const int64_t count = split->shape.dims[0];
        int64_t lengths[PART_LIMIT];
        for (int64_t i = 0; i < count && i < PART_LIMIT; i++) {
            lengths[i] = hd_operand_int(&operand, i);
        }
        *out_lengths =
            count <= PART_LIMIT ? hd_expand_list(e, lengths, (size_t)count) : HD_VALUE_NONE;
        return (size_t)count;
    }
    if (hd_expand_has(e, 1) && !known_integer(e, 1, &size)) {
        return 0;
    }
    if (!x->has_rank || !hd_axis_normalize(&axis, x->shape.rank) || x->shape.dims[axis] < 1 ||
        size < 1) {
        hd_expand_fail(e, HD_UNSUPPORTED, "into how many parts it splits is not in the file");
        return 0;
    }
    const int64_t dim = x->shape.dims[axis], count = dim / size + (dim % size != 0);
    int64_t lengths[PART_LIMIT];
    for (int64_t i = 0; i < count && i < PART_LIMIT; i++) {
        lengths[i] = size < dim - i * size ? size : dim - i * size;
    }
    *out_lengths = count <= PART_LIMIT ? hd_expand_list(e, lengths, (size_t)count) : HD_VALUE_NONE;
    return (size_t)count;
}

void hd_expand_split_to_sequence(hd_expansion *e)
{
    const int64_t axis = hd_operation_int(&e->operation, "axis", 0);
    const bool keeps = hd_expand_has(e, 1) || hd_operation_int(&e->operation, "keepdims", 1) != 0;
    const hd_attribute along = hd_expand_int("axis", axis);
    hd_value lengths = HD_VALUE_NONE, *values;
    const size_t count = count_parts(e, axis, &lengths);
    if (count < 1 || count > PART_LIMIT) {
        hd_expand_fail(e, HD_UNSUPPORTED, "it splits into %zu parts", count);
        return;
    }
    if (e->status != HD_OK || !give_sequence(e, count, &values)) {
        return;
    }
    hd_expand_node(e, HD_OP_SPLIT, (hd_value[]){e->inputs[0], lengths}, 2, &along, 1, values,
                   count);
    for (size_t i = 0; !keeps && i < count; i++) {
        values[i] = hd_expand_2(e, HD_OP_SQUEEZE, values[i], hd_expand_list(e, &axis, 1));
    }
}

/* What is there is itself, a sequence as well as a tensor. */
static void pass(hd_expansion *e)
{
    const hd_graph_sequence *sequence = e->graph->values[e->inputs[0]].sequence;
    hd_value *values;
    if (sequence == NULL) {
        hd_expand_give(e, 0, e->inputs[0]);
    } else if (give_sequence(e, sequence->count, &values)) {
        memcpy(values, sequence->values, sequence->count * sizeof *values);
    }
}

void hd_expand_optional(hd_expansion *e)
{
    pass(e);
}

void hd_expand_optional_get(hd_expansion *e)
{
    pass(e);
}

void hd_expand_optional_has(hd_expansion *e)
{
    const bool has = hd_expand_has(e, 0);
    hd_expand_give(e, 0, hd_expand_constant(e, HD_BOOL, &(hd_shape){.rank = 0}, &has));
}
