#include "graph/batch_stack.h"

#include <string.h>

#include "base/memory.h"
#include "base/stop.h"
#include "graph/binding.h"

static size_t input_count(const hd_batch_stack *stack)
{
    return stack->model->graph->root->input_count;
}

static size_t output_count(const hd_batch_stack *stack)
{
    return stack->model->graph->root->output_count;
}

hd_status hd_batch_stack_init(hd_batch_stack *stack, hd_model *model)
{
    *stack = (hd_batch_stack){.model = model};
    size_t count = input_count(stack) + output_count(stack);
    stack->tensors = hd_region_array(&stack->region, count, sizeof *stack->tensors);
    stack->buffers = hd_region_array(&stack->region, count, sizeof *stack->buffers);
    stack->capacities = hd_region_array(&stack->region, count, sizeof *stack->capacities);
    stack->placed = hd_region_array(&stack->region, output_count(stack), sizeof *stack->placed);
    if (stack->tensors == NULL || stack->buffers == NULL || stack->capacities == NULL ||
        stack->placed == NULL) {
        hd_region_clear(&stack->region);
        return HD_OUT_OF_MEMORY;
    }
    return HD_OK;
}

static void drop_buffer(hd_batch_stack *stack, size_t index)
{
    hd_free(stack->buffers[index]);
    hd_memory_account_give(&stack->model->device->memory, HD_MEMORY_ARENAS,
                           stack->capacities[index]);
    stack->buffers[index] = NULL;
    stack->capacities[index] = 0;
}

void hd_batch_stack_clear(hd_batch_stack *stack)
{
    for (size_t i = 0; i < input_count(stack) + output_count(stack); i++) {
        drop_buffer(stack, i);
    }
    hd_region_clear(&stack->region);
}

/* Makes buffer `index` hold `size` bytes; what was in it is lost. */
static bool reserve(hd_batch_stack *stack, size_t index, size_t size)
{
    if (stack->capacities[index] >= size) {
        return true;
    }
    drop_buffer(stack, index);
    hd_memory_account *account = &stack->model->device->memory;
    if (!hd_memory_account_take(account, HD_MEMORY_ARENAS, size)) {
        return false;
    }
    stack->buffers[index] = hd_alloc_aligned(size);
    if (stack->buffers[index] == NULL) {
        hd_memory_account_give(account, HD_MEMORY_ARENAS, size);
        return false;
    }
    stack->capacities[index] = size;
    return true;
}

/* Of a model input's row. */
static size_t input_row_size(const hd_batch_stack *stack, const hd_batch_kind *kind, size_t index)
{
    hd_dtype dtype = stack->model->graph->values[stack->model->graph->root->inputs[index]].dtype;
    return (size_t)hd_shape_count(&kind->row_shapes[index]) * hd_dtype_size(dtype);
}

/* Fills in the tensor of a model input of `rows` rows; returns the size of one. */
static size_t describe_input(hd_batch_stack *stack, const hd_batch_kind *kind, size_t index,
                             uint32_t rows)
{
    const hd_block *root = stack->model->graph->root;
    const hd_shape *shape = &kind->row_shapes[index];
    hd_tensor *tensor = &stack->tensors[index];
    tensor->dtype = stack->model->graph->values[root->inputs[index]].dtype;
    tensor->rank = shape->rank;
    memcpy(tensor->dims, shape->dims, sizeof tensor->dims);
    tensor->dims[0] = rows;
    size_t row_size = input_row_size(stack, kind, index);
    tensor->size = row_size * rows;
    return row_size;
}

hd_status hd_batch_stack_run_alone(hd_batch_stack *stack, const hd_batch_entry *entry,
                                   hd_error *error)
{
    for (size_t i = 0; i < input_count(stack); i++) {
        describe_input(stack, entry->kind, i, entry->request.rows);
        stack->tensors[i].data = entry->pointers[i];
    }
    hd_future_stop stop = hd_future_make_stop(entry->future);
    return hd_model_run_until(stack->model, &stop.stop, stack->tensors, input_count(stack),
                              entry->outputs, entry->output_count, error);
}

bool hd_batch_stack_prepare(hd_batch_stack *stack, const hd_batch_kind *kind, uint32_t rows)
{
    for (size_t i = 0; i < input_count(stack); i++) {
        size_t row_size = describe_input(stack, kind, i, rows);
        if (!reserve(stack, i, row_size * rows)) { /* it fits: the requests' own memory is larger */
            return false;
        }
        stack->tensors[i].data = stack->buffers[i];
    }
    return true;
}

/* A copy of, or for, one request, while it is to have it. */
static void copy_for(const hd_batch_entry *entry, void *to, const void *from, size_t size)
{
    hd_future_stop stop = hd_future_make_stop(entry->future);
    hd_stop_enter(&stop.stop);
    hd_stop_copy(to, from, size);
    hd_stop_enter(NULL);
}

void hd_batch_stack_put(hd_batch_stack *stack, const hd_batch_entry *entry, uint32_t row)
{
    for (size_t i = 0; i < input_count(stack); i++) {
        size_t row_size = input_row_size(stack, entry->kind, i);
        unsigned char *to = (unsigned char *)stack->buffers[i] + row_size * row;
        copy_for(entry, to, entry->pointers[i], row_size * entry->request.rows);
    }
}

/* The first output tensor is the one behind the inputs; returns how many are wanted, SIZE_MAX when out
 * of memory. Where a row's size is not known yet the run allocates. */
static size_t provide_outputs(hd_batch_stack *stack, const hd_batch_kind *kind, uint32_t rows)
{
    const hd_block *root = stack->model->graph->root;
    hd_tensor *outputs = stack->tensors + input_count(stack);
    size_t wanted = 0;
    for (size_t i = 0; i < output_count(stack); i++) {
        if (!kind->wanted[i]) {
            continue;
        }
        size_t size = hd_load_relaxed(&kind->row_sizes[i]) * rows, index = input_count(stack) + i;
        if (size > 0 && !reserve(stack, index, size)) {
            return SIZE_MAX;
        }
        outputs[wanted++] = (hd_tensor){.name = root->output_names[i],
                                        .data = size == 0 ? NULL : stack->buffers[index],
                                        .size = size == 0 ? 0 : stack->capacities[index]};
    }
    return wanted;
}

/* Learns the rows' sizes, and takes over what the run has allocated; false: there is no memory for that, or
 * dimension 0 is not the rows. */
static bool take_outputs(hd_batch_stack *stack, hd_batch_kind *kind, uint32_t rows)
{
    hd_tensor *tensor = stack->tensors + input_count(stack);
    bool held = true, divides = true;
    for (size_t i = 0; i < output_count(stack); i++) {
        if (!kind->wanted[i]) {
            continue;
        }
        size_t index = input_count(stack) + i;
        if (tensor->data != stack->buffers[index]) {
            drop_buffer(stack, index);
            if (hd_memory_account_take(&stack->model->device->memory, HD_MEMORY_ARENAS,
                                       tensor->size)) {
                stack->buffers[index] = tensor->data;
                stack->capacities[index] = tensor->size;
            } else {
                hd_tensor_release(tensor);
                held = false;
            }
        }
        divides = divides && tensor->rank > 0 && tensor->dims[0] == rows;
        if (held && divides) {
            hd_store_relaxed(&kind->row_sizes[i], tensor->size / rows);
        }
        tensor++;
    }
    if (!divides) {
        hd_batch_kind_refuse(kind, rows);
    }
    return held && divides;
}

bool hd_batch_stack_run(hd_batch_stack *stack, hd_batch_kind *kind, uint32_t rows,
                        const hd_stop *stop)
{
    size_t wanted = provide_outputs(stack, kind, rows);
    if (wanted == SIZE_MAX ||
        hd_model_run_until(stack->model, stop, stack->tensors, input_count(stack),
                           stack->tensors + input_count(stack), wanted, NULL) != HD_OK) {
        return false;
    }
    return take_outputs(stack, kind, rows);
}

/* The caller's tensor of output `index`. */
static hd_tensor *asked_for(const hd_batch_stack *stack, const hd_batch_entry *entry, size_t index)
{
    return entry->pointers[input_count(stack) + index];
}

static hd_status place_rows(hd_batch_stack *stack, const hd_batch_entry *entry, size_t index,
                            const hd_tensor *source, size_t size, hd_error *error)
{
    hd_tensor *to = asked_for(stack, entry, index);
    hd_shape shape = {.rank = source->rank};
    memcpy(shape.dims, source->dims, sizeof shape.dims);
    shape.dims[0] = entry->request.rows;
    hd_status status =
        hd_bind_check_room(stack->model, index, to, source->dtype, &shape, size, error);
    if (status != HD_OK) {
        return status;
    }
    hd_memory_account *account = &stack->model->device->memory;
    stack->placed[index] = to->data;
    if (to->data == NULL && hd_memory_account_take(account, HD_MEMORY_ARENAS, size)) {
        stack->placed[index] = hd_alloc_aligned(size);
        stack->placed_size += size;
    }
    if (stack->placed[index] == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for output '%s' of %zu bytes",
                       stack->model->graph->root->output_names[index], size);
    }
    return HD_OK;
}

static hd_status place_and_copy(hd_batch_stack *stack, const hd_batch_entry *entry, uint32_t row,
                                hd_error *error)
{
    const hd_tensor *outputs = stack->tensors + input_count(stack), *source = outputs;
    hd_status status = HD_OK;
    size_t done = 0;
    for (; done < output_count(stack); done++) {
        if (asked_for(stack, entry, done) == NULL) {
            continue;
        }
        size_t row_size = hd_load_relaxed(&entry->kind->row_sizes[done]),
               size = row_size * entry->request.rows;
        status = place_rows(stack, entry, done, source, size, error);
        if (status != HD_OK) {
            goto fail;
        }
        copy_for(entry, stack->placed[done], (const unsigned char *)source->data + row * row_size,
                 size);
        source++;
    }
    status = hd_future_commit(entry->future);
    if (status != HD_OK) {
        hd_stop_tell(status, error);
        goto fail;
    }
    source = outputs;
    for (size_t i = 0; i < output_count(stack); i++) {
        hd_tensor *to = asked_for(stack, entry, i);
        if (to == NULL) {
            continue;
        }
        to->data = stack->placed[i];
        to->size = hd_load_relaxed(&entry->kind->row_sizes[i]) * entry->request.rows;
        to->dtype = source->dtype;
        to->rank = source->rank;
        memcpy(to->dims, source->dims, sizeof to->dims);
        to->dims[0] = entry->request.rows;
        source++;
    }
    return HD_OK;
fail:
    while (done-- > 0) {
        const hd_tensor *to = asked_for(stack, entry, done);
        if (to != NULL && to->data == NULL) {
            hd_free(stack->placed[done]);
        }
    }
    return status;
}

hd_status hd_batch_stack_hand_out(hd_batch_stack *stack, const hd_batch_entry *entry, uint32_t row,
                                  hd_error *error)
{
    hd_device *device = stack->model->device;
    for (bool again = false;; again = true) {
        hd_status status = place_and_copy(stack, entry, row, error);
        /* What was allocated is the caller's now, or gone. */
        hd_memory_account_give(&device->memory, HD_MEMORY_ARENAS, stack->placed_size);
        stack->placed_size = 0;
        if (status != HD_OUT_OF_MEMORY || again) {
            return status;
        }
        hd_reclaim_run(&device->reclaim, HD_LANE_COUNT);
    }
}
