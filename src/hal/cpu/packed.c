#include "hal/cpu/packed.h"

#include <float.h>
#include <math.h>

#include "base/memory.h"
#include "hal/cpu/gemm.h"
#include "hal/cpu/integer_gemm.h"
#include "hal/cpu/packed_convolution.h"
#include "operation/quantized.h"

static hd_cpu_packing_kind packing_of_bytes(const hd_operation *operation, size_t index,
                                            const hd_quantized_roles *roles)
{
    const hd_operand *operand = &operation->inputs[index];
    if (index != (size_t)roles->b || !hd_quantized_is_byte(operand->dtype) ||
        hd_shape_count(&operand->shape) == 0) {
        return HD_PACKING_NONE;
    }
    if (hd_quantized_is_convolution(operation->id)) {
        const int64_t group = hd_operation_int(operation, "group", 1);
        return operand->shape.rank >= 3 && group > 0 && operand->shape.dims[0] % group == 0 &&
                       !hd_cpu_quantized_is_narrow(operand->shape.dims[0] / group)
                   ? HD_PACKING_INTEGER_CONVOLUTION
                   : HD_PACKING_NONE;
    }
    return operand->shape.rank == 2 ? HD_PACKING_INTEGER_MATRIX : HD_PACKING_NONE;
}

hd_cpu_packing_kind hd_cpu_packing(const hd_operation *operation, size_t index)
{
    const hd_quantized_roles *roles = hd_quantized_roles_of(operation->id);
    if (roles != NULL) {
        return packing_of_bytes(operation, index, roles);
    }
    bool linear = operation->id == HD_OP_HEDDLE_LINEAR;
    bool gemm = operation->id == HD_OP_GEMM;
    if (!linear && !gemm && operation->id != HD_OP_MATMUL) {
        return hd_cpu_packing_convolution(operation, index);
    }
    const hd_operand *operand = &operation->inputs[index];
    if (index != 1 || operand->dtype != HD_FLOAT32 || operand->shape.rank != 2 ||
        operand->shape.dims[0] == 0 || operand->shape.dims[1] == 0) {
        return HD_PACKING_NONE;
    }
    bool transposed = (linear || gemm) && hd_operation_int(operation, "transB", 0) != 0;
    return transposed ? HD_PACKING_MATRIX_TRANSPOSED : HD_PACKING_MATRIX;
}

static hd_status pack_matrix(const hd_operand *constant, hd_packed *packed, hd_error *error)
{
    bool transposed = hd_cpu_packed_packing(packed) == HD_PACKING_MATRIX_TRANSPOSED;
    int64_t row = constant->shape.dims[1];
    int64_t depth = transposed ? row : constant->shape.dims[0];
    int64_t columns = transposed ? constant->shape.dims[0] : row;
    size_t count;
    if (!hd_cpu_gemm_packed_count(depth, columns, &count)) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "a weight matrix does not fit the address space");
    }
    packed->memory = hd_pages_alloc_charged(count * sizeof(float), &packed->owner);
    if (packed->memory == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a packed weight of %zu bytes",
                       count * sizeof(float));
    }
    packed->size = count * sizeof(float);
    hd_cpu_gemm_pack(packed->memory, constant->data, transposed ? 1 : row, transposed ? row : 1,
                     depth, columns);
    return HD_OK;
}

static hd_status pack_bytes(const hd_operand *constant, int64_t group, hd_packed *packed,
                            hd_error *error)
{
    const hd_shape *shape = &constant->shape;
    const bool is_image = hd_cpu_packed_packing(packed) == HD_PACKING_INTEGER_CONVOLUTION;
    const int64_t groups = is_image ? group : 1;
    const int64_t columns = is_image ? shape->dims[0] / groups : shape->dims[1];
    const int64_t terms = is_image ? hd_shape_count_range(shape, 1, shape->rank) : shape->dims[0];
    const hd_cpu_integer_steps steps =
        is_image ? hd_cpu_integer_steps_of_image(shape->dims[1], shape->dims[shape->rank - 1],
                                                 hd_shape_count_range(shape, 2, shape->rank))
                 : hd_cpu_integer_steps_of_matrix(terms, columns);
    const int64_t depth = hd_multiply_bounded(terms / steps.run, hd_cpu_integer_filled(steps.run));
    int64_t each, size;
    if (!hd_cpu_integer_packed_size(depth, columns, &each) ||
        __builtin_mul_overflow(each, groups, &size)) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "a weight matrix does not fit the address space");
    }
    packed->memory = hd_pages_alloc_charged((size_t)size, &packed->owner);
    if (packed->memory == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a packed weight of %lld bytes",
                       (long long)size);
    }
    packed->size = (size_t)size;
    for (int64_t g = 0; g < groups; g++) {
        hd_cpu_integer_pack((uint8_t *)packed->memory + g * each,
                            (const uint8_t *)constant->data + g * columns * terms,
                            constant->dtype == HD_INT8, &steps, depth, columns);
    }
    return HD_OK;
}

/* Training leaves whole channels with subnormal weights, and each product with one takes x86
 * processors some hundred cycles (PP-OCRv6 detection: four times the time of a run). As zeros they
 * change an output by less than 2^-126 times the sum of its finite inputs' magnitudes. BITS: it is
 * the constant that changes, once and for every run; runs themselves flush nothing. */
static void clear_subnormals(hd_packed *packed)
{
    float *weights = packed->memory;
    for (size_t i = 0; i < packed->size / sizeof *weights; i++) {
        weights[i] = fabsf(weights[i]) < FLT_MIN ? 0.0F : weights[i];
    }
}

hd_status hd_cpu_pack(hd_cpu_packing_kind packing, const hd_operand *constant, int64_t group,
                      hd_packed **out_packed, hd_error *error)
{
    hd_packed *packed = hd_alloc_zero(1, sizeof *packed);
    if (packed == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a packed weight");
    }
    packed->form = (hd_constant_form){packing, group};
    packed->shape = constant->shape;
    hd_status status;
    const bool is_bytes =
        packing == HD_PACKING_INTEGER_MATRIX || packing == HD_PACKING_INTEGER_CONVOLUTION;
    if (is_bytes) {
        status = pack_bytes(constant, group, packed, error);
    } else if (packing == HD_PACKING_MATRIX || packing == HD_PACKING_MATRIX_TRANSPOSED) {
        status = pack_matrix(constant, packed, error);
    } else {
        status = hd_cpu_pack_convolution(constant, group, packed, error);
    }
    if (status != HD_OK) {
        hd_cpu_packed_destroy(&packed);
        return status;
    }
    if (!is_bytes) {
        clear_subnormals(packed);
    }
    *out_packed = packed;
    return HD_OK;
}

void hd_cpu_packed_destroy(hd_packed **packed)
{
    if (*packed != NULL) {
        hd_pages_free_charged((*packed)->memory, (*packed)->size, (*packed)->owner);
        hd_free(*packed);
        *packed = NULL;
    }
}
