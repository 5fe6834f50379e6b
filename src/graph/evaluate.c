#include "graph/evaluate.h"

#include <string.h>

#include "base/memory.h"
#include "base/stop.h"
#include "graph/operator.h"
#include "hal/backend.h"

/* A constant is small, so what it takes on the way is too; attributes without sense (a stride of ten
 * million) ask for gigabytes, which only a plan counts against the device's limit. */
#define SCRATCH_LIMIT ((size_t)64 << 20)

static hd_status run_kernel(hd_operation *operation, const hd_kernel *kernel, hd_region *region, void **made,
                            hd_error *error)
{
    size_t input_count = operation->input_count, output_count = operation->output_count;
    void **buffers = hd_region_array(region, input_count + 2 * output_count, sizeof *buffers);
    int64_t(*extents)[HD_MAX_RANK] = hd_region_array(region, output_count, sizeof *extents);
    if (buffers == NULL || extents == NULL) {
        return hd_operation_fail(operation, error, HD_OUT_OF_MEMORY, "no memory to fold it");
    }
    if (kernel->scratch_size > SCRATCH_LIMIT) {
        return hd_operation_fail(operation, error, HD_UNSUPPORTED,
                                 "folding it would take %zu bytes of scratch memory",
                                 kernel->scratch_size);
    }
    void *scratch = kernel->scratch_size == 0 ? NULL : hd_alloc_aligned(kernel->scratch_size);
    if (kernel->scratch_size != 0 && scratch == NULL) {
        return hd_operation_fail(operation, error, HD_OUT_OF_MEMORY, "no memory to fold it");
    }
    for (size_t i = 0; i < input_count; i++) {
        /* Kernels read their inputs only. */
        memcpy(&buffers[i], &operation->inputs[i].data, sizeof(void *));
    }
    for (size_t i = 0; i < output_count; i++) {
        buffers[input_count + i] = made[i];
        buffers[input_count + output_count + i] = extents[i];
    }
    kernel->run(kernel->parameters, buffers, 0, kernel->tile_count, scratch);
    hd_free(scratch);
    hd_status stopped = hd_stop_asked();
    if (stopped != HD_OK) {
        return hd_stop_tell(stopped, error);
    }
    const hd_operator *entry = hd_operator_of(operation->id);
    for (size_t i = 0; (entry->flags & HD_OPERATOR_DYNAMIC) != 0 && i < output_count; i++) {
        hd_shape *shape = &operation->outputs[i].shape;
        if (operation->outputs[i].dtype != HD_DTYPE_NONE) {
            memcpy(shape->dims, extents[i], shape->rank * sizeof *shape->dims);
        }
    }
    return HD_OK;
}

hd_status hd_evaluate(hd_operation *operation, hd_error *error)
{
    hd_region region = {0};
    hd_kernel kernel = {0};
    bool runs = !hd_operation_gives_nothing(operation);
    void **made = hd_region_array(&region, operation->output_count, sizeof *made);
    if (made == NULL) {
        return hd_operation_fail(operation, error, HD_OUT_OF_MEMORY, "no memory to fold it");
    }
    hd_status status = runs ? hd_backend_cpu.compile(operation, &region, &kernel, error) : HD_OK;
    if (status != HD_OK) {
        goto fail;
    }
    for (size_t i = 0; i < operation->output_count; i++) {
        hd_operand *output = &operation->outputs[i];
        if (output->dtype == HD_DTYPE_NONE) {
            continue;
        }
        made[i] = hd_alloc_aligned((size_t)hd_shape_count(&output->shape) * hd_dtype_size(output->dtype));
        if (made[i] == NULL) {
            status = hd_operation_fail(operation, error, HD_OUT_OF_MEMORY, "no memory to fold it");
            goto fail;
        }
    }
    status = runs ? run_kernel(operation, &kernel, &region, made, error) : HD_OK;
    if (status != HD_OK) {
        goto fail;
    }
    for (size_t i = 0; i < operation->output_count; i++) {
        operation->outputs[i].data = made[i];
    }
    hd_region_clear(&region);
    return HD_OK;
fail:
    for (size_t i = 0; i < operation->output_count; i++) {
        hd_free(made[i]);
    }
    hd_region_clear(&region);
    return status;
}
