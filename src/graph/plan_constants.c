#include "graph/plan_constants.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "graph/model.h"
#include "graph/planner.h"

static int compare_constants(const void *a, const void *b)
{
    const unsigned char *first = ((const hd_device_constant *)a)->host, *second = ((const hd_device_constant *)b)->host;
    return first < second ? -1 : first > second;
}

static void *take(hd_device *device, hd_memory_kind kind, size_t size)
{
    if (!hd_memory_account_take(&device->memory, kind, size)) {
        return NULL;
    }
    void *memory = hd_unit_memory_create(device->unit, HD_PLACE_DEVICE, size);
    if (memory == NULL) {
        hd_memory_account_give(&device->memory, kind, size);
    }
    return memory;
}

static void give(hd_device *device, hd_memory_kind kind, void *memory, size_t size)
{
    if (memory != NULL) {
        hd_unit_memory_destroy(device->unit, HD_PLACE_DEVICE, memory, size);
        hd_memory_account_give(&device->memory, kind, size);
    }
}

hd_status hd_model_copy_constants(hd_model *model, size_t *size, hd_error *error)
{
    const hd_graph *graph = model->graph;
    hd_device *device = model->device;
    if (device->unit->is_host) {
        return HD_OK;
    }
    size_t count = 0;
    for (size_t v = 1; v < graph->value_count; v++) {
        count += graph->values[v].data != NULL;
    }
    model->constants = hd_alloc_zero(count, sizeof *model->constants);
    if (model->constants == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a model");
    }
    for (size_t v = 1; v < graph->value_count; v++) {
        const hd_graph_value *value = &graph->values[v];
        size_t bytes = (size_t)hd_shape_count(&value->shape) * hd_dtype_size(value->dtype);
        if (value->data == NULL || bytes == 0) {
            continue;
        }
        hd_device_constant *made = &model->constants[model->constant_count];
        *made = (hd_device_constant){value->data, bytes, take(device, HD_MEMORY_WEIGHTS, bytes)};
        if (made->copy == NULL) {
            return hd_fail(error, HD_OUT_OF_MEMORY, "no memory on the device for a constant of %zu bytes", bytes);
        }
        model->constant_count++;
        *size += bytes;
        if (hd_unit_copy(device->unit, made->copy, made->host, bytes) != HD_OK) {
            return hd_fail(error, HD_LOST, "the device was lost");
        }
    }
    if (model->constant_count > 1) {
        qsort(model->constants, model->constant_count, sizeof *model->constants, compare_constants);
    }
    return HD_OK;
}

void hd_model_drop_constants(hd_model *model)
{
    for (size_t i = 0; i < model->constant_count; i++) {
        give(model->device, HD_MEMORY_WEIGHTS, model->constants[i].copy, model->constants[i].size);
    }
    hd_free(model->constants);
}

/* The copy of what lies at `host`, among constants by address; NULL: there is none. */
static unsigned char *find_copy(const hd_device_constant *constants, size_t count, const unsigned char *host)
{
    size_t low = 0, high = count; /* the last that begins at or before it */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (constants[middle].host <= host) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 && host < constants[low - 1].host + constants[low - 1].size
               ? constants[low - 1].copy + (host - constants[low - 1].host)
               : NULL;
}

/* Calls for each reference of the device's steps that means a constant as it is; size: its bytes. */
typedef bool visit_constant(void *context, hd_reference *reference, size_t size);

static bool visit_constants(const hd_planner *planner, hd_plan *plan, visit_constant *visit, void *context)
{
    size_t step = 0;
    bool goes_on = true;
    for (size_t n = 0; n < planner->node_count && goes_on; n++) {
        const hd_plan_node *node = &planner->nodes[n];
        if (node->dead) {
            continue;
        }
        hd_reference *references = plan->recipe.references + plan->recipe.steps[step++].first_reference;
        for (size_t i = 0; i < node->operation.input_count && node->place == HD_PLACE_DEVICE && goes_on; i++) {
            const hd_operand *input = &node->operation.inputs[i];
            size_t size = input->data == NULL ? 0 : (size_t)hd_shape_count(&input->shape) * hd_dtype_size(input->dtype);
            if (size > 0 && references[i].space == HD_SPACE_CONSTANT) {
                goes_on = visit(context, &references[i], size);
            }
        }
    }
    return goes_on;
}

typedef struct gathering {
    const hd_model *model;
    hd_device_constant *found; /* those that the model has no copy of */
    size_t count;
    size_t capacity;
} gathering;

static bool gather(void *context, hd_reference *reference, size_t size)
{
    gathering *self = context;
    const unsigned char *host = reference->constant;
    unsigned char *copy = find_copy(self->model->constants, self->model->constant_count, host);
    if (copy != NULL) {
        reference->constant = copy;
        return true;
    }
    if (!hd_array_reserve((void **)&self->found, &self->capacity, self->count + 1, sizeof *self->found)) {
        return false;
    }
    self->found[self->count++] = (hd_device_constant){.host = host, .size = size};
    return true;
}

static bool redirect(void *context, hd_reference *reference, size_t size)
{
    (void)size;
    const gathering *self = context;
    unsigned char *copy = find_copy(self->found, self->count, reference->constant);
    reference->constant = copy != NULL ? copy : reference->constant; /* else it is the model's copy already */
    return true;
}

/* Makes of what was found stretches of memory that do not overlap, by address. */
static void merge(gathering *self)
{
    if (self->count > 1) {
        qsort(self->found, self->count, sizeof *self->found, compare_constants);
    }
    size_t used = 0;
    for (size_t i = 0; i < self->count; i++) {
        hd_device_constant *last = used == 0 ? NULL : &self->found[used - 1];
        if (last != NULL && self->found[i].host < last->host + last->size) {
            size_t end = (size_t)(self->found[i].host - last->host) + self->found[i].size;
            last->size = end > last->size ? end : last->size;
        } else {
            self->found[used++] = self->found[i];
        }
    }
    self->count = used;
}

static hd_status copy_block(hd_plan *plan, gathering *self)
{
    size_t total = 0;
    for (size_t i = 0; i < self->count; i++) {
        total += hd_align_up(self->found[i].size, HD_CACHE_LINE);
    }
    unsigned char *block = hd_alloc_zero(total, 1);
    plan->constants = block == NULL ? NULL : take(plan->device, HD_MEMORY_PLANS, total);
    plan->constants_size = total;
    if (plan->constants == NULL) {
        hd_free(block);
        return HD_OUT_OF_MEMORY;
    }
    size_t offset = 0;
    for (size_t i = 0; i < self->count; i++) {
        memcpy(block + offset, self->found[i].host, self->found[i].size);
        self->found[i].copy = (unsigned char *)plan->constants + offset;
        offset += hd_align_up(self->found[i].size, HD_CACHE_LINE);
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
    merge(&self);
    if (status == HD_OK && self.count > 0) {
        status = copy_block(plan, &self);
    }
    if (status == HD_OK && self.count > 0) {
        visit_constants(planner, plan, redirect, &self);
    }
    hd_free(self.found);
    return status == HD_OK ? HD_OK : hd_fail(planner->error, status, "a plan's constants could not be brought to the device");
}
