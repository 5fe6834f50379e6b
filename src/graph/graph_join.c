/* Joins what scales and shifts a convolution's output channels, with constants, to its weights:
 * BatchNormalization, and Mul and Add with one value or one a channel. Done once, when a model is
 * loaded; the plans of all shapes start from the joined weights. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "graph/graph.h"

typedef struct join_state {
    hd_graph *graph;
    uint32_t *use_count; /* of each value */
    hd_status status;
} join_state;

/* y = scale · x + shift, each with one entry or one a channel. */
typedef struct affine {
    hd_region region;
    double *scale;
    double *shift;
} affine;

static void count_uses(const hd_block *block, uint32_t *use_count)
{
    for (size_t n = 0; n < block->node_count; n++) {
        const hd_node *node = &block->nodes[n];
        for (size_t i = 0; i < node->input_count; i++) {
            use_count[node->inputs[i]]++;
        }
        for (size_t b = 0; b < 2 && node->blocks[b] != NULL; b++) {
            count_uses(node->blocks[b], use_count);
        }
    }
    for (size_t i = 0; i < block->output_count; i++) {
        use_count[block->outputs[i]]++;
    }
}

static const hd_graph_value *constant_of(const join_state *state, hd_value value)
{
    const hd_graph_value *entry = &state->graph->values[value];
    return entry->data != NULL && entry->dtype == HD_FLOAT32 ? entry : NULL;
}

static const hd_attribute *find_attribute(const hd_node *node, const char *name)
{
    for (size_t i = 0; i < node->attribute_count; i++) {
        if (strcmp(node->attributes[i].name, name) == 0) {
            return &node->attributes[i];
        }
    }
    return NULL;
}

/* A constant with one value, or one a channel of a tensor of `rank` dimensions: [C, 1, 1], [1, C, 1, 1]. */
static bool is_per_channel(const hd_graph_value *constant, int64_t channels, uint32_t rank)
{
    int64_t count = hd_shape_count(&constant->shape);
    if (count == 1) {
        return constant->shape.rank <= rank;
    }
    uint32_t spatial = rank - 2;
    return count == channels &&
           (constant->shape.rank == rank || constant->shape.rank == rank - 1) &&
           constant->shape.dims[constant->shape.rank - spatial - 1] == channels;
}

static float channel_value(const hd_graph_value *constant, int64_t channel)
{
    const float *data = constant->data;
    return data[hd_shape_count(&constant->shape) == 1 ? 0 : channel];
}

static bool read_batch_normalization(const join_state *state, const hd_node *node, int64_t channels,
                                     affine *out)
{
    const hd_attribute *training = find_attribute(node, "training_mode");
    const hd_attribute *epsilon = find_attribute(node, "epsilon");
    if (node->input_count != 5 || (training != NULL && training->i != 0)) {
        return false;
    }
    for (size_t i = 1; i < node->output_count; i++) {
        if (node->outputs[i] != HD_VALUE_NONE && state->use_count[node->outputs[i]] > 0) {
            return false;
        }
    }
    const hd_graph_value *parts[4];
    for (size_t i = 0; i < 4; i++) {
        parts[i] = constant_of(state, node->inputs[i + 1]);
        if (parts[i] == NULL || hd_shape_count(&parts[i]->shape) != channels) {
            return false;
        }
    }
    for (int64_t c = 0; c < channels; c++) {
        double root =
            sqrt((double)channel_value(parts[3], c) + (epsilon != NULL ? epsilon->f : 1e-5f));
        out->scale[c] = channel_value(parts[0], c) / root;
        out->shift[c] = channel_value(parts[1], c) - channel_value(parts[2], c) * out->scale[c];
    }
    return true;
}

static bool read_affine(const join_state *state, const hd_node *node, hd_value input,
                        int64_t channels, uint32_t rank, affine *out)
{
    const hd_operator_id id = node->operator->id;
    if (id == HD_OP_BATCH_NORMALIZATION) {
        return node->inputs[0] == input && read_batch_normalization(state, node, channels, out);
    }
    bool multiplies = id == HD_OP_MUL;
    if ((!multiplies && id != HD_OP_ADD) || node->input_count != 2 ||
        find_attribute(node, "broadcast") != NULL || node->opset < 7) {
        return false;
    }
    const hd_graph_value *constant =
        constant_of(state, node->inputs[0] == input ? node->inputs[1] : node->inputs[0]);
    if (constant == NULL || !is_per_channel(constant, channels, rank)) {
        return false;
    }
    for (int64_t c = 0; c < channels; c++) {
        out->scale[c] = multiplies ? channel_value(constant, c) : 1.0;
        out->shift[c] = multiplies ? 0.0 : channel_value(constant, c);
    }
    return true;
}

/* The convolution's weights times scale, as a new constant. */
static hd_value scale_weights(join_state *state, const hd_node *node, int64_t channels,
                              const affine *by)
{
    hd_graph_value weights = state->graph->values[node->inputs[1]];
    const hd_attribute *group = find_attribute(node, "group");
    bool transposed = node->operator->id == HD_OP_CONV_TRANSPOSE;
    int64_t groups = group == NULL ? 1 : group->i, count = hd_shape_count(&weights.shape);
    int64_t taps = hd_shape_count_range(&weights.shape, 2, weights.shape.rank);
    float *data = hd_alloc_aligned((size_t)count * sizeof *data);
    if (data == NULL) {
        return HD_VALUE_NONE;
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t first = i / (taps * weights.shape.dims[1]),
                second = i / taps % weights.shape.dims[1];
        /* Conv: [M, C/g, ...]; ConvTranspose: [C, M/g, ...] */
        int64_t per_group = transposed ? weights.shape.dims[0] / groups : 1;
        int64_t channel = transposed ? first / per_group * (channels / groups) + second : first;
        data[i] = (float)(((const float *)weights.data)[i] * by->scale[channel]);
    }
    hd_value made =
        hd_graph_new_constant(state->graph, weights.name, HD_FLOAT32, &weights.shape, data);
    if (made == HD_VALUE_NONE) {
        hd_free(data);
    }
    return made;
}

static hd_value shift_bias(join_state *state, const hd_node *node, int64_t channels,
                           const affine *by)
{
    const float *bias = node->input_count > 2 && node->inputs[2] != HD_VALUE_NONE
                            ? state->graph->values[node->inputs[2]].data
                            : NULL;
    float *data = hd_alloc_aligned((size_t)channels * sizeof *data);
    if (data == NULL) {
        return HD_VALUE_NONE;
    }
    for (int64_t c = 0; c < channels; c++) {
        data[c] = (float)((bias == NULL ? 0.0 : bias[c]) * by->scale[c] + by->shift[c]);
    }
    hd_shape shape = {.rank = 1, .dims = {channels}};
    hd_value made = hd_graph_new_constant(state->graph, "", HD_FLOAT32, &shape, data);
    if (made == HD_VALUE_NONE) {
        hd_free(data);
    }
    return made;
}

/* The output channels of a convolution with constant weights and bias; 0 for any other node. */
static int64_t output_channels(const join_state *state, const hd_node *node)
{
    bool transposed = node->operator->id == HD_OP_CONV_TRANSPOSE;
    if (!transposed && node->operator->id != HD_OP_CONV) {
        return 0;
    }
    const hd_graph_value *weights = constant_of(state, node->inputs[1]);
    if (weights == NULL || weights->shape.rank < 3 || hd_shape_count(&weights->shape) == 0) {
        return 0;
    }
    const hd_attribute *group = find_attribute(node, "group");
    int64_t groups = group == NULL ? 1 : group->i;
    if (groups < 1 || weights->shape.dims[0] % groups != 0) {
        return 0;
    }
    int64_t channels = transposed ? weights->shape.dims[1] * groups : weights->shape.dims[0];
    if (node->input_count > 2 && node->inputs[2] != HD_VALUE_NONE) {
        const hd_graph_value *bias = constant_of(state, node->inputs[2]);
        if (bias == NULL || hd_shape_count(&bias->shape) != channels) {
            return 0;
        }
    }
    return channels;
}

/* Puts scaled weights and a shifted bias into a convolution. */
static hd_status apply(join_state *state, hd_node *node, int64_t channels, const affine *by)
{
    hd_value weights = scale_weights(state, node, channels, by);
    hd_value bias =
        weights == HD_VALUE_NONE ? HD_VALUE_NONE : shift_bias(state, node, channels, by);
    hd_value *inputs = hd_region_array(&state->graph->region, 3, sizeof *inputs);
    if (bias == HD_VALUE_NONE || inputs == NULL) {
        return HD_OUT_OF_MEMORY;
    }
    inputs[0] = node->inputs[0];
    inputs[1] = weights;
    inputs[2] = bias;
    node->inputs = inputs;
    node->input_count = 3;
    return HD_OK;
}

/* No joined weight and no bias overflows float32: the nodes as they are written may give finite results yet, and
 * what is infinite there is no sum of infinities of both signs. */
static bool stays_finite(const join_state *state, const hd_node *node, int64_t channels,
                         const affine *by)
{
    const hd_graph_value *weights = &state->graph->values[node->inputs[1]];
    const bool has_bias = node->input_count > 2 && node->inputs[2] != HD_VALUE_NONE;
    const float *bias = has_bias ? state->graph->values[node->inputs[2]].data : NULL;
    double largest = 0;
    for (int64_t i = 0; i < hd_shape_count(&weights->shape); i++) {
        largest = fmax(largest, fabs((double)((const float *)weights->data)[i]));
    }
    for (int64_t c = 0; c < channels; c++) {
        double shift = (bias == NULL ? 0.0 : (double)bias[c]) * by->scale[c] + by->shift[c];
        if (!(largest * fabs(by->scale[c]) <= FLT_MAX) || !(fabs(shift) <= FLT_MAX)) {
            return false;
        }
    }
    return true;
}

/* Joins the only reader of a convolution's output to it, if it scales or shifts; true when it did. */
static bool join_next(join_state *state, hd_block *block, size_t index)
{
    hd_node *node = &block->nodes[index];
    int64_t channels = output_channels(state, node);
    if (channels == 0 || state->use_count[node->outputs[0]] != 1) {
        return false;
    }
    size_t next = index + 1;
    while (next < block->node_count && (block->nodes[next].input_count == 0 ||
                                        (block->nodes[next].inputs[0] != node->outputs[0] &&
                                         (block->nodes[next].input_count < 2 ||
                                          block->nodes[next].inputs[1] != node->outputs[0])))) {
        next++;
    }
    if (next == block->node_count) {
        return false;
    }
    affine by = {.scale = NULL};
    by.scale = hd_region_array(&by.region, (size_t)channels, sizeof *by.scale);
    by.shift = hd_region_array(&by.region, (size_t)channels, sizeof *by.shift);
    uint32_t rank = state->graph->values[node->inputs[1]].shape.rank;
    bool joined = false;
    if (by.scale == NULL || by.shift == NULL) {
        state->status = HD_OUT_OF_MEMORY;
    } else if (read_affine(state, &block->nodes[next], node->outputs[0], channels, rank, &by) &&
               stays_finite(state, node, channels, &by)) {
        state->status = apply(state, node, channels, &by);
        joined = state->status == HD_OK;
    }
    hd_region_clear(&by.region);
    if (joined) {
        node->outputs[0] = block->nodes[next].outputs[0];
        memmove(&block->nodes[next], &block->nodes[next + 1],
                (block->node_count - next - 1) * sizeof *block->nodes);
        block->node_count--;
    }
    return joined;
}

static void join_block(join_state *state, hd_block *block)
{
    for (size_t n = 0; n < block->node_count && state->status == HD_OK; n++) {
        while (join_next(state, block, n)) {
        }
        for (size_t b = 0; b < 2 && block->nodes[n].blocks[b] != NULL; b++) {
            join_block(state, block->nodes[n].blocks[b]);
        }
    }
}

hd_status hd_graph_join_affine(hd_graph *graph)
{
    join_state state = {.graph = graph, .status = HD_OK};
    state.use_count = hd_alloc_zero(graph->value_count, sizeof *state.use_count);
    if (state.use_count == NULL) {
        return HD_OUT_OF_MEMORY;
    }
    count_uses(graph->root, state.use_count);
    join_block(&state, graph->root);
    hd_free(state.use_count);
    return state.status;
}
