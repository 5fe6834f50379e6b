#include "graph/planner.h"

#include "base/memory.h"
#include "base/stop.h"
#include "graph/evaluate.h"
#include "graph/index_checks.h"
#include "graph/model.h"
#include "graph/settle.h"

/* Values of up to this many elements may steer a plan: branch conditions, target shapes, rates. */
#define STEERING_COUNT_LIMIT 64
/* Bytes: no address space holds a larger tensor, and what kernels compute with sizes does not overflow. */
#define TENSOR_SIZE_LIMIT ((int64_t)1 << 47)
/* What is folded may have this many bytes more than its inputs. */
#define FOLD_GROWTH_LIMIT ((int64_t)1 << 20)
/* From so many bytes on what is folded for a device is no part of the plan's region (hd_plan_fold). */
#define FOLD_APART_SIZE ((size_t)16 << 10)

static hd_status out_of_memory(hd_planner *planner)
{
    return hd_fail(planner->error, HD_OUT_OF_MEMORY, "no memory for a plan");
}

hd_memory_place hd_planner_part_place(const hd_planner *planner)
{
    return planner->model->device->unit->is_host ? HD_PLACE_DEVICE : HD_PLACE_HOST;
}

hd_tensor_id hd_planner_new_tensor(hd_planner *planner, hd_dtype dtype, const hd_shape *shape)
{
    static const _Alignas(HD_CACHE_LINE) unsigned char nothing[1] = {0};
    hd_shape copy = *shape; /* it may lie in the array that grows */
    if (!hd_array_reserve((void **)&planner->tensors, &planner->tensor_capacity,
                          planner->tensor_count + 1, sizeof *planner->tensors)) {
        return HD_TENSOR_NONE;
    }
    planner->tensors[planner->tensor_count] =
        (hd_plan_tensor){.dtype = dtype,
                         .shape = copy,
                         .data = hd_shape_count(&copy) == 0 ? nothing : NULL,
                         .view_of = HD_TENSOR_NONE,
                         .extent = HD_TENSOR_NONE,
                         .twin = HD_TENSOR_NONE,
                         .place = planner->is_for_host ? HD_PLACE_HOST : HD_PLACE_DEVICE,
                         .input_index = -1,
                         .output_index = -1,
                         .first_use = UINT32_MAX,
                         .producer = UINT32_MAX};
    return (hd_tensor_id)planner->tensor_count++;
}

hd_operand hd_planner_operand(const hd_planner *planner, hd_tensor_id id)
{
    if (id == HD_TENSOR_NONE) {
        return (hd_operand){.dtype = HD_DTYPE_NONE};
    }
    const hd_plan_tensor *tensor = &planner->tensors[id];
    return (hd_operand){.dtype = tensor->dtype,
                        .shape = tensor->shape,
                        .data = tensor->data,
                        .packed = tensor->packed};
}

/* Appends a node; what it names is of the plan's region. */
static hd_plan_node *append_node(hd_planner *planner, const hd_operation *operation,
                                 hd_tensor_id *inputs, hd_tensor_id *outputs)
{
    if (!hd_array_reserve((void **)&planner->nodes, &planner->node_capacity,
                          planner->node_count + 1, sizeof *planner->nodes) ||
        !hd_planner_reserve_uses(planner, operation->input_count)) {
        return NULL;
    }
    for (size_t i = 0; i < operation->input_count; i++) {
        operation->inputs[i] = hd_planner_operand(planner, inputs[i]);
    }
    for (size_t i = 0; i < operation->output_count; i++) {
        operation->outputs[i] = hd_planner_operand(planner, outputs[i]);
    }
    planner->use_total += operation->input_count;
    planner->nodes[planner->node_count] =
        (hd_plan_node){.operation = *operation, .inputs = inputs, .outputs = outputs};
    return &planner->nodes[planner->node_count++];
}

hd_plan_node *hd_planner_new_node(hd_planner *planner, hd_operator_id id, const char *name,
                                  const hd_tensor_id *inputs, size_t input_count,
                                  const hd_tensor_id *outputs, size_t output_count)
{
    hd_operation operation = {
        .id = id,
        .name = name,
        .opset = planner->graph->opset,
        .inputs = hd_region_array(planner->region, input_count, sizeof(hd_operand)),
        .input_count = input_count,
        .outputs = hd_region_array(planner->region, output_count, sizeof(hd_operand)),
        .output_count = output_count};
    hd_tensor_id *own_inputs =
        hd_region_copy(planner->region, inputs, input_count * sizeof *inputs);
    hd_tensor_id *own_outputs =
        hd_region_copy(planner->region, outputs, output_count * sizeof *outputs);
    return operation.inputs == NULL || operation.outputs == NULL || own_inputs == NULL ||
                   own_outputs == NULL
               ? NULL
               : append_node(planner, &operation, own_inputs, own_outputs);
}

hd_tensor_id hd_planner_root(const hd_planner *planner, hd_tensor_id tensor)
{
    while (planner->tensors[tensor].view_of != HD_TENSOR_NONE) {
        tensor = planner->tensors[tensor].view_of;
    }
    return tensor;
}

hd_status hd_planner_need_value(hd_planner *planner, hd_tensor_id needed)
{
    const hd_plan_tensor *tensor = &planner->tensors[needed];
    bool small = tensor->origin != 0 && planner->cut_count == 0 && (tensor->origin >> 63) == 0;
    const hd_planner *model = planner;
    while (model->outer != NULL) {
        model = model->outer;
    }
    for (size_t i = 0; small && i < planner->graph->root->input_count && i < 63; i++) {
        if ((tensor->origin >> i & 1) != 0) {
            const hd_plan_tensor *input =
                &model->tensors[model->map[planner->graph->root->inputs[i]]];
            small = hd_shape_count(&input->shape) <= STEERING_COUNT_LIMIT;
        }
    }
    if (small && !planner->follows) {
        planner->steering |= tensor->origin;
        return HD_OK;
    }
    return hd_planner_add_cut(planner, needed) ? HD_OK : out_of_memory(planner);
}

bool hd_planner_add_cut(hd_planner *planner, hd_tensor_id tensor)
{
    if (!hd_array_reserve((void **)&planner->cut, &planner->cut_capacity, planner->cut_count + 1,
                          sizeof *planner->cut)) {
        return false;
    }
    planner->cut[planner->cut_count++] = tensor;
    return true;
}

bool hd_planner_add_extent(hd_planner *planner, hd_tensor_id tensor)
{
    hd_shape shape = {.rank = 1, .dims = {HD_MAX_RANK}};
    hd_tensor_id extent = hd_planner_new_tensor(planner, HD_INT64, &shape);
    if (extent == HD_TENSOR_NONE) {
        return false;
    }
    planner->tensors[extent].place = hd_planner_part_place(planner);
    planner->tensors[tensor].extent = extent;
    return hd_planner_add_cut(planner, extent);
}

static bool walk_stopped(const hd_planner *planner)
{
    return planner->steering != 0 || planner->cut_count > 0;
}

/* The operation of a graph node over the tensors that its inputs are mapped to. */
static hd_status operation_of_node(hd_planner *planner, const hd_node *node,
                                   hd_operation *operation, hd_tensor_id **out_inputs)
{
    hd_tensor_id *inputs = hd_region_array(planner->region, node->input_count, sizeof *inputs);
    *operation = (hd_operation){
        .id = node->operator->id,
        .name = node->name,
        .opset = node->opset,
        .attributes = node->attributes,
        .attribute_count = node->attribute_count,
        .inputs = hd_region_array(planner->region, node->input_count, sizeof(hd_operand)),
        .input_count = node->input_count,
        .outputs = hd_region_array(planner->region, node->output_count, sizeof(hd_operand)),
        .output_count = node->output_count};
    if (inputs == NULL || operation->inputs == NULL || operation->outputs == NULL) {
        return out_of_memory(planner);
    }
    for (size_t i = 0; i < node->input_count; i++) {
        hd_value value = node->inputs[i];
        inputs[i] = value == HD_VALUE_NONE ? HD_TENSOR_NONE : hd_planner_find(planner, value);
        if (value != HD_VALUE_NONE && inputs[i] == HD_TENSOR_NONE) {
            return hd_operation_fail(operation, planner->error, HD_BAD_MODEL,
                                     "input %zu ('%s') is never computed", i,
                                     planner->graph->values[value].name);
        }
        operation->inputs[i] = hd_planner_operand(planner, inputs[i]);
    }
    *out_inputs = inputs;
    return HD_OK;
}

/* A permutation that leaves the order of all dimensions but those of size 1 moves no bytes. */
static bool is_still_transpose(const hd_operation *operation)
{
    size_t count;
    const int64_t *permutation = hd_operation_ints(operation, "perm", &count);
    const hd_shape *shape = &operation->inputs[0].shape;
    int64_t last = -1;
    for (uint32_t i = 0; i < shape->rank; i++) {
        int64_t axis = permutation == NULL ? (int64_t)shape->rank - 1 - i : permutation[i];
        if (axis < 0 || axis >= (int64_t)shape->rank) {
            return false;
        }
        if (shape->dims[axis] != 1) {
            if (axis < last) {
                return false;
            }
            last = axis;
        }
    }
    return true;
}

/* Output 0 has the bytes of input 0 in the same order. */
static bool moves_nothing(const hd_operation *operation, uint8_t flags)
{
    const hd_operand *input = &operation->inputs[0], *output = &operation->outputs[0];
    if (operation->input_count == 0 || input->dtype != output->dtype ||
        hd_shape_count(&input->shape) != hd_shape_count(&output->shape)) {
        return false;
    }
    for (size_t i = 1; i < operation->output_count; i++) {
        if (operation->outputs[i].dtype != HD_DTYPE_NONE) {
            return false;
        }
    }
    if ((flags & HD_OPERATOR_VIEW) != 0) {
        return true;
    }
    const hd_operator_id id = operation->id;
    if (id == HD_OP_TRANSPOSE) {
        return is_still_transpose(operation);
    }
    bool same = hd_shape_equal(&input->shape, &output->shape);
    return same && (id == HD_OP_CAST || id == HD_OP_EXPAND || id == HD_OP_TILE ||
                    (id == HD_OP_SLICE && operation->input_count < 5 /* no steps */) ||
                    (id == HD_OP_CONCAT && operation->input_count == 1));
}

static bool is_known(const hd_operation *operation, uint8_t flags)
{
    if (hd_operation_has_texts(operation)) {
        return false;
    }
    for (size_t i = 0; i < operation->input_count && (flags & HD_OPERATOR_SHAPE_ONLY) == 0; i++) {
        const hd_operand *input = &operation->inputs[i];
        if (input->dtype != HD_DTYPE_NONE && input->data == NULL) {
            return false;
        }
    }
    return true;
}

/* Gives a node's outputs their tensors and maps its values to them. */
static hd_status make_outputs(hd_planner *planner, const hd_node *node,
                              const hd_operation *operation, const hd_tensor_id *inputs,
                              hd_tensor_id *outputs)
{
    uint64_t origin = 0;
    for (size_t i = 0; i < operation->input_count; i++) {
        if (inputs[i] != HD_TENSOR_NONE && operation->inputs[i].data == NULL) {
            origin |= planner->tensors[inputs[i]].origin;
        }
    }
    for (size_t i = 0; i < node->output_count; i++) {
        outputs[i] = HD_TENSOR_NONE;
        const hd_operand *output = &operation->outputs[i];
        if (output->dtype == HD_DTYPE_NONE) {
            continue;
        }
        outputs[i] = hd_planner_new_tensor(planner, output->dtype, &output->shape);
        if (outputs[i] == HD_TENSOR_NONE) {
            return out_of_memory(planner);
        }
        planner->tensors[outputs[i]].origin = origin;
        planner->map[node->outputs[i]] = outputs[i];
    }
    return HD_OK;
}

/* Lets a fold's memory be the plan's as it is; false: it is to be copied to the region. */
static bool keep_apart(hd_planner *planner, void *memory, size_t size)
{
    if (planner->folds == NULL || size < FOLD_APART_SIZE) {
        return false;
    }
    hd_plan_fold *fold = hd_region_alloc(planner->region, sizeof *fold);
    if (fold == NULL) {
        return false;
    }
    *fold = (hd_plan_fold){.memory = memory, .size = size, .next = *planner->folds};
    *planner->folds = fold;
    planner->fold_bytes += size;
    return true;
}

static hd_status fold_node(hd_planner *planner, hd_operation *operation,
                           const hd_tensor_id *outputs)
{
    hd_status status = hd_evaluate(operation, planner->error);
    if (status != HD_OK) {
        return status;
    }
    for (size_t i = 0; i < operation->output_count; i++) {
        hd_operand *output = &operation->outputs[i];
        if (output->dtype == HD_DTYPE_NONE) {
            continue;
        }
        size_t size = (size_t)hd_shape_count(&output->shape) * hd_dtype_size(output->dtype);
        hd_plan_tensor *tensor = &planner->tensors[outputs[i]];
        tensor->shape = output->shape;
        tensor->origin = 0;
        void *made = (void *)(uintptr_t)output->data;
        output->data = NULL;
        if (keep_apart(planner, made, size)) {
            tensor->data = made;
            continue;
        }
        tensor->data = hd_region_copy(planner->region, made, size);
        hd_free(made);
        if (tensor->data == NULL) {
            status = out_of_memory(planner);
        }
    }
    return status;
}

/* A node whose output shapes are known only afterwards ends its segment: their extents are read. */
static hd_status cut_after_dynamic(hd_planner *planner, hd_plan_node *node)
{
    for (size_t i = 0; i < node->operation.output_count; i++) {
        if (node->outputs[i] != HD_TENSOR_NONE &&
            !hd_planner_add_extent(planner, node->outputs[i])) {
            return out_of_memory(planner);
        }
    }
    return HD_OK;
}

hd_status hd_planner_check_declared(const hd_planner *planner, const hd_node *node,
                                    const char *what, hd_value value, hd_dtype dtype)
{
    const hd_graph_value *entry = &planner->graph->values[value];
    return entry->dtype == HD_DTYPE_NONE || entry->dtype == dtype
               ? HD_OK
               : hd_fail(planner->error, HD_BAD_MODEL,
                         "node '%s' (%s): its %s '%s' is declared %s, but it gives %s", node->name,
                         node->operator->name, what, entry->name, hd_dtype_name(entry->dtype),
                         hd_dtype_name(dtype));
}

static hd_status check_outputs(hd_planner *planner, const hd_node *node, hd_operation *operation)
{
    if (hd_operator_check_outputs(operation, planner->error) != HD_OK) {
        return HD_UNSUPPORTED;
    }
    for (size_t i = 0; i < node->output_count; i++) {
        hd_operand *output = &operation->outputs[i];
        if (node->outputs[i] == HD_VALUE_NONE) {
            output->dtype = HD_DTYPE_NONE;
            continue;
        }
        if (!hd_shape_is_valid(&output->shape, output->dtype) ||
            hd_shape_count(&output->shape) >
                TENSOR_SIZE_LIMIT / (int64_t)hd_dtype_size(output->dtype)) {
            return hd_operation_fail(operation, planner->error, HD_INVALID_ARGUMENT,
                                     "the size of output %zu overflows", i);
        }
        hd_status status =
            hd_planner_check_declared(planner, node, "output", node->outputs[i], output->dtype);
        if (status != HD_OK) {
            return status;
        }
    }
    return HD_OK;
}

/* Adds to a message what a node's inputs are: "input 1" alone says little to who has the file. */
static hd_status name_inputs(const hd_planner *planner, const hd_node *node,
                             const hd_operation *operation, hd_status status)
{
    for (size_t i = 0; i < node->input_count && i < 4; i++) {
        const hd_operand *input = &operation->inputs[i];
        if (input->dtype != HD_DTYPE_NONE) {
            hd_fail_suffix(planner->error, status, "%s '%s' %s %s", i == 0 ? "; inputs:" : ",",
                           planner->graph->values[node->inputs[i]].name,
                           hd_dtype_name(input->dtype),
                           hd_shape_text(&input->shape, (char[128]){0}, 128));
        }
    }
    return status;
}

static hd_status walk_operator(hd_planner *planner, const hd_node *node)
{
    hd_operation operation;
    hd_tensor_id *inputs = NULL;
    hd_status status = operation_of_node(planner, node, &operation, &inputs);
    if (status != HD_OK) {
        return status;
    }
    status = hd_operator_check_types(&operation, planner->error);
    if (status != HD_OK) {
        return name_inputs(planner, node, &operation, status);
    }
    size_t needed = 0;
    switch (node->operator->infer(&operation, &needed, planner->error)) {
    case HD_INFER_FAILED:
        return name_inputs(planner, node, &operation, planner->error->status);
    case HD_INFER_NEEDS_VALUE:
        if (!hd_operation_has(&operation, needed)) { /* no segment would ever compute it (BOUND) */
            return hd_operation_fail(&operation, planner->error, HD_BAD_MODEL,
                                     "input %zu must not be left out", needed);
        }
        return hd_planner_need_value(planner, inputs[needed]);
    case HD_INFER_DONE:
        break;
    }
    hd_tensor_id *outputs = hd_region_array(planner->region, node->output_count, sizeof *outputs);
    if (outputs == NULL) {
        return out_of_memory(planner);
    }
    status = hd_index_check_known(&operation, planner->error);
    if (status != HD_OK) {
        return status;
    }
    status = check_outputs(planner, node, &operation);
    hd_operation_settle(&operation);
    uint8_t flags = node->operator->flags;
    bool still = status == HD_OK && moves_nothing(&operation, flags) &&
                 !(planner->keeps_moves && operation.inputs[0].data == NULL);
    if (still && hd_shape_equal(&operation.inputs[0].shape, &operation.outputs[0].shape)) {
        planner->map[node->outputs[0]] = inputs[0]; /* Identity and its like: the same tensor */
        return HD_OK;
    }
    if (status == HD_OK) {
        status = make_outputs(planner, node, &operation, inputs, outputs);
    }
    if (status != HD_OK) {
        return status;
    }
    if (still) {
        hd_plan_tensor *view = &planner->tensors[outputs[0]];
        view->view_of = hd_planner_root(planner, inputs[0]);
        view->data = planner->tensors[inputs[0]].data;
        planner->tensors[view->view_of].viewed = true;
        return HD_OK;
    }
    if (is_known(&operation, flags) &&
        hd_folding_take(&planner->folding, &operation, FOLD_GROWTH_LIMIT)) {
        return fold_node(planner, &operation, outputs);
    }
    hd_plan_node *made = append_node(planner, &operation, inputs, outputs);
    if (made == NULL) {
        return out_of_memory(planner);
    }
    return (flags & HD_OPERATOR_DYNAMIC) != 0 ? cut_after_dynamic(planner, made) : HD_OK;
}

hd_status hd_planner_check_size(const hd_planner *planner, const hd_node *node)
{
    uint64_t device_limit = planner->model->device->memory.limit;
    size_t size = planner->size_before + planner->region->total + planner->fold_bytes +
                  planner->tensor_capacity * sizeof *planner->tensors +
                  planner->node_capacity * sizeof *planner->nodes;
    uint64_t own_limit = planner->budget.plans;
    if (size <= own_limit && (device_limit == 0 || size <= device_limit)) {
        return HD_OK;
    }
    hd_status status = size <= own_limit ? HD_OUT_OF_MEMORY : HD_UNSUPPORTED;
    size_t limit = status == HD_UNSUPPORTED ? (size_t)own_limit : (size_t)device_limit;
    return node == NULL ? hd_fail(planner->error, status,
                                  "the plans of this run's segments pass %zu MB", limit >> 20)
                        : hd_fail(planner->error, status,
                                  "node '%s' (Loop): its iterations take a plan of over %zu MB",
                                  node->name, limit >> 20);
}

/* Walks one node; *done says that the frame goes on behind it. */
static hd_status walk_node(hd_planner *planner, const hd_node *node, bool *done)
{
    hd_status stopped = hd_stop_asked();
    if (stopped != HD_OK) {
        return hd_stop_tell(stopped, planner->error);
    }
    if ((node->operator->flags & HD_OPERATOR_CONTROL) == 0) {
        size_t nodes_before = planner->node_count;
        hd_status status = walk_operator(planner, node);
        /* A cut after a dynamic node leaves the node behind it; a cut before a node repeats it. */
        *done = !walk_stopped(planner) || planner->node_count > nodes_before;
        return status;
    }
    return hd_planner_open_control(planner, node, done);
}

bool hd_planner_push_frame(hd_planner *planner, const hd_block *block, const hd_node *node)
{
    if (!hd_array_reserve((void **)&planner->frames, &planner->frame_capacity,
                          planner->frame_count + 1, sizeof *planner->frames)) {
        return false;
    }
    planner->frames[planner->frame_count++] = (hd_frame){.block = block, .node = node};
    return true;
}

void hd_planner_clear(hd_planner *planner)
{
    hd_free(planner->tensors);
    hd_free(planner->nodes);
    hd_free(planner->frames);
    hd_free(planner->uses);
    hd_free(planner->cut);
    hd_free(planner->captured);
    if (planner->outer != NULL) { /* a model's lies in the region, with what continues it */
        hd_free(planner->map);
    } else {
        hd_free(planner->refusals);
    }
    planner->tensors = NULL;
    planner->nodes = NULL;
    planner->frames = NULL;
    planner->uses = NULL;
    planner->cut = NULL;
    planner->captured = NULL;
    planner->map = NULL;
    planner->refusals = NULL;
}

static hd_status walk(hd_planner *planner)
{
    while (!walk_stopped(planner)) {
        size_t index = planner->frame_count - 1;
        hd_frame *frame = &planner->frames[index];
        if (frame->next == frame->block->node_count) {
            if (index == 0) {
                return HD_OK;
            }
            hd_status status = hd_planner_end_block(planner);
            if (status != HD_OK) {
                return status;
            }
            continue;
        }
        bool done = false;
        const hd_node *node = &frame->block->nodes[frame->next];
        /* Advanced first: a branch that this node opens is walked before what stands behind it. */
        frame->next++;
        hd_status status = walk_node(planner, node, &done);
        if (status != HD_OK) {
            return status;
        }
        if (!done) {
            planner->frames[index].next--;
        }
    }
    return HD_OK;
}

hd_status hd_planner_walk(hd_planner *planner)
{
    hd_status status = walk(planner);
    const hd_node *node = planner->frames[planner->frame_count - 1].node;
    return status == HD_OUT_OF_MEMORY && node != NULL
               ? hd_fail_suffix(planner->error, status, ", in node '%s' (%s)", node->name,
                                node->operator->name)
               : status;
}
