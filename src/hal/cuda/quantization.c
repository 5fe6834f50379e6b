/* QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear. */
#include "hal/cuda/kernels/quantization.h"

#include "hal/cuda/movement.h"
#include "operation/narrow.h"
#include "operation/quantized.h"

/* How an integer type lies in memory; false: there is no kernel. */
static bool type_of(hd_dtype dtype, int *out_type)
{
    switch (dtype) {
    case HD_UINT8:
    case HD_UINT4:
    case HD_UINT2:
        *out_type = HD_CUDA_QUANTIZED_UINT8;
        return true;
    case HD_INT8:
    case HD_INT4:
    case HD_INT2:
        *out_type = HD_CUDA_QUANTIZED_INT8;
        return true;
    case HD_UINT16:
        *out_type = HD_CUDA_QUANTIZED_UINT16;
        return true;
    case HD_INT16:
        *out_type = HD_CUDA_QUANTIZED_INT16;
        return true;
    case HD_INT32:
        *out_type = HD_CUDA_QUANTIZED_INT32;
        return true;
    default:
        return false;
    }
}

static void bounds_of(hd_dtype dtype, int *low, int *high)
{
    int32_t least, greatest;
    switch (dtype) {
    case HD_INT8:
        *low = INT8_MIN, *high = INT8_MAX;
        break;
    case HD_UINT16:
        *low = 0, *high = UINT16_MAX;
        break;
    case HD_INT16:
        *low = INT16_MIN, *high = INT16_MAX;
        break;
    case HD_UINT8:
        *low = 0, *high = UINT8_MAX;
        break;
    default:
        hd_narrow_bounds(dtype, &least, &greatest);
        *low = least, *high = greatest;
    }
}

/* Zero points and scales are what the kernels read. */
static bool supports(const hd_operation *operation, const hd_operand *quantized,
                     const hd_operand *number)
{
    hd_quantized_scales scales;
    int type;
    return hd_cuda_moves(operation) && type_of(quantized->dtype, &type) &&
           (number->dtype == HD_FLOAT32 || number->dtype == HD_INT32) &&
           operation->inputs[1].dtype == HD_FLOAT32 &&
           (!hd_operation_has(operation, 2) || operation->inputs[2].dtype == quantized->dtype) &&
           hd_quantized_scales_resolve(operation, &scales, NULL) == HD_OK &&
           scales.block <= INT32_MAX;
}

static bool supports_quantize(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    return operation->outputs[0].dtype != HD_INT32 &&
           supports(operation, &operation->outputs[0], &operation->inputs[0]);
}

static bool supports_dequantize(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    return operation->outputs[0].dtype == HD_FLOAT32 &&
           supports(operation, &operation->inputs[0], &operation->outputs[0]);
}

static hd_cuda_scales scales_of(const hd_quantized_scales *scales)
{
    return (hd_cuda_scales){.axis = hd_cuda_divisor_of((unsigned)scales->axis),
                            .inner = hd_cuda_divisor_of((unsigned)scales->inner),
                            .block = hd_cuda_divisor_of((unsigned)scales->block),
                            .outer_step = (int)scales->outer_step,
                            .axis_step = (int)scales->axis_step,
                            .inner_step = (int)scales->inner_step};
}

static hd_status compile_quantize(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    int64_t count = hd_shape_count(&operation->inputs[0].shape);
    hd_quantized_scales scales;
    hd_status status = hd_quantized_scales_resolve(operation, &scales, compilation->error);
    if (status != HD_OK || count == 0) {
        return status;
    }
    hd_cuda_quantize p = {.count = (unsigned)count,
                          .x_is_integer = operation->inputs[0].dtype == HD_INT32,
                          .scales = scales_of(&scales)};
    (void)type_of(operation->outputs[0].dtype, &p.type);
    bounds_of(operation->outputs[0].dtype, &p.low, &p.high);
    hd_cuda_pointer pointers[4] = {
        {0, offsetof(hd_cuda_quantize, x), 0},
        {1, offsetof(hd_cuda_quantize, scale), 0},
        {(uint16_t)operation->input_count, offsetof(hd_cuda_quantize, y), 0}};
    size_t used = 3;
    if (hd_operation_has(operation, 2)) {
        pointers[used++] = (hd_cuda_pointer){2, offsetof(hd_cuda_quantize, zero), 0};
    }
    return hd_cuda_add_threads(compilation, HD_CUDA_QUANTIZE_BLOCK, HD_CUDA_quantize, count, &p,
                               sizeof p, pointers, used);
}

static hd_status compile_dequantize(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    int64_t count = hd_shape_count(&operation->inputs[0].shape);
    hd_quantized_scales scales;
    hd_status status = hd_quantized_scales_resolve(operation, &scales, compilation->error);
    if (status != HD_OK || count == 0) {
        return status;
    }
    hd_cuda_dequantize p = {.count = (unsigned)count, .scales = scales_of(&scales)};
    (void)type_of(operation->inputs[0].dtype, &p.type);
    hd_cuda_pointer pointers[4] = {
        {0, offsetof(hd_cuda_dequantize, x), 0},
        {1, offsetof(hd_cuda_dequantize, scale), 0},
        {(uint16_t)operation->input_count, offsetof(hd_cuda_dequantize, y), 0}};
    size_t used = 3;
    if (hd_operation_has(operation, 2)) {
        pointers[used++] = (hd_cuda_pointer){2, offsetof(hd_cuda_dequantize, zero), 0};
    }
    return hd_cuda_add_threads(compilation, HD_CUDA_QUANTIZE_BLOCK, HD_CUDA_dequantize, count, &p,
                               sizeof p, pointers, used);
}

/* --- DynamicQuantizeLinear */

static bool supports_dynamic(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    return hd_cuda_moves(operation) && operation->inputs[0].dtype == HD_FLOAT32;
}

/* Blocks that look for the range follow from the number of elements; none where there is none, whose range is that of 0. */
static hd_status compile_dynamic(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    int64_t count = hd_shape_count(&operation->inputs[0].shape);
    int64_t blocks = hd_cuda_blocks(count, HD_CUDA_QUANTIZE_BLOCK);
    int64_t looking = blocks < HD_CUDA_QUANTIZE_RANGES ? blocks : HD_CUDA_QUANTIZE_RANGES;
    const hd_cuda_dynamic p = {.count = (unsigned)count, .range_count = (unsigned)looking};
    static const size_t places[] = {offsetof(hd_cuda_dynamic, y), offsetof(hd_cuda_dynamic, scale),
                                    offsetof(hd_cuda_dynamic, zero)};
    hd_cuda_pointer pointers[5] = {{0, offsetof(hd_cuda_dynamic, x), 0},
                                   {HD_CUDA_SCRATCH, offsetof(hd_cuda_dynamic, ranges), 0}};
    size_t used = 2;
    for (size_t i = 0; i < operation->output_count && i < 3; i++) {
        if (operation->outputs[i].dtype != HD_DTYPE_NONE) {
            pointers[used++] = (hd_cuda_pointer){(uint16_t)(1 + i), (uint16_t)places[i], 0};
        }
    }
    compilation->kernel->scratch_size = 2 * HD_CUDA_QUANTIZE_RANGES * sizeof(float);
    hd_status status =
        hd_cuda_add_threads(compilation, HD_CUDA_QUANTIZE_BLOCK, HD_CUDA_dynamic_range,
                            looking * HD_CUDA_QUANTIZE_BLOCK, &p, sizeof p, pointers, 2);
    return status != HD_OK
               ? status
               : hd_cuda_add_threads(compilation, HD_CUDA_QUANTIZE_BLOCK, HD_CUDA_dynamic_quantize,
                                     count == 0 ? 1 : count, &p, sizeof p, pointers, used);
}

const hd_cuda_operator hd_cuda_operators_quantization[] = {
    {HD_OP_QUANTIZE_LINEAR, supports_quantize, compile_quantize},
    {HD_OP_DEQUANTIZE_LINEAR, supports_dequantize, compile_dequantize},
    {HD_OP_DYNAMIC_QUANTIZE_LINEAR, supports_dynamic, compile_dynamic},
    {HD_OP_NONE, NULL, NULL}};
