#include "graph/planning.h"

#include <string.h>

#include "base/memory.h"
#include "graph/model.h"
#include "graph/passes.h"
#include "graph/plan_finish.h"
#include "graph/planner.h"
#include "operation/narrow.h"

/* Source of hd_plan.serial; relaxed: only uniqueness matters. */
static _Atomic uint64_t plan_serial = 1;

static void keep_value(hd_planner *planner, hd_value value)
{
    if (value != HD_VALUE_NONE && planner->map[value] != HD_TENSOR_NONE) {
        planner->tensors[planner->map[value]].kept = true;
        planner->tensors[hd_planner_root(planner, planner->map[value])].kept = true;
    }
}

/* Keeps what the nodes of a block from `first` on read, and those of the blocks within them, which are
 * walked from a list: no depth of nesting takes any of the thread's stack. false: out of memory. */
static bool keep_block(hd_planner *planner, const hd_block *block, size_t first)
{
    const hd_block **open = NULL;
    size_t count = 0, capacity = 0;
    bool fits = true;
    while (block != NULL) {
        for (size_t n = first; n < block->node_count && fits; n++) {
            const hd_node *node = &block->nodes[n];
            for (size_t i = 0; i < node->input_count; i++) {
                keep_value(planner, node->inputs[i]);
            }
            for (size_t b = 0; b < 2 && node->blocks[b] != NULL && fits; b++) {
                fits = hd_array_reserve((void **)&open, &capacity, count + 1, sizeof *open);
                if (fits) {
                    open[count++] = node->blocks[b];
                }
            }
        }
        for (size_t i = 0; i < block->output_count; i++) {
            keep_value(planner, block->outputs[i]);
        }
        block = fits && count > 0 ? open[--count] : NULL;
        first = 0;
    }
    hd_free(open);
    return fits;
}

/* Marks what a later segment or an output reads. */
static bool keep_what_lives_on(hd_planner *planner)
{
    const hd_block *root = planner->graph->root;
    for (size_t t = 0; t < planner->tensor_count; t++) {
        planner->tensors[t].kept = false;
    }
    for (size_t i = 0; i < root->output_count; i++) {
        if (planner->wanted[i]) {
            keep_value(planner, root->outputs[i]);
        }
    }
    if (planner->cut_count == 0) {
        return true;
    }
    for (size_t i = 0; i < planner->cut_count; i++) {
        planner->tensors[planner->cut[i]].kept = true;
        planner->tensors[hd_planner_root(planner, planner->cut[i])].kept = true;
    }
    for (size_t f = 0; f < planner->frame_count; f++) {
        const hd_frame *frame = &planner->frames[f];
        /* A Loop (one block) may walk its body again, a branch of If only goes on. */
        bool is_loop = frame->node != NULL && frame->node->blocks[1] == NULL;
        if (!keep_block(planner, frame->block, is_loop ? 0 : frame->next)) {
            return false;
        }
        for (size_t i = 0; i < frame->block->input_count; i++) {
            keep_value(planner, frame->block->inputs[i]);
        }
        for (size_t i = 0; i < frame->scan_count; i++) {
            if (frame->scans[i] != HD_TENSOR_NONE) {
                planner->tensors[frame->scans[i]].kept = true;
                planner->tensors[hd_planner_root(planner, frame->scans[i])].kept = true;
            }
        }
    }
    return true;
}

/* The map from graph values to tensors, all of them unknown, and what may be folded. */
static bool create_map(hd_planner *planner)
{
    size_t count = planner->graph->value_count;
    hd_device *device = planner->model->device;
    hd_folding_start(&planner->folding, (size_t)planner->model->brought, &device->memory);
    planner->map = hd_region_array(planner->region, count, sizeof *planner->map);
    if (planner->map != NULL) {
        memset(planner->map, 0xFF, count * sizeof *planner->map);
    }
    return planner->map != NULL;
}

bool hd_planner_start(hd_planner *planner, const hd_plan_request *request)
{
    const hd_graph *graph = planner->graph;
    if (!create_map(planner)) {
        return false;
    }
    for (size_t v = 1; v < graph->value_count; v++) {
        const hd_graph_value *value = &graph->values[v];
        const hd_packed *packed = request->model->packed[v];
        if (value->data == NULL && packed == NULL) {
            continue;
        }
        hd_tensor_id id = hd_planner_new_tensor(planner, value->dtype, &value->shape);
        if (id == HD_TENSOR_NONE) {
            return false;
        }
        if (value->data != NULL) {
            planner->tensors[id].data = value->data;
        }
        planner->tensors[id].packed = packed;
        planner->map[v] = id;
    }
    for (size_t i = 0; i < graph->root->input_count; i++) {
        const hd_graph_value *value = &graph->values[graph->root->inputs[i]];
        hd_tensor_id id = hd_planner_new_tensor(planner, value->dtype, &request->input_shapes[i]);
        if (id == HD_TENSOR_NONE) {
            return false;
        }
        hd_plan_tensor *tensor = &planner->tensors[id];
        tensor->input_index = (int32_t)i;
        tensor->place = request->inputs_on_device != NULL && request->inputs_on_device[i]
                            ? HD_PLACE_DEVICE
                            : hd_planner_part_place(planner);
        tensor->origin = UINT64_C(1) << (i < 63 ? i : 63);
        if (request->input_values[i] != NULL) {
            const size_t size =
                hd_tensor_bytes(tensor->dtype, (size_t)hd_shape_count(&tensor->shape));
            tensor->data = hd_region_copy(planner->region, request->input_values[i], size);
            tensor->origin = 0;
            if (tensor->data == NULL) {
                return false;
            }
        }
        planner->map[graph->root->inputs[i]] = id;
    }
    return hd_planner_push_frame(planner, graph->root, NULL);
}

/* Goes on where the segment before ended, with the values that were read there. */
static bool continue_planner(hd_planner *planner, const hd_plan_request *request)
{
    const hd_planner *before = request->before->continuation;
    if (!create_map(planner)) {
        return false;
    }
    memcpy(planner->map, before->map, planner->graph->value_count * sizeof *planner->map);
    if (!hd_array_reserve((void **)&planner->tensors, &planner->tensor_capacity,
                          before->tensor_count, sizeof *planner->tensors)) {
        return false;
    }
    memcpy(planner->tensors, before->tensors, before->tensor_count * sizeof *planner->tensors);
    planner->tensor_count = before->tensor_count;
    if (!hd_array_reserve((void **)&planner->frames, &planner->frame_capacity, before->frame_count,
                          sizeof *planner->frames)) {
        return false;
    }
    memcpy(planner->frames, before->frames, before->frame_count * sizeof *planner->frames);
    planner->frame_count = before->frame_count;
    memcpy(planner->arena_sizes, before->arena_sizes, sizeof planner->arena_sizes);
    planner->follows = true;
    planner->size_before = request->before->chain_size;
    planner->work = request->before->chain_work;
    for (size_t i = 0; i < before->cut_count; i++) {
        hd_plan_tensor *read = &planner->tensors[before->cut[i]];
        size_t size = (size_t)hd_shape_count(&read->shape) * hd_dtype_size(read->dtype);
        read->data = hd_region_copy(planner->region, request->boundary_values[i], size);
        if (read->data == NULL) {
            return false;
        }
        for (size_t t = 0; t < planner->tensor_count; t++) {
            hd_plan_tensor *tensor = &planner->tensors[t];
            if (tensor->extent == before->cut[i]) {
                memcpy(tensor->shape.dims, read->data,
                       tensor->shape.rank * sizeof *tensor->shape.dims);
                tensor->extent = HD_TENSOR_NONE;
                if (hd_shape_count(&tensor->shape) == 0 && tensor->data == NULL) {
                    tensor->data = hd_region_alloc(planner->region, 0);
                    if (tensor->data == NULL) {
                        return false;
                    }
                }
            }
        }
    }
    return true;
}

/* Leaves what the next segment's planner starts from in the plan. */
static bool save_continuation(hd_planner *planner, hd_plan *plan)
{
    hd_planner *saved = hd_region_copy(planner->region, planner, sizeof *planner);
    if (saved == NULL) {
        return false;
    }
    saved->error = NULL;
    saved->nodes = NULL;
    saved->node_count = 0;
    saved->node_capacity = 0;
    saved->uses = NULL;
    saved->use_total = 0;
    saved->use_capacity = 0;
    saved->wanted = NULL;
    saved->outputs_on_device = NULL;
    saved->captured = NULL;
    saved->refusals = NULL;
    saved->folds = NULL;
    saved->fold_bytes = 0;
    saved->tensors = hd_region_copy(planner->region, planner->tensors,
                                    planner->tensor_count * sizeof *planner->tensors);
    saved->cut =
        hd_region_copy(planner->region, planner->cut, planner->cut_count * sizeof *planner->cut);
    saved->cut_capacity = 0;
    saved->tensor_capacity = 0;
    saved->frames = hd_region_copy(planner->region, planner->frames,
                                   planner->frame_count * sizeof *planner->frames);
    saved->frame_capacity = 0;
    if (saved->tensors == NULL || saved->cut == NULL || saved->frames == NULL) {
        return false;
    }
    for (size_t t = 0; t < saved->tensor_count; t++) {
        saved->tensors[t].twin = HD_TENSOR_NONE; /* what is copied is copied for a segment */
    }
    for (size_t f = 0; f < saved->frame_count; f++) {
        saved->frames[f].scan_capacity = saved->frames[f].scan_count;
    }
    plan->continuation = saved;
    return true;
}

hd_status hd_planner_optimize(hd_planner *planner, hd_plan *plan)
{
    hd_planner_count_uses(planner);
    bool fits = hd_fuse_activations(planner) && hd_fuse_norms(planner) &&
                hd_fuse_attention(planner) && hd_fuse_linear(planner) &&
                hd_choose_layouts(planner) && hd_fuse_convolution(planner) &&
                hd_fuse_turns(planner) && hd_fuse_repeats(planner) &&
                hd_fuse_elementwise(planner) && hd_add_index_checks(planner, plan);
    return fits ? HD_OK : hd_fail(planner->error, HD_OUT_OF_MEMORY, "no memory for a plan");
}

static hd_status fill_plan(hd_planner *planner, const hd_plan_request *request, hd_plan *plan)
{
    bool fits = request->before == NULL ? hd_planner_start(planner, request)
                                        : continue_planner(planner, request);
    if (!fits) {
        return hd_fail(planner->error, HD_OUT_OF_MEMORY, "no memory for a plan");
    }
    hd_status status = hd_planner_check_size(planner, NULL);
    if (status == HD_OK) {
        status = hd_planner_walk(planner);
    }
    if (status != HD_OK || planner->steering != 0) {
        return status;
    }
    planner->work += planner->folding.spent;
    plan->is_last = planner->cut_count == 0;
    status = keep_what_lives_on(planner)
                 ? hd_planner_optimize(planner, plan)
                 : hd_fail(planner->error, HD_OUT_OF_MEMORY, "no memory for a plan");
    if (status == HD_OK) {
        status = hd_planner_finish(planner, plan);
    }
    if (status == HD_OK && !plan->is_last && !save_continuation(planner, plan)) {
        status = hd_fail(planner->error, HD_OUT_OF_MEMORY, "no memory for a plan");
    }
    return status;
}

static hd_status make_plan(const hd_plan_request *request, const hd_budget *budget,
                           uint64_t *steering, hd_plan **out_plan, hd_error *error)
{
    hd_plan *plan = hd_alloc_zero(1, sizeof *plan);
    if (plan == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a plan");
    }
    hd_planner planner = {.model = request->model,
                          .graph = request->model->graph,
                          .results = request->model->graph->root,
                          .region = &plan->region,
                          .error = error,
                          .wanted = request->wanted,
                          .outputs_on_device = request->outputs_on_device,
                          .budget = *budget,
                          .folds = request->model->device->unit->is_host ? NULL : &plan->folds};
    atomic_init(&plan->reference_count, 1);
    if (request->before != NULL) {
        hd_plan_retain(request->before);
        plan->before = request->before;
    }
    plan->serial = hd_add_relaxed(&plan_serial, 1);
    plan->device = request->model->device;
    hd_status status = fill_plan(&planner, request, plan);
    hd_planner_clear(&planner);
    if (status != HD_OK || planner.steering != 0) {
        *steering |= planner.steering;
        hd_plan_release(plan);
        return status;
    }
    hd_region_trim(&plan->region);
    plan->memory_size = plan->region.total + sizeof *plan + planner.fold_bytes;
    plan->chain_work = planner.work;
    plan->work_left = planner.budget.work - planner.work;
    plan->chain_size = plan->memory_size + (plan->before == NULL ? 0 : plan->before->chain_size);
    *out_plan = plan;
    return HD_OK;
}

hd_status hd_plan_create(const hd_plan_request *request, uint64_t *steering, hd_plan **out_plan,
                         hd_error *error)
{
    *out_plan = NULL;
    hd_error own_error = {.status = HD_OK};
    error = error != NULL ? error : &own_error;
    const hd_model *model = request->model;
    hd_budget budget = hd_budget_of(&model->options, model->brought + request->input_bytes);
    size_t before = request->before == NULL ? 0 : request->before->chain_size;
    hd_memory_scope scope;
    hd_memory_scope_enter(&scope, hd_memory_account_owner(&model->device->memory, HD_MEMORY_PLANS),
                          budget.plans > before ? budget.plans - before : 0);
    hd_status status = make_plan(request, &budget, steering, out_plan, error);
    hd_memory_scope_leave(&scope);
    return status == HD_OUT_OF_MEMORY && scope.is_refused
               ? hd_fail(error, HD_UNSUPPORTED,
                         "planning a run takes over %llu bytes; run_memory_limit allows half",
                         (unsigned long long)budget.plans)
               : status;
}
