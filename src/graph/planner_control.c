/* If and Loop while a plan is made: a branch is walked in the place of its If; a Loop is taken apart iteration
 * by iteration. The blocks that are open stand in planner->frames, so that no depth of nesting takes any of
 * the thread's stack. */
#include <string.h>

#include "base/memory.h"
#include "graph/planner.h"

/* A Loop that is taken apart further than this is refused (FLAT). */
#define NODE_COUNT_LIMIT ((size_t)1 << 18)

/* ONNX: Loop(M, cond, carried...) -> (carried..., scans...); body(i, cond, carried...) -> (cond,
 * carried..., scans...). */
typedef struct loop_counts {
    size_t carried;
    size_t scans; /* of the body; the node may have fewer outputs */
} loop_counts;

static loop_counts counts_of(const hd_node *node)
{
    size_t carried = node->input_count < 2 ? 0 : node->input_count - 2;
    return (loop_counts){carried, node->blocks[0]->output_count - 1 - carried};
}

static hd_status out_of_memory(hd_planner *planner)
{
    return hd_fail(planner->error, HD_OUT_OF_MEMORY, "no memory for a plan");
}

static hd_status fail_node(hd_planner *planner, const hd_node *node, const char *reason)
{
    return hd_fail(planner->error, HD_BAD_MODEL, "node '%s' (%s): %s", node->name, node->operator->type,
                   reason);
}

/* Reads a known scalar; *is_known is false, and the walk has stopped, where it is not known yet. */
static hd_status known_scalar(hd_planner *planner, const hd_node *node, hd_tensor_id tensor, hd_dtype dtype,
                              int64_t *out, bool *is_known)
{
    *is_known = false;
    const char *what = dtype == HD_BOOL ? "condition" : "number of iterations";
    if (tensor == HD_TENSOR_NONE) {
        return hd_fail(planner->error, HD_BAD_MODEL, "node '%s' (%s): its %s is never computed", node->name,
                       node->operator->type, what);
    }
    const hd_plan_tensor *entry = &planner->tensors[tensor];
    if (entry->dtype != dtype || hd_shape_count(&entry->shape) != 1) {
        return hd_fail(planner->error, HD_BAD_MODEL, "node '%s' (%s): its %s is no single %s", node->name,
                       node->operator->type, what, hd_dtype_name(dtype));
    }
    if (entry->data == NULL) {
        return hd_planner_need_value(planner, tensor);
    }
    hd_operand operand = hd_planner_operand(planner, tensor);
    *out = hd_operand_int(&operand, 0);
    *is_known = true;
    return HD_OK;
}

static hd_status open_if(hd_planner *planner, const hd_node *node, bool *done)
{
    int64_t condition;
    bool known;
    hd_status status =
        known_scalar(planner, node, planner->map[node->inputs[0]], HD_BOOL, &condition, &known);
    if (status != HD_OK || !known) {
        return status;
    }
    const hd_block *branch = node->blocks[condition != 0 ? 0 : 1];
    if (branch == NULL || branch->output_count < node->output_count) {
        return fail_node(planner, node, "a branch is missing or too short");
    }
    *done = true;
    return hd_planner_push_frame(planner, branch, node) ? HD_OK : out_of_memory(planner);
}

/* Gives a node's output the tensor that its block computed; who reads one that is none says that it is
 * never computed. */
static hd_status bind_output(hd_planner *planner, const hd_node *node, size_t index, hd_tensor_id tensor)
{
    hd_value output = node->outputs[index];
    if (output == HD_VALUE_NONE) {
        return HD_OK;
    }
    planner->map[output] = tensor;
    return tensor == HD_TENSOR_NONE
               ? HD_OK
               : hd_planner_check_declared(planner, node, "output", output, planner->tensors[tensor].dtype);
}

static hd_status end_branch(hd_planner *planner, const hd_frame *frame)
{
    const hd_node *node = frame->node;
    for (size_t i = 0; i < node->output_count; i++) {
        hd_status status = bind_output(planner, node, i, planner->map[frame->block->outputs[i]]);
        if (status != HD_OK) {
            return status;
        }
    }
    planner->frame_count--;
    return HD_OK;
}

/* A known tensor for the body's input `value`: a scalar, or one element where the body declares one
 * dimension. */
static bool bind_known(hd_planner *planner, hd_value value, hd_dtype dtype, const void *data)
{
    const hd_graph_value *declared = &planner->graph->values[value];
    hd_shape shape = {.rank = declared->has_rank && declared->shape.rank == 1 ? 1 : 0, .dims = {1}};
    hd_tensor_id id = hd_planner_new_tensor(planner, dtype, &shape);
    void *copy = hd_region_copy(planner->region, data, hd_dtype_size(dtype));
    if (id == HD_TENSOR_NONE || copy == NULL) {
        return false;
    }
    planner->tensors[id].data = copy;
    planner->map[value] = id;
    return true;
}

/* Begins the next iteration: its number and a true condition become the body's first two inputs. */
static hd_status begin_iteration(hd_planner *planner, hd_frame *frame)
{
    uint8_t yes = 1;
    frame->next = 0;
    return bind_known(planner, frame->block->inputs[0], HD_INT64, &frame->iteration) &&
                   bind_known(planner, frame->block->inputs[1], HD_BOOL, &yes)
               ? HD_OK
               : out_of_memory(planner);
}

/* Whether all iterations have given scan output `scan` the same type and shape, those of *first. */
static hd_status check_scans(hd_planner *planner, const hd_frame *frame, size_t scan, size_t scan_total,
                             const hd_plan_tensor *first)
{
    if (first->shape.rank == HD_MAX_RANK) {
        return hd_fail(planner->error, HD_UNSUPPORTED, "node '%s' (Loop): scan output %zu has over %d dimensions",
                       frame->node->name, scan, HD_MAX_RANK);
    }
    for (int64_t i = 1; i < frame->iteration; i++) {
        const hd_plan_tensor *entry =
            &planner->tensors[frame->scans[(size_t)i * scan_total + scan]];
        if (entry->dtype != first->dtype || !hd_shape_equal(&entry->shape, &first->shape)) {
            char texts[2][128];
            return hd_fail(planner->error, HD_BAD_MODEL,
                           "node '%s' (Loop): scan output %zu is %s %s at first, but %s %s in iteration %lld",
                           frame->node->name, scan, hd_dtype_name(first->dtype),
                           hd_shape_text(&first->shape, texts[0], sizeof texts[0]),
                           hd_dtype_name(entry->dtype),
                           hd_shape_text(&entry->shape, texts[1], sizeof texts[1]), (long long)i);
        }
    }
    return HD_OK;
}

/* A scan output of no iterations: empty, with the dimensions that the body or the node declares; those that
 * are not known are 0. */
static hd_status make_empty_scan(hd_planner *planner, const hd_frame *frame, size_t index, hd_tensor_id *out)
{
    const hd_node *node = frame->node;
    const hd_graph_value *inner = &planner->graph->values[frame->block->outputs[1 + index]];
    const hd_graph_value *outer = &planner->graph->values[node->outputs[index]];
    hd_dtype dtype = inner->dtype != HD_DTYPE_NONE ? inner->dtype : outer->dtype;
    hd_shape shape = {.rank = 1};
    if (dtype == HD_DTYPE_NONE) {
        return fail_node(planner, node, "a scan output of no iterations has no declared type");
    }
    if (inner->has_rank && inner->shape.rank < HD_MAX_RANK) {
        shape.rank = inner->shape.rank + 1;
        memcpy(&shape.dims[1], inner->shape.dims, inner->shape.rank * sizeof *shape.dims);
    } else if (outer->has_rank && outer->shape.rank > 0) {
        shape = outer->shape;
        shape.dims[0] = 0;
    }
    for (uint32_t i = 0; i < shape.rank; i++) {
        shape.dims[i] = shape.dims[i] < 0 ? 0 : shape.dims[i];
    }
    if (!hd_shape_is_valid(&shape, dtype)) {
        return fail_node(planner, node, "the declared size of a scan output overflows");
    }
    hd_tensor_id id = hd_planner_new_tensor(planner, dtype, &shape);
    void *nothing = hd_region_alloc(planner->region, 0);
    if (id == HD_TENSOR_NONE || nothing == NULL) {
        return out_of_memory(planner);
    }
    planner->tensors[id].data = nothing;
    *out = id;
    return HD_OK;
}

/* Stacks the iterations' values of scan output `scan` along a new first axis. */
static hd_status join_scan(hd_planner *planner, const hd_frame *frame, size_t scan, size_t scan_total,
                           hd_tensor_id *out)
{
    size_t iterations = (size_t)frame->iteration;
    hd_status status =
        check_scans(planner, frame, scan, scan_total, &planner->tensors[frame->scans[scan]]);
    if (status != HD_OK) {
        return status;
    }
    hd_tensor_id *parts = hd_region_array(planner->region, iterations, sizeof *parts);
    hd_attribute *axis = hd_region_alloc(planner->region, sizeof *axis);
    if (parts == NULL || axis == NULL) {
        return out_of_memory(planner);
    }
    const hd_plan_tensor *first = &planner->tensors[frame->scans[scan]];
    hd_dtype dtype = first->dtype;
    hd_shape shape = {.rank = first->shape.rank + 1, .dims = {1}};
    memcpy(&shape.dims[1], first->shape.dims, first->shape.rank * sizeof *shape.dims);
    for (size_t i = 0; i < iterations; i++) {
        parts[i] = hd_planner_new_view(planner, frame->scans[i * scan_total + scan], &shape);
        if (parts[i] == HD_TENSOR_NONE) {
            return out_of_memory(planner);
        }
    }
    shape.dims[0] = (int64_t)iterations;
    if (!hd_shape_is_valid(&shape, dtype)) {
        return fail_node(planner, frame->node, "the size of a scan output overflows");
    }
    hd_tensor_id joined = hd_planner_new_tensor(planner, dtype, &shape);
    hd_plan_node *concat = joined == HD_TENSOR_NONE
                               ? NULL
                               : hd_planner_new_node(planner, "Concat", frame->node->name, parts, iterations,
                                                     &joined, 1);
    if (concat == NULL) {
        return out_of_memory(planner);
    }
    *axis = (hd_attribute){.name = "axis", .kind = HD_ATTRIBUTE_INT, .i = 0};
    concat->operation.attributes = axis;
    concat->operation.attribute_count = 1;
    concat->flags = HD_OPERATOR_ANY_DTYPE;
    planner->tensors[joined].origin = UINT64_MAX;
    *out = joined;
    return HD_OK;
}

static hd_status finish_loop(hd_planner *planner, hd_frame *frame)
{
    const hd_node *node = frame->node;
    loop_counts counts = counts_of(node);
    for (size_t i = 0; i < node->output_count; i++) {
        hd_tensor_id tensor = HD_TENSOR_NONE;
        hd_status status = HD_OK;
        if (i < counts.carried) {
            tensor = planner->map[frame->block->inputs[i + 2]];
        } else if (node->outputs[i] != HD_VALUE_NONE) {
            status = frame->iteration == 0
                         ? make_empty_scan(planner, frame, i, &tensor)
                         : join_scan(planner, frame, i - counts.carried, counts.scans, &tensor);
        }
        if (status == HD_OK) {
            status = bind_output(planner, node, i, tensor);
        }
        if (status != HD_OK) {
            return status;
        }
    }
    planner->frame_count--;
    return HD_OK;
}

/* Reads how often a Loop may run (-1: no limit, 0 also where its condition is false at first). */
static hd_status read_trip_count(hd_planner *planner, const hd_node *node, int64_t *out, bool *is_known)
{
    int64_t trips = -1, condition = 1;
    *is_known = true;
    if (node->input_count > 0 && node->inputs[0] != HD_VALUE_NONE) {
        hd_status status =
            known_scalar(planner, node, planner->map[node->inputs[0]], HD_INT64, &trips, is_known);
        if (status != HD_OK || !*is_known) {
            return status;
        }
        trips = trips < 0 ? 0 : trips;
    }
    if (node->input_count > 1 && node->inputs[1] != HD_VALUE_NONE) {
        hd_status status =
            known_scalar(planner, node, planner->map[node->inputs[1]], HD_BOOL, &condition, is_known);
        if (status != HD_OK || !*is_known) {
            return status;
        }
    }
    *out = condition == 0 ? 0 : trips;
    return HD_OK;
}

/* Gives carried value `index` of the body the tensor that it has in the next iteration. */
static hd_status bind_carried(hd_planner *planner, const hd_node *node, size_t index, hd_tensor_id tensor)
{
    hd_value input = node->blocks[0]->inputs[2 + index];
    if (tensor == HD_TENSOR_NONE) {
        return hd_fail(planner->error, HD_BAD_MODEL, "node '%s' (Loop): carried value %zu ('%s') is never computed",
                       node->name, index, planner->graph->values[input].name);
    }
    planner->map[input] = tensor;
    return hd_planner_check_declared(planner, node, "carried value", input, planner->tensors[tensor].dtype);
}

static hd_status open_loop(hd_planner *planner, const hd_node *node, bool *done)
{
    const hd_block *body = node->blocks[0];
    size_t carried = node->input_count < 2 ? 0 : node->input_count - 2;
    if (body == NULL || body->input_count != carried + 2 || body->output_count < carried + 1 ||
        node->output_count > body->output_count - 1) {
        return fail_node(planner, node, "its body does not fit");
    }
    int64_t trips;
    bool known;
    hd_status status = read_trip_count(planner, node, &trips, &known);
    if (status != HD_OK || !known) {
        return status;
    }
    for (size_t i = 0; i < carried && status == HD_OK; i++) {
        status = bind_carried(planner, node, i, planner->map[node->inputs[i + 2]]);
    }
    if (status != HD_OK) {
        return status;
    }
    if (!hd_planner_push_frame(planner, body, node)) {
        return out_of_memory(planner);
    }
    hd_frame *frame = &planner->frames[planner->frame_count - 1];
    frame->trip_count = trips;
    *done = true;
    return trips == 0 ? finish_loop(planner, frame) : begin_iteration(planner, frame);
}

/* Room for `more` scan values, in the region because continuations share what is there already. */
static bool reserve_scans(hd_planner *planner, hd_frame *frame, size_t more)
{
    if (frame->scan_count + more <= frame->scan_capacity) {
        return true;
    }
    size_t capacity = 2 * (frame->scan_count + more);
    hd_tensor_id *grown = hd_region_array(planner->region, capacity, sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    if (frame->scan_count > 0) {
        memcpy(grown, frame->scans, frame->scan_count * sizeof *grown);
    }
    frame->scans = grown;
    frame->scan_capacity = capacity;
    return true;
}

/* Notes what an iteration has given for each scan output. */
static hd_status note_scans(hd_planner *planner, hd_frame *frame, loop_counts counts)
{
    if (!reserve_scans(planner, frame, counts.scans)) {
        return out_of_memory(planner);
    }
    for (size_t i = 0; i < counts.scans; i++) {
        hd_tensor_id tensor = planner->map[frame->block->outputs[1 + counts.carried + i]];
        if (tensor == HD_TENSOR_NONE) {
            return hd_fail(planner->error, HD_BAD_MODEL, "node '%s' (Loop): scan output %zu is never computed",
                           frame->node->name, i);
        }
        frame->scans[frame->scan_count++] = tensor;
    }
    return HD_OK;
}

/* Carries the body's outputs over to its inputs. All are read before any is bound: a body may swap them. */
static hd_status carry_over(hd_planner *planner, const hd_frame *frame, size_t carried)
{
    const hd_block *body = frame->block;
    hd_tensor_id *next = hd_region_array(planner->region, carried, sizeof *next);
    if (next == NULL) {
        return out_of_memory(planner);
    }
    for (size_t i = 0; i < carried; i++) {
        next[i] = planner->map[body->outputs[1 + i]];
        if (next[i] != HD_TENSOR_NONE && planner->tensors[next[i]].dtype !=
                                             planner->tensors[planner->map[body->inputs[2 + i]]].dtype) {
            return fail_node(planner, frame->node, "a carried value changes its type");
        }
    }
    hd_status status = HD_OK;
    for (size_t i = 0; i < carried && status == HD_OK; i++) {
        status = bind_carried(planner, frame->node, i, next[i]);
    }
    return status;
}

static hd_status end_iteration(hd_planner *planner, hd_frame *frame)
{
    const hd_block *body = frame->block;
    loop_counts counts = counts_of(frame->node);
    int64_t condition;
    bool known;
    hd_status status =
        known_scalar(planner, frame->node, planner->map[body->outputs[0]], HD_BOOL, &condition, &known);
    if (status != HD_OK || !known) {
        return status;
    }
    if (planner->node_count > NODE_COUNT_LIMIT) {
        return hd_fail(planner->error, HD_UNSUPPORTED,
                       "node '%s' (Loop): its iterations take more than %zu steps", frame->node->name,
                       NODE_COUNT_LIMIT);
    }
    status = hd_planner_check_size(planner, frame->node);
    if (status == HD_OK) {
        status = note_scans(planner, frame, counts);
    }
    if (status == HD_OK) {
        status = carry_over(planner, frame, counts.carried);
    }
    if (status != HD_OK) {
        return status;
    }
    frame->iteration++;
    if (condition == 0 || (frame->trip_count >= 0 && frame->iteration >= frame->trip_count)) {
        return finish_loop(planner, frame);
    }
    return begin_iteration(planner, frame);
}

hd_status hd_planner_open_control(hd_planner *planner, const hd_node *node, bool *done)
{
    if (strcmp(node->operator->type, "If") == 0) {
        return open_if(planner, node, done);
    }
    if (strcmp(node->operator->type, "Loop") == 0) {
        return open_loop(planner, node, done);
    }
    return hd_fail(planner->error, HD_UNSUPPORTED, "node '%s': operator '%s' is not supported", node->name,
                   node->operator->type);
}

hd_status hd_planner_end_block(hd_planner *planner)
{
    hd_frame *frame = &planner->frames[planner->frame_count - 1];
    return strcmp(frame->node->operator->type, "Loop") == 0 ? end_iteration(planner, frame)
                                                            : end_branch(planner, frame);
}
