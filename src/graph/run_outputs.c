/* The outputs of a run: their memory, and what the caller is told of them. */
#include <string.h>

#include "base/memory.h"
#include "base/strings.h"
#include "graph/binding.h"
#include "graph/plan_replay.h"
#include "graph/run.h"

hd_status hd_run_provide_outputs(hd_run *run, const hd_plan *plan)
{
    for (size_t i = 0; i < plan->output_count; i++) {
        const hd_plan_output *output = &plan->outputs[i];
        const hd_tensor *tensor = run->output_tensors[output->index];
        const char *name = hd_run_root(run)->output_names[output->index];
        if (run->output_data[output->index] != NULL || !output->known || output->is_texts ||
            !(output->direct || plan->is_last)) {
            continue;
        }
        if (tensor->data == NULL) {
            if (!hd_memory_account_take(hd_run_account(run), HD_MEMORY_ARENAS, output->size)) {
                return hd_fail(run->error, HD_OUT_OF_MEMORY,
                               "output '%s' of %zu bytes passes the device's memory limit", name,
                               output->size);
            }
            run->allocated_size += output->size;
            void *data = hd_alloc_aligned(output->size);
            if (data == NULL) {
                return hd_fail(run->error, HD_OUT_OF_MEMORY,
                               "no memory for output '%s' of %zu bytes", name, output->size);
            }
            hd_stop_touch(data, output->size);
            run->output_data[output->index] = data;
            run->allocated_count++;
            continue;
        }
        hd_status status = hd_bind_check_room(run->model, output->index, tensor, output->dtype,
                                              &output->shape, output->size, run->error);
        if (status != HD_OK) {
            return status;
        }
        run->output_data[output->index] = tensor->data;
    }
    return HD_OK;
}

/* Gives an output of texts its block, whose size is known now. FLAT: into memory of the caller's nothing is allocated. */
static hd_status deliver_texts(hd_run *run, const hd_plan_output *output)
{
    const hd_tensor *tensor = run->output_tensors[output->index];
    const hd_string *source =
        hd_reference_resolve(&output->source, &run->memory, run->input_data, run->output_data);
    const size_t count = (size_t)hd_shape_count(&output->shape);
    const size_t size = hd_strings_size(source, count);
    const char *name = hd_run_root(run)->output_names[output->index];
    void *block = tensor->data;
    if (block != NULL) {
        hd_status status = hd_bind_check_room(run->model, output->index, tensor, HD_STRING,
                                              &output->shape, size, run->error);
        if (status != HD_OK) {
            return status;
        }
    } else {
        if (size == SIZE_MAX ||
            !hd_memory_account_take(hd_run_account(run), HD_MEMORY_ARENAS, size)) {
            return hd_fail(run->error, HD_OUT_OF_MEMORY,
                           "the texts of output '%s' pass the device's memory limit", name);
        }
        run->allocated_size += size;
        block = hd_alloc_aligned(size);
        if (block == NULL) {
            return hd_fail(run->error, HD_OUT_OF_MEMORY, "no memory for output '%s' of %zu bytes",
                           name, size);
        }
        run->allocated_count++;
    }
    hd_strings_write(block, source, count);
    run->output_data[output->index] = block;
    return HD_OK;
}

hd_status hd_run_deliver(hd_run *run, const hd_plan *plan)
{
    for (size_t i = 0; i < plan->output_count; i++) {
        if (plan->outputs[i].known && plan->outputs[i].is_texts && plan->is_last) {
            hd_status delivered = deliver_texts(run, &plan->outputs[i]);
            if (delivered != HD_OK) {
                return delivered;
            }
        }
    }
    hd_status status = hd_plan_deliver(plan, &run->memory, run->input_data, run->output_data);
    return status == HD_OK ? HD_OK : hd_fail(run->error, status, "the device was lost");
}

hd_status hd_run_commit(hd_run *run)
{
    hd_status status = hd_stop_commit(run->stop);
    return status == HD_OK ? HD_OK : hd_stop_tell(status, run->error);
}

void hd_run_describe_outputs(hd_run *run, const hd_plan *plan)
{
    for (size_t i = 0; i < plan->output_count; i++) {
        const hd_plan_output *output = &plan->outputs[i];
        void *data = run->output_data[output->index];
        hd_tensor *tensor = run->output_tensors[output->index];
        tensor->dtype = output->dtype;
        tensor->rank = output->shape.rank;
        memcpy(tensor->dims, output->shape.dims, sizeof tensor->dims);
        tensor->data = data;
        tensor->size = output->dtype == HD_STRING
                           ? hd_strings_size(data, (size_t)hd_shape_count(&output->shape))
                           : output->size;
    }
}

void hd_run_drop_outputs(hd_run *run)
{
    for (size_t i = 0; run->allocated_count > 0 && i < hd_run_root(run)->output_count; i++) {
        const hd_tensor *tensor = run->output_tensors[i];
        if (tensor != NULL && tensor->data == NULL && run->output_data[i] != NULL) {
            hd_free(run->output_data[i]);
            run->allocated_count--;
        }
    }
}

void hd_run_tell_tensors(const hd_tensor *inputs, size_t input_count, const hd_tensor *outputs,
                         size_t output_count)
{
    for (size_t i = 0; i < input_count; i++) {
        if (inputs[i].place == HD_TENSOR_HOST) {
            hd_handover_read(inputs[i].data, hd_run_input_size(&inputs[i]));
        }
    }
    for (size_t i = 0; i < output_count; i++) {
        if (outputs[i].place == HD_TENSOR_HOST) {
            hd_handover_write(outputs[i].data, outputs[i].size);
        }
    }
}
