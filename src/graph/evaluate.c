#include "graph/evaluate.h"

#include <string.h>

#include "base/memory.h"
#include "base/stop.h"
#include "graph/operator.h"
#include "hal/backend.h"

/* A constant is small, so what it takes on the way is too; attributes without sense (a stride of ten
 * million) ask for gigabytes, which only a plan counts against the device's limit. */
#define SCRATCH_LIMIT ((size_t)64 << 20)

static hd_status compute(hd_operation *operation, void **made, hd_region *region, hd_error *error)
{
    size_t count = operation->output_count;
    int64_t (*extents)[HD_MAX_RANK] = hd_region_array(region, count, sizeof *extents);
    if (extents == NULL) {
        return hd_operation_fail(operation, error, HD_OUT_OF_MEMORY, "no memory to fold it");
    }
    hd_status status = hd_host_evaluate(operation, made, extents, SCRATCH_LIMIT, error);
    bool is_dynamic = (hd_operator_of(operation->id)->flags & HD_OPERATOR_DYNAMIC) != 0;
    for (size_t i = 0; status == HD_OK && is_dynamic && i < count; i++) {
        hd_shape *shape = &operation->outputs[i].shape;
        if (operation->outputs[i].dtype != HD_DTYPE_NONE) {
            memcpy(shape->dims, extents[i], shape->rank * sizeof *shape->dims);
        }
    }
    return status;
}

hd_status hd_evaluate(hd_operation *operation, hd_error *error)
{
    hd_region region;
    _Alignas(16) unsigned char memory[512];
    hd_region_start(&region, memory, sizeof memory);
    void **made = hd_region_array(&region, operation->output_count, sizeof *made);
    if (made == NULL) {
        return hd_operation_fail(operation, error, HD_OUT_OF_MEMORY, "no memory to fold it");
    }
    hd_status status = HD_OK;
    for (size_t i = 0; i < operation->output_count && status == HD_OK; i++) {
        hd_operand *output = &operation->outputs[i];
        if (output->dtype == HD_DTYPE_NONE) {
            continue;
        }
        made[i] =
            hd_alloc_aligned((size_t)hd_shape_count(&output->shape) * hd_dtype_size(output->dtype));
        if (made[i] == NULL) {
            status = hd_operation_fail(operation, error, HD_OUT_OF_MEMORY, "no memory to fold it");
        }
    }
    if (status == HD_OK && !hd_operation_gives_nothing(operation)) {
        status = compute(operation, made, &region, error);
    }
    for (size_t i = 0; i < operation->output_count; i++) {
        if (status == HD_OK) {
            operation->outputs[i].data = made[i];
        } else {
            hd_free(made[i]);
        }
    }
    hd_region_clear(&region);
    return status;
}
