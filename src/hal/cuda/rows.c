/* Softmax and LogSoftmax over the last axis, layer and RMS normalization. */
#include "hal/cuda/kernels/rows.h"

#include "hal/cuda/step.h"
#include "operation/axes.h"
#include "operation/fused.h"

/* The kernels, by the length of the rows that they are made for. */
static const struct {
    int64_t length;
    uint32_t block;
    uint32_t packed;             /* rows a block */
    hd_cuda_function softmax[2]; /* of floats, of any */
    hd_cuda_function layer_norm[2];
} kernels[] = {
#define KERNELS(length)                                                                            \
    {HD_CUDA_softmax_##length, HD_CUDA_softmax_half_##length},                                     \
    {                                                                                              \
        HD_CUDA_layer_norm_##length, HD_CUDA_layer_norm_half_##length                              \
    }
    {256, 128, 4, KERNELS(256)},       {384, 128, 4, KERNELS(384)},
    {768, 128, 4, KERNELS(768)},       {1024, 128, 4, KERNELS(1024)},
    {4096, 256, 1, KERNELS(4096)},     {32768, 1024, 1, KERNELS(32768)},
    {INT64_MAX, 256, 1, KERNELS(any)},
#undef KERNELS
};

enum { KERNEL_COUNT = sizeof kernels / sizeof kernels[0] };

static int kind_of(const hd_operand *operand)
{
    return operand->dtype == HD_FLOAT16    ? HD_CUDA_ROWS_FLOAT16
           : operand->dtype == HD_BFLOAT16 ? HD_CUDA_ROWS_BFLOAT16
                                           : HD_CUDA_ROWS_FLOAT32;
}

/* Whether the device's kernels take it: float32, or its halves. */
static bool is_number(const hd_cuda_unit *unit, const hd_operand *operand)
{
    return operand->dtype == HD_FLOAT32 ||
           (operand->dtype == unit->unit.half && operand->dtype != HD_DTYPE_NONE);
}

static hd_status launch(hd_cuda_compilation *compilation, const hd_cuda_rows *p, bool is_softmax,
                        const hd_cuda_pointer *pointers, size_t pointer_count)
{
    if (p->rows == 0 || p->length == 0) {
        return HD_OK;
    }
    size_t chosen = 0;
    while (chosen + 1 < KERNEL_COUNT &&
           (p->length % 4 != 0 || p->length > kernels[chosen].length)) {
        chosen++;
    }
    const uint32_t grid[3] = {(uint32_t)hd_cuda_blocks(p->rows, kernels[chosen].packed), 1, 1};
    bool is_mixed = (p->x_kind | p->residual_kind | p->y_kind | p->sum_kind) != 0;
    return hd_cuda_add_launch(compilation,
                              is_softmax ? kernels[chosen].softmax[is_mixed]
                                         : kernels[chosen].layer_norm[is_mixed],
                              grid, kernels[chosen].block, p, sizeof *p, pointers,
                              pointer_count) == NULL
               ? hd_cuda_out_of_memory(compilation)
               : HD_OK;
}

static bool supports_softmax(const hd_cuda_unit *unit, const hd_operation *operation)
{
    hd_axis_split split;
    return is_number(unit, &operation->inputs[0]) && hd_axis_split_softmax(operation, &split) &&
           split.inner == 1 && split.outer <= INT32_MAX && split.size <= INT32_MAX;
}

static hd_status compile_softmax(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    hd_axis_split split;
    (void)hd_axis_split_softmax(operation, &split);
    hd_cuda_rows p = {.rows = (int)split.outer,
                      .length = (int)split.size,
                      .kind =
                          operation->id == HD_OP_SOFTMAX ? HD_CUDA_SOFTMAX : HD_CUDA_LOG_SOFTMAX,
                      .x_kind = kind_of(&operation->inputs[0]),
                      .y_kind = kind_of(&operation->outputs[0])};
    const hd_cuda_pointer pointers[] = {{0, offsetof(hd_cuda_rows, x), 0},
                                        {1, offsetof(hd_cuda_rows, y), 0}};
    compilation->kernel->inplace_inputs = p.x_kind == p.y_kind;
    return launch(compilation, &p, true, pointers, 2);
}

/* Dimensions that an operator normalizes together: those from its axis on; 0 of a scalar. */
static uint32_t normalized_rank(const hd_operation *operation)
{
    const uint32_t rank = operation->inputs[0].shape.rank;
    int64_t axis =
        operation->id == HD_OP_HEDDLE_LAYER_NORM ? -1 : hd_operation_int(operation, "axis", -1);
    return hd_axis_normalize(&axis, rank) ? rank - (uint32_t)axis : 0;
}

/* Their elements; -1 of a scalar. */
static int64_t normalized(const hd_operation *operation)
{
    const hd_shape *shape = &operation->inputs[0].shape;
    const uint32_t behind = normalized_rank(operation);
    return behind == 0 ? -1 : hd_shape_count_range(shape, shape->rank - behind, shape->rank);
}

/* An element a normalized one, the same for all rows. */
static bool is_row(const hd_operation *operation, const hd_shape *shape, int64_t length)
{
    const uint32_t behind = normalized_rank(operation);
    return hd_shape_count(shape) == length &&
           (shape->rank <= behind || hd_shape_count_range(shape, 0, shape->rank - behind) == 1);
}

static bool supports_layer_norm(const hd_cuda_unit *unit, const hd_operation *operation)
{
    const hd_shape *shape = &operation->inputs[0].shape;
    int64_t length = normalized(operation);
    bool fits = length >= 0 && length <= INT32_MAX && hd_shape_count(shape) <= INT32_MAX;
    for (size_t i = 0; i < operation->input_count && fits; i++) {
        const hd_operand *input = &operation->inputs[i];
        fits = input->dtype == HD_DTYPE_NONE ||
               ((input->dtype == HD_FLOAT32 || (is_number(unit, input) && i % 3 == 0)) &&
                (i == 0 || i == 3 || is_row(operation, &input->shape, length)));
    }
    fits = fits && hd_operation_int(operation, "stash_type", 1) != HD_FLOAT64;
    bool fused = operation->id == HD_OP_HEDDLE_LAYER_NORM;
    for (size_t i = fused ? 2 : 1; i < operation->output_count; i++) {
        fits = fits && operation->outputs[i].dtype == HD_DTYPE_NONE;
    }
    return fits;
}

static hd_status compile_layer_norm(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    bool fused = operation->id == HD_OP_HEDDLE_LAYER_NORM;
    int64_t length = normalized(operation), count = hd_shape_count(&operation->inputs[0].shape);
    hd_cuda_rows p = {.rows = length == 0 ? 0 : (int)(count / length),
                      .length = (int)length,
                      .kind = operation->id == HD_OP_RMS_NORMALIZATION ? HD_CUDA_RMS_NORM
                                                                       : HD_CUDA_LAYER_NORM,
                      .epsilon = fused ? hd_fused_layer_norm_of(operation)->epsilon
                                       : hd_operation_float(operation, "epsilon", 1e-5f),
                      .x_kind = kind_of(&operation->inputs[0]),
                      .y_kind = kind_of(&operation->outputs[0])};
    hd_cuda_pointer pointers[6] = {{0, offsetof(hd_cuda_rows, x), 0},
                                   {1, offsetof(hd_cuda_rows, scale), 0}};
    size_t used = 2;
    if (hd_operation_has(operation, 2)) {
        pointers[used++] = (hd_cuda_pointer){2, offsetof(hd_cuda_rows, bias), 0};
    }
    if (fused && hd_operation_has(operation, 3)) {
        p.residual_kind = kind_of(&operation->inputs[3]);
        pointers[used++] = (hd_cuda_pointer){3, offsetof(hd_cuda_rows, residual), 0};
    }
    uint16_t output = (uint16_t)operation->input_count;
    pointers[used++] = (hd_cuda_pointer){output, offsetof(hd_cuda_rows, y), 0};
    if (fused && operation->output_count > 1 && operation->outputs[1].dtype != HD_DTYPE_NONE) {
        p.sum_kind = kind_of(&operation->outputs[1]);
        pointers[used++] =
            (hd_cuda_pointer){(uint16_t)(output + 1), offsetof(hd_cuda_rows, sum), 0};
    }
    return launch(compilation, &p, false, pointers, used);
}

hd_half_use hd_cuda_rows_half_use(const hd_operation *operation)
{
    hd_half_use use = {.may = 1};
    if (operation->id == HD_OP_HEDDLE_LAYER_NORM && hd_operation_has(operation, 3)) {
        use.may |= UINT64_C(1) << 3;
    }
    for (size_t i = 0; i < operation->output_count; i++) {
        use.may |= UINT64_C(1) << (operation->input_count + i);
    }
    return use;
}

const hd_cuda_operator hd_cuda_operators_rows[] = {
    {HD_OP_SOFTMAX, supports_softmax, compile_softmax},
    {HD_OP_LOG_SOFTMAX, supports_softmax, compile_softmax},
    {HD_OP_LAYER_NORMALIZATION, supports_layer_norm, compile_layer_norm},
    {HD_OP_RMS_NORMALIZATION, supports_layer_norm, compile_layer_norm},
    {HD_OP_HEDDLE_LAYER_NORM, supports_layer_norm, compile_layer_norm},
    {HD_OP_NONE, NULL, NULL}};
