/* The simulated device's kernels and forms of constants: the CPU's. */
#include <string.h>

#include "hal/cpu/backend.h"
#include "hal/cpu/compile.h"
#include "hal/sim/unit.h"

static bool supports(const hd_unit *unit, const hd_operation *operation)
{
    bool is_copy = operation->id == HD_OP_HEDDLE_TO_DEVICE || operation->id == HD_OP_HEDDLE_TO_HOST;
    /* what a caller packed, the host unpacks: the device has the values alone */
    bool is_packed = operation->id == HD_OP_HEDDLE_UNPACK_NARROW;
    return is_copy || (!is_packed && !hd_sim_refuses(unit, operation->id) &&
                       hd_backend_cpu.compile->supports(NULL, operation));
}

static bool is_dynamic(const hd_operation *operation)
{
    return operation->id == HD_OP_NON_ZERO || operation->id == HD_OP_COMPRESS ||
           operation->id == HD_OP_UNIQUE || operation->id == HD_OP_NON_MAX_SUPPRESSION;
}

static bool supports_in_chain(const hd_unit *unit, const hd_operation *operation)
{
    return !hd_sim_refuses(unit, operation->id) &&
           hd_backend_cpu.compile->supports_in_chain(NULL, operation);
}

/* Whatever the processor: so that tests meet what only some processors would have. */
static bool quantized_is_faster(const hd_unit *unit)
{
    (void)unit;
    return true;
}

/* A table that is looked up, as of embeddings, and so large that the host should not keep it, too. */
static bool is_large_table(const hd_operation *operation, size_t index)
{
    const hd_operand *table = &operation->inputs[index];
    return operation->id == HD_OP_GATHER && index == 0 &&
           hd_shape_count(&table->shape) * (int64_t)hd_dtype_size(table->dtype) >=
               HD_CONSTANT_PLAIN_BYTES;
}

static hd_constant_form constant_form(const hd_unit *unit, const hd_operation *operation,
                                      size_t index)
{
    if (hd_sim_refuses(unit, operation->id)) {
        return (hd_constant_form){0};
    }
    return is_large_table(operation, index)
               ? (hd_constant_form){.kind = HD_CONSTANT_PLAIN, .group = 1}
               : hd_backend_cpu.compile->constant_form(NULL, operation, index);
}

/* What the CPU made gets an address that only the device may touch. */
static hd_status create_constant(hd_unit *unit, hd_constant_form form, const hd_operand *constant,
                                 hd_packed **out_packed, hd_error *error)
{
    if (hd_sim_is_lost(unit)) {
        return hd_fail(error, HD_LOST, "the device was lost");
    }
    hd_status status =
        hd_backend_cpu.compile->constant_create(NULL, form, constant, out_packed, error);
    if (status == HD_OK) {
        (*out_packed)->memory = (void *)((uintptr_t)(*out_packed)->memory | (uintptr_t)1 << 63);
    }
    return status;
}

static void destroy_constant(hd_unit *unit, hd_packed **packed)
{
    (void)unit;
    if (*packed != NULL) {
        (*packed)->memory = hd_sim_host((*packed)->memory);
        hd_backend_cpu.compile->constant_destroy(NULL, packed);
    }
}

static void run_copy(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                     void *scratch)
{
    (void)begin, (void)end, (void)scratch;
    const size_t *size = parameters;
    if (*size > 0) {
        memcpy(buffers[1], buffers[0], *size);
    }
}

static hd_status make_copy(const hd_operation *operation, hd_region *region, hd_kernel *kernel,
                           hd_error *error)
{
    const hd_operand *output = &operation->outputs[0];
    size_t *size = hd_region_alloc(region, sizeof *size);
    if (size == NULL) {
        return hd_operation_fail(operation, error, HD_OUT_OF_MEMORY, "no memory for a kernel");
    }
    *size = (size_t)hd_shape_count(&output->shape) * hd_dtype_size(output->dtype);
    *kernel = (hd_kernel){.run = run_copy, .parameters = size, .tile_count = 1};
    return HD_OK;
}

static hd_status make_kernel(hd_unit *unit, const hd_operation *operation, hd_region *region,
                             hd_kernel *kernel, hd_error *error)
{
    if (operation->id == HD_OP_HEDDLE_TO_DEVICE || operation->id == HD_OP_HEDDLE_TO_HOST) {
        return make_copy(operation, region, kernel, error);
    }
    hd_operation untagged = *operation;
    untagged.inputs = hd_region_copy(region, operation->inputs,
                                     operation->input_count * sizeof *operation->inputs);
    untagged.outputs = hd_region_copy(region, operation->outputs,
                                      operation->output_count * sizeof *operation->outputs);
    hd_packed *packed = hd_region_array(region, operation->input_count, sizeof *packed);
    if (untagged.inputs == NULL || untagged.outputs == NULL || packed == NULL) {
        return hd_operation_fail(operation, error, HD_OUT_OF_MEMORY, "no memory for a kernel");
    }
    for (size_t i = 0; i < operation->input_count; i++) {
        if (operation->inputs[i].packed != NULL) {
            packed[i] = *operation->inputs[i].packed;
            packed[i].memory = hd_sim_host(packed[i].memory);
            untagged.inputs[i].packed = &packed[i];
        }
    }
    bool has_halves = hd_sim_has_halves(unit, operation);
    if (has_halves) {
        hd_sim_widen(&untagged);
    }
    hd_status status = hd_sim_check_halves(unit, operation, &untagged, error);
    if (status == HD_OK) {
        status = hd_cpu_compile_operation(&untagged, region, kernel, error);
    }
    if (!has_halves) {
        return status;
    }
    size_t extents = is_dynamic(operation) ? operation->output_count : 0;
    return status == HD_OK ? hd_sim_wrap_halves(operation, extents, region, kernel, error) : status;
}

const hd_compile_table hd_sim_compile = {.supports = supports,
                                         .supports_in_chain = supports_in_chain,
                                         .half_use = hd_sim_half_use,
                                         .quantized_is_faster = quantized_is_faster,
                                         .constant_form = constant_form,
                                         .constant_create = create_constant,
                                         .constant_destroy = destroy_constant,
                                         .kernel = make_kernel};
