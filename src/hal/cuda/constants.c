#include "hal/cuda/constants.h"

#include <string.h>

#include "base/memory.h"
#include "hal/cuda/unit.h"

hd_constant_form hd_cuda_constant_form(const hd_unit *unit, const hd_operation *operation,
                                       size_t index)
{
    (void)unit;
    hd_constant_form form = {HD_CUDA_FORM_NONE, 1};
    const hd_operand *constant = &operation->inputs[index];
    if (index != 1 || constant->dtype != HD_FLOAT32 || constant->shape.rank != 2) {
        return form;
    }
    if (operation->id == HD_OP_MATMUL) {
        form.kind = HD_CUDA_FORM_MATRIX;
    } else if (operation->id == HD_OP_GEMM) {
        form.kind = hd_operation_int(operation, "transB", 0) != 0 ? HD_CUDA_FORM_MATRIX_TRANSPOSED
                                                                  : HD_CUDA_FORM_MATRIX;
    }
    return form;
}

static void fill_matrix(float *to, const float *from, int64_t rows, int64_t columns,
                        bool transposed)
{
    int64_t stride = hd_cuda_row_stride(columns);
    memset(to, 0, (size_t)(rows * stride) * sizeof *to);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < columns; c++) {
            to[r * stride + c] = transposed ? from[c * rows + r] : from[r * columns + c];
        }
    }
}

/* The packed constant's memory, charged; false: there is none. */
static bool take(hd_unit *unit, size_t size, hd_packed *packed)
{
    if (!hd_memory_charge(size, &packed->owner)) {
        return false;
    }
    packed->memory = hd_unit_memory_create(unit, HD_PLACE_DEVICE, size);
    if (packed->memory == NULL) {
        hd_memory_discharge(size, packed->owner);
        return false;
    }
    packed->size = size;
    return true;
}

void hd_cuda_constant_destroy(hd_unit *unit, hd_packed **packed)
{
    if (*packed != NULL) {
        if ((*packed)->memory != NULL) {
            hd_unit_memory_destroy(unit, HD_PLACE_DEVICE, (*packed)->memory, (*packed)->size);
            hd_memory_discharge((*packed)->size, (*packed)->owner);
        }
        hd_free(*packed);
        *packed = NULL;
    }
}

hd_status hd_cuda_constant_create(hd_unit *unit, hd_constant_form form, const hd_operand *constant,
                                  hd_packed **out_packed, hd_error *error)
{
    bool transposed = form.kind == HD_CUDA_FORM_MATRIX_TRANSPOSED;
    int64_t rows = constant->shape.dims[transposed ? 1 : 0];
    int64_t columns = constant->shape.dims[transposed ? 0 : 1];
    size_t size = (size_t)(rows * hd_cuda_row_stride(columns)) * sizeof(float);
    hd_packed *packed = hd_alloc_zero(1, sizeof *packed);
    float *staged = hd_alloc(size);
    *out_packed = NULL;
    hd_status status = packed == NULL || staged == NULL ? HD_OUT_OF_MEMORY : HD_OK;
    if (status == HD_OK) {
        packed->form = form;
        packed->shape = constant->shape;
        status = take(unit, size, packed) ? HD_OK : HD_OUT_OF_MEMORY;
    }
    if (status == HD_OK) {
        fill_matrix(staged, constant->data, rows, columns, transposed);
        status = hd_unit_copy(unit, packed->memory, staged, size);
    }
    hd_free(staged);
    if (status != HD_OK) {
        hd_cuda_constant_destroy(unit, &packed);
        return hd_fail(error, status, "no memory on the device for a weight of %zu bytes", size);
    }
    *out_packed = packed;
    return HD_OK;
}
