#include "graph/plan_finish.h"

#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/stop.h"
#include "graph/memory_plan.h"
#include "graph/model.h"
#include "graph/operator.h"
#include "graph/placement.h"
#include "graph/plan_constants.h"
#include "graph/plan_parts.h"
#include "graph/precision.h"
#include "graph/work.h"
#include "operation/narrow.h"

#define PLAN_WORK       900.0 /* of planning a step */
#define START_WORK      100.0 /* of starting it in a run */
#define START_COPY_WORK 10.0  /* of starting to copy an output */
#define COPY_WORK       0.25  /* of copying a byte */

static hd_status out_of_memory(hd_planner *planner)
{
    return hd_fail(planner->error, HD_OUT_OF_MEMORY, "no memory for a plan");
}

/* What an operand's type is to inference: halves stand for float32 on a device that computes with them (precision.c). */
__attribute__((unused)) static hd_dtype meant_dtype(const hd_planner *planner,
                                                    const hd_plan_node *node, hd_dtype dtype)
{
    hd_dtype half = planner->model->device->unit->half;
    bool converts = hd_plan_node_is(node, HD_OP_CAST);
    return half != HD_DTYPE_NONE && dtype == half && !converts ? HD_FLOAT32 : dtype;
}

/* Whether inference allows a node that passes may have made or changed, and says what its outputs are. Kernels
 * check their operands no more (operator.h), so this is what each fusion relies on (operation/fused.h). */
__attribute__((unused)) static bool is_sound(const hd_planner *planner, const hd_plan_node *node)
{
    const hd_operator *entry = hd_operator_of(node->operation.id);
    const size_t inputs = node->operation.input_count, count = node->operation.output_count;
    hd_operation operation = node->operation;
    operation.inputs = hd_alloc_zero(inputs + count, sizeof *operation.inputs);
    if (entry->infer == NULL || operation.inputs == NULL) { /* a part; out of memory */
        hd_free(operation.inputs);
        return true;
    }
    operation.outputs = operation.inputs + inputs;
    for (size_t i = 0; i < inputs + count; i++) {
        operation.inputs[i] =
            i < inputs ? node->operation.inputs[i] : node->operation.outputs[i - inputs];
        operation.inputs[i].dtype = meant_dtype(planner, node, operation.inputs[i].dtype);
    }
    size_t needed;
    bool sound = hd_operator_check_types(&operation, NULL) == HD_OK &&
                 entry->infer(&operation, &needed, NULL) == HD_INFER_DONE;
    for (size_t i = 0; i < count; i++) {
        const hd_operand *output = &node->operation.outputs[i];
        sound =
            sound && (node->outputs[i] == HD_TENSOR_NONE ||
                      (operation.outputs[i].dtype == meant_dtype(planner, node, output->dtype) &&
                       hd_shape_equal(&operation.outputs[i].shape, &output->shape)));
    }
    hd_free(operation.inputs);
    return sound;
}

/* What a step takes is known before it is compiled: its tables may be as large as its output. plan_work: of
 * planning it; run_work: of running it. */
static hd_status charge(hd_planner *planner, const hd_operation *operation, double plan_work,
                        double run_work)
{
    const hd_budget *budget = &planner->budget;
    planner->work += plan_work + run_work;
    planner->run_work += run_work;
    if (planner->work > budget->work) {
        return hd_operation_fail(operation, planner->error, HD_UNSUPPORTED,
                                 "with it a run takes about %.3g steps; work_limit allows %.3g",
                                 planner->work, budget->work);
    }
    for (size_t i = 0; i < operation->output_count; i++) {
        const hd_operand *output = &operation->outputs[i];
        size_t size = output->dtype == HD_DTYPE_NONE
                          ? 0
                          : (size_t)hd_shape_count(&output->shape) * hd_dtype_size(output->dtype);
        if (size > budget->memory) {
            return hd_operation_fail(
                operation, planner->error, HD_UNSUPPORTED,
                "output %zu has %zu bytes in arena or outputs; run_memory_limit allows %llu", i,
                size, (unsigned long long)budget->memory);
        }
    }
    return HD_OK;
}

static void note_scratch(hd_plan *plan, hd_memory_place place, size_t size)
{
    plan->scratch_sizes[place] =
        size > plan->scratch_sizes[place] ? size : plan->scratch_sizes[place];
}

/* Takes a step's place for a part that runs blocks. Of a Loop that ends by its condition one turn is counted here,
 * the others while it runs. */
static hd_status reserve_part(hd_planner *planner, const hd_plan_node *node, hd_plan *plan)
{
    const hd_plan_control *control = node->control;
    for (size_t b = 0; b < 2 && control->blocks[b] != NULL; b++) {
        note_scratch(plan, node->place, control->blocks[b]->scratch_sizes[node->place]);
    }
    plan->recipe.step_count++;
    plan->part_count++;
    double turns = control->is_loop && !control->ends_early ? (double)control->limit : 1;
    return charge(planner, &node->operation, PLAN_WORK + control->plan_work,
                  turns * control->turn_work);
}

static hd_status compile_steps(hd_planner *planner, hd_plan *plan)
{
    plan->recipe.steps =
        hd_region_array(planner->region, planner->node_count, sizeof *plan->recipe.steps);
    if (plan->recipe.steps == NULL) {
        return out_of_memory(planner);
    }
    for (size_t n = 0; n < planner->node_count; n++) {
        hd_plan_node *node = &planner->nodes[n];
        if (node->dead) {
            continue;
        }
        HD_CHECK("BITS.fused", is_sound(planner, node));
        hd_step *step = &plan->recipe.steps[plan->recipe.step_count];
        hd_status status = hd_stop_asked();
        if (status != HD_OK) {
            return hd_stop_tell(status, planner->error);
        }
        if (node->control != NULL) {
            status = reserve_part(planner, node, plan);
            if (status != HD_OK) {
                return status;
            }
            continue;
        }
        status =
            charge(planner, &node->operation, PLAN_WORK, START_WORK + hd_work_of(&node->operation));
        if (status == HD_OK) {
            hd_unit *unit = hd_device_unit(planner->model->device, node->place);
            status = unit->backend->compile->kernel(unit, &node->operation, planner->region,
                                                    &step->kernel, planner->error);
        }
        if (status != HD_OK) {
            return status;
        }
        step->type = hd_operator_name(node->operation.id);
        step->name = node->operation.name;
        note_scratch(plan, node->place, step->kernel.scratch_size);
        plan->recipe.parallel = plan->recipe.parallel || step->kernel.tile_count > 1;
        plan->recipe.step_count++;
    }
    for (size_t place = 0; place < HD_PLACE_COUNT; place++) {
        size_t *size = &plan->scratch_sizes[place];
        *size = hd_align_up(*size, HD_CACHE_LINE) + (*size > 0 ? HD_MEMORY_GAP : 0);
    }
    plan->recipe.scratch_size = plan->scratch_sizes[HD_PLACE_DEVICE];
    return HD_OK;
}

static size_t reference_count_of(const hd_plan_node *node)
{
    size_t outputs = node->operation.output_count;
    return node->operation.input_count + (hd_plan_node_is_dynamic(node) ? 2 * outputs : outputs);
}

static hd_reference reference_to(const hd_planner *planner, hd_tensor_id id)
{
    if (id == HD_TENSOR_NONE) {
        return (hd_reference){.space = HD_SPACE_NONE};
    }
    const hd_plan_tensor *tensor = &planner->tensors[hd_planner_root(planner, id)];
    const void *data = planner->tensors[id].data != NULL ? planner->tensors[id].data : tensor->data;
    if (data != NULL) {
        return (hd_reference){.space = HD_SPACE_CONSTANT, .constant = data};
    }
    if (tensor->packed != NULL) {
        return (hd_reference){.space = HD_SPACE_CONSTANT, .constant = tensor->packed->memory};
    }
    if (tensor->input_index >= 0) {
        return (hd_reference){.space = HD_SPACE_INPUT, .index = (uint32_t)tensor->input_index};
    }
    if (tensor->output_index >= 0) {
        return (hd_reference){.space = HD_SPACE_OUTPUT, .index = (uint32_t)tensor->output_index};
    }
    return (hd_reference){.space =
                              tensor->place == HD_PLACE_DEVICE ? HD_SPACE_ARENA : HD_SPACE_HOST,
                          .offset = tensor->offset};
}

static hd_status list_references(hd_planner *planner, hd_plan *plan)
{
    size_t total = 0, step = 0;
    for (size_t n = 0; n < planner->node_count; n++) {
        total += planner->nodes[n].dead ? 0 : reference_count_of(&planner->nodes[n]);
    }
    plan->recipe.references =
        hd_region_array(planner->region, total, sizeof *plan->recipe.references);
    if (plan->recipe.references == NULL) {
        return out_of_memory(planner);
    }
    for (size_t n = 0; n < planner->node_count; n++) {
        const hd_plan_node *node = &planner->nodes[n];
        if (node->dead) {
            continue;
        }
        hd_step *entry = &plan->recipe.steps[step++];
        entry->first_reference = (uint32_t)plan->recipe.reference_total;
        entry->reference_count = (uint32_t)reference_count_of(node);
        for (size_t i = 0; i < node->operation.input_count; i++) {
            const hd_packed *packed = node->operation.inputs[i].packed;
            plan->recipe.references[plan->recipe.reference_total++] =
                packed != NULL && !plan->device->unit->is_host
                    ? (hd_reference){.space = HD_SPACE_CONSTANT, .constant = packed->memory}
                    : reference_to(planner, node->inputs[i]);
        }
        for (size_t i = 0; i < node->operation.output_count; i++) {
            plan->recipe.references[plan->recipe.reference_total++] =
                reference_to(planner, node->outputs[i]);
        }
        for (size_t i = 0; hd_plan_node_is_dynamic(node) && i < node->operation.output_count; i++) {
            hd_tensor_id output = node->outputs[i];
            plan->recipe.references[plan->recipe.reference_total++] =
                reference_to(planner, output == HD_TENSOR_NONE ? HD_TENSOR_NONE
                                                               : planner->tensors[output].extent);
        }
    }
    return HD_OK;
}

/* What the caller gets is a block of its own; what a block of the graph gives still points elsewhere. */
static bool is_texts(const hd_planner *planner, hd_dtype dtype)
{
    return dtype == HD_STRING && planner->outer == NULL;
}

/* Lets a step write output `index` straight to the caller's memory where that is possible. */
static bool make_direct(hd_planner *planner, hd_tensor_id id, uint32_t index)
{
    hd_memory_place place =
        hd_planner_is_on_device(planner, index) ? HD_PLACE_DEVICE : hd_planner_part_place(planner);
    hd_tensor_id root_id = hd_planner_root(planner, id);
    hd_plan_tensor *root = &planner->tensors[root_id];
    if (planner->tensors[id].data != NULL || root->dtype == HD_STRING ||
        !hd_plan_tensor_is_in_arena(root) || root->placed || root->place != place ||
        root->producer == UINT32_MAX || root->extent != HD_TENSOR_NONE) {
        return false;
    }
    root->output_index = (int32_t)index;
    return true;
}

static hd_status list_outputs(hd_planner *planner, hd_plan *plan)
{
    const hd_block *root = planner->results;
    plan->outputs = hd_region_array(planner->region, root->output_count, sizeof *plan->outputs);
    if (plan->outputs == NULL) {
        return out_of_memory(planner);
    }
    for (size_t i = 0; i < root->output_count; i++) {
        if (!planner->wanted[i]) {
            continue;
        }
        hd_plan_output *output = &plan->outputs[plan->output_count++];
        *output = (hd_plan_output){.index = (uint32_t)i,
                                   .on_device = hd_planner_is_on_device(planner, i)};
        hd_tensor_id id = hd_planner_find(planner, root->outputs[i]);
        if (id == HD_TENSOR_NONE) {
            if (plan->is_last) {
                return hd_fail(planner->error, HD_BAD_MODEL, "output '%s' is never computed",
                               root->output_names[i]);
            }
            continue;
        }
        const hd_plan_tensor *tensor = &planner->tensors[id];
        if (planner->tensors[hd_planner_root(planner, id)].extent != HD_TENSOR_NONE) {
            continue;
        }
        output->known = true;
        output->dtype = tensor->dtype;
        output->shape = tensor->shape;
        output->is_packed = planner->outer == NULL && hd_narrow_is_packed(tensor->dtype);
        output->size = output->is_packed
                           ? hd_tensor_bytes(tensor->dtype, (size_t)hd_shape_count(&tensor->shape))
                           : hd_plan_tensor_size(tensor);
        output->is_texts = is_texts(planner, tensor->dtype);
        output->direct = !output->is_packed && make_direct(planner, id, (uint32_t)i);
    }
    return HD_OK;
}

static hd_status list_boundaries(hd_planner *planner, hd_plan *plan)
{
    plan->boundary_count = planner->cut_count;
    plan->boundaries =
        hd_region_array(planner->region, planner->cut_count, sizeof *plan->boundaries);
    if (plan->boundaries == NULL) {
        return out_of_memory(planner);
    }
    for (size_t i = 0; i < planner->cut_count; i++) {
        plan->boundaries[i] = (hd_plan_boundary){
            .source = reference_to(planner, hd_planner_readable(planner, planner->cut[i])),
            .size = hd_plan_tensor_size(&planner->tensors[planner->cut[i]])};
    }
    return HD_OK;
}

static void drop_empty_steps(hd_planner *planner)
{
    for (size_t n = 0; n < planner->node_count; n++) {
        hd_plan_node *node = &planner->nodes[n];
        node->dead = node->dead || hd_operation_gives_nothing(&node->operation);
    }
}

/* Whether a run's memory is within the budget. */
static hd_status check_memory(const hd_planner *planner, const hd_plan *plan)
{
    const hd_device *device = planner->model->device;
    double scratch = 0, arena = 0;
    for (int place = 0; place < HD_PLACE_COUNT; place++) {
        scratch += (double)plan->scratch_sizes[place] *
                   hd_device_unit(device, (hd_memory_place)place)->scratch_count;
        arena += (double)planner->arena_sizes[place];
    }
    double outputs = 0;
    for (size_t i = 0; i < plan->output_count; i++) {
        outputs += plan->outputs[i].known ? (double)plan->outputs[i].size : 0;
    }
    return arena + scratch + outputs <= (double)planner->budget.memory
               ? HD_OK
               : hd_fail(
                     planner->error, HD_UNSUPPORTED,
                     "a run takes %.0f bytes of arena, %.0f of scratch memory and %.0f of outputs; "
                     "run_memory_limit allows %llu",
                     arena, scratch, outputs, (unsigned long long)planner->budget.memory);
}

/* A turn of a Loop, or a branch of an If, is work beside its steps, too: it is begun, and what none of its steps writes
 * in place is copied. What runs it is charged for all. */
static void count_block(hd_planner *planner, const hd_plan *plan)
{
    planner->run_work += START_WORK;
    for (size_t i = 0; i < plan->output_count; i++) {
        planner->run_work += plan->outputs[i].direct
                                 ? 0
                                 : START_COPY_WORK + (double)plan->outputs[i].size * COPY_WORK;
    }
}

hd_status hd_planner_finish(hd_planner *planner, hd_plan *plan)
{
    drop_empty_steps(planner);
    hd_status status = hd_planner_place(planner);
    if (status != HD_OK) {
        return status;
    }
    hd_planner_count_uses(planner);
    status = hd_choose_precision(planner) ? list_outputs(planner, plan) : out_of_memory(planner);
    if (status == HD_OK) {
        status = compile_steps(planner, plan);
    }
    if (status == HD_OK) {
        status = hd_planner_plan_memory(planner, plan, HD_PLACE_DEVICE);
    }
    if (status == HD_OK && hd_planner_part_place(planner) == HD_PLACE_HOST) {
        status = hd_planner_plan_memory(planner, plan, HD_PLACE_HOST);
    }
    if (status == HD_OK) {
        status = check_memory(planner, plan);
    }
    if (status == HD_OK) {
        status = list_references(planner, plan);
    }
    if (status == HD_OK) {
        status = hd_plan_copy_constants(planner, plan);
    }
    if (status == HD_OK) {
        status = list_boundaries(planner, plan);
    }
    for (size_t i = 0; status == HD_OK && i < plan->output_count; i++) {
        hd_plan_output *output = &plan->outputs[i];
        if (output->known && !output->direct) {
            hd_tensor_id id = hd_planner_find(planner, planner->results->outputs[output->index]);
            output->source =
                reference_to(planner, output->on_device ? id : hd_planner_readable(planner, id));
        }
    }
    for (size_t i = 0; status == HD_OK && i < plan->check_count; i++) {
        plan->checks[i].source = reference_to(planner, plan->checks[i].tensor);
    }
    memcpy(plan->arena_sizes, planner->arena_sizes, sizeof plan->arena_sizes);
    plan->recipe.arena_size = plan->arena_sizes[HD_PLACE_DEVICE];
    if (planner->outer != NULL) {
        count_block(planner, plan);
    }
    bool has_parts = plan->part_count > 0 || !planner->model->device->unit->is_host;
    status = status == HD_OK && has_parts ? hd_planner_list_parts(planner, plan) : status;
    if (status == HD_OK) {
        hd_plan_drop_folds(planner, plan);
    }
    return status;
}
