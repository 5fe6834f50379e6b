#include "hal/cpu/packed.h"

#include <string.h>

#include "base/memory.h"
#include "hal/cpu/packed_convolution.h"

/* In a build without packed_convolution.c convolutions read their weights as they are. */
__attribute__((weak)) hd_packing hd_cpu_packing_convolution(const hd_operation *operation,
                                                            size_t index)
{
    (void)operation;
    (void)index;
    return HD_PACKING_NONE;
}

__attribute__((weak)) hd_status hd_cpu_pack_convolution(const hd_operand *constant, int64_t group,
                                                        hd_packed *packed, hd_error *error)
{
    (void)constant;
    (void)group;
    (void)packed;
    return hd_fail(error, HD_UNSUPPORTED, "this build packs no convolutions");
}

hd_packing hd_cpu_packing(const hd_operation *operation, size_t index)
{
    return hd_cpu_packing_convolution(operation, index);
}

hd_status hd_cpu_pack(hd_packing packing, const hd_operand *constant, int64_t group,
                      hd_packed **out_packed, hd_error *error)
{
    hd_packed *packed = hd_alloc_zero(1, sizeof *packed);
    if (packed == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a packed weight");
    }
    packed->packing = packing;
    packed->shape = constant->shape;
    hd_status status = hd_cpu_pack_convolution(constant, group, packed, error);
    if (status != HD_OK) {
        hd_packed_destroy(&packed);
        return status;
    }
    *out_packed = packed;
    return HD_OK;
}

void hd_packed_destroy(hd_packed **packed)
{
    if (*packed != NULL) {
        hd_pages_free((*packed)->memory, (*packed)->size);
        hd_free(*packed);
        *packed = NULL;
    }
}
