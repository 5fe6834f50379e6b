#include "hal/cuda/step.h"

#include <string.h>

#include "base/check.h"

hd_status hd_cuda_out_of_memory(const hd_cuda_compilation *compilation)
{
    return hd_operation_fail(compilation->operation, compilation->error, HD_OUT_OF_MEMORY,
                             "no memory for its kernel");
}

hd_cuda_launch *hd_cuda_add_launch(hd_cuda_compilation *compilation, hd_cuda_function function,
                                   const uint32_t grid[3], uint32_t block, const void *parameters,
                                   size_t size, const hd_cuda_pointer *pointers,
                                   size_t pointer_count)
{
    hd_cuda_step *step = compilation->step;
    HD_CHECK("SAFE.cuda-parameters", function == HD_CUDA_COPY || size <= HD_CUDA_PARAMETERS_MAX);
    if (step->launch_count == compilation->capacity) {
        size_t capacity = 2 * compilation->capacity + 1;
        hd_cuda_launch *more = hd_region_array(compilation->region, capacity, sizeof *more);
        if (more == NULL) {
            return NULL;
        }
        if (step->launch_count > 0) {
            memcpy(more, step->launches, step->launch_count * sizeof *more);
        }
        step->launches = more;
        compilation->capacity = capacity;
    }
    hd_cuda_launch launch = {.function = function,
                             .grid = {grid[0], grid[1], grid[2]},
                             .block = block,
                             .pointer_count = (uint32_t)pointer_count,
                             .size = size};
    launch.pointers =
        hd_region_copy(compilation->region, pointers, pointer_count * sizeof *pointers);
    launch.parameters =
        parameters == NULL ? NULL : hd_region_copy(compilation->region, parameters, size);
    if (launch.pointers == NULL || (parameters != NULL && launch.parameters == NULL)) {
        return NULL;
    }
    step->launches[step->launch_count] = launch;
    return &step->launches[step->launch_count++];
}

hd_status hd_cuda_add_threads(hd_cuda_compilation *compilation, uint32_t block,
                              hd_cuda_function function, int64_t count, const void *parameters,
                              size_t size, const hd_cuda_pointer *pointers, size_t pointer_count)
{
    const uint32_t grid[3] = {(uint32_t)hd_cuda_blocks(count, block), 1, 1};
    return count == 0 || hd_cuda_add_launch(compilation, function, grid, block, parameters, size,
                                            pointers, pointer_count) != NULL
               ? HD_OK
               : hd_cuda_out_of_memory(compilation);
}
