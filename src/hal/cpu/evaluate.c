/* What is computed while a model is loaded or planned, one operation at a time. */
#include <string.h>

#include "base/memory.h"
#include "base/stop.h"
#include "hal/backend.h"
#include "hal/cpu/compile.h"

#define TILES_A_LOOK 16
/* Bytes on the stack, in which most kernels fit: planning folds thousands of them. */
#define KERNEL_SIZE 4096

static hd_status run_kernel(const hd_operation *operation, const hd_kernel *kernel, void **buffers,
                            void *const *outputs, int64_t (*extents)[HD_MAX_RANK], hd_error *error)
{
    size_t input_count = operation->input_count, output_count = operation->output_count;
    void *scratch = kernel->scratch_size == 0 ? NULL : hd_alloc_aligned(kernel->scratch_size);
    if (kernel->scratch_size != 0 && scratch == NULL) {
        return hd_operation_fail(operation, error, HD_OUT_OF_MEMORY, "no memory to fold it");
    }
    for (size_t i = 0; i < input_count; i++) {
        /* Kernels read their inputs only. */
        memcpy(&buffers[i], &operation->inputs[i].data, sizeof(void *));
    }
    for (size_t i = 0; i < output_count; i++) {
        buffers[input_count + i] = outputs[i];
        buffers[input_count + output_count + i] = extents[i];
    }
    int64_t count = kernel->tile_count;
    for (int64_t tile = 0, next; (next = hd_stop_reach_by(tile, count, TILES_A_LOOK)) > tile;
         tile = next) {
        kernel->run(kernel->parameters, buffers, tile, next, scratch);
    }
    hd_free(scratch);
    hd_status stopped = hd_stop_asked();
    return stopped == HD_OK ? HD_OK : hd_stop_tell(stopped, error);
}

hd_status hd_host_evaluate(const hd_operation *operation, void *const *outputs,
                           int64_t (*extents)[HD_MAX_RANK], size_t scratch_limit, hd_error *error)
{
    hd_region region;
    _Alignas(16) unsigned char memory[KERNEL_SIZE];
    hd_region_start(&region, memory, sizeof memory);
    hd_kernel kernel = {0};
    hd_status status = hd_cpu_compile_operation(operation, &region, &kernel, error);
    void **buffers = hd_region_array(&region, operation->input_count + 2 * operation->output_count,
                                     sizeof *buffers);
    if (status == HD_OK && buffers == NULL) {
        status = hd_operation_fail(operation, error, HD_OUT_OF_MEMORY, "no memory to fold it");
    }
    if (status == HD_OK && kernel.scratch_size > scratch_limit) {
        status = hd_operation_fail(operation, error, HD_UNSUPPORTED,
                                   "folding it would take %zu bytes of scratch memory",
                                   kernel.scratch_size);
    }
    if (status == HD_OK) {
        status = run_kernel(operation, &kernel, buffers, outputs, extents, error);
    }
    hd_region_clear(&region);
    return status;
}
