/* From operations to steps of a CUDA device. */
#include <string.h>

#include "base/check.h"
#include "hal/cuda/constants.h"
#include "hal/cuda/elementwise.h"
#include "hal/cuda/step.h"

static const struct {
    const hd_cuda_operator *operators;
    hd_half_use (*half_use)(const hd_operation *operation);
} families[] = {
#define FAMILY_ROW(family, use) {hd_cuda_operators_##family, use},
    HD_CUDA_FAMILY_LIST(FAMILY_ROW)
#undef FAMILY_ROW
};

enum { FAMILY_COUNT = sizeof families / sizeof families[0] };

/* The row that computes it; *family: where it stands. NULL: none. */
static const hd_cuda_operator *find(const hd_cuda_unit *unit, const hd_operation *operation,
                                    size_t *family)
{
    for (*family = 0; *family < FAMILY_COUNT; (*family)++) {
        const hd_cuda_operator *row = families[*family].operators;
        for (; row->id != HD_OP_NONE; row++) {
            if (row->id == operation->id && row->supports(unit, operation)) {
                return row;
            }
        }
    }
    return NULL;
}

static bool supports(const hd_unit *unit, const hd_operation *operation)
{
    size_t family;
    return find((const hd_cuda_unit *)unit, operation, &family) != NULL;
}

static bool supports_in_chain(const hd_unit *unit, const hd_operation *operation)
{
    (void)unit;
    return hd_cuda_elementwise_fuses(operation);
}

hd_half_use hd_cuda_no_half_use(const hd_operation *operation)
{
    (void)operation;
    return (hd_half_use){0, 0, false};
}

static hd_half_use half_use(const hd_unit *unit, const hd_operation *operation)
{
    size_t family;
    return find((const hd_cuda_unit *)unit, operation, &family) == NULL
               ? hd_cuda_no_half_use(operation)
               : families[family].half_use(operation);
}

static hd_status make_kernel(hd_unit *unit, const hd_operation *operation, hd_region *region,
                             hd_kernel *kernel, hd_error *error)
{
    hd_cuda_step *step = hd_region_alloc(region, sizeof *step);
    hd_cuda_compilation compilation = {.unit = (const hd_cuda_unit *)unit,
                                       .operation = operation,
                                       .region = region,
                                       .kernel = kernel,
                                       .step = step,
                                       .error = error};
    if (step == NULL) {
        return hd_cuda_out_of_memory(&compilation);
    }
    *step = (hd_cuda_step){.launches = NULL};
    *kernel = (hd_kernel){.parameters = step, .tile_count = 1};
    size_t family;
    const hd_cuda_operator *found = find(compilation.unit, operation, &family);
    if (found == NULL) {
        return hd_operation_fail(operation, error, HD_UNSUPPORTED,
                                 "CUDA devices have no kernel for it");
    }
    return found->compile(&compilation);
}

static bool can_copy(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit, (void)operation;
    return true;
}

static hd_status compile_copy(hd_cuda_compilation *compilation)
{
    const hd_operand *output = &compilation->operation->outputs[0];
    const hd_cuda_pointer pointers[] = {{.operand = 0}, {.operand = 1}};
    size_t size = (size_t)hd_shape_count(&output->shape) * hd_dtype_size(output->dtype);
    if (size == 0) {
        return HD_OK;
    }
    return hd_cuda_add_launch(compilation, HD_CUDA_COPY, (const uint32_t[3]){1, 1, 1}, 1, NULL,
                              size, pointers, 2) == NULL
               ? hd_cuda_out_of_memory(compilation)
               : HD_OK;
}

const hd_cuda_operator hd_cuda_operators_copy[] = {{HD_OP_HEDDLE_TO_DEVICE, can_copy, compile_copy},
                                                   {HD_OP_HEDDLE_TO_HOST, can_copy, compile_copy},
                                                   {HD_OP_NONE, NULL, NULL}};

const hd_compile_table hd_cuda_compile = {.planar = true,
                                          .supports = supports,
                                          .supports_in_chain = supports_in_chain,
                                          .half_use = half_use,
                                          .constant_form = hd_cuda_constant_form,
                                          .constant_create = hd_cuda_constant_create,
                                          .constant_destroy = hd_cuda_constant_destroy,
                                          .kernel = make_kernel};
