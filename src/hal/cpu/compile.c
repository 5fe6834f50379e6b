#include "hal/cpu/compile.h"

hd_status hd_cpu_compile_operation(const hd_operation *operation, hd_region *region,
                                   hd_kernel *kernel, hd_error *error)
{
    hd_cpu_compile *compile = hd_cpu_operator_find(operation->id);
    if (compile == NULL) {
        return hd_operation_fail(operation, error, HD_UNSUPPORTED, "the cpu has no kernel for it");
    }
    hd_cpu_compilation compilation = {
        .operation = operation, .region = region, .kernel = {.tile_count = 1}, .error = error};
    hd_status status = compile(&compilation);
    *kernel = compilation.kernel;
    return status;
}
