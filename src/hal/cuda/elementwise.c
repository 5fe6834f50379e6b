/* Elementwise operators that IEEE 754 defines, one a step. */
#include "hal/cuda/kernels/elementwise_float32.h"
#include "hal/cuda/step.h"

#define BLOCK_SIZE  256
#define BLOCK_LIMIT 4096

static const struct {
    hd_operator_id id;
    int operation;
} kinds[] = {{HD_OP_ADD, HD_CUDA_ADD},
             {HD_OP_SUB, HD_CUDA_SUBTRACT},
             {HD_OP_MUL, HD_CUDA_MULTIPLY},
             {HD_OP_DIV, HD_CUDA_DIVIDE},
             {HD_OP_RELU, HD_CUDA_POSITIVE},
             {HD_OP_NEG, HD_CUDA_NEGATE},
             {HD_OP_ABS, HD_CUDA_ABSOLUTE},
             {HD_OP_SQRT, HD_CUDA_ROOT},
             {HD_OP_RECIPROCAL, HD_CUDA_RECIPROCAL},
             {HD_OP_FLOOR, HD_CUDA_FLOOR},
             {HD_OP_CEIL, HD_CUDA_CEILING}};

/* The kernel's number for an operator. */
static int find(const hd_operation *operation)
{
    int found = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        found = kinds[i].id == operation->id ? kinds[i].operation : found;
    }
    return found;
}

static bool supports(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    bool fits = operation->outputs[0].shape.rank <= HD_CUDA_RANK;
    for (size_t i = 0; i < operation->input_count; i++) {
        const hd_operand *input = &operation->inputs[i];
        fits = fits && input->dtype == HD_FLOAT32 && input->shape.rank <= HD_CUDA_RANK;
    }
    /* Before opset 7 the second operand lies where `axis` says. */
    return fits && hd_operation_attribute(operation, "axis") == NULL;
}

/* How an operand repeats along the output's dimensions. */
static void set_strides(const hd_shape *shape, const hd_shape *output,
                        long long strides[HD_CUDA_RANK])
{
    int64_t own[HD_MAX_RANK];
    hd_shape_strides(shape, own);
    for (uint32_t d = 0; d < output->rank; d++) {
        uint32_t missing = output->rank - shape->rank;
        strides[d] = d < missing || shape->dims[d - missing] == 1 ? 0 : own[d - missing];
    }
}

static hd_status compile(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_operand *output = &operation->outputs[0];
    hd_cuda_elementwise p = {.count = hd_shape_count(&output->shape), .operation = find(operation)};
    bool is_binary = operation->input_count == 2;
    if (p.count == 0) {
        return HD_OK;
    }
    if (is_binary && (!hd_shape_equal(&operation->inputs[0].shape, &output->shape) ||
                      !hd_shape_equal(&operation->inputs[1].shape, &output->shape))) {
        p.rank = (int)output->shape.rank;
        for (uint32_t d = 0; d < output->shape.rank; d++) {
            p.dims[d] = output->shape.dims[d];
        }
        set_strides(&operation->inputs[0].shape, &output->shape, p.a_strides);
        set_strides(&operation->inputs[1].shape, &output->shape, p.b_strides);
    }
    hd_cuda_pointer pointers[3] = {{0, offsetof(hd_cuda_elementwise, a), 0},
                                   {1, offsetof(hd_cuda_elementwise, b), 0}};
    size_t count = operation->input_count;
    pointers[count] = (hd_cuda_pointer){(uint16_t)count, offsetof(hd_cuda_elementwise, y), 0};
    int64_t blocks = hd_cuda_blocks(p.count, BLOCK_SIZE);
    const uint32_t grid[3] = {(uint32_t)(blocks < BLOCK_LIMIT ? blocks : BLOCK_LIMIT), 1, 1};
    return hd_cuda_add_launch(compilation, HD_CUDA_elementwise_float32, grid, BLOCK_SIZE, &p,
                              sizeof p, pointers, count + 1) == NULL
               ? hd_cuda_out_of_memory(compilation)
               : HD_OK;
}

#define ROW(id) {id, supports, compile}
const hd_cuda_operator hd_cuda_operators_elementwise[] = {
    ROW(HD_OP_ADD),        ROW(HD_OP_SUB),   ROW(HD_OP_MUL),  ROW(HD_OP_DIV),
    ROW(HD_OP_RELU),       ROW(HD_OP_NEG),   ROW(HD_OP_ABS),  ROW(HD_OP_SQRT),
    ROW(HD_OP_RECIPROCAL), ROW(HD_OP_FLOOR), ROW(HD_OP_CEIL), {HD_OP_NONE, NULL, NULL}};
