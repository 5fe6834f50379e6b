#include "graph/memory_plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/stop.h"
#include "graph/arena_places.h"
#include "graph/model.h"
#include "graph/operator.h"
#include "graph/placement.h"
#include "graph/plan_constants.h"
#include "graph/plan_parts.h"
#include "graph/work.h"

#define PLAN_WORK       900.0      /* of planning a step */
#define START_WORK      100.0      /* of starting it in a run */
#define START_COPY_WORK 10.0       /* of starting to copy an output */
#define COPY_WORK       0.25       /* of copying a byte */
#define STEP_END        UINT32_MAX /* lives past the segment */
/* More tensors than this are placed in the order of the steps; up to it, the largest first and each compared
 * with all, which takes a smaller arena. */
#define COMPARED_LIMIT 2048

/* When a tensor with memory of its own is alive: from the step that writes it to its last reader. */
typedef struct lifetime {
    hd_tensor_id tensor;
    uint32_t first;
    uint32_t last;
    size_t size;
    hd_tensor_id shares; /* lies in place of this tensor; HD_TENSOR_NONE */
} lifetime;

static hd_status out_of_memory(hd_planner *planner)
{
    return hd_fail(planner->error, HD_OUT_OF_MEMORY, "no memory for a plan");
}

/* In the arena, and of this segment or alive when it begins. */
static bool is_in_arena(const hd_plan_tensor *tensor)
{
    return tensor->view_of == HD_TENSOR_NONE && tensor->data == NULL && tensor->packed == NULL &&
           tensor->input_index < 0 && tensor->output_index < 0;
}

/* Whether inference allows a node that passes may have made or changed, and says what its outputs are. Kernels
 * check their operands no more (operator.h), so this is what each fusion relies on (operation/fused.h). */
__attribute__((unused)) static bool is_sound(const hd_plan_node *node)
{
    const hd_operator *entry = hd_operator_of(node->operation.id);
    const size_t count = node->operation.output_count;
    hd_operation operation = node->operation;
    operation.outputs = hd_alloc_zero(count, sizeof *operation.outputs);
    if (entry->infer == NULL || operation.outputs == NULL) { /* a part; out of memory */
        hd_free(operation.outputs);
        return true;
    }
    memcpy(operation.outputs, node->operation.outputs, count * sizeof *operation.outputs);
    size_t needed;
    bool sound = hd_operator_check_types(&operation, NULL) == HD_OK &&
                 entry->infer(&operation, &needed, NULL) == HD_INFER_DONE;
    for (size_t i = 0; i < count; i++) {
        const hd_operand *output = &node->operation.outputs[i];
        sound = sound && (node->outputs[i] == HD_TENSOR_NONE ||
                          (operation.outputs[i].dtype == output->dtype &&
                           hd_shape_equal(&operation.outputs[i].shape, &output->shape)));
    }
    hd_free(operation.outputs);
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
        HD_CHECK("BITS.fused", is_sound(node));
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

static void note_use(lifetime *lives, const uint32_t *index_of, hd_tensor_id root, uint32_t step)
{
    if (index_of[root] != UINT32_MAX && lives[index_of[root]].last != STEP_END) {
        lives[index_of[root]].last = step;
    }
}

static void add_life(hd_planner *planner, hd_memory_place place, lifetime *lives, size_t *count,
                     uint32_t *index_of, hd_tensor_id id, uint32_t step)
{
    const hd_plan_tensor *tensor = &planner->tensors[id];
    if (!is_in_arena(tensor) || tensor->place != place || index_of[id] != UINT32_MAX) {
        return;
    }
    index_of[id] = (uint32_t)*count;
    lives[(*count)++] = (lifetime){
        .tensor = id,
        .first = step,
        .last = tensor->kept ? STEP_END : step,
        .size = hd_align_up(hd_plan_tensor_size(tensor) + 1, HD_CACHE_LINE) + HD_MEMORY_GAP,
        .shares = HD_TENSOR_NONE};
}

/* Whether output 0 of a node may take over the memory of an input that dies there (kernel.h). */
static hd_tensor_id in_place_of(hd_planner *planner, const hd_plan_node *node,
                                const hd_kernel *kernel, const lifetime *lives,
                                const uint32_t *index_of, uint32_t step)
{
    hd_tensor_id output = node->outputs[0];
    if (output == HD_TENSOR_NONE || !is_in_arena(&planner->tensors[output]) ||
        index_of[output] == UINT32_MAX || planner->tensors[output].extent != HD_TENSOR_NONE) {
        return HD_TENSOR_NONE;
    }
    for (size_t i = 0; i < node->operation.input_count && i < 64; i++) {
        if ((kernel->inplace_inputs >> i & 1) == 0 || node->inputs[i] == HD_TENSOR_NONE) {
            continue;
        }
        hd_tensor_id root = hd_planner_root(planner, node->inputs[i]);
        if (!is_in_arena(&planner->tensors[root]) || index_of[root] == UINT32_MAX ||
            lives[index_of[root]].last != step || lives[index_of[root]].first == step ||
            hd_plan_tensor_size(&planner->tensors[root]) !=
                hd_plan_tensor_size(&planner->tensors[output])) {
            continue;
        }
        return root;
    }
    return HD_TENSOR_NONE;
}

static void find_lifetimes(hd_planner *planner, hd_memory_place place, lifetime *lives,
                           size_t *count, uint32_t *index_of)
{
    for (size_t t = 0; t < planner->tensor_count; t++) {
        index_of[t] = UINT32_MAX;
        if (planner->tensors[t].placed) {
            add_life(planner, place, lives, count, index_of, (hd_tensor_id)t, 0);
        }
    }
    uint32_t step = 1; /* 0 stands for what was there before */
    for (size_t n = 0; n < planner->node_count; n++) {
        const hd_plan_node *node = &planner->nodes[n];
        if (node->dead) {
            continue;
        }
        for (size_t i = 0; i < node->operation.output_count; i++) {
            if (node->outputs[i] == HD_TENSOR_NONE) {
                continue;
            }
            add_life(planner, place, lives, count, index_of, node->outputs[i], step);
            hd_tensor_id extent = planner->tensors[node->outputs[i]].extent;
            if (extent != HD_TENSOR_NONE) {
                add_life(planner, place, lives, count, index_of, extent, step);
                if (index_of[extent] != UINT32_MAX) {
                    lives[index_of[extent]].last = STEP_END;
                }
            }
        }
        for (size_t i = 0; i < node->operation.input_count; i++) {
            if (node->inputs[i] != HD_TENSOR_NONE) {
                note_use(lives, index_of, hd_planner_root(planner, node->inputs[i]), step);
            }
        }
        step++;
    }
}

static void share_in_place(hd_planner *planner, const hd_plan *plan, lifetime *lives,
                           uint32_t *index_of)
{
    uint32_t step = 1;
    for (size_t n = 0; n < planner->node_count; n++) {
        const hd_plan_node *node = &planner->nodes[n];
        if (node->dead) {
            continue;
        }
        const hd_kernel *kernel = &plan->recipe.steps[step - 1].kernel;
        hd_tensor_id root = kernel->inplace_inputs == 0
                                ? HD_TENSOR_NONE
                                : in_place_of(planner, node, kernel, lives, index_of, step);
        if (root != HD_TENSOR_NONE) {
            lifetime *output = &lives[index_of[node->outputs[0]]];
            lifetime *input = &lives[index_of[root]];
            while (input->shares != HD_TENSOR_NONE) {
                input = &lives[index_of[input->shares]];
            }
            output->shares = input->tensor;
            /* The one that is placed lives as long as all that lie in its place. The input's own
             * end stays what it was for later in_place_of calls: it has passed. */
            input->last = output->last;
        }
        step++;
    }
}

/* Puts `life` at the lowest gap among those that are placed and alive at the same time. */
static void place_one(hd_planner *planner, const lifetime *lives, const uint32_t *placed,
                      size_t placed_count, const lifetime *life)
{
    size_t offset = 0;
    /* `placed` is ordered by offset, so one walk finds the first gap that is large enough. */
    for (size_t i = 0; i < placed_count; i++) {
        const lifetime *other = &lives[placed[i]];
        if (other->last < life->first || life->last < other->first) {
            continue;
        }
        size_t other_offset = planner->tensors[other->tensor].offset;
        if (other_offset >= offset + life->size) {
            break;
        }
        if (other_offset + other->size > offset) {
            offset = other_offset + other->size;
        }
    }
    planner->tensors[life->tensor].offset = offset;
}

static void insert_placed(const hd_planner *planner, const lifetime *lives, uint32_t *placed,
                          size_t *placed_count, uint32_t index)
{
    size_t offset = planner->tensors[lives[index].tensor].offset;
    size_t at = *placed_count;
    while (at > 0 && planner->tensors[lives[placed[at - 1]].tensor].offset > offset) {
        placed[at] = placed[at - 1];
        at--;
    }
    placed[at] = index;
    (*placed_count)++;
}

static void sort_by_size(const lifetime *lives, uint32_t *order, size_t count)
{
    /* Largest first; of equal size the earlier first, so that the plan is the same every time. */
    for (size_t gap = count / 2; gap > 0; gap /= 2) {
        for (size_t i = gap; i < count; i++) {
            uint32_t moved = order[i];
            size_t j = i;
            while (j >= gap &&
                   (lives[order[j - gap]].size < lives[moved].size ||
                    (lives[order[j - gap]].size == lives[moved].size && order[j - gap] > moved))) {
                order[j] = order[j - gap];
                j -= gap;
            }
            order[j] = moved;
        }
    }
}

/* Puts the largest first, each at the lowest gap. */
static void place_by_size(hd_planner *planner, const lifetime *lives, size_t count, uint32_t *order,
                          uint32_t *placed)
{
    size_t order_count = 0, placed_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (planner->tensors[lives[i].tensor].placed) {
            insert_placed(planner, lives, placed, &placed_count, i);
        } else if (lives[i].shares == HD_TENSOR_NONE) {
            order[order_count++] = i;
        }
    }
    sort_by_size(lives, order, order_count);
    for (size_t i = 0; i < order_count; i++) {
        place_one(planner, lives, placed, placed_count, &lives[order[i]]);
        insert_placed(planner, lives, placed, &placed_count, order[i]);
    }
}

/* Places in the order of the steps, in which `lives` are. */
static bool place_by_step(hd_planner *planner, const lifetime *lives, size_t count)
{
    hd_arena_span *spans = hd_alloc_zero(count, sizeof *spans);
    if (spans == NULL) {
        return false;
    }
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const hd_plan_tensor *tensor = &planner->tensors[lives[i].tensor];
        if (lives[i].shares == HD_TENSOR_NONE) {
            spans[used++] = (hd_arena_span){.first = lives[i].first,
                                            .last = lives[i].last,
                                            .size = lives[i].size,
                                            .offset = tensor->offset,
                                            .is_fixed = tensor->placed};
        }
    }
    bool fits = hd_arena_place(spans, used, (uint32_t)planner->node_count + 1);
    used = 0;
    for (size_t i = 0; i < count && fits; i++) {
        if (lives[i].shares == HD_TENSOR_NONE) {
            planner->tensors[lives[i].tensor].offset = spans[used++].offset;
        }
    }
    hd_free(spans);
    return fits;
}

static int compare_changes(const void *a, const void *b)
{
    const hd_arena_change *first = a, *second = b;
    return first->step != second->step ? (first->step < second->step ? -1 : 1)
                                       : first->allows - second->allows;
}

/* What AddressSanitizer is told while the steps run. A tensor that lies in place of others leaves it to the first. */
static bool list_changes(hd_planner *planner, hd_plan *plan, const lifetime *lives, size_t count)
{
    hd_recipe *recipe = &plan->recipe;
    recipe->changes = hd_region_array(planner->region, 2 * count, sizeof *recipe->changes);
    for (size_t i = 0; i < count && recipe->changes != NULL; i++) {
        const hd_plan_tensor *tensor = &planner->tensors[lives[i].tensor];
        hd_arena_change change = {lives[i].first == 0 ? 0 : lives[i].first - 1, true,
                                  tensor->offset, hd_plan_tensor_size(tensor)};
        if (lives[i].shares != HD_TENSOR_NONE || lives[i].last == 0) {
            continue;
        }
        recipe->changes[recipe->change_count++] = change;
        if (lives[i].last != STEP_END) {
            change.step = lives[i].last; /* the one behind, as steps count from 1 here */
            change.allows = false;
            recipe->changes[recipe->change_count++] = change;
        }
    }
    if (recipe->change_count > 0) {
        qsort(recipe->changes, recipe->change_count, sizeof *recipe->changes, compare_changes);
    }
    return recipe->changes != NULL;
}

static hd_status place_tensors(hd_planner *planner, hd_plan *plan, hd_memory_place place)
{
    size_t total = planner->tensor_count, count = 0;
    lifetime *lives = hd_alloc_zero(total, sizeof *lives);
    uint32_t *index_of = hd_alloc_zero(3 * total, sizeof *index_of);
    hd_status status = HD_OK;
    if (lives == NULL || index_of == NULL) {
        status = out_of_memory(planner);
        goto done;
    }
    find_lifetimes(planner, place, lives, &count, index_of);
    share_in_place(planner, plan, lives, index_of);
    if (count <= COMPARED_LIMIT) {
        place_by_size(planner, lives, count, index_of + total, index_of + 2 * total);
    } else if (!place_by_step(planner, lives, count)) {
        status = out_of_memory(planner);
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        hd_plan_tensor *tensor = &planner->tensors[lives[i].tensor];
        if (lives[i].shares != HD_TENSOR_NONE) {
            tensor->offset = planner->tensors[lives[i].shares].offset;
        }
        tensor->placed = true;
        size_t end = tensor->offset + lives[i].size;
        planner->arena_sizes[place] =
            end > planner->arena_sizes[place] ? end : planner->arena_sizes[place];
    }
    /* With parts the steps are several lists over one arena; their blocks have lists and changes of their own. */
    if (HD_MEMORY_GAP > 0 && plan->part_count == 0 && planner->model->device->unit->is_host &&
        !list_changes(planner, plan, lives, count)) {
        status = out_of_memory(planner);
    }
done:
    hd_free(lives);
    hd_free(index_of);
    return status;
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

/* Lets a step write output `index` straight to the caller's memory where that is possible. */
static bool make_direct(hd_planner *planner, hd_tensor_id id, uint32_t index)
{
    hd_memory_place place =
        hd_planner_is_on_device(planner, index) ? HD_PLACE_DEVICE : hd_planner_part_place(planner);
    hd_tensor_id root_id = hd_planner_root(planner, id);
    hd_plan_tensor *root = &planner->tensors[root_id];
    if (planner->tensors[id].data != NULL || !is_in_arena(root) || root->placed ||
        root->place != place || root->producer == UINT32_MAX || root->extent != HD_TENSOR_NONE) {
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
        output->size = hd_plan_tensor_size(tensor);
        output->direct = make_direct(planner, id, (uint32_t)i);
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
    status = list_outputs(planner, plan);
    if (status == HD_OK) {
        status = compile_steps(planner, plan);
    }
    if (status == HD_OK) {
        status = place_tensors(planner, plan, HD_PLACE_DEVICE);
    }
    if (status == HD_OK && hd_planner_part_place(planner) == HD_PLACE_HOST) {
        status = place_tensors(planner, plan, HD_PLACE_HOST);
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
    return status == HD_OK && has_parts ? hd_planner_list_parts(planner, plan) : status;
}
