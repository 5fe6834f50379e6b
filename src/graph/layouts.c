/* Layouts: convolutions compute on channels-last tensors, [N, H, W, C]. This pass rewrites them, and what
 * stands between them, so that a tensor is turned around only where it enters or leaves such a stretch.
 *
 * Each tensor that the graph means as [N, C, H, W], or [N, C, W], may have a twin that holds the same
 * elements as [N, H, W, C], or [N, W, C]. While the nodes are walked again in order, a node that can work on
 * twins gets one for its output, and the tensor itself is made only when a node that cannot asks for it. */
#include <string.h>

#include "base/memory.h"
#include "graph/model.h"
#include "graph/passes.h"
#include "operation/quantized.h"
#include "operation/slicing.h"

enum { MOST_INPUTS = 9 }; /* of what is turned with parameters of a convolution */

typedef struct layout_pass {
    hd_planner *planner;
    hd_tensor_id *twins;   /* of each tensor, HD_TENSOR_NONE: none */
    hd_tensor_id *instead; /* of each tensor: what its readers read, HD_TENSOR_NONE: itself */
    bool *missing;         /* the tensor itself is not made yet, only its twin */
    size_t tensor_limit;   /* entries of the tables */
    hd_plan_node *nodes;   /* the nodes as they were */
    size_t node_count;
    bool failed; /* out of memory */
} layout_pass;

static const hd_plan_tensor *tensor_of(const layout_pass *pass, hd_tensor_id id)
{
    return &pass->planner->tensors[id];
}

/* Where axis `axis` of a tensor of `rank` dimensions is in its twin. */
static int64_t turned_axis(int64_t axis, uint32_t rank)
{
    return axis == 0 ? 0 : axis == 1 ? (int64_t)rank - 1 : axis - 1;
}

static hd_shape channels_last_shape(const hd_shape *shape)
{
    hd_shape turned = {.rank = shape->rank};
    for (uint32_t i = 0; i < shape->rank; i++) {
        turned.dims[turned_axis(i, shape->rank)] = shape->dims[i];
    }
    return turned;
}

static hd_tensor_id twin_of(const layout_pass *pass, hd_tensor_id id)
{
    return id < pass->tensor_limit ? pass->twins[id] : HD_TENSOR_NONE;
}

static bool is_missing(const layout_pass *pass, hd_tensor_id id)
{
    return id < pass->tensor_limit && pass->missing[id];
}

/* Appends a node; NULL, and the pass has failed, when out of memory. */
static hd_plan_node *append(layout_pass *pass, hd_operator_id id, const char *name,
                            const hd_tensor_id *inputs, size_t input_count,
                            const hd_tensor_id *outputs, size_t output_count)
{
    hd_plan_node *node =
        hd_planner_new_node(pass->planner, id, name, inputs, input_count, outputs, output_count);
    pass->failed = pass->failed || node == NULL;
    return node;
}

/* A tensor whose elements lie the same way in both layouts: one channel, or one position. */
static bool turns_for_free(const hd_shape *shape)
{
    return shape->dims[1] == 1 || hd_shape_count_range(shape, 2, shape->rank) == 1;
}

/* Makes the tensor itself from its twin. */
static void materialize(layout_pass *pass, hd_tensor_id id)
{
    id = hd_planner_root(pass->planner, id);
    if (!is_missing(pass, id)) {
        return;
    }
    hd_tensor_id twin = pass->twins[id];
    append(pass, HD_OP_HEDDLE_FROM_CHANNELS_LAST, "", &twin, 1, &id, 1);
    pass->missing[id] = false;
}

/* The channels-last form of any tensor of 3 or 4 dimensions: its twin, a view, or a turned copy. */
static hd_tensor_id channels_last(layout_pass *pass, hd_tensor_id id)
{
    if (twin_of(pass, id) != HD_TENSOR_NONE) {
        return pass->twins[id];
    }
    hd_shape shape = channels_last_shape(&tensor_of(pass, id)->shape);
    hd_tensor_id twin;
    if (turns_for_free(&tensor_of(pass, id)->shape)) {
        materialize(pass, id);
        twin = hd_planner_new_view(pass->planner, id, &shape);
    } else {
        materialize(pass, id);
        twin = hd_planner_new_tensor(pass->planner, tensor_of(pass, id)->dtype, &shape);
        if (twin != HD_TENSOR_NONE) {
            append(pass, HD_OP_HEDDLE_TO_CHANNELS_LAST, "", &id, 1, &twin, 1);
        }
    }
    if (twin == HD_TENSOR_NONE) {
        pass->failed = true;
    } else if (id < pass->tensor_limit) {
        pass->twins[id] = twin;
    }
    return twin;
}

/* A twin for a node's output, which itself is missing from now on, unless it has the same bytes. */
static hd_tensor_id new_twin(layout_pass *pass, hd_tensor_id id)
{
    hd_shape shape = channels_last_shape(&tensor_of(pass, id)->shape);
    hd_tensor_id twin = hd_planner_new_tensor(pass->planner, tensor_of(pass, id)->dtype, &shape);
    if (twin == HD_TENSOR_NONE) {
        pass->failed = true;
        return twin;
    }
    pass->planner->tensors[twin].origin = tensor_of(pass, id)->origin;
    pass->twins[id] = twin;
    pass->missing[id] = true;
    return twin;
}

/* After a node's twin output was written: what others will ask for in any case is made at once. */
static void settle(layout_pass *pass, hd_tensor_id id)
{
    if (tensor_of(pass, id)->kept) {
        materialize(pass, id);
    }
}

/* A signal, [N, C, W], or an image, [N, C, H, W], of numbers or of their bytes. */
static bool is_map(const layout_pass *pass, hd_tensor_id id)
{
    if (id == HD_TENSOR_NONE) {
        return false;
    }
    const hd_plan_tensor *tensor = tensor_of(pass, id);
    return (tensor->shape.rank == 3 || tensor->shape.rank == 4) &&
           (tensor->dtype == HD_FLOAT32 || hd_quantized_is_byte(tensor->dtype));
}

/* Whether the device computes `id` in place of `node` on maps that lie channels last. */
static bool device_allows(const layout_pass *pass, const hd_plan_node *node, hd_operator_id id,
                          const hd_fused *fused)
{
    const hd_unit *unit = pass->planner->model->device->unit;
    hd_operand inputs[MOST_INPUTS] = {{0}}, output = node->operation.outputs[0];
    if (unit->is_host || pass->planner->is_for_host) {
        return true;
    }
    memcpy(inputs, node->operation.inputs, node->operation.input_count * sizeof *inputs);
    inputs[0].shape = channels_last_shape(&inputs[0].shape);
    output.shape = channels_last_shape(&output.shape);
    hd_operation turned = node->operation;
    turned.id = id;
    turned.inputs = inputs;
    turned.outputs = &output;
    turned.output_count = 1;
    if (fused != NULL) {
        turned.input_count = turned.input_count > 4 ? turned.input_count : 4;
        turned.attribute_count = 0;
        turned.fused = fused;
    }
    return unit->backend->compile->supports(unit, &turned);
}

/* The sizes of a convolution of one or two spatial dimensions that pays channels last: its weight is packed, or it is a
 * quantized depthwise one. What it becomes, or HD_OP_NONE. */
static hd_operator_id turned_convolution(const layout_pass *pass, const hd_plan_node *node,
                                         hd_convolution *sizes)
{
    const bool quantized = hd_plan_node_is(node, HD_OP_QLINEAR_CONV);
    const bool transposed = hd_plan_node_is(node, HD_OP_CONV_TRANSPOSE);
    if ((!quantized && !transposed && !hd_plan_node_is(node, HD_OP_CONV)) ||
        !is_map(pass, node->inputs[0])) {
        return HD_OP_NONE;
    }
    if (!quantized) {
        return node->operation.inputs[1].packed == NULL ||
                       hd_convolution_resolve(&node->operation, sizes, NULL) != HD_OK
                   ? HD_OP_NONE
               : transposed ? HD_OP_HEDDLE_CONV_TRANSPOSE
                            : HD_OP_HEDDLE_CONV;
    }
    hd_quantized_view view;
    hd_quantized_view_make(&node->operation, &view);
    const hd_quantized_roles *roles = hd_quantized_roles_of(node->operation.id);
    return hd_convolution_resolve(&view.operation, sizes, NULL) == HD_OK &&
                   (node->operation.inputs[roles->b].packed != NULL ||
                    (sizes->group == sizes->channels && sizes->group == sizes->output_channels))
               ? HD_OP_HEDDLE_QLINEAR_CONV
               : HD_OP_NONE;
}

static bool turn_convolution(layout_pass *pass, const hd_plan_node *node)
{
    hd_convolution sizes;
    const hd_operator_id id = turned_convolution(pass, node, &sizes);
    if (id == HD_OP_NONE) {
        return false;
    }
    const bool transposed = id == HD_OP_HEDDLE_CONV_TRANSPOSE;
    hd_fused *fused = hd_planner_new_fused(pass->planner, id);
    if (fused == NULL) {
        pass->failed = true;
        return true;
    }
    hd_fused_convolution *plain = &fused->convolution;
    plain->group = sizes.group;
    for (uint32_t i = 0; i < sizes.spatial; i++) {
        plain->kernel[i] = sizes.kernel[i];
        plain->stride[i] = sizes.stride[i];
        plain->dilation[i] = sizes.dilation[i];
        plain->pad_begin[i] = sizes.pad_begin[i];
        int64_t reach = (sizes.kernel[i] - 1) * sizes.dilation[i] + 1;
        if (transposed) {
            /* All of output_padding, output_shape and the pads is in the output's size. */
            int64_t full = (sizes.input[i] - 1) * sizes.stride[i] + reach;
            int64_t rest = full - sizes.pad_begin[i] - sizes.output[i];
            plain->pad_end[i] = rest > 0 ? rest : 0;
            plain->output_padding[i] = rest < 0 ? -rest : 0;
        } else {
            /* Negative where the file's is, and where the stride leaves the last inputs out. */
            plain->pad_end[i] = (sizes.output[i] - 1) * sizes.stride[i] + reach - sizes.input[i] -
                                sizes.pad_begin[i];
        }
    }
    if (!device_allows(pass, node, id, fused)) {
        return false;
    }
    hd_tensor_id inputs[MOST_INPUTS] = {channels_last(pass, node->inputs[0])};
    const size_t count = node->operation.input_count < 4 ? 4 : node->operation.input_count;
    for (size_t i = 1; i < count; i++) {
        inputs[i] = i < node->operation.input_count ? node->inputs[i] : HD_TENSOR_NONE;
    }
    hd_tensor_id output = new_twin(pass, node->outputs[0]);
    if (pass->failed) {
        return true;
    }
    hd_plan_node *made = append(pass, id, node->operation.name, inputs, count, &output, 1);
    if (made != NULL) {
        made->operation.fused = fused;
    }
    settle(pass, node->outputs[0]);
    return true;
}

static void copy_attributes(hd_plan_node *made, const hd_plan_node *node)
{
    if (made != NULL) {
        made->operation.attributes = node->operation.attributes;
        made->operation.attribute_count = node->operation.attribute_count;
        made->operation.opset = node->operation.opset;
    }
}

/* Some input is there as a twin only, so that working on twins saves a turn. */
static bool has_missing_input(const layout_pass *pass, const hd_plan_node *node)
{
    for (size_t i = 0; i < node->operation.input_count; i++) {
        if (node->inputs[i] != HD_TENSOR_NONE && is_missing(pass, node->inputs[i])) {
            return true;
        }
    }
    return false;
}

/* Pooling and scaling of images: the same operator with another name on [N, H, W, C]. */
static bool turn_window(layout_pass *pass, const hd_plan_node *node)
{
    static const hd_operator_id turned[][2] = {
        {HD_OP_MAX_POOL, HD_OP_HEDDLE_MAX_POOL},
        {HD_OP_AVERAGE_POOL, HD_OP_HEDDLE_AVERAGE_POOL},
        {HD_OP_GLOBAL_AVERAGE_POOL, HD_OP_HEDDLE_GLOBAL_AVERAGE_POOL},
        {HD_OP_RESIZE, HD_OP_HEDDLE_RESIZE}};
    hd_operator_id id = HD_OP_NONE;
    for (size_t i = 0; i < sizeof turned / sizeof turned[0]; i++) {
        id = hd_plan_node_is(node, turned[i][0]) ? turned[i][1] : id;
    }
    /* Of bytes, scaling has a kernel. */
    if (id == HD_OP_NONE || !is_map(pass, node->inputs[0]) ||
        (id != HD_OP_HEDDLE_RESIZE && tensor_of(pass, node->inputs[0])->dtype != HD_FLOAT32) ||
        !is_missing(pass, node->inputs[0]) || tensor_of(pass, node->inputs[0])->shape.rank != 4 ||
        node->operation.output_count > 2 ||
        (node->operation.output_count == 2 && node->outputs[1] != HD_TENSOR_NONE)) {
        return false;
    }
    size_t count = node->operation.input_count;
    if (count > 4 || !device_allows(pass, node, id, NULL)) {
        return false;
    }
    hd_tensor_id inputs[4] = {channels_last(pass, node->inputs[0])};
    for (size_t i = 1; i < count; i++) {
        inputs[i] = node->inputs[i];
    }
    hd_tensor_id output = new_twin(pass, node->outputs[0]);
    if (!pass->failed) {
        copy_attributes(append(pass, id, node->operation.name, inputs, count, &output, 1), node);
        settle(pass, node->outputs[0]);
    }
    return true;
}

/* Whether turn_operand can give the operand of an elementwise node in channels-last form, for a result
 * of `rank` 3 or 4. */
static bool can_turn_operand(const layout_pass *pass, hd_tensor_id id, uint32_t rank)
{
    const hd_plan_tensor *tensor = tensor_of(pass, id);
    if (hd_shape_count(&tensor->shape) == 1) {
        return true;
    }
    if (tensor->packed != NULL || tensor->shape.rank > rank) {
        return false;
    }
    return tensor->shape.rank + 1 >= rank || tensor->shape.rank == 1;
}

static hd_tensor_id turn_operand(layout_pass *pass, hd_tensor_id id, uint32_t rank)
{
    const hd_plan_tensor *tensor = tensor_of(pass, id);
    if (tensor->shape.rank == rank) {
        return channels_last(pass, id);
    }
    materialize(pass, id);
    tensor = tensor_of(pass, id);
    if (hd_shape_count(&tensor->shape) == 1) {
        return id;
    }
    /* Missing dimensions are 1, at the front: [C, 1, 1] is [1, C, 1, 1], [W] is [1, 1, 1, W]. */
    hd_shape padded = {.rank = rank, .dims = {1, 1, 1, 1}};
    for (uint32_t i = 0; i < tensor->shape.rank; i++) {
        padded.dims[rank - tensor->shape.rank + i] = tensor->shape.dims[i];
    }
    hd_tensor_id full = hd_planner_new_view(pass->planner, id, &padded);
    if (full == HD_TENSOR_NONE) {
        pass->failed = true;
        return full;
    }
    return channels_last(pass, full);
}

static bool turn_elementwise(layout_pass *pass, const hd_plan_node *node)
{
    const hd_unit *unit = pass->planner->model->device->unit;
    const hd_operation *operation = &node->operation;
    if (operation->output_count != 1 || operation->input_count == 0 || operation->input_count > 4 ||
        !has_missing_input(pass, node) ||
        !unit->backend->compile->supports_in_chain(unit, operation)) {
        return false;
    }
    const uint32_t rank = tensor_of(pass, node->outputs[0])->shape.rank;
    if (rank != 3 && rank != 4) {
        return false;
    }
    for (size_t i = 0; i < operation->input_count; i++) {
        if (node->inputs[i] != HD_TENSOR_NONE && !can_turn_operand(pass, node->inputs[i], rank)) {
            return false;
        }
    }
    hd_tensor_id inputs[4];
    for (size_t i = 0; i < operation->input_count && !pass->failed; i++) {
        inputs[i] = node->inputs[i] == HD_TENSOR_NONE ? HD_TENSOR_NONE
                                                      : turn_operand(pass, node->inputs[i], rank);
    }
    if (pass->failed) {
        return true;
    }
    hd_tensor_id output = new_twin(pass, node->outputs[0]);
    if (!pass->failed) {
        copy_attributes(append(pass, operation->id, operation->name, inputs, operation->input_count,
                               &output, 1),
                        node);
        settle(pass, node->outputs[0]);
    }
    return true;
}

/* Concat along the channels, where most of what is joined comes channels-last. */
static bool turn_concat(layout_pass *pass, const hd_plan_node *node)
{
    int64_t axis = hd_operation_int(&node->operation, "axis", 1);
    if (!hd_plan_node_is(node, HD_OP_CONCAT) || !is_map(pass, node->outputs[0])) {
        return false;
    }
    const uint32_t rank = tensor_of(pass, node->outputs[0])->shape.rank;
    if (!hd_axis_normalize(&axis, rank)) {
        return false;
    }
    size_t count = node->operation.input_count, missing = 0;
    for (size_t i = 0; i < count; i++) {
        missing += is_missing(pass, node->inputs[i]);
    }
    if (2 * missing < count || missing == 0) {
        return false;
    }
    hd_tensor_id *inputs = hd_region_array(pass->planner->region, count, sizeof *inputs);
    hd_attribute *attribute = hd_region_alloc(pass->planner->region, sizeof *attribute);
    if (inputs == NULL || attribute == NULL) {
        pass->failed = true;
        return true;
    }
    for (size_t i = 0; i < count && !pass->failed; i++) {
        inputs[i] = channels_last(pass, node->inputs[i]);
    }
    *attribute =
        (hd_attribute){.name = "axis", .kind = HD_ATTRIBUTE_INT, .i = turned_axis(axis, rank)};
    hd_tensor_id output = pass->failed ? HD_TENSOR_NONE : new_twin(pass, node->outputs[0]);
    if (pass->failed) {
        return true;
    }
    hd_plan_node *made =
        append(pass, HD_OP_CONCAT, node->operation.name, inputs, count, &output, 1);
    copy_attributes(made, node);
    if (made != NULL) {
        made->operation.attributes = attribute;
        made->operation.attribute_count = 1;
    }
    settle(pass, node->outputs[0]);
    return true;
}

/* Slice in steps of 1, of a tensor that is there as a twin only: its bounds, which are known, become
 * attributes, as before opset 10. */
static bool turn_slice(layout_pass *pass, const hd_plan_node *node)
{
    hd_slicing slicing;
    if (!hd_plan_node_is(node, HD_OP_SLICE) || !is_map(pass, node->inputs[0]) ||
        !is_missing(pass, node->inputs[0]) || hd_slicing_needs(&node->operation) != 0 ||
        hd_slicing_read(&node->operation, &slicing, NULL) != HD_OK) {
        return false;
    }
    const uint32_t rank = tensor_of(pass, node->outputs[0])->shape.rank;
    hd_attribute *attributes = hd_region_array(pass->planner->region, 2, sizeof *attributes);
    int64_t *bounds = hd_region_array(pass->planner->region, 2 * (size_t)rank, sizeof *bounds);
    if (attributes == NULL || bounds == NULL) {
        pass->failed = true;
        return true;
    }
    for (uint32_t i = 0; i < rank; i++) {
        if (slicing.step[i] != 1) {
            return false;
        }
        bounds[turned_axis(i, rank)] = slicing.start[i];
        bounds[rank + turned_axis(i, rank)] = slicing.start[i] + slicing.count[i];
    }
    attributes[0] =
        (hd_attribute){.name = "starts", .kind = HD_ATTRIBUTE_INTS, .ints = bounds, .count = rank};
    attributes[1] = (hd_attribute){
        .name = "ends", .kind = HD_ATTRIBUTE_INTS, .ints = bounds + rank, .count = rank};
    hd_tensor_id input = channels_last(pass, node->inputs[0]);
    hd_tensor_id output = new_twin(pass, node->outputs[0]);
    if (pass->failed) {
        return true;
    }
    hd_plan_node *made = append(pass, HD_OP_SLICE, node->operation.name, &input, 1, &output, 1);
    copy_attributes(made, node);
    if (made != NULL) {
        made->operation.attributes = attributes;
        made->operation.attribute_count = 2;
        made->operation.opset = 1;
    }
    settle(pass, node->outputs[0]);
    return true;
}

/* Whether a Transpose's order of axes turns a signal or an image to channels last, or back. */
static bool turns(const hd_plan_node *node, uint32_t rank, bool to_last)
{
    size_t count;
    const int64_t *order = hd_operation_ints(&node->operation, "perm", &count);
    if (count != rank) {
        return false;
    }
    bool fits = true;
    for (uint32_t i = 0; i < rank; i++) {
        fits =
            fits && (to_last ? order[turned_axis(i, rank)] == i : order[i] == turned_axis(i, rank));
    }
    return fits;
}

/* Transpose from [N, H, W, C], as networks of other frameworks have it: its input is the result's
 * twin. Who wants the result itself has it made there. */
static bool turn_transpose_back(layout_pass *pass, const hd_plan_node *node)
{
    if (!hd_plan_node_is(node, HD_OP_TRANSPOSE) || !is_map(pass, node->inputs[0]) ||
        !turns(node, tensor_of(pass, node->inputs[0])->shape.rank, false) ||
        tensor_of(pass, node->outputs[0])->kept) {
        return false;
    }
    materialize(pass, node->inputs[0]);
    pass->twins[node->outputs[0]] = node->inputs[0];
    pass->missing[node->outputs[0]] = true;
    return true;
}

/* Transpose to [N, H, W, C] of a tensor that has a twin: who reads the result reads the twin. */
static bool turn_transpose(layout_pass *pass, const hd_plan_node *node)
{
    hd_tensor_id output = node->outputs[0];
    if (!hd_plan_node_is(node, HD_OP_TRANSPOSE) || !is_map(pass, node->inputs[0]) ||
        !is_missing(pass, node->inputs[0]) ||
        !turns(node, tensor_of(pass, output)->shape.rank, true) || tensor_of(pass, output)->kept ||
        tensor_of(pass, output)->viewed) {
        return false;
    }
    pass->instead[output] = pass->twins[node->inputs[0]];
    return true;
}

static void walk_node(layout_pass *pass, const hd_plan_node *node)
{
    for (size_t i = 0; i < node->operation.input_count; i++) {
        hd_tensor_id id = node->inputs[i];
        if (id < pass->tensor_limit && pass->instead[id] != HD_TENSOR_NONE) {
            node->inputs[i] = pass->instead[id];
        }
    }
    if (turn_convolution(pass, node) || turn_window(pass, node) || turn_elementwise(pass, node) ||
        turn_concat(pass, node) || turn_slice(pass, node) || turn_transpose(pass, node) ||
        turn_transpose_back(pass, node)) {
        return;
    }
    for (size_t i = 0; i < node->operation.input_count; i++) {
        if (node->inputs[i] != HD_TENSOR_NONE) {
            materialize(pass, node->inputs[i]);
        }
    }
    hd_planner *planner = pass->planner;
    if (!hd_array_reserve((void **)&planner->nodes, &planner->node_capacity,
                          planner->node_count + 1, sizeof *planner->nodes)) {
        pass->failed = true;
        return;
    }
    planner->nodes[planner->node_count++] = *node;
}

static bool has_convolution(const hd_planner *planner)
{
    for (size_t n = 0; n < planner->node_count; n++) {
        const hd_plan_node *node = &planner->nodes[n];
        if (!node->dead &&
            (hd_plan_node_is(node, HD_OP_CONV) || hd_plan_node_is(node, HD_OP_CONV_TRANSPOSE) ||
             hd_plan_node_is(node, HD_OP_QLINEAR_CONV))) {
            return true;
        }
    }
    return false;
}

bool hd_choose_layouts(hd_planner *planner)
{
    if (!has_convolution(planner)) {
        return true;
    }
    layout_pass pass = {.planner = planner,
                        .tensor_limit = planner->tensor_count,
                        .nodes = planner->nodes,
                        .node_count = planner->node_count};
    pass.twins = hd_alloc(2 * pass.tensor_limit * sizeof *pass.twins);
    pass.missing = hd_alloc_zero(pass.tensor_limit, sizeof *pass.missing);
    if (pass.twins == NULL || pass.missing == NULL) {
        hd_free(pass.twins);
        hd_free(pass.missing);
        return false;
    }
    memset(pass.twins, 0xFF, 2 * pass.tensor_limit * sizeof *pass.twins);
    pass.instead = pass.twins + pass.tensor_limit;
    planner->nodes = NULL;
    planner->node_count = 0;
    planner->node_capacity = 0;
    for (size_t n = 0; n < pass.node_count && !pass.failed; n++) {
        if (!pass.nodes[n].dead) {
            walk_node(&pass, &pass.nodes[n]);
        }
    }
    hd_free(pass.nodes);
    hd_free(pass.twins);
    hd_free(pass.missing);
    hd_planner_count_uses(planner);
    return !pass.failed;
}
