#include "hal/cpu/packed.h"

#include <float.h>
#include <math.h>

#include "base/memory.h"
#include "hal/cpu/gemm.h"
#include "hal/cpu/packed_convolution.h"

hd_cpu_packing_kind hd_cpu_packing(const hd_operation *operation, size_t index)
{
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
    if (packing == HD_PACKING_MATRIX || packing == HD_PACKING_MATRIX_TRANSPOSED) {
        status = pack_matrix(constant, packed, error);
    } else {
        status = hd_cpu_pack_convolution(constant, group, packed, error);
    }
    if (status != HD_OK) {
        hd_cpu_packed_destroy(&packed);
        return status;
    }
    clear_subnormals(packed);
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
