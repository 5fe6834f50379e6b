#include "hal/cpu/kernel.h"

#define TILE_WORK 32768

static const hd_cpu_operator *const families[] = {
#define FAMILY_ROW(family) hd_cpu_operators_##family,
    HD_CPU_FAMILY_LIST(FAMILY_ROW)
#undef FAMILY_ROW
};

hd_cpu_compile *hd_cpu_operator_find(hd_operator_id id)
{
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        for (const hd_cpu_operator *row = families[i]; row->id != HD_OP_NONE; row++) {
            if (row->id == id) {
                return row->compile;
            }
        }
    }
    return NULL;
}

void *hd_cpu_parameters(hd_cpu_compilation *compilation, size_t size)
{
    void *parameters = hd_region_alloc(compilation->region, size);
    compilation->kernel.parameters = parameters;
    return parameters;
}

hd_status hd_cpu_out_of_memory(hd_cpu_compilation *compilation)
{
    return hd_operation_fail(compilation->operation, compilation->error, HD_OUT_OF_MEMORY,
                             "no memory for its kernel");
}

int64_t hd_cpu_tile_count(int64_t items, int64_t work)
{
    if (items <= 1) {
        return 1;
    }
    int64_t each = work < 1 ? 1 : work;
    int64_t items_a_tile = each >= TILE_WORK ? 1 : (TILE_WORK + each - 1) / each;
    int64_t count = items / items_a_tile;
    return count < 1 ? 1 : count;
}
