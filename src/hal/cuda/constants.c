#include "hal/cuda/constants.h"

#include <string.h>

#include "base/memory.h"
#include "hal/cuda/kernels/product_half.h"
#include "hal/cuda/step.h"

/* Of Conv; the layout pass makes heddle.Conv of what has such a weight. */
static hd_constant_form convolution_form(const hd_operation *operation, const hd_shape *weight)
{
    int64_t group = hd_operation_int(operation, "group", 1);
    if ((weight->rank != 3 && weight->rank != 4) || group < 1 || weight->dims[0] % group != 0) {
        return (hd_constant_form){HD_CUDA_FORM_NONE, 1};
    }
    bool depthwise = group > 1 && weight->dims[0] == group && weight->dims[1] == 1;
    return (hd_constant_form){depthwise ? HD_CUDA_FORM_DEPTHWISE : HD_CUDA_FORM_CONVOLUTION, group};
}

/* One value a column. */
static bool is_row(const hd_shape *shape, int64_t n)
{
    return hd_shape_count(shape) == n &&
           (shape->rank == 1 || (shape->rank == 2 && shape->dims[0] == 1));
}

/* Whether products of halves compute MatMul or Gemm with this weight, whatever the other operands are. */
static bool half_product_fits(const hd_operation *operation, const hd_shape *weight)
{
    bool is_gemm = operation->id == HD_OP_GEMM;
    bool transposed = is_gemm && hd_operation_int(operation, "transB", 0) != 0;
    int64_t k = weight->dims[transposed ? 1 : 0], n = weight->dims[transposed ? 0 : 1];
    if (k % 8 != 0 || n % 8 != 0 || k == 0 || n == 0 || k > INT32_MAX / 2 || n > INT32_MAX / 2) {
        return false;
    }
    if (!is_gemm) {
        return true;
    }
    return hd_operation_int(operation, "transA", 0) == 0 &&
           hd_operation_float(operation, "alpha", 1.0f) == 1.0f &&
           hd_operation_float(operation, "beta", 1.0f) == 1.0f &&
           (operation->input_count < 3 ||
            (operation->inputs[2].data != NULL && is_row(&operation->inputs[2].shape, n)));
}

hd_constant_form hd_cuda_constant_form(const hd_unit *unit, const hd_operation *operation,
                                       size_t index)
{
    hd_constant_form form = {HD_CUDA_FORM_NONE, 1};
    const hd_operand *constant = &operation->inputs[index];
    if (index != 1 || constant->dtype != HD_FLOAT32) {
        return form;
    }
    if (operation->id == HD_OP_CONV) {
        return convolution_form(operation, &constant->shape);
    }
    if (constant->shape.rank != 2 ||
        (operation->id != HD_OP_MATMUL && operation->id != HD_OP_GEMM)) {
        return form;
    }
    bool transposed = operation->id == HD_OP_GEMM && hd_operation_int(operation, "transB", 0) != 0;
    if (unit->half != HD_DTYPE_NONE && half_product_fits(operation, &constant->shape)) {
        form.kind = transposed ? HD_CUDA_FORM_HALF_TRANSPOSED : HD_CUDA_FORM_HALF;
    } else {
        form.kind = transposed ? HD_CUDA_FORM_MATRIX_TRANSPOSED : HD_CUDA_FORM_MATRIX;
    }
    return form;
}

/* What a form comes to: matrices of `rows` rows, `stride` elements apart, with `columns` of them in use. */
typedef struct form_sizes {
    int64_t groups, rows, columns, stride;
    int64_t taps; /* of a convolution */
} form_sizes;

static form_sizes sizes_of(hd_constant_form form, const hd_shape *shape)
{
    form_sizes sizes = {.groups = 1, .taps = 1};
    if (form.kind == HD_CUDA_FORM_MATRIX || form.kind == HD_CUDA_FORM_MATRIX_TRANSPOSED) {
        bool transposed = form.kind == HD_CUDA_FORM_MATRIX_TRANSPOSED;
        sizes.rows = shape->dims[transposed ? 1 : 0];
        sizes.columns = shape->dims[transposed ? 0 : 1];
    } else {
        sizes.taps = hd_shape_count_range(shape, 2, shape->rank);
        if (form.kind == HD_CUDA_FORM_DEPTHWISE) {
            sizes.rows = sizes.taps;
            sizes.columns = sizes.stride = shape->dims[0];
            return sizes;
        }
        sizes.groups = form.group;
        sizes.rows = sizes.taps * shape->dims[1];
        sizes.columns = shape->dims[0] / form.group;
    }
    sizes.stride = hd_cuda_row_stride(sizes.columns);
    return sizes;
}

static void fill_convolution(float *to, const float *from, const form_sizes *sizes,
                             int64_t channels)
{
    for (int64_t g = 0; g < sizes->groups; g++) {
        for (int64_t r = 0; r < sizes->rows; r++) {
            float *row = to + (g * sizes->rows + r) * sizes->stride;
            int64_t tap = r / channels, channel = r % channels;
            for (int64_t c = 0; c < sizes->columns; c++) {
                row[c] = from[((g * sizes->columns + c) * channels + channel) * sizes->taps + tap];
            }
        }
    }
}

static void fill_matrix(float *to, const float *from, const form_sizes *sizes, bool transposed)
{
    for (int64_t r = 0; r < sizes->rows; r++) {
        for (int64_t c = 0; c < sizes->columns; c++) {
            to[r * sizes->stride + c] =
                transposed ? from[c * sizes->rows + r] : from[r * sizes->columns + c];
        }
    }
}

/* A half matrix in panels: of each column, 64 of its elements one behind the other, in groups of 8 whose places the column says. */
static void fill_half(uint16_t *to, const uint16_t *from, int64_t k, int64_t n, bool transposed)
{
    for (int64_t column = 0; column < n; column++) {
        for (int64_t row = 0; row < k; row++) {
            int64_t panel = row / HD_HALF_PANEL, within = row % HD_HALF_PANEL;
            int64_t place = (within / 8 ^ column % 8) * 8 + within % 8;
            to[(panel * n + column) * HD_HALF_PANEL + place] =
                transposed ? from[column * k + row] : from[row * n + column];
        }
    }
}

/* The constant rounded to halves; the caller frees it. NULL: no memory. */
static uint16_t *round_to_half(hd_dtype half, const hd_operand *constant)
{
    size_t count = (size_t)hd_shape_count(&constant->shape);
    uint16_t *rounded = hd_alloc_aligned(count * sizeof *rounded);
    hd_attribute to = {.name = "to", .kind = HD_ATTRIBUTE_INT, .i = half};
    hd_operand input = *constant, output = {.dtype = half, .shape = constant->shape};
    hd_operation cast = {.id = HD_OP_CAST,
                         .name = "",
                         .opset = 13,
                         .attributes = &to,
                         .attribute_count = 1,
                         .inputs = &input,
                         .input_count = 1,
                         .outputs = &output,
                         .output_count = 1};
    void *outputs[] = {rounded};
    int64_t extents[1][HD_MAX_RANK];
    if (rounded != NULL && hd_host_evaluate(&cast, outputs, extents, SIZE_MAX, NULL) != HD_OK) {
        hd_free(rounded);
        return NULL;
    }
    return rounded;
}

/* Bytes. */
static size_t size_of(hd_constant_form form, const hd_shape *shape)
{
    if (hd_cuda_form_is_half(form.kind)) {
        bool transposed = form.kind == HD_CUDA_FORM_HALF_TRANSPOSED;
        int64_t panels = hd_cuda_blocks(shape->dims[transposed ? 1 : 0], HD_HALF_PANEL);
        return (size_t)(panels * shape->dims[transposed ? 0 : 1] * HD_HALF_PANEL) *
               sizeof(uint16_t);
    }
    form_sizes sizes = sizes_of(form, shape);
    return (size_t)(sizes.groups * sizes.rows * sizes.stride) * sizeof(float);
}

static hd_status fill(const hd_unit *unit, hd_constant_form form, const hd_operand *constant,
                      void *to)
{
    const hd_shape *shape = &constant->shape;
    if (hd_cuda_form_is_half(form.kind)) {
        bool transposed = form.kind == HD_CUDA_FORM_HALF_TRANSPOSED;
        uint16_t *rounded = round_to_half(unit->half, constant);
        if (rounded == NULL) {
            return HD_OUT_OF_MEMORY;
        }
        fill_half(to, rounded, shape->dims[transposed ? 1 : 0], shape->dims[transposed ? 0 : 1],
                  transposed);
        hd_free(rounded);
        return HD_OK;
    }
    form_sizes sizes = sizes_of(form, shape);
    if (form.kind == HD_CUDA_FORM_MATRIX || form.kind == HD_CUDA_FORM_MATRIX_TRANSPOSED) {
        fill_matrix(to, constant->data, &sizes, form.kind == HD_CUDA_FORM_MATRIX_TRANSPOSED);
    } else {
        fill_convolution(to, constant->data, &sizes, shape->dims[1]);
    }
    return HD_OK;
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
    size_t size = size_of(form, &constant->shape);
    hd_packed *packed = hd_alloc_zero(1, sizeof *packed);
    void *staged = hd_alloc_zero(1, size);
    *out_packed = NULL;
    hd_status status = packed == NULL || staged == NULL ? HD_OUT_OF_MEMORY : HD_OK;
    if (status == HD_OK) {
        packed->form = form;
        packed->shape = constant->shape;
        status = take(unit, size, packed) ? HD_OK : hd_unit_memory_refusal(unit);
    }
    if (status == HD_OK) {
        status = fill(unit, form, constant, staged);
    }
    if (status == HD_OK) {
        status = hd_unit_copy(unit, packed->memory, staged, size);
    }
    hd_free(staged);
    if (status != HD_OK) {
        hd_cuda_constant_destroy(unit, &packed);
        return hd_fail(error, status,
                       status == HD_LOST ? "the device was lost with a weight of %zu bytes"
                                         : "no memory on the device for a weight of %zu bytes",
                       size);
    }
    *out_packed = packed;
    return HD_OK;
}
