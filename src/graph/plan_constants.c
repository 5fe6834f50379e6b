#include "graph/plan_constants.h"

#include <string.h>

#include "base/memory.h"
#include "graph/device_constants.h"
#include "graph/model.h"

/* Calls for each reference of the device's steps that means a constant as it is; size: its bytes. */
typedef bool visit_constant(void *context, hd_reference *reference, size_t size);

static bool visit_constants(const hd_planner *planner, hd_plan *plan, visit_constant *visit,
                            void *context)
{
    size_t step = 0;
    bool goes_on = true;
    for (size_t n = 0; n < planner->node_count && goes_on; n++) {
        const hd_plan_node *node = &planner->nodes[n];
        if (node->dead) {
            continue;
        }
        hd_reference *references =
            plan->recipe.references + plan->recipe.steps[step++].first_reference;
        for (size_t i = 0;
             i < node->operation.input_count && node->place == HD_PLACE_DEVICE && goes_on; i++) {
            const hd_operand *input = &node->operation.inputs[i];
            bool is_read = input->data != NULL && input->packed == NULL; /* as it is */
            size_t size =
                is_read ? (size_t)hd_shape_count(&input->shape) * hd_dtype_size(input->dtype) : 0;
            if (size > 0 && references[i].space == HD_SPACE_CONSTANT) {
                goes_on = visit(context, &references[i], size);
            }
        }
    }
    return goes_on;
}

typedef struct gathering {
    const hd_model *model;
    hd_device_constants found; /* those that the model has no copy of */
    size_t capacity;
} gathering;

static bool gather(void *context, hd_reference *reference, size_t size)
{
    gathering *self = context;
    const unsigned char *host = reference->constant;
    unsigned char *copy = hd_device_constants_find(&self->model->constants, host);
    if (copy != NULL) {
        reference->constant = copy;
        return true;
    }
    hd_device_constants *found = &self->found;
    if (!hd_array_reserve((void **)&found->entries, &self->capacity, found->count + 1,
                          sizeof *found->entries)) {
        return false;
    }
    found->entries[found->count++] = (hd_device_constant){.host = host, .size = size};
    return true;
}

static bool redirect(void *context, hd_reference *reference, size_t size)
{
    (void)size;
    const gathering *self = context;
    unsigned char *copy = hd_device_constants_find(&self->found, reference->constant);
    /* else it is the model's copy already */
    reference->constant = copy != NULL ? copy : reference->constant;
    return true;
}

/* Makes of what was found stretches of memory that do not overlap, by address. */
static void merge(hd_device_constants *found)
{
    hd_device_constants_sort(found);
    size_t used = 0;
    for (size_t i = 0; i < found->count; i++) {
        hd_device_constant *last = used == 0 ? NULL : &found->entries[used - 1];
        if (last != NULL && found->entries[i].host < last->host + last->size) {
            size_t end = (size_t)(found->entries[i].host - last->host) + found->entries[i].size;
            last->size = end > last->size ? end : last->size;
        } else {
            found->entries[used++] = found->entries[i];
        }
    }
    found->count = used;
}

static hd_status copy_block(hd_plan *plan, const hd_device_constants *found)
{
    size_t total = 0;
    for (size_t i = 0; i < found->count; i++) {
        total += hd_align_up(found->entries[i].size, HD_CACHE_LINE);
    }
    unsigned char *block = hd_alloc_zero(total, 1);
    plan->constants =
        block == NULL ? NULL : hd_device_constants_take(plan->device, HD_MEMORY_PLANS, total);
    plan->constants_size = total;
    if (plan->constants == NULL) {
        hd_free(block);
        return hd_unit_memory_refusal(plan->device->unit);
    }
    size_t offset = 0;
    for (size_t i = 0; i < found->count; i++) {
        memcpy(block + offset, found->entries[i].host, found->entries[i].size);
        found->entries[i].copy = (unsigned char *)plan->constants + offset;
        offset += hd_align_up(found->entries[i].size, HD_CACHE_LINE);
    }
    hd_status status = hd_unit_copy(plan->device->unit, plan->constants, block, total);
    hd_free(block);
    return status;
}

hd_status hd_plan_copy_constants(const hd_planner *planner, hd_plan *plan)
{
    if (plan->device->unit->is_host) {
        return HD_OK;
    }
    gathering self = {.model = planner->model};
    hd_status status = visit_constants(planner, plan, gather, &self) ? HD_OK : HD_OUT_OF_MEMORY;
    merge(&self.found);
    if (status == HD_OK && self.found.count > 0) {
        status = copy_block(plan, &self.found);
    }
    if (status == HD_OK && self.found.count > 0) {
        visit_constants(planner, plan, redirect, &self);
    }
    hd_free(self.found.entries);
    return status == HD_OK ? HD_OK
                           : hd_fail(planner->error, status,
                                     "a plan's constants could not be brought to the device");
}

static bool means(const hd_reference *reference, const hd_plan_fold *fold)
{
    const unsigned char *at = reference->constant, *begin = fold->memory;
    return reference->space == HD_SPACE_CONSTANT && at >= begin && at < begin + fold->size;
}

/* Whether the host may still read it. */
static bool is_read(const hd_plan *plan, const hd_plan_fold *fold)
{
    bool read = false;
    for (size_t i = 0; i < plan->recipe.reference_total && !read; i++) {
        read = means(&plan->recipe.references[i], fold);
    }
    for (size_t i = 0; i < plan->output_count && !read; i++) {
        read = means(&plan->outputs[i].source, fold);
    }
    for (size_t i = 0; i < plan->check_count && !read; i++) {
        read = means(&plan->checks[i].source, fold);
    }
    return read;
}

void hd_plan_drop_folds(hd_planner *planner, hd_plan *plan)
{
    bool has_blocks = false;
    for (size_t p = 0; plan->parts != NULL && p < plan->part_count; p++) {
        has_blocks = has_blocks || plan->parts[p].control != NULL;
    }
    if (!plan->is_last || has_blocks) {
        return;
    }
    for (hd_plan_fold *fold = plan->folds; fold != NULL; fold = fold->next) {
        if (!is_read(plan, fold)) {
            planner->fold_bytes -= fold->size;
            hd_free(fold->memory);
            fold->memory = NULL;
        }
    }
}
