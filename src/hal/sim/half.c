/* Halves on the simulated device: each operation widens those it reads, computes in float32 with the CPU's kernel, and rounds
 * what it gives. */
#include <string.h>

#include "hal/cpu/half.h"
#include "hal/sim/unit.h"
#include "operation/fused.h"

enum { OPERANDS_MAX = 64 }; /* that have halves; with more, all stay float32 */

typedef struct half_operand {
    bool is_half, is_bfloat, is_output;
    size_t count; /* elements */
    size_t at;    /* of its float32 form in the scratch memory, behind the kernel's own */
} half_operand;

typedef struct half_kernel {
    hd_kernel kernel;
    size_t operand_count; /* inputs and outputs; behind them there may be extents */
    size_t buffer_count;
    half_operand operands[];
} half_kernel;

static bool is_half(hd_dtype dtype)
{
    return dtype == HD_FLOAT16 || dtype == HD_BFLOAT16;
}

static void run(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                void *scratch)
{
    (void)begin, (void)end;
    const half_kernel *self = parameters;
    unsigned char *memory = scratch;
    void *own[2 * OPERANDS_MAX + OPERANDS_MAX];
    memcpy(own, buffers, self->buffer_count * sizeof *own);
    for (size_t i = 0; i < self->operand_count; i++) {
        const half_operand *operand = &self->operands[i];
        if (!operand->is_half || buffers[i] == NULL) {
            continue;
        }
        own[i] = memory + operand->at;
        if (!operand->is_output) {
            (operand->is_bfloat ? hd_cpu_vector_float_of_bfloat
                                : hd_cpu_vector_float_of_half)(own[i], buffers[i], operand->count);
        }
    }
    self->kernel.run(self->kernel.parameters, own, 0, self->kernel.tile_count, memory);
    for (size_t i = 0; i < self->operand_count; i++) {
        const half_operand *operand = &self->operands[i];
        if (operand->is_half && operand->is_output && buffers[i] != NULL) {
            (operand->is_bfloat ? hd_cpu_vector_bfloat_of_float
                                : hd_cpu_vector_half_of_float)(buffers[i], own[i], operand->count);
        }
    }
}

/* A conversion, or a chain that begins or ends with one: its halves are the model's own. */
static bool converts(const hd_operation *operation)
{
    if (operation->id != HD_OP_HEDDLE_ELEMENTWISE) {
        return operation->id == HD_OP_CAST || operation->id == HD_OP_CAST_LIKE;
    }
    const hd_fused_elementwise *chain = hd_fused_elementwise_of(operation);
    bool found = false;
    for (size_t i = 0; i < chain->step_count; i++) {
        const hd_operation *step = chain->steps[i].operation;
        for (size_t k = 0; k < step->input_count; k++) {
            found = found || is_half(step->inputs[k].dtype);
        }
        found = found || is_half(step->outputs[0].dtype);
    }
    return found;
}

bool hd_sim_has_halves(const hd_unit *unit, const hd_operation *operation)
{
    bool found = false;
    for (size_t i = 0; i < operation->input_count; i++) {
        found = found || is_half(operation->inputs[i].dtype);
    }
    for (size_t i = 0; i < operation->output_count; i++) {
        found = found || is_half(operation->outputs[i].dtype);
    }
    return unit->half != HD_DTYPE_NONE && found && !converts(operation);
}

void hd_sim_widen(hd_operation *operation)
{
    for (size_t i = 0; i < operation->input_count; i++) {
        hd_dtype *dtype = &operation->inputs[i].dtype;
        *dtype = is_half(*dtype) ? HD_FLOAT32 : *dtype;
    }
    for (size_t i = 0; i < operation->output_count; i++) {
        hd_dtype *dtype = &operation->outputs[i].dtype;
        *dtype = is_half(*dtype) ? HD_FLOAT32 : *dtype;
    }
}

/* What half_use asked for is so: a device that has no other kernels could not do with less. */
static bool is_as_asked(const hd_unit *unit, const hd_operation *operation,
                        const hd_operation *widened)
{
    hd_half_use use = hd_sim_half_use(unit, widened);
    size_t inputs = operation->input_count, count = inputs + operation->output_count;
    uint64_t halves = 0;
    for (size_t i = 0; i < count && i < OPERANDS_MAX; i++) {
        const hd_operand *operand =
            i < inputs ? &operation->inputs[i] : &operation->outputs[i - inputs];
        halves |= is_half(operand->dtype) ? UINT64_C(1) << i : 0;
    }
    return (halves & ~use.may) == 0 && (use.must & ~halves) == 0 &&
           (!use.alike || halves == 0 || halves == use.may);
}

hd_status hd_sim_check_halves(const hd_unit *unit, const hd_operation *operation,
                              const hd_operation *widened, hd_error *error)
{
    return unit->half == HD_DTYPE_NONE || converts(operation) ||
                   is_as_asked(unit, operation, widened)
               ? HD_OK
               : hd_operation_fail(operation, error, HD_INTERNAL,
                                   "its halves are not those that the device asked for");
}

hd_status hd_sim_wrap_halves(const hd_operation *operation, size_t extents, hd_region *region,
                             hd_kernel *kernel, hd_error *error)
{
    size_t count = operation->input_count + operation->output_count;
    half_kernel *self = hd_region_alloc(region, sizeof *self + count * sizeof self->operands[0]);
    if (self == NULL) {
        return hd_operation_fail(operation, error, HD_OUT_OF_MEMORY, "no memory for a kernel");
    }
    *self =
        (half_kernel){.kernel = *kernel, .operand_count = count, .buffer_count = count + extents};
    size_t size = hd_align_up(kernel->scratch_size, HD_CACHE_LINE);
    for (size_t i = 0; i < count; i++) {
        bool is_output = i >= operation->input_count;
        const hd_operand *operand =
            is_output ? &operation->outputs[i - operation->input_count] : &operation->inputs[i];
        self->operands[i] = (half_operand){.is_half = is_half(operand->dtype),
                                           .is_bfloat = operand->dtype == HD_BFLOAT16,
                                           .is_output = is_output,
                                           .at = size};
        if (self->operands[i].is_half) {
            self->operands[i].count = (size_t)hd_shape_count(&operand->shape);
            size += hd_align_up(self->operands[i].count * sizeof(float), HD_CACHE_LINE);
        }
    }
    *kernel = (hd_kernel){.run = run, .parameters = self, .tile_count = 1, .scratch_size = size};
    return HD_OK;
}

/* Products must have halves, what moves elements has all or none, and all others have what they like. */
hd_half_use hd_sim_half_use(const hd_unit *unit, const hd_operation *operation)
{
    hd_half_use use = {0, 0, false};
    size_t inputs = operation->input_count, count = inputs + operation->output_count;
    if (hd_sim_has_halves(unit, operation) || converts(operation) ||
        operation->id == HD_OP_HEDDLE_TO_DEVICE || operation->id == HD_OP_HEDDLE_TO_HOST ||
        count > OPERANDS_MAX) {
        return use;
    }
    for (size_t i = 0; i < count; i++) {
        const hd_operand *operand =
            i < inputs ? &operation->inputs[i] : &operation->outputs[i - inputs];
        use.may |= operand->dtype == HD_FLOAT32 && operand->packed == NULL && operand->data == NULL
                       ? UINT64_C(1) << i
                       : 0;
    }
    bool is_product = operation->id == HD_OP_HEDDLE_LINEAR || operation->id == HD_OP_MATMUL ||
                      operation->id == HD_OP_HEDDLE_ATTENTION;
    use.must = is_product ? use.may & (1 | UINT64_C(1) << inputs) : 0;
    use.alike = operation->id == HD_OP_TRANSPOSE || operation->id == HD_OP_CONCAT ||
                operation->id == HD_OP_SLICE;
    return use;
}
