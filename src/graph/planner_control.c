/* If and Loop while a plan is made: a branch is walked in the place of its If; a Loop whose body has one shape
 * for all iterations becomes a part that runs as a loop (planner_loop.c), another is taken apart iteration by
 * iteration. The blocks that are open stand in planner->frames, so that no depth of nesting takes any of the
 * thread's stack. */
#include <string.h>

#include "base/memory.h"
#include "graph/planner.h"

/* A Loop that is taken apart further than this is refused (FLAT). */
#define NODE_COUNT_LIMIT ((size_t)1 << 18)
/* Fewer iterations than this are taken apart, but within a block. */
#define LOOP_TURNS 8
/* In the first iteration what is carried may have a shape of its own: a state of one zero, say. */
#define LOOP_TRIES 2

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
    return hd_fail(planner->error, HD_BAD_MODEL, "node '%s' (%s): %s", node->name,
                   node->operator->name, reason);
}

/* Reads a known scalar; *is_known is false, and the walk has stopped, where it is not known yet. */
static hd_status known_scalar(hd_planner *planner, const hd_node *node, hd_tensor_id tensor,
                              hd_dtype dtype, int64_t *out, bool *is_known)
{
    *is_known = false;
    const char *what = dtype == HD_BOOL ? "condition" : "number of iterations";
    if (tensor == HD_TENSOR_NONE) {
        return hd_fail(planner->error, HD_BAD_MODEL, "node '%s' (%s): its %s is never computed",
                       node->name, node->operator->name, what);
    }
    const hd_plan_tensor *entry = &planner->tensors[tensor];
    if (entry->dtype != dtype || hd_shape_count(&entry->shape) != 1) {
        return hd_fail(planner->error, HD_BAD_MODEL, "node '%s' (%s): its %s is no single %s",
                       node->name, node->operator->name, what, hd_dtype_name(dtype));
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
    hd_tensor_id tensor = hd_planner_find(planner, node->inputs[0]);
    hd_status status = known_scalar(planner, node, tensor, HD_BOOL, &condition, &known);
    if (status == HD_OK && !known && planner->outer != NULL && planner->steering == 0) {
        /* Within a part there are no segments: both branches become blocks. */
        planner->cut_count--;
        status = hd_planner_make_branch(planner, node, tensor, done);
        if (status == HD_OK && !*done && planner->steering == 0 &&
            !hd_planner_add_cut(planner, tensor)) {
            status = out_of_memory(planner);
        }
    }
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
static hd_status bind_output(hd_planner *planner, const hd_node *node, size_t index,
                             hd_tensor_id tensor)
{
    hd_value output = node->outputs[index];
    if (output == HD_VALUE_NONE) {
        return HD_OK;
    }
    planner->map[output] = tensor;
    return tensor == HD_TENSOR_NONE ? HD_OK
                                    : hd_planner_check_declared(planner, node, "output", output,
                                                                planner->tensors[tensor].dtype);
}

static hd_status end_branch(hd_planner *planner, const hd_frame *frame)
{
    const hd_node *node = frame->node;
    for (size_t i = 0; i < node->output_count; i++) {
        hd_status status =
            bind_output(planner, node, i, hd_planner_find(planner, frame->block->outputs[i]));
        if (status != HD_OK) {
            return status;
        }
    }
    planner->frame_count--;
    return HD_OK;
}

bool hd_planner_bind_known(hd_planner *planner, hd_value value, hd_dtype dtype, const void *data)
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
    return hd_planner_bind_known(planner, frame->block->inputs[0], HD_INT64, &frame->iteration) &&
                   hd_planner_bind_known(planner, frame->block->inputs[1], HD_BOOL, &yes)
               ? HD_OK
               : out_of_memory(planner);
}

/* Whether all rows have given scan output `scan` one type, and one shape but for how many are stacked. */
static hd_status check_scans(hd_planner *planner, const hd_frame *frame, size_t scan,
                             size_t scan_total)
{
    const hd_plan_tensor *first = &planner->tensors[frame->scans[scan]];
    if (frame->rows_apart > 0 && first->shape.rank == HD_MAX_RANK) {
        return hd_fail(planner->error, HD_UNSUPPORTED,
                       "node '%s' (Loop): scan output %zu has over %d dimensions",
                       frame->node->name, scan, HD_MAX_RANK);
    }
    for (size_t row = 1; row * scan_total < frame->scan_count; row++) {
        const hd_plan_tensor *entry = &planner->tensors[frame->scans[row * scan_total + scan]];
        hd_shape shape = entry->shape;
        if (row >= frame->rows_apart && frame->rows_apart > 0) {
            shape.rank--;
            memmove(&shape.dims[0], &shape.dims[1], shape.rank * sizeof *shape.dims);
        } else if (row >= frame->rows_apart) {
            shape.dims[0] = first->shape.dims[0];
        }
        if (entry->dtype != first->dtype || !hd_shape_equal(&shape, &first->shape)) {
            char texts[2][128];
            return hd_fail(
                planner->error, HD_BAD_MODEL,
                "node '%s' (Loop): scan output %zu is %s %s at first, but %s %s in iteration %zu",
                frame->node->name, scan, hd_dtype_name(first->dtype),
                hd_shape_text(&first->shape, texts[0], sizeof texts[0]),
                hd_dtype_name(entry->dtype), hd_shape_text(&shape, texts[1], sizeof texts[1]), row);
        }
    }
    return HD_OK;
}

/* What the body or the node declares of the shape of a scan output of no iterations. */
static hd_shape declared_scan(const hd_planner *planner, const hd_frame *frame, size_t index,
                              bool *has_rank)
{
    const hd_graph_value *inner = &planner->graph->values[frame->block->outputs[1 + index]];
    const hd_graph_value *outer = &planner->graph->values[frame->node->outputs[index]];
    hd_shape shape = {.rank = 1};
    *has_rank = true;
    if (inner->has_rank && inner->shape.rank < HD_MAX_RANK) {
        shape.rank = inner->shape.rank + 1;
        memcpy(&shape.dims[1], inner->shape.dims, inner->shape.rank * sizeof *shape.dims);
    } else if (outer->has_rank && outer->shape.rank > 0) {
        shape = outer->shape;
        shape.dims[0] = 0;
    } else {
        *has_rank = false;
    }
    return shape;
}

/* A scan output of no iterations: empty, with the dimensions that the body or the node declares, or that a
 * walk of the body finds (`found`, which may have no type); those that are not known are 0. */
static hd_status make_empty_scan(hd_planner *planner, const hd_frame *frame, size_t index,
                                 const hd_plan_tensor *found, hd_tensor_id *out)
{
    const hd_node *node = frame->node;
    hd_dtype inner = planner->graph->values[frame->block->outputs[1 + index]].dtype;
    hd_dtype outer = planner->graph->values[node->outputs[index]].dtype;
    hd_dtype dtype = found->dtype != HD_DTYPE_NONE ? found->dtype
                     : inner != HD_DTYPE_NONE      ? inner
                                                   : outer;
    if (dtype == HD_DTYPE_NONE) {
        return fail_node(planner, node, "a scan output of no iterations has no declared type");
    }
    bool has_rank;
    hd_shape shape = declared_scan(planner, frame, index, &has_rank);
    if (found->dtype != HD_DTYPE_NONE && found->shape.rank < HD_MAX_RANK) {
        shape.rank = has_rank ? shape.rank : found->shape.rank + 1;
        for (uint32_t i = 1; i < shape.rank && shape.rank == found->shape.rank + 1; i++) {
            shape.dims[i] =
                !has_rank || shape.dims[i] < 0 ? found->shape.dims[i - 1] : shape.dims[i];
        }
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

/* Row `row` of a scan output, as a part of what is joined. */
static hd_tensor_id scan_part(hd_planner *planner, const hd_frame *frame, size_t row,
                              hd_tensor_id id)
{
    const hd_shape *shape = &planner->tensors[id].shape;
    if (row >= frame->rows_apart) {
        return id;
    }
    hd_shape stacked = {.rank = shape->rank + 1, .dims = {1}};
    memcpy(&stacked.dims[1], shape->dims, shape->rank * sizeof *shape->dims);
    return hd_planner_new_view(planner, id, &stacked);
}

/* Stacks the values of scan output `scan` along a new first axis. */
static hd_status join_scan(hd_planner *planner, const hd_frame *frame, size_t scan,
                           size_t scan_total, hd_tensor_id *out)
{
    size_t rows = frame->scan_count / scan_total;
    hd_status status = check_scans(planner, frame, scan, scan_total);
    if (status != HD_OK) {
        return status;
    }
    hd_tensor_id *parts = hd_region_array(planner->region, rows, sizeof *parts);
    hd_attribute *axis = hd_region_alloc(planner->region, sizeof *axis);
    if (parts == NULL || axis == NULL) {
        return out_of_memory(planner);
    }
    for (size_t row = 0; row < rows; row++) {
        parts[row] = scan_part(planner, frame, row, frame->scans[row * scan_total + scan]);
        if (parts[row] == HD_TENSOR_NONE) {
            return out_of_memory(planner);
        }
    }
    if (rows == 1) {
        *out = parts[0];
        return HD_OK;
    }
    hd_dtype dtype = planner->tensors[parts[0]].dtype;
    hd_shape shape = planner->tensors[parts[0]].shape;
    shape.dims[0] = frame->iteration;
    if (!hd_shape_is_valid(&shape, dtype)) {
        return fail_node(planner, frame->node, "the size of a scan output overflows");
    }
    hd_tensor_id joined = hd_planner_new_tensor(planner, dtype, &shape);
    hd_plan_node *concat = joined == HD_TENSOR_NONE
                               ? NULL
                               : hd_planner_new_node(planner, HD_OP_CONCAT, frame->node->name,
                                                     parts, rows, &joined, 1);
    if (concat == NULL) {
        return out_of_memory(planner);
    }
    *axis = (hd_attribute){.name = "axis", .kind = HD_ATTRIBUTE_INT, .i = 0};
    concat->operation.attributes = axis;
    concat->operation.attribute_count = 1;
    planner->tensors[joined].origin = UINT64_MAX;
    *out = joined;
    return HD_OK;
}

static hd_status finish_loop(hd_planner *planner, hd_frame *frame)
{
    const hd_node *node = frame->node;
    loop_counts counts = counts_of(node);
    hd_plan_tensor *found = NULL;
    if (frame->iteration == 0 && node->output_count > counts.carried) {
        found = hd_region_array(planner->region, counts.scans, sizeof *found);
        if (found == NULL) {
            return out_of_memory(planner);
        }
        hd_planner_infer_scans(planner, found);
        frame = &planner->frames[planner->frame_count - 1];
    }
    for (size_t i = 0; i < node->output_count; i++) {
        hd_tensor_id tensor = HD_TENSOR_NONE;
        hd_status status = HD_OK;
        if (i < counts.carried) {
            tensor = planner->map[frame->block->inputs[i + 2]];
        } else if (node->outputs[i] != HD_VALUE_NONE) {
            status = frame->iteration == 0
                         ? make_empty_scan(planner, frame, i, &found[i - counts.carried], &tensor)
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

/* How often the Loop on top could not become a part; NULL: it is not to be tried. Within a block there are no
 * segments, so every Loop is, which may end by a condition that is computed. */
static uint8_t *find_refusals(hd_planner *planner, const hd_frame *frame)
{
    int64_t left = frame->trip_count - frame->iteration;
    if (planner->keeps_moves || frame->iteration >= LOOP_TRIES ||
        (frame->trip_count >= 0 && left < LOOP_TURNS && planner->outer == NULL)) {
        return NULL;
    }
    hd_planner *model = planner;
    while (model->outer != NULL) {
        model = model->outer;
    }
    if (model->refusals == NULL) {
        model->refusals = hd_alloc_zero(planner->graph->value_count, 1);
    }
    return model->refusals != NULL && model->refusals[frame->block->inputs[0]] < LOOP_TRIES
               ? &model->refusals[frame->block->inputs[0]]
               : NULL;
}

/* Goes on with a Loop whose iterations are not over yet. */
static hd_status next_iteration(hd_planner *planner)
{
    hd_frame *frame = &planner->frames[planner->frame_count - 1];
    uint8_t *refusals = find_refusals(planner, frame);
    bool made = false;
    if (refusals != NULL) {
        hd_status status = hd_planner_make_loop(planner, &made);
        if (status != HD_OK || planner->steering != 0) {
            return status;
        }
        *refusals += !made;
    }
    if (!made) {
        return begin_iteration(planner, frame);
    }
    return frame->is_pending ? HD_OK : finish_loop(planner, frame);
}

/* Goes on behind turns that a part of the segment before ran. */
static hd_status end_part(hd_planner *planner, hd_frame *frame)
{
    const int64_t *state = planner->tensors[frame->state].data; /* read at the end of the segment */
    frame->is_pending = false;
    frame->iteration += state[0];
    planner->work += (double)state[0] * frame->turn_work;
    if (state[1] == 0 || (frame->trip_count >= 0 && frame->iteration >= frame->trip_count)) {
        return finish_loop(planner, frame);
    }
    bool made = false;
    hd_status status = hd_planner_make_loop(planner, &made);
    if (status == HD_OK && !made && planner->steering == 0) {
        status = hd_fail(planner->error, HD_UNSUPPORTED,
                         "node '%s' (Loop): its shapes change while it runs", frame->node->name);
    }
    return status == HD_OK && made && !frame->is_pending ? finish_loop(planner, frame) : status;
}

/* Reads how often a Loop may run (-1: no limit, 0 also where its condition is false at first). */
static hd_status read_trip_count(hd_planner *planner, const hd_node *node, int64_t *out,
                                 bool *is_known)
{
    int64_t trips = -1, condition = 1;
    *is_known = true;
    if (node->input_count > 0 && node->inputs[0] != HD_VALUE_NONE) {
        hd_status status = known_scalar(planner, node, hd_planner_find(planner, node->inputs[0]),
                                        HD_INT64, &trips, is_known);
        if (status != HD_OK || !*is_known) {
            return status;
        }
        trips = trips < 0 ? 0 : trips;
    }
    if (node->input_count > 1 && node->inputs[1] != HD_VALUE_NONE) {
        hd_status status = known_scalar(planner, node, hd_planner_find(planner, node->inputs[1]),
                                        HD_BOOL, &condition, is_known);
        if (status != HD_OK || !*is_known) {
            return status;
        }
    }
    *out = condition == 0 ? 0 : trips;
    return HD_OK;
}

/* Gives carried value `index` of the body the tensor that it has in the next iteration. */
static hd_status bind_carried(hd_planner *planner, const hd_node *node, size_t index,
                              hd_tensor_id tensor)
{
    hd_value input = node->blocks[0]->inputs[2 + index];
    if (tensor == HD_TENSOR_NONE) {
        return hd_fail(planner->error, HD_BAD_MODEL,
                       "node '%s' (Loop): carried value %zu ('%s') is never computed", node->name,
                       index, planner->graph->values[input].name);
    }
    planner->map[input] = tensor;
    return hd_planner_check_declared(planner, node, "carried value", input,
                                     planner->tensors[tensor].dtype);
}

static hd_status open_loop(hd_planner *planner, const hd_node *node, bool *done)
{
    const hd_block *body = node->blocks[0];
    size_t carried = node->input_count < 2 ? 0 : node->input_count - 2;
    if (body == NULL || body->input_count != carried + 2 || body->output_count < carried + 1 ||
        node->output_count > body->output_count - 1) {
        return fail_node(planner, node, "its body does not fit");
    }
    int64_t trips = -1;
    bool known;
    hd_status status = read_trip_count(planner, node, &trips, &known);
    if (status != HD_OK || !known) {
        return status;
    }
    for (size_t i = 0; i < carried && status == HD_OK; i++) {
        status = bind_carried(planner, node, i, hd_planner_find(planner, node->inputs[i + 2]));
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
    return trips == 0 ? finish_loop(planner, frame) : next_iteration(planner);
}

bool hd_planner_reserve_scans(hd_planner *planner, hd_frame *frame, size_t more)
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
    if (!hd_planner_reserve_scans(planner, frame, counts.scans)) {
        return out_of_memory(planner);
    }
    for (size_t i = 0; i < counts.scans; i++) {
        hd_tensor_id tensor =
            hd_planner_find(planner, frame->block->outputs[1 + counts.carried + i]);
        if (tensor == HD_TENSOR_NONE) {
            return hd_fail(planner->error, HD_BAD_MODEL,
                           "node '%s' (Loop): scan output %zu is never computed", frame->node->name,
                           i);
        }
        frame->scans[frame->scan_count++] = tensor;
    }
    frame->rows_apart++;
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
        next[i] = hd_planner_find(planner, body->outputs[1 + i]);
        if (next[i] != HD_TENSOR_NONE &&
            planner->tensors[next[i]].dtype !=
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
    if (frame->is_pending) {
        return end_part(planner, frame);
    }
    const hd_block *body = frame->block;
    loop_counts counts = counts_of(frame->node);
    int64_t condition;
    bool known;
    hd_status status =
        known_scalar(planner, frame->node, hd_planner_find(planner, body->outputs[0]), HD_BOOL,
                     &condition, &known);
    if (status != HD_OK || !known) {
        return status;
    }
    if (planner->node_count > NODE_COUNT_LIMIT) {
        return hd_fail(planner->error, HD_UNSUPPORTED,
                       "node '%s' (Loop): its iterations take more than %zu steps",
                       frame->node->name, NODE_COUNT_LIMIT);
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
    return next_iteration(planner);
}

hd_status hd_planner_open_control(hd_planner *planner, const hd_node *node, bool *done)
{
    if (node->operator->id == HD_OP_IF) {
        return open_if(planner, node, done);
    }
    if (node->operator->id == HD_OP_LOOP) {
        return open_loop(planner, node, done);
    }
    return hd_fail(planner->error, HD_UNSUPPORTED, "node '%s': operator '%s' is not supported",
                   node->name, node->operator->name);
}

hd_status hd_planner_end_block(hd_planner *planner)
{
    hd_frame *frame = &planner->frames[planner->frame_count - 1];
    return frame->node->operator->id == HD_OP_LOOP ? end_iteration(planner, frame)
                                                   : end_branch(planner, frame);
}
