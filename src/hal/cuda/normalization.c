/* Normalizations over groups of channels and by given statistics, LRN, running sums and products. */
#include "hal/cuda/kernels/reduction.h"
#include "hal/cuda/step.h"

#define BLOCK 256

/* All operands are float32, and few enough elements. */
static bool is_plain(const hd_operation *operation)
{
    bool fits = operation->inputs[0].shape.rank >= 2 &&
                hd_shape_count(&operation->inputs[0].shape) <= INT32_MAX;
    for (size_t i = 0; i < operation->input_count; i++) {
        fits = fits && operation->inputs[i].dtype == HD_FLOAT32;
    }
    return fits;
}

static hd_status launch(hd_cuda_compilation *compilation, hd_cuda_function function, int64_t blocks,
                        uint32_t block, const void *parameters, size_t size,
                        const hd_cuda_pointer *pointers, size_t pointer_count)
{
    const uint32_t grid[3] = {(uint32_t)blocks, 1, 1};
    return blocks == 0 || hd_cuda_add_launch(compilation, function, grid, block, parameters, size,
                                             pointers, pointer_count) != NULL
               ? HD_OK
               : hd_cuda_out_of_memory(compilation);
}

/* --- InstanceNormalization, GroupNormalization */

static bool supports_group_norm(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    return is_plain(operation);
}

static hd_status compile_group_norm(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    bool instance = operation->id == HD_OP_INSTANCE_NORMALIZATION;
    int64_t groups = instance ? shape->dims[1] : hd_operation_int(operation, "num_groups", 1);
    if (hd_shape_count(shape) == 0) {
        return HD_OK;
    }
    hd_cuda_group_norm p = {.groups = (int)groups,
                            .channels = (int)(shape->dims[1] / groups),
                            .positions = (int)hd_shape_count_range(shape, 2, shape->rank),
                            .is_per_group = hd_shape_count(&operation->inputs[1].shape) == groups,
                            .epsilon = hd_operation_float(operation, "epsilon", 1e-5f)};
    const hd_cuda_pointer pointers[] = {{0, offsetof(hd_cuda_group_norm, x), 0},
                                        {1, offsetof(hd_cuda_group_norm, scale), 0},
                                        {2, offsetof(hd_cuda_group_norm, bias), 0},
                                        {3, offsetof(hd_cuda_group_norm, y), 0}};
    compilation->kernel->inplace_inputs = 1;
    return launch(compilation, HD_CUDA_group_norm, shape->dims[0] * groups, HD_CUDA_NORM_BLOCK, &p,
                  sizeof p, pointers, 4);
}

/* --- BatchNormalization of inference */

static bool supports_batch_norm(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    bool is_training =
        operation->opset >= 14 && hd_operation_int(operation, "training_mode", 0) != 0;
    for (size_t i = 1; i < operation->output_count; i++) {
        is_training = is_training || operation->outputs[i].dtype != HD_DTYPE_NONE;
    }
    return !is_training && is_plain(operation);
}

static hd_status compile_batch_norm(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    bool spatial = operation->opset >= 9 || hd_operation_int(operation, "spatial", 1) != 0;
    uint32_t from = spatial ? 2 : shape->rank;
    int64_t count = hd_shape_count(shape);
    if (count == 0) {
        return HD_OK;
    }
    hd_cuda_batch_norm p = {
        .count = (unsigned)count,
        .positions = hd_cuda_divisor_of((unsigned)hd_shape_count_range(shape, from, shape->rank)),
        .channels = hd_cuda_divisor_of((unsigned)hd_shape_count_range(shape, 1, from)),
        .epsilon = hd_operation_float(operation, "epsilon", 1e-5f)};
    const hd_cuda_pointer pointers[] = {
        {0, offsetof(hd_cuda_batch_norm, x), 0},        {1, offsetof(hd_cuda_batch_norm, scale), 0},
        {2, offsetof(hd_cuda_batch_norm, bias), 0},     {3, offsetof(hd_cuda_batch_norm, mean), 0},
        {4, offsetof(hd_cuda_batch_norm, variance), 0}, {5, offsetof(hd_cuda_batch_norm, y), 0}};
    compilation->kernel->inplace_inputs = 1;
    return launch(compilation, HD_CUDA_batch_norm, hd_cuda_blocks(count, BLOCK), BLOCK, &p,
                  sizeof p, pointers, 6);
}

/* --- LRN */

static bool supports_lrn(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    int64_t size = hd_operation_int(operation, "size", 1);
    return is_plain(operation) && size >= 1 && size <= INT32_MAX / 2;
}

static hd_status compile_lrn(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    int64_t count = hd_shape_count(shape), size = hd_operation_int(operation, "size", 1);
    if (count == 0) {
        return HD_OK;
    }
    hd_cuda_lrn p = {.count = (unsigned)count,
                     .positions =
                         hd_cuda_divisor_of((unsigned)hd_shape_count_range(shape, 2, shape->rank)),
                     .channels = hd_cuda_divisor_of((unsigned)shape->dims[1]),
                     .before = (int)((size - 1) / 2),
                     .factor = hd_operation_float(operation, "alpha", 1e-4f) / (float)size,
                     .beta = hd_operation_float(operation, "beta", 0.75f),
                     .bias = hd_operation_float(operation, "bias", 1.0f)};
    p.after = (int)(size - 1) - p.before;
    const hd_cuda_pointer pointers[] = {{0, offsetof(hd_cuda_lrn, x), 0},
                                        {1, offsetof(hd_cuda_lrn, y), 0}};
    return launch(compilation, HD_CUDA_lrn, hd_cuda_blocks(count, BLOCK), BLOCK, &p, sizeof p,
                  pointers, 2);
}

/* --- CumSum */

static hd_cuda_function sum_of(hd_dtype dtype)
{
    switch (dtype) {
    case HD_FLOAT32:
        return HD_CUDA_cum_sum_float32;
    case HD_INT32:
    case HD_UINT32: /* the same bits */
        return HD_CUDA_cum_sum_int32;
    case HD_INT64:
    case HD_UINT64:
        return HD_CUDA_cum_sum_int64;
    default:
        return HD_CUDA_COPY; /* none */
    }
}

static bool supports_cum_sum(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    const hd_operand *x = &operation->inputs[0], *axis = &operation->inputs[1];
    return sum_of(x->dtype) != HD_CUDA_COPY && x->shape.rank > 0 &&
           hd_shape_count(&x->shape) <= INT32_MAX && axis->data != NULL &&
           (axis->dtype == HD_INT32 || axis->dtype == HD_INT64) &&
           hd_shape_count(&axis->shape) == 1;
}

static hd_status compile_cum_sum(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    int64_t axis = hd_operand_int(&operation->inputs[1], 0);
    hd_axis_normalize(&axis, shape->rank);
    if (hd_shape_count(shape) == 0) {
        return HD_OK;
    }
    int64_t inner = hd_shape_count_range(shape, (uint32_t)axis + 1, shape->rank);
    int64_t lanes = hd_shape_count_range(shape, 0, (uint32_t)axis) * inner;
    hd_cuda_cum_sum p = {.lanes = (unsigned)lanes,
                         .inner = hd_cuda_divisor_of((unsigned)inner),
                         .dim = (int)shape->dims[axis],
                         .is_product = operation->id == HD_OP_CUM_PROD,
                         .is_exclusive = hd_operation_int(operation, "exclusive", 0) != 0,
                         .is_reverse = hd_operation_int(operation, "reverse", 0) != 0};
    const hd_cuda_pointer pointers[] = {{0, offsetof(hd_cuda_cum_sum, x), 0},
                                        {2, offsetof(hd_cuda_cum_sum, y), 0}};
    return launch(compilation, sum_of(operation->inputs[0].dtype), hd_cuda_blocks(lanes, BLOCK),
                  BLOCK, &p, sizeof p, pointers, 2);
}

const hd_cuda_operator hd_cuda_operators_normalization[] = {
    {HD_OP_INSTANCE_NORMALIZATION, supports_group_norm, compile_group_norm},
    {HD_OP_GROUP_NORMALIZATION, supports_group_norm, compile_group_norm},
    {HD_OP_BATCH_NORMALIZATION, supports_batch_norm, compile_batch_norm},
    {HD_OP_LRN, supports_lrn, compile_lrn},
    {HD_OP_CUM_PROD, supports_cum_sum, compile_cum_sum},
    {HD_OP_CUM_SUM, supports_cum_sum, compile_cum_sum},
    {HD_OP_NONE, NULL, NULL}};
